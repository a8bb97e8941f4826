//! What the readers of all protocols share: where a byte was seen, whose it is, what a reader gets and gives back, and where
//! a direction stands in its protocol's framing.

use wirewhy_packet::Timestamp;

use crate::compact::{Compact, CompactReader, CompactWriter};

/// Where in the capture something was seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Mark {
    /// The frame's number.
    pub frame: u64,
    /// Its time.
    pub time: Timestamp,
}

/// One end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The end that opened the connection, or sent the first datagram.
    Client,
    /// The other end.
    Server,
}

crate::compact!(Role = { 0 Client, 1 Server });

impl Role {
    /// What belongs to this end, of what both have.
    pub(crate) fn of<T>(self, [client, server]: &mut [T; 2]) -> &mut T {
        match self {
            Role::Client => client,
            Role::Server => server,
        }
    }
}

/// What carries a protocol.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// TCP (RFC 9293): a stream of bytes in each direction.
    Tcp,
    /// UDP (RFC 768): datagrams.
    Udp,
}

crate::compact!(Transport = { 0 Tcp, 1 Udp });

impl Transport {
    /// The word used in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        }
    }
}

/// A protocol, as recognised from the first bytes of one direction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AppProtocol {
    /// An HTTP/1 request line.
    Http1Request,
    /// An HTTP/1 status line.
    Http1Response,
    /// A client's HTTP/2 connection preface.
    Http2Preface,
    /// An HTTP/2 SETTINGS frame, with which a server begins.
    Http2Settings,
    /// A TLS record.
    Tls,
    /// An SSH identification string.
    Ssh,
    /// An SMTP greeting or a client's EHLO.
    Smtp,
    /// An FTP greeting.
    Ftp,
    /// A greeting with which SMTP and FTP servers alike begin.
    SmtpOrFtp,
    /// A POP3 greeting.
    Pop3,
    /// An IMAP greeting.
    Imap,
    /// An NNTP greeting.
    Nntp,
    /// The capabilities with which a ManageSieve server begins.
    ManageSieve,
    /// An IRC client's first command, or a server's notice.
    Irc,
    /// The start of an XML stream.
    Xmpp,
    /// An LDAP message.
    Ldap,
    /// A PostgreSQL client's request for encryption, and the answer to it.
    PostgreSql,
    /// A MySQL or MariaDB greeting.
    MySql,
    /// An RDP connection request, and the answer to it.
    Rdp,
    /// A PRELOGIN message of Microsoft SQL Server, and the answer to it.
    Tds,
    /// The answer of Microsoft SQL Server to a login.
    TdsAnswer,
    /// TLS records inside of packets of Microsoft SQL Server.
    TlsInTds,
    /// A SOCKS greeting, and the answer to it.
    Socks,
    /// A Redis client's command, or an error with which a server turns a client away.
    Redis,
    /// An AMQP protocol header, or a broker's first method.
    Amqp,
    /// An MQTT CONNECT, and the answer to it.
    Mqtt,
    /// The prefix of the PROXY protocol.
    ProxyProtocol,
    /// A DNS message behind its length.
    Dns,
    /// A client's first Initial packet of QUIC.
    Quic,
    /// A client's first hello of DTLS.
    Dtls,
    /// None of these.
    Unknown,
}

crate::compact!(AppProtocol = {
    0 Http1Request, 1 Http1Response, 2 Http2Preface, 3 Http2Settings, 4 Tls, 5 Ssh, 6 Smtp, 7 Ftp, 8 SmtpOrFtp, 9 Pop3,
    10 Imap, 11 Nntp, 12 ManageSieve, 13 Irc, 14 Xmpp, 15 Ldap, 16 PostgreSql, 17 MySql, 18 Rdp, 19 Tds, 20 TdsAnswer,
    21 TlsInTds, 22 Socks, 23 Redis, 24 Amqp, 25 Mqtt, 26 ProxyProtocol, 27 Dns, 28 Quic, 29 Dtls, 30 Unknown,
});

/// A stretch of a stream: `bytes` from `at` on, and unseen ones up to `end` where the snap length cut them.
#[derive(Clone, Copy)]
pub(crate) struct StreamSegment<'a> {
    pub(crate) at: u64,
    pub(crate) end: u64,
    pub(crate) bytes: &'a [u8],
    pub(crate) mark: Mark,
}

impl<'a> StreamSegment<'a> {
    pub(crate) fn new(at: u64, bytes: &'a [u8], wire_len: u32, mark: Mark) -> StreamSegment<'a> {
        let captured = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        StreamSegment {
            at,
            end: at.saturating_add(captured.max(u64::from(wire_len))),
            bytes,
            mark,
        }
    }

    /// The captured bytes from `offset` on.
    pub(crate) fn from(self, offset: u64) -> &'a [u8] {
        let skip = usize::try_from(offset.saturating_sub(self.at)).unwrap_or(usize::MAX);
        self.bytes.get(skip..).unwrap_or(&[])
    }
}

/// Bytes for a parser: the next ones of a direction in order, or one datagram.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    /// The offset of the first byte in the direction.
    pub(crate) at: u64,
    /// At least one byte.
    pub(crate) bytes: &'a [u8],
    /// The segment that brought the last of them.
    pub(crate) mark: Mark,
    pub(crate) role: Role,
}

impl Input<'_> {
    /// One past the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.after(self.bytes.len())
    }

    /// The offset `count` bytes on.
    pub(crate) fn after(&self, count: usize) -> u64 {
        self.at
            .saturating_add(u64::try_from(count).unwrap_or(u64::MAX))
    }
}

