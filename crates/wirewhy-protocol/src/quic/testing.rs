//! Connections over QUIC for tests: datagrams written packet by packet and protected as their sides would.

#![allow(
    clippy::expect_used,
    reason = "called by tests, which must fail on what cannot be made"
)]

use aes_gcm::Aes128Gcm;
use aes_gcm::aead::{AeadInOut, KeyInit, Nonce};

use super::ids::{ConnectionId, QuicVersion};
use super::keys::PacketKeys;
use crate::types::Role;

/// The bytes of hex digits; spaces are passed over.
///
/// # Panics
///
/// Where there are other characters.
#[must_use]
pub fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex
        .chars()
        .filter(|digit| !digit.is_whitespace())
        .map(|digit| digit.to_digit(16).expect("a hex digit"))
        .collect();
    let (pairs, _) = digits.as_chunks::<2>();
    pairs
        .iter()
        .filter_map(|[high, low]| u8::try_from(high << 4 | low).ok())
        .collect()
}

/// A packet, with the protection of AES-128-GCM. The header's packet number is not protected yet.
pub(super) fn seal(keys: &PacketKeys, header: &[u8], number: u64, payload: &[u8]) -> Vec<u8> {
    let (key, mut nonce) = keys.parts();
    for (byte, number) in nonce.iter_mut().rev().zip(number.to_le_bytes()) {
        *byte ^= number;
    }
    let mut body = payload.to_vec();
    let nonce = Nonce::<Aes128Gcm>::try_from(nonce.as_slice()).expect("12 bytes");
    Aes128Gcm::new_from_slice(key)
        .expect("16 bytes")
        .encrypt_in_place(&nonce, header, &mut body)
        .expect("a short packet");
    let mut packet = [header, &body].concat();
    let first = header.first().copied().unwrap_or_default();
    let length = usize::from(first & 3) + 1;
    let number_at = header.len() - length;
    let sample = packet
        .get(number_at + 4..)
        .and_then(|rest| rest.first_chunk::<16>())
        .expect("a sample");
    let [flags, mask @ ..] = keys.mask(sample).expect("a mask");
    let bits = if first & 0x80 != 0 { 0x0f } else { 0x1f };
    for (byte, mask) in packet.iter_mut().skip(number_at).zip(mask).take(length) {
        *byte ^= mask;
    }
    if let Some(byte) = packet.first_mut() {
        *byte ^= flags & bits;
    }
    packet
}

/// One connection, whose client's and server's datagrams are made one after another.
#[derive(Clone, Debug)]
pub struct TestConversation {
    version: QuicVersion,
    origin: ConnectionId,
    client: ConnectionId,
    server: ConnectionId,
    token: Vec<u8>,
    numbers: [u64; 2],
}

impl TestConversation {
    /// A connection in this version whose client's first destination is eight times `id`, and whose client has the
    /// connection id of eight times `id + 1`, its server of eight times `id + 2`.
    ///
    /// # Panics
    ///
    /// Never.
    #[must_use]
    pub fn new(version: QuicVersion, id: u8) -> TestConversation {
        let of = |id| ConnectionId::new(&[id; 8]).expect("8 bytes");
        TestConversation {
            version,
            origin: of(id),
            client: of(id + 1),
            server: of(id + 2),
            token: Vec::new(),
            numbers: [0; 2],
        }
    }

    /// A Retry of the server: from then on the client's Initial packets carry `token`, and go to the id that the Retry has.
    ///
    /// # Panics
    ///
    /// Never.
    pub fn retry(&mut self, id: u8, token: &[u8]) -> Vec<u8> {
        let source = ConnectionId::new(&[id; 8]).expect("8 bytes");
        let first = if self.version == QuicVersion::V2 {
            0xc0
        } else {
            0xf0
        };
        let mut packet = self.head(first, Role::Server, &source);
        packet.extend_from_slice(token);
        let tag = super::keys::retry_tag(self.version, &self.origin, &packet);
        packet.extend_from_slice(&tag.expect("a version with a tag"));
        self.origin = source;
        self.token = token.to_vec();
        packet
    }

    /// A Version Negotiation packet of the server.
    #[must_use]
    pub fn negotiation(&self, versions: &[QuicVersion]) -> Vec<u8> {
        let mut packet = vec![0xc0, 0, 0, 0, 0];
        for id in [&self.client, &self.origin] {
            packet.extend(u8::try_from(id.len()));
            packet.extend_from_slice(id.as_bytes());
        }
        packet.extend(versions.iter().flat_map(|version| version.0.to_be_bytes()));
        packet
    }

