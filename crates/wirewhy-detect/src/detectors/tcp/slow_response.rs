//! `tcp.slow-response`: the answer took long, and the network did not.

use wirewhy_flow::{Answer, Connection, Interval, Mark};
use wirewhy_protocol::{AppFacts, AppProtocol};

use super::awaits_greeting;
use crate::wording::{socket, span};
use crate::{
    Cause, Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role,
    Rule, Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.slow-response",
    group: Group::Tcp,
    title: "The server took long to answer",
    severity: Severity::Warning,
    means: "Between the request and the first byte of its answer lies more than a second, with the network's round trip already \
            subtracted: the time was spent in the server or behind it.",
    recognised: "The slowest turn of a conversation in which the client asks and the server answers, measured from the latest transmission of \
                 the request, above 1 s. Servers that speak unasked are left alone.",
    look_alikes: "Lost requests and answers cost time too, but show retransmissions: tcp.packet-loss. A long poll is slow on purpose.",
    check_next: &[
        "Compare with the server's own log of that request: the difference is queueing before the application saw it.",
        "Look at what the server waits for: upstreams, database, locks.",
    ],
    explained_by: &[
        Cause::IfAsSevere("tcp.delayed-ack-stall"),
        // Servers hold the refusal of a login back on purpose.
        Cause::IfAsSevere("ftp.error-reply"),
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::SLOW_ANSWER, detect),
};

/// Whether a conversation goes by turns that can be told apart without reading it: lines of text, as in SMTP, FTP or
/// Redis. Binary protocols mix questions with news, and under TLS and SSH nothing can be told.
pub(super) fn speaks_in_turns(app: &AppFacts) -> bool {
    let sealed = |protocol: Option<AppProtocol>| {
        matches!(protocol, Some(AppProtocol::Tls | AppProtocol::Ssh))
    };
    let opened = [&app.client, &app.server];
    opened
        .iter()
        .all(|side| !sealed(side.protocol) && side.inner.is_none() && side.begins_with_text)
}

/// The slowest answer: of HTTP's exchanges where it was read, else of the turns.
fn slowest(connection: &Connection) -> Option<Answer> {
    let exchange = &connection.tcp.exchange;
    let by_turns = exchange.slowest.filter(|_| !exchange.pushes);
    let app = connection.app.as_deref()?;
    // Answered without a complete request: the server did not wait any longer (408).
    if app.http.requests == 0 && app.http.responses > 0 {
        return None;
    }
    if app.http.requests == 0 {
        return if speaks_in_turns(app) {
            by_turns
        } else {
            exchange.first
        };
    }
    let slowest = app.http.slowest.as_ref()?;
    let mark = |seen: wirewhy_protocol::Mark| Mark {
        frame: seen.frame,
        time: seen.time,
    };
    let resent = connection
        .client
        .tcp
        .trouble()
        .is_some_and(|trouble| trouble.losses() > 0);
    // With the request lost and sent again, the turn knows when it went out last.
    if resent {
        by_turns
    } else {
        Some(Answer {
            asked: mark(slowest.sent?),
            answered: mark(slowest.answered),
        })
    }
}

/// How long the answer took from its first byte to its last, where HTTP was read.
fn transfer(connection: &Connection, answer: Answer) -> Option<Interval> {
    let slowest = connection.app.as_deref()?.http.slowest.as_ref()?;
    let ended = slowest.ended?;
    (slowest.answered.frame == answer.answered.frame)
        .then(|| ended.time.since(slowest.answered.time))
}

/// The greeting of a server that speaks first, as the answer to the handshake.
fn greeting(connection: &Connection) -> Option<Answer> {
    let asked = connection.tcp.handshake.ack?;
    let answered = connection.server.first_payload?;
    let first = connection
        .client
        .first_payload
        .is_none_or(|payload| payload.frame > answered.frame);
    (first && awaits_greeting(connection)).then_some(Answer { asked, answered })
}

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let exchange = &connection.tcp.exchange;
    let greeting = greeting(connection);
    let answer = greeting
        .into_iter()
        .chain(slowest(connection))
        .max_by_key(|answer| answer.took())?;
    let what = if greeting == Some(answer) {
        "to send its greeting"
    } else {
        "to answer a request"
    };
    let round_trip = connection
        .round_trip()
        .to_server
        .or(connection.client.tcp.shortest_round_trip());
    let took = answer.took() - round_trip.unwrap_or_default();
    if took < limits.slow_response {
        return None;
    }
    let server = &connection.server;
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Warning,
        confidence: Confidence::Likely,
        culprit: Culprit::new(Role::Server, server.address),
        summary: format!(
            "{} took {} {what}{}",
            socket(server),
            span(took),
            round_trip.map_or(String::new(), |there| {
                format!(" (the network takes {} there and back)", span(there))
            }),
        ),
        frames: vec![answer.answered.frame, answer.asked.frame],
        facts: Facts::default()
            .with("response_seconds", took)
            .with("round_trip_seconds", round_trip)
            .with("transfer_seconds", transfer(connection, answer))
            .with("answers", exchange.answers)
            .with("threshold_seconds", limits.slow_response),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::codes;

    fn answered_after(seconds: f64) -> String {
        let at = 0.06 + seconds;
        format!(
            "0.00 > S 0:0(0)
             0.02 < SA 0:0(0) ack 1
             0.03 > A 1:1(0) ack 1
             0.04 > PA 1:11(10) ack 1
             0.06 < A 1:1(0) ack 11
             {at:.2} < PA 1:11(10) ack 11
             {:.2} > FA 11:11(0) ack 11
             {:.2} < FA 11:11(0) ack 12
             {:.2} > A 12:12(0) ack 12",
            at + 0.01,
            at + 0.03,
            at + 0.05
        )
    }

    #[test]
    fn two_and_a_half_seconds() {
        assert_eq!(codes(&answered_after(2.5)), ["tcp.slow-response"]);
    }

    #[test]
    fn a_greeting_that_takes_its_time() {
        let greeted = |port: u16| {
            codes(&format!(
                "#1 server 192.0.2.9:{port}
                 0.00 #1 > S 0:0(0)
                 0.02 #1 < SA 0:0(0) ack 1
                 0.03 #1 > A 1:1(0) ack 1
                 5.05 #1 < PA 1:11(10) ack 1
                 5.06 #1 > FA 1:1(0) ack 11
                 5.08 #1 < FA 11:11(0) ack 2
                 5.09 #1 > A 2:2(0) ack 12"
            ))
        };
        assert_eq!(greeted(21), ["tcp.slow-response"]);
        assert!(greeted(9000).is_empty(), "news, for all that is known");
    }

    #[test]
    fn half_a_second_is_nothing_to_complain_of() {
        assert!(codes(&answered_after(0.5)).is_empty());
    }
}
