//! Reassembly of IP fragments (RFC 791 section 3.2, RFC 8200 section 4.5), bounded in count, bytes and age.

mod datagram;

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, Ipv6Addr};

use datagram::Datagram;

use crate::{Interval, Timestamp};

/// RFC 8200 section 4.5 gives a datagram 60 seconds from its first fragment; RFC 1122 section 3.3.2 gives IPv4 as much.
const MAX_AGE: Interval = Interval::from_secs(60);

/// Datagrams pending at once; the oldest makes room.
const MAX_DATAGRAMS: usize = 1024;

/// Bytes pending at once, bookkeeping included.
const MAX_BYTES: usize = 4 << 20;

/// The longest payload an IP packet can have (RFC 791: a 16-bit length).
const MAX_DATAGRAM: usize = 0xffff;

/// Which datagram a fragment belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum FragmentKey {
    /// RFC 791: addresses, protocol and identification.
    V4 {
        source: Ipv4Addr,
        destination: Ipv4Addr,
        id: u16,
        protocol: u8,
    },
    /// RFC 8200 section 4.5: addresses and identification.
    V6 {
        source: Ipv6Addr,
        destination: Ipv6Addr,
        id: u32,
    },
}

/// A fragment as its header describes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment<'a> {
    pub(super) key: FragmentKey,
    /// What the datagram carries, as this fragment says.
    pub(super) protocol: u8,
    /// Where `data` belongs in the datagram.
    pub(super) offset: usize,
    /// Whether no fragment follows behind this one.
    pub(super) last: bool,
    /// How long the headers say `data` is.
    pub(super) claimed: usize,
    pub(super) data: &'a [u8],
    /// Length of the IP headers in front.
    pub(super) headers: usize,
}

/// A datagram put together.
#[derive(Debug)]
pub(super) struct Reassembled {
    /// What it carries, as its first fragment says.
    pub(super) protocol: u8,
    pub(super) bytes: Vec<u8>,
}

/// What became of a fragment.
#[derive(Debug)]
pub(super) enum Added {
    /// More fragments are missing.
    Pending,
    /// The fragment cannot belong to any datagram.
    Malformed,
    /// This was the last one missing.
    Complete(Reassembled),
}

/// Fragments of datagrams that are not complete.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    pending: HashMap<FragmentKey, Pending>,
    /// Keys by age, oldest first. A key whose datagram is gone, or was begun anew, has another serial or none.
    by_age: VecDeque<(FragmentKey, u64)>,
    bytes: usize,
    serial: u64,
}

#[derive(Debug)]
struct Pending {
    serial: u64,
    first_seen: Timestamp,
    datagram: Datagram,
    /// Fragments that contradict each other came: nothing will be put together, but the rest is still swallowed.
    poisoned: bool,
}

impl Fragments {
    /// Takes a fragment in.
    pub(super) fn add(&mut self, now: Timestamp, fragment: Fragment<'_>) -> Added {
        let end = fragment.offset + fragment.data.len();
        // RFC 8200 section 4.5: all but the last fragment are multiples of 8 bytes long.
        let ragged = !fragment.last && !fragment.data.len().is_multiple_of(8);
        if fragment.data.is_empty() || ragged || end > MAX_DATAGRAM {
            return Added::Malformed;
        }
        self.expire(now);
        match self.pending.get(&fragment.key) {
            Some(pending) if pending.poisoned => return Added::Pending,
            Some(pending) if pending.datagram.is_full() => return Added::Malformed,
            Some(pending) if pending.datagram.contradicts(&fragment) => {
                self.contradiction(now, fragment);
                return Added::Pending;
            }
            Some(_) => {}
            None => self.begin(now, fragment.key),
        }
        let Some(pending) = self.pending.get_mut(&fragment.key) else {
            return Added::Pending;
        };
        self.bytes += pending.datagram.take(&fragment);
        if let Some(datagram) = pending.datagram.assemble() {
            self.remove(&fragment.key);
            return Added::Complete(datagram);
        }
        self.make_room();
        Added::Pending
    }

    /// Two fragments claim the same place with different bytes, or the datagram has two ends.
    fn contradiction(&mut self, now: Timestamp, fragment: Fragment<'_>) {
        self.remove(&fragment.key);
        self.begin(now, fragment.key);
        let Some(pending) = self.pending.get_mut(&fragment.key) else {
            return;
        };
        match fragment.key {
            // The 16-bit identification comes round quickly: what was pending is an older datagram that lost a piece.
            FragmentKey::V4 { .. } => {
                self.bytes += pending.datagram.take(&fragment);
            }
            // RFC 8200 section 4.5: the datagram is discarded, with fragments still to come.
            FragmentKey::V6 { .. } => pending.poisoned = true,
        }
        self.make_room();
    }

