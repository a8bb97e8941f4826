//! HTTP/2 frames (RFC 9113 section 4.1): where each begins and ends, and which streams it begins and ends.

use crate::http2_facts::{GoAway, Http2Error};
use crate::http2_headers::{Fields, HeaderBlocks};
use crate::parser::{Parser, Position};
use crate::protocol::{Protocol, Reading, begins_with};
use crate::shared_state::SharedState;
use crate::types::{
    AppProtocol, Framing, Input, Mark, Role, Step, Transport, Unfinished, Unreadable, What,
};

const HEADER: usize = 9;

/// What a client begins with (RFC 9113 section 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PUSH_PROMISE: u8 = 0x5;
const GOAWAY: u8 = 0x7;
const CONTINUATION: u8 = 0x9;

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// The longest frame that is read; endpoints allow 16 KiB unless they say otherwise.
const MAX_READ: u64 = 64 * 1024;

/// The longest header block, over all its frames.
const MAX_BLOCK: usize = 64 * 1024;

/// The most debug data of a GOAWAY that are kept.
const MAX_DEBUG: usize = 128;

/// What a client begins with.
pub(crate) static HTTP2_PREFACE: Protocol = Protocol {
    id: AppProtocol::Http2Preface,
    name: "HTTP/2 in the clear",
    transports: &[Transport::Tcp],
    first: None,
    // Its first line, which is no request.
    probe: |_, bytes| begins_with(bytes, PREFACE.get(..14).unwrap_or(PREFACE)),
    reading: Reading::Parser(|| Box::new(Reader::after_preface())),
};

/// What a server begins with.
pub(crate) static HTTP2_SETTINGS: Protocol = Protocol {
    id: AppProtocol::Http2Settings,
    name: "HTTP/2 in the clear",
    transports: &[Transport::Tcp],
    first: None,
    probe: |_, bytes| match bytes.split_first_chunk() {
        _ if bytes.first() != Some(&0) => Some(false),
        Some((header, _)) => Some(is_server_preface(*header)),
        None => None,
    },
    reading: Reading::Parser(|| Box::new(Reader::default())),
};

/// The frames of one direction.
#[derive(Clone, Debug, Default)]
struct Reader {
    preface: bool,
    begun: Option<Mark>,
    frame: Option<Frame>,
    headers: HeaderBlocks,
    /// A header block that goes on in CONTINUATION frames.
    block: Option<Box<Block>>,
}

/// A header block, and the frame it began in.
#[derive(Clone, Debug)]
struct Block {
    bytes: Vec<u8>,
    frame: Frame,
}

/// A frame whose header was read.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    start: u64,
    end: u64,
    begun: Mark,
    role: Role,
}

impl Frame {
    fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether what is in it is read.
    fn is_read(self) -> bool {
        let is_known = matches!(
            self.kind,
            HEADERS | RST_STREAM | PUSH_PROMISE | GOAWAY | CONTINUATION
        );
        is_known && self.end.saturating_sub(self.start) <= MAX_READ
    }
}

/// Length, type, flags and stream of a frame header.
fn header(bytes: [u8; HEADER]) -> (u32, u8, u8, u32) {
    let [a, b, c, kind, flags, d, e, f, g] = bytes;
    let length = u32::from_be_bytes([0, a, b, c]);
    // The first bit is reserved.
    let stream = u32::from_be_bytes([d & 0x7f, e, f, g]);
    (length, kind, flags, stream)
}

/// Whether a server's first bytes are its SETTINGS (RFC 9113 section 3.4).
fn is_server_preface(bytes: [u8; HEADER]) -> bool {
    let (length, kind, flags, stream) = header(bytes);
    // No setting is defined beyond the first few: more than 64 of six bytes is something else.
    kind == SETTINGS && flags == 0 && stream == 0 && length <= 384 && length % 6 == 0
}

