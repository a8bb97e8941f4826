//! `tls.cert-self-signed`: the server's certificate is its own issuer.

use super::certificate::finding;
use crate::certificates::{Fault, PathEnd, Presented};
use crate::{
    Cause, Confidence, Detector, Facts, Finding, Group, Limits, Record, Reportable, Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "tls.cert-self-signed",
    group: Group::Tls,
    title: "The server's certificate is self-signed",
    severity: Severity::Error,
    means: "The certificate is signed with its own key: no authority vouches for it. Clients trust it only if they were given that very \
            certificate.",
    recognised: "The leaf's signature verifies with the leaf's own key, and it is not among the roots.",
    look_alikes: "A root of a private authority that is sent behind the leaf: tls.cert-untrusted.",
    check_next: &[
        "Is it the server's placeholder certificate? Then the real one is not configured for that name or address.",
        "If it is meant to be so, give it to the clients, and to wirewhy with --roots.",
    ],
    explained_by: &[
        Cause::IfError("tls.intercepted"),
        Cause::IfError("tls.cert-revoked"),
        Cause::IfError("tls.cert-expired"),
        Cause::IfError("tls.cert-not-yet-valid"),
        Cause::IfError("tls.cert-name-mismatch"),
    ],
    reportable: Reportable::ClientReaction,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Certificate(detect),
};

fn detect(presented: &Presented<'_>, _limits: &Limits) -> Option<Finding> {
    if presented.path.end != PathEnd::SelfSigned {
        return None;
    }
    let found = finding(
        &RECORD,
        presented,
        presented.weight(Fault::SelfSigned),
        &format!(
            "presented a self-signed certificate ({})",
            presented.leaf.subject
        ),
        Facts::default(),
    );
    Some(Finding {
        // It may be meant so, and be missing at the client.
        culprit: found.culprit.at_most(Confidence::Likely),
        ..found
    })
}
