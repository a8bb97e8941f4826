//! Both directions of a TLS connection, record by record: which are in the clear, what those say, and what the others show
//! by their type, size and place.

use self::sealed::Sizes;
use super::facts::TlsFacts;
use super::handshake::{self as kind, Transcript, Whole};
use super::messages::{self, Chain};
use super::open::{Hellos, Opener};
use super::{
    Alert, AlertDescription, AlertSeen, ClientHello, ContentType, Message, MessageKind,
    ProtocolVersion, Retry, Sealed, ServerHello, TlsSide,
};
use crate::CaptureContext;
use crate::tls::ExtensionType;
use crate::types::{Mark, Role, Unreadable};

const CHANGE_CIPHER_SPEC: ContentType = ContentType(20);
const ALERT: ContentType = ContentType(21);
const HANDSHAKE: ContentType = ContentType(22);
const APPLICATION_DATA: ContentType = ContentType(23);
const HEARTBEAT: ContentType = ContentType(24);

const COOKIE: ExtensionType = ExtensionType(44);

/// The level of an alert that ends a connection.
const FATAL: u8 = 2;

/// An alert is two bytes, and with its protection always more.
const ALERT_LENGTH: u16 = 2;

/// A client's second ClientHello follows a ChangeCipherSpec as a Finished does, which is never as long.
const LONGER_THAN_FINISHED: u16 = 128;

/// Of a TLS 1.3 client's last flight at most this many records come before its Finished and are longer: a certificate, its
/// signature, and one more.
const MAX_FLIGHT: u8 = 3;

/// Room for so many messages of a side holds those of most handshakes.
const HANDSHAKE_MESSAGES: usize = 10;

/// A record's header, and where it began.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct RecordHeader {
    pub(crate) kind: ContentType,
    pub(crate) version: u16,
    pub(crate) length: u16,
    pub(crate) begun: Mark,
}

crate::compact!(RecordHeader {
    kind,
    version,
    length,
    begun
});

/// Application data of one record, decrypted.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Decrypted {
    pub(crate) role: Role,
    /// The offset of the first byte in the direction's application data; records that were not decrypted leave a gap of
    /// about their length.
    pub(crate) at: u64,
    pub(crate) bytes: Vec<u8>,
    /// The segment with the record's last byte.
    pub(crate) mark: Mark,
}

crate::compact!(Decrypted {
    role,
    at,
    bytes,
    mark
});

/// A TLS connection being followed, and where it looks things up.
pub(crate) struct Tls<'a> {
    pub(crate) follow: &'a mut Follow,
    pub(crate) context: &'a mut CaptureContext,
}

/// What one TLS connection has shown.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Follow {
    facts: Box<TlsFacts>,
    /// What sizes mean with the suite that was settled.
    sizes: Sizes,
    /// Whether it is TLS 1.3, once the server has settled it.
    is_1_3: Option<bool>,
    client: Progress,
    server: Progress,
    /// Records of a TLS 1.3 client since the first that may have been its Finished.
    since_finished: u8,
    opener: Opener,
    /// Application data that were decrypted and not yet taken.
    decrypted: Vec<Decrypted>,
    /// QUIC carries the messages.
    is_quic: bool,
    /// The transport parameters of a server over QUIC.
    quic_parameters: Option<Box<[u8]>>,
}

crate::compact!(Follow {
    facts,
    sizes,
    is_1_3,
    client,
    server,
    since_finished,
    opener,
    decrypted,
    is_quic,
    quic_parameters,
});

/// Where one direction stands.
#[derive(Clone, PartialEq, Debug, Default)]
struct Progress {
    transcript: Transcript,
    /// It has begun.
    begun: bool,
    /// It was seen from its middle on.
    late: bool,
    /// The first byte of an alert whose second is to come.
    alert: Option<u8>,
    /// The version in the header of the latest record.
    record_version: ProtocolVersion,
    /// What there is of an encrypted record to be opened.
    sealed: Option<Vec<u8>>,
    /// How much application data was decrypted.
    plain: u64,
}

crate::compact!(Progress {
    transcript,
    begun,
    late,
    alert,
    record_version,
    sealed,
    plain
});

