//! The facts of SSH.

use crate::session::Refusal;
use crate::types::{Mark, Role};

/// What was seen of SSH before its encryption began.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SshFacts {
    /// The client's side.
    pub client: SshSide,
    /// The server's side.
    pub server: SshSide,
    /// The lists in which both sides' offers have no name in common, in the order of the message; empty too where one of the
    /// offers was not seen.
    pub unshared: Vec<Unshared>,
}

impl SshFacts {
    pub(crate) fn side_mut(&mut self, role: Role) -> &mut SshSide {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }
}

/// What one side sent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SshSide {
    /// Its identification string, as on the wire: hostile text.
    pub identification: Option<Box<str>>,
    /// Its SSH_MSG_KEXINIT.
    pub offered: Option<Mark>,
    /// Its SSH_MSG_NEWKEYS: what follows is encrypted.
    pub new_keys: Option<Mark>,
    /// A client's SSH_MSG_DISCONNECT; a server's is a refusal of the session.
    pub disconnect: Option<Refusal>,
}

/// A list of algorithms without a common name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unshared {
    /// Which list.
    pub list: SshList,
    /// The client's names, separated by commas, cut at [`Unshared::MAX_TEXT`] bytes: hostile text.
    pub client: Box<str>,
    /// The server's names, likewise.
    pub server: Box<str>,
}

impl Unshared {
    /// The most bytes kept of a side's names.
    pub const MAX_TEXT: usize = 1024;
}

/// The lists of SSH_MSG_KEXINIT that must have a name in common (RFC 4253 section 7.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SshList {
    /// Key exchange methods.
    KeyExchange,
    /// Algorithms of host keys.
    HostKey,
    /// Ciphers towards the server.
    CipherToServer,
    /// Ciphers towards the client.
    CipherToClient,
    /// MAC algorithms towards the server.
    MacToServer,
    /// MAC algorithms towards the client.
    MacToClient,
    /// Compression towards the server.
    CompressionToServer,
    /// Compression towards the client.
    CompressionToClient,
}

impl SshList {
    /// Every list, in the order of the message.
    pub const ALL: [SshList; 8] = [
        SshList::KeyExchange,
        SshList::HostKey,
        SshList::CipherToServer,
        SshList::CipherToClient,
        SshList::MacToServer,
        SshList::MacToClient,
        SshList::CompressionToServer,
        SshList::CompressionToClient,
    ];

    /// What it is called in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SshList::KeyExchange => "key exchange",
            SshList::HostKey => "host key",
            SshList::CipherToServer => "cipher to the server",
            SshList::CipherToClient => "cipher to the client",
            SshList::MacToServer => "MAC to the server",
            SshList::MacToClient => "MAC to the client",
            SshList::CompressionToServer => "compression to the server",
            SshList::CompressionToClient => "compression to the client",
        }
    }
}
