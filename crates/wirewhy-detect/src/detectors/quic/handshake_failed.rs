//! `quic.handshake-failed`: one side closes the connection before the handshake is done.

use wirewhy_flow::Side;
use wirewhy_protocol::{CloseCode, PacketKind, QuicClose};

use super::{Reading, flow_marks, frames, is_waiting, phrase, side_of};
use crate::causes::CERTIFICATES;
use crate::handshake::{culprit, flow_mark};
use crate::wording::{socket, span};
use crate::{
    Cause, Confidence, Culprit, Detector, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "quic.handshake-failed",
    group: Group::Quic,
    title: "The handshake over QUIC was broken off",
    severity: Severity::Error,
    means: "One side closed the connection with an error before the handshake was done. An error of TLS has its own code; this is one \
            of the transport, or, without secrets, a close that cannot be read and most often refuses a certificate.",
    recognised: "CONNECTION_CLOSE with a transport error in a packet that opens. Without secrets: the client answers the server's \
                 flight with Handshake packets alone and is silent, and the server, which would send its flight again, is silent \
                 too (possible then).",
    look_alikes: "A server whose flight is not answered sends it again: quic.handshake-timeout. A close that says NO_ERROR is no \
                  error of the handshake: look for what the client waited for.",
    check_next: &[
        "Look for the error's name and the reason phrase in the logs of the side that closed.",
        "With secrets (SSLKEYLOGFILE, --keylog) closes in Handshake packets and certificates can be read.",
        "Without them: does the same client refuse the same server over TCP? There the alert's size shows.",
    ],
    explained_by: &[
        Cause::IfAsSevere("quic.retry-loop"),
        Cause::IfAsSevere("quic.unanswered"),
        Cause::IfAsSevere("quic.mtu-blackhole"),
        CERTIFICATES,
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Quic(detect),
};

fn detect(reading: &Reading<'_>, limits: &Limits) -> Option<Finding> {
    // Where nothing came back there was no handshake: quic.unanswered.
    if reading.is_established() || reading.quic.server.datagrams == 0 {
        return None;
    }
    match reading.quic.failure() {
        Some(close) if close.code.alert().is_some() || reading.has_waited(close) => None,
        Some(close) => Some(stated(reading, close)),
        None => unread(reading, limits),
    }
}

fn stated(reading: &Reading<'_>, close: &QuicClose) -> Finding {
    let connection = reading.connection;
    let from = side_of(close.from);
    let sender = socket(connection.side(from));
    Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Certain,
        culprit: at_fault(reading, close, from),
        summary: format!(
            "{sender} closed the connection{} during the handshake with {}{}",
            reading.for_name(),
            close.code,
            phrase(close),
        ),
        frames: frames([flow_mark(close.mark), connection.first]),
        facts: reading
            .facts()
            .with("from", from.name())
            .with("error_code", close.code.value())
            .with("error_name", close.code.name())
            .with("reason", &*close.reason)
            .with("frame_type", close.frame_type)
            .with("packet", close.level.name()),
        consequence_of: None,
    }
}

/// Whose fault an error is: what a side says of itself, or complains of.
fn at_fault(reading: &Reading<'_>, close: &QuicClose, from: Side) -> Culprit {
    let own = |sure| culprit(reading.connection, from).at_most(sure);
    let peer = |sure| culprit(reading.connection, from.other()).at_most(sure);
    match close.code {
        // INTERNAL_ERROR, CONNECTION_REFUSED, APPLICATION_ERROR, CRYPTO_BUFFER_EXCEEDED.
        CloseCode::Transport(0x01 | 0x02 | 0x0c | 0x0d) => own(Confidence::Likely),
        CloseCode::INVALID_TOKEN => {
            culprit(reading.connection, Side::Server).at_most(Confidence::Likely)
        }
        // Hellos that do not agree about the versions: something changed them on the way, or one side is wrong.
        CloseCode::VERSION_NEGOTIATION_ERROR => Role::Unknown.into(),
        CloseCode::Transport(0x03..=0x0a) => peer(Confidence::Possible),
        _ => own(Confidence::Possible),
    }
}