/// What a parser made of its input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// It stands at this offset, which may lie beyond the input: what is in between it need not see.
    To(u64),
    /// The protocol ends at this offset, which lies in the input; another one may follow.
    Ends(u64),
    /// It needs the same bytes again, and more of them.
    More,
    /// It needs the same bytes again once the other direction has gone on.
    Stall,
    /// It cannot continue.
    Unreadable(Unreadable),
}

/// The first bytes of a direction, up to [`Opening::CAPACITY`] without a gap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Opening {
    bytes: [u8; Opening::CAPACITY],
    /// One bit a byte seen: segments arrive in any order.
    seen: u32,
}

impl Opening {
    /// How many bytes are kept.
    pub(crate) const CAPACITY: usize = 32;

    /// The bytes seen from the first one on.
    pub(crate) fn bytes(&self) -> &[u8] {
        let len = usize::try_from(self.seen.trailing_ones()).unwrap_or(0);
        self.bytes.get(..len).unwrap_or(&[])
    }

    /// Whether they are readable text, and there are any.
    pub(crate) fn is_text(&self) -> bool {
        let readable = |byte: &u8| matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t');
        !self.bytes().is_empty() && self.bytes().iter().all(readable)
    }

    pub(crate) fn record(&mut self, at: u64, bytes: &[u8]) {
        let Ok(at) = usize::try_from(at) else { return };
        if self.seen == 0
            && let Some(room) = self.bytes.get_mut(at..)
        {
            // The usual case: the first segment is the first to arrive.
            let length = room.len().min(bytes.len());
            if let (Some(room), Some(bytes)) = (room.get_mut(..length), bytes.get(..length)) {
                room.copy_from_slice(bytes);
            }
            self.seen = bits(length) << at;
            return;
        }
        for (index, byte) in bytes.iter().enumerate().take(Self::CAPACITY) {
            let Some(slot) = self.bytes.get_mut(at.saturating_add(index)) else {
                return;
            };
            let bit = 1_u32 << (at + index);
            if self.seen & bit == 0 {
                *slot = *byte;
                self.seen |= bit;
            }
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.seen == u32::MAX
    }
}

impl Compact for Opening {
    fn write(&self, to: &mut CompactWriter) {
        self.seen.write(to);
        to.text(&self.bytes);
    }

    fn read(from: &mut CompactReader<'_>) -> Option<Opening> {
        Some(Opening {
            seen: u32::read(from)?,
            bytes: from.text()?.try_into().ok()?,
        })
    }
}

/// As many of the lowest bits, at most all of them.
fn bits(count: usize) -> u32 {
    let shift = u32::try_from(count).unwrap_or(u32::MAX);
    1_u32.checked_shl(shift).map_or(u32::MAX, |bit| bit - 1)
}

/// Where a direction stands in its protocol's framing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Framing {
    /// Everything begun is finished; also a direction without any byte.
    #[default]
    Boundary,
    /// Something is begun and not finished.
    Inside(Unfinished),
    /// Inside an HTTP body that ends where the stream ends (RFC 9112 section 6.3): nothing of it can be missing.
    UntilClose,
    /// It is not known.
    Unknown(Unreadable),
}

crate::compact!(Framing = { 0 Boundary, 1 Inside(item), 2 UntilClose, 3 Unknown(item) });

/// Something a direction began and has not finished.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unfinished {
    /// What is incomplete, and by how much.
    pub what: What,
    /// Where the message, record or frame began.
    pub begun: Mark,
}

crate::compact!(Unfinished { what, begun });

/// What is incomplete. `received` counts the bytes of the stream as sent, whether or not the capture saw them all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// A message's header, or the few bytes before a record or frame that say how long it is.
    Header,
    /// An HTTP/1 body with a Content-Length.
    ContentLength {
        /// The announced length in bytes.
        announced: u64,
        /// Bytes of the body.
        received: u64,
    },
    /// An HTTP/1 body in chunks whose last chunk or trailer section is missing.
    Chunked {
        /// Bytes of the body, without the chunks' framing.
        received: u64,
    },
    /// A TLS record.
    TlsRecord {
        /// The length its header announces.
        announced: u64,
        /// Bytes after the header.
        received: u64,
    },
    /// An HTTP/2 frame.
    Http2Frame {
        /// The length its header announces.
        announced: u64,
        /// Bytes after the header.
        received: u64,
    },
    /// An HTTP/2 stream that was begun and neither ended nor reset.
    Http2Stream {
        /// The stream's identifier.
        stream: u32,
        /// Bytes in its DATA frames.
        received: u64,
    },
}

crate::compact!(What = {
    0 Header, 1 ContentLength { announced, received }, 2 Chunked { received }, 3 TlsRecord { announced, received },
    4 Http2Frame { announced, received }, 5 Http2Stream { stream, received },
});

/// Why a direction could not be followed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Unreadable {
    /// Its protocol is not one whose framing this crate reads.
    Unframed,
    /// Bytes are missing: not captured, not arrived yet, or the connection was joined late.
    Gap,
    /// Bytes that were needed were cut by the snap length.
    Cut,
    /// A bound was passed: a header too long, too many bytes out of order, too many requests unanswered.
    TooMuch,
    /// The bytes contradict the protocol they began in.
    Malformed,
    /// The length of a response depends on a request that was not seen (RFC 9112 section 6.3).
    RequestUnseen,
}

crate::compact!(Unreadable = { 0 Unframed, 1 Gap, 2 Cut, 3 TooMuch, 4 Malformed, 5 RequestUnseen });
