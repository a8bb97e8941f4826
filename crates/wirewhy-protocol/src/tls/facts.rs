//! What an observer learns of a TLS connection.

use std::sync::Arc;

use super::handshake::{CERTIFICATE, SERVER_HELLO_DONE, SERVER_KEY_EXCHANGE};
use super::{
    AlertDescription, CipherSuite, ClientHello, ContentType, ExtensionType, HandshakeType,
    NamedGroup, ProtocolVersion, ServerHello, SignatureScheme,
};
use crate::certificate::Certificate;
use crate::{Mark, Unreadable};

/// The extension with which a TLS 1.3 server resumes.
const PRE_SHARED_KEY: ExtensionType = ExtensionType(41);

/// What both sides of a TLS connection showed.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TlsFacts {
    /// The first ClientHello. After a HelloRetryRequest the second one differs in its key shares only (RFC 8446 section
    /// 4.1.2).
    pub client_hello: Option<Box<ClientHello>>,
    /// The ServerHello that settled the parameters; never a HelloRetryRequest.
    pub server_hello: Option<Box<ServerHello>>,
    /// A HelloRetryRequest (RFC 8446 section 4.1.4).
    pub retry: Option<Retry>,
    /// The server's certificates, where they were readable. An empty chain means an empty message.
    pub server_certificates: Option<Certificates>,
    /// The client's certificates, where they were readable. An empty chain means that it was asked and had none.
    pub client_certificates: Option<Certificates>,
    /// The server's request for a client certificate, where it was readable.
    pub certificate_request: Option<CertificateRequest>,
    /// The group of the server's ephemeral key, where it was readable: of TLS 1.3 in the ServerHello, before it in the
    /// ServerKeyExchange.
    pub group: Option<NamedGroup>,
    /// The bits of the prime of the server's ephemeral Diffie-Hellman key (RFC 5246 section 7.4.3), where it has one.
    pub prime_bits: Option<u32>,
    /// The application protocol the server chose, where it was readable (RFC 7301).
    pub alpn: Option<Box<[u8]>>,
    /// Whether the server took early data (RFC 8446 section 4.2.10), where it was readable.
    pub early_data_accepted: Option<bool>,
    /// The stapled OCSP response as it was on the wire (RFC 6066 section 8, RFC 8446 section 4.4.2.1).
    pub ocsp_response: Option<Arc<[u8]>>,
    /// What the client sent, record by record.
    pub client: TlsSide,
    /// What the server sent, record by record.
    pub server: TlsSide,
    /// The first whole handshakes were done, and another one began (TLS 1.2 and before).
    pub renegotiation: Option<Mark>,
    /// Where the keys to its secrets came from.
    pub secrets: Secrets,
    /// The connection was seen from its middle on: what came before is not known.
    pub joined_late: bool,
}

crate::compact!(TlsFacts {
    client_hello,
    server_hello,
    retry,
    server_certificates,
    client_certificates,
    certificate_request,
    group,
    prime_bits,
    alpn,
    early_data_accepted,
    ocsp_response,
    client,
    server,
    renegotiation,
    secrets,
    joined_late,
});

/// What one side of a TLS connection sent.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TlsSide {
    /// Its first messages, in order: at most [`TlsSide::MAX_MESSAGES`].
    pub messages: Vec<Message>,
    /// Its alerts, in order, the readable ones and those of which only the type is seen: at most
    /// [`TlsSide::MAX_ALERTS`]. A TLS 1.3 record that has merely an alert's size is not among them.
    pub alerts: Vec<Alert>,
    /// Its first ChangeCipherSpec record.
    pub change_cipher_spec: Option<Mark>,
    /// Its Finished: decrypted, or of TLS 1.2 and before its first encrypted handshake record.
    pub finished: Option<Mark>,
    /// Of a TLS 1.3 client whose secrets are not known, the encrypted record that most likely carried its Finished, told
    /// by its size: the first after the ServerHello of exactly a Finished's size (53 bytes with SHA-256, 69 with SHA-384),
    /// or, without early data, the first that is longer, unless one of the next three has that very size. A client
    /// certificate makes it longer; an alert is shorter. Padded records (RFC 8446 section 5.4) defeat this.
    pub likely_finished: Option<Sealed>,
    /// Its first encrypted records, in order: at most [`TlsSide::MAX_SEALED`].
    pub sealed: Vec<Sealed>,
    /// Its last encrypted record.
    pub last_sealed: Option<Sealed>,
    /// How many encrypted records it sent.
    pub sealed_count: u64,
    /// Its application data: of TLS 1.2 records of that type after its Finished; of TLS 1.3 encrypted records after the
    /// client's Finished, tickets and the like included where no keys are known, but none that has merely an alert's size.
    pub application_data: RecordTally,
    /// Its first record that does not authenticate with keys that opened those before it, none of which was missed.
    pub unauthentic: Option<Mark>,
    /// The record whose bytes stop in the middle.
    pub incomplete: Option<Incomplete>,
    /// Why it could not be followed to its end.
    pub stopped: Option<Unreadable>,
}

