//! One side of a connection, as far as the packets show it.

use std::net::IpAddr;

use wirewhy_packet::{IpId, MacAddr, Seq, Timestamp};

use crate::{Delivery, Interval, Mark};

/// One side of a connection.
#[derive(Clone, PartialEq, Debug)]
pub struct Endpoint {
    /// Its IP address.
    pub address: IpAddr,
    /// Its TCP port.
    pub port: u16,
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
    /// Its first segment with payload.
    pub first_payload: Option<Mark>,
    /// Its latest segment with payload.
    pub last_payload: Option<Mark>,
    /// Its latest packet.
    pub last: Option<Mark>,
    /// What its latest packet acknowledges.
    pub last_ack: Option<Seq>,
    /// Bytes in its latest segment with payload.
    pub last_payload_len: u32,
    /// Hop counts of its packets, resets not counted.
    pub ttl: TtlSeen,
    /// IPv4 identification of its latest packet, resets not counted.
    pub ip_id: Option<IpId>,
    /// Link address its first packet came from.
    pub mac: Option<MacAddr>,
    /// Value of its latest timestamps option, resets not counted.
    pub timestamp: Option<u32>,
    /// Its first plaintext TLS alert of level fatal (RFC 8446 section 6).
    pub alert: Option<Mark>,
    /// Its first packet after a reset in its name that is no reset itself.
    pub after_reset: Option<Box<AfterReset>>,
    /// How many of what it sent.
    pub counts: Counts,
    /// How its bytes got across.
    pub delivery: Delivery,
}

/// How far one side got, as seen from outside (RFC 9293 section 3.3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndpointState {
    /// Nothing was seen of it.
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

/// Hop counts seen in one direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TtlSeen {
    /// That of the first packet; `None` while nothing was seen.
    pub first: Option<u8>,
    /// The smallest.
    pub min: u8,
    /// The largest.
    pub max: u8,
}

impl TtlSeen {
    pub(crate) fn add(&mut self, ttl: u8) {
        if self.first.is_none() {
            *self = TtlSeen {
                first: Some(ttl),
                min: ttl,
                max: ttl,
            };
        } else {
            self.min = self.min.min(ttl);
            self.max = self.max.max(ttl);
        }
    }

    /// The hop count, where every packet had the same.
    #[must_use]
    pub fn constant(&self) -> Option<u8> {
        self.first.filter(|_| self.min == self.max)
    }
}

/// How many of what one side sent. Copies of a frame the capture recorded twice are counted in `duplicate_frames` only.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Packets.
    pub packets: u64,
    /// Bytes on the wire, link layer included.
    pub bytes: u64,
    /// Bytes of TCP payload, retransmissions included.
    pub payload_bytes: u64,
    /// Packets with payload.
    pub payload_packets: u64,
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
    /// Frames the capture recorded again.
    pub duplicate_frames: u32,
    /// Segments whose payload the snap length cut.
    pub cut_payloads: u32,
    /// The largest payload of one packet in bytes.
    pub largest_payload: u32,
    /// Packets whose IP header left the length to the network card.
    pub offloaded: u32,
    /// Segments whose numbers lie far outside the connection, resets not counted: forged, or another connection's.
    pub stray: u32,
}

impl Endpoint {
    pub(crate) fn new(address: IpAddr, port: u16) -> Endpoint {
        Endpoint {
            address,
            port,
            state: EndpointState::Silent,
            isn: None,
            offer: Offer::default(),
            next: None,
            acknowledged: None,
            window: 0,
            max_window: 0,
            fin: None,
            first_payload: None,
            last_payload: None,
            last: None,
            last_ack: None,
            last_payload_len: 0,
            ttl: TtlSeen::default(),
            ip_id: None,
            mac: None,
            timestamp: None,
            alert: None,
            after_reset: None,
            counts: Counts::default(),
            delivery: Delivery::default(),
        }
    }

    /// Whether anything was seen from this side.
    #[must_use]
    pub fn was_seen(&self) -> bool {
        self.counts.packets > 0
    }

    /// How long this side had been silent at `now`, zero where time ran backwards; `None` where nothing was seen of it.
    #[must_use]
    pub fn silent_for(&self, now: Timestamp) -> Option<Interval> {
        self.last
            .map(|last| now.since(last.time).max(Interval::ZERO))
    }

    /// The shortest time from the capture point to the other side and back, by this side's data and its acknowledgement.
    #[must_use]
    pub fn shortest_round_trip(&self) -> Option<Interval> {
        let round_trip = self.delivery.round_trip;
        (round_trip.samples > 0).then_some(round_trip.min)
    }

    /// Bytes this side sent that `peer` never acknowledged, FIN and SYN included.
    #[must_use]
    pub fn unacknowledged_by(&self, peer: &Endpoint) -> u32 {
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
