//! Reading ahead of the consumer, in a thread of its own.

use std::io::{self, ErrorKind, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

/// As much is read at once.
const PIECE: usize = 256 * 1024;

/// So many pieces wait to be asked for.
const PIECES: usize = 4;

type Source = Box<dyn Read + Send>;

/// A part of the stream, with room before it.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    /// [`Piece::ROOM`] bytes that may be overwritten, then those of the stream: none at its end.
    pub(crate) bytes: Vec<u8>,
}

impl Piece {
    /// Room for what is left of the pieces before: all but the largest records.
    pub(crate) const ROOM: usize = 64 * 1024;
}

/// A stream of which another thread reads the next bytes.
pub(crate) struct Ahead {
    sources: Sender<Source>,
    pieces: Receiver<io::Result<Piece>>,
    spent: Sender<Piece>,
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
        })
    }

    /// Gives it the stream.
    pub(crate) fn read(&self, source: Source) {
        // The thread waits for it: there is nothing else it could be doing.
        let _ = self.sources.send(source);
    }

    /// The next piece. Without bytes of the stream it is the last.
    pub(crate) fn next(&mut self) -> io::Result<Piece> {
        // Behind the last piece there is no reader any more.
        self.pieces.recv().unwrap_or_else(|_| Ok(Piece::default()))
    }

    /// Gives a piece back to be filled again.
    pub(crate) fn give_back(&mut self, spent: Piece) {
        // It is not filled again where the stream has ended.
        let _ = self.spent.send(spent);
    }
}

/// Reads until the end, a failure, or until there is no consumer any more.
fn read_all(mut source: Source, pieces: &SyncSender<io::Result<Piece>>, room: &Receiver<Piece>) {
    loop {
        let mut piece = room.try_recv().unwrap_or_default();
        let failure = fill(&mut piece.bytes, &mut source).err();
        let is_empty = piece.bytes.len() <= Piece::ROOM;
        let is_last = is_empty || failure.is_some();
        // The failure takes the place of the last piece, which has no bytes.
        if !(is_empty && failure.is_some()) && pieces.send(Ok(piece)).is_err() {
            return;
        }
        if let Some(failure) = failure {
            // A consumer that has ended needs no notice.
            let _ = pieces.send(Err(failure));
        }
        if is_last {
            return;
        }
    }
}

/// Fills a piece as far as the stream goes.
fn fill(piece: &mut Vec<u8>, source: &mut Source) -> io::Result<()> {
    piece.resize(Piece::ROOM + PIECE, 0);
    let mut end = Piece::ROOM;
    let filled = loop {
        match source.read(piece.get_mut(end..).unwrap_or_default()) {
            Ok(0) => break Ok(()),
            Ok(len) => end = end.saturating_add(len),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    piece.truncate(end);
    filled
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn ahead(source: impl Read + Send + 'static) -> Ahead {
        let ahead = Ahead::begin().unwrap();
        ahead.read(Box::new(source));
        ahead
    }

    /// Everything that comes, and the failure behind it.
    fn all(ahead: &mut Ahead) -> (Vec<u8>, Option<String>) {
        let mut all = Vec::new();
        loop {
            match ahead.next() {
                Ok(piece) if piece.bytes.len() <= Piece::ROOM => return (all, None),
                Ok(piece) => {
                    all.extend_from_slice(&piece.bytes[Piece::ROOM..]);
                    ahead.give_back(piece);
                }
                Err(failure) => return (all, Some(failure.to_string())),
            }
        }
    }

    #[test]
    fn the_same_bytes_come_out() {
        let bytes: Vec<u8> = (0..3_000_001_u32).map(|n| n.to_le_bytes()[0]).collect();
        let (out, failure) = all(&mut ahead(Cursor::new(bytes.clone())));
        assert!(out == bytes);
        assert_eq!(failure, None);
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
        for (reads, bytes) in [(2, "abcabc"), (0, "")] {
            let mut ahead = ahead(Failing(reads));
            let failure = Some("gone".to_owned());
            assert_eq!(all(&mut ahead), (bytes.into(), failure));
            assert_eq!(ahead.next().unwrap().bytes, b"");
        }
    }

    /// Never ends, and tells when it is dropped.
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

    #[test]
    fn who_reads_ahead_ends_when_nobody_asks() {
        let (sender, receiver) = channel();
        drop(ahead(Endless(sender)));
        receiver.recv().unwrap();
    }
}
