//! Captures that lie next to one another in time, judged as one.
//!
//! The same detectors look at the attempts of all of them together. What is said of many captures is held to more than what
//! is said of one:
//!
//! - Attempts are joined within one network only. It is known by the link address that packets to a service are sent to; where
//!   a link address tells nothing, by the names of files that follow one another, as those of one recording do.
//! - What two captures both recorded counts once.
//! - Where a capture kept no account of a service or a source, nothing is said of it.
//! - Strangers who knock once are no clients: an address on the Internet hears them at every port.

mod joined;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::BTreeMap;
use std::net::IpAddr;

use indexmap::{IndexMap, IndexSet};
use joined::{Joined, Network, Standing};
use wirewhy_packet::{Interval, Timestamp};

use super::attempts::Scanners;
use super::filter::Filter;
use super::recording::Recording;
use super::service::ServiceTally;
use super::source::SourceTally;
use super::table::Table;
use super::tallies::Tallies;
use crate::wording::socket_of;
use crate::{Finding, Limits, Scope, Severity};

/// A capture, as an [`Episode`] takes it in.
#[derive(Clone, Debug)]
pub struct Captured {
    /// Its name.
    pub source: String,
    /// When its first packet was recorded.
    pub from: Timestamp,
    /// When its last packet was.
    pub until: Timestamp,
    /// How many packets and bytes it has: with the times they tell a copy of the same file.
    pub size: (u64, u64),
    /// Its attempts.
    pub tallies: Tallies,
    /// What was found in it alone of services and sources.
    pub said: Vec<Said>,
}

/// What was said of one subject by captures, each by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    /// The code.
    pub code: String,
    /// How much it matters.
    pub severity: Severity,
    /// What kind of thing it is about.
    pub scope: Scope,
    /// Which one.
    pub subject: String,
    /// By how many captures.
    pub captures: u64,
    /// By how many of them although others next to them show that it is not so.
    pub contradicted: u64,
    /// When the first of them began.
    pub first: Timestamp,
}

/// Where the proof of a finding lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    /// The name of the capture.
    pub source: String,
    /// Frames in it.
    pub frames: Vec<u64>,
}

/// A finding about several captures together.
#[derive(Clone, PartialEq, Debug)]
pub struct Across {
    /// What kind of thing it is about.
    pub scope: Scope,
    /// Which one.
    pub subject: String,
    /// The finding. Its frames are in `proofs`.
    pub finding: Finding,
    /// When the first and the latest attempt began.
    pub first: Timestamp,
    /// See `first`.
    pub last: Timestamp,
    /// How many captures hold attempts.
    pub captures: u64,
    /// The first of those that show the trouble, by time, with frames.
    pub proofs: Vec<Proof>,
    /// How many show the trouble.
    pub in_trouble: u64,
    /// The last of those.
    pub last_source: String,
}

/// What an episode came to.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Judgement {
    /// What its captures show together, and what they said of it each by itself, which is told better by that.
    pub across: Vec<(Across, Vec<Said>)>,
    /// What else they said each by itself.
    pub said: Vec<Said>,
}

/// Captures that lie next to one another in time. See the module's text for what it refuses to join.
#[derive(Debug, Default)]
pub struct Episode {
    /// Captures that are not joined yet, so that they can be in the order of time.
    waiting: Vec<Captured>,
    services: Table<(IpAddr, u16, Network), Joined<ServiceTally>>,
    sources: Table<(IpAddr, Network), Joined<SourceTally>>,
    other_services: Filter,
    other_sources: Filter,
    alive: Filter,
    recordings: IndexMap<Recording, Standing>,
    /// Captures taken in, so that copies can be told.
    known: IndexSet<Name>,
    scanners: Scanners,
    /// What was said of what is not in the tables.
    said: BTreeMap<(String, String), Said>,
}

/// By what a capture is known, whatever its file is called.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Name {
    from: Timestamp,
    until: Timestamp,
    size: (u64, u64),
    attempts: u64,
}

impl Episode {
    /// How many captures wait to be put in order.
    const WAITING: usize = 128;
    /// How many scanners, copies and subjects are remembered.
    const REMEMBERED: usize = 16_384;
    /// How far the clock of one recording may run backwards from one file to the next.
    const BACKWARDS: Interval = Interval::from_secs(1);

    /// Takes in a capture.
    pub fn add(&mut self, captured: Captured, limits: &Limits) {
        let name = Name {
            from: captured.from,
            until: captured.until,
            size: captured.size,
            attempts: captured.tallies.fingerprint(),
        };
        let is_new = if self.known.len() < Self::REMEMBERED {
            self.known.insert(name)
        } else {
            !self.known.contains(&name)
        };
        if !is_new {
            // The same file under another name.
            for said in captured.said {
                self.keep_said(said);
            }
            return;
        }
        self.waiting.push(captured);
        if self.waiting.len() > Self::WAITING {
            self.join_waiting(Self::WAITING / 2, limits);
        }
    }

