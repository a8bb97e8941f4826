//! `rst.abort`: the application closed the socket hard.

use wirewhy_flow::{Connection, Event, Interval, Side};

use super::{by_a_device, finding};
use crate::causes::{ALERTS, CERTIFICATES, CONVERSATION};
use crate::resets::{Reason, Resets, loses_work};
use crate::wording::{request, socket, span};
use crate::{
    Cause, Confidence, Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "rst.abort",
    group: Group::Reset,
    title: "The application closed the connection hard",
    severity: Severity::Error,
    means: "The side that sent the reset aborted: its application closed without waiting (SO_LINGER 0), or its process died. An error \
            where work was outstanding, or where a server does so right behind the handshake; else only bad manners.",
    recognised: "A reset that fits its claimed sender in every respect and that no other reason explains: no idle time, no unanswered \
                 packets, no FIN, no unread input.",
    look_alikes: "With unread input the kernel sends the same packet by itself: rst.unread-data. A stack that does not know the \
                  connection answers with a bare reset: rst.no-connection. A perfect forgery cannot be told apart from one capture.",
    check_next: &[
        "Look into the log of the application on the side that reset, at that second: crash, timeout, connection limit.",
        "Load balancers, health checkers and load testers close with SO_LINGER 0 on purpose.",
    ],
    explained_by: &[
        Cause::IfAsSevere("rst.stray-segment"),
        Cause::IfAsSevere("tcp.backend-unreachable"),
        Cause::IfAsSevere("tcp.checksum-drop"),
        Cause::IfAsSevere("tcp.one-way-path"),
        Cause::IfAsSevere("tcp.port-collision"),
        Cause::IfAsSevere("tls.not-tls"),
        Cause::IfAsSevere("proxy.header-mismatch"),
        Cause::IfAsSevere("tls.client-hello-dropped"),
        Cause::IfAsSevere("tls.handshake-timeout"),
        CONVERSATION,
        Cause::IfAsSevere("tcp.truncated-response"),
        ALERTS,
        CERTIFICATES,
        Cause::IfAsSevere("tcp.no-response"),
        Cause::IfAsSevere("tcp.probe"),
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Resets(detect),
};

fn detect(resets: &Resets<'_>, limits: &Limits) -> Option<Finding> {
    let (first, all) = resets.because_of(Reason::Abort)?;
    let connection = resets.connection;
    let turned_away = is_turned_away(connection, first.event);
    let costly = loses_work(connection, first.event, first.reset) || turned_away;
    let own = connection.side(first.event.from);
    let severity = if costly {
        Severity::Error
    } else {
        Severity::Note
    };
    let words = if turned_away {
        " right behind the handshake, before a byte was exchanged".to_owned()
    } else if costly {
        format!(" while work was outstanding{}", request(connection))
    } else {
        " with nothing outstanding".to_owned()
    };
    let after = first.reset.answers.map_or(String::new(), |_| {
        format!(", {} after the packet before", span(first.reset.idle))
    });
    Some(Finding {
        confidence: if connection.roles.are_known() {
            Confidence::Likely
        } else {
            Confidence::Possible
        },
        summary: format!(
            "{} aborted the connection{words}{after}{}",
            socket(own),
            by_a_device(connection)
        ),
        ..finding(RECORD.code, severity, (&first, &all), connection, limits)
    })
}

/// The server accepts and resets at once, while the client is about to begin: it serves this client as little as one that
/// refuses.
fn is_turned_away(connection: &Connection, reset: &Event) -> bool {
    let silent = connection.client.counts.payload_packets == 0
        && connection.server.counts.payload_packets == 0;
    let opened = connection.tcp.handshake.ack;
    reset.from == Side::Server
        && silent
        && connection.client.tcp.fin.is_none()
        && opened.is_some_and(|ack| reset.time.since(ack.time) <= Interval::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::super::traces::{OPEN, USED};
    use crate::Severity;
    use crate::testing::only;

    #[test]
    fn with_an_answer_owed_it_is_an_error() {
        let found = only(&format!(
            "{OPEN}\n 0.04 > PA 1:11(10) ack 1\n 0.06 < A 1:1(0) ack 11\n 2.00 < RA 1:1(0) ack 11"
        ));
        assert_eq!((found.code, found.severity), ("rst.abort", Severity::Error));
    }

    #[test]
    fn a_client_that_is_turned_away_behind_the_handshake() {
        let reset =
            |at: &str, side: char| only(&format!("{OPEN}\n {at} {side} RA 1:1(0) ack 1")).severity;
        assert_eq!(reset("0.031", '<'), Severity::Error);
        assert_eq!(reset("5.000", '<'), Severity::Note);
        assert_eq!(reset("0.031", '>'), Severity::Note);
    }

    #[test]
    fn a_proxy_that_accepts_is_named_and_not_accused() {
        let lines = |accepting: u8| {
            format!(
                "0.00 > S 0:0(0)
                 0.02 < SA 0:0(0) ack 1 ttl {accepting}
                 0.03 > A 1:1(0) ack 1
                 0.04 > PA 1:11(10) ack 1
                 0.06 < A 1:1(0) ack 11 ttl 57
                 2.00 < RA 1:1(0) ack 11 ttl 57"
            )
        };
        assert!(only(&lines(60)).summary.contains("SYN proxy"));
        assert!(!only(&lines(57)).summary.contains("SYN proxy"));
        assert!(!only(&lines(128)).summary.contains("SYN proxy"));
    }

    #[test]
    fn with_everything_answered_it_is_a_note() {
        let found = only(&format!("{USED}\n 2.00 > RA 11:11(0) ack 11"));
        assert_eq!((found.code, found.severity), ("rst.abort", Severity::Note));
    }
}
