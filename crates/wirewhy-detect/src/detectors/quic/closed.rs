//! `quic.closed`: a connection that worked is closed with an error.

use wirewhy_protocol::CloseCode;

use super::{Reading, frames, phrase, side_of};
use crate::handshake::{culprit, flow_mark};
use crate::wording::socket;
use crate::{Confidence, Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity};

pub(crate) const RECORD: Record = Record {
    code: "quic.closed",
    group: Group::Quic,
    title: "A connection over QUIC was closed with an error",
    severity: Severity::Error,
    means: "Behind the handshake one side closed the connection with an error of the transport or of the application, and said which. \
            What was under way is lost.",
    recognised: "CONNECTION_CLOSE with another code than NO_ERROR or H3_NO_ERROR in a packet that opens with the given secrets. An \
                 application that cancels what it no longer wants is a note.",
    look_alikes: "A close with NO_ERROR is the ordinary end. Without secrets no close behind the handshake can be read.",
    check_next: &[
        "Look for the error's name and the reason phrase in the logs of the side that closed.",
        "An error of the transport (FLOW_CONTROL_ERROR, FRAME_ENCODING_ERROR, …) is a fault of one of the two QUIC libraries: which \
         versions do both sides run?",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Quic(detect),
};

fn detect(reading: &Reading<'_>, _limits: &Limits) -> Option<Finding> {
    let Reading {
        connection, quic, ..
    } = *reading;
    let close = quic.failure()?;
    if !reading.is_established() || close.code.alert().is_some() {
        return None;
    }
    let from = side_of(close.from);
    let severity = match close.code {
        // H3_REQUEST_REJECTED and H3_REQUEST_CANCELLED, and H3_VERSION_FALLBACK, which asks for HTTP/1.1.
        CloseCode::Application(0x10b | 0x10c | 0x110) => Severity::Note,
        // What other applications than HTTP/3 mean by their codes is not known.
        CloseCode::Application(_) if close.code.name().is_none() => return None,
        _ => Severity::Error,
    };
    Some(Finding {
        code: RECORD.code,
        severity,
        confidence: Confidence::Certain,
        culprit: culprit(connection, from).at_most(Confidence::Possible),
        summary: format!(
            "{} closed the connection{} with {}{}",
            socket(connection.side(from)),
            reading.for_name(),
            close.code,
            phrase(close),
        ),
        frames: frames([flow_mark(close.mark)]),
        facts: reading
            .facts()
            .with("from", from.name())
            .with("error_code", close.code.value())
            .with("error_name", close.code.name())
            .with("reason", &*close.reason)
            .with(
                "is_application_error",
                matches!(close.code, CloseCode::Application(_)),
            ),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::ConversationTrace;
    use crate::{Confidence, Severity};

    /// Behind the handshake a close is readable in an Initial packet too, as some servers send it.
    #[test]
    fn an_error_of_the_transport() {
        let found = ConversationTrace::new()
            .client_hello(0)
            .handshake(20)
            .server_closes(100, 0x03, "flow control")
            .until(2_000)
            .only();
        assert_eq!(found.code, "quic.closed");
        assert_eq!(
            (found.severity, found.confidence),
            (Severity::Error, Confidence::Certain)
        );
    }

    #[test]
    fn the_ordinary_end_is_none() {
        let conversation = ConversationTrace::new()
            .client_hello(0)
            .handshake(20)
            .server_closes(100, 0x00, "")
            .until(2_000);
        assert_eq!(conversation.codes(), [""; 0]);
    }
}
