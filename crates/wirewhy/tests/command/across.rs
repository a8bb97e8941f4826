//! `wirewhy scan` over captures that lie next to one another in time.

use std::fs;

use serde_json::Value as Json;
use wirewhy_packet::Interval;
use wirewhy_testkit::{OwnedFrame, to_pcap, trace};

use crate::run::Bench;
use crate::scan::records;

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 3_600;

/// A bench with an empty archive.
fn bench() -> Bench {
    let bench = Bench::new();
    fs::create_dir(bench.path("in")).unwrap();
    bench
}

/// Attempts at one service, one a second: `r` is refused, `w` works. No two of them come from the same port.
fn attempts(first: u16, fates: &str) -> String {
    let mut text = String::new();
    for (n, fate) in (0_u16..).zip(fates.chars()) {
        let number = n + 1;
        text += &format!(
            "#{number} client 192.0.2.{}:{}\n",
            n % 3 + 1,
            40_000 + first + n
        );
        let rest: &[&str] = match fate {
            'r' => &["02 < RA 0:0(0) ack 1 abs-seq win 0"],
            _ => &[
                "02 < SA 0:0(0) ack 1",
                "03 > A 1:1(0) ack 1",
                "04 > PA 1:11(10) ack 1",
                "06 < PA 1:11(10) ack 11",
                "07 > FA 11:11(0) ack 11",
                "08 < FA 11:11(0) ack 12",
                "09 > A 12:12(0) ack 12",
            ],
        };
        text += &format!("{n}.00 #{number} > S 0:0(0)\n");
        for line in rest {
            let (after, line) = line.split_once(' ').unwrap();
            text += &format!("{n}.{after} #{number} {line}\n");
        }
    }
    text
}

/// The frames of a trace, so many seconds later than it says.
fn later(text: &str, seconds: i64) -> Vec<OwnedFrame> {
    let mut frames = trace(text);
    for frame in &mut frames {
        frame.time = frame.time.after(Interval::from_secs(seconds));
    }
    frames
}

fn put(bench: &Bench, name: &str, text: &str, seconds: i64) {
    bench.file(name, to_pcap(&later(text, seconds)));
}

fn summary(bench: &Bench, more: &[&str]) -> Json {
    let ran = bench.run(&[&["scan", "--format", "ndjson", "in"], more].concat());
    assert_eq!(ran.status, Some(0), "{ran:?}");
    records(&ran.out).pop().unwrap()
}

/// A ring of six files with an attempt in each, of which none worked.
fn dead_ring(bench: &Bench) {
    for n in 0..6 {
        let text = attempts(n * 10, "r");
        put(
            bench,
            &format!("in/ring.pcap{n}"),
            &text,
            i64::from(n) * MINUTE,
        );
    }
}

fn codes(findings: &Json) -> Vec<&str> {
    let findings = findings.as_array().unwrap().iter();
    findings
        .map(|found| found["code"].as_str().unwrap())
        .collect()
}

