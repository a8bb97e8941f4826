//! DNS over TCP (RFC 7766): messages, each behind its length in two bytes.

use super::{DnsFacts, DnsMessage, DnsSeen};
use crate::facts::AppFacts;
use crate::http_facts::Awaiting;
use crate::parser::{Parser, ReaderPosition};
use crate::protocol::{Protocol, Reading};
use crate::shared_state::SharedState;
use crate::types::{
    AppProtocol, Framing, Input, Mark, Role, Step, Transport, Unfinished, Unreadable, What,
};

pub(crate) static DNS: Protocol = Protocol {
    id: AppProtocol::Dns,
    name: "DNS",
    transports: &[Transport::Tcp],
    first: Some(Role::Client),
    probe: is_message,
    reading: Reading::Parser(|| Box::new(OverTcp::default())),
};

/// How many queries may wait for their answers; what is asked beyond that is read and not waited for.
const MOST_OPEN: usize = 256;

/// What both directions know together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Open {
    facts: DnsFacts,
    /// Queries without an answer, the oldest first.
    unanswered: Vec<(u16, Mark)>,
}

/// One direction.
#[derive(Clone, Debug, Default)]
struct OverTcp {
    /// Where the message began that is not complete.
    begun: Option<Mark>,
}

/// Whether the first bytes of a direction are a message behind its length; `None` while they may be. Every bit is looked at
/// that a query or a response cannot have.
fn is_message(role: Role, bytes: &[u8]) -> Option<bool> {
    const LEAST: u16 = 17;
    let (Some(&[high, low]), rest) = (bytes.first_chunk::<2>(), bytes.get(2..).unwrap_or(&[]))
    else {
        return match (bytes, role) {
            // A query is shorter than 4 kB.
            ([0..=0x0f], Role::Client) | ([_], Role::Server) | ([], _) => None,
            _ => Some(false),
        };
    };
    let length = u16::from_be_bytes([high, low]);
    let fits = |at: usize, test: fn(u8) -> bool| rest.get(at).is_none_or(|byte| test(*byte));
    let plausible = match role {
        // No flag but RD, AD and CD; opcodes 0, 4 and 5; one question, no answer, few others.
        Role::Client => {
            (LEAST..0x1000).contains(&length)
                && fits(2, |flags| matches!(flags & 0xfe, 0x00 | 0x20 | 0x24 | 0x28))
                && fits(3, |flags| flags & 0xcf == 0)
                && fits(4, |high| high == 0)
                && fits(5, |low| low == 1)
                && fits(6, |high| high == 0)
                && fits(7, |low| low <= 16)
                && fits(8, |high| high == 0)
                && fits(9, |low| low <= 16)
                && fits(10, |high| high == 0)
                && fits(11, |low| low <= 3)
        }
        Role::Server => {
            length >= 12
                && fits(2, |flags| matches!(flags & 0xf8, 0x80 | 0xa0 | 0xa8))
                && fits(3, |flags| flags & 0x40 == 0)
                && fits(4, |high| high == 0)
                && fits(5, |low| low <= 1)
                && fits(10, |high| high == 0)
        }
    };
    match plausible {
        false => Some(false),
        true if rest.len() < DnsMessage::HEADER => None,
        true => Some(true),
    }
}

/// Whether bytes from the middle of a stream of port 53 are plainly messages: whole ones behind their lengths, and the first
/// one a query or a response as this end sends it.
#[must_use]
pub fn begins_with_messages(role: Role, bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let Some((_, next)) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        else {
            return false;
        };
        rest = next;
    }
    rest.is_empty() && is_message(role, bytes) == Some(true)
}

impl OverTcp {
    /// Takes in a message of which `bytes` were seen, `length` bytes long.
    fn take(
        &mut self,
        (role, mark): (Role, Mark),
        bytes: &[u8],
        length: u16,
        shared: &mut SharedState,
    ) -> Result<(), Unreadable> {
        let message = DnsMessage::read(bytes, u32::from(length)).ok_or(Unreadable::Malformed)?;
        if message.is_response != (role == Role::Server) {
            return Err(Unreadable::Malformed);
        }
        self.begun = None;
        let open = shared.dns.get_or_insert_default();
        if message.is_response {
            open.facts.responses += 1;
            open.unanswered.retain(|(id, _)| *id != message.id);
        } else {
            open.facts.queries += 1;
            open.facts.last_question = message.question.clone().map(Box::new);
            if open.unanswered.len() < MOST_OPEN {
                open.unanswered.push((message.id, mark));
            }
        }
        shared.context.note_dns(DnsSeen { mark, message });
        Ok(())
    }
}

impl Parser for OverTcp {
    fn read(&mut self, input: Input<'_>, shared: &mut SharedState) -> Step {
        self.begun.get_or_insert(input.mark);
        let Some((length, rest)) = input.bytes.split_first_chunk::<2>() else {
            return Step::More;
        };
        let length = u16::from_be_bytes(*length);
        let Some(bytes) = rest.get(..usize::from(length)) else {
            return Step::More;
        };
        match self.take((input.role, input.mark), bytes, length, shared) {
            Ok(()) => Step::To(input.after(2 + usize::from(length))),
            Err(reason) => Step::Unreadable(reason),
        }
    }

    fn framing(&self, position: ReaderPosition, _shared: &SharedState) -> Framing {
        match self.begun {
            Some(begun) if position.pending => Framing::Inside(Unfinished {
                what: What::Header,
                begun,
            }),
            _ => Framing::Boundary,
        }
    }

    /// What was seen of a message that was cut still tells what it is about.
    fn stop(&mut self, role: Role, unread: &[u8], shared: &mut SharedState) {
        let Some((length, rest)) = unread.split_first_chunk::<2>() else {
            return;
        };
        let length = u16::from_be_bytes(*length);
        if let Some(mark) = self.begun
            && rest.len() < usize::from(length)
        {
            // A message that cannot be read is not one that was cut: nothing more is known of it.
            let _ = self.take((role, mark), rest, length, shared);
        }
    }
}

impl Open {
    /// Adds to the facts what was read.
    pub(crate) fn report(&self, facts: &mut AppFacts) {
        facts.dns = Some(Box::new(self.facts.clone()));
        let may_wait = !matches!(facts.server.framing, Framing::Unknown(_));
        if let Some((_, sent)) = self.unanswered.first()
            && may_wait
            && facts.awaiting.is_none()
        {
            facts.awaiting = Some(Awaiting {
                request: None,
                sent: *sent,
            });
        }
    }

    #[cfg(test)]
    pub(crate) fn retained(&self) -> usize {
        size_of::<Open>() + self.unanswered.capacity() * size_of::<(u16, Mark)>()
    }
}
