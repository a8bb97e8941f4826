//! The findings about lookups: every rule over every lookup of which there is something to say, and many alike as one.

use std::net::IpAddr;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use wirewhy_detect::wording::{number, socket_of};
use wirewhy_detect::{Diagnosis, Facts, Finding, Limits, Outcome, Scope, Severity};
use wirewhy_flow::{Lookup, Lookups, Socket};
use wirewhy_packet::{Interval, Timestamp};

use crate::catalogue::SURVEY;
use crate::detectors::dns::conflicting_answers;
use crate::group::GroupFinding;
use crate::lookups::{Blocked, LookupCase, LookupFinding};
use crate::recent::RecentTable;
use crate::rule::{Rule, SurveyDetector};

/// So many names that one resolver failed on in the same way are findings of their own; the others are one together.
const NAMES: usize = 10;

/// So many of the others are named.
const NAMED: usize = 16;

/// TCP connections that carried no answer, by stream, with their root causes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unanswering(RecentTable<u32, &'static str>);

impl Unanswering {
    /// Takes in a connection that is over.
    pub(crate) fn note(&mut self, diagnosis: &Diagnosis, outcome: Outcome) {
        let connection = &diagnosis.connection;
        if outcome != Outcome::Failed || connection.server.counts.payload_packets > 0 {
            return;
        }
        let Some(cause) = diagnosis.root_cause() else {
            return;
        };
        self.note_failed(connection.stream, cause.code);
    }

    /// Takes in that a connection failed before the server sent any data, and its root cause.
    pub(crate) fn note_failed(&mut self, stream: u32, cause: &'static str) {
        self.0.insert(stream, cause);
    }

    fn blocked(&self, lookup: &Lookup) -> Option<Blocked> {
        let mut attempts = lookup.attempts.iter();
        attempts.find_map(|(stream, _)| {
            let cause = self.0.get(stream)?;
            Some(Blocked {
                stream: *stream,
                cause: Some(cause),
            })
        })
    }
}

/// A finding, and the lookup it is about.
struct About<'a> {
    lookup: &'a Lookup,
    found: LookupFinding,
    /// How many lookups.
    count: u64,
}

/// All findings about lookups.
pub(crate) fn about_lookups(
    lookups: &Lookups,
    unanswering: &Unanswering,
    one_direction: bool,
    limits: &Limits,
) -> Vec<GroupFinding> {
    let tests = tests(lookups);
    let mut about: Vec<About<'_>> = Vec::new();
    for alike in lookups.kept() {
        let lookup = &alike.lookup;
        let blocked = unanswering.blocked(lookup);
        let is_test = is_test(lookup, &tests);
        let case = LookupCase::new(alike, lookups, blocked, (one_direction, is_test), limits);
        let found = rules(lookup).filter_map(|rule| rule(&case, limits));
        about.extend(found.map(|found| About {
            lookup,
            found,
            count: alike.count,
        }));
    }
    link_forwarders(&mut about);
    fold(about)
}

