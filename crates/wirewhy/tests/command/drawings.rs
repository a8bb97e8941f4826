//! The drawings of a page: where their packets come from.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use crate::run::Bench;

/// A transfer with a loss that ends with a reset, between refusals of another service.
fn lossy() -> String {
    let mut text = "
        0.000 #1 > S 0:0(0) win 64240 <mss 1460,sackOK>
        0.010 #1 < SA 0:0(0) ack 1 win 65160 <mss 1460,sackOK>
        0.011 #1 > A 1:1(0) ack 1
        0.020 #1 > PA 1:101(100) ack 1
        0.030 #1 < A 1:1(0) ack 101\n"
        .to_owned();
    for n in 2..=9 {
        writeln!(
            text,
            "0.{n}00 #{n} > S 0:0(0)\n0.{n}01 #{n} < RA 0:0(0) ack 1 win 0"
        )
        .unwrap();
    }
    text += "
        1.000 #1 > PA 101:201(100) ack 1
        1.300 #1 > PA 101:201(100) ack 1
        1.900 #1 > PA 101:201(100) ack 1
        2.000 #1 < R 1:1(0) win 0
        9.000 end\n";
    text
}

/// The ladders of a page, in an order that does not depend on what is around them.
fn ladders(page: &str) -> Vec<&str> {
    let figures = page.split("<figure class=\"ladder\">").skip(1);
    let mut ladders: Vec<&str> = figures
        .filter_map(|rest| rest.split("</figure>").next())
        .collect();
    ladders.sort_unstable();
    ladders
}

#[test]
fn the_packets_come_from_a_second_reading_of_whatever_was_read() {
    let bench = Bench::new();
    let whole = bench.capture("whole.pcap", &lossy());
    let drawn = bench.run(&["--format", "html", "whole.pcap"]);
    let expected = ladders(&drawn.out);
    assert!(
        expected
            .iter()
            .any(|ladder| ladder.contains("retransmission")),
        "{drawn:?}"
    );
    assert!(expected.len() >= 2, "{}", expected.len());
    // Compressed.
    let gzip = Command::new("gzip")
        .args(["-k", "whole.pcap"])
        .current_dir(bench.path("."))
        .status();
    assert!(gzip.unwrap().success());
    let packed = bench.run(&["--format", "html", "whole.pcap.gz"]);
    assert_eq!(ladders(&packed.out), expected);
    // Two files of one recording, the second of which is cut.
    let bytes = fs::read(whole).unwrap();
    let ends = |mut at: usize| {
        let bytes = &bytes;
        std::iter::from_fn(move || {
            let length: [u8; 4] = bytes.get(at + 8..at + 12)?.try_into().ok()?;
            at += 16 + usize::try_from(u32::from_le_bytes(length)).ok()?;
            Some(at)
        })
    };
    let half = ends(24).nth(9).unwrap();
    bench.file("part.pcap0", &bytes[..half]);
    bench.file(
        "part.pcap1",
        [&bytes[..24], &bytes[half..bytes.len() - 5]].concat(),
    );
    let parts = bench.run(&["--join", "--format", "html", "part.pcap0", "part.pcap1"]);
    assert_eq!(parts.status, Some(3), "{}", parts.err);
    assert_eq!(ladders(&parts.out), expected);
}

#[test]
fn standard_input_is_drawn_from_the_last_packets() {
    let bench = Bench::new();
    let path = bench.capture("a.pcap", &lossy());
    let saved = bench.run(&["--format", "html", "a.pcap"]);
    let piped = bench.run_with_input(&["--format", "html", "-"], &path);
    assert_eq!(ladders(&piped.out), ladders(&saved.out));
    let followed = bench.run_with_input(&["live", "--follow", "-", "--format", "html"], &path);
    assert!(followed.out.starts_with("<!DOCTYPE html>"), "{followed:?}");
    assert_eq!(ladders(&followed.out), ladders(&saved.out));
}

#[test]
fn what_is_not_kept_any_more_is_not_drawn() {
    let bench = Bench::new();
    let path = bench.capture("a.pcap", &lossy());
    let buffer = ["--evidence", "out", "--evidence-buffer", "1K"];
    let args = [&["live", "--follow", "-", "--format", "html"], &buffer[..]].concat();
    let followed = bench.run_with_input(&args, &path);
    assert!(
        followed.out.contains("not to be had any more"),
        "{followed:?}"
    );
}

#[test]
fn what_a_filter_leaves_out_is_not_drawn() {
    let bench = Bench::new();
    bench.capture("a.pcap", &lossy());
    let without = bench.run(&[
        "--format",
        "html",
        "-f",
        "tcp[tcpflags] & tcp-push == 0",
        "a.pcap",
    ]);
    assert_eq!(without.status, Some(0), "{}", without.err);
    assert!(!ladders(&without.out).is_empty());
    assert!(!without.out.contains("PSH ACK"), "{}", without.out);
}

#[test]
fn any_number_of_threads_draws_the_same() {
    let bench = Bench::new();
    let mut text = lossy();
    // So much that every thread has something to do.
    for n in 10..6_000_u32 {
        let at = 10.0 + f64::from(n) / 100.0;
        writeln!(
            text,
            "{at:.3} #{n} > S 0:0(0)\n{:.3} #{n} < RA 0:0(0) ack 1 win 0",
            at + 0.001
        )
        .unwrap();
    }
    bench.capture("large.pcap", &text);
    let of = |threads| {
        bench
            .run(&["--format", "html", "--threads", threads, "large.pcap"])
            .out
    };
    let alone = of("1");
    assert!(ladders(&alone).len() > 1);
    assert!(alone == of("2"), "2 threads");
    assert!(alone == of("3"), "3 threads");
}
