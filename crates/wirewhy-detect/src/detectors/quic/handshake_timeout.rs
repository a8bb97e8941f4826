//! `quic.handshake-timeout`: the handshake stops at a stage, and nothing more comes.

use wirewhy_flow::Side;
use wirewhy_protocol::{Finishing, Mark as ProtocolMark, TlsStage};

use super::{Reading, blame_for_silence, flow_marks, frames, is_waiting, long_enough, phrase};
use crate::handshake::flow_mark;
use crate::wording::{size, socket, span};
use crate::{
    Cause, Confidence, Culprit, Detector, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "quic.handshake-timeout",
    group: Group::Quic,
    title: "The handshake over QUIC stopped, and nothing more came",
    severity: Severity::Error,
    means: "Both sides were heard, then one of them fell silent before the handshake was done. Its packets, or those for it, are lost \
            on the way, or its application hangs.",
    recognised: "A handshake in which no side has sent what only a completed one has, and silence of one side for 10 s, or for 3 s \
                 while the other repeats with back-off or to the end of the recording (possible then), or until the client closes \
                 with NO_ERROR, or with any error after 2 s of repeating without hearing anything. Or the client, which got the \
                 server's flight, sends Handshake packets three times or more over a second to the end: it never learned that \
                 its Finished arrived. The types of packet that each side sent show how far it got.",
    look_alikes: "A server may send no more than three times what it has received until the client's address is validated: a long \
                  chain of certificates stops there until the client is heard again. The finding says so where the server is at \
                  that limit.",
    check_next: &[
        "At the amplification limit: send a shorter chain of certificates, compress it, or use Retry; look for loss from the client.",
        "Server silent: does its process hang, or does something drop its larger datagrams on the way?",
        "Client silent: a capture at the client shows whether the server's flight arrives there.",
    ],
    explained_by: &[
        Cause::IfAsSevere("quic.mtu-blackhole"),
        Cause::IfAsSevere("quic.client-hello-dropped"),
        Cause::IfAsSevere("quic.retry-loop"),
        Cause::IfAsSevere("quic.handshake-failed"),
    ],
    reportable: Reportable::HandshakeSilence,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Quic(detect),
};

/// So many times the client sends its Finished before it counts as unconfirmed.
const REPEATS: usize = 3;

/// A server stops before the datagram that would pass the limit: so much may be left.
const ALMOST: u64 = 1_200;

