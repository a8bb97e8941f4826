//! The two hellos, kept as bytes and parsed on demand.

use super::wire::{self, Extensions};
use super::{
    CipherSuite, ExtensionType, NamedGroup, ProtocolVersion, SignatureScheme, fingerprint,
};
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
    /// The message as it was on the wire, handshake header left out. In the format of SSL 2.0 it begins after the message
    /// type, with the version: neither the record's length nor the type's byte is in it.
    pub raw: Box<[u8]>,
    /// It came in CRYPTO frames of QUIC (RFC 9001 section 4): there were no records.
    pub is_quic: bool,
}

crate::compact!(ClientHello {
    begun,
    mark,
    record_version,
    is_ssl2,
    records,
    raw,
    is_quic
});

/// A ServerHello (RFC 8446 section 4.1.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerHello {
    /// Where its last byte was seen.
    pub mark: Mark,
    /// The message as it was on the wire, handshake header left out.
    pub raw: Box<[u8]>,
}

crate::compact!(ServerHello { mark, raw });

/// A ClientHello's fields, as far as they are there: what is missing is empty.
#[derive(Default)]
struct Fields<'a> {
    version: ProtocolVersion,
    random: [u8; 32],
    session_id: &'a [u8],
    suites: &'a [u8],
    compression: &'a [u8],
    extensions: &'a [u8],
}

