//! TLS in JSON and in the ladder.

use serde_json::{Value as Json, json};
use wirewhy_detect::Diagnosis;
use wirewhy_packet::Timestamp;
use wirewhy_protocol::{
    Alert, AlertDescription, AlertSeen, AppFacts, Certificate, CertificateFacts,
    CertificateRequest, Certificates, CipherSuite, ClientHello, ContentType, HandshakeType,
    Incomplete, KeyAlgorithm, Mark, Message, MessageKind, NamedGroup, ProtocolVersion, PublicKey,
    Retry, Secrets, ServerHello, SignatureAlgorithm, SubjectName, TlsFacts, Upgrade,
    UpgradeProtocol, UpgradeVerdict,
};
use wirewhy_report::{Color, Json as Document, Ladder, Names, PacketChoice, TextStyle, View};

use crate::json::assert_valid;
use crate::sample::{healthy, packets, tell};

/// A title set, a line broken, text reordered.
const HOSTILE: &str = "a\u{1b}]0;x\u{7}\r\n\u{202e}b";

fn at(frame: u64) -> Mark {
    Mark {
        frame,
        time: Timestamp::default(),
    }
}

fn with_len(body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&len, body].concat()
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &with_len(body)].concat()
}

/// A ClientHello for `name`, of TLS 1.3 and 1.2, that offers `alpn`.
fn client_hello(name: &str, alpn: &str) -> ClientHello {
    let name = [&[0][..], &with_len(name.as_bytes())].concat();
    let alpn = [&[u8::try_from(alpn.len()).unwrap()], alpn.as_bytes()].concat();
    let extensions = [
        extension(0, &with_len(&name)),
        extension(16, &with_len(&alpn)),
        extension(43, &[4, 3, 4, 3, 3]),
    ];
    let head = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0xc0, 0x2f, 1, 0]].concat();
    ClientHello {
        begun: at(4),
        mark: at(4),
        record_version: ProtocolVersion::TLS1_0,
        is_ssl2: false,
        is_quic: false,
        records: 1,
        raw: [head, with_len(&extensions.concat())].concat().into(),
    }
}

fn server_hello() -> ServerHello {
    ServerHello {
        mark: at(5),
        raw: [&[3, 3][..], &[9; 32], &[0, 0xc0, 0x2f, 0]].concat().into(),
    }
}

fn message(what: MessageKind, begun: u64, end: u64) -> Message {
    Message {
        what,
        begun: at(begun),
        mark: at(end),
        length: 200,
    }
}

fn certificate(subject: &str) -> Certificate {
    let facts = CertificateFacts {
        version: 3,
        serial: "0a1b".into(),
        subject: subject.into(),
        issuer: "CN=Example CA".into(),
        subject_der: Box::default(),
        issuer_der: Box::default(),
        key_der: Box::default(),
        trailing_bytes: 0,
        common_name: None,
        not_before: Timestamp(0),
        not_after: Timestamp::from_secs_nanos(1_767_323_045, 0),
        names: vec![
            SubjectName::Dns(subject.into()),
            SubjectName::Ip("192.0.2.7".parse().unwrap()),
        ],
        key: PublicKey {
            algorithm: KeyAlgorithm::Ec("secp256r1".into()),
            bits: Some(256),
        },
        signature: SignatureAlgorithm {
            name: "ecdsa-with-SHA256".into(),
            is_broken: false,
        },
        is_authority: Some(false),
        key_usage: None,
        extended_key_usage: None,
        subject_key_id: None,
        authority_key_id: None,
        issuer_urls: Vec::new(),
        must_staple: false,
        is_self_issued: false,
        is_self_signed: false,
    };
    Certificate {
        der: Box::default(),
        sha256: [0xab; 32],
        facts: Some(facts),
    }
}

