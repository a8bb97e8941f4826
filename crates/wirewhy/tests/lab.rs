//! Holds wirewhy against the lab: what is true of every connection by construction, in `fixtures/captures/*/expected`.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test fail by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use wirewhy::engine::{EngineOptions, ThreadPool, analyze};
use wirewhy_detect::{Diagnosis, Severity, TrustStore};
use wirewhy_flow::{Connection, Transport};
use wirewhy_protocol::KeyLog;
use wirewhy_report::{CaptureSummary, Reporter, View};
use wirewhy_survey::{GroupFinding, Totals, records};

/// One line of a table: connections to one endpoint in one capture, or a finding beyond connections that must be there, or must
/// not.
#[derive(Clone, Debug)]
enum Row {
    Connections {
        capture: String,
        server: String,
        count: usize,
        expected: Expected,
    },
    Finding {
        capture: String,
        code: String,
    },
    Without {
        capture: String,
        code: String,
    },
}

impl Row {
    fn capture(&self) -> &str {
        let (Row::Connections { capture, .. }
        | Row::Finding { capture, .. }
        | Row::Without { capture, .. }) = self;
        capture
    }
}

/// What is accepted of a connection; each a list of alternatives.
#[derive(Clone, Debug)]
struct Expected {
    outcome: Vec<String>,
    root_cause: Vec<String>,
    culprit: Vec<String>,
    confidence: Vec<String>,
}

/// What wirewhy said of one connection; the stream is there to be printed.
#[derive(Clone, Debug)]
struct Reported {
    stream: u32,
    server: String,
    outcome: &'static str,
    root_cause: &'static str,
    culprit: &'static str,
    confidence: &'static str,
    codes: Vec<&'static str>,
    /// The errors that no other finding of the connection explains.
    unexplained: Vec<&'static str>,
}

#[derive(Default)]
struct Collected {
    connections: Vec<Reported>,
    group: Vec<&'static str>,
}

impl Reporter for Collected {
    fn connection(&mut self, diagnosis: &Diagnosis) -> std::io::Result<()> {
        let root = diagnosis.root_cause();
        self.connections.push(Reported {
            stream: diagnosis.connection.stream,
            server: endpoint(&diagnosis.connection),
            outcome: diagnosis.outcome().name(),
            root_cause: root.map_or("-", |root| root.code),
            culprit: root.map_or("-", |root| root.culprit.role.name()),
            confidence: root.map_or("-", |root| root.confidence.name()),
            codes: diagnosis
                .findings
                .iter()
                .map(|finding| finding.code)
                .collect(),
            unexplained: diagnosis
                .findings
                .iter()
                .filter(|finding| {
                    finding.severity == Severity::Error && finding.consequence_of.is_none()
                })
                .map(|finding| finding.code)
                .collect(),
        });
        Ok(())
    }

    fn finish(
        &mut self,
        _: &CaptureSummary,
        _: &Totals,
        group: &[GroupFinding],
    ) -> std::io::Result<()> {
        self.group = group.iter().map(|found| found.finding.code).collect();
        Ok(())
    }
}

/// The server's end as the tables write it.
fn endpoint(connection: &Connection) -> String {
    let server = &connection.server;
    let socket = std::net::SocketAddr::new(server.address, server.port);
    match connection.transport {
        Transport::Tcp => socket.to_string(),
        Transport::Udp => format!("{socket}/udp"),
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/captures")
}

fn scenarios() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(fixtures())
        .expect("the fixtures are there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

fn parse(table: &str) -> Vec<Row> {
    let alternatives = |field: &str| field.split('|').map(str::to_owned).collect::<Vec<_>>();
    let lines = table
        .lines()
        .map(|line| line.split('#').next().unwrap_or("").trim());
    lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            match fields.as_slice() {
                [capture, "finding", code] => Row::Finding {
                    capture: (*capture).to_owned(),
                    code: (*code).to_owned(),
                },
                [capture, "without", code] => Row::Without {
                    capture: (*capture).to_owned(),
                    code: (*code).to_owned(),
                },
                [
                    capture,
                    server,
                    count,
                    outcome,
                    root_cause,
                    culprit,
                    confidence,
                ] => Row::Connections {
                    capture: (*capture).to_owned(),
                    server: (*server).to_owned(),
                    count: count.parse().expect("a count"),
                    expected: Expected {
                        outcome: alternatives(outcome),
                        root_cause: alternatives(root_cause),
                        culprit: alternatives(culprit),
                        confidence: alternatives(confidence),
                    },
                },
                _ => panic!("a row has seven fields, or three: {line}"),
            }
        })
        .collect()
}

