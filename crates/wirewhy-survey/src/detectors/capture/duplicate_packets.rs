//! `capture.duplicate-packets`: frames were recorded twice.

use crate::recording::CaptureFaults;
use crate::rule::{Rule, SurveyDetector};
use wirewhy_detect::wording::count;
use wirewhy_detect::{
    Confidence, Facts, Finding, Group, Limits, Record, Reportable, Role, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "capture.duplicate-packets",
    group: Group::Recording,
    title: "Frames were captured more than once",
    severity: Severity::Note,
    means: "The same packet stands in the file twice: a mirror port that copies both ways, the `any` interface, both sides of a router. \
            The copies count neither as retransmissions nor as evidence.",
    recognised: "The same packet again within milliseconds: equal IP identification, sequence numbers, flags, window, timestamps and \
                 length; the hop count may be lower.",
    look_alikes: "A real retransmission has a new IP identification and follows a timer or three duplicate ACKs.",
    check_next: &["Nothing to do for the diagnosis; editcap -d removes exact copies."],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Recording(find),
};

/// The finding, if enough frames are copies.
fn find(faults: &CaptureFaults, limits: &Limits) -> Option<Finding> {
    (faults.copies.count >= u64::from(limits.copies)).then(|| Finding {
        code: RECORD.code,
        severity: Severity::Note,
        confidence: Confidence::Likely,
        culprit: Role::Capture.into(),
        summary: format!(
            "{} captured more than once; the copies were left out of account",
            count(faults.copies.count, "TCP frame")
        ),
        frames: faults.copies.frames.clone(),
        facts: Facts::default()
            .with("copies", faults.copies.count)
            .with("tcp_packets", faults.tcp_packets),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::group_codes;

    #[test]
    fn both_sides_of_a_router() {
        let lines = "0.0 > S 0:0(0)\n 0.0001 dup ttl-1\n 0.1 < SA 0:0(0) ack 1\n 0.1001 dup ttl-1\n 0.2 > A 1:1(0) ack 1\n 0.2001 dup ttl-1";
        assert_eq!(group_codes(lines), ["capture.duplicate-packets"]);
    }

    #[test]
    fn retransmissions_are_no_copies() {
        let lines =
            "0.0 > S 0:0(0)\n 1.0 > S 0:0(0)\n 3.0 > S 0:0(0)\n 7.0 > S 0:0(0)\n 15.0 > S 0:0(0)";
        assert!(group_codes(lines).is_empty());
    }
}