crate::compact!(TlsSide {
    messages,
    alerts,
    change_cipher_spec,
    finished,
    likely_finished,
    sealed,
    last_sealed,
    sealed_count,
    application_data,
    unauthentic,
    incomplete,
    stopped,
});

impl TlsSide {
    /// How many messages are kept.
    pub const MAX_MESSAGES: usize = 24;
    /// How many alerts are kept.
    pub const MAX_ALERTS: usize = 8;
    /// How many of the first encrypted records are kept.
    pub const MAX_SEALED: usize = 12;
}

/// Records of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RecordTally {
    /// How many.
    pub count: u64,
    /// Their bodies' bytes, protection included.
    pub bytes: u64,
    /// The first.
    pub first: Option<Mark>,
    /// The latest.
    pub last: Option<Mark>,
}

crate::compact!(RecordTally {
    count,
    bytes,
    first,
    last
});

/// A message or record, as the ladder names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    /// What it is.
    pub what: MessageKind,
    /// Where its first byte was seen.
    pub begun: Mark,
    /// Where its last byte was seen.
    pub mark: Mark,
    /// Its length in bytes, its header included.
    pub length: u32,
}

crate::compact!(Message {
    what,
    begun,
    mark,
    length
});

/// What a message is, as far as it can be seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MessageKind {
    /// A handshake message in the clear, or decrypted.
    Handshake(HandshakeType),
    /// A HelloRetryRequest, which has a ServerHello's type.
    HelloRetryRequest,
    /// A ClientHello in the format of SSL 2.0 (RFC 5246 appendix E.2).
    SslV2ClientHello,
    /// A ChangeCipherSpec record.
    ChangeCipherSpec,
    /// An alert in the clear, or decrypted.
    Alert(AlertDescription),
    /// An encrypted record of this outer type.
    Sealed(ContentType),
    /// Application data that was decrypted.
    ApplicationData,
    /// A heartbeat (RFC 6520).
    Heartbeat,
}

crate::compact!(MessageKind = {
    0 Handshake(item), 1 HelloRetryRequest, 2 SslV2ClientHello, 3 ChangeCipherSpec, 4 Alert(item), 5 Sealed(item),
    6 ApplicationData, 7 Heartbeat,
});

/// An encrypted record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sealed {
    /// Its outer type.
    pub kind: ContentType,
    /// The length its header announces, in bytes.
    pub length: u16,
    /// Where its last byte was seen.
    pub mark: Mark,
}

crate::compact!(Sealed { kind, length, mark });

/// An alert (RFC 8446 section 6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Alert {
    /// Where its last byte was seen.
    pub mark: Mark,
    /// Its level, 1 warning and 2 fatal; `None` where it is encrypted.
    pub level: Option<u8>,
    /// What it says; `None` where it is encrypted.
    pub description: Option<AlertDescription>,
    /// How it is known.
    pub seen: AlertSeen,
    /// The version in its record's header: before one is settled, that of its sender.
    pub record_version: ProtocolVersion,
}

crate::compact!(Alert {
    mark,
    level,
    description,
    seen,
    record_version
});

/// How an alert is known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AlertSeen {
    /// It was in the clear.
    Clear,
    /// It was decrypted.
    Decrypted,
    /// The record's outer type is that of an alert; what it says is encrypted (TLS 1.2 and before).
    Encrypted,
}

crate::compact!(AlertSeen = { 0 Clear, 1 Decrypted, 2 Encrypted });

