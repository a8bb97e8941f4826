//! `tls.alpn-mismatch`: no application protocol both sides speak.

use wirewhy_flow::{Mark, Side};
use wirewhy_protocol::{Secrets, TlsFacts};

use super::{AlertReason, cause, finding, for_name, party};
use crate::handshake::{Handshake, culprit};
use crate::{Confidence, Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity};

pub(crate) const RECORD: Record = Record {
    code: "tls.alpn-mismatch",
    group: Group::Tls,
    title: "No application protocol in common",
    severity: Severity::Error,
    means: "The client named the protocols it would speak inside TLS (ALPN), and the server speaks none of them.",
    recognised: "The alert no_application_protocol (RFC 7301). Or the client offered no HTTP/1, the server chose none or another protocol, and \
                 the client left right after the handshake without having used it; what a server of TLS 1.3 chose is encrypted, so \
                 that this is possible then. The facts list what the client offered.",
    look_alikes: "Most servers ignore an offer they cannot meet and go on without; only strict ones send this alert. \
                  A health check that offers h2 and does no more than shake hands.",
    check_next: &[
        "openssl s_client -connect HOST:PORT -alpn h2,http/1.1: which one does the server take?",
        "gRPC needs h2 on the server and on every proxy before it.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Handshake(detect),
};

fn detect(handshake: &Handshake<'_>, limits: &Limits) -> Option<Finding> {
    let connection = handshake.connection;
    if let Some(mark) = handshake.left_unused() {
        return left(handshake, mark);
    }
    let (AlertReason::Alpn, from, alert, description) = cause(handshake, limits)? else {
        return None;
    };
    let offered = offered(handshake);
    let words = if offered.is_empty() {
        "the client offered none".to_owned()
    } else {
        format!("the client offered {}", offered.join(", "))
    };
    let found = finding(RECORD.code, handshake, (from, alert, description));
    Some(Finding {
        culprit: culprit(connection, Side::Server).at_most(Confidence::Possible),
        summary: format!(
            "{} speaks none of the protocols asked for{}: {words}",
            party(handshake, from),
            for_name(handshake),
        ),
        facts: found.facts.with("alpn_offered", offered),
        ..found
    })
}

fn offered(handshake: &Handshake<'_>) -> Vec<String> {
    let hello = handshake.tls.client_hello.as_deref();
    hello.map_or(Vec::new(), |hello| {
        let offered = hello.alpn().into_iter();
        offered
            .map(|protocol| String::from_utf8_lossy(protocol).into_owned())
            .collect()
    })
}

/// What the server chose, as far as it can be read.
enum Chosen {
    Protocol(String),
    None,
    Sealed,
}

fn chosen(tls: &TlsFacts) -> Chosen {
    let in_hello = tls.server_hello.as_deref().and_then(|hello| hello.alpn());
    match tls.alpn.as_deref().or(in_hello) {
        Some(protocol) => Chosen::Protocol(String::from_utf8_lossy(protocol).into_owned()),
        None if tls.is_1_3() && tls.secrets != Secrets::Used => Chosen::Sealed,
        None => Chosen::None,
    }
}

/// A client that can do without none of its protocols, got another or none, and left without a word.
fn left(handshake: &Handshake<'_>, mark: Mark) -> Option<Finding> {
    let offered = offered(handshake);
    let fallback = |protocol: &String| protocol.starts_with("http/1.") || protocol == "http/0.9";
    if offered.is_empty() || offered.iter().any(fallback) {
        return None;
    }
    let (answer, confidence) = match chosen(handshake.tls) {
        Chosen::Protocol(protocol) if offered.contains(&protocol) => return None,
        Chosen::Protocol(protocol) => (format!("chose {protocol}"), Confidence::Likely),
        Chosen::None => ("chose none".to_owned(), Confidence::Likely),
        Chosen::Sealed => ("answered encrypted".to_owned(), Confidence::Possible),
    };
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence,
        culprit: culprit(handshake.connection, Side::Server).at_most(Confidence::Possible),
        summary: format!(
            "{} offered {} only{}, {} {answer}, and the client left right after the handshake, without having used it",
            party(handshake, Side::Client),
            offered.join(", "),
            for_name(handshake),
            party(handshake, Side::Server),
        ),
        frames: handshake.frames([mark.frame]),
        facts: handshake.facts().with("alpn_offered", offered),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{
        ConversationTrace, change_cipher_spec, client_hello, client_hello_offering, fatal, sealed,
        server_hello_choosing, server_hello_done,
    };
    use crate::Confidence;
    use crate::testing::{codes, only};

    fn handshake(protocols: &[&str], chosen: Option<&str>) -> ConversationTrace {
        let flight = [
            server_hello_choosing(0x0303, 0xc02f, chosen),
            server_hello_done(),
        ];
        ConversationTrace::open()
            .client(&client_hello_offering("a.example", &[], protocols))
            .server(&flight.concat())
            .client(&[change_cipher_spec(), sealed(22, 40)].concat())
            .server(&[change_cipher_spec(), sealed(22, 40)].concat())
    }

    #[test]
    fn a_client_of_h2_alone_that_gets_none_and_leaves() {
        for chosen in [None, Some("http/1.1")] {
            let lines = handshake(&["h2"], chosen).client_closes().lines();
            let found = only(&lines);
            assert_eq!(found.code, "tls.alpn-mismatch");
            assert_eq!(found.confidence, Confidence::Likely);
        }
    }

    #[test]
    fn what_was_offered_or_was_used_is_none() {
        let mine = handshake(&["h2"], Some("h2")).client_closes();
        let older = handshake(&["h2", "http/1.1"], None).client_closes();
        let used = handshake(&["h2"], None)
            .client(&sealed(23, 60))
            .server(&sealed(23, 60))
            .client_closes();
        for conversation in [mine, older, used] {
            assert!(!codes(&conversation.lines()).contains(&"tls.alpn-mismatch"));
        }
    }

    #[test]
    fn the_offer_is_named() {
        let conversation = ConversationTrace::open()
            .client(&client_hello("a.example", &[0x0304], 0))
            .server(&fatal(120))
            .server_closes();
        let found = only(&conversation.lines());
        assert_eq!(found.code, "tls.alpn-mismatch");
        assert!(found.summary.contains("h2, http/1.1"), "{}", found.summary);
    }

    #[test]
    fn another_alert_is_none() {
        let conversation = ConversationTrace::open()
            .client(&client_hello("a.example", &[0x0304], 0))
            .server(&fatal(110))
            .server_closes();
        assert_eq!(codes(&conversation.lines()), ["tls.alert"]);
    }
}
