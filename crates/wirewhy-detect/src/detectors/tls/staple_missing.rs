//! `tls.staple-missing`: a certificate that demands a stapled OCSP response came without one.

use wirewhy_protocol::{AlertDescription, ExtensionType};

use super::certificate::finding;
use crate::causes::PLAINER_FAULTS;
use crate::certificates::{Presented, Reaction};
use crate::{
    Confidence, Detector, Facts, Finding, Group, Limits, Record, Reportable, Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "tls.staple-missing",
    group: Group::Tls,
    title: "A certificate demands a stapled OCSP response, and none came",
    severity: Severity::Error,
    means: "The server's certificate carries the TLS feature \"must staple\" (RFC 7633), and the server sent no OCSP response with it. Clients \
            that honour it refuse the certificate, others do not notice.",
    recognised: "The extension in the leaf, no stapled response although the client asked for one (status_request), and the client then \
                 refused or ended the handshake.",
    look_alikes: "Anything else that is wrong with the certificate explains the refusal as well, and comes first.",
    check_next: &[
        "Switch stapling on (nginx: ssl_stapling on, with a resolver), and let the server reach the responder named in the certificate.",
        "openssl s_client -connect HOST:PORT -servername NAME -status </dev/null: OCSP response.",
        "Just after a start some servers have none yet: the first connections fail and later ones work.",
    ],
    explained_by: PLAINER_FAULTS,
    reportable: Reportable::ClientReaction,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Certificate(detect),
};

fn detect(presented: &Presented<'_>, _limits: &Limits) -> Option<Finding> {
    let tls = presented.handshake.tls;
    let asked = tls
        .client_hello
        .as_deref()
        .is_some_and(|hello| hello.extension(ExtensionType::STATUS_REQUEST).is_some());
    if !presented.leaf.must_staple || tls.ocsp_response.is_some() || !asked {
        return None;
    }
    let confidence = match presented.reaction {
        Reaction::Refused { alert, .. } if fits(alert) => Confidence::Likely,
        Reaction::Ended { .. } => Confidence::Possible,
        _ => return None,
    };
    Some(finding(
        &RECORD,
        presented,
        (Severity::Error, confidence),
        "presented a certificate that demands a stapled OCSP response, and sent none",
        Facts::default(),
    ))
}

/// Whether an alert is what libraries send for it.
fn fits(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BAD_CERTIFICATE_STATUS_RESPONSE
            | AlertDescription::BAD_CERTIFICATE
            | AlertDescription::CERTIFICATE_UNKNOWN
            | AlertDescription::HANDSHAKE_FAILURE
    )
}
