//! A connection in the names of ECS: its two sides, the network between them, and what ECS has no field for.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;
use wirewhy_detect::{Diagnosis, Outcome};
use wirewhy_flow::{Connection, Endpoint};
use wirewhy_packet::Interval;
use wirewhy_protocol::{AppFacts, AppProtocol, Transport};

use crate::community_id::community_id_of;
use crate::json::Seconds;
use crate::names::server_name;
use crate::{Names, View};

/// `source`, `destination`, `client` or `server`.
#[derive(Clone, Serialize)]
pub(super) struct SideFields {
    /// As OpenTelemetry has it too.
    address: String,
    ip: IpAddr,
    port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    packets: Option<u64>,
}

impl SideFields {
    fn new(end: &Endpoint, domain: Option<String>) -> SideFields {
        SideFields {
            domain,
            bytes: Some(end.counts.bytes),
            packets: Some(end.counts.packets),
            ..SideFields::of_service(SocketAddr::new(end.address, end.port))
        }
    }

    /// The side that opened the connection.
    pub(super) fn client(connection: &Connection, names: &Names) -> SideFields {
        let end = &connection.client;
        SideFields::new(end, names.name(end.address).map(str::to_owned))
    }

    /// The side that was asked, with the name that the user gave it or its client asked for.
    pub(super) fn server(connection: &Connection, names: &Names) -> SideFields {
        SideFields::new(&connection.server, name_of_server(connection, names))
    }

    /// An address and a port, of which nothing else is known.
    pub(super) fn of_service(service: SocketAddr) -> SideFields {
        SideFields {
            address: service.ip().to_string(),
            ip: service.ip(),
            port: service.port(),
            domain: None,
            bytes: None,
            packets: None,
        }
    }
}

fn name_of_server(connection: &Connection, names: &Names) -> Option<String> {
    let given = names.name(connection.server.address).map(str::to_owned);
    given.or_else(|| server_name(connection).map(|name| name.into_owned()))
}

/// The names of both sides.
pub(super) fn related(connection: &Connection, names: &Names) -> impl Iterator<Item = String> {
    let client = names.name(connection.client.address).map(str::to_owned);
    client.into_iter().chain(name_of_server(connection, names))
}

/// `network`.
#[derive(Serialize)]
pub(super) struct NetworkFields {
    community_id: String,
    transport: &'static str,
    iana_number: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    bytes: u64,
    packets: u64,
}

impl NetworkFields {
    pub(super) fn of(connection: &Connection) -> NetworkFields {
        let (client, server) = (&connection.client, &connection.server);
        let socket = |end: &Endpoint| SocketAddr::new(end.address, end.port);
        NetworkFields {
            community_id: community_id_of(connection.transport, socket(client), socket(server)),
            transport: connection.transport.name(),
            iana_number: match connection.transport {
                Transport::Tcp => "6",
                Transport::Udp => "17",
            },
            kind: match server.address {
                IpAddr::V4(_) => "ipv4",
                IpAddr::V6(_) => "ipv6",
            },
            protocol: connection.app.as_deref().and_then(protocol_of),
            bytes: client.counts.bytes.saturating_add(server.counts.bytes),
            packets: client.counts.packets.saturating_add(server.counts.packets),
        }
    }

    pub(super) fn has_protocol(&self) -> bool {
        self.protocol.is_some()
    }
}

/// The application protocol that either side speaks, TLS before what it carries.
fn protocol_of(app: &AppFacts) -> Option<&'static str> {
    if app.tls.is_some() {
        return Some("tls");
    }
    let sides = [&app.client, &app.server];
    sides
        .into_iter()
        .find_map(|side| name_of(side.app_protocol()?))
}

/// The name of a protocol in lower case; `None` where it is ambiguous or only a prefix of another.
fn name_of(protocol: AppProtocol) -> Option<&'static str> {
    Some(match protocol {
        AppProtocol::Http1Request
        | AppProtocol::Http1Response
        | AppProtocol::Http2Preface
        | AppProtocol::Http2Settings => "http",
        AppProtocol::Tls | AppProtocol::TlsInTds => "tls",
        AppProtocol::Ssh => "ssh",
        AppProtocol::Smtp => "smtp",
        AppProtocol::Ftp => "ftp",
        AppProtocol::Pop3 => "pop3",
        AppProtocol::Imap => "imap",
        AppProtocol::Nntp => "nntp",
        AppProtocol::ManageSieve => "managesieve",
        AppProtocol::Irc => "irc",
        AppProtocol::Xmpp => "xmpp",
        AppProtocol::Ldap => "ldap",
        AppProtocol::PostgreSql => "postgresql",
        AppProtocol::MySql => "mysql",
        AppProtocol::Rdp => "rdp",
        AppProtocol::Tds | AppProtocol::TdsAnswer => "tds",
        AppProtocol::Socks => "socks",
        AppProtocol::Redis => "redis",
        AppProtocol::Amqp => "amqp",
        AppProtocol::Mqtt => "mqtt",
        AppProtocol::Dns => "dns",
        AppProtocol::Quic => "quic",
        AppProtocol::Dtls => "dtls",
        _ => return None,
    })
}

/// `wirewhy.connection`.
#[derive(Serialize)]
pub(super) struct ConnectionFields<'a> {
    stream: u32,
    #[serde(flatten)]
    summary: Option<Summary<'a>>,
}

#[derive(Serialize)]
struct Summary<'a> {
    outcome: &'static str,
    findings: Vec<&'static str>,
    stage: &'static str,
    vantage: &'static str,
    roles_known: bool,
    conn_state: &'static str,
    history: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    first_frame: u64,
    last_frame: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake_seconds: Option<Seconds>,
    retransmissions: u32,
    resets: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    lookup_seconds: Option<Seconds>,
}

impl<'a> ConnectionFields<'a> {
    /// Its number only.
    pub(super) fn named(connection: &Connection) -> ConnectionFields<'a> {
        ConnectionFields {
            stream: connection.stream,
            summary: None,
        }
    }

    pub(super) fn new(diagnosis: &'a Diagnosis, view: &View) -> ConnectionFields<'a> {
        let connection = &diagnosis.connection;
        let failed = diagnosis.outcome() == Outcome::Failed;
        let counts = [&connection.client, &connection.server].map(|end| end.tcp.counts);
        let [client, server] = counts;
        let seconds = |interval: Interval| Seconds(interval.max(Interval::ZERO));
        let lookup = connection.looked_up.as_deref();
        ConnectionFields {
            stream: connection.stream,
            summary: Some(Summary {
                outcome: diagnosis.outcome().name(),
                findings: view
                    .findings(&diagnosis.findings)
                    .map(|finding| finding.code)
                    .collect(),
                stage: connection.stage().name(),
                vantage: connection.vantage().name(),
                roles_known: connection.roles.are_known(),
                conn_state: connection.zeek.conn_state().name(),
                history: connection.zeek.history(),
                signature: failed
                    .then(|| wirewhy_detect::signature(connection))
                    .flatten(),
                first_frame: connection.first.frame,
                last_frame: connection.last.frame,
                handshake_seconds: connection.round_trip().handshake.map(seconds),
                retransmissions: client
                    .retransmissions
                    .saturating_add(server.retransmissions),
                resets: client.resets.saturating_add(server.resets),
                lookup_seconds: lookup.and_then(|found| found.took).map(seconds),
            }),
        }
    }
}
