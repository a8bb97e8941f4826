//! What an alert can mean, and whose fault it can be: by its description, its sender, and how far the handshake had come.

use wirewhy_flow::Side;
use wirewhy_protocol::{AlertDescription as Says, TlsStage};

use crate::handshake::{Handshake, culprit};
use crate::{Confidence, Culprit, Role};

/// Who sent an alert, and behind what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AlertPosition {
    /// A server's, to a ClientHello of which no answer came before.
    ToHello,
    /// A client's, behind a ServerHello.
    BehindServerHello,
    /// A server's, once it had answered the hello.
    InHandshake,
    /// Of either side, once both had finished.
    Afterwards,
}

impl AlertPosition {
    pub(super) fn of(handshake: &Handshake<'_>, from: Side) -> AlertPosition {
        match from {
            _ if handshake.stage >= TlsStage::Established => AlertPosition::Afterwards,
            Side::Client => AlertPosition::BehindServerHello,
            Side::Server if handshake.tls.server_hello.is_none() => AlertPosition::ToHello,
            Side::Server => AlertPosition::InHandshake,
        }
    }
}

/// Whose fault an alert most likely reports.
pub(super) fn at_fault(
    handshake: &Handshake<'_>,
    from: Side,
    description: Says,
    place: AlertPosition,
) -> Culprit {
    let side = |side| culprit(handshake.connection, side).at_most(Confidence::Possible);
    match description {
        // It says so itself.
        Says::INTERNAL_ERROR => culprit(handshake.connection, from).at_most(Confidence::Likely),
        Says::BAD_RECORD_MAC | Says::DECRYPTION_FAILED if place == AlertPosition::Afterwards => {
            Culprit::from(Role::Path).at_most(Confidence::Possible)
        }
        // The server's signature, or that of its certificate.
        Says::DECRYPT_ERROR if place == AlertPosition::BehindServerHello => side(Side::Server),
        // A signature, a Finished, a pre-shared key, or bytes that were changed: neither side knows more.
        Says::BAD_RECORD_MAC | Says::DECRYPT_ERROR | Says::DECRYPTION_FAILED => {
            Role::Unknown.into()
        }
        // The hello that it complains of was whole and in order here.
        Says::DECODE_ERROR if place == AlertPosition::ToHello && is_well_formed(handshake) => {
            side(Side::Server)
        }
        Says::UNEXPECTED_MESSAGE | Says::ILLEGAL_PARAMETER if place == AlertPosition::ToHello => {
            Role::Unknown.into()
        }
        _ => side(from.other()),
    }
}

/// Whether the ClientHello was whole and in order when it passed.
fn is_well_formed(handshake: &Handshake<'_>) -> bool {
    let hello = handshake.tls.client_hello.as_deref();
    hello.is_some_and(|hello| hello.is_well_formed())
}

/// What usually makes a library send an alert at that place.
pub(super) fn usual_causes(description: Says, place: AlertPosition) -> &'static [&'static str] {
    match (description, place) {
        (Says::UNEXPECTED_MESSAGE, _) => &[
            "peers out of step (plaintext or STARTTLS mix-up)",
            "a middlebox that altered or swallowed a message",
        ],
        (Says::BAD_RECORD_MAC, AlertPosition::Afterwards) => {
            &["bytes changed on the way, or by a network card"]
        }
        (Says::BAD_RECORD_MAC, _) => &[
            "bytes changed on the way, or by a network card",
            "wrong keys: a pre-shared key that differs",
        ],
        (Says::RECORD_OVERFLOW, _) => &["the other side does not speak TLS"],
        (Says::HANDSHAKE_FAILURE, AlertPosition::BehindServerHello) => &[
            "something in the server's answer that the client does not accept: its certificate, a group, an extension that lacks",
            "a check of the application's own",
        ],
        (Says::HANDSHAKE_FAILURE, AlertPosition::ToHello) => &[
            "no common cipher suite, group or signature algorithm",
            "a server name that is not served, or was not sent",
        ],
        (Says::HANDSHAKE_FAILURE, _) => &[
            "a client certificate that is missing or does not suit",
            "a check of the application's own",
        ],
        (Says::BAD_CERTIFICATE, _) => &[
            "a name that does not match",
            "a certificate that is not valid yet, or expired (Go)",
            "an issuer that is not trusted (Go)",
        ],
        (Says::UNSUPPORTED_CERTIFICATE, _) => {
            &["wrong key usage or purpose", "an unsupported key type"]
        }
        (Says::CERTIFICATE_REVOKED, _) => &["a revoked certificate"],
        (Says::CERTIFICATE_EXPIRED, _) => &[
            "an expired certificate",
            "a wrong clock",
            "a certificate that is not valid yet (rustls)",
        ],
        (Says::CERTIFICATE_UNKNOWN, _) => &[
            "an issuer that is not trusted (Java)",
            "a pinned certificate that differs (browsers, apps)",
            "a name that does not match",
        ],
        (Says::ILLEGAL_PARAMETER, AlertPosition::BehindServerHello) => &[
            "a ServerHello that does not fit the ClientHello: a broken server",
            "a device that changed one of them on the way",
        ],
        (Says::ILLEGAL_PARAMETER, _) => &[
            "a group or value that the sender does not support",
            "a device that changed a message on the way",
        ],
        (Says::UNKNOWN_CA, _) => &[
            "a private authority the sender does not know",
            "an intermediate certificate that is not sent",
            "a proxy that intercepts TLS",
        ],
        (Says::ACCESS_DENIED, _) => &["a policy that refuses a valid certificate"],
        (Says::DECODE_ERROR, AlertPosition::ToHello) => &[
            "a server, or a device before it, that cannot take this ClientHello: split over segments or records, or with an \
             extension it does not know",
        ],
        (Says::DECODE_ERROR, _) => &["a malformed or truncated message"],
        (Says::DECRYPT_ERROR, AlertPosition::Afterwards) => &[
            "bytes changed on the way",
            "a signature that does not verify",
        ],
        (Says::DECRYPT_ERROR, _) => &[
            "a signature or Finished that does not verify: a message changed on the way",
            "a wrong pre-shared key, or a key that does not fit its certificate",
        ],
        (Says::INTERNAL_ERROR, _) => &[
            "the sender's own configuration (no certificate for that name)",
            "a crash or a limit of resources",
        ],
        (Says::INAPPROPRIATE_FALLBACK, _) => {
            &["a client that tried again with a lower version because its first attempt was lost"]
        }
        (Says::MISSING_EXTENSION, _) => &["a hello without what TLS 1.3 demands"],
        (Says::UNSUPPORTED_EXTENSION, _) => &["an answer to something that was not offered"],
        (Says::UNKNOWN_PSK_IDENTITY, _) => &["a pre-shared key the server does not know"],
        (Says::BAD_CERTIFICATE_STATUS_RESPONSE, _) => {
            &["a stapled OCSP response that is not valid, or is missing"]
        }
        (Says::ECH_REQUIRED, _) => &["an encrypted ClientHello the server could not decrypt"],
        _ => &[],
    }
}
