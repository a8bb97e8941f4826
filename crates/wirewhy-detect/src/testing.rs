//! Traces through parse, track and diagnose, for the tests of detectors.

use wirewhy_flow::{Bounds, Connection, Tcp, TcpEndpoint, Tracker, Transport};
use wirewhy_packet::Decoder;
use wirewhy_testkit::trace;

use crate::{Diagnosis, Finding, Limits, TrustStore, diagnose};

/// Every connection of a trace, diagnosed, by stream number.
fn run(lines: &str, trust: &TrustStore) -> Vec<Diagnosis> {
    let limits = Limits::default();
    let mut decoder = Decoder::new();
    let mut tracker = Tracker::new(Bounds::default());
    let mut connections: Vec<Box<Connection>> = Vec::new();
    for frame in &trace(lines) {
        let packet = decoder.decode(&frame.as_frame());
        tracker.observe(&packet, &mut |connection| connections.push(connection));
    }
    tracker.finish(&mut |connection| connections.push(connection));
    connections.sort_by_key(|connection| connection.stream);
    connections
        .into_iter()
        .map(|connection| diagnose(connection, &limits, trust))
        .collect()
}

/// Every connection of a trace, diagnosed.
pub(crate) fn diagnose_all(lines: &str) -> Vec<Diagnosis> {
    run(lines, &TrustStore::mozilla())
}

/// The findings of a trace whose servers are held against these roots.
pub(crate) fn findings_with(lines: &str, trust: &TrustStore) -> Vec<Finding> {
    run(lines, trust)
        .into_iter()
        .flat_map(|diagnosis| diagnosis.findings)
        .collect()
}

/// The only connection of a trace, diagnosed.
pub(crate) fn diagnosis(lines: &str) -> Diagnosis {
    let mut diagnosis = diagnose_all(lines);
    assert_eq!(diagnosis.len(), 1, "the trace holds one connection");
    diagnosis.remove(0)
}

/// The only connection of a trace as UDP would have carried it.
pub(crate) fn without_tcp(lines: &str) -> Diagnosis {
    let connection = as_datagrams(diagnosis(lines).connection);
    diagnose(connection, &Limits::default(), &TrustStore::mozilla())
}

/// A connection as UDP would have carried it: nothing that only TCP has is left.
pub(crate) fn as_datagrams(mut connection: Box<Connection>) -> Box<Connection> {
    connection.transport = Transport::Udp;
    connection.tcp = Tcp::default();
    connection.client.tcp = TcpEndpoint::default();
    connection.server.tcp = TcpEndpoint::default();
    connection
}

/// Every finding of every connection.
pub(crate) fn findings(lines: &str) -> Vec<Finding> {
    diagnose_all(lines)
        .into_iter()
        .flat_map(|diagnosis| diagnosis.findings)
        .collect()
}

/// The codes of every finding of every connection.
pub(crate) fn codes(lines: &str) -> Vec<&'static str> {
    findings(lines)
        .into_iter()
        .map(|finding| finding.code)
        .collect()
}

/// The only finding of a trace.
pub(crate) fn only(lines: &str) -> Finding {
    let mut found = findings(lines);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}