/// A record that was begun and not finished.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Incomplete {
    /// Its type; `None` where not even its header is whole.
    pub kind: Option<ContentType>,
    /// The length its header announces.
    pub announced: u32,
    /// Bytes after the header.
    pub received: u32,
    /// Where it began.
    pub begun: Mark,
}

crate::compact!(Incomplete {
    kind,
    announced,
    received,
    begun
});

/// A HelloRetryRequest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retry {
    /// Where it was seen.
    pub mark: Mark,
    /// The group the server asks for.
    pub group: Option<NamedGroup>,
    /// Whether it carries a cookie.
    pub cookie: bool,
    /// Where the second ClientHello was complete.
    pub answered: Option<Mark>,
    /// The groups of the second ClientHello's key shares.
    pub key_shares: Vec<NamedGroup>,
}

crate::compact!(Retry {
    mark,
    group,
    cookie,
    answered,
    key_shares
});

/// A Certificate message.
#[derive(Clone, PartialEq, Debug)]
pub struct Certificates {
    /// Where its last byte was seen.
    pub mark: Mark,
    /// The certificates in the order they were sent, at most [`Certificates::MAX_CHAIN`].
    pub chain: Vec<Arc<Certificate>>,
    /// How many were sent.
    pub count: u32,
    /// The length of the message in bytes.
    pub length: u32,
    /// Whether its signatures are to be verified. The capture has an allowance of that, which grows with it.
    pub is_followed: bool,
}

crate::compact!(Certificates {
    mark,
    chain,
    count,
    length,
    is_followed
});

impl Certificates {
    /// How many certificates are kept.
    pub const MAX_CHAIN: usize = 16;
}

/// A CertificateRequest message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateRequest {
    /// Where its last byte was seen.
    pub mark: Mark,
    /// Signature algorithms the server accepts, at most 64.
    pub signature_schemes: Vec<SignatureScheme>,
    /// Names of the authorities it accepts, in the string form of RFC 4514, at most 16. Hostile text.
    pub authorities: Vec<Box<str>>,
    /// How many authorities it names.
    pub authority_count: u32,
}

crate::compact!(CertificateRequest {
    mark,
    signature_schemes,
    authorities,
    authority_count
});

/// Whether encrypted messages could be read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Secrets {
    /// No secrets of this connection are known.
    #[default]
    Unknown,
    /// Secrets are known, and records were decrypted with them.
    Used,
    /// Secrets are known, and the records do not decrypt with them, or the cipher suite is not supported.
    Useless,
}

crate::compact!(Secrets = { 0 Unknown, 1 Used, 2 Useless });

/// How far a handshake got.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TlsStage {
    /// The client's hello is not whole.
    Begun,
    /// The client's hello was sent; the server has said nothing.
    ClientHello,
    /// The server asked for another ClientHello.
    HelloRetryRequest,
    /// The server's hello was sent, not yet its certificate (TLS 1.2), or nothing encrypted yet (TLS 1.3).
    ServerHello,
    /// The server's flight was sent, as far as it can be seen.
    ServerFlight,
    /// The client's flight, to its Finished, was sent.
    ClientFinished,
    /// Both sides have finished.
    Established,
    /// Application data has flowed.
    ApplicationData,
}

impl TlsStage {
    /// The word used in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            TlsStage::Begun => "begun",
            TlsStage::ClientHello => "client-hello",
            TlsStage::HelloRetryRequest => "hello-retry-request",
            TlsStage::ServerHello => "server-hello",
            TlsStage::ServerFlight => "server-flight",
            TlsStage::ClientFinished => "client-finished",
            TlsStage::Established => "established",
            TlsStage::ApplicationData => "application-data",
        }
    }
}

impl RecordTally {
    pub(super) fn add(&mut self, sealed: Sealed) {
        self.count += 1;
        self.bytes += u64::from(sealed.length);
        self.first.get_or_insert(sealed.mark);
        self.last = Some(sealed.mark);
    }
}

impl TlsSide {
    /// Whether it sent a handshake message of this type that could be read.
    #[must_use]
    pub fn sent(&self, kind: HandshakeType) -> bool {
        self.messages
            .iter()
            .any(|message| message.what == MessageKind::Handshake(kind))
    }

    /// Whether it sent anything at all.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        !self.messages.is_empty() || !self.alerts.is_empty() || self.incomplete.is_some()
    }
}

