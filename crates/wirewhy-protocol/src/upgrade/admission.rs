//! Whether a server of lines lets a client in: its greeting, its answers to a login, and its word that it closes.

use super::lines::Kind;
use crate::session::Refusal;
use crate::types::{AppProtocol, Mark};

/// What the answers so far make of the session. Nothing of what the client says is kept but the numbers of its commands.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Admission {
    /// The last EHLO or HELO, the last login and the last MAIL, as numbers of commands.
    hello: Option<u32>,
    login: Option<u32>,
    mail: Option<u32>,
    /// Whether a login of several steps goes on.
    continues: bool,
    accepted: bool,
    refusal: Option<Refusal>,
}

impl Admission {
    /// Command number `number` of the client.
    pub(super) fn asked(&mut self, command: &[u8], number: u32) {
        let is = |names: &[&str]| {
            names
                .iter()
                .any(|name| command.eq_ignore_ascii_case(name.as_bytes()))
        };
        if is(&["EHLO", "HELO", "LHLO"]) {
            self.hello = Some(number);
        } else if is(&["AUTH"]) {
            self.login = Some(number);
        } else if is(&["MAIL"]) {
            self.mail = Some(number);
        }
    }

    /// Answer number `number` of an SMTP server; the greeting is number 0 (RFC 5321 section 4.2, RFC 4954 section 4).
    pub(super) fn coded(&mut self, code: [u8; 3], line: &[u8], number: u32, mark: Mark) {
        let is_login = self.login == Some(number) || std::mem::take(&mut self.continues);
        let number = Some(number);
        let asked = is_login || number == Some(0) || self.hello == number || self.mail == number;
        match code {
            // "Service not available, closing transmission channel", whatever was asked.
            [b'4', b'2', b'1'] => self.refuse(AppProtocol::Smtp, &code, line, mark),
            [b'3', ..] => self.continues = is_login,
            [b'2', ..] if is_login || self.mail == number => {
                self.accepted = true;
                self.refusal = None;
            }
            [b'2', ..] if self.hello == number => self.refusal = None,
            [b'4' | b'5', ..] if asked => self.refuse(AppProtocol::Smtp, &code, line, mark),
            _ => {}
        }
    }

    /// A server's answer to a login.
    pub(super) fn answered(&mut self, kind: Kind, line: &[u8], is_accepted: bool, mark: Mark) {
        if is_accepted {
            self.accepted = true;
            self.refusal = None;
            return;
        }
        let code = match kind {
            Kind::Nntp => line.get(..3).unwrap_or(&[]),
            _ => &[],
        };
        let protocol = match kind {
            Kind::Imap => AppProtocol::Imap,
            Kind::ManageSieve => AppProtocol::ManageSieve,
            Kind::Nntp => AppProtocol::Nntp,
            _ => AppProtocol::Pop3,
        };
        self.refuse(protocol, code, line, mark);
    }

    fn refuse(&mut self, protocol: AppProtocol, code: &[u8], line: &[u8], mark: Mark) {
        let message = line.get(code.len()..).unwrap_or(&[]);
        self.refusal = Some(Refusal {
            accepted_before: self.accepted,
            ..Refusal::new(protocol, code, message, mark)
        });
    }

    pub(super) fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }
}
