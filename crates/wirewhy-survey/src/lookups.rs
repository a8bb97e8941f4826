//! What became of a lookup, read once for all rules.

use std::net::IpAddr;

use wirewhy_detect::wording::{count, number, span};
use wirewhy_detect::{Confidence, Culprit, Facts, Finding, Limits, Record, Severity};
use wirewhy_flow::{Alike, Answered, Lookup, Lookups, Mark, Query, Resolver, Socket};
use wirewhy_packet::Interval;
use wirewhy_protocol::dns_type_name;

/// A lookup, with what others show of it.
#[derive(Debug)]
pub(crate) struct LookupCase<'a> {
    pub(crate) alike: &'a Alike,
    pub(crate) lookup: &'a Lookup,
    lookups: &'a Lookups,
    /// Whether most of the recording shows one direction only.
    one_direction: bool,
    /// The root cause of a connection that never opened, by its stream.
    pub(crate) blocked: Option<Blocked>,
    pub(crate) outcome: LookupOutcome,
    /// Whether it is one of several names of one label that were asked for at once: a browser tests whether the network
    /// answers for names that do not exist.
    pub(crate) is_test: bool,
}

/// A TCP connection to the resolver that came to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Blocked {
    pub(crate) stream: u32,
    /// Why, where it is known.
    pub(crate) cause: Option<&'static str>,
}

/// What became of a lookup, all its queries taken together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LookupOutcome {
    /// There is what was asked for.
    Resolved,
    /// The name exists and has no records of the type (RFC 2308 section 2.2).
    NoData,
    /// The name does not exist.
    NoName,
    /// The answer did not fit, and TCP does not work.
    TcpBlocked,
    /// The resolver failed.
    Failed,
    /// The resolver would not.
    Refused,
    /// The rest of the answer never came.
    FragmentsLost,
    /// Nothing came.
    Unanswered,
    /// The capture shows too little.
    Undecided,
}

/// Response codes (RFC 1035 section 4.1.1, RFC 6891 section 9).
pub(crate) mod rcode {
    pub(crate) const SERVFAIL: u16 = 2;
    pub(crate) const NXDOMAIN: u16 = 3;
    pub(crate) const BADCOOKIE: u16 = 23;
}

/// Types of records.
pub(crate) mod kind {
    pub(crate) const A: u16 = 1;
    pub(crate) const CNAME: u16 = 5;
    pub(crate) const PTR: u16 = 12;
    pub(crate) const MX: u16 = 15;
    pub(crate) const AAAA: u16 = 28;
    pub(crate) const ANY: u16 = 255;
}

/// How soon a client may repeat a query: what comes sooner is another program's.
const REPEATED_AFTER: Interval = Interval::from_millis(200);

