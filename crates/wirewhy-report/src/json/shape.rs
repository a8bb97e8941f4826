//! The members of the JSON output, and their order.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Serialize, Serializer};
use wirewhy_detect::{Confidence, Diagnosis, Facts, Finding, Value};
use wirewhy_flow::{Connection, Endpoint, LookedUp, Missing, RoundTrip};
use wirewhy_packet::{Interval, Timestamp};
use wirewhy_protocol::{dns_rcode_name, dns_type_name};
use wirewhy_survey::{GroupFinding, Totals};

use super::SCHEMA;
use super::dtls::DtlsShape;
use super::quic::QuicShape;
use super::tls::{TlsShape, UpgradeShape};
use crate::community_id::community_id_of;
use crate::names::server_name;
use crate::view::View;
use crate::{CaptureSummary, Names, format, lookup};

/// The program that wrote it.
#[derive(Serialize)]
pub(super) struct Tool {
    name: &'static str,
    version: &'static str,
}

impl Tool {
    pub(super) const THIS: Tool = Tool {
        name: "wirewhy",
        version: env!("CARGO_PKG_VERSION"),
    };
}

/// A record of a stream of records.
#[derive(Serialize)]
pub(crate) struct Tagged<'a, T> {
    #[serde(rename = "type")]
    kind: &'static str,
    schema: &'static str,
    /// Where captures share a stream: which one it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(flatten)]
    record: &'a T,
}

impl<'a, T> Tagged<'a, T> {
    pub(crate) fn new(kind: &'static str, record: &'a T) -> Tagged<'a, T> {
        Tagged {
            kind,
            schema: SCHEMA,
            source: None,
            record,
        }
    }

    pub(super) fn about(self, source: Option<&'a str>) -> Tagged<'a, T> {
        Tagged { source, ..self }
    }
}

#[derive(Serialize)]
pub(super) struct CaptureShape<'a> {
    source: &'a str,
    format: &'a str,
    compression: Option<&'a str>,
    link_types: &'a [String],
    packets: u64,
    bytes: u64,
    first_time: Option<Time>,
    last_time: Option<Time>,
    duration_seconds: Seconds,
    dropped_packets: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    given_up_connections: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unread_connections: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unverified_chains: Option<u64>,
    problem: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    files: Vec<FileShape<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    gaps: Vec<GapShape>,
}

/// One of the files of a recording.
#[derive(Serialize)]
struct FileShape<'a> {
    source: &'a str,
    first_frame: u64,
    packets: u64,
    problem: Option<&'a str>,
}

/// A part of the time of a recording in which packets are missing.
#[derive(Serialize)]
struct GapShape {
    from: Time,
    until: Time,
    frame: u64,
}

