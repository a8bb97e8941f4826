//! A connection that went well to its end: handed over as its packets, so that who only counts it need not gather its facts.

use std::net::IpAddr;

use wirewhy_packet::{Interval, MacAddr, Timestamp};
use wirewhy_protocol::RequestHash;

use super::brief::{Kept, gathered};
use super::{Over, Tracker};
use crate::brief::WellEnded;
use crate::{Connection, Ended, Endpoint, HostContext, Mark, Roles, TtlSeen};

/// A connection over which requests in HTTP/1 were answered with success, and which both sides closed: seen from its SYN on, without
/// a segment lost, overtaken, damaged or repeated. The SYN asked for neither ECN nor Fast Open, and the server's address was not
/// looked up. Nothing about it can be a sign of trouble but how long it took.
#[derive(Debug)]
pub struct Healthy {
    kept: Box<Kept>,
    outcome: WellEnded,
    ended: Ended,
    observed_until: Timestamp,
    server_ttl: Option<TtlSeen>,
    server_round_trip: Option<Interval>,
}

impl Healthy {
    /// The number of its stream.
    #[must_use]
    pub fn stream(&self) -> u32 {
        self.kept.syn.stream
    }

    /// Address and port of the client.
    #[must_use]
    pub fn client(&self) -> (IpAddr, u16) {
        self.kept.syn.pair.source
    }

    /// Address and port of the server.
    #[must_use]
    pub fn server(&self) -> (IpAddr, u16) {
        self.kept.syn.pair.destination
    }

    /// The MAC address of the client.
    #[must_use]
    pub fn client_mac(&self) -> Option<MacAddr> {
        self.outcome.client_mac
    }

    /// Its SYN.
    #[must_use]
    pub fn first(&self) -> Mark {
        self.kept.syn.segment.mark()
    }

    /// The last segments of client and server.
    #[must_use]
    pub fn last(&self) -> [Mark; 2] {
        self.outcome.last
    }

    /// The hop count of the SYN-ACK.
    #[must_use]
    pub fn server_ttl(&self) -> u8 {
        self.outcome.server_ttl
    }

    /// The largest IP packets with payload of client and server that were acknowledged, in bytes.
    #[must_use]
    pub fn largest_delivered(&self) -> [u32; 2] {
        self.outcome.largest_delivered
    }

    /// From the SYN to the SYN-ACK.
    #[must_use]
    pub fn to_server(&self) -> Interval {
        self.outcome.to_server
    }

    /// From the SYN to the ACK.
    #[must_use]
    pub fn handshake(&self) -> Interval {
        self.outcome.handshake
    }

    /// From a request to its answer, at most.
    #[must_use]
    pub fn slowest_answer(&self) -> Interval {
        self.outcome.slowest_answer
    }

    /// The last request, and where it began.
    #[must_use]
    pub fn last_request(&self) -> (RequestHash, Mark) {
        self.outcome.request
    }

    /// All that is known of it, as of any connection.
    #[must_use]
    pub fn connection(&self) -> Box<Connection> {
        let sides = [self.client(), self.server()];
        let sides = sides.map(|(address, port)| Endpoint::new(address, port));
        let transport = wirewhy_protocol::Transport::Tcp;
        let (stream, first) = (self.stream(), self.first());
        let new = Connection::new(transport, stream, sides, Roles::Syn, first);
        let live = gathered(&self.kept, Box::new(new), Box::default());
        let (mut connection, _) = live.finish();
        connection.app = self.kept.brief.app();
        connection.ended = self.ended;
        connection.observed_until = self.observed_until;
        connection.host_context = HostContext {
            server_ttl: self.server_ttl,
            server_round_trip: self.server_round_trip,
            accepted: None,
            earlier_stream: self.kept.syn.earlier_stream,
        };
        connection
    }

    /// What it was kept in.
    pub(super) fn into_kept(self) -> Box<Kept> {
        self.kept
    }
}

impl Tracker {
    /// What a connection kept in brief has come to, now that it is over.
    pub(super) fn hand_over_brief(&mut self, kept: Box<Kept>, ended: Ended) -> Over {
        if let Some(outcome) = self.well_ended(&kept) {
            let observed_until = self.observed_until(kept.brief.latest());
            let around = self.hosts.around(kept.syn.pair.destination.0);
            return Over::Healthy(Healthy {
                kept,
                outcome,
                ended,
                observed_until,
                server_ttl: around.server_ttl,
                server_round_trip: around.server_round_trip,
            });
        }
        let live = match kept.brief.app() {
            Some(app) => {
                let mut live = self.gather(&kept);
                live.connection.app = Some(app);
                live
            }
            None => self.followed(&kept),
        };
        self.spare.keep_brief(kept);
        Over::Connection(self.hand_over(live, ended))
    }

    /// What a connection has come to that went well to its end, and has no name that ties it to others.
    fn well_ended(&self, kept: &Kept) -> Option<WellEnded> {
        let outcome = kept.brief.outcome(&kept.syn.segment)?;
        let (pair, begun) = (&kept.syn.pair, kept.syn.segment.time);
        let (client, server) = (pair.source.0, pair.destination.0);
        let mac = outcome.client_mac;
        let is_named = kept.brief.looked_up.is_some()
            || self.lookups.name_of(server, client, mac, begun).is_some();
        (!is_named).then_some(outcome)
    }
}
