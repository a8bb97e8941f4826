//! One segment into the state of its connection.

mod expected;
mod in_line;
mod listen;
mod opening;
mod reset;
mod resting;
mod stray;
mod weigh;

use wirewhy_packet::{Interval, Seq, TcpFlags};
use wirewhy_protocol::{AppFacts, CaptureContext, Conversation, closing_notice, is_farewell};

use self::stray::Stray;
use self::weigh::Scale;
use crate::copies::Recent;
use crate::delivery::{Flight, Sent};
use crate::resets::Pause;
use crate::segment::Segment;
use crate::{
    Connection, Endpoint, EndpointState, Event, EventKind, Mark, Offer, Side, TcpEndpoint, resets,
};

/// A connection being followed: the facts, and what is only needed to gather them. The facts have a place of their own,
/// which is handed over as it is once the connection is over.
#[derive(Clone, Debug)]
pub(crate) struct Tracked {
    pub(crate) connection: Box<Connection>,
    scratch: Box<Scratch>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch {
    /// Whether the client is the lower end of the pair (see [`crate::Pair::source_is_low`]).
    client_is_low: bool,
    recent: [Recent; 2],
    flights: [Flight; 2],
    conversation: Conversation,
    /// Of each side, how far into its stream of bytes a sequence number is.
    stream_offsets: [Option<(Seq, u64)>; 2],
    /// Whether the client sent the last bytes seen; only while it is not known how far into their streams the sides are.
    client_speaks: bool,
    pause: Option<Pause>,
    /// An acceptable SYN-ACK with another number than the one before it.
    other_syn_ack: Option<Box<Segment>>,
    strays: [Option<Stray>; 2],
    /// Whether both sides are open and nothing is out of order: see [`Tracked::observe_expected`].
    undisturbed: bool,
    /// What it takes of the memory of all connections.
    scale: Scale,
}

/// What the recording did to one segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Recorded {
    /// It is a copy of an earlier frame.
    pub(crate) is_copy: bool,
    /// The snap length cut its payload.
    pub(crate) is_cut: bool,
    /// It is larger than the peer accepts on the wire: taken from the host before its network card cut it.
    pub(crate) is_offloaded: bool,
    /// It was what an undisturbed connection expects next: nothing but its bytes and its acknowledgement moved, and it
    /// is not to be weighed.
    pub(crate) is_expected: bool,
}

impl Scratch {
    /// As before the first segment, in place.
    fn begin_anew(&mut self, client_is_low: bool) {
        let Scratch {
            client_is_low: low,
            recent,
            flights: [client, server],
            conversation,
            stream_offsets,
            client_speaks,
            pause,
            other_syn_ack,
            strays,
            undisturbed,
            scale,
        } = self;
        *low = client_is_low;
        *recent = Default::default();
        *client = Flight::default();
        *server = Flight::default();
        *conversation = Conversation::new();
        *stream_offsets = [None, None];
        *client_speaks = false;
        *pause = None;
        *other_syn_ack = None;
        *strays = [None, None];
        *undisturbed = false;
        *scale = Scale::default();
    }
}

impl Tracked {
    /// A connection of which no segment was taken in. `scratch` need not be new.
    pub(crate) fn new(
        connection: Box<Connection>,
        mut scratch: Box<Scratch>,
        client_is_low: bool,
    ) -> Tracked {
        scratch.begin_anew(client_is_low);
        Tracked {
            connection,
            scratch,
        }
    }

    /// The side that sends, where the source of a packet is the lower end of its pair (see [`crate::Pair::source_is_low`]).
    pub(crate) fn sender(&self, source_is_low: bool) -> Side {
        if source_is_low == self.scratch.client_is_low {
            Side::Client
        } else {
            Side::Server
        }
    }

    /// Whether both sides have closed, or one has reset: nothing more is due.
    pub(crate) fn is_over(&self) -> bool {
        let closed = |state| matches!(state, EndpointState::Closing { acknowledged: true });
        let (client, server) = (
            self.connection.client.tcp.state,
            self.connection.server.tcp.state,
        );
        (closed(client) && closed(server))
            || client == EndpointState::Reset
            || server == EndpointState::Reset
    }

