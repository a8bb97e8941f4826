//! DTLS (RFC 6347, RFC 9147): its hellos, and the alerts that it sends in the clear. Nothing is concluded from them.
//!
//! A conversation is recognised by a whole ClientHello, or its first fragment, alone in a record of epoch 0. Beside it other
//! protocols may use the same ports (RFC 7983): what is no record is passed over.

use super::hello::{ClientHello, ServerHello};
use super::wire;
use super::{AlertDescription, CipherSuite, ContentType, HandshakeType, ProtocolVersion};
use crate::facts::AppFacts;
use crate::out_of_order::OutOfOrder;
use crate::parser::{Parser, ReaderPosition};
use crate::protocol::{Protocol, Reading};
use crate::shared_state::SharedState;
use crate::types::{AppProtocol, Framing, Input, Mark, Role, Step, StreamSegment, Transport};

pub(crate) static DTLS: Protocol = Protocol {
    id: AppProtocol::Dtls,
    name: "DTLS",
    transports: &[Transport::Udp],
    first: Some(Role::Client),
    probe: |role, datagram| Some(role == Role::Client && begins(datagram)),
    reading: Reading::Parser(|| Box::new(Reader::default())),
};

/// What was seen of DTLS.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DtlsFacts {
    /// The versions that the client offers, the best first.
    pub offered: Vec<ProtocolVersion>,
    /// The host name that it asks for: hostile text.
    pub server_name: Option<Box<str>>,
    /// The application protocols that it offers: hostile text.
    pub alpn: Vec<Box<str>>,
    /// Where its first hello ended.
    pub client_hello: Option<Mark>,
    /// Where the server first asked for the hello once more, with a cookie: HelloVerifyRequest or HelloRetryRequest.
    pub verify_request: Option<Mark>,
    /// Where the server's hello ended.
    pub server_hello: Option<Mark>,
    /// The version that the server chose.
    pub version: Option<ProtocolVersion>,
    /// The cipher suite that it chose.
    pub cipher_suite: Option<CipherSuite>,
    /// Records of the client.
    pub client: DtlsTally,
    /// Records of the server.
    pub server: DtlsTally,
    /// The first alerts that could be read, at most [`DtlsFacts::ALERTS`].
    pub alerts: Vec<DtlsAlert>,
}

impl DtlsFacts {
    /// How many alerts are kept.
    pub const ALERTS: usize = 8;
}

/// Records of one side.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DtlsTally {
    /// All of them.
    pub records: u64,
    /// Those that are encrypted.
    pub encrypted: u64,
}

/// An alert in the clear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DtlsAlert {
    /// Who sent it.
    pub from: Role,
    /// Where it was seen.
    pub mark: Mark,
    /// 1 is a warning, 2 is fatal.
    pub level: u8,
    /// What it says.
    pub description: AlertDescription,
}

/// The most bytes of a hello.
const MOST: usize = 16_384;

/// The first byte of an encrypted record of DTLS 1.3 is one of these (RFC 9147 section 4).
const UNIFIED: std::ops::RangeInclusive<u8> = 0x20..=0x3f;

/// The length of a fragment's header.
const FRAGMENT: usize = 12;

/// A record with a header of its own (RFC 6347 section 4.1).
struct DtlsRecord<'a> {
    kind: ContentType,
    epoch: u16,
    body: &'a [u8],
}

/// Splits the next record off; `None` where there is none.
fn record<'a>(rest: &mut &'a [u8]) -> Option<DtlsRecord<'a>> {
    let (kind, mut after) = rest.split_first()?;
    let kind = ContentType(*kind);
    let known = matches!(kind.0, 20..=26);
    let version = ProtocolVersion(wire::u16(&mut after)?);
    let epoch = wire::u16(&mut after)?;
    wire::take(&mut after, 6)?;
    let length = wire::u16(&mut after)?;
    let body = wire::take(&mut after, usize::from(length))?;
    if !known || !is_dtls(version) || body.is_empty() {
        return None;
    }
    *rest = after;
    Some(DtlsRecord { kind, epoch, body })
}

