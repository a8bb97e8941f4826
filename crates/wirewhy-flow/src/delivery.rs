//! How one side's bytes got across: what was sent again and why, what stood still, how long it took.
//!
//! This layer interprets: it uses what Wireshark's marks leave aside (SACK, D-SACK, timestamps, IP identification,
//! the measured round trip, copies by the recording).

use wirewhy_packet::{Interval, SackBlocks, Seq, Timestamp};

use crate::damage::Inspection;
use crate::gaps::{Gaps, Skipper};
use crate::segment::Segment;
use crate::signs::{Distances, Watch};
use crate::{Damage, Mark, SendingSigns, TcpEndpoint};

/// How the bytes one side sent got across.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Delivery {
    /// Round trips from the capture point to the other side and back, by data and its acknowledgement, retransmitted
    /// segments left out (RFC 6298 section 3, Karn's algorithm).
    pub round_trip: Smoothed,
    /// Length in bytes of the largest IP packet the other side is known to have got.
    pub largest_delivered: u32,
    /// What went wrong; `None` while nothing did.
    pub trouble: Option<Box<Trouble>>,
    /// What is odd about it; `None` where nothing is.
    pub signs: Option<Box<SendingSigns>>,
    /// What arrived damaged; `None` where nothing did.
    pub damage: Option<Box<Damage>>,
}

/// Round-trip times as RFC 6298 section 2 smooths them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Smoothed {
    /// How many were measured.
    pub samples: u32,
    /// The smallest.
    pub min: Interval,
    /// The smoothed one.
    pub smoothed: Interval,
}

/// What went wrong with one side's packets, or with its window.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Trouble {
    /// Retransmissions after duplicate ACKs or SACK (RFC 5681 section 3.2, RFC 6675, RFC 8985).
    pub fast: u32,
    /// Retransmissions after a timeout (RFC 6298 section 5).
    pub timeout: u32,
    /// The last segment sent again early to provoke an ACK (RFC 8985 section 7).
    pub tail_probes: u32,
    /// Retransmissions of what the other side had acknowledged already.
    pub spurious: u32,
    /// Segments that filled a hole later than reordering explains: the original was lost before the capture point.
    pub lost_before: u32,
    /// Segments that arrived behind later ones and were sent before them.
    pub reordered: u32,
    /// The longest such delay.
    pub longest_reordering: Interval,
    /// Duplicate arrivals the other side reported (RFC 2883).
    pub reported_duplicates: u32,
    /// Keep-alive probes (RFC 9293 section 3.8.4).
    pub keep_alives: u32,
    /// Zero-window probes (RFC 9293 section 3.8.6.1).
    pub window_probes: u32,
    /// Time spent waiting for retransmission timeouts.
    pub stalled: Interval,
    /// The longest such wait.
    pub longest_stall: Interval,
    /// Retransmissions since the other side was heard last.
    pub unanswered: Run,
    /// Keep-alive probes since the other side was heard last.
    pub unanswered_keep_alives: Run,
    /// Probes of a closed window since the other side was heard last.
    pub unanswered_window_probes: Run,
    /// The segment that was sent most often before it got across, or never did.
    pub stuck: Option<Stuck>,
    /// The earliest hole still open that the other side keeps asking for.
    pub hole: Option<Hole>,
    /// The window this side closed.
    pub window: WindowStall,
    /// The first frames that sent something again.
    pub frames: Vec<u64>,
    /// The first frames that came behind later ones.
    pub reordered_frames: Vec<u64>,
}

/// Packets in a row that nothing answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Run {
    /// How many.
    pub count: u32,
    /// The first.
    pub first: Option<Mark>,
    /// The latest.
    pub last: Option<Mark>,
}

