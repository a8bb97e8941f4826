//! TLS handshakes that failed, and why. One failed handshake, one cause.

pub(crate) mod alert;
pub(crate) mod alpn_mismatch;
pub(crate) mod cert_chain_incomplete;
pub(crate) mod cert_expired;
pub(crate) mod cert_expiring;
pub(crate) mod cert_name_mismatch;
pub(crate) mod cert_not_yet_valid;
pub(crate) mod cert_rejected;
pub(crate) mod cert_revoked;
pub(crate) mod cert_self_signed;
pub(crate) mod cert_untrusted;
pub(crate) mod cert_weak;
pub(crate) mod certificate;
pub(crate) mod client_cert_missing;
pub(crate) mod client_cert_rejected;
pub(crate) mod client_hello_dropped;
pub(crate) mod downgraded;
pub(crate) mod encrypted_alert;
pub(crate) mod extension_required;
pub(crate) mod handshake_closed;
pub(crate) mod handshake_reset;
pub(crate) mod handshake_timeout;
pub(crate) mod intercepted;
pub(crate) mod no_close_notify;
pub(crate) mod no_shared_parameters;
pub(crate) mod not_tls;
pub(crate) mod record_corrupted;
pub(crate) mod staple_missing;
pub(crate) mod starttls_not_offered;
pub(crate) mod starttls_refused;
#[cfg(test)]
pub(crate) mod traces;
pub(crate) mod unrecognized_name;
mod validity;
pub(crate) mod version_mismatch;
pub(crate) mod weak_key_exchange;

use wirewhy_flow::{Mark, Side};
use wirewhy_protocol::{
    Alert, AlertDescription, AlertSeen, CipherSuite, ProtocolVersion, TlsComplaint, TlsStage,
};

use crate::handshake::{ClientFlight, End, Handshake, client_flight, culprit, flow_mark};
use crate::wording::socket;
use crate::{Confidence, Finding, Limits, Severity};

/// Why a readable alert was sent, as far as the handshake before it tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum AlertReason {
    Version,
    Parameters,
    Alpn,
    Name,
    ClientCertificateMissing,
    ClientCertificateRejected,
    /// What the client demands of the server's hello is not in it.
    Extension,
    /// A hello was changed on the way.
    Downgraded,
    /// The server's Diffie-Hellman group is too small.
    WeakExchange,
    /// Bytes were changed on the way, once both sides had finished.
    Corrupted,
    /// Nothing says more than the alert itself.
    AlertItself,
}

/// The cause behind the alert that ended a handshake. The same fault gives other alerts in other libraries, so the place
/// counts as much as the number.
fn cause(
    handshake: &Handshake<'_>,
    limits: &Limits,
) -> Option<(AlertReason, Side, Alert, AlertDescription)> {
    let (from, alert, description) = handshake.alert()?;
    if let Some(reason) = shown_by_hellos(handshake, from, description, limits) {
        return Some((reason, from, alert, description));
    }
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
        AlertDescription::HANDSHAKE_FAILURE if by_server && is_of_old_server(handshake, &alert) => {
            AlertReason::Version
        }
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
        // Only a server validates a client's certificate, whether or not the certificate could be seen.
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

/// Whether a server's answer to a hello is of a version before TLS 1.2, which has none of the suites offered.
fn is_of_old_server(handshake: &Handshake<'_>, alert: &Alert) -> bool {
    let tls = handshake.tls;
    let Some(hello) = tls.client_hello.as_deref() else {
        return false;
    };
    let newest = hello.versions().into_iter().max();
    // Suites whose records are authenticated with SHA-1 or MD5 are all that there was before.
    let is_old = |suite: &CipherSuite| {
        let name = suite.name().unwrap_or("_SHA");
        name.ends_with("_SHA") || name.ends_with("_MD5")
    };
    tls.server_hello.is_none()
        && newest.is_some_and(|newest| newest >= ProtocolVersion::TLS1_2)
        && alert.record_version < ProtocolVersion::TLS1_2
        && !hello.cipher_suites().iter().any(is_old)
}

/// What the messages before an alert tell of its reason, whatever word the library chose.
fn shown_by_hellos(
    handshake: &Handshake<'_>,
    from: Side,
    description: AlertDescription,
    limits: &Limits,
) -> Option<AlertReason> {
    let by_client = from == Side::Client;
    let carried = handshake.stage == TlsStage::ApplicationData;
    let corrupted = match description {
        AlertDescription::BAD_RECORD_MAC => handshake.stage >= TlsStage::Established,
        AlertDescription::DECRYPT_ERROR | AlertDescription::DECRYPTION_FAILED => carried,
        _ => false,
    };
    let refuses_hello = matches!(
        description,
        AlertDescription::ILLEGAL_PARAMETER
            | AlertDescription::PROTOCOL_VERSION
            | AlertDescription::HANDSHAKE_FAILURE
            | AlertDescription::UNEXPECTED_MESSAGE
            | AlertDescription::DECRYPT_ERROR
            | AlertDescription::BAD_RECORD_MAC
    );
    if corrupted {
        Some(AlertReason::Corrupted)
    } else if by_client && handshake.name_warning().is_some() {
        Some(AlertReason::Name)
    } else if by_client && refuses_hello && handshake.rewritten().is_some() {
        Some(AlertReason::Downgraded)
    } else if handshake.refused_exchange(limits).is_some() {
        Some(AlertReason::WeakExchange)
    } else {
        handshake.demand().map(|_| AlertReason::Extension)
    }
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
        culprit: culprit(handshake.connection, Side::Client).at_most(Confidence::Likely),
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
        culprit: culprit(handshake.connection, Side::Client).at_most(Confidence::Possible),
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
