//! Lookups in traces: where each rule fires, and what looks alike.

use std::fmt::Write as _;

use wirewhy_detect::{Confidence, Finding, Role, Severity};
use wirewhy_packet::Interval;

use crate::GroupFinding;
use crate::testing::group;

/// A query or answer of one client, whose resolver is 192.0.2.53.
fn ask(at: &str, rest: &str) -> String {
    format!("{at} dns 192.0.2.1 > 192.0.2.53 {rest}\n")
}

fn answer(at: &str, rest: &str) -> String {
    format!("{at} dns 192.0.2.1 < 192.0.2.53 {rest}\n")
}

/// The findings about lookups.
fn found(lines: &str) -> Vec<GroupFinding> {
    let mut found = group(lines);
    found.retain(|found| found.finding.code.starts_with("dns."));
    found
}

fn only(lines: &str) -> GroupFinding {
    let mut all = found(lines);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.pop().unwrap()
}

fn codes(lines: &str) -> Vec<(&'static str, Severity)> {
    let found = found(lines);
    let codes = found.iter().map(|found| &found.finding);
    codes
        .map(|Finding { code, severity, .. }| (*code, *severity))
        .collect()
}

#[test]
fn nothing_answers() {
    // glibc: A and AAAA from one port, both again after 5 s.
    let mut lines = String::new();
    for at in ["0.0", "5.0"] {
        lines += &ask(at, "1 www.example.com A");
        lines += &ask(at, "2 www.example.com AAAA");
    }
    let about = only(&(lines + "15 end"));
    assert_eq!(about.subject, "www.example.com at 192.0.2.53");
    let finding = about.finding;
    assert_eq!(
        (finding.code, finding.severity),
        ("dns.timeout", Severity::Error)
    );
    assert_eq!(finding.confidence, Confidence::Certain);
    assert_eq!(
        (finding.culprit.role, finding.culprit_confidence()),
        (Role::Server, Some(Confidence::Possible))
    );
    assert_eq!(
        finding.summary,
        "192.0.2.1 asked 192.0.2.53 for www.example.com (A and AAAA) with 4 queries over 5.0 s and got no answer; nothing else was \
         heard from there: the resolver or the way to it, which look the same from here"
    );
    assert_eq!(finding.frames, [1, 3, 2, 4]);
}

#[test]
fn silence_that_proves_nothing() {
    // One query, and nothing else is known of the resolver.
    assert!(codes(&(ask("0", "1 a.example.com A") + "60 end")).is_empty());
    // The capture ends before the answer is due, although the resolver answers others.
    let answers =
        ask("0", "1 a.example.com A") + &answer("0.1", "1 noerror a.example.com A 192.0.2.80");
    let last = ask("9", "2 b.example.com A");
    assert!(codes(&format!("{answers}{last}11 end")).is_empty());
    let long = codes(&format!("{answers}{last}13 end"));
    assert_eq!(long, [("dns.timeout", Severity::Error)]);
    // A frame that was recorded twice is no repeat.
    let twice = ask("0", "1 a.example.com A") + &ask("0.0001", "1 a.example.com A");
    assert!(codes(&(twice + "60 end")).is_empty());
}

#[test]
fn another_resolver_answers_in_the_end() {
    let lines = "0 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A
                 5 dns 192.0.2.1:5001 > 192.0.2.54 1 www.example.com A
                 5.02 dns 192.0.2.1:5001 < 192.0.2.54 1 noerror www.example.com A 192.0.2.80";
    let all = found(lines);
    assert_eq!(
        codes(lines),
        [
            ("dns.timeout", Severity::Note),
            ("dns.slow", Severity::Warning)
        ]
    );
    assert_eq!(
        all[1].finding.summary,
        "www.example.com (A) was resolved for 192.0.2.1 only after 5.0 s: 192.0.2.53 did not answer, 192.0.2.54 did"
    );
}

