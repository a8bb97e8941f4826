//! All connections being followed.

mod alone;
mod at_rest;
mod beginning;
mod brief;
mod collision;
mod counts;
mod datagrams;
mod healthy;
mod icmp;
mod interruption;
mod lookups;
mod memory;
mod retire;
mod spare;
mod unopened;
mod watch;

use wirewhy_packet::{Interval, Ip, Packet, Timestamp, Transport};
use wirewhy_protocol::{CaptureContext, DatagramProtocols};

use self::alone::{LoneSegment, LoneSegments};
use self::at_rest::AtRest;
use self::brief::{Kept, Unbrief};
pub use self::counts::{Sample, TrackerCounts};
use self::datagrams::QuicIds;
pub use self::healthy::Healthy;
use self::lookups::ends_of;
use self::memory::Accounts;
use self::retire::{class_of, quiet_of};
use self::spare::Spare;
pub use self::spare::Spent;
pub use self::unopened::{Over, Unopened};
use self::watch::Watch;
use crate::arrival::{Arrival, PackedArrival, Whole};
use crate::attachments::{Attachments, Met, RELEASED};
use crate::datagrams::LiveDatagrams;
use crate::expiry::{Class, Expiry, Handle};
use crate::host_context::Hosts;
use crate::observe::{Recorded, Tracked};
use crate::segment::Segment;
use crate::stream_table::EntryIndex;
use crate::{Connection, Ended, HostContext, Located, Lookups, Opened, Pair, StreamTable};

/// How much a tracker holds, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Connections followed at once; beyond it the one that has been over, or open, longest is given up.
    pub max_connections: usize,
    /// Bytes of memory in connections followed at once; beyond it what waits to be read of their payload is given up, then
    /// connections as above.
    pub max_memory: usize,
    /// How long a connection that closed is followed on, for late segments and the resets that answer them: round trips,
    /// not timers.
    pub closed_quiet: Interval,
    /// How long a connection that was reset is followed on: a side that did not get the reset, or must ignore it, sends
    /// again with back-off (Linux doubles up to 120 s).
    pub reset_quiet: Interval,
    /// How long an attempt to open is followed on: the longest pause between two SYNs of Linux is 64 s.
    pub unopened_quiet: Interval,
    /// How long a conversation over UDP is followed on after its latest datagram: for as long as a NAT keeps its mapping at
    /// least (RFC 4787 section 4.3, REQ-5).
    pub datagrams_quiet: Interval,
    /// Pairs of addresses and ports remembered, for each version of IP, so that a late packet finds its stream; beyond it
    /// those whose connections are over are forgotten, the longest over first as far as that costs nothing. The numbers
    /// of streams are Wireshark's only while none is forgotten.
    pub max_streams: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            max_connections: 4_000_000,
            max_memory: 1 << 30,
            closed_quiet: Interval::from_secs(2),
            reset_quiet: Interval::from_secs(15),
            unopened_quiet: Interval::from_secs(70),
            datagrams_quiet: Interval::from_secs(120),
            max_streams: usize::MAX,
        }
    }
}

/// What became of one packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Observed {
    /// What carries the stream.
    pub transport: wirewhy_protocol::Transport,
    /// The stream it belongs to.
    pub stream: u32,
    /// Whether it is a copy of a frame recorded before.
    pub is_copy: bool,
}

/// Follows every connection of a capture. Packets go in one after another; a connection comes out once, when it is over,
/// given up, or at [`Tracker::finish`].
#[derive(Debug)]
pub struct Tracker {
    bounds: Bounds,
    streams: StreamTable,
    attachments: Attachments,
    /// The same of conversations over UDP.
    datagram_streams: StreamTable,
    datagram_attachments: Attachments,
    /// What is read over UDP, if anything is.
    datagram_protocols: Option<DatagramProtocols>,
    /// The connection ids of connections over QUIC.
    quic_ids: QuicIds,
    slots: Vec<Slot>,
    free: Vec<u32>,
    expiry: Expiry,
    hosts: Hosts,
    now: Timestamp,
    tally: TrackerCounts,
    context: CaptureContext,
    lookups: Lookups,
    /// The segments with nothing behind them.
    alone: LoneSegments,
    /// What connections that are over were kept in, for the next ones.
    spare: Spare,
    watch: Option<Box<Watch>>,
    /// Whether nothing is kept in brief.
    follows_all: bool,
    /// Whether SYNs only are kept alone.
    #[cfg(test)]
    begins_strays: bool,
    unbrief: Unbrief,
    accounts: Accounts,
    /// Whether the recording has had a gap.
    interrupted: bool,
    /// The latest time before each pause of the recording; of the first ones.
    pauses: Vec<Timestamp>,
}

