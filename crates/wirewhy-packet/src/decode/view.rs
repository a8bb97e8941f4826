//! A stretch of a frame.

use crate::Frame;

/// A stretch of a frame: the captured bytes, and how long it was on the wire.
///
/// `wire` is never less than `data.len()`.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByteView<'a> {
    pub(super) data: &'a [u8],
    pub(super) wire: usize,
}

impl<'a> ByteView<'a> {
    /// All of a frame.
    #[inline]
    pub(super) fn of(frame: &Frame<'a>) -> ByteView<'a> {
        let wire = usize::try_from(frame.original_len).unwrap_or(usize::MAX);
        ByteView {
            data: frame.data,
            wire: wire.max(frame.data.len()),
        }
    }

    /// A view of bytes that are all there.
    pub(super) fn whole(data: &'a [u8]) -> ByteView<'a> {
        ByteView {
            data,
            wire: data.len(),
        }
    }

    /// What follows the first `len` bytes.
    #[inline]
    pub(super) fn skip(self, len: usize) -> ByteView<'a> {
        ByteView {
            data: self.data.get(len..).unwrap_or(&[]),
            wire: self.wire.saturating_sub(len),
        }
    }

    /// The first `len` bytes, or all where there are fewer.
    #[inline]
    pub(super) fn limit(self, len: usize) -> ByteView<'a> {
        ByteView {
            data: self.data.get(..len).unwrap_or(self.data),
            wire: self.wire.min(len),
        }
    }

    /// Without the last `len` bytes of the wire.
    pub(super) fn trim_end(self, len: usize) -> ByteView<'a> {
        self.limit(self.wire.saturating_sub(len))
    }

    /// The big-endian number at `offset`.
    #[inline]
    pub(super) fn be16(self, offset: usize) -> Option<u16> {
        self.chunk(offset).map(u16::from_be_bytes)
    }

    /// The big-endian number at `offset`.
    #[inline]
    pub(super) fn be32(self, offset: usize) -> Option<u32> {
        self.chunk(offset).map(u32::from_be_bytes)
    }

    /// The `N` bytes at `offset`.
    #[inline]
    pub(super) fn chunk<const N: usize>(self, offset: usize) -> Option<[u8; N]> {
        self.data.get(offset..)?.first_chunk().copied()
    }

    /// The byte at `offset`.
    #[inline]
    pub(super) fn byte(self, offset: usize) -> Option<u8> {
        self.data.get(offset).copied()
    }
}

/// A length as the public types hold it, saturating.
#[inline]
pub(super) fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
