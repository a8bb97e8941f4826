//! LDAP's StartTLS (RFC 4511 section 4.14): an extended operation, answered by its message's number.

use super::facts::{Upgrade, UpgradeProtocol, UpgradeVerdict};
use super::start_tls::{Dialect, MAX_MESSAGE, Outcome, StartTls, text};
use crate::protocol::{Protocol, Reading};
use crate::types::{AppProtocol, Mark, Role, Transport};

const OID: &[u8] = b"1.3.6.1.4.1.1466.20037";

const UNBIND_REQUEST: u8 = 0x42;
const EXTENDED_REQUEST: u8 = 0x77;
const EXTENDED_RESPONSE: u8 = 0x78;

pub(crate) static LDAP: Protocol = Protocol {
    id: AppProtocol::Ldap,
    name: "LDAP",
    transports: &[Transport::Tcp],
    first: Some(Role::Client),
    probe: |_, bytes| is_message(bytes),
    reading: Reading::StartTls(Dialect {
        protocol: UpgradeProtocol::Ldap,
        answers: |first| first == 0x30,
        reader: || Box::new(Ldap::default()),
    }),
};

#[derive(Clone, PartialEq, Debug, Default)]
struct Ldap {
    /// The number of the message that asks.
    asked: Option<Box<[u8]>>,
}

/// Whether a direction's first bytes are a message; `None` while they may be.
fn is_message(bytes: &[u8]) -> Option<bool> {
    let Some((0x30, rest)) = bytes.split_first() else {
        return if bytes.is_empty() { None } else { Some(false) };
    };
    let &length = rest.first()?;
    let extra = match length {
        0..=0x7f => 0,
        0x81..=0x84 => usize::from(length & 0x0f),
        _ => return Some(false),
    };
    // The number is short, and an operation of the application's class follows.
    match rest.get(1 + extra..) {
        None | Some([]) => None,
        Some([0x02]) => None,
        Some(&[0x02, count @ 1..=4, ref rest @ ..]) => {
            let operation = rest.get(usize::from(count))?;
            Some(matches!(operation, 0x42 | 0x4a | 0x50 | 0x60..=0x79))
        }
        Some(_) => Some(false),
    }
}

/// An element: its tag, its content and its whole length; `None` where it is not all there.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (&[tag, first], rest) = bytes.split_first_chunk::<2>()?;
    let (length, header) = length(first, rest)?;
    let content = bytes.get(header..header.checked_add(length)?)?;
    Some((tag, content, header + length))
}

/// A length and the size of the tag and length in front of the content.
fn length(first: u8, rest: &[u8]) -> Option<(usize, usize)> {
    if first < 0x80 {
        return Some((usize::from(first), 2));
    }
    let count = usize::from(first & 0x7f);
    if count > 4 {
        return Some((usize::MAX, 2));
    }
    let bytes = rest.get(..count)?;
    let length = bytes
        .iter()
        .fold(0_usize, |length, &byte| length << 8 | usize::from(byte));
    Some((length, 2 + count))
}

struct Message<'a> {
    number: &'a [u8],
    /// The operation's tag and content.
    tag: u8,
    operation: &'a [u8],
    /// The length of the whole.
    used: usize,
}

fn message(bytes: &[u8]) -> Result<Message<'_>, Outcome> {
    let Some((&[tag, first], rest)) = bytes.split_first_chunk::<2>() else {
        return Err(Outcome::More);
    };
    if tag != 0x30 {
        return Err(Outcome::Done);
    }
    let (length, header) = length(first, rest).ok_or(Outcome::More)?;
    // A long message is no question and no answer to one, and it ends the time for them.
    if length > MAX_MESSAGE {
        return Err(Outcome::Done);
    }
    let content = bytes.get(header..header + length).ok_or(Outcome::More)?;
    let (0x02, number, behind) = element(content).ok_or(Outcome::Done)? else {
        return Err(Outcome::Done);
    };
    let (tag, operation, _) = element(content.get(behind..).unwrap_or(&[])).ok_or(Outcome::Done)?;
    Ok(Message {
        number,
        tag,
        operation,
        used: header + length,
    })
}

impl StartTls for Ldap {
    fn client(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> Outcome {
        let Message {
            number,
            tag,
            operation,
            used,
        } = match message(bytes) {
            Ok(message) => message,
            Err(outcome) => return outcome,
        };
        if tag == EXTENDED_REQUEST
            && let Some((0x80, OID, _)) = element(operation)
        {
            self.asked = Some(number.into());
            facts.ask(mark);
        }
        Outcome::Used(used)
    }

    fn server(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> Outcome {
        let Message {
            number,
            tag,
            operation,
            used,
        } = match message(bytes) {
            Ok(message) => message,
            Err(outcome) => return outcome,
        };
        let to_us = self.asked.as_deref() == Some(number) || number == [0];
        if facts.verdict != UpgradeVerdict::Unanswered || tag != EXTENDED_RESPONSE || !to_us {
            return Outcome::Used(used);
        }
        let Some((0x0a, code, first)) = element(operation) else {
            return Outcome::Done;
        };
        let rest = operation.get(first..).unwrap_or(&[]);
        let matched = element(rest).map_or(0, |(_, _, used)| used);
        let says = element(rest.get(matched..).unwrap_or(&[])).map_or(&[][..], |(_, says, _)| says);
        let code = code
            .iter()
            .fold(0_u64, |code, &byte| code << 8 | u64::from(byte));
        let reply = result(code, says);
        if code == 0 {
            facts.answer(UpgradeVerdict::Accepted, Some(reply), mark);
            Outcome::Over(used)
        } else {
            facts.answer(UpgradeVerdict::Refused, Some(reply), mark);
            Outcome::Used(used)
        }
    }

    fn is_small_talk(&self, bytes: &[u8]) -> bool {
        message(bytes).is_ok_and(|message| message.tag == UNBIND_REQUEST)
    }
}

/// A result code's name (RFC 4511 appendix A) and what the server adds.
fn result(code: u64, says: &[u8]) -> Box<str> {
    let name = match code {
        0 => "success".to_owned(),
        1 => "operationsError".to_owned(),
        2 => "protocolError".to_owned(),
        8 => "strongerAuthRequired".to_owned(),
        10 => "referral".to_owned(),
        51 => "busy".to_owned(),
        52 => "unavailable".to_owned(),
        53 => "unwillingToPerform".to_owned(),
        80 => "other".to_owned(),
        _ => format!("result {code}"),
    };
    if says.is_empty() {
        return name.into();
    }
    text(format!("{name}: {}", String::from_utf8_lossy(says)).as_bytes())
}
