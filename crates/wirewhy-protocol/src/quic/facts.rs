//! What an observer learns of a connection over QUIC.

use std::collections::VecDeque;

use wirewhy_packet::Interval;

use super::ids::{CloseCode, ConnectionId, QuicVersion};
use super::parameters::TransportParameters;
use crate::types::{Mark, Role};

/// What the datagrams of a connection over QUIC show.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct QuicFacts {
    /// The place of the connection among those of the capture, from 0. It is Wireshark's `quic.connection.number` where
    /// every connection of the capture is recognised here: one of a version that is not known counts there and not here.
    pub number: u32,
    /// The version of the latest Initial packet that was opened.
    pub version: QuicVersion,
    /// The destination of the client's first Initial packet.
    pub initial_destination: ConnectionId,
    /// The connection id that the client chose.
    pub client_id: ConnectionId,
    /// The connection id that the server chose in its latest long header, a Retry included; `None` where it sent none.
    pub server_id: Option<ConnectionId>,
    /// Zeek's `history` of its `quic.log`: a letter a packet, in upper case the client's. I is an Initial, Z a 0-RTT, H a
    /// Handshake, R a Retry, O a 1-RTT packet (the first, second, fourth and so on of a side), S a hello, C a
    /// CONNECTION_CLOSE, U a Version Negotiation, X an Initial that does not open. At most [`QuicFacts::HISTORY`] letters.
    pub history: String,
    /// What the client sent.
    pub client: QuicSide,
    /// What the server sent.
    pub server: QuicSide,
    /// How the ClientHello got across.
    pub hello: HelloSent,
    /// The Version Negotiation packet that the client has to heed.
    pub negotiation: Option<Negotiated>,
    /// The first Retry packet, with a right integrity tag, in answer to each attempt of the client; at most
    /// [`QuicFacts::RETRIES`]. An attempt is what goes to another destination, as it does behind a Retry.
    pub retries: Vec<Mark>,
    /// How many attempts were answered so.
    pub retry_count: u32,
    /// The CONNECTION_CLOSE frames that could be read, the first of each side and level of encryption.
    pub closes: Vec<QuicClose>,
    /// A stateless reset (RFC 9000 section 10.3).
    pub reset: Option<StatelessReset>,
    /// What the server sent until the client's address was validated.
    pub amplification: Amplification,
    /// The longest time without any datagram that was followed by one of each side; zero where there was none.
    pub survived_idle: Interval,
    /// How the client finished the handshake.
    pub finishing: Finishing,
    /// What was sent since the latest pause, of a second and more, in which nothing came.
    pub since_pause: SincePause,
    /// The shortest round trip by the spin bit (RFC 9000 section 17.4), where both sides spin it.
    pub spin: Option<SpinRoundTrip>,
    /// Whether its handshake was confirmed: a HANDSHAKE_DONE frame was read.
    pub confirmed: Option<Mark>,
    /// Key updates of either side that were followed (RFC 9001 section 6).
    pub key_updates: u32,
}

impl QuicFacts {
    /// How many letters of the history are kept.
    pub const HISTORY: usize = 100;
    /// How many Retry packets are kept.
    pub const RETRIES: usize = 8;

    /// One side.
    #[must_use]
    pub fn side(&self, role: Role) -> &QuicSide {
        match role {
            Role::Client => &self.client,
            Role::Server => &self.server,
        }
    }

