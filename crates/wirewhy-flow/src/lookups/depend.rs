//! Connections that depended on lookups, and what those lost them.

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use wirewhy_packet::{Interval, MacAddr, Timestamp};

use super::kept::Key;
use super::lookup::{Lookup, Query, Socket};
use super::{Lookups, QueryError};
use crate::{Connection, Mark};

/// The name that a client had looked up for the server of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LookedUp {
    /// The name that was asked for; of a chain of aliases its first.
    pub name: Arc<str>,
    /// Who asked; `None` for multicast DNS. Connections with one name and one asker are of one client, whatever their addresses.
    pub asker: Option<IpAddr>,
    /// The answer with the server's address; `None` where the client has the address from elsewhere.
    pub answer: Option<Mark>,
    /// How long the lookup took up to then, since its first query; `None` where that was not seen.
    pub took: Option<Interval>,
    /// What went wrong in the lookup that the connection depended on; `None` where nothing did, or it depended on none.
    pub trouble: Option<Box<LookupTrouble>>,
}

wirewhy_protocol::compact!(LookedUp {
    name,
    asker,
    answer,
    took,
    trouble
});

/// What a lookup lost a connection that depended on it, as it stood when the connection began.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LookupTrouble {
    /// The first query.
    pub first: Mark,
    /// From there to the beginning of the connection.
    pub delay: Interval,
    /// Whether this lookup gave the address; otherwise it failed, and the client had the address from elsewhere.
    pub is_resolved: bool,
    /// The queries for addresses that failed, each kind of failure once; at most [`LookupTrouble::MISSED`].
    pub missed: Vec<Missed>,
}

wirewhy_protocol::compact!(LookupTrouble {
    first,
    delay,
    is_resolved,
    missed
});

impl LookupTrouble {
    /// How many failures are kept.
    pub const MISSED: usize = 4;
}

/// A query for addresses that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Missed {
    /// The type of records asked for.
    pub kind: u16,
    /// Who was asked.
    pub resolver: Socket,
    /// How it failed.
    pub how: Missing,
    /// The frame that shows it: the answer or the error, else the query; and when that was clear.
    pub since: Mark,
}

wirewhy_protocol::compact!(Missed {
    kind,
    resolver,
    how,
    since
});

/// How a query failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Missing {
    /// Nothing came for a second or longer.
    Unanswered,
    /// It was sent again before its answer came.
    Repeated,
    /// It was answered with this response code.
    Code(u16),
    /// An ICMP error came.
    Unreachable,
}

wirewhy_protocol::compact!(Missing = { 0 Unanswered, 1 Repeated, 2 Code(item), 3 Unreachable });

/// A connection that depended on a lookup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dependent {
    /// Its stream.
    pub stream: u32,
    /// Its first packet.
    pub start: Mark,
    /// Whom it goes to.
    pub server: Socket,
    /// From the first query of the lookup to the beginning of the connection.
    pub delay: Interval,
    /// Whether the lookup gave the address; otherwise it failed, and the client had the address from elsewhere.
    pub is_resolved: bool,
}

/// A lookup of addresses that came to nothing.
#[derive(Clone, Debug)]
pub(super) struct FailedLookup {
    client: IpAddr,
    /// In lower case.
    names: Vec<Box<str>>,
    first: Mark,
    last: Timestamp,
    missed: Vec<Missed>,
}

/// Lookups that came to nothing and are over, by client and name; a full table forgets the half it has known longest.
#[derive(Debug, Default)]
pub(super) struct Unresolved(IndexMap<(IpAddr, Box<str>), (FailedLookup, Key), RandomState>);

const MOST_UNRESOLVED: usize = 1_024;

/// How many openings keep what their lookups lost them until their connections are known.
const MOST_TROUBLES: usize = 16_384;

/// A query without an answer for as long is not only on its way.
const WAITED: Interval = Interval::from_secs(1);

/// A connection that depends on an answer begins at once; so long after it at the latest.
const AT_ONCE: Interval = Interval::from_secs(1);

/// How long glibc and Go wait for the answer to a query.
const TIMEOUT: Interval = Interval::from_secs(5);

/// How far from its time-out a client goes on.
const PUNCTUAL: Interval = Interval::from_millis(300);