impl<'a> LookupCase<'a> {
    pub(crate) fn new(
        alike: &'a Alike,
        lookups: &'a Lookups,
        blocked: Option<Blocked>,
        (one_direction, is_test): (bool, bool),
        limits: &Limits,
    ) -> LookupCase<'a> {
        let mut case = LookupCase {
            alike,
            lookup: &alike.lookup,
            lookups,
            one_direction,
            blocked,
            outcome: LookupOutcome::Undecided,
            is_test,
        };
        case.outcome = case.read(limits);
        case
    }

    /// The queries that matter: of those for addresses A and AAAA.
    pub(crate) fn main(&self) -> impl Iterator<Item = &'a Query> + use<'a> {
        let lookup = self.lookup;
        let is_address = |query: &Query| matches!(query.kind, kind::A | kind::AAAA);
        let for_addresses = lookup.queries.iter().any(is_address);
        lookup
            .queries
            .iter()
            .filter(move |query| !for_addresses || is_address(query))
    }

    /// The queries for the name itself, without the domains of a search list; all of them where it was not asked for.
    fn last(&self) -> Vec<&'a Query> {
        let name = self.lookup.name();
        let own: Vec<&Query> = self
            .main()
            .filter(|query| self.name_of(query) == name)
            .collect();
        if own.is_empty() {
            self.main().collect()
        } else {
            own
        }
    }

    /// The name that a query asks for.
    pub(crate) fn name_of(&self, query: &Query) -> &'a str {
        let name = self.lookup.names.get(query.name);
        name.map_or("", |name| name)
    }

    /// What was seen of the resolver that a query goes to.
    pub(crate) fn resolver(&self, query: &Query) -> Option<&'a Resolver> {
        self.lookups.resolver(query.resolver)
    }

    /// Whether the queries want records that every host needs: a mistake in such a name is a failure.
    pub(crate) fn needs_name(&self) -> bool {
        self.main().any(|query| {
            matches!(
                query.kind,
                kind::A | kind::AAAA | kind::CNAME | kind::MX | kind::ANY
            )
        })
    }

    pub(crate) fn is_reverse(&self) -> bool {
        self.main().all(|query| query.kind == kind::PTR)
    }

    /// Whether a name in lower case is a name of several labels with a domain of the client's search list behind it.
    pub(crate) fn is_expanded(&self, name: &str) -> bool {
        let before = self.lookups.before_searched(self.lookup.client, name);
        before.is_some_and(|before| before.contains('.'))
    }

    /// Whether a query got no answer, and the capture shows that it should have had one: its client asked again, or the capture
    /// ran on; and answers of the resolver, or to whom it does not answer in any way, would be seen.
    pub(crate) fn is_silent(&self, query: &Query, limits: &Limits) -> bool {
        let lookup = self.lookup;
        if query.answer.is_some()
            || query.icmp.is_some()
            || query.stream.is_some()
            || lookup.interrupted
        {
            return false;
        }
        let asked_again = query.repeats > 0
            || lookup.queries.iter().any(|later| {
                later.name == query.name
                    && later.kind == query.kind
                    && later.sent.time.since(query.latest.time) >= REPEATED_AFTER
            });
        let answers = self.resolver(query).is_some_and(|seen| seen.answers > 0);
        match asked_again {
            true => answers || !self.one_direction,
            false => answers && self.heard_after(query) >= limits.silence,
        }
    }

    fn heard_after(&self, query: &Query) -> Interval {
        let until = self.lookup.last_query.time.after(self.lookup.heard_after);
        until.since(query.latest.time).max(Interval::ZERO)
    }

    fn read(&self, limits: &Limits) -> LookupOutcome {
        if self.main().any(Query::is_resolved) {
            return LookupOutcome::Resolved;
        }
        let queries = self.last();
        let answered = |test: &dyn Fn(&Answered) -> bool| {
            let mut answers = queries.iter().filter_map(|query| query.answer.as_ref());
            answers.any(test)
        };
        if answered(&|answer| answer.rcode == rcode::NXDOMAIN) {
            return LookupOutcome::NoName;
        }
        let over_tcp = queries
            .iter()
            .any(|query| query.stream.is_some() && query.answer.is_some());
        if answered(&|answer| answer.truncated) && !over_tcp {
            // A client that does not try TCP takes what there is.
            return match self.blocked {
                Some(_) => LookupOutcome::TcpBlocked,
                None => LookupOutcome::Undecided,
            };
        }
        if answered(&|answer| answer.rcode == rcode::SERVFAIL) {
            return LookupOutcome::Failed;
        }
        let refused =
            |answer: &Answered| !matches!(answer.rcode, 0 | rcode::SERVFAIL | rcode::BADCOOKIE);
        let by_icmp = queries
            .iter()
            .any(|query| query.answer.is_none() && query.icmp.is_some());
        if answered(&refused) || by_icmp {
            return LookupOutcome::Refused;
        }
        let mut silent = queries
            .iter()
            .filter(|query| self.is_silent(query, limits))
            .peekable();
        if silent.peek().is_some() {
            return match silent.any(|query| query.fragment.is_some()) {
                true => LookupOutcome::FragmentsLost,
                false => LookupOutcome::Unanswered,
            };
        }
        match queries.iter().all(|query| query.answer.is_some()) {
            true if answered(&|answer| answer.rcode == 0) => LookupOutcome::NoData,
            _ => LookupOutcome::Undecided,
        }
    }

    /// A finding about some of its queries, which there are; `resolver` is the one that the subject names.
    pub(crate) fn finding(
        &self,
        record: &'static Record,
        queries: &[&Query],
        verdict: (Severity, Confidence, Culprit),
        summary: String,
        facts: Facts,
    ) -> Option<LookupFinding> {
        let first = queries.first()?;
        let (severity, confidence, culprit) = verdict;
        let mut facts = facts
            .with("name", self.name_of(first))
            .with("types", types(queries))
            .with("resolver", first.resolver.0)
            .with("client", self.lookup.client)
            .with("queries", self.lookup.asked())
            .with("waited_seconds", self.lookup.waited());
        let mut summary = summary;
        if self.alike.count > 1 {
            facts = facts
                .with("lookups", self.alike.count)
                .with("clients", self.alike.clients.clone());
            summary.push_str("; so did ");
            summary.push_str(&count(self.alike.count - 1, "other lookup"));
            summary.push_str(" of it");
        }
        let facts = self.with_dependents(facts, &mut summary);
        Some(LookupFinding {
            name: self.name_of(first).to_owned(),
            resolver: first.resolver,
            finding: Finding {
                code: record.code,
                severity,
                confidence,
                culprit,
                summary,
                frames: frames(queries),
                facts,
                consequence_of: None,
            },
        })
    }
}

