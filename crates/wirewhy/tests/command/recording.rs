//! Files of one recording, and reading that a signal ends.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value as Json;
use wirewhy_testkit::{to_pcap, trace};

use crate::run::{Bench, MIXED, Ran, refusals, send};
use crate::scan::records;

/// One attempt to connect whose SYN is sent again over three files.
const RING: [&str; 3] = [
    "0.0 > S 0:0(0) win 64240 <mss 1460>\n1.0 > S 0:0(0) win 64240 <mss 1460>",
    "3.0 > S 0:0(0) win 64240 <mss 1460>",
    "7.0 > S 0:0(0) win 64240 <mss 1460>\n40.0 end",
];

fn ring(bench: &Bench, folder: &str) -> [String; 3] {
    let names = ["t.pcap", "t.pcap1", "t.pcap2"].map(|name| format!("{folder}{name}"));
    for (name, text) in names.iter().zip(RING) {
        bench.capture(name, text);
    }
    names
}

#[test]
fn an_attempt_over_three_files_of_a_ring_is_one_failed_connection() {
    let bench = Bench::new();
    ring(&bench, "");
    // In the order of a shell, whatever it is.
    let ran = bench.run(&["t.pcap2", "t.pcap", "t.pcap1"]);
    assert!(
        ran.out.contains("1 connection: 1 failed, 0 degraded"),
        "{ran:?}"
    );
    assert!(ran.out.contains("One recording in 3 files"), "{ran:?}");
    assert!(ran.out.contains("of t.pcap2"), "{ran:?}");
    assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    assert!(
        ran.err
            .contains("3 files, t.pcap to t.pcap2, are read as one recording"),
        "{ran:?}"
    );
    let apart = bench.run(&["--separate", "t.pcap", "t.pcap1", "t.pcap2"]);
    assert!(!apart.out.contains("One recording"), "{apart:?}");
    for name in ["t.pcap: pcap", "t.pcap1: pcap", "t.pcap2: pcap"] {
        assert!(apart.out.contains(name), "{apart:?}");
    }
}

#[test]
fn show_and_packets_take_the_files_of_a_recording() {
    let bench = Bench::new();
    ring(&bench, "");
    let shown = bench.run(&["show", "t.pcap", "t.pcap1", "t.pcap2", "0"]);
    assert!(
        shown.out.contains("root cause tcp.syn-unanswered"),
        "{shown:?}"
    );
    assert_eq!(shown.out.matches("--- S  seq 0").count(), 4, "{shown:?}");
    let rows = bench.run(&["packets", "t.pcap2", "t.pcap", "t.pcap1"]);
    assert_eq!(rows.out.matches("retransmission").count(), 3, "{rows:?}");
    let missing = bench.run(&["show", "none", "nothing", "0"]);
    assert_eq!(missing.status, Some(2), "{missing:?}");
    assert!(missing.err.contains("none: no such file"), "{missing:?}");
}

#[test]
fn json_lists_the_files_of_a_recording_and_a_single_file_has_no_list() {
    let bench = Bench::new();
    ring(&bench, "");
    let document = |args: &[&str]| -> Json { serde_json::from_str(&bench.run(args).out).unwrap() };
    let joined = document(&["--format", "json", "t.pcap", "t.pcap1", "t.pcap2"]);
    let files = joined["capture"]["files"].as_array().unwrap();
    let firsts: Vec<u64> = files
        .iter()
        .map(|file| file["first_frame"].as_u64().unwrap())
        .collect();
    assert_eq!(firsts, [1, 3, 4]);
    assert_eq!(joined["connections"][0]["last_frame"], 4);
    let alone = document(&["--format", "json", "t.pcap"]);
    assert!(alone["capture"].get("files").is_none());
}

