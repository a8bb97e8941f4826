//! `ftp.control-lost`: the control connection died while a transfer ran.

use wirewhy_detect::wording::{size, socket, span};
use wirewhy_detect::{
    Confidence, Culprit, Diagnosis, Facts, Finding, Group, Limits, Record, Reportable, Role,
    Severity, Value, code, ftp_session,
};
use wirewhy_flow::Interval;
use wirewhy_protocol::FtpTransfer;

use crate::ftp::{Candidate, FtpConnections};
use crate::rule::{Rule, SurveyDetector};

pub(crate) const RECORD: Record = Record {
    code: "ftp.control-lost",
    group: Group::Ftp,
    title: "The FTP control connection was lost during a transfer",
    severity: Severity::Error,
    means: "While a file moves on the data connection the control connection is idle, and a NAT, firewall or balancer with a shorter \
            timer forgets it. The transfer itself may be complete, but its confirmation (226) never arrives: the client waits, reports a \
            timeout, and often transfers the file again.",
    recognised: "A transfer was begun (125, 150), and the control connection fell silent or was reset before the client had the final reply. \
                 Whether the data connection closed in order, and after how many bytes, is in the sentence.",
    look_alikes: "A server that ends the session itself says so (421): ftp.error-reply. A client that stops resets both connections.",
    check_next: &[
        "Is the file complete? Compare its size; the data connection tells.",
        "Let the client send keep-alives on the control connection (TCP keep-alive, or NOOP as lftp and FileZilla do).",
        "Find the device with an idle timer shorter than the longest transfer, and raise it.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Connection,
};

/// How a control connection dies by itself.
const DEATHS: [&str; 8] = [
    code::TCP_PEER_VANISHED,
    code::TCP_KEEPALIVE_UNANSWERED,
    code::TCP_NO_RESPONSE,
    code::TCP_HALF_CLOSED,
    code::RST_IDLE_EXPIRED,
    code::RST_NO_CONNECTION,
    code::RST_GAVE_UP,
    code::RST_ABORT,
];

/// A client that stops ends both connections within this time.
const TOGETHER: Interval = Interval::from_secs(1);

/// The finding about a control connection, given those about how it ended.
pub(crate) fn finding(
    diagnosis: &Diagnosis,
    connections: &FtpConnections,
    limits: &Limits,
) -> Option<Finding> {
    let connection = &diagnosis.connection;
    let ftp = ftp_session(connection)?;
    let (index, data) = ftp.data.iter().enumerate().next_back()?;
    let transfer = data.transfer.as_ref()?;
    let begun = transfer.begun.as_ref()?;
    if transfer.aborted.is_some() || ftp.errors.iter().any(|error| error.reply.code == 421) {
        return None;
    }
    let server = &connection.server;
    let fin = u32::from(server.tcp.fin.is_some());
    let unconfirmed = server.tcp.unacknowledged_by(&connection.client.tcp) > fin;
    match &transfer.ended {
        Some(reply) if !unconfirmed || reply.code >= 400 => return None,
        _ => {}
    }
    let candidate = connections.candidate(connection, ftp, index, data);
    let is_over = candidate.is_some_and(|data| data.closed);
    let waited = connection.client.tcp.fin.zip(candidate);
    let waited = waited.map(|(fin, data)| fin.time.since(data.last.time));
    // A client that waits for the confirmation of what is done, and closes without it, has lost the other side, however
    // little else is lost with it.
    let unconfirmed_end = transfer.ended.is_none()
        && is_over
        && waited.is_some_and(|waited| waited >= limits.silence);
    let death = diagnosis.findings.iter().find(|finding| {
        let is_error = finding.severity == Severity::Error;
        DEATHS.contains(&finding.code) && is_error
            || unconfirmed_end
                && (DEATHS.contains(&finding.code) || finding.code == code::RST_AFTER_CLOSE)
    })?;
    if candidate.is_some_and(|data| ends_together(diagnosis, data)) {
        return None;
    }
    // From the server's side the final reply shows when it was sent; from the client's the data connection does.
    let ended = transfer.ended.as_ref().map(|reply| reply.mark.time);
    let until = ended.or(candidate.map(|candidate| candidate.last.time));
    let idle = until.map(|until| until.since(begun.mark.time));
    let is_idle = idle.is_some_and(|idle| idle >= IDLE);
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: match candidate.is_some() && is_idle {
            true => Confidence::Likely,
            false => Confidence::Possible,
        },
        culprit: match is_idle {
            true => Culprit::new(Role::Path, None).at_most(Confidence::Likely),
            false => death.culprit,
        },
        summary: format!(
            "the control connection to {} was lost ({}) while {} ran{}; {}",
            socket(server),
            death.code,
            named(transfer),
            idle.map_or(String::new(), |idle| format!(", idle for {}", span(idle))),
            fate(transfer, candidate, data.setup.is_passive()),
        ),
        frames: [
            Some(begun.mark.frame),
            candidate.map(|data| data.last.frame),
        ]
        .into_iter()
        .flatten()
        .chain(death.frames.iter().copied())
        .take(Finding::MAX_FRAMES)
        .collect(),
        facts: Facts::default()
            .with("death", death.code)
            .with("idle_seconds", idle)
            .with("data_stream", candidate.map(|data| data.stream))
            .with(
                "data_closed_in_order",
                candidate.map_or(Value::Absent, |data| data.closed.into()),
            )
            .with("announced_bytes", transfer.size)
            .with("confirmation_sent", transfer.ended.is_some()),
        consequence_of: None,
    })
}