type LookupRule = fn(&LookupCase<'_>, &Limits) -> Option<LookupFinding>;

/// What servers of zones say to a resolver is the resolver's to deal with, unless it is forged.
fn rules(lookup: &Lookup) -> impl Iterator<Item = LookupRule> {
    let iterates = lookup.queries.iter().all(|query| !query.recursion_desired);
    SURVEY.iter().filter_map(move |detector| match *detector {
        SurveyDetector {
            record,
            rule: Rule::Lookup(rule),
        } if !iterates || record.code == conflicting_answers::RECORD.code => Some(rule),
        _ => None,
    })
}

/// Names of one label of 7 to 15 letters: what browsers ask for to find out whether names that do not exist are answered.
fn is_random(name: &str) -> bool {
    (7..=15).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// When each client asked for such names.
fn tests(lookups: &Lookups) -> IndexMap<IpAddr, Vec<Timestamp>, RandomState> {
    let mut tests: IndexMap<IpAddr, Vec<Timestamp>, RandomState> = IndexMap::default();
    for alike in lookups
        .kept()
        .filter(|alike| is_random(alike.lookup.name()))
    {
        let times = tests.entry(alike.lookup.client).or_default();
        times.push(alike.lookup.first.time);
    }
    tests
}

fn is_test(lookup: &Lookup, tests: &IndexMap<IpAddr, Vec<Timestamp>, RandomState>) -> bool {
    const AT_ONCE: Interval = Interval::from_secs(2);
    const SEVERAL: usize = 3;
    let times = tests
        .get(&lookup.client)
        .filter(|_| is_random(lookup.name()));
    times.is_some_and(|times| {
        let near = |time: &&Timestamp| time.since(lookup.first.time).abs() <= AT_ONCE;
        times.iter().filter(near).count() >= SEVERAL
    })
}

/// A resolver that passes questions on passes failures back: the failure of the one it asked explains its own.
fn link_forwarders(about: &mut [About<'_>]) {
    let mut by_name: IndexMap<String, Vec<usize>, RandomState> = IndexMap::default();
    for (index, known) in about.iter().enumerate() {
        let name = known.found.name.to_ascii_lowercase();
        by_name.entry(name).or_default().push(index);
    }
    let mut links: Vec<(usize, usize)> = Vec::new();
    for same in by_name.values().filter(|same| same.len() > 1) {
        for (own, cause) in same
            .iter()
            .flat_map(|own| same.iter().map(move |cause| (*own, *cause)))
        {
            if let (Some(one), Some(other)) = (about.get(own), about.get(cause))
                && passes_on(one, other)
                && !links.iter().any(|(known, _)| *known == own)
            {
                links.push((own, cause));
            }
        }
    }
    for (own, cause) in links {
        let Some((code, resolver)) = about
            .get(cause)
            .map(|cause| (cause.found.finding.code, cause.found.resolver))
        else {
            continue;
        };
        if let Some(About { found, .. }) = about.get_mut(own) {
            let finding = &mut found.finding;
            finding.consequence_of.get_or_insert(code);
            finding.facts.0.push(("upstream", resolver.0.into()));
            finding.summary.push_str("; it had asked ");
            finding.summary.push_str(&place(resolver));
        }
    }
}

/// Whether the resolver of one lookup asked the other way: itself, or its host where it is reached over the loopback interface.
fn passes_on(one: &About<'_>, other: &About<'_>) -> bool {
    let resolver = one.found.resolver.0;
    let asks = other.lookup.client == resolver && !std::ptr::eq(one.lookup, other.lookup)
        || resolver.is_loopback()
            && !other.lookup.client.is_loopback()
            && !other.found.resolver.0.is_loopback();
    let (first, last) = (one.lookup.first.time, one.lookup.last.time);
    let begins = other.lookup.first.time;
    asks && begins >= first && begins <= last.after(Interval::from_secs(1))
}

/// What many names at one resolver have in common.
type Kind = (&'static str, Severity, Socket, Option<String>);

/// The names of one kind: how many, and those beyond the first ones.
#[derive(Default)]
struct Names {
    many: usize,
    first_of_others: Option<Finding>,
    others: Vec<String>,
    lookups: u64,
}

/// Findings by name, the first ones of a kind; the others of it are one.
fn fold(about: Vec<About<'_>>) -> Vec<GroupFinding> {
    let mut kinds: IndexMap<Kind, Names, RandomState> = IndexMap::default();
    let mut seen: IndexMap<(&'static str, String), (), RandomState> = IndexMap::default();
    let mut found: Vec<GroupFinding> = Vec::new();
    for About {
        found: one, count, ..
    } in about
    {
        let LookupFinding {
            name,
            resolver,
            finding,
        } = one;
        // Names are the same whatever the case of their letters (RFC 4343).
        let subject = format!("{} at {}", name.to_ascii_lowercase(), place(resolver));
        let known = seen.insert((finding.code, subject.clone()), ());
        if known.is_some() {
            continue;
        }
        let because = finding.facts.value("extended_error");
        let because = because.map(|code| format!("{code:?}"));
        let kind = (finding.code, finding.severity, resolver, because);
        let names = kinds.entry(kind).or_default();
        names.many += 1;
        if names.many <= NAMES {
            found.push(GroupFinding {
                scope: Scope::Lookup,
                subject,
                finding,
            });
            continue;
        }
        names.first_of_others.get_or_insert(finding);
        names.others.push(name);
        names.lookups += count;
    }
    for ((_, _, resolver, _), names) in kinds {
        if let Some(first) = names.first_of_others {
            found.push(together(resolver, first, &names.others, names.lookups));
        }
    }
    found
}

/// One finding about many names.
fn together(resolver: Socket, first: Finding, names: &[String], lookups: u64) -> GroupFinding {
    let count = u64::try_from(names.len()).unwrap_or(u64::MAX);
    let named: Vec<&str> = names.iter().map(String::as_str).take(NAMED).collect();
    let summary = format!(
        "{} more names came to the same at {}, the first: {}",
        number(count),
        place(resolver),
        first.summary
    );
    let facts = Facts::default()
        .with("names", named)
        .with("name_count", count)
        .with("lookups", lookups)
        .with("resolver", resolver.0);
    GroupFinding {
        scope: Scope::Lookup,
        subject: format!("other names at {}", place(resolver)),
        finding: Finding {
            summary,
            facts,
            ..first
        },
    }
}

/// The resolver in words, with its port where that is another than 53.
fn place((address, port): Socket) -> String {
    match port {
        53 => address.to_string(),
        _ => socket_of(address, port),
    }
}
