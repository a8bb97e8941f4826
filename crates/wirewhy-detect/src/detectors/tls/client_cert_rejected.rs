//! `tls.client-cert-rejected`: the server refused the client's certificate.

use wirewhy_flow::Side;
use wirewhy_protocol::TlsComplaint;

use super::{Cause, cause, complaint, finding, for_name, party, refused_flight};
use crate::handshake::{ClientFlight, Handshake, culprit};
use crate::{Confidence, Detector, Finding, Limits, Record, Rule, Severity};

pub(crate) const RECORD: Record = Record {
    code: "tls.client-cert-rejected",
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
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Handshake(detect),
};

fn detect(handshake: &Handshake<'_>, _limits: &Limits) -> Option<Finding> {
    let connection = handshake.connection;
    if let Some((answered, TlsComplaint::BadClientCertificate)) = complaint(handshake) {
        return Some(Finding {
            code: RECORD.code,
            severity: Severity::Error,
            confidence: Confidence::Certain,
            culprit: culprit(connection, Side::Client),
            summary: format!(
                "{} finished the TLS handshake{} and then refused the client's certificate, as its answer in HTTP says",
                party(handshake, Side::Server),
                for_name(handshake),
            ),
            frames: handshake.frames([answered.frame]),
            facts: handshake.facts().with("known_by", "HTTP status 400"),
            consequence_of: None,
        });
    }
    if handshake.is_completed() {
        return None;
    }
    if let Some((mark, ClientFlight::More)) = refused_flight(handshake) {
        return Some(Finding {
            code: RECORD.code,
            severity: Severity::Error,
            confidence: Confidence::Likely,
            culprit: culprit(connection, Side::Client),
            summary: format!(
                "{} ended the TLS handshake{} with a record of an encrypted alert's size right after the client had presented what \
                 by its size is a certificate",
                party(handshake, Side::Server),
                for_name(handshake),
            ),
            frames: handshake.frames([mark.frame]),
            facts: handshake
                .facts()
                .with("alert_frame", mark.frame)
                .with("known_by", "size and place"),
            consequence_of: None,
        });
    }
    let (Cause::ClientCertificateRejected, from, alert, description) = cause(handshake)? else {
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
        culprit: culprit(connection, Side::Client),
        summary: format!(
            "{} refused the client's certificate{whose}{}: {description}",
            party(handshake, from),
            for_name(handshake),
        ),
        facts: found.facts.clone().with("client_subject", subject),
        ..found
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{Talk, client_hello, fatal, server_hello};
    use crate::Role;
    use crate::testing::{codes, only};

    #[test]
    fn the_server_speaks_of_a_certificate() {
        let talk = Talk::open()
            .client(&client_hello("a.example", &[], 0))
            .server(&server_hello(0x0303, 0xc02f))
            .server(&fatal(48))
            .server_closes();
        let found = only(&talk.lines());
        assert_eq!(found.code, "tls.client-cert-rejected");
        assert_eq!(found.culprit.role, Role::Client);
    }

    #[test]
    fn the_client_speaks_of_the_servers() {
        let talk = Talk::open()
            .client(&client_hello("a.example", &[], 0))
            .server(&server_hello(0x0303, 0xc02f))
            .client(&fatal(48))
            .client_closes();
        assert_eq!(codes(&talk.lines()), ["tls.alert"]);
    }
}
