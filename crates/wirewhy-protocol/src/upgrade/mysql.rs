//! MySQL and MariaDB: the server's greeting offers TLS, a short reply of the client takes it, without a confirmation.

use super::facts::{Upgrade, UpgradeProtocol, UpgradeVerdict};
use super::start_tls::{Dialect, ReadOutcome, StartTls, whole};
use crate::protocol::{Protocol, Reading};
use crate::session::Refusal;
use crate::types::{AppProtocol, Mark, Role, Transport};

const CLIENT_SSL: u8 = 0x08;

pub(crate) static MYSQL: Protocol = Protocol {
    id: AppProtocol::MySql,
    name: "MySQL",
    transports: &[Transport::Tcp],
    first: Some(Role::Server),
    probe: |_, bytes| is_greeting(bytes),
    reading: Reading::StartTls(Dialect {
        protocol: UpgradeProtocol::MySql,
        answers: |_| false,
        reader: || Box::new(MySql::default()),
    }),
};

#[derive(Clone, Debug, Default)]
struct MySql {
    greeted: bool,
    replied: bool,
    refusal: Option<Refusal>,
}

/// Whether a server's first bytes are a greeting, or the error sent instead of one; `None` while they may be.
fn is_greeting(bytes: &[u8]) -> Option<bool> {
    let (&first, rest) = bytes.split_first()?;
    if first == 0 || rest.iter().take(3).any(|&byte| byte != 0) {
        return Some(false);
    }
    rest.get(3).map(|kind| matches!(kind, 0x0a | 0xff))
}

/// A packet: its number and its payload.
fn packet(bytes: &[u8]) -> Result<(u8, &[u8]), ReadOutcome> {
    let Some((&[low, middle, high, number], _)) = bytes.split_first_chunk::<4>() else {
        return Err(ReadOutcome::More);
    };
    let length = u32::from_le_bytes([low, middle, high, 0]);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let packet = whole(bytes, length.saturating_add(4))?;
    Ok((number, packet.get(4..).unwrap_or(&[])))
}

/// The lower half of the capability flags in a greeting of protocol version 10.
fn capabilities(greeting: &[u8]) -> Option<[u8; 2]> {
    let rest = greeting.strip_prefix(&[0x0a])?;
    let version = rest.iter().position(|&byte| byte == 0)?;
    // Behind the version: the connection's number, eight bytes of the challenge, a zero.
    rest.get(version.checked_add(1 + 4 + 8 + 1)?..)?
        .first_chunk()
        .copied()
}

impl StartTls for MySql {
    /// The server sends nothing between its greeting and the client's reply, and TLS may follow that reply.
    fn waits(&self, role: Role) -> bool {
        role == Role::Server && self.greeted && !self.replied
    }

    fn client(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome {
        let Some((&[low, middle, high, _, _, flags], _)) = bytes.split_first_chunk::<6>() else {
            return ReadOutcome::More;
        };
        let length =
            usize::try_from(u32::from_le_bytes([low, middle, high, 0])).unwrap_or(usize::MAX);
        // A request for TLS is the reply's start alone: 32 bytes, or 5 before version 4.1.
        let asks = !self.replied && flags & CLIENT_SSL != 0 && matches!(length, 32 | 5);
        match whole(bytes, length.saturating_add(4)) {
            Ok(message) if !asks => {
                self.replied = true;
                ReadOutcome::Used(message.len())
            }
            Ok(request) => {
                self.replied = true;
                facts.ask(mark);
                facts.verdict = UpgradeVerdict::Accepted;
                ReadOutcome::Over(request.len())
            }
            Err(outcome) => outcome,
        }
    }

    fn server(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome {
        let (_, greeting) = match packet(bytes) {
            Ok(packet) => packet,
            Err(outcome) => return outcome,
        };
        if self.replied || greeting.first() == Some(&ERROR) {
            return self.answered(greeting, mark);
        }
        let Some([_, high]) = capabilities(greeting).filter(|_| !self.greeted) else {
            return ReadOutcome::Done;
        };
        self.greeted = true;
        facts.offered = Some(high & CLIENT_SSL != 0);
        ReadOutcome::Used(greeting.len().saturating_add(4))
    }

    fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// The client's whole reply is the first inside.
    fn inside(&self) -> Option<Box<dyn StartTls>> {
        Some(Box::new(MySql {
            greeted: true,
            ..MySql::default()
        }))
    }
}

/// The first byte of an error, and of the messages of a login that goes on: another method, more data.
const ERROR: u8 = 0xff;
const SWITCH: u8 = 0xfe;
const MORE_DATA: u8 = 0x01;

impl MySql {
    /// A packet of the server in place of its greeting, or after the client's reply.
    fn answered(&mut self, packet: &[u8], mark: Mark) -> ReadOutcome {
        match packet {
            [ERROR, ..] => {
                self.refusal = error(packet, mark);
                ReadOutcome::Done
            }
            [SWITCH | MORE_DATA, ..] => ReadOutcome::Used(packet.len().saturating_add(4)),
            _ => ReadOutcome::Done,
        }
    }
}

/// What an error says.
fn error(packet: &[u8], mark: Mark) -> Option<Refusal> {
    let [ERROR, low, high, rest @ ..] = packet else {
        return None;
    };
    // Behind a sign the state of SQL, once the capabilities are known.
    let text = match rest {
        [b'#', _, _, _, _, _, text @ ..] => text,
        text => text,
    };
    let code = u16::from_le_bytes([*low, *high]);
    Some(Refusal::numbered(AppProtocol::MySql, code, text, mark))
}

/// An error that answers nothing, as a whole segment: the server shuts down, or ends this connection.
pub(crate) fn fatal(payload: &[u8], mark: Mark) -> Option<Refusal> {
    let (number, content) = packet(payload).ok()?;
    let [ERROR, low, high, ..] = content else {
        return None;
    };
    let ends = matches!(
        u16::from_le_bytes([*low, *high]),
        1053 | 1152 | 1159 | 1927 | 3032 | 4031
    );
    let is_whole = content.len().checked_add(4) == Some(payload.len());
    (number == 0 && ends && is_whole)
        .then(|| error(content, mark))
        .flatten()
}
