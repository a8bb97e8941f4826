//! `http.error-status`: the server answered that it will not or cannot.

use wirewhy_flow::Connection;
use wirewhy_protocol::{Purpose, Refusals, TlsComplaint};

use super::{
    after, answer_frames, asked_for, facts, is_proved, refusals, status, unsettled, wait, worst,
    written_by,
};
use crate::wording::{count, socket, span};
use crate::{
    Cause, Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role,
    Rule, Severity, Signs, Value,
};

pub(crate) const RECORD: Record = Record {
    code: "http.error-status",
    group: Group::Http,
    title: "The server answered with an error status",
    severity: Severity::Error,
    means: "The network and the connection are fine; HTTP itself says no. With 5xx the server or one behind it failed, with 4xx it does not \
            accept the request as the client sent it.",
    recognised: "A final status of 400 or above, in the clear or decrypted. One finding a connection: it names the worst status and counts \
                 the others. An error for 5xx, a warning for 4xx; a note for 401, 407, 417, 421 and 425 where the client repeated the \
                 request in the same connection and got another status, for answers about the state of a resource (409, 412, 416, 423, \
                 424, 428), for what browsers look for unasked (favicon), and for a 408 on a connection without a request.",
    look_alikes: "A gateway's own 502, 503 or 504 is about the server behind it; one that it passes on is that server's. Proxy-Status, \
                  headers and texts that only one of the two has distinguish them, the Server field does not. 499 and 444 are only in \
                  logs: on the wire the client left, or the connection was closed.",
    check_next: &[
        "Search the server's log, and that of the gateway in front of it, for the request at that second.",
        "502, 503, 504: test the server behind the gateway directly, and look at the gateway's health checks and time limits.",
        "401, 403, 407: compare the challenge with what the client sends; is a token expired, is a clock wrong?",
        "429: obey Retry-After.",
        "413, 414, 431: compare the sizes with the server's limits.",
    ],
    explained_by: &[
        Cause::IfAsSevere("tls.not-tls"),
        Cause::IfAsSevere("proxy.header-mismatch"),
        Cause::IfAsSevere("ssh.not-ssh"),
        Cause::IfAsSevere("http2.protocol-mismatch"),
        Cause::IfAsSevere("http.connect-refused"),
        Cause::IfAsSevere("http.upgrade-refused"),
        Cause::IfAsSevere("tls.client-cert-missing"),
        Cause::IfAsSevere("tls.client-cert-rejected"),
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Connection(Signs::HTTP_TROUBLE, detect),
};

/// What is checked here: tunnels and WebSocket have codes of their own.
const PURPOSES: &[Purpose] = &[Purpose::Request, Purpose::Http2, Purpose::Upgrade];

fn detect(connection: &Connection, _limits: &Limits) -> Option<Finding> {
    // That the server wants TLS is tls.not-tls.
    if connection.app.as_deref()?.http.complaint == Some(TlsComplaint::ExpectsTls) {
        return None;
    }
    let kinds: Vec<(Severity, &Refusals)> = refusals(connection, PURPOSES)
        .filter(|kind| kind.status >= 400)
        .map(|kind| (status::severity(connection, kind), kind))
        .collect();
    let all = kinds.iter().map(|(_, kind)| *kind);
    let (severity, kind) = worst(all, |kind| status::severity(connection, kind))?;
    let server = &connection.server;
    let (role, confidence) = status::fault(kind);
    let address = match role {
        Role::Client => Some(connection.client.address),
        Role::Server => Some(server.address),
        _ => None,
    };
    let others: Vec<String> = kinds
        .iter()
        .filter(|(_, other)| !std::ptr::eq(*other, kind))
        .map(|(_, other)| format!("{} × {}", other.count, other.status))
        .collect();
    let phrase = status::phrase(kind.status);
    let space = if phrase.is_empty() { "" } else { " " };
    Some(Finding {
        code: RECORD.code,
        severity,
        confidence: Confidence::Certain,
        culprit: Culprit::new(role, address).at_most(confidence),
        summary: format!(
            "{} answered {}{space}{phrase}{}{}{}{}{}",
            socket(server),
            kind.status,
            asked_for(&kind.first),
            after(kind),
            words(kind, severity),
            repeated(kind),
            also(&others),
        ),
        frames: answer_frames(kind),
        facts: with_others(facts(connection, kind), &kinds, kind)
            .with("gateway_proved", is_proved(kind))
            .with("last_answer", is_last(connection, kind)),
        consequence_of: None,
    })
}

/// Whether the connection's last answer was of this kind: what ended the connection may follow from it.
fn is_last(connection: &Connection, kind: &Refusals) -> bool {
    let app = connection.app.as_deref();
    let last = app.and_then(|app| app.http.last.as_ref());
    last.is_some_and(|last| last.answered == kind.last)
}

/// What is known of the cause.
fn words(kind: &Refusals, severity: Severity) -> String {
    let detail = &kind.detail;
    if let Some(error) = detail.error {
        return format!(": {error}");
    }
    if matches!(kind.status, 401 | 407) {
        let scheme = detail.challenge.as_ref().map(|challenge| &challenge.scheme);
        let scheme = scheme.map_or(String::new(), |scheme| format!(" ({scheme})"));
        return match severity {
            Severity::Note => format!("{scheme}, and the client met the challenge"),
            _ => scheme,
        };
    }
    if let Some(seconds) = wait(kind) {
        let obeyed = kind.asked_again.map_or(String::new(), |again| {
            let early = again.as_secs_f64() < seconds as f64;
            let early = if early { ", too early" } else { "" };
            format!("; the client went on after {}{early}", span(again))
        });
        return format!(": it asks to wait {seconds} s{obeyed}");
    }
    let written = written_by(kind);
    if !written.is_empty() {
        return written;
    }
    if let Some(reason) = detail.reason.and_then(status::reason) {
        return format!(": {reason}");
    }
    match status::cause(kind.status) {
        "" => String::new(),
        cause => format!(": {cause}"),
    }
}

fn repeated(kind: &Refusals) -> String {
    match (kind.count, unsettled(kind)) {
        (1, _) => String::new(),
        (all, 0) => format!(" ({} in all)", count(all, "time")),
        (all, open) if open == all => format!(" ({} in all)", count(all, "time")),
        (all, open) => format!(
            " ({} in all, {open} of them to the end)",
            count(all, "time")
        ),
    }
}

fn also(others: &[String]) -> String {
    match others {
        [] => String::new(),
        others => format!("; also {}", others.join(", ")),
    }
}

fn with_others(facts: Facts, kinds: &[(Severity, &Refusals)], kind: &Refusals) -> Facts {
    let others: Vec<Value> = kinds
        .iter()
        .filter(|(_, other)| !std::ptr::eq(*other, kind))
        .map(|(_, other)| {
            Value::Object(vec![
                ("status", other.status.into()),
                ("answers", other.count.into()),
            ])
        })
        .collect();
    if others.is_empty() {
        return facts;
    }
    facts.with("other_statuses", Value::List(others))
}

#[cfg(test)]
mod tests {
    use super::super::traces::exchanges;
    use crate::testing::{codes, findings, only};
    use crate::{Confidence, Role, Severity};

    #[test]
    fn a_gateway_that_found_no_back_end() {
        let found = only(&exchanges(&[(
            "GET /a",
            "503 Service Unavailable",
            "",
            "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n",
        )]));
        assert_eq!(
            (found.code, found.severity),
            ("http.error-status", Severity::Error)
        );
        assert_eq!(found.culprit.role, Role::Server);
        assert_eq!(found.culprit_confidence(), Some(Confidence::Likely));
        assert!(
            found.summary.contains("written by HAProxy itself"),
            "{}",
            found.summary
        );
    }

    #[test]
    fn apache_as_a_gateway_and_as_a_server_that_is_closed() {
        let proved = |status: &str, body: &str| {
            let found = only(&exchanges(&[("GET /a", status, "", body)]));
            assert!(
                found.summary.contains("written by Apache itself"),
                "{}",
                found.summary
            );
            found.facts.value("gateway_proved").cloned()
        };
        let invalid =
            "<p>The proxy server received an invalid\r\nresponse from an upstream server.<br />";
        assert_eq!(proved("502 Proxy Error", invalid), Some(true.into()));
        let late = "<p>The gateway did not receive a timely response\nfrom the upstream server or application.</p>";
        assert_eq!(proved("504 Gateway Timeout", late), Some(true.into()));
        // A server says the same about itself.
        let busy = "<p>The server is temporarily unable to service your\nrequest due to maintenance downtime or capacity\nproblems.";
        assert_eq!(proved("503 Service Unavailable", busy), Some(false.into()));
    }

    #[test]
    fn the_worst_is_named_and_the_others_are_counted() {
        let found = only(&exchanges(&[
            ("GET /a", "404 Not Found", "", ""),
            ("GET /b", "404 Not Found", "", ""),
            ("GET /c", "500 Internal Server Error", "", ""),
            ("GET /d", "200 OK", "", "ok"),
        ]));
        assert_eq!(found.severity, Severity::Error);
        assert!(
            found
                .summary
                .contains("500 Internal Server Error to GET /c of h")
        );
        assert!(found.summary.ends_with("also 2 × 404"), "{}", found.summary);
    }

    #[test]
    fn a_challenge_that_is_met_is_a_note() {
        let challenge = (
            "GET /a",
            "401 Unauthorized",
            "WWW-Authenticate: Basic realm=x\r\n",
            "",
        );
        let met = only(&exchanges(&[challenge, ("GET /a", "200 OK", "", "ok")]));
        assert_eq!(met.severity, Severity::Note);
        let left = only(&exchanges(&[challenge]));
        assert_eq!(
            (left.severity, left.culprit.role),
            (Severity::Warning, Role::Client)
        );
    }

    #[test]
    fn what_a_bearer_token_lacks() {
        let header =
            "WWW-Authenticate: Bearer error=\"invalid_token\", error_description=\"s3cret\"\r\n";
        let found = only(&exchanges(&[("GET /a", "401 Unauthorized", header, "")]));
        assert!(
            found.summary.ends_with(": invalid_token"),
            "{}",
            found.summary
        );
    }

    #[test]
    fn a_client_that_comes_back_too_early() {
        let found = only(&exchanges(&[
            ("GET /a", "429 Too Many Requests", "Retry-After: 30\r\n", ""),
            ("GET /a", "429 Too Many Requests", "Retry-After: 30\r\n", ""),
        ]));
        assert!(
            found
                .summary
                .contains("asks to wait 30 s; the client went on after 80 ms, too early"),
            "{}",
            found.summary
        );
    }

    #[test]
    fn a_date_to_come_back_at_is_held_against_the_time_of_the_answer() {
        // The trace begins at 03:04:05 of this day; the first answer comes 60 ms later, the second request 80 ms after it.
        for date in [
            "Fri, 02 Jan 2026 03:04:35 GMT",
            "Friday, 02-Jan-26 03:04:35 GMT",
            "Fri Jan  2 03:04:35 2026",
        ] {
            let header = format!("Retry-After: {date}\r\n");
            let busy = ("GET /a", "503 Service Unavailable", &*header, "");
            let found = only(&exchanges(&[busy, busy]));
            let words = "asks to wait 30 s; the client went on after 80 ms, too early";
            assert!(found.summary.contains(words), "{}", found.summary);
            let facts = format!("{:?}", found.facts);
            assert!(
                facts.contains("retry_after_seconds") && facts.contains(date),
                "{facts}"
            );
        }
        // What is past, or no date, is no wait.
        for date in ["Fri, 02 Jan 2026 03:04:05 GMT", "Fri, 02 Jan 2026", "soon"] {
            let header = format!("Retry-After: {date}\r\n");
            let found = only(&exchanges(&[(
                "GET /a",
                "503 Service Unavailable",
                &header,
                "",
            )]));
            assert!(!found.summary.contains("to wait"), "{}", found.summary);
        }
    }

    #[test]
    fn icons_and_states_of_resources_are_notes() {
        let icon = only(&exchanges(&[("GET /favicon.ico", "404 Not Found", "", "")]));
        assert_eq!(icon.severity, Severity::Note);
        let state = only(&exchanges(&[("PUT /a", "412 Precondition Failed", "", "")]));
        assert_eq!(state.severity, Severity::Note);
    }

    #[test]
    fn what_went_well_is_not_reported() {
        let turns = [
            ("GET /a", "200 OK", "", "ok"),
            ("GET /b", "304 Not Modified", "", ""),
            ("GET /c", "302 Found", "Location: /d\r\n", ""),
        ];
        assert_eq!(codes(&exchanges(&turns)), [] as [&str; 0]);
    }

    #[test]
    fn a_reset_behind_a_refused_upload_is_its_consequence() {
        let lines = "0.00 > S 0:0(0)
             0.02 < SA 0:0(0) ack 1
             0.03 > A 1:1(0) ack 1
             0.040 > A 1:1049(1048) ack 1 \"POST /a HTTP/1.1\\r\\nHost: h\\r\\nContent-Length: 9000\\r\\n\\r\\n\"
             0.060 < PA 1:56(55) ack 1049 \"HTTP/1.1 413 Content Too Large\\r\\nConnection: close\\r\\n\\r\\n\"
             0.061 < FA 56:56(0) ack 1049
             0.062 > A 1049:2049(1000) ack 1
             0.063 > A 2049:3049(1000) ack 57
             0.082 < R 1:1(0)
             0.083 < R 57:57(0)";
        let found = findings(lines);
        let links: Vec<_> = found
            .iter()
            .map(|one| (one.code, one.consequence_of))
            .collect();
        assert_eq!(
            links,
            [
                ("http.error-status", None),
                ("rst.unread-data", Some("http.error-status"))
            ]
        );
    }
}
