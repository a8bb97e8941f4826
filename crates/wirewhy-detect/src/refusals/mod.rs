//! What the codes mean with which services refuse a session: their names, and at whose door the trouble lies.

pub(crate) use directory::active_directory;

mod directory;
mod messaging;
mod sql;

use wirewhy_protocol::{AppProtocol, Refusal};

/// What a refusal means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Meaning {
    /// The code's name, as its documentation has it; empty where it has none.
    pub(crate) name: &'static str,
    pub(crate) reason: Reason,
}

impl Meaning {
    const fn new(name: &'static str, reason: Reason) -> Meaning {
        Meaning { name, reason }
    }
}

/// Why a service refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    /// The name, password or ticket is wrong, or none was given.
    Credentials,
    /// The account may not be used: locked, expired, disabled.
    Account,
    /// The service's rules do not admit this client: from there, without encryption, to that database.
    Policy,
    /// The client asks for what is not there, or in a way that the service does not understand.
    Request,
    /// The client has sent nothing for too long.
    Idle,
    /// The service has as many clients as it takes.
    Capacity,
    /// The service is starting, stopping, or in trouble of its own.
    Service,
    Unknown,
}

impl Reason {
    /// What it is called in facts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Reason::Credentials => "credentials",
            Reason::Account => "account",
            Reason::Policy => "policy",
            Reason::Request => "request",
            Reason::Idle => "idle",
            Reason::Capacity => "capacity",
            Reason::Service => "service",
            Reason::Unknown => "unknown",
        }
    }
}

/// What a refusal means, by its code and, where the code does not say enough, by its message.
pub(crate) fn meaning(refusal: &Refusal) -> Meaning {
    let code = &*refusal.code;
    let message = refusal.message.as_deref().unwrap_or_default();
    let number = code.parse::<u32>().ok();
    match refusal.protocol {
        AppProtocol::PostgreSql => sql::postgresql(code, message),
        AppProtocol::MySql => sql::mysql(number),
        AppProtocol::Tds => sql::tds(number),
        AppProtocol::Ldap => directory::ldap(number, message),
        AppProtocol::Ssh => directory::ssh(number, message),
        AppProtocol::Redis => messaging::redis(code, message),
        AppProtocol::Amqp => messaging::amqp(code, message),
        AppProtocol::Mqtt => messaging::mqtt(number),
        AppProtocol::Smtp | AppProtocol::SmtpOrFtp => messaging::smtp(code, message),
        AppProtocol::Imap | AppProtocol::Pop3 | AppProtocol::Nntp | AppProtocol::ManageSieve => {
            messaging::mailbox(message)
        }
        _ => Meaning::new("", Reason::Unknown),
    }
}

/// Whether a text has any of these words, whatever their case.
fn has(text: &str, words: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    words.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wirewhy_protocol::Mark;

    fn of(protocol: AppProtocol, code: &str, message: &str) -> (&'static str, Reason) {
        let meaning = meaning(&Refusal {
            protocol,
            code: code.into(),
            message: Some(message.into()),
            mark: Mark::default(),
            accepted_before: false,
        });
        (meaning.name, meaning.reason)
    }

    #[test]
    fn codes_by_protocol() {
        use AppProtocol::{Amqp, Imap, Ldap, Mqtt, MySql, PostgreSql, Redis, Smtp, Ssh, Tds};
        for (protocol, code, message, expected) in [
            (
                PostgreSql,
                "28P01",
                "",
                ("invalid_password", Reason::Credentials),
            ),
            (
                PostgreSql,
                "53300",
                "",
                ("too_many_connections", Reason::Capacity),
            ),
            (
                PostgreSql,
                "08P01",
                "no more connections allowed",
                ("protocol_violation", Reason::Capacity),
            ),
            (PostgreSql, "57X99", "", ("", Reason::Service)),
            (MySql, "1040", "", ("ER_CON_COUNT_ERROR", Reason::Capacity)),
            (
                MySql,
                "1045",
                "",
                ("ER_ACCESS_DENIED_ERROR", Reason::Credentials),
            ),
            (MySql, "9999", "", ("", Reason::Unknown)),
            (Tds, "18456", "", ("login failed", Reason::Credentials)),
            (Ldap, "8", "", ("strongerAuthRequired", Reason::Policy)),
            (
                Ldap,
                "49",
                "data 52e, v4563",
                ("invalidCredentials", Reason::Credentials),
            ),
            (
                Ldap,
                "49",
                "data 775, v4563",
                ("invalidCredentials", Reason::Account),
            ),
            (Redis, "NOAUTH", "", ("", Reason::Credentials)),
            (
                Redis,
                "ERR",
                "max number of clients reached",
                ("", Reason::Capacity),
            ),
            (Amqp, "403", "", ("access-refused", Reason::Credentials)),
            (
                Amqp,
                "530",
                "connection limit (2) is reached",
                ("not-allowed", Reason::Capacity),
            ),
            (Mqtt, "5", "", ("not authorized", Reason::Policy)),
            (Mqtt, "137", "", ("server busy", Reason::Capacity)),
            (
                Smtp,
                "421",
                "4.7.0 too many connections",
                ("service not available", Reason::Capacity),
            ),
            (
                Smtp,
                "535",
                "",
                ("authentication credentials invalid", Reason::Credentials),
            ),
            (Ssh, "", "Exceeded MaxStartups", ("", Reason::Capacity)),
            (Ssh, "12", "", ("too many connections", Reason::Capacity)),
            (Imap, "", "NO [UNAVAILABLE] later", ("", Reason::Service)),
        ] {
            assert_eq!(of(protocol, code, message), expected, "{protocol:?} {code}");
        }
    }
}
