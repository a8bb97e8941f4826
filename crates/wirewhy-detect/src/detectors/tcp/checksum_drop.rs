//! `tcp.checksum-drop`: segments arrive damaged, and are dropped for it.

use wirewhy_flow::{Connection, Damage, Side, Vantage};

use crate::wording::{count, socket};
use crate::{
    Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.checksum-drop",
    group: Group::Tcp,
    title: "Segments arrive with a wrong checksum and are dropped",
    severity: Severity::Error,
    means: "Bytes were changed on the way, or a network card or tunnel that should have put the checksum in did not. The receiving kernel \
            drops such segments without a word, so that its application seems to ignore what reached its host.",
    recognised: "Segments whose TCP checksum, or that of the UDP tunnel around them, is wrong, that were sent again or never acknowledged, \
                 while others of the same sender are right. Not on the sender's own host.",
    look_alikes: "On the sender's own host, and behind a card that merges segments, checksums look wrong because hardware handles them; such \
                  segments are acknowledged: capture.offload. Segments lost before the capture point: tcp.packet-loss.",
    check_next: &[
        "On the receiving host: nstat -az TcpInCsumErrors; ethtool -S counts what the card saw.",
        "Capture at both ends and compare the bytes of one damaged segment: one bit is a bad link or memory, a whole field a device.",
        "On virtual machines and overlay networks: switch checksum offload off (ethtool -K DEV tx off) on the sender and its tunnel device.",
    ],
    explained_by: &[],
    reportable: Reportable::Unanswered,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::DAMAGE, detect),
};

pub(crate) fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    [Side::Client, Side::Server].into_iter().find_map(|from| {
        let damage = connection.side(from).tcp.delivery.damage.as_deref()?;
        is_dropped(connection, from, damage, limits).then(|| finding(connection, from, damage))
    })
}

fn is_dropped(connection: &Connection, from: Side, damage: &Damage, limits: &Limits) -> bool {
    let (own_host, own) = match from {
        Side::Client => (Vantage::ClientSide, connection.outgoing.first()),
        Side::Server => (Vantage::ServerSide, connection.outgoing.last()),
    };
    let at_sender = connection.vantage() == own_host || own == Some(&Some(true));
    let lost = damage.dropped.saturating_add(damage.open);
    let repeated = damage.dropped >= 1 && lost >= limits.damaged_segments;
    let shown = damage.taken == 0 && damage.right > 0 && !at_sender;
    repeated && shown && (damage.open == 0 || waited_in_vain(connection, from, limits))
}

/// Whether the side had the time to see that what it sent again was not taken either.
fn waited_in_vain(connection: &Connection, from: Side, limits: &Limits) -> bool {
    let stuck = connection
        .side(from)
        .tcp
        .trouble()
        .and_then(|trouble| trouble.stuck);
    stuck.is_some_and(|stuck| connection.heard_after(stuck.first.time) >= limits.silence)
        && connection.side(from.other()).was_seen()
}

fn finding(connection: &Connection, from: Side, damage: &Damage) -> Finding {
    let (own, peer) = (connection.side(from), connection.side(from.other()));
    let failed = damage.open > 0;
    let lost = damage.dropped.saturating_add(damage.open);
    let kind = if damage.in_tunnel > 0 {
        "; it is the checksum of the tunnel around them that is wrong"
    } else if damage.unfinished >= lost {
        "; their checksums cover the addresses alone, as a network card leaves them that did not do its part"
    } else {
        ""
    };
    Finding {
        code: RECORD.code,
        severity: if failed {
            Severity::Error
        } else {
            Severity::Warning
        },
        confidence: Confidence::Likely,
        culprit: Culprit::new(Role::Path, None).at_most(Confidence::Likely),
        summary: format!(
            "{} from {} arrived with a wrong checksum and {} did not take them{}, while {} right{kind}",
            count(u64::from(lost), "segment"),
            socket(own),
            socket(peer),
            if failed {
                "; the last never got across"
            } else {
                " until they were sent again"
            },
            match damage.right {
                1 => "one other was".to_owned(),
                many => format!("{many} others were"),
            },
        ),
        frames: damage.frames.clone(),
        facts: Facts::default()
            .with("sender", from.name())
            .with("damaged", lost)
            .with("sent_again", damage.dropped)
            .with("never_acknowledged", damage.open)
            .with("right", damage.right)
            .with("unfinished", damage.unfinished)
            .with("tunnel", damage.in_tunnel > 0)
            .with("vantage", connection.vantage().name()),
        consequence_of: None,
    }
}

