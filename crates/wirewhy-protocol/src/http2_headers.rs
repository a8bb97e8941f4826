//! Header blocks of HTTP/2 (RFC 7541), decoded by a library and read as far as a diagnosis needs.
//!
//! A block can only be decoded where all before it in the same direction were: behind a gap nothing is known any more.

use std::fmt;

use httparse::Header;
use loona_hpack::Decoder;
use wirewhy_packet::Interval;

use crate::http_request::Request;
use crate::http_trouble::Detail;
use crate::http1::refusal_of;

/// The largest table an encoder may use; the default is 4 KiB, and few ask for more than 64.
const MAX_TABLE: usize = 64 * 1024;

/// The most header fields of a refusal that are looked at, and the longest value.
const MAX_FIELDS: usize = 64;
const MAX_VALUE: usize = 1024;

/// How many fields the static table has (RFC 7541 appendix A).
const STATIC_TABLE: usize = 61;

/// How many bytes of names one block may have copied inside the table.
const MAX_COPIED: usize = 256 * 1024;

/// No number that is read is longer.
const MAX_DIGITS: usize = 24;

/// The longest message of gRPC that is kept.
const MAX_MESSAGE: usize = 200;

/// The decoder of one direction's header blocks.
#[derive(Default)]
pub(crate) enum HeaderBlocks {
    /// No block was seen yet.
    #[default]
    Fresh,
    Open(Box<Table>),
    /// A block was missing, or contradicts itself.
    Unreadable,
}

/// What was learnt of the blocks so far.
pub(crate) struct Table {
    decoder: Decoder<'static>,
    /// The length of the longest name of a field.
    longest_name: usize,
}

impl fmt::Debug for HeaderBlocks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            HeaderBlocks::Fresh => "Fresh",
            HeaderBlocks::Open(_) => "Open",
            HeaderBlocks::Unreadable => "Unreadable",
        })
    }
}

/// The library's table cannot be copied. Copies are made only to go on without bytes that are missing, and behind those nothing
/// can be decoded anyway.
impl Clone for HeaderBlocks {
    fn clone(&self) -> HeaderBlocks {
        match self {
            HeaderBlocks::Fresh => HeaderBlocks::Fresh,
            HeaderBlocks::Open(_) | HeaderBlocks::Unreadable => HeaderBlocks::Unreadable,
        }
    }
}

/// What a header block says.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Fields {
    method: Option<Box<[u8]>>,
    path: Option<Box<[u8]>>,
    authority: Option<Box<[u8]>>,
    pub(crate) status: Option<u16>,
    pub(crate) grpc_status: Option<u16>,
    pub(crate) grpc_message: Option<Box<str>>,
    pub(crate) grpc_timeout: Option<Interval>,
    /// What an answer says that refuses.
    pub(crate) detail: Option<Box<Detail>>,
}

impl HeaderBlocks {
    /// Bytes of memory of the table, where it has the size that encoders use by default (RFC 9113 section 6.5.2).
    pub(crate) fn kept(&self) -> usize {
        match self {
            HeaderBlocks::Open(_) => 4_096,
            HeaderBlocks::Fresh | HeaderBlocks::Unreadable => 0,
        }
    }

    /// Nothing behind this can be decoded.
    pub(crate) fn lose(&mut self) {
        *self = HeaderBlocks::Unreadable;
    }

