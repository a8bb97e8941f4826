//! Redis and what speaks its protocol (RESP): the errors with which a server turns a client away.

use super::{Refusal, line_end};
use crate::parser::{Parser, ReaderPosition};
use crate::protocol::{Protocol, Reading, any, begins_with};
use crate::shared_state::SharedState;
use crate::types::{AppProtocol, Framing, Input, Role, Step, Transport, Unreadable};

/// The longest error looked at: that of the protected mode explains itself at length.
const MAX_LINE: usize = 4096;

pub(crate) static REDIS: Protocol = Protocol {
    id: AppProtocol::Redis,
    name: "Redis",
    transports: &[Transport::Tcp],
    first: None,
    probe: |role, bytes| match role {
        Role::Client => is_command(bytes),
        Role::Server => any(TURNED_AWAY.map(|error| begins_with(bytes, error.as_bytes()))),
    },
    reading: Reading::Parser(|| Box::new(Reader)),
};

/// The code of a command without a login.
const NO_LOGIN: &[u8] = b"NOAUTH";

/// How the errors begin that refuse a session: no login, a wrong one, no permission, a server that takes no clients from
/// elsewhere, that has too many, or that has not loaded its data. They come as a server's first words.
const TURNED_AWAY: [&str; 11] = [
    "-NOAUTH",
    "-WRONGPASS",
    "-NOPERM",
    "-DENIED",
    "-LOADING",
    "-MASTERDOWN",
    "-CLUSTERDOWN",
    "-ERR max number of clients",
    "-ERR Client sent AUTH",
    "-ERR AUTH",
    "-ERR invalid password",
];

/// Whether bytes begin an array of bulk strings, as every command is sent: `*2\r\n$4\r\n`.
fn is_command(bytes: &[u8]) -> Option<bool> {
    let (b'*', rest) = bytes.split_first()? else {
        return Some(false);
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits > 4 {
        return Some(false);
    }
    match rest.get(digits..)? {
        [] => None,
        rest if digits > 0 => begins_with(rest, b"\r\n$"),
        _ => Some(false),
    }
}

/// Reads a server's first errors, and stops at its first reply that is none. Of a client nothing is read.
#[derive(Clone, Debug)]
struct Reader;

impl Parser for Reader {
    fn read(&mut self, input: Input<'_>, shared: &mut SharedState) -> Step {
        if input.role == Role::Client {
            return Step::Unreadable(Unreadable::Unframed);
        }
        if input.bytes.first() != Some(&b'-') {
            shared.refusal = None;
            return Step::Unreadable(Unreadable::Unframed);
        }
        let end = match line_end(input.bytes, MAX_LINE) {
            Ok(end) => end,
            Err(step) => return step,
        };
        let line = input.bytes.get(1..end).unwrap_or(&[]).trim_ascii_end();
        let word = line.iter().position(|&byte| byte == b' ');
        let (code, message) = line.split_at(word.unwrap_or(line.len()));
        let refuses = TURNED_AWAY
            .iter()
            .any(|error| input.bytes.starts_with(error.as_bytes()));
        // A client that goes on after a wrong password hears next that it has given none.
        let continues = code == NO_LOGIN && shared.refusal.is_some();
        if refuses && !continues {
            let refusal = Refusal::new(AppProtocol::Redis, code, message, input.mark);
            shared.refusal = Some(Box::new(refusal));
        }
        Step::To(input.after(end.saturating_add(1)))
    }

    fn reads_framing(&self) -> bool {
        false
    }

    fn framing(&self, _position: ReaderPosition, _shared: &SharedState) -> Framing {
        Framing::Unknown(Unreadable::Unframed)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{client, open_facts, server};
    use crate::types::AppProtocol;

    #[test]
    fn errors_that_turn_a_client_away() {
        for (words, code, message) in [
            (
                &b"-NOAUTH Authentication required.\r\n"[..],
                "NOAUTH",
                "Authentication required.",
            ),
            (
                b"-ERR max number of clients reached\r\n",
                "ERR",
                "max number of clients reached",
            ),
        ] {
            for cut in 1..words.len() {
                let facts = open_facts(&[
                    client("*1\r\n$4\r\nPING\r\n"),
                    server(&words[..cut]),
                    server(&words[cut..]),
                ]);
                let refusal = facts.refusal.unwrap();
                assert_eq!(refusal.protocol, AppProtocol::Redis);
                assert_eq!(
                    (&*refusal.code, refusal.message.as_deref()),
                    (code, Some(message))
                );
            }
            assert_eq!(open_facts(&[server(&words[..4])]).refusal, None);
        }
    }

    #[test]
    fn a_login_that_is_accepted_later_is_no_refusal() {
        let facts = open_facts(&[
            client("*1\r\n$4\r\nPING\r\n"),
            server("-NOAUTH Authentication required.\r\n"),
            client("*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n"),
            server("+OK\r\n"),
        ]);
        assert_eq!(facts.refusal, None);
        assert_eq!(facts.client.protocol, Some(AppProtocol::Redis));
    }

    #[test]
    fn the_first_refusal_counts() {
        let facts = open_facts(&[
            client("*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n"),
            server("-WRONGPASS invalid username-password pair or user is disabled.\r\n"),
            client("*1\r\n$4\r\nPING\r\n"),
            server("-NOAUTH Authentication required.\r\n"),
        ]);
        assert_eq!(&*facts.refusal.unwrap().code, "WRONGPASS");
    }

    #[test]
    fn errors_of_a_command_are_none() {
        let facts = open_facts(&[
            client("*1\r\n$4\r\nPING\r\n"),
            server("-ERR unknown command 'PING', with args beginning with: 'secret'\r\n"),
        ]);
        assert_eq!(facts.refusal, None);
    }
}