    /// Takes in one segment.
    pub(crate) fn observe(
        &mut self,
        from: Side,
        segment: &Segment,
        payload: &[u8],
        context: &mut CaptureContext,
    ) -> Recorded {
        let from = self.learn_roles(from, segment, payload);
        let quiet = segment.time.since(self.connection.last.time);
        self.connection.last = segment.mark();
        if self.is_copy(from, segment) {
            self.connection.note_forwarded(from, segment);
            let counts = &mut self.connection.side_mut(from).counts;
            counts.duplicate_frames = counts.duplicate_frames.saturating_add(1);
            return Recorded {
                is_copy: true,
                ..Recorded::default()
            };
        }
        if quiet >= Pause::SHORTEST && !segment.is_rst() {
            self.scratch.pause = Some(Pause {
                length: quiet,
                ended: segment.time,
                by: from,
            });
        }
        // An answer to the packet behind a pause shows that nothing on the way had forgotten the connection.
        if let Some(pause) = self.scratch.pause.filter(|pause| pause.by != from)
            && !segment.is_rst()
        {
            let survived = &mut self.connection.tcp.survived_idle;
            *survived = pause.length.max(*survived);
        }
        if self.is_expected(from, segment) {
            return self.observe_expected(from, segment, payload, context);
        }
        let recorded = self.observe_any(from, segment, payload, context, quiet);
        self.scratch.undisturbed = self.disturbed_by_nothing();
        recorded
    }

    /// Takes in a segment that is no copy, whatever it is.
    fn observe_any(
        &mut self,
        from: Side,
        segment: &Segment,
        payload: &[u8],
        context: &mut CaptureContext,
        quiet: Interval,
    ) -> Recorded {
        let pause = if quiet >= Pause::SHORTEST {
            Some(Pause {
                length: quiet,
                ended: segment.time,
                by: from,
            })
        } else {
            self.scratch.pause
        };
        let reset = segment
            .is_rst()
            .then(|| resets::describe(&self.connection, from, segment, pause));
        if from == Side::Client && segment.has_ack() && reset.is_none() {
            self.settle_rival(segment);
        }
        if self.is_stray(from, segment) {
            return self.observe_stray(from, segment);
        }
        if segment.is_fin() {
            self.note_quiet_before_close(from, segment);
        }
        if segment.seq_len() > 0 && reset.is_none() {
            self.flight(from).0.inspection.sent(segment);
        }
        let gap = self.reveals_gap(from, segment);
        self.connection.zeek.observe(from, segment, gap > 0);
        self.connection.note_outgoing(from, segment.outgoing);
        count(self.connection.side_mut(from), segment);
        self.note_last_words(from, segment, payload);
        let (flight, peer, _) = self.flight(from.other());
        flight.heard(peer);
        if reset.is_none() {
            self.note_after_reset(from, segment);
        }
        if let Some(reset) = reset {
            self.observe_reset(from, segment, reset);
        } else if segment.is_syn() {
            self.observe_syn(from, segment);
        } else {
            self.observe_ordinary(from, segment, gap);
        }
        self.conclude(from, segment, payload, context)
    }

    fn note_quiet_before_close(&mut self, from: Side, fin: &Segment) {
        let silent = self.connection.side(from).silent_for(fin.time);
        let exchange = &mut self.connection.tcp.exchange;
        exchange.quiet_before_close = exchange.quiet_before_close.or(silent);
    }

    /// Whether the payload is a message with which a side leaves.
    fn note_last_words(&mut self, from: Side, segment: &Segment, payload: &[u8]) {
        if segment.payload_len == 0 {
            return;
        }
        self.connection.side_mut(from).sent_farewell =
            segment.captured_len == segment.payload_len && is_farewell(payload);
        if from == Side::Server {
            let notice = closing_notice(payload, segment.frame, segment.time);
            self.connection.notice = notice.map(Box::new);
        }
    }

