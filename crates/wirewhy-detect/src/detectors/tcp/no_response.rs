//! `tcp.no-response`: the kernel took the request, the application never answers.

use wirewhy_flow::{Connection, Interval, Mark, Side};

use super::resets;
use super::slow_response::speaks_in_turns;

use crate::wording::{request, socket, span};
use crate::{
    Cause, Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role,
    Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.no-response",
    group: Group::Tcp,
    title: "The request was taken, but the application never answered",
    severity: Severity::Error,
    means: "The server's kernel acknowledged the request, so network and host are fine; its application did not answer in time. An error \
            where the client gave up waiting.",
    recognised: "A request whose last byte is acknowledged and no byte of the server for 10 s or more. What counts as a request: HTTP, or a \
                 turn in a conversation in which the server has answered before and never speaks unasked.",
    look_alikes: "A request that is not acknowledged was not received: tcp.peer-vanished. One-way protocols, in which the server \
                  has nothing to say, are left alone.",
    check_next: &[
        "What was the application doing then: its log, its thread dump, the service behind it (database, DNS, upstream)?",
        "Is it out of workers or file descriptors (ss -ltn Recv-Q, its own metrics)?",
    ],
    explained_by: &[Cause::IfAsSevere("tcp.probe")],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(detect),
};

/// The question that waits for its answer, and for how long it waited, if that is too long.
fn waiting(connection: &Connection, limits: &Limits) -> Option<(Mark, Interval)> {
    let asked = question(connection)?;
    let (client, server) = (&connection.client, &connection.server);
    let taken = client
        .tcp
        .next
        .zip(server.tcp.acknowledged)
        .is_some_and(|(next, acknowledged)| {
            // The FIN of a client that gave up may be unacknowledged yet.
            next.distance_from(acknowledged) <= i32::from(client.tcp.fin.is_some())
        });
    let reset = [Side::Client, Side::Server]
        .into_iter()
        .filter_map(|side| resets(connection, side).next())
        .map(|(event, _)| event.time)
        .min();
    let until = [client.tcp.fin.map(|fin| fin.time), reset]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(connection.observed_until);
    let waited = until.since(asked.time);
    // A server that closes behind the client's end has not answered either.
    let open = server.tcp.fin.is_none_or(|fin| fin.time >= until);
    (taken && open && waited >= limits.no_response).then_some((asked, waited))
}

/// The question that waits for its answer: an HTTP request, or a turn in a conversation of turns.
fn question(connection: &Connection) -> Option<Mark> {
    let exchange = &connection.tcp.exchange;
    let app = connection.app.as_deref();
    if let Some(awaiting) = app.and_then(|app| app.awaiting.as_ref()) {
        return Some(Mark {
            frame: awaiting.sent.frame,
            time: awaiting.sent.time,
        });
    }
    let in_turns = exchange.answers > 0 && !exchange.pushes;
    let in_text = app.is_some_and(|app| app.http.requests == 0 && speaks_in_turns(app));
    exchange.asked.filter(|_| in_turns && in_text)
}

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let (asked, waited) = waiting(connection, limits)?;
    let server = &connection.server;
    let gave_up = connection.client.tcp.fin.is_some() || connection.client.tcp.counts.resets > 0;
    Some(Finding {
        code: RECORD.code,
        severity: if gave_up {
            Severity::Error
        } else {
            Severity::Warning
        },
        confidence: Confidence::Likely,
        culprit: Culprit {
            role: Role::Server,
            address: Some(server.address),
        },
        summary: format!(
            "{} took the request{} and sent no answer in {}{}",
            socket(server),
            request(connection),
            span(waited),
            match (gave_up, connection.goes_on()) {
                (true, _) => "; the client gave up",
                (false, true) => "; the client is still waiting",
                (false, false) => "; the client was still waiting when the capture ended",
            },
        ),
        frames: [Some(asked), connection.client.tcp.fin, server.last]
            .into_iter()
            .flatten()
            .map(|mark| mark.frame)
            .collect(),
        facts: Facts::default()
            .with("waited_seconds", waited)
            .with("client_gave_up", gave_up)
            .with("earlier_answers", connection.tcp.exchange.answers)
            .with("threshold_seconds", limits.no_response)
            .with("stage", "request-sent"),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{codes, judged};
    use crate::{Role, Severity};

    const ANSWERED_ONCE: &str = "0.00 > S 0:0(0)
         0.02 < SA 0:0(0) ack 1
         0.03 > A 1:1(0) ack 1
         0.04 > PA 1:11(10) ack 1
         0.06 < PA 1:11(10) ack 11
         0.07 > A 11:11(0) ack 11
         0.10 > PA 11:21(10) ack 11
         0.12 < A 11:11(0) ack 21";

    #[test]
    fn the_client_gives_up() {
        let judged = judged(&format!(
            "{ANSWERED_ONCE}\n 12.1 > FA 21:21(0) ack 11\n 12.2 < A 11:11(0) ack 22\n 20.0 end"
        ));
        let root = judged.root_cause().unwrap();
        assert_eq!(
            (root.code, root.severity, root.culprit.role),
            ("tcp.no-response", Severity::Error, Role::Server)
        );
    }

    #[test]
    fn still_waiting_at_the_end_is_a_warning() {
        let judged = judged(&format!("{ANSWERED_ONCE}\n 15.0 end"));
        assert_eq!(judged.root_cause().unwrap().severity, Severity::Warning);
    }

    #[test]
    fn a_server_with_nothing_to_say_is_no_failure() {
        let lines = "0.00 > S 0:0(0)
             0.02 < SA 0:0(0) ack 1
             0.03 > A 1:1(0) ack 1
             0.04 > PA 1:101(100) ack 1
             0.06 < A 1:1(0) ack 101
             15.0 > FA 101:101(0) ack 1
             15.1 < FA 1:1(0) ack 102
             15.2 > A 102:102(0) ack 2";
        assert!(codes(lines).is_empty());
    }

    #[test]
    fn a_server_that_pushes_owes_nothing() {
        let codes = codes(
            "0.00 > S 0:0(0)
             0.02 < SA 0:0(0) ack 1
             0.03 > A 1:1(0) ack 1
             0.04 > PA 1:11(10) ack 1
             0.06 < PA 1:11(10) ack 11
             5.00 < PA 11:21(10) ack 11
             5.01 > PA 11:21(10) ack 21
             5.02 < A 21:21(0) ack 21
             20.0 > FA 21:21(0) ack 21
             20.1 < FA 21:21(0) ack 22
             20.2 > A 22:22(0) ack 22",
        );
        assert!(codes.is_empty());
    }
}