impl Tls<'_> {
    /// Whether the client has not begun: only then its bytes may be a hello in the format of SSL 2.0.
    pub(crate) fn expects_hello(&self) -> bool {
        !self.follow.client.begun
    }

    /// A record's header was read; true where its body's bytes are needed.
    pub(crate) fn begin(&mut self, role: Role, record: RecordHeader) -> bool {
        self.follow.begin(role, record, self.context)
    }

    /// The next bytes of a record whose bytes are needed.
    pub(crate) fn body(&mut self, role: Role, record: RecordHeader, bytes: &[u8], mark: Mark) {
        self.follow.body(role, record, bytes, mark, self.context);
    }

    /// Bytes that were needed will not be seen.
    pub(crate) fn missed(
        &mut self,
        role: Role,
        record: RecordHeader,
        reason: Unreadable,
        mark: Mark,
    ) {
        self.follow.missed(role, record, reason, mark);
    }

    /// A record's last byte was seen.
    pub(crate) fn end(&mut self, role: Role, record: RecordHeader, mark: Mark) {
        self.follow.end(role, record, mark, self.context);
    }

    /// A ClientHello in the format of SSL 2.0, its message type left out.
    pub(crate) fn ssl2_hello(&mut self, body: &[u8], begun: Mark, mark: Mark) {
        self.follow.ssl2_hello(body, begun, mark);
    }
}

impl Follow {
    fn begin(&mut self, role: Role, record: RecordHeader, context: &CaptureContext) -> bool {
        let progress = self.progress(role);
        progress.record_version = ProtocolVersion(record.version);
        if !progress.begun {
            progress.begun = true;
            // What no side begins with.
            let late = match record.kind {
                HANDSHAKE => false,
                ALERT => record.length != ALERT_LENGTH,
                _ => true,
            };
            progress.late = late;
            self.facts.joined_late |= late;
        }
        if self.is_sealed(role, record) && self.has_keys(role, context) {
            self.progress(role).sealed = Some(Vec::new());
            return true;
        }
        match record.kind {
            ALERT => {
                self.progress(role).alert = None;
                record.length == ALERT_LENGTH
            }
            HANDSHAKE => {
                let clear = self.is_clear(role, record.length);
                let transcript = &mut self.progress(role).transcript;
                if clear {
                    transcript.record(record.version);
                }
                clear && transcript.stopped.is_none()
            }
            _ => false,
        }
    }

    fn body(
        &mut self,
        role: Role,
        record: RecordHeader,
        bytes: &[u8],
        mark: Mark,
        context: &mut CaptureContext,
    ) {
        if let Some(sealed) = &mut self.progress(role).sealed {
            return sealed.extend_from_slice(bytes);
        }
        if record.kind == ALERT {
            return self.alert_body(role, bytes, mark);
        }
        self.handshake(role, bytes, mark, context);
    }

    /// The next bytes of the handshake messages of a side.
    fn handshake(&mut self, role: Role, bytes: &[u8], mark: Mark, context: &mut CaptureContext) {
        let progress = self.progress(role);
        if progress.late {
            return;
        }
        let mut transcript = std::mem::take(&mut progress.transcript);
        transcript.take(bytes, mark, |whole| self.message(role, whole, context));
        if self.progress(role).late {
            transcript.stop(None);
        }
        self.progress(role).transcript = transcript;
    }

    fn missed(&mut self, role: Role, record: RecordHeader, reason: Unreadable, mark: Mark) {
        if self.progress(role).sealed.take().is_some() {
            return self.missed_sealed(role, record, reason);
        }
        if record.kind == ALERT {
            return self.alert(role, mark, AlertSeen::Clear, None, None);
        }
        self.progress(role).transcript.stop(Some(reason));
    }

    fn end(&mut self, role: Role, record: RecordHeader, mark: Mark, context: &mut CaptureContext) {
        if let Some(body) = self.progress(role).sealed.take() {
            return self.open(role, record, &body, mark, context);
        }
        match record.kind {
            CHANGE_CIPHER_SPEC if record.length == 1 => {
                self.side(role).change_cipher_spec.get_or_insert(mark);
                self.list(role, MessageKind::ChangeCipherSpec, record, mark);
            }
            ALERT if record.length == ALERT_LENGTH => {}
            HANDSHAKE if self.is_clear(role, record.length) => {}
            HEARTBEAT if !self.is_protected(role) => {
                self.list(role, MessageKind::Heartbeat, record, mark);
            }
            _ => self.sealed(role, record, mark),
        }
    }

