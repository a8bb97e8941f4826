//! Conversations over UDP: each datagram is read as a whole, in the order of the capture.

use wirewhy_packet::Timestamp;

use crate::CaptureContext;
use crate::facts::AppFacts;
use crate::parser::{Parser, ReaderPosition};
use crate::protocol::{Protocol, Reading};
use crate::quic::QuicConversation;
use crate::registry::{OVER_UDP, Recognised, may_be_over_udp, recognise};
use crate::shared_state::SharedState;
use crate::types::{AppProtocol, Input, Mark, Opening, Role, Step, Transport, Unreadable};

/// What two ends send one another over UDP.
///
/// The protocol is recognised by the first datagram of either end; one parser then reads the datagrams of both. Nothing is
/// allocated for a conversation whose protocol is not known.
#[derive(Clone, Debug)]
pub struct Datagrams {
    protocols: DatagramProtocols,
    ends: [End; 2],
    reading: Option<Reader>,
}

/// What reads the datagrams.
#[derive(Clone, Debug)]
enum Reader {
    Parser(Box<State>),
    Quic(Box<QuicConversation>),
}

/// One end.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    opening: Opening,
    protocol: Option<AppProtocol>,
    /// Bytes sent.
    sent: u64,
}

#[derive(Clone, Debug)]
struct State {
    parser: Box<dyn Parser>,
    shared: SharedState,
    unreadable: Option<Unreadable>,
}

/// The protocols that are read over UDP.
#[derive(Clone, Copy, Debug)]
pub struct DatagramProtocols {
    protocols: &'static [&'static Protocol],
    may_read: fn(&[u8]) -> bool,
}

impl Default for DatagramProtocols {
    /// All that are registered.
    fn default() -> DatagramProtocols {
        DatagramProtocols {
            protocols: &OVER_UDP,
            may_read: may_be_over_udp,
        }
    }
}

impl DatagramProtocols {
    /// Questions "?n" and answers "!n", where n is one byte, in place of the protocols that are registered: for tests of
    /// what carries datagrams.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn quiz() -> DatagramProtocols {
        DatagramProtocols {
            protocols: &crate::quiz::PROTOCOLS,
            may_read: |_| true,
        }
    }

    /// Whether no protocol is read over UDP.
    #[must_use]
    pub fn is_empty(self) -> bool {
        !self
            .protocols
            .iter()
            .any(|protocol| protocol.reads_datagrams())
    }

    /// Whether one of them may read a datagram with these bytes, by a few comparisons: what a datagram of another protocol
    /// costs. Where it is false, [`DatagramProtocols::sender`] finds none.
    #[must_use]
    #[inline]
    pub fn may_read(self, bytes: &[u8]) -> bool {
        (self.may_read)(bytes)
    }

    /// The end that sends a datagram with these bytes where a protocol reads it; `None` where none does.
    #[must_use]
    pub fn sender(self, bytes: &[u8]) -> Option<Role> {
        [Role::Client, Role::Server].into_iter().find(|role| {
            let found = recognise(self.protocols, Transport::Udp, *role, bytes, true);
            matches!(found, Recognised::As(protocol) if protocol.reads_datagrams())
        })
    }
}

impl Default for Datagrams {
    fn default() -> Datagrams {
        Datagrams::of(DatagramProtocols::default())
    }
}

impl Datagrams {
    /// A conversation of which nothing was seen yet.
    #[must_use]
    pub fn new() -> Datagrams {
        Datagrams::default()
    }

    /// A conversation in one of these protocols, of which nothing was seen yet.
    #[must_use]
    pub fn of(protocols: DatagramProtocols) -> Datagrams {
        Datagrams {
            protocols,
            ends: [End::default(); 2],
            reading: None,
        }
    }

