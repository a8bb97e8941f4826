//! Secrets that an endpoint wrote to a key log.
//!
//! The format is the one of `SSLKEYLOGFILE` (RFC 9850), which a Decryption Secrets Block of pcapng carries too: one secret
//! per line, found again by the random of the ClientHello.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use foldhash::fast::RandomState;

/// The length of a random and of a session's identifier at most (RFC 5246 section 7.4.1.2).
const RANDOM: usize = 32;

/// The length of a master secret (RFC 5246 section 8.1).
const MASTER: usize = 48;

/// The secrets of many connections.
#[derive(Clone, PartialEq, Default)]
pub struct KeyLog {
    connections: Bounded<ConnectionSecrets>,
    /// Master secrets by the session's identifier.
    sessions: Bounded<[u8; MASTER]>,
}

/// What became of the lines of a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KeyLogLines {
    /// How many secrets were read.
    pub secrets: u64,
    /// How many lines are neither secrets, nor comments, nor secrets that decrypt no record.
    pub not_understood: u64,
    /// The number of the first line not understood, counted from 1.
    pub first_not_understood: Option<u64>,
    /// How many connections were forgotten to make room.
    pub forgotten: u64,
}

/// The secrets of one connection.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ConnectionSecrets {
    master: Option<Box<[u8; MASTER]>>,
    traffic: [Option<Box<[u8]>>; TrafficSecret::COUNT],
}

/// A secret of TLS 1.3 from which keys of records are derived (RFC 8446 section 7.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TrafficSecret {
    /// `client_early_traffic_secret`, of 0-RTT data.
    ClientEarly,
    /// `client_handshake_traffic_secret`.
    ClientHandshake,
    /// `server_handshake_traffic_secret`.
    ServerHandshake,
    /// `client_application_traffic_secret_0`.
    ClientApplication,
    /// `server_application_traffic_secret_0`.
    ServerApplication,
}

impl KeyLog {
    /// How many connections are remembered; the oldest make room.
    pub const MAX_CONNECTIONS: usize = 1 << 18;

    /// An empty log.
    #[must_use]
    pub fn new() -> KeyLog {
        KeyLog::default()
    }

    /// Whether it holds no secret.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.connections.entries.is_empty() && self.sessions.entries.is_empty()
    }

    /// Reads the lines of `text`, each whole. A later secret replaces an earlier one of the same name.
    pub fn add(&mut self, text: &[u8]) -> KeyLogLines {
        let mut added = KeyLogLines::default();
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            match Line::parse(line) {
                Some(Line::Nothing) => {}
                Some(line) => {
                    added.secrets += 1;
                    added.forgotten += u64::from(self.keep(line));
                }
                None => {
                    added.not_understood += 1;
                    added.first_not_understood.get_or_insert(number);
                }
            }
        }
        added
    }

    /// The secrets of the connection whose ClientHello had this random.
    #[must_use]
    pub fn connection(&self, client_random: &[u8; RANDOM]) -> Option<&ConnectionSecrets> {
        self.connections.entries.get(client_random)
    }

    /// The master secret of the session with this identifier (TLS 1.2 and before).
    #[must_use]
    pub fn session(&self, identifier: &[u8]) -> Option<&[u8; MASTER]> {
        self.sessions.entries.get(&padded(identifier)?)
    }

    /// Whether another entry made room.
    fn keep(&mut self, line: Line) -> bool {
        match line {
            Line::Nothing => false,
            Line::Master { random, master } => {
                let (secrets, forgot) = self.connections.entry(random, Default::default);
                secrets.master = Some(master);
                forgot
            }
            Line::Traffic { random, of, secret } => {
                let (secrets, forgot) = self.connections.entry(random, Default::default);
                if let Some(slot) = secrets.traffic.get_mut(of.index()) {
                    *slot = Some(secret);
                }
                forgot
            }
            Line::Session { identifier, master } => {
                let (known, forgot) = self.sessions.entry(identifier, || *master);
                *known = *master;
                forgot
            }
        }
    }
}

impl fmt::Debug for KeyLog {
    /// Counts only: secrets do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLog")
            .field("connections", &self.connections.entries.len())
            .field("sessions", &self.sessions.entries.len())
            .finish()
    }
}

impl ConnectionSecrets {
    /// The master secret (TLS 1.2 and before).
    #[must_use]
    pub fn master(&self) -> Option<&[u8; MASTER]> {
        self.master.as_deref()
    }

    /// A secret of TLS 1.3.
    #[must_use]
    pub fn traffic(&self, of: TrafficSecret) -> Option<&[u8]> {
        self.traffic.get(of.index())?.as_deref()
    }
}

impl fmt::Debug for ConnectionSecrets {
    /// Names nothing but that there are some: secrets do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionSecrets").finish_non_exhaustive()
    }
}

impl TrafficSecret {
    const COUNT: usize = 5;