    /// The next bytes of the handshake messages of a side, where no records carry them (RFC 9001 section 4.1.3).
    pub(crate) fn crypto(
        &mut self,
        role: Role,
        bytes: &[u8],
        mark: Mark,
        context: &mut CaptureContext,
    ) {
        self.is_quic = true;
        let progress = self.progress(role);
        progress.begun = true;
        progress.transcript.record(ProtocolVersion::TLS1_2.0);
        self.handshake(role, bytes, mark, context);
    }

    /// A fatal alert that a connection over QUIC was closed with (RFC 9001 section 4.8).
    pub(crate) fn close_with(
        &mut self,
        role: Role,
        description: AlertDescription,
        seen: AlertSeen,
        mark: Mark,
    ) {
        self.alert(role, mark, seen, Some(FATAL), Some(description));
    }

    /// The first hellos of both sides.
    pub(crate) fn hellos(&self) -> Option<(&ClientHello, Option<&ServerHello>)> {
        let client = self.facts.client_hello.as_deref()?;
        Some((client, self.facts.server_hello.as_deref()))
    }

    /// The transport parameters of a server over QUIC, where they could be read.
    pub(crate) fn quic_parameters(&self) -> Option<&[u8]> {
        self.quic_parameters.as_deref()
    }

    /// Whether there are application data that were decrypted and not yet taken.
    #[inline]
    pub(crate) fn has_decrypted(&self) -> bool {
        !self.decrypted.is_empty()
    }

    /// The application data that were decrypted since the last call, in the order of their records.
    pub(crate) fn take_decrypted(&mut self) -> Vec<Decrypted> {
        std::mem::take(&mut self.decrypted)
    }

    /// The facts so far.
    pub(crate) fn facts(&self) -> TlsFacts {
        let mut facts = (*self.facts).clone();
        self.complete(&mut facts);
        facts
    }

    /// The facts, where no more bytes follow.
    pub(crate) fn finish(mut self) -> Box<TlsFacts> {
        let mut facts = std::mem::take(&mut self.facts);
        self.complete(&mut facts);
        facts
    }

    fn complete(&self, facts: &mut TlsFacts) {
        facts.client.stopped = self.client.transcript.stopped;
        facts.server.stopped = self.server.transcript.stopped;
        facts.secrets = self.opener.secrets();
    }

    /// Bytes kept of messages and records that are not whole.
    pub(crate) fn kept(&self) -> usize {
        let side = |side: &Progress| {
            side.transcript.kept() + side.sealed.as_ref().map_or(0, Vec::capacity)
        };
        side(&self.client) + side(&self.server)
    }

    /// Gives up the messages and records that are not whole.
    pub(crate) fn evict(&mut self) {
        for side in [&mut self.client, &mut self.server] {
            side.transcript.stop(Some(Unreadable::TooMuch));
            side.sealed = None;
        }
    }

    /// Bytes of the messages that the facts hold as they were sent.
    pub(crate) fn recorded(&self) -> usize {
        let facts = &self.facts;
        let chain = |chain: &Option<super::Certificates>| {
            let length = chain.as_ref().map_or(0, |chain| chain.length);
            usize::try_from(length).unwrap_or(usize::MAX)
        };
        let hellos = [
            facts.client_hello.as_ref().map(|hello| hello.raw.len()),
            facts.server_hello.as_ref().map(|hello| hello.raw.len()),
            facts.ocsp_response.as_ref().map(|response| response.len()),
        ];
        hellos.into_iter().flatten().sum::<usize>()
            + chain(&facts.server_certificates)
            + chain(&facts.client_certificates)
    }

    #[cfg(test)]
    pub(crate) fn retained(&self) -> usize {
        let side = |side: &TlsSide| {
            side.messages.capacity() * size_of::<Message>()
                + side.alerts.capacity() * size_of::<Alert>()
                + side.sealed.capacity() * size_of::<Sealed>()
        };
        let facts = &self.facts;
        size_of::<Follow>()
            + self.recorded()
            + self.kept()
            + side(&facts.client)
            + side(&facts.server)
            + self.opener.retained()
    }

