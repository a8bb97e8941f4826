//! The segment that an undisturbed connection expects next: bytes in order, or an acknowledgement of what was sent. Most
//! segments are (header prediction, V. Jacobson, "4BSD Header Prediction", 1990), and they move a few numbers only.

use wirewhy_packet::{Checksum, TcpFlags};
use wirewhy_protocol::CaptureContext;

use super::{Recorded, Tracked, count};
use crate::delivery::Sent;
use crate::segment::Segment;
use crate::{EndpointState, Roles, Side, TcpEndpoint};

/// The flags that decide what a segment does; PSH, URG and those of congestion notification do not.
const DECISIVE: u16 = TcpFlags::SYN.0 | TcpFlags::FIN.0 | TcpFlags::RST.0 | TcpFlags::ACK.0;

impl Tracked {
    /// Whether both sides are open, and nothing has been lost, repeated, reordered, closed or reset, so that a segment that
    /// is next in line changes nothing but what [`Tracked::observe_expected`] changes.
    pub(crate) fn is_undisturbed(&self) -> bool {
        self.scratch.undisturbed
    }

    /// See [`Tracked::is_undisturbed`], which this decides after every segment that is not the next in line.
    pub(super) fn disturbed_by_nothing(&self) -> bool {
        let (connection, scratch) = (&*self.connection, &*self.scratch);
        let handshake = &connection.tcp.handshake;
        let is_quiet = |tcp: &TcpEndpoint| {
            tcp.state == EndpointState::Established
                && tcp.next.is_some()
                && tcp.acknowledged.is_some()
                && tcp.window > 0
                && tcp.delivery.trouble.is_none()
                && tcp.fin.is_none()
                && tcp.counts.resets == 0
        };
        is_quiet(&connection.client.tcp)
            && is_quiet(&connection.server.tcp)
            && handshake.ack.is_some()
            && handshake.syn_acks_after_ack == 0
            && (connection.roles.are_known() || connection.roles == Roles::Hello)
            && connection.collision.is_none()
            && scratch.other_syn_ack.is_none()
            && scratch.strays == [None, None]
            && scratch.flights.iter().all(|flight| flight.is_undisturbed())
            && connection
                .zeek
                .agrees([connection.client.tcp.next, connection.server.tcp.next])
    }

    /// Whether a segment is next in line of an undisturbed connection.
    pub(super) fn is_expected(&self, from: Side, segment: &Segment) -> bool {
        let own = &self.connection.side(from).tcp;
        let peer = &self.connection.side(from.other()).tcp;
        self.scratch.undisturbed
            && segment.flags.0 & DECISIVE == TcpFlags::ACK.0
            && segment.window > 0
            && own.next == Some(segment.seq)
            && peer.next.is_some_and(|next| !segment.ack.is_after(next))
            && own
                .acknowledged
                .is_some_and(|known| !segment.ack.is_before(known))
            && matches!(segment.checksum, Checksum::Right | Checksum::Unknown)
            && segment.options.sack.as_slice().is_empty()
    }

