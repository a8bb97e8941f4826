//! `tcp.one-way-path`: what one side sends is not acknowledged for good, while the other side still speaks.

use wirewhy_flow::{Connection, EndpointState, Mark, Side, Stuck, Vantage};

use super::path_mtu;
use crate::wording::{count, socket, span};
use crate::{
    Cause, Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role,
    Rule, Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.one-way-path",
    group: Group::Tcp,
    title: "The path works in one direction only",
    severity: Severity::Error,
    means: "The connection worked, then what one side sends no longer arrives, while the other side's packets still do. Typical is a firewall \
            that sees half of the connection because the two directions take different routes: it knows no such connection, or forgets it \
            after half a minute, and drops.",
    recognised: "A small segment sent at least three times over a second or more and never acknowledged, while data or repetitions of the \
                 other side arrive for 3 s and more behind its first repetition, with an acknowledgement number that stands still.",
    look_alikes: "Where nothing comes back at all, or in the end nothing any more: tcp.peer-vanished. Only large segments unacknowledged: tcp.mtu-blackhole. A server that \
                  repeats its SYN-ACK has not seen the end of the handshake: tcp.accept-queue-full. Segments that arrive \
                  damaged: tcp.checksum-drop.",
    check_next: &[
        "Compare the routes of both directions (traceroute from both ends): does a firewall see only one of them?",
        "On the firewall: look for state mismatches, out-of-state drops and \"invalid\" packets of this connection.",
        "Do all connections die after the same time? Then it is a timer for half-open states.",
    ],
    explained_by: &[
        Cause::IfAsSevere("tcp.unreachable"),
        Cause::IfAsSevere("tcp.checksum-drop"),
    ],
    reportable: Reportable::Unanswered,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::TROUBLE, detect),
};

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    [Side::Client, Side::Server].into_iter().find_map(|from| {
        let (stuck, spoke) = one_way(connection, from, limits)?;
        Some(finding(connection, from, &stuck, spoke))
    })
}

/// The segment of `from` that never got across, and the latest word of the other side that did.
fn one_way(connection: &Connection, from: Side, limits: &Limits) -> Option<(Stuck, Mark)> {
    let (own, peer) = (connection.side(from), connection.side(from.other()));
    let stuck = own.tcp.trouble()?.stuck?;
    let again = stuck.sent >= limits.unanswered_retransmissions
        && stuck.last.time.since(stuck.first.time) >= limits.unanswered_span;
    if stuck.acknowledged.is_some() || !again || stuck.largest >= limits.large_packet_bytes {
        return None;
    }
    // The server has seen the end of the handshake, and takes what arrives.
    let unconfirmed = connection.tcp.handshake.syn_acks_after_ack > 0 || !connection.is_open();
    if unconfirmed || peer.tcp.window == 0 || peer.tcp.state == EndpointState::Reset {
        return None;
    }
    if path_mtu::black_hole(connection, from, limits).is_some() {
        return None;
    }
    // Its own bytes, not the answers that a segment of `from` draws where it arrives.
    let sends = [peer.last_payload, peer.tcp.fin]
        .into_iter()
        .flatten()
        .any(|mark| mark.time > stuck.first.time)
        || (peer.tcp.counts.retransmissions > 0 && peer.tcp.counts.duplicate_acks == 0);
    let spoke = peer.last?;
    let heard = spoke.time.since(stuck.first.time);
    // A side that hears nothing repeats itself with back-off, each time after about as long as it has repeated itself so far.
    let silent = connection.heard_after(spoke.time);
    let still = silent <= heard + heard;
    (sends && still && heard >= limits.silence).then_some((stuck, spoke))
}

fn finding(connection: &Connection, from: Side, stuck: &Stuck, spoke: Mark) -> Finding {
    let (own, peer) = (connection.side(from), connection.side(from.other()));
    let near_peer = match from {
        Side::Client => Vantage::ServerSide,
        Side::Server => Vantage::ClientSide,
    };
    // Seen next to the side that does not acknowledge, it has arrived: its own filter may drop it.
    let culprit = if connection.vantage() == near_peer {
        Culprit::new(Role::Unknown, None)
    } else {
        Culprit::new(Role::Path, None).at_most(Confidence::Likely)
    };
    let heard = spoke.time.since(stuck.first.time);
    Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit,
        summary: format!(
            "{} sent a segment {} over {} and it was never acknowledged, although packets of {} still arrived {} later: only one \
             direction works",
            socket(own),
            count(u64::from(stuck.sent), "time"),
            span(stuck.last.time.since(stuck.first.time)),
            socket(peer),
            span(heard),
        ),
        frames: vec![stuck.last.frame, stuck.first.frame, spoke.frame],
        facts: Facts::default()
            .with("dead_direction", direction(from))
            .with("times_sent", stuck.sent)
            .with("span_seconds", stuck.last.time.since(stuck.first.time))
            .with("heard_for_seconds", heard)
            .with("outstanding_bytes", own.tcp.unacknowledged_by(&peer.tcp))
            .with("vantage", connection.vantage().name())
            .with("stage", connection.stage().name()),
        consequence_of: None,
    }
}

