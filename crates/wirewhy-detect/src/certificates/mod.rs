//! The server's certificates, held against the time, the name asked for and a trust store, and how the client took them.

mod authorities;
mod checks;
mod names;
mod ocsp;
mod path;
#[cfg(test)]
pub(crate) mod testing;
mod trust;

use std::sync::Arc;

use wirewhy_flow::{Interval, Mark, Side};
use wirewhy_packet::Timestamp;
use wirewhy_protocol::{
    Alert, AlertDescription, Certificate, CertificateFacts, Certificates, HandshakeType,
    UpgradeProtocol,
};

pub(crate) use authorities::is_owners;
use authorities::{is_older_than_store, is_public_authority};
pub(crate) use names::{NameMatch, is_public, match_name, names_of};
pub(crate) use ocsp::revocation;
pub(crate) use path::{Path, PathEnd};
pub use trust::{TrustStore, UnusableRoot};

use crate::handshake::{Demand, End, Handshake, flow_mark};
use crate::{Confidence, Limits, Severity};

/// The certificates a server presented on one connection.
pub(crate) struct Presented<'a> {
    pub(crate) handshake: Handshake<'a>,
    pub(crate) certificates: &'a Certificates,
    pub(crate) leaf: &'a CertificateFacts,
    /// The server name the client asked for. Text from the wire.
    pub(crate) name: Option<String>,
    /// When it presented them.
    pub(crate) time: Timestamp,
    pub(crate) reaction: Reaction,
    /// Where the chain leads in the trust store.
    pub(crate) path: Arc<Path>,
    /// Where it leads among the roots the public trusts.
    pub(crate) public_path: Arc<Path>,
    /// The trust store was given: it says what the clients trust.
    pub(crate) roots_given: bool,
}

/// How the client took the server's certificates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reaction {
    /// It refused, with an alert that can be read.
    Refused { alert: AlertDescription, mark: Mark },
    /// It ended the handshake after them without saying why.
    Ended { mark: Mark },
    /// It finished the handshake and left without having used it.
    Unused { mark: Mark },
    /// What it did is not in the capture.
    Unseen,
    /// It went on, or failed for another reason.
    Accepted,
}

/// What can be wrong with a certificate, as alerts tell the kinds apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Not valid at the time.
    Validity,
    /// For another name.
    Name,
    /// Not trusted, as far as the store says.
    Trust,
    /// Its own issuer.
    SelfSigned,
    /// Revoked.
    Revoked,
    /// A key or signature too weak.
    Weak,
}