/// A segment at the head of the queue that had to be sent again and again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stuck {
    /// Its first byte.
    pub seq: Seq,
    /// Length in bytes of the largest IP packet it was sent in.
    pub largest: u32,
    /// Length in bytes of the smallest IP packet it was sent in.
    pub smallest: u32,
    /// How often it was sent at its largest size, the first time included.
    pub sent: u32,
    /// When it was sent again first.
    pub first: Mark,
    /// When it was sent last.
    pub last: Mark,
    /// The other side was heard since: it asked for this segment, or sent anything after it was first sent again.
    pub heard: bool,
    /// When it was acknowledged.
    pub acknowledged: Option<Mark>,
}

/// Bytes that never came, while the other side asks for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hole {
    /// Its first byte.
    pub seq: Seq,
    /// Its length in bytes.
    pub len: u32,
    /// The segment behind it that showed it.
    pub since: Mark,
    /// How often the other side asked for it.
    pub asked: u32,
    /// The latest frame that asked for it.
    pub last_asked: Mark,
}

/// How long a side kept its window closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WindowStall {
    /// How often it closed.
    pub episodes: u32,
    /// How long it was closed in all, while the peer had reason to wait.
    pub total: Interval,
    /// When it closed, where it has not opened again.
    pub closed_since: Option<Mark>,
    /// When it opened again last.
    pub reopened: Option<Mark>,
    /// The first frame that closed it.
    pub first: Option<Mark>,
}

/// How long a segment may trail the one that overtook it and still be taken for reordered without further signs: the
/// threshold Wireshark uses without a handshake (3 ms).
const REORDERING_WITHOUT_SIGNS: Interval = Interval::from_millis(3);

/// Nothing is kept alive that is not idle: RFC 9293 section 3.8.4 wants two hours by default, applications set seconds.
const KEEP_ALIVE_IDLE: Interval = Interval::from_millis(900);

/// Linux's shortest retransmission timeout; what repeats the tail sooner without duplicate ACKs is a probe.
const SHORTEST_TIMEOUT: Interval = Interval::from_millis(190);

/// How many example frames are kept.
const FRAMES: usize = 16;

/// What is needed to interpret one direction and is no fact by itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flight {
    pub(crate) gaps: Gaps,
    /// The segment whose round trip is being measured: its end and when it was sent.
    timed: Option<(Seq, Timestamp)>,
    /// A packet larger than any known to have arrived: its end and length.
    larger: Option<(Seq, u32)>,
    /// The latest new segments with payload: their ends and lengths as packets.
    latest: [(Seq, u32); Flight::LATEST],
    /// The segment at the head of the queue, once it was sent again.
    stuck: Option<Box<Stuck>>,
    /// Acknowledgements in a row that did not move, of the other side.
    repeats: u32,
    /// The other side holds bytes beyond the next it expects.
    sacked: bool,
    /// The round trip over the whole path, from the handshake.
    pub(crate) whole_round_trip: Option<Interval>,
    /// The round trip from the capture point to the other side, from the handshake.
    pub(crate) far_round_trip: Interval,
    pub(crate) watch: Watch,
    pub(crate) inspection: Inspection,
}

wirewhy_protocol::compact!(Flight {
    gaps,
    timed,
    larger,
    latest,
    stuck,
    repeats,
    sacked,
    whole_round_trip,
    far_round_trip,
    watch,
    inspection,
});

/// What a segment with payload, SYN or FIN is to the bytes sent before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sent {
    /// New bytes.
    New,
    /// Bytes that were skipped before, in time for reordering.
    Reordered,
    /// Bytes that were skipped before, sent again.
    Refill,
    /// Bytes seen before.
    Again,
    /// A probe that repeats a byte on purpose.
    Probe,
}

impl TcpEndpoint {
    /// What went wrong, with room to note more.
    pub(crate) fn trouble_mut(&mut self) -> &mut Trouble {
        self.delivery.trouble.get_or_insert_default()
    }

    /// What went wrong, if anything did.
    #[must_use]
    pub fn trouble(&self) -> Option<&Trouble> {
        self.delivery.trouble.as_deref()
    }
}

