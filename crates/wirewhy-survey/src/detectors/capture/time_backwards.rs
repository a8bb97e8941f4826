//! `capture.time-backwards`: timestamps run backwards.

use crate::recording::CaptureFaults;
use crate::rule::{Rule, SurveyDetector};
use wirewhy_detect::wording::{count, span};
use wirewhy_detect::{
    Confidence, Facts, Finding, Group, Limits, Record, Reportable, Role, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "capture.time-backwards",
    group: Group::Recording,
    title: "Timestamps run backwards",
    severity: Severity::Note,
    means: "Frames stand in the file with earlier times than the frames before them: files merged without sorting, a clock that was set, \
            several capture queues. Round trips and pauses across such a step mean nothing.",
    recognised: "A frame earlier than the frame before it.",
    look_alikes: "Steps of microseconds come from network cards with several queues and do little harm; steps of seconds come from a \
                  clock or a merge.",
    check_next: &[
        "Sort the file with reordercap, and merge with mergecap rather than by appending.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Recording(find),
};

/// The finding, if time ran backwards.
fn find(faults: &CaptureFaults, _limits: &Limits) -> Option<Finding> {
    (faults.backwards.count > 0).then(|| Finding {
        code: RECORD.code,
        severity: Severity::Note,
        confidence: Confidence::Certain,
        culprit: Role::Capture.into(),
        summary: format!(
            "{} earlier than the frame before, by up to {}",
            if faults.backwards.count == 1 {
                "1 frame is".to_owned()
            } else {
                format!("{} are", count(faults.backwards.count, "frame"))
            },
            span(faults.largest_step_back)
        ),
        frames: faults.backwards.frames.clone(),
        facts: Facts::default()
            .with("steps", faults.backwards.count)
            .with("largest_step_seconds", faults.largest_step_back),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_step_is_told_and_none_is_not() {
        let mut faults = CaptureFaults::default();
        assert!(find(&faults, &Limits::default()).is_none());
        faults.backwards.count = 1;
        faults.backwards.frames.push(7);
        assert_eq!(find(&faults, &Limits::default()).unwrap().frames, [7]);
    }
}
