//! Whole connections whose secrets are known.

use crate::testing::{Piece, Turn, close, feed_with, pieces, segments};
use crate::tls::{AlertSeen, MessageKind, Secrets, TlsFacts, TlsStage};
use crate::{AppFacts, CaptureContext, Conversation, Framing, What};

use super::*;

/// What one line of a session says, in bytes.
fn bytes(text: &str, name: &str) -> Vec<u8> {
    let hex = text.lines().find_map(|line| line.strip_prefix(name));
    let (pairs, []) = hex.unwrap().as_bytes().as_chunks::<2>() else {
        panic!("half a byte");
    };
    let digit = |digit: u8| u8::try_from(char::from(digit).to_digit(16).unwrap()).unwrap();
    let byte = |[high, low]: &[u8; 2]| digit(*high) << 4 | digit(*low);
    pairs.iter().map(byte).collect()
}

/// Both sides' records in an order in which they may have come: each hello first, then the rest.
fn turns(text: &str) -> Vec<Turn> {
    let [client, server] = ["client ", "server "].map(|name| bytes(text, name));
    let first = |bytes: &[u8]| 5 + usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
    let (hello, rest) = client.split_at(first(&client));
    vec![
        (Role::Client, hello.to_vec()),
        (Role::Server, server),
        (Role::Client, rest.to_vec()),
    ]
}

fn context(text: &str) -> CaptureContext {
    let mut context = CaptureContext::default();
    for line in text.lines() {
        if !line.starts_with("client ") && !line.starts_with("server ") {
            assert_eq!(context.keys_mut().add(line.as_bytes()).not_understood, 0);
        }
    }
    context
}

fn facts(pieces: &[Piece], turns: &[Turn], mut context: CaptureContext) -> AppFacts {
    let mut conversation = Conversation::new();
    for piece in pieces {
        feed_with(&mut conversation, piece, &mut context);
    }
    close(&mut conversation, turns);
    conversation.facts()
}

fn decrypted(text: &str) -> AppFacts {
    let turns = turns(text);
    facts(&pieces(&turns), &turns, context(text))
}

fn tls(facts: &AppFacts) -> &TlsFacts {
    facts.tls.as_deref().unwrap()
}

fn names(side: &TlsSide) -> Vec<String> {
    let name = |message: &Message| match message.what {
        MessageKind::Handshake(kind) => kind.to_string(),
        other => format!("{other:?}"),
    };
    side.messages.iter().map(name).collect()
}

const TLS13: &str = include_str!("../decrypt/testdata/tls13-TLS_AES_128_GCM_SHA256.session");
const TLS12: &str = include_str!("../decrypt/testdata/tls12-ECDHE-ECDSA-AES128-SHA256.session");
const HTTP: &str = include_str!("../decrypt/testdata/tls13-http.session");

#[test]
fn tls_1_3_is_read_to_its_end() {
    let facts = decrypted(TLS13);
    let tls = tls(&facts);
    assert_eq!(tls.secrets, Secrets::Used);
    assert_eq!(tls.stage(), TlsStage::ApplicationData);
    let chain = &tls.server_certificates.as_ref().unwrap().chain;
    assert_eq!(chain.len(), 1);
    assert!(chain[0].facts.is_some());
    assert_eq!(tls.early_data_accepted, Some(false));
    assert_eq!(
        names(&tls.server)[..7],
        [
            "server_hello",
            "ChangeCipherSpec",
            "encrypted_extensions",
            "certificate",
            "certificate_verify",
            "finished",
            "new_session_ticket",
        ]
    );
    assert_eq!(tls.client.application_data.count, 1);
    let alert = tls.client.alerts[0];
    assert_eq!(alert.seen, AlertSeen::Decrypted);
    assert_eq!(
        (alert.level, alert.description),
        (Some(1), Some(AlertDescription(0)))
    );
    assert!(tls.client.likely_finished.is_none());
}

#[test]
fn tls_1_2_is_read_to_its_end() {
    let facts = decrypted(TLS12);
    let tls = tls(&facts);
    assert_eq!(tls.secrets, Secrets::Used);
    assert_eq!(tls.stage(), TlsStage::ApplicationData);
    assert_eq!(
        names(&tls.client),
        [
            "client_hello",
            "client_key_exchange",
            "ChangeCipherSpec",
            "finished",
            "ApplicationData",
            "Alert(AlertDescription(0))",
        ]
    );
    assert_eq!(tls.client.alerts[0].seen, AlertSeen::Decrypted);
    assert_eq!(tls.renegotiation, None);
}

#[test]
fn keys_are_renewed_and_early_ones_are_not_mixed_up() {
    let facts = decrypted(include_str!("../decrypt/testdata/tls13-update.session"));
    let tls = tls(&facts);
    assert_eq!(tls.client.application_data.count, 2);
    assert_eq!(tls.server.application_data.count, 2);
    assert!(names(&tls.client).contains(&"key_update".to_owned()));
    assert_eq!(tls.client.alerts.len(), 1);
}

