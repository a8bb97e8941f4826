//! Records that are kept small count as the connections they stand for.

use std::fmt::Write as _;

use wirewhy_detect::{
    Finding, Outcome, Role, TrustStore, diagnose_briefly, diagnose_unopened, finds_nothing,
};
use wirewhy_flow::{Bounds, Over, Tracker};
use wirewhy_packet::Decoder;
use wirewhy_testkit::{Random, trace};

use super::*;

/// Attempts without an answer and refused ones, some connections that were answered in several ways, and a stray answer.
fn lines(dice: &mut Random) -> String {
    let mut lines = String::new();
    for number in 1..=40 {
        let client = ["192.0.2.1", "192.0.2.2", "127.0.0.1", "[2001:db8::7]"][dice.below(4)];
        let server = match client {
            "[2001:db8::7]" => "[2001:db8::1]".to_owned(),
            _ => format!("198.51.100.{}", dice.below(3)),
        };
        let port = [80, 20, 4_000, 21][dice.below(4)];
        let from = 40_000 + dice.below(20);
        writeln!(lines, "#{number} client {client}:{from}").unwrap();
        writeln!(lines, "#{number} server {server}:{port}").unwrap();
    }
    let mut time = 0.0;
    for number in 1..=40 {
        time += [0.01, 0.3, 2.0][dice.below(3)];
        let options = ["", " <mss 1460,ts 9 0>", " ttl 5", " <mss 1460>"][dice.below(4)];
        writeln!(lines, "{time:.3} #{number} > S 0:0(0){options}").unwrap();
        let behind = match dice.below(12) {
            0 => "0.01 < RA 0:0(0) ack 1",
            4 => "0.01 < RA 0:0(0) ack 1 ttl 61",
            5 => "0.01 < RA 0:0(0) ack 1\n1.1 > S 0:0(0)",
            1 => "0.01 < SA 0:0(0) ack 1\n0.02 > A 1:1(0) ack 1",
            2 => "0.01 < SA 0:0(0) ack 1\n0.02 > R 1:1(0)",
            3 => "1.0 > S 0:0(0)",
            _ => continue,
        };
        for line in behind.lines() {
            let (after, rest) = line.split_once(' ').unwrap();
            let after: f64 = after.parse().unwrap();
            writeln!(lines, "{:.3} #{number} {rest}", time + after).unwrap();
        }
        time += 1.1;
    }
    let end = time + [0.0, 2.0, 90.0][dice.below(3)];
    writeln!(lines, "{end:.3} end").unwrap();
    lines
}

/// The connections of a trace, in the order in which they were handed over.
fn followed(lines: &str) -> Vec<Over> {
    let mut tracker = Tracker::new(Bounds::default());
    let mut decoder = Decoder::new();
    let mut all = Vec::new();
    for frame in &trace(lines) {
        let packet = decoder.decode(&frame.as_frame());
        tracker.observe_briefly(&packet, &mut |over| all.push(over));
    }
    let mut left = tracker.end();
    all.extend(std::iter::from_fn(|| tracker.next_left(&mut left)));
    all
}

#[test]
fn an_attempt_that_opened_nothing_counts_as_its_connection_does() {
    let (limits, trust) = (Limits::default(), TrustStore::mozilla());
    let (mut brief, mut failed, mut unmoved) = (0, 0, 0);
    let (mut refused, mut by_devices) = (0, 0);
    for seed in 1..=150 {
        let lines = lines(&mut Random::new(seed * 0x9e37_79b9));
        let (mut whole, mut small) = (Survey::default(), Survey::default());
        let mut attempts = Vec::new();
        for over in followed(&lines) {
            let Over::Unopened(attempt) = over else {
                let diagnosis = diagnose_briefly(over.into_connection(), &limits, &trust);
                whole.note(&diagnosis, &limits);
                small.note(&diagnosis, &limits);
                continue;
            };
            let found = diagnose_unopened(&attempt, &limits);
            let diagnosis = diagnose_briefly(attempt.connection(), &limits, &trust);
            let root = diagnosis.root_cause();
            let culprit = |found: &Finding| (found.code, found.culprit, found.confidence);
            assert_eq!(root.map(culprit), found.as_ref().map(culprit), "{lines}");
            if root.is_some_and(|root| root.culprit.role == Role::Path) {
                whole.note(&diagnosis, &limits);
                small.note(&diagnosis, &limits);
                by_devices += 1;
                continue;
            }
            refused += u32::from(attempt.refused().is_some());
            assert_eq!(diagnosis.findings.first(), found.as_ref(), "{lines}");
            whole.note(&diagnosis, &limits);
            small.note_unopened(&attempt, found.as_ref(), &limits);
            assert_eq!(
                Survey::may_revise(&diagnosis, &limits),
                found.is_some(),
                "{lines}"
            );
            attempts.push((attempt, diagnosis));
        }
        assert_eq!(format!("{small:#?}"), format!("{whole:#?}"), "{lines}");
        for (attempt, diagnosis) in attempts {
            brief += 1;
            let has_failed = !diagnosis.findings.is_empty();
            failed += u32::from(has_failed);
            let mut revised = diagnosis.clone();
            whole.revise(&mut revised, &limits);
            if !small.may_bear_on(&attempt, has_failed, &limits) {
                assert_eq!(revised, diagnosis, "{lines}");
                unmoved += 1;
            }
        }
    }
    assert!(unmoved > 1_000, "{unmoved} of {brief}");
    assert!(refused > 200 && by_devices > 5, "{refused}, {by_devices}");
    assert!((1_000..brief - 50).contains(&failed), "{failed} of {brief}");
}

