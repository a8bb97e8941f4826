//! `tls.alpn-mismatch`: no application protocol both sides speak.

use wirewhy_flow::Side;

use super::{AlertReason, cause, finding, for_name, party};
use crate::handshake::{Handshake, culprit};
use crate::{Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity, Value};

pub(crate) const RECORD: Record = Record {
    code: "tls.alpn-mismatch",
    group: Group::Tls,
    title: "No application protocol in common",
    severity: Severity::Error,
    means: "The client named the protocols it would speak inside TLS (ALPN), and the server speaks none of them.",
    recognised: "The alert no_application_protocol (RFC 7301). The facts list what the client offered.",
    look_alikes: "Most servers ignore an offer they cannot meet and go on without; only strict ones send this alert.",
    check_next: &[
        "openssl s_client -connect HOST:PORT -alpn h2,http/1.1: which one does the server take?",
        "gRPC needs h2 on the server and on every proxy before it.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::FailedHandshake(detect),
};

fn detect(handshake: &Handshake<'_>, _limits: &Limits) -> Option<Finding> {
    let connection = handshake.connection;
    let (AlertReason::Alpn, from, alert, description) = cause(handshake)? else {
        return None;
    };
    let offered: Vec<String> = handshake
        .tls
        .client_hello
        .as_deref()?
        .alpn()
        .into_iter()
        .map(|protocol| String::from_utf8_lossy(protocol).into_owned())
        .collect();
    let words = if offered.is_empty() {
        "the client offered none".to_owned()
    } else {
        format!("the client offered {}", offered.join(", "))
    };
    let found = finding(RECORD.code, handshake, (from, alert, description));
    Some(Finding {
        culprit: culprit(connection, Side::Server),
        summary: format!(
            "{} speaks none of the protocols asked for{}: {words}",
            party(handshake, from),
            for_name(handshake),
        ),
        facts: found.facts.clone().with(
            "alpn_offered",
            Value::List(offered.into_iter().map(Value::Text).collect()),
        ),
        ..found
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{Talk, client_hello, fatal};
    use crate::testing::{codes, only};

    #[test]
    fn the_offer_is_named() {
        let talk = Talk::open()
            .client(&client_hello("a.example", &[0x0304], 0))
            .server(&fatal(120))
            .server_closes();
        let found = only(&talk.lines());
        assert_eq!(found.code, "tls.alpn-mismatch");
        assert!(found.summary.contains("h2, http/1.1"), "{}", found.summary);
    }

    #[test]
    fn another_alert_is_none() {
        let talk = Talk::open()
            .client(&client_hello("a.example", &[0x0304], 0))
            .server(&fatal(110))
            .server_closes();
        assert_eq!(codes(&talk.lines()), ["tls.alert"]);
    }
}
