//! `tcp.closed-without-data`: accepted, and closed again without a word.

use wirewhy_flow::{Connection, Interval, Mark};
use wirewhy_protocol::AppProtocol;

use super::awaits_greeting;
use super::no_response::request_without_answer;
use crate::causes::CONVERSATION;
use crate::wording::{request, socket, span};
use crate::{
    Cause, Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role,
    Rule, Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.closed-without-data",
    group: Group::Tcp,
    title: "The server accepted the connection and closed it without a byte",
    severity: Severity::Error,
    means: "The handshake succeeded and the server closed in an orderly way without sending anything: an allow-list (TCP wrappers, \
            MaxStartups), a balancer without a back end, a process that failed at once.",
    recognised: "The server's FIN comes before the client's, and not one byte of the server. An error where the client had sent a request, or \
                 the server closed within 5 s of accepting. Or a later request in the same connection that was acknowledged and \
                 answered by the FIN alone.",
    look_alikes: "A client that opens and leaves: a health check or an unused spare connection, a note at most. A server that ends an idle \
                  spare connection after its timeout is a note as well.",
    check_next: &[
        "Look into the server's log at that second: refused by address, too many connections, a crash at accept.",
        "If a balancer answers for the service: has it any healthy back end?",
    ],
    explained_by: &[
        Cause::IfAsSevere("tls.not-tls"),
        Cause::IfAsSevere("proxy.header-mismatch"),
        Cause::IfAsSevere("tls.client-hello-dropped"),
        Cause::IfAsSevere("tls.handshake-timeout"),
        Cause::IfAsSevere("tls.handshake-closed"),
        CONVERSATION,
        Cause::IfAsSevere("tcp.probe"),
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::CLOSED_OWING, detect),
};

/// How soon after accepting a close counts as refusal rather than as the end of patience.
const AT_ONCE: Interval = Interval::from_secs(5);

fn detect(connection: &Connection, _limits: &Limits) -> Option<Finding> {
    let (client, server) = (&connection.client, &connection.server);
    let fin = server.tcp.fin?;
    let opened = connection.tcp.handshake.ack?;
    let client_first = client.tcp.fin.is_some_and(|own| own.frame < fin.frame);
    if server.tcp.counts.unseen_bytes > 0 || client_first {
        return None;
    }
    if server.counts.payload_packets > 0 {
        return unanswered_request(connection, fin);
    }
    let asked = client
        .first_payload
        .is_some_and(|payload| payload.frame < fin.frame);
    let after = fin.time.since(opened.time);
    let one_way = is_one_way(connection, fin);
    // A server that owes a greeting refuses at any time, after a reverse DNS lookup for example.
    let refused = (asked || after <= AT_ONCE || awaits_greeting(connection)) && !one_way;
    let words = if one_way {
        "; it had taken several messages before, as servers do that have nothing to say".to_owned()
    } else if asked {
        format!(
            " although the client had sent a request{}",
            request(connection)
        )
    } else {
        String::new()
    };
    Some(Finding {
        code: RECORD.code,
        severity: if refused {
            Severity::Error
        } else {
            Severity::Note
        },
        confidence: if asked && !one_way {
            Confidence::Likely
        } else {
            Confidence::Possible
        },
        culprit: Culprit::new(Role::Server, server.address),
        summary: format!(
            "{} closed the connection {} after accepting it without sending a byte{words}",
            socket(server),
            span(after),
        ),
        frames: [Some(fin), client.first_payload, Some(opened)]
            .into_iter()
            .flatten()
            .map(|mark| mark.frame)
            .collect(),
        facts: Facts::default()
            .with("closed_after_seconds", after)
            .with("client_payload_bytes", client.counts.payload_bytes)
            .with("request_sent", asked)
            .with(
                "stage",
                if asked {
                    "request-sent"
                } else {
                    "established-no-data"
                },
            ),
        consequence_of: None,
    })
}

/// The server had answered before, took another request, and closed in place of the answer. A request that crosses the FIN is
/// left to the resets, and to the client, which sends it again elsewhere.
fn unanswered_request(connection: &Connection, fin: Mark) -> Option<Finding> {
    let (client, server) = (&connection.client, &connection.server);
    let asked = request_without_answer(connection)?;
    let taken = client.tcp.unacknowledged_by(&server.tcp) <= u32::from(client.tcp.fin.is_some());
    if asked.time >= fin.time || !taken || server.tcp.counts.resets > 0 {
        return None;
    }
    let after = fin.time.since(asked.time);
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit: Culprit::new(Role::Server, server.address),
        summary: format!(
            "{} took a request{} and closed the connection {} later instead of answering it",
            socket(server),
            request(connection),
            span(after),
        ),
        frames: vec![fin.frame, asked.frame],
        facts: Facts::default()
            .with("closed_after_seconds", after)
            .with("client_payload_bytes", client.counts.payload_bytes)
            .with("request_sent", true)
            .with("stage", "request-sent"),
        consequence_of: None,
    })
}

