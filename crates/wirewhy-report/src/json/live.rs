//! The records that only a live analysis writes.

use std::net::SocketAddr;

use serde::Serialize;
use wirewhy_detect::Finding;
use wirewhy_flow::Connection;
use wirewhy_packet::Timestamp;
use wirewhy_survey::GroupFinding;

use super::shape::{EndpointShape, FindingShape, GroupShape, Time};
use crate::Names;
use crate::community_id::community_id_of;

/// A finding about one connection, told before the connection is.
#[derive(Serialize)]
pub(super) struct LiveFindingShape<'a> {
    time: Time,
    scope: &'static str,
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<&'static str>,
    stream: u32,
    community_id: String,
    client: EndpointShape<'a>,
    server: EndpointShape<'a>,
    #[serde(flatten)]
    finding: FindingShape<'a>,
}

impl<'a> LiveFindingShape<'a> {
    pub(super) fn new(
        at: Timestamp,
        connection: &Connection,
        finding: &'a Finding,
        names: &'a Names,
    ) -> LiveFindingShape<'a> {
        let (client, server) = (&connection.client, &connection.server);
        let service = SocketAddr::new(server.address, server.port);
        LiveFindingShape {
            time: Time(at),
            scope: "connection",
            subject: service.to_string(),
            transport: connection.quic().map(|_| "quic"),
            stream: connection.stream,
            community_id: community_id_of(
                connection.transport,
                SocketAddr::new(client.address, client.port),
                service,
            ),
            client: EndpointShape::new(client, names),
            server: EndpointShape::new(server, names),
            finding: FindingShape::new(finding),
        }
    }
}

/// A finding beyond one connection, with the time it was reported at.
#[derive(Serialize)]
pub(super) struct TimedGroupShape<'a> {
    time: Time,
    #[serde(flatten)]
    found: GroupShape<'a>,
}

impl<'a> TimedGroupShape<'a> {
    pub(super) fn new(at: Timestamp, found: &'a GroupFinding) -> TimedGroupShape<'a> {
        TimedGroupShape {
            time: Time(at),
            found: GroupShape::new(found),
        }
    }
}
