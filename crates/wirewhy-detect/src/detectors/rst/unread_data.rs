//! `rst.unread-data`: closed with input that was never read.

use super::finding;
use crate::causes::{ALERTS, CONVERSATION};
use crate::resets::{Reason, Resets};
use crate::wording::{request, socket};
use crate::{Cause, Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity};

pub(crate) const RECORD: Record = Record {
    code: "rst.unread-data",
    group: Group::Reset,
    title: "The application closed with input it never read",
    severity: Severity::Error,
    means: "The kernel had taken the other side's data, the application closed without reading it, and the kernel sends a reset instead of a \
            clean end: the other side's work, and often an answer on its way, is lost.",
    recognised: "The reset follows, at once, data that its sender's kernel acknowledged, and nothing was said since; or it comes behind its \
                 own FIN while the other side's request or upload is still arriving.",
    look_alikes: "An abort with nothing unread: rst.abort. A request that crosses the end of an idle connection: rst.close-race. A \
                  close_notify or the rest of a download that the client no longer wants is no loss: rst.after-close.",
    check_next: &[
        "Look into the log of the application on that side: what did it refuse, or what made it end with input waiting?",
        "An HTTP server that answers early (413, 401, 431): let it drain the body before it closes (lingering close).",
        "nstat -az TcpExtTCPAbortOnClose on that host counts these.",
    ],
    explained_by: &[
        Cause::IfAsSevere("rst.stray-segment"),
        Cause::IfAsSevere("tcp.closed-without-data"),
        Cause::IfAsSevere("tls.not-tls"),
        Cause::IfAsSevere("proxy.header-mismatch"),
        Cause::IfAsSevere("tls.client-hello-dropped"),
        CONVERSATION,
        Cause::IfAsSevere("tcp.truncated-response"),
        ALERTS,
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Resets(detect),
};

fn detect(resets: &Resets<'_>, limits: &Limits) -> Option<Finding> {
    let (first, all) = resets.because_of(Reason::UnreadData)?;
    let connection = resets.connection;
    let own = connection.side(first.event.from);
    let status = connection
        .app
        .as_deref()
        .and_then(|app| app.http.last_status)
        .filter(|_| first.reset.before.own_fin.is_some());
    let early = status.map_or(String::new(), |status| {
        format!("; it had answered early, with status {status}")
    });
    let found = finding(
        RECORD.code,
        Severity::Error,
        (&first, &all),
        connection,
        limits,
    );
    Some(Finding {
        summary: format!(
            "{} closed with input it had not read{}: its kernel reset the connection{early}",
            socket(own),
            request(connection),
        ),
        facts: found.facts.with("early_status", status),
        ..found
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::OPEN;
    use crate::testing::only;

    #[test]
    fn a_request_nobody_read() {
        let found = only(&format!(
            "{OPEN}\n 0.04 > PA 1:11(10) ack 1\n 0.06 < RA 1:1(0) ack 11"
        ));
        assert_eq!(found.code, "rst.unread-data");
    }

    #[test]
    fn an_upload_behind_an_early_answer() {
        let found = only(&format!(
            "{OPEN}
             0.040 > A 1:1001(1000) ack 1
             0.060 < PA 1:11(10) ack 1001
             0.061 < FA 11:11(0) ack 1001
             0.062 > A 1001:2001(1000) ack 1
             0.063 > A 2001:3001(1000) ack 12
             0.082 < R 1:1(0)
             0.083 < R 12:12(0)"
        ));
        assert_eq!(found.code, "rst.unread-data");
    }
}