#[test]
fn segments_of_any_size_give_the_same() {
    for text in [TLS13, TLS12, HTTP] {
        let turns = turns(text);
        let whole = facts(&pieces(&turns), &turns, context(text));
        for size in [1, 2, 5, 100] {
            let cut = facts(&segments(&turns, size), &turns, context(text));
            let [whole, cut] = [&whole, &cut].map(|facts| {
                let tls = tls(facts);
                (
                    names(&tls.client),
                    names(&tls.server),
                    tls.stage(),
                    tls.secrets,
                    facts.http.last_status,
                )
            });
            assert_eq!(whole, cut, "{size}");
        }
    }
}

#[test]
fn secrets_of_others_open_nothing_and_wrong_ones_are_useless() {
    let turns = turns(TLS13);
    let with = |context| {
        let facts = facts(&pieces(&turns), &turns, context);
        let tls = tls(&facts);
        (tls.secrets, tls.server_certificates.is_some(), tls.stage())
    };
    let by_size = (Secrets::Unknown, false, TlsStage::ApplicationData);
    assert_eq!(with(CaptureContext::default()), by_size);
    assert_eq!(with(context(TLS12)), by_size);
    let mut wrong = CaptureContext::default();
    for line in TLS13.lines().filter(|line| line.contains("_TRAFFIC_")) {
        let (kept, last) = line.split_at(line.len() - 1);
        let other = if last == "0" { "1" } else { "0" };
        wrong.keys_mut().add(format!("{kept}{other}").as_bytes());
    }
    let (secrets, certificates, _) = with(wrong);
    assert_eq!((secrets, certificates), (Secrets::Useless, false));
}

#[test]
fn secrets_may_come_as_late_as_the_first_encrypted_record() {
    let turns = turns(TLS13);
    let hello = 5 + usize::from(u16::from_be_bytes([turns[1].1[3], turns[1].1[4]]));
    let mut conversation = Conversation::new();
    let mut late = CaptureContext::default();
    let mut at = 0;
    for piece in segments(&turns, 1) {
        if piece.role == Role::Server {
            at += 1;
            if at == hello + 1 {
                late = context(TLS13);
            }
        }
        feed_with(&mut conversation, &piece, &mut late);
    }
    close(&mut conversation, &turns);
    assert_eq!(tls(&conversation.facts()).secrets, Secrets::Used);
    assert!(tls(&conversation.facts()).server_certificates.is_some());
}

/// Of TLS 1.3 one side's secrets are worth something without the other's.
#[test]
fn the_secrets_of_one_side_are_used_alone() {
    let turns = turns(TLS13);
    for (kept, certificates) in [("SERVER", true), ("CLIENT", false)] {
        let mut half = CaptureContext::default();
        for line in TLS13.lines().filter(|line| line.starts_with(kept)) {
            half.keys_mut().add(line.as_bytes());
        }
        let facts = facts(&pieces(&turns), &turns, half);
        let tls = tls(&facts);
        assert_eq!(tls.secrets, Secrets::Used);
        assert_eq!(tls.server_certificates.is_some(), certificates);
        assert_eq!(tls.stage(), TlsStage::ApplicationData);
    }
}

#[test]
fn http_inside_is_read() {
    let facts = decrypted(HTTP);
    assert_eq!(facts.http.last_status, Some(503));
    assert_eq!(facts.http.requests, 1);
    let target = facts.http.last_request.as_ref().unwrap().target();
    assert_eq!(target, "/answer");
    let Framing::Inside(unfinished) = facts.server.framing else {
        panic!("{:?}", facts.server.framing);
    };
    let What::ContentLength {
        announced,
        received,
    } = unfinished.what
    else {
        panic!("{unfinished:?}");
    };
    assert_eq!((announced, received), (1000, 5));
}

/// Bytes that were not seen take one record away and leave those behind it.
#[test]
fn a_gap_in_a_record_costs_that_record() {
    for text in [TLS13, TLS12] {
        let turns = turns(text);
        let mut cut = segments(&turns, 1);
        // The last record of the client is its alert, the one before it the line it sent.
        let client = |piece: &Piece| piece.role == Role::Client;
        let end = cut.iter().filter(|piece| client(piece)).count() as u64;
        let alert = if text == TLS13 { 24 } else { 5 + 64 };
        let missing = end - alert - 3;
        cut.retain(|piece| !client(piece) || piece.at != missing);
        let facts = facts(&cut, &turns, context(text));
        let tls = tls(&facts);
        let names = names(&tls.client);
        let tail = &names[names.len() - 3..];
        assert_eq!(
            tail,
            [
                "finished",
                "Sealed(ContentType(23))",
                "Alert(AlertDescription(0))"
            ]
        );
    }
}
