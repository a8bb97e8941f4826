//! `host.idle-timer`: connections die at one idle time.

use wirewhy_packet::Interval;

use crate::rule::{IdleEnd, IdleTimes, Rule, SurveyDetector};
use wirewhy_detect::timers::{known, known_between};
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
    recognised: "At least 3 connections that were reset or fell silent after idle times within a tenth of each other, or after longer \
                 idle times than any that was survived, where the two bounds are close.",
    look_alikes: "A host that was restarted ends connections of every age and idle time at one moment.",
    check_next: &[
        "Compare the time with the limits of the devices on the path; the well-known match is only a candidate.",
        "Send keep-alives, or retire idle connections, clearly sooner than that.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::IdleTimes(find),
};

/// The timer that the idle times point to. A packet meets it at some time after it ran out, so its value is at most the
/// shortest idle time that killed, and at least the longest that was survived.
fn find(times: &IdleTimes, limits: &Limits) -> Option<Finding> {
    let mut ends = times.ends.clone();
    ends.sort_by_key(|end| end.end.idle);
    let fatal = alike(&ends, limits).or_else(|| behind(&ends, times.survived, limits))?;
    let (first, last) = (fatal.first()?, fatal.last()?);
    let count = u32::try_from(fatal.len()).unwrap_or(u32::MAX);
    let survived = Some(times.survived).filter(|survived| *survived > Interval::ZERO);
    let below = survived.filter(|survived| *survived < first.end.idle);
    let timer = known(first.end.idle).or_else(|| known_between(below?, first.end.idle));
    let about = timer.map_or(String::new(), |name| format!("; candidates: {name}"));
    let own = fatal.iter().all(|end| end.end.by_client);
    let place = if own {
        "on the path or of the client itself"
    } else {
        "on the path"
    };
    let bounds = match below {
        Some(below) => format!(
            "others survived up to {}: a timer between the two {place}",
            span(below)
        ),
        None => format!("a timer of at most {} {place}", span(first.end.idle)),
    };
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Warning,
        // A connection that survived a longer rest may have taken another path.
        confidence: if below == survived && !own {
            Confidence::Likely
        } else {
            Confidence::Possible
        },
        culprit: if own { Role::Unknown } else { Role::Path }.into(),
        summary: format!(
            "{count} connections did not survive idle times of {} to {}; {bounds}{about}",
            span(first.end.idle),
            span(last.end.idle),
        ),
        frames: fatal
            .iter()
            .map(|end| end.frame)
            .take(Finding::MAX_FRAMES)
            .collect(),
        facts: Facts::default()
            .with("timer_seconds", first.end.idle)
            .with("longest_idle_seconds", last.end.idle)
            .with("longest_survived_seconds", survived)
            .with("connections", count)
            .with("known_timer", timer),
        consequence_of: None,
    })
}

/// The largest group of idle times that lies within a tenth, if it is large enough.
fn alike<'a>(ends: &'a [IdleEnd], limits: &Limits) -> Option<&'a [IdleEnd]> {
    let groups = (0..ends.len()).filter_map(|from| {
        let shortest = ends.get(from)?.end.idle;
        let most = shortest + Interval(shortest.0 / 10);
        let rest = ends.get(from..)?;
        rest.get(..rest.iter().take_while(|end| end.end.idle <= most).count())
    });
    let group = groups.reduce(|best, next| if next.len() > best.len() { next } else { best })?;
    is_enough(group, limits).then_some(group)
}

/// All idle times, where every one of them is longer than the longest that was survived, and the shortest of them by less
/// than half: the two bounds are close enough to mean one timer.
fn behind<'a>(ends: &'a [IdleEnd], survived: Interval, limits: &Limits) -> Option<&'a [IdleEnd]> {
    let shortest = ends.first()?.end.idle;
    let close = shortest > survived && shortest.0 < survived.0.saturating_add(survived.0 / 2);
    (close && is_enough(ends, limits)).then_some(ends)
}

fn is_enough(ends: &[IdleEnd], limits: &Limits) -> bool {
    u32::try_from(ends.len()).is_ok_and(|count| count >= limits.idle_timer_ends)
}

#[cfg(test)]
mod tests {
    use wirewhy_detect::FatalIdle;

    use super::*;

    fn ends(seconds: &[i64], survived: i64) -> IdleTimes {
        let ends = (1..).zip(seconds).map(|(frame, idle)| IdleEnd {
            end: FatalIdle {
                idle: Interval::from_secs(*idle),
                by_client: false,
            },
            frame,
        });
        IdleTimes {
            ends: ends.collect(),
            survived: Interval::from_secs(survived),
        }
    }

    #[test]
    fn idle_times_that_agree_point_to_a_timer() {
        let found = find(&ends(&[352, 900, 355, 361], 0), &Limits::default()).unwrap();
        assert!(found.summary.contains("350 s"));
        assert_eq!(found.frames, [1, 3, 4]);
    }

    #[test]
    fn idle_times_of_every_length_point_to_none() {
        assert!(find(&ends(&[20, 60, 200, 900], 0), &Limits::default()).is_none());
    }

    #[test]
    fn a_timer_lies_between_what_survived_and_what_did_not() {
        let found = find(&ends(&[250, 261, 300, 400], 238), &Limits::default()).unwrap();
        assert!(
            found.summary.contains("240 s") || found.summary.contains("238 s"),
            "{}",
            found.summary
        );
        assert!(found.summary.contains("Azure"), "{}", found.summary);
    }

    #[test]
    fn bounds_far_apart_or_crossed_mean_no_timer() {
        let limits = Limits::default();
        assert!(find(&ends(&[250, 400, 700], 60), &limits).is_none());
        assert!(find(&ends(&[250, 400, 700], 260), &limits).is_none());
        let refuted = find(&ends(&[352, 355, 361], 900), &limits).unwrap();
        assert_eq!(refuted.confidence, Confidence::Possible);
    }
}
