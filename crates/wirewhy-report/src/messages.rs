//! Messages of TLS and HTTP by the frames they were seen in, as the ladder names them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use wirewhy_flow::{Connection, EventKind, Side};
use wirewhy_protocol::{
    AlertDescription, AppFacts, ClientHello, ContentType, DtlsFacts, HandshakeType, Incomplete,
    Mark, Message, MessageKind, ProtocolVersion, QuicClose, QuicFacts, Request, Role, TlsFacts,
};

use crate::{Safe, format};

/// What each side's frames carry of TLS and HTTP. Bounded, as the messages kept of a connection are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Messages(BTreeMap<(u64, bool), Vec<String>>);

impl Messages {
    /// Those of a connection.
    pub(crate) fn of_connection(connection: &Connection) -> Messages {
        let mut messages = Messages::default();
        let app = connection.app.as_deref();
        if let Some(tls) = app.and_then(|app| app.tls.as_deref()) {
            messages.add_tls(tls);
        }
        if let Some(app) = app {
            messages.add_http(app);
        }
        if let Some(quic) = connection.quic() {
            messages.add_quic(quic);
            messages.add_moves(connection);
        }
        if let Some(dtls) = connection.dtls() {
            messages.add_dtls(dtls);
        }
        messages
    }

    /// What can be read of QUIC beside its hellos.
    fn add_quic(&mut self, quic: &QuicFacts) {
        if let Some(negotiation) = &quic.negotiation {
            let versions: Vec<String> = negotiation
                .versions
                .iter()
                .map(ToString::to_string)
                .collect();
            let text = format!("versions {}", versions.join(", "));
            self.say_once(Side::Server, negotiation.mark, text);
        }
        for close in &quic.closes {
            let from = side_of(close.from);
            self.say_once(from, close.mark, closed(close));
        }
        if let Some(reset) = &quic.reset {
            let from = side_of(reset.from);
            self.say_once(from, reset.mark, "stateless reset".to_owned());
            if let Some(again) = reset.again {
                self.say_once(from, again, "stateless reset again".to_owned());
            }
        }
        if let Some(confirmed) = quic.confirmed {
            self.say_once(Side::Server, confirmed, "HANDSHAKE_DONE".to_owned());
        }
    }

    /// What can be read of DTLS.
    fn add_dtls(&mut self, dtls: &DtlsFacts) {
        let hellos = [
            (Side::Client, dtls.client_hello, "Client Hello"),
            (
                Side::Server,
                dtls.verify_request,
                "asks for the hello once more, with a cookie",
            ),
            (Side::Server, dtls.server_hello, "Server Hello"),
        ];
        for (from, at, name) in hellos {
            if let Some(at) = at {
                self.say_once(from, at, name.to_owned());
            }
        }
        for alert in &dtls.alerts {
            let level = crate::format::alert_level(alert.level);
            let text = format!("Alert: {level}, {}", alert.description);
            self.say_once(side_of(alert.from), alert.mark, text);
        }
    }

    fn add_moves(&mut self, connection: &Connection) {
        for event in connection.events.iter() {
            if let EventKind::Moved {
                address,
                port,
                only_port,
            } = event.kind
            {
                let at = Mark {
                    frame: event.frame,
                    time: event.time,
                };
                let from = match only_port {
                    true => format!("from port {port}"),
                    false => format!("from {}", SocketAddr::new(address, port)),
                };
                self.say_once(event.from, at, from);
            }
        }
    }

    fn add_tls(&mut self, tls: &TlsFacts) {
        for (from, side) in [(Side::Client, &tls.client), (Side::Server, &tls.server)] {
            for message in &side.messages {
                self.add(from, message, &of_message(tls, from, message));
            }
            if let Some(incomplete) = &side.incomplete {
                self.say(from, incomplete.begun, unfinished(incomplete));
            }
        }
    }

    /// What a frame carries; empty where that is nothing of these, or nothing that was kept.
    pub(crate) fn of(&self, frame: u64, from: Side) -> String {
        let found = self.0.get(&(frame, from == Side::Server));
        found.map(|names| names.join(", ")).unwrap_or_default()
    }

