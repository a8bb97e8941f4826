//! How many different values there were: exactly while they are few, about while they are many.

use std::hash::{BuildHasher, Hash};

use foldhash::quality::FixedState;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::letters;

/// Counts different values in bounded memory: the first [`Distinct::EXACT`] exactly, more by a HyperLogLog sketch
/// (Flajolet et al. 2007) whose standard error is 6.5 %.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Distinct {
    exact: Vec<u64>,
    /// The highest rank seen of each register; empty while counting is exact.
    sketch: Vec<u8>,
}

impl Distinct {
    const EXACT: usize = 64;
    const REGISTERS: usize = 256;
    /// The constant of a sketch of 256 registers (section 4): 0.7213 / (1 + 1.079 / 256).
    const ALPHA: f64 = 0.718_27;

    pub(super) fn new() -> Distinct {
        Distinct {
            exact: Vec::new(),
            sketch: Vec::new(),
        }
    }

    /// Returns whether it was certainly new.
    pub(super) fn add(&mut self, value: impl Hash) -> bool {
        self.add_hash(FixedState::with_seed(0).hash_one(value))
    }

    fn add_hash(&mut self, hash: u64) -> bool {
        if !self.sketch.is_empty() {
            return self.rank(hash);
        }
        if self.exact.contains(&hash) {
            return false;
        }
        self.exact.push(hash);
        if self.exact.len() > Self::EXACT {
            self.estimate();
        }
        true
    }

    /// Goes over from counting to estimating.
    fn estimate(&mut self) {
        self.sketch.resize(Self::REGISTERS, 0);
        for hash in std::mem::take(&mut self.exact) {
            self.rank(hash);
        }
    }

    /// Adds the values of another one.
    pub(super) fn join(&mut self, other: &Distinct) {
        for hash in &other.exact {
            self.add_hash(*hash);
        }
        if other.sketch.is_empty() {
            return;
        }
        self.estimate();
        for (known, rank) in self.sketch.iter_mut().zip(&other.sketch) {
            *known = rank.max(known).to_owned();
        }
    }

    fn rank(&mut self, hash: u64) -> bool {
        let [register, rest @ ..] = hash.to_be_bytes();
        let [a, b, c, d, e, f, g] = rest;
        let zeros = u64::from_be_bytes([a, b, c, d, e, f, g, 0xff]).leading_zeros();
        let rank = u8::try_from(zeros + 1).unwrap_or(u8::MAX);
        let Some(known) = self.sketch.get_mut(usize::from(register)) else {
            return false;
        };
        let is_new = rank > *known;
        *known = rank.max(*known);
        is_new
    }

    /// Whether [`Distinct::count`] is exact.
    pub(crate) fn is_exact(&self) -> bool {
        self.sketch.is_empty()
    }

    pub(crate) fn count(&self) -> u64 {
        if self.is_exact() {
            return u64::try_from(self.exact.len()).unwrap_or(u64::MAX);
        }
        let registers = 256.0;
        let sum: f64 = self
            .sketch
            .iter()
            .map(|rank| f64::from(*rank))
            .map(|rank| (-rank).exp2())
            .sum();
        let raw = Self::ALPHA * registers * registers / sum;
        let empty = self.sketch.iter().filter(|rank| **rank == 0).count();
        let empty = u32::try_from(empty).unwrap_or(0);
        // The small range of section 4: empty registers tell more.
        let estimate = if raw <= 2.5 * registers && empty > 0 {
            registers * (registers / f64::from(empty)).ln()
        } else {
            raw
        };
        two_digits(estimate)
    }

    /// The count for a sentence: `12`, `about 1300`.
    pub(crate) fn words(&self) -> String {
        let about = if self.is_exact() { "" } else { "about " };
        format!("{about}{}", self.count())
    }
}

impl Serialize for Distinct {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.as_text())
    }
}

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Distinct, D::Error> {
        let text = String::deserialize(deserializer)?;
        Distinct::from_text(&text).ok_or_else(|| de::Error::custom("no count of different values"))
    }
}

impl Distinct {
    fn as_text(&self) -> String {
        if self.sketch.is_empty() {
            return letters::write(self.exact.iter().map(|hash| hash.to_be_bytes()));
        }
        // The first byte is there so that no number of hashes is as long.
        let ranks = std::iter::once(&0).chain(&self.sketch);
        letters::write(ranks.map(|rank| [*rank]))
    }

    fn from_text(text: &str) -> Option<Distinct> {
        if let Some(hashes) = letters::read(text) {
            let exact: Vec<u64> = hashes.into_iter().map(u64::from_be_bytes).collect();
            return (exact.len() <= Self::EXACT).then_some(Distinct {
                exact,
                sketch: Vec::new(),
            });
        }
        let ranks: Vec<[u8; 1]> = letters::read(text)?;
        let sketch: Vec<u8> = ranks.into_iter().flatten().skip(1).collect();
        let is_sketch = sketch.len() == Self::REGISTERS && sketch.iter().all(|rank| *rank <= 64);
        is_sketch.then_some(Distinct {
            exact: Vec::new(),
            sketch,
        })
    }
}

