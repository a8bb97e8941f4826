//! The vectors of RFC 9001 appendix A and RFC 9369 appendix A.

use super::*;
use crate::quic::frames::{Frames, QuicFrame};
use crate::quic::packet::{Long, Packets, QuicPacket};
use crate::quic::testing::{bytes, seal};

const CRYPTO: &str = "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c0000041301\
    1302010000c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d00170018001000070005\
    04616c706e000500050100000000003300260024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d\
    43e994ec74d748002b0003020304000d0010000e0403050306030203080408050806002d00020101001c00024001003900\
    320408ffffffffffffffff05048000ffff07048000ffff0801100104800075300901100f088394c8f03e51570806048000\
    ffff";

const SERVER_PAYLOAD: &str = "02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf73988cfc79825df566dc5430b9a\
    045a1200130100002e00330024001d00209d3c940d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da1a\
    002b00020304";

const SERVER_V1: &str = "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69797554780b\
    b38cc5a99f5ede4cf73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84\
    022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc42158407dd074ee";

const SERVER_V2: &str = "dc6b3343cf0008f067a5502a4262b5004075d92faaf16f05d8a4398c47089698baeea26b91eb761d9b89237bbf8726\
    3017915358230035f7fd3945d88965cf17f9af6e16886c61bfc703106fbaf3cb4cfa52382dd16a393e42757507698075b2\
    c984c707f0a0812d8cd5a6881eaf21ceda98f4bd23f6fe1a3e2c43edd9ce7ca84bed8521e2e140";

/// The client's first destination in both RFCs.
fn destination() -> ConnectionId {
    ConnectionId::new(&bytes("8394c8f03e515708")).unwrap()
}

fn long(datagram: &[u8]) -> Long<'_> {
    match Packets::of(datagram).next() {
        Some(QuicPacket::Long(long)) => long,
        other => panic!("{other:?}"),
    }
}

#[test]
fn initial_keys() {
    for (version, side, key, iv, hp) in [
        (
            QuicVersion::V1,
            Role::Client,
            "1f369613dd76d5467730efcbe3b1a22d",
            "fa044b2f42a3fd3b46fb255c",
            "9f50449e04a0e810283a1e9933adedd2",
        ),
        (
            QuicVersion::V1,
            Role::Server,
            "cf3a5331653c364c88f0f379b6067e37",
            "0ac1493ca1905853b0bba03e",
            "c206b8d9b9f0f37644430b490eeaa314",
        ),
        (
            QuicVersion::V2,
            Role::Client,
            "8b1a0bc121284290a29e0971b5cd045d",
            "91f73e2351d8fa91660e909f",
            "45b95e15235d6f45a6b19cbcb0294ba9",
        ),
    ] {
        let keys = PacketKeys::initial(version, &destination(), side).unwrap();
        assert_eq!(*keys.key, bytes(key));
        assert_eq!(keys.nonce.to_vec(), bytes(iv));
        assert_eq!(*keys.header, bytes(hp));
    }
}

/// RFC 9001 appendix A.2: 1,200 bytes, of which the RFC's first and last are compared, the authentication tag included.
#[test]
fn the_clients_initial() {
    for (version, first, begins, ends) in [
        (
            QuicVersion::V1,
            0xc0,
            "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11",
            "e221af44860018ab0856972e194cd934",
        ),
        (
            QuicVersion::V2,
            0xd0,
            "d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485",
            "",
        ),
    ] {
        let keys = PacketKeys::initial(version, &destination(), Role::Client).unwrap();
        let mut payload = bytes(CRYPTO);
        payload.resize(1_162, 0);
        let mut header = vec![first | 3];
        header.extend(version.0.to_be_bytes());
        header.extend(bytes("088394c8f03e5157080000449e00000002"));
        let packet = seal(&keys, &header, 2, &payload);
        assert_eq!(packet.len(), 1_200);
        assert!(packet.starts_with(&bytes(begins)));
        assert!(packet.ends_with(&bytes(ends)));
        let long = long(&packet);
        let opened = keys.open(long.bytes, long.number_at, None).unwrap();
        assert_eq!((opened.number, opened.payload), (2, payload));
    }
}

