//! What the tracker saw happen, frame by frame, where it matters to a diagnosis.

use std::net::IpAddr;

use wirewhy_packet::{Interval, IpId, Seq, Timestamp};
use wirewhy_protocol::compact::{Compact, CompactReader, CompactWriter};

use crate::{Side, TtlSeen};

/// A frame and its time.
pub use wirewhy_protocol::Mark;

/// One thing that happened.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// The frame it was seen in.
    pub frame: u64,
    /// When that was.
    pub time: Timestamp,
    /// The side whose header the frame carries; for an ICMP error, the side whose packet it quotes.
    pub from: Side,
    /// What happened.
    pub kind: EventKind,
}

impl Compact for Event {
    fn write(&self, to: &mut CompactWriter) {
        self.mark().write(to);
        self.from.write(to);
        self.kind.write(to);
    }

    fn read(from: &mut CompactReader<'_>) -> Option<Event> {
        let Mark { frame, time } = Mark::read(from)?;
        Some(Event {
            frame,
            time,
            from: Side::read(from)?,
            kind: EventKind::read(from)?,
        })
    }
}

impl Event {
    /// The frame and the time of the event.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            frame: self.frame,
            time: self.time,
        }
    }
}

/// The kinds of event. Copies of a frame the capture recorded twice are never events.
#[derive(Clone, PartialEq, Debug)]
pub enum EventKind {
    /// A SYN without ACK, repetitions included.
    Syn {
        /// Its sequence number.
        seq: Seq,
        /// The value of its timestamps option.
        timestamp: Option<u32>,
        /// What it asks for beyond a connection.
        asks: Asked,
    },
    /// A SYN with ACK, repetitions included.
    SynAck {
        /// Its sequence number.
        seq: Seq,
        /// What it acknowledges.
        ack: Seq,
        /// Whether that is the SYN the peer sent (RFC 9293 section 3.10.7.3).
        acceptable: bool,
    },
    /// The first acknowledgement of the SYN-ACK: the handshake is complete as far as the client knows.
    HandshakeAck,
    /// A later ACK of the client that follows a repeated SYN-ACK.
    HandshakeAckRepeated,
    /// An ACK in answer to a SYN that does not acknowledge it: what a host sends that still holds an older connection
    /// (RFC 9293 section 3.10.7.4, RFC 5961 section 4).
    UnrelatedAck {
        /// Its sequence number.
        seq: Seq,
        /// What it acknowledges.
        ack: Seq,
        /// Whether it carries neither data nor a FIN, as a challenge ACK does.
        empty: bool,
    },
    /// A FIN, first one of its side.
    Fin,
    /// A reset.
    Reset(Box<Reset>),
    /// An ICMP error that quotes this connection.
    Icmp(Box<Icmp>),
    /// Over QUIC: the first packet of a side from another address or port (RFC 9000 section 9).
    Moved {
        /// Where it is now.
        address: IpAddr,
        /// Its port there.
        port: u16,
        /// Whether only the port has changed, as a NAT does that forgot it.
        only_port: bool,
    },
    /// The peer acknowledged bytes the capture never saw.
    Unseen {
        /// How many.
        bytes: u32,
    },
}

wirewhy_protocol::compact!(EventKind = {
    0 Syn { seq, timestamp, asks }, 1 SynAck { seq, ack, acceptable }, 2 HandshakeAck, 3 HandshakeAckRepeated,
    4 UnrelatedAck { seq, ack, empty }, 5 Fin, 6 Reset(item), 7 Icmp(item), 8 Moved { address, port, only_port },
    9 Unseen { bytes },
});

/// What a SYN asks for that devices on the way are known to stumble over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// Explicit congestion notification (RFC 3168 section 6.1.1).
    pub ecn: bool,
    /// Fast Open, with or without a cookie (RFC 7413).
    pub fast_open: bool,
    /// It carries payload.
    pub payload: bool,
}

wirewhy_protocol::compact!(Asked {
    ecn,
    fast_open,
    payload
});

/// A reset and how it sits in the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reset {
    /// Its sequence number.
    pub seq: Seq,
    /// Its acknowledgement number, where the ACK flag is set.
    pub ack: Option<Seq>,
    /// The acknowledgement field, whatever the flag says.
    pub ack_field: Seq,
    /// The window field.
    pub window: u16,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// IPv4 identification and Don't Fragment.
    pub ip_id: Option<IpId>,
    /// The value of its timestamps option.
    pub timestamp: Option<u32>,
    /// Bytes of payload it carries.
    pub payload_len: u32,
    /// Where its sequence number falls in what the receiver expected.
    pub position: Position,
    /// Time since the latest earlier packet of either side.
    pub idle: Interval,
    /// The latest earlier packet of the other side: what the reset may answer.
    pub answers: Option<Mark>,
    /// Sequence number behind the latest earlier segment of the other side.
    pub peer_next: Option<Seq>,
    /// Sequence number behind the latest earlier segment of the side that sent the reset.
    pub own_next: Option<Seq>,
    /// Bytes the resetting side had sent that the other side had not acknowledged.
    pub unacknowledged_own: u32,
    /// Bytes the other side had sent that the resetting side had not acknowledged.
    pub unacknowledged_peer: u32,
    /// What the state was when it came.
    pub before: BeforeReset,
}

wirewhy_protocol::compact!(Reset {
    seq,
    ack,
    ack_field,
    window,
    ttl,
    ip_id,
    timestamp,
    payload_len,
    position,
    idle,
    answers,
    peer_next,
    own_next,
    unacknowledged_own,
    unacknowledged_peer,
    before,
});

