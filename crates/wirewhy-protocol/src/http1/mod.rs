//! HTTP/1 messages of one direction: where each begins and ends (RFC 9112).

mod head;
mod plain;
mod probe;
mod refusal;
mod whole;

pub use probe::begins_with_request;
pub(crate) use refusal::refusal_of;
pub use whole::{PayloadSegment, WholeTurns, whole_http1};

use std::sync::Arc;

use crate::exchanges::{Asked, Exchanges, HandsOver, Match, Method};
use crate::http_trouble::{Detail, Purpose};
use crate::parser::{Parser, Progress, ReaderPosition, ReaderStage, Resume};
use crate::protocol::{Protocol, Reading, begins_with};
use crate::shared_state::SharedState;
use crate::types::{
    AppProtocol, Framing, Input, Mark, Role, Step, Transport, Unfinished, Unreadable, What,
};
use crate::upgrade::UpgradeVerdict;
use head::{Body, Head, Parsed};
use memchr::memchr;

/// The longest header section read; servers stop at 8 to 64 KiB, clients at 256.
const MAX_HEAD: usize = 64 * 1024;

/// The longest line of a chunk's size with its extensions, or of a trailer.
const MAX_LINE: usize = 8 * 1024;

pub(crate) static HTTP1_REQUEST: Protocol = Protocol {
    id: AppProtocol::Http1Request,
    name: "HTTP",
    transports: &[Transport::Tcp],
    first: Some(Role::Client),
    probe: |_, bytes| probe::is_request(bytes),
    reading: Reading::Http1,
};

pub(crate) static HTTP1_RESPONSE: Protocol = Protocol {
    id: AppProtocol::Http1Response,
    name: "HTTP",
    transports: &[Transport::Tcp],
    first: Some(Role::Client),
    probe: |_, bytes| begins_with(bytes, b"HTTP/1."),
    reading: Reading::Http1,
};

/// The messages of one direction.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Reader {
    state: State,
    /// The first byte of the message the reader is in.
    begun: Option<Mark>,
    /// How many bytes of the input given again hold no end of a line or header: long headers are searched once.
    searched: usize,
    /// The number of the request the reader is in, counted over the connection.
    request: u64,
    asks_tunnel: bool,
    /// Whether the client may be waiting for leave to send the first chunk.
    is_held: bool,
}

crate::compact!(Reader {
    state,
    begun,
    searched,
    request,
    asks_tunnel,
    is_held
});

#[derive(Clone, Copy, PartialEq, Debug, Default)]
enum State {
    /// Before a message or inside its header.
    #[default]
    Head,
    /// Inside a body of known length.
    Sized { start: u64, end: u64 },
    /// Before the first byte of a body of known length for which the client may be waiting for leave.
    AwaitsContinue { start: u64, end: u64 },
    /// Inside the text of a refusal, the beginning of which is read.
    Refusal { status: u16, start: u64, end: u64 },
    /// Inside the text of a refusal that ends with the stream.
    OpenRefusal { status: u16 },
    /// Before the size of the first chunk of the text of a refusal.
    RefusalSize { status: u16 },
    /// Inside that chunk, the beginning of which is read.
    RefusalChunk { status: u16, start: u64, end: u64 },
    /// Before a chunk's size, after `received` bytes of the body.
    ChunkSize { received: u64 },
    /// Inside a chunk.
    Chunk { received: u64, start: u64, end: u64 },
    /// Before the line end that follows a chunk.
    ChunkEnd { received: u64 },
    /// Inside the trailer section.
    Trailers { received: u64 },
    /// Inside a body that ends with the stream.
    UntilClose,
    /// After a request to hand the connection over.
    Tunnel,
}

crate::compact!(State = {
    0 Head, 1 Sized { start, end }, 2 AwaitsContinue { start, end }, 3 Refusal { status, start, end },
    4 OpenRefusal { status }, 5 RefusalSize { status }, 6 RefusalChunk { status, start, end },
    7 ChunkSize { received }, 8 Chunk { received, start, end }, 9 ChunkEnd { received }, 10 Trailers { received },
    11 UntilClose, 12 Tunnel,
});

