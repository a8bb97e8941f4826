//! Segments whose numbers lie out of reach of the connection: forged, or left over from another one. They move nothing.
//!
//! A capture that missed more than a window looks the same at first. It is believed once two segments agree: where bytes
//! go on right behind a stray segment, or where the other side's numbers fit it.

use wirewhy_packet::Seq;

use super::{Recorded, Tracked};
use crate::segment::Segment;
use crate::{Connection, EventKind, Side};

/// A segment out of reach, until another one agrees with it or its side goes on as before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stray {
    seq: Seq,
    end: Seq,
    ack: Option<Seq>,
}

wirewhy_protocol::compact!(Stray { seq, end, ack });

/// How far beyond the window a number may lie: windows shrink, probes overshoot, captures drop frames.
const SLACK: u32 = 1 << 20;

/// Which of a segment's numbers are out of reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Misfit {
    seq: bool,
    ack: bool,
}

impl Tracked {
    /// Whether a segment must not move the state. Where it proves that the capture missed a part, the state is moved to
    /// where the connection goes on, and the segment belongs to it.
    pub(super) fn is_stray(&mut self, from: Side, segment: &Segment) -> bool {
        if segment.is_syn() || segment.is_rst() || self.is_unrelated_ack(from, segment) {
            return false;
        }
        let misfit = misfit(&self.connection, from, segment);
        if misfit.seq && self.is_of_earlier(from, segment) {
            return true;
        }
        let [client, server] = &mut self.scratch.strays;
        let (own, peer) = match from {
            Side::Client => (client, server),
            Side::Server => (server, client),
        };
        if !misfit.seq && !misfit.ack {
            *own = None;
            return false;
        }
        let continues = own.is_some_and(|stray| stray.continues(segment, misfit));
        let fits = peer.is_some_and(|stray| stray.fits(segment));
        if continues || fits {
            let strays = (own.take(), peer.take());
            self.rejoin(from, segment, misfit, strays);
            return false;
        }
        *own = Some(Stray {
            seq: segment.seq,
            end: segment.seq_end(),
            ack: segment.has_ack().then_some(segment.ack),
        });
        true
    }

    /// Whether it belongs to the connection on the same addresses and ports that this one's SYN cut into.
    fn is_of_earlier(&mut self, from: Side, segment: &Segment) -> bool {
        let collision = self.connection.collision.as_deref_mut();
        let Some(collision) = collision.filter(|found| found.is_of_earlier(from, segment)) else {
            return false;
        };
        collision.continues.get_or_insert(segment.mark());
        true
    }

    /// Counts a stray segment. A reset may answer it, so what it acknowledges is remembered.
    pub(super) fn observe_stray(&mut self, from: Side, segment: &Segment) -> Recorded {
        self.connection.zeek.observe(from, segment, false);
        let side = self.connection.side_mut(from);
        side.counts.packets += 1;
        side.counts.bytes += u64::from(segment.wire_len);
        side.tcp.counts.stray = side.tcp.counts.stray.saturating_add(1);
        side.last = Some(segment.mark());
        side.tcp.last_ack = segment.has_ack().then_some(segment.ack);
        Recorded {
            is_cut: segment.captured_len < segment.payload_len,
            ..Recorded::default()
        }
    }

    /// The capture missed a part, and the connection goes on from here.
    fn rejoin(
        &mut self,
        from: Side,
        segment: &Segment,
        misfit: Misfit,
        (own, peer): (Option<Stray>, Option<Stray>),
    ) {
        if misfit.seq {
            let seen = own.filter(|stray| stray.end == segment.seq);
            let first = seen.map_or(segment.seq, |stray| stray.seq);
            self.skip_to(from, segment, first, segment.seq);
        }
        if misfit.ack {
            let seen = peer.filter(|stray| stray.end == segment.ack);
            let first = seen.map_or(segment.ack, |stray| stray.seq);
            self.skip_to(from.other(), segment, first, segment.ack);
            self.connection.side_mut(from).tcp.acknowledged = None;
        }
    }

    /// Nothing is known of what `side` sent before `first`; from there on its bytes were seen up to `next`.
    fn skip_to(&mut self, side: Side, segment: &Segment, first: Seq, next: Seq) {
        let (flight, own, _) = self.flight(side);
        flight.finish(own);
        flight.start_over();
        let known = own.next.replace(next);
        let missed = known.and_then(|known| u32::try_from(first.distance_from(known)).ok());
        let Some(bytes) = missed.filter(|bytes| *bytes > 0) else {
            return;
        };
        own.counts.unseen_bytes = own.counts.unseen_bytes.saturating_add(u64::from(bytes));
        self.connection
            .record(segment, side, EventKind::Unseen { bytes });
    }
}

impl Stray {
    /// Whether a segment of the same side goes on where this one ended, in bytes or in what it acknowledges.
    fn continues(&self, segment: &Segment, misfit: Misfit) -> bool {
        let sent = self.end != self.seq && segment.seq == self.end && segment.payload_len > 0;
        let acknowledged = self.ack.is_some_and(|ack| {
            let further = segment.ack.distance_from(ack);
            segment.has_ack() && u32::try_from(further).is_ok_and(|by| by > 0 && by <= SLACK)
        });
        if misfit.seq { sent } else { acknowledged }
    }

    /// Whether a segment of the other side acknowledges this one, or is the one this one acknowledges.
    fn fits(&self, segment: &Segment) -> bool {
        let acknowledged =
            segment.has_ack() && segment.ack.is_after(self.seq) && !segment.ack.is_after(self.end);
        acknowledged || self.ack == Some(segment.seq)
    }
}

fn misfit(connection: &Connection, from: Side, segment: &Segment) -> Misfit {
    let own = connection.side(from);
    let peer = connection.side(from.other());
    let reach = |window: u32| {
        // Without both SYNs the scale is unknown: RFC 7323 section 2.3 allows 14.
        let scaled = if own.tcp.isn.is_some() && peer.tcp.isn.is_some() {
            window
        } else {
            window.saturating_mul(1 << 14)
        };
        i64::from(scaled.max(65_535)) + i64::from(SLACK)
    };
    let seq = own.tcp.next.is_some_and(|next| {
        let ahead = i64::from(segment.seq.distance_from(next));
        let reach = reach(peer.tcp.max_window);
        ahead > reach || ahead + i64::from(segment.seq_len()) < -reach
    });
    let ack = peer.tcp.next.is_some_and(|next| {
        let ahead = i64::from(segment.ack.distance_from(next));
        segment.has_ack() && ahead > reach(own.tcp.max_window)
    });
    Misfit { seq, ack }
}