impl<'a> Presented<'a> {
    /// The certificates of a connection; `None` where none can be read.
    pub(crate) fn of(
        handshake: Handshake<'a>,
        trust: &TrustStore,
        limits: &Limits,
    ) -> Option<Presented<'a>> {
        let tls = handshake.tls;
        let certificates = tls.server_certificates.as_ref()?;
        let leaf = certificates.chain.first()?.facts.as_ref()?;
        let (path, public_path) = if certificates.is_followed {
            let path = trust.path(&certificates.chain);
            let public = trust
                .is_given()
                .then(|| TrustStore::mozilla().path(&certificates.chain));
            (Arc::clone(&path), public.unwrap_or(path))
        } else {
            let path = Arc::new(Path::not_followed());
            (Arc::clone(&path), path)
        };
        Some(Presented {
            certificates,
            leaf,
            name: tls
                .client_hello
                .as_deref()
                .and_then(|hello| hello.server_name()),
            time: flow_mark(certificates.mark).time,
            reaction: reaction(&handshake, limits),
            path,
            public_path,
            roots_given: trust.is_given(),
            handshake,
        })
    }

    /// The certificates on the way to the root, and whether they are all there are.
    pub(crate) fn used(&self) -> impl Iterator<Item = (usize, &'a Certificate)> + '_ {
        self.path.used.iter().filter_map(|&place| {
            let certificate = self.certificates.chain.get(place)?;
            Some((place, certificate.as_ref()))
        })
    }

    /// How much a fault of theirs matters, and how sure it is that it matters so: an error where the client ended the
    /// handshake over it, a warning where it did not.
    pub(crate) fn weight(&self, fault: Fault) -> (Severity, Confidence) {
        match self.reaction {
            Reaction::Refused { alert, .. } if fits(alert, fault) => {
                (Severity::Error, Confidence::Certain)
            }
            Reaction::Ended { .. } => (Severity::Error, Confidence::Likely),
            // Health checks take any certificate, and do no more than shake hands.
            Reaction::Unused { .. } if fault == Fault::SelfSigned => {
                (Severity::Error, Confidence::Possible)
            }
            Reaction::Unused { .. } if self.is_plain(fault) => {
                (Severity::Error, Confidence::Likely)
            }
            Reaction::Unused { .. } if fault == Fault::Trust => {
                (Severity::Note, Confidence::Possible)
            }
            // Clients of SQL Server take the certificate that it makes itself, unless they are set not to.
            _ if self.is_opportunistic() => (Severity::Note, Confidence::Certain),
            _ => (Severity::Warning, Confidence::Certain),
        }
    }

    /// Whether TLS is there to keep a login unread, and the server's name is not what it is for.
    fn is_opportunistic(&self) -> bool {
        let app = self.handshake.connection.app.as_deref();
        let upgrade = app.and_then(|app| app.upgrade.as_deref());
        upgrade.is_some_and(|upgrade| upgrade.protocol == UpgradeProtocol::Tds)
    }

    /// How sure a missing trust is where it was not configured which authorities the client trusts: an alert that can be read says more than an end
    /// without a word.
    pub(crate) fn doubted(&self, confidence: Confidence) -> Confidence {
        confidence.min(match self.reaction {
            Reaction::Refused { .. } if !self.may_have_been_public() => Confidence::Likely,
            _ => Confidence::Possible,
        })
    }

    /// The authority that the chain leads to and the built-in roots lack.
    fn unknown_authority(&self) -> Option<&str> {
        match &self.public_path.end {
            PathEnd::UnknownRoot(name) | PathEnd::UnknownIssuer(name) => Some(name),
            PathEnd::LeafIssuerMissing => Some(&self.leaf.issuer),
            PathEnd::Trusted | PathEnd::SelfSigned | PathEnd::Unreadable | PathEnd::NotFollowed => {
                None
            }
        }
    }

    /// Whether that authority goes by the name of a public one.
    pub(crate) fn is_of_public_authority(&self) -> bool {
        self.unknown_authority().is_some_and(is_public_authority)
    }

    /// Whether that authority may have been trusted when this was captured: it goes by the name of a public one, or the capture
    /// is older than the built-in roots.
    pub(crate) fn may_have_been_public(&self) -> bool {
        let older = self.unknown_authority().is_some() && is_older_than_store(self.time);
        older || self.is_of_public_authority()
    }

    /// Whether no certificate of the chain was valid yet, those of its authorities included: then the clock of the recording is
    /// wrong, or the whole place lives in another time.
    pub(crate) fn is_before_its_time(&self) -> bool {
        const ALONE: Interval = Interval::from_secs(365 * 24 * 3_600);
        let mut early = self.certificates.chain.iter().filter_map(|certificate| {
            match outside_validity(certificate.facts.as_ref()?, self.time)? {
                Outside::NotYet(by) => Some(by),
                Outside::Expired(_) => None,
            }
        });
        let first = early.next();
        let all = 1 + early.count() == self.certificates.chain.len();
        let alone = self.certificates.chain.len() == 1;
        first.is_some_and(|by| all && (!alone || by >= ALONE))
    }

    /// Whether a missing trust is worth a finding: without roots from the user a private authority that the client went on
    /// with is taken to be known to it.
    pub(crate) fn checks_trust(&self, severity: Severity) -> bool {
        let left = matches!(self.reaction, Reaction::Unused { .. });
        self.roots_given || severity == Severity::Error || left && !self.may_have_been_public()
    }

    /// How sure the server is at fault where trust is missing: the client's store may lack a root that it should have.
    pub(crate) fn trust_is_known(&self) -> Confidence {
        if self.roots_given {
            Confidence::Likely
        } else {
            Confidence::Possible
        }
    }

    /// For a sentence: that the authority may have been trusted when the capture was made.
    pub(crate) fn past_words(&self) -> &'static str {
        if self.roots_given || !self.may_have_been_public() {
            ""
        } else {
            " of today (it may have been trusted when this was captured)"
        }
    }

    /// Whether a fault shows without knowing whom the client trusts.
    fn is_plain(&self, fault: Fault) -> bool {
        match fault {
            Fault::Validity | Fault::Name | Fault::SelfSigned | Fault::Revoked => true,
            Fault::Trust => self.roots_given,
            Fault::Weak => false,
        }
    }

    /// Frames: what the client did, the certificates, the hellos.
    pub(crate) fn frames(&self) -> Vec<u64> {
        let decisive = match self.reaction {
            Reaction::Refused { mark, .. }
            | Reaction::Ended { mark }
            | Reaction::Unused { mark } => Some(mark.frame),
            Reaction::Unseen | Reaction::Accepted => None,
        };
        self.handshake
            .frames(decisive.into_iter().chain([self.certificates.mark.frame]))
    }

    /// What the client made of it, for the end of a sentence.
    pub(crate) fn reaction_words(&self, severity: Severity) -> String {
        match self.reaction {
            Reaction::Unseen => "; what the client made of it was not captured".to_owned(),
            Reaction::Unused { .. } => {
                "; the client left right after the handshake, without having used it".to_owned()
            }
            _ if severity < Severity::Error => "; the client went on all the same".to_owned(),
            Reaction::Refused { alert, .. } => format!("; the client refused it ({alert})"),
            Reaction::Ended { .. } => {
                "; the client ended the handshake right after it, without a readable reason"
                    .to_owned()
            }
            Reaction::Accepted => String::new(),
        }
    }
}

