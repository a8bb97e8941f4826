use super::*;
use crate::testing::{Piece, Turn, client, closed_facts, facts_of, open_facts, segments, server};
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
        assert_eq!(kind.first.request.unwrap().target(), "/a?...");
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
    assert_eq!((facts.refused.len(), facts.further_refused), (2, 0));
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