/// Whether a record has this version in its header: DTLS 1.3 has that of 1.2 there.
fn is_dtls(version: ProtocolVersion) -> bool {
    [ProtocolVersion::DTLS1_0, ProtocolVersion::DTLS1_2].contains(&version)
}

/// A piece of a handshake message (RFC 6347 section 4.2.2).
struct Fragment<'a> {
    kind: HandshakeType,
    length: usize,
    number: u16,
    offset: usize,
    body: &'a [u8],
}

fn fragment<'a>(rest: &mut &'a [u8]) -> Option<Fragment<'a>> {
    let (header, mut after) = rest.split_first_chunk::<FRAGMENT>()?;
    let [kind, a, b, c, d, e, f, g, h, i, j, k] = *header;
    let number = |bytes: [u8; 3]| {
        let [high, middle, low] = bytes.map(usize::from);
        high << 16 | middle << 8 | low
    };
    let (length, offset, part) = (number([a, b, c]), number([f, g, h]), number([i, j, k]));
    let body = wire::take(&mut after, part)?;
    if offset + part > length || length > MOST {
        return None;
    }
    *rest = after;
    Some(Fragment {
        kind: HandshakeType(kind),
        length,
        number: u16::from_be_bytes([d, e]),
        offset,
        body,
    })
}

/// Whether a datagram begins with a ClientHello: in a record of its own, of the first epoch, from its first byte on, and with
/// lengths that fit.
fn begins(datagram: &[u8]) -> bool {
    if datagram.first() != Some(&ContentType::HANDSHAKE.0) {
        return false;
    }
    let mut rest = datagram;
    let Some(first) = record(&mut rest) else {
        return false;
    };
    let mut body = first.body;
    let Some(hello) = fragment(&mut body) else {
        return false;
    };
    let is_first = first.epoch == 0
        && hello.kind == HandshakeType::CLIENT_HELLO
        && hello.offset == 0
        && body.is_empty();
    is_first
        && match hello.body.len() == hello.length {
            true => without_cookie(hello.body).is_some(),
            false => opens_hello(hello.body),
        }
}

/// Whether the first fragment of a ClientHello has what one begins with: version, random and a session id of the right length.
fn opens_hello(mut body: &[u8]) -> bool {
    let version = wire::u16(&mut body).map(ProtocolVersion);
    version.is_some_and(is_dtls)
        && wire::take(&mut body, 32).is_some()
        && wire::vector8(&mut body).is_some_and(|id| id.len() <= 32)
}

/// A ClientHello as it is in TLS, where it has no cookie; `None` where its lengths do not fit.
fn without_cookie(body: &[u8]) -> Option<Box<[u8]>> {
    let mut rest = body;
    if !opens_hello(body) {
        return None;
    }
    wire::take(&mut rest, 34)?;
    wire::vector8(&mut rest)?;
    let head = body.get(..body.len() - rest.len())?;
    wire::vector8(&mut rest)?;
    let tail = rest;
    let suites = wire::vector16(&mut rest)?;
    let compression = wire::vector8(&mut rest)?;
    if suites.is_empty() || suites.len() % 2 == 1 || compression.is_empty() {
        return None;
    }
    if !rest.is_empty() {
        wire::vector16(&mut rest)?;
    }
    rest.is_empty().then(|| [head, tail].concat().into())
}

/// Reads the datagrams of both ends.
#[derive(Clone, Debug, Default)]
struct Reader {
    facts: DtlsFacts,
    /// The hello of each end that is not whole yet.
    pending: [Pending; 2],
}

/// Fragments of one message.
#[derive(Clone, Debug, Default)]
struct Pending {
    number: u16,
    /// What is whole from its first byte on.
    bytes: Vec<u8>,
    waiting: OutOfOrder,
}

