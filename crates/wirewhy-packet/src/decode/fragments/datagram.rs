//! One datagram that comes in fragments.

use super::{Fragment, Reassembled};

/// Pieces of one datagram: a full one at the smallest MTU (RFC 791: 68 bytes) comes in 1366. Each piece is held against
/// all before it, so this bounds the time a crafted datagram can take.
pub(super) const MAX_PIECES: usize = 2048;

/// What a piece costs beyond its bytes.
const PIECE_OVERHEAD: usize = 64;

/// What is known of a datagram that is not complete.
#[derive(Debug, Default)]
pub(super) struct Datagram {
    /// By offset; may overlap where the bytes are the same.
    pieces: Vec<Piece>,
    /// Length of the datagram, once its last fragment came.
    end: Option<usize>,
    /// From the fragment at offset 0.
    protocol: Option<u8>,
}

#[derive(Debug)]
struct Piece {
    offset: usize,
    data: Box<[u8]>,
}

impl Datagram {
    /// Whether it has as many pieces as it may have.
    pub(super) fn is_full(&self) -> bool {
        self.pieces.len() >= MAX_PIECES
    }

    /// What all its pieces cost.
    pub(super) fn cost(&self) -> usize {
        self.pieces.iter().map(Piece::cost).sum()
    }

    /// Whether the fragment cannot belong to the datagram as known so far.
    pub(super) fn contradicts(&self, fragment: &Fragment<'_>) -> bool {
        let end = fragment.offset + fragment.data.len();
        let ends_differ = match self.end {
            Some(known) => end > known || (fragment.last && end != known),
            None => fragment.last && self.pieces.iter().any(|piece| piece.end() > end),
        };
        ends_differ
            || self
                .pieces
                .iter()
                .any(|piece| !piece.agrees(fragment.offset, fragment.data))
    }

    /// Keeps what is new of the fragment; returns what it costs.
    pub(super) fn take(&mut self, fragment: &Fragment<'_>) -> usize {
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
        let cost = piece.cost();
        let place = self
            .pieces
            .partition_point(|other| other.offset <= piece.offset);
        self.pieces.insert(place, piece);
        cost
    }

    /// The datagram, where nothing is missing.
    pub(super) fn assemble(&self) -> Option<Reassembled> {
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

impl Piece {
    fn end(&self) -> usize {
        self.offset + self.data.len()
    }

    fn cost(&self) -> usize {
        self.data.len() + PIECE_OVERHEAD
    }

    /// Whether the bytes are the same wherever both have some.
    fn agrees(&self, offset: usize, data: &[u8]) -> bool {
        let from = self.offset.max(offset);
        let to = self.end().min(offset + data.len());
        from >= to
            || self.data.get(from - self.offset..to - self.offset)
                == data.get(from - offset..to - offset)
    }
}

#[cfg(test)]
mod tests {
    use super::super::FragmentKey;
    use super::*;

    /// A datagram, no byte of which is like another.
    const BYTES: &[u8] = &[
        10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29,
    ];

    fn fragment(offset: usize, data: &[u8], last: bool) -> Fragment<'_> {
        Fragment {
            key: FragmentKey::V6 {
                source: [0; 16].into(),
                destination: [1; 16].into(),
                id: 0,
            },
            protocol: 6,
            offset,
            last,
            claimed: data.len(),
            data,
            headers: 40,
        }
    }

    fn of(fragments: &[Fragment<'_>]) -> Datagram {
        let mut datagram = Datagram::default();
        for fragment in fragments {
            assert!(!datagram.contradicts(fragment));
            datagram.take(fragment);
        }
        datagram
    }

    #[test]
    fn it_is_whole_once_nothing_is_missing_in_whatever_order() {
        let head = fragment(0, &BYTES[..8], false);
        let tail = fragment(8, &BYTES[8..], true);
        for order in [[head, tail], [tail, head]] {
            let [first, _] = order;
            assert!(of(&[first]).assemble().is_none());
            let whole = of(&order).assemble().unwrap();
            assert_eq!((whole.protocol, whole.bytes.as_slice()), (6, BYTES));
        }
    }

    #[test]
    fn overlaps_count_once() {
        let pieces = [
            fragment(0, &BYTES[..16], false),
            fragment(8, &BYTES[8..], true),
        ];
        assert_eq!(of(&pieces).assemble().unwrap().bytes, BYTES);
    }

    #[test]
    fn what_is_known_already_costs_nothing() {
        let mut datagram = of(&[fragment(0, &BYTES[..16], false)]);
        let cost = datagram.cost();
        assert_eq!(cost, 16 + PIECE_OVERHEAD);
        assert_eq!(datagram.take(&fragment(8, &BYTES[8..16], false)), 0);
        assert_eq!(
            datagram.take(&fragment(8, &BYTES[8..], true)),
            12 + PIECE_OVERHEAD
        );
        assert_eq!(datagram.cost(), cost + 12 + PIECE_OVERHEAD);
    }

    #[test]
    fn other_bytes_in_the_same_place_and_other_ends_contradict() {
        let datagram = of(&[
            fragment(0, &BYTES[..8], false),
            fragment(8, &BYTES[8..16], true),
        ]);
        for (contradicting, contradicts) in [
            (fragment(0, &BYTES[..8], false), false),
            (fragment(8, &BYTES[8..16], true), false),
            (fragment(0, &BYTES[8..16], false), true),
            (fragment(8, &BYTES[8..12], true), true),
            (fragment(16, &BYTES[16..], true), true),
            (fragment(16, &BYTES[16..], false), true),
        ] {
            assert_eq!(
                datagram.contradicts(&contradicting),
                contradicts,
                "{contradicting:?}"
            );
        }
        let open = of(&[fragment(8, &BYTES[8..16], false)]);
        assert!(open.contradicts(&fragment(0, &BYTES[..8], true)));
    }
}
