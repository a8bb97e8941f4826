//! Connections over QUIC for the tests of detectors: datagrams through parse, track and diagnose.

use std::net::SocketAddr;

use wirewhy_flow::{Bounds, Connection, Tracker};
use wirewhy_packet::Decoder;
use wirewhy_protocol::quic_testing::{
    TestConversation, ack, client_hello, close, crypto, server_hello,
};
use wirewhy_protocol::{QuicVersion, Role};
use wirewhy_testkit::{OwnedFrame, at_millis, icmp_frame, udp_frame};

use crate::{Diagnosis, Finding, Limits, TrustStore, diagnose};

/// A connection, datagram by datagram: times are in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct ConversationTrace {
    conversation: TestConversation,
    hello: Vec<u8>,
    frames: Vec<OwnedFrame>,
    seed: usize,
    end: u32,
}

/// How many bytes of a hello that is split go into the first datagram.
const FIRST_PART: usize = 1_100;

impl ConversationTrace {
    pub(crate) fn new() -> ConversationTrace {
        ConversationTrace::of(QuicVersion::V1)
    }

    pub(crate) fn of(version: QuicVersion) -> ConversationTrace {
        ConversationTrace {
            conversation: TestConversation::new(version, 1),
            hello: client_hello("shop.example", 0),
            frames: Vec::new(),
            seed: 0,
            end: 0,
        }
    }

    /// From here on in another version, with new packet numbers.
    pub(crate) fn with_version(mut self, version: QuicVersion) -> ConversationTrace {
        self.conversation = TestConversation::new(version, 1);
        self
    }

    fn add(mut self, at: u32, role: Role, payload: &[u8]) -> ConversationTrace {
        let client: SocketAddr = "192.0.2.1:40000".parse().unwrap();
        let server: SocketAddr = "198.51.100.1:443".parse().unwrap();
        let (from, to) = match role {
            Role::Client => (client, server),
            Role::Server => (server, client),
        };
        let number = u64::try_from(self.frames.len()).unwrap() + 1;
        self.frames
            .push(udp_frame(number, at_millis(at), from, to, payload));
        self.end = self.end.max(at);
        self
    }

    /// The client's hello in one datagram of 1,200 bytes.
    pub(crate) fn client_hello(self, at: u32) -> ConversationTrace {
        self.client_hello_of(at, 1_200)
    }

    /// The same in a datagram of about so many bytes, or as many as it needs.
    pub(crate) fn client_hello_of(mut self, at: u32, length: usize) -> ConversationTrace {
        let packet = match length {
            1_200.. => {
                let hello = crypto(0, &self.hello);
                self.conversation.initial(Role::Client, &hello, length)
            }
            _ => self.conversation.initial(Role::Client, &[1], length),
        };
        self.add(at, Role::Client, &packet)
    }

    /// A hello of 1,600 bytes in two datagrams.
    pub(crate) fn split_hello(mut self, at: u32) -> ConversationTrace {
        self.hello = client_hello("shop.example", 1_600);
        let first = crypto(0, &self.hello[..FIRST_PART]);
        let packet = self.conversation.initial(Role::Client, &first, 1_200);
        self.add(at, Role::Client, &packet).hello_tail(at)
    }

    /// The second part of such a hello.
    pub(crate) fn hello_tail(mut self, at: u32) -> ConversationTrace {
        let offset = u16::try_from(FIRST_PART).unwrap();
        let rest = crypto(offset, &self.hello[FIRST_PART..]);
        let packet = self.conversation.initial(Role::Client, &rest, 1_200);
        self.add(at, Role::Client, &packet)
    }

    /// The server acknowledges the client's Initial packets up to this number.
    pub(crate) fn server_acks(mut self, at: u32, largest: u8) -> ConversationTrace {
        let packet = self
            .conversation
            .initial(Role::Server, &ack(largest), 1_200);
        self.add(at, Role::Server, &packet)
    }

    /// The server's hello alone.
    pub(crate) fn server_hello(mut self, at: u32) -> ConversationTrace {
        let frames = [ack(0), crypto(0, &server_hello())].concat();
        let packet = self.conversation.initial(Role::Server, &frames, 1_200);
        self.add(at, Role::Server, &packet)
    }

    /// The server's hello and a Handshake packet.
    pub(crate) fn server_flight(self, at: u32) -> ConversationTrace {
        self.server_hello(at).server_handshake(at + 1)
    }

    pub(crate) fn server_handshake(self, at: u32) -> ConversationTrace {
        self.server_handshake_of(at, 700)
    }

    pub(crate) fn server_handshake_of(mut self, at: u32, length: usize) -> ConversationTrace {
        self.seed += 1;
        let packet = self.conversation.handshake(Role::Server, length);
        self.add(at, Role::Server, &packet)
    }

    pub(crate) fn client_handshake(self, at: u32, length: usize) -> ConversationTrace {
        let packet = self.conversation.handshake(Role::Client, length);
        self.add(at, Role::Client, &packet)
    }

    /// All that follows a hello until both sides send 1-RTT packets.
    pub(crate) fn handshake(self, at: u32) -> ConversationTrace {
        self.server_flight(at)
            .client_handshake(at + 10, 90)
            .client_short(at + 11, 120)
            .server_short(at + 30, 300)
            .client_short(at + 40, 50)
    }

