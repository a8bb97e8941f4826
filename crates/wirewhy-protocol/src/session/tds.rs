//! How Microsoft SQL Server answers a login in the clear (MS-TDS section 2.2.7): behind a PRELOGIN without encryption, or behind
//! a login that alone was encrypted.

use super::Refusal;
use crate::parser::{Parser, ReaderPosition};
use crate::protocol::{Protocol, Reading};
use crate::shared_state::SharedState;
use crate::types::{AppProtocol, Framing, Input, Mark, Role, Step, Transport, Unreadable};

/// What stands before a packet's payload.
const HEADER: usize = 8;

const ANSWER: u8 = 4;

const ENVIRONMENT: u8 = 0xe3;
const INFORMATION: u8 = 0xab;
const ERROR: u8 = 0xaa;
const LOGIN_ACCEPTED: u8 = 0xad;
const NEGOTIATION: u8 = 0xed;

pub(crate) static TDS_ANSWER: Protocol = Protocol {
    id: AppProtocol::TdsAnswer,
    name: "TDS",
    transports: &[Transport::Tcp],
    first: Some(Role::Client),
    probe: |role, bytes| match role {
        Role::Client => Some(false),
        Role::Server => is_answer(bytes),
    },
    reading: Reading::Parser(|| Box::new(Reader)),
};

/// Whether a server's bytes are the first packet of an answer: its status, its number, and a token that answers a login.
fn is_answer(bytes: &[u8]) -> Option<bool> {
    let fits = bytes.iter().zip(0_u8..9).all(|(&byte, index)| match index {
        0 => byte == ANSWER,
        1 => byte <= 1,
        6 => byte <= 1,
        7 => byte == 0,
        8 => matches!(
            byte,
            ENVIRONMENT | INFORMATION | ERROR | LOGIN_ACCEPTED | NEGOTIATION
        ),
        _ => true,
    });
    match (fits, bytes.len()) {
        (false, _) => Some(false),
        (true, 9..) => Some(true),
        (true, _) => None,
    }
}

/// Reads the first packet of an answer.
#[derive(Clone, Debug)]
struct Reader;

impl Parser for Reader {
    fn read(&mut self, input: Input<'_>, shared: &mut SharedState) -> Step {
        let Some((&[kind, _, high, low, ..], _)) = input.bytes.split_first_chunk::<HEADER>() else {
            return Step::More;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if kind != ANSWER || length < HEADER {
            return Step::Unreadable(Unreadable::Unframed);
        }
        let Some(packet) = input.bytes.get(..length) else {
            return Step::More;
        };
        let mut tokens = packet.get(HEADER..).unwrap_or(&[]);
        while let Some((token, content, rest)) = token(tokens) {
            match token {
                ERROR => {
                    if let Some((number, text)) = error(content) {
                        let refused = Refusal::numbered(
                            AppProtocol::Tds,
                            number,
                            text.as_bytes(),
                            input.mark,
                        );
                        shared.refusal.get_or_insert_with(|| Box::new(refused));
                    }
                }
                LOGIN_ACCEPTED => shared.refusal = None,
                NEGOTIATION => return Step::To(input.after(length)),
                _ => {}
            }
            tokens = rest;
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

/// A token with a length in two bytes, its content, and what follows it.
fn token(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[token, low, high], rest) = bytes.split_first_chunk::<3>()?;
    if !matches!(
        token,
        ENVIRONMENT | INFORMATION | ERROR | LOGIN_ACCEPTED | NEGOTIATION
    ) {
        return None;
    }
    let (content, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([low, high])))?;
    Some((token, content, rest))
}

/// The least severity with which the server closes ("Database Engine error severities").
const FATAL: u8 = 20;

/// An error behind which the server closes, in a whole packet that is a whole segment.
pub(super) fn fatal(payload: &[u8], mark: Mark) -> Option<Refusal> {
    let (&[_, _, high, low, ..], tokens) = payload.split_first_chunk::<HEADER>()?;
    let (ERROR, content, _) = token(tokens)? else {
        return None;
    };
    let is_whole = usize::from(u16::from_be_bytes([high, low])) == payload.len();
    let severity = *content.get(5)?;
    let (number, text) = error(content).filter(|_| is_whole && severity >= FATAL)?;
    Some(Refusal::numbered(
        AppProtocol::Tds,
        number,
        text.as_bytes(),
        mark,
    ))
}

/// An error's number and text: number, state and class, then the text's length in characters, and the text in UTF-16.
fn error(content: &[u8]) -> Option<(i32, String)> {
    let (&[a, b, c, d, _, _, low, high], rest) = content.split_first_chunk::<8>()?;
    let bytes = usize::from(u16::from_le_bytes([low, high])).checked_mul(2)?;
    let text = rest.get(..bytes)?.chunks_exact(2);
    let text: Vec<u16> = text
        .filter_map(|pair| pair.first_chunk::<2>())
        .map(|&pair| u16::from_le_bytes(pair))
        .collect();
    Some((
        i32::from_le_bytes([a, b, c, d]),
        String::from_utf16_lossy(&text),
    ))
}

#[cfg(test)]
mod tests {
    use crate::testing::{client, facts_of, segments, server};
    use crate::types::AppProtocol;

    fn packet(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![kind, 1];
        packet.extend(u16::try_from(payload.len() + 8).unwrap().to_be_bytes());
        packet.extend([0, 0, 1, 0]);
        packet.extend(payload);
        packet
    }

    /// A PRELOGIN with this value for encryption.
    fn prelogin(kind: u8, encryption: u8) -> Vec<u8> {
        let options = [0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff];
        packet(
            kind,
            &[&options[..], &[16, 0, 0, 0, 0, 0, encryption]].concat(),
        )
    }

    fn error(number: i32, text: &str) -> Vec<u8> {
        let mut content = number.to_le_bytes().to_vec();
        content.extend([1, 14]);
        content.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
        content.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        content.extend([0, 0, 1, 0, 0, 0]);
        let mut token = vec![super::ERROR];
        token.extend(u16::try_from(content.len()).unwrap().to_le_bytes());
        token.extend(content);
        token
    }

    fn refusal(answer: &[u8]) -> Option<(String, Option<String>)> {
        let turns = [
            client(prelogin(0x12, 2)),
            server(prelogin(4, 2)),
            client(packet(0x10, b"a login")),
            server(packet(4, answer)),
        ];
        let [one, rest @ ..] = [1, 5, 4096].map(|size| {
            let facts = facts_of(&segments(&turns, size), &turns);
            assert_eq!(facts.server.protocol, Some(AppProtocol::Tds));
            facts.refusal.map(|refusal| {
                assert_eq!(refusal.protocol, AppProtocol::Tds);
                (refusal.code.to_string(), refusal.message.map(String::from))
            })
        });
        assert!(rest.iter().all(|other| *other == one));
        one
    }

    #[test]
    fn a_login_is_refused() {
        let text = "Login failed for user 'sa'.";
        assert_eq!(
            refusal(&error(18456, text)),
            Some(("18456".to_owned(), Some(text.to_owned())))
        );
    }

    #[test]
    fn a_login_is_accepted() {
        let change = [super::ENVIRONMENT, 2, 0, 1, 0];
        let accepted = [super::LOGIN_ACCEPTED, 1, 0, 1];
        assert_eq!(refusal(&[&change[..], &accepted].concat()), None);
    }
}