/// Several messages over a while, all taken without an answer, and then a rest before the close: a protocol that sends one
/// way, as syslog does. A request that can be read is none, nor is the start of a handshake.
fn is_one_way(connection: &Connection, fin: Mark) -> bool {
    let client = &connection.client;
    let (Some(first), Some(last)) = (client.first_payload, client.last_payload) else {
        return false;
    };
    let reads = connection.app.as_deref().is_some_and(|app| {
        app.http.requests > 0
            || app.tls.is_some()
            || app.upgrade.is_some()
            || !matches!(app.client.protocol, None | Some(AppProtocol::Unknown))
    });
    let spread = last.time.since(first.time) >= AT_REST;
    let taken = client.tcp.unacknowledged_by(&connection.server.tcp) <= 1;
    let many = client.counts.payload_packets >= 2 && connection.tcp.exchange.insists;
    !reads && taken && spread && many && fin.time.since(last.time) >= AT_REST
}

/// A sender of messages that says nothing for this long is at rest.
const AT_REST: Interval = Interval::from_secs(1);

#[cfg(test)]
mod tests {
    use crate::testing::{codes, findings, only};
    use crate::{Confidence, Severity};

    const OPEN: &str = "0.00 > S 0:0(0)\n 0.02 < SA 0:0(0) ack 1\n 0.03 > A 1:1(0) ack 1";

    #[test]
    fn a_request_answered_by_a_fin() {
        let found = only(&format!(
            "{OPEN}\n 0.04 > PA 1:11(10) ack 1\n 0.06 < FA 1:1(0) ack 11\n 0.07 > FA 11:11(0) ack 2\n 0.09 < A 2:2(0) ack 12"
        ));
        assert_eq!(
            (found.code, found.severity, found.confidence),
            (
                "tcp.closed-without-data",
                Severity::Error,
                Confidence::Likely
            )
        );
    }

    #[test]
    fn a_later_request_answered_by_a_fin() {
        const GET: &str = "\"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\"";
        let lines = format!(
            "{OPEN}
             0.04 > PA 1:28(27) ack 1 {GET}
             0.06 < PA 1:39(38) ack 28 \"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n\"
             1.00 > PA 28:55(27) ack 39 {GET}
             1.02 < A 39:39(0) ack 55
             1.50 < FA 39:39(0) ack 55
             1.52 > FA 55:55(0) ack 40
             1.54 < A 40:40(0) ack 56"
        );
        let found = only(&lines);
        assert_eq!(
            (found.code, found.severity),
            ("tcp.closed-without-data", Severity::Error)
        );
        // Without its acknowledgement the request may have crossed the FIN.
        let crossed = lines
            .replace("1.02 < A 39:39(0) ack 55\n", "")
            .replace("1.50 < FA 39:39(0) ack 55", "1.01 < FA 39:39(0) ack 28")
            .replace("1.54 < A 40:40(0) ack 56", "");
        assert!(!codes(&crossed).contains(&"tcp.closed-without-data"));
    }

    #[test]
    fn messages_that_want_no_answer() {
        let lines = |rest: &str| {
            format!(
                "{OPEN}\n 1.00 > PA 1:11(10) ack 1\n 1.02 < A 1:1(0) ack 11
                 3.00 > PA 11:21(10) ack 1\n 3.02 < A 1:1(0) ack 21
                 5.00 > PA 21:31(10) ack 1\n 5.02 < A 1:1(0) ack 31
                 {rest}0 < FA 1:1(0) ack 31\n {rest}2 > FA 31:31(0) ack 2\n {rest}4 < A 2:2(0) ack 32"
            )
        };
        assert_eq!(only(&lines("35.0")).severity, Severity::Note);
        assert_eq!(only(&lines("5.1")).severity, Severity::Error);
    }

    #[test]
    fn a_greeting_that_never_came() {
        let found = only(&format!(
            "{OPEN}\n 0.05 < FA 1:1(0) ack 1\n 0.07 > FA 1:1(0) ack 2\n 0.09 < A 2:2(0) ack 2"
        ));
        assert_eq!(
            (found.severity, found.confidence),
            (Severity::Error, Confidence::Possible)
        );
    }

    #[test]
    fn the_end_of_a_servers_patience_is_a_note() {
        let found = only(&format!(
            "{OPEN}\n 60.0 < FA 1:1(0) ack 1\n 60.1 > FA 1:1(0) ack 2\n 60.2 < A 2:2(0) ack 2"
        ));
        assert_eq!(found.severity, Severity::Note);
    }

    #[test]
    fn a_client_that_leaves_first_was_not_refused() {
        let lines = format!(
            "{OPEN}\n 0.05 > FA 1:1(0) ack 1\n 0.07 < FA 1:1(0) ack 2\n 0.09 > A 2:2(0) ack 2"
        );
        assert!(codes(&lines).is_empty());
    }

    #[test]
    fn a_server_that_owes_a_greeting_refuses_after_any_time() {
        let closed = |port: u16| {
            findings(&format!(
                "#1 server 192.0.2.9:{port}
                 0.00 #1 > S 0:0(0)
                 0.02 #1 < SA 0:0(0) ack 1
                 0.03 #1 > A 1:1(0) ack 1
                 9.00 #1 < FA 1:1(0) ack 1
                 9.01 #1 > FA 1:1(0) ack 2
                 9.02 #1 < A 2:2(0) ack 2"
            ))[0]
                .severity
        };
        assert_eq!(closed(21), Severity::Error);
        assert_eq!(closed(8080), Severity::Note);
    }
}
