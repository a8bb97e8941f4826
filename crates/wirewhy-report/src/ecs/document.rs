//! The fields of a document, in the names and types of ECS.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use serde::Serialize;
use wirewhy_detect::{Confidence, Diagnosis, Finding, Outcome, Severity, Value};
use wirewhy_flow::Connection;
use wirewhy_packet::{Interval, Timestamp};
use wirewhy_survey::{GroupFinding, Totals, record_of};

use super::connection::{ConnectionFields, NetworkFields, SideFields, related};
use super::tls::TlsFields;
use crate::json::{Time, TotalsShape, ValueShape};
use crate::{CaptureSummary, Names, View};

/// One line.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    #[serde(rename = "@timestamp")]
    timestamp: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Cow<'a, str>>,
    ecs: Ecs,
    event: EcsEvent<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<Log>,
    observer: Observer,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<Rule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<NetworkFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<SideFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<SideFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<SideFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<SideFields>,
    #[serde(skip_serializing_if = "Related::is_empty")]
    related: Related,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<TlsFields>,
    wirewhy: Own<'a>,
}

#[derive(Serialize)]
struct Ecs {
    version: &'static str,
}

/// The version of the schema that the names are those of.
const ECS: Ecs = Ecs { version: "9.3.0" };

#[derive(Serialize)]
struct EcsEvent<'a> {
    kind: &'static str,
    category: [&'static str; 1],
    #[serde(rename = "type")]
    types: Vec<&'static str>,
    module: &'static str,
    dataset: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<Time>,
    /// In nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<i64>,
}

impl EcsEvent<'_> {
    fn new(kind: &'static str, dataset: &'static str, types: Vec<&'static str>) -> Self {
        EcsEvent {
            kind,
            category: ["network"],
            types,
            module: "wirewhy",
            dataset,
            code: None,
            outcome: None,
            severity: None,
            reason: None,
            start: None,
            end: None,
            duration: None,
        }
    }
}

#[derive(Serialize)]
struct Log {
    level: &'static str,
}

#[derive(Serialize)]
struct Observer {
    product: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    version: &'static str,
}

const OBSERVER: Observer = Observer {
    product: "wirewhy",
    kind: "sensor",
    version: env!("CARGO_PKG_VERSION"),
};

/// What found it: the text that `wirewhy explain` has of the code.
#[derive(Serialize)]
struct Rule {
    id: &'static str,
    name: &'static str,
    category: &'static str,
    ruleset: &'static str,
    version: &'static str,
}

impl Rule {
    fn of(code: &'static str) -> Option<Rule> {
        let record = record_of(code)?;
        Some(Rule {
            id: code,
            name: record.title,
            category: record.group.name(),
            ruleset: "wirewhy",
            version: env!("CARGO_PKG_VERSION"),
        })
    }
}

#[derive(Serialize)]
struct ErrorFields<'a> {
    code: &'static str,
    /// As `error.type` of OpenTelemetry: the class of the error, with few values.
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
}

impl<'a> ErrorFields<'a> {
    fn of(finding: &'a Finding) -> ErrorFields<'a> {
        ErrorFields {
            code: finding.code,
            kind: finding.code,
            message: &finding.summary,
        }
    }
}

/// Everything in a document that one might search for, whatever its part.
#[derive(Serialize, Default)]
pub(super) struct Related {
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) ip: BTreeSet<IpAddr>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) hosts: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) hash: BTreeSet<String>,
}

impl Related {
    fn is_empty(&self) -> bool {
        self.ip.is_empty() && self.hosts.is_empty() && self.hash.is_empty()
    }
}

/// What ECS has no field for.
#[derive(Serialize, Default)]
struct Own<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<FindingFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<ConnectionFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capture: Option<CaptureFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    totals: Option<TotalsShape>,
}

#[derive(Serialize)]
struct FindingFields<'a> {
    severity: &'static str,
    confidence: &'static str,
    culprit: CulpritFields,
    scope: &'static str,
    subject: Cow<'a, str>,
    frames: &'a [u64],
    #[serde(skip_serializing_if = "Option::is_none")]
    consequence_of: Option<&'static str>,
    /// Each as text, so that a name has one type whatever the code; to be mapped as `flattened`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    facts: BTreeMap<&'static str, String>,
}

