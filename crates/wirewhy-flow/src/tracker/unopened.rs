//! An attempt to open that came to nothing: a SYN, and silence or a reset. There may be masses of them, in a scan or a flood, that come
//! to the same, so that each is handed over as the little that was seen of it.

use std::net::IpAddr;

use wirewhy_packet::{Interval, Seq, TcpFlags, TcpOptions, Timestamp};
use wirewhy_protocol::CaptureContext;

use super::alone::{LoneSyn, RefusedSyn};
use super::retire::quiet_of;
use super::{Healthy, Occupant, Slot, Tracker};
use crate::expiry::{Class, Handle};
use crate::observe::Tracked;
use crate::packed::PackedSegment;
use crate::segment::Segment;
use crate::{
    Connection, Damage, Ended, Endpoint, HostContext, Mark, Roles, Side, TtlSeen, Vantage,
};

/// A connection of which one SYN was seen and nothing else, or nothing but a reset that acknowledges it: a plain SYN, that asks for
/// neither ECN nor Fast Open, to an address that was not looked up. If nothing answered it, no answered SYN from that client to that
/// service shows a clock.
#[derive(Clone, PartialEq, Debug)]
pub struct Unopened {
    syn: LoneSyn,
    reset: Option<PackedSegment>,
    /// Why the tracker stopped following it.
    pub ended: Ended,
    /// See [`Connection::observed_until`].
    pub observed_until: Timestamp,
    server_ttl: Option<TtlSeen>,
    server_round_trip: Option<Interval>,
}

/// A connection that is over.
#[derive(Debug)]
pub enum Over {
    /// As all that is known of it.
    Connection(Box<Connection>),
    /// As the little that was seen of it.
    Unopened(Unopened),
    /// As the packets of one that went well.
    Healthy(Healthy),
}

impl Over {
    /// All that is known of it.
    #[must_use]
    pub fn into_connection(self) -> Box<Connection> {
        match self {
            Over::Connection(connection) => connection,
            Over::Unopened(attempt) => attempt.connection(),
            Over::Healthy(healthy) => healthy.connection(),
        }
    }
}

impl Unopened {
    /// The number of its stream.
    #[must_use]
    pub fn stream(&self) -> u32 {
        self.syn.stream
    }

    /// Address and port of the client.
    #[must_use]
    pub fn client(&self) -> (IpAddr, u16) {
        self.syn.client()
    }

    /// Address and port of the server.
    #[must_use]
    pub fn server(&self) -> (IpAddr, u16) {
        self.syn.server()
    }

    /// Its SYN.
    #[must_use]
    pub fn first(&self) -> Mark {
        self.syn.syn.mark()
    }

    /// The initial sequence number of the client.
    #[must_use]
    pub fn isn(&self) -> Seq {
        self.syn.syn.seq()
    }

    /// Whether the capturing host sent the SYN, where the capture tells.
    #[must_use]
    pub fn outgoing(&self) -> Option<bool> {
        self.syn.syn.outgoing()
    }

    /// Whether the server's address answered other connections.
    #[must_use]
    pub fn host_answers(&self) -> bool {
        self.server_ttl.is_some()
    }

    /// How long the capture ran on behind the SYN, zero where it did not.
    #[must_use]
    pub fn heard(&self) -> Interval {
        let heard = self.observed_until.since(self.first().time);
        heard.max(Interval::ZERO)
    }

    /// Where the capture was taken, as far as this attempt tells.
    #[must_use]
    pub fn vantage(&self) -> Vantage {
        Vantage::of_syn(self.outgoing(), self.syn.syn.ttl(), self.server_ttl)
    }

    /// The reset that refused it, if one did.
    #[must_use]
    pub fn refused(&self) -> Option<Mark> {
        self.reset.map(|reset| reset.mark())
    }

    /// The hop count of that reset.
    #[must_use]
    pub fn reset_ttl(&self) -> Option<u8> {
        self.reset.map(|reset| reset.ttl())
    }

    /// The last packet: the reset, or the SYN.
    #[must_use]
    pub fn last(&self) -> Mark {
        self.refused().unwrap_or(self.first())
    }

    /// See [`HostContext::server_ttl`].
    #[must_use]
    pub fn server_ttl(&self) -> Option<TtlSeen> {
        self.server_ttl
    }

    /// See [`HostContext::server_round_trip`].
    #[must_use]
    pub fn server_round_trip(&self) -> Option<Interval> {
        self.server_round_trip
    }

    /// All that is known of it, as of any connection.
    #[must_use]
    pub fn connection(&self) -> Box<Connection> {
        let [client, server] = [self.client(), self.server()];
        let sides = [client, server].map(|(address, port)| Endpoint::new(address, port));
        let transport = wirewhy_protocol::Transport::Tcp;
        let (stream, first) = (self.stream(), self.first());
        let new = Connection::new(transport, stream, sides, Roles::Syn, first);
        self.fill(Box::new(new))
    }

