//! What the first bytes of a direction plainly are.

use crate::upgrade::proxy::{self, Prefix};
use crate::upgrade::{ldap, mysql, postgresql, rdp, socks, tds};
use crate::{http2, records};

/// A protocol, as recognised from the first bytes of one direction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Speech {
    /// An HTTP/1 request line.
    Http1Request,
    /// An HTTP/1 status line.
    Http1Response,
    /// A client's HTTP/2 connection preface.
    Http2Preface,
    /// An HTTP/2 SETTINGS frame, with which a server begins.
    Http2Settings,
    /// A TLS record.
    Tls,
    /// An SSH identification string.
    Ssh,
    /// An SMTP greeting or a client's EHLO.
    Smtp,
    /// An FTP greeting.
    Ftp,
    /// A greeting with which SMTP and FTP servers alike begin.
    SmtpOrFtp,
    /// A POP3 greeting.
    Pop3,
    /// An IMAP greeting.
    Imap,
    /// An NNTP greeting.
    Nntp,
    /// The capabilities with which a ManageSieve server begins.
    ManageSieve,
    /// An IRC client's first command, or a server's notice.
    Irc,
    /// The start of an XML stream.
    Xmpp,
    /// An LDAP message.
    Ldap,
    /// A PostgreSQL client's request for encryption, and the answer to it.
    PostgreSql,
    /// A MySQL or MariaDB greeting.
    MySql,
    /// An RDP connection request, and the answer to it.
    Rdp,
    /// A PRELOGIN message of Microsoft SQL Server, and the answer to it.
    Tds,
    /// A SOCKS greeting, and the answer to it.
    Socks,
    /// The prefix of the PROXY protocol.
    ProxyProtocol,
    /// None of these.
    Unknown,
}

/// How much of a first line is looked at.
const MAX_LINE: usize = 256;

/// Methods that begin a request: RFC 9110, RFC 5789, WebDAV (RFC 4918, RFC 3253) and UPnP.
const METHODS: [&str; 32] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "CONNECT",
    "OPTIONS",
    "TRACE",
    "PATCH",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "CHECKOUT",
    "CHECKIN",
    "MERGE",
    "MKACTIVITY",
    "VERSION-CONTROL",
    "SEARCH",
    "ACL",
    "BIND",
    "PURGE",
    "QUERY",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "NOTIFY",
    "M-SEARCH",
    "SOURCE",
];

/// What `bytes` begin; `None` while more of them could decide otherwise, and never where `all` there will be is given.
///
/// Decides by the first bytes only, so the answer is the same however they arrive. No bytes are nothing: `None`.
pub(crate) fn recognise(bytes: &[u8], all: bool) -> Option<Speech> {
    let &first = bytes.first()?;
    let found = match first {
        20..=24 => tls(bytes),
        0x80.. => ssl2(bytes),
        0 => either(
            http2_settings(bytes),
            of(postgresql::is_request(bytes), Speech::PostgreSql),
        ),
        3 => of(rdp::is_request(bytes), Speech::Rdp),
        4 | 5 => of(socks::is_request(bytes), Speech::Socks),
        0x12 => of(tds::is_request(bytes), Speech::Tds),
        0x30 => either(greeting(bytes), of(ldap::is_message(bytes), Speech::Ldap)),
        b'0'..=b'9' | b'+' | b'*' => greeting(bytes),
        b'\r' | b'\n' => either(empty_lines(bytes), proxied(bytes)),
        b'P' => either(words(bytes), proxied(bytes)),
        b'"' => sieve(bytes),
        b':' => notice(bytes),
        b'<' => stream(bytes),
        _ => words(bytes),
    };
    // The first byte of a MySQL greeting is the lowest of its length: any.
    let found = either(found, of(mysql::is_greeting(bytes), Speech::MySql));
    match found {
        Guess::Is(speech) => Some(speech),
        Guess::Open if all => Some(Speech::Unknown),
        Guess::Open => None,
    }
}

enum Guess {
    Is(Speech),
    /// More bytes are needed.
    Open,
}

