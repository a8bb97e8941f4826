//! `tls.client-cert-rejected`: the server refused the client's certificate.

use wirewhy_flow::Side;
use wirewhy_protocol::TlsComplaint;

use super::{
    AlertReason, cause, complained, complaint, finding, flight_refused, for_name, party,
    refused_flight,
};
use crate::handshake::{ClientFlight, Handshake, culprit};
use crate::{Confidence, Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity};

pub(crate) const RECORD: Record = Record {
    code: "tls.client-cert-rejected",
    group: Group::Tls,
    title: "The server refused the client's certificate",
    severity: Severity::Error,
    means: "The client presented a certificate (mutual TLS), and the server did not accept it.",
    recognised: "An alert about certificates from the server, after the client's certificate. In TLS 1.3 it comes a round trip after \
                 the client believes the handshake is done.",
    look_alikes: "An empty certificate: tls.client-cert-missing. In TLS 1.3 without keys the alert cannot be read: \
                  tls.encrypted-alert.",
    check_next: &[
        "openssl verify -CAfile SERVER_CLIENT_CA.pem CLIENT.pem: does the chain end where the server expects it?",
        "Dates, revocation, and extended key usage clientAuth of the client's certificate.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Handshake(detect),
};

fn detect(handshake: &Handshake<'_>, limits: &Limits) -> Option<Finding> {
    if let Some((answered, TlsComplaint::BadClientCertificate)) = complaint(handshake) {
        return Some(complained(
            RECORD.code,
            handshake,
            answered,
            "refused the client's certificate",
        ));
    }
    if handshake.is_completed() {
        return None;
    }
    if let Some((mark, ClientFlight::More)) = refused_flight(handshake) {
        let when = "right after the client had presented what by its size is a certificate";
        return Some(flight_refused(RECORD.code, handshake, mark, when));
    }
    let (AlertReason::ClientCertificateRejected, from, alert, description) =
        cause(handshake, limits)?
    else {
        return None;
    };
    let subject = handshake
        .tls
        .client_certificates
        .as_ref()
        .and_then(|certificates| certificates.chain.first())
        .and_then(|leaf| leaf.facts.as_ref())
        .map(|facts| facts.subject.to_string());
    let whose = subject
        .as_deref()
        .map_or(String::new(), |subject| format!(" of {subject}"));
    let found = finding(RECORD.code, handshake, (from, alert, description));
    Some(Finding {
        // The server may lack the authority that signed it.
        culprit: culprit(handshake.connection, Side::Client).at_most(Confidence::Possible),
        summary: format!(
            "{} refused the client's certificate{whose}{}: {description}",
            party(handshake, from),
            for_name(handshake),
        ),
        facts: found.facts.with("client_subject", subject),
        ..found
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{ConversationTrace, client_hello, fatal, server_hello};
    use crate::Role;
    use crate::testing::{codes, only};

    #[test]
    fn the_server_speaks_of_a_certificate() {
        let conversation = ConversationTrace::open()
            .client(&client_hello("a.example", &[], 0))
            .server(&server_hello(0x0303, 0xc02f))
            .server(&fatal(48))
            .server_closes();
        let found = only(&conversation.lines());
        assert_eq!(found.code, "tls.client-cert-rejected");
        assert_eq!(found.culprit.role, Role::Client);
    }

    #[test]
    fn the_client_speaks_of_the_servers() {
        let conversation = ConversationTrace::open()
            .client(&client_hello("a.example", &[], 0))
            .server(&server_hello(0x0303, 0xc02f))
            .client(&fatal(48))
            .client_closes();
        assert_eq!(codes(&conversation.lines()), ["tls.alert"]);
    }
}
