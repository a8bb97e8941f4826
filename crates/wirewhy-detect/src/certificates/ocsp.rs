//! What a stapled OCSP response says of the leaf (RFC 6960).

use der::Decode;
use wirewhy_packet::Timestamp;
use wirewhy_protocol::CertificateFacts;
use x509_ocsp::{BasicOcspResponse, CertStatus, OcspResponse, OcspResponseStatus};

/// A certificate's revocation, as its authority's responder tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Revocation {
    /// When it was revoked.
    pub(crate) time: Timestamp,
    /// Why, in the words of RFC 5280 section 5.3.1.
    pub(crate) reason: Option<&'static str>,
}

/// The revocation of the leaf, if the response contains one. The response's signature is not verified: who forges one can
/// refuse the connection as well.
pub(crate) fn revocation(response: &[u8], leaf: &CertificateFacts) -> Option<Revocation> {
    let response = OcspResponse::from_der(response).ok()?;
    if response.response_status != OcspResponseStatus::Successful {
        return None;
    }
    let basic = BasicOcspResponse::from_der(response.response_bytes?.response.as_bytes()).ok()?;
    basic
        .tbs_response_data
        .responses
        .iter()
        .filter(|single| is_serial(single.cert_id.serial_number.as_bytes(), &leaf.serial))
        .find_map(|single| match single.cert_status {
            CertStatus::Revoked(info) => Some(Revocation {
                time: time_of(&info.revocation_time),
                reason: info.revocation_reason.map(|code| reason(code as u32)),
            }),
            CertStatus::Good(_) | CertStatus::Unknown(_) => None,
        })
}

fn time_of(time: &x509_ocsp::OcspGeneralizedTime) -> Timestamp {
    let seconds = time.0.to_unix_duration().as_secs();
    Timestamp(
        i64::try_from(seconds)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000_000_000),
    )
}

/// Whether an encoded integer is the number written in hexadecimal; leading zeros do not count.
fn is_serial(encoded: &[u8], hex: &str) -> bool {
    let text: String = encoded.iter().map(|byte| format!("{byte:02x}")).collect();
    text.trim_start_matches('0') == hex.trim_start_matches('0')
}

fn reason(code: u32) -> &'static str {
    match code {
        1 => "keyCompromise",
        2 => "cACompromise",
        3 => "affiliationChanged",
        4 => "superseded",
        5 => "cessationOfOperation",
        6 => "certificateHold",
        8 => "removeFromCRL",
        9 => "privilegeWithdrawn",
        10 => "aACompromise",
        _ => "unspecified",
    }
}
