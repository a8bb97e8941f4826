use super::testing::traced;
use super::*;

fn drawn(text: &str) -> String {
    let (diagnosis, packets) = traced(text);
    of(
        &diagnosis,
        Some(&packets),
        &Names::default(),
        &View::everything(),
    )
    .into_string()
}

const LOST: &str = "0.0 > S 0:0(0)
    0.1 < SA 0:0(0) ack 1
    0.15 > A 1:1(0) ack 1
    0.2 > PA 1:101(100) ack 1
    0.25 < A 1:1(0) ack 101
    30.2 > PA 101:201(100) ack 1
    30.25 < A 1:1(0) ack 201
    90.2 > PA 201:301(100) ack 1
    90.3 < R 1:1(0) win 0 id 0 ttl 60";

#[test]
fn proofs_lead_to_their_frames_and_back() {
    let shown = drawn(LOST);
    assert!(shown.contains("<a href=\"#tcp-0-1-9\">9</a>"), "{shown}");
    assert!(
        shown.contains("<tr id=\"tcp-0-1-9\" class=\"cited reset\">"),
        "{shown}"
    );
    assert!(
        shown.contains(
            "<a class=\"badge\" href=\"#tcp-0-1-finding-1\" title=\"rst.idle-expired\">1</a>"
        ),
        "{shown}"
    );
    assert!(shown.contains("60.0 s of silence"), "{shown}");
    assert!(
        shown.contains("before frame 6, survived: 29.9 s; did not survive: 60.0 s"),
        "{shown}"
    );
}

#[test]
fn text_from_the_wire_stays_text() {
    let target = "/</script><script>alert(1)</script>\u{202e}'onload='x'";
    let request = format!("GET {target} HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n");
    // Four escapes stand for one byte each.
    let (asked, begin) = (request.len() - 6, 1);
    let shown = drawn(&format!(
        "0.0 > S 0:0(0)
         0.1 < SA 0:0(0) ack 1
         0.15 > A 1:1(0) ack 1
         0.2 > PA {begin}:{}({asked}) ack 1 \"{request}\"
         0.3 < PA 1:39(38) ack {} \"HTTP/1.1 503 Busy\\r\\nServer: <b>\\r\\n\\r\\n\"
         0.4 < FA 39:39(0) ack {}",
        begin + asked,
        begin + asked,
        begin + asked
    ));
    assert!(shown.contains("HTTP 503"), "{shown}");
    assert!(
        shown.contains("GET /&lt;/script&gt;&lt;script&gt;alert(1)"),
        "{shown}"
    );
    assert!(
        !shown.contains("<script") && !shown.contains("<b>"),
        "{shown}"
    );
    let is_bad = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
    assert!(!shown.contains(is_bad), "{shown}");
}

#[test]
fn ids_are_unique() {
    let shown = drawn(LOST);
    let mut ids: Vec<&str> = shown
        .split(" id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "{ids:?}");
    // What is referred to is there.
    for target in shown
        .split("href=\"#")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
    {
        assert!(ids.contains(&target), "{target}");
    }
}

#[test]
fn errors_of_routers_have_their_rows_and_marks() {
    let shown = drawn(
        "0.0 > S 0:0(0)
         0.1 < SA 0:0(0) ack 1
         0.15 > A 1:1(0) ack 1
         0.2 > PA 1:101(100) ack 1
         0.3 icmp 192.0.2.254 > client unreachable host
         0.4 > PA 1:101(100) ack 1
         0.5 icmp 192.0.2.254 > client unreachable host
         9.0 end",
    );
    assert!(
        shown.contains("host unreachable (type 3, code 1), from 192.0.2.254"),
        "{shown}"
    );
    assert!(
        shown.contains(">▼<title>Frame 5: ICMP host unreachable (type 3, code 1)"),
        "{shown}"
    );
    assert!(shown.contains("nothing more in 8.5 s"), "{shown}");
}

#[test]
fn only_frames_with_a_row_are_linked() {
    let (mut diagnosis, packets) = traced(LOST);
    diagnosis.findings[0].frames = vec![9, 4_711];
    let shown = of(
        &diagnosis,
        Some(&packets),
        &Names::default(),
        &View::everything(),
    )
    .into_string();
    assert!(
        shown.contains("Proof: <a href=\"#tcp-0-1-9\">9</a>, 4711"),
        "{shown}"
    );
}

#[test]
fn without_packets_the_drawing_says_so() {
    let (diagnosis, _) = traced(LOST);
    let shown = of(&diagnosis, None, &Names::default(), &View::everything()).into_string();
    assert!(shown.contains("neither ladder nor plot"), "{shown}");
    assert!(!shown.contains("href=\"#tcp-0-1-9\""), "{shown}");
}

#[test]
fn a_timer_lies_between_the_rests() {
    use wirewhy_detect::{Confidence, Facts, Role, Severity};
    use wirewhy_packet::Interval;
    let facts = Facts::default()
        .with("timer_seconds", Interval::from_secs(352))
        .with("longest_idle_seconds", Interval::from_secs(400))
        .with("longest_survived_seconds", Interval::from_secs(300))
        .with("connections", 4_u32);
    let finding = Finding {
        code: "host.idle-timer",
        severity: Severity::Warning,
        confidence: Confidence::Likely,
        culprit: Role::Path.into(),
        summary: String::new(),
        frames: Vec::new(),
        facts,
        consequence_of: None,
    };
    let shown = idle_timer(&finding, "timer-1").into_string();
    assert!(
        shown.contains("survived up to: 300 s; 4 connections did not survive: 352 s to 400 s"),
        "{shown}"
    );
    let other = Finding {
        facts: Facts::default(),
        ..finding
    };
    assert_eq!(idle_timer(&other, "timer-2").into_string(), "");
}

/// The colours of the style sheet, light then dark, by name.
fn colours() -> Vec<(String, String)> {
    let definitions = STYLE
        .split(['{', '}', ';'])
        .filter_map(|part| part.trim().strip_prefix("--pic-"));
    let pairs = definitions.filter_map(|part| part.split_once(':'));
    pairs
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

fn luminance(colour: &str) -> f64 {
    let channel = |at: usize| {
        let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.040_45 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

#[test]
fn every_colour_stands_out_from_its_paper() {
    let mut papers = Vec::new();
    for (name, value) in colours() {
        if name == "paper" {
            papers.push(value);
            continue;
        }
        // Lines of the grid and tints are meant to be faint.
        if name.starts_with("faint") {
            continue;
        }
        let paper = papers.last().expect("the paper comes first");
        let (one, other) = (luminance(&value), luminance(paper));
        let contrast = (one.max(other) + 0.05) / (one.min(other) + 0.05);
        assert!(contrast >= 4.5, "{name} {value} on {paper}: {contrast:.2}");
    }
    assert_eq!(papers.len(), 3, "light, dark and print");
}