/// The connections that are still followed at the end of a capture.
#[derive(Debug)]
pub struct Left(std::vec::IntoIter<(wirewhy_protocol::Transport, u32, u32)>);

#[derive(Debug)]
struct Slot {
    generation: u32,
    /// The entry of its pair of ends, if it is a connection over TCP.
    entry: EntryIndex,
    occupant: Occupant,
}

#[derive(Debug)]
enum Occupant {
    None,
    /// One segment without payload and nothing else, by its place among [`LoneSegments`].
    Alone(u32),
    /// A connection that shows no trouble.
    Brief(Box<Kept>),
    /// The same, idle.
    AtRest(Box<AtRest>),
    Connection(Tracked),
    /// In a place of its own: there are few, and the slot of a SYN is small.
    Datagrams(Box<LiveDatagrams>),
}

/// What the tracker compares of a connection before and after a segment.
#[derive(Clone, Copy, Debug)]
struct Before {
    class: Class,
    is_open: bool,
    resent: u32,
}

impl Tracker {
    /// A tracker that has seen nothing.
    #[must_use]
    pub fn new(bounds: Bounds) -> Tracker {
        Tracker {
            bounds,
            streams: StreamTable::new(),
            attachments: Attachments::default(),
            datagram_streams: StreamTable::new(),
            datagram_attachments: Attachments::default(),
            datagram_protocols: Some(DatagramProtocols::default())
                .filter(|protocols| !protocols.is_empty()),
            quic_ids: QuicIds::default(),
            slots: Vec::new(),
            free: Vec::new(),
            expiry: Expiry::default(),
            hosts: Hosts::default(),
            now: Timestamp(i64::MIN),
            tally: TrackerCounts::default(),
            context: CaptureContext::default(),
            lookups: Lookups::default(),
            alone: LoneSegments::default(),
            spare: Spare::default(),
            watch: None,
            follows_all: false,
            #[cfg(test)]
            begins_strays: false,
            unbrief: Unbrief::default(),
            accounts: Accounts::default(),
            interrupted: false,
            pauses: Vec::new(),
        }
    }

    /// What the connections share, the secrets to decrypt with among it.
    pub fn context_mut(&mut self) -> &mut CaptureContext {
        &mut self.context
    }

    /// What the connections share.
    #[must_use]
    pub fn context(&self) -> &CaptureContext {
        &self.context
    }

    /// What was counted so far.
    #[must_use]
    pub fn tally(&self) -> &TrackerCounts {
        &self.tally
    }

