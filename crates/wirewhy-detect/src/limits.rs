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
    /// How long an application may take to answer before its silence is a finding: what most HTTP clients bear.
    pub no_response: Interval,
    /// How long an application may take to answer before it is slow, the network's round trip subtracted.
    pub slow_response: Interval,
    /// How long a TLS handshake may stand still before its silence is a finding.
    pub handshake_silence: Interval,
    /// How long before its end a certificate's validity is worth a note.
    pub expiring: Interval,
    /// The fewest bits of an RSA key that is not weak: NIST SP 800-131A, and what browsers demand.
    pub rsa_bits: u32,
    /// How long a receiver may keep its window closed, in all.
    pub zero_window: Interval,
    /// How long one half of a connection may stay open and silent: the time Linux itself gives an orphan in FIN-WAIT-2
    /// (`tcp_fin_timeout`).
    pub half_closed: Interval,
    /// Segments a direction must lose, and the share of its data segments, before the path is called lossy: below 1 % TCP
    /// copes (Mathis et al. 1997), and fewer than three prove no rate.
    pub lost_segments: u32,
    /// See `lost_segments`.
    pub loss_share: f64,
    /// Segments that must be overtaken, and the share of a direction's data segments.
    pub reordered_segments: u32,
    /// See `reordered_segments`.
    pub reordering_share: f64,
    /// Retransmissions in a row, and the time over which, without a sign of the other side, before it is called gone:
    /// Linux re-checks its route after 3 (`tcp_retries1`).
    pub unanswered_retransmissions: u32,
    /// See `unanswered_retransmissions`.
    pub unanswered_span: Interval,
    /// Keep-alive probes in a row without an answer. Linux sends 9 by default, applications set as few as 3.
    pub unanswered_keep_alives: u32,
    /// How often the same segment must be sent before its size is suspected: Linux starts path MTU probing after 3
    /// timeouts (`tcp_retries1`).
    pub repeated_segment: u32,
    /// The smallest IP packet in bytes that a path may refuse: what every IPv4 host must accept (RFC 1122 section 3.3.2).
    pub large_packet: u32,
    /// How long a connection must have been idle before a timer on the path may have ended it. The shortest defaults met in
    /// practice are 30 s; a quarter of a minute leaves room for those set lower.
    pub idle: Interval,
    /// How many connections must have died at one idle time before it is called a timer.
    pub idle_timer_ends: u32,
    /// How many attempts must have failed alike before a service is called down.
    pub down_attempts: u32,
    /// Failed attempts, and the share of all attempts, before a service is called flaky: fewer than three prove no rate, and
    /// up to one in twenty is what clients on the move lose.
    pub flaky_failures: u32,
    /// See `flaky_failures`.
    pub flaky_share: f64,
    /// Half-open attempts within ten seconds, and their sources, that make a flood: the smallest SYN backlog of Linux is 128
    /// (`tcp_max_syn_backlog`), and one client opens no more than a browser's few connections to one service.
    pub flood_attempts: u32,
    /// See `flood_attempts`.
    pub flood_sources: u32,
    /// Ports of a host, and hosts at a port, that make a scan, and how soon after one another: the defaults of Zeek's
    /// `policy/misc/scan.zeek`.
    pub scan_ports: u32,
    /// See `scan_ports`.
    pub scan_hosts: u32,
    /// See `scan_ports`.
    pub scan_window: Interval,
    /// The share of a source's attempts that must have found nothing before it scans.
    pub scan_share: f64,
    /// How often an address must pass back to a link address that had it, and within what time, before two are said to claim
    /// it: a failover goes there and back once.
    pub conflict_returns: u32,
    /// See `conflict_returns`.
    pub conflict_window: Interval,
    /// Requests without an answer before an address is missed: more than the 3 of one failed attempt of Linux
    /// (`neigh/*/mcast_solicit`); twice as many where it answered in the end.
    pub arp_requests: u32,
    /// The same for an address that had been there.
    pub arp_requests_known: u32,
    /// How much evidence, in tenths, makes another sender of a reset possible, likely and certain. One sign that no stack
    /// gives counts 30 to 40, one with innocent explanations 5 to 25.
    pub foreign_possible: i32,
    /// See `foreign_possible`.
    pub foreign_likely: i32,
    /// See `foreign_possible`.
    pub foreign_certain: i32,
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
            no_response: Interval::from_secs(10),
            slow_response: Interval::from_secs(1),
            handshake_silence: Interval::from_secs(10),
            expiring: Interval::from_secs(14 * 24 * 3_600),
            rsa_bits: 2_048,
            zero_window: Interval::from_secs(1),
            half_closed: Interval::from_secs(60),
            lost_segments: 3,
            loss_share: 0.01,
            reordered_segments: 3,
            reordering_share: 0.01,
            unanswered_retransmissions: 3,
            unanswered_span: Interval::from_secs(1),
            unanswered_keep_alives: 3,
            repeated_segment: 3,
            large_packet: 576,
            idle: Interval::from_secs(15),
            idle_timer_ends: 3,
            down_attempts: 3,
            flaky_failures: 3,
            flaky_share: 0.05,
            flood_attempts: 128,
            flood_sources: 64,
            scan_ports: 15,
            scan_hosts: 25,
            scan_window: Interval::from_secs(300),
            scan_share: 0.9,
            conflict_returns: 2,
            conflict_window: Interval::from_secs(60),
            arp_requests: 5,
            arp_requests_known: 3,
            foreign_possible: 20,
            foreign_likely: 35,
            foreign_certain: 60,
            one_direction_share: 0.5,
            missing_segments: 2,
            missing_share: 0.000_01,
            copies: 3,
        }
    }
}
