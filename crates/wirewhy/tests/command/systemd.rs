//! What `live` sends to a service manager, which these tests are, and what it writes to the journal.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, ErrorKind, PipeReader, Read as _};
use std::os::fd::AsFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use wirewhy_capture::monotonic_time;
use wirewhy_packet::Interval;

use crate::run::{Bench, MIXED, refusals, send};

/// How long the machine may take for what the program does at once.
const PATIENCE: Duration = Duration::from_secs(45);

/// A time in which the watchdog would have been notified several times.
const QUIET: Duration = Duration::from_secs(1);

/// `WATCHDOG_USEC`: a fifth of [`QUIET`] passes between two notifications.
const WATCHDOG: &str = "400000";

/// The end of the socket that systemd reads.
struct Manager(UnixDatagram);

impl Manager {
    fn bind(address: &SocketAddr) -> Manager {
        Manager(UnixDatagram::bind_addr(address).unwrap())
    }

    /// The next notification; nothing where none comes in this time.
    fn next_within(&self, time: Duration) -> Option<String> {
        self.0.set_read_timeout(Some(time)).unwrap();
        let mut buffer = [0; 4096];
        match self.0.recv(&mut buffer) {
            Ok(length) => Some(String::from_utf8(buffer[..length].to_vec()).unwrap()),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                None
            }
        }
    }

    /// Waits for a notification that begins with this.
    #[track_caller]
    fn wait_for(&self, start: &str) -> String {
        let mut others = Vec::new();
        while let Some(state) = self.next_within(PATIENCE) {
            if state.starts_with(start) {
                return state;
            }
            others.push(state);
        }
        panic!("no {start} but {others:?}");
    }
}

/// A `live` that runs until it receives a signal.
struct Service(Child);

impl Service {
    fn start(command: &mut Command, socket: impl AsRef<OsStr>) -> Service {
        let child = command
            .env("NOTIFY_SOCKET", socket)
            .stdin(Stdio::null())
            .spawn();
        Service(child.unwrap())
    }

    fn signal(&self, signal: Signal) {
        send(signal, &self.0);
    }

    fn terminate(self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended()
    }

