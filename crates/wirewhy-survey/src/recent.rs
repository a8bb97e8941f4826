//! Bounded tables that evict the oldest entries, and bounded lists of frames.

use std::hash::Hash;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use wirewhy_detect::Finding;
use wirewhy_flow::Mark;

/// A table that is kept small by [`make_room`].
pub(crate) type RecentTable<K, V> = IndexMap<K, V, RandomState>;

/// How many entries each table has.
pub(crate) const REMEMBERED: usize = 16_384;

/// A table with more entries is given all of its room at once, of which no memory is used before an entry is: it would be copied
/// each time it grows.
pub(crate) const FEW: usize = 256;

/// Evicts the older half of a full table.
pub(crate) fn make_room<K: Hash + Eq, V>(table: &mut RecentTable<K, V>, key: &K) {
    let len = table.len();
    if len >= REMEMBERED && !table.contains_key(key) {
        table.drain(..REMEMBERED / 2);
    } else if len >= FEW && len == table.capacity() && len < REMEMBERED {
        table.reserve(REMEMBERED - len);
    }
}

/// The entry of a key, made if need be.
pub(crate) fn entry<K: Hash + Eq, V: Default>(table: &mut RecentTable<K, V>, key: K) -> &mut V {
    make_room(table, &key);
    table.entry(key).or_default()
}

/// Adds a frame to those a finding cites, as far as there is room.
pub(crate) fn keep(frames: &mut Vec<u64>, mark: Mark) {
    if frames.len() < Finding::MAX_FRAMES {
        frames.push(mark.frame);
    }
}
