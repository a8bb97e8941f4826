//! `rst.after-alert`: the hard end behind a TLS alert.

use super::finding;
use crate::causes::{ALERTS, CERTIFICATES};
use crate::resets::{Reason, Resets};
use crate::wording::socket;
use crate::{Cause, Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity};

pub(crate) const RECORD: Record = Record {
    code: "rst.after-alert",
    group: Group::Reset,
    title: "A reset right behind a TLS alert",
    severity: Severity::Note,
    means: "The side that sent a fatal TLS alert closed the connection hard behind it. The alert says why; the reset adds nothing.",
    recognised: "A plaintext TLS alert of level fatal from the same side, and then its reset.",
    look_alikes: "An encrypted alert cannot be seen: then the reset looks like rst.unread-data or rst.abort.",
    check_next: &[
        "Read the alert in the frame named in the facts, and what the other end's log says of it.",
    ],
    explained_by: &[Cause::IfAsSevere("rst.stray-segment"), ALERTS, CERTIFICATES],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Resets(detect),
};

fn detect(resets: &Resets<'_>, limits: &Limits) -> Option<Finding> {
    let (first, all) = resets.because_of(Reason::AfterAlert)?;
    let connection = resets.connection;
    let own = connection.side(first.event.from);
    let alert = first.reset.before.own_alert.map(|alert| alert.frame);
    let found = finding(
        RECORD.code,
        Severity::Note,
        (&first, &all),
        connection,
        limits,
    );
    Some(Finding {
        summary: format!(
            "{} sent a fatal TLS alert and reset the connection behind it",
            socket(own)
        ),
        facts: found.facts.clone().with("alert_frame", alert),
        ..found
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::OPEN;
    use crate::testing::codes;

    #[test]
    fn unknown_ca_and_gone() {
        let codes = codes(&format!(
            "{OPEN}\n 0.04 > PA 1:8(7) ack 1 hex 15030300020230\n 0.05 > RA 8:8(0) ack 1"
        ));
        assert_eq!(codes, ["tls.alert", "rst.after-alert"]);
    }

    #[test]
    fn a_close_notify_is_no_fatal_alert() {
        let codes = codes(&format!(
            "{OPEN}\n 0.04 > PA 1:8(7) ack 1 hex 15030300020100\n 0.05 > RA 8:8(0) ack 1"
        ));
        assert!(!codes.contains(&"rst.after-alert"));
    }
}
