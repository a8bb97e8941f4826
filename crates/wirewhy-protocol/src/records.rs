//! TLS records (RFC 8446 section 5.1): where each begins and ends; the bytes of those in the clear go on to the follower.

use crate::facts::AppFacts;
use crate::parser::{Parser, ReaderPosition};
use crate::protocol::{Protocol, Reading};
use crate::shared_state::SharedState;
use crate::tls::{ContentType, HandshakeType, Incomplete, RecordHeader, Tls};
use crate::types::{
    AppProtocol, Framing, Input, Mark, Role, Step, Transport, Unfinished, Unreadable, What,
};

const HEADER: usize = 5;

/// The longest ciphertext of TLS 1.2 (RFC 5246 section 6.2.3); 1.3 allows less.
const MAX_LENGTH: u16 = (1 << 14) + 2048;

pub(crate) static TLS: Protocol = Protocol {
    id: AppProtocol::Tls,
    name: "TLS",
    transports: &[Transport::Tcp],
    first: Some(Role::Client),
    probe: |_, bytes| match bytes.first() {
        Some(20..=24) => is_first_record(bytes),
        Some(0x80..) => is_ssl2_hello(bytes),
        _ => Some(false),
    },
    reading: Reading::Tls,
};

/// Whether first bytes are a record; `None` while they may be.
fn is_first_record(bytes: &[u8]) -> Option<bool> {
    if bytes.get(1).is_some_and(|&major| major != 0x03) {
        return Some(false);
    }
    // No direction begins with an empty record, and versions end at 0x0304.
    let (header, _) = bytes.split_first_chunk::<HEADER>()?;
    let [_, _, minor, ..] = *header;
    Some(minor <= 0x04 && matches!(announced(*header), Some(1..)))
}

/// The length a record header announces; `None` where it is none.
fn announced(header: [u8; HEADER]) -> Option<u16> {
    let [kind, major, _, high, low] = header;
    let length = u16::from_be_bytes([high, low]);
    // change_cipher_spec to heartbeat; the version's low byte is legacy and never decides.
    ((20..=24).contains(&kind) && major == 0x03 && length <= MAX_LENGTH).then_some(length)
}

/// Whether bytes from the middle of a stream are plainly TLS records: they begin with a record's header, and where a record
/// ends within them another one's follows. Fewer bytes than a header has may only begin a handshake.
#[must_use]
pub fn begins_with_records(mut bytes: &[u8]) -> bool {
    let mut whole = 0_usize;
    while let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() {
        let Some(length) = plausible(*header) else {
            return false;
        };
        whole += 1;
        let Some((_, after)) = rest.split_at_checked(usize::from(length)) else {
            return true;
        };
        bytes = after;
    }
    if whole > 0 {
        return bytes.get(1).is_none_or(|&major| major == 0x03);
    }
    let begun = [ContentType::HANDSHAKE.0, 0x03];
    !bytes.is_empty() && bytes.iter().zip(begun).all(|(&byte, begun)| byte == begun)
}

/// The length of a record that is not only allowed but likely.
fn plausible(header: [u8; HEADER]) -> Option<u16> {
    let [kind, _, minor, ..] = header;
    let length = announced(header).filter(|_| minor <= 0x04)?;
    match ContentType(kind) {
        ContentType::CHANGE_CIPHER_SPEC => (length == 1).then_some(length),
        ContentType::ALERT => (2..=256).contains(&length).then_some(length),
        _ => (length > 0).then_some(length),
    }
}

/// The hello, [`HandshakeType::CLIENT_HELLO`] or [`HandshakeType::SERVER_HELLO`], that these bytes begin with.
#[must_use]
pub fn hello_of(bytes: &[u8]) -> Option<HandshakeType> {
    let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
    plausible(*header).filter(|_| header[0] == ContentType::HANDSHAKE.0)?;
    // The message's type, its length, of which the first byte is zero in any hello, and the version.
    let [kind, 0, _, _, 0x03, _] = *rest.first_chunk::<6>()? else {
        return None;
    };
    let hellos = [HandshakeType::CLIENT_HELLO, HandshakeType::SERVER_HELLO];
    hellos.into_iter().find(|hello| hello.0 == kind)
}

