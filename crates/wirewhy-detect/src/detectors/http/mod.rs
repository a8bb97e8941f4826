//! HTTP of any version: statuses that refuse, and what was waited for.

pub(crate) mod connect_refused;
pub(crate) mod error_status;
pub(crate) mod expect_stall;
mod status;
pub(crate) mod upgrade_refused;

use std::fmt::Write as _;

use wirewhy_flow::Connection;
use wirewhy_packet::Interval;
use wirewhy_protocol::{Author, Exchange, Gateway, Purpose, Refusals, RetryAfter};

use crate::wording::span;
use crate::{Facts, Severity, Value};

/// The answers of a connection that refuse what the client asked for, of these purposes.
fn refusals<'a>(
    connection: &'a Connection,
    purposes: &'static [Purpose],
) -> impl Iterator<Item = &'a Refusals> {
    let app = connection.app.as_deref();
    let trouble = app.and_then(|app| app.http.trouble.as_deref());
    trouble
        .into_iter()
        .flat_map(|trouble| &trouble.refusals)
        .filter(move |kind| purposes.contains(&kind.purpose))
}

/// The first of the worst kinds; a server's failure before a refusal.
fn worst<'a>(
    kinds: impl Iterator<Item = &'a Refusals>,
    severity: impl Fn(&Refusals) -> Severity,
) -> Option<(Severity, &'a Refusals)> {
    let rank = |kind: &Refusals| (severity(kind), kind.status >= 500);
    let kind = kinds.reduce(|worst, next| {
        if rank(next) > rank(worst) {
            next
        } else {
            worst
        }
    })?;
    Some((severity(kind), kind))
}

/// The frames of the first answer, of what it answers, and of the last one.
fn answer_frames(kind: &Refusals) -> Vec<u64> {
    let mut frames = vec![kind.first.answered.frame];
    frames.extend(kind.first.request.as_deref().map(|asked| asked.begun.frame));
    if kind.last.frame != kind.first.answered.frame {
        frames.push(kind.last.frame);
    }
    frames
}

/// How many of the answers the client did not get another status for in the same connection.
fn unsettled(kind: &Refusals) -> u64 {
    kind.count.saturating_sub(kind.settled)
}

/// What was asked for: ` to GET /index.html of example.com`. Text from the wire.
fn asked_for(exchange: &Exchange) -> String {
    let Some(request) = exchange.request.as_deref() else {
        return String::new();
    };
    let host = request.host();
    let host = host.map_or(String::new(), |host| format!(" of {host}"));
    format!(" to {} {}{host}", request.method(), request.target())
}

/// The times of an exchange: between the last byte of the request and the first of the answer, and from there to its last.
fn times(exchange: &Exchange) -> (Option<Interval>, Option<Interval>) {
    let answered = exchange.answered.time;
    (
        exchange.sent.map(|sent| answered.since(sent.time)),
        exchange.ended.map(|ended| ended.time.since(answered)),
    )
}

/// How many seconds the client is to wait, from the first answer of this kind on; `None` where that is not said. A date is held
/// against the capture's time, and says nothing where it is past already.
fn wait(kind: &Refusals) -> Option<u64> {
    let date = match kind.detail.retry_after.as_ref()? {
        RetryAfter::Seconds(seconds) => return Some(*seconds),
        RetryAfter::Date(date) => http_date(date)?,
    };
    let wait =
        i128::from(date.as_second()) * 1_000_000_000 - i128::from(kind.first.answered.time.0);
    u64::try_from(wait)
        .ok()
        .map(|wait| wait.div_ceil(1_000_000_000))
}

/// A date of HTTP in any of its forms (RFC 9110 section 5.6.7).
fn http_date(text: &str) -> Option<jiff::Timestamp> {
    const FORMS: [&str; 3] = [
        "%a, %d %b %Y %H:%M:%S GMT",
        "%A, %d-%b-%y %H:%M:%S GMT",
        "%a %b %e %H:%M:%S %Y",
    ];
    let mut read = FORMS
        .iter()
        .filter_map(|form| jiff::civil::DateTime::strptime(form, text).ok());
    let zoned = read.next()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp())
}

/// What every finding about an answer that refuses carries.
fn facts(connection: &Connection, kind: &Refusals) -> Facts {
    let (server, transfer) = times(&kind.first);
    let request = kind.first.request.as_deref();
    let detail = &kind.detail;
    let challenge = detail.challenge.as_ref();
    let mut facts = Facts::default()
        .with("status", kind.status)
        .with("phrase", status::phrase(kind.status))
        .with("answers", kind.count)
        .with("settled", kind.settled)
        .with(
            "request",
            request.map(|asked| Value::from(format!("{} {}", asked.method(), asked.target()))),
        )
        .with(
            "host",
            request
                .and_then(|asked| asked.host())
                .map(|host| Value::from(&*host)),
        )
        .with("network_seconds", connection.round_trip().to_server)
        .with("server_seconds", server)
        .with("transfer_seconds", transfer);
    let texts = [
        ("challenge", challenge.map(|challenge| &*challenge.scheme)),
        ("error", detail.error),
        ("offers", detail.offers.as_deref()),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            facts = facts.with(name, text);
        }
    }
    if let Some(RetryAfter::Date(date)) = &detail.retry_after {
        facts = facts.with("retry_after", &**date);
    }
    if let Some(seconds) = wait(kind) {
        facts = facts.with("retry_after_seconds", seconds);
    }
    if let Some(after) = kind.asked_again {
        facts = facts.with("asked_again_seconds", after);
    }
    if let Some((gateway, wrote)) = author(kind) {
        facts = facts
            .with("gateway", gateway)
            .with("gateway_wrote_it", wrote);
    }
    facts
}

