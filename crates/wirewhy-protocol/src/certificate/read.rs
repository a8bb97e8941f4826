//! From DER to facts.

use sha2::{Digest, Sha256};
use wirewhy_packet::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::{Certificate, CertificateFacts, KeyAlgorithm, PublicKey, extensions, keys, name};

impl Certificate {
    /// Reads what one entry of a chain holds. What cannot be parsed has no facts; bytes after the certificate are counted.
    #[must_use]
    pub fn read(der: &[u8]) -> Certificate {
        Certificate::read_and(der, |_| true)
    }

    /// Reads it, and verifies a signature that seems to be its own if `verify` says so of its key.
    pub(super) fn read_and(der: &[u8], verify: impl FnOnce(&PublicKey) -> bool) -> Certificate {
        Certificate {
            der: der.into(),
            sha256: Sha256::digest(der).into(),
            facts: X509Certificate::from_der(der)
                .ok()
                .map(|(rest, parsed)| facts(&parsed, rest.len(), verify)),
        }
    }

    /// Whether its signature was made with the key of `issuer`, whatever the names say; `None` where that cannot be computed
    /// (an algorithm or a key size that is not supported, or either cannot be parsed).
    #[must_use]
    pub fn is_signed_by(&self, issuer: &Certificate) -> Option<bool> {
        let (_, parsed) = X509Certificate::from_der(&self.der).ok()?;
        let (_, signer) = X509Certificate::from_der(&issuer.der).ok()?;
        verified(&parsed, &signer)
    }
}

fn facts(
    parsed: &X509Certificate<'_>,
    trailing_bytes: usize,
    verify: impl FnOnce(&PublicKey) -> bool,
) -> CertificateFacts {
    let extensions = extensions::read(parsed);
    let mut serial = String::new();
    name::push_hex(&mut serial, parsed.raw_serial());
    let is_self_issued = parsed.subject().as_raw() == parsed.issuer().as_raw();
    let names_itself = match (&extensions.authority_key_id, &extensions.subject_key_id) {
        (Some(authority), Some(subject)) => authority == subject,
        _ => true,
    };
    let key = keys::public_key(parsed.public_key());
    // A signature by its own key needs its own name as the issuer too; anything else is a chain of another's making.
    let is_self_signed = is_self_issued
        && verify(&key)
            .then(|| verified(parsed, parsed))
            .flatten()
            .unwrap_or(names_itself);
    CertificateFacts {
        version: parsed.version().0.saturating_add(1),
        serial: serial.into(),
        subject: name::text(parsed.subject()),
        issuer: name::text(parsed.issuer()),
        subject_der: parsed.subject().as_raw().into(),
        issuer_der: parsed.issuer().as_raw().into(),
        key_der: parsed.public_key().raw.into(),
        trailing_bytes,
        common_name: name::common_name(parsed.subject()),
        not_before: timestamp(parsed.validity().not_before),
        not_after: timestamp(parsed.validity().not_after),
        names: extensions.names.unwrap_or_default(),
        key,
        signature: keys::signature(&parsed.signature_algorithm),
        is_authority: extensions.is_authority,
        key_usage: extensions.key_usage,
        extended_key_usage: extensions.extended_key_usage,
        subject_key_id: extensions.subject_key_id,
        authority_key_id: extensions.authority_key_id,
        issuer_urls: extensions.issuer_urls,
        must_staple: extensions.must_staple,
        is_self_issued,
        is_self_signed,
    }
}

/// `None` where the library cannot tell: it knows no MD5, no P-521, and refuses RSA below 2048 bits except with SHA-1 (then
/// below 1024), with the same error as for a wrong signature.
fn verified(parsed: &X509Certificate<'_>, signer: &X509Certificate<'_>) -> Option<bool> {
    use x509_parser::error::X509Error;
    let key = signer.public_key();
    match parsed.verify_signature(Some(key)) {
        Ok(()) => Some(true),
        Err(X509Error::SignatureVerificationError) => {
            let facts = keys::public_key(key);
            let too_small = facts.algorithm == KeyAlgorithm::Rsa
                && facts.bits.is_none_or(|bits| !(2048..=8192).contains(&bits));
            // A key of another kind than the signature has not made it.
            let same_kind = is_rsa(&keys::signature(&parsed.signature_algorithm).name)
                == (facts.algorithm == KeyAlgorithm::Rsa);
            if too_small && same_kind {
                None
            } else {
                Some(false)
            }
        }
        Err(_) => None,
    }
}

fn is_rsa(signature: &str) -> bool {
    signature.contains("RSA") || signature.starts_with("rsassaPss")
}

/// Years beyond 2262 saturate, as 9999 for "no well-defined end" (RFC 5280 section 4.1.2.5) does.
fn timestamp(time: ASN1Time) -> Timestamp {
    Timestamp::from_secs_nanos(time.timestamp(), 0)
}
