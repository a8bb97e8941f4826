//! The report as Markdown, read by a parser of CommonMark with the extensions of GitHub.

use std::net::IpAddr;

use pulldown_cmark::{Event, Options, Parser, Tag};
use wirewhy_detect::Diagnosis;
use wirewhy_report::{CaptureSummary, Markdown, Names, Reporter, View};
use wirewhy_survey::GroupFinding;

use crate::sample::{capture, caveat, healthy, refused, totals};

/// Text that would be mark-up, a link, an image, a table, a mention, or the end of a code span.
const HOSTILE: &str = "| a | `b` ``` **bold** _it_ ~~s~~ <script>x</script> [l](javascript:x) ![i](http://x/) <http://x> \
                       http://evil.example www.evil.example @all #1 &lt; $x$ \u{1b}[2J\u{202e}\n# heading\n---";

fn written(
    diagnosis: &[Diagnosis],
    group: &[GroupFinding],
    names: Names,
    about: &CaptureSummary,
) -> String {
    let mut out = Vec::new();
    let mut markdown = Markdown::new(&mut out, View::default(), names);
    for one in diagnosis {
        markdown.connection(one).unwrap();
    }
    markdown.finish(about, &totals(diagnosis), group).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn text_from_the_wire_is_text_whatever_it_is() {
    let names: Names = ["10.0.0.1", "10.0.0.9"]
        .map(|address| (address.parse::<IpAddr>().unwrap(), HOSTILE.to_owned()))
        .into_iter()
        .collect();
    let mut diagnosis = refused(1, "10.0.0.1:40000", "10.0.0.9:443");
    diagnosis.connection.server_name = Some(HOSTILE.into());
    diagnosis.findings[0].summary = HOSTILE.to_owned();
    let mut found = caveat();
    found.finding.summary = HOSTILE.to_owned();
    let about = CaptureSummary {
        source: HOSTILE.to_owned(),
        problem: Some(HOSTILE.to_owned()),
        ..capture()
    };
    let shown = written(&[diagnosis], &[found], names, &about);
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_GFM
        | Options::ENABLE_MATH;
    let (mut text, mut cells, mut headings, mut tables, mut strong) = (String::new(), 0, 0, 0, 0);
    for event in Parser::new_ext(&shown, options) {
        match event {
            Event::Start(Tag::Table(_)) => tables += 1,
            Event::Start(Tag::TableCell) => cells += 1,
            Event::Start(Tag::Strong) => strong += 1,
            Event::Start(Tag::Heading { .. }) => headings += 1,
            Event::Start(
                Tag::Paragraph | Tag::List(None) | Tag::Item | Tag::TableHead | Tag::TableRow,
            ) => {}
            Event::Start(other) => panic!("{other:?}\n{shown}"),
            Event::Text(part) => {
                assert!(!part.contains(['@', '#']), "{part}");
                text.push_str(&part);
            }
            Event::Code(part) => text.push_str(&part),
            Event::End(_) | Event::SoftBreak => {}
            other => panic!("{other:?}\n{shown}"),
        }
    }
    assert_eq!((tables, cells, headings, strong), (1, 12, 2, 1), "{shown}");
    // All of it is there, as text.
    let hostile = HOSTILE.split('\u{1b}').next().unwrap();
    assert!(
        text.matches(hostile.trim_end()).count() >= 5,
        "{text}\n{shown}"
    );
    assert!(
        !shown.contains("http://evil") && !shown.contains("www.evil"),
        "no link of GitHub's"
    );
}

#[test]
fn ten_thousand_failures_are_two_pages() {
    let diagnosis: Vec<Diagnosis> = (0..10_000)
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
    let shown = written(&diagnosis, &[], Names::default(), &capture());
    assert!(shown.lines().count() <= 120, "{shown}");
    assert!(shown.contains("**10,000 connections: 10,000 failed, 0 degraded**"));
    let well = written(&[healthy(1)], &[], Names::default(), &capture());
    assert!(!well.contains("| code |"), "{well}");
}
