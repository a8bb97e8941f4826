//! `wirewhy scan --state`: what was killed goes on, what is done is not done again.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::Stdio;

use nix::sys::signal::Signal;
use serde_json::Value as Json;
use wirewhy_testkit::Random;

use crate::run::{Bench, MIXED, Ran, WELL, send};
use crate::scan::records;

const SCAN: [&str; 9] = [
    "scan", "in", "--all", "--format", "ndjson", "--state", "state", "-o", "out",
];

fn scan(bench: &Bench) -> Ran {
    bench.run(&SCAN)
}

fn output(bench: &Bench) -> String {
    fs::read_to_string(bench.path("out")).unwrap()
}

/// An archive of so many captures, some with much to say, with other files among them.
fn archive(captures: usize) -> Bench {
    let bench = Bench::new();
    fs::create_dir(bench.path("in")).unwrap();
    for number in 0..captures {
        let text: String = (0..1 + (number * 7) % 11)
            .map(|n| {
                format!("{n}.0 #{n} > S 0:0(0)\n{n}.1 #{n} < RA 0:0(0) ack 1\n").replace('#', "#1")
            })
            .collect();
        bench.capture(&format!("in/{number:05}.pcap"), &text);
        if number % 10 == 3 {
            bench.file(&format!("in/{number:05}.txt"), "text");
            bench.file(
                &format!("in/{number:05}.wrong"),
                [0xd4, 0xc3, 0xb2, 0xa1, 2],
            );
        }
    }
    bench
}

fn start_over(bench: &Bench) {
    for name in ["out", "state"] {
        let _ = fs::remove_file(bench.path(name));
    }
}