    /// Reads the payload, and remembers the segment as the latest of its side.
    fn conclude(
        &mut self,
        from: Side,
        segment: &Segment,
        payload: &[u8],
        context: &mut CaptureContext,
    ) -> Recorded {
        self.listen(from, segment, payload, context);
        self.remember(from, segment, payload);
        let mss = self.connection.side(from.other()).tcp.offer.mss;
        Recorded {
            is_cut: segment.captured_len < segment.payload_len,
            is_offloaded: segment.len_from_frame
                || mss.is_some_and(|mss| segment.payload_len > u32::from(mss)),
            ..Recorded::default()
        }
    }

    /// Remembers a segment as the latest of its side.
    fn remember(&mut self, from: Side, segment: &Segment, payload: &[u8]) {
        let side = self.connection.side_mut(from);
        side.last = Some(segment.mark());
        side.tcp.last_ack = segment.has_ack().then_some(segment.ack);
        if segment.payload_len > 0 {
            side.last_payload_len = segment.payload_len;
        }
        // A plaintext alert record of two bytes, the first of which is "fatal" (RFC 8446 section 6).
        if let [21, 3, _, 0, 2, 2, ..] = payload {
            side.tcp.alert.get_or_insert(segment.mark());
        }
    }

    fn is_copy(&mut self, from: Side, segment: &Segment) -> bool {
        let [client, server] = &mut self.scratch.recent;
        let (own, peer) = match from {
            Side::Client => (client, server),
            Side::Server => (server, client),
        };
        let copy = own.is_copy(segment);
        if !copy {
            peer.interrupt();
        }
        copy
    }

    /// What is needed to interpret the bytes of one side.
    fn flight(&mut self, side: Side) -> (&mut Flight, &mut TcpEndpoint, &mut TcpEndpoint) {
        let [client, server] = &mut self.scratch.flights;
        let flight = if side == Side::Client { client } else { server };
        let (own, peer) = self.connection.tcp_mut(side);
        (flight, own, peer)
    }

    /// How many bytes of the other side the segment acknowledges although the capture never saw them.
    fn reveals_gap(&mut self, from: Side, segment: &Segment) -> u32 {
        let peer = self.connection.side(from.other());
        if !segment.has_ack() || segment.is_syn() || segment.is_rst() {
            return 0;
        }
        let Some(next) = peer.tcp.next else { return 0 };
        let beyond = u32::try_from(segment.ack.distance_from(next)).unwrap_or(0);
        let window = self.connection.side(from).tcp.max_window;
        // Farther than the sender's own window allows is no acknowledgement but another connection's number.
        if beyond > window.max(65_535) {
            return 0;
        }
        let ack = segment.ack;
        let missing = self.flight(from.other()).0.gaps.acknowledge(ack);
        missing.saturating_add(beyond)
    }

    /// Whether the bytes still to come can change the application facts.
    pub(crate) fn listens(&self) -> bool {
        let conversation = &self.scratch.conversation;
        conversation.has_begun() && conversation.wants()
    }

    /// A copy to be handed over while this one continues. The application facts are in it already; the conversation they
    /// are read from is not copied, and may be large.
    pub(crate) fn snapshot(&self) -> Tracked {
        let mut connection = self.connection.clone();
        connection.app = self.app();
        let scratch = &self.scratch;
        Tracked {
            connection,
            scratch: Box::new(Scratch {
                client_is_low: scratch.client_is_low,
                recent: scratch.recent,
                flights: scratch.flights.clone(),
                conversation: Conversation::new(),
                stream_offsets: scratch.stream_offsets,
                client_speaks: scratch.client_speaks,
                pause: scratch.pause,
                other_syn_ack: scratch.other_syn_ack.clone(),
                strays: scratch.strays,
                undisturbed: scratch.undisturbed,
                scale: Scale::default(),
            }),
        }
    }

    fn app(&self) -> Option<Box<AppFacts>> {
        let conversation = &self.scratch.conversation;
        if !conversation.wants() {
            return self.connection.app.clone();
        }
        let begun = conversation.has_begun();
        begun.then(|| Box::new(conversation.facts()))
    }

    /// The connection is over: what is still open is settled.
    pub(crate) fn finish(mut self) -> (Box<Connection>, Box<Scratch>) {
        for side in [Side::Client, Side::Server] {
            let (flight, own, _) = self.flight(side);
            flight.finish(own);
        }
        self.settle_app();
        (self.connection, self.scratch)
    }

