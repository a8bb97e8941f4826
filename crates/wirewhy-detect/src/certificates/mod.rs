//! The server's certificates, held against the time, the name asked for and a trust store, and how the client took them.

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
    AlertDescription, Certificate, CertificateFacts, Certificates, Secrets, TlsStage,
};

pub(crate) use names::{NameMatch, is_public, match_name, names_of};
pub(crate) use ocsp::revocation;
pub(crate) use path::{Path, PathEnd};
pub use trust::{TrustStore, UnusableRoot};

use crate::handshake::{End, Handshake, flow_mark, records};
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
    /// Trusted by nobody, as far as the store says.
    Trust,
    /// Its own issuer.
    SelfSigned,
    /// Revoked.
    Revoked,
    /// A key or signature too weak.
    Weak,
}

/// How long after the handshake a client that does not like what it got takes to leave. Programs that check a name or a pin
/// themselves do so at once.
const LEAVES_WITHIN: Interval = Interval::from_secs(1);

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
        let path = trust.path(&certificates.chain);
        let public_path = if trust.is_given() {
            TrustStore::mozilla().path(&certificates.chain)
        } else {
            Arc::clone(&path)
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
            Reaction::Unused { .. } if self.is_plain(fault) => {
                (Severity::Error, Confidence::Likely)
            }
            _ => (Severity::Warning, Confidence::Certain),
        }
    }

    /// How sure a missing trust is where nobody said whom the client trusts: an alert that can be read says more than an end
    /// without a word.
    pub(crate) fn doubted(&self, confidence: Confidence) -> Confidence {
        confidence.min(match self.reaction {
            Reaction::Refused { .. } => Confidence::Likely,
            _ => Confidence::Possible,
        })
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
            _ if severity < Severity::Error => "; the client went on all the same".to_owned(),
            Reaction::Refused { alert, .. } => format!("; the client refused it ({alert})"),
            Reaction::Ended { .. } => {
                "; the client ended the handshake right after it, without a readable reason"
                    .to_owned()
            }
            Reaction::Unused { .. } => {
                "; the client left right after the handshake, without having used it".to_owned()
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
        End::Alert {
            from: Side::Client,
            alert,
        } => match alert.description {
            Some(description) => Reaction::Refused {
                alert: description,
                mark: flow_mark(alert.mark),
            },
            None => Reaction::Ended {
                mark: flow_mark(alert.mark),
            },
        },
        End::SealedAlert {
            from: Side::Client,
            mark,
            ..
        }
        | End::Closed {
            from: Side::Client,
            mark,
        }
        | End::Reset {
            from: Side::Client,
            mark,
        } if handshake.stage >= TlsStage::ServerHello && !stood_still => Reaction::Ended { mark },
        End::Silence { .. } => Reaction::Unseen,
        _ if stood_still => Reaction::Unseen,
        End::Completed => unused(handshake).unwrap_or(Reaction::Accepted),
        _ => Reaction::Accepted,
    }
}

/// A client that finished the handshake, sent nothing over it and left at once.
fn unused(handshake: &Handshake<'_>) -> Option<Reaction> {
    let tls = handshake.tls;
    // Of TLS 1.3 without secrets records are counted by size only; no certificate is seen then either.
    let silent =
        tls.client.application_data.count == 0 && (tls.secrets == Secrets::Used || !tls.is_1_3());
    let (from, mark) = left_first(handshake)?;
    let finished = tls.client.finished.or(tls.server.finished)?;
    let soon = mark.time.since(finished.time) <= LEAVES_WITHIN;
    (silent && from == Side::Client && soon).then_some(Reaction::Unused { mark })
}

/// Who left first, by alert, FIN or reset.
fn left_first(handshake: &Handshake<'_>) -> Option<(Side, Mark)> {
    let alerts = [Side::Client, Side::Server].into_iter().filter_map(|side| {
        let alert = records(handshake.tls, side).alerts.first()?;
        Some((side, flow_mark(alert.mark)))
    });
    let ending = &handshake.ending;
    [ending.closed, ending.reset]
        .into_iter()
        .flatten()
        .chain(alerts)
        .min_by_key(|(_, mark)| mark.frame)
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
