//! Whole connections, made of the records each test needs.

use proptest::prelude::*;

use crate::Conversation;
use crate::testing::{
    Piece, Turn, client, closed_facts, facts_of, feed, open_facts, pieces, segments, server,
};

use super::super::{Secrets, TlsStage};
use super::*;

const CCS: [u8; 6] = [20, 3, 3, 0, 1, 1];

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, 3, 3], &length[..], body].concat()
}

fn sealed(kind: u8, length: usize) -> Vec<u8> {
    record(kind, &vec![0xe5; length])
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, a, b, c], body].concat()
}

fn with_len(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&length[..], body].concat()
}

fn with_len24(body: &[u8]) -> Vec<u8> {
    message(0, body).split_off(1)
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &with_len(body)].concat()
}

fn client_hello(extensions: &[Vec<u8>]) -> Vec<u8> {
    let fixed = [&[3, 3][..], &[7; 32], &[0]].concat();
    let suites = with_len(&[0x13, 0x01, 0xc0, 0x2f]);
    let body = [fixed, suites, vec![1, 0], with_len(&extensions.concat())].concat();
    message(1, &body)
}

fn server_hello(suite: u16, random: [u8; 32], extensions: &[Vec<u8>]) -> Vec<u8> {
    let mut body = [&[3, 3][..], &random, &[0], &suite.to_be_bytes(), &[0]].concat();
    body.extend(with_len(&extensions.concat()));
    message(2, &body)
}

fn hello_1_2() -> Vec<u8> {
    server_hello(0xc02f, [9; 32], &[extension(16, &with_len(b"\x02h2"))])
}

fn hello_1_3(suite: u16) -> Vec<u8> {
    let share = [&[0, 29][..], &with_len(&[1; 32])].concat();
    let extensions = [extension(43, &[3, 4]), extension(51, &share)];
    server_hello(suite, [9; 32], &extensions)
}

fn retry() -> Vec<u8> {
    // The SHA-256 of "HelloRetryRequest" (RFC 8446 section 4.1.3).
    let random = [
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8,
        0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8,
        0x33, 0x9c,
    ];
    let extensions = [extension(43, &[3, 4]), extension(51, &[0, 23])];
    server_hello(0x1301, random, &extensions)
}

fn certificate(ders: &[&[u8]]) -> Vec<u8> {
    let list: Vec<_> = ders.iter().flat_map(|der| with_len24(der)).collect();
    message(11, &with_len24(&list))
}

/// The server's messages of a full TLS 1.2 handshake, a client certificate asked for.
fn flight_1_2() -> Vec<Vec<u8>> {
    let exchange = [&[3, 0, 23, 4][..], &[1; 4]].concat();
    let request = [&[1, 1][..], &with_len(&[4, 3, 8, 4]), &[0, 0]].concat();
    vec![
        hello_1_2(),
        certificate(&[b"leaf", b"issuer"]),
        message(22, &[&[1][..], &with_len24(b"stapled")].concat()),
        message(12, &exchange),
        message(13, &request),
        message(14, &[]),
    ]
}

/// A TLS 1.2 connection from its hello to its farewell.
fn full_1_2() -> Vec<Turn> {
    let second = [
        record(22, &certificate(&[])),
        record(22, &message(16, &[4; 66])),
        CCS.to_vec(),
        sealed(22, 40),
    ];
    vec![
        client(record(22, &client_hello(&[]))),
        server(record(22, &flight_1_2().concat())),
        client(second.concat()),
        server([&CCS[..], &sealed(22, 40)].concat()),
        client(sealed(23, 100)),
        server([sealed(23, 2000), sealed(23, 30)].concat()),
        client(sealed(21, 26)),
        server(sealed(21, 26)),
    ]
}

/// A TLS 1.3 connection with SHA-256, in compatibility mode.
fn full_1_3() -> Vec<Turn> {
    let first = [
        record(22, &hello_1_3(0x1301)),
        CCS.to_vec(),
        sealed(23, 900),
    ];
    vec![
        client(record(22, &client_hello(&[extension(43, &[2, 3, 4])]))),
        server(first.concat()),
        client([&CCS[..], &sealed(23, 53)].concat()),
        server(sealed(23, 250)),
        client(sealed(23, 100)),
        server(sealed(23, 5000)),
        client(sealed(23, 19)),
        server(sealed(23, 19)),
    ]
}