    /// A datagram of one end.
    ///
    /// `bytes` is what was captured of its payload, `wire_len` the payload's length on the wire; the rest was cut by the snap
    /// length. The same `context` belongs to all conversations of a capture.
    pub fn observe(
        &mut self,
        from: Role,
        bytes: &[u8],
        wire_len: u32,
        frame: u64,
        time: Timestamp,
        context: &mut CaptureContext,
    ) {
        let mark = Mark { frame, time };
        let end = from.of(&mut self.ends);
        let at = end.sent;
        let captured = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let length = captured.max(u64::from(wire_len));
        end.sent = at.saturating_add(length);
        if end.protocol.is_none() && !bytes.is_empty() {
            end.opening.record(0, bytes);
            let found = recognise(self.protocols.protocols, Transport::Udp, from, bytes, true);
            end.protocol = found.id();
            if self.reading.is_none()
                && let Recognised::As(protocol) = found
            {
                self.reading = match protocol.reading {
                    Reading::Parser(parser) => Some(Reader::Parser(Box::new(State {
                        parser: parser(),
                        shared: SharedState::default(),
                        unreadable: None,
                    }))),
                    Reading::Quic => QuicConversation::new(bytes).map(Box::new).map(Reader::Quic),
                    _ => None,
                };
            }
        }
        match &mut self.reading {
            Some(Reader::Quic(talk)) => talk.observe(from, bytes, wire_len, mark, context),
            Some(Reader::Parser(state)) if state.unreadable.is_none() && length > 0 => {
                let input = Input {
                    at,
                    bytes,
                    mark,
                    role: from,
                };
                state.shared.lend(context);
                state.read(input, length > captured);
                state.shared.lend(context);
            }
            _ => {}
        }
    }

