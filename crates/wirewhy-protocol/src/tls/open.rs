//! Which keys open the encrypted records of a connection, as the key log and the hellos tell.

use super::decrypt::{Decryptor, Opened, Sender, Settled};
use super::{
    ClientHello, ConnectionSecrets, ExtensionType, KeyLog, ProtocolVersion, Secrets, ServerHello,
    TrafficSecret,
};
use crate::types::Role;

/// So many records in a row that do not open end the trying. Early data that a server refused do not, and are a few records.
const MAX_FAILED: u8 = 128;

/// After records that were not seen, so many numbers are tried for the first one under other keys.
const MAX_UNSEEN: u8 = 8;

/// Opens the encrypted records of both directions, each direction's in order.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Opener {
    client: DirectionKeys,
    server: DirectionKeys,
    /// The hellos of the latest handshake after the first one.
    again: Option<Box<Again>>,
    /// The log has secrets of this connection.
    known: bool,
    /// A record was opened.
    opened: bool,
    /// A record was not, or never will be.
    failed: bool,
}

crate::compact!(Opener {
    client,
    server,
    again,
    known,
    opened,
    failed
});

/// The first hellos of a connection.
#[derive(Clone, Copy)]
pub(super) struct Hellos<'a> {
    pub(super) client: &'a ClientHello,
    pub(super) server: Option<&'a ServerHello>,
}

#[derive(Clone, PartialEq, Debug)]
struct Again {
    client: ClientHello,
    server: Option<ServerHello>,
}

crate::compact!(Again { client, server });

/// One direction.
#[derive(Clone, PartialEq, Debug, Default)]
struct DirectionKeys {
    lookup: SecretsLookup,
    /// In use.
    current: Option<Decryptor>,
    /// Those that may follow, in order.
    later: Vec<Decryptor>,
    /// Records in a row that did not open.
    failed: u8,
    /// Records not seen since the last that was opened.
    unseen: u8,
    /// The keys in use have opened a record.
    proven: bool,
}

crate::compact!(DirectionKeys {
    lookup,
    current,
    later,
    failed,
    unseen,
    proven
});

// Keys are not copied to another place.
crate::compact!(declined Decryptor);

/// Whether the key log was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum SecretsLookup {
    #[default]
    NotYet,
    /// For early data, before the server chose.
    EarlyData,
    Done,
}

crate::compact!(SecretsLookup = { 0 NotYet, 1 EarlyData, 2 Done });

impl Opener {
    /// Whether there are keys for a side's next encrypted record. The log is asked at the first one, and at the first after
    /// each ChangeCipherSpec.
    pub(super) fn has_keys(
        &mut self,
        role: Role,
        hellos: Hellos<'_>,
        log: Option<&KeyLog>,
    ) -> bool {
        let keys = self.keys(role);
        let ask = match keys.lookup {
            SecretsLookup::NotYet => true,
            SecretsLookup::EarlyData => hellos.server.is_some(),
            SecretsLookup::Done => false,
        };
        if ask && let Some(log) = log {
            self.look_up(role, hellos, log);
        }
        self.holds_keys(role)
    }

    /// Whether there are keys for a side, as far as the log was asked.
    pub(super) fn holds_keys(&self, role: Role) -> bool {
        let keys = self.keys_of(role);
        keys.current.is_some() || !keys.later.is_empty()
    }

    /// Opens a side's next encrypted record.
    pub(super) fn open(&mut self, role: Role, header: [u8; 5], body: &[u8]) -> Option<Opened> {
        let opened = self.keys(role).open(header, body);
        match opened {
            Some(_) => self.opened = true,
            None => self.failed = true,
        }
        opened
    }

    /// Passes over a side's next encrypted record.
    pub(super) fn pass_over(&mut self, role: Role) {
        let keys = self.keys(role);
        if let Some(decryptor) = &mut keys.current {
            decryptor.skip();
        }
        keys.unseen = keys.unseen.saturating_add(1);
    }