    /// Puts what is known of it into a connection of which no packet was taken in.
    fn fill(&self, mut connection: Box<Connection>) -> Box<Connection> {
        connection.begin_with_syn(&self.syn.syn.unpack());
        if let Some(reset) = &self.reset {
            let mut live = Tracked::new(connection, Box::default(), true);
            let mut context = CaptureContext::default();
            live.observe(Side::Server, &reset.unpack(), &[], &mut context);
            (connection, _) = live.finish();
        }
        connection.ended = self.ended;
        connection.observed_until = self.observed_until;
        connection.host_context = HostContext {
            server_ttl: self.server_ttl,
            server_round_trip: self.server_round_trip,
            accepted: None,
            earlier_stream: self.syn.earlier_stream(),
        };
        connection
    }
}

impl Tracker {
    /// What a segment comes to that nothing followed, now that it is over: what following it would have come to. It is kept at this
    /// place.
    #[inline]
    pub(super) fn hand_over_alone(&mut self, place: u32, ended: Ended) -> Option<Over> {
        if let Some(syn) = self.alone.take_syn(place) {
            return Some(self.hand_over_syn(syn, ended));
        }
        if let Some(refusal) = self.alone.take_refusal(place) {
            return Some(self.hand_over_refusal(&refusal, ended));
        }
        let lone = self.alone.take(place)?;
        let tracked = self.promoted(&lone);
        Some(Over::Connection(self.hand_over(tracked, ended)))
    }

    #[inline]
    fn hand_over_syn(&mut self, lone: LoneSyn, ended: Ended) -> Over {
        let LoneSyn { syn, stream, .. } = lone;
        if syn.window() == 0 {
            let tracked = self.promoted(&lone.unpack());
            return Over::Connection(self.hand_over(tracked, ended));
        }
        let (client, server) = (lone.client(), lone.server());
        let asker = (client.0, syn.mac());
        let looked_up = self.waited_for(stream, asker, server.0, syn.time());
        let accepted = self.hosts.accepted_before(client.0, server, syn.mark());
        let is_brief = !self.follows_all
            && !lone.is_interrupted()
            && looked_up.is_none()
            && accepted.is_none()
            && syn.is_ordinary_syn();
        if !is_brief {
            let mut connection = self.filled_with(lone, ended);
            connection.host_context.accepted = accepted;
            connection.looked_up = looked_up;
            self.lookups.tie_to_failed(&mut connection);
            return Over::Connection(connection);
        }
        Over::Unopened(self.unanswered(lone, ended))
    }

    #[inline]
    fn unanswered(&self, syn: LoneSyn, ended: Ended) -> Unopened {
        let around = self.hosts.around(syn.server().0);
        Unopened {
            syn,
            reset: None,
            ended,
            observed_until: self.observed_until(syn.syn.time()),
            server_ttl: around.server_ttl,
            server_round_trip: around.server_round_trip,
        }
    }

    /// The connection of a SYN that nothing answered.
    fn filled_with(&mut self, lone: LoneSyn, ended: Ended) -> Box<Connection> {
        let attempt = self.unanswered(lone, ended);
        let ends = [lone.client(), lone.server()];
        let fresh = self.fresh(lone.stream, ends, Roles::Syn, lone.syn.mark());
        let mut connection = attempt.fill(fresh);
        connection.interrupted = lone.is_interrupted();
        connection.client.tcp.delivery.damage = Damage::of_one(&lone.syn.unpack());
        connection
    }

    /// Keeps a reset of the server that does nothing but refuse a lone SYN. Whether it was kept: if not, the connection is to be followed.
    #[inline(never)]
    pub(super) fn keep_refusal(
        &mut self,
        slot: u32,
        source_is_low: bool,
        segment: &Segment,
    ) -> bool {
        let at = usize::try_from(slot).ok();
        let place = at.and_then(|at| self.slots.get(at));
        let Some(Slot {
            generation,
            occupant: Occupant::Alone(at),
            ..
        }) = place
        else {
            return false;
        };
        let (generation, at) = (*generation, *at);
        let Some((lone, reset)) = self.alone.syn(at).zip(PackedSegment::of(segment)) else {
            return false;
        };
        let LoneSyn { syn, stream, .. } = lone;
        let pair = lone.pair();
        let refuses = segment.flags == REFUSES
            && segment.ack == syn.seq().advance(1)
            && segment.payload_len == 0
            && segment.options == TcpOptions::default()
            && pair.source_is_low() != source_is_low;
        let is_watched = self.follows_all || self.watch.is_some();
        if !refuses || is_watched || lone.is_interrupted() || !syn.is_ordinary_syn() {
            return false;
        }
        let (client, server) = (pair.source.0, pair.destination);
        let (link, begun) = (syn.mac(), syn.mark());
        let name = self.lookups.name_of(server.0, client, link, begun.time);
        if name.is_some() {
            return false;
        }
        // A connection that is followed would have been asked for it by now.
        let _ = self.lookups.trouble_of(stream);
        let refused = self.alone.refuse(at, RefusedSyn { syn: lone, reset });
        if let Some(place) = self.occupant(slot) {
            place.occupant = Occupant::Alone(refused);
        }
        let due = segment.time.after(quiet_of(Class::Over, &self.bounds));
        self.expiry
            .enter(Class::Over, due, Handle { slot, generation });
        true
    }

