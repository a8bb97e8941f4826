//! When connections began and how they went, by cause, service and client, in bounded memory.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use wirewhy_detect::{Diagnosis, Outcome};
use wirewhy_packet::{Interval, Timestamp};

/// The most buckets that one scale has. When more are needed, a wider scale is taken.
pub(super) const MAX_BUCKETS: i64 = 240;

/// How many services, and how many clients, are counted apart.
const MAX_PLACES: usize = 256;

const MS: i64 = 1_000_000;
const SECOND: i64 = 1_000 * MS;

/// Widths of buckets in nanoseconds. Each is a multiple of the one before it, so that buckets are added up and never divided.
const WIDTHS: [i64; 20] = [
    MS,
    2 * MS,
    10 * MS,
    20 * MS,
    100 * MS,
    200 * MS,
    SECOND,
    2 * SECOND,
    10 * SECOND,
    20 * SECOND,
    60 * SECOND,
    120 * SECOND,
    600 * SECOND,
    1_200 * SECOND,
    3_600 * SECOND,
    7_200 * SECOND,
    21_600 * SECOND,
    43_200 * SECOND,
    86_400 * SECOND,
    // Beyond it they are doubled.
    172_800 * SECOND,
];

/// Numbers by bucket.
pub(super) type Series<T> = BTreeMap<i64, T>;

/// How connections went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct OutcomeCounts {
    pub(super) failed: u64,
    pub(super) degraded: u64,
    /// Without a problem, or undecided.
    pub(super) other: u64,
}

impl OutcomeCounts {
    fn of(outcome: Outcome) -> OutcomeCounts {
        let mut counts = OutcomeCounts::default();
        match outcome {
            Outcome::Failed => counts.failed = 1,
            Outcome::Degraded => counts.degraded = 1,
            Outcome::Undecided | Outcome::Ok => counts.other = 1,
        }
        counts
    }

    pub(super) fn add(&mut self, other: OutcomeCounts) {
        self.failed += other.failed;
        self.degraded += other.degraded;
        self.other += other.other;
    }

    pub(super) fn in_trouble(self) -> u64 {
        self.failed + self.degraded
    }

    pub(super) fn all(self) -> u64 {
        self.in_trouble() + self.other
    }
}

/// The connections of one service or one client.
#[derive(Clone, Debug, Default)]
pub(super) struct Strip {
    pub(super) sum: OutcomeCounts,
    pub(super) series: Series<OutcomeCounts>,
}

/// Services or clients, as far as there is room.
#[derive(Debug)]
pub(super) struct Places<K> {
    pub(super) known: BTreeMap<K, Strip>,
    /// Connections of those for which there was no room.
    pub(super) elsewhere: u64,
}

impl<K> Default for Places<K> {
    fn default() -> Self {
        Places {
            known: BTreeMap::new(),
            elsewhere: 0,
        }
    }
}

impl<K: Ord + Copy> Places<K> {
    fn add(&mut self, key: K, bucket: i64, counts: OutcomeCounts) {
        if !self.known.contains_key(&key) && self.known.len() >= MAX_PLACES {
            // One that is well makes room for one in trouble.
            let well = self
                .known
                .iter()
                .filter(|(_, strip)| strip.sum.in_trouble() == 0);
            let least = well.min_by_key(|(_, strip)| strip.sum.all());
            let Some(least) = least
                .map(|(key, _)| *key)
                .filter(|_| counts.in_trouble() > 0)
            else {
                self.elsewhere += counts.all();
                return;
            };
            let gone = self.known.remove(&least);
            self.elsewhere += gone.map_or(0, |strip| strip.sum.all());
        }
        let strip = self.known.entry(key).or_default();
        strip.sum.add(counts);
        strip.series.entry(bucket).or_default().add(counts);
    }

    fn widen(&mut self, factor: i64) {
        for strip in self.known.values_mut() {
            strip.series = widened(&strip.series, factor, OutcomeCounts::add);
        }
    }

    /// Those with most connections in trouble first, then those with most.
    pub(super) fn ranked(&self) -> Vec<(&K, &Strip)> {
        let mut ranked: Vec<(&K, &Strip)> = self.known.iter().collect();
        let key = |strip: &Strip| (strip.sum.failed, strip.sum.in_trouble(), strip.sum.all());
        ranked.sort_by(|(a_key, a), (b_key, b)| key(b).cmp(&key(a)).then_with(|| a_key.cmp(b_key)));
        ranked
    }
}

/// Connections over the time at which they began.
#[derive(Debug, Default)]
pub(super) struct Times {
    width: usize,
    doublings: u32,
    /// The first and the last bucket.
    span: Option<(i64, i64)>,
    /// Connections in trouble, by root cause.
    pub(super) causes: BTreeMap<&'static str, Series<u64>>,
    pub(super) services: Places<SocketAddr>,
    pub(super) clients: Places<IpAddr>,
}

