//! AMQP 0-9-1 and 1.0: how a broker ends a connection that it does not accept.

use super::Refusal;
use crate::parser::{Parser, ReaderPosition};
use crate::protocol::{Protocol, Reading, any, begins_with};
use crate::shared_state::SharedState;
use crate::types::{AppProtocol, Framing, Input, Mark, Role, Step, Transport, Unreadable};

pub(crate) static AMQP: Protocol = Protocol {
    id: AppProtocol::Amqp,
    name: "AMQP",
    transports: &[Transport::Tcp],
    first: Some(Role::Client),
    probe: |role, bytes| match role {
        Role::Client => is_header(bytes),
        Role::Server => any([is_header(bytes), is_start(bytes)]),
    },
    reading: Reading::Parser(|| Box::new(Reader::default())),
};

/// The protocol headers of 0-9-1 and earlier, and of 1.0 plain, with TLS and with SASL.
fn is_header(bytes: &[u8]) -> Option<bool> {
    let known = [
        &b"AMQP\0\0\x09\x01"[..],
        b"AMQP\x01\x01\0\x0a",
        b"AMQP\x01\x01\x08\0",
        b"AMQP\x01\x01\x09\x01",
        b"AMQP\0\x01\0\0",
        b"AMQP\x02\x01\0\0",
        b"AMQP\x03\x01\0\0",
    ];
    any(known.map(|header| begins_with(bytes, header)))
}

/// Connection.Start, or Connection.Close in place of it, in a frame of channel 0.
fn is_start(bytes: &[u8]) -> Option<bool> {
    let fits = bytes
        .iter()
        .zip(0_u8..11)
        .all(|(&byte, index)| match index {
            0 => byte == 1,
            3 | 4 | 1 | 2 | 7 | 9 => byte == 0,
            8 => byte == 10,
            10 => matches!(byte, 10 | 50),
            _ => true,
        });
    match (fits, bytes.len()) {
        (false, _) => Some(false),
        (true, 11..) => Some(true),
        (true, _) => None,
    }
}

/// The code of a broker that closes without complaint.
const SUCCESS: u16 = 200;

/// The most of a frame looked at.
const MAX_FRAME: usize = 4096;

/// Reads a broker's frames until it has accepted the client, or ended the connection. Of a client nothing is read.
#[derive(Clone, Debug, Default)]
struct Reader {
    /// Whether the frames are those of version 1.0.
    one: bool,
    /// Whether the broker has sent anything.
    begun: bool,
}

/// What a frame says.
enum Says<'a> {
    /// The client is accepted.
    Accepted,
    Refused {
        code: Code<'a>,
        message: &'a [u8],
    },
    Else,
}

enum Code<'a> {
    Number(u16),
    Word(&'a [u8]),
}