    /// The requests and answers of HTTP that are kept: the first of each kind that refuses, the slowest, the last.
    fn add_http(&mut self, app: &AppFacts) {
        let http = &app.http;
        let refusals = http.trouble.iter().flat_map(|trouble| &trouble.refusals);
        let exchanges = refusals
            .map(|refusal| &refusal.first)
            .chain(&http.slowest)
            .chain(&http.last);
        let mut requests: Vec<&Request> = Vec::new();
        for exchange in exchanges {
            requests.extend(exchange.request.as_deref());
            if let Some(status) = exchange.status {
                self.say_once(Side::Server, exchange.answered, format!("HTTP {status}"));
            }
        }
        requests.extend(http.last_request.as_deref());
        requests.extend(
            app.awaiting
                .iter()
                .filter_map(|awaiting| awaiting.request.as_deref()),
        );
        for request in requests {
            let line = format!("{} {}", request.method(), request.target());
            self.say_once(Side::Client, request.begun, Safe(&line).to_string());
        }
    }

    fn say_once(&mut self, from: Side, at: Mark, text: String) {
        let names = self.0.entry((at.frame, from == Side::Server)).or_default();
        if !names.contains(&text) {
            names.push(text);
        }
    }

    /// A message that takes several frames is named where it ends, and announced where it begins.
    fn add(&mut self, from: Side, message: &Message, name: &str) {
        if message.begun.frame != message.mark.frame {
            let plain = kind(message.what);
            self.say(from, message.begun, format!("{plain} begins"));
        }
        self.say(from, message.mark, name.to_owned());
    }

    fn say(&mut self, from: Side, at: Mark, text: String) {
        let names = self.0.entry((at.frame, from == Side::Server)).or_default();
        names.push(text);
    }
}

/// A CONNECTION_CLOSE frame, its reason phrase quoted. Has text from the wire, cleaned.
pub(crate) fn closed(close: &QuicClose) -> String {
    let mut text = format!("CONNECTION_CLOSE {}", close.code);
    if let Some(alert) = close.code.alert() {
        text.push_str(&format!(" {}", AlertDescription(alert)));
    }
    if !close.reason.is_empty() {
        text.push_str(&format!(": \"{}\"", Safe(&close.reason)));
    }
    text
}

fn side_of(role: Role) -> Side {
    match role {
        Role::Client => Side::Client,
        Role::Server => Side::Server,
    }
}

/// What can be read of DTLS: `DTLS 1.2, TLS_..., server name lab.example, alert of the client: fatal, unknown_ca`. Has text from
/// the wire, cleaned.
pub(crate) fn dtls(dtls: &DtlsFacts) -> String {
    let offered = |versions: &[ProtocolVersion]| {
        let names: Vec<String> = versions.iter().map(ToString::to_string).collect();
        format!("offered {}, no Server Hello", names.join(", "))
    };
    let mut parts = vec![match dtls.version {
        Some(version) => version.to_string(),
        None => offered(&dtls.offered),
    }];
    parts.extend(dtls.cipher_suite.map(|suite| suite.to_string()));
    if let Some(name) = &dtls.server_name {
        parts.push(format!("server name {}", Safe(name)));
    }
    for alert in &dtls.alerts {
        parts.push(format!(
            "alert of the {}: {}, {}",
            side_of(alert.from).name(),
            crate::format::alert_level(alert.level),
            alert.description
        ));
    }
    let encrypted = dtls.client.encrypted + dtls.server.encrypted;
    parts.push(format!(
        "{}, {} of them encrypted",
        crate::format::counted(dtls.client.records + dtls.server.records, "record"),
        crate::format::count(encrypted)
    ));
    parts.join(", ")
}

