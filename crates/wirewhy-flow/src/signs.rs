//! What one direction shows of devices on the way that get the options of TCP wrong, and of two timers at its ends that
//! wait for each other.

use wirewhy_packet::{Interval, Seq, Timestamp};

use crate::TcpEndpoint;
use crate::segment::Segment;

/// What is odd about how one side's bytes were sent and acknowledged. Kept only where something is.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SendingSigns {
    /// How its segments lie in the window the other side wrote, not scaled.
    pub window: WrittenWindow,
    /// Selective acknowledgements of bytes it never sent.
    pub sack: MangledSack,
    /// Small segments that waited for the acknowledgement of the one before.
    pub stalls: AckStalls,
}

wirewhy_protocol::compact!(SendingSigns {
    window,
    sack,
    stalls
});

/// How one side's segments lie in the window field of the other side as it is written, before any scaling (RFC 7323
/// section 2.3). The windows of SYNs are never scaled, and are left out.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct WrittenWindow {
    /// Segments that end exactly where it ends.
    pub filled: u32,
    /// Whether any segment went beyond it.
    pub exceeded: bool,
    /// Whether the other side acknowledged bytes beyond it that were sent once.
    pub passed: bool,
    /// The largest the other side wrote.
    pub largest: u16,
    /// Losses that begin beyond it; repetitions for one acknowledgement count once.
    pub lost_beyond: u32,
    /// Losses that begin within it.
    pub lost_within: u32,
    /// The first frames that filled it, or repeated what was lost beyond it.
    pub frames: Vec<u64>,
}

wirewhy_protocol::compact!(WrittenWindow {
    filled,
    exceeded,
    passed,
    largest,
    lost_beyond,
    lost_within,
    frames,
});

/// Selective acknowledgements whose edges lie outside all that was sent.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct MangledSack {
    /// Acknowledgements with such a block.
    pub acks: u32,
    /// Acknowledgements after the first of them whose blocks are right.
    pub right: u32,
    /// How far the left edge is ahead of the acknowledgement number, at least and at most.
    pub ahead: Option<(i32, i32)>,
    /// The first frames.
    pub frames: Vec<u64>,
}

wirewhy_protocol::compact!(MangledSack {
    acks,
    right,
    ahead,
    frames
});

/// Nagle's algorithm (RFC 1122 section 4.2.3.4) against a delayed acknowledgement (section 4.2.3.2): a small segment, an
/// acknowledgement of it on a timer, and at once the next segment.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AckStalls {
    /// How often.
    pub count: u32,
    /// Time spent waiting for those acknowledgements.
    pub total: Interval,
    /// The longest of the waits.
    pub longest: Interval,
    /// Whether the side also sent a small segment before the one before it was acknowledged: it does not wait.
    pub does_not_wait: bool,
    /// The first segments that had waited.
    pub frames: Vec<u64>,
}

wirewhy_protocol::compact!(AckStalls {
    count,
    total,
    longest,
    does_not_wait,
    frames
});

/// How many example frames are kept.
const FRAMES: usize = 8;

/// The range of the timers that delay an acknowledgement: Linux from 40 ms on, macOS 100 ms, Windows 200 ms.
const DELAYED_ACK: std::ops::RangeInclusive<i64> = SHORTEST_DELAY.0..=260_000_000;

/// The shortest delay that may be one of these timers.
pub(crate) const SHORTEST_DELAY: Interval = Interval::from_millis(30);

/// How much later than its cause a segment that needs no thought is sent, at most.
const AT_ONCE: Interval = Interval::from_millis(3);

/// A hole or a duplicate this far from what is acknowledged is none: no window is as large.
const FARTHEST_BEHIND: i32 = 1 << 26;

/// What is needed to see the signs of one direction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    /// Where the window as written ends, and where the one before it did.
    edges: [Option<Seq>; 2],
    /// When the latest of them was written.
    written: Timestamp,
    /// The farthest of all, that of a SYN-ACK included: what a sender may believe in.
    farthest: Option<Seq>,
    /// Bytes sent once beyond that, not acknowledged yet.
    beyond: Option<(Seq, Seq)>,
    /// What the other side acknowledged when the latest loss showed.
    lost_at: Option<Seq>,
    small: Option<Small>,
    largest: u16,
    exceeded: bool,
    passed: bool,
    does_not_wait: bool,
    signs: Option<Box<SendingSigns>>,
}

