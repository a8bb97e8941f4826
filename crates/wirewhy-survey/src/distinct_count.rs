//! How many different values there were: exact while they are few, an estimate with a bounded size once they are many.

use std::fmt;
use std::hash::Hash;

use cardinality_estimator::CardinalityEstimator;
use wirewhy_detect::wording::number;

/// 256 registers of 6 bits: 192 bytes for any number of values, with a standard error of 6.5 % (Flajolet et al. 2007).
///
/// The hash is the same in every process, so that an estimate is. Chosen values make it wrong and cost nothing: it is no table.
type Estimator<T> = CardinalityEstimator<T, wyhash::WyHash, 8, 6>;

/// Counts different values: up to 128 exactly, more as a HyperLogLog estimate. The same values give the same count, in any order.
#[derive(Clone)]
pub struct DistinctCount<T: Hash>(Estimator<T>);

impl<T: Hash> Default for DistinctCount<T> {
    fn default() -> Self {
        DistinctCount(Estimator::new())
    }
}

impl<T: Hash> fmt::Debug for DistinctCount<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DistinctCount({})", self.words())
    }
}

impl<T: Hash> DistinctCount<T> {
    /// The number of hashes that the library keeps one by one before it estimates.
    pub(crate) const EXACT: u64 = 128;

    /// Takes in one value.
    pub fn add(&mut self, value: &T) {
        self.0.insert(value);
    }

    /// Takes in every value of another count.
    pub fn merge(&mut self, other: &DistinctCount<T>) {
        self.0.merge(&other.0);
    }

    /// Whether [`DistinctCount::count`] is exact.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.estimate() <= Self::EXACT
    }

    fn estimate(&self) -> u64 {
        u64::try_from(self.0.estimate()).unwrap_or(u64::MAX)
    }

    /// How many there were; an estimate is rounded to the two digits it is worth.
    #[must_use]
    pub fn count(&self) -> u64 {
        let estimate = self.estimate();
        if estimate <= Self::EXACT {
            estimate
        } else {
            two_digits(estimate)
        }
    }

    /// The count for a sentence: `12`, `about 1,300`.
    #[must_use]
    pub fn words(&self) -> String {
        let about = if self.is_exact() { "" } else { "about " };
        format!("{about}{}", number(self.count()))
    }
}

/// How many different values came with a key, for the few keys that had the most.
#[derive(Clone, Debug)]
pub(crate) struct Leaders<K, V: Hash> {
    /// Each with its values, and the estimate of their number.
    leaders: Vec<(K, DistinctCount<V>, usize)>,
}

impl<K, V: Hash> Default for Leaders<K, V> {
    fn default() -> Self {
        Leaders {
            leaders: Vec::new(),
        }
    }
}

impl<K: Eq, V: Hash> Leaders<K, V> {
    const KEPT: usize = 4;

    /// A new key takes the place of the one with the fewest values.
    pub(crate) fn add(&mut self, key: K, value: &V) {
        let mut leaders = self.leaders.iter_mut();
        if let Some((_, values, many)) = leaders.find(|(known, ..)| *known == key) {
            values.add(value);
            *many = values.0.estimate();
            return;
        }
        if self.leaders.len() >= Self::KEPT {
            let counts = (0..).zip(&self.leaders);
            if let Some((fewest, _)) = counts.min_by_key(|(_, (_, _, many))| *many) {
                self.leaders.swap_remove(fewest);
            }
        }
        let mut values = DistinctCount::default();
        values.add(value);
        self.leaders.push((key, values, 1));
    }

    /// The most values that came with one key.
    pub(crate) fn most(&self) -> u64 {
        let counts = self.leaders.iter().map(|(_, values, _)| values.count());
        counts.max().unwrap_or(0)
    }
}

fn two_digits(estimate: u64) -> u64 {
    let unit = 10_u64.pow(estimate.max(1).ilog10().saturating_sub(1));
    estimate.saturating_add(unit / 2) / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl Iterator<Item = u32>) -> DistinctCount<u32> {
        let mut distinct = DistinctCount::default();
        for value in values {
            distinct.add(&value);
        }
        distinct
    }

    #[test]
    fn few_are_counted_exactly() {
        let distinct = of((0..60).chain(0..60));
        assert_eq!((distinct.count(), distinct.is_exact()), (60, true));
        assert_eq!(distinct.words(), "60");
    }

    #[test]
    fn many_are_counted_within_a_fifth() {
        for many in [150, 300, 1_000, 30_000, 1_000_000] {
            let count = of((0..many).chain(0..many)).count();
            let (low, high) = (u64::from(many) * 4 / 5, u64::from(many) * 6 / 5);
            assert!((low..=high).contains(&count), "{many}: {count}");
        }
        assert_eq!(of(0..30_000).words(), "about 28,000");
    }

    #[test]
    fn the_key_with_the_most_values_stays() {
        let mut leaders: Leaders<u32, u32> = Leaders::default();
        for n in 0..100 {
            leaders.add(7, &n);
            leaders.add(1_000 + n, &n);
        }
        assert_eq!(leaders.most(), 100);
    }

    #[test]
    fn estimates_keep_two_digits() {
        let rounded = [99, 104, 1_251, 98_765, 99_600].map(two_digits);
        assert_eq!(rounded, [99, 100, 1_300, 99_000, 100_000]);
    }
}
