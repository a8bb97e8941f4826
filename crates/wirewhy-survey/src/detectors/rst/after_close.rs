//! `rst.after-close` of the recording: resets of connections that are no longer followed.

use wirewhy_detect::wording::count;
use wirewhy_detect::{Confidence, Facts, Finding, Role, Severity, code};

use crate::recording::CaptureFaults;

/// Resets that came so long after the end that their connections were no longer followed.
pub(crate) fn late(faults: &CaptureFaults) -> Option<Finding> {
    let late = &faults.late_resets;
    (late.count > 0).then(|| Finding {
        code: code::RST_AFTER_CLOSE,
        severity: Severity::Note,
        confidence: Confidence::Likely,
        culprit: Role::Unknown.into(),
        summary: format!(
            "{} came for connections that had been over for some time",
            count(late.count, "reset")
        ),
        frames: late.frames.clone(),
        facts: Facts::default().with("resets", late.count),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::group_codes;

    #[test]
    fn a_reset_long_after_the_end_is_reported_once_for_the_recording() {
        let codes = group_codes(
            "0.00 > S 0:0(0)
             0.02 < SA 0:0(0) ack 1
             0.03 > A 1:1(0) ack 1
             0.04 > FA 1:1(0) ack 1
             0.06 < FA 1:1(0) ack 2
             0.07 > A 2:2(0) ack 2
             9.00 end
             60.0 < R 2:2(0) win 0",
        );
        assert_eq!(codes, ["rst.after-close"]);
    }
}
