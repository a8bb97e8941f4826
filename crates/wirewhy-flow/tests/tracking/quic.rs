//! Connections over QUIC: which datagrams are of which.

use std::net::SocketAddr;

use wirewhy_flow::{Bounds, Connection, EventKind, Side, Stage, Tracker, Transport};
use wirewhy_packet::Decoder;
use wirewhy_protocol::quic_testing::{TestConversation, ack, client_hello, crypto, server_hello};
use wirewhy_protocol::{QuicVersion, Role, TlsStage};
use wirewhy_testkit::{at_millis, icmp_frame, udp_frame};

/// Datagrams through a tracker.
struct Run {
    decoder: Decoder,
    tracker: Tracker,
    frames: u64,
    over: Vec<Connection>,
}

fn end(address: [u8; 4], port: u16) -> SocketAddr {
    SocketAddr::from((address, port))
}

fn client() -> SocketAddr {
    end([192, 0, 2, 1], 40_000)
}

fn server() -> SocketAddr {
    end([198, 51, 100, 1], 443)
}

impl Run {
    fn new() -> Run {
        Run::within(Bounds::default())
    }

    fn within(bounds: Bounds) -> Run {
        Run {
            decoder: Decoder::new(),
            tracker: Tracker::new(bounds),
            frames: 0,
            over: Vec::new(),
        }
    }

    fn datagram(&mut self, at: u32, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        self.frames += 1;
        let frame = udp_frame(self.frames, at_millis(at), from, to, payload);
        let packet = self.decoder.decode(&frame.as_frame());
        let over = &mut self.over;
        self.tracker
            .observe(&packet, &mut |connection| over.push(*connection));
    }

    fn send(&mut self, at: u32, role: Role, payload: &[u8]) {
        let (from, to) = match role {
            Role::Client => (client(), server()),
            Role::Server => (server(), client()),
        };
        self.datagram(at, from, to, payload);
    }

    /// A handshake, and a 1-RTT packet of each side.
    fn handshake(&mut self, at: u32, exchange: &mut TestConversation) {
        let hello = crypto(0, &client_hello("shop.example", 0));
        self.send(
            at,
            Role::Client,
            &exchange.initial(Role::Client, &hello, 1_200),
        );
        let answer = [ack(0), crypto(0, &server_hello())].concat();
        self.send(
            at + 10,
            Role::Server,
            &exchange.initial(Role::Server, &answer, 1_200),
        );
        self.send(
            at + 11,
            Role::Server,
            &exchange.handshake(Role::Server, 900),
        );
        self.send(at + 20, Role::Client, &exchange.handshake(Role::Client, 90));
        self.send(at + 21, Role::Client, &exchange.short(Role::Client, 100, 1));
        self.send(at + 30, Role::Server, &exchange.short(Role::Server, 200, 2));
    }

    fn finish(mut self) -> Vec<Connection> {
        let over = &mut self.over;
        self.tracker
            .finish(&mut |connection| over.push(*connection));
        self.over
    }
}

fn exchange(id: u8) -> TestConversation {
    TestConversation::new(QuicVersion::V1, id)
}

#[test]
fn a_connection_from_its_hello_to_its_data() {
    let mut run = Run::new();
    run.datagram(
        0,
        end([192, 0, 2, 9], 5000),
        end([192, 0, 2, 8], 53),
        b"no quic",
    );
    run.handshake(1_000, &mut exchange(1));
    let found = run.finish();
    assert_eq!(found.len(), 1);
    let found = &found[0];
    let quic = found.quic().unwrap();
    assert_eq!((found.transport, found.stream), (Transport::Udp, 1));
    assert_eq!(found.transport_name(), "quic");
    assert_eq!(found.server_name.as_deref(), Some("shop.example"));
    assert_eq!(found.stage(), Stage::ResponseStarted);
    assert_eq!(quic.history, "ISishHOo");
    assert!(quic.is_established());
    assert_eq!(quic.version, QuicVersion::V1);
    let tls = found.app.as_ref().unwrap().tls.as_ref().unwrap();
    assert_eq!(tls.stage(), TlsStage::ApplicationData);
    assert!(tls.client_hello.as_ref().unwrap().ja4().starts_with('q'));
    let idle = quic.client.parameters.as_ref().unwrap().max_idle_timeout;
    assert_eq!(idle.unwrap().as_secs_f64(), 30.0);
}

