//! Counts by key in bounded memory: what is large stays.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is counted under one key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct TopCount {
    /// How many.
    pub(super) number: u64,
    /// When the first of them was, in nanoseconds since 1970.
    pub(super) first: i64,
    /// Whether there was one before what is called new.
    #[serde(skip)]
    pub(super) known: bool,
}

/// Counts by key. Past twice the bound, the smallest are evicted: a key that comes back begins at zero, so that its
/// count is then a lower bound.
#[derive(Clone, Debug)]
pub(super) struct Top<K> {
    counts: BTreeMap<K, TopCount>,
    most: usize,
    /// Whether a key was ever evicted.
    pub(super) folded: bool,
}

impl<K: Ord + Clone> Top<K> {
    pub(super) fn new(most: usize) -> Top<K> {
        Top {
            counts: BTreeMap::new(),
            most,
            folded: false,
        }
    }

    pub(super) fn add(&mut self, key: K, tally: TopCount) {
        self.counts
            .entry(key)
            .and_modify(|sum| {
                sum.number = sum.number.saturating_add(tally.number);
                sum.first = sum.first.min(tally.first);
                sum.known |= tally.known;
            })
            .or_insert(tally);
        if self.counts.len() > self.most.saturating_mul(2) {
            self.fold();
        }
    }

    /// Keeps the largest, as many as the bound says; of equals those whose key comes first.
    fn fold(&mut self) {
        self.folded = true;
        let kept = self.largest(self.most);
        self.counts = kept.into_iter().collect();
    }

    /// The largest, in falling order.
    pub(super) fn largest(&self, most: usize) -> Vec<(K, TopCount)> {
        let mut all: Vec<(&K, &TopCount)> = self.counts.iter().collect();
        all.sort_by(|a, b| b.1.number.cmp(&a.1.number).then_with(|| a.0.cmp(b.0)));
        all.truncate(most);
        all.into_iter()
            .map(|(key, tally)| (key.clone(), *tally))
            .collect()
    }

    /// All that are kept, by key.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &TopCount)> {
        self.counts.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(first: i64) -> TopCount {
        TopCount {
            number: 1,
            first,
            known: false,
        }
    }

    #[test]
    fn the_largest_survive_a_flood_of_small_ones() {
        let mut top = Top::new(10);
        for number in 0..10_000_u32 {
            top.add(number + 100, one(5));
            top.add(number % 3, one(i64::from(number)));
        }
        assert!(top.folded && top.counts.len() <= 20);
        let largest: Vec<(u32, u64)> = top
            .largest(3)
            .into_iter()
            .map(|(key, tally)| (key, tally.number))
            .collect();
        assert_eq!(largest, [(0, 3334), (1, 3333), (2, 3333)]);
        assert_eq!(top.largest(1)[0].1.first, 0);
    }
}
