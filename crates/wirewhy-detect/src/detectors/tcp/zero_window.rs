//! `tcp.zero-window`: the receiver lets nothing more in.

use wirewhy_flow::{Connection, EndpointState, EventKind, Interval, Side};

use super::resets;
use crate::wording::{count, socket, span};
use crate::{
    Cause, Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role,
    Rule, Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.zero-window",
    group: Group::Tcp,
    title: "The receiver stopped reading: its window is closed",
    severity: Severity::Error,
    means: "The application on one side does not read what its kernel has received. The kernel's buffer is full, it closes the window, and \
            the other side must wait. The network is not at fault.",
    recognised: "Acknowledgements with a window of 0, for longer than 1 s in all; a warning where the window opens again, an error where the \
                 connection ends with it closed.",
    look_alikes: "A slow path shows full windows in flight, not closed ones. A window of 0 in a reset or behind a FIN means nothing.",
    check_next: &[
        "On the receiving host: ss -tmi shows Recv-Q full; what is that process doing (stack, CPU, disk, a lock)?",
        "Is the receiver itself waiting for something behind it, such as a database or a slow consumer?",
    ],
    explained_by: &[
        Cause::IfAsSevere("tcp.backend-unreachable"),
        Cause::IfAsSevere("tcp.keepalive-unanswered"),
        Cause::Always("tcp.window-scale-mismatch"),
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::TROUBLE, detect),
};

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let closed_for = |side: Side| {
        let window = connection.side(side).tcp.trouble()?.window;
        let still = window.closed_since.map_or(Interval::ZERO, |since| {
            // Closed as long as anybody still waits for it.
            connection.last.time.since(since.time)
        });
        Some(window.total + still + unheard(connection, side))
    };
    let side = [Side::Client, Side::Server]
        .into_iter()
        .max_by_key(|side| closed_for(*side))?;
    let total = closed_for(side)?;
    let receiver = connection.side(side);
    let sender = connection.side(side.other());
    let window = receiver.tcp.trouble()?.window;
    if total < limits.zero_window {
        return None;
    }
    let reset = connection
        .events
        .iter()
        .any(|event| matches!(event.kind, EventKind::Reset(_)));
    let abandoned = window.closed_since.is_some()
        && (reset || matches!(sender.tcp.state, EndpointState::Closing { .. }));
    let probes = sender
        .tcp
        .trouble()
        .map_or(0, |trouble| trouble.window_probes);
    let answered = match probes {
        0 => String::new(),
        _ if sender
            .tcp
            .trouble()
            .is_some_and(|trouble| trouble.unanswered_window_probes.count > 0) =>
        {
            format!(
                "; {} went out, the last of them without an answer",
                count(u64::from(probes), "probe")
            )
        }
        _ => format!("; it answered {}", count(u64::from(probes), "probe")),
    };
    let role = if side == Side::Client {
        Role::Client
    } else {
        Role::Server
    };
    Some(Finding {
        code: RECORD.code,
        severity: if abandoned {
            Severity::Error
        } else {
            Severity::Warning
        },
        confidence: Confidence::Certain,
        culprit: Culprit::new(role, receiver.address),
        summary: format!(
            "{} closed its window {} for {} in all: its application does not read{answered}{}",
            socket(receiver),
            count(u64::from(window.episodes), "time"),
            span(total),
            end(connection, side, abandoned),
        ),
        frames: [window.closed_since, window.first]
            .into_iter()
            .flatten()
            .map(|mark| mark.frame)
            .collect(),
        facts: Facts::default()
            .with("receiver", side.name())
            .with("episodes", window.episodes)
            .with("closed_seconds", total)
            .with("window_probes", probes)
            .with("closed_at_end", window.closed_since.is_some())
            .with("largest_window_bytes", receiver.tcp.max_window),
        consequence_of: None,
    })
}

/// How the stall ended.
fn end(connection: &Connection, side: Side, abandoned: bool) -> String {
    let sender = connection.side(side.other());
    let trouble = connection.side(side).tcp.trouble();
    let Some(window) = trouble.map(|trouble| trouble.window) else {
        return String::new();
    };
    if abandoned {
        return ", and the connection ended that way".to_owned();
    }
    if window.closed_since.is_some() {
        return if connection.is_ongoing() {
            "; it is still closed".to_owned()
        } else {
            "; it was still closed when the capture ended".to_owned()
        };
    }
    let went_on = window
        .reopened
        .zip(sender.last_payload)
        .is_some_and(|(reopened, sent)| sent.time > reopened.time);
    let waited = unheard(connection, side);
    match (went_on, window.reopened) {
        (true, _) => "; it went on afterwards".to_owned(),
        (false, Some(reopened)) if waited > Interval::ZERO => format!(
            "; it opened again in frame {}, but {} sent nothing more and reset the connection {} later, as if that had never arrived",
            reopened.frame,
            socket(sender),
            span(waited),
        ),
        (false, _) => "; it opened again, and nothing more was sent".to_owned(),
    }
}

