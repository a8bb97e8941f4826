//! SOCKS 4, 4a and 5 (RFC 1928, RFC 1929): a tunnel like HTTP's CONNECT.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::facts::{Upgrade, UpgradeProtocol, UpgradeVerdict};
use super::start_tls::{Dialect, ReadOutcome, StartTls, text};
use crate::protocol::{Protocol, Reading};
use crate::types::{AppProtocol, Mark, Role, Transport};

pub(crate) static SOCKS: Protocol = Protocol {
    id: AppProtocol::Socks,
    name: "SOCKS",
    transports: &[Transport::Tcp],
    first: Some(Role::Client),
    probe: |_, bytes| is_request(bytes),
    reading: Reading::StartTls(Dialect {
        protocol: UpgradeProtocol::Socks,
        answers: |first| matches!(first, 0 | 5),
        reader: || Box::new(Socks::default()),
    }),
};

#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Socks {
    stage: SocksStage,
}

#[derive(Clone, Copy, PartialEq, Debug, Default)]
enum SocksStage {
    /// Before the client's first message.
    #[default]
    Begin,
    /// Before the server's choice of a way to authenticate.
    Choice,
    /// Before the client's name and password.
    Password,
    /// Before the answer to them.
    Checked,
    /// Before the client's request.
    Request,
    /// Before the answer to it, of this version.
    Answer(u8),
}

/// Whether a client's first bytes are a greeting; `None` while they may be.
fn is_request(bytes: &[u8]) -> Option<bool> {
    match *bytes {
        // The methods: none, GSSAPI, password; more are assigned and clients offer few.
        [5, count @ 1..=8, ref methods @ ..] => {
            let count = usize::from(count);
            if methods.iter().take(count).any(|&method| method > 9) {
                return Some(false);
            }
            (methods.len() >= count).then_some(true)
        }
        [4, 1, high, low, ref rest @ ..] => {
            if (high, low) == (0, 0) {
                return Some(false);
            }
            // The user's name follows the address, as text.
            let user = rest.get(4..).unwrap_or(&[]);
            let end = user.iter().position(|&byte| byte == 0);
            let name = user.get(..end.unwrap_or(user.len())).unwrap_or(user);
            match end {
                _ if name.len() > 64 || !name.iter().all(u8::is_ascii_graphic) => Some(false),
                Some(_) => Some(true),
                None => None,
            }
        }
        [4 | 5] | [4, 1] | [4, 1, _] => None,
        _ => Some(false),
    }
}

impl StartTls for Socks {
    /// What a client sends next may depend on the server's choice.
    fn waits(&self, role: Role) -> bool {
        role == Role::Client && matches!(self.stage, SocksStage::Choice | SocksStage::Checked)
    }