/// How long behind a lookup that failed a client may connect all the same: libraries give up so long after their last query.
const ALL_THE_SAME: Interval = Interval::from_secs(15);

const A: u16 = 1;
const AAAA: u16 = 28;
const NXDOMAIN: u16 = 3;
const BADCOOKIE: u16 = 23;

impl Lookups {
    /// Takes in that a client opens a connection: it may have waited for the lookup of the server's name.
    pub(super) fn note_dependent(
        &mut self,
        (client, link): (IpAddr, Option<MacAddr>),
        server: Socket,
        (stream, start): (u32, Mark),
    ) {
        let Some(named) = self.names.find(server.0, client, link, start.time) else {
            return;
        };
        let answered = named.answer.time;
        let asked = named.asked;
        let Some(lookup) = asked.and_then(|asked| self.groups.lookup_mut(asked)) else {
            return;
        };
        if !depends(lookup, answered, server, start.time) {
            return;
        }
        let missed = missed(lookup, start.time);
        let delay = lookup.until(start);
        lookup.depend(Dependent {
            stream,
            start,
            server,
            delay,
            is_resolved: true,
        });
        if missed.is_empty() && lookup.waited() < WAITED {
            return;
        }
        let trouble = LookupTrouble {
            first: lookup.first,
            delay,
            is_resolved: true,
            missed,
        };
        if self.troubles.len() >= MOST_TROUBLES {
            self.troubles.drain(..MOST_TROUBLES / 2);
        }
        self.troubles.insert(stream, Box::new(trouble));
    }

    /// What its lookup lost a connection over TCP; given once.
    pub(crate) fn trouble_of(&mut self, stream: u32) -> Option<Box<LookupTrouble>> {
        if self.troubles.is_empty() {
            return None;
        }
        self.troubles.swap_remove(&stream)
    }

    /// Ties a connection that is over to a lookup of its server's name that failed before it began: the client has the address
    /// from an earlier answer, or in a way that was not seen.
    pub(crate) fn tie_to_failed(&mut self, connection: &mut Connection) {
        if self.unresolved.0.is_empty() && self.groups.is_empty() || connection.interrupted {
            return;
        }
        let looked_up = connection.looked_up.as_deref();
        if looked_up.is_some_and(|known| known.trouble.is_some()) {
            return;
        }
        let asked_for = looked_up
            .map(|known| &*known.name)
            .or(connection.server_name.as_deref());
        let Some(folded) = asked_for.map(str::to_ascii_lowercase) else {
            return;
        };
        let answered = looked_up.and_then(|known| known.answer);
        let (client, start) = (connection.client.address, connection.first);
        let server = (connection.server.address, connection.server.port);
        let before = |failed: &FailedLookup| {
            // An answer of this lookup or a later one is no earlier one.
            let gave = answered.is_some_and(|answer| answer.time >= failed.first.time);
            let trouble = failed.trouble_at(start).filter(|_| !gave)?;
            let dependent = Dependent {
                stream: connection.stream,
                start,
                server,
                delay: trouble.delay,
                is_resolved: false,
            };
            Some((trouble, dependent))
        };
        let trouble = if let Some(lookup) = self.groups.by_name(client, &folded) {
            let found = FailedLookup::of(lookup).and_then(|failed| before(&failed));
            let Some((trouble, dependent)) = found else {
                return;
            };
            lookup.depend(dependent);
            trouble
        } else {
            let key = (client, Box::from(folded));
            let Some((failed, key)) = self.unresolved.0.get(&key) else {
                return;
            };
            let Some((trouble, dependent)) = before(failed) else {
                return;
            };
            self.kept.depend(key, dependent);
            trouble
        };
        let name = connection.server_name.as_deref().unwrap_or_default();
        let known = connection.looked_up.get_or_insert_with(|| {
            Box::new(LookedUp {
                name: Arc::from(name),
                asker: Some(client),
                answer: None,
                took: None,
                trouble: None,
            })
        });
        known.trouble = Some(Box::new(trouble));
    }
}

impl Lookup {
    /// Takes in that a connection depended on it.
    pub(super) fn depend(&mut self, dependent: Dependent) {
        if self.dependents.len() < Lookup::DEPENDENTS {
            self.dependents.push(dependent);
        } else {
            self.more_dependents = self.more_dependents.saturating_add(1);
        }
    }

