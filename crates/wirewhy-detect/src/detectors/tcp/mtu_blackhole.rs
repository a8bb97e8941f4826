//! `tcp.mtu-blackhole`: large packets vanish, small ones pass.

use wirewhy_flow::{Connection, Endpoint, Hole, Mark, Side, Stuck};

use super::path_mtu::{BlackHole, black_hole, is_large};
use super::peer_vanished;
use crate::wording::{count, socket, span};
use crate::{
    Cause, Confidence, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.mtu-blackhole",
    group: Group::Tcp,
    title: "Large packets vanish on the way (MTU black hole)",
    severity: Severity::Error,
    means: "The handshake and small messages get through, full-sized packets never do: somewhere on the path the MTU is smaller, and the \
            ICMP message that should say so does not reach the sender. Pages hang half-loaded, TLS handshakes time out.",
    recognised: "The same full-sized segment is sent three times or more and never acknowledged at that size, while the other side is \
                 heard and nothing as large ever got across. Seen behind the fault: large segments never come, smaller ones \
                 behind them do, and the receiver asks for the missing segment without effect.",
    look_alikes: "Ordinary loss hits segments of every size, and some large ones get across: tcp.packet-loss. Where nothing at all comes \
                  back, size is not the matter: tcp.peer-vanished. A hole that the receiver acknowledges all the same was only \
                  missed by the recording.",
    check_next: &[
        "Find the limit: ping -M do -s 1472 HOST (IPv4; lower the size until it passes; add 28 for the MTU).",
        "Let ICMP \"fragmentation needed\" and ICMPv6 \"packet too big\" through every firewall on the path.",
        "As a cure on a tunnel or PPPoE router: clamp the MSS (nft: tcp flags syn tcp option maxseg size set rt mtu).",
    ],
    explained_by: &[
        Cause::Always("tcp.fragmentation-needed"),
        Cause::IfAsSevere("tcp.checksum-drop"),
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::TROUBLE, detect),
};

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    [Side::Server, Side::Client].into_iter().find_map(|from| {
        let own = connection.side(from);
        let peer = connection.side(from.other());
        Some(match black_hole(connection, from, limits)? {
            BlackHole::Sending(stuck) => sending(connection, from, own, peer, &stuck),
            BlackHole::Receiving(hole) => receiving(connection, from, own, peer, &hole),
        })
    })
}

fn sending(
    connection: &Connection,
    from: Side,
    own: &Endpoint,
    peer: &Endpoint,
    stuck: &Stuck,
) -> Finding {
    let recovered = stuck.acknowledged.is_some();
    let end = if recovered {
        format!("; it got across in packets of {} bytes", stuck.smallest)
    } else {
        "; it never got across".to_owned()
    };
    let mut frames = vec![stuck.last.frame, stuck.first.frame];
    frames.extend(
        own.tcp
            .trouble()
            .into_iter()
            .flat_map(|trouble| trouble.frames.iter().copied()),
    );
    frames.dedup();
    Finding {
        code: RECORD.code,
        severity: if recovered {
            Severity::Warning
        } else {
            Severity::Error
        },
        confidence: Confidence::Likely,
        culprit: Role::Path.into(),
        summary: format!(
            "a packet of {} bytes from {} vanished {} on the way to {} while smaller ones pass (largest delivered: {}){end}",
            stuck.largest,
            socket(own),
            count(u64::from(stuck.sent), "time"),
            socket(peer),
            delivered(own),
        ),
        frames,
        facts: facts(connection, from, own, peer)
            .with("vanished_bytes", stuck.largest)
            .with("times_sent", stuck.sent)
            .with("passed_bytes", recovered.then_some(stuck.smallest))
            .with("recovered", recovered)
            .with("seen", "sending"),
        consequence_of: None,
    }
}

fn receiving(
    connection: &Connection,
    from: Side,
    own: &Endpoint,
    peer: &Endpoint,
    hole: &Hole,
) -> Finding {
    Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit: Role::Path.into(),
        summary: format!(
            "{} bytes from {} never arrived in {}, although smaller packets behind them did and {} asked for them {}: large packets \
             vanish before this capture point",
            hole.len,
            socket(own),
            span(connection.heard_after(hole.since.time)),
            socket(peer),
            count(u64::from(hole.asked), "time"),
        ),
        frames: vec![hole.last_asked.frame, hole.since.frame],
        facts: facts(connection, from, own, peer)
            .with("missing_bytes", hole.len)
            .with("times_asked", hole.asked)
            .with("largest_seen_bytes", own.counts.largest_payload)
            .with("recovered", false)
            .with("seen", "receiving"),
        consequence_of: None,
    }
}

/// Large segments that nothing answers while the rest of the connection gives no sign of life either: silence, unless another
/// connection between the two hosts works at that time.
#[derive(Clone, Copy, Debug)]
pub struct LargeUnanswered {
    /// Who sent them.
    pub from: Side,
    /// The size in bytes of the IP packet that was sent again and again.
    pub bytes: u32,
    /// When it was sent again first.
    pub first: Mark,
}

/// The large segments of a connection that nothing answered, where `tcp.peer-vanished` is the verdict from this connection
/// alone.
#[must_use]
pub fn large_unanswered(connection: &Connection, limits: &Limits) -> Option<LargeUnanswered> {
    [Side::Client, Side::Server].into_iter().find_map(|from| {
        peer_vanished::unanswered(connection, from, limits)?;
        let (own, peer) = (connection.side(from), connection.side(from.other()));
        let stuck = own.tcp.trouble()?.stuck?;
        let counts = stuck.acknowledged.is_none() && is_large(own, peer, &stuck, limits);
        counts.then_some(LargeUnanswered {
            from,
            bytes: stuck.largest,
            first: stuck.first,
        })
    })
}