impl Trouble {
    /// Segments that were lost, as far as their retransmission shows: on timeouts, duplicate ACKs, or before the capture.
    /// A probe of the tail counts unless the other side reported that it had the segment already; what it had
    /// acknowledged does not.
    #[must_use]
    pub fn losses(&self) -> u32 {
        let probes = self.tail_probes.saturating_sub(self.reported_duplicates);
        self.fast
            .saturating_add(self.timeout)
            .saturating_add(self.lost_before)
            .saturating_add(probes)
    }
}

impl WindowStall {
    /// The side advertised a window: closed, or open again.
    pub(crate) fn advertise(&mut self, closed: bool, mark: Mark) {
        match (self.closed_since, closed) {
            (None, true) => {
                self.episodes = self.episodes.saturating_add(1);
                self.first.get_or_insert(mark);
                self.closed_since = Some(mark);
            }
            (Some(since), false) => {
                let closed_for = mark.time.since(since.time).max(Interval::ZERO);
                self.total = Interval(self.total.0.saturating_add(closed_for.0));
                self.closed_since = None;
                self.reopened = Some(mark);
            }
            _ => {}
        }
    }
}

impl Run {
    pub(crate) fn add(&mut self, mark: Mark) {
        self.count = self.count.saturating_add(1);
        self.first.get_or_insert(mark);
        self.last = Some(mark);
    }
}

impl Smoothed {
    fn add(&mut self, sample: Interval) {
        if sample < Interval::ZERO {
            return;
        }
        if self.samples == 0 {
            (self.min, self.smoothed) = (sample, sample);
        } else {
            self.min = self.min.min(sample);
            self.smoothed = Interval((self.smoothed.0 - self.smoothed.0 / 8) + sample.0 / 8);
        }
        self.samples = self.samples.saturating_add(1);
    }
}

impl Flight {
    /// How many of the latest segments are remembered for a SACK to name.
    const LATEST: usize = 4;

    /// Takes in a segment of `own` that takes sequence space, given the state before it: `latest` are the latest packets of
    /// `own` and of `peer`. `own.next` is moved here.
    pub(crate) fn send(
        &mut self,
        own: &mut TcpEndpoint,
        peer: &TcpEndpoint,
        latest: [Option<&Mark>; 2],
        segment: &Segment,
    ) -> Sent {
        let Some(next) = own.next else {
            own.next = Some(segment.seq_end());
            self.start(own, peer, segment);
            return Sent::New;
        };
        let ahead = segment.seq.distance_from(next);
        if is_probe(own, peer, latest, segment, ahead) {
            self.probe(own, peer, segment);
            return Sent::Probe;
        }
        if segment.seq_end().is_after(next) {
            own.next = Some(segment.seq_end());
        }
        if ahead > 0 {
            let skipper = Skipper {
                mark: segment.mark(),
                ip_id: segment.ip_id,
                clock: segment
                    .options
                    .timestamps
                    .map(|timestamps| timestamps.value),
            };
            self.gaps.skip(next, segment.seq, skipper);
        }
        if ahead >= 0 {
            self.start(own, peer, segment);
            return Sent::New;
        }
        self.resend(own, peer, latest, segment)
    }

    /// New bytes: perhaps the ones to time, perhaps the largest packet so far.
    pub(crate) fn start(&mut self, own: &TcpEndpoint, peer: &TcpEndpoint, segment: &Segment) {
        if segment.payload_len == 0 {
            return;
        }
        let distances = self.whole_round_trip.map(|whole| Distances {
            far: self.far_round_trip,
            whole,
        });
        self.watch.sent(peer, segment, distances);
        self.latest.rotate_left(1);
        let [.., newest] = &mut self.latest;
        *newest = (segment.seq_end(), segment.ip_len);
        if self.timed.is_none() {
            self.timed = Some((segment.seq_end(), segment.time));
        }
        if self.larger.is_none() && segment.ip_len > own.delivery.largest_delivered {
            self.larger = Some((segment.seq_end(), segment.ip_len));
        }
    }