    /// Takes over the connections that depended on another lookup.
    pub(super) fn take_dependents(&mut self, other: Lookup) {
        let more = self.more_dependents.saturating_add(other.more_dependents);
        self.dependents.extend(other.dependents);
        self.dependents
            .sort_by_key(|dependent| dependent.start.frame);
        let beyond = self.dependents.len().saturating_sub(Lookup::DEPENDENTS);
        self.dependents.truncate(Lookup::DEPENDENTS);
        let beyond = u32::try_from(beyond).unwrap_or(u32::MAX);
        self.more_dependents = more.saturating_add(beyond);
    }

    fn until(&self, mark: Mark) -> Interval {
        mark.time.since(self.first.time).max(Interval::ZERO)
    }
}

impl FailedLookup {
    /// A lookup of addresses that came to nothing.
    pub(super) fn of(lookup: &Lookup) -> Option<FailedLookup> {
        if lookup.resolved().is_some() || lookup.interrupted {
            return None;
        }
        let missed = missed(lookup, Timestamp(i64::MAX));
        (!missed.is_empty()).then(|| FailedLookup {
            client: lookup.client,
            names: lookup
                .names
                .iter()
                .map(|name| name.to_ascii_lowercase().into())
                .collect(),
            first: lookup.first,
            last: lookup.last.time,
            missed,
        })
    }

    /// What it had lost a client by the time at which it connected all the same.
    fn trouble_at(&self, start: Mark) -> Option<LookupTrouble> {
        let by_then = self.missed.iter().copied();
        let missed: Vec<Missed> = by_then
            .filter(|missed| missed.since.time <= start.time)
            .collect();
        let soon = start.time.since(self.last) <= ALL_THE_SAME;
        (soon && !missed.is_empty()).then(|| LookupTrouble {
            first: self.first,
            delay: start.time.since(self.first.time).max(Interval::ZERO),
            is_resolved: false,
            missed,
        })
    }
}

impl Unresolved {
    pub(super) fn add(&mut self, failed: FailedLookup, key: Key) {
        if self.0.len() >= MOST_UNRESOLVED {
            self.0.drain(..MOST_UNRESOLVED / 2);
        }
        for name in &failed.names {
            let at = (failed.client, name.clone());
            self.0.insert(at, (failed.clone(), key.clone()));
        }
    }
}

/// Whether a connection to a server waited for the answer with its address, and is the first one that did.
fn depends(lookup: &Lookup, answered: Timestamp, server: Socket, start: Timestamp) -> bool {
    let mut known = lookup.dependents.iter();
    if known.any(|dependent| dependent.server == server) {
        return false;
    }
    // Others that began with it.
    let first = lookup.dependents.first();
    let since = first.map_or(answered, |first| first.start.time.max(answered));
    if start.since(since) <= AT_ONCE {
        return true;
    }
    // It went on without the answer to another query, when that was given up.
    let open = |query: &Query| query.answer.is_none() && is_for_address(query);
    let gap = start.since(lookup.last_query.time);
    first.is_none() && lookup.queries.iter().any(open) && (gap.0 - TIMEOUT.0).abs() <= PUNCTUAL.0
}

/// The queries for addresses that had failed by a time.
fn missed(lookup: &Lookup, by: Timestamp) -> Vec<Missed> {
    let is_resolved = lookup.resolved().is_some();
    let mut found: Vec<Missed> = Vec::new();
    for query in lookup.queries.iter().filter(|query| is_for_address(query)) {
        let Some((how, since)) = failure(query, is_resolved).filter(|(_, at)| at.time <= by) else {
            continue;
        };
        let known = found.iter().any(|known| {
            (known.kind, known.resolver, known.how) == (query.kind, query.resolver, how)
        });
        if !known && found.len() < LookupTrouble::MISSED {
            found.push(Missed {
                kind: query.kind,
                resolver: query.resolver,
                how,
                since,
            });
        }
    }
    found
}

