//! Both directions together.

mod inside;

use wirewhy_packet::Timestamp;

use crate::CaptureContext;
use crate::direction::Direction;
use crate::facts::{AppFacts, SideFacts};
use crate::http_facts::HttpFacts;
use crate::shared_state::SharedState;
use crate::types::{Framing, Mark, Role, StreamSegment, Unreadable, What};

/// Both directions of one connection's application bytes.
///
/// Nothing is allocated until the first byte arrives, and once it is finished. Offsets count from the first byte after the SYN;
/// segments may arrive in any order, overlap and repeat; where copies differ, one of them counts.
#[derive(Clone, Debug, Default)]
pub struct Conversation(Phase);

crate::compact!(Conversation(number));

/// Bytes of memory that a conversation takes beside what every conversation does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    /// What waits to be read: segments out of order, messages that are not whole. [`Conversation::evict`] frees it.
    pub unread: usize,
    /// What was read and belongs to the facts.
    pub read: usize,
}

#[derive(Clone, Debug, Default)]
enum Phase {
    #[default]
    Empty,
    Open(Box<State>),
    Finished,
}

crate::compact!(Phase = { 0 Empty, 1 Open(item), 2 Finished });

#[derive(Clone, Debug)]
struct State {
    client: Direction,
    server: Direction,
    shared: SharedState,
    /// The conversation inside TLS, of which the application data were decrypted.
    decrypted: Conversation,
}

crate::compact!(State {
    client,
    server,
    shared,
    decrypted
});

impl Conversation {
    /// Bytes of memory that a conversation takes from its first byte on, whatever is sent.
    pub const BEGUN: usize = size_of::<State>();

    /// A conversation of which nothing was seen yet.
    #[must_use]
    pub fn new() -> Conversation {
        Conversation::default()
    }

    /// A segment of the client.
    ///
    /// `at` is the offset of its first byte, `bytes` what was captured of it, `wire_len` its length on the wire; the rest was
    /// cut by the snap length. The same `context` belongs to all connections of a capture. False where it was
    /// passed over, so that the conversation wants what it wanted before.
    pub fn client_data(
        &mut self,
        at: u64,
        bytes: &[u8],
        wire_len: u32,
        frame: u64,
        time: Timestamp,
        context: &mut CaptureContext,
    ) -> bool {
        let segment = StreamSegment::new(at, bytes, wire_len, Mark { frame, time });
        self.segment(Role::Client, segment, context)
    }

    /// A segment of the server; arguments as of [`client_data`](Conversation::client_data).
    pub fn server_data(
        &mut self,
        at: u64,
        bytes: &[u8],
        wire_len: u32,
        frame: u64,
        time: Timestamp,
        context: &mut CaptureContext,
    ) -> bool {
        let segment = StreamSegment::new(at, bytes, wire_len, Mark { frame, time });
        self.segment(Role::Server, segment, context)
    }

    /// The client's stream ends at this offset (FIN).
    pub fn client_closed(&mut self, at: u64, context: &mut CaptureContext) {
        self.read_with(context, |state| {
            state.client.close(at);
            state.resume();
        });
    }

    /// The server's stream ends at this offset (FIN).
    pub fn server_closed(&mut self, at: u64, context: &mut CaptureContext) {
        self.read_with(context, |state| {
            state.server.close(at);
            state.resume();
        });
    }