fn with_retry() -> Vec<Turn> {
    let share = |group: u8| {
        let key = [&[0, group][..], &with_len(&[5; 32])].concat();
        extension(51, &with_len(&key))
    };
    let hello = |group| client_hello(&[extension(43, &[2, 3, 4]), share(group)]);
    let first = [record(22, &hello_1_3(0x1302)), sealed(23, 900)];
    vec![
        client(record(22, &hello(29))),
        server([&record(22, &retry())[..], &CCS].concat()),
        client([&CCS[..], &record(22, &hello(23))].concat()),
        server(first.concat()),
        client(sealed(23, 69)),
    ]
}

fn ssl2_hello() -> Vec<u8> {
    let body = [
        &[1, 3, 1, 0, 6, 0, 0, 0, 16, 1, 0, 0x80, 0, 0, 0x2f][..],
        &[6; 16],
    ]
    .concat();
    [&[0x80, u8::try_from(body.len()).unwrap()], &body[..]].concat()
}

fn tls_of(facts: crate::AppFacts) -> TlsFacts {
    *facts.tls.expect("TLS was spoken")
}

fn open(turns: &[Turn]) -> TlsFacts {
    tls_of(open_facts(turns))
}

fn kinds(side: &TlsSide) -> Vec<MessageKind> {
    side.messages.iter().map(|message| message.what).collect()
}

fn handshake(kind: u8) -> MessageKind {
    MessageKind::Handshake(super::super::HandshakeType(kind))
}

#[test]
fn a_full_handshake_of_1_2() {
    let tls = open(&full_1_2());
    assert_eq!(tls.version(), Some(ProtocolVersion::TLS1_2));
    assert_eq!(tls.cipher_suite().map(|suite| suite.0), Some(0xc02f));
    assert_eq!(tls.group.map(|group| group.0), Some(23));
    assert_eq!(tls.alpn.as_deref(), Some(&b"h2"[..]));
    assert_eq!(tls.ocsp_response.as_deref(), Some(&b"stapled"[..]));
    assert_eq!(tls.resumed(), Some(false));
    assert_eq!(tls.stage(), TlsStage::ApplicationData);
    let chain = tls.server_certificates.unwrap();
    let ders: Vec<_> = chain.chain.iter().map(|found| &*found.der).collect();
    assert_eq!((ders, chain.count), (vec![&b"leaf"[..], b"issuer"], 2));
    assert_eq!(tls.client_certificates.unwrap().count, 0);
    let request = tls.certificate_request.unwrap();
    assert_eq!(request.signature_schemes.len(), 2);
    let ccs = MessageKind::ChangeCipherSpec;
    let hidden = |kind| MessageKind::Sealed(ContentType(kind));
    assert_eq!(
        kinds(&tls.client),
        [
            handshake(1),
            handshake(11),
            handshake(16),
            ccs,
            hidden(22),
            hidden(23),
            hidden(21)
        ]
    );
    assert_eq!(
        kinds(&tls.server)[..8],
        [2, 11, 22, 12, 13, 14]
            .map(handshake)
            .into_iter()
            .chain([ccs, hidden(22)])
            .collect::<Vec<_>>()
    );
    let finished = [&tls.client, &tls.server].map(|side| side.finished.unwrap().frame);
    assert_eq!(finished, [3, 4]);
    let data = tls.server.application_data;
    assert_eq!((data.count, data.bytes), (2, 2030));
    assert_eq!(tls.client.alerts[0].seen, AlertSeen::Encrypted);
    assert_eq!((tls.secrets, tls.joined_late), (Secrets::Unknown, false));
    assert_eq!(tls.renegotiation, None);
}

#[test]
fn every_turn_of_1_2_is_a_stage() {
    let turns = full_1_2();
    let stages = [
        TlsStage::ClientHello,
        TlsStage::ServerFlight,
        TlsStage::ClientFinished,
        TlsStage::Established,
        TlsStage::ApplicationData,
    ];
    for (taken, stage) in (1..).zip(stages) {
        assert_eq!(open(&turns[..taken]).stage(), stage, "after {taken} turns");
    }
}

#[test]
fn a_resumed_handshake_of_1_2() {
    let first = [record(22, &hello_1_2()), CCS.to_vec(), sealed(22, 40)];
    let turns = [
        client(record(22, &client_hello(&[]))),
        server(first.concat()),
        client([&CCS[..], &sealed(22, 40)].concat()),
    ];
    assert_eq!(open(&turns[..2]).stage(), TlsStage::ServerFlight);
    let tls = open(&turns);
    assert_eq!(tls.resumed(), Some(true));
    assert_eq!(tls.stage(), TlsStage::Established);
    assert_eq!(tls.server_certificates, None);
}

