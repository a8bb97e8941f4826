use super::*;

pub(super) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| u8::try_from(digit).unwrap())
        .collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    assert!(rest.is_empty());
    pairs.iter().map(|[high, low]| high << 4 | low).collect()
}

fn open(decryptor: &mut Decryptor, record: &[u8]) -> Option<Opened> {
    let (header, body) = record.split_first_chunk().unwrap();
    decryptor.open(*header, body)
}

/// The traces of RFC 8448 section 3.
mod rfc8448 {
    use super::*;

    const SUITE: CipherSuite = CipherSuite(0x1301);
    const CLIENT_HANDSHAKE: &str =
        "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21";
    const SERVER_HANDSHAKE: &str =
        "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38";
    const CLIENT_APPLICATION: &str =
        "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
    const SERVER_APPLICATION: &str =
        "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";
    const CLIENT_FINISHED: &str = "17 03 03 00 35 75 ec 4d c2 38 cc e6 0b 29 80 44 a7 1e 21 9c 56 cc 77 b0 51 7f e9 b9 \
        3c 7a 4b fc 44 d8 7f 38 f8 03 38 ac 98 fc 46 de b3 84 bd 1c ae ac ab 68 67 d7 26 c4 05 46";
    const CLIENT_DATA: &str = "17 03 03 00 43 a2 3f 70 54 b6 2c 94 d0 af fa fe 82 28 ba 55 cb ef ac ea 42 f9 14 aa 66 \
        bc ab 3f 2b 98 19 a8 a5 b4 6b 39 5b d5 4a 9a 20 44 1e 2b 62 97 4e 1f 5a 62 92 a2 97 70 14 bd 1e 3d ea e6 3a ee \
        bb 21 69 49 15 e4";
    const SERVER_DATA: &str = "17 03 03 00 43 2e 93 7e 11 ef 4a c7 40 e5 38 ad 36 00 5f c4 a4 69 32 fc 32 25 d0 5f 82 \
        aa 1b 36 e3 0e fa f9 7d 90 e6 df fc 60 2d cb 50 1a 59 a8 fc c4 9c 4b f2 e5 f0 a2 1c 00 47 c2 ab f3 32 54 0d d0 \
        32 e1 67 c2 95 5d";

    fn decryptor(secret: &str) -> Decryptor {
        Decryptor::from_traffic_secret(ProtocolVersion::TLS1_3, SUITE, &bytes(secret)).unwrap()
    }

    #[test]
    fn the_keys_are_those_of_the_trace() {
        let decryptor = decryptor(SERVER_HANDSHAKE);
        assert_eq!(
            decryptor.key.as_ref(),
            bytes("3fce516009c21727d0f2e4e86ee403bc")
        );
        let Keys::Tls13 { nonce, .. } = decryptor.keys else {
            panic!("not of TLS 1.3");
        };
        assert_eq!(nonce.to_vec(), bytes("5d313eb2671276ee13000b30"));
    }

    #[test]
    fn the_servers_flight_opens() {
        let record = bytes(include_str!("testdata/rfc8448-server-flight.hex"));
        let opened = open(&mut decryptor(SERVER_HANDSHAKE), &record).unwrap();
        assert_eq!(opened.kind, ContentType(22));
        assert_eq!(opened.plaintext.len(), 657);
        // EncryptedExtensions to begin with, the Finished of 32 bytes in the end.
        assert_eq!(opened.plaintext[..4], [8, 0, 0, 36]);
        assert_eq!(opened.plaintext[621..625], [20, 0, 0, 32]);
    }

    #[test]
    fn the_clients_finished_and_data_open() {
        let finished = open(&mut decryptor(CLIENT_HANDSHAKE), &bytes(CLIENT_FINISHED)).unwrap();
        assert_eq!(finished.kind, ContentType(22));
        assert_eq!(finished.plaintext[..4], [20, 0, 0, 32]);
        let data = open(&mut decryptor(CLIENT_APPLICATION), &bytes(CLIENT_DATA)).unwrap();
        assert_eq!(data.kind, ContentType(23));
        assert_eq!(data.plaintext, (0..50).collect::<Vec<u8>>());
    }

    #[test]
    fn a_record_that_was_not_seen_is_passed_over() {
        let mut decryptor = decryptor(SERVER_APPLICATION);
        // Its ticket came before, and has the first number.
        assert_eq!(open(&mut decryptor, &bytes(SERVER_DATA)), None);
        decryptor.skip();
        let data = open(&mut decryptor, &bytes(SERVER_DATA)).unwrap();
        assert_eq!(data.plaintext, (0..50).collect::<Vec<u8>>());
    }

    #[test]
    fn a_record_that_does_not_open_keeps_its_number() {
        let mut decryptor = decryptor(CLIENT_APPLICATION);
        assert_eq!(open(&mut decryptor, &bytes(SERVER_DATA)), None);
        assert_eq!(
            open(&mut decryptor, &[23, 3, 3, 0, 0]),
            None,
            "an empty body"
        );
        assert_eq!(
            open(&mut decryptor, &[20, 3, 3, 0, 1, 1]),
            None,
            "not protected"
        );
        assert!(open(&mut decryptor, &bytes(CLIENT_DATA)).is_some());
    }
}

#[test]
fn secrets_of_another_length_or_suite_are_refused() {
    let open = |suite, length| {
        Decryptor::from_traffic_secret(
            ProtocolVersion::TLS1_3,
            CipherSuite(suite),
            &vec![1; length],
        )
        .is_some()
    };
    assert!(open(0x1301, 32));
    assert!(open(0x1302, 48));
    assert!(!open(0x1301, 48));
    assert!(!open(0x1302, 32));
    assert!(!open(0xc02f, 32));
    assert!(!open(0x00c6, 32));
}

/// Until draft 25 nothing but the content was authenticated.
#[test]
fn drafts_authenticate_what_they_did_then() {
    use aes_gcm::aead::{AeadInOut, KeyInit};
    let suite = CipherSuite(0x1301);
    let new = |version| Decryptor::from_traffic_secret(ProtocolVersion(version), suite, &[1; 32]);
    let Some(Decryptor {
        key,
        keys: Keys::Tls13 { nonce, .. },
        ..
    }) = new(0x0304)
    else {
        panic!("not of TLS 1.3");
    };
    let seal = |additional: &[u8]| {
        let mut body = b"\x01\x00\x15".to_vec();
        aes_gcm::Aes128Gcm::new_from_slice(&key)
            .unwrap()
            .encrypt_in_place(&nonce.into(), additional, &mut body)
            .unwrap();
        body
    };
    let header = [23, 3, 3, 0, 19];
    let [without, with] = [seal(&[]), seal(&header)];
    for (version, body, opens) in [
        (0x0304, &with, true),
        (0x0304, &without, false),
        (0x7f1c, &with, true),
        (0x7f19, &with, true),
        (0x7f18, &with, false),
        (0x7f18, &without, true),
        (0x7f14, &without, true),
    ] {
        let opened = new(version).unwrap().open(header, body);
        assert_eq!(opened.is_some(), opens, "{version:04x}");
    }
    assert!(new(0x7f13).is_none());
    assert!(new(0x0303).is_none());
}

#[test]
fn debug_output_holds_no_keys() {
    let decryptor =
        Decryptor::from_traffic_secret(ProtocolVersion::TLS1_3, CipherSuite(0x1301), &[0xab; 32])
            .unwrap();
    assert_eq!(format!("{decryptor:?}"), "Decryptor { sequence: 0, .. }");
}
