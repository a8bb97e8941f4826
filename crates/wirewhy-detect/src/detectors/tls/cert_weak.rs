//! `tls.cert-weak`: a key or signature of the chain that is too weak.

use wirewhy_protocol::{CertificateFacts, KeyAlgorithm};

use super::certificate::finding;
use crate::causes::PLAINER_FAULTS;
use crate::certificates::{Fault, Presented, Reaction};
use crate::{
    Confidence, Detector, Facts, Finding, Group, Limits, Record, Reportable, Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "tls.cert-weak",
    group: Group::Tls,
    title: "The server's chain is weak",
    severity: Severity::Error,
    means: "A certificate has an RSA key of fewer than 2048 bits, or is signed over MD5 or SHA-1. Present clients refuse such chains by \
            default; those that still take them can be deceived.",
    recognised: "Size of the keys of the certificates sent, and the signature algorithm of each but a root, whose own signature no client \
                 relies on.",
    look_alikes: "An old root signed over SHA-1 is no weakness.",
    check_next: &[
        "Reissue the certificate: RSA with 2048 bits or more, or ECDSA, signed over SHA-256.",
        "openssl s_client -connect HOST:PORT -servername NAME -showcerts </dev/null",
    ],
    explained_by: PLAINER_FAULTS,
    reportable: Reportable::ClientReaction,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Certificate(detect),
};

fn detect(presented: &Presented<'_>, limits: &Limits) -> Option<Finding> {
    let (place, facts, weakness) = presented.used().find_map(|(place, certificate)| {
        let facts = certificate.facts.as_ref()?;
        Some((place, facts, weakness(facts, limits)?))
    })?;
    let whose = if place == 0 {
        "presented a certificate".to_owned()
    } else {
        format!(
            "sent a chain whose certificate {} ({}) is",
            place + 1,
            facts.subject
        )
    };
    let (severity, confidence) = presented.weight(Fault::Weak);
    // Where the client left without an alert, the reason is not known to be the weakness.
    let refused = matches!(presented.reaction, Reaction::Refused { .. });
    let severity = if refused { severity } else { Severity::Warning };
    Some(finding(
        &RECORD,
        presented,
        (severity, confidence.max(Confidence::Likely)),
        &format!("{whose} {weakness}"),
        Facts::default()
            .with("place_in_chain", u64::try_from(place).unwrap_or(u64::MAX))
            .with("key_bits", facts.key.bits)
            .with("signature", &*facts.signature.name),
    ))
}

/// Whether a certificate that the client needs is weak.
pub(super) fn is_weak(presented: &Presented<'_>, limits: &Limits) -> bool {
    presented.used().any(|(_, certificate)| {
        let facts = certificate.facts.as_ref();
        facts.is_some_and(|facts| weakness(facts, limits).is_some())
    })
}

fn weakness(facts: &CertificateFacts, limits: &Limits) -> Option<String> {
    let is_root = facts.is_self_signed && facts.is_authority == Some(true);
    if facts.signature.is_broken && !is_root {
        return Some(format!("signed with {}", facts.signature.name));
    }
    let measured = matches!(facts.key.algorithm, KeyAlgorithm::Rsa | KeyAlgorithm::Dsa);
    let bits = facts.key.bits.filter(|_| measured)?;
    (bits < limits.rsa_bits).then(|| format!("with a key of {bits} bits only"))
}
