//! `tls.cert-expiring`: the server's certificate expires soon after the capture.

use super::certificate::finding;
use crate::certificates::{Presented, Reaction, expires_within};
use crate::wording::{instant, span};
use crate::{
    Confidence, Detector, Facts, Finding, Group, Limits, Record, Reportable, Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "tls.cert-expiring",
    group: Group::Tls,
    title: "The server's certificate expires soon",
    severity: Severity::Note,
    means: "The certificate was valid, and ends within two weeks of the capture: if nothing renews it, connections will fail then.",
    recognised: "notAfter of the leaf within 14 days after the packet that carried it.",
    look_alikes: "Certificates that live for days only are renewed all the time, and always expire soon.",
    check_next: &[
        "Is it renewed automatically, and is the server reloaded then?",
        "openssl s_client -connect HOST:PORT -servername NAME </dev/null | openssl x509 -noout -enddate",
    ],
    explained_by: &[],
    reportable: Reportable::ClientReaction,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Certificate(detect),
};

fn detect(presented: &Presented<'_>, limits: &Limits) -> Option<Finding> {
    let left = expires_within(presented.leaf, presented.time, limits)?;
    let noted = finding(
        &RECORD,
        presented,
        (Severity::Note, Confidence::Certain),
        &format!(
            "presents a certificate that expires {} after the capture, on {}",
            span(left),
            instant(presented.leaf.not_after),
        ),
        Facts::default().with("left_seconds", left),
    );
    // What the client did has other reasons.
    let summary = match presented.reaction {
        Reaction::Unseen | Reaction::Accepted => noted
            .summary
            .replace(&presented.reaction_words(Severity::Note), ""),
        _ => noted.summary,
    };
    Some(Finding { summary, ..noted })
}
