//! The outcome of one attempt to use a service.

use std::net::IpAddr;

use wirewhy_flow::{Connection, Ended, EventKind, Healthy, Mark, Side, Unopened};
use wirewhy_packet::Interval;

use crate::features::Shown;
use wirewhy_detect::{
    Confidence, Culprit, Diagnosis, Finding, Group, Limits, Outcome, Role, Severity, code,
};

/// The outcome of an attempt, as the service sees it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum AttemptOutcome {
    /// The service answered as it should.
    Worked,
    /// It failed, and the client did not cause it.
    Failed(Failure),
    /// The client left, or caused the failure.
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
    /// Whether the server sent no data beyond a TLS handshake that failed.
    pub(crate) without_result: bool,
    /// Whether the client sent more than one SYN, or its hello over QUIC again.
    pub(crate) repeated: bool,
    /// The decisive frame.
    pub(crate) frame: u64,
}

/// A half-open attempt, by what the service answered to its SYN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HalfOpen {
    /// The service did not answer.
    Unanswered,
    /// The service answered once.
    Answered,
    /// The service repeated its answer.
    AnsweredAgain,
}

/// What one connection shows of its service.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Attempt {
    pub(crate) stream: u32,
    pub(crate) client: IpAddr,
    /// Its first frame.
    pub(crate) first: Mark,
    /// Whether the server was seen.
    pub(crate) answered: bool,
    /// See [`answer_ttl`].
    pub(crate) answer_ttl: Option<u8>,
    pub(crate) silent: Option<HalfOpen>,
    pub(crate) outcome: Option<AttemptOutcome>,
    pub(crate) features: Shown,
}

impl Attempt {
    pub(crate) fn of(
        connection: &Connection,
        silent: Option<HalfOpen>,
        outcome: Option<AttemptOutcome>,
    ) -> Attempt {
        Attempt {
            stream: connection.stream,
            client: connection.client.address,
            first: connection.first,
            answered: connection.server.was_seen(),
            answer_ttl: answer_ttl(connection),
            silent,
            outcome,
            features: Shown::of(connection),
        }
    }

    /// What a connection shows that went well.
    pub(crate) fn of_healthy(healthy: &Healthy) -> Attempt {
        Attempt {
            stream: healthy.stream(),
            client: healthy.client().0,
            first: healthy.first(),
            answered: true,
            answer_ttl: Some(healthy.server_ttl()),
            silent: None,
            outcome: Some(AttemptOutcome::Worked),
            features: Shown::by_plain_http(),
        }
    }

    /// What an attempt shows that opened nothing; `None` where that is nothing.
    pub(crate) fn of_unopened(unopened: &Unopened, finding: Option<&Finding>) -> Option<Attempt> {
        let refused = unopened.refused();
        let waited = refused.is_none()
            && (unopened.heard() >= Interval::from_secs(1) || unopened.ended == Ended::GivenUp);
        let first = unopened.first();
        let failed = finding.map(|finding| {
            AttemptOutcome::Failed(Failure {
                code: finding.code,
                culprit: finding.culprit,
                confidence: finding.confidence,
                without_result: true,
                repeated: false,
                frame: unopened.last().frame,
            })
        });
        (waited || failed.is_some()).then(|| Attempt {
            stream: unopened.stream(),
            client: unopened.client().0,
            first,
            answered: refused.is_some(),
            answer_ttl: unopened.reset_ttl(),
            silent: waited.then_some(HalfOpen::Unanswered),
            outcome: failed,
            features: Shown::by_plain_syn(),
        })
    }
}

/// How an attempt failed that may be one of a scan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FailedProbe {
    /// No answer, and not repeated for long.
    Unanswered,
    /// A reset in answer to the SYN.
    Refused,
    /// An ICMP error.
    Unreachable,
    /// Answered, and reset by the client before it was open.
    Aborted,
}

/// The outcome of an attempt; `None` where the capture does not show one, or not enough of it.
pub(crate) fn outcome(diagnosis: &Diagnosis, outcome: Outcome) -> Option<AttemptOutcome> {
    diagnosis.connection.tcp.handshake.first_syn?;
    match outcome {
        Outcome::Undecided => None,
        Outcome::Ok | Outcome::Degraded => diagnosis
            .connection
            .tcp
            .handshake
            .ack
            .is_some()
            .then_some(AttemptOutcome::Worked),
        Outcome::Failed => Some(failed(diagnosis)),
    }
}

