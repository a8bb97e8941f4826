//! Connections that fail for real while `wirewhy live` watches.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use wirewhy_capture::now;

use crate::world::{Neighbour, Watch, ask, in_namespace, ip, seconds};

/// How long after what settles it a finding may come: the promise, and some for a machine that is busy with other tests.
const IN_TIME: f64 = 1.0 + 0.5;

pub(crate) fn connect(address: &str) -> Option<TcpStream> {
    let address: SocketAddr = address.parse().unwrap();
    TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()
}

/// A connection and its other end.
fn open(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: example\r\n\r\n";

/// Lets the other side read everything that was sent.
fn take(stream: &mut TcpStream, bytes: usize) {
    let mut taken = vec![0; bytes];
    stream.read_exact(&mut taken).unwrap();
}

#[test]
fn refused_and_closed_and_reset_and_cut_short_are_told_at_once() {
    if !in_namespace() {
        return;
    }
    let mut watch = Watch::records("lo", &["--min-severity", "warning"]);
    let refused = now();
    assert!(connect("127.0.0.1:9").is_none());
    let (at, record) = watch.finding("tcp.refused", 9);
    assert!(seconds(at, refused) < IN_TIME, "{}", seconds(at, refused));
    assert_eq!(record["scope"], "connection");
    assert_eq!(record["culprit"]["role"], "server");

    let silent = TcpListener::bind("127.0.0.1:81").unwrap();
    let (mut client, mut server) = open(&silent);
    client.write_all(REQUEST).unwrap();
    take(&mut server, REQUEST.len());
    let closed = now();
    server.shutdown(Shutdown::Both).unwrap();
    drop(client);
    let (at, _) = watch.finding("tcp.closed-without-data", 81);
    assert!(seconds(at, closed) < IN_TIME);

    let short = TcpListener::bind("127.0.0.1:82").unwrap();
    let (mut client, mut server) = open(&short);
    client.write_all(REQUEST).unwrap();
    take(&mut server, REQUEST.len());
    server
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
        .unwrap();
    let cut = now();
    drop(server);
    let (at, _) = watch.finding("tcp.truncated-response", 82);
    assert!(seconds(at, cut) < IN_TIME);
    drop(client);

    // A kernel that closes a socket with unread input resets the connection.
    let unread = TcpListener::bind("127.0.0.1:83").unwrap();
    let (mut client, server) = open(&unread);
    client.write_all(REQUEST).unwrap();
    while server.peek(&mut [0; 64]).unwrap() < REQUEST.len() {}
    let reset = now();
    drop(server);
    let (at, _) = watch.finding("rst.unread-data", 83);
    assert!(seconds(at, reset) < IN_TIME);
}

#[test]
fn silence_is_told_by_the_clock() {
    if !in_namespace() {
        return;
    }
    let neighbour = Neighbour::new();
    // Takes what is sent to it for another host's, and does not answer.
    let link = neighbour.run(|| std::fs::read_to_string("/sys/class/net/far/address"));
    let link = link.unwrap_or_default();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    std::fs::write(&config, "[limits]\nno_response_seconds = 2\n").unwrap();
    let mut watch = Watch::records("near", &["--config", config.to_str().unwrap()]);
    let far = mac_of(&neighbour).unwrap_or(link);
    ip(&format!(
        "neigh replace 10.0.1.7 lladdr {} dev near nud permanent",
        far.trim()
    ));

    let asked = now();
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(connect("10.0.1.7:443").is_none()));
        let (at, record) = watch.finding("tcp.syn-unanswered", 443);
        // Three seconds of silence, and half of one for a router to answer instead.
        let waited = seconds(at, asked);
        assert!((3.4..3.5 + IN_TIME).contains(&waited), "{waited}");
        assert!(record["summary"].as_str().unwrap().contains("nothing came"));
    });

    let listener = neighbour.run(|| TcpListener::bind("10.0.1.2:80").unwrap());
    let mut client = connect("10.0.1.2:80").unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(REQUEST).unwrap();
    let asked = now();
    take(&mut server, REQUEST.len());
    let (at, record) = watch.finding("tcp.no-response", 80);
    let waited = seconds(at, asked);
    assert!((1.9..2.5 + IN_TIME).contains(&waited), "{waited}");
    assert!(
        record["summary"]
            .as_str()
            .unwrap()
            .ends_with("still waiting")
    );

    // The application stops reading; the kernel closes the window.
    let mut stuck = connect("10.0.1.2:80").unwrap();
    let (unread, _) = listener.accept().unwrap();
    stuck
        .set_write_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    while stuck.write(&[0; 65_536]).is_ok() {}
    let closed = now();
    let (at, _) = watch.finding("tcp.zero-window", 80);
    assert!(seconds(at, closed) < 1.5 + IN_TIME);
    drop((unread, stuck));

    // From one moment on nothing comes back.
    let mut client = connect("10.0.1.2:80").unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(b"hello").unwrap();
    take(&mut server, 5);
    neighbour.run(|| ip("addr del 10.0.1.2/24 dev far"));
    client.write_all(b"still there?").unwrap();
    let gone = now();
    let (at, _) = watch.finding("tcp.peer-vanished", 80);
    // The first retransmission after 200 ms, and half a minute from that one on in which the other side may show that it lives.
    let waited = seconds(at, gone);
    assert!((30.0..30.4 + IN_TIME).contains(&waited), "{waited}");
}

