//! Conversations over UDP, in the same table as the connections over TCP: one bound, one clock, one order of eviction.
//!
//! Where no protocol is read over UDP, nothing is done for a datagram. Where one is, every pair of ends gets its number, as
//! Wireshark numbers `udp.stream`, and only the conversations that a protocol reads are followed.
//!
//! A connection over QUIC is found by its connection ids (RFC 9000 section 5.2) where its ends have changed, and where
//! several share their ends. An id is looked up only where it may be one.

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use wirewhy_packet::{Ip, Packet, UdpDatagram};
use wirewhy_protocol::{
    ConnectionId, DatagramProtocols, Datagrams, QuicConversation, QuicDestination, Role, Transport,
};

use super::{Bounds, Observed, Occupant, Over, Tracker};
use crate::attachments::RELEASED;
use crate::datagrams::LiveDatagrams;
use crate::expiry::Class;
use crate::stream_table::EntryIndex;
use crate::{Connection, Ended, Endpoint, Mark, Pair, Roles, Side};

/// The connection ids of the connections over QUIC that are followed.
#[derive(Debug, Default)]
pub(super) struct QuicIds {
    /// The slot of each.
    slots: IndexMap<ConnectionId, u32, RandomState>,
    /// How many of each length there are: a short header does not say how long its id is.
    lengths: [u32; ConnectionId::MAX + 1],
    /// How many connections there have been.
    connections: u32,
}

/// Shorter ids are no proof that a packet is of a connection.
const SHORTEST_ID: usize = 4;

impl QuicIds {
    /// Takes in the ids of a connection that are not known yet, and gives a new connection its number.
    fn take(&mut self, tracked: &mut LiveDatagrams, slot: u32) {
        if tracked.known_ids == 0
            && let Some(quic) = tracked.quic_mut()
        {
            quic.number(self.connections);
            self.connections = self.connections.saturating_add(1);
        }
        for &(_, id) in tracked.new_ids() {
            self.add(id, slot);
        }
    }

    fn add(&mut self, id: ConnectionId, slot: u32) {
        if id.len() < SHORTEST_ID {
            return;
        }
        if self.slots.insert(id, slot).is_none()
            && let Some(count) = self.lengths.get_mut(id.len())
        {
            *count += 1;
        }
    }

