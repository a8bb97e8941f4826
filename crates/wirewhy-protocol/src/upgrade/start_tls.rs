//! The one interface of the plaintext protocols that can change to TLS, and what their readers share.

use std::fmt::Debug;

use super::facts::{Upgrade, UpgradeProtocol};
use crate::session::Refusal;
use crate::types::{AppProtocol, Mark, Role};

/// The longest line or message looked at.
pub(super) const MAX_MESSAGE: usize = 8 * 1024;

/// The most bytes kept of an answer.
pub(super) const MAX_TEXT: usize = 256;

/// Reads what both directions send before TLS begins, or before a session without TLS has begun; each direction's bytes in
/// order.
pub(crate) trait StartTls: CloneStartTls + Debug + Send + Sync {
    /// Reads the next bytes of the client.
    fn client(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome;

    /// Reads the next bytes of the server.
    fn server(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome;

    /// Whether a direction must not be read before the other one was.
    fn waits(&self, _role: Role) -> bool {
        false
    }

    /// Whether a client's message ends the session, or asks only for what the server can do.
    fn is_small_talk(&self, _message: &[u8]) -> bool {
        false
    }

    /// The words with which the service refused the session, where it did not accept the client later.
    fn refusal(&self) -> Option<&Refusal> {
        None
    }

    /// What reads the session inside TLS, where its first bytes there do not show which protocol it is.
    fn inside(&self) -> Option<Box<dyn StartTls>> {
        None
    }

    /// The other direction was recognised as `protocol`, which may be more specific.
    fn learn(&mut self, _protocol: AppProtocol, _facts: &mut Upgrade) {}
}

/// How a protocol changes to TLS.
#[derive(Debug)]
pub(crate) struct Dialect {
    pub(crate) protocol: UpgradeProtocol,
    /// Whether a server's first byte is that of an answer to the client's first message; never where the server sends first.
    pub(crate) answers: fn(u8) -> bool,
    pub(crate) reader: fn() -> Box<dyn StartTls>,
}

/// What came of a direction's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReadOutcome {
    /// So many of them were read.
    Used(usize),
    /// It needs the same bytes again, and more of them.
    More,
    /// It needs the same bytes again once the other direction has gone on.
    Wait,
    /// After so many bytes another protocol begins.
    Over(usize),
    /// No change to TLS can follow.
    Done,
}

/// Copies a reader whose type is not known.
pub(crate) trait CloneStartTls {
    fn clone_start_tls(&self) -> Box<dyn StartTls>;
}

impl<T: StartTls + Clone + 'static> CloneStartTls for T {
    fn clone_start_tls(&self) -> Box<dyn StartTls> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn StartTls> {
    fn clone(&self) -> Box<dyn StartTls> {
        self.as_ref().clone_start_tls()
    }
}

/// A bounded copy.
pub(super) fn text(bytes: &[u8]) -> Box<str> {
    let kept = bytes.get(..MAX_TEXT).unwrap_or(bytes);
    String::from_utf8_lossy(kept).into()
}

/// The message of this length that `bytes` begin with, once all of it is there.
pub(super) fn whole(bytes: &[u8], length: usize) -> Result<&[u8], ReadOutcome> {
    if length > MAX_MESSAGE {
        return Err(ReadOutcome::Done);
    }
    bytes.get(..length).ok_or(ReadOutcome::More)
}