/// The MAC address of the neighbour's end of the cable.
fn mac_of(neighbour: &Neighbour) -> Option<String> {
    let reported = neighbour.run(|| {
        Command::new("ip")
            .args(["-o", "link", "show", "far"])
            .output()
    });
    let reported = String::from_utf8(reported.ok()?.stdout).ok()?;
    let (_, rest) = reported.split_once("link/ether ")?;
    rest.split(' ').next().map(str::to_owned)
}

#[test]
fn a_request_to_end_loses_nothing() {
    const FAILURES: usize = 300;
    if !in_namespace() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.ndjson");
    let watch = Watch::records("lo", &["-o", path.to_str().unwrap()]);
    for _ in 0..FAILURES {
        assert!(connect("127.0.0.1:9").is_none());
    }
    let (status, ..) = watch.terminate();
    assert_eq!(status.code(), Some(0));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.ends_with('\n'));
    let records: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |kind: &str, code: &str| {
        records
            .iter()
            .filter(|record| record["type"] == kind)
            .filter(|record| record[code] == "tcp.refused")
            .count()
    };
    assert_eq!(of("finding", "code"), FAILURES);
    assert_eq!(of("connection", "root_cause"), FAILURES);
    let last = records.last().unwrap();
    assert_eq!(last["type"], "totals");
    assert_eq!(
        last["totals"]["failed"]
            .as_u64()
            .or(last["failed"].as_u64()),
        Some(300)
    );
}

#[test]
fn a_second_signal_ends_it_at_once() {
    if !in_namespace() {
        return;
    }
    // There is no reader: when the pipe is full the program waits in the middle of a line.
    let (mut child, _printed) = unread(&["-i", "lo", "--format", "ndjson"]);
    for _ in 0..600 {
        assert!(connect("127.0.0.1:9").is_none());
    }
    std::thread::sleep(Duration::from_secs(2));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, Signal::SIGINT).unwrap();
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(child.try_wait().unwrap(), None, "the pipe holds it up");
    nix::sys::signal::kill(pid, Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    if !in_namespace() {
        return;
    }
    let (mut child, mut printed) = unread(&["-i", "lo"]);
    drop(child.stdout.take());
    assert!(connect("127.0.0.1:9").is_none());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    printed.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

/// A `wirewhy live` that listens, its output yet to be read.
fn unread(arguments: &[&str]) -> (Child, BufReader<ChildStderr>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wirewhy"))
        .arg("live")
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    printed.read_line(&mut line).unwrap();
    assert!(line.contains("listening on"), "{line}");
    (child, printed)
}

#[test]
fn an_interface_that_goes_and_comes_back_is_told_and_watched_on() {
    if !in_namespace() {
        return;
    }
    let _neighbour = Neighbour::new();
    let mut watch = Watch::records("near", &[]);
    assert!(connect("10.0.1.2:9").is_none());
    watch.finding("tcp.refused", 9);
    ip("link set near down");
    assert_eq!(
        watch.printed(),
        "wirewhy: near: the interface went down; waiting for it"
    );
    ip("link set near up");
    assert_eq!(watch.printed(), "wirewhy: near: is back");
    assert!(connect("10.0.1.2:10").is_none());
    watch.finding("tcp.refused", 10);
    let (status, lines, printed) = watch.terminate();
    assert_eq!((status.code(), printed), (Some(0), Vec::new()));
    assert!(lines.last().unwrap().contains("\"type\":\"totals\""));
}

#[test]
fn metrics_are_there_for_prometheus() {
    if !in_namespace() {
        return;
    }
    let mut watch = Watch::records(
        "lo",
        &["--metrics", "127.0.0.1:9100", "-f", "not port 9100"],
    );
    // At three services: one that refuses all of them is down, which is one more finding.
    for port in [10, 11, 9] {
        assert!(connect(&format!("127.0.0.1:{port}")).is_none());
    }
    let listener = TcpListener::bind("127.0.0.1:80").unwrap();
    let (client, server) = open(&listener);
    watch.finding("tcp.refused", 9);
    // Counters are handed over several times a second.
    std::thread::sleep(Duration::from_millis(1_500));
    let answer = ask("127.0.0.1:9100", "/metrics", "");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(
        head.contains("Content-Type: text/plain; version=0.0.4"),
        "{head}"
    );
    for line in [
        "wirewhy_findings_total{code=\"tcp.refused\",severity=\"error\"} 3",
        "wirewhy_findings_total{code=\"tcp.unreachable\",severity=\"error\"} 0",
        "wirewhy_culprits_total{culprit=\"server\",severity=\"error\"} 3",
        // Long before they are over for good.
        "wirewhy_connections_total{outcome=\"failed\"} 3",
        "wirewhy_resets_total 3",
        "wirewhy_tcp_packets_total 9",
        "wirewhy_kernel_dropped_packets_total 0",
        "wirewhy_connections_given_up_total 0",
        "wirewhy_evidence_files_total{result=\"failed\"} 0",
        "wirewhy_connections_limit 262144",
        "wirewhy_tcp_handshake_seconds_count 1",
    ] {
        assert!(body.lines().any(|known| known == line), "{line} in\n{body}");
    }
    assert!(!body.contains("127.0.0.1"), "no address is a label");
    let open = ask(
        "127.0.0.1:9100",
        "/metrics",
        "Accept: application/openmetrics-text; version=1.0.0\r\n",
    );
    assert!(open.ends_with("# EOF\n"));
    assert!(ask("127.0.0.1:9100", "/other", "").starts_with("HTTP/1.1 404 "));
    drop((client, server));
}

#[test]
fn text_is_lines_with_the_repeated_ones_counted() {
    if !in_namespace() {
        return;
    }
    let mut watch = Watch::start(&["-i", "lo"]);
    for _ in 0..20 {
        assert!(connect("127.0.0.1:9").is_none());
    }
    let line = watch.line();
    assert!(
        line.contains(" error   tcp.refused 127.0.0.1 → 127.0.0.1:9: refused the connection"),
        "{line}"
    );
    let (_, lines, _) = watch.terminate();
    assert!(
        lines[0].contains("tcp.refused 127.0.0.1:9: 19 more in "),
        "{}",
        lines[0]
    );
    assert!(lines[0].ends_with("from 127.0.0.1"), "{}", lines[0]);
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("lo: live, EN10MB, 40 packets"))
    );
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("20 connections: 20 failed"))
    );
    assert!(!lines.iter().any(|line| line.contains("wirewhy show")));
}