/// Requests that are answered, most of them soon and in one piece, on connections that both sides close.
fn exchanges(dice: &mut Random) -> String {
    let mut lines = String::new();
    for number in 1..=12 {
        let server = format!("198.51.100.{}", dice.below(3));
        let port = [80, 4_000, 25, 20][dice.below(8) % 4];
        let (client, from) = (dice.below(3), 40_000 + number);
        writeln!(lines, "#{number} client 192.0.2.{client}:{from}").unwrap();
        writeln!(lines, "#{number} server {server}:{port}").unwrap();
    }
    let mut time = 0.0;
    let mut later = |dice: &mut Random| {
        time += [0.001, 0.001, 0.002, 0.04, 0.3, 0.6, 1.2][dice.below(40) / 6];
        time
    };
    for number in 1..=12 {
        let mut line = |time: f64, words: String| {
            writeln!(lines, "{time:.4} #{number} {words}").unwrap();
        };
        let window = ["", " win 17"][dice.below(9) / 8];
        line(later(dice), "> S 0:0(0) <mss 1460,wscale 7>".to_owned());
        line(
            later(dice),
            "< SA 0:0(0) ack 1 <mss 1460,wscale 7>".to_owned(),
        );
        line(later(dice), format!("> A 1:1(0) ack 1{window}"));
        let (mut asked, mut answered) = (1, 1);
        for turn in 0..1 + dice.below(3) {
            let get = format!("GET /{turn} HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n");
            let next = asked + 28;
            line(
                later(dice),
                format!("> PA {asked}:{next}(28) ack {answered} \"{get}\""),
            );
            asked = next;
            let ok = "HTTP/1.1 200 OK\\r\\nContent-Length: 17\\r\\n\\r\\n";
            let next = answered + 39;
            line(
                later(dice),
                format!("< A {answered}:{next}(39) ack {asked} \"{ok}\""),
            );
            answered = next;
            if dice.below(2) == 0 {
                line(
                    later(dice),
                    format!("> A {asked}:{asked}(0) ack {answered}"),
                );
            }
            let next = answered + 17;
            line(
                later(dice),
                format!("< PA {answered}:{next}(17) ack {asked}"),
            );
            answered = next;
            line(
                later(dice),
                format!("> A {asked}:{asked}(0) ack {answered}"),
            );
        }
        line(
            later(dice),
            format!("> FA {asked}:{asked}(0) ack {answered}"),
        );
        asked += 1;
        line(
            later(dice),
            format!("< FA {answered}:{answered}(0) ack {asked}"),
        );
        answered += 1;
        line(
            later(dice),
            format!("> A {asked}:{asked}(0) ack {answered}"),
        );
    }
    lines
}

#[test]
fn a_connection_that_went_well_counts_as_its_diagnosis_does() {
    let (limits, trust) = (Limits::default(), TrustStore::mozilla());
    let (mut uneventful, mut noticed) = (0, 0);
    for seed in 1..=150 {
        let lines = exchanges(&mut Random::new(seed * 0x9e37_79b9));
        let (mut whole, mut small) = (Survey::default(), Survey::default());
        for over in followed(&lines) {
            let healthy = match over {
                Over::Healthy(healthy) if finds_nothing(&healthy, &limits) => healthy,
                other => {
                    let diagnosis = diagnose_briefly(other.into_connection(), &limits, &trust);
                    whole.note(&diagnosis, &limits);
                    small.note(&diagnosis, &limits);
                    noticed += u32::from(!diagnosis.findings.is_empty());
                    continue;
                }
            };
            uneventful += 1;
            let diagnosis = diagnose_briefly(healthy.connection(), &limits, &trust);
            assert_eq!(diagnosis.findings, [], "{lines}");
            assert_eq!(diagnosis.outcome(), Outcome::Ok, "{lines}");
            assert!(!Survey::may_revise(&diagnosis, &limits), "{lines}");
            whole.note(&diagnosis, &limits);
            small.note_healthy(&healthy, &limits);
            let mut revised = diagnosis.clone();
            whole.revise(&mut revised, &limits);
            assert!(
                revised == diagnosis || small.may_bear_on_healthy(&healthy),
                "{lines}"
            );
        }
        assert_eq!(format!("{small:#?}"), format!("{whole:#?}"), "{lines}");
    }
    assert!(uneventful > 300, "{uneventful}");
    assert!(noticed > 100, "{noticed}");
}