    pub(super) fn side_mut(&mut self, role: Role) -> &mut QuicSide {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    /// Whether both sides completed the handshake: the client sent a 1-RTT packet, which it cannot before it has verified the
    /// server's Finished (RFC 9001 section 5.7), and the server one behind it, or its confirmation was read.
    #[must_use]
    pub fn is_established(&self) -> bool {
        let answered = self
            .client
            .one_rtt
            .first
            .zip(self.server.one_rtt.last)
            .is_some_and(|(client, server)| server.frame > client.frame);
        answered || self.confirmed.is_some()
    }

    /// The first CONNECTION_CLOSE that says that something went wrong.
    #[must_use]
    pub fn failure(&self) -> Option<&QuicClose> {
        self.closes.iter().find(|close| !close.code.is_no_error())
    }
}

/// What one side of a connection over QUIC sent.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct QuicSide {
    /// Datagrams.
    pub datagrams: u64,
    /// Their UDP payload in bytes.
    pub bytes: u64,
    /// The largest UDP payload.
    pub largest: u32,
    /// Datagrams of 1,200 bytes of UDP payload and more.
    pub full_size: u64,
    /// Its first datagrams, at most [`QuicSide::EARLY`].
    pub early: Vec<Sent>,
    /// Initial packets.
    pub initial: PacketTally,
    /// 0-RTT packets.
    pub zero_rtt: PacketTally,
    /// Handshake packets.
    pub handshake: PacketTally,
    /// 1-RTT packets.
    pub one_rtt: PacketTally,
    /// Initial packets that do not open.
    pub unopened: u64,
    /// CRYPTO frames of Initial packets that repeat what was sent before.
    pub repeated: u32,
    /// Whether the other side acknowledged one of its Initial packets.
    pub acknowledged: bool,
    /// What it sent since the other side was heard last.
    pub unanswered: Unanswered,
    /// Its latest datagrams, those within 10 ms of one before left out: at most [`QuicSide::RECENT`], the earliest first.
    pub recent: VecDeque<Mark>,
    /// What it declares of itself; of the server readable with secrets only.
    pub parameters: Option<Box<TransportParameters>>,
}

impl QuicSide {
    /// How many of the first datagrams are kept.
    pub const EARLY: usize = 12;
    /// How many of the latest ones are kept.
    pub const RECENT: usize = 16;

    /// Packets behind the Initial ones that were opened with secrets.
    #[must_use]
    pub fn decrypted(&self) -> u64 {
        self.zero_rtt.opened + self.handshake.opened + self.one_rtt.opened
    }
}

/// A datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sent {
    /// Where it was seen.
    pub mark: Mark,
    /// Its UDP payload in bytes.
    pub length: u32,
    /// The first packet in it.
    pub first: PacketKind,
    /// How long its packets with a Handshake header are together, in bytes.
    pub handshake: u32,
}

/// The kinds of packet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PacketKind {
    /// Initial.
    Initial,
    /// 0-RTT.
    ZeroRtt,
    /// Handshake.
    Handshake,
    /// Retry.
    Retry,
    /// Version Negotiation.
    VersionNegotiation,
    /// 1-RTT, or a stateless reset.
    OneRtt,
    /// None that could be recognised.
    Unknown,
}

impl PacketKind {
    /// The name of RFC 9000.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            PacketKind::Initial => "Initial",
            PacketKind::ZeroRtt => "0-RTT",
            PacketKind::Handshake => "Handshake",
            PacketKind::Retry => "Retry",
            PacketKind::VersionNegotiation => "Version Negotiation",
            PacketKind::OneRtt => "1-RTT",
            PacketKind::Unknown => "unknown",
        }
    }
}

/// Packets of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PacketTally {
    /// How many.
    pub count: u64,
    /// Their bytes, headers included.
    pub bytes: u64,
    /// How many were opened.
    pub opened: u64,
    /// The first.
    pub first: Option<Mark>,
    /// The latest.
    pub last: Option<Mark>,
}

/// Datagrams of one side since the other was heard last.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Unanswered {
    /// How many.
    pub count: u64,
    /// How many of them have 1,200 bytes of UDP payload and more.
    pub full_size: u64,
    /// The smallest of them, in bytes.
    pub smallest: u32,
    /// The first ones, those within 10 ms of one before left out: at most [`Unanswered::KEPT`].
    pub first: Vec<Mark>,
    /// The latest.
    pub last: Option<Mark>,
}

impl Unanswered {
    /// How many are kept.
    pub const KEPT: usize = 8;
}

