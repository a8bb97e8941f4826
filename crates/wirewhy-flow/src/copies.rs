//! Frames the capture recorded twice: mirrored ports, both sides of a router, `any`.
//!
//! A copy is the same packet with, at most, another hop count and link header. A real retransmission carries a new IPv4
//! identification and, later than a clock tick, a new timestamp, and it follows a round trip or a timer.

use wirewhy_packet::{Interval, Timestamp};
use wirewhy_protocol::compact::{Compact, CompactReader, CompactWriter};

use crate::segment::Segment;

/// The latest packets of one side, as fingerprints.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Recent {
    prints: [u32; Recent::KEPT],
    /// When the packet of each fingerprint came.
    times: [Timestamp; Recent::KEPT],
    /// Its hop count.
    hops: [u8; Recent::KEPT],
    next: u8,
    /// A strong copy was found before, so the weaker signs may be believed.
    proven: bool,
    /// The peer has sent something since our latest packet.
    interrupted: bool,
}

/// Of packets that are too long ago for a copy to follow nothing is written.
impl Compact for Recent {
    fn write(&self, to: &mut CompactWriter) {
        let Recent {
            prints,
            times,
            hops,
            next,
            proven,
            interrupted,
        } = self;
        next.write(to);
        proven.write(to);
        interrupted.write(to);
        for ((print, time), hops) in prints.iter().zip(times).zip(hops) {
            let is_recent = time.0 != 0 && to.now().since(*time) <= FORGOTTEN;
            to.tag(is_recent.into());
            if is_recent {
                print.write(to);
                time.write(to);
                hops.write(to);
            }
        }
    }

    fn read(from: &mut CompactReader<'_>) -> Option<Recent> {
        let mut recent = Recent {
            next: u8::read(from)?,
            proven: bool::read(from)?,
            interrupted: bool::read(from)?,
            ..Recent::default()
        };
        let Recent {
            prints,
            times,
            hops,
            ..
        } = &mut recent;
        for ((print, time), hops) in prints.iter_mut().zip(times).zip(hops) {
            if bool::read(from)? {
                *print = u32::read(from)?;
                *time = Timestamp::read(from)?;
                *hops = u8::read(from)?;
            }
        }
        Some(recent)
    }
}

/// What came so long ago is not copied any more, even where frames are out of order.
const FORGOTTEN: Interval = Interval::from_millis(500);

/// A packet whose identification tells copies from retransmissions may be this late: queues between two mirrors.
const LATEST_WITH_ID: Interval = Interval::from_millis(100);

/// Without an identification only what no timer and no round trip explains counts; Linux sends no probe and no
/// retransmission sooner than this on any path with a delayed ACK, and none at all before the peer has spoken.
const LATEST_WITHOUT_ID: Interval = Interval::from_millis(5);

/// An empty ACK without identification can be a true duplicate ACK: only back to back.
const LATEST_EMPTY: Interval = Interval::from_millis(1);

impl Recent {
    const KEPT: usize = 6;

    /// Whether `segment` is a copy of a packet this side sent just before.
    pub(crate) fn is_copy(&mut self, segment: &Segment) -> bool {
        let print = segment.fingerprint();
        // Most packets are like none before.
        if self.prints.contains(&print) && self.repeats(print, segment) {
            return true;
        }
        let next = usize::from(self.next);
        if let (Some(known), Some(time), Some(hops)) = (
            self.prints.get_mut(next),
            self.times.get_mut(next),
            self.hops.get_mut(next),
        ) {
            (*known, *time, *hops) = (print, segment.time, segment.ttl);
        }
        self.next = if next + 1 < Self::KEPT {
            self.next + 1
        } else {
            0
        };
        self.interrupted = false;
        false
    }

    /// Whether a segment is a copy of a packet with its fingerprint.
    fn repeats(&mut self, print: u32, segment: &Segment) -> bool {
        let has_id = segment.ip_id.is_some_and(|id| id.id != 0);
        let takes_space = segment.seq_len() > 0;
        let latest = match (has_id, takes_space) {
            (true, _) => LATEST_WITH_ID,
            (false, true) => LATEST_WITHOUT_ID,
            (false, false) => LATEST_EMPTY,
        };
        let mut found = false;
        let mut forwarded = false;
        for ((known, time), hops) in self.prints.iter().zip(&self.times).zip(&self.hops) {
            if *known != print || time.0 == 0 {
                continue;
            }
            let age = segment.time.since(*time).abs();
            found |= age <= latest;
            // What takes space and comes again one hop farther was forwarded: a retransmission travels as far as the first.
            forwarded |= takes_space && age <= LATEST_WITH_ID && hops.abs_diff(segment.ttl) == 1;
        }
        let believed =
            has_id || (takes_space && !self.interrupted) || (self.proven && !self.interrupted);
        let is_copy = (found && believed) || forwarded;
        self.proven |= is_copy && (has_id || takes_space);
        is_copy
    }

    /// The other side has sent something new.
    pub(crate) fn interrupt(&mut self) {
        self.interrupted = true;
    }
}
