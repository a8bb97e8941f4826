//! Several threads on one large capture.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use crate::run::Bench;

/// So many packets that every thread has something to do: connections that are refused, that go well, that stall and that
/// without an answer, in turns.
fn large() -> String {
    let mut lines = String::new();
    for n in 1..=6_000 {
        let at = |later: u32| f64::from(n * 10 + later) / 1_000.0;
        let mut line = |later, what: &str| writeln!(lines, "{:.3} #{n} {what}", at(later)).unwrap();
        line(0, "> S 0:0(0) win 64240 <mss 1460>");
        match n % 4 {
            0 => line(1, "< RA 0:0(0) ack 1 win 0"),
            1 => {}
            step => {
                line(1, "< SA 0:0(0) ack 1 win 65160 <mss 1460>");
                line(2, "> A 1:1(0) ack 1");
                line(3, "> PA 1:101(100) ack 1");
                line(4, "< A 1:1(0) ack 101");
                if step == 2 {
                    line(5, "< PA 1:501(500) ack 101");
                    line(6, "> FA 101:101(0) ack 501");
                    line(7, "< FA 501:501(0) ack 102");
                    line(8, "> A 102:102(0) ack 502");
                }
            }
        }
    }
    writeln!(lines, "200.0 end").unwrap();
    lines
}

fn compressed(bench: &Bench, tool: &str, name: &str) {
    let out = fs::File::create(bench.path(name)).unwrap();
    let ran = Command::new(tool)
        .args(["-q", "-c", "large.pcap"])
        .current_dir(bench.path("."))
        .stdout(out)
        .status();
    assert!(ran.unwrap().success(), "{tool}");
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let bench = Bench::new();
    bench.capture("large.pcap", &large());
    compressed(&bench, "gzip", "large.gz");
    for (capture, format) in [
        ("large.pcap", "text"),
        ("large.pcap", "json"),
        ("large.pcap", "ndjson"),
        ("large.gz", "ndjson"),
    ] {
        let of = |threads| {
            let format = ["--all", "--format", format];
            bench.run(&[&["analyze", capture, "--threads", threads], &format[..]].concat())
        };
        let one = of("1");
        assert!(one.out.len() > 2_000, "{one:?}");
        for threads in ["2", "3", "8"] {
            let more = of(threads);
            assert!(
                more.out == one.out,
                "{capture}, {format}, {threads} threads"
            );
            assert_eq!((more.status, &more.err), (one.status, &one.err));
        }
    }
}

#[test]
fn a_scan_lets_whoever_is_idle_help_with_the_large_one() {
    let bench = Bench::new();
    fs::create_dir(bench.path("in")).unwrap();
    bench.capture("in/b.pcap", &large());
    bench.capture("in/a.pcap", "0.0 #1 > S 0:0(0)\n0.1 #1 < RA 0:0(0) ack 1\n");
    let of = |jobs| bench.run(&["scan", "in", "--all", "--format", "ndjson", "-j", jobs]);
    let one = of("1");
    for jobs in ["2", "8"] {
        let more = of(jobs);
        assert!(more.out == one.out, "{jobs} jobs");
        assert_eq!((more.status, &more.err), (one.status, &one.err));
    }
}

#[test]
fn a_full_disk_ends_every_thread() {
    let bench = Bench::new();
    bench.capture("large.pcap", &large());
    for threads in ["1", "2", "3"] {
        let all = ["large.pcap", "--all", "--format", "ndjson"];
        bench.run_on_a_full_disk(&[&all[..], &["--threads", threads]].concat());
    }
}

#[test]
fn a_large_capture_cut_short_says_so_whoever_reads_it() {
    let bench = Bench::new();
    bench.capture("large.pcap", &large());
    compressed(&bench, "gzip", "large.gz");
    for name in ["large.pcap", "large.gz"] {
        let bytes = fs::read(bench.path(name)).unwrap();
        let cut = bench.file(&format!("cut-{name}"), &bytes[..bytes.len() - 1_000]);
        let of = |threads| bench.run(&[cut.to_str().unwrap(), "--threads", threads]);
        let one = of("1");
        assert_eq!(one.status, Some(3), "{one:?}");
        let more = of("3");
        assert_eq!(
            (more.status, &more.out, &more.err),
            (one.status, &one.out, &one.err)
        );
    }
}
