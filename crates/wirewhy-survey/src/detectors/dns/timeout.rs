//! `dns.timeout`: queries that nothing answers.

use wirewhy_detect::wording::span;
use wirewhy_detect::{
    Confidence, Culprit, Facts, Group, Limits, Record, Reportable, Role, Severity,
};
use wirewhy_flow::Query;
use wirewhy_packet::Interval;

use crate::lookups::{LookupCase, LookupFinding, LookupOutcome, listed, queries, resolvers, types};
use crate::rule::{Rule, SurveyDetector};

pub(crate) const RECORD: Record = Record {
    code: "dns.timeout",
    group: Group::Lookup,
    title: "No answer from the resolver",
    severity: Severity::Error,
    means: "A client asked for a name and got no answer, or none in the end. Applications wait for 5 to 30 seconds and then report \
            \"temporary failure in name resolution\" or a timeout; no connection is ever attempted. A note where another \
            resolver or a repeat did answer.",
    recognised: "Queries without an answer that the client sent again, from the same port or another, or after which the capture \
                 ran on for 3 s while the resolver answers others. All names of a search list, A and AAAA, all resolvers and \
                 repeats are one lookup.",
    look_alikes: "A recording of one direction shows no answers at all: nothing is concluded from it unless the client repeats the \
                  same query. A resolver that nothing runs on refuses by ICMP: dns.refused. An answer whose fragments are lost is \
                  dns.fragments-lost. A dead resolver, a filter and a lost route look the same from the client.",
    check_next: &[
        "Ask by hand: dig @RESOLVER NAME; then dig +tcp @RESOLVER NAME, which shows whether only UDP is dropped.",
        "Capture at the resolver (tcpdump -ni any port 53): do the queries arrive, and does it answer?",
        "If only AAAA stays without an answer: try another name; a name server may drop that type, a firewall two queries from one port.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Lookup(detect),
};

fn detect(case: &LookupCase<'_>, limits: &Limits) -> Option<LookupFinding> {
    let silent: Vec<&Query> = case
        .main()
        .filter(|query| case.is_silent(query, limits))
        .collect();
    let lookup = case.lookup;
    let dead: Vec<&Query> = match case.outcome {
        LookupOutcome::Unanswered => silent,
        // Of a resolver that never answered in a lookup that another one resolved.
        LookupOutcome::Resolved => silent
            .into_iter()
            .filter(|query| {
                let same = |other: &&Query| other.resolver == query.resolver;
                !lookup
                    .queries
                    .iter()
                    .filter(same)
                    .any(|other| other.answer.is_some())
            })
            .collect(),
        _ => return None,
    };
    let first = *dead.first()?;
    let failed = case.outcome == LookupOutcome::Unanswered;
    let asked = dead.iter().map(|query| 1 + u64::from(query.repeats)).sum();
    let whom = resolvers(&dead);
    let answers_others = case.resolver(first).is_some_and(|seen| seen.answers > 0);
    let over = lookup.last_query.time.since(lookup.first.time);
    let only_aaaa = failed
        && case
            .main()
            .any(|query| query.answer.is_some() && query.kind != first.kind);
    let summary = format!(
        "{} asked {} for {} ({}) with {}{} and got no answer{}{}",
        lookup.client,
        listed(&whom),
        case.name_of(first),
        types(&dead),
        queries(asked),
        match over {
            Interval::ZERO => ", and not again,".to_owned(),
            _ => format!(" over {}", span(over)),
        },
        match (failed, only_aaaa) {
            (true, true) => "; the other type was answered with no records",
            (true, false) => "",
            (false, _) => "; another resolver answered",
        },
        match (failed, answers_others) {
            (false, _) => "",
            (true, true) => "; it does answer other queries",
            (true, false) =>
                "; nothing else was heard from there: the resolver or the way to it, which look the same from here",
        },
    );
    let severity = match failed && !case.is_reverse() {
        true => Severity::Error,
        false => Severity::Note,
    };
    let culprit = Culprit::new(Role::Server, first.resolver.0).at_most(Confidence::Possible);
    // A client that never asks again may have its answer, and the recording not.
    let confidence = match lookup.asked() > 1 {
        true => Confidence::Certain,
        false => Confidence::Possible,
    };
    let facts = Facts::default()
        .with("resolvers", whom)
        .with("answers_others", answers_others)
        .with("span_seconds", over)
        .with("heard_after_seconds", lookup.heard_after);
    case.finding(
        &RECORD,
        &dead,
        (severity, confidence, culprit),
        summary,
        facts,
    )
}
