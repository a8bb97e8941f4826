//! `wirewhy scan` over folders of all sorts of files.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value as Json;
use wirewhy_testkit::{to_pcap, trace};

use crate::run::{Bench, MIXED, Ran, WELL, refusals, send};

/// An archive with captures, others, and what cannot be read.
pub(crate) fn archive() -> Bench {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("in/b/c")).unwrap();
    bench.capture("in/a.pcap", MIXED);
    bench.capture("in/b/one", WELL);
    bench.capture("in/b/c/two.pcapng", MIXED);
    bench.file("in/b/notes.txt", "no capture at all");
    bench.file("in/b/empty.pcap", "");
    let mut cut = to_pcap(&trace(MIXED));
    cut.truncate(cut.len() - 7);
    bench.file("in/cut.pcap", cut);
    bench.file("in/z.pcap", [0xd4, 0xc3, 0xb2, 0xa1, 2, 0]);
    bench
}

pub(crate) fn records(text: &str) -> Vec<Json> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn of_type<'a>(records: &'a [Json], kind: &str) -> Vec<&'a Json> {
    records
        .iter()
        .filter(|record| record["type"] == kind)
        .collect()
}

fn sources(ran: &Ran) -> Vec<String> {
    let records = records(&ran.out);
    of_type(&records, "capture")
        .into_iter()
        .map(|record| record["source"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn captures_are_found_by_content_and_the_rest_is_counted() {
    let bench = archive();
    let ran = bench.run(&["scan", "--format", "ndjson", "in"]);
    assert_eq!(ran.status, Some(3), "{ran:?}");
    assert_eq!(
        sources(&ran),
        ["in/a.pcap", "in/b/c/two.pcapng", "in/b/one", "in/cut.pcap"]
    );
    let all = records(&ran.out);
    let errors = of_type(&all, "error");
    assert_eq!(errors.len(), 1, "{ran:?}");
    assert_eq!(errors[0]["source"], "in/z.pcap");
    let summary = all.last().unwrap();
    assert_eq!(summary["type"], "summary");
    assert_eq!(
        summary["captures"],
        serde_json::json!({"read": 4, "cut_short": 1, "unreadable": 1, "skipped": 2})
    );
    let failed = of_type(&all, "connection").len();
    assert_eq!(summary["totals"]["failed"], failed);
    assert_eq!(summary["causes"][0]["connections"], 3);
    assert_eq!(ran.err.lines().count(), 2, "{ran:?}");
}

#[test]
fn the_text_has_a_line_for_each_capture_in_trouble() {
    let bench = archive();
    let ran = bench.run(&["scan", "in"]);
    assert_eq!((ran.status, ran.err.as_str()), (Some(3), ""), "{ran:?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(
        lines[0],
        "in/a.pcap: 2 connections, 1 failed: tcp.refused 1"
    );
    assert!(
        lines[2].starts_with(
            "in/cut.pcap: 2 connections, 1 failed: tcp.refused 1; reading ended early: "
        )
    );
    assert!(lines[3].starts_with("in/z.pcap: unreadable: "));
    assert!(
        lines[5].starts_with(
            "4 captures, 1 cut short, 1 unreadable beside them, 2 other files skipped; "
        )
    );
    assert!(ran.out.contains("3 connections in 3 captures"), "{ran:?}");
    let all = bench.run(&["scan", "--all", "in"]);
    assert!(all.out.contains("in/b/one: 1 connection\n"), "{all:?}");
}

#[test]
fn any_number_of_jobs_gives_the_same_bytes() {
    let bench = archive();
    for number in 0..60 {
        bench.capture(&format!("in/many{number}"), &refusals((number * 13) % 50));
    }
    for format in ["text", "ndjson"] {
        let one = bench.run(&["scan", "--all", "-j", "1", "--format", format, "in"]);
        assert!(one.out.len() > 2_000);
        for jobs in ["2", "8"] {
            let more = bench.run(&["scan", "--all", "-j", jobs, "--format", format, "in"]);
            assert!(more.out == one.out, "{format} with {jobs} jobs");
            assert_eq!((more.status, &more.err), (one.status, &one.err));
        }
    }
}

#[test]
fn lists_and_globs_name_what_is_scanned() {
    let bench = archive();
    let globbed = bench.run(&["scan", "--format", "ndjson", "in/**/*.pcapng", "in/a*"]);
    assert_eq!(sources(&globbed), ["in/b/c/two.pcapng", "in/a.pcap"]);
    assert_eq!(globbed.status, Some(0), "{globbed:?}");
    let list = bench.file("list", "in/b\n\nin/a.pcap\n");
    let args = ["scan", "--format", "ndjson", "--files-from"];
    let listed = bench.run(&[&args[..], &["list"]].concat());
    assert_eq!(
        sources(&listed),
        ["in/b/c/two.pcapng", "in/b/one", "in/a.pcap"]
    );
    let piped = bench.run_with_input(&[&args[..], &["-"]].concat(), &list);
    assert_eq!(piped.out, listed.out);
    let nulls = bench.file("nulls", "in/b\0in/a.pcap");
    let nulls = bench.run_with_input(&[&args[..], &["-", "-0"]].concat(), &nulls);
    assert_eq!(nulls.out, listed.out);
    let nothing = bench.run(&["scan", "in/*.none"]);
    assert_eq!(nothing.status, Some(2));
    assert!(
        nothing
            .out
            .starts_with("in/*.none: unreadable: matches no file\n"),
        "{nothing:?}"
    );
    let missing = bench.run(&["scan", "missing", "in/a.pcap"]);
    assert_eq!(missing.status, Some(3));
    assert!(
        missing
            .out
            .starts_with("missing: unreadable: no such file\n"),
        "{missing:?}"
    );
    bench.file("zeros", vec![b'a'; 1 << 17]);
    let wrong = bench.run(&["scan", "--files-from", "zeros"]);
    assert_eq!(
        (wrong.status, wrong.err.as_str()),
        (Some(2), "wirewhy: zeros: is no list of names\n")
    );
}

#[test]
fn standard_input_is_a_capture_with_a_name_of_its_own() {
    let bench = Bench::new();
    let input = bench.capture("a.pcap", MIXED);
    let args = ["scan", "-", "--format", "ndjson", "--all"];
    let named = [&args[..], &["--name", "s3://bucket/a.pcap"]].concat();
    let ran = bench.run_with_input(&named, &input);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let sources = |ran: &Ran| -> Vec<Json> {
        let all = records(&ran.out).into_iter();
        let mut sources: Vec<Json> = all
            .filter_map(|mut record| record.get_mut("source").map(Json::take))
            .collect();
        sources.dedup();
        sources
    };
    assert_eq!(sources(&ran), ["s3://bucket/a.pcap"]);
    assert!(ran.out.contains("\"first_source\":\"s3://bucket/a.pcap\""));
    assert_eq!(sources(&bench.run_with_input(&args, &input)), ["-"]);
    let refused = |args: &[&str]| {
        let ran = bench.run(&[&["scan"], args].concat());
        assert_eq!(ran.status, Some(2), "{ran:?}");
        ran.err
    };
    assert!(
        refused(&["a.pcap", "--name", "b"]).contains("--name is for a capture on standard input")
    );
    assert!(refused(&["-", "-"]).contains("only once"));
    assert!(refused(&["-", "--files-from", "-"]).contains("only once"));
    assert!(refused(&["-", "--state", "s", "-o", "o"]).contains("cannot remember standard input"));
    let empty = bench.file("empty", "");
    let nothing = bench.run_with_input(&["scan", "-", "--name", "n"], &empty);
    assert_eq!(nothing.status, Some(2));
    let cut = bench.file("cut", &std::fs::read(&input).unwrap()[..100]);
    let cut = bench.run_with_input(&["scan", "-", "--name", "n"], &cut);
    assert_eq!(cut.status, Some(3), "{cut:?}");
    assert!(cut.out.starts_with("n: "), "{cut:?}");
}

#[test]
fn nothing_to_scan_is_said() {
    let bench = Bench::new();
    fs::create_dir(bench.path("in")).unwrap();
    bench.file("in/a.txt", "text");
    let ran = bench.run(&["scan", "in"]);
    assert_eq!(ran.status, Some(2));
    assert_eq!(ran.err, "wirewhy: no capture found, but 1 other file\n");
    let ran = bench.run(&["scan"]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.err.contains("nothing to scan"), "{ran:?}");
}

#[test]
fn links_are_followed_where_they_were_named_or_when_asked() {
    let bench = archive();
    fs::create_dir(bench.path("links")).unwrap();
    symlink(bench.path("in/a.pcap"), bench.path("links/file")).unwrap();
    symlink(bench.path("links"), bench.path("links/ring")).unwrap();
    let as_found = bench.run(&["scan", "--format", "ndjson", "links"]);
    assert_eq!(as_found.status, Some(2), "{as_found:?}");
    let named = bench.run(&["scan", "--format", "ndjson", "links/file"]);
    assert_eq!(sources(&named), ["links/file"]);
    let followed = bench.run(&["scan", "-L", "--format", "ndjson", "links"]);
    assert_eq!(sources(&followed), ["links/file"]);
    assert_eq!(followed.status, Some(3), "{followed:?}");
    assert!(followed.err.contains("is a link back to"), "{followed:?}");
}

#[test]
fn pipes_among_the_files_are_not_waited_for() {
    let bench = archive();
    let made = Command::new("mkfifo").arg(bench.path("in/pipe")).status();
    assert!(made.unwrap().success());
    let ran = bench.run(&["scan", "--format", "ndjson", "in"]);
    assert_eq!(records(&ran.out).last().unwrap()["captures"]["skipped"], 3);
}

#[test]
fn names_are_made_safe_and_may_be_no_text() {
    let bench = Bench::new();
    fs::create_dir(bench.path("in")).unwrap();
    bench.capture("in/\u{1b}[2J\n.pcap", MIXED);
    let path = bench.path("in").join(OsStr::from_bytes(b"\xff.pcap"));
    fs::write(path, to_pcap(&trace(MIXED))).unwrap();
    let ran = bench.run(&["scan", "in"]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(!ran.out.contains('\u{1b}'), "{ran:?}");
    assert!(ran.out.contains("2 captures; "), "{ran:?}");
    let ran = bench.run(&["scan", "--format", "ndjson", "in"]);
    assert_eq!(sources(&ran).len(), 2);
}

#[test]
fn fail_on_speaks_for_all_captures() {
    let bench = archive();
    let found = bench.run(&["scan", "--fail-on", "error", "in"]);
    assert_eq!(found.status, Some(1));
    let well = bench.run(&["scan", "--fail-on", "error", "in/b/one"]);
    assert_eq!(well.status, Some(0));
}

#[test]
fn a_closed_pipe_ends_it_quietly_and_a_full_disk_is_one_line() {
    let bench = Bench::new();
    fs::create_dir(bench.path("in")).unwrap();
    for number in 0..400 {
        bench.capture(&format!("in/{number}"), MIXED);
    }
    let mut child = bench
        .command(&["scan", "--all", "--format", "ndjson", "in"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0; 100]).unwrap();
    drop(out);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "");
    bench.run_on_a_full_disk(&["scan", "in"]);
}

#[test]
fn a_capture_is_never_written_over() {
    let bench = archive();
    let before = fs::read(bench.path("in/a.pcap")).unwrap();
    let ran = bench.run(&["scan", "in", "-o", "in/a.pcap"]);
    assert_eq!(ran.status, Some(2), "{ran:?}");
    assert!(
        ran.err.contains("is a capture, and would be lost"),
        "{ran:?}"
    );
    assert_eq!(fs::read(bench.path("in/a.pcap")).unwrap(), before);
    let ran = bench.run(&["scan", "in", "--format", "ndjson", "-o", "in/out"]);
    let out = fs::read_to_string(bench.path("in/out")).unwrap();
    assert_eq!((ran.status, ran.out.as_str()), (Some(3), ""));
    assert_eq!(
        records(&out).last().unwrap()["captures"]["skipped"],
        2,
        "its own output is none"
    );
}

#[test]
fn an_interrupt_leaves_whole_records_and_a_summary() {
    let bench = archive();
    // A capture that arrives by a pipe never ends while the pipe is held open.
    let made = Command::new("mkfifo").arg(bench.path("pipe")).status();
    assert!(made.unwrap().success());
    let child = bench
        .command(&["scan", "--format", "ndjson", "in", "pipe", "in"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = OpenOptions::new()
        .write(true)
        .open(bench.path("pipe"))
        .unwrap();
    let bytes = to_pcap(&trace(MIXED));
    pipe.write_all(&bytes).unwrap();
    send(Signal::SIGINT, &child);
    // Each of these ends the read under way; after the interrupt there is no other, and the pipe is closed.
    let closed = (0..1_000).find_map(|_| {
        thread::sleep(Duration::from_millis(10));
        pipe.write_all(&bytes[24..]).err()
    });
    assert_eq!(closed.unwrap().kind(), ErrorKind::BrokenPipe);
    let ended = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ended.status, Some(130), "{ended:?}");
    let records = records(&ended.out);
    let summary = records.last().unwrap();
    assert_eq!(
        (&summary["type"], &summary["complete"]),
        (&"summary".into(), &false.into())
    );
    assert_eq!(
        summary["captures"]["read"],
        of_type(&records, "capture").len()
    );
}

#[test]
fn a_bar_is_drawn_on_a_terminal_and_not_in_a_pipe() {
    let bench = archive();
    let quoted = format!("{} scan in", env!("CARGO_BIN_EXE_wirewhy"));
    let on_terminal = |line: &str| {
        let ran = Command::new("script")
            .args(["-qec", line, "typescript"])
            .current_dir(bench.path("."))
            .env("TERM", "xterm")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8_lossy(&ran.stdout).into_owned()
    };
    let seen = on_terminal(&quoted);
    assert!(seen.contains(" files, "), "{seen}");
    assert!(seen.contains("4 captures"), "{seen}");
    assert!(!on_terminal(&format!("{quoted} -q")).contains(" files, "));
    assert!(!bench.run(&["scan", "in"]).err.contains(" files"));
    assert!(Path::new(&bench.path("typescript")).exists());
}