#[cfg(test)]
mod tests {
    use crate::Role;
    use crate::testing::{codes, diagnosis};

    const OPEN: &str = "client ttl 57
         server ttl 64
         0.00 > S 0:0(0)
         0.02 < SA 0:0(0) ack 1
         0.03 > A 1:1(0) ack 1";

    #[test]
    fn a_request_that_arrives_damaged_each_time() {
        let diagnosis = diagnosis(&format!(
            "{OPEN}
             0.04 > PA 1:11(10) ack 1 badsum
             0.24 > PA 1:11(10) ack 1 badsum
             0.64 > PA 1:11(10) ack 1 badsum
             1.44 > PA 1:11(10) ack 1 badsum
             9.00 end"
        ));
        let root = diagnosis.root_cause().unwrap();
        assert_eq!(
            (root.code, root.culprit.role),
            ("tcp.checksum-drop", Role::Path)
        );
    }

    #[test]
    fn damaged_ones_that_arrive_at_the_second_try() {
        let codes = codes(&format!(
            "{OPEN}
             0.04 > PA 1:11(10) ack 1 badsum
             0.24 > PA 1:11(10) ack 1
             0.25 < A 1:1(0) ack 11
             0.30 > PA 11:21(10) ack 1 badsum
             0.50 > PA 11:21(10) ack 1
             0.51 < PA 1:11(10) ack 21
             0.60 > FA 21:21(0) ack 11
             0.62 < FA 11:11(0) ack 22
             0.63 > A 22:22(0) ack 12"
        ));
        assert_eq!(codes, ["tcp.checksum-drop"]);
    }

    #[test]
    fn what_was_acknowledged_was_not_damaged() {
        let codes = codes(&format!(
            "{OPEN}
             0.04 > PA 1:11(10) ack 1 badsum
             0.05 < A 1:1(0) ack 11
             0.30 > PA 11:21(10) ack 1 badsum
             0.50 > PA 11:21(10) ack 1 badsum
             0.90 > PA 11:21(10) ack 1 badsum
             9.00 end"
        ));
        assert!(!codes.contains(&"tcp.checksum-drop"), "{codes:?}");
    }

    #[test]
    fn on_the_senders_own_host_the_card_puts_it_right() {
        let lines = OPEN
            .replace("client ttl 57", "client ttl 64")
            .replace("server ttl 64", "server ttl 57");
        let codes = codes(&format!(
            "{lines}
             0.04 > PA 1:11(10) ack 1 badsum
             0.24 > PA 1:11(10) ack 1 badsum
             0.64 > PA 1:11(10) ack 1 badsum
             1.44 > PA 1:11(10) ack 1 badsum
             9.00 end"
        ));
        assert!(!codes.contains(&"tcp.checksum-drop"), "{codes:?}");
    }

    #[test]
    fn a_recording_that_ends_at_once_does_not_show_that_it_was_dropped() {
        let codes = codes(&format!(
            "{OPEN}
             0.04 > PA 1:11(10) ack 1 badsum
             0.24 > PA 1:11(10) ack 1 badsum
             0.64 > PA 1:11(10) ack 1 badsum
             0.70 end"
        ));
        assert!(!codes.contains(&"tcp.checksum-drop"), "{codes:?}");
    }

    #[test]
    fn bytes_of_one_side_alone_show_nothing_of_what_became_of_them() {
        let codes = codes(
            "0.0 > PA 1:1201(1200) ack 1 badsum
             0.0 > PA 1201:2001(800) ack 1
             0.0 > A 1801:3001(1200) ack 1 badsum
             0.0 > PA 1:1201(1200) ack 1 badsum
             9.0 end",
        );
        assert!(!codes.contains(&"tcp.checksum-drop"), "{codes:?}");
    }

    #[test]
    fn one_damaged_segment_is_any_loss() {
        let codes = codes(&format!(
            "{OPEN}
             0.04 > PA 1:11(10) ack 1 badsum
             0.24 > PA 1:11(10) ack 1
             0.25 < PA 1:11(10) ack 11
             0.60 > FA 11:11(0) ack 11
             0.62 < FA 11:11(0) ack 12
             0.63 > A 12:12(0) ack 12"
        ));
        assert!(codes.is_empty(), "{codes:?}");
    }
}