/// How a query failed, and since when that is known.
fn failure(query: &Query, is_resolved: bool) -> Option<(Missing, Mark)> {
    match (&query.answer, query.icmp) {
        (Some(answer), _) => match answer.rcode {
            0 | BADCOOKIE => (query.repeats > 0).then_some((Missing::Repeated, answer.mark)),
            // One of the names of a search list.
            NXDOMAIN if is_resolved => None,
            code => Some((Missing::Code(code), answer.mark)),
        },
        (None, Some(QueryError { mark, .. })) => Some((Missing::Unreachable, mark)),
        (None, None) => {
            let since = Mark {
                time: query.sent.time.after(WAITED),
                ..query.sent
            };
            Some((Missing::Unanswered, since))
        }
    }
}

fn is_for_address(query: &Query) -> bool {
    matches!(query.kind, A | AAAA)
}

#[cfg(test)]
mod tests {
    use super::super::tests::followed;
    use super::*;

    /// Seconds, whether the lookup gave the address, and its failures.
    type Trouble = (f64, bool, Vec<(u16, Missing)>);

    /// What each connection of a trace lost by its lookup.
    fn waits(lines: &str) -> Vec<Option<Trouble>> {
        let (_, mut connections) = followed(lines);
        connections.sort_by_key(|connection| connection.stream);
        let troubles = connections.into_iter().map(|connection| {
            let trouble = connection.looked_up?.trouble?;
            let missed = trouble
                .missed
                .iter()
                .map(|missed| (missed.kind, missed.how));
            let delay = (trouble.delay.as_secs_f64() * 1_000.0).round() / 1_000.0;
            Some((delay, trouble.is_resolved, missed.collect()))
        });
        troubles.collect()
    }

    /// The streams that depended on each lookup that is kept.
    fn dependents(lines: &str) -> Vec<Vec<u32>> {
        let (tracker, _) = followed(lines);
        let kept = tracker.lookups().kept();
        let streams = |lookup: &Lookup| lookup.dependents.iter().map(|one| one.stream).collect();
        kept.map(|alike| streams(&alike.lookup)).collect()
    }

    const SECOND_RESOLVER: &str = "server 192.0.2.80:443
         0.00 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A
         5.00 dns 192.0.2.1:5001 > 192.0.2.54 1 www.example.com A
         5.02 dns 192.0.2.1:5001 < 192.0.2.54 1 noerror www.example.com A 192.0.2.80
         5.03 #1 > S 0:0(0)
         5.05 #2 > S 0:0(0)
         5.06 #1 < RA 0:0(0) ack 1
         5.07 #2 < RA 0:0(0) ack 1";

    #[test]
    fn the_first_connection_behind_an_answer_waited_for_it() {
        let unanswered = (5.03, true, vec![(A, Missing::Unanswered)]);
        assert_eq!(waits(SECOND_RESOLVER), [Some(unanswered), None]);
        assert_eq!(dependents(SECOND_RESOLVER), [[0]]);
    }

    #[test]
    fn a_lone_syn_waited_too() {
        let lines = SECOND_RESOLVER.split("5.05").next().unwrap();
        let waits = waits(&format!("{lines}60 end"));
        assert_eq!(waits.len(), 1);
        assert_eq!(waits[0].as_ref().unwrap().0, 5.03);
    }

    #[test]
    fn a_late_answer_is_trouble_and_a_quick_one_is_none() {
        let answered = |at: &str, syn: &str| {
            waits(&format!(
                "server 192.0.2.80:443
                 0.00 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A
                 {at} dns 192.0.2.1:5000 < 192.0.2.53 1 noerror www.example.com A 192.0.2.80
                 {syn} > S 0:0(0)"
            ))
        };
        assert_eq!(answered("1.2", "1.21"), [Some((1.21, true, vec![]))]);
        assert_eq!(answered("0.2", "0.21"), [None]);
        // It did not begin because of the answer.
        assert_eq!(answered("1.2", "2.5"), [None]);
    }

