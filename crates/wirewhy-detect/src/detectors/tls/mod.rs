//! TLS handshakes that failed, and why. One failed handshake, one cause.

pub(crate) mod alert;
pub(crate) mod alpn_mismatch;
pub(crate) mod cert_chain_incomplete;
pub(crate) mod cert_expired;
pub(crate) mod cert_expiring;
pub(crate) mod cert_name_mismatch;
pub(crate) mod cert_not_yet_valid;
pub(crate) mod cert_revoked;
pub(crate) mod cert_self_signed;
pub(crate) mod cert_untrusted;
pub(crate) mod cert_weak;
pub(crate) mod certificate;
pub(crate) mod client_cert_missing;
pub(crate) mod client_cert_rejected;
pub(crate) mod client_hello_dropped;
pub(crate) mod encrypted_alert;
pub(crate) mod handshake_closed;
pub(crate) mod handshake_reset;
pub(crate) mod handshake_timeout;
pub(crate) mod intercepted;
pub(crate) mod no_close_notify;
pub(crate) mod no_shared_parameters;
pub(crate) mod not_tls;
pub(crate) mod starttls_refused;
#[cfg(test)]
mod traces;
pub(crate) mod unrecognized_name;
mod validity;
pub(crate) mod version_mismatch;

use wirewhy_flow::{Mark, Side};
use wirewhy_protocol::{Alert, AlertDescription, AlertSeen, TlsComplaint, TlsStage};

use crate::handshake::{ClientFlight, End, Handshake, client_flight, culprit, flow_mark};
use crate::wording::socket;
use crate::{Confidence, Finding, Severity};

/// Why a readable alert was sent, as far as the handshake before it tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum AlertReason {
    Version,
    Parameters,
    Alpn,
    Name,
    ClientCertificateMissing,
    ClientCertificateRejected,
    /// Nothing says more than the alert itself.
    AlertItself,
}

/// The cause behind the alert that ended a handshake. The same fault gives other alerts in other libraries, so the place
/// counts as much as the number.
fn cause(handshake: &Handshake<'_>) -> Option<(AlertReason, Side, Alert, AlertDescription)> {
    let (from, alert, description) = handshake.alert()?;
    let tls = handshake.tls;
    let asked = tls.certificate_request.is_some();
    let brought_none = tls
        .client_certificates
        .as_ref()
        .is_some_and(|certificates| certificates.count == 0);
    let brought = tls
        .client_certificates
        .as_ref()
        .is_some_and(|certificates| certificates.count > 0);
    let by_server = from == Side::Server;
    let cause = match description {
        AlertDescription::PROTOCOL_VERSION => AlertReason::Version,
        AlertDescription::NO_APPLICATION_PROTOCOL => AlertReason::Alpn,
        AlertDescription::UNRECOGNIZED_NAME => AlertReason::Name,
        AlertDescription::CERTIFICATE_REQUIRED => AlertReason::ClientCertificateMissing,
        AlertDescription::HANDSHAKE_FAILURE
        | AlertDescription::BAD_CERTIFICATE
        | AlertDescription::NO_CERTIFICATE
            if by_server && asked && brought_none =>
        {
            AlertReason::ClientCertificateMissing
        }
        AlertDescription::BAD_CERTIFICATE
        | AlertDescription::UNSUPPORTED_CERTIFICATE
        | AlertDescription::CERTIFICATE_REVOKED
        | AlertDescription::CERTIFICATE_EXPIRED
        | AlertDescription::CERTIFICATE_UNKNOWN
        | AlertDescription::UNKNOWN_CA
        | AlertDescription::ACCESS_DENIED
        | AlertDescription::HANDSHAKE_FAILURE
        | AlertDescription::DECRYPT_ERROR
            if by_server && brought =>
        {
            AlertReason::ClientCertificateRejected
        }
        // Only a server judges a client's certificate, whether or not the certificate could be seen.
        AlertDescription::BAD_CERTIFICATE
        | AlertDescription::UNSUPPORTED_CERTIFICATE
        | AlertDescription::CERTIFICATE_REVOKED
        | AlertDescription::CERTIFICATE_EXPIRED
        | AlertDescription::CERTIFICATE_UNKNOWN
        | AlertDescription::UNKNOWN_CA
            if by_server && handshake.stage >= TlsStage::ServerHello =>
        {
            AlertReason::ClientCertificateRejected
        }
        AlertDescription::HANDSHAKE_FAILURE | AlertDescription::INSUFFICIENT_SECURITY
            if by_server && tls.server_hello.is_none() =>
        {
            AlertReason::Parameters
        }
        AlertDescription::INSUFFICIENT_SECURITY => AlertReason::Parameters,
        _ => AlertReason::AlertItself,
    };
    Some((cause, from, alert, description))
}