#[test]
fn a_service_down_over_a_ring_of_files() {
    let bench = bench();
    dead_ring(&bench);
    let summary = summary(&bench, &[]);
    let across = &summary["across"];
    assert_eq!(codes(across), ["service.down"]);
    let down = &across[0];
    assert_eq!(down["subject"], "198.51.100.1:80");
    assert_eq!(
        (&down["captures"], &down["captures_in_trouble"]),
        (&6.into(), &6.into())
    );
    assert_eq!(down["first_time"], "2026-01-02T03:04:05.000000000Z");
    assert_eq!(down["last_time"], "2026-01-02T03:09:05.000000000Z");
    assert_eq!(
        down["proof"][1],
        serde_json::json!({"source": "in/ring.pcap1", "frames": [2]})
    );
    assert_eq!(down["last_source"], "in/ring.pcap5");
    assert_eq!(summary["findings"], serde_json::json!([]));
    let text = bench.run(&["scan", "in"]).out;
    let expected = "\
Captures next to one another, judged as one:
error    service.down  Every attempt at this service failed
what     198.51.100.1:80: all 6 attempts of 192.0.2.1 over 300 s came to nothing, all for the same
         reason: connection refused (tcp.refused)
culprit  the server 198.51.100.1, likely: no other common cause fits
where    6 captures
when     from 2026-01-02 03:04:05.000 to 2026-01-02 03:09:05.000 UTC
proof    in/ring.pcap0: frame 2; in/ring.pcap1: frame 2; in/ring.pcap2: frame 2; and 3 more, the
         last in/ring.pcap5
";
    assert!(text.contains(expected), "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

#[test]
fn what_is_ignored_is_not_told_of_captures_together() {
    let bench = bench();
    dead_ring(&bench);
    let ignored = summary(&bench, &["--ignore", "service.*"]);
    assert_eq!(ignored["across"], serde_json::json!([]));
}

#[test]
fn how_far_apart_captures_may_be_can_be_set() {
    let bench = bench();
    dead_ring(&bench);
    bench.file("near", "[limits]\nepisode_gap_seconds = 30\n");
    let apart = summary(&bench, &["--config", "near"]);
    assert_eq!(apart["across"], serde_json::json!([]));
}

#[test]
fn down_in_one_file_and_well_in_the_next() {
    let bench = bench();
    for (n, fates) in (0..).zip(["wwwwww", "wwwwww", "rrrrrr", "wwwwww"]) {
        let text = attempts(n * 10, fates);
        put(
            &bench,
            &format!("in/ring-{n}.pcap"),
            &text,
            i64::from(n) * MINUTE,
        );
    }
    let told = summary(&bench, &[]);
    assert_eq!(codes(&told["across"]), ["service.flaky"]);
    let flaky = &told["across"][0];
    assert_eq!(
        (&flaky["captures"], &flaky["captures_in_trouble"]),
        (&4.into(), &1.into())
    );
    assert_eq!(told["findings"], serde_json::json!([]));
    let text = bench.run(&["scan", "in"]).out;
    assert!(text.contains("6 of 24 attempts failed (25 %)"), "{text}");
    assert!(
        text.contains("where    4 captures, in vain in in/ring-2.pcap\n"),
        "{text}"
    );
    assert!(!text.contains("Beyond single connections"), "{text}");
    // Too few of very many to be flaky: what the one capture says is said of it alone.
    put(
        &bench,
        "in/ring-4.pcap",
        &attempts(100, &"w".repeat(200)),
        4 * MINUTE,
    );
    let told = summary(&bench, &[]);
    assert_eq!(told["across"], serde_json::json!([]));
    assert_eq!(codes(&told["findings"]), ["service.down"]);
    assert_eq!(told["findings"][0]["contradicted"], 1);
    let text = bench.run(&["scan", "in"]).out;
    assert!(
        text.contains(
            "198.51.100.1:80: in 1 capture, each by itself: in others next to it, it is not so"
        ),
        "{text}"
    );
}

#[test]
fn captures_days_apart_are_not_of_one_network() {
    let bench = bench();
    for n in 0..6 {
        put(
            &bench,
            &format!("in/{n}.pcap"),
            &attempts(n * 10, "r"),
            i64::from(n) * DAY,
        );
    }
    let told = summary(&bench, &[]);
    assert_eq!(told["across"], serde_json::json!([]));
    // And a service that was down on one day was down, however well it is on another.
    put(&bench, "in/6.pcap", &attempts(90, "rrrr"), 6 * DAY);
    put(&bench, "in/7.pcap", &attempts(100, "wwww"), 7 * DAY);
    let told = summary(&bench, &[]);
    assert_eq!(told["across"], serde_json::json!([]));
    assert_eq!(codes(&told["findings"]), ["service.down"]);
    assert_eq!(told["findings"][0]["contradicted"], 0);
}

#[test]
fn the_same_file_under_two_names_is_one() {
    let bench = bench();
    for name in ["in/a.pcap", "in/a copy.pcap", "in/b.pcap"] {
        put(&bench, name, &attempts(0, "rr"), 0);
    }
    assert_eq!(summary(&bench, &[])["across"], serde_json::json!([]));
    for n in 1..6 {
        for folder in ["in/ring", "in/backup"] {
            fs::create_dir_all(bench.path(folder)).unwrap();
            let text = attempts(n * 10, "r");
            put(
                &bench,
                &format!("{folder}/{n}.pcap"),
                &text,
                i64::from(n) * MINUTE,
            );
        }
    }
    let down = &summary(&bench, &[])["across"][0];
    assert_eq!(down["facts"]["attempts"], 7, "{down:#}");
}

#[test]
fn a_scan_cut_by_rotation() {
    let bench = bench();
    for file in 0..5_u32 {
        let text: String = (0..8_u32)
            .map(|n| {
                let port = file * 8 + n + 1;
                let number = n + 1;
                format!(
                    "#{number} client 192.0.2.66:{}\n#{number} server 198.51.100.9:{port}\n\
                     {n}.0 #{number} > S 0:0(0)\n{n}.1 #{number} < RA 0:0(0) ack 1 abs-seq win 0\n",
                    40_000 + port
                )
            })
            .collect();
        put(
            &bench,
            &format!("in/r{file}.pcap"),
            &text,
            i64::from(file) * 10,
        );
    }
    let told = summary(&bench, &[]);
    assert_eq!(codes(&told["across"]), ["host.port-scan"]);
    assert_eq!(told["across"][0]["subject"], "192.0.2.66");
    assert_eq!(told["across"][0]["facts"]["targets"], 40);
}

#[test]
fn a_healthy_archive_is_silent() {
    let bench = bench();
    for n in 0..12 {
        let text = attempts(n * 10, "wwwwwwww");
        put(
            &bench,
            &format!("in/{n:02}.pcap"),
            &text,
            i64::from(n) * MINUTE,
        );
    }
    let told = summary(&bench, &[]);
    assert_eq!(told["across"], serde_json::json!([]));
    let text = bench.run(&["scan", "in"]).out;
    assert!(!text.contains("judged as one"), "{text}");
    bench.run(&["scan", "in", "--state", "state", "-o", "out"]);
    let journal = fs::read_to_string(bench.path("state")).unwrap();
    let longest = journal.lines().skip(1).map(str::len).max().unwrap();
    assert!(longest < 1_500, "{longest}");
}

#[test]
fn jobs_and_resumption_change_nothing() {
    let bench = bench();
    dead_ring(&bench);
    for n in 0..20 {
        let fates = if n % 7 == 3 { "wrrw" } else { "wwww" };
        let text = attempts(500 + n * 10, fates)
            .replace("#", "#1")
            .replace(":4", ":5");
        put(
            &bench,
            &format!("in/other{n}.pcap"),
            &text,
            DAY + i64::from(n) * MINUTE,
        );
    }
    for format in ["text", "ndjson"] {
        let scan = [
            "scan", "in", "--format", format, "-o", "out", "--state", "state",
        ];
        let output = || fs::read(bench.path("out")).unwrap();
        let clear = || {
            for name in ["out", "state"] {
                let _ = fs::remove_file(bench.path(name));
            }
        };
        clear();
        bench.run(&[&scan[..], &["-j", "1"]].concat());
        let expected = output();
        let journal = fs::read(bench.path("state")).unwrap();
        let told = String::from_utf8_lossy(&expected)
            .matches("service.")
            .count();
        assert!(told >= 2, "{told}");
        for jobs in ["2", "8"] {
            clear();
            bench.run(&[&scan[..], &["-j", jobs]].concat());
            assert!(output() == expected, "{format} with {jobs} jobs");
        }
        for cut in (journal.len() / 9..journal.len()).step_by(journal.len() / 9) {
            fs::write(bench.path("state"), &journal[..cut]).unwrap();
            bench.run(&scan);
            assert!(output() == expected, "{format} cut at {cut}");
        }
    }
}
