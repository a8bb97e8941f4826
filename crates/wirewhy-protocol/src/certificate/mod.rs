//! X.509 certificates as facts (RFC 5280).

mod allowance;
mod cache;
mod extensions;
mod keys;
mod name;
mod read;

use std::net::IpAddr;

use wirewhy_packet::Timestamp;

pub(crate) use allowance::Allowance;
pub use cache::Cache;

/// A certificate as it was sent, and what it says.
#[derive(Clone, PartialEq, Debug)]
pub struct Certificate {
    /// Its DER encoding.
    pub der: Box<[u8]>,
    /// SHA-256 of the encoding.
    pub sha256: [u8; 32],
    /// What it says; `None` where it cannot be parsed.
    pub facts: Option<CertificateFacts>,
}

/// What a certificate says. Every text is from the wire: hostile.
#[derive(Clone, PartialEq, Debug)]
pub struct CertificateFacts {
    /// The X.509 version, 1 to 3.
    pub version: u32,
    /// The serial number in lower-case hexadecimal.
    pub serial: Box<str>,
    /// The subject, in the string form of RFC 4514.
    pub subject: Box<str>,
    /// The issuer, in the string form of RFC 4514.
    pub issuer: Box<str>,
    /// The subject, as encoded.
    pub subject_der: Box<[u8]>,
    /// The issuer, as encoded.
    pub issuer_der: Box<[u8]>,
    /// The subjectPublicKeyInfo, as encoded.
    pub key_der: Box<[u8]>,
    /// Bytes that follow the certificate in what was sent as one.
    pub trailing_bytes: usize,
    /// The subject's last common name.
    pub common_name: Option<Box<str>>,
    /// The first instant of its validity.
    pub not_before: Timestamp,
    /// The last instant of its validity.
    pub not_after: Timestamp,
    /// Its subject alternative names (RFC 5280 section 4.2.1.6).
    pub names: Vec<SubjectName>,
    /// Its public key.
    pub key: PublicKey,
    /// What it is signed with.
    pub signature: SignatureAlgorithm,
    /// The basicConstraints extension: whether it is an authority's; `None` without the extension.
    pub is_authority: Option<bool>,
    /// The keyUsage extension, as the bits of RFC 5280 section 4.2.1.3, digitalSignature the lowest.
    pub key_usage: Option<u16>,
    /// The extended key usages; `None` without the extension.
    pub extended_key_usage: Option<ExtendedKeyUsage>,
    /// The subjectKeyIdentifier extension.
    pub subject_key_id: Option<Box<[u8]>>,
    /// The key identifier of the authorityKeyIdentifier extension.
    pub authority_key_id: Option<Box<[u8]>>,
    /// Where its issuer's certificate can be had (RFC 5280 section 4.2.2.1).
    pub issuer_urls: Vec<Box<str>>,
    /// Whether it demands a stapled OCSP response (RFC 7633).
    pub must_staple: bool,
    /// Whether subject and issuer are the same, byte for byte.
    pub is_self_issued: bool,
    /// Whether its signature was made with its own key; where that cannot be computed, whether subject, issuer and key
    /// identifiers say so.
    pub is_self_signed: bool,
}

/// A subject alternative name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SubjectName {
    /// A DNS name, possibly with a wildcard.
    Dns(Box<str>),
    /// An IP address.
    Ip(IpAddr),
    /// Any other kind, in words.
    Other(Box<str>),
}

/// A public key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicKey {
    /// Its algorithm.
    pub algorithm: KeyAlgorithm,
    /// Its size in bits; `None` where the algorithm is not known.
    pub bits: Option<u32>,
}

/// The algorithm of a public key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyAlgorithm {
    /// RSA, also RSASSA-PSS keys.
    Rsa,
    /// DSA.
    Dsa,
    /// An elliptic curve, by its name.
    Ec(Box<str>),
    /// Ed25519.
    Ed25519,
    /// Ed448.
    Ed448,
    /// Any other, by its object identifier.
    Other(Box<str>),
}

/// What a certificate is signed with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignatureAlgorithm {
    /// Its usual name (`sha256WithRSAEncryption`), else its object identifier.
    pub name: Box<str>,
    /// Its hash is broken for signatures: MD2, MD5 or SHA-1.
    pub is_broken: bool,
}

/// What a certificate may be used for (RFC 5280 section 4.2.1.12).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExtendedKeyUsage {
    /// Any purpose.
    pub any: bool,
    /// TLS servers.
    pub server_auth: bool,
    /// TLS clients.
    pub client_auth: bool,
    /// Signing OCSP responses.
    pub ocsp_signing: bool,
}