impl Guess {
    fn no() -> Guess {
        Guess::Is(Speech::Unknown)
    }
}

/// Both guesses: what is known, else what may be.
fn either(one: Guess, other: Guess) -> Guess {
    match (one, other) {
        (Guess::Is(Speech::Unknown), other) => other,
        (Guess::Open, found @ Guess::Is(speech)) if speech != Speech::Unknown => found,
        (one, _) => one,
    }
}

/// What a test says that may not be decided yet.
fn of(test: Option<bool>, speech: Speech) -> Guess {
    match test {
        Some(true) => Guess::Is(speech),
        Some(false) => Guess::no(),
        None => Guess::Open,
    }
}

fn proxied(bytes: &[u8]) -> Guess {
    match proxy::prefix(bytes) {
        Prefix::Is(_) => Guess::Is(Speech::ProxyProtocol),
        Prefix::Open => Guess::Open,
        Prefix::Not => Guess::no(),
    }
}

/// What begins with one of several words.
fn one_of(bytes: &[u8], words: &[&str], speech: Speech) -> Guess {
    words
        .iter()
        .map(|word| compare(bytes, word.as_bytes(), speech))
        .fold(Guess::no(), either)
}

/// The capabilities of RFC 5804 section 1.7; a server names itself first, or nearly so.
fn sieve(bytes: &[u8]) -> Guess {
    let names = [
        "\"IMPLEMENTATION\"",
        "\"SASL\"",
        "\"SIEVE\"",
        "\"STARTTLS\"",
        "\"VERSION\"",
        "\"NOTIFY\"",
    ];
    one_of(bytes, &names, Speech::ManageSieve)
}

/// The stream header of RFC 6120 section 4.7, behind an XML declaration perhaps.
fn stream(bytes: &[u8]) -> Guess {
    let bytes = bytes.get(..MAX_LINE).unwrap_or(bytes);
    let rest = match compare(bytes, b"<?xml", Speech::Xmpp) {
        Guess::Is(Speech::Xmpp) => {
            let Some(end) = bytes.iter().position(|&byte| byte == b'>') else {
                return if bytes.len() < MAX_LINE {
                    Guess::Open
                } else {
                    Guess::no()
                };
            };
            bytes.get(end + 1..).unwrap_or(&[]).trim_ascii_start()
        }
        Guess::Is(_) => bytes,
        Guess::Open => return Guess::Open,
    };
    if rest.is_empty() && bytes.len() < MAX_LINE {
        return Guess::Open;
    }
    compare(rest, b"<stream:stream", Speech::Xmpp)
}

/// An IRC server's notice before anything else.
fn notice(bytes: &[u8]) -> Guess {
    let line = bytes.get(..MAX_LINE).unwrap_or(bytes);
    let mut words = line.split_inclusive(|&byte| byte == b' ').skip(1);
    match words.next() {
        Some(b"NOTICE " | b"CAP ") => Guess::Is(Speech::Irc),
        Some(word) if word.ends_with(b" ") => Guess::no(),
        _ if bytes.len() < MAX_LINE && !bytes.contains(&b'\n') => Guess::Open,
        _ => Guess::no(),
    }
}

/// How far `bytes` agree with `pattern`.
fn compare(bytes: &[u8], pattern: &[u8], speech: Speech) -> Guess {
    if bytes.starts_with(pattern) {
        Guess::Is(speech)
    } else if pattern.starts_with(bytes) {
        Guess::Open
    } else {
        Guess::no()
    }
}

fn tls(bytes: &[u8]) -> Guess {
    if bytes.get(1).is_some_and(|&major| major != 0x03) {
        return Guess::no();
    }
    match bytes.split_first_chunk() {
        // No direction begins with an empty record, and versions end at 0x0304.
        Some((header, _)) => match records::announced(*header) {
            Some(1..) if header[2] <= 0x04 => Guess::Is(Speech::Tls),
            _ => Guess::no(),
        },
        None => Guess::Open,
    }
}

/// A ClientHello in the format of SSL 2.0.
fn ssl2(bytes: &[u8]) -> Guess {
    of(records::is_ssl2_hello(bytes), Speech::Tls)
}

