//! The bodies of the handshake messages after the hellos, read here: the message parsers of the libraries take a TLS 1.3
//! Certificate for an empty one of TLS 1.2.

use std::sync::Arc;

use tls_parser::{TlsCipherAu, TlsCipherKx, TlsCipherSuite};

use super::wire::{self, Extensions};
use super::{CertificateRequest, Certificates, CipherSuite, NamedGroup, SignatureScheme};
use crate::tls::ExtensionType;
use crate::{CaptureContext, Mark};

/// The most signature algorithms kept of a CertificateRequest.
const MAX_SCHEMES: usize = 64;

/// The most authorities kept of a CertificateRequest.
const MAX_AUTHORITIES: usize = 16;

const SIGNATURE_ALGORITHMS: ExtensionType = ExtensionType(13);
const STATUS_REQUEST: ExtensionType = ExtensionType(5);
const ALPN: ExtensionType = ExtensionType(16);
const EARLY_DATA: ExtensionType = ExtensionType(42);
/// RFC 9001 section 8.2, and the drafts before it.
const QUIC_PARAMETERS: [ExtensionType; 2] = [ExtensionType(0x39), ExtensionType(0xffa5)];
const CERTIFICATE_AUTHORITIES: ExtensionType = ExtensionType(47);

/// A chain, and the OCSP response stapled to its first certificate.
pub(super) struct Chain {
    pub(super) certificates: Certificates,
    pub(super) ocsp_response: Option<Arc<[u8]>>,
}

/// A Certificate message of TLS 1.2 and before (RFC 5246 section 7.4.2); `None` where it is none.
pub(super) fn certificates(body: &[u8], mark: Mark, context: &mut CaptureContext) -> Option<Chain> {
    read_chain(body, (body.len(), mark), context, |_| Some(None))
}

/// A Certificate message of TLS 1.3 (RFC 8446 section 4.4.2); `None` where it is none.
pub(super) fn certificates_1_3(
    body: &[u8],
    mark: Mark,
    context: &mut CaptureContext,
) -> Option<Chain> {
    let mut rest = body;
    let _context = wire::vector8(&mut rest)?;
    read_chain(rest, (body.len(), mark), context, |rest| {
        Some(extensions(rest)?.find(STATUS_REQUEST))
    })
}

/// `after` reads what follows each certificate, with the stapled response in it.
fn read_chain<'a>(
    mut rest: &'a [u8],
    (length, mark): (usize, Mark),
    context: &mut CaptureContext,
    after: impl Fn(&mut &'a [u8]) -> Option<Option<&'a [u8]>>,
) -> Option<Chain> {
    let mut list = vector24(&mut rest)?;
    let mut chain = Chain {
        certificates: Certificates {
            mark,
            chain: Vec::new(),
            count: 0,
            length: u32::try_from(length.saturating_add(4)).unwrap_or(u32::MAX),
            is_followed: false,
        },
        ocsp_response: None,
    };
    while !list.is_empty() {
        // A chain cut short by its own lengths is read as far as it goes.
        let Some(der) = vector24(&mut list) else {
            break;
        };
        let status = after(&mut list);
        let certificates = &mut chain.certificates;
        certificates.count = certificates.count.saturating_add(1);
        if certificates.chain.len() < Certificates::MAX_CHAIN {
            certificates
                .chain
                .push(context.certificate(der, mark.frame));
        }
        match status {
            Some(Some(status)) if certificates.count == 1 => {
                chain.ocsp_response = certificate_status(status);
            }
            Some(_) => {}
            None => break,
        }
    }
    chain.certificates.is_followed = context.follows(&chain.certificates.chain, mark.frame);
    // Bytes of which no certificate could be made are not the empty chain of a client that has none.
    let unread = chain.certificates.count == 0 && !list.is_empty();
    (!unread).then_some(chain)
}

/// The OCSP response of a CertificateStatus (RFC 6066 section 8).
pub(super) fn certificate_status(mut body: &[u8]) -> Option<Arc<[u8]>> {
    let [1] = wire::take(&mut body, 1)? else {
        return None;
    };
    vector24(&mut body).map(Arc::from)
}

/// A CertificateRequest of TLS 1.2 (RFC 5246 section 7.4.4), or, without `schemes`, of the versions before.
pub(super) fn certificate_request(
    mut body: &[u8],
    schemes: bool,
    mark: Mark,
) -> Option<CertificateRequest> {
    let _types = wire::vector8(&mut body)?;
    let schemes = match schemes {
        true => wire::vector16(&mut body)?,
        false => &[],
    };
    let authorities = wire::vector16(&mut body)?;
    Some(request(schemes, authorities, mark))
}

