//! `tcp.truncated-response`: the connection was closed in the middle of what was announced.

use wirewhy_flow::{Connection, Mark, Side};
use wirewhy_protocol::{Framing, Unfinished, What};

use super::resets;
use crate::causes::{ALERTS, CONVERSATION};
use crate::wording::{request, socket};
use crate::{
    Cause, Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role,
    Rule, Severity, Signs, Value,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.truncated-response",
    group: Group::Tcp,
    title: "The server closed before its answer was complete",
    severity: Severity::Error,
    means: "The server announced how long its answer is and closed the connection in an orderly way before all of it was sent: a crash behind \
            a proxy, a worker timeout, a wrong length. The client sees an unexpected end of file.",
    recognised: "The server's FIN, or in the middle of a stream of HTTP/2 its reset, while an HTTP Content-Length, the last chunk, an HTTP/2 stream, a header or a TLS record is not complete.",
    look_alikes: "Answers that end where the connection ends have no length to miss. HEAD, 204 and 304 announce a length and have no body. A \
                  client that closes first cut the answer itself. Bytes that only the recording missed are not missing.",
    check_next: &[
        "Look in the server's log for a worker that died or timed out at that second.",
        "Behind a proxy: does the answer's length change on the way (compression, rewriting), does the upstream time out?",
    ],
    explained_by: &[
        Cause::IfAsSevere("tls.not-tls"),
        Cause::IfAsSevere("proxy.header-mismatch"),
        Cause::IfAsSevere("tls.handshake-timeout"),
        Cause::IfAsSevere("tls.handshake-closed"),
        CONVERSATION,
        ALERTS,
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::UNFINISHED, detect),
};

fn detect(connection: &Connection, _limits: &Limits) -> Option<Finding> {
    let (client, server) = (&connection.client, &connection.server);
    let app = connection.app.as_deref()?;
    let (unfinished, fin) = match cut_by_reset(connection) {
        Some(cut) => cut,
        None => (app.server.truncated()?, server.tcp.fin?),
    };
    if client.tcp.fin.is_some_and(|own| own.frame < fin.frame) || client.tcp.counts.resets > 0 {
        return None;
    }
    let (words, announced, received) = match unfinished.what {
        What::Header => ("in the middle of a header".to_owned(), None, None),
        What::ContentLength {
            announced,
            received,
        } => (
            format!("{received} of {announced} bytes into the body"),
            Some(announced),
            Some(received),
        ),
        What::Chunked { received } => (
            format!("{received} bytes into a chunked body, before its last chunk"),
            None,
            Some(received),
        ),
        What::TlsRecord {
            announced,
            received,
        } => (
            format!("{received} of {announced} bytes into a TLS record"),
            Some(announced),
            Some(received),
        ),
        What::Http2Frame {
            announced,
            received,
        } => (
            format!("{received} of {announced} bytes into an HTTP/2 frame"),
            Some(announced),
            Some(received),
        ),
        What::Http2Stream { stream, received } => (
            format!("{received} bytes into HTTP/2 stream {stream}, before its end"),
            None,
            Some(received),
        ),
    };
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Certain,
        culprit: Culprit::new(Role::Server, server.address),
        summary: format!("{} closed {words}{}", socket(server), request(connection)),
        frames: vec![fin.frame, unfinished.begun.frame],
        facts: Facts::default()
            .with("announced_bytes", announced)
            .with("received_bytes", received)
            .with("status", app.http.last_status)
            .with(
                "request",
                app.http
                    .last_request
                    .as_ref()
                    .map(|asked| Value::from(format!("{} {}", asked.method(), asked.target()))),
            )
            .with("stage", "response-started"),
        consequence_of: None,
    })
}

/// The server's reset in the middle of a stream of HTTP/2, whose frames say that more of the answer was to come.
fn cut_by_reset(connection: &Connection) -> Option<(&Unfinished, Mark)> {
    let app = connection.app.as_deref()?;
    let Framing::Inside(unfinished) = &app.server.framing else {
        return None;
    };
    let in_stream = matches!(
        unfinished.what,
        What::Http2Stream { .. } | What::Http2Frame { .. }
    );
    if !in_stream || connection.server.tcp.fin.is_some() {
        return None;
    }
    let (event, _) = resets(connection, Side::Server).next()?;
    Some((unfinished, event.mark()))
}

#[cfg(test)]
mod tests {
    use crate::testing::codes;

    fn answer(header: &str, body: usize) -> String {
        let header = format!("HTTP/1.1 200 OK\\r\\n{header}\\r\\n\\r\\n");
        let len = header.replace("\\r", "r").replace("\\n", "n").len() + body;
        let text = format!("{header}{}", "x".repeat(body));
        let end = 1 + len;
        format!(
            "0.00 > S 0:0(0)
             0.02 < SA 0:0(0) ack 1
             0.03 > A 1:1(0) ack 1
             0.04 > PA 1:19(18) ack 1 \"GET / HTTP/1.1\\r\\n\\r\\n\"
             0.06 < PA 1:{end}({len}) ack 19 \"{text}\"
             0.07 < FA {end}:{end}(0) ack 19
             0.08 > FA 19:19(0) ack {}
             0.10 < A {}:{}(0) ack 20",
            end + 1,
            end + 1,
            end + 1
        )
    }

    #[test]
    fn half_of_what_was_announced() {
        assert_eq!(
            codes(&answer("Content-Length: 20", 10)),
            ["tcp.truncated-response"]
        );
    }

    #[test]
    fn all_of_what_was_announced() {
        assert!(codes(&answer("Content-Length: 10", 10)).is_empty());
    }

    #[test]
    fn an_answer_that_ends_with_the_connection_has_no_length_to_miss() {
        assert!(codes(&answer("Connection: close", 10)).is_empty());
    }

    #[test]
    fn a_stream_of_http_2_that_a_reset_ends() {
        use crate::detectors::http2::traces::{conversation, frame, get};
        let begun = [frame(1, 4, 1, b"\x88"), frame(0, 0, 1, b"half")].concat();
        let conversation = conversation()
            .client(&get(1))
            .server(&begun)
            .server_resets();
        let found = crate::testing::findings(&conversation.lines());
        assert_eq!(found[0].code, "tcp.truncated-response");
        let rest = &found[1..];
        assert!(
            rest.iter()
                .all(|other| other.consequence_of == Some("tcp.truncated-response"))
        );
    }
}
