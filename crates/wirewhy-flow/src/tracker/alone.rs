//! Segments without payload that nothing followed yet, and SYNs that were refused: most of a scan or a flood. Each is kept in few bytes
//! and without a pointer. It grows to a connection that is followed when another packet comes; where none does, what is handed over is
//! made from it at once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wirewhy_packet::Timestamp;

use crate::expiry::Class;
use crate::packed::{PackedSegment, Tag};
use crate::segment::Segment;
use crate::{Pair, Roles, Side};

/// A segment that nothing followed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct LoneSegment {
    pub(super) stream: u32,
    pub(super) earlier_stream: Option<u32>,
    pub(super) pair: Pair,
    /// How it was known who is who when it came, and which side sent it.
    pub(super) opener: (Roles, Side),
    pub(super) segment: Segment,
    pub(super) interrupted: bool,
}

impl LoneSegment {
    /// The queue in which its connection stands as long as nothing follows; `None` where it is to be followed at once.
    pub(super) fn class(&self) -> Option<Class> {
        let segment = &self.segment;
        if segment.payload_len > 0 || segment.captured_len > 0 || segment.is_fin() {
            return None;
        }
        match (segment.is_syn(), segment.is_rst()) {
            (true, false) if !segment.has_ack() => Some(Class::Opening),
            (false, true) => Some(Class::Over),
            // A window that is closed, or a damaged segment, is trouble: worth more than others when the table is full.
            (false, false) if segment.window > 0 && !segment.tunnel_damaged => Some(Class::Open),
            _ => None,
        }
    }
}

/// What the tracker needs to know of one while nothing follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glimpse {
    pub(super) stream: u32,
    pub(super) time: Timestamp,
    pub(super) class: Class,
}

/// All of them. SYNs with the usual options take 80 bytes over IPv4, and 104 over IPv6.
#[derive(Debug, Default)]
pub(super) struct LoneSegments {
    v4: Slab<LoneSyn<Ipv4Addr>>,
    v6: Slab<LoneSyn<Ipv6Addr>>,
    /// Other SYNs.
    odd: Slab<LoneSegment>,
    /// What is no SYN.
    stray: Slab<LoneSegment>,
    refused: Slab<RefusedSyn>,
}

/// A SYN, and the reset that answers it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RefusedSyn {
    pub(super) syn: LoneSyn,
    pub(super) reset: PackedSegment,
}