    fn probe(&mut self, own: &mut TcpEndpoint, peer: &TcpEndpoint, segment: &Segment) {
        let closed = peer.window == 0;
        let trouble = own.trouble_mut();
        if closed {
            trouble.window_probes = trouble.window_probes.saturating_add(1);
            trouble.unanswered_window_probes.add(segment.mark());
        } else {
            trouble.keep_alives = trouble.keep_alives.saturating_add(1);
            trouble.unanswered_keep_alives.add(segment.mark());
        }
    }

    fn resend(
        &mut self,
        own: &mut TcpEndpoint,
        peer: &TcpEndpoint,
        latest: [Option<&Mark>; 2],
        segment: &Segment,
    ) -> Sent {
        self.timed = None;
        if self
            .larger
            .is_some_and(|(end, len)| segment.seq.is_before(end) && segment.ip_len < len)
        {
            self.larger = None;
        }
        let filled = self.gaps.fill(segment.seq, segment.seq_end());
        if let Some(opened) = filled {
            let late = segment.time.since(opened.mark.time);
            if self.was_overtaken(segment, &opened, late) {
                let trouble = own.trouble_mut();
                trouble.reordered = trouble.reordered.saturating_add(1);
                trouble.longest_reordering = trouble.longest_reordering.max(late);
                keep(&mut trouble.reordered_frames, segment.frame);
                return Sent::Reordered;
            }
        }
        self.classify(own, peer, latest, segment, filled.is_some());
        if filled.is_some() {
            Sent::Refill
        } else {
            Sent::Again
        }
    }

    /// Whether a segment that fills a hole was sent before the one that skipped it: by the sender's IP identification, its
    /// clock, or, without either, by time.
    fn was_overtaken(&self, segment: &Segment, skipper: &Skipper, late: Interval) -> bool {
        if let (Some(id), Some(ahead)) = (segment.ip_id, skipper.ip_id)
            && id.id != 0
            && ahead.id != 0
        {
            let later = id.id.wrapping_sub(ahead.id).cast_signed();
            // Counters of busy hosts run on; beyond this the identification is random.
            if later.unsigned_abs() < 4_096 {
                return later < 0;
            }
        }
        if let (Some(clock), Some(ahead)) = (segment.options.timestamps, skipper.clock)
            && clock.value != ahead
        {
            return Seq(clock.value).is_before(Seq(ahead));
        }
        // A repetition that answers the hole cannot come sooner than the word of it reached the sender and came back.
        let too_soon = self
            .whole_round_trip
            .map(|whole| Interval(whole.0 / 10 * 9));
        late < too_soon.unwrap_or(REORDERING_WITHOUT_SIGNS)
    }

    fn classify(
        &mut self,
        own: &mut TcpEndpoint,
        peer: &TcpEndpoint,
        latest: [Option<&Mark>; 2],
        segment: &Segment,
        refill: bool,
    ) {
        let waited = latest
            .into_iter()
            .flatten()
            .map(|mark| segment.time.since(mark.time))
            .min()
            .unwrap_or_default();
        let acknowledged = peer
            .acknowledged
            .is_some_and(|ack| !segment.seq_end().is_after(ack));
        let at_tail = own.next == Some(segment.seq_end());
        let asked_for = self.repeats >= 3 || self.sacked;
        let counts = &mut own.counts;
        counts.retransmissions = counts.retransmissions.saturating_add(1);
        let trouble = own.trouble_mut();
        let kind = if acknowledged {
            &mut trouble.spurious
        } else if refill {
            &mut trouble.lost_before
        } else if asked_for && waited < SHORTEST_TIMEOUT {
            &mut trouble.fast
        } else if at_tail && waited < SHORTEST_TIMEOUT && trouble.unanswered.count == 0 {
            &mut trouble.tail_probes
        } else {
            // Several segments sent again after one timeout waited only once.
            if waited >= SHORTEST_TIMEOUT {
                trouble.stalled = Interval(trouble.stalled.0.saturating_add(waited.0));
                trouble.longest_stall = trouble.longest_stall.max(waited);
            }
            &mut trouble.timeout
        };
        *kind = kind.saturating_add(1);
        keep(&mut trouble.frames, segment.frame);
        if acknowledged {
            return;
        }
        trouble.unanswered.add(segment.mark());
        self.watch.lost(peer.acknowledged, segment);
        self.note_stuck(peer, segment);
    }