impl Parser for Reader {
    fn read(&mut self, input: Input<'_>, shared: &mut SharedState) -> Step {
        let exchanges = &mut shared.exchanges;
        match self.state {
            State::Head => self.read_head(input, exchanges),
            State::Tunnel => self.read_tunnel(input, exchanges),
            State::Sized { end, .. } => self.read_sized(input, end, exchanges),
            State::AwaitsContinue { start, end } => match self.begins_body(input, exchanges) {
                Some(true) => {
                    self.state = State::Sized { start, end };
                    self.read_sized(input, end, exchanges)
                }
                Some(false) => Step::To(input.at),
                None => Step::More,
            },
            State::Refusal { status, start, end } => {
                if !refusal::read(input, status, start, end, exchanges) {
                    return Step::More;
                }
                self.state = State::Sized { start, end };
                self.read_sized(input, end, exchanges)
            }
            State::OpenRefusal { status } => self.read_open_refusal(input, status, exchanges),
            State::RefusalSize { status } => {
                let step = self.read_chunk_size(input, 0, exchanges);
                if let State::Chunk { start, end, .. } = self.state {
                    self.state = State::RefusalChunk { status, start, end };
                }
                step
            }
            State::RefusalChunk { status, start, end } => {
                if !refusal::read(input, status, start, end, exchanges) {
                    return Step::More;
                }
                self.state = State::Chunk {
                    received: 0,
                    start,
                    end,
                };
                if input.end() >= end {
                    self.end_chunk();
                }
                Step::To(end)
            }
            State::ChunkSize { received } => self.read_chunk_size(input, received, exchanges),
            State::Chunk { end, .. } => {
                if input.at >= end {
                    self.end_chunk();
                }
                Step::To(end)
            }
            State::ChunkEnd { received } => self.read_chunk_end(input, received),
            State::Trailers { .. } => self.read_trailer(input, exchanges),
            State::UntilClose => Step::To(u64::MAX),
        }
    }

    /// Where the body or chunk ends.
    fn skips_to(&self) -> Option<u64> {
        match self.state {
            State::Sized { end, .. } | State::Chunk { end, .. } => Some(end),
            State::UntilClose => Some(u64::MAX),
            State::Head
            | State::AwaitsContinue { .. }
            | State::Refusal { .. }
            | State::OpenRefusal { .. }
            | State::RefusalSize { .. }
            | State::RefusalChunk { .. }
            | State::ChunkSize { .. }
            | State::ChunkEnd { .. }
            | State::Trailers { .. }
            | State::Tunnel => None,
        }
    }

    /// The byte before `offset`, up to which the reader skipped, was seen.
    fn reached(&mut self, offset: u64, mark: Mark, _role: Role, shared: &mut SharedState) {
        match self.state {
            State::Sized { end, .. } if end == offset => {
                self.finish(mark, &mut shared.exchanges);
            }
            State::Chunk { end, .. } if end == offset => self.end_chunk(),
            _ => {}
        }
    }

    /// The text of a refusal is read where it was seen.
    fn tolerates_gaps(&self) -> bool {
        matches!(
            self.state,
            State::AwaitsContinue { .. }
                | State::Refusal { .. }
                | State::OpenRefusal { .. }
                | State::RefusalChunk { .. }
        )
    }

    fn skip(
        &mut self,
        _reason: Unreadable,
        _mark: Mark,
        _role: Role,
        _shared: &mut SharedState,
    ) -> Option<u64> {
        match self.state {
            State::AwaitsContinue { start, end } | State::Refusal { start, end, .. } => {
                self.state = State::Sized { start, end };
                Some(end)
            }
            State::RefusalChunk { start, end, .. } => {
                self.state = State::Chunk {
                    received: 0,
                    start,
                    end,
                };
                self.end_chunk();
                Some(end)
            }
            State::OpenRefusal { .. } => {
                self.state = State::UntilClose;
                Some(u64::MAX)
            }
            _ => None,
        }
    }