impl<'a> Fields<'a> {
    fn read(raw: &'a [u8]) -> Fields<'a> {
        let mut fields = Fields::default();
        let _ = fields.fill(raw);
        fields
    }

    /// Reads up to the first field that is not whole.
    fn fill(&mut self, mut rest: &'a [u8]) -> Option<()> {
        self.version = ProtocolVersion(wire::u16(&mut rest)?);
        let (random, after) = rest.split_first_chunk::<32>()?;
        self.random = *random;
        rest = after;
        self.session_id = wire::vector8(&mut rest)?;
        self.suites = wire::vector16(&mut rest)?;
        self.compression = wire::vector8(&mut rest)?;
        self.extensions = rest;
        Some(())
    }

    fn read_ssl2(raw: &'a [u8]) -> Fields<'a> {
        let mut fields = Fields::default();
        let _ = fields.fill_ssl2(raw);
        fields
    }

    /// The format of SSL 2.0: version, three lengths, then what they measure (RFC 5246 appendix E.2).
    fn fill_ssl2(&mut self, mut rest: &'a [u8]) -> Option<()> {
        self.version = ProtocolVersion(wire::u16(&mut rest)?);
        let suites = wire::u16(&mut rest)?;
        let session_id = wire::u16(&mut rest)?;
        let challenge = wire::u16(&mut rest)?;
        self.suites = wire::take(&mut rest, usize::from(suites))?;
        self.session_id = wire::take(&mut rest, usize::from(session_id))?;
        let challenge = wire::take(&mut rest, usize::from(challenge))?;
        // A short challenge stands at the random's end, a long one gives its last bytes (same appendix).
        for (to, from) in self.random.iter_mut().rev().zip(challenge.iter().rev()) {
            *to = *from;
        }
        Some(())
    }
}

/// The host name that the body of a ClientHello asks for (RFC 6066 section 3).
pub(crate) fn server_name_of(hello: &[u8]) -> Option<&[u8]> {
    let extensions = Extensions::of(Fields::read(hello).extensions);
    host_name(extensions.find(ExtensionType::SERVER_NAME)?)
}

/// The host name in a server_name extension, if it is not empty.
fn host_name(mut body: &[u8]) -> Option<&[u8]> {
    let mut list = wire::vector16(&mut body)?;
    while let Some((kind, rest)) = list.split_first() {
        list = rest;
        let name = wire::vector16(&mut list)?;
        if *kind == 0 {
            return (!name.is_empty()).then_some(name);
        }
    }
    None
}

impl ClientHello {
    /// The length of the handshake message in bytes, its header included.
    #[must_use]
    pub fn length(&self) -> usize {
        self.raw
            .len()
            .saturating_add(if self.is_ssl2 { 1 } else { 4 })
    }

    /// The version field, which is not above TLS 1.2 even where more is offered.
    #[must_use]
    pub fn legacy_version(&self) -> ProtocolVersion {
        self.fields().version
    }

    /// The random; of a hello in the format of SSL 2.0 its challenge, zeros before it.
    #[must_use]
    pub fn random(&self) -> [u8; 32] {
        self.fields().random
    }

    /// The session id.
    #[must_use]
    pub fn session_id(&self) -> &[u8] {
        self.fields().session_id
    }

    /// Every version offered, in the client's order, best first, GREASE (RFC 8701) left out: those of
    /// supported_versions, or without it the legacy version alone. Such a client may accept any version below it too,
    /// and does not say how far down.
    #[must_use]
    pub fn versions(&self) -> Vec<ProtocolVersion> {
        let mut listed = self
            .extension(ExtensionType::SUPPORTED_VERSIONS)
            .unwrap_or_default();
        let versions: Vec<_> = wire::numbers(wire::vector8(&mut listed).unwrap_or_default())
            .map(ProtocolVersion)
            .filter(|version| !version.is_grease())
            .collect();
        match (versions.is_empty(), self.raw.len()) {
            (false, _) => versions,
            (true, 0 | 1) => Vec::new(),
            (true, _) => vec![self.legacy_version()],
        }
    }

    /// The cipher suites offered, in order, GREASE and signalling values left out. Of a hello in the format of SSL 2.0
    /// those that later versions know.
    #[must_use]
    pub fn cipher_suites(&self) -> Vec<CipherSuite> {
        self.suites()
            .filter(|suite| !suite.is_grease() && !suite.is_signalling())
            .collect()
    }

    /// Every value in the list of cipher suites, in order.
    pub(super) fn suites(&self) -> impl Iterator<Item = CipherSuite> + '_ {
        let bytes = self.fields().suites;
        let (old, new) = if self.is_ssl2 {
            (bytes, &[][..])
        } else {
            (&[][..], bytes)
        };
        // A suite of three bytes is one of SSL 2.0 itself unless its first is zero.
        let old = old
            .as_chunks::<3>()
            .0
            .iter()
            .filter_map(|spec| match *spec {
                [0, high, low] => Some(u16::from_be_bytes([high, low])),
                _ => None,
            });
        old.chain(wire::numbers(new)).map(CipherSuite)
    }

    /// The types of its extensions, in order, GREASE included. One whose body is cut off is the last.
    #[must_use]
    pub fn extensions(&self) -> Vec<ExtensionType> {
        self.walk().map(|(kind, _)| kind).collect()
    }

    /// The body of an extension; the first where it is there twice.
    #[must_use]
    pub fn extension(&self, kind: ExtensionType) -> Option<&[u8]> {
        self.walk().find(kind)
    }

    /// The host name asked for (RFC 6066 section 3), lossy where it is no UTF-8: hostile text.
    #[must_use]
    pub fn server_name(&self) -> Option<String> {
        let name = host_name(self.extension(ExtensionType::SERVER_NAME)?)?;
        Some(String::from_utf8_lossy(name).into_owned())
    }

    /// The application protocols offered (RFC 7301), GREASE left out.
    #[must_use]
    pub fn alpn(&self) -> Vec<&[u8]> {
        let mut body = self.extension(ExtensionType::ALPN).unwrap_or_default();
        let mut list = wire::vector16(&mut body).unwrap_or_default();
        let mut names = Vec::new();
        while let Some(name) = wire::vector8(&mut list) {
            let grease = wire::numbers(name).any(|value| NamedGroup(value).is_grease());
            if !(grease && name.len() == 2) {
                names.push(name);
            }
        }
        names
    }

    /// The groups supported, GREASE left out.
    #[must_use]
    pub fn groups(&self) -> Vec<NamedGroup> {
        self.list(ExtensionType::SUPPORTED_GROUPS)
            .map(NamedGroup)
            .filter(|group| !group.is_grease())
            .collect()
    }

    /// The groups of its key shares, GREASE left out.
    #[must_use]
    pub fn key_shares(&self) -> Vec<NamedGroup> {
        let mut body = self.extension(ExtensionType::KEY_SHARE).unwrap_or_default();
        let mut list = wire::vector16(&mut body).unwrap_or_default();
        let mut groups = Vec::new();
        while let Some(group) = wire::u16(&mut list).map(NamedGroup) {
            if wire::vector16(&mut list).is_none() {
                break;
            }
            if !group.is_grease() {
                groups.push(group);
            }
        }
        groups
    }

    /// The signature algorithms accepted, GREASE left out.
    #[must_use]
    pub fn signature_schemes(&self) -> Vec<SignatureScheme> {
        self.list(ExtensionType::SIGNATURE_ALGORITHMS)
            .map(SignatureScheme)
            .filter(|scheme| !scheme.is_grease())
            .collect()
    }

    /// The point formats of elliptic curves (RFC 8422 section 5.1.2).
    #[must_use]
    pub fn point_formats(&self) -> &[u8] {
        let mut body = self
            .extension(ExtensionType::EC_POINT_FORMATS)
            .unwrap_or_default();
        wire::vector8(&mut body).unwrap_or_default()
    }

    /// The compression methods.
    #[must_use]
    pub fn compression_methods(&self) -> &[u8] {
        self.fields().compression
    }

    /// Whether it signals a fallback to a lower version (RFC 7507).
    #[must_use]
    pub fn is_fallback(&self) -> bool {
        self.suites()
            .any(|suite| suite == CipherSuite::FALLBACK_SCSV)
    }

    /// Whether its lists are as long as they say, those of its usual extensions included.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        if self.is_ssl2 {
            return true;
        }
        let exact = |mut body: &[u8], wide: bool| {
            let list = match wide {
                true => wire::vector16(&mut body),
                false => wire::vector8(&mut body),
            };
            list.is_some() && body.is_empty()
        };
        let extensions = self.fields().extensions;
        let whole = extensions.is_empty() || exact(extensions, true);
        whole
            && self.walk().all(|(kind, body)| match (kind, body) {
                (
                    ExtensionType::SUPPORTED_GROUPS
                    | ExtensionType::SIGNATURE_ALGORITHMS
                    | ExtensionType::ALPN
                    | ExtensionType::KEY_SHARE
                    | ExtensionType::SERVER_NAME,
                    Some(body),
                ) => exact(body, true),
                (ExtensionType::SUPPORTED_VERSIONS, Some(body)) => exact(body, false),
                (_, body) => body.is_some(),
            })
    }

    /// Whether it can renegotiate securely, and says so (RFC 5746 section 3.3).
    #[must_use]
    pub fn signals_renegotiation(&self) -> bool {
        let mut suites = self.suites();
        self.has(ExtensionType::RENEGOTIATION_INFO)
            || suites.any(|suite| suite == CipherSuite::EMPTY_RENEGOTIATION_INFO_SCSV)
    }

    /// Whether it sends early data with it (RFC 8446 section 4.2.10).
    #[must_use]
    pub fn offers_early_data(&self) -> bool {
        self.has(ExtensionType::EARLY_DATA)
    }

    /// Whether it asks to resume an earlier session: a pre-shared key, a ticket, or before TLS 1.3 a session id.
    #[must_use]
    pub fn offers_resumption(&self) -> bool {
        let ticket = self.extension(ExtensionType::SESSION_TICKET);
        // A client that offers TLS 1.3 sends a session id for middleboxes to see (RFC 8446 appendix D.4).
        let modern = |version: &ProtocolVersion| *version >= ProtocolVersion::TLS1_3;
        self.has(ExtensionType::PRE_SHARED_KEY)
            || ticket.is_some_and(|ticket| !ticket.is_empty())
            || !self.session_id().is_empty() && !self.versions().iter().any(modern)
    }

    /// Whether its server name is encrypted (RFC 9849, or the drafts before it); what `server_name` says is then the
    /// public name, if the extension is not GREASE, which cannot be told.
    #[must_use]
    pub fn has_ech(&self) -> bool {
        self.has(ExtensionType::ENCRYPTED_CLIENT_HELLO)
            || self.has(ExtensionType::ENCRYPTED_SERVER_NAME)
    }

    /// The JA3 string's MD5, in hex.
    #[must_use]
    pub fn ja3(&self) -> String {
        fingerprint::ja3(self)
    }

    /// The JA4 fingerprint of a TLS client over TCP.
    #[must_use]
    pub fn ja4(&self) -> String {
        fingerprint::ja4(self)
    }

    fn fields(&self) -> Fields<'_> {
        if self.is_ssl2 {
            Fields::read_ssl2(&self.raw)
        } else {
            Fields::read(&self.raw)
        }
    }

    fn walk(&self) -> Extensions<'_> {
        Extensions::of(self.fields().extensions)
    }

    fn has(&self, kind: ExtensionType) -> bool {
        self.walk().any(|(found, _)| found == kind)
    }

    /// The numbers of an extension that is a vector of them.
    fn list(&self, kind: ExtensionType) -> impl Iterator<Item = u16> + '_ {
        let mut body = self.extension(kind).unwrap_or_default();
        wire::numbers(wire::vector16(&mut body).unwrap_or_default())
    }
}

