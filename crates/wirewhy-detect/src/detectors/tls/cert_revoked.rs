//! `tls.cert-revoked`: a stapled OCSP response says that the server's certificate was revoked.

use super::certificate::finding;
use crate::certificates::{Fault, Presented, revocation};
use crate::wording::instant;
use crate::{Cause, Detector, Facts, Finding, Group, Limits, Record, Reportable, Rule, Severity};

pub(crate) const RECORD: Record = Record {
    code: "tls.cert-revoked",
    group: Group::Tls,
    title: "The server's certificate was revoked",
    severity: Severity::Error,
    means: "The server's authority has revoked its certificate, and the server itself sends the proof of it. Clients that look refuse it.",
    recognised: "A successful OCSP response stapled to the handshake, whose entry for the leaf's serial number says revoked. The \
                 response's own signature is not verified.",
    look_alikes: "Revocation by list (CRL), or asked for by the client itself, is not on this connection. An expired or malformed response \
                  gives the alert bad_certificate_status_response.",
    check_next: &[
        "Get a new certificate with a new key; find out why this one was revoked.",
        "openssl s_client -connect HOST:PORT -servername NAME -status </dev/null",
    ],
    explained_by: &[Cause::IfError("tls.intercepted")],
    reportable: Reportable::ClientReaction,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Certificate(detect),
};

fn detect(presented: &Presented<'_>, _limits: &Limits) -> Option<Finding> {
    let response = presented.handshake.tls.ocsp_response.as_deref()?;
    let revoked = revocation(response, presented.leaf)?;
    let why = revoked
        .reason
        .map_or(String::new(), |reason| format!(" ({reason})"));
    let what = format!(
        "presented a certificate that was revoked on {}{why}, as its stapled OCSP response says",
        instant(revoked.time),
    );
    Some(finding(
        &RECORD,
        presented,
        presented.weight(Fault::Revoked),
        &what,
        Facts::default()
            .with("revoked_at", instant(revoked.time))
            .with("reason", revoked.reason),
    ))
}
