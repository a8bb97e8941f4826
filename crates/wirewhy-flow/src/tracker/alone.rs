//! SYNs that nothing followed yet: most of a scan or a flood. Each is kept in few bytes and without a pointer. It grows to a connection
//! that is followed when a second packet comes; where none does, what is handed over is made from it at once.

use super::Tracker;
use crate::segment::Segment;
use crate::{Connection, Ended, Pair, Roles};

/// A SYN that nothing followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoneSyn {
    pub(super) stream: u32,
    pub(super) earlier_stream: Option<u32>,
    pub(super) pair: Pair,
    pub(super) segment: Segment,
    pub(super) interrupted: bool,
}

/// All of them, in places that are used again.
#[derive(Debug, Default)]
pub(super) struct LoneSyns {
    kept: Vec<LoneSyn>,
    free: Vec<u32>,
}

impl LoneSyns {
    /// Keeps one more. Returns where.
    pub(super) fn add(&mut self, lone: LoneSyn) -> u32 {
        if let Some(at) = self.free.pop()
            && let Some(place) = usize::try_from(at)
                .ok()
                .and_then(|at| self.kept.get_mut(at))
        {
            *place = lone;
            return at;
        }
        let at = u32::try_from(self.kept.len()).unwrap_or(u32::MAX);
        self.kept.push(lone);
        at
    }

    /// The one kept at a place.
    pub(super) fn get(&self, at: u32) -> Option<&LoneSyn> {
        self.kept.get(usize::try_from(at).ok()?)
    }

    /// Empties a place that one is kept at.
    pub(super) fn take(&mut self, at: u32) -> Option<LoneSyn> {
        let lone = *self.get(at)?;
        self.free.push(at);
        Some(lone)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.kept.len() - self.free.len()
    }

    /// Packets are missing behind all of them.
    pub(super) fn interrupt(&mut self) {
        for lone in &mut self.kept {
            lone.interrupted = true;
        }
    }
}

impl Tracker {
    /// The connection of a SYN that nothing followed, now that it is over: what following it would have come to.
    pub(super) fn hand_over_syn(&mut self, lone: &LoneSyn, ended: Ended) -> Box<Connection> {
        if !lone.segment.is_plain_syn() {
            let live = self.grown(lone);
            return self.hand_over(live, ended);
        }
        let LoneSyn {
            stream,
            earlier_stream,
            pair,
            segment,
            interrupted,
        } = lone;
        let ends = [pair.source, pair.destination];
        let mut connection = self.fresh(*stream, ends, Roles::Syn, segment.mark());
        connection.interrupted = *interrupted;
        connection.surroundings.earlier_stream = *earlier_stream;
        connection.begin_with_syn(segment);
        let (asker, server) = ((pair.source.0, segment.mac), pair.destination.0);
        connection.looked_up = self.waited_for(*stream, asker, server, segment.time);
        connection.ended = ended;
        connection.observed_until = self.observed_until(segment.time);
        self.lookups.tie_to_failed(&mut connection);
        connection.surroundings = self.around(&connection);
        connection
    }
}

#[cfg(test)]
mod tests {
    use wirewhy_packet::{Decoder, Interval, Timestamp};
    use wirewhy_testkit::trace;

    use super::*;
    use crate::Bounds;
    use crate::tracker::Occupant;

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
        for (syn, plain) in [
            ("1.0 #2 > S 0:0(0)", true),
            ("1.0 #2 > S 0:0(0) <mss 1460,sackOK,ts 12 0,wscale 9>", true),
            ("1.0 #2 > SE 0:0(0) <mss 536> ttl 3 id 77", true),
            ("1.0 #2 > S 0:0(0) win 0", false),
            ("1.0 #2 > S 0:0(0) badsum", false),
            ("#2 server 198.51.100.7:25\n 1.0 #2 > S 0:0(0)", true),
        ] {
            let (mut quick, mut full) = (with(syn), with(syn));
            let at = quick.slots.iter().find_map(|slot| match slot.occupant {
                Occupant::Syn(at) => Some(at),
                _ => None,
            });
            let lone = quick.alone.take(at.unwrap()).unwrap();
            assert_eq!(lone.segment.is_plain_syn(), plain, "{syn}");
            let ended = Ended::NeverOpened;
            let live = full.grown(&lone);
            let followed = full.hand_over(live, ended);
            assert_eq!(quick.hand_over_syn(&lone, ended), followed, "{syn}");
            assert_eq!(followed.tcp.handshake.syns, 1);
        }
    }
}