fn detect(reading: &Reading<'_>, limits: &Limits) -> Option<Finding> {
    let Reading {
        connection, quic, ..
    } = *reading;
    if quic.server.datagrams == 0 || reading.is_refused() {
        return None;
    }
    if let Some(finding) = unconfirmed(reading, limits) {
        return Some(finding);
    }
    if reading.is_established() {
        return None;
    }
    let (client, server) = (&quic.client.unanswered, &quic.server.unanswered);
    // Without the ServerHello the client cannot go on: what the server sent behind it is no answer yet.
    let has_hello = reading.tls.server_hello.is_some();
    let silent = match reading.stage {
        TlsStage::ServerFlight if server.count > 0 && has_hello => Side::Client,
        TlsStage::Begun if server.count > 0 => Side::Client,
        _ => Side::Server,
    };
    let waiting = reading.sent(silent.other());
    // Where the silent side still acknowledges, its silence begins with the stage.
    let waited = match waiting.unanswered.count {
        0 => connection.heard_after(connection.first.time),
        _ => reading.silence_after(silent),
    };
    let gave_up = quic
        .closes
        .iter()
        .find(|close| close.code.is_no_error() || reading.has_waited(close));
    let confidence = match long_enough(reading, waited, limits) {
        Some(confidence) => confidence,
        None if gave_up.is_some() => Confidence::Likely,
        None => return None,
    };
    // Both are silent: a close that could not be read, not a side that waits.
    let repeats = quic.client.repeated > 0 && silent == Side::Server;
    let waits = is_waiting(
        &waiting.unanswered.first,
        reading.silence_after(silent.other()),
    ) || repeats
        || gave_up.is_some();
    // Nor can a side have closed that sent nothing since the other's first datagram.
    let absent = silent == Side::Client
        && connection
            .client
            .last
            .zip(quic.server.initial.first)
            .is_some_and(|(last, answer)| last.frame < answer.frame);
    let stopped = waits
        || absent
        || silent == Side::Server
        || reading.is_decrypted()
        || waited >= limits.handshake_silence;
    let unread = silent == Side::Server
        && !waits
        && !reading.is_decrypted()
        && quic.client.handshake.count > 0
        && quic.server.handshake.count > 0;
    if !stopped || unread {
        return None;
    }
    let amplification = &quic.amplification;
    let limited = silent == Side::Server
        && amplification.validated.is_none()
        && quic.retries.is_empty()
        && quic.server.handshake.count > 0
        && amplification.left() < ALMOST;
    // What the server sent does not arrive, or the client's acknowledgements do not: neither side is silent.
    let unheard = silent == Side::Server
        && quic.server.initial.opened > 0
        && !quic.server.acknowledged
        && (client.first.len() >= 2 || gave_up.is_some_and(|close| reading.has_waited(close)));
    let culprit: Culprit = match unheard {
        true => Role::Unknown.into(),
        false => blame_for_silence(connection, silent),
    };
    let words = match limited {
        true => format!(
            "; it had sent {} for the {} it got, which is as much as it may before the client's address is validated",
            size(amplification.server_bytes),
            size(amplification.client_bytes),
        ),
        false => String::new(),
    };
    let stands = match silent {
        _ if unheard => "the client acknowledged nothing that the server sent".to_owned(),
        silent => format!(
            "nothing came from the {} in {}",
            silent.name(),
            span(waited)
        ),
    };
    let last = connection.side(silent).last;
    let close = gave_up.map(|close| flow_mark(close.mark));
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence,
        culprit,
        summary: format!(
            "The handshake with {}{} stopped at {}: {stands}{words}{}",
            socket(&connection.server),
            reading.for_name(),
            reading.stage.name(),
            gave_up.map_or_else(String::new, |close| format!(
                "; the {} then closed it{}",
                super::side_of(close.from).name(),
                phrase(close)
            )),
        ),
        frames: frames(
            last.into_iter()
                .chain(flow_marks(&waiting.unanswered.first))
                .chain(close)
                .chain([connection.first]),
        ),
        facts: reading
            .facts()
            .with("silent", silent.name())
            .with("waited_seconds", waited)
            .with("threshold_seconds", limits.handshake_silence)
            .with("client_reached", reached(&quic.client))
            .with("server_reached", reached(&quic.server))
            .with("client_bytes", amplification.client_bytes)
            .with("server_bytes", amplification.server_bytes)
            .with("at_amplification_limit", limited),
        consequence_of: None,
    })
}

/// The client has verified the server's flight and sends its Finished again and again: that does not arrive, or the
/// confirmation of the server does not.
fn unconfirmed(reading: &Reading<'_>, limits: &Limits) -> Option<Finding> {
    let Reading {
        connection, quic, ..
    } = *reading;
    let finishing = &quic.finishing;
    let (first, last) = (finishing.first.first()?, finishing.last?);
    let spread = last.time.since(first.time);
    let repeats = quic.client.one_rtt.count > 0
        && finishing.first.len() >= REPEATS
        && spread >= limits.unanswered_span;
    let waited = connection.heard_after(flow_mark(*first).time);
    if !repeats || finishing.went_on.is_some() || waited < limits.silence {
        return None;
    }
    let behind = |last: Option<ProtocolMark>| last.is_some_and(|last| last.frame > first.frame);
    let server = &quic.server;
    let (words, culprit) = if behind(server.initial.last) || behind(server.handshake.last) {
        (
            "the server sends its flight again, so what the client sends does not arrive",
            Role::Unknown.into(),
        )
    } else if behind(server.one_rtt.last) {
        (
            "the client does not get the server's confirmation",
            Role::Unknown.into(),
        )
    } else {
        (
            "nothing more came from the server",
            blame_for_silence(connection, Side::Server),
        )
    };
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit,
        summary: format!(
            "The handshake with {}{} was never confirmed: the client sent its Finished {} over {}, and {words}",
            socket(&connection.server),
            reading.for_name(),
            match finishing.first.len() {
                Finishing::KEPT => "again and again".to_owned(),
                times => format!("{times} times"),
            },
            span(spread),
        ),
        frames: frames(flow_marks(&finishing.first).chain([connection.first])),
        facts: reading
            .facts()
            .with("finished_datagrams", u64::from(finishing.count))
            .with("waited_seconds", waited)
            .with("threshold_seconds", limits.silence)
            .with("client_reached", reached(&quic.client))
            .with("server_reached", reached(&quic.server)),
        consequence_of: None,
    })
}

