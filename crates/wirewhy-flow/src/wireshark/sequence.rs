//! The analysis of sequence numbers: which marks a segment gets, and what is remembered of it.
//!
//! The rules are those of Wireshark 4.0, faults included: a zero means "unset" even where a number wrapped to it, every
//! segment overwrites what was remembered of the one before, and time that runs backwards counts as a huge span.

use wirewhy_packet::{Seq, TcpFlags, Timestamp};

use super::Marks;

/// At most so many segments are remembered until they are acknowledged.
const MAX_UNACKED: usize = 10_000;

/// A fast retransmission follows the peer's latest packet within this span.
const FAST_NANOS: u64 = 20_000_000;

/// What counts as reordering where the round trip is not known.
const DEFAULT_ROUND_TRIP_NANOS: u64 = 3_000_000;

/// The three bits that exclude most marks.
const SFR: TcpFlags = TcpFlags::SYN.with(TcpFlags::FIN).with(TcpFlags::RST);
const SYN_OR_FIN: TcpFlags = TcpFlags::SYN.with(TcpFlags::FIN);

/// What the analysis needs to know of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) time: Timestamp,
    pub(super) seq: Seq,
    pub(super) ack: Seq,
    pub(super) flags: TcpFlags,
    pub(super) len: u32,
    pub(super) window: u32,
    /// The span from the latest SYN to the first acknowledgement; 0 where it is not known.
    pub(super) initial_round_trip: u64,
    /// MPTCP subtypes seen in the conversation before this segment.
    pub(super) mptcp: u16,
}

/// How the window field of one side is to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Scale {
    #[default]
    Unknown,
    Absent,
    Shift(u8),
}

/// What is remembered of one direction.
#[derive(Clone, Debug)]
pub(super) struct Direction {
    next: Seq,
    next_time: Timestamp,
    max_to_be_acked: Seq,
    last_ack: Seq,
    last_time: Timestamp,
    duplicate_acks: u32,
    /// As sent, never scaled.
    window: u32,
    pub(super) scale: Scale,
    /// Whether the latest SYN of this direction was not followed by an acknowledgement yet; windows of SYNs are not
    /// scaled (RFC 7323 section 2.2).
    pub(super) in_handshake: bool,
    last_marks: Marks,
    mptcp: u16,
    /// Where each segment ends that is not acknowledged yet.
    unacked: Vec<Seq>,
}

impl Default for Direction {
    fn default() -> Direction {
        Direction {
            next: Seq(0),
            next_time: Timestamp(0),
            max_to_be_acked: Seq(0),
            last_ack: Seq(0),
            last_time: Timestamp(0),
            duplicate_acks: 0,
            window: u32::MAX,
            scale: Scale::Unknown,
            in_handshake: false,
            last_marks: Marks::none(),
            mptcp: 0,
            unacked: Vec::new(),
        }
    }
}

impl Direction {
    /// A SYN with the number its direction opened with takes back what was sent beyond acknowledged limits.
    pub(super) fn reopen(&mut self) {
        self.next = self.max_to_be_acked;
    }

    /// The shift of the window field of a data segment's receiver; `None` where it is not known.
    fn shift(&self) -> Option<u8> {
        match self.scale {
            Scale::Unknown => None,
            Scale::Shift(shift) if !self.in_handshake => Some(shift),
            Scale::Shift(_) | Scale::Absent => Some(0),
        }
    }
}

/// Analyses a segment from `fwd` to `rev`. `marks` are those it has already.
pub(super) fn analyse(
    step: &Step,
    marks: Marks,
    fwd: &mut Direction,
    rev: &mut Direction,
) -> Marks {
    let mut marks = marks.with(forward_marks(step, fwd, rev));
    if step.ack != fwd.last_ack {
        fwd.duplicate_acks = 0;
    }
    if step.flags.has(TcpFlags::ACK)
        && rev.max_to_be_acked != Seq(0)
        && after(step.ack, rev.max_to_be_acked)
        && acked_lost(rev)
    {
        marks = marks.with(Marks::ACK_LOST_SEGMENT);
    }
    if (step.len > 0 || step.flags.any(SYN_OR_FIN)) && !marks.has(Marks::KEEP_ALIVE) {
        marks = marks.with(retransmission(step, fwd, rev));
    }
    remember(step, marks, fwd, rev);
    marks
}

