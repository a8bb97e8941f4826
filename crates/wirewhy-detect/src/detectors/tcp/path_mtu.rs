//! What the size of packets tells, shared by the detectors of path MTU faults.

use wirewhy_flow::{Connection, Endpoint, Event, EventKind, Hole, Icmp, Interval, Side, Stuck};

use crate::Limits;

/// Large packets of one side that do not get across.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum BlackHole {
    /// Seen where they are sent: the same large segment goes out again and again.
    Sending(Stuck),
    /// Seen behind the fault: large segments never come, smaller ones behind them do.
    Receiving(Hole),
}

/// The IP and TCP headers without options: what must be added to a payload at least.
const HEADERS: u32 = 40;

/// A black hole in what `from` sends, if the packets fit one.
pub(super) fn black_hole(
    connection: &Connection,
    from: Side,
    limits: &Limits,
) -> Option<BlackHole> {
    let (own, peer) = (connection.side(from), connection.side(from.other()));
    let trouble = own.tcp.trouble()?;
    if let Some(stuck) = trouble.stuck
        && is_too_large(own, peer, &stuck, limits)
    {
        return Some(BlackHole::Sending(stuck));
    }
    let hole = trouble.hole?;
    let waited = connection.heard_after(hole.since.time);
    never_came(own, peer, &hole, waited, limits).then_some(BlackHole::Receiving(hole))
}

/// The same segment, sent often enough and never acknowledged at that size, although smaller packets pass: smaller ones
/// were acknowledged, or the other side answers at all, and none as large ever got across.
fn is_too_large(own: &Endpoint, peer: &Endpoint, stuck: &Stuck, limits: &Limits) -> bool {
    stuck.sent >= limits.repeated_segment
        && is_large(own, peer, stuck, limits)
        && (stuck.heard || stuck.acknowledged.is_some())
}

/// A segment of a size that a path may refuse, of which none as large ever got across.
pub(super) fn is_large(own: &Endpoint, peer: &Endpoint, stuck: &Stuck, limits: &Limits) -> bool {
    let by_smaller = stuck.smallest < stuck.largest;
    let passed_whole = stuck.acknowledged.is_some() && !by_smaller;
    let full = u32::from(peer.tcp.offer.mss.unwrap_or(0)) + HEADERS;
    // Either as large as the other side takes, or larger than anything that is known to have arrived by a good deal.
    let large = stuck.largest >= limits.large_packet_bytes
        && (full == HEADERS || stuck.largest * 10 >= full * 8);
    !passed_whole && large && own.tcp.delivery.largest_delivered < stuck.largest
}

/// The other side asks for a hole of large segments that is never filled, and no full-sized segment was ever seen.
fn never_came(
    own: &Endpoint,
    peer: &Endpoint,
    hole: &Hole,
    waited: Interval,
    limits: &Limits,
) -> bool {
    let full = u32::from(peer.tcp.offer.mss.unwrap_or(1460));
    hole.len >= limits.large_packet_bytes - HEADERS
        && hole.asked >= 1
        && waited >= limits.silence
        && own.counts.largest_payload + 100 < full
}

/// The ICMP errors that tell `from` its packets are too large, with their events.
pub(super) fn too_big(connection: &Connection) -> impl Iterator<Item = (&Event, &Icmp)> {
    connection
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Icmp(icmp) if icmp.in_window && is_too_big(icmp) => {
                Some((event, icmp.as_ref()))
            }
            _ => None,
        })
}

/// RFC 1191 section 4 and RFC 4443 section 3.2.
fn is_too_big(icmp: &Icmp) -> bool {
    if icmp.v6 {
        icmp.kind == 2
    } else {
        icmp.kind == 3 && icmp.code == 4
    }
}