    pub(crate) fn client_short(mut self, at: u32, length: usize) -> ConversationTrace {
        self.seed += 1;
        let packet = self.conversation.short(Role::Client, length, self.seed);
        self.add(at, Role::Client, &packet)
    }

    pub(crate) fn server_short(mut self, at: u32, length: usize) -> ConversationTrace {
        self.seed += 1;
        let packet = self.conversation.short(Role::Server, length, self.seed);
        self.add(at, Role::Server, &packet)
    }

    /// A 1-RTT packet of a side, not yet in its place: see [`ConversationTrace::in_order`].
    pub(crate) fn at(self, at: u32, role: crate::Role, length: usize) -> ConversationTrace {
        match role {
            crate::Role::Client => self.client_short(at, length),
            _ => self.server_short(at, length),
        }
    }

    /// All datagrams in the order of their times.
    pub(crate) fn in_order(mut self) -> ConversationTrace {
        self.frames.sort_by_key(|frame| frame.time);
        for (number, frame) in (1..).zip(&mut self.frames) {
            frame.number = number;
        }
        self
    }

    /// A stateless reset, whose token is always the same.
    pub(crate) fn server_resets(mut self, at: u32, length: usize) -> ConversationTrace {
        self.seed += 1;
        let mut packet = self
            .conversation
            .short(Role::Server, length - 16, self.seed);
        packet.extend([0xa5; 16]);
        self.add(at, Role::Server, &packet)
    }

    pub(crate) fn server_closes(mut self, at: u32, code: u16, reason: &str) -> ConversationTrace {
        let packet = self
            .conversation
            .initial(Role::Server, &close(code, reason), 1_200);
        self.add(at, Role::Server, &packet)
    }

    pub(crate) fn client_closes(mut self, at: u32, code: u16, reason: &str) -> ConversationTrace {
        let packet = self
            .conversation
            .initial(Role::Client, &close(code, reason), 1_200);
        self.add(at, Role::Client, &packet)
    }

    pub(crate) fn retry(mut self, at: u32, id: u8) -> ConversationTrace {
        let packet = self.conversation.retry(id, b"token");
        self.add(at, Role::Server, &packet)
    }

    pub(crate) fn negotiation(self, at: u32, versions: &[QuicVersion]) -> ConversationTrace {
        let packet = self.conversation.negotiation(versions);
        self.add(at, Role::Server, &packet)
    }

    /// An ICMP error about the latest frame, by what it says.
    pub(crate) fn icmp(mut self, at: u32, reporter: &str, what: &str) -> ConversationTrace {
        let message = match what {
            "unreachable admin-prohibited" => (3, 13, 0),
            "unreachable port" => (3, 3, 0),
            "unreachable need-frag mtu 1100" => (3, 4, 1_100),
            other => panic!("{other}"),
        };
        let number = u64::try_from(self.frames.len()).unwrap() + 1;
        let about = self.frames.last().unwrap();
        let frame = icmp_frame(
            number,
            at_millis(at),
            reporter.parse().unwrap(),
            message,
            about,
        );
        self.frames.push(frame);
        self
    }

    /// The capture runs on until then.
    pub(crate) fn until(mut self, at: u32) -> ConversationTrace {
        let number = u64::try_from(self.frames.len()).unwrap() + 1;
        let strangers = ["192.0.2.77:7", "192.0.2.78:7"].map(|end| end.parse().unwrap());
        let [from, to] = strangers;
        self.frames
            .push(udp_frame(number, at_millis(at), from, to, b"end"));
        self
    }

    pub(crate) fn connections(&self) -> Vec<Connection> {
        let mut decoder = Decoder::new();
        let mut tracker = Tracker::new(Bounds::default());
        let mut connections = Vec::new();
        for frame in &self.frames {
            let packet = decoder.decode(&frame.as_frame());
            tracker.observe(&packet, &mut |connection| connections.push(*connection));
        }
        tracker.finish(&mut |connection| connections.push(*connection));
        connections
    }

    pub(crate) fn diagnosis(&self) -> Diagnosis {
        let mut connections = self.connections();
        assert_eq!(connections.len(), 1, "one connection");
        let connection = Box::new(connections.remove(0));
        assert!(crate::found_without_sign(&connection, &Limits::default()).is_empty());
        diagnose(connection, &Limits::default(), &TrustStore::mozilla())
    }

    pub(crate) fn findings(&self) -> Vec<Finding> {
        self.diagnosis().findings
    }

    pub(crate) fn codes(&self) -> Vec<&'static str> {
        self.findings().iter().map(|found| found.code).collect()
    }

    /// The only finding that no other explains.
    #[track_caller]
    pub(crate) fn cause(&self) -> Finding {
        let mut found = self.findings();
        found.retain(|found| found.consequence_of.is_none());
        assert_eq!(found.len(), 1, "{found:#?}");
        found.remove(0)
    }

    #[track_caller]
    pub(crate) fn only(&self) -> Finding {
        let mut found = self.findings();
        assert_eq!(found.len(), 1, "{found:#?}");
        found.remove(0)
    }
}
