//! The summary over many captures.

use serde_json::Value as Json;
use wirewhy_detect::Diagnosis;
use wirewhy_report::{
    Archive, Color, Digest, Digester, Extent, Lines, Names, Ndjson, Scanned, Selection, Shown,
    TextStyle, View, write_error_ndjson,
};
use wirewhy_survey::GroupFinding;

use crate::json::assert_valid;
use crate::sample::{caveat, healthy, refused, tell};

fn digest(diagnosis: &[Diagnosis], group: &[GroupFinding]) -> Digest {
    let mut digester = Digester::default();
    tell(&mut digester, diagnosis, group);
    let digest = digester.into_digest();
    let written = serde_json::to_string(&digest).unwrap();
    assert_eq!(serde_json::from_str::<Digest>(&written).unwrap(), digest);
    digest
}

fn summary(archive: &Archive) -> Json {
    let mut out = Vec::new();
    archive
        .write_ndjson(
            &mut out,
            shown(&Names::default(), &View::default()),
            Extent::Whole,
        )
        .unwrap();
    let summary = serde_json::from_slice(&out).unwrap();
    assert_valid(&summary);
    summary
}

fn shown<'a>(names: &'a Names, view: &'a View) -> Shown<'a> {
    Shown { names, view }
}

fn text(archive: &Archive, extent: Extent) -> String {
    text_of(archive, extent, &View::default())
}

fn text_of(archive: &Archive, extent: Extent, view: &View) -> String {
    let mut out = Vec::new();
    archive
        .write_text(
            &mut out,
            TextStyle::default(),
            shown(&Names::default(), view),
            extent,
        )
        .unwrap();
    String::from_utf8(out).unwrap()
}

fn trouble() -> Vec<Diagnosis> {
    vec![
        refused(0, "10.0.0.1:40000", "10.0.0.9:443"),
        refused(1, "10.0.0.1:40001", "10.0.0.9:443"),
        refused(2, "10.0.0.2:40001", "10.0.0.8:443"),
        healthy(3),
    ]
}

#[test]
fn counts_add_up_over_captures() {
    let mut archive = Archive::default();
    let digest = digest(&trouble(), &[caveat()]);
    archive.add("a.pcap", &digest, Scanned::Now);
    archive.add("b.pcap", &digest, Scanned::Now);
    archive.add_unreadable("broken.pcap");
    archive.add_skipped(3);
    let summary = summary(&archive);
    assert_eq!(
        summary["captures"],
        serde_json::json!({"read": 2, "cut_short": 0, "unreadable": 1, "skipped": 3})
    );
    let cause = &summary["causes"][0];
    assert_eq!(cause["code"], "tcp.refused");
    assert_eq!(
        (&cause["connections"], &cause["captures"]),
        (&6.into(), &2.into())
    );
    assert_eq!(cause["first_source"], "a.pcap");
    assert_eq!(cause["services"][0]["address"], "10.0.0.9");
    assert_eq!(cause["services"][0]["connections"], 4);
    assert_eq!(summary["clients"][0]["address"], "10.0.0.1");
    assert_eq!(summary["findings"][0]["captures"], 2);
    assert_eq!(summary["new"], Json::Null);
    let text = text(&archive, Extent::Part);
    assert!(text.starts_with("Interrupted"), "{text}");
    assert!(text.contains("6 connections in 2 captures"), "{text}");
    assert!(text.contains("10.0.0.9:443: 4"), "{text}");
    assert!(text.contains("3 other files skipped"), "{text}");
}

#[test]
fn new_is_what_no_earlier_scan_met() {
    let mut archive = Archive::default();
    archive.add("a.pcap", &digest(&trouble(), &[]), Scanned::Before);
    archive.add(
        "b.pcap",
        &digest(&[refused(0, "10.0.0.1:1", "10.0.0.7:443")], &[]),
        Scanned::Now,
    );
    let summary = summary(&archive);
    assert_eq!(summary["new"]["captures"], 1);
    assert_eq!(summary["new"]["causes"], serde_json::json!([]));
    let services = summary["new"]["services"].as_array().unwrap();
    assert_eq!(services.len(), 1);
    assert_eq!(services[0]["address"], "10.0.0.7");
    assert!(text(&archive, Extent::Whole).contains("10.0.0.7:443: tcp.refused, 1 connection"));
}

#[test]
fn records_of_a_shared_stream_name_their_capture_and_keep_to_the_schema() {
    let mut out = Vec::new();
    let view = View::default();
    let mut records = Ndjson::new(&mut out, view, Names::default()).naming("a.pcap".to_owned());
    tell(&mut records, &trouble(), &[caveat()]);
    write_error_ndjson(&mut out, "b.pcap", "permission denied").unwrap();
    let mut number = 0;
    for line in String::from_utf8(out).unwrap().lines() {
        let record: Json = serde_json::from_str(line).unwrap();
        assert_valid(&record);
        assert!(record["source"].is_string(), "{line}");
        number += 1;
    }
    assert_eq!(number, 3 + 1 + 2 + 1);
}

#[test]
fn a_capture_takes_a_second_line_where_one_does_not_fit() {
    let digest = digest(&trouble(), &[]);
    let line = |lines, width| {
        let mut out = Vec::new();
        digest
            .write_text(
                &mut out,
                TextStyle::new(width, Color::Never),
                lines,
                &View::default(),
                "in/a.pcap",
            )
            .unwrap();
        String::from_utf8(out).unwrap()
    };
    let one = "in/a.pcap: 4 connections, 3 failed: tcp.refused 3\n";
    let two = "in/a.pcap:\n    4 connections, 3 failed: tcp.refused 3\n";
    assert_eq!(line(Lines::One, 40), one);
    assert_eq!(line(Lines::Fitting, 49), one);
    assert_eq!(line(Lines::Fitting, 48), two);
}

#[test]
fn what_is_hidden_is_counted_and_changes_no_total() {
    let mut archive = Archive::default();
    archive.add("a.pcap", &digest(&trouble(), &[caveat()]), Scanned::Now);
    let all = text(&archive, Extent::Whole);
    let row = "\nerror  3         1  tcp.refused  Connection refused\n";
    assert!(all.contains(row) && !all.contains("Hidden"), "{all}");
    let view = View {
        selection: Selection {
            only: vec!["tls.*".to_owned()],
            ..Selection::default()
        },
        ..View::default()
    };
    let few = text_of(&archive, Extent::Whole, &view);
    assert!(
        few.contains("4 connections: 3 failed, 0 degraded, 1 ok"),
        "{few}"
    );
    let hidden = "Hidden by --only: 3 connections in trouble, 1 finding beyond single connections.";
    assert!(few.contains(hidden), "{few}");
    assert!(!few.contains("tcp.refused"), "{few}");
    let mut out = Vec::new();
    let names = Names::default();
    archive
        .write_ndjson(&mut out, shown(&names, &view), Extent::Whole)
        .unwrap();
    let summary: Json = serde_json::from_slice(&out).unwrap();
    assert_eq!(summary["totals"]["failed"], 3);
    assert_eq!(summary["causes"], serde_json::json!([]));
}

#[test]
fn the_table_fits_narrow_screens() {
    let mut archive = Archive::default();
    archive.add("a.pcap", &digest(&trouble(), &[]), Scanned::Now);
    let (names, view) = (Names::default(), View::default());
    for width in [40, 60, 80, 100] {
        let mut out = Vec::new();
        let style = TextStyle::new(width, Color::Never);
        archive
            .write_text(&mut out, style, shown(&names, &view), Extent::Whole)
            .unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("tcp.refused"), "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
}
