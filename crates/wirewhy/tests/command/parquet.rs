//! `wirewhy scan --format parquet`, read by other people's readers.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value as Json;

use crate::run::{Bench, Ran, refusals};
use crate::scan::{archive, records};

const SCAN: [&str; 6] = ["scan", "in", "--all", "--format", "parquet", "-o"];

/// A Python with PyArrow, DuckDB and Polars; CI sets it, so that there the test cannot be passed over.
const PYTHON: &str = "WIREWHY_PYTHON";

/// Sums over the rows, by PyArrow, by DuckDB and by Polars.
const SUMS: &str = r#"
import json, sys
import duckdb, polars, pyarrow.dataset

folder = sys.argv[1]

def rows_of(table):
    return pyarrow.dataset.dataset(f"{folder}/{table}", format="parquet").to_table().to_pylist()

rows = rows_of("connections")
arrow = {
    "rows": len(rows),
    "failed": sum(row["outcome"] == "failed" for row in rows),
    "findings": sum(len(row["findings"]) for row in rows),
    "frames": sum(sum(one["frames"]) for row in rows for one in row["findings"]),
    "facts": [json.loads(one["facts"]) for row in rows for one in row["findings"]],
    "bytes": sum(row["client_to_server"]["bytes"] for row in rows),
    "ports": sum(row["server"]["port"] for row in rows),
    "sources": [row["source"] for row in rows],
    "causes": [row["root_cause"] for row in rows],
    "rtt": [row["rtt_seconds"]["handshake"] for row in rows],
    "start": min(row["start"].isoformat() for row in rows)[:19],
}
duck = duckdb.sql(f"""
    select count(*) as rows, count(*) filter (outcome = 'failed') as failed, sum(len(findings))::bigint as findings,
           sum(client_to_server.bytes)::bigint as bytes, sum(server.port)::bigint as ports
    from '{folder}/connections/*.parquet'""").fetchall()[0]
frame = polars.read_parquet(f"{folder}/connections/*.parquet")
assert frame["start"].dtype == polars.Datetime("us", "UTC"), frame.schema
assert frame["tls"].dtype == polars.String, frame.schema
polars_sums = [
    frame.height,
    int((frame["outcome"] == "failed").sum()),
    int(frame["findings"].list.len().sum()),
    int(frame["client_to_server"].struct.field("bytes").sum()),
    int(frame["server"].struct.field("port").sum()),
]
beyond = [(row["source"], row["scope"], row["code"], json.loads(row["facts"])) for row in rows_of("findings")]
captures = [
    [row["source"], row["readable"], row["problem"], row["packets"], row["connections"], row["failed"], row["link_types"]]
    for row in rows_of("captures")
]
print(json.dumps({"arrow": arrow, "duck": duck, "polars": polars_sums, "beyond": beyond, "captures": captures}))
"#;

fn python() -> Option<String> {
    if let Ok(python) = std::env::var(PYTHON) {
        return Some(python);
    }
    let mut probe = Command::new("python3");
    probe
        .args(["-c", "import duckdb, polars, pyarrow"])
        .stderr(Stdio::null());
    let there = probe.status().is_ok_and(|status| status.success());
    there.then(|| "python3".to_owned())
}

fn sums(bench: &Bench, folder: &str) -> Option<Json> {
    let Some(python) = python() else {
        eprintln!("no Python with PyArrow, DuckDB and Polars: set {PYTHON}");
        return None;
    };
    let read = Command::new(python)
        .args(["-c", SUMS, folder])
        .current_dir(bench.path("."))
        .output()
        .unwrap();
    let read = Ran::from(read);
    assert_eq!(read.status, Some(0), "{read:?}");
    Some(serde_json::from_str(&read.out).unwrap())
}

fn scan(bench: &Bench, more: &[&str]) -> Ran {
    bench.run(&[&SCAN[..], more].concat())
}

