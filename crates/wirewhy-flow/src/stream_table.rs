//! Which conversation a segment belongs to, numbered as Wireshark numbers `tcp.stream`; of datagrams, as `udp.stream`.
//!
//! The key is the unordered pair of (address, port); link layer, VLAN and tunnels play no part. A new number is taken by
//! the first packet of a pair, and by a SYN whose sequence number is not the one its sender opened with.

use std::hash::Hash;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use indexmap::map::Entry as MapEntry;
use wirewhy_packet::{IcmpError, Packet, Seq, TcpFlags, TcpHeader, TcpSegment, Transport};

use crate::Pair;
use crate::attachments::Attachments;
use crate::pair::{Key, MIX_BITS, Mixed, PairV4, PairV6, key};

/// The protocol number of TCP.
const TCP: u8 = 6;

/// Where a segment belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Located {
    /// The stream number, from 0.
    pub stream: u32,
    /// Whether the segment opened the stream.
    pub opened: Opened,
    /// See [`Pair::source_is_low`].
    pub source_is_low: bool,
    pub(crate) index: EntryIndex,
}

/// What the sequence numbers of a stream count from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bases {
    /// Of a segment's sender: its initial sequence number, or one before the first byte seen of it. `None` until a segment told.
    pub sender: Option<Seq>,
    /// The same of the receiver, whose numbers the segment acknowledges.
    pub receiver: Option<Seq>,
}

/// Where a datagram belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LocatedDatagram {
    /// As of [`Located`].
    pub(crate) stream: u32,
    /// Whether it is the first of its pair.
    pub(crate) is_new: bool,
    pub(crate) index: EntryIndex,
}

/// Where the entry of a pair stands, until entries are forgotten: a position, and whether it is among those over IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EntryIndex(u32);

impl EntryIndex {
    /// Of no entry.
    pub(crate) const NONE: EntryIndex = EntryIndex(u32::MAX);

    #[inline]
    fn v4(at: usize) -> EntryIndex {
        u32::try_from(at << 1).map_or(EntryIndex::NONE, EntryIndex)
    }

    #[inline]
    fn v6(at: usize) -> EntryIndex {
        u32::try_from(at << 1 | 1).map_or(EntryIndex::NONE, EntryIndex)
    }

    #[inline]
    pub(crate) fn is_v6(self) -> bool {
        self.0 & 1 != 0
    }

    #[inline]
    pub(crate) fn at(self) -> usize {
        usize::try_from(self.0 >> 1).unwrap_or(usize::MAX)
    }
}

/// Whether a segment opened a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opened {
    /// The stream was there.
    No,
    /// First packet of this pair.
    First,
    /// A SYN with another initial sequence number: the ports are used again.
    Reused,
    /// A SYN-ACK with another initial sequence number: same stream, marked `reused_ports` by Wireshark.
    SynAckChanged,
}

/// All conversations met so far.
///
/// Entries outlive their connection, so that a late segment finds its number.
#[derive(Debug, Default)]
pub struct StreamTable {
    v4: Table<PairV4>,
    v6: Table<PairV6>,
    next: u32,
}

/// The conversations over one version of IP.
#[derive(Debug)]
struct Table<K> {
    entries: IndexMap<K, Entry, RandomState>,
    /// By [`Mixed::mix`], where the entry of the latest key stands: packets come in trains, and few conversations take turns.
    latest: Box<[u32; LATEST]>,
    /// Where it is looked at next for what can be forgotten.
    hand: usize,
}

