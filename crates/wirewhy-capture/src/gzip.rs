//! gzip (RFC 1952), member after member.
//!
//! Written over raw deflate because a damaged stream must give every byte that came before the damage, and because
//! garbage after the last member, which gzip itself forgives, must be told from damage.

use std::fmt;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use flate2::{Crc, Decompress, FlushDecompress, Status};

const FLAG_HEADER_CRC: u8 = 0x02;
const FLAG_EXTRA: u8 = 0x04;
const FLAG_NAME: u8 = 0x08;
const FLAG_COMMENT: u8 = 0x10;
const RESERVED_FLAGS: u8 = 0xe0;

/// Decompresses a sequence of gzip members.
pub(crate) struct GzipReader {
    source: BufReader<Box<dyn Read + Send>>,
    inflate: Decompress,
    crc: Crc,
    state: State,
    /// An error to be told once the bytes before it were handed out.
    due: Option<io::Error>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a member; the first one must be there.
    Between {
        any: bool,
    },
    Inside,
    Ended,
}

impl GzipReader {
    pub(crate) fn new(source: Box<dyn Read + Send>, buffer_size: usize) -> GzipReader {
        GzipReader {
            source: BufReader::with_capacity(buffer_size, source),
            inflate: Decompress::new(false),
            crc: Crc::new(),
            state: State::Between { any: false },
            due: None,
        }
    }

    /// Enters the next member; false at the end of the stream.
    fn begin_member(&mut self, any: bool) -> io::Result<bool> {
        let mut zeros = false;
        let first = loop {
            match read_byte(&mut self.source)? {
                None => return Ok(false),
                // Tapes and block devices pad with zeros after the last member.
                Some(0) if any => zeros = true,
                Some(byte) => break byte,
            }
        };
        let second = read_byte(&mut self.source)?;
        if first != 0x1f || second != Some(0x8b) || zeros {
            return Err(if any {
                io::Error::new(ErrorKind::InvalidData, TrailingGarbage)
            } else {
                invalid("no gzip header")
            });
        }
        self.read_header()?;
        self.inflate.reset(false);
        self.crc.reset();
        Ok(true)
    }

    /// Reads a member's header after its magic (RFC 1952 section 2.3).
    fn read_header(&mut self) -> io::Result<()> {
        let mut fixed = [0; 8];
        self.source.read_exact(&mut fixed)?;
        let [method, flags, ..] = fixed;
        if method != 8 {
            return Err(invalid("unknown gzip compression method"));
        }
        if flags & RESERVED_FLAGS != 0 {
            return Err(invalid("reserved gzip header flags set"));
        }
        if flags & FLAG_EXTRA != 0 {
            let mut len = [0; 2];
            self.source.read_exact(&mut len)?;
            self.pass(u64::from(u16::from_le_bytes(len)))?;
        }
        if flags & FLAG_NAME != 0 {
            self.pass_string()?;
        }
        if flags & FLAG_COMMENT != 0 {
            self.pass_string()?;
        }
        if flags & FLAG_HEADER_CRC != 0 {
            self.pass(2)?;
        }
        Ok(())
    }

