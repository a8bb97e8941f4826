//! Both directions together.

use wirewhy_packet::Timestamp;

use crate::exchanges::Exchanges;
use crate::side::{Role, Segment, Side};
use crate::streams::Streams;
use crate::{ConversationFacts, Framing, Mark};

/// Both directions of one connection's application bytes.
///
/// One pointer until the first byte arrives. Offsets count from the first byte after the SYN; segments may arrive in any
/// order, overlap and repeat; where copies differ, one of them counts.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Conversation {
    state: Option<Box<State>>,
}

#[derive(Clone, PartialEq, Debug)]
struct State {
    client: Side,
    server: Side,
    dialogue: Dialogue,
}

/// What one direction must know of the other.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Dialogue {
    pub(crate) exchanges: Exchanges,
    pub(crate) streams: Streams,
}

impl Conversation {
    /// A conversation of which nothing was seen yet.
    #[must_use]
    pub fn new() -> Conversation {
        Conversation::default()
    }

    /// A segment of the client.
    ///
    /// `at` is the offset of its first byte, `bytes` what was captured of it, `wire_len` its length on the wire; the rest was
    /// cut by the snap length.
    pub fn client_data(
        &mut self,
        at: u64,
        bytes: &[u8],
        wire_len: u32,
        frame: u64,
        time: Timestamp,
    ) {
        let segment = Segment::new(at, bytes, wire_len, Mark { frame, time });
        let state = self.state();
        if state.client.observe(segment, &mut state.dialogue) {
            state.resume();
        }
    }

    /// A segment of the server; arguments as of [`client_data`](Conversation::client_data).
    pub fn server_data(
        &mut self,
        at: u64,
        bytes: &[u8],
        wire_len: u32,
        frame: u64,
        time: Timestamp,
    ) {
        let segment = Segment::new(at, bytes, wire_len, Mark { frame, time });
        let state = self.state();
        if state.server.observe(segment, &mut state.dialogue) {
            state.resume();
        }
    }

    /// The client's stream ends at this offset (FIN).
    pub fn client_closed(&mut self, at: u64) {
        let state = self.state();
        state.client.close(at);
        state.resume();
    }

    /// The server's stream ends at this offset (FIN).
    pub fn server_closed(&mut self, at: u64) {
        let state = self.state();
        state.server.close(at);
        state.resume();
    }

    /// Whether more bytes can still change the facts.
    #[must_use]
    pub fn wants(&self) -> bool {
        self.state
            .as_ref()
            .is_none_or(|state| state.client.wants() || state.server.wants())
    }

    /// What is known so far.
    #[must_use]
    pub fn facts(&self) -> ConversationFacts {
        let Some(state) = &self.state else {
            return ConversationFacts::default();
        };
        let Dialogue { exchanges, streams } = &state.dialogue;
        let client = state.client.facts(streams);
        let server = state.server.facts(streams);
        let awaiting = match server.framing {
            Framing::Boundary => exchanges.awaiting().or_else(|| streams.awaiting()),
            // Of HTTP/1 an earlier answer is under way; HTTP/2 answers in any order.
            Framing::Inside(_) => streams.awaiting(),
            Framing::UntilClose | Framing::Unknown(_) => None,
        };
        ConversationFacts {
            client,
            server,
            http: exchanges.facts(),
            awaiting,
        }
    }

    fn state(&mut self) -> &mut State {
        self.state.get_or_insert_with(|| {
            Box::new(State {
                client: Side::new(Role::Client),
                server: Side::new(Role::Server),
                dialogue: Dialogue::default(),
            })
        })
    }
}

impl State {
    /// Lets a direction go on that waited for the other one: a response for its request, a tunnel for its answer.
    fn resume(&mut self) {
        loop {
            let server = self.server.resume(&self.client, &mut self.dialogue);
            let client = self.client.resume(&self.server, &mut self.dialogue);
            if !server && !client {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Speech, What};

    #[test]
    fn a_response_that_ends_early_is_truncated() {
        let mut talk = Conversation::new();
        let request = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
        let response = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345";
        talk.client_data(0, request, 0, 1, Timestamp(1));
        assert_eq!(
            talk.facts().awaiting.map(|awaiting| awaiting.sent.frame),
            Some(1)
        );
        talk.server_data(0, response, 0, 2, Timestamp(2));
        talk.server_closed(response.len() as u64);
        let facts = talk.facts();
        let truncated = facts.server.truncated().expect("truncated");
        assert_eq!(
            truncated.what,
            What::ContentLength {
                announced: 10,
                received: 5
            }
        );
        assert_eq!(facts.server.speaks, Some(Speech::Http1Response));
        assert_eq!(facts.awaiting, None);
    }
}
