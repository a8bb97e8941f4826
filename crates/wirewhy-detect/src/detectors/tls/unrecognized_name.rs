//! `tls.unrecognized-name`: the server does not serve the name asked for.

use wirewhy_flow::Side;
use wirewhy_protocol::{Alert, AlertDescription};

use super::{AlertReason, cause, finding, party};
use crate::handshake::{End, Handshake, culprit};
use crate::{Confidence, Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity};

pub(crate) const RECORD: Record = Record {
    code: "tls.unrecognized-name",
    group: Group::Tls,
    title: "The server does not know the name asked for",
    severity: Severity::Error,
    means: "The client asked for a host by name (SNI), or sent none, and the server serves no such name.",
    recognised: "The alert unrecognized_name (RFC 6066 section 3), fatal; or as a warning of the server, behind which the client ends the \
                 handshake, as Java does. The facts hold the name, or that none was sent.",
    look_alikes: "The same alert as a warning lets the handshake go on with most clients. Other servers send handshake_failure, internal_error or close \
                  without a word for the same fault.",
    check_next: &[
        "openssl s_client -connect HOST:PORT -servername NAME: does another name work?",
        "Is the name configured on that server (server_name, ssl_reject_handshake), and does DNS point at the right one?",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::FailedHandshake(detect),
};

fn detect(handshake: &Handshake<'_>, limits: &Limits) -> Option<Finding> {
    let connection = handshake.connection;
    let name = handshake.tls.client_hello.as_deref()?.server_name();
    if let Some(warning) = handshake.name_warning() {
        return Some(warned(handshake, &warning, name));
    }
    let (AlertReason::Name, from, alert, description) = cause(handshake, limits)? else {
        return None;
    };
    let found = finding(RECORD.code, handshake, (from, alert, description));
    let summary = match &name {
        Some(name) => format!("{} does not serve the name {name}", party(handshake, from)),
        None => format!(
            "{} demands a server name, and the client sent none",
            party(handshake, from)
        ),
    };
    let at_fault = match name {
        None => Side::Client,
        Some(_) => Side::Server,
    };
    Some(Finding {
        // A name that leads to the wrong server is the client's, or its resolver's.
        culprit: culprit(connection, at_fault).at_most(Confidence::Possible),
        summary,
        ..found
    })
}

/// A warning of the server that the client took for the end.
fn warned(handshake: &Handshake<'_>, warning: &Alert, name: Option<String>) -> Finding {
    let found = finding(
        RECORD.code,
        handshake,
        (Side::Server, *warning, AlertDescription::UNRECOGNIZED_NAME),
    );
    let how = match handshake.end {
        End::Alert { alert, .. } => alert.description.map_or_else(
            || "with an alert".to_owned(),
            |description| format!("with the alert {description}"),
        ),
        _ => "without a word".to_owned(),
    };
    let of = name.map_or("no server name".to_owned(), |name| {
        format!("the name {name}")
    });
    Finding {
        confidence: Confidence::Likely,
        culprit: culprit(handshake.connection, Side::Server).at_most(Confidence::Possible),
        summary: format!(
            "{} warned that it does not serve {of} (unrecognized_name) and went on; {} ended the handshake behind that {how}: some \
             clients, Java among them, take the warning for a refusal",
            party(handshake, Side::Server),
            party(handshake, Side::Client),
        ),
        ..found
    }
}

#[cfg(test)]
mod tests {
    use super::super::traces::{
        ConversationTrace, change_cipher_spec, client_hello, fatal, sealed, server_hello,
    };
    use crate::Role;
    use crate::testing::{codes, only};

    #[test]
    fn a_name_nobody_serves_and_no_name() {
        for (name, role) in [("a.example", Role::Server), ("", Role::Client)] {
            let conversation = ConversationTrace::open()
                .client(&client_hello(name, &[0x0304], 0))
                .server(&fatal(112))
                .server_closes();
            let found = only(&conversation.lines());
            assert_eq!(found.code, "tls.unrecognized-name");
            assert_eq!(found.culprit.role, role);
        }
    }

    #[test]
    fn a_warning_that_the_client_takes_for_the_end() {
        let warning = [21, 3, 3, 0, 2, 1, 112];
        let flight = [&warning[..], &server_hello(0x0303, 0xc02f)].concat();
        let conversation = || {
            ConversationTrace::open()
                .client(&client_hello("a.example", &[], 0))
                .server(&flight)
        };
        let found = only(&conversation().client(&fatal(40)).client_closes().lines());
        assert_eq!(found.code, "tls.unrecognized-name");
        assert_eq!(found.culprit.role, Role::Server);
        assert_eq!(found.facts.value("alert_from").unwrap(), &"server".into());
        // An alert about something else stays what it is.
        let other = conversation().client(&fatal(70)).client_closes().lines();
        assert!(!codes(&other).contains(&"tls.unrecognized-name"));
    }

    #[test]
    fn a_warning_lets_the_handshake_go_on() {
        let warning = [21, 3, 3, 0, 2, 1, 112];
        let conversation = ConversationTrace::open()
            .client(&client_hello("a.example", &[], 0))
            .server(&[&warning[..], &server_hello(0x0303, 0xc02f)].concat())
            .client(&[change_cipher_spec(), sealed(22, 40)].concat())
            .client_closes();
        assert!(!codes(&conversation.lines()).contains(&"tls.unrecognized-name"));
    }
}
