//! Connections that go well, mostly, made by a random number.

use std::fmt::Write as _;

use wirewhy_packet::Interval;

use crate::wire::{ETHERNET_LEN, PROTOCOL_TCP, checksum};
use crate::{OwnedFrame, Random, trace};

/// How the addresses of clients and servers begin.
const CLIENT: [u8; 3] = [192, 0, 2];
const SERVER: [u8; 3] = [198, 51, 100];

/// Leaves the checksum of a segment over IPv4 to the network card: it covers the addresses alone.
fn leave_checksum(frame: &mut OwnedFrame) {
    let (_, ip) = frame.data.split_at_mut(ETHERNET_LEN);
    let (header, segment) = ip.split_at_mut(20);
    let [high, low] = u16::try_from(segment.len()).unwrap().to_be_bytes();
    let mut pseudo = header[12..20].to_vec();
    pseudo.extend([0, PROTOCOL_TCP, high, low]);
    segment[16..18].copy_from_slice(&(!checksum(&pseudo)).to_be_bytes());
}

/// Some connections at once, most of them in HTTP/1 and well, and what the network and the recording do to them: the same for the same
/// seed.
#[must_use]
pub fn exchanges(seed: u64) -> Vec<OwnedFrame> {
    let mut dice = Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut lines: Vec<(f64, String)> = (1..=1 + dice.below(6))
        .flat_map(|number| exchange(number, &mut dice))
        .collect();
    lines.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let lines: String = lines.into_iter().map(|(_, line)| line).collect();
    let mut frames = trace(&lines);
    if dice.below(4) == 0 {
        let side = [&CLIENT, &SERVER][dice.below(2)];
        let sent = |frame: &&mut OwnedFrame| frame.data[26..].starts_with(side);
        frames.iter_mut().filter(sent).for_each(leave_checksum);
    }
    for _ in 0..dice.below(4) {
        if frames.len() < 2 {
            break;
        }
        let at = dice.below(frames.len());
        let other = dice.below(4);
        match dice.below(8) {
            0 => drop(frames.remove(at)),
            1 => {
                let mut again = frames[at].clone();
                again.time = again.time.after(Interval(200_000));
                frames.insert(at + 1, again);
            }
            2 => {
                let again = frames[at].clone();
                frames.insert((at + 1 + other).min(frames.len()), again);
            }
            3 => {
                let other = (at + 1 + other).min(frames.len() - 1);
                frames.swap(at, other);
            }
            4 => {
                let keep = 40 + dice.below(80);
                frames[at].data.truncate(keep);
            }
            5 => {
                let byte = dice.below(frames[at].data.len());
                frames[at].data[byte] ^= 1 << dice.below(8);
            }
            6 => frames.truncate(at + 1),
            _ => {
                let later = Interval::from_millis(i64::try_from(dice.below(9_000)).unwrap() - 500);
                for frame in &mut frames[at..] {
                    frame.time = frame.time.after(later);
                }
            }
        }
    }
    for (number, frame) in (1..).zip(&mut frames) {
        frame.number = number;
    }
    frames
}

/// What the sides of a connection have sent and acknowledged.
struct ScriptedExchange {
    number: usize,
    /// Behind the furthest byte of client and server.
    next: [usize; 2],
    lines: String,
    time: f64,
}

impl ScriptedExchange {
    fn send(&mut self, from: usize, flags: &str, words: &str) {
        let len = words.replace("\\r", "r").replace("\\n", "n").len();
        self.send_bytes(from, flags, len);
        if len > 0 {
            self.lines.pop();
            writeln!(self.lines, " \"{words}\"").unwrap();
        }
    }

    /// The same of letters.
    fn send_bytes(&mut self, from: usize, flags: &str, len: usize) {
        let arrow = [">", "<"][from];
        let (seq, ack) = (self.next[from], self.next[1 - from]);
        let end = seq + len;
        let (number, time) = (self.number, self.time);
        writeln!(
            self.lines,
            "{time:.4} #{number} {arrow} {flags} {seq}:{end}({len}) ack {ack}"
        )
        .unwrap();
        self.next[from] = end + usize::from(flags.starts_with('F'));
    }
}