/// Things in places that are used again.
#[derive(Debug)]
struct Slab<T> {
    kept: Vec<T>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Slab<T> {
        Slab {
            kept: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T: Copy> Slab<T> {
    fn add(&mut self, item: T) -> u32 {
        if let Some(at) = self.free.pop()
            && let Some(place) = usize::try_from(at)
                .ok()
                .and_then(|at| self.kept.get_mut(at))
        {
            *place = item;
            return at;
        }
        let at = u32::try_from(self.kept.len()).unwrap_or(u32::MAX);
        self.kept.push(item);
        at
    }

    fn get(&self, at: u32) -> Option<&T> {
        self.kept.get(usize::try_from(at).ok()?)
    }

    fn count(&self) -> usize {
        self.kept.len() - self.free.len()
    }
}

/// What the lowest bits of a place say: whose it is.
const V4: u32 = 0;
const V6: u32 = 1;
const ODD: u32 = 2;
const STRAY: u32 = 3;
const REFUSED: u32 = 4;

/// How many bits those are.
const KIND_BITS: u32 = 3;

#[inline]
fn kind_of(place: u32) -> u32 {
    place & ((1 << KIND_BITS) - 1)
}

impl LoneSegments {
    /// Bytes of memory that each takes, at most, but for what is no plain SYN.
    pub(super) const EACH: usize = size_of::<LoneSyn<Ipv6Addr>>();

    /// Bytes of memory that they take beyond that.
    pub(super) fn beyond_each(&self) -> usize {
        let others = self.odd.count() + self.stray.count();
        others * size_of::<LoneSegment>().saturating_sub(Self::EACH)
            + self.refused.count() * size_of::<RefusedSyn>().saturating_sub(Self::EACH)
    }

    /// Keeps one more. Returns where.
    pub(super) fn add(&mut self, lone: &LoneSegment) -> u32 {
        let LoneSegment {
            segment,
            pair,
            stream,
            earlier_stream,
            ..
        } = lone;
        if !segment.flags.is_pure_syn() {
            return self.stray.add(*lone) << KIND_BITS | STRAY;
        }
        PackedSegment::of(segment)
            .filter(|_| segment.is_bare_syn())
            .and_then(|syn| self.add_syn(syn, pair, (*stream, earlier_stream.is_some())))
            .unwrap_or_else(|| self.odd.add(*lone) << KIND_BITS | ODD)
    }

    /// The same of a SYN and nothing else, with the number of its stream, and whether the stream before has the same pair.
    #[inline]
    pub(super) fn add_syn(
        &mut self,
        mut syn: PackedSegment,
        pair: &Pair,
        (stream, is_reused): (u32, bool),
    ) -> Option<u32> {
        syn.tag(REUSED, is_reused);
        let ports = [pair.source.1, pair.destination.1];
        match (pair.source.0, pair.destination.0) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let at = self.v4.add(LoneSyn {
                    syn,
                    addresses: [source, destination],
                    ports,
                    stream,
                });
                Some(at << KIND_BITS | V4)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let at = self.v6.add(LoneSyn {
                    syn,
                    addresses: [source, destination],
                    ports,
                    stream,
                });
                Some(at << KIND_BITS | V6)
            }
            _ => None,
        }
    }

    /// The SYN and nothing else that is kept at a place, where it was not refused.
    #[inline]
    pub(super) fn syn(&self, place: u32) -> Option<LoneSyn> {
        let at = place >> KIND_BITS;
        match kind_of(place) {
            V4 => Some(self.v4.get(at)?.with(IpAddr::V4)),
            V6 => Some(self.v6.get(at)?.with(IpAddr::V6)),
            _ => None,
        }
    }

    /// The one kept at a place, where it was not refused.
    pub(super) fn get(&self, place: u32) -> Option<LoneSegment> {
        let at = place >> KIND_BITS;
        match kind_of(place) {
            ODD => self.odd.get(at).copied(),
            STRAY => self.stray.get(at).copied(),
            _ => Some(self.syn(place)?.unpack()),
        }
    }

    /// What the tracker needs to know of it.
    pub(super) fn what(&self, place: u32) -> Option<Glimpse> {
        let at = place >> KIND_BITS;
        let (stream, time, class) = match kind_of(place) {
            V4 => {
                let packed = self.v4.get(at)?;
                (packed.stream, packed.syn.time(), Class::Opening)
            }
            V6 => {
                let packed = self.v6.get(at)?;
                (packed.stream, packed.syn.time(), Class::Opening)
            }
            ODD => {
                let lone = self.odd.get(at)?;
                (lone.stream, lone.segment.time, Class::Opening)
            }
            REFUSED => {
                let refusal = self.refused.get(at)?;
                (refusal.syn.stream, refusal.reset.time(), Class::Over)
            }
            _ => {
                let lone = self.stray.get(at)?;
                (lone.stream, lone.segment.time, lone.class()?)
            }
        };
        Some(Glimpse {
            stream,
            time,
            class,
        })
    }

    /// Whether one is a SYN.
    pub(super) fn is_syn(place: u32) -> bool {
        kind_of(place) != STRAY
    }

    /// Whether one is a SYN that was refused.
    pub(super) fn is_refusal(place: u32) -> bool {
        kind_of(place) == REFUSED
    }

    /// Keeps the SYN and nothing else at a place elsewhere, with the reset that answers it. Returns where.
    pub(super) fn refuse(&mut self, place: u32, refused: RefusedSyn) -> u32 {
        self.free(place);
        self.refused.add(refused) << KIND_BITS | REFUSED
    }

    /// Empties a place, where a SYN is that was refused.
    #[inline]
    pub(super) fn take_refusal(&mut self, place: u32) -> Option<RefusedSyn> {
        if !Self::is_refusal(place) {
            return None;
        }
        let refusal = *self.refused.get(place >> KIND_BITS)?;
        self.free(place);
        Some(refusal)
    }

    /// Empties a place that one is kept at.
    pub(super) fn take(&mut self, place: u32) -> Option<LoneSegment> {
        let lone = self.get(place)?;
        self.free(place);
        Some(lone)
    }

    /// The same where it is a SYN and nothing else.
    #[inline]
    pub(super) fn take_syn(&mut self, place: u32) -> Option<LoneSyn> {
        let syn = self.syn(place)?;
        self.free(place);
        Some(syn)
    }

    #[inline]
    fn free(&mut self, place: u32) {
        let free = match kind_of(place) {
            V4 => &mut self.v4.free,
            V6 => &mut self.v6.free,
            ODD => &mut self.odd.free,
            REFUSED => &mut self.refused.free,
            _ => &mut self.stray.free,
        };
        free.push(place >> KIND_BITS);
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.syns() + self.stray.count() + self.refused.count()
    }

    /// How many of them are SYNs that nothing answered.
    pub(super) fn syns(&self) -> usize {
        self.v4.count() + self.v6.count() + self.odd.count()
    }

    /// Packets are missing behind all of them.
    pub(super) fn interrupt(&mut self) {
        let (v4, v6) = (self.v4.kept.iter_mut(), self.v6.kept.iter_mut());
        v4.for_each(|lone| lone.syn.tag(INTERRUPTED, true));
        v6.for_each(|lone| lone.syn.tag(INTERRUPTED, true));
        let refused = self.refused.kept.iter_mut();
        refused.for_each(|refusal| refusal.syn.syn.tag(INTERRUPTED, true));
        for lone in self.odd.kept.iter_mut().chain(&mut self.stray.kept) {
            lone.interrupted = true;
        }
    }
}

/// A SYN as stacks send them, and what is known of its connection.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct LoneSyn<A = IpAddr> {
    pub(super) syn: PackedSegment,
    addresses: [A; 2],
    ports: [u16; 2],
    pub(super) stream: u32,
}

