//! Where a session's frames come from: interfaces, or a recording that still grows.

use std::time::Duration;

use wirewhy::engine::{self, Fed};
use wirewhy_capture::live::{Change, MOST_DELAY, Pulled, Source};
use wirewhy_capture::{Filters, Followed, Interface, InterfaceStatistics, Next, now};
use wirewhy_packet::{Decoder, Frame, Interval, Timestamp};
use wirewhy_report::CaptureSummary;

/// Interfaces, or a recording that still grows.
pub(super) enum Feeder {
    /// Interfaces. The kernel filters.
    Interfaces { names: Vec<String>, source: Source },
    /// A file, a folder or a pipe.
    Recording(Growth),
}

/// A recording that still grows.
pub(super) struct Growth {
    name: String,
    followed: Followed,
    filters: Option<Filters>,
    packets: u64,
    /// The latest time of a frame, and when it was read.
    latest: Option<(Timestamp, Timestamp)>,
}

impl Growth {
    pub(super) fn new(name: String, followed: Followed, filters: Option<Filters>) -> Growth {
        Growth {
            name,
            followed,
            filters,
            packets: 0,
            latest: None,
        }
    }
}

/// What waiting brought.
pub(super) enum Came<R> {
    /// A frame, and what was made of it.
    Frame(R),
    Change(Change),
    Nothing,
    /// Nothing more will come.
    End,
}

impl Feeder {
    /// Waits for a frame and calls `take` with it.
    pub(super) fn next<R>(
        &mut self,
        wait: Duration,
        decoder: &mut Decoder,
        take: impl FnOnce(&Frame<'_>, &Fed<'_, '_>) -> R,
    ) -> Came<R> {
        match self {
            Feeder::Interfaces { source, .. } => match source.next(wait) {
                Pulled::Frame(frame) => Came::Frame(decoder.decode_with(&frame, |packet| {
                    let fed = Fed {
                        frame: &frame,
                        packet,
                        passes: true,
                        secrets: &[],
                        gap: None,
                    };
                    take(&frame, &fed)
                })),
                Pulled::Idle => Came::Nothing,
                Pulled::Change(change) => Came::Change(change),
            },
            Feeder::Recording(growth) => {
                let item = match growth.followed.next(wait) {
                    Next::Item(item) => item,
                    Next::Idle => return Came::Nothing,
                    Next::End => return Came::End,
                };
                growth.packets += 1;
                let latest = growth.latest.map_or(item.frame.time, |(latest, _)| latest);
                growth.latest = Some((latest.max(item.frame.time), now()));
                let filters = growth.filters.as_mut();
                let passes = filters.is_none_or(|filters| filters.matches(&item.frame));
                Came::Frame(decoder.decode_with(&item.frame, |packet| {
                    let fed = Fed {
                        frame: &item.frame,
                        packet,
                        passes,
                        secrets: item.secrets,
                        gap: item.gap,
                    };
                    take(&item.frame, &fed)
                }))
            }
        }
    }

    /// The time of the traffic at `time` when no frame waits: that of this clock, but for what frames may take to come. A
    /// recording may be of another clock, or of another day: its time goes on from its latest frame.
    pub(super) fn passed(&self, time: Timestamp) -> Timestamp {
        let delay = i64::try_from(MOST_DELAY.as_nanos()).unwrap_or(i64::MAX);
        let behind = time.after(Interval(-delay));
        match self {
            Feeder::Interfaces { .. } => behind,
            Feeder::Recording(growth) => match growth.latest {
                Some((latest, read)) => latest.after(behind.since(read).max(Interval::ZERO)),
                None => Timestamp(i64::MIN),
            },
        }
    }

    pub(super) fn packets(&self) -> u64 {
        match self {
            Feeder::Interfaces { source, .. } => source.traffic().packets,
            Feeder::Recording(growth) => growth.packets,
        }
    }

    pub(super) fn interfaces(&self) -> &[Interface] {
        match self {
            Feeder::Interfaces { source, .. } => source.interfaces(),
            Feeder::Recording(growth) => growth.followed.interfaces(),
        }
    }

    pub(super) fn statistics(&mut self) -> InterfaceStatistics {
        match self {
            Feeder::Interfaces { source, .. } => source.statistics(),
            Feeder::Recording(_) => InterfaceStatistics::default(),
        }
    }

    /// Whether frames that passed before now are still on their way.
    pub(super) fn is_delayed(&self) -> bool {
        matches!(self, Feeder::Interfaces { .. })
    }

    /// What is known of the capture at the end.
    pub(super) fn into_summary(self, statistics: &InterfaceStatistics) -> CaptureSummary {
        match self {
            Feeder::Interfaces { names, source } => summary(&names, &source, statistics),
            Feeder::Recording(growth) => match growth.followed.finish() {
                Ok(recording) => engine::summarize(&recording),
                Err(error) => CaptureSummary {
                    source: growth.name,
                    problem: Some(error.kind.to_string()),
                    ..CaptureSummary::default()
                },
            },
        }
    }
}

/// What was captured so far on the interfaces with these names.
fn summary(names: &[String], source: &Source, statistics: &InterfaceStatistics) -> CaptureSummary {
    let traffic = source.traffic();
    let mut link_types = Vec::new();
    for interface in source.interfaces() {
        let link = interface.link_type;
        let name = link
            .name()
            .map_or_else(|| format!("LINKTYPE_{}", link.0), str::to_owned);
        if !link_types.contains(&name) {
            link_types.push(name);
        }
    }
    CaptureSummary {
        source: names.join(", "),
        format: "live".to_owned(),
        compression: None,
        link_types,
        packets: traffic.packets,
        bytes: traffic.bytes,
        first_time: traffic.first_time,
        last_time: traffic.last_time,
        dropped_packets: statistics.dropped(),
        ..CaptureSummary::default()
    }
}
