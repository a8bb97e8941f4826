//! A connection as the packets show it: plain facts, no opinion.

use std::net::IpAddr;

use wirewhy_packet::{Interval, Seq, Timestamp};
use wirewhy_protocol::{AppFacts, DtlsFacts, QuicFacts, Refusal, TlsStage, Transport};

use crate::{
    Endpoint, EndpointState, EventKind, Events, Handshake, HostContext, LookedUp, Mark, Side, Tcp,
    TcpEndpoint, TtlSeen, Vantage, Zeek,
};

/// Everything the tracker knows of one connection. Owned and bounded: some 1,300 bytes where nothing went wrong.
#[derive(Clone, PartialEq, Debug)]
pub struct Connection {
    /// What carries it.
    pub transport: Transport,
    /// The number Wireshark gives it (`tcp.stream`, `udp.stream`): each transport counts from 0.
    pub stream: u32,
    /// The side that opened it, or is taken to have.
    pub client: Endpoint,
    /// The side that was asked.
    pub server: Endpoint,
    /// How it is known who is who.
    pub roles: Roles,
    /// Its first frame.
    pub first: Mark,
    /// Its latest frame, ICMP errors included.
    pub last: Mark,
    /// What the application bytes show; `None` where there were none, or the connection was joined late
    /// and nothing in it can be read from its middle on.
    pub app: Option<Box<AppFacts>>,
    /// The server's last segment with data, where it is the notice with which a service ends a session.
    pub notice: Option<Box<Refusal>>,
    /// The server name in the client's TLS hello, as it was on the wire.
    pub server_name: Option<Box<str>>,
    /// The name that the client had looked up for the server's address when it began; `None` where that was not seen.
    pub looked_up: Option<Box<LookedUp>>,
    /// What happened, in order.
    pub events: Events,
    /// Zeek's view of the same packets.
    pub zeek: Zeek,
    /// Why the tracker stopped following it.
    pub ended: Ended,
    /// Whether packets of it may be missing because a file of the recording is: it was followed when a gap began, or its
    /// first packet after a gap is not its SYN. Absence, loss and silence prove nothing then.
    pub interrupted: bool,
    /// The latest packet time of the whole capture when it ended: silence is only as long as the capture ran.
    pub observed_until: Timestamp,
    /// What other connections tell about its two hosts.
    pub host_context: HostContext,
    /// The connection on the same addresses and ports that a SYN cut into while it was open: this one or the other.
    pub collision: Option<Box<Collision>>,
    /// Which packets the capturing host itself sent, where the capture tells.
    pub outgoing: [Option<bool>; 2],
    /// What only TCP has.
    pub tcp: Tcp,
}

wirewhy_protocol::compact!(Connection {
    transport,
    stream,
    client,
    server,
    roles,
    first,
    last,
    app,
    notice,
    server_name,
    looked_up,
    events,
    zeek,
    ended,
    interrupted,
    observed_until,
    host_context,
    collision,
    outgoing,
    tcp,
});

/// A SYN that came into an open connection of the same addresses and ports, as either of the two connections has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Collision {
    /// The stream of the other one.
    pub stream: u32,
    /// Whether it was this connection's SYN that cut into the other.
    pub is_later: bool,
    /// The SYN.
    pub syn: Mark,
    /// How long the earlier connection had been quiet.
    pub idle: Interval,
    /// Hop counts of the earlier client's packets, and of the SYN.
    pub ttl: (TtlSeen, u8),
    /// Whether both carry timestamps, and no clock could go from the one to the other in that time.
    pub other_clock: bool,
    /// How much of what either side of the earlier one had sent was not acknowledged, in bytes.
    pub outstanding: u32,
    /// Sequence number behind the earlier client's furthest byte.
    pub earlier_next: Option<Seq>,
    /// The first packet of the earlier client behind the SYN.
    pub continues: Option<Mark>,
}

wirewhy_protocol::compact!(Collision {
    stream,
    is_later,
    syn,
    idle,
    ttl,
    other_clock,
    outstanding,
    earlier_next,
    continues,
});

