//! `http2.goaway`: one side ends the connection, with streams unfinished or with an error.

use wirewhy_flow::Connection;
use wirewhy_protocol::{GoAway, Http2Error, Http2Facts, Mark, Role as Sender};

use super::{fault, http2, reading_behind};
use crate::wording::{count, socket};
use crate::{
    Cause, Confidence, Detector, Facts, Finding, Group, Limits, Record, Reportable, Rule, Severity,
    Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "http2.goaway",
    group: Group::Http2,
    title: "One side ended the HTTP/2 connection",
    severity: Severity::Error,
    means: "A GOAWAY frame ends a connection: its sender takes no more streams, and says why and which stream was the last that it may have \
            processed. Streams above that number are safe to send again; those up to it that got no answer are lost work.",
    recognised: "A GOAWAY with an error, or with streams left without a complete answer. An error where streams that may have been processed \
                 were lost, a warning where an error was named and nothing was lost, a note where all that is left can be sent again.",
    look_alikes: "A GOAWAY with NO_ERROR is how servers end a connection that is old or at its limit of requests, and clients one that they no \
                  longer need: with nothing outstanding it is not reported.",
    check_next: &[
        "Look for the error's name in the log of the side that sent the GOAWAY, at that second.",
        "ENHANCE_YOUR_CALM with too_many_pings: let the client's keep-alive be no shorter than the server allows (gRPC: 5 min).",
        "PROTOCOL_ERROR and its kin: look for a proxy or library that breaks the protocol; test without it.",
        "NO_ERROR with streams lost: does the server wait for its open streams before it closes?",
    ],
    explained_by: &[
        Cause::IfAsSevere("http2.protocol-mismatch"),
        Cause::IfAsSevere("http.error-status"),
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Connection(Signs::HTTP2_TROUBLE, detect),
};

fn severity(goaway: &GoAway, facts: &Http2Facts) -> Option<Severity> {
    let by_server = goaway.sender == Sender::Server;
    // Work that was under way and was ended with it.
    let behind = |mark: Mark| mark.time >= goaway.mark.time;
    let is_cut = facts.grpc.iter().any(|call| behind(call.first))
        || facts.resets.iter().any(|reset| behind(reset.first));
    let is_error = goaway.code != Http2Error::NO_ERROR;
    match (facts.lost, facts.unprocessed) {
        (1.., _) if by_server || is_error => Some(Severity::Error),
        (0, 1..) if is_error => Some(Severity::Error),
        (0, 1..) if by_server => Some(Severity::Note),
        _ if is_error && is_cut => Some(Severity::Error),
        _ if is_error => Some(Severity::Warning),
        _ => None,
    }
}

fn detect(connection: &Connection, _limits: &Limits) -> Option<Finding> {
    let facts = http2(connection)?;
    let ranked = facts
        .goaways
        .iter()
        .filter_map(|goaway| Some((severity(goaway, facts)?, goaway)));
    let (severity, goaway) = ranked.reduce(|worst, next| {
        let is_worse = next.0 > worst.0
            || (next.0 == worst.0
                && worst.1.code == Http2Error::NO_ERROR
                && next.1.code != Http2Error::NO_ERROR);
        if is_worse { next } else { worst }
    })?;
    let sender = match goaway.sender {
        Sender::Client => &connection.client,
        Sender::Server => &connection.server,
    };
    let debug = match &*goaway.debug {
        "" => String::new(),
        debug => format!(" \"{debug}\""),
    };
    let lost = match (facts.lost, facts.unprocessed) {
        (0, 0) => ", with no stream outstanding".to_owned(),
        (0, unprocessed) => format!(
            ", with {} not processed, which can be sent again",
            count(unprocessed, "stream")
        ),
        (lost, 0) => format!(", and {} got no complete answer", count(lost, "stream")),
        (lost, unprocessed) => format!(
            ", and {} got no complete answer, {unprocessed} more were not processed",
            count(lost, "stream")
        ),
    };
    Some(Finding {
        code: RECORD.code,
        severity,
        confidence: Confidence::Certain,
        culprit: fault(connection, goaway.sender, goaway.code),
        summary: format!(
            "{} ended the connection with GOAWAY {}{debug}{lost}{}",
            socket(sender),
            goaway.code.name(),
            reading_behind(goaway.code),
        ),
        frames: vec![goaway.mark.frame],
        facts: Facts::default()
            .with(
                "sender",
                match goaway.sender {
                    Sender::Client => "client",
                    Sender::Server => "server",
                },
            )
            .with("error", goaway.code.name())
            .with("error_code", goaway.code.0)
            .with("debug_data", &*goaway.debug)
            .with("last_stream", goaway.last_stream)
            .with("highest_stream", goaway.opened)
            .with("streams_lost", facts.lost)
            .with("streams_unprocessed", facts.unprocessed),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{answer, conversation, get, go_away};
    use crate::testing::{codes, findings, only};
    use crate::{Role, Severity};

    #[test]
    fn a_client_that_pings_too_much_loses_its_call() {
        let conversation = conversation()
            .client(&get(1))
            .server(&go_away(1, 11, "too_many_pings"));
        let all = findings(&conversation.server_closes().lines());
        let found = all
            .iter()
            .find(|found| found.consequence_of.is_none())
            .unwrap();
        assert_eq!(
            (found.code, found.severity, found.culprit.role),
            ("http2.goaway", Severity::Error, Role::Client)
        );
        assert!(
            found
                .summary
                .contains("ENHANCE_YOUR_CALM \"too_many_pings\", and 1 stream got no")
        );
    }

    #[test]
    fn an_error_when_all_was_answered() {
        let conversation = conversation().client(&get(1)).server(&answer(1, &[]));
        let found = only(
            &conversation
                .server(&go_away(1, 1, ""))
                .client_closes()
                .lines(),
        );
        assert_eq!(
            (found.code, found.severity),
            ("http2.goaway", Severity::Warning)
        );
    }

    #[test]
    fn what_was_not_processed_can_be_sent_again() {
        let conversation = conversation()
            .client(&get(1))
            .server(&answer(1, &[]))
            .client(&get(3));
        let found = findings(
            &conversation
                .server(&go_away(1, 0, ""))
                .client_closes()
                .lines(),
        );
        let goaway = found.iter().find(|found| found.code == "http2.goaway");
        assert_eq!(goaway.map(|found| found.severity), Some(Severity::Note));
    }

    #[test]
    fn a_graceful_end() {
        let conversation = conversation().client(&get(1)).server(&answer(1, &[]));
        let lines = conversation
            .server(&go_away(1, 0, ""))
            .client_closes()
            .lines();
        assert_eq!(codes(&lines), [] as [&str; 0]);
    }
}