#[test]
fn a_file_missing_from_the_middle_is_a_gap_and_blames_nobody() {
    let bench = Bench::new();
    ring(&bench, "");
    std::fs::remove_file(bench.path("t.pcap1")).unwrap();
    let ran = bench.run(&["t.pcap", "t.pcap2"]);
    assert!(
        ran.out.contains("0 failed, 0 degraded, 0 ok, 1 undecided"),
        "{ran:?}"
    );
    assert!(ran.out.contains("capture.packets-missing"), "{ran:?}");
    assert!(ran.err.contains("t.pcap1: this file is missing"), "{ran:?}");
    assert_eq!(ran.status, Some(3));
}

#[test]
fn captures_of_the_same_private_addresses_are_not_joined() {
    let bench = Bench::new();
    bench.capture("site1.pcap", MIXED);
    let later: String = MIXED
        .lines()
        .map(|line| line.trim().replacen('0', "86400", 1) + "\n")
        .filter(|line| line.starts_with("86400."))
        .collect();
    bench.capture("site2.pcap", &later);
    let ran = bench.run(&["site1.pcap", "site2.pcap"]);
    assert!(!ran.out.contains("One recording"), "{ran:?}");
    assert_eq!(ran.err, "");
    let joined = bench.run(&["--join", "site1.pcap", "site2.pcap"]);
    assert!(
        joined.out.contains("One recording in 2 files"),
        "{joined:?}"
    );
}

#[test]
fn a_scan_counts_a_ring_as_one_capture() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("in")).unwrap();
    ring(&bench, "in/");
    bench.capture("in/other.pcap", MIXED);
    let ran = bench.run(&["scan", "in", "--format", "ndjson", "--all"]);
    let found = records(&ran.out);
    let summary = found
        .iter()
        .find(|record| record["type"] == "summary")
        .unwrap();
    assert_eq!(summary["captures"]["read"], 2, "{ran:?}");
    assert_eq!(summary["totals"]["failed"], 2, "{ran:?}");
    let apart = bench.run(&["scan", "in", "--format", "ndjson", "--separate"]);
    let found = records(&apart.out);
    let summary = found
        .iter()
        .find(|record| record["type"] == "summary")
        .unwrap();
    assert_eq!(summary["captures"]["read"], 4, "{apart:?}");
}

#[test]
fn a_recording_that_grew_is_analysed_again_and_one_that_did_not_is_not() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("in")).unwrap();
    let scan = |state: &str, out: &str| {
        let ran = bench.run(&[
            "scan", "in", "--all", "--format", "ndjson", "--state", state, "-o", out,
        ]);
        assert_eq!(ran.status, Some(0), "{ran:?}");
        std::fs::read_to_string(bench.path(out)).unwrap()
    };
    let without_news = |text: &str| -> Vec<Json> {
        let mut records = records(text);
        for record in &mut records {
            if let Some(record) = record.as_object_mut() {
                record.remove("new");
            }
        }
        records
    };
    let [first, second, third] = ring(&bench, "in/");
    let last = std::fs::read(bench.path(&third)).unwrap();
    for name in [&second, &third] {
        std::fs::remove_file(bench.path(name)).unwrap();
    }
    assert!(bench.path(&first).exists());
    scan("state", "out");
    bench.capture(&second, RING[1]);
    scan("state", "out");
    bench.file(&third, last);
    let grown = scan("state", "out");
    let fresh = scan("other-state", "other-out");
    assert_eq!(without_news(&grown), without_news(&fresh));
    let again = scan("state", "out");
    assert_eq!(without_news(&again), without_news(&grown));
}

fn piped(bench: &Bench, args: &[&str]) -> Child {
    bench
        .command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// More than a pipe holds: once it is written the reader has begun.
const MANY: u32 = 2_000;

#[test]
fn a_signal_ends_reading_a_pipe_with_the_report() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let bench = Bench::new();
        let mut child = piped(&bench, &["-"]);
        let mut input = child.stdin.take().unwrap();
        input.write_all(&to_pcap(&trace(&refusals(MANY)))).unwrap();
        send(signal, &child);
        let ran = Ran::from(child.wait_with_output().unwrap());
        drop(input);
        assert!(
            ran.out.contains("2,000 connections: 2,000 failed"),
            "{ran:?}"
        );
        assert_eq!(ran.status, Some(0));
    }
}

