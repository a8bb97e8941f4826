//! Connections over QUIC: what an observer can conclude from versions, connection ids, Initial packets, sizes and times,
//! and with the secrets of a key log from the rest.

pub(crate) mod client_hello_dropped;
pub(crate) mod closed;
pub(crate) mod handshake_failed;
pub(crate) mod handshake_timeout;
pub(crate) mod mtu_blackhole;
pub(crate) mod peer_vanished;
mod probes;
pub(crate) mod retry_loop;
pub(crate) mod stateless_reset;
pub(crate) mod unanswered;
pub(crate) mod version_mismatch;

#[cfg(test)]
pub(crate) mod traces;

use wirewhy_flow::{Connection, Event, EventKind, Icmp, Interval, Mark, Side};
use wirewhy_protocol::{
    Mark as ProtocolMark, QuicClose, QuicFacts, QuicSide, QuicVersion, Role as ProtocolRole,
    Secrets, TlsFacts, TlsStage,
};

use super::tcp::blame_for_silence;
use crate::handshake::flow_mark;
use crate::icmp::{Meaning, undeliverable};
use crate::wording::span;
use crate::{Confidence, Facts, Limits, Value};

/// A connection over QUIC as the rules about it read it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) quic: &'a QuicFacts,
    pub(crate) tls: &'a TlsFacts,
    pub(crate) stage: TlsStage,
}

impl<'a> Reading<'a> {
    /// `None` of a connection over anything else.
    pub(crate) fn of(connection: &'a Connection) -> Option<Reading<'a>> {
        let app = connection.app.as_deref()?;
        let tls = app.tls.as_deref()?;
        Some(Reading {
            connection,
            quic: app.quic.as_deref()?,
            tls,
            stage: tls.stage(),
        })
    }

    /// Whether the handshake was completed, as far as either side shows it.
    pub(crate) fn is_established(&self) -> bool {
        self.stage >= TlsStage::Established || self.quic.confirmed.is_some()
    }

    fn sent(&self, side: Side) -> &'a QuicSide {
        self.quic.side(role_of(side))
    }

    /// Whether packets behind the Initial ones were opened with secrets.
    fn is_decrypted(&self) -> bool {
        self.tls.secrets == Secrets::Used
    }

    /// The ICMP errors about it that say that a packet could not be delivered.
    fn undelivered(&self) -> Vec<(&'a Event, &'a Icmp, Meaning)> {
        let events = self.connection.events.iter();
        events
            .filter_map(|event| match &event.kind {
                EventKind::Icmp(icmp) => Some((event, &**icmp, undeliverable(icmp)?)),
                _ => None,
            })
            .collect()
    }

    /// Whether a rule about how the handshake was refused has more to say than that it stopped.
    fn is_refused(&self) -> bool {
        let heeded = self.quic.negotiation.as_ref();
        self.quic
            .failure()
            .is_some_and(|close| !self.has_waited(close))
            || self.quic.reset.is_some()
            || heeded.is_some_and(|negotiation| negotiation.went_on.is_none())
    }

    /// Whether a close ends a wait, whatever error it states: its sender had repeated what it sent, and heard nothing that it
    /// could complain of.
    pub(crate) fn has_waited(&self, close: &QuicClose) -> bool {
        if close.code.alert().is_some() {
            return false;
        }
        let silent = close.quiet >= GIVES_IN && close.tries >= 3;
        // The client never showed that it got a packet, and sent its hello again behind those of the server.
        let server = &self.quic.server;
        let deaf = close.from == ProtocolRole::Client
            && !server.acknowledged
            && self.quic.client.handshake.count == 0
            && self.quic.client.repeated > 0
            && server
                .initial
                .first
                .is_some_and(|first| close.mark.time.since(first.time) >= GIVES_IN);
        silent || deaf
    }

    /// How long a side took for its first turn, the longer of both: it contains the time to the farther end and back.
    fn longest_turn(&self) -> Interval {
        let (client, server) = (&self.quic.client, &self.quic.server);
        let between = |before: Option<ProtocolMark>, after: Option<ProtocolMark>| {
            let turn = before.zip(after);
            turn.map_or(Interval::ZERO, |(before, after)| {
                after.time.since(before.time)
            })
        };
        between(client.initial.first, server.initial.first)
            .max(between(server.handshake.first, client.handshake.first))
    }

    /// How long the recording ran on behind a side's latest datagram.
    fn silence_after(&self, side: Side) -> Interval {
        let last = self.connection.side(side).last;
        last.map_or(Interval::ZERO, |last| {
            self.connection.heard_after(last.time)
        })
    }