    /// Takes in all of another episode.
    pub fn absorb(&mut self, other: Episode, limits: &Limits) {
        self.waiting.extend(other.waiting);
        self.known.extend(other.known);
        self.known.truncate(Self::REMEMBERED);
        self.scanners.extend(other.scanners);
        self.scanners.truncate(Self::REMEMBERED);
        self.other_services.merge(&other.other_services);
        self.other_sources.merge(&other.other_sources);
        self.alive.merge(&other.alive);
        for (recording, standing) in other.recordings {
            self.recordings
                .entry(recording)
                .and_modify(|known| known.absorb(standing))
                .or_insert(standing);
        }
        for (_, said) in other.said {
            self.keep_said(said);
        }
        self.services.lose(other.services.lost());
        for (key, joined) in other.services.into_iter() {
            match self.services.entry(key) {
                Some(known) => known.absorb(joined, |tally, more| tally.join(more)),
                None => self.other_services.add((key.0, key.1)),
            }
        }
        self.sources.lose(other.sources.lost());
        for (key, joined) in other.sources.into_iter() {
            match self.sources.entry(key) {
                Some(known) => known.absorb(joined, |tally, more| tally.join(more, limits)),
                None => self.other_sources.add(key.0),
            }
        }
    }

    /// How much it holds.
    #[must_use]
    pub fn weight(&self) -> usize {
        let waiting = self.waiting.iter();
        let waiting: usize = waiting.map(|captured| 1 + captured.tallies.len()).sum();
        waiting + self.services.len() + self.sources.len() + self.said.len()
    }

    /// What its captures show together.
    #[must_use]
    pub fn judge(mut self, limits: &Limits) -> Judgement {
        self.join_waiting(self.waiting.len(), limits);
        verdict::of(self, limits)
    }

    /// Joins so many of those that wait, the earliest first.
    fn join_waiting(&mut self, number: usize, limits: &Limits) {
        self.waiting.sort_by(|a, b| {
            let order = |captured: &Captured| (captured.from, captured.until);
            order(a)
                .cmp(&order(b))
                .then_with(|| a.source.cmp(&b.source))
        });
        let later = self.waiting.split_off(number.min(self.waiting.len()));
        for captured in std::mem::replace(&mut self.waiting, later) {
            self.join(captured, limits);
        }
    }

    fn join(&mut self, captured: Captured, limits: &Limits) {
        let Captured {
            source,
            from,
            until,
            tallies,
            mut said,
            ..
        } = captured;
        let recording = Recording::of(&source);
        let standing = Standing::new(tallies.recorded, from, until);
        self.recordings
            .entry(recording)
            .and_modify(|known| known.go_on(standing))
            .or_insert(standing);
        self.other_services.merge(&tallies.other_services);
        self.other_sources.merge(&tallies.other_sources);
        self.alive.merge(&tallies.alive);
        let how = (tallies.recorded, tallies.one_direction);
        let network = |link: Option<[u8; 6]>| link.map_or(Network::Of(recording), Network::Link);
        for service in tallies.services {
            let (address, port) = (service.address, service.port);
            let key = (address, port, network(service.link));
            let Some(joined) = self.services.entry(key) else {
                self.other_services.add((address, port));
                continue;
            };
            let mut tally = service.tally;
            joined.note((&source, from), recording, how, tally.take_frames());
            joined.take_said(&mut said, &socket_of(address, port));
            joined.tally.join(tally);
        }
        for of_source in tallies.sources {
            let (address, mut tally) = (of_source.address, of_source.tally);
            if tally.scans(limits) && self.scanners.len() < Self::REMEMBERED {
                self.scanners.insert(address);
            }
            let Some(joined) = self.sources.entry((address, network(of_source.link))) else {
                self.other_sources.add(address);
                continue;
            };
            joined.note((&source, from), recording, how, tally.take_frames());
            joined.take_said(&mut said, &address.to_string());
            joined.tally.join(tally, limits);
        }
        for said in said {
            self.keep_said(said);
        }
    }

    fn keep_said(&mut self, said: Said) {
        let key = (said.code.clone(), said.subject.clone());
        if let Some(known) = self.said.get_mut(&key) {
            known.add(&said);
        } else if self.said.len() < Self::REMEMBERED {
            self.said.insert(key, said);
        }
    }
}

impl Said {
    /// Counts what other captures said.
    pub fn add(&mut self, other: &Said) {
        self.captures = self.captures.saturating_add(other.captures);
        self.contradicted = self.contradicted.saturating_add(other.contradicted);
        self.first = self.first.min(other.first);
    }
}
