//! Both directions together.

use wirewhy_packet::Timestamp;

use crate::exchanges::Exchanges;
use crate::side::{Role, Segment, Side};
use crate::streams::Streams;
use crate::tls::{Follow, Tls, TlsFacts};
use crate::{ConversationFacts, Framing, HttpFacts, Library, Mark, SideFacts, What, upgrade};

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
    pub(crate) upgrade: upgrade::Dialogue,
    pub(crate) tls: Option<Box<Follow>>,
    /// Lent while bytes are read, empty otherwise.
    pub(crate) library: Library,
}

impl Dialogue {
    /// The TLS that is spoken on the connection, from now on, and the library it looks things up in.
    pub(crate) fn tls(&mut self) -> Tls<'_> {
        Tls {
            follow: self.tls.get_or_insert_default(),
            library: &mut self.library,
        }
    }
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
    /// cut by the snap length. The same `library` belongs to all connections of a capture.
    pub fn client_data(
        &mut self,
        at: u64,
        bytes: &[u8],
        wire_len: u32,
        frame: u64,
        time: Timestamp,
        library: &mut Library,
    ) {
        let segment = Segment::new(at, bytes, wire_len, Mark { frame, time });
        let state = self.state();
        state.read_with(library, |state| {
            if state.client.observe(segment, &mut state.dialogue) {
                state.resume();
            }
        });
    }

    /// A segment of the server; arguments as of [`client_data`](Conversation::client_data).
    pub fn server_data(
        &mut self,
        at: u64,
        bytes: &[u8],
        wire_len: u32,
        frame: u64,
        time: Timestamp,
        library: &mut Library,
    ) {
        let segment = Segment::new(at, bytes, wire_len, Mark { frame, time });
        let state = self.state();
        state.read_with(library, |state| {
            if state.server.observe(segment, &mut state.dialogue) {
                state.resume();
            }
        });
    }

    /// The client's stream ends at this offset (FIN).
    pub fn client_closed(&mut self, at: u64, library: &mut Library) {
        let state = self.state();
        state.client.close(at);
        state.read_with(library, State::resume);
    }

    /// The server's stream ends at this offset (FIN).
    pub fn server_closed(&mut self, at: u64, library: &mut Library) {
        let state = self.state();
        state.server.close(at);
        state.read_with(library, State::resume);
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
        if state.client.can_skip() || state.server.can_skip() {
            // What is missing may still come, so only a copy goes on without it.
            let mut state = state.clone();
            state.client.skip_gaps(&mut state.dialogue);
            state.server.skip_gaps(&mut state.dialogue);
            return state.facts();
        }
        state.facts()
    }

    /// Bytes of memory held, within a few of the truth.
    #[cfg(test)]
    pub(crate) fn retained(&self) -> usize {
        self.state.as_ref().map_or(0, |state| {
            size_of::<State>()
                + state.client.retained()
                + state.server.retained()
                + state.dialogue.exchanges.retained()
                + state.dialogue.streams.retained()
                + state.dialogue.upgrade.retained()
                + state.dialogue.tls.as_ref().map_or(0, |tls| tls.retained())
        })
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

/// Whether a side stands right before a body it has announced.
fn nothing_of_a_body(side: &SideFacts) -> bool {
    let Framing::Inside(unfinished) = side.framing else {
        return false;
    };
    matches!(
        unfinished.what,
        What::ContentLength { received: 0, .. } | What::Chunked { received: 0 }
    )
}

/// Adds what was decrypted: HTTP, and what it leaves unfinished where whole records end.
fn tell_plain(facts: &mut ConversationFacts, plain: ConversationFacts) {
    if plain.http != HttpFacts::default() {
        facts.http = plain.http;
        facts.awaiting = plain.awaiting;
    }
    for (side, plain) in [
        (&mut facts.client, plain.client),
        (&mut facts.server, plain.server),
    ] {
        let tells = matches!(plain.framing, Framing::Inside(_) | Framing::UntilClose);
        if side.framing == Framing::Boundary && tells {
            side.framing = plain.framing;
        }
    }
}

impl State {
    /// Lets both directions go on; the library is lent to them for as long.
    fn read_with(&mut self, library: &mut Library, read: impl FnOnce(&mut State)) {
        std::mem::swap(library, &mut self.dialogue.library);
        read(self);
        std::mem::swap(library, &mut self.dialogue.library);
    }

    fn facts(&self) -> ConversationFacts {
        let exchanges = &self.dialogue.exchanges;
        let streams = &self.dialogue.streams;
        let client = self.client.facts(streams);
        let server = self.server.facts(streams);
        let awaiting = match server.framing {
            Framing::Boundary => exchanges
                .awaiting()
                .or_else(|| {
                    exchanges
                        .awaiting_leave()
                        .filter(|_| nothing_of_a_body(&client))
                })
                .or_else(|| streams.awaiting()),
            // Of HTTP/1 an earlier answer is under way; HTTP/2 answers in any order.
            Framing::Inside(_) => streams.awaiting(),
            Framing::UntilClose | Framing::Unknown(_) => None,
        };
        let mut facts = ConversationFacts {
            client,
            server,
            http: exchanges.facts(),
            awaiting,
            upgrade: self.dialogue.upgrade.facts(exchanges.connect()),
            tls: self.tls_facts(),
        };
        if let Some(plain) = self.dialogue.tls.as_ref().and_then(|tls| tls.plain()) {
            tell_plain(&mut facts, plain);
        }
        facts
    }

    fn tls_facts(&self) -> Option<Box<TlsFacts>> {
        let mut facts = Box::new(self.dialogue.tls.as_ref()?.facts());
        for (side, tls) in [
            (&self.client, &mut facts.client),
            (&self.server, &mut facts.server),
        ] {
            let (stopped, incomplete) = side.tls_end();
            tls.stopped = tls.stopped.or(stopped);
            tls.incomplete = incomplete;
        }
        Some(facts)
    }

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
mod tests;
