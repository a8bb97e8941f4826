//! `tls.unrecognized-name`: the server does not serve the name asked for.

use wirewhy_flow::Side;

use super::{AlertReason, cause, finding, party};
use crate::handshake::{Handshake, culprit};
use crate::{Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity};

pub(crate) const RECORD: Record = Record {
    code: "tls.unrecognized-name",
    group: Group::Tls,
    title: "The server does not know the name asked for",
    severity: Severity::Error,
    means: "The client asked for a host by name (SNI), or sent none, and the server serves no such name.",
    recognised: "The alert unrecognized_name (RFC 6066 section 3), fatal. The facts hold the name, or that none was sent.",
    look_alikes: "The same alert as a warning lets the handshake go on. Other servers send handshake_failure, internal_error or close \
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

fn detect(handshake: &Handshake<'_>, _limits: &Limits) -> Option<Finding> {
    let connection = handshake.connection;
    let (AlertReason::Name, from, alert, description) = cause(handshake)? else {
        return None;
    };
    let name = handshake.tls.client_hello.as_deref()?.server_name();
    let found = finding(RECORD.code, handshake, (from, alert, description));
    let summary = match &name {
        Some(name) => format!("{} does not serve the name {name}", party(handshake, from)),
        None => format!(
            "{} demands a server name, and the client sent none",
            party(handshake, from)
        ),
    };
    Some(Finding {
        culprit: culprit(
            connection,
            if name.is_none() {
                Side::Client
            } else {
                Side::Server
            },
        ),
        summary,
        ..found
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{Talk, client_hello, fatal, sealed, server_hello};
    use crate::Role;
    use crate::testing::{codes, only};

    #[test]
    fn a_name_nobody_serves_and_no_name() {
        for (name, role) in [("a.example", Role::Server), ("", Role::Client)] {
            let talk = Talk::open()
                .client(&client_hello(name, &[0x0304], 0))
                .server(&fatal(112))
                .server_closes();
            let found = only(&talk.lines());
            assert_eq!(found.code, "tls.unrecognized-name");
            assert_eq!(found.culprit.role, role);
        }
    }

    #[test]
    fn a_warning_lets_the_handshake_go_on() {
        let warning = [21, 3, 3, 0, 2, 1, 112];
        let talk = Talk::open()
            .client(&client_hello("a.example", &[], 0))
            .server(&[&warning[..], &server_hello(0x0303, 0xc02f)].concat())
            .client(&sealed(22, 40))
            .client_closes();
        assert!(!codes(&talk.lines()).contains(&"tls.unrecognized-name"));
    }
}
