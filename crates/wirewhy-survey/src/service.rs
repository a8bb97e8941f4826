//! The outcomes of the attempts at one service.

use std::borrow::Cow;
use std::net::IpAddr;

use wirewhy_packet::Timestamp;

use crate::attempt::{Attempt, AttemptOutcome, Failure};
use crate::distinct_count::DistinctCount;
use crate::features::Features;
use crate::flood::Flood;
use crate::table::Worth;
use wirewhy_detect::{Confidence, Culprit, Finding, Role, code};

/// The attempts at one address and port.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServiceTally {
    /// Attempts whose outcome is known.
    pub(crate) attempts: u32,
    /// Those that worked.
    pub(crate) worked: u32,
    /// Those that the client left or caused to fail.
    pub(crate) left: u32,
    /// The first attempt.
    pub(crate) first: Option<Timestamp>,
    /// The latest attempt.
    pub(crate) last: Option<Timestamp>,
    /// When the first and the latest working attempt began.
    pub(crate) working: Option<(Timestamp, Timestamp)>,
    /// Hop counts of the answers of working attempts.
    pub(crate) working_ttls: TtlSet,
    /// What working attempts are like.
    pub(crate) working_features: Features,
    /// Two clients whose attempts worked.
    pub(crate) working_clients: [Option<IpAddr>; 2],
    /// Streams of some that opened and are ongoing.
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
    /// How many got no data from the server.
    pub(crate) without_result: u32,
    /// How many sent more than one SYN, or were answered.
    pub(crate) sure: u32,
    /// Root causes, most frequent not first; at most [`Failures::KINDS`].
    pub(crate) kinds: Vec<(&'static str, u32)>,
    /// Who caused them, where all agree.
    pub(crate) culprit: Culprit,
    /// The surest of their root causes.
    pub(crate) confidence: Confidence,
    /// The clients.
    pub(crate) clients: DistinctCount<IpAddr>,
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
    /// What they are like.
    pub(crate) features: Features,
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

/// What is known of one address and port. Most of those that a scan meets are met once.
#[derive(Clone, Debug, Default)]
pub(crate) enum Known {
    /// Nothing yet.
    #[default]
    Nothing,
    /// One attempt.
    Once(Attempt),
    /// More.
    Often(Box<ServiceTally>),
}

impl Known {
    /// Takes in one attempt that shows anything.
    pub(crate) fn add(&mut self, attempt: Attempt) {
        match self {
            Known::Often(tally) => tally.add(&attempt),
            Known::Nothing => *self = Known::Once(attempt),
            Known::Once(_) => self.with_tally(|tally| tally.add(&attempt)),
        }
    }

    /// Takes in that an attempt is over that shows nothing.
    pub(crate) fn end(&mut self, stream: u32) {
        if let Known::Often(tally) = self {
            tally.open.retain(|open| *open != stream);
        }
    }

    /// Changes the tally, which is made if need be.
    fn with_tally(&mut self, change: impl FnOnce(&mut ServiceTally)) {
        let mut tally = match std::mem::take(self) {
            Known::Nothing => Box::default(),
            Known::Once(attempt) => Box::new(ServiceTally::of(&attempt)),
            Known::Often(tally) => tally,
        };
        change(&mut tally);
        *self = Known::Often(tally);
    }

    /// Takes in that a connection goes on.
    pub(crate) fn keep_open(&mut self, stream: u32) {
        self.with_tally(|tally| tally.keep_open(stream));
    }

    /// The tally of all attempts.
    pub(crate) fn tally(&self) -> Option<Cow<'_, ServiceTally>> {
        match self {
            Known::Nothing => None,
            Known::Once(attempt) => Some(Cow::Owned(ServiceTally::of(attempt))),
            Known::Often(tally) => Some(Cow::Borrowed(tally)),
        }
    }
}

impl Worth for Known {
    fn is_worth_keeping(&self) -> bool {
        match self {
            Known::Nothing | Known::Once(_) => false,
            Known::Often(tally) => tally.attempts > 1 || !tally.open.is_empty(),
        }
    }
}

impl ServiceTally {
    /// Attempts before they are counted by time: what came before a first half-open one matters only where it was more.
    const MANY: u32 = 32;

    /// How many that go on are remembered.
    const OPEN: usize = 8;

    fn of(attempt: &Attempt) -> ServiceTally {
        let mut tally = ServiceTally::default();
        tally.add(attempt);
        tally
    }

    fn add(&mut self, attempt: &Attempt) {
        self.open.retain(|stream| *stream != attempt.stream);
        self.add_half_open(attempt);
        let Some(outcome) = attempt.outcome else {
            return;
        };
        let start = attempt.first.time;
        self.attempts = self.attempts.saturating_add(1);
        self.first = Some(self.first.map_or(start, |first| first.min(start)));
        self.last = Some(self.last.map_or(start, |last| last.max(start)));
        match outcome {
            AttemptOutcome::Worked => self.add_working(attempt),
            AttemptOutcome::Left => self.left = self.left.saturating_add(1),
            AttemptOutcome::Failed(failure) => self
                .failures
                .get_or_insert_with(|| Box::new(Failures::new(&failure, start)))
                .add(attempt, &failure),
        }
    }

