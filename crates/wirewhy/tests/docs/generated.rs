//! Pages that are written from the code.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value};
use wirewhy_detect::{Group, Record};
use wirewhy_report::Metrics;
use wirewhy_survey::records;

use super::pages::{alone, anchor, hold, root};

pub(crate) const NOTE: &str =
    "<!-- Written by a test from the code: WIREWHY_BLESS=1 cargo test --test docs -->\n\n";

/// Records in the order of the catalogue, with each group together.
fn groups() -> Vec<(Group, Vec<&'static Record>)> {
    let mut groups: Vec<(Group, Vec<&'static Record>)> = Vec::new();
    for record in records() {
        match groups.iter_mut().find(|(group, _)| *group == record.group) {
            Some((_, members)) => members.push(record),
            None => groups.push((record.group, vec![record])),
        }
    }
    groups
}

/// What a group is called above its codes.
fn heading(group: Group) -> &'static str {
    match group {
        Group::Tcp => "TCP",
        Group::Reset => "Resets",
        Group::Tls => "TLS and certificates",
        Group::Quic => "QUIC",
        Group::Proxy => "The PROXY protocol",
        Group::Lookup => "DNS",
        Group::Http => "HTTP",
        Group::Http2 => "HTTP/2",
        Group::Grpc => "gRPC",
        Group::Ftp => "FTP",
        Group::Ssh => "SSH",
        Group::Session => "Services that refuse a session",
        Group::Service => "Services",
        Group::Host => "Hosts",
        Group::Link => "The link",
        Group::Recording => "The capture itself",
    }
}

/// The codes of a group that stand for it: those that people meet most.
fn examples(group: Group) -> &'static [&'static str] {
    match group {
        Group::Tcp => &[
            "tcp.refused",
            "tcp.syn-unanswered",
            "tcp.mtu-blackhole",
            "tcp.packet-loss",
        ],
        Group::Reset => &["rst.idle-expired", "rst.injected", "rst.close-race"],
        Group::Tls => &[
            "tls.cert-expired",
            "tls.cert-chain-incomplete",
            "tls.version-mismatch",
            "tls.handshake-timeout",
        ],
        Group::Quic => &[
            "quic.unanswered",
            "quic.version-mismatch",
            "quic.handshake-timeout",
        ],
        Group::Proxy => &["proxy.header-mismatch"],
        Group::Lookup => &["dns.timeout", "dns.nxdomain", "dns.servfail"],
        Group::Http => &["http.error-status", "http.expect-stall"],
        Group::Http2 => &["http2.goaway", "http2.stream-reset"],
        Group::Grpc => &["grpc.error-status"],
        Group::Ftp => &["ftp.data-connection-failed", "ftp.error-reply"],
        Group::Ssh => &["ssh.no-shared-algorithms"],
        Group::Session => &["app.session-refused"],
        Group::Service => &["service.down", "service.flaky"],
        Group::Host => &["host.port-scan", "host.idle-timer"],
        Group::Link => &["arp.unanswered"],
        Group::Recording => &["capture.packets-missing", "capture.one-direction"],
    }
}

/// Words as they are, where Markdown would read something into them.
fn plain(text: &str) -> String {
    text.replace('<', "&lt;").replace('*', "\\*")
}

#[test]
fn the_page_of_findings_is_the_catalogue() {
    let mut page = format!(
        "{NOTE}# Findings\n\n\
         Every code that can be found, with the worst severity it can have. `wirewhy explain CODE` prints the same text. A code is\n\
         stable: what changes its meaning gets another one.\n\n\
         | code | worst | what happened |\n| --- | --- | --- |\n"
    );
    for (_, members) in groups() {
        for record in members {
            let (code, to) = (record.code, anchor(record.code));
            let (severity, title) = (record.severity.name(), record.title);
            writeln!(page, "| [`{code}`](#{to}) | {severity} | {title} |").unwrap();
        }
    }
    for (group, members) in groups() {
        write!(page, "\n## {}\n", heading(group)).unwrap();
        for record in members {
            write!(
                page,
                "\n### `{}`\n\n**{}** ({} at worst). {}\n\n*How it is detected.* {}\n\n*What can be mistaken for it.* {}\n\n*What to \
                 check next.*\n\n",
                record.code,
                record.title,
                record.severity.name(),
                plain(record.means),
                plain(record.recognised),
                plain(record.look_alikes),
            )
            .unwrap();
            for step in record.check_next {
                writeln!(page, "- {}", plain(step)).unwrap();
            }
        }
    }
    hold(&root().join("docs/src/findings.md"), &page);
}

const FOUND: &str = "<!-- findings: written by a test from the catalogue -->\n";
const FOUND_END: &str = "<!-- findings: end -->\n";

#[test]
fn the_readme_counts_the_catalogue() {
    let mut table = "| about | codes | among them |\n| --- | ---: | --- |\n".to_owned();
    for (group, members) in groups() {
        let chosen = examples(group);
        let titles = chosen.iter().map(|code| {
            let record = members.iter().find(|record| record.code == *code);
            record
                .unwrap_or_else(|| panic!("{code} is not in the catalogue"))
                .title
        });
        let examples: Vec<&str> = titles.collect();
        writeln!(
            table,
            "| {} (`{}.*`) | {} | {} |",
            heading(group),
            group.name(),
            members.len(),
            examples.join("; ")
        )
        .unwrap();
    }
    between(&root().join("README.md"), [FOUND, FOUND_END], &table);
}

