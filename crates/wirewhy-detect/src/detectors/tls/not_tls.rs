//! `tls.not-tls`: one side speaks TLS, the other plainly does not.

use wirewhy_flow::{Connection, Side};
use wirewhy_protocol::{
    AppFacts, AppProtocol, TlsComplaint, Upgrade, UpgradeProtocol, UpgradeVerdict,
};

use crate::handshake::culprit;
use crate::wording::socket;
use crate::{
    Confidence, Detector, Facts, Finding, Group, Limits, Record, Reportable, Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "tls.not-tls",
    group: Group::Tls,
    title: "One side speaks TLS, the other does not",
    severity: Severity::Error,
    means: "A TLS client reached a plaintext service, or a plaintext client a TLS service: the wrong port, the wrong scheme, or a proxy in \
            between that answers itself.",
    recognised: "The first bytes of one side are a TLS record, those of the other are plainly another protocol, and nobody had asked to \
                 change to TLS (STARTTLS, CONNECT). Or both had agreed to change to it, and one goes on in the clear.",
    look_alikes: "Plaintext before an agreed upgrade is no fault. An answer that is neither TLS nor anything known is not judged.",
    check_next: &[
        "Compare scheme and port on both sides: http against https, smtp 25 or 587 against smtps 465, and so on.",
        "curl -v http://HOST:PORT/ and openssl s_client -connect HOST:PORT: which one gets a sensible answer?",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Connection(detect),
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
    let upgrade = app.upgrade.as_deref();
    if upgrade.is_some_and(agreed) {
        // Whatever follows an agreement and is no TLS is wrong, also where nobody knows what it is.
        let wrong = |protocol: Option<AppProtocol>| {
            let other = protocol.filter(|&protocol| protocol != AppProtocol::Tls);
            other.map(|other| plain(Some(other)).unwrap_or("plain text"))
        };
        let by_server = || wrong(server.inner).map(|spoke| (Side::Server, spoke));
        return wrong(client.inner)
            .map(|spoke| (Side::Client, spoke))
            .or_else(by_server);
    }
    if upgrade.is_some_and(|upgrade| upgrade.asked.is_some()) {
        return None;
    }
    if app.http.complaint == Some(TlsComplaint::ExpectsTls) {
        return Some((Side::Client, plain(client.protocol)?));
    }
    let went_on = app
        .tls
        .as_deref()
        .is_some_and(|tls| tls.client.change_cipher_spec.is_some() || tls.client.sealed_count > 0);
    if went_on {
        // Whoever answered speaks it, too: an agreement before was not seen.
        return None;
    }
    let tls = Some(AppProtocol::Tls);
    if client.protocol == tls {
        Some((Side::Server, plain(server.protocol)?))
    } else if server.protocol == tls {
        Some((Side::Client, plain(client.protocol)?))
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

fn detect(connection: &Connection, _limits: &Limits) -> Option<Finding> {
    let (wrong, spoke) = wrong_side(connection.app.as_deref()?)?;
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
        culprit: culprit(connection, wrong),
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
    use super::super::traces::{Talk, client_hello};
    use crate::Role;
    use crate::testing::{codes, only};

    #[test]
    fn http_in_answer_to_a_hello() {
        let talk = Talk::open()
            .client(&client_hello("a.example", &[0x0304], 0))
            .server(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            .server_closes();
        let found = codes(&talk.lines());
        assert!(found.contains(&"tls.not-tls"), "{found:?}");
    }

    #[test]
    fn a_plaintext_request_met_with_an_alert() {
        let talk = Talk::open()
            .client(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .server(&[21, 3, 1, 0, 2, 2, 70])
            .server_closes();
        let found = only(&talk.lines());
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
            Talk::open()
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
        assert!(codes(&answer(b"no such page")).is_empty());
    }

    #[test]
    fn agreed_and_not_done() {
        let agreed = || {
            Talk::open()
                .server(b"* OK ready\r\n")
                .client(b"a STARTTLS\r\n")
                .server(b"a OK begin\r\n")
        };
        let by_server = agreed().server(b"* BYE no key\r\n").server_closes();
        let by_client = agreed().client(b"b LOGIN c d\r\n").server_closes();
        for (talk, role) in [(by_server, Role::Server), (by_client, Role::Client)] {
            let found = only(&talk.lines());
            assert_eq!((found.code, found.culprit.role), ("tls.not-tls", role));
        }
    }

    #[test]
    fn a_hello_to_a_server_that_offers_a_change() {
        let mysql = b"\x19\0\0\0\x0a8.0\0\x01\0\0\0challeng\0\xff\xff\x08\0\0\0\0";
        let talk = Talk::open()
            .server(mysql)
            .client(&client_hello("a.example", &[0x0304], 0))
            .server_closes();
        let found = codes(&talk.lines());
        assert!(found.contains(&"tls.not-tls"), "{found:?}");
    }

    #[test]
    fn both_in_plain_text_are_silent() {
        let talk = Talk::open()
            .client(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .client_closes();
        assert!(codes(&talk.lines()).is_empty());
    }
}
