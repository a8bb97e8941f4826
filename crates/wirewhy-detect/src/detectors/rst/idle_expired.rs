//! `rst.idle-expired`: forgotten over an idle time.

use wirewhy_flow::Interval;

use super::finding;
use crate::causes::CONVERSATION;
use crate::resets::{Reason, Resets, origin};
use crate::timers::known;
use crate::wording::{socket, span};
use crate::{
    Cause, Confidence, Culprit, Detector, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "rst.idle-expired",
    group: Group::Reset,
    title: "An idle connection had been forgotten",
    severity: Severity::Error,
    means: "The connection was idle for a while; the first packet after it was answered by a reset, or it was reset out of the blue. A NAT, \
            firewall or balancer on the way, or a limit of the host itself, had dropped it.",
    recognised: "At least 15 s of silence, then a packet and the bare reset of a device that does not know the connection; or a reset with \
                 nothing outstanding after such a silence.",
    look_alikes: "Without the silence the host itself lost the connection: rst.no-connection. A device that drops without a word: \
                  tcp.peer-vanished, with the idle time in its facts.",
    check_next: &[
        "Compare the idle time with the timers of every device on the path, and with host.idle-timer if it is reported.",
        "Send keep-alives more often than that (net.ipv4.tcp_keepalive_time with SO_KEEPALIVE, or the pool's own check).",
        "Close idle connections of the pool sooner than the device forgets them.",
    ],
    explained_by: &[
        Cause::IfAsSevere("rst.stray-segment"),
        Cause::IfAsSevere("ftp.control-lost"),
        CONVERSATION,
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Resets(detect),
};

/// How long the connection had been idle before the reset.
pub(crate) fn idle(resets: &Resets<'_>) -> Option<Interval> {
    let (first, _) = resets.because_of(Reason::IdleExpired)?;
    first.reset.before.idle
}

fn detect(resets: &Resets<'_>, limits: &Limits) -> Option<Finding> {
    let (first, all) = resets.because_of(Reason::IdleExpired)?;
    let connection = resets.connection;
    let idle = first.reset.before.idle?;
    let answers = first.reset.unacknowledged_peer > 0;
    let both = all.iter().any(|other| other.event.from != first.event.from);
    let nearer = origin(connection, first.event, first.reset, limits).hops_nearer;
    let own = connection.side(first.event.from);
    let (role, reading) = match (nearer, both) {
        (Some(hops), _) => (
            Role::Path,
            format!("; the reset came from {hops} hop(s) nearer than that host"),
        ),
        (None, true) => (Role::Path, "; both sides were reset".to_owned()),
        (None, false) => (Role::Unknown, String::new()),
    };
    let timer = known(idle);
    let severity = if answers {
        Severity::Error
    } else {
        Severity::Note
    };
    let found = finding(RECORD.code, severity, (&first, &all), connection, limits);
    Some(Finding {
        confidence: if role == Role::Path {
            Confidence::Likely
        } else {
            Confidence::Possible
        },
        culprit: Culprit::from(role),
        summary: format!(
            "after {} of silence {} a reset in the name of {}{reading}{}",
            span(idle),
            if answers {
                "the next packet was answered by"
            } else {
                "the connection was ended by"
            },
            socket(own),
            timer.map_or(String::new(), |name| format!("; about the limit of {name}")),
        ),
        facts: found
            .facts
            .clone()
            .with("idle_before_seconds", idle)
            .with("known_timer", timer),
        ..found
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::USED;
    use crate::testing::{codes, only};
    use crate::{Role, Severity};

    #[test]
    fn a_device_on_the_way_forgot_it() {
        let found = only(&format!(
            "{USED}\n 360.0 > PA 11:21(10) ack 11\n 360.01 < R 11:11(0) win 0 id 0 ttl 61"
        ));
        assert_eq!(
            (found.code, found.severity, found.culprit.role),
            ("rst.idle-expired", Severity::Error, Role::Path)
        );
    }

    #[test]
    fn unprompted_with_nothing_outstanding_is_a_note() {
        let found = only(&format!("{USED}\n 60.0 < RA 11:11(0) ack 11"));
        assert_eq!(
            (found.code, found.severity),
            ("rst.idle-expired", Severity::Note)
        );
    }

    #[test]
    fn ten_seconds_are_no_idle_time() {
        let codes = codes(&format!(
            "{USED}\n 10.0 > PA 11:21(10) ack 11\n 10.02 < R 11:11(0) win 0 id 0"
        ));
        assert_eq!(codes, ["rst.no-connection"]);
    }
}
