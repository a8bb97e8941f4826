//! Hellos made of the bytes each test needs.

use wirewhy_packet::Timestamp;

use super::*;

fn mark() -> Mark {
    Mark {
        frame: 1,
        time: Timestamp::default(),
    }
}

fn with_len(body: &[u8]) -> Vec<u8> {
    let mut out = u16::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    out.extend(body);
    out
}

fn numbers(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_be_bytes()).collect()
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &with_len(body)].concat()
}

/// A ClientHello of TLS 1.2 with these suites and extensions.
fn client(suites: &[u16], extensions: &[Vec<u8>]) -> ClientHello {
    let mut raw = vec![3, 3];
    raw.extend([7; 32]);
    raw.push(0);
    raw.extend(with_len(&numbers(suites)));
    raw.extend([1, 0]);
    raw.extend(with_len(&extensions.concat()));
    of(raw, false)
}

fn of(raw: Vec<u8>, is_ssl2: bool) -> ClientHello {
    ClientHello {
        begun: mark(),
        mark: mark(),
        record_version: ProtocolVersion::TLS1_0,
        is_ssl2,
        is_quic: false,
        records: 1,
        raw: raw.into(),
    }
}

fn name(name: &[u8]) -> Vec<u8> {
    extension(0, &with_len(&[&[0][..], &with_len(name)].concat()))
}

fn alpn(names: &[&[u8]]) -> Vec<u8> {
    let list: Vec<u8> = names
        .iter()
        .flat_map(|name| [&[u8::try_from(name.len()).unwrap()][..], name].concat())
        .collect();
    extension(16, &with_len(&list))
}

/// A browser's hello, with the suites, extensions and signature algorithms whose JA4 is published.
fn browser() -> ClientHello {
    let suites = [
        0x0a0a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013,
        0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
    ];
    let schemes = [
        0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601,
    ];
    let share = |group: u16, key: &[u8]| [&group.to_be_bytes()[..], &with_len(key)].concat();
    let shares = [share(0x3a3a, &[0]), share(29, &[9; 32])].concat();
    client(
        &suites,
        &[
            extension(0x1a1a, &[]),
            extension(27, &[2, 0, 2]),
            name(b"www.example.org"),
            extension(51, &with_len(&shares)),
            extension(16, &with_len(b"\x02h2\x08http/1.1")),
            extension(17513, &with_len(b"\x02h2")),
            extension(23, &[]),
            extension(0xff01, &[0]),
            extension(10, &with_len(&numbers(&[0x3a3a, 29, 23, 24]))),
            extension(11, &[1, 0]),
            extension(35, &[]),
            extension(5, &[1, 0, 0, 0, 0]),
            extension(13, &with_len(&numbers(&schemes))),
            extension(18, &[]),
            extension(45, &[1, 1]),
            extension(43, &[6, 0x2a, 0x2a, 3, 4, 3, 3]),
            extension(21, &[0; 10]),
            extension(0x2a2a, &[0]),
        ],
    )
}

#[test]
fn a_browsers_hello_is_read_whole() {
    let hello = browser();
    assert_eq!(hello.legacy_version(), ProtocolVersion::TLS1_2);
    assert_eq!(
        hello.versions(),
        [ProtocolVersion::TLS1_3, ProtocolVersion::TLS1_2]
    );
    assert_eq!(hello.cipher_suites().len(), 15);
    assert_eq!(hello.extensions().len(), 18);
    assert_eq!(hello.server_name().as_deref(), Some("www.example.org"));
    assert_eq!(hello.alpn(), [&b"h2"[..], b"http/1.1"]);
    assert_eq!(
        hello.groups(),
        [NamedGroup(29), NamedGroup(23), NamedGroup(24)]
    );
    assert_eq!(hello.key_shares(), [NamedGroup::X25519]);
    assert_eq!(hello.signature_schemes().len(), 8);
    assert!(!hello.offers_resumption() && !hello.offers_early_data() && !hello.has_ech());
}

#[test]
fn the_published_ja4_of_a_browser() {
    assert_eq!(browser().ja4(), "t13d1516h2_8daaf6152771_e5627efa2ab1");
}

