//! Segments that came from an address that was not translated back, to be found by the connection they belong to.

use std::net::IpAddr;

use wirewhy_flow::Connection;

use crate::detectors::rst::stray_segment::Stray;
use crate::recent::{RecentTable, make_room};

/// The latest stray segments, by the client they were sent to.
#[derive(Debug, Default)]
pub(crate) struct Strays(RecentTable<(IpAddr, u16), Stray>);

impl Strays {
    /// Takes in one connection.
    pub(crate) fn note(&mut self, connection: &Connection) {
        if let Some(stray) = Stray::of(connection) {
            make_room(&mut self.0, &stray.client);
            self.0.insert(stray.client, stray);
        }
    }

    /// The stray segment that belongs to a connection which the client keeps with another address: same client and ports,
    /// and sequence numbers of this connection.
    pub(crate) fn of(&self, connection: &Connection) -> Option<&Stray> {
        let (client, server) = (&connection.client, &connection.server);
        let (isn, next) = (server.tcp.isn?, server.tcp.next?);
        let stray = self.0.get(&(client.address, client.port))?;
        let fits = stray.server != (server.address, server.port)
            && connection.first.time <= stray.segment.time
            && stray.segment.time <= connection.last.time
            && stray.seq.is_after(isn)
            && stray.seq.distance_from(next) <= 65_535;
        fits.then_some(stray)
    }
}
