//! PostgreSQL: a request of eight bytes, an answer of one ("Message Flow: SSL Session Encryption").

use super::facts::{Upgrade, UpgradeProtocol, UpgradeVerdict};
use super::start_tls::{Dialect, Outcome, StartTls, text, whole};
use crate::protocol::{Protocol, Reading};
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
        answers: |first| matches!(first, b'S' | b'N' | b'G' | b'E'),
        reader: || Box::new(PostgreSql::default()),
    }),
};

#[derive(Clone, PartialEq, Debug, Default)]
struct PostgreSql {
    /// Whether the client waits for the answer to a request for GSS encryption, which comes before the one for TLS.
    asked_gss: bool,
}

/// Whether a client's first bytes are a request for encryption; `None` while they may be.
fn is_request(bytes: &[u8]) -> Option<bool> {
    let pattern = [0, 0, 0, 8, 0x04, 0xd2, 0x16];
    let same = bytes.iter().zip(&pattern).all(|(have, want)| have == want);
    match bytes.get(7) {
        _ if !same => Some(false),
        Some(last) => Some(matches!(last, 0x2f | 0x30)),
        None => None,
    }
}

impl StartTls for PostgreSql {
    fn client(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> Outcome {
        let Some((head, _)) = bytes.split_first_chunk::<8>() else {
            return Outcome::More;
        };
        let [a, b, c, d, code @ ..] = *head;
        match (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes(code)) {
            (8, SSL_REQUEST) => facts.ask(mark),
            (8, GSS_REQUEST) => self.asked_gss = true,
            _ => return Outcome::Done,
        }
        Outcome::Used(8)
    }

    fn server(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> Outcome {
        let Some(&answer) = bytes.first() else {
            return Outcome::More;
        };
        if self.asked_gss {
            self.asked_gss = false;
            return match answer {
                b'N' => Outcome::Used(1),
                _ => Outcome::Done,
            };
        }
        if facts.verdict != UpgradeVerdict::Unanswered {
            return Outcome::Done;
        }
        match answer {
            b'S' => {
                facts.answer(UpgradeVerdict::Accepted, Some("S".into()), mark);
                Outcome::Over(1)
            }
            b'N' => {
                facts.answer(UpgradeVerdict::Refused, Some("N".into()), mark);
                Outcome::Used(1)
            }
            b'E' => error(facts, bytes, mark),
            _ => Outcome::Done,
        }
    }

    /// Whether a message is Terminate.
    fn is_small_talk(&self, message: &[u8]) -> bool {
        message.first() == Some(&b'X')
    }
}

/// An ErrorResponse: its message field, or from before version 7.4 nothing but text.
fn error(facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> Outcome {
    let refused = |facts: &mut Upgrade, message: &[u8]| {
        facts.answer(UpgradeVerdict::Refused, Some(text(message)), mark);
    };
    let Some((&[_, a, b, c, d], _)) = bytes.split_first_chunk::<5>() else {
        return Outcome::More;
    };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if length > MAX_ERROR {
        let Some(end) = bytes.iter().take(MAX_ERROR).position(|&byte| byte == 0) else {
            if bytes.len() < MAX_ERROR {
                return Outcome::More;
            }
            refused(facts, b"E");
            return Outcome::Done;
        };
        refused(facts, bytes.get(1..end).unwrap_or(&[]));
        return Outcome::Used(end.saturating_add(1));
    }
    match whole(bytes, length.saturating_add(1)) {
        Ok(message) => {
            let fields = message.get(5..).unwrap_or(&[]);
            let says = fields
                .split(|&byte| byte == 0)
                .find_map(|field| field.strip_prefix(b"M"));
            refused(facts, says.unwrap_or(b"E"));
            Outcome::Used(message.len())
        }
        Err(outcome) => outcome,
    }
}
