//! DNS messages (RFC 1035, RFC 6891), as far as they tell why a name was not resolved.
//!
//! A message is read as far as it goes: one that the snap length cut, or that is damaged further on, still gives its
//! number, flags, response code and question.

mod codes;
mod message;
mod name;
mod over_tcp;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use crate::types::Mark;

pub use codes::{class_name, error_name, opcode_name, rcode_name, type_name};
pub use over_tcp::begins_with_messages;
pub(crate) use over_tcp::{DNS, Open};

/// A DNS message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DnsMessage {
    /// The number that ties an answer to its query.
    pub id: u16,
    /// Whether it answers a query (QR).
    pub is_response: bool,
    /// What is asked for: 0 is a query (RFC 1035 section 4.1.1).
    pub opcode: u8,
    /// The response code, with the high bits that EDNS adds (RFC 6891 section 6.1.3).
    pub rcode: u16,
    /// AA: the server speaks for the zone.
    pub authoritative: bool,
    /// TC: the answer did not fit.
    pub truncated: bool,
    /// RD: the client wants a resolver's work.
    pub recursion_desired: bool,
    /// RA: the server does it.
    pub recursion_available: bool,
    /// AD: the resolver has validated the answer (RFC 4035 section 3.2.3).
    pub authentic: bool,
    /// How many questions it has.
    pub questions: u16,
    /// The first of them.
    pub question: Option<DnsQuestion>,
    /// How many answers the header announces.
    pub announced_answers: u16,
    /// The first answers, at most [`DnsMessage::ANSWERS`].
    pub answers: Vec<DnsAnswer>,
    /// The start of authority in the authority section: who says that something does not exist (RFC 2308).
    pub authority: Option<Box<DnsAuthority>>,
    /// Whether the authority section has name servers of a zone and no start of authority: a referral.
    pub refers: bool,
    /// What EDNS adds (RFC 6891).
    pub edns: Option<Edns>,
    /// The length of the message on the wire in bytes.
    pub length: u32,
    /// Whether the end of it was not captured.
    pub is_cut: bool,
    /// A hash over the response code and what the answers say, whatever their order and their times to live.
    pub digest: u64,
}

/// What a message asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DnsQuestion {
    /// The name, in the case in which it was sent and without the last dot: `www.example.com`, `.` for the root. Bytes other
    /// than letters, digits, `-` and `_` are written as `\ddd`.
    pub name: Box<str>,
    /// The type of record: 1 is A, 28 is AAAA.
    pub kind: u16,
    /// The class, without the top bit that multicast DNS uses otherwise (RFC 6762 section 5.4).
    pub class: u16,
}

/// One record of the answer section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DnsAnswer {
    /// The name it belongs to, written as in [`DnsQuestion::name`].
    pub owner: Box<str>,
    /// For how long it may be kept, in seconds.
    pub ttl: u32,
    /// What it says.
    pub data: DnsData,
}

/// What a record says.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum DnsData {
    /// A or AAAA.
    Address(IpAddr),
    /// CNAME or DNAME: another name.
    Alias(Box<str>),
    /// HTTPS or SVCB (RFC 9460): the name that serves, and addresses to begin with.
    Service {
        /// The target; `.` where it is the owner itself.
        target: Box<str>,
        /// The addresses of the hints.
        hints: Vec<IpAddr>,
    },
    /// A record of another type.
    Other(u16),
}

/// A start of authority.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DnsAuthority {
    /// The zone.
    pub zone: Box<str>,
    /// Its primary server (MNAME).
    pub primary: Box<str>,
}

/// What the OPT record says (RFC 6891).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edns {
    /// The largest message over UDP that the sender takes, in bytes.
    pub size: u16,
    /// Whether DNSSEC records are wanted (DO).
    pub dnssec_ok: bool,
    /// The first extended error (RFC 8914).
    pub error: Option<Box<ExtendedError>>,
}

/// An extended error (RFC 8914).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExtendedError {
    /// Its code: see [`error_name`].
    pub code: u16,
    /// What the server adds, at most [`ExtendedError::TEXT`] bytes. Text from the wire.
    pub text: Box<str>,
}

/// A message of a connection, and where it was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DnsSeen {
    /// The segment that completed it.
    pub mark: Mark,
    /// The message.
    pub message: DnsMessage,
}

/// What a connection carried in DNS messages.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DnsFacts {
    /// Queries.
    pub queries: u64,
    /// Responses.
    pub responses: u64,
    /// The question asked last.
    pub last_question: Option<Box<DnsQuestion>>,
}

impl DnsMessage {
    /// How many answers are kept.
    pub const ANSWERS: usize = 32;

    /// Whether it asks for, or answers with, records of names: neither NOTIFY nor UPDATE.
    #[must_use]
    pub fn is_query(&self) -> bool {
        self.opcode == 0
    }

    /// The addresses in its answers, with for how long they hold; of service records the hints.
    pub fn addresses(&self) -> impl Iterator<Item = (IpAddr, u32)> + '_ {
        self.answers.iter().flat_map(|answer| {
            let found = match &answer.data {
                DnsData::Address(address) => std::slice::from_ref(address),
                DnsData::Service { hints, .. } => hints.as_slice(),
                DnsData::Alias(_) | DnsData::Other(_) => &[],
            };
            found.iter().map(|address| (*address, answer.ttl))
        })
    }

    /// Whether an answer is of the type that was asked for; also where the question asks for any.
    #[must_use]
    pub fn has_answer(&self) -> bool {
        let Some(question) = &self.question else {
            return !self.answers.is_empty();
        };
        // Some of many may lie behind what is kept.
        usize::from(self.announced_answers) > Self::ANSWERS
            || self
                .answers
                .iter()
                .any(|answer| answer.is_of(question.kind))
    }
}

impl DnsAnswer {
    fn is_of(&self, kind: u16) -> bool {
        match (&self.data, kind) {
            (_, codes::ANY) => true,
            (DnsData::Address(address), codes::A) => address.is_ipv4(),
            (DnsData::Address(address), codes::AAAA) => address.is_ipv6(),
            (DnsData::Alias(_), codes::CNAME | codes::DNAME) => true,
            (DnsData::Service { .. }, codes::HTTPS | codes::SVCB) => true,
            (DnsData::Other(own), kind) => *own == kind,
            _ => false,
        }
    }
}

impl ExtendedError {
    /// How many bytes of its text are kept.
    pub const TEXT: usize = 255;
}
