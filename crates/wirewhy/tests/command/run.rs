//! Runs the built command.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use wirewhy_testkit::{to_pcap, trace};

/// A directory with captures in it.
pub(crate) struct Bench {
    dir: TempDir,
}

/// Sends a signal to a program that runs.
pub(crate) fn send(signal: Signal, child: &Child) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
}

/// One connection refused, one that is well.
pub(crate) const MIXED: &str = "
    0.000 #1 > S 0:0(0) win 64240 <mss 1460>
    0.010 #1 < RA 0:0(0) ack 1 win 0
    0.100 #2 > S 0:0(0) win 64240 <mss 1460>
    0.110 #2 < SA 0:0(0) ack 1 win 65160 <mss 1460>
    0.111 #2 > A 1:1(0) ack 1
    0.112 #2 > PA 1:101(100) ack 1
    0.130 #2 < PA 1:501(500) ack 101
    0.131 #2 > FA 101:101(0) ack 501
    0.141 #2 < FA 501:501(0) ack 102
    0.142 #2 > A 102:102(0) ack 502
    9.000 end
";

/// The same without the refused one.
pub(crate) const WELL: &str = "
    0.100 #2 > S 0:0(0) win 64240 <mss 1460>
    0.110 #2 < SA 0:0(0) ack 1 win 65160 <mss 1460>
    0.111 #2 > A 1:1(0) ack 1
    0.112 #2 > PA 1:101(100) ack 1
    0.130 #2 < PA 1:501(500) ack 101
    0.131 #2 > FA 101:101(0) ack 501
    0.141 #2 < FA 501:501(0) ack 102
    0.142 #2 > A 102:102(0) ack 502
    9.000 end
";

impl Bench {
    pub(crate) fn new() -> Bench {
        Bench {
            dir: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn capture(&self, name: &str, text: &str) -> PathBuf {
        self.file(name, to_pcap(&trace(text)))
    }

    /// The command with nothing of the tester's own environment in it.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wirewhy"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("XDG_CONFIG_HOME", self.dir.path())
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.command(args).output().unwrap())
    }

    /// Runs with a full disk behind standard output, and expects the one line that says so.
    pub(crate) fn run_on_a_full_disk(&self, args: &[&str]) {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ended = self.command(args).stdout(full).output().unwrap();
        assert_eq!(ended.status.code(), Some(2));
        assert_eq!(
            String::from_utf8(ended.stderr).unwrap(),
            "wirewhy: standard output: No space left on device\n"
        );
    }

    pub(crate) fn run_with_input(&self, args: &[&str], input: &Path) -> Ran {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let bytes = std::fs::read(input).unwrap();
        child.stdin.take().unwrap().write_all(&bytes).unwrap();
        Ran::from(child.wait_with_output().unwrap())
    }
}

/// So many connections refused, one a second.
pub(crate) fn refusals(number: u32) -> String {
    (0..number)
        .map(|n| {
            let stream = n + 1;
            format!("{n}.0 #{stream} > S 0:0(0)\n{n}.1 #{stream} < RA 0:0(0) ack 1\n")
        })
        .collect()
}

/// What came of a run.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            status: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