fn direction(from: Side) -> &'static str {
    match from {
        Side::Client => "client-to-server",
        Side::Server => "server-to-client",
    }
}

#[cfg(test)]
mod tests {
    use crate::Role;
    use crate::testing::{codes, diagnosis};

    const OPEN: &str = "0.00 > S 0:0(0)
         0.02 < SA 0:0(0) ack 1
         0.03 > A 1:1(0) ack 1
         0.04 > PA 1:11(10) ack 1
         0.06 < PA 1:11(10) ack 11
         0.07 > A 11:11(0) ack 11
         5.00 > PA 11:21(10) ack 11
         5.22 > PA 11:21(10) ack 11
         5.66 > PA 11:21(10) ack 11
         6.50 > PA 11:21(10) ack 11";

    #[test]
    fn the_other_side_goes_on_and_acknowledges_nothing() {
        let diagnosis = diagnosis(&format!(
            "{OPEN}
             9.00 < PA 11:31(20) ack 11
             9.01 > A 21:21(0) ack 31
             9.22 < PA 11:31(20) ack 11
             9.23 > A 21:21(0) ack 31
             9.80 < PA 11:31(20) ack 11
             9.81 > A 21:21(0) ack 31
             10.1 > PA 11:21(10) ack 31
             14.0 end"
        ));
        let root = diagnosis.root_cause().unwrap();
        assert_eq!(
            (root.code, root.culprit.role),
            ("tcp.one-way-path", Role::Path)
        );
    }

    #[test]
    fn a_side_that_spoke_for_a_while_and_then_no_more_vanished() {
        let diagnosis = diagnosis(&format!(
            "{OPEN}
             9.00 < PA 11:31(20) ack 11
             9.01 > A 21:21(0) ack 31
             10.1 > PA 11:21(10) ack 31
             90.0 end"
        ));
        assert_eq!(diagnosis.root_cause().unwrap().code, "tcp.peer-vanished");
    }

    #[test]
    fn a_late_acknowledgement_is_loss() {
        let codes = codes(&format!(
            "{OPEN}
             9.00 < PA 11:31(20) ack 11
             9.01 > A 21:21(0) ack 31
             9.22 < A 31:31(0) ack 21
             9.80 > FA 21:21(0) ack 31
             9.81 < FA 31:31(0) ack 22
             9.82 > A 22:22(0) ack 32"
        ));
        assert!(!codes.contains(&"tcp.one-way-path"), "{codes:?}");
    }

    #[test]
    fn silence_is_a_side_that_vanished() {
        assert!(!codes(&format!("{OPEN}\n 30.0 end")).contains(&"tcp.one-way-path"));
    }

    #[test]
    fn what_crossed_the_lost_segment_says_nothing() {
        let codes = codes(&format!("{OPEN}\n 6.60 < PA 11:31(20) ack 11\n 30.0 end"));
        assert!(!codes.contains(&"tcp.one-way-path"), "{codes:?}");
    }

    #[test]
    fn a_syn_ack_sent_again_has_not_seen_the_end_of_the_handshake() {
        let codes = codes(
            "0.00 > S 0:0(0)
             0.02 < SA 0:0(0) ack 1
             0.03 > A 1:1(0) ack 1
             0.04 > PA 1:11(10) ack 1
             0.30 > PA 1:11(10) ack 1
             1.02 < SA 0:0(0) ack 1
             1.10 > PA 1:11(10) ack 1
             3.02 < SA 0:0(0) ack 1
             3.50 > PA 1:11(10) ack 1
             7.02 < SA 0:0(0) ack 1
             20.0 end",
        );
        assert!(!codes.contains(&"tcp.one-way-path"), "{codes:?}");
    }
}
