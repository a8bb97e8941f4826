//! Reading ahead of whoever asks, in a thread of its own.

use std::io::{self, ErrorKind, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

/// As much is read at once.
const PIECE: usize = 256 * 1024;

/// So many pieces wait to be asked for.
const PIECES: usize = 4;

type Source = Box<dyn Read + Send>;

/// A piece of the stream; the last is empty, or why there is no more.
type Piece = io::Result<Vec<u8>>;

/// A stream of which another thread reads the next bytes.
pub(crate) struct Ahead {
    sources: Sender<Source>,
    pieces: Receiver<Piece>,
    spent: Sender<Vec<u8>>,
    piece: Vec<u8>,
    /// How much of it was handed out.
    taken: usize,
}

impl Ahead {
    /// Begins the thread; nothing where the system has none to spare.
    pub(crate) fn begin() -> Option<Ahead> {
        let (sources, source) = channel();
        let (sender, pieces) = sync_channel(PIECES);
        let (spent, room) = channel();
        let work = move || {
            if let Ok(source) = source.recv() {
                read_all(source, &sender, &room);
            }
        };
        thread::Builder::new()
            .name("read-ahead".to_owned())
            .spawn(work)
            .ok()?;
        Some(Ahead {
            sources,
            pieces,
            spent,
            piece: Vec::new(),
            taken: 0,
        })
    }

    /// Gives it the stream.
    pub(crate) fn reading(self, source: Source) -> Ahead {
        // The thread waits for it: there is nothing else it could be doing.
        let _ = self.sources.send(source);
        self
    }
}

/// Reads until the end, a failure, or until nobody takes the pieces any more.
fn read_all(mut source: Source, pieces: &SyncSender<Piece>, room: &Receiver<Vec<u8>>) {
    loop {
        let mut piece = room.try_recv().unwrap_or_default();
        piece.resize(PIECE, 0);
        let read = match source.read(&mut piece) {
            Ok(len) => {
                piece.truncate(len);
                Ok(piece)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_last = read.as_ref().map_or(true, Vec::is_empty);
        if pieces.send(read).is_err() || is_last {
            return;
        }
    }
}

impl Read for Ahead {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.piece.len() {
            // Nobody is left behind the last piece.
            let next = self.pieces.recv().unwrap_or_else(|_| Ok(Vec::new()))?;
            let spent = std::mem::replace(&mut self.piece, next);
            self.taken = 0;
            let _ = self.spent.send(spent);
        }
        let mut left = self.piece.get(self.taken..).unwrap_or_default();
        let len = left.read(out)?;
        self.taken += len;
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn ahead(source: impl Read + Send + 'static) -> Ahead {
        Ahead::begin().unwrap().reading(Box::new(source))
    }

    #[test]
    fn the_same_bytes_come_out() {
        let bytes: Vec<u8> = (0..3_000_001_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut out = Vec::new();
        ahead(Cursor::new(bytes.clone()))
            .read_to_end(&mut out)
            .unwrap();
        assert!(out == bytes);
    }

    /// Some bytes, then a failure.
    struct Failing(usize);

    impl Read for Failing {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let Some(left) = self.0.checked_sub(1) else {
                return Err(io::Error::other("gone"));
            };
            self.0 = left;
            out[..3].copy_from_slice(b"abc");
            Ok(3)
        }
    }

    #[test]
    fn a_failure_comes_behind_what_was_read_before_it() {
        let mut out = Vec::new();
        let mut ahead = ahead(Failing(2));
        let failure = ahead.read_to_end(&mut out).unwrap_err();
        assert_eq!(
            (out.as_slice(), failure.to_string().as_str()),
            (&b"abcabc"[..], "gone")
        );
        assert_eq!(ahead.read(&mut [0; 8]).unwrap(), 0);
    }

    #[test]
    fn who_reads_ahead_ends_when_nobody_asks() {
        let (sender, receiver) = channel();
        struct Endless(Sender<()>);
        impl Read for Endless {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                Ok(out.len())
            }
        }
        impl Drop for Endless {
            fn drop(&mut self) {
                self.0.send(()).unwrap();
            }
        }
        drop(ahead(Endless(sender)));
        receiver.recv().unwrap();
    }
}
