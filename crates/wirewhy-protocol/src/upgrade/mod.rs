//! From a plaintext protocol to TLS on the same connection: STARTTLS and its kin, and HTTP CONNECT.
//!
//! Both directions feed one [`Dialogue`], each its own bytes in order. It reads the plaintext only as far as the question
//! and its answer go, keeps none of it, and says at which offset a direction goes over.

mod facts;
pub(crate) mod ldap;
mod lines;
pub(crate) mod mysql;
pub(crate) mod postgresql;
pub(crate) mod proxy;
pub(crate) mod rdp;
pub(crate) mod socks;
pub(crate) mod tds;
mod xmpp;

use crate::side::Role;
use crate::{Mark, Speech};

pub use facts::{Upgrade, UpgradeProtocol, UpgradeVerdict};

/// The most plaintext read per direction: whoever has not asked by then does not ask.
const MAX_PLAINTEXT: usize = 64 * 1024;

/// The longest line or message looked at.
const MAX_MESSAGE: usize = 8 * 1024;

/// The most bytes kept of an answer.
const MAX_TEXT: usize = 256;

/// What came of a direction's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// So many of them were read.
    Used(usize),
    /// It needs the same bytes again, and more of them.
    More,
    /// It needs the same bytes again once the other direction has gone on.
    Wait,
    /// After so many bytes another protocol begins.
    Over(usize),
    /// No change to TLS can follow.
    Done,
}

/// What both directions said of TLS so far.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Dialogue {
    talk: Option<Box<Talk>>,
    /// What was agreed on before, by a protocol that carries another one.
    outer: Option<Box<Upgrade>>,
    /// The directions that have not yet left the protocol that carries the other one.
    inside: [bool; 2],
}

#[derive(Clone, PartialEq, Debug)]
struct Talk {
    facts: Upgrade,
    family: Family,
    read: [usize; 2],
    over: [bool; 2],
    finished: bool,
}

/// How a protocol is read.
#[derive(Clone, PartialEq, Debug)]
enum Family {
    Lines(lines::Lines),
    Xmpp(xmpp::Xmpp),
    Ldap(ldap::Ldap),
    PostgreSql(postgresql::PostgreSql),
    MySql(mysql::MySql),
    Rdp(rdp::Rdp),
    Tds(tds::Tds),
    Socks(socks::Socks),
}

impl Family {
    fn of(speech: Speech) -> Option<(Family, UpgradeProtocol)> {
        use UpgradeProtocol as Protocol;
        let lines = |kind, protocol| (Family::Lines(lines::Lines::new(kind)), protocol);
        Some(match speech {
            Speech::Smtp => lines(lines::Kind::Smtp, Protocol::Smtp),
            Speech::SmtpOrFtp => lines(lines::Kind::SmtpOrFtp, Protocol::Smtp),
            Speech::Ftp => lines(lines::Kind::Ftp, Protocol::Ftp),
            Speech::Pop3 => lines(lines::Kind::Pop3, Protocol::Pop3),
            Speech::Imap => lines(lines::Kind::Imap, Protocol::Imap),
            Speech::Nntp => lines(lines::Kind::Nntp, Protocol::Nntp),
            Speech::ManageSieve => lines(lines::Kind::ManageSieve, Protocol::ManageSieve),
            Speech::Irc => lines(lines::Kind::Irc, Protocol::Irc),
            Speech::Xmpp => (Family::Xmpp(xmpp::Xmpp::default()), Protocol::Xmpp),
            Speech::Ldap => (Family::Ldap(ldap::Ldap::default()), Protocol::Ldap),
            Speech::PostgreSql => (
                Family::PostgreSql(postgresql::PostgreSql::default()),
                Protocol::PostgreSql,
            ),
            Speech::MySql => (Family::MySql(mysql::MySql::default()), Protocol::MySql),
            Speech::Rdp => (Family::Rdp(rdp::Rdp), Protocol::Rdp),
            Speech::Tds => (Family::Tds(tds::Tds::default()), Protocol::Tds),
            Speech::Socks => (Family::Socks(socks::Socks::default()), Protocol::Socks),
            Speech::Http1Request
            | Speech::Http1Response
            | Speech::Http2Preface
            | Speech::Http2Settings
            | Speech::Tls
            | Speech::Ssh
            | Speech::ProxyProtocol
            | Speech::Unknown => return None,
        })
    }

    /// Whether a direction must let the other one go first.
    fn waits(&self, role: Role) -> bool {
        match (self, role) {
            (Family::Socks(socks), Role::Client) => socks.client_waits(),
            (Family::MySql(mysql), Role::Server) => mysql.server_waits(),
            _ => false,
        }
    }

