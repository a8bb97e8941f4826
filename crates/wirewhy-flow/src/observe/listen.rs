//! Payload on its way to the conversation.

use wirewhy_packet::Seq;
use wirewhy_protocol::{
    CaptureContext, Role, begins_with_dns, begins_with_records, begins_with_request, server_name,
};

use super::Tracked;
use crate::Side;
use crate::segment::Segment;

/// The port of DNS.
const DNS: u16 = 53;

impl Tracked {
    /// Hands payload and ends of streams to the conversation, as offsets in the bytes a side sends.
    pub(super) fn listen(
        &mut self,
        from: Side,
        segment: &Segment,
        payload: &[u8],
        context: &mut CaptureContext,
    ) {
        let carries = segment.payload_len > 0 || segment.is_fin();
        if segment.is_rst() || !carries || !self.scratch.conversation.wants() {
            return;
        }
        let first = segment.seq.advance(u32::from(segment.is_syn()));
        self.join_at_request(from, segment, payload);
        let Some(at) = self.offset(from, first, payload) else {
            return;
        };
        let (len, frame, time) = (segment.payload_len, segment.frame, segment.time);
        if from == Side::Client && at == 0 && self.connection.server_name.is_none() {
            self.connection.server_name = server_name(payload);
        }
        let end = at.saturating_add(u64::from(len));
        let conversation = &mut self.scratch.conversation;
        let mut is_read = match from {
            _ if len == 0 => false,
            Side::Client => conversation.client_data(at, payload, len, frame, time, context),
            Side::Server => conversation.server_data(at, payload, len, frame, time, context),
        };
        if segment.is_fin() {
            match from {
                Side::Client => conversation.client_closed(end, context),
                Side::Server => conversation.server_closed(end, context),
            }
            is_read = true;
        }
        if is_read {
            self.scratch.scale.add(len);
        }
        if is_read && !self.scratch.conversation.wants() {
            self.scratch.scale.free();
            self.settle_app();
        }
    }

    /// HTTP/1 that was joined in its middle begins anew with a request of a client that has acknowledged all that was seen of the
    /// server, and was not speaking already: what the server sends next is the answer.
    fn join_at_request(&mut self, from: Side, segment: &Segment, payload: &[u8]) {
        let [client, server] = &mut self.scratch.stream_offsets;
        if client.is_some() || server.is_some() || segment.payload_len == 0 {
            return;
        }
        let went_on = std::mem::replace(&mut self.scratch.client_speaks, from == Side::Client);
        let [own, peer] = [&self.connection.client.tcp, &self.connection.server.tcp];
        let joined_late = own.isn.is_none() && peer.isn.is_none();
        if joined_late
            && from == Side::Client
            && !went_on
            && segment.has_ack()
            && peer.next.is_none_or(|next| next == segment.ack)
            && begins_with_request(payload)
        {
            *client = Some((segment.seq, 0));
            *server = Some((segment.ack, 0));
        }
    }

    /// How many bytes of a side's stream come before a sequence number; `None` where its beginning was not seen.
    ///
    /// Of a stream joined in its middle TLS and DNS can be read: it begins with the first segment that begins with a
    /// record, or that is whole messages. HTTP/1 can, too: see [`Tracked::join_at_request`].
    fn offset(&mut self, side: Side, seq: Seq, payload: &[u8]) -> Option<u64> {
        let own = self.connection.side(side);
        let (isn, next) = (own.tcp.isn, own.tcp.next?);
        let role = match side {
            Side::Client => Role::Client,
            Side::Server => Role::Server,
        };
        let is_dns = || self.connection.server.port == DNS && begins_with_dns(role, payload);
        let [client, server] = &mut self.scratch.stream_offsets;
        let place = if side == Side::Client { client } else { server };
        let (at, offset) = match (place, isn) {
            (Some(place), _) => place,
            (place @ None, Some(isn)) => place.insert((isn.advance(1), 0)),
            (place @ None, None) if begins_with_records(payload) => place.insert((seq, 0)),
            (place @ None, None) if is_dns() => place.insert((seq, 0)),
            (None, None) => return None,
        };
        *offset = offset.saturating_add_signed(i64::from(next.distance_from(*at)));
        *at = next;
        offset.checked_add_signed(i64::from(seq.distance_from(next)))
    }
}
