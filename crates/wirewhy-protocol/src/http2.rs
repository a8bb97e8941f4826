//! HTTP/2 frames (RFC 9113 section 4.1): where each begins and ends, and which streams it begins and ends.

use crate::exchanges::Tally;
use crate::reader::{Input, Step};
use crate::side::Role;
use crate::streams::Streams;
use crate::{Framing, Lost, Mark, Unfinished, What};

const HEADER: usize = 9;

/// What a client begins with (RFC 9113 section 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const END_STREAM: u8 = 0x1;

/// The frames of one direction.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Reader {
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
pub(crate) fn is_server_preface(bytes: [u8; HEADER]) -> bool {
    let (length, kind, flags, stream) = header(bytes);
    // No setting is defined beyond the first few: more than 64 of six bytes is something else.
    kind == SETTINGS && flags == 0 && stream == 0 && length <= 384 && length % 6 == 0
}

impl Reader {
    pub(crate) fn new() -> Reader {
        Reader::default()
    }

    /// A reader of a client, whose preface comes first.
    pub(crate) fn after_preface() -> Reader {
        Reader {
            preface: true,
            ..Reader::default()
        }
    }

    pub(crate) fn read(&mut self, input: Input<'_>, shared: (&mut Streams, &mut Tally)) -> Step {
        let (streams, tally) = shared;
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
            return Step::Lost(Lost::Malformed);
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

    pub(crate) fn reached(&mut self, offset: u64, mark: Mark, shared: (&mut Streams, &mut Tally)) {
        if let Some(frame) = self.frame
            && frame.end == offset
        {
            self.finish(frame, mark, shared.0, shared.1);
        }
    }

    pub(crate) fn framing(&self, upto: u64) -> Framing {
        let Some(begun) = self.begun else {
            return Framing::Boundary;
        };
        let what = match self.frame {
            Some(frame) if upto >= frame.end => return Framing::Boundary,
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
            *self = Reader::new();
            return Step::To(input.after(PREFACE.len()));
        }
        if PREFACE.starts_with(input.bytes) {
            return Step::More;
        }
        Step::Lost(Lost::Malformed)
    }

    fn finish(&mut self, frame: Frame, mark: Mark, streams: &mut Streams, tally: &mut Tally) {
        *self = Reader::new();
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