/// How it is known which side is the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Roles {
    /// Its SYN was seen.
    Syn,
    /// The SYN-ACK was seen.
    SynAck,
    /// Both sides sent a SYN (RFC 9293 section 3.5, figure 7): the earlier one counts as the client.
    Simultaneous,
    /// Neither was seen: the server is an endpoint that answered other connections of the capture.
    KnownService,
    /// Neither was seen: the client is who sent a TLS ClientHello, or was sent a ServerHello.
    Hello,
    /// Neither was seen: a guess.
    Guessed,
    /// Over UDP: the protocol tells which end sends what came first.
    Datagram,
}

wirewhy_protocol::compact!(Roles = {
    0 Syn, 1 SynAck, 2 Simultaneous, 3 KnownService, 4 Hello, 5 Guessed, 6 Datagram,
});

impl Roles {
    /// Whether the opening itself showed who is who.
    #[must_use]
    pub fn are_known(self) -> bool {
        matches!(
            self,
            Roles::Syn | Roles::SynAck | Roles::Simultaneous | Roles::Datagram
        )
    }
}

/// Why the tracker stopped following a connection, if it did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It closed, by FIN or reset, and stayed quiet.
    Closed,
    /// It never opened and stayed quiet.
    NeverOpened,
    /// Its ports were used again.
    Reused,
    /// The capture ended.
    EndOfCapture,
    /// Over UDP, which has no end of its own: it stayed quiet.
    Quiet,
    /// The table was full and this one was least worth keeping.
    GivenUp,
    /// It is not over: this is how it stands while it goes on.
    Followed,
}

wirewhy_protocol::compact!(Ended = {
    0 Closed, 1 NeverOpened, 2 Reused, 3 EndOfCapture, 4 Quiet, 5 GivenUp, 6 Followed,
});

/// How long it took to get across and back.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct RoundTrip {
    /// SYN to the ACK of the SYN-ACK: the whole way, whatever the capture point.
    pub handshake: Option<Interval>,
    /// SYN to SYN-ACK: from the capture point to the server and back.
    pub to_server: Option<Interval>,
    /// SYN-ACK to ACK: from the capture point to the client and back.
    pub to_client: Option<Interval>,
}

impl Connection {
    /// A connection of which no packet was taken in.
    pub(crate) fn new(
        transport: Transport,
        stream: u32,
        [client, server]: [Endpoint; 2],
        roles: Roles,
        first: Mark,
    ) -> Connection {
        Connection {
            transport,
            stream,
            client,
            server,
            roles,
            first,
            last: first,
            app: None,
            notice: None,
            server_name: None,
            looked_up: None,
            events: Events::default(),
            zeek: Zeek::default(),
            ended: Ended::EndOfCapture,
            interrupted: false,
            observed_until: first.time,
            host_context: HostContext::default(),
            collision: None,
            outgoing: [None, None],
            tcp: Tcp::default(),
        }
    }

    /// Makes this a connection over TCP of which no packet was taken in, in place. Its events keep their room.
    pub(crate) fn begin_anew(
        &mut self,
        stream: u32,
        [client, server]: [(IpAddr, u16); 2],
        roles: Roles,
        first: Mark,
    ) {
        // Named one by one, so that none is forgotten.
        let Connection {
            transport,
            stream: own_stream,
            client: own_client,
            server: own_server,
            roles: own_roles,
            first: own_first,
            last,
            app,
            notice,
            server_name,
            looked_up,
            events,
            zeek,
            ended,
            interrupted,
            observed_until,
            host_context,
            collision,
            outgoing,
            tcp,
        } = self;
        *transport = Transport::Tcp;
        *own_stream = stream;
        own_client.begin_anew(client);
        own_server.begin_anew(server);
        *own_roles = roles;
        (*own_first, *last) = (first, first);
        *app = None;
        *notice = None;
        *server_name = None;
        *looked_up = None;
        events.clear();
        *zeek = Zeek::default();
        *ended = Ended::EndOfCapture;
        *interrupted = false;
        *observed_until = first.time;
        *host_context = HostContext::default();
        *collision = None;
        *outgoing = [None, None];
        *tcp = Tcp::default();
    }

