//! What the readers of the two formats hand to the [`Reader`](crate::Reader).

use std::ops::Range;

use wirewhy_packet::{LinkType, Timestamp};

use crate::{CaptureInfo, Oddities, Problem, ProblemKind};

/// What is learned beside the frames.
pub(crate) struct ReadStats {
    pub(crate) info: CaptureInfo,
    pub(crate) oddities: Oddities,
}

/// What the next piece of a capture turned out to be.
pub(crate) enum Step {
    /// A frame.
    Frame(WindowFrame),
    /// A record that Wireshark counts as a frame, and that has no packet for us.
    Uncounted,
    /// Nothing more.
    End,
    /// Nothing more that could be read.
    Fail(Failure),
}

/// Why reading ends early.
pub(crate) struct Failure {
    pub(crate) kind: ProblemKind,
    pub(crate) offset: u64,
}

/// A frame whose bytes lie in the window.
pub(crate) struct WindowFrame {
    /// Where in the window, until it is next filled.
    pub(crate) place: Range<usize>,
    /// `None` where the record has no time.
    pub(crate) time: Option<Timestamp>,
    pub(crate) link_type: LinkType,
    pub(crate) interface: u32,
    pub(crate) original_len: u32,
}

impl ReadStats {
    pub(crate) fn note(&mut self, kind: ProblemKind, offset: u64, frames_before: u64) {
        self.oddities.add(Problem {
            kind,
            offset,
            frames_before,
        });
    }

    /// Notes a link type that no decoder here reads.
    pub(crate) fn check_link_type(&mut self, link_type: LinkType, interface: u32, offset: u64) {
        if link_type.name().is_none() {
            let kind = ProblemKind::UnknownLinkType {
                link_type,
                interface,
            };
            self.note(kind, offset, self.info.packets);
        }
    }

    /// Counts a frame, and gives its time back.
    #[inline]
    pub(crate) fn count(&mut self, record: &WindowFrame) -> Option<Timestamp> {
        let info = &mut self.info;
        // No file is long enough to overflow 64 bits.
        info.packets += 1;
        info.bytes += record.place.len() as u64;
        info.wire_bytes += u64::from(record.original_len);
        if let Some(time) = record.time {
            if info.first_time.is_none_or(|first| time < first) {
                info.first_time = Some(time);
            }
            if info.last_time.is_none_or(|last| time > last) {
                info.last_time = Some(time);
            }
        }
        record.time
    }
}
