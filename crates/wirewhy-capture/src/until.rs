//! Reading that a flag ends, also while it waits for bytes.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;

use crate::{OpenError, OpenErrorKind, Reader};

/// How often it is looked whether reading is to end.
const LOOK: Duration = Duration::from_millis(100);

/// How long the writer of a pipe has for what it still holds, once reading is to end: the same signal may have ended it.
const GRACE: Duration = Duration::from_millis(250);

/// How many pieces are read once reading is to end: a writer that does not stop must not keep it going.
const LAST_PIECES: u32 = 64;

const PIECE: usize = 64 << 10;

/// Opens a capture file, or anything else with a path. Once `stop` is set a file cannot be read on, and a pipe is read
/// until nothing more comes.
///
/// # Errors
///
/// Where nothing can be read: see [`open`](crate::open).
pub fn open_until(path: &Path, stop: &Arc<AtomicBool>) -> Result<Reader, OpenError> {
    let name = path.display().to_string();
    if fs::metadata(path).is_ok_and(|data| data.file_type().is_fifo()) {
        // Opening one waits for its writer.
        let path = path.to_path_buf();
        return piped(Fifo { path, file: None }, name, stop);
    }
    let file = match File::open(path) {
        Ok(file) => file,
        // It finds the same error, and has words for it.
        Err(_) => return crate::open(path),
    };
    match file.metadata() {
        Ok(data) if data.is_dir() => crate::open(path),
        Ok(data) if data.is_file() => {
            let stop = Arc::clone(stop);
            Reader::new(Box::new(Stoppable { file, stop }), name)
        }
        _ => piped(file, name, stop),
    }
}

/// Reads a capture from standard input. Once `stop` is set it is read until nothing more comes.
///
/// # Errors
///
/// Where what arrives there is not a capture.
pub fn from_stdin_until(stop: &Arc<AtomicBool>) -> Result<Reader, OpenError> {
    piped(io::stdin(), "-".to_owned(), stop)
}

fn piped(
    source: impl Read + Send + 'static,
    name: String,
    stop: &Arc<AtomicBool>,
) -> Result<Reader, OpenError> {
    match Pump::begin(source, Arc::clone(stop)) {
        Ok(pump) => Reader::new(Box::new(pump), name),
        Err(error) => Err(OpenError {
            source: name,
            kind: OpenErrorKind::Io(error),
        }),
    }
}

/// A named pipe, opened with the first read.
struct Fifo {
    path: PathBuf,
    file: Option<File>,
}

impl Read for Fifo {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.file.is_none() {
            self.file = Some(File::open(&self.path)?);
        }
        self.file.as_mut().map_or(Ok(0), |file| file.read(out))
    }
}

/// What reading fails with once it is to stop: no file system fails with it.
pub(crate) const STOPPED: i32 = Errno::ECANCELED as i32;

/// A file.
struct Stoppable {
    file: File,
    stop: Arc<AtomicBool>,
}

impl Read for Stoppable {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(STOPPED));
        }
        self.file.read(out)
    }
}

/// What may block: a thread reads it.
struct Pump {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: io::Cursor<Vec<u8>>,
    stop: Arc<AtomicBool>,
    /// How many pieces are left to read since `stop` was seen.
    left: Option<u32>,
}

impl Pump {
    fn begin(mut source: impl Read + Send + 'static, stop: Arc<AtomicBool>) -> io::Result<Pump> {
        let (sender, pieces) = sync_channel(4);
        let work = move || {
            loop {
                let mut piece = vec![0; PIECE];
                let read = source.read(&mut piece).map(|len| {
                    piece.truncate(len);
                    piece
                });
                let is_last = match &read {
                    Ok(piece) => piece.is_empty(),
                    Err(error) => error.kind() != io::ErrorKind::Interrupted,
                };
                // The receiver is gone: no more bytes are needed.
                if sender.send(read).is_err() || is_last {
                    return;
                }
            }
        };
        thread::Builder::new()
            .name("read-pipe".to_owned())
            .spawn(work)?;
        Ok(Pump {
            pieces,
            piece: io::Cursor::default(),
            stop,
            left: None,
        })
    }