/// The highest type of packet that a side sent.
fn reached(side: &wirewhy_protocol::QuicSide) -> &'static str {
    use wirewhy_protocol::PacketKind::{Handshake, Initial, OneRtt};
    let sent = [
        (side.one_rtt.count, OneRtt),
        (side.handshake.count, Handshake),
        (side.initial.count, Initial),
    ];
    sent.into_iter()
        .find(|(count, _)| *count > 0)
        .map_or("nothing", |(_, kind)| kind.name())
}

#[cfg(test)]
mod tests {
    use super::super::traces::ConversationTrace;
    use crate::Confidence;

    #[test]
    fn a_server_that_answers_once() {
        let found = ConversationTrace::new()
            .client_hello(0)
            .server_hello(20)
            .client_hello(300)
            .client_hello(900)
            .client_hello(2_100)
            .until(8_000)
            .only();
        assert_eq!(
            (found.code, found.confidence),
            ("quic.handshake-timeout", Confidence::Likely)
        );
        assert!(
            found.summary.contains(
                "stopped at server-hello: the client acknowledged nothing that the server sent"
            ),
            "{}",
            found.summary
        );
    }

    #[test]
    fn a_server_at_the_amplification_limit_is_said_to_be_there() {
        let found = ConversationTrace::new()
            .client_hello(0)
            .server_hello(20)
            .server_handshake_of(21, 1_200)
            .server_handshake_of(22, 1_200)
            .client_hello_of(400, 40)
            .client_hello_of(1_200, 40)
            .client_hello_of(2_800, 40)
            .until(8_000)
            .only();
        assert_eq!(found.code, "quic.handshake-timeout");
        assert_eq!(
            found.facts.value("at_amplification_limit"),
            Some(&true.into())
        );
    }

    /// A client that sends its Finished again and again.
    fn unconfirmed() -> ConversationTrace {
        ConversationTrace::new()
            .client_hello(0)
            .server_flight(20)
            .client_handshake(40, 90)
            .client_short(41, 120)
            .client_handshake(340, 90)
            .client_handshake(940, 90)
            .server_short(945, 60)
            .client_handshake(2_140, 90)
    }

    #[test]
    fn a_handshake_that_is_never_confirmed() {
        let found = unconfirmed().until(8_000).only();
        assert_eq!(
            (found.code, found.confidence),
            ("quic.handshake-timeout", Confidence::Likely)
        );
        assert!(
            found.summary.contains("sent its Finished 4 times"),
            "{}",
            found.summary
        );
    }

    #[test]
    fn a_handshake_that_is_confirmed_late_is_done() {
        let conversation = unconfirmed()
            .server_short(2_160, 60)
            .client_short(2_170, 40)
            .until(20_000);
        assert_eq!(conversation.codes(), [""; 0]);
    }

    #[test]
    fn a_client_that_closes_after_waiting_complains_of_nothing() {
        let found = ConversationTrace::new()
            .client_hello(0)
            .server_flight(20)
            .client_hello(300)
            .server_flight(310)
            .client_hello(900)
            .server_flight(910)
            .client_closes(4_000, 0x0a, "")
            .until(8_000)
            .only();
        assert_eq!(found.code, "quic.handshake-timeout");
    }

    #[test]
    fn a_client_that_closes_at_once_complains_of_something() {
        let found = ConversationTrace::new()
            .client_hello(0)
            .server_flight(20)
            .client_closes(40, 0x0a, "")
            .until(8_000)
            .only();
        assert_eq!(found.code, "quic.handshake-failed");
    }

    #[test]
    fn a_client_that_sends_nothing_behind_the_flight() {
        let found = ConversationTrace::new()
            .client_hello(0)
            .server_flight(20)
            .until(6_000)
            .only();
        assert_eq!(
            (found.code, found.confidence),
            ("quic.handshake-timeout", Confidence::Possible)
        );
    }

    #[test]
    fn a_handshake_that_is_done_or_short_of_time_is_none() {
        let done = ConversationTrace::new()
            .client_hello(0)
            .handshake(20)
            .until(20_000);
        assert_eq!(done.codes(), [""; 0]);
        let cut = ConversationTrace::new()
            .client_hello(0)
            .server_hello(20)
            .until(1_000);
        assert_eq!(cut.codes(), [""; 0]);
    }
}