fn said_of(folder: &Path, capture: &str) -> Collected {
    let plain = folder.join(capture);
    let path = if plain.exists() {
        plain
    } else {
        folder.join(format!("{capture}.pcap"))
    };
    let reader = wirewhy_capture::open(&path).expect("a readable capture");
    let mut collected = Collected::default();
    let everything = View {
        all: true,
        ..View::default()
    };
    let mut options = EngineOptions {
        keys: keys(folder, capture),
        ..EngineOptions::default()
    };
    if let Ok(roots) = std::fs::read(folder.join("roots.pem")) {
        let (trust, unusable) = TrustStore::from_pem(&roots);
        assert!(unusable.is_empty(), "{}: {unusable:?}", folder.display());
        options.trust = trust;
    }
    analyze(
        &mut reader.into(),
        None,
        &options,
        &everything,
        &ThreadPool::default(),
        &mut collected,
    )
    .expect("collecting does not fail");
    collected
}

/// The secrets beside a capture.
fn keys(folder: &Path, capture: &str) -> KeyLog {
    let mut keys = KeyLog::new();
    if let Ok(text) = std::fs::read(folder.join(format!("{capture}.keylog"))) {
        let lines = keys.add(&text);
        assert!(lines.secrets > 0 && lines.not_understood == 0, "{lines:?}");
    }
    keys
}

impl Expected {
    fn allows(&self, reported: &Reported) -> bool {
        let has = |list: &[String], word: &str| list.iter().any(|known| known == word);
        // In a row that allows no cause beside others, the other columns allow none with it.
        let none = reported.root_cause == "-";
        has(&self.outcome, reported.outcome)
            && has(&self.root_cause, reported.root_cause)
            && (none
                || (has(&self.culprit, reported.culprit)
                    && has(&self.confidence, reported.confidence)))
    }
}

/// Gives every connection a place in a row that allows it; returns those left without one.
fn unplaced<'a>(connections: &[&'a Reported], rows: &[(usize, &Expected)]) -> Vec<&'a Reported> {
    let mut places: Vec<Vec<usize>> = vec![Vec::new(); rows.len()];
    let mut left = Vec::new();
    for index in 0..connections.len() {
        let mut tried = BTreeSet::new();
        if !place(index, connections, rows, &mut places, &mut tried) {
            left.push(connections[index]);
        }
    }
    left
}

/// Kuhn's augmenting paths: moves connections between rows until `index` has a place.
fn place(
    index: usize,
    connections: &[&Reported],
    rows: &[(usize, &Expected)],
    places: &mut Vec<Vec<usize>>,
    tried: &mut BTreeSet<usize>,
) -> bool {
    for (row, (count, expected)) in rows.iter().enumerate() {
        if !expected.allows(connections[index]) || !tried.insert(row) {
            continue;
        }
        if places[row].len() < *count {
            places[row].push(index);
            return true;
        }
        for seat in 0..places[row].len() {
            let other = places[row][seat];
            if place(other, connections, rows, places, tried) {
                places[row][seat] = index;
                return true;
            }
        }
    }
    false
}

