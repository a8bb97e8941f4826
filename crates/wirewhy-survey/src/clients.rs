//! What each client has done at each service.

use std::net::IpAddr;

use wirewhy_flow::{Connection, Healthy};

use crate::challenges::Answered;
use crate::latest::Latest;
use crate::probes::Probes;
use crate::recent::RecentTable;

/// Client, server and port.
pub(crate) type ClientAndService = (IpAddr, IpAddr, u16);

/// What each client has done at each service.
#[derive(Debug, Default)]
pub(crate) struct Clients(pub(crate) RecentTable<ClientAndService, Client>);

/// What one client has done at one service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    /// Its connections that could be health checks, and all others.
    pub(crate) probes: Probes,
    /// The last requests that were answered.
    pub(crate) answered: Latest<Answered>,
}

impl Clients {
    /// The client of a connection, at its service.
    pub(crate) fn of(&mut self, connection: &Connection) -> &mut Client {
        self.0.entry(key(connection))
    }

    /// Takes in a connection that went well, which is no check.
    pub(crate) fn note_healthy(&mut self, healthy: &Healthy) {
        let ((client, _), (server, port)) = (healthy.client(), healthy.server());
        let client = self.0.entry((client, server, port));
        client.probes.note_other();
        client.note_answered(healthy.last_request(), healthy.stream());
    }
}

pub(crate) fn key(connection: &Connection) -> ClientAndService {
    let (client, server) = (&connection.client, &connection.server);
    (client.address, server.address, server.port)
}
