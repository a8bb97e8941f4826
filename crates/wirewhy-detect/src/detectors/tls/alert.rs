//! `tls.alert`: a fatal alert in the clear that nothing explains better.

use wirewhy_protocol::AlertDescription;

use super::{AlertReason, cause, finding, for_name, party};
use crate::causes::CERTIFICATES;
use crate::handshake::{Handshake, culprit};
use crate::{Cause, Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity, Value};

pub(crate) const RECORD: Record = Record {
    code: "tls.alert",
    group: Group::Tls,
    title: "A fatal TLS alert ended the handshake",
    severity: Severity::Error,
    means: "One side refused to go on and said why, in one word. The same fault gives other words in other libraries, so the \
            finding lists what the word can mean at that place.",
    recognised: "A TLS alert that can be read, fatal, before both sides had finished.",
    look_alikes: "A close_notify is no failure. What the handshake before the alert explains further has a code of its own: versions, \
                  parameters, an application protocol, a name or a certificate that did not suit.",
    check_next: &[
        "Look for the alert's name in the log of the side that sent it: it knows the details.",
        "Repeat with openssl s_client -connect HOST:PORT -servername NAME -msg and compare where it stops.",
    ],
    explained_by: &[Cause::IfAsSevere("tls.not-tls"), CERTIFICATES],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::FailedHandshake(detect),
};

/// What usually makes a library send an alert.
fn usual_causes(description: AlertDescription) -> &'static [&'static str] {
    match description {
        AlertDescription::UNEXPECTED_MESSAGE => &[
            "peers out of step (plaintext or STARTTLS mix-up)",
            "a middlebox that altered or swallowed a message",
        ],
        AlertDescription::BAD_RECORD_MAC => &[
            "corruption on the way or by a network card",
            "wrong keys: a pre-shared key that differs",
        ],
        AlertDescription::RECORD_OVERFLOW => &["the other side does not speak TLS"],
        AlertDescription::HANDSHAKE_FAILURE => &[
            "no common cipher suite, group or signature algorithm",
            "a client certificate that is missing",
            "an application's own check",
        ],
        AlertDescription::BAD_CERTIFICATE => &[
            "a name that does not match",
            "a certificate that is not valid yet, or expired (Go)",
            "an issuer that is not trusted (Go)",
        ],
        AlertDescription::UNSUPPORTED_CERTIFICATE => {
            &["wrong key usage or purpose", "an unsupported key type"]
        }
        AlertDescription::CERTIFICATE_REVOKED => &["a revoked certificate"],
        AlertDescription::CERTIFICATE_EXPIRED => &[
            "an expired certificate",
            "a wrong clock",
            "a certificate that is not valid yet (rustls)",
        ],
        AlertDescription::CERTIFICATE_UNKNOWN => &[
            "an issuer that is not trusted (Java)",
            "a pinned certificate that differs (browsers, apps)",
            "a name that does not match",
        ],
        AlertDescription::ILLEGAL_PARAMETER => &[
            "a broken peer or middlebox",
            "a group that is not supported",
        ],
        AlertDescription::UNKNOWN_CA => &[
            "a private authority the client does not know",
            "an intermediate certificate that is not sent",
            "a proxy that intercepts TLS",
        ],
        AlertDescription::ACCESS_DENIED => &["a policy that refuses a valid certificate"],
        AlertDescription::DECODE_ERROR => &[
            "a malformed or truncated message",
            "a device that cannot take a split ClientHello",
        ],
        AlertDescription::DECRYPT_ERROR => &[
            "a signature or Finished that does not verify",
            "a wrong pre-shared key",
        ],
        AlertDescription::INTERNAL_ERROR => &[
            "the sender's own configuration (no certificate for that name)",
            "a crash or a limit of resources",
        ],
        AlertDescription::INAPPROPRIATE_FALLBACK => {
            &["a client that retried with a lower version than both can do"]
        }
        AlertDescription::MISSING_EXTENSION => &["a hello without what TLS 1.3 demands"],
        AlertDescription::UNSUPPORTED_EXTENSION => &["an answer to something that was not offered"],
        AlertDescription::UNKNOWN_PSK_IDENTITY => &["a pre-shared key the server does not know"],
        AlertDescription::BAD_CERTIFICATE_STATUS_RESPONSE => {
            &["a stapled OCSP response that is not valid"]
        }
        AlertDescription::ECH_REQUIRED => {
            &["an encrypted ClientHello the server could not decrypt"]
        }
        _ => &[],
    }
}

fn detect(handshake: &Handshake<'_>, _limits: &Limits) -> Option<Finding> {
    let connection = handshake.connection;
    let (cause, from, alert, description) = cause(handshake)?;
    if cause != AlertReason::AlertItself {
        return None;
    }
    let own_fault = description == AlertDescription::INTERNAL_ERROR;
    let at_fault = if own_fault { from } else { from.other() };
    let causes = usual_causes(description);
    let words = if causes.is_empty() {
        String::new()
    } else {
        format!("; it can mean {}", causes.join(", or "))
    };
    let found = finding(RECORD.code, handshake, (from, alert, description));
    Some(Finding {
        culprit: culprit(connection, at_fault),
        summary: format!(
            "{} ended the TLS handshake{} with the alert {description} ({}){words}",
            party(handshake, from),
            for_name(handshake),
            description.0,
        ),
        facts: found.facts.clone().with(
            "can_mean",
            Value::List(causes.iter().map(|text| Value::from(*text)).collect()),
        ),
        ..found
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{Talk, client_hello, fatal, server_hello};
    use crate::testing::{codes, only};
    use crate::{Confidence, Role};

    fn hello() -> Vec<u8> {
        client_hello("shop.example", &[0x0304, 0x0303], 0)
    }

    #[test]
    fn an_internal_error_is_its_senders_fault() {
        let talk = Talk::open()
            .client(&hello())
            .server(&fatal(80))
            .server_closes();
        let found = only(&talk.lines());
        assert_eq!(found.code, "tls.alert");
        assert_eq!(found.culprit.role, Role::Server);
        assert_eq!(found.confidence, Confidence::Certain);
        assert!(
            found.summary.contains("internal_error"),
            "{}",
            found.summary
        );
    }

    #[test]
    fn an_illegal_parameter_is_the_other_sides() {
        let talk = Talk::open()
            .client(&hello())
            .server(&server_hello(0x0303, 0xc02f))
            .client(&fatal(47))
            .client_closes();
        let found = only(&talk.lines());
        assert_eq!(
            (found.code, found.culprit.role),
            ("tls.alert", Role::Server)
        );
    }

    #[test]
    fn a_protocol_version_has_its_own_code() {
        let talk = Talk::open()
            .client(&hello())
            .server(&fatal(70))
            .server_closes();
        assert_eq!(codes(&talk.lines()), ["tls.version-mismatch"]);
    }
}