wirewhy_protocol::compact!(Watch {
    edges,
    written,
    farthest,
    beyond,
    lost_at,
    small,
    largest,
    exceeded,
    passed,
    does_not_wait,
    signs,
});

/// A small segment with nothing else on the way.
#[derive(Clone, Copy, Debug)]
struct Small {
    end: Seq,
    sent: Timestamp,
    acknowledged: Option<Timestamp>,
}

wirewhy_protocol::compact!(Small {
    end,
    sent,
    acknowledged
});

/// How long it takes from the capture point to the other side and back, and over the whole path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Distances {
    pub(crate) far: Interval,
    pub(crate) whole: Interval,
}

impl Watch {
    /// The side sent new bytes.
    pub(crate) fn sent(
        &mut self,
        peer: &TcpEndpoint,
        segment: &Segment,
        distances: Option<Distances>,
    ) {
        let end = segment.seq.advance(segment.payload_len);
        let [edge, before] = self.edges;
        if edge.is_some_and(|edge| end.is_after(edge)) {
            // A sender farther away does not know the latest window yet.
            let known = distances.is_some_and(|distances| {
                segment.time.since(self.written) > distances.whole + distances.whole + AT_ONCE
            });
            let beyond_all = self.farthest.is_none_or(|edge| end.is_after(edge));
            self.exceeded |= known || beyond_all;
            if beyond_all && !self.passed {
                let from = self.beyond.map_or(segment.seq, |(from, _)| from);
                self.beyond = Some((from, end));
            }
        } else if edge == Some(end) || (before == Some(end) && edge.is_some()) {
            let window = &mut self.signs_mut().window;
            window.filled = window.filled.saturating_add(1);
            keep(&mut window.frames, segment.frame);
        }
        self.sent_small(peer, segment, distances);
    }

    fn sent_small(&mut self, peer: &TcpEndpoint, segment: &Segment, distances: Option<Distances>) {
        // With its options a full segment is a little shorter than the maximum.
        let full = peer.offer.mss.map(|mss| u32::from(mss).saturating_sub(40));
        let is_small = full.is_some_and(|full| segment.payload_len < full) && !segment.is_fin();
        if let Some(small) = self.small.take() {
            match (small.acknowledged, distances) {
                (None, _) => self.does_not_wait |= is_small,
                (Some(acknowledged), Some(distances)) => {
                    let waited = acknowledged.since(small.sent);
                    let behind = segment.time.since(acknowledged);
                    let near = distances.whole.0.saturating_sub(distances.far.0).max(0);
                    let at_once = near.saturating_add(AT_ONCE.0.max(distances.whole.0 / 4));
                    let on_a_timer = DELAYED_ACK.contains(&(waited.0 - distances.far.0));
                    if on_a_timer && (0..=at_once).contains(&behind.0) {
                        self.stalled(waited, segment.frame);
                    }
                }
                (Some(_), None) => {}
            }
        }
        let alone = peer.acknowledged == Some(segment.seq);
        self.small = (is_small && alone).then(|| Small {
            end: segment.seq_end(),
            sent: segment.time,
            acknowledged: None,
        });
    }

    fn stalled(&mut self, waited: Interval, frame: u64) {
        let stalls = &mut self.signs_mut().stalls;
        stalls.count = stalls.count.saturating_add(1);
        stalls.total = Interval(stalls.total.0.saturating_add(waited.0));
        stalls.longest = stalls.longest.max(waited);
        keep(&mut stalls.frames, frame);
    }