    /// A refused attempt, followed.
    pub(super) fn refused(&mut self, refusal: &RefusedSyn) -> Tracked {
        let mut tracked = self.begin(&refusal.syn.unpack(), &[]);
        // None was known when the reset came.
        tracked.connection.looked_up = None;
        let reset = refusal.reset.unpack();
        tracked.observe(Side::Server, &reset, &[], &mut self.context);
        tracked
    }

    fn hand_over_refusal(&mut self, refusal: &RefusedSyn, ended: Ended) -> Over {
        let RefusedSyn { syn: lone, reset } = *refusal;
        let (client, server, begun) = (lone.client().0, lone.server(), lone.syn.mark());
        let around = self.hosts.around(server.0);
        let link = lone.syn.mac();
        let name = self.lookups.name_of(server.0, client, link, begun.time);
        if lone.is_interrupted() || name.is_some() {
            let tracked = self.refused(refusal);
            return Over::Connection(self.hand_over(tracked, ended));
        }
        Over::Unopened(Unopened {
            syn: lone,
            reset: Some(reset),
            ended,
            observed_until: self.observed_until(reset.time()),
            server_ttl: around.server_ttl,
            server_round_trip: around.server_round_trip,
        })
    }
}

/// What a reset has that refuses a SYN (RFC 9293 section 3.10.7.1), and nothing else.
const REFUSES: TcpFlags = TcpFlags(TcpFlags::RST.0 | TcpFlags::ACK.0);

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use wirewhy_packet::Decoder;
    use wirewhy_testkit::{Random, trace};

    use crate::{Bounds, Connection, Over, Tracker, TrackerCounts};

    /// What comes of these lines, and how many attempts were refused and kept small to their end.
    fn tracked(lines: &str, follows_all: bool) -> (Vec<Connection>, TrackerCounts, usize) {
        let mut tracker = Tracker::new(Bounds {
            max_connections: 12,
            ..Bounds::default()
        });
        if follows_all {
            tracker.follow_all();
        }
        let mut decoder = Decoder::new();
        let (mut all, mut small) = (Vec::new(), 0);
        let mut take = |over: Over| {
            small += usize::from(matches!(&over, Over::Unopened(one) if one.refused().is_some()));
            all.push(*over.into_connection());
        };
        for (number, frame) in trace(lines).iter().enumerate() {
            if lines.contains("interrupted") && number == 2 {
                tracker.interrupt();
            }
            tracker.observe_briefly(&decoder.decode(&frame.as_frame()), &mut take);
        }
        let mut left = tracker.end();
        while let Some(over) = tracker.next_left(&mut left) {
            take(over);
        }
        (all, tracker.tally().clone(), small)
    }

    /// How many of the attempts in these lines were refused and kept small, which come to what following them comes to.
    fn kept_small(lines: &str) -> usize {
        let (small, tally, kept) = tracked(lines, false);
        let (whole, whole_tally, none) = tracked(lines, true);
        assert_eq!(none, 0);
        assert_eq!(small.len(), whole.len(), "{lines}");
        for (small, whole) in small.iter().zip(&whole) {
            assert_eq!(small, whole, "{lines}");
        }
        assert_eq!(tally, whole_tally, "{lines}");
        kept
    }

    #[test]
    fn a_refused_syn_comes_to_what_following_it_comes_to() {
        let syn = "0.0 > S 0:0(0) <mss 1460,sackOK,ts 5 0,wscale 7>\n";
        let refusal = "0.1 < RA 0:0(0) ack 1 abs-seq win 0 id 0\n";
        let opened = "5.0 #2 > S 0:0(0)\n 5.1 #2 < SA 0:0(0) ack 1\n 5.2 #2 > A 1:1(0) ack 1\n";
        let name = "0.0 dns 192.0.2.1:5000 > 192.0.2.53 1 a.example A
                    0.0 dns 192.0.2.1:5000 < 192.0.2.53 1 noerror a.example A 198.51.100.1\n";
        let clock = opened.replace("S 0:0(0)", "S 0:0(0) <ts 3 0>");
        let plain = format!("{syn}{refusal}");
        let small = [
            plain.clone(),
            format!("{plain}9.0 end"),
            format!("{plain}{opened}"),
            format!("{plain}{}", name.replace("0.0 ", "0.3 ")),
            plain.replace("id 0", "ttl 3"),
            plain.replace("abs-seq", ""),
            plain.replace("win 0", "win 99 badsum"),
            plain.replace("0.0 >", "0.2 >"),
            format!("client [2001:db8::7]:40000\n server [2001:db8::1]:443\n{plain}"),
            format!("{}\n{plain}", clock.replace("5.", "0.")),
        ];
        for lines in small {
            assert_eq!(kept_small(&lines), 1, "{lines}");
        }
        let data = "0.0 > S 0:5(5)\n 0.1 < RA 0:0(0) ack 6\n";
        let whole = [
            plain.replace("ack 1", "ack 2"),
            plain.replace("RA 0:0(0) ack 1", "R 0:0(0)"),
            plain.replace("RA 0:0(0)", "RPA 0:0(0)"),
            plain.replace("RA 0:0(0)", "RFA 0:0(0)"),
            plain.replace("RA 0:0(0)", "RA 0:3(3)"),
            plain.replace("id 0", "<ts 9 5>"),
            plain.replace("0.1 <", "0.1 >"),
            plain.replace("> S ", "> SE "),
            plain.replace("> S ", "> SEC "),
            plain.replace("wscale 7", "tfo"),
            plain.replace(">\n", "> win 0\n"),
            plain.replace(">\n", "> badsum\n"),
            data.to_owned(),
            format!("{syn}0.05 < SA 0:0(0) ack 1\n{refusal}"),
            format!("{syn}0.05 > S 0:0(0)\n{refusal}"),
            format!("{syn}0.05 icmp 198.51.100.1 > client unreachable port\n{refusal}"),
            format!("{plain}0.2 icmp 198.51.100.1 > client unreachable port"),
            format!("{plain}0.5 > S 0:0(0)\n 0.6 < RA 0:0(0) ack 1"),
            format!("{plain}0.2 < RA 0:0(0) ack 1"),
            format!("{plain}0.2 > A 1:1(0) ack 1"),
            format!("{plain}0.2 < SA 0:0(0) ack 1"),
            format!("{plain}0.1001 dup ttl-1"),
            format!("{name}{plain}"),
            format!("{plain}0.5 end // interrupted"),
        ];
        for lines in whole {
            assert_eq!(kept_small(&lines), 0, "{lines}");
        }
    }

    #[test]
    fn refused_attempts_among_others_come_to_what_following_them_comes_to() {
        let mut kept = 0;
        for seed in 1..=400 {
            let mut dice = Random::new(seed * 0x9e37_79b9);
            let mut lines = String::new();
            let mut time = 0.0;
            for number in 1..=8 {
                let (host, port) = (dice.below(3), [53, 80, 9_000][dice.below(3)]);
                writeln!(lines, "#{number} server 198.51.100.{host}:{port}").unwrap();
            }
            for _ in 0..30 {
                let number = 1 + dice.below(8);
                let isn = [0, 0, 0, 50][dice.below(4)];
                let options = ["", " <mss 1460>", " <mss 1460,ts 9 0>"][dice.below(3)];
                let ack = isn + 1;
                let events = [
                    format!("> S {isn}:{isn}(0){options}"),
                    format!("< RA 0:0(0) ack {ack} abs-seq"),
                    format!("< RA 0:0(0) ack {ack} ttl 5"),
                    format!("< SA 0:0(0) ack {ack}"),
                    format!("> A {ack}:{ack}(0) ack 1"),
                    "< R 1:1(0)".to_owned(),
                    "icmp 10.9.9.9 > client unreachable host".to_owned(),
                ];
                let picks: &[usize] = [
                    &[0, 1][..],
                    &[0, 1],
                    &[0, 2],
                    &[0],
                    &[1],
                    &[3, 4],
                    &[5],
                    &[6],
                ][dice.below(8)];
                for pick in picks {
                    time += [0.001, 0.02, 0.4, 3.0, 80.0][dice.below(22) / 5];
                    if *pick == 6 && !lines.contains(&format!(" #{number} > S")) {
                        continue;
                    }
                    writeln!(lines, "{time:.4} #{number} {}", events[*pick]).unwrap();
                }
            }
            if dice.below(4) == 0 {
                lines.push_str("// interrupted\n");
            }
            kept += kept_small(&lines);
        }
        assert!(kept > 1_000, "{kept}");
    }
}
