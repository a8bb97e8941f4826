//! `tls.not-tls`: one side speaks TLS, the other plainly does not.

mod deadlock;
mod neighbours;

use wirewhy_flow::{Connection, Side};
use wirewhy_protocol::{
    AppFacts, AppProtocol, TlsComplaint, Upgrade, UpgradeProtocol, UpgradeVerdict,
};

use crate::handshake::{culprit, records};
use crate::wording::socket;
use crate::{
    Cause, Confidence, Detector, Facts, Finding, Group, Limits, Record, Reportable, Rule, Severity,
    Signs,
};

use deadlock::Deadlock;
pub(crate) use neighbours::ended_by_server;
pub use neighbours::{
    Spoken, hello_was_refused, neighbours_speak_otherwise, neighbours_speak_tls, spoken,
};

pub(crate) const RECORD: Record = Record {
    code: "tls.not-tls",
    group: Group::Tls,
    title: "One side speaks TLS, the other does not",
    severity: Severity::Error,
    means: "A TLS client reached a plaintext service, or a plaintext client a TLS service: the wrong port, the wrong scheme, or a proxy in \
            between that answers itself.",
    recognised: "The first bytes of one side are a TLS record, those of the other are plainly another protocol, and neither had asked to \
                 change to TLS (STARTTLS, CONNECT); a PROXY header before is passed over. Or both had agreed to change to it, and one goes \
                 on in the clear. Or both wait for the other: a client that expects a greeting at a port for TLS. Where a side answers \
                 nothing at all, what the port speaks in other connections of the recording tells (likely).",
    look_alikes: "Plaintext before an agreed upgrade is no fault. An answer that is neither TLS nor anything known is not judged.",
    check_next: &[
        "Compare scheme and port on both sides: http against https, smtp 25 or 587 against smtps 465, and so on.",
        "curl -v http://HOST:PORT/ and openssl s_client -connect HOST:PORT: which one gets a sensible answer?",
    ],
    explained_by: &[Cause::IfAsSevere("proxy.header-mismatch")],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Connection(Signs::NOT_TLS, detect),
};

/// A protocol in words, where it is plainly one and not TLS.
fn plain(protocol: Option<AppProtocol>) -> Option<&'static str> {
    match protocol? {
        AppProtocol::Tls
        | AppProtocol::Rdp
        | AppProtocol::Tds
        | AppProtocol::Socks
        | AppProtocol::ProxyProtocol
        | AppProtocol::Unknown => None,
        protocol => Some(protocol.name()),
    }
}

/// Who speaks what else, where TLS was to be spoken.
fn wrong_side(app: &AppFacts) -> Option<(Side, &'static str)> {
    let (client, server) = (&app.client, &app.server);
    let tls = app.tls.as_deref();
    let upgrade = app.upgrade.as_deref();
    if upgrade.is_some_and(agreed) {
        // Whatever follows an agreement and is no TLS is wrong, also where it is not recognised; unless TLS came first, as
        // where it protects the login only.
        let wrong = |side: Side| {
            let began = tls.is_some_and(|tls| records(tls, side).has_begun());
            let inner = match side {
                Side::Client => client.inner,
                Side::Server => server.inner,
            };
            let is_tls = |protocol| matches!(protocol, AppProtocol::Tls | AppProtocol::TlsInTds);
            let other = inner.filter(|&protocol| !is_tls(protocol) && !began);
            other.map(|other| (side, plain(Some(other)).unwrap_or("plain text")))
        };
        return wrong(Side::Client).or_else(|| wrong(Side::Server));
    }
    if upgrade.is_some_and(|upgrade| upgrade.asked.is_some()) {
        return None;
    }
    let (asks, answers) = (client.app_protocol(), server.protocol);
    if app.http.complaint == Some(TlsComplaint::ExpectsTls) {
        return Some((Side::Client, plain(asks)?));
    }
    let went_on = tls
        .is_some_and(|tls| tls.client.change_cipher_spec.is_some() || tls.client.sealed_count > 0);
    if went_on {
        // The side that answered uses it, too: an agreement before was not seen.
        return None;
    }
    let tls = Some(AppProtocol::Tls);
    if asks == tls {
        Some((Side::Server, plain(answers)?))
    } else if answers == tls {
        Some((Side::Client, plain(asks)?))
    } else {
        None
    }
}