/// Kills a scan once its output is this long, or when it has ended.
fn killed(bench: &Bench, len: u64) {
    let mut child = bench
        .command(&SCAN)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let so_far = || fs::metadata(bench.path("out")).map_or(0, |data| data.len());
    while so_far() < len && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_scan_killed_at_any_moment_ends_as_if_it_had_not_been() {
    let bench = archive(700);
    let whole = scan(&bench);
    assert_eq!(whole.status, Some(3), "{whole:?}");
    let expected = output(&bench);
    let len = expected.len() as u64;
    assert!(len > 1 << 20, "{len}");
    // Moments without a pattern, the same in every run of the test.
    let moments = [0, 1, 93, 211, 340, 466, 571, 688, 823, 971];
    for moment in moments {
        start_over(&bench);
        killed(&bench, len * moment / 1000);
        let resumed = scan(&bench);
        assert_eq!(resumed.status, Some(3), "{moment}: {resumed:?}");
        assert!(output(&bench) == expected, "killed at {moment} of 1000");
    }
    // One after another, in one scan.
    start_over(&bench);
    for moment in moments {
        killed(&bench, len * moment / 1000);
    }
    scan(&bench);
    assert!(output(&bench) == expected);
}

#[test]
fn a_journal_may_end_anywhere() {
    let bench = archive(30);
    scan(&bench);
    let expected = output(&bench);
    let journal = fs::read(bench.path("state")).unwrap();
    let cuts = (0..journal.len()).step_by(journal.len() / 30);
    for cut in cuts.chain([1, 20, journal.len() - 1]) {
        fs::write(bench.path("state"), &journal[..cut]).unwrap();
        let resumed = scan(&bench);
        assert_eq!(resumed.status, Some(3), "{cut}: {resumed:?}");
        assert!(output(&bench) == expected, "cut at {cut}");
        assert_eq!(
            fs::read(bench.path("state")).unwrap(),
            journal,
            "cut at {cut}"
        );
    }
}

#[test]
fn a_journal_that_is_not_as_it_was_written_is_refused() {
    let bench = archive(30);
    scan(&bench);
    let expected = output(&bench);
    let journal = fs::read_to_string(bench.path("state")).unwrap();
    let lines: Vec<&str> = journal.split_inclusive('\n').collect();
    let last = lines.len() - 1;
    let mut damaged = Vec::new();
    for at in [0, 1, 2, last / 2, last - 1] {
        let mut lost = lines.clone();
        lost.remove(at);
        damaged.push(lost.concat());
        let mut doubled = lines.clone();
        doubled.insert(at, lines[at]);
        damaged.push(doubled.concat());
        let mut moved = lines.clone();
        moved.swap(at, at + 1);
        damaged.push(moved.concat());
        let mut changed = lines.clone();
        let other = lines[at].replacen(|letter| "0123456789".contains(letter), "x", 1);
        changed[at] = &other;
        damaged.push(changed.concat());
    }
    for state in damaged {
        fs::write(bench.path("state"), &state).unwrap();
        let refused = scan(&bench);
        assert_eq!(refused.status, Some(2), "{refused:?}");
        let says = refused.err.contains("state: line ") && refused.err.contains("is damaged")
            || refused.err.contains("is not the state of a scan");
        assert!(says && refused.err.lines().count() == 1, "{refused:?}");
        assert!(output(&bench) == expected);
        assert_eq!(fs::read_to_string(bench.path("state")).unwrap(), state);
    }
}

#[test]
fn no_damage_to_a_journal_is_followed_or_crashes() {
    let bench = archive(6);
    scan(&bench);
    let expected = output(&bench);
    let journal = fs::read(bench.path("state")).unwrap();
    let mut random = Random::new(6);
    for round in 0..60 {
        let mut damaged = journal.clone();
        for _ in 0..=round % 4 {
            let at = random.below(damaged.len());
            match random.below(4) {
                0 => damaged[at] ^= 1 << random.below(8),
                1 => damaged.truncate(at.max(1)),
                2 => damaged.insert(at, random.byte()),
                _ => drop(damaged.remove(at)),
            }
        }
        fs::write(bench.path("state"), &damaged).unwrap();
        let ran = scan(&bench);
        assert!(matches!(ran.status, Some(2 | 3)), "{round}: {ran:?}");
        assert!(!ran.err.contains("panicked"), "{round}: {ran:?}");
        assert!(output(&bench) == expected, "{round}: {ran:?}");
    }
}

fn summary(bench: &Bench) -> Json {
    records(&output(bench)).pop().unwrap()
}

fn captures_called(bench: &Bench, source: &str) -> Vec<Json> {
    let of = |record: &Json| record["source"] == source && record["type"] != "connection";
    let about = records(&output(bench)).into_iter().filter(of);
    about.filter(|record| record["type"] != "totals").collect()
}

#[test]
fn the_next_scan_takes_what_is_new_and_says_what_it_found_new() {
    let bench = Bench::new();
    fs::create_dir(bench.path("in")).unwrap();
    bench.capture("in/a", MIXED);
    bench.capture("in/b", WELL);
    assert_eq!(scan(&bench).status, Some(0));
    assert_eq!(summary(&bench)["new"], Json::Null);
    let first = output(&bench);
    assert_eq!(scan(&bench).status, Some(0));
    let news = summary(&bench)["new"].clone();
    assert_eq!(
        news,
        serde_json::json!({"captures": 0, "causes": [], "services": []})
    );
    let results = |text: &str| {
        text.lines()
            .filter(|line| !line.contains("\"summary\""))
            .count()
    };
    assert_eq!(results(&output(&bench)), results(&first));
    let reset = "0.0 > S 0:0(0)\n9.0 end";
    bench.capture("in/0", reset);
    assert_eq!(scan(&bench).status, Some(0));
    let summary = summary(&bench);
    assert_eq!(summary["captures"]["read"], 3);
    assert_eq!(summary["new"]["captures"], 1);
    assert_eq!(
        summary["new"]["causes"],
        serde_json::json!(["tcp.syn-unanswered"])
    );
    assert_eq!(captures_called(&bench, "in/a").len(), 1);
    // Only what this scan read decides the exit status.
    let args = [&SCAN[..], &["--fail-on", "error"]].concat();
    assert_eq!(bench.run(&args).status, Some(0));
}

#[test]
fn what_changed_replaces_what_was_known_of_it() {
    let bench = Bench::new();
    fs::create_dir(bench.path("in")).unwrap();
    for name in ["a", "b", "c"] {
        bench.capture(&format!("in/{name}"), WELL);
    }
    bench.file("in/d", [0xd4, 0xc3, 0xb2, 0xa1, 2]);
    assert_eq!(scan(&bench).status, Some(3));
    assert_eq!(captures_called(&bench, "in/d")[0]["type"], "error");
    bench.capture("in/b", MIXED);
    bench.capture("in/d", MIXED);
    fs::remove_file(bench.path("in/c")).unwrap();
    assert_eq!(scan(&bench).status, Some(0));
    let check = || {
        let b = captures_called(&bench, "in/b");
        assert_eq!((b.len(), &b[0]["packets"]), (1, &11.into()));
        let d = captures_called(&bench, "in/d");
        assert_eq!((d.len(), &d[0]["type"]), (1, &"capture".into()));
        assert_eq!(
            captures_called(&bench, "in/c").len(),
            1,
            "its results outlive it"
        );
        let captures = &summary(&bench)["captures"];
        assert_eq!(
            (&captures["read"], &captures["unreadable"]),
            (&4.into(), &0.into())
        );
    };
    check();
    // The end came between the two files that were rewritten.
    fs::rename(bench.path("out"), bench.path("out.1.new")).unwrap();
    assert_eq!(scan(&bench).status, Some(0));
    check();
}

#[test]
fn a_state_is_only_used_for_what_it_is_about() {
    let bench = archive(3);
    scan(&bench);
    let before = output(&bench);
    let refused = |args: &[&str], why: &str| {
        let ran = bench.run(args);
        assert_eq!(ran.status, Some(2), "{ran:?}");
        assert!(
            ran.err.contains(why) && ran.err.lines().count() == 1,
            "{ran:?}"
        );
        assert_eq!(output(&bench), before);
    };
    refused(&[&SCAN[..], &["-f", "tcp"]].concat(), "with other options");
    refused(
        &["scan", "in", "--state", "in/00000.pcap", "-o", "out"],
        "is not the state",
    );
    let roots = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/captures/tls-cert-self-signed/roots.pem"
    );
    refused(
        &[&SCAN[..], &["--roots", roots]].concat(),
        "with other options",
    );
    let held = File::open(bench.path("state")).unwrap();
    held.lock().unwrap();
    refused(&SCAN, "is in use");
    drop(held);
    let without = bench.run(&["scan", "in", "--state", "other"]);
    assert!(without.err.contains("--output"), "{without:?}");
    let device = bench.run(&["scan", "in", "--state", "other", "-o", "/dev/full"]);
    assert!(device.err.contains("needs a file"), "{device:?}");
    fs::write(bench.path("out"), "").unwrap();
    let short = scan(&bench);
    assert!(short.err.contains("lacks results"), "{short:?}");
}