    /// An Initial packet of a side with these frames, padded to `length` bytes in all.
    ///
    /// # Panics
    ///
    /// Where the frames are too long to be written.
    pub fn initial(&mut self, role: Role, frames: &[u8], length: usize) -> Vec<u8> {
        let keys = PacketKeys::initial(self.version, &self.origin, role).expect("a known version");
        let first = if self.version == QuicVersion::V2 {
            0xd3
        } else {
            0xc3
        };
        let source = self.id(role);
        let mut header = self.head(first, role, &source);
        let token = if role == Role::Client {
            &*self.token
        } else {
            &[]
        };
        header.extend(u8::try_from(token.len()));
        header.extend_from_slice(token);
        // The length takes two bytes, the number four, the tag sixteen.
        let fixed = header.len() + 2 + 4 + 16;
        let mut payload = frames.to_vec();
        payload.resize(payload.len().max(length.saturating_sub(fixed)).max(4), 0);
        let rest = u16::try_from(4 + payload.len() + 16).expect("a packet");
        header.extend((0x4000 | rest).to_be_bytes());
        let number = self.next(role);
        header.extend(u32::try_from(number).expect("a small number").to_be_bytes());
        seal(&keys, &header, number, &payload)
    }

    /// A Handshake packet of a side, of so many bytes in all, whose content is random to those who have no keys.
    ///
    /// # Panics
    ///
    /// Where it is too long to be written.
    #[must_use]
    pub fn handshake(&self, role: Role, length: usize) -> Vec<u8> {
        let first = if self.version == QuicVersion::V2 {
            0xf0
        } else {
            0xe0
        };
        let source = self.id(role);
        let mut packet = self.head(first, role, &source);
        let rest = length.saturating_sub(packet.len() + 2).max(20);
        packet.extend((0x4000 | u16::try_from(rest).expect("a packet")).to_be_bytes());
        packet.extend(noise(rest, length));
        packet
    }

    /// A 1-RTT packet of a side, of so many bytes in all.
    #[must_use]
    pub fn short(&self, role: Role, length: usize, seed: usize) -> Vec<u8> {
        let to = self.id(match role {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        });
        let mut packet = vec![0x40];
        packet.extend_from_slice(to.as_bytes());
        packet.extend(noise(length.saturating_sub(packet.len()), seed));
        packet
    }

    fn id(&self, role: Role) -> ConnectionId {
        match role {
            Role::Client => self.client,
            Role::Server => self.server,
        }
    }

    /// First byte, version, destination and source.
    fn head(&self, first: u8, role: Role, source: &ConnectionId) -> Vec<u8> {
        let mut head = vec![first];
        head.extend(self.version.0.to_be_bytes());
        let destination = match role {
            Role::Client => &self.origin,
            Role::Server => &self.client,
        };
        for id in [destination, source] {
            head.extend(u8::try_from(id.len()));
            head.extend_from_slice(id.as_bytes());
        }
        head
    }

    fn next(&mut self, role: Role) -> u64 {
        let number = role.of(&mut self.numbers);
        *number += 1;
        *number - 1
    }
}

/// A CRYPTO frame.
///
/// # Panics
///
/// Where it does not fit a packet.
#[must_use]
pub fn crypto(offset: u16, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![6];
    frame.extend((0x4000 | offset).to_be_bytes());
    let length = u16::try_from(data.len()).expect("a packet");
    frame.extend((0x4000 | length).to_be_bytes());
    frame.extend_from_slice(data);
    frame
}

/// An ACK frame of the packets from 0 to `largest`.
#[must_use]
pub fn ack(largest: u8) -> Vec<u8> {
    vec![2, largest & 0x3f, 0, 0, largest & 0x3f]
}

/// A CONNECTION_CLOSE frame of the transport.
#[must_use]
pub fn close(code: u16, reason: &str) -> Vec<u8> {
    let mut frame = vec![0x1c];
    frame.extend((0x4000 | code).to_be_bytes());
    frame.push(0);
    frame.extend(u8::try_from(reason.len() & 0x3f));
    frame.extend_from_slice(reason.as_bytes());
    frame
}

/// A ClientHello of TLS 1.3 for a name and `h3`, of at least so many bytes.
///
/// # Panics
///
/// Where it is too long.
#[must_use]
pub fn client_hello(name: &str, length: usize) -> Vec<u8> {
    let with_length = |body: &[u8]| {
        let mut out = u16::try_from(body.len())
            .expect("short")
            .to_be_bytes()
            .to_vec();
        out.extend_from_slice(body);
        out
    };
    let extension = |kind: u16, body: &[u8]| [&kind.to_be_bytes()[..], &with_length(body)].concat();
    let host = [&[0][..], &with_length(name.as_bytes())].concat();
    let mut extensions = [
        extension(0, &with_length(&host)),
        extension(16, &[0, 3, 2, b'h', b'3']),
        extension(43, &[2, 3, 4]),
        extension(0x39, &[1, 4, 0x80, 0, 0x75, 0x30]),
    ]
    .concat();
    let missing = length.saturating_sub(extensions.len() + 53);
    extensions.extend(extension(21, &vec![0; missing]));
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
    body.extend(with_length(&extensions));
    message(1, &body)
}

/// A ServerHello of TLS 1.3.
#[must_use]
pub fn server_hello() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([9; 32]);
    body.extend([0, 0x13, 0x01, 0, 0, 6, 0, 43, 0, 2, 3, 4]);
    message(2, &body)
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[kind, a, b, c][..], body].concat()
}

/// Bytes that repeat nothing.
fn noise(length: usize, seed: usize) -> impl Iterator<Item = u8> {
    let mut state = u64::try_from(seed).unwrap_or_default() + 0x9e37_79b9;
    (0..length).map(move |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    })
}