impl Parser for Reader {
    fn read(&mut self, input: Input<'_>, shared: &mut SharedState) -> Step {
        if input.role == Role::Client {
            return Step::Unreadable(Unreadable::Unframed);
        }
        if input.bytes.starts_with(b"AMQP") {
            return self.read_header(input, shared);
        }
        self.begun = true;
        let Some(&head) = input.bytes.first_chunk::<7>() else {
            return Step::More;
        };
        let [a, b, c, d, ..] = head;
        let length = match self.one {
            true => u32::from_be_bytes([a, b, c, d]),
            // Type, channel and length stand before the payload, and one byte behind it.
            false => {
                let [_, _, _, a, b, c, d] = head;
                u32::from_be_bytes([a, b, c, d]).saturating_add(8)
            }
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if !(8..=1 << 20).contains(&length) {
            return Step::Unreadable(Unreadable::Malformed);
        }
        let wanted = length.min(MAX_FRAME);
        let Some(frame) = input.bytes.get(..wanted) else {
            return Step::More;
        };
        let says = match self.one {
            true => performative(frame),
            false => meaning(frame.get(7..).unwrap_or(&[])),
        };
        match says {
            Some(Says::Accepted) => return Step::Unreadable(Unreadable::Unframed),
            Some(Says::Refused { code, message }) => {
                shared.refusal = Some(Box::new(refusal(&code, message, input.mark)));
                return Step::Unreadable(Unreadable::Unframed);
            }
            Some(Says::Else) | None => {}
        }
        Step::To(input.after(length))
    }

    fn reads_framing(&self) -> bool {
        false
    }

    fn framing(&self, _position: ReaderPosition, _shared: &SharedState) -> Framing {
        Framing::Unknown(Unreadable::Unframed)
    }
}

fn refusal(code: &Code<'_>, message: &[u8], mark: Mark) -> Refusal {
    match code {
        Code::Number(number) => Refusal::numbered(AppProtocol::Amqp, *number, message, mark),
        Code::Word(word) => Refusal::new(AppProtocol::Amqp, word, message, mark),
    }
}

impl Reader {
    /// A protocol header of the broker. Version 1.0 answers with one; before it, only a broker that does not speak the
    /// client's version does (AMQP 0-9-1 section 2.2.4).
    fn read_header(&mut self, input: Input<'_>, shared: &mut SharedState) -> Step {
        let Some((header, _)) = input.bytes.split_first_chunk::<8>() else {
            return Step::More;
        };
        self.one = matches!(header, [_, _, _, _, 0 | 2 | 3, 1, 0, 0]);
        if !self.one && !self.begun {
            let version = format!("AMQP {}-{}-{}", header[5], header[6], header[7]);
            let code = Code::Word(b"version");
            shared.refusal = Some(Box::new(refusal(&code, version.as_bytes(), input.mark)));
            return Step::Unreadable(Unreadable::Unframed);
        }
        self.begun = true;
        Step::To(input.after(header.len()))
    }
}

/// Connection.Close of 0-9-1, as a whole segment.
pub(super) fn closing(payload: &[u8], mark: Mark) -> Option<Refusal> {
    let (frame, [0xce]) = payload.split_last_chunk::<1>()? else {
        return None;
    };
    let (&[_, _, _, a, b, c, d], method) = frame.split_first_chunk::<7>()?;
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
    match meaning(method)? {
        Says::Refused { code, message } if length == method.len() => {
            Some(refusal(&code, message, mark))
        }
        _ => None,
    }
}

/// What a method of 0-9-1 says: Connection.OpenOk and Connection.Close.
fn meaning(method: &[u8]) -> Option<Says<'_>> {
    let (&[class_high, class, high, method], arguments) = method.split_first_chunk::<4>()?;
    if (class_high, class, high) != (0, 10, 0) {
        return Some(Says::Else);
    }
    match method {
        41 => Some(Says::Accepted),
        50 => {
            let (&[a, b, length], text) = arguments.split_first_chunk::<3>()?;
            let code = u16::from_be_bytes([a, b]);
            if code == SUCCESS {
                return Some(Says::Else);
            }
            Some(Says::Refused {
                code: Code::Number(code),
                message: text.get(..usize::from(length))?,
            })
        }
        _ => Some(Says::Else),
    }
}

/// What a performative of 1.0 says: sasl-outcome (part 5.3.3.6), begin, and close with an error (part 2.7.9, 2.8.14).
fn performative(frame: &[u8]) -> Option<Says<'_>> {
    let body = frame.get(usize::from(*frame.get(4)?).checked_mul(4)?..)?;
    let (descriptor, list) = described(body)?;
    match descriptor {
        0x44 => match fields(list)? {
            [0x50, 0, ..] => Some(Says::Else),
            [0x50, code, ..] => Some(Says::Refused {
                code: Code::Word(match code {
                    1 => b"sasl-auth",
                    2 => b"sasl-sys",
                    3 => b"sasl-sys-perm",
                    4 => b"sasl-sys-temp",
                    _ => b"sasl-outcome",
                }),
                message: &[],
            }),
            _ => None,
        },
        0x11 => Some(Says::Accepted),
        0x18 => {
            let (0x1d, error) = described(fields(list)?)? else {
                return None;
            };
            let (condition, rest) = text(fields(error)?)?;
            Some(Says::Refused {
                code: Code::Word(condition),
                message: text(rest).map_or(&[], |(description, _)| description),
            })
        }
        _ => Some(Says::Else),
    }
}

/// A described value: the descriptor, where it is a number below 256, and the value.
fn described(bytes: &[u8]) -> Option<(u8, &[u8])> {
    match bytes {
        [0, 0x53, descriptor, value @ ..]
        | [0, 0x80, 0, 0, 0, 0, 0, 0, 0, descriptor, value @ ..] => Some((*descriptor, value)),
        _ => None,
    }
}

/// The fields of a list.
fn fields(list: &[u8]) -> Option<&[u8]> {
    match list {
        [0x45, ..] => Some(&[]),
        [0xc0, _, _, fields @ ..] | [0xd0, _, _, _, _, _, _, _, _, fields @ ..] => Some(fields),
        _ => None,
    }
}

