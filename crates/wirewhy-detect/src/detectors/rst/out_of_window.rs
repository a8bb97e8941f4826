//! `rst.out-of-window`: a reset the receiver had to ignore.

use super::finding;
use crate::resets::{Reason, Resets};
use crate::wording::{count, socket};
use crate::{
    Cause, Culprit, Detector, Finding, Group, Limits, Record, Reportable, Role, Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "rst.out-of-window",
    group: Group::Reset,
    title: "A reset that had to be ignored",
    severity: Severity::Warning,
    means: "A reset with numbers outside what the receiver expects, or one that plainly had no effect: a late duplicate, an answer to a \
            packet of an older connection, or a blind attempt to tear this one down.",
    recognised: "The sequence number lies outside the receive window, or inside without being the next byte while the connection goes on (RFC \
                 5961 section 3); in answer to a SYN, one that does not acknowledge it.",
    look_alikes: "A receiver of the old school believes any reset inside its window: then the connection ends, and the reset has another \
                  reason.",
    check_next: &[
        "Many of these against long-lived connections (BGP, SSH): an attacker anywhere guesses the numbers.",
        "A device that tracks the connection may believe what the hosts ignore.",
    ],
    explained_by: &[
        Cause::IfAsSevere("rst.stray-segment"),
        Cause::IfAsSevere("rst.injected"),
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Resets(detect),
};

fn detect(resets: &Resets<'_>, limits: &Limits) -> Option<Finding> {
    let (first, all) = resets.because_of(Reason::OutOfWindow)?;
    let connection = resets.connection;
    let own = connection.side(first.event.from);
    let resets = u64::try_from(all.len()).unwrap_or(u64::MAX);
    Some(Finding {
        culprit: Culprit::from(Role::Path),
        summary: format!(
            "{} in the name of {} with numbers its peer had to ignore",
            count(resets, "reset"),
            socket(own),
        ),
        ..finding(
            RECORD.code,
            Severity::Warning,
            (&first, &all),
            connection,
            limits,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::USED;
    use crate::testing::codes;

    const GOES_ON: &str = "1.04 > PA 11:21(10) ack 11
         1.06 < PA 11:21(10) ack 21
         1.10 > FA 21:21(0) ack 21
         1.12 < FA 21:21(0) ack 22
         1.14 > A 22:22(0) ack 22";

    #[test]
    fn a_blind_guess_is_ignored() {
        let codes = codes(&format!(
            "{USED}\n 0.50 < R 900000:900000(0) win 0\n {GOES_ON}"
        ));
        assert!(
            codes
                .iter()
                .all(|code| ["rst.out-of-window", "rst.injected"].contains(code))
        );
        assert!(!codes.is_empty());
    }

    #[test]
    fn an_exact_reset_is_not_out_of_window() {
        let codes = codes(&format!("{USED}\n 0.50 < RA 11:11(0) ack 11"));
        assert!(!codes.contains(&"rst.out-of-window"));
    }
}
