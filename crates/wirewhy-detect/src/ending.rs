//! How a connection ended, whatever transport it used.

use crate::detectors::quic::side_of;
use wirewhy_flow::{Connection, EventKind, Interval, Mark, Side, Transport};

/// The end of a connection as detectors of the protocols above the transport read it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    /// The first orderly close: the side that closed, and where. A FIN over TCP.
    pub(crate) closed: Option<(Side, Mark)>,
    /// The first reset: in whose name it was sent, and where.
    pub(crate) reset: Option<(Side, Mark)>,
    /// The latest packet with bytes that were not sent before; the latest packet where there are none.
    pub(crate) last: Mark,
    /// How long the capture ran on after it.
    pub(crate) silence: Interval,
    /// A round trip between the two ends, zero where none is known.
    pub(crate) round_trip: Interval,
    /// Bytes of the other side that the close left unacknowledged.
    crossed_close: u32,
    /// Bytes of the other side that the reset left unacknowledged.
    crossed_reset: u32,
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
            // UDP itself ends no conversation; QUIC ends a handshake by a CONNECTION_CLOSE.
            Transport::Udp => (broken_off(connection), None),
        };
        let (reset, crossed_reset) = match reset {
            Some((from, mark, crossed)) => (Some((from, mark)), crossed),
            None => (None, 0),
        };
        let latest = [&connection.client, &connection.server]
            .into_iter()
            .filter_map(|side| side.last_payload)
            .max_by_key(|mark| mark.time)
            .unwrap_or(connection.last);
        Ending {
            closed,
            reset,
            last: latest,
            silence: connection.heard_after(latest.time),
            round_trip: connection.round_trip().handshake.unwrap_or(Interval::ZERO),
            crossed_close: closed.map_or(0, |(from, _)| connection.side(from).tcp.crossed_fin),
            crossed_reset,
            client: Delivered::of(connection, Side::Client),
            server: Delivered::of(connection, Side::Server),
        }
    }

    /// Bytes of the other side that the close or reset at `mark` does not acknowledge: the side that left had not got them.
    pub(crate) fn crossed(&self, mark: Mark) -> u32 {
        let is_here = |end: Option<(Side, Mark)>| end.is_some_and(|(_, at)| at == mark);
        if is_here(self.closed) {
            self.crossed_close
        } else if is_here(self.reset) {
            self.crossed_reset
        } else {
            0
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

/// The first CONNECTION_CLOSE with an error of the transport, where it came before the handshake was done. An alert of TLS is
/// found among the alerts.
fn broken_off(connection: &Connection) -> Option<(Side, Mark)> {
    let quic = connection.quic()?;
    let close = quic.failure()?;
    let is_over = quic.is_established() || close.code.alert().is_some();
    (!is_over).then(|| {
        let mark = Mark {
            frame: close.mark.frame,
            time: close.mark.time,
        };
        (side_of(close.from), mark)
    })
}

fn first_fin(connection: &Connection) -> Option<(Side, Mark)> {
    [Side::Client, Side::Server]
        .into_iter()
        .filter_map(|side| connection.side(side).tcp.fin.map(|mark| (side, mark)))
        .min_by_key(|(_, mark)| mark.frame)
}

/// The first reset, and the bytes of the other side that it does not acknowledge.
fn first_reset(connection: &Connection) -> Option<(Side, Mark, u32)> {
    connection.events.iter().find_map(|event| {
        let EventKind::Reset(reset) = &event.kind else {
            return None;
        };
        let by_itself = reset
            .ack
            .zip(reset.peer_next)
            .map(|(ack, next)| u32::try_from(next.distance_from(ack)).unwrap_or(0));
        let crossed = by_itself.unwrap_or(reset.unacknowledged_peer);
        Some((
            event.from,
            event.mark(),
            crossed.min(reset.unacknowledged_peer),
        ))
    })
}