    fn begin(&mut self, now: Timestamp, key: FragmentKey) {
        self.serial += 1;
        self.by_age.push_back((key, self.serial));
        let pending = Pending {
            serial: self.serial,
            first_seen: now,
            datagram: Datagram::default(),
            poisoned: false,
        };
        self.pending.insert(key, pending);
    }

    fn remove(&mut self, key: &FragmentKey) {
        if let Some(gone) = self.pending.remove(key) {
            self.bytes = self.bytes.saturating_sub(gone.datagram.cost());
        }
    }

    /// Drops what is too old; time that runs backwards drops nothing.
    fn expire(&mut self, now: Timestamp) {
        while let Some(&(key, serial)) = self.by_age.front() {
            match self.pending.get(&key) {
                Some(pending) if pending.serial == serial => {
                    if now.since(pending.first_seen) <= MAX_AGE {
                        return;
                    }
                    self.remove(&key);
                }
                _ => {}
            }
            self.by_age.pop_front();
        }
    }

    /// Drops the oldest until the bounds hold.
    fn make_room(&mut self) {
        while self.pending.len() > MAX_DATAGRAMS || self.bytes > MAX_BYTES {
            let Some((key, serial)) = self.by_age.pop_front() else {
                return;
            };
            if self.pending.get(&key).is_some_and(|p| p.serial == serial) {
                self.remove(&key);
            }
        }
        if self.by_age.len() > 4 * MAX_DATAGRAMS {
            let pending = &self.pending;
            self.by_age
                .retain(|(key, serial)| pending.get(key).is_some_and(|p| p.serial == *serial));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{
        decode, decode_at, decode_cut, ipv4_fragment, ipv6, probe, survives_mutation,
    };
    use super::*;
    use crate::{Decoder, LinkType, StopReason, Transport};

    /// A TCP segment that needs three fragments, the probe with more payload.
    fn datagram() -> Vec<u8> {
        let mut segment = probe();
        segment.extend((0..=255).cycle().take(2000 - segment.len()));
        segment
    }

    /// The datagram cut at multiples of 8, as IPv4 packets.
    fn v4(datagram: &[u8], step: usize) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        for (index, part) in datagram.chunks(step).enumerate() {
            let at = index * step;
            let more = if at + part.len() < datagram.len() {
                0x2000
            } else {
                0
            };
            let position = u16::try_from(at / 8).unwrap() | more;
            packets.push(ipv4_fragment(6, position, part));
        }
        packets
    }

    /// The same as IPv6 packets; RFC 8200 section 4.5: next header, reserved, offset and flag, identification.
    fn v6(datagram: &[u8], step: usize) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        for (index, part) in datagram.chunks(step).enumerate() {
            let at = index * step;
            let more = u16::from(at + part.len() < datagram.len());
            let [p0, p1] = (u16::try_from(at).unwrap() | more).to_be_bytes();
            packets.push(ipv6(44, &[&[6, 0, p0, p1, 0, 0, 0, 9][..], part].concat()));
        }
        packets
    }

    /// Feeds packets a second apart; returns the payload length of each TCP segment, by the packet that completed it.
    fn feed(decoder: &mut Decoder, packets: &[&Vec<u8>]) -> Vec<Option<u32>> {
        let mut outcome = Vec::new();
        for (time, bytes) in (0..).zip(packets) {
            let time = Timestamp::from_secs_nanos(time, 0);
            let packet = decode_at(decoder, time, LinkType::RAW, bytes);
            outcome.push(match &packet.transport {
                Transport::Tcp(segment) => {
                    assert!(packet.ip.is_some_and(|ip| ip.reassembled));
                    Some(segment.payload_len)
                }
                Transport::Fragment(_) => None,
                other => panic!("{other:?}"),
            });
        }
        outcome
    }

    #[test]
    fn fragments_in_every_order_give_the_datagram_with_the_last_to_come() {
        for parts in [v4(&datagram(), 800), v6(&datagram(), 800)] {
            let [a, b, c] = [0, 1, 2].map(|index| &parts[index]);
            for order in [
                [a, b, c],
                [a, c, b],
                [b, a, c],
                [b, c, a],
                [c, a, b],
                [c, b, a],
            ] {
                let mut decoder = Decoder::new();
                assert_eq!(feed(&mut decoder, &order), [None, None, Some(1968)]);
                assert_eq!(decoder.fragments.bytes, 0);
                assert!(decoder.fragments.pending.is_empty());
            }
        }
    }

