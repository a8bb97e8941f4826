//! TLS and certificates in the names of ECS.

use serde::Serialize;
use wirewhy_protocol::{
    Certificate, Certificates, ClientHello, ProtocolVersion, SubjectName, TlsFacts,
};

use crate::format;
use crate::json::{Time, hex};

/// `tls`.
#[derive(Serialize)]
pub(super) struct TlsFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_protocol: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cipher: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    curve: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resumed: Option<bool>,
    established: bool,
    client: ClientFields,
    server: SideFields,
}

#[derive(Serialize)]
struct ClientFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ja3: Option<String>,
    #[serde(flatten)]
    side: SideFields,
}

/// What a side's certificate says.
#[derive(Default, Serialize)]
struct SideFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<Hash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x509: Option<X509>,
}

#[derive(Serialize)]
struct Hash {
    /// In upper case.
    sha256: String,
}

#[derive(Serialize)]
struct X509 {
    subject: Name,
    issuer: Name,
    /// In hexadecimal, in upper case.
    serial_number: String,
    not_before: Time,
    not_after: Time,
    alternative_names: Vec<String>,
    public_key_algorithm: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key_size: Option<u32>,
    signature_algorithm: String,
}

#[derive(Serialize)]
struct Name {
    distinguished_name: String,
}

impl TlsFields {
    pub(super) fn new(tls: &TlsFacts) -> TlsFields {
        let hello = tls.client_hello.as_deref();
        let (version_protocol, version) = tls.version().and_then(version).unzip();
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        TlsFields {
            version,
            version_protocol,
            cipher: tls.cipher_suite().map(|suite| suite.to_string()),
            curve: tls.group.map(|group| group.to_string()),
            next_protocol: tls
                .alpn
                .as_deref()
                .map(|alpn| String::from_utf8_lossy(alpn).to_lowercase()),
            resumed: tls.resumed(),
            established: tls.is_established(),
            client: ClientFields {
                server_name: hello.and_then(ClientHello::server_name),
                ja3: hello.map(ClientHello::ja3).and_then(some),
                side: SideFields::of(tls.client_certificates.as_ref()),
            },
            server: SideFields::of(tls.server_certificates.as_ref()),
        }
    }

    /// Every hash in it.
    pub(super) fn hashes(&self) -> impl Iterator<Item = String> {
        let certificates = [&self.client.side, &self.server];
        let hashes = certificates
            .into_iter()
            .filter_map(|side| side.hash.as_ref());
        let hashes = hashes.map(|hash| hash.sha256.clone());
        hashes.chain(self.client.ja3.clone())
    }
}

impl SideFields {
    fn of(certificates: Option<&Certificates>) -> SideFields {
        let Some(leaf) = certificates.and_then(|certificates| certificates.chain.first()) else {
            return SideFields::default();
        };
        let hash = Some(Hash {
            sha256: hex(&leaf.sha256).to_uppercase(),
        });
        let facts = leaf.facts.as_ref();
        SideFields {
            subject: facts.map(|facts| facts.subject.to_string()),
            issuer: facts.map(|facts| facts.issuer.to_string()),
            not_before: facts.map(|facts| Time(facts.not_before)),
            not_after: facts.map(|facts| Time(facts.not_after)),
            hash,
            x509: X509::of(leaf),
        }
    }
}

impl X509 {
    fn of(certificate: &Certificate) -> Option<X509> {
        let facts = certificate.facts.as_ref()?;
        let names = facts.names.iter().map(|name| match name {
            SubjectName::Dns(text) | SubjectName::Other(text) => text.to_string(),
            SubjectName::Ip(address) => address.to_string(),
        });
        let named = |name: &str| Name {
            distinguished_name: name.to_owned(),
        };
        Some(X509 {
            subject: named(&facts.subject),
            issuer: named(&facts.issuer),
            serial_number: facts.serial.to_uppercase(),
            not_before: Time(facts.not_before),
            not_after: Time(facts.not_after),
            alternative_names: names.collect(),
            public_key_algorithm: format::key_algorithm(&facts.key.algorithm).to_owned(),
            public_key_size: facts.key.bits,
            signature_algorithm: facts.signature.name.to_string(),
        })
    }
}

/// Name and number of a version; `None` where it is none of those that were published.
fn version(version: ProtocolVersion) -> Option<(&'static str, &'static str)> {
    Some(match version {
        ProtocolVersion::SSL2 => ("ssl", "2.0"),
        ProtocolVersion::SSL3 => ("ssl", "3.0"),
        ProtocolVersion::TLS1_0 => ("tls", "1.0"),
        ProtocolVersion::TLS1_1 => ("tls", "1.1"),
        ProtocolVersion::TLS1_2 => ("tls", "1.2"),
        ProtocolVersion::TLS1_3 => ("tls", "1.3"),
        _ => return None,
    })
}
