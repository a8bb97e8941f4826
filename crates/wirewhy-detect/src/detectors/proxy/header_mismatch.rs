//! `proxy.header-mismatch`: a PROXY header that the other side does not expect, or waits for.

use wirewhy_flow::{Connection, Side};
use wirewhy_protocol::{AppFacts, AppProtocol};

use crate::detectors::tls::not_tls::ended_by_server;
use crate::handshake::culprit;
use crate::wording::socket;
use crate::{
    Confidence, Detector, Facts, Finding, Group, Limits, Record, Reportable, Rule, Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "proxy.header-mismatch",
    group: Group::Proxy,
    title: "Only one side speaks the PROXY protocol",
    severity: Severity::Error,
    means: "A proxy begins each connection with a header that names its client (PROXY protocol, version 1 or 2), and the server takes that for \
            the request; or the server waits for such a header, and a client that sends none gets no answer.",
    recognised: "A PROXY header that is answered by HTTP 400, or by the end of the connection; possible, and likely where other connections to \
                 that port are answered without one. A connection without a header that the server ends without an answer, where other \
                 connections to that port begin with a header and are answered (likely).",
    look_alikes: "A server can refuse what follows the header, too. Some take a header only from proxies they trust, and close on all others.",
    check_next: &[
        "Both sides together: send_proxy (HAProxy send-proxy, nginx proxy_protocol on, an NLB's target group attribute) and the listener \
         (nginx listen ... proxy_protocol, HAProxy accept-proxy, Traefik proxyProtocol.trustedIPs).",
        "Health checks and clients inside the cluster that go past the proxy send no header.",
        "curl --haproxy-protocol http://HOST:PORT/ and the same without: which one is answered?",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::PROXY_HEADER, detect),
};

/// The status with which HTTP servers answer what they cannot parse.
const BAD_REQUEST: u16 = 400;

fn sends_header(app: &AppFacts) -> bool {
    app.client.protocol == Some(AppProtocol::ProxyProtocol)
}

/// Whether the server answered the first request in a connection with 400.
pub(crate) fn is_bad_request(app: &AppFacts) -> bool {
    app.http.responses == 1 && app.http.last_status == Some(BAD_REQUEST)
}

fn detect(connection: &Connection, _limits: &Limits) -> Option<Finding> {
    let (frame, how) = unexpected(connection)?;
    Some(finding(
        connection,
        frame,
        Confidence::Possible,
        format!(
            "the client {} began with a PROXY header, and {} {how}: it may not expect one",
            connection.client.address,
            socket(&connection.server),
        ),
        Facts::default().with("header", "unexpected"),
    ))
}

/// How the server took a header that it does not expect, and where.
fn unexpected(connection: &Connection) -> Option<(u64, &'static str)> {
    let app = connection.app.as_deref()?;
    if !sends_header(app) {
        return None;
    }
    let header = connection.client.first_payload?;
    match connection.server.first_payload {
        Some(answer) => is_bad_request(app).then_some((answer.frame, "answered 400")),
        None => {
            let end = ended_by_server(connection, header.frame)?;
            Some((end, "ended the connection without an answer"))
        }
    }
}

/// The finding about a PROXY header that a service does not expect, which answers without one in `stream`.
#[must_use]
pub fn header_not_expected(connection: &Connection, stream: u32) -> Option<Finding> {
    let (frame, how) = unexpected(connection)?;
    Some(finding(
        connection,
        frame,
        Confidence::Likely,
        format!(
            "the client {} began with a PROXY header, and {} {how}: it answers connections without one (stream {stream})",
            connection.client.address,
            socket(&connection.server),
        ),
        Facts::default()
            .with("header", "unexpected")
            .with("answered_in_stream", stream),
    ))
}

/// The finding about a connection without a PROXY header, where the service answers those that begin with one, as in `stream`.
#[must_use]
pub fn header_missing(connection: &Connection, stream: u32) -> Option<Finding> {
    let app = connection.app.as_deref();
    let unanswered = connection.server.first_payload.is_none() || app.is_some_and(is_bad_request);
    let asked = connection.client.first_payload?;
    if app.is_some_and(sends_header) || !unanswered {
        return None;
    }
    let frame = match connection.server.first_payload {
        Some(answer) => answer.frame,
        None => ended_by_server(connection, asked.frame)?,
    };
    Some(finding(
        connection,
        frame,
        Confidence::Likely,
        format!(
            "the client {} began without a PROXY header, and {} did not serve it: it answers connections that begin with one \
             (stream {stream})",
            connection.client.address,
            socket(&connection.server),
        ),
        Facts::default()
            .with("header", "missing")
            .with("answered_in_stream", stream),
    ))
}

fn finding(
    connection: &Connection,
    frame: u64,
    confidence: Confidence,
    summary: String,
    facts: Facts,
) -> Finding {
    let begun = connection.client.first_payload.map(|mark| mark.frame);
    Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence,
        // The side that differs from its neighbours.
        culprit: culprit(connection, Side::Client),
        summary,
        frames: [Some(frame), begun].into_iter().flatten().collect(),
        facts: facts.with("stage", "request-sent"),
        consequence_of: None,
    }
}

#[cfg(test)]
mod tests {
    use crate::detectors::tls::traces::ConversationTrace;
    use crate::testing::codes;

    const HEADER: &[u8] = b"PROXY TCP4 10.0.0.1 10.0.0.2 1000 443\r\n";
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    const BAD: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";

    fn is_found(conversation: ConversationTrace) -> bool {
        codes(&conversation.lines()).contains(&"proxy.header-mismatch")
    }

    #[test]
    fn a_header_that_is_refused() {
        let asked = [HEADER, REQUEST].concat();
        let conversation = || ConversationTrace::open().client(&asked);
        assert!(is_found(conversation().server(BAD).server_closes()));
        assert!(is_found(conversation().server_closes()));
        assert!(is_found(conversation().server_resets()));
    }

    #[test]
    fn a_header_that_is_taken_and_a_bad_request_without_one() {
        let taken = ConversationTrace::open().client(&[HEADER, REQUEST].concat());
        assert!(!is_found(taken.server(OK).client_closes()));
        let bare = ConversationTrace::open().client(REQUEST);
        assert!(!is_found(bare.server(BAD).server_closes()));
        // Who closes without asking checks the health of the port.
        assert!(!is_found(
            ConversationTrace::open().client(HEADER).client_closes()
        ));
    }
}