/// How long the sender waited on although the window was open again: it never sent a byte more, and reset.
fn unheard(connection: &Connection, side: Side) -> Interval {
    let sender = connection.side(side.other());
    let window = connection
        .side(side)
        .tcp
        .trouble()
        .map(|trouble| trouble.window);
    let Some(reopened) =
        window.and_then(|window| window.reopened.filter(|_| window.closed_since.is_none()))
    else {
        return Interval::ZERO;
    };
    let went_on = sender
        .last_payload
        .or(sender.tcp.fin)
        .is_some_and(|sent| sent.time > reopened.time);
    let gave_up = resets(connection, side.other()).next();
    match gave_up {
        Some((event, _)) if !went_on && sender.tcp.fin.is_none() => {
            event.time.since(reopened.time).max(Interval::ZERO)
        }
        _ => Interval::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{codes, diagnosis};
    use crate::{Role, Severity};

    const OPEN: &str = "0.00 > S 0:0(0)
         0.02 < SA 0:0(0) ack 1
         0.03 > A 1:1(0) ack 1
         0.04 > A 1:1001(1000) ack 1
         0.06 < A 1:1(0) ack 1001 win 0";

    #[test]
    fn a_receiver_that_reads_on_after_three_seconds() {
        let diagnosis = diagnosis(&format!(
            "{OPEN}
             0.30 > A 1000:1000(0) ack 1
             0.32 < A 1:1(0) ack 1001 win 0
             3.10 < A 1:1(0) ack 1001 win 9000
             3.12 > FA 1001:1001(0) ack 1
             3.14 < FA 1:1(0) ack 1002
             3.16 > A 1002:1002(0) ack 2"
        ));
        let root = diagnosis.root_cause().unwrap();
        assert_eq!(
            (root.code, root.severity, root.culprit.role),
            ("tcp.zero-window", Severity::Warning, Role::Server)
        );
    }

    #[test]
    fn an_update_that_never_arrived_lasts_until_the_sender_gives_up() {
        let diagnosis = diagnosis(&format!(
            "{OPEN}
             3.10 < A 1:1(0) ack 1001 win 9000
             300.0 > RA 1001:1001(0) ack 1"
        ));
        let found = diagnosis
            .findings
            .iter()
            .find(|found| found.code == "tcp.zero-window")
            .unwrap();
        assert!(
            found.summary.contains("for 300 s in all"),
            "{}",
            found.summary
        );
        assert!(!found.summary.contains("it went on"), "{}", found.summary);
    }

    #[test]
    fn a_window_of_zero_in_the_syn_ack_is_closed() {
        let diagnosis = diagnosis(
            "0.00 > S 0:0(0)
             0.02 < SA 0:0(0) ack 1 win 0
             0.03 > A 1:1(0) ack 1
             5.00 < A 1:1(0) ack 1 win 9000
             5.02 > PA 1:11(10) ack 1
             5.04 < PA 1:11(10) ack 11
             5.06 > FA 11:11(0) ack 11
             5.08 < FA 11:11(0) ack 12
             5.10 > A 12:12(0) ack 12",
        );
        let root = diagnosis.root_cause().unwrap();
        assert_eq!(
            (root.code, root.severity),
            ("tcp.zero-window", Severity::Warning)
        );
    }

    #[test]
    fn a_pause_of_a_blink_is_nothing() {
        let codes = codes(&format!(
            "{OPEN}
             0.30 < A 1:1(0) ack 1001 win 9000
             0.40 > FA 1001:1001(0) ack 1
             0.42 < FA 1:1(0) ack 1002
             0.44 > A 1002:1002(0) ack 2"
        ));
        assert!(codes.is_empty());
    }

    #[test]
    fn a_closed_window_behind_a_fin_limits_nobody() {
        let codes = codes(
            "0.00 > S 0:0(0)
             0.02 < SA 0:0(0) ack 1
             0.03 > A 1:1(0) ack 1
             0.04 > FA 1:1(0) ack 1 win 0
             0.06 < A 1:1(0) ack 2
             5.00 < FA 1:1(0) ack 2
             5.02 > A 2:2(0) ack 2 win 0",
        );
        assert!(codes.is_empty());
    }
}