    fn client(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome {
        match self.stage {
            SocksStage::Begin => match *bytes {
                [4, ..] => self.request_4(facts, bytes, mark),
                [5, count, ref rest @ ..] => {
                    if rest.len() < usize::from(count) {
                        return ReadOutcome::More;
                    }
                    self.stage = SocksStage::Choice;
                    ReadOutcome::Used(usize::from(count) + 2)
                }
                [5] => ReadOutcome::More,
                _ => ReadOutcome::Done,
            },
            SocksStage::Password => {
                let Some(length) = password(bytes) else {
                    return ReadOutcome::More;
                };
                self.stage = SocksStage::Checked;
                ReadOutcome::Used(length)
            }
            SocksStage::Request => self.request_5(facts, bytes, mark),
            // A refused request ends the connection.
            SocksStage::Choice | SocksStage::Checked | SocksStage::Answer(_) => ReadOutcome::Done,
        }
    }

    fn server(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome {
        match (self.stage, bytes) {
            (SocksStage::Choice | SocksStage::Checked, [_]) | (SocksStage::Answer(_), [_]) => {
                ReadOutcome::More
            }
            (SocksStage::Choice, &[5, method, ..]) => {
                self.stage = match method {
                    0 => SocksStage::Request,
                    2 => SocksStage::Password,
                    _ => {
                        let reply = if method == 0xff {
                            "no acceptable method"
                        } else {
                            "a method that is not read"
                        };
                        facts.reply = Some(reply.into());
                        return ReadOutcome::Done;
                    }
                };
                ReadOutcome::Used(2)
            }
            (SocksStage::Checked, &[_, 0, ..]) => {
                self.stage = SocksStage::Request;
                ReadOutcome::Used(2)
            }
            (SocksStage::Checked, _) => {
                facts.reply = Some("authentication failed".into());
                ReadOutcome::Done
            }
            (SocksStage::Answer(4), _) => answer_4(facts, bytes, mark),
            (SocksStage::Answer(_), _) => answer_5(facts, bytes, mark),
            _ => ReadOutcome::Done,
        }
    }
}

impl Socks {
    fn request_4(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome {
        let Some((&[_, command, p, q, a, b, c, d], rest)) = bytes.split_first_chunk::<8>() else {
            return ReadOutcome::More;
        };
        let port = u16::from_be_bytes([p, q]);
        let mut texts = rest.split_inclusive(|&byte| byte == 0);
        let Some(user) = texts.next().filter(|user| user.ends_with(&[0])) else {
            return more(bytes);
        };
        let mut length = 8 + user.len();
        // 4a: an impossible address says that a name follows.
        facts.target = Some(if [a, b, c] == [0; 3] && d != 0 {
            let Some([name @ .., 0]) = texts.next() else {
                return more(bytes);
            };
            length += name.len() + 1;
            text(format!("{}:{port}", String::from_utf8_lossy(name)).as_bytes())
        } else {
            format!("{}:{port}", Ipv4Addr::new(a, b, c, d)).into()
        });
        if command != 1 {
            return ReadOutcome::Done;
        }
        facts.ask(mark);
        self.stage = SocksStage::Answer(4);
        ReadOutcome::Used(length)
    }

    fn request_5(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome {
        let Some((&[5, command, _, kind], rest)) = bytes.split_first_chunk::<4>() else {
            return if bytes.len() < 4 {
                ReadOutcome::More
            } else {
                ReadOutcome::Done
            };
        };
        let Some((host, port, length)) = address(kind, rest) else {
            return if matches!(kind, 1 | 3 | 4) {
                ReadOutcome::More
            } else {
                ReadOutcome::Done
            };
        };
        if command != 1 {
            return ReadOutcome::Done;
        }
        facts.target = Some(text(format!("{host}:{port}").as_bytes()));
        facts.ask(mark);
        self.stage = SocksStage::Answer(5);
        ReadOutcome::Used(4 + length)
    }
}

/// More of a message that has an end somewhere, up to a bound.
fn more(bytes: &[u8]) -> ReadOutcome {
    if bytes.len() > 1024 {
        ReadOutcome::Done
    } else {
        ReadOutcome::More
    }
}

/// The length of a name and password (RFC 1929).
fn password(bytes: &[u8]) -> Option<usize> {
    let name = usize::from(*bytes.get(1)?);
    let password = usize::from(*bytes.get(name + 2)?);
    let length = name + password + 3;
    (bytes.len() >= length).then_some(length)
}

/// An address of RFC 1928 section 5 with its port, and the length of both.
fn address(kind: u8, rest: &[u8]) -> Option<(String, u16, usize)> {
    let (host, length) = match kind {
        1 => {
            let address: [u8; 4] = *rest.first_chunk()?;
            (Ipv4Addr::from(address).to_string(), 4)
        }
        4 => {
            let address: [u8; 16] = *rest.first_chunk()?;
            (format!("[{}]", Ipv6Addr::from(address)), 16)
        }
        3 => {
            let (&length, rest) = rest.split_first()?;
            let name = rest.get(..usize::from(length))?;
            (
                String::from_utf8_lossy(name).into_owned(),
                usize::from(length) + 1,
            )
        }
        _ => return None,
    };
    let port = rest.get(length..)?.first_chunk()?;
    Some((host, u16::from_be_bytes(*port), length + 2))
}

fn answer_4(facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome {
    let Some((&[_, code, ..], _)) = bytes.split_first_chunk::<8>() else {
        return ReadOutcome::More;
    };
    let words = match code {
        0x5a => {
            facts.answer(UpgradeVerdict::Accepted, Some("granted".into()), mark);
            return ReadOutcome::Over(8);
        }
        0x5b => "rejected or failed",
        0x5c => "identd not reachable",
        0x5d => "identd names another user",
        _ => "refused",
    };
    facts.answer(UpgradeVerdict::Refused, Some(words.into()), mark);
    ReadOutcome::Done
}

fn answer_5(facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome {
    let words = match bytes.get(1) {
        Some(0) => {
            let Some((&[_, _, _, kind], rest)) = bytes.split_first_chunk::<4>() else {
                return ReadOutcome::More;
            };
            let Some((_, _, length)) = address(kind, rest) else {
                return if matches!(kind, 1 | 3 | 4) {
                    ReadOutcome::More
                } else {
                    ReadOutcome::Done
                };
            };
            facts.answer(UpgradeVerdict::Accepted, Some("succeeded".into()), mark);
            return ReadOutcome::Over(4 + length);
        }
        Some(1) => "general failure",
        Some(2) => "not allowed by ruleset",
        Some(3) => "network unreachable",
        Some(4) => "host unreachable",
        Some(5) => "connection refused",
        Some(6) => "TTL expired",
        Some(7) => "command not supported",
        Some(8) => "address type not supported",
        _ => "refused",
    };
    facts.answer(UpgradeVerdict::Refused, Some(words.into()), mark);
    ReadOutcome::Done
}
