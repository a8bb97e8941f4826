//! Segments of one side that were captured with a wrong checksum, and whether the other side took them all the same.

use wirewhy_packet::{Checksum, Seq};

use crate::segment::Segment;

/// Segments of one side with a wrong checksum. Kept only where there are any.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Damage {
    /// Those that were sent again.
    pub dropped: u32,
    /// Those that were never acknowledged, and not sent again.
    pub open: u32,
    /// Those that were acknowledged: the checksum was wrong before the network card put it right, or behind one that had
    /// checked it.
    pub taken: u32,
    /// Those whose checksum covers the addresses alone.
    pub unfinished: u32,
    /// Those in a tunnel whose own checksum was wrong.
    pub in_tunnel: u32,
    /// Segments with payload or SYN whose checksum is right.
    pub right: u32,
    /// The first frames of those sent again or never acknowledged.
    pub frames: Vec<u64>,
}

wirewhy_protocol::compact!(Damage {
    dropped,
    open,
    taken,
    unfinished,
    in_tunnel,
    right,
    frames
});

/// How many example frames are kept.
const FRAMES: usize = 8;

/// How many segments are waited for at once; of more the earliest is left out.
const PENDING: usize = 16;

/// What is needed to see damage in one direction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inspection {
    right: u32,
    found: Option<Box<Found>>,
}

wirewhy_protocol::compact!(Inspection { right, found });

#[derive(Clone, Debug, Default)]
struct Found {
    pending: Vec<Pending>,
    damage: Damage,
}

wirewhy_protocol::compact!(Found { pending, damage });

/// A damaged segment that is neither acknowledged nor sent again.
#[derive(Clone, Copy, Debug)]
struct Pending {
    seq: Seq,
    end: Seq,
    frame: u64,
}

wirewhy_protocol::compact!(Pending { seq, end, frame });

impl Inspection {
    /// Whether no checksum was wrong.
    pub(crate) fn found_nothing(&self) -> bool {
        self.found.is_none()
    }

    /// The side sent a segment that takes sequence space.
    pub(crate) fn sent(&mut self, segment: &Segment) {
        let damaged = match segment.checksum {
            Checksum::Unknown => return,
            Checksum::Right => false,
            Checksum::Wrong | Checksum::Unfinished => true,
        };
        self.right = self.right.saturating_add(u32::from(!damaged));
        if !damaged && self.found.is_none() {
            return;
        }
        let Found { pending, damage } = &mut **self.found.get_or_insert_default();
        pending.retain(|earlier| {
            let again =
                segment.seq.is_before(earlier.end) && segment.seq_end().is_after(earlier.seq);
            if again {
                damage.drop(earlier.frame);
            }
            !again
        });
        if !damaged {
            return;
        }
        let unfinished = segment.checksum == Checksum::Unfinished;
        damage.unfinished = damage.unfinished.saturating_add(u32::from(unfinished));
        damage.in_tunnel = damage
            .in_tunnel
            .saturating_add(u32::from(segment.tunnel_damaged));
        if pending.len() >= PENDING {
            pending.remove(0);
        }
        pending.push(Pending {
            seq: segment.seq,
            end: segment.seq_end(),
            frame: segment.frame,
        });
    }

    /// The other side acknowledged what comes before `ack`.
    pub(crate) fn acknowledged(&mut self, ack: Seq) {
        let Some(found) = self.found.as_deref_mut() else {
            return;
        };
        let Found { pending, damage } = found;
        pending.retain(|segment| {
            let taken = !segment.end.is_after(ack);
            damage.taken = damage.taken.saturating_add(u32::from(taken));
            !taken
        });
    }

    /// The damage, where there is any.
    pub(crate) fn finish(&mut self) -> Option<Box<Damage>> {
        let Found { pending, damage } = *self.found.take()?;
        let mut damage = Box::new(damage);
        for segment in pending {
            damage.open = damage.open.saturating_add(1);
            damage.keep(segment.frame);
        }
        damage.right = self.right;
        Some(damage)
    }
}

impl Damage {
    /// What there is of it where nothing but this segment was seen.
    pub(crate) fn of_one(segment: &Segment) -> Option<Box<Damage>> {
        let mut inspection = Inspection::default();
        inspection.sent(segment);
        inspection.finish()
    }

    fn drop(&mut self, frame: u64) {
        self.dropped = self.dropped.saturating_add(1);
        self.keep(frame);
    }

    fn keep(&mut self, frame: u64) {
        if self.frames.len() < FRAMES {
            self.frames.push(frame);
        }
    }
}
