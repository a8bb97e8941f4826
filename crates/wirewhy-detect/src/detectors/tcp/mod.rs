//! How a connection opens, or fails to, and how its data gets across.

pub(crate) mod accept_queue_full;
pub(crate) mod backend_unreachable;
pub(crate) mod checksum_drop;
pub(crate) mod closed_without_data;
pub(crate) mod delayed_ack_stall;
pub(crate) mod fragmentation_needed;
pub(crate) mod half_closed;
pub(crate) mod handshake_aborted;
pub(crate) mod keepalive_unanswered;
pub(crate) mod mtu_blackhole;
pub(crate) mod no_response;
pub(crate) mod one_way_path;
pub(crate) mod packet_loss;
mod path_mtu;
pub(crate) mod paws_drop;
pub(crate) mod peer_vanished;
pub(crate) mod port_collision;
pub(crate) mod refused;
pub(crate) mod reordering;
pub(crate) mod sack_mangled;
pub(crate) mod slow_handshake;
pub(crate) mod slow_path;
pub(crate) mod slow_response;
pub(crate) mod stale_connection;
pub(crate) mod syn_retransmitted;
pub(crate) mod syn_unanswered;
pub(crate) mod synack_unanswered;
pub(crate) mod truncated_response;
pub(crate) mod unreachable;
pub(crate) mod window_scale_mismatch;
pub(crate) mod zero_window;

use wirewhy_flow::{Connection, Event, EventKind, Reset, Side, Vantage};

use crate::{Confidence, Culprit, Role};

/// Ports of protocols in which the server speaks first: FTP, SSH, SMTP and its submission port, POP3, IMAP, NNTP, MySQL.
pub(crate) const GREETING_FIRST: [u16; 8] = [21, 22, 25, 110, 119, 143, 587, 3306];

/// Whether the server is to send a greeting before the client sends anything.
pub(crate) fn awaits_greeting(connection: &Connection) -> bool {
    GREETING_FIRST.contains(&connection.server.port)
}

/// Who is to blame when `silent` says nothing more: itself where the capture was taken on its side, so that what it was sent
/// did reach it; else the path cannot be told from the host.
pub(super) fn blame_for_silence(connection: &Connection, silent: Side) -> Culprit {
    let (vantage, role) = match silent {
        Side::Server => (Vantage::ServerSide, Role::Server),
        Side::Client => (Vantage::ClientSide, Role::Client),
    };
    if connection.vantage() == vantage {
        // Nothing lies between the host and its own interface; of a link near to it that is less sure.
        let on_host = match silent {
            Side::Client => connection.outgoing[0],
            Side::Server => connection.outgoing[1],
        };
        let untouched = matches!(connection.side(silent).ttl.first, Some(64 | 128 | 255));
        let sure = if on_host == Some(true) || untouched {
            Confidence::Likely
        } else {
            Confidence::Possible
        };
        Culprit::new(role, connection.side(silent).address).at_most(sure)
    } else {
        Role::Unknown.into()
    }
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