fn http2_settings(bytes: &[u8]) -> Guess {
    match bytes.split_first_chunk() {
        Some((header, _)) if http2::is_server_preface(*header) => Guess::Is(Speech::Http2Settings),
        Some(_) => Guess::no(),
        None => Guess::Open,
    }
}

/// Empty lines, which servers ignore before a request line (RFC 9112 section 2.2).
fn empty_lines(bytes: &[u8]) -> Guess {
    let lines = bytes
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'));
    match bytes.get(lines.count()..) {
        Some([]) if bytes.len() <= 4 => Guess::Open,
        Some([]) | None => Guess::no(),
        Some(rest) => request_line(rest),
    }
}

/// A server that speaks first.
fn greeting(bytes: &[u8]) -> Guess {
    let line = match bytes.iter().take(MAX_LINE).position(|&byte| byte == b'\n') {
        Some(end) => bytes.get(..end).unwrap_or(bytes),
        None if bytes.len() >= MAX_LINE => bytes.get(..MAX_LINE).unwrap_or(bytes),
        None => return Guess::Open,
    };
    let upper = line.to_ascii_uppercase();
    if upper.starts_with(b"+OK") {
        return Guess::Is(Speech::Pop3);
    }
    if [&b"* OK"[..], b"* PREAUTH", b"* BYE"]
        .iter()
        .any(|start| upper.starts_with(start))
    {
        return Guess::Is(Speech::Imap);
    }
    // RFC 3977 section 5.1: posting allowed, or not.
    if upper.starts_with(b"200 ") || upper.starts_with(b"201 ") {
        return Guess::Is(Speech::Nntp);
    }
    // 220 ready, 421 not available, 554 no service (RFC 5321 section 3.1); 120 and 421 of FTP (RFC 959 section 5.4).
    let code = upper.first_chunk::<3>().map(|code| &code[..]);
    let after = upper.get(3);
    if !matches!(code, Some(b"220" | b"421" | b"554" | b"120"))
        || !matches!(after, Some(b' ' | b'-'))
    {
        return Guess::no();
    }
    let says = |word: &[u8]| upper.windows(word.len()).any(|window| window == word);
    Guess::Is(match (says(b"SMTP"), says(b"FTP")) {
        (true, false) => Speech::Smtp,
        (false, true) => Speech::Ftp,
        _ => Speech::SmtpOrFtp,
    })
}

/// A protocol that begins with a word.
fn words(bytes: &[u8]) -> Guess {
    let fixed: [(&[u8], Speech); 9] = [
        (b"HTTP/1.", Speech::Http1Response),
        (b"SSH-", Speech::Ssh),
        (
            http2::PREFACE.get(..14).unwrap_or(http2::PREFACE),
            Speech::Http2Preface,
        ),
        (b"EHLO ", Speech::Smtp),
        (b"HELO ", Speech::Smtp),
        (b"CAP LS", Speech::Irc),
        (b"CAP REQ", Speech::Irc),
        (b"NICK ", Speech::Irc),
        (b"NOTICE AUTH ", Speech::Irc),
    ];
    let mut open = false;
    for (pattern, speech) in fixed {
        match compare(bytes, pattern, speech) {
            Guess::Is(Speech::Unknown) => {}
            Guess::Open => open = true,
            found @ Guess::Is(_) => return found,
        }
    }
    match request_line(bytes) {
        Guess::Is(Speech::Unknown) if open => Guess::Open,
        guess => guess,
    }
}