/// Whether both sides agreed to change to TLS, and not to a tunnel for something else.
fn agreed(upgrade: &Upgrade) -> bool {
    let tunnel = matches!(
        upgrade.protocol,
        UpgradeProtocol::HttpConnect | UpgradeProtocol::Socks
    );
    upgrade.verdict == UpgradeVerdict::Accepted && !tunnel
}

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let wrong = connection.app.as_deref().and_then(wrong_side);
    let Some((wrong, spoke)) = wrong else {
        return Deadlock::of(connection, limits)?.detect();
    };
    let (own, peer) = (connection.side(wrong), connection.side(wrong.other()));
    let summary = match wrong {
        Side::Server => format!(
            "{} answered a TLS client in {spoke}: no TLS is served there",
            socket(own)
        ),
        Side::Client => format!(
            "the client {} spoke {spoke} to {}, which serves TLS",
            own.address,
            socket(peer)
        ),
    };
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Certain,
        // The port may be the wrong one, or what is served on it.
        culprit: culprit(connection, wrong).at_most(Confidence::Possible),
        summary,
        frames: [own.first_payload, peer.first_payload]
            .into_iter()
            .flatten()
            .map(|mark| mark.frame)
            .collect(),
        facts: Facts::default()
            .with("not_tls", wrong.name())
            .with("spoke", spoke)
            .with("stage", "tls-begun"),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{ConversationTrace, client_hello};
    use crate::Role;
    use crate::testing::{codes, only};

    #[test]
    fn http_in_answer_to_a_hello() {
        let conversation = ConversationTrace::open()
            .client(&client_hello("a.example", &[0x0304], 0))
            .server(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            .server_closes();
        let found = codes(&conversation.lines());
        assert!(found.contains(&"tls.not-tls"), "{found:?}");
    }

    #[test]
    fn a_plaintext_request_met_with_an_alert() {
        let conversation = ConversationTrace::open()
            .client(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .server(&[21, 3, 1, 0, 2, 2, 70])
            .server_closes();
        let found = only(&conversation.lines());
        assert_eq!(
            (found.code, found.culprit.role),
            ("tls.not-tls", Role::Client)
        );
    }

    #[test]
    fn an_answer_in_http_that_asks_for_tls() {
        let text = b"<title>400 The plain HTTP request was sent to HTTPS port</title>";
        let answer = |text: &[u8]| {
            let head = format!(
                "HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\n\r\n",
                text.len()
            );
            ConversationTrace::open()
                .client(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                .server(&[head.as_bytes(), text].concat())
                .server_closes()
                .lines()
        };
        let found = only(&answer(text));
        assert_eq!(
            (found.code, found.culprit.role),
            ("tls.not-tls", Role::Client)
        );
        assert_eq!(codes(&answer(b"no such page")), ["http.error-status"]);
        // Go's has no length, and ends with the connection.
        let of_go =
            b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
        let conversation = ConversationTrace::open()
            .client(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .server(of_go)
            .server_closes();
        assert_eq!(only(&conversation.lines()).code, "tls.not-tls");
    }

    #[test]
    fn agreed_and_not_done() {
        let agreed = || {
            ConversationTrace::open()
                .server(b"* OK ready\r\n")
                .client(b"a STARTTLS\r\n")
                .server(b"a OK begin\r\n")
        };
        let by_server = agreed().server(b"* BYE no key\r\n").server_closes();
        let by_client = agreed().client(b"b LOGIN c d\r\n").server_closes();
        for (conversation, role) in [(by_server, Role::Server), (by_client, Role::Client)] {
            let found = only(&conversation.lines());
            assert_eq!((found.code, found.culprit.role), ("tls.not-tls", role));
        }
    }

    #[test]
    fn a_hello_to_a_server_that_offers_a_change() {
        let mysql = b"\x19\0\0\0\x0a8.0\0\x01\0\0\0challeng\0\xff\xff\x08\0\0\0\0";
        let conversation = ConversationTrace::open()
            .server(mysql)
            .client(&client_hello("a.example", &[0x0304], 0))
            .server_closes();
        let found = codes(&conversation.lines());
        assert!(found.contains(&"tls.not-tls"), "{found:?}");
    }

    #[test]
    fn both_in_plain_text_are_silent() {
        let conversation = ConversationTrace::open()
            .client(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .client_closes();
        assert!(codes(&conversation.lines()).is_empty());
    }

    #[test]
    fn behind_a_proxy_header_too() {
        let header = b"PROXY TCP4 10.0.0.1 10.0.0.2 1000 443\r\n";
        let hello = client_hello("a.example", &[0x0304], 0);
        let conversation = ConversationTrace::open()
            .client(&[&header[..], &hello].concat())
            .server(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            .server_closes();
        let found = codes(&conversation.lines());
        assert!(found.contains(&"tls.not-tls"), "{found:?}");
    }

    const OPEN: &str = "0.000 > S 0:0(0) win 64240 <mss 1460>
        0.020 < SA 0:0(0) ack 1 win 65535 <mss 1460>
        0.021 > A 1:1(0) ack 1\n";

    fn left_after(seconds: u32, port: u16, alert: bool) -> Vec<&'static str> {
        let answer = match alert {
            true => format!("{seconds}.12 < PA 1:8(7) ack 2 hex 15030300020232\n"),
            false => String::new(),
        };
        let lines = format!(
            "{OPEN}{seconds}.10 > FA 1:1(0) ack 1\n{seconds}.11 < A 1:1(0) ack 2\n{answer}"
        );
        let lines = format!("server 198.51.100.1:{port}\n{lines}");
        codes(&lines)
            .into_iter()
            .filter(|code| *code == "tls.not-tls")
            .collect()
    }

    #[test]
    fn both_wait_for_the_other_to_begin() {
        assert_eq!(left_after(12, 465, true), ["tls.not-tls"]);
        assert_eq!(left_after(12, 993, false), ["tls.not-tls"]);
        assert_eq!(left_after(12, 5555, true), ["tls.not-tls"]);
    }

    #[test]
    fn a_check_that_leaves_at_once_and_a_connection_kept_ready_are_none() {
        assert!(left_after(1, 993, false).is_empty());
        assert!(left_after(12, 443, true).is_empty());
        assert!(left_after(12, 5555, false).is_empty());
    }
}
