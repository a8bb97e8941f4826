//! `dns.slow`: the name was resolved, late.

use wirewhy_detect::wording::span;
use wirewhy_detect::{
    Confidence, Culprit, Facts, Group, Limits, Record, Reportable, Role, Severity,
};
use wirewhy_flow::Query;

use crate::lookups::{LookupCase, LookupFinding, LookupOutcome, listed, queries, resolvers, types};
use crate::rule::{Rule, SurveyDetector};

pub(crate) const RECORD: Record = Record {
    code: "dns.slow",
    group: Group::Lookup,
    title: "The name was resolved, but late",
    severity: Severity::Warning,
    means: "The client got what it asked for after more than a second (slow_lookup_seconds), and every connection to that name waited as \
            long. Users see pages that hang before they start.",
    recognised: "The time in which a query was without its answer, over all queries of the lookup, is above the threshold. What was \
                 waited for stands in the facts: a repeat, another resolver, the AAAA or A record, a query without EDNS, or the \
                 resolver itself.",
    look_alikes: "A name that is resolved for the first time may take a resolver some hundred milliseconds. Time between the names of \
                  a search list in which nothing is asked is the client's own and does not count.",
    check_next: &[
        "A resolver that never answers costs its time-out at every lookup: take it out of /etc/resolv.conf, or put it last.",
        "Only AAAA (or A) unanswered: a name server or firewall drops that type; on old Linux kernels two queries from one port race \
         in connection tracking (options single-request-reopen helps).",
        "Only queries without EDNS answered: dig +noedns @RESOLVER NAME against dig @RESOLVER NAME; look for the device that drops the \
         one (DNS inspection in a firewall).",
        "Late answers: dig @RESOLVER NAME twice. Slow only the first time: the way from the resolver to the zone's servers; dig +trace.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Lookup(detect),
};

/// Whether a query without EDNS was answered by a resolver that left those before it, all of which had it, without an answer.
fn drops_edns(silent: &[&Query], resolved: &[&Query]) -> bool {
    let all = !silent.is_empty() && silent.iter().all(|query| query.edns.is_some());
    all && resolved.iter().any(|answered| {
        answered.edns.is_none()
            && silent.iter().all(|query| {
                query.resolver == answered.resolver && query.sent.time < answered.sent.time
            })
    })
}

fn detect(case: &LookupCase<'_>, limits: &Limits) -> Option<LookupFinding> {
    let lookup = case.lookup;
    let waited = lookup.waited();
    if case.outcome != LookupOutcome::Resolved || waited <= limits.slow_lookup || lookup.interrupted
    {
        return None;
    }
    let about: Vec<&Query> = case.main().collect();
    let silent: Vec<&Query> = about
        .iter()
        .copied()
        .filter(|query| query.answer.is_none())
        .collect();
    let repeated: u64 = about.iter().map(|query| u64::from(query.repeats)).sum();
    let sent = repeated + u64::try_from(silent.len()).unwrap_or(0);
    let first = *about.first()?;
    let resolved: Vec<&Query> = about
        .iter()
        .copied()
        .filter(|query| query.is_resolved())
        .collect();
    let dead: Vec<&Query> = silent
        .iter()
        .copied()
        .filter(|query| {
            !resolved
                .iter()
                .any(|other| other.resolver == query.resolver)
        })
        .collect();
    let kinds = types(&resolved);
    let other_kind: Vec<&Query> = silent
        .iter()
        .copied()
        .filter(|query| !resolved.iter().any(|other| other.kind == query.kind))
        .collect();
    let over_tcp = resolved.iter().any(|query| query.stream.is_some());
    let (waited_for, why, culprit) = if let Some(query) = other_kind.first() {
        (
            "other type",
            format!("{} was answered, {} was not", kinds, types(&other_kind)),
            Culprit::new(Role::Server, query.resolver.0).at_most(Confidence::Possible),
        )
    } else if let Some(query) = dead.first() {
        (
            "another resolver",
            format!(
                "{} did not answer, {} did",
                listed(&resolvers(&dead)),
                listed(&resolvers(&resolved))
            ),
            Culprit::new(Role::Server, query.resolver.0).at_most(Confidence::Likely),
        )
    } else if sent > 1 && drops_edns(&silent, &resolved) {
        (
            "EDNS",
            format!("{} with EDNS got no answer, one without did", queries(sent)),
            Culprit::from(Role::Path).at_most(Confidence::Possible),
        )
    } else if sent > 0 {
        (
            "repeat",
            format!(
                "{} got no answer in time and {} asked again",
                queries(sent),
                if sent == 1 { "was" } else { "were" },
            ),
            Culprit::from(Role::Unknown),
        )
    } else if over_tcp {
        (
            "answer over TCP",
            "the answer did not fit and was fetched over TCP".to_owned(),
            Culprit::new(Role::Server, first.resolver.0).at_most(Confidence::Possible),
        )
    } else {
        (
            "resolver",
            "the resolver took that long to answer".to_owned(),
            Culprit::new(Role::Server, first.resolver.0).at_most(Confidence::Likely),
        )
    };
    let summary = format!(
        "{} ({}) was resolved for {} only after {}: {why}",
        lookup
            .resolved()
            .map_or(lookup.name(), |query| case.name_of(query)),
        types(&about),
        lookup.client,
        span(waited),
    );
    let facts = Facts::default()
        .with("waited_for", waited_for)
        .with("resolvers", resolvers(&about));
    let ordered: Vec<&Query> = resolved.iter().chain(&about).copied().collect();
    case.finding(
        &RECORD,
        &ordered,
        (Severity::Warning, Confidence::Certain, culprit),
        summary,
        facts,
    )
}
