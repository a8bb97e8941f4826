//! Challenges of HTTP (401 and 407), and refused streams of HTTP/2: the client repeats the request in another connection than that
//! in which it got them, as browsers and many libraries do.

use wirewhy_detect::{Diagnosis, Finding, Severity, Value, code};
use wirewhy_flow::Connection;
use wirewhy_packet::{Interval, Timestamp};
use wirewhy_protocol::{Http2Error, Mark, Purpose, Refusals, Refused, Request, RequestHash};

use crate::clients::{Client, Clients, key};

/// How soon behind its challenge a client repeats its request: it has the answer at hand, or asks its user.
const AT_ONCE: Interval = Interval::from_secs(10);

/// How many requests are kept of one client and service.
const KEPT: usize = 16;

/// A request that was answered.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    request: RequestHash,
    begun: Timestamp,
    stream: u32,
}

impl Client {
    /// Takes in the last request of a connection, which was not refused.
    pub(crate) fn note_answered(&mut self, (request, at): (RequestHash, Mark), stream: u32) {
        let answered = Answered {
            request,
            begun: at.time,
            stream,
        };
        self.answered.add(answered, KEPT);
    }
}

impl Clients {
    /// Takes in the last request of a connection.
    pub(crate) fn note_request(&mut self, connection: &Connection) {
        let app = connection.app.as_deref();
        let Some(last) = app.and_then(|app| app.http.last.as_ref()) else {
            return;
        };
        let (Some(request), Some(status)) = (&last.request, last.status) else {
            return;
        };
        // Another refusal may come before the server looks at who asks, as one of a body that is too long does.
        if status >= 400 {
            return;
        }
        let client = self.of(connection);
        client.note_answered((request.hash(), request.begun), connection.stream);
    }

    /// Makes a note of a challenge that the client met in another connection.
    pub(crate) fn revise_challenges(&self, diagnosis: &mut Diagnosis) {
        let connection = &diagnosis.connection;
        for finding in &mut diagnosis.findings {
            if finding.severity <= Severity::Note {
                continue;
            }
            if let Some(stream) = self.answered_elsewhere(connection, finding) {
                finding.severity = Severity::Note;
                finding.facts.0.push(("answered_in_stream", stream.into()));
                finding.summary.push_str(&format!(
                    "; the client sent it again in another connection (stream {stream}), where it succeeded"
                ));
            } else if let Some(kind) = challenge(connection, finding)
                && let Some(asked) = kind.first.request.as_deref()
                && let Some(stream) = self.met(connection, asked, kind.last)
            {
                finding.severity = Severity::Note;
                let (fact, words) = match kind.status {
                    401 | 407 => ("met_in_stream", "met the challenge"),
                    _ => ("answered_in_stream", "sent it again with success"),
                };
                finding.facts.0.push((fact, stream.into()));
                finding.summary.push_str(&format!(
                    "; the client {words} in another connection (stream {stream})"
                ));
            }
        }
    }

    /// The last of the connections in which the client repeated all requests that a finding says were refused, and they
    /// succeeded.
    fn answered_elsewhere(&self, connection: &Connection, finding: &Finding) -> Option<u32> {
        let refused = refused(connection, finding)?.iter();
        let streams: Option<Vec<u32>> = refused
            .map(|refused| self.met(connection, refused.request.as_deref()?, refused.at))
            .collect();
        streams?.into_iter().max()
    }

    /// The connection in which the client repeated a request that was refused last at `refused`, and was not refused again.
    fn met(&self, connection: &Connection, asked: &Request, refused: Mark) -> Option<u32> {
        let kept = self.0.get(&key(connection))?.answered.iter();
        let asked = asked.hash();
        let found = kept.filter(|other| {
            let behind = other.begun.since(refused.time);
            other.stream != connection.stream
                && other.request == asked
                && (Interval::ZERO..=AT_ONCE).contains(&behind)
        });
        found.map(|other| other.stream).min()
    }
}

/// The refused requests that a finding is about, where all of them are known.
fn refused<'a>(connection: &'a Connection, finding: &Finding) -> Option<&'a [Refused]> {
    let code = Value::from(Http2Error::REFUSED_STREAM.0);
    if finding.code != code::HTTP2_STREAM_RESET || finding.facts.value("error_code") != Some(&code)
    {
        return None;
    }
    let facts = connection.app.as_deref()?.http.http2.as_deref()?;
    (facts.further_refused == 0).then_some(&facts.refused)
}

/// What a finding is about that a client can meet: a challenge, a connection for another name (421), early data (425), or an
/// expectation that is not met (417); RFC 9110 sections 15.5.18 and 15.5.20, RFC 8470 section 5.2.
fn challenge<'a>(connection: &'a Connection, finding: &Finding) -> Option<&'a Refusals> {
    let purpose = match finding.code {
        code::HTTP_ERROR_STATUS => Purpose::Request,
        code::HTTP_CONNECT_REFUSED => Purpose::Connect,
        _ => return None,
    };
    let Some(Value::Count(status @ (401 | 407 | 417 | 421 | 425))) = finding.facts.value("status")
    else {
        return None;
    };
    let trouble = connection.app.as_deref()?.http.trouble.as_deref()?;
    let mut kinds = trouble.refusals.iter();
    kinds.find(|kind| u64::from(kind.status) == *status && kind.purpose == purpose)
}

