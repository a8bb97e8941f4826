//! `capture.cut-short`: the file ends in the middle of a record.

use crate::recording::CaptureFaults;
use crate::rule::{Rule, SurveyDetector};
use wirewhy_detect::{
    Confidence, Facts, Finding, Group, Limits, Record, Reportable, Role, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "capture.cut-short",
    group: Group::Recording,
    title: "The file could not be read to its end",
    severity: Severity::Warning,
    means: "The capture was copied before it was finished, the disk was full, or the file is damaged. Everything before the fault was \
            analysed; what came after is not known.",
    recognised: "The file ends inside a record, or a record cannot be one.",
    look_alikes: "A capture stopped cleanly ends between records.",
    check_next: &[
        "Copy the file again after tcpdump has ended, or use tcpdump -U so that each packet is written at once.",
        "Compare the sizes on both ends, and look for a full disk where it was recorded.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Recording(find),
};

/// The finding, if reading ended early.
fn find(faults: &CaptureFaults, _limits: &Limits) -> Option<Finding> {
    let problem = faults.problem.as_ref()?;
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Warning,
        confidence: Confidence::Certain,
        culprit: Role::Capture.into(),
        summary: format!("reading ended early: {problem}"),
        frames: Vec::new(),
        facts: Facts::default()
            .with("problem", problem.clone())
            .with("frames_read", faults.frames),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_while_reading_is_told_and_a_clean_end_is_not() {
        let cut = CaptureFaults {
            problem: Some("cut short in frame 9".to_owned()),
            ..CaptureFaults::default()
        };
        assert_eq!(
            find(&cut, &Limits::default()).unwrap().code,
            "capture.cut-short"
        );
        assert!(find(&CaptureFaults::default(), &Limits::default()).is_none());
    }
}
