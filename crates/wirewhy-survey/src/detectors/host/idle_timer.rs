//! `host.idle-timer`: connections die at one idle time.

use wirewhy_packet::Interval;

use crate::rule::{Detector, IdleEnd, Rule};
use wirewhy_detect::timers::known;
use wirewhy_detect::wording::span;
use wirewhy_detect::{
    Confidence, Facts, Finding, Group, Limits, Record, Reportable, Role, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "host.idle-timer",
    group: Group::Host,
    title: "Something on the path forgets idle connections after a fixed time",
    severity: Severity::Warning,
    means: "Several connections to this host did not survive an idle time, and their idle times agree: a timer in a NAT, firewall or \
            balancer on the way, or in the host itself.",
    recognised: "At least 3 connections that were reset or fell silent after idle times within a tenth of each other.",
    look_alikes: "A host that was restarted ends connections of every age and idle time at one moment.",
    check_next: &[
        "Compare the time with the limits of the devices on the path; the well-known match is only a candidate.",
        "Send keep-alives, or retire idle connections, clearly sooner than that.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::IdleTimes(find),
};

/// The timer that the idle times point to: the largest group of them that lies within a tenth. A packet meets the timer at
/// some time after it ran out, so its value is at most the shortest of the group.
fn find(ends: &[IdleEnd], limits: &Limits) -> Option<Finding> {
    let mut ends = ends.to_vec();
    ends.sort_by_key(|end| end.idle);
    let groups = (0..ends.len()).filter_map(|from| {
        let shortest = ends.get(from)?.idle;
        let most = shortest + Interval(shortest.0 / 10);
        let rest = ends.get(from..)?;
        rest.get(..rest.iter().take_while(|end| end.idle <= most).count())
    });
    let group = groups.reduce(|best, next| if next.len() > best.len() { next } else { best })?;
    let (first, last) = (group.first()?, group.last()?);
    let count = u32::try_from(group.len()).unwrap_or(u32::MAX);
    if count < limits.idle_timer_ends {
        return None;
    }
    let timer = known(first.idle);
    let about = timer.map_or(String::new(), |name| format!("; candidates: {name}"));
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Warning,
        confidence: Confidence::Likely,
        culprit: Role::Path.into(),
        summary: format!(
            "{count} connections did not survive idle times of {} to {}: a timer of at most {} on the path{about}",
            span(first.idle),
            span(last.idle),
            span(first.idle),
        ),
        frames: group
            .iter()
            .map(|end| end.frame)
            .take(Finding::MAX_FRAMES)
            .collect(),
        facts: Facts::default()
            .with("timer_seconds", first.idle)
            .with("longest_idle_seconds", last.idle)
            .with("connections", count)
            .with("known_timer", timer),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(seconds: &[i64]) -> Vec<IdleEnd> {
        (1..)
            .zip(seconds)
            .map(|(frame, idle)| IdleEnd {
                idle: Interval::from_secs(*idle),
                frame,
            })
            .collect()
    }

    #[test]
    fn idle_times_that_agree_point_to_a_timer() {
        let found = find(&ends(&[352, 900, 355, 361]), &Limits::default()).unwrap();
        assert!(found.summary.contains("350 s"));
        assert_eq!(found.frames, [1, 3, 4]);
    }

    #[test]
    fn idle_times_of_every_length_point_to_none() {
        assert!(find(&ends(&[20, 60, 200, 900]), &Limits::default()).is_none());
    }
}