    /// Takes in a segment that is next in line, as [`Tracked::observe_any`] would.
    pub(super) fn observe_expected(
        &mut self,
        from: Side,
        segment: &Segment,
        payload: &[u8],
        context: &mut CaptureContext,
    ) -> Recorded {
        self.connection.zeek.observe_expected(from, segment);
        self.connection.note_outgoing(from, segment.outgoing);
        count(self.connection.side_mut(from), segment);
        if segment.payload_len > 0 {
            self.note_last_words(from, segment, payload);
            let (flight, own, peer) = self.flight(from);
            flight.inspection.sent(segment);
            own.next = Some(segment.seq_end());
            flight.start(own, peer, segment);
            self.observe_exchange(from, segment, Sent::New);
        }
        self.observe_ack(from, segment, 0);
        self.observe_window(from, segment);
        let recorded = self.conclude(from, segment, payload, context);
        Recorded {
            is_expected: !self.scratch.scale.is_due(),
            ..recorded
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use wirewhy_packet::{Decoder, Transport};
    use wirewhy_testkit::{Random, trace};

    use super::*;
    use crate::{Connection, Endpoint, Mark};

    /// A conversation that is mostly in order, with anything that may happen to one now and then.
    fn conversation(seed: u64) -> String {
        let mut dice = Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut lines = String::from(
            "0.00 > S 0:0(0) <mss 1460,sackOK,ts 10 0,wscale 7>
             0.02 < SA 0:0(0) ack 1 <mss 1460,sackOK,ts 90 10,wscale 7>
             0.03 > A 1:1(0) ack 1 <ts 13 90>\n",
        );
        // Behind the furthest byte of client and server.
        let mut next = [1_u64, 1];
        for step in 0..60_u64 {
            let pause = [3, 20, 300, 6_000][usize::try_from(dice.number(80) / 26).unwrap()];
            let own = usize::try_from(dice.number(2)).unwrap();
            let (from, peer) = ([">", "<"][own], 1 - own);
            let (mut seq, mut ack, mut len) = (next[own], next[peer], dice.number(3) * 500);
            let (mut flags, mut more) = ("PA", "");
            match dice.number(60) {
                0 => seq = seq.saturating_sub(dice.number(900)).max(1),
                1 => seq += dice.number(1_500),
                2 => ack = ack.saturating_sub(dice.number(900)).max(1),
                3 => ack += dice.number(1_500),
                4 => (seq, len) = (seq - 1, dice.number(2)),
                5 => (seq, ack) = (seq + 9_000_000, ack + 7),
                6 => flags = "FA",
                7 => (flags, len) = ("RA", 0),
                8 => (flags, len) = ("S", 0),
                9 => (flags, len) = ("SA", 0),
                10 => more = " win 0",
                11 => more = " sack 900:1400",
                12 => more = " badsum",
                13 => more = " hex 1503030002022f",
                14 => more = " \"GET / HTTP/1.1\\r\\n\\r\\n\"",
                15 => flags = "PAU",
                _ => {}
            }
            if more.contains("GET") || more.contains("hex") {
                len = len.max(18);
            }
            let end = seq + len;
            let has_ts = if more.contains("sack") { "" } else { " <ts" };
            write!(lines, "+0.{pause:04} {from} {flags} {seq}:{end}({len})").unwrap();
            if flags != "S" {
                write!(lines, " ack {ack}").unwrap();
            }
            if !has_ts.is_empty() {
                write!(lines, "{has_ts} {} {}>", 20 + step, 90 + step).unwrap();
            }
            writeln!(lines, "{more}").unwrap();
            if dice.number(25) == 0 {
                writeln!(lines, "+0.0001 dup").unwrap();
            }
            next[own] = next[own].max(end).min(100_000);
        }
        lines
    }

    fn new_live(pair: [(std::net::IpAddr, u16); 2], mark: Mark) -> Tracked {
        let connection = Connection::new(
            wirewhy_protocol::Transport::Tcp,
            0,
            pair.map(|(address, port)| Endpoint::new(address, port)),
            Roles::Syn,
            mark,
        );
        Tracked::new(Box::new(connection), Box::default(), true)
    }

    #[test]
    fn what_is_expected_changes_what_it_would_change_anyway() {
        let mut expected = 0;
        for seed in 1..=300 {
            let lines = conversation(seed);
            let mut both: Option<[Tracked; 2]> = None;
            let mut contexts = [CaptureContext::default(), CaptureContext::default()];
            let mut decoder = Decoder::new();
            let mut client = None;
            for frame in &trace(&lines) {
                let packet = decoder.decode(&frame.as_frame());
                let (Some(ip), Transport::Tcp(tcp)) = (packet.ip, &packet.transport) else {
                    panic!("a segment: {lines}");
                };
                let segment = Segment::new(&packet, &ip, tcp);
                let source = (ip.source, tcp.source_port);
                let pair = [source, (ip.destination, tcp.destination_port)];
                let from = match *client.get_or_insert(source) == source {
                    true => Side::Client,
                    false => Side::Server,
                };
                let [quick, full] =
                    both.get_or_insert_with(|| [0, 1].map(|_| new_live(pair, segment.mark())));
                let [context, other] = &mut contexts;
                let recorded = quick.observe(from, &segment, tcp.payload, context);
                expected += u32::from(recorded.is_expected);
                full.scratch.undisturbed = false;
                let in_full = full.observe(from, &segment, tcp.payload, other);
                assert_eq!(
                    Recorded {
                        is_expected: false,
                        ..recorded
                    },
                    in_full
                );
                assert_eq!(quick.connection, full.connection, "{lines}");
                full.scratch.undisturbed = quick.scratch.undisturbed;
                let scratch = [&quick.scratch, &full.scratch].map(|scratch| format!("{scratch:?}"));
                assert_eq!(scratch[0], scratch[1], "{lines}");
                assert_eq!(quick.weigh(), full.weigh());
            }
        }
        assert!(expected > 1_000, "{expected}");
    }
}