    fn framing(&self, position: ReaderPosition, _shared: &SharedState) -> Framing {
        let ReaderPosition {
            upto,
            pending,
            closed,
            ..
        } = position;
        let Some(begun) = self.begun else {
            return Framing::Boundary;
        };
        let what = match self.state {
            State::Tunnel => return Framing::Boundary,
            State::Sized { end, .. } if upto >= end => return Framing::Boundary,
            State::Refusal { end, .. } if upto >= end => return Framing::Boundary,
            State::UntilClose | State::OpenRefusal { .. } if closed => return Framing::Boundary,
            State::UntilClose | State::OpenRefusal { .. } => return Framing::UntilClose,
            State::Head if !pending => return Framing::Boundary,
            State::Head => What::Header,
            State::Sized { start, end }
            | State::AwaitsContinue { start, end }
            | State::Refusal { start, end, .. } => What::ContentLength {
                announced: end - start,
                received: upto.saturating_sub(start),
            },
            State::Chunk {
                received,
                start,
                end,
            } => What::Chunked {
                received: received.saturating_add(upto.min(end).saturating_sub(start)),
            },
            State::RefusalSize { .. } => What::Chunked { received: 0 },
            State::RefusalChunk { start, end, .. } => What::Chunked {
                received: upto.min(end).saturating_sub(start),
            },
            State::ChunkSize { received }
            | State::ChunkEnd { received }
            | State::Trailers { received } => What::Chunked { received },
        };
        Framing::Inside(Unfinished { what, begun })
    }

    /// Bytes of the direction are missing: names the request, or the status, from what there is of its header.
    fn stop(&mut self, role: Role, unread: &[u8], shared: &mut SharedState) {
        let (State::Head, Some(begun)) = (self.state, self.begun) else {
            return;
        };
        match role {
            Role::Client => {
                let Some(request) = head::request_line(unread, begun) else {
                    return;
                };
                shared.exchanges.ask(Asked {
                    method: head::method(request.method().as_bytes()),
                    request: Arc::new(request),
                    purpose: Purpose::Request,
                    continues: None,
                });
            }
            Role::Server => {
                if let Some(status @ 200..) = head::status_line(unread) {
                    let says = Detail::default;
                    shared
                        .exchanges
                        .answered(status, begun, HandsOver::No, |_| says());
                }
            }
        }
    }

    fn resume(&mut self, own: Progress, peer: Progress, shared: &mut SharedState) -> Resume {
        let exchanges = &mut shared.exchanges;
        match own.role {
            Role::Client if exchanges.tunnel_decided() => Resume::Continue,
            Role::Client if answers_readably(peer) => Resume::Wait,
            Role::Client => Resume::Stop(Unreadable::Unframed),
            Role::Server if exchanges.is_waiting() => Resume::Continue,
            Role::Server if may_request(peer) && !own.is_whole => Resume::Wait,
            // A client of another protocol cannot have sent HEAD; one that could not be read can.
            Role::Server => match peer.unreadable {
                Some(Unreadable::Unframed) | None => {
                    exchanges.answer_unasked();
                    Resume::Continue
                }
                // What is no request in HTTP is what servers refuse; only the length of the answer is not certain.
                Some(Unreadable::Malformed) => {
                    exchanges.answer_unasked();
                    Resume::Stop(Unreadable::RequestUnseen)
                }
                Some(_) => Resume::Stop(Unreadable::RequestUnseen),
            },
        }
    }
}

/// Whether a server has sent nothing yet, or something that answers requests.
fn answers_readably(server: Progress) -> bool {
    server.unreadable.is_none() && server.stage != ReaderStage::Unframed
}

/// Whether a client may still send a request.
fn may_request(client: Progress) -> bool {
    client.unreadable.is_none() && client.stage != ReaderStage::Unframed && !client.is_whole
}

impl Reader {
    fn new() -> Reader {
        Reader::default()
    }

    fn read_head(&mut self, input: Input<'_>, exchanges: &mut Exchanges) -> Step {
        if self.begun.is_none() {
            // Empty lines before a message are to be ignored (RFC 9112 section 2.2).
            let empty = input
                .bytes
                .iter()
                .take_while(|byte| matches!(byte, b'\r' | b'\n'))
                .count();
            if empty > 0 {
                return Step::To(input.after(empty));
            }
            self.begun = Some(input.mark);
        }
        let begun = self.begun.unwrap_or(input.mark);
        let found = Head::find(input.bytes, self.searched);
        let Some(head) = found.filter(|head| head.bytes.len() <= MAX_HEAD) else {
            if head::has_no_version(input.bytes) {
                return Step::Unreadable(Unreadable::Malformed);
            }
            return self.look_further(input.bytes.len(), MAX_HEAD);
        };
        let after = input.after(head.bytes.len());
        match input.role {
            Role::Client => self.ask(&head, after, begun, input.mark, exchanges),
            Role::Server => self.answer(&head, after, (begun, input.mark), exchanges),
        }
    }

