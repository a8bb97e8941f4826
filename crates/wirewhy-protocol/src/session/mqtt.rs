//! MQTT 3.1, 3.1.1 and 5: CONNACK, and the DISCONNECT with which a server ends a session.

use super::Refusal;
use crate::parser::{Parser, ReaderPosition};
use crate::protocol::{Protocol, Reading, any, begins_with};
use crate::shared_state::SharedState;
use crate::types::{AppProtocol, Framing, Input, Mark, Role, Step, Transport, Unreadable};

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
pub(super) const DISCONNECT: u8 = 0xe0;

/// The longest answer looked at.
const MAX_ANSWER: usize = 1024;

pub(crate) static MQTT: Protocol = Protocol {
    id: AppProtocol::Mqtt,
    name: "MQTT",
    transports: &[Transport::Tcp],
    first: Some(Role::Client),
    probe: |role, bytes| match role {
        Role::Client => is_connect(bytes),
        Role::Server => is_answer(bytes),
    },
    reading: Reading::Parser(|| Box::new(Reader)),
};

/// A number of variable length (MQTT 5 section 1.5.5) and what follows it; `None` while it is not all there.
fn variable(bytes: &[u8]) -> Option<Result<(usize, &[u8]), TooLong>> {
    let mut number = 0_usize;
    for index in 0..4 {
        let &byte = bytes.get(index)?;
        number |= usize::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Some(Ok((number, bytes.get(index + 1..).unwrap_or(&[]))));
        }
    }
    Some(Err(TooLong))
}

/// Four bytes do not end it.
struct TooLong;

/// What follows the first byte of a packet of this type: the length of the rest, and as much of it as there is.
fn packet(bytes: &[u8], first: u8) -> Option<Result<(usize, &[u8]), TooLong>> {
    match bytes.split_first()? {
        (&byte, rest) if byte == first => variable(rest),
        _ => Some(Err(TooLong)),
    }
}

/// Whether a client's first bytes are a CONNECT; `None` while they may be.
fn is_connect(bytes: &[u8]) -> Option<bool> {
    let Ok((_, body)) = packet(bytes, CONNECT)? else {
        return Some(false);
    };
    let names = [&b"\0\x04MQTT"[..], b"\0\x06MQIsdp"];
    any(names.map(|name| begins_with(body, name)))
}

/// Whether a server's first bytes are a CONNACK; `None` while they may be.
fn is_answer(bytes: &[u8]) -> Option<bool> {
    let Ok((length @ 2..=MAX_ANSWER, body)) = packet(bytes, CONNACK)? else {
        return Some(false);
    };
    let (&flags, rest) = body.split_first()?;
    let &code = rest.first()?;
    let known = match length {
        2 => code <= 5,
        _ => code == 0 || code >= 0x80,
    };
    Some(flags <= 1 && known)
}

/// Reads a server's answer to CONNECT. Of a client nothing is read.
#[derive(Clone, Debug)]
struct Reader;

impl Parser for Reader {
    fn read(&mut self, input: Input<'_>, shared: &mut SharedState) -> Step {
        if input.role == Role::Client {
            return Step::Unreadable(Unreadable::Unframed);
        }
        let Some(Ok((length, body))) = packet(input.bytes, CONNACK) else {
            return Step::More;
        };
        let Some(body) = body.get(..length) else {
            return Step::More;
        };
        if let [_, code, properties @ ..] = body
            && *code != 0
        {
            let reason = reason_string(properties).unwrap_or(&[]);
            // The codes of MQTT 3 are shown as they are; those of MQTT 5 are 0x80 and above.
            let refusal = Refusal::numbered(AppProtocol::Mqtt, *code, reason, input.mark);
            shared.refusal = Some(Box::new(refusal));
        }
        Step::Unreadable(Unreadable::Unframed)
    }

    fn reads_framing(&self) -> bool {
        false
    }

    fn framing(&self, _position: ReaderPosition, _shared: &SharedState) -> Framing {
        Framing::Unknown(Unreadable::Unframed)
    }
}

/// A server's DISCONNECT of MQTT 5 with a reason code that is an error (section 3.14.2.1), as a whole segment.
pub(super) fn disconnect(payload: &[u8], mark: Mark) -> Option<Refusal> {
    let (length, body) = packet(payload, DISCONNECT)?.ok()?;
    let (&code, properties) = body.split_first()?;
    let known = matches!(code, 0x80..=0x83 | 0x87 | 0x89 | 0x8b | 0x8d..=0xa2);
    (body.len() == length && known).then(|| {
        let reason = reason_string(properties).unwrap_or(&[]);
        Refusal::numbered(AppProtocol::Mqtt, code, reason, mark)
    })
}

/// The Reason String among the properties of an answer (MQTT 5 section 3.2.2.3.9), where no property that is not known
/// stands before it.
pub(super) fn reason_string(properties: &[u8]) -> Option<&[u8]> {
    let Some(Ok((length, rest))) = variable(properties) else {
        return None;
    };
    let mut rest = rest.get(..length)?;
    while let Some((&kind, after)) = rest.split_first() {
        let skip = match kind {
            // One byte, two, four.
            0x24 | 0x25 | 0x28 | 0x29 | 0x2a => 1,
            0x13 | 0x21 | 0x22 => 2,
            0x11 | 0x27 => 4,
            // A string or binary data; a pair of strings.
            0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => 2 + string(after)?.len(),
            0x26 => {
                let name = string(after)?.len() + 2;
                name + 2 + string(after.get(name..)?)?.len()
            }
            _ => return None,
        };
        if kind == 0x1f {
            return string(after);
        }
        rest = after.get(skip..)?;
    }
    None
}

/// A string or binary data behind its length of two bytes.
fn string(bytes: &[u8]) -> Option<&[u8]> {
    let (&[high, low], rest) = bytes.split_first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_be_bytes([high, low])))
}

#[cfg(test)]
mod tests {
    use crate::testing::{client, open_facts, server};

    const CONNECT: &[u8] = b"\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04abcd";

    #[test]
    fn answers_to_connect() {
        for (answer, code, message) in [
            (&b"\x20\x02\0\x05"[..], Some("5"), None),
            (b"\x20\x02\0\0", None, None),
            (b"\x20\x02\x01\0", None, None),
            (b"\x20\x03\0\x87\0", Some("135"), None),
            (
                b"\x20\x13\0\x87\x10\x13\0\x0a\x1f\0\x0aNot today!",
                Some("135"),
                Some("Not today!"),
            ),
            (b"\x20\x06\0\0\x03\x22\0\x0a", None, None),
        ] {
            for cut in 0..answer.len() {
                let facts = open_facts(&[
                    client(CONNECT),
                    server(&answer[..cut]),
                    server(&answer[cut..]),
                ]);
                let refusal = facts.refusal.as_deref();
                assert_eq!(refusal.map(|refusal| &*refusal.code), code, "{answer:?}");
                let says = refusal.and_then(|refusal| refusal.message.as_deref());
                assert_eq!(says, message, "{answer:?}");
            }
        }
    }

    #[test]
    fn other_bytes_are_no_answer() {
        for bytes in [
            &b"\x20\x02\x02\x05"[..],
            b"\x20\x02\0\x06",
            b"\x20\x03\0\x05\0",
        ] {
            assert_eq!(open_facts(&[server(bytes)]).refusal, None, "{bytes:?}");
        }
    }
}