impl<K> Default for Table<K> {
    fn default() -> Table<K> {
        Table {
            entries: IndexMap::default(),
            latest: Box::new([0; LATEST]),
            hand: 0,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    stream: u32,
    /// Wireshark's `base_seq` of the lower and the higher end, where it is known.
    base: [Seq; 2],
    known: [bool; 2],
}

/// 4 KiB, which stay in a cache.
const LATEST: usize = 1 << MIX_BITS;

/// How many entries are looked at for each new one when there are too many: each is passed over once, and half of them may
/// be in use.
const LOOKED_AT: u32 = 4;

impl StreamTable {
    /// No conversations.
    #[must_use]
    pub fn new() -> StreamTable {
        StreamTable::default()
    }

    /// How many stream numbers were given out.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.next
    }

    /// How many pairs are remembered.
    #[must_use]
    #[inline]
    pub fn remembered(&self) -> usize {
        self.v4.entries.len() + self.v6.entries.len()
    }

    /// Finds the stream of a packet, or opens one: of the segment in it, or of the one that it quotes. `None` where it is of none.
    #[inline]
    pub fn number(&mut self, packet: &Packet<'_>) -> Option<Located> {
        match &packet.transport {
            Transport::Tcp(tcp) => {
                let ip = packet.ip.as_ref()?;
                Some(self.locate(&Pair::of(ip, tcp), tcp))
            }
            Transport::IcmpError(error) => self.number_quoted(error),
            _ => None,
        }
    }

    #[inline(never)]
    fn number_quoted(&mut self, error: &IcmpError) -> Option<Located> {
        let quoted = error.quoted.filter(|quoted| quoted.protocol == TCP)?;
        let pair = Pair::quoted(&quoted)?;
        match quoted.tcp.and_then(|tcp| tcp.header) {
            Some(header) => Some(self.locate_quoted(&pair, &header)),
            None => self.find(&pair),
        }
    }

    /// Finds the stream of a segment, or opens one.
    #[inline]
    pub fn locate(&mut self, pair: &Pair, segment: &TcpSegment<'_>) -> Located {
        let next = self.next;
        self.with_entry(pair, |entry, sender, is_new| {
            let opened = if is_new {
                Opened::First
            } else {
                entry.reopen(sender, (segment.seq, segment.flags), next)
            };
            entry.learn_base(sender, segment);
            opened
        })
    }

    /// What the numbers of the segment count from that was just found here.
    #[must_use]
    pub fn bases(&self, located: &Located) -> Bases {
        let at = located.index.at();
        let entry = if located.index.is_v6() {
            self.v6.entries.get_index(at).map(|(_, entry)| entry)
        } else {
            self.v4.entries.get_index(at).map(|(_, entry)| entry)
        };
        let sender = usize::from(!located.source_is_low);
        entry.map_or(Bases::default(), |entry| Bases {
            sender: entry.base_of(sender),
            receiver: entry.base_of(1 - sender),
        })
    }

    /// Finds the stream of a TCP header quoted by an ICMP error, or of one whose IP packet is too short for it, or opens
    /// one. The header may show that the ports are used again, but does not tell where its side's numbers start.
    pub fn locate_quoted(&mut self, pair: &Pair, header: &TcpHeader) -> Located {
        let next = self.next;
        self.with_entry(pair, |entry, sender, is_new| {
            if is_new {
                Opened::First
            } else {
                entry.reopen(sender, (header.seq, header.flags), next)
            }
        })
    }

    /// Finds the stream of a datagram, or of one that an ICMP error quotes, or opens one: the first of a pair does.
    #[inline]
    pub(crate) fn locate_datagram(&mut self, pair: &Pair) -> LocatedDatagram {
        let take = |entry: &mut Entry, index, is_new| LocatedDatagram {
            stream: entry.stream,
            is_new,
            index,
        };
        let located = match key(pair).0 {
            Key::V4(key) => self.v4.enter(key, self.next, |entry, at, is_new| {
                take(entry, EntryIndex::v4(at), is_new)
            }),
            Key::V6(key) => self.v6.enter(key, self.next, |entry, at, is_new| {
                take(entry, EntryIndex::v6(at), is_new)
            }),
        };
        self.next = self.next.wrapping_add(u32::from(located.is_new));
        located
    }

    /// Finds the stream of a pair without opening one.
    #[must_use]
    pub fn find(&self, pair: &Pair) -> Option<Located> {
        let (key, source_is_low) = key(pair);
        let (index, stream) = match key {
            Key::V4(key) => {
                let (at, _, entry) = self.v4.entries.get_full(&key)?;
                (EntryIndex::v4(at), entry.stream)
            }
            Key::V6(key) => {
                let (at, _, entry) = self.v6.entries.get_full(&key)?;
                (EntryIndex::v6(at), entry.stream)
            }
        };
        Some(Located {
            stream,
            opened: Opened::No,
            source_is_low,
            index,
        })
    }

    /// Forgets streams whose connection is over, a few at a time, where a table holds more than `limit`. `moved` is called with
    /// what is attached to an entry that stands elsewhere since, and where that is.
    #[inline]
    pub(crate) fn forget_beyond(
        &mut self,
        limit: usize,
        attachments: &mut Attachments,
        moved: impl FnMut(u32, EntryIndex),
    ) {
        if self.remembered() > limit {
            self.sweep_beyond(limit, attachments, moved);
        }
    }

    #[inline(never)]
    fn sweep_beyond(
        &mut self,
        limit: usize,
        attachments: &mut Attachments,
        mut moved: impl FnMut(u32, EntryIndex),
    ) {
        if self.v4.entries.len() > limit {
            self.v4.sweep(attachments, EntryIndex::v4, &mut moved);
        }
        if self.v6.entries.len() > limit {
            self.v6.sweep(attachments, EntryIndex::v6, &mut moved);
        }
    }

    /// Finds the entry of a pair, or makes one, and lets `act` say whether the packet opened a stream. It is given the entry,
    /// which of its ends sends, and whether the entry is new.
    #[inline(always)]
    fn with_entry(
        &mut self,
        pair: &Pair,
        act: impl FnOnce(&mut Entry, usize, bool) -> Opened,
    ) -> Located {
        let next = self.next;
        let (key, source_is_low) = key(pair);
        let sender = usize::from(!source_is_low);
        let take = |entry: &mut Entry, index, is_new| {
            let opened = act(entry, sender, is_new);
            Located {
                stream: entry.stream,
                opened,
                source_is_low,
                index,
            }
        };
        let located = match key {
            Key::V4(key) => self.v4.enter(key, next, |entry, at, is_new| {
                take(entry, EntryIndex::v4(at), is_new)
            }),
            Key::V6(key) => self.v6.enter(key, next, |entry, at, is_new| {
                take(entry, EntryIndex::v6(at), is_new)
            }),
        };
        if matches!(located.opened, Opened::First | Opened::Reused) {
            self.next = self.next.wrapping_add(1);
        }
        located
    }
}

impl<K: Mixed + Hash + Eq> Table<K> {
    /// Gives `act` the entry of a key, where it stands, and whether it is new: then its stream is `next`.
    #[inline(always)]
    fn enter<R>(&mut self, key: K, next: u32, act: impl FnOnce(&mut Entry, usize, bool) -> R) -> R {
        let mix = key.mix();
        let latest = self.latest.get(mix).copied().unwrap_or_default();
        let latest = usize::try_from(latest).unwrap_or(usize::MAX);
        let known = self.entries.get_index(latest);
        let (at, is_new) = match known.is_some_and(|(known, _)| *known == key) {
            true => (latest, false),
            false => self.search(key, mix, next),
        };
        let mut unknown = Entry::new(next);
        let entry = self.entries.get_index_mut(at);
        let entry = entry.map_or(&mut unknown, |(_, entry)| entry);
        act(entry, at, is_new)
    }