    fn ask(
        &mut self,
        head: &Head<'_>,
        after: u64,
        begun: Mark,
        mark: Mark,
        exchanges: &mut Exchanges,
    ) -> Step {
        let Parsed::Yes(parsed) = head.request(begun) else {
            return Step::Unreadable(Unreadable::Malformed);
        };
        self.asks_tunnel = parsed.purpose != Purpose::Request;
        let continues = (parsed.expects && parsed.body != Body::None).then_some(mark);
        exchanges.ask(Asked {
            request: parsed.request,
            method: parsed.method,
            purpose: parsed.purpose,
            continues,
        });
        self.request = exchanges.tally.requests;
        let step = self.begin_body(parsed.body, after, mark, exchanges);
        if continues.is_some() {
            match self.state {
                State::Sized { start, end } => self.state = State::AwaitsContinue { start, end },
                State::ChunkSize { .. } => self.is_held = true,
                _ => {}
            }
        }
        step
    }

    /// `begun` is where the response began, `mark` where its header ended.
    fn answer(
        &mut self,
        head: &Head<'_>,
        after: u64,
        (begun, mark): (Mark, Mark),
        exchanges: &mut Exchanges,
    ) -> Step {
        let method = match exchanges.next() {
            Match::Method(method) => method,
            Match::NotYet => return Step::Stall,
            Match::Never => return Step::Unreadable(Unreadable::TooMuch),
        };
        let Parsed::Yes(parsed) = head.response() else {
            return Step::Unreadable(Unreadable::Malformed);
        };
        let status = parsed.status;
        let switches = status == 101;
        if (100..200).contains(&status) && !switches {
            exchanges.interim();
            *self = Reader::new();
            return Step::To(after);
        }
        if method == Method::Connect {
            let verdict = match status {
                200..300 => UpgradeVerdict::Accepted,
                _ => UpgradeVerdict::Refused,
            };
            exchanges.connected(verdict, head.first_line(), begun);
        }
        let says = |purpose| head.refusal(purpose);
        // RFC 9110 section 9.3.6: any 2xx to CONNECT.
        if switches || (method == Method::Connect && (200..300).contains(&status)) {
            exchanges.answered(status, begun, HandsOver::Yes, says);
            return Step::Ends(after);
        }
        exchanges.answered(status, begun, HandsOver::No, says);
        let body = match (method, status) {
            (Method::Head, _) | (_, 204 | 304) => Body::None,
            _ => parsed.body,
        };
        let step = self.begin_body(body, after, mark, exchanges);
        if status >= 400 && exchanges.wants_text(status) {
            match self.state {
                State::Sized { start, end } => self.state = State::Refusal { status, start, end },
                State::UntilClose => {
                    self.state = State::OpenRefusal { status };
                    return Step::To(after);
                }
                State::ChunkSize { .. } => self.state = State::RefusalSize { status },
                _ => {}
            }
        }
        step
    }

    /// After a header that ended at `after`, in the segment `mark`.
    fn begin_body(
        &mut self,
        body: Body,
        after: u64,
        mark: Mark,
        exchanges: &mut Exchanges,
    ) -> Step {
        self.searched = 0;
        match body {
            Body::None | Body::Length(0) => self.finish(mark, exchanges),
            Body::Length(length) => {
                let Some(end) = after.checked_add(length) else {
                    return Step::Unreadable(Unreadable::Malformed);
                };
                self.state = State::Sized { start: after, end };
            }
            Body::Chunked => self.state = State::ChunkSize { received: 0 },
            Body::UntilClose => self.state = State::UntilClose,
            Body::Contradictory => return Step::Unreadable(Unreadable::Malformed),
        }
        Step::To(after)
    }

    /// Whether these first bytes behind a header with an expectation are the body: a client that was refused may do without, and
    /// go on with its next request. `None` while more bytes decide it.
    fn begins_body(&mut self, input: Input<'_>, exchanges: &mut Exchanges) -> Option<bool> {
        let is_answered = exchanges.is_answered(self.request);
        if is_answered && probe::is_request(input.bytes)? {
            *self = Reader::new();
            return Some(false);
        }
        exchanges.body_began(self.request, input.mark);
        Some(true)
    }

