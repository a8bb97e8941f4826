//! The report a person reads.

use wirewhy_detect::{Confidence, Diagnosis, Facts, Finding, Role, Scope, Severity};
use wirewhy_report::{Color, Names, Text, TextStyle, View};
use wirewhy_survey::{GroupFinding, record_of};

use crate::sample::{capture, caveat, connections, healthy, refused, tell, totals};

fn report(diagnosis: &[Diagnosis], group: &[GroupFinding], view: View) -> String {
    report_in(TextStyle::default(), diagnosis, group, view)
}

fn report_in(
    style: TextStyle,
    diagnosis: &[Diagnosis],
    group: &[GroupFinding],
    view: View,
) -> String {
    let mut out = Vec::new();
    let names = [("10.0.0.7".parse().unwrap(), "db1".to_owned())]
        .into_iter()
        .collect();
    tell(
        &mut Text::new(&mut out, style, view, names),
        diagnosis,
        group,
    );
    String::from_utf8(out).unwrap()
}

/// A finding no catalogue knows, so that its text stays as it is here.
fn finding(code: &'static str, severity: Severity) -> Finding {
    Finding {
        code,
        severity,
        confidence: Confidence::Likely,
        culprit: Role::Path.into(),
        summary: format!("Something is wrong: {code}."),
        frames: vec![3],
        facts: Facts::default(),
        consequence_of: None,
    }
}

fn with(findings: Vec<Finding>) -> Diagnosis {
    Diagnosis {
        findings,
        ..healthy(7)
    }
}

fn unknown_code(mut diagnosis: Diagnosis) -> Diagnosis {
    diagnosis.findings[0].code = "test.refused";
    diagnosis
}

#[test]
fn equal_cause_and_equal_service_are_one_entry() {
    let mut diagnosis = vec![healthy(0), healthy(1)];
    diagnosis.extend((2..10).map(|n| unknown_code(refused(n, "10.0.0.1:40000", "10.0.0.9:443"))));
    diagnosis.push(unknown_code(refused(10, "10.0.0.2:40000", "10.0.0.7:443")));
    let expected = "\
web.pcap: pcap (gzip), EN10MB, 2,430,112 packets over 61.2 s, from 2026-01-02 03:04:05.000 UTC
11 connections: 9 failed, 0 degraded, 2 ok, 0 undecided

       #  code          where         culprit
error  8  test.refused  10.0.0.9:443  server, certain
error  1  test.refused  10.0.0.7:443  server, certain

error    test.refused
where    10.0.0.9:443, 8 connections from 10.0.0.1
when     2026-01-02 03:04:07.000 to 03:04:14.000 UTC (7.0 s)
what     10.0.0.9:443 answered the SYN with a reset after 0.300 ms (stream 2, the first of 8)
culprit  the server 10.0.0.9, certain
proof    frames 2, 1 of stream 2; Wireshark filter tcp.stream in {2,3,4,5,6,7} (the first 6 of 8)

error    test.refused
where    10.0.0.7:443 (db1), 1 connection from 10.0.0.2
when     2026-01-02 03:04:15.000 UTC
what     10.0.0.7:443 answered the SYN with a reset after 0.300 ms
culprit  the server 10.0.0.7 (db1), certain
proof    frames 2, 1; Wireshark filter tcp.stream == 10

About this recording:
warning  capture.packets-missing";
    let shown = report(&diagnosis, &[caveat()], View::default());
    assert!(shown.starts_with(expected), "{shown}");
    let caveat = "\n         4,096 bytes were acknowledged that this recording does not hold.\n";
    assert!(shown.contains(caveat), "{shown}");
    let ending = "\nPacket by packet: wirewhy show web.pcap 2\n\
                  About this code:  wirewhy explain test.refused\n";
    assert!(shown.ends_with(ending), "{shown}");
}

#[test]
fn a_service_is_told_with_the_names_clients_asked_for() {
    let asked = |stream: u32, name: &str| {
        let mut diagnosis = unknown_code(refused(stream, "10.0.0.1:40000", "10.0.0.7:443"));
        diagnosis.connection.server_name = Some(name.into());
        diagnosis
    };
    let mut diagnosis = vec![asked(0, "www.example.org"), asked(1, "www.example.org")];
    let shown = report(&diagnosis, &[], View::default());
    let place = "\nwhere    www.example.org at 10.0.0.7:443 (db1), 2 connections from 10.0.0.1\n";
    assert!(shown.contains(place), "{shown}");
    diagnosis.push(asked(2, "a\u{1b}[2J\u{202e}b"));
    let shown = report(&diagnosis, &[], View::default());
    let place = "www.example.org and a\\u{1b}[2J\\u{202e}b at 10.0.0.7:443 (db1)";
    assert!(shown.contains(place), "{shown}");
    diagnosis.extend((3..100).map(|n| asked(n, &format!("{n}.{}", "x".repeat(60_000)))));
    let shown = report(&diagnosis, &[], View::default());
    assert!(shown.contains("xxx and others at"), "{shown}");
    assert!(shown.len() < 3_000, "{shown}");
}

