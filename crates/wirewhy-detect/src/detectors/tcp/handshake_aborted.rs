//! `tcp.handshake-aborted`: the client answers the SYN-ACK with a reset.

use wirewhy_flow::{Connection, EventKind, Side};
use wirewhy_packet::Interval;

use super::resets;
use crate::wording::{socket, span};
use crate::{
    Cause, Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role,
    Rule, Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.handshake-aborted",
    group: Group::Tcp,
    title: "The client reset the connection before it was open",
    severity: Severity::Error,
    means: "The server accepted, and the client answered with a reset in place of the ACK: no socket was waiting any more, or none \
            ever was.",
    recognised: "SYN, SYN-ACK, then a reset of the client, and no ACK between them.",
    look_alikes: "A client that gave up (the SYN-ACK came late), a cancelled connect, a half-open port scan, and a host that never \
                  sent the SYN (its address was forged) look alike; the delay between SYN and SYN-ACK, and many such attempts \
                  from one source, tell them apart. A parallel attempt of the same client that won (happy eyeballs) and health \
                  checks make it a note. A SYN-ACK that acknowledges a wrong number is reset by any client.",
    check_next: &[
        "Compare the delay of the SYN-ACK with the client's connect timeout.",
        "Many of these from one source to many ports: a scan. Many sources to one port: forged addresses.",
    ],
    explained_by: &[
        Cause::IfAsSevere("tcp.port-collision"),
        Cause::IfAsSevere("tcp.probe"),
        Cause::IfAsSevere("rst.stray-segment"),
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::RESET, detect),
};

fn detect(connection: &Connection, _limits: &Limits) -> Option<Finding> {
    let (answer, acceptable) = connection
        .events
        .iter()
        .find_map(|event| match event.kind {
            EventKind::SynAck { acceptable, .. } if event.from == Side::Server => {
                Some((event, acceptable))
            }
            _ => None,
        })?;
    let handshake = &connection.tcp.handshake;
    let (event, reset) =
        resets(connection, Side::Client).find(|(event, _)| event.time >= answer.time)?;
    let opened = handshake.ack.is_some_and(|ack| ack.frame < event.frame);
    let went_on =
        connection.server.counts.payload_packets > 0 || (acceptable != handshake.syn_ack.is_some());
    if opened || went_on {
        return None;
    }
    let waited = handshake.first_syn.map(|syn| answer.time.since(syn.time));
    // A SYN-ACK that comes after the client repeated its SYN, or would have, may find it gone.
    let late = waited.is_some_and(|waited| waited >= Interval::from_secs(1));
    let (role, sure) = match (acceptable, late) {
        (true, true) => (Role::Path, Confidence::Possible),
        (true, false) => (Role::Client, Confidence::Likely),
        (false, _) => (Role::Unknown, Confidence::Possible),
    };
    let client = &connection.client;
    let why = match (acceptable, waited) {
        (false, _) => {
            "; that SYN-ACK does not acknowledge the SYN, so any client must reset it".to_owned()
        }
        (true, Some(waited)) if late => {
            format!(
                "; the SYN-ACK took {}, so the client had probably given up: the path or the server was slow",
                span(waited)
            )
        }
        _ => "; a cancelled attempt, a half-open scan, or a client that never sent that SYN"
            .to_owned(),
    };
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: if acceptable {
            Confidence::Certain
        } else {
            Confidence::Likely
        },
        culprit: Culprit::new(role, (role == Role::Client).then_some(client.address)).at_most(sure),
        summary: format!(
            "{} reset the connection to {} {} after the SYN-ACK instead of confirming it{why}",
            client.address,
            socket(&connection.server),
            span(event.time.since(answer.time)),
        ),
        frames: [
            Some(event.frame),
            Some(answer.frame),
            handshake.first_syn.map(|syn| syn.frame),
        ]
        .into_iter()
        .flatten()
        .collect(),
        facts: Facts::default()
            .with("syn_ack_after_seconds", waited)
            .with("reset_after_seconds", event.time.since(answer.time))
            .with("syn_ack_acceptable", acceptable)
            .with("reset_ttl", reset.ttl)
            .with("syn_ttl", client.ttl.first)
            .with("stage", "syn-ack"),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::Role;
    use crate::testing::{codes, only};

    #[test]
    fn a_half_open_scan() {
        let found = only("0.00 > S 0:0(0)\n 0.05 < SA 0:0(0) ack 1\n 0.06 > R 1:1(0) win 0");
        assert_eq!(
            (found.code, found.culprit.role),
            ("tcp.handshake-aborted", Role::Client)
        );
        assert_eq!(found.frames, [3, 2, 1]);
    }

    #[test]
    fn a_reset_after_the_ack_is_another_matter() {
        let lines = "0.00 > S 0:0(0)\n 0.05 < SA 0:0(0) ack 1\n 0.06 > A 1:1(0) ack 1\n 0.07 > RA 1:1(0) ack 1";
        assert!(!codes(lines).contains(&"tcp.handshake-aborted"));
    }
}