    /// Whether any byte or the end of a direction was seen, or the conversation was finished.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        !matches!(self.0, Phase::Empty)
    }

    /// Whether more bytes can still change the facts.
    #[must_use]
    pub fn wants(&self) -> bool {
        match &self.0 {
            Phase::Empty => true,
            Phase::Open(state) => state.client.wants() || state.server.wants(),
            Phase::Finished => false,
        }
    }

    /// What is known so far; nothing once it is finished.
    #[must_use]
    pub fn facts(&self) -> AppFacts {
        match &self.0 {
            // What is missing may still come, so only a copy continues without it.
            Phase::Open(state) if state.client.can_skip() || state.server.can_skip() => {
                *state.clone().finish()
            }
            Phase::Open(state) => state.facts(),
            Phase::Empty | Phase::Finished => AppFacts::default(),
        }
    }

    /// Ends it: what is known, where anything was sent. What was kept to read on is freed, and more bytes change nothing.
    pub fn finish(&mut self) -> Option<Box<AppFacts>> {
        match std::mem::replace(&mut self.0, Phase::Finished) {
            Phase::Open(mut state) => Some(state.finish()),
            Phase::Empty | Phase::Finished => None,
        }
    }

    /// Bytes of memory that grow with what was sent; `None` where nothing was, and once it is finished.
    #[must_use]
    pub fn memory(&self) -> Option<Memory> {
        let Phase::Open(state) = &self.0 else {
            return None;
        };
        let shared = &state.shared;
        let tls = shared.tls.as_ref();
        let inside = state.decrypted.memory().unwrap_or_default();
        Some(Memory {
            unread: state.client.kept()
                + state.server.kept()
                + tls.map_or(0, |tls| tls.kept())
                + inside.unread,
            read: shared.exchanges.retained()
                + shared.streams.requests()
                + tls.map_or(0, |tls| tls.recorded())
                + inside.read,
        })
    }

    /// Stops reading, and frees what waits to be read: what the rest of the connection says is not known
    /// ([`Unreadable::TooMuch`]).
    pub fn evict(&mut self) {
        let Phase::Open(state) = &mut self.0 else {
            return;
        };
        let State {
            client,
            server,
            shared,
            decrypted,
        } = &mut **state;
        client.stop(Unreadable::TooMuch, shared);
        server.stop(Unreadable::TooMuch, shared);
        if let Some(tls) = &mut shared.tls {
            tls.evict();
        }
        decrypted.evict();
    }

    /// Bytes of memory in use, within a few of the truth.
    #[cfg(test)]
    pub(crate) fn retained(&self) -> usize {
        let Phase::Open(state) = &self.0 else {
            return 0;
        };
        size_of::<State>()
            + state.client.retained()
            + state.server.retained()
            + state.shared.exchanges.retained()
            + state.shared.streams.retained()
            + state.shared.upgrade.retained()
            + state.shared.ssh.as_ref().map_or(0, |ssh| ssh.retained())
            + state.shared.dns.as_ref().map_or(0, |dns| dns.retained())
            + state.shared.ftp.as_ref().map_or(0, |ftp| ftp.retained())
            + state.shared.tls.as_ref().map_or(0, |tls| tls.retained())
    }

    fn segment(
        &mut self,
        role: Role,
        segment: StreamSegment<'_>,
        context: &mut CaptureContext,
    ) -> bool {
        if let Phase::Open(state) = &mut self.0
            && state.side(role).passes_over(segment)
        {
            return false;
        }
        self.read_with(context, |state| {
            let side = match role {
                Role::Client => &mut state.client,
                Role::Server => &mut state.server,
            };
            if side.observe(segment, &mut state.shared) {
                state.resume();
            }
        });
        true
    }

    /// Lets both directions read; the context is lent to them for as long.
    fn read_with(&mut self, context: &mut CaptureContext, read: impl FnOnce(&mut State)) {
        if matches!(self.0, Phase::Empty) {
            self.0 = Phase::Open(Box::new(State {
                client: Direction::new(Role::Client),
                server: Direction::new(Role::Server),
                shared: SharedState::default(),
                decrypted: Conversation::new(),
            }));
        }
        let Phase::Open(state) = &mut self.0 else {
            return;
        };
        state.shared.lend(context);
        read(state);
        state.shared.lend(context);
        state.read_decrypted();
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
fn add_decrypted(facts: &mut AppFacts, plain: AppFacts) {
    if plain.refusal.is_some() {
        facts.refusal = plain.refusal;
    }
    if plain.http != HttpFacts::default() {
        facts.http = plain.http;
        facts.awaiting = plain.awaiting;
    }
    facts.ftp = plain.ftp.or(facts.ftp.take());
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
    fn side(&mut self, role: Role) -> &mut Direction {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    fn facts(&self) -> AppFacts {
        let mut facts = AppFacts {
            http: self.shared.exchanges.facts(),
            tls: self.shared.tls.as_ref().map(|tls| Box::new(tls.facts())),
            ..AppFacts::default()
        };
        self.add_to(&mut facts);
        facts
    }

    /// The facts, where nothing that is missing will arrive any more.
    fn finish(&mut self) -> Box<AppFacts> {
        self.client.skip_gaps(&mut self.shared);
        self.server.skip_gaps(&mut self.shared);
        self.read_decrypted();
        let mut facts = Box::<AppFacts>::default();
        facts.http = std::mem::take(&mut self.shared.exchanges.tally).facts();
        facts.tls = self.shared.tls.take().map(|tls| tls.finish());
        self.add_to(&mut facts);
        facts
    }

    /// Reads the application data that were decrypted.
    fn read_decrypted(&mut self) {
        let Some(tls) = self.shared.tls.as_mut().filter(|tls| tls.has_decrypted()) else {
            return;
        };
        for data in tls.take_decrypted() {
            if !self.decrypted.has_begun() {
                self.decrypted = self.shared.continues();
            }
            if !self.decrypted.wants() {
                return;
            }
            // TLS inside of TLS is not decrypted again, so that nothing can nest without end.
            let mut none = CaptureContext::default();
            let segment = StreamSegment::new(data.at, &data.bytes, 0, data.mark);
            self.decrypted.segment(data.role, segment, &mut none);
        }
    }

    /// Adds what is quickly gathered to the facts of HTTP and TLS.
    fn add_to(&self, facts: &mut AppFacts) {
        let exchanges = &self.shared.exchanges;
        let streams = &self.shared.streams;
        facts.http.http2 = streams.facts();
        facts.client = self.client.facts(&self.shared);
        facts.server = self.server.facts(&self.shared);
        facts.awaiting = match facts.server.framing {
            Framing::Boundary => exchanges
                .awaiting()
                .or_else(|| {
                    exchanges
                        .awaiting_leave()
                        .filter(|_| nothing_of_a_body(&facts.client))
                })
                .or_else(|| streams.awaiting()),
            // Of HTTP/1 an earlier answer is under way; HTTP/2 answers in any order.
            Framing::Inside(_) => streams.awaiting(),
            Framing::UntilClose | Framing::Unknown(_) => None,
        };
        facts.upgrade = self.shared.upgrade.facts(exchanges.connect());
        let refusal = self.shared.refusal.clone();
        facts.refusal = refusal.or_else(|| self.shared.upgrade.refusal().cloned().map(Box::new));
        facts.ssh = self.shared.ssh.as_ref().map(|ssh| Box::new(ssh.facts()));
        facts.ftp = self.shared.ftp.as_ref().and_then(|ftp| ftp.facts());
        self.client.report(facts);
        self.server.report(facts);
        if let Some(dns) = &self.shared.dns {
            dns.report(facts);
        }
        if self.decrypted.has_begun() {
            add_decrypted(facts, self.decrypted.facts());
        }
    }

    /// Lets a direction continue that waited for the other one: a response for its request, a tunnel for its answer.
    fn resume(&mut self) {
        loop {
            let server = self.server.resume(&self.client, &mut self.shared);
            let client = self.client.resume(&self.server, &mut self.shared);
            if !server && !client {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