/// Packets are missing behind it.
const INTERRUPTED: Tag = Tag::ONE;
/// The stream before has the same addresses and ports.
const REUSED: Tag = Tag::OTHER;

impl<A: Copy> LoneSyn<A> {
    /// The same with addresses of any version of IP.
    #[inline]
    fn with(&self, address: impl Fn(A) -> IpAddr) -> LoneSyn {
        LoneSyn {
            syn: self.syn,
            addresses: self.addresses.map(address),
            ports: self.ports,
            stream: self.stream,
        }
    }
}

impl LoneSyn {
    /// Where it comes from.
    #[inline]
    pub(super) fn client(&self) -> (IpAddr, u16) {
        let ([client, _], [port, _]) = (&self.addresses, &self.ports);
        (*client, *port)
    }

    /// Where it goes.
    #[inline]
    pub(super) fn server(&self) -> (IpAddr, u16) {
        let ([_, server], [_, port]) = (&self.addresses, &self.ports);
        (*server, *port)
    }

    /// Its pair.
    #[inline]
    pub(super) fn pair(&self) -> Pair {
        Pair {
            source: self.client(),
            destination: self.server(),
        }
    }

    /// Whether packets are missing behind it.
    #[inline]
    pub(super) fn is_interrupted(&self) -> bool {
        self.syn.has_tag(INTERRUPTED)
    }

    /// The stream before, where that has the same addresses and ports.
    #[inline]
    pub(super) fn earlier_stream(&self) -> Option<u32> {
        let is_reused = self.syn.has_tag(REUSED);
        is_reused.then(|| self.stream.wrapping_sub(1))
    }

