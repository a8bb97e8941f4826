//! LDAP's StartTLS (RFC 4511 section 4.14): an extended operation, answered by its message's number.

use super::facts::{Upgrade, UpgradeProtocol, UpgradeVerdict};
use super::start_tls::{Dialect, MAX_MESSAGE, ReadOutcome, StartTls, text};
use crate::protocol::{Protocol, Reading};
use crate::session::Refusal;
use crate::types::{AppProtocol, Mark, Role, Transport};

const OID: &[u8] = b"1.3.6.1.4.1.1466.20037";

const UNBIND_REQUEST: u8 = 0x42;
const EXTENDED_REQUEST: u8 = 0x77;
const EXTENDED_RESPONSE: u8 = 0x78;
const BIND_RESPONSE: u8 = 0x61;
const SEARCH_DONE: u8 = 0x65;

/// The name of the Notice of Disconnection.
const NOTICE: &[u8] = b"1.3.6.1.4.1.1466.20036";

const SUCCESS: u64 = 0;
const OPERATIONS_ERROR: u64 = 1;
const STRONGER_AUTH_REQUIRED: u64 = 8;
const CONFIDENTIALITY_REQUIRED: u64 = 13;
const BIND_IN_PROGRESS: u64 = 14;
const BUSY: u64 = 51;
const UNAVAILABLE: u64 = 52;

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

#[derive(Clone, Debug, Default)]
struct Ldap {
    /// The number of the message that asks.
    asked: Option<Box<[u8]>>,
    /// Whether the server has taken a client's name and password.
    accepted: bool,
    refusal: Option<Refusal>,
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

fn message(bytes: &[u8]) -> Result<Message<'_>, ReadOutcome> {
    let Some((&[tag, first], rest)) = bytes.split_first_chunk::<2>() else {
        return Err(ReadOutcome::More);
    };
    if tag != 0x30 {
        return Err(ReadOutcome::Done);
    }
    let (length, header) = length(first, rest).ok_or(ReadOutcome::More)?;
    // A long message is no question and no answer to one, and it ends the time for them.
    if length > MAX_MESSAGE {
        return Err(ReadOutcome::Done);
    }
    let content = bytes
        .get(header..header + length)
        .ok_or(ReadOutcome::More)?;
    let (0x02, number, behind) = element(content).ok_or(ReadOutcome::Done)? else {
        return Err(ReadOutcome::Done);
    };
    let (tag, operation, _) =
        element(content.get(behind..).unwrap_or(&[])).ok_or(ReadOutcome::Done)?;
    Ok(Message {
        number,
        tag,
        operation,
        used: header + length,
    })
}

impl StartTls for Ldap {
    fn client(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome {
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
        ReadOutcome::Used(used)
    }

    fn server(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome {
        let Message {
            number,
            tag,
            operation,
            used,
        } = match message(bytes) {
            Ok(message) => message,
            Err(outcome) => return outcome,
        };
        self.note_result(number, tag, operation, mark);
        let to_us = self.asked.as_deref() == Some(number) || number == [0];
        if facts.verdict != UpgradeVerdict::Unanswered || tag != EXTENDED_RESPONSE || !to_us {
            return ReadOutcome::Used(used);
        }
        let Some((code, says)) = result_of(operation) else {
            return ReadOutcome::Done;
        };
        let reply = result(code, says);
        if code == 0 {
            facts.answer(UpgradeVerdict::Accepted, Some(reply), mark);
            ReadOutcome::Over(used)
        } else {
            facts.answer(UpgradeVerdict::Refused, Some(reply), mark);
            ReadOutcome::Used(used)
        }
    }

    fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    fn is_small_talk(&self, bytes: &[u8]) -> bool {
        message(bytes).is_ok_and(|message| message.tag == UNBIND_REQUEST)
    }
}

/// The code and the diagnostic message of an LDAPResult (RFC 4511 section 4.1.9).
fn result_of(operation: &[u8]) -> Option<(u64, &[u8])> {
    let (0x0a, code, first) = element(operation)? else {
        return None;
    };
    let rest = operation.get(first..).unwrap_or(&[]);
    let matched = element(rest).map_or(0, |(_, _, used)| used);
    let says = element(rest.get(matched..).unwrap_or(&[])).map_or(&[][..], |(_, says, _)| says);
    let code = code
        .iter()
        .fold(0_u64, |code, &byte| code << 8 | u64::from(byte));
    Some((code, says))
}

/// The Notice of Disconnection, as a whole segment.
pub(crate) fn notice(payload: &[u8], mark: Mark) -> Option<Refusal> {
    let message = message(payload).ok()?;
    let mut parts = message.operation.windows(NOTICE.len());
    let is_notice = message.tag == EXTENDED_RESPONSE
        && message.number == [0]
        && message.used == payload.len()
        && parts.any(|part| part == NOTICE);
    let (code, says) = result_of(message.operation).filter(|_| is_notice)?;
    let code = i64::try_from(code).unwrap_or(i64::MAX);
    Some(Refusal::numbered(AppProtocol::Ldap, code, says, mark))
}

impl Ldap {
    /// What a response makes of the session: a bind that is refused, an operation that wants a better protected session, or
    /// the server's notice that it ends it (RFC 4511 section 4.4.1).
    fn note_result(&mut self, number: &[u8], tag: u8, operation: &[u8], mark: Mark) {
        let Some((code, says)) = result_of(operation) else {
            return;
        };
        let has = |words: &[u8], text: &[u8]| text.windows(words.len()).any(|part| part == words);
        let refuses = match (tag, code) {
            (BIND_RESPONSE, SUCCESS) => {
                self.accepted = true;
                self.refusal = None;
                return;
            }
            (BIND_RESPONSE, BIND_IN_PROGRESS) => false,
            (BIND_RESPONSE, _) => true,
            // In answer to message 0 the name of the notice follows.
            (EXTENDED_RESPONSE, _) if number == [0] => has(NOTICE, operation),
            (SEARCH_DONE, STRONGER_AUTH_REQUIRED | CONFIDENTIALITY_REQUIRED) => !self.accepted,
            (SEARCH_DONE, BUSY | UNAVAILABLE) => !self.accepted,
            (SEARCH_DONE, OPERATIONS_ERROR) => {
                !self.accepted && has(b"successful bind must be completed", says)
            }
            _ => false,
        };
        if refuses {
            let code = i64::try_from(code).unwrap_or(i64::MAX);
            self.refusal = Some(Refusal {
                accepted_before: self.accepted,
                ..Refusal::numbered(AppProtocol::Ldap, code, says, mark)
            });
        }
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
