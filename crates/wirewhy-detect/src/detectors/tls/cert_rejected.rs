//! `tls.cert-rejected`: the client refused certificates with which nothing is wrong.

use wirewhy_flow::Side;
use wirewhy_protocol::AlertDescription;

use super::cert_weak;
use super::certificate::finding;
use crate::certificates::{NameMatch, PathEnd, Presented, Reaction, match_name, outside_validity};
use crate::handshake::culprit;
use crate::{
    Cause, Confidence, Detector, Facts, Finding, Group, Limits, Record, Reportable, Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "tls.cert-rejected",
    group: Group::Tls,
    title: "The client refused a certificate with which nothing is wrong",
    severity: Severity::Error,
    means: "The client's alert is about the server's certificate, and the whole chain was valid, complete and trusted when it was captured: \
            the client's clock is wrong, its store is old, or it expects another certificate (pinning).",
    recognised: "A client's alert about certificates, and a chain that is valid at the time of the capture and leads to a root of the store \
                 (--roots, else Mozilla's), for the name asked for. For certificate_expired validity alone is enough.",
    look_alikes: "Without --roots a private authority is not known here: tls.cert-untrusted. The clock of the capturing host may be the \
                  wrong one.",
    check_next: &[
        "certificate_expired, or bad_certificate from Go or OpenSSL: compare the client's clock (date -u) with the validity in the facts.",
        "unknown_ca, certificate_unknown: does that program's own store hold the root (containers, Java, Node and Python keep stores of their own)?",
        "Does the program pin a certificate or key that was renewed since?",
    ],
    explained_by: &[
        Cause::IfError("tls.intercepted"),
        Cause::IfError("tls.cert-revoked"),
        Cause::IfError("tls.cert-expired"),
        Cause::IfError("tls.cert-not-yet-valid"),
        Cause::IfError("tls.cert-name-mismatch"),
        Cause::IfError("tls.cert-self-signed"),
        Cause::IfError("tls.cert-chain-incomplete"),
        Cause::IfError("tls.cert-untrusted"),
        Cause::IfError("tls.cert-weak"),
        Cause::IfError("tls.staple-missing"),
    ],
    reportable: Reportable::ClientReaction,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Certificate(detect),
};

fn detect(presented: &Presented<'_>, limits: &Limits) -> Option<Finding> {
    let Reaction::Refused { alert, .. } = presented.reaction else {
        return None;
    };
    let about_time = alert == AlertDescription::CERTIFICATE_EXPIRED;
    let trusted = presented.path.end == PathEnd::Trusted;
    let named = presented.name.as_deref();
    let suits = named.is_none_or(|name| match_name(presented.leaf, name) == NameMatch::Matches);
    let beyond = presented.certificates.chain.iter().any(|certificate| {
        let facts = certificate.facts.as_ref();
        facts.is_none_or(|facts| outside_validity(facts, presented.time).is_some())
    });
    let weak = cert_weak::is_weak(presented, limits);
    // A certificate for another purpose is the server's fault.
    let usage = presented.leaf.extended_key_usage;
    let purpose = usage.is_none_or(|usage| usage.any || usage.server_auth);
    // Without a name the client may have looked for one that is not in the certificate.
    let certain = named.is_some() || is_about_trust(alert);
    let in_order = trusted && suits && purpose && certain && !weak;
    if !is_about_certificates(alert) || beyond || !(about_time || in_order) {
        return None;
    }
    let what = if about_time {
        "sent a chain all of which was valid when it was captured".to_owned()
    } else {
        let store = if presented.roots_given {
            "given"
        } else {
            "public"
        };
        format!("sent a chain that was valid, whole, and ends in one of the {store} roots")
    };
    let reading = if about_time {
        "; the client's clock is most likely wrong"
    } else {
        "; the client's clock may be wrong, its store old, or it expects another certificate"
    };
    let found = finding(
        &RECORD,
        presented,
        (Severity::Error, Confidence::Likely),
        &what,
        Facts::default(),
    );
    Some(Finding {
        culprit: culprit(presented.handshake.connection, Side::Client)
            .at_most(Confidence::Possible),
        summary: format!("{}{reading}", found.summary),
        ..found
    })
}

/// Whether an alert is about certificates and nothing else.
fn is_about_certificates(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BAD_CERTIFICATE
            | AlertDescription::CERTIFICATE_EXPIRED
            | AlertDescription::CERTIFICATE_UNKNOWN
            | AlertDescription::UNKNOWN_CA
            | AlertDescription::CERTIFICATE_REVOKED
    )
}

/// Whether an alert is about trust, whatever the name.
fn is_about_trust(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::UNKNOWN_CA | AlertDescription::CERTIFICATE_REVOKED
    )
}
