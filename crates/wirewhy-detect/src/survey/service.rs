//! How the attempts at one service went.

use std::net::IpAddr;

use wirewhy_flow::{Connection, Mark};
use wirewhy_packet::Timestamp;

use super::attempt::{self, Failure, Silent, Went};
use super::distinct::Distinct;
use super::flood::Flood;
use super::table::Worth;
use crate::{Confidence, Culprit, Finding, Role};

/// The attempts at one address and port.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServiceTally {
    /// Attempts of which is known how they went.
    pub(crate) attempts: u32,
    /// Those that worked.
    pub(crate) worked: u32,
    /// Those the client itself gave up.
    pub(crate) left: u32,
    /// The first attempt.
    pub(crate) first: Option<Mark>,
    /// The latest attempt.
    pub(crate) last: Option<Mark>,
    /// When the first and the latest working attempt began.
    pub(crate) working: Option<(Timestamp, Timestamp)>,
    /// Hop counts of the answers of working attempts.
    pub(crate) working_ttls: TtlSet,
    /// Two clients whose attempts worked.
    pub(crate) working_clients: [Option<IpAddr>; 2],
    /// Some that opened and go on, by stream.
    pub(crate) open: Vec<u32>,
    /// Those that failed.
    pub(crate) failures: Option<Box<Failures>>,
    /// Half-open attempts; looked for once there are many attempts.
    pub(crate) flood: Option<Box<Flood>>,
}

/// The failed attempts at one service.
#[derive(Clone, Debug)]
pub(crate) struct Failures {
    /// How many.
    pub(crate) count: u32,
    /// How many came to nothing at all.
    pub(crate) in_vain: u32,
    /// How many were asked for more than once, or answered.
    pub(crate) sure: u32,
    /// Root causes, most frequent not first; at most [`Failures::KINDS`].
    pub(crate) kinds: Vec<(&'static str, u32)>,
    /// Who caused them, where all agree.
    pub(crate) culprit: Culprit,
    /// The surest of their root causes.
    pub(crate) confidence: Confidence,
    /// The clients.
    pub(crate) clients: Distinct,
    /// Some of the clients.
    pub(crate) known_clients: Vec<IpAddr>,
    /// When the first and the latest of them began.
    pub(crate) from: Timestamp,
    /// See `from`.
    pub(crate) until: Timestamp,
    /// Hop counts of the answers.
    pub(crate) ttls: TtlSet,
    /// How many had an answer.
    pub(crate) answered: u32,
    /// Decisive frames of the first ones.
    pub(crate) frames: Vec<u64>,
}

/// A set of hop counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct TtlSet([u64; 4]);

impl TtlSet {
    fn add(&mut self, ttl: u8) {
        if let Some(word) = self.0.get_mut(usize::from(ttl >> 6)) {
            *word |= 1 << (ttl & 63);
        }
    }

