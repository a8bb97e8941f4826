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
    means: "One side sent a fatal TLS alert, and it or the other closed the connection hard behind it. The alert says why; the reset adds nothing.",
    recognised: "A plaintext TLS alert of level fatal, and then a reset of either side.",
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
    let (own, peer) = (
        socket(connection.side(first.event.from)),
        socket(connection.side(first.event.from.other())),
    );
    let before = &first.reset.before;
    let (alert, summary) = match before.own_alert {
        Some(alert) => (
            Some(alert),
            format!("{own} sent a fatal TLS alert and reset the connection behind it"),
        ),
        None => (
            before.peer_alert,
            format!("{peer} sent a fatal TLS alert, and {own} reset the connection behind it"),
        ),
    };
    let found = finding(
        RECORD.code,
        Severity::Note,
        (&first, &all),
        connection,
        limits,
    );
    Some(Finding {
        summary,
        facts: found
            .facts
            .clone()
            .with("alert_frame", alert.map(|alert| alert.frame)),
        ..found
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::OPEN;
    use crate::testing::{codes, findings};

    #[test]
    fn unknown_ca_and_gone() {
        let codes = codes(&format!(
            "{OPEN}\n 0.04 > PA 1:8(7) ack 1 hex 15030300020230\n 0.05 > RA 8:8(0) ack 1"
        ));
        assert_eq!(codes, ["tls.alert", "rst.after-alert"]);
    }

    #[test]
    fn the_sentence_names_who_sent_the_alert() {
        let of = |alert: &str, reset: &str| {
            let found = findings(&format!("{OPEN}\n 0.04 {alert}\n 0.05 {reset}"));
            let found = found
                .into_iter()
                .find(|found| found.code == "rst.after-alert");
            found.unwrap().summary
        };
        let by_client = "> PA 1:8(7) ack 1 hex 15030300020230";
        let both = of(by_client, "> RA 8:8(0) ack 1");
        assert!(
            both.starts_with("192.0.2.1:40000 sent a fatal TLS alert and reset"),
            "{both}"
        );
        let other = of(by_client, "< RA 1:1(0) ack 8");
        assert!(
            other.starts_with("192.0.2.1:40000 sent a fatal TLS alert, and 198.51.100.1:80 reset"),
            "{other}"
        );
    }

    #[test]
    fn a_close_notify_is_no_fatal_alert() {
        let codes = codes(&format!(
            "{OPEN}\n 0.04 > PA 1:8(7) ack 1 hex 15030300020100\n 0.05 > RA 8:8(0) ack 1"
        ));
        assert!(!codes.contains(&"rst.after-alert"));
    }
}