#[test]
fn a_name_that_does_not_exist() {
    let lines = ask("0", "1 nope.example.com A")
        + &answer("0.02", "1 nxdomain nope.example.com A soa example.com")
        + &ask("0.03", "2 nope.example.com AAAA")
        + &answer("0.04", "2 nxdomain nope.example.com AAAA soa example.com");
    let finding = only(&lines).finding;
    assert_eq!(
        (finding.code, finding.severity),
        ("dns.nxdomain", Severity::Error)
    );
    assert_eq!(
        finding.summary,
        "192.0.2.1 asked 192.0.2.53 for nope.example.com (A and AAAA): no such name, says the zone example.com"
    );
    assert_eq!(finding.culprit.role, Role::Client);
}

#[test]
fn a_name_without_records_of_the_type_exists() {
    let lines = ask("0", "1 www.example.com A")
        + &answer("0.02", "1 noerror www.example.com A soa example.com")
        + &ask("0.03", "2 www.example.com AAAA")
        + &answer("0.04", "2 noerror www.example.com AAAA soa example.com");
    assert!(codes(&lines).is_empty());
}

#[test]
fn a_search_list() {
    let list = |domain: &str, last: &str| {
        let long = format!("api.example.com.shop.{domain}");
        let middle = format!("api.example.com.{domain}");
        ask("0", &format!("1 {long} A"))
            + &answer("0.01", &format!("1 nxdomain {long} A"))
            + &ask("0.02", &format!("2 {middle} A"))
            + &answer("0.03", &format!("2 nxdomain {middle} A"))
            + &ask("0.04", "3 api.example.com A")
            + &answer("0.05", last)
    };
    let good = "3 noerror api.example.com A 192.0.2.80";
    let cluster = found(&list("svc.cluster.example", good));
    assert_eq!(
        cluster[0].subject,
        "api.example.com.shop.svc.cluster.example at 192.0.2.53"
    );
    assert_eq!(
        (cluster.len(), cluster[0].finding.severity),
        (1, Severity::Note)
    );
    assert!(codes(&list("svc.cluster.local", good)).is_empty());
    let bad = only(&list("svc.cluster.local", "3 nxdomain api.example.com A"));
    assert_eq!(
        (&*bad.subject, bad.finding.severity),
        ("api.example.com at 192.0.2.53", Severity::Error)
    );
    assert!(
        bad.finding
            .summary
            .ends_with("nor with any of 2 domains of the search list behind it")
    );
}

#[test]
fn names_that_need_not_exist() {
    let missing = |name: &str, kind: &str| {
        codes(
            &(ask("0", &format!("1 {name} {kind}"))
                + &answer("0.01", &format!("1 nxdomain {name} {kind}"))),
        )
    };
    let note = [("dns.nxdomain", Severity::Note)];
    assert_eq!(missing("_dmarc.example.com", "TXT"), note);
    assert_eq!(missing("_ldap._tcp.example.com", "SRV"), note);
    assert_eq!(missing("4.3.2.1.zen.example.org", "A"), note);
    assert_eq!(missing("1.2.0.192.in-addr.arpa", "PTR"), note);
    assert_eq!(missing("wpad.example.com", "A"), note);
    assert!(missing("printer.local", "A").is_empty());
    assert!(missing("web.shop.svc.cluster.local", "A").is_empty());
    assert_eq!(
        missing("database", "A"),
        [("dns.nxdomain", Severity::Error)]
    );
}

#[test]
fn one_entry_of_a_search_list_that_is_known() {
    let list = ask("0", "1 www.example.com.corp.example A")
        + &answer("0.01", "1 nxdomain www.example.com.corp.example A")
        + &ask("0.02", "2 www.example.com A")
        + &answer("0.03", "2 noerror www.example.com A 192.0.2.80");
    let then = |name: &str| {
        let lines =
            ask("9", &format!("3 {name} A")) + &answer("9.01", &format!("3 nxdomain {name} A"));
        codes(&(list.clone() + &lines)).last().copied()
    };
    assert_eq!(
        then("api.example.com.corp.example"),
        Some(("dns.nxdomain", Severity::Note))
    );
    assert_eq!(
        then("api.corp.example"),
        Some(("dns.nxdomain", Severity::Error))
    );
}

#[test]
fn random_names_that_a_browser_asks_for() {
    let mut lines = String::new();
    for (n, name) in ["qwertyzxc", "lkjhgfds", "poiuytrewq"]
        .into_iter()
        .enumerate()
    {
        lines += &ask("+0.001", &format!("{n} {name} A"));
        lines += &answer("+0.01", &format!("{n} nxdomain {name} A"));
    }
    assert_eq!(codes(&lines), [("dns.nxdomain", Severity::Note); 3]);
}