impl Parser for Reader {
    fn read(&mut self, input: Input<'_>, shared: &mut SharedState) -> Step {
        if let Some(frame) = self.frame {
            if frame.is_read() && input.at < frame.end {
                return self.read_payload(frame, input, shared);
            }
            if input.at >= frame.end {
                self.finish(frame, None, input.mark, shared);
            }
        }
        self.begun.get_or_insert(input.mark);
        if self.preface {
            return self.skip_preface(input);
        }
        let Some((bytes, _)) = input.bytes.split_first_chunk::<HEADER>() else {
            return Step::More;
        };
        let (length, kind, flags, stream) = header(*bytes);
        if matches!(kind, DATA | HEADERS | RST_STREAM) && stream == 0 {
            return Step::Unreadable(Unreadable::Malformed);
        }
        let start = input.after(HEADER);
        let end = start.saturating_add(u64::from(length));
        let frame = Frame {
            kind,
            flags,
            stream,
            start,
            end,
            begun: self.begun.unwrap_or(input.mark),
            role: input.role,
        };
        self.frame = Some(frame);
        if frame.is_read() && end > start {
            return Step::To(start);
        }
        if end <= input.end() {
            self.finish(frame, None, input.mark, shared);
        }
        Step::To(end)
    }

    fn reached(&mut self, offset: u64, mark: Mark, _role: Role, shared: &mut SharedState) {
        if let Some(frame) = self.frame
            && frame.end == offset
            && !frame.is_read()
        {
            self.finish(frame, None, mark, shared);
        }
    }

    /// Where the frame ends.
    fn skips_to(&self) -> Option<u64> {
        self.frame
            .filter(|frame| !frame.is_read())
            .map(|frame| frame.end)
    }

    /// A frame that is not seen whole is passed over.
    fn tolerates_gaps(&self) -> bool {
        self.frame.is_some_and(Frame::is_read)
    }

    fn skip(
        &mut self,
        _reason: Unreadable,
        mark: Mark,
        _role: Role,
        shared: &mut SharedState,
    ) -> Option<u64> {
        let frame = self.frame.filter(|frame| frame.is_read())?;
        self.finish(frame, None, mark, shared);
        Some(frame.end)
    }

    fn framing(&self, position: Position, shared: &SharedState) -> Framing {
        match self.in_frame(position.upto) {
            Framing::Boundary => shared.streams.framing(position.role),
            framing => framing,
        }
    }

    fn stop(&mut self, _role: Role, _unread: &[u8], shared: &mut SharedState) {
        shared.streams.stop();
    }
}

impl Reader {
    /// A reader of a client, whose preface comes first.
    fn after_preface() -> Reader {
        Reader {
            preface: true,
            ..Reader::default()
        }
    }

    /// Where `upto` bytes end, streams apart.
    fn in_frame(&self, upto: u64) -> Framing {
        let Some(begun) = self.begun else {
            return Framing::Boundary;
        };
        let what = match self.frame {
            // It is whole, and yet its last byte was not seen.
            Some(frame) if upto >= frame.end => return Framing::Unknown(Unreadable::Gap),
            Some(frame) => What::Http2Frame {
                announced: frame.end - frame.start,
                received: upto.saturating_sub(frame.start),
            },
            None => What::Header,
        };
        Framing::Inside(Unfinished { what, begun })
    }

    fn skip_preface(&mut self, input: Input<'_>) -> Step {
        if input.bytes.starts_with(PREFACE) {
            self.preface = false;
            self.begun = None;
            return Step::To(input.after(PREFACE.len()));
        }
        if PREFACE.starts_with(input.bytes) {
            return Step::More;
        }
        Step::Unreadable(Unreadable::Malformed)
    }

    /// Waits for all of a frame that is read.
    fn read_payload(&mut self, frame: Frame, input: Input<'_>, shared: &mut SharedState) -> Step {
        if input.end() < frame.end {
            return Step::More;
        }
        let length = usize::try_from(frame.end.saturating_sub(input.at)).unwrap_or(usize::MAX);
        self.finish(frame, input.bytes.get(..length), input.mark, shared);
        Step::To(frame.end)
    }

