//! A header section in the form in which nearly all clients and servers send it, read in one pass: lines of printable ASCII
//! that end with CRLF, one space between the parts of the first line, no field that frames the message in an unusual way.
//!
//! Whatever departs from this form is left to the lenient parser, which reads the usual form alike.

use super::head::{Body, MAX_HEADERS};

/// A header section in the usual form.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Plain<'a> {
    /// The first line without its end.
    line: &'a [u8],
    /// The length of the section in bytes, the empty line included.
    pub(super) length: usize,
    /// The first Host.
    pub(super) host: Option<&'a [u8]>,
    content_length: Option<u64>,
    is_chunked: bool,
    /// Whether it has a field, Expect or Upgrade, that changes what a request means.
    has_intent: bool,
}

/// The parts of a request line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
}

impl<'a> Plain<'a> {
    /// The header section that `bytes` begin with; `None` where it is not whole, or not in the usual form.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Plain<'a>> {
        let (line, mut rest) = split_line(bytes)?;
        let mut plain = Plain {
            line,
            ..Plain::default()
        };
        for _ in 0..=MAX_HEADERS {
            if let [b'\r', b'\n', after @ ..] = rest {
                plain.length = bytes.len() - after.len();
                return Some(plain);
            }
            let (name, after) = split_name(rest)?;
            let (value, after) = split_line(after)?;
            plain.take(name, value)?;
            rest = after;
        }
        None
    }

    /// The request line, and the body that follows; `None` where they are not in the usual form.
    pub(super) fn request(&self) -> Option<(RequestLine<'a>, Body)> {
        let (parts, is_1_0) = match self.line.split_last_chunk::<9>()? {
            (parts, b" HTTP/1.1") => (parts, false),
            (parts, b" HTTP/1.0") => (parts, true),
            _ => return None,
        };
        let (method, target) = parts.split_at_checked(name_length(parts))?;
        let [b' ', target @ ..] = target else {
            return None;
        };
        let usual = !method.is_empty() && !target.is_empty() && part_length(target) == target.len();
        if !usual || method == b"CONNECT" || self.has_intent || self.is_chunked && is_1_0 {
            return None;
        }
        let line = RequestLine { method, target };
        Some((line, self.body().unwrap_or(Body::None)))
    }

    /// The status, and the body that follows; `None` where they are not in the usual form.
    pub(super) fn response(&self) -> Option<(u16, Body)> {
        let (version, rest) = self.line.split_first_chunk::<9>()?;
        let is_1_0 = match version {
            b"HTTP/1.1 " => false,
            b"HTTP/1.0 " => true,
            _ => return None,
        };
        let (digits, reason) = rest.split_first_chunk::<3>()?;
        let is_status = digits.iter().all(u8::is_ascii_digit) && matches!(reason, [] | [b' ', ..]);
        if !is_status || self.is_chunked && is_1_0 {
            return None;
        }
        let status = digits
            .iter()
            .fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
        Some((status, self.body().unwrap_or(Body::UntilClose)))
    }

    /// The body as Transfer-Encoding, which overrides the other, and Content-Length announce it.
    fn body(&self) -> Option<Body> {
        if self.is_chunked {
            return Some(Body::Chunked);
        }
        self.content_length.map(Body::Length)
    }

    /// Takes what a field says; `None` where that is not usual.
    fn take(&mut self, name: &[u8], value: &'a [u8]) -> Option<()> {
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        match name.len() {
            4 if is(b"host") => {
                self.host.get_or_insert(value.trim_ascii());
            }
            6 => self.has_intent |= is(b"expect"),
            7 => self.has_intent |= is(b"upgrade"),
            14 if has_ends(name, b"content-", b"t-length") => {
                let length =
                    number(value.trim_ascii()).filter(|_| self.content_length.is_none())?;
                self.content_length = Some(length);
            }
            17 if is(b"transfer-encoding") => {
                let usual = value.trim_ascii().eq_ignore_ascii_case(b"chunked");
                if !usual || self.is_chunked {
                    return None;
                }
                self.is_chunked = true;
            }
            _ => {}
        }
        Some(())
    }
}

