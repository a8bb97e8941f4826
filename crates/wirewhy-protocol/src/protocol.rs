//! What is registered of a protocol.

use crate::parser::Parser;
use crate::types::{AppProtocol, Role, Transport};
use crate::upgrade::Dialect;

/// A protocol that is recognised by its first bytes, and perhaps read.
#[derive(Debug)]
pub(crate) struct Protocol {
    pub(crate) id: AppProtocol,
    /// What it is called in reports.
    pub(crate) name: &'static str,
    pub(crate) transports: &'static [Transport],
    /// The end that sends first, where the protocol defines it.
    pub(crate) first: Option<Role>,
    pub(crate) probe: Probe,
    pub(crate) reading: Reading,
}

impl Protocol {
    /// Whether a parser reads it over UDP.
    pub(crate) fn reads_datagrams(&self) -> bool {
        self.transports.contains(&Transport::Udp)
            && matches!(self.reading, Reading::Parser(_) | Reading::Quic)
    }
}

/// Whether the first bytes of a direction are of a protocol; `None` while more of them could decide either way.
///
/// The answer must not depend on how the bytes arrive: once it is `Some`, more bytes change nothing.
pub(crate) type Probe = fn(Role, &[u8]) -> Option<bool>;

/// How a protocol is read.
#[derive(Debug)]
pub(crate) enum Reading {
    /// By a parser of its own: one per direction over TCP, one per conversation over UDP.
    Parser(fn() -> Box<dyn Parser>),
    /// By the parser of HTTP/1, over TCP alone.
    Http1,
    /// By the parser of TLS records, over TCP alone.
    Tls,
    /// As connections over QUIC, over UDP alone.
    Quic,
    /// As plaintext that may change to TLS.
    StartTls(Dialect),
}

/// Whether `bytes` begin with `pattern`; `None` while they may.
pub(crate) fn begins_with(bytes: &[u8], pattern: &[u8]) -> Option<bool> {
    if bytes.starts_with(pattern) {
        Some(true)
    } else if pattern.starts_with(bytes) {
        None
    } else {
        Some(false)
    }
}

/// Whether any of several tests is true; `None` while one may become so.
pub(crate) fn any(tests: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let mut found = Some(false);
    for test in tests {
        match test {
            Some(true) => return Some(true),
            Some(false) => {}
            None => found = None,
        }
    }
    found
}