/// A ServerHello's fields, as far as they are there: what is missing is empty.
#[derive(Default)]
struct Choice<'a> {
    version: ProtocolVersion,
    random: [u8; 32],
    session_id: &'a [u8],
    suite: CipherSuite,
    extensions: &'a [u8],
}

impl<'a> Choice<'a> {
    fn read(raw: &'a [u8]) -> Choice<'a> {
        let mut choice = Choice::default();
        let _ = choice.fill(raw);
        choice
    }

    fn fill(&mut self, mut rest: &'a [u8]) -> Option<()> {
        self.version = ProtocolVersion(wire::u16(&mut rest)?);
        // Drafts of TLS 1.3 before the 22nd had neither session id nor compression method.
        let early_draft = (0x7f00..0x7f16).contains(&self.version.0);
        let (random, after) = rest.split_first_chunk::<32>()?;
        self.random = *random;
        rest = after;
        if !early_draft {
            self.session_id = wire::vector8(&mut rest)?;
        }
        self.suite = CipherSuite(wire::u16(&mut rest)?);
        if !early_draft {
            wire::take(&mut rest, 1)?;
        }
        self.extensions = rest;
        Some(())
    }
}

impl ServerHello {
    /// The random that makes a ServerHello a HelloRetryRequest (RFC 8446 section 4.1.3).
    const RETRY: [u8; 32] = [
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8,
        0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8,
        0x33, 0x9c,
    ];