impl Times {
    /// Counts a connection. Where it has a cause that is shown, it counts under it.
    pub(super) fn add(&mut self, diagnosis: &Diagnosis, cause: Option<&'static str>) {
        let connection = &diagnosis.connection;
        let bucket = self.bucket(connection.first.time);
        // What the reader left out is not in trouble here.
        let counts = OutcomeCounts::of(cause.map_or(Outcome::Ok, |_| diagnosis.outcome()));
        if let Some(code) = cause {
            *self
                .causes
                .entry(code)
                .or_default()
                .entry(bucket)
                .or_default() += 1;
        }
        let server = &connection.server;
        let service = SocketAddr::new(server.address, server.port);
        self.services.add(service, bucket, counts);
        self.clients.add(connection.client.address, bucket, counts);
    }

    /// The bucket of a time, once the scale is wide enough for it.
    fn bucket(&mut self, time: Timestamp) -> i64 {
        loop {
            let bucket = time.0.div_euclid(self.nanos());
            let (low, high) = self.span.unwrap_or((bucket, bucket));
            let (low, high) = (low.min(bucket), high.max(bucket));
            if high - low < MAX_BUCKETS {
                self.span = Some((low, high));
                return bucket;
            }
            self.widen();
        }
    }

    fn widen(&mut self) {
        let before = self.nanos();
        if self.width + 1 < WIDTHS.len() {
            self.width += 1;
        } else {
            self.doublings += 1;
        }
        let factor = self.nanos() / before;
        self.span = self
            .span
            .map(|(low, high)| (low.div_euclid(factor), high.div_euclid(factor)));
        for series in self.causes.values_mut() {
            *series = widened(series, factor, |sum, more| *sum += more);
        }
        self.services.widen(factor);
        self.clients.widen(factor);
    }

    fn nanos(&self) -> i64 {
        let width = WIDTHS.get(self.width).copied().unwrap_or(SECOND);
        width.saturating_mul(1_i64.checked_shl(self.doublings).unwrap_or(i64::MAX))
    }

    /// How long a bucket is.
    pub(super) fn width(&self) -> Interval {
        Interval(self.nanos())
    }

    /// The first bucket, and how many there are.
    pub(super) fn buckets(&self) -> Option<(i64, i64)> {
        self.span.map(|(low, high)| (low, high - low + 1))
    }

    /// When a bucket begins.
    pub(super) fn begin(&self, bucket: i64) -> Timestamp {
        Timestamp(bucket.saturating_mul(self.nanos()))
    }

    /// Where a time is, in buckets from the first on.
    pub(super) fn at(&self, time: Timestamp) -> Option<f64> {
        let (low, count) = self.buckets()?;
        let from = time.since(self.begin(low)).as_secs_f64();
        let at = from / self.width().as_secs_f64();
        let most = count as f64;
        (-1.0..=most + 1.0)
            .contains(&at)
            .then(|| at.clamp(0.0, most))
    }
}

/// The same numbers in buckets that are wider by a factor.
pub(super) fn widened<T: Copy + Default>(
    series: &Series<T>,
    factor: i64,
    add: impl Fn(&mut T, T),
) -> Series<T> {
    let mut wide = Series::new();
    for (bucket, number) in series {
        let sum = wide
            .entry(bucket.div_euclid(factor))
            .or_insert_with(T::default);
        add(sum, *number);
    }
    wide
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_width_is_a_multiple_of_the_one_before() {
        for pair in WIDTHS.windows(2) {
            assert_eq!(pair[1] % pair[0], 0, "{pair:?}");
        }
    }

    #[test]
    fn a_scale_is_as_wide_as_it_must_be() {
        let mut times = Times::default();
        let at = |seconds: i64| Timestamp::from_secs_nanos(1_767_323_045 + seconds, 0);
        times.bucket(at(0));
        assert_eq!(times.width(), Interval(MS));
        times.bucket(at(1));
        assert_eq!(times.width(), Interval(10 * MS));
        times.bucket(at(-3_600));
        assert_eq!(times.width(), Interval::from_secs(20));
        let (low, count) = times.buckets().unwrap();
        assert_eq!(count, 181);
        assert!(times.begin(low) <= at(-3_600));
        // The whole range of times fits.
        times.bucket(Timestamp(i64::MIN));
        times.bucket(Timestamp(i64::MAX));
        let (_, count) = times.buckets().unwrap();
        assert!(count <= MAX_BUCKETS, "{count}");
    }

    #[test]
    fn one_in_trouble_takes_the_room_of_one_that_is_well() {
        let (well, failed) = (
            OutcomeCounts::of(Outcome::Ok),
            OutcomeCounts::of(Outcome::Failed),
        );
        let mut places: Places<u32> = Places::default();
        for key in 0..1_000 {
            places.add(key, 0, well);
        }
        assert_eq!((places.known.len(), places.elsewhere), (MAX_PLACES, 744));
        places.add(5_000, 0, failed);
        assert_eq!(places.known.len(), MAX_PLACES);
        assert_eq!(*places.ranked()[0].0, 5_000);
        assert_eq!(places.elsewhere, 745);
    }
}
