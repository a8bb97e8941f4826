//! `capture.one-direction`: only half of the conversation was recorded.

use crate::recording::CaptureFaults;
use crate::rule::{Rule, SurveyDetector};
use wirewhy_detect::{
    Confidence, Facts, Finding, Group, Limits, Record, Reportable, Role, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "capture.one-direction",
    group: Group::Recording,
    title: "The capture shows one direction only",
    severity: Severity::Warning,
    means: "Most connections show packets of one side only, although that side plainly hears the other. Nothing can be said about \
            answers that are not in the file.",
    recognised: "More than half of the connections with traffic past the SYN show a single direction.",
    look_alikes: "A server that is down gives SYNs without answers; there the client never goes on to acknowledge anything.",
    check_next: &[
        "Mirror both directions, or capture on a host instead of on one path of an asymmetric route.",
        "Check the capture filter: `host A` takes both directions, `src host A` only one.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Recording(find),
};

/// Whether most connections show one direction only.
pub(crate) fn applies(faults: &CaptureFaults, limits: &Limits) -> bool {
    let conversations = faults.one_sided + faults.two_sided;
    conversations > 0 && faults.one_sided as f64 > conversations as f64 * limits.one_direction_share
}

/// The finding, if it applies.
fn find(faults: &CaptureFaults, limits: &Limits) -> Option<Finding> {
    applies(faults, limits).then(|| Finding {
        code: RECORD.code,
        severity: Severity::Warning,
        confidence: Confidence::Likely,
        culprit: Role::Capture.into(),
        summary: format!(
            "{} of {} conversations show one direction only: answers may have been given that are not in the file",
            faults.one_sided,
            faults.one_sided + faults.two_sided
        ),
        frames: faults.one_sided_frames.clone(),
        facts: Facts::default()
            .with("one_sided_connections", faults.one_sided)
            .with("two_sided_connections", faults.two_sided),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{findings, group_codes};
    use wirewhy_detect::Confidence;

    const HALF: &str = "0.0 #1 > S 0:0(0)
        0.1 #1 > A 1:1(0) ack 1
        0.2 #1 > PA 1:11(10) ack 1
        1.0 #2 > S 0:0(0)
        2.0 #2 > S 0:0(0)
        9.0 end";

    #[test]
    fn only_the_client_was_recorded() {
        assert_eq!(group_codes(HALF), ["capture.one-direction"]);
    }

    #[test]
    fn silence_in_half_a_recording_is_only_possible() {
        let found = findings(HALF);
        let silent = found
            .iter()
            .find(|found| found.code == "tcp.syn-unanswered")
            .unwrap();
        assert_eq!(silent.confidence, Confidence::Possible);
    }

    #[test]
    fn a_dead_server_is_not_one_direction() {
        assert!(group_codes("0.0 > S 0:0(0)\n 1.0 > S 0:0(0)\n 9.0 end").is_empty());
    }
}
