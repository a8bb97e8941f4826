//! Packet time: nanoseconds, taken from the capture and never from a clock.

/// A point in time, as nanoseconds since the Unix epoch.
///
/// Covers the years 1678 to 2262; readers saturate what lies outside.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(pub i64);

/// A span between two [`Timestamp`]s in nanoseconds; negative when time ran backwards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Interval(pub i64);

const NANOS_PER_SEC: i64 = 1_000_000_000;

impl Timestamp {
    /// From whole seconds and nanoseconds since the epoch, saturating.
    #[must_use]
    #[inline]
    pub fn from_secs_nanos(secs: i64, nanos: u32) -> Timestamp {
        Timestamp(
            secs.saturating_mul(NANOS_PER_SEC)
                .saturating_add(i64::from(nanos)),
        )
    }

    /// The span from `earlier` to `self`, saturating.
    #[must_use]
    #[inline]
    pub fn since(self, earlier: Timestamp) -> Interval {
        Interval(self.0.saturating_sub(earlier.0))
    }

    /// The point `span` later, saturating.
    #[must_use]
    #[inline]
    pub fn after(self, span: Interval) -> Timestamp {
        Timestamp(self.0.saturating_add(span.0))
    }

    /// Seconds since the epoch, rounded down, and the nanoseconds beyond them.
    #[must_use]
    #[inline]
    pub fn secs_nanos(self) -> (i64, u32) {
        let nanos = u32::try_from(self.0.rem_euclid(NANOS_PER_SEC)).unwrap_or(0);
        (self.0.div_euclid(NANOS_PER_SEC), nanos)
    }
}

impl Interval {
    /// The empty span.
    pub const ZERO: Interval = Interval(0);

    /// A span of whole seconds, saturating.
    #[must_use]
    #[inline]
    pub const fn from_secs(secs: i64) -> Interval {
        Interval(secs.saturating_mul(NANOS_PER_SEC))
    }

    /// A span of whole milliseconds, saturating.
    #[must_use]
    #[inline]
    pub const fn from_millis(millis: i64) -> Interval {
        Interval(millis.saturating_mul(1_000_000))
    }

    /// The span without its sign, saturating.
    #[must_use]
    #[inline]
    pub const fn abs(self) -> Interval {
        Interval(self.0.saturating_abs())
    }

    /// The span in seconds.
    #[must_use]
    #[inline]
    pub fn as_secs_f64(self) -> f64 {
        // Exact below 2^53 ns (104 days); beyond that the rounding is far below a microsecond per day.
        self.0 as f64 / NANOS_PER_SEC as f64
    }
}

impl std::ops::Add for Interval {
    type Output = Interval;

    /// Saturates: times come from captures that lie.
    fn add(self, other: Interval) -> Interval {
        Interval(self.0.saturating_add(other.0))
    }
}

impl std::ops::Sub for Interval {
    type Output = Interval;

    /// Saturates: times come from captures that lie.
    fn sub(self, other: Interval) -> Interval {
        Interval(self.0.saturating_sub(other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_before_the_epoch_splits_downwards() {
        assert_eq!(Timestamp(-1).secs_nanos(), (-1, 999_999_999));
        assert_eq!(Timestamp::from_secs_nanos(-1, 999_999_999), Timestamp(-1));
    }

    #[test]
    fn spans_are_signed_and_saturate() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), Interval(-4));
        assert_eq!(Timestamp(i64::MAX).after(Interval(1)), Timestamp(i64::MAX));
        assert_eq!(Interval(i64::MAX) + Interval(1), Interval(i64::MAX));
        assert_eq!(Interval(i64::MIN) - Interval(1), Interval(i64::MIN));
        assert_eq!(Interval(i64::MIN).abs(), Interval(i64::MAX));
        assert_eq!(Timestamp::from_secs_nanos(i64::MAX, 0), Timestamp(i64::MAX));
    }
}
