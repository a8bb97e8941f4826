//! How a connection ended, whatever transport it used.

use wirewhy_flow::{Connection, EventKind, Interval, Mark, Side, Transport};

/// The end of a connection as detectors of the protocols above the transport read it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    /// The first orderly close: the side that closed, and where. A FIN over TCP.
    pub(crate) closed: Option<(Side, Mark)>,
    /// The first reset: in whose name it was sent, and where.
    pub(crate) reset: Option<(Side, Mark)>,
    /// The latest packet.
    pub(crate) last: Mark,
    /// How long the capture ran on after the latest packet.
    pub(crate) silence: Interval,
    /// A round trip between the two ends, zero where none is known.
    pub(crate) round_trip: Interval,
    client: Delivered,
    server: Delivered,
}

/// What became of the bytes of one side.
#[derive(Clone, Copy, Debug)]
struct Delivered {
    /// The other side acknowledged all of them, or the transport acknowledges none.
    taken: bool,
    /// The capture missed some of them, or part of some.
    missed: bool,
}

impl Ending {
    pub(crate) fn of(connection: &Connection) -> Ending {
        let (closed, reset) = match connection.transport {
            Transport::Tcp => (first_fin(connection), first_reset(connection)),
            // UDP itself ends no conversation.
            Transport::Udp => (None, None),
        };
        Ending {
            closed,
            reset,
            last: connection.last,
            silence: connection.heard_after(connection.last.time),
            round_trip: connection.round_trip().handshake.unwrap_or(Interval::ZERO),
            client: Delivered::of(connection, Side::Client),
            server: Delivered::of(connection, Side::Server),
        }
    }

    /// Whether all bytes of a side were acknowledged, as far as the transport acknowledges any.
    pub(crate) fn is_taken(&self, side: Side) -> bool {
        self.delivered(side).taken
    }

    /// Whether the capture lacks bytes of a side.
    pub(crate) fn is_missing_bytes(&self, side: Side) -> bool {
        self.delivered(side).missed
    }

    fn delivered(&self, side: Side) -> Delivered {
        match side {
            Side::Client => self.client,
            Side::Server => self.server,
        }
    }
}

impl Delivered {
    fn of(connection: &Connection, side: Side) -> Delivered {
        let (own, peer) = (connection.side(side), connection.side(side.other()));
        // A FIN takes a number of its own.
        let of_fin = u32::from(own.tcp.fin.is_some());
        // Where no acknowledgement was recorded, that of one direction is missing: nothing is known of what arrived.
        let known = connection.transport == Transport::Udp || peer.tcp.acknowledged.is_some();
        Delivered {
            taken: known && own.tcp.unacknowledged_by(&peer.tcp) <= of_fin,
            missed: own.tcp.counts.unseen_bytes > 0
                || own.counts.cut_payloads > 0
                || own
                    .tcp
                    .trouble()
                    .is_some_and(|trouble| trouble.hole.is_some()),
        }
    }
}

fn first_fin(connection: &Connection) -> Option<(Side, Mark)> {
    [Side::Client, Side::Server]
        .into_iter()
        .filter_map(|side| connection.side(side).tcp.fin.map(|mark| (side, mark)))
        .min_by_key(|(_, mark)| mark.frame)
}

fn first_reset(connection: &Connection) -> Option<(Side, Mark)> {
    connection
        .events
        .iter()
        .find(|event| matches!(event.kind, EventKind::Reset(_)))
        .map(|event| (event.from, event.mark()))
}