/// Whether an alert is what libraries send for a fault: the same one gives other alerts in other libraries.
pub(crate) fn fits(alert: AlertDescription, fault: Fault) -> bool {
    match alert {
        AlertDescription::CERTIFICATE_EXPIRED => fault == Fault::Validity,
        AlertDescription::CERTIFICATE_REVOKED => fault == Fault::Revoked,
        AlertDescription::BAD_CERTIFICATE_STATUS_RESPONSE => fault == Fault::Revoked,
        AlertDescription::UNKNOWN_CA => matches!(fault, Fault::Trust | Fault::SelfSigned),
        // Go says bad_certificate, Java certificate_unknown, to everything; older GnuTLS and Java handshake_failure.
        AlertDescription::BAD_CERTIFICATE
        | AlertDescription::CERTIFICATE_UNKNOWN
        | AlertDescription::HANDSHAKE_FAILURE
        | AlertDescription::ACCESS_DENIED => true,
        // A version 1 or otherwise odd certificate, and one that is its own issuer and no authority.
        AlertDescription::UNSUPPORTED_CERTIFICATE => fault == Fault::SelfSigned,
        AlertDescription::INSUFFICIENT_SECURITY => fault == Fault::Weak,
        _ => false,
    }
}

/// How the client took the certificates.
fn reaction(handshake: &Handshake<'_>, limits: &Limits) -> Reaction {
    // Who ends a handshake that has stood still for so long gives up waiting and refuses nothing.
    let stood_still = handshake
        .silence()
        .is_some_and(|(_, _, waited)| waited >= limits.handshake_silence);
    match handshake.end {
        End::Silence { .. } => Reaction::Unseen,
        End::Completed => match (handshake.refused_beside(), handshake.left_unused()) {
            (Some(mark), _) => Reaction::Ended { mark },
            (None, Some(mark)) => Reaction::Unused { mark },
            (None, None) => Reaction::Accepted,
        },
        End::Alert {
            from: Side::Client,
            alert,
        } => refused(handshake, &alert, limits),
        // Some look at them beside the handshake, and their alert comes behind their Finished.
        End::SealedAlert {
            from: Side::Client,
            mark,
            ..
        } if handshake.had_certificates(mark) => Reaction::Ended { mark },
        End::Closed {
            from: Side::Client,
            mark,
        }
        | End::Reset {
            from: Side::Client,
            mark,
        } if !stood_still
            && handshake.had_certificates(mark)
            && !has_gone_on(handshake)
            && handshake.name_warning().is_none() =>
        {
            Reaction::Ended { mark }
        }
        _ if stood_still => Reaction::Unseen,
        _ => Reaction::Accepted,
    }
}

/// Whether the client answered the server's certificates with its own part of the handshake: before TLS 1.3 it has verified
/// them by then.
fn has_gone_on(handshake: &Handshake<'_>) -> bool {
    let client = &handshake.tls.client;
    client.sent(HandshakeType::CLIENT_KEY_EXCHANGE) || client.finished.is_some()
}

/// How a client that sent this alert took the certificates.
fn refused(handshake: &Handshake<'_>, alert: &Alert, limits: &Limits) -> Reaction {
    let mark = flow_mark(alert.mark);
    match alert.description {
        None => Reaction::Ended { mark },
        // What else explains it has nothing to do with them.
        Some(_) if !handshake.had_certificates(mark) || explained(handshake, limits) => {
            Reaction::Accepted
        }
        Some(alert) => Reaction::Refused { alert, mark },
    }
}

/// Whether the handshake itself explains a client's alert that some send about certificates, too.
fn explained(handshake: &Handshake<'_>, limits: &Limits) -> bool {
    handshake.name_warning().is_some()
        || handshake.demand() == Some(Demand::Renegotiation)
        || handshake.refused_exchange(limits).is_some()
}

/// Whether a certificate was valid at a time: how long it has expired, or how long it is not valid yet.
pub(crate) fn outside_validity(facts: &CertificateFacts, time: Timestamp) -> Option<Outside> {
    if time > facts.not_after {
        Some(Outside::Expired(time.since(facts.not_after)))
    } else if time < facts.not_before {
        Some(Outside::NotYet(facts.not_before.since(time)))
    } else {
        None
    }
}

/// On which side of its validity a time lies, and how far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outside {
    Expired(Interval),
    NotYet(Interval),
}

/// Whether a threshold was not reached: `within` of the end of a validity that still holds.
pub(crate) fn expires_within(
    facts: &CertificateFacts,
    time: Timestamp,
    limits: &Limits,
) -> Option<Interval> {
    let left = facts.not_after.since(time);
    (left >= Interval::ZERO && left < limits.expiring).then_some(left)
}