fn files(bench: &Bench, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(bench.path(folder)).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The names of the parts, which are the same in each table.
fn names(bench: &Bench, folder: &str) -> Vec<String> {
    let tables = files(bench, folder);
    // In it stands whose parts they are.
    let tables: Vec<&String> = tables
        .iter()
        .filter(|name| *name != ".wirewhy-scan")
        .collect();
    assert_eq!(tables, ["captures", "connections", "findings"]);
    let of = |table: &str| files(bench, &format!("{folder}/{table}"));
    let names = of("connections");
    assert_eq!(of("findings"), names);
    let mut captures = of("captures");
    captures.retain(|name| name != "part-unreadable.parquet");
    assert_eq!(captures, names);
    names
}

#[test]
fn other_readers_find_what_the_records_say() {
    let bench = archive();
    let ran = scan(&bench, &["out"]);
    assert_eq!(ran.status, Some(3), "{ran:?}");
    assert!(
        ran.out.starts_with("4 captures, "),
        "the summary is text: {ran:?}"
    );
    assert_eq!(ran.err.lines().count(), 2, "{ran:?}");
    assert_eq!(names(&bench, "out"), ["part-00000.parquet"]);
    let Some(sums) = sums(&bench, "out") else {
        return;
    };
    let ndjson = bench.run(&["scan", "in", "--all", "--format", "ndjson"]);
    let rows: Vec<Json> = records(&ndjson.out)
        .into_iter()
        .filter(|record| record["type"] == "connection")
        .collect();
    let of = |pointer: &str| -> Vec<Json> {
        rows.iter()
            .map(|row| row.pointer(pointer).unwrap().clone())
            .collect()
    };
    let total = |pointer: &str| -> u64 { of(pointer).iter().filter_map(Json::as_u64).sum() };
    let findings: Vec<Json> = of("/findings")
        .into_iter()
        .flat_map(|found| found.as_array().unwrap().clone())
        .collect();
    let frames = findings
        .iter()
        .flat_map(|found| found["frames"].as_array().unwrap());
    let failed = rows.iter().filter(|row| row["outcome"] == "failed").count();
    let facts: Vec<Json> = findings
        .iter()
        .map(|found| found["facts"].clone())
        .collect();
    let earliest = rows
        .iter()
        .map(|row| row["start"].as_str().unwrap())
        .min()
        .unwrap();
    assert!(rows.len() > 5 && failed > 2);
    let expected = serde_json::json!({
        "rows": rows.len(), "failed": failed, "findings": findings.len(),
        "frames": frames.filter_map(Json::as_u64).sum::<u64>(), "facts": facts,
        "bytes": total("/client_to_server/bytes"), "ports": total("/server/port"),
        "sources": of("/source"), "causes": of("/root_cause"), "rtt": of("/rtt_seconds/handshake"),
        "start": earliest[..19],
    });
    assert_eq!(sums["arrow"], expected);
    let bytes = total("/client_to_server/bytes");
    let duck = serde_json::json!([
        rows.len(),
        failed,
        findings.len(),
        bytes,
        total("/server/port")
    ]);
    assert_eq!(sums["duck"], duck);
    assert_eq!(sums["polars"], duck);
    let all = records(&ndjson.out);
    let of_type = |kind: &'static str| all.iter().filter(move |record| record["type"] == kind);
    let beyond: Vec<Json> = of_type("finding")
        .map(|found| {
            serde_json::json!([
                found["source"],
                found["scope"],
                found["code"],
                found["facts"]
            ])
        })
        .collect();
    assert!(!beyond.is_empty());
    assert_eq!(sums["beyond"], Json::from(beyond));
    let read = of_type("capture")
        .zip(of_type("totals"))
        .map(|(capture, totals)| {
            serde_json::json!([
                capture["source"],
                true,
                capture["problem"],
                capture["packets"],
                totals["connections"],
                totals["failed"],
                capture["link_types"]
            ])
        });
    let unread = of_type("error")
        .map(|error| serde_json::json!([error["source"], false, error["message"], 0, 0, 0, []]));
    let captures: Vec<Json> = read.chain(unread).collect();
    assert!(of_type("error").count() > 0);
    assert_eq!(sums["captures"], Json::from(captures));
}

#[test]
fn any_number_of_jobs_gives_the_same_part() {
    let bench = archive();
    for jobs in ["1", "2", "8"] {
        scan(&bench, &[jobs, "--jobs", jobs]);
    }
    let part = |folder: &str| {
        fs::read(bench.path(&format!("{folder}/connections/part-00000.parquet"))).unwrap()
    };
    assert!(part("1") == part("2") && part("1") == part("8"));
}

#[test]
fn a_killed_scan_leaves_no_broken_part_and_ends_the_same() {
    let bench = archive();
    for number in 0..300 {
        bench.capture(&format!("in/{number:05}"), &refusals(20));
    }
    scan(&bench, &["whole"]);
    let whole = fs::read(bench.path("whole/connections/part-00000.parquet")).unwrap();
    for moment in [0, 40, 77] {
        let folder = format!("out{moment}");
        let state = format!("state{moment}");
        let more = [folder.as_str(), "--state", &state];
        let mut child = bench
            .command(&[&SCAN[..], &more].concat())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let temporary = bench
            .path(&folder)
            .join("connections/.part-00000.parquet.new");
        while moment > 0 && !temporary.exists() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let resumed = scan(&bench, &more);
        assert_eq!(resumed.status, Some(3), "{resumed:?}");
        assert_eq!(names(&bench, &folder), ["part-00000.parquet"]);
        let part = fs::read(bench.path(&folder).join("connections/part-00000.parquet")).unwrap();
        assert!(part == whole, "{moment}");
    }
}

#[test]
fn the_next_scan_adds_a_part_and_replaces_those_with_old_results() {
    let bench = archive();
    let more = ["out", "--state", "state"];
    scan(&bench, &more);
    bench.capture("in/new", crate::run::MIXED);
    let next = scan(&bench, &more);
    assert!(next.out.contains("New since the last scan"), "{next:?}");
    assert_eq!(
        names(&bench, "out"),
        ["part-00000.parquet", "part-00001.parquet"]
    );
    scan(&bench, &more);
    assert_eq!(names(&bench, "out").len(), 2, "nothing new, no part");
    bench.capture("in/a.pcap", crate::run::WELL);
    let changed = scan(&bench, &more);
    assert_eq!(
        names(&bench, "out"),
        ["part-00001.parquet", "part-00002.parquet"]
    );
    assert!(changed.out.contains("5 captures, "), "{changed:?}");
    fs::remove_file(bench.path("out/findings/part-00001.parquet")).unwrap();
    let lost = scan(&bench, &more);
    assert!(lost.err.contains("lacks results"), "{lost:?}");
}

#[test]
fn parts_of_another_scan_are_left_alone() {
    let bench = archive();
    scan(&bench, &["out"]);
    let again = scan(&bench, &["out"]);
    assert_eq!(again.status, Some(2));
    assert_eq!(again.err, "wirewhy: out: holds the parts of another scan\n");
    let anew = scan(&bench, &["out", "--state", "new"]);
    assert_eq!(anew.status, Some(2));
    assert_eq!(anew.err, again.err);
    scan(&bench, &["one", "--state", "one-state"]);
    scan(&bench, &["other", "--state", "other-state"]);
    let crossed = scan(&bench, &["one", "--state", "other-state"]);
    assert_eq!(crossed.status, Some(2));
    assert!(crossed.err.contains("one: "), "{crossed:?}");
    for folder in ["out", "one", "other"] {
        assert_eq!(names(&bench, folder), ["part-00000.parquet"]);
    }
    let held = fs::File::open(bench.path("one")).unwrap();
    held.lock().unwrap();
    let second = scan(&bench, &["one", "--state", "one-state"]);
    assert_eq!(second.err, "wirewhy: one: is in use by another scan\n");
    let nowhere = bench.run(&SCAN[..5]);
    assert!(
        nowhere.err.contains("parquet goes into a folder"),
        "{nowhere:?}"
    );
}
