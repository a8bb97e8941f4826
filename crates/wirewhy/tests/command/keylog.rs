//! Key logs on the command line.

use crate::run::{Bench, WELL};

fn secret(label: &str, length: usize) -> String {
    format!("{label} {} {}\n", "ab".repeat(32), "cd".repeat(length))
}

#[test]
fn lines_that_are_none_are_told_once_and_the_rest_is_used() {
    let bench = Bench::new();
    bench.capture("a.pcap", WELL);
    let good = secret("CLIENT_RANDOM", 48);
    bench.file("good.log", format!("# secrets\n{good}"));
    let ran = bench.run(&["--keylog", "good.log", "a.pcap"]);
    assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""));

    let short = secret("CLIENT_RANDOM", 47);
    let long = "x".repeat(10_000);
    bench.file("bad.log", format!("{good}{short}{long}\n\0\n"));
    let ran = bench.run(&["--keylog", "bad.log", "a.pcap"]);
    assert_eq!(ran.status, Some(0));
    assert_eq!(
        ran.err,
        "wirewhy: bad.log: line 2 is not a line of a key log, nor are 2 other lines; its 1 secret is used\n"
    );
    let quiet = bench.run(&["-q", "--keylog", "bad.log", "a.pcap"]);
    assert_eq!(quiet.err, "");

    bench.file("empty.log", "");
    let ran = bench.run(&["show", "a.pcap", "0", "--keylog", "empty.log"]);
    assert_eq!(ran.status, Some(0));
    assert_eq!(ran.err, "wirewhy: empty.log: holds no secrets\n");
}

#[test]
fn a_key_log_that_cannot_be_read_is_one_clear_line() {
    let bench = Bench::new();
    bench.capture("a.pcap", WELL);
    let ran = bench.run(&["--keylog", "missing.log", "a.pcap"]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.err.starts_with("wirewhy: missing.log: "), "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 1);
    assert_eq!(ran.out, "");
}