/// A CertificateRequest of TLS 1.3 (RFC 8446 section 4.3.2).
pub(super) fn certificate_request_1_3(mut body: &[u8], mark: Mark) -> Option<CertificateRequest> {
    let _context = wire::vector8(&mut body)?;
    let extensions = extensions(&mut body)?;
    let list = |kind| {
        let mut found = extensions.find(kind).unwrap_or_default();
        wire::vector16(&mut found).unwrap_or_default()
    };
    let authorities = list(CERTIFICATE_AUTHORITIES);
    Some(request(list(SIGNATURE_ALGORITHMS), authorities, mark))
}

fn request(schemes: &[u8], mut authorities: &[u8], mark: Mark) -> CertificateRequest {
    let mut request = CertificateRequest {
        mark,
        signature_schemes: wire::numbers(schemes)
            .take(MAX_SCHEMES)
            .map(SignatureScheme)
            .collect(),
        authorities: Vec::new(),
        authority_count: 0,
    };
    while let Some(name) = wire::vector16(&mut authorities) {
        request.authority_count = request.authority_count.saturating_add(1);
        if request.authorities.len() < MAX_AUTHORITIES
            && let Some(name) = read_name(name)
        {
            request.authorities.push(name);
        }
    }
    request
}

fn read_name(der: &[u8]) -> Option<Box<str>> {
    use x509_parser::prelude::FromDer;
    let (_, name) = x509_parser::x509::X509Name::from_der(der).ok()?;
    Some(name.to_string().into())
}

/// The group of a ServerKeyExchange (RFC 8422 section 5.4), where the suite's has one.
pub(super) fn exchange_group(body: &[u8], suite: CipherSuite) -> Option<NamedGroup> {
    let exchange = TlsCipherSuite::from_id(suite.0)?.kx;
    let named = matches!(exchange, TlsCipherKx::Ecdhe | TlsCipherKx::Aecdh);
    match *body {
        // named_curve
        [3, high, low, ..] if named => Some(NamedGroup(u16::from_be_bytes([high, low]))),
        _ => None,
    }
}

/// The bits of the prime of a ServerKeyExchange (RFC 5246 section 7.4.3), where the suite's has one.
pub(super) fn prime_bits(mut body: &[u8], suite: CipherSuite) -> Option<u32> {
    let suite = TlsCipherSuite::from_id(suite.0)?;
    if !matches!(suite.kx, TlsCipherKx::Dhe | TlsCipherKx::Dh) {
        return None;
    }
    if suite.au == TlsCipherAu::Psk {
        // The hint (RFC 4279 section 3).
        wire::vector16(&mut body)?;
    }
    let prime = wire::vector16(&mut body)?;
    let zeros = prime.iter().take_while(|&&byte| byte == 0).count();
    let (first, rest) = prime.get(zeros..)?.split_first()?;
    let whole = u32::try_from(rest.len()).ok()?.checked_mul(8)?;
    Some(whole + u8::BITS - first.leading_zeros())
}

/// What EncryptedExtensions (RFC 8446 section 4.3.1) say.
pub(super) struct EncryptedExtensions {
    /// The application protocol that was chosen.
    pub(super) alpn: Option<Box<[u8]>>,
    pub(super) takes_early_data: bool,
    pub(super) quic_parameters: Option<Box<[u8]>>,
}

/// Reads EncryptedExtensions; `None` where they are not whole.
pub(super) fn encrypted_extensions(mut body: &[u8]) -> Option<EncryptedExtensions> {
    let extensions = extensions(&mut body)?;
    let protocol = extensions
        .find(ALPN)
        .and_then(|mut list| wire::vector8(&mut wire::vector16(&mut list)?).map(Box::from));
    let parameters = QUIC_PARAMETERS
        .into_iter()
        .find_map(|kind| extensions.find(kind));
    Some(EncryptedExtensions {
        alpn: protocol,
        takes_early_data: extensions.find(EARLY_DATA).is_some(),
        quic_parameters: parameters.map(Box::from),
    })
}

/// Splits a vector of extensions off.
fn extensions<'a>(bytes: &mut &'a [u8]) -> Option<Extensions<'a>> {
    let vector = *bytes;
    wire::vector16(bytes)?;
    Some(Extensions::of(vector))
}

/// Splits a vector off whose length takes three bytes.
fn vector24<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (&[a, b, c], mut rest) = bytes.split_first_chunk::<3>()?;
    let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
    let vector = wire::take(&mut rest, length)?;
    *bytes = rest;
    Some(vector)
}
