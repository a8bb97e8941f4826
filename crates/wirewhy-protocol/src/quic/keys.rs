//! Packet protection (RFC 9001 section 5, RFC 9369 section 3.3): keys of Initial packets, which anyone can derive, and
//! of later ones from the secrets of a key log.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256};
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use hkdf::Hkdf;
use sha2::Sha256;

use super::ids::{ConnectionId, QuicVersion};
use super::packet::Retry;
use crate::tls::{Aead, Cipher, CipherSuite, Hash, ProtocolVersion, Suite};
use crate::types::Role;

/// What is sampled of a packet to protect its header (RFC 9001 section 5.4.2).
const SAMPLE: usize = 16;

/// The longest packet number.
const NUMBER: usize = 4;

/// What an opened packet was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Opened {
    pub(super) number: u64,
    /// Of a 1-RTT packet, its key phase bit.
    pub(super) phase: bool,
    /// Its frames.
    pub(super) payload: Vec<u8>,
}

/// Opens the packets of one side at one level of encryption.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PacketKeys {
    hash: Hash,
    aead: Aead,
    secret: Box<[u8]>,
    key: Box<[u8]>,
    nonce: [u8; 12],
    header: Box<[u8]>,
    is_version_2: bool,
}

impl PacketKeys {
    /// The keys of a side's Initial packets, where the client began with this destination. `None` of a version that is not
    /// known.
    pub(super) fn initial(
        version: QuicVersion,
        destination: &ConnectionId,
        side: Role,
    ) -> Option<PacketKeys> {
        let salt = initial_salt(version)?;
        let (extracted, _) = Hkdf::<Sha256>::extract(Some(salt), destination.as_bytes());
        let label: &[u8] = match side {
            Role::Client => b"client in",
            Role::Server => b"server in",
        };
        let secret = Hash::Sha256.expand_label(&extracted, label, 32)?;
        PacketKeys::of(version, Aead::Gcm, Hash::Sha256, 16, &secret)
    }

    /// The keys from a traffic secret; `None` where the suite cannot be used here.
    pub(super) fn from_secret(
        version: QuicVersion,
        suite: CipherSuite,
        secret: &[u8],
    ) -> Option<PacketKeys> {
        let suite = Suite::new(ProtocolVersion::TLS1_3, suite)?;
        let Cipher::Aead(aead) = suite.cipher else {
            return None;
        };
        if secret.len() != suite.hash.length() {
            return None;
        }
        PacketKeys::of(version, aead, suite.hash, suite.key_length, secret)
    }

    fn of(
        version: QuicVersion,
        aead: Aead,
        hash: Hash,
        length: usize,
        secret: &[u8],
    ) -> Option<PacketKeys> {
        let is_version_2 = version == QuicVersion::V2;
        let [key, iv, header] = match is_version_2 {
            true => [&b"quicv2 key"[..], b"quicv2 iv", b"quicv2 hp"],
            false => [&b"quic key"[..], b"quic iv", b"quic hp"],
        };
        Some(PacketKeys {
            hash,
            aead,
            key: hash.expand_label(secret, key, length)?.into(),
            nonce: hash.expand_label(secret, iv, 12)?.try_into().ok()?,
            header: hash.expand_label(secret, header, length)?.into(),
            secret: secret.into(),
            is_version_2,
        })
    }

    /// The keys after a key update; the key of the headers stays (RFC 9001 section 6.1).
    pub(super) fn updated(&self) -> Option<PacketKeys> {
        let label: &[u8] = match self.is_version_2 {
            true => b"quicv2 ku",
            false => b"quic ku",
        };
        let secret = self
            .hash
            .expand_label(&self.secret, label, self.hash.length())?;
        let version = match self.is_version_2 {
            true => QuicVersion::V2,
            false => QuicVersion::V1,
        };
        let next = PacketKeys::of(version, self.aead, self.hash, self.key.len(), &secret)?;
        Some(PacketKeys {
            header: self.header.clone(),
            ..next
        })
    }

    /// Takes the protection of the header of a packet away, its packet number at `number_at`. `largest` is the largest number
    /// of its space that was opened before.
    pub(super) fn unprotect(
        &self,
        packet: &[u8],
        number_at: usize,
        largest: Option<u64>,
    ) -> Option<Unprotected> {
        let sample_at = number_at.checked_add(NUMBER)?;
        let sample = packet.get(sample_at..)?.first_chunk::<SAMPLE>()?;
        let [flags, mask @ ..] = self.mask(sample)?;
        let (&first, _) = packet.split_first()?;
        let bits = if first & 0x80 != 0 { 0x0f } else { 0x1f };
        let first = first ^ flags & bits;
        let length = usize::from(first & 3) + 1;
        let mut header = packet.get(..number_at.checked_add(length)?)?.to_vec();
        *header.first_mut()? = first;
        let mut truncated = 0;
        for (byte, mask) in header.get_mut(number_at..)?.iter_mut().zip(mask) {
            *byte ^= mask;
            truncated = truncated << 8 | u64::from(*byte);
        }
        let bits = 8 * u32::try_from(length).ok()?;
        Some(Unprotected {
            number: whole_number(truncated, bits, largest),
            phase: first & 0x04 != 0,
            header,
        })
    }