    /// Decodes the next block; `None` where it cannot be.
    pub(crate) fn decode(&mut self, block: &[u8]) -> Option<Fields> {
        if matches!(self, HeaderBlocks::Fresh) {
            let mut decoder = Decoder::new();
            decoder.set_max_allowed_table_size(MAX_TABLE);
            *self = HeaderBlocks::Open(Box::new(Table {
                decoder,
                longest_name: 0,
            }));
        }
        let HeaderBlocks::Open(table) = self else {
            return None;
        };
        let Table {
            decoder,
            longest_name,
        } = &mut **table;
        // The Huffman code makes no text more than 8/5 as long (RFC 7541 appendix B).
        let longest = block.len().saturating_mul(2).max(*longest_name);
        let most = block.len() / 2;
        if most.saturating_mul(longest) > MAX_COPIED
            && names_copied(block).saturating_mul(longest) > MAX_COPIED
        {
            self.lose();
            return None;
        }
        let mut fields = Fields::default();
        let mut refusal: Vec<(String, Vec<u8>)> = Vec::new();
        let mut room = block.len().saturating_add(MAX_VALUE).saturating_mul(4);
        let decoded = decoder.decode_with_cb(block, |name, value| {
            *longest_name = name.len().max(*longest_name);
            fields.take(&name, &value);
            let refuses = fields.status.is_some_and(|status| status >= 400);
            let left = room.checked_sub(name.len() + value.len());
            if let Some(left) = left.filter(|_| refuses)
                && refusal.len() < MAX_FIELDS
                && value.len() <= MAX_VALUE
            {
                room = left;
                let name = String::from_utf8_lossy(&name).into_owned();
                refusal.push((name, value.to_vec()));
            }
        });
        if decoded.is_err() {
            self.lose();
            return None;
        }
        if let Some(status) = fields.status.filter(|status| *status >= 400) {
            let headers: Vec<Header<'_>> = refusal
                .iter()
                .map(|(name, value)| Header { name, value })
                .collect();
            fields.detail = Some(Box::new(refusal_of(&headers, status)));
        }
        Some(fields)
    }
}

/// How many fields of a block have the name of another one in the dynamic table, which adding them to it copies (RFC 7541
/// section 6.2.1).
fn names_copied(block: &[u8]) -> usize {
    let mut rest = block;
    let mut count = 0;
    while let Some(&first) = rest.first() {
        let (prefix, is_literal) = match first {
            0x80.. => (7, false),
            0x40.. => (6, true),
            0x20.. => (5, false),
            _ => (4, true),
        };
        let Some(index) = integer(&mut rest, prefix) else {
            return count;
        };
        count += usize::from(prefix == 6 && index > STATIC_TABLE);
        let texts = match (is_literal, index) {
            (false, _) => 0,
            (true, 0) => 2,
            (true, _) => 1,
        };
        for _ in 0..texts {
            let length = integer(&mut rest, 7);
            let Some(behind) = length.and_then(|length| rest.get(length..)) else {
                return count;
            };
            rest = behind;
        }
    }
    count
}

/// An integer (RFC 7541 section 5.1) whose first byte has so many bits of it.
fn integer(rest: &mut &[u8], prefix: u32) -> Option<usize> {
    let (&first, mut behind) = rest.split_first()?;
    let most = (1_usize << prefix) - 1;
    let mut value = usize::from(first) & most;
    if value == most {
        for shift in (0..28).step_by(7) {
            let (&byte, more) = behind.split_first()?;
            behind = more;
            value = value.checked_add(usize::from(byte & 0x7f) << shift)?;
            if byte & 0x80 == 0 {
                *rest = behind;
                return Some(value);
            }
        }
        return None;
    }
    *rest = behind;
    Some(value)
}

impl Fields {
    fn take(&mut self, name: &[u8], value: &[u8]) {
        // A byte can stand for a field of the table's size: of a value that is long no more than its beginning is looked at,
        // and of a field that comes twice, which is malformed (RFC 9113 section 8.3), the first.
        let number = value.get(..MAX_DIGITS).unwrap_or(value);
        let text = || str::from_utf8(number).ok();
        match name {
            b":method" if self.method.is_none() => self.method = Some(bounded(value)),
            b":path" if self.path.is_none() => self.path = Some(bounded(value)),
            b":authority" if self.authority.is_none() => self.authority = Some(bounded(value)),
            b":status" => self.status = text().and_then(|digits| digits.parse().ok()),
            b"grpc-status" => self.grpc_status = text().and_then(|digits| digits.parse().ok()),
            b"grpc-message" if self.grpc_message.is_none() => {
                self.grpc_message = Some(percent_decoded(value));
            }
            b"grpc-timeout" if value.len() <= MAX_DIGITS => self.grpc_timeout = timeout(value),
            _ => {}
        }
    }

