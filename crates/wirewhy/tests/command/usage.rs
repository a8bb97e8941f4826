//! What the subcommands and options do.

use serde_json::Value as Json;

use crate::run::{Bench, MIXED, WELL};

#[test]
fn a_file_alone_is_analysed_and_so_is_standard_input() {
    let bench = Bench::new();
    let path = bench.capture("a.pcap", MIXED);
    let ran = bench.run(&["a.pcap"]);
    assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert!(
        ran.out.starts_with("a.pcap: pcap, EN10MB, 11 packets"),
        "{}",
        ran.out
    );
    assert!(
        ran.out
            .contains("2 connections: 1 failed, 0 degraded, 1 ok, 0 undecided"),
        "{ran:?}"
    );
    assert!(ran.out.contains("error    tcp.refused"), "{}", ran.out);
    assert_eq!(bench.run(&["analyze", "a.pcap"]).out, ran.out);
    let piped = bench.run_with_input(&["-"], &path);
    assert_eq!(
        piped
            .out
            .replace("standard input", "a.pcap")
            .replace("show FILE", "show a.pcap"),
        ran.out
    );
    assert_eq!(bench.run_with_input(&[], &path).out, piped.out);
}

#[test]
fn several_files_are_reported_one_after_another() {
    let bench = Bench::new();
    bench.capture("a.pcap", MIXED);
    bench.capture("b.pcap", WELL);
    let both = bench.run(&["a.pcap", "b.pcap"]).out;
    let one_by_one = [bench.run(&["a.pcap"]).out, bench.run(&["b.pcap"]).out].join("\n");
    assert_eq!(both, one_by_one);
    let json = bench.run(&["--format", "json", "a.pcap", "b.pcap"]).out;
    let documents: Vec<Json> = serde_json::Deserializer::from_str(&json)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap();
    let sources: Vec<&Json> = documents.iter().map(|d| &d["capture"]["source"]).collect();
    assert_eq!(sources, ["a.pcap", "b.pcap"]);
}

#[test]
fn formats_carry_the_same_findings() {
    let bench = Bench::new();
    bench.capture("a.pcap", MIXED);
    let document: Json =
        serde_json::from_str(&bench.run(&["a.pcap", "--format", "json"]).out).unwrap();
    assert_eq!(document["schema"], "wirewhy/1");
    assert_eq!(document["totals"]["connections"], 2);
    assert_eq!(document["connections"][0]["root_cause"], "tcp.refused");
    let ndjson = bench.run(&["a.pcap", "--format", "ndjson", "--all"]).out;
    let records: Vec<Json> = ndjson
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let streams: Vec<u64> = records
        .iter()
        .filter(|record| record["type"] == "connection")
        .map(|record| record["stream"].as_u64().unwrap())
        .collect();
    assert_eq!(streams.len(), 2, "{ndjson}");
    let refused = records.iter().find(|record| record["stream"] == 0).unwrap();
    assert_eq!(refused["findings"], document["connections"][0]["findings"]);
}

#[test]
fn findings_can_be_chosen() {
    let bench = Bench::new();
    bench.capture("a.pcap", MIXED);
    for args in [
        ["--ignore", "tcp.*"],
        ["--only", "capture.*"],
        ["--ignore", "*.refused"],
    ] {
        let ran = bench.run(&[&args[..], &["a.pcap"]].concat());
        let (_, rest) = ran.out.split_once('\n').unwrap();
        let expected = format!(
            "2 connections: 1 failed, 0 degraded, 1 ok, 0 undecided\n\
             1 finding is hidden by {}.\n",
            args[0]
        );
        assert_eq!(rest, expected, "{ran:?}");
        let json = bench.run(&[&args[..], &["--all", "--format", "json", "a.pcap"]].concat());
        let document: Json = serde_json::from_str(&json.out).unwrap();
        assert_eq!(document["totals"]["failed"], 1, "{document}");
        let connections = document["connections"].as_array().unwrap();
        let refused = connections.iter().find(|one| one["stream"] == 0).unwrap();
        assert_eq!(refused["outcome"], "failed", "{document}");
        assert_eq!(refused["root_cause"], "tcp.refused", "{document}");
        assert_eq!(refused["findings"], Json::Array(Vec::new()), "{document}");
    }
    let slip = bench.run(&["--ignore", "tcp.refusd", "a.pcap"]);
    assert_eq!(slip.status, Some(2));
    assert!(
        slip.err.contains("tcp.refusd (did you mean tcp.refused?)"),
        "{slip:?}"
    );
    assert_eq!(slip.err.lines().count(), 1);
}