/// A string or symbol, and what follows it.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match bytes {
        [0xa1 | 0xa3, length, rest @ ..] => (usize::from(*length), rest),
        [0xb1 | 0xb3, a, b, c, d, rest @ ..] => {
            let length = u32::from_be_bytes([*a, *b, *c, *d]);
            (usize::try_from(length).ok()?, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use crate::testing::{client, open_facts, server};

    const HEADER: &[u8] = b"AMQP\0\0\x09\x01";
    const HEADER_ONE: &[u8] = b"AMQP\x03\x01\0\0";

    fn method(class: u16, method: u16, arguments: &[u8]) -> Vec<u8> {
        let mut frame = vec![1, 0, 0];
        frame.extend(u32::try_from(arguments.len() + 4).unwrap().to_be_bytes());
        frame.extend(class.to_be_bytes());
        frame.extend(method.to_be_bytes());
        frame.extend(arguments);
        frame.push(0xce);
        frame
    }

    fn close(code: u16, text: &str) -> Vec<u8> {
        let mut arguments = code.to_be_bytes().to_vec();
        arguments.push(u8::try_from(text.len()).unwrap());
        arguments.extend(text.as_bytes());
        arguments.extend([0, 10, 0, 40]);
        method(10, 50, &arguments)
    }

    /// The code and message of the refusal, however the broker's bytes are cut.
    fn refused(header: &[u8], broker: &[u8]) -> Option<(String, Option<String>)> {
        let mut found = Vec::new();
        for cut in 0..broker.len() {
            let facts = open_facts(&[
                client(header),
                server(&broker[..cut]),
                server(&broker[cut..]),
            ]);
            found.push(facts.refusal.map(|refusal| {
                let message = refusal.message.map(String::from);
                (refusal.code.to_string(), message)
            }));
        }
        assert!(found.iter().all(|one| *one == found[0]), "{found:?}");
        found.remove(0)
    }

    #[test]
    fn a_broker_closes() {
        let start = method(10, 10, &[0; 300]);
        let refused_login = [start.clone(), close(403, "ACCESS_REFUSED - no")].concat();
        assert_eq!(
            refused(HEADER, &refused_login),
            Some(("403".to_owned(), Some("ACCESS_REFUSED - no".to_owned())))
        );
        let no_host = [
            start.clone(),
            method(10, 30, &[0; 8]),
            close(530, "NOT_ALLOWED - vhost x"),
        ];
        let found = refused(HEADER, &no_host.concat());
        assert_eq!(found.map(|found| found.0), Some("530".to_owned()));
        let goodbye = [start.clone(), close(200, "Goodbye")];
        assert_eq!(refused(HEADER, &goodbye.concat()), None);
        // What comes after it was accepted is another matter.
        let accepted = [start, method(10, 41, &[0]), close(320, "CONNECTION_FORCED")];
        assert_eq!(refused(HEADER, &accepted.concat()), None);
    }

    #[test]
    fn a_broker_of_another_version() {
        let found = refused(HEADER_ONE, HEADER);
        assert_eq!(
            found,
            Some(("version".to_owned(), Some("AMQP 0-9-1".to_owned())))
        );
        assert_eq!(refused(HEADER_ONE, HEADER_ONE), None);
    }

    fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut frame = u32::try_from(body.len() + 8)
            .unwrap()
            .to_be_bytes()
            .to_vec();
        frame.extend([2, kind, 0, 0]);
        frame.extend(body);
        frame
    }

    #[test]
    fn version_one_refuses() {
        let outcome = |code| frame(1, &[0, 0x53, 0x44, 0xc0, 3, 1, 0x50, code]);
        let denied = [HEADER_ONE.to_vec(), outcome(1)].concat();
        assert_eq!(
            refused(HEADER_ONE, &denied),
            Some(("sasl-auth".to_owned(), None))
        );
        let mut close = vec![0, 0x53, 0x18, 0xc0, 40, 1, 0, 0x53, 0x1d, 0xc0, 34, 2];
        close.extend(b"\xa3\x13amqp:not-authorized\xa1\x02no");
        let open = frame(0, &[0, 0x53, 0x10, 0x45]);
        let closed = [
            HEADER_ONE.to_vec(),
            outcome(0),
            b"AMQP\0\x01\0\0".to_vec(),
            open.clone(),
            frame(0, &close),
        ];
        assert_eq!(
            refused(HEADER_ONE, &closed.concat()),
            Some(("amqp:not-authorized".to_owned(), Some("no".to_owned())))
        );
        let fine = [
            HEADER_ONE.to_vec(),
            outcome(0),
            open,
            frame(0, &[0, 0x53, 0x11, 0x45]),
            frame(0, &close),
        ];
        assert_eq!(refused(HEADER_ONE, &fine.concat()), None);
    }
}
