//! `tcp.stale-connection`: the server still holds the connection that used these ports before.

use wirewhy_flow::{Connection, EventKind, Side};

use super::{resets, syns};
use crate::wording::{socket, span};
use crate::{
    Cause, Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role,
    Rule, Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.stale-connection",
    group: Group::Tcp,
    title: "The SYN got a challenge ACK: the server still has an older connection",
    severity: Severity::Error,
    means: "The client asks for a new connection from a port the server believes to be in an older one. The server answers with \
            the numbers of that one; the client has to reset it before it can open anew. Typical after a client restarts \
            without closing, or when a NAT gives out a port again too soon.",
    recognised: "A SYN answered by an ACK without SYN that does not acknowledge it (RFC 9293 section 3.10.7.4, RFC 5961 section 4), \
                 usually followed by a reset of the client with exactly that number and another SYN.",
    look_alikes: "A FIN or data of the older connection that arrives now is no answer to the SYN. A late ACK of the older connection that crosses the new SYN looks the same once, and does no harm. Where the \
                  client's reset never helps, something on the way drops it.",
    check_next: &[
        "Look for the older connection on these ports in the capture, and for who left it without closing.",
        "Behind a NAT: does it give out ports again sooner than the server forgets them (TIME-WAIT 60 s)?",
        "Where it never opens: is the client's reset dropped on the way (firewall, conntrack INVALID)?",
    ],
    explained_by: &[Cause::Always("tcp.port-collision")],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::UNRELATED_ACK, detect),
};

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let (answer, seq, ack) = connection
        .events
        .iter()
        .find_map(|event| match event.kind {
            EventKind::UnrelatedAck {
                seq,
                ack,
                empty: true,
            } if event.from == Side::Server => Some((event, seq, ack)),
            _ => None,
        })?;
    let answers = connection
        .events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::UnrelatedAck { empty: true, .. }))
        .count();
    let handshake = &connection.tcp.handshake;
    let rejected = resets(connection, Side::Client)
        .find(|(event, reset)| event.time >= answer.time && reset.seq == ack);
    let asked_again = syns(connection).any(|syn| syn.time > answer.time);
    let opened = handshake.syn_ack.is_some();
    let waited_long = connection.heard_after(answer.time) >= limits.silence;
    // A late ACK of the older connection does no harm: the SYN is answered all the same, without being repeated.
    if !(rejected.is_some() || asked_again || (!opened && waited_long)) {
        return None;
    }
    let lost = handshake
        .syn_ack
        .zip(handshake.first_syn)
        .map(|(accepted, asked)| accepted.time.since(asked.time));
    let outcome = match (lost, rejected.is_some()) {
        (Some(lost), _) => format!("it opened after {}", span(lost)),
        (None, true) => {
            "this attempt did not open, although the client reset the older one".to_owned()
        }
        (None, false) => "this attempt did not open".to_owned(),
    };
    let frames = [
        Some(answer.frame),
        handshake.first_syn.map(|syn| syn.frame),
        rejected.map(|(event, _)| event.frame),
    ];
    Some(Finding {
        code: RECORD.code,
        severity: if opened {
            Severity::Warning
        } else {
            Severity::Error
        },
        // A host that acknowledges nothing, with the number of the SYN itself, need not hold anything.
        confidence: if rejected.is_some() && connection.client.tcp.isn != Some(ack) {
            Confidence::Certain
        } else {
            Confidence::Likely
        },
        culprit: Culprit::new(Role::Server, connection.server.address),
        summary: format!(
            "{} answered the SYN from port {} with the numbers of an older connection it still holds; {outcome}",
            socket(&connection.server),
            connection.client.port,
        ),
        frames: frames.into_iter().flatten().collect(),
        facts: Facts::default()
            .with("answers", u64::try_from(answers).unwrap_or(u64::MAX))
            .with("answer_seq", seq.0)
            .with("answer_ack", ack.0)
            .with("client_reset_it", rejected.is_some())
            .with("earlier_stream", connection.host_context.earlier_stream)
            .with("attempts", handshake.syns)
            .with("lost_seconds", lost)
            .with("stage", "syn"),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{codes, diagnosis};
    use crate::{Confidence, Outcome, Severity};

    const RECOVERS: &str = "0.000 > S 0:0(0)
         0.010 < A 70000:70000(0) ack 90000
         0.011 > R 90000:90000(0) win 0
         0.013 > S 0:0(0)
         0.020 < SA 0:0(0) ack 1
         0.030 > A 1:1(0) ack 1
         0.100 > FA 1:1(0) ack 1
         0.110 < FA 1:1(0) ack 2
         0.120 > A 2:2(0) ack 2";

    #[test]
    fn reset_and_opened_anew() {
        let diagnosis = diagnosis(RECOVERS);
        let root = diagnosis.root_cause().unwrap();
        assert_eq!(
            (root.code, root.severity),
            ("tcp.stale-connection", Severity::Warning)
        );
        assert_eq!(diagnosis.outcome(), Outcome::Degraded);
        let retried = diagnosis
            .findings
            .iter()
            .find(|found| found.code == "tcp.syn-retransmitted");
        assert_eq!(
            retried.unwrap().consequence_of,
            Some("tcp.stale-connection")
        );
    }

    #[test]
    fn an_ack_of_nothing_is_less_sure() {
        let sure = |ack: u32| {
            diagnosis(&format!(
                "0.00 > S 0:0(0)
                 0.01 < A 70000:70000(0) ack {ack}
                 0.02 > R {ack}:{ack}(0) win 0
                 6.00 end"
            ))
            .root_cause()
            .unwrap()
            .confidence
        };
        assert_eq!(sure(90_000), Confidence::Certain);
        assert_eq!(sure(0), Confidence::Likely);
    }

    #[test]
    fn never_opened() {
        let lines = "0.00 > S 0:0(0)
             0.01 < A 70000:70000(0) ack 90000
             1.01 > S 0:0(0)
             1.02 < A 70000:70000(0) ack 90000
             6.00 end";
        assert_eq!(codes(lines), ["tcp.stale-connection"]);
    }

    #[test]
    fn a_late_ack_that_crosses_the_syn_does_no_harm() {
        let lines = "0.000 > S 0:0(0)
             0.005 < A 70000:70000(0) ack 90000
             0.010 < SA 0:0(0) ack 1
             0.020 > A 1:1(0) ack 1
             0.100 > FA 1:1(0) ack 1
             0.110 < FA 1:1(0) ack 2
             0.120 > A 2:2(0) ack 2";
        assert!(codes(lines).is_empty());
    }
}
