//! What was seen of TLS, and of the way to it.

use std::fmt::Write as _;

use serde::Serialize;
use wirewhy_flow::Side;
use wirewhy_protocol::{
    Alert, AlertSeen, Certificate, CertificateFacts, Certificates, ClientHello, Mark, Message,
    MessageKind, NamedGroup, PublicKey, Retry, Secrets, SubjectName, TlsFacts, Upgrade,
};

use super::Time;
use crate::format;

/// One TLS connection.
#[derive(Serialize)]
pub(super) struct TlsShape<'a> {
    version: Option<String>,
    client_versions: Option<Vec<String>>,
    server_name: Option<String>,
    ech: Option<bool>,
    alpn: Option<String>,
    client_alpn: Option<Vec<String>>,
    cipher_suite: Option<String>,
    group: Option<String>,
    resumed: Option<bool>,
    early_data_accepted: Option<bool>,
    retry: Option<RetryShape>,
    stage: &'static str,
    ja3: Option<String>,
    ja4: Option<String>,
    certificates: Option<Vec<CertificateShape<'a>>>,
    client_certificates: Option<Vec<CertificateShape<'a>>>,
    client_certificate_requested: Option<bool>,
    ocsp_stapled: Option<bool>,
    alerts: Vec<AlertShape>,
    messages: Vec<MessageShape>,
    secrets: &'static str,
    joined_late: bool,
}

impl<'a> TlsShape<'a> {
    pub(super) fn new(tls: &'a TlsFacts) -> TlsShape<'a> {
        let hello = tls.client_hello.as_deref();
        let certificates = tls.server_certificates.as_ref();
        TlsShape {
            version: tls.version().map(|version| version.to_string()),
            client_versions: hello.map(|hello| named(hello.versions())),
            server_name: hello.and_then(ClientHello::server_name),
            ech: hello.map(ClientHello::has_ech),
            alpn: tls.alpn.as_deref().map(text),
            client_alpn: hello.map(|hello| hello.alpn().into_iter().map(text).collect()),
            cipher_suite: tls.cipher_suite().map(|suite| suite.to_string()),
            group: tls.group.map(|group| group.to_string()),
            resumed: tls.resumed(),
            early_data_accepted: tls.early_data_accepted,
            retry: tls.retry.as_ref().map(RetryShape::new),
            stage: tls.stage().name(),
            ja3: hello.map(ClientHello::ja3).filter(|hash| !hash.is_empty()),
            ja4: hello.map(ClientHello::ja4).filter(|hash| !hash.is_empty()),
            certificates: certificates.map(chain),
            client_certificates: tls.client_certificates.as_ref().map(chain),
            // Where the server's certificate could be read, a request beside it could have been.
            client_certificate_requested: (tls.certificate_request.is_some()
                || certificates.is_some())
            .then_some(tls.certificate_request.is_some()),
            ocsp_stapled: (tls.ocsp_response.is_some() || certificates.is_some())
                .then_some(tls.ocsp_response.is_some()),
            alerts: alerts(tls),
            messages: messages(tls),
            secrets: match tls.secrets {
                Secrets::Unknown => "unknown",
                Secrets::Used => "used",
                Secrets::Useless => "useless",
            },
            joined_late: tls.joined_late,
        }
    }
}

/// A HelloRetryRequest, and the groups of the key shares the client sent then.
#[derive(Serialize)]
struct RetryShape {
    group: Option<String>,
    cookie: bool,
    key_shares: Vec<String>,
    frame: u64,
    answered_frame: Option<u64>,
}

impl RetryShape {
    fn new(retry: &Retry) -> RetryShape {
        RetryShape {
            group: retry.group.as_ref().map(NamedGroup::to_string),
            cookie: retry.cookie,
            key_shares: named(retry.key_shares.iter().copied()),
            frame: retry.mark.frame,
            answered_frame: frame(retry.answered),
        }
    }
}

/// A certificate. Of one that cannot be parsed only the hash is known.
#[derive(Serialize)]
struct CertificateShape<'a> {
    subject: Option<&'a str>,
    issuer: Option<&'a str>,
    serial: Option<&'a str>,
    not_before: Option<Time>,
    not_after: Option<Time>,
    san: Option<Vec<String>>,
    key: Option<KeyShape<'a>>,
    signature: Option<&'a str>,
    is_authority: Option<bool>,
    self_signed: Option<bool>,
    sha256: String,
}

impl<'a> CertificateShape<'a> {
    fn new(certificate: &'a Certificate) -> CertificateShape<'a> {
        let facts = certificate.facts.as_ref();
        CertificateShape {
            subject: facts.map(|facts| &*facts.subject),
            issuer: facts.map(|facts| &*facts.issuer),
            serial: facts.map(|facts| &*facts.serial),
            not_before: facts.map(|facts| Time(facts.not_before)),
            not_after: facts.map(|facts| Time(facts.not_after)),
            san: facts.map(subject_names),
            key: facts.map(|facts| KeyShape::new(&facts.key)),
            signature: facts.map(|facts| &*facts.signature.name),
            is_authority: facts.and_then(|facts| facts.is_authority),
            self_signed: facts.map(|facts| facts.is_self_signed),
            sha256: hex(&certificate.sha256),
        }
    }
}

/// A public key.
#[derive(Serialize)]
struct KeyShape<'a> {
    algorithm: &'a str,
    bits: Option<u32>,
}