#[test]
fn a_writer_that_ends_by_the_same_signal_loses_nothing() {
    let bench = Bench::new();
    let mut child = piped(&bench, &["-"]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(&to_pcap(&trace(&refusals(MANY)))).unwrap();
    send(Signal::SIGINT, &child);
    drop(input);
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert!(
        ran.out.contains("2,000 connections: 2,000 failed"),
        "{ran:?}"
    );
    assert_eq!(ran.status, Some(0));
}

/// Reads until a finding of this code about this stream is reported.
fn await_finding(lines: &mut std::io::Lines<BufReader<ChildStdout>>, code: &str, stream: u64) {
    for line in lines {
        let record: Json = serde_json::from_str(&line.unwrap()).unwrap();
        let is_found = record["type"] == "finding" && record["finding"]["code"] == code
            || record["code"] == code;
        if is_found && record["stream"] == stream {
            return;
        }
    }
    panic!("no {code} of stream {stream}");
}

/// The rest of what is reported: how many connections there were.
fn connections(lines: std::io::Lines<BufReader<ChildStdout>>) -> u64 {
    let records = lines.map(|line| serde_json::from_str::<Json>(&line.unwrap()).unwrap());
    let totals: Vec<Json> = records
        .filter(|record| record["type"] == "totals")
        .collect();
    totals[0]["connections"].as_u64().unwrap()
}

/// The header of a capture, and each of its halves.
fn halves() -> (Vec<u8>, Vec<u8>) {
    let whole = to_pcap(&trace(&refusals(2)));
    let first = to_pcap(&trace(&refusals(1))).len();
    (whole[..first].to_vec(), whole[first..].to_vec())
}

#[test]
fn a_file_that_grows_is_followed_until_a_signal() {
    let bench = Bench::new();
    let (first, second) = halves();
    let path = bench.file("t.pcap", first);
    let mut child = piped(
        &bench,
        &["live", "--follow", "t.pcap", "--format", "ndjson"],
    );
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    await_finding(&mut lines, "tcp.refused", 0);
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(&second).unwrap();
    await_finding(&mut lines, "tcp.refused", 1);
    send(Signal::SIGINT, &child);
    assert_eq!(connections(lines), 2);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_folder_is_followed_into_its_next_file() {
    let bench = Bench::new();
    let (first, second) = halves();
    let header = first[..24].to_vec();
    std::fs::create_dir(bench.path("ring")).unwrap();
    bench.file("ring/t.pcap", first);
    let mut child = piped(&bench, &["live", "--follow", "ring", "--format", "ndjson"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    await_finding(&mut lines, "tcp.refused", 0);
    bench.file("ring/t.pcap1", [header, second].concat());
    await_finding(&mut lines, "tcp.refused", 1);
    send(Signal::SIGTERM, &child);
    assert_eq!(connections(lines), 2);
    assert!(child.wait().unwrap().success());
}

#[test]
fn standard_input_is_followed_to_its_end_or_a_signal() {
    for is_closed in [true, false] {
        let bench = Bench::new();
        let (first, second) = halves();
        let mut child = piped(&bench, &["live", "--follow", "-", "--format", "ndjson"]);
        let mut input = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        input.write_all(&first).unwrap();
        await_finding(&mut lines, "tcp.refused", 0);
        input.write_all(&second).unwrap();
        await_finding(&mut lines, "tcp.refused", 1);
        if is_closed {
            drop(input);
        } else {
            send(Signal::SIGINT, &child);
        }
        assert_eq!(connections(lines), 2);
        assert!(child.wait().unwrap().success());
    }
}
