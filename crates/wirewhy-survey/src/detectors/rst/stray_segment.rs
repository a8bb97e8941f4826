//! `rst.stray-segment`: a segment from the wrong address was reset.

use std::net::IpAddr;

use wirewhy_flow::{Connection, EventKind, Mark, Side};
use wirewhy_packet::Seq;

use crate::rule::{Rule, SurveyDetector};
use wirewhy_detect::wording::{socket, socket_of};
use wirewhy_detect::{
    Confidence, Culprit, Facts, Finding, Group, Record, Reportable, Role, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "rst.stray-segment",
    group: Group::Reset,
    title: "A reset answered a segment that came from the wrong address",
    severity: Severity::Error,
    means: "A segment of this connection reached the client from another address than the one it talks to: a device on the path did not \
            translate it back. The client knows no connection with that address and resets it; the reset carries the right numbers and may end \
            the real one.",
    recognised: "A segment that opens no connection, with the client's port and sequence numbers that belong to a connection the client keeps \
                 with another address, and the client's bare reset in answer; or a SYN-ACK that acknowledges the SYN of an attempt at \
                 another address.",
    look_alikes: "A late segment of an older connection has numbers that fit none.",
    check_next: &[
        "On the translating host (kube-proxy, a NAT): is the segment INVALID to its connection tracking and passed on untranslated?",
        "Drop INVALID there, or set net.netfilter.nf_conntrack_tcp_be_liberal=1.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Connection,
};

/// A segment of no connection that the client reset.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Stray {
    /// Where it was sent to.
    pub(crate) client: (IpAddr, u16),
    /// Where it came from.
    pub(crate) server: (IpAddr, u16),
    /// Its frame and time.
    pub(crate) segment: Mark,
    /// Its first sequence number, or that of the reset in answer.
    pub(crate) seq: Seq,
    /// The client's reset.
    pub(crate) reset: Mark,
}

impl Stray {
    /// What a connection is that was joined late, holds segments of one side, and bare resets of the other in answer.
    pub(crate) fn of(connection: &Connection) -> Option<Stray> {
        let opened = connection.tcp.handshake.syns + connection.tcp.handshake.syn_acks > 0;
        let (sender, event, reset) =
            connection
                .events
                .iter()
                .find_map(|event| match &event.kind {
                    EventKind::Reset(reset) if reset.ack.is_none() => {
                        Some((event.from.other(), event, reset))
                    }
                    _ => None,
                })?;
        let silent = connection.side(event.from);
        let only_resets = silent.counts.packets == u64::from(silent.tcp.counts.resets);
        let source = connection.side(sender);
        let segment = source.first_payload?;
        // Whichever side was taken for the client: the one that resets is the one that was addressed.
        (!opened && only_resets).then(|| Stray {
            client: (silent.address, silent.port),
            server: (source.address, source.port),
            segment,
            seq: reset.peer_next.unwrap_or(reset.seq),
            reset: event.mark(),
        })
    }
}

/// A SYN-ACK that the client reset, in a stream of its own.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct StrayAnswer {
    /// Where it was sent to.
    pub(crate) client: (IpAddr, u16),
    /// Where it came from.
    pub(crate) server: (IpAddr, u16),
    /// The number it acknowledges.
    pub(crate) ack: Seq,
    answer: Mark,
    reset: Mark,
}

impl StrayAnswer {
    /// What a connection is in which a SYN-ACK was answered by the bare reset of a host that does not expect it.
    pub(crate) fn of(connection: &Connection) -> Option<StrayAnswer> {
        let (client, server) = (&connection.client, &connection.server);
        if connection.tcp.handshake.ack.is_some() || client.tcp.counts.resets == 0 {
            return None;
        }
        let (answer, ack) = connection
            .events
            .iter()
            .find_map(|event| match event.kind {
                EventKind::SynAck { ack, .. } if event.from == Side::Server => {
                    Some((event.mark(), ack))
                }
                _ => None,
            })?;
        let reset = connection.events.iter().find(|event| match &event.kind {
            EventKind::Reset(reset) => {
                event.from == Side::Client && reset.ack.is_none() && reset.seq == ack
            }
            _ => false,
        })?;
        Some(StrayAnswer {
            client: (client.address, client.port),
            server: (server.address, server.port),
            ack,
            answer,
            reset: reset.mark(),
        })
    }
}

