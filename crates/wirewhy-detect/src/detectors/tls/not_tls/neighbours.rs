//! What a port speaks in other connections, where a side of this one answered nothing.

use wirewhy_flow::{Connection, Mark, Side};
use wirewhy_protocol::AppProtocol;

use super::deadlock::Deadlock;
use super::{RECORD, plain};
use crate::detectors::proxy::header_mismatch::is_bad_request;
use crate::ending::Ending;
use crate::handshake::culprit;
use crate::wording::socket;
use crate::{Confidence, Facts, Finding, Limits, Severity};

/// The finding about a client that did not speak TLS, and got no answer, where the port speaks TLS in `stream`; `None` where
/// that explains nothing.
#[must_use]
pub fn neighbours_speak_tls(
    connection: &Connection,
    stream: u32,
    limits: &Limits,
) -> Option<Finding> {
    if let Some(deadlock) = Deadlock::of(connection, limits) {
        let why = format!("the port speaks TLS in other connections (stream {stream})");
        let found = deadlock.finding(Confidence::Likely, &why);
        return Some(Finding {
            facts: found.facts.with("tls_in_stream", stream),
            ..found
        });
    }
    let app = connection.app.as_deref()?;
    let asks = app.client.app_protocol()?;
    let tls = matches!(asks, AppProtocol::Tls | AppProtocol::TlsInTds) || app.tls.is_some();
    let asked = connection.client.first_payload?;
    if tls || app.upgrade.is_some() || !opened(connection) {
        return None;
    }
    let spoke = plain(Some(asks)).unwrap_or("something other than TLS");
    let (frame, how) = unanswered(connection, asked.frame, limits)?;
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit: culprit(connection, Side::Client).at_most(Confidence::Possible),
        summary: format!(
            "the client {} spoke {spoke} to {}, which {how} and speaks TLS in other connections (stream {stream})",
            connection.client.address,
            socket(&connection.server),
        ),
        frames: vec![frame, asked.frame],
        facts: Facts::default()
            .with("not_tls", Side::Client.name())
            .with("spoke", spoke)
            .with("tls_in_stream", stream)
            .with("stage", "tls-begun"),
        consequence_of: None,
    })
}

/// The finding about a TLS client that got no answer, where the port speaks `spoke` in `stream` and TLS in none; `None` where
/// that explains nothing.
#[must_use]
pub fn neighbours_speak_otherwise(
    connection: &Connection,
    spoke: &'static str,
    stream: u32,
    limits: &Limits,
) -> Option<Finding> {
    let app = connection.app.as_deref()?;
    let hello = app.tls.as_deref()?.client_hello.as_deref()?;
    let at_once = app.client.app_protocol() == Some(AppProtocol::Tls);
    if !at_once || !opened(connection) {
        return None;
    }
    let (frame, how) = match (connection.server.first_payload, app.server.protocol) {
        (Some(answer), Some(AppProtocol::Unknown)) => (answer.frame, "answered no TLS"),
        _ => unanswered(connection, hello.mark.frame, limits)?,
    };
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit: culprit(connection, Side::Server).at_most(Confidence::Possible),
        summary: format!(
            "{} {how} to a TLS client: in other connections the port speaks {spoke} (stream {stream})",
            socket(&connection.server),
        ),
        frames: vec![frame, hello.mark.frame],
        facts: Facts::default()
            .with("not_tls", Side::Server.name())
            .with("spoke", spoke)
            .with("spoken_in_stream", stream)
            .with("stage", "tls-begun"),
        consequence_of: None,
    })
}

/// How a connection began that the server answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spoken {
    /// The protocol that is no TLS; `None` where TLS began at once.
    pub other: Option<&'static str>,
    /// Whether a PROXY header came first.
    pub proxied: bool,
}

/// How a connection began, where the server answered in kind: what its port speaks. `None` where that did not show.
#[must_use]
pub fn spoken(connection: &Connection) -> Option<Spoken> {
    let app = connection.app.as_deref()?;
    let both =
        connection.client.first_payload.is_some() && connection.server.first_payload.is_some();
    if !opened(connection) || !both || is_bad_request(app) || app.http.complaint.is_some() {
        return None;
    }
    let proxied = app.client.protocol == Some(AppProtocol::ProxyProtocol);
    let asks = app.client.app_protocol()?;
    let answers = app.server.protocol?;
    let hello = app
        .tls
        .as_deref()
        .is_some_and(|tls| tls.server_hello.is_some());
    let other = match (asks, answers) {
        (AppProtocol::Tls, AppProtocol::Tls) if hello => None,
        (AppProtocol::Tls, _) | (_, AppProtocol::Tls) => return None,
        _ => {
            let name = plain(Some(answers)).or_else(|| plain(Some(asks)));
            Some(name.unwrap_or("something other than TLS"))
        }
    };
    Some(Spoken { other, proxied })
}

/// Whether a whole ClientHello was all that was said, and the server ended the connection behind it.
#[must_use]
pub fn hello_was_refused(connection: &Connection) -> bool {
    let hello = connection.app.as_deref().and_then(|app| {
        let tls = app.tls.as_deref()?;
        tls.client_hello.as_deref()
    });
    let unanswered = connection.server.first_payload.is_none();
    hello.is_some_and(|hello| {
        unanswered && opened(connection) && ended_by_server(connection, hello.mark.frame).is_some()
    })
}

/// Whether the connection was seen from its beginning, so that its first bytes are the first.
fn opened(connection: &Connection) -> bool {
    connection.tcp.handshake.syn_ack.is_some()
}

/// How a server left without an answer what it was sent: by ending the connection, or by a silence that the client ended.
fn unanswered(connection: &Connection, asked: u64, limits: &Limits) -> Option<(u64, &'static str)> {
    if connection.server.first_payload.is_some() {
        return None;
    }
    if let Some(frame) = ended_by_server(connection, asked) {
        return Some((frame, "gave no answer but the end of the connection"));
    }
    let ending = Ending::of(connection);
    let last = connection.client.last_payload?;
    let (_, left) = first_end(&ending)?;
    let waited = left.time.since(last.time) >= limits.silence;
    (waited && ending.is_taken(Side::Client)).then_some((left.frame, "gave no answer"))
}

/// Where the connection was closed or reset first.
fn first_end(ending: &Ending) -> Option<(Side, Mark)> {
    [ending.closed, ending.reset]
        .into_iter()
        .flatten()
        .min_by_key(|(_, mark)| mark.frame)
}

/// Where the server closed or reset first, behind what it was sent.
pub(crate) fn ended_by_server(connection: &Connection, asked: u64) -> Option<u64> {
    let (from, mark) = first_end(&Ending::of(connection))?;
    (from == Side::Server && mark.frame > asked).then_some(mark.frame)
}
