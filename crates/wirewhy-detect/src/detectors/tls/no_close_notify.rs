//! `tls.no-close-notify`: a stream ends without TLS saying so.

use wirewhy_protocol::{AlertDescription, ProtocolVersion};

use super::party;
use crate::handshake::{End, Handshake, culprit, records};
use crate::{Confidence, Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity};

pub(crate) const RECORD: Record = Record {
    code: "tls.no-close-notify",
    group: Group::Tls,
    title: "Closed without close_notify",
    severity: Severity::Note,
    means: "The side that closed first did not say so inside TLS. Where the length of what it sent is known by other means (HTTP) no harm \
            is done; otherwise the other side cannot tell the end from a truncation.",
    recognised: "A FIN after application data without a close_notify before it: none that can be read, no encrypted alert, and in TLS 1.3 no \
                 last record of an alert's size.",
    look_alikes: "A handshake that never finished: tls.handshake-closed. A recording that misses bytes proves nothing.",
    check_next: &[
        "Does the other side complain (unexpected EOF, OpenSSL 3's SSL_R_UNEXPECTED_EOF_WHILE_READING)? Then shut TLS down before closing.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Handshake(detect),
};

/// The longest record that holds an alert: TLS 1.3 may pad it, hardly anybody does.
const LONGEST_ALERT: u16 = 32;

fn detect(handshake: &Handshake<'_>, _limits: &Limits) -> Option<Finding> {
    let connection = handshake.connection;
    let ending = &handshake.ending;
    let (from, mark) = ending.closed?;
    let side = records(handshake.tls, from);
    let reset = ending
        .reset
        .is_some_and(|(_, reset)| reset.frame < mark.frame);
    let unseen =
        ending.is_missing_bytes(from) || side.stopped.is_some() || side.incomplete.is_some();
    let used = side.application_data.count > 0;
    if !matches!(handshake.end, End::Completed) || reset || unseen || !used {
        return None;
    }
    let alerted = side.alerts.iter().any(|alert| {
        alert
            .description
            .is_none_or(|description| description == AlertDescription::CLOSE_NOTIFY)
    });
    let sealed_so = handshake.tls.version() == Some(ProtocolVersion::TLS1_3)
        && side
            .last_sealed
            .is_some_and(|last| last.length <= LONGEST_ALERT);
    if alerted || sealed_so {
        return None;
    }
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Note,
        confidence: Confidence::Likely,
        culprit: culprit(connection, from),
        summary: format!(
            "{} closed the connection without a close_notify",
            party(handshake, from)
        ),
        frames: vec![mark.frame],
        facts: handshake.facts().with("closed_by", from.name()).with(
            "last_record_bytes",
            side.last_sealed.map(|last| last.length),
        ),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{ConversationTrace, client_hello, sealed, server_hello};
    use crate::testing::codes;

    fn used(last: &[u8]) -> Vec<&'static str> {
        let conversation = ConversationTrace::open()
            .client(&client_hello("a.example", &[0x0304], 0))
            .server(&[server_hello(0x0304, 0x1301), sealed(23, 900)].concat())
            .client(&[sealed(23, 53), sealed(23, 200)].concat())
            .server(&sealed(23, 700))
            .server(last)
            .server_closes();
        codes(&conversation.lines())
    }

    #[test]
    fn a_bare_fin() {
        assert_eq!(used(&sealed(23, 600)), ["tls.no-close-notify"]);
    }

    #[test]
    fn a_farewell() {
        assert!(used(&sealed(23, 19)).is_empty());
    }
}