    /// The next piece; empty at the end.
    fn next(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if self.left.is_none() && self.stop.load(Ordering::Relaxed) {
                self.left = Some(LAST_PIECES);
            }
            let wait = match &mut self.left {
                None => LOOK,
                Some(0) => return Ok(Vec::new()),
                Some(left) => {
                    *left -= 1;
                    GRACE
                }
            };
            match self.pieces.recv_timeout(wait) {
                Ok(piece) => return piece,
                Err(RecvTimeoutError::Disconnected) => return Ok(Vec::new()),
                Err(RecvTimeoutError::Timeout) if self.left.is_some() => return Ok(Vec::new()),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl Read for Pump {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.piece.read(out)?;
        if read > 0 || out.is_empty() {
            return Ok(read);
        }
        self.piece = io::Cursor::new(self.next()?);
        self.piece.read(out)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;
    use crate::testbytes::Bytes;
    use crate::{ByteOrder, ProblemKind};

    /// Gives what is sent, and waits for it.
    struct Waiting(Receiver<&'static [u8]>);

    impl Read for Waiting {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let bytes = self.0.recv().unwrap_or_default();
            out[..bytes.len()].copy_from_slice(bytes);
            Ok(bytes.len())
        }
    }

    fn pump() -> (Sender<&'static [u8]>, Pump, Arc<AtomicBool>) {
        let (sender, receiver) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let pump = Pump::begin(Waiting(receiver), Arc::clone(&stop)).unwrap();
        (sender, pump, stop)
    }

    #[test]
    fn a_pipe_that_is_open_and_silent_ends_when_asked_to() {
        let (sender, mut pump, stop) = pump();
        sender.send(b"abc").unwrap();
        let mut out = [0; 2];
        assert_eq!(pump.read(&mut out).unwrap(), 2);
        stop.store(true, Ordering::Relaxed);
        let mut rest = Vec::new();
        pump.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"c");
    }

    #[test]
    fn a_pipe_that_never_falls_silent_ends_too() {
        struct Endless;
        impl Read for Endless {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                Ok(out.len())
            }
        }
        let stop = Arc::new(AtomicBool::new(true));
        let mut pump = Pump::begin(Endless, stop).unwrap();
        let read = io::copy(&mut pump, &mut io::sink()).unwrap();
        assert!(read <= u64::from(LAST_PIECES) * PIECE as u64);
    }

    /// A file is read in pieces: this one is longer.
    #[test]
    fn a_file_that_is_not_to_be_read_on_is_interrupted() {
        let mut bytes = Bytes::new(ByteOrder::Little);
        bytes.pcap_header(0xa1b2_c3d4, (2, 4), 1);
        let mut number = 1_u32;
        for second in 0..10 {
            // What compression does not make shorter.
            let packet: Vec<u8> = std::iter::repeat_with(|| {
                number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                number.to_be_bytes()[0]
            })
            .take(60_000)
            .collect();
            bytes.record((second, 0), (60_000, 60_000), 0, &packet);
        }
        let compressed = zstd::encode_all(&bytes.bytes[..], 1).unwrap();
        for bytes in [bytes.bytes, compressed] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            io::Write::write_all(&mut file, &bytes).unwrap();
            let stop = Arc::new(AtomicBool::new(false));
            let mut reader = open_until(file.path(), &stop).unwrap();
            assert!(reader.next().is_some());
            stop.store(true, Ordering::Relaxed);
            while reader.next().is_some() {}
            let problem = reader.problem().unwrap();
            assert_eq!(problem.kind, ProblemKind::Interrupted);
            assert!(problem.to_string().starts_with("interrupted (at byte "));
        }
    }
}
