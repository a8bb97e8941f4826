//! Segments that arrived before the bytes in front of them (RFC 9293 section 3.10.7.4).

use crate::types::{Mark, StreamSegment};

/// The most a direction keeps out of order, in bytes, its own bookkeeping included.
const LIMIT: usize = 64 * 1024;

/// What a segment that is kept costs beside its bytes.
const OVERHEAD: usize = size_of::<Piece>() + 16;

/// Segments out of order, nearest first. Nothing is allocated before the first of them.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct OutOfOrder(Option<Box<Pieces>>);

crate::compact!(OutOfOrder(number));

#[derive(Clone, PartialEq, Debug, Default)]
struct Pieces {
    /// Sorted by offset, farthest first, so that the nearest is popped from the end.
    pieces: Vec<Piece>,
    cost: usize,
}

crate::compact!(Pieces { pieces, cost });

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Piece {
    at: u64,
    end: u64,
    bytes: Box<[u8]>,
    mark: Mark,
}

crate::compact!(Piece {
    at,
    end,
    bytes,
    mark
});

impl Piece {
    pub(crate) fn segment(&self) -> StreamSegment<'_> {
        StreamSegment {
            at: self.at,
            end: self.end,
            bytes: &self.bytes,
            mark: self.mark,
        }
    }
}

impl OutOfOrder {
    /// Keeps a segment; false where that passed the bound.
    pub(crate) fn keep(&mut self, segment: StreamSegment<'_>) -> bool {
        self.0.get_or_insert_default().keep(segment)
    }

    /// The nearest segment, if it begins at or before `offset`.
    #[inline]
    pub(crate) fn take(&mut self, offset: u64) -> Option<Piece> {
        self.0.as_mut()?.take(offset)
    }

    /// Bytes kept, the bookkeeping included.
    pub(crate) fn kept(&self) -> usize {
        self.0.as_ref().map_or(0, |kept| kept.cost)
    }

    #[cfg(test)]
    pub(crate) fn retained(&self) -> usize {
        self.0.as_ref().map_or(0, |kept| kept.retained())
    }

    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }
}

impl Pieces {
    fn keep(&mut self, segment: StreamSegment<'_>) -> bool {
        let index = self.pieces.partition_point(|piece| piece.at > segment.at);
        let nearest = self.pieces.get(index);
        let repeated = nearest.is_some_and(|piece| piece.at == segment.at && piece.covers(segment));
        if repeated {
            return true;
        }
        let cost = segment.bytes.len() + OVERHEAD;
        if self.cost + cost > LIMIT {
            return false;
        }
        self.cost += cost;
        self.pieces.insert(
            index,
            Piece {
                at: segment.at,
                end: segment.end,
                bytes: segment.bytes.into(),
                mark: segment.mark,
            },
        );
        true
    }

    fn take(&mut self, offset: u64) -> Option<Piece> {
        let piece = self.pieces.pop_if(|piece| piece.at <= offset)?;
        self.cost -= piece.bytes.len() + OVERHEAD;
        Some(piece)
    }

    #[cfg(test)]
    fn retained(&self) -> usize {
        let bytes: usize = self.pieces.iter().map(|piece| piece.bytes.len() + 16).sum();
        size_of::<Pieces>() + self.pieces.capacity() * size_of::<Piece>() + bytes
    }
}

impl Piece {
    fn covers(&self, segment: StreamSegment<'_>) -> bool {
        self.end >= segment.end && self.bytes.len() >= segment.bytes.len()
    }
}