#[test]
fn another_handshake_inside_1_2() {
    let mut turns = full_1_2();
    turns.truncate(6);
    turns.push(client(sealed(22, 200)));
    let tls = open(&turns);
    assert_eq!(tls.renegotiation.map(|mark| mark.frame), Some(7));
    assert_eq!(tls.client.finished.map(|mark| mark.frame), Some(3));
}

#[test]
fn every_turn_of_1_3_is_a_stage() {
    let turns = full_1_3();
    let stages = [
        TlsStage::ClientHello,
        TlsStage::ServerFlight,
        TlsStage::Established,
        // What a server says first may be tickets.
        TlsStage::Established,
        TlsStage::ApplicationData,
    ];
    for (taken, stage) in (1..).zip(stages) {
        assert_eq!(open(&turns[..taken]).stage(), stage, "after {taken} turns");
    }
    let tls = open(&turns);
    assert_eq!(tls.version(), Some(ProtocolVersion::TLS1_3));
    assert_eq!(tls.group.map(|group| group.0), Some(29));
    assert_eq!(tls.resumed(), Some(false));
    assert_eq!(tls.client.likely_finished.unwrap().mark.frame, 3);
    assert_eq!(tls.client.application_data.bytes, 100);
    assert_eq!(tls.server.application_data.bytes, 5250);
    assert_eq!(tls.client.last_sealed.unwrap().length, 19);
    assert!(tls.client.alerts.is_empty() && !tls.joined_late);
}

#[test]
fn an_alert_in_place_of_the_finished_of_1_3() {
    let mut turns = full_1_3();
    turns.truncate(2);
    turns.push(client([&CCS[..], &sealed(23, 19)].concat()));
    let tls = open(&turns);
    assert_eq!(tls.stage(), TlsStage::ServerFlight);
    assert_eq!(tls.client.sealed_count, 1);
    assert_eq!(tls.client.likely_finished, None);
}

#[test]
fn a_client_certificate_before_the_finished_of_1_3() {
    let mut turns = full_1_3();
    turns.truncate(2);
    turns.push(client(
        [sealed(23, 1100), sealed(23, 290), sealed(23, 53)].concat(),
    ));
    let tls = open(&turns);
    assert_eq!(tls.client.likely_finished.unwrap().length, 53);
    assert_eq!(tls.stage(), TlsStage::Established);
}

#[test]
fn early_data_is_no_finished() {
    let offers = [extension(43, &[2, 3, 4]), extension(42, &[])];
    let first = [record(22, &client_hello(&offers)), sealed(23, 400)];
    let turns = [
        client(first.concat()),
        server([record(22, &hello_1_3(0x1301)), sealed(23, 200)].concat()),
        client(sealed(23, 600)),
        client([sealed(23, 21), sealed(23, 53)].concat()),
    ];
    assert_eq!(open(&turns[..1]).stage(), TlsStage::ClientHello);
    assert_eq!(open(&turns[..3]).stage(), TlsStage::ServerFlight);
    assert_eq!(open(&turns).stage(), TlsStage::Established);
}

#[test]
fn a_retry_and_its_answer() {
    let turns = with_retry();
    assert_eq!(open(&turns[..2]).stage(), TlsStage::HelloRetryRequest);
    let tls = open(&turns);
    let retry = tls.retry.as_ref().unwrap();
    assert_eq!(retry.group.map(|group| group.0), Some(23));
    assert_eq!(retry.answered.map(|mark| mark.frame), Some(3));
    assert_eq!(
        retry
            .key_shares
            .iter()
            .map(|group| group.0)
            .collect::<Vec<_>>(),
        [23]
    );
    assert_eq!(tls.client_hello.as_ref().unwrap().mark.frame, 1);
    assert_eq!(kinds(&tls.server)[0], MessageKind::HelloRetryRequest);
    assert_eq!(tls.stage(), TlsStage::Established);
}