/// The marks that come from comparing the segment with the one before it in its direction.
fn forward_marks(step: &Step, fwd: &mut Direction, rev: &Direction) -> Marks {
    let &Step {
        seq, len, window, ..
    } = step;
    if len == 1 && seq == fwd.next && rev.window == 0 {
        return Marks::ZERO_WINDOW_PROBE;
    }
    let plain = !step.flags.any(SFR);
    let mut marks = Marks::none();
    if window == 0 && plain {
        marks = marks.with(Marks::ZERO_WINDOW);
    }
    if fwd.next != Seq(0) && after(seq, fwd.next) && !step.flags.has(TcpFlags::RST) {
        marks = marks.with(Marks::LOST_SEGMENT);
    }
    if len <= 1 && seq == fwd.next.advance(u32::MAX) && plain {
        marks = marks.with(Marks::KEEP_ALIVE);
    }
    if len > 0
        && plain
        && let Some(shift) = rev.shift()
        && seq.advance(len) == rev.last_ack.advance(rev.window << shift)
    {
        marks = marks.with(Marks::WINDOW_FULL);
    }
    let repeats = len == 0 && seq == fwd.next && step.ack == fwd.last_ack && plain;
    if !repeats {
        return marks;
    }
    match (window == fwd.window, window) {
        (false, 0) => marks,
        (false, _) => marks.with(Marks::WINDOW_UPDATE),
        (true, 0) if rev.last_marks.has(Marks::ZERO_WINDOW_PROBE) => {
            marks.with(Marks::ZERO_WINDOW_PROBE_ACK)
        }
        (true, 0) => marks,
        (true, _) if rev.last_marks.has(Marks::KEEP_ALIVE) => marks.with(Marks::KEEP_ALIVE_ACK),
        // A new MPTCP signal needs an acknowledgement of its own (RFC 8684 section 4).
        (true, _) if step.mptcp != fwd.mptcp => marks,
        (true, _) => {
            fwd.duplicate_acks = match fwd.duplicate_acks {
                u32::MAX => 1,
                count => count + 1,
            };
            marks.with(Marks::DUPLICATE_ACK)
        }
    }
}

/// Moves the limit beyond which an acknowledgement is surprising, and tells whether this one is.
fn acked_lost(rev: &mut Direction) -> bool {
    if rev.max_to_be_acked.is_before(rev.next) {
        rev.max_to_be_acked = rev.next;
        return true;
    }
    let first = rev.duplicate_acks == 0;
    rev.duplicate_acks = u32::MAX;
    first
}

/// Which kind of repetition a segment with data, SYN or FIN is, if any.
fn retransmission(step: &Step, fwd: &Direction, rev: &Direction) -> Marks {
    let &Step { seq, len, time, .. } = step;
    let end = seq.advance(len);
    if len > 0 && rev.last_ack != Seq(0) && !after(end, rev.last_ack) {
        return Marks::SPURIOUS_RETRANSMISSION.with(Marks::RETRANSMISSION);
    }
    // One byte behind with more than one byte is the real data after a one-byte probe.
    let after_probe = len > 1 && seq == fwd.next.advance(u32::MAX);
    let back = fwd.next != Seq(0) && seq.is_before(fwd.next) && !after_probe;
    if !back {
        return Marks::none();
    }
    if rev.duplicate_acks >= 2 && rev.last_ack == seq && nanos(time, rev.last_time) < FAST_NANOS {
        return Marks::FAST_RETRANSMISSION.with(Marks::RETRANSMISSION);
    }
    let threshold = match step.initial_round_trip {
        0 => DEFAULT_ROUND_TRIP_NANOS,
        known => known,
    };
    let control = u32::from(step.flags.any(SYN_OR_FIN));
    if nanos(time, fwd.next_time) < threshold && fwd.next != end.advance(control) {
        return Marks::OUT_OF_ORDER;
    }
    Marks::RETRANSMISSION
}

fn remember(step: &Step, marks: Marks, fwd: &mut Direction, rev: &mut Direction) {
    let mut end = step.seq.advance(step.len);
    let takes_space = step.len > 0 || step.flags.any(SYN_OR_FIN);
    if takes_space && fwd.unacked.len() < MAX_UNACKED {
        end = end.advance(u32::from(step.flags.any(SYN_OR_FIN)));
        fwd.unacked.push(end);
    }
    if !marks.has(Marks::ZERO_WINDOW_PROBE) {
        if after(end, fwd.next) || fwd.next == Seq(0) {
            fwd.next = end;
            fwd.next_time = step.time;
        }
        if step.seq == fwd.max_to_be_acked || fwd.max_to_be_acked == Seq(0) {
            fwd.max_to_be_acked = fwd.next;
        }
    }
    fwd.window = step.window;
    fwd.last_ack = step.ack;
    fwd.last_time = step.time;
    fwd.last_marks = marks;
    fwd.mptcp = step.mptcp;
    rev.unacked.retain(|end| after(*end, step.ack));
}

/// Half the number space away counts as after as well as before.
fn after(later: Seq, earlier: Seq) -> bool {
    earlier.is_before(later)
}

/// The span between two times as an unsigned number: backwards is huge.
fn nanos(later: Timestamp, earlier: Timestamp) -> u64 {
    later.0.wrapping_sub(earlier.0).cast_unsigned()
}
