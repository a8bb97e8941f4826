//! Compressed streams, recognised by their first bytes.

use std::io::{self, BufRead, BufReader, Chain, Cursor, ErrorKind, Read};

use liblzma::stream::{CONCATENATED, Stream};
use lz4_flex::frame::FrameDecoder;

use crate::gzip::GzipReader;

/// Compressed bytes are read in pieces of this size.
const BUFFER_SIZE: usize = 128 * 1024;

/// libzstd forgets what it gave in the call that meets damage: small pieces lose little.
const ZSTD_BUFFER_SIZE: usize = 32 * 1024;

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
                let buffered = BufReader::with_capacity(ZSTD_BUFFER_SIZE, source);
                let mut decoder = zstd::Decoder::with_buffer(buffered)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
            Compression::Lz4 => Box::new(Lz4Reader::new(source)),
            Compression::Xz => {
                let buffered = BufReader::with_capacity(BUFFER_SIZE, source);
                let stream = Stream::new_stream_decoder(XZ_MEMORY_LIMIT, CONCATENATED)?;
                Box::new(XzReader {
                    decoder: liblzma::bufread::XzDecoder::new_stream(buffered, stream),
                    error: None,
                    ended: false,
                })
            }
        })
    }
}

/// Decompresses lz4 frame after frame, skippable ones passed over.
///
/// One decoder per frame: lz4_flex takes a stream that ends between two blocks for a whole one, and sizes its buffers
/// by the first frame.
struct Lz4Reader {
    state: Lz4State,
}

enum Lz4State {
    Between(Watched),
    Inside {
        decoder: Box<FrameDecoder<Chain<Cursor<[u8; 4]>, Watched>>>,
        /// A frame of the old format has no end mark: it ends with the file or the next magic.
        legacy: bool,
    },
    Ended,
}

/// A stream that remembers whether its end was met.
struct Watched {
    source: BufReader<Box<dyn Read + Send>>,
    ended: bool,
}

const LZ4_LEGACY_MAGIC: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];

impl Lz4Reader {
    fn new(source: Box<dyn Read + Send>) -> Lz4Reader {
        Lz4Reader {
            state: Lz4State::Between(Watched {
                source: BufReader::with_capacity(BUFFER_SIZE, source),
                ended: false,
            }),
        }
    }
}

/// Enters the next frame, or the end.
fn next_lz4_frame(mut source: Watched) -> io::Result<Lz4State> {
    loop {
        if source.source.fill_buf()?.is_empty() {
            return Ok(Lz4State::Ended);
        }
        let mut magic = [0; 4];
        source.source.read_exact(&mut magic)?;
        if let [0x50..=0x5f, 0x2a, 0x4d, 0x18] = magic {
            let mut len = [0; 4];
            source.source.read_exact(&mut len)?;
            let len = u64::from(u32::from_le_bytes(len));
            let passed = io::copy(&mut source.source.by_ref().take(len), &mut io::sink())?;
            if passed < len {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            continue;
        }
        return Ok(Lz4State::Inside {
            decoder: Box::new(FrameDecoder::new(Cursor::new(magic).chain(source))),
            legacy: magic == LZ4_LEGACY_MAGIC,
        });
    }
}

impl Read for Watched {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(out)?;
        self.ended |= count == 0 && !out.is_empty();
        Ok(count)
    }
}

impl Read for Lz4Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            // Ended until something else is known: an error is said once.
            match std::mem::replace(&mut self.state, Lz4State::Ended) {
                Lz4State::Ended => return Ok(0),
                Lz4State::Between(source) => self.state = next_lz4_frame(source)?,
                Lz4State::Inside {
                    mut decoder,
                    legacy,
                } => match decoder.read(out) {
                    Ok(0) => {
                        let (_, source) = decoder.into_inner().into_inner();
                        if source.ended && !legacy {
                            return Err(ErrorKind::UnexpectedEof.into());
                        }
                        self.state = Lz4State::Between(source);
                    }
                    Ok(count) => {
                        self.state = Lz4State::Inside { decoder, legacy };
                        return Ok(count);
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {
                        self.state = Lz4State::Inside { decoder, legacy };
                        return Err(error);
                    }
                    Err(error) => return Err(error),
                },
            }
        }
    }
}

/// Decompresses xz; what came out before damage is handed out before the error.
struct XzReader {
    decoder: liblzma::bufread::XzDecoder<BufReader<Box<dyn Read + Send>>>,
    error: Option<io::Error>,
    ended: bool,
}

