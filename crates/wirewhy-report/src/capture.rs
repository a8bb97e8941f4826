//! The capture as a report describes it.

use wirewhy_packet::{Interval, Timestamp};

/// What a report says about the capture itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CaptureSummary {
    /// The name it was opened by; `-` for standard input.
    pub source: String,
    /// `pcap`, `pcapng` or `live`.
    pub format: String,
    /// How the file is compressed.
    pub compression: Option<String>,
    /// Link types by libpcap's names, in order of first use.
    pub link_types: Vec<String>,
    /// Frames read.
    pub packets: u64,
    /// Captured bytes in them.
    pub bytes: u64,
    /// The earliest time on a frame.
    pub first_time: Option<Timestamp>,
    /// The latest time on a frame.
    pub last_time: Option<Timestamp>,
    /// Packets the file or the kernel says were lost while capturing.
    pub dropped_packets: Option<u64>,
    /// Connections that were no longer followed because there were too many; their findings may lack what came later.
    pub given_up: u64,
    /// Why reading ended early, in one line.
    pub problem: Option<String>,
}

impl CaptureSummary {
    /// The time the capture spans; zero where no frame has a time.
    #[must_use]
    pub fn duration(&self) -> Interval {
        match (self.first_time, self.last_time) {
            (Some(first), Some(last)) => last.since(first),
            _ => Interval::ZERO,
        }
    }
}