    #[test]
    fn the_reassembled_packet_has_the_whole_length_and_payload() {
        let datagram = datagram();
        let parts = v4(&datagram, 800);
        let mut decoder = Decoder::new();
        for part in &parts[..2] {
            decode(&mut decoder, LinkType::RAW, part);
        }
        let packet = decode(&mut decoder, LinkType::RAW, &parts[2]);
        assert_eq!(packet.ip.map(|ip| ip.total_len), Some(2020));
        assert_eq!(packet.stopped, None);
        let Transport::Tcp(segment) = packet.transport else {
            panic!("{packet:?}");
        };
        assert_eq!(segment.payload, &datagram[32..]);
    }

    #[test]
    fn duplicates_and_agreeing_overlaps_do_no_harm() {
        let datagram = datagram();
        let parts = v4(&datagram, 800);
        let overlapping = ipv4_fragment(6, 0x2000 | 50, &datagram[400..1200]);
        let order = [&parts[0], &parts[0], &overlapping, &parts[2], &parts[1]];
        let mut decoder = Decoder::new();
        // The overlap leaves 1200..1600 open until the last.
        assert_eq!(
            feed(&mut decoder, &order),
            [None, None, None, None, Some(1968)]
        );
    }

    #[test]
    fn a_contradiction_begins_the_ipv4_datagram_anew() {
        let old = v4(&datagram(), 800);
        let mut changed = datagram();
        changed[100] ^= 0xff;
        let new = v4(&changed, 800);
        // The identification was used before; of the older datagram the last fragment was lost.
        let order = [&old[0], &old[1], &new[0], &new[1], &new[2]];
        let mut decoder = Decoder::new();
        assert_eq!(
            feed(&mut decoder, &order),
            [None, None, None, None, Some(1968)]
        );
    }

    #[test]
    fn a_contradiction_discards_the_ipv6_datagram_for_good() {
        let parts = v6(&datagram(), 800);
        let mut changed = datagram();
        changed[100] ^= 0xff;
        let forged = v6(&changed, 800);
        let order = [&parts[0], &forged[0], &parts[0], &parts[1], &parts[2]];
        let mut decoder = Decoder::new();
        assert_eq!(feed(&mut decoder, &order), [None; 5]);
    }

    #[test]
    fn two_ends_contradict_each_other() {
        let datagram = datagram();
        let parts = v4(&datagram, 800);
        let early_end = ipv4_fragment(6, 100, &datagram[800..1000]);
        let mut decoder = Decoder::new();
        // Begun anew with the early end, and again with the fragment behind it.
        let order = [&parts[2], &early_end, &parts[1], &parts[2], &parts[0]];
        assert_eq!(
            feed(&mut decoder, &order),
            [None, None, None, None, Some(1968)]
        );
    }

    #[test]
    fn a_datagram_is_given_up_after_a_minute() {
        let parts = v4(&datagram(), 800);
        for (wait, complete) in [(60, true), (61, false)] {
            let mut decoder = Decoder::new();
            for part in &parts[..2] {
                decode_at(&mut decoder, Timestamp(0), LinkType::RAW, part);
            }
            let late = Timestamp::from_secs_nanos(wait, 0);
            let packet = decode_at(&mut decoder, late, LinkType::RAW, &parts[2]);
            assert_eq!(matches!(packet.transport, Transport::Tcp(_)), complete);
        }
    }

    #[test]
    fn time_that_runs_backwards_gives_nothing_up() {
        let parts = v4(&datagram(), 800);
        let mut decoder = Decoder::new();
        for (time, part) in [(100, &parts[0]), (-100, &parts[1])] {
            let time = Timestamp::from_secs_nanos(time, 0);
            decode_at(&mut decoder, time, LinkType::RAW, part);
        }
        let packet = decode(&mut decoder, LinkType::RAW, &parts[2]);
        assert!(matches!(packet.transport, Transport::Tcp(_)));
    }

    #[test]
    fn a_flood_stays_within_the_bounds() {
        let mut decoder = Decoder::new();
        let part = [0; 1400];
        for id in 0..20_000_u16 {
            let mut bytes = ipv4_fragment(6, 0x2000, &part);
            bytes[4..6].copy_from_slice(&id.to_be_bytes());
            decode(&mut decoder, LinkType::RAW, &bytes);
            let fragments = &decoder.fragments;
            assert!(fragments.pending.len() <= MAX_DATAGRAMS);
            assert!(fragments.bytes <= MAX_BYTES);
            assert!(fragments.by_age.len() <= 4 * MAX_DATAGRAMS);
        }
        // The newest are still there.
        assert!(decoder.fragments.pending.len() > MAX_DATAGRAMS / 2);
        assert!(decoder.fragments.pending.keys().all(|key| match key {
            FragmentKey::V4 { id, .. } => *id >= 20_000 - 1024,
            FragmentKey::V6 { .. } => false,
        }));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut decoder = Decoder::new();
        let part = vec![0; 60_000];
        for id in 0..200_u16 {
            let mut bytes = ipv4_fragment(6, 0x2000, &part);
            bytes[4..6].copy_from_slice(&id.to_be_bytes());
            decode(&mut decoder, LinkType::RAW, &bytes);
            assert!(decoder.fragments.bytes <= MAX_BYTES);
        }
        assert!(decoder.fragments.pending.len() > 60);
    }

