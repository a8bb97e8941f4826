//! `tcp.accept-queue-full`: the server's kernel has no room for a connection its application does not accept.

use wirewhy_flow::{Connection, EndpointState, Vantage};

use super::syn_acks;
use crate::wording::{count, socket, span};
use crate::{
    Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.accept-queue-full",
    group: Group::Tcp,
    title: "The server ignores the client's confirmation: its accept queue is full",
    severity: Severity::Error,
    means: "The client believes the connection is open and may send its request, but the server keeps offering to open it and \
            acknowledges nothing. Linux does this when the application accepts too slowly and its listen backlog is full.",
    recognised: "The client's final ACK was captured, and the server repeats its SYN-ACK at least twice after it, without acknowledging \
                 any of the client's data.",
    look_alikes: "Seen near the client, a final ACK that is lost further on looks the same: then the confidence is `possible`. A \
                  listener that waits for data (TCP_DEFER_ACCEPT) repeats its SYN-ACK once, when it stops waiting.",
    check_next: &[
        "On the server: ss -ltn shows Recv-Q at or above Send-Q for that port; nstat -az TcpExtListenOverflows TcpExtListenDrops counts up.",
        "Raise the listen backlog and net.core.somaxconn, or find out why the application does not accept.",
        "To settle it from packets: capture on the server and see whether the client's ACKs arrive.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::REPEATED_SYN_ACK, detect),
};

/// Whether the server keeps offering what the client has long confirmed.
pub(crate) fn applies(connection: &Connection, limits: &Limits) -> bool {
    let handshake = &connection.tcp.handshake;
    // A SYN that was sent again may be answered again, and late.
    let answers = handshake.syns.saturating_sub(1);
    handshake.ack.is_some()
        && handshake.syn_acks_after_ack.saturating_sub(answers) >= limits.repeated_syn_acks
}

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    if !applies(connection, limits) {
        return None;
    }
    let handshake = &connection.tcp.handshake;
    let (client, server) = (&connection.client, &connection.server);
    let ack = handshake.ack?;
    let after_ack = syn_acks(connection).filter(|event| event.time > ack.time);
    let recovered = server.counts.payload_packets > 0
        || server.tcp.fin.is_some()
        || (server.tcp.state == EndpointState::Established
            && client
                .tcp
                .isn
                .zip(server.tcp.acknowledged)
                .is_some_and(|(isn, acknowledged)| acknowledged.is_after(isn.advance(1))));
    let vantage = connection.vantage();
    let at_server = vantage == Vantage::ServerSide;
    let severity = if recovered {
        Severity::Warning
    } else {
        Severity::Error
    };
    let stalled = handshake.last_syn_ack.map(|last| last.time.since(ack.time));
    let mut frames = vec![ack.frame];
    frames.extend(after_ack.map(|event| event.frame));
    frames.extend(client.first_payload.map(|payload| payload.frame));
    let reading = if at_server {
        "its accept queue is full"
    } else {
        "its accept queue is full, or the client's ACKs are lost behind the capture point"
    };
    Some(Finding {
        code: RECORD.code,
        severity,
        confidence: if at_server {
            Confidence::Likely
        } else {
            Confidence::Possible
        },
        culprit: Culprit::new(
            if at_server {
                Role::Server
            } else {
                Role::Unknown
            },
            at_server.then_some(server.address),
        ),
        summary: format!(
            "{} sent its SYN-ACK again {} after the client had confirmed, {}{}: {reading}",
            socket(server),
            count(u64::from(handshake.syn_acks_after_ack), "time"),
            if recovered {
                "and took the connection only after "
            } else {
                "and took nothing in "
            },
            span(stalled.unwrap_or_default()),
        ),
        frames,
        facts: Facts::default()
            .with("syn_acks_after_ack", handshake.syn_acks_after_ack)
            .with("stalled_seconds", stalled)
            .with("client_payload_bytes", client.counts.payload_bytes)
            .with("recovered", recovered)
            .with("vantage", vantage.name())
            .with("stage", connection.stage().name()),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{codes, diagnosis};
    use crate::{Confidence, Role, Severity};

    const STALLED: &str = "0.000 > S 0:0(0)
         0.001 < SA 0:0(0) ack 1
         0.030 > A 1:1(0) ack 1
         0.031 > PA 1:101(100) ack 1
         0.300 > PA 1:101(100) ack 1
         1.030 < SA 0:0(0) ack 1
         1.060 > A 101:101(0) ack 1
         3.050 < SA 0:0(0) ack 1
         3.080 > A 101:101(0) ack 1
         7.000 end";

    #[test]
    fn near_the_server_it_is_the_server() {
        let diagnosis = diagnosis(&format!("client ttl 57\n server ttl 64\n {STALLED}"));
        let root = diagnosis.root_cause().unwrap();
        assert_eq!(
            (root.code, root.severity),
            ("tcp.accept-queue-full", Severity::Error)
        );
        assert_eq!(
            (root.confidence, root.culprit.role),
            (Confidence::Likely, Role::Server)
        );
    }

    #[test]
    fn late_answers_to_repeated_syns_are_no_full_queue() {
        let codes = codes(
            "0.000 > S 0:0(0)
             1.000 > S 0:0(0)
             3.000 > S 0:0(0)
             3.500 < SA 0:0(0) ack 1
             3.501 > A 1:1(0) ack 1
             3.510 < SA 0:0(0) ack 1
             3.511 > A 1:1(0) ack 1
             3.520 < SA 0:0(0) ack 1
             3.521 > A 1:1(0) ack 1
             3.600 > FA 1:1(0) ack 1
             4.100 < FA 1:1(0) ack 2
             4.101 > A 2:2(0) ack 2",
        );
        assert!(!codes.contains(&"tcp.accept-queue-full"), "{codes:?}");
    }

    #[test]
    fn near_the_client_a_lost_ack_looks_the_same() {
        let diagnosis = diagnosis(STALLED);
        let root = diagnosis.root_cause().unwrap();
        assert_eq!(root.code, "tcp.accept-queue-full");
        assert_eq!(
            (root.confidence, root.culprit.role),
            (Confidence::Possible, Role::Unknown)
        );
    }

    #[test]
    fn one_lost_ack_is_not_a_full_queue() {
        let codes = codes(
            "0.000 > S 0:0(0)
             0.001 < SA 0:0(0) ack 1
             0.030 > A 1:1(0) ack 1
             1.030 < SA 0:0(0) ack 1
             1.060 > A 1:1(0) ack 1
             1.100 > PA 1:101(100) ack 1
             1.150 < A 1:1(0) ack 101
             1.200 > FA 101:101(0) ack 1
             1.250 < FA 1:1(0) ack 102
             1.300 > A 102:102(0) ack 2",
        );
        assert_eq!(codes, ["tcp.syn-retransmitted"]);
    }

    #[test]
    fn a_listener_that_waits_for_data_repeats_itself_once() {
        let codes = codes(
            "0.000 > S 0:0(0)
             0.001 < SA 0:0(0) ack 1
             0.030 > A 1:1(0) ack 1
             31.03 < SA 0:0(0) ack 1
             31.06 > A 1:1(0) ack 1
             40.00 end",
        );
        assert!(codes.is_empty());
    }
}