    fn pass(&mut self, count: u64) -> io::Result<()> {
        let passed = io::copy(&mut self.source.by_ref().take(count), &mut io::sink())?;
        if passed < count {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn pass_string(&mut self) -> io::Result<()> {
        loop {
            match read_byte(&mut self.source)? {
                Some(0) => return Ok(()),
                Some(_) => {}
                None => return Err(ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    /// Inflates some bytes of the member; 0 only at its end.
    fn inflate(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let input = match self.source.fill_buf() {
                Ok(input) => input,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let at_end = input.is_empty();
            let (in_before, out_before) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(input, out, FlushDecompress::None);
            let taken = distance(in_before, self.inflate.total_in());
            let given = distance(out_before, self.inflate.total_out());
            self.source.consume(taken);
            self.crc.update(out.get(..given).unwrap_or_default());
            match status {
                Err(_) => return self.give(given, invalid("invalid deflate data")),
                Ok(Status::StreamEnd) => {
                    if let Err(error) = self.check_trailer() {
                        return self.give(given, error);
                    }
                    self.state = State::Between { any: true };
                    return Ok(given);
                }
                Ok(_) if given > 0 => return Ok(given),
                Ok(_) if at_end => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
            }
        }
    }

    /// Hands out the last bytes before an error, or the error where there are none.
    fn give(&mut self, given: usize, error: io::Error) -> io::Result<usize> {
        if given == 0 {
            return Err(error);
        }
        self.due = Some(error);
        self.state = State::Ended;
        Ok(given)
    }

    /// Compares checksum and length at the end of a member.
    fn check_trailer(&mut self) -> io::Result<()> {
        let mut trailer = [0; 8];
        self.source.read_exact(&mut trailer)?;
        let [a, b, c, d, e, f, g, h] = trailer;
        if u32::from_le_bytes([a, b, c, d]) != self.crc.sum() {
            return Err(invalid("wrong checksum"));
        }
        if u32::from_le_bytes([e, f, g, h]) != self.crc.amount() {
            return Err(invalid("wrong length"));
        }
        Ok(())
    }
}

impl Read for GzipReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            match self.state {
                State::Ended => return self.due.take().map_or(Ok(0), Err),
                State::Between { any } => {
                    self.state = State::Ended;
                    if self.begin_member(any)? {
                        self.state = State::Inside;
                    }
                }
                State::Inside => match self.inflate(out) {
                    // An empty member, or the end of one that filled the last buffer exactly.
                    Ok(0) => {}
                    Ok(count) => return Ok(count),
                    Err(error) => {
                        self.state = State::Ended;
                        return Err(error);
                    }
                },
            }
        }
    }
}

fn read_byte(source: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        match source.fill_buf() {
            Ok(bytes) => {
                let first = bytes.first().copied();
                source.consume(usize::from(first.is_some()));
                return Ok(first);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn distance(before: u64, after: u64) -> usize {
    usize::try_from(after.saturating_sub(before)).unwrap_or(0)
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, message)
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn member(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0] & 0x3f
        };
        (0..len).map(|_| next()).collect()
    }

    /// Everything that comes out, and the error that ends it.
    fn read_all(bytes: Vec<u8>) -> (Vec<u8>, Option<io::Error>) {
        let mut reader = GzipReader::new(Box::new(io::Cursor::new(bytes)), 512);
        let mut all = Vec::new();
        let mut piece = [0; 1000];
        loop {
            match reader.read(&mut piece) {
                Ok(0) => return (all, None),
                Ok(count) => all.extend_from_slice(&piece[..count]),
                Err(error) => return (all, Some(error)),
            }
        }
    }

    #[test]
    fn members_follow_each_other() {
        let content = noise(5000);
        let bytes = [member(&content), member(b""), member(b"tail")].concat();
        let (all, error) = read_all(bytes);
        assert!(error.is_none());
        assert_eq!(all, [content, b"tail".to_vec()].concat());
    }

    #[test]
    fn header_fields_are_passed_over() {
        let plain = member(b"hello");
        let mut bytes = vec![0x1f, 0x8b, 8, 0x1f, 0, 0, 0, 0, 0, 3];
        bytes.extend_from_slice(&[3, 0, 1, 2, 3]);
        bytes.extend_from_slice(b"name\0comment\0\x12\x34");
        bytes.extend_from_slice(&plain[10..]);
        let (all, error) = read_all(bytes);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(all, b"hello");
    }

    #[test]
    fn garbage_after_the_last_member_is_not_damage() {
        let (all, error) = read_all([member(b"hello"), b"garbage".to_vec()].concat());
        assert_eq!(all, b"hello");
        let error = error.unwrap();
        assert!(error.get_ref().unwrap().is::<TrailingGarbage>());

        let (all, error) = read_all([member(b"hello"), vec![0; 700]].concat());
        assert_eq!(all, b"hello");
        assert!(error.is_none());
    }

    #[test]
    fn all_bytes_before_damage_come_out() {
        let content = noise(100_000);
        let whole = member(&content);
        let cut = whole.len() / 2;
        let (all, error) = read_all(whole[..cut].to_vec());
        assert_eq!(error.unwrap().kind(), ErrorKind::UnexpectedEof);
        assert!(all.len() > 40_000);
        assert!(content.starts_with(&all));

        let mut damaged = whole.clone();
        let last = damaged.len() - 6;
        damaged[last] ^= 1;
        let (all, error) = read_all(damaged);
        assert_eq!(all, content);
        assert_eq!(error.unwrap().to_string(), "wrong checksum");

        let (all, error) = read_all(whole[..whole.len() - 3].to_vec());
        assert_eq!(all, content);
        assert_eq!(error.unwrap().kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn no_prefix_and_no_flipped_byte_loops() {
        let whole = [member(&noise(300)), member(b"x")].concat();
        for cut in 0..whole.len() {
            read_all(whole[..cut].to_vec());
        }
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << bit;
                let (all, _) = read_all(damaged);
                assert!(all.len() < 100_000);
            }
        }
    }
}