/// The records of one direction.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Reader {
    begun: Option<Mark>,
    record: Option<Open>,
    /// The control connection of FTP is back in the clear.
    is_cleared: bool,
}

crate::compact!(Reader {
    begun,
    record,
    is_cleared
});

/// A record whose header was read.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Open {
    record: RecordHeader,
    /// Where its body begins and ends.
    start: u64,
    end: u64,
    /// Its bytes are needed.
    taken: bool,
}

crate::compact!(Open {
    record,
    start,
    end,
    taken
});

impl Parser for Reader {
    fn read(&mut self, input: Input<'_>, shared: &mut SharedState) -> Step {
        if self.is_cleared {
            return cleared::read(input, shared);
        }
        let tls = &mut shared.tls();
        if let Some(open) = self.record {
            if input.at < open.end {
                return self.read_body(open, input, tls);
            }
            self.finish(open.record, input.role, input.mark, tls);
        }
        let begun = *self.begun.get_or_insert(input.mark);
        if input.role == Role::Client
            && let Some(length) = ssl2_hello(input.bytes)
            && tls.expects_hello()
        {
            return self.read_ssl2(input, length, begun, tls);
        }
        let Some((header, _)) = input.bytes.split_first_chunk::<HEADER>() else {
            return Step::More;
        };
        let Some(length) = announced(*header) else {
            if cleared::follows(input.role, input.bytes, shared) {
                self.is_cleared = true;
                return cleared::read(input, shared);
            }
            return Step::Unreadable(Unreadable::Malformed);
        };
        let [kind, major, minor, ..] = *header;
        let record = RecordHeader {
            kind: ContentType(kind),
            version: u16::from_be_bytes([major, minor]),
            length,
            begun,
        };
        let start = input.after(HEADER);
        let Some(end) = start.checked_add(u64::from(length)) else {
            return Step::Unreadable(Unreadable::Malformed);
        };
        if let Some(ftp) = &mut shared.ftp {
            ftp.sealed(input.role, record, input.mark);
        }
        let tls = &mut shared.tls();
        let taken = tls.begin(input.role, record);
        if end <= input.end() && (!taken || length == 0) {
            self.finish(record, input.role, input.mark, tls);
            return Step::To(end);
        }
        self.record = Some(Open {
            record,
            start,
            end,
            taken,
        });
        Step::To(if taken { start } else { end })
    }

    fn reached(&mut self, offset: u64, mark: Mark, role: Role, shared: &mut SharedState) {
        if let Some(open) = self.record
            && open.end == offset
        {
            self.finish(open.record, role, mark, &mut shared.tls());
        }
    }

    /// Where the record's body ends, if its bytes are not needed.
    fn skips_to(&self) -> Option<u64> {
        self.record.filter(|open| !open.taken).map(|open| open.end)
    }

    fn tolerates_gaps(&self) -> bool {
        true
    }

    /// Continues behind a body whose bytes are needed.
    fn skip(
        &mut self,
        reason: Unreadable,
        mark: Mark,
        role: Role,
        shared: &mut SharedState,
    ) -> Option<u64> {
        let open = self.record.as_mut().filter(|open| open.taken)?;
        open.taken = false;
        shared.tls().missed(role, open.record, reason, mark);
        Some(open.end)
    }

    fn reads_framing(&self) -> bool {
        !self.is_cleared
    }

    fn stop(&mut self, _role: Role, _unread: &[u8], shared: &mut SharedState) {
        if let Some(ftp) = shared.ftp.as_mut().filter(|_| self.is_cleared) {
            ftp.stop();
        }
    }

    fn framing(&self, position: ReaderPosition, _shared: &SharedState) -> Framing {
        let upto = position.upto;
        let Some(begun) = self.begun else {
            return Framing::Boundary;
        };
        let what = match self.record {
            Some(Open { end, .. }) if upto >= end => return Framing::Boundary,
            Some(Open { start, end, .. }) => What::TlsRecord {
                announced: end - start,
                received: upto.saturating_sub(start),
            },
            None => What::Header,
        };
        Framing::Inside(Unfinished { what, begun })
    }

