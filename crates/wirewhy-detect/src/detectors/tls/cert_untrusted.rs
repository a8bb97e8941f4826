//! `tls.cert-untrusted`: the chain ends in a root that the store does not hold.

use super::certificate::finding;
use super::intercepted;
use crate::certificates::{Fault, PathEnd, Presented};
use crate::{Cause, Detector, Facts, Finding, Group, Limits, Record, Reportable, Rule, Severity};

pub(crate) const RECORD: Record = Record {
    code: "tls.cert-untrusted",
    group: Group::Tls,
    title: "The server's chain ends in an unknown root",
    severity: Severity::Error,
    means: "The chain is whole, and its end is an authority that the trust store does not hold: a private one, or a public one that is \
            not trusted any more. Clients without that root refuse it.",
    recognised: "Names and signatures lead from the leaf to a root, or to an issuer whose root was not sent, that is not in the store: the \
                 one given with --roots, else Mozilla's.",
    look_alikes: "A missing intermediate: tls.cert-chain-incomplete. Without --roots a private authority that the client went on with is \
                  taken to be known to it. A proxy that intercepts TLS: tls.intercepted.",
    check_next: &[
        "Should the client trust that authority? Then install its root there; containers and Java keep stores of their own.",
        "Should it not? Then find out who presents that certificate: the server, or a proxy on the way.",
        "Pass the roots your clients trust with --roots.",
    ],
    explained_by: &[
        Cause::IfError("tls.intercepted"),
        Cause::IfError("tls.cert-revoked"),
        Cause::IfError("tls.cert-expired"),
        Cause::IfError("tls.cert-not-yet-valid"),
        Cause::IfError("tls.cert-name-mismatch"),
        Cause::IfError("tls.cert-self-signed"),
        Cause::IfError("tls.cert-chain-incomplete"),
    ],
    reportable: Reportable::ClientReaction,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Certificate(detect),
};

fn detect(presented: &Presented<'_>, _limits: &Limits) -> Option<Finding> {
    let (root, was_sent) = match &presented.path.end {
        PathEnd::UnknownRoot(root) => (root, true),
        PathEnd::UnknownIssuer(issuer) => (issuer, false),
        _ => return None,
    };
    let (severity, confidence) = presented.weight(Fault::Trust);
    if !presented.checks_trust(severity) {
        return None;
    }
    let (store, confidence) = if presented.roots_given {
        ("given", confidence)
    } else {
        ("public", presented.doubted(confidence))
    };
    let past = presented.past_words();
    let sent = if was_sent { "" } else { ", which was not sent" };
    let what = format!(
        "presented a chain that ends in {root}{sent}, which is none of the {store} roots{past}"
    );
    let cause = intercepted::signer(presented).map(|_| intercepted::RECORD.code);
    let found = finding(
        &RECORD,
        presented,
        (severity, confidence),
        &what,
        Facts::default()
            .with("root", &**root)
            .with("root_sent", was_sent),
    );
    Some(Finding {
        culprit: found.culprit.at_most(presented.trust_is_known()),
        consequence_of: cause.filter(|_| severity == Severity::Error),
        ..found
    })
}
