//! Manners of a Unix tool: what happens when something goes wrong around it.

use std::fs::OpenOptions;
use std::io::Read as _;
use std::process::Stdio;

use wirewhy_testkit::{to_pcap, trace};

use crate::run::{Bench, MIXED, WELL};

#[test]
fn a_bad_file_does_not_stop_the_others() {
    let bench = Bench::new();
    bench.capture("a.pcap", WELL);
    bench.file(
        "page.html",
        "<!DOCTYPE html><html><body>no capture here at all</body></html>",
    );
    let ran = bench.run(&["missing.pcap", "page.html", "a.pcap"]);
    assert_eq!(ran.status, Some(3), "{ran:?}");
    assert!(ran.out.contains("nothing wrong with it"), "{ran:?}");
    let errors: Vec<&str> = ran.err.lines().collect();
    assert_eq!(errors.len(), 2, "{ran:?}");
    assert_eq!(errors[0], "wirewhy: missing.pcap: no such file");
    assert!(
        errors[1].starts_with("wirewhy: page.html: is not a pcap or pcapng"),
        "{ran:?}"
    );
}

#[test]
fn nothing_readable_is_status_two() {
    let bench = Bench::new();
    bench.file("empty.pcap", "");
    std::fs::create_dir(bench.path("dir")).unwrap();
    for name in ["missing.pcap", "empty.pcap", "dir"] {
        for args in [vec![name], vec!["packets", name], vec!["show", name, "0"]] {
            let ran = bench.run(&args);
            assert_eq!(
                (ran.status, ran.out.as_str()),
                (Some(2), ""),
                "{args:?} {ran:?}"
            );
            assert!(
                ran.err.starts_with(&format!("wirewhy: {name}: ")),
                "{ran:?}"
            );
            assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
        }
    }
}

#[test]
fn what_was_typed_for_another_command_is_answered_with_the_way() {
    let bench = Bench::new();
    bench.file("a.pcap", to_pcap(&trace(MIXED)));
    std::fs::create_dir(bench.path("dir")).unwrap();
    assert_eq!(bench.run(&["-r", "a.pcap"]), bench.run(&["a.pcap"]));
    for (args, words) in [
        (&["dir"][..], "dir: is a directory; wirewhy scan reads"),
        (&["show", "a.pcap"], "the stream comes last and is a number"),
        (&["scan"], "Usage: wirewhy scan [OPTIONS]"),
        (&["annotate", "a.pcap"], "Usage: wirewhy annotate [OPTIONS]"),
    ] {
        let ran = bench.run(args);
        assert_eq!(ran.status, Some(2), "{ran:?}");
        assert!(ran.err.contains(words), "{args:?}: {ran:?}");
    }
}

#[test]
fn what_came_before_a_cut_is_reported() {
    let bench = Bench::new();
    let mut bytes = to_pcap(&trace(MIXED));
    bytes.truncate(bytes.len() - 7);
    bench.file("cut.pcap", bytes);
    let ran = bench.run(&["cut.pcap"]);
    assert_eq!(ran.status, Some(3), "{ran:?}");
    assert!(ran.out.contains("tcp.refused"), "{ran:?}");
    assert!(ran.err.starts_with("wirewhy: cut.pcap: "), "{ran:?}");
    assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    let quiet = bench.run(&["-q", "cut.pcap"]);
    assert_eq!(
        (quiet.status, quiet.err.as_str()),
        (Some(3), ""),
        "{quiet:?}"
    );
    let packets = bench.run(&["packets", "cut.pcap"]);
    assert_eq!(packets.status, Some(3), "{packets:?}");
    let found = bench.run(&["--fail-on", "error", "cut.pcap"]);
    assert_eq!(found.status, Some(1), "{found:?}");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let bench = Bench::new();
    let many: String = (0..6000)
        .map(|n| {
            format!(
                "{}.{:03} #{} > S 0:0(0) win 64240\n",
                n / 1000,
                n % 1000,
                n + 1
            )
        })
        .collect();
    bench.capture("many.pcap", &many);
    for format in ["text", "ndjson"] {
        let mut child = bench
            .command(&["packets", "--format", format, "many.pcap"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut some = [0; 100];
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut some).unwrap();
        drop(out);
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(0));
        assert_eq!(String::from_utf8(ended.stderr).unwrap(), "");
    }
}

#[test]
fn a_full_disk_is_one_clear_line() {
    let bench = Bench::new();
    bench.capture("a.pcap", MIXED);
    let commands: [&[&str]; 7] = [
        &["a.pcap"],
        &["--format", "json", "a.pcap"],
        &["packets", "a.pcap"],
        &["show", "a.pcap", "0"],
        &["explain"],
        &["man"],
        &["completions", "bash"],
    ];
    for args in commands {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ended = bench.command(args).stdout(full).output().unwrap();
        assert_eq!(ended.status.code(), Some(2), "{args:?}");
        assert_eq!(
            String::from_utf8(ended.stderr).unwrap(),
            "wirewhy: standard output: No space left on device\n",
            "{args:?}"
        );
    }
    let into = bench.run(&["a.pcap", "-o", "/dev/full"]);
    assert_eq!(into.status, Some(2));
    assert_eq!(into.err, "wirewhy: /dev/full: No space left on device\n");
}

