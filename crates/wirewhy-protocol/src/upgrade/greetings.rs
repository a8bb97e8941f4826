//! How the protocols of lines are recognised: SMTP, FTP, POP3, IMAP, NNTP, ManageSieve and IRC.

use super::facts::UpgradeProtocol;
use super::lines::{Kind, Lines};
use super::start_tls::Dialect;
use crate::protocol::{Protocol, Reading, any, begins_with};
use crate::types::{AppProtocol, Role, Transport};

/// How much of a first line is looked at.
const MAX_LINE: usize = 256;

pub(crate) static SMTP: Protocol = Protocol {
    id: AppProtocol::Smtp,
    name: "SMTP",
    transports: &[Transport::Tcp],
    first: Some(Role::Server),
    probe: |_, bytes| is_smtp(bytes),
    reading: Reading::StartTls(Dialect {
        protocol: UpgradeProtocol::Smtp,
        answers: |_| false,
        reader: || Box::new(Lines::new(Kind::Smtp)),
    }),
};

pub(crate) static FTP: Protocol = Protocol {
    id: AppProtocol::Ftp,
    name: "FTP",
    transports: &[Transport::Tcp],
    first: Some(Role::Server),
    probe: |_, bytes| is_ftp(bytes),
    reading: Reading::StartTls(Dialect {
        protocol: UpgradeProtocol::Ftp,
        answers: |_| false,
        reader: || Box::new(Lines::new(Kind::Ftp)),
    }),
};

pub(crate) static SMTP_OR_FTP: Protocol = Protocol {
    id: AppProtocol::SmtpOrFtp,
    name: "SMTP or FTP",
    transports: &[Transport::Tcp],
    first: Some(Role::Server),
    probe: |_, bytes| is_smtp_or_ftp(bytes),
    reading: Reading::StartTls(Dialect {
        protocol: UpgradeProtocol::Smtp,
        answers: |_| false,
        reader: || Box::new(Lines::new(Kind::SmtpOrFtp)),
    }),
};

pub(crate) static POP3: Protocol = Protocol {
    id: AppProtocol::Pop3,
    name: "POP3",
    transports: &[Transport::Tcp],
    first: Some(Role::Server),
    probe: |_, bytes| is_pop3(bytes),
    reading: Reading::StartTls(Dialect {
        protocol: UpgradeProtocol::Pop3,
        answers: |_| false,
        reader: || Box::new(Lines::new(Kind::Pop3)),
    }),
};

pub(crate) static IMAP: Protocol = Protocol {
    id: AppProtocol::Imap,
    name: "IMAP",
    transports: &[Transport::Tcp],
    first: Some(Role::Server),
    probe: |_, bytes| is_imap(bytes),
    reading: Reading::StartTls(Dialect {
        protocol: UpgradeProtocol::Imap,
        answers: |_| false,
        reader: || Box::new(Lines::new(Kind::Imap)),
    }),
};

pub(crate) static NNTP: Protocol = Protocol {
    id: AppProtocol::Nntp,
    name: "NNTP",
    transports: &[Transport::Tcp],
    first: Some(Role::Server),
    probe: |_, bytes| is_nntp(bytes),
    reading: Reading::StartTls(Dialect {
        protocol: UpgradeProtocol::Nntp,
        answers: |_| false,
        reader: || Box::new(Lines::new(Kind::Nntp)),
    }),
};

pub(crate) static MANAGE_SIEVE: Protocol = Protocol {
    id: AppProtocol::ManageSieve,
    name: "ManageSieve",
    transports: &[Transport::Tcp],
    first: Some(Role::Server),
    probe: |_, bytes| is_manage_sieve(bytes),
    reading: Reading::StartTls(Dialect {
        protocol: UpgradeProtocol::ManageSieve,
        answers: |_| false,
        reader: || Box::new(Lines::new(Kind::ManageSieve)),
    }),
};

pub(crate) static IRC: Protocol = Protocol {
    id: AppProtocol::Irc,
    name: "IRC",
    transports: &[Transport::Tcp],
    first: None,
    probe: |_, bytes| is_irc(bytes),
    reading: Reading::StartTls(Dialect {
        protocol: UpgradeProtocol::Irc,
        answers: |_| false,
        reader: || Box::new(Lines::new(Kind::Irc)),
    }),
};

/// The first line of a server that sends first with a code or a sign.
enum Greeting<'a> {
    /// Its end is not there yet.
    Open,
    Line(&'a [u8]),
    /// The bytes begin no such line.
    None,
}