/// The same of an attempt over QUIC.
pub(crate) fn outcome_over_quic(diagnosis: &Diagnosis, outcome: Outcome) -> Option<AttemptOutcome> {
    let quic = diagnosis.connection.quic()?;
    match outcome {
        Outcome::Undecided => None,
        Outcome::Ok | Outcome::Degraded => quic.is_established().then_some(AttemptOutcome::Worked),
        Outcome::Failed => Some(failed(diagnosis)),
    }
}

fn failed(diagnosis: &Diagnosis) -> AttemptOutcome {
    let Some(root) = diagnosis.root_cause() else {
        return AttemptOutcome::Left;
    };
    if matches!(root.culprit.role, Role::Client | Role::Capture) {
        return AttemptOutcome::Left;
    }
    let connection = &diagnosis.connection;
    let in_tls = diagnosis
        .findings
        .iter()
        .any(|found| found.severity == Severity::Error && is_about_tls(found));
    let without_result = match connection.quic() {
        Some(quic) => in_tls || !quic.is_established() || root.code == code::QUIC_HANDSHAKE_TIMEOUT,
        None => in_tls || connection.server.counts.payload_packets == 0,
    };
    // The end of an idle connection shows nothing about the service.
    let of_idleness = [
        code::RST_IDLE_EXPIRED,
        code::TCP_KEEPALIVE_UNANSWERED,
        code::TCP_PEER_VANISHED,
        code::TCP_HALF_CLOSED,
        code::QUIC_PEER_VANISHED,
        code::QUIC_CLOSED,
    ];
    if !without_result && of_idleness.contains(&root.code) {
        return AttemptOutcome::Worked;
    }
    AttemptOutcome::Failed(Failure {
        code: root.code,
        culprit: root.culprit,
        confidence: root.confidence,
        without_result,
        repeated: match connection.quic() {
            Some(quic) => quic.client.repeated > 0,
            None => connection.tcp.handshake.syns > 1,
        },
        frame: decisive(root, connection),
    })
}

fn is_about_tls(finding: &Finding) -> bool {
    let group = finding.code.split_once('.');
    group.is_some_and(|(group, _)| group == Group::Tls.name())
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
pub(crate) fn silent(connection: &Connection) -> Option<HalfOpen> {
    let handshake = &connection.tcp.handshake;
    let first = handshake.first_syn?;
    let counts = &connection.client.counts;
    let alone = handshake.syns == 1
        && counts
            .packets
            .saturating_sub(u64::from(counts.duplicate_frames))
            <= 1;
    let waited = connection.heard_after(first.time) >= Interval::from_secs(1)
        || connection.ended == Ended::GivenUp;
    let refused = connection.server.tcp.counts.resets > 0;
    if !alone || !waited || refused || connection.events.iter().any(is_icmp) {
        return None;
    }
    Some(match handshake.syn_acks {
        0 if connection.server.was_seen() => return None,
        0 => HalfOpen::Unanswered,
        1 => HalfOpen::Answered,
        _ => HalfOpen::AnsweredAgain,
    })
}

fn is_icmp(event: &wirewhy_flow::Event) -> bool {
    matches!(event.kind, EventKind::Icmp(_))
}

/// How an attempt failed that may be one of a scan: refused, unreachable, aborted half-way, or unanswered and not repeated for
/// long. A TCP stack that really connects repeats its SYN for minutes.
pub(crate) fn failed_probe(diagnosis: &Diagnosis, limits: &Limits) -> Option<FailedProbe> {
    let connection = &diagnosis.connection;
    diagnosis.findings.iter().find_map(|found| {
        if found.code == code::TCP_REFUSED {
            return Some(FailedProbe::Refused);
        }
        if found.code == code::TCP_UNREACHABLE && connection.tcp.handshake.ack.is_none() {
            return Some(FailedProbe::Unreachable);
        }
        if found.code == code::TCP_HANDSHAKE_ABORTED {
            return Some(FailedProbe::Aborted);
        }
        let last = connection.tcp.handshake.last_syn?;
        let gave_up = connection.tcp.handshake.syns <= 2
            && connection.heard_after(last.time) >= limits.silence;
        (found.code == code::TCP_SYN_UNANSWERED && gave_up).then_some(FailedProbe::Unanswered)
    })
}

/// The hop count of the first packet in the service's name, a reset included.
fn answer_ttl(connection: &Connection) -> Option<u8> {
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