    /// One side.
    #[must_use]
    pub fn side(&self, side: Side) -> &Endpoint {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    pub(crate) fn side_mut(&mut self, side: Side) -> &mut Endpoint {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// The sender's endpoint and its peer's.
    pub(crate) fn split_mut(&mut self, from: Side) -> (&mut Endpoint, &mut Endpoint) {
        match from {
            Side::Client => (&mut self.client, &mut self.server),
            Side::Server => (&mut self.server, &mut self.client),
        }
    }

    /// What only TCP has of the sender and of its peer.
    pub(crate) fn tcp_mut(&mut self, from: Side) -> (&mut TcpEndpoint, &mut TcpEndpoint) {
        let (own, peer) = self.split_mut(from);
        (&mut own.tcp, &mut peer.tcp)
    }

    /// First to latest frame, zero where time ran backwards.
    #[must_use]
    pub fn duration(&self) -> Interval {
        self.last.time.since(self.first.time).max(Interval::ZERO)
    }

    /// Segments with bytes that were sent before, of both sides.
    pub(crate) fn resent(&self) -> u32 {
        let of = |side: &Endpoint| side.tcp.counts.retransmissions;
        of(&self.client).saturating_add(of(&self.server))
    }

    /// Whether it is not over: shown as it stands.
    #[must_use]
    pub fn is_ongoing(&self) -> bool {
        self.ended == Ended::Followed
    }

    /// How long the capture ran on after `time`, zero where it did not.
    #[must_use]
    pub fn heard_after(&self, time: Timestamp) -> Interval {
        self.observed_until.since(time).max(Interval::ZERO)
    }

    /// Whether the three-way handshake was seen to complete, or one side was seen talking past it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.tcp.handshake.ack.is_some()
            || [&self.client, &self.server].into_iter().any(|side| {
                matches!(side.tcp.state, EndpointState::JoinedLate)
                    || (side.counts.payload_packets > 0 && self.tcp.handshake.syns == 0)
            })
    }

    /// Whether one side was never seen although the other plainly talks with it.
    #[must_use]
    pub fn is_one_sided(&self) -> bool {
        let answered = |seen: &Endpoint, unseen: &Endpoint| {
            seen.was_seen()
                && !unseen.was_seen()
                && seen.tcp.acknowledged.is_some()
                && seen.tcp.state != EndpointState::Reset
        };
        answered(&self.client, &self.server) || answered(&self.server, &self.client)
    }

    /// Whether the server answered a SYN with the numbers of another connection.
    #[must_use]
    pub fn has_unrelated_ack(&self) -> bool {
        self.events.iter().any(|event| {
            event.from == Side::Server && matches!(event.kind, EventKind::UnrelatedAck { .. })
        })
    }

    /// Round trips of the handshake, where neither the SYN nor the SYN-ACK was sent twice.
    #[must_use]
    pub fn round_trip(&self) -> RoundTrip {
        let between = |from: Option<Mark>, to: Option<Mark>| {
            let span = to?.time.since(from?.time);
            (span >= Interval::ZERO).then_some(span)
        };
        let Handshake {
            first_syn,
            answered_syn,
            syn_ack,
            ack,
            syn_acks,
            ..
        } = self.tcp.handshake;
        let to_client = between(syn_ack, ack).filter(|_| syn_acks == 1);
        // Of several SYNs it is not known which one was answered (RFC 6298 section 3, Karn's algorithm).
        let to_server = between(answered_syn.filter(|syn| Some(*syn) == first_syn), syn_ack);
        let handshake = to_server
            .zip(to_client)
            .map(|(there, back)| Interval(there.0.saturating_add(back.0)));
        RoundTrip {
            handshake,
            to_server,
            to_client,
        }
    }

    /// The largest segment both ends accept in bytes of payload; `None` where one did not offer a maximum segment size.
    #[must_use]
    pub fn mss(&self) -> Option<u16> {
        self.client.tcp.offer.mss.min(self.server.tcp.offer.mss)
    }

    /// Where the capture was taken, as far as this connection tells.
    #[must_use]
    pub fn vantage(&self) -> Vantage {
        Vantage::infer(self)
    }

    /// What no other connection of the capture has: each transport counts its streams from 0, and several connections over
    /// QUIC may share one.
    #[must_use]
    pub fn identity(&self) -> (Transport, u32, u64) {
        (self.transport, self.stream, self.first.frame)
    }

    /// What was seen of QUIC; `None` where it is no connection over QUIC.
    #[must_use]
    pub fn quic(&self) -> Option<&QuicFacts> {
        self.app.as_deref()?.quic.as_deref()
    }

    /// What was seen of DTLS; `None` where it is none.
    #[must_use]
    pub fn dtls(&self) -> Option<&DtlsFacts> {
        self.app.as_deref()?.dtls.as_deref()
    }

    /// The word for what carries it: `tcp`, `quic`, or `udp` where something else than QUIC is read.
    #[must_use]
    pub fn transport_name(&self) -> &'static str {
        match self.quic() {
            Some(_) => "quic",
            None => self.transport.name(),
        }
    }