    /// The connection over QUIC that it is; `None` where it is none.
    #[must_use]
    pub fn quic(&self) -> Option<&QuicConversation> {
        match &self.reading {
            Some(Reader::Quic(talk)) => Some(talk),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn quic_mut(&mut self) -> Option<&mut QuicConversation> {
        match &mut self.reading {
            Some(Reader::Quic(talk)) => Some(talk),
            _ => None,
        }
    }

    /// Bytes that wait to be read.
    #[must_use]
    pub fn kept(&self) -> usize {
        match &self.reading {
            Some(Reader::Quic(talk)) => talk.kept(),
            Some(Reader::Parser(state)) => state.parser.kept(),
            None => 0,
        }
    }

    /// Frees what waits to be read, and reads no more of what it would be part of.
    pub fn evict(&mut self) {
        match &mut self.reading {
            Some(Reader::Quic(talk)) => talk.evict(),
            Some(Reader::Parser(state)) => state.parser.stop(Role::Client, &[], &mut state.shared),
            None => {}
        }
    }

    /// Whether more datagrams can still change the facts.
    #[must_use]
    pub fn wants(&self) -> bool {
        match &self.reading {
            Some(Reader::Parser(state)) => state.unreadable.is_none(),
            Some(Reader::Quic(_)) => true,
            None => self.ends.iter().any(|end| end.protocol.is_none()),
        }
    }

    /// What is known so far.
    #[must_use]
    pub fn facts(&self) -> AppFacts {
        let [client, server] = self.ends;
        let mut facts = AppFacts::default();
        for (role, end) in [(Role::Client, client), (Role::Server, server)] {
            let side = match role {
                Role::Client => &mut facts.client,
                Role::Server => &mut facts.server,
            };
            side.begins_with_text = end.opening.is_text();
            side.protocol = end.protocol;
            if let Some(Reader::Parser(state)) = &self.reading {
                let position = ReaderPosition {
                    role,
                    upto: end.sent,
                    need: end.sent,
                    pending: false,
                    closed: false,
                    unreadable: state.unreadable,
                };
                side.framing = state.parser.framing(position, &state.shared);
                state.parser.report(position, &mut facts);
            }
        }
        if let Some(Reader::Quic(talk)) = &self.reading {
            let of_quic = |sent: u64| (sent > 0).then_some(AppProtocol::Quic);
            facts.client.protocol = of_quic(client.sent);
            facts.server.protocol = of_quic(server.sent);
            facts.quic = Some(Box::new(talk.facts()));
            facts.tls = Some(Box::new(talk.tls()));
        }
        facts
    }
}

impl State {
    fn read(&mut self, input: Input<'_>, is_cut: bool) {
        if is_cut {
            let skipped =
                self.parser
                    .skip(Unreadable::Cut, input.mark, input.role, &mut self.shared);
            self.unreadable = skipped.is_none().then_some(Unreadable::Cut);
            return;
        }
        if let Step::Unreadable(reason) = self.parser.read(input, &mut self.shared) {
            self.parser.stop(input.role, input.bytes, &mut self.shared);
            self.unreadable = Some(reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Framing;

    fn observe(datagrams: &mut Datagrams, from: Role, bytes: &[u8], wire_len: u32, frame: u64) {
        let time = Timestamp::from_secs_nanos(i64::try_from(frame).unwrap(), 0);
        let mut context = CaptureContext::default();
        datagrams.observe(from, bytes, wire_len, frame, time, &mut context);
    }

    /// The facts of datagrams of one frame each, and whether more are wanted.
    fn facts(datagrams: &[(Role, &[u8])]) -> (AppFacts, bool) {
        let mut conversation = Datagrams::of(DatagramProtocols::quiz());
        for (frame, &(from, bytes)) in (1..).zip(datagrams) {
            observe(&mut conversation, from, bytes, 0, frame);
        }
        (conversation.facts(), conversation.wants())
    }

    use Role::{Client, Server};

    #[test]
    fn one_parser_reads_both_ends() {
        let asked: [(Role, &[u8]); 2] = [(Client, b"?1"), (Client, b"?2")];
        let (open, wants) = facts(&asked);
        let sent = open.awaiting.unwrap().sent;
        assert_eq!(
            (
                sent.frame,
                sent.time.since(Timestamp::default()).as_secs_f64()
            ),
            (1, 1.0)
        );
        assert!(wants);
        // Datagrams arrive in any order, and each answers its own question.
        let (answered, _) = facts(&[asked[0], asked[1], (Server, b"!2"), (Server, b"!1")]);
        assert_eq!(answered.awaiting, None);
        assert_eq!(answered.http.responses, 2);
        assert_eq!(answered.client.protocol, Some(AppProtocol::Ldap));
        assert_eq!(answered.server.protocol, Some(AppProtocol::Ldap));
        assert!(answered.server.begins_with_text);
    }

    #[test]
    fn recognition_heeds_end_and_transport() {
        let (swapped, wants) = facts(&[(Server, b"?1"), (Client, b"!1")]);
        assert_eq!(swapped.client.protocol, Some(AppProtocol::Unknown));
        assert_eq!(swapped.server.protocol, Some(AppProtocol::Unknown));
        assert_eq!((swapped.awaiting, wants), (None, false));
        // A capture that begins with the answer.
        let (late, wants) = facts(&[(Server, b"!1")]);
        assert_eq!((late.http.responses, wants), (1, true));
        // Nothing is registered over UDP that is known over TCP only.
        let mut known = Datagrams::new();
        observe(&mut known, Client, b"GET / HTTP/1.1\r\n\r\n", 0, 1);
        assert_eq!(known.facts().client.protocol, Some(AppProtocol::Unknown));
    }

    #[test]
    fn what_cannot_be_read_ends_the_reading() {
        let (malformed, wants) = facts(&[(Client, b"?1"), (Server, b"nonsense"), (Server, b"!1")]);
        assert_eq!(
            malformed.client.framing,
            Framing::Unknown(Unreadable::Malformed)
        );
        assert_eq!(malformed.awaiting.unwrap().sent.frame, 1);
        assert!(!wants);
    }

    #[test]
    fn a_datagram_cut_by_the_snap_length_is_passed_over_where_the_parser_can() {
        let mut conversation = Datagrams::of(DatagramProtocols::quiz());
        observe(&mut conversation, Client, b"?1", 2, 1);
        observe(&mut conversation, Server, b"!", 2, 2);
        assert_eq!(conversation.facts().http.responses, 1);
        assert!(conversation.wants());
        observe(&mut conversation, Client, b"?", 2, 3);
        assert!(!conversation.wants());
        assert_eq!(
            conversation.facts().client.framing,
            Framing::Unknown(Unreadable::Cut)
        );
    }

    #[test]
    fn an_empty_datagram_tells_nothing() {
        let (nothing, wants) = facts(&[(Client, b"")]);
        assert_eq!((nothing.client.protocol, wants), (None, true));
    }

    #[test]
    fn the_sender_is_known_by_what_a_protocol_reads() {
        let protocols = DatagramProtocols::quiz();
        assert!(!protocols.is_empty());
        assert_eq!(protocols.sender(b"?1"), Some(Client));
        assert_eq!(protocols.sender(b"!1"), Some(Server));
        assert_eq!(protocols.sender(b"GET / HTTP/1.1\r\n\r\n"), None);
        assert_eq!(protocols.sender(b""), None);
    }
}
