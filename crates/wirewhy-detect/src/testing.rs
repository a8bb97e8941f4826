//! Traces through parse, track and judge, for the tests of detectors.

use wirewhy_flow::{Bounds, Connection, Tracker};
use wirewhy_packet::Decoder;
use wirewhy_testkit::trace;

use crate::{CaptureFaults, Finding, GroupFinding, Judged, Limits, Survey, TrustStore, judge};

/// Every connection of a trace, judged, amended by the survey, by stream number; and the findings beyond them.
fn run(lines: &str) -> (Vec<Judged>, Vec<GroupFinding>) {
    run_with(lines, &TrustStore::mozilla())
}

/// The same, with other roots.
fn run_with(lines: &str, trust: &TrustStore) -> (Vec<Judged>, Vec<GroupFinding>) {
    let limits = Limits::default();
    let mut decoder = Decoder::new();
    let mut tracker = Tracker::new(Bounds::default());
    let mut connections: Vec<Connection> = Vec::new();
    for frame in trace(lines) {
        let packet = decoder.decode(&frame.as_frame());
        tracker.observe(&packet, &mut |connection| connections.push(connection));
    }
    tracker.finish(&mut |connection| connections.push(connection));
    connections.sort_by_key(|connection| connection.stream);
    let mut survey = Survey::default();
    let mut judged: Vec<Judged> = connections
        .into_iter()
        .map(|connection| judge(connection, &limits, trust))
        .collect();
    for judged in &judged {
        survey.note(judged, &limits);
    }
    for judged in &mut judged {
        survey.adjust(judged, &limits);
    }
    let tally = tracker.tally();
    let recording = CaptureFaults {
        tcp_packets: tally.tcp_packets,
        late_resets: tally.late_resets.clone(),
        copies: tally.copies.clone(),
        cut: tally.cut.clone(),
        offloaded: tally.offloaded.clone(),
        ..CaptureFaults::default()
    };
    (judged, survey.finish(recording, &limits))
}

/// Every connection of a trace, judged.
pub(crate) fn judge_all(lines: &str) -> Vec<Judged> {
    run(lines).0
}

/// The findings of a trace whose servers are held against these roots.
pub(crate) fn findings_with(lines: &str, trust: &TrustStore) -> Vec<Finding> {
    run_with(lines, trust)
        .0
        .into_iter()
        .flat_map(|judged| judged.findings)
        .collect()
}

/// The only connection of a trace, judged.
pub(crate) fn judged(lines: &str) -> Judged {
    let mut judged = judge_all(lines);
    assert_eq!(judged.len(), 1, "the trace holds one connection");
    judged.remove(0)
}

/// Every finding of every connection.
pub(crate) fn findings(lines: &str) -> Vec<Finding> {
    judge_all(lines)
        .into_iter()
        .flat_map(|judged| judged.findings)
        .collect()
}

/// The codes of every finding of every connection.
pub(crate) fn codes(lines: &str) -> Vec<&'static str> {
    findings(lines)
        .into_iter()
        .map(|finding| finding.code)
        .collect()
}

/// The only finding of a trace.
pub(crate) fn only(lines: &str) -> Finding {
    let mut found = findings(lines);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// The findings beyond single connections.
pub(crate) fn group(lines: &str) -> Vec<GroupFinding> {
    run(lines).1
}

/// The codes of the findings beyond single connections.
pub(crate) fn group_codes(lines: &str) -> Vec<&'static str> {
    run(lines)
        .1
        .into_iter()
        .map(|found| found.finding.code)
        .collect()
}
