//! TLS conversations as traces, for the tests of the detectors.

use std::fmt::Write as _;

/// A conversation under construction: every step is acknowledged at once.
pub(crate) struct ConversationTrace {
    lines: String,
    millis: u32,
    client: u32,
    server: u32,
}

impl ConversationTrace {
    /// An open connection without payload.
    pub(crate) fn open() -> ConversationTrace {
        ConversationTrace {
            lines: "0.000 > S 0:0(0) win 64240 <mss 1460>
                    0.020 < SA 0:0(0) ack 1 win 65535 <mss 1460>
                    0.021 > A 1:1(0) ack 1\n"
                .to_owned(),
            millis: 30,
            client: 1,
            server: 1,
        }
    }

    fn time(&mut self) -> String {
        self.millis += 10;
        format!("{}.{:03}", self.millis / 1000, self.millis % 1000)
    }

    /// Bytes of the client.
    pub(crate) fn client(mut self, bytes: &[u8]) -> ConversationTrace {
        let (from, to) = advance(&mut self.client, bytes.len());
        let (time, ack) = (self.time(), self.server);
        self.line(&format!(
            "{time} > PA {from}:{to}({}) ack {ack} hex {}",
            bytes.len(),
            hex(bytes)
        ));
        let (time, own) = (self.time(), self.server);
        self.line(&format!("{time} < A {own}:{own}(0) ack {to}"));
        self
    }

    /// Bytes of the server.
    pub(crate) fn server(mut self, bytes: &[u8]) -> ConversationTrace {
        let (from, to) = advance(&mut self.server, bytes.len());
        let (time, ack) = (self.time(), self.client);
        self.line(&format!(
            "{time} < PA {from}:{to}({}) ack {ack} hex {}",
            bytes.len(),
            hex(bytes)
        ));
        let (time, own) = (self.time(), self.client);
        self.line(&format!("{time} > A {own}:{own}(0) ack {to}"));
        self
    }

    /// The client's FIN, and the server's.
    pub(crate) fn client_closes(mut self) -> ConversationTrace {
        let (own, peer) = (self.client, self.server);
        let time = self.time();
        self.line(&format!("{time} > FA {own}:{own}(0) ack {peer}"));
        let time = self.time();
        self.line(&format!("{time} < FA {peer}:{peer}(0) ack {}", own + 1));
        let time = self.time();
        self.line(&format!(
            "{time} > A {}:{}(0) ack {}",
            own + 1,
            own + 1,
            peer + 1
        ));
        self
    }

    /// The client's reset.
    pub(crate) fn client_resets(mut self) -> ConversationTrace {
        let (own, peer) = (self.client, self.server);
        let time = self.time();
        self.line(&format!("{time} > RA {own}:{own}(0) ack {peer}"));
        self
    }

    /// The server's FIN, and the client's.
    pub(crate) fn server_closes(mut self) -> ConversationTrace {
        let (own, peer) = (self.server, self.client);
        let time = self.time();
        self.line(&format!("{time} < FA {own}:{own}(0) ack {peer}"));
        let time = self.time();
        self.line(&format!("{time} > FA {peer}:{peer}(0) ack {}", own + 1));
        let time = self.time();
        self.line(&format!(
            "{time} < A {}:{}(0) ack {}",
            own + 1,
            own + 1,
            peer + 1
        ));
        self
    }

    /// The server's reset.
    pub(crate) fn server_resets(mut self) -> ConversationTrace {
        let (own, peer) = (self.server, self.client);
        let time = self.time();
        self.line(&format!("{time} < RA {own}:{own}(0) ack {peer}"));
        self
    }

    /// The end of the recording, so many seconds after its beginning.
    pub(crate) fn until(mut self, seconds: u32) -> String {
        let _ = writeln!(self.lines, "{seconds}.000 end");
        self.lines
    }

    /// The trace, ended at once.
    pub(crate) fn lines(self) -> String {
        self.lines
    }

    fn line(&mut self, line: &str) {
        self.lines.push_str(line);
        self.lines.push('\n');
    }
}

fn advance(place: &mut u32, len: usize) -> (u32, u32) {
    let from = *place;
    *place += u32::try_from(len).unwrap();
    (from, *place)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes with their length in two bytes before them.
fn with_len(body: &[u8]) -> Vec<u8> {
    [&u16::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &with_len(body)].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    record(22, &[&[kind, len[1], len[2], len[3]][..], body].concat())
}

pub(crate) fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &with_len(body)].concat()
}

/// The ALPN extension.
fn alpn(protocols: &[&str]) -> Vec<u8> {
    let list: Vec<u8> = protocols
        .iter()
        .flat_map(|name| [&[u8::try_from(name.len()).unwrap()][..], name.as_bytes()].concat())
        .collect();
    extension(16, &with_len(&list))
}

/// A ClientHello for a name: `versions` as in supported_versions, none for a client without the extension.
pub(crate) fn client_hello(name: &str, versions: &[u16], padding: usize) -> Vec<u8> {
    let more = match padding {
        0 => Vec::new(),
        _ => extension(21, &vec![0; padding]),
    };
    hello_with(name, versions, &[alpn(&["h2", "http/1.1"]), more].concat())
}

