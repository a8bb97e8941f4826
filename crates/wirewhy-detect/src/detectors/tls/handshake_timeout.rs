//! `tls.handshake-timeout`: the handshake stops, and nothing more comes.

use wirewhy_flow::Side;

use super::{for_name, party};
use crate::handshake::{Handshake, culprit, long_enough};
use crate::wording::span;
use crate::{Cause, Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity};

pub(crate) const RECORD: Record = Record {
    code: "tls.handshake-timeout",
    group: Group::Tls,
    title: "The TLS handshake stopped, and nothing more came",
    severity: Severity::Error,
    means: "One side was to speak and did not, although its kernel had acknowledged everything: its application hangs, waits for \
            something else, or what it should have read never reached it.",
    recognised: "A handshake that is not finished, everything sent is acknowledged, and silence for 10 s, or for 3 s to the end of the \
                 capture (possible then).",
    look_alikes: "Bytes that are not acknowledged did not arrive: tcp.peer-vanished, tcp.mtu-blackhole. A ClientHello of several \
                  segments: tls.client-hello-dropped.",
    check_next: &[
        "Server silent: is the port served by something that waits for the client to speak another protocol first, or out of workers?",
        "Client silent after the server's certificate: is it checking revocation over a network it cannot reach, or asking a person?",
    ],
    explained_by: &[
        Cause::IfAsSevere("tls.not-tls"),
        Cause::IfAsSevere("proxy.header-mismatch"),
        Cause::IfAsSevere("tls.client-hello-dropped"),
        Cause::IfAsSevere("tcp.peer-vanished"),
        Cause::IfAsSevere("tcp.checksum-drop"),
        Cause::IfAsSevere("tcp.one-way-path"),
        Cause::IfAsSevere("tcp.mtu-blackhole"),
    ],
    reportable: Reportable::HandshakeSilence,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::FailedHandshake(detect),
};

fn detect(handshake: &Handshake<'_>, limits: &Limits) -> Option<Finding> {
    // Over QUIC what is sent again and acknowledged is seen otherwise: quic.handshake-timeout.
    if handshake.tls.is_quic() {
        return None;
    }
    let connection = handshake.connection;
    let (owed_by, since, waited) = handshake.silence()?;
    let asking = owed_by.other();
    // What was said once the silence was over need not have been taken.
    let over = since.time.after(waited);
    let last_payload = connection.side(asking).last_payload;
    let sent_later = last_payload.is_some_and(|last| last.time > over);
    let taken = sent_later || handshake.ending.is_taken(asking);
    let confidence = long_enough(handshake, waited, limits)?;
    // Behind a hole in what the silent side sent its answer may be: it was sent and did not come.
    if !taken || handshake.ending.is_missing_bytes(owed_by) {
        return None;
    }
    let stage = match owed_by {
        Side::Server if handshake.tls.server_hello.is_none() => "did not answer the ClientHello",
        Side::Server => "did not go on with the handshake",
        Side::Client => "did not answer the server's flight",
    };
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence,
        culprit: culprit(connection, owed_by),
        summary: format!(
            "{} {stage}{} in {}",
            party(handshake, owed_by),
            for_name(handshake),
            span(waited),
        ),
        frames: handshake.frames([since.frame]),
        facts: handshake
            .facts()
            .with("silent", owed_by.name())
            .with("waited_seconds", waited)
            .with("threshold_seconds", limits.handshake_silence),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{ConversationTrace, client_hello};
    use crate::Role;
    use crate::testing::{codes, only, without_tcp};

    #[test]
    fn a_hello_nobody_answers() {
        let conversation =
            ConversationTrace::open().client(&client_hello("a.example", &[0x0304], 0));
        let found = only(&conversation.until(30));
        assert_eq!(found.code, "tls.handshake-timeout");
        assert_eq!(found.culprit.role, Role::Server);
    }

    #[test]
    fn a_recording_that_ends_early_proves_nothing() {
        let conversation =
            ConversationTrace::open().client(&client_hello("a.example", &[0x0304], 0));
        assert!(codes(&conversation.until(2)).is_empty());
    }

    #[test]
    fn another_transport_changes_nothing() {
        let conversation =
            || ConversationTrace::open().client(&client_hello("a.example", &[0x0304], 0));
        let codes = |lines: &str| -> Vec<_> {
            let findings = without_tcp(lines).findings;
            findings.iter().map(|finding| finding.code).collect()
        };
        assert_eq!(codes(&conversation().until(30)), ["tls.handshake-timeout"]);
        assert_eq!(codes(&conversation().until(2)), [""; 0]);
    }
}
