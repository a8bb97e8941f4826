//! `capture.packets-missing`: the capture lost packets.

use crate::CaptureFaults;
use crate::{Detector, Rule};
use wirewhy_detect::wording::count;
use wirewhy_detect::{Confidence, Facts, Finding, Limits, Record, Reportable, Role, Severity};

pub(crate) const RECORD: Record = Record {
    code: "capture.packets-missing",
    title: "The recording has holes",
    severity: Severity::Warning,
    means: "Packets crossed the wire that are not in the file. What looks lost or unanswered may only be unrecorded.",
    recognised: "Bytes acknowledged by their receiver that the capture never saw, or drops counted by the kernel or in the file.",
    look_alikes: "Packets lost on the way are sent again and never acknowledged before that. A packet recorded just behind its \
                  acknowledgement looks missing for a moment; a few such are not counted.",
    check_next: &[
        "Capture again with a larger buffer (tcpdump -B 65536), a filter, or a shorter snap length (-s 128).",
        "On a mirror port: is it faster than both directions of the link together?",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Recording(find),
};

/// The finding, if enough is missing.
fn find(faults: &CaptureFaults, limits: &Limits) -> Option<Finding> {
    let dropped = faults.dropped_packets.unwrap_or(0);
    let least =
        (faults.tcp_packets as f64 * limits.missing_share).max(f64::from(limits.missing_segments));
    let holes = faults.unseen_segments as f64 >= least;
    if dropped == 0 && !holes {
        return None;
    }
    let seen = match (holes, dropped > 0) {
        (true, true) => format!(
            "{} acknowledged that the capture never saw ({} bytes), and {} counted as dropped while recording",
            count(faults.unseen_segments, "segment"),
            faults.unseen_bytes,
            count(dropped, "packet"),
        ),
        (true, false) => format!(
            "{} acknowledged that the capture never saw ({} bytes)",
            count(faults.unseen_segments, "segment"),
            faults.unseen_bytes,
        ),
        _ => format!(
            "{} counted as dropped while recording",
            count(dropped, "packet")
        ),
    };
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Warning,
        confidence: if dropped > 0 {
            Confidence::Certain
        } else {
            Confidence::Likely
        },
        culprit: Role::Capture.into(),
        summary: format!("packets are missing from the recording: {seen}"),
        frames: faults.unseen_frames.clone(),
        facts: Facts::default()
            .with("unseen_segments", faults.unseen_segments)
            .with("unseen_bytes", faults.unseen_bytes)
            .with("dropped_packets", faults.dropped_packets),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
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