#[test]
fn counts_and_durations_end_it_and_wrong_wishes_are_refused() {
    if !in_namespace() {
        return;
    }
    let watch = Watch::start(&["-i", "lo", "--count", "4", "--fail-on", "error"]);
    for _ in 0..5 {
        assert!(connect("127.0.0.1:9").is_none());
    }
    let (status, lines, _) = watch.end();
    assert_eq!(status.code(), Some(1));
    assert!(
        lines.iter().any(|line| line.contains(", 4 packets")),
        "{lines:?}"
    );
    let begun = now();
    let (status, ..) = Watch::start(&["-i", "lo", "--duration", "1s"]).end();
    assert_eq!(status.code(), Some(0));
    assert!((0.9..3.0).contains(&seconds(now(), begun)));
    for wrong in [
        &["-i", "nosuch"][..],
        &["-i", "lo", "-f", "tcp prot 80"],
        &["-i", "lo", "--metrics", "0.0.0.0:9100"],
        &["-i", "lo", "--duration", "soon"],
        &["-i", "lo", "--user", "nobody-of-that-name"],
        &[],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wirewhy"));
        let output = command.arg("live").args(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {output:?}");
    }
}

#[test]
fn evidence_holds_the_packets_from_before_the_failure() {
    if !in_namespace() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let evidence = folder.path().join("evidence");
    let mut watch = Watch::records("lo", &["--evidence", evidence.to_str().unwrap()]);
    let unread = TcpListener::bind("127.0.0.1:83").unwrap();
    let (mut client, server) = open(&unread);
    client.write_all(REQUEST).unwrap();
    while server.peek(&mut [0; 64]).unwrap() < REQUEST.len() {}
    drop(server);
    watch.finding("rst.unread-data", 83);
    let (_, _, printed) = watch.terminate();
    assert_eq!(printed, ["wirewhy: evidence files: 1 written"]);
    let mut files = std::fs::read_dir(&evidence).unwrap();
    let file = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    let mut reader = wirewhy_capture::open(&file).unwrap();
    let mut frames = 0;
    while reader.next().is_some() {
        frames += 1;
    }
    assert!(reader.problem().is_none());
    // The handshake, the request, its acknowledgement and the reset.
    assert_eq!(frames, 6);
    let output = Command::new(env!("CARGO_BIN_EXE_wirewhy"))
        .args(["--format", "ndjson", file.to_str().unwrap()])
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.contains("\"root_cause\":\"rst.unread-data\""),
        "{printed}"
    );
}

#[test]
fn interfaces_are_listed_with_what_is_known_of_them() {
    if !in_namespace() {
        return;
    }
    let _neighbour = Neighbour::new();
    ip("link add idle type veth peer name idler");
    let output = Command::new(env!("CARGO_BIN_EXE_wirewhy"))
        .arg("interfaces")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |name: &str| {
        let lead = format!("{name} ");
        let line = text.lines().find(|line| line.starts_with(&lead));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}"))
            .split_whitespace()
            .collect::<Vec<_>>()
    };
    assert_eq!(line("near")[1..3], ["up", "10.0.1.1/24"]);
    assert_eq!(line("idle")[1], "down");
    assert_eq!(line("any")[1], "up");
}
