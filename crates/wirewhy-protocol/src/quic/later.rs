//! 0-RTT, Handshake and 1-RTT packets, opened with the secrets of a key log (RFC 9001 sections 5 and 6).

use super::ids::QuicVersion;
use super::keys::{Opened, PacketKeys};
use crate::tls::{CipherSuite, ConnectionSecrets, Secrets, TrafficSecret};
use crate::types::Role;

/// So many 0-RTT or 1-RTT packets in a row that do not open end the trying.
const MOST_FAILED: u8 = 64;

/// For so many of the suites that a client offers its early data are tried.
const MOST_SUITES: usize = 8;

/// The keys of both sides behind their Initial packets.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct LaterKeys {
    early: EarlyKeys,
    client: Keys,
    server: Keys,
    found: bool,
    opened: bool,
    failed: bool,
}

/// The keys of 0-RTT packets. Their suite is that of the session resumed (RFC 8446 section 4.2.11): one of those offered.
#[derive(Clone, PartialEq, Debug, Default)]
struct EarlyKeys {
    found: bool,
    /// For each suite, until a packet shows which it is.
    candidates: Vec<PacketKeys>,
    failed: u8,
}

#[derive(Clone, PartialEq, Debug, Default)]
struct Keys {
    handshake: Option<PacketKeys>,
    application: Option<Application>,
    /// The largest packet numbers that were opened: Handshake; 0-RTT and 1-RTT, which share theirs (RFC 9000 section 12.3).
    largest: [Option<u64>; 2],
    failed: u8,
}

/// 1-RTT keys, which are renewed as the connection goes on.
#[derive(Clone, PartialEq, Debug)]
struct Application {
    current: PacketKeys,
    /// The key phase bit of the packets that they open.
    phase: bool,
    /// The keys before: packets under them may arrive late.
    previous: Option<PacketKeys>,
}

/// A 1-RTT packet that was opened.
pub(super) struct OpenedShort {
    pub(super) opened: Opened,
    /// Whether its keys are new.
    pub(super) updated: bool,
}

impl LaterKeys {
    /// Whether the secret of early data is known.
    pub(super) fn holds_early(&self) -> bool {
        self.early.found
    }

    /// Takes the secret of early data, for a hello that offers these suites.
    pub(super) fn look_up_early(
        &mut self,
        version: QuicVersion,
        suites: impl IntoIterator<Item = CipherSuite>,
        secrets: &ConnectionSecrets,
    ) {
        let Some(secret) = secrets.traffic(TrafficSecret::ClientEarly) else {
            return;
        };
        self.found = true;
        self.early.found = true;
        let keys = |suite| PacketKeys::from_secret(version, suite, secret);
        let keys = suites.into_iter().filter_map(keys).take(MOST_SUITES);
        self.early.candidates = keys.collect();
    }

    /// Opens a 0-RTT packet.
    pub(super) fn open_early(&mut self, packet: &[u8], number_at: usize) -> Option<Opened> {
        let candidates = &mut self.early.candidates;
        if candidates.is_empty() {
            return None;
        }
        let [_, largest] = &mut self.client.largest;
        let open = |keys: &PacketKeys| keys.open(packet, number_at, *largest);
        let opens = |(at, keys): (usize, &PacketKeys)| Some((at, open(keys)?));
        let found = candidates.iter().enumerate().find_map(opens);
        let opened = match found {
            Some((at, opened)) => {
                candidates.swap(0, at);
                candidates.truncate(1);
                *largest = Some(largest.map_or(opened.number, |known| known.max(opened.number)));
                self.early.failed = 0;
                Some(opened)
            }
            None => {
                self.early.failed = self.early.failed.saturating_add(1);
                if self.early.failed >= MOST_FAILED {
                    candidates.clear();
                }
                None
            }
        };
        self.note(opened.is_some());
        opened
    }

    /// Whether a side's 1-RTT packets can be opened, as far as is known.
    pub(super) fn holds_application(&self, role: Role) -> bool {
        self.of(role).application.is_some()
    }

    /// Whether a side's Handshake packets can be opened, as far as is known.
    pub(super) fn holds_handshake(&self, role: Role) -> bool {
        self.of(role).handshake.is_some()
    }

    /// Takes the secrets of the connection that are not known yet.
    pub(super) fn look_up(
        &mut self,
        version: QuicVersion,
        suite: CipherSuite,
        secrets: &ConnectionSecrets,
    ) {
        let keys = |of| {
            let secret = secrets.traffic(of)?;
            PacketKeys::from_secret(version, suite, secret)
        };
        for (side, [handshake, application]) in [
            (
                &mut self.client,
                [
                    TrafficSecret::ClientHandshake,
                    TrafficSecret::ClientApplication,
                ],
            ),
            (
                &mut self.server,
                [
                    TrafficSecret::ServerHandshake,
                    TrafficSecret::ServerApplication,
                ],
            ),
        ] {
            self.found |= secrets.traffic(handshake).is_some();
            self.found |= secrets.traffic(application).is_some();
            if side.handshake.is_none() {
                side.handshake = keys(handshake);
            }
            if side.application.is_none() && side.failed < MOST_FAILED {
                side.application = keys(application).map(|current| Application {
                    current,
                    phase: false,
                    previous: None,
                });
            }
        }
    }

