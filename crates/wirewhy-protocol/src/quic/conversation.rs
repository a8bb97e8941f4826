//! One connection over QUIC, datagram by datagram.

mod initial;
mod opened;
mod times;

use wirewhy_packet::Interval;

use self::initial::InitialKeys;
use super::facts::{Negotiated, PacketKind, PacketTally, QuicFacts, Sent, StatelessReset};
use super::hello::{CryptoStream, HelloPackets};
use super::ids::ConnectionId;
use super::keys::{self, Opened};
use super::later::LaterKeys;
use super::packet::{
    self, Long, LongKind, Packets, QuicDestination, QuicPacket, Retry, VersionList,
};
use super::parameters::TransportParameters;
use super::reset::{self, Tails};
use super::spin::Spin;
use crate::CaptureContext;
use crate::tls::{ExtensionType, Follow, Secrets, TlsFacts};
use crate::types::{Mark, Role};

/// How many connection ids are remembered of a connection.
const MOST_IDS: usize = 32;

/// How many tokens of stateless resets are remembered.
const MOST_TOKENS: usize = 16;

/// How many CONNECTION_CLOSE frames are kept.
const MOST_CLOSES: usize = 6;

/// Bytes that a datagram with the first packet of a client has at least: a ClientHello with the extensions that QUIC demands, or its
/// first part, and the padding of most senders of ones that are too small.
const LEAST_BEGINNING: usize = 256;

/// What has the type of a transport parameters extension (RFC 9001 section 8.2), and had it in the drafts.
const PARAMETERS: [ExtensionType; 2] = [ExtensionType(0x39), ExtensionType(0xffa5)];

/// A connection over QUIC.
#[derive(Clone, Debug)]
pub struct QuicConversation {
    facts: QuicFacts,
    tls: Follow,
    initial: InitialKeys,
    /// Largest packet numbers of Initial packets that were opened.
    largest: [Option<u64>; 2],
    crypto: [[CryptoStream; LEVELS]; 2],
    hello: HelloPackets,
    later: LaterKeys,
    /// Connection ids by who chose them: the destinations of the other side's packets.
    ids: Vec<(Role, ConnectionId)>,
    /// The tokens of stateless resets that were read, by whose they are.
    tokens: Vec<(Role, [u8; 16])>,
    tails: [Tails; 2],
    spin: Spin,
    /// The latest datagram of each side, and how long nothing had come before it.
    latest: [Option<(Mark, Interval)>; 2],
    /// What the client had begun with when the latest Retry came.
    retried: Option<ConnectionId>,
    /// The latest pause, and who ended it.
    pause: Option<(Role, Interval)>,
}

/// Initial, Handshake and 1-RTT.
const LEVELS: usize = 3;

/// A level of encryption at which packets are opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Level {
    Initial,
    ZeroRtt,
    Handshake,
    OneRtt,
}

impl Level {
    fn kind(self) -> PacketKind {
        match self {
            Level::Initial => PacketKind::Initial,
            Level::ZeroRtt => PacketKind::ZeroRtt,
            Level::Handshake => PacketKind::Handshake,
            Level::OneRtt => PacketKind::OneRtt,
        }
    }
}

impl QuicConversation {
    /// Whether a datagram begins a connection over QUIC: its first packet is a client's Initial packet of a known version,
    /// and opens with the keys that follow from its destination. Deriving keys for datagrams that are too small for a
    /// ClientHello would cost more than anything else that a packet can.
    #[must_use]
    pub fn begins(datagram: &[u8]) -> bool {
        let has_room = datagram.len() >= LEAST_BEGINNING;
        has_room && packet::begins_initial(datagram) && QuicConversation::new(datagram).is_some()
    }

    /// A connection that this datagram of its client begins, of which no datagram was taken in; `None` where it begins none.
    #[must_use]
    pub fn new(datagram: &[u8]) -> Option<QuicConversation> {
        let QuicPacket::Long(long) = Packets::of(datagram).next()? else {
            return None;
        };
        if long.kind != LongKind::Initial {
            return None;
        }
        let initial = InitialKeys::new(long.version, long.destination)?;
        initial.open(Role::Client, &long, None)?;
        let facts = QuicFacts {
            version: long.version,
            initial_destination: long.destination,
            client_id: long.source,
            ..QuicFacts::default()
        };
        let mut conversation = QuicConversation {
            facts,
            tls: Follow::default(),
            initial,
            largest: [None; 2],
            crypto: Default::default(),
            hello: HelloPackets::default(),
            later: LaterKeys::default(),
            ids: Vec::new(),
            tokens: Vec::new(),
            tails: Default::default(),
            spin: Spin::default(),
            latest: [None; 2],
            retried: None,
            pause: None,
        };
        conversation.add_id(Role::Server, long.destination);
        conversation.add_id(Role::Client, long.source);
        Some(conversation)
    }

