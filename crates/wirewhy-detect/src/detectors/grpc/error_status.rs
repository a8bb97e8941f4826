//! `grpc.error-status`: a call that did not end with OK.

use wirewhy_flow::Connection;
use wirewhy_protocol::{GrpcErrors, GrpcStatus};

use super::super::http2::{http2, named};
use crate::wording::{count, socket, span};
use crate::{
    Cause, Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role,
    Rule, Severity, Signs, Value,
};

pub(crate) const RECORD: Record = Record {
    code: "grpc.error-status",
    group: Group::Grpc,
    title: "A call of gRPC ended with an error",
    severity: Severity::Error,
    means: "HTTP/2 did its work and carried the status with which the call ended, in the trailers or in place of an answer.",
    recognised: "grpc-status other than 0. An error for UNKNOWN, DEADLINE_EXCEEDED, INTERNAL and UNAVAILABLE, else a warning. And a client that \
                 resets a call without an answer (CANCEL) when the time of its grpc-timeout is over, which is DEADLINE_EXCEEDED.",
    look_alikes: "An answer of HTTP with an error and without grpc-status comes from a proxy: http.error-status. A call that ended with the \
                  connection has no status at all.",
    check_next: &[
        "The server's log at that second, for the method and the message in the facts.",
        "UNAVAILABLE, UNKNOWN, INTERNAL: the server's log at that second; is a proxy between that does not speak HTTP/2 on both sides?",
        "DEADLINE_EXCEEDED: compare grpc-timeout with what the call needs; what did the server wait for?",
        "UNIMPLEMENTED: does the path name a service that this server has?",
        "UNAUTHENTICATED, PERMISSION_DENIED: the token.",
    ],
    explained_by: &[
        Cause::IfAsSevere("http2.goaway"),
        Cause::IfAsSevere("http2.stream-reset"),
        Cause::IfAsSevere("http.error-status"),
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Connection(Signs::HTTP2_TROUBLE, detect),
};

fn severity(kind: &GrpcErrors) -> Severity {
    match kind.status.0 {
        2 | 4 | 13 | 14 => Severity::Error,
        _ => Severity::Warning,
    }
}

/// Who is at fault by default.
fn fault(connection: &Connection, status: GrpcStatus) -> Culprit {
    let (client, server) = (&connection.client, &connection.server);
    match status.0 {
        1 | 3 | 5 | 6 | 7 | 9 | 11 | 16 => {
            Culprit::new(Role::Client, client.address).at_most(Confidence::Likely)
        }
        12 => Culprit::new(Role::Client, client.address).at_most(Confidence::Possible),
        10 | 13 => Culprit::new(Role::Server, server.address).at_most(Confidence::Possible),
        _ => Culprit::new(Role::Server, server.address).at_most(Confidence::Likely),
    }
}

fn detect(connection: &Connection, _limits: &Limits) -> Option<Finding> {
    let kinds = &http2(connection)?.grpc;
    let kind = kinds.iter().reduce(|worst, next| {
        if severity(next) > severity(worst) {
            next
        } else {
            worst
        }
    })?;
    let name = kind.status.name();
    let others: Vec<String> = kinds
        .iter()
        .filter(|other| !std::ptr::eq(*other, kind))
        .map(|other| format!("{} × {}", other.count, other.status.name()))
        .collect();
    let also = match others.as_slice() {
        [] => String::new(),
        others => format!("; also {}", others.join(", ")),
    };
    let took = kind.asked.map(|asked| kind.first.time.since(asked.time));
    let times = match (took, kind.timeout) {
        (Some(took), Some(timeout)) if kind.status == GrpcStatus::DEADLINE_EXCEEDED => format!(
            " after {} of {} that the client allows",
            span(took),
            span(timeout)
        ),
        _ => String::new(),
    };
    let message = match kind.message.as_deref() {
        None | Some("") => String::new(),
        Some(message) => format!(": \"{message}\""),
    };
    let what = match kind.by_client {
        true => format!(
            "{} did not answer in time, and the client ended {}",
            socket(&connection.server),
            count(kind.count, "call")
        ),
        false => format!(
            "{} ended {}",
            socket(&connection.server),
            count(kind.count, "call")
        ),
    };
    let request = kind.request.as_deref();
    Some(Finding {
        code: RECORD.code,
        severity: severity(kind),
        confidence: if kind.by_client {
            Confidence::Likely
        } else {
            Confidence::Certain
        },
        culprit: fault(connection, kind.status),
        summary: format!("{what} with {name}{}{times}{message}{also}", named(request)),
        frames: [Some(kind.first), kind.asked]
            .into_iter()
            .flatten()
            .map(|mark| mark.frame)
            .collect(),
        facts: Facts::default()
            .with("grpc_status", kind.status.0)
            .with("name", name)
            .with("calls", kind.count)
            .with("message", kind.message.as_deref().map(Value::from))
            .with("call_seconds", took)
            .with("timeout_seconds", kind.timeout)
            .with("ended_by_client", kind.by_client)
            .with("method", request.map(|asked| Value::from(&*asked.target()))),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::http2::traces::{answer, conversation, get};
    use crate::testing::{codes, only};
    use crate::{Role, Severity};

    fn ended(fields: &[(&str, &str)]) -> String {
        let conversation = conversation().client(&get(1)).server(&answer(1, fields));
        conversation.client_closes().lines()
    }

    #[test]
    fn a_service_that_is_away_and_a_thing_that_is_not_there() {
        let away = only(&ended(&[
            ("grpc-status", "14"),
            ("grpc-message", "no%20back%20end"),
        ]));
        assert_eq!(
            (away.code, away.severity, away.culprit.role),
            ("grpc.error-status", Severity::Error, Role::Server)
        );
        assert!(
            away.summary
                .ends_with("with UNAVAILABLE (GET /): \"no back end\""),
            "{}",
            away.summary
        );
        let missing = only(&ended(&[("grpc-status", "5")]));
        assert_eq!(
            (missing.severity, missing.culprit.role),
            (Severity::Warning, Role::Client)
        );
    }

    #[test]
    fn a_call_that_ends_well() {
        assert_eq!(codes(&ended(&[("grpc-status", "0")])), [] as [&str; 0]);
        assert_eq!(codes(&ended(&[])), [] as [&str; 0]);
    }
}
