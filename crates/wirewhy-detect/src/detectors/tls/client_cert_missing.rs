//! `tls.client-cert-missing`: the server demands a client certificate, and none came.

use wirewhy_flow::Side;
use wirewhy_protocol::TlsComplaint;

use super::{
    AlertReason, cause, complained, complaint, finding, flight_refused, for_name, party,
    refused_flight,
};
use crate::handshake::{ClientFlight, Handshake, culprit};
use crate::{
    Confidence, Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity, Value,
};

pub(crate) const RECORD: Record = Record {
    code: "tls.client-cert-missing",
    group: Group::Tls,
    title: "The server demands a client certificate, and the client brought none",
    severity: Severity::Error,
    means: "The server asked for a client certificate (mutual TLS) and the client answered with an empty one.",
    recognised: "The alert certificate_required; or handshake_failure, bad_certificate or no_certificate of the server after its \
                 CertificateRequest and an empty Certificate of the client.",
    look_alikes: "A certificate that was sent and not liked: tls.client-cert-rejected. In TLS 1.3 without keys the same failure is an \
                  encrypted record: tls.encrypted-alert.",
    check_next: &[
        "Is a certificate configured in the client, and can it read the key?",
        "Is it signed by one of the authorities the server names (facts)? Many clients send nothing when none matches.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Handshake(detect),
};

fn detect(handshake: &Handshake<'_>, limits: &Limits) -> Option<Finding> {
    if let Some((answered, TlsComplaint::NoClientCertificate)) = complaint(handshake) {
        return Some(complained(
            RECORD.code,
            handshake,
            answered,
            "missed a client certificate",
        ));
    }
    if handshake.is_completed() {
        return None;
    }
    if let Some((mark, ClientFlight::EmptyCertificate)) = refused_flight(handshake) {
        let when = "after the client had answered its demand for a certificate with an empty one";
        return Some(flight_refused(RECORD.code, handshake, mark, when));
    }
    let (AlertReason::ClientCertificateMissing, from, alert, description) =
        cause(handshake, limits)?
    else {
        return None;
    };
    let found = finding(RECORD.code, handshake, (from, alert, description));
    let authorities = handshake
        .tls
        .certificate_request
        .as_ref()
        .map(|request| request.authorities.as_slice())
        .unwrap_or_default();
    Some(Finding {
        culprit: culprit(handshake.connection, Side::Client).at_most(Confidence::Likely),
        summary: format!(
            "{} demands a client certificate{} and got none: {description}",
            party(handshake, from),
            for_name(handshake),
        ),
        facts: found.facts.with(
            "accepted_authorities",
            Value::List(
                authorities
                    .iter()
                    .map(|name| Value::from(&**name))
                    .collect(),
            ),
        ),
        ..found
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{
        ConversationTrace, certificate_request, client_hello, fatal, no_certificate, server_hello,
        server_hello_done,
    };
    use crate::Role;
    use crate::testing::{codes, only};

    #[test]
    fn asked_and_empty() {
        let flight = [
            server_hello(0x0303, 0xc02f),
            certificate_request(),
            server_hello_done(),
        ]
        .concat();
        let conversation = ConversationTrace::open()
            .client(&client_hello("a.example", &[], 0))
            .server(&flight)
            .client(&no_certificate())
            .server(&fatal(40))
            .server_closes();
        let found = only(&conversation.lines());
        assert_eq!(found.code, "tls.client-cert-missing");
        assert_eq!(found.culprit.role, Role::Client);
    }

    #[test]
    fn handshake_failure_without_a_request_is_none() {
        let conversation = ConversationTrace::open()
            .client(&client_hello("a.example", &[], 0))
            .server(&fatal(40))
            .server_closes();
        assert_eq!(codes(&conversation.lines()), ["tls.no-shared-parameters"]);
    }
}