/// A connection that goes well, mostly: requests that are answered, and an end.
fn exchange(number: usize, dice: &mut Random) -> Vec<(f64, String)> {
    let ports = ["80", "8080", "443", "53"];
    let mut lines = String::new();
    let start = 0.1 + f64::from(u32::try_from(dice.below(3_000)).unwrap()) / 1000.0;
    writeln!(
        lines,
        "{start:.4} #{number} > S 0:0(0) <mss 1460,sackOK,wscale 7>"
    )
    .unwrap();
    writeln!(
        lines,
        "{:.4} #{number} < SA 0:0(0) ack 1 <mss 1460,sackOK,wscale 7>",
        start + 0.01
    )
    .unwrap();
    writeln!(lines, "{:.4} #{number} > A 1:1(0) ack 1", start + 0.02).unwrap();
    let mut exchange = ScriptedExchange {
        number,
        next: [1, 1],
        lines,
        time: start + 0.02,
    };
    for turn in 0..1 + dice.below(4) {
        let pauses = [0.0004, 0.02, 0.05, 0.3, 1.5, 6.0];
        exchange.time += pauses[dice.below(60) / 11 % 6];
        let get = format!("GET /{turn} HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n");
        let odd = ["POST / HTTP/1.1\\r\\n\\r\\n", "QUIT\\r\\n"];
        let asked = match dice.below(20) {
            kind @ (0 | 1) => odd[kind],
            _ => get.as_str(),
        };
        exchange.send(0, "PA", asked);
        exchange.time += 0.002;
        if dice.below(2) == 0 {
            exchange.send(1, "A", "");
        }
        exchange.time += pauses[dice.below(24) / 5];
        let ok = "HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\n";
        match dice.below(12) {
            0 => exchange.send(
                1,
                "PA",
                "HTTP/1.1 503 No\\r\\nContent-Length: 0\\r\\n\\r\\n",
            ),
            1 => exchange.send(1, "PA", "HTTP/1.1 200 OK\\r\\n\\r\\n"),
            2..=5 => {
                exchange.send(1, "A", ok);
                exchange.time += 0.001;
                exchange.send(1, "PA", "abcd");
            }
            6 => {
                let pieces = [2, 4, 50][dice.below(3)];
                let each = [1000, 4000][dice.below(4) / 3];
                let length = pieces * each;
                let ok = format!("HTTP/1.1 200 OK\\r\\nContent-Length: {length}\\r\\n\\r\\n");
                exchange.send(1, "A", &ok);
                for piece in 0..pieces {
                    exchange.send_bytes(1, "PA", each);
                    if piece % 2 == 1 {
                        exchange.send(0, "A", "");
                    }
                }
            }
            _ => exchange.send(1, "PA", &format!("{ok}abcd")),
        }
        exchange.time += [0.001, 0.04, 0.15][dice.below(3)];
        exchange.send(0, "A", "");
    }
    let first = dice.below(2);
    match dice.below(12) {
        0 => {}
        1 => exchange.send(first, "RA", ""),
        _ => {
            exchange.time += 0.003;
            exchange.send(first, "FA", "");
            exchange.time += 0.003;
            if dice.below(2) == 0 {
                exchange.send(1 - first, "A", "");
            }
            exchange.time += 0.003;
            exchange.send(1 - first, "FA", "");
            exchange.time += 0.003;
            exchange.send(first, "A", "");
        }
    }
    let port = ports[dice.below(40) / 13];
    let setting = format!("#{number} server 198.51.100.{}:{port}\n", 1 + dice.below(3));
    let timed = exchange.lines.lines().map(|line| {
        let (time, _) = line.split_once(' ').unwrap();
        (time.parse().unwrap(), format!("{line}\n"))
    });
    [(0.0, setting)].into_iter().chain(timed).collect()
}
