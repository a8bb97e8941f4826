//! Resets, and who goes on after one.

use wirewhy_packet::{Interval, Seq};

use super::Tracked;
use crate::segment::Segment;
use crate::{AfterReset, EndpointState, EventKind, Position, Side};

impl Tracked {
    /// A side in whose name a reset was seen goes on: remembered once, the first time.
    pub(super) fn note_after_reset(&mut self, from: Side, segment: &Segment) {
        let side = self.connection.side(from);
        let known = side.tcp.after_reset.as_deref();
        if side.tcp.counts.resets == 0 || known.is_some_and(|after| !after.overtaken) {
            return;
        }
        let latest = self
            .connection
            .events
            .iter()
            .rev()
            .find_map(|event| match &event.kind {
                EventKind::Reset(reset) if event.from == from => Some((event.mark(), **reset)),
                _ => None,
            });
        let Some((mark, reset)) = latest else { return };
        let later_by_id = reset.ip_id.zip(segment.ip_id).and_then(|(reset, own)| {
            let later = own.id.wrapping_sub(reset.id).cast_signed();
            let counted = reset.id != 0 && own.id != 0 && later.unsigned_abs() < 4_096;
            counted.then_some(later > 0)
        });
        let own_clock = segment
            .options
            .timestamps
            .map(|timestamps| timestamps.value);
        let later_by_clock = reset
            .timestamp
            .zip(own_clock)
            .map(|(reset, own)| Seq(own).is_after(Seq(reset)));
        let round_trip = self
            .connection
            .round_trip()
            .handshake
            .unwrap_or(Interval::from_millis(3));
        // On the same tick of a clock it was sent with the reset, not in spite of it. Without a sign of order, what follows within a round trip may have been on its way before the reset was sent.
        let at_once = segment.time.since(mark.time) < round_trip;
        let sent_later = later_by_clock.or(later_by_id).unwrap_or(!at_once);
        self.connection.side_mut(from).tcp.after_reset = Some(Box::new(AfterReset {
            mark: segment.mark(),
            reset: mark,
            new_data: segment.payload_len > 0 && segment.seq_end().is_after(reset.seq),
            overtaken: !sent_later,
            ttl: segment.ttl,
        }));
    }

    pub(super) fn observe_reset(&mut self, from: Side, segment: &Segment, reset: crate::Reset) {
        let side = self.connection.side_mut(from);
        side.tcp.counts.resets = side.tcp.counts.resets.saturating_add(1);
        let believed = matches!(
            reset.position,
            Position::Exact | Position::AnswersSyn | Position::Unknown
        );
        if believed {
            side.tcp.state = EndpointState::Reset;
            // It says what its sender had received; what was on the way in the other direction is lost.
            if let (Some(known), Some(ack), Some(next)) =
                (side.tcp.acknowledged, reset.ack, reset.peer_next)
                && ack.is_after(known)
                && !ack.is_after(next)
            {
                side.tcp.acknowledged = Some(ack);
            }
        }
        self.connection
            .record(segment, from, EventKind::Reset(Box::new(reset)));
    }
}
