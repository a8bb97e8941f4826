//! `http.upgrade-refused`: a WebSocket that does not come about.

use wirewhy_flow::Connection;
use wirewhy_protocol::{Purpose, Refusals};

use super::{after, answer_frames, asked_for, facts, refusals, status, unsettled, worst};
use crate::wording::socket;
use crate::{
    Confidence, Culprit, Detector, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "http.upgrade-refused",
    group: Group::Http,
    title: "The change to WebSocket was refused",
    severity: Severity::Error,
    means: "The client asked to change the connection to WebSocket, and the answer is not 101 Switching Protocols. Often a proxy between \
            drops the Upgrade and Connection fields, as nginx does unless it is configured to pass them on, so that the server sees an \
            ordinary request.",
    recognised: "A request with Upgrade: websocket, and any final status but 101. A warning for a redirect; a note for a challenge that the \
                 client then met.",
    look_alikes: "An upgrade to HTTP/2 in the clear that is not taken goes on in HTTP/1.1 and is no failure.",
    check_next: &[
        "200, 400, 404, 426: does every proxy on the way pass Upgrade and Connection on (nginx: proxy_http_version 1.1, proxy_set_header)?",
        "403: does the server accept this Origin?",
        "401: does the client send its credentials with the handshake?",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Connection(Signs::HTTP_TROUBLE, detect),
};

fn severity(kind: &Refusals) -> Severity {
    match kind.status {
        401 | 407 if unsettled(kind) == 0 => Severity::Note,
        300..=399 => Severity::Warning,
        _ => Severity::Error,
    }
}

fn detect(connection: &Connection, _limits: &Limits) -> Option<Finding> {
    let (severity, kind) = worst(refusals(connection, &[Purpose::WebSocket]), severity)?;
    let (server, client) = (&connection.server, &connection.client);
    let by_server = |confidence| Culprit::new(Role::Server, server.address).at_most(confidence);
    let by_client = Culprit::new(Role::Client, client.address).at_most(Confidence::Likely);
    let (culprit, words) = match kind.status {
        401 | 407 => (by_client, "the client is to authenticate first"),
        403 => (
            by_server(Confidence::Possible),
            "the server does not take this origin or client",
        ),
        300..=399 => (
            by_server(Confidence::Likely),
            "a redirect, which most clients do not follow",
        ),
        429 => (by_client, "the client sends more than the server allows"),
        500..=599 => (
            by_server(Confidence::Likely),
            "the server, or one behind it, failed",
        ),
        _ => (
            by_server(Confidence::Likely),
            "as if no upgrade had been asked for: a proxy that drops the field, or a server without WebSocket there",
        ),
    };
    Some(Finding {
        code: RECORD.code,
        severity,
        confidence: Confidence::Certain,
        culprit,
        summary: format!(
            "{} answered {} {} instead of 101{}, which asks for WebSocket{}: {words}",
            socket(server),
            kind.status,
            status::phrase(kind.status),
            asked_for(&kind.first),
            after(kind),
        ),
        frames: answer_frames(kind),
        facts: facts(connection, kind),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{exchanges, upgrade};
    use crate::Severity;
    use crate::testing::{codes, only};

    #[test]
    fn a_proxy_that_drops_the_field() {
        let found = only(&exchanges(&[(upgrade("websocket"), "200 OK", "", "hello")]));
        assert_eq!(
            (found.code, found.severity),
            ("http.upgrade-refused", Severity::Error)
        );
    }

    #[test]
    fn a_redirect_and_a_challenge_that_is_met() {
        let moved = only(&exchanges(&[(upgrade("websocket"), "302 Found", "", "")]));
        assert_eq!(moved.severity, Severity::Warning);
        let met = only(&exchanges(&[
            (upgrade("websocket"), "401 Unauthorized", "", ""),
            (
                upgrade("websocket"),
                "101 Switching Protocols",
                "Upgrade: websocket\r\n",
                "",
            ),
        ]));
        assert_eq!(met.severity, Severity::Note);
    }

    #[test]
    fn a_websocket_and_a_connection_that_stays_at_1_1() {
        let accepted = (
            upgrade("websocket"),
            "101 Switching Protocols",
            "Upgrade: websocket\r\n",
            "",
        );
        assert_eq!(codes(&exchanges(&[accepted])), [] as [&str; 0]);
        assert_eq!(
            codes(&exchanges(&[(upgrade("h2c"), "200 OK", "", "hi")])),
            [] as [&str; 0]
        );
    }
}
