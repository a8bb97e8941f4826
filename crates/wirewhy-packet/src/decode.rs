//! Frames to packets: under construction.

use crate::{Frame, Link, Packet, Stop, StopReason, Transport};

/// Decodes frames one after another; holds the fragments of datagrams that are not complete yet.
#[derive(Debug, Default)]
pub struct Decoder {}

impl Decoder {
    /// A decoder with no fragments pending.
    #[must_use]
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// Decodes one frame. What it returns borrows the frame, or the decoder where the datagram was reassembled.
    pub fn decode<'a>(&'a mut self, frame: &Frame<'a>) -> Packet<'a> {
        Packet {
            frame: frame.number,
            time: frame.time,
            wire_len: frame.original_len,
            link: Link::default(),
            ip: None,
            tunnels: 0,
            transport: Transport::None,
            stopped: Some(Stop {
                layer: "link",
                reason: StopReason::Unsupported,
            }),
        }
    }
}