impl<'a> CaptureShape<'a> {
    pub(super) fn new(capture: &'a CaptureSummary) -> CaptureShape<'a> {
        CaptureShape {
            source: &capture.source,
            format: &capture.format,
            compression: capture.compression.as_deref(),
            link_types: &capture.link_types,
            packets: capture.packets,
            bytes: capture.bytes,
            first_time: capture.first_time.map(Time),
            last_time: capture.last_time.map(Time),
            duration_seconds: Seconds(capture.duration()),
            dropped_packets: capture.dropped_packets,
            given_up_connections: Some(capture.given_up).filter(|count| *count > 0),
            unread_connections: Some(capture.unread).filter(|count| *count > 0),
            unverified_chains: Some(capture.not_followed).filter(|count| *count > 0),
            problem: capture.problem.as_deref(),
            files: capture
                .files
                .iter()
                .map(|file| FileShape {
                    source: &file.source,
                    first_frame: file.first_frame,
                    packets: file.packets,
                    problem: file.problem.as_deref(),
                })
                .collect(),
            gaps: capture
                .gaps
                .iter()
                .map(|gap| GapShape {
                    from: Time(gap.from),
                    until: Time(gap.until),
                    frame: gap.frame,
                })
                .collect(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct TotalsShape {
    pub(crate) connections: u64,
    pub(crate) failed: u64,
    pub(crate) degraded: u64,
    pub(crate) ok: u64,
    pub(crate) undecided: u64,
    pub(crate) tcp_packets: u64,
    pub(crate) resets: u64,
    pub(crate) retransmissions: u64,
}

impl TotalsShape {
    pub(crate) fn add(&mut self, other: &TotalsShape) {
        for (sum, number) in [
            (&mut self.connections, other.connections),
            (&mut self.failed, other.failed),
            (&mut self.degraded, other.degraded),
            (&mut self.ok, other.ok),
            (&mut self.undecided, other.undecided),
            (&mut self.tcp_packets, other.tcp_packets),
            (&mut self.resets, other.resets),
            (&mut self.retransmissions, other.retransmissions),
        ] {
            *sum = sum.saturating_add(number);
        }
    }

    pub(crate) fn new(totals: &Totals) -> TotalsShape {
        TotalsShape {
            connections: totals.connections,
            failed: totals.failed,
            degraded: totals.degraded,
            ok: totals.ok,
            undecided: totals.undecided,
            tcp_packets: totals.tcp_packets,
            resets: totals.resets,
            retransmissions: totals.retransmissions,
        }
    }
}

#[derive(Serialize)]
pub(super) struct ConnectionShape<'a> {
    transport: &'static str,
    stream: u32,
    community_id: String,
    client: EndpointShape<'a>,
    server: EndpointShape<'a>,
    start: Time,
    duration_seconds: Seconds,
    first_frame: u64,
    last_frame: u64,
    outcome: &'static str,
    root_cause: Option<&'static str>,
    stage: &'static str,
    vantage: &'static str,
    roles_known: bool,
    signature: Option<String>,
    conn_state: &'static str,
    history: &'a str,
    rtt_seconds: RttShape,
    client_to_server: DirectionShape,
    server_to_client: DirectionShape,
    tls: Option<TlsShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quic: Option<QuicShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dtls: Option<DtlsShape<'a>>,
    upgrade: Option<UpgradeShape<'a>>,
    lookup: Option<LookupShape<'a>>,
    findings: Vec<FindingShape<'a>>,
}

impl<'a> ConnectionShape<'a> {
    pub(super) fn new(
        diagnosis: &'a Diagnosis,
        view: &View,
        names: &'a Names,
    ) -> ConnectionShape<'a> {
        let connection = &diagnosis.connection;
        let (client, server) = (&connection.client, &connection.server);
        let app = connection.app.as_deref();
        let socket = |end: &Endpoint| SocketAddr::new(end.address, end.port);
        ConnectionShape {
            transport: connection.transport_name(),
            stream: connection.stream,
            community_id: community_id_of(connection.transport, socket(client), socket(server)),
            client: EndpointShape::new(client, names),
            server: EndpointShape {
                name: names
                    .name(server.address)
                    .map(Cow::Borrowed)
                    .or_else(|| server_name(connection)),
                ..EndpointShape::new(server, names)
            },
            start: Time(connection.first.time),
            duration_seconds: Seconds(connection.duration()),
            first_frame: connection.first.frame,
            last_frame: connection.last.frame,
            outcome: diagnosis.outcome().name(),
            root_cause: diagnosis.root_cause().map(|cause| cause.code),
            stage: connection.stage().name(),
            vantage: connection.vantage().name(),
            roles_known: connection.roles.are_known(),
            signature: signature_of(diagnosis),
            conn_state: connection.zeek.conn_state().name(),
            history: connection.zeek.history(),
            rtt_seconds: RttShape::new(connection),
            client_to_server: DirectionShape::new(client),
            server_to_client: DirectionShape::new(server),
            tls: app.and_then(|app| Some(TlsShape::new(app.tls.as_deref()?))),
            quic: QuicShape::of(connection),
            dtls: connection.dtls().map(DtlsShape::new),
            upgrade: app.and_then(|app| Some(UpgradeShape::new(app.upgrade.as_deref()?))),
            lookup: connection.looked_up.as_deref().map(LookupShape::new),
            findings: view
                .findings(&diagnosis.findings)
                .map(FindingShape::new)
                .collect(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct EndpointShape<'a> {
    address: IpAddr,
    port: u16,
    name: Option<Cow<'a, str>>,
}

impl<'a> EndpointShape<'a> {
    pub(super) fn new(endpoint: &Endpoint, names: &'a Names) -> EndpointShape<'a> {
        EndpointShape {
            address: endpoint.address,
            port: endpoint.port,
            name: names.name(endpoint.address).map(Cow::Borrowed),
        }
    }
}

/// The lookup that gave the client the server's address.
#[derive(Serialize)]
struct LookupShape<'a> {
    name: &'a str,
    seconds: Option<Seconds>,
    frame: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<TroubleShape>,
}

/// What the lookup lost the connection that depended on it.
#[derive(Serialize)]
struct TroubleShape {
    seconds: Seconds,
    first_frame: u64,
    resolved: bool,
    missed: Vec<MissedShape>,
    summary: Option<String>,
}

#[derive(Serialize)]
struct MissedShape {
    #[serde(rename = "type")]
    kind: String,
    resolver: IpAddr,
    how: &'static str,
    response_code: Option<String>,
    frame: u64,
}

impl TroubleShape {
    fn new(found: &LookedUp) -> Option<TroubleShape> {
        let trouble = found.trouble.as_deref()?;
        let missed = trouble.missed.iter().map(|missed| MissedShape {
            kind: dns_type_name(missed.kind),
            resolver: missed.resolver.0,
            how: lookup::how(missed.how),
            response_code: match missed.how {
                Missing::Code(code) => Some(dns_rcode_name(code)),
                _ => None,
            },
            frame: missed.since.frame,
        });
        Some(TroubleShape {
            seconds: Seconds(trouble.delay),
            first_frame: trouble.first.frame,
            resolved: trouble.is_resolved,
            missed: missed.collect(),
            summary: lookup::sentence(found),
        })
    }
}

impl<'a> LookupShape<'a> {
    fn new(found: &'a LookedUp) -> LookupShape<'a> {
        LookupShape {
            name: &found.name,
            seconds: found.took.map(Seconds),
            frame: found.answer.map(|answer| answer.frame),
            trouble: TroubleShape::new(found),
        }
    }
}

#[derive(Serialize)]
struct RttShape {
    handshake: Option<Seconds>,
    to_server: Option<Seconds>,
    to_client: Option<Seconds>,
    smoothed: Option<Seconds>,
}

impl RttShape {
    fn new(connection: &Connection) -> RttShape {
        let RoundTrip {
            handshake,
            to_server,
            to_client,
        } = connection.round_trip();
        let measured = |end: &Endpoint| {
            let round_trip = end.tcp.delivery.round_trip;
            (round_trip.samples > 0).then_some(round_trip.smoothed.0)
        };
        // Each side's data is answered by the other, so the two halves add up to the whole way.
        let halves = measured(&connection.client).zip(measured(&connection.server));
        let smoothed = halves.map(|(there, back)| Interval(there.saturating_add(back)));
        RttShape {
            handshake: handshake.map(Seconds),
            to_server: to_server.map(Seconds),
            to_client: to_client.map(Seconds),
            smoothed: smoothed.map(Seconds),
        }
    }
}

/// What one side sent.
#[derive(Serialize)]
struct DirectionShape {
    packets: u64,
    bytes: u64,
    payload_bytes: u64,
    retransmissions: u32,
    fast_retransmissions: u32,
    spurious_retransmissions: u32,
    out_of_order: u32,
    duplicate_acks: u32,
    zero_windows: u32,
    resets: u32,
}

impl DirectionShape {
    fn new(sender: &Endpoint) -> DirectionShape {
        let (counts, tcp) = (&sender.counts, &sender.tcp);
        let trouble = tcp.trouble();
        DirectionShape {
            packets: counts.packets,
            bytes: counts.bytes,
            payload_bytes: counts.payload_bytes,
            retransmissions: tcp.counts.retransmissions,
            fast_retransmissions: trouble.map_or(0, |trouble| trouble.fast),
            spurious_retransmissions: trouble.map_or(0, |trouble| trouble.spurious),
            out_of_order: tcp.counts.out_of_order,
            duplicate_acks: tcp.counts.duplicate_acks,
            zero_windows: tcp.counts.zero_windows,
            resets: tcp.counts.resets,
        }
    }
}

#[derive(Serialize)]
pub(super) struct GroupShape<'a> {
    scope: &'static str,
    subject: &'a str,
    #[serde(flatten)]
    finding: FindingShape<'a>,
}

impl<'a> GroupShape<'a> {
    pub(super) fn new(group: &'a GroupFinding) -> GroupShape<'a> {
        GroupShape {
            scope: group.scope.name(),
            subject: &group.subject,
            finding: FindingShape::new(&group.finding),
        }
    }
}

#[derive(Serialize)]
pub(super) struct FindingShape<'a> {
    code: &'static str,
    severity: &'static str,
    confidence: &'static str,
    culprit: CulpritShape,
    summary: &'a str,
    frames: &'a [u64],
    facts: FactsShape<'a>,
    consequence_of: Option<&'static str>,
}

impl<'a> FindingShape<'a> {
    pub(super) fn new(finding: &'a Finding) -> FindingShape<'a> {
        FindingShape {
            code: finding.code,
            severity: finding.severity.name(),
            confidence: finding.confidence.name(),
            culprit: CulpritShape::new(finding),
            summary: &finding.summary,
            frames: &finding.frames,
            facts: FactsShape(&finding.facts),
            consequence_of: finding.consequence_of,
        }
    }
}

#[derive(Serialize)]
pub(crate) struct CulpritShape {
    role: &'static str,
    address: Option<IpAddr>,
    confidence: Option<&'static str>,
}

impl CulpritShape {
    pub(crate) fn new(finding: &Finding) -> CulpritShape {
        CulpritShape {
            role: finding.culprit.role.name(),
            address: finding.culprit.address,
            confidence: finding.culprit_confidence().map(Confidence::name),
        }
    }
}

/// Measured values by name.
pub(crate) struct FactsShape<'a>(pub(crate) &'a Facts);

impl Serialize for FactsShape<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fields(serializer, &self.0.0)
    }
}

/// One measured value.
pub(crate) struct ValueShape<'a>(pub(crate) &'a Value);

impl Serialize for ValueShape<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Absent => serializer.serialize_none(),
            Value::Flag(flag) => serializer.serialize_bool(*flag),
            Value::Count(count) => serializer.serialize_u64(*count),
            Value::Signed(number) => serializer.serialize_i64(*number),
            // A clock that was set back in between measures less than nothing.
            Value::Seconds(interval) => {
                Seconds((*interval).max(Interval::ZERO)).serialize(serializer)
            }
            Value::Share(share) => serializer.serialize_f64(*share),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Address(address) => serializer.collect_str(address),
            Value::List(values) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                for value in values {
                    list.serialize_element(&ValueShape(value))?;
                }
                list.end()
            }
            Value::Object(record) => fields(serializer, record),
        }
    }
}

fn fields<S: Serializer>(
    serializer: S,
    fields: &[(&'static str, Value)],
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(fields.len()))?;
    for (name, value) in fields {
        map.serialize_entry(name, &ValueShape(value))?;
    }
    map.end()
}

/// A point in time, as RFC 3339.
pub(crate) struct Time(pub(crate) Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format::rfc3339(self.0))
    }
}

/// A span, as a number of seconds.
pub(crate) struct Seconds(pub(crate) Interval);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.as_secs_f64())
    }
}

/// Cloudflare's stage signature, for connections that failed.
fn signature_of(diagnosis: &Diagnosis) -> Option<String> {
    let failed = diagnosis.outcome() == wirewhy_detect::Outcome::Failed;
    failed
        .then(|| wirewhy_detect::signature(&diagnosis.connection))
        .flatten()
}
