//! Captures cut in pieces, recorded twice, or of different networks.

use std::collections::BTreeSet;

use wirewhy_packet::Interval;
use wirewhy_testkit::{OwnedFrame, trace};

use super::{Across, Captured, Episode, Judgement, Said};
use crate::testing::tallied;
use crate::{Confidence, Limits, Scope};

const REFUSED: &[&str] = &["20 < RA 0:0(0) ack 1 abs-seq win 0"];
const SILENT: &[&str] = &["1000 > S 0:0(0)", "3000 > S 0:0(0)"];
const ANSWERED: &[&str] = &["20 < SA 0:0(0) ack 1"];
const WORKS: &[&str] = &[
    "20 < SA 0:0(0) ack 1",
    "30 > A 1:1(0) ack 1",
    "40 > PA 1:11(10) ack 1",
    "60 < PA 1:11(10) ack 11",
    "70 > FA 11:11(0) ack 11",
    "80 < FA 11:11(0) ack 12",
    "90 > A 12:12(0) ack 12",
];
const RESET: &[&str] = &[
    "20 < SA 0:0(0) ack 1",
    "30 > A 1:1(0) ack 1",
    "40 > PA 1:11(10) ack 1",
    "60 < RA 1:1(0) ack 11",
];

/// An attempt: when in milliseconds, of whom, at what, and what becomes of it.
struct Attempt<'a>(u64, String, String, &'a [&'a str]);

/// The frames of attempts, and those of a capture that runs on for so many seconds.
fn frames(attempts: &[Attempt<'_>], rest: u64) -> Vec<OwnedFrame> {
    let mut lines: Vec<(u64, String)> = Vec::new();
    let mut heads = String::new();
    for (n, Attempt(at, client, server, fate)) in (1_u32..).zip(attempts) {
        let port = 20_000 + n;
        heads += &format!(
            "#{n} client {client}:{port} isn {}\n#{n} server {server}\n",
            n * 7_919
        );
        lines.push((*at, format!("#{n} > S 0:0(0)")));
        for line in *fate {
            let (after, line) = line.split_once(' ').unwrap();
            lines.push((at + after.parse::<u64>().unwrap(), format!("#{n} {line}")));
        }
    }
    lines.sort_by_key(|(at, _)| *at);
    let last = lines.last().map_or(0, |(at, _)| *at);
    lines.push((last + rest * 1_000, "end".to_owned()));
    for (at, line) in lines {
        heads += &format!("{}.{:03} {line}\n", at / 1_000, at % 1_000);
    }
    trace(&heads)
}

/// Attempts at one service, every so many milliseconds, of clients in turn.
fn at_service<'a>(every: u64, fates: &[&'a [&'a str]]) -> Vec<OwnedFrame> {
    let attempts: Vec<Attempt<'a>> = (0_u64..)
        .zip(fates)
        .map(|(n, fate)| {
            let client = format!("192.0.2.{}", n % 4 + 1);
            Attempt(n * every, client, "198.51.100.1:80".to_owned(), fate)
        })
        .collect();
    frames(&attempts, 90)
}

fn captured(source: &str, frames: &[OwnedFrame]) -> Captured {
    let mut own = frames.to_vec();
    for (number, frame) in (1..).zip(&mut own) {
        frame.number = number;
    }
    let (tallies, found) = tallied(&own);
    let from = own.iter().map(|frame| frame.time).min().unwrap();
    let said = found.into_iter().filter(|found| {
        matches!(found.scope, Scope::Host | Scope::Service) && found.finding.code != "tcp.probe"
    });
    Captured {
        source: source.to_owned(),
        from,
        until: own.iter().map(|frame| frame.time).max().unwrap(),
        size: (own.len().try_into().unwrap(), 0),
        tallies,
        said: said
            .map(|found| Said {
                code: found.finding.code.to_owned(),
                severity: found.finding.severity,
                scope: found.scope,
                subject: found.subject,
                captures: 1,
                contradicted: 0,
                first: from,
            })
            .collect(),
    }
}

fn judged(captures: Vec<Captured>) -> Judgement {
    let limits = Limits::default();
    let mut episode = Episode::default();
    for captured in captures {
        episode.add(captured, &limits);
    }
    episode.judge(&limits)
}

/// The frames cut in files behind these numbers of frames.
fn cut(frames: &[OwnedFrame], behind: &[usize]) -> Vec<Captured> {
    let mut begin = 0;
    let mut captures = Vec::new();
    for end in behind.iter().copied().chain([frames.len()]) {
        if begin < end {
            let source = format!("ring/{:05}.pcap", captures.len());
            captures.push(captured(&source, &frames[begin..end]));
        }
        begin = end;
    }
    captures
}

/// What is told of whom, be it by captures together or by one of them.
fn told(judgement: &Judgement) -> BTreeSet<(String, String)> {
    let across = judgement
        .across
        .iter()
        .map(|(across, _)| (across.finding.code.to_owned(), across.subject.clone()));
    let said = { &judgement.said }
        .iter()
        .filter(|said| said.contradicted == 0)
        .map(|said| (said.code.clone(), said.subject.clone()));
    across.chain(said).collect()
}

fn pattern<'a>(text: &str) -> Vec<&'a [&'a str]> {
    let fate = |letter| match letter {
        'r' => REFUSED,
        's' => SILENT,
        'a' => ANSWERED,
        'x' => RESET,
        _ => WORKS,
    };
    text.chars().map(fate).collect()
}

fn scan(ports: u16, every: u64) -> Vec<OwnedFrame> {
    let attempts: Vec<Attempt<'_>> = (1..=ports)
        .map(|port| {
            let target = format!("198.51.100.9:{port}");
            Attempt(
                u64::from(port) * every,
                "192.0.2.1".to_owned(),
                target,
                REFUSED,
            )
        })
        .collect();
    frames(&attempts, 90)
}

fn flood(many: u32, every: u64) -> Vec<OwnedFrame> {
    flood_with(ANSWERED, many, every)
}

fn flood_with(fate: &[&str], many: u32, every: u64) -> Vec<OwnedFrame> {
    let source = |n: u32| format!("203.0.{}.{}", n / 250, n % 250 + 1);
    let attempts: Vec<Attempt<'_>> = (0..many)
        .map(|n| {
            Attempt(
                u64::from(n) * every,
                source(n),
                "198.51.100.1:80".to_owned(),
                fate,
            )
        })
        .chain([Attempt(
            1,
            "192.0.2.1".to_owned(),
            "198.51.100.7:443".to_owned(),
            WORKS,
        )])
        .collect();
    frames(&attempts, 90)
}

/// Cuts once behind every frame, and into rings of several sizes.
fn cuts(frames: &[OwnedFrame], step: usize) -> Vec<Vec<usize>> {
    let once = (1..frames.len()).step_by(step).map(|at| vec![at]);
    let rings = [2, 3, 7, 20].map(|files: usize| {
        let size = frames.len().div_ceil(files).max(1);
        (1..files).map(|n| (n * size).min(frames.len())).collect()
    });
    once.chain(rings).collect()
}

/// Traces, and how many frames lie between the places where they are cut.
fn whole() -> Vec<(Vec<OwnedFrame>, usize)> {
    vec![
        (at_service(1_000, &pattern("rrrrrrrr")), 1),
        (at_service(9_000, &pattern("ssssssss")), 1),
        (at_service(1_000, &pattern("wwwrwwwrwwrwwwrrwwwrwwwr")), 3),
        (at_service(1_000, &pattern("wwwwwwwwrrrrrr")), 1),
        (at_service(9_000, &pattern("wwwwsssssswwww")), 1),
        (at_service(1_000, &pattern("wwwwwwwwwwwwwwwwwwww")), 1),
        (at_service(1_000, &pattern("rr")), 1),
        (scan(60, 100), 3),
        (scan(12, 100), 1),
        (flood(600, 20), 40),
        (flood(100, 20), 20),
    ]
}

#[test]
fn pieces_tell_what_the_whole_tells_and_nothing_else() {
    for (number, (frames, step)) in (0..).zip(whole()) {
        let expected = told(&judged(vec![captured("whole.pcap", &frames)]));
        let last = frames[frames.len() - 2].time;
        for behind in cuts(&frames, step) {
            let found = judged(cut(&frames, &behind));
            let told = told(&found);
            let what = format!("trace {number} cut behind {behind:?}: {found:#?}");
            assert!(told.is_subset(&expected), "{what}");
            // Each cut may go through an attempt, which then is none; and within a second nothing is known to be half-open.
            let files = behind.len() + 1;
            let seconds = last.since(frames[0].time).as_secs_f64();
            if files <= 2 || frames.len() / files >= 10 && seconds / files as f64 >= 1.5 {
                assert_eq!(told, expected, "{what}");
            }
        }
    }
}

#[test]
fn however_small_the_pieces_they_tell_nothing_else() {
    for (number, (frames, _)) in (0..).zip(whole()) {
        let expected = told(&judged(vec![captured("whole.pcap", &frames)]));
        let mut later = frames.clone();
        for frame in &mut later {
            frame.time = frame.time.after(Interval::from_millis(3));
        }
        for size in [1, 2, 3, 5, 8, 13] {
            let behind =
                |size: usize| -> Vec<usize> { (size..frames.len()).step_by(size).collect() };
            let once = judged(cut(&frames, &behind(size)));
            // And recorded in two places at once.
            let mut captures = cut(&frames, &behind(size));
            captures.extend(
                cut(&later, &behind(size * 2 - 1))
                    .into_iter()
                    .map(|captured| Captured {
                        source: format!("far/{}", captured.source),
                        ..captured
                    }),
            );
            for found in [once, judged(captures)] {
                let told = told(&found);
                assert!(
                    told.is_subset(&expected),
                    "trace {number} by {size}: {found:#?}"
                );
            }
        }
    }
}

#[test]
fn an_attempt_under_way_at_the_end_of_a_file_has_neither_worked_nor_failed() {
    let frames = at_service(1_000, &pattern("xxxxxxxx"));
    let expected = told(&judged(vec![captured("whole.pcap", &frames)]));
    assert_eq!(expected.len(), 1);
    for behind in cuts(&frames, 1) {
        let mut found = judged(cut(&frames, &behind));
        // What one of them says by itself stands as it is.
        found.said.clear();
        assert!(told(&found).is_subset(&expected), "{behind:?}: {found:#?}");
    }
}

/// The only thing that captures show together.
fn only(judgement: &Judgement) -> &Across {
    let [(across, _)] = judgement.across.as_slice() else {
        panic!("{judgement:#?}");
    };
    across
}

/// Cut into so many files of the same length in time, each named as given.
fn ring(name: &str, frames: &[OwnedFrame], seconds: i64) -> Vec<Captured> {
    let first = frames[0].time;
    let file = |frame: &OwnedFrame| frame.time.since(first).0 / (seconds * 1_000_000_000);
    frames
        .chunk_by(|a, b| file(a) == file(b))
        .zip(0..)
        .map(|(part, number)| captured(&format!("{name}{number}"), part))
        .collect()
}

#[test]
fn one_attempt_a_file_and_none_worked() {
    let frames = at_service(60_000, &pattern("rrrrrr"));
    let mut captures = ring("ring.pcap", &frames, 60);
    assert_eq!(captures.len(), 7);
    assert!(captures.iter().all(|captured| captured.said.is_empty()));
    // A ring that wrapped around is not in the order of its names.
    captures.rotate_left(3);
    let found = judged(captures);
    let down = only(&found);
    assert_eq!(
        (down.finding.code, down.subject.as_str()),
        ("service.down", "198.51.100.1:80")
    );
    assert!(
        down.finding
            .summary
            .starts_with("all 6 attempts of 4 clients over 300 s"),
        "{down:?}"
    );
    assert_eq!((down.captures, down.in_trouble), (6, 6));
    assert_eq!(down.proofs[0].source, "ring.pcap0");
    assert_eq!(down.proofs[0].frames, [2]);
    assert_eq!(down.last_source, "ring.pcap5");
    assert!(down.finding.frames.is_empty());
}

#[test]
fn down_in_one_file_and_well_in_the_others() {
    let frames = at_service(10_000, &pattern("wwwwwwrrrrrrwwwwwwwwwwww"));
    let found = judged(ring("ring.pcap", &frames, 60));
    let flaky = only(&found);
    assert_eq!(flaky.finding.code, "service.flaky");
    let summary = &flaky.finding.summary;
    assert!(
        summary.starts_with("6 of 24 attempts failed (25 %)"),
        "{summary}"
    );
    assert!(
        summary.contains("all of them within 50.0 s of the 230 s"),
        "{summary}"
    );
    assert_eq!((flaky.captures, flaky.in_trouble), (4, 1));
    assert!(found.said.is_empty(), "{found:#?}");
    assert_eq!(found.across[0].1[0].code, "service.down");
    let frames = at_service(10_000, &pattern("wwwwwwwwwwwwrrrrrrrrrrrr"));
    let summary = only(&judged(ring("ring.pcap", &frames, 60)))
        .finding
        .summary
        .clone();
    assert!(
        summary.contains("since 2026-01-02 03:06:05 UTC none worked"),
        "{summary}"
    );
}

#[test]
fn a_short_outage_of_a_busy_service_is_that_of_its_capture() {
    let fates = format!("{}rrrr{}", "w".repeat(120), "w".repeat(80));
    let found = judged(ring("ring.pcap", &at_service(500, &pattern(&fates)), 2));
    assert!(found.across.is_empty(), "{found:#?}");
    let [down] = found.said.as_slice() else {
        panic!("{found:#?}");
    };
    assert_eq!(
        (down.code.as_str(), down.captures, down.contradicted),
        ("service.down", 1, 1)
    );
}

#[test]
fn the_same_attempts_count_once() {
    let two = at_service(1_000, &pattern("rr"));
    let mut later = two.clone();
    for frame in &mut later {
        frame.time = frame.time.after(Interval::from_millis(7));
    }
    let copies = |frames: [&[OwnedFrame]; 4]| {
        let names = ["a/one.pcap", "b/two.pcap", "c/three.pcap", "d/four.pcap"];
        let copies = names.into_iter().zip(frames);
        judged(
            copies
                .map(|(name, frames)| captured(name, frames))
                .collect(),
        )
    };
    // The same file, one recorded elsewhere, and ones that overlap.
    assert!(told(&copies([&two, &two, &later, &two[1..]])).is_empty());
    assert!(told(&copies([&two[..2], &two, &later[..3], &two[2..]])).is_empty());
    let six = at_service(1_000, &pattern("rrrrrr"));
    let mut shifted = six.clone();
    for frame in &mut shifted {
        frame.time = frame.time.after(Interval::from_millis(7));
    }
    let found = copies([&six, &six, &shifted, &six[4..]]);
    let summary = &only(&found).finding.summary;
    assert!(
        summary.starts_with("all 6 attempts of 4 clients"),
        "{summary}"
    );
}

#[test]
fn many_attempts_seen_twice_do_not_add_up() {
    let frames = at_service(1_000, &pattern(&"wwwwr".repeat(40)));
    let mut captures = ring("near/ring.pcap", &frames, 60);
    captures.extend(ring("far/trace", &frames[3..], 45));
    let found = judged(captures);
    let flaky = only(&found);
    let failed = flaky.finding.facts.value("failed");
    // 40 there were.
    let Some(crate::Value::Count(failed)) = failed else {
        panic!("{flaky:?}");
    };
    assert!((3..=44).contains(failed), "{failed}");
}

#[test]
fn a_client_that_asks_again_in_the_next_file_is_one_attempt() {
    // Cut between the repeated SYNs, each file judges the attempt by itself.
    const INSISTS: &[&str] = &[
        "1000 > S 0:0(0)",
        "3000 > S 0:0(0)",
        "7000 > S 0:0(0)",
        "15000 > S 0:0(0)",
    ];
    let frames = at_service(60_000, &[INSISTS, INSISTS]);
    let found = judged(ring("ring.pcap", &frames, 7));
    assert!(told(&found).is_empty(), "{found:#?}");
    // And one that is answered in the end has not failed.
    const AT_LAST: &[&str] = &[
        "1000 > S 0:0(0)",
        "3000 > S 0:0(0)",
        "7000 > S 0:0(0)",
        "7020 < SA 0:0(0) ack 1",
        "7030 > A 1:1(0) ack 1",
        "7040 > PA 1:11(10) ack 1",
        "7060 < PA 1:11(10) ack 11",
        "7070 > FA 11:11(0) ack 11",
        "7080 < FA 11:11(0) ack 12",
        "7090 > A 12:12(0) ack 12",
    ];
    let frames = at_service(60_000, &[AT_LAST; 5]);
    let files: Vec<usize> = (0..5).map(|n| n * 11 + 3).collect();
    let found = judged(cut(&frames, &files));
    assert!(told(&found).is_empty(), "{found:#?}");
}

/// The same attempts in a network of its own.
fn elsewhere(frames: &[OwnedFrame], mac: u8) -> Vec<OwnedFrame> {
    let mut frames = frames.to_vec();
    for frame in &mut frames {
        for (place, byte) in frame.data[..12].iter_mut().enumerate() {
            *byte = if place % 6 == 1 { mac } else { *byte };
        }
    }
    frames
}

#[test]
fn the_same_addresses_in_another_network_are_others() {
    let frames = at_service(60_000, &pattern("rrrrrr"));
    let captures: Vec<Captured> = ring("x", &frames, 60)
        .into_iter()
        .zip(1..)
        .map(|(_, number)| {
            let own = elsewhere(
                &frames[(number - 1) * 2..number * 2],
                number.try_into().unwrap(),
            );
            captured(&format!("{number}.pcap"), &own)
        })
        .take(6)
        .collect();
    assert_eq!(captures.len(), 6);
    let found = judged(captures);
    assert!(told(&found).is_empty(), "{found:#?}");
    // Nor does what works in one of them clear the other.
    let well = elsewhere(&at_service(1_000, &pattern("wwwwwwww")), 9);
    let down = at_service(1_000, &pattern("wwwwwwwwrrrr"));
    let down = &down[8 * 8..];
    let found = judged(vec![
        captured("a/x.pcap", &well),
        captured("b/y.pcap", down),
    ]);
    assert!(found.across.is_empty());
    assert_eq!(found.said[0].code, "service.down");
    assert_eq!(found.said[0].contradicted, 0);
}

#[test]
fn what_works_another_way_makes_a_service_neither_down_nor_flaky() {
    let fates = format!("{}rrrrwrw", "w".repeat(150));
    let frames = at_service(1_000, &pattern(&fates));
    let (well, ill) = frames.split_at(150 * 8);
    let captures = |ill: &[OwnedFrame]| {
        let mut captures = ring("ill.pcap", ill, 2);
        captures.extend(ring("well.pcap", &elsewhere(well, 9), 60));
        judged(captures)
    };
    assert!(told(&captures(&ill[..8])).is_empty());
    let found = captures(ill);
    assert!(found.across.is_empty(), "{found:#?}");
    assert_eq!(
        only(&judged(ring("ill.pcap", ill, 2))).finding.code,
        "service.flaky"
    );
    assert_eq!(
        only(&judged(ring("ill.pcap", &ill[..8], 2))).finding.code,
        "service.down"
    );
}

#[test]
fn where_link_addresses_tell_nothing_only_one_recording_is_joined() {
    let without = |frames: &[OwnedFrame]| {
        let mut frames = frames.to_vec();
        for frame in &mut frames {
            frame.data[..12].fill(0);
        }
        frames
    };
    let frames = without(&at_service(60_000, &pattern("rrrrrr")));
    let found = judged(ring("host/ring.pcap", &frames, 60));
    assert_eq!(only(&found).finding.code, "service.down");
    let parts = |name: fn(usize) -> String| {
        let parts = (0..6).map(|n| captured(&name(n), &frames[n * 2..n * 2 + 2]));
        judged(parts.collect())
    };
    assert!(told(&parts(|n| format!("host{n}/x.pcap"))).is_empty());
    // Files that were recorded at the same time are not of one recording, whatever their names.
    let two = |n: usize| without(&at_service(500, &pattern("rr")[..n]));
    let found = judged(vec![
        captured("web1.pcap", &two(2)),
        captured("web2.pcap", &elsewhere(&two(1), 0)),
        captured("web3.pcap", &frames[..]),
    ]);
    assert!(found.across.is_empty(), "{found:#?}");
}

#[test]
fn a_scan_and_a_flood_over_rotation() {
    let found = judged(ring("ring.pcap", &scan(40, 1_000), 10));
    let scan = only(&found);
    assert_eq!(
        (scan.finding.code, scan.subject.as_str(), scan.in_trouble),
        ("host.port-scan", "192.0.2.1", 4)
    );
    let summary = &scan.finding.summary;
    assert!(
        summary.contains("tried 40 ports of 198.51.100.9 within 39.0 s"),
        "{summary}"
    );
    let found = judged(ring("ring.pcap", &flood(400, 25), 3));
    let flood = only(&found);
    assert_eq!(flood.finding.code, "host.syn-flood");
    let summary = &flood.finding.summary;
    // What begins in the last second of a file is not known to be half-open.
    assert!(
        summary.starts_with("240 half-open attempts from"),
        "{summary}"
    );
}

#[test]
fn a_flood_answered_behind_a_filter_and_not_before_it_is_one_flood() {
    let found = judged(vec![
        captured("client.pcap", &flood_with(&[], 400, 5)),
        captured("server.pcap", &flood(400, 5)),
    ]);
    let flood = only(&found);
    assert_eq!(flood.finding.code, "host.syn-flood");
    assert!(
        flood.finding.summary.starts_with("400 half-open"),
        "{flood:?}"
    );
}

#[test]
fn slow_failures_do_not_add_up_to_a_scan() {
    let found = judged(ring("ring.pcap", &scan(40, 60_000), 240));
    assert!(told(&found).is_empty(), "{found:#?}");
}

#[test]
fn strangers_who_knock_once_are_no_clients() {
    let knock = |clients: &[&str], fate| {
        let attempts: Vec<Attempt<'_>> = (0_u64..)
            .zip(clients)
            .map(|(n, client)| {
                let target = "198.51.100.1:23".to_owned();
                Attempt(n * 60_000, (*client).to_owned(), target, fate)
            })
            .collect();
        judged(ring("ring.pcap", &frames(&attempts, 9), 60))
    };
    let strangers = ["8.1.2.3", "9.4.5.6", "11.2.3.4", "12.2.3.4", "13.1.1.1"];
    assert!(told(&knock(&strangers, REFUSED)).is_empty());
    let insists = ["8.1.2.3", "8.1.2.3", "8.1.2.3", "8.1.2.3"];
    assert_eq!(only(&knock(&insists, REFUSED)).finding.code, "service.down");
    // Who was let in was no stranger.
    assert_eq!(only(&knock(&strangers, RESET)).finding.code, "service.down");
}

#[test]
fn nothing_is_said_where_a_capture_kept_no_account() {
    let mut captures = ring("ring.pcap", &at_service(60_000, &pattern("rrrrrr")), 60);
    // So many services that most of them are not told one by one; among them the one that fails elsewhere.
    let attempts: Vec<Attempt<'_>> = (0..2_000_u32)
        // Once, where all others are asked for twice.
        .filter(|n| *n != 1_079)
        .map(|n| {
            let (host, port) = (n % 1_000 / 200 + 1, n % 200 + 1);
            let target = format!("198.51.100.{host}:{port}");
            Attempt(u64::from(n) * 15, "192.0.2.1".to_owned(), target, WORKS)
        })
        .collect();
    let busy = captured("ring.pcap9", &frames(&attempts, 9));
    assert!(busy.tallies.services.len() < 800);
    let fails_elsewhere = ("198.51.100.1".parse().unwrap(), 80);
    let mut services = busy.tallies.services.iter();
    assert!(!services.any(|service| (service.address, service.port) == fails_elsewhere));
    captures.push(busy);
    let found = judged(captures);
    assert!(found.across.is_empty(), "{found:#?}");
}

#[test]
fn a_recording_of_nothing_but_syns_proves_nothing() {
    const ONCE: &[&str] = &[];
    let frames = at_service(60_000, &[ONCE; 6]);
    assert!(told(&judged(ring("ring.pcap", &frames, 60))).is_empty());
}

#[test]
fn episodes_that_become_one_are_judged_as_one() {
    let limits = Limits::default();
    let captures = ring(
        "ring.pcap",
        &at_service(10_000, &pattern("rrrrrrrrrrrr")),
        20,
    );
    let (mut one, mut other) = (Episode::default(), Episode::default());
    for (number, captured) in (0..).zip(captures) {
        let episode = if number % 3 == 1 {
            &mut other
        } else {
            &mut one
        };
        episode.add(captured, &limits);
    }
    one.join_waiting(2, &limits);
    other.join_waiting(1, &limits);
    one.absorb(other, &limits);
    let found = one.judge(&limits);
    let down = only(&found);
    assert!(
        down.finding.summary.starts_with("all 12 attempts"),
        "{down:?}"
    );
    assert_eq!(down.proofs[1].source, "ring.pcap1");
}

#[test]
fn one_direction_makes_less_sure() {
    let mut captures = ring("ring.pcap", &at_service(60_000, &pattern("rrrrrr")), 60);
    captures[2].tallies.one_direction = true;
    assert_eq!(
        only(&judged(captures)).finding.confidence,
        Confidence::Possible
    );
}
