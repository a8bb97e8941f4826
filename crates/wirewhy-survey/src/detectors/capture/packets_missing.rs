//! `capture.packets-missing`: the capture lost packets.

use crate::recording::CaptureFaults;
use crate::rule::{Rule, SurveyDetector};
use wirewhy_detect::wording::{count, span};
use wirewhy_detect::{
    Confidence, Facts, Finding, Group, Limits, Record, Reportable, Role, Severity,
};
use wirewhy_packet::{Interval, RecordingGap};

pub(crate) const RECORD: Record = Record {
    code: "capture.packets-missing",
    group: Group::Recording,
    title: "Packets are missing from the capture",
    severity: Severity::Warning,
    means: "Packets crossed the wire that are not in the file. What looks lost or unanswered may only be unrecorded.",
    recognised: "Bytes acknowledged by their receiver that the capture never saw, drops counted by the kernel or in the file, or a file of the recording that is \
                 missing or damaged.",
    look_alikes: "Packets lost on the way are sent again and never acknowledged before that. A packet recorded just behind its \
                  acknowledgement looks missing for a moment; a few such are not counted.",
    check_next: &[
        "Capture again with a larger buffer (tcpdump -B 65536), a filter, or a shorter snap length (-s 128).",
        "On a mirror port: is it faster than both directions of the link together?",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Recording(find),
};

/// The finding, if enough is missing.
fn find(faults: &CaptureFaults, limits: &Limits) -> Option<Finding> {
    let dropped = faults.dropped_packets.unwrap_or(0);
    let least =
        (faults.tcp_packets as f64 * limits.missing_share).max(f64::from(limits.missing_segments));
    let holes = faults.unseen_segments as f64 >= least;
    let mut seen = Vec::new();
    if holes {
        seen.push(format!(
            "{} acknowledged that the capture never saw ({} bytes)",
            count(faults.unseen_segments, "segment"),
            faults.unseen_bytes,
        ));
    }
    if dropped > 0 {
        seen.push(format!(
            "{} counted as dropped while recording",
            count(dropped, "packet")
        ));
    }
    let missing: Vec<Interval> = faults.gaps.iter().map(RecordingGap::length).collect();
    let longest = missing.iter().copied().max();
    if let Some(longest) = longest {
        let gaps = count(faults.gaps.len() as u64, "gap");
        let length = if missing.len() == 1 { "" } else { "up to " };
        seen.push(format!(
            "{gaps} of {length}{} where a file is missing or damaged; connections that were open then are undecided",
            span(longest)
        ));
    }
    if seen.is_empty() {
        return None;
    }
    let frames = faults.gaps.iter().map(|gap| gap.frame);
    let mut facts = Facts::default()
        .with("unseen_segments", faults.unseen_segments)
        .with("unseen_bytes", faults.unseen_bytes)
        .with("dropped_packets", faults.dropped_packets);
    if longest.is_some() {
        let sum = missing.iter().map(|length| length.0);
        facts = facts
            .with("gaps", missing.len() as u64)
            .with("gap_seconds", Interval(sum.fold(0, i64::saturating_add)));
    }
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Warning,
        confidence: if dropped > 0 || longest.is_some() {
            Confidence::Certain
        } else {
            Confidence::Likely
        },
        culprit: Role::Capture.into(),
        summary: format!(
            "packets are missing from the recording: {}",
            seen.join(", and ")
        ),
        frames: frames
            .chain(faults.unseen_frames.iter().copied())
            .take(Finding::MAX_FRAMES)
            .collect(),
        facts,
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use wirewhy_detect::Value;
    use wirewhy_packet::Timestamp;

    use super::*;
    use crate::testing::group_codes;

    #[test]
    fn acknowledged_but_never_seen() {
        let codes = group_codes(
            "0.00 > S 0:0(0)
             0.05 < SA 0:0(0) ack 1
             0.10 > A 1:1(0) ack 1
             0.20 < A 1:1461(1460) ack 1
             0.21 < A 2921:4381(1460) ack 1
             0.22 > A 1:1(0) ack 4381
             0.30 < A 5841:7301(1460) ack 1
             0.31 > A 1:1(0) ack 7301",
        );
        assert_eq!(codes, ["capture.packets-missing"]);
    }

    #[test]
    fn a_file_that_is_missing_is_a_gap_and_a_recording_without_one_has_none() {
        let gap = RecordingGap {
            from: Timestamp::from_secs_nanos(10, 0),
            until: Timestamp::from_secs_nanos(70, 0),
            frame: 9,
        };
        let faults = CaptureFaults {
            gaps: vec![gap],
            ..CaptureFaults::default()
        };
        let found = find(&faults, &Limits::default()).unwrap();
        assert_eq!(
            (found.code, found.frames),
            ("capture.packets-missing", vec![9])
        );
        assert_eq!(found.facts.value("gaps"), Some(&Value::Count(1)));
        assert!(find(&CaptureFaults::default(), &Limits::default()).is_none());
    }

    #[test]
    fn lost_and_sent_again_is_not_missing() {
        let codes = group_codes(
            "0.00 > S 0:0(0)
             0.05 < SA 0:0(0) ack 1
             0.10 > A 1:1(0) ack 1
             0.20 < A 1:1461(1460) ack 1
             0.21 < A 2921:4381(1460) ack 1
             0.22 > A 1:1(0) ack 1461
             0.30 < A 1461:2921(1460) ack 1
             0.31 > A 1:1(0) ack 4381",
        );
        assert!(codes.is_empty());
    }
}
