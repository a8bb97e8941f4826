//! `tcp.fragmentation-needed`: a router says that packets are too large for the next link.

use wirewhy_flow::Connection;

use super::path_mtu::too_big;
use crate::wording::socket;
use crate::{
    Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.fragmentation-needed",
    group: Group::Tcp,
    title: "A router says packets are too large for its next link",
    severity: Severity::Warning,
    means: "Path MTU discovery at work: a router dropped a packet that may not be fragmented and named the size that fits. A sender that \
            obeys loses one round trip; one that does not keeps sending into a black hole.",
    recognised: "ICMP \"fragmentation needed\" (RFC 1191) or ICMPv6 \"packet too big\" (RFC 4443) that quotes a segment of this \
                 connection.",
    look_alikes: "An error that quotes numbers outside the connection is forged or stray and is left alone (RFC 5927).",
    check_next: &[
        "Where the sender did not obey: does the message reach it (its firewall, a NAT that does not translate it back)?",
        "Why is the path smaller there: a tunnel, PPPoE, a wrong interface MTU on the reporter?",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::ICMP, detect),
};

fn detect(connection: &Connection, _limits: &Limits) -> Option<Finding> {
    let (event, icmp) = too_big(connection).next()?;
    let sender = connection.side(event.from);
    let receiver = connection.side(event.from.other());
    // What was too large has been acknowledged since: it was sent again in pieces that fit.
    let obeyed = icmp
        .quoted_seq
        .zip(receiver.tcp.acknowledged)
        .is_some_and(|(seq, acknowledged)| acknowledged.is_after(seq));
    let size = match icmp.mtu {
        Some(mtu) if mtu > 0 => format!("{mtu} bytes fit"),
        _ => "it does not say how many bytes fit".to_owned(),
    };
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Warning,
        confidence: Confidence::Certain,
        culprit: Culprit::new(Role::Path, icmp.reporter),
        summary: format!(
            "{} told {} that a packet of {} bytes is too large for its next link ({size}); {}",
            icmp.reporter,
            socket(sender),
            icmp.quoted_len,
            if obeyed {
                "the sender obeyed"
            } else {
                "what was too large never got across"
            },
        ),
        frames: too_big(connection).map(|(event, _)| event.frame).collect(),
        facts: Facts::default()
            .with("next_hop_mtu_bytes", icmp.mtu)
            .with("packet_bytes", icmp.quoted_len)
            .with("reporter", icmp.reporter)
            .with("obeyed", obeyed)
            .with(
                "messages",
                u64::try_from(too_big(connection).count()).unwrap_or(u64::MAX),
            ),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::Outcome;
    use crate::testing::{codes, diagnosis};

    const OPEN: &str = "0.000 > S 0:0(0) <mss 1460>
         0.020 < SA 0:0(0) ack 1 <mss 1460>
         0.021 > A 1:1(0) ack 1
         0.030 > A 1:1461(1460) ack 1
         0.031 icmp 192.0.2.254 > client frag-needed mtu 1400";

    #[test]
    fn a_sender_that_obeys_is_slowed_and_nothing_more() {
        let diagnosis = diagnosis(&format!(
            "{OPEN}
             0.032 > A 1:1361(1360) ack 1
             0.033 > A 1361:1461(100) ack 1
             0.060 < A 1:1(0) ack 1461
             0.100 > FA 1461:1461(0) ack 1
             0.120 < FA 1:1(0) ack 1462
             0.140 > A 1462:1462(0) ack 2"
        ));
        assert_eq!(
            diagnosis.root_cause().unwrap().code,
            "tcp.fragmentation-needed"
        );
        assert_eq!(diagnosis.outcome(), Outcome::Degraded);
    }

    #[test]
    fn one_that_does_not_explains_the_black_hole() {
        let diagnosis = diagnosis(&format!(
            "{OPEN}
             0.300 > A 1:1461(1460) ack 1
             0.310 < A 1:1(0) ack 1
             0.700 > A 1:1461(1460) ack 1
             0.701 icmp 192.0.2.254 > client frag-needed mtu 1400
             1.500 > A 1:1461(1460) ack 1
             9.000 end"
        ));
        assert_eq!(
            diagnosis.root_cause().unwrap().code,
            "tcp.fragmentation-needed"
        );
        assert_eq!(diagnosis.outcome(), Outcome::Failed);
    }

    #[test]
    fn a_forged_message_about_other_numbers_is_left_alone() {
        let lines = "0.000 > S 0:0(0)\n 0.020 < SA 0:0(0) ack 1\n 0.021 > A 1:1(0) ack 1";
        assert!(codes(lines).is_empty());
    }
}
