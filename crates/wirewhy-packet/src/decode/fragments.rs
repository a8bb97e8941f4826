//! Reassembly of IP fragments (RFC 791 section 3.2, RFC 8200 section 4.5), bounded in count, bytes and age.

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{Interval, Timestamp};

/// RFC 8200 section 4.5 gives a datagram 60 seconds from its first fragment; RFC 1122 section 3.3.2 gives IPv4 as much.
const MAX_AGE: Interval = Interval::from_secs(60);

/// Datagrams pending at once; the oldest makes room.
const MAX_DATAGRAMS: usize = 1024;

/// Bytes pending at once, bookkeeping included.
const MAX_BYTES: usize = 4 << 20;

/// What a piece costs beyond its bytes.
const PIECE_OVERHEAD: usize = 64;

/// The longest payload an IP packet can have (RFC 791: a 16-bit length).
const MAX_DATAGRAM: usize = 0xffff;

/// Which datagram a fragment belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum FragmentKey {
    /// RFC 791: addresses, protocol and identification.
    V4 {
        source: Ipv4Addr,
        destination: Ipv4Addr,
        id: u16,
        protocol: u8,
    },
    /// RFC 8200 section 4.5: addresses and identification.
    V6 {
        source: Ipv6Addr,
        destination: Ipv6Addr,
        id: u32,
    },
}

/// A fragment as its header describes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment<'a> {
    pub(super) key: FragmentKey,
    /// What the datagram carries, as this fragment says.
    pub(super) protocol: u8,
    /// Where `data` belongs in the datagram.
    pub(super) offset: usize,
    /// Whether no fragment follows behind this one.
    pub(super) last: bool,
    /// How long the headers say `data` is.
    pub(super) claimed: usize,
    pub(super) data: &'a [u8],
    /// Length of the IP headers in front.
    pub(super) headers: usize,
}

/// A datagram put together.
#[derive(Debug)]
pub(super) struct Reassembled {
    /// What it carries, as its first fragment says.
    pub(super) protocol: u8,
    pub(super) bytes: Vec<u8>,
}

/// What became of a fragment.
#[derive(Debug)]
pub(super) enum Added {
    /// More fragments are missing.
    Pending,
    /// The fragment cannot belong to any datagram.
    Malformed,
    /// This was the last one missing.
    Complete(Reassembled),
}

/// Fragments of datagrams that are not complete.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    pending: HashMap<FragmentKey, Pending>,
    /// Keys by age, oldest first. A key whose datagram is gone, or was begun anew, has another serial or none.
    by_age: VecDeque<(FragmentKey, u64)>,
    bytes: usize,
    serial: u64,
}

#[derive(Debug)]
struct Pending {
    serial: u64,
    first_seen: Timestamp,
    /// By offset; may overlap where the bytes are the same.
    pieces: Vec<Piece>,
    /// Length of the datagram, once its last fragment came.
    end: Option<usize>,
    /// From the fragment at offset 0.
    protocol: Option<u8>,
    /// Fragments that contradict each other came: nothing will be put together, but the rest is still swallowed.
    poisoned: bool,
}

#[derive(Debug)]
struct Piece {
    offset: usize,
    data: Box<[u8]>,
}

impl Piece {
    fn end(&self) -> usize {
        self.offset + self.data.len()
    }
}

impl Fragments {
    /// Takes a fragment in.
    pub(super) fn add(&mut self, now: Timestamp, fragment: Fragment<'_>) -> Added {
        let end = fragment.offset + fragment.data.len();
        // RFC 8200 section 4.5: all but the last fragment are multiples of 8 bytes long.
        let ragged = !fragment.last && !fragment.data.len().is_multiple_of(8);
        if fragment.data.is_empty() || ragged || end > MAX_DATAGRAM {
            return Added::Malformed;
        }
        self.expire(now);
        match self.pending.get(&fragment.key) {
            Some(pending) if pending.poisoned => return Added::Pending,
            Some(pending) if pending.contradicts(&fragment) => {
                self.contradiction(now, fragment);
                return Added::Pending;
            }
            Some(_) => {}
            None => self.begin(now, fragment.key),
        }
        let Some(pending) = self.pending.get_mut(&fragment.key) else {
            return Added::Pending;
        };
        self.bytes += pending.take(&fragment);
        if let Some(datagram) = pending.assemble() {
            self.remove(&fragment.key);
            return Added::Complete(datagram);
        }
        self.make_room();
        Added::Pending
    }

