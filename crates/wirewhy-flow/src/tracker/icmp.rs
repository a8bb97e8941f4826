//! ICMP errors, to the connection whose packet they quote.

use std::net::IpAddr;

use wirewhy_packet::{IcmpError, Packet, Seq};
use wirewhy_protocol::Transport;

use super::{Occupant, Tracker};
use crate::attachments::RELEASED;
use crate::{Connection, Event, EventKind, Icmp, Located, Mark, Pair, Side};

/// The ends of a quoted packet, and what is attached to their stream.
struct Quote {
    transport: Transport,
    pair: Pair,
    attached: Option<u32>,
}

/// IP protocol numbers.
const TCP: u8 = 6;
const UDP: u8 = 17;

impl Tracker {
    /// Gives what an error quotes its stream number and nothing else.
    pub(super) fn skip_icmp(&mut self, error: &IcmpError) {
        self.find_quoted(error, None);
    }

    /// What an error quotes. A segment was located before.
    fn find_quoted(&mut self, error: &IcmpError, located: Option<&Located>) -> Option<Quote> {
        let quoted = error.quoted?;
        let transport = match quoted.protocol {
            TCP => Transport::Tcp,
            UDP if self.datagram_protocols.is_some() => Transport::Udp,
            _ => return None,
        };
        let pair = Pair::quoted(&quoted)?;
        let attached = match transport {
            Transport::Tcp => located.and_then(|located| self.attachments.meet(located).attached),
            Transport::Udp => {
                let index = self.datagram_streams.locate_datagram(&pair).index;
                self.datagram_attachments.get(index)
            }
        };
        Some(Quote {
            transport,
            pair,
            attached,
        })
    }

    pub(super) fn observe_icmp(
        &mut self,
        packet: &Packet<'_>,
        reporter: IpAddr,
        error: &IcmpError,
        located: Option<&Located>,
    ) {
        let Some(quote) = self.find_quoted(error, located) else {
            return;
        };
        let slot = quote.attached.filter(|slot| *slot != RELEASED);
        let Some((slot, (from, connection))) =
            slot.and_then(|slot| Some((slot, self.sender_in(slot, &quote.pair)?)))
        else {
            let is_tcp = quote.transport == Transport::Tcp;
            self.tally.stray_icmp_errors += u64::from(is_tcp);
            return;
        };
        let quoted_seq = error
            .quoted
            .and_then(|quoted| quoted.tcp)
            .map(|tcp| tcp.seq);
        let icmp = Icmp {
            v6: error.v6,
            kind: error.kind,
            code: error.code,
            mtu: error.mtu,
            reporter,
            quoted_seq,
            quoted_len: error.quoted.map_or(0, |quoted| quoted.total_len),
            in_window: is_in_window(connection, from, quoted_seq),
        };
        connection.last = Mark {
            frame: packet.frame,
            time: packet.time,
        };
        connection.events.push(Event {
            frame: packet.frame,
            time: packet.time,
            from,
            kind: EventKind::Icmp(Box::new(icmp)),
        });
        self.touch(slot);
    }

    /// The connection in a slot, and the side of it that sends between these ends.
    fn sender_in(&mut self, slot: u32, pair: &Pair) -> Option<(Side, &mut Connection)> {
        self.promote(slot);
        match &mut self.occupant(slot)?.occupant {
            Occupant::Connection(tracked) => Some((
                tracked.sender(pair.source_is_low()),
                &mut tracked.connection,
            )),
            Occupant::Datagrams(tracked) => Some((tracked.sender(pair), &mut tracked.connection)),
            Occupant::Alone(_) | Occupant::Brief(_) | Occupant::AtRest(_) | Occupant::None => None,
        }
    }
}

/// Whether the quoted sequence number is of a byte that may be on the way; so where none is quoted.
fn is_in_window(connection: &Connection, from: Side, quoted: Option<Seq>) -> bool {
    let (Some(seq), Some(next)) = (quoted, connection.side(from).tcp.next) else {
        return true;
    };
    let behind = next.distance_from(seq);
    let reach = connection.side(from.other()).tcp.max_window.max(65_535);
    behind >= 0 && u32::try_from(behind).is_ok_and(|behind| behind <= reach)
}