#[test]
fn fail_on_sets_the_exit_status() {
    let bench = Bench::new();
    bench.capture("a.pcap", MIXED);
    bench.capture("well.pcap", WELL);
    assert_eq!(bench.run(&["--fail-on", "error", "a.pcap"]).status, Some(1));
    assert_eq!(
        bench
            .run(&["--fail-on", "warning", "well.pcap", "a.pcap"])
            .status,
        Some(1)
    );
    assert_eq!(
        bench.run(&["--fail-on", "warning", "well.pcap"]).status,
        Some(0)
    );
    let ignored = ["--fail-on", "error", "--ignore", "tcp.refused", "a.pcap"];
    assert_eq!(bench.run(&ignored).status, Some(0));
}

#[test]
fn a_filter_leaves_numbers_as_they_are() {
    let bench = Bench::new();
    bench.capture("a.pcap", MIXED);
    let nothing = bench.run(&["-f", "udp port 4", "a.pcap"]);
    let notice = "\nThe filter 'udp port 4' matched none of 11 packets.\n";
    assert!(nothing.out.ends_with(notice), "{nothing:?}");
    let args = ["-f", "port 40001", "--all", "--format", "json", "a.pcap"];
    let document: Json = serde_json::from_str(&bench.run(&args).out).unwrap();
    assert_eq!(document["totals"]["connections"], 1);
    assert_eq!(document["connections"][0]["stream"], 1);
    assert_eq!(document["connections"][0]["first_frame"], 3);
    let rows = bench
        .run(&[
            "packets",
            "-f",
            "port 40001",
            "--format",
            "ndjson",
            "a.pcap",
        ])
        .out;
    let first: Json = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    assert_eq!((&first["frame"], &first["stream"]), (&3.into(), &1.into()));
    let bad = bench.run(&["-f", "tcp prot 80", "a.pcap"]);
    assert_eq!(bad.status, Some(2));
    assert!(
        bad.err.starts_with("wirewhy: filter \"tcp prot 80\": "),
        "{bad:?}"
    );
    assert_eq!(bad.err.lines().count(), 1, "{bad:?}");
}

#[test]
fn packets_have_the_agreed_members() {
    let bench = Bench::new();
    bench.capture("a.pcap", MIXED);
    let ran = bench.run(&["packets", "--format", "ndjson", "a.pcap"]);
    let rows: Vec<Json> = ran
        .out
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(rows.len(), 10);
    let members: Vec<&String> = rows[0].as_object().unwrap().keys().collect();
    let agreed = [
        "frame", "time", "stream", "from", "flags", "seq", "ack", "len", "window", "marks",
    ];
    assert_eq!(members, agreed);
    let data = &rows[5];
    assert_eq!(
        (&data["flags"], &data["seq"], &data["ack"]),
        (&"PA".into(), &1.into(), &1.into())
    );
    assert_eq!(
        (&data["from"], &data["len"]),
        (&"client".into(), &100.into())
    );
    let text = bench.run(&["packets", "a.pcap"]).out;
    assert_eq!(text.lines().count(), 11, "{text}");
}

#[test]
fn a_frame_recorded_twice_is_marked() {
    let bench = Bench::new();
    let text = "
        0.000 > S 0:0(0) win 64240
        0.000001 dup
        0.010 < SA 0:0(0) ack 1
        0.011 > A 1:1(0) ack 1";
    bench.capture("twice.pcap", text);
    let ran = bench.run(&["packets", "--format", "ndjson", "twice.pcap"]);
    let second: Json = serde_json::from_str(ran.out.lines().nth(1).unwrap()).unwrap();
    let marks = second["marks"].as_array().unwrap();
    assert!(marks.contains(&"capture_duplicate".into()), "{ran:?}");
}