    /// The connection ids known by now, by who receives packets with them: those of the server first are the destination of
    /// the client's first packet. More of them are added at the end.
    #[must_use]
    pub fn ids(&self) -> &[(Role, ConnectionId)] {
        &self.ids
    }

    /// Who sends a datagram of this connection, by its destination; `None` where it has none of the connection's ids.
    #[must_use]
    pub fn sender(&self, datagram: &[u8]) -> Option<Role> {
        let destination = QuicDestination::of(datagram)?;
        let receiver = self.ids.iter().find(|(_, id)| match destination {
            QuicDestination::Long(bytes) => bytes == id.as_bytes(),
            QuicDestination::Short(rest) => !id.is_empty() && rest.starts_with(id.as_bytes()),
        });
        receiver.map(|&(receiver, _)| match receiver {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        })
    }

    /// Whether a datagram that comes from the client's address begins another connection: with an Initial packet that opens
    /// by itself, and is neither for an id of this connection nor from the id of its client.
    #[must_use]
    pub fn is_beginning_of_other(&self, datagram: &[u8]) -> bool {
        if !packet::begins_initial(datagram) || self.sender(datagram).is_some() {
            return false;
        }
        let Some(QuicPacket::Long(long)) = Packets::of(datagram).next() else {
            return false;
        };
        let id = self.facts.client_id;
        let same_client = !id.is_empty() && long.source == id;
        // A client that heeds a Version Negotiation may begin with new ids.
        let heeds = self.facts.negotiation.is_some() && self.facts.server.initial.count == 0;
        !same_client && !heeds && QuicConversation::begins(datagram)
    }

    /// Takes in a datagram of one side: `bytes` is what was captured of its payload, `wire_len` the payload's length on the
    /// wire. The same `context` belongs to all conversations of a capture.
    pub fn observe(
        &mut self,
        role: Role,
        bytes: &[u8],
        wire_len: u32,
        mark: Mark,
        context: &mut CaptureContext,
    ) {
        self.note_time(role, mark);
        let mut first = None;
        let mut handshake = 0;
        for packet in Packets::of(bytes) {
            let kind = self.packet(role, packet, mark, context);
            first.get_or_insert(kind);
            if let (PacketKind::Handshake, QuicPacket::Long(long)) = (kind, packet) {
                handshake += u32::try_from(long.bytes.len()).unwrap_or(u32::MAX);
            }
        }
        self.note_datagram(
            role,
            Sent {
                mark,
                length: wire_len,
                first: first.unwrap_or(PacketKind::Unknown),
                handshake,
            },
        );
    }

    /// What is known so far.
    #[must_use]
    pub fn facts(&self) -> QuicFacts {
        QuicFacts {
            hello: self.hello.facts(),
            spin: self.spin.facts(),
            ..self.facts.clone()
        }
    }

    /// What is known of its TLS handshake.
    #[must_use]
    pub fn tls(&self) -> TlsFacts {
        let mut tls = self.tls.facts();
        tls.secrets = self.later.secrets();
        let (client, server) = (&self.facts.client, &self.facts.server);
        // What the headers show of what is encrypted.
        tls.server.sealed_count = server.handshake.count;
        tls.client.sealed_count = client.handshake.count;
        if let Some(sent) = client.one_rtt.first {
            tls.client.finished.get_or_insert(sent);
            tls.server.finished.get_or_insert(sent);
            for (side, sent) in [(&mut tls.client, client), (&mut tls.server, server)] {
                side.application_data.count = sent.one_rtt.count;
                side.application_data.bytes = sent.one_rtt.bytes;
                side.application_data.first = sent.one_rtt.first;
                side.application_data.last = sent.one_rtt.last;
            }
        }
        tls
    }

