//! A SYN into an open connection of the same addresses and ports.

use wirewhy_packet::Seq;

use super::{Occupant, Tracker};
use crate::segment::Segment;
use crate::{Collision, Connection, EndpointState, Interval, Pair, Side};

/// The fastest clock of RFC 7323 section 5.4, a tick a millisecond, and as much again for slack.
const TICKS_A_MILLISECOND: i64 = 2;

/// What scheduling and rounding add.
const TICKS_OF_SLACK: i64 = 1_000;

impl Tracker {
    /// Notes in the connection in a slot that the first segment of `stream` cut into it; returns the same for that stream.
    /// `None` where it was closing, reset, never open, or where the segment is no SYN of its client.
    pub(super) fn collide(
        &mut self,
        slot: u32,
        pair: &Pair,
        segment: &Segment,
        stream: u32,
    ) -> Option<Box<Collision>> {
        if !segment.flags.is_pure_syn() {
            return None;
        }
        if self.occupant(slot)?.occupant.is_brief_and_open() {
            self.promote(slot);
        }
        let Occupant::Connection(tracked) = &mut self.occupant(slot)?.occupant else {
            return None;
        };
        let earlier = &mut tracked.connection;
        let same_client = pair.source == (earlier.client.address, earlier.client.port);
        if !same_client || !is_in_use(earlier) {
            return None;
        }
        let (client, server) = (&earlier.client, &earlier.server);
        let idle = segment.time.since(earlier.last.time).max(Interval::ZERO);
        let here = Collision {
            stream: earlier.stream,
            is_later: true,
            syn: segment.mark(),
            idle,
            ttl: (client.ttl, segment.ttl),
            other_clock: is_other_clock(earlier, segment),
            outstanding: client
                .tcp
                .unacknowledged_by(&server.tcp)
                .saturating_add(server.tcp.unacknowledged_by(&client.tcp)),
            earlier_next: client.tcp.next,
            continues: None,
        };
        earlier.collision = Some(Box::new(Collision {
            stream,
            is_later: false,
            ..here
        }));
        Some(Box::new(here))
    }
}

fn is_in_use(connection: &Connection) -> bool {
    let states = [connection.client.tcp.state, connection.server.tcp.state];
    let opened = connection.tcp.handshake.ack.is_some();
    let over = |state| {
        matches!(
            state,
            EndpointState::Closing { .. } | EndpointState::Reset | EndpointState::SynSent
        )
    };
    opened && !states.into_iter().any(over)
}

fn is_other_clock(earlier: &Connection, syn: &Segment) -> bool {
    let (Some(then), Some(now), Some(last)) = (
        earlier.client.tcp.timestamp,
        syn.options.timestamps,
        earlier.client.last,
    ) else {
        return false;
    };
    let ticks = i64::from(Seq(now.value).distance_from(Seq(then)));
    let millis = syn.time.since(last.time).0 / 1_000_000;
    let reachable = millis.max(0) * TICKS_A_MILLISECOND + TICKS_OF_SLACK;
    !(-TICKS_OF_SLACK..=reachable).contains(&ticks)
}

impl Collision {
    /// Whether a segment of a side has the numbers of the earlier connection's client.
    pub(crate) fn is_of_earlier(&self, from: Side, segment: &Segment) -> bool {
        /// As far as anything sent before the SYN, or right behind it, may lie from it.
        const REACH: u32 = 1 << 20;
        let near = self
            .earlier_next
            .is_some_and(|next| segment.seq.distance_from(next).unsigned_abs() <= REACH);
        self.is_later && from == Side::Client && near
    }
}
