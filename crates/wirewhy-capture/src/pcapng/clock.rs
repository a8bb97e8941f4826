//! Interface time stamps to nanoseconds (draft-ietf-opsawg-pcapng section 4.2, `if_tsresol` and `if_tsoffset`).

use wirewhy_packet::Timestamp;

/// How an interface counts time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Clock {
    resolution: Resolution,
    /// Added to every time stamp.
    offset_nanos: i128,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Resolution {
    /// A tick is this many nanoseconds.
    Nanos(u64),
    /// This many ticks are a nanosecond.
    PerNano(u64),
    /// A second is two to this power ticks.
    Binary(u8),
}

impl Clock {
    /// Microseconds since the epoch: what holds where an interface says nothing.
    pub(super) const MICROSECONDS: Clock = Clock {
        resolution: Resolution::Nanos(1000),
        offset_nanos: 0,
    };

    /// From the values of the options `if_tsresol` and `if_tsoffset` (seconds).
    pub(super) fn new(tsresol: Option<u8>, tsoffset: i64) -> Clock {
        let resolution = match tsresol {
            None => Resolution::Nanos(1000),
            Some(binary @ 0x80..) => Resolution::Binary(binary & 0x7f),
            Some(exponent @ 0..=9) => Resolution::Nanos(10_u64.pow(u32::from(9 - exponent))),
            // From 10^-28 s on, no 64-bit count reaches a nanosecond.
            Some(exponent) => {
                let divisor = 10_u64.checked_pow(u32::from(exponent) - 9);
                Resolution::PerNano(divisor.unwrap_or(u64::MAX))
            }
        };
        Clock {
            resolution,
            offset_nanos: i128::from(tsoffset) * 1_000_000_000,
        }
    }

    /// The time that a count of ticks stands for, saturating.
    #[inline]
    pub(super) fn time(&self, ticks: u64) -> Timestamp {
        let nanos = match self.resolution {
            Resolution::Nanos(nanos) => u128::from(ticks) * u128::from(nanos),
            Resolution::PerNano(ticks_per_nano) => u128::from(ticks / ticks_per_nano.max(1)),
            Resolution::Binary(exponent) => (u128::from(ticks) * 1_000_000_000) >> exponent,
        };
        // Below 2^64 * 10^9 < 2^94, so the sum with the offset (below 2^93) cannot overflow either.
        let nanos = i128::try_from(nanos).unwrap_or(i128::MAX);
        let nanos = nanos.saturating_add(self.offset_nanos);
        let (low, high) = (i128::from(i64::MIN), i128::from(i64::MAX));
        Timestamp(i64::try_from(nanos.clamp(low, high)).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(tsresol: u8, ticks: u64) -> i64 {
        Clock::new(Some(tsresol), 0).time(ticks).0
    }

    #[test]
    fn every_power_of_ten() {
        assert_eq!(nanos(0, 7), 7_000_000_000);
        assert_eq!(nanos(3, 7), 7_000_000);
        assert_eq!(nanos(6, 7), 7_000);
        assert_eq!(nanos(9, 7), 7);
        assert_eq!(nanos(12, 7_999), 7);
        assert_eq!(nanos(28, u64::MAX), 1);
        assert_eq!(nanos(29, u64::MAX), 1);
        assert_eq!(nanos(127, 5), 0);
        assert_eq!(Clock::new(None, 0), Clock::MICROSECONDS);
    }

    #[test]
    fn every_power_of_two() {
        assert_eq!(nanos(0x80, 7), 7_000_000_000);
        assert_eq!(nanos(0x8a, 1536), 1_500_000_000);
        assert_eq!(nanos(0xa0, 3 << 31), 1_500_000_000);
        assert_eq!(nanos(0xff, u64::MAX), 0);
        for exponent in 0..=0x7f_u8 {
            let whole = Clock::new(Some(0x80 | exponent), 0).time(1_u64 << exponent.min(63));
            if exponent < 64 {
                assert_eq!(whole.0, 1_000_000_000, "2^-{exponent}");
            }
        }
    }

    #[test]
    fn offsets_shift_and_everything_saturates() {
        assert_eq!(Clock::new(Some(6), -3).time(5_000_000).0, 2_000_000_000);
        assert_eq!(Clock::new(Some(9), 3).time(5).0, 3_000_000_005);
        assert_eq!(nanos(0, u64::MAX), i64::MAX);
        assert_eq!(Clock::new(Some(9), i64::MIN).time(0).0, i64::MIN);
        assert_eq!(Clock::new(Some(9), i64::MAX).time(u64::MAX).0, i64::MAX);
    }
}