    /// No more application bytes follow, or can change anything: takes the facts, and frees what they were read from.
    fn settle_app(&mut self) {
        if let Some(app) = self.scratch.conversation.finish() {
            self.connection.app = Some(app);
        }
    }

    /// Swaps the sides: who was taken for the client is the server.
    pub(crate) fn flip(&mut self) {
        let scratch = &mut self.scratch;
        scratch.client_is_low = !scratch.client_is_low;
        scratch.recent.reverse();
        scratch.flights.reverse();
        // What was read so far was read as the other side's.
        scratch.stream_offsets = [None, None];
        scratch.conversation = Conversation::new();
        self.connection.app = None;
        scratch.strays.reverse();
        self.connection.flip();
    }

    fn observe_ordinary(&mut self, from: Side, segment: &Segment, unseen: u32) {
        if self.is_unrelated_ack(from, segment) {
            let kind = EventKind::UnrelatedAck {
                seq: segment.seq,
                ack: segment.ack,
                empty: segment.seq_len() == 0,
            };
            self.connection.record(segment, from, kind);
            return;
        }
        self.observe_state(from, segment);
        self.observe_sequence(from, segment);
        if segment.has_ack() {
            self.observe_ack(from, segment, unseen);
        }
        self.observe_window(from, segment);
        if segment.is_fin() {
            self.observe_fin(from, segment);
        }
    }

    /// RFC 9293 section 3.10.7.4 and RFC 5961 section 4: a host that still holds an older connection on these ports
    /// answers a SYN with an ACK of its own numbers.
    fn is_unrelated_ack(&self, from: Side, segment: &Segment) -> bool {
        let own = self.connection.side(from);
        let peer = self.connection.side(from.other());
        let awaiting = peer.tcp.state == EndpointState::SynSent
            && own.tcp.isn.is_none()
            && self.connection.tcp.handshake.ack.is_none();
        awaiting
            && segment.has_ack()
            && !peer
                .tcp
                .next
                .is_some_and(|next| answers_syn(&peer.tcp, next, segment))
    }

    fn observe_state(&mut self, from: Side, segment: &Segment) {
        let (own, peer) = self.connection.tcp_mut(from);
        match own.state {
            EndpointState::Silent if peer.state == EndpointState::SynSent => {
                // The SYN-ACK was not captured, but this segment acknowledges the SYN.
                own.state = EndpointState::Established;
                peer.state = EndpointState::Established;
            }
            EndpointState::Silent if peer.state == EndpointState::SynReceived => {
                own.state = EndpointState::Established;
            }
            EndpointState::Silent => own.state = EndpointState::JoinedLate,
            EndpointState::SynSent if segment.has_ack() => own.state = EndpointState::Established,
            EndpointState::SynReceived if peer.state == EndpointState::Established => {
                own.state = EndpointState::Established;
            }
            _ => {}
        }
        if from == Side::Client && segment.has_ack() {
            let opened = &self.connection.tcp.handshake;
            let acknowledges = self
                .connection
                .server
                .tcp
                .isn
                .is_none_or(|isn| segment.ack.is_after(isn));
            if opened.ack.is_none() && opened.syns + opened.syn_acks > 0 && acknowledges {
                self.connection.tcp.handshake.ack = Some(segment.mark());
                let round_trip = self.connection.round_trip();
                let far = [round_trip.to_server, round_trip.to_client];
                for (flight, far) in self.scratch.flights.iter_mut().zip(far) {
                    flight.whole_round_trip = round_trip.handshake;
                    flight.far_round_trip = far.unwrap_or(Interval::ZERO);
                }
                self.connection
                    .record(segment, from, EventKind::HandshakeAck);
            } else if opened.syn_acks_after_ack > 0 && segment.seq_len() == 0 {
                self.connection
                    .record(segment, from, EventKind::HandshakeAckRepeated);
            }
        }
    }