    /// The version chosen: supported_versions where it is present, else the legacy field.
    #[must_use]
    pub fn version(&self) -> ProtocolVersion {
        self.extension(ExtensionType::SUPPORTED_VERSIONS)
            .and_then(|mut body| wire::u16(&mut body))
            .map_or_else(|| self.fields().version, ProtocolVersion)
    }

    /// The random.
    #[must_use]
    pub fn random(&self) -> [u8; 32] {
        self.fields().random
    }

    /// The session id: what the client sent (TLS 1.3, or a session resumed), or the name of a new session.
    #[must_use]
    pub fn session_id(&self) -> &[u8] {
        self.fields().session_id
    }

    /// Whether it is a HelloRetryRequest (RFC 8446 section 4.1.4).
    #[must_use]
    pub fn is_retry_request(&self) -> bool {
        self.fields().random == ServerHello::RETRY
    }

    /// The cipher suite chosen.
    #[must_use]
    pub fn cipher_suite(&self) -> CipherSuite {
        self.fields().suite
    }

    /// The group of its key share; of a HelloRetryRequest the one it asks for.
    #[must_use]
    pub fn group(&self) -> Option<NamedGroup> {
        let mut body = self.extension(ExtensionType::KEY_SHARE)?;
        wire::u16(&mut body).map(NamedGroup)
    }

    /// The application protocol chosen, where the ServerHello says it (TLS 1.2 and before; RFC 7301).
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        let mut body = self.extension(ExtensionType::ALPN)?;
        wire::vector8(&mut wire::vector16(&mut body)?)
    }

    /// The types of its extensions, in order. One whose body is cut off is the last.
    #[must_use]
    pub fn extensions(&self) -> Vec<ExtensionType> {
        self.walk().map(|(kind, _)| kind).collect()
    }

    /// The body of an extension; the first where it is there twice.
    #[must_use]
    pub fn extension(&self, kind: ExtensionType) -> Option<&[u8]> {
        self.walk().find(kind)
    }

    /// The lower version a TLS 1.3 or 1.2 server says it was brought down to (RFC 8446 section 4.1.3), if it does: TLS
    /// 1.2, or TLS 1.1, which stands for all below TLS 1.2.
    #[must_use]
    pub fn downgrade_sentinel(&self) -> Option<ProtocolVersion> {
        match self.fields().random.last_chunk::<8>()? {
            b"DOWNGRD\x01" => Some(ProtocolVersion::TLS1_2),
            b"DOWNGRD\x00" => Some(ProtocolVersion::TLS1_1),
            _ => None,
        }
    }

    fn fields(&self) -> Choice<'_> {
        Choice::read(&self.raw)
    }

    fn walk(&self) -> Extensions<'_> {
        Extensions::of(self.fields().extensions)
    }
}

#[cfg(test)]
mod tests;
