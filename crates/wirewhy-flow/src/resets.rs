//! Where a reset falls in the connection it claims to belong to.

use wirewhy_packet::{Interval, Seq};

use crate::segment::Segment;
use crate::{Connection, Endpoint, EndpointState, Position, Reset, Side};

/// Describes a reset from `from` against the state before it.
pub(crate) fn describe(connection: &Connection, from: Side, segment: &Segment) -> Reset {
    let own = connection.side(from);
    let peer = connection.side(from.other());
    let latest = [own.last, peer.last]
        .into_iter()
        .flatten()
        .map(|mark| mark.time)
        .max();
    Reset {
        seq: segment.seq,
        ack: segment.has_ack().then_some(segment.ack),
        ack_field: segment.ack,
        window: segment.window,
        ttl: segment.ttl,
        ip_id: segment.ip_id,
        timestamp: segment
            .options
            .timestamps
            .map(|timestamps| timestamps.value),
        payload_len: segment.payload_len,
        position: position(own, peer, segment),
        idle: latest.map_or(Interval::ZERO, |latest| segment.time.since(latest)),
        answers: peer.last,
        peer_next: peer.next,
        own_next: own.next,
        unacknowledged_own: own.unacknowledged_by(peer),
        unacknowledged_peer: peer.unacknowledged_by(own),
    }
}

/// Judges the numbers as the receiver would: RFC 9293 section 3.10.7.3 in SYN-SENT, RFC 5961 section 3 afterwards, with
/// Linux's allowance for a FIN's own number (macOS).
fn position(own: &Endpoint, peer: &Endpoint, segment: &Segment) -> Position {
    if peer.state == EndpointState::SynSent && !own.was_seen() {
        return match peer.next {
            Some(next) if segment.has_ack() && segment.ack == next => Position::AnswersSyn,
            _ => Position::IgnoredInSynSent,
        };
    }
    let Some(expected) = peer.acknowledged.or(own.next) else {
        return Position::Unknown;
    };
    let at_edge = |edge: Option<Seq>| edge == Some(segment.seq);
    if segment.seq == expected || at_edge(own.next) {
        return Position::Exact;
    }
    let behind_fin = own.fin.is_some() && at_edge(own.next.map(|next| next.advance(u32::MAX)));
    if behind_fin {
        return Position::Exact;
    }
    let ahead = segment.seq.distance_from(expected);
    let window = i32::try_from(peer.max_window.max(1)).unwrap_or(i32::MAX);
    if (0..window).contains(&ahead) {
        Position::InWindow
    } else {
        Position::Outside
    }
}