/// How many different values went with a key, for the few keys that had the most.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Leaders<K> {
    /// With how often a value was new, which is quicker to ask than their number.
    leaders: Vec<(K, Distinct, u32)>,
}

impl<K> Default for Leaders<K> {
    fn default() -> Self {
        Leaders {
            leaders: Vec::new(),
        }
    }
}

impl<K: Eq> Leaders<K> {
    const KEPT: usize = 4;

    /// A new key takes the place of the one with the fewest values.
    pub(super) fn add(&mut self, key: K, value: impl Hash) {
        let mut leaders = self.leaders.iter_mut();
        if let Some((_, values, news)) = leaders.find(|(known, _, _)| *known == key) {
            *news = news.saturating_add(u32::from(values.add(value)));
            return;
        }
        self.make_room();
        let mut values = Distinct::new();
        values.add(value);
        self.leaders.push((key, values, 1));
    }

    fn make_room(&mut self) {
        while self.leaders.len() >= Self::KEPT {
            let fewest = (0..)
                .zip(&self.leaders)
                .min_by_key(|(_, (_, _, news))| *news);
            let Some((fewest, _)) = fewest else { return };
            self.leaders.swap_remove(fewest);
        }
    }

    /// Adds the values of another one.
    pub(super) fn join(&mut self, other: &Leaders<K>)
    where
        K: Copy,
    {
        let mut others: Vec<&(K, Distinct, u32)> = other.leaders.iter().collect();
        others.sort_by_key(|(_, _, news)| *news);
        for (key, values, news) in others {
            let mut leaders = self.leaders.iter_mut();
            match leaders.find(|(known, _, _)| known == key) {
                Some((_, known, sum)) => {
                    known.join(values);
                    *sum = sum.saturating_add(*news);
                }
                None => {
                    let fewest = self.leaders.iter().map(|(_, _, news)| *news).min();
                    if self.leaders.len() < Self::KEPT || fewest < Some(*news) {
                        self.make_room();
                        self.leaders.push((*key, values.clone(), *news));
                    }
                }
            }
        }
    }

    /// The most values that went with one key.
    pub(crate) fn most(&self) -> u64 {
        let counts = self.leaders.iter().map(|(_, values, _)| values.count());
        counts.max().unwrap_or(0)
    }
}

/// An estimate to the two digits it is worth.
fn two_digits(estimate: f64) -> u64 {
    let mut unit = 1_u64;
    // Far above any count of a capture; the loop ends.
    while estimate / to_float(unit) >= 100.0 && unit < 1_000_000_000_000_000 {
        unit *= 10;
    }
    let mut digits = 0_u64;
    while digits < 100 && to_float(digits) + 0.5 <= estimate / to_float(unit) {
        digits += 1;
    }
    digits * unit
}

fn to_float(number: u64) -> f64 {
    // Exact up to 2^53.
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl Iterator<Item = u32>) -> Distinct {
        let mut distinct = Distinct::new();
        for value in values {
            distinct.add(value);
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
        for many in [100, 300, 1_000, 30_000, 1_000_000] {
            let count = of((0..many).chain(0..many)).count();
            let (low, high) = (u64::from(many) * 4 / 5, u64::from(many) * 6 / 5);
            assert!((low..=high).contains(&count), "{many}: {count}");
        }
        assert_eq!(
            of(0..1_000).words(),
            format!("about {}", of(0..1_000).count())
        );
    }

    fn written(distinct: &Distinct) -> Distinct {
        Distinct::from_text(&distinct.as_text()).unwrap()
    }

    #[test]
    fn parts_written_down_and_joined_are_the_whole() {
        for (many, parts) in [(40, 3), (64, 2), (65, 5), (1_000, 4), (1_000, 90)] {
            let mut joined = Distinct::new();
            for part in 0..parts {
                // Each has what its neighbour has, too.
                let values = (0..many).filter(|n| n % parts == part || (n + 1) % parts == part);
                joined.join(&written(&of(values)));
            }
            let whole = of(0..many);
            assert_eq!(
                (joined.count(), joined.is_exact()),
                (whole.count(), whole.is_exact())
            );
        }
    }

    #[test]
    fn leaders_joined_lead_still() {
        let mut joined: Leaders<u32> = Leaders::default();
        for part in 0..10 {
            let mut leaders: Leaders<u32> = Leaders::default();
            for n in 0..10 {
                leaders.add(7, part * 10 + n);
                leaders.add(1_000 + part * 10 + n, n);
            }
            joined.join(&leaders);
        }
        assert!((80..=120).contains(&joined.most()), "{}", joined.most());
    }

    #[test]
    fn the_key_with_the_most_values_stays() {
        let mut leaders: Leaders<u32> = Leaders::default();
        for n in 0..100 {
            leaders.add(7, n);
            leaders.add(1_000 + n, n);
        }
        assert!((80..=120).contains(&leaders.most()), "{}", leaders.most());
    }

    #[test]
    fn estimates_keep_two_digits() {
        let rounded = [99.4, 104.0, 1_251.0, 98_765.0].map(two_digits);
        assert_eq!(rounded, [99, 100, 1_300, 99_000]);
    }
}