#[test]
fn the_resolver_failed_and_says_why() {
    let lines = ask("0", "1 bogus.example.net A edns 1232")
        + &answer(
            "0.02",
            "1 servfail bogus.example.net A ede 9 \"no DNSKEY matches DS\"",
        );
    let about = only(&lines);
    assert_eq!(
        (about.finding.code, about.finding.severity),
        ("dns.servfail", Severity::Error)
    );
    assert_eq!(
        about.finding.summary,
        "192.0.2.53 answered SERVFAIL to 192.0.2.1 for bogus.example.net (A) after 20 ms; it says DNSKEY Missing (9), \"no DNSKEY \
         matches DS\": the parent has a DS record and the zone no key that fits it"
    );
    let at_fault = about.finding.facts.value("at_fault");
    assert_eq!(at_fault, Some(&"zone".into()));
    assert_eq!(
        (about.finding.culprit.role, about.finding.culprit.address),
        (Role::Server, None)
    );
}

#[test]
fn a_failure_that_a_repeat_mends_is_a_note() {
    let lines = ask("0", "1 www.example.com A")
        + &answer("0.02", "1 servfail www.example.com A")
        + &ask("0.03", "1 www.example.com A")
        + &answer("0.05", "1 noerror www.example.com A 192.0.2.80");
    assert_eq!(codes(&lines), [("dns.servfail", Severity::Note)]);
}

#[test]
fn the_failure_of_a_forwarder_is_that_of_its_resolver() {
    let lines = "0.00 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A
                 0.01 dns 192.0.2.53:6000 > 203.0.113.53 7 www.example.com A
                 0.05 dns 192.0.2.53:6000 < 203.0.113.53 7 servfail www.example.com A
                 0.06 dns 192.0.2.1:5000 < 192.0.2.53 1 servfail www.example.com A";
    let all = found(lines);
    let of = |subject: &str| all.iter().find(|found| found.subject == subject).unwrap();
    let stub = &of("www.example.com at 192.0.2.53").finding;
    assert_eq!(stub.consequence_of, Some("dns.servfail"));
    assert!(stub.summary.ends_with("; it had asked 203.0.113.53"));
    assert_eq!(
        of("www.example.com at 203.0.113.53").finding.consequence_of,
        None
    );
}

#[test]
fn refused_in_its_ways() {
    let refused = |stated: &str| {
        let about = only(&(ask("0", "1 www.example.com A") + stated));
        assert_eq!(
            (about.finding.code, about.finding.severity),
            ("dns.refused", Severity::Error)
        );
        about.finding
    };
    let by_policy = refused(&answer("0.01", "1 refused www.example.com A nora"));
    assert!(
        by_policy
            .summary
            .ends_with("only speaks for zones of its own"),
        "{}",
        by_policy.summary
    );
    let by_format = refused(&answer("0.01", "1 formerr www.example.com A noquestion"));
    assert!(by_format.summary.contains("answered FORMERR"));
    let prohibited = refused(&answer("0.01", "1 refused www.example.com A ede 18 \"\""));
    assert_eq!(
        prohibited.facts.value("at_fault"),
        Some(&"resolver's access list".into())
    );
    let icmp = refused("0.01 dns 192.0.2.1 refused 192.0.2.53");
    assert_eq!(
        (icmp.culprit.role, icmp.culprit_confidence()),
        (Role::Server, Some(Confidence::Likely))
    );
    assert_eq!(icmp.frames, [2, 1]);
}

#[test]
fn strangers_from_the_internet_are_refused_with_right() {
    let lines = |client: &str| {
        format!(
            "0.00 dns {client}:5000 > 8.9.10.11 1 www.example.com A
             0.01 dns {client}:5000 < 8.9.10.11 1 refused www.example.com A nora"
        )
    };
    assert_eq!(
        codes(&lines("45.33.32.156")),
        [("dns.refused", Severity::Note)]
    );
    assert_eq!(
        codes(&lines("10.0.0.7")),
        [("dns.refused", Severity::Error)]
    );
}

