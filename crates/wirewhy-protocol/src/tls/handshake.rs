//! Handshake messages out of the records that carry them (RFC 8446 section 5.1): several in a record, one over many.

use super::HandshakeType;
use crate::{Mark, Unreadable};

const HEADER: usize = 4;

/// The longest message read: a ClientHello with post-quantum key shares takes two KiB.
const MAX_MESSAGE: usize = 64 * 1024;

/// The longest Certificate or CompressedCertificate message read.
const MAX_CERTIFICATES: usize = 256 * 1024;

/// Capacity beyond this is given back once its message is read.
const KEPT: usize = 4 * 1024;

/// A whole handshake message.
#[derive(Clone, Copy)]
pub(super) struct Whole<'a> {
    pub(super) kind: HandshakeType,
    /// Its header left out.
    pub(super) body: &'a [u8],
    /// The records that carried it.
    pub(super) records: u16,
    /// The version in the header of the first of them.
    pub(super) record_version: u16,
    pub(super) begun: Mark,
    pub(super) mark: Mark,
}

/// The handshake messages of one direction, as far as they are in the clear.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Transcript {
    /// What there is of a message that is not whole.
    buffer: Vec<u8>,
    begun: Mark,
    records: u16,
    record_version: u16,
    /// Why messages can no longer be put together.
    pub(super) stopped: Option<Unreadable>,
}

crate::compact!(Transcript {
    buffer,
    begun,
    records,
    record_version,
    stopped
});

impl Transcript {
    /// Another handshake record begins.
    pub(super) fn record(&mut self, version: u16) {
        if self.buffer.is_empty() {
            self.records = 0;
            self.record_version = version;
        }
        self.records = self.records.saturating_add(1);
    }

    /// Takes the next bytes of the record and hands over every message they complete.
    pub(super) fn take(&mut self, mut bytes: &[u8], mark: Mark, mut whole: impl FnMut(Whole<'_>)) {
        while !bytes.is_empty() && self.stopped.is_none() {
            if self.buffer.is_empty() {
                self.begun = mark;
                // The usual case: nothing to copy.
                if let Some(length) = self.length(bytes)
                    && let Some((message, rest)) = bytes.split_at_checked(length)
                {
                    self.hand_over(message, mark, &mut whole);
                    bytes = rest;
                    continue;
                }
            }
            let Some(wanted) = self.wanted() else {
                return;
            };
            let (piece, rest) = bytes.split_at_checked(wanted).unwrap_or((bytes, &[]));
            self.buffer.extend_from_slice(piece);
            bytes = rest;
            if piece.len() == wanted && self.wanted() == Some(0) {
                let message = std::mem::take(&mut self.buffer);
                self.hand_over(&message, mark, &mut whole);
                if message.capacity() <= KEPT {
                    self.buffer = message;
                    self.buffer.clear();
                }
            }
        }
    }

    /// What follows is not in the clear, or not known: what there is of a message stays unread.
    pub(super) fn stop(&mut self, reason: Option<Unreadable>) {
        self.buffer = Vec::new();
        self.stopped = self.stopped.or(reason);
    }

    /// Bytes of a message that is not whole.
    pub(super) fn kept(&self) -> usize {
        self.buffer.capacity()
    }

    /// How many bytes the buffer wants until its header, or then its message, is whole.
    fn wanted(&mut self) -> Option<usize> {
        let have = self.buffer.len();
        if have < HEADER {
            return Some(HEADER - have);
        }
        let buffer = std::mem::take(&mut self.buffer);
        let length = self.length(&buffer);
        if self.stopped.is_none() {
            self.buffer = buffer;
        }
        length.map(|length| length.saturating_sub(have))
    }

    /// The length of the message that `bytes` begin, its header included; `None` where the header is not whole, and where
    /// it is longer than what is read, which ends the reading.
    fn length(&mut self, bytes: &[u8]) -> Option<usize> {
        let (&[kind, a, b, c], _) = bytes.split_first_chunk::<HEADER>()?;
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
        let most = match HandshakeType(kind) {
            CERTIFICATE | COMPRESSED_CERTIFICATE => MAX_CERTIFICATES,
            _ => MAX_MESSAGE,
        };
        if length > most {
            self.stopped = Some(Unreadable::TooMuch);
            return None;
        }
        Some(length + HEADER)
    }

    fn hand_over(&mut self, message: &[u8], mark: Mark, whole: &mut impl FnMut(Whole<'_>)) {
        if let Some((&[kind, ..], body)) = message.split_first_chunk::<HEADER>() {
            whole(Whole {
                kind: HandshakeType(kind),
                body,
                records: self.records,
                record_version: self.record_version,
                begun: self.begun,
                mark,
            });
        }
        self.records = 1;
    }
}

pub(super) const HELLO_REQUEST: HandshakeType = HandshakeType(0);
pub(super) const CLIENT_HELLO: HandshakeType = HandshakeType(1);
pub(super) const SERVER_HELLO: HandshakeType = HandshakeType(2);
pub(super) const ENCRYPTED_EXTENSIONS: HandshakeType = HandshakeType(8);
pub(super) const CERTIFICATE: HandshakeType = HandshakeType(11);
pub(super) const SERVER_KEY_EXCHANGE: HandshakeType = HandshakeType(12);
pub(super) const CERTIFICATE_REQUEST: HandshakeType = HandshakeType(13);
pub(super) const SERVER_HELLO_DONE: HandshakeType = HandshakeType(14);
pub(super) const FINISHED: HandshakeType = HandshakeType(20);
pub(super) const CERTIFICATE_STATUS: HandshakeType = HandshakeType(22);
pub(super) const COMPRESSED_CERTIFICATE: HandshakeType = HandshakeType(25);
