//! A bounded table that evicts entries of little value.

use std::hash::Hash;

use foldhash::fast::RandomState;
use indexmap::IndexMap;

use crate::recent::FEW;

/// The value of an entry of a [`Table`].
pub(crate) trait Worth {
    /// Whether it holds more than a single event.
    fn is_worth_keeping(&self) -> bool;
}

/// At most [`Table::LIMIT`] entries. Once it is full, a new entry replaces one of little value; if none is found in a few
/// steps, the new entry is not kept.
#[derive(Clone, Debug)]
pub(crate) struct Table<K, V> {
    entries: IndexMap<K, V, RandomState>,
    /// Where the next search for an entry to evict begins.
    hand: usize,
    latest: Latest,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Table {
            entries: IndexMap::default(),
            hand: 0,
            latest: Latest::default(),
        }
    }
}

impl<K: Hash + Eq + Copy, V: Default + Worth> Table<K, V> {
    pub(crate) const LIMIT: usize = 16_384;
    const LOOKS: usize = 8;

    /// The entry of a key, made if there is none; `None` if there is no room.
    #[inline]
    pub(crate) fn entry(&mut self, key: K) -> Option<&mut V> {
        let entries = &self.entries;
        let at = match self.latest.find(|at| is_at(entries, at, &key)) {
            Some(at) => at,
            None => {
                let at = self.find(key)?;
                self.latest.push(at);
                at
            }
        };
        let (_, value) = self.entries.get_index_mut(at)?;
        Some(value)
    }

    /// Where the entry of a key is, which is made if there is room.
    #[inline(never)]
    fn find(&mut self, key: K) -> Option<usize> {
        let len = self.entries.len();
        if len >= Self::LIMIT && !self.entries.contains_key(&key) {
            self.make_room()?;
        } else if len >= FEW && len == self.entries.capacity() && len < Self::LIMIT {
            self.entries.reserve(Self::LIMIT - len);
        }
        let entry = self.entries.entry(key);
        let at = entry.index();
        entry.or_default();
        Some(at)
    }

    /// The entry of a key, where there is one.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    /// The same, to be changed.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter()
    }

    fn make_room(&mut self) -> Option<()> {
        for _ in 0..Self::LOOKS {
            self.hand = (self.hand + 1) % Self::LIMIT;
            let (_, value) = self.entries.get_index(self.hand)?;
            if !value.is_worth_keeping() {
                self.entries.swap_remove_index(self.hand);
                return Some(());
            }
        }
        None
    }
}

/// Where the two entries of a table are that were changed last: connections to a service come in trains.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Latest([usize; 2]);

impl Latest {
    /// The one of them that `is_it`, which is the latest then.
    #[inline]
    pub(crate) fn find(&mut self, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let [latest, before] = self.0;
        if is_it(latest) {
            return Some(latest);
        }
        let found = Some(before).filter(|before| is_it(*before));
        found.inspect(|found| self.push(*found))
    }

    /// Another one is the latest.
    #[inline]
    pub(crate) fn push(&mut self, at: usize) {
        let [latest, _] = self.0;
        self.0 = [at, latest];
    }
}

/// Whether the entry at an index is that of a key.
#[inline]
pub(crate) fn is_at<K: Eq, V, S>(entries: &IndexMap<K, V, S>, at: usize, key: &K) -> bool {
    entries.get_index(at).is_some_and(|(known, _)| known == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen(u32);

    impl Worth for Seen {
        fn is_worth_keeping(&self) -> bool {
            self.0 > 1
        }
    }

    #[test]
    fn what_came_once_makes_room_for_what_comes_often() {
        let mut table: Table<u32, Seen> = Table::default();
        for _ in 0..2 {
            table.entry(7).unwrap().0 += 1;
        }
        for key in 1_000..100_000 {
            if let Some(seen) = table.entry(key) {
                seen.0 += 1;
            }
        }
        table.entry(9).unwrap().0 += 1;
        assert_eq!(table.iter().count(), Table::<u32, Seen>::LIMIT);
        assert_eq!(table.entries[&7].0, 2);
    }

    #[test]
    fn what_was_changed_last_is_found_when_others_are_evicted() {
        let mut table: Table<u32, Seen> = Table::default();
        for key in 0..40_000 {
            for key in [key, u32::MAX, key / 2] {
                let before = table.get(&key).map_or(0, |seen| seen.0);
                if let Some(seen) = table.entry(key) {
                    seen.0 += 1;
                    assert_eq!(seen.0, before + 1, "{key}");
                }
            }
        }
        assert_eq!(table.entries[&u32::MAX].0, 40_000);
    }

    #[test]
    fn a_table_full_of_what_counts_takes_no_more() {
        let mut table: Table<u32, Seen> = Table::default();
        for key in 0..20_000 {
            if let Some(seen) = table.entry(key) {
                seen.0 += 2;
            }
        }
        assert!(table.entry(20_000).is_none());
        assert!(table.entry(0).is_some());
    }
}