    /// Where the entry of a key stands, which is made if need be, and whether it was.
    #[inline(never)]
    fn search(&mut self, key: K, mix: usize, next: u32) -> (usize, bool) {
        let (at, is_new) = match self.entries.entry(key) {
            MapEntry::Occupied(found) => (found.index(), false),
            MapEntry::Vacant(place) => {
                let at = place.index();
                place.insert(Entry::new(next));
                (at, true)
            }
        };
        if let (Some(latest), Ok(at)) = (self.latest.get_mut(mix), u32::try_from(at)) {
            *latest = at;
        }
        (at, is_new)
    }

    /// Moves the hand on by a few entries, and forgets those that can be forgotten.
    fn sweep(
        &mut self,
        attachments: &mut Attachments,
        index_of: fn(usize) -> EntryIndex,
        moved: &mut impl FnMut(u32, EntryIndex),
    ) {
        for _ in 0..LOOKED_AT {
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            let Some(last) = self.entries.len().checked_sub(1) else {
                return;
            };
            let index = index_of(self.hand);
            if attachments.is_forgettable(index) {
                self.entries.swap_remove_index(self.hand);
                if let Some(slot) = attachments.forget(index, index_of(last)) {
                    moved(slot, index);
                }
            }
            self.hand += 1;
        }
    }
}

impl Entry {
    /// Of a stream of which nothing is known.
    fn new(stream: u32) -> Entry {
        Entry {
            stream,
            base: [Seq(0); 2],
            known: [false; 2],
        }
    }

    #[inline]
    fn reopen(&mut self, sender: usize, (seq, flags): (Seq, TcpFlags), next: u32) -> Opened {
        if self.base_of(sender).is_none_or(|base| base == seq) {
            return Opened::No;
        }
        if flags.is_pure_syn() {
            *self = Entry::new(next);
            return Opened::Reused;
        }
        if flags.is_syn_ack() {
            self.set_base(sender, seq);
            return Opened::SynAckChanged;
        }
        Opened::No
    }

    /// Wireshark sets the sender's base at its first packet, and the peer's from the first acknowledgement.
    #[inline]
    fn learn_base(&mut self, sender: usize, segment: &TcpSegment<'_>) {
        if self.base_of(sender).is_none() {
            let before = if segment.flags.has(TcpFlags::SYN) {
                0
            } else {
                u32::MAX
            };
            self.set_base(sender, segment.seq.advance(before));
        }
        let peer = 1 - sender;
        if segment.flags.has(TcpFlags::ACK) && self.base_of(peer).is_none() {
            self.set_base(peer, segment.ack.advance(u32::MAX));
        }
    }

    #[inline]
    fn base_of(&self, end: usize) -> Option<Seq> {
        let known = self.known.get(end).copied().unwrap_or_default();
        self.base.get(end).copied().filter(|_| known)
    }

