//! What the tracker has to do with lookups: it tells them of messages over TCP, and asks them for names.

use std::net::IpAddr;

use wirewhy_packet::{MacAddr, Timestamp};
use wirewhy_protocol::DnsSeen;

use super::Tracker;
use crate::Connection;
use crate::lookups::{LookedUp, Lookups, Socket};

impl Tracker {
    /// The lookups of names.
    #[must_use]
    pub fn lookups(&self) -> &Lookups {
        &self.lookups
    }

    /// The name that its client had looked up for the server's address when a connection began.
    pub(super) fn looked_up(&self, connection: &Connection) -> Option<Box<LookedUp>> {
        let Connection { client, server, .. } = connection;
        let found = self.lookups.name_of(
            server.address,
            client.address,
            client.mac,
            connection.first.time,
        );
        found.map(Box::new)
    }

    /// The name that a client, with its MAC address, had looked up for a server's address when it began a stream, and what the
    /// lookup lost that.
    #[inline]
    pub(super) fn waited_for(
        &mut self,
        stream: u32,
        (client, link): (IpAddr, Option<MacAddr>),
        server: IpAddr,
        begun: Timestamp,
    ) -> Option<Box<LookedUp>> {
        if self.lookups.knows_nothing() {
            return None;
        }
        let trouble = self.lookups.trouble_of(stream);
        let mut found = self.lookups.name_of(server, client, link, begun)?;
        found.trouble = trouble;
        Some(Box::new(found))
    }

    /// Takes in the DNS messages that a segment of a connection completed.
    pub(super) fn note_messages(
        &mut self,
        ends: (u32, Asker, Socket),
        ttl: u8,
        messages: &[DnsSeen],
    ) {
        let (stream, client, server) = ends;
        self.lookups
            .observe_stream(stream, client, server, ttl, messages, self.now);
    }
}

/// A client, and its MAC address.
pub(super) type Asker = (Socket, Option<MacAddr>);

/// The stream of a connection and its ends.
pub(super) fn ends_of(connection: &Connection) -> (u32, Asker, Socket) {
    let (client, server) = (&connection.client, &connection.server);
    (
        connection.stream,
        ((client.address, client.port), client.mac),
        (server.address, server.port),
    )
}
