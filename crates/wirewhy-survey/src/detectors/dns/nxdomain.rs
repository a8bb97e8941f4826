//! `dns.nxdomain`: the name does not exist.

use wirewhy_detect::{
    Confidence, Culprit, Facts, Group, Limits, Record, Reportable, Role, Severity,
};
use wirewhy_flow::Query;

use crate::lookups::{LookupCase, LookupFinding, LookupOutcome, rcode, types};
use crate::rule::{Rule, SurveyDetector};

pub(crate) const RECORD: Record = Record {
    code: "dns.nxdomain",
    group: Group::Lookup,
    title: "The name does not exist (NXDOMAIN)",
    severity: Severity::Error,
    means: "The name that the client asked for does not exist in the DNS, nor with any domain of its search list behind it. \
            Applications report \"name or service not known\" or \"no such host\", and no connection is attempted. A note where a \
            later name of the search list was resolved, and for records whose absence is an answer (PTR, SRV, TXT).",
    recognised: "Response code 3 to the last name of a lookup. The names of a search list are one lookup: each follows the refusal \
                 of the one before and differs in what stands behind the name.",
    look_alikes: "A name that exists without records of the type asked for (NODATA) is not this. Names that end in .local or \
                  .svc.cluster.local are tried by way of search lists, browsers ask for random names to test the network, mail \
                  servers ask block lists, where no such name is the good answer: no errors.",
    check_next: &[
        "Is the name spelled right, and was it meant to be found with one of the domains in /etc/resolv.conf (search, ndots)?",
        "Ask the authority itself: dig +norecurse @MNAME NAME, with the primary server from the facts. If it has the name, a resolver \
         has remembered the refusal: for how long says the last number of the zone's SOA record.",
        "Does the client ask the right resolver? Names of a private zone exist only inside (split horizon, VPN).",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Lookup(detect),
};

fn detect(case: &LookupCase<'_>, _limits: &Limits) -> Option<LookupFinding> {
    let missing: Vec<&Query> = case
        .main()
        .filter(|query| {
            let answer = query.answer.as_ref();
            answer.is_some_and(|answer| answer.rcode == rcode::NXDOMAIN)
        })
        .collect();
    let lookup = case.lookup;
    let name = lookup.name();
    // Of a lookup that failed the name itself, of one that did not the first of its search list.
    let about: Vec<&Query> = match case.outcome {
        LookupOutcome::NoName => {
            let own = missing.iter().filter(|query| case.name_of(query) == name);
            own.copied().collect()
        }
        LookupOutcome::Resolved => missing.clone(),
        _ => return None,
    };
    let about = if about.is_empty() {
        missing.clone()
    } else {
        about
    };
    let first = *about.first()?;
    let asked = case.name_of(first);
    if is_local(asked) {
        return None;
    }
    let is_failure = case.outcome == LookupOutcome::NoName;
    let variants = lookup.names.len().saturating_sub(1);
    let answer = first.answer.as_ref()?;
    let zone = answer.authority.as_deref();
    let summary = match case.lookup.resolved().map(|query| case.name_of(query)) {
        Some(found) if !is_failure => format!(
            "{} asked for {asked} first ({}), which does not exist, and then found {found}: a search list",
            lookup.client,
            types(&about),
        ),
        _ => format!(
            "{} asked {} for {asked} ({}): no such name{}{}",
            lookup.client,
            first.resolver.0,
            types(&about),
            zone.map_or(String::new(), |zone| format!(
                ", says the zone {}",
                dotted(&zone.zone)
            )),
            match variants {
                0 => String::new(),
                1 => "; nor with the domain of the search list behind it".to_owned(),
                _ => format!("; nor with any of {variants} domains of the search list behind it"),
            },
        ),
    };
    let severity = match is_failure && case.needs_name() && !is_optional(case, asked) {
        true => Severity::Error,
        false => Severity::Note,
    };
    let culprit = Culprit::new(Role::Client, lookup.client).at_most(Confidence::Likely);
    let names: Vec<&str> = lookup.names.iter().map(|name| &**name).collect();
    let facts = Facts::default()
        .with("names", names)
        .with("zone", zone.map(|zone| &*zone.zone))
        .with("primary_server", zone.map(|zone| &*zone.primary));
    case.finding(
        &RECORD,
        &about,
        (severity, Confidence::Certain, culprit),
        summary,
        facts,
    )
}

fn dotted(zone: &str) -> &str {
    if zone == "." { "root (.)" } else { zone }
}

/// A name of the link (RFC 6762 section 3), and one of a cluster with the domains of its search list behind it.
fn is_local(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ends_with(&lower, "local") || ends_with(&lower, "localhost")
}

/// Whether that a name does not exist is an answer like any other.
fn is_optional(case: &LookupCase<'_>, name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let first = lower.split('.').next().unwrap_or_default();
    let reversed = |labels: usize| {
        let labels = lower.split('.').take(labels);
        labels.clone().count() >= 4
            && labels
                .into_iter()
                .all(|label| label.bytes().all(|byte| byte.is_ascii_digit()))
    };
    case.is_test
        // Services that a host may or may not offer (RFC 8552), and what a client looks for to configure itself.
        || lower.split('.').any(|label| label.starts_with('_'))
        || matches!(first, "wpad" | "isatap" | "autodiscover" | "autoconfig")
        // Block lists have the address in front (RFC 5782 section 2.1); the tree of addresses is asked for any.
        || reversed(4)
        || ends_with(&lower, "arpa")
        // One entry of a search list, of which the others were not seen.
        || case.lookup.names.len() == 1 && case.is_expanded(&lower)
}

fn ends_with(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
