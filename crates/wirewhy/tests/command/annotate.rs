//! `wirewhy annotate`: the same capture, with comments that Wireshark shows.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wirewhy_capture::Reader;

use crate::run::{Bench, MIXED, WELL};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

/// What tshark prints of these fields, a line each frame; `None` where there is no tshark.
fn tshark(path: &Path, filter: &str, fields: &[&str]) -> Option<Vec<String>> {
    let script = repository("packaging/wireshark/wirewhy.lua");
    let mut command = Command::new("tshark");
    command
        .arg("-X")
        .arg(format!("lua_script:{}", script.display()));
    command.arg("-r").arg(path).args(["-Y", filter]);
    command.args(["-T", "fields", "-E", "separator=|"]);
    for field in fields {
        command.args(["-e", field]);
    }
    match command.output() {
        Ok(output) => {
            assert!(output.status.success(), "{output:?}");
            let text = String::from_utf8(output.stdout).unwrap();
            Some(text.lines().map(str::to_owned).collect())
        }
        Err(error) => {
            let why = format!("tshark: {error}, so annotated captures are NOT tested with it");
            assert!(std::env::var_os("CI").is_none(), "{why}");
            eprintln!("{why}");
            None
        }
    }
}

/// Every frame of a capture: time, lengths, interface name, bytes.
fn frames(path: &Path) -> Vec<(i64, u32, Option<String>, Vec<u8>)> {
    let mut reader: Reader = wirewhy_capture::open(path).unwrap();
    let mut frames = Vec::new();
    while let Some((frame, info)) = reader.next_with_info() {
        let interface = info.interfaces.get(frame.interface as usize);
        let name = interface.and_then(|interface| interface.name.clone());
        frames.push((frame.time.0, frame.original_len, name, frame.data.to_vec()));
    }
    assert_eq!(reader.problem(), None);
    frames
}

#[test]
fn every_frame_is_there_and_comments_stand_on_the_proof() {
    let bench = Bench::new();
    let input = bench.capture("a.pcap", MIXED);
    let ran = bench.run(&["annotate", "a.pcap", "-o", "b.pcapng"]);
    assert_eq!((ran.status, ran.out.as_str()), (Some(0), ""), "{ran:?}");
    let output = bench.path("b.pcapng");
    assert_eq!(frames(&output), frames(&input));
    let fields = ["frame.number", "frame.comment"];
    let Some(lines) = tshark(&output, "frame.comment", &fields) else {
        return;
    };
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0], "1|tcp.refused: see packet 2");
    assert!(lines[1].starts_with("2|tcp.refused (error, certain, culprit: server "));
    assert!(lines[1].ends_with("; packets 2, 1"), "{lines:?}");
}

#[test]
fn the_fields_of_the_script_find_them() {
    let bench = Bench::new();
    bench.capture("a.pcap", MIXED);
    bench.run(&["annotate", "a.pcap", "-o", "b.pcapng"]);
    let fields = [
        "frame.number",
        "wirewhy.code",
        "wirewhy.decisive",
        "wirewhy.see",
        "wirewhy.severity",
    ];
    let filter = "wirewhy.code == \"tcp.refused\"";
    let Some(lines) = tshark(&bench.path("b.pcapng"), filter, &fields) else {
        return;
    };
    assert_eq!(lines, ["1|tcp.refused|0|2|", "2|tcp.refused|1||error"]);
}

