//! The keys of Initial packets.

use crate::quic::ids::{ConnectionId, QuicVersion};
use crate::quic::keys::{Opened, PacketKeys};
use crate::quic::packet::Long;
use crate::types::Role;

/// The keys of Initial packets, of one version and the destination that the client began with.
#[derive(Clone, Debug)]
pub(super) struct InitialKeys {
    pub(super) version: QuicVersion,
    pub(super) origin: ConnectionId,
    client: PacketKeys,
    server: PacketKeys,
}

impl InitialKeys {
    pub(super) fn new(version: QuicVersion, origin: ConnectionId) -> Option<InitialKeys> {
        Some(InitialKeys {
            version,
            origin,
            client: PacketKeys::initial(version, &origin, Role::Client)?,
            server: PacketKeys::initial(version, &origin, Role::Server)?,
        })
    }

    pub(super) fn open(&self, role: Role, long: &Long<'_>, largest: Option<u64>) -> Option<Opened> {
        let keys = match role {
            Role::Client => &self.client,
            Role::Server => &self.server,
        };
        keys.open(long.bytes, long.number_at, largest)
    }
}
