//! What was seen of one lookup: plain facts.

use std::net::IpAddr;

use wirewhy_packet::Interval;
use wirewhy_protocol::{DnsAuthority, DnsMessage, ExtendedError};

use super::depend::Dependent;
use crate::Mark;

/// One end of a query.
pub type Socket = (IpAddr, u16);

/// What one client asked to resolve one name: the names of a search list, A and AAAA, repeats, other resolvers, TCP after a
/// truncated answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lookup {
    /// Who asked.
    pub client: IpAddr,
    /// The names asked for, in the order of their first query and in its case; at most [`Lookup::NAMES`].
    pub names: Vec<Box<str>>,
    /// The queries, in the order in which they were sent; at most [`Lookup::QUERIES`].
    pub queries: Vec<Query>,
    /// Queries beyond those that are kept.
    pub more_queries: u32,
    /// TCP connections that the client opened to a resolver whose answer did not fit, by stream, with their first packets; at
    /// most [`Lookup::ATTEMPTS`].
    pub attempts: Vec<(u32, Mark)>,
    /// TCP connections that the client could not begin before this lookup; at most [`Lookup::DEPENDENTS`].
    pub dependents: Vec<Dependent>,
    /// How many more there were.
    pub more_dependents: u32,
    /// The first query.
    pub first: Mark,
    /// The latest query, repeats included.
    pub last_query: Mark,
    /// The latest query or answer.
    pub last: Mark,
    /// How long the capture ran on behind the latest query, as far as it was looked at.
    pub heard_after: Interval,
    /// Whether packets of it may be missing because a file of the recording is.
    pub interrupted: bool,
}

/// One query, and what came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    /// Which of [`Lookup::names`] it asks for.
    pub name: usize,
    /// The type of records asked for.
    pub kind: u16,
    /// Who is asked.
    pub resolver: Socket,
    /// The stream of the TCP connection it was sent over; `None` over UDP.
    pub stream: Option<u32>,
    /// Whether a resolver's work is wanted (RD). Resolvers themselves ask authorities without it.
    pub recursion_desired: bool,
    /// The largest answer over UDP that the client takes, where it says so (EDNS).
    pub edns: Option<u16>,
    /// When it was sent first.
    pub sent: Mark,
    /// When it was sent last: with the same number from the same port.
    pub latest: Mark,
    /// How often it was sent again.
    pub repeats: u32,
    /// The first answer.
    pub answer: Option<Answered>,
    /// A later answer that says something else.
    pub contradiction: Option<Answered>,
    /// The first fragment of an answer of which nothing else came, with the length of the answer in bytes.
    pub fragment: Option<(Mark, u32)>,
    /// An answer from an address that was not asked.
    pub stranger: Option<(IpAddr, Mark)>,
    /// An ICMP error about the query.
    pub icmp: Option<QueryError>,
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answered {
    /// When it came.
    pub mark: Mark,
    /// How long it took since the query was sent last.
    pub took: Interval,
    /// The response code.
    pub rcode: u16,
    /// Whether it has records of the type asked for.
    pub has_answer: bool,
    /// Addresses in it, the first ones.
    pub addresses: Vec<IpAddr>,
    /// Whether it did not fit (TC).
    pub truncated: bool,
    /// Whether the server does a resolver's work (RA).
    pub recursion_available: bool,
    /// Whether it only names other servers.
    pub refers: bool,
    /// Whether EDNS is in it.
    pub edns: bool,
    /// Whether the server has validated it (AD).
    pub authentic: bool,
    /// Whether it has the name in the case in which it was asked for; `None` where it has no question.
    pub same_case: Option<bool>,
    /// Time to live or hop limit on arrival.
    pub ttl: u8,
    /// Length in bytes.
    pub length: u32,
    /// The zone that says that something does not exist.
    pub authority: Option<Box<DnsAuthority>>,
    /// The extended error.
    pub error: Option<Box<ExtendedError>>,
    /// Whether the end of it was not captured.
    pub is_cut: bool,
    pub(crate) digest: u64,
}

