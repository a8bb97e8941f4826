//! What the findings about a server's certificates share.

use wirewhy_flow::Side;

use super::{alert, cert_rejected};
use crate::certificates::{Presented, Reaction};
use crate::handshake::{Handshake, culprit};
use crate::wording::{instant, socket};
use crate::{
    Confidence, DETECTORS, Facts, Finding, Limits, Record, Rule, Severity, TrustStore, Value,
};

/// Runs every rule over the certificates of a connection.
pub(crate) fn diagnose(
    handshake: Handshake<'_>,
    limits: &Limits,
    trust: &TrustStore,
    findings: &mut Vec<Finding>,
) {
    let Some(presented) = Presented::of(handshake, trust, limits) else {
        return;
    };
    let found: Vec<Finding> = DETECTORS
        .iter()
        .filter_map(|detector| match detector.rule {
            Rule::Certificate(detect) => detect(&presented, limits),
            _ => None,
        })
        .collect();
    // An alert that says no more than the certificate shows is left out.
    let explains = |finding: &Finding| finding.severity == Severity::Error;
    let mut found = found;
    // Something is wrong with them after all.
    let other = |finding: &Finding| explains(finding) && finding.code != cert_rejected::RECORD.code;
    if found.iter().any(other) {
        found.retain(|finding| finding.code != cert_rejected::RECORD.code);
    }
    if matches!(presented.reaction, Reaction::Refused { .. }) && found.iter().any(explains) {
        findings.retain(|finding| finding.code != alert::RECORD.code);
    }
    findings.splice(0..0, found);
}

/// A finding about the server's certificates: `what` is a sentence's middle, without its end.
pub(super) fn finding(
    record: &'static Record,
    presented: &Presented<'_>,
    (severity, confidence): (Severity, Confidence),
    what: &str,
    facts: Facts,
) -> Finding {
    let connection = presented.handshake.connection;
    let server = socket(connection.side(Side::Server));
    let ending = presented.reaction_words(severity);
    Finding {
        code: record.code,
        severity,
        confidence,
        culprit: culprit(connection, Side::Server),
        summary: format!("the server {server}{} {what}{ending}", for_name(presented)),
        frames: presented.frames(),
        facts: Facts(facts.0.into_iter().chain(common(presented).0).collect()),
        consequence_of: None,
    }
}

fn for_name(presented: &Presented<'_>) -> String {
    presented
        .name
        .as_deref()
        .map_or(String::new(), |name| format!(" (TLS for {name})"))
}

fn common(presented: &Presented<'_>) -> Facts {
    let leaf = presented.leaf;
    let alert = match presented.reaction {
        Reaction::Refused { alert, .. } => Some(alert.to_string()),
        _ => None,
    };
    presented
        .handshake
        .facts()
        .with("subject", &*leaf.subject)
        .with("issuer", &*leaf.issuer)
        .with("serial", &*leaf.serial)
        .with("not_before", instant(leaf.not_before))
        .with("not_after", instant(leaf.not_after))
        .with("captured_at", instant(presented.time))
        .with(
            "client",
            match presented.reaction {
                Reaction::Refused { .. } => "refused",
                Reaction::Ended { .. } => "ended the handshake",
                Reaction::Unused { .. } => "left unused",
                Reaction::Unseen => "not captured",
                Reaction::Accepted => "went on",
            },
        )
        .with("alert", alert)
        .with("certificates_sent", presented.certificates.count)
        .with(
            "roots",
            if presented.roots_given {
                Value::from("given")
            } else {
                Value::from("mozilla")
            },
        )
}

#[cfg(test)]
mod tests;
