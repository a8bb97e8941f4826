//! The thresholds of the catalogue.

use wirewhy_packet::Interval;

/// Every threshold a detector uses. Defaults name where they come from.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Limits {
    /// How long a capture must run on after a request before silence counts as an answer. RFC 6298 section 2.1 has a sender
    /// wait 1 s before the first retransmission; 3 s leave room for two.
    pub silence: Interval,
    /// SYN to SYN-ACK time above which a handshake without retransmission is slow: the initial retransmission timeout of
    /// RFC 6298 section 2.1.
    pub slow_handshake: Interval,
    /// How many times shorter than the shortest known round trip to a host an answer in its name must be to come from
    /// nearer by. Samples of one path vary by far less than half.
    pub nearer_round_trip: i64,
    /// Two attempts of one client this close together race each other: RFC 8305 section 8 allows at most 2 s between them.
    pub parallel_attempts: Interval,
    /// How many alike connections without payload make a health check.
    pub probe_count: u32,
    /// How far the longest pause between health checks may exceed the shortest, as a share of it.
    pub probe_jitter: f64,
    /// Health checks come seconds apart; what comes faster is a scan or a test.
    pub probe_period: Interval,
    /// A health check closes at once: its longest duration.
    pub probe_duration: Interval,
    /// How many SYN-ACKs a server must repeat after the client's ACK was seen: one may follow a single lost ACK.
    pub repeated_syn_acks: u32,
    /// How many answered SYNs must follow one clock before an older one that is ignored is explained by it. By chance two
    /// random timestamps a second apart do so once in two million times.
    pub paws_answers: u32,
    /// Share of connections with one direction only above which the whole capture is one-sided.
    pub one_direction_share: f64,
    /// Acknowledged segments the capture must have missed, and the share of TCP packets they must make, before the
    /// recording is called incomplete: a packet may be recorded just behind its acknowledgement.
    pub missing_segments: u64,
    /// See `missing_segments`.
    pub missing_share: f64,
    /// Frames recorded twice before the recording is called doubled.
    pub copies: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            silence: Interval::from_secs(3),
            slow_handshake: Interval::from_secs(1),
            nearer_round_trip: 2,
            parallel_attempts: Interval::from_secs(2),
            probe_count: 5,
            probe_jitter: 0.25,
            probe_period: Interval::from_millis(500),
            probe_duration: Interval::from_secs(1),
            repeated_syn_acks: 2,
            paws_answers: 2,
            one_direction_share: 0.5,
            missing_segments: 2,
            missing_share: 0.000_01,
            copies: 3,
        }
    }
}