/// TLS 1.2 with all that can be seen of it, every text as the caller wants it. The client refuses the certificate.
pub(crate) fn refused(text: &str) -> TlsFacts {
    let unread = Certificate {
        der: Box::default(),
        sha256: [1; 32],
        facts: None,
    };
    let mut tls = TlsFacts {
        client_hello: Some(Box::new(client_hello(text, text))),
        server_hello: Some(Box::new(server_hello())),
        server_certificates: Some(Certificates {
            is_followed: true,
            mark: at(6),
            chain: vec![certificate(text).into(), unread.into()],
            count: 2,
            length: 2000,
        }),
        certificate_request: Some(CertificateRequest {
            mark: at(6),
            signature_schemes: Vec::new(),
            authorities: vec![text.into()],
            authority_count: 1,
        }),
        group: Some(NamedGroup(29)),
        alpn: Some(text.as_bytes().into()),
        secrets: Secrets::Useless,
        ..TlsFacts::default()
    };
    let says = |kind| MessageKind::Handshake(kind);
    tls.client.messages = vec![
        message(says(HandshakeType::CLIENT_HELLO), 4, 4),
        message(MessageKind::Alert(AlertDescription(48)), 7, 7),
    ];
    tls.server.messages = vec![
        message(says(HandshakeType::SERVER_HELLO), 5, 5),
        message(says(HandshakeType::CERTIFICATE), 5, 6),
        message(says(HandshakeType(99)), 6, 6),
        message(says(HandshakeType::SERVER_HELLO_DONE), 6, 6),
    ];
    tls.client.alerts = vec![Alert {
        mark: at(7),
        level: Some(2),
        description: Some(AlertDescription(48)),
        seen: AlertSeen::Clear,
        record_version: ProtocolVersion::TLS1_2,
    }];
    tls.server.alerts = vec![Alert {
        mark: at(8),
        level: None,
        description: None,
        seen: AlertSeen::Encrypted,
        record_version: ProtocolVersion::TLS1_2,
    }];
    tls
}

pub(crate) fn diagnosis(tls: TlsFacts) -> Diagnosis {
    let mut diagnosis = healthy(0);
    let app = AppFacts {
        tls: Some(Box::new(tls)),
        ..AppFacts::default()
    };
    diagnosis.connection.app = Some(Box::new(app));
    diagnosis
}

fn written(diagnosis: Diagnosis) -> String {
    let view = View {
        all: true,
        min_severity: None,
        ..View::default()
    };
    let mut out = Vec::new();
    tell(
        &mut Document::new(&mut out, view, Names::default()),
        &[diagnosis],
        &[],
    );
    String::from_utf8(out).unwrap()
}

/// What JSON says of the only connection, held against the schema.
fn reported(diagnosis: Diagnosis) -> Json {
    let shown: Json = serde_json::from_str(&written(diagnosis)).unwrap();
    assert_valid(&shown);
    shown["connections"][0].clone()
}

fn ladder(tls: TlsFacts) -> String {
    // Frames 4 and 7 are the client's, the others of 4 to 9 the server's.
    let text = "
        0.000 > S 0:0(0)
        0.001 < SA 0:0(0) ack 1
        0.002 > A 1:1(0) ack 1
        0.003 > A 1:101(100) ack 1
        0.004 < A 1:101(100) ack 101
        0.004 < A 101:201(100) ack 101
        0.005 > A 101:201(100) ack 201
        0.006 < A 201:301(100) ack 201
        0.006 < A 301:401(100) ack 201";
    let mut out = Vec::new();
    let style = TextStyle::new(100, Color::Never);
    let mut ladder = Ladder::new(&mut out, style, Names::default());
    let mut packets = packets(text);
    let diagnosis = diagnosis(tls);
    let server = &diagnosis.connection.server;
    packets.name_sides((server.address, server.port).into());
    ladder
        .draw(&diagnosis, &packets, &PacketChoice::Folded)
        .unwrap();
    ladder.finish(&diagnosis, &View::default()).unwrap();
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn assert_harmless(shown: &str) {
    let harmful = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!shown.contains(harmful), "{shown:?}");
}

