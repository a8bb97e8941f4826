//! `tls.handshake-reset`: a reset in the middle of the handshake.

use super::{for_name, party};
use crate::causes::CERTIFICATES;
use crate::handshake::{End, Handshake, culprit};
use crate::resets::{Reason, explained};
use crate::{
    Cause, Confidence, Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "tls.handshake-reset",
    group: Group::Tls,
    title: "A reset ended the TLS handshake",
    severity: Severity::Error,
    means: "The connection was reset before the handshake was done, and no alert says why. Where the reset itself is explained, that is \
            the cause.",
    recognised: "A RST while the handshake was under way, without an alert before it.",
    look_alikes: "A FIN at the same place: tls.handshake-closed. A reset behind an alert: the alert is the cause.",
    check_next: &[
        "After the ClientHello: does the same client succeed with another server name? Then a filter by name, at the server or on the way.",
        "After the server's certificate: the client gave up on it without saying so (pinning, a scanner, a closed tab).",
    ],
    explained_by: &[
        Cause::IfAsSevere("tls.not-tls"),
        Cause::IfAsSevere("proxy.header-mismatch"),
        Cause::IfAsSevere("tcp.backend-unreachable"),
        CERTIFICATES,
        Cause::IfAsSevere("tls.unrecognized-name"),
        Cause::IfAsSevere("tls.downgraded"),
        Cause::IfAsSevere("tls.record-corrupted"),
        Cause::IfAsSevere("tls.client-hello-dropped"),
        Cause::IfAsSevere("tls.handshake-timeout"),
        Cause::IfAsSevere("rst.injected"),
        Cause::IfAsSevere("rst.gave-up"),
        Cause::IfAsSevere("rst.no-connection"),
        Cause::IfAsSevere("rst.idle-expired"),
        Cause::IfAsSevere("rst.unread-data"),
        Cause::IfAsSevere("rst.stray-segment"),
        Cause::IfAsSevere("rst.abort"),
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::FailedHandshake(detect),
};

fn detect(handshake: &Handshake<'_>, limits: &Limits) -> Option<Finding> {
    let connection = handshake.connection;
    let End::Reset { from, mark } = handshake.end else {
        return None;
    };
    let ignored = explained(connection, limits).into_iter().any(|explained| {
        explained.event.frame == mark.frame && explained.reason == Reason::OutOfWindow
    });
    if ignored {
        return None;
    }
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Certain,
        // It says no word of why: the other side may have given it reason.
        culprit: culprit(connection, from).at_most(Confidence::Possible),
        summary: format!(
            "{} reset the connection in the middle of the TLS handshake{}, at the stage {}, without an alert",
            party(handshake, from),
            for_name(handshake),
            handshake.stage.name(),
        ),
        frames: handshake.frames([mark.frame]),
        facts: handshake.facts().with("reset_by", from.name()),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{ConversationTrace, client_hello};
    use crate::testing::codes;

    #[test]
    fn a_reset_instead_of_a_hello() {
        let conversation = ConversationTrace::open()
            .client(&client_hello("a.example", &[0x0304], 0))
            .server_resets();
        assert!(codes(&conversation.lines()).contains(&"tls.handshake-reset"));
    }

    #[test]
    fn a_fin_is_none() {
        let conversation = ConversationTrace::open()
            .client(&client_hello("a.example", &[0x0304], 0))
            .server_closes();
        assert!(!codes(&conversation.lines()).contains(&"tls.handshake-reset"));
    }
}
