//! What was seen of QUIC.

use serde::Serialize;
use wirewhy_flow::{Connection, EventKind};
use wirewhy_protocol::{
    QuicClose, QuicFacts, QuicSide, QuicVersion, StatelessReset, TransportParameters,
};

use super::shape::Seconds;

/// One connection over QUIC.
#[derive(Serialize)]
pub(super) struct QuicShape<'a> {
    version: String,
    connection_number: u32,
    initial_destination_id: String,
    client_id: String,
    server_id: Option<String>,
    history: &'a str,
    established: bool,
    client: SideShape,
    server: SideShape,
    hello: HelloShape,
    negotiation: Option<NegotiationShape>,
    retries: u32,
    closes: Vec<CloseShape<'a>>,
    stateless_reset: Option<ResetShape>,
    amplification: AmplificationShape,
    moves: Vec<MoveShape>,
    survived_idle_seconds: Seconds,
    spin_rtt_seconds: Option<Seconds>,
    key_updates: u32,
}

#[derive(Serialize)]
struct SideShape {
    datagrams: u64,
    bytes: u64,
    largest_datagram: u32,
    initial: u64,
    initial_not_opened: u64,
    zero_rtt: u64,
    handshake: u64,
    one_rtt: u64,
    decrypted: u64,
    repeated_crypto: u32,
    max_idle_timeout_seconds: Option<Seconds>,
    max_udp_payload_size: Option<u64>,
    versions: Option<Vec<String>>,
}

#[derive(Serialize)]
struct HelloShape {
    datagrams: u32,
    whole: bool,
    acknowledged: bool,
}

#[derive(Serialize)]
struct NegotiationShape {
    frame: u64,
    offered: String,
    versions: Vec<String>,
    went_on: bool,
}

#[derive(Serialize)]
struct CloseShape<'a> {
    from: &'static str,
    packet: &'static str,
    application: bool,
    code: u64,
    name: Option<&'static str>,
    reason: &'a str,
    frame: u64,
}

#[derive(Serialize)]
struct ResetShape {
    from: &'static str,
    frame: u64,
}

#[derive(Serialize)]
struct AmplificationShape {
    client_bytes: u64,
    server_bytes: u64,
    validated_frame: Option<u64>,
}

#[derive(Serialize)]
struct MoveShape {
    side: &'static str,
    address: std::net::IpAddr,
    port: u16,
    frame: u64,
}

impl<'a> QuicShape<'a> {
    /// `None` of a connection over anything else.
    pub(super) fn of(connection: &'a Connection) -> Option<QuicShape<'a>> {
        let quic = connection.quic()?;
        let QuicFacts {
            negotiation,
            amplification,
            ..
        } = quic;
        let moves = connection
            .events
            .iter()
            .filter_map(|event| match event.kind {
                EventKind::Moved { address, port, .. } => Some(MoveShape {
                    side: event.from.name(),
                    address,
                    port,
                    frame: event.frame,
                }),
                _ => None,
            });
        Some(QuicShape {
            version: quic.version.to_string(),
            connection_number: quic.number,
            initial_destination_id: quic.initial_destination.to_string(),
            client_id: quic.client_id.to_string(),
            server_id: quic.server_id.map(|id| id.to_string()),
            history: &quic.history,
            established: quic.is_established(),
            client: SideShape::new(&quic.client),
            server: SideShape::new(&quic.server),
            hello: HelloShape {
                datagrams: quic.hello.datagrams,
                whole: quic.hello.is_whole,
                acknowledged: quic.hello.is_acknowledged,
            },
            negotiation: negotiation.as_ref().map(|negotiation| NegotiationShape {
                frame: negotiation.mark.frame,
                offered: negotiation.offered.to_string(),
                versions: named(&negotiation.versions),
                went_on: negotiation.went_on.is_some(),
            }),
            retries: quic.retry_count,
            closes: quic.closes.iter().map(CloseShape::new).collect(),
            stateless_reset: quic.reset.as_ref().map(ResetShape::new),
            amplification: AmplificationShape {
                client_bytes: amplification.client_bytes,
                server_bytes: amplification.server_bytes,
                validated_frame: amplification.validated.map(|mark| mark.frame),
            },
            moves: moves.collect(),
            survived_idle_seconds: Seconds(quic.survived_idle),
            spin_rtt_seconds: quic.spin.map(|spin| Seconds(spin.shortest)),
            key_updates: quic.key_updates,
        })
    }
}

impl SideShape {
    fn new(side: &QuicSide) -> SideShape {
        let parameters = side.parameters.as_deref();
        let idle = |parameters: &TransportParameters| parameters.max_idle_timeout;
        SideShape {
            datagrams: side.datagrams,
            bytes: side.bytes,
            largest_datagram: side.largest,
            initial: side.initial.count,
            initial_not_opened: side.unopened,
            zero_rtt: side.zero_rtt.count,
            handshake: side.handshake.count,
            one_rtt: side.one_rtt.count,
            decrypted: side.decrypted(),
            repeated_crypto: side.repeated,
            max_idle_timeout_seconds: parameters.and_then(idle).map(Seconds),
            max_udp_payload_size: parameters.and_then(|own| own.max_udp_payload_size),
            versions: parameters.map(|own| named(&own.versions)),
        }
    }
}

impl CloseShape<'_> {
    fn new(close: &QuicClose) -> CloseShape<'_> {
        CloseShape {
            from: role(close.from),
            packet: close.level.name(),
            application: matches!(close.code, wirewhy_protocol::CloseCode::Application(_)),
            code: close.code.value(),
            name: close.code.name(),
            reason: &close.reason,
            frame: close.mark.frame,
        }
    }
}

impl ResetShape {
    fn new(reset: &StatelessReset) -> ResetShape {
        ResetShape {
            from: role(reset.from),
            frame: reset.mark.frame,
        }
    }
}

fn named(versions: &[QuicVersion]) -> Vec<String> {
    versions.iter().map(ToString::to_string).collect()
}

fn role(role: wirewhy_protocol::Role) -> &'static str {
    match role {
        wirewhy_protocol::Role::Client => "client",
        wirewhy_protocol::Role::Server => "server",
    }
}