#[test]
fn output_goes_to_a_file_but_never_over_an_input() {
    let bench = Bench::new();
    let path = bench.capture("a.pcap", MIXED);
    let plain = bench.run(&["a.pcap"]).out;
    let ran = bench.run(&["a.pcap", "-o", "report.txt"]);
    assert_eq!((ran.status, ran.out.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(
        std::fs::read_to_string(bench.path("report.txt")).unwrap(),
        plain
    );
    let before = std::fs::read(&path).unwrap();
    let over = bench.run(&["a.pcap", "-o", "./a.pcap"]);
    assert_eq!(over.status, Some(2), "{over:?}");
    assert!(over.err.contains("is an input"), "{over:?}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let nowhere = bench.run(&["a.pcap", "-o", "no/such/place"]);
    assert_eq!(nowhere.status, Some(2));
    assert_eq!(
        nowhere.err,
        "wirewhy: no/such/place: No such file or directory\n"
    );
}

#[test]
fn the_report_of_an_earlier_run_stays_where_nothing_can_be_read() {
    let bench = Bench::new();
    bench.capture("a.pcap", WELL);
    let before = "the report of an earlier run, longer than the next\n".repeat(900);
    let report = bench.file("report", &before);
    let read = || std::fs::read_to_string(&report).unwrap();
    let failed = bench.run(&["missing.pcap", "-o", "report"]);
    assert_eq!(failed.status, Some(2), "{failed:?}");
    assert_eq!(read(), before);
    let ran = bench.run(&["a.pcap", "-o", "report"]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert_eq!(read(), bench.run(&["a.pcap"]).out);
}

#[test]
fn output_destroys_nothing_that_is_read() {
    let bench = Bench::new();
    let capture = bench.capture("a.pcap", MIXED);
    let other = bench.capture("other.pcap", WELL);
    std::fs::hard_link(&capture, bench.path("linked.pcap")).unwrap();
    let keys = "CLIENT_RANDOM 00 00\n";
    let keys = bench.file("keys.log", keys);
    let config = bench.file("mine.toml", "");
    let saved = [&capture, &other, &keys, &config].map(|path| std::fs::read(path).unwrap());
    for (args, output) in [
        (&["a.pcap"][..], "linked.pcap"),
        (&["a.pcap"], "other.pcap"),
        (&["packets", "a.pcap"], "other.pcap"),
        (&["show", "a.pcap", "0"], "other.pcap"),
        (&["a.pcap", "--keylog", "keys.log"], "keys.log"),
        (&["a.pcap", "--config", "mine.toml"], "mine.toml"),
        (&["scan", "a.pcap", "--state", "s"], "s"),
    ] {
        bench.file("s", "");
        let args: Vec<&str> = args.iter().copied().chain(["-o", output]).collect();
        let ran = bench.run(&args);
        assert_eq!(ran.status, Some(2), "{args:?}: {ran:?}");
        assert!(ran.err.contains("would be lost"), "{args:?}: {ran:?}");
    }
    let input = std::fs::File::open(&capture).unwrap();
    let piped = bench
        .command(&["-", "-o", "a.pcap"])
        .stdin(input)
        .output()
        .unwrap();
    assert_eq!(piped.status.code(), Some(2), "{piped:?}");
    let now = [&capture, &other, &keys, &config].map(|path| std::fs::read(path).unwrap());
    assert!(now == saved);
}

#[test]
fn colour_obeys_option_and_environment() {
    let bench = Bench::new();
    bench.capture("a.pcap", MIXED);
    let colored = |args: &[&str], env: &[(&str, &str)]| {
        let output = bench
            .command(args)
            .envs(env.iter().copied())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().contains('\u{1b}')
    };
    assert!(!colored(&["a.pcap"], &[]));
    assert!(colored(
        &["--color", "always", "a.pcap"],
        &[("NO_COLOR", "1")]
    ));
    assert!(colored(&["a.pcap"], &[("CLICOLOR_FORCE", "1")]));
    assert!(!colored(
        &["a.pcap"],
        &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]
    ));
    assert!(!colored(
        &["--color", "never", "a.pcap"],
        &[("CLICOLOR_FORCE", "1")]
    ));
}

#[test]
fn wrong_usage_is_status_two() {
    let bench = Bench::new();
    for args in [
        vec!["--no-such-option"],
        vec!["--format", "xml", "a.pcap"],
        vec!["packets"],
        vec!["show", "a.pcap"],
        vec!["show", "a.pcap", "first"],
    ] {
        let ran = bench.run(&args);
        assert_eq!(
            (ran.status, ran.out.as_str()),
            (Some(2), ""),
            "{args:?} {ran:?}"
        );
        assert!(!ran.err.is_empty());
    }
    assert_eq!(bench.run(&["--help"]).status, Some(0));
    assert_eq!(bench.run(&["--version"]).status, Some(0));
}

#[test]
fn names_from_the_command_line_are_made_safe_in_messages() {
    let bench = Bench::new();
    let ran = bench.run(&["\u{1b}[2J.pcap"]);
    assert_eq!(ran.err, "wirewhy: \\u{1b}[2J.pcap: no such file\n");
}