    fn read_sized(&mut self, input: Input<'_>, end: u64, exchanges: &mut Exchanges) -> Step {
        if input.at >= end || input.end() >= end {
            self.finish(input.mark, exchanges);
            return Step::To(end);
        }
        Step::To(end)
    }

    /// Reads all there is of the text each time, so that what is found does not hang on how it was cut into segments.
    fn read_open_refusal(
        &mut self,
        input: Input<'_>,
        status: u16,
        exchanges: &mut Exchanges,
    ) -> Step {
        if !refusal::read_open(input, status, exchanges) {
            return Step::More;
        }
        self.state = State::UntilClose;
        Step::To(u64::MAX)
    }

    fn read_chunk_size(
        &mut self,
        input: Input<'_>,
        received: u64,
        exchanges: &mut Exchanges,
    ) -> Step {
        if self.is_held {
            match self.begins_body(input, exchanges) {
                Some(true) => self.is_held = false,
                Some(false) => return Step::To(input.at),
                None => return Step::More,
            }
        }
        let Some(length) = self.line(input.bytes) else {
            return self.look_further(input.bytes.len(), MAX_LINE);
        };
        let line = input.bytes.get(..length).unwrap_or(input.bytes);
        let Some(size) = head::chunk_size(line) else {
            return Step::Unreadable(Unreadable::Malformed);
        };
        let start = input.after(length);
        let Some(end) = start.checked_add(size) else {
            return Step::Unreadable(Unreadable::Malformed);
        };
        self.searched = 0;
        self.state = if size == 0 {
            State::Trailers { received }
        } else {
            State::Chunk {
                received,
                start,
                end,
            }
        };
        Step::To(start)
    }

    fn end_chunk(&mut self) {
        if let State::Chunk {
            received,
            start,
            end,
        } = self.state
        {
            self.state = State::ChunkEnd {
                received: received.saturating_add(end - start),
            };
        }
    }

    fn read_chunk_end(&mut self, input: Input<'_>, received: u64) -> Step {
        match input.bytes {
            [b'\r', b'\n', ..] => {
                self.state = State::ChunkSize { received };
                Step::To(input.after(2))
            }
            [b'\r'] => Step::More,
            _ => Step::Unreadable(Unreadable::Malformed),
        }
    }

    fn read_trailer(&mut self, input: Input<'_>, exchanges: &mut Exchanges) -> Step {
        let Some(length) = self.line(input.bytes) else {
            return self.look_further(input.bytes.len(), MAX_LINE);
        };
        self.searched = 0;
        if matches!(input.bytes, [b'\n', ..] | [b'\r', b'\n', ..]) {
            self.finish(input.mark, exchanges);
        }
        Step::To(input.after(length))
    }

    fn read_tunnel(&mut self, input: Input<'_>, exchanges: &mut Exchanges) -> Step {
        if !exchanges.tunnel_decided() {
            return Step::Stall;
        }
        match exchanges.take_tunnel() {
            HandsOver::Yes => Step::Ends(input.at),
            HandsOver::No => {
                *self = Reader::new();
                Step::To(input.at)
            }
        }
    }

    /// The length of the first line, its end included.
    fn line(&self, bytes: &[u8]) -> Option<usize> {
        let fresh = bytes.get(self.searched..)?;
        let end = memchr(b'\n', fresh)?;
        Some(self.searched + end + 1).filter(|&length| length <= MAX_LINE)
    }

    /// No end in these bytes: more of them, up to a bound.
    fn look_further(&mut self, have: usize, most: usize) -> Step {
        if have >= most {
            return Step::Unreadable(Unreadable::TooMuch);
        }
        self.searched = have;
        Step::More
    }

    /// The message is complete.
    fn finish(&mut self, mark: Mark, exchanges: &mut Exchanges) {
        // Responses have no number, and request 0 is none.
        if self.request > 0 {
            exchanges.sent(self.request, mark);
        } else {
            exchanges.tally.completed(mark);
        }
        let state = if self.asks_tunnel {
            State::Tunnel
        } else {
            State::Head
        };
        *self = Reader {
            state,
            ..Reader::new()
        };
    }
}

#[cfg(test)]
mod tests;
