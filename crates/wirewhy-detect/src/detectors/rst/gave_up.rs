//! `rst.gave-up`: the end of a silence.

use super::finding;
use crate::causes::CONVERSATION;
use crate::resets::{Reason, Resets};
use crate::wording::{count, socket};
use crate::{
    Cause, Culprit, Detector, Finding, Group, Limits, Record, Reportable, Role, Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "rst.gave-up",
    group: Group::Reset,
    title: "The sender gave up waiting and reset",
    severity: Severity::Error,
    means: "Its packets, keep-alive probes or window probes had gone unanswered, and the side that waited closed the matter with a reset. The \
            reset is the end of the story, the silence its cause.",
    recognised: "At least two retransmissions or probes of the same side without an answer before its reset, or a window closed to it; or \
                 a reset whose number is ahead of everything its sender was seen to send, after a second or more: the bytes between \
                 never came this far.",
    look_alikes: "A reset with packets answered in time: rst.abort.",
    check_next: &["Look at the finding this follows from: it names the silent side."],
    explained_by: &[
        Cause::IfAsSevere("rst.stray-segment"),
        Cause::IfAsSevere("tcp.backend-unreachable"),
        Cause::IfAsSevere("tcp.checksum-drop"),
        Cause::IfAsSevere("tcp.one-way-path"),
        Cause::IfAsSevere("tcp.unreachable"),
        Cause::IfAsSevere("tcp.keepalive-unanswered"),
        Cause::Always("tcp.zero-window"),
        Cause::IfAsSevere("tcp.mtu-blackhole"),
        Cause::IfAsSevere("tcp.peer-vanished"),
        CONVERSATION,
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Resets(detect),
};

fn detect(resets: &Resets<'_>, limits: &Limits) -> Option<Finding> {
    let (first, all) = resets.because_of(Reason::GaveUp)?;
    let connection = resets.connection;
    let before = &first.reset.before;
    let own = connection.side(first.event.from);
    let ahead = first
        .reset
        .own_next
        .and_then(|next| u64::try_from(first.reset.seq.distance_from(next)).ok())
        .filter(|ahead| *ahead > 1);
    let what = if before.unanswered_keep_alives >= 2 {
        "its keep-alive probes were not answered".to_owned()
    } else if before.peer_window_closed.is_some() {
        "the other side's window stayed closed".to_owned()
    } else if let (0, Some(ahead)) = (before.unanswered, ahead) {
        format!("{} it had sent never arrived here", count(ahead, "byte"))
    } else {
        "its data was not acknowledged".to_owned()
    };
    Some(Finding {
        culprit: Culprit::from(Role::Unknown),
        summary: format!("{} reset the connection: {what}", socket(own)),
        ..finding(
            RECORD.code,
            Severity::Error,
            (&first, &all),
            connection,
            limits,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::USED;
    use crate::Severity;
    use crate::testing::{codes, diagnosis};

    #[test]
    fn keep_alives_unanswered() {
        let diagnosis = diagnosis(&format!(
            "{USED}
             60.0 > A 10:10(0) ack 11
             61.0 > A 10:10(0) ack 11
             62.0 > A 10:10(0) ack 11
             63.0 > RA 11:11(0) ack 11"
        ));
        assert_eq!(
            diagnosis.root_cause().unwrap().code,
            "tcp.keepalive-unanswered"
        );
        let reset = diagnosis
            .findings
            .iter()
            .find(|found| found.code == "rst.gave-up")
            .unwrap();
        assert_eq!(reset.consequence_of, Some("tcp.keepalive-unanswered"));
    }

    #[test]
    fn bytes_that_never_arrived_show_in_the_number_of_the_reset() {
        let found = diagnosis(&format!(
            "{USED}
             30.00 < RA 611:611(0) ack 11
             30.01 > A 11:11(0) ack 11
             30.02 < R 611:611(0) win 0
             40.0 end"
        ));
        let root = found.root_cause().unwrap();
        assert_eq!((root.code, root.severity), ("rst.gave-up", Severity::Error));
        assert!(root.summary.contains("600 bytes"), "{}", root.summary);
    }

    #[test]
    fn one_lost_segment_is_no_surrender() {
        let codes = codes(&format!(
            "{USED}
             1.00 > PA 11:21(10) ack 11
             1.25 > PA 11:21(10) ack 11
             1.27 < A 11:11(0) ack 21
             1.30 > RA 21:21(0) ack 11"
        ));
        assert!(!codes.contains(&"rst.gave-up"));
    }
}
