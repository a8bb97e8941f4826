//! Whole sessions of another implementation, opened with the key logs it wrote.

use super::*;
use crate::Mark;
use crate::tls::{ClientHello, ExtensionType, KeyLog, ServerHello, TrafficSecret};

const CHANGE_CIPHER_SPEC: ContentType = ContentType(20);
const ALERT: ContentType = ContentType(21);
const HANDSHAKE: ContentType = ContentType(22);
const DATA: ContentType = ContentType(23);

/// A session as `testdata/generate.py` writes it.
struct Session {
    log: KeyLog,
    client: Vec<SealedRecord>,
    server: Vec<SealedRecord>,
}

#[derive(Clone)]
struct SealedRecord {
    header: [u8; 5],
    body: Vec<u8>,
}

impl Session {
    fn new(text: &str) -> Session {
        let mut log = KeyLog::new();
        let [mut client, mut server] = [const { Vec::new() }; 2];
        for line in text.lines() {
            match line.split_once(' ').unwrap() {
                ("client", hex) => client = records(hex),
                ("server", hex) => server = records(hex),
                _ => assert_eq!(log.add(line.as_bytes()).not_understood, 0),
            }
        }
        Session {
            log,
            client,
            server,
        }
    }

    fn records(&self, sender: Sender) -> &[SealedRecord] {
        match sender {
            Sender::Client => &self.client,
            Sender::Server => &self.server,
        }
    }

    fn client_hello(&self) -> ClientHello {
        ClientHello {
            begun: Mark::default(),
            mark: Mark::default(),
            record_version: ProtocolVersion::TLS1_0,
            is_ssl2: false,
            is_quic: false,
            records: 1,
            raw: self.client[0].body[4..].into(),
        }
    }

    fn server_hello(&self) -> ServerHello {
        let body = &self.server[0].body;
        let length = usize::from(u16::from_be_bytes([body[2], body[3]]));
        ServerHello {
            mark: Mark::default(),
            raw: body[4..4 + length].into(),
        }
    }

    /// What one side sealed, opened.
    fn opened(&self, sender: Sender) -> Vec<Opened> {
        let version = self.server_hello().version();
        if version == ProtocolVersion::TLS1_3 {
            return self.opened_1_3(sender);
        }
        let mut decryptor = self.decryptor(sender);
        self.records(sender)
            .iter()
            .skip_while(|record| record.kind() != CHANGE_CIPHER_SPEC)
            .skip(1)
            .map(|record| decryptor.open(record.header, &record.body).unwrap())
            .collect()
    }

    fn opened_1_3(&self, sender: Sender) -> Vec<Opened> {
        let (handshake, application) = match sender {
            Sender::Client => (
                TrafficSecret::ClientHandshake,
                TrafficSecret::ClientApplication,
            ),
            Sender::Server => (
                TrafficSecret::ServerHandshake,
                TrafficSecret::ServerApplication,
            ),
        };
        let suite = self.server_hello().cipher_suite();
        let random = self.client_hello().random();
        let secrets = self.log.connection(&random).unwrap();
        let decryptor = |of| {
            Decryptor::from_traffic_secret(
                ProtocolVersion::TLS1_3,
                suite,
                secrets.traffic(of).unwrap(),
            )
            .unwrap()
        };
        let mut current = decryptor(handshake);
        let mut opened = Vec::new();
        for record in self.records(sender) {
            if record.kind() != DATA {
                continue;
            }
            let text = current.open(record.header, &record.body).unwrap();
            match (text.kind, text.plaintext.first()) {
                // This server and client give Finished and KeyUpdate a record of their own.
                (HANDSHAKE, Some(20)) => current = decryptor(application),
                (HANDSHAKE, Some(24)) => current.update(),
                _ => {}
            }
            opened.push(text);
        }
        opened
    }

