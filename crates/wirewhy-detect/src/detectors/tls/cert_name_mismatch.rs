//! `tls.cert-name-mismatch`: the certificate is for other names than the one asked for.

use wirewhy_flow::{Interval, Mark, Side};

use super::certificate::finding;
use crate::certificates::{Fault, NameMatch, PathEnd, Presented, Reaction, match_name, names_of};
use crate::{
    Cause, Confidence, Detector, Facts, Finding, Group, Limits, Record, Reportable, Rule, Severity,
    Value,
};

pub(crate) const RECORD: Record = Record {
    code: "tls.cert-name-mismatch",
    group: Group::Tls,
    title: "The server's certificate is for another name",
    severity: Severity::Error,
    means: "None of the names in the certificate is the server name the client asked for. Clients that verify refuse it.",
    recognised: "The server name of the ClientHello against the subject alternative names: whole names, a wildcard for one label, \
                 international names as A-labels, addresses by value. A common name does not count (RFC 9525 section 6.2): \
                 some clients still take it, and then it is a warning.",
    look_alikes: "Without a server name in the ClientHello the certificate is held against the server's address, and only where the client \
                  left and nothing else explains it: a default certificate that an old client takes is no fault. A client may verify \
                  another name than it asks for.",
    check_next: &[
        "Does DNS lead the name to the right server, and has that server a certificate for it (its default answered)?",
        "openssl s_client -connect HOST:PORT -servername NAME </dev/null | openssl x509 -noout -ext subjectAltName",
    ],
    explained_by: &[
        Cause::IfError("tls.intercepted"),
        Cause::IfError("tls.cert-revoked"),
        Cause::IfError("tls.cert-expired"),
        Cause::IfError("tls.cert-not-yet-valid"),
    ],
    reportable: Reportable::ClientReaction,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Certificate(detect),
};

/// How many names a sentence lists.
const LISTED: usize = 4;

fn detect(presented: &Presented<'_>, _limits: &Limits) -> Option<Finding> {
    let weight = presented.weight(Fault::Name);
    let Some(name) = presented.name.as_deref() else {
        return by_address(presented, weight);
    };
    let only_common_name = match match_name(presented.leaf, name) {
        NameMatch::Matches => return None,
        NameMatch::OnlyCommonName => true,
        NameMatch::Differs => false,
    };
    let names = names_of(presented.leaf);
    let what = if only_common_name {
        "presented a certificate that has the name as its common name only, which most clients no longer accept".to_owned()
    } else {
        presented_names(&names)
    };
    Some(mismatch(
        presented,
        weight,
        &what,
        Facts::default()
            .with("asked_for", name)
            .with("names", names)
            .with("only_common_name", only_common_name),
    ))
}

fn presented_names(names: &[String]) -> String {
    if names.is_empty() {
        return "presented a certificate without any name".to_owned();
    }
    let more = names.len().saturating_sub(LISTED);
    let listed: Vec<&str> = names.iter().take(LISTED).map(String::as_str).collect();
    let and_more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!(
        "presented a certificate for {}{and_more}",
        listed.join(", ")
    )
}

/// How long a program takes to compare names, a round trip not counted.
const AT_ONCE: Interval = Interval::from_millis(200);

fn left_at_once(presented: &Presented<'_>, left: Mark) -> bool {
    let (tls, ending) = (presented.handshake.tls, &presented.handshake.ending);
    let done = [tls.server.finished, tls.client.finished]
        .into_iter()
        .flatten();
    done.max_by_key(|mark| mark.frame)
        .is_some_and(|done| left.time.since(done.time) <= AT_ONCE + ending.round_trip)
}

/// A client that asked for no server name reached the server by its address, or is old: the address must be in the certificate
/// where nothing else explains why the client left.
fn by_address(
    presented: &Presented<'_>,
    (severity, confidence): (Severity, Confidence),
) -> Option<Finding> {
    let server = presented.handshake.connection.side(Side::Server).address;
    let asked = server.to_string();
    let trusted = presented.path.end == PathEnd::Trusted;
    let nothing_else = match presented.reaction {
        Reaction::Refused { .. } | Reaction::Ended { .. } => trusted,
        // A program that checks the address leaves at once; who takes its time had another reason.
        Reaction::Unused { mark } => {
            left_at_once(presented, mark)
                && match presented.path.end {
                    PathEnd::Trusted => true,
                    PathEnd::SelfSigned | PathEnd::NotFollowed => false,
                    _ => !presented.roots_given,
                }
        }
        Reaction::Unseen | Reaction::Accepted => false,
    };
    let matches = match_name(presented.leaf, &asked) == NameMatch::Matches;
    if matches || !nothing_else || severity < Severity::Error {
        return None;
    }
    let refused = matches!(presented.reaction, Reaction::Refused { .. });
    let most = if refused {
        Confidence::Likely
    } else {
        Confidence::Possible
    };
    let names = names_of(presented.leaf);
    let what = format!(
        "{}, and not for the address {asked}; the client had asked for no server name",
        presented_names(&names)
    );
    Some(mismatch(
        presented,
        (severity, confidence.min(most)),
        &what,
        Facts::default()
            .with("asked_for", Value::Absent)
            .with("address", server)
            .with("names", names),
    ))
}

/// The name may as well lead to the wrong server.
fn mismatch(
    presented: &Presented<'_>,
    weight: (Severity, Confidence),
    what: &str,
    facts: Facts,
) -> Finding {
    let found = finding(&RECORD, presented, weight, what, facts);
    Finding {
        culprit: found.culprit.at_most(Confidence::Likely),
        ..found
    }
}