impl TlsFacts {
    /// How far the handshake got, as far as it can be seen.
    ///
    /// Of TLS 1.3 without secrets the server's flight is there with its first encrypted record, both sides have finished
    /// with [`TlsSide::likely_finished`] of the client, and application data is what the client sends after it: what a
    /// server sends then may be tickets.
    #[must_use]
    pub fn stage(&self) -> TlsStage {
        let (client, server) = (&self.client, &self.server);
        let mut carried = client.application_data.count + server.application_data.count > 0;
        let mut both = client.finished.is_some() && server.finished.is_some();
        let is_quic = self.is_quic();
        if self.is_1_3() && !is_quic {
            if self.secrets != Secrets::Used || client.likely_finished.is_some() {
                return self.stage_by_size();
            }
            // The client's comes last, and a server may send data before it.
            both = client.finished.is_some();
            carried &= both || client.application_data.count > 0;
        }
        if is_quic {
            // Nothing follows the server's flight before the client has verified it.
            both = client.finished.is_some();
            carried &= both;
        }
        if carried {
            return TlsStage::ApplicationData;
        }
        if both || self.joined_late && self.client.sealed_count + self.server.sealed_count > 0 {
            return TlsStage::Established;
        }
        if self.client.finished.is_some() {
            return TlsStage::ClientFinished;
        }
        // Of TLS 1.3, and behind a HelloRetryRequest, a ChangeCipherSpec says nothing.
        let changed = self.server.change_cipher_spec.is_some()
            && self.server_hello.is_some()
            && !self.is_1_3();
        let flight = self.server.finished.is_some()
            || changed
            || self.server.sent(SERVER_HELLO_DONE)
            || is_quic && self.server.sealed_count > 0;
        match flight {
            true => TlsStage::ServerFlight,
            false => self.stage_of_hellos(),
        }
    }

    fn stage_by_size(&self) -> TlsStage {
        if self.client.application_data.count > 0 {
            TlsStage::ApplicationData
        } else if self.client.likely_finished.is_some() {
            TlsStage::Established
        } else if self.server.sealed_count > 0 {
            TlsStage::ServerFlight
        } else {
            TlsStage::ServerHello
        }
    }

    fn stage_of_hellos(&self) -> TlsStage {
        if self.server_hello.is_some() {
            TlsStage::ServerHello
        } else if self.retry.is_some() {
            TlsStage::HelloRetryRequest
        } else if self.client_hello.is_some() || self.server.has_begun() {
            TlsStage::ClientHello
        } else {
            TlsStage::Begun
        }
    }

    /// Whether QUIC carries it.
    #[must_use]
    pub fn is_quic(&self) -> bool {
        self.client_hello
            .as_ref()
            .is_some_and(|hello| hello.is_quic)
    }

    /// Whether both sides have finished their handshake, by the same rules.
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.stage() >= TlsStage::Established
    }

    /// Whether TLS 1.3 was settled on, drafts included.
    #[must_use]
    pub fn is_1_3(&self) -> bool {
        self.version().is_some_and(ProtocolVersion::is_1_3)
    }

    /// Whether an earlier session was resumed: of TLS 1.3 where the server takes a pre-shared key, before it where the
    /// server sends neither certificate nor key exchange before its ChangeCipherSpec. `None` while it cannot be told.
    #[must_use]
    pub fn resumed(&self) -> Option<bool> {
        let hello = self.server_hello.as_ref()?;
        if self.is_1_3() {
            return Some(hello.extension(PRE_SHARED_KEY).is_some());
        }
        let full = [CERTIFICATE, SERVER_KEY_EXCHANGE, SERVER_HELLO_DONE];
        if full.into_iter().any(|kind| self.server.sent(kind)) {
            return Some(false);
        }
        (self.server.change_cipher_spec.is_some() && self.server.stopped.is_none()).then_some(true)
    }

    /// The version in use, as the ServerHello settled it.
    #[must_use]
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.server_hello.as_ref().map(|hello| hello.version())
    }

    /// The cipher suite in use.
    #[must_use]
    pub fn cipher_suite(&self) -> Option<CipherSuite> {
        self.server_hello.as_ref().map(|hello| hello.cipher_suite())
    }
}
