//! The segments of a connection that went well to its end, which are known to be in line when its facts are gathered.

use super::{Tracked, count};
use crate::Side;
use crate::delivery::Sent;
use crate::segment::Segment;

impl Tracked {
    /// Takes in a segment behind the SYN as [`Tracked::observe`] would, but for its bytes, which are read elsewhere. It is no copy, came
    /// undamaged and without a pause, and is the next in line: a SYN-ACK, an ACK of it, bytes or an acknowledgement in order, a FIN
    /// without payload.
    pub(crate) fn observe_in_line(&mut self, from: Side, segment: &Segment, payload: &[u8]) {
        self.connection.last = segment.mark();
        if segment.is_fin() {
            self.note_quiet_before_close(from, segment);
        }
        if segment.is_syn() || segment.is_fin() {
            self.connection.zeek.observe(from, segment, false);
        } else {
            self.connection.zeek.observe_expected(from, segment);
        }
        self.connection.note_outgoing(from, segment.outgoing);
        count(self.connection.side_mut(from), segment);
        if segment.is_syn() {
            self.observe_syn(from, segment);
            self.remember(from, segment, payload);
            return;
        }
        if self.connection.tcp.handshake.ack.is_none() {
            self.observe_state(from, segment);
        }
        if segment.payload_len > 0 {
            self.note_last_words(from, segment, payload);
            let (flight, own, peer) = self.flight(from);
            own.next = Some(segment.seq_end());
            flight.start(own, peer, segment);
            self.observe_exchange(from, segment, Sent::New);
        } else if segment.is_fin() {
            self.connection.side_mut(from).tcp.next = Some(segment.seq_end());
        }
        self.observe_ack(from, segment, 0);
        self.observe_window(from, segment);
        if segment.is_fin() {
            self.observe_fin(from, segment);
        }
        self.remember(from, segment, payload);
    }
}
