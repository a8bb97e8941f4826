//! An attempt to open that nothing answered: a SYN, and silence. There may be masses of them, in a scan or a flood, that come to the
//! same, so that each is handed over as the little that was seen of it.

use std::net::IpAddr;

use wirewhy_packet::{Interval, Seq, Timestamp};

use super::alone::LoneSegment;
use super::{Healthy, Tracker};
use crate::{Connection, Damage, Ended, Endpoint, HostContext, Mark, Roles, Vantage};

/// A connection of which one SYN was seen and nothing else: a plain one, that asks for neither ECN nor Fast Open, to an address that
/// was not looked up, and from a client of which no answered SYN to that service shows a clock.
#[derive(Clone, PartialEq, Debug)]
pub struct Unanswered {
    syn: LoneSegment,
    /// Why the tracker stopped following it.
    pub ended: Ended,
    /// See [`Connection::observed_until`].
    pub observed_until: Timestamp,
    host_context: HostContext,
}

/// A connection that is over.
#[derive(Debug)]
pub enum Over {
    /// As all that is known of it.
    Connection(Box<Connection>),
    /// As the little that was seen of it.
    Unanswered(Unanswered),
    /// As the packets of one that went well.
    Healthy(Healthy),
}

impl Over {
    /// All that is known of it.
    #[must_use]
    pub fn into_connection(self) -> Box<Connection> {
        match self {
            Over::Connection(connection) => connection,
            Over::Unanswered(attempt) => attempt.connection(),
            Over::Healthy(healthy) => healthy.connection(),
        }
    }
}

impl Unanswered {
    /// The number of its stream.
    #[must_use]
    pub fn stream(&self) -> u32 {
        self.syn.stream
    }

    /// Address and port of the client.
    #[must_use]
    pub fn client(&self) -> (IpAddr, u16) {
        self.syn.pair.source
    }

    /// Address and port of the server.
    #[must_use]
    pub fn server(&self) -> (IpAddr, u16) {
        self.syn.pair.destination
    }

    /// Its SYN.
    #[must_use]
    pub fn first(&self) -> Mark {
        self.syn.segment.mark()
    }

    /// The initial sequence number of the client.
    #[must_use]
    pub fn isn(&self) -> Seq {
        self.syn.segment.seq
    }

    /// Whether the capturing host sent the SYN, where the capture tells.
    #[must_use]
    pub fn outgoing(&self) -> Option<bool> {
        self.syn.segment.outgoing
    }

    /// Whether the server's address answered other connections.
    #[must_use]
    pub fn host_answers(&self) -> bool {
        self.host_context.server_ttl.is_some()
    }

    /// How long the capture ran on behind the SYN, zero where it did not.
    #[must_use]
    pub fn heard(&self) -> Interval {
        let heard = self.observed_until.since(self.syn.segment.time);
        heard.max(Interval::ZERO)
    }

    /// Where the capture was taken, as far as this attempt tells.
    #[must_use]
    pub fn vantage(&self) -> Vantage {
        Vantage::of_syn(
            self.outgoing(),
            self.syn.segment.ttl,
            self.host_context.server_ttl,
        )
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
        connection.begin_with_syn(&self.syn.segment);
        connection.ended = self.ended;
        connection.observed_until = self.observed_until;
        connection.host_context = self.host_context;
        connection
    }
}

impl Tracker {
    /// What a segment comes to that nothing followed, now that it is over: what following it would have come to.
    pub(super) fn hand_over_alone(&mut self, lone: &LoneSegment, ended: Ended) -> Over {
        if !lone.segment.is_bare_syn() || lone.segment.window == 0 {
            let tracked = self.promoted(lone);
            return Over::Connection(self.hand_over(tracked, ended));
        }
        let LoneSegment {
            stream,
            pair,
            segment,
            ..
        } = lone;
        let (client, server) = (pair.source, pair.destination);
        let asker = (client.0, segment.mac);
        let looked_up = self.waited_for(*stream, asker, server.0, segment.time);
        let host_context = HostContext {
            earlier_stream: lone.earlier_stream,
            ..self.hosts.around(client.0, server, segment.mark())
        };
        let is_brief = !self.follows_all
            && !lone.interrupted
            && looked_up.is_none()
            && host_context.accepted.is_none()
            && segment.is_plain_syn()
            && !segment.asks_for_more();
        let attempt = Unanswered {
            syn: *lone,
            ended,
            observed_until: self.observed_until(segment.time),
            host_context,
        };
        if is_brief {
            return Over::Unanswered(attempt);
        }
        let ends = [client, server];
        let mut connection = attempt.fill(self.fresh(*stream, ends, Roles::Syn, segment.mark()));
        connection.interrupted = lone.interrupted;
        connection.client.tcp.delivery.damage = Damage::of_one(segment);
        connection.looked_up = looked_up;
        self.lookups.tie_to_failed(&mut connection);
        Over::Connection(connection)
    }
}