    fn ended(mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `wirewhy live --follow` of this capture, its outputs closed.
fn live(bench: &Bench, capture: &Path, more: &[&str]) -> Command {
    let mut command = bench.command(&["live", "--follow"]);
    command
        .arg(capture)
        .args(more)
        .env_remove("JOURNAL_STREAM")
        .env_remove("WATCHDOG_USEC")
        .env_remove("WATCHDOG_PID")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[test]
fn start_and_end_are_notified_over_a_path_and_an_abstract_name() {
    let bench = Bench::new();
    let capture = bench.capture("a.pcap", MIXED);
    let path = bench.path("notify");
    let name = format!("wirewhy-test-{}", std::process::id());
    for (address, socket) in [
        (
            SocketAddr::from_pathname(&path).unwrap(),
            path.display().to_string(),
        ),
        (
            SocketAddr::from_abstract_name(&name).unwrap(),
            format!("@{name}"),
        ),
    ] {
        let manager = Manager::bind(&address);
        let service = Service::start(&mut live(&bench, &capture, &[]), &socket);
        assert_eq!(
            manager.next_within(PATIENCE).unwrap(),
            "READY=1",
            "{socket}"
        );
        let status = manager.wait_for("STATUS=");
        assert!(status.contains(" packets, "), "{status}");
        service.signal(Signal::SIGTERM);
        manager.wait_for("STOPPING=1\nSTATUS=");
        // A second signal would end it at once.
        assert!(service.ended().success());
    }
}

#[test]
fn what_cannot_be_opened_is_never_ready() {
    let bench = Bench::new();
    let path = bench.path("notify");
    let manager = Manager::bind(&SocketAddr::from_pathname(&path).unwrap());
    let mut command = live(&bench, &bench.path("no-such-file"), &[]);
    let service = Service::start(&mut command, &path);
    let mut service = service;
    assert_eq!(service.0.wait().unwrap().code(), Some(2));
    assert_eq!(manager.next_within(Duration::from_millis(1)), None);
}

#[test]
fn a_service_manager_that_is_not_there_is_no_failure() {
    let bench = Bench::new();
    let capture = bench.capture("a.pcap", MIXED);
    for socket in [
        "",
        "@",
        "@wirewhy-no-such-socket",
        "/no-such-socket",
        "vsock:2:1",
    ] {
        let mut command = live(&bench, &capture, &["--duration", "0.2s"]);
        let mut service = Service::start(&mut command, socket);
        assert_eq!(service.0.wait().unwrap().code(), Some(0), "{socket}");
    }
}

#[test]
fn a_reload_has_its_time_and_ends_when_the_file_is_open_anew() {
    let bench = Bench::new();
    let capture = bench.capture("a.pcap", MIXED);
    let (path, output, aside) = (bench.path("notify"), bench.path("out"), bench.path("out.1"));
    let manager = Manager::bind(&SocketAddr::from_pathname(&path).unwrap());
    let mut command = live(&bench, &capture, &["-o", "out"]);
    let service = Service::start(&mut command, &path);
    manager.wait_for("READY=1");
    std::fs::rename(&output, &aside).unwrap();
    let before = monotonic_time();
    service.signal(Signal::SIGHUP);
    let reloading = manager.wait_for("RELOADING=1");
    let micros = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
    let micros: i64 = micros.unwrap().parse().unwrap();
    let time = Interval(micros * 1_000);
    // It is in microseconds, rounded down.
    assert!(before - Interval(1_000) < time && time <= monotonic_time());
    manager.wait_for("READY=1");
    assert!(output.exists(), "before anything is written");
    assert!(service.terminate().success());
}

#[test]
fn the_watchdog_is_notified_while_the_loop_makes_progress_only() {
    let bench = Bench::new();
    // More than a pipe holds.
    let capture = bench.capture("a.pcap", &refusals(400));
    let path = bench.path("notify");
    let manager = Manager::bind(&SocketAddr::from_pathname(&path).unwrap());
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut command = live(&bench, &capture, &["--format", "ndjson", "--all"]);
    command.stdout(writer).env("WATCHDOG_USEC", WATCHDOG);
    let service = Service::start(&mut command, &path);
    drop(command);
    manager.wait_for("READY=1");
    manager.wait_for("WATCHDOG=1");
    // It waits for the reader of its output.
    while manager.next_within(QUIET).is_some() {}
    let drain = std::thread::spawn(move || reader.read_to_end(&mut Vec::new()).unwrap());
    for _ in 0..3 {
        manager.wait_for("WATCHDOG=1");
    }
    assert!(service.terminate().success());
    assert!(drain.join().unwrap() > 64 << 10);
}

#[test]
fn a_watchdog_of_another_process_is_not_notified() {
    let bench = Bench::new();
    let capture = bench.capture("a.pcap", MIXED);
    let path = bench.path("notify");
    let manager = Manager::bind(&SocketAddr::from_pathname(&path).unwrap());
    let mut command = live(&bench, &capture, &["--duration", "1s"]);
    command
        .env("WATCHDOG_USEC", WATCHDOG)
        .env("WATCHDOG_PID", "1");
    let mut service = Service::start(&mut command, &path);
    assert!(service.0.wait().unwrap().success());
    while let Some(state) = manager.next_within(Duration::from_millis(1)) {
        assert_ne!(state, "WATCHDOG=1");
    }
}

/// A pipe as the journal's stream: its reader, and the command that writes into it.
fn journal(mut command: Command) -> (PipeReader, Command) {
    let (reader, writer) = std::io::pipe().unwrap();
    let data = std::fs::File::from(reader.as_fd().try_clone_to_owned().unwrap());
    let data = data.metadata().unwrap();
    command
        .env("JOURNAL_STREAM", format!("{}:{}", data.dev(), data.ino()))
        .stdout(writer.try_clone().unwrap())
        .stderr(writer);
    (reader, command)
}

#[test]
fn lines_for_the_journal_have_priorities() {
    let bench = Bench::new();
    let capture = bench.capture("a.pcap", MIXED);
    for format in ["text", "ndjson"] {
        let arguments = ["--format", format, "--duration", "0.5s"];
        let (reader, mut command) = journal(live(&bench, &capture, &arguments));
        assert!(command.status().unwrap().success());
        drop(command);
        let lines: Vec<String> = BufReader::new(reader).lines().map(Result::unwrap).collect();
        let with = |start: &str| lines.iter().any(|line| line.starts_with(start));
        assert!(with("<6>wirewhy: following "), "{lines:?}");
        let finding = if format == "text" { "<3>20" } else { "<3>{" };
        assert!(with(finding), "{lines:?}");
    }
    let (reader, mut command) = journal(live(&bench, &bench.path("no-such-file"), &[]));
    assert_eq!(command.status().unwrap().code(), Some(2));
    drop(command);
    let line = BufReader::new(reader).lines().next().unwrap().unwrap();
    assert!(line.starts_with("<3>wirewhy: "), "{line}");
}

#[test]
fn lines_for_other_outputs_have_none() {
    let bench = Bench::new();
    let capture = bench.capture("a.pcap", MIXED);
    // Both are redirected from the journal.
    let mut command = live(&bench, &capture, &["--duration", "0.5s"]);
    command
        .env("JOURNAL_STREAM", "9:4711")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let ended = command.output().unwrap();
    for written in [ended.stdout, ended.stderr] {
        let text = String::from_utf8(written).unwrap();
        assert!(!text.is_empty());
        assert!(text.lines().all(|line| !line.starts_with('<')), "{text}");
    }
    // A file is not the journal, even where standard output is.
    let arguments = ["-o", "out", "--duration", "0.5s"];
    let (reader, mut command) = journal(live(&bench, &capture, &arguments));
    assert!(command.status().unwrap().success());
    drop((command, reader));
    let text = std::fs::read_to_string(bench.path("out")).unwrap();
    assert!(text.contains("tcp.refused"));
    assert!(text.lines().all(|line| !line.starts_with('<')), "{text}");
}
