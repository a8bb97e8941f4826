//! Control connections as traces, for tests.

use std::fmt::Write;

/// A control connection, number 1 of a trace, that grows line by line.
pub(super) struct Control {
    trace: String,
    sent: [usize; 2],
}

impl Control {
    /// One that is open and logged in, up to a second after its start.
    pub(super) fn new() -> Control {
        let mut control = Control {
            trace: String::from(
                "#1 server 192.0.2.9:21
                 0.000 #1 > S 0:0(0)\n 0.020 #1 < SA 0:0(0) ack 1\n 0.030 #1 > A 1:1(0) ack 1\n",
            ),
            sent: [1, 1],
        };
        let login = [
            "< 220 (vsFTPd 3.0.3)",
            "> USER a",
            "< 331 Password.",
            "> PASS b",
            "< 230 In.",
            "> TYPE I",
            "< 200 Binary.",
        ];
        for (at, line) in (1..).zip(login) {
            control.say(f64::from(at) / 10.0, line);
        }
        control
    }

    /// A line of the client, `> PASV`, or of the server, `< 227 ...`.
    pub(super) fn say(&mut self, at: f64, line: &str) {
        let (from, text) = line.split_at(1);
        let text = text.trim();
        let len = text.len() + 2;
        let [client, server] = &mut self.sent;
        let (own, peer) = match from {
            ">" => (client, *server),
            _ => (server, *client),
        };
        let end = *own + len;
        writeln!(
            self.trace,
            "{at:.3} #1 {from} PA {own}:{end}({len}) ack {peer} \"{text}\\r\\n\""
        )
        .unwrap();
        *own = end;
    }

    /// Lines of other connections, or of this one.
    pub(super) fn add(&mut self, lines: &str) {
        self.trace += lines;
        self.trace += "\n";
    }

    /// Both sides close, the client first.
    pub(super) fn close(&mut self, at: f64) {
        let [client, server] = self.sent;
        self.add(&format!(
            "{at:.3} #1 > FA {client}:{client}(0) ack {server}
             {:.3} #1 < FA {server}:{server}(0) ack {}
             {:.3} #1 > A {}:{}(0) ack {}",
            at + 0.02,
            client + 1,
            at + 0.03,
            client + 1,
            client + 1,
            server + 1
        ));
    }

    /// Where the client and the server stand.
    pub(super) fn ends(&self) -> [usize; 2] {
        self.sent
    }

    /// The trace, in order of time.
    pub(super) fn trace(&self) -> String {
        let (mut heads, mut lines): (Vec<&str>, Vec<&str>) = self
            .trace
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .partition(|line| line.starts_with('#'));
        let time = |line: &str| line.split(' ').next().unwrap().parse::<f64>().unwrap();
        lines.sort_by(|one, other| time(one).total_cmp(&time(other)));
        heads.append(&mut lines);
        heads.join("\n")
    }
}
