//! `ftp.error-reply`: an FTP server answers with an error.

use wirewhy_flow::Connection;
use wirewhy_packet::Interval;
use wirewhy_protocol::{FtpError, FtpFacts, FtpLogin, FtpTransfer};

use super::ftp_session;
use crate::wording::{count, socket, span};
use crate::{
    Cause, Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role,
    Rule, Severity, Signs, Value,
};

pub(crate) const RECORD: Record = Record {
    code: "ftp.error-reply",
    group: Group::Ftp,
    title: "The FTP server answered with an error",
    severity: Severity::Error,
    means: "A command on the FTP control connection was answered with a code of 400 or more. The code, and often its text, name the \
            reason: a refused login, a missing file, no data connection, a server that is full, a session that was idle.",
    recognised: "The worst reply of the session is shown, the others are counted. An error where a login or a transfer failed, where the \
                 server ended the session (421) with work outstanding, and for 425 and 426. A note for questions that clients ask to \
                 find out what a server can do or has (SIZE, MDTM, CWD, MLST, FEAT, OPTS, EPSV and EPRT that were replaced by PASV and \
                 PORT), for the end of an idle session, and for a transfer that the client aborted.",
    look_alikes: "522 to EPRT or EPSV is an unknown address family (RFC 2428); to a transfer vsftpd sends it where the TLS session of the \
                  control connection was not resumed on the data connection.",
    check_next: &[
        "The server's log at that second; the text of the reply is the server's own.",
        "530, 430: user name, password, and whether the server demands TLS first.",
        "421: limits of sessions in all and per address (vsftpd max_clients, max_per_ip), idle timeouts.",
        "425, 426: the data connection; see ftp.data-connection-failed.",
        "522, or 425 with PROT P: let the client resume the TLS session (vsftpd require_ssl_reuse, ProFTPD NoSessionReuseRequired).",
        "500 to PORT: a NAT in front of the client that does not translate it, or a transfer between servers; use passive mode.",
        "550, 553: path and permissions.",
        "452, 552: space and quota.",
    ],
    explained_by: &[
        Cause::IfAsSevere("ftp.control-lost"),
        Cause::IfAsSevere("ftp.data-connection-failed"),
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Connection(Signs::FTP, detect),
};

/// How an error reply is to be read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    severity: Severity,
    role: Role,
    /// How sure it is that this one is at fault.
    blame: Confidence,
    /// What it means, to follow the reply; empty where the reply says it.
    words: &'static str,
}

impl Reading {
    fn new(severity: Severity, role: Role, blame: Confidence, words: &'static str) -> Reading {
        Reading {
            severity,
            role,
            blame,
            words,
        }
    }
}

/// Commands by which clients find out what a server can do or has.
const PROBES: [&str; 20] = [
    "SIZE", "MDTM", "CWD", "XCWD", "CDUP", "MLST", "FEAT", "OPTS", "CLNT", "HOST", "LANG", "MFMT",
    "STAT", "SYST", "PWD", "XPWD", "HELP", "SITE", "MKD", "XMKD",
];

fn detect(connection: &Connection, _limits: &Limits) -> Option<Finding> {
    let ftp = ftp_session(connection)?;
    // A refusal of TLS has a code of its own, tls.starttls-refused.
    let is_auth = |error: &&FtpError| {
        let command = error.command.as_ref();
        command.is_some_and(|command| command.verb.name() == "AUTH")
    };
    let errors = ftp.errors.iter().filter(|error| !is_auth(error));
    let read = errors.map(|error| (error, read(ftp, error)));
    // The first of the worst: what follows it is often its consequence.
    let (error, reading) = read.reduce(|worst, next| match next.1.severity > worst.1.severity {
        true => next,
        false => worst,
    })?;
    let server = &connection.server;
    let address = match reading.role {
        Role::Client => Some(connection.client.address),
        Role::Server => Some(server.address),
        _ => None,
    };
    let others = ftp.error_count.saturating_sub(1);
    let more = match others {
        0 => String::new(),
        _ => format!(
            "; {} beside it",
            count(u64::from(others), "other error reply").replace("replys", "replies")
        ),
    };
    let command = error.command.as_ref();
    Some(Finding {
        code: RECORD.code,
        severity: reading.severity,
        confidence: Confidence::Certain,
        culprit: Culprit::new(reading.role, address).at_most(reading.blame),
        summary: format!(
            "{} {}{}{}{more}",
            socket(server),
            sentence(ftp, error),
            reading.words,
            unfit(connection, error).unwrap_or_default()
        ),
        frames: [Some(error.reply.mark), command.map(|command| command.mark)]
            .into_iter()
            .flatten()
            .map(|mark| mark.frame)
            .collect(),
        facts: Facts::default()
            .with("code", error.reply.code)
            .with("text", &*error.reply.text)
            .with(
                "command",
                command.map_or(Value::Absent, |command| command.verb.name().into()),
            )
            .with(
                "argument",
                command
                    .and_then(|command| command.argument.as_deref())
                    .map_or(Value::Absent, Value::from),
            )
            .with("logged_in", error.logged_in)
            .with("error_replies", ftp.error_count),
        consequence_of: None,
    })
}

