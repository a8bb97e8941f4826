//! A sliding window over a byte stream.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::ops::Range;

use crate::ahead::{Ahead, Piece};

/// Large enough that the cost of a read call vanishes, small enough to stay in a second-level cache.
const INITIAL_SIZE: usize = 256 * 1024;

/// A window over a stream: the unread bytes that have arrived, in one piece.
///
/// It reads only when asked for bytes that are not there yet, and takes what one read call gives: a frame on a pipe is
/// complete as soon as its last byte has arrived. It grows only while the stream really delivers the bytes asked for.
pub(crate) struct Window {
    source: Box<dyn Read + Send>,
    /// Who reads the source instead, if anybody does.
    ahead: Option<Ahead>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Position in the stream of the first byte of `buffer`, modulo 2^64: room before the stream's begin has one, too.
    base: u64,
    /// Set once the stream gave no more bytes.
    ended: bool,
    failure: Option<io::Error>,
}

impl Window {
    pub(crate) fn new(source: Box<dyn Read + Send>) -> Window {
        Window::with_size(source, INITIAL_SIZE)
    }

    fn with_size(source: Box<dyn Read + Send>, size: usize) -> Window {
        Window {
            source,
            ahead: None,
            buffer: vec![0; size],
            start: 0,
            end: 0,
            base: 0,
            ended: false,
            failure: None,
        }
    }

    /// How much room it has.
    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
        self.buffer.len()
    }

    /// Ends the stream with a failure behind its first `bytes`, where it is longer. None of those behind may be consumed.
    pub(crate) fn limit(&mut self, bytes: u64) {
        let read = self.base.wrapping_add(self.end as u64);
        let beyond = usize::try_from(read.saturating_sub(bytes)).unwrap_or(usize::MAX);
        self.end = self.end.saturating_sub(beyond).max(self.start);
        self.ended = false;
        let source = std::mem::replace(&mut self.source, Box::new(io::empty()));
        self.source = Box::new(Limited {
            source,
            left: bytes.saturating_sub(read),
            bytes,
            is_longer: beyond > 0,
        });
    }

    /// Lets another thread read what comes next. Whether there is one.
    pub(crate) fn read_ahead(&mut self) -> bool {
        if self.ahead.is_none() {
            self.ahead = Ahead::begin();
            if let Some(ahead) = &self.ahead {
                ahead.read(std::mem::replace(&mut self.source, Box::new(io::empty())));
            }
        }
        self.ahead.is_some()
    }

    /// The bytes that have arrived and are not consumed.
    #[inline]
    pub(crate) fn available(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Position in the stream of the first available byte.
    #[inline]
    pub(crate) fn offset(&self) -> u64 {
        // A usize fits a u64 on every platform Rust supports.
        self.base.wrapping_add(self.start as u64)
    }

    /// Passes over `count` available bytes; their place can be lent by [`lend`](Window::lend) until the next `fill`.
    #[inline]
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
    }

    /// Where the `len` bytes that begin `skip` bytes after the first available one lie.
    #[inline]
    pub(crate) fn place(&self, skip: usize, len: usize) -> Range<usize> {
        let start = self.start.saturating_add(skip);
        start..start.saturating_add(len)
    }

    /// Passes over the `len` available bytes that begin `skip` bytes after the first one; `None` where there are fewer.
    #[inline]
    pub(crate) fn take(&mut self, skip: usize, len: usize) -> Option<Range<usize>> {
        let start = self.start.saturating_add(skip);
        let end = start.saturating_add(len);
        if end > self.end {
            return None;
        }
        self.start = end;
        Some(start..end)
    }

    /// The bytes at a place given by [`place`](Window::place) since the last `fill`.
    #[inline]
    pub(crate) fn lend(&self, place: Range<usize>) -> &[u8] {
        self.buffer.get(place).unwrap_or_default()
    }

    /// Reads until `want` bytes are available; false where the stream ends or fails before that.
    #[inline]
    pub(crate) fn fill(&mut self, want: usize) -> bool {
        self.end - self.start >= want || self.fill_slow(want)
    }

    /// Passes over `count` bytes of the stream without keeping them; false where the stream ends before that.
    pub(crate) fn skip(&mut self, mut count: u64) -> bool {
        loop {
            let here = self.end - self.start;
            if count <= here as u64 {
                self.consume(usize::try_from(count).unwrap_or(here));
                return true;
            }
            count -= here as u64;
            self.consume(here);
            if !self.fill(1) {
                return false;
            }
        }
    }

    /// Why the stream failed, if it did not simply end.
    pub(crate) fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    #[cold]
    fn fill_slow(&mut self, want: usize) -> bool {
        while self.end - self.start < want && !self.ended {
            let read = match self.ahead {
                None => self.read_more(),
                Some(_) => self.take_piece(),
            };
            match read {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.ended = true;
                    self.failure = Some(error);
                }
            }
        }
        self.end - self.start >= want
    }

    /// Reads what one call gives.
    fn read_more(&mut self) -> io::Result<usize> {
        self.slide();
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len().saturating_mul(2), 0);
        }
        let free = self.buffer.get_mut(self.end..).unwrap_or_default();
        let count = self.source.read(free)?;
        self.end = self.end.saturating_add(count).min(self.buffer.len());
        Ok(count)
    }

    /// Makes the next piece the buffer, with what is left of this one before it; adds it to this one where that is too
    /// much.
    fn take_piece(&mut self) -> io::Result<usize> {
        let Some(ahead) = &mut self.ahead else {
            return Ok(0);
        };
        let mut piece = ahead.next()?;
        let count = piece.bytes.len().saturating_sub(Piece::ROOM);
        let left = self.buffer.get(self.start..self.end).unwrap_or_default();
        let fits = Piece::ROOM.checked_sub(left.len());
        if let Some(start) = fits
            && let Some(room) = piece.bytes.get_mut(start..Piece::ROOM)
        {
            room.copy_from_slice(left);
            self.base = self.offset().wrapping_sub(start as u64);
            (self.start, self.end) = (start, piece.bytes.len());
            std::mem::swap(&mut self.buffer, &mut piece.bytes);
        } else if count > 0 {
            self.slide();
            self.buffer.truncate(self.end);
            let more = piece.bytes.get(Piece::ROOM..).unwrap_or_default();
            self.buffer.extend_from_slice(more);
            self.end = self.buffer.len();
        }
        if let Some(ahead) = &mut self.ahead {
            ahead.give_back(piece);
        }
        Ok(count)
    }

    /// Moves what is available to the begin of the buffer.
    fn slide(&mut self) {
        self.buffer.copy_within(self.start..self.end, 0);
        self.base = self.offset();
        self.end -= self.start;
        self.start = 0;
    }
}

