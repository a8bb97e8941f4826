//! Compressed streams, recognised by their first bytes.

use std::fmt;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use liblzma::stream::{CONCATENATED, Stream};

use crate::gzip::GzipReader;

/// Compressed bytes are read in pieces of this size.
const BUFFER_SIZE: usize = 128 * 1024;

/// What an xz stream may ask for: enough for `xz -9` (65 MiB), far from what a hostile header can claim (1.5 GiB).
const XZ_MEMORY_LIMIT: u64 = 100 << 20;

/// The window a zstd stream may ask for, as a power of two: what the zstd command accepts unless told otherwise.
const ZSTD_WINDOW_LOG: u32 = 27;

/// A way to compress a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
    /// The LZ4 frame format.
    Lz4,
    /// xz.
    Xz,
}

impl Compression {
    /// Its name: `gzip`, `zstd`, `lz4` or `xz`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
            Compression::Lz4 => "lz4",
            Compression::Xz => "xz",
        }
    }

    /// How many first bytes [`recognise`](Compression::recognise) needs.
    pub(crate) const MAGIC_LEN: usize = 6;

    /// Recognises a compressed stream by its first bytes.
    pub(crate) fn recognise(head: &[u8]) -> Option<Compression> {
        match head {
            [0x1f, 0x8b, 8, ..] => Some(Compression::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Compression::Zstd),
            [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => Some(Compression::Lz4),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Compression::Xz),
            // A skippable frame is the same in zstd and lz4; zstd's parallel compressors write them first.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// Wraps a compressed stream.
    pub(crate) fn decompress(
        self,
        source: Box<dyn Read + Send>,
    ) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Compression::Gzip => Box::new(GzipReader::new(source, BUFFER_SIZE)),
            Compression::Zstd => {
                let buffered = BufReader::with_capacity(BUFFER_SIZE, source);
                let mut decoder = zstd::Decoder::with_buffer(buffered)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
            Compression::Lz4 => Box::new(Lz4Reader::new(source)),
            Compression::Xz => {
                let buffered = BufReader::with_capacity(BUFFER_SIZE, source);
                let stream = Stream::new_stream_decoder(XZ_MEMORY_LIMIT, CONCATENATED)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(buffered, stream))
            }
        })
    }
}

/// The cause of the error that ends a stream which is whole but has something else after it.
#[derive(Debug)]
pub(crate) struct TrailingGarbage;

impl fmt::Display for TrailingGarbage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("garbage after the end of the compressed stream")
    }
}

impl std::error::Error for TrailingGarbage {}

/// Decompresses lz4 frame after frame, skippable ones passed over.
struct Lz4Reader {
    decoder: lz4_flex::frame::FrameDecoder<BufReader<Box<dyn Read + Send>>>,
    inside: bool,
    any: bool,
}

impl Lz4Reader {
    fn new(source: Box<dyn Read + Send>) -> Lz4Reader {
        let buffered = BufReader::with_capacity(BUFFER_SIZE, source);
        Lz4Reader {
            decoder: lz4_flex::frame::FrameDecoder::new(buffered),
            inside: false,
            any: false,
        }
    }
}

impl Read for Lz4Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.inside {
                if self.decoder.get_mut().fill_buf()?.is_empty() {
                    return Ok(0);
                }
                self.inside = true;
            }
            // The decoder says 0 at the end of each frame, and begins the next one when asked again.
            match self.decoder.read(out) {
                Ok(0) => {
                    self.inside = false;
                    self.any = true;
                }
                result => return result.map_err(plain_error),
            }
        }
    }
}

/// lz4_flex wraps the errors of the stream under it and its own alike; only the kind and the text are kept.
fn plain_error(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::Interrupted => error,
        _ if error.raw_os_error().is_some() => error,
        _ => io::Error::new(ErrorKind::InvalidData, error.to_string()),
    }
}
