//! How a connection opens, or fails to, and how its data gets across.

pub(crate) mod accept_queue_full;
pub(crate) mod closed_without_data;
pub(crate) mod fragmentation_needed;
pub(crate) mod half_closed;
pub(crate) mod handshake_aborted;
pub(crate) mod keepalive_unanswered;
pub(crate) mod mtu_blackhole;
pub(crate) mod no_response;
pub(crate) mod packet_loss;
mod path_mtu;
pub(crate) mod paws_drop;
pub(crate) mod peer_vanished;
pub(crate) mod probe;
pub(crate) mod refused;
pub(crate) mod reordering;
pub(crate) mod slow_handshake;
pub(crate) mod slow_response;
pub(crate) mod stale_connection;
pub(crate) mod syn_retransmitted;
pub(crate) mod syn_unanswered;
pub(crate) mod synack_unanswered;
pub(crate) mod truncated_response;
pub(crate) mod unreachable;
pub(crate) mod zero_window;

use wirewhy_flow::{Connection, Event, EventKind, Reset, Side};

use crate::Limits;

/// Whether what `from` sends vanishes by its size.
pub(super) fn is_black_hole(connection: &Connection, from: Side, limits: &Limits) -> bool {
    path_mtu::black_hole(connection, from, limits).is_some()
}

/// The resets one side sent, with their events.
fn resets(connection: &Connection, from: Side) -> impl Iterator<Item = (&Event, &Reset)> {
    connection
        .events
        .iter()
        .filter(move |event| event.from == from)
        .filter_map(|event| match &event.kind {
            EventKind::Reset(reset) => Some((event, reset.as_ref())),
            _ => None,
        })
}

/// The client's SYNs, in order.
fn syns(connection: &Connection) -> impl Iterator<Item = &Event> {
    connection
        .events
        .iter()
        .filter(|event| event.from == Side::Client && matches!(event.kind, EventKind::Syn { .. }))
}

/// The server's SYN-ACKs, in order.
fn syn_acks(connection: &Connection) -> impl Iterator<Item = &Event> {
    connection.events.iter().filter(|event| {
        event.from == Side::Server && matches!(event.kind, EventKind::SynAck { .. })
    })
}
