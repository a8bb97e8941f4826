//! PostgreSQL: a request of eight bytes, an answer of one ("Message Flow: SSL Session Encryption").

use super::facts::{Upgrade, UpgradeProtocol, UpgradeVerdict};
use super::start_tls::{Dialect, ReadOutcome, StartTls, text, whole};
use crate::protocol::{Protocol, Reading, any, begins_with};
use crate::session::Refusal;
use crate::types::{AppProtocol, Mark, Role, Transport};

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

/// The most of an error read.
const MAX_ERROR: usize = 1024;

pub(crate) static POSTGRESQL: Protocol = Protocol {
    id: AppProtocol::PostgreSql,
    name: "PostgreSQL",
    transports: &[Transport::Tcp],
    first: Some(Role::Client),
    probe: |_, bytes| is_request(bytes),
    reading: Reading::StartTls(Dialect {
        protocol: UpgradeProtocol::PostgreSql,
        answers: |first| matches!(first, b'S' | b'N' | b'G' | b'E' | b'R' | b'v'),
        reader: || Box::new(PostgreSql::default()),
    }),
};

#[derive(Clone, Debug, Default)]
struct PostgreSql {
    /// Whether the client waits for the answer to a request for GSS encryption, which comes before the one for TLS.
    asked_gss: bool,
    /// Whether the client has named itself and the database, so that messages with a type follow.
    started: bool,
    refusal: Option<Refusal>,
}

/// Whether a client's first bytes are a request for encryption, or a StartupMessage of version 3; `None` while they may be.
fn is_request(bytes: &[u8]) -> Option<bool> {
    any([
        begins_with(bytes, &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]),
        begins_with(bytes, &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30]),
        is_startup(bytes),
    ])
}

/// Whether bytes are a StartupMessage: its length, its version, and a parameter's name.
fn is_startup(bytes: &[u8]) -> Option<bool> {
    let fits = bytes.iter().zip(0_u8..9).all(|(&byte, index)| match index {
        0 | 1 | 4 | 6 => byte == 0,
        5 => byte == 3,
        // The length stays below 8 kB; version 3.0 or 3.2.
        2 => byte < 0x20,
        7 => byte <= 2,
        8 => byte.is_ascii_lowercase() || byte == b'_',
        _ => true,
    });
    match (fits, bytes.len()) {
        (false, _) => Some(false),
        (true, 9..) => Some(true),
        (true, _) => None,
    }
}

impl StartTls for PostgreSql {
    fn client(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome {
        if self.started {
            return typed(bytes).map_or(ReadOutcome::More, |(_, length)| ReadOutcome::Used(length));
        }
        let Some((head, _)) = bytes.split_first_chunk::<8>() else {
            return ReadOutcome::More;
        };
        let [a, b, c, d, code @ ..] = *head;
        match (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes(code)) {
            (8, SSL_REQUEST) => facts.ask(mark),
            (8, GSS_REQUEST) => self.asked_gss = true,
            (length, _) if is_startup(bytes) != Some(false) => {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                return match whole(bytes, length) {
                    Ok(message) => {
                        self.started = true;
                        ReadOutcome::Used(message.len())
                    }
                    Err(outcome) => outcome,
                };
            }
            // A request to cancel, which is not answered.
            _ => return ReadOutcome::Done,
        }
        ReadOutcome::Used(8)
    }

    fn server(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome {
        let Some(&answer) = bytes.first() else {
            return ReadOutcome::More;
        };
        if self.asked_gss {
            self.asked_gss = false;
            return match answer {
                b'N' => ReadOutcome::Used(1),
                _ => ReadOutcome::Done,
            };
        }
        if self.started {
            return self.reply(bytes, mark);
        }
        if facts.verdict != UpgradeVerdict::Unanswered {
            return ReadOutcome::Done;
        }
        match answer {
            b'S' => {
                facts.answer(UpgradeVerdict::Accepted, Some("S".into()), mark);
                ReadOutcome::Over(1)
            }
            b'N' => {
                facts.answer(UpgradeVerdict::Refused, Some("N".into()), mark);
                ReadOutcome::Used(1)
            }
            b'E' => error(facts, bytes, mark),
            _ => ReadOutcome::Done,
        }
    }

    fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// Whether a message is Terminate.
    fn is_small_talk(&self, message: &[u8]) -> bool {
        message.first() == Some(&b'X')
    }
}

impl PostgreSql {
    /// A message of the server after StartupMessage: an error is a refusal until ReadyForQuery shows that the session began.
    fn reply(&mut self, bytes: &[u8], mark: Mark) -> ReadOutcome {
        let Some((kind, length)) = typed(bytes) else {
            return ReadOutcome::More;
        };
        match kind {
            b'Z' => {
                self.refusal = None;
                ReadOutcome::Done
            }
            b'E' => match whole(bytes, length) {
                Ok(message) => {
                    self.refusal = Some(refusal(message, mark));
                    ReadOutcome::Used(length)
                }
                Err(outcome) => outcome,
            },
            kind if kind.is_ascii_alphabetic() => ReadOutcome::Used(length),
            _ => ReadOutcome::Done,
        }
    }
}

/// What an ErrorResponse says.
fn refusal(message: &[u8], mark: Mark) -> Refusal {
    let fields = message.get(5..).unwrap_or(&[]);
    let code = field(fields, b'C').unwrap_or(&[]);
    let text = field(fields, b'M').unwrap_or(&[]);
    Refusal::new(AppProtocol::PostgreSql, code, text, mark)
}

/// An error behind which the server closes, as a whole segment.
pub(crate) fn fatal(payload: &[u8], mark: Mark) -> Option<Refusal> {
    let (_, length) = typed(payload)?;
    let fields = payload.get(5..)?;
    let severity = field(fields, b'V').or_else(|| field(fields, b'S'))?;
    let is_fatal = matches!(severity, b"FATAL" | b"PANIC");
    (is_fatal && length == payload.len()).then(|| refusal(payload, mark))
}

/// A message's type and whole length, once its head is there.
fn typed(bytes: &[u8]) -> Option<(u8, usize)> {
    let &[kind, a, b, c, d] = bytes.first_chunk::<5>()?;
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    Some((kind, length.max(4).saturating_add(1)))
}

/// A field of an error, by its type.
fn field(fields: &[u8], kind: u8) -> Option<&[u8]> {
    fields
        .split(|&byte| byte == 0)
        .find_map(|field| field.strip_prefix(&[kind]))
}

/// An ErrorResponse: its message field, or from before version 7.4 nothing but text.
fn error(facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome {
    let refused = |facts: &mut Upgrade, message: &[u8]| {
        facts.answer(UpgradeVerdict::Refused, Some(text(message)), mark);
    };
    let Some((&[_, a, b, c, d], _)) = bytes.split_first_chunk::<5>() else {
        return ReadOutcome::More;
    };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if length > MAX_ERROR {
        let Some(end) = bytes.iter().take(MAX_ERROR).position(|&byte| byte == 0) else {
            if bytes.len() < MAX_ERROR {
                return ReadOutcome::More;
            }
            refused(facts, b"E");
            return ReadOutcome::Done;
        };
        refused(facts, bytes.get(1..end).unwrap_or(&[]));
        return ReadOutcome::Used(end.saturating_add(1));
    }
    match whole(bytes, length.saturating_add(1)) {
        Ok(message) => {
            let fields = message.get(5..).unwrap_or(&[]);
            refused(facts, field(fields, b'M').unwrap_or(b"E"));
            ReadOutcome::Used(message.len())
        }
        Err(outcome) => outcome,
    }
}