    fn progress(&mut self, role: Role) -> &mut Progress {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    fn side(&mut self, role: Role) -> &mut TlsSide {
        match role {
            Role::Client => &mut self.facts.client,
            Role::Server => &mut self.facts.server,
        }
    }

    /// Whether the records of a direction are protected by their type alone: from the ChangeCipherSpec on, which in TLS 1.3
    /// changes nothing (RFC 8446 section 5).
    fn is_protected(&self, role: Role) -> bool {
        let (side, late) = match role {
            Role::Client => (&self.facts.client, self.client.late),
            Role::Server => (&self.facts.server, self.server.late),
        };
        late || side.change_cipher_spec.is_some() && self.is_1_3 != Some(true)
    }

    /// Whether a handshake record is in the clear.
    fn is_clear(&self, role: Role, length: u16) -> bool {
        let answers_retry = role == Role::Client
            && self.is_1_3.is_none()
            && !self.client.late
            && (self.facts.retry.is_some() || length >= LONGER_THAN_FINISHED);
        // A HelloRetryRequest may have a ChangeCipherSpec behind it, too (RFC 8446 appendix D.4).
        let follows_retry =
            role == Role::Server && self.is_1_3.is_none() && self.facts.retry.is_some();
        !self.is_protected(role) || answers_retry || follows_retry
    }

    fn list(&mut self, role: Role, what: MessageKind, record: RecordHeader, mark: Mark) {
        self.push(
            role,
            Message {
                what,
                begun: record.begun,
                mark,
                length: u32::from(record.length),
            },
        );
    }

    fn push(&mut self, role: Role, message: Message) {
        let messages = &mut self.side(role).messages;
        let kept = messages.len();
        if kept >= TlsSide::MAX_MESSAGES {
            return;
        }
        if kept == messages.capacity() {
            // A handshake, or as many as are kept.
            let most = if kept == 0 {
                HANDSHAKE_MESSAGES
            } else {
                TlsSide::MAX_MESSAGES
            };
            messages.reserve_exact(most - kept);
        }
        messages.push(message);
    }
}

// What is in the clear.
impl Follow {
    fn alert_body(&mut self, role: Role, bytes: &[u8], mark: Mark) {
        let level = self.progress(role).alert.take();
        match (level, bytes) {
            (Some(level), &[description, ..]) | (None, &[level, description, ..]) => {
                let description = Some(AlertDescription(description));
                self.alert(role, mark, AlertSeen::Clear, Some(level), description);
            }
            (None, &[level]) => self.progress(role).alert = Some(level),
            (_, []) => {}
        }
    }

    fn alert(
        &mut self,
        role: Role,
        mark: Mark,
        seen: AlertSeen,
        level: Option<u8>,
        description: Option<AlertDescription>,
    ) {
        let record_version = self.progress(role).record_version;
        let alerts = &mut self.side(role).alerts;
        if alerts.len() < TlsSide::MAX_ALERTS {
            alerts.push(Alert {
                mark,
                level,
                description,
                seen,
                record_version,
            });
        }
        if let Some(description) = description {
            let what = MessageKind::Alert(description);
            let length = u32::from(ALERT_LENGTH);
            self.push(
                role,
                Message {
                    what,
                    begun: mark,
                    mark,
                    length,
                },
            );
        }
    }

    fn message(&mut self, role: Role, whole: Whole<'_>, context: &mut CaptureContext) {
        let side = self.side(role);
        let first = match role {
            Role::Client => whole.kind == kind::CLIENT_HELLO,
            Role::Server => matches!(whole.kind, kind::SERVER_HELLO | kind::HELLO_REQUEST),
        };
        if !first && side.messages.is_empty() {
            // Whatever these bytes are, the hello came before.
            self.facts.joined_late = true;
            self.progress(role).late = true;
        }
        if self.progress(role).late {
            return;
        }
        let retry = self.read_message(role, whole, context);
        let length = u32::try_from(whole.body.len()).unwrap_or(u32::MAX);
        let what = match retry {
            true => MessageKind::HelloRetryRequest,
            false => MessageKind::Handshake(whole.kind),
        };
        self.push(
            role,
            Message {
                what,
                begun: whole.begun,
                mark: whole.mark,
                length: length.saturating_add(4),
            },
        );
    }

