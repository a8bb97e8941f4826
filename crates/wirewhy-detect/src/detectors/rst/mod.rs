//! Resets: who sent them, and why. One reset, one reason.

pub(crate) mod abort;
pub(crate) mod after_alert;
pub(crate) mod after_close;
pub(crate) mod close_race;
pub(crate) mod gave_up;
pub(crate) mod idle_expired;
pub(crate) mod injected;
pub(crate) mod no_connection;
pub(crate) mod out_of_window;
pub(crate) mod unread_data;

use wirewhy_flow::{Connection, Position, Side};

use crate::resets::{ExplainedReset, Origin, origin};
use crate::{Confidence, Culprit, Facts, Finding, Limits, Role, Severity, Value};

/// The side a reset claims to come from, as culprit.
fn sender(connection: &Connection, explained: &ExplainedReset<'_>) -> Culprit {
    let side = explained.event.from;
    let role = match side {
        Side::Client => Role::Client,
        Side::Server => Role::Server,
    };
    Culprit::new(role, Some(connection.side(side).address))
}

/// A finding about the resets of one reason, to be completed by its detector.
fn finding(
    code: &'static str,
    severity: Severity,
    (first, all): (&ExplainedReset<'_>, &[ExplainedReset<'_>]),
    connection: &Connection,
    limits: &Limits,
) -> Finding {
    let mut frames = vec![first.event.frame];
    frames.extend(first.reset.answers.map(|answered| answered.frame));
    frames.extend(
        all.iter()
            .map(|other| other.event.frame)
            .filter(|frame| *frame != first.event.frame),
    );
    // What speaks for another sender, and falls short of a verdict, leaves a doubt about who it was.
    let origin = origin(connection, first.event, first.reset, limits);
    let doubted = origin.evidence.iter().any(|item| item.weight > 0);
    let culprit = sender(connection, first);
    Finding {
        code,
        severity,
        confidence: Confidence::Likely,
        culprit: if doubted {
            culprit.at_most(Confidence::Possible)
        } else {
            culprit
        },
        summary: String::new(),
        frames,
        facts: facts(connection, first, all, &origin),
        consequence_of: None,
    }
}

/// What every reset finding carries.
fn facts(
    connection: &Connection,
    explained: &ExplainedReset<'_>,
    all: &[ExplainedReset<'_>],
    origin: &Origin,
) -> Facts {
    let (event, reset) = (explained.event, explained.reset);
    Facts::default()
        .with("sender", event.from.name())
        .with("stage", connection.stage().name())
        .with("frame", event.frame)
        .with("resets", u64::try_from(all.len()).unwrap_or(u64::MAX))
        .with("position", position_name(reset.position))
        .with("ack_flag", reset.ack.is_some())
        .with("ttl", reset.ttl)
        .with("own_ttl", reset.before.own_ttl.constant())
        .with("window", reset.window)
        .with("idle_seconds", reset.idle)
        .with("own_bytes_unacknowledged", reset.unacknowledged_own)
        .with("peer_bytes_unacknowledged", reset.unacknowledged_peer)
        .with(
            "hops_nearer",
            origin
                .hops_nearer
                .map(|hops| Value::Signed(i64::from(hops))),
        )
        .with("accepted_hops_nearer", accepting_device(connection))
        .with("evidence", origin.facts())
        .with("vantage", connection.vantage().name())
}

/// How many hops nearer than its other packets the server's first answer came from: a SYN proxy or balancer that accepts
/// connections in its name, by design. Hop counts of another class are other systems' habits, not a distance.
fn accepting_device(connection: &Connection) -> Option<u8> {
    let ttl = connection.server.ttl;
    let first = ttl
        .first
        .filter(|_| connection.tcp.handshake.syn_ack.is_some())?;
    let nearer = first.checked_sub(ttl.min)?;
    (first == ttl.max && (1..32).contains(&nearer)).then_some(nearer)
}

/// The device that accepted in the server's name, in words.
fn by_a_device(connection: &Connection) -> String {
    accepting_device(connection).map_or(String::new(), |hops| {
        format!(
            "; the connection was accepted {hops} hop(s) nearer than that host, by a SYN proxy or balancer in its name"
        )
    })
}

fn position_name(position: Position) -> &'static str {
    match position {
        Position::Exact => "exact",
        Position::InWindow => "in-window",
        Position::Outside => "out-of-window",
        Position::AnswersSyn => "answers-syn",
        Position::IgnoredInSynSent => "ignored-in-syn-sent",
        Position::Unknown => "unknown",
    }
}

/// An open connection, for the tests of the detectors.
#[cfg(test)]
pub(crate) mod traces {
    /// The handshake.
    pub(crate) const OPEN: &str =
        "0.00 > S 0:0(0)\n 0.02 < SA 0:0(0) ack 1\n 0.03 > A 1:1(0) ack 1";

    /// The handshake, a request and its answer.
    pub(crate) const USED: &str = "0.00 > S 0:0(0)
         0.02 < SA 0:0(0) ack 1
         0.03 > A 1:1(0) ack 1
         0.04 > PA 1:11(10) ack 1
         0.06 < PA 1:11(10) ack 11
         0.07 > A 11:11(0) ack 11";
}
