//! `app.session-refused`: a service refuses or ends a session in the words of its own protocol.

use wirewhy_flow::Connection;
use wirewhy_protocol::{AppProtocol, Refusal};

use crate::detectors::ftp_session;
use crate::refusals::{Meaning, Reason, active_directory, meaning};
use crate::wording::socket;
use crate::{
    Cause, Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role,
    Rule, Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "app.session-refused",
    group: Group::Session,
    title: "The service refused the session",
    severity: Severity::Error,
    means: "The connection came up, and the service itself turned the client away, or ended the session, and said why: a wrong \
            password, a rule that does not admit this client, no room for another one, a service that starts or stops.",
    recognised: "An error in the service's own protocol before it accepted the client: PostgreSQL and MySQL errors, SQL Server's error \
                 token, an LDAP result of a bind, the errors of Redis that turn clients away, AMQP's Connection.Close, MQTT's CONNACK and DISCONNECT, \
                 SMTP 4xx and 5xx to the connection, EHLO, AUTH or MAIL, IMAP and POP3 to a login, SSH's disconnect. Code and message are \
                 the service's. Only what is in the clear, or was decrypted.",
    look_alikes: "A refusal after which the same connection is accepted (another password, another method) is none. Errors of single \
                  requests, such as a failed query or an unknown recipient, are the application's.",
    check_next: &[
        "The service's log at that second: it names the account, and often more than it told the client.",
        "Credentials: are these the ones that the service knows?",
        "Account: is it locked, expired, or without the right to log in?",
        "Policy: pg_hba.conf, the account's hosts in MySQL, ACLs, the demand for TLS or signing.",
        "Request: does the database, queue or mailbox exist that the client asks for, and do both sides speak the same version?",
        "Capacity: how many sessions has the service, how many does it take (max_connections, maxclients, MaxStartups)? Does a pool leak?",
        "Service: was it starting, stopping, or out of disk or memory at that time?",
        "Idle: which limit of the service did the client's pause exceed (wait_timeout, idle_session_timeout)? Let the client's pool test or close earlier.",
    ],
    explained_by: &[
        Cause::IfAsSevere("ssh.no-shared-algorithms"),
        Cause::IfAsSevere("ssh.not-ssh"),
        Cause::IfAsSevere("tls.not-tls"),
        Cause::IfAsSevere("tls.starttls-refused"),
    ],
    reportable: Reportable::FirstAnswer,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Connection(Signs::REFUSAL, detect),
};

fn detect(connection: &Connection, _limits: &Limits) -> Option<Finding> {
    let refusal = refusal(connection)?;
    let meaning = meaning(refusal);
    let service = refusal.protocol.name();
    let quoted = quoted(refusal, meaning);
    let what = match refusal.accepted_before {
        false => "refused the session",
        true => "ended the session",
    };
    Some(Finding {
        code: RECORD.code,
        severity: severity(refusal, meaning),
        confidence: Confidence::Certain,
        culprit: culprit(connection, meaning.reason),
        summary: format!(
            "{} ({service}) {what}: {quoted}",
            socket(&connection.server)
        ),
        frames: vec![refusal.mark.frame],
        facts: Facts::default()
            .with("protocol", service)
            .with("code", &*refusal.code)
            .with("name", Some(meaning.name).filter(|name| !name.is_empty()))
            .with("message", refusal.message.as_deref())
            .with("reason", meaning.reason.name())
            .with("accepted_before", refusal.accepted_before),
        consequence_of: None,
    })
}

/// The refusal, or the notice with which the session was ended. A notice that could be part of something else counts where the
/// server is known to speak its protocol.
fn refusal(connection: &Connection) -> Option<&Refusal> {
    let app = connection.app.as_deref();
    let spoken = app.and_then(|app| app.server.protocol);
    // FTP begins like SMTP, and its replies are read as such.
    let refused = app
        .filter(|_| ftp_session(connection).is_none())
        .and_then(|app| app.refusal.as_deref());
    refused.or_else(|| {
        let notice = connection.notice.as_deref()?;
        let fits = match spoken {
            None | Some(AppProtocol::Unknown) => notice.proves_itself(),
            Some(protocol) => protocol == notice.protocol,
        };
        fits.then_some(notice)
    })
}