    fn set_base(&mut self, end: usize, seq: Seq) {
        if let (Some(base), Some(known)) = (self.base.get_mut(end), self.known.get_mut(end)) {
            (*base, *known) = (seq, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use wirewhy_packet::TcpOptions;

    use super::*;

    const CLIENT: (IpAddr, u16) = (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)), 1111);
    const SERVER: (IpAddr, u16) = (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 80);
    const UP: Pair = Pair {
        source: CLIENT,
        destination: SERVER,
    };
    const DOWN: Pair = Pair {
        source: SERVER,
        destination: CLIENT,
    };

    fn segment(flags: TcpFlags, seq: u32, ack: u32) -> TcpSegment<'static> {
        TcpSegment {
            source_port: 0,
            destination_port: 0,
            seq: Seq(seq),
            ack: Seq(ack),
            flags,
            window: 1000,
            header_len: 20,
            options: TcpOptions::default(),
            payload: &[],
            payload_len: 0,
            checksum: wirewhy_packet::Checksum::Unknown,
        }
    }

    fn header(flags: TcpFlags, seq: u32) -> TcpHeader {
        TcpHeader::from(&segment(flags, seq, 0))
    }

    #[test]
    fn both_directions_are_one_stream_and_a_repeated_syn_opens_none() {
        let mut streams = StreamTable::new();
        assert_eq!(
            streams.locate(&UP, &segment(TcpFlags::SYN, 100, 0)).opened,
            Opened::First
        );
        assert_eq!(
            streams.locate(&UP, &segment(TcpFlags::SYN, 100, 0)).opened,
            Opened::No
        );
        let answer = streams.locate(&DOWN, &segment(TcpFlags::SYN.with(TcpFlags::ACK), 500, 101));
        assert_eq!((answer.stream, answer.opened), (0, Opened::No));
        assert_eq!(streams.count(), 1);
    }

    #[test]
    fn a_syn_with_another_number_opens_the_next_stream_and_drops_what_was_attached() {
        let (mut streams, mut attachments) = (StreamTable::new(), Attachments::default());
        let first = streams.locate(&UP, &segment(TcpFlags::SYN, 100, 0));
        attachments.meet(&first);
        attachments.attach(first.index, 7);
        let found = streams.find(&DOWN).unwrap();
        assert_eq!(attachments.get(found.index), Some(7));
        let again = streams.locate(&UP, &segment(TcpFlags::SYN, 200, 0));
        assert_eq!(
            again,
            Located {
                stream: 1,
                opened: Opened::Reused,
                source_is_low: false,
                index: EntryIndex::v4(0),
            }
        );
        let bases = Bases {
            sender: Some(Seq(200)),
            receiver: None,
        };
        assert_eq!(streams.bases(&again), bases);
        let met = attachments.meet(&again);
        assert_eq!((met.attached, met.replaced), (None, Some(7)));
        assert!(!met.leaves_nothing());
        assert_eq!(attachments.get(again.index), None);
        assert_eq!(streams.find(&UP).map(|found| found.stream), Some(1));
    }

    #[test]
    fn a_refusal_fixes_the_servers_base_so_a_real_syn_ack_counts_as_changed() {
        let mut streams = StreamTable::new();
        streams.locate(&UP, &segment(TcpFlags::SYN, 100, 0));
        streams.locate(&DOWN, &segment(TcpFlags::RST.with(TcpFlags::ACK), 0, 101));
        let late = streams.locate(&DOWN, &segment(TcpFlags::SYN.with(TcpFlags::ACK), 500, 101));
        assert_eq!((late.stream, late.opened), (0, Opened::SynAckChanged));
    }

    #[test]
    fn a_quoted_header_takes_a_number_but_teaches_no_base() {
        let mut streams = StreamTable::new();
        let quoted = streams.locate_quoted(&UP, &header(TcpFlags::SYN, 100));
        let base = streams.bases(&quoted).sender;
        assert_eq!((quoted.opened, base), (Opened::First, None));
        let syn = streams.locate(&UP, &segment(TcpFlags::SYN, 900, 0));
        assert_eq!((syn.stream, syn.opened), (0, Opened::No));
        let other = streams.locate_quoted(&UP, &header(TcpFlags::SYN, 901));
        assert_eq!((other.stream, other.opened), (1, Opened::Reused));
    }

    #[test]
    fn bases_are_told_from_the_senders_side() {
        let mut streams = StreamTable::new();
        streams.locate(&UP, &segment(TcpFlags::ACK, 101, 501));
        let back = streams.locate(&DOWN, &segment(TcpFlags::ACK, 501, 101));
        let bases = streams.bases(&back);
        assert_eq!(bases.sender, Some(Seq(500)));
        assert_eq!(bases.receiver, Some(Seq(100)));
    }
}
