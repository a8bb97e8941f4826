//! What is counted beside the connections.

/// Frames with something in common: how many, and the first ones.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sample {
    /// How many there were.
    pub count: u64,
    /// The numbers of the first ones, at most [`Sample::KEPT`].
    pub frames: Vec<u64>,
}

impl Sample {
    /// How many frame numbers are kept.
    pub const KEPT: usize = 16;

    /// Adds a frame.
    pub fn add(&mut self, frame: u64) {
        self.count += 1;
        if self.frames.len() < Self::KEPT {
            self.frames.push(frame);
        }
    }
}

/// What a tracker counted beside its connections.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TrackerCounts {
    /// TCP packets, copies included.
    pub tcp_packets: u64,
    /// Resets among them.
    pub resets: u64,
    /// Segments among them with bytes that were sent before.
    pub retransmissions: u64,
    /// Packets of connections that were over and no longer followed.
    pub late_packets: u64,
    /// Those of them that are resets.
    pub late_resets: Sample,
    /// ICMP errors about a TCP connection the capture does not show.
    pub stray_icmp_errors: u64,
    /// Connections given up because the table was full.
    pub given_up: u64,
    /// Connections of which no more was read, because all together kept too much that waited to be read.
    pub unread: u64,
    /// Frames recorded again.
    pub copies: Sample,
    /// Segments whose payload the snap length cut.
    pub cut: Sample,
    /// Segments larger than the peer accepts on the wire.
    pub offloaded: Sample,
}
