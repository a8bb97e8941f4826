//! Every document that the captures of this repository give has the names and types of the Elastic Common Schema, and the index
//! template has the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::run::{Bench, MIXED};

const FIELDS: &str = include_str!("../../../wirewhy-report/schema/ecs-fields.txt");

const TEMPLATE: &str = include_str!("../../../../packaging/elastic/index-template.json");

/// The largest capture that is analysed here, in bytes.
const LARGEST: u64 = 100_000;

/// The length of a pcap file without packets.
const PCAP_HEADER: usize = 24;

/// What ECS allows.
const KINDS: &[&str] = &["alert", "event", "metric"];
const TYPES: &[&str] = &["connection", "end", "error", "info", "protocol"];
const OUTCOMES: &[&str] = &["failure", "success", "unknown"];

/// Types of fields by name: those of ECS, and ours as the template maps them.
fn fields() -> BTreeMap<String, String> {
    let mut fields: BTreeMap<String, String> = FIELDS
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    assert!(fields.len() > 150);
    let template: Value = serde_json::from_str(TEMPLATE).unwrap();
    let ours = &template["template"]["mappings"]["properties"]["wirewhy"];
    add_mapped("wirewhy", ours, &mut fields);
    fields
}

fn add_mapped(name: &str, mapping: &Value, fields: &mut BTreeMap<String, String>) {
    if let Some(kind) = mapping["type"].as_str() {
        fields.insert(name.to_owned(), kind.to_owned());
    }
    for (part, inner) in mapping["properties"].as_object().into_iter().flatten() {
        add_mapped(&format!("{name}.{part}"), inner, fields);
    }
}

/// What is wrong about a value by the type of its field; a list is as its elements are.
fn fault(value: &Value, kind: &str) -> Option<String> {
    if let Value::Array(values) = value {
        return values.iter().find_map(|value| fault(value, kind));
    }
    let fits = match kind {
        "keyword" | "match_only_text" => value.is_string(),
        "long" => value.is_i64() || value.is_u64(),
        "double" => value.is_number(),
        "boolean" => value.is_boolean(),
        "ip" => value
            .as_str()
            .is_some_and(|text| text.parse::<std::net::IpAddr>().is_ok()),
        "date" => value.as_str().is_some_and(is_date),
        "flattened" => value
            .as_object()
            .is_some_and(|object| object.values().all(Value::is_string)),
        other => panic!("{other} is no type of this test"),
    };
    (!fits).then(|| format!("{value} is no {kind}"))
}

/// RFC 3339 in UTC.
fn is_date(text: &str) -> bool {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    shape == "0000-00-00T00:00:00.000000000Z"
}

/// Adds what is wrong about a part of a document, and the names that are used.
fn check(
    name: &str,
    value: &Value,
    fields: &BTreeMap<String, String>,
    (wrong, used): (&mut Vec<String>, &mut BTreeSet<String>),
) {
    if let Some(kind) = fields.get(name) {
        used.insert(name.to_owned());
        wrong.extend(fault(value, kind).map(|fault| format!("{name}: {fault}")));
        return;
    }
    let Value::Object(parts) = value else {
        wrong.push(format!("{name} is no field"));
        return;
    };
    for (part, inner) in parts {
        let name = match name {
            "" => part.clone(),
            outer => format!("{outer}.{part}"),
        };
        check(&name, inner, fields, (wrong, used));
    }
}

/// One capture of each folder.
fn captures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/captures");
    let mut found = Vec::new();
    for folder in std::fs::read_dir(root).unwrap() {
        let files = std::fs::read_dir(folder.unwrap().path()).unwrap();
        let mut files: Vec<PathBuf> = files
            .map(|file| file.unwrap().path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|end| end == "pcap" || end == "pcapng")
            })
            .filter(|path| path.metadata().unwrap().len() <= LARGEST)
            .collect();
        files.sort();
        found.extend(files.into_iter().next());
    }
    found.sort();
    assert!(found.len() > 150, "{}", found.len());
    found
}

