//! Records opened with secrets from a key log.

mod cipher;
mod derive;
mod suite;

use std::fmt;

use self::cipher::BLOCK;
pub(crate) use self::derive::Hash;
use self::derive::Prf;
pub(crate) use self::suite::{Aead, Cipher, Suite};
use super::{CipherSuite, ContentType, ProtocolVersion};

/// Opens the protected records of one direction, in order.
#[derive(Clone, PartialEq, Eq)]
pub struct Decryptor {
    keys: Keys,
    key: Box<[u8]>,
    /// The number of the next record (RFC 8446 section 5.3).
    sequence: u64,
}

/// What was in a protected record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// Its type; of TLS 1.3 the one inside.
    pub kind: ContentType,
    /// Its content without padding.
    pub plaintext: Vec<u8>,
}

/// What the hellos of TLS 1.2, 1.1 or 1.0 settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settled {
    /// The version.
    pub version: ProtocolVersion,
    /// The cipher suite.
    pub cipher_suite: CipherSuite,
    /// The ClientHello's random.
    pub client_random: [u8; 32],
    /// The ServerHello's random.
    pub server_random: [u8; 32],
    /// Whether the ServerHello has the extension `encrypt_then_mac` (RFC 7366).
    pub encrypt_then_mac: bool,
}

/// Whose records.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Sender {
    /// The client's.
    Client,
    /// The server's.
    Server,
}

/// How the records are protected, and what besides the key is needed.
#[derive(Clone, PartialEq, Eq)]
enum Keys {
    /// TLS 1.3.
    Tls13 {
        aead: Aead,
        hash: Hash,
        nonce: [u8; 12],
        secret: Box<[u8]>,
        /// Whether a record's header is authenticated.
        header: bool,
    },
    /// An authenticated cipher of TLS 1.2, with the fixed part of its nonce.
    Aead { aead: Aead, fixed: Box<[u8]> },
    /// CBC, or no encryption at all.
    Mac {
        hash: Hash,
        mac_key: Box<[u8]>,
        encrypt_then_mac: bool,
        iv: Iv,
    },
}

/// Where CBC has its initialization vector.
#[derive(Clone, PartialEq, Eq)]
enum Iv {
    /// There is no encryption.
    None,
    /// At the record's beginning.
    Explicit,
    /// The last block of the record before (TLS 1.0).
    Chained([u8; BLOCK]),
}

impl Decryptor {
    /// For records of TLS 1.3, or of a draft of it from the 20th on, under a traffic secret. `None` where the version or the
    /// cipher suite is not supported, or the secret has not the length of its hash.
    #[must_use]
    pub fn from_traffic_secret(
        version: ProtocolVersion,
        cipher_suite: CipherSuite,
        secret: &[u8],
    ) -> Option<Decryptor> {
        let header = match version.0 {
            0x0304 | 0x7f19..=0x7fff => true,
            // Before draft 25 it was not authenticated, before draft 20 the keys were derived otherwise.
            0x7f14..0x7f19 => false,
            _ => return None,
        };
        let suite = Suite::new(ProtocolVersion::TLS1_3, cipher_suite)?;
        let Cipher::Aead(aead) = suite.cipher else {
            return None;
        };
        let hash = suite.hash;
        if secret.len() != hash.length() {
            return None;
        }
        Decryptor::tls13(aead, hash, suite.key_length, secret.into(), header)
    }

    /// For the records of TLS 1.2, 1.1 or 1.0 after a side's ChangeCipherSpec. `None` where the cipher suite is not
    /// supported.
    #[must_use]
    pub fn from_master_secret(
        settled: &Settled,
        master: &[u8; 48],
        sender: Sender,
    ) -> Option<Decryptor> {
        let suite = Suite::new(settled.version, settled.cipher_suite)?;
        let prf = match settled.version {
            ProtocolVersion::TLS1_2 => Prf::Tls12(suite.hash),
            ProtocolVersion::TLS1_0 | ProtocolVersion::TLS1_1 => Prf::Md5Sha1,
            _ => return None,
        };
        let chained = settled.version == ProtocolVersion::TLS1_0;
        let (mac_length, iv_length) = match suite.cipher {
            Cipher::Aead(aead) => (0, aead.fixed_nonce_length()),
            Cipher::Cbc(hash) if chained => (hash.length(), BLOCK),
            Cipher::Cbc(hash) | Cipher::Null(hash) => (hash.length(), 0),
        };
        let lengths = [mac_length, suite.key_length, iv_length];
        let block = prf.key_block(
            master,
            &settled.server_random,
            &settled.client_random,
            2 * lengths.iter().sum::<usize>(),
        )?;
        let [mac_key, key, iv] = part_of(sender, &block, lengths)?;
        let keys = match suite.cipher {
            Cipher::Aead(aead) => Keys::Aead { aead, fixed: iv },
            Cipher::Cbc(hash) | Cipher::Null(hash) => Keys::Mac {
                hash,
                mac_key,
                // It is of no use to what is not a block cipher (RFC 7366 section 3).
                encrypt_then_mac: settled.encrypt_then_mac
                    && matches!(suite.cipher, Cipher::Cbc(_)),
                iv: match suite.cipher {
                    Cipher::Cbc(_) if chained => Iv::Chained(iv.as_ref().try_into().ok()?),
                    Cipher::Cbc(_) => Iv::Explicit,
                    _ => Iv::None,
                },
            },
        };
        Some(Decryptor {
            keys,
            key,
            sequence: 0,
        })
    }

