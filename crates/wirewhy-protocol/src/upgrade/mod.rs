//! From a plaintext protocol to TLS on the same connection: STARTTLS and its kin, and HTTP CONNECT.
//!
//! Both directions share one [`UpgradeState`] and give it their bytes in order. It reads the plaintext only as far as the
//! request for TLS and its answer go, or, where no TLS follows, until the service accepts the client or refuses it; it keeps
//! none of it, and says at which offset a direction changes.

mod admission;
mod facts;
pub(crate) mod greetings;
pub(crate) mod ldap;
mod lines;
pub(crate) mod mysql;
pub(crate) mod plaintext;
pub(crate) mod postgresql;
pub(crate) mod proxy;
pub(crate) mod rdp;
pub(crate) mod socks;
mod start_tls;
pub(crate) mod tds;
pub(crate) mod tds_tls;
pub(crate) mod xmpp;

use crate::session::Refusal;
use crate::types::{AppProtocol, Mark, Role};
#[cfg(test)]
use start_tls::MAX_TEXT;
use start_tls::{ReadOutcome, StartTls};

pub use facts::{Upgrade, UpgradeProtocol, UpgradeVerdict};
pub(crate) use start_tls::Dialect;

/// The most plaintext read per direction: a client that has not asked for TLS by then never asks.
const MAX_PLAINTEXT: usize = 64 * 1024;

/// What both directions have negotiated so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct UpgradeState {
    negotiation: Option<Box<Negotiation>>,
    /// What was agreed on before, by a protocol that carries another one.
    outer: Option<Box<Upgrade>>,
    /// The directions that have not yet left the protocol that carries the other one.
    inside: [bool; 2],
}

crate::compact!(UpgradeState {
    negotiation,
    outer,
    inside
});

crate::compact!(declined Negotiation);

/// The negotiation of TLS in one protocol.
#[derive(Clone, Debug)]
struct Negotiation {
    facts: Upgrade,
    /// What the protocol was recognised as, of whichever direction came first.
    recognised: AppProtocol,
    dialect: &'static Dialect,
    reader: Box<dyn StartTls>,
    /// Bytes read of each direction.
    read: [usize; 2],
    /// The directions that have changed to TLS, or to the protocol inside.
    over: [bool; 2],
    finished: bool,
}

impl UpgradeState {
    /// A direction begins with this protocol, which is read by `dialect`; false where no change to TLS can follow.
    pub(crate) fn begin(
        &mut self,
        role: Role,
        recognised: AppProtocol,
        dialect: Option<&'static Dialect>,
    ) -> bool {
        if let Some(negotiation) = &mut self.negotiation
            && *role.of(&mut negotiation.over)
        {
            // A tunnel: the protocol inside may change to TLS on its own. After an agreement on TLS nothing else is read.
            if negotiation.facts.protocol != UpgradeProtocol::Socks {
                return false;
            }
            self.inside = negotiation.over.map(|over| !over);
            let outer = self.negotiation.take();
            self.outer = outer.map(|negotiation| Box::new(negotiation.facts));
        }
        let Some(dialect) = dialect else {
            let ongoing = self
                .negotiation
                .as_ref()
                .is_some_and(|negotiation| !negotiation.finished);
            return recognised == AppProtocol::Unknown && role == Role::Client && ongoing;
        };
        match &mut self.negotiation {
            // The server's greeting names the protocol better than the client's first command.
            Some(negotiation) => {
                let Negotiation { reader, facts, .. } = &mut **negotiation;
                reader.learn(recognised, facts);
                !negotiation.finished
            }
            None => {
                self.negotiation = Some(Box::new(Negotiation {
                    facts: Upgrade::new(dialect.protocol),
                    recognised,
                    dialect,
                    reader: (dialect.reader)(),
                    read: [0; 2],
                    over: [false; 2],
                    finished: false,
                }));
                true
            }
        }
    }

    /// What a server's first bytes are, where the client has begun a protocol in which it sends first.
    pub(crate) fn answers(&self, bytes: &[u8]) -> Option<AppProtocol> {
        let negotiation = self.negotiation.as_ref()?;
        if negotiation.finished || negotiation.over.contains(&true) {
            return None;
        }
        let answers = (negotiation.dialect.answers)(*bytes.first()?);
        answers.then_some(negotiation.recognised)
    }

    /// Reads the next bytes of a direction.
    pub(crate) fn read(&mut self, role: Role, bytes: &[u8], mark: Mark) -> ReadOutcome {
        if std::mem::take(role.of(&mut self.inside)) {
            return ReadOutcome::Over(0);
        }
        let Some(negotiation) = &mut self.negotiation else {
            return ReadOutcome::Done;
        };
        let outcome = negotiation.read(role, bytes, mark);
        match outcome {
            ReadOutcome::Used(used) => {
                let read = role.of(&mut negotiation.read);
                *read = read.saturating_add(used);
                negotiation.finished |= *read > MAX_PLAINTEXT;
            }
            ReadOutcome::Over(_) => *role.of(&mut negotiation.over) = true,
            ReadOutcome::Done => negotiation.finished = true,
            ReadOutcome::More | ReadOutcome::Wait => {}
        }
        outcome
    }