    fn index(self) -> usize {
        match self {
            TrafficSecret::ClientEarly => 0,
            TrafficSecret::ClientHandshake => 1,
            TrafficSecret::ServerHandshake => 2,
            TrafficSecret::ClientApplication => 3,
            TrafficSecret::ServerApplication => 4,
        }
    }

    fn of_label(label: &[u8]) -> Option<TrafficSecret> {
        match label {
            b"CLIENT_EARLY_TRAFFIC_SECRET" => Some(TrafficSecret::ClientEarly),
            b"CLIENT_HANDSHAKE_TRAFFIC_SECRET" => Some(TrafficSecret::ClientHandshake),
            b"SERVER_HANDSHAKE_TRAFFIC_SECRET" => Some(TrafficSecret::ServerHandshake),
            b"CLIENT_TRAFFIC_SECRET_0" => Some(TrafficSecret::ClientApplication),
            b"SERVER_TRAFFIC_SECRET_0" => Some(TrafficSecret::ServerApplication),
            _ => None,
        }
    }
}

/// At most [`KeyLog::MAX_CONNECTIONS`] entries; the oldest make room.
#[derive(Clone, PartialEq)]
struct Bounded<V> {
    entries: HashMap<[u8; RANDOM], V, RandomState>,
    /// The keys from the oldest on.
    order: VecDeque<[u8; RANDOM]>,
}

impl<V> Bounded<V> {
    /// The entry, made if there is none, and whether another one was forgotten for it.
    fn entry(&mut self, key: [u8; RANDOM], make: impl FnOnce() -> V) -> (&mut V, bool) {
        let mut forgot = false;
        if !self.entries.contains_key(&key) {
            if self.entries.len() >= KeyLog::MAX_CONNECTIONS
                && let Some(oldest) = self.order.pop_front()
            {
                forgot = self.entries.remove(&oldest).is_some();
            }
            self.order.push_back(key);
        }
        (self.entries.entry(key).or_insert_with(make), forgot)
    }
}

impl<V> Default for Bounded<V> {
    fn default() -> Bounded<V> {
        Bounded {
            entries: HashMap::default(),
            order: VecDeque::new(),
        }
    }
}

/// What a line says.
enum Line {
    /// A comment, an empty line, or a secret that decrypts no TLS record.
    Nothing,
    Master {
        random: [u8; RANDOM],
        master: Box<[u8; MASTER]>,
    },
    Traffic {
        random: [u8; RANDOM],
        of: TrafficSecret,
        secret: Box<[u8]>,
    },
    Session {
        identifier: [u8; RANDOM],
        master: Box<[u8; MASTER]>,
    },
}

impl Line {
    fn parse(line: &[u8]) -> Option<Line> {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            return Some(Line::Nothing);
        }
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        let (label, first, second) = (words.next()?, words.next()?, words.next()?);
        if words.next().is_some() {
            return None;
        }
        if is_pre_master(label, first, second) {
            return Some(Line::Nothing);
        }
        if label == b"RSA" {
            return Some(Line::Session {
                identifier: padded(&bytes(first.strip_prefix(b"Session-ID:")?)?)?,
                master: exactly(second.strip_prefix(b"Master-Key:")?)?.into(),
            });
        }
        if label == b"CLIENT_RANDOM" {
            return Some(Line::Master {
                random: exactly(first)?,
                master: exactly(second)?.into(),
            });
        }
        if let Some(of) = TrafficSecret::of_label(label) {
            let secret = bytes(second)?;
            // The hash of a TLS 1.3 cipher suite is SHA-256, SM3 or SHA-384.
            return matches!(secret.len(), 32 | 48).then_some(Line::Traffic {
                random: exactly(first)?,
                of,
                secret: secret.into(),
            });
        }
        no_record_secret(label).then_some(Line::Nothing)
    }
}

/// Whether the label is of a secret that is known and decrypts no TLS record, or follows from another one.
fn no_record_secret(label: &[u8]) -> bool {
    const PREFIXES: [&[u8]; 6] = [
        b"EXPORTER_",
        b"EARLY_EXPORTER_",
        b"ECH_",
        b"QUIC_",
        b"CLIENT_TRAFFIC_SECRET_",
        b"SERVER_TRAFFIC_SECRET_",
    ];
    PREFIXES.iter().any(|prefix| label.starts_with(prefix))
}

/// Whether a line has the pre-master secret of an RSA key exchange, found by the first bytes it was encrypted to: older libraries
/// write it beside the master secret.
fn is_pre_master(label: &[u8], first: &[u8], second: &[u8]) -> bool {
    label == b"RSA" && exactly::<8>(first).is_some() && exactly::<MASTER>(second).is_some()
}

/// A session's identifier as the key of a map: shorter ones end in zeros.
fn padded(identifier: &[u8]) -> Option<[u8; RANDOM]> {
    let mut key = [0; RANDOM];
    key.get_mut(..identifier.len())?.copy_from_slice(identifier);
    (!identifier.is_empty()).then_some(key)
}

