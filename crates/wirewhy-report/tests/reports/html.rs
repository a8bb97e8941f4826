//! The page of HTML: nothing from the wire is anything but text in it, and it is bounded.

use std::collections::BTreeSet;
use std::net::IpAddr;

use wirewhy_detect::{Culprit, Diagnosis, Facts, Finding, Role, Scope, Severity, Value};
use wirewhy_report::{
    Archive, CaptureSummary, Digester, Extent, FileSummary, FilterSummary, Html, Names,
    PacketSource, Packets, Reporter, Scanned, Shown, View,
};
use wirewhy_survey::GroupFinding;

use crate::sample::{capture, caveat, healthy, packets, refused, tell, totals};
use crate::tls;

/// Text that would be mark-up, end the script, run, clear a terminal, or turn what stands around it.
const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>]]>--></title></style><!-- javascript:alert(1) \
                       &lt;b&gt; \u{1b}[2J\u{9b}31m\u{202e}\u{2066}\u{200f}\u{61c}\u{0}";

/// Gives every connection the same packets.
struct Same;

impl PacketSource for Same {
    fn packets(&mut self, wanted: &[&Diagnosis]) -> Vec<Option<Packets>> {
        let text = "client 10.0.0.1:40000
                    server 10.0.0.9:443
                    0.000 > S 0:0(0) win 64240 <mss 1460>
                    0.0003 < RA 0:0(0) ack 1 win 0";
        wanted.iter().map(|_| Some(packets(text))).collect()
    }
}

fn page(
    diagnosis: &[Diagnosis],
    group: &[GroupFinding],
    names: Names,
    about: &CaptureSummary,
) -> String {
    let mut out = Vec::new();
    {
        let mut html = Html::new(&mut out, View::default(), names, Box::new(Same));
        for one in diagnosis {
            html.connection(one).unwrap();
        }
        html.finish(about, &totals(diagnosis), group).unwrap();
    }
    String::from_utf8(out).unwrap()
}

fn plain(diagnosis: &[Diagnosis]) -> String {
    page(diagnosis, &[], Names::default(), &capture())
}

/// A tag of a page with its attributes, as they are written.
struct Tag<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
}

/// The tags of a page, and its text. As strict as a page that is written by a macro can be read: anything that is not a tag with
/// quoted attributes, text without angle brackets, or the one style sheet and the one script, is refused.
fn read(page: &str) -> (Vec<Tag<'_>>, String) {
    let mut left = page.strip_prefix("<!DOCTYPE html>").unwrap();
    let (mut tags, mut all_text) = (Vec::new(), String::new());
    while let Some((text, rest)) = left.split_once('<') {
        assert!(!text.contains('>'), "{text}");
        all_text.push_str(text);
        let (mut name, mut rest) = rest.split_at(rest.find([' ', '>']).unwrap());
        let mut attributes = Vec::new();
        if let Some(closed) = name.strip_prefix('/') {
            name = closed;
        }
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{name}");
        while let Some(more) = rest.strip_prefix(' ') {
            let end = more.find(['=', ' ', '>']).unwrap();
            let (attribute, after) = more.split_at(end);
            let letters = |c: char| c.is_ascii_alphanumeric() || c == '-';
            assert!(attribute.chars().all(letters), "{attribute}");
            let Some(quoted) = after.strip_prefix("=\"") else {
                attributes.push((attribute, ""));
                rest = after;
                continue;
            };
            let (value, after) = quoted.split_once('"').unwrap();
            assert!(!value.contains(['<', '>']), "{value}");
            attributes.push((attribute, value));
            rest = after;
        }
        left = rest.strip_prefix('>').unwrap();
        if name == "style" || name == "script" {
            let end = format!("</{name}>");
            if let Some((_, behind)) = left.split_once(&end).filter(|_| tags_end(&tags, name)) {
                left = behind;
            }
        }
        tags.push(Tag { name, attributes });
    }
    all_text.push_str(left);
    (tags, all_text)
}