/// What a server finds wrong in PORT or EPRT: an address that is not the client's own, by which a server could be made to
/// connect to a third host (RFC 2577 section 3), or a low port.
fn unfit(connection: &Connection, error: &FtpError) -> Option<String> {
    let command = error.command.as_ref()?;
    let (address, port) = command
        .names()
        .filter(|_| matches!(error.reply.code, 500..=504))?;
    let own = connection.client.address;
    if address != own {
        return Some(format!(
            "; this one names {address}, and the client's address here is {own}"
        ));
    }
    (port < 1024).then(|| format!("; this one names port {port}"))
}

/// What the server did, with the reply.
fn sentence(ftp: &FtpFacts, error: &FtpError) -> String {
    let is_greeting = is_greeting(ftp, error);
    let reply = &error.reply;
    let quoted = match reply.text.is_empty() {
        true => reply.code.to_string(),
        false => format!("{} {}", reply.code, reply.text.trim_end_matches('.')),
    };
    let Some(command) = &error.command else {
        return match idle(error) {
            Some(idle) => format!(
                "ended the session {} after the last command: {quoted}",
                span(idle)
            ),
            None if is_greeting => format!("refused the session: {quoted}"),
            None => format!("ended the session: {quoted}"),
        };
    };
    let argument = command
        .argument
        .as_deref()
        .map_or(String::new(), |argument| format!(" {argument}"));
    format!("answered {}{argument} with {quoted}", command.verb.name())
}

/// Whether a reply came in place of the greeting.
fn is_greeting(ftp: &FtpFacts, error: &FtpError) -> bool {
    let greeting = ftp.greeting.as_ref();
    greeting.is_some_and(|greeting| greeting.mark == error.reply.mark)
}

fn idle(error: &FtpError) -> Option<Interval> {
    Some(error.reply.mark.time.since(error.idle_since?.time))
}

fn read(ftp: &FtpFacts, error: &FtpError) -> Reading {
    use Confidence::{Likely, Possible};
    use Severity::{Error, Note, Warning};
    let code = error.reply.code;
    let text = error.reply.text.to_ascii_lowercase();
    let Some(command) = &error.command else {
        return unasked(ftp, error, &text);
    };
    let verb = command.verb;
    let replaced = || {
        let mut later = ftp.data.iter();
        later.any(|data| data.agreed.frame > error.reply.mark.frame)
    };
    match (verb.name(), code) {
        (_, 421) => Reading::new(Error, Role::Server, Possible, ""),
        ("USER" | "PASS" | "ACCT", _) if ftp.login == FtpLogin::Accepted => {
            Reading::new(Warning, Role::Client, Possible, "; a later login succeeded")
        }
        ("USER" | "PASS" | "ACCT", 400..=429 | 431..=499) => {
            Reading::new(Error, Role::Server, Possible, "")
        }
        ("USER" | "PASS" | "ACCT", _) => Reading::new(Error, Role::Client, Likely, ""),
        _ if verb.is_transfer() => transfer(ftp, error, &text),
        _ if code == 530 => {
            let words = "; the client was not logged in";
            Reading::new(Note, Role::Client, Possible, words)
        }
        _ if verb.is_setup() => match replaced() {
            true => Reading::new(
                Note,
                Role::Unknown,
                Possible,
                "; the client took another way",
            ),
            false if matches!(verb.name(), "PORT" | "EPRT") && matches!(code, 500 | 501 | 504) => {
                let words =
                    "; servers refuse an address that is not the client's own, and low ports";
                Reading::new(Error, Role::Client, Likely, words)
            }
            false => Reading::new(Error, Role::Server, Possible, ""),
        },
        _ if PROBES.contains(&verb.name()) => Reading::new(Note, Role::Unknown, Possible, ""),
        (_, 450..=452) => Reading::new(Warning, Role::Server, Possible, ""),
        (_, 500 | 502 | 504) => Reading::new(Note, Role::Unknown, Possible, ""),
        _ => Reading::new(Warning, Role::Unknown, Possible, ""),
    }
}