impl Read for XzReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if self.ended {
            return Ok(0);
        }
        let before = self.decoder.total_out();
        match self.decoder.read(out) {
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                self.ended = true;
                let given = self.decoder.total_out().saturating_sub(before);
                match usize::try_from(given) {
                    Ok(given @ 1..) if given <= out.len() => {
                        self.error = Some(error);
                        Ok(given)
                    }
                    _ => Err(error),
                }
            }
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn content() -> Vec<u8> {
        (0..200_000_u32)
            .flat_map(|n| (n.wrapping_mul(n) >> 7).to_le_bytes())
            .collect()
    }

    fn lz4(content: &[u8], block_size: lz4_flex::frame::BlockSize) -> Vec<u8> {
        let info = lz4_flex::frame::FrameInfo::new()
            .block_size(block_size)
            .content_checksum(true);
        let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(content: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn xz(content: &[u8]) -> Vec<u8> {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn skippable(len: u8) -> Vec<u8> {
        let mut frame = vec![0x5a, 0x2a, 0x4d, 0x18, len, 0, 0, 0];
        frame.extend(std::iter::repeat_n(7, usize::from(len)));
        frame
    }

    /// Everything that comes out, and the error that ends it.
    fn read_all(bytes: Vec<u8>) -> (Vec<u8>, Option<io::Error>) {
        let kind = Compression::recognise(&bytes).unwrap();
        let mut reader = kind.decompress(Box::new(Cursor::new(bytes))).unwrap();
        let mut all = Vec::new();
        let mut piece = vec![0; 60_000];
        loop {
            match reader.read(&mut piece) {
                Ok(0) => return (all, None),
                Ok(count) => all.extend_from_slice(&piece[..count]),
                Err(error) => return (all, Some(error)),
            }
        }
    }

    fn whole(bytes: Vec<u8>) -> Vec<u8> {
        let (all, error) = read_all(bytes);
        assert!(error.is_none(), "{error:?}");
        all
    }

    #[test]
    fn streams_follow_each_other_with_skippable_frames_between() {
        use lz4_flex::frame::BlockSize::{Max4MB, Max64KB};
        let content = content();
        let twice = [&content[..], &content[..]].concat();
        let frames = [lz4(&content, Max4MB), skippable(9), lz4(&content, Max64KB)].concat();
        assert!(whole(frames) == twice, "lz4");
        let frame = zstd(&content);
        let frames = [skippable(3), frame.clone(), skippable(0), frame].concat();
        assert!(whole(frames) == twice, "zstd");
        assert!(whole([xz(&content), xz(&content)].concat()) == twice, "xz");
    }

    #[test]
    fn a_stream_cut_short_gives_what_is_there_and_says_so() {
        let content = content();
        let streams = [
            lz4(&content, lz4_flex::frame::BlockSize::Max64KB),
            zstd(&content),
            xz(&content),
        ];
        for stream in streams {
            for cut in [stream.len() / 2, stream.len() - 5, stream.len() - 1] {
                let (all, error) = read_all(stream[..cut].to_vec());
                let error = error.expect("the cut is told");
                assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}");
                assert!(all.len() > content.len() / 5);
                assert!(content.starts_with(&all));
            }
        }
    }

    #[test]
    fn an_lz4_stream_cut_between_blocks_is_cut_short() {
        let content = content();
        let stream = lz4(&content, lz4_flex::frame::BlockSize::Max64KB);
        // Frame header, then the first block behind its length.
        let len = u32::from_le_bytes(*stream[7..].first_chunk().unwrap()) & 0x7fff_ffff;
        let cut = 7 + 4 + usize::try_from(len).unwrap();
        let (all, error) = read_all(stream[..cut].to_vec());
        assert_eq!(all.len(), 65_536);
        assert_eq!(error.unwrap().kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn damage_is_an_error_after_the_good_part() {
        let content = content();
        for stream in [
            lz4(&content, lz4_flex::frame::BlockSize::Max64KB),
            zstd(&content),
            xz(&content),
        ] {
            let mut damaged = stream;
            let at = damaged.len() * 3 / 4;
            damaged[at..at + 64].fill(0xff);
            let (all, error) = read_all(damaged);
            assert!(error.is_some());
            assert!(all.len() > content.len() / 5, "{}", all.len());
        }
    }

    #[test]
    fn a_huge_dictionary_is_refused() {
        let mut options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
        options.dict_size(256 << 20);
        let mut filters = liblzma::stream::Filters::new();
        filters.lzma2(&options);
        let check = liblzma::stream::Check::Crc32;
        let stream = Stream::new_stream_encoder(&filters, check).unwrap();
        let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(b"small").unwrap();
        let (all, error) = read_all(encoder.finish().unwrap());
        assert!(all.is_empty());
        assert!(error.is_some());
    }
}