#[test]
fn a_query_without_edns_helps_an_old_server() {
    let lines = "0.00 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A edns 1232
                 0.01 dns 192.0.2.1:5000 < 192.0.2.53 1 formerr www.example.com A
                 0.02 dns 192.0.2.1:5001 > 192.0.2.53 2 www.example.com A
                 0.03 dns 192.0.2.1:5001 < 192.0.2.53 2 noerror www.example.com A 192.0.2.80";
    assert_eq!(codes(lines), [("dns.refused", Severity::Note)]);
}

#[test]
fn late_and_waited_for() {
    let late = |at: &str| {
        ask("0", "1 www.example.com A") + &answer(at, "1 noerror www.example.com A 192.0.2.80")
    };
    let finding = only(&late("1.5")).finding;
    assert_eq!(
        (finding.code, finding.severity),
        ("dns.slow", Severity::Warning)
    );
    assert_eq!(finding.facts.value("waited_for"), Some(&"resolver".into()));
    assert!(codes(&late("0.9")).is_empty());
    let other_type = ask("0", "1 www.example.com A")
        + &ask("0.001", "2 www.example.com AAAA")
        + &answer("0.02", "1 noerror www.example.com A 192.0.2.80")
        + &ask("5", "2 www.example.com AAAA")
        + "20 end";
    let finding = only(&other_type).finding;
    assert!(
        finding
            .summary
            .ends_with("only after 5.0 s: A was answered, AAAA was not"),
        "{}",
        finding.summary
    );
}

#[test]
fn time_in_which_nothing_was_asked_is_the_clients_own() {
    let lines = ask("0", "1 www.example.com.corp.example A")
        + &answer("0.02", "1 nxdomain www.example.com.corp.example A")
        + &ask("2", "2 www.example.com A")
        + &answer("2.02", "2 noerror www.example.com A 192.0.2.80");
    assert_eq!(codes(&lines), [("dns.nxdomain", Severity::Note)]);
}

/// An answer that does not fit, and what comes of TCP.
fn truncated(then: &str) -> String {
    format!(
        "#1 server 192.0.2.53:53
         {}{}{then}",
        ask("0.00", "1 big.example.com TXT"),
        answer("0.01", "1 noerror big.example.com TXT tc"),
    )
}

#[test]
fn tcp_is_refused_or_dropped() {
    let refused = only(&truncated("0.02 > S 0:0(0)\n0.03 < RA 0:0(0) ack 1\n9 end"));
    let finding = refused.finding;
    assert_eq!(
        (finding.code, finding.severity),
        ("dns.tcp-blocked", Severity::Error)
    );
    assert_eq!(
        (finding.consequence_of, finding.culprit.role),
        (Some("tcp.refused"), Role::Server)
    );
    assert_eq!(finding.facts.value("stream"), Some(&0_u32.into()));
    let dropped = "0.02 > S 0:0(0)\n1.02 > S 0:0(0)\n3.02 > S 0:0(0)\n30 end";
    let finding = only(&truncated(dropped)).finding;
    assert_eq!(finding.consequence_of, Some("tcp.syn-unanswered"));
    assert_eq!(finding.culprit.role, Role::Path);
    // Nothing was tried, or it cannot be seen.
    assert!(codes(&truncated("9 end")).is_empty());
}

#[test]
fn the_rest_of_an_answer_is_lost() {
    let lost = ask("0", "1 big.example.com A edns 4096")
        + &answer("0.02", "1 noerror big.example.com A fragment")
        + &ask("5", "1 big.example.com A edns 4096")
        + &answer("5.02", "1 noerror big.example.com A fragment");
    let finding = only(&format!("{lost}15 end")).finding;
    assert_eq!(
        (finding.code, finding.severity),
        ("dns.fragments-lost", Severity::Error)
    );
    assert_eq!(finding.culprit.role, Role::Path);
    let mended = ask("10", "3 big.example.com A")
        + &answer("10.02", "3 noerror big.example.com A 192.0.2.80");
    let mended = codes(&format!("{lost}{mended}"));
    assert!(
        mended.contains(&("dns.fragments-lost", Severity::Note)),
        "{mended:?}"
    );
    assert!(
        mended.contains(&("dns.slow", Severity::Warning)),
        "{mended:?}"
    );
    // The client goes on without repeating: the capture lost the rest, not the path.
    let fine =
        ask("0", "1 big.example.com A") + &answer("0.02", "1 noerror big.example.com A fragment");
    assert!(codes(&format!("{fine}2 end")).is_empty());
}

