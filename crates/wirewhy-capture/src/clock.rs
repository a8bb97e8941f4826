//! The only clock.

use std::time::{Instant, SystemTime};

use wirewhy_packet::{Interval, Timestamp};

/// The time of day, comparable with the times of frames from an interface of this host.
#[must_use]
pub fn now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that the lint sends everybody to"
    )]
    let now = SystemTime::now();
    match now.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => nanoseconds(since.as_nanos()),
        Err(before) => Timestamp(nanoseconds(before.duration().as_nanos()).0.saturating_neg()),
    }
}

/// A time that never steps back, to measure waiting with.
#[must_use]
pub(crate) fn monotonic() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that the lint sends everybody to"
    )]
    Instant::now()
}

/// The time of `CLOCK_MONOTONIC` (clock_gettime(2)): it counts from an unspecified start, and setting the time of day does not
/// change it. Zero where the system has no such clock.
#[must_use]
pub fn monotonic_time() -> Interval {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    time.map_or(Interval::ZERO, |time| {
        Interval::from_secs(time.tv_sec()) + Interval(time.tv_nsec())
    })
}

fn nanoseconds(count: u128) -> Timestamp {
    Timestamp(i64::try_from(count).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_past_the_day_this_was_written() {
        assert!(now() > Timestamp::from_secs_nanos(1_795_000_000, 0));
    }

    #[test]
    fn the_monotonic_clock_does_not_step_back() {
        let first = monotonic_time();
        assert!(first > Interval::ZERO);
        assert!(monotonic_time() >= first);
    }
}
