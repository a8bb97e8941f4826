//! RDP's negotiation of its security (MS-RDPBCGR section 2.2.1.1 and 2.2.1.2): X.224 in TPKT.

use super::facts::{Upgrade, UpgradeProtocol, UpgradeVerdict};
use super::start_tls::{Dialect, ReadOutcome, StartTls, whole};
use crate::protocol::{Protocol, Reading};
use crate::types::{AppProtocol, Mark, Role, Transport};

pub(crate) static RDP: Protocol = Protocol {
    id: AppProtocol::Rdp,
    name: "RDP",
    transports: &[Transport::Tcp],
    first: Some(Role::Client),
    probe: |_, bytes| is_request(bytes),
    reading: Reading::StartTls(Dialect {
        protocol: UpgradeProtocol::Rdp,
        answers: |first| first == 3,
        reader: || Box::new(Rdp),
    }),
};

#[derive(Clone, PartialEq, Debug)]
struct Rdp;

/// Whether a client's first bytes are a connection request; `None` while they may be.
fn is_request(bytes: &[u8]) -> Option<bool> {
    let fits = bytes.iter().zip(0_u8..6).all(|(&byte, index)| match index {
        0 => byte == 3,
        1 | 2 => byte == 0,
        5 => byte & 0xf0 == 0xe0,
        _ => true,
    });
    match (fits, bytes.len()) {
        (false, _) => Some(false),
        (true, 6..) => Some(true),
        (true, _) => None,
    }
}

/// The X.224 message in a TPKT: its code, and what follows its fixed part.
fn message(bytes: &[u8]) -> Result<(usize, u8, &[u8]), ReadOutcome> {
    let Some((&[version, _, high, low], _)) = bytes.split_first_chunk::<4>() else {
        return Err(ReadOutcome::More);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if version != 3 || length < 11 {
        return Err(ReadOutcome::Done);
    }
    let message = whole(bytes, length)?;
    let code = message.get(5).copied().unwrap_or(0);
    Ok((length, code & 0xf0, message.get(11..).unwrap_or(&[])))
}

/// The negotiation at the end of a message: its type and its value.
fn negotiation(rest: &[u8]) -> Option<(u8, u32)> {
    // Of a request a cookie or routing token may stand in front; the correlation info behind it is 36 bytes.
    let at = if rest.first().is_some_and(|&kind| matches!(kind, 1..=3)) {
        0
    } else {
        rest.windows(2)
            .position(|end| end == b"\r\n")?
            .checked_add(2)?
    };
    let (&[kind, _, 8, 0, a, b, c, d], _) = rest.get(at..)?.split_first_chunk::<8>()? else {
        return None;
    };
    Some((kind, u32::from_le_bytes([a, b, c, d])))
}

/// The protocol chosen (section 2.2.1.2.1).
fn protocol(chosen: u32) -> String {
    let words = match chosen {
        1 => "TLS",
        2 => "CredSSP",
        4 => "RDSTLS",
        8 => "CredSSP with early user authorization",
        16 => "RDS-AAD-Auth",
        _ => return format!("protocol {chosen}"),
    };
    words.to_owned()
}

/// What a failure code says (section 2.2.1.2.2).
fn failure(code: u32) -> String {
    let words = match code {
        1 => "TLS required by server",
        2 => "TLS not allowed by server",
        3 => "no TLS certificate on server",
        4 => "inconsistent flags",
        5 => "CredSSP required by server",
        6 => "TLS with user authentication required by server",
        _ => return format!("failure {code}"),
    };
    words.to_owned()
}

impl StartTls for Rdp {
    fn client(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome {
        let (length, code, rest) = match message(bytes) {
            Ok(message) => message,
            Err(outcome) => return outcome,
        };
        if code != 0xe0 {
            return ReadOutcome::Done;
        }
        // Every bit asks for a protocol on top of TLS; none of them is RDP's own security.
        if let Some((1, 1..)) = negotiation(rest) {
            facts.ask(mark);
        }
        ReadOutcome::Used(length)
    }

    fn server(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome {
        let (length, code, rest) = match message(bytes) {
            Ok(message) => message,
            Err(outcome) => return outcome,
        };
        if code != 0xd0 {
            return ReadOutcome::Done;
        }
        let asked = facts.verdict == UpgradeVerdict::Unanswered;
        match negotiation(rest) {
            Some((2, chosen @ 1..)) if asked => {
                let reply = Some(protocol(chosen).into());
                facts.answer(UpgradeVerdict::Accepted, reply, mark);
                ReadOutcome::Over(length)
            }
            Some((3, code)) => {
                let reply = Some(failure(code).into());
                if asked {
                    facts.answer(UpgradeVerdict::Refused, reply, mark);
                } else {
                    facts.reply = reply;
                }
                ReadOutcome::Used(length)
            }
            _ if asked => {
                let reply = Some("standard RDP security".into());
                facts.answer(UpgradeVerdict::Refused, reply, mark);
                ReadOutcome::Used(length)
            }
            _ => ReadOutcome::Done,
        }
    }
}