/// A session that went on is ended for the client's silence without loss; an account that is refused after another one was
/// accepted concerns one request.
fn severity(refusal: &Refusal, meaning: Meaning) -> Severity {
    let credentials = matches!(meaning.reason, Reason::Credentials | Reason::Account);
    match refusal.accepted_before && (meaning.reason == Reason::Idle || credentials) {
        true => Severity::Warning,
        false => Severity::Error,
    }
}

/// The refusal as it was said: code, name, message.
fn quoted(refusal: &Refusal, meaning: Meaning) -> String {
    let mut quoted = refusal.code.trim().to_owned();
    if !meaning.name.is_empty() && meaning.name != quoted {
        if quoted.is_empty() {
            quoted.push_str(meaning.name);
        } else {
            quoted = format!("{quoted} ({})", meaning.name);
        }
    }
    if let Some(message) = refusal.message.as_deref() {
        let separator = if quoted.is_empty() { "" } else { ": " };
        quoted = format!("{quoted}{separator}\"{message}\"");
        if refusal.protocol == AppProtocol::Ldap
            && let Some(words) = active_directory(message)
        {
            quoted = format!("{quoted}, which is: {words}");
        }
    }
    match quoted.is_empty() {
        true => "without a reason".to_owned(),
        false => quoted,
    }
}

/// That the service refuses is certain; whose doing it is, its code makes likely at most: a password may be wrong at either end.
fn culprit(connection: &Connection, reason: Reason) -> Culprit {
    let (role, address) = match reason {
        Reason::Credentials | Reason::Account | Reason::Policy | Reason::Request | Reason::Idle => {
            (Role::Client, Some(connection.client.address))
        }
        Reason::Capacity | Reason::Service => (Role::Server, Some(connection.server.address)),
        Reason::Unknown => (Role::Unknown, None),
    };
    Culprit::new(role, address).at_most(Confidence::Likely)
}

#[cfg(test)]
mod tests {
    use super::super::super::tls::traces::ConversationTrace;
    use crate::testing::{codes, only};
    use crate::{Role, Severity};

    const STARTUP: &[u8] = b"\0\0\0\x15\0\x03\0\0user\0bob\0\0\0\0\0";
    const NO_ENTRY: &[u8] = b"E\0\0\0\x2eSFATAL\0C28000\0Mno pg_hba.conf entry\0Fauth.c\0\0";

    #[test]
    fn a_database_refuses() {
        let conversation = ConversationTrace::open()
            .client(STARTUP)
            .server(NO_ENTRY)
            .server_closes();
        let found = only(&conversation.lines());
        assert_eq!(
            (found.code, found.severity, found.culprit.role),
            ("app.session-refused", Severity::Error, Role::Client)
        );
        assert!(
            found
                .summary
                .contains("28000 (invalid_authorization_specification)"),
            "{}",
            found.summary
        );
        assert!(
            found.summary.contains("\"no pg_hba.conf entry\""),
            "{}",
            found.summary
        );
    }

    #[test]
    fn a_database_accepts() {
        let conversation = ConversationTrace::open()
            .client(STARTUP)
            .server(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I")
            .client(b"X\0\0\0\x04")
            .client_closes();
        assert_eq!(codes(&conversation.lines()), [""; 0]);
    }

    #[test]
    fn a_cache_without_room() {
        let conversation = ConversationTrace::open()
            .server(b"-ERR max number of clients reached\r\n")
            .server_closes();
        let found = only(&conversation.lines());
        assert_eq!(
            (found.code, found.culprit.role),
            ("app.session-refused", Role::Server)
        );
    }

    #[test]
    fn a_session_is_ended() {
        let shutdown = b"E\0\0\0\x29SFATAL\0VFATAL\0C57P01\0Mshutting down\0\0";
        let conversation = || {
            ConversationTrace::open()
                .client(STARTUP)
                .server(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I")
                .client(b"Q\0\0\0\x0dselect 1\0")
                .server(b"Z\0\0\0\x05I")
        };
        let found = only(&conversation().server(shutdown).server_closes().lines());
        assert_eq!(
            (found.code, found.culprit.role),
            ("app.session-refused", Role::Server)
        );
        assert!(
            found.summary.contains("ended the session: 57P01"),
            "{}",
            found.summary
        );
        // A notice behind which the session goes on is none.
        let continues = conversation().server(shutdown).server(b"Z\0\0\0\x05I");
        assert_eq!(codes(&continues.client_closes().lines()), [""; 0]);
    }
}
