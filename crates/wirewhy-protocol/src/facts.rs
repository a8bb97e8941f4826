//! The facts a conversation yields: plain, owned, comparable.

use crate::http_facts::{Awaiting, HttpFacts};
use crate::types::{AppProtocol, Framing, Unfinished};
use crate::{DnsFacts, DtlsFacts, FtpFacts, QuicFacts, Refusal, SshFacts, TlsFacts, Upgrade};

/// What the application bytes of both directions of a connection show.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AppFacts {
    /// The client's direction.
    pub client: SideFacts,
    /// The server's direction.
    pub server: SideFacts,
    /// HTTP requests and responses; all zero and `None` where none were read.
    pub http: HttpFacts,
    /// The oldest complete request without the start of a final response. `None` too where the answers cannot be read.
    pub awaiting: Option<Awaiting>,
    /// How the connection changed to TLS, or was to; `None` where neither side mentioned it.
    pub upgrade: Option<Box<Upgrade>>,
    /// The words with which a service refused the session, or ended it; `None` where it accepted the client later.
    pub refusal: Option<Box<Refusal>>,
    /// What was seen of SSH; `None` where neither side sent any.
    pub ssh: Option<Box<SshFacts>>,
    /// DNS messages; `None` where there were none.
    pub dns: Option<Box<DnsFacts>>,
    /// What the control connection of FTP shows, decrypted where it could be; `None` where it is none.
    pub ftp: Option<Box<FtpFacts>>,
    /// What was seen of QUIC; `None` where it is no connection over QUIC.
    pub quic: Option<Box<QuicFacts>>,
    /// What was seen of DTLS; `None` where neither side sent any.
    pub dtls: Option<Box<DtlsFacts>>,
    /// What was seen of TLS, that of QUIC included; `None` where neither side sent any.
    pub tls: Option<Box<TlsFacts>>,
}

crate::compact!(AppFacts {
    client,
    server,
    http,
    awaiting,
    upgrade,
    refusal,
    ssh,
    dns,
    ftp,
    quic,
    dtls,
    tls,
});

crate::compact!(declined SshFacts, DnsFacts, FtpFacts, QuicFacts, DtlsFacts);

/// What the application bytes of one direction show.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SideFacts {
    /// Whether it begins with readable text: what the first bytes say is not kept, for they may be a password.
    pub begins_with_text: bool,
    /// The protocol they are recognised as; `None` while there are too few of them.
    pub protocol: Option<AppProtocol>,
    /// The protocol inside another one that ended: after HTTP's CONNECT or Upgrade, SOCKS, STARTTLS, or the PROXY prefix.
    pub inner: Option<AppProtocol>,
    /// Where in its protocol's framing the direction stands: where it closed, else at the last byte seen.
    pub framing: Framing,
    /// Whether the side has closed its stream (FIN).
    pub closed: bool,
}

crate::compact!(SideFacts {
    begins_with_text,
    protocol,
    inner,
    framing,
    closed
});

impl SideFacts {
    /// What the side speaks once a PROXY prefix, which only names the client, is passed over; `None` while it is not known.
    #[must_use]
    pub fn app_protocol(&self) -> Option<AppProtocol> {
        match self.protocol {
            Some(AppProtocol::ProxyProtocol) => self.inner,
            protocol => protocol,
        }
    }

    /// Whether the side came to speak TLS, from the beginning or inside another protocol.
    #[must_use]
    pub fn uses_tls(&self) -> bool {
        let last = self.inner.or(self.protocol);
        matches!(last, Some(AppProtocol::Tls | AppProtocol::TlsInTds))
    }

    /// What the side had begun and not finished when it closed its stream.
    #[must_use]
    pub fn truncated(&self) -> Option<&Unfinished> {
        match &self.framing {
            Framing::Inside(unfinished) if self.closed => Some(unfinished),
            _ => None,
        }
    }
}
