//! Bounded tables that evict the oldest entries, and bounded lists of frames.

use std::hash::Hash;
use std::ops::Deref;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use wirewhy_detect::Finding;
use wirewhy_flow::Mark;

/// How many entries each table has.
pub(crate) const REMEMBERED: usize = 16_384;

/// A table with more entries is given all of its room at once, of which no memory is used before an entry is: it would be copied
/// each time it grows.
pub(crate) const FEW: usize = 256;

/// A table that evicts its older half when it is full.
#[derive(Clone, Debug)]
pub(crate) struct RecentTable<K, V> {
    entries: IndexMap<K, V, RandomState>,
    /// Where the two entries are that were changed last: connections to a service come in trains.
    latest: [usize; 2],
}

impl<K, V> Default for RecentTable<K, V> {
    fn default() -> RecentTable<K, V> {
        RecentTable {
            entries: IndexMap::default(),
            latest: [0; 2],
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
        let [latest, before] = self.latest;
        let mut at = latest;
        if !self.is_at(at, &key) {
            at = if self.is_at(before, &key) {
                before
            } else {
                self.find(key)
            };
            self.latest = [at, latest];
        }
        &mut self.entries[at]
    }

    fn is_at(&self, at: usize, key: &K) -> bool {
        let entry = self.entries.get_index(at);
        entry.is_some_and(|(known, _)| known == key)
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