    /// The frame is complete; `payload` where it was read.
    fn finish(
        &mut self,
        frame: Frame,
        payload: Option<&[u8]>,
        mark: Mark,
        shared: &mut SharedState,
    ) {
        self.begun = None;
        self.frame = None;
        match frame.kind {
            HEADERS | PUSH_PROMISE => self.begin_block(frame, payload, mark, shared),
            CONTINUATION => self.continue_block(frame, payload, mark, shared),
            DATA => {
                let streams = &mut shared.streams;
                streams.data(frame.role, frame.stream, frame.end - frame.start);
                if frame.has(END_STREAM) {
                    streams.end(frame.role, frame.stream, mark);
                }
            }
            RST_STREAM => {
                let code = payload.and_then(|payload| payload.first_chunk());
                let code = code.map_or(0, |code| u32::from_be_bytes(*code));
                let streams = &mut shared.streams;
                streams.reset(frame.role, frame.stream, Http2Error(code), mark);
            }
            GOAWAY => {
                if let Some(goaway) = payload.and_then(|payload| go_away(frame, payload)) {
                    shared.streams.go_away(goaway);
                }
            }
            _ => {}
        }
    }

    fn begin_block(
        &mut self,
        frame: Frame,
        payload: Option<&[u8]>,
        mark: Mark,
        shared: &mut SharedState,
    ) {
        // An empty one has no payload to read.
        let payload = payload.or((frame.start == frame.end).then_some(&[]));
        let Some(bytes) = payload.and_then(|payload| block(frame, payload)) else {
            self.headers.lose();
            self.end_block(frame, None, mark, shared);
            return;
        };
        if frame.has(END_HEADERS) || bytes.is_empty() {
            let fields = self.headers.decode(bytes);
            self.end_block(frame, fields, mark, shared);
        } else {
            let bytes = bytes.to_vec();
            self.block = Some(Box::new(Block { bytes, frame }));
        }
    }

    fn continue_block(
        &mut self,
        frame: Frame,
        payload: Option<&[u8]>,
        mark: Mark,
        shared: &mut SharedState,
    ) {
        let Some(mut block) = self.block.take() else {
            return;
        };
        match payload {
            Some(more) if block.bytes.len().saturating_add(more.len()) <= MAX_BLOCK => {
                block.bytes.extend_from_slice(more);
            }
            None if frame.start == frame.end => {}
            Some(_) | None => {
                self.headers.lose();
                self.end_block(block.frame, None, mark, shared);
                return;
            }
        }
        if frame.has(END_HEADERS) {
            let fields = self.headers.decode(&block.bytes);
            self.end_block(block.frame, fields, mark, shared);
        } else {
            self.block = Some(block);
        }
    }

    /// A header block is complete; `frame` is the one it began in.
    fn end_block(
        &mut self,
        frame: Frame,
        fields: Option<Fields>,
        mark: Mark,
        shared: &mut SharedState,
    ) {
        if frame.kind != HEADERS {
            return;
        }
        let (streams, tally) = (&mut shared.streams, &mut shared.exchanges.tally);
        streams.headers(frame.role, frame.stream, frame.begun, fields, tally);
        if frame.has(END_STREAM) {
            streams.end(frame.role, frame.stream, mark);
        }
    }
}

/// The part of a header block in a HEADERS or PUSH_PROMISE frame (RFC 9113 sections 6.2 and 6.6); `None` where it contradicts
/// itself.
fn block(frame: Frame, payload: &[u8]) -> Option<&[u8]> {
    let (padding, rest) = match payload.split_first() {
        Some((padding, rest)) if frame.has(PADDED) => (usize::from(*padding), rest),
        _ => (0, payload),
    };
    let fixed = match frame.kind {
        PUSH_PROMISE => 4,
        _ if frame.has(PRIORITY) => 5,
        _ => 0,
    };
    let end = rest.len().checked_sub(padding)?;
    rest.get(fixed..end)
}