    #[test]
    fn a_client_that_waits_for_the_other_type_goes_on_after_its_time_out() {
        let aaaa_unanswered = |syn: &str| {
            waits(&format!(
                "server 192.0.2.80:443
                 0.00 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A
                 0.00 dns 192.0.2.1:5001 > 192.0.2.53 2 www.example.com AAAA
                 0.02 dns 192.0.2.1:5000 < 192.0.2.53 1 noerror www.example.com A 192.0.2.80
                 5.00 dns 192.0.2.1:5002 > 192.0.2.53 3 www.example.com AAAA
                 {syn} > S 0:0(0)"
            ))
        };
        let unanswered = vec![(AAAA, Missing::Unanswered)];
        assert_eq!(aaaa_unanswered("10.1"), [Some((10.1, true, unanswered))]);
        // Something else made it begin.
        assert_eq!(aaaa_unanswered("8.0"), [None]);
    }

    #[test]
    fn a_query_on_its_way_is_no_trouble() {
        let waits = waits(
            "server 192.0.2.80:443
             0.00 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A
             0.00 dns 192.0.2.1:5001 > 192.0.2.53 2 www.example.com AAAA
             0.02 dns 192.0.2.1:5000 < 192.0.2.53 1 noerror www.example.com A 192.0.2.80
             0.07 > S 0:0(0)",
        );
        assert_eq!(waits, [None]);
    }

    #[test]
    fn a_client_may_have_an_address_although_its_lookup_failed() {
        let failing = |syn: &str| {
            format!(
                "server 192.0.2.80:443
                 0.00 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A
                 0.02 dns 192.0.2.1:5000 < 192.0.2.53 1 noerror www.example.com A 192.0.2.80
                 90.0 dns 192.0.2.1:5000 > 192.0.2.53 7 www.example.com A
                 90.1 dns 192.0.2.1:5000 < 192.0.2.53 7 servfail www.example.com A
                 {syn} > S 0:0(0)
                 {syn} < RA 0:0(0) ack 1
                 200 end"
            )
        };
        let lost = (0.3, false, vec![(A, Missing::Code(2))]);
        assert_eq!(waits(&failing("90.3")), [Some(lost)]);
        assert_eq!(dependents(&failing("90.3")), [[0]]);
        // While the answer was on its way, and long after it.
        for syn in ["90.05", "110"] {
            assert_eq!(waits(&failing(syn)), [None], "{syn}");
            assert_eq!(dependents(&failing(syn)), [[0_u32; 0]], "{syn}");
        }
    }

    /// A ClientHello that asks for www.example.com.
    const HELLO: &str = concat!(
        "160301004701000043030307070707070707070707070707070707070707070707070707070707070707070000",
        "02c02f0100001800000014001200000f7777772e6578616d706c652e636f6d"
    );

    #[test]
    fn the_name_in_the_hello_ties_a_connection_whose_address_is_from_nowhere() {
        let asking_for = |name: &str| {
            format!(
                "server 192.0.2.80:443
                 0.00 dns 192.0.2.1:5000 > 192.0.2.53 7 {name} A
                 0.10 dns 192.0.2.1:5000 < 192.0.2.53 7 servfail {name} A
                 0.20 > S 0:0(0)
                 0.21 < SA 0:0(0) ack 1
                 0.22 > A 1:1(0) ack 1
                 0.23 > PA 1:77(76) ack 1 hex {HELLO}
                 0.24 < RA 1:1(0) ack 77
                 60 end"
            )
        };
        let lost = (0.2, false, vec![(A, Missing::Code(2))]);
        assert_eq!(waits(&asking_for("WWW.example.com")), [Some(lost)]);
        assert_eq!(dependents(&asking_for("www.example.com")), [[0]]);
        let (_, connections) = followed(&asking_for("www.example.com"));
        let found = connections[0].looked_up.as_deref().unwrap();
        assert_eq!((&*found.name, found.answer), ("www.example.com", None));
        assert_eq!(waits(&asking_for("api.example.com")), [None]);
    }

    #[test]
    fn many_connections_are_counted() {
        let mut lookup = followed(SECOND_RESOLVER)
            .0
            .lookups()
            .kept()
            .next()
            .unwrap()
            .lookup
            .clone();
        let one = lookup.dependents[0];
        for stream in 1..20 {
            lookup.depend(Dependent { stream, ..one });
        }
        let other = lookup.clone();
        assert_eq!((lookup.dependents.len(), lookup.more_dependents), (16, 4));
        lookup.take_dependents(other);
        assert_eq!((lookup.dependents.len(), lookup.more_dependents), (16, 24));
    }
}