#[test]
fn show_draws_one_connection_with_icmp_errors() {
    let bench = Bench::new();
    let text = "
        0.000 > S 0:0(0) win 64240
        0.002 icmp 192.0.2.254 > client unreachable host quote 28
        9.0 end";
    bench.capture("dead.pcap", text);
    let ran = bench.run(&["show", "dead.pcap", "0"]);
    assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(
        lines[0].contains("192.0.2.1:40000") && lines[0].ends_with("198.51.100.1:80"),
        "{ran:?}"
    );
    assert!(
        lines[1].contains("|--- S  seq 0  win 64240 -"),
        "{}",
        ran.out
    );
    assert!(
        lines[2].contains("= ICMP from 192.0.2.254 =*"),
        "{}",
        ran.out
    );
    assert!(
        lines[3].contains("host unreachable (type 3, code 1)"),
        "{}",
        ran.out
    );
    assert!(
        ran.out
            .contains("Stream 0: failed, root cause tcp.unreachable"),
        "{}",
        ran.out
    );
    let none = bench.run(&["show", "dead.pcap", "7"]);
    assert_eq!(none.status, Some(2));
    assert_eq!(
        none.err,
        "wirewhy: dead.pcap: has no stream 7; its streams are 0 to 0\n"
    );
}

#[test]
fn show_draws_what_matters_of_a_long_connection_and_all_on_request() {
    let bench = Bench::new();
    let mut text = "0.000 > S 0:0(0) win 64240
        0.001 < SA 0:0(0) ack 1 win 65160
        0.002 > A 1:1(0) ack 1\n"
        .to_owned();
    for n in 0..600 {
        let (at, from) = (f64::from(n) / 100.0 + 0.01, n * 100 + 1);
        text += &format!("{at:.3} > PA {from}:{}(100) ack 1\n", from + 100);
        text += &format!("{:.3} < A 1:1(0) ack {}\n", at + 0.001, from + 100);
    }
    text += "9.000 < RA 1:1(0) ack 60001\n";
    bench.capture("long.pcap", &text);
    let short = bench.run(&["show", "long.pcap", "0"]).out;
    let all = bench.run(&["show", "--all", "long.pcap", "0"]).out;
    assert!(
        short.contains(" packets not shown: ") && short.matches("--all").count() == 1,
        "{short}"
    );
    assert!(short.lines().count() < 80, "{short}");
    let arrows = |line: &&str| line.ends_with("->|") || line.ends_with("---|");
    assert_eq!(all.lines().filter(arrows).count(), 1_204, "{all}");
    let former = bench.run(&["show", "--all-packets", "long.pcap", "0"]);
    assert_eq!(former.out, all, "the name it had before");
    let part = bench
        .run(&["show", "--frames", "600-609", "long.pcap", "0"])
        .out;
    assert_eq!(part.lines().filter(arrows).count(), 10, "{part}");
    assert!(part.contains("… 599 packets not shown: "), "{part}");
    assert!(part.contains("… 595 packets not shown: "), "{part}");
    let none = bench.run(&["show", "--frames", "1300-", "long.pcap", "0"]);
    assert_eq!((none.status, none.out.as_str()), (Some(2), ""), "{none:?}");
    assert!(none.err.contains("which has frames 1 to 1204"), "{none:?}");
    // The findings are the same.
    let findings = |shown: &str| shown.split_once("\nStream 0").unwrap().1.to_owned();
    assert_eq!(findings(&short), findings(&all));
    let hidden = bench
        .run(&["show", "--only", "tls.*", "long.pcap", "0"])
        .out;
    assert!(hidden.ends_with("hidden by --only.\n"), "{hidden}");
}