#[test]
fn large_answers_never_come_and_small_ones_do() {
    let lines = "0 dns 192.0.2.1:5000 > 192.0.2.53 1 big.example.com A edns 4096
                 5 dns 192.0.2.1:5001 > 192.0.2.53 2 big.example.com A edns 4096
                 10 dns 192.0.2.1:5002 > 192.0.2.53 3 big.example.com A edns 512
                 10.02 dns 192.0.2.1:5002 < 192.0.2.53 3 noerror big.example.com A 192.0.2.80";
    let all = found(lines);
    let finding = all
        .iter()
        .find(|found| found.finding.code == "dns.fragments-lost")
        .unwrap();
    assert_eq!(
        (finding.finding.severity, finding.finding.confidence),
        (Severity::Note, Confidence::Possible)
    );
}

#[test]
fn only_queries_without_edns_are_answered() {
    let lines = |first: &str, second: &str, third: &str| {
        format!(
            "0 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A {first}
             2 dns 192.0.2.1:5001 > 192.0.2.53 2 www.example.com A {second}
             4 dns 192.0.2.1:5002 > 192.0.2.53 3 www.example.com A {third}
             4.02 dns 192.0.2.1:5002 < 192.0.2.53 3 noerror www.example.com A 192.0.2.80"
        )
    };
    let finding = only(&lines("edns 1232", "edns 1232", "")).finding;
    assert_eq!(
        (finding.code, finding.culprit.role),
        ("dns.slow", Role::Path)
    );
    assert_eq!(finding.facts.value("waited_for"), Some(&"EDNS".into()));
    // One of the same kind was lost too, or one of them was answered.
    for other in [
        lines("edns 1232", "", ""),
        lines("edns 1232", "edns 1232", "edns 1232"),
    ] {
        let finding = only(&other).finding;
        assert_eq!(finding.facts.value("waited_for"), Some(&"repeat".into()));
    }
}

#[test]
fn a_forged_answer_comes_first() {
    let lines = ask("0", "1 www.example.com A")
        + &answer("0.002", "1 noerror www.example.com A 203.0.113.9 ttl 120")
        + &answer("0.040", "1 noerror www.example.com A 192.0.2.80 ttl 57");
    let finding = only(&lines).finding;
    assert_eq!(
        (finding.code, finding.severity),
        ("dns.conflicting-answers", Severity::Warning)
    );
    assert_eq!(
        (finding.confidence, finding.culprit.role),
        (Confidence::Likely, Role::Path)
    );
    assert!(
        finding
            .summary
            .contains("203.0.113.9, then 192.0.2.80; the first is forged: its hop count is 120")
    );
    let same = lines.replace("ttl 120", "ttl 57");
    assert_eq!(only(&same).finding.confidence, Confidence::Possible);
    // Sent twice, answered twice.
    let twice = ask("0", "1 www.example.com A")
        + &ask("0.5", "1 www.example.com A")
        + &answer("0.6", "1 noerror www.example.com A 203.0.113.9")
        + &answer("0.7", "1 noerror www.example.com A 192.0.2.80");
    assert!(codes(&twice).is_empty());
}

#[test]
fn an_answer_from_an_address_that_was_not_asked() {
    let lines = ask("0", "1 www.example.com A")
        + &answer(
            "0.02",
            "1 noerror www.example.com A 192.0.2.80 from 192.0.2.99",
        )
        + &ask("5", "1 www.example.com A")
        + &answer(
            "5.02",
            "1 noerror www.example.com A 192.0.2.80 from 192.0.2.99",
        );
    let codes = codes(&format!("{lines}15 end"));
    assert!(
        codes.contains(&("dns.conflicting-answers", Severity::Warning)),
        "{codes:?}"
    );
    assert!(
        codes.contains(&("dns.timeout", Severity::Error)),
        "{codes:?}"
    );
}