    /// Takes a message's facts; true where it is a HelloRetryRequest.
    fn read_message(&mut self, role: Role, whole: Whole<'_>, context: &mut CaptureContext) -> bool {
        let Whole { body, mark, .. } = whole;
        match (role, whole.kind) {
            (Role::Client, kind::CLIENT_HELLO) => self.client_hello(whole, false),
            (Role::Server, kind::SERVER_HELLO) => return self.server_hello(body, mark),
            (_, kind::CERTIFICATE) => {
                let chain = match self.is_1_3 {
                    Some(true) => messages::certificates_1_3(body, mark, context),
                    _ => messages::certificates(body, mark, context),
                };
                self.certificates(role, chain);
            }
            (Role::Server, kind::CERTIFICATE_STATUS) => {
                let response = messages::certificate_status(body);
                self.facts.ocsp_response = self.facts.ocsp_response.take().or(response);
            }
            (Role::Server, kind::SERVER_KEY_EXCHANGE) => {
                let suite = self.facts.cipher_suite().unwrap_or_default();
                let group = messages::exchange_group(body, suite);
                self.facts.group = self.facts.group.or(group);
                let prime = messages::prime_bits(body, suite);
                self.facts.prime_bits = self.facts.prime_bits.or(prime);
            }
            (Role::Server, kind::CERTIFICATE_REQUEST) => {
                let request = match self.facts.version() {
                    Some(ProtocolVersion::TLS1_3) => messages::certificate_request_1_3(body, mark),
                    version => {
                        let schemes = version == Some(ProtocolVersion::TLS1_2);
                        messages::certificate_request(body, schemes, mark)
                    }
                };
                self.facts.certificate_request = request.or(self.facts.certificate_request.take());
            }
            (Role::Server, kind::ENCRYPTED_EXTENSIONS) => {
                if let Some(found) = messages::encrypted_extensions(body) {
                    self.facts.alpn = found.alpn;
                    self.facts.early_data_accepted = Some(found.takes_early_data);
                    self.quic_parameters = found.quic_parameters;
                }
            }
            // In the clear only where nothing is encrypted, or decrypted.
            (_, kind::FINISHED) => {
                self.side(role).finished.get_or_insert(mark);
            }
            _ => {}
        }
        false
    }

    fn certificates(&mut self, role: Role, chain: Option<Chain>) {
        let Some(chain) = chain else {
            return;
        };
        let facts = &mut self.facts;
        let certificates = match role {
            Role::Client => &mut facts.client_certificates,
            Role::Server => &mut facts.server_certificates,
        };
        // Of a handshake after the first one nothing changes here.
        if certificates.is_none() {
            *certificates = Some(chain.certificates);
            if role == Role::Server {
                facts.ocsp_response = facts.ocsp_response.take().or(chain.ocsp_response);
            }
        }
    }

    fn client_hello(&mut self, whole: Whole<'_>, is_ssl2: bool) {
        let hello = ClientHello {
            begun: whole.begun,
            mark: whole.mark,
            record_version: ProtocolVersion(whole.record_version),
            is_ssl2,
            records: whole.records,
            raw: whole.body.into(),
            is_quic: self.is_quic,
        };
        if self.facts.client_hello.is_none() {
            self.facts.client_hello = Some(Box::new(hello));
        } else if let Some(retry) = &mut self.facts.retry
            && retry.answered.is_none()
        {
            retry.answered = Some(whole.mark);
            retry.key_shares = hello.key_shares();
        } else {
            self.opener.client_hello_again(hello);
        }
    }

    fn ssl2_hello(&mut self, body: &[u8], begun: Mark, mark: Mark) {
        self.client.begun = true;
        let whole = Whole {
            kind: kind::CLIENT_HELLO,
            body,
            records: 1,
            record_version: 0x0002,
            begun,
            mark,
        };
        self.client_hello(whole, true);
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        self.push(
            Role::Client,
            Message {
                what: MessageKind::SslV2ClientHello,
                begun,
                mark,
                length: length.saturating_add(1),
            },
        );
    }

    fn server_hello(&mut self, body: &[u8], mark: Mark) -> bool {
        let hello = ServerHello {
            mark,
            raw: body.into(),
        };
        let facts = &mut self.facts;
        if hello.is_retry_request() {
            facts.retry.get_or_insert_with(|| Retry {
                mark,
                group: hello.group(),
                cookie: hello.extension(COOKIE).is_some(),
                answered: None,
                key_shares: Vec::new(),
            });
            return true;
        }
        if facts.server_hello.is_none() {
            self.is_1_3 = Some(hello.version().is_1_3());
            self.sizes = Sizes::of(hello.cipher_suite());
            facts.group = hello.group();
            facts.alpn = hello.alpn().map(Box::from);
            facts.server_hello = Some(Box::new(hello));
        } else {
            self.opener.server_hello_again(hello);
        }
        false
    }
}

#[cfg(test)]
mod decrypted;
mod sealed;
#[cfg(test)]
mod tests;