    /// The same as any other segment that nothing followed.
    pub(super) fn unpack(&self) -> LoneSegment {
        LoneSegment {
            stream: self.stream,
            earlier_stream: self.earlier_stream(),
            pair: self.pair(),
            opener: (Roles::Syn, Side::Client),
            interrupted: self.is_interrupted(),
            segment: self.syn.unpack(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use wirewhy_packet::{Decoder, Interval, Transport};
    use wirewhy_testkit::{Random, trace};

    use super::*;
    use crate::tracker::retire::class_of;
    use crate::tracker::{Occupant, Over, Tracker};
    use crate::{Bounds, Connection, Ended, TrackerCounts};

    /// A tracker that has seen an answered attempt and a lookup, and then the SYN of these lines.
    fn with(syn: &str) -> Tracker {
        let lines = format!(
            "0.00 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A
             0.02 dns 192.0.2.1:5000 < 192.0.2.53 1 noerror www.example.com A 198.51.100.1
             0.10 #1 > S 0:0(0) <mss 1460,ts 10 0>
             0.12 #1 < SA 0:0(0) ack 1 <mss 1460,ts 70 10>
             0.13 #1 > A 1:1(0) ack 1 <ts 13 70>
             {syn}"
        );
        let mut tracker = Tracker::new(Bounds::default());
        let mut decoder = Decoder::new();
        for frame in &trace(&lines) {
            tracker.observe(&decoder.decode(&frame.as_frame()), &mut |_| {});
        }
        tracker.advance(
            Timestamp(tracker.now.0).after(Interval::from_secs(9)),
            &mut |_| {},
        );
        tracker
    }

    #[test]
    fn a_syn_comes_to_what_following_it_comes_to() {
        let elsewhere = "#2 server 198.51.100.7:25\n 1.0 #2 > S 0:0(0)";
        for (syn, is_brief) in [
            ("1.0 #2 > S 0:0(0)", false),
            (
                "1.0 #2 > S 0:0(0) <mss 1460,sackOK,ts 12 0,wscale 9>",
                false,
            ),
            ("1.0 #2 > SE 0:0(0) <mss 536> ttl 3 id 77", false),
            ("1.0 #2 > S 0:0(0) win 0", false),
            ("1.0 #2 > S 0:0(0) badsum", false),
            (elsewhere, true),
            (
                &format!("{elsewhere} <mss 1460,sackOK,ts 12 0,wscale 9> ttl 9"),
                true,
            ),
            (&format!("{elsewhere} badsum"), false),
            (&elsewhere.replace("> S", "> SE"), false),
            (&elsewhere.replace("> S", "> SEC"), false),
        ] {
            let (mut quick, mut full) = (with(syn), with(syn));
            let at = quick.slots.iter().find_map(|slot| match slot.occupant {
                Occupant::Alone(at) => Some(at),
                _ => None,
            });
            let at = at.unwrap();
            let lone = quick.alone.get(at).unwrap();
            let ended = Ended::NeverOpened;
            let tracked = full.promoted(&lone);
            let followed = full.hand_over(tracked, ended);
            let handed_over = quick.hand_over_alone(at, ended).unwrap();
            let brief = matches!(handed_over, Over::Unopened(_));
            assert_eq!(brief, is_brief, "{syn}");
            assert_eq!(handed_over.into_connection(), followed, "{syn}");
            assert_eq!(followed.tcp.handshake.syns, 1);
        }
    }

    /// What comes of these lines, kept alone and followed from the first segment on.
    fn both_ways(lines: &str) -> [(Vec<Connection>, TrackerCounts); 2] {
        [false, true].map(|begins_strays| {
            let bounds = Bounds {
                max_connections: 6,
                ..Bounds::default()
            };
            let mut tracker = Tracker::new(bounds);
            tracker.begins_strays = begins_strays;
            let mut decoder = Decoder::new();
            let mut connections = Vec::new();
            for frame in &trace(lines) {
                let packet = decoder.decode(&frame.as_frame());
                tracker.observe(&packet, &mut |connection| connections.push(*connection));
            }
            tracker.finish(&mut |connection| connections.push(*connection));
            (connections, tracker.tally().clone())
        })
    }

    #[test]
    fn what_is_kept_alone_comes_to_what_is_followed() {
        let flags = [
            "S", "SE", "SA", "A", "PA", "R", "RA", "F", "FA", "SR", "SF", "E",
        ];
        for seed in 1..=400 {
            let mut dice = Random::new(seed * 0x9e37_79b9);
            let mut lines = String::new();
            for number in 1..=9 {
                let port = [80, 443, 40_001][dice.below(3)];
                writeln!(
                    lines,
                    "#{number} server 198.51.100.{}:{port}",
                    dice.below(3)
                )
                .unwrap();
            }
            let mut time = 0.0;
            for _ in 0..30 {
                time += [0.001, 0.3, 3.0, 20.0][dice.below(4)];
                let (number, arrow) = (1 + dice.below(9), [">", "<"][dice.below(2)]);
                let flags = flags[dice.below(flags.len())];
                let (seq, ack) = (dice.below(3) * 50, dice.below(3) * 50);
                let len = [0, 0, 0, 0, 0, 9][dice.below(6)];
                let odd = ["", "", "", " badsum", " win 0", " <mss 1460,ts 9 0>"][dice.below(6)];
                writeln!(
                    lines,
                    "{time:.3} #{number} {arrow} {flags} {seq}:{}({len}) ack {ack}{odd}",
                    seq + len
                )
                .unwrap();
            }
            let [(alone, tally), (followed, full_tally)] = both_ways(&lines);
            let order = |all: &[Connection]| -> Vec<(u32, Ended)> {
                all.iter().map(|one| (one.stream, one.ended)).collect()
            };
            assert_eq!(order(&alone), order(&followed), "{lines}");
            for (alone, followed) in alone.iter().zip(&followed) {
                assert_eq!(alone, followed, "{lines}");
            }
            assert_eq!(tally, full_tally, "{lines}");
        }
    }

    #[test]
    fn a_lone_segment_stands_where_its_connection_would() {
        for flags in ["S", "SEC", "A", "PA", "R", "RA", "P", "U", "E"] {
            for (direction, ack) in [(">", 1), ("<", 0)] {
                let mut lone = lone(&format!("1.0 {direction} {flags} 0:0(0) ack {ack}"));
                let mut tracker = Tracker::new(Bounds::default());
                lone.opener = tracker.first_roles(&lone.pair, &lone.segment);
                let tracked = tracker.begin(&lone, &[]);
                assert_eq!(lone.class(), Some(class_of(&tracked)), "{flags}");
            }
        }
    }

    /// The first segment of some lines, as a lone SYN.
    fn lone(lines: &str) -> LoneSegment {
        let frames = trace(lines);
        let mut decoder = Decoder::new();
        let packet = decoder.decode(&frames[0].as_frame());
        let (Some(ip), Transport::Tcp(tcp)) = (packet.ip, &packet.transport) else {
            panic!("a segment: {lines}");
        };
        LoneSegment {
            stream: 7,
            earlier_stream: Some(6),
            pair: Pair {
                source: (ip.source, tcp.source_port),
                destination: (ip.destination, tcp.destination_port),
            },
            opener: (Roles::Syn, Side::Client),
            segment: Segment::new(&packet, &ip, tcp),
            interrupted: false,
        }
    }

    #[test]
    fn what_is_packed_is_unpacked_again() {
        assert_eq!(size_of::<LoneSyn<Ipv4Addr>>(), 80);
        assert_eq!(size_of::<LoneSyn<Ipv6Addr>>(), 104);
        let v6 = "client [2001:db8::7]:40000\n server [2001:db8::1]:443\n ";
        let options = "1.0 > S 0:0(0) <mss 1460,sackOK,ts 12 5,wscale 9> ttl 9 id 77";
        for (lines, kind) in [
            ("1.0 > S 0:0(0)".to_owned(), V4),
            (options.to_owned(), V4),
            ("1.0 > SE 0:0(0) <mss 536> win 7".to_owned(), V4),
            (format!("{v6}{options}"), V6),
            ("1.0 > S 0:0(0) win 0".to_owned(), V4),
            ("1.0 > S 0:0(0) badsum".to_owned(), V4),
            ("1.0 > SF 0:0(0)".to_owned(), ODD),
        ] {
            let mut syns = LoneSegments::default();
            syns.add(&lone("1.0 > S 0:0(0)"));
            let mut syn = lone(&lines);
            for segment in [
                syn.segment,
                Segment {
                    outgoing: Some(true),
                    mac: None,
                    ip_id: None,
                    ..syn.segment
                },
            ] {
                syn.segment = segment;
                let at = syns.add(&syn);
                assert_eq!((syns.get(at), kind_of(at)), (Some(syn), kind), "{lines}");
                syns.interrupt();
                let interrupted = LoneSegment {
                    interrupted: true,
                    ..syn
                };
                assert_eq!(syns.take(at), Some(interrupted));
                assert_eq!((syns.add(&syn), syns.count()), (at, 2));
                syns.take(at);
            }
        }
    }
}
