//! Lookups of names: DNS queries over UDP and TCP, tied to their answers and to one another.
//!
//! A datagram costs a look at its ports and one word of its payload unless it is DNS. Multicast DNS and LLMNR only give
//! names to addresses.

mod depend;
mod groups;
mod kept;
mod lookup;
mod names;
mod pending;
mod relation;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use wirewhy_packet::{Fragment, IcmpError, Interval, Ip, MacAddr, Packet, Timestamp, UdpDatagram};
use wirewhy_protocol::{DnsData, DnsMessage, DnsSeen};

use self::depend::{FailedLookup, Unresolved};
use self::groups::{Asked, Groups};
use self::kept::Kept;
use self::names::{Named, Names, Whom};
use self::pending::{Outstanding, Waiting};
use crate::Mark;

pub use self::depend::{Dependent, LookedUp, LookupTrouble, Missed, Missing};
pub use self::kept::Alike;
pub use self::lookup::{Answered, Lookup, Query, QueryError, Socket};

/// Follows the lookups of a capture, in bounded tables.
#[derive(Debug, Default)]
pub struct Lookups {
    groups: Groups,
    outstanding: Outstanding,
    names: Names,
    kept: Kept,
    unresolved: Unresolved,
    /// Of connections that have been opened and of which nothing else is known: what their lookups lost them, by stream.
    troubles: IndexMap<u32, Box<LookupTrouble>, RandomState>,
    resolvers: IndexMap<Socket, Resolver, RandomState>,
    /// Resolvers asked at other ports than 53 that were met.
    elsewhere: Vec<Socket>,
    tally: LookupTally,
    now: Timestamp,
}

/// What was counted of DNS.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LookupTally {
    /// Queries, repeats included; multicast DNS and LLMNR are not counted.
    pub queries: u64,
    /// Responses by code; index 16 counts all from 16 on.
    pub responses: [u64; 17],
    /// Lookups that are over.
    pub lookups: u64,
    /// Those of them that are kept.
    pub kept: u64,
    /// Queries and lookups that were given up because a table was full.
    pub given_up: u64,
}

/// What was seen of one resolver.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Resolver {
    /// Queries to it.
    pub queries: u64,
    /// Answers of it.
    pub answers: u64,
    /// Its quickest answer.
    pub quickest: Option<Interval>,
    /// The least and greatest hop count of its answers.
    pub hops: Option<(u8, u8)>,
}

/// A message and where it came from.
struct Seen<'a> {
    mark: Mark,
    source: Socket,
    destination: Socket,
    stream: Option<u32>,
    ttl: u8,
    /// The MAC address of the client.
    link: Option<MacAddr>,
    message: &'a DnsMessage,
}

const DNS: u16 = 53;
const MULTICAST_DNS: u16 = 5353;
const LLMNR: u16 = 5355;
/// NetBIOS names have the same header.
const NETBIOS: u16 = 137;

const MOST_RESOLVERS: usize = 16_384;
const MOST_ELSEWHERE: usize = 64;

/// Protocol number of UDP.
const UDP: u8 = 17;
const UDP_HEADER: usize = 8;

impl Lookups {
    /// Lookups that are over and about which there may be something to say, in the order in which they were met first.
    pub fn kept(&self) -> impl Iterator<Item = &Alike> {
        self.kept.iter()
    }

    /// What was counted.
    #[must_use]
    pub fn tally(&self) -> &LookupTally {
        &self.tally
    }

    /// What was seen of a resolver.
    #[must_use]
    pub fn resolver(&self, resolver: Socket) -> Option<&Resolver> {
        self.resolvers.get(&resolver)
    }