/// The finding about an attempt whose answer came from another address, and about the stream that answer stands in.
pub(crate) fn finding_of_answer(asked: (IpAddr, u16), stray: &StrayAnswer) -> Finding {
    let (address, port) = stray.server;
    Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit: Culprit::from(Role::Path),
        summary: format!(
            "the SYN-ACK to the attempt at {} came from {} and was reset: an address that was not translated back",
            socket_of(asked.0, asked.1),
            socket_of(address, port),
        ),
        frames: vec![stray.answer.frame, stray.reset.frame],
        facts: Facts::default()
            .with("stray_address", address)
            .with("stray_port", port)
            .with("reset_frame", stray.reset.frame)
            .with("stage", "syn"),
        consequence_of: None,
    }
}

/// The finding about the connection a stray segment belongs to.
pub(crate) fn finding(connection: &Connection, stray: &Stray) -> Finding {
    let (address, port) = stray.server;
    Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit: Culprit::from(Role::Path),
        summary: format!(
            "a segment of the connection to {} came from {} and was reset: an address that was not translated back",
            socket(connection.side(Side::Server)),
            socket_of(address, port),
        ),
        frames: vec![stray.segment.frame, stray.reset.frame],
        facts: Facts::default()
            .with("stray_address", address)
            .with("stray_port", port)
            .with("reset_frame", stray.reset.frame)
            .with("stage", connection.stage().name()),
        consequence_of: None,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::diagnose_all;

    fn root(seq: u32) -> &'static str {
        let end = seq + 10;
        let diagnosis = diagnose_all(&format!(
            "#1 client 192.0.2.1:40000
             #2 client 192.0.2.1:40000
             #2 server 203.0.113.9:80
             0.00 #1 > S 0:0(0)
             0.02 #1 < SA 0:0(0) ack 1
             0.03 #1 > A 1:1(0) ack 1
             0.04 #1 > PA 1:11(10) ack 1
             0.06 #2 < PA {seq}:{end}(10) ack 11
             0.061 #2 > R 11:11(0) win 0
             0.30 #1 > PA 1:11(10) ack 1
             0.32 #1 < R 1:1(0) win 0"
        ));
        diagnosis
            .iter()
            .find(|diagnosis| diagnosis.connection.stream == 0)
            .unwrap()
            .root_cause()
            .unwrap()
            .code
    }

    #[test]
    fn the_answer_came_from_behind_the_translation() {
        assert_eq!(root(1), "rst.stray-segment");
    }

    /// An attempt without an answer, and a SYN-ACK from another address that acknowledges `acknowledged`.
    fn roots_of_attempt(acknowledged: u32) -> Vec<&'static str> {
        diagnose_all(&format!(
            "#1 client 192.0.2.1:40000
             #2 client 192.0.2.1:40000
             #2 server 203.0.113.9:80
             0.00 #1 > S 0:0(0)
             0.02 #2 < SA 0:0(0) ack {acknowledged}
             0.03 #2 > R {acknowledged}:{acknowledged}(0) win 0
             9.00 end"
        ))
        .iter()
        .map(|diagnosis| diagnosis.root_cause().unwrap().code)
        .collect()
    }

    #[test]
    fn the_answer_to_an_attempt_came_from_another_address() {
        assert_eq!(roots_of_attempt(1), ["rst.stray-segment"; 2]);
        let other = roots_of_attempt(2_000_000_000);
        assert_eq!(other, ["tcp.syn-unanswered", "tcp.handshake-aborted"]);
    }

    #[test]
    fn numbers_that_fit_no_connection_are_of_another() {
        assert_eq!(root(2_000_000_000), "rst.no-connection");
    }
}
