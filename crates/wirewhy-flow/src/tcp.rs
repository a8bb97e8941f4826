//! What a connection over TCP has beside what any transport has.

use wirewhy_packet::{Interval, Seq};

use crate::{Delivery, Exchange, Mark};

/// What only TCP has of a connection. Of one over another transport all of it is as before the first segment: no SYN was
/// sent, and nothing was acknowledged, closed or reset.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Tcp {
    /// How far the opening got.
    pub handshake: Handshake,
    /// Who asked, who answered.
    pub exchange: Exchange,
    /// The longest pause, of 5 s or more, after which both sides were heard again; zero where there was none.
    pub survived_idle: Interval,
}

wirewhy_protocol::compact!(Tcp {
    handshake,
    exchange,
    survived_idle
});

/// How far the opening got.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Handshake {
    /// The first SYN.
    pub first_syn: Option<Mark>,
    /// The latest SYN.
    pub last_syn: Option<Mark>,
    /// The first SYN-ACK that acknowledges the SYN.
    pub syn_ack: Option<Mark>,
    /// The latest SYN-ACK that acknowledges the SYN.
    pub last_syn_ack: Option<Mark>,
    /// The first ACK of the SYN-ACK.
    pub ack: Option<Mark>,
    /// The latest SYN before the first SYN-ACK: what the SYN-ACK most likely answers.
    pub answered_syn: Option<Mark>,
    /// How many SYNs were sent.
    pub syns: u32,
    /// How many SYN-ACKs were sent.
    pub syn_acks: u32,
    /// How many SYN-ACKs were sent after the client's ACK had passed the capture point.
    pub syn_acks_after_ack: u32,
}

wirewhy_protocol::compact!(Handshake {
    first_syn,
    last_syn,
    syn_ack,
    last_syn_ack,
    ack,
    answered_syn,
    syns,
    syn_acks,
    syn_acks_after_ack,
});

/// What only TCP has of one side.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TcpEndpoint {
    /// How far it got.
    pub state: EndpointState,
    /// Its initial sequence number, where its SYN was seen.
    pub isn: Option<Seq>,
    /// What it offered in its SYN or SYN-ACK.
    pub offer: Offer,
    /// Sequence number behind the furthest byte it sent, resets not counted.
    pub next: Option<Seq>,
    /// The furthest acknowledgement it sent.
    pub acknowledged: Option<Seq>,
    /// The window it advertised last, in bytes where its scale is known.
    pub window: u32,
    /// The largest window it advertised, in bytes where its scale is known.
    pub max_window: u32,
    /// Its first FIN.
    pub fin: Option<Mark>,
    /// Bytes of the other side that its first FIN does not acknowledge: they crossed it.
    pub crossed_fin: u32,
    /// What its latest packet acknowledges.
    pub last_ack: Option<Seq>,
    /// Value of its latest timestamps option, resets not counted.
    pub timestamp: Option<u32>,
    /// Its first plaintext TLS alert of level fatal (RFC 8446 section 6).
    pub alert: Option<Mark>,
    /// Its first packet after a reset in its name that is no reset itself.
    pub after_reset: Option<Box<AfterReset>>,
    /// How its bytes got across.
    pub delivery: Delivery,
    /// How many of what it sent.
    pub counts: TcpCounts,
}

wirewhy_protocol::compact!(TcpEndpoint {
    state,
    isn,
    offer,
    next,
    acknowledged,
    window,
    max_window,
    fin,
    crossed_fin,
    last_ack,
    timestamp,
    alert,
    after_reset,
    delivery,
    counts,
});

/// How far one side got, as seen from outside (RFC 9293 section 3.3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EndpointState {
    /// Nothing was seen of it.
    #[default]
    Silent,
    /// It sent a SYN.
    SynSent,
    /// It sent a SYN-ACK.
    SynReceived,
    /// It acknowledged the other side's SYN, or the other side acknowledged its SYN-ACK.
    Established,
    /// It sends, but the capture does not show how it opened.
    JoinedLate,
    /// It sent a FIN.
    Closing {
        /// Whether the other side acknowledged the FIN.
        acknowledged: bool,
    },
    /// It sent a reset that its peer could accept.
    Reset,
}

wirewhy_protocol::compact!(EndpointState = {
    0 Silent, 1 SynSent, 2 SynReceived, 3 Established, 4 JoinedLate, 5 Closing { acknowledged }, 6 Reset,
});

/// A packet of a side whose reset was seen before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AfterReset {
    /// The packet.
    pub mark: Mark,
    /// The reset it follows.
    pub reset: Mark,
    /// Whether it carries bytes beyond the reset's sequence number.
    pub new_data: bool,
    /// Whether its IPv4 identification or timestamp shows that it was sent before the reset and merely overtaken.
    pub overtaken: bool,
    /// Its hop count.
    pub ttl: u8,
}

wirewhy_protocol::compact!(AfterReset {
    mark,
    reset,
    new_data,
    overtaken,
    ttl
});

/// What a side offered in its SYN or SYN-ACK.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Offer {
    /// Maximum segment size in bytes.
    pub mss: Option<u16>,
    /// Window scale shift count, capped at 14.
    pub window_scale: Option<u8>,
    /// Whether it allows selective acknowledgements.
    pub sack_permitted: bool,
    /// Whether it sends timestamps.
    pub timestamps: bool,
    /// Whether it asks for explicit congestion notification (RFC 3168).
    pub ecn: bool,
    /// Whether it carries a Fast Open option (RFC 7413).
    pub fast_open: bool,
    /// Whether it speaks MPTCP (RFC 8684).
    pub mptcp: bool,
}

wirewhy_protocol::compact!(Offer {
    mss,
    window_scale,
    sack_permitted,
    timestamps,
    ecn,
    fast_open,
    mptcp
});

/// How many of what only TCP has one side sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TcpCounts {
    /// Segments with bytes that were sent before.
    pub retransmissions: u32,
    /// Segments that arrived behind a later one and are no retransmission.
    pub out_of_order: u32,
    /// Empty acknowledgements that repeat the one before while the peer has data outstanding (RFC 5681 section 2).
    pub duplicate_acks: u32,
    /// Packets that closed the window, resets not counted.
    pub zero_windows: u32,
    /// Resets.
    pub resets: u32,
    /// Bytes the other side acknowledged although the capture never saw them.
    pub unseen_bytes: u64,
    /// Segments whose numbers lie far outside the connection, resets not counted: forged, or another connection's.
    pub stray: u32,
}

wirewhy_protocol::compact!(TcpCounts {
    retransmissions,
    out_of_order,
    duplicate_acks,
    zero_windows,
    resets,
    unseen_bytes,
    stray,
});

impl TcpEndpoint {
    /// The shortest time from the capture point to the other side and back, by this side's data and its acknowledgement.
    #[must_use]
    pub fn shortest_round_trip(&self) -> Option<Interval> {
        let round_trip = self.delivery.round_trip;
        (round_trip.samples > 0).then_some(round_trip.min)
    }

    /// Bytes this side sent that `peer` never acknowledged, FIN and SYN included.
    #[must_use]
    pub fn unacknowledged_by(&self, peer: &TcpEndpoint) -> u32 {
        match (self.next, peer.acknowledged) {
            (Some(next), Some(acknowledged)) => {
                u32::try_from(next.distance_from(acknowledged)).unwrap_or(0)
            }
            (Some(next), None) => self
                .isn
                .map_or(0, |isn| u32::try_from(next.distance_from(isn)).unwrap_or(0)),
            (None, _) => 0,
        }
    }
}