/// A TLS 1.3 server's sealed alert in answer to what the client's flight carried beside its Finished.
fn refused_flight(handshake: &Handshake<'_>) -> Option<(Mark, ClientFlight)> {
    let End::SealedAlert {
        from: Side::Server,
        mark,
        by_type: false,
        ..
    } = handshake.end
    else {
        return None;
    };
    Some((mark, client_flight(handshake.tls)?))
}

/// What a server said in HTTP about the client's certificate, where it had asked for one.
fn complaint(handshake: &Handshake<'_>) -> Option<(Mark, TlsComplaint)> {
    let http = &handshake.connection.app.as_deref()?.http;
    handshake.tls.certificate_request.as_ref()?;
    let answered = handshake.connection.server.last_payload?;
    Some((answered, http.complaint?))
}

/// A finding about the client's certificate, which the server complained of in HTTP once the handshake was over.
fn complained(
    code: &'static str,
    handshake: &Handshake<'_>,
    answered: Mark,
    words: &str,
) -> Finding {
    Finding {
        code,
        severity: Severity::Error,
        confidence: Confidence::Certain,
        culprit: culprit(handshake.connection, Side::Client),
        summary: format!(
            "{} finished the TLS handshake{} and then {words}, as its answer in HTTP says",
            party(handshake, Side::Server),
            for_name(handshake),
        ),
        frames: handshake.frames([answered.frame]),
        facts: handshake.facts().with("known_by", "HTTP status 400"),
        consequence_of: None,
    }
}

/// A finding about the client's certificate, to which the server answered with a record that by its size and place is an
/// alert; `when` tells what of the client's came before it.
fn flight_refused(
    code: &'static str,
    handshake: &Handshake<'_>,
    alert: Mark,
    when: &str,
) -> Finding {
    Finding {
        code,
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit: culprit(handshake.connection, Side::Client),
        summary: format!(
            "{} ended the TLS handshake{} with a record of an encrypted alert's size {when}",
            party(handshake, Side::Server),
            for_name(handshake),
        ),
        frames: handshake.frames([alert.frame]),
        facts: handshake
            .facts()
            .with("alert_frame", alert.frame)
            .with("known_by", "size and place"),
        consequence_of: None,
    }
}

/// A finding about an alert, to be completed by its detector.
fn finding(
    code: &'static str,
    handshake: &Handshake<'_>,
    (from, alert, description): (Side, Alert, AlertDescription),
) -> Finding {
    let connection = handshake.connection;
    Finding {
        code,
        severity: Severity::Error,
        confidence: Confidence::Certain,
        culprit: culprit(connection, from.other()),
        summary: String::new(),
        frames: handshake.frames([alert.mark.frame]),
        facts: handshake
            .facts()
            .with("alert_from", from.name())
            .with("alert_level", alert.level)
            .with("alert_code", description.0)
            .with("alert", description.to_string())
            .with("alert_frame", alert.mark.frame)
            .with(
                "alert_seen",
                match alert.seen {
                    AlertSeen::Clear => "clear",
                    AlertSeen::Decrypted => "decrypted",
                    AlertSeen::Encrypted => "encrypted",
                },
            ),
        consequence_of: None,
    }
}

/// ` (TLS for example.com)`, where a name was asked for. Text from the wire.
fn for_name(handshake: &Handshake<'_>) -> String {
    handshake
        .tls
        .client_hello
        .as_deref()
        .and_then(|hello| hello.server_name())
        .map_or(String::new(), |name| format!(" (TLS for {name})"))
}

/// `the server 10.0.0.9:443`.
fn party(handshake: &Handshake<'_>, side: Side) -> String {
    let word = match side {
        Side::Client => "client",
        Side::Server => "server",
    };
    format!("the {word} {}", socket(handshake.connection.side(side)))
}

/// When a side's first byte of TLS and the end lie how far apart.
fn hello_mark(handshake: &Handshake<'_>) -> Option<Mark> {
    handshake
        .tls
        .client_hello
        .as_ref()
        .map(|hello| flow_mark(hello.mark))
}
