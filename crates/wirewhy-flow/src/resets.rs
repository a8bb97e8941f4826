//! Where a reset falls in the connection it claims to belong to.

use wirewhy_packet::{Interval, Seq, Timestamp};

use crate::segment::Segment;
use crate::{BeforeReset, Connection, Endpoint, EndpointState, Position, Reset, Side};

/// Describes a reset from `from` against the state before it.
pub(crate) fn describe(
    connection: &Connection,
    from: Side,
    segment: &Segment,
    pause: Option<Pause>,
) -> Reset {
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
        idle: latest.map_or(Interval::ZERO, |latest| {
            segment.time.since(latest).max(Interval::ZERO)
        }),
        answers: peer.last,
        peer_next: peer.tcp.next,
        own_next: own.tcp.next,
        unacknowledged_own: own.tcp.unacknowledged_by(&peer.tcp),
        unacknowledged_peer: peer.tcp.unacknowledged_by(&own.tcp),
        before: before(own, peer, segment, pause),
    }
}

fn before(own: &Endpoint, peer: &Endpoint, segment: &Segment, pause: Option<Pause>) -> BeforeReset {
    let sent_since = |pause: &Pause| own.last.is_some_and(|last| last.time >= pause.ended);
    let trouble = own.tcp.trouble();
    BeforeReset {
        answered_ack: peer.tcp.last_ack,
        peer_payload_len: peer.last_payload_len,
        peer_sent_farewell: peer.sent_farewell,
        own_fin: own.tcp.fin,
        peer_fin: peer.tcp.fin,
        own_payload: own.last_payload,
        peer_payload: peer.last_payload,
        expected: peer.tcp.acknowledged,
        own_ttl: own.ttl,
        own_ip_id: own.ip_id,
        own_timestamp: own.tcp.timestamp,
        other_mac: own
            .mac
            .zip(segment.mac)
            .is_some_and(|(known, mac)| known != mac),
        idle: pause
            .filter(|pause| !sent_since(pause))
            .map(|pause| pause.length),
        unanswered: trouble.map_or(0, |trouble| trouble.unanswered.count),
        unanswered_keep_alives: trouble.map_or(0, |trouble| trouble.unanswered_keep_alives.count),
        peer_window_closed: peer
            .tcp
            .trouble()
            .and_then(|trouble| trouble.window.closed_since),
        own_alert: own.tcp.alert,
        peer_alert: peer.tcp.alert,
    }
}

/// The latest pause of a connection that was worth noting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause {
    pub(crate) length: Interval,
    pub(crate) ended: Timestamp,
    /// Who ended it.
    pub(crate) by: Side,
}

wirewhy_protocol::compact!(Pause { length, ended, by });

impl Pause {
    /// Shorter pauses are retransmission timers and thinking, and tell of no timer on the path.
    pub(crate) const SHORTEST: Interval = Interval::from_secs(5);
}

/// Checks the numbers as the receiver would: RFC 9293 section 3.10.7.3 in SYN-SENT, RFC 5961 section 3 afterwards, with
/// Linux's allowance for a FIN's own number (macOS).
fn position(own: &Endpoint, peer: &Endpoint, segment: &Segment) -> Position {
    let sent_nothing_else = own.counts.packets == u64::from(own.tcp.counts.resets);
    if peer.tcp.state == EndpointState::SynSent && sent_nothing_else {
        return match peer.tcp.next {
            Some(next) if segment.has_ack() && segment.ack == next => Position::AnswersSyn,
            _ => Position::IgnoredInSynSent,
        };
    }
    let Some(expected) = peer.tcp.acknowledged.or(own.tcp.next) else {
        return Position::Unknown;
    };
    let at_edge = |edge: Option<Seq>| edge == Some(segment.seq);
    if segment.seq == expected || at_edge(own.tcp.next) {
        return Position::Exact;
    }
    let behind_fin =
        own.tcp.fin.is_some() && at_edge(own.tcp.next.map(|next| next.advance(u32::MAX)));
    if behind_fin {
        return Position::Exact;
    }
    let ahead = segment.seq.distance_from(expected);
    let window = i32::try_from(peer.tcp.max_window.max(1)).unwrap_or(i32::MAX);
    if (0..window).contains(&ahead) {
        Position::InWindow
    } else {
        Position::Outside
    }
}
