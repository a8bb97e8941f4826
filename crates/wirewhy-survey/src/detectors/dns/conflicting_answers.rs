//! `dns.conflicting-answers`: two answers to one query that contradict one another.

use std::net::IpAddr;

use wirewhy_detect::wording::span;
use wirewhy_detect::{
    Confidence, Culprit, Facts, Group, Limits, Record, Reportable, Role, Severity,
};
use wirewhy_flow::{Answered, Query};
use wirewhy_packet::Interval;
use wirewhy_protocol::dns_rcode_name;

use crate::lookups::{LookupCase, LookupFinding, listed, types};
use crate::rule::{Rule, SurveyDetector};

pub(crate) const RECORD: Record = Record {
    code: "dns.conflicting-answers",
    group: Group::Lookup,
    title: "Two answers to one query contradict one another",
    severity: Severity::Warning,
    means: "One query got two answers that say different things. Clients take the first. Where it came sooner than the resolver ever \
            answers, or from another distance, it is forged: by a filter on the way that answers in the resolver's name, or by \
            an attacker. Also an answer from an address that was not asked: clients throw it away.",
    recognised: "Two answers with the number, ports and question of one query that was sent once, with different codes or records. \
                 What speaks against the one or the other: its time against the resolver's quickest answer, its hop count, EDNS that \
                 is missing, other letters in the name.",
    look_alikes: "A query that was sent twice may well be answered twice and differently: the records of large services change from \
                  answer to answer. A frame that was recorded twice says the same twice.",
    check_next: &[
        "Ask over TCP, or an encrypted resolver: dig +tcp @RESOLVER NAME. What forges answers seldom does so over TCP.",
        "Ask an address that runs no name server for the same name: an answer from there is forged.",
        "An answer from another address: the resolver has several and answers from the wrong one; bind it to the address asked.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Lookup(detect),
};

fn detect(case: &LookupCase<'_>, limits: &Limits) -> Option<LookupFinding> {
    contradiction(case).or_else(|| stranger(case, limits))
}

fn contradiction(case: &LookupCase<'_>) -> Option<LookupFinding> {
    let queries = &case.lookup.queries;
    let (query, first, second) = queries.iter().find_map(|query| {
        let (first, second) = (query.answer.as_ref()?, query.contradiction.as_ref()?);
        Some((query, first, second))
    })?;
    let signs = signs(case, query, first, second);
    let sure = !signs.is_empty();
    let summary = format!(
        "the query of {} to {} for {} ({}) got two answers within {}: {}, then {}{}",
        case.lookup.client,
        query.resolver.0,
        case.name_of(query),
        types(&[query]),
        span(second.mark.time.since(first.mark.time)),
        says(first),
        says(second),
        match sure {
            true => format!("; the first is forged: {}", signs.join(", ")),
            false => "; one of them is forged, or two servers answer".to_owned(),
        },
    );
    let culprit = Culprit::new(Role::Path, None).at_most(Confidence::Possible);
    let facts = Facts::default()
        .with("first_answer", says(first))
        .with("second_answer", says(second))
        .with("first_hop_count", first.ttl)
        .with("second_hop_count", second.ttl)
        .with("first_after_seconds", first.took)
        .with("second_after_seconds", second.took)
        .with("signs", signs);
    let confidence = if sure {
        Confidence::Likely
    } else {
        Confidence::Possible
    };
    let verdict = (Severity::Warning, confidence, culprit.at_most(confidence));
    case.finding(&RECORD, &[query], verdict, summary, facts)
}

/// What speaks against the first answer.
fn signs(case: &LookupCase<'_>, query: &Query, first: &Answered, second: &Answered) -> Vec<String> {
    let mut signs = Vec::new();
    let differs = |one: u8, other: u8| one.abs_diff(other) > 1;
    if differs(first.ttl, second.ttl) {
        signs.push(format!(
            "its hop count is {}, that of the second {}",
            first.ttl, second.ttl
        ));
    }
    if query.edns.is_some() && !first.edns && second.edns {
        signs.push("it has no EDNS although the query and the second answer have".to_owned());
    }
    if first.same_case == Some(false) && second.same_case == Some(true) {
        signs.push("it spells the name in other letters than the query".to_owned());
    }
    // Its own time is in the resolver's record.
    let second_took = second.took;
    if first.took > Interval::ZERO
        && Interval(first.took.0.saturating_mul(4)) < second_took
        && case.resolver(query).is_some_and(|seen| {
            seen.answers > 4 && seen.quickest.is_some_and(|least| first.took <= least)
        })
    {
        signs.push(format!(
            "it came after {}, sooner than any other answer of the resolver",
            span(first.took)
        ));
    }
    signs
}

fn says(answer: &Answered) -> String {
    match (answer.rcode, answer.addresses.as_slice()) {
        (0, []) => "no address".to_owned(),
        (0, addresses) => listed(addresses),
        (code, _) => dns_rcode_name(code),
    }
}

/// An answer from an address that was not asked, and none from the one that was.
fn stranger(case: &LookupCase<'_>, limits: &Limits) -> Option<LookupFinding> {
    let queries: Vec<&Query> = case
        .main()
        .filter(|query| query.stranger.is_some() && case.is_silent(query, limits))
        .collect();
    let query = *queries.first()?;
    let (from, _): (IpAddr, _) = query.stranger?;
    let summary = format!(
        "{} asked {} for {} ({}) and the answer came from {from}, which was not asked: clients throw it away",
        case.lookup.client,
        query.resolver.0,
        case.name_of(query),
        types(&queries),
    );
    let culprit = Culprit::new(Role::Server, from).at_most(Confidence::Possible);
    let facts = Facts::default().with("answered_from", from);
    let verdict = (Severity::Warning, Confidence::Likely, culprit);
    case.finding(&RECORD, &queries, verdict, summary, facts)
}