    fn decryptor(&self, sender: Sender) -> Decryptor {
        let hello = self.server_hello();
        let random = self.client_hello().random();
        let master = self.log.connection(&random).unwrap().master().unwrap();
        let settled = Settled {
            version: hello.version(),
            cipher_suite: hello.cipher_suite(),
            client_random: random,
            server_random: hello.random(),
            encrypt_then_mac: hello.extension(ExtensionType(22)).is_some(),
        };
        Decryptor::from_master_secret(&settled, master, sender).unwrap()
    }
}

impl SealedRecord {
    fn kind(&self) -> ContentType {
        ContentType(self.header[0])
    }
}

fn records(hex: &str) -> Vec<SealedRecord> {
    let bytes = super::tests::bytes(hex);
    let mut rest = bytes.as_slice();
    let mut records = Vec::new();
    while let Some((&header, after)) = rest.split_first_chunk::<5>() {
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        let (body, after) = after.split_at(length);
        records.push(SealedRecord {
            header,
            body: body.to_vec(),
        });
        rest = after;
    }
    assert!(rest.is_empty());
    records
}

/// What was sent as application data.
fn data(opened: &[Opened]) -> String {
    let texts = opened.iter().filter(|text| text.kind == DATA);
    let bytes: Vec<u8> = texts.flat_map(|text| text.plaintext.clone()).collect();
    String::from_utf8(bytes).unwrap()
}

/// The types of the handshake messages.
fn messages(opened: &[Opened]) -> Vec<u8> {
    let texts = opened.iter().filter(|text| text.kind == HANDSHAKE);
    texts.map(|text| text.plaintext[0]).collect()
}

/// Every record of both sides opens, from the Finished on to close_notify.
fn opens(text: &str) {
    let session = Session::new(text);
    let [client, server] = [Sender::Client, Sender::Server].map(|sender| session.opened(sender));
    assert_eq!(data(&client), "ping\n");
    assert_eq!(data(&server), "gnip\n");
    let finished = |messages: Vec<u8>| messages.contains(&20);
    assert!(finished(messages(&client)) && finished(messages(&server)));
    let farewell = Opened {
        kind: ALERT,
        plaintext: vec![1, 0],
    };
    assert!(client.contains(&farewell));
}

macro_rules! sessions {
    ($($test:ident: $file:literal,)*) => {
        $(
            #[test]
            fn $test() {
                opens(include_str!(concat!("testdata/", $file, ".session")));
            }
        )*
    };
}

sessions! {
    tls13_aes_128_gcm: "tls13-TLS_AES_128_GCM_SHA256",
    tls13_aes_256_gcm: "tls13-TLS_AES_256_GCM_SHA384",
    tls13_chacha20: "tls13-TLS_CHACHA20_POLY1305_SHA256",
    tls13_aes_128_ccm: "tls13-TLS_AES_128_CCM_SHA256",
    tls13_aes_128_ccm_8: "tls13-TLS_AES_128_CCM_8_SHA256",
    tls12_aes_128_gcm: "tls12-ECDHE-ECDSA-AES128-GCM-SHA256",
    tls12_aes_256_gcm: "tls12-ECDHE-ECDSA-AES256-GCM-SHA384",
    tls12_chacha20: "tls12-ECDHE-ECDSA-CHACHA20-POLY1305",
    tls12_aes_128_ccm: "tls12-ECDHE-ECDSA-AES128-CCM",
    tls12_aes_256_ccm_8: "tls12-ECDHE-ECDSA-AES256-CCM8",
    tls12_aes_128_cbc_sha256_encrypt_then_mac: "tls12-ECDHE-ECDSA-AES128-SHA256",
    tls12_aes_256_cbc_sha1: "tls12-ECDHE-ECDSA-AES256-SHA-no_etm",
    tls12_aes_256_cbc_sha384: "tls12-ECDHE-ECDSA-AES256-SHA384-no_etm",
    tls12_no_encryption: "tls12-ECDHE-ECDSA-NULL-SHA",
    tls11_aes_128_cbc_sha1_encrypt_then_mac: "tls11-ECDHE-ECDSA-AES128-SHA",
    tls10_aes_128_cbc_sha1: "tls10-ECDHE-ECDSA-AES128-SHA-no_etm",
}

