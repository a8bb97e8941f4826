//! An attempt to open that nothing answered: a SYN, and silence. There may be masses of them, in a scan or a flood, that come to the
//! same, so that each is handed over as the little that was seen of it.

use std::net::IpAddr;

use wirewhy_packet::{Interval, Seq, Timestamp};

use super::alone::LoneSyn;
use super::{Healthy, Tracker};
use crate::{Connection, Damage, Ended, Endpoint, HostContext, Mark, Roles, TtlSeen, Vantage};

/// A connection of which one SYN was seen and nothing else: a plain one, that asks for neither ECN nor Fast Open, to an address that
/// was not looked up, and from a client of which no answered SYN to that service shows a clock.
#[derive(Clone, PartialEq, Debug)]
pub struct Unopened {
    syn: LoneSyn,
    /// Why the tracker stopped following it.
    pub ended: Ended,
    /// See [`Connection::observed_until`].
    pub observed_until: Timestamp,
    server_ttl: Option<TtlSeen>,
    server_round_trip: Option<Interval>,
}

/// A connection that is over.
#[derive(Debug)]
pub enum Over {
    /// As all that is known of it.
    Connection(Box<Connection>),
    /// As the little that was seen of it.
    Unopened(Unopened),
    /// As the packets of one that went well.
    Healthy(Healthy),
}

impl Over {
    /// All that is known of it.
    #[must_use]
    pub fn into_connection(self) -> Box<Connection> {
        match self {
            Over::Connection(connection) => connection,
            Over::Unopened(attempt) => attempt.connection(),
            Over::Healthy(healthy) => healthy.connection(),
        }
    }
}

impl Unopened {
    /// The number of its stream.
    #[must_use]
    pub fn stream(&self) -> u32 {
        self.syn.stream
    }

    /// Address and port of the client.
    #[must_use]
    pub fn client(&self) -> (IpAddr, u16) {
        self.syn.client()
    }

    /// Address and port of the server.
    #[must_use]
    pub fn server(&self) -> (IpAddr, u16) {
        self.syn.server()
    }

    /// Its SYN.
    #[must_use]
    pub fn first(&self) -> Mark {
        self.syn.syn.mark()
    }

    /// The initial sequence number of the client.
    #[must_use]
    pub fn isn(&self) -> Seq {
        self.syn.syn.seq()
    }

    /// Whether the capturing host sent the SYN, where the capture tells.
    #[must_use]
    pub fn outgoing(&self) -> Option<bool> {
        self.syn.syn.outgoing()
    }

    /// Whether the server's address answered other connections.
    #[must_use]
    pub fn host_answers(&self) -> bool {
        self.server_ttl.is_some()
    }

    /// How long the capture ran on behind the SYN, zero where it did not.
    #[must_use]
    pub fn heard(&self) -> Interval {
        let heard = self.observed_until.since(self.first().time);
        heard.max(Interval::ZERO)
    }

    /// Where the capture was taken, as far as this attempt tells.
    #[must_use]
    pub fn vantage(&self) -> Vantage {
        Vantage::of_syn(self.outgoing(), self.syn.syn.ttl(), self.server_ttl)
    }

    /// All that is known of it, as of any connection.
    #[must_use]
    pub fn connection(&self) -> Box<Connection> {
        let [client, server] = [self.client(), self.server()];
        let sides = [client, server].map(|(address, port)| Endpoint::new(address, port));
        let transport = wirewhy_protocol::Transport::Tcp;
        let (stream, first) = (self.stream(), self.first());
        let new = Connection::new(transport, stream, sides, Roles::Syn, first);
        self.fill(Box::new(new))
    }

    /// Puts what is known of it into a connection of which no packet was taken in.
    fn fill(&self, mut connection: Box<Connection>) -> Box<Connection> {
        connection.begin_with_syn(&self.syn.syn.unpack());
        connection.ended = self.ended;
        connection.observed_until = self.observed_until;
        connection.host_context = HostContext {
            server_ttl: self.server_ttl,
            server_round_trip: self.server_round_trip,
            accepted: None,
            earlier_stream: self.syn.earlier_stream(),
        };
        connection
    }
}

impl Tracker {
    /// What a segment comes to that nothing followed, now that it is over: what following it would have come to. It is kept at this
    /// place.
    #[inline]
    pub(super) fn hand_over_alone(&mut self, place: u32, ended: Ended) -> Option<Over> {
        if let Some(syn) = self.alone.take_syn(place) {
            return Some(self.hand_over_syn(syn, ended));
        }
        let lone = self.alone.take(place)?;
        let tracked = self.promoted(&lone);
        Some(Over::Connection(self.hand_over(tracked, ended)))
    }

    #[inline]
    fn hand_over_syn(&mut self, lone: LoneSyn, ended: Ended) -> Over {
        let LoneSyn { syn, stream, .. } = lone;
        if syn.window() == 0 {
            let tracked = self.promoted(&lone.unpack());
            return Over::Connection(self.hand_over(tracked, ended));
        }
        let (client, server) = (lone.client(), lone.server());
        let asker = (client.0, syn.mac());
        let looked_up = self.waited_for(stream, asker, server.0, syn.time());
        let around = self.hosts.around(client.0, server, syn.mark());
        let is_brief = !self.follows_all
            && !lone.is_interrupted()
            && looked_up.is_none()
            && around.accepted.is_none()
            && syn.is_ordinary_syn();
        let attempt = Unopened {
            syn: lone,
            ended,
            observed_until: self.observed_until(syn.time()),
            server_ttl: around.server_ttl,
            server_round_trip: around.server_round_trip,
        };
        if is_brief {
            return Over::Unopened(attempt);
        }
        let ends = [client, server];
        let mut connection = attempt.fill(self.fresh(stream, ends, Roles::Syn, syn.mark()));
        connection.host_context.accepted = around.accepted;
        connection.interrupted = lone.is_interrupted();
        connection.client.tcp.delivery.damage = Damage::of_one(&syn.unpack());
        connection.looked_up = looked_up;
        self.lookups.tie_to_failed(&mut connection);
        Over::Connection(connection)
    }
}
