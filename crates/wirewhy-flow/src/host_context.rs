//! What the rest of the capture tells about the two hosts of a connection.

use std::net::IpAddr;

use foldhash::fast::RandomState;
use indexmap::{IndexMap, IndexSet};
use wirewhy_packet::{Interval, Seq};

use crate::{Mark, TtlSeen};

/// What other connections of the capture tell about the hosts of this one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HostContext {
    /// Hop counts of the SYN-ACKs the server's address sent to others.
    pub server_ttl: Option<TtlSeen>,
    /// The shortest SYN to SYN-ACK time to the server's address.
    pub server_round_trip: Option<Interval>,
    /// The latest earlier SYN from the client's address to the same service that was answered.
    pub accepted: Option<AcceptedTimestamp>,
    /// The stream that used the same addresses and ports before.
    pub earlier_stream: Option<u32>,
}

/// A SYN that was answered, with the sender's clock (RFC 7323).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AcceptedTimestamp {
    /// The value of its timestamps option.
    pub value: u32,
    /// Its frame and time.
    pub mark: Mark,
    /// Whether every answered SYN carried a value that one clock could have reached since the one answered before it.
    pub one_clock: bool,
    /// How many were answered.
    pub answered: u32,
}

/// Host facts gathered from answered SYNs. A table that holds [`Hosts::LIMIT`] forgets the half it has known longest.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    by_address: IndexMap<IpAddr, HostSeen, RandomState>,
    services: IndexSet<(IpAddr, u16), RandomState>,
    accepted: IndexMap<(IpAddr, (IpAddr, u16)), Accepted, RandomState>,
}

#[derive(Clone, Copy, Debug, Default)]
struct HostSeen {
    ttl: TtlSeen,
    round_trip: Option<Interval>,
}

impl HostSeen {
    fn add(&mut self, ttl: u8, round_trip: Option<Interval>) {
        self.ttl.add(ttl);
        self.round_trip = match (self.round_trip, round_trip) {
            (Some(known), Some(new)) => Some(known.min(new)),
            (known, new) => known.or(new),
        };
    }
}

/// The last answered SYNs from one address to one service, newest last: the first one in all places until there are more.
#[derive(Clone, Copy, Debug)]
struct Accepted {
    marks: [Mark; Accepted::KEPT],
    /// What the clock showed at each.
    values: [u32; Accepted::KEPT],
    one_clock: bool,
    answered: u32,
}

impl Accepted {
    const KEPT: usize = 4;

    fn first(value: u32, mark: Mark) -> Accepted {
        Accepted {
            marks: [mark; Accepted::KEPT],
            values: [value; Accepted::KEPT],
            one_clock: true,
            answered: 1,
        }
    }

    fn add(&mut self, value: u32, mark: Mark) {
        let ([.., latest], [.., before]) = (self.values, self.marks);
        let ticks = i64::from(Seq(value).distance_from(Seq(latest)));
        let reachable = mark.time.since(before.time).0 / 1_000_000 * FASTEST_CLOCK_HZ / 1_000;
        self.one_clock &= (0..=reachable.max(0) + 100).contains(&ticks);
        self.marks.rotate_left(1);
        self.values.rotate_left(1);
        let ([.., newest], [.., newest_mark]) = (&mut self.values, &mut self.marks);
        (*newest, *newest_mark) = (value, mark);
        self.answered = self.answered.saturating_add(1);
    }
}

/// RFC 7323 section 5.4: a timestamp clock ticks between once a second and once a millisecond; twice that for slack.
const FASTEST_CLOCK_HZ: i64 = 2_000;

impl Hosts {
    const LIMIT: usize = 65_536;

    /// Learns from an answered SYN.
    pub(crate) fn learn_answer(
        &mut self,
        server: (IpAddr, u16),
        ttl: u8,
        round_trip: Option<Interval>,
    ) {
        if self.services.insert(server) && self.services.len() > Self::LIMIT {
            self.services.drain(..Self::LIMIT / 2);
        }
        if let Some(seen) = self.by_address.get_mut(&server.0) {
            seen.add(ttl, round_trip);
            return;
        }
        if self.by_address.len() >= Self::LIMIT {
            self.by_address.drain(..Self::LIMIT / 2);
        }
        let mut seen = HostSeen::default();
        seen.add(ttl, round_trip);
        self.by_address.insert(server.0, seen);
    }

    /// Learns the clock of a SYN that was answered.
    pub(crate) fn learn_timestamp(
        &mut self,
        client: IpAddr,
        service: (IpAddr, u16),
        value: u32,
        mark: Mark,
    ) {
        let key = (client, service);
        if let Some(accepted) = self.accepted.get_mut(&key) {
            accepted.add(value, mark);
            return;
        }
        if self.accepted.len() >= Self::LIMIT {
            self.accepted.drain(..Self::LIMIT / 2);
        }
        self.accepted.insert(key, Accepted::first(value, mark));
    }

    pub(crate) fn is_service(&self, endpoint: (IpAddr, u16)) -> bool {
        self.services.contains(&endpoint)
    }

    /// The latest SYN from a client to a service that was answered, of those before `first`.
    pub(crate) fn accepted_before(
        &self,
        client: IpAddr,
        service: (IpAddr, u16),
        first: Mark,
    ) -> Option<AcceptedTimestamp> {
        let accepted = self.accepted.get(&(client, service))?;
        let (mark, value) = accepted
            .marks
            .iter()
            .zip(&accepted.values)
            .rev()
            .find(|(mark, _)| mark.frame < first.frame)?;
        Some(AcceptedTimestamp {
            value: *value,
            mark: *mark,
            one_clock: accepted.one_clock,
            answered: accepted.answered,
        })
    }

    /// What is known of the two hosts of a connection that began with `first`.
    #[inline]
    pub(crate) fn around(&self, client: IpAddr, server: (IpAddr, u16), first: Mark) -> HostContext {
        if self.by_address.is_empty() {
            // Clocks are learned of the same SYNs.
            return HostContext::default();
        }
        self.seen_around(client, server, first)
    }

    fn seen_around(&self, client: IpAddr, server: (IpAddr, u16), first: Mark) -> HostContext {
        let host = self.by_address.get(&server.0);
        HostContext {
            server_ttl: host.map(|seen| seen.ttl),
            server_round_trip: host.and_then(|seen| seen.round_trip),
            accepted: self.accepted_before(client, server, first),
            earlier_stream: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a_full_table_forgets_what_it_has_known_longest() {
        let mut hosts = Hosts::default();
        let server = |number: u32| (IpAddr::V4(Ipv4Addr::from_bits(number)), 443);
        let most = u32::try_from(Hosts::LIMIT).unwrap();
        for number in 0..=most {
            hosts.learn_answer(server(number), 64, None);
        }
        assert!(hosts.services.len() <= Hosts::LIMIT);
        assert!(hosts.by_address.len() <= Hosts::LIMIT);
        assert!(hosts.is_service(server(most)));
        assert!(!hosts.is_service(server(0)));
    }
}
