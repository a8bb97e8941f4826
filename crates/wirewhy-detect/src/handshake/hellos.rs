//! What the hellos of both sides show together: what a client demands and the server lacks, what was changed on the way, and a
//! group that is too weak.

use wirewhy_flow::Side;
use wirewhy_protocol::{
    Alert, AlertDescription, ExtensionType, HandshakeType, ProtocolVersion, ServerHello,
};

use super::{End, Handshake};
use crate::Limits;

/// What a client can demand of a server's hello.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Demand {
    /// The renegotiation information (RFC 5746).
    Renegotiation,
    /// The extended master secret (RFC 7627).
    MasterSecret,
}

/// What in a ServerHello shows that one of the hellos was changed on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rewritten {
    /// The server speaks a newer version, which the client had offered (RFC 8446 section 4.1.3), and chose this one.
    Version(ProtocolVersion),
    /// It returns another session id than the client sent (RFC 8446 section 4.1.3).
    SessionId,
}

impl Handshake<'_> {
    /// The client's alert with one of these descriptions right behind the server's first flight.
    fn refusal(&self, descriptions: &[AlertDescription]) -> Option<Alert> {
        let End::Alert {
            from: Side::Client,
            alert,
        } = self.end
        else {
            return None;
        };
        let client = &self.tls.client;
        let answered = client.sent(HandshakeType::CLIENT_KEY_EXCHANGE) || client.finished.is_some();
        let fits = alert
            .description
            .is_some_and(|description| descriptions.contains(&description));
        (fits && !answered && self.tls.server_hello.is_some()).then_some(alert)
    }

    /// What the client offered and the server's hello lacks, where the client ended the handshake behind that hello with the
    /// alert that libraries send for it.
    pub(crate) fn demand(&self) -> Option<Demand> {
        self.refusal(&[AlertDescription::HANDSHAKE_FAILURE])?;
        let (client, server) = self.hellos()?;
        if server.version() > ProtocolVersion::TLS1_2 {
            return None;
        }
        let lacks = |kind| server.extension(kind).is_none();
        let master = ExtensionType::EXTENDED_MASTER_SECRET;
        if client.signals_renegotiation() && lacks(ExtensionType::RENEGOTIATION_INFO) {
            Some(Demand::Renegotiation)
        } else if client.extension(master).is_some() && lacks(master) {
            Some(Demand::MasterSecret)
        } else {
            None
        }
    }

    /// What shows that a hello was changed on the way.
    pub(crate) fn rewritten(&self) -> Option<Rewritten> {
        let (client, server) = self.hellos()?;
        let version = server.version();
        if version == ProtocolVersion::TLS1_3 {
            let differs = !client.is_ssl2 && server.session_id() != client.session_id();
            return differs.then_some(Rewritten::SessionId);
        }
        let newest = client.versions().into_iter().max()?;
        let below = match server.downgrade_sentinel()? {
            ProtocolVersion::TLS1_2 => newest >= ProtocolVersion::TLS1_3,
            _ => newest >= ProtocolVersion::TLS1_2 && version < ProtocolVersion::TLS1_2,
        };
        (below && version < newest).then_some(Rewritten::Version(version))
    }

    /// The bits of the server's Diffie-Hellman group, where they are too few.
    pub(crate) fn weak_exchange(&self, limits: &Limits) -> Option<u32> {
        self.tls.prime_bits.filter(|&bits| bits < limits.group_bits)
    }

    /// Whether the client ended the handshake over the server's Diffie-Hellman group, as far as its alert tells.
    pub(crate) fn refused_exchange(&self, limits: &Limits) -> Option<Alert> {
        self.weak_exchange(limits)?;
        self.refusal(&[
            AlertDescription::HANDSHAKE_FAILURE,
            AlertDescription::INSUFFICIENT_SECURITY,
            AlertDescription::ILLEGAL_PARAMETER,
        ])
    }

    fn hellos(&self) -> Option<(&wirewhy_protocol::ClientHello, &ServerHello)> {
        let tls = self.tls;
        Some((tls.client_hello.as_deref()?, tls.server_hello.as_deref()?))
    }
}
