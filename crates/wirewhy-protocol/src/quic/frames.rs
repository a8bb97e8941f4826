//! The frames of an opened packet (RFC 9000 section 19), as far as they say how the connection goes.

use super::ids::{CloseCode, ConnectionId};
use super::wire;

/// A frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum QuicFrame<'a> {
    /// What asks for no acknowledgement and says nothing: PADDING.
    Padding,
    /// PING.
    Ping,
    Ack(Ack<'a>),
    Crypto {
        offset: u64,
        data: &'a [u8],
    },
    NewConnectionId {
        id: ConnectionId,
        reset_token: [u8; 16],
    },
    Close(Close<'a>),
    PathChallenge,
    PathResponse,
    HandshakeDone,
    /// A STREAM frame with this many bytes.
    Stream {
        id: u64,
        length: usize,
        is_last: bool,
    },
    /// Any other that is known, by its type.
    Other(u64),
}

/// An acknowledgement: ranges of packet numbers, the largest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ack<'a> {
    pub(super) largest: u64,
    first: u64,
    ranges: &'a [u8],
    count: u64,
}

/// CONNECTION_CLOSE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Close<'a> {
    pub(super) code: CloseCode,
    /// The type of the frame that it complains of, where it names one.
    pub(super) frame: Option<u64>,
    /// Hostile text.
    pub(super) reason: &'a [u8],
}

impl Ack<'_> {
    /// Whether it acknowledges this packet number.
    pub(super) fn covers(&self, number: u64) -> bool {
        let mut covered = false;
        self.ranges(|low, high| covered |= (low..=high).contains(&number));
        covered
    }

    /// Calls `range` with the lowest and the highest number of each range.
    fn ranges(&self, mut range: impl FnMut(u64, u64)) -> Option<()> {
        let mut low = self.largest.checked_sub(self.first)?;
        range(low, self.largest);
        let mut rest = self.ranges;
        for _ in 0..self.count {
            let gap = wire::varint(&mut rest)?;
            let length = wire::varint(&mut rest)?;
            let high = low.checked_sub(gap)?.checked_sub(2)?;
            low = high.checked_sub(length)?;
            range(low, high);
        }
        Some(())
    }
}

/// The frames of a packet, one after another. What cannot be read ends them.
pub(super) struct Frames<'a> {
    rest: &'a [u8],
}

impl<'a> Frames<'a> {
    pub(super) fn of(payload: &'a [u8]) -> Frames<'a> {
        Frames { rest: payload }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = QuicFrame<'a>;

    fn next(&mut self) -> Option<QuicFrame<'a>> {
        let mut rest = std::mem::take(&mut self.rest);
        let frame = read(&mut rest)?;
        self.rest = rest;
        Some(frame)
    }
}

fn read<'a>(rest: &mut &'a [u8]) -> Option<QuicFrame<'a>> {
    let kind = wire::varint(rest)?;
    Some(match kind {
        0x00 => {
            let end = rest.iter().position(|&byte| byte != 0);
            *rest = rest.get(end.unwrap_or(rest.len())..)?;
            QuicFrame::Padding
        }
        0x01 => QuicFrame::Ping,
        0x02 | 0x03 => {
            let ack = ack(rest)?;
            if kind == 0x03 {
                numbers::<3>(rest)?;
            }
            QuicFrame::Ack(ack)
        }
        0x06 => QuicFrame::Crypto {
            offset: wire::varint(rest)?,
            data: wire::vector(rest)?,
        },
        0x08..=0x0f => {
            let id = wire::varint(rest)?;
            if kind & 4 != 0 {
                wire::varint(rest)?;
            }
            let data = match kind & 2 != 0 {
                true => wire::vector(rest)?,
                false => std::mem::take(rest),
            };
            QuicFrame::Stream {
                id,
                length: data.len(),
                is_last: kind & 1 != 0,
            }
        }
        0x18 => {
            numbers::<2>(rest)?;
            let id = ConnectionId::new(wire::vector8(rest)?)?;
            let reset_token = *wire::take(rest, 16)?.first_chunk::<16>()?;
            QuicFrame::NewConnectionId { id, reset_token }
        }
        0x1a => wire::take(rest, 8).map(|_| QuicFrame::PathChallenge)?,
        0x1b => wire::take(rest, 8).map(|_| QuicFrame::PathResponse)?,
        0x1c => {
            let code = CloseCode::Transport(wire::varint(rest)?);
            let frame = wire::varint(rest)?;
            QuicFrame::Close(Close {
                code,
                frame: (frame != 0).then_some(frame),
                reason: wire::vector(rest)?,
            })
        }
        0x1d => QuicFrame::Close(Close {
            code: CloseCode::Application(wire::varint(rest)?),
            frame: None,
            reason: wire::vector(rest)?,
        }),
        0x1e => QuicFrame::HandshakeDone,
        // RESET_STREAM, and STOP_SENDING and MAX_STREAM_DATA and STREAM_DATA_BLOCKED.
        0x04 => other::<3>(kind, rest)?,
        0x05 | 0x11 | 0x15 => other::<2>(kind, rest)?,
        // MAX_DATA, MAX_STREAMS, DATA_BLOCKED, STREAMS_BLOCKED and RETIRE_CONNECTION_ID.
        0x10 | 0x12..=0x14 | 0x16 | 0x17 | 0x19 => other::<1>(kind, rest)?,
        // NEW_TOKEN, and DATAGRAM (RFC 9221) with its length.
        0x07 | 0x31 => wire::vector(rest).map(|_| QuicFrame::Other(kind))?,
        // DATAGRAM to the end of the packet.
        0x30 => {
            *rest = &[];
            QuicFrame::Other(kind)
        }
        _ => return None,
    })
}

