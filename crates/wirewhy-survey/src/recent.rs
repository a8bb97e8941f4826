//! Bounded tables that evict the oldest entries, and bounded lists of frames.

use std::hash::Hash;
use std::ops::Deref;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use wirewhy_detect::Finding;
use wirewhy_flow::Mark;

use crate::table::{Latest, is_at};

/// How many entries each table has.
pub(crate) const REMEMBERED: usize = 16_384;

/// A table with more entries is given all of its room at once, of which no memory is used before an entry is: it would be copied
/// each time it grows.
pub(crate) const FEW: usize = 256;

/// A table that evicts its older half when it is full.
#[derive(Clone, Debug)]
pub(crate) struct RecentTable<K, V> {
    entries: IndexMap<K, V, RandomState>,
    latest: Latest,
}

impl<K, V> Default for RecentTable<K, V> {
    fn default() -> RecentTable<K, V> {
        RecentTable {
            entries: IndexMap::default(),
            latest: Latest::default(),
        }
    }
}

impl<K, V> Deref for RecentTable<K, V> {
    type Target = IndexMap<K, V, RandomState>;

    fn deref(&self) -> &IndexMap<K, V, RandomState> {
        &self.entries
    }
}

impl<K: Hash + Eq, V> RecentTable<K, V> {
    fn make_room(&mut self, key: &K) {
        let len = self.entries.len();
        if len >= REMEMBERED && !self.entries.contains_key(key) {
            self.entries.drain(..REMEMBERED / 2);
        } else if len >= FEW && len == self.entries.capacity() && len < REMEMBERED {
            self.entries.reserve(REMEMBERED - len);
        }
    }

    /// Puts a value in the place of the one that a key has.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.make_room(&key);
        self.entries.insert(key, value);
    }

    /// The entry of a key, where there is one.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key)
    }
}

impl<K: Hash + Eq, V: Default> RecentTable<K, V> {
    /// The entry of a key, made if need be.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "it was found there")]
    pub(crate) fn entry(&mut self, key: K) -> &mut V {
        let entries = &self.entries;
        let at = match self.latest.find(|at| is_at(entries, at, &key)) {
            Some(at) => at,
            None => {
                let at = self.find(key);
                self.latest.push(at);
                at
            }
        };
        &mut self.entries[at]
    }

    /// Where the entry of a key is, which is made if need be.
    #[inline(never)]
    fn find(&mut self, key: K) -> usize {
        self.make_room(&key);
        let entry = self.entries.entry(key);
        let at = entry.index();
        entry.or_default();
        at
    }
}

/// Adds a frame to those a finding cites, as far as there is room.
pub(crate) fn keep(frames: &mut Vec<u64>, mark: Mark) {
    if frames.len() < Finding::MAX_FRAMES {
        frames.push(mark.frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_last_is_found_when_others_are_evicted() {
        let mut table: RecentTable<usize, u32> = RecentTable::default();
        for key in 0..2 * REMEMBERED {
            *table.entry(key) += 1;
            *table.entry(usize::MAX) += 1;
            *table.entry(key) += 1;
            assert_eq!(table.get(&key), Some(&2), "{key}");
        }
        assert!(table.len() <= REMEMBERED);
        assert!(
            table
                .iter()
                .all(|(key, count)| *key == usize::MAX || *count == 2)
        );
    }
}