    /// Opens the record that follows the last one. `header` is as it was on the wire, `body` what came after it.
    ///
    /// `None` where it does not open. A record of TLS 1.3 that does not open keeps its number for the next one: early
    /// data that a server refused are recognised by just that (RFC 8446 section 4.2.10). Before 1.3 it has used its number up.
    #[must_use]
    pub fn open(&mut self, header: [u8; 5], body: &[u8]) -> Option<Opened> {
        let [kind, ..] = header;
        let kind = ContentType(kind);
        if let Keys::Tls13 {
            aead,
            nonce,
            header: with_header,
            ..
        } = &self.keys
        {
            if kind != ContentType(23) {
                return None;
            }
            let nonce = numbered(*nonce, self.sequence);
            let additional = if *with_header { header.as_slice() } else { &[] };
            let text = aead.open(&self.key, &nonce, additional, body)?;
            self.sequence = self.sequence.wrapping_add(1);
            return inner(text);
        }
        let plaintext = match &mut self.keys {
            Keys::Tls13 { .. } => None,
            Keys::Aead { aead, fixed } => {
                open_aead(*aead, &self.key, fixed, self.sequence, header, body)
            }
            Keys::Mac {
                hash,
                mac_key,
                encrypt_then_mac,
                iv,
            } => {
                let seal = Seal {
                    hash: *hash,
                    mac_key,
                    sequence: self.sequence,
                    header,
                };
                let text = if *encrypt_then_mac {
                    seal.open_encrypted_then_authenticated(&self.key, iv, body)
                } else {
                    seal.open_authenticated_then_encrypted(&self.key, iv, body)
                };
                iv.advance(body, if *encrypt_then_mac { hash.length() } else { 0 });
                text
            }
        };
        self.sequence = self.sequence.wrapping_add(1);
        Some(Opened {
            kind,
            plaintext: plaintext?,
        })
    }

    /// Passes over a record whose bytes were not seen whole. After one of TLS 1.0 with CBC the next does not open either.
    pub fn skip(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
    }

    /// Takes the next keys, as its sender does after a KeyUpdate (RFC 8446 section 7.2). Of TLS 1.3 only: otherwise
    /// nothing changes.
    pub fn update(&mut self) {
        if let Some(renewed) = self.renewed() {
            *self = renewed;
        }
    }

    /// With the keys after a KeyUpdate; `None` before TLS 1.3.
    pub(super) fn renewed(&self) -> Option<Decryptor> {
        let Keys::Tls13 {
            aead,
            hash,
            secret,
            header,
            ..
        } = &self.keys
        else {
            return None;
        };
        let secret = hash.expand_label(secret, b"traffic upd", hash.length())?;
        Decryptor::tls13(*aead, *hash, self.key.len(), secret.into(), *header)
    }

    /// The keys of RFC 8446 section 7.3.
    fn tls13(
        aead: Aead,
        hash: Hash,
        key_length: usize,
        secret: Box<[u8]>,
        header: bool,
    ) -> Option<Decryptor> {
        let nonce = hash.expand_label(&secret, b"iv", 12)?;
        Some(Decryptor {
            key: hash.expand_label(&secret, b"key", key_length)?.into(),
            keys: Keys::Tls13 {
                aead,
                hash,
                nonce: nonce.try_into().ok()?,
                secret,
                header,
            },
            sequence: 0,
        })
    }
}

impl fmt::Debug for Decryptor {
    /// The number of the next record only: keys do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decryptor")
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

impl Iv {
    /// What to decrypt with, and what to decrypt.
    fn split<'a>(&self, body: &'a [u8]) -> Option<([u8; BLOCK], &'a [u8])> {
        match self {
            Iv::None => None,
            Iv::Explicit => body.split_first_chunk().map(|(iv, rest)| (*iv, rest)),
            Iv::Chained(iv) => Some((*iv, body)),
        }
    }

    /// The record had this body, with `mac` bytes after its blocks.
    fn advance(&mut self, body: &[u8], mac: usize) {
        if let Iv::Chained(iv) = self
            && let Some(blocks) = body.len().checked_sub(mac)
            && let Some(last) = body.get(..blocks).and_then(|blocks| blocks.last_chunk())
        {
            *iv = *last;
        }
    }
}

/// A record under a MAC.
struct Seal<'a> {
    hash: Hash,
    mac_key: &'a [u8],
    sequence: u64,
    header: [u8; 5],
}

