//! The signature checks of one chain: so many and no more, and none that succeeded made twice.

use std::sync::{Arc, Mutex, PoisonError};

use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use webpki::ALL_VERIFICATION_ALGS;
use wirewhy_protocol::Certificate;

use super::path::{contents, whole};

/// The most checks of one chain. A usual one takes one for each certificate in it; one where many have the same name could take
/// one for each pair, or each way.
pub(super) const MOST_CHECKS: usize = 16;

/// What was checked so far.
#[derive(Debug, Default)]
pub(super) struct Checks(Mutex<Made>);

#[derive(Debug, Default)]
struct Made {
    count: usize,
    is_used_up: bool,
    /// Certificates, and those whose key signed them.
    signed: Vec<(Arc<Certificate>, Arc<Certificate>)>,
}

/// An algorithm of the library, whose checks count.
#[derive(Debug)]
pub(super) struct Counted<'c> {
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    checks: &'c Checks,
}

impl Checks {
    /// Whether the signature of a certificate was made with the key of `issuer`; `None` where that cannot be computed, or is
    /// not since too many were.
    pub(super) fn is_signed_by(
        &self,
        certificate: &Arc<Certificate>,
        issuer: &Arc<Certificate>,
    ) -> Option<bool> {
        if !self.may_check() {
            return None;
        }
        let is_signed = certificate.is_signed_by(issuer);
        if is_signed == Some(true) {
            let pair = (Arc::clone(certificate), Arc::clone(issuer));
            self.made(|made| made.signed.push(pair));
        }
        is_signed
    }

    /// Whether another check was due when so many had been made.
    pub(super) fn are_used_up(&self) -> bool {
        self.made(|made| made.is_used_up)
    }

    /// How many were made.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.made(|made| made.count)
    }

    /// The algorithms of the library; none succeeds once too many checks were made.
    pub(super) fn algorithms(&self) -> Vec<Counted<'_>> {
        let all = ALL_VERIFICATION_ALGS.iter();
        all.map(|algorithm| Counted {
            algorithm: *algorithm,
            checks: self,
        })
        .collect()
    }

    fn may_check(&self) -> bool {
        self.made(|made| {
            made.is_used_up |= made.count >= MOST_CHECKS;
            made.count += usize::from(!made.is_used_up);
            !made.is_used_up
        })
    }

    fn is_known(&self, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        self.made(|made| {
            made.signed.iter().any(|(certificate, issuer)| {
                let der = whole(certificate);
                let facts = issuer.facts.as_ref();
                facts.is_some_and(|facts| facts.key_der.ends_with(key))
                    && contents(der).starts_with(message)
                    && der.ends_with(signature)
            })
        })
    }

    fn made<R>(&self, of: impl FnOnce(&mut Made) -> R) -> R {
        of(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SignatureVerificationAlgorithm for Counted<'_> {
    fn verify_signature(
        &self,
        key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        if self.checks.is_known(key, message, signature) {
            return Ok(());
        }
        if !self.checks.may_check() {
            return Err(InvalidSignature);
        }
        self.algorithm.verify_signature(key, message, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }
}