/// How the ClientHello got across.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HelloSent {
    /// Whether all of it was seen.
    pub is_whole: bool,
    /// In how many datagrams it was sent first.
    pub datagrams: u32,
    /// Of those that were opened, how many datagrams with a piece of it there were in all.
    pub carriers: u32,
    /// How many of them the server acknowledged.
    pub acknowledged: u32,
    /// Whether the server acknowledged packets with every byte of it.
    pub is_acknowledged: bool,
    /// The first of them.
    pub first: Option<Mark>,
    /// The latest of them.
    pub last: Option<Mark>,
}

/// A Version Negotiation packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Negotiated {
    /// Where it was seen.
    pub mark: Mark,
    /// The version that the client had used.
    pub offered: QuicVersion,
    /// The versions that the server lists, GREASE left out; at most [`TransportParameters::VERSIONS`].
    pub versions: Vec<QuicVersion>,
    /// The client's first Initial of another version behind it.
    pub went_on: Option<Mark>,
}

/// A CONNECTION_CLOSE frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuicClose {
    /// Who sent it.
    pub from: Role,
    /// Where it was seen.
    pub mark: Mark,
    /// The packet that it was in.
    pub level: PacketKind,
    /// How long its sender had heard nothing by then.
    pub quiet: Interval,
    /// How many datagrams the sender had sent in that time, those within 10 ms of one before left out: at most
    /// [`Unanswered::KEPT`].
    pub tries: u32,
    /// What it says.
    pub code: CloseCode,
    /// The type of the frame that it complains of, where it names one.
    pub frame_type: Option<u64>,
    /// Its reason phrase, at most [`QuicClose::REASON`] bytes, lossy where it is no UTF-8: hostile text.
    pub reason: Box<str>,
}

impl QuicClose {
    /// How many bytes of a reason phrase are kept.
    pub const REASON: usize = 256;
}

/// A stateless reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatelessReset {
    /// In whose name.
    pub from: Role,
    /// Where it was first seen.
    pub mark: Mark,
    /// Where the same last 16 bytes were seen again; `None` where they are a token that was read.
    pub again: Option<Mark>,
    /// The packet of the other side that the first one answers.
    pub answers: Option<Mark>,
    /// How long the connection had been quiet before that packet.
    pub idle: Interval,
}

/// What the server sent until the client's address was validated: by a packet with Handshake keys, or a token (RFC 9000
/// section 8.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Amplification {
    /// UDP payload of the client's datagrams, in bytes.
    pub client_bytes: u64,
    /// UDP payload of the server's datagrams, in bytes.
    pub server_bytes: u64,
    /// The first datagram of the client that validated its address.
    pub validated: Option<Mark>,
}

impl Amplification {
    /// How much more the server might have sent, in bytes.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.client_bytes
            .saturating_mul(3)
            .saturating_sub(self.server_bytes)
    }
}

/// The client's datagrams with Handshake packets, from the last one before its first 1-RTT packet on. It has verified the server's
/// Finished then, and sends its own again until the server confirms the handshake (RFC 9001 section 4.1.2).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Finishing {
    /// How many.
    pub count: u32,
    /// The first ones, those within 10 ms of one before left out: at most [`Finishing::KEPT`].
    pub first: Vec<Mark>,
    /// The latest.
    pub last: Option<Mark>,
    /// The client's first datagram without a Handshake packet behind one of the server behind the latest: the client may have
    /// read the confirmation.
    pub went_on: Option<Mark>,
}

impl Finishing {
    /// How many are kept.
    pub const KEPT: usize = 8;
}

/// What was sent since the latest pause.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SincePause {
    /// How long it was; zero where there was none.
    pub pause: Interval,
    /// Datagrams of the client.
    pub client: u32,
    /// Datagrams of the server.
    pub server: u32,
    /// The largest of the client, in bytes of UDP payload.
    pub largest_request: u32,
    /// The largest of the server.
    pub largest_answer: u32,
}

/// Round trips by the spin bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpinRoundTrip {
    /// The shortest.
    pub shortest: Interval,
    /// How many were seen.
    pub samples: u32,
}
