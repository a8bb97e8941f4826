//! A protocol over UDP for tests: of the datagrams themselves here, of those who follow conversations elsewhere.

use crate::facts::AppFacts;
use crate::http_facts::Awaiting;
use crate::parser::{Parser, ReaderPosition};
use crate::protocol::{Protocol, Reading, begins_with};
use crate::shared_state::SharedState;
use crate::types::{AppProtocol, Framing, Input, Mark, Role, Step, Transport, Unreadable};

/// A protocol of questions "?n" and answers "!n", where n is one byte.
static QUIZ: Protocol = Protocol {
    id: AppProtocol::Ldap,
    name: "quiz",
    transports: &[Transport::Udp],
    first: Some(Role::Client),
    probe: |role, bytes| match role {
        Role::Client => begins_with(bytes, b"?"),
        Role::Server => begins_with(bytes, b"!"),
    },
    reading: Reading::Parser(|| Box::new(Quiz::default())),
};

/// The same over TCP.
static QUIZ_OVER_TCP: Protocol = Protocol {
    id: AppProtocol::Tds,
    name: "quiz",
    transports: &[Transport::Tcp],
    first: Some(Role::Client),
    probe: QUIZ.probe,
    reading: Reading::Parser(|| Box::new(Quiz::default())),
};

pub(crate) static PROTOCOLS: [&Protocol; 2] = [&QUIZ_OVER_TCP, &QUIZ];

#[derive(Clone, Debug, Default)]
struct Quiz {
    open: Vec<(u8, Mark)>,
    answered: u64,
    missed: u64,
}

impl Parser for Quiz {
    fn read(&mut self, input: Input<'_>, _shared: &mut SharedState) -> Step {
        match (input.role, input.bytes) {
            (Role::Client, &[b'?', n]) => self.open.push((n, input.mark)),
            (Role::Server, &[b'!', n]) => {
                self.open.retain(|&(question, _)| question != n);
                self.answered += 1;
            }
            _ => return Step::Unreadable(Unreadable::Malformed),
        }
        Step::To(input.end())
    }

    fn skip(&mut self, _: Unreadable, _: Mark, role: Role, _: &mut SharedState) -> Option<u64> {
        self.missed += 1;
        (role == Role::Server).then_some(0)
    }

    fn framing(&self, position: ReaderPosition, _shared: &SharedState) -> Framing {
        position
            .unreadable
            .map_or(Framing::Boundary, Framing::Unknown)
    }

    fn report(&self, position: ReaderPosition, facts: &mut AppFacts) {
        match position.role {
            Role::Client => {
                facts.awaiting = self.open.first().map(|&(_, sent)| Awaiting {
                    request: None,
                    sent,
                });
            }
            Role::Server => facts.http.responses = self.answered + self.missed,
        }
    }
}
