//! Where a chain leads: whether it is trusted, and where it breaks if it is not.

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage};
use wirewhy_packet::Timestamp;
use wirewhy_protocol::{Certificate, KeyAlgorithm};

/// The most certificates followed upwards.
const MAX_DEPTH: usize = 16;

/// Where a chain leads, whatever the time.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Path {
    /// Where it ends.
    pub(crate) end: PathEnd,
    /// The places in the chain that lead there, the leaf's included.
    pub(crate) used: Vec<usize>,
}

/// Where a chain ends.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum PathEnd {
    /// In a root of the store.
    Trusted,
    /// The leaf is its own issuer, and not in the store.
    SelfSigned,
    /// The leaf's issuer was not sent and is no root of the store.
    LeafIssuerMissing,
    /// In a root that was sent and is not in the store: its subject.
    UnknownRoot(Box<str>),
    /// In an issuer above the leaf's that was neither sent nor is in the store: its name.
    UnknownIssuer(Box<str>),
    /// The leaf cannot be read.
    Unreadable,
}

/// Follows a chain, leaf first, to a root of `anchors`; `given` are the same roots as certificates, where they are at hand.
pub(super) fn path_of(
    chain: &[Arc<Certificate>],
    anchors: &[TrustAnchor<'static>],
    given: &[CertificateDer<'static>],
) -> Path {
    let walked = walk(chain, anchors, given);
    match walked.end {
        // A name alone proves nothing: the signatures must lead there, too.
        PathEnd::Trusted if is_forged(chain, anchors, given) => Path {
            end: top_of(chain, &walked.used),
            used: walked.used,
        },
        PathEnd::Trusted | PathEnd::Unreadable => walked,
        // Another order or a cross-signed way may lead there all the same.
        _ if verifies(chain, anchors) == Some(true) => Path {
            end: PathEnd::Trusted,
            ..walked
        },
        _ => walked,
    }
}

/// Follows names and signatures upwards.
fn walk(
    chain: &[Arc<Certificate>],
    anchors: &[TrustAnchor<'static>],
    given: &[CertificateDer<'static>],
) -> Path {
    let mut used = vec![0];
    let ended = |end, used| Path { end, used };
    let Some(leaf) = chain.first().filter(|leaf| leaf.facts.is_some()) else {
        return ended(PathEnd::Unreadable, Vec::new());
    };
    let mut current = leaf;
    for _ in 0..MAX_DEPTH {
        let Some(facts) = &current.facts else {
            break;
        };
        if given.iter().any(|root| root.as_ref() == &*current.der)
            || anchors
                .iter()
                .any(|anchor| anchor.subject.as_ref() == contents(&facts.issuer_der))
        {
            return ended(PathEnd::Trusted, used);
        }
        let issuer = chain.iter().enumerate().find(|(place, candidate)| {
            !used.contains(place)
                && subject_of(candidate) == Some(&*facts.issuer_der)
                && current.is_signed_by(candidate) != Some(false)
        });
        match issuer {
            Some((place, issuer)) if !facts.is_self_signed => {
                used.push(place);
                current = issuer;
            }
            _ => break,
        }
    }
    ended(top_of(chain, &used), used)
}

/// What a way that leads to no root ends in.
fn top_of(chain: &[Arc<Certificate>], used: &[usize]) -> PathEnd {
    let top = used.last().and_then(|&place| chain.get(place));
    let Some(facts) = top.and_then(|top| top.facts.as_ref()) else {
        return PathEnd::Unreadable;
    };
    match (facts.is_self_signed, used.len()) {
        (true, 1) => PathEnd::SelfSigned,
        (true, _) => PathEnd::UnknownRoot(facts.subject.clone()),
        (false, 1) => PathEnd::LeafIssuerMissing,
        (false, _) => PathEnd::UnknownIssuer(facts.issuer.clone()),
    }
}

/// Whether a chain that ends in the name of a root was not signed with its key.
fn is_forged(
    chain: &[Arc<Certificate>],
    anchors: &[TrustAnchor<'static>],
    given: &[CertificateDer<'static>],
) -> bool {
    let sent_itself = chain
        .first()
        .is_some_and(|leaf| given.iter().any(|root| root.as_ref() == &*leaf.der));
    !sent_itself && verifies(chain, anchors) == Some(false)
}

/// Whether signatures lead from the leaf to a root, at a time at which every certificate is valid if there is one; `None`
/// where it cannot be computed: an algorithm that the library does not take, a version 1 certificate, a fault of another
/// kind.
fn verifies(chain: &[Arc<Certificate>], anchors: &[TrustAnchor<'static>]) -> Option<bool> {
    let (leaf, others) = chain.split_first()?;
    let encoded = CertificateDer::from(whole(leaf));
    let leaf = EndEntityCert::try_from(&encoded).ok()?;
    let others: Vec<CertificateDer<'_>> = others
        .iter()
        .map(|certificate| CertificateDer::from(whole(certificate)))
        .collect();
    let verified = leaf.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        anchors,
        &others,
        agreeable_time(chain)?,
        KeyUsage::server_auth(),
        None,
        None,
    );
    // The library takes signatures of weak keys and hashes for wrong ones.
    let weak = chain
        .iter()
        .filter_map(|certificate| certificate.facts.as_ref())
        .any(|facts| {
            let small = facts.key.algorithm == KeyAlgorithm::Rsa
                && facts.key.bits.is_some_and(|bits| bits < 2_048);
            small || facts.signature.is_broken
        });
    match verified {
        Ok(_) => Some(true),
        Err(_) if weak => None,
        Err(webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey) => {
            Some(false)
        }
        Err(_) => None,
    }
}

/// A time at which as many of the certificates are valid as can be: the middle of what they share, else of the leaf's own.
fn agreeable_time(chain: &[Arc<Certificate>]) -> Option<UnixTime> {
    let validity: Vec<(Timestamp, Timestamp)> = chain
        .iter()
        .filter_map(|certificate| certificate.facts.as_ref())
        .map(|facts| (facts.not_before, facts.not_after))
        .collect();
    let shared = (
        validity.iter().map(|(from, _)| *from).max()?,
        validity.iter().map(|(_, until)| *until).min()?,
    );
    let (from, until) = if shared.0 <= shared.1 {
        shared
    } else {
        *validity.first()?
    };
    let seconds = from.0.midpoint(until.0) / 1_000_000_000;
    let seconds = u64::try_from(seconds).unwrap_or(0);
    Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}

/// The certificate without what follows it.
fn whole(certificate: &Certificate) -> &[u8] {
    let trailing = certificate
        .facts
        .as_ref()
        .map_or(0, |facts| facts.trailing_bytes);
    let length = certificate.der.len().saturating_sub(trailing);
    certificate.der.get(..length).unwrap_or(&certificate.der)
}

fn subject_of(certificate: &Certificate) -> Option<&[u8]> {
    let facts = certificate.facts.as_ref()?;
    Some(&facts.subject_der)
}

/// What a DER value holds, its tag and length left out (X.690 section 8.1).
fn contents(der: &[u8]) -> &[u8] {
    let Some((_, rest)) = der.split_first() else {
        return der;
    };
    let header = match rest.first() {
        Some(&length) if length & 0x80 != 0 => 1 + usize::from(length & 0x7f),
        _ => 1,
    };
    rest.get(header..).unwrap_or_default()
}
