//! What the findings about a server's certificates share, and how they bear on the end of the handshake.

use wirewhy_flow::Side;

use super::{alert, encrypted_alert, handshake_closed, handshake_reset};
use crate::certificates::{Fault, Presented, Reaction};
use crate::handshake::{Handshake, culprit};
use crate::wording::{instant, socket};
use crate::{
    Confidence, DETECTORS, Facts, Finding, Limits, Record, Rule, Severity, TrustStore, Value,
};

/// Runs every rule over the certificates of a connection, and ties what the client did to what was wrong with them.
pub(crate) fn judge(
    handshake: Handshake<'_>,
    limits: &Limits,
    trust: &TrustStore,
    findings: &mut Vec<Finding>,
) {
    let Some(presented) = Presented::of(handshake, trust) else {
        return;
    };
    let found: Vec<Finding> = DETECTORS
        .iter()
        .filter_map(|detector| match detector.rule {
            Rule::Certificate(detect) => detect(&presented, limits),
            _ => None,
        })
        .collect();
    if let Some(cause) = cause_of(&found, presented.reaction) {
        explain(findings, cause, presented.reaction);
    }
    findings.splice(0..0, found);
}

/// Whether a code is about a server's certificates.
pub(crate) fn concerns(code: &str) -> bool {
    code.starts_with("tls.cert-") || code == super::intercepted::RECORD.code
}

/// The finding that explains why the client ended the handshake: the worst, and a weakness where nothing worse fits the
/// alert.
fn cause_of(found: &[Finding], reaction: Reaction) -> Option<&'static str> {
    let error = found
        .iter()
        .find(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.code);
    let weak = || {
        let Reaction::Refused { alert, .. } = reaction else {
            return None;
        };
        found
            .iter()
            .find(|finding| finding.code == super::cert_weak::RECORD.code)
            .filter(|_| crate::certificates::fits(alert, Fault::Weak))
            .map(|finding| finding.code)
    };
    error.or_else(weak)
}

/// Makes what the client did a consequence of the certificate. An alert that says no more than the certificate shows is
/// left out.
fn explain(findings: &mut Vec<Finding>, cause: &'static str, reaction: Reaction) {
    let ends = [
        encrypted_alert::RECORD.code,
        handshake_closed::RECORD.code,
        handshake_reset::RECORD.code,
    ];
    let told = alert::RECORD.code;
    let is_error = cause != super::cert_weak::RECORD.code;
    if is_error && matches!(reaction, Reaction::Refused { .. }) {
        findings.retain(|finding| finding.code != told);
    }
    let by_client = !matches!(reaction, Reaction::Unseen | Reaction::Accepted);
    for finding in findings {
        let is_end = ends.contains(&finding.code) || finding.code == told;
        let follows = finding
            .consequence_of
            .is_some_and(|code| code == told || ends.contains(&code));
        if by_client && (is_end || follows) {
            finding.consequence_of = Some(cause);
        }
    }
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
