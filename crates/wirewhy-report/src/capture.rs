//! The capture as a report describes it.

use wirewhy_packet::{Interval, RecordingGap, Timestamp};

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
    /// Connections whose payload was not read to its end because all together kept too much that waited to be read.
    pub unread: u64,
    /// Chains of certificates that were not verified because there were too many for a recording of its size.
    pub not_followed: u64,
    /// Why reading ended early, in one line.
    pub problem: Option<String>,
    /// The filter, where only some of the frames were looked at.
    pub filter: Option<FilterSummary>,
    /// The files of a recording that has several, in order; empty where it is one file.
    pub files: Vec<FileSummary>,
    /// The parts of its time in which packets are missing, because a file is missing or damaged.
    pub gaps: Vec<RecordingGap>,
}

/// Which frames were looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FilterSummary {
    /// As it was given.
    pub expression: String,
    /// How many frames it let through.
    pub matched: u64,
}

/// What a report says about one of the files of a recording.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileSummary {
    /// Its name.
    pub source: String,
    /// The number of its first frame in the recording.
    pub first_frame: u64,
    /// Frames read from it.
    pub packets: u64,
    /// Why it could not be read, or not to its end.
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