    /// What stands before a domain that the search list of a client puts behind names, where a name in lower case ends in one.
    #[must_use]
    pub fn before_searched<'a>(&self, client: IpAddr, name: &'a str) -> Option<&'a str> {
        self.groups.before_searched(client, name)
    }

    /// Whether nothing was looked up yet that a connection may have waited for.
    #[inline]
    pub(crate) fn knows_nothing(&self) -> bool {
        self.troubles.is_empty() && self.names.is_empty()
    }

    /// The name that a client's lookups gave to an address by a time.
    pub(crate) fn name_of(
        &self,
        address: IpAddr,
        client: IpAddr,
        link: Option<MacAddr>,
        time: Timestamp,
    ) -> Option<LookedUp> {
        let named = self.names.find(address, client, link, time)?;
        Some(named.looked_up())
    }

    /// Takes in a datagram, if it is DNS.
    #[inline]
    pub(crate) fn observe(
        &mut self,
        packet: &Packet<'_>,
        ip: &Ip,
        udp: &UdpDatagram<'_>,
        now: Timestamp,
    ) {
        let ports = (udp.source_port, udp.destination_port);
        if may_be(ports, udp.payload) || !self.elsewhere.is_empty() {
            self.observe_datagram(packet, ip, udp, now);
        }
    }

    #[inline(never)]
    fn observe_datagram(
        &mut self,
        packet: &Packet<'_>,
        ip: &Ip,
        udp: &UdpDatagram<'_>,
        now: Timestamp,
    ) {
        let source = (ip.source, udp.source_port);
        let destination = (ip.destination, udp.destination_port);
        let has = |port: u16| source.1 == port || destination.1 == port;
        let known = [DNS, MULTICAST_DNS, LLMNR].into_iter().any(has);
        let by_port = has(DNS);
        let is_elsewhere =
            !by_port && (self.elsewhere.contains(&source) || self.elsewhere.contains(&destination));
        if !known && !is_elsewhere && !looks_like_query(udp.payload) {
            return;
        }
        let Some(message) = DnsMessage::read(udp.payload, udp.payload_len) else {
            return;
        };
        let link = if message.is_response {
            packet.link.destination
        } else {
            packet.link.source
        };
        let seen = Seen {
            mark: mark_of(packet),
            source,
            destination,
            stream: None,
            ttl: ip.ttl,
            link,
            message: &message,
        };
        if is_multicast(&seen) {
            self.learn_of_all(&seen);
            return;
        }
        if !by_port && !is_elsewhere {
            if !is_plainly_a_query(&seen) {
                return;
            }
            if self.elsewhere.len() >= MOST_ELSEWHERE {
                self.elsewhere.remove(0);
            }
            self.elsewhere.push(destination);
        }
        self.take(&seen, now);
    }

    /// Takes in the first fragment of a datagram, if it is an answer.
    pub(crate) fn observe_fragment(&mut self, packet: &Packet<'_>, ip: &Ip, piece: &Fragment<'_>) {
        if piece.protocol != UDP || piece.offset != 0 {
            return;
        }
        let Some((&[s0, s1, d0, d1, l0, l1, _, _], payload)) =
            piece.data.split_first_chunk::<UDP_HEADER>()
        else {
            return;
        };
        let source = (ip.source, u16::from_be_bytes([s0, s1]));
        let destination = (ip.destination, u16::from_be_bytes([d0, d1]));
        if source.1 != DNS && !self.elsewhere.contains(&source) {
            return;
        }
        let length = u32::from(u16::from_be_bytes([l0, l1])).saturating_sub(8);
        let Some(message) = DnsMessage::read(payload, length).filter(|found| found.is_response)
        else {
            return;
        };
        let waiting = Waiting {
            client: destination,
            resolver: source,
            id: message.id,
        };
        let mark = mark_of(packet);
        if let Some((asked, _)) = self.outstanding.find(&waiting)
            && let Some(query) = self.groups.query(asked)
            && query.answer.is_none()
        {
            query.fragment = Some((mark, length));
            self.groups.touch(asked, mark);
        }
    }

    /// Takes in the messages of a TCP connection.
    pub(crate) fn observe_stream(
        &mut self,
        stream: u32,
        client: (Socket, Option<MacAddr>),
        server: Socket,
        ttl: u8,
        messages: &[DnsSeen],
        now: Timestamp,
    ) {
        for DnsSeen { mark, message } in messages {
            let (source, destination) = match message.is_response {
                true => (server, client.0),
                false => (client.0, server),
            };
            let seen = Seen {
                mark: Mark {
                    frame: mark.frame,
                    time: mark.time,
                },
                source,
                destination,
                stream: Some(stream),
                ttl,
                link: client.1,
                message,
            };
            self.take(&seen, now);
        }
    }

    /// Takes in an ICMP error that quotes a datagram.
    pub(crate) fn observe_icmp(
        &mut self,
        packet: &Packet<'_>,
        reporter: IpAddr,
        error: &IcmpError,
    ) {
        let Some(quoted) = error.quoted.filter(|quoted| quoted.protocol == UDP) else {
            return;
        };
        let Some((source, destination)) = quoted.ports else {
            return;
        };
        let resolver = (quoted.destination, destination);
        if destination != DNS && !self.elsewhere.contains(&resolver) {
            return;
        }
        let found = QueryError {
            mark: mark_of(packet),
            v6: error.v6,
            kind: error.kind,
            code: error.code,
            reporter,
        };
        let client = (quoted.source, source);
        for asked in self.outstanding.of(client, resolver) {
            if let Some(query) = self.groups.query(asked)
                && query.answer.is_none()
            {
                query.icmp.get_or_insert(found);
                self.groups.touch(asked, found.mark);
            }
        }
    }

    /// Takes in that a TCP connection is opened.
    #[inline]
    pub(crate) fn observe_opening(
        &mut self,
        (client, link): (Socket, Option<MacAddr>),
        server: Socket,
        stream: u32,
        mark: Mark,
    ) {
        if server.1 == DNS || self.elsewhere.contains(&server) {
            self.groups.retry(client.0, server, stream, mark);
        }
        if !self.groups.is_empty() {
            self.note_dependent((client.0, link), server, (stream, mark));
        }
    }

    /// Notes that packets are missing before the next one: answers may be among them.
    pub(crate) fn interrupt(&mut self) {
        self.groups.interrupt();
    }

    /// Lets time pass: lookups at rest are over.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        if self.groups.is_empty() && self.outstanding.is_empty() {
            return;
        }
        self.now = now;
        self.outstanding.expire(now);
        while let Some(lookup) = self.groups.next_over(now) {
            self.close(lookup);
        }
    }

    /// The capture is over, and every lookup with it.
    pub(crate) fn finish(&mut self, now: Timestamp) {
        self.advance(now);
        for lookup in self.groups.take_all(now) {
            self.close(lookup);
        }
    }

    fn close(&mut self, lookup: Lookup) {
        self.tally.lookups += 1;
        let failed = FailedLookup::of(&lookup);
        if let Some(key) = self.kept.add(lookup) {
            self.tally.kept += 1;
            if let Some(failed) = failed {
                self.unresolved.add(failed, key);
            }
        }
    }

    fn take(&mut self, seen: &Seen<'_>, now: Timestamp) {
        self.now = now;
        self.advance(now);
        match seen.message.is_response {
            false => self.take_query(seen),
            true => self.take_answer(seen),
        }
    }

    fn take_query(&mut self, seen: &Seen<'_>) {
        self.tally.queries += 1;
        let Some(question) = seen.message.question.as_ref() else {
            return;
        };
        if !seen.message.is_query() || is_to_many(seen.destination.0) {
            return;
        }
        if let Some(resolver) = self.resolver_mut(seen.destination) {
            resolver.queries += 1;
        }
        let waiting = Waiting {
            client: seen.source,
            resolver: seen.destination,
            id: seen.message.id,
        };
        let folded = question.name.to_ascii_lowercase();
        if let Some((asked, latest)) = self.outstanding.find(&waiting)
            && self
                .groups
                .repeat(asked, &folded, question.kind, latest, seen.mark)
        {
            self.outstanding.sent_again(&waiting, seen.mark.time);
            return;
        }
        let query = Query {
            name: 0,
            kind: question.kind,
            resolver: seen.destination,
            stream: seen.stream,
            recursion_desired: seen.message.recursion_desired,
            edns: seen.message.edns.as_ref().map(|edns| edns.size),
            sent: seen.mark,
            latest: seen.mark,
            repeats: 0,
            answer: None,
            contradiction: None,
            fragment: None,
            stranger: None,
            icmp: None,
        };
        let (asked, displaced) =
            self.groups
                .ask(seen.source.0, &question.name, folded, query, self.now);
        if let Some(lookup) = displaced {
            self.tally.given_up += 1;
            self.close(lookup);
        }
        if let Some(asked) = asked {
            self.tally.given_up += u64::from(self.outstanding.add(
                waiting,
                (asked, seen.link),
                seen.mark.time,
            ));
        }
    }

    fn take_answer(&mut self, seen: &Seen<'_>) {
        let message = seen.message;
        let code = usize::from(message.rcode.min(16));
        if let Some(count) = self.tally.responses.get_mut(code) {
            *count += 1;
        }
        if !message.is_query() {
            return;
        }
        let waiting = Waiting {
            client: seen.destination,
            resolver: seen.source,
            id: message.id,
        };
        let found = self.outstanding.find(&waiting);
        let took = match found {
            Some((asked, latest)) => self.answer(asked, latest, seen),
            None => {
                if let Some(asked) = self.outstanding.asked_elsewhere(&waiting) {
                    self.groups
                        .answered_by(asked, seen.source.0, seen.mark, message);
                }
                None
            }
        };
        if let Some(resolver) = self.resolver_mut(seen.source) {
            resolver.answers += 1;
            if let Some(took) = took.filter(|_| seen.stream.is_none()) {
                resolver.quickest = Some(resolver.quickest.map_or(took, |known| known.min(took)));
                let (least, most) = resolver.hops.unwrap_or((seen.ttl, seen.ttl));
                resolver.hops = Some((least.min(seen.ttl), most.max(seen.ttl)));
            }
        }
        let asked = found.map(|(asked, _)| asked);
        let link = seen.link.or_else(|| self.outstanding.link_of(&waiting));
        self.learn(seen, asked, link);
    }

    /// Gives an answer to its query. Returns how long it took.
    fn answer(&mut self, asked: Asked, latest: Timestamp, seen: &Seen<'_>) -> Option<Interval> {
        let took = seen.mark.time.since(latest).max(Interval::ZERO);
        let answered = Answered::of(seen.message, seen.mark, took, seen.ttl);
        let is_first = self
            .groups
            .answer(asked, seen.message.question.as_ref(), answered);
        is_first.then_some(took)
    }

    /// Names for the addresses of an answer.
    fn learn(&mut self, seen: &Seen<'_>, asked: Option<Asked>, link: Option<MacAddr>) {
        let message = seen.message;
        let Some(question) = message.question.as_ref().filter(|_| message.rcode == 0) else {
            return;
        };
        let mut name: Option<Arc<str>> = None;
        let client = seen.destination.0;
        let since = asked.and_then(|asked| self.groups.first_query(asked));
        for (address, ttl) in message.addresses() {
            let name = name.get_or_insert_with(|| Arc::from(&*question.name));
            let took = since.map(|since| seen.mark.time.since(since.time).max(Interval::ZERO));
            let found = Named {
                asker: Some(client),
                asked,
                took,
                ..Named::new(Arc::clone(name), seen.mark, ttl)
            };
            let whom = if client.is_loopback() {
                Whom::Own
            } else {
                Whom::Host(client)
            };
            self.names.learn(address, whom, found.clone());
            if let Some(link) = link.filter(|link| !client.is_loopback() && link.0 != [0; 6]) {
                self.names.learn(address, Whom::Link(link), found);
            }
        }
    }

    /// What multicast DNS says, it says to all.
    fn learn_of_all(&mut self, seen: &Seen<'_>) {
        if !seen.message.is_response {
            return;
        }
        for answer in &seen.message.answers {
            if let DnsData::Address(address) = &answer.data {
                let name: Arc<str> = Arc::from(&*answer.owner);
                let found = Named::new(name, seen.mark, answer.ttl);
                self.names.learn(*address, Whom::All, found);
            }
        }
    }

    fn resolver_mut(&mut self, resolver: Socket) -> Option<&mut Resolver> {
        if self.resolvers.len() >= MOST_RESOLVERS && !self.resolvers.contains_key(&resolver) {
            return None;
        }
        Some(self.resolvers.entry(resolver).or_default())
    }
}

