//! The TCP header and its options.

use super::view::{View, length};
use super::{Next, Walk};
use crate::{Seq, StopReason, TcpFlags, TcpOptions, TcpSegment, TcpTimestamps, Transport};

/// The header without options (RFC 9293 section 3.1).
const FIXED_HEADER: usize = 20;

/// Up to and with the window: all of the fixed header that is read.
const NEEDED: usize = 16;

/// NOP, NOP, Timestamps: how RFC 7323 appendix A advises to lay them out, and how nearly every data segment comes.
const ALIGNED_TIMESTAMPS: [u8; 4] = [1, 1, 8, 10];

/// What a segment is read into; a `static`, so that it is copied in wide pieces and not written field by field.
static BLANK: Transport<'static> = Transport::Tcp(TcpSegment::BLANK);

/// How a TCP header turned out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// As it should be.
    Whole,
    /// The capture cut the header.
    Truncated,
    /// The data offset is below the fixed header, or beyond the end of the IP packet.
    Malformed,
}

impl<'a> Walk<'a, '_> {
    #[inline]
    pub(super) fn tcp(&mut self, view: View<'a>) -> Next<'a> {
        let Some(fixed) = view.data.first_chunk::<NEEDED>() else {
            return self.stop_short("tcp", view, NEEDED);
        };
        // Filled in where it stays: copying a struct right after its small fields were written stalls the processor
        // for longer than reading the header takes.
        self.packet.transport = BLANK;
        let Transport::Tcp(segment) = &mut self.packet.transport else {
            return None;
        };
        match read_segment(fixed, view, segment) {
            Shape::Whole => None,
            Shape::Truncated => self.stop("tcp", StopReason::Truncated),
            Shape::Malformed => self.stop("tcp", StopReason::Malformed),
        }
    }
}

/// The header quoted in an ICMP error, without payload.
pub(super) fn quoted(view: View<'_>) -> Option<TcpSegment<'static>> {
    let fixed = view.data.first_chunk::<NEEDED>()?;
    let mut segment = TcpSegment::BLANK;
    read_segment(fixed, view, &mut segment);
    Some(TcpSegment {
        payload: &[],
        ..segment
    })
}

/// Reads the segment whose lengths are those of `view`.
///
/// A data offset below five is taken as it stands, so payload and sequence numbers follow from it as other analysers
/// count them; options are not read then.
#[inline]
fn read_segment<'a>(h: &[u8; NEEDED], view: View<'a>, segment: &mut TcpSegment<'a>) -> Shape {
    let header_len = (h[12] >> 4) * 4;
    let header = usize::from(header_len);
    let payload = view.skip(header);
    segment.source_port = u16::from_be_bytes([h[0], h[1]]);
    segment.destination_port = u16::from_be_bytes([h[2], h[3]]);
    segment.seq = Seq(u32::from_be_bytes([h[4], h[5], h[6], h[7]]));
    segment.ack = Seq(u32::from_be_bytes([h[8], h[9], h[10], h[11]]));
    segment.flags = TcpFlags(u16::from_be_bytes([h[12] & 0x0f, h[13]]));
    segment.window = u16::from_be_bytes([h[14], h[15]]);
    segment.header_len = header_len;
    segment.payload = payload.data;
    segment.payload_len = length(payload.wire);
    if header < FIXED_HEADER || header > view.wire {
        return Shape::Malformed;
    }
    let options = &mut segment.options;
    let Some(list) = view.data.get(FIXED_HEADER..header) else {
        let captured = view.data.get(FIXED_HEADER..).unwrap_or(&[]);
        read_options(captured, options);
        // What looks like an overrun is the cut.
        options.malformed = false;
        options.truncated = header > FIXED_HEADER;
        return Shape::Truncated;
    };
    match <&[u8; 12]>::try_from(list) {
        Ok(&[o0, o1, o2, o3, v0, v1, v2, v3, e0, e1, e2, e3])
            if [o0, o1, o2, o3] == ALIGNED_TIMESTAMPS =>
        {
            options.timestamps = Some(TcpTimestamps {
                value: u32::from_be_bytes([v0, v1, v2, v3]),
                echo: u32::from_be_bytes([e0, e1, e2, e3]),
            });
        }
        _ => read_options(list, options),
    }
    Shape::Whole
}

/// Reads options until the list ends or contradicts itself (RFC 9293 section 3.1).
#[inline(never)]
fn read_options(mut list: &[u8], options: &mut TcpOptions) {
    while let Some((&kind, rest)) = list.split_first() {
        match kind {
            0 => return,
            1 => {
                list = rest;
                continue;
            }
            _ => {}
        }
        let body = rest.first().and_then(|&len| list.get(2..usize::from(len)));
        let Some(body) = body else {
            options.malformed = true;
            return;
        };
        if !read_option(kind, body, options) {
            options.malformed = true;
            return;
        }
        list = list.get(2 + body.len()..).unwrap_or(&[]);
    }
}

/// Reads one option; `false` where its length is none the option can have.
fn read_option(kind: u8, body: &[u8], options: &mut TcpOptions) -> bool {
    match (kind, body) {
        // RFC 9293 section 3.2.
        (2, &[a, b]) => options.mss = Some(u16::from_be_bytes([a, b])),
        // RFC 7323 section 2.2.
        (3, &[shift]) => options.window_scale = Some(shift),
        // RFC 2018 section 2.
        (4, &[]) => options.sack_permitted = true,
        // RFC 2018 section 3.
        (5, blocks) => return read_sack(blocks, options),
        // RFC 7323 section 3.2.
        (8, &[v0, v1, v2, v3, e0, e1, e2, e3]) => {
            options.timestamps = Some(TcpTimestamps {
                value: u32::from_be_bytes([v0, v1, v2, v3]),
                echo: u32::from_be_bytes([e0, e1, e2, e3]),
            });
        }
        // RFC 2385 section 3.0: a digest of 16 bytes.
        (19, body) if body.len() == 16 => options.authenticated = true,
        // RFC 5925 section 2.2: two key identifiers and a MAC.
        (29, &[_, _, ..]) => options.authenticated = true,
        // RFC 8684 section 3: the subtype is the high half of the first byte.
        (30, &[first, ..]) => options.mptcp_subtypes |= 1 << (first >> 4),
        // RFC 7413 section 4.1.1: no cookie, or one of 4 to 16 bytes and even length.
        (34, body) if matches!(body.len(), 0 | 4..=16) && body.len() % 2 == 0 => {
            options.fast_open = true;
        }
        // RFC 6994 experiments carry a number; F989 was Fast Open's before it got its own kind.
        (253 | 254, &[0xf9, 0x89, ..]) => options.fast_open = true,
        (2..=4 | 8 | 19 | 29 | 30 | 34, _) => return false,
        // RFC 9293 section 3.1: an option that is not understood is skipped.
        _ => {}
    }
    true
}

fn read_sack(blocks: &[u8], options: &mut TcpOptions) -> bool {
    let (pairs, rest) = blocks.as_chunks::<8>();
    for &[l0, l1, l2, l3, r0, r1, r2, r3] in pairs {
        options.sack.push(
            Seq(u32::from_be_bytes([l0, l1, l2, l3])),
            Seq(u32::from_be_bytes([r0, r1, r2, r3])),
        );
    }
    rest.is_empty() && !pairs.is_empty()
}
