//! Both directions together.

use wirewhy_packet::Timestamp;

use crate::exchanges::Exchanges;
use crate::side::{Role, Segment, Side};
use crate::streams::Streams;
use crate::tls::{Follow, Tls, TlsFacts, Told};
use crate::{ConversationFacts, Framing, HttpFacts, Library, Mark, SideFacts, What, upgrade};

/// Both directions of one connection's application bytes.
///
/// Nothing is held until the first byte arrives, and once it is finished. Offsets count from the first byte after the SYN;
/// segments may arrive in any order, overlap and repeat; where copies differ, one of them counts.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Conversation(Stage);

#[derive(Clone, PartialEq, Debug, Default)]
enum Stage {
    #[default]
    Silent,
    Spoken(Box<State>),
    Finished,
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
        self.read_with(library, |state| {
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
        self.read_with(library, |state| {
            if state.server.observe(segment, &mut state.dialogue) {
                state.resume();
            }
        });
    }

    /// The client's stream ends at this offset (FIN).
    pub fn client_closed(&mut self, at: u64, library: &mut Library) {
        self.read_with(library, |state| {
            state.client.close(at);
            state.resume();
        });
    }

    /// The server's stream ends at this offset (FIN).
    pub fn server_closed(&mut self, at: u64, library: &mut Library) {
        self.read_with(library, |state| {
            state.server.close(at);
            state.resume();
        });
    }

    /// Whether more bytes can still change the facts.
    #[must_use]
    pub fn wants(&self) -> bool {
        match &self.0 {
            Stage::Silent => true,
            Stage::Spoken(state) => state.client.wants() || state.server.wants(),
            Stage::Finished => false,
        }
    }

    /// What is known so far; nothing once it is finished.
    #[must_use]
    pub fn facts(&self) -> ConversationFacts {
        match &self.0 {
            // What is missing may still come, so only a copy goes on without it.
            Stage::Spoken(state) if state.client.can_skip() || state.server.can_skip() => {
                state.clone().finish()
            }
            Stage::Spoken(state) => state.facts(),
            Stage::Silent | Stage::Finished => ConversationFacts::default(),
        }
    }

    /// Ends it: what is known, where anything was said. All that was held to go on reading is let go, and more bytes change
    /// nothing.
    pub fn finish(&mut self) -> Option<Box<ConversationFacts>> {
        match std::mem::replace(&mut self.0, Stage::Finished) {
            Stage::Spoken(state) => Some(Box::new(state.finish())),
            Stage::Silent | Stage::Finished => None,
        }
    }

    /// Bytes of memory held, within a few of the truth.
    #[cfg(test)]
    pub(crate) fn retained(&self) -> usize {
        let Stage::Spoken(state) = &self.0 else {
            return 0;
        };
        size_of::<State>()
            + state.client.retained()
            + state.server.retained()
            + state.dialogue.exchanges.retained()
            + state.dialogue.streams.retained()
            + state.dialogue.upgrade.retained()
            + state.dialogue.tls.as_ref().map_or(0, |tls| tls.retained())
    }

    /// Lets both directions go on; the library is lent to them for as long.
    fn read_with(&mut self, library: &mut Library, read: impl FnOnce(&mut State)) {
        if matches!(self.0, Stage::Silent) {
            self.0 = Stage::Spoken(Box::new(State {
                client: Side::new(Role::Client),
                server: Side::new(Role::Server),
                dialogue: Dialogue::default(),
            }));
        }
        let Stage::Spoken(state) = &mut self.0 else {
            return;
        };
        std::mem::swap(library, &mut state.dialogue.library);
        read(state);
        std::mem::swap(library, &mut state.dialogue.library);
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
    fn facts(&self) -> ConversationFacts {
        let tls = self.dialogue.tls.as_ref().map(|tls| tls.told());
        self.with(self.dialogue.exchanges.facts(), tls)
    }

    /// The facts, where nothing that is missing will come any more.
    fn finish(mut self) -> ConversationFacts {
        self.client.skip_gaps(&mut self.dialogue);
        self.server.skip_gaps(&mut self.dialogue);
        let tls = self.dialogue.tls.take().map(|tls| tls.finish());
        let http = std::mem::take(&mut self.dialogue.exchanges.tally).facts();
        self.with(http, tls)
    }

    /// The facts: those given, and what is quickly gathered.
    fn with(&self, http: HttpFacts, tls: Option<Told>) -> ConversationFacts {
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
            http,
            awaiting,
            upgrade: self.dialogue.upgrade.facts(exchanges.connect()),
            tls: None,
        };
        if let Some(Told { tls, plain }) = tls {
            facts.tls = Some(Box::new(self.with_ends(tls)));
            if let Some(plain) = plain {
                tell_plain(&mut facts, plain);
            }
        }
        facts
    }

    /// Adds where what each side says in TLS cannot be followed any further.
    fn with_ends(&self, mut facts: TlsFacts) -> TlsFacts {
        for (side, tls) in [
            (&self.client, &mut facts.client),
            (&self.server, &mut facts.server),
        ] {
            let (stopped, incomplete) = side.tls_end();
            tls.stopped = tls.stopped.or(stopped);
            tls.incomplete = incomplete;
        }
        facts
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