/// Holds what stands between two marks of a page.
fn between(path: &Path, [begin, end]: [&str; 2], table: &str) {
    let _alone = alone();
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(begin).expect("the table's beginning");
    let (_, after) = rest.split_once(end).expect("the table's end");
    hold(path, &[before, begin, table, end, after].concat());
}

const METRICS: &str = "<!-- metrics: written by a test from the code -->\n";
const METRICS_END: &str = "<!-- metrics: end -->\n";

#[test]
fn the_table_of_metrics_is_what_is_served() {
    let text = Metrics::new(1).text();
    let mut table =
        "| metric | type | labels | what it is |\n| --- | --- | --- | --- |\n".to_owned();
    let mut kind = "";
    let mut help = "";
    let mut seen = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            kind = rest.split_once(' ').map_or("", |(_, kind)| kind);
        } else if !line.starts_with('#') {
            let end = line.find(['{', ' ']).unwrap_or(line.len());
            let (name, rest) = line.split_at(end);
            let labels = rest.split_once('}').map_or("", |(labels, _)| labels);
            let labels: Vec<&str> = labels
                .trim_start_matches('{')
                .split(',')
                .filter_map(|label| label.split_once('=').map(|(name, _)| name))
                .filter(|name| *name != "le")
                .collect();
            let name = ["_bucket", "_sum", "_count"]
                .iter()
                .fold(name, |name, end| match kind {
                    "histogram" => name.trim_end_matches(end),
                    _ => name,
                });
            if seen != name {
                name.clone_into(&mut seen);
                writeln!(
                    table,
                    "| `{name}` | {kind} | {} | {help} |",
                    labels.join(", ")
                )
                .unwrap();
            }
        }
    }
    between(
        &root().join("docs/src/server.md"),
        [METRICS, METRICS_END],
        &table,
    );
}

pub(crate) const SCHEMA: &str = "crates/wirewhy-report/schema/wirewhy-1.schema.json";

/// The name of a definition that is referred to; what wraps another one stands for it.
fn referred(reference: &Value) -> Option<&str> {
    let name = reference.as_str()?.strip_prefix("#/$defs/")?;
    Some(name.strip_suffix("Object").unwrap_or(name))
}

/// What a value may be, in a word or two.
fn kind(schema: &Value, definitions: &Map<String, Value>) -> String {
    if let Some(name) = referred(&schema["$ref"]) {
        let has_members = definitions
            .get(name)
            .is_some_and(|definition| definition.get("properties").is_some());
        return match definitions.get(name) {
            _ if has_members => format!("[{name}](#{})", anchor(name)),
            Some(definition) if definition.get("items").is_some() => kind(definition, definitions),
            _ => name.to_owned(),
        };
    }
    if let Some(value) = schema.get("const") {
        return format!("`{value}`");
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
        return values.join(", ");
    }
    for several in ["oneOf", "anyOf"] {
        if let Some(values) = schema.get(several).and_then(Value::as_array) {
            let kinds: Vec<String> = values
                .iter()
                .map(|value| kind(value, definitions))
                .collect();
            return kinds.join(" or ");
        }
    }
    let types = match &schema["type"] {
        Value::String(name) => vec![name.as_str()],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => vec!["anything"],
    };
    let is = |name: &str| types.contains(&name);
    let optional = if is("null") { " or null" } else { "" };
    if is("array") {
        return format!("list of {}{optional}", kind(&schema["items"], definitions));
    }
    types.join(" or ")
}

/// The members of an object, a row each, and behind it those of objects that have no name of their own.
fn rows(
    page: &mut String,
    front: &str,
    members: &Map<String, Value>,
    definitions: &Map<String, Value>,
) {
    for (member, schema) in members {
        let kind = kind(schema, definitions).replace('|', "\\|");
        let text = schema["description"].as_str();
        let text = text.unwrap_or_else(|| panic!("{front}{member} has no description"));
        writeln!(page, "| `{front}{member}` | {kind} | {text} |").unwrap();
        let alternatives = schema.get("oneOf").and_then(Value::as_array);
        let inside = [Some(schema), schema.get("items")]
            .into_iter()
            .flatten()
            .chain(alternatives.into_iter().flatten());
        for inner in inside {
            let Some(members) = inner.get("properties").and_then(Value::as_object) else {
                continue;
            };
            let list = if schema.get("items").is_some() {
                "[]"
            } else {
                ""
            };
            rows(
                page,
                &format!("{front}{member}{list}."),
                members,
                definitions,
            );
        }
    }
}

#[test]
fn the_page_of_json_is_the_schema() {
    let text = std::fs::read_to_string(root().join(SCHEMA)).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let definitions = schema["$defs"].as_object().unwrap();
    let mut page = format!(
        "{NOTE}# JSON reference\n\n{}\n\nWhat `--format json` and `--format ndjson` write, from the [JSON Schema](../../{SCHEMA}) that \
         the tests hold every\nrecord to. Members may be added within a version of the schema; none is removed, renamed or changes its \
         meaning.\n",
        schema["description"].as_str().unwrap(),
    );
    for (name, definition) in definitions {
        let Some(members) = definition.get("properties").and_then(Value::as_object) else {
            continue;
        };
        write!(page, "\n## {name}\n").unwrap();
        if let Some(text) = definition["description"].as_str() {
            write!(page, "\n{text}\n").unwrap();
        }
        if let Some(base) = referred(&definition["$ref"]) {
            write!(page, "\nThe members of [{base}](#{}), and:\n", anchor(base)).unwrap();
        }
        page.push_str("\n| member | type | what it is |\n| --- | --- | --- |\n");
        rows(&mut page, "", members, definitions);
    }
    hold(&root().join("docs/src/json.md"), &page);
}