/// An ICMP error about a query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueryError {
    /// Where it is.
    pub mark: Mark,
    /// Whether it is ICMPv6.
    pub v6: bool,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// Who sent it.
    pub reporter: IpAddr,
}

impl QueryError {
    /// Whether it says that nothing listens on the port.
    #[must_use]
    pub fn is_port_unreachable(&self) -> bool {
        (self.v6, self.kind, self.code) == (false, 3, 3)
            || (self.v6, self.kind, self.code) == (true, 1, 4)
    }
}

impl Lookup {
    /// How many names are kept.
    pub const NAMES: usize = 8;
    /// How many queries are kept.
    pub const QUERIES: usize = 32;
    /// How many connections are kept.
    pub const ATTEMPTS: usize = 4;
    /// How many connections that depended on it are kept.
    pub const DEPENDENTS: usize = 16;
    /// How many addresses of an answer are kept.
    pub const ADDRESSES: usize = 4;

    /// The name looked up: the one that all of a search list begin with.
    #[must_use]
    pub fn name(&self) -> &str {
        let shortest = self.names.iter().min_by_key(|name| name.len());
        shortest.map_or("", |name| name)
    }

    /// How many queries there were, repeats included.
    #[must_use]
    pub fn asked(&self) -> u64 {
        let kept = self
            .queries
            .iter()
            .map(|query| 1 + u64::from(query.repeats));
        kept.sum::<u64>() + u64::from(self.more_queries)
    }

    /// How long at least one query waited for its answer: until it came, or the client turned to something else.
    #[must_use]
    pub fn waited(&self) -> Interval {
        let mut until = self.first.time;
        let mut waited = Interval::ZERO;
        for (index, query) in self.queries.iter().enumerate() {
            let end = match &query.answer {
                Some(answer) => answer.mark.time,
                // Until the client asked something else, as far as it did.
                None => self
                    .queries
                    .get(index + 1..)
                    .unwrap_or(&[])
                    .iter()
                    .map(|later| later.sent.time)
                    .find(|sent| *sent > query.latest.time)
                    .unwrap_or(query.latest.time),
            };
            let begin = query.sent.time.max(until);
            if end > begin {
                waited = Interval(waited.0.saturating_add(end.since(begin).0));
                until = end;
            }
        }
        waited
    }

    /// The first answer that has what was asked for.
    #[must_use]
    pub fn resolved(&self) -> Option<&Query> {
        self.queries.iter().find(|query| query.is_resolved())
    }
}

impl Query {
    /// Whether it was answered with what was asked for.
    #[must_use]
    pub fn is_resolved(&self) -> bool {
        let answer = self.answer.as_ref();
        answer.is_some_and(|answer| answer.has_answer && answer.rcode == 0 && !answer.truncated)
    }

    /// Whether it was answered, by whatever: over UDP a truncated answer only says to ask over TCP.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let answer = self.answer.as_ref();
        answer.is_some_and(|answer| !answer.truncated || self.stream.is_some())
    }
}

impl Answered {
    pub(super) fn of(message: &DnsMessage, mark: Mark, took: Interval, ttl: u8) -> Answered {
        let edns = message.edns.as_ref();
        Answered {
            mark,
            took,
            rcode: message.rcode,
            // What was cut may have it.
            has_answer: message.has_answer() || message.is_cut && message.announced_answers > 0,
            addresses: message
                .addresses()
                .map(|(address, _)| address)
                .take(Lookup::ADDRESSES)
                .collect(),
            truncated: message.truncated,
            recursion_available: message.recursion_available,
            refers: message.refers,
            edns: edns.is_some(),
            authentic: message.authentic,
            same_case: None,
            ttl,
            length: message.length,
            authority: message.authority.clone(),
            error: edns.and_then(|edns| edns.error.clone()),
            is_cut: message.is_cut,
            digest: message.digest,
        }
    }
}