/// A reply that no command asked for: in place of the greeting, or to end the session.
fn unasked(ftp: &FtpFacts, error: &FtpError, text: &str) -> Reading {
    use Confidence::{Likely, Possible};
    if is_greeting(ftp, error) {
        let own = text.contains("your") || text.contains("not allowed") || text.contains("denied");
        return match own {
            true => Reading::new(Severity::Error, Role::Client, Possible, ""),
            false => Reading::new(Severity::Error, Role::Server, Likely, ""),
        };
    }
    if ftp.after_goodbye > 0 {
        let words = "; the client went on all the same";
        return Reading::new(Severity::Error, Role::Client, Possible, words);
    }
    if error.in_transfer {
        return Reading::new(
            Severity::Error,
            Role::Unknown,
            Possible,
            "; a transfer was not finished",
        );
    }
    // Nothing was asked and nothing is lost.
    Reading::new(Severity::Note, Role::Client, Possible, "")
}

/// The error of a transfer, or of a listing.
fn transfer(ftp: &FtpFacts, error: &FtpError, text: &str) -> Reading {
    use Confidence::{Likely, Possible};
    use Severity::{Error, Note, Warning};
    if error.aborted {
        return Reading::new(
            Note,
            Role::Client,
            Likely,
            "; the client had aborted the transfer",
        );
    }
    let command = error.command.as_ref();
    let done_later = ftp.data.iter().any(|data| {
        data.transfer.as_ref().is_some_and(|later| {
            let same = |ours: &wirewhy_protocol::FtpCommand| {
                later.command.verb == ours.verb && later.command.argument == ours.argument
            };
            later.succeeded()
                && later.command.mark.frame > error.reply.mark.frame
                && command.is_some_and(same)
        })
    });
    if done_later {
        return Reading::new(
            Warning,
            Role::Unknown,
            Possible,
            "; the same command succeeded later",
        );
    }
    let is_list = command.is_some_and(|command| command.verb.is_listing());
    let is_upload = command.is_some_and(|command| command.verb.is_upload());
    match error.reply.code {
        425 | 450 | 522 if wants_resumption(ftp, error, text) => {
            let words = "; the server demands that the TLS session of the control connection is resumed on the data connection";
            Reading::new(Error, Role::Client, Likely, words)
        }
        425 if text.contains("bad ip connecting") || text.contains("from foreign address") => {
            let words =
                "; the data connection came from another address than the control connection";
            Reading::new(Error, Role::Client, Possible, words)
        }
        425 if !has_data(ftp, error) => {
            let words = "; no data connection was announced";
            Reading::new(Error, Role::Client, Likely, words)
        }
        425 | 426 => Reading::new(Error, Role::Unknown, Possible, ""),
        450 | 550 if is_list => Reading::new(Warning, Role::Unknown, Possible, ""),
        521 | 522 | 533 | 534 | 536 => {
            let words = "; the server wants another protection of the data connection (PROT)";
            Reading::new(Error, Role::Client, Possible, words)
        }
        552 | 452 => Reading::new(
            Error,
            Role::Server,
            Likely,
            "; the server has no space for it",
        ),
        450 | 451 => Reading::new(Error, Role::Server, Likely, ""),
        530 | 532 => Reading::new(Error, Role::Client, Likely, ""),
        550 if !is_upload => Reading::new(Error, Role::Client, Possible, ""),
        _ => Reading::new(Error, Role::Unknown, Possible, ""),
    }
}

/// Whether a reply refuses a data connection whose TLS session is not that of the control connection: vsftpd and FileZilla
/// Server say so, ProFTPD gives the operating system's words for it.
fn wants_resumption(ftp: &FtpFacts, error: &FtpError, text: &str) -> bool {
    let private = ftp.protection.data_level == Some('P');
    let says_so = text.contains("session reuse") || text.contains("not resumed");
    let of_proftpd =
        private && error.reply.code == 425 && text.ends_with("operation not permitted");
    says_so || of_proftpd
}

/// Whether the server ended a transfer because the TLS session of its data connection was not resumed.
#[must_use]
pub fn demands_resumption(ftp: &FtpFacts, transfer: &FtpTransfer) -> bool {
    ftp.errors.iter().any(|error| {
        let command = error.command.as_ref();
        let of_it = command.is_some_and(|command| command.mark == transfer.command.mark);
        let text = error.reply.text.to_ascii_lowercase();
        of_it && matches!(error.reply.code, 425 | 450 | 522) && wants_resumption(ftp, error, &text)
    })
}

/// Whether a data connection was announced for the transfer of an error.
fn has_data(ftp: &FtpFacts, error: &FtpError) -> bool {
    let of_it = |transfer: &FtpTransfer| {
        let command = error.command.as_ref();
        command.is_some_and(|command| transfer.command.mark == command.mark)
    };
    ftp.forgotten_data > 0
        || ftp
            .data
            .iter()
            .any(|data| data.transfer.as_ref().is_some_and(of_it))
}

#[cfg(test)]
mod tests;