fn documents(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn every_document_of_every_capture_fits_the_schema() {
    let captures = captures();
    let mut arguments = vec!["--format", "ecs", "--all", "--separate"];
    arguments.extend(captures.iter().map(|path| path.to_str().unwrap()));
    let ran = Bench::new().run(&arguments);
    let fields = fields();
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::new());
    let documents = documents(&ran.out);
    assert!(documents.len() > 1_000, "{}", ran.err);
    let one_of =
        |value: &Value, known: &[&str]| value.as_str().is_some_and(|text| known.contains(&text));
    for document in &documents {
        check("", document, &fields, (&mut wrong, &mut used));
        let event = &document["event"];
        let types = event["type"].as_array().unwrap();
        assert!(one_of(&event["kind"], KINDS), "{document}");
        assert_eq!(event["category"], serde_json::json!(["network"]));
        assert!(types.iter().all(|kind| one_of(kind, TYPES)), "{document}");
        assert!(event["outcome"].is_null() || one_of(&event["outcome"], OUTCOMES));
        for required in ["@timestamp", "ecs"] {
            assert!(!document[required].is_null(), "{required}: {document}");
        }
        // With "connection" there are both ends, with "protocol" its name.
        if types.iter().any(|kind| kind == "connection") {
            assert!(
                document["source"]["ip"].is_string() && document["destination"]["port"].is_u64()
            );
        }
        let has_protocol = types.iter().any(|kind| kind == "protocol");
        assert!(!has_protocol || document["network"]["protocol"].is_string());
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // What no capture shows may be misspelled.
    for name in fields.keys().filter(|name| name.starts_with("wirewhy.")) {
        let rare = ["wirewhy.capture.dropped_packets", "wirewhy.capture.problem"];
        assert!(
            used.contains(name) || rare.contains(&name.as_str()),
            "{name} is never used"
        );
    }
    for name in [
        "error.code",
        "event.severity",
        "network.protocol",
        "related.hash",
        "rule.name",
        "tls.cipher",
        "tls.client.ja3",
        "tls.client.server_name",
        "tls.client.x509.serial_number",
        "tls.curve",
        "tls.resumed",
        "tls.server.x509.public_key_size",
        "tls.version",
    ] {
        assert!(used.contains(name), "{name} is never used");
    }
}

#[test]
fn a_refused_connection_is_a_finding_a_connection_and_totals() {
    let bench = Bench::new();
    bench.capture("a.pcap", MIXED);
    let ran = bench.run(&["--format", "ecs", "a.pcap"]);
    let documents = documents(&ran.out);
    let kinds: Vec<&str> = documents
        .iter()
        .map(|document| document["event"]["dataset"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["wirewhy.finding", "wirewhy.connection", "wirewhy.totals"]
    );
    let [finding, connection, totals] = documents.as_slice() else {
        panic!("{}", ran.out);
    };
    for document in [finding, connection] {
        assert_eq!(document["event"]["code"], "tcp.refused");
        assert_eq!(document["event"]["outcome"], "failure");
        assert_eq!(document["error"]["code"], "tcp.refused");
        assert_eq!(document["error"]["type"], "tcp.refused");
        assert_eq!(document["source"], document["client"]);
        assert_eq!(document["destination"], document["server"]);
        assert_eq!(document["network"]["transport"], "tcp");
        let community_id = document["network"]["community_id"].as_str().unwrap();
        assert!(community_id.starts_with("1:"));
    }
    assert_eq!(finding["event"]["kind"], "alert");
    assert_eq!(finding["event"]["severity"], 73);
    assert_eq!(finding["log"]["level"], "error");
    assert_eq!(finding["rule"]["id"], "tcp.refused");
    assert_eq!(connection["event"]["kind"], "event");
    assert_eq!(connection["event"]["duration"], 10_000_000);
    assert_eq!(connection["wirewhy"]["connection"]["conn_state"], "REJ");
    assert_eq!(totals["wirewhy"]["totals"]["failed"], 1);
    assert_eq!(totals["wirewhy"]["totals"]["connections"], 2);
}

#[test]
fn live_gives_the_same_documents() {
    let bench = Bench::new();
    bench.capture("a.pcap", MIXED);
    let saved = documents(&bench.run(&["--format", "ecs", "a.pcap"]).out);
    let arguments = [
        "live",
        "--follow",
        "a.pcap",
        "--format",
        "ecs",
        "--duration",
        "0.5s",
    ];
    let live = documents(&bench.run(&arguments).out);
    let without_time = |documents: &[Value], dataset: &str| -> Vec<Value> {
        let some = documents
            .iter()
            .filter(|document| document["event"]["dataset"] == dataset);
        let cleared = some.cloned().map(|mut document| {
            document["@timestamp"] = Value::Null;
            document
        });
        cleared.collect()
    };
    for dataset in ["wirewhy.finding", "wirewhy.connection"] {
        let (saved, live) = (without_time(&saved, dataset), without_time(&live, dataset));
        assert!(!saved.is_empty());
        assert_eq!(saved, live);
    }
}

#[test]
fn a_capture_without_packets_has_no_documents() {
    let bench = Bench::new();
    let mut bytes = std::fs::read(bench.capture("a.pcap", MIXED)).unwrap();
    bytes.truncate(PCAP_HEADER);
    bench.file("empty.pcap", bytes);
    let ran = bench.run(&["--format", "ecs", "--all", "empty.pcap"]);
    assert_eq!(ran.out, "", "without a packet there is no time");
}