#[test]
fn explain_lists_and_explains() {
    let bench = Bench::new();
    let list = bench.run(&["explain"]);
    assert_eq!(list.status, Some(0));
    let codes: Vec<&str> = list
        .out
        .lines()
        .filter_map(|l| l.split(' ').next())
        .collect();
    assert!(
        codes.contains(&"tcp.refused") && codes.len() > 10,
        "{list:?}"
    );
    for code in codes {
        let ran = bench.run(&["explain", code]);
        assert_eq!(ran.status, Some(0), "{ran:?}");
        assert!(ran.out.contains("What to check next"), "{ran:?}");
        let widest = ran.out.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{}", ran.out);
    }
    let slip = bench.run(&["explain", "tcp.refsed"]);
    assert_eq!(slip.status, Some(2));
    assert_eq!(
        slip.err,
        "wirewhy: no finding is called tcp.refsed (did you mean tcp.refused?); \
         `wirewhy explain` lists them all\n"
    );
}

#[test]
fn explain_finds_codes_by_globs_names_and_words() {
    let bench = Bench::new();
    let codes = |wanted: &str| -> Vec<String> {
        let ran = bench.run(&["explain", wanted]);
        assert_eq!(ran.status, Some(0), "{ran:?}");
        let first = ran
            .out
            .lines()
            .map(|line| line.split(' ').next().unwrap().to_owned());
        first.collect()
    };
    let tcp = codes("tcp.*");
    assert!(
        tcp.len() > 10 && tcp.iter().all(|code| code.starts_with("tcp.")),
        "{tcp:?}"
    );
    // The name alone is the code.
    for (name, code) in [
        ("syn-unanswered", "tcp.syn-unanswered"),
        ("paws-drop", "tcp.paws-drop"),
    ] {
        let ran = bench.run(&["explain", name]).out;
        assert!(ran.starts_with(&format!("error    {code}  ")), "{ran}");
    }
    // What has the word in its code stands first.
    let mtu = codes("MTU");
    assert_eq!(mtu[0], "tcp.mtu-blackhole", "{mtu:?}");
    assert!(
        mtu.contains(&"tcp.fragmentation-needed".to_owned()),
        "{mtu:?}"
    );
    let many = codes("unanswered");
    assert!(many.len() > 3, "{many:?}");
    for (slip, meant) in [("sin-unanswered", "tcp.syn-unanswered"), ("tcp.*.x", "")] {
        let ran = bench.run(&["explain", slip]);
        assert_eq!(ran.status, Some(2), "{ran:?}");
        let meant = if meant.is_empty() {
            "called tcp.*.x; ".to_owned()
        } else {
            format!("(did you mean {meant}?)")
        };
        assert!(ran.err.contains(&meant), "{ran:?}");
    }
}

#[test]
fn man_pages_and_completions_come_from_the_same_arguments() {
    let bench = Bench::new();
    let page = bench.run(&["man"]).out;
    assert!(
        page.contains(".TH wirewhy 1") && page.contains("Exit status"),
        "{page}"
    );
    let show = bench.run(&["man", "show"]).out;
    assert!(
        show.contains("wirewhy\\-show") && show.contains("STREAM"),
        "{show}"
    );
    assert_eq!(bench.run(&["man", "shwo"]).status, Some(2));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = bench.run(&["completions", shell]).out;
        assert!(script.contains("fail-on"), "{shell}: {script}");
    }
}

