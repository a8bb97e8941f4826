//! `tls.cert-chain-incomplete`: the certificate of the leaf's issuer was not sent.

use super::certificate::finding;
use crate::certificates::{Fault, PathEnd, Presented};
use crate::{
    Cause, Confidence, Detector, Facts, Finding, Group, Limits, Record, Reportable, Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "tls.cert-chain-incomplete",
    group: Group::Tls,
    title: "The server's chain lacks a certificate",
    severity: Severity::Error,
    means: "The issuer of the server's certificate is no known root, and its certificate was not sent: clients cannot find their way to \
            a root. Browsers fetch or remember the missing one, most programs do not: it works in a browser and fails with curl.",
    recognised: "No certificate of the chain has the leaf's issuer as its subject and verifies its signature, and no root of the store \
                 has that name.",
    look_alikes: "A private authority that signs servers directly: then nothing is missing but the client's trust. Without --roots the two \
                  cannot be told apart, and a client that went on is taken to know.",
    check_next: &[
        "Append the intermediate certificate to the file the server presents (nginx: ssl_certificate with leaf first, then the chain).",
        "openssl s_client -connect HOST:PORT -servername NAME -showcerts </dev/null: is the issuer of certificate 0 the subject of 1?",
        "Is it a private authority? Pass its root with --roots.",
    ],
    explained_by: &[
        Cause::IfError("tls.intercepted"),
        Cause::IfError("tls.cert-revoked"),
        Cause::IfError("tls.cert-expired"),
        Cause::IfError("tls.cert-not-yet-valid"),
        Cause::IfError("tls.cert-name-mismatch"),
        Cause::IfError("tls.cert-self-signed"),
    ],
    reportable: Reportable::ClientReaction,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Certificate(detect),
};

fn detect(presented: &Presented<'_>, _limits: &Limits) -> Option<Finding> {
    if presented.path.end != PathEnd::LeafIssuerMissing {
        return None;
    }
    let leaf = presented.leaf;
    let (severity, confidence) = presented.weight(Fault::Trust);
    // An issuer's certificate that can be fetched is hardly the root's.
    let can_be_fetched = !leaf.issuer_urls.is_empty();
    if !can_be_fetched && !presented.checks_trust(severity) {
        return None;
    }
    let sure = presented.roots_given || can_be_fetched;
    let confidence = if sure {
        confidence
    } else {
        presented.doubted(confidence)
    };
    let private = if sure {
        ""
    } else {
        " (unless a private authority signed it directly and the client lacks its root)"
    };
    let sent = presented.certificates.count;
    let past = presented.past_words();
    let what = format!(
        "did not send the certificate of its issuer {}: its chain of {sent} leads to no known root{private}{past}",
        leaf.issuer,
    );
    let found = finding(
        &RECORD,
        presented,
        (severity, confidence),
        &what,
        Facts::default().with("missing", &*leaf.issuer).with(
            "issuer_urls",
            leaf.issuer_urls
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
        ),
    );
    Some(Finding {
        culprit: match sure {
            true => found.culprit,
            false => found.culprit.at_most(Confidence::Possible),
        },
        ..found
    })
}
