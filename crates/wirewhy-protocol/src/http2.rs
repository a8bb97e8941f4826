//! HTTP/2 frames (RFC 9113 section 4.1): where each begins and ends, and which streams it begins and ends.

use crate::exchanges::Tally;
use crate::http2_streams::Streams;
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
const END_STREAM: u8 = 0x1;

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
#[derive(Clone, PartialEq, Debug, Default)]
struct Reader {
    preface: bool,
    begun: Option<Mark>,
    frame: Option<Frame>,
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
        let (streams, tally) = (&mut shared.streams, &mut shared.exchanges.tally);
        if let Some(frame) = self.frame
            && input.at >= frame.end
        {
            self.finish(frame, input.mark, streams, tally);
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
        if end <= input.end() {
            self.finish(frame, input.mark, streams, tally);
        } else {
            self.frame = Some(frame);
        }
        Step::To(end)
    }

    fn reached(&mut self, offset: u64, mark: Mark, _role: Role, shared: &mut SharedState) {
        if let Some(frame) = self.frame
            && frame.end == offset
        {
            self.finish(
                frame,
                mark,
                &mut shared.streams,
                &mut shared.exchanges.tally,
            );
        }
    }

    /// Where the frame ends.
    fn skips_to(&self) -> Option<u64> {
        self.frame.map(|frame| frame.end)
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
            *self = Reader::default();
            return Step::To(input.after(PREFACE.len()));
        }
        if PREFACE.starts_with(input.bytes) {
            return Step::More;
        }
        Step::Unreadable(Unreadable::Malformed)
    }

    fn finish(&mut self, frame: Frame, mark: Mark, streams: &mut Streams, tally: &mut Tally) {
        *self = Reader::default();
        match frame.kind {
            HEADERS => streams.headers(frame.role, frame.stream, frame.begun, tally),
            DATA => streams.data(frame.role, frame.stream, frame.end - frame.start),
            RST_STREAM => streams.reset(frame.stream),
            _ => {}
        }
        if matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0 {
            streams.end(frame.role, frame.stream, mark);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::testing::{Turn, client, closed_facts, open_facts, server};
    use crate::{AppFacts, AppProtocol};

    const WINDOW_UPDATE: u8 = 0x8;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
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
}