    /// Whether a direction that waited for the other one can continue.
    pub(crate) fn is_ready(&self, role: Role) -> bool {
        self.negotiation
            .as_ref()
            .is_none_or(|negotiation| negotiation.finished || !negotiation.waits(role))
    }

    /// The facts; `connect` is a tunnel through an HTTP proxy that carries the rest.
    pub(crate) fn facts(&self, connect: Option<&Upgrade>) -> Option<Box<Upgrade>> {
        let has_begun = |negotiation: &&Negotiation| {
            let facts = &negotiation.facts;
            facts.offered.is_some() || facts.asked.is_some() || facts.reply.is_some()
        };
        let outer = self.outer.as_deref().or(connect);
        let Some(negotiation) = self.negotiation.as_deref().filter(has_begun) else {
            return outer.cloned().map(Box::new);
        };
        let mut facts = Box::new(negotiation.facts.clone());
        if let Some(outer) = outer
            && facts.target.is_none()
        {
            facts.target.clone_from(&outer.target);
        }
        Some(facts)
    }

    /// The words with which the service refused the session; none where it then agreed to TLS, inside of which it may accept it.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        let negotiation = self.negotiation.as_deref()?;
        let agreed = negotiation.facts.verdict == UpgradeVerdict::Accepted;
        negotiation.reader.refusal().filter(|_| !agreed)
    }

    /// The protocol that goes on inside TLS, and how it is read there, where its first bytes there do not show it.
    pub(crate) fn inside(&self) -> Option<(AppProtocol, UpgradeState)> {
        let negotiation = self.negotiation.as_deref()?;
        let reader = negotiation.reader.inside()?;
        let inside = Negotiation {
            facts: Upgrade::new(negotiation.facts.protocol),
            recognised: negotiation.recognised,
            dialect: negotiation.dialect,
            reader,
            read: [0; 2],
            over: [false; 2],
            finished: false,
        };
        let state = UpgradeState {
            negotiation: Some(Box::new(inside)),
            ..UpgradeState::default()
        };
        Some((negotiation.recognised, state))
    }

    #[cfg(test)]
    pub(crate) fn retained(&self) -> usize {
        let facts = |facts: &Upgrade| {
            facts.reply.as_ref().map_or(0, |text| text.len())
                + facts.target.as_ref().map_or(0, |text| text.len())
        };
        self.negotiation.as_ref().map_or(0, |negotiation| {
            size_of::<Negotiation>() + facts(&negotiation.facts) + 4 * MAX_TEXT
        }) + self
            .outer
            .as_ref()
            .map_or(0, |outer| size_of::<Upgrade>() + facts(outer))
    }
}

impl Negotiation {
    fn waits(&self, role: Role) -> bool {
        match (role, self.facts.verdict) {
            (_, UpgradeVerdict::Accepted) => false,
            (Role::Client, UpgradeVerdict::Unanswered) => true,
            _ => self.reader.waits(role),
        }
    }

    fn read(&mut self, role: Role, bytes: &[u8], mark: Mark) -> ReadOutcome {
        if self.waits(role) && !self.finished {
            return ReadOutcome::Wait;
        }
        // Some clients begin a handshake whatever the answer was, or without asking.
        match is_hello(bytes) {
            _ if role == Role::Server => {}
            Some(true) => return ReadOutcome::Over(0),
            Some(false) => {}
            None => return ReadOutcome::More,
        }
        let refused = |facts: &Upgrade| match facts.verdict {
            UpgradeVerdict::Refused => true,
            UpgradeVerdict::NotAsked => facts.offered == Some(false),
            UpgradeVerdict::Unanswered | UpgradeVerdict::Accepted => false,
        };
        let without = role == Role::Client && refused(&self.facts);
        let outcome = match role {
            _ if self.finished => ReadOutcome::Done,
            _ if self.facts.verdict == UpgradeVerdict::Accepted => return ReadOutcome::Over(0),
            Role::Client => self.reader.client(&mut self.facts, bytes, mark),
            Role::Server => self.reader.server(&mut self.facts, bytes, mark),
        };
        let read = match outcome {
            ReadOutcome::Used(used) => bytes.get(..used),
            ReadOutcome::Done => Some(bytes),
            ReadOutcome::More | ReadOutcome::Wait | ReadOutcome::Over(_) => None,
        };
        if let Some(message) = read.filter(|_| without)
            && refused(&self.facts)
            && !self.reader.is_small_talk(message)
        {
            self.facts.went_on.get_or_insert(mark);
        }
        outcome
    }
}

/// Whether the bytes begin a record with a ClientHello, which is no message of any protocol here; `None` while they may.
fn is_hello(bytes: &[u8]) -> Option<bool> {
    let fits = bytes.iter().zip(0_u8..6).all(|(&byte, index)| match index {
        0 => byte == 0x16,
        1 => byte == 3,
        2 => byte <= 4,
        5 => byte == 1,
        _ => true,
    });
    match (fits, bytes.len()) {
        (false, _) => Some(false),
        (true, 6..) => Some(true),
        (true, _) => None,
    }
}

#[cfg(test)]
mod tests;