/// A stream of which no more than so much is read.
struct Limited {
    source: Box<dyn Read + Send>,
    left: u64,
    bytes: u64,
    /// More is known to follow.
    is_longer: bool,
}

impl Read for Limited {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = out
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 && !out.is_empty() {
            // A stream that ends here is whole.
            self.is_longer = self.is_longer || self.source.read(&mut [0])? > 0;
            return match self.is_longer {
                true => Err(io::Error::other(LimitReached { bytes: self.bytes })),
                false => Ok(0),
            };
        }
        let count = self.source.read(out.get_mut(..most).unwrap_or_default())?;
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}

/// More of a recording was not to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LimitReached {
    /// How much was.
    pub(crate) bytes: u64,
}

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no more than {} bytes are read of it", self.bytes)
    }
}

impl std::error::Error for LimitReached {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its pieces one per read call, then an error if there is one.
    struct Pieces(Vec<Vec<u8>>, Option<io::Error>);

    impl Read for Pieces {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let Some(first) = self.0.first_mut() else {
                return self.1.take().map_or(Ok(0), Err);
            };
            let count = first.len().min(out.len());
            out[..count].copy_from_slice(&first[..count]);
            first.drain(..count);
            if first.is_empty() {
                self.0.remove(0);
            }
            Ok(count)
        }
    }

    fn window(pieces: &[&[u8]], size: usize) -> Window {
        let pieces = pieces.iter().map(|piece| piece.to_vec()).collect();
        Window::with_size(Box::new(Pieces(pieces, None)), size)
    }

    #[test]
    fn reads_no_further_than_asked() {
        let mut window = window(&[b"abcd", b"ef"], 8);
        assert!(window.fill(3));
        assert_eq!(window.available(), b"abcd");
        assert!(window.fill(5));
        assert_eq!(window.available(), b"abcdef");
        assert!(!window.fill(7));
        assert_eq!(window.available(), b"abcdef");
    }

    #[test]
    fn slides_and_keeps_count() {
        let mut window = window(&[b"abcdefgh", b"ijkl"], 8);
        assert!(window.fill(8));
        let place = window.place(4, 2);
        window.consume(6);
        assert_eq!(window.lend(place), b"ef");
        assert_eq!(window.offset(), 6);
        assert!(window.fill(6));
        assert_eq!(window.available(), b"ghijkl");
        assert_eq!(window.offset(), 6);
        assert_eq!(window.buffer.len(), 8);
    }

    #[test]
    fn grows_only_with_the_bytes_that_come() {
        let mut window = window(&[b"abcdefgh", b"ijkl"], 8);
        assert!(!window.fill(1 << 30));
        assert_eq!(window.buffer.len(), 16);
        assert_eq!(window.available(), b"abcdefghijkl");
    }

    #[test]
    fn what_is_read_ahead_is_the_same() {
        let bytes: Vec<u8> = (0..2_000_003_u32).flat_map(u32::to_le_bytes).collect();
        for size in [3, 1_000, 50_001, 200_000, 3_000_000] {
            let mut window = Window::with_size(Box::new(io::Cursor::new(bytes.clone())), 4_096);
            assert!(window.fill(100));
            window.consume(10);
            assert!(window.read_ahead());
            let mut at = 10;
            while window.fill(size) {
                assert_eq!(window.offset(), at as u64);
                assert!(window.available()[..size] == bytes[at..at + size]);
                window.consume(size);
                at += size;
            }
            assert!(*window.available() == bytes[at..]);
        }
    }

    #[test]
    fn skips_more_than_it_holds() {
        let mut window = window(&[b"abcdefgh", b"ijklmnop", b"qr"], 8);
        assert!(window.skip(17));
        assert_eq!(window.offset(), 17);
        assert!(window.fill(1));
        assert_eq!(window.available(), b"r");
        assert!(!window.skip(2));
    }

    #[test]
    fn a_failure_ends_the_stream_and_is_kept() {
        let failure = io::Error::other("gone");
        let pieces = Pieces(vec![b"ab".to_vec()], Some(failure));
        let mut window = Window::with_size(Box::new(pieces), 8);
        assert!(!window.fill(3));
        assert_eq!(window.available(), b"ab");
        assert_eq!(window.take_failure().unwrap().to_string(), "gone");
        assert!(!window.fill(3));
    }
}