    fn quic_stage(&self) -> Option<Stage> {
        let quic = self.quic()?;
        let stage = self.app.as_deref()?.tls.as_deref()?.stage();
        if stage < TlsStage::Established {
            return Some(Stage::Handshake(stage));
        }
        Some(match quic.closes.is_empty() {
            false => Stage::Closing,
            true if quic.server.one_rtt.count > 0 => Stage::ResponseStarted,
            true => Stage::RequestSent,
        })
    }

    /// How far the conversation got.
    #[must_use]
    pub fn stage(&self) -> Stage {
        Stage::of(self)
    }
}

/// How far the conversation got when it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// A SYN, and no SYN-ACK to it.
    Syn,
    /// A SYN-ACK, and no ACK to it.
    SynAck,
    /// Open, and no byte of payload either way.
    EstablishedNoData,
    /// One side sent payload, the other none.
    RequestSent,
    /// Both sides sent payload.
    ResponseStarted,
    /// At least one FIN was sent; over QUIC a CONNECTION_CLOSE behind the handshake.
    Closing,
    /// Over QUIC, whose handshake is that of TLS: as far as that got.
    Handshake(TlsStage),
}

impl Stage {
    fn of(connection: &Connection) -> Stage {
        let Connection {
            client,
            server,
            tcp: Tcp { handshake, .. },
            ..
        } = connection;
        if let Some(stage) = connection.quic_stage() {
            return stage;
        }
        if client.tcp.fin.is_some() || server.tcp.fin.is_some() {
            return Stage::Closing;
        }
        match (
            client.first_payload.is_some(),
            server.first_payload.is_some(),
        ) {
            (true, true) => Stage::ResponseStarted,
            _ if handshake.syn_ack.is_none() && handshake.syns > 0 => Stage::Syn,
            _ if handshake.syn_ack.is_some() && handshake.ack.is_none() => Stage::SynAck,
            (false, false) => Stage::EstablishedNoData,
            _ => Stage::RequestSent,
        }
    }

    /// The word used in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Stage::Syn => "syn",
            Stage::SynAck => "syn-ack",
            Stage::EstablishedNoData => "established-no-data",
            Stage::RequestSent => "request-sent",
            Stage::ResponseStarted => "response-started",
            Stage::Closing => "closing",
            Stage::Handshake(stage) => stage.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_anew_is_new() {
        let ends = [0, 1].map(|last| (IpAddr::from([192, 0, 2, last]), 80 + u16::from(last)));
        let mark = |frame| Mark {
            frame,
            time: Timestamp(7),
        };
        let new = |stream, roles, frame| {
            let sides = ends.map(|(address, port)| Endpoint::new(address, port));
            Connection::new(Transport::Tcp, stream, sides, roles, mark(frame))
        };
        let mut used = new(1, Roles::SynAck, 1);
        used.events.push(crate::Event {
            frame: 2,
            time: Timestamp(9),
            from: Side::Client,
            kind: EventKind::Fin,
        });
        used.transport = Transport::Udp;
        used.client = Endpoint::new(ends[1].0, 9);
        (used.server.first_payload, used.server.last_payload) = (Some(mark(3)), Some(mark(3)));
        (used.server.last, used.server.tcp.fin) = (Some(mark(3)), Some(mark(3)));
        (used.server.last_payload_len, used.server.sent_farewell) = (3, true);
        used.server.ttl.add(9);
        used.server.counts.packets = 4;
        used.server.mac = Some(wirewhy_packet::MacAddr([3; 6]));
        used.server_name = Some("name".into());
        (used.ended, used.interrupted) = (Ended::Closed, true);
        (used.last, used.observed_until) = (mark(8), Timestamp(11));
        used.host_context.earlier_stream = Some(4);
        used.outgoing = [Some(true), Some(false)];
        used.tcp.handshake.syns = 3;
        used.zeek.flip();
        used.begin_anew(5, ends, Roles::Syn, mark(6));
        assert_eq!(used, new(5, Roles::Syn, 6));
    }
}
