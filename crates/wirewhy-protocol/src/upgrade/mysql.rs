//! MySQL and MariaDB: the server's greeting offers TLS, a short reply of the client takes it, and nobody confirms.

use super::facts::{Upgrade, UpgradeProtocol, UpgradeVerdict};
use super::start_tls::{Dialect, Outcome, StartTls, whole};
use crate::protocol::{Protocol, Reading};
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

#[derive(Clone, PartialEq, Debug, Default)]
struct MySql {
    greeted: bool,
    replied: bool,
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
fn packet(bytes: &[u8]) -> Result<(u8, &[u8]), Outcome> {
    let Some((&[low, middle, high, number], _)) = bytes.split_first_chunk::<4>() else {
        return Err(Outcome::More);
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

    fn client(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> Outcome {
        let Some((&[low, middle, high, _, _, flags], _)) = bytes.split_first_chunk::<6>() else {
            return Outcome::More;
        };
        let length =
            usize::try_from(u32::from_le_bytes([low, middle, high, 0])).unwrap_or(usize::MAX);
        // A request for TLS is the reply's start alone: 32 bytes, or 5 before version 4.1.
        if flags & CLIENT_SSL == 0 || !matches!(length, 32 | 5) {
            self.replied = true;
            return Outcome::Done;
        }
        match whole(bytes, length + 4) {
            Ok(request) => {
                self.replied = true;
                facts.ask(mark);
                facts.verdict = UpgradeVerdict::Accepted;
                Outcome::Over(request.len())
            }
            Err(outcome) => outcome,
        }
    }

    fn server(&mut self, facts: &mut Upgrade, bytes: &[u8], _mark: Mark) -> Outcome {
        let (_, greeting) = match packet(bytes) {
            Ok(packet) => packet,
            Err(outcome) => return outcome,
        };
        let Some([_, high]) = capabilities(greeting).filter(|_| !self.greeted) else {
            return Outcome::Done;
        };
        self.greeted = true;
        facts.offered = Some(high & CLIENT_SSL != 0);
        Outcome::Used(greeting.len().saturating_add(4))
    }
}