/// The finding about them, where the connection of stream `alive` between the same hosts shows that smaller packets pass.
#[must_use]
pub fn while_others_pass(connection: &Connection, lost: LargeUnanswered, alive: u32) -> Finding {
    let (own, peer) = (
        connection.side(lost.from),
        connection.side(lost.from.other()),
    );
    Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit: Role::Path.into(),
        summary: format!(
            "packets of {} bytes from {} were sent again and never acknowledged by {}, while smaller packets between the two \
             hosts pass (stream {alive})",
            lost.bytes,
            socket(own),
            socket(peer),
        ),
        frames: vec![lost.first.frame],
        facts: facts(connection, lost.from, own, peer)
            .with("vanished_bytes", lost.bytes)
            .with("recovered", false)
            .with("alive_stream", alive)
            .with("seen", "sending"),
        consequence_of: None,
    }
}

fn facts(connection: &Connection, from: Side, own: &Endpoint, peer: &Endpoint) -> Facts {
    Facts::default()
        .with(
            "direction",
            if from == Side::Client {
                "client-to-server"
            } else {
                "server-to-client"
            },
        )
        .with(
            "largest_delivered_bytes",
            own.tcp.delivery.largest_delivered,
        )
        .with("own_mss_bytes", own.tcp.offer.mss)
        .with("peer_mss_bytes", peer.tcp.offer.mss)
        .with("vantage", connection.vantage().name())
        .with("stage", connection.stage().name())
}

fn delivered(own: &Endpoint) -> String {
    match own.tcp.delivery.largest_delivered {
        0 => "only empty ones".to_owned(),
        bytes => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{codes, diagnosis};
    use crate::{Outcome, Role, Severity};

    const OPEN: &str = "0.000 > S 0:0(0) <mss 1460,sackOK>
         0.020 < SA 0:0(0) ack 1 <mss 1460,sackOK>
         0.021 > A 1:1(0) ack 1
         0.030 > PA 1:201(200) ack 1
         0.050 < A 1:1(0) ack 201";

    #[test]
    fn full_segments_vanish_and_the_tail_arrives() {
        let diagnosis = diagnosis(&format!(
            "{OPEN}
             0.060 < A 1:1461(1460) ack 201
             0.061 < PA 1461:1561(100) ack 201
             0.080 > A 201:201(0) ack 1 <sack 1461:1561>
             0.300 < A 1:1461(1460) ack 201
             0.750 < A 1:1461(1460) ack 201
             1.700 < A 1:1461(1460) ack 201
             3.600 < A 1:1461(1460) ack 201
             9.000 end"
        ));
        let root = diagnosis.root_cause().unwrap();
        assert_eq!(
            (root.code, root.culprit.role),
            ("tcp.mtu-blackhole", Role::Path)
        );
        // The tail was acknowledged selectively: it got across.
        let largest = root.facts.value("largest_delivered_bytes");
        assert_eq!(largest, Some(&crate::Value::Count(140)));
        assert_eq!(diagnosis.outcome(), Outcome::Failed);
    }

    #[test]
    fn smaller_segments_that_get_across_are_a_warning() {
        let diagnosis = diagnosis(&format!(
            "{OPEN}
             0.060 < A 1:1461(1460) ack 201
             0.061 < PA 1461:1561(100) ack 201
             0.080 > A 201:201(0) ack 1 <sack 1461:1561>
             0.300 < A 1:1461(1460) ack 201
             0.750 < A 1:1461(1460) ack 201
             1.700 < A 1:985(984) ack 201
             1.720 > A 201:201(0) ack 985
             1.721 < A 985:1461(476) ack 201
             1.740 > A 201:201(0) ack 1561
             2.000 < FA 1561:1561(0) ack 201
             2.020 > FA 201:201(0) ack 1562
             2.040 < A 1562:1562(0) ack 202"
        ));
        let found = diagnosis
            .findings
            .iter()
            .find(|found| found.code == "tcp.mtu-blackhole")
            .unwrap();
        assert_eq!(found.severity, Severity::Warning);
    }

    #[test]
    fn behind_the_fault_the_receiver_asks_in_vain() {
        let codes = codes(&format!(
            "{OPEN}
             0.061 < PA 1461:1561(100) ack 201
             0.062 > A 201:201(0) ack 1 <sack 1461:1561>
             0.500 < PA 1461:1561(100) ack 201
             0.501 > A 201:201(0) ack 1 <sack 1461:1561>
             9.000 end"
        ));
        assert!(codes.contains(&"tcp.mtu-blackhole"));
    }

    #[test]
    fn loss_that_the_same_size_overcomes_is_loss() {
        let codes = codes(&format!(
            "{OPEN}
             0.060 < A 1:1461(1460) ack 201
             0.300 < A 1:1461(1460) ack 201
             0.750 < A 1:1461(1460) ack 201
             0.770 > A 201:201(0) ack 1461
             1.000 < FA 1461:1461(0) ack 201
             1.020 > FA 201:201(0) ack 1462
             1.040 < A 1462:1462(0) ack 202"
        ));
        assert!(!codes.contains(&"tcp.mtu-blackhole"));
    }

    #[test]
    fn a_peer_that_is_gone_is_no_question_of_size() {
        let codes = codes(&format!(
            "{OPEN}
             0.060 < A 1:1461(1460) ack 201
             0.300 < A 1:1461(1460) ack 201
             0.750 < A 1:1461(1460) ack 201
             1.700 < A 1:1461(1460) ack 201
             9.000 end"
        ));
        assert_eq!(codes, ["tcp.peer-vanished"]);
    }
}