#[cfg(test)]
mod tests {
    use crate::testing::diagnose_all;
    use wirewhy_detect::Severity;

    /// A request at this time of this connection, and its answer.
    fn exchange(stream: u32, at: u32, status: &str) -> String {
        let answer = format!("HTTP/1.1 {status}\\r\\nContent-Length: 0\\r\\n\\r\\n");
        let length = answer.replace("\\r", "r").replace("\\n", "n").len();
        let (end, next) = (1 + length, 2 + length);
        format!(
            "{at}.00 #{stream} > S 0:0(0)
             {at}.02 #{stream} < SA 0:0(0) ack 1
             {at}.03 #{stream} > A 1:1(0) ack 1
             {at}.04 #{stream} > PA 1:29(28) ack 1 \"GET /a HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n\"
             {at}.06 #{stream} < PA 1:{end}({length}) ack 29 \"{answer}\"
             {at}.07 #{stream} > FA 29:29(0) ack {end}
             {at}.09 #{stream} < FA {end}:{end}(0) ack 30
             {at}.10 #{stream} > A 30:30(0) ack {next}\n"
        )
    }

    fn severity(second: &str) -> Option<Severity> {
        let diagnosis = diagnose_all(&format!("{}{second}", exchange(1, 0, "401 Unauthorized")));
        diagnosis[0].findings.first().map(|found| found.severity)
    }

    #[test]
    fn a_challenge_met_in_the_next_connection() {
        assert_eq!(severity(&exchange(2, 1, "200 OK")), Some(Severity::Note));
    }

    #[test]
    fn a_request_that_is_repeated_in_a_connection_of_its_own() {
        for status in ["421 Misdirected Request", "425 Too Early"] {
            let severity = |second: &str| {
                let diagnosis = diagnose_all(&format!("{}{second}", exchange(1, 0, status)));
                diagnosis[0].findings.first().map(|found| found.severity)
            };
            assert_eq!(severity(&exchange(2, 1, "200 OK")), Some(Severity::Note));
            assert_eq!(severity(&exchange(2, 1, status)), Some(Severity::Warning));
        }
        let diagnosis = diagnose_all(&format!(
            "{}{}",
            exchange(1, 0, "403 Forbidden"),
            exchange(2, 1, "200 OK")
        ));
        assert_eq!(diagnosis[0].findings[0].severity, Severity::Warning);
    }

    /// A connection of HTTP/2 at this time, with a request and this frame for an answer to it.
    fn stream(stream: u32, at: u32, answer: &str) -> String {
        let length = 9 + answer.matches("\\x").count();
        let (end, next) = (length + 1, length + 2);
        let preface = r"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
        let get = r"\x00\x00\x02\x01\x05\x00\x00\x00\x01\x82\x84";
        let settings = r"\x00\x00\x00\x04\x00\x00\x00\x00\x00";
        format!(
            "{at}.00 #{stream} > S 0:0(0)
             {at}.02 #{stream} < SA 0:0(0) ack 1
             {at}.03 #{stream} > A 1:1(0) ack 1
             {at}.04 #{stream} > PA 1:45(44) ack 1 \"{preface}{get}\"
             {at}.06 #{stream} < PA 1:{end}({length}) ack 45 \"{settings}{answer}\"
             {at}.07 #{stream} > FA 45:45(0) ack {end}
             {at}.09 #{stream} < FA {end}:{end}(0) ack 46
             {at}.10 #{stream} > A 46:46(0) ack {next}\n"
        )
    }

    #[test]
    fn a_refused_stream_that_is_sent_again_in_another_connection() {
        let refusal = r"\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x07";
        let fine = r"\x00\x00\x01\x01\x05\x00\x00\x00\x01\x88";
        let severity = |second: &str| {
            let diagnosis = diagnose_all(&format!("{}{second}", stream(1, 0, refusal)));
            let mut found = diagnosis[0].findings.iter();
            let found = found.find(|found| found.code == "http2.stream-reset");
            found.unwrap().severity
        };
        assert_eq!(severity(&stream(2, 1, fine)), Severity::Note);
        assert_eq!(severity(&stream(2, 1, refusal)), Severity::Warning);
        assert_eq!(severity(&stream(2, 40, fine)), Severity::Warning);
        assert_eq!(severity(""), Severity::Warning);
    }

    #[test]
    fn a_challenge_that_comes_again_or_is_met_much_later() {
        assert_eq!(
            severity(&exchange(2, 1, "401 Unauthorized")),
            Some(Severity::Warning)
        );
        assert_eq!(
            severity(&exchange(2, 1, "413 Content Too Large")),
            Some(Severity::Warning)
        );
        assert_eq!(
            severity(&exchange(2, 40, "200 OK")),
            Some(Severity::Warning)
        );
        assert_eq!(severity(""), Some(Severity::Warning));
    }
}