#[inline]
fn may_be((source, destination): (u16, u16), payload: &[u8]) -> bool {
    matches!(source, DNS | MULTICAST_DNS | LLMNR)
        || matches!(destination, DNS | MULTICAST_DNS | LLMNR)
        || looks_like_query(payload)
}

/// Whether the flags and counts are those of a query with one question and nothing else, but perhaps one OPT record.
#[inline]
fn looks_like_query(payload: &[u8]) -> bool {
    const COUNTS: u64 = 0x0001_0000_0000_0000;
    let Some(&[_, _, flags, _, a, b, c, d, e, f, g, h]) = payload.first_chunk::<12>() else {
        return false;
    };
    let counts = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    counts & !1 == COUNTS && flags == 1
}

/// Whether a message to a port that is not known is a query all the same: a name of several labels and a usual type, in the
/// class of the Internet.
fn is_plainly_a_query(seen: &Seen<'_>) -> bool {
    const USUAL: [u16; 11] = [1, 2, 5, 6, 12, 15, 16, 28, 33, 64, 65];
    let ports = [seen.source.1, seen.destination.1];
    let question = seen.message.question.as_ref();
    !seen.message.is_response
        && !ports.contains(&NETBIOS)
        && question.is_some_and(|question| {
            question.class == 1
                && USUAL.contains(&question.kind)
                && question.name.contains('.')
                && !question.name.contains('\\')
        })
}

/// Whether a message is of multicast DNS or LLMNR. A query of an ephemeral port to one host's port 5353 is of neither.
fn is_multicast(seen: &Seen<'_>) -> bool {
    let ports = [seen.source.1, seen.destination.1];
    // Any port may be a client's own.
    let elsewhere = !ports.contains(&DNS);
    elsewhere && ports.contains(&LLMNR)
        || ports == [MULTICAST_DNS, MULTICAST_DNS]
        || ports.contains(&MULTICAST_DNS) && is_to_many(seen.destination.0)
}

fn is_to_many(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_multicast() || address.octets()[3] == 255,
        IpAddr::V6(address) => address.is_multicast(),
    }
}

fn mark_of(packet: &Packet<'_>) -> Mark {
    Mark {
        frame: packet.frame,
        time: packet.time,
    }
}