    fn observe_sequence(&mut self, from: Side, segment: &Segment) {
        let [client, server] = &mut self.scratch.flights;
        let flight = if from == Side::Client { client } else { server };
        let (sender, receiver) = self.connection.split_mut(from);
        let latest = [sender.last.as_ref(), receiver.last.as_ref()];
        let (own, peer) = (&mut sender.tcp, &receiver.tcp);
        let below = own
            .next
            .is_some_and(|next| segment.seq.distance_from(next) == -1);
        if segment.seq_len() == 0 && !below {
            own.next.get_or_insert(segment.seq);
            return;
        }
        let sent = flight.send(own, peer, latest, segment);
        if sent == Sent::Reordered {
            own.counts.out_of_order = own.counts.out_of_order.saturating_add(1);
        }
        if segment.payload_len > 0 {
            self.observe_exchange(from, segment, sent);
        }
    }

    fn observe_exchange(&mut self, from: Side, segment: &Segment, sent: Sent) {
        let mark = segment.mark();
        let peer = &self.connection.side(from.other()).tcp;
        // The FIN behind a question need not be known of to answer it.
        let answers = peer
            .next
            .is_none_or(|next| next.distance_from(segment.ack) <= i32::from(peer.fin.is_some()));
        let side = self.connection.side_mut(from);
        let earlier = side.last_payload;
        match sent {
            Sent::New | Sent::Reordered | Sent::Refill => {
                side.first_payload.get_or_insert(mark);
                side.last_payload = Some(mark);
                let farewell = side.sent_farewell;
                let exchange = &mut self.connection.tcp.exchange;
                // Last words neither ask nor answer.
                if !farewell {
                    exchange.spoke(from, mark, earlier, answers);
                    if from == Side::Client {
                        exchange.asked_bytes =
                            exchange.asked_bytes.saturating_add(segment.payload_len);
                    }
                }
            }
            Sent::Again if from == Side::Client => self.connection.tcp.exchange.asked_again(mark),
            Sent::Again | Sent::Probe => {}
        }
    }

    fn observe_ack(&mut self, from: Side, segment: &Segment, unseen: u32) {
        if unseen > 0 {
            let peer = self.connection.side_mut(from.other());
            peer.tcp.counts.unseen_bytes = peer
                .tcp
                .counts
                .unseen_bytes
                .saturating_add(u64::from(unseen));
            if peer.tcp.next.is_some_and(|next| segment.ack.is_after(next)) {
                peer.tcp.next = Some(segment.ack);
            }
            self.connection
                .record(segment, from.other(), EventKind::Unseen { bytes: unseen });
        }
        let (own, peer) = self.connection.tcp_mut(from);
        let known = own.acknowledged;
        let progress = known.is_none_or(|known| segment.ack.is_after(known));
        let repeats = known == Some(segment.ack) && segment.seq_len() == 0;
        let outstanding = peer.next.is_some_and(|next| next.is_after(segment.ack));
        let same_window = u32::from(segment.window) << scale(own, peer) == own.window;
        if progress {
            own.acknowledged = Some(segment.ack);
        } else if repeats && outstanding && same_window {
            own.counts.duplicate_acks = own.counts.duplicate_acks.saturating_add(1);
        }
        let (flight, peer, _) = self.flight(from.other());
        if progress || repeats {
            flight.acknowledge(peer, segment, progress);
        }
        flight.watch.advertised(segment);
        flight.inspection.acknowledged(segment.ack);
        let (_, peer) = self.connection.tcp_mut(from);
        let closing = matches!(
            peer.state,
            EndpointState::Closing {
                acknowledged: false
            }
        );
        if closing && peer.next.is_some_and(|next| !segment.ack.is_before(next)) {
            peer.state = EndpointState::Closing { acknowledged: true };
        }
        if peer.state == EndpointState::SynReceived && from == Side::Client {
            peer.state = EndpointState::Established;
        }
    }

