//! What is known of the recording, and what it could not carry.

use wirewhy_flow::{Connection, EventKind, Sample};
use wirewhy_packet::{Interval, RecordingGap};

use crate::recent::keep;

/// How many packets of one side must be seen before the absence of the other means something: a handshake and one segment.
const ENOUGH_TO_MISS_THE_OTHER: u64 = 3;

/// What is known of the recording.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CaptureFaults {
    /// Where the capture came from.
    pub source: String,
    /// Frames read.
    pub frames: u64,
    /// TCP packets.
    pub tcp_packets: u64,
    /// Why reading ended early.
    pub problem: Option<String>,
    /// Packets the kernel or the file's statistics count as dropped.
    pub dropped_packets: Option<u64>,
    /// The parts of its time in which packets are missing, because a file of it is.
    pub gaps: Vec<RecordingGap>,
    /// Frames earlier than the frame before.
    pub backwards: Sample,
    /// The largest such step.
    pub largest_step_back: Interval,
    /// Resets of connections that were over and no longer followed.
    pub late_resets: Sample,
    /// Frames recorded again.
    pub copies: Sample,
    /// Segments whose payload the snap length cut.
    pub cut: Sample,
    /// Segments larger than the peer accepts on the wire.
    pub offloaded: Sample,
    /// Acknowledgements of segments the capture never saw.
    pub unseen_segments: u64,
    /// The bytes of those.
    pub unseen_bytes: u64,
    /// Frames of the first such acknowledgements.
    pub unseen_frames: Vec<u64>,
    /// Conversations of which one direction only was recorded.
    pub one_sided: u64,
    /// First frames of those.
    pub one_sided_frames: Vec<u64>,
    /// Conversations recorded in both directions.
    pub two_sided: u64,
}

impl CaptureFaults {
    /// Takes in a connection both sides of which were seen, and nothing of which is missing.
    pub(crate) fn note_two_sided(&mut self) {
        self.two_sided += 1;
    }

    /// Takes in what one connection shows of the recording.
    pub(crate) fn note(&mut self, connection: &Connection) {
        let seen = connection
            .client
            .counts
            .packets
            .max(connection.server.counts.packets);
        if connection.is_one_sided() {
            // A packet or two between others prove no direction missing.
            if seen < ENOUGH_TO_MISS_THE_OTHER {
                return;
            }
            self.one_sided += 1;
            keep(&mut self.one_sided_frames, connection.first);
        } else if connection.client.was_seen() && connection.server.was_seen() {
            self.two_sided += 1;
        }
        for event in connection.events.iter() {
            if let EventKind::Unseen { bytes } = event.kind {
                self.unseen_segments += 1;
                self.unseen_bytes += u64::from(bytes);
                keep(&mut self.unseen_frames, event.mark());
            }
        }
    }
}