/// A request line: a method, then a target in one of the forms of RFC 9112 section 3.2.
fn request_line(bytes: &[u8]) -> Guess {
    let Some(space) = bytes.iter().position(|&byte| byte == b' ') else {
        let begins = METHODS
            .iter()
            .any(|method| method.as_bytes().starts_with(bytes));
        return if begins { Guess::Open } else { Guess::no() };
    };
    let (method, rest) = bytes.split_at_checked(space).unwrap_or((bytes, &[]));
    if !METHODS.iter().any(|known| known.as_bytes() == method) {
        return Guess::no();
    }
    // SIP and RTSP share methods, key-value stores share words; none has a target that begins like these.
    let target = rest.trim_ascii_start();
    if method == b"CONNECT" && !target.is_empty() {
        return Guess::Is(Speech::Http1Request);
    }
    let start = target.get(..4).unwrap_or(target).to_ascii_lowercase();
    match start.first() {
        None => Guess::Open,
        Some(b'/' | b'*') => Guess::Is(Speech::Http1Request),
        Some(_) => compare(&start, b"http", Speech::Http1Request),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_of_every_protocol() {
        let table: [(&[u8], Speech); 31] = [
            (b"GET / HTTP/1.1\r\n", Speech::Http1Request),
            (b"OPTIONS * HTTP/1.1\r\n", Speech::Http1Request),
            (b"GET HTTP://a/ HTTP/1.1\r\n", Speech::Http1Request),
            (b"CONNECT a:443 HTTP/1.1\r\n", Speech::Http1Request),
            (b"\r\nPOST /x HTTP/1.1\r\n", Speech::Http1Request),
            (b"PROPFIND /dav HTTP/1.1\r\n", Speech::Http1Request),
            (b"OPTIONS sip:a@b SIP/2.0\r\n", Speech::Unknown),
            (b"OPTIONS rtsp://a RTSP/1.0\r\n", Speech::Unknown),
            (b"GET key\r\n", Speech::Unknown),
            (b"get / HTTP/1.1\r\n", Speech::Unknown),
            (b"\r\n\r\n\r\n", Speech::Unknown),
            (b"HTTP/1.0 200 OK\r\n", Speech::Http1Response),
            (b"HTTP/2 200\r\n", Speech::Unknown),
            (http2::PREFACE, Speech::Http2Preface),
            (b"PROPERTY", Speech::Unknown),
            (b"\0\0\x12\x04\0\0\0\0\0", Speech::Http2Settings),
            (b"\0\0\x13\x04\0\0\0\0\0", Speech::Unknown),
            (b"\x16\x03\x01\x02\x00\x01", Speech::Tls),
            (b"\x15\x03\x00\x00\x02\x02\x28", Speech::Tls),
            (b"\x16\x03\x05\x02\x00\x01", Speech::Unknown),
            (b"\x16\x03\x01\x00\x00", Speech::Unknown),
            (b"SSH-2.0-x\r\n", Speech::Ssh),
            (b"220 a.example ESMTP ready\r\n", Speech::Smtp),
            (b"220-vsFTPd 3.0\r\n", Speech::Ftp),
            (b"220 welcome\r\n", Speech::SmtpOrFtp),
            (b"2200 no\r\n", Speech::Unknown),
            (b"421 too many\r\n", Speech::SmtpOrFtp),
            (b"+OK ready\r\n", Speech::Pop3),
            (b"* OK [CAPABILITY IMAP4rev1]\r\n", Speech::Imap),
            (b"*3\r\n$3\r\nSET\r\n", Speech::Unknown),
            (b"EHLO a\r\n", Speech::Smtp),
        ];
        for (bytes, speech) in table {
            let shown = String::from_utf8_lossy(bytes);
            assert_eq!(recognise(bytes, false), Some(speech), "{shown:?}");
            // Fewer bytes tell the same or nothing, and once they tell, more of them change nothing.
            let told: Vec<_> = (0..bytes.len())
                .filter_map(|cut| recognise(&bytes[..cut], false))
                .collect();
            assert!(
                told.iter().all(|&early| early == speech),
                "{shown:?}: {told:?}"
            );
        }
    }

    #[test]
    fn a_greeting_without_end_is_decided_all_the_same() {
        let mut endless = b"220 ".to_vec();
        endless.resize(MAX_LINE - 1, b'x');
        assert_eq!(recognise(&endless, false), None);
        assert_eq!(recognise(&endless, true), Some(Speech::Unknown));
        endless.push(b'x');
        assert_eq!(recognise(&endless, false), Some(Speech::SmtpOrFtp));
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(recognise(b"", false), None);
        assert_eq!(recognise(b"", true), None);
    }
}