impl<'a> FindingFields<'a> {
    fn new(scope: &'static str, subject: Cow<'a, str>, finding: &'a Finding) -> FindingFields<'a> {
        FindingFields {
            severity: finding.severity.name(),
            confidence: finding.confidence.name(),
            culprit: CulpritFields::of(finding),
            scope,
            subject,
            frames: &finding.frames,
            consequence_of: finding.consequence_of,
            facts: finding
                .facts
                .0
                .iter()
                .filter_map(|(name, value)| Some((*name, text_of(value)?)))
                .collect(),
        }
    }
}

#[derive(Serialize)]
struct CulpritFields {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<&'static str>,
}

impl CulpritFields {
    fn of(finding: &Finding) -> CulpritFields {
        CulpritFields {
            role: finding.culprit.role.name(),
            address: finding.culprit.address,
            confidence: finding.culprit_confidence().map(Confidence::name),
        }
    }
}

#[derive(Serialize)]
struct CaptureFields<'a> {
    source: &'a str,
    format: &'a str,
    packets: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped_packets: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
}

impl<'a> Document<'a> {
    fn new(time: Timestamp, event: EcsEvent<'a>) -> Document<'a> {
        Document {
            timestamp: Time(time),
            message: None,
            ecs: ECS,
            event,
            log: None,
            observer: OBSERVER,
            rule: None,
            error: None,
            network: None,
            source: None,
            destination: None,
            client: None,
            server: None,
            related: Related::default(),
            tls: None,
            wirewhy: Own::default(),
        }
    }

    /// The document of a finding, without what it is about.
    fn alert(time: Timestamp, finding: &'a Finding, about: Option<&'static str>) -> Document<'a> {
        let is_error = finding.severity == Severity::Error;
        let mut types: Vec<&'static str> = about.into_iter().collect();
        types.push(if is_error { "error" } else { "info" });
        let event = EcsEvent {
            code: Some(finding.code),
            outcome: is_error.then_some("failure"),
            severity: Some(number_of(finding.severity)),
            ..EcsEvent::new("alert", "wirewhy.finding", types)
        };
        Document {
            message: Some(Cow::Borrowed(&finding.summary)),
            log: Some(Log {
                level: finding.severity.name(),
            }),
            rule: Rule::of(finding.code),
            error: is_error.then(|| ErrorFields::of(finding)),
            ..Document::new(time, event)
        }
    }

