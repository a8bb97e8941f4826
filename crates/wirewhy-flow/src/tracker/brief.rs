//! Connections that have shown no trouble ([`Brief`]): kept as they came while they go well, and followed from the first packet that
//! is out of the ordinary.

use std::net::IpAddr;

use wirewhy_protocol::Memory;

use super::alone::LoneSegment;
use super::retire::quiet_of;
use super::{Occupant, Tracker};
use crate::brief::{Brief, BriefStage};
use crate::expiry::{Class, Handle};
use crate::observe::{Scratch, Tracked};
use crate::segment::Segment;
use crate::{Connection, Interval, Roles};

/// A SYN that was answered, and what came behind it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) syn: LoneSegment,
    pub(super) brief: Brief,
    /// Bytes of memory accounted for, beside what every connection takes.
    pub(super) charged: usize,
}

impl Kept {
    /// The queue it stands in.
    pub(super) fn class(&self) -> Class {
        match self.brief.stage() {
            BriefStage::Asked | BriefStage::Answered => Class::Opening,
            BriefStage::Open => Class::Open,
            BriefStage::Over => Class::Over,
        }
    }

    /// What is accounted for.
    pub(super) fn memory(&self) -> Memory {
        Memory {
            unread: 0,
            read: self.charged,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.brief.stage() == BriefStage::Over
    }
}

/// Services that speak what is not read at once, by a few bits of address and port: their connections are followed from the beginning.
/// Where others have the same bits, theirs are followed, too, which comes to the same.
#[derive(Debug)]
pub(super) struct Unbrief([u64; 64]);

impl Default for Unbrief {
    fn default() -> Unbrief {
        Unbrief([0; 64])
    }
}

impl Unbrief {
    fn add(&mut self, service: (IpAddr, u16)) {
        let (word, bit) = Unbrief::place(service);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    fn has(&self, service: (IpAddr, u16)) -> bool {
        let (word, bit) = Unbrief::place(service);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    /// A word, and a bit of it.
    fn place((address, port): (IpAddr, u16)) -> (usize, u64) {
        let last = match address {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => {
                let [.., high, low] = address.segments();
                u64::from(high) << 16 | u64::from(low)
            }
        };
        // The golden ratio mixes; the upper bits are the mixed ones.
        let mixed = (last << 16 | u64::from(port)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let word = usize::try_from(mixed >> 58).unwrap_or(0);
        (word, 1 << (mixed >> 52 & 63))
    }
}

/// DNS is read message by message.
const DNS: u16 = 53;

impl Tracker {
    /// Follows every connection from its first packet on. What is handed over is the same, and costs more: for those that
    /// want to see connections while they go on, and for tests.
    pub fn follow_all(&mut self) {
        self.follows_all = true;
        let brief = |occupant: &Occupant| matches!(occupant, Occupant::Brief(_));
        self.promote_where(brief);
    }

    /// Follows the connections in these slots, if they were not.
    pub(super) fn promote_where(&mut self, applies: impl Fn(&Occupant) -> bool) {
        let slots = (0_u32..).zip(&self.slots);
        let slots = slots.filter(|(_, place)| applies(&place.occupant));
        let slots: Vec<u32> = slots.map(|(slot, _)| slot).collect();
        for slot in slots {
            self.promote(slot);
        }
    }

    /// Keeps a segment of a connection that shows no trouble. Whether it was kept: if not, the connection is to be followed.
    pub(super) fn keep_in_brief(
        &mut self,
        slot: u32,
        source_is_low: bool,
        segment: &Segment,
        payload: &[u8],
    ) -> bool {
        let place = usize::try_from(slot)
            .ok()
            .and_then(|at| self.slots.get_mut(at));
        let Some(place) = place else { return false };
        let handle = Handle {
            slot,
            generation: place.generation,
        };
        match &mut place.occupant {
            Occupant::Brief(kept) => {
                let before = kept.brief.stage();
                if !kept.brief.take(source_is_low, segment, payload) {
                    if kept.brief.is_silent() && segment.payload_len > 0 {
                        self.unbrief.add(kept.syn.pair.destination);
                    }
                    return false;
                }
                let now = kept.brief.beyond_usual();
                let has_grown = now != kept.charged;
                if has_grown {
                    let before = kept.memory();
                    kept.charged = now;
                    self.accounts.replace(before, kept.memory());
                }
                if kept.brief.stage() != before {
                    let class = kept.class();
                    let due = segment.time.after(quiet_of(class, &self.bounds));
                    self.expiry.enter(class, due, handle);
                }
                if has_grown && self.is_over_memory() {
                    self.free_memory();
                }
                true
            }
            Occupant::Alone(at) => {
                let at = *at;
                self.begin_brief(handle, at, source_is_low, segment)
            }
            Occupant::Connection(_) | Occupant::Datagrams(_) | Occupant::None => false,
        }
    }

    /// The same of the answer to a lone SYN.
    fn begin_brief(
        &mut self,
        handle: Handle,
        at: u32,
        source_is_low: bool,
        segment: &Segment,
    ) -> bool {
        if self.follows_all {
            return false;
        }
        let Some(lone) = self.alone.get(at) else {
            return false;
        };
        let plain = lone.segment.is_plain_syn()
            && !lone.interrupted
            && lone.pair.destination.1 != DNS
            && !self.unbrief.has(lone.pair.destination);
        if !plain {
            return false;
        }
        let mut kept = self.spare.brief(lone);
        let client_is_low = kept.syn.pair.source_is_low();
        kept.brief.begin(&kept.syn.segment, client_is_low);
        if !kept.brief.take(source_is_low, segment, &[]) {
            self.spare.keep_brief(kept);
            return false;
        }
        self.alone.take(at);
        let LoneSegment {
            pair,
            segment: syn,
            stream,
            ..
        } = kept.syn;
        let (client, server) = (pair.source, pair.destination);
        kept.brief.accepted = self.hosts.accepted_before(client.0, server, syn.mark());
        let asker = (client.0, syn.mac);
        kept.brief.looked_up = self.waited_for(stream, asker, server.0, syn.time);
        let there = segment.time.since(syn.time);
        self.hosts.learn_answer(
            server,
            segment.ttl,
            (there >= Interval::ZERO).then_some(there),
        );
        if let Some(timestamps) = syn.options.timestamps {
            self.hosts
                .learn_timestamp(client.0, server, timestamps.value, syn.mark());
        }
        if let Some(place) = self.occupant(handle.slot) {
            place.occupant = Occupant::Brief(kept);
        }
        true
    }

    /// The connection kept in brief, followed.
    pub(super) fn followed(&mut self, kept: &mut Kept) -> Tracked {
        let mut live = self.begin(&kept.syn, &[]);
        live.connection.host_context.accepted = kept.brief.accepted;
        live.connection.looked_up = kept.brief.looked_up.take();
        for (from, segment, payload) in kept.brief.kept() {
            live.observe(from, segment, &payload, &mut self.context);
        }
        live
    }

    /// The facts of a connection that went well to its end, but for what its bytes show.
    pub(super) fn gather(&mut self, kept: &mut Kept) -> Tracked {
        let LoneSegment {
            stream,
            earlier_stream,
            pair,
            segment,
            ..
        } = &kept.syn;
        let ends = [pair.source, pair.destination];
        let mut connection = self.fresh(*stream, ends, Roles::Syn, segment.mark());
        connection.host_context.earlier_stream = *earlier_stream;
        connection.host_context.accepted = kept.brief.accepted;
        connection.looked_up = kept.brief.looked_up.take();
        gathered(kept, connection, self.spare.scratch())
    }
}

/// The same of a connection of which no packet was taken in.
pub(super) fn gathered(
    kept: &Kept,
    mut connection: Box<Connection>,
    scratch: Box<Scratch>,
) -> Tracked {
    connection.begin_with_syn(&kept.syn.segment);
    let mut live = Tracked::new(connection, scratch, kept.brief.client_is_low());
    for (from, segment, payload) in kept.brief.kept() {
        live.observe_in_line(from, segment, &payload);
    }
    live
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use wirewhy_packet::Decoder;
    use wirewhy_testkit::{OwnedFrame, Random, trace};

    use super::*;
    use crate::{Bounds, TrackerCounts};

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
                    let length = pieces * 1000;
                    let ok = format!("HTTP/1.1 200 OK\\r\\nContent-Length: {length}\\r\\n\\r\\n");
                    exchange.send(1, "A", &ok);
                    for piece in 0..pieces {
                        exchange.send_bytes(1, "PA", 1000);
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

    /// Some connections at once, and what the network and the recording do to them.
    fn frames(seed: u64) -> Vec<OwnedFrame> {
        let mut dice = Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut lines: Vec<(f64, String)> = (1..=1 + dice.below(6))
            .flat_map(|number| exchange(number, &mut dice))
            .collect();
        lines.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let lines: String = lines.into_iter().map(|(_, line)| line).collect();
        let mut frames = trace(&lines);
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
                    let later =
                        Interval::from_millis(i64::try_from(dice.below(9_000)).unwrap() - 500);
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

    /// What comes of these frames, and how many connections were kept in brief to their end.
    fn tracked(
        frames: &[OwnedFrame],
        bounds: Bounds,
        all: bool,
    ) -> (Vec<Connection>, TrackerCounts, usize) {
        let mut tracker = Tracker::new(bounds);
        if all {
            tracker.follow_all();
        }
        let mut decoder = Decoder::new();
        let mut connections = Vec::new();
        for frame in frames {
            let packet = decoder.decode(&frame.as_frame());
            tracker.observe(&packet, &mut |connection| connections.push(*connection));
        }
        let over = |slot: &super::super::Slot| matches!(&slot.occupant, Occupant::Brief(kept) if kept.is_over());
        let brief = tracker.slots.iter().filter(|slot| over(slot)).count();
        tracker.finish(&mut |connection| connections.push(*connection));
        (connections, tracker.tally().clone(), brief)
    }

    #[test]
    fn what_is_kept_in_brief_comes_to_what_is_followed() {
        let mut kept = 0;
        for seed in 1..=600 {
            let frames = frames(seed);
            let bounds = Bounds {
                max_connections: if seed % 4 == 0 { 2 } else { 100 },
                ..Bounds::default()
            };
            let (quick, tally, brief) = tracked(&frames, bounds, false);
            let (full, full_tally, none) = tracked(&frames, bounds, true);
            assert_eq!(none, 0);
            assert_eq!(quick.len(), full.len(), "{seed}");
            for (quick, full) in quick.iter().zip(&full) {
                assert_eq!(quick, full, "{seed}");
            }
            assert_eq!(tally, full_tally, "{seed}");
            kept += brief;
        }
        assert!(kept > 150, "{kept}");
    }
}