    /// How many connections are being followed.
    #[must_use]
    pub fn following(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// How many pairs of addresses and ports are remembered.
    #[must_use]
    pub fn remembered_streams(&self) -> usize {
        self.streams.remembered() + self.datagram_streams.remembered()
    }

    /// Takes in one packet; hands connections that are over to `sink`. Returns what became of it if it was TCP, or of a
    /// conversation over UDP that is followed.
    pub fn observe(
        &mut self,
        packet: &Packet<'_>,
        sink: &mut impl FnMut(Box<Connection>),
    ) -> Option<Observed> {
        self.observe_briefly(packet, &mut |over| sink(over.into_connection()))
    }

    /// The same for those that need not know all of every connection.
    pub fn observe_briefly(
        &mut self,
        packet: &Packet<'_>,
        sink: &mut impl FnMut(Over),
    ) -> Option<Observed> {
        self.pass_time(packet.time, sink);
        let ip = packet.ip.as_ref()?;
        let Transport::Tcp(tcp) = &packet.transport else {
            let located = self.streams.number(packet);
            return self.observe_other(packet, ip, located.as_ref(), sink);
        };
        let pair = Pair::of(ip, tcp);
        let located = self.streams.locate(&pair, tcp);
        let whole = Whole { packet, ip, tcp };
        Some(self.observe_arrival(&whole, (&pair, &located), tcp.payload, sink))
    }

    /// The same of a packet that [`StreamTable::number`] has located, by the table that [`Tracker::take_streams`] gave.
    #[inline]
    pub fn observe_numbered(
        &mut self,
        packet: &Packet<'_>,
        located: Option<&Located>,
        sink: &mut impl FnMut(Over),
    ) -> Option<Observed> {
        self.pass_time(packet.time, sink);
        let ip = packet.ip.as_ref()?;
        let Transport::Tcp(tcp) = &packet.transport else {
            return self.observe_other(packet, ip, located, sink);
        };
        let whole = Whole { packet, ip, tcp };
        let located = (&Pair::of(ip, tcp), located?);
        Some(self.observe_arrival(&whole, located, tcp.payload, sink))
    }

    /// Takes in what is no segment.
    fn observe_other(
        &mut self,
        packet: &Packet<'_>,
        ip: &Ip,
        located: Option<&Located>,
        sink: &mut impl FnMut(Over),
    ) -> Option<Observed> {
        match &packet.transport {
            Transport::Udp(udp) => {
                self.lookups.observe(packet, ip, udp, self.now);
                return self.observe_datagram(packet, ip, udp, sink);
            }
            Transport::Fragment(piece) => self.lookups.observe_fragment(packet, ip, piece),
            Transport::IcmpError(error) => {
                self.lookups.observe_icmp(packet, ip.source, error);
                self.observe_icmp(packet, ip.source, error, located);
            }
            _ => {}
        }
        None
    }

    /// Takes in a segment in the form in which one thread gives it to another. Returns what became of it.
    #[inline]
    pub fn observe_packed(
        &mut self,
        arrival: &PackedArrival,
        payload: &[u8],
        sink: &mut impl FnMut(Over),
    ) -> Observed {
        self.pass_time(arrival.time(), sink);
        let located = (arrival.pair(), arrival.located());
        self.observe_arrival(arrival, located, payload, sink)
    }

    /// Gives a packet its stream number and nothing else: for packets a filter leaves out.
    pub fn skip(&mut self, packet: &Packet<'_>) {
        let located = self.streams.number(packet);
        self.skip_numbered(packet, located.as_ref());
    }

    /// The same of a packet that was located.
    pub fn skip_numbered(&mut self, packet: &Packet<'_>, located: Option<&Located>) {
        if let Some(located) = located {
            self.attachments.meet(located);
        }
        match (&packet.transport, &packet.ip) {
            (Transport::Udp(udp), Some(ip)) => self.skip_datagram(ip, udp),
            (Transport::IcmpError(error), Some(_)) => self.skip_icmp(error),
            _ => {}
        }
    }

    /// Takes the table away that numbers the streams, for who numbers all packets from now on before they are observed here.
    #[must_use]
    pub fn take_streams(&mut self) -> StreamTable {
        std::mem::take(&mut self.streams)
    }

    /// Gives it back.
    pub fn give_streams(&mut self, streams: StreamTable) {
        self.streams = streams;
    }

    /// A packet came at this time.
    #[inline]
    fn pass_time(&mut self, time: Timestamp, sink: &mut impl FnMut(Over)) {
        self.note_pause(time);
        self.step(time);
        self.expire(sink);
    }

    /// Takes in a segment.
    #[inline(always)]
    fn observe_arrival(
        &mut self,
        arrival: &impl Arrival,
        (pair, located): (&Pair, &Located),
        payload: &[u8],
        sink: &mut impl FnMut(Over),
    ) -> Observed {
        self.tally.tcp_packets += 1;
        let met = self.attachments.meet(located);
        let observed = Observed {
            transport: wirewhy_protocol::Transport::Tcp,
            stream: located.stream,
            is_copy: false,
        };
        if arrival.is_bare_syn()
            && met.leaves_nothing()
            && let Some(syn) = arrival.packed()
            && self.open_with_syn(syn, pair, located, sink)
        {
            return observed;
        }
        if let Some(slot) = met.attached.filter(|slot| *slot != RELEASED)
            && self.keep_in_brief(slot, located.source_is_low, arrival, payload)
        {
            if self.watch.is_some() {
                self.touch(slot);
            }
            return observed;
        }
        let segment = arrival.segment();
        self.tally.resets += u64::from(segment.is_rst());
        self.observe_segment(pair, (located, met), &segment, payload, sink)
    }

    /// Takes back connections that were handed over and are not needed any more, so that the next ones take their place.
    pub fn take_back(&mut self, spent: impl Iterator<Item = Spent>) {
        spent.for_each(|spent| self.spare.keep(spent));
    }

    /// Hands over every connection still followed, by stream number, those over TCP first.
    pub fn finish(&mut self, sink: &mut impl FnMut(Box<Connection>)) {
        let mut left = self.end();
        while let Some(over) = self.next_left(&mut left) {
            sink(over.into_connection());
        }
    }

    /// No packet follows: the connections still followed, for [`Tracker::next_left`], by stream number, those over TCP first.
    pub fn end(&mut self) -> Left {
        use wirewhy_protocol::Transport::{Tcp, Udp};
        self.lookups.finish(self.now);
        let mut left = Vec::with_capacity(self.following());
        for (slot, place) in (0u32..).zip(&self.slots) {
            match &place.occupant {
                Occupant::None => {}
                Occupant::Alone(at) => {
                    let lone = self.alone.what(*at);
                    left.extend(lone.map(|lone| (Tcp, lone.stream, slot)));
                }
                Occupant::Brief(kept) => left.push((Tcp, kept.syn.stream, slot)),
                Occupant::AtRest(rest) => left.push((Tcp, rest.stream, slot)),
                Occupant::Connection(tracked) => left.push((Tcp, tracked.connection.stream, slot)),
                Occupant::Datagrams(tracked) => left.push((Udp, tracked.connection.stream, slot)),
            }
        }
        left.sort_unstable();
        Left(left.into_iter())
    }

    /// Hands over the next of the connections still followed.
    pub fn next_left(&mut self, left: &mut Left) -> Option<Over> {
        let slots = left.0.by_ref();
        slots
            .map(|(_, _, slot)| slot)
            .find_map(|slot| self.vacate(slot, Ended::EndOfCapture))
    }

    /// Time runs forward; a step back of an hour or more is believed, so that one frame with a time far ahead does not make
    /// everything after it look old.
    #[inline]
    fn step(&mut self, time: Timestamp) {
        if time > self.now {
            self.now = time;
        } else if self.now.since(time) > Expiry::FARTHEST {
            self.now = time;
            self.expiry.unsettle();
        }
    }

    fn observe_segment(
        &mut self,
        pair: &Pair,
        (located, met): (&Located, Met),
        segment: &Segment,
        payload: &[u8],
        sink: &mut impl FnMut(Over),
    ) -> Observed {
        let stream = located.stream;
        let mut collision = None;
        if let Some(slot) = met.replaced.filter(|slot| *slot != RELEASED) {
            collision = self.collide(slot, pair, segment, stream);
            self.release(slot, Ended::Reused, sink);
        }
        let is_copy = match met.attached {
            Some(RELEASED) if segment.payload_len == 0 && !segment.is_syn() => {
                self.tally.late_packets += 1;
                if segment.is_rst() {
                    self.tally.late_resets.add(segment.frame);
                }
                false
            }
            Some(slot) if slot != RELEASED => {
                self.observe_in(slot, located.source_is_low, segment, payload)
            }
            _ => {
                let reused = located.opened == Opened::Reused;
                let earlier = reused.then(|| stream.wrapping_sub(1));
                let lone = LoneSegment {
                    stream,
                    earlier_stream: earlier,
                    pair: *pair,
                    opener: self.first_roles(pair, segment),
                    segment: *segment,
                    interrupted: self.interrupted && !segment.flags.is_pure_syn(),
                };
                self.open(lone, located, collision, payload, sink);
                false
            }
        };
        Observed {
            transport: wirewhy_protocol::Transport::Tcp,
            stream,
            is_copy,
        }
    }

    /// Makes room for one more.
    #[inline]
    fn make_room(&mut self, sink: &mut impl FnMut(Over)) {
        if self.following() >= self.bounds.max_connections || self.is_over_memory() {
            self.give_up_one(sink);
        }
        self.tidy();
    }

    fn place(&mut self, occupant: Occupant, entry: EntryIndex) -> Handle {
        if let Some(slot) = self.free.pop()
            && let Some(place) = usize::try_from(slot)
                .ok()
                .and_then(|at| self.slots.get_mut(at))
        {
            place.occupant = occupant;
            place.entry = entry;
            return Handle {
                slot,
                generation: place.generation,
            };
        }
        let slot = u32::try_from(self.slots.len()).unwrap_or(RELEASED);
        self.slots.push(Slot {
            generation: 0,
            entry,
            occupant,
        });
        Handle {
            slot,
            generation: 0,
        }
    }

    fn occupant(&mut self, slot: u32) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(slot).ok()?)
    }

    /// What is known by now of the hosts of a connection.
    fn around(&self, connection: &Connection) -> HostContext {
        let (client, server) = (&connection.client, &connection.server);
        let then = connection.host_context;
        let mut now = self.hosts.around(server.address);
        now.earlier_stream = then.earlier_stream;
        if !server.was_seen() {
            let service = (server.address, server.port);
            now.accepted = self
                .hosts
                .accepted_before(client.address, service, connection.first);
            // What was accepted before this connection began, with all that is known by now of that clock.
            match (&mut now.accepted, then.accepted) {
                (Some(now), Some(then)) => (now.value, now.mark) = (then.value, then.mark),
                (now @ None, then) => *now = then,
                (Some(_), None) => {}
            }
        }
        now
    }

    fn observe_in(
        &mut self,
        slot: u32,
        source_is_low: bool,
        segment: &Segment,
        payload: &[u8],
    ) -> bool {
        if segment.is_rst() && self.keep_refusal(slot, source_is_low, segment) {
            return false;
        }
        let Some((tracked, context)) = self.promote(slot) else {
            return false;
        };
        let from = tracked.sender(source_is_low);
        let before = Before {
            class: if tracked.is_undisturbed() {
                Class::Open
            } else {
                class_of(tracked)
            },
            is_open: tracked.connection.tcp.handshake.ack.is_some(),
            resent: tracked.connection.resent(),
        };
        let recorded = tracked.observe(from, segment, payload, context);
        let names = context
            .has_dns()
            .then(|| (ends_of(&tracked.connection), context.take_dns()));
        if !recorded.is_expected {
            self.note_changes(slot, segment, before, recorded);
        }
        if let Some((ends, messages)) = names {
            self.note_messages(ends, segment.ttl, &messages);
        }
        self.note(recorded, segment.frame);
        self.touch(slot);
        recorded.is_copy
    }

    /// What a segment changed for the tracker as a whole.
    fn note_changes(&mut self, slot: u32, segment: &Segment, before: Before, recorded: Recorded) {
        let Some(place) = self.occupant(slot) else {
            return;
        };
        let generation = place.generation;
        let Occupant::Connection(tracked) = &mut place.occupant else {
            return;
        };
        let has_grown = tracked.has_grown();
        let class = class_of(tracked);
        let connection = &tracked.connection;
        let resent = connection.resent().saturating_sub(before.resent);
        let opens = !before.is_open && connection.tcp.handshake.ack.is_some();
        let handshake = opens.then(|| connection.round_trip().handshake).flatten();
        let answered = connection.tcp.handshake.syn_ack == Some(segment.mark());
        if class != before.class {
            let due = segment.time.after(quiet_of(class, &self.bounds));
            self.expiry.enter(class, due, Handle { slot, generation });
        }
        if answered && !recorded.is_copy {
            self.learn_answer(slot, segment);
        }
        self.tally.retransmissions += u64::from(resent);
        if let Some((watch, took)) = self.watch.as_mut().zip(handshake) {
            watch.handshake(took);
        }
        if has_grown {
            self.account(slot);
        }
    }

    fn note(&mut self, recorded: Recorded, frame: u64) {
        if recorded.is_copy {
            self.tally.copies.add(frame);
        }
        if recorded.is_cut {
            self.tally.cut.add(frame);
        }
        if recorded.is_offloaded {
            self.tally.offloaded.add(frame);
        }
    }

    fn learn_answer(&mut self, slot: u32, segment: &Segment) {
        let Some(place) = usize::try_from(slot).ok().and_then(|at| self.slots.get(at)) else {
            return;
        };
        let Occupant::Connection(tracked) = &place.occupant else {
            return;
        };
        let connection = &tracked.connection;
        let (client, server) = (&connection.client, &connection.server);
        let round_trip = connection.round_trip().to_server;
        let service = (server.address, server.port);
        self.hosts.learn_answer(service, segment.ttl, round_trip);
        if let Some(value) = client.tcp.timestamp {
            self.hosts
                .learn_timestamp(client.address, service, value, connection.first);
        }
    }

    /// The facts of a connection as they stand, with what the rest of the capture tells.
    fn hand_over(&mut self, mut tracked: Tracked, ended: Ended) -> Box<Connection> {
        self.correct_roles(&mut tracked);
        let (mut connection, scratch) = tracked.finish();
        self.spare.keep_notes(scratch);
        connection.ended = ended;
        connection.observed_until = self.observed_until(connection.last.time);
        if connection.looked_up.is_none() {
            // It began with a packet of the server, or on the other side than it seemed.
            connection.looked_up = self.looked_up(&connection);
        }
        self.lookups.tie_to_failed(&mut connection);
        connection.host_context = self.around(&connection);
        connection
    }
}
