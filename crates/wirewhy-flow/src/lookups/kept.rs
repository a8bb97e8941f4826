//! Lookups that are over, where there may be something to say about them: alike ones once, with how often.

use std::net::IpAddr;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use wirewhy_packet::Interval;

use super::depend::Dependent;
use super::lookup::{Lookup, Socket};
use crate::Mark;

/// A lookup, and how many were like it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alike {
    /// One of them: the first, of those that took long the one that took longest. The connections that depended on any of them
    /// are in it.
    pub lookup: Lookup,
    /// How many there were.
    pub count: u64,
    /// Who asked, the first ones; at most [`Alike::CLIENTS`].
    pub clients: Vec<IpAddr>,
    /// The first query of the latest one.
    pub latest: Mark,
}

impl Alike {
    /// How many clients are kept.
    pub const CLIENTS: usize = 8;
}

/// What makes lookups alike.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key {
    name: Box<str>,
    resolver: Option<Socket>,
    /// Of each query in order: what became of it.
    course: Vec<(u16, Fate)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Fate {
    Unanswered,
    Error,
    Fragment,
    Answered {
        rcode: u16,
        has_answer: bool,
        truncated: bool,
    },
}

/// Lookups in a bounded table: a full one forgets the half it has known longest.
#[derive(Debug, Default)]
pub(super) struct Kept {
    table: IndexMap<Key, Alike, RandomState>,
    pub(super) forgotten: u64,
}

const MOST: usize = 16_384;

/// A lookup that took no longer than this is not kept for its time.
const QUICK: Interval = Interval::from_millis(100);

impl Kept {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Alike> {
        self.table.values()
    }

    /// Takes in a lookup that is over. Returns where it is kept, if it is.
    pub(super) fn add(&mut self, lookup: Lookup) -> Option<Key> {
        if is_plain(&lookup) {
            return None;
        }
        let key = key_of(&lookup);
        if let Some(alike) = self.table.get_mut(&key) {
            alike.count += 1;
            alike.latest = lookup.first;
            if alike.clients.len() < Alike::CLIENTS && !alike.clients.contains(&lookup.client) {
                alike.clients.push(lookup.client);
            }
            let mut lookup = lookup;
            if lookup.waited() > alike.lookup.waited() {
                std::mem::swap(&mut alike.lookup, &mut lookup);
            }
            alike.lookup.take_dependents(lookup);
            return Some(key);
        }
        if self.table.len() >= MOST {
            let forgotten = self.table.drain(..MOST / 2).map(|(_, alike)| alike.count);
            self.forgotten += forgotten.sum::<u64>();
        }
        let alike = Alike {
            count: 1,
            clients: vec![lookup.client],
            latest: lookup.first,
            lookup,
        };
        self.table.insert(key.clone(), alike);
        Some(key)
    }

    /// Takes in that a connection depended on one of these.
    pub(super) fn depend(&mut self, key: &Key, dependent: Dependent) {
        if let Some(alike) = self.table.get_mut(key) {
            alike.lookup.depend(dependent);
        }
    }
}

/// Whether nothing about it is worth a word: every query was answered once, quickly, and with something.
fn is_plain(lookup: &Lookup) -> bool {
    let plain = lookup.queries.iter().all(|query| {
        let answer = query.answer.as_ref();
        let fine = answer.is_some_and(|answer| {
            answer.rcode == 0 && !answer.truncated && (answer.has_answer || !answer.refers)
        });
        fine && query.repeats == 0 && query.contradiction.is_none() && query.stranger.is_none()
    });
    // Resolvers ask authorities without wanting a resolver's work: what those say is theirs to deal with.
    let iterates = lookup.queries.iter().all(|query| !query.recursion_desired);
    let contradicted = lookup
        .queries
        .iter()
        .any(|query| query.contradiction.is_some());
    plain && lookup.waited() <= QUICK || iterates && !contradicted
}

fn key_of(lookup: &Lookup) -> Key {
    // An answer that comes out of a cache next time is no other one.
    let mut course: Vec<(u16, Fate)> = Vec::new();
    for query in &lookup.queries {
        let fate = match (&query.answer, query.fragment, query.icmp) {
            (Some(answer), _, _) => Fate::Answered {
                rcode: answer.rcode,
                has_answer: answer.has_answer,
                truncated: answer.truncated,
            },
            (None, Some(_), _) => Fate::Fragment,
            (None, None, Some(_)) => Fate::Error,
            (None, None, None) => Fate::Unanswered,
        };
        if !course.contains(&(query.kind, fate)) {
            course.push((query.kind, fate));
        }
    }
    course.sort_unstable_by_key(|(kind, _)| *kind);
    Key {
        name: lookup.name().to_ascii_lowercase().into(),
        resolver: lookup.queries.first().map(|query| query.resolver),
        course,
    }
}
