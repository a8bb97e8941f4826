//! `tls.cert-name-mismatch`: the certificate is for other names than the one asked for.

use super::certificate::finding;
use crate::certificates::{Fault, NameMatch, Presented, match_name, names_of};
use crate::{Cause, Detector, Facts, Finding, Group, Limits, Record, Reportable, Rule, Severity};

pub(crate) const RECORD: Record = Record {
    code: "tls.cert-name-mismatch",
    group: Group::Tls,
    title: "The server's certificate is for another name",
    severity: Severity::Error,
    means: "None of the names in the certificate is the server name the client asked for. Clients that verify refuse it.",
    recognised: "The server name of the ClientHello against the subject alternative names: whole names, a wildcard for one label, \
                 international names as A-labels, addresses by value. A common name does not count (RFC 9525 section 6.2): \
                 some clients still take it, and then it is a warning.",
    look_alikes: "Without a server name in the ClientHello there is nothing to compare: a default certificate is not judged. A client may \
                  verify another name than it asks for.",
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
    let name = presented.name.as_deref()?;
    let matched = match_name(presented.leaf, name);
    let weight = presented.weight(Fault::Name);
    let only_common_name = match matched {
        NameMatch::Matches => return None,
        NameMatch::OnlyCommonName => true,
        NameMatch::Differs => false,
    };
    let names = names_of(presented.leaf);
    let what = if only_common_name {
        "presented a certificate that has the name as its common name only, which most clients no longer accept".to_owned()
    } else if names.is_empty() {
        "presented a certificate without any name".to_owned()
    } else {
        let more = names.len().saturating_sub(LISTED);
        let listed = names
            .iter()
            .take(LISTED)
            .cloned()
            .collect::<Vec<_>>()
            .join(", ");
        let and_more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        format!("presented a certificate for {listed}{and_more}")
    };
    Some(finding(
        &RECORD,
        presented,
        weight,
        &what,
        Facts::default()
            .with("asked_for", name)
            .with("names", names)
            .with("only_common_name", only_common_name),
    ))
}
