//! HTTP/2 frames (RFC 9113 section 4.1): where each begins and ends, and which streams it begins and ends.

use crate::http2_facts::{GoAway, Http2Error};
use crate::http2_headers::{Fields, HeaderBlocks};
use crate::parser::{Parser, ReaderPosition};
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
    frame: Option<FrameHeader>,
    headers: HeaderBlocks,
    /// A header block that goes on in CONTINUATION frames.
    block: Option<Box<Block>>,
}

/// A header block, and the frame it began in.
#[derive(Clone, Debug)]
struct Block {
    bytes: Vec<u8>,
    frame: FrameHeader,
}

/// A frame whose header was read.
#[derive(Clone, Copy, PartialEq, Debug)]
struct FrameHeader {
    kind: u8,
    flags: u8,
    stream: u32,
    start: u64,
    end: u64,
    begun: Mark,
    role: Role,
}

impl FrameHeader {
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
        let frame = FrameHeader {
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
        self.frame.is_some_and(FrameHeader::is_read)
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

    fn kept(&self) -> usize {
        let block = self.block.as_ref();
        block.map_or(0, |block| block.bytes.capacity()) + self.headers.kept()
    }

    fn framing(&self, position: ReaderPosition, shared: &SharedState) -> Framing {
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
    fn read_payload(
        &mut self,
        frame: FrameHeader,
        input: Input<'_>,
        shared: &mut SharedState,
    ) -> Step {
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
        frame: FrameHeader,
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
        frame: FrameHeader,
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
        frame: FrameHeader,
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
        frame: FrameHeader,
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
fn block(frame: FrameHeader, payload: &[u8]) -> Option<&[u8]> {
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
fn go_away(frame: FrameHeader, payload: &[u8]) -> Option<GoAway> {
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
pub(crate) mod tests;