    /// Where the side's TLS cannot be followed any further, and the record it stops in.
    fn report(&self, position: ReaderPosition, facts: &mut AppFacts) {
        let Some(tls) = &mut facts.tls else {
            return;
        };
        let side = match position.role {
            Role::Client => &mut tls.client,
            Role::Server => &mut tls.server,
        };
        if self.is_cleared {
            return;
        }
        let misses = position.upto > position.need && self.skips_to().is_none();
        let stopped = position.unreadable.or(misses.then_some(Unreadable::Gap));
        side.stopped = side.stopped.or(stopped);
        side.incomplete = match stopped {
            Some(_) => None,
            None => self.incomplete(position.upto),
        };
    }
}

impl Reader {
    fn read_body(&mut self, open: Open, input: Input<'_>, tls: &mut Tls<'_>) -> Step {
        if !open.taken {
            return Step::To(open.end);
        }
        let left = usize::try_from(open.end - input.at).unwrap_or(usize::MAX);
        let bytes = input.bytes.get(..left).unwrap_or(input.bytes);
        tls.body(input.role, open.record, bytes, input.mark);
        let after = input.after(bytes.len());
        if after == open.end {
            self.finish(open.record, input.role, input.mark, tls);
        }
        Step::To(after)
    }

    fn finish(&mut self, record: RecordHeader, role: Role, mark: Mark, tls: &mut Tls<'_>) {
        tls.end(role, record, mark);
        *self = Reader::default();
    }

    fn read_ssl2(
        &mut self,
        input: Input<'_>,
        length: usize,
        begun: Mark,
        tls: &mut Tls<'_>,
    ) -> Step {
        // After the length and the message's type.
        let Some(body) = input.bytes.get(3..length) else {
            return Step::More;
        };
        tls.ssl2_hello(body, begun, input.mark);
        *self = Reader::default();
        Step::To(input.after(length))
    }

    /// The record that `upto` bytes end in the middle of.
    fn incomplete(&self, upto: u64) -> Option<Incomplete> {
        let begun = self.begun?;
        match self.record {
            Some(Open { end, .. }) if upto >= end => None,
            Some(Open { record, start, .. }) => Some(Incomplete {
                kind: Some(record.kind),
                announced: u32::from(record.length),
                received: u32::try_from(upto.saturating_sub(start)).unwrap_or(u32::MAX),
                begun,
            }),
            None => Some(Incomplete {
                kind: None,
                announced: 0,
                received: 0,
                begun,
            }),
        }
    }
}

/// What a ClientHello in the format of SSL 2.0 has before its cipher suites (RFC 5246 appendix E.2).
const SSL2_HEADER: usize = 11;

/// Whether `bytes` begin a ClientHello in the format of SSL 2.0; `None` while more of them could decide otherwise.
fn is_ssl2_hello(bytes: &[u8]) -> Option<bool> {
    let fixed =
        |index: usize, test: fn(u8) -> bool| bytes.get(index).is_none_or(|&byte| test(byte));
    let may_be = fixed(0, |byte| byte & 0x80 != 0)
        && fixed(2, |kind| kind == 1)
        && fixed(3, |major| matches!(major, 0 | 3))
        && fixed(4, |minor| minor <= 4);
    if !may_be {
        return Some(false);
    }
    bytes
        .first_chunk::<SSL2_HEADER>()
        .map(|_| ssl2_hello(bytes).is_some())
}

/// The length of the ClientHello in the format of SSL 2.0 that `bytes` begin, its own header included.
fn ssl2_hello(bytes: &[u8]) -> Option<usize> {
    let &[high, low, 1, major, minor, s, t, i, j, c, d] = bytes.first_chunk::<SSL2_HEADER>()?
    else {
        return None;
    };
    let version = u16::from_be_bytes([major, minor]);
    if high & 0x80 == 0 || !(version == 0x0002 || (0x0300..=0x0304).contains(&version)) {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([high & 0x7f, low]));
    let suites = usize::from(u16::from_be_bytes([s, t]));
    let session_id = usize::from(u16::from_be_bytes([i, j]));
    let challenge = usize::from(u16::from_be_bytes([c, d]));
    let fits = suites % 3 == 0
        && suites > 0
        && matches!(session_id, 0 | 16)
        && (16..=32).contains(&challenge)
        && length == SSL2_HEADER - 2 + suites + session_id + challenge;
    fits.then_some(length + 2)
}