#[test]
fn the_configuration_sets_names_thresholds_and_ignored_codes() {
    let bench = Bench::new();
    bench.capture("a.pcap", MIXED);
    bench.file("c.toml", "[names]\n\"198.51.100.1\" = \"db1\"\n");
    let named = bench.run(&["--config", "c.toml", "a.pcap"]).out;
    assert!(named.contains("198.51.100.1:80 (db1)"), "{named}");
    bench.file("c.toml", "ignore = [\"tcp.refused\"]");
    let hidden = bench.run(&["--config", "c.toml", "a.pcap"]).out;
    assert!(!hidden.contains("tcp.refused"), "{hidden}");
    let by = "1 finding is hidden by the configuration's ignore.\n";
    assert!(
        hidden.ends_with(by) && hidden.contains("1 failed"),
        "{hidden}"
    );
    bench.file("c.toml", "[limits]\nslow_handshake_seconds = 0.001\n");
    let slow = bench.run(&["--config", "c.toml", "a.pcap"]).out;
    assert!(slow.contains("tcp.slow-handshake"), "{slow}");
    bench.file("c.toml", "[limits]\nslow_handshak_seconds = 1\n");
    let slip = bench.run(&["--config", "c.toml", "a.pcap"]);
    assert_eq!(slip.status, Some(2));
    assert_eq!(
        slip.err,
        "wirewhy: c.toml: unknown key limits.slow_handshak_seconds \
         (did you mean limits.slow_handshake_seconds?)\n"
    );
}

#[test]
fn the_users_own_configuration_is_found() {
    let bench = Bench::new();
    bench.capture("a.pcap", MIXED);
    std::fs::create_dir(bench.path("wirewhy")).unwrap();
    bench.file("wirewhy/config.toml", "ignore = [\"tcp.refused\"]");
    assert!(!bench.run(&["a.pcap"]).out.contains("tcp.refused"));
}

#[test]
fn a_configuration_of_the_users_that_cannot_be_read_is_a_warning() {
    let bench = Bench::new();
    bench.capture("a.pcap", MIXED);
    // A folder cannot be read as a file, not even by root.
    std::fs::create_dir_all(bench.path("wirewhy/config.toml")).unwrap();
    let ran = bench.run(&["a.pcap"]);
    assert!(ran.out.contains("tcp.refused"), "{}", ran.out);
    assert!(ran.err.contains("config.toml: "), "{}", ran.err);
    assert!(bench.run(&["--quiet", "a.pcap"]).err.is_empty());
    let named = bench.run(&["--config", "wirewhy/config.toml", "a.pcap"]);
    assert!(named.out.is_empty() && named.err.contains("config.toml: "));
}

#[test]
fn reading_ends_at_the_bytes_that_are_allowed() {
    let bench = Bench::new();
    bench.capture("a.pcap", MIXED);
    let size = std::fs::metadata(bench.path("a.pcap")).unwrap().len();
    let whole = bench.run(&["--max-bytes", &size.to_string(), "a.pcap"]);
    assert_eq!(whole.out, bench.run(&["a.pcap"]).out);
    let part = bench.run(&["--max-bytes", "200", "a.pcap"]);
    let notice = "not read beyond the 200 bytes of --max-bytes";
    assert!(part.out.contains(notice), "{}", part.out);
    assert!(part.err.contains(notice), "{}", part.err);
    assert_eq!(part.status, Some(3));
    let scanned = bench.run(&["scan", "--max-bytes", "200", "a.pcap"]);
    assert!(scanned.out.contains(notice) || scanned.err.contains(notice));
}

#[test]
fn roots_come_from_the_option_or_the_configuration() {
    let bench = Bench::new();
    bench.capture("a.pcap", MIXED);
    let missing = bench.run(&["--roots", "no.pem", "a.pcap"]);
    assert_eq!(
        (missing.status, missing.err.as_str()),
        (Some(2), "wirewhy: no.pem: No such file or directory\n")
    );
    std::fs::create_dir(bench.path("etc")).unwrap();
    bench.file("etc/c.toml", "roots = \"ca.pem\"");
    bench.file("etc/ca.pem", "no root");
    let empty = bench.run(&["show", "--config", "etc/c.toml", "a.pcap", "0"]);
    assert_eq!(
        (empty.status, empty.err.as_str()),
        (
            Some(2),
            "wirewhy: etc/ca.pem: holds no certificate in PEM\n"
        )
    );
    let named = ["--config", "etc/c.toml", "--roots", "mozilla", "a.pcap"];
    let built_in = bench.run(&named);
    assert_eq!((built_in.status, built_in.err.as_str()), (Some(0), ""));
}
