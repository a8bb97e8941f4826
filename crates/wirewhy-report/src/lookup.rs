//! What a lookup lost the connection that depended on it, in words.

use wirewhy_flow::{LookedUp, LookupTrouble, Missed, Missing};
use wirewhy_protocol::{dns_rcode_name, dns_type_name};

use crate::format;

/// The sentence about a connection whose lookup was late or failed; `None` where it was neither. Has text from the wire.
pub(crate) fn sentence(found: &LookedUp) -> Option<String> {
    let trouble = found.trouble.as_deref()?;
    let delay = format::span(trouble.delay);
    let name = &found.name;
    let mut text = format!("it began {delay} after the first query for {name}");
    if !trouble.is_resolved {
        text.push_str(", which failed; ");
        text.push_str(&match found.answer {
            Some(answer) => format!(
                "its address is from an earlier answer, frame {}",
                answer.frame
            ),
            None => "its address is from no lookup that was seen".to_owned(),
        });
    }
    let failures = failures(trouble);
    if !failures.is_empty() {
        text.push_str(": ");
        text.push_str(&failures.join("; "));
    }
    Some(text)
}

/// The failures by resolver: `192.0.2.53 did not answer A and AAAA`.
fn failures(trouble: &LookupTrouble) -> Vec<String> {
    let mut reported: Vec<&Missed> = Vec::new();
    let alike =
        |one: &Missed, other: &Missed| (one.resolver, one.how) == (other.resolver, other.how);
    for missed in &trouble.missed {
        if !reported.iter().any(|known| alike(known, missed)) {
            reported.push(missed);
        }
    }
    let failures = reported.into_iter().map(|missed| {
        let mut kinds: Vec<String> = Vec::new();
        for other in trouble.missed.iter().filter(|other| alike(other, missed)) {
            kinds.push(dns_type_name(other.kind));
        }
        let (resolver, kinds) = (missed.resolver.0, kinds.join(" and "));
        match missed.how {
            Missing::Unanswered => format!("{resolver} did not answer {kinds}"),
            Missing::Repeated => format!("{resolver} answered {kinds} only when asked again"),
            Missing::Code(code) => {
                format!("{resolver} answered {} to {kinds}", dns_rcode_name(code))
            }
            Missing::Unreachable => format!("{resolver} cannot be reached, says ICMP ({kinds})"),
        }
    });
    failures.collect()
}

/// How a query failed, in a word.
pub(crate) fn how(missing: Missing) -> &'static str {
    match missing {
        Missing::Unanswered => "unanswered",
        Missing::Repeated => "repeated",
        Missing::Code(_) => "error",
        Missing::Unreachable => "unreachable",
    }
}