/// Whether there was none of the name before: there is one style sheet and one script.
fn tags_end(tags: &[Tag<'_>], name: &str) -> bool {
    assert!(!tags.iter().any(|tag| tag.name == name), "a second {name}");
    true
}

/// What a page may not have in it, whatever was captured.
fn assert_safe(page: &str) {
    let (tags, text) = read(page);
    let mut ids = BTreeSet::new();
    let mut links = BTreeSet::new();
    for Tag { name, attributes } in &tags {
        assert!(!["img", "a:", "iframe", "object", "base", "form", "link"].contains(name));
        for (attribute, value) in attributes {
            assert!(!attribute.starts_with("on") && *attribute != "style" && *attribute != "src");
            assert!(
                !value.contains("//") && !value.contains("&quot;")
                    || *attribute == "aria-label"
                    || *attribute == "title",
                "{attribute}={value}"
            );
            match *attribute {
                "id" => assert!(ids.insert(*value), "{value} twice"),
                "href" => {
                    links.insert(value.strip_prefix('#').unwrap());
                }
                _ => {}
            }
            if ["id", "href", "class"].contains(attribute) {
                let own = |c: char| c.is_ascii_alphanumeric() || "-# ".contains(c);
                assert!(value.chars().all(own), "{attribute}={value}");
            }
        }
    }
    let lost: Vec<_> = links.difference(&ids).collect();
    assert!(lost.is_empty(), "{lost:?}");
    let hidden =
        |c: char| c.is_control() && c != '\n' || "\u{202e}\u{2066}\u{200f}\u{61c}".contains(c);
    assert!(!text.contains(hidden), "{:?}", text.find(hidden));
}

#[test]
fn text_from_the_wire_is_text_whatever_it_is() {
    let names: Names = ["10.0.0.1", "10.0.0.9"]
        .map(|address| (address.parse::<IpAddr>().unwrap(), HOSTILE.to_owned()))
        .into_iter()
        .collect();
    let mut first = refused(1, "10.0.0.1:40000", "10.0.0.9:443");
    first.connection.server_name = Some(HOSTILE.into());
    first.findings[0].summary = HOSTILE.to_owned();
    first.findings[0].facts = Facts::default().with("server_name", HOSTILE).with(
        "evidence",
        Value::List(vec![Value::Object(vec![
            ("weight", Value::Signed(1)),
            ("what", HOSTILE.into()),
            ("seen", HOSTILE.into()),
            ("expected", HOSTILE.into()),
            ("frame", Value::Count(1)),
        ])]),
    );
    let mut second = tls::diagnosis(tls::refused(HOSTILE));
    second.connection.stream = 2;
    second.findings = first.findings.clone();
    second.findings[0].code = "tls.alert";
    let group =
        [Scope::Service, Scope::Host, Scope::Lookup, Scope::Capture].map(|scope| GroupFinding {
            scope,
            subject: HOSTILE.to_owned(),
            finding: Finding {
                code: "service.down",
                summary: HOSTILE.to_owned(),
                severity: Severity::Error,
                culprit: Culprit::new(Role::Server, None),
                ..caveat().finding
            },
        });
    let file = |first_frame| FileSummary {
        source: HOSTILE.to_owned(),
        first_frame,
        packets: 1,
        problem: Some(HOSTILE.to_owned()),
    };
    let about = CaptureSummary {
        source: HOSTILE.to_owned(),
        format: HOSTILE.to_owned(),
        compression: Some(HOSTILE.to_owned()),
        link_types: vec![HOSTILE.to_owned()],
        problem: Some(HOSTILE.to_owned()),
        files: vec![file(1), file(2)],
        filter: Some(FilterSummary {
            expression: HOSTILE.to_owned(),
            matched: 0,
        }),
        ..capture()
    };
    let shown = page(&[first, second], &group, names.clone(), &about);
    assert_safe(&shown);
    // All of it is there, as text.
    let times = shown
        .matches("&lt;script&gt;alert(1)&lt;/script&gt;")
        .count();
    assert!(times > 20, "{times}");
    // Without a connection there are other sentences.
    assert_safe(&page(&[], &group, names, &about));
}

#[test]
fn the_policy_has_the_hashes_of_what_is_in_the_page() {
    let shown = plain(&[refused(1, "10.0.0.1:40000", "10.0.0.9:443"), healthy(2)]);
    assert_safe(&shown);
    let (tags, _) = read(&shown);
    let meta = tags.iter().filter(|tag| tag.name == "meta").nth(1).unwrap();
    assert_eq!(
        meta.attributes[0],
        ("http-equiv", "Content-Security-Policy")
    );
    let policy = meta.attributes[1].1;
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(!policy.contains("-inline"), "{policy}");
    // The policy comes before anything that it is about.
    assert!(shown.find("http-equiv") < shown.find("<style>"));
}

#[test]
fn a_page_has_the_sentences_of_the_text() {
    let diagnosis: Vec<Diagnosis> = (0..8)
        .map(|n| refused(n, "10.0.0.1:40000", &format!("10.0.0.{}:443", 9 + n % 2)))
        .collect();
    let shown = plain(&diagnosis);
    let mut text = Vec::new();
    let mut reporter = wirewhy_report::Text::new(
        &mut text,
        wirewhy_report::TextStyle::default(),
        View {
            facts: true,
            ..View::default()
        },
        Names::default(),
    );
    tell(&mut reporter, &diagnosis, &[]);
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    let text = squeezed(&String::from_utf8(text).unwrap());
    for sentence in [
        "10.0.0.9:443 answered the SYN with a reset after 0.300 ms (stream 0, the first of 4)",
        "10.0.0.10:443, 4 connections from 10.0.0.1",
        "the server 10.0.0.10, certain",
    ] {
        assert!(shown.contains(sentence), "{sentence}");
        assert!(text.contains(&squeezed(sentence)), "{sentence}");
    }
    assert_eq!(shown.matches("class=\"entry\"").count(), 2);
    assert!(
        shown.contains("href=\"#entry-2\""),
        "the table leads to the entries"
    );
    assert!(shown.contains("tcp.stream in {0,2,4,6}"));
    // Each entry lists its own connections, and draws them.
    assert_eq!(
        shown
            .matches(" drawn: 10.0.0.1:40000 → 10.0.0.9:443")
            .count(),
        4
    );
    assert_eq!(shown, plain(&diagnosis), "the same bytes once more");
}

#[test]
fn ten_thousand_failures_are_a_page_of_a_few_megabytes() {
    let apart: Vec<Diagnosis> = (0..10_000)
        .map(|n| {
            let server = format!("10.{}.{}.{}:{}", n % 7, n / 256, n % 256, 1 + n % 9_000);
            let mut diagnosis = refused(n, &format!("10.9.{}.1:40000", n % 200), &server);
            let codes = [
                "tcp.refused",
                "tcp.syn-unanswered",
                "tls.alert",
                "rst.idle-expired",
            ];
            diagnosis.findings[0].code = codes[n as usize % codes.len()];
            diagnosis
        })
        .collect();
    let shown = plain(&apart);
    assert!(shown.len() < 5_000_000, "{}", shown.len());
    assert_safe(&shown);
    assert!(shown.contains("The first 50 of 2,500 connections"));
    let drawn = shown.matches("class=\"drawn\"").count();
    assert_eq!(drawn, 50);
}

#[test]
fn what_is_well_has_a_page_that_says_so() {
    let shown = plain(&[healthy(1)]);
    assert!(shown.contains("Nothing wrong with any of them."));
    assert!(!shown.contains("id=\"causes\""));
}

#[test]
fn an_archive_is_a_page_with_its_captures() {
    let digest = |diagnosis: &[Diagnosis], group: &[GroupFinding]| {
        let mut digester = Digester::default();
        tell(&mut digester, diagnosis, group);
        digester.into_digest()
    };
    let hostile = GroupFinding {
        scope: Scope::Service,
        subject: HOSTILE.to_owned(),
        ..caveat()
    };
    let trouble = digest(
        &[refused(1, "10.0.0.1:40000", "10.0.0.9:443"), healthy(2)],
        &[hostile],
    );
    let well = digest(&[healthy(1)], &[]);
    let mut archive = Archive::listing();
    archive.add("well.pcap", &well, Scanned::Before);
    archive.add(HOSTILE, &trouble, Scanned::Now);
    for n in 0..6_000 {
        archive.add(&format!("{n}.pcap"), &trouble, Scanned::Now);
    }
    archive.add_unreadable(HOSTILE);
    let names: Names = [("10.0.0.9".parse::<IpAddr>().unwrap(), HOSTILE.to_owned())]
        .into_iter()
        .collect();
    let shown = |view: &View| {
        let mut out = Vec::new();
        let shown = Shown {
            names: &names,
            view,
        };
        archive.write_html(&mut out, shown, Extent::Part).unwrap();
        String::from_utf8(out).unwrap()
    };
    let page = shown(&View::default());
    assert_safe(&page);
    assert!(page.len() < 2_000_000, "{}", page.len());
    for text in [
        "6,002 captures",
        "Interrupted",
        "1 unreadable",
        "New since the last scan: 6,001 captures",
        "1998.pcap",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(page.contains("and 4,002 captures more"), "{}", page.len());
    assert!(!page.contains("well.pcap"));
    assert!(shown(&View::everything()).contains("well.pcap"));
}
