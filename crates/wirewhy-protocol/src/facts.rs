//! The facts a conversation yields: plain, owned, comparable.

use crate::http_facts::{Awaiting, HttpFacts};
use crate::types::{Framing, Opening, Speech, Unfinished};
use crate::{TlsFacts, Upgrade};

/// What both directions of a connection said.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ConversationFacts {
    /// The client's direction.
    pub client: SideFacts,
    /// The server's direction.
    pub server: SideFacts,
    /// HTTP requests and responses; all zero and `None` where none were read.
    pub http: HttpFacts,
    /// The oldest complete request without the start of a final response. `None` too where the answers cannot be read.
    pub awaiting: Option<Awaiting>,
    /// How the connection changed to TLS, or was to; `None` where nobody spoke of it.
    pub upgrade: Option<Box<Upgrade>>,
    /// What was seen of TLS; `None` where neither side spoke it.
    pub tls: Option<Box<TlsFacts>>,
}

/// What one direction said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SideFacts {
    /// The first bytes of the direction.
    pub opening: Opening,
    /// What they plainly are; `None` while there are too few to tell.
    pub speaks: Option<Speech>,
    /// What the side speaks since HTTP handed the connection over (CONNECT, Upgrade).
    pub inner: Option<Speech>,
    /// Where in its protocol's framing the direction stands: where it closed, else at the last byte seen.
    pub framing: Framing,
    /// Whether the side has closed its stream (FIN).
    pub closed: bool,
}

impl SideFacts {
    /// What the side had begun and not finished when it closed its stream.
    #[must_use]
    pub fn truncated(&self) -> Option<&Unfinished> {
        match &self.framing {
            Framing::Inside(unfinished) if self.closed => Some(unfinished),
            _ => None,
        }
    }
}
