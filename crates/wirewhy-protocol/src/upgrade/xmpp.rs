//! XMPP (RFC 6120 section 5): one element asks, one answers.

use super::facts::{Upgrade, UpgradeProtocol, UpgradeVerdict};
use super::start_tls::{Dialect, MAX_MESSAGE, ReadOutcome, StartTls, text};
use crate::protocol::{Protocol, Reading, begins_with};
use crate::types::{AppProtocol, Mark, Role, Transport};

/// How far a stream header is searched for.
const MAX_START: usize = 256;

pub(crate) static XMPP: Protocol = Protocol {
    id: AppProtocol::Xmpp,
    name: "XMPP",
    transports: &[Transport::Tcp],
    first: Some(Role::Client),
    probe: |_, bytes| is_stream(bytes),
    reading: Reading::StartTls(Dialect {
        protocol: UpgradeProtocol::Xmpp,
        answers: |_| false,
        reader: || Box::new(Xmpp::default()),
    }),
};

#[derive(Clone, PartialEq, Debug, Default)]
struct Xmpp {
    /// Whether the server's features are being listed, and TLS not yet.
    listing: bool,
}

/// A tag, whitespace and text in front of it passed over: the whole of it, its name, and how many bytes were used.
fn tag(bytes: &[u8]) -> Result<(&[u8], &[u8], usize), ReadOutcome> {
    let Some(start) = bytes.iter().position(|&byte| byte == b'<') else {
        return Err(ReadOutcome::Used(bytes.len()));
    };
    let mut quote = None;
    let inside = bytes.get(start..).unwrap_or(&[]);
    for (index, &byte) in inside.iter().enumerate() {
        match (quote, byte) {
            (Some(mark), _) if mark == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => {
                let tag = inside.get(..=index).unwrap_or(inside);
                return Ok((tag, name(tag), start + index + 1));
            }
            (None, _) => {}
        }
    }
    if inside.len() > MAX_MESSAGE {
        return Err(ReadOutcome::Done);
    }
    Err(if start > 0 {
        ReadOutcome::Used(start)
    } else {
        ReadOutcome::More
    })
}

/// A tag's name without its prefix; an end tag's begins with a slash.
fn name(tag: &[u8]) -> &[u8] {
    let inside = tag.get(1..).unwrap_or(&[]);
    let end = inside.iter().enumerate().position(|(index, &byte)| {
        byte.is_ascii_whitespace() || byte == b'>' || byte == b'/' && index > 0
    });
    let name = inside.get(..end.unwrap_or(inside.len())).unwrap_or(inside);
    match name.iter().position(|&byte| byte == b':') {
        Some(colon) if !name.starts_with(b"/") => name.get(colon + 1..).unwrap_or(name),
        _ => name,
    }
}

/// Whether first bytes are the stream header of RFC 6120 section 4.7, behind an XML declaration perhaps; `None` while they
/// may be.
fn is_stream(bytes: &[u8]) -> Option<bool> {
    let bytes = bytes.get(..MAX_START).unwrap_or(bytes);
    let rest = match begins_with(bytes, b"<?xml") {
        Some(true) => {
            let Some(end) = bytes.iter().position(|&byte| byte == b'>') else {
                return (bytes.len() >= MAX_START).then_some(false);
            };
            bytes.get(end + 1..).unwrap_or(&[]).trim_ascii_start()
        }
        Some(false) => bytes,
        None => return None,
    };
    begins_with(rest, b"<stream:stream")
}

impl StartTls for Xmpp {
    fn client(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome {
        let (_, name, used) = match tag(bytes) {
            Ok(tag) => tag,
            Err(outcome) => return outcome,
        };
        match name {
            b"starttls" => facts.ask(mark),
            // A client that authenticates or sends stanzas in plaintext does not ask any more.
            b"auth" | b"iq" | b"message" | b"presence" => return ReadOutcome::Done,
            _ => {}
        }
        ReadOutcome::Used(used)
    }

    fn server(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome {
        let (tag, name, used) = match tag(bytes) {
            Ok(tag) => tag,
            Err(outcome) => return outcome,
        };
        let asked = facts.verdict == UpgradeVerdict::Unanswered;
        match name {
            b"features" => {
                self.listing = !tag.ends_with(b"/>");
                facts.offered = Some(false);
            }
            b"starttls" if self.listing => facts.offered = Some(true),
            b"required" if self.listing && facts.offered == Some(true) => {}
            b"proceed" if asked => {
                facts.answer(UpgradeVerdict::Accepted, Some(text(tag)), mark);
                return ReadOutcome::Over(used);
            }
            b"failure" | b"error" if asked => {
                facts.answer(UpgradeVerdict::Refused, Some(text(tag)), mark);
            }
            _ if name.starts_with(b"/") && name.ends_with(b"features") => self.listing = false,
            _ => {}
        }
        ReadOutcome::Used(used)
    }

    /// Whether a message ends the stream, or is no element.
    fn is_small_talk(&self, message: &[u8]) -> bool {
        tag(message).map_or(true, |(_, name, _)| name.starts_with(b"/"))
    }
}