    /// The payload of a packet whose header protection was taken away; `None` where it does not authenticate.
    pub(super) fn payload(&self, packet: &[u8], unprotected: &Unprotected) -> Option<Vec<u8>> {
        let mut nonce = self.nonce;
        for (byte, number) in nonce.iter_mut().rev().zip(unprotected.number.to_le_bytes()) {
            *byte ^= number;
        }
        let body = packet.get(unprotected.header.len()..)?;
        self.aead.open(&self.key, &nonce, &unprotected.header, body)
    }

    /// Both at once.
    pub(super) fn open(
        &self,
        packet: &[u8],
        number_at: usize,
        largest: Option<u64>,
    ) -> Option<Opened> {
        let unprotected = self.unprotect(packet, number_at, largest)?;
        Some(Opened {
            payload: self.payload(packet, &unprotected)?,
            number: unprotected.number,
            phase: unprotected.phase,
        })
    }

    /// Key and nonce.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn parts(&self) -> (&[u8], [u8; 12]) {
        (&self.key, self.nonce)
    }

    /// The mask of a header (RFC 9001 sections 5.4.3 and 5.4.4).
    pub(super) fn mask(&self, sample: &[u8; SAMPLE]) -> Option<[u8; 5]> {
        let key = &*self.header;
        match (self.aead, key.len()) {
            (Aead::ChaCha20Poly1305, _) => {
                let (counter, nonce) = sample.split_first_chunk::<4>()?;
                let mut stream = ChaCha20::new_from_slices(key, nonce).ok()?;
                // A block of the key stream has 64 bytes.
                stream
                    .try_seek(64 * u64::from(u32::from_le_bytes(*counter)))
                    .ok()?;
                let mut mask = [0; 5];
                stream.try_apply_keystream(&mut mask).ok()?;
                Some(mask)
            }
            (_, 16) => encrypted::<Aes128>(key, sample),
            (_, 32) => encrypted::<Aes256>(key, sample),
            _ => None,
        }
    }
}

impl std::fmt::Debug for PacketKeys {
    /// Keys do not belong in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PacketKeys").finish_non_exhaustive()
    }
}

/// A packet without its header protection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Unprotected {
    pub(super) number: u64,
    pub(super) phase: bool,
    /// Up to the last byte of the packet number.
    header: Vec<u8>,
}

/// The number that a packet has, of which it carries the lowest `bits` (RFC 9000 appendix A.3).
fn whole_number(truncated: u64, bits: u32, largest: Option<u64>) -> u64 {
    let expected = largest.map_or(0, |largest| largest.saturating_add(1));
    let window = 1_u64 << bits;
    let half = window / 2;
    let candidate = expected & !(window - 1) | truncated;
    if candidate.saturating_add(half) <= expected && candidate < (1 << 62) - window {
        candidate + window
    } else if candidate > expected.saturating_add(half) && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}

fn encrypted<C: BlockCipherEncrypt + KeyInit>(
    key: &[u8],
    sample: &[u8; SAMPLE],
) -> Option<[u8; 5]> {
    let cipher = C::new_from_slice(key).ok()?;
    let mut block = aes::cipher::Block::<C>::default();
    block.as_mut_slice().copy_from_slice(sample);
    cipher.encrypt_block(&mut block);
    block.first_chunk::<5>().copied()
}

/// The salt of a version (RFC 9001 section 5.2, RFC 9369 section 3.3.1; the same section of the drafts).
fn initial_salt(version: QuicVersion) -> Option<&'static [u8; 20]> {
    const V1: [u8; 20] = [
        0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c,
        0xad, 0xcc, 0xbb, 0x7f, 0x0a,
    ];
    const V2: [u8; 20] = [
        0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d,
        0xcb, 0xf9, 0xbd, 0x2e, 0xd9,
    ];
    const DRAFT_29: [u8; 20] = [
        0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11,
        0xe0, 0x43, 0x90, 0xa8, 0x99,
    ];
    const DRAFT_23: [u8; 20] = [
        0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63,
        0x65, 0xbe, 0xf9, 0xf5, 0x02,
    ];
    const DRAFT_22: [u8; 20] = [
        0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a, 0x96, 0xcd, 0x21, 0x51, 0x9e,
        0xbd, 0x7a, 0x02, 0x64, 0x4a,
    ];
    match (version, version.draft()) {
        (QuicVersion::V1, _) | (_, Some(33..=34)) => Some(&V1),
        (QuicVersion::V2, _) => Some(&V2),
        (_, Some(29..=32)) => Some(&DRAFT_29),
        (_, Some(23..=28)) => Some(&DRAFT_23),
        (_, Some(22)) => Some(&DRAFT_22),
        _ => None,
    }
}