/// The gateway that the answer shows, and whether it wrote the answer or passed it on.
fn author(kind: &Refusals) -> Option<(&str, bool)> {
    Some(match kind.detail.author.as_ref()? {
        Author::ProxyStatus { hop, error, .. } => (hop, error.is_some()),
        Author::Relayed(gateway) => (gateway.name(), false),
        Author::OwnHeader(gateway)
        | Author::OwnStatus(gateway)
        | Author::OwnText(gateway)
        | Author::NotMarked(gateway) => (gateway.name(), true),
    })
}

/// Who wrote an answer of a gateway, and why, in words: `; nginx wrote it: the server behind it did not answer in time`.
fn written_by(kind: &Refusals) -> String {
    let Some((gateway, wrote)) = author(kind) else {
        return String::new();
    };
    // What a server writes about itself says nothing about another one behind it.
    if !status::is_of_gateways(kind.status) {
        return String::new();
    }
    let doubt = match kind.detail.author {
        Some(Author::NotMarked(_)) => "probably ",
        _ => "",
    };
    let mut words = match wrote {
        true => format!("; {doubt}written by {gateway} itself"),
        false => format!("; {gateway} passed it on from the server behind it"),
    };
    if let Some(Author::ProxyStatus {
        error: Some(error), ..
    }) = &kind.detail.author
    {
        let _ = write!(words, " ({error})");
    }
    if let Some(reason) = kind.detail.reason.and_then(status::reason) {
        let _ = write!(words, ": {reason}");
    }
    words
}

/// The time limit of gateways that a wait points to.
fn gateway_timer(kind: &Refusals) -> Option<(Interval, &'static str)> {
    let waited = times(&kind.first).0?;
    let known = status::timer(kind.status, waited)?;
    Some((waited, known))
}

/// How long the server took, where that says something: ` after 60.0 s, a usual time limit (nginx, Amazon ALB)`.
fn after(kind: &Refusals) -> String {
    if let Some((waited, known)) = gateway_timer(kind) {
        return format!(" after {}, a usual time limit ({known})", span(waited));
    }
    let waited = times(&kind.first).0;
    waited
        .filter(|waited| *waited >= WORTH_SAYING && kind.status >= 500)
        .map_or(String::new(), |waited| format!(" after {}", span(waited)))
}

/// A wait for an answer that says something about it.
const WORTH_SAYING: Interval = Interval::from_secs(1);

/// Whether the answer is proved to be that of a gateway, not of the server behind it.
fn is_proved(kind: &Refusals) -> bool {
    match &kind.detail.author {
        Some(Author::ProxyStatus { .. } | Author::Relayed(_) | Author::OwnHeader(_)) => true,
        // Those are origins, too; Apache's words about a server behind it are in its 502 and 504.
        Some(Author::OwnText(Gateway::Nginx)) => false,
        Some(Author::OwnText(Gateway::Apache)) => kind.status != 503,
        Some(Author::OwnText(_)) => true,
        Some(Author::OwnStatus(_) | Author::NotMarked(_)) | None => false,
    }
}

/// Connections of HTTP, for the tests of the detectors.
#[cfg(test)]
pub(crate) mod traces {
    /// Requests for these targets and their answers (status line, header, body), and an orderly close by the client.
    pub(crate) fn exchanges<T: AsRef<str>>(turns: &[(T, &str, &str, &str)]) -> String {
        let mut lines =
            String::from("0.00 > S 0:0(0)\n0.02 < SA 0:0(0) ack 1\n0.03 > A 1:1(0) ack 1\n");
        let (mut sent, mut received, mut at) = (1, 1, 0.04);
        for (request, status, header, body) in turns {
            let request = request.as_ref();
            let asked = match request.contains('\n') {
                true => request.to_owned(),
                false => format!("{request} HTTP/1.1\r\nHost: h\r\n\r\n"),
            };
            let length = match status.starts_with('1')
                || (request.starts_with("CONNECT") && status.starts_with('2'))
            {
                true => String::new(),
                false => format!("Content-Length: {}\r\n", body.len()),
            };
            let answered = format!("HTTP/1.1 {status}\r\n{header}{length}\r\n{body}");
            let escaped = |text: &str| {
                text.replace('\r', "\\r")
                    .replace('\n', "\\n")
                    .replace('"', "\\\"")
            };
            let (to, back) = (sent + asked.len(), received + answered.len());
            lines += &format!(
                "{at:.2} > PA {sent}:{to}({}) ack {received} \"{}\"\n{:.2} < PA {received}:{back}({}) ack {to} \"{}\"\n",
                asked.len(),
                escaped(&asked),
                at + 0.02,
                answered.len(),
                escaped(&answered),
            );
            (sent, received, at) = (to, back, at + 0.1);
        }
        let (next, last) = (sent + 1, received + 1);
        lines
            + &format!(
                "{at:.2} > FA {sent}:{sent}(0) ack {received}\n{:.2} < FA {received}:{received}(0) ack {next}\n{:.2} > A {next}:{next}(0) ack {last}",
                at + 0.02,
                at + 0.03
            )
    }

    /// A request to change to another protocol.
    pub(crate) fn upgrade(protocol: &str) -> String {
        format!("GET /s HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n")
    }
}