impl Seal<'_> {
    /// RFC 7366 section 3.
    fn open_encrypted_then_authenticated(
        &self,
        key: &[u8],
        iv: &Iv,
        body: &[u8],
    ) -> Option<Vec<u8>> {
        let (sealed, mac) = body.split_at_checked(body.len().checked_sub(self.hash.length())?)?;
        if self.mac(sealed)? != mac {
            return None;
        }
        let (iv, blocks) = iv.split(sealed)?;
        let mut text = cipher::cbc(key, &iv, blocks)?;
        text.truncate(unpadded(&text)?);
        Some(text)
    }

    /// RFC 5246 section 6.2.3.
    fn open_authenticated_then_encrypted(
        &self,
        key: &[u8],
        iv: &Iv,
        body: &[u8],
    ) -> Option<Vec<u8>> {
        let mut text = match iv.split(body) {
            Some((iv, blocks)) => {
                let mut text = cipher::cbc(key, &iv, blocks)?;
                text.truncate(unpadded(&text)?);
                text
            }
            None if *iv == Iv::None => body.to_vec(),
            None => return None,
        };
        let (content, mac) = text.split_at_checked(text.len().checked_sub(self.hash.length())?)?;
        if self.mac(content)? != mac {
            return None;
        }
        text.truncate(content.len());
        Some(text)
    }

    fn mac(&self, content: &[u8]) -> Option<Vec<u8>> {
        let about = described(self.sequence, self.header, content.len())?;
        self.hash.hmac(self.mac_key, &[&about, content])
    }
}

/// An authenticated cipher of TLS 1.2.
fn open_aead(
    aead: Aead,
    key: &[u8],
    fixed: &[u8],
    sequence: u64,
    header: [u8; 5],
    body: &[u8],
) -> Option<Vec<u8>> {
    let (nonce, sealed) = match aead {
        // RFC 7905 section 2.
        Aead::ChaCha20Poly1305 => (numbered(fixed.try_into().ok()?, sequence), body),
        // RFC 5288 section 3, RFC 6655 section 3.
        Aead::Gcm | Aead::Ccm | Aead::Ccm8 => {
            let (explicit, sealed) = body.split_first_chunk::<8>()?;
            let nonce = [fixed, explicit.as_slice()].concat();
            (nonce.try_into().ok()?, sealed)
        }
    };
    let length = sealed.len().checked_sub(aead.tag_length())?;
    let additional = described(sequence, header, length)?;
    aead.open(key, &nonce, &additional, sealed)
}

/// What MACs of TLS 1.2 and before are about besides the content (RFC 5246 section 6.2.3.1).
fn described(sequence: u64, header: [u8; 5], length: usize) -> Option<[u8; 13]> {
    let [kind, major, minor, ..] = header;
    let [high, low] = u16::try_from(length).ok()?.to_be_bytes();
    let mut about = [0; 13];
    let (number, rest) = about.split_first_chunk_mut::<8>()?;
    *number = sequence.to_be_bytes();
    rest.copy_from_slice(&[kind, major, minor, high, low]);
    Some(about)
}

/// The nonce of a record with this number (RFC 8446 section 5.3).
fn numbered(mut nonce: [u8; 12], sequence: u64) -> [u8; 12] {
    for (byte, number) in nonce.iter_mut().skip(4).zip(sequence.to_be_bytes()) {
        *byte ^= number;
    }
    nonce
}

/// The type and content of a TLS 1.3 record without its padding (RFC 8446 section 5.4). One of zeros only has none.
fn inner(mut text: Vec<u8>) -> Option<Opened> {
    let end = text.iter().rposition(|&byte| byte != 0)?;
    let kind = ContentType(*text.get(end)?);
    text.truncate(end);
    Some(Opened {
        kind,
        plaintext: text,
    })
}

/// The length of a text without its padding, whose every byte tells its length (RFC 5246 section 6.2.3.2).
fn unpadded(text: &[u8]) -> Option<usize> {
    let (&padding, _) = text.split_last()?;
    let length = text.len().checked_sub(usize::from(padding) + 1)?;
    let uniform = text.get(length..)?.iter().all(|&byte| byte == padding);
    uniform.then_some(length)
}

/// A sender's MAC key, key and IV: the block has the client's before the server's of each (RFC 5246 section 6.3).
fn part_of(sender: Sender, block: &[u8], lengths: [usize; 3]) -> Option<[Box<[u8]>; 3]> {
    let mut rest = block;
    let mut parts = lengths.map(|length| {
        let (client, others) = rest.split_at_checked(length)?;
        let (server, others) = others.split_at_checked(length)?;
        rest = others;
        Some(Box::from(match sender {
            Sender::Client => client,
            Sender::Server => server,
        }))
    });
    let [mac_key, key, iv] = &mut parts;
    Some([mac_key.take()?, key.take()?, iv.take()?])
}

#[cfg(test)]
mod sessions;
#[cfg(test)]
mod tests;