#[test]
fn services_are_told_apart_by_name_where_names_differ() {
    let asked = |stream: u32, name: &str| {
        let server = format!("10.0.0.{}:443", stream % 4 + 10);
        let mut diagnosis = unknown_code(refused(stream, "10.0.0.1:40000", &server));
        diagnosis.connection.server_name = Some(name.into());
        diagnosis
    };
    let same: Vec<Diagnosis> = (0..8).map(|n| asked(n, "www.example.org")).collect();
    let shown = report(&same, &[], View::default());
    let place = "
where    www.example.org at port 443 of 4 hosts, 8 connections from 10.0.0.1
         10.0.0.10:443: 2; 10.0.0.11:443: 2; 10.0.0.12:443: 2; 10.0.0.13:443: 2
";
    assert!(shown.contains(place), "{shown}");
    let differ: Vec<Diagnosis> = (0..8)
        .map(|n| asked(n, &format!("{}.example.org", n % 2)))
        .collect();
    let shown = report(&differ, &[], View::default());
    let place = "
where    0.example.org and 1.example.org at port 443 of 4 hosts, 8 connections from 10.0.0.1
         0.example.org at 10.0.0.10:443: 2; 1.example.org at 10.0.0.11:443: 2; 0.example.org at
";
    assert!(shown.contains(place), "{shown}");
}

#[test]
fn one_cause_at_many_services_is_one_entry() {
    let mut diagnosis: Vec<Diagnosis> = (0..500_u32)
        .map(|n| {
            let server = format!("10.1.{}.{}:443", n / 250, n % 250 + 1);
            unknown_code(refused(n, "10.0.0.1:40000", &server))
        })
        .collect();
    diagnosis.push(unknown_code(refused(500, "10.0.0.1:40000", "10.1.0.9:443")));
    let shown = report(&diagnosis, &[], View::default());
    let place = "
where    port 443 of 500 hosts, 501 connections from 10.0.0.1
         10.1.0.9:443: 2; others: 499
";
    assert!(shown.contains(place), "{shown}");
    assert_eq!(
        shown.matches("test.refused\n").count(),
        2,
        "headline and explain: {shown}"
    );
    assert!(shown.contains("culprit  the server, certain"), "{shown}");
    assert!(shown.lines().count() < 30, "{shown}");
}

#[test]
fn counts_stay_right_when_services_no_longer_fit() {
    let sample = unknown_code(refused(0, "10.0.0.1:40000", "10.0.0.9:443"));
    let at = |stream: u32, address: [u8; 4]| {
        let mut diagnosis = sample.clone();
        diagnosis.connection.stream = stream;
        diagnosis.connection.server.address = address.into();
        diagnosis
    };
    let mut diagnosis = Vec::new();
    for n in 0..20_000_u32 {
        let [_, _, high, low] = n.to_be_bytes();
        diagnosis.push(at(2 * n, [10, 1, high, low]));
        if n % 100 == 0 {
            diagnosis.push(at(2 * n + 1, [10, 2, 0, 1]));
        }
    }
    let mut rare = at(99_999, [10, 3, 0, 1]);
    rare.findings[0].code = "test.rare";
    diagnosis.insert(1, rare);
    let shown = report(&diagnosis, &[], View::default());
    assert!(
        shown.contains("20,200 connections from 10.0.0.1"),
        "{shown}"
    );
    assert!(
        shown.contains("\n         10.2.0.1:443: at least 200; "),
        "{shown}"
    );
    let number = shown
        .split("port 443 of about ")
        .nth(1)
        .and_then(|s| s.split(' ').next());
    let number: f64 = number.unwrap().replace(',', "").parse().unwrap();
    assert!((19_000.0..=21_000.0).contains(&number), "{shown}");
    assert!(
        shown.contains("where    10.3.0.1:443, 1 connection from 10.0.0.1"),
        "{shown}"
    );
}

#[test]
fn next_steps_come_once_a_code() {
    let diagnosis = [
        refused(0, "10.0.0.1:40000", "10.0.0.9:443"),
        refused(1, "10.0.0.1:40000", "10.0.0.8:443"),
    ];
    let shown = report(&diagnosis, &[], View::default());
    let record = record_of("tcp.refused").unwrap();
    assert_eq!(
        shown.matches("\nerror    tcp.refused  ").count(),
        2,
        "{shown}"
    );
    assert!(shown.contains(record.title), "{shown}");
    let step: String = record.check_next[0].chars().take(40).collect();
    assert_eq!(shown.matches(&step).count(), 1, "{shown}");
}