    /// What every finding about it carries.
    fn facts(&self) -> Facts {
        Facts::default()
            .with("stage", self.connection.stage().name())
            .with("server_name", self.connection.server_name.as_deref())
            .with("version", self.quic.version.to_string())
            .with("vantage", self.connection.vantage().name())
    }

    /// ` for NAME`, or nothing.
    fn for_name(&self) -> String {
        let name = self.connection.server_name.as_deref();
        name.map_or_else(String::new, |name| format!(" for {name}"))
    }
}

/// A side that closes after so long a time without a packet has waited for one.
const GIVES_IN: Interval = Interval::from_secs(2);

/// A side, in the words of the readers of protocols.
pub(crate) fn role_of(side: Side) -> ProtocolRole {
    match side {
        Side::Client => ProtocolRole::Client,
        Side::Server => ProtocolRole::Server,
    }
}

/// The side that has this role.
pub(crate) fn side_of(role: ProtocolRole) -> Side {
    match role {
        ProtocolRole::Client => Side::Client,
        ProtocolRole::Server => Side::Server,
    }
}

/// Versions as a value.
fn versions(versions: &[QuicVersion]) -> Value {
    Value::List(
        versions
            .iter()
            .map(|version| Value::Text(version.to_string()))
            .collect(),
    )
}

/// Versions in a sentence.
fn listed(versions: &[QuicVersion]) -> String {
    match versions {
        [] => "none".to_owned(),
        versions => {
            let names: Vec<String> = versions.iter().map(ToString::to_string).collect();
            names.join(", ")
        }
    }
}

/// ` ("…")` with the reason phrase of a close, or nothing.
fn phrase(close: &QuicClose) -> String {
    match &*close.reason {
        "" => String::new(),
        reason => format!(" (\"{reason}\")"),
    }
}

/// The times between the datagrams of a run, those sent at once counted as one.
fn gaps(marks: &[ProtocolMark]) -> Vec<Interval> {
    let pairs = marks.windows(2);
    pairs
        .filter_map(|pair| match pair {
            [before, after] => Some(after.time.since(before.time)),
            _ => None,
        })
        .collect()
}

/// ` over 7.0 s`, the whole of some gaps; or nothing.
fn over(gaps: &[Interval]) -> String {
    let whole = gaps.iter().map(|gap| gap.0);
    match whole.fold(0, i64::saturating_add) {
        0 => String::new(),
        whole => format!(" over {}", span(Interval(whole))),
    }
}

/// Whether the gaps of a run grow as those of a probe timeout do (RFC 9002 section 6.2.1): each is at least as long as the
/// one before, within a tenth, and the last is twice the first.
fn backs_off(gaps: &[Interval]) -> bool {
    let grows = gaps.windows(2).all(|pair| match pair {
        [before, after] => after.0 >= before.0 - before.0 / 10,
        _ => true,
    });
    let (Some(first), Some(last)) = (gaps.first(), gaps.last()) else {
        return false;
    };
    gaps.len() >= 2 && grows && last.0 >= first.0.saturating_mul(2) - first.0 / 4
}

/// Whether a run is that of a side that waits for an answer: it goes on as long as the side waits. Two datagrams long before the
/// end are what it had to say.
fn is_waiting(run: &[ProtocolMark], silence: Interval) -> bool {
    match run {
        [] | [_] => false,
        [first, second] => silence.0 <= second.time.since(first.time).0.saturating_mul(4),
        _ => true,
    }
}

/// Whether silence has lasted, and how sure that makes.
fn long_enough(reading: &Reading<'_>, waited: Interval, limits: &Limits) -> Option<Confidence> {
    let insists = [Side::Client, Side::Server].into_iter().any(|side| {
        let run = &reading.sent(side).unanswered;
        backs_off(&gaps(&run.first))
    });
    if waited >= limits.handshake_silence || insists && waited >= limits.silence {
        Some(Confidence::Likely)
    } else {
        (waited >= limits.silence).then_some(Confidence::Possible)
    }
}

/// The frames of marks, the first of each.
fn frames(marks: impl IntoIterator<Item = Mark>) -> Vec<u64> {
    let mut frames: Vec<u64> = Vec::new();
    for mark in marks {
        if !frames.contains(&mark.frame) {
            frames.push(mark.frame);
        }
    }
    frames
}

fn flow_marks(marks: &[ProtocolMark]) -> impl Iterator<Item = Mark> + '_ {
    marks.iter().map(|mark| flow_mark(*mark))
}
