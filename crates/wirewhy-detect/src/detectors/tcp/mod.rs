//! How a connection opens, or fails to.

pub(crate) mod accept_queue_full;
pub(crate) mod handshake_aborted;
pub(crate) mod paws_drop;
pub(crate) mod probe;
pub(crate) mod refused;
pub(crate) mod slow_handshake;
pub(crate) mod stale_connection;
pub(crate) mod syn_retransmitted;
pub(crate) mod syn_unanswered;
pub(crate) mod synack_unanswered;
pub(crate) mod unreachable;

use wirewhy_flow::{Connection, Event, EventKind, Reset, Side};

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