    /// The server name in the client's hello, once it is known: hostile text.
    #[must_use]
    pub fn server_name(&self) -> Option<String> {
        let (client, _) = self.tls.hellos()?;
        client.server_name()
    }

    /// A number that is another one when there is something new to conclude, besides how much has been sent and when.
    #[must_use]
    pub fn facts_digest(&self) -> u64 {
        let facts = &self.facts;
        let of = |side: &super::QuicSide| {
            // What stands alone or goes to and fro is no silence yet.
            let run = side.unanswered.first.len();
            let run = if run < 3 { 0 } else { run };
            [
                run,
                usize::from(side.handshake.count > 0),
                usize::from(side.one_rtt.count > 0),
                usize::from(side.acknowledged),
            ]
        };
        let rest = [
            facts.closes.len(),
            facts.retries.len(),
            usize::from(facts.reset.is_some()),
            usize::from(facts.negotiation.is_some()),
            usize::from(facts.confirmed.is_some()),
        ];
        let all = of(&facts.client).into_iter().chain(of(&facts.server));
        all.chain(rest)
            .fold(0_u64, |sum, part| {
                let part = u64::try_from(part).unwrap_or(u64::MAX);
                sum.wrapping_mul(31).wrapping_add(part)
            })
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// Bytes that wait to be read.
    #[must_use]
    pub fn kept(&self) -> usize {
        let waiting = self.crypto.iter().flatten().map(CryptoStream::kept);
        waiting.sum::<usize>() + self.tls.kept()
    }

    /// Bytes of memory that it takes, those that wait to be read left out, within a few of the truth.
    #[must_use]
    pub fn recorded(&self) -> usize {
        size_of::<QuicConversation>()
            + self.ids.capacity() * size_of::<(Role, ConnectionId)>()
            + self.facts.history.capacity()
            + self.tls.recorded()
            + (self.facts.client.early.capacity() + self.facts.server.early.capacity())
                * size_of::<Sent>()
            + (self.facts.client.recent.capacity() + self.facts.server.recent.capacity())
                * size_of::<Mark>()
    }

    /// Frees what waits to be read, and reads no more handshake bytes.
    pub fn evict(&mut self) {
        for stream in self.crypto.iter_mut().flatten() {
            stream.stop();
        }
        self.tls.evict();
    }

    /// Gives it its place among the connections of the capture.
    pub fn number(&mut self, number: u32) {
        self.facts.number = number;
    }

    fn packet(
        &mut self,
        role: Role,
        packet: QuicPacket<'_>,
        mark: Mark,
        context: &mut CaptureContext,
    ) -> PacketKind {
        match packet {
            QuicPacket::Long(long) => self.long(role, &long, mark, context),
            QuicPacket::Retry(retry) => {
                self.retry(role, &retry, mark);
                PacketKind::Retry
            }
            QuicPacket::VersionNegotiation(negotiation) => {
                self.negotiation(role, &negotiation, mark);
                PacketKind::VersionNegotiation
            }
            QuicPacket::Short(bytes) => {
                self.short(role, bytes, mark, context);
                PacketKind::OneRtt
            }
        }
    }

    fn long(
        &mut self,
        role: Role,
        long: &Long<'_>,
        mark: Mark,
        context: &mut CaptureContext,
    ) -> PacketKind {
        let (letter, kind) = match long.kind {
            LongKind::Initial => ('I', PacketKind::Initial),
            LongKind::ZeroRtt => ('Z', PacketKind::ZeroRtt),
            LongKind::Handshake => ('H', PacketKind::Handshake),
        };
        if kind == PacketKind::Initial {
            let opened = self.open_initial(role, long, mark);
            self.write(role, if opened.is_some() { letter } else { 'X' });
            let side = self.facts.side_mut(role);
            add(&mut side.initial, long.bytes, opened.is_some(), mark);
            match opened {
                Some(opened) => {
                    self.learn_ids(role, long);
                    self.frames(role, Level::Initial, &opened, mark, context);
                }
                None => side.unopened += 1,
            }
            return kind;
        }
        self.write(role, letter);
        self.learn_ids(role, long);
        let level = match kind {
            PacketKind::Handshake => Level::Handshake,
            _ => Level::ZeroRtt,
        };
        self.look_up(role, level, context);
        let opened = match (level, role) {
            (Level::Handshake, _) => self.later.open_handshake(role, long.bytes, long.number_at),
            (_, Role::Client) => self.later.open_early(long.bytes, long.number_at),
            (_, Role::Server) => None,
        };
        let side = self.facts.side_mut(role);
        let tally = match level {
            Level::Handshake => &mut side.handshake,
            _ => &mut side.zero_rtt,
        };
        add(tally, long.bytes, opened.is_some(), mark);
        if let Some(opened) = opened {
            self.frames(role, level, &opened, mark, context);
        }
        kind
    }

    /// Opens an Initial packet with the keys in use, or with those of another version (RFC 9368), or, after a Retry or a
    /// Version Negotiation, with those of the client's new beginning.
    fn open_initial(&mut self, role: Role, long: &Long<'_>, mark: Mark) -> Option<Opened> {
        let largest = *role.of(&mut self.largest);
        let of_version = self.initial.version == long.version;
        if of_version && let Some(opened) = self.initial.open(role, long, largest) {
            *role.of(&mut self.largest) =
                Some(largest.map_or(opened.number, |known| known.max(opened.number)));
            return Some(opened);
        }
        let origins = [
            (!of_version).then_some(self.initial.origin),
            (role == Role::Client).then_some(long.destination),
        ];
        for origin in origins.into_iter().flatten() {
            let Some(keys) = InitialKeys::new(long.version, origin) else {
                continue;
            };
            let begins_anew = origin != self.initial.origin || !of_version && role == Role::Client;
            let largest = largest.filter(|_| !begins_anew);
            let Some(opened) = keys.open(role, long, largest) else {
                continue;
            };
            if let Some(negotiation) = &mut self.facts.negotiation
                && role == Role::Client
                && long.version != negotiation.offered
            {
                negotiation.went_on.get_or_insert(mark);
            }
            if begins_anew && self.facts.server.initial.opened == 0 {
                self.begin_anew();
            }
            *role.of(&mut self.largest) = Some(opened.number);
            self.initial = keys;
            self.facts.version = long.version;
            return Some(opened);
        }
        None
    }

    /// The client sends its hello again, from its first byte on.
    fn begin_anew(&mut self) {
        let [client, _] = &mut self.crypto;
        // What was read of the hello is read; the bytes are the same (RFC 9000 section 17.2.5.3).
        if self.tls.hellos().is_none() {
            *client = Default::default();
            self.tls = Follow::default();
        }
        self.hello.begin_anew();
    }

    fn learn_ids(&mut self, role: Role, long: &Long<'_>) {
        self.add_id(role, long.source);
        match role {
            Role::Client => {
                self.add_id(Role::Server, long.destination);
                if self.facts.server.datagrams == 0 || self.facts.server_id.is_none() {
                    self.facts.client_id = long.source;
                }
            }
            Role::Server => self.facts.server_id = Some(long.source),
        }
    }

    fn add_id(&mut self, owner: Role, id: ConnectionId) {
        let known = self.ids.contains(&(owner, id));
        if !known && self.ids.len() < MOST_IDS {
            self.ids.push((owner, id));
        }
    }

    fn retry(&mut self, role: Role, retry: &Retry<'_>, mark: Mark) {
        self.write(role, 'R');
        let fits = role == Role::Server && retry.destination == self.facts.client_id;
        if !fits || !keys::is_authentic(retry, &self.initial.origin) {
            return;
        }
        self.add_id(Role::Server, retry.source);
        self.facts.server_id = Some(retry.source);
        // Each datagram of a hello may get a Retry of its own: those answer the same attempt.
        if self.retried.replace(self.initial.origin) == Some(self.initial.origin) {
            return;
        }
        self.facts.retry_count = self.facts.retry_count.saturating_add(1);
        if self.facts.retries.len() < QuicFacts::RETRIES {
            self.facts.retries.push(mark);
        }
    }

    /// A client heeds it where it echoes the ids of its Initial packet and does not list the version of that (RFC 9000 section
    /// 6.2).
    fn negotiation(&mut self, role: Role, negotiation: &VersionList<'_>, mark: Mark) {
        self.write(role, 'U');
        let echoes = negotiation.destination == self.facts.client_id.as_bytes()
            && negotiation.source == self.initial.origin.as_bytes();
        let offered = self.initial.version;
        let lists_it = negotiation.versions().any(|version| version == offered);
        let heeded = role == Role::Server && echoes && !lists_it;
        if !heeded || self.facts.server.initial.count > 0 || self.facts.negotiation.is_some() {
            return;
        }
        self.facts.negotiation = Some(Negotiated {
            mark,
            offered,
            versions: negotiation
                .versions()
                .filter(|version| !version.is_grease())
                .take(TransportParameters::VERSIONS)
                .collect(),
            went_on: None,
        });
    }

    fn short(&mut self, role: Role, bytes: &[u8], mark: Mark, context: &mut CaptureContext) {
        let count = self.facts.side(role).one_rtt.count + 1;
        if count.is_power_of_two() {
            self.write(role, 'O');
        }
        if let Some(&first) = bytes.first() {
            self.spin.add(role, first, mark.time);
        }
        self.look_up(role, Level::OneRtt, context);
        let opened = match self.later.holds_application(role) {
            true => {
                let rest = bytes.get(1..).unwrap_or_default();
                let ids = self.ids.iter().filter(|(owner, _)| *owner == other(role));
                let id = ids
                    .map(|(_, id)| id)
                    .filter(|id| rest.starts_with(id.as_bytes()))
                    .max_by_key(|id| id.len());
                id.map(|id| 1 + id.len())
                    .and_then(|at| self.later.open_short(role, bytes, at))
            }
            false => None,
        };
        let side = self.facts.side_mut(role);
        add(&mut side.one_rtt, bytes, opened.is_some(), mark);
        match opened {
            Some(found) => {
                self.facts.key_updates += u32::from(found.updated);
                self.frames(role, Level::OneRtt, &found.opened, mark, context);
            }
            None => self.reset(role, bytes, mark),
        }
    }

    fn reset(&mut self, role: Role, bytes: &[u8], mark: Mark) {
        let known = self
            .tokens
            .iter()
            .any(|(owner, token)| *owner == role && reset::ends_in(bytes, token));
        let alike = role.of(&mut self.tails).add(bytes, mark);
        if self.facts.reset.is_some() || !(known || alike.is_some()) {
            return;
        }
        let first = alike.unwrap_or(mark);
        let answers = *other(role).of(&mut self.latest);
        let answers =
            answers.filter(|(answered, _)| alike.is_none() || answered.frame < first.frame);
        self.facts.reset = Some(StatelessReset {
            from: role,
            mark: first,
            again: alike.map(|_| mark),
            answers: answers.map(|(mark, _)| mark),
            idle: answers.map_or(Interval::ZERO, |(_, idle)| idle),
        });
    }

    /// Finds the keys of a side at a level, where they are not known yet.
    fn look_up(&mut self, role: Role, level: Level, context: &CaptureContext) {
        let known = match level {
            Level::Initial => true,
            Level::ZeroRtt => self.later.holds_early(),
            Level::Handshake => self.later.holds_handshake(role),
            Level::OneRtt => self.later.holds_application(role),
        };
        if known {
            return;
        }
        let Some(log) = context.keys() else { return };
        let Some((client, server)) = self.tls.hellos() else {
            return;
        };
        let Some(secrets) = log.connection(&client.random()) else {
            return;
        };
        let version = self.facts.version;
        if level == Level::ZeroRtt {
            if client.offers_early_data() {
                let suites = client.cipher_suites();
                self.later.look_up_early(version, suites, secrets);
            }
        } else if let Some(server) = server {
            self.later.look_up(version, server.cipher_suite(), secrets);
        }
    }

    /// Adds a letter to Zeek's history.
    fn write(&mut self, role: Role, letter: char) {
        let history = &mut self.facts.history;
        if history.len() < QuicFacts::HISTORY {
            history.push(match role {
                Role::Client => letter,
                Role::Server => letter.to_ascii_lowercase(),
            });
        }
    }

    /// Whether secrets of its own opened packets.
    #[must_use]
    pub fn is_decrypted(&self) -> bool {
        self.later.secrets() == Secrets::Used
    }
}

fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

fn add(tally: &mut PacketTally, packet: &[u8], opened: bool, mark: Mark) {
    tally.count += 1;
    tally.bytes += u64::try_from(packet.len()).unwrap_or(u64::MAX);
    tally.opened += u64::from(opened);
    tally.first.get_or_insert(mark);
    tally.last = Some(mark);
}