    /// Before TLS 1.3: a side takes the keys that the latest hellos settled.
    pub(super) fn change_cipher_spec(&mut self, role: Role) {
        *self.keys(role) = DirectionKeys::default();
    }

    /// A ClientHello after the first handshake.
    pub(super) fn client_hello_again(&mut self, hello: ClientHello) {
        self.again = Some(Box::new(Again {
            client: hello,
            server: None,
        }));
    }

    /// A ServerHello after the first handshake.
    pub(super) fn server_hello_again(&mut self, hello: ServerHello) {
        if let Some(again) = &mut self.again {
            again.server = Some(hello);
        }
    }

    /// Whether a side uses the last keys that can be told from its handshake.
    pub(super) fn is_past_handshake(&self, role: Role) -> bool {
        let keys = self.keys_of(role);
        keys.current.is_some() && keys.later.is_empty()
    }

    /// Whether a side's record that did not open had to: the last keys opened those before it, and none was missed.
    pub(super) fn should_open(&self, role: Role) -> bool {
        let keys = self.keys_of(role);
        self.is_past_handshake(role) && keys.proven && keys.unseen == 0
    }

    /// What became of the connection's secrets.
    pub(super) fn secrets(&self) -> Secrets {
        match (self.opened, self.known && self.failed) {
            (true, _) => Secrets::Used,
            (false, true) => Secrets::Useless,
            (false, false) => Secrets::Unknown,
        }
    }

    #[cfg(test)]
    pub(super) fn retained(&self) -> usize {
        let keys = |keys: &DirectionKeys| keys.later.capacity() * size_of::<Decryptor>();
        let again = self.again.as_ref().map_or(0, |again| {
            let server = again.server.as_ref().map_or(0, |hello| hello.raw.len());
            size_of::<Again>() + again.client.raw.len() + server
        });
        keys(&self.client) + keys(&self.server) + again
    }

    fn keys_of(&self, role: Role) -> &DirectionKeys {
        match role {
            Role::Client => &self.client,
            Role::Server => &self.server,
        }
    }