/// A close that cannot be read: both sides fall silent behind the client's answer to the server's flight.
fn unread(reading: &Reading<'_>, limits: &Limits) -> Option<Finding> {
    let Reading {
        connection,
        quic,
        tls,
        ..
    } = *reading;
    let (client, server) = (&quic.client, &quic.server);
    let flight = server.handshake.last?;
    let answer = client.handshake.last?;
    let waited = reading.silence_after(Side::Client);
    let is_close = tls.server_hello.is_some()
        && !reading.is_decrypted()
        && quic.closes.is_empty()
        && client.one_rtt.count == 0
        && answer.frame > server.handshake.first?.frame
        && server.unanswered.first.len() <= 1
        && !is_waiting(&client.unanswered.first, waited)
        && client
            .early
            .iter()
            .filter(|sent| sent.first == PacketKind::Handshake)
            .count()
            <= 4;
    // A server that has sent all of its flight sends it again after a fraction of this, where it is not acknowledged.
    let whole = server
        .one_rtt
        .first
        .is_some_and(|sent| sent.frame < answer.frame)
        && !connection.is_ongoing()
        && waited >= limits.unanswered_span;
    let long_enough = waited >= limits.silence || whole;
    if !is_close || !long_enough || quic.reset.is_some() {
        return None;
    }
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Possible,
        culprit: Role::Unknown.into(),
        summary: format!(
            "{} answered the server's flight{} with a Handshake packet, and both sides have been silent for {}: a close that \
             cannot be read without secrets, most often because of the certificate",
            socket(&connection.client),
            reading.for_name(),
            span(waited),
        ),
        frames: frames(flow_marks(&[answer, flight])),
        facts: reading
            .facts()
            .with("from", Side::Client.name())
            .with("silence_seconds", waited),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::ConversationTrace;
    use crate::{Confidence, Role};

    #[test]
    fn a_server_that_refuses_connections() {
        let found = ConversationTrace::new()
            .client_hello(0)
            .server_closes(20, 0x02, "overloaded")
            .until(5_000)
            .only();
        assert_eq!(
            (found.code, found.culprit.role),
            ("quic.handshake-failed", Role::Server)
        );
        assert_eq!(found.confidence, Confidence::Certain);
        assert!(
            found
                .summary
                .contains("CONNECTION_REFUSED (0x02) (\"overloaded\")"),
            "{}",
            found.summary
        );
    }

    #[test]
    fn an_alert_has_its_own_code() {
        let found = ConversationTrace::new()
            .client_hello(0)
            .server_closes(20, 0x178, "")
            .until(5_000)
            .only();
        assert_eq!(found.code, "tls.alpn-mismatch");
    }

    #[test]
    fn a_close_that_cannot_be_read() {
        let found = ConversationTrace::new()
            .client_hello(0)
            .server_flight(20)
            .client_handshake(40, 90)
            .until(20_000)
            .only();
        assert_eq!(
            (found.code, found.confidence),
            ("quic.handshake-failed", Confidence::Possible)
        );
    }

    #[test]
    fn a_close_behind_an_acknowledgement() {
        let conversation = |until| {
            ConversationTrace::new()
                .client_hello(0)
                .server_flight(20)
                .client_handshake(40, 90)
                .client_handshake(57, 70)
                .until(until)
        };
        assert_eq!(conversation(6_000).codes(), ["quic.handshake-failed"]);
        assert_eq!(conversation(1_500).codes(), [""; 0]);
    }

    #[test]
    fn a_close_behind_all_of_the_flight_needs_less_silence() {
        let conversation = |until| {
            ConversationTrace::new()
                .client_hello(0)
                .server_flight(20)
                .server_short(21, 200)
                .client_handshake(40, 70)
                .until(until)
        };
        assert_eq!(conversation(1_500).codes(), ["quic.handshake-failed"]);
        assert_eq!(conversation(700).codes(), [""; 0]);
    }

    #[test]
    fn a_server_that_sends_its_flight_again_has_no_close() {
        let conversation = ConversationTrace::new()
            .client_hello(0)
            .server_flight(20)
            .client_handshake(40, 90)
            .server_handshake(400)
            .server_handshake(1_000)
            .server_handshake(2_200)
            .until(20_000);
        assert_eq!(conversation.codes(), ["quic.handshake-timeout"]);
    }
}
