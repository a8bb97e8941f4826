//! One connection as it is counted under its root cause.

use std::borrow::Cow;
use std::net::IpAddr;

use wirewhy_flow::{Connection, LookedUp, Transport, Unopened};
use wirewhy_packet::Timestamp;

use super::causes::Service;
use super::stream::StreamId;
use crate::names::server_name;

/// What is counted of a connection.
#[derive(Clone, Debug)]
pub(super) struct Instance<'a> {
    pub(super) stream: StreamId,
    pub(super) client: IpAddr,
    pub(super) service: Service,
    pub(super) begun: Timestamp,
    /// The name that the client asked for. Text from the wire.
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) looked_up: Option<&'a LookedUp>,
}

impl<'a> Instance<'a> {
    pub(super) fn of(connection: &'a Connection) -> Instance<'a> {
        Instance {
            stream: StreamId::of(connection),
            client: connection.client.address,
            service: (connection.server.address, connection.server.port),
            begun: connection.first.time,
            name: server_name(connection),
            looked_up: connection.looked_up.as_deref(),
        }
    }

    pub(super) fn of_unopened(attempt: &Unopened) -> Instance<'static> {
        Instance {
            stream: StreamId {
                transport: Transport::Tcp,
                number: attempt.stream(),
            },
            client: attempt.client().0,
            service: attempt.server(),
            begun: attempt.first().time,
            name: None,
            looked_up: None,
        }
    }
}