    fn client(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> Outcome {
        match self {
            Family::Lines(lines) => lines.client(facts, bytes, mark),
            Family::Xmpp(xmpp) => xmpp.client(facts, bytes, mark),
            Family::Ldap(ldap) => ldap.client(facts, bytes, mark),
            Family::PostgreSql(postgresql) => postgresql.client(facts, bytes, mark),
            Family::MySql(mysql) => mysql.client(facts, bytes, mark),
            Family::Rdp(rdp) => rdp.client(facts, bytes, mark),
            Family::Tds(tds) => tds.client(facts, bytes, mark),
            Family::Socks(socks) => socks.client(facts, bytes, mark),
        }
    }

    fn server(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> Outcome {
        match self {
            Family::Lines(lines) => lines.server(facts, bytes, mark),
            Family::Xmpp(xmpp) => xmpp.server(facts, bytes, mark),
            Family::Ldap(ldap) => ldap.server(facts, bytes, mark),
            Family::PostgreSql(postgresql) => postgresql.server(facts, bytes, mark),
            Family::MySql(mysql) => mysql.server(facts, bytes),
            Family::Rdp(rdp) => rdp.server(facts, bytes, mark),
            Family::Tds(tds) => tds.server(facts, bytes, mark),
            Family::Socks(socks) => socks.server(facts, bytes, mark),
        }
    }

    /// Whether a client's message is a farewell, or a question that shows no more than the wish for an answer.
    fn is_small_talk(&self, message: &[u8]) -> bool {
        match self {
            Family::Lines(lines) => lines.is_small_talk(message),
            Family::Xmpp(_) => xmpp::is_farewell(message),
            Family::Ldap(_) => ldap::is_farewell(message),
            Family::PostgreSql(_) => message.first() == Some(&b'X'),
            Family::MySql(_) | Family::Rdp(_) | Family::Tds(_) | Family::Socks(_) => false,
        }
    }

    /// Whether a server's first bytes are an answer in this protocol, in which the client speaks first.
    fn answers(&self, first: u8) -> Option<Speech> {
        let (speech, answers) = match self {
            Family::Ldap(_) => (Speech::Ldap, first == 0x30),
            Family::PostgreSql(_) => (
                Speech::PostgreSql,
                matches!(first, b'S' | b'N' | b'G' | b'E'),
            ),
            Family::Rdp(_) => (Speech::Rdp, first == 3),
            Family::Tds(_) => (Speech::Tds, first == 4),
            Family::Socks(_) => (Speech::Socks, matches!(first, 0 | 5)),
            Family::Lines(_) | Family::Xmpp(_) | Family::MySql(_) => return None,
        };
        answers.then_some(speech)
    }
}

impl Dialogue {
    /// A direction begins with this protocol; false where no change to TLS can come of it.
    pub(crate) fn begin(&mut self, role: Role, speech: Speech) -> bool {
        if let Some(talk) = &mut self.talk
            && *own(&mut talk.over, role)
        {
            // A tunnel: the protocol inside may change to TLS on its own. Whoever agreed on TLS speaks that, or nothing known.
            if talk.facts.protocol != UpgradeProtocol::Socks {
                return false;
            }
            self.inside = talk.over.map(|over| !over);
            self.outer = self.talk.take().map(|talk| Box::new(talk.facts));
        }
        let Some((family, protocol)) = Family::of(speech) else {
            return speech == Speech::Unknown
                && role == Role::Client
                && self.talk.as_ref().is_some_and(|talk| !talk.finished);
        };
        match &mut self.talk {
            // The server's greeting names the protocol better than the client's first command.
            Some(talk) => {
                if let (Family::Lines(have), Family::Lines(new)) = (&mut talk.family, &family) {
                    have.learn(new, &mut talk.facts);
                }
                !talk.finished
            }
            None => {
                self.talk = Some(Box::new(Talk {
                    facts: Upgrade::new(protocol),
                    family,
                    read: [0; 2],
                    over: [false; 2],
                    finished: false,
                }));
                true
            }
        }
    }

    /// What a server's first bytes are, where the client has begun a protocol in which it speaks first.
    pub(crate) fn answers(&self, bytes: &[u8]) -> Option<Speech> {
        let talk = self.talk.as_ref()?;
        if talk.finished || talk.over.contains(&true) {
            return None;
        }
        talk.family.answers(*bytes.first()?)
    }

    /// Reads what a direction said, in order.
    pub(crate) fn read(&mut self, role: Role, bytes: &[u8], mark: Mark) -> Outcome {
        if std::mem::take(own(&mut self.inside, role)) {
            return Outcome::Over(0);
        }
        let Some(talk) = &mut self.talk else {
            return Outcome::Done;
        };
        let outcome = talk.read(role, bytes, mark);
        match outcome {
            Outcome::Used(used) => {
                let read = own(&mut talk.read, role);
                *read = read.saturating_add(used);
                talk.finished |= *read > MAX_PLAINTEXT;
            }
            Outcome::Over(_) => *own(&mut talk.over, role) = true,
            Outcome::Done => talk.finished = true,
            Outcome::More | Outcome::Wait => {}
        }
        outcome
    }

    /// Whether a direction that waited for the other one can go on.
    pub(crate) fn is_ready(&self, role: Role) -> bool {
        self.talk
            .as_ref()
            .is_none_or(|talk| talk.finished || !talk.waits(role))
    }

    /// What was said; `connect` of a tunnel through an HTTP proxy, in which the rest was.
    pub(crate) fn facts(&self, connect: Option<&Upgrade>) -> Option<Box<Upgrade>> {
        let spoken = |talk: &&Talk| {
            let facts = &talk.facts;
            facts.offered.is_some() || facts.asked.is_some() || facts.reply.is_some()
        };
        let outer = self.outer.as_deref().or(connect);
        let Some(talk) = self.talk.as_deref().filter(spoken) else {
            return outer.cloned().map(Box::new);
        };
        let mut facts = Box::new(talk.facts.clone());
        if let Some(outer) = outer
            && facts.target.is_none()
        {
            facts.target.clone_from(&outer.target);
        }
        Some(facts)
    }

    #[cfg(test)]
    pub(crate) fn retained(&self) -> usize {
        let facts = |facts: &Upgrade| {
            facts.reply.as_ref().map_or(0, |text| text.len())
                + facts.target.as_ref().map_or(0, |text| text.len())
        };
        self.talk.as_ref().map_or(0, |talk| {
            size_of::<Talk>() + facts(&talk.facts) + 4 * MAX_TEXT
        }) + self
            .outer
            .as_ref()
            .map_or(0, |outer| size_of::<Upgrade>() + facts(outer))
    }
}

impl Talk {
    fn waits(&self, role: Role) -> bool {
        match (role, self.facts.verdict) {
            (_, UpgradeVerdict::Accepted) => false,
            (Role::Client, UpgradeVerdict::Unanswered) => true,
            _ => self.family.waits(role),
        }
    }

    fn read(&mut self, role: Role, bytes: &[u8], mark: Mark) -> Outcome {
        if self.waits(role) && !self.finished {
            return Outcome::Wait;
        }
        // Some clients shake hands whatever the answer was, or without a question.
        match is_hello(bytes) {
            _ if role == Role::Server => {}
            Some(true) => return Outcome::Over(0),
            Some(false) => {}
            None => return Outcome::More,
        }
        let refused = self.facts.verdict == UpgradeVerdict::Refused && role == Role::Client;
        let outcome = match role {
            _ if self.finished => Outcome::Done,
            _ if self.facts.verdict == UpgradeVerdict::Accepted => return Outcome::Over(0),
            Role::Client => self.family.client(&mut self.facts, bytes, mark),
            Role::Server => self.family.server(&mut self.facts, bytes, mark),
        };
        let said = match outcome {
            Outcome::Used(used) => bytes.get(..used),
            Outcome::Done => Some(bytes),
            Outcome::More | Outcome::Wait | Outcome::Over(_) => None,
        };
        if let Some(said) = said.filter(|_| refused)
            && self.facts.verdict == UpgradeVerdict::Refused
            && !self.family.is_small_talk(said)
        {
            self.facts.went_on.get_or_insert(mark);
        }
        outcome
    }
}

impl Upgrade {
    /// Nothing was said yet.
    pub(crate) fn new(protocol: UpgradeProtocol) -> Upgrade {
        Upgrade {
            protocol,
            offered: None,
            asked: None,
            answered: None,
            verdict: UpgradeVerdict::NotAsked,
            reply: None,
            went_on: None,
            target: None,
        }
    }

    /// The client asks, perhaps once more.
    fn ask(&mut self, mark: Mark) {
        self.asked = Some(mark);
        self.answered = None;
        self.reply = None;
        self.went_on = None;
        self.verdict = UpgradeVerdict::Unanswered;
    }

    fn answer(&mut self, verdict: UpgradeVerdict, reply: Option<Box<str>>, mark: Mark) {
        self.answered = Some(mark);
        self.verdict = verdict;
        self.reply = reply;
    }
}

/// What is a direction's own of both.
fn own<T>([client, server]: &mut [T; 2], role: Role) -> &mut T {
    match role {
        Role::Client => client,
        Role::Server => server,
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

/// A bounded copy.
fn text(bytes: &[u8]) -> Box<str> {
    let kept = bytes.get(..MAX_TEXT).unwrap_or(bytes);
    String::from_utf8_lossy(kept).into()
}

/// The length of a message whose header tells it, once all of it is there.
fn whole(bytes: &[u8], length: usize) -> Result<&[u8], Outcome> {
    if length > MAX_MESSAGE {
        return Err(Outcome::Done);
    }
    bytes.get(..length).ok_or(Outcome::More)
}

#[cfg(test)]
mod tests;