/// A ClientHello that offers these application protocols.
pub(crate) fn client_hello_offering(name: &str, versions: &[u16], protocols: &[&str]) -> Vec<u8> {
    hello_with(name, versions, &alpn(protocols))
}

/// A ClientHello that asks for a stapled OCSP response.
pub(crate) fn client_hello_asking(name: &str) -> Vec<u8> {
    hello_with(name, &[], &extension(5, &[1, 0, 0, 0, 0]))
}

/// A ClientHello with the renegotiation information and the extended master secret.
pub(crate) fn careful_client_hello(name: &str) -> Vec<u8> {
    hello_with(
        name,
        &[],
        &[extension(0xff01, &[0]), extension(23, &[])].concat(),
    )
}

/// A ClientHello of TLS 1.2 that offers these cipher suites.
pub(crate) fn client_hello_of(suites: &[u16]) -> Vec<u8> {
    hello_of("a.example", &[], suites, &[])
}

fn hello_with(name: &str, versions: &[u16], more: &[u8]) -> Vec<u8> {
    hello_of(name, versions, &[0x1301, 0xc02f], more)
}

fn hello_of(name: &str, versions: &[u16], suites: &[u16], more: &[u8]) -> Vec<u8> {
    let suites: Vec<u8> = suites
        .iter()
        .flat_map(|suite| suite.to_be_bytes())
        .collect();
    let entry = [&[0][..], &with_len(name.as_bytes())].concat();
    let mut extensions = Vec::new();
    if !name.is_empty() {
        extensions.extend(extension(0, &with_len(&entry)));
    }
    extensions.extend(extension(10, &with_len(&[0, 0x1d, 0, 0x17])));
    if !versions.is_empty() {
        let list: Vec<u8> = versions
            .iter()
            .flat_map(|version| version.to_be_bytes())
            .collect();
        let body = [&[u8::try_from(list.len()).unwrap()][..], &list].concat();
        extensions.extend(extension(43, &body));
    }
    extensions.extend(more);
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(0);
    body.extend(with_len(&suites));
    body.extend([1, 0]);
    body.extend(with_len(&extensions));
    message(1, &body)
}

/// A ServerHello of TLS 1.2, or of 1.3 with the extension.
pub(crate) fn server_hello(version: u16, suite: u16) -> Vec<u8> {
    server_hello_with((version, suite), (&[9; 32], &[]), &[])
}

/// A ServerHello that chooses an application protocol, or none.
pub(crate) fn server_hello_choosing(version: u16, suite: u16, protocol: Option<&str>) -> Vec<u8> {
    let chosen = protocol.map_or(Vec::new(), |protocol| alpn(&[protocol]));
    server_hello_with((version, suite), (&[9; 32], &[]), &chosen)
}

/// A ServerHello with more extensions; those of the renegotiation information and the master secret are 0xff01 and 23.
pub(crate) fn server_hello_with(
    (version, suite): (u16, u16),
    (random, session): (&[u8; 32], &[u8]),
    more: &[u8],
) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend(random);
    body.push(u8::try_from(session.len()).unwrap());
    body.extend(session);
    body.extend(suite.to_be_bytes());
    body.push(0);
    let own = if version == 0x0304 {
        extension(43, &version.to_be_bytes())
    } else {
        Vec::new()
    };
    body.extend(with_len(&[own, more.to_vec()].concat()));
    message(2, &body)
}

/// A ServerKeyExchange with a Diffie-Hellman group over a prime of so many bytes.
pub(crate) fn server_key_exchange(prime_bytes: usize) -> Vec<u8> {
    let number = with_len(&vec![0xf1; prime_bytes]);
    message(12, &[&number[..], &with_len(&[2]), &number].concat())
}

/// An empty Certificate message of TLS 1.2.
pub(crate) fn no_certificate() -> Vec<u8> {
    message(11, &[0, 0, 0])
}

/// A Certificate message of TLS 1.2, leaf first.
pub(crate) fn certificates(chain: &[&[u8]]) -> Vec<u8> {
    let length = |len: usize| u32::try_from(len).unwrap().to_be_bytes()[1..].to_vec();
    let list: Vec<u8> = chain
        .iter()
        .flat_map(|der| [length(der.len()), der.to_vec()].concat())
        .collect();
    message(11, &[length(list.len()), list].concat())
}

/// A CertificateRequest of TLS 1.2 that names no authority.
pub(crate) fn certificate_request() -> Vec<u8> {
    message(13, &[1, 1, 0, 2, 4, 1, 0, 0])
}

/// A ServerHelloDone.
pub(crate) fn server_hello_done() -> Vec<u8> {
    message(14, &[])
}

/// A fatal alert in the clear.
pub(crate) fn fatal(description: u8) -> Vec<u8> {
    record(21, &[2, description])
}

/// A sealed record of a type, its body so long.
pub(crate) fn sealed(kind: u8, length: usize) -> Vec<u8> {
    record(kind, &vec![0xa5; length])
}

/// A ChangeCipherSpec.
pub(crate) fn change_cipher_spec() -> Vec<u8> {
    record(20, &[1])
}