impl<'a> KeyShape<'a> {
    fn new(key: &'a PublicKey) -> KeyShape<'a> {
        KeyShape {
            algorithm: format::key_algorithm(&key.algorithm),
            bits: key.bits,
        }
    }
}

/// An alert; of an encrypted one neither level nor description is known.
#[derive(Serialize)]
struct AlertShape {
    from: &'static str,
    level: Option<String>,
    description: Option<String>,
    code: Option<u8>,
    seen: &'static str,
    frame: u64,
}

impl AlertShape {
    fn new(from: Side, alert: &Alert) -> AlertShape {
        AlertShape {
            from: from.name(),
            level: alert.level.map(format::alert_level),
            description: alert.description.map(|what| what.to_string()),
            code: alert.description.map(|what| what.0),
            seen: match alert.seen {
                AlertSeen::Clear => "clear",
                AlertSeen::Decrypted => "decrypted",
                AlertSeen::Encrypted => "encrypted",
            },
            frame: alert.mark.frame,
        }
    }
}

/// One of a side's first messages. An encrypted one is `sealed`, with the type its record shows.
#[derive(Serialize)]
struct MessageShape {
    from: &'static str,
    message: String,
    content: Option<String>,
    begun_frame: u64,
    frame: u64,
    length_bytes: u32,
}

impl MessageShape {
    fn new(from: Side, message: &Message) -> MessageShape {
        let content = match message.what {
            MessageKind::Sealed(content) => Some(content.to_string()),
            _ => None,
        };
        MessageShape {
            from: from.name(),
            message: format::message(message.what),
            content,
            begun_frame: message.begun.frame,
            frame: message.mark.frame,
            length_bytes: message.length,
        }
    }
}

/// How a plaintext protocol changed to TLS, or was to.
#[derive(Serialize)]
pub(super) struct UpgradeShape<'a> {
    protocol: &'static str,
    verdict: &'static str,
    offered: Option<bool>,
    asked_frame: Option<u64>,
    answered_frame: Option<u64>,
    reply: Option<&'a str>,
    target: Option<&'a str>,
}

impl<'a> UpgradeShape<'a> {
    pub(super) fn new(upgrade: &'a Upgrade) -> UpgradeShape<'a> {
        UpgradeShape {
            protocol: format::upgrade_protocol(upgrade.protocol),
            verdict: format::upgrade_verdict(upgrade.verdict),
            offered: upgrade.offered,
            asked_frame: frame(upgrade.asked),
            answered_frame: frame(upgrade.answered),
            reply: upgrade.reply.as_deref(),
            target: upgrade.target.as_deref(),
        }
    }
}

fn chain(certificates: &Certificates) -> Vec<CertificateShape<'_>> {
    let shapes = certificates.chain.iter();
    shapes.map(|one| CertificateShape::new(one)).collect()
}

/// The alerts of both sides in the order they were seen.
fn alerts(tls: &TlsFacts) -> Vec<AlertShape> {
    let of = |side, alerts: &[Alert]| {
        let shapes = alerts.iter().map(|alert| AlertShape::new(side, alert));
        shapes.collect::<Vec<_>>()
    };
    let mut all = of(Side::Client, &tls.client.alerts);
    all.extend(of(Side::Server, &tls.server.alerts));
    all.sort_by_key(|alert| alert.frame);
    all
}

/// The first messages of both sides in the order they were whole.
fn messages(tls: &TlsFacts) -> Vec<MessageShape> {
    let of = |side, messages: &[Message]| {
        let shapes = messages.iter().map(|one| MessageShape::new(side, one));
        shapes.collect::<Vec<_>>()
    };
    let mut all = of(Side::Client, &tls.client.messages);
    all.extend(of(Side::Server, &tls.server.messages));
    all.sort_by_key(|message| message.frame);
    all
}

fn subject_names(facts: &CertificateFacts) -> Vec<String> {
    let names = facts.names.iter().map(|name| match name {
        SubjectName::Dns(text) | SubjectName::Other(text) => text.to_string(),
        SubjectName::Ip(address) => address.to_string(),
    });
    names.collect()
}

fn frame(mark: Option<Mark>) -> Option<u64> {
    mark.map(|mark| mark.frame)
}

fn named<T: ToString>(numbers: impl IntoIterator<Item = T>) -> Vec<String> {
    let numbers = numbers.into_iter();
    numbers.map(|number| number.to_string()).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// In lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