mod cleared;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AppProtocol;
    use crate::testing::{client, closed_facts, open_facts};

    #[test]
    fn records_are_known_in_the_middle_of_a_stream() {
        let two = [record(22, 40), record(23, 100)].concat();
        for cut in [1, 2, 3, 4, 5, 20, 45, 46, 47, 49, 50, 60, 150] {
            assert!(begins_with_records(&two[..cut]), "cut at {cut}");
        }
        let no: [&[u8]; 9] = [
            b"",
            b"\x17",
            b"\x17\x03\x03",
            b"\x16\x02",
            b"HTTP/1.1 200 OK",
            b"\x16\x03\x05\x00\x20",
            b"\x14\x03\x03\x00\x02\x01\x01",
            b"\x15\x03\x03\x00\x02\x02\x28GET",
            b"\x17\x03\x03\x48\x01",
        ];
        for bytes in no {
            assert!(!begins_with_records(bytes), "{bytes:x?}");
        }
    }

    #[test]
    fn hellos_are_told_by_their_type() {
        let hello = |kind: u8| [0x16, 3, 1, 0, 0x2d, kind, 0, 0, 0x29, 3, 3];
        assert_eq!(hello_of(&hello(1)), Some(HandshakeType::CLIENT_HELLO));
        assert_eq!(hello_of(&hello(2)), Some(HandshakeType::SERVER_HELLO));
        assert_eq!(hello_of(&hello(11)), None);
        assert_eq!(hello_of(&hello(1)[..9]), None);
        // An encrypted handshake message may look like anything.
        assert_eq!(
            hello_of(b"\x16\x03\x03\x00\x28\x01\x9c\x11\x22\x03\x03"),
            None
        );
        assert_eq!(
            hello_of(b"\x17\x03\x03\x00\x28\x01\x00\x00\x22\x03\x03"),
            None
        );
    }

    fn record(kind: u8, length: u16) -> Vec<u8> {
        let mut bytes = vec![kind, 3, 3];
        bytes.extend(length.to_be_bytes());
        bytes.extend(vec![0xaa; usize::from(length)]);
        bytes
    }

    #[test]
    fn records_cut_at_every_byte() {
        let lengths = [7_u16, 1, 0, 40];
        let mut stream = Vec::new();
        let mut starts = Vec::new();
        for (kind, length) in [22, 20, 23, 24].into_iter().zip(lengths) {
            starts.push(stream.len());
            stream.extend(record(kind, length));
        }
        for cut in 5..=stream.len() {
            let index = starts.partition_point(|&start| start < cut) - 1;
            let into = cut - starts[index];
            let length = usize::from(lengths[index]);
            let expected = match into {
                _ if into == length + 5 => None,
                ..5 => Some(What::Header),
                _ => Some(What::TlsRecord {
                    announced: length as u64,
                    received: into as u64 - 5,
                }),
            };
            let facts = closed_facts(&[client(&stream[..cut])]);
            assert_eq!(facts.client.protocol, Some(AppProtocol::Tls));
            assert_eq!(
                facts.client.truncated().map(|cut| cut.what),
                expected,
                "cut at {cut}"
            );
            assert!(!matches!(facts.client.framing, Framing::Unknown(_)));
        }
    }

    #[test]
    fn the_longest_record_and_one_byte_more() {
        assert_eq!(announced([23, 3, 3, 0x48, 0x00]), Some(18432));
        assert_eq!(announced([23, 3, 3, 0x48, 0x01]), None);
    }

    #[test]
    fn what_is_no_record_ends_the_reading() {
        for next in [
            [19, 3, 3, 0, 1],
            [25, 3, 3, 0, 1],
            [23, 2, 3, 0, 1],
            [23, 3, 3, 255, 255],
        ] {
            let facts = open_facts(&[client(record(22, 9)), client(next)]);
            assert_eq!(
                facts.client.framing,
                Framing::Unknown(Unreadable::Malformed)
            );
        }
    }
}
