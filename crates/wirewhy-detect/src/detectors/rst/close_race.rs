//! `rst.close-race`: a request met the end of an idle connection.

use super::finding;
use crate::causes::CONVERSATION;
use crate::resets::{Reason, Resets};
use crate::wording::{request, socket, span};
use crate::{Cause, Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity};

pub(crate) const RECORD: Record = Record {
    code: "rst.close-race",
    group: Group::Reset,
    title: "A request crossed the end of an idle connection",
    severity: Severity::Error,
    means: "The server closed a kept-alive connection after its idle limit at the moment the client sent the next request on it. The request \
            is lost; behind a balancer this is the well-known sporadic 502.",
    recognised: "The server's FIN after a quiet time, the client's data within a round trip of it, and a reset in answer.",
    look_alikes: "A request in progress when the server closes: rst.unread-data.",
    check_next: &[
        "Let the side in front close first: its idle limit must be shorter than that of the server behind it (Node 5 s, nginx 75 s, ALB 60 s).",
        "Let the client repeat idempotent requests that meet this.",
    ],
    explained_by: &[Cause::IfAsSevere("rst.stray-segment"), CONVERSATION],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Resets(detect),
};

fn detect(resets: &Resets<'_>, limits: &Limits) -> Option<Finding> {
    let (first, all) = resets.because_of(Reason::CloseRace)?;
    let connection = resets.connection;
    let own = connection.side(first.event.from);
    let quiet = connection
        .tcp
        .exchange
        .quiet_before_close
        .unwrap_or_default();
    let found = finding(
        RECORD.code,
        Severity::Error,
        (&first, &all),
        connection,
        limits,
    );
    Some(Finding {
        summary: format!(
            "{} closed the connection after {} of idleness just as a request{} was on its way, and reset it",
            socket(own),
            span(quiet),
            request(connection),
        ),
        facts: found.facts.with("idle_before_close_seconds", quiet),
        ..found
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::USED;
    use crate::Role;
    use crate::testing::{codes, only};

    #[test]
    fn the_second_request_meets_the_fin() {
        let found = only(&format!(
            "{USED}\n 5.06 < FA 11:11(0) ack 11\n 5.07 > PA 11:21(10) ack 11\n 5.09 < R 11:11(0) win 0"
        ));
        assert_eq!(
            (found.code, found.culprit.role),
            ("rst.close-race", Role::Server)
        );
    }

    #[test]
    fn a_client_that_closes_behind_its_lost_request_loses_it_too() {
        let found = only(&format!(
            "{USED}
             5.06 < FA 11:11(0) ack 11
             5.07 > PA 11:211(200) ack 12
             5.08 > FA 211:211(0) ack 12
             5.09 < R 12:12(0) win 0"
        ));
        assert_eq!(found.code, "rst.close-race");
    }

    #[test]
    fn a_server_that_speaks_and_closes_was_not_idle() {
        let found = only(&format!(
            "{USED}
             5.05 < PA 11:51(40) ack 11
             5.06 < FA 51:51(0) ack 11
             5.07 > PA 11:21(10) ack 11
             5.09 < R 51:51(0) win 0"
        ));
        assert_eq!(found.code, "rst.unread-data");
    }

    #[test]
    fn a_clean_end_of_an_idle_connection_is_silent() {
        let codes = codes(&format!(
            "{USED}\n 5.06 < FA 11:11(0) ack 11\n 5.07 > FA 11:11(0) ack 12\n 5.09 < A 12:12(0) ack 12"
        ));
        assert!(codes.is_empty());
    }
}