impl Pending {
    /// Adds a fragment. Returns the message once it is whole. A fragment of another message begins that.
    fn add(&mut self, fragment: &Fragment<'_>, mark: Mark) -> Option<Vec<u8>> {
        if self.number != fragment.number {
            *self = Pending {
                number: fragment.number,
                ..Pending::default()
            };
        }
        let place = |offset: usize| u64::try_from(offset).unwrap_or(u64::MAX);
        self.waiting.keep(StreamSegment::new(
            place(fragment.offset),
            fragment.body,
            0,
            mark,
        ));
        while let Some(piece) = self.waiting.take(place(self.bytes.len())) {
            let next = piece.segment().from(place(self.bytes.len()));
            self.bytes.extend_from_slice(next);
        }
        (self.bytes.len() >= fragment.length).then(|| std::mem::take(self).bytes)
    }

    fn kept(&self) -> usize {
        self.bytes.capacity() + self.waiting.kept()
    }
}

impl Reader {
    fn datagram(&mut self, role: Role, mut rest: &[u8], mark: Mark) {
        loop {
            let tally = match role {
                Role::Client => &mut self.facts.client,
                Role::Server => &mut self.facts.server,
            };
            // Such a record may go on to the end of the datagram: its length is not needed for what is behind it is encrypted too.
            if rest.first().is_some_and(|first| UNIFIED.contains(first)) {
                let begun = self.facts.server_hello.is_some();
                tally.records += u64::from(begun);
                tally.encrypted += u64::from(begun);
                return;
            }
            let Some(record) = record(&mut rest) else {
                return;
            };
            tally.records += 1;
            if record.epoch > 0 {
                tally.encrypted += 1;
                continue;
            }
            match record.kind {
                ContentType::HANDSHAKE => self.handshake(role, record.body, mark),
                ContentType::ALERT => self.alert(role, record.body, mark),
                _ => {}
            }
        }
    }

    fn handshake(&mut self, role: Role, mut rest: &[u8], mark: Mark) {
        while let Some(fragment) = fragment(&mut rest) {
            let wanted = match role {
                Role::Client => fragment.kind == HandshakeType::CLIENT_HELLO,
                Role::Server => [
                    HandshakeType::SERVER_HELLO,
                    HandshakeType::HELLO_VERIFY_REQUEST,
                ]
                .contains(&fragment.kind),
            };
            if !wanted {
                continue;
            }
            if let Some(body) = role.of(&mut self.pending).add(&fragment, mark) {
                self.message(fragment.kind, &body, mark);
            }
        }
    }

    fn message(&mut self, kind: HandshakeType, body: &[u8], mark: Mark) {
        let facts = &mut self.facts;
        match kind {
            HandshakeType::CLIENT_HELLO if facts.client_hello.is_none() => {
                let Some(raw) = without_cookie(body) else {
                    return;
                };
                let hello = ClientHello {
                    begun: mark,
                    mark,
                    record_version: ProtocolVersion::DTLS1_0,
                    is_ssl2: false,
                    records: 1,
                    raw,
                    is_quic: false,
                };
                facts.client_hello = Some(mark);
                facts.offered = hello.versions();
                facts.server_name = hello.server_name().map(Into::into);
                let names = hello.alpn().into_iter().take(16);
                facts.alpn = names
                    .map(|name| String::from_utf8_lossy(name).into())
                    .collect();
            }
            HandshakeType::HELLO_VERIFY_REQUEST => {
                facts.verify_request.get_or_insert(mark);
            }
            HandshakeType::SERVER_HELLO if facts.server_hello.is_none() => {
                let hello = ServerHello {
                    mark,
                    raw: body.into(),
                };
                if hello.is_retry_request() {
                    facts.verify_request.get_or_insert(mark);
                    return;
                }
                facts.server_hello = Some(mark);
                facts.version = Some(hello.version());
                facts.cipher_suite = Some(hello.cipher_suite());
            }
            _ => {}
        }
    }

