//! A connection over QUIC in numbers.

use wirewhy_protocol::{ConnectionId, QuicFacts, QuicVersion};

use crate::format::{counted, span};

/// Its version, and what happened on the way: `version 1, hello in 2 datagrams, 1 Retry, ...`.
pub(super) fn summary(quic: &QuicFacts) -> String {
    let mut parts = vec![format!("version {}", quic.version)];
    if let Some(negotiation) = &quic.negotiation {
        parts.push(format!(
            "instead of version {}",
            offered(quic, negotiation.offered)
        ));
    }
    if quic.hello.datagrams > 1 {
        let datagrams = counted(u64::from(quic.hello.datagrams), "datagram");
        parts.push(format!("hello in {datagrams}"));
    }
    if quic.retry_count > 0 {
        parts.push(counted(u64::from(quic.retry_count), "Retry packet"));
    }
    if quic.client.zero_rtt.count > 0 {
        parts.push(counted(quic.client.zero_rtt.count, "0-RTT packet"));
    }
    if quic.key_updates > 0 {
        parts.push(counted(u64::from(quic.key_updates), "key update"));
    }
    let opened = quic.client.decrypted() + quic.server.decrypted();
    parts.push(match opened {
        0 => "nothing behind its Initial packets can be read".to_owned(),
        _ => format!("{} read with secrets", counted(opened, "packet")),
    });
    if let Some(spin) = &quic.spin {
        parts.push(format!(
            "round trip by the spin bit {}",
            span(spin.shortest)
        ));
    }
    parts.join(", ")
}

/// What the client had offered, where it is not the version that came to be.
fn offered(quic: &QuicFacts, offered: QuicVersion) -> String {
    match offered == quic.version {
        true => "any that the server lists".to_owned(),
        false => offered.to_string(),
    }
}

/// Its connection ids.
pub(super) fn ids(quic: &QuicFacts) -> String {
    let server = quic.server_id.as_ref().map_or("none".to_owned(), id);
    format!(
        "client {}, server {server}, first destination {}",
        id(&quic.client_id),
        id(&quic.initial_destination)
    )
}

fn id(id: &ConnectionId) -> String {
    match id.is_empty() {
        true => "empty".to_owned(),
        false => id.to_string(),
    }
}
