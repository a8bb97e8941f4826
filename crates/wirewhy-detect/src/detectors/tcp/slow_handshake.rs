//! `tcp.slow-handshake`: accepted at the first try, but late.

use wirewhy_flow::{Connection, Vantage};

use crate::wording::{socket, span};
use crate::{
    Cause, Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role,
    Rule, Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.slow-handshake",
    group: Group::Tcp,
    title: "The server took long to accept",
    severity: Severity::Warning,
    means: "One SYN, one SYN-ACK, and more than a second between them: nothing was lost, but the path or the server is slow.",
    recognised: "SYN to SYN-ACK above the threshold (1 s), with neither of them sent twice.",
    look_alikes: "A lost SYN costs the same second, but shows the second SYN: tcp.syn-retransmitted. A kernel answers a SYN at once \
                  even when the application is slow, so look at the path and at devices that answer for the host first.",
    check_next: &[
        "Compare with other connections to that host: always slow is distance or a queue, sometimes slow is load.",
        "Look for full queues on the path (mtr) and for a proxy or balancer that wakes its back end first.",
    ],
    explained_by: &[Cause::Always("tcp.slow-path")],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::SLOW_OPENING, detect),
};

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let handshake = &connection.tcp.handshake;
    let took = connection.round_trip().to_server?;
    let opened = handshake.ack.is_some() && handshake.syns == 1 && handshake.syn_acks == 1;
    if !opened || took <= limits.slow_handshake {
        return None;
    }
    let vantage = connection.vantage();
    let at_server = vantage == Vantage::ServerSide;
    let server = &connection.server;
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Warning,
        confidence: Confidence::Likely,
        culprit: Culprit::new(
            if at_server {
                Role::Server
            } else {
                Role::Unknown
            },
            at_server.then_some(server.address),
        ),
        summary: format!(
            "{} took {} to answer the SYN, with nothing lost{}",
            socket(server),
            span(took),
            if at_server {
                "; measured on its own side"
            } else {
                "; the path or the server is slow"
            },
        ),
        frames: [handshake.syn_ack, handshake.first_syn]
            .into_iter()
            .flatten()
            .map(|mark| mark.frame)
            .collect(),
        facts: Facts::default()
            .with("to_server_seconds", took)
            .with("to_client_seconds", connection.round_trip().to_client)
            .with("threshold_seconds", limits.slow_handshake)
            .with("vantage", vantage.name()),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::codes;

    #[test]
    fn one_and_a_half_seconds() {
        let codes =
            codes("0.0 > S 0:0(0)\n 1.5 < SA 0:0(0) ack 1\n 1.6 > A 1:1(0) ack 1\n 2.0 end");
        assert_eq!(codes, ["tcp.slow-handshake"]);
    }

    #[test]
    fn a_satellite_is_not_slow() {
        let codes =
            codes("0.0 > S 0:0(0)\n 0.7 < SA 0:0(0) ack 1\n 1.4 > A 1:1(0) ack 1\n 2.0 end");
        assert!(codes.is_empty());
    }
}
