//! One datagram into the state of its conversation over UDP.

use wirewhy_packet::{Ip, Packet, UdpDatagram};
use wirewhy_protocol::{AppFacts, CaptureContext, Datagrams, Role};

use crate::{Connection, Mark, Side};

/// A conversation over UDP being followed: the facts, and what reads the datagrams. Only what a protocol reads is followed.
#[derive(Clone, Debug)]
pub(crate) struct LiveDatagrams {
    pub(crate) connection: Box<Connection>,
    /// Whether the client is the lower end of the pair (see [`crate::Pair::source_is_low`]).
    client_is_low: bool,
    datagrams: Datagrams,
}

impl LiveDatagrams {
    /// A conversation of which no datagram was taken in.
    pub(crate) fn new(
        connection: Box<Connection>,
        datagrams: Datagrams,
        client_is_low: bool,
    ) -> LiveDatagrams {
        LiveDatagrams {
            connection,
            client_is_low,
            datagrams,
        }
    }

    /// The side that sends, where the source of a packet is the lower end of its pair (see [`crate::Pair::source_is_low`]).
    pub(crate) fn sender(&self, source_is_low: bool) -> Side {
        if source_is_low == self.client_is_low {
            Side::Client
        } else {
            Side::Server
        }
    }

    /// Takes in one datagram.
    pub(crate) fn observe(
        &mut self,
        from: Side,
        packet: &Packet<'_>,
        ip: &Ip,
        udp: &UdpDatagram<'_>,
        context: &mut CaptureContext,
    ) {
        let mark = Mark {
            frame: packet.frame,
            time: packet.time,
        };
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
    }

    /// Whether more datagrams can change the application facts.
    pub(crate) fn listens(&self) -> bool {
        self.datagrams.wants()
    }

    /// The conversation as it stands.
    pub(crate) fn as_it_stands(&self) -> Box<Connection> {
        let mut connection = self.connection.clone();
        connection.app = Some(self.app());
        connection
    }

    /// The conversation is over.
    pub(crate) fn finish(self) -> Box<Connection> {
        let app = self.app();
        let mut connection = self.connection;
        connection.app = Some(app);
        connection
    }

    fn app(&self) -> Box<AppFacts> {
        Box::new(self.datagrams.facts())
    }
}