/// The state of a connection when a reset came. "Own" is the side whose header the reset carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BeforeReset {
    /// The acknowledgement number of the packet the reset may answer: what a stack without that connection puts into its
    /// own sequence number (RFC 9293 section 3.10.7.1).
    pub answered_ack: Option<Seq>,
    /// Bytes in the other side's latest segment with payload.
    pub peer_payload_len: u32,
    /// Whether that payload is the message with which a client of its protocol leaves.
    pub peer_sent_farewell: bool,
    /// The own side's FIN.
    pub own_fin: Option<Mark>,
    /// The other side's FIN.
    pub peer_fin: Option<Mark>,
    /// The own side's latest payload.
    pub own_payload: Option<Mark>,
    /// The other side's latest payload.
    pub peer_payload: Option<Mark>,
    /// The furthest byte of the own side that the other had acknowledged.
    pub expected: Option<Seq>,
    /// Hop counts of the own side's packets so far, resets not counted.
    pub own_ttl: TtlSeen,
    /// IPv4 identification of the own side's latest packet, resets not counted.
    pub own_ip_id: Option<IpId>,
    /// The own side's latest timestamp.
    pub own_timestamp: Option<u32>,
    /// Whether the frame came from another MAC address than the own side's first one.
    pub other_mac: bool,
    /// How long the connection had been quiet before the packets the reset follows, where that was 5 s or more and the own
    /// side has said nothing since.
    pub idle: Option<Interval>,
    /// Retransmissions of the own side that nothing answered.
    pub unanswered: u32,
    /// Keep-alive probes of the own side that nothing answered.
    pub unanswered_keep_alives: u32,
    /// Since when the other side's window was closed.
    pub peer_window_closed: Option<Mark>,
    /// The own side's plaintext fatal TLS alert.
    pub own_alert: Option<Mark>,
    /// The other side's plaintext fatal TLS alert.
    pub peer_alert: Option<Mark>,
}

wirewhy_protocol::compact!(BeforeReset {
    answered_ack,
    peer_payload_len,
    peer_sent_farewell,
    own_fin,
    peer_fin,
    own_payload,
    peer_payload,
    expected,
    own_ttl,
    own_ip_id,
    own_timestamp,
    other_mac,
    idle,
    unanswered,
    unanswered_keep_alives,
    peer_window_closed,
    own_alert,
    peer_alert,
});

/// Where a sequence number falls in what the receiver expects (RFC 5961 section 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Position {
    /// Exactly the next byte expected.
    Exact,
    /// Within the receive window, but not the next byte.
    InWindow,
    /// Outside the receive window.
    Outside,
    /// The answer to a SYN, checked by its acknowledgement number: acceptable.
    AnswersSyn,
    /// The answer to a SYN, checked by its acknowledgement number: not acceptable, so the SYN's sender ignores it.
    IgnoredInSynSent,
    /// The receiver's state was never seen.
    Unknown,
}

wirewhy_protocol::compact!(Position = {
    0 Exact, 1 InWindow, 2 Outside, 3 AnswersSyn, 4 IgnoredInSynSent, 5 Unknown,
});

/// An ICMP error about this connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Icmp {
    /// Whether it is ICMPv6.
    pub v6: bool,
    /// Its type.
    pub kind: u8,
    /// Its code.
    pub code: u8,
    /// Next-hop MTU in bytes, where the message carries one.
    pub mtu: Option<u32>,
    /// Who sent it.
    pub reporter: IpAddr,
    /// The sequence number it quotes.
    pub quoted_seq: Option<Seq>,
    /// Length in bytes of the IP packet it quotes.
    pub quoted_len: u32,
    /// Whether the quoted sequence number belongs to this connection (RFC 5927 section 4); true where none was quoted.
    pub in_window: bool,
}

wirewhy_protocol::compact!(Icmp {
    v6,
    kind,
    code,
    mtu,
    reporter,
    quoted_seq,
    quoted_len,
    in_window
});

/// Events in the order they were seen, bounded: the first [`Events::FIRST`] and the last [`Events::LAST`] are kept.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Events {
    kept: Vec<Event>,
    left_out: u32,
}

wirewhy_protocol::compact!(Events { kept, left_out });

impl Events {
    /// How many of the earliest events are always kept.
    pub const FIRST: usize = 48;
    /// How many of the latest events are kept beyond those.
    pub const LAST: usize = 16;

    pub(crate) fn with_room(events: usize) -> Events {
        Events {
            kept: Vec::with_capacity(events),
            left_out: 0,
        }
    }

    /// As if nothing had happened.
    pub(crate) fn clear(&mut self) {
        self.kept.clear();
        self.left_out = 0;
    }

    pub(crate) fn push(&mut self, event: Event) {
        if self.kept.len() >= Self::FIRST + Self::LAST {
            self.kept.remove(Self::FIRST);
            self.left_out = self.left_out.saturating_add(1);
        }
        self.kept.push(event);
    }

    /// The two sides turned out to be the other way round.
    pub(crate) fn flip(&mut self) {
        for event in &mut self.kept {
            event.from = event.from.other();
        }
    }

    /// The events kept, oldest first.
    #[must_use]
    pub fn as_slice(&self) -> &[Event] {
        &self.kept
    }

    /// How many events were left out between the first and the last ones.
    #[must_use]
    pub fn left_out(&self) -> u32 {
        self.left_out
    }

    /// Iterates over the events kept, oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Event> {
        self.kept.iter()
    }
}
