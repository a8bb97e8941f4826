//! The PROXY protocol, versions 1 and 2: a prefix that names the client behind a proxy.

use crate::parser::{Parser, ReaderPosition};
use crate::protocol::{Protocol, Reading};
use crate::shared_state::SharedState;
use crate::types::{AppProtocol, Framing, Input, Role, Step, Transport, Unreadable};

pub(crate) static PROXY: Protocol = Protocol {
    id: AppProtocol::ProxyProtocol,
    name: "PROXY protocol",
    transports: &[Transport::Tcp],
    first: Some(Role::Client),
    probe: |_, bytes| match prefix(bytes) {
        Prefix::Is(_) => Some(true),
        Prefix::Open => None,
        Prefix::Not => Some(false),
    },
    reading: Reading::Parser(|| Box::new(Proxied)),
};

/// Passes over the prefix.
#[derive(Clone, Debug)]
struct Proxied;

impl Parser for Proxied {
    fn read(&mut self, input: Input<'_>, _shared: &mut SharedState) -> Step {
        match prefix(input.bytes) {
            Prefix::Is(length) if input.bytes.len() >= length => Step::Ends(input.after(length)),
            Prefix::Is(_) | Prefix::Open => Step::More,
            Prefix::Not => Step::Unreadable(Unreadable::Malformed),
        }
    }

    fn framing(&self, position: ReaderPosition, _shared: &SharedState) -> Framing {
        match position.pending {
            true => Framing::Unknown(Unreadable::Unframed),
            false => Framing::Boundary,
        }
    }
}

/// What a client's first bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Prefix {
    /// So many bytes of prefix.
    Is(usize),
    /// More bytes are needed.
    Open,
    Not,
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest line of version 1.
const MAX_LINE: usize = 107;

/// The prefix that `bytes` begin with.
fn prefix(bytes: &[u8]) -> Prefix {
    let word = b"PROXY ";
    if bytes.starts_with(word) {
        return match bytes.iter().take(MAX_LINE).position(|&byte| byte == b'\n') {
            Some(end) => Prefix::Is(end + 1),
            None if bytes.len() < MAX_LINE => Prefix::Open,
            None => Prefix::Not,
        };
    }
    if let Some(rest) = bytes.strip_prefix(SIGNATURE) {
        return match *rest {
            [version, ..] if version >> 4 != 2 => Prefix::Not,
            [_, _, high, low, ..] => Prefix::Is(16 + usize::from(u16::from_be_bytes([high, low]))),
            _ => Prefix::Open,
        };
    }
    if word.starts_with(bytes) || SIGNATURE.starts_with(bytes) {
        Prefix::Open
    } else {
        Prefix::Not
    }
}
