//! Where a chain leads: whether it is trusted, and where it breaks if it is not.

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use wirewhy_packet::Timestamp;
use wirewhy_protocol::{Certificate, KeyAlgorithm};

use super::checks::Checks;

/// The most certificates followed upwards.
const MAX_DEPTH: usize = 16;

/// The most ways upwards that names may allow. A library that tries them all asks for time that doubles with every certificate.
const MOST_WAYS: usize = 64;

/// How far ways are counted: as far as the library goes.
const WAY_LENGTH: usize = 7;

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
    /// It was not followed to its end: that takes more signature checks than are made.
    NotFollowed,
}

impl Path {
    /// Of a chain that is not followed.
    pub(crate) fn not_followed() -> Path {
        Path {
            end: PathEnd::NotFollowed,
            used: vec![0],
        }
    }
}

/// Whether signatures lead from the leaf to a root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verified {
    Yes,
    No,
    /// It cannot be computed.
    Unknown,
    /// It takes more checks than are made.
    TooMuch,
}

/// Follows a chain, leaf first, to a root of `anchors`; `given` are the same roots as certificates, where they are at hand.
pub(super) fn path_of(
    chain: &[Arc<Certificate>],
    anchors: &[TrustAnchor<'static>],
    given: &[CertificateDer<'static>],
) -> Path {
    followed(chain, anchors, given, &Checks::default())
}

fn followed(
    chain: &[Arc<Certificate>],
    anchors: &[TrustAnchor<'static>],
    given: &[CertificateDer<'static>],
    checks: &Checks,
) -> Path {
    let walked = walk(chain, anchors, given, checks);
    let is_given = |leaf: &Arc<Certificate>| given.iter().any(|root| root.as_ref() == &*leaf.der);
    match walked.end {
        PathEnd::Unreadable | PathEnd::NotFollowed => return walked,
        PathEnd::Trusted if chain.first().is_some_and(is_given) => return walked,
        _ => {}
    }
    match (verifies(chain, anchors, checks), walked.end) {
        (Verified::TooMuch, _) => Path::not_followed(),
        // A name alone proves nothing: the signatures must lead there, too.
        (Verified::No, PathEnd::Trusted) => Path {
            end: top_of(chain, &walked.used),
            used: walked.used,
        },
        // Another order or a cross-signed way may lead there all the same.
        (Verified::Yes, _) => Path {
            end: PathEnd::Trusted,
            used: walked.used,
        },
        (_, end) => Path {
            end,
            used: walked.used,
        },
    }
}

/// Follows names and signatures upwards.
fn walk(
    chain: &[Arc<Certificate>],
    anchors: &[TrustAnchor<'static>],
    given: &[CertificateDer<'static>],
    checks: &Checks,
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
        if facts.is_self_signed {
            break;
        }
        let mut candidates: Vec<(usize, &Arc<Certificate>)> = (0..)
            .zip(chain)
            .filter(|(place, candidate)| {
                !used.contains(place) && subject_of(candidate) == Some(&*facts.issuer_der)
            })
            .collect();
        // Of several of one name the one whose key the certificate names is most likely it (RFC 5280 section 4.2.1.1).
        candidates.sort_by_key(|(_, candidate)| {
            let key = candidate.facts.as_ref().map(|facts| &facts.subject_key_id);
            facts.authority_key_id.is_none() || key != Some(&facts.authority_key_id)
        });
        let issuer = candidates
            .iter()
            .find(|(_, candidate)| checks.is_signed_by(current, candidate) != Some(false));
        if checks.are_used_up() {
            return Path::not_followed();
        }
        match issuer {
            Some((place, issuer)) => {
                used.push(*place);
                current = issuer;
            }
            None => break,
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

/// Whether signatures lead from the leaf to a root, at a time at which every certificate is valid if there is one. It cannot
/// be computed with an algorithm that the library does not take, a version 1 certificate, a fault of another kind.
fn verifies(
    chain: &[Arc<Certificate>],
    anchors: &[TrustAnchor<'static>],
    checks: &Checks,
) -> Verified {
    let Some((first, others)) = chain.split_first() else {
        return Verified::Unknown;
    };
    if ways(chain) > MOST_WAYS {
        return Verified::TooMuch;
    }
    let encoded = CertificateDer::from(whole(first));
    let (Ok(leaf), Some(time)) = (EndEntityCert::try_from(&encoded), agreeable_time(chain)) else {
        return Verified::Unknown;
    };
    let others: Vec<CertificateDer<'_>> = others
        .iter()
        .map(|certificate| CertificateDer::from(whole(certificate)))
        .collect();
    let counted = checks.algorithms();
    let algorithms: Vec<&dyn SignatureVerificationAlgorithm> =
        counted.iter().map(|algorithm| algorithm as _).collect();
    let verified = leaf.verify_for_usage(
        &algorithms,
        anchors,
        &others,
        time,
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
        Ok(_) => Verified::Yes,
        Err(_) if checks.are_used_up() => Verified::TooMuch,
        Err(_) if weak => Verified::Unknown,
        Err(webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey) => {
            Verified::No
        }
        Err(_) => Verified::Unknown,
    }
}

/// How many ways lead upwards from the leaf by names alone, up to a few more than [`MOST_WAYS`].
fn ways(chain: &[Arc<Certificate>]) -> usize {
    let issuers = |place: usize| {
        let issuer = chain.get(place).and_then(|certificate| {
            let facts = certificate.facts.as_ref()?;
            Some(&*facts.issuer_der)
        });
        (0..chain.len()).filter(move |above| {
            let candidate = chain.get(*above);
            *above != place && issuer.is_some() && candidate.and_then(|it| subject_of(it)) == issuer
        })
    };
    let mut found = 0;
    let mut ends = vec![0];
    for _ in 0..WAY_LENGTH {
        ends = ends.into_iter().flat_map(&issuers).collect();
        found += ends.len();
        if found > MOST_WAYS {
            break;
        }
    }
    found
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
pub(super) fn whole(certificate: &Certificate) -> &[u8] {
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
pub(super) fn contents(der: &[u8]) -> &[u8] {
    let Some((_, rest)) = der.split_first() else {
        return der;
    };
    let header = match rest.first() {
        Some(&length) if length & 0x80 != 0 => 1 + usize::from(length & 0x7f),
        _ => 1,
    };
    rest.get(header..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedIssuer, KeyPair};

    use super::super::checks::MOST_CHECKS;
    use super::super::testing::{Authority, VALID, authority_params};
    use super::*;

    fn read(chain: &[Vec<u8>]) -> Vec<Arc<Certificate>> {
        chain
            .iter()
            .map(|der| Arc::new(Certificate::read(der)))
            .collect()
    }

    fn anchors(roots: &[Vec<u8>]) -> Vec<TrustAnchor<'static>> {
        let anchor = |der: &Vec<u8>| {
            let der = CertificateDer::from(der.clone());
            webpki::anchor_from_trusted_cert(&der).unwrap().to_owned()
        };
        roots.iter().map(anchor).collect()
    }

    /// Where a chain leads, and how many signature checks that took.
    fn led(chain: &[Vec<u8>], roots: &[Vec<u8>]) -> (Path, usize) {
        let checks = Checks::default();
        let path = followed(&read(chain), &anchors(roots), &[], &checks);
        (path, checks.count())
    }

    #[test]
    fn a_usual_chain_takes_a_check_for_each_certificate() {
        let root = Authority::root("Root");
        let middle = root.middle("Middle", VALID);
        let leaf = middle.issue(&["a.example"], VALID);
        let (path, checks) = led(&[leaf, middle.der()], &[root.der()]);
        assert_eq!((path.end, path.used), (PathEnd::Trusted, vec![0, 1]));
        assert_eq!(checks, 2);
    }

    /// Authorities of one name, each signed by the one behind it, and none of them signed the leaf.
    #[test]
    fn a_maze_of_one_name_is_not_followed_to_its_end() {
        let name =
            |key| CertifiedIssuer::self_signed(authority_params("Maze", VALID), key).unwrap();
        let mut chain = vec![Authority::root("Maze").issue(&["a.example"], VALID)];
        let mut above = name(KeyPair::generate().unwrap());
        for _ in 1..16 {
            let key = KeyPair::generate().unwrap();
            let next = CertifiedIssuer::signed_by(authority_params("Maze", VALID), key, &above);
            chain.push(above.der().to_vec());
            above = next.unwrap();
        }
        chain.reverse();
        let leaf = chain.pop().unwrap();
        chain.insert(0, leaf);
        for anchor in ["Elsewhere", "Maze"] {
            let (path, checks) = led(&chain, &[Authority::root(anchor).der()]);
            assert_ne!(path.end, PathEnd::Trusted);
            assert!(checks <= MOST_CHECKS, "{checks}");
        }
        let (path, _) = led(&chain, &[Authority::root("Elsewhere").der()]);
        assert_eq!((path.end, path.used), (PathEnd::NotFollowed, vec![0]));
        assert!(ways(&read(&chain)) > MOST_WAYS);
    }

    /// An authority that changed its key, certified by two roots: what servers send in such years.
    #[test]
    fn several_of_one_name_are_followed_by_their_keys() {
        let (old, new) = (Authority::root("Old"), Authority::root("New"));
        let before: Vec<Authority> = (0..4).map(|_| old.middle("Middle", VALID)).collect();
        let middle = new.middle("Middle", VALID);
        let mut chain = vec![middle.issue(&["a.example"], VALID)];
        chain.extend(before.iter().map(Authority::der));
        chain.push(middle.der());
        let (path, checks) = led(&chain, &[new.der()]);
        assert_eq!((path.end, path.used), (PathEnd::Trusted, vec![0, 5]));
        assert!(checks <= 6, "{checks}");
    }
}