    /// Two fragments claim the same place with different bytes, or the datagram has two ends.
    fn contradiction(&mut self, now: Timestamp, fragment: Fragment<'_>) {
        self.remove(&fragment.key);
        self.begin(now, fragment.key);
        let Some(pending) = self.pending.get_mut(&fragment.key) else {
            return;
        };
        match fragment.key {
            // The 16-bit identification comes round quickly: what was pending is an older datagram that lost a piece.
            FragmentKey::V4 { .. } => {
                self.bytes += pending.take(&fragment);
            }
            // RFC 8200 section 4.5: the datagram is discarded, with fragments still to come.
            FragmentKey::V6 { .. } => pending.poisoned = true,
        }
        self.make_room();
    }

    fn begin(&mut self, now: Timestamp, key: FragmentKey) {
        self.serial += 1;
        self.by_age.push_back((key, self.serial));
        let pending = Pending {
            serial: self.serial,
            first_seen: now,
            pieces: Vec::new(),
            end: None,
            protocol: None,
            poisoned: false,
        };
        self.pending.insert(key, pending);
    }

    fn remove(&mut self, key: &FragmentKey) {
        if let Some(gone) = self.pending.remove(key) {
            let bytes: usize = gone.pieces.iter().map(cost).sum();
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }

    /// Drops what is too old; time that runs backwards drops nothing.
    fn expire(&mut self, now: Timestamp) {
        while let Some(&(key, serial)) = self.by_age.front() {
            match self.pending.get(&key) {
                Some(pending) if pending.serial == serial => {
                    if now.since(pending.first_seen) <= MAX_AGE {
                        return;
                    }
                    self.remove(&key);
                }
                _ => {}
            }
            self.by_age.pop_front();
        }
    }

    /// Drops the oldest until the bounds hold.
    fn make_room(&mut self) {
        while self.pending.len() > MAX_DATAGRAMS || self.bytes > MAX_BYTES {
            let Some((key, serial)) = self.by_age.pop_front() else {
                return;
            };
            if self.pending.get(&key).is_some_and(|p| p.serial == serial) {
                self.remove(&key);
            }
        }
        if self.by_age.len() > 4 * MAX_DATAGRAMS {
            let pending = &self.pending;
            self.by_age
                .retain(|(key, serial)| pending.get(key).is_some_and(|p| p.serial == *serial));
        }
    }
}

impl Pending {
    /// Whether the fragment cannot belong to the datagram as known so far.
    fn contradicts(&self, fragment: &Fragment<'_>) -> bool {
        let end = fragment.offset + fragment.data.len();
        let ends_differ = match self.end {
            Some(known) => end > known || (fragment.last && end != known),
            None => fragment.last && self.pieces.iter().any(|piece| piece.end() > end),
        };
        ends_differ
            || self
                .pieces
                .iter()
                .any(|piece| !agree(piece, fragment.offset, fragment.data))
    }

    /// Keeps what is new of the fragment; returns what it costs.
    fn take(&mut self, fragment: &Fragment<'_>) -> usize {
        let end = fragment.offset + fragment.data.len();
        if fragment.last {
            self.end = Some(end);
        }
        if fragment.offset == 0 {
            self.protocol = Some(fragment.protocol);
        }
        if self
            .pieces
            .iter()
            .any(|piece| piece.offset <= fragment.offset && end <= piece.end())
        {
            return 0;
        }
        let piece = Piece {
            offset: fragment.offset,
            data: fragment.data.into(),
        };
        let cost = cost(&piece);
        let place = self
            .pieces
            .partition_point(|other| other.offset <= piece.offset);
        self.pieces.insert(place, piece);
        cost
    }

    /// The datagram, where nothing is missing.
    fn assemble(&self) -> Option<Reassembled> {
        let (end, protocol) = (self.end?, self.protocol?);
        let mut reached = 0;
        for piece in &self.pieces {
            if piece.offset > reached {
                return None;
            }
            reached = reached.max(piece.end());
        }
        if reached < end {
            return None;
        }
        let mut bytes = Vec::with_capacity(end);
        for piece in &self.pieces {
            let known = bytes.len() - piece.offset;
            bytes.extend_from_slice(piece.data.get(known..).unwrap_or(&[]));
        }
        Some(Reassembled { protocol, bytes })
    }
}

fn cost(piece: &Piece) -> usize {
    piece.data.len() + PIECE_OVERHEAD
}

/// Whether the bytes are the same wherever both have some.
fn agree(piece: &Piece, offset: usize, data: &[u8]) -> bool {
    let from = piece.offset.max(offset);
    let to = piece.end().min(offset + data.len());
    from >= to
        || piece.data.get(from - piece.offset..to - piece.offset)
            == data.get(from - offset..to - offset)
}
