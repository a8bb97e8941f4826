//! `tls.record-corrupted`: bytes of a record were changed on the way.

use wirewhy_flow::{Interval, Mark, Side};

use super::{AlertReason, cause, finding, for_name, party};
use crate::handshake::{Handshake, flow_mark, records};
use crate::{
    Confidence, Culprit, Detector, Finding, Group, Limits, Record, Reportable, Role, Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "tls.record-corrupted",
    group: Group::Tls,
    title: "A TLS record was changed on the way",
    severity: Severity::Error,
    means: "Both sides had finished the handshake, so that their keys fit, and then a record did not authenticate: its bytes were changed \
            between the two, by a network card, a driver, a middlebox. TCP's checksum does not find it where the device mends that.",
    recognised: "The alert bad_record_mac once both sides had finished, or decrypt_error once data had flowed. With secrets also a record that \
                 does not open with the keys that opened those before it, behind which its receiver ends the connection.",
    look_alikes: "A stack that counts its records wrong fails in the same way, at the same place each time: other connections, other clients \
                  and the other direction tell.",
    check_next: &[
        "Does it happen on other paths, with other network cards, with offloads off (ethtool -K DEV tso off gso off gro off)?",
        "ethtool -S DEV and netstat -s: do checksum errors grow?",
        "Capture on both sides and compare the record of the facts byte by byte.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Handshake(detect),
};

/// How soon the receiver ends the connection.
const ENDS_WITHIN: Interval = Interval::from_secs(2);

fn detect(handshake: &Handshake<'_>, limits: &Limits) -> Option<Finding> {
    let tls = handshake.tls;
    let path = Culprit::from(Role::Path).at_most(Confidence::Possible);
    let broken = |sender: Side| records(tls, sender).unauthentic.map(flow_mark);
    if let Some((AlertReason::Corrupted, from, alert, description)) = cause(handshake, limits) {
        let record = broken(from.other()).map(|mark| mark.frame);
        let found = finding(RECORD.code, handshake, (from, alert, description));
        return Some(Finding {
            confidence: Confidence::Likely,
            culprit: path,
            summary: format!(
                "{} ended the connection{} with {description}: a record did not authenticate once both sides had finished",
                party(handshake, from),
                for_name(handshake),
            ),
            frames: handshake.frames([Some(alert.mark.frame), record].into_iter().flatten()),
            facts: found.facts.with("record_frame", record),
            ..found
        });
    }
    let (sender, mark, end) = [Side::Client, Side::Server]
        .into_iter()
        .find_map(|sender| {
            let mark = broken(sender)?;
            Some((sender, mark, ended_by(handshake, sender.other(), mark)?))
        })?;
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit: path,
        summary: format!(
            "a record of {}{} does not authenticate with the keys that opened those before it, and {} ended the connection \
             behind it",
            party(handshake, sender),
            for_name(handshake),
            party(handshake, sender.other()),
        ),
        frames: handshake.frames([mark.frame, end.frame]),
        facts: handshake
            .facts()
            .with("record_from", sender.name())
            .with("record_frame", mark.frame),
        consequence_of: None,
    })
}

/// Where a side closed or reset the connection soon after a record.
fn ended_by(handshake: &Handshake<'_>, side: Side, record: Mark) -> Option<Mark> {
    let ending = &handshake.ending;
    let ends = [ending.closed, ending.reset].into_iter().flatten();
    let (from, mark) = ends.min_by_key(|(_, mark)| mark.frame)?;
    let took = mark.time.since(record.time);
    let within = Interval(ENDS_WITHIN.0.saturating_add(ending.round_trip.0));
    (from == side && mark.frame > record.frame && took <= within).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::super::traces::{
        ConversationTrace, change_cipher_spec, client_hello, fatal, sealed, server_hello,
        server_hello_done,
    };
    use crate::testing::{codes, only};
    use crate::{Confidence, Role};

    fn shaken() -> ConversationTrace {
        ConversationTrace::open()
            .client(&client_hello("a.example", &[], 0))
            .server(&[server_hello(0x0303, 0xc02f), server_hello_done()].concat())
            .client(&[change_cipher_spec(), sealed(22, 40)].concat())
    }

    #[test]
    fn a_bad_record_once_both_have_finished() {
        let conversation = shaken()
            .server(&[change_cipher_spec(), sealed(22, 40)].concat())
            .client(&sealed(23, 60))
            .server(&sealed(23, 600))
            .client(&fatal(20))
            .client_closes();
        let found = only(&conversation.lines());
        assert_eq!(
            (found.code, found.culprit.role),
            ("tls.record-corrupted", Role::Path)
        );
        assert_eq!(found.culprit_confidence(), Some(Confidence::Possible));
    }

    #[test]
    fn in_the_handshake_the_keys_may_be_wrong() {
        let conversation = shaken().server(&fatal(20)).server_closes();
        assert_eq!(codes(&conversation.lines()), ["tls.alert"]);
    }
}