#[test]
fn a_cause_is_told_with_what_it_led_to() {
    let mut symptom = finding("test.symptom", Severity::Error);
    symptom.consequence_of = Some("test.cause");
    let diagnosis = with(vec![symptom, finding("test.cause", Severity::Warning)]);
    let shown = report(&[diagnosis], &[], View::default());
    assert!(shown.contains("\nerror    test.cause\n"), "{shown}");
    assert!(shown.contains("\nalso     seen: test.symptom\n"), "{shown}");
    assert!(!shown.contains("error    test.symptom"), "{shown}");
}

#[test]
fn the_worst_comes_first_and_notes_only_when_asked_for() {
    let diagnosis = [
        with(vec![finding("test.note", Severity::Note)]),
        with(vec![finding("test.warning", Severity::Warning)]),
        with(vec![finding("test.error", Severity::Error)]),
    ];
    let shown = report(&diagnosis, &[], View::default());
    let error = shown.find("error    test.error").unwrap();
    assert!(
        error < shown.find("warning  test.warning").unwrap(),
        "{shown}"
    );
    assert!(!shown.contains("test.note"), "{shown}");
    let all = report(
        &diagnosis,
        &[],
        View {
            all: true,
            min_severity: None,
            ..View::default()
        },
    );
    assert!(all.contains("note     test.note"), "{all}");
    let errors = View {
        all: false,
        min_severity: Some(Severity::Error),
        ..View::default()
    };
    let shown = report(&diagnosis, &[], errors);
    assert!(
        shown.contains("test.error") && !shown.contains("test.warning"),
        "{shown}"
    );
}

#[test]
fn nothing_wrong_is_one_plain_line() {
    let expected = "\
web.pcap: pcap (gzip), EN10MB, 2,430,112 packets over 61.2 s, from 2026-01-02 03:04:05.000 UTC
2 connections: nothing wrong with any of them.
";
    assert_eq!(
        report(&[healthy(0), healthy(1)], &[], View::default()),
        expected
    );
    let one = report(&[healthy(0)], &[], View::default());
    assert!(
        one.ends_with("\n1 connection: nothing wrong with it.\n"),
        "{one}"
    );
    let nothing = report(&[], &[], View::default());
    assert!(
        nothing.ends_with("No TCP connection in it, and none over QUIC that begins in it.\n"),
        "{nothing}"
    );
}

#[test]
fn undecided_connections_are_counted_and_explained() {
    let opening = connections("0.000 > S 0:0(0) win 64240 <mss 1460>\n0.1 end").remove(0);
    let diagnosis = [Diagnosis {
        connection: opening.into(),
        findings: Vec::new(),
    }];
    let shown = report(&diagnosis, &[], View::default());
    assert!(
        shown.contains("0 ok, 1 undecided\nUndecided: the capture shows too little"),
        "{shown}"
    );
}

#[test]
fn healthy_connections_are_folded_by_service_when_asked_for() {
    let view = View {
        all: true,
        min_severity: None,
        ..View::default()
    };
    let shown = report(&[healthy(0), healthy(1)], &[], view);
    let expected = "
Connections without a problem:
  198.51.100.1:80: 2 connections, 1,200 bytes of payload, first is stream 0
";
    assert!(shown.ends_with(expected), "{shown}");
}

#[test]
fn findings_beyond_one_connection_name_their_subject() {
    let group = GroupFinding {
        scope: Scope::Service,
        subject: "10.0.0.9:443".to_owned(),
        finding: finding("test.down", Severity::Error),
    };
    let shown = report(&[healthy(0)], &[group], View::default());
    assert!(
        shown.contains("error    test.down\nwhere    service 10.0.0.9:443\n"),
        "{shown}"
    );
}