/// A failed connection has exactly one error that no other finding explains. Only a warning may stand in its place: an ICMP
/// "fragmentation needed" that the sender ignored explains the black hole, a refusal in HTTP the reset behind it.
fn has_one_root(reported: &Reported) -> bool {
    match reported.unexplained.as_slice() {
        [_] => reported.outcome == "failed",
        [] if reported.outcome != "failed" => true,
        [] => matches!(
            reported.root_cause,
            "tcp.fragmentation-needed" | "http.error-status"
        ),
        _ => false,
    }
}

/// What one scenario gets wrong.
fn complaints(folder: &Path) -> Vec<String> {
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    let table = std::fs::read_to_string(folder.join("expected")).expect("an expected table");
    let rows = parse(&table);
    let mut captures: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
    for row in &rows {
        let capture = row.capture();
        captures.entry(capture.to_owned()).or_default().push(row);
    }
    let mut wrong = Vec::new();
    for (capture, rows) in captures {
        let collected = said_of(folder, &capture);
        let mut by_endpoint: BTreeMap<&str, Vec<(usize, &Expected)>> = BTreeMap::new();
        for row in rows {
            match row {
                Row::Finding { code, .. } if !collected.group.contains(&code.as_str()) => {
                    wrong.push(format!(
                        "{name}/{capture}: {code} is missing; found {:?}",
                        collected.group
                    ));
                }
                Row::Without { code, .. } if collected.group.contains(&code.as_str()) => {
                    wrong.push(format!(
                        "{name}/{capture}: {code} is found, and is not there"
                    ));
                }
                Row::Finding { .. } | Row::Without { .. } => {}
                Row::Connections {
                    server,
                    count,
                    expected,
                    ..
                } => {
                    by_endpoint
                        .entry(server)
                        .or_default()
                        .push((*count, expected));
                }
            }
        }
        let mut connections: BTreeMap<&str, Vec<&Reported>> = BTreeMap::new();
        for reported in &collected.connections {
            if !has_one_root(reported) {
                wrong.push(format!(
                    "{name}/{capture}: stream {} has not one root cause but {:?}",
                    reported.stream, reported.unexplained
                ));
            }
            let named = by_endpoint.contains_key(reported.server.as_str());
            let port = reported.server.rsplit(':').next().unwrap();
            let any = by_endpoint.keys().find(|key| **key == format!("*:{port}"));
            let key = if named {
                reported.server.as_str()
            } else {
                any.copied().unwrap_or(&reported.server)
            };
            connections.entry(key).or_default().push(reported);
        }
        for (endpoint, rows) in &by_endpoint {
            let found = connections.remove(endpoint).unwrap_or_default();
            let count: usize = rows.iter().map(|(count, _)| count).sum();
            if found.len() != count {
                wrong.push(format!(
                    "{name}/{capture}: {} connections to {endpoint}, not {count}",
                    found.len()
                ));
            }
            for reported in unplaced(&found, rows) {
                wrong.push(format!(
                    "{name}/{capture}: stream {}: unexpected {reported:?}",
                    reported.stream
                ));
            }
        }
        for reported in connections.into_values().flatten() {
            wrong.push(format!("{name}/{capture}: in no row: {reported:?}"));
        }
    }
    wrong
}

#[test]
fn every_connection_of_the_lab_is_diagnosed_as_made() {
    let folders = scenarios();
    assert!(folders.len() > 30, "the lab's captures are there");
    let wrong: Vec<String> = folders
        .iter()
        .flat_map(|folder| complaints(folder))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} complaints:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_code_is_found_in_some_real_capture() {
    let mut found: BTreeSet<&str> = BTreeSet::new();
    for folder in scenarios() {
        let table = std::fs::read_to_string(folder.join("expected")).expect("a table");
        for row in parse(&table) {
            let capture = row.capture();
            let collected = said_of(&folder, capture);
            found.extend(collected.group);
            found.extend(
                collected
                    .connections
                    .iter()
                    .flat_map(|reported| &reported.codes),
            );
        }
    }
    let missing: Vec<&str> = records()
        .map(|record| record.code)
        .filter(|code| !found.contains(code))
        .collect();
    assert!(missing.is_empty(), "no capture shows {missing:?}");
}