#[test]
fn one_whose_nat_forgot_it_goes_on_from_another_port() {
    let mut run = Run::new();
    let mut exchange = exchange(1);
    run.handshake(0, &mut exchange);
    let moved = end([192, 0, 2, 1], 51000);
    run.datagram(
        5_000,
        moved,
        server(),
        &exchange.short(Role::Client, 100, 7),
    );
    run.datagram(
        5_020,
        server(),
        moved,
        &exchange.short(Role::Server, 100, 8),
    );
    let found = run.finish();
    assert_eq!(found.len(), 1);
    let quic = found[0].quic().unwrap();
    assert_eq!(
        (quic.client.one_rtt.count, quic.server.one_rtt.count),
        (2, 2)
    );
    let mut moves = found[0].events.iter();
    assert!(moves.any(|event| event.from == Side::Client
        && matches!(
            event.kind,
            EventKind::Moved {
                port: 51_000,
                only_port: true,
                ..
            }
        )));
}

#[test]
fn several_between_the_same_ends_are_told_apart_by_their_ids() {
    let mut run = Run::new();
    let (mut one, mut other) = (exchange(1), exchange(0x71));
    run.handshake(0, &mut one);
    run.handshake(100, &mut other);
    run.send(200, Role::Client, &one.short(Role::Client, 100, 11));
    run.send(210, Role::Server, &one.short(Role::Server, 100, 12));
    run.send(220, Role::Client, &other.short(Role::Client, 100, 13));
    let found = run.finish();
    let counts: Vec<_> = found
        .iter()
        .map(|connection| {
            let quic = connection.quic().unwrap();
            let packets = (quic.client.one_rtt.count, quic.server.one_rtt.count);
            (connection.stream, quic.number, packets)
        })
        .collect();
    assert_eq!(counts, [(0, 0, (2, 2)), (0, 1, (2, 1))]);
}

#[test]
fn what_only_looks_like_quic_is_not_followed() {
    let mut run = Run::new();
    let mut forged = exchange(1).initial(Role::Client, &[1], 1_200);
    *forged.last_mut().unwrap() ^= 1;
    run.send(0, Role::Client, &forged);
    // A server's answer without its question, Google's version, a short header.
    run.send(
        1,
        Role::Server,
        &exchange(1).initial(Role::Server, &[1], 1_200),
    );
    let mut google = exchange(1).initial(Role::Client, &[1], 1_200);
    google.splice(1..5, *b"Q050");
    run.send(2, Role::Client, &google);
    run.send(3, Role::Client, &exchange(1).short(Role::Client, 100, 1));
    assert_eq!(run.tracker.following(), 0);
    assert!(run.finish().is_empty());
}

#[test]
fn an_icmp_error_about_it_is_its_own() {
    let mut run = Run::new();
    let hello = exchange(1).initial(Role::Client, &[1], 1_200);
    run.send(0, Role::Client, &hello);
    let about = udp_frame(1, at_millis(0), client(), server(), &hello);
    let error = icmp_frame(2, at_millis(3), server().ip(), (3, 3, 0), &about);
    let packet = run.decoder.decode(&error.as_frame());
    run.tracker.observe(&packet, &mut |_| panic!());
    let found = run.finish();
    let mut events = found[0].events.iter();
    assert!(events.any(|event| event.from == Side::Client
        && matches!(&event.kind, EventKind::Icmp(icmp) if icmp.code == 3)));
}

/// Hellos whose first byte never comes keep what waits of them within the bound of all connections.
#[test]
fn what_waits_of_many_hellos_is_bounded() {
    let bounds = Bounds {
        max_memory: 4 << 20,
        ..Bounds::default()
    };
    let mut run = Run::within(bounds);
    for number in 0..400_u16 {
        let [high, low] = number.to_be_bytes();
        let id = u8::try_from(number % 200).unwrap() + 1;
        let mut exchange = exchange(id);
        let from = SocketAddr::from(([192, 0, 2 + high, low], 1_000 + number));
        for piece in 1..40_u16 {
            let frame = crypto(piece * 390, &[7; 380]);
            let datagram = exchange.initial(Role::Client, &frame, 1_200);
            run.datagram(u32::from(number), from, server(), &datagram);
        }
        assert!(run.tracker.memory() < 5 << 20, "{}", run.tracker.memory());
    }
    assert!(run.tracker.tally().unread > 0);
    assert!(!run.finish().is_empty());
}

#[test]
fn ends_are_forgotten_with_their_connection() {
    let mut run = Run::new();
    run.handshake(0, &mut exchange(1));
    // Two minutes of quiet end it.
    run.datagram(
        200_000,
        end([192, 0, 2, 9], 1),
        end([192, 0, 2, 8], 1),
        b"later",
    );
    assert_eq!(run.over.len(), 1);
    assert_eq!(run.tracker.following(), 0);
    // What comes late is of no connection, and a new one begins in its own right.
    run.send(
        200_001,
        Role::Client,
        &exchange(1).short(Role::Client, 100, 3),
    );
    assert_eq!(run.tracker.following(), 0);
    run.handshake(200_100, &mut exchange(1));
    let found = run.finish();
    assert_eq!(found.len(), 2);
    assert_eq!(found[1].quic().unwrap().number, 1);
}
