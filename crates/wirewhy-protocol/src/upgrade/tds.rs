//! TDS (MS-TDS section 2.2.6.5): PRELOGIN messages settle whether TLS follows, inside of TDS packets.

use super::facts::{Upgrade, UpgradeProtocol, UpgradeVerdict};
use super::start_tls::{Dialect, ReadOutcome, StartTls, whole};
use crate::protocol::{Protocol, Reading};
use crate::types::{AppProtocol, Mark, Role, Transport};

pub(super) const PRELOGIN: u8 = 0x12;
const REPLY: u8 = 0x04;

/// What stands before a packet's payload.
pub(super) const HEADER: usize = 8;

/// What a side says of encryption.
const NOT_SUPPORTED: u8 = 2;
const REQUIRED: u8 = 3;

pub(crate) static TDS: Protocol = Protocol {
    id: AppProtocol::Tds,
    name: "TDS",
    transports: &[Transport::Tcp],
    first: Some(Role::Client),
    probe: |_, bytes| is_request(bytes),
    reading: Reading::StartTls(Dialect {
        protocol: UpgradeProtocol::Tds,
        answers: |first| first == REPLY,
        reader: || Box::new(Tds::default()),
    }),
};

#[derive(Clone, PartialEq, Debug, Default)]
struct Tds {
    asked: bool,
}

/// Whether a client's first bytes are a PRELOGIN packet; `None` while they may be.
fn is_request(bytes: &[u8]) -> Option<bool> {
    let fits = bytes.iter().zip(0_u8..9).all(|(&byte, index)| match index {
        0 => byte == PRELOGIN,
        1 => byte <= 1,
        // The first option is the version.
        4..=5 | 7..=8 => byte == 0,
        _ => true,
    });
    match (fits, bytes.len()) {
        (false, _) => Some(false),
        (true, 9..) => Some(true),
        (true, _) => None,
    }
}

/// A packet's length, and its payload.
fn packet(bytes: &[u8], kind: u8) -> Result<(usize, &[u8]), ReadOutcome> {
    let Some((&[have, _, high, low, ..], _)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(ReadOutcome::More);
    };
    if have != kind {
        return Err(ReadOutcome::Done);
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    let packet = whole(bytes, length)?;
    Ok((length, packet.get(HEADER..).ok_or(ReadOutcome::Done)?))
}

/// The ENCRYPTION option of a PRELOGIN message.
fn encryption(payload: &[u8]) -> Option<u8> {
    for option in payload.chunks(5) {
        match *option {
            [1, high, low, ..] => {
                return payload
                    .get(usize::from(u16::from_be_bytes([high, low])))
                    .copied();
            }
            [0xff, ..] => return None,
            _ => {}
        }
    }
    None
}

impl StartTls for Tds {
    fn client(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome {
        if self.asked {
            return ReadOutcome::Done;
        }
        let (length, payload) = match packet(bytes, PRELOGIN) {
            Ok(packet) => packet,
            Err(outcome) => return outcome,
        };
        self.asked = true;
        if encryption(payload).is_some_and(|says| says & 0x0f != NOT_SUPPORTED) {
            facts.ask(mark);
        }
        ReadOutcome::Used(length)
    }

    fn server(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome {
        let (length, payload) = match packet(bytes, REPLY) {
            Ok(packet) => packet,
            Err(outcome) => return outcome,
        };
        let says = encryption(payload);
        let words = match says.map(|says| says & 0x0f) {
            Some(0) => "encryption of the login only",
            Some(1) => "encryption on",
            Some(NOT_SUPPORTED) => "encryption not supported",
            Some(REQUIRED) => "encryption required",
            _ => "no word of encryption",
        };
        let asked = facts.verdict == UpgradeVerdict::Unanswered;
        match says {
            Some(0 | 1 | REQUIRED) if asked => {
                facts.answer(UpgradeVerdict::Accepted, Some(words.into()), mark);
                return ReadOutcome::Used(length);
            }
            _ if asked => facts.answer(UpgradeVerdict::Refused, Some(words.into()), mark),
            Some(REQUIRED) => facts.reply = Some(words.into()),
            _ => {}
        }
        // The answer to the login is a protocol of its own, which follows TLS as well.
        ReadOutcome::Over(length)
    }
}