    /// A finding about one connection, reported at `time`.
    pub(super) fn of_finding(
        time: Timestamp,
        connection: &'a Connection,
        finding: &'a Finding,
        names: &'a Names,
    ) -> Document<'a> {
        let (client, server) = (&connection.client, &connection.server);
        let subject = SocketAddr::new(server.address, server.port).to_string();
        let mut document = Document::alert(time, finding, Some("connection"));
        document.set_sides(connection, names);
        document.event.start = Some(Time(connection.first.time));
        document.network = Some(NetworkFields::of(connection));
        document.related.ip = [client.address, server.address].into();
        document.related.ip.extend(finding.culprit.address);
        document.related.hosts.extend(related(connection, names));
        let fields = FindingFields::new("connection", Cow::Owned(subject), finding);
        document.wirewhy.finding = Some(fields);
        document.wirewhy.connection = Some(ConnectionFields::named(connection));
        document
    }

    /// A finding about a service, a host, a lookup or the capture.
    pub(super) fn of_group(time: Timestamp, found: &'a GroupFinding) -> Document<'a> {
        let finding = &found.finding;
        let mut document = Document::alert(time, finding, None);
        if let Ok(service) = found.subject.parse::<SocketAddr>() {
            let side = SideFields::of_service(service);
            document.destination = Some(side.clone());
            document.server = Some(side);
            document.related.ip.insert(service.ip());
        }
        document
            .related
            .ip
            .extend(found.subject.parse::<IpAddr>().ok());
        document.related.ip.extend(finding.culprit.address);
        let subject = Cow::Borrowed(found.subject.as_str());
        let fields = FindingFields::new(found.scope.name(), subject, finding);
        document.wirewhy.finding = Some(fields);
        document
    }

    /// A connection that is over, or was when the capture ended.
    pub(super) fn of_connection(
        diagnosis: &'a Diagnosis,
        view: &View,
        names: &'a Names,
    ) -> Document<'a> {
        let connection = &diagnosis.connection;
        let network = NetworkFields::of(connection);
        let cause = diagnosis.root_cause();
        let outcome = diagnosis.outcome();
        let mut types = vec!["connection", "end"];
        // A document with this type has network.protocol.
        types.extend(network.has_protocol().then_some("protocol"));
        types.extend((outcome == Outcome::Failed).then_some("error"));
        let event = EcsEvent {
            code: cause.map(|cause| cause.code),
            outcome: Some(match outcome {
                Outcome::Failed => "failure",
                Outcome::Ok | Outcome::Degraded => "success",
                Outcome::Undecided => "unknown",
            }),
            reason: cause.map(|cause| cause.summary.as_str()),
            start: Some(Time(connection.first.time)),
            end: Some(Time(connection.last.time)),
            duration: Some(connection.duration().max(Interval::ZERO).0),
            ..EcsEvent::new("event", "wirewhy.connection", types)
        };
        let mut document = Document::new(connection.last.time, event);
        document.set_sides(connection, names);
        document.message = Some(Cow::Owned(message_of(diagnosis)));
        document.error = cause
            .filter(|_| outcome == Outcome::Failed)
            .map(ErrorFields::of);
        document.network = Some(network);
        document.related.ip = [connection.client.address, connection.server.address].into();
        document.related.hosts.extend(related(connection, names));
        let tls = connection.app.as_deref().and_then(|app| app.tls.as_deref());
        document.tls = tls.map(TlsFields::new);
        if let Some(tls) = &document.tls {
            document.related.hash.extend(tls.hashes());
        }
        document.wirewhy.connection = Some(ConnectionFields::new(diagnosis, view));
        document
    }

    /// What the capture came to.
    pub(super) fn of_totals(
        time: Timestamp,
        capture: &'a CaptureSummary,
        totals: &Totals,
    ) -> Document<'a> {
        let event = EcsEvent {
            start: capture.first_time.map(Time),
            end: capture.last_time.map(Time),
            duration: Some(capture.duration().max(Interval::ZERO).0),
            ..EcsEvent::new("metric", "wirewhy.totals", vec!["info"])
        };
        let mut document = Document::new(time, event);
        document.wirewhy.capture = Some(CaptureFields {
            source: &capture.source,
            format: &capture.format,
            packets: capture.packets,
            bytes: capture.bytes,
            dropped_packets: capture.dropped_packets,
            problem: capture.problem.as_deref(),
        });
        document.wirewhy.totals = Some(TotalsShape::new(totals));
        document
    }

    /// The client opened the connection, and so is the source. The two are not named client and server where that is a guess.
    fn set_sides(&mut self, connection: &Connection, names: &Names) {
        let client = SideFields::client(connection, names);
        let server = SideFields::server(connection, names);
        if connection.roles.are_known() {
            self.client = Some(client.clone());
            self.server = Some(server.clone());
        }
        self.source = Some(client);
        self.destination = Some(server);
    }
}

/// What Elastic's detection rules take for low, medium and high; 99 is critical.
fn number_of(severity: Severity) -> u8 {
    match severity {
        Severity::Note => 21,
        Severity::Warning => 47,
        Severity::Error => 73,
    }
}

/// Of a connection: its ends, and how it ended.
fn message_of(diagnosis: &Diagnosis) -> String {
    let (client, server) = (&diagnosis.connection.client, &diagnosis.connection.server);
    let ends = format!(
        "{} → {}: {}",
        SocketAddr::new(client.address, client.port),
        SocketAddr::new(server.address, server.port),
        diagnosis.outcome().name()
    );
    match diagnosis.root_cause() {
        Some(cause) => format!("{ends}: {}", cause.summary),
        None => ends,
    }
}

/// A value as text; `None` where it is not known.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Absent => None,
        Value::Text(text) => Some(text.clone()),
        Value::Address(address) => Some(address.to_string()),
        other => serde_json::to_string(&ValueShape(other)).ok(),
    }
}
