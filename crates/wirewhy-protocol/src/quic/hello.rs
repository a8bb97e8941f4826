//! Handshake bytes out of CRYPTO frames (RFC 9000 section 7.5), and which packets carried the ClientHello.

use super::facts::HelloSent;
use super::frames::Ack;
use crate::out_of_order::OutOfOrder;
use crate::types::{Mark, StreamSegment};

/// How many packets with pieces of the ClientHello are remembered.
const MOST_PACKETS: usize = 64;

/// The handshake bytes of one side at one level of encryption.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct CryptoStream {
    /// Everything before it was handed over.
    next: u64,
    waiting: OutOfOrder,
    /// Too many bytes waited: what follows is not read.
    stopped: bool,
}

impl CryptoStream {
    /// Takes the data of a frame, and hands over what is next in order. False where it repeats what was taken before.
    pub(super) fn take(
        &mut self,
        offset: u64,
        data: &[u8],
        mark: Mark,
        mut next: impl FnMut(&[u8]),
    ) -> bool {
        let segment = StreamSegment::new(offset, data, 0, mark);
        let is_new = segment.end > self.next;
        if self.stopped || !is_new {
            return is_new || data.is_empty();
        }
        if offset > self.next {
            self.stopped = !self.waiting.keep(segment);
            return true;
        }
        self.hand_over(segment, &mut next);
        while let Some(piece) = self.waiting.take(self.next) {
            self.hand_over(piece.segment(), &mut next);
        }
        true
    }

    fn hand_over(&mut self, segment: StreamSegment<'_>, next: &mut impl FnMut(&[u8])) {
        if segment.end > self.next {
            next(segment.from(self.next));
            self.next = segment.end;
        }
    }

    /// Bytes that wait.
    pub(super) fn kept(&self) -> usize {
        self.waiting.kept()
    }

    /// Reads no more.
    pub(super) fn stop(&mut self) {
        self.waiting.clear();
        self.stopped = true;
    }
}

/// The packets with pieces of the ClientHello.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct HelloPackets {
    packets: Vec<Carrier>,
    /// The length of the message, once its header was seen.
    length: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Carrier {
    number: u64,
    mark: Mark,
    from: u64,
    to: u64,
    acknowledged: bool,
}

impl HelloPackets {
    /// A CRYPTO frame of the client's Initial packet of this number.
    pub(super) fn add(&mut self, number: u64, offset: u64, data: &[u8], mark: Mark) {
        if offset == 0
            && self.length.is_none()
            && let Some(&[1, a, b, c]) = data.first_chunk::<4>()
        {
            self.length = Some(4 + u64::from(u32::from_be_bytes([0, a, b, c])));
        }
        let to = offset.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        if self.packets.len() < MOST_PACKETS && !data.is_empty() {
            self.packets.push(Carrier {
                number,
                mark,
                from: offset,
                to,
                acknowledged: false,
            });
        }
    }

    /// The server acknowledges packets of the client.
    pub(super) fn acknowledge(&mut self, ack: &Ack<'_>) {
        for packet in &mut self.packets {
            packet.acknowledged |= ack.covers(packet.number);
        }
    }

    /// The client begins anew: after a Retry or a Version Negotiation its packets count from the beginning of the hello.
    pub(super) fn begin_anew(&mut self) {
        *self = HelloPackets::default();
    }

    pub(super) fn facts(&self) -> HelloSent {
        let mut frames: Vec<u64> = Vec::new();
        let mut acknowledged: Vec<u64> = Vec::new();
        for packet in self.packets.iter().filter(|packet| self.is_hello(packet)) {
            let list = [
                Some(&mut frames),
                packet.acknowledged.then_some(&mut acknowledged),
            ];
            for list in list.into_iter().flatten() {
                if !list.contains(&packet.mark.frame) {
                    list.push(packet.mark.frame);
                }
            }
        }
        let count = |list: &[u64]| u32::try_from(list.len()).unwrap_or(u32::MAX);
        HelloSent {
            is_whole: self.covered(|_| true).is_none(),
            datagrams: self.first_datagrams(),
            carriers: count(&frames),
            acknowledged: count(&acknowledged),
            is_acknowledged: self.covered(|packet| packet.acknowledged).is_none(),
            first: self.packets.first().map(|packet| packet.mark),
            last: self.packets.last().map(|packet| packet.mark),
        }
    }

    fn is_hello(&self, packet: &Carrier) -> bool {
        self.length.is_none_or(|length| packet.from < length)
    }

    /// The first byte of the hello that no packet has of which `counts` holds; `None` where there is none.
    fn covered(&self, counts: impl Fn(&Carrier) -> bool) -> Option<u64> {
        let mut pieces: Vec<_> = self
            .packets
            .iter()
            .filter(|packet| counts(packet))
            .collect();
        pieces.sort_unstable_by_key(|packet| packet.from);
        let mut reached = 0;
        for packet in pieces {
            if packet.from <= reached {
                reached = packet.to.max(reached);
            }
        }
        match self.length {
            Some(length) if reached >= length => None,
            _ => Some(reached),
        }
    }

    /// In how many datagrams the hello was sent before any of it was repeated.
    fn first_datagrams(&self) -> u32 {
        let mut seen: Vec<(u64, u64)> = Vec::new();
        let mut frames: Vec<u64> = Vec::new();
        for packet in self.packets.iter().filter(|packet| self.is_hello(packet)) {
            if seen
                .iter()
                .any(|&(from, to)| packet.from < to && from < packet.to)
            {
                continue;
            }
            seen.push((packet.from, packet.to));
            if !frames.contains(&packet.mark.frame) {
                frames.push(packet.mark.frame);
            }
        }
        u32::try_from(frames.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quic::frames::{Frames, QuicFrame};

    fn mark(frame: u64) -> Mark {
        Mark {
            frame,
            ..Mark::default()
        }
    }

    fn taken(stream: &mut CryptoStream, offset: u64, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        stream.take(offset, data, mark(1), |bytes| out.extend_from_slice(bytes));
        out
    }

    #[test]
    fn pieces_in_any_order_are_put_together() {
        let mut stream = CryptoStream::default();
        assert_eq!(taken(&mut stream, 4, b"56"), b"");
        assert_eq!(taken(&mut stream, 2, b"345"), b"");
        assert_eq!(taken(&mut stream, 0, b"12"), b"123456");
        assert_eq!(taken(&mut stream, 0, b"1234567"), b"7");
        assert!(!stream.take(0, b"12", mark(2), |_| panic!()));
        assert_eq!(stream.kept(), 0);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut stream = CryptoStream::default();
        for at in 0..100 {
            stream.take(1 + at * 1_200, &[7; 1_200], mark(1), |_| panic!());
        }
        assert!(stream.kept() <= 64 * 1024);
        assert_eq!(taken(&mut stream, 0, b"1"), b"");
    }

    #[test]
    fn a_hello_of_two_datagrams_of_which_one_is_acknowledged() {
        let mut hello = HelloPackets::default();
        let mut first = vec![1, 0, 0, 196];
        first.resize(100, 7);
        hello.add(0, 0, &first, mark(1));
        hello.add(1, 100, &[7; 100], mark(2));
        let Some(QuicFrame::Ack(ack)) = Frames::of(&[2, 0, 0, 0, 0]).next() else {
            panic!();
        };
        hello.acknowledge(&ack);
        hello.add(2, 100, &[7; 100], mark(3));
        let facts = hello.facts();
        assert!(facts.is_whole && !facts.is_acknowledged);
        assert_eq!(
            (facts.datagrams, facts.carriers, facts.acknowledged),
            (2, 3, 1)
        );
    }
}
