//! `quic.handshake-timeout`: the handshake stops at a stage, and nothing more comes.

use wirewhy_flow::Side;
use wirewhy_protocol::TlsStage;

use super::{Reading, blame_for_silence, flow_marks, frames, long_enough, phrase};
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
                 with NO_ERROR. The types of packet that each side sent show how far it got.",
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

/// A server stops before the datagram that would pass the limit: so much may be left.
const ALMOST: u64 = 1_200;

fn detect(reading: &Reading<'_>, limits: &Limits) -> Option<Finding> {
    let Reading {
        connection, quic, ..
    } = *reading;
    if reading.is_established() || quic.server.datagrams == 0 || reading.is_refused() {
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
    let gave_up = quic.closes.iter().find(|close| close.code.is_no_error());
    let confidence = match long_enough(reading, waited, limits) {
        Some(confidence) => confidence,
        None if gave_up.is_some() => Confidence::Likely,
        None => return None,
    };
    // Both are silent: a close that could not be read, not a side that waits.
    let repeats = quic.client.repeated > 0 && silent == Side::Server;
    let waits = waiting.unanswered.first.len() >= 2 || repeats || gave_up.is_some();
    let stopped = waits
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
        && client.first.len() >= 2;
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
        false if unheard => "; the client acknowledged nothing that the server sent".to_owned(),
        false => String::new(),
    };
    let last = connection.side(silent).last;
    let close = gave_up.map(|close| flow_mark(close.mark));
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence,
        culprit,
        summary: format!(
            "The handshake with {}{} stopped at {}: nothing came from {} in {}{words}{}",
            socket(&connection.server),
            reading.for_name(),
            reading.stage.name(),
            match silent {
                Side::Client => "the client",
                Side::Server => "the server",
            },
            span(waited),
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
            found
                .summary
                .contains("stopped at server-hello: nothing came from the server"),
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
