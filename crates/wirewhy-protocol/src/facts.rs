//! The facts a conversation yields: plain, owned, comparable.

use std::sync::Arc;

use wirewhy_packet::Timestamp;

use crate::{Speech, TlsFacts, Upgrade};

/// Where in the capture something was seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Mark {
    /// The frame's number.
    pub frame: u64,
    /// Its time.
    pub time: Timestamp,
}

/// What both directions of a connection said.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ConversationFacts {
    /// The client's direction.
    pub client: SideFacts,
    /// The server's direction.
    pub server: SideFacts,
    /// HTTP requests and responses; all zero and `None` where none were read.
    pub http: HttpFacts,
    /// The oldest complete request without the start of a final response. `None` too where the answers cannot be read.
    pub awaiting: Option<Awaiting>,
    /// How the connection changed to TLS, or was to; `None` where nobody spoke of it.
    pub upgrade: Option<Box<Upgrade>>,
    /// What was seen of TLS; `None` where neither side spoke it.
    pub tls: Option<Box<TlsFacts>>,
}

/// What one direction said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SideFacts {
    /// The first bytes of the direction.
    pub opening: Opening,
    /// What they plainly are; `None` while there are too few to tell.
    pub speaks: Option<Speech>,
    /// What the side speaks since HTTP handed the connection over (CONNECT, Upgrade).
    pub inner: Option<Speech>,
    /// Where in its protocol's framing the direction stands: where it closed, else at the last byte seen.
    pub framing: Framing,
    /// Whether the side has closed its stream (FIN).
    pub closed: bool,
}

impl SideFacts {
    /// What the side had begun and not finished when it closed its stream.
    #[must_use]
    pub fn truncated(&self) -> Option<&Unfinished> {
        match &self.framing {
            Framing::Inside(unfinished) if self.closed => Some(unfinished),
            _ => None,
        }
    }
}

/// The first bytes of a direction, up to [`Opening::CAPACITY`] without a gap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Opening {
    bytes: [u8; Opening::CAPACITY],
    /// One bit a byte seen: segments arrive in any order.
    seen: u32,
}

impl Opening {
    /// How many bytes are kept.
    pub const CAPACITY: usize = 32;

    /// The bytes seen from the first one on.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let len = usize::try_from(self.seen.trailing_ones()).unwrap_or(0);
        self.bytes.get(..len).unwrap_or(&[])
    }

    pub(crate) fn record(&mut self, at: u64, bytes: &[u8]) {
        let Ok(at) = usize::try_from(at) else { return };
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
    /// It cannot be told.
    Unknown(Lost),
}

/// Something a direction began and has not finished.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unfinished {
    /// What is incomplete, and by how much.
    pub what: What,
    /// Where the message, record or frame began.
    pub begun: Mark,
}

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

/// Why a direction could not be followed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Lost {
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

/// HTTP requests and responses of a connection. Of HTTP/2 only the counts and times are known, for headers are compressed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HttpFacts {
    /// Requests begun.
    pub requests: u64,
    /// Final responses begun.
    pub responses: u64,
    /// Interim responses (1xx other than 101).
    pub interim: u64,
    /// The last request whose header was read.
    pub last_request: Option<Arc<Request>>,
    /// The last final status, or 101.
    pub last_status: Option<u16>,
    /// What a 400 said about TLS.
    pub complaint: Option<TlsComplaint>,
    /// The last request that was answered.
    pub last: Option<Exchange>,
    /// The request that waited longest for its answer.
    pub slowest: Option<Exchange>,
}

/// What a server answers in HTTP, with status 400, about the TLS around it or the lack of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TlsComplaint {
    /// The client speaks HTTP where TLS is expected (nginx, Apache, Go).
    ExpectsTls,
    /// The client presented no certificate (nginx).
    NoClientCertificate,
    /// The client's certificate does not verify (nginx).
    BadClientCertificate,
}

/// An HTTP/1 request. The strings are as they were on the wire: hostile, and cut at [`Request::MAX_TEXT`] bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The method.
    pub method: Box<str>,
    /// The request target.
    pub target: Box<str>,
    /// The Host header.
    pub host: Option<Box<str>>,
    /// Where its header began.
    pub begun: Mark,
}

impl Request {
    /// The most bytes kept of each string.
    pub const MAX_TEXT: usize = 256;
}

/// A request and the start of its final response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exchange {
    /// The request; `None` in HTTP/2.
    pub request: Option<Arc<Request>>,
    /// The request's last byte; `None` where the answer began before the request was complete.
    pub sent: Option<Mark>,
    /// The first byte of the final response.
    pub answered: Mark,
    /// The response's status; `None` in HTTP/2.
    pub status: Option<u16>,
}

/// A request that waits for its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Awaiting {
    /// The request; `None` in HTTP/2.
    pub request: Option<Arc<Request>>,
    /// The request's last byte; of a request that waits for "100 Continue" the last byte of its header.
    pub sent: Mark,
}