#[test]
fn json_tells_the_handshake() {
    let shown = reported(diagnosis(refused("www.example.org")));
    let tls = &shown["tls"];
    assert_eq!(shown["server"]["name"], "www.example.org");
    assert_eq!(tls["version"], "TLS 1.2");
    assert_eq!(tls["client_versions"], json!(["TLS 1.3", "TLS 1.2"]));
    assert_eq!(tls["server_name"], "www.example.org");
    assert_eq!(tls["ech"], false);
    assert_eq!(tls["client_alpn"], json!(["www.example.org"]));
    assert_eq!(tls["cipher_suite"], "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
    assert_eq!(tls["group"], "x25519");
    assert_eq!(tls["resumed"], false);
    assert_eq!(tls["stage"], "server-flight");
    assert_eq!(tls["secrets"], "useless");
    assert_eq!(tls["client_certificate_requested"], true);
    assert_eq!(tls["ocsp_stapled"], false);
    assert_eq!(tls["client_certificates"], Json::Null);
    assert_eq!(tls["ja3"].as_str().map(str::len), Some(32));
    assert!(tls["ja4"].as_str().unwrap().starts_with("t13d0103"));
    let alerts = json!([
        {"from": "client", "level": "fatal", "description": "unknown_ca", "code": 48, "seen": "clear", "frame": 7},
        {"from": "server", "level": null, "description": null, "code": null, "seen": "encrypted", "frame": 8},
    ]);
    assert_eq!(tls["alerts"], alerts);
}

#[test]
fn json_tells_certificates_as_facts() {
    let shown = reported(diagnosis(refused("www.example.org")));
    let certificates = json!([
        {
            "subject": "www.example.org", "issuer": "CN=Example CA", "serial": "0a1b",
            "not_before": "1970-01-01T00:00:00.000000000Z", "not_after": "2026-01-02T03:04:05.000000000Z",
            "san": ["www.example.org", "192.0.2.7"], "key": {"algorithm": "secp256r1", "bits": 256},
            "signature": "ecdsa-with-SHA256", "is_authority": false, "self_signed": false,
            "sha256": "ab".repeat(32),
        },
        {
            "subject": null, "issuer": null, "serial": null, "not_before": null, "not_after": null, "san": null,
            "key": null, "signature": null, "is_authority": null, "self_signed": null, "sha256": "01".repeat(32),
        },
    ]);
    assert_eq!(shown["tls"]["certificates"], certificates);
}

#[test]
fn json_lists_messages_as_they_came() {
    let shown = reported(diagnosis(refused("www.example.org")));
    let messages = shown["tls"]["messages"].as_array().unwrap();
    let names: Vec<&str> = messages
        .iter()
        .map(|message| message["message"].as_str().unwrap())
        .collect();
    let expected = [
        "client_hello",
        "server_hello",
        "certificate",
        "99",
        "server_hello_done",
        "alert",
    ];
    assert_eq!(names, expected);
    let certificate = json!({
        "from": "server", "message": "certificate", "content": null, "begun_frame": 5, "frame": 6, "length_bytes": 200,
    });
    assert_eq!(messages[2], certificate);
}

#[test]
fn json_tells_nothing_where_nothing_was_seen() {
    let tls = TlsFacts {
        joined_late: true,
        ..TlsFacts::default()
    };
    let shown = reported(diagnosis(tls));
    let tls = &shown["tls"];
    for member in ["version", "server_name", "resumed", "ja3", "certificates"] {
        assert_eq!(tls[member], Json::Null, "{member}");
    }
    assert_eq!(tls["client_certificate_requested"], Json::Null);
    assert_eq!(
        (&tls["stage"], &tls["joined_late"]),
        (&"begun".into(), &true.into())
    );
    assert_eq!(reported(healthy(0))["tls"], Json::Null);
}

#[test]
fn json_tells_a_retry_and_an_upgrade() {
    let mut diagnosis = diagnosis(TlsFacts {
        retry: Some(Retry {
            mark: at(5),
            group: Some(NamedGroup(23)),
            cookie: true,
            answered: Some(at(6)),
            key_shares: vec![NamedGroup(23)],
        }),
        ..TlsFacts::default()
    });
    let app = diagnosis.connection.app.as_mut().unwrap();
    app.upgrade = Some(Box::new(Upgrade {
        protocol: UpgradeProtocol::PostgreSql,
        verdict: UpgradeVerdict::Refused,
        offered: None,
        asked: Some(at(4)),
        answered: Some(at(5)),
        reply: Some("N".into()),
        went_on: None,
        target: None,
    }));
    let shown = reported(diagnosis);
    let retry = json!({"group": "secp256r1", "cookie": true, "key_shares": ["secp256r1"], "frame": 5, "answered_frame": 6});
    assert_eq!(shown["tls"]["retry"], retry);
    assert_eq!(shown["tls"]["stage"], "hello-retry-request");
    let upgrade = json!({
        "protocol": "postgresql", "verdict": "refused", "offered": null, "asked_frame": 4, "answered_frame": 5,
        "reply": "N", "target": null,
    });
    assert_eq!(shown["upgrade"], upgrade);
}

#[test]
fn hostile_names_reach_json_whole_and_escaped() {
    let diagnosis = diagnosis(refused(HOSTILE));
    assert_harmless(&written(diagnosis.clone()));
    let shown = reported(diagnosis);
    assert_eq!(shown["tls"]["server_name"], HOSTILE);
    assert_eq!(shown["tls"]["alpn"], HOSTILE);
    assert_eq!(shown["tls"]["certificates"][0]["subject"], HOSTILE);
}

#[test]
fn a_ladder_names_messages_where_they_were_seen() {
    let mut tls = refused("www.example.org");
    tls.server
        .messages
        .push(message(MessageKind::Sealed(ContentType::HANDSHAKE), 8, 8));
    tls.server.incomplete = Some(Incomplete {
        kind: Some(ContentType::APPLICATION_DATA),
        announced: 16_401,
        received: 1_448,
        begun: at(9),
    });
    let shown = ladder(tls);
    let reported: Vec<&str> = shown
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim)
        .filter(|rung| !rung.contains("--"))
        .collect();
    let expected = [
        "Client Hello (SNI=www.example.org)",
        "Server Hello (TLS 1.2, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256), Certificate begins",
        "Certificate (www.example.org, 2 certificates), Handshake message of type 99, Server",
        "Hello Done",
        "Alert: fatal unknown_ca",
        "sealed handshake, 200 bytes",
        "unfinished application data record, 1,448 of 16,401 bytes",
    ];
    let reported = reported.join(" ");
    for words in expected {
        assert!(reported.contains(words), "{words}\n{shown}");
    }
    let summary = "tls      TLS 1.2, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, x25519, ALPN www.example.org, server";
    assert!(shown.contains(summary), "{shown}");
    assert!(shown.contains("reached server-flight"), "{shown}");
}

#[test]
fn a_ladder_is_safe_to_look_at() {
    let shown = ladder(refused(HOSTILE));
    assert_harmless(&shown);
    assert!(shown.contains("SNI=a\\u{1b}]0;x\\u{7}"), "{shown}");
}

#[test]
fn suites_without_a_name_are_numbers() {
    let mut tls = refused("www.example.org");
    let mut raw = server_hello().raw.to_vec();
    raw[35] = 0xfa;
    raw[36] = 0xfb;
    tls.server_hello = Some(Box::new(ServerHello {
        mark: at(5),
        raw: raw.into(),
    }));
    let shown = reported(diagnosis(tls));
    assert_eq!(
        shown["tls"]["cipher_suite"],
        CipherSuite(0xfafb).to_string()
    );
}