#[test]
fn the_published_ja3_example() {
    // 769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0
    let hello = {
        let mut hello = client(
            &[47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4],
            &[
                name(b"a"),
                extension(10, &with_len(&numbers(&[23, 24, 25]))),
                extension(11, &[1, 0]),
            ],
        );
        hello.raw[1] = 1;
        hello
    };
    assert_eq!(hello.ja3(), "ada70206e40642a3e4461f35503241d5");
    // 769,4-5-10-9-100-98-3-6-19-18-99,,,
    let bare = {
        let mut hello = client(&[4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99], &[]);
        hello.raw[1] = 1;
        hello
    };
    assert_eq!(bare.ja3(), "de350869b8c85de67a350c8d186f11e6");
}

#[test]
fn a_malformed_extension_ends_nothing_but_itself() {
    let hello = client(
        &[0x1301],
        &[
            // A list longer than its extension, an odd one, and one with nothing in it.
            extension(10, &[0, 9, 0, 29]),
            extension(13, &[0, 3, 4, 3, 8]),
            extension(51, &[]),
            name(b"still.example"),
        ],
    );
    assert!(hello.groups().is_empty());
    assert_eq!(hello.signature_schemes(), [SignatureScheme(0x0403)]);
    assert!(hello.key_shares().is_empty());
    assert_eq!(hello.server_name().as_deref(), Some("still.example"));
    assert_eq!(hello.extensions().len(), 4);
}

#[test]
fn no_cut_and_no_changed_byte_panics() {
    let whole = browser();
    for end in 0..whole.raw.len() {
        for is_ssl2 in [false, true] {
            read_all(&of(whole.raw[..end].to_vec(), is_ssl2));
        }
    }
    for at in 0..whole.raw.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut raw = whole.raw.to_vec();
            raw[at] = value;
            read_all(&of(raw, false));
        }
    }
}

fn read_all(hello: &ClientHello) {
    let _ = (hello.ja3(), hello.ja4(), hello.server_name());
    let _ = (hello.versions(), hello.random(), hello.key_shares());
    let _ = (hello.offers_resumption(), hello.has_ech());
    let server = ServerHello {
        mark: mark(),
        raw: hello.raw.clone(),
    };
    let _ = (server.version(), server.cipher_suite(), server.group());
    let _ = (server.alpn(), server.extensions());
}

#[test]
fn a_hello_in_the_format_of_ssl_2() {
    let mut raw = vec![3, 1, 0, 9, 0, 0, 0, 16];
    raw.extend([0x01, 0x00, 0x80, 0x00, 0x00, 0x2f, 0x00, 0x00, 0xff]);
    raw.extend([5; 16]);
    let hello = of(raw, true);
    assert_eq!(hello.versions(), [ProtocolVersion::TLS1_0]);
    assert_eq!(hello.cipher_suites(), [CipherSuite(0x2f)]);
    assert_eq!(hello.random()[15..17], [0, 5]);
    assert!(hello.extensions().is_empty());
    assert!(hello.ja4().starts_with("t10i020000_"));
}

fn server(version: u16, tail: &[u8], suite: u16, extensions: &[Vec<u8>]) -> ServerHello {
    let mut raw = version.to_be_bytes().to_vec();
    raw.extend([1; 24]);
    raw.extend(tail);
    raw.push(0);
    raw.extend(suite.to_be_bytes());
    raw.push(0);
    raw.extend(with_len(&extensions.concat()));
    ServerHello {
        mark: mark(),
        raw: raw.into(),
    }
}

#[test]
fn what_the_server_chose() {
    let hello = server(
        0x0303,
        &[2; 8],
        0x1302,
        &[
            extension(43, &[3, 4]),
            extension(51, &[0x11, 0xec, 0, 1, 0]),
        ],
    );
    assert_eq!(hello.version(), ProtocolVersion::TLS1_3);
    assert_eq!(hello.cipher_suite(), CipherSuite(0x1302));
    assert_eq!(hello.group(), Some(NamedGroup(0x11ec)));
    assert_eq!(hello.downgrade_sentinel(), None);
    assert!(!hello.is_retry_request());
    let lowered = server(0x0303, b"DOWNGRD\x01", 0xc02f, &[alpn(&[b"h2"])]);
    assert_eq!(lowered.version(), ProtocolVersion::TLS1_2);
    assert_eq!(lowered.downgrade_sentinel(), Some(ProtocolVersion::TLS1_2));
    assert_eq!(lowered.alpn(), Some(&b"h2"[..]));
}
