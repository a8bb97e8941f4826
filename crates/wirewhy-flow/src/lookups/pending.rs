//! Queries that wait for their answers, or had one a moment ago.

use std::collections::VecDeque;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use wirewhy_packet::{Interval, MacAddr, Timestamp};

use super::groups::Asked;
use super::lookup::Socket;

/// What ties an answer to its query (RFC 5452 section 9), but for the question, which some answers lack.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Waiting {
    pub(super) client: Socket,
    pub(super) resolver: Socket,
    pub(super) id: u16,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    asked: Asked,
    latest: Timestamp,
    link: Option<MacAddr>,
}

/// Queries by what ties answers to them, for half a minute each: the longest schedule of a resolver library.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    entries: IndexMap<Waiting, Entry, RandomState>,
    /// By client and number: which resolver was asked last.
    by_client: IndexMap<(Socket, u16), Socket, RandomState>,
    /// By both ends: the numbers asked last.
    by_ends: IndexMap<(Socket, Socket), [Option<u16>; 4], RandomState>,
    /// Each entry once, by when it was added or looked at last.
    queue: VecDeque<(Timestamp, Waiting)>,
}

const MOST: usize = 65_536;
const LIFE: Interval = Interval::from_secs(30);

impl Outstanding {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The query, and when it was sent last.
    pub(super) fn find(&self, waiting: &Waiting) -> Option<(Asked, Timestamp)> {
        let entry = self.entries.get(waiting)?;
        Some((entry.asked, entry.latest))
    }

    /// The MAC address that a query came from.
    pub(super) fn link_of(&self, waiting: &Waiting) -> Option<MacAddr> {
        self.entries.get(waiting)?.link
    }

    /// The query with this number from this port, where another resolver was asked, at the same port.
    pub(super) fn asked_elsewhere(&self, answer: &Waiting) -> Option<Asked> {
        let resolver = *self.by_client.get(&(answer.client, answer.id))?;
        let same_port = resolver.1 == answer.resolver.1;
        let waiting = Waiting {
            resolver,
            ..*answer
        };
        let entry = self.entries.get(&waiting).filter(|_| same_port)?;
        Some(entry.asked)
    }

    /// The queries between two ends, the latest ones.
    pub(super) fn of(&self, client: Socket, resolver: Socket) -> Vec<Asked> {
        let numbers = self.by_ends.get(&(client, resolver)).into_iter().flatten();
        let found = numbers.flatten().filter_map(|id| {
            let waiting = Waiting {
                client,
                resolver,
                id: *id,
            };
            self.entries.get(&waiting)
        });
        found.map(|entry| entry.asked).collect()
    }

    pub(super) fn sent_again(&mut self, waiting: &Waiting, time: Timestamp) {
        if let Some(entry) = self.entries.get_mut(waiting) {
            entry.latest = time;
        }
    }

    /// Adds a query. Returns whether the oldest one had to make room.
    pub(super) fn add(
        &mut self,
        waiting: Waiting,
        (asked, link): (Asked, Option<MacAddr>),
        time: Timestamp,
    ) -> bool {
        let is_full = self.entries.len() >= MOST && !self.entries.contains_key(&waiting);
        if is_full && let Some((_, oldest)) = self.queue.pop_front() {
            self.remove(&oldest);
        }
        let entry = Entry {
            asked,
            latest: time,
            link,
        };
        if self.entries.insert(waiting, entry).is_none() {
            self.queue.push_back((time, waiting));
        }
        self.by_client
            .insert((waiting.client, waiting.id), waiting.resolver);
        let numbers = self
            .by_ends
            .entry((waiting.client, waiting.resolver))
            .or_default();
        if !numbers.contains(&Some(waiting.id)) {
            numbers.rotate_right(1);
            if let Some(latest) = numbers.first_mut() {
                *latest = Some(waiting.id);
            }
        }
        is_full
    }

    /// Forgets what was sent too long ago.
    pub(super) fn expire(&mut self, now: Timestamp) {
        while let Some((looked, waiting)) = self.queue.front().copied()
            && now.since(looked) > LIFE
        {
            self.queue.pop_front();
            let latest = self.entries.get(&waiting).map(|entry| entry.latest);
            match latest {
                Some(latest) if now.since(latest) <= LIFE => {
                    self.queue.push_back((latest, waiting));
                }
                _ => self.remove(&waiting),
            }
        }
    }

    fn remove(&mut self, waiting: &Waiting) {
        self.entries.swap_remove(waiting);
        let by_client = (waiting.client, waiting.id);
        if self.by_client.get(&by_client) == Some(&waiting.resolver) {
            self.by_client.swap_remove(&by_client);
        }
        let ends = (waiting.client, waiting.resolver);
        if let Some(numbers) = self.by_ends.get_mut(&ends) {
            for number in numbers.iter_mut() {
                *number = number.filter(|number| *number != waiting.id);
            }
            if numbers.iter().all(Option::is_none) {
                self.by_ends.swap_remove(&ends);
            }
        }
    }
}
