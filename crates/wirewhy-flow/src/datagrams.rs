//! One datagram into the state of its conversation over UDP.

use std::net::IpAddr;

use wirewhy_packet::{Ip, Packet, UdpDatagram};
use wirewhy_protocol::{
    AppFacts, CaptureContext, ConnectionId, Datagrams, Memory, QuicConversation, Role,
};

use crate::{Connection, Event, EventKind, Mark, Pair, Side};

/// A conversation over UDP being followed: the facts, and what reads the datagrams. Only what a protocol reads is followed.
#[derive(Clone, Debug)]
pub(crate) struct LiveDatagrams {
    pub(crate) connection: Box<Connection>,
    datagrams: Datagrams,
    /// The addresses and ports that it was seen between: over QUIC there may be several.
    pairs: Vec<Pair>,
    /// Where each side was seen last.
    ends: [(IpAddr, u16); 2],
    /// How many of its connection ids the tracker knows.
    pub(crate) known_ids: usize,
    memory: Memory,
    is_keeper: bool,
    /// Datagrams since it was weighed.
    unweighed: u8,
}

/// How many pairs of ends are remembered of a connection: a client that moves has a new one each time.
const MOST_PAIRS: usize = 16;

/// So many datagrams do not let a conversation grow much.
const WEIGHED_AFTER: u8 = 32;

impl LiveDatagrams {
    /// A conversation of which no datagram was taken in.
    pub(crate) fn new(connection: Box<Connection>, datagrams: Datagrams) -> LiveDatagrams {
        let ends = [&connection.client, &connection.server].map(|end| (end.address, end.port));
        let [source, destination] = ends;
        LiveDatagrams {
            connection,
            datagrams,
            pairs: vec![Pair {
                source,
                destination,
            }],
            ends,
            known_ids: 0,
            memory: Memory::default(),
            is_keeper: false,
            unweighed: WEIGHED_AFTER,
        }
    }

    /// The side that sends between these ends: by the server's end, which seldom changes, else by the client's.
    pub(crate) fn sender(&self, pair: &Pair) -> Side {
        let server = &self.connection.server;
        let server = (server.address, server.port);
        let [client, _] = self.ends;
        if pair.destination == server {
            Side::Client
        } else if pair.source == server || pair.source != client {
            Side::Server
        } else {
            Side::Client
        }
    }

    /// Whether one of these ends is an end of the conversation, as it is where only the other one moved.
    pub(crate) fn shares_end(&self, pair: &Pair) -> bool {
        let server = &self.connection.server;
        let server = (server.address, server.port);
        let [client, _] = self.ends;
        [pair.source, pair.destination]
            .into_iter()
            .any(|end| end == server || end == client)
    }

    /// Remembers that it was seen between these ends; false where there are too many.
    pub(crate) fn add_pair(&mut self, pair: Pair) -> bool {
        let room = self.pairs.len() < MOST_PAIRS;
        if room {
            self.pairs.push(pair);
        }
        room
    }

    /// Whether it was seen between these ends.
    pub(crate) fn is_between(&self, pair: &Pair) -> bool {
        let other_way = Pair {
            source: pair.destination,
            destination: pair.source,
        };
        self.pairs.contains(pair) || self.pairs.contains(&other_way)
    }

    /// The ends that it was seen between.
    pub(crate) fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// The connection over QUIC that it is.
    pub(crate) fn quic(&self) -> Option<&QuicConversation> {
        self.datagrams.quic()
    }

    /// The same, to be changed.
    pub(crate) fn quic_mut(&mut self) -> Option<&mut QuicConversation> {
        self.datagrams.quic_mut()
    }

    /// The connection ids that the tracker does not know yet, by who receives packets with them.
    pub(crate) fn new_ids(&mut self) -> &[(Role, ConnectionId)] {
        let known = self.known_ids;
        let ids = self.datagrams.quic().map_or(&[][..], QuicConversation::ids);
        self.known_ids = ids.len();
        ids.get(known..).unwrap_or_default()
    }