    /// Opens a Handshake packet.
    pub(super) fn open_handshake(
        &mut self,
        role: Role,
        packet: &[u8],
        number_at: usize,
    ) -> Option<Opened> {
        let side = self.of_mut(role);
        let keys = side.handshake.as_ref()?;
        let [largest, _] = &mut side.largest;
        let opened = keys.open(packet, number_at, *largest);
        if let Some(opened) = &opened {
            *largest = Some(largest.map_or(opened.number, |known| known.max(opened.number)));
        }
        self.note(opened.is_some());
        opened
    }

    /// Opens a 1-RTT packet whose packet number begins at `number_at`.
    pub(super) fn open_short(
        &mut self,
        role: Role,
        packet: &[u8],
        number_at: usize,
    ) -> Option<OpenedShort> {
        let side = self.of_mut(role);
        let keys = side.application.as_mut()?;
        let [_, largest] = &mut side.largest;
        let opened = keys.open(packet, number_at, *largest);
        match &opened {
            Some(found) => {
                let number = found.opened.number;
                *largest = Some(largest.map_or(number, |known| known.max(number)));
                side.failed = 0;
            }
            None => {
                side.failed = side.failed.saturating_add(1);
                if side.failed >= MOST_FAILED {
                    side.application = None;
                }
            }
        }
        self.note(opened.is_some());
        opened
    }

    /// What became of the secrets.
    pub(super) fn secrets(&self) -> Secrets {
        match (self.found && self.opened, self.found && self.failed) {
            (true, _) => Secrets::Used,
            (false, true) => Secrets::Useless,
            (false, false) => Secrets::Unknown,
        }
    }

    fn note(&mut self, opened: bool) {
        self.opened |= opened;
        self.failed |= !opened;
    }

    fn of(&self, role: Role) -> &Keys {
        match role {
            Role::Client => &self.client,
            Role::Server => &self.server,
        }
    }

    fn of_mut(&mut self, role: Role) -> &mut Keys {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }
}

impl Application {
    fn open(
        &mut self,
        packet: &[u8],
        number_at: usize,
        largest: Option<u64>,
    ) -> Option<OpenedShort> {
        // The key of the headers is the same under all of them.
        let unprotected = self.current.unprotect(packet, number_at, largest)?;
        let opened = |payload, updated| OpenedShort {
            opened: Opened {
                number: unprotected.number,
                phase: unprotected.phase,
                payload,
            },
            updated,
        };
        if unprotected.phase == self.phase {
            let payload = self.current.payload(packet, &unprotected)?;
            return Some(opened(payload, false));
        }
        if let Some(previous) = &self.previous
            && let Some(payload) = previous.payload(packet, &unprotected)
        {
            return Some(opened(payload, false));
        }
        let next = self.current.updated()?;
        let payload = next.payload(packet, &unprotected)?;
        self.previous = Some(std::mem::replace(&mut self.current, next));
        self.phase = unprotected.phase;
        Some(opened(payload, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyLog;
    use crate::quic::testing::seal;

    #[test]
    fn early_data_are_opened_with_the_suite_of_their_session() {
        let mut log = KeyLog::new();
        let line = format!(
            "CLIENT_EARLY_TRAFFIC_SECRET {} {}",
            "07".repeat(32),
            "05".repeat(32)
        );
        log.add(line.as_bytes());
        let secrets = log.connection(&[7; 32]).unwrap();
        let suites = [0x1303, 0x1302, 0x1301].map(CipherSuite);
        let mut later = LaterKeys::default();
        later.look_up_early(QuicVersion::V1, suites, secrets);
        assert!(later.holds_early());
        // The secret is too short for SHA-384.
        assert_eq!(later.early.candidates.len(), 2);

        let keys = PacketKeys::from_secret(QuicVersion::V1, suites[2], &[5; 32]).unwrap();
        let header = [0xd3, 0, 0, 0, 1, 1, 8, 1, 9, 0x40, 30, 0, 0, 1, 4];
        let packet = seal(&keys, &header, 0x104, &[0; 10]);
        let number_at = header.len() - 4;
        let opened = later.open_early(&packet, number_at).unwrap();
        assert_eq!((opened.number, opened.payload.len()), (0x104, 10));
        assert_eq!(later.early.candidates, [keys]);
        // 1-RTT packets count on from there.
        assert_eq!(later.client.largest, [None, Some(0x104)]);
        assert_eq!(later.secrets(), Secrets::Used);
        for _ in 0..MOST_FAILED {
            assert_eq!(later.open_early(&[0xd3; 60], number_at), None);
        }
        assert_eq!(later.open_early(&packet, number_at), None);
    }
}