    /// Follows the segment that covers the next byte the other side expects.
    fn note_stuck(&mut self, peer: &TcpEndpoint, segment: &Segment) {
        let at_head = peer
            .acknowledged
            .is_none_or(|ack| !segment.seq.is_after(ack) && segment.seq_end().is_after(ack));
        if !at_head || segment.payload_len == 0 {
            return;
        }
        match &mut self.stuck {
            Some(stuck) if stuck.seq == segment.seq && stuck.acknowledged.is_none() => {
                stuck.last = segment.mark();
                if segment.ip_len >= stuck.largest {
                    stuck.largest = segment.ip_len;
                    stuck.sent = stuck.sent.saturating_add(1);
                }
                stuck.smallest = stuck.smallest.min(segment.ip_len);
            }
            _ => {
                self.stuck = Some(Box::new(Stuck {
                    seq: segment.seq,
                    largest: segment.ip_len,
                    smallest: segment.ip_len,
                    sent: 2,
                    first: segment.mark(),
                    last: segment.mark(),
                    heard: self.sacked || self.repeats > 0,
                    acknowledged: None,
                }));
            }
        }
    }

    /// Whether nothing was skipped, sent again, damaged or named by a SACK.
    pub(crate) fn is_undisturbed(&self) -> bool {
        self.gaps.is_empty()
            && self.stuck.is_none()
            && !self.sacked
            && self.inspection.found_nothing()
    }

    /// Something came from the other side: `own` has been heard of.
    pub(crate) fn heard(&mut self, own: &mut TcpEndpoint) {
        if let Some(stuck) = &mut self.stuck {
            stuck.heard = true;
        }
        if let Some(trouble) = own.delivery.trouble.as_deref_mut() {
            trouble.unanswered = Run::default();
            trouble.unanswered_keep_alives = Run::default();
            trouble.unanswered_window_probes = Run::default();
        }
    }

    /// Takes in an acknowledgement of `own`'s bytes by the other side, which moved on if `progress`.
    pub(crate) fn acknowledge(&mut self, own: &mut TcpEndpoint, segment: &Segment, progress: bool) {
        let ack = segment.ack;
        self.sacked = false;
        if !segment.options.sack.as_slice().is_empty() {
            self.acknowledge_selectively(own, segment);
        }
        if !progress {
            self.repeats = self
                .repeats
                .saturating_add(u32::from(segment.seq_len() == 0));
            self.note_hole(own, segment);
            return;
        }
        self.repeats = 0;
        if let Some((end, sent)) = self.timed
            && !ack.is_before(end)
        {
            own.delivery.round_trip.add(segment.time.since(sent));
            self.timed = None;
        }
        if let Some((end, len)) = self.larger
            && !ack.is_before(end)
        {
            own.delivery.largest_delivered = own.delivery.largest_delivered.max(len);
            self.larger = None;
        }
        self.settle_stuck(own, segment);
    }

    /// Takes in the blocks of a SACK, those aside that name bytes that were never sent.
    fn acknowledge_selectively(&mut self, own: &mut TcpEndpoint, segment: &Segment) {
        let mut sane = SackBlocks::default();
        for (left, right) in segment.options.sack.as_slice() {
            if !self.watch.is_mangled(own, segment, (*left, *right)) {
                sane.push(*left, *right);
            }
        }
        let blocks = sane.as_slice();
        for (left, right) in blocks {
            self.settle_sacked(own, *left, *right);
        }
        if let Some((left, right)) = blocks.first() {
            let inside = blocks
                .get(1)
                .is_some_and(|(from, to)| !left.is_before(*from) && !right.is_after(*to));
            if left.is_before(segment.ack) || inside {
                let trouble = own.trouble_mut();
                trouble.reported_duplicates = trouble.reported_duplicates.saturating_add(1);
            }
        }
        self.sacked = blocks.iter().any(|(left, _)| left.is_after(segment.ack));
    }