/// The bytes that hex digits stand for.
fn bytes(hex: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = hex.as_chunks::<2>() else {
        return None;
    };
    pairs.iter().map(|&[high, low]| byte(high, low)).collect()
}

fn exactly<const N: usize>(hex: &[u8]) -> Option<[u8; N]> {
    bytes(hex)?.try_into().ok()
}

fn byte(high: u8, low: u8) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(byte: u8, count: usize) -> String {
        format!("{byte:02x}").repeat(count)
    }

    #[test]
    fn every_label_is_found_again() {
        let mut log = KeyLog::new();
        let random = hex(0xab, 32);
        let text = format!(
            "# comment\r\n\r\nCLIENT_RANDOM {random} {}\r\n\
             CLIENT_EARLY_TRAFFIC_SECRET {random} {}\n\
             CLIENT_HANDSHAKE_TRAFFIC_SECRET {random} {}\n\
             SERVER_HANDSHAKE_TRAFFIC_SECRET {random} {}\n\
             CLIENT_TRAFFIC_SECRET_0 {random} {}\n\
             SERVER_TRAFFIC_SECRET_0 {} {}",
            hex(1, 48),
            hex(2, 32),
            hex(3, 32),
            hex(4, 48),
            hex(5, 32),
            random.to_uppercase(),
            hex(6, 32),
        );
        let added = log.add(text.as_bytes());
        assert_eq!((added.secrets, added.not_understood), (6, 0));
        let secrets = log.connection(&[0xab; 32]).unwrap();
        assert_eq!(secrets.master(), Some(&[1; 48]));
        let traffic = |of| secrets.traffic(of).unwrap();
        assert_eq!(traffic(TrafficSecret::ClientEarly), [2; 32]);
        assert_eq!(traffic(TrafficSecret::ClientHandshake), [3; 32]);
        assert_eq!(traffic(TrafficSecret::ServerHandshake), [4; 48]);
        assert_eq!(traffic(TrafficSecret::ClientApplication), [5; 32]);
        assert_eq!(traffic(TrafficSecret::ServerApplication), [6; 32]);
        assert_eq!(log.connection(&[0xac; 32]), None);
    }

    #[test]
    fn a_session_is_found_by_its_identifier() {
        let mut log = KeyLog::new();
        let line = format!("RSA Session-ID:{} Master-Key:{}\n", hex(7, 32), hex(8, 48));
        assert_eq!(log.add(line.as_bytes()).secrets, 1);
        assert_eq!(log.session(&[7; 32]), Some(&[8; 48]));
        assert_eq!(log.session(&[7; 31]), None);
        assert_eq!(log.session(&[]), None);
    }

    #[test]
    fn secrets_that_open_no_record_are_passed_over() {
        let mut log = KeyLog::new();
        let random = hex(1, 32);
        let text = format!(
            "EXPORTER_SECRET {random} {0}\nEARLY_EXPORTER_SECRET {random} {0}\nECH_SECRET {random} {0}\n\
             RSA {1} {2}\n",
            hex(2, 32),
            hex(3, 8),
            hex(4, 48),
        );
        assert_eq!(log.add(text.as_bytes()), KeyLogLines::default());
        assert!(log.is_empty());
    }

    #[test]
    fn lines_not_understood_are_counted_and_the_first_is_numbered() {
        let mut log = KeyLog::new();
        let random = hex(1, 32);
        let text = format!(
            "# fine\nCLIENT_RANDOM {random} {}\nCLIENT_RANDOM {random} {}\nCLIENT_RANDOM {random}\n\
             CLIENT_RANDOM {random} {} more\nSERVER_TRAFFIC_SECRET_0 {random} {}\nCLIENT_RANDOM {random} zz\n\u{0}\n\
             UNHEARD_OF {random} {random}\nRSA {random} {random}\n",
            hex(2, 48),
            hex(2, 47),
            hex(2, 48),
            hex(2, 33),
        );
        let added = log.add(text.as_bytes());
        assert_eq!(added.secrets, 1);
        assert_eq!(added.not_understood, 8);
        assert_eq!(added.first_not_understood, Some(3));
    }

    #[test]
    fn the_oldest_connections_make_room() {
        let mut log = KeyLog::new();
        let mut text = String::new();
        for number in 0..=KeyLog::MAX_CONNECTIONS {
            text += &format!("CLIENT_TRAFFIC_SECRET_0 {number:064x} {}\n", hex(1, 32));
        }
        let added = log.add(text.as_bytes());
        assert_eq!(added.forgotten, 1);
        assert_eq!(log.connection(&[0; 32]), None);
        let mut second = [0; 32];
        second[31] = 1;
        assert!(log.connection(&second).is_some());
        assert_eq!(log.connections.entries.len(), log.connections.order.len());
    }
}
