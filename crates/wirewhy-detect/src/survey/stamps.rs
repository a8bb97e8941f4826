//! Times as numbers of nanoseconds, for what is written down.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wirewhy_packet::Timestamp;

/// What holds times and nothing else.
pub(super) trait Stamped {
    type Nanos: Serialize + for<'de> Deserialize<'de>;

    fn nanos(&self) -> Self::Nanos;

    fn of(nanos: Self::Nanos) -> Self;
}

impl Stamped for Timestamp {
    type Nanos = i64;

    fn nanos(&self) -> i64 {
        self.0
    }

    fn of(nanos: i64) -> Timestamp {
        Timestamp(nanos)
    }
}

impl<T: Stamped> Stamped for Option<T> {
    type Nanos = Option<T::Nanos>;

    fn nanos(&self) -> Self::Nanos {
        self.as_ref().map(T::nanos)
    }

    fn of(nanos: Self::Nanos) -> Option<T> {
        nanos.map(T::of)
    }
}

impl<T: Stamped> Stamped for (T, T) {
    type Nanos = (T::Nanos, T::Nanos);

    fn nanos(&self) -> Self::Nanos {
        (self.0.nanos(), self.1.nanos())
    }

    fn of((from, until): Self::Nanos) -> (T, T) {
        (T::of(from), T::of(until))
    }
}

pub(super) fn serialize<T: Stamped, S: Serializer>(
    times: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    times.nanos().serialize(serializer)
}

pub(super) fn deserialize<'de, T: Stamped, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    T::Nanos::deserialize(deserializer).map(T::of)
}
