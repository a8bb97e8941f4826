//! The two sides of a connection.

/// One side of a connection: the one that opened it, or the one that was asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// The side that sent the SYN.
    Client,
    /// The side the SYN was sent to.
    Server,
}

wirewhy_protocol::compact!(Side = { 0 Client, 1 Server });

impl Side {
    /// The opposite side.
    #[must_use]
    pub fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }

    /// The word used in output: `client` or `server`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Server => "server",
        }
    }
}
