//! How one attempt to use a service went.

use wirewhy_flow::{Connection, Ended, EventKind, Side};
use wirewhy_packet::Interval;

use wirewhy_detect::{Confidence, Culprit, Finding, Judged, Limits, Outcome, Role, Severity, code};

/// How an attempt went.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Went {
    /// The service did its part.
    Worked,
    /// It failed, and not by the client's doing.
    Failed(Failure),
    /// The client itself left, or was at fault.
    Left,
}

/// Why an attempt failed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Failure {
    /// The code of the root cause.
    pub(crate) code: &'static str,
    /// Who caused it.
    pub(crate) culprit: Culprit,
    /// How sure that is.
    pub(crate) confidence: Confidence,
    /// Whether nothing at all came of the attempt: no answer beyond a TLS handshake that failed.
    pub(crate) in_vain: bool,
    /// Whether the client asked more than once before it gave up.
    pub(crate) asked_again: bool,
    /// The decisive frame.
    pub(crate) frame: u64,
}

/// The first SYN of a client in which nothing came back that it reacted to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Silent {
    /// The service did not answer.
    Unanswered,
    /// The service answered once.
    Answered,
    /// The service repeated its answer.
    AnsweredAgain,
}

/// What a try came to that found nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fruitless {
    /// No answer, and given up soon.
    Unanswered,
    /// A reset in answer to the SYN.
    Refused,
    /// An ICMP error.
    Unreachable,
    /// Answered, and reset by the client before it was open.
    Aborted,
}

/// How an attempt went; `None` where the capture does not show one, or not enough of it.
pub(crate) fn went(judged: &Judged) -> Option<Went> {
    judged.connection.handshake.first_syn?;
    match judged.outcome() {
        Outcome::Undecided => None,
        Outcome::Ok | Outcome::Degraded => judged
            .connection
            .handshake
            .ack
            .is_some()
            .then_some(Went::Worked),
        Outcome::Failed => Some(failed(judged)),
    }
}

fn failed(judged: &Judged) -> Went {
    let Some(root) = judged.root_cause() else {
        return Went::Left;
    };
    if matches!(root.culprit.role, Role::Client | Role::Capture) {
        return Went::Left;
    }
    let connection = &judged.connection;
    let in_tls = judged
        .findings
        .iter()
        .any(|found| found.severity == Severity::Error && found.code.starts_with("tls."));
    let in_vain = in_tls || connection.server.counts.payload_packets == 0;
    // What ends an open connection in its idle time says nothing about the service.
    let of_idleness = [
        code::RST_IDLE_EXPIRED,
        code::TCP_KEEPALIVE_UNANSWERED,
        code::TCP_PEER_VANISHED,
        code::TCP_HALF_CLOSED,
    ];
    if !in_vain && of_idleness.contains(&root.code) {
        return Went::Worked;
    }
    Went::Failed(Failure {
        code: root.code,
        culprit: root.culprit,
        confidence: root.confidence,
        in_vain,
        asked_again: connection.handshake.syns > 1,
        frame: decisive(root, connection),
    })
}

fn decisive(finding: &Finding, connection: &Connection) -> u64 {
    finding
        .frames
        .first()
        .copied()
        .unwrap_or(connection.first.frame)
}

/// Whether the client sent one SYN and then nothing, not even a reset, although a stack would have sent it again (RFC 6298
/// section 2.1: after a second) or reacted to the answer by then.
pub(crate) fn silent(connection: &Connection) -> Option<Silent> {
    let handshake = &connection.handshake;
    let first = handshake.first_syn?;
    let counts = &connection.client.counts;
    let alone = handshake.syns == 1
        && counts
            .packets
            .saturating_sub(u64::from(counts.duplicate_frames))
            <= 1;
    let waited = connection.heard_after(first.time) >= Interval::from_secs(1)
        || connection.ended == Ended::GivenUp;
    let refused = connection.server.counts.resets > 0;
    if !alone || !waited || refused || connection.events.iter().any(is_icmp) {
        return None;
    }
    Some(match handshake.syn_acks {
        0 if connection.server.was_seen() => return None,
        0 => Silent::Unanswered,
        1 => Silent::Answered,
        _ => Silent::AnsweredAgain,
    })
}

fn is_icmp(event: &wirewhy_flow::Event) -> bool {
    matches!(event.kind, EventKind::Icmp(_))
}

/// What a try came to that found nothing, as a scanner's do: refused, turned away, left half-way, or unanswered and given
/// up soon. A stack asked to connect goes on asking for minutes.
pub(crate) fn fruitless(judged: &Judged, limits: &Limits) -> Option<Fruitless> {
    let connection = &judged.connection;
    judged.findings.iter().find_map(|found| {
        if found.code == code::TCP_REFUSED {
            return Some(Fruitless::Refused);
        }
        if found.code == code::TCP_UNREACHABLE && connection.handshake.ack.is_none() {
            return Some(Fruitless::Unreachable);
        }
        if found.code == code::TCP_HANDSHAKE_ABORTED {
            return Some(Fruitless::Aborted);
        }
        let last = connection.handshake.last_syn?;
        let gave_up =
            connection.handshake.syns <= 2 && connection.heard_after(last.time) >= limits.silence;
        (found.code == code::TCP_SYN_UNANSWERED && gave_up).then_some(Fruitless::Unanswered)
    })
}

/// The hop count of the first packet in the service's name, a reset included.
pub(crate) fn answer_ttl(connection: &Connection) -> Option<u8> {
    connection.server.ttl.first.or_else(|| {
        connection
            .events
            .iter()
            .find_map(|event| match &event.kind {
                EventKind::Reset(reset) if event.from == Side::Server => Some(reset.ttl),
                _ => None,
            })
    })
}
