//! How many different things there were, by estimate, in fixed memory.

use std::hash::{DefaultHasher, Hash, Hasher};

/// 2^12 registers: a standard error of 1.04 / 64, which is 1.6 %.
const INDEX_BITS: u32 = 12;
const REGISTERS: usize = 1 << INDEX_BITS;

/// Flajolet's HyperLogLog (2007) over a 64-bit hash, where no correction for large counts is needed.
///
/// The hash has a fixed key, so that the same input gives the same estimate.
#[derive(Debug)]
pub(super) struct Distinct {
    registers: Vec<u8>,
}

impl Default for Distinct {
    fn default() -> Distinct {
        Distinct {
            registers: vec![0; REGISTERS],
        }
    }
}

impl Distinct {
    pub(super) fn add(&mut self, thing: &impl Hash) {
        let mut hasher = DefaultHasher::new();
        thing.hash(&mut hasher);
        let hash = hasher.finish();
        let index = usize::try_from(hash >> (64 - INDEX_BITS)).unwrap_or(0);
        // At most 52 zeros follow the index; the bit set below them ends the count.
        let zeros = ((hash << INDEX_BITS) | (1 << (INDEX_BITS - 1))).leading_zeros();
        let rank = u8::try_from(zeros + 1).unwrap_or(u8::MAX);
        if let Some(register) = self.registers.get_mut(index) {
            *register = (*register).max(rank);
        }
    }

    /// The estimate, with two digits.
    pub(super) fn estimate(&self) -> u64 {
        let size = REGISTERS as f64;
        let sum: f64 = self
            .registers
            .iter()
            .map(|rank| (-f64::from(*rank)).exp2())
            .sum();
        let raw = 0.7213 / (1.0 + 1.079 / size) * size * size / sum;
        let empty = self.registers.iter().filter(|rank| **rank == 0).count();
        let estimate = if raw <= 2.5 * size && empty > 0 {
            size * (size / empty as f64).ln()
        } else {
            raw
        };
        two_digits(estimate)
    }
}

fn two_digits(number: f64) -> u64 {
    let scale = 10_f64.powf((number.max(1.0).log10().floor() - 1.0).max(0.0));
    let rounded = (number / scale).round() * scale;
    // The one way from a float to an integer that needs no cast: through its decimal digits.
    format!("{rounded:.0}").parse().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_close_and_repetition_does_not_count() {
        for number in [10_u64, 5_000, 60_000, 2_000_000] {
            let mut distinct = Distinct::default();
            for thing in (0..number).chain(0..1_000.min(number)) {
                distinct.add(&thing);
            }
            let error = distinct.estimate() as f64 / number as f64 - 1.0;
            assert!(error.abs() < 0.07, "{number}: {error}");
        }
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(Distinct::default().estimate(), 0);
    }
}
