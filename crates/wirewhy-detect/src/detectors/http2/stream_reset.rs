//! `http2.stream-reset`: requests of HTTP/2 that were reset before their answer was complete.

use wirewhy_flow::Connection;
use wirewhy_protocol::{Http2Error, Http2Facts, Role as Sender, StreamResets};

use super::{fault, http2, named, reading_behind};
use crate::wording::{count, socket};
use crate::{
    Cause, Confidence, Detector, Facts, Finding, Group, Limits, Record, Reportable, Rule, Severity,
    Signs, Value,
};

pub(crate) const RECORD: Record = Record {
    code: "http2.stream-reset",
    group: Group::Http2,
    title: "Streams of HTTP/2 were reset before their answer was complete",
    severity: Severity::Error,
    means: "RST_STREAM ends one request and leaves the connection open. From the server it means that it will not or cannot answer, from the \
            client that it no longer wants the answer.",
    recognised: "RST_STREAM on a stream whose answer is not complete, by its code. An error where the server sent it, or the client with a code \
                 other than CANCEL; a note for a client that cancels, for HTTP_1_1_REQUIRED, and for REFUSED_STREAM where the client sent all \
                 refused requests again and got answers, in this connection or the next. Without an answer that is a warning: a refused \
                 request was not begun, and is safe to send again.",
    look_alikes: "A reset behind a complete answer (NO_ERROR) only says that the rest of the request is not wanted. A client of gRPC that cancels \
                  at its deadline is grpc.error-status.",
    check_next: &[
        "Look for the request in the log of the side that sent the reset, at that second.",
        "REFUSED_STREAM: compare the streams open at once with the server's SETTINGS_MAX_CONCURRENT_STREAMS; the client may send them again.",
        "INTERNAL_ERROR: the log of the server, and behind a proxy of the server behind it, at that second.",
        "CANCEL by a server: an idle timer for streams, or a proxy whose own client went away.",
    ],
    explained_by: &[
        Cause::IfAsSevere("http2.goaway"),
        Cause::IfAsSevere("http2.protocol-mismatch"),
        Cause::IfAsSevere("http.error-status"),
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Connection(Signs::HTTP2_TROUBLE, detect),
};

fn severity(facts: &Http2Facts, kind: &StreamResets) -> Severity {
    match (kind.sender, kind.code) {
        (Sender::Client, Http2Error::CANCEL | Http2Error::NO_ERROR) => Severity::Note,
        (_, Http2Error::HTTP_1_1_REQUIRED) => Severity::Note,
        // Not processed, so that no work is lost, and most clients send it again by themselves (RFC 9113 section 8.7).
        (Sender::Server, Http2Error::REFUSED_STREAM) => match lost(facts) {
            0 => Severity::Note,
            _ => Severity::Warning,
        },
        // The even ones are pushed by the server, and not asked for.
        (Sender::Client, _) if kind.stream.is_multiple_of(2) => Severity::Note,
        _ => Severity::Error,
    }
}

/// How many refused requests this connection does not answer later.
fn lost(facts: &Http2Facts) -> u64 {
    let kept = u64::try_from(facts.refused.len()).unwrap_or(u64::MAX);
    kept.saturating_add(facts.further_refused)
}

/// What became of refused requests, for the end of a sentence.
fn outcome(facts: &Http2Facts, kind: &StreamResets) -> String {
    if !is_refusal(kind) {
        return String::new();
    }
    match lost(facts) {
        0 => "; what was refused was sent again and answered".to_owned(),
        lost => format!(
            "; {} not answered later in this connection",
            was(lost, "request")
        ),
    }
}

fn was(many: u64, what: &str) -> String {
    let verb = if many == 1 { "was" } else { "were" };
    format!("{} {verb}", count(many, what))
}

fn is_refusal(kind: &StreamResets) -> bool {
    kind.sender == Sender::Server && kind.code == Http2Error::REFUSED_STREAM
}

fn detect(connection: &Connection, _limits: &Limits) -> Option<Finding> {
    let facts = http2(connection)?;
    let kind = facts.resets.iter().reduce(|worst, next| {
        if severity(facts, next) > severity(facts, worst) {
            next
        } else {
            worst
        }
    })?;
    let all: u64 = facts.resets.iter().map(|kind| kind.count).sum();
    let others = match all - kind.count {
        0 => String::new(),
        others => format!("; {others} more for other reasons"),
    };
    let (sender, words) = match kind.sender {
        Sender::Client => (&connection.client, "the client"),
        Sender::Server => (&connection.server, "the server"),
    };
    let answered = match kind.answered {
        0 => "without an answer".to_owned(),
        all if all == kind.count => "in the middle of the answer".to_owned(),
        some => format!("{some} of them in the middle of the answer"),
    };
    Some(Finding {
        code: RECORD.code,
        severity: severity(facts, kind),
        confidence: Confidence::Certain,
        culprit: fault(connection, kind.sender, kind.code),
        summary: format!(
            "{words} {} reset {} with {}, {answered}{}{}{}{others}",
            socket(sender),
            count(kind.count, "stream"),
            kind.code.name(),
            named(kind.request.as_deref()),
            reading_behind(kind.code),
            outcome(facts, kind),
        ),
        frames: [Some(kind.first), kind.asked]
            .into_iter()
            .flatten()
            .map(|mark| mark.frame)
            .collect(),
        facts: Facts::default()
            .with(
                "sender",
                match kind.sender {
                    Sender::Client => "client",
                    Sender::Server => "server",
                },
            )
            .with("error", kind.code.name())
            .with("error_code", kind.code.0)
            .with("streams", kind.count)
            .with("answered", kind.answered)
            .with("first_stream", kind.stream)
            .with("retryable", kind.code == Http2Error::REFUSED_STREAM)
            .with("lost", is_refusal(kind).then(|| lost(facts)))
            .with(
                "request",
                kind.request
                    .as_deref()
                    .map(|asked| Value::from(format!("{} {}", asked.method(), asked.target()))),
            ),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{RST_STREAM, answer, conversation, frame, get};
    use crate::detectors::tls::traces::ConversationTrace;
    use crate::testing::{codes, only};
    use crate::{Role, Severity};

    fn reset(stream: u32, code: u32) -> Vec<u8> {
        frame(RST_STREAM, 0, stream, &code.to_be_bytes())
    }

    #[test]
    fn a_server_that_takes_no_more_streams() {
        let conversation = conversation().client(&get(1)).server(&reset(1, 7));
        let found = only(&conversation.client_closes().lines());
        assert_eq!(
            (found.code, found.severity, found.culprit.role),
            ("http2.stream-reset", Severity::Warning, Role::Server)
        );
        assert!(
            found
                .summary
                .contains("1 stream with REFUSED_STREAM, without an answer (GET /)")
        );
    }

    #[test]
    fn a_refused_request_that_is_sent_again() {
        let refused = || {
            conversation()
                .client(&get(1))
                .server(&reset(1, 7))
                .client(&get(3))
        };
        let severity =
            |conversation: ConversationTrace| only(&conversation.client_closes().lines()).severity;
        assert_eq!(severity(refused().server(&answer(3, &[]))), Severity::Note);
        let again = refused().server(&reset(3, 7)).client(&get(5));
        assert_eq!(severity(again.server(&answer(5, &[]))), Severity::Note);
        assert_eq!(severity(refused().server(&reset(3, 7))), Severity::Warning);
        // For something else.
        let other = frame(1, 5, 3, b"\x82\x85");
        let lost = conversation()
            .client(&get(1))
            .server(&reset(1, 7))
            .client(&other);
        assert_eq!(severity(lost.server(&answer(3, &[]))), Severity::Warning);
        // Sent before the refusal, and so not in place of what it refused.
        let both = conversation()
            .client(&get(1))
            .client(&get(3))
            .server(&reset(1, 7));
        assert_eq!(severity(both.server(&answer(3, &[]))), Severity::Warning);
    }

    #[test]
    fn a_refused_request_that_cannot_be_read() {
        // An index that no table has.
        let unread = frame(1, 5, 1, b"\xff\x7f");
        let conversation = conversation().client(&unread).server(&reset(1, 7));
        let found = only(&conversation.client_closes().lines());
        assert_eq!(found.severity, Severity::Warning);
    }

    #[test]
    fn a_server_that_fails_in_the_middle() {
        let begun = frame(1, 4, 1, b"\x88");
        let conversation = conversation()
            .client(&get(1))
            .server(&begun)
            .server(&reset(1, 2));
        let found = only(&conversation.client_closes().lines());
        assert_eq!(
            (found.code, found.severity),
            ("http2.stream-reset", Severity::Error)
        );
    }

    #[test]
    fn a_client_that_no_longer_wants_the_answer() {
        let conversation = conversation().client(&get(1)).client(&reset(1, 8));
        assert_eq!(
            only(&conversation.client_closes().lines()).severity,
            Severity::Note
        );
    }

    #[test]
    fn a_reset_behind_a_complete_answer() {
        // The request goes on: it has no END_STREAM.
        let conversation = conversation()
            .client(&frame(1, 4, 1, b"\x83\x84"))
            .server(&answer(1, &[]));
        let lines = conversation.server(&reset(1, 0)).client_closes().lines();
        assert_eq!(codes(&lines), [] as [&str; 0]);
    }
}