/// What a user notices of a connection's beginning.
const NOTICED: Interval = Interval::from_secs(1);

impl LookupCase<'_> {
    /// Adds the connections that depended on it.
    fn with_dependents(&self, facts: Facts, summary: &mut String) -> Facts {
        let dependents = &self.lookup.dependents;
        let longest = dependents.iter().map(|dependent| dependent.delay).max();
        let Some(longest) = longest else {
            return facts;
        };
        let streams: Vec<u32> = dependents
            .iter()
            .map(|dependent| dependent.stream)
            .collect();
        let more = u64::from(self.lookup.more_dependents);
        let all = more + u64::try_from(streams.len()).unwrap_or(u64::MAX);
        let is_resolved = dependents.iter().any(|dependent| dependent.is_resolved);
        let which = match (streams.as_slice(), more) {
            ([one], 0) => format!("stream {one}"),
            ([first, ..], _) => format!("stream {first} and {}", count(all - 1, "other")),
            ([], _) => String::new(),
        };
        match is_resolved {
            true if longest >= NOTICED => {
                let lost = span(longest);
                summary.push_str(&format!("; {which} waited for it, {lost} from the first query"));
            }
            true => {}
            false => summary.push_str(&format!(
                "; the client connected all the same, with an address that this lookup did not give ({which})"
            )),
        }
        facts
            .with("dependent_streams", streams)
            .with("dependent_connections", all)
            .with("lost_seconds", longest)
    }
}

/// A finding about a lookup.
#[derive(Debug)]
pub(crate) struct LookupFinding {
    pub(crate) name: String,
    pub(crate) resolver: Socket,
    pub(crate) finding: Finding,
}

/// The types asked for, in words: `A and AAAA`.
pub(crate) fn types(queries: &[&Query]) -> String {
    let mut kinds: Vec<String> = Vec::new();
    for query in queries {
        let name = dns_type_name(query.kind);
        if !kinds.contains(&name) {
            kinds.push(name);
        }
    }
    kinds.join(" and ")
}

/// The resolvers asked, each once.
pub(crate) fn resolvers(queries: &[&Query]) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for query in queries {
        if !found.contains(&query.resolver.0) {
            found.push(query.resolver.0);
        }
    }
    found
}

/// Addresses in words: `192.0.2.1 and 192.0.2.2`.
pub(crate) fn listed(addresses: &[IpAddr]) -> String {
    let words: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    words.join(" and ")
}

/// The frames of queries and their answers, the answers first.
fn frames(queries: &[&Query]) -> Vec<u64> {
    let answers = queries.iter().flat_map(|query| {
        let answers = [&query.answer, &query.contradiction];
        let seen = answers.into_iter().flatten().map(|answer| answer.mark);
        let icmp = query.icmp.map(|error| error.mark);
        let fragment = query.fragment.map(|(mark, _)| mark);
        let stranger = query.stranger.map(|(_, mark)| mark);
        seen.chain(icmp).chain(fragment).chain(stranger)
    });
    let asked = queries.iter().flat_map(|query| [query.sent, query.latest]);
    let mut frames: Vec<u64> = Vec::new();
    for Mark { frame, .. } in answers.chain(asked) {
        if !frames.contains(&frame) && frames.len() < Finding::MAX_FRAMES {
            frames.push(frame);
        }
    }
    frames
}

/// A number of queries in words.
pub(crate) fn queries(many: u64) -> String {
    match many {
        1 => "1 query".to_owned(),
        _ => format!("{} queries", number(many)),
    }
}