/// What both sides agreed on, and how far they got.
pub(crate) fn summary(tls: &TlsFacts) -> String {
    let hello = tls.client_hello.as_deref();
    let name = hello.and_then(ClientHello::server_name);
    let protocol = tls.alpn.as_deref().map(String::from_utf8_lossy);
    let parts = [
        tls.version().map(|version| version.to_string()),
        tls.cipher_suite().map(|suite| suite.to_string()),
        tls.group.map(|group| group.to_string()),
        protocol.map(|protocol| format!("ALPN {}", Safe(&protocol))),
        name.map(|name| format!("server name {}", Safe(&name))),
        (tls.resumed() == Some(true)).then(|| "resumed".to_owned()),
        Some(format!("reached {}", tls.stage().name())),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(", ")
}

/// A message of one side with what matters most in it.
pub(crate) fn of_message(tls: &TlsFacts, from: Side, message: &Message) -> String {
    let side = match from {
        Side::Client => &tls.client,
        Side::Server => &tls.server,
    };
    let plain = kind(message.what);
    let details = match message.what {
        MessageKind::Handshake(HandshakeType::CLIENT_HELLO) | MessageKind::SslV2ClientHello => {
            client_hello(tls, message.mark)
        }
        MessageKind::Handshake(HandshakeType::SERVER_HELLO) => server_hello(tls, message.mark),
        MessageKind::Handshake(HandshakeType::CERTIFICATE) => certificate(tls, message.mark),
        MessageKind::HelloRetryRequest => retry(tls),
        MessageKind::Alert(description) => {
            let alert = side
                .alerts
                .iter()
                .find(|alert| alert.mark == message.mark && alert.description == Some(description));
            let level = alert.and_then(|alert| alert.level);
            let level = level.map(|level| format!("{} ", format::alert_level(level)));
            return format!("{plain}: {}{description}", level.unwrap_or_default());
        }
        MessageKind::Sealed(content) => {
            let what = sealed(tls.version(), content);
            return format!("{what}, {}", format::size(u64::from(message.length)));
        }
        MessageKind::ApplicationData => vec![format::size(u64::from(message.length))],
        _ => Vec::new(),
    };
    if details.is_empty() {
        plain
    } else {
        format!("{plain} ({})", details.join(", "))
    }
}

/// A kind of message, in words: `Client Hello`.
fn kind(what: MessageKind) -> String {
    match what {
        MessageKind::Handshake(kind) => match kind.name() {
            Some(name) => title(name),
            None => format!("Handshake message of type {}", kind.0),
        },
        MessageKind::HelloRetryRequest => "Hello Retry Request".to_owned(),
        MessageKind::SslV2ClientHello => "SSL 2.0 Client Hello".to_owned(),
        MessageKind::ChangeCipherSpec => "Change Cipher Spec".to_owned(),
        MessageKind::Alert(_) => "Alert".to_owned(),
        MessageKind::Sealed(content) => sealed(None, content),
        MessageKind::ApplicationData => "Application Data".to_owned(),
        MessageKind::Heartbeat => "Heartbeat".to_owned(),
    }
}

/// An encrypted record. Its type speaks only before TLS 1.3, where all of them look like application data.
fn sealed(version: Option<ProtocolVersion>, content: ContentType) -> String {
    let before_1_3 = version.is_some_and(|version| version < ProtocolVersion::TLS1_3);
    match content {
        ContentType::APPLICATION_DATA if before_1_3 => "Application Data".to_owned(),
        ContentType::APPLICATION_DATA => "sealed".to_owned(),
        other => format!("sealed {}", other.to_string().replace('_', " ")),
    }
}

fn client_hello(tls: &TlsFacts, at: Mark) -> Vec<String> {
    let Some(hello) = tls.client_hello.as_deref().filter(|hello| hello.mark == at) else {
        return Vec::new();
    };
    let name = hello.server_name();
    let mut details: Vec<String> = name.iter().map(|n| format!("SNI={}", Safe(n))).collect();
    details.extend(hello.has_ech().then(|| "ECH".to_owned()));
    details
}

fn server_hello(tls: &TlsFacts, at: Mark) -> Vec<String> {
    let Some(hello) = tls.server_hello.as_deref().filter(|hello| hello.mark == at) else {
        return Vec::new();
    };
    vec![
        hello.version().to_string(),
        hello.cipher_suite().to_string(),
    ]
}

fn retry(tls: &TlsFacts) -> Vec<String> {
    let retry = tls.retry.iter();
    retry
        .filter_map(|retry| Some(retry.group?.to_string()))
        .collect()
}

fn certificate(tls: &TlsFacts, at: Mark) -> Vec<String> {
    let sent = [&tls.server_certificates, &tls.client_certificates];
    let Some(sent) = sent.into_iter().flatten().find(|sent| sent.mark == at) else {
        return Vec::new();
    };
    let Some(leaf) = sent.chain.first() else {
        return vec!["none".to_owned()];
    };
    let subject = leaf.facts.as_ref().map(|facts| &*facts.subject);
    let named = subject.filter(|subject| !subject.is_empty());
    let mut details: Vec<String> = named
        .map(|name| Safe(name).to_string())
        .into_iter()
        .collect();
    if sent.count > 1 {
        details.push(format!("{} certificates", sent.count));
    }
    details
}

pub(crate) fn unfinished(incomplete: &Incomplete) -> String {
    let Incomplete {
        kind,
        announced,
        received,
        ..
    } = *incomplete;
    match kind {
        Some(kind) => format!(
            "unfinished {} record, {} of {}",
            kind.to_string().replace('_', " "),
            format::count(u64::from(received)),
            format::counted(u64::from(announced), "byte"),
        ),
        None => "unfinished record".to_owned(),
    }
}

/// A registered name as a heading: `client_hello` to `Client Hello`.
fn title(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    words.collect::<Vec<_>>().join(" ")
}
