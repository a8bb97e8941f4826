//! A session in plaintext that goes on inside TLS: STARTTLS and its kin.

use super::{Conversation, Phase, State};
use crate::direction::Direction;
use crate::shared_state::SharedState;
use crate::types::{AppProtocol, Role};

impl Conversation {
    /// The rest of a session in plaintext, which continues inside TLS.
    fn within(protocol: AppProtocol, shared: SharedState) -> Conversation {
        Conversation(Phase::Open(Box::new(State {
            client: Direction::within(protocol, Role::Client),
            server: Direction::within(protocol, Role::Server),
            shared,
            decrypted: Conversation::new(),
        })))
    }
}

impl SharedState {
    /// The conversation inside TLS: the session that began before it, or one of which nothing is known yet.
    pub(super) fn continues(&mut self) -> Conversation {
        if let Some(session) = self.ftp.take() {
            self.ftp_inside = true;
            let shared = SharedState {
                ftp: Some(session),
                ..SharedState::default()
            };
            return Conversation::within(AppProtocol::Ftp, shared);
        }
        match self.upgrade.inside() {
            Some((protocol, upgrade)) => {
                let shared = SharedState {
                    upgrade,
                    ..SharedState::default()
                };
                Conversation::within(protocol, shared)
            }
            None => Conversation::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Turn, client, feed, pieces, server};

    #[test]
    fn what_was_plaintext_goes_on_inside_tls() {
        let mut greeting = b"\x0a8.0\0".to_vec();
        greeting.extend([1; 12]);
        greeting.extend([0, 0, 0x0a, 33, 2, 0]);
        let mysql = |number: u8, payload: &[u8]| {
            [
                &[u8::try_from(payload.len()).unwrap(), 0, 0, number],
                payload,
            ]
            .concat()
        };
        let mut asks = vec![0, 0x0a, 0, 0];
        asks.resize(32, 0);
        let reply = [&asks[..], b"bob\0secret\0"].concat();
        // The turns before TLS and inside of it, and the code with which the service refuses there.
        let cases = [
            (
                vec![server(mysql(0, &greeting)), client(mysql(1, &asks))],
                vec![
                    client(mysql(2, &reply)),
                    server(mysql(3, b"\x01\x04")),
                    client(mysql(4, b"secret\0")),
                    server(mysql(5, b"\xff\x15\x04#28000Access denied")),
                ],
                Some("1045"),
            ),
            (
                vec![server(mysql(0, &greeting)), client(mysql(1, &asks))],
                vec![
                    client(mysql(2, &reply)),
                    server(mysql(3, b"\0\0\0\x02\0\0\0")),
                ],
                None,
            ),
            (
                vec![
                    server("220 lab ESMTP\r\n"),
                    client("EHLO a\r\n"),
                    server("250-lab\r\n250 STARTTLS\r\n"),
                    client("STARTTLS\r\n"),
                    server("220 go\r\n"),
                ],
                vec![
                    client("EHLO a\r\n"),
                    server("250-lab\r\n250 AUTH PLAIN\r\n"),
                    client("AUTH PLAIN AGFiAGNk\r\n"),
                    server("535 5.7.8 no\r\n"),
                ],
                Some("535"),
            ),
            (
                vec![
                    server("* OK lab\r\n"),
                    client("a STARTTLS\r\n"),
                    server("a OK\r\n"),
                ],
                vec![
                    client("b LOGIN bob secret\r\n"),
                    server("b NO [AUTHENTICATIONFAILED] no\r\n"),
                ],
                Some(""),
            ),
            (
                vec![server("+OK lab\r\n"), client("STLS\r\n"), server("+OK\r\n")],
                vec![
                    client("USER bob\r\n"),
                    server("+OK\r\n"),
                    client("PASS secret\r\n"),
                    server("-ERR [AUTH] no\r\n"),
                ],
                Some(""),
            ),
        ];
        let feed_turns = |conversation: &mut Conversation, turns: &[Turn]| {
            for piece in pieces(turns) {
                feed(conversation, &piece);
            }
        };
        for (before, inside, code) in cases {
            let mut conversation = Conversation::new();
            feed_turns(&mut conversation, &before);
            let Phase::Open(mut state) = conversation.0 else {
                unreachable!("it has begun");
            };
            let mut continues = state.shared.continues();
            feed_turns(&mut continues, &inside);
            let refusal = continues.facts().refusal;
            assert_eq!(
                refusal.as_deref().map(|refusal| &*refusal.code),
                code,
                "{before:?}"
            );
        }
    }
}