#[test]
fn only_the_connections_in_trouble_where_wanted() {
    let bench = Bench::new();
    let input = bench.capture(
        "a.pcap",
        &format!(
            "{WELL}\n{}",
            "
        10.0 #3 > S 0:0(0) win 64240 <mss 1460>
        10.1 #3 < RA 0:0(0) ack 1 win 0
        19.0 end"
        )
        .replacen("9.000 end", "", 1),
    );
    let ran = bench.run(&["annotate", "--failed", "a.pcap", "-o", "b.pcapng"]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let all = frames(&input);
    let kept = frames(&bench.path("b.pcapng"));
    // Behind them is the frame that ends the trace.
    assert_eq!(kept, all[all.len() - 3..all.len() - 1]);
    let fields = ["frame.packet_id", "frame.comment"];
    if let Some(lines) = tshark(&bench.path("b.pcapng"), "frame.comment", &fields) {
        // Cited by the numbers of the new file.
        assert_eq!(lines[0], "9|tcp.refused: see packet 2");
    }
}

#[test]
fn lookups_that_a_failed_connection_waited_for_stay() {
    let bench = Bench::new();
    let input = repository("fixtures/captures/dns-connections/client.pcap");
    let ran = bench.run(&[
        "annotate",
        "--failed",
        input.to_str().unwrap(),
        "-o",
        "b.pcapng",
    ]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let output = bench.path("b.pcapng");
    let fields = ["dns.id"];
    let (Some(of_all), Some(kept)) = (
        tshark(&input, "dns", &fields),
        tshark(&output, "dns", &fields),
    ) else {
        return;
    };
    assert!(!kept.is_empty() && kept.len() <= of_all.len(), "{kept:?}");
    let streams = tshark(
        &output,
        "tcp.flags.syn == 1 && tcp.flags.ack == 0",
        &["ipv6.dst"],
    );
    assert!(streams.unwrap().contains(&"fd09:2::2".to_owned()));
}

#[test]
fn interfaces_secrets_and_times_of_a_pcapng_are_kept() {
    let bench = Bench::new();
    for name in [
        "formats/two-interfaces.pcapng",
        "tls-cert-secrets-inside/client.pcapng",
    ] {
        let input = repository("fixtures/captures").join(name);
        let ran = bench.run(&[
            "annotate",
            input.to_str().unwrap(),
            "-o",
            "b.pcapng",
            "--overwrite",
        ]);
        assert_eq!(ran.status, Some(0), "{ran:?}");
        let output = bench.path("b.pcapng");
        assert_eq!(frames(&output), frames(&input), "{name}");
        // What the secrets decrypt is concluded from the copy as well.
        let report = |path: &Path| {
            let text = bench
                .run(&["--format", "ndjson", path.to_str().unwrap()])
                .out;
            let connections = text
                .lines()
                .filter(|line| line.contains(r#""type":"connection""#));
            connections.map(str::to_owned).collect::<Vec<String>>()
        };
        assert_eq!(report(&output), report(&input), "{name}");
    }
}

#[test]
fn comments_that_are_there_stay_and_ours_come_once() {
    let bench = Bench::new();
    bench.capture("a.pcap", MIXED);
    bench.run(&["annotate", "a.pcap", "-o", "b.pcapng"]);
    bench.run(&["annotate", "b.pcapng", "-o", "c.pcapng"]);
    let fields = ["frame.number", "frame.comment"];
    let once = tshark(&bench.path("b.pcapng"), "frame.comment", &fields);
    let twice = tshark(&bench.path("c.pcapng"), "frame.comment", &fields);
    assert_eq!(once, twice);
}

#[test]
fn standard_input_is_read_more_than_once() {
    let bench = Bench::new();
    let input = bench.capture("a.pcap", MIXED);
    let mut child = bench
        .command(&["annotate", "-", "-o", "b.pcapng"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let bytes = fs::read(&input).unwrap();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(frames(&bench.path("b.pcapng")), frames(&input));
}

#[test]
fn nothing_is_lost_to_the_output() {
    let bench = Bench::new();
    let input = bench.capture("a.pcap", MIXED);
    let before = fs::read(&input).unwrap();
    fs::hard_link(&input, bench.path("link.pcap")).unwrap();
    bench.file("notes.txt", "mine");
    for (output, why) in [
        ("a.pcap", "is an input"),
        ("link.pcap", "is an input"),
        ("notes.txt", "exists"),
    ] {
        let ran = bench.run(&["annotate", "a.pcap", "-o", output]);
        assert_eq!(ran.status, Some(2), "{ran:?}");
        assert!(ran.err.contains(why), "{ran:?}");
    }
    let ran = bench.run(&["annotate", "a.pcap", "-o", "link.pcap", "--overwrite"]);
    assert_eq!(ran.status, Some(2), "{ran:?}");
    assert_eq!(fs::read(&input).unwrap(), before);
    assert_eq!(fs::read_to_string(bench.path("notes.txt")).unwrap(), "mine");
    bench.run(&["annotate", "a.pcap", "-o", "b.pcapng"]);
    let again = bench.run(&["annotate", "a.pcap", "-o", "b.pcapng"]);
    assert_eq!(again.status, Some(2), "{again:?}");
    assert!(again.err.contains("--overwrite"), "{again:?}");
}