    /// The other side has the bytes from `left` to `right`, whatever is missing before them.
    fn settle_sacked(&mut self, own: &mut TcpEndpoint, left: Seq, right: Seq) {
        for (end, len) in &self.latest {
            if *len > 0 && end.is_after(left) && !end.is_after(right) {
                let largest = &mut own.delivery.largest_delivered;
                *largest = (*largest).max(*len);
            }
        }
    }

    fn settle_stuck(&mut self, own: &mut TcpEndpoint, segment: &Segment) {
        let past = |stuck: &mut Box<Stuck>| segment.ack.is_after(stuck.seq);
        if let Some(mut stuck) = self.stuck.take_if(past) {
            stuck.acknowledged = Some(segment.mark());
            keep_worst(own, *stuck);
        }
    }

    /// The other side asks again for the byte at a hole's beginning.
    fn note_hole(&mut self, own: &mut TcpEndpoint, segment: &Segment) {
        let Some((opened, len)) = self.gaps.at(segment.ack) else {
            return;
        };
        let mark = segment.mark();
        let trouble = own.trouble_mut();
        match &mut trouble.hole {
            Some(hole) if hole.seq == segment.ack => {
                hole.asked = hole.asked.saturating_add(1);
                hole.last_asked = mark;
                hole.len = len;
            }
            _ => {
                trouble.hole = Some(Hole {
                    seq: segment.ack,
                    len,
                    since: opened,
                    asked: 1,
                    last_asked: mark,
                });
            }
        }
    }

    /// As before the first segment, but for what the handshake showed.
    pub(crate) fn start_over(&mut self) {
        *self = Flight {
            whole_round_trip: self.whole_round_trip,
            far_round_trip: self.far_round_trip,
            ..Flight::default()
        };
    }

    /// The connection is over: what is still open is settled.
    pub(crate) fn finish(&mut self, own: &mut TcpEndpoint) {
        if let Some(stuck) = self.stuck.take() {
            keep_worst(own, *stuck);
        }
        if let Some(signs) = self.watch.finish() {
            own.delivery.signs = Some(signs);
        }
        if let Some(damage) = self.inspection.finish() {
            own.delivery.damage = Some(damage);
        }
        let gaps = &self.gaps;
        if let Some(trouble) = own.delivery.trouble.as_deref_mut() {
            trouble.hole = trouble.hole.filter(|hole| gaps.at(hole.seq).is_some());
        }
    }
}

/// A byte or none just below the next one: a keep-alive after idleness, or a probe of a closed window; or one byte at the
/// edge of a closed window.
fn is_probe(
    own: &TcpEndpoint,
    peer: &TcpEndpoint,
    [last, _]: [Option<&Mark>; 2],
    segment: &Segment,
    ahead: i32,
) -> bool {
    if segment.payload_len > 1 || segment.is_fin() || segment.is_syn() {
        return false;
    }
    let closed = peer.window == 0 && peer.acknowledged.is_some();
    if closed && (ahead == -1 || (ahead == 0 && segment.payload_len == 1)) {
        return true;
    }
    let idle = last.is_none_or(|last| segment.time.since(last.time) >= KEEP_ALIVE_IDLE);
    let acknowledged = own.next.is_some() && own.next == peer.acknowledged;
    ahead == -1 && idle && acknowledged
}

fn keep_worst(own: &mut TcpEndpoint, stuck: Stuck) {
    let trouble = own.trouble_mut();
    let worse = trouble.stuck.is_none_or(|worst| {
        (stuck.acknowledged.is_none(), stuck.sent) > (worst.acknowledged.is_none(), worst.sent)
    });
    if worse {
        trouble.stuck = Some(stuck);
    }
}

fn keep(frames: &mut Vec<u64>, frame: u64) {
    if frames.len() < FRAMES {
        frames.push(frame);
    }
}
