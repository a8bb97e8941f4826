//! What becomes an entry of the text report, and what is folded under one.

use std::net::{IpAddr, Ipv4Addr};

use wirewhy_detect::{
    Confidence, Culprit, Diagnosis, Facts, Finding, Limits, Role, Scope, Severity, TrustStore,
    Value, diagnose_briefly,
};
use wirewhy_report::{
    Color, FilterSummary, Names, Reporter as _, Selection, Text, TextStyle, View,
};
use wirewhy_survey::GroupFinding;

use crate::sample::{capture, connections, healthy, refused, tell, totals};

pub(crate) fn report(diagnosis: &[Diagnosis], group: &[GroupFinding], view: View) -> String {
    report_at(100, diagnosis, group, view)
}

fn report_at(width: usize, diagnosis: &[Diagnosis], group: &[GroupFinding], view: View) -> String {
    let mut out = Vec::new();
    let style = TextStyle::new(width, Color::Never);
    let mut text = Text::new(&mut out, style, view, Names::default());
    tell(&mut text, diagnosis, group);
    String::from_utf8(out).unwrap()
}

pub(crate) fn finding(code: &'static str, severity: Severity) -> Finding {
    Finding {
        code,
        severity,
        confidence: Confidence::Likely,
        culprit: Role::Path.into(),
        summary: format!("Something is wrong: {code}"),
        frames: vec![3],
        facts: Facts::default(),
        consequence_of: None,
    }
}

pub(crate) fn diagnosis(
    stream: u32,
    client: &str,
    server: &str,
    findings: Vec<Finding>,
) -> Diagnosis {
    Diagnosis {
        findings,
        ..refused(stream, client, server)
    }
}

fn beyond(
    code: &'static str,
    (scope, subject): (Scope, &str),
    severity: Severity,
    facts: Facts,
) -> GroupFinding {
    GroupFinding {
        scope,
        subject: subject.to_owned(),
        finding: Finding {
            facts,
            ..finding(code, severity)
        },
    }
}

/// The attempts that a finding about a service counts, by root cause.
fn causes(codes: &[&str]) -> Facts {
    let causes: Vec<Value> = codes
        .iter()
        .map(|code| Value::Object(vec![("code", (*code).into()), ("attempts", 4_u32.into())]))
        .collect();
    Facts::default().with("causes", Value::List(causes))
}

