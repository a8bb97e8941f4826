//! `tls.alert`: a fatal alert in the clear that nothing explains better.

mod meaning;

use wirewhy_protocol::TlsStage;

use super::{AlertReason, cause, finding, for_name, party};
use crate::causes::CERTIFICATES;
use crate::handshake::Handshake;
use crate::{Cause, Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity};
use meaning::{AlertPosition, at_fault, usual_causes};

pub(crate) const RECORD: Record = Record {
    code: "tls.alert",
    group: Group::Tls,
    title: "A fatal TLS alert ended the connection",
    severity: Severity::Error,
    means: "One side refused to go on and said why, in one word. The same fault gives other words in other libraries, so the \
            finding lists what the word can mean at that place. The alert is certain; whose fault it is seldom is.",
    recognised: "A TLS alert that can be read, fatal. The culprit follows from its description, its sender, and how far the handshake had \
                 come.",
    look_alikes: "A close_notify is no failure. What the handshake before the alert explains further has a code of its own: versions, \
                  parameters, an application protocol, a name or a certificate that did not suit.",
    check_next: &[
        "Look for the alert's name in the log of the side that sent it: it knows the details.",
        "Repeat with openssl s_client -connect HOST:PORT -servername NAME -msg and compare where it stops.",
    ],
    explained_by: &[
        Cause::IfAsSevere("tls.not-tls"),
        Cause::IfAsSevere("proxy.header-mismatch"),
        CERTIFICATES,
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::FailedHandshake(detect),
};

fn detect(handshake: &Handshake<'_>, limits: &Limits) -> Option<Finding> {
    let (cause, from, alert, description) = cause(handshake, limits)?;
    if cause != AlertReason::AlertItself {
        return None;
    }
    let place = AlertPosition::of(handshake, from);
    let causes = usual_causes(description, place);
    let words = if causes.is_empty() {
        String::new()
    } else {
        format!("; it can mean {}", causes.join(", or "))
    };
    let ended = match handshake.stage {
        TlsStage::Established | TlsStage::ApplicationData => "connection",
        _ => "handshake",
    };
    let found = finding(RECORD.code, handshake, (from, alert, description));
    Some(Finding {
        culprit: at_fault(handshake, from, description, place),
        summary: format!(
            "{} ended the TLS {ended}{} with the alert {description} ({}){words}",
            party(handshake, from),
            for_name(handshake),
            description.0,
        ),
        facts: found.facts.with("can_mean", causes.to_vec()),
        ..found
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{
        ConversationTrace, change_cipher_spec, client_hello, fatal, sealed, server_hello,
        server_hello_done,
    };
    use crate::testing::{codes, only};
    use crate::{Confidence, Role};

    fn hello() -> Vec<u8> {
        client_hello("shop.example", &[0x0304, 0x0303], 0)
    }

    #[test]
    fn an_internal_error_is_its_senders_fault() {
        let conversation = ConversationTrace::open()
            .client(&hello())
            .server(&fatal(80))
            .server_closes();
        let found = only(&conversation.lines());
        assert_eq!(found.code, "tls.alert");
        assert_eq!(found.culprit.role, Role::Server);
        assert_eq!(found.confidence, Confidence::Certain);
        assert_eq!(found.culprit_confidence(), Some(Confidence::Likely));
        assert!(
            found.summary.contains("internal_error"),
            "{}",
            found.summary
        );
    }

    #[test]
    fn an_illegal_parameter_behind_a_server_hello_has_no_sure_culprit() {
        let conversation = ConversationTrace::open()
            .client(&hello())
            .server(&server_hello(0x0303, 0xc02f))
            .client(&fatal(47))
            .client_closes();
        let found = only(&conversation.lines());
        assert_eq!(
            (found.code, found.culprit.role),
            ("tls.alert", Role::Server)
        );
        assert_eq!(found.confidence, Confidence::Certain);
        assert_eq!(found.culprit_confidence(), Some(Confidence::Possible));
        assert!(found.summary.contains("on the way"), "{}", found.summary);
    }

    #[test]
    fn a_well_formed_hello_that_the_server_cannot_decode_is_the_servers() {
        let conversation = ConversationTrace::open()
            .client(&hello())
            .server(&fatal(50))
            .server_closes();
        let found = only(&conversation.lines());
        assert_eq!(
            (found.code, found.culprit.role),
            ("tls.alert", Role::Server)
        );
        assert_eq!(found.culprit_confidence(), Some(Confidence::Possible));
    }

    #[test]
    fn a_record_that_does_not_decrypt_in_the_handshake_has_no_known_culprit() {
        let conversation = ConversationTrace::open()
            .client(&hello())
            .server(&[server_hello(0x0303, 0xc02f), server_hello_done()].concat())
            .client(&[change_cipher_spec(), sealed(22, 40)].concat())
            .server(&fatal(51))
            .server_closes();
        let found = only(&conversation.lines());
        assert_eq!(
            (found.code, found.culprit.role),
            ("tls.alert", Role::Unknown)
        );
    }

    #[test]
    fn a_protocol_version_has_its_own_code() {
        let conversation = ConversationTrace::open()
            .client(&hello())
            .server(&fatal(70))
            .server_closes();
        assert_eq!(codes(&conversation.lines()), ["tls.version-mismatch"]);
    }
}
