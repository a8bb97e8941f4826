//! Challenges of HTTP (401 and 407) that a client met in another connection than that in which it got them: browsers and many
//! libraries open a new one.

use std::net::IpAddr;
use std::sync::Arc;

use wirewhy_detect::{Finding, Judged, Severity, Value, code};
use wirewhy_flow::Connection;
use wirewhy_packet::Interval;
use wirewhy_protocol::{Purpose, Refusals, Request};

use crate::recent::{RecentTable, entry};

/// How soon behind its challenge a client repeats its request: it has the answer at hand, or asks its user.
const AT_ONCE: Interval = Interval::from_secs(10);

/// How many requests are kept of one client and service.
const KEPT: usize = 16;

/// The last requests of clients that were not refused, by client and service.
#[derive(Debug, Default)]
pub(crate) struct Challenges(RecentTable<(IpAddr, IpAddr, u16), Vec<Answered>>);

/// A request that was answered.
#[derive(Clone, Debug)]
struct Answered {
    request: Arc<Request>,
    stream: u32,
}

fn key(connection: &Connection) -> (IpAddr, IpAddr, u16) {
    let (client, server) = (&connection.client, &connection.server);
    (client.address, server.address, server.port)
}

impl Challenges {
    /// Takes in the last request of a connection.
    pub(crate) fn note(&mut self, connection: &Connection) {
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
        let kept = entry(&mut self.0, key(connection));
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push(Answered {
            request: Arc::clone(request),
            stream: connection.stream,
        });
    }

    /// Makes a note of a challenge that the client met in another connection.
    pub(crate) fn revise(&self, judged: &mut Judged) {
        let connection = &judged.connection;
        for finding in &mut judged.findings {
            if finding.severity > Severity::Note
                && let Some(kind) = challenge(connection, finding)
                && let Some(stream) = self.met(connection, kind)
            {
                finding.severity = Severity::Note;
                finding.facts.0.push(("met_in_stream", stream.into()));
                finding.summary.push_str(&format!(
                    "; the client met the challenge in another connection (stream {stream})"
                ));
            }
        }
    }

    /// The connection in which the client repeated the request and was not refused.
    fn met(&self, connection: &Connection, kind: &Refusals) -> Option<u32> {
        let asked = kind.first.request.as_deref()?;
        let kept = self.0.get(&key(connection))?.iter();
        let found = kept.filter(|other| {
            let behind = other.request.begun.time.since(kind.last.time);
            other.stream != connection.stream
                && other.request.method == asked.method
                && other.request.target == asked.target
                && other.request.host == asked.host
                && (Interval::ZERO..=AT_ONCE).contains(&behind)
        });
        found.map(|other| other.stream).min()
    }
}

/// The challenge that a finding is about.
fn challenge<'a>(connection: &'a Connection, finding: &Finding) -> Option<&'a Refusals> {
    let purpose = match finding.code {
        code::HTTP_ERROR_STATUS => Purpose::Request,
        code::HTTP_CONNECT_REFUSED => Purpose::Connect,
        _ => return None,
    };
    let Some(Value::Count(status @ (401 | 407))) = finding.facts.value("status") else {
        return None;
    };
    let trouble = connection.app.as_deref()?.http.trouble.as_deref()?;
    let mut kinds = trouble.refusals.iter();
    kinds.find(|kind| u64::from(kind.status) == *status && kind.purpose == purpose)
}

#[cfg(test)]
mod tests {
    use crate::testing::judge_all;
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
        let judged = judge_all(&format!("{}{second}", exchange(1, 0, "401 Unauthorized")));
        judged[0].findings.first().map(|found| found.severity)
    }

    #[test]
    fn a_challenge_met_in_the_next_connection() {
        assert_eq!(severity(&exchange(2, 1, "200 OK")), Some(Severity::Note));
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
