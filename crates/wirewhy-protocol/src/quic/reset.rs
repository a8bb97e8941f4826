//! Stateless resets (RFC 9000 section 10.3): the same last 16 bytes in two packets that otherwise differ, or a token that was
//! read.

use crate::types::Mark;

/// The token at the end.
const TOKEN: usize = 16;

/// The shortest packet that may be one: five bytes and the token.
const SHORTEST: usize = 5 + TOKEN;

/// How many packets are remembered.
const KEPT: usize = 4;

/// The latest packets with short headers of one side.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Tails {
    latest: [Option<Tail>; KEPT],
    next: usize,
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Tail {
    token: [u8; TOKEN],
    begin: [u8; 5],
    length: usize,
    mark: Mark,
}

impl Tails {
    /// A packet that no key opens. Where an earlier one ended in the same way and is no copy, the earlier one.
    pub(super) fn add(&mut self, packet: &[u8], mark: Mark) -> Option<Mark> {
        let token = *packet.last_chunk::<TOKEN>()?;
        let begin = *packet.first_chunk::<5>()?;
        if packet.len() < SHORTEST {
            return None;
        }
        let tail = Tail {
            token,
            begin,
            length: packet.len(),
            mark,
        };
        let alike = self.latest.iter().flatten();
        let alike = alike.filter(|known| known.token == token);
        let found = alike
            .filter(|known| (known.begin, known.length) != (begin, tail.length))
            .map(|known| known.mark)
            .min_by_key(|mark| mark.frame);
        if let Some(place) = self.latest.get_mut(self.next) {
            *place = Some(tail);
        }
        self.next = (self.next + 1) % KEPT;
        found
    }
}

/// Whether a packet ends in this token.
pub(super) fn ends_in(packet: &[u8], token: &[u8; TOKEN]) -> bool {
    packet.len() >= SHORTEST && packet.last_chunk::<TOKEN>() == Some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(frame: u64) -> Mark {
        Mark {
            frame,
            ..Mark::default()
        }
    }

    #[test]
    fn the_same_end_of_two_packets_and_no_copy() {
        let mut tails = Tails::default();
        let mut packet = vec![0x41, 1, 2, 3, 4, 5];
        packet.extend([9; 16]);
        assert_eq!(tails.add(&packet, mark(1)), None);
        assert_eq!(tails.add(&packet, mark(2)), None);
        packet[2] = 77;
        assert_eq!(tails.add(&packet, mark(3)), Some(mark(1)));
        packet[10] ^= 1;
        assert_eq!(tails.add(&packet, mark(4)), None);
    }

    #[test]
    fn a_short_packet_is_none() {
        let mut tails = Tails::default();
        for first in 0..4 {
            let mut packet = vec![0x40 | first, 1, 2, 3];
            packet.extend([9; 16]);
            assert_eq!(tails.add(&packet, mark(1)), None);
        }
    }
}
