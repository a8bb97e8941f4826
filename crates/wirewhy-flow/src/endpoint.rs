//! One side of a connection, as far as the packets show it.

use std::net::IpAddr;

use wirewhy_packet::{Interval, IpId, MacAddr, Timestamp};

use crate::{Mark, TcpEndpoint};

/// One side of a connection.
#[derive(Clone, PartialEq, Debug)]
pub struct Endpoint {
    /// Its IP address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// Its first packet with payload.
    pub first_payload: Option<Mark>,
    /// Its latest packet with payload.
    pub last_payload: Option<Mark>,
    /// Its latest packet.
    pub last: Option<Mark>,
    /// Bytes of payload in its latest packet with any.
    pub last_payload_len: u32,
    /// Whether that payload is the message with which a client of its protocol leaves, and which is not answered.
    pub sent_farewell: bool,
    /// Hop counts of its packets, resets not counted.
    pub ttl: TtlSeen,
    /// IPv4 identification of its latest packet, resets not counted.
    pub ip_id: Option<IpId>,
    /// MAC address its first packet came from.
    pub mac: Option<MacAddr>,
    /// How many of what it sent.
    pub counts: Counts,
    /// What only TCP has.
    pub tcp: TcpEndpoint,
}

wirewhy_protocol::compact!(Endpoint {
    address,
    port,
    first_payload,
    last_payload,
    last,
    last_payload_len,
    sent_farewell,
    ttl,
    ip_id,
    mac,
    counts,
    tcp,
});

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

wirewhy_protocol::compact!(TtlSeen { first, min, max });

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
    /// Bytes of payload, retransmissions included.
    pub payload_bytes: u64,
    /// Packets with payload.
    pub payload_packets: u64,
    /// Frames the capture recorded again.
    pub duplicate_frames: u32,
    /// Packets whose payload the snap length cut.
    pub cut_payloads: u32,
    /// The largest payload of one packet in bytes.
    pub largest_payload: u32,
    /// Packets whose IP header left the length to the network card.
    pub offloaded: u32,
}

wirewhy_protocol::compact!(Counts {
    packets,
    bytes,
    payload_bytes,
    payload_packets,
    duplicate_frames,
    cut_payloads,
    largest_payload,
    offloaded,
});

impl Endpoint {
    pub(crate) fn new(address: IpAddr, port: u16) -> Endpoint {
        Endpoint {
            address,
            port,
            first_payload: None,
            last_payload: None,
            last: None,
            last_payload_len: 0,
            sent_farewell: false,
            ttl: TtlSeen::default(),
            ip_id: None,
            mac: None,
            counts: Counts::default(),
            tcp: TcpEndpoint::default(),
        }
    }

    /// Makes this an end of which nothing was seen, in place.
    pub(crate) fn begin_anew(&mut self, end: (IpAddr, u16)) {
        // Named one by one, so that none is forgotten.
        let Endpoint {
            address,
            port,
            first_payload,
            last_payload,
            last,
            last_payload_len,
            sent_farewell,
            ttl,
            ip_id,
            mac,
            counts,
            tcp,
        } = self;
        (*address, *port) = end;
        *first_payload = None;
        *last_payload = None;
        *last = None;
        *last_payload_len = 0;
        *sent_farewell = false;
        *ttl = TtlSeen::default();
        *ip_id = None;
        *mac = None;
        *counts = Counts::default();
        *tcp = TcpEndpoint::default();
    }

    /// Counts a packet that is no copy: its bytes on the wire and of payload, and whether its IP header left the length to
    /// the network card.
    pub(crate) fn count_packet(&mut self, wire_len: u32, payload_len: u32, offloaded: bool) {
        let counts = &mut self.counts;
        counts.packets += 1;
        counts.bytes += u64::from(wire_len);
        counts.largest_payload = counts.largest_payload.max(payload_len);
        counts.offloaded = counts.offloaded.saturating_add(u32::from(offloaded));
    }

    /// Counts a payload: its bytes, and how many of them were captured.
    pub(crate) fn count_payload(&mut self, payload_len: u32, captured_len: u32) {
        let counts = &mut self.counts;
        counts.payload_packets += 1;
        counts.payload_bytes += u64::from(payload_len);
        let cut = captured_len < payload_len;
        counts.cut_payloads = counts.cut_payloads.saturating_add(u32::from(cut));
    }

    /// Takes in what the headers below the transport say of the sender.
    pub(crate) fn note_header(&mut self, ttl: u8, ip_id: Option<IpId>, mac: Option<MacAddr>) {
        self.ttl.add(ttl);
        self.ip_id = ip_id;
        self.mac = self.mac.or(mac);
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
}
