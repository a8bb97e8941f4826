//! What is reported while connections go on.

use wirewhy_detect::{Diagnosis, Finding, Severity};
use wirewhy_packet::{Interval, Timestamp};
use wirewhy_report::{
    CaptureSummary, Color, LiveNdjson, LiveReporter, LiveText, Names, Screen, Status, TextStyle,
    View,
};
use wirewhy_survey::Totals;

use crate::json::assert_valid;
use crate::sample::{caveat, refused, totals};

const START: Timestamp = Timestamp(1_767_323_045_250_000_000);

fn at(millis: i64) -> Timestamp {
    START.after(Interval::from_millis(millis))
}

fn status(columns: usize) -> Status {
    Status {
        packets: 1_234_567,
        following: 210,
        failed: 3,
        dropped: 12,
        given_up: 0,
        memory: Some(74_000_000),
        columns,
    }
}

fn tell(reporter: &mut dyn LiveReporter, time: Timestamp, diagnosis: &Diagnosis) {
    for finding in &diagnosis.findings {
        reporter
            .finding(time, &diagnosis.connection, finding)
            .unwrap();
    }
}

fn on(screen: Screen, style: TextStyle, act: impl FnOnce(&mut LiveText<&mut Vec<u8>>)) -> String {
    let mut out = Vec::new();
    let mut text = LiveText::new(&mut out, screen, style, View::default(), Names::default());
    act(&mut text);
    drop(text);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_finding_is_a_line_with_time_ends_code_and_reason() {
    let written = on(Screen::Lines, TextStyle::default(), |text| {
        tell(text, at(0), &refused(0, "10.0.0.1:40000", "10.0.0.9:443"));
    });
    assert_eq!(
        written,
        "2026-01-02 03:04:05.250 error   tcp.refused 10.0.0.1 → 10.0.0.9:443: answered the SYN with a reset after 0.300 ms.\n"
    );
}

#[test]
fn a_terminal_gets_a_status_line_below_the_findings() {
    let written = on(Screen::Terminal, TextStyle::new(80, Color::Never), |text| {
        text.pulse(at(0), &status(80)).unwrap();
        tell(text, at(300), &refused(0, "10.0.0.1:40000", "10.0.0.9:443"));
        text.pulse(at(400), &status(80)).unwrap();
    });
    let standing = "1,234,567 packets, 210 connections, 3 failed, 12 dropped, 74.00 MB";
    let finding =
        "03:04:05 error   tcp.refused 10.0.0.1 → 10.0.0.9:443: answered the SYN with a r…";
    assert_eq!(
        written,
        format!("\r\x1b[J{standing}\r\x1b[J{finding}\n\r\x1b[J{standing}")
    );
    assert_eq!(finding.chars().count(), 80);
}

#[test]
fn what_is_one_of_several_readings_is_told_so() {
    let mut diagnosis = refused(0, "10.0.0.1:40000", "10.0.0.9:443");
    diagnosis.findings[0].confidence = wirewhy_detect::Confidence::Possible;
    let written = on(Screen::Lines, TextStyle::default(), |text| {
        tell(text, at(300), &diagnosis);
    });
    let line = "10.0.0.1 → 10.0.0.9:443: possibly: answered the SYN";
    assert!(written.contains(line), "{written}");
}

#[test]
fn the_status_line_follows_the_width_and_is_not_drawn_without_need() {
    let written = on(Screen::Terminal, TextStyle::default(), |text| {
        text.pulse(at(0), &status(100)).unwrap();
        text.pulse(at(1_000), &status(100)).unwrap();
        text.pulse(at(1_100), &status(30)).unwrap();
        text.pulse(at(1_500), &status(30)).unwrap();
    });
    let lines: Vec<&str> = written.split("\r\x1b[J").skip(1).collect();
    assert_eq!(lines.len(), 2, "{written:?}");
    assert_eq!(lines[1], "1,234,567 packets, 210 conne…");
    assert!(lines[1].chars().count() < 30);
}

#[test]
fn without_colour_no_line_is_painted_and_with_it_only_the_severity_is_strong() {
    let painted = on(Screen::Lines, TextStyle::new(100, Color::Always), |text| {
        tell(text, at(0), &refused(0, "10.0.0.1:40000", "10.0.0.9:443"));
    });
    assert!(
        painted.contains("\x1b[31m") || painted.contains("\x1b[1m\x1b[31m"),
        "{painted:?}"
    );
    let plain = on(Screen::Lines, TextStyle::default(), |text| {
        tell(text, at(0), &refused(0, "10.0.0.1:40000", "10.0.0.9:443"));
        text.pulse(at(100), &status(100)).unwrap();
    });
    assert!(!plain.contains('\x1b'), "{plain:?}");
}

#[test]
fn repetitions_are_counted_and_the_count_is_told() {
    let written = on(Screen::Lines, TextStyle::default(), |text| {
        for number in 0..500_u32 {
            let client = format!("10.0.{}.1:40000", number % 3);
            tell(
                text,
                at(i64::from(number)),
                &refused(number, &client, "10.0.0.9:443"),
            );
        }
        text.pulse(at(9_000), &status(100)).unwrap();
        text.pulse(at(10_000), &status(100)).unwrap();
        text.pulse(at(21_000), &status(100)).unwrap();
    });
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!(lines.len(), 2, "{written}");
    assert!(
        lines[1].ends_with(" error   tcp.refused 10.0.0.9:443: 499 more in 10.0 s, from 3 clients"),
        "{}",
        lines[1]
    );
}

#[test]
fn the_end_is_the_report_of_a_file_and_tells_what_was_given_up() {
    let diagnosis = [refused(0, "10.0.0.1:40000", "10.0.0.9:443")];
    let capture = CaptureSummary {
        source: "eth0".to_owned(),
        format: "live".to_owned(),
        packets: 2,
        first_time: Some(at(0)),
        last_time: Some(at(1_000)),
        given_up: 7,
        ..CaptureSummary::default()
    };
    let written = on(Screen::Terminal, TextStyle::default(), |text| {
        text.connection(&diagnosis[0]).unwrap();
        text.pulse(at(0), &status(100)).unwrap();
        text.finish(&capture, &totals(&diagnosis), &[]).unwrap();
    });
    let (_, report) = written
        .split_once("MB\r\x1b[J\n")
        .expect("the status line is wiped away");
    assert!(
        report.starts_with("eth0: live, 2 packets over 1.0 s"),
        "{report}"
    );
    assert!(
        report.contains("7 connections given up before the end"),
        "{report}"
    );
    assert!(report.contains("1 connection: 1 failed"), "{report}");
    assert!(!report.contains("wirewhy show"), "{report}");
}

#[test]
fn text_from_the_wire_cannot_command_the_terminal() {
    let mut diagnosis = refused(0, "10.0.0.1:40000", "10.0.0.9:443");
    diagnosis.findings[0].summary = "asked for \x1b]0;owned\x07\r\nfake line".to_owned();
    let written = on(Screen::Terminal, TextStyle::default(), |text| {
        tell(text, at(0), &diagnosis);
    });
    assert_eq!(written.matches('\x1b').count(), 0, "{written:?}");
    assert_eq!(written.lines().count(), 1);
}

#[test]
fn lines_for_the_journal_begin_with_a_priority() {
    let mut diagnosis = refused(0, "10.0.0.1:40000", "10.0.0.9:443");
    let finding = diagnosis.findings[0].clone();
    for (severity, priority) in [
        (Severity::Error, "<3>"),
        (Severity::Warning, "<4>"),
        (Severity::Note, "<5>"),
    ] {
        diagnosis.findings = vec![Finding {
            severity,
            ..finding.clone()
        }];
        let mut out = Vec::new();
        let view = View {
            min_severity: Some(severity),
            ..View::default()
        };
        let (style, names) = (TextStyle::default(), Names::default());
        let mut text = LiveText::new(
            &mut out,
            Screen::Journal,
            style,
            view.clone(),
            names.clone(),
        );
        tell(&mut text, at(0), &diagnosis);
        drop(text);
        let mut records = LiveNdjson::new(&mut out, view, names).for_journal();
        tell(&mut records, at(0), &diagnosis);
        drop(records);
        let written = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = written.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with(&format!("{priority}2026-01-02 ")));
        let record = lines[1].strip_prefix(priority).unwrap();
        assert_valid(&serde_json::from_str(record).unwrap());
    }
}

#[test]
fn records_keep_to_the_schema() {
    let mut out = Vec::new();
    let mut records = LiveNdjson::new(&mut out, View::default(), Names::default());
    let diagnosis = refused(0, "[2001:db8::1]:40000", "[2001:db8::9]:443");
    tell(&mut records, at(0), &diagnosis);
    records.beyond(at(1), &caveat()).unwrap();
    records.connection(&diagnosis).unwrap();
    let capture = CaptureSummary {
        format: "live".to_owned(),
        given_up: 7,
        ..CaptureSummary::default()
    };
    records
        .finish(&capture, &Totals::default(), &[caveat()])
        .unwrap();
    drop(records);
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for line in &lines {
        assert_valid(line);
    }
    let kinds: Vec<&str> = lines
        .iter()
        .map(|line| line["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "finding",
            "finding",
            "connection",
            "finding",
            "capture",
            "totals"
        ]
    );
    assert_eq!(lines[0]["time"], "2026-01-02T03:04:05.250000000Z");
    assert_eq!(lines[0]["scope"], "connection");
    assert_eq!(lines[0]["subject"], "[2001:db8::9]:443");
}