    fn observe_window(&mut self, from: Side, segment: &Segment) {
        let (own, peer) = self.connection.tcp_mut(from);
        own.window = u32::from(segment.window) << scale(own, peer);
        own.max_window = own.max_window.max(own.window);
        // After its FIN, or the peer's, a window limits neither side any more.
        let limits = own.fin.is_none() && peer.fin.is_none() && !segment.is_fin();
        let closed = segment.window == 0;
        if closed {
            own.counts.zero_windows = own.counts.zero_windows.saturating_add(1);
        }
        let was_closed = own
            .trouble()
            .is_some_and(|trouble| trouble.window.closed_since.is_some());
        if was_closed || (closed && limits) {
            own.trouble_mut()
                .window
                .advertise(closed && limits, segment.mark());
        }
    }

    fn observe_fin(&mut self, from: Side, segment: &Segment) {
        let (side, peer) = self.connection.split_mut(from);
        if side.tcp.fin.is_none() {
            side.tcp.fin = Some(segment.mark());
            let crossed = peer.tcp.next.filter(|_| segment.has_ack());
            side.tcp.crossed_fin = crossed
                .and_then(|next| u32::try_from(next.distance_from(segment.ack)).ok())
                .unwrap_or(0);
            self.connection.record(segment, from, EventKind::Fin);
        }
        let side = self.connection.side_mut(from);
        if !matches!(
            side.tcp.state,
            EndpointState::Closing { .. } | EndpointState::Reset
        ) {
            side.tcp.state = EndpointState::Closing {
                acknowledged: false,
            };
        }
    }
}

/// Whether a segment acknowledges the SYN of `opener`, whose sequence space so far ends at `next`.
fn answers_syn(opener: &TcpEndpoint, next: wirewhy_packet::Seq, segment: &Segment) -> bool {
    opener.isn.is_none_or(|isn| segment.ack.is_after(isn)) && !segment.ack.is_after(next)
}

/// RFC 7323 section 2.2: the scale counts only where both sides sent the option.
fn scale(own: &TcpEndpoint, peer: &TcpEndpoint) -> u8 {
    match (own.offer.window_scale, peer.offer.window_scale) {
        (Some(own), Some(_)) => own,
        _ => 0,
    }
}

fn offer(segment: &Segment) -> Offer {
    let options = &segment.options;
    Offer {
        mss: options.mss,
        window_scale: options.window_scale.map(|scale| scale.min(14)),
        sack_permitted: options.sack_permitted,
        timestamps: options.timestamps.is_some(),
        ecn: segment.flags.has(TcpFlags::ECE),
        fast_open: options.fast_open,
        mptcp: options.mptcp_subtypes != 0,
    }
}

/// What is counted of every packet that is no copy.
fn count(side: &mut Endpoint, segment: &Segment) {
    side.count_packet(
        segment.wire_len,
        segment.payload_len,
        segment.len_from_frame,
    );
    if segment.is_rst() {
        return;
    }
    if segment.payload_len > 0 {
        side.count_payload(segment.payload_len, segment.captured_len);
    }
    side.note_header(segment.ttl, segment.ip_id, segment.mac);
    if let Some(timestamps) = segment.options.timestamps {
        side.tcp.timestamp = Some(timestamps.value);
    }
}

impl Segment {
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            frame: self.frame,
            time: self.time,
        }
    }
}

impl Connection {
    pub(crate) fn record(&mut self, segment: &Segment, from: Side, kind: EventKind) {
        self.events.push(Event {
            frame: segment.frame,
            time: segment.time,
            from,
            kind,
        });
    }

    /// Remembers whether the capturing host sent what it recorded of each side; the first packet that tells counts.
    pub(crate) fn note_outgoing(&mut self, from: Side, outgoing: Option<bool>) {
        let [client, server] = &mut self.outgoing;
        let known = if from == Side::Client { client } else { server };
        if known.is_none() {
            *known = outgoing;
        }
    }

    /// A copy that the capturing host sent itself was forwarded by it, even where it recorded the arrival first.
    fn note_forwarded(&mut self, from: Side, segment: &Segment) {
        let [client, server] = &mut self.outgoing;
        let known = if from == Side::Client { client } else { server };
        if segment.outgoing == Some(true) {
            *known = Some(true);
        }
    }

    fn flip(&mut self) {
        std::mem::swap(&mut self.client, &mut self.server);
        self.outgoing.reverse();
        self.events.flip();
        self.zeek.flip();
    }
}