/// The key and the nonce of the integrity tag of a Retry; `None` before draft 25, which has none.
fn retry_key(version: QuicVersion) -> Option<([u8; 16], [u8; 12])> {
    match (version, version.draft()) {
        (QuicVersion::V1, _) | (_, Some(33..=34)) => Some((
            [
                0xbe, 0x0c, 0x69, 0x0b, 0x9f, 0x66, 0x57, 0x5a, 0x1d, 0x76, 0x6b, 0x54, 0xe3, 0x68,
                0xc8, 0x4e,
            ],
            [
                0x46, 0x15, 0x99, 0xd3, 0x5d, 0x63, 0x2b, 0xf2, 0x23, 0x98, 0x25, 0xbb,
            ],
        )),
        (QuicVersion::V2, _) => Some((
            [
                0x8f, 0xb4, 0xb0, 0x1b, 0x56, 0xac, 0x48, 0xe2, 0x60, 0xfb, 0xcb, 0xce, 0xad, 0x7c,
                0xcc, 0x92,
            ],
            [
                0xd8, 0x69, 0x69, 0xbc, 0x2d, 0x7c, 0x6d, 0x99, 0x90, 0xef, 0xb0, 0x4a,
            ],
        )),
        (_, Some(29..=32)) => Some((
            [
                0xcc, 0xce, 0x18, 0x7e, 0xd0, 0x9a, 0x09, 0xd0, 0x57, 0x28, 0x15, 0x5a, 0x6c, 0xb9,
                0x6b, 0xe1,
            ],
            [
                0xe5, 0x49, 0x30, 0xf9, 0x7f, 0x21, 0x36, 0xf0, 0x53, 0x0a, 0x8c, 0x1c,
            ],
        )),
        (_, Some(25..=28)) => Some((
            [
                0x4d, 0x32, 0xec, 0xdb, 0x2a, 0x21, 0x33, 0xc8, 0x41, 0xe4, 0x04, 0x3d, 0xf2, 0x7d,
                0x44, 0x30,
            ],
            [
                0x4d, 0x16, 0x11, 0xd0, 0x55, 0x13, 0xa5, 0x52, 0xc5, 0x87, 0xd5, 0x75,
            ],
        )),
        _ => None,
    }
}

/// Whether a Retry carries the integrity tag of an answer to a client whose first destination was this (RFC 9001 section
/// 5.8). True before draft 25, which has no tag.
pub(super) fn is_authentic(retry: &Retry<'_>, first_destination: &ConnectionId) -> bool {
    let Some((key, nonce)) = retry_key(retry.version) else {
        return retry.version.is_known();
    };
    let pseudo = pseudo_retry(first_destination, retry.untagged);
    let opened = Aead::Gcm.open(&key, &nonce, &pseudo, retry.tag);
    opened.is_some()
}

/// What the tag of a Retry authenticates.
fn pseudo_retry(first_destination: &ConnectionId, untagged: &[u8]) -> Vec<u8> {
    let id = first_destination.as_bytes();
    let mut pseudo = Vec::with_capacity(1 + id.len() + untagged.len());
    pseudo.extend(u8::try_from(id.len()));
    pseudo.extend_from_slice(id);
    pseudo.extend_from_slice(untagged);
    pseudo
}

/// The tag that a Retry gets.
#[cfg(any(test, feature = "testing"))]
pub(super) fn retry_tag(
    version: QuicVersion,
    first_destination: &ConnectionId,
    untagged: &[u8],
) -> Option<Vec<u8>> {
    use aes_gcm::aead::{AeadInOut, Nonce};
    let (key, nonce) = retry_key(version)?;
    let pseudo = pseudo_retry(first_destination, untagged);
    let nonce = Nonce::<aes_gcm::Aes128Gcm>::try_from(nonce.as_slice()).ok()?;
    let mut tag = Vec::new();
    let cipher = <aes_gcm::Aes128Gcm as aes_gcm::aead::KeyInit>::new_from_slice(&key).ok()?;
    cipher.encrypt_in_place(&nonce, &pseudo, &mut tag).ok()?;
    Some(tag)
}

#[cfg(test)]
mod tests;
