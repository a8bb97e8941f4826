//! What a service says when it refuses a session.

use crate::types::{AppProtocol, Mark};

/// A service's refusal of a session, or its word that it ends one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The protocol in which it is said.
    pub protocol: AppProtocol,
    /// The code as the protocol has it: a SQLSTATE, a number, a keyword. As it was on the wire: hostile, cut at
    /// [`Refusal::MAX_CODE`] bytes; empty where the protocol gave none.
    pub code: Box<str>,
    /// What the service adds in words, cut at [`Refusal::MAX_TEXT`] bytes: hostile text.
    pub message: Option<Box<str>>,
    /// Where it was said.
    pub mark: Mark,
    /// Whether the client was accepted before: the service ends a session that was going on.
    pub accepted_before: bool,
}

crate::compact!(Refusal {
    protocol,
    code,
    message,
    mark,
    accepted_before
});

impl Refusal {
    /// The most bytes kept of a code.
    pub const MAX_CODE: usize = 64;

    /// The most bytes kept of a message.
    pub const MAX_TEXT: usize = 256;

    /// A refusal before the client was accepted; `message` may be empty.
    pub(crate) fn new(protocol: AppProtocol, code: &[u8], message: &[u8], mark: Mark) -> Refusal {
        let message = kept(message.trim_ascii(), Refusal::MAX_TEXT);
        Refusal {
            protocol,
            code: kept(code, Refusal::MAX_CODE),
            message: (!message.is_empty()).then_some(message),
            mark,
            accepted_before: false,
        }
    }

    /// One whose code is a number.
    pub(crate) fn numbered(
        protocol: AppProtocol,
        code: impl Into<i64>,
        message: &[u8],
        mark: Mark,
    ) -> Refusal {
        let code: i64 = code.into();
        Refusal::new(protocol, code.to_string().as_bytes(), message, mark)
    }
}

/// A copy of no more than so many bytes.
fn kept(bytes: &[u8], most: usize) -> Box<str> {
    let kept = bytes.get(..most).unwrap_or(bytes);
    String::from_utf8_lossy(kept).into()
}