    fn keep_open(&mut self, stream: u32) {
        if self.open.len() < Self::OPEN && !self.open.contains(&stream) {
            self.open.push(stream);
        }
    }

    /// Whether a connection is known to be ongoing.
    pub(crate) fn is_ongoing(&self) -> bool {
        !self.open.is_empty()
    }

    fn add_half_open(&mut self, attempt: &Attempt) {
        let silent = attempt.silent;
        if self.flood.is_none() && (silent.is_some() || self.attempts >= Self::MANY) {
            self.flood = Some(Box::new(Flood::new()));
        }
        if let Some(flood) = &mut self.flood {
            flood.add(attempt.client, attempt.first, silent);
        }
    }

    fn add_working(&mut self, attempt: &Attempt) {
        self.worked = self.worked.saturating_add(1);
        let start = attempt.first.time;
        let (from, until) = self.working.unwrap_or((start, start));
        self.working = Some((from.min(start), until.max(start)));
        if let Some(ttl) = attempt.answer_ttl {
            self.working_ttls.add(ttl);
        }
        self.working_features.add(&attempt.features);
        self.add_working_client(attempt.client);
    }

    pub(crate) fn add_working_client(&mut self, client: IpAddr) {
        let client = Some(client);
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
    pub(crate) const KINDS: usize = 8;
    pub(crate) const KNOWN_CLIENTS: usize = 8;

    fn new(failure: &Failure, start: Timestamp) -> Failures {
        Failures {
            count: 0,
            without_result: 0,
            sure: 0,
            kinds: Vec::new(),
            culprit: failure.culprit,
            confidence: failure.confidence,
            clients: DistinctCount::default(),
            known_clients: Vec::new(),
            from: start,
            until: start,
            ttls: TtlSet::default(),
            answered: 0,
            features: Features::default(),
            frames: Vec::new(),
        }
    }

    fn add(&mut self, attempt: &Attempt, failure: &Failure) {
        self.count = self.count.saturating_add(1);
        self.without_result = self
            .without_result
            .saturating_add(u32::from(failure.without_result));
        let sure = failure.repeated || attempt.answered;
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
        let client = attempt.client;
        self.clients.add(&client);
        self.know_client(client);
        let start = attempt.first.time;
        self.from = self.from.min(start);
        self.until = self.until.max(start);
        if let Some(ttl) = attempt.answer_ttl {
            self.ttls.add(ttl);
            self.answered = self.answered.saturating_add(1);
        }
        self.features.add(&attempt.features);
        if self.frames.len() < Finding::MAX_FRAMES {
            self.frames.push(failure.frame);
        }
    }

    pub(crate) fn know_client(&mut self, client: IpAddr) {
        if self.known_clients.len() < Self::KNOWN_CLIENTS && !self.known_clients.contains(&client) {
            self.known_clients.push(client);
        }
    }

    /// The most frequent root cause; of equals the one that came first.
    pub(crate) fn main_kind(&self) -> Option<(&'static str, u32)> {
        self.kinds
            .iter()
            .copied()
            .reduce(|most, next| if next.1 > most.1 { next } else { most })
    }

    /// Whether they look like background scanning: clients of the public Internet that tried about once each and were refused,
    /// unreachable or unanswered.
    pub(crate) fn are_background_scans(&self) -> bool {
        let at_the_door = [
            code::TCP_REFUSED,
            code::TCP_SYN_UNANSWERED,
            code::TCP_UNREACHABLE,
            code::QUIC_UNANSWERED,
        ];
        let once = u64::from(self.count) < self.clients.count().saturating_mul(2);
        let mut clients = self.known_clients.iter();
        once && clients.all(|client| is_of_the_internet(*client))
            && self
                .main_kind()
                .is_some_and(|(code, _)| at_the_door.contains(&code))
    }

    /// The only client, where there is one.
    pub(crate) fn only_client(&self) -> Option<IpAddr> {
        match self.known_clients.as_slice() {
            [client] => Some(*client),
            _ => None,
        }
    }
}

/// Whether an address is a public one (IANA's special-purpose registries name the others).
fn is_of_the_internet(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            let is_carrier_grade = a == 100 && (64..128).contains(&b);
            let is_benchmark = a == 198 && (18..20).contains(&b);
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation()
                || a == 0
                || is_carrier_grade
                || is_benchmark)
        }
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            first & 0xe000 == 0x2000 && (first, second) != (0x2001, 0xdb8)
        }
    }
}