    fn alert(&mut self, from: Role, body: &[u8], mark: Mark) {
        if let &[level, description] = body
            && self.facts.alerts.len() < DtlsFacts::ALERTS
        {
            self.facts.alerts.push(DtlsAlert {
                from,
                mark,
                level,
                description: AlertDescription(description),
            });
        }
    }
}

/// The records of a datagram of DTLS, by type: `handshake + change_cipher_spec`; `None` where it does not begin with one.
#[must_use]
pub fn records_in(datagram: &[u8]) -> Option<String> {
    let mut names: Vec<String> = Vec::new();
    let mut rest = datagram;
    while names.len() < MOST_NAMED {
        if rest.first().is_some_and(|first| UNIFIED.contains(first)) {
            names.push("encrypted".to_owned());
            break;
        }
        let Some(record) = record(&mut rest) else {
            break;
        };
        names.push(match record.epoch {
            0 => record.kind.to_string(),
            _ => format!("encrypted {}", record.kind),
        });
    }
    (!names.is_empty()).then(|| names.join(" + "))
}

/// How many records of a datagram are named.
const MOST_NAMED: usize = 8;

impl Parser for Reader {
    fn read(&mut self, input: Input<'_>, _shared: &mut SharedState) -> Step {
        self.datagram(input.role, input.bytes, input.mark);
        Step::To(input.end())
    }

    fn skip(
        &mut self,
        _: crate::types::Unreadable,
        _: Mark,
        _: Role,
        _: &mut SharedState,
    ) -> Option<u64> {
        Some(0)
    }

    fn reads_framing(&self) -> bool {
        false
    }

    fn framing(&self, position: ReaderPosition, _: &SharedState) -> Framing {
        position
            .unreadable
            .map_or(Framing::Boundary, Framing::Unknown)
    }

    fn kept(&self) -> usize {
        let [client, server] = &self.pending;
        client.kept() + server.kept()
    }

    fn stop(&mut self, _: Role, _: &[u8], _: &mut SharedState) {
        self.pending = Default::default();
    }

