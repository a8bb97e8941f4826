//! `wirewhy live` on a terminal.

use std::fs::File;
use std::io::Read as _;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::world::in_namespace;

/// A terminal of this width with the program on it, and what it shows.
struct Terminal {
    child: Child,
    shown: Receiver<Vec<u8>>,
    text: String,
}

impl Terminal {
    fn new(columns: u16, environment: &[(&str, &str)]) -> Terminal {
        let size = Winsize {
            ws_row: 24,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pair = openpty(&size, None).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_wirewhy"))
            .args(["live", "-i", "lo"])
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(pair.slave)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut screen = File::from(pair.master);
        let (tell, shown) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(read) = screen.read(&mut bytes) {
                if read == 0 || tell.send(bytes[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal {
            child,
            shown,
            text: String::new(),
        }
    }

    /// Waits until this is shown.
    fn wait_for(&mut self, words: &str) {
        while !self.text.contains(words) {
            let Ok(bytes) = self.shown.recv_timeout(Duration::from_secs(20)) else {
                panic!("{words} is not in {:?}", self.text);
            };
            self.text.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    /// Lets connections be refused until this is shown: nothing says when it listens.
    fn provoke(&mut self, words: &str) {
        for _ in 0..100 {
            assert!(TcpStream::connect("127.0.0.1:9").is_err());
            while let Ok(bytes) = self.shown.recv_timeout(Duration::from_millis(200)) {
                self.text.push_str(&String::from_utf8_lossy(&bytes));
            }
            if self.text.contains(words) {
                return;
            }
        }
        panic!("{words} is not in {:?}", self.text);
    }

    /// Everything shown until the end.
    fn interrupt(mut self) -> String {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, Signal::SIGINT).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        while let Ok(bytes) = self.shown.recv_timeout(Duration::from_secs(2)) {
            self.text.push_str(&String::from_utf8_lossy(&bytes));
        }
        self.text
    }
}

#[test]
fn findings_scroll_above_a_status_line_that_the_summary_replaces() {
    if !in_namespace() {
        return;
    }
    let mut terminal = Terminal::new(90, &[("NO_COLOR", "1")]);
    terminal.wait_for("0 packets, 0 connections, 0 failed, 0 dropped");
    assert!(TcpStream::connect("127.0.0.1:9").is_err());
    terminal.wait_for("tcp.refused");
    terminal.wait_for("2 packets, 1 connection, 1 failed, 0 dropped");
    let shown = terminal.interrupt();
    // Without the line that is drawn again and again, and with the escapes that draw it.
    let wiped = "\r\u{1b}[J";
    assert!(!shown.replace(wiped, "").contains('\u{1b}'), "{shown:?}");
    let (_, report) = shown.rsplit_once(wiped).unwrap();
    assert!(
        report
            .trim_start()
            .starts_with("lo: live, EN10MB, 2 packets"),
        "{report}"
    );
    for line in shown.split("\r\n").flat_map(|line| line.split(wiped)) {
        assert!(line.chars().count() <= 90, "{line}");
    }
}

#[test]
fn colour_is_used_where_it_is_not_refused() {
    if !in_namespace() {
        return;
    }
    let mut terminal = Terminal::new(100, &[]);
    terminal.wait_for("0 packets");
    assert!(TcpStream::connect("127.0.0.1:9").is_err());
    terminal.wait_for("tcp.refused");
    assert!(terminal.interrupt().contains("\u{1b}[31merror"));
}

#[test]
fn a_dumb_terminal_gets_lines() {
    if !in_namespace() {
        return;
    }
    let mut terminal = Terminal::new(100, &[("TERM", "dumb")]);
    terminal.provoke("tcp.refused");
    let shown = terminal.interrupt();
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}