#[test]
fn a_path_named_twice_is_reported_once() {
    let bench = Bench::new();
    bench.capture("a", MIXED);
    bench.run(&[
        "scan", "a", "a", "--format", "ndjson", "--state", "state", "-o", "out",
    ]);
    assert_eq!(captures_called(&bench, "a").len(), 1);
}

#[test]
fn an_interrupted_scan_goes_on() {
    let bench = archive(40);
    scan(&bench);
    let expected = output(&bench);
    start_over(&bench);
    // A list that ends nowhere holds the scan where it is.
    let args: Vec<&str> = SCAN.iter().copied().filter(|arg| *arg != "in").collect();
    let args = [&args[..], &["--files-from", "-"]].concat();
    let mut child = bench.command(&args).stdin(Stdio::piped()).spawn().unwrap();
    let mut list = child.stdin.take().unwrap();
    list.write_all(b"in/00000.pcap\n").unwrap();
    while fs::metadata(bench.path("out")).is_err() {
        std::thread::yield_now();
    }
    send(Signal::SIGTERM, &child);
    list.write_all(b"in\n").unwrap();
    drop(list);
    let status = child.wait().unwrap().code();
    assert!(matches!(status, Some(130 | 3)), "{status:?}");
    assert_eq!(scan(&bench).status, Some(3));
    assert!(output(&bench) == expected);
}