/// A control connection that was silent for less is seldom forgotten.
const IDLE: Interval = Interval::from_secs(5);

/// Whether the data connection broke off at the same moment, as where one side stops.
fn ends_together(diagnosis: &Diagnosis, data: &Candidate) -> bool {
    let apart = diagnosis.connection.last.time.since(data.last.time).abs();
    !data.closed && apart <= TOGETHER
}

fn named(transfer: &FtpTransfer) -> String {
    let command = &transfer.command;
    let argument = command.argument.as_deref();
    argument.map_or_else(
        || command.verb.name().to_owned(),
        |argument| format!("{} {argument}", command.verb.name()),
    )
}

/// What became of the file.
fn fate(transfer: &FtpTransfer, data: Option<&Candidate>, passive: bool) -> String {
    let Some(data) = data else {
        return "the data connection is not in the recording".to_owned();
    };
    let [client, server] = data.bytes;
    let of_client = transfer.command.verb.is_upload() == passive;
    let got = if of_client { client } else { server };
    let stream = data.stream;
    let whole = transfer
        .size
        .filter(|_| transfer.is_image && transfer.restart == 0);
    match (data.closed, whole) {
        (true, Some(whole)) if got >= whole => {
            format!(
                "the file is complete: all {} (stream {stream})",
                size(whole)
            )
        }
        (true, Some(whole)) => {
            format!(
                "{} of {} got across (stream {stream})",
                size(got),
                size(whole)
            )
        }
        (true, None) => format!(
            "the data connection (stream {stream}) closed in order after {}: the file is complete",
            size(got)
        ),
        (false, _) => format!("the data connection (stream {stream}) did not close in order"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::trace::Control;
    use super::*;
    use crate::testing::diagnose_all;

    /// A download of 1,000 bytes that takes 100 s, behind which the server's reply is never acknowledged; or is.
    fn session(arrives: bool, farewell: &str) -> Diagnosis {
        let mut control = Control::new();
        control.say(1.0, "> EPSV");
        control.say(1.1, "< 229 Entering (|||50000|)");
        control.add(
            "#2 server 192.0.2.9:50000
             1.200 #2 > S 0:0(0)
             1.210 #2 < SA 0:0(0) ack 1
             1.220 #2 > A 1:1(0) ack 1
             1.500 #2 < PA 1:501(500) ack 1
             1.510 #2 > A 1:1(0) ack 501
             100.0 #2 < PA 501:1001(500) ack 1
             100.1 #2 < FA 1001:1001(0) ack 1
             100.2 #2 > FA 1:1(0) ack 1002
             100.3 #2 < A 1002:1002(0) ack 2",
        );
        control.say(1.3, "> RETR a");
        control.say(
            1.4,
            "< 150 Opening BINARY mode data connection for a (1000 bytes).",
        );
        let [client, server] = control.ends();
        control.add(&format!("1.450 #1 > A {client}:{client}(0) ack {server}"));
        if !farewell.is_empty() {
            control.say(100.2, farewell);
        } else {
            control.say(100.2, "< 226 Transfer complete.");
        }
        let [_, end] = control.ends();
        if arrives {
            control.close(101.0);
        } else {
            let len = end - server;
            for at in [100.5, 101.1, 102.3, 104.7, 109.5, 119.1] {
                control.add(&format!("{at} #1 < PA {server}:{end}({len}) ack {client}"));
            }
            control.add("200.0 end");
        }
        diagnose_all(&control.trace()).remove(0)
    }

    #[test]
    fn a_confirmation_that_never_arrives() {
        let diagnosis = session(false, "");
        let root = diagnosis.root_cause().expect("a root cause");
        assert_eq!((root.code, root.culprit.role), (RECORD.code, Role::Path));
        assert!(
            root.summary
                .contains("the file is complete: all 1,000 bytes"),
            "{}",
            root.summary
        );
        let vanished = diagnosis
            .findings
            .iter()
            .find(|found| found.code == code::TCP_PEER_VANISHED);
        assert_eq!(
            vanished.and_then(|found| found.consequence_of),
            Some(RECORD.code)
        );
    }

    /// The same from the client's side: it waits, closes, and nothing answers.
    fn left(wait: f64) -> Diagnosis {
        let mut control = Control::new();
        control.say(1.0, "> EPSV");
        control.say(1.1, "< 229 Entering (|||50000|)");
        control.add(
            "#2 server 192.0.2.9:50000
             1.200 #2 > S 0:0(0)
             1.210 #2 < SA 0:0(0) ack 1
             1.220 #2 > A 1:1(0) ack 1
             90.00 #2 < PA 1:1001(1000) ack 1
             90.01 #2 < FA 1001:1001(0) ack 1
             90.02 #2 > FA 1:1(0) ack 1002
             90.03 #2 < A 1002:1002(0) ack 2",
        );
        control.say(1.3, "> RETR a");
        control.say(1.4, "< 150 Go.");
        let [client, server] = control.ends();
        control.add(&format!("1.450 #1 > A {client}:{client}(0) ack {server}"));
        for again in [0.0, 0.3, 0.9, 2.1, 4.5, 9.3] {
            let at = 90.03 + wait + again;
            control.add(&format!(
                "{at:.3} #1 > FA {client}:{client}(0) ack {server}"
            ));
        }
        control.add("160.0 end");
        diagnose_all(&control.trace()).remove(0)
    }

    #[test]
    fn a_client_that_waits_for_the_confirmation_and_leaves() {
        let root = |wait| left(wait).root_cause().map(|root| root.code);
        assert_eq!(root(20.0), Some(RECORD.code));
        assert_ne!(root(0.1), Some(RECORD.code));
    }

    #[test]
    fn a_confirmation_that_arrives_or_an_end_that_is_announced() {
        assert_eq!(session(true, "").findings, []);
        let diagnosis = session(true, "< 421 Data timeout.");
        assert!(
            diagnosis
                .findings
                .iter()
                .all(|found| found.code != RECORD.code)
        );
        assert_eq!(
            diagnosis.root_cause().map(|root| root.code),
            Some("ftp.error-reply")
        );
    }
}
