//! `tls.version-mismatch`: no version both sides speak.

use wirewhy_flow::Side;
use wirewhy_protocol::{AlertDescription, ProtocolVersion};

use super::{AlertReason, cause, finding, for_name, party};
use crate::handshake::{Handshake, culprit, names};
use crate::{
    Confidence, Culprit, Detector, Finding, Group, Limits, Record, Reportable, Role, Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "tls.version-mismatch",
    group: Group::Tls,
    title: "No TLS version both sides accept",
    severity: Severity::Error,
    means: "Client and server share no protocol version: an old client meets a hardened server, or a strict client an old server.",
    recognised: "The alert protocol_version; or a server's handshake_failure in a record of an older version, none of whose suites the client \
                 offers. The facts name the versions the client offered and, where it had answered, the one the \
                 server chose.",
    look_alikes: "Some servers answer bytes that are not TLS with the same alert: tls.not-tls. Some old ones send handshake_failure \
                  instead: tls.no-shared-parameters.",
    check_next: &[
        "openssl s_client -connect HOST:PORT -tls1_2 (and -tls1_3, -tls1_1): which versions does the server take?",
        "Server: ssl_protocols (nginx), SSLProtocol (Apache), MinProtocol (openssl.cnf). Client: its minimum and maximum version.",
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
    let (AlertReason::Version, from, alert, description) = cause(handshake, limits)? else {
        return None;
    };
    let offered = handshake.tls.client_hello.as_deref()?.versions();
    let chosen = handshake.tls.version();
    let newest = offered.iter().copied().max();
    // Which of the two is behind the times: versions before TLS 1.2 are out of use (RFC 8996).
    let old = |version: ProtocolVersion| version < ProtocolVersion::TLS1_2;
    let is_explicit = description == AlertDescription::PROTOCOL_VERSION;
    let at_fault = match (from, newest, chosen) {
        (Side::Server, ..) if !is_explicit => {
            culprit(connection, Side::Server).at_most(Confidence::Likely)
        }
        (Side::Server, Some(newest), _) if old(newest) => culprit(connection, Side::Client),
        (Side::Server, Some(ProtocolVersion::TLS1_2), _) => {
            culprit(connection, Side::Client).at_most(Confidence::Possible)
        }
        (Side::Client, _, Some(chosen)) if old(chosen) => culprit(connection, Side::Server),
        (Side::Server, ..) => culprit(connection, Side::Server).at_most(Confidence::Possible),
        (Side::Client, ..) => Culprit::from(Role::Unknown),
    };
    let words = offered
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    let found = finding(RECORD.code, handshake, (from, alert, description));
    let summary = match from {
        Side::Server if !is_explicit => format!(
            "{} answered the client's hello{} in {} with {description}: all that the client offers is for {words}",
            party(handshake, from),
            for_name(handshake),
            alert.record_version,
        ),
        Side::Server => format!(
            "{} accepts none of the versions the client offered{}: {words}",
            party(handshake, from),
            for_name(handshake),
        ),
        Side::Client => format!(
            "{} does not accept {}, which the server chose{}; it had offered {words}",
            party(handshake, from),
            chosen.map_or("the version".to_owned(), |version| version.to_string()),
            for_name(handshake),
        ),
    };
    Some(Finding {
        culprit: at_fault,
        confidence: match is_explicit {
            true => Confidence::Certain,
            false => Confidence::Likely,
        },
        summary,
        facts: found
            .facts
            .clone()
            .with("client_versions", names(&offered))
            .with("server_version", chosen.map(|version| version.to_string())),
        ..found
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{
        ConversationTrace, client_hello, client_hello_of, fatal, server_hello,
    };
    use crate::Role;
    use crate::testing::{codes, only};

    #[test]
    fn an_old_client_meets_a_hardened_server() {
        let conversation = ConversationTrace::open()
            .client(&client_hello("a.example", &[], 0))
            .server(&fatal(70))
            .server_closes();
        let found = only(&conversation.lines());
        assert_eq!(found.code, "tls.version-mismatch");
        assert_eq!(found.culprit.role, Role::Client);
    }

    #[test]
    fn a_strict_client_meets_an_old_server() {
        let conversation = ConversationTrace::open()
            .client(&client_hello("a.example", &[0x0304], 0))
            .server(&server_hello(0x0301, 0xc013))
            .client(&fatal(70))
            .client_closes();
        assert_eq!(codes(&conversation.lines()), ["tls.version-mismatch"]);
    }

    #[test]
    fn an_alert_of_an_older_version_to_suites_of_tls_1_2_alone() {
        let hello = client_hello_of(&[0xc02f, 0xc030]);
        let answered = |hello: &[u8], version| {
            let conversation = ConversationTrace::open()
                .client(hello)
                .server(&[21, 3, version, 0, 2, 2, 40])
                .server_closes();
            only(&conversation.lines())
        };
        let found = answered(&hello, 1);
        assert_eq!(
            (found.code, found.culprit.role),
            ("tls.version-mismatch", Role::Server)
        );
        assert_eq!(answered(&hello, 3).code, "tls.no-shared-parameters");
        let broad = client_hello_of(&[0xc02f, 0xc013]);
        assert_eq!(answered(&broad, 1).code, "tls.no-shared-parameters");
    }

    #[test]
    fn another_alert_is_none() {
        let conversation = ConversationTrace::open()
            .client(&client_hello("a.example", &[], 0))
            .server(&fatal(50))
            .server_closes();
        assert_eq!(codes(&conversation.lines()), ["tls.alert"]);
    }
}
