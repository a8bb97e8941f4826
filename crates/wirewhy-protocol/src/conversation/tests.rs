use proptest::prelude::*;

use super::*;
use crate::http2::tests as h2;
use crate::testing::{
    Piece, Turn, client, close, closed_facts, facts_of, feed, pieces, segments, server,
};
use crate::types::Opening;
use crate::{AppProtocol, Unreadable};

/// Conversations of every kind this crate reads, some of them ended early.
fn corpus() -> Vec<(&'static str, Vec<Turn>)> {
    let get = b"GET /index.html?q=1 HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let head = b"HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let sized = b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n012345678901234567890123456789";
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        1a;x=y\r\nabcdefghijklmnopqrstuvwxyz\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\n";
    let post = b"POST /f HTTP/1.1\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n";
    let empty = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let records = b"\x16\x03\x01\x00\x07hello!!\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x10";
    vec![
        ("sized", vec![client(get), server(sized)]),
        ("sized, cut", vec![client(get), server(&sized[..50])]),
        ("chunked", vec![client(get), server(chunked)]),
        ("chunked, cut", vec![client(get), server(&chunked[..60])]),
        (
            "persistent",
            vec![
                client(get),
                server(chunked),
                client(head),
                server(&sized[..39]),
                client(get),
                server(sized),
            ],
        ),
        (
            "pipelined",
            vec![
                client([&get[..], head, get].concat()),
                server([&chunked[..], &sized[..39], &sized[..41]].concat()),
            ],
        ),
        (
            "upload",
            vec![
                client(post),
                server(b"HTTP/1.1 100 Continue\r\n\r\n"),
                client(b"twelve bytes"),
                server(empty),
            ],
        ),
        (
            "chunked upload, cut",
            vec![client(
                b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n5\r\nab",
            )],
        ),
        (
            "FTP",
            vec![
                server(b"220 (vsFTPd 3.0.3)\r\n"),
                client(b"USER a\r\n"),
                server(b"331 ?\r\n"),
                client(b"PASS b\r\n"),
                server(b"230-hello\r\n230 in\r\n"),
                client(b"EPSV\r\n"),
                server(b"229 (|||50001|)\r\n"),
                client(b"RETR c\r\nNOOP\r\n"),
                server(b"150 (7 bytes)\r\n226 done\r\n200 ok\r\n"),
            ],
        ),
        (
            "until close",
            vec![client(get), server(b"HTTP/1.0 200 OK\r\n\r\nall there is")],
        ),
        (
            "tunnel",
            vec![
                client(b"CONNECT a:443 HTTP/1.1\r\n\r\n"),
                server(b"HTTP/1.1 200 OK\r\n\r\n"),
                client(records),
                server(&records[..9]),
            ],
        ),
        (
            "upgrade refused",
            vec![
                client(b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
                server(empty),
                client(get),
                server(sized),
            ],
        ),
        (
            "tls",
            vec![
                client(records),
                server([&records[..], b"0123456789abcdef"].concat()),
                client(b"0123456789abcdef"),
            ],
        ),
        ("http2", h2::exchange()),
        ("http2, cut", h2::exchange_cut_in_a_frame()),
        (
            "smtp",
            vec![
                server(b"220 mail.a.example with a long name says ESMTP ready\r\n"),
                client(b"EHLO b.example\r\n"),
                server(b"250 ok\r\n"),
            ],
        ),
        (
            "ssh",
            vec![server(b"SSH-2.0-OpenSSH_9.6\r\n"), client(b"SSH-2.0-x\r\n")],
        ),
        (
            "unknown",
            vec![
                client(b"\x01\x02\x03"),
                server([0xff; 100]),
                client([7; 50]),
            ],
        ),
        (
            "malformed",
            vec![client(get), server(b"HTTP/1.1 200 OK\r\nA\0: b\r\n\r\n")],
        ),
        (
            "plain text to tls",
            vec![
                client(records),
                server(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno"),
            ],
        ),
    ]
}

/// The pieces of `turns`, each cut at the same places.
fn cut_at(turns: &[Turn], cuts: &[usize]) -> Vec<Piece> {
    let mut cut = Vec::new();
    for piece in pieces(turns) {
        let mut places: Vec<_> = cuts
            .iter()
            .map(|cut| cut % (piece.bytes.len() + 1))
            .chain([0, piece.bytes.len()])
            .collect();
        places.sort_unstable();
        places.dedup();
        cut.extend(places.windows(2).map(|window| Piece {
            at: piece.at + window[0] as u64,
            bytes: piece.bytes[window[0]..window[1]].to_vec(),
            ..piece.clone()
        }));
    }
    cut
}

// The same facts, however the bytes arrive.

#[test]
fn segments_of_every_size_give_the_same_facts() {
    for (name, turns) in corpus() {
        let whole = closed_facts(&turns);
        for size in 1..60 {
            let facts = facts_of(&segments(&turns, size), &turns);
            assert_eq!(facts, whole, "{name} in segments of {size}");
        }
    }
}

#[test]
fn every_cut_in_two_gives_the_same_facts() {
    for (name, turns) in corpus() {
        let whole = closed_facts(&turns);
        let longest = turns.iter().map(|(_, bytes)| bytes.len()).max();
        for cut in 0..longest.unwrap() {
            assert_eq!(
                facts_of(&cut_at(&turns, &[cut]), &turns),
                whole,
                "{name} cut at {cut}"
            );
        }
    }
}

#[test]
fn wanting_no_more_means_the_facts_stay() {
    for (name, turns) in corpus() {
        let whole = closed_facts(&turns);
        let mut conversation = Conversation::new();
        close(&mut conversation, &turns);
        for piece in segments(&turns, 3) {
            if conversation.wants() {
                feed(&mut conversation, &piece);
            }
        }
        assert!(!conversation.wants(), "{name}");
        assert_eq!(
            conversation.facts().server.framing,
            whole.server.framing,
            "{name}"
        );
        assert_eq!(
            conversation.facts().client.framing,
            whole.client.framing,
            "{name}"
        );
        assert_eq!(
            conversation.facts().http.responses,
            whole.http.responses,
            "{name}"
        );
    }
}

/// Swaps pieces of one turn, and repeats some: what happens on a path without changing who speaks when.
fn jumble(mut pieces: Vec<Piece>, swaps: &[(usize, usize)], repeats: &[usize]) -> Vec<Piece> {
    let count = pieces.len();
    for &(a, b) in swaps {
        let (a, b) = (a % count, b % count);
        if pieces[a].turn == pieces[b].turn {
            pieces.swap(a, b);
        }
    }
    for &index in repeats {
        let piece = pieces[index % count].clone();
        pieces.insert(index % count + 1, piece);
    }
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_segmentation_order_and_repetition_gives_the_same_facts(
        cuts in proptest::collection::vec(0_usize..400, 0..20),
        swaps in proptest::collection::vec((0_usize..100, 0_usize..100), 0..40),
        repeats in proptest::collection::vec(0_usize..100, 0..10),
    ) {
        for (name, turns) in corpus() {
            let arrived = jumble(cut_at(&turns, &cuts), &swaps, &repeats);
            let facts = facts_of(&arrived, &turns);
            let whole = closed_facts(&turns);
            prop_assert_eq!(facts, whole, "{}", name);
        }
    }

    #[test]
    fn any_order_over_the_whole_connection_gives_the_same_messages(
        cuts in proptest::collection::vec(0_usize..400, 0..8),
        seed in proptest::collection::vec(any::<u32>(), 64),
    ) {
        for (name, turns) in corpus() {
            let mut keyed: Vec<_> = cut_at(&turns, &cuts).into_iter().zip(seed.iter().cycle()).collect();
            keyed.sort_by_key(|(piece, key)| key.wrapping_mul(u32::try_from(piece.at).unwrap() | 1));
            let arrived: Vec<_> = keyed.into_iter().map(|(piece, _)| piece).collect();
            let facts = facts_of(&arrived, &turns);
            let whole = closed_facts(&turns);
            prop_assert_eq!(facts.client.protocol, whole.client.protocol, "{}", name);
            prop_assert_eq!(facts.server.protocol, whole.server.protocol, "{}", name);
            prop_assert_eq!(
                facts.server.begins_with_text,
                whole.server.begins_with_text,
                "{}",
                name
            );
            prop_assert_eq!(facts.http.requests, whole.http.requests, "{}", name);
            prop_assert_eq!(facts.http.responses, whole.http.responses, "{}", name);
            prop_assert_eq!(facts.http.last_status, whole.http.last_status, "{}", name);
            prop_assert_eq!(
                facts.server.truncated().map(|cut| cut.what),
                whole.server.truncated().map(|cut| cut.what),
                "{}", name
            );
        }
    }

    #[test]
    fn no_bytes_panic_and_memory_stays_bounded(
        segments in proptest::collection::vec(
            (any::<bool>(), prop_oneof![0_u64..2000, any::<u64>()], any::<Vec<u8>>(), any::<u32>()),
            0..60,
        ),
        ends in (any::<u64>(), 0_u64..3000),
    ) {
        let mut conversation = Conversation::new();
        for (from_client, at, bytes, wire_len) in &segments {
            match from_client {
                true => conversation.client_data(*at, bytes, *wire_len, 1, Timestamp(0), &mut CaptureContext::default()),
                false => conversation.server_data(*at, bytes, *wire_len, 1, Timestamp(0), &mut CaptureContext::default()),
            };
            prop_assert!(conversation.retained() < BOUND);
        }
        conversation.client_closed(ends.0, &mut CaptureContext::default());
        conversation.server_closed(ends.1, &mut CaptureContext::default());
        let _ = conversation.facts();
    }

    #[test]
    fn no_damage_panics(
        size in 1_usize..40,
        damage in proptest::collection::vec((0_usize..400, any::<u8>()), 1..6),
    ) {
        for (_, mut turns) in corpus() {
            for &(place, byte) in &damage {
                for (_, bytes) in &mut turns {
                    let place = place % bytes.len();
                    bytes[place] = byte;
                }
            }
            let _ = facts_of(&segments(&turns, size), &turns);
        }
    }
}

#[test]
fn any_stream_cut_anywhere_is_survived() {
    for (_, turns) in corpus() {
        for count in 0..turns.len() {
            for cut in 0..turns[count].1.len() {
                let mut turns = turns[..=count].to_vec();
                turns[count].1.truncate(cut);
                let facts = closed_facts(&turns);
                assert!(facts.http.responses <= facts.http.requests.max(1));
            }
        }
    }
}

// Bytes that were not seen.

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";

fn download(body: &[(u64, u32)], end: u64) -> AppFacts {
    let mut conversation = Conversation::new();
    conversation.client_data(0, GET, 0, 1, Timestamp(1), &mut CaptureContext::default());
    conversation.server_data(
        0,
        ANSWER,
        0,
        2,
        Timestamp(2),
        &mut CaptureContext::default(),
    );
    let start = ANSWER.len() as u64;
    for &(at, wire_len) in body {
        conversation.server_data(
            start + at,
            b"ab",
            wire_len,
            3,
            Timestamp(3),
            &mut CaptureContext::default(),
        );
    }
    conversation.server_closed(start + end, &mut CaptureContext::default());
    conversation.facts()
}

#[test]
fn gaps_and_cuts_inside_a_body_cost_nothing() {
    assert_eq!(
        download(&[(0, 1000), (90_000, 1000)], 100_000)
            .server
            .framing,
        Framing::Boundary
    );
    let cut = download(&[(70_000, 1000)], 71_000)
        .server
        .truncated()
        .unwrap()
        .what;
    let expected = What::ContentLength {
        announced: 100_000,
        received: 71_000,
    };
    assert_eq!(cut, expected);
    assert_eq!(download(&[], 0).server.truncated().unwrap().begun.frame, 2);
}

#[test]
fn a_segment_inside_a_body_is_passed_over_and_counted() {
    let mut conversation = Conversation::new();
    let mut context = CaptureContext::default();
    let time = Timestamp(0);
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    let start = head.len() as u64;
    assert!(conversation.client_data(0, b"GET / HTTP/1.1\r\n\r\n", 0, 1, time, &mut context));
    assert!(conversation.server_data(0, head, 0, 2, time, &mut context));
    assert!(!conversation.server_data(start, &[7; 600], 0, 3, time, &mut context));
    let Framing::Inside(unfinished) = conversation.facts().server.framing else {
        panic!("{:?}", conversation.facts().server.framing);
    };
    let (announced, received) = (1_000, 600);
    assert_eq!(
        unfinished.what,
        What::ContentLength {
            announced,
            received
        }
    );
    assert!(conversation.server_data(start + 600, &[7; 400], 0, 4, time, &mut context));
    assert_eq!(conversation.facts().server.framing, Framing::Boundary);
}

#[test]
fn gaps_inside_chunks_and_bodies_until_close_cost_nothing() {
    for (head, tail, framing) in [
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4000\r\n",
            "\r\n0\r\n\r\n",
            Framing::Boundary,
        ),
        ("HTTP/1.0 200 OK\r\n\r\n", "end", Framing::UntilClose),
    ] {
        let mut conversation = Conversation::new();
        conversation.client_data(0, GET, 0, 1, Timestamp(1), &mut CaptureContext::default());
        conversation.server_data(
            0,
            head.as_bytes(),
            0,
            2,
            Timestamp(2),
            &mut CaptureContext::default(),
        );
        let after = head.len() as u64 + 0x4000;
        conversation.server_data(
            after,
            tail.as_bytes(),
            0,
            3,
            Timestamp(3),
            &mut CaptureContext::default(),
        );
        assert_eq!(conversation.facts().server.framing, framing, "{head}");
    }
}

#[test]
fn a_frame_whose_last_byte_was_not_captured_is_not_checked() {
    let turns = h2::exchange();
    let arrived = pieces(&turns);
    let (last, before) = arrived.split_last().unwrap();
    let short = Piece {
        bytes: last.bytes[..10].to_vec(),
        ..last.clone()
    };
    let facts = facts_of(&[before, &[short]].concat(), &turns);
    assert_eq!(facts.server.framing, Framing::Unknown(Unreadable::Gap));
    // A record has nothing to tell at its end.
    let mut conversation = Conversation::new();
    conversation.server_data(
        0,
        b"\x17\x03\x03\x00\x10",
        0,
        1,
        Timestamp(1),
        &mut CaptureContext::default(),
    );
    conversation.server_closed(21, &mut CaptureContext::default());
    assert_eq!(conversation.facts().server.framing, Framing::Boundary);
}

#[test]
fn much_reordering_is_followed_as_long_as_little_waits() {
    let mut conversation = Conversation::new();
    let record = [&b"\x17\x03\x03\x03\xfb"[..], &[0; 1019]].concat();
    for pair in 0..500 {
        // The first of each pair comes last, and every header is needed.
        for index in [1, 0] {
            conversation.server_data(
                (pair * 2 + index) * 1024,
                &record,
                0,
                1,
                Timestamp(1),
                &mut CaptureContext::default(),
            );
        }
    }
    conversation.server_closed(1024 * 1000, &mut CaptureContext::default());
    assert_eq!(conversation.facts().server.framing, Framing::Boundary);
}

#[test]
fn a_gap_where_a_header_belongs_is_not_called_truncation() {
    let mut conversation = Conversation::new();
    conversation.client_data(0, GET, 0, 1, Timestamp(1), &mut CaptureContext::default());
    conversation.server_data(
        0,
        &ANSWER[..20],
        0,
        2,
        Timestamp(2),
        &mut CaptureContext::default(),
    );
    conversation.server_data(
        25,
        &ANSWER[25..],
        0,
        3,
        Timestamp(3),
        &mut CaptureContext::default(),
    );
    conversation.server_closed(ANSWER.len() as u64, &mut CaptureContext::default());
    let facts = conversation.facts();
    assert_eq!(facts.server.framing, Framing::Unknown(Unreadable::Gap));
    assert_eq!(facts.server.truncated(), None);
    assert_eq!(facts.awaiting, None);
    assert!(conversation.wants());
    conversation.server_data(
        20,
        &ANSWER[20..25],
        0,
        4,
        Timestamp(4),
        &mut CaptureContext::default(),
    );
    assert!(conversation.facts().server.truncated().is_some());
    assert!(conversation.facts().http.responses == 1);
}

#[test]
fn a_connection_joined_late_is_unknown() {
    let mut conversation = Conversation::new();
    conversation.server_data(
        5000,
        ANSWER,
        0,
        1,
        Timestamp(1),
        &mut CaptureContext::default(),
    );
    conversation.server_closed(6000, &mut CaptureContext::default());
    assert_eq!(
        conversation.facts().server.framing,
        Framing::Unknown(Unreadable::Gap)
    );
    assert_eq!(conversation.facts().server.protocol, None);
    assert!(!conversation.facts().server.begins_with_text);
}

#[test]
fn a_header_cut_by_the_snap_length_still_names_the_request() {
    let mut conversation = Conversation::new();
    conversation.client_data(
        0,
        &GET[..20],
        28,
        1,
        Timestamp(1),
        &mut CaptureContext::default(),
    );
    let facts = conversation.facts();
    assert_eq!(facts.client.framing, Framing::Unknown(Unreadable::Cut));
    assert_eq!(facts.http.last_request.unwrap().target(), "/");
    assert_eq!(facts.client.protocol, Some(AppProtocol::Http1Request));
}

#[test]
fn the_first_bytes_are_kept_in_any_order() {
    let mut opening = Opening::default();
    opening.record(2, b"cdef");
    assert_eq!(opening.bytes(), b"");
    opening.record(0, b"ab");
    assert_eq!(opening.bytes(), b"abcdef");
    opening.record(30, b"yz too many");
    opening.record(1, &[b'?'; 100]);
    assert_eq!(opening.bytes(), b"abcdef????????????????????????yz");
    assert!(opening.is_full());
    opening.record(u64::MAX, b"x");
}

// Bounds.

/// What one conversation may hold: per direction what is out of order and what waits, then requests and streams.
const BOUND: usize = 256 * 1024;

/// Feeds a flood and returns the most that was held.
fn flood(segments: impl Iterator<Item = (bool, u64, Vec<u8>)>) -> usize {
    let mut conversation = Conversation::new();
    let mut most = 0;
    for (from_client, at, bytes) in segments {
        match from_client {
            true => conversation.client_data(
                at,
                &bytes,
                0,
                1,
                Timestamp(1),
                &mut CaptureContext::default(),
            ),
            false => conversation.server_data(
                at,
                &bytes,
                0,
                1,
                Timestamp(1),
                &mut CaptureContext::default(),
            ),
        };
        most = most.max(conversation.retained());
    }
    most
}

#[test]
fn floods_stay_inside_the_bound() {
    let scattered = |step: u64, size: usize| {
        flood((1..200_000_u64).map(move |index| (index % 2 == 0, index * step, vec![b'x'; size])))
    };
    assert!(scattered(2, 1) < BOUND);
    assert!(scattered(3000, 1460) < BOUND);

    let one_by_one = |text: &[u8], fill: u8| {
        let text: Vec<_> = text.iter().copied().chain(vec![fill; 300_000]).collect();
        flood((0..).zip(text).map(|(at, byte)| (false, at, vec![byte])))
    };
    // Nothing to answer, so it all waits; a header without end; lines without end.
    assert!(one_by_one(b"HTTP/1.1 200 OK\r\n\r\n", b'x') < BOUND);
    assert!(one_by_one(b"HTTP/1.1 200 OK\r\nA: ", b'x') < BOUND);
    assert!(one_by_one(b"HTTP/1.1 200 OK\r\n", b'\r') < BOUND);

    let request = format!("GET /{0} HTTP/1.1\r\nHost: {0}\r\n\r\n", "x".repeat(400));
    let length = request.len() as u64;
    let requests = (0..5000).map(|index| (true, index * length, request.clone().into_bytes()));
    let held = flood(requests);
    assert!((32 * 1024..BOUND).contains(&held), "{held}");

    let streams =
        (0..50_000_u32).map(|index| (true, u64::from(index) * 9 + 24, h2::headers(index * 2 + 1)));
    let preface = std::iter::once((true, 0, crate::http2::PREFACE.to_vec()));
    let held = flood(preface.chain(streams));
    assert!((32 * 1024..BOUND).contains(&held), "{held}");
}

#[test]
fn nothing_is_held_in_the_usual_case() {
    let mut conversation = Conversation::new();
    assert!(size_of::<Conversation>() <= 16);
    conversation.client_data(0, GET, 0, 1, Timestamp(1), &mut CaptureContext::default());
    conversation.server_data(
        0,
        ANSWER,
        0,
        2,
        Timestamp(2),
        &mut CaptureContext::default(),
    );
    let before = conversation.retained();
    for index in 0..60 {
        conversation.server_data(
            ANSWER.len() as u64 + index * 1000,
            &[b'x'; 1000],
            0,
            3,
            Timestamp(3),
            &mut CaptureContext::default(),
        );
    }
    assert_eq!(conversation.retained(), before);
    assert!(before < 4096, "{before}");
}

#[test]
fn finishing_tells_the_same_facts_and_lets_everything_go() {
    for (name, turns) in corpus() {
        let all = segments(&turns, 7);
        // Whole, and with each of the first segments missing.
        for missing in (0..all.len().min(12)).map(Some).chain([None]) {
            let mut conversation = Conversation::new();
            for (index, piece) in all.iter().enumerate() {
                if Some(index) != missing {
                    feed(&mut conversation, piece);
                }
            }
            let known = conversation.facts();
            assert_eq!(
                conversation.finish().as_deref(),
                Some(&known),
                "{name}, {missing:?}"
            );
            assert_eq!(
                (conversation.wants(), conversation.retained()),
                (false, 0),
                "{name}"
            );
            feed(&mut conversation, &all[0]);
            assert_eq!(conversation.finish(), None, "{name}");
        }
    }
}
