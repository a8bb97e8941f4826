//! `dns.servfail`: the resolver failed.

use wirewhy_detect::wording::span;
use wirewhy_detect::{Confidence, Group, Limits, Record, Reportable, Severity};
use wirewhy_flow::Query;

use super::errors::{as_facts, culprit, error_of, in_words};
use crate::lookups::{LookupCase, LookupFinding, LookupOutcome, listed, rcode, resolvers, types};
use crate::rule::{Rule, SurveyDetector};

pub(crate) const RECORD: Record = Record {
    code: "dns.servfail",
    group: Group::Lookup,
    title: "The resolver could not resolve the name (SERVFAIL)",
    severity: Severity::Error,
    means: "The resolver answered, and says that it failed: it could not reach the zone's servers, their answers are broken, or they \
            fail its validation of DNSSEC. Applications report \"temporary failure in name resolution\" or \"server failure\". \
            A note where the name was resolved all the same: by another resolver, on a repeat, or for the other type.",
    recognised: "Response code 2 to the last name of a lookup, and no answer with what was asked for. The extended error \
                 (RFC 8914), where there is one, says why and decides who is at fault.",
    look_alikes: "A SERVFAIL after ten seconds to the tenth comes from BIND in front of servers that are silent; one within \
                  milliseconds is a failure that it remembers, or a refusal. A name that does not exist is dns.nxdomain.",
    check_next: &[
        "dig +cd @RESOLVER NAME: if that works, DNSSEC is the matter; delv NAME or dnsviz.net shows where the chain breaks.",
        "dig +trace NAME from the resolver's host shows which server of the zone fails or is silent.",
        "The resolver's log names the reason: unbound with val-log-level: 2, named with querylog and the category query-errors.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Lookup(detect),
};

fn detect(case: &LookupCase<'_>, _limits: &Limits) -> Option<LookupFinding> {
    let failed: Vec<&Query> = case
        .main()
        .filter(|query| {
            let answer = query.answer.as_ref();
            answer.is_some_and(|answer| answer.rcode == rcode::SERVFAIL)
        })
        .collect();
    let first = *failed.first()?;
    let is_failure = match case.outcome {
        LookupOutcome::Failed => true,
        LookupOutcome::Resolved => false,
        _ => return None,
    };
    let answer = first.answer.as_ref()?;
    let error = error_of(&failed);
    let whom = resolvers(&failed);
    let summary = format!(
        "{} answered SERVFAIL to {} for {} ({}) after {}{}{}",
        listed(&whom),
        case.lookup.client,
        case.name_of(first),
        types(&failed),
        span(answer.took),
        error.map_or(String::new(), in_words),
        match is_failure {
            true => "",
            false => "; the name was resolved all the same",
        },
    );
    let severity = match is_failure && !case.is_reverse() {
        true => Severity::Error,
        false => Severity::Note,
    };
    let culprit = culprit(
        error,
        first.resolver,
        case.lookup.client,
        Confidence::Possible,
    );
    let facts = as_facts(error)
        .with("took_seconds", answer.took)
        .with("resolvers", whom);
    case.finding(
        &RECORD,
        &failed,
        (severity, Confidence::Certain, culprit),
        summary,
        facts,
    )
}