#[test]
fn an_ssl2_hello() {
    let turns = [client(ssl2_hello()), server(record(22, &hello_1_2()))];
    let tls = open(&turns);
    let hello = tls.client_hello.as_ref().unwrap();
    assert!(hello.is_ssl2);
    assert_eq!(
        hello
            .cipher_suites()
            .iter()
            .map(|suite| suite.0)
            .collect::<Vec<_>>(),
        [0x2f]
    );
    assert_eq!(kinds(&tls.client), [MessageKind::SslV2ClientHello]);
    assert_eq!(tls.stage(), TlsStage::ServerHello);
}

#[test]
fn alerts_in_the_clear() {
    let turns = [
        client(record(22, &client_hello(&[]))),
        server(record(21, &[2, 40])),
    ];
    let tls = open(&turns);
    let alert = tls.server.alerts[0];
    assert_eq!((alert.seen, alert.level), (AlertSeen::Clear, Some(2)));
    assert_eq!(alert.description, Some(AlertDescription(40)));
    assert_eq!(tls.stage(), TlsStage::ClientHello);
}

#[test]
fn messages_over_records_and_records_over_messages() {
    let whole = open(&full_1_2());
    for size in [1, 7, 90] {
        let flight: Vec<_> = flight_1_2()
            .concat()
            .chunks(size)
            .flat_map(|piece| record(22, piece))
            .collect();
        let mut turns = full_1_2();
        turns[1] = server(flight);
        assert_eq!(open(&turns), whole, "records of {size} bytes");
        let hello: Vec<_> = client_hello(&[])
            .chunks(size)
            .flat_map(|piece| record(22, piece))
            .collect();
        let tls = open(&[client(hello)]);
        let hello = tls.client_hello.unwrap();
        assert_eq!(usize::from(hello.records), hello.length().div_ceil(size));
    }
}

#[test]
fn any_segments_give_the_same_facts() {
    let ssl2 = vec![client(ssl2_hello()), server(record(22, &hello_1_2()))];
    for turns in [full_1_2(), full_1_3(), with_retry(), ssl2] {
        let whole = closed_facts(&turns);
        for size in [1, 2, 5, 6, 100, 1460] {
            let found = facts_of(&segments(&turns, size), &turns);
            assert_eq!(found, whole, "segments of {size} bytes");
        }
        let mut backwards = segments(&turns, 50);
        backwards.sort_by_key(|piece| (piece.turn, u64::MAX - piece.at));
        assert_eq!(facts_of(&backwards, &turns), whole);
    }
}

/// The turns without the bytes `gap` of one turn.
fn without(turns: &[Turn], turn: u64, gap: std::ops::Range<usize>) -> TlsFacts {
    let mut kept: Vec<Piece> = Vec::new();
    for piece in pieces(turns) {
        if piece.turn != turn {
            kept.push(piece);
            continue;
        }
        let rest = Piece {
            at: piece.at + gap.end as u64,
            bytes: piece.bytes[gap.end..].to_vec(),
            ..piece.clone()
        };
        let bytes = piece.bytes[..gap.start].to_vec();
        kept.extend([Piece { bytes, ..piece }, rest]);
    }
    tls_of(facts_of(&kept, turns))
}

#[test]
fn a_gap_in_a_message_ends_the_messages_and_not_the_records() {
    let tls = without(&full_1_2(), 2, 90..100);
    assert_eq!(tls.server.stopped, Some(Unreadable::Gap));
    assert_eq!(tls.version(), Some(ProtocolVersion::TLS1_2));
    // What cannot be known is not claimed: neither a certificate nor its absence.
    assert!(!tls.server.sent(kind::SERVER_HELLO_DONE));
    assert_eq!(tls.server.finished.map(|mark| mark.frame), Some(4));
    assert_eq!(tls.stage(), TlsStage::ApplicationData);
}

#[test]
fn a_gap_in_a_header_ends_everything() {
    let tls = without(&full_1_2(), 4, 7..9);
    assert_eq!(tls.server.stopped, Some(Unreadable::Gap));
    assert_eq!(tls.server.finished, None);
    assert_eq!(tls.client.stopped, None);
}

#[test]
fn a_gap_in_application_data_costs_nothing() {
    let turns = full_1_2();
    assert_eq!(without(&turns, 6, 100..1900), tls_of(closed_facts(&turns)));
}

#[test]
fn a_resumption_is_not_made_of_a_gap() {
    let first = [record(22, &flight_1_2().concat()), CCS.to_vec()];
    let turns = [
        client(record(22, &client_hello(&[]))),
        server(first.concat()),
    ];
    let tls = without(&turns, 2, 80..100);
    assert_eq!(tls.resumed(), None);
}

