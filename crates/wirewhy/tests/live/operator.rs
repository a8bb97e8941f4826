//! What an operator relies on: rights, signals, metrics under attack, and the modes of files.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::network::connect;
use crate::world::{Watch, ask, in_namespace};

const CAP_DAC_OVERRIDE: u64 = 1 << 1;
const CAP_NET_RAW: u64 = 1 << 13;

/// A field of the status of a process, as in proc(5).
fn status(watch: &Watch, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", watch.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().split_whitespace().next().unwrap().to_owned()
}

fn rights(watch: &Watch, set: &str) -> u64 {
    u64::from_str_radix(&status(watch, set), 16).unwrap()
}

#[test]
fn rights_are_laid_down_and_it_listens_on() {
    if !in_namespace() {
        return;
    }
    let mut watch = Watch::records("lo", &["--user", "nobody", "--metrics", "127.0.0.1:9101"]);
    assert_ne!(status(&watch, "Uid:"), "0");
    assert_eq!(rights(&watch, "CapEff:"), 0);
    assert_eq!(rights(&watch, "CapPrm:"), CAP_NET_RAW, "asleep");
    assert!(connect("127.0.0.1:9").is_none());
    watch.finding("tcp.refused", 9);
    assert!(ask("127.0.0.1:9101", "/", "").starts_with("HTTP/1.1 200 "));
    let (status, ..) = watch.terminate();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn root_that_stays_root_keeps_only_the_rights_it_needs() {
    if !in_namespace() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let evidence = folder.path().join("evidence");
    fs::create_dir(&evidence).unwrap();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    nix::unistd::chown(&evidence, Some(nobody.uid), Some(nobody.gid)).unwrap();
    fs::set_permissions(&evidence, fs::Permissions::from_mode(0o700)).unwrap();
    for (more, awake) in [
        (&[][..], 0),
        (
            &["--evidence", evidence.to_str().unwrap()][..],
            CAP_DAC_OVERRIDE,
        ),
    ] {
        let mut watch = Watch::records("lo", more);
        assert_eq!(status(&watch, "Uid:"), "0");
        assert_eq!(status(&watch, "NoNewPrivs:"), "1");
        assert_eq!(rights(&watch, "CapEff:"), awake, "{more:?}");
        assert_eq!(rights(&watch, "CapPrm:"), awake | CAP_NET_RAW);
        assert_eq!(rights(&watch, "CapBnd:"), 0);
        assert!(connect("127.0.0.1:9").is_none());
        watch.finding("tcp.refused", 9);
        watch.terminate();
    }
    assert_eq!(fs::read_dir(&evidence).unwrap().count(), 1);
}

#[test]
fn a_hangup_opens_the_output_anew() {
    if !in_namespace() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.ndjson");
    let aside = folder.path().join("out.ndjson.1");
    let watch = Watch::records("lo", &["-o", path.to_str().unwrap()]);
    let until = |file: &std::path::Path, test: &dyn Fn(&str) -> bool| {
        let wait = || std::thread::sleep(Duration::from_millis(20));
        for _ in 0..1_000 {
            if fs::read_to_string(file).is_ok_and(|text| test(&text)) {
                return;
            }
            wait();
        }
        panic!("{}: {:?}", file.display(), fs::read_to_string(file));
    };
    let tells = |port: u16| move |text: &str| text.contains(&format!("\"port\":{port},"));
    let refused = |port: u16| assert!(connect(&format!("127.0.0.1:{port}")).is_none());
    refused(9);
    until(&path, &tells(9));
    // A rename alone changes nothing.
    fs::rename(&path, &aside).unwrap();
    refused(10);
    until(&aside, &tells(10));
    watch.signal(Signal::SIGHUP);
    std::thread::sleep(Duration::from_millis(500));
    refused(11);
    until(&path, &tells(11));
    let (status, ..) = watch.terminate();
    assert_eq!(status.code(), Some(0));
    let [old, new] = [&aside, &path].map(|path| fs::read_to_string(path).unwrap());
    for text in [&old, &new] {
        for line in text.lines() {
            let record: serde_json::Value = serde_json::from_str(line).expect("whole lines");
            assert!(record.is_object());
        }
    }
    assert!(!tells(11)(&old));
    assert!(new.lines().last().unwrap().contains("\"type\":\"totals\""));
}

#[test]
fn a_hangup_without_a_file_ends_it_with_the_summary() {
    if !in_namespace() {
        return;
    }
    let mut watch = Watch::records("lo", &[]);
    assert!(connect("127.0.0.1:9").is_none());
    watch.finding("tcp.refused", 9);
    watch.signal(Signal::SIGHUP);
    let (status, lines, _) = watch.end();
    assert_eq!(status.code(), Some(0));
    assert!(lines.last().unwrap().contains("\"type\":\"totals\""));
}

#[test]
fn what_waits_in_the_kernel_is_analysed_at_the_end() {
    const FAILURES: usize = 15_000;
    if !in_namespace() {
        return;
    }
    let watch = Watch::records("lo", &["--buffer", "64M"]);
    // It gets behind: by far more than it takes in within a moment.
    watch.signal(Signal::SIGSTOP);
    for _ in 0..FAILURES {
        assert!(connect("127.0.0.1:9").is_none());
    }
    watch.signal(Signal::SIGTERM);
    watch.signal(Signal::SIGCONT);
    let (status, lines, _) = watch.end();
    assert_eq!(status.code(), Some(0));
    let totals: serde_json::Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert_eq!(totals["tcp_packets"], 2 * FAILURES, "{totals}");
    let refused = lines.iter().filter(|line| {
        line.contains("\"type\":\"connection\"") && line.contains("\"tcp.refused\"")
    });
    assert_eq!(refused.count(), FAILURES);
}

#[test]
fn scrapes_are_answered_while_others_drip() {
    if !in_namespace() {
        return;
    }
    let address = "127.0.0.1:9102";
    let watch = Watch::records("lo", &["--metrics", address, "-f", "not port 9102"]);
    let mut drips: Vec<TcpStream> = Vec::new();
    for _ in 0..20 {
        // Two more clients that never come to the end of their request, for each one that does.
        for _ in 0..2 {
            let mut drip = TcpStream::connect(address).unwrap();
            drip.write_all(b"GET /metrics HTTP/1.1\r\nX: ").unwrap();
            drips.push(drip);
        }
        for drip in &mut drips {
            // The oldest were ended by the server.
            let _ = drip.write_all(b"y");
        }
        let answer = ask(address, "/metrics", "");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    watch.terminate();
}

#[test]
fn evidence_has_its_modes_under_any_mask() {
    if !in_namespace() {
        return;
    }
    for (name, mask) in [("strict", "777"), ("open", "0")] {
        let folder = tempfile::tempdir().unwrap();
        let evidence = folder.path().join(name);
        let arguments = ["-i", "lo", "--format", "ndjson", "--evidence"];
        let mut watch = Watch::masked(
            mask,
            &[&arguments[..], &[evidence.to_str().unwrap()]].concat(),
        );
        assert!(connect("127.0.0.1:9").is_none());
        watch.finding("tcp.refused", 9);
        watch.terminate();
        let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&evidence) & 0o777, 0o750, "{name}");
        let file = fs::read_dir(&evidence).unwrap().next().unwrap().unwrap();
        assert_eq!(mode(&file.path()) & 0o777, 0o640, "{name}");
    }
}