    /// Takes in one datagram that was sent between these ends.
    pub(crate) fn observe(
        &mut self,
        pair: &Pair,
        packet: &Packet<'_>,
        ip: &Ip,
        udp: &UdpDatagram<'_>,
        context: &mut CaptureContext,
    ) {
        let from = self.sender(pair);
        let mark = Mark {
            frame: packet.frame,
            time: packet.time,
        };
        self.note_ends(from, pair, mark);
        let connection = &mut self.connection;
        connection.last = mark;
        connection.note_outgoing(from, packet.link.outgoing);
        connection.zeek.observe_datagram(from, udp.payload_len > 0);
        let side = connection.side_mut(from);
        side.count_packet(packet.wire_len, udp.payload_len, ip.len_from_frame);
        side.note_header(ip.ttl, ip.id, packet.link.source);
        side.last = Some(mark);
        if udp.payload_len > 0 {
            let captured = u32::try_from(udp.payload.len()).unwrap_or(u32::MAX);
            side.count_payload(udp.payload_len, captured);
            side.first_payload.get_or_insert(mark);
            side.last_payload = Some(mark);
            side.last_payload_len = udp.payload_len;
        }
        if self.datagrams.wants() {
            let role = match from {
                Side::Client => Role::Client,
                Side::Server => Role::Server,
            };
            let (frame, time) = (packet.frame, packet.time);
            self.datagrams
                .observe(role, udp.payload, udp.payload_len, frame, time, context);
        }
        self.note_name();
    }

    /// Notes where the ends of a datagram have moved: over QUIC a connection goes on from other addresses and ports (RFC 9000
    /// section 9).
    fn note_ends(&mut self, from: Side, pair: &Pair, mark: Mark) {
        let (client, server) = match from {
            Side::Client => (pair.source, pair.destination),
            Side::Server => (pair.destination, pair.source),
        };
        let sides = [(Side::Client, client), (Side::Server, server)];
        for (end, (side, now)) in self.ends.iter_mut().zip(sides) {
            // Only the sender knows where it is: what goes to an older address may be late.
            if *end == now || side != from {
                continue;
            }
            let (address, port) = now;
            let only_port = end.0 == address;
            *end = now;
            self.connection.events.push(Event {
                frame: mark.frame,
                time: mark.time,
                from: side,
                kind: EventKind::Moved {
                    address,
                    port,
                    only_port,
                },
            });
        }
    }

    /// The server name of the hello, once there is one.
    fn note_name(&mut self) {
        if self.connection.server_name.is_none()
            && self.connection.client.counts.packets < 64
            && let Some(name) = self
                .datagrams
                .quic()
                .and_then(QuicConversation::server_name)
        {
            self.connection.server_name = Some(name.into());
        }
    }

    /// Whether more datagrams can change the application facts.
    pub(crate) fn listens(&self) -> bool {
        self.datagrams.wants()
    }

    /// Whether it may have grown since it was weighed.
    pub(crate) fn has_grown(&mut self) -> bool {
        self.unweighed = self.unweighed.saturating_add(1);
        self.unweighed > WEIGHED_AFTER || self.memory.unread > 0 || self.datagrams.kept() > 0
    }

    /// Finds out what it takes beside what every connection does. Returns what it was found to take before, and takes now.
    pub(crate) fn weigh(&mut self) -> (Memory, Memory) {
        self.unweighed = 0;
        let events = size_of_val(self.connection.events.as_slice());
        let pairs = self.pairs.capacity() * size_of::<Pair>();
        let recorded = self
            .quic()
            .map_or(0, |quic| quic.recorded() + events + pairs);
        let now = Memory {
            unread: self.datagrams.kept(),
            read: recorded,
        };
        (std::mem::replace(&mut self.memory, now), now)
    }

    /// What it was found to take last.
    pub(crate) fn memory(&self) -> Memory {
        self.memory
    }

    /// Whether it is known to keep payload that waits to be read.
    pub(crate) fn is_keeper(&self) -> bool {
        self.is_keeper
    }

    pub(crate) fn set_keeper(&mut self, is_keeper: bool) {
        self.is_keeper = is_keeper;
    }

    /// Frees what waits to be read.
    pub(crate) fn give_up_unread(&mut self) {
        self.datagrams.evict();
        self.is_keeper = false;
    }

    /// The conversation as it stands.
    pub(crate) fn snapshot(&self) -> Box<Connection> {
        with_app(self.connection.clone(), self.app())
    }

    /// The conversation is over.
    pub(crate) fn finish(self) -> Box<Connection> {
        let app = self.app();
        with_app(self.connection, app)
    }

    fn app(&self) -> Box<AppFacts> {
        Box::new(self.datagrams.facts())
    }
}

fn with_app(mut connection: Box<Connection>, app: Box<AppFacts>) -> Box<Connection> {
    if connection.server_name.is_none() {
        let named = app
            .dtls
            .as_deref()
            .and_then(|dtls| dtls.server_name.clone());
        connection.server_name = named;
    }
    connection.app = Some(app);
    connection
}
