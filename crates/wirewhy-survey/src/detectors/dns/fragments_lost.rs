//! `dns.fragments-lost`: a large answer of which only the first fragment arrives.

use wirewhy_detect::{
    Confidence, Culprit, Facts, Group, Limits, Record, Reportable, Role, Severity,
};
use wirewhy_flow::Query;

use crate::lookups::{LookupCase, LookupFinding, LookupOutcome, types};
use crate::rule::{Rule, SurveyDetector};

pub(crate) const RECORD: Record = Record {
    code: "dns.fragments-lost",
    group: Group::Lookup,
    title: "The rest of a large answer never arrives",
    severity: Severity::Error,
    means: "The client allows large answers over UDP (EDNS), the resolver sends one in fragments, and something on the way drops \
            all but the first: stateless filters let no fragment pass that has no ports. The client waits for its time-out. A \
            note where a smaller answer, or one over TCP, came in the end.",
    recognised: "The first fragment of an answer that never becomes complete; or queries that allow answers above 1,232 bytes \
                 without an answer, and one that allows less, or no EDNS, with one.",
    look_alikes: "A snap length that cuts fragments, and a capture that begins between them, leave them incomplete, too: the client \
                  then goes on with the answer. A device that drops every query with EDNS shows the same second pattern.",
    check_next: &[
        "dig +bufsize=1232 @RESOLVER NAME against dig +bufsize=4096 @RESOLVER NAME: the second hangs.",
        "Set edns-udp-size 1232 (named), edns-buffer-size: 1232 (unbound) or --edns-packet-max=1232 (dnsmasq): then TCP is used.",
        "Let fragments of answers pass the firewalls on the way: stateful rules put them together first.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Lookup(detect),
};

/// What fits everywhere without fragments (DNS flag day 2020).
const SAFE: u16 = 1_232;

fn detect(case: &LookupCase<'_>, limits: &Limits) -> Option<LookupFinding> {
    let silent = |query: &&Query| case.is_silent(query, limits);
    let in_part: Vec<&Query> = case
        .main()
        .filter(silent)
        .filter(|query| query.fragment.is_some())
        .collect();
    let lookup = case.lookup;
    let recovered = case.outcome == LookupOutcome::Resolved;
    if let Some(first) = in_part.first().copied() {
        if !recovered && case.outcome != LookupOutcome::FragmentsLost {
            return None;
        }
        let length = first.fragment.map_or(0, |(_, length)| length);
        let summary = format!(
            "{} sent {} bytes in fragments in answer to {} for {} ({}), and only the first fragment arrived{}",
            first.resolver.0,
            length,
            lookup.client,
            case.name_of(first),
            types(&in_part),
            if recovered {
                "; a later answer did"
            } else {
                ""
            },
        );
        let facts = Facts::default()
            .with("answer_bytes", length)
            .with("edns_size_bytes", first.edns);
        return report(
            case,
            &in_part,
            recovered,
            Confidence::Likely,
            summary,
            facts,
        );
    }
    if !recovered {
        return None;
    }
    let large: Vec<&Query> = case
        .main()
        .filter(silent)
        .filter(|query| query.edns.is_some_and(|size| size > SAFE))
        .collect();
    let first = *large.first()?;
    let small = case.main().find(|query| {
        query.edns.is_none_or(|size| size <= SAFE)
            && (query.resolver, query.kind) == (first.resolver, first.kind)
            && query.sent.time > first.sent.time
            && query.answer.is_some()
    })?;
    let summary = format!(
        "{} did not answer {} for {} ({}) where answers of {} bytes were allowed, and did where {} were",
        first.resolver.0,
        lookup.client,
        case.name_of(first),
        types(&large),
        first.edns.unwrap_or(0),
        small.edns.map_or("512".to_owned(), |size| size.to_string()),
    );
    let facts = Facts::default()
        .with("edns_size_bytes", first.edns)
        .with("answered_edns_size_bytes", small.edns);
    report(
        case,
        &large,
        recovered,
        Confidence::Possible,
        summary,
        facts,
    )
}

fn report(
    case: &LookupCase<'_>,
    queries: &[&Query],
    recovered: bool,
    confidence: Confidence,
    summary: String,
    facts: Facts,
) -> Option<LookupFinding> {
    let severity = match recovered || case.is_reverse() {
        true => Severity::Note,
        false => Severity::Error,
    };
    let culprit = Culprit::new(Role::Path, None).at_most(confidence);
    case.finding(
        &RECORD,
        queries,
        (severity, confidence, culprit),
        summary,
        facts,
    )
}
