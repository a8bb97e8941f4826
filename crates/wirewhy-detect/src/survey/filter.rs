//! Of which keys something was left out.

use std::hash::{BuildHasher, Hash};

use foldhash::quality::FixedState;
use indexmap::IndexSet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::letters;

/// A set of keys in bounded memory (Bloom 1970): it may name a key that was never added, and never misses one that was.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Filter {
    /// A power of two of them, or none.
    words: Vec<u64>,
}

impl Filter {
    /// Words of the largest: 32,768 bits.
    const MOST: usize = 512;
    /// Bits spent on a key; with four looks at a key one in a hundred is named wrongly.
    const BITS: usize = 10;
    const LOOKS: [u32; 4] = [0, 1, 2, 3];

    /// One with room for so many keys; more make it name more keys wrongly.
    pub(super) fn for_keys(number: usize) -> Filter {
        let words = number.saturating_mul(Self::BITS).div_ceil(64);
        let words = words.clamp(1, Self::MOST).next_power_of_two();
        Filter {
            words: vec![0; words],
        }
    }

    /// One as large as they get.
    pub(super) fn large() -> Filter {
        Filter::for_keys(usize::MAX)
    }

    pub(super) fn add(&mut self, key: impl Hash) {
        for place in self.places(key) {
            let (word, bit) = (place / 64, place % 64);
            if let Some(word) = self.words.get_mut(word) {
                *word |= 1 << bit;
            }
        }
    }

    /// Whether a key may have been added.
    pub(crate) fn has(&self, key: impl Hash) -> bool {
        !self.is_empty()
            && self.places(key).into_iter().all(|place| {
                let word = self.words.get(place / 64);
                word.is_some_and(|word| word >> (place % 64) & 1 == 1)
            })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Adds the keys of another one.
    pub(super) fn merge(&mut self, other: &Filter) {
        if other.words.len() > self.words.len() {
            // A key's places in a smaller one are those in a larger one without their highest bits.
            let old = std::mem::take(&mut self.words);
            let repeated = old.iter().copied().cycle();
            self.words = if old.is_empty() {
                vec![0; other.words.len()]
            } else {
                repeated.take(other.words.len()).collect()
            };
        }
        let repeated = other.words.iter().cycle();
        for (word, more) in self.words.iter_mut().zip(repeated) {
            *word |= more;
        }
    }

    fn places(&self, key: impl Hash) -> [usize; 4] {
        let hash = FixedState::with_seed(1).hash_one(key);
        let bits = self.words.len().saturating_mul(64).max(1);
        Self::LOOKS.map(|look| {
            let part = usize::try_from(hash >> (16 * look) & 0xffff).unwrap_or(0);
            part % bits
        })
    }
}

/// A set of keys, by name while they are few.
#[derive(Clone, Debug)]
pub(super) struct Keys<K> {
    few: IndexSet<K>,
    more: Filter,
}

impl<K> Default for Keys<K> {
    fn default() -> Self {
        Keys {
            few: IndexSet::new(),
            more: Filter::default(),
        }
    }
}

impl<K: Hash + Eq> Keys<K> {
    const FEW: usize = 1_024;

    pub(super) fn add(&mut self, key: K) {
        if self.few.len() < Self::FEW || self.few.contains(&key) {
            self.few.insert(key);
            return;
        }
        if self.more.is_empty() {
            self.more = Filter::large();
        }
        self.more.add(key);
    }

    pub(super) fn as_filter(&self) -> Filter {
        let mut filter = self.more.clone();
        if !self.few.is_empty() {
            let mut few = Filter::for_keys(self.few.len());
            for key in &self.few {
                few.add(key);
            }
            filter.merge(&few);
        }
        filter
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let words = self.words.iter().map(|word| word.to_be_bytes());
        serializer.serialize_str(&letters::write(words))
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Filter, D::Error> {
        let text = String::deserialize(deserializer)?;
        letters::read(&text)
            .filter(|words| {
                words.is_empty() || words.len().is_power_of_two() && words.len() <= Self::MOST
            })
            .map(|words| Filter {
                words: words.into_iter().map(u64::from_be_bytes).collect(),
            })
            .ok_or_else(|| de::Error::custom("no filter"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_missed_and_few_are_named_wrongly() {
        let mut small = Filter::for_keys(5);
        let mut large = Filter::for_keys(1_000);
        for key in 0..5_u32 {
            small.add(key);
        }
        for key in 1_000..2_000_u32 {
            large.add(key);
        }
        let mut one = small.clone();
        one.merge(&large);
        let mut other = large.clone();
        other.merge(&small);
        assert_eq!(one, other);
        assert!((0..5).chain(1_000..2_000).all(|key: u32| one.has(key)));
        let wrong = (10_000..20_000_u32).filter(|key| large.has(*key)).count();
        assert!(wrong < 300, "{wrong}");
        assert!(!Filter::default().has(7_u32));
    }

    #[test]
    fn far_too_many_keys_are_still_none_missed() {
        let mut filter = Filter::large();
        for key in 0..100_000_u32 {
            filter.add(key);
        }
        assert!((0..100_000_u32).all(|key| filter.has(key)));
    }
}
