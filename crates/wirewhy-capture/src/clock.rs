//! The only clock.

use std::time::{Instant, SystemTime};

use wirewhy_packet::Timestamp;

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
}