#[test]
fn every_line_fits_and_none_ends_in_a_space() {
    let mut diagnosis: Vec<Diagnosis> = (0..40)
        .map(|n| refused(n, "[2001:db8::1]:40000", &format!("[2001:db8::{n}:9]:443")))
        .collect();
    diagnosis[0].findings[0].summary = format!("{} {}", "long ".repeat(60), "x".repeat(400));
    diagnosis.push(refused(50, "10.0.0.1:40000", "10.0.0.9:443"));
    for width in [40, 66, 80, 100] {
        let style = TextStyle::new(width, Color::Never);
        let shown = report_in(style, &diagnosis, &[caveat()], View::default());
        // Commands are left whole, so that they can be copied.
        for line in shown.lines().filter(|line| !line.contains("wirewhy ")) {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
        assert!(!shown.lines().any(|line| line.ends_with(' ')), "{shown}");
    }
}

#[test]
fn what_the_wire_says_never_commands_the_terminal() {
    let mut hostile = finding("test.hostile", Severity::Error);
    hostile.summary = "name \u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}evil\r\n\u{9b}5m".to_owned();
    hostile.facts = Facts::default().with("server_name", "\u{1b}[31m\u{200b}\u{2028}\u{85}");
    let mut group = caveat();
    group.scope = Scope::Host;
    group.subject = "\u{1b}[1A".to_owned();
    group.finding.summary = "\u{1b}c".to_owned();
    let mut out = Vec::new();
    let names = [("198.51.100.1".parse().unwrap(), "\u{1b}[5m".to_owned())]
        .into_iter()
        .collect();
    let mut text = Text::new(&mut out, TextStyle::default(), View::default(), names);
    let diagnosis = [with(vec![hostile])];
    let source = wirewhy_report::CaptureSummary {
        source: "\u{1b}[2J.pcap".to_owned(),
        problem: Some("\u{1b}[2J".to_owned()),
        link_types: vec!["\u{1b}".to_owned()],
        ..capture()
    };
    use wirewhy_report::Reporter as _;
    text.connection(&diagnosis[0]).unwrap();
    text.finish(&source, &totals(&diagnosis), &[group]).unwrap();
    let shown = String::from_utf8(out).unwrap();
    let harmful = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{200b}\u{2028}".contains(c);
    assert!(!shown.contains(harmful), "{shown:?}");
    assert!(shown.contains(r"\u{1b}]0;owned\u{7}"), "{shown}");
}

#[test]
fn colour_changes_nothing_but_colour() {
    let diagnosis = [refused(0, "10.0.0.1:40000", "10.0.0.9:443"), healthy(1)];
    let plain = report(&diagnosis, &[caveat()], View::default());
    let style = TextStyle::new(100, Color::Always);
    let colored = report_in(style, &diagnosis, &[caveat()], View::default());
    let mut stripped = String::new();
    let mut rest = colored.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        stripped.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    stripped.push_str(rest);
    assert!(colored.len() > plain.len());
    assert_eq!(stripped, plain);
}

#[test]
fn order_does_not_depend_on_chance() {
    let diagnosis: Vec<Diagnosis> = (0..30)
        .map(|n| refused(n, "10.0.0.1:40000", &format!("10.0.{n}.9:443")))
        .collect();
    let once = report(&diagnosis, &[], View::default());
    assert_eq!(once, report(&diagnosis, &[], View::default()));
}

#[test]
fn a_file_name_can_be_pasted() {
    let diagnosis = [refused(3, "10.0.0.1:40000", "10.0.0.9:443")];
    let mut out = Vec::new();
    let mut text = Text::new(
        &mut out,
        TextStyle::default(),
        View::default(),
        Names::default(),
    );
    use wirewhy_report::Reporter as _;
    text.connection(&diagnosis[0]).unwrap();
    let named = wirewhy_report::CaptureSummary {
        source: "it's here.pcap".to_owned(),
        ..capture()
    };
    text.finish(&named, &totals(&diagnosis), &[]).unwrap();
    let shown = String::from_utf8(out).unwrap();
    assert!(
        shown.contains(r"wirewhy show 'it'\''s here.pcap' 3"),
        "{shown}"
    );
}

#[test]
fn one_code_about_many_services_is_one_entry() {
    let about = |n: u8| GroupFinding {
        scope: Scope::Service,
        subject: format!("10.0.0.{n}:443"),
        finding: Finding {
            summary: format!("{n} of 20 failed"),
            ..finding("test.flaky", Severity::Warning)
        },
    };
    let few: Vec<GroupFinding> = (1..=3).map(about).collect();
    let shown = report(&[healthy(0)], &few, View::default());
    let entries = shown.matches("\nwarning  test.flaky\n").count();
    assert_eq!(entries, 3, "{shown}");
    let many: Vec<GroupFinding> = (1..=40).map(about).collect();
    let shown = report(&[healthy(0)], &many, View::default());
    let expected = "\
warning  test.flaky
where    40 services
         10.0.0.1:443: 1 of 20 failed
         10.0.0.2:443: 2 of 20 failed
         10.0.0.3:443: 3 of 20 failed
         10.0.0.4:443: 4 of 20 failed
         others: 36
culprit  the path, likely
proof    for 10.0.0.1:443: frame 3
";
    assert!(shown.contains(expected), "{shown}");
}

#[test]
fn an_unknown_culprit_has_no_confidence() {
    let nobody = Finding {
        culprit: Role::Unknown.into(),
        ..finding("test.nobody", Severity::Error)
    };
    let shown = report(&[with(vec![nobody])], &[], View::default());
    assert!(
        shown.contains("what     likely: Something") && shown.contains("\nculprit  unknown\n"),
        "{shown}"
    );
}