#[test]
fn ten_thousand_names_make_a_page() {
    let mut lines = String::new();
    for n in 0..10_000 {
        let port = 1_000 + n;
        writeln!(
            lines,
            "+0.001 dns 192.0.2.1:{port} > 192.0.2.53 {n} h{n}.example.com A"
        )
        .unwrap();
        writeln!(
            lines,
            "+0.001 dns 192.0.2.1:{port} < 192.0.2.53 {n} nxdomain h{n}.example.com A"
        )
        .unwrap();
    }
    let all = found(&lines);
    assert_eq!(all.len(), 11);
    let others = all.last().unwrap();
    assert_eq!(others.subject, "other names at 192.0.2.53");
    assert_eq!(
        others.finding.facts.value("name_count"),
        Some(&9_990_u64.into())
    );
}

#[test]
fn one_name_again_and_again_is_one_finding() {
    let mut lines = String::new();
    for n in 0..30 {
        writeln!(
            lines,
            "+2 dns 192.0.2.1:{} > 192.0.2.53 {n} nope.example.com A",
            1_000 + n
        )
        .unwrap();
        writeln!(
            lines,
            "+0.1 dns 192.0.2.1:{} < 192.0.2.53 {n} nxdomain nope.example.com A",
            1_000 + n
        )
        .unwrap();
    }
    let finding = only(&lines).finding;
    assert!(
        finding.summary.ends_with("; so did 29 other lookups of it"),
        "{}",
        finding.summary
    );
}

#[test]
fn what_a_resolver_asks_authorities_is_its_own_matter() {
    let lines = "0 dns 192.0.2.53:5000 > 203.0.113.1 1 nope.example.com A norec
                 0.1 dns 192.0.2.53:5000 < 203.0.113.1 1 nxdomain nope.example.com A
                 1 dns 192.0.2.53:5001 > 203.0.113.2 2 www.example.com A norec
                 2 dns 192.0.2.53:5002 > 203.0.113.3 3 www.example.com A norec
                 30 end";
    assert!(codes(lines).is_empty());
}

#[test]
fn a_lookup_names_the_connections_that_waited_for_it() {
    let finding = only(
        "server 192.0.2.80:443
         0.0 dns 192.0.2.1 > 192.0.2.53 1 www.example.com A
         3.0 dns 192.0.2.1 < 192.0.2.53 1 noerror www.example.com A 192.0.2.80
         3.1 > S 0:0(0)
         3.2 < RA 0:0(0) ack 1",
    )
    .finding;
    assert_eq!(finding.code, "dns.slow");
    assert!(
        finding
            .summary
            .ends_with("; stream 0 waited for it, 3.1 s from the first query"),
        "{}",
        finding.summary
    );
    let streams = finding.facts.value("dependent_streams");
    assert_eq!(streams, Some(&vec![0_u32].into()));
    let lost = finding.facts.value("lost_seconds");
    assert_eq!(lost, Some(&Interval::from_millis(3_100).into()));
}

#[test]
fn a_lookup_that_failed_names_the_connections_that_were_made_all_the_same() {
    let finding = only(
        "server 192.0.2.80:443
         0.00 dns 192.0.2.1 > 192.0.2.53 1 www.example.com A
         0.02 dns 192.0.2.1 < 192.0.2.53 1 noerror www.example.com A 192.0.2.80
         90.0 dns 192.0.2.1 > 192.0.2.53 7 www.example.com A
         90.1 dns 192.0.2.1 < 192.0.2.53 7 servfail www.example.com A
         90.2 > S 0:0(0)
         90.3 < RA 0:0(0) ack 1",
    )
    .finding;
    assert_eq!(
        (finding.code, finding.severity),
        ("dns.servfail", Severity::Error)
    );
    assert!(
        finding.summary.ends_with(
            "; the client connected all the same, with an address that this lookup did not give (stream 0)"
        ),
        "{}",
        finding.summary
    );
}

#[test]
fn a_lookup_that_no_connection_followed_names_none() {
    let finding = only(
        "server 192.0.2.99:443
         0.0 dns 192.0.2.1 > 192.0.2.53 1 www.example.com A
         3.0 dns 192.0.2.1 < 192.0.2.53 1 noerror www.example.com A 192.0.2.80
         3.1 > S 0:0(0)
         3.2 < RA 0:0(0) ack 1",
    )
    .finding;
    assert_eq!(finding.facts.value("dependent_streams"), None);
}
