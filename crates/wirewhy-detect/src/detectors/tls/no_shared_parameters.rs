//! `tls.no-shared-parameters`: no cipher suite, group or signature algorithm both sides accept.

use wirewhy_protocol::AlertDescription;

use super::{AlertReason, cause, finding, for_name, party};
use crate::handshake::{Handshake, names};
use crate::{Confidence, Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity};

pub(crate) const RECORD: Record = Record {
    code: "tls.no-shared-parameters",
    group: Group::Tls,
    title: "No cipher suite, group or signature algorithm in common",
    severity: Severity::Error,
    means: "The server found nothing in the client's offer that it is willing to use.",
    recognised: "The server answers the ClientHello with handshake_failure or insufficient_security. The facts list what was offered.",
    look_alikes: "Some servers send handshake_failure for a name they do not serve, and old ones for a version they do not speak. A \
                  missing client certificate gives the same alert, but after the server's hello: tls.client-cert-missing.",
    check_next: &[
        "nmap --script ssl-enum-ciphers -p PORT HOST (or testssl.sh): what does the server accept? Compare with the offer in the facts.",
        "Does the server hold a certificate of the right kind (RSA or ECDSA) for the signature algorithms and suites offered?",
        "Does it work without the server name, or with another one?",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::FailedHandshake(detect),
};

fn detect(handshake: &Handshake<'_>, limits: &Limits) -> Option<Finding> {
    let connection = handshake.connection;
    let (AlertReason::Parameters, from, alert, description) = cause(handshake, limits)? else {
        return None;
    };
    let hello = handshake.tls.client_hello.as_deref()?;
    let found = finding(RECORD.code, handshake, (from, alert, description));
    let unnamed = match hello.server_name() {
        None => {
            "; the client asked for no server name, which servers of many names need: that is the more likely reason"
        }
        Some(_) => "",
    };
    let suites = hello.cipher_suites();
    let groups = hello.groups();
    Some(Finding {
        // handshake_failure is what some send for an unknown name or version too.
        confidence: match description {
            AlertDescription::INSUFFICIENT_SECURITY => Confidence::Certain,
            _ if hello.server_name().is_none() => Confidence::Possible,
            _ => Confidence::Likely,
        },
        summary: format!(
            "{} found nothing it accepts in the client's offer{} of {} cipher suite(s) and {} group(s), and sent {description}{unnamed}",
            party(handshake, from),
            for_name(handshake),
            suites.len(),
            groups.len(),
        ),
        facts: found
            .facts
            .clone()
            .with("client_versions", names(&hello.versions()))
            .with("cipher_suites", names(&suites))
            .with("groups", names(&groups))
            .with("key_shares", names(&hello.key_shares()))
            .with("signature_schemes", names(&hello.signature_schemes())),
        culprit: crate::handshake::culprit(connection, wirewhy_flow::Side::Server)
            .at_most(Confidence::Possible),
        ..found
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{ConversationTrace, client_hello, fatal, server_hello};
    use crate::Confidence;
    use crate::testing::{codes, only};

    #[test]
    fn handshake_failure_in_answer_to_the_hello() {
        let conversation = ConversationTrace::open()
            .client(&client_hello("a.example", &[0x0304], 0))
            .server(&fatal(40))
            .server_closes();
        let found = only(&conversation.lines());
        assert_eq!(found.code, "tls.no-shared-parameters");
        assert_eq!(found.confidence, Confidence::Likely);
    }

    #[test]
    fn handshake_failure_of_the_client_after_the_servers_choice_is_none() {
        let conversation = ConversationTrace::open()
            .client(&client_hello("a.example", &[], 0))
            .server(&server_hello(0x0303, 0xc02f))
            .client(&fatal(40))
            .client_closes();
        assert_eq!(codes(&conversation.lines()), ["tls.alert"]);
    }
}
