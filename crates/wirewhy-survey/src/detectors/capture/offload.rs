//! `capture.offload`: packets were recorded before the network card cut them.

use crate::recording::CaptureFaults;
use crate::rule::{Rule, SurveyDetector};
use wirewhy_detect::wording::count;
use wirewhy_detect::{
    Confidence, Facts, Finding, Group, Limits, Record, Reportable, Role, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "capture.offload",
    group: Group::Recording,
    title: "Packets were captured before or after the network card's work",
    severity: Severity::Note,
    means: "The capture was taken on a host whose network card cuts large segments (TSO) and merges received ones (GRO). What the file \
            shows is not what crossed the wire; checksums may not be filled in yet. Nothing is wrong with the traffic.",
    recognised: "Segments with more payload than the receiver announced it accepts (MSS), or IP packets that leave their length to \
                 the card.",
    look_alikes: "Jumbo frames agree with the announced MSS.",
    check_next: &[
        "To see real packets: ethtool -K IFACE tso off gso off gro off, or capture on a mirror port.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Recording(find),
};

/// The finding, if any segment is larger than its receiver accepts.
fn find(faults: &CaptureFaults, _limits: &Limits) -> Option<Finding> {
    (faults.offloaded.count > 0).then(|| Finding {
        code: RECORD.code,
        severity: Severity::Note,
        confidence: Confidence::Certain,
        culprit: Role::Capture.into(),
        summary: format!(
            "{} larger than the wire carries: recorded on a host that leaves segmentation to its network card",
            if faults.offloaded.count == 1 {
                "1 segment is".to_owned()
            } else {
                format!("{} are", count(faults.offloaded.count, "segment"))
            },
        ),
        frames: faults.offloaded.frames.clone(),
        facts: Facts::default().with("oversized_segments", faults.offloaded.count),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::group_codes;

    #[test]
    fn a_segment_above_the_mss() {
        let lines = "0.0 > S 0:0(0) <mss 1460>\n 0.1 < SA 0:0(0) ack 1 <mss 1460>\n 0.2 > A 1:1(0) ack 1\n 0.3 > PA 1:5841(5840) ack 1";
        assert_eq!(group_codes(lines), ["capture.offload"]);
    }

    #[test]
    fn jumbo_frames_are_no_offload() {
        let lines = "0.0 > S 0:0(0) <mss 8960>\n 0.1 < SA 0:0(0) ack 1 <mss 8960>\n 0.2 > A 1:1(0) ack 1\n 0.3 > PA 1:8961(8960) ack 1";
        assert!(group_codes(lines).is_empty());
    }
}