fn ack<'a>(rest: &mut &'a [u8]) -> Option<Ack<'a>> {
    let largest = wire::varint(rest)?;
    wire::varint(rest)?;
    let count = wire::varint(rest)?;
    let first = wire::varint(rest)?;
    let ranges = *rest;
    for _ in 0..count {
        numbers::<2>(rest)?;
    }
    Some(Ack {
        largest,
        first,
        ranges,
        count,
    })
}

fn numbers<const N: usize>(rest: &mut &[u8]) -> Option<()> {
    (0..N).try_for_each(|_| wire::varint(rest).map(|_| ()))
}

fn other<'a, const N: usize>(kind: u64, rest: &mut &'a [u8]) -> Option<QuicFrame<'a>> {
    numbers::<N>(rest).map(|()| QuicFrame::Other(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_among_padding_and_crypto() {
        let payload = [0, 0, 6, 0, 2, 8, 9, 1, 0, 0x1e];
        let frames: Vec<_> = Frames::of(&payload).collect();
        assert_eq!(
            frames,
            [
                QuicFrame::Padding,
                QuicFrame::Crypto {
                    offset: 0,
                    data: &[8, 9]
                },
                QuicFrame::Ping,
                QuicFrame::Padding,
                QuicFrame::HandshakeDone,
            ]
        );
    }

    #[test]
    fn an_ack_covers_its_ranges() {
        // 10 to 8, then 5 and 4: a gap of one number is written as 0 (RFC 9000 section 19.3.1).
        let payload = [2, 10, 0, 1, 2, 1, 1];
        let Some(QuicFrame::Ack(ack)) = Frames::of(&payload).next() else {
            panic!();
        };
        let covered: Vec<u64> = (0..12).filter(|&number| ack.covers(number)).collect();
        assert_eq!(covered, [4, 5, 8, 9, 10]);
    }

    #[test]
    fn closes_of_both_kinds() {
        let payload = [0x1c, 0x41, 0x78, 6, 2, b'n', b'o', 0x1d, 0x41, 0x00, 0];
        let frames: Vec<_> = Frames::of(&payload).collect();
        let [QuicFrame::Close(transport), QuicFrame::Close(application)] = frames[..] else {
            panic!("{frames:?}");
        };
        assert_eq!(transport.code, CloseCode::Transport(0x178));
        assert_eq!((transport.frame, transport.reason), (Some(6), &b"no"[..]));
        assert_eq!(application.code, CloseCode::Application(0x100));
    }

    #[test]
    fn what_is_not_known_or_not_whole_ends_them() {
        assert_eq!(Frames::of(&[1, 0x40, 0x99, 1, 1]).count(), 1);
        assert_eq!(Frames::of(&[1, 6, 0, 9, 1]).count(), 1);
        let endless = [2, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0];
        assert_eq!(Frames::of(&endless).count(), 0);
    }
}