    /// The side sent bytes again that were lost, when the other side had acknowledged `acknowledged`.
    pub(crate) fn lost(&mut self, acknowledged: Option<Seq>, segment: &Segment) {
        self.small = None;
        if self.passed {
            return;
        }
        let mut is_beyond = false;
        if let Some((from, to)) = self.beyond {
            is_beyond = !segment.seq.is_before(from) && segment.seq.is_before(to);
            // From here on it was sent more than once.
            if is_beyond {
                let rest = segment.seq_end();
                self.beyond = rest.is_before(to).then_some((rest, to));
            }
        }
        if self.lost_at == acknowledged {
            return;
        }
        self.lost_at = acknowledged;
        let window = &mut self.signs_mut().window;
        if is_beyond {
            window.lost_beyond = window.lost_beyond.saturating_add(1);
            keep(&mut window.frames, segment.frame);
        } else {
            window.lost_within = window.lost_within.saturating_add(1);
        }
    }

    /// The other side acknowledged and wrote a window.
    pub(crate) fn advertised(&mut self, segment: &Segment) {
        let edge = Some(segment.ack.advance(u32::from(segment.window)));
        self.settle_beyond(segment.ack);
        let [latest, before] = &mut self.edges;
        if *latest != edge {
            (*before, *latest) = (*latest, edge);
            self.written = segment.time;
        }
        self.believe(edge);
        self.largest = self.largest.max(segment.window);
        if segment.seq_len() > 0 {
            self.small = None;
        } else if let Some(small) = &mut self.small
            && small.acknowledged.is_none()
            && !segment.ack.is_before(small.end)
        {
            small.acknowledged = Some(segment.time);
        }
    }

    /// Bytes sent beyond the window are acknowledged. What a device on the way knew when they passed it was written before.
    fn settle_beyond(&mut self, acknowledged: Seq) {
        let Some((from, to)) = self.beyond else {
            return;
        };
        if !acknowledged.is_after(from) {
            return;
        }
        let arrived = if acknowledged.is_before(to) {
            acknowledged
        } else {
            to
        };
        self.passed |= self
            .farthest
            .is_none_or(|farthest| arrived.is_after(farthest));
        self.beyond = acknowledged.is_before(to).then_some((acknowledged, to));
    }

    /// The other side accepted, with a window that is not scaled.
    pub(crate) fn accepted(&mut self, segment: &Segment) {
        self.believe(Some(segment.ack.advance(u32::from(segment.window))));
    }

    fn believe(&mut self, edge: Option<Seq>) {
        let farther = match (self.farthest, edge) {
            (Some(known), Some(edge)) => edge.is_after(known),
            (known, _) => known.is_none(),
        };
        if farther {
            self.farthest = edge;
        }
    }

    /// Whether a selective acknowledgement names bytes that `own` never sent. Where the capture missed some of them, only
    /// what is far away counts.
    pub(crate) fn is_mangled(
        &mut self,
        own: &TcpEndpoint,
        segment: &Segment,
        (left, right): (Seq, Seq),
    ) -> bool {
        let Some(next) = own.next else { return false };
        let ahead = left.distance_from(next);
        let least = if own.counts.unseen_bytes == 0 {
            0
        } else {
            FARTHEST_BEHIND
        };
        let behind = segment.ack.distance_from(right);
        let mangled = ahead >= least || behind > FARTHEST_BEHIND;
        if mangled {
            let ahead = left.distance_from(segment.ack);
            let sack = &mut self.signs_mut().sack;
            sack.acks = sack.acks.saturating_add(1);
            sack.ahead = Some(sack.ahead.map_or((ahead, ahead), |(least, most)| {
                (least.min(ahead), most.max(ahead))
            }));
            keep(&mut sack.frames, segment.frame);
        } else if let Some(signs) = &mut self.signs
            && signs.sack.acks > 0
        {
            signs.sack.right = signs.sack.right.saturating_add(1);
        }
        mangled
    }

    /// The signs, where there are any.
    pub(crate) fn finish(&mut self) -> Option<Box<SendingSigns>> {
        let mut signs = self.signs.take()?;
        signs.window.exceeded = self.exceeded;
        signs.window.passed = self.passed;
        signs.window.largest = self.largest;
        signs.stalls.does_not_wait = self.does_not_wait;
        Some(signs)
    }

    fn signs_mut(&mut self) -> &mut SendingSigns {
        self.signs.get_or_insert_default()
    }
}

fn keep(frames: &mut Vec<u64>, frame: u64) {
    if frames.len() < FRAMES {
        frames.push(frame);
    }
}
