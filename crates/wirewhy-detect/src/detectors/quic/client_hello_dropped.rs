//! `quic.client-hello-dropped`: a ClientHello over two datagrams of which only one gets there.

use wirewhy_flow::Side;

use super::{Reading, blame_for_silence, flow_marks, frames};
use crate::wording::{count, size, socket, span};
use crate::{Confidence, Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity};

pub(crate) const RECORD: Record = Record {
    code: "quic.client-hello-dropped",
    group: Group::Quic,
    title: "A ClientHello over two datagrams does not get through",
    severity: Severity::Error,
    means: "With its post-quantum key share a ClientHello does not fit one datagram. The server acknowledged the first one and never \
            the rest: something on the way, or the server itself, does not take a hello in several datagrams.",
    recognised: "A ClientHello in two or more datagrams; the server acknowledges packets with some of it, never those with the rest \
                 although the client repeats them, and sends no ServerHello for 3 s.",
    look_alikes: "A datagram that is lost once is sent again, and the handshake goes on. Where nothing at all comes back: \
                  quic.unanswered.",
    check_next: &[
        "Repeat with a hello that fits one datagram (in Chrome without the X25519MLKEM768 group): does that work?",
        "A firewall or load balancer that reads server names may wait for a whole hello in the first datagram, or drop what follows.",
        "Is the server's QUIC library up to date? It must put together CRYPTO frames of several packets.",
    ],
    explained_by: &[],
    reportable: Reportable::HandshakeSilence,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Quic(detect),
};

fn detect(reading: &Reading<'_>, limits: &Limits) -> Option<Finding> {
    let Reading {
        connection,
        quic,
        tls,
        ..
    } = *reading;
    let hello = &quic.hello;
    let (first, last) = (hello.first?, hello.last?);
    let waited = connection.heard_after(first.time);
    let split = hello.is_whole && hello.datagrams >= 2;
    let in_part = hello.acknowledged > 0 && !hello.is_acknowledged;
    let repeated = hello.carriers > hello.datagrams;
    let answered = tls.server_hello.is_some()
        || tls.retry.is_some()
        || quic.server.handshake.count + quic.server.one_rtt.count > 0;
    if !split || !in_part || !repeated || answered || reading.is_refused() {
        return None;
    }
    if waited < limits.silence && quic.closes.is_empty() {
        return None;
    }
    let length = tls.client_hello.as_ref().map_or(0, |hello| hello.length());
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit: blame_for_silence(connection, Side::Server),
        summary: format!(
            "{} acknowledged {} of the {} that carry the ClientHello{} ({}), and no other in {}: a hello in several datagrams \
             does not get through",
            socket(&connection.server),
            hello.acknowledged,
            count(u64::from(hello.carriers), "datagram"),
            reading.for_name(),
            size(length),
            span(waited),
        ),
        frames: frames(flow_marks(&[first, last])),
        facts: reading
            .facts()
            .with("hello_bytes", length)
            .with("hello_datagrams", hello.datagrams)
            .with("carriers", hello.carriers)
            .with("acknowledged", hello.acknowledged)
            .with("waited_seconds", waited),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::ConversationTrace;

    #[test]
    fn only_the_first_datagram_is_acknowledged() {
        let found = ConversationTrace::new()
            .split_hello(0)
            .server_acks(20, 0)
            .hello_tail(300)
            .server_acks(320, 0)
            .hello_tail(900)
            .until(6_000)
            .cause();
        assert_eq!(found.code, "quic.client-hello-dropped");
    }

    #[test]
    fn what_is_lost_once_is_sent_again() {
        let conversation = ConversationTrace::new()
            .split_hello(0)
            .server_acks(20, 0)
            .hello_tail(300)
            .handshake(320)
            .until(6_000);
        assert_eq!(conversation.codes(), [""; 0]);
    }
}