#[test]
fn the_servers_initial() {
    for (version, packet) in [(QuicVersion::V1, SERVER_V1), (QuicVersion::V2, SERVER_V2)] {
        let packet = bytes(packet);
        let long = long(&packet);
        assert_eq!(long.version, version);
        assert_eq!(long.source.to_string(), "f067a5502a4262b5");
        let keys = PacketKeys::initial(version, &destination(), Role::Server).unwrap();
        let opened = keys.open(long.bytes, long.number_at, None).unwrap();
        assert_eq!(opened.number, 1);
        assert_eq!(opened.payload, bytes(SERVER_PAYLOAD));
        let mut frames = Frames::of(&opened.payload);
        assert!(matches!(frames.next(), Some(QuicFrame::Ack(ack)) if ack.covers(0)));
        assert!(
            matches!(frames.next(), Some(QuicFrame::Crypto { offset: 0, data }) if data.len() == 90)
        );
        // What is not the server's does not open, nor what was changed on the way.
        let client = PacketKeys::initial(version, &destination(), Role::Client).unwrap();
        assert_eq!(client.open(long.bytes, long.number_at, None), None);
        let mut changed = packet.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(keys.open(&changed, long.number_at, None), None);
    }
}

#[test]
fn a_retry_and_its_tag() {
    for packet in [
        "ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f0f2496ba",
        "cf6b3343cf0008f067a5502a4262b5746f6b656ec8646ce8bfe33952d955543665dcc7b6",
    ] {
        let packet = bytes(packet);
        let Some(QuicPacket::Retry(retry)) = Packets::of(&packet).next() else {
            panic!();
        };
        assert_eq!(retry.token, b"token");
        assert!(is_authentic(&retry, &destination()));
        assert!(!is_authentic(&retry, &retry.source));
    }
}

#[test]
fn chacha20_and_key_update() {
    let secret = bytes("9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b");
    for (version, key, iv, hp, ku, packet) in [
        (
            QuicVersion::V1,
            "c6d98ff3441c3fe1b2182094f69caa2ed4b716b65488960a7a984979fb23e1c8",
            "e0459b3474bdd0e44a41c144",
            "25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4",
            "1223504755036d556342ee9361d253421a826c9ecdf3c7148684b36b714881f9",
            "4cfe4189655e5cd55c41f69080575d7999c25a5bfb",
        ),
        (
            QuicVersion::V2,
            "3bfcddd72bcf02541d7fa0dd1f5f9eeea817e09a6963a0e6c7df0f9a1bab90f2",
            "a6b5bc6ab7dafce30ffff5dd",
            "d659760d2ba434a226fd37b35c69e2da8211d10c4f12538787d65645d5d1b8e2",
            "c69374c49e3d2a9466fa689e49d476db5d0dfbc87d32ceeaa6343fd0ae4c7d88",
            "5558b1c60ae7b6b932bc27d786f4bc2bb20f2162ba",
        ),
    ] {
        let keys = PacketKeys::from_secret(version, CipherSuite(0x1303), &secret).unwrap();
        assert_eq!(*keys.key, bytes(key));
        assert_eq!(keys.nonce.to_vec(), bytes(iv));
        assert_eq!(*keys.header, bytes(hp));
        let updated = keys.updated().unwrap();
        assert_eq!(*updated.secret, bytes(ku));
        assert_eq!(updated.header, keys.header);
        let packet = bytes(packet);
        let opened = keys.open(&packet, 1, Some(654_360_563)).unwrap();
        assert_eq!((opened.number, opened.phase), (654_360_564, false));
        assert_eq!(opened.payload, [1]);
    }
}

/// RFC 9000 appendix A.3.
#[test]
fn packet_numbers() {
    assert_eq!(whole_number(0x9b32, 16, Some(0xa82f_30ea)), 0xa82f_9b32);
    assert_eq!(whole_number(0, 8, None), 0);
    assert_eq!(whole_number(0, 8, Some(255)), 256);
    assert_eq!(whole_number(250, 8, Some(260)), 250);
    assert_eq!(
        whole_number(u64::from(u32::MAX), 32, Some(1 << 62)),
        (1 << 62) - 1
    );
}

#[test]
fn every_known_version_has_keys() {
    for version in (22..=34)
        .map(|draft| 0xff00_0000 + draft)
        .chain([1, 0x6b33_43cf])
    {
        let keys = PacketKeys::initial(QuicVersion(version), &destination(), Role::Client);
        assert!(keys.is_some(), "{version:x}");
    }
    for version in [0, 2, 0xff00_0015, 0x5130_3530, 0xface_b002, 0x1a2a_3a4a] {
        let keys = PacketKeys::initial(QuicVersion(version), &destination(), Role::Client);
        assert!(keys.is_none(), "{version:x}");
    }
}
