//! `rst.after-close`: nothing was lost any more.

use super::finding;
use crate::causes::CONVERSATION;
use crate::resets::{Reason, Resets};
use crate::wording::socket;
use crate::{Cause, Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity};

pub(crate) const RECORD: Record = Record {
    code: "rst.after-close",
    group: Group::Reset,
    title: "A reset after the end",
    severity: Severity::Note,
    means: "The connection was closing or closed, and a late packet was answered by a reset: an ACK, a close_notify, a window update, or the \
            rest of an answer the client no longer wants. Harmless.",
    recognised: "A FIN or a message with which a client leaves (LDAP's unbind, PostgreSQL's Terminate, QUIT, close_notify) went before, and \
                 nothing of value was outstanding.",
    look_alikes: "Behind its own FIN while a request or upload still arrives: rst.unread-data. A request that crosses the FIN of an idle \
                  connection: rst.close-race.",
    check_next: &["Nothing to do."],
    explained_by: &[
        Cause::IfAsSevere("rst.stray-segment"),
        Cause::IfAsSevere("tcp.backend-unreachable"),
        CONVERSATION,
        Cause::IfAsSevere("tcp.probe"),
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Resets(detect),
};

fn detect(resets: &Resets<'_>, limits: &Limits) -> Option<Finding> {
    let (first, all) = resets.because_of(Reason::AfterClose)?;
    let connection = resets.connection;
    let own = connection.side(first.event.from);
    Some(Finding {
        summary: format!(
            "{} reset after the connection had been closed; nothing was lost",
            socket(own)
        ),
        ..finding(
            RECORD.code,
            Severity::Note,
            (&first, &all),
            connection,
            limits,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::OPEN;
    use crate::testing::{codes, diagnosis, only};
    use crate::{Outcome, Severity};

    #[test]
    fn a_client_that_wants_no_more() {
        let found = only(&format!(
            "{OPEN}
             0.040 > PA 1:11(10) ack 1
             0.060 < A 1:1001(1000) ack 11
             0.061 > FA 11:11(0) ack 1001
             0.062 < A 1001:2001(1000) ack 11
             0.063 > R 12:12(0) win 0"
        ));
        assert_eq!(
            (found.code, found.severity),
            ("rst.after-close", Severity::Note)
        );
    }

    #[test]
    fn behind_a_farewell() {
        // An UnbindRequest of LDAP (RFC 4511 section 4.3), then a request of the same length.
        let reset_behind = |message: &str| {
            only(&format!(
                "{OPEN}
                 0.04 > PA 1:8(7) ack 1 hex 30050201014a00
                 0.06 < PA 1:8(7) ack 8
                 0.07 > PA 8:15(7) ack 8 hex {message}
                 0.08 < RA 8:8(0) ack 15"
            ))
        };
        let found = reset_behind("30050201024200");
        assert_eq!(
            (found.code, found.severity),
            ("rst.after-close", Severity::Note)
        );
        assert_eq!(reset_behind("30050201024a00").code, "rst.unread-data");
    }

    #[test]
    fn behind_both_fins() {
        let diagnosis = diagnosis(&format!(
            "{OPEN}\n 0.04 > FA 1:1(0) ack 1\n 0.06 < FA 1:1(0) ack 2\n 0.07 > A 2:2(0) ack 2\n 0.09 < R 2:2(0) win 0"
        ));
        assert_eq!(diagnosis.root_cause().unwrap().code, "rst.after-close");
        assert_eq!(diagnosis.outcome(), Outcome::Ok);
    }

    #[test]
    fn a_close_notify_nobody_waits_for() {
        let diagnosis = diagnosis(&format!(
            "{OPEN}
             0.040 > PA 1:201(200) ack 1 hex 1603010100
             0.060 < PA 1:801(800) ack 201 hex 1603030100
             0.061 > PA 201:281(80) ack 801 hex 1603030046
             0.080 < PA 801:851(50) ack 281 hex 1603030020
             0.081 > PA 281:481(200) ack 851 hex 17030300c3
             0.100 < PA 851:1351(500) ack 481 hex 17030301ef
             0.101 > PA 481:505(24) ack 1351 hex 1703030013
             0.102 > FA 505:505(0) ack 1351
             0.120 < RA 1351:1351(0) ack 506"
        ));
        assert_eq!(diagnosis.root_cause().unwrap().code, "rst.after-close");
        assert_eq!(diagnosis.outcome(), Outcome::Ok);
    }

    #[test]
    fn without_a_fin_nothing_was_closed() {
        assert!(!codes(&format!("{OPEN}\n 0.04 > RA 1:1(0) ack 1")).contains(&"rst.after-close"));
    }
}