    #[test]
    fn completed_datagrams_leave_nothing_behind() {
        let parts = v4(&datagram(), 800);
        let mut decoder = Decoder::new();
        // One that stays pending keeps the list of ages from being emptied from its old end.
        let mut waiting = parts[0].clone();
        waiting[4..6].copy_from_slice(&[9, 9]);
        decode(&mut decoder, LinkType::RAW, &waiting);
        let before = decoder.fragments.bytes;
        for _ in 0..6 * MAX_DATAGRAMS {
            for part in &parts {
                decode(&mut decoder, LinkType::RAW, part);
            }
            let fragments = &decoder.fragments;
            assert_eq!((fragments.bytes, fragments.pending.len()), (before, 1));
            assert!(fragments.by_age.len() <= 4 * MAX_DATAGRAMS);
        }
    }

    #[test]
    fn the_pieces_of_a_datagram_are_bounded() {
        let mut decoder = Decoder::new();
        for at in 0..4096_u16 {
            let bytes = ipv4_fragment(6, 0x2000 | at, &[0; 8]);
            let packet = decode(&mut decoder, LinkType::RAW, &bytes);
            assert_eq!(
                packet.stopped.is_some(),
                usize::from(at) >= datagram::MAX_PIECES
            );
        }
    }

    #[test]
    fn a_fragment_the_capture_cut_is_not_taken_in() {
        let parts = v4(&datagram(), 800);
        let mut decoder = Decoder::new();
        let packet = decode_cut(&mut decoder, LinkType::RAW, &parts[1], 100);
        let stop = packet.stopped.map(|stop| (stop.layer, stop.reason));
        assert_eq!(stop, Some(("fragment", StopReason::Truncated)));
        assert!(matches!(packet.transport, Transport::Fragment(_)));
        // The first one at least tells the header.
        let packet = decode_cut(&mut decoder, LinkType::RAW, &parts[0], 100);
        let stop = packet.stopped.map(|stop| (stop.layer, stop.reason));
        assert_eq!(stop, Some(("fragment", StopReason::Truncated)));
        assert!(matches!(packet.transport, Transport::Tcp(_)));
        assert!(decoder.fragments.pending.is_empty());
    }

    #[test]
    fn impossible_fragments_are_malformed() {
        let mut decoder = Decoder::new();
        for bytes in [
            // Not a multiple of 8 though more follow; beyond 64 KiB; nothing in it.
            ipv4_fragment(6, 0x2000, &[0; 9]),
            ipv4_fragment(6, 0x1fff, &[0; 100]),
            ipv4_fragment(6, 0x2001, &[]),
        ] {
            let packet = decode(&mut decoder, LinkType::RAW, &bytes);
            assert_eq!(
                packet.stopped.map(|stop| stop.reason),
                Some(StopReason::Malformed)
            );
        }
    }

    #[test]
    fn fragments_in_a_tunnel_in_fragments_are_put_together() {
        let inner = v4(&datagram(), 800);
        let mut decoder = Decoder::new();
        let mut seen = Vec::new();
        for part in &inner {
            for outer in v6_carrying(part) {
                let packet = decode(&mut decoder, LinkType::RAW, &outer);
                seen.push((
                    packet.tunnels,
                    matches!(packet.transport, Transport::Tcp(_)),
                ));
            }
        }
        assert_eq!(seen.last(), Some(&(1, true)));
        assert_eq!(seen.iter().filter(|(_, tcp)| *tcp).count(), 1);
    }

    /// IPv6 fragments that together carry an IPv4 packet.
    fn v6_carrying(packet: &[u8]) -> Vec<Vec<u8>> {
        let mut fragments = v6(packet, 400);
        for fragment in &mut fragments {
            fragment[40] = 4;
        }
        fragments
    }

    #[test]
    fn damaged_fragments_do_no_harm() {
        for parts in [v4(&datagram(), 800), v6(&datagram(), 400)] {
            for part in &parts {
                survives_mutation(LinkType::RAW, part);
            }
        }
    }
}