    pub(crate) fn contains(&self, ttl: u8) -> bool {
        self.0
            .get(usize::from(ttl >> 6))
            .is_some_and(|word| word >> (ttl & 63) & 1 == 1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// Its only member.
    pub(crate) fn only(&self) -> Option<u8> {
        let mut members = (0..=u8::MAX).filter(|ttl| self.contains(*ttl));
        members.next().filter(|_| members.next().is_none())
    }
}

impl Worth for ServiceTally {
    fn is_worth_keeping(&self) -> bool {
        self.attempts > 1 || !self.open.is_empty()
    }
}

impl ServiceTally {
    /// Attempts before they are counted by time: what came before a first half-open one matters only where it was more.
    const MANY: u32 = 32;

    /// How many that go on are remembered.
    const OPEN: usize = 8;

    pub(super) fn add(&mut self, connection: &Connection, went: Option<Went>) {
        self.open.retain(|stream| *stream != connection.stream);
        let silent = attempt::silent(connection);
        self.add_half_open(connection, silent, went);
        let Some(went) = went else { return };
        let start = connection.first;
        self.attempts = self.attempts.saturating_add(1);
        if self.first.is_none_or(|first| start.time < first.time) {
            self.first = Some(start);
        }
        if self.last.is_none_or(|last| start.time >= last.time) {
            self.last = Some(start);
        }
        match went {
            Went::Worked => self.add_working(connection),
            Went::Left => self.left = self.left.saturating_add(1),
            Went::Failed(failure) => self
                .failures
                .get_or_insert_with(|| Box::new(Failures::new(&failure, start.time)))
                .add(connection, &failure),
        }
    }

    pub(super) fn keep_open(&mut self, stream: u32) {
        if self.open.len() < Self::OPEN && !self.open.contains(&stream) {
            self.open.push(stream);
        }
    }

    fn add_half_open(
        &mut self,
        connection: &Connection,
        silent: Option<Silent>,
        went: Option<Went>,
    ) {
        if silent.is_none() && went.is_none() {
            return;
        }
        if self.flood.is_none() && (silent.is_some() || self.attempts >= Self::MANY) {
            self.flood = Some(Box::new(Flood::new()));
        }
        if let Some(flood) = &mut self.flood {
            flood.add(connection.client.address, connection.first, silent);
        }
    }

    fn add_working(&mut self, connection: &Connection) {
        self.worked = self.worked.saturating_add(1);
        let start = connection.first.time;
        let (from, until) = self.working.unwrap_or((start, start));
        self.working = Some((from.min(start), until.max(start)));
        if let Some(ttl) = attempt::answer_ttl(connection) {
            self.working_ttls.add(ttl);
        }
        let client = Some(connection.client.address);
        if !self.working_clients.contains(&client)
            && let Some(place) = self
                .working_clients
                .iter_mut()
                .find(|known| known.is_none())
        {
            *place = client;
        }
    }
}

impl Failures {
    const KINDS: usize = 8;
    const KNOWN_CLIENTS: usize = 8;

    fn new(failure: &Failure, start: Timestamp) -> Failures {
        Failures {
            count: 0,
            in_vain: 0,
            sure: 0,
            kinds: Vec::new(),
            culprit: failure.culprit,
            confidence: failure.confidence,
            clients: Distinct::new(),
            known_clients: Vec::new(),
            from: start,
            until: start,
            ttls: TtlSet::default(),
            answered: 0,
            frames: Vec::new(),
        }
    }

    fn add(&mut self, connection: &Connection, failure: &Failure) {
        self.count = self.count.saturating_add(1);
        self.in_vain = self.in_vain.saturating_add(u32::from(failure.in_vain));
        let sure = failure.asked_again || connection.server.was_seen();
        self.sure = self.sure.saturating_add(u32::from(sure));
        let room = self.kinds.len() < Self::KINDS;
        let mut kinds = self.kinds.iter_mut();
        if let Some((_, count)) = kinds.find(|(code, _)| *code == failure.code) {
            *count = count.saturating_add(1);
        } else if room {
            self.kinds.push((failure.code, 1));
        }
        if self.culprit.role != failure.culprit.role {
            self.culprit = Role::Unknown.into();
        } else if self.culprit.address != failure.culprit.address {
            self.culprit.address = None;
        }
        self.confidence = self.confidence.max(failure.confidence);
        let client = connection.client.address;
        self.clients.add(client);
        if self.known_clients.len() < Self::KNOWN_CLIENTS && !self.known_clients.contains(&client) {
            self.known_clients.push(client);
        }
        let start = connection.first.time;
        self.from = self.from.min(start);
        self.until = self.until.max(start);
        if let Some(ttl) = attempt::answer_ttl(connection) {
            self.ttls.add(ttl);
            self.answered = self.answered.saturating_add(1);
        }
        if self.frames.len() < Finding::MAX_FRAMES {
            self.frames.push(failure.frame);
        }
    }

    /// The most frequent root cause; of equals the one that came first.
    pub(crate) fn main_kind(&self) -> Option<(&'static str, u32)> {
        self.kinds
            .iter()
            .copied()
            .reduce(|most, next| if next.1 > most.1 { next } else { most })
    }

    /// The only client, where there is one.
    pub(crate) fn only_client(&self) -> Option<IpAddr> {
        match self.known_clients.as_slice() {
            [client] => Some(*client),
            _ => None,
        }
    }
}