#[test]
fn keys_are_renewed() {
    let session = Session::new(include_str!("testdata/tls13-update.session"));
    let client = session.opened(Sender::Client);
    assert_eq!(data(&client), "ping\npong\n");
    assert_eq!(messages(&client), [20, 24]);
    let server = session.opened(Sender::Server);
    assert_eq!(data(&server), "gnip\ngnop\n");
    // Two NewSessionTickets after the Finished.
    assert!(messages(&server).ends_with(&[20, 4, 4, 24]));
}

#[test]
fn encrypt_then_mac_is_where_the_sessions_say() {
    let has = |text| {
        let hello = Session::new(text).server_hello();
        hello.extension(ExtensionType(22)).is_some()
    };
    assert!(has(include_str!(
        "testdata/tls12-ECDHE-ECDSA-AES128-SHA256.session"
    )));
    assert!(has(include_str!(
        "testdata/tls11-ECDHE-ECDSA-AES128-SHA.session"
    )));
    assert!(!has(include_str!(
        "testdata/tls12-ECDHE-ECDSA-AES256-SHA384-no_etm.session"
    )));
}

/// Any bit of any record that is not as it was sent keeps the record shut.
#[test]
fn a_changed_record_does_not_open() {
    for text in [
        include_str!("testdata/tls12-ECDHE-ECDSA-AES128-GCM-SHA256.session"),
        include_str!("testdata/tls12-ECDHE-ECDSA-CHACHA20-POLY1305.session"),
        include_str!("testdata/tls12-ECDHE-ECDSA-AES256-CCM8.session"),
        include_str!("testdata/tls12-ECDHE-ECDSA-AES128-SHA256.session"),
        include_str!("testdata/tls12-ECDHE-ECDSA-AES256-SHA384-no_etm.session"),
        include_str!("testdata/tls12-ECDHE-ECDSA-NULL-SHA.session"),
    ] {
        let session = Session::new(text);
        let position = |record: &SealedRecord| record.kind() == CHANGE_CIPHER_SPEC;
        let sealed = 1 + session.client.iter().position(position).unwrap();
        let SealedRecord { header, body } = session.client[sealed].clone();
        let decryptor = session.decryptor(Sender::Client);
        let opens = |body: &[u8]| decryptor.clone().open(header, body).is_some();
        assert!(opens(&body));
        for bit in 0..body.len() * 8 {
            let mut changed = body.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!opens(&changed), "bit {bit}");
        }
        for length in 0..body.len() {
            assert!(!opens(&body[..length]), "cut to {length}");
        }
    }
}

#[test]
fn a_record_before_1_3_that_does_not_open_uses_its_number_up() {
    let session = Session::new(include_str!(
        "testdata/tls12-ECDHE-ECDSA-AES128-GCM-SHA256.session"
    ));
    let position = |record: &SealedRecord| record.kind() == CHANGE_CIPHER_SPEC;
    let first = 1 + session.client.iter().position(position).unwrap();
    let [finished, ping, ..] = &session.client[first..] else {
        panic!("no data");
    };
    let mut decryptor = session.decryptor(Sender::Client);
    assert_eq!(decryptor.open(finished.header, &[0; 40]), None);
    let text = decryptor.open(ping.header, &ping.body).unwrap();
    assert_eq!(text.plaintext, b"ping\n");
    let mut passed = session.decryptor(Sender::Client);
    passed.skip();
    assert!(passed.open(ping.header, &ping.body).is_some());
    assert!(
        session
            .decryptor(Sender::Server)
            .open(finished.header, &finished.body)
            .is_none()
    );
}