/// The most digits of which every number fits 64 bits.
const MAX_DIGITS: usize = 19;

/// A number of few digits.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |number, digit: &u8| number * 10 + u64::from(digit - b'0');
    Some(digits.iter().fold(0, add))
}

/// Splits a field's name off, and the colon behind it.
fn split_name(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, rest) = bytes.split_at_checked(name_length(bytes))?;
    match rest {
        [b':', rest @ ..] if !name.is_empty() => Some((name, rest)),
        _ => None,
    }
}

/// Splits a line of printable ASCII off, and the CRLF behind it.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, rest) = bytes.split_at_checked(printable_length(bytes))?;
    match rest {
        [b'\r', b'\n', rest @ ..] => Some((line, rest)),
        _ => None,
    }
}

/// A word of eight equal bytes.
const fn eight(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The highest bit of each byte.
const HIGHEST: u64 = eight(0x80);

/// How many bytes are such that names of fields and methods usually have, from the first one on.
fn name_length(bytes: &[u8]) -> usize {
    length_of(
        bytes,
        |word| {
            // Nothing is carried from a byte of seven bits to the next.
            let low = word & !HIGHEST;
            let lower = low | eight(0x20);
            let letter = (lower + eight(0x80 - b'a')) & !(lower + eight(0x7f - b'z'));
            let hyphen = !((low ^ eight(b'-')) + eight(0x7f));
            (word | !(letter | hyphen)) & HIGHEST
        },
        |byte| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_'),
    )
}

/// How many bytes are printable ASCII, from the first one on.
fn printable_length(bytes: &[u8]) -> usize {
    // Where all bytes of a block are looked at, many are at once.
    let is_printable = |block: &&[u8; 32]| {
        let others = block.iter().map(|byte| !matches!(byte, b' '..=b'~'));
        !others.fold(false, |any, is| any | is)
    };
    let (blocks, _) = bytes.as_chunks::<32>();
    let length = 32 * blocks.iter().take_while(is_printable).count();
    length + printable_length_by_words(bytes.get(length..).unwrap_or_default())
}

fn printable_length_by_words(bytes: &[u8]) -> usize {
    length_of(
        bytes,
        |word| {
            let low = word & !HIGHEST;
            let printable = (low + eight(0x80 - b' ')) & !(low + eight(0x7f - b'~'));
            (word | !printable) & HIGHEST
        },
        |byte| matches!(byte, b' '..=b'~'),
    )
}

/// How many bytes come before a space.
fn part_length(bytes: &[u8]) -> usize {
    length_of(
        bytes,
        |word| {
            let apart = word ^ eight(b' ');
            apart.wrapping_sub(eight(1)) & !apart & HIGHEST
        },
        |byte| byte != b' ',
    )
}

/// Whether a name begins with `first` and ends with `last`, which are in lower case.
fn has_ends(name: &[u8], first: &[u8; 8], last: &[u8; 8]) -> bool {
    // No two characters of names but the cases of a letter differ in this bit alone.
    let lower = |word: &[u8; 8]| u64::from_le_bytes(*word) | eight(b' ');
    name.first_chunk().map(lower) == Some(u64::from_le_bytes(*first))
        && name.last_chunk().map(lower) == Some(u64::from_le_bytes(*last))
}

/// How many bytes from the first one on are of a kind, taken eight at a time. `others` has the highest bit set of every byte
/// of a word that is of another kind, and perhaps of some that are of this one; `is_one` knows.
fn length_of(bytes: &[u8], others: impl Fn(u64) -> u64, is_one: impl Fn(u8) -> bool) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    let mut length = 0;
    for word in words {
        let others = others(u64::from_le_bytes(*word));
        if others != 0 {
            length += usize::try_from(others.trailing_zeros() / 8).unwrap_or(0);
            break;
        }
        length += 8;
    }
    // Mostly the next byte is of another kind.
    while let Some(byte) = bytes.get(length)
        && is_one(*byte)
    {
        length += 1;
    }
    length
}
