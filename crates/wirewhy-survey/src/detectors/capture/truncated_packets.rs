//! `capture.truncated-packets`: the snap length cut payload.

use crate::recording::CaptureFaults;
use crate::rule::{Rule, SurveyDetector};
use wirewhy_detect::wording::count;
use wirewhy_detect::{
    Confidence, Facts, Finding, Group, Limits, Record, Reportable, Role, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "capture.truncated-packets",
    group: Group::Recording,
    title: "The snap length cut the payload",
    severity: Severity::Note,
    means: "Packets were recorded only in part. TCP itself can be judged, what the application said cannot.",
    recognised: "TCP segments with fewer payload bytes in the file than their IP header announces.",
    look_alikes: "A file that ends in the middle of a packet: capture.cut-short.",
    check_next: &[
        "Capture with the full length (tcpdump -s 0) where the application's words matter.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Recording(find),
};

/// The finding, if any payload was cut.
fn find(faults: &CaptureFaults, _limits: &Limits) -> Option<Finding> {
    (faults.cut.count > 0).then(|| Finding {
        code: RECORD.code,
        severity: Severity::Note,
        confidence: Confidence::Certain,
        culprit: Role::Capture.into(),
        summary: format!(
            "the snap length cut the payload of {}",
            count(faults.cut.count, "TCP segment")
        ),
        frames: faults.cut.frames.clone(),
        facts: Facts::default().with("cut_segments", faults.cut.count),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::group_codes;

    #[test]
    fn ninety_six_bytes_of_a_long_packet() {
        let lines = "0.0 > S 0:0(0)\n 0.1 < SA 0:0(0) ack 1\n 0.2 > A 1:1(0) ack 1\n 0.3 > PA 1:1001(1000) ack 1 snap 96";
        assert_eq!(group_codes(lines), ["capture.truncated-packets"]);
    }

    #[test]
    fn headers_alone_lose_nothing() {
        assert!(group_codes("0.0 > S 0:0(0) snap 96\n 0.1 < SA 0:0(0) ack 1 snap 96\n 0.2 > A 1:1(0) ack 1 snap 96").is_empty());
    }
}