impl Greeting<'_> {
    fn of(bytes: &[u8]) -> Greeting<'_> {
        if !matches!(bytes.first(), Some(b'0'..=b'9' | b'+' | b'*')) {
            return Greeting::None;
        }
        let start = bytes.get(..MAX_LINE).unwrap_or(bytes);
        match start.iter().position(|&byte| byte == b'\n') {
            Some(end) => Greeting::Line(start.get(..end).unwrap_or(start)),
            None if bytes.len() >= MAX_LINE => Greeting::Line(start),
            None => Greeting::Open,
        }
    }

    fn test(self, test: impl Fn(&[u8]) -> bool) -> Option<bool> {
        match self {
            Greeting::Open => None,
            Greeting::Line(line) => Some(test(line)),
            Greeting::None => Some(false),
        }
    }
}

fn starts(line: &[u8], with: &[u8]) -> bool {
    line.get(..with.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(with))
}

fn contains(line: &[u8], word: &[u8]) -> bool {
    line.windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}

/// Whether a greeting is one of SMTP or FTP: 220 ready, 421 not available, 554 no service (RFC 5321 section 3.1); 120 and
/// 421 of FTP (RFC 959 section 5.4).
fn is_coded(line: &[u8]) -> bool {
    matches!(
        line,
        [b'2', b'2', b'0', b' ' | b'-', ..]
            | [b'4', b'2', b'1', b' ' | b'-', ..]
            | [b'5', b'5', b'4', b' ' | b'-', ..]
            | [b'1', b'2', b'0', b' ' | b'-', ..]
    )
}

/// Which of SMTP and FTP a greeting names.
fn names(line: &[u8]) -> (bool, bool) {
    (contains(line, b"SMTP"), contains(line, b"FTP"))
}

fn is_smtp(bytes: &[u8]) -> Option<bool> {
    any([
        Greeting::of(bytes).test(|line| is_coded(line) && names(line) == (true, false)),
        begins_with(bytes, b"EHLO "),
        begins_with(bytes, b"HELO "),
    ])
}

fn is_ftp(bytes: &[u8]) -> Option<bool> {
    Greeting::of(bytes).test(|line| is_coded(line) && names(line) == (false, true))
}

fn is_smtp_or_ftp(bytes: &[u8]) -> Option<bool> {
    Greeting::of(bytes).test(|line| {
        let (smtp, ftp) = names(line);
        is_coded(line) && smtp == ftp
    })
}

fn is_pop3(bytes: &[u8]) -> Option<bool> {
    Greeting::of(bytes).test(|line| starts(line, b"+OK"))
}

fn is_imap(bytes: &[u8]) -> Option<bool> {
    let greetings = [&b"* OK"[..], b"* PREAUTH", b"* BYE"];
    Greeting::of(bytes).test(|line| greetings.iter().any(|greeting| starts(line, greeting)))
}

/// RFC 3977 section 5.1: posting allowed, or not.
fn is_nntp(bytes: &[u8]) -> Option<bool> {
    Greeting::of(bytes).test(|line| starts(line, b"200 ") || starts(line, b"201 "))
}

/// The capabilities of RFC 5804 section 1.7; a server names itself first, or nearly so.
fn is_manage_sieve(bytes: &[u8]) -> Option<bool> {
    let names = [
        "\"IMPLEMENTATION\"",
        "\"SASL\"",
        "\"SIEVE\"",
        "\"STARTTLS\"",
        "\"VERSION\"",
        "\"NOTIFY\"",
    ];
    any(names.map(|name| begins_with(bytes, name.as_bytes())))
}

fn is_irc(bytes: &[u8]) -> Option<bool> {
    let commands = [&b"CAP LS"[..], b"CAP REQ", b"NICK ", b"NOTICE AUTH "];
    let commands = commands.map(|command| begins_with(bytes, command));
    any([is_irc_notice(bytes), any(commands)])
}

/// An IRC server's notice before anything else.
fn is_irc_notice(bytes: &[u8]) -> Option<bool> {
    if bytes.first() != Some(&b':') {
        return Some(false);
    }
    let line = bytes.get(..MAX_LINE).unwrap_or(bytes);
    let mut words = line.split_inclusive(|&byte| byte == b' ').skip(1);
    match words.next() {
        Some(b"NOTICE " | b"CAP ") => Some(true),
        Some(word) if word.ends_with(b" ") => Some(false),
        _ if bytes.len() < MAX_LINE && !bytes.contains(&b'\n') => None,
        _ => Some(false),
    }
}