/// The rows of the table: severity, count and code of each.
fn table(shown: &str) -> Vec<String> {
    let rows = shown.split("\n\n").nth(1).unwrap().lines().skip(1);
    rows.map(|row| row.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn symptoms_are_folded_under_their_cause_however_they_differ() {
    let caused = |code| Finding {
        consequence_of: Some("test.cause"),
        ..finding(code, Severity::Error)
    };
    let cause = || finding("test.cause", Severity::Warning);
    let server = "10.0.0.9:443";
    let all = [
        diagnosis(0, "10.0.0.1:1", server, vec![cause(), caused("test.reset")]),
        diagnosis(1, "10.0.0.1:2", server, vec![cause(), caused("test.reset")]),
        diagnosis(
            2,
            "10.0.0.1:3",
            server,
            vec![cause(), caused("test.silence")],
        ),
        // A symptom that no rule ties to the cause.
        diagnosis(
            3,
            "10.0.0.1:4",
            server,
            vec![
                cause(),
                caused("test.silence"),
                finding("test.loss", Severity::Warning),
            ],
        ),
    ];
    let shown = report(&all, &[], View::default());
    assert_eq!(table(&shown), ["error 4 test.cause"], "{shown}");
    let also = "\nalso     seen: test.reset (2), test.silence (2), test.loss (1)\n";
    assert!(shown.contains(also), "{shown}");
    // Another service is another entry.
    let mut all = all.to_vec();
    all.push(diagnosis(4, "10.0.0.1:5", "10.0.0.8:443", vec![cause()]));
    let shown = report(&all, &[], View::default());
    assert_eq!(
        table(&shown),
        ["error 4 test.cause", "warning 1 test.cause"]
    );
}

#[test]
fn a_dead_service_takes_its_attempts_and_no_others() {
    let mut all: Vec<Diagnosis> = (0..4)
        .map(|n| refused(n, &format!("10.0.0.1:{n}"), "10.0.0.9:443"))
        .collect();
    all.push(refused(4, "10.0.0.1:9", "10.0.0.8:443"));
    let other = finding("tcp.packet-loss", Severity::Warning);
    all.push(diagnosis(5, "10.0.0.1:10", "10.0.0.9:443", vec![other]));
    let place = (Scope::Service, "10.0.0.9:443");
    let down = beyond(
        "service.down",
        place,
        Severity::Error,
        causes(&["tcp.refused"]),
    );
    let shown = report(&all, std::slice::from_ref(&down), View::default());
    let expected = [
        "error 4 service.down",
        "error 1 tcp.refused",
        "warning 1 tcp.packet-loss",
    ];
    assert_eq!(table(&shown), expected, "{shown}");
    assert!(
        shown.contains("also     seen: tcp.refused (4)\n"),
        "{shown}"
    );
    assert!(
        shown.contains("where    service 10.0.0.9:443, 4 connections from 10.0.0.1\n"),
        "{shown}"
    );
    assert!(shown.contains("tcp.stream in {0,1,2,3}"), "{shown}");
    // Where it is not shown, they stand for themselves.
    let view = View {
        selection: Selection {
            ignore: vec!["service.*".to_owned()],
            ..Selection::default()
        },
        ..View::default()
    };
    let shown = report(&all, &[down], view);
    let expected = [
        "error 4 tcp.refused",
        "error 1 tcp.refused",
        "warning 1 tcp.packet-loss",
    ];
    assert_eq!(table(&shown), expected, "{shown}");
}

#[test]
fn how_often_is_said_only_of_what_was_counted_apart() {
    let of = |role: Role, server: u32| {
        let mut found = finding("tcp.refused", Severity::Error);
        found.culprit = role.into();
        found.confidence = match role {
            Role::Path => Confidence::Certain,
            _ => Confidence::Likely,
        };
        let address = format!("10.0.{server}.9:443");
        diagnosis(server, "10.0.0.1:9", &address, vec![found])
    };
    let report_of = |services: u32| {
        let servers = (0..services).flat_map(|server| [(server, Role::Server); 2]);
        let paths = (0..services).map(|server| (server, Role::Path));
        let all: Vec<Diagnosis> = servers.chain(paths).map(|(n, role)| of(role, n)).collect();
        let down = beyond(
            "service.down",
            (Scope::Service, "10.0.1.9:443"),
            Severity::Error,
            causes(&["tcp.refused"]),
        );
        report(&all, &[down], View::default())
    };
    // Few services: each was counted by itself.
    let few = report_of(4);
    assert!(few.contains("server 2, path 1"), "{few}");
    assert!(
        few.contains("the server, likely (2); the path, certain (1)"),
        "{few}"
    );
    // Of many, those of the dead one cannot be told apart from the others.
    let many = report_of(40);
    let expected = ["error 117 tcp.refused", "error 3 service.down"];
    assert_eq!(table(&many), expected, "{many}");
    assert!(many.contains("server, path "), "{many}");
    assert!(
        many.contains("the server, likely; the path, certain\n"),
        "{many}"
    );
}

#[test]
fn a_scan_takes_what_its_source_tried_however_many_others_failed() {
    let mut all: Vec<Diagnosis> = Vec::new();
    let mut stream = 0;
    let mut push = |client: String, server: String| {
        all.push(refused(stream, &client, &server));
        stream += 1;
    };
    // More clients than are kept apart, each with one failure, between those of the scanner.
    for n in 0..60 {
        push("192.0.2.7:4000".to_owned(), format!("10.0.0.9:{}", 100 + n));
        push(format!("10.0.1.{n}:4000"), "10.0.0.8:443".to_owned());
        push("192.0.2.7:4001".to_owned(), format!("10.0.0.9:{}", 200 + n));
    }
    let place = (Scope::Host, "192.0.2.7");
    let mut scan = beyond("host.port-scan", place, Severity::Warning, Facts::default());
    scan.finding.culprit = Role::Client.into();
    let shown = report(&all, &[scan], View::default());
    let expected = ["error 60 tcp.refused", "warning 120 host.port-scan"];
    assert_eq!(table(&shown), expected, "{shown}");
    let place =
        "\nwhere    10.0.0.8:443, 60 connections from 10.0.1.0, 10.0.1.1, 10.0.1.2 and others\n";
    assert!(shown.contains(place), "{shown}");
}

#[test]
fn a_scanner_that_comes_late_is_known_when_it_comes_again() {
    let mut all: Vec<Diagnosis> = (0..100)
        .map(|n| refused(n, &format!("10.0.1.{n}:4000"), "10.0.0.8:443"))
        .collect();
    let scanned = |n: u32| format!("10.0.0.9:{n}");
    all.extend((100..200).map(|n| refused(n, "192.0.2.7:4000", &scanned(n))));
    let place = (Scope::Host, "192.0.2.7");
    let mut scan = beyond("host.port-scan", place, Severity::Warning, Facts::default());
    scan.finding.culprit = Role::Client.into();
    let shown = report(&all, &[scan], View::default());
    let expected = ["error 100 tcp.refused", "warning 100 host.port-scan"];
    assert_eq!(table(&shown), expected, "{shown}");
}

#[test]
fn a_flood_takes_the_half_open_attempts_at_its_service() {
    let half_open = |n: u32, port: u16| {
        let unanswered = finding("tcp.synack-unanswered", Severity::Error);
        let client = format!("198.18.{}.{}:4000", n / 250, n % 250);
        diagnosis(n, &client, &format!("10.0.0.9:{port}"), vec![unanswered])
    };
    let mut all: Vec<Diagnosis> = (0..900).map(|n| half_open(n, 80)).collect();
    all.push(half_open(900, 81));
    let place = (Scope::Service, "10.0.0.9:80");
    let mut flood = beyond("host.syn-flood", place, Severity::Warning, Facts::default());
    flood.finding.culprit = Role::Client.into();
    let shown = report(&all, &[flood], View::default());
    let expected = [
        "error 1 tcp.synack-unanswered",
        "warning 900 host.syn-flood",
    ];
    assert_eq!(table(&shown), expected, "{shown}");
}

#[test]
fn what_only_adds_to_an_entry_stands_under_it() {
    let mut all: Vec<Diagnosis> = (0..4)
        .map(|n| refused(n, "10.0.0.1:40000", "10.0.0.9:443"))
        .collect();
    all.push(healthy(5));
    let flaky = |subject| {
        let place = (Scope::Service, subject);
        beyond(
            "service.flaky",
            place,
            Severity::Warning,
            causes(&["tcp.refused"]),
        )
    };
    let shown = report(&all, &[flaky("10.0.0.9:443")], View::default());
    assert_eq!(table(&shown), ["error 4 tcp.refused"], "{shown}");
    let addition = "\nalso     service.flaky: likely: Something is wrong: service.flaky\n";
    assert!(shown.contains(addition), "{shown}");
    // About another service it stands for itself.
    let shown = report(&all, &[flaky("10.0.0.7:443")], View::default());
    assert_eq!(
        shown.matches("\nwarning  service.flaky").count(),
        1,
        "{shown}"
    );
}

#[test]
fn a_cause_behind_the_reason_of_a_dead_service_is_the_entry() {
    let all: Vec<Diagnosis> = (0..4)
        .map(|n| {
            let unanswered = Finding {
                consequence_of: Some("rst.stray-segment"),
                ..finding("tcp.syn-unanswered", Severity::Error)
            };
            let stray = finding("rst.stray-segment", Severity::Error);
            diagnosis(n, "10.0.0.1:40000", "10.0.0.9:443", vec![unanswered, stray])
        })
        .collect();
    let place = (Scope::Service, "10.0.0.9:443");
    let facts = causes(&["tcp.syn-unanswered"]);
    let down = beyond("service.down", place, Severity::Error, facts);
    let shown = report(&all, &[down], View::default());
    assert_eq!(table(&shown), ["error 4 rst.stray-segment"], "{shown}");
    assert!(
        shown.contains("\nalso     service.down: likely: "),
        "{shown}"
    );
}

#[test]
fn an_idle_timer_takes_the_connections_it_counted() {
    let lost = |n: u32| {
        let vanished = finding("tcp.peer-vanished", Severity::Error);
        diagnosis(n, "10.0.0.1:40000", "10.0.0.9:443", vec![vanished])
    };
    let mut all: Vec<Diagnosis> = (0..3).map(lost).collect();
    let place = (Scope::Host, "10.0.0.9");
    let facts = Facts::default().with("connections", 3_u32);
    let timer = beyond("host.idle-timer", place, Severity::Warning, facts);
    let shown = report(&all, std::slice::from_ref(&timer), View::default());
    assert_eq!(table(&shown), ["error 3 host.idle-timer"], "{shown}");
    assert!(
        shown.contains("also     seen: tcp.peer-vanished (3)\n"),
        "{shown}"
    );
    // One more that it did not count: which they are is not known here.
    all.push(lost(3));
    let shown = report(&all, &[timer], View::default());
    assert_eq!(table(&shown), ["error 4 tcp.peer-vanished"], "{shown}");
    assert!(
        shown.contains("\nalso     host.idle-timer: likely: "),
        "{shown}"
    );
}

#[test]
fn one_name_at_two_addresses_is_one_service() {
    let asked = |stream: u32, name: &str, server: &str| {
        let client = if server.starts_with('[') {
            "[2001:db8::1]:40000"
        } else {
            "10.0.0.1:40000"
        };
        let mut diagnosis = refused(stream, client, server);
        diagnosis.connection.server_name = Some(name.into());
        diagnosis
    };
    let (v4, v6) = ("10.0.0.9:443", "[2001:db8::9]:443");
    let all = [asked(0, "www.example", v4), asked(1, "www.example", v6)];
    let shown = report(&all, &[], View::default());
    assert_eq!(table(&shown), ["error 2 tcp.refused"], "{shown}");
    let place = "where    www.example at port 443 of 2 hosts, 2 connections";
    assert!(shown.contains(place), "{shown}");
    let all = [asked(0, "www.example", v4), asked(1, "other.example", v6)];
    let shown = report(&all, &[], View::default());
    assert_eq!(table(&shown).len(), 2, "{shown}");
}

fn alerted(stream: u32, alert: &str, role: Role, confidence: Confidence) -> Diagnosis {
    let address: IpAddr = "10.0.0.1".parse().unwrap();
    let alert = Finding {
        confidence,
        culprit: Culprit::new(role, address).at_most(Confidence::Possible),
        facts: Facts::default()
            .with("alert", alert)
            .with("stage", "tls-server-flight")
            .with("server_name", format!("{stream}.example")),
        ..finding("tls.alert", Severity::Error)
    };
    diagnosis(stream, "10.0.0.1:40000", "10.0.0.9:443", vec![alert])
}

#[test]
fn facts_that_differ_are_counted_and_not_told_by_one_example() {
    let kinds = ["certificate_expired", "bad_certificate", "unknown_ca"];
    let all: Vec<Diagnosis> = (0..7)
        .map(|n| {
            let role = if n < 5 { Role::Client } else { Role::Server };
            let sure = if n < 4 {
                Confidence::Certain
            } else {
                Confidence::Likely
            };
            alerted(n, kinds[(n % 3) as usize], role, sure)
        })
        .collect();
    let shown = report(&all, &[], View::default());
    let what = "\nwhat     alert: 3 certificate_expired, 2 bad_certificate, 2 unknown_ca\n\
                as in    Something is wrong: tls.alert (4 certain, 3 likely; stream 0, the first of 7)\n";
    assert!(shown.contains(what), "{shown}");
    // The table has them, too: they are what the code is about.
    let row = "  3 certificate_expired, 2 bad_certi";
    assert!(shown.contains(row), "{shown}");
    let culprit =
        "\nculprit  the client 10.0.0.1, possible (5); the server 10.0.0.1, possible (2)\n";
    assert!(shown.contains(culprit), "{shown}");
    assert!(shown.contains("client 5, server 2"), "{shown}");
    // What all share is no difference, nor is a name.
    assert!(
        !shown.contains("stage") && !shown.contains(".example,"),
        "{shown}"
    );
    let same: Vec<Diagnosis> = (0..7)
        .map(|n| alerted(n, "unknown_ca", Role::Client, Confidence::Likely))
        .collect();
    let shown = report(&same, &[], View::default());
    assert!(
        !shown.contains("as in") && !shown.contains("7 unknown_ca"),
        "{shown}"
    );
}

#[test]
fn what_is_possible_is_never_told_as_a_fact() {
    let one = |confidence| {
        let found = Finding {
            confidence,
            ..finding("tcp.peer-vanished", Severity::Error)
        };
        vec![diagnosis(0, "10.0.0.1:40000", "10.0.0.9:443", vec![found])]
    };
    let shown = report(&one(Confidence::Possible), &[], View::default());
    assert!(
        shown.contains("path, possible  possibly: The other"),
        "{shown}"
    );
    assert!(
        shown.contains("\nerror    tcp.peer-vanished  possibly: The other"),
        "{shown}"
    );
    assert!(shown.contains("\nwhat     possibly: Something"), "{shown}");
    // Where there is no room for what happened, the code carries it.
    let narrow = report_at(70, &one(Confidence::Possible), &[], View::default());
    assert!(
        narrow.contains("  possibly tcp.peer-vanished  "),
        "{narrow}"
    );
    let likely = report(&one(Confidence::Likely), &[], View::default());
    assert!(!likely.contains("possibl"), "{likely}");
}

#[test]
fn facts_come_with_the_asking_and_never_below_zero() {
    let found = Finding {
        facts: Facts::default()
            .with("round_trip_seconds", wirewhy_packet::Interval(-5_000_000))
            .with("backs_off", true),
        ..finding("test.timed", Severity::Error)
    };
    let all = [diagnosis(0, "10.0.0.1:40000", "10.0.0.9:443", vec![found])];
    let shown = report(&all, &[], View::default());
    assert!(!shown.contains("\nwhy "), "{shown}");
    let view = View {
        facts: true,
        ..View::default()
    };
    let shown = report(&all, &[], view);
    assert!(
        shown.contains("\nfacts    round trip: 0 s; backs off: yes\n"),
        "{shown}"
    );
}

#[test]
fn what_is_hidden_is_counted_and_changes_no_total() {
    let mut all: Vec<Diagnosis> = (0..3)
        .map(|n| refused(n, "10.0.0.1:40000", "10.0.0.9:443"))
        .collect();
    all.push(healthy(3));
    let only = |globs: &[&str]| View {
        selection: Selection {
            only: globs.iter().map(|glob| (*glob).to_owned()).collect(),
            ..Selection::default()
        },
        ..View::default()
    };
    let shown = report(&all, &[], only(&["tls.*"]));
    let expected = "\n4 connections: 3 failed, 0 degraded, 1 ok, 0 undecided\n\
                    3 findings are hidden by --only.\n";
    assert!(shown.ends_with(expected), "{shown}");
    let shown = report(&all, &[], only(&["tcp.*"]));
    assert_eq!(table(&shown), ["error 3 tcp.refused"], "{shown}");
    assert!(!shown.contains("hidden"), "{shown}");
    // A symptom that is asked for shows the entry it is folded under.
    let caused = Finding {
        consequence_of: Some("tcp.refused"),
        ..finding("rst.abort", Severity::Error)
    };
    all[0].findings.push(caused);
    let shown = report(&all, &[], only(&["rst.abort"]));
    assert_eq!(table(&shown), ["error 1 tcp.refused"], "{shown}");
    let view = View {
        selection: Selection {
            ignore_by_config: vec!["tcp.*".to_owned()],
            ignore: vec!["rst.*".to_owned()],
            ..Selection::default()
        },
        ..View::default()
    };
    let shown = report(&all, &[], view);
    let by = "4 findings are hidden by --ignore and the configuration's ignore.\n";
    assert!(shown.ends_with(by), "{shown}");
    let mild = View {
        min_severity: Some(Severity::Error),
        ..View::default()
    };
    let warned = [diagnosis(
        0,
        "10.0.0.1:1",
        "10.0.0.9:1",
        vec![finding("test.warning", Severity::Warning)],
    )];
    let shown = report(&warned, &[], mild);
    assert!(shown.contains("0 failed, 1 degraded"), "{shown}");
    assert!(
        shown.ends_with("1 finding is hidden by --min-severity.\n"),
        "{shown}"
    );
}

#[test]
fn a_filter_that_matches_nothing_is_named() {
    let reported = |matched| {
        let mut out = Vec::new();
        let style = TextStyle::default();
        let mut text = Text::new(&mut out, style, View::default(), Names::default());
        let filtered = wirewhy_report::CaptureSummary {
            filter: Some(FilterSummary {
                expression: "host 10.0.0.99".to_owned(),
                matched,
            }),
            ..capture()
        };
        text.finish(&filtered, &totals(&[]), &[]).unwrap();
        String::from_utf8(out).unwrap()
    };
    let nothing = "\nThe filter 'host 10.0.0.99' matched none of 2,430,112 packets.\n";
    assert!(reported(0).ends_with(nothing), "{}", reported(0));
    let no_tcp = "\nNo TCP connection, and none over QUIC that begins there, in the 12 packets that the filter 'host\n10.0.0.99' matched.\n";
    assert!(reported(12).ends_with(no_tcp), "{}", reported(12));
}

#[test]
fn the_first_screen_is_the_whole_story() {
    // Twelve failures of twelve kinds, and ten thousand of one.
    const CODES: [&str; 12] = [
        "tcp.refused",
        "tcp.unreachable",
        "tcp.peer-vanished",
        "tcp.no-response",
        "tcp.mtu-blackhole",
        "tls.alert",
        "tls.handshake-closed",
        "tls.cert-expired",
        "rst.abort",
        "rst.injected",
        "rst.unread-data",
        "tcp.zero-window",
    ];
    let mut all: Vec<Diagnosis> = CODES
        .iter()
        .zip(0..)
        .map(|(code, n)| {
            let server = format!("10.0.0.{n}:443");
            diagnosis(
                n,
                "10.0.0.1:40000",
                &server,
                vec![finding(code, Severity::Error)],
            )
        })
        .collect();
    let sample = refused(0, "10.0.0.1:40000", "10.1.0.9:443");
    all.extend((12..10_012).map(|n| {
        let mut next = sample.clone();
        next.connection.stream = n;
        next.findings[0].code = "tcp.syn-unanswered";
        next
    }));
    for (width, most) in [(80, 10), (100, 9)] {
        let shown = report_at(width, &all, &[], View::default());
        let rows = table(&shown);
        assert_eq!(rows.len(), 13, "{shown}");
        assert_eq!(rows[0], "error 10,000 tcp.syn-unanswered", "{shown}");
        assert!(shown.lines().count() <= 120, "{}", shown.lines().count());
        let entries = shown.split("\n\n").skip(2);
        for entry in entries.filter(|entry| entry.starts_with("error ")) {
            assert!(entry.lines().count() <= most, "{entry}");
        }
    }
}

/// Attempts of many clients at many services, some refused and some not answered, without words.
fn scanned() -> Vec<Diagnosis> {
    let unanswered = connections("0.0 > S 0:0(0)\n 9 end").remove(0);
    let refused = connections("0.0 > S 0:0(0)\n 0.1 < RA 0:0(0) ack 1\n 9 end").remove(0);
    let trust = TrustStore::mozilla();
    let attempt = |number: u32| {
        let mut connection = match number % 5 {
            0 => refused.clone(),
            _ => unanswered.clone(),
        };
        // One of them comes late, and then most of the time.
        let client = match number {
            3_000.. if !number.is_multiple_of(4) => 99,
            _ => number * 7 % 41,
        };
        connection.stream = number;
        connection.client.address = Ipv4Addr::from_bits(0x0a00_0000 + client).into();
        connection.server.address = Ipv4Addr::from_bits(0x0a01_0000 + number % 250).into();
        connection.server.port = 80 + u16::try_from(number / 250).unwrap();
        diagnose_briefly(connection.into(), &Limits::default(), &trust)
    };
    (0..6_000).map(attempt).collect()
}

#[test]
fn what_is_counted_without_words_makes_the_same_report() {
    let attempts = scanned();
    let scanner = beyond(
        "host.port-scan",
        (Scope::Host, "10.0.0.99"),
        Severity::Warning,
        Facts::default(),
    );
    let text = |counts: bool| {
        let mut out = Vec::new();
        let (style, view) = (TextStyle::new(100, Color::Never), View::default());
        let mut text = Text::new(&mut out, style, view, Names::default());
        let mut worded = 0;
        for attempt in &attempts {
            assert!(attempt.is_wordless());
            if !counts || !text.count(attempt) {
                let mut attempt = attempt.clone();
                attempt.put_into_words(&Limits::default());
                text.connection(&attempt).unwrap();
                worded += 1;
            }
        }
        let group = std::slice::from_ref(&scanner);
        text.finish(&capture(), &totals(&attempts), group).unwrap();
        (String::from_utf8(out).unwrap(), worded)
    };
    let ((counted, worded), (reported, all)) = (text(true), text(false));
    assert_eq!(counted, reported);
    assert_eq!(all, 6_000);
    assert!(worded < 1_000, "{worded}");
    // The client that came late is found with what it tried.
    assert!(reported.contains("10.0.0.99"), "{reported}");
}
