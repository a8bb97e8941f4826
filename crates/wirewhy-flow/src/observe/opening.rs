//! SYNs and their answers.

use wirewhy_packet::{Seq, TcpFlags};
use wirewhy_protocol::{HandshakeType, hello_of};

use super::{Tracked, answers_syn, count, offer};
use crate::segment::Segment;
use crate::{Asked, Connection, EndpointState, EventKind, Roles, Side, TcpEndpoint};

impl TcpEndpoint {
    /// Its sequence space starts with this segment.
    fn open(&mut self, segment: &Segment) {
        self.isn = Some(segment.seq);
        self.offer = offer(segment);
        self.next = Some(segment.seq_end());
        self.acknowledged = None;
    }
}

impl Connection {
    /// Takes in the SYN that begins it, as [`Tracked::observe`] would, where it is plain ([`Segment::is_plain_syn`]).
    pub(crate) fn begin_with_syn(&mut self, segment: &Segment) {
        let from = Side::Client;
        self.zeek.observe(from, segment, false);
        self.note_outgoing(from, segment.outgoing);
        count(&mut self.client, segment);
        let own = &mut self.client.tcp;
        own.open(segment);
        own.window = u32::from(segment.window);
        own.max_window = own.window;
        own.state = EndpointState::SynSent;
        self.note_syn(from, segment);
        self.client.last = Some(segment.mark());
    }

    /// Takes in a SYN without ACK.
    fn note_syn(&mut self, from: Side, segment: &Segment) {
        let kind = EventKind::Syn {
            seq: segment.seq,
            timestamp: segment
                .options
                .timestamps
                .map(|timestamps| timestamps.value),
            asks: Asked {
                ecn: segment.flags.has(TcpFlags::ECE),
                fast_open: segment.options.fast_open,
                payload: segment.payload_len > 0,
            },
        };
        self.record(segment, from, kind);
        if from == Side::Server {
            if self.client.tcp.state == EndpointState::SynSent {
                self.roles = Roles::Simultaneous;
            }
            return;
        }
        let handshake = &mut self.tcp.handshake;
        handshake.syns = handshake.syns.saturating_add(1);
        handshake.first_syn.get_or_insert(segment.mark());
        handshake.last_syn = Some(segment.mark());
        if segment.payload_len > 0 {
            self.client.first_payload.get_or_insert(segment.mark());
        }
    }
}

impl Tracked {
    pub(super) fn observe_syn(&mut self, from: Side, segment: &Segment) {
        let acknowledges = segment.has_ack();
        let (own, peer) = self.connection.tcp_mut(from);
        let acceptable = acknowledges
            && peer
                .next
                .is_none_or(|next| answers_syn(peer, next, segment));
        // The client takes the first SYN-ACK that answers it; one with another number comes from elsewhere, unless the
        // next ACK says otherwise.
        let answered = own.isn.is_some_and(|isn| isn != segment.seq) && own.acknowledged.is_some();
        if acknowledges && answered {
            if acceptable && self.connection.tcp.handshake.ack.is_none() {
                self.scratch.other_syn_ack = Some(Box::new(*segment));
            }
            self.observe_syn_ack(from, segment, acceptable);
            return;
        }
        if own.isn != Some(segment.seq) {
            own.open(segment);
        }
        own.window = u32::from(segment.window);
        own.max_window = own.max_window.max(own.window);
        let opening = matches!(
            own.state,
            EndpointState::Silent
                | EndpointState::SynSent
                | EndpointState::Reset
                | EndpointState::JoinedLate
        );
        if opening {
            own.state = if acknowledges {
                EndpointState::SynReceived
            } else {
                EndpointState::SynSent
            };
        }
        if acceptable {
            own.acknowledged = Some(segment.ack);
            let flight = self.flight(from.other()).0;
            flight.watch.accepted(segment);
            flight.inspection.acknowledged(segment.ack);
        }
        let (own, _) = self.connection.tcp_mut(from);
        if acceptable && segment.window == 0 {
            own.trouble_mut().window.advertise(true, segment.mark());
        }
        if acknowledges {
            self.observe_syn_ack(from, segment, acceptable);
        } else {
            self.connection.note_syn(from, segment);
        }
    }

    /// Two SYN-ACKs with different numbers answered the SYN: the client's first ACK says which one it took.
    pub(super) fn settle_rival(&mut self, segment: &Segment) {
        let Some(other_syn_ack) = self.scratch.other_syn_ack.take() else {
            return;
        };
        let server = &mut self.connection.server;
        let beyond = |isn: Seq| u32::try_from(segment.ack.distance_from(isn)).unwrap_or(u32::MAX);
        if server
            .tcp
            .isn
            .is_none_or(|isn| beyond(other_syn_ack.seq) < beyond(isn))
        {
            server.tcp.open(&other_syn_ack);
            server.tcp.acknowledged = Some(other_syn_ack.ack);
            server.tcp.window = u32::from(other_syn_ack.window);
            server.tcp.max_window = server.tcp.window;
        }
    }

    fn observe_syn_ack(&mut self, from: Side, segment: &Segment, acceptable: bool) {
        let kind = EventKind::SynAck {
            seq: segment.seq,
            ack: segment.ack,
            acceptable,
        };
        self.connection.record(segment, from, kind);
        if self.connection.roles == Roles::Simultaneous {
            self.complete_simultaneous(from, segment);
        }
        if from == Side::Client {
            return;
        }
        let handshake = &mut self.connection.tcp.handshake;
        handshake.syn_acks = handshake.syn_acks.saturating_add(1);
        if !acceptable {
            return;
        }
        if handshake.syn_ack.is_none() {
            handshake.syn_ack = Some(segment.mark());
            handshake.answered_syn = handshake.last_syn;
        }
        handshake.last_syn_ack = Some(segment.mark());
        if handshake.ack.is_some() {
            handshake.syn_acks_after_ack = handshake.syn_acks_after_ack.saturating_add(1);
        }
    }

    /// RFC 9293 section 3.5, figure 7: each side's SYN-ACK acknowledges the other's SYN.
    fn complete_simultaneous(&mut self, from: Side, segment: &Segment) {
        let (own, peer) = self.connection.tcp_mut(from);
        peer.state = EndpointState::Established;
        if own.state == EndpointState::SynSent {
            own.state = EndpointState::SynReceived;
        }
        if from == Side::Client {
            self.connection
                .tcp
                .handshake
                .ack
                .get_or_insert(segment.mark());
        }
    }

    /// A SYN-ACK, a SYN or a hello of TLS shows who opened; where the connection was joined without it, the guess is mended.
    /// Returns the side the segment comes from after that.
    pub(super) fn learn_roles(&mut self, from: Side, segment: &Segment, payload: &[u8]) -> Side {
        if segment.is_rst() || self.connection.roles.are_known() {
            return from;
        }
        if !segment.is_syn() {
            return self.learn_from_hello(from, payload);
        }
        let opener = if segment.has_ack() {
            from.other()
        } else {
            from
        };
        self.connection.roles = if segment.has_ack() {
            Roles::SynAck
        } else {
            Roles::Syn
        };
        if opener == Side::Client {
            return from;
        }
        self.flip();
        from.other()
    }

    fn learn_from_hello(&mut self, from: Side, payload: &[u8]) -> Side {
        if self.connection.roles == Roles::Hello {
            return from;
        }
        let sender = match hello_of(payload) {
            Some(HandshakeType::CLIENT_HELLO) => Side::Client,
            Some(_) => Side::Server,
            None => return from,
        };
        self.connection.roles = Roles::Hello;
        if sender != from {
            self.flip();
        }
        sender
    }
}