    fn report(&self, position: ReaderPosition, facts: &mut AppFacts) {
        if position.role == Role::Client {
            facts.dtls = Some(Box::new(self.facts.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quic_testing::client_hello;

    /// A record of epoch 0 with a whole message.
    fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
        part(kind, body, 0..body.len())
    }

    /// The same with a piece of it.
    fn part(kind: u8, body: &[u8], piece: std::ops::Range<usize>) -> Vec<u8> {
        let number = |length: usize| u32::try_from(length).unwrap().to_be_bytes()[1..].to_vec();
        let (offset, length) = (piece.start, piece.len());
        let mut fragment = vec![kind];
        fragment.extend(number(body.len()));
        fragment.extend([0, 0]);
        fragment.extend(number(offset));
        fragment.extend(number(length));
        fragment.extend(&body[piece]);
        record_of(22, 0, &fragment)
    }

    fn record_of(kind: u8, epoch: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 1];
        bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(body);
        bytes
    }

    /// A ClientHello for `shop.example`, with a cookie.
    fn hello() -> Vec<u8> {
        let tls = client_hello("shop.example", 0);
        let body = &tls[4..];
        let session = usize::from(body[34]);
        let mut hello = vec![0xfe, 0xfd];
        hello.extend(&body[2..35 + session]);
        hello.extend([2, 7, 7]);
        hello.extend(&body[35 + session..]);
        hello
    }

    fn facts(datagrams: &[(Role, Vec<u8>)]) -> DtlsFacts {
        let mut reader = Reader::default();
        for (frame, (role, datagram)) in (1..).zip(datagrams) {
            let mark = Mark {
                frame,
                ..Mark::default()
            };
            reader.datagram(*role, datagram, mark);
        }
        reader.facts
    }

    #[test]
    fn a_hello_and_an_alert() {
        let first = handshake(1, &hello());
        assert!(begins(&first));
        let facts = facts(&[
            (Role::Client, first),
            (Role::Server, handshake(3, &[0xfe, 0xff, 1, 9])),
            (Role::Client, handshake(1, &hello())),
            (Role::Server, record_of(21, 0, &[2, 40])),
            (Role::Client, record_of(23, 1, &[0; 40])),
            // What is no record, such as RTP, is no part of it.
            (Role::Client, vec![0x80; 60]),
        ]);
        assert_eq!(facts.server_name.as_deref(), Some("shop.example"));
        assert_eq!(facts.client_hello.map(|mark| mark.frame), Some(1));
        assert_eq!(facts.verify_request.map(|mark| mark.frame), Some(2));
        let [alert] = facts.alerts.as_slice() else {
            panic!("{facts:?}");
        };
        assert_eq!(
            (alert.from, alert.mark.frame, alert.description),
            (Role::Server, 4, AlertDescription::HANDSHAKE_FAILURE)
        );
        assert_eq!((facts.client.records, facts.client.encrypted), (3, 1));
    }

    #[test]
    fn a_hello_in_two_fragments() {
        let whole = hello();
        let (one, two) = (part(1, &whole, 0..80), part(1, &whole, 80..whole.len()));
        assert!(begins(&one) && !begins(&two));
        let found = facts(&[(Role::Client, one.clone()), (Role::Client, two.clone())]);
        assert_eq!(found.server_name.as_deref(), Some("shop.example"));
        assert_eq!(facts(&[(Role::Client, two)]).client_hello, None);
    }

    #[test]
    fn fragments_of_a_server_in_any_order() {
        let mut body = vec![0xfe, 0xfd];
        body.extend([9; 32]);
        // DTLS 1.3 is in an extension.
        body.extend([0, 0x13, 0x01, 0, 0, 6, 0, 43, 0, 2, 0xfe, 0xfc]);
        let parts = [30..body.len(), 0..10, 5..20, 0..10, 15..35];
        let sent: Vec<_> = [(Role::Client, handshake(1, &hello_of_1_3()))]
            .into_iter()
            .chain(parts.map(|piece| (Role::Server, part(2, &body, piece))))
            .collect();
        let found = facts(&sent);
        let version = ProtocolVersion::DTLS1_3;
        assert_eq!(found.offered, [version, ProtocolVersion::DTLS1_2]);
        assert_eq!(found.version, Some(version));
        assert_eq!(found.server_hello.map(|mark| mark.frame), Some(6));
        assert_eq!(facts(&sent[..5]).server_hello, None);
    }

    /// A ClientHello that offers DTLS 1.3 and 1.2.
    fn hello_of_1_3() -> Vec<u8> {
        let mut hello = hello();
        let versions: &[u8] = &[0, 43, 0, 3, 2, 3, 4];
        let length = versions.len();
        let at = hello
            .windows(length)
            .position(|bytes| bytes == versions)
            .unwrap();
        hello.splice(at..at + length, [0, 43, 0, 5, 4, 0xfe, 0xfc, 0xfe, 0xfd]);
        // Behind version, random, session id, cookie, suites and compression.
        let extensions = 2 + 32 + 1 + 3 + 4 + 2;
        let [high, low] = &mut hello[extensions..extensions + 2] else {
            panic!();
        };
        [*high, *low] = (u16::from_be_bytes([*high, *low]) + 2).to_be_bytes();
        hello
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        let first = handshake(1, &hello());
        for place in [1, 2, 4, 11, 12, 13, 14, 20, 24] {
            let mut other = first.clone();
            other[place] ^= 0x15;
            assert!(!begins(&other), "{place}");
        }
        for length in 0..first.len() {
            assert!(!begins(&first[..length]), "{length}");
        }
        let server = handshake(2, &hello());
        assert!(!begins(&server));
    }
}
