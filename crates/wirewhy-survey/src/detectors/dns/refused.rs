//! `dns.refused`: the resolver will not answer.

use std::net::IpAddr;

use wirewhy_detect::{
    Confidence, Culprit, Facts, Group, Limits, Record, Reportable, Role, Severity,
};
use wirewhy_flow::{Answered, Query};
use wirewhy_protocol::dns_rcode_name;

use super::errors::{as_facts, culprit, error_of, in_words};
use crate::lookups::{
    LookupCase, LookupFinding, LookupOutcome, kind, listed, rcode, resolvers, types,
};
use crate::rule::{Rule, SurveyDetector};

pub(crate) const RECORD: Record = Record {
    code: "dns.refused",
    group: Group::Lookup,
    title: "The resolver refuses to answer",
    severity: Severity::Error,
    means: "The address that the client asks answers, but not the question: REFUSED (this client may not, or it is no resolver), NOTIMP \
            or FORMERR (it does not understand the query), or ICMP says that no name server runs there. Applications report \
            anything from \"temporary failure\" to \"name or service not known\". A note where another resolver answered.",
    recognised: "A response code of 1, 4, 5 or above 5, or ICMP port unreachable that quotes the query, and no answer with what was \
                 asked for.",
    look_alikes: "FORMERR to a query with EDNS followed at once by the same query without is an old server, and works: a note. \
                  Servers refuse the questions of scanners from the Internet as they should: a note.",
    check_next: &[
        "ICMP port unreachable: is the name server running (ss -lunp 'sport = :53'), and is the address in /etc/resolv.conf right?",
        "REFUSED: is this address meant to resolve for this client? Look at allow-recursion and allow-query (named), access-control (unbound).",
        "FORMERR or NOTIMP: dig +noedns @RESOLVER NAME. If that works, a device on the way or an old server rejects EDNS.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Lookup(detect),
};

fn detect(case: &LookupCase<'_>, _limits: &Limits) -> Option<LookupFinding> {
    let refused: Vec<&Query> = case.main().filter(|query| is_refused(query)).collect();
    let first = *refused.first()?;
    let is_failure = match case.outcome {
        LookupOutcome::Refused => true,
        LookupOutcome::Resolved => false,
        _ => return None,
    };
    let lookup = case.lookup;
    let whom = resolvers(&refused);
    let asked = format!(
        "{} ({}) of {}",
        case.name_of(first),
        types(&refused),
        lookup.client
    );
    let error = error_of(&refused);
    let code = first.answer.as_ref().map(|answer| answer.rcode);
    let (stated, culprit, reporter) = match (code, first.icmp) {
        (Some(code), _) => {
            let name = dns_rcode_name(code);
            let stated = format!("{} answered {name} to the query for {asked}", listed(&whom));
            let culprit = culprit(error, first.resolver, lookup.client, Confidence::Possible);
            (format!("{stated}: {}", reading(code, first)), culprit, None)
        }
        (None, Some(icmp)) => {
            let own = icmp.reporter == first.resolver.0;
            let stated = match (icmp.is_port_unreachable(), own) {
                (true, true) => format!(
                    "no name server runs on {}: it refused the query for {asked} by ICMP port unreachable",
                    listed(&whom)
                ),
                _ => format!(
                    "the query to {} for {asked} came back by ICMP from {} (type {}, code {})",
                    listed(&whom),
                    icmp.reporter,
                    icmp.kind,
                    icmp.code
                ),
            };
            let role = if own { Role::Server } else { Role::Path };
            let culprit = Culprit::new(role, icmp.reporter).at_most(Confidence::Likely);
            (stated, culprit, Some(icmp))
        }
        (None, None) => return None,
    };
    let summary = format!(
        "{stated}{}{}",
        error.map_or(String::new(), in_words),
        match is_failure {
            true => "",
            false => "; the name was resolved all the same",
        },
    );
    let harmless = case.is_reverse() || is_scan(case, first);
    let severity = match is_failure && !harmless {
        true => Severity::Error,
        false => Severity::Note,
    };
    let facts: Facts = as_facts(error)
        .with("rcode", code.map(dns_rcode_name))
        .with("icmp_reporter", reporter.map(|icmp| icmp.reporter))
        .with("icmp_type", reporter.map(|icmp| icmp.kind))
        .with("icmp_code", reporter.map(|icmp| icmp.code))
        .with("resolvers", whom);
    case.finding(
        &RECORD,
        &refused,
        (severity, Confidence::Certain, culprit),
        summary,
        facts,
    )
}

fn is_refused(query: &Query) -> bool {
    match &query.answer {
        Some(Answered { rcode, .. }) => !matches!(
            *rcode,
            0 | rcode::SERVFAIL | rcode::NXDOMAIN | rcode::BADCOOKIE
        ),
        None => query.icmp.is_some(),
    }
}

/// What a response code says, in words.
fn reading(code: u16, query: &Query) -> &'static str {
    let available = query
        .answer
        .as_ref()
        .is_some_and(|answer| answer.recursion_available);
    match code {
        1 => "it could not read the query, and the name may be fine",
        4 => "it does not do what was asked for",
        5 if available => "it is a resolver, and will not be one for this question or this client",
        5 => "it does not resolve for this client, or only speaks for zones of its own",
        16 => "it does not know this version of EDNS",
        _ => "it will not answer",
    }
}

/// Whether a stranger from the Internet asks once, or for all records: servers are right to refuse that.
fn is_scan(case: &LookupCase<'_>, query: &Query) -> bool {
    let strangers = is_global(case.lookup.client) && is_global(query.resolver.0);
    query.kind == kind::ANY || strangers && case.lookup.asked() == 1
}

/// Whether an address is one of the Internet, and neither private nor reserved.
fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            let shared = a == 100 && b & 0xc0 == 64;
            let benchmarks = a == 198 && b & 0xfe == 18;
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation()
                || shared
                || benchmarks)
        }
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            first & 0xe000 == 0x2000 && (first, second) != (0x2001, 0xdb8)
        }
    }
}
