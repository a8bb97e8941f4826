//! Masses of attempts that nothing answered or that were refused, of which a report takes little.

use std::fmt::Write as _;

use wirewhy_detect::{
    Diagnosis, Limits, Severity, TrustStore, diagnose_briefly, diagnose_unopened,
};
use wirewhy_flow::{Bounds, Over, Tracker, Unopened};
use wirewhy_packet::Decoder;
use wirewhy_report::{Color, Names, Reporter, Selection, Text, TextStyle, View};
use wirewhy_testkit::trace;

use crate::sample::{capture, totals};

/// Attempts of many clients at many services; the last of them have not waited for an answer long enough, unless they were refused.
fn attempts() -> Vec<Unopened> {
    let mut lines = String::new();
    for number in 1..=1_500 {
        let client = if number > 700 && number % 4 > 0 {
            99
        } else {
            number * 7 % 41
        };
        let (host, port) = (number % 250, 80 + number / 250);
        writeln!(lines, "#{number} client 10.0.0.{client}:{}", 2_000 + number).unwrap();
        writeln!(lines, "#{number} server 10.1.0.{host}:{port}").unwrap();
    }
    for number in 1..=1_500 {
        writeln!(
            lines,
            "{}.{:03} #{number} > S 0:0(0)",
            number / 200,
            number % 200
        )
        .unwrap();
        if number % 3 == 0 {
            let (second, later) = (number / 200, number % 200);
            writeln!(lines, "{second}.{later:03} #{number} < RA 0:0(0) ack 1").unwrap();
        }
    }
    let (mut tracker, mut decoder) = (Tracker::new(Bounds::default()), Decoder::new());
    let mut attempts = Vec::new();
    let mut take = |over| match over {
        Over::Unopened(attempt) => attempts.push(attempt),
        other => panic!("{other:?}"),
    };
    for frame in &trace(&lines) {
        tracker.observe_briefly(&decoder.decode(&frame.as_frame()), &mut take);
    }
    let mut left = tracker.end();
    while let Some(over) = tracker.next_left(&mut left) {
        take(over);
    }
    assert_eq!(attempts.len(), 1_500);
    attempts
}

/// Reports attempts, as little of each as the reporter takes or as connections. Returns of how many it took little.
fn report(attempts: &[Unopened], counts: bool, reporter: &mut dyn Reporter) -> usize {
    let (limits, trust) = (Limits::default(), TrustStore::mozilla());
    let mut diagnoses: Vec<Diagnosis> = Vec::new();
    let mut counted = 0;
    for attempt in attempts {
        let finding = diagnose_unopened(attempt, &limits);
        let mut diagnosis = diagnose_briefly(attempt.connection(), &limits, &trust);
        diagnosis.put_into_words(&limits);
        if counts && reporter.count_unopened(attempt, finding.as_ref()) {
            counted += 1;
        } else {
            reporter.connection(&diagnosis).unwrap();
        }
        diagnoses.push(diagnosis);
    }
    reporter
        .finish(&capture(), &totals(&diagnoses), &[])
        .unwrap();
    counted
}

#[test]
fn what_is_counted_makes_the_same_report() {
    let attempts = attempts();
    let views = [
        View::default(),
        View {
            all: true,
            ..View::default()
        },
        View {
            selection: Selection {
                ignore: vec!["tcp.*".to_owned()],
                ..Selection::default()
            },
            ..View::default()
        },
        View {
            min_severity: Some(Severity::Error),
            ..View::default()
        },
    ];
    for view in views {
        let text = |counts| {
            let mut out = Vec::new();
            let style = TextStyle::new(100, Color::Never);
            let mut text = Text::new(&mut out, style, view.clone(), Names::default());
            let counted = report(&attempts, counts, &mut text);
            (String::from_utf8(out).unwrap(), counted)
        };
        let ((counted, many), (reported, none)) = (text(true), text(false));
        assert_eq!(counted, reported);
        assert_eq!(none, 0);
        assert!(many > 500, "{many}");
    }
}
