//! `tls.handshake-closed`: a FIN in the middle of the handshake.

use wirewhy_flow::Side;
use wirewhy_protocol::TlsStage;

use super::{for_name, party};
use crate::causes::{CERTIFICATES, CONVERSATION};
use crate::handshake::{End, Handshake, culprit};
use crate::{
    Cause, Confidence, Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "tls.handshake-closed",
    group: Group::Tls,
    title: "The connection was closed in the middle of the TLS handshake",
    severity: Severity::Error,
    means: "One side closed before the handshake was done, and no alert says why.",
    recognised: "A FIN while the handshake was under way, without a fatal alert before it.",
    look_alikes: "A reset at the same place: tls.handshake-reset. After long silence: tls.handshake-timeout. A client that closes right \
                  after a plainly bad certificate: that certificate is the cause.",
    check_next: &[
        "Closed by the server right after the ClientHello: is TLS served on that port, for that name? See its log.",
        "Closed by the client after the server's certificate: it most likely did not like it; check it with openssl s_client.",
    ],
    explained_by: &[
        Cause::IfAsSevere("tls.not-tls"),
        Cause::IfAsSevere("proxy.header-mismatch"),
        CERTIFICATES,
        Cause::IfAsSevere("tls.unrecognized-name"),
        Cause::IfAsSevere("tls.downgraded"),
        Cause::IfAsSevere("tls.record-corrupted"),
        Cause::IfAsSevere("tls.client-hello-dropped"),
        Cause::IfAsSevere("tls.handshake-timeout"),
        CONVERSATION,
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::FailedHandshake(detect),
};

fn detect(handshake: &Handshake<'_>, _limits: &Limits) -> Option<Finding> {
    // Over QUIC a close says why: quic.handshake-failed.
    if handshake.tls.is_quic() {
        return None;
    }
    let connection = handshake.connection;
    let End::Closed { from, mark } = handshake.end else {
        return None;
    };
    let hint = match (from, handshake.stage) {
        (Side::Server, TlsStage::ClientHello) => ", right after the ClientHello",
        (Side::Client, TlsStage::ServerFlight) => ", right after the server's certificate",
        _ => "",
    };
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Certain,
        // It says no word of why: the other side may have given it reason.
        culprit: culprit(connection, from).at_most(Confidence::Possible),
        summary: format!(
            "{} closed the connection in the middle of the TLS handshake{}{hint}, without an alert",
            party(handshake, from),
            for_name(handshake),
        ),
        frames: handshake.frames([mark.frame]),
        facts: handshake.facts().with("closed_by", from.name()),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{ConversationTrace, client_hello, fatal};
    use crate::testing::codes;

    #[test]
    fn a_fin_instead_of_a_hello() {
        let conversation = ConversationTrace::open()
            .client(&client_hello("a.example", &[0x0304], 0))
            .server_closes();
        assert!(codes(&conversation.lines()).contains(&"tls.handshake-closed"));
    }

    #[test]
    fn an_alert_that_complains_of_the_fin_says_nothing_new() {
        let conversation = ConversationTrace::open()
            .client(&client_hello("a.example", &[0x0303], 0))
            .server_closes()
            .client(&fatal(50));
        let found = codes(&conversation.lines());
        assert!(found.contains(&"tls.handshake-closed"), "{found:?}");
        assert!(!found.contains(&"tls.alert"), "{found:?}");
    }

    #[test]
    fn an_alert_before_the_fin_says_why() {
        let conversation = ConversationTrace::open()
            .client(&client_hello("a.example", &[0x0304], 0))
            .server(&fatal(80))
            .server_closes();
        assert_eq!(codes(&conversation.lines()), ["tls.alert"]);
    }
}
