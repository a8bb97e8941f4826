//! The two hellos, kept as bytes and read when somebody asks.

use super::{CipherSuite, ExtensionType, NamedGroup, ProtocolVersion, SignatureScheme};
use crate::Mark;

/// A ClientHello (RFC 8446 section 4.1.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientHello {
    /// Where its first byte was seen.
    pub begun: Mark,
    /// Where its last byte was seen.
    pub mark: Mark,
    /// The version in its record's header.
    pub record_version: ProtocolVersion,
    /// The format is that of SSL 2.0 (RFC 5246 appendix E.2).
    pub is_ssl2: bool,
    /// How many records it took.
    pub records: u16,
    /// The message as it was on the wire, handshake header left out.
    pub raw: Box<[u8]>,
}

/// A ServerHello (RFC 8446 section 4.1.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerHello {
    /// Where its last byte was seen.
    pub mark: Mark,
    /// The message as it was on the wire, handshake header left out.
    pub raw: Box<[u8]>,
}

impl ClientHello {
    /// The length of the handshake message in bytes, its header included.
    #[must_use]
    pub fn length(&self) -> usize {
        self.raw.len().saturating_add(4)
    }

    /// The random.
    #[must_use]
    pub fn random(&self) -> [u8; 32] {
        [0; 32]
    }

    /// Every version offered, best first, GREASE (RFC 8701) left out: supported_versions, or without it all up to the
    /// legacy version that were ever offered so.
    #[must_use]
    pub fn versions(&self) -> Vec<ProtocolVersion> {
        Vec::new()
    }

    /// The cipher suites offered, in order, GREASE and signalling values left out.
    #[must_use]
    pub fn cipher_suites(&self) -> Vec<CipherSuite> {
        Vec::new()
    }

    /// The types of its extensions, in order, GREASE included.
    #[must_use]
    pub fn extensions(&self) -> Vec<ExtensionType> {
        Vec::new()
    }

    /// The body of an extension.
    #[must_use]
    pub fn extension(&self, kind: ExtensionType) -> Option<&[u8]> {
        let _ = kind;
        None
    }

    /// The host name asked for (RFC 6066 section 3), lossy where it is no UTF-8: hostile text.
    #[must_use]
    pub fn server_name(&self) -> Option<String> {
        None
    }

    /// The application protocols offered (RFC 7301), GREASE left out.
    #[must_use]
    pub fn alpn(&self) -> Vec<&[u8]> {
        Vec::new()
    }

    /// The groups supported, GREASE left out.
    #[must_use]
    pub fn groups(&self) -> Vec<NamedGroup> {
        Vec::new()
    }

    /// The groups of its key shares, GREASE left out.
    #[must_use]
    pub fn key_shares(&self) -> Vec<NamedGroup> {
        Vec::new()
    }

    /// The signature algorithms accepted, GREASE left out.
    #[must_use]
    pub fn signature_schemes(&self) -> Vec<SignatureScheme> {
        Vec::new()
    }

    /// Whether it signals a fallback to a lower version (RFC 7507).
    #[must_use]
    pub fn is_fallback(&self) -> bool {
        false
    }

    /// Whether it sends early data with it (RFC 8446 section 4.2.10).
    #[must_use]
    pub fn offers_early_data(&self) -> bool {
        false
    }

    /// Whether it asks to resume an earlier session: a pre-shared key, a ticket, or before TLS 1.3 a session id.
    #[must_use]
    pub fn offers_resumption(&self) -> bool {
        false
    }

    /// Whether its server name is encrypted (RFC 9849); what `server_name` says is then the public name, if the
    /// extension is not GREASE, which cannot be told.
    #[must_use]
    pub fn has_ech(&self) -> bool {
        false
    }

    /// The JA3 string's MD5, in hex.
    #[must_use]
    pub fn ja3(&self) -> String {
        String::new()
    }

    /// The JA4 fingerprint of a TLS client over TCP.
    #[must_use]
    pub fn ja4(&self) -> String {
        String::new()
    }
}

impl ServerHello {
    /// The version chosen: supported_versions where it is present, else the legacy field.
    #[must_use]
    pub fn version(&self) -> ProtocolVersion {
        ProtocolVersion::default()
    }

    /// The cipher suite chosen.
    #[must_use]
    pub fn cipher_suite(&self) -> CipherSuite {
        CipherSuite::default()
    }

    /// The group of its key share.
    #[must_use]
    pub fn group(&self) -> Option<NamedGroup> {
        None
    }

    /// The types of its extensions, in order.
    #[must_use]
    pub fn extensions(&self) -> Vec<ExtensionType> {
        Vec::new()
    }

    /// The body of an extension.
    #[must_use]
    pub fn extension(&self, kind: ExtensionType) -> Option<&[u8]> {
        let _ = kind;
        None
    }

    /// The lower version a TLS 1.3 or 1.2 server says it was brought down to (RFC 8446 section 4.1.3), if it does.
    #[must_use]
    pub fn downgrade_sentinel(&self) -> Option<ProtocolVersion> {
        None
    }
}