    fn keys(&mut self, role: Role) -> &mut DirectionKeys {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    fn look_up(&mut self, role: Role, first: Hellos<'_>, log: &KeyLog) {
        let again = self.again.take();
        // A handshake that is not at its ServerHello has settled nothing.
        let hellos = match &again {
            Some(again) if again.server.is_some() => Hellos {
                client: &again.client,
                server: again.server.as_ref(),
            },
            _ => first,
        };
        match hellos.server {
            None => self.look_up_early(role, hellos.client, log),
            Some(server) if server.version().is_1_3() => {
                self.look_up_1_3(role, hellos.client, server, log);
            }
            Some(server) => self.look_up_master(role, hellos.client, server, log),
        }
        self.again = again;
    }

    /// Early data come before the server has chosen a suite: it will be the one of the session resumed (RFC 8446 section
    /// 4.2.11), which the client offers.
    fn look_up_early(&mut self, role: Role, client: &ClientHello, log: &KeyLog) {
        let Some(secret) = log
            .connection(&client.random())
            .and_then(|secrets| secrets.traffic(TrafficSecret::ClientEarly))
            .filter(|_| role == Role::Client && client.offers_early_data())
        else {
            return;
        };
        self.known = true;
        let version = ProtocolVersion::TLS1_3;
        let decryptors = client
            .cipher_suites()
            .into_iter()
            .filter_map(|suite| Decryptor::from_traffic_secret(version, suite, secret))
            .take(8);
        self.client.later = decryptors.collect();
        self.client.lookup = SecretsLookup::EarlyData;
    }

    fn look_up_1_3(
        &mut self,
        role: Role,
        client: &ClientHello,
        server: &ServerHello,
        log: &KeyLog,
    ) {
        let keys = self.keys(role);
        let looked_up = std::mem::replace(&mut keys.lookup, SecretsLookup::Done);
        let Some(secrets) = log.connection(&client.random()) else {
            return;
        };
        let (early, rest) = match role {
            Role::Client => (
                client.offers_early_data() && looked_up != SecretsLookup::EarlyData,
                [
                    TrafficSecret::ClientHandshake,
                    TrafficSecret::ClientApplication,
                ],
            ),
            Role::Server => (
                false,
                [
                    TrafficSecret::ServerHandshake,
                    TrafficSecret::ServerApplication,
                ],
            ),
        };
        let early = early.then_some(TrafficSecret::ClientEarly);
        let (version, suite) = (server.version(), server.cipher_suite());
        let mut found = false;
        for secret in early
            .into_iter()
            .chain(rest)
            .filter_map(|of| secrets.traffic(of))
        {
            found = true;
            keys.later
                .extend(Decryptor::from_traffic_secret(version, suite, secret));
        }
        let useless = found && keys.later.is_empty() && keys.current.is_none();
        self.known |= found;
        self.failed |= useless;
    }

    fn look_up_master(
        &mut self,
        role: Role,
        client: &ClientHello,
        server: &ServerHello,
        log: &KeyLog,
    ) {
        let keys = self.keys(role);
        keys.lookup = SecretsLookup::Done;
        let Some(master) = log
            .connection(&client.random())
            .and_then(ConnectionSecrets::master)
            .or_else(|| log.session(server.session_id()))
        else {
            return;
        };
        let settled = Settled {
            version: server.version(),
            cipher_suite: server.cipher_suite(),
            client_random: client.random(),
            server_random: server.random(),
            encrypt_then_mac: server.extension(ExtensionType::ENCRYPT_THEN_MAC).is_some(),
        };
        let sender = match role {
            Role::Client => Sender::Client,
            Role::Server => Sender::Server,
        };
        keys.current = Decryptor::from_master_secret(&settled, master, sender);
        let useless = keys.current.is_none();
        self.known = true;
        self.failed |= useless;
    }
}

impl DirectionKeys {
    fn open(&mut self, header: [u8; 5], body: &[u8]) -> Option<Opened> {
        let opened = self.open_with_current(header, body);
        let opened = opened.or_else(|| self.open_with_later(header, body));
        if opened.is_some() {
            self.failed = 0;
            self.unseen = 0;
            self.proven = true;
            return opened;
        }
        self.failed = self.failed.saturating_add(1);
        if self.failed >= MAX_FAILED {
            self.current = None;
            self.later = Vec::new();
        }
        None
    }

    fn open_with_current(&mut self, header: [u8; 5], body: &[u8]) -> Option<Opened> {
        let current = self.current.as_mut()?;
        let opened = current.open(header, body);
        if opened.is_some() || !self.later.is_empty() {
            return opened;
        }
        // What does not open comes after a KeyUpdate, if anything: the only message that may follow one under the old keys is
        // none (RFC 8446 section 4.6.3).
        let renewed = current.renewed()?;
        let (renewed, opened) = open_numbered(&renewed, self.unseen, header, body)?;
        *current = renewed;
        Some(opened)
    }

    /// A side changes its keys after its Finished or its EndOfEarlyData, and the first record under others shows that it did.
    fn open_with_later(&mut self, header: [u8; 5], body: &[u8]) -> Option<Opened> {
        let unseen = self.unseen;
        let (at, (decryptor, opened)) =
            self.later.iter().enumerate().find_map(|(at, decryptor)| {
                Some((at, open_numbered(decryptor, unseen, header, body)?))
            })?;
        self.current = Some(decryptor);
        self.later.drain(..=at);
        Some(opened)
    }
}

/// Opens a record that is the first, or comes after as many as were not seen.
fn open_numbered(
    decryptor: &Decryptor,
    unseen: u8,
    header: [u8; 5],
    body: &[u8],
) -> Option<(Decryptor, Opened)> {
    let mut next = decryptor.clone();
    for _ in 0..=unseen.min(MAX_UNSEEN) {
        if let Some(opened) = next.open(header, body) {
            return Some((next, opened));
        }
        next.skip();
    }
    None
}
