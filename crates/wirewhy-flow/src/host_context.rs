//! What the rest of the capture tells about the two hosts of a connection.

use std::net::IpAddr;

use foldhash::fast::RandomState;
use indexmap::map::Entry;
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
    /// The latest earlier SYN from the client's address to the same service that was answered; of a connection whose server was not
    /// seen.
    pub accepted: Option<AcceptedTimestamp>,
    /// The stream that used the same addresses and ports before.
    pub earlier_stream: Option<u32>,
}

wirewhy_protocol::compact!(HostContext {
    server_ttl,
    server_round_trip,
    accepted,
    earlier_stream
});

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

wirewhy_protocol::compact!(AcceptedTimestamp {
    value,
    mark,
    one_clock,
    answered
});

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

/// The last answered SYNs from one address to one service.
#[derive(Debug)]
struct Accepted {
    latest: ClockSeen,
    /// Those before it, newest last; most have none.
    earlier: Vec<ClockSeen>,
    one_clock: bool,
    answered: u32,
}

/// What a clock showed, and where that was seen.
#[derive(Clone, Copy, Debug)]
struct ClockSeen {
    value: u32,
    mark: Mark,
}

impl Accepted {
    /// How many are kept before the latest.
    const EARLIER: usize = 3;

    fn first(seen: ClockSeen) -> Accepted {
        Accepted {
            latest: seen,
            earlier: Vec::new(),
            one_clock: true,
            answered: 1,
        }
    }

    fn add(&mut self, seen: ClockSeen) {
        let before = std::mem::replace(&mut self.latest, seen);
        let ticks = i64::from(Seq(seen.value).distance_from(Seq(before.value)));
        let passed = seen.mark.time.since(before.mark.time);
        let reachable = passed.0 / 1_000_000 * FASTEST_CLOCK_HZ / 1_000;
        self.one_clock &= (0..=reachable.max(0) + 100).contains(&ticks);
        if self.earlier.len() == Accepted::EARLIER {
            self.earlier.remove(0);
        } else if self.earlier.is_empty() {
            self.earlier.reserve_exact(Accepted::EARLIER);
        }
        self.earlier.push(before);
        self.answered = self.answered.saturating_add(1);
    }

    /// The latest of them before a frame.
    fn before(&self, first: Mark) -> Option<AcceptedTimestamp> {
        let mut seen = std::iter::once(&self.latest).chain(self.earlier.iter().rev());
        let ClockSeen { value, mark } = *seen.find(|seen| seen.mark.frame < first.frame)?;
        Some(AcceptedTimestamp {
            value,
            mark,
            one_clock: self.one_clock,
            answered: self.answered,
        })
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
        let seen = ClockSeen { value, mark };
        match self.accepted.entry((client, service)) {
            Entry::Occupied(mut known) => {
                known.get_mut().add(seen);
                return;
            }
            Entry::Vacant(place) => place.insert(Accepted::first(seen)),
        };
        if self.accepted.len() > Self::LIMIT {
            self.accepted.drain(..Self::LIMIT / 2);
        }
    }

    pub(crate) fn is_service(&self, endpoint: (IpAddr, u16)) -> bool {
        self.services.contains(&endpoint)
    }

    /// The latest SYN from a client to a service that was answered, of those before `first`.
    #[inline]
    pub(crate) fn accepted_before(
        &self,
        client: IpAddr,
        service: (IpAddr, u16),
        first: Mark,
    ) -> Option<AcceptedTimestamp> {
        if self.accepted.is_empty() {
            // As in most scans and floods.
            return None;
        }
        self.accepted.get(&(client, service))?.before(first)
    }

    /// What is known of a server's address.
    #[inline]
    pub(crate) fn around(&self, server: IpAddr) -> HostContext {
        if self.by_address.is_empty() {
            return HostContext::default();
        }
        self.seen_around(server)
    }

    fn seen_around(&self, server: IpAddr) -> HostContext {
        let seen = self.by_address.get(&server);
        HostContext {
            server_ttl: seen.map(|seen| seen.ttl),
            server_round_trip: seen.and_then(|seen| seen.round_trip),
            accepted: None,
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
