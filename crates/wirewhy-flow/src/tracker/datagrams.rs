//! Conversations over UDP, in the same table as the connections over TCP: one bound, one clock, one order of eviction.
//!
//! Where no protocol is read over UDP, nothing is done for a datagram. Where one is, every pair of ends gets its number, as
//! Wireshark numbers `udp.stream`, and only the conversations that a protocol reads are followed.

use wirewhy_packet::{Ip, Packet, UdpDatagram};
use wirewhy_protocol::{DatagramProtocols, Datagrams, Role, Transport};

use super::{Bounds, Occupant, Tracker};
use crate::datagrams::LiveDatagrams;
use crate::expiry::Class;
use crate::streams::RELEASED;
use crate::{Connection, Ended, Endpoint, Mark, Pair, Roles, Side};

impl Tracker {
    /// A tracker that has seen nothing, and that reads these protocols over UDP.
    #[must_use]
    pub fn with_datagram_protocols(bounds: Bounds, protocols: DatagramProtocols) -> Tracker {
        Tracker {
            datagram_protocols: Some(protocols).filter(|protocols| !protocols.is_empty()),
            ..Tracker::new(bounds)
        }
    }

    pub(super) fn observe_datagram(
        &mut self,
        packet: &Packet<'_>,
        ip: &Ip,
        udp: &UdpDatagram<'_>,
        sink: &mut impl FnMut(Box<Connection>),
    ) {
        let Some(protocols) = self.datagram_protocols else {
            return;
        };
        let pair = pair_of(ip, udp);
        let located = self.datagram_streams.locate_datagram(&pair);
        self.datagram_streams.forget_beyond(self.bounds.max_streams);
        let slot = match located.attached.filter(|slot| *slot != RELEASED) {
            Some(slot) => slot,
            None => {
                let Some(sender) = protocols.sender(udp.payload) else {
                    return;
                };
                self.open_datagrams(located.stream, pair, sender, packet, sink)
            }
        };
        let place = usize::try_from(slot)
            .ok()
            .and_then(|at| self.slots.get_mut(at));
        if let Some(Occupant::Datagrams(live)) = place.map(|place| &mut place.occupant) {
            let from = live.sender(located.source_is_low);
            live.observe(from, packet, ip, udp, &mut self.context);
            self.touch(slot);
        }
    }

    /// Gives a datagram its stream number and nothing else.
    pub(super) fn skip_datagram(&mut self, ip: &Ip, udp: &UdpDatagram<'_>) {
        if self.datagram_protocols.is_some() {
            self.datagram_streams.locate_datagram(&pair_of(ip, udp));
        }
    }

    /// Makes room for a conversation whose first datagram `sender` sends. Returns its slot.
    fn open_datagrams(
        &mut self,
        stream: u32,
        pair: Pair,
        sender: Role,
        packet: &Packet<'_>,
        sink: &mut impl FnMut(Box<Connection>),
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
        // An answer without its question may follow one that is among the missing.
        connection.interrupted = self.interrupted && from == Side::Server;
        let client_is_low = pair.source_is_low() == (from == Side::Client);
        let datagrams = Datagrams::of(self.datagram_protocols.unwrap_or_default());
        connection.looked_up = self.looked_up(&connection);
        let live = LiveDatagrams::new(connection, datagrams, client_is_low);
        let handle = self.place(Occupant::Datagrams(Box::new(live)));
        let due = packet.time.after(self.bounds.datagrams_quiet);
        self.expiry.enter(Class::Datagrams, due, handle);
        self.datagram_streams.attach(&pair, Some(handle.slot));
        handle.slot
    }

    /// The facts of a conversation, with what the rest of the capture shows about its hosts.
    pub(super) fn hand_over_datagrams(
        &self,
        mut connection: Box<Connection>,
        ended: Ended,
    ) -> Box<Connection> {
        connection.ended = ended;
        connection.observed_until = self.observed_until(connection.last.time);
        connection.surroundings = self.around(&connection);
        connection
    }
}

fn pair_of(ip: &Ip, udp: &UdpDatagram<'_>) -> Pair {
    Pair {
        source: (ip.source, udp.source_port),
        destination: (ip.destination, udp.destination_port),
    }
}