    fn remove(&mut self, id: &ConnectionId, slot: u32) {
        if self.slots.get(id) == Some(&slot) {
            self.slots.swap_remove(id);
            if let Some(count) = self.lengths.get_mut(id.len()) {
                *count = count.saturating_sub(1);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The slot of the connection that a datagram is for, by the id in it.
    fn find(&self, datagram: &[u8]) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        match QuicDestination::of(datagram)? {
            QuicDestination::Long(id) => self.slots.get(&ConnectionId::new(id)?).copied(),
            QuicDestination::Short(rest) => {
                let lengths = self.lengths.iter().enumerate().rev();
                lengths
                    .filter(|&(_, count)| *count > 0)
                    .filter_map(|(length, _)| ConnectionId::new(rest.get(..length)?))
                    .find_map(|id| self.slots.get(&id).copied())
            }
        }
    }
}

impl Tracker {
    /// A tracker that has seen nothing, and that reads these protocols over UDP.
    #[must_use]
    pub fn with_datagram_protocols(bounds: Bounds, protocols: DatagramProtocols) -> Tracker {
        Tracker {
            datagram_protocols: Some(protocols).filter(|protocols| !protocols.is_empty()),
            ..Tracker::new(bounds)
        }
    }

    /// Takes in a datagram. Returns what became of it if its conversation is followed.
    #[inline]
    pub(super) fn observe_datagram(
        &mut self,
        packet: &Packet<'_>,
        ip: &Ip,
        udp: &UdpDatagram<'_>,
        sink: &mut impl FnMut(Over),
    ) -> Option<Observed> {
        let protocols = self.datagram_protocols?;
        let pair = pair_of(ip, udp);
        let located = self.datagram_streams.locate_datagram(&pair);
        let attached = self.datagram_attachments.get(located.index);
        if located.is_new {
            let attachments = &mut self.datagram_attachments;
            self.datagram_streams
                .forget_beyond(self.bounds.max_streams, attachments, |_, _| {});
        }
        let attached = attached.filter(|slot| *slot != RELEASED && !located.is_new);
        if attached.is_none() && self.quic_ids.is_empty() && !protocols.may_read(udp.payload) {
            return None;
        }
        self.follow_datagram(packet, (ip, udp), &pair, (located.stream, attached), sink)
    }

    #[inline(never)]
    fn follow_datagram(
        &mut self,
        packet: &Packet<'_>,
        (ip, udp): (&Ip, &UdpDatagram<'_>),
        pair: &Pair,
        (stream, attached): (u32, Option<u32>),
        sink: &mut impl FnMut(Over),
    ) -> Option<Observed> {
        let protocols = self.datagram_protocols?;
        let slot = match attached {
            Some(slot) => self.among_those_of(slot, pair, udp.payload),
            None => self.moved_to(pair, udp.payload),
        };
        let slot = match slot {
            Some(slot) => slot,
            None => {
                let sender = protocols.sender(udp.payload)?;
                self.open_datagrams(stream, *pair, sender, packet, sink)
            }
        };
        let place = usize::try_from(slot)
            .ok()
            .and_then(|at| self.slots.get_mut(at));
        let Some(Occupant::Datagrams(tracked)) = place.map(|place| &mut place.occupant) else {
            return None;
        };
        tracked.observe(pair, packet, ip, udp, &mut self.context);
        self.quic_ids.take(tracked, slot);
        let stream = tracked.connection.stream;
        if tracked.has_grown() {
            self.account(slot);
        }
        self.touch(slot);
        Some(Observed {
            transport: Transport::Udp,
            stream,
            is_copy: false,
        })
    }

    /// Gives a datagram its stream number and nothing else.
    pub(super) fn skip_datagram(&mut self, ip: &Ip, udp: &UdpDatagram<'_>) {
        if self.datagram_protocols.is_some() {
            self.datagram_streams.locate_datagram(&pair_of(ip, udp));
        }
    }

    /// Which of the conversations between the same ends a datagram is of; `slot` has the latest. `None` where it begins
    /// another.
    fn among_those_of(&self, slot: u32, pair: &Pair, payload: &[u8]) -> Option<u32> {
        let Some((tracked, quic)) = self.quic_in(slot) else {
            return Some(slot);
        };
        if quic.sender(payload).is_some() {
            return Some(slot);
        }
        if let Some(found) = self.quic_ids.find(payload)
            && self
                .quic_in(found)
                .is_some_and(|(tracked, _)| tracked.is_between(pair))
        {
            return Some(found);
        }
        let begins_other =
            tracked.sender(pair) == Side::Client && quic.is_beginning_of_other(payload);
        (!begins_other).then_some(slot)
    }

    /// The slot of a connection of which one end has moved to one of these.
    fn moved_to(&mut self, pair: &Pair, payload: &[u8]) -> Option<u32> {
        let slot = self.quic_ids.find(payload)?;
        let place = usize::try_from(slot)
            .ok()
            .and_then(|at| self.slots.get_mut(at));
        let Some(Occupant::Datagrams(tracked)) = place.map(|place| &mut place.occupant) else {
            return None;
        };
        // What begins a connection elsewhere is a copy of it, as of a hello that a client sends to two addresses.
        if !tracked.shares_end(pair) || QuicConversation::begins(payload) {
            return None;
        }
        if tracked.add_pair(*pair) {
            self.attach_datagrams(pair, slot);
        }
        Some(slot)
    }

    fn quic_in(&self, slot: u32) -> Option<(&LiveDatagrams, &QuicConversation)> {
        match &self.slots.get(usize::try_from(slot).ok()?)?.occupant {
            Occupant::Datagrams(tracked) => tracked.quic().map(|quic| (&**tracked, quic)),
            _ => None,
        }
    }

    fn attach_datagrams(&mut self, pair: &Pair, slot: u32) {
        if let Some(found) = self.datagram_streams.find(pair) {
            self.datagram_attachments.attach(found.index, slot);
        }
    }

    /// Makes room for a conversation whose first datagram `sender` sends. Returns its slot.
    fn open_datagrams(
        &mut self,
        stream: u32,
        pair: Pair,
        sender: Role,
        packet: &Packet<'_>,
        sink: &mut impl FnMut(Over),
    ) -> u32 {
        self.make_room(sink);
        let mark = Mark {
            frame: packet.frame,
            time: packet.time,
        };
        let (client, server, from) = match sender {
            Role::Client => (pair.source, pair.destination, Side::Client),
            Role::Server => (pair.destination, pair.source, Side::Server),
        };
        let mut connection = Box::new(Connection::new(
            Transport::Udp,
            stream,
            [client, server].map(|(address, port)| Endpoint::new(address, port)),
            Roles::Datagram,
            mark,
        ));
        connection.client.mac = packet.link.source.filter(|_| from == Side::Client);
        // An answer without its question may follow one that is among the missing.
        connection.interrupted = self.interrupted && from == Side::Server;
        let datagrams = Datagrams::of(self.datagram_protocols.unwrap_or_default());
        connection.looked_up = self.looked_up(&connection);
        let tracked = LiveDatagrams::new(connection, datagrams);
        let handle = self.place(Occupant::Datagrams(Box::new(tracked)), EntryIndex::NONE);
        let due = packet.time.after(self.bounds.datagrams_quiet);
        self.expiry.enter(Class::Datagrams, due, handle);
        self.attach_datagrams(&pair, handle.slot);
        handle.slot
    }

    /// Forgets the ends and the connection ids of a conversation that leaves a slot.
    pub(super) fn forget_datagrams(&mut self, tracked: &LiveDatagrams, slot: u32) {
        for pair in tracked.pairs() {
            if let Some(found) = self.datagram_streams.find(pair) {
                self.datagram_attachments.release(found.index, slot);
            }
        }
        for (_, id) in tracked.quic().map_or(&[][..], QuicConversation::ids) {
            self.quic_ids.remove(id, slot);
        }
    }

    /// The facts of a conversation, with what the rest of the capture shows about its hosts.
    pub(super) fn hand_over_datagrams(
        &self,
        mut connection: Box<Connection>,
        ended: Ended,
    ) -> Box<Connection> {
        connection.ended = ended;
        connection.observed_until = self.observed_until(connection.last.time);
        connection.host_context = self.around(&connection);
        connection
    }
}

fn pair_of(ip: &Ip, udp: &UdpDatagram<'_>) -> Pair {
    Pair {
        source: (ip.source, udp.source_port),
        destination: (ip.destination, udp.destination_port),
    }
}