    /// The request that a client's block is the header of.
    pub(crate) fn request(&self, begun: crate::types::Mark) -> Option<Request> {
        let method = self.method.as_deref()?;
        let path = self.path.as_deref().unwrap_or_default();
        Some(Request::read(
            method,
            path,
            self.authority.as_deref(),
            begun,
        ))
    }
}

/// A bounded copy.
fn bounded(bytes: &[u8]) -> Box<[u8]> {
    bytes.get(..Request::MAX_TEXT).unwrap_or(bytes).into()
}

/// A message of gRPC, which is percent-encoded; cut.
fn percent_decoded(value: &[u8]) -> Box<str> {
    let mut decoded = Vec::with_capacity(value.len().min(MAX_MESSAGE));
    let mut rest = value;
    while let [first, behind @ ..] = rest
        && decoded.len() < MAX_MESSAGE
    {
        let digit = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|it| u8::try_from(it).ok())
        };
        let escaped = match behind {
            [high, low, ..] if *first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                decoded.push(high * 16 + low);
                rest = behind.get(2..).unwrap_or(&[]);
            }
            None => {
                decoded.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into()
}

/// A time of gRPC: up to eight digits and a unit.
fn timeout(value: &[u8]) -> Option<Interval> {
    let (unit, digits) = value.split_last()?;
    let number: i64 = str::from_utf8(digits).ok()?.parse().ok()?;
    let nanos = match unit {
        b'H' => 3_600_000_000_000,
        b'M' => 60_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1_000,
        b'n' => 1,
        _ => return None,
    };
    Some(Interval(number.saturating_mul(nanos))).filter(|it| it.0 >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_requests_of_rfc_7541_appendix_c() {
        // Section C.4: requests with Huffman coding, which use the dynamic table.
        let blocks: [&[u8]; 2] = [
            b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
            b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf",
        ];
        let mut headers = HeaderBlocks::default();
        for block in blocks {
            let request = headers.decode(block).unwrap().request(Default::default());
            let request = request.unwrap();
            assert_eq!((&*request.method(), &*request.target()), ("GET", "/"));
            assert_eq!(request.host().as_deref(), Some("www.example.com"));
        }
        // Without the first one the second cannot be read, nor what follows.
        let mut late = HeaderBlocks::default();
        assert_eq!(late.decode(blocks[1]), None);
        assert_eq!(late.decode(blocks[0]), None);
    }

    /// A name of 30,000 bytes, which each of the fields behind it copies.
    #[test]
    fn long_names_are_copied_a_few_times_only() {
        let long = [
            &b"\x3f\xe1\xff\x03\x40\x7f\xb1\xe9\x01"[..],
            &[b'n'; 30_000],
            b"\0",
        ]
        .concat();
        let copy = b"\x7e\0";
        for (copies, is_decoded) in [(4, true), (500, false)] {
            let mut headers = HeaderBlocks::default();
            assert!(headers.decode(&long).is_some());
            let block = copy.repeat(copies);
            assert_eq!(names_copied(&block), copies);
            assert_eq!(headers.decode(&block).is_some(), is_decoded);
        }
        // Fields whose names are in the static table, or not added to the other one.
        assert_eq!(
            names_copied(b"\x82\x41\x01a\x0f\x2f\x01b\x10\x01n\x01v\x3f\x01\xbe"),
            0
        );
    }

    #[test]
    fn times_and_messages_of_grpc() {
        assert_eq!(timeout(b"250m"), Some(Interval::from_millis(250)));
        assert_eq!(timeout(b"3S"), Some(Interval::from_secs(3)));
        assert_eq!(timeout(b"3"), None);
        assert_eq!(&*percent_decoded(b"a%20b%C3%BC%zz%"), "a b\u{fc}%zz%");
        assert!(percent_decoded(&[b'x'; 5_000]).len() <= MAX_MESSAGE);
    }

    proptest! {
        #[test]
        fn any_blocks_are_survived(blocks: Vec<Vec<u8>>) {
            let mut headers = HeaderBlocks::default();
            for block in blocks {
                headers.decode(&block);
            }
        }
    }
}