#[test]
fn a_record_that_stops_in_the_middle() {
    let hello = record(22, &client_hello(&[]));
    let tls = tls_of(closed_facts(&[client(&hello[..20])]));
    let incomplete = tls.client.incomplete.unwrap();
    assert_eq!(incomplete.kind, Some(HANDSHAKE));
    assert_eq!(
        usize::try_from(incomplete.announced).unwrap(),
        hello.len() - 5
    );
    assert_eq!(incomplete.received, 15);
    assert_eq!((tls.stage(), tls.client.stopped), (TlsStage::Begun, None));
}

#[test]
fn a_connection_joined_at_a_record() {
    let turns = [client(sealed(23, 50)), server(sealed(23, 900))];
    let tls = open(&turns);
    assert!(tls.joined_late);
    assert_eq!(tls.client.application_data.count, 1);
    assert_eq!(tls.client_hello, None);
}

#[test]
fn a_message_longer_than_any_is_not_kept() {
    let endless = [&[1, 0xff, 0xff, 0xff][..], &[0; 16_000]].concat();
    let turns = [client(record(22, &endless)), client(sealed(22, 16_000))];
    let mut conversation = Conversation::new();
    for piece in segments(&turns, 1000) {
        feed(&mut conversation, &piece);
    }
    assert_eq!(
        tls_of(conversation.facts()).client.stopped,
        Some(Unreadable::TooMuch)
    );
    assert!(
        conversation.retained() < 8 * 1024,
        "{}",
        conversation.retained()
    );
}

#[test]
fn many_messages_and_alerts_stay_bounded() {
    let hello = record(22, &client_hello(&[]));
    let many: Vec<_> = [
        record(22, &message(0, &[])),
        record(21, &[1, 90]),
        sealed(23, 40),
    ]
    .concat()
    .repeat(5000);
    let mut conversation = Conversation::new();
    for piece in segments(&[client(hello), server(many)], 1000) {
        feed(&mut conversation, &piece);
    }
    let tls = tls_of(conversation.facts());
    assert_eq!(tls.server.messages.len(), TlsSide::MAX_MESSAGES);
    assert_eq!(tls.server.alerts.len(), TlsSide::MAX_ALERTS);
    assert!(
        conversation.retained() < 8 * 1024,
        "{}",
        conversation.retained()
    );
}

fn any_record() -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(any::<u8>(), 0..80);
    let messages =
        prop::collection::vec((0_u8..26, prop::collection::vec(any::<u8>(), 0..60)), 0..4);
    prop_oneof![
        (20_u8..25, body).prop_map(|(kind, body)| record(kind, &body)),
        messages.prop_map(|list| {
            let list: Vec<_> = list
                .iter()
                .flat_map(|(kind, body)| message(*kind, body))
                .collect();
            record(22, &list)
        }),
        Just(record(22, &client_hello(&[]))),
        Just(record(22, &hello_1_2())),
        Just(record(22, &hello_1_3(0x1301))),
        Just(record(22, &retry())),
        Just(CCS.to_vec()),
        Just(sealed(23, 53)),
    ]
}

proptest! {
    #[test]
    fn any_records_cut_anywhere_give_the_same_facts(
        taken in prop::collection::vec((any::<bool>(), any_record()), 1..12),
        size in 1_usize..200,
    ) {
        let turns: Vec<_> = taken
            .into_iter()
            .map(|(ours, bytes)| if ours { client(bytes) } else { server(bytes) })
            .collect();
        let whole = closed_facts(&turns);
        prop_assert_eq!(facts_of(&segments(&turns, size), &turns), whole);
    }

    #[test]
    fn any_records_with_losses_are_survived(
        taken in prop::collection::vec((any::<bool>(), any_record()), 1..12),
        lost in prop::collection::vec(0_usize..60, 0..6),
        size in 1_usize..40,
    ) {
        let turns: Vec<_> = taken
            .into_iter()
            .map(|(ours, bytes)| if ours { client(bytes) } else { server(bytes) })
            .collect();
        let mut kept = segments(&turns, size);
        for index in lost {
            if index < kept.len() {
                kept.remove(index);
            }
        }
        let facts = facts_of(&kept, &turns);
        if let Some(tls) = facts.tls {
            let _ = (tls.stage(), tls.resumed());
        }
    }
}
