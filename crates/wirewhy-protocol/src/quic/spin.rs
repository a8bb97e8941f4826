//! The spin bit (RFC 9000 section 17.4, RFC 9312 section 3.8.2).

use wirewhy_packet::{Interval, Timestamp};

use super::facts::SpinRoundTrip;
use crate::types::Role;

/// How often the bit must have turned on each side.
const TURNS: u32 = 3;

/// Follows the bit of both sides. A server sends back the value that it got, a client its opposite; where a packet of either
/// side contradicts that, the bit is not spun, and says nothing.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Spin {
    client: SpinSide,
    server: SpinSide,
    shortest: Option<Interval>,
    samples: u32,
    contradicted: bool,
}

#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct SpinSide {
    value: Option<bool>,
    turns: u32,
    turned: Option<Timestamp>,
}

impl Spin {
    /// A packet with a short header.
    pub(super) fn add(&mut self, role: Role, first: u8, time: Timestamp) {
        let value = first & 0x20 != 0;
        let (own, other) = match role {
            Role::Client => (&mut self.client, self.server.value),
            Role::Server => (&mut self.server, self.client.value),
        };
        let before = own.value.replace(value);
        if before.is_none_or(|before| before == value) {
            return;
        }
        own.turns = own.turns.saturating_add(1);
        // What the other side sent last, it may have sent already when this side turned the bit.
        let expected = match role {
            Role::Client => other.map(|value| !value),
            Role::Server => other,
        };
        self.contradicted |= expected.is_some_and(|expected| expected != value);
        if let Some(earlier) = own.turned.replace(time) {
            let took = time.since(earlier);
            if took > Interval::ZERO {
                self.shortest = Some(self.shortest.map_or(took, |known| known.min(took)));
                self.samples = self.samples.saturating_add(1);
            }
        }
    }

    pub(super) fn facts(&self) -> Option<SpinRoundTrip> {
        let spun = self.client.turns >= TURNS && self.server.turns >= TURNS && !self.contradicted;
        self.shortest
            .filter(|_| spun)
            .map(|shortest| SpinRoundTrip {
                shortest,
                samples: self.samples,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(packets: &[(Role, u8, i64)]) -> Option<SpinRoundTrip> {
        let mut spin = Spin::default();
        for &(role, first, millis) in packets {
            spin.add(role, first, Timestamp(millis * 1_000_000));
        }
        spin.facts()
    }

    use Role::{Client, Server};

    #[test]
    fn a_bit_that_goes_round_is_a_round_trip() {
        let mut packets = Vec::new();
        for turn in 0..6_i64 {
            let value = if turn % 2 == 0 { 0x40 } else { 0x60 };
            packets.push((Client, value, turn * 20));
            packets.push((Client, value, turn * 20 + 1));
            packets.push((Server, value, turn * 20 + 10));
        }
        let spin = after(&packets).unwrap();
        assert_eq!(spin.shortest, Interval::from_millis(20));
    }

    #[test]
    fn a_bit_of_one_side_or_at_random_says_nothing() {
        let constant: Vec<_> = (0..40)
            .map(|at| {
                let (role, value) = match at % 2 {
                    0 => (Client, if at % 4 == 0 { 0x40 } else { 0x60 }),
                    _ => (Server, 0x40),
                };
                (role, value, at)
            })
            .collect();
        assert_eq!(after(&constant), None);
        let random = [0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 1, 0];
        let random: Vec<_> = (0_i64..)
            .zip(random)
            .map(|(at, bit)| {
                let role = if at % 3 == 0 { Server } else { Client };
                (role, 0x40 | bit << 5, at)
            })
            .collect();
        assert_eq!(after(&random), None);
    }
}