/// A GOAWAY frame (RFC 9113 section 6.8).
fn go_away(frame: Frame, payload: &[u8]) -> Option<GoAway> {
    let (last, rest) = payload.split_first_chunk::<4>()?;
    let (code, debug) = rest.split_first_chunk::<4>()?;
    let debug = String::from_utf8_lossy(debug.get(..MAX_DEBUG).unwrap_or(debug));
    let printable = debug.trim_end_matches('\0').chars();
    Some(GoAway {
        sender: frame.role,
        code: Http2Error(u32::from_be_bytes(*code)),
        last_stream: u32::from_be_bytes(*last) & 0x7fff_ffff,
        opened: 0,
        debug: printable
            .map(|character| {
                if character.is_control() {
                    '.'
                } else {
                    character
                }
            })
            .collect(),
        mark: frame.begun,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::testing::{
        Piece, Turn, client, closed_facts, facts_of, open_facts, segments, server,
    };
    use crate::{AppFacts, AppProtocol};

    const WINDOW_UPDATE: u8 = 0x8;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let flags = if kind == HEADERS {
            flags | END_HEADERS
        } else {
            flags
        };
        part(kind, flags, stream, payload)
    }

    fn part(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    /// An empty HEADERS frame.
    pub(crate) fn headers(stream: u32) -> Vec<u8> {
        frame(HEADERS, 0, stream, b"")
    }

    fn hello() -> Turn {
        let settings = frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]);
        client([PREFACE, &settings, &frame(WINDOW_UPDATE, 0, 0, &[0; 4])].concat())
    }

    fn settings() -> Turn {
        server(frame(SETTINGS, 0, 0, &[0; 12]))
    }

    /// Two requests, one of them with a body, answered out of order.
    pub(crate) fn exchange() -> Vec<Turn> {
        vec![
            hello(),
            settings(),
            client(frame(HEADERS, END_STREAM, 1, b"get")),
            client(
                [
                    frame(HEADERS, 0, 3, b"post"),
                    frame(DATA, END_STREAM, 3, b"body"),
                ]
                .concat(),
            ),
            server([frame(HEADERS, 0, 3, b"ok"), frame(DATA, 0, 3, b"abc")].concat()),
            server(frame(DATA, END_STREAM, 3, &[b'x'; 40])),
            server(frame(HEADERS, END_STREAM, 1, b"no")),
        ]
    }

    pub(crate) fn exchange_cut_in_a_frame() -> Vec<Turn> {
        let mut turns = exchange();
        turns.truncate(6);
        turns[5].1.truncate(20);
        turns
    }

    fn after_hello(turns: &[Turn]) -> AppFacts {
        closed_facts(&[&[hello(), settings()], turns].concat())
    }

    fn cut(facts: &AppFacts) -> Option<What> {
        facts.server.truncated().map(|cut| cut.what)
    }

    #[test]
    fn a_whole_exchange_is_complete() {
        let facts = closed_facts(&exchange());
        assert_eq!(facts.client.protocol, Some(AppProtocol::Http2Preface));
        assert_eq!(facts.server.protocol, Some(AppProtocol::Http2Settings));
        assert_eq!((facts.http.requests, facts.http.responses), (2, 2));
        assert_eq!(facts.server.framing, Framing::Boundary);
        assert_eq!(facts.client.framing, Framing::Boundary);
        assert_eq!(facts.awaiting, None);
        let slowest = facts.http.slowest.unwrap();
        assert_eq!(
            (slowest.sent.unwrap().frame, slowest.answered.frame),
            (3, 7)
        );
    }

    #[test]
    fn a_frame_cut_and_a_header_cut() {
        let frame = What::Http2Frame {
            announced: 40,
            received: 11,
        };
        assert_eq!(cut(&closed_facts(&exchange_cut_in_a_frame())), Some(frame));
        let mut turns = exchange();
        turns[6].1.truncate(5);
        assert_eq!(cut(&closed_facts(&turns)), Some(What::Header));
    }

    #[test]
    fn a_stream_without_its_end() {
        let ask = client(frame(HEADERS, END_STREAM, 1, b"get"));
        let begin = server([frame(HEADERS, 0, 1, b"ok"), frame(DATA, 0, 1, b"abc")].concat());
        let facts = after_hello(&[ask.clone(), begin.clone()]);
        let stream = What::Http2Stream {
            stream: 1,
            received: 3,
        };
        assert_eq!(cut(&facts), Some(stream));
        // Given up by either side, nothing is owed.
        for reset in [client, server] {
            let reset = reset(frame(RST_STREAM, 0, 1, &[0; 4]));
            let facts = after_hello(&[ask.clone(), begin.clone(), reset.clone()]);
            assert_eq!(cut(&facts), None);
            // Also where the answer crossed the reset.
            let facts = after_hello(&[ask.clone(), reset, begin.clone()]);
            assert_eq!(cut(&facts), None);
        }
    }

    #[test]
    fn the_oldest_request_without_an_answer_waits() {
        let turns = exchange();
        assert_eq!(open_facts(&turns[..2]).awaiting, None);
        assert_eq!(open_facts(&turns[..3]).awaiting.unwrap().sent.frame, 3);
        assert_eq!(open_facts(&turns[..6]).awaiting.unwrap().sent.frame, 3);
        assert_eq!(open_facts(&turns).awaiting, None);
    }

    #[test]
    fn a_pushed_stream_owes_its_end_too() {
        let facts = after_hello(&[server(frame(HEADERS, 0, 2, b"pushed"))]);
        assert!(matches!(
            cut(&facts),
            Some(What::Http2Stream { stream: 2, .. })
        ));
    }

    #[test]
    fn what_is_no_frame_ends_the_reading() {
        let facts = after_hello(&[server(frame(DATA, 0, 0, b"abc"))]);
        assert_eq!(
            facts.server.framing,
            Framing::Unknown(Unreadable::Malformed)
        );
        assert_eq!(facts.client.framing, Framing::Unknown(Unreadable::Gap));
        let facts = closed_facts(&[client(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")]);
        assert_eq!(
            facts.client.framing,
            Framing::Unknown(Unreadable::Malformed)
        );
    }

    #[test]
    fn a_server_without_http2_answers_the_preface() {
        let refusal = server(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno");
        let facts = closed_facts(&[hello(), refusal]);
        assert_eq!(facts.http.last_status, Some(400));
    }

    /// Header blocks of one direction, as an encoder makes them.
    #[derive(Default)]
    struct Blocks(loona_hpack::Encoder<'static>);

    impl Blocks {
        fn of(&mut self, fields: &[(&str, &str)]) -> Vec<u8> {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            self.0.encode(fields)
        }

        fn get(&mut self, stream: u32, path: &str) -> Turn {
            let fields = [(":method", "GET"), (":path", path), (":authority", "h")];
            client(frame(HEADERS, END_STREAM, stream, &self.of(&fields)))
        }
    }

    fn go_away_frame(last: u32, code: u32, debug: &str) -> Vec<u8> {
        let payload = [
            &last.to_be_bytes()[..],
            &code.to_be_bytes(),
            debug.as_bytes(),
        ]
        .concat();
        frame(GOAWAY, 0, 0, &payload)
    }

    #[test]
    fn statuses_are_read_from_header_blocks() {
        let (mut ask, mut say) = (Blocks::default(), Blocks::default());
        let early = say.of(&[(":status", "103"), ("link", "</a.css>")]);
        let busy = say.of(&[(":status", "503"), ("retry-after", "7")]);
        let found = say.of(&[(":status", "200")]);
        let turns = [
            hello(),
            settings(),
            ask.get(1, "/a?key=s3cret"),
            server(frame(HEADERS, 0, 1, &early)),
            // In two frames.
            server(part(HEADERS, END_STREAM, 1, &busy[..3])),
            server(part(CONTINUATION, END_HEADERS, 1, &busy[3..])),
            ask.get(3, "/b"),
            server(frame(HEADERS, END_STREAM, 3, &found)),
        ];
        for size in [1, 5, 1_000] {
            let facts = facts_of(&segments(&turns, size), &turns).http;
            assert_eq!((facts.requests, facts.responses, facts.interim), (2, 2, 1));
            assert_eq!(facts.last_status, Some(200));
            let kind = facts.trouble.unwrap().refusals.remove(0);
            assert_eq!((kind.status, kind.count), (503, 1));
            assert_eq!(&*kind.first.request.unwrap().target, "/a?...");
            assert_eq!(kind.detail.retry_after, Some(crate::RetryAfter::Seconds(7)));
        }
    }

    #[test]
    fn the_status_of_a_call_is_in_its_trailers() {
        let (mut ask, mut say) = (Blocks::default(), Blocks::default());
        let first = say.of(&[(":status", "200")]);
        let trailers = say.of(&[("grpc-status", "14"), ("grpc-message", "no%20backend")]);
        let only = say.of(&[(":status", "200"), ("grpc-status", "14")]);
        let well = say.of(&[(":status", "200"), ("grpc-status", "0")]);
        let facts = after_hello(&[
            ask.get(1, "/s/Call"),
            server(frame(HEADERS, 0, 1, &first)),
            server(frame(HEADERS, END_STREAM, 1, &trailers)),
            ask.get(3, "/s/Call"),
            server(frame(HEADERS, END_STREAM, 3, &only)),
            ask.get(5, "/s/Call"),
            server(frame(HEADERS, END_STREAM, 5, &well)),
        ]);
        let kind = facts.http.http2.unwrap().grpc.remove(0);
        assert_eq!((kind.status.0, kind.count), (14, 2));
        assert_eq!(kind.message.as_deref(), Some("no backend"));
        assert_eq!(facts.http.trouble, None);
    }

    #[test]
    fn streams_that_are_reset_and_those_that_are_over() {
        let (mut ask, mut say) = (Blocks::default(), Blocks::default());
        let done = say.of(&[(":status", "200")]);
        let reset = |stream, code: u32| server(frame(RST_STREAM, 0, stream, &code.to_be_bytes()));
        let facts = after_hello(&[
            ask.get(1, "/a"),
            reset(1, 7),
            ask.get(3, "/b"),
            reset(3, 7),
            // Of a request whose rest is not wanted behind a complete answer.
            client(frame(
                HEADERS,
                0,
                5,
                &ask.of(&[(":method", "PUT"), (":path", "/c")]),
            )),
            server(frame(HEADERS, END_STREAM, 5, &done)),
            reset(5, 0),
        ]);
        let facts = facts.http.http2.unwrap();
        assert_eq!(facts.resets.len(), 1);
        let kind = &facts.resets[0];
        assert_eq!(
            (kind.code, kind.count, kind.answered),
            (Http2Error(7), 2, 0)
        );
        assert_eq!((kind.stream, kind.first.frame), (1, 4));
    }

    #[test]
    fn a_call_cancelled_at_its_deadline_and_one_before() {
        let cancelled = |timeout: &str| {
            let mut ask = Blocks::default();
            let fields = [
                (":method", "POST"),
                (":path", "/s/C"),
                ("grpc-timeout", timeout),
            ];
            let call = client(frame(HEADERS, END_STREAM, 1, &ask.of(&fields)));
            let cancel = client(frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes()));
            *after_hello(&[call, cancel]).http.http2.unwrap()
        };
        // One second lies between the turns.
        assert_eq!(
            cancelled("1S").grpc[0].status,
            crate::GrpcStatus::DEADLINE_EXCEEDED
        );
        assert!(cancelled("1S").resets.is_empty());
        assert_eq!(cancelled("10S").resets[0].code, Http2Error::CANCEL);
    }

    #[test]
    fn what_a_goaway_leaves() {
        let mut ask = Blocks::default();
        let turns = [
            ask.get(1, "/a"),
            ask.get(3, "/b"),
            server(go_away_frame(1, 11, "too_many_pings")),
        ];
        let facts = after_hello(&turns).http.http2.unwrap();
        assert_eq!((facts.lost, facts.unprocessed), (1, 1));
        let goaway = &facts.goaways[0];
        assert_eq!((goaway.last_stream, goaway.opened), (1, 3));
        assert_eq!(
            (goaway.code.name().as_str(), &*goaway.debug),
            ("ENHANCE_YOUR_CALM", "too_many_pings")
        );
    }

    #[test]
    fn behind_a_missing_block_statuses_are_not_known() {
        let (mut ask, mut say) = (Blocks::default(), Blocks::default());
        let lost = say.of(&[(":status", "200"), ("x-a", "b")]);
        let failed = say.of(&[(":status", "500")]);
        let turns = [
            hello(),
            settings(),
            ask.get(1, "/a"),
            server(frame(HEADERS, END_STREAM, 1, &lost)),
            ask.get(3, "/b"),
            server(frame(HEADERS, END_STREAM, 3, &failed)),
        ];
        let mut pieces = segments(&turns, 1_000);
        // The payload of the first answer, without the frame's header.
        let whole = pieces.remove(3);
        pieces.insert(
            3,
            Piece {
                bytes: whole.bytes[..HEADER].to_vec(),
                ..whole
            },
        );
        let facts = facts_of(&pieces, &turns).http;
        assert_eq!((facts.requests, facts.responses), (2, 2));
        assert_eq!((facts.last_status, facts.trouble), (None, None));
    }
}
