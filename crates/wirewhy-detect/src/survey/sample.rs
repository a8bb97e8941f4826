//! Which attempts were counted, so that another capture's can be told to be the same.

use std::hash::BuildHasher;

use foldhash::quality::FixedState;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use wirewhy_flow::Connection;

use super::letters;

/// Names of attempts: all while they are few, those with the lowest numbers once they are many (bottom-k, Cohen 1997), so
/// that two samples of the same attempts are the same.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Sample {
    /// In rising order; the lowest bit tells whether the attempt failed.
    names: Vec<u32>,
    /// Whether there were more.
    is_part: bool,
}

/// What two samples have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Shared {
    /// Attempts that failed in both.
    pub(crate) failed: u32,
    /// Attempts that failed in neither.
    pub(crate) others: u32,
    /// Those that failed in the first only.
    pub(crate) failed_here: u32,
    /// Those that failed in the second only.
    pub(crate) failed_there: u32,
    /// How many names the second holds.
    pub(crate) held_there: u32,
    /// Whether both samples hold all attempts.
    pub(crate) is_exact: bool,
}

impl Shared {
    /// Whether anything is shared at all.
    pub(crate) fn is_some(self) -> bool {
        self.failed + self.others + self.failed_here + self.failed_there > 0
    }

    /// How many of the failed attempts of the second, so many in all, are those of the first: where the samples do not hold
    /// them all, rather more than they tell.
    pub(crate) fn failed_of(self, all: u32) -> u32 {
        if self.is_exact {
            return self.failed.min(all);
        }
        let shared = self.failed + self.others + 1;
        let number =
            (u64::from(shared) * u64::from(all)).div_ceil(u64::from(self.held_there.max(1)));
        u32::try_from(number).unwrap_or(u32::MAX).min(all)
    }
}

impl Sample {
    /// How many names one capture keeps of a service.
    pub(super) const OF_A_CAPTURE: usize = 16;
    /// How many names are kept over captures.
    pub(super) const OF_CAPTURES: usize = 512;

    /// Adds an attempt: who asked whom, and with which initial sequence number. A SYN that is sent again, or recorded in
    /// another place, has the same.
    pub(super) fn add(&mut self, connection: &Connection, failed: bool) {
        let (client, server) = (&connection.client, &connection.server);
        let hash = FixedState::with_seed(2).hash_one((
            (client.address, client.port),
            (server.address, server.port),
            client.isn.map(|isn| isn.0),
        ));
        let name = u32::try_from(hash >> 32).unwrap_or(0);
        self.insert(name & !1 | u32::from(failed), Self::OF_A_CAPTURE);
    }

    fn insert(&mut self, name: u32, most: usize) {
        if self.names.len() >= most && self.names.last().is_some_and(|last| name > last | 1) {
            self.is_part = true;
            return;
        }
        match self
            .names
            .binary_search_by_key(&(name >> 1), |known| known >> 1)
        {
            Ok(_) => {}
            Err(place) => self.names.insert(place, name),
        }
        if self.names.len() > most {
            self.names.pop();
            self.is_part = true;
        }
    }

    /// What this one and another have in common.
    pub(super) fn shared(&self, other: &Sample) -> Shared {
        let mut shared = Shared {
            held_there: u32::try_from(other.names.len()).unwrap_or(u32::MAX),
            is_exact: !self.is_part && !other.is_part,
            ..Shared::default()
        };
        for name in &other.names {
            let known = self
                .names
                .binary_search_by_key(&(name >> 1), |known| known >> 1);
            let Some(known) = known.ok().and_then(|place| self.names.get(place)) else {
                continue;
            };
            *match (known & 1 == 1, name & 1 == 1) {
                (true, true) => &mut shared.failed,
                (false, false) => &mut shared.others,
                (true, false) => &mut shared.failed_here,
                (false, true) => &mut shared.failed_there,
            } += 1;
        }
        shared
    }

    /// Adds the names of another one. An attempt that worked anywhere has not failed.
    pub(super) fn merge(&mut self, other: &Sample) {
        self.is_part |= other.is_part;
        for name in &other.names {
            let found = self
                .names
                .binary_search_by_key(&(name >> 1), |known| known >> 1);
            match found.ok().and_then(|place| self.names.get_mut(place)) {
                Some(known) => *known &= name | !1,
                None => self.insert(*name, Self::OF_CAPTURES),
            }
        }
    }
}

impl Serialize for Sample {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = self.names.iter().map(|name| name.to_be_bytes());
        (letters::write(names), self.is_part).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Sample {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Sample, D::Error> {
        let (text, is_part) = <(String, bool)>::deserialize(deserializer)?;
        let names: Option<Vec<u32>> =
            letters::read(&text).map(|names| names.into_iter().map(u32::from_be_bytes).collect());
        names
            .filter(|names| names.is_sorted() && names.len() <= Self::OF_A_CAPTURE)
            .map(|names| Sample { names, is_part })
            .ok_or_else(|| de::Error::custom("no sample"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: impl IntoIterator<Item = u32>, most: usize) -> Sample {
        let mut sample = Sample::default();
        for name in names {
            sample.insert(name, most);
        }
        sample
    }

    #[test]
    fn few_are_kept_whole_and_many_by_their_lowest() {
        let few = of([9, 3, 5, 3], 4);
        assert_eq!(
            (few.names.as_slice(), few.is_part),
            ([3, 5, 9].as_slice(), false)
        );
        let many = of((0..100).rev().map(|n| n * 2), 4);
        assert_eq!(
            (many.names.as_slice(), many.is_part),
            ([0, 2, 4, 6].as_slice(), true)
        );
    }

    #[test]
    fn fates_are_compared() {
        let here = of([2, 5, 6, 9], 16);
        let there = of([2, 4, 7, 9, 11], 16);
        let shared = here.shared(&there);
        assert_eq!(
            shared,
            Shared {
                failed: 1,
                others: 1,
                failed_here: 1,
                failed_there: 1,
                held_there: 5,
                is_exact: true
            }
        );
        let mut both = here.clone();
        both.merge(&there);
        assert_eq!(both.names, [2, 4, 6, 9, 11]);
    }
}
