//! Conversations over UDP, in a protocol of questions "?n" and answers "!n".

use std::net::Ipv4Addr;

use wirewhy_flow::{
    Bounds, Connection, Ended, EventKind, Roles, Side, Stage, Tracker, TrackerCounts, Transport,
};
use wirewhy_packet::{Decoder, Frame, Interval, LinkType, Timestamp};
use wirewhy_protocol::DatagramProtocols;
use wirewhy_testkit::trace;

type End = (Ipv4Addr, u16);

const CLIENT: End = (Ipv4Addr::new(192, 0, 2, 1), 40_000);
const SERVER: End = (Ipv4Addr::new(198, 51, 100, 1), 53);
const OTHER: End = (Ipv4Addr::new(192, 0, 2, 7), 40_007);

/// Frames through a tracker that reads the protocol of the tests.
struct Run {
    decoder: Decoder,
    tracker: Tracker,
    frames: u64,
    over: Vec<Connection>,
}

impl Run {
    fn new(bounds: Bounds) -> Run {
        Run {
            decoder: Decoder::new(),
            tracker: Tracker::with_datagram_protocols(bounds, DatagramProtocols::quiz()),
            frames: 0,
            over: Vec::new(),
        }
    }

    fn frame(&mut self, seconds: i64, data: &[u8]) {
        self.frames += 1;
        let packet = self.decoder.decode(&frame(self.frames, seconds, data));
        let over = &mut self.over;
        self.tracker
            .observe(&packet, &mut |connection| over.push(*connection));
    }

    fn datagram(&mut self, seconds: i64, from: End, to: End, payload: &[u8]) {
        self.frame(
            seconds,
            &ethernet(&ip(17, from.0, to.0, &udp(from.1, to.1, payload))),
        );
    }

    fn finish(mut self) -> (Vec<Connection>, TrackerCounts) {
        let over = &mut self.over;
        self.tracker
            .finish(&mut |connection| over.push(*connection));
        let tally = self.tracker.tally().clone();
        (self.over, tally)
    }
}

fn frame(number: u64, seconds: i64, data: &[u8]) -> Frame<'_> {
    Frame {
        number,
        time: Timestamp::from_secs_nanos(1_000_000 + seconds, 0),
        link_type: LinkType::ETHERNET,
        interface: 0,
        original_len: u32::try_from(data.len()).unwrap_or(u32::MAX),
        data,
    }
}

fn ethernet(packet: &[u8]) -> Vec<u8> {
    let head = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    [&head, packet].concat()
}

fn ip(protocol: u8, from: Ipv4Addr, to: Ipv4Addr, inner: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(20 + inner.len())
        .unwrap_or(u16::MAX)
        .to_be_bytes();
    let mut bytes = vec![0x45, 0, high, low, 0, 1, 0, 0, 64, protocol, 0, 0];
    bytes.extend(from.octets());
    bytes.extend(to.octets());
    bytes.extend(inner);
    bytes
}

fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + payload.len()).unwrap_or(u16::MAX);
    let mut bytes: Vec<u8> = [from, to, len, 0]
        .into_iter()
        .flat_map(u16::to_be_bytes)
        .collect();
    bytes.extend(payload);
    bytes
}

fn ends(connections: &[Connection]) -> Vec<(Transport, u32, Ended)> {
    connections
        .iter()
        .map(|connection| (connection.transport, connection.stream, connection.ended))
        .collect()
}

#[test]
fn a_conversation_comes_out_once_it_is_quiet() {
    let mut run = Run::new(Bounds::default());
    run.datagram(0, OTHER, SERVER, b"no question");
    run.datagram(1, CLIENT, SERVER, b"?1");
    run.datagram(2, SERVER, CLIENT, b"!1");
    run.datagram(3, CLIENT, SERVER, b"?2");
    run.datagram(122, OTHER, SERVER, b"no question");
    assert_eq!(run.over, []);
    run.datagram(123, OTHER, SERVER, b"no question");
    let (over, _) = run.finish();
    // The first pair took number 0, and is not followed.
    assert_eq!(ends(&over), [(Transport::Udp, 1, Ended::Quiet)]);
    let found = &over[0];
    assert_eq!((found.client.port, found.server.port), (CLIENT.1, SERVER.1));
    assert!(found.roles == Roles::Datagram && found.roles.are_known());
    assert_eq!((found.first.frame, found.last.frame), (2, 4));
    assert_eq!(found.client.counts.payload_bytes, 4);
    assert_eq!(found.client.counts.bytes, 2 * (14 + 20 + 8 + 2));
    assert_eq!(found.server.last_payload.map(|mark| mark.frame), Some(3));
    assert_eq!(found.stage(), Stage::ResponseStarted);
    assert_eq!(found.zeek.conn_state().name(), "SF");
    assert_eq!(found.zeek.history(), "Dd");
    let app = found.app.as_deref().unwrap();
    assert_eq!(app.http.responses, 1);
    assert_eq!(app.awaiting.as_ref().map(|open| open.sent.frame), Some(4));
}

#[test]
fn a_question_without_an_answer_is_half_a_conversation() {
    let mut run = Run::new(Bounds::default());
    run.datagram(0, CLIENT, SERVER, b"?1");
    let (over, _) = run.finish();
    assert_eq!(ends(&over), [(Transport::Udp, 0, Ended::EndOfCapture)]);
    assert_eq!(over[0].zeek.conn_state().name(), "S0");
    assert!(!over[0].server.was_seen());
}

#[test]
fn who_answers_is_the_server_whoever_is_seen_first() {
    let mut run = Run::new(Bounds::default());
    run.datagram(0, SERVER, CLIENT, b"!1");
    let (over, _) = run.finish();
    assert_eq!(over[0].server.port, SERVER.1);
    assert!(!over[0].interrupted);
    let mut run = Run::new(Bounds::default());
    run.tracker.interrupt();
    run.datagram(0, SERVER, CLIENT, b"!1");
    run.datagram(1, OTHER, SERVER, b"?1");
    let (over, _) = run.finish();
    let interrupted: Vec<_> = over.iter().map(|found| found.interrupted).collect();
    assert_eq!(interrupted, [true, false]);
}

#[test]
fn what_no_protocol_reads_is_not_followed() {
    let mut run = Run::new(Bounds::default());
    run.datagram(0, CLIENT, SERVER, b"no question");
    assert_eq!(run.tracker.following(), 0);
    assert_eq!(run.tracker.remembered_streams(), 1);
    // Nor what another protocol than that of the tests would read.
    run.tracker = Tracker::new(Bounds::default());
    run.datagram(1, CLIENT, SERVER, b"?1");
    assert_eq!(run.tracker.following(), 0);
    assert_eq!(run.finish().0, []);
}

#[test]
fn a_conversation_goes_on_while_it_is_active_and_keeps_its_number_afterwards() {
    let mut run = Run::new(Bounds::default());
    for seconds in [0, 100, 200] {
        run.datagram(seconds, CLIENT, SERVER, b"?1");
    }
    run.datagram(400, SERVER, CLIENT, b"!1");
    let (over, _) = run.finish();
    assert_eq!(
        ends(&over),
        [
            (Transport::Udp, 0, Ended::Quiet),
            (Transport::Udp, 0, Ended::EndOfCapture)
        ]
    );
    assert_eq!(over[0].client.counts.packets, 3);
}

#[test]
fn each_transport_counts_streams_for_itself() {
    let mut run = Run::new(Bounds::default());
    run.datagram(0, CLIENT, SERVER, b"?1");
    run.frame(1, &trace("0.0 > S 0:0(0)")[0].data);
    let (over, _) = run.finish();
    assert_eq!(
        ends(&over),
        [
            (Transport::Tcp, 0, Ended::EndOfCapture),
            (Transport::Udp, 0, Ended::EndOfCapture)
        ]
    );
}

#[test]
fn both_transports_share_the_bound_and_the_idle_conversation_is_evicted_first() {
    let mut run = Run::new(Bounds {
        max_connections: 3,
        ..Bounds::default()
    });
    for line in [0, 1, 2] {
        let open = trace("0 > S 0:0(0)\n0 < SA 0:0(0) ack 1\n0 > A 1:1(0) ack 1");
        run.frame(0, &open[line].data);
    }
    run.datagram(1, CLIENT, SERVER, b"?1");
    run.datagram(2, OTHER, SERVER, b"?1");
    // The older of the two conversations is active.
    run.datagram(3, CLIENT, SERVER, b"?2");
    assert_eq!(run.over, []);
    run.datagram(5, (CLIENT.0, 40_001), SERVER, b"?1");
    assert_eq!(run.tracker.following(), 3);
    assert_eq!(run.tracker.tally().given_up, 1);
    let evicted = ends(&run.over);
    assert_eq!(evicted, [(Transport::Udp, 1, Ended::GivenUp)]);
}

#[test]
fn an_icmp_error_belongs_to_the_conversation_it_quotes() {
    let mut run = Run::new(Bounds::default());
    run.datagram(0, CLIENT, SERVER, b"?1");
    let unreachable = |to: End, of: End| {
        let quoted = ip(17, to.0, of.0, &udp(to.1, of.1, b"?1"));
        let icmp = [&[3, 3, 0, 0, 0, 0, 0, 0], quoted.as_slice()].concat();
        ethernet(&ip(1, of.0, to.0, &icmp))
    };
    run.frame(1, &unreachable(CLIENT, SERVER));
    // About a conversation that the capture does not show: it takes a number, and no connection.
    run.frame(2, &unreachable(OTHER, SERVER));
    run.datagram(3, (OTHER.0, 1), SERVER, b"?1");
    let (over, tally) = run.finish();
    let streams: Vec<_> = over.iter().map(|found| found.stream).collect();
    assert_eq!(streams, [0, 2]);
    let events: Vec<_> = over[0].events.iter().collect();
    let [event] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert!(matches!(&event.kind, EventKind::Icmp(icmp) if icmp.code == 3 && icmp.in_window));
    assert_eq!((event.from, event.frame), (Side::Client, 2));
    assert_eq!(over[0].last.frame, 2);
    assert_eq!(tally.stray_icmp_errors, 0);
}

#[test]
fn a_filter_leaves_the_numbers_as_they_are() {
    let mut run = Run::new(Bounds::default());
    let left_out = ethernet(&ip(17, OTHER.0, SERVER.0, &udp(OTHER.1, SERVER.1, b"?1")));
    let packet = run.decoder.decode(&frame(1, 0, &left_out));
    run.tracker.skip(&packet);
    run.datagram(1, CLIENT, SERVER, b"?1");
    assert_eq!(
        ends(&run.finish().0),
        [(Transport::Udp, 1, Ended::EndOfCapture)]
    );
}

#[test]
fn a_conversation_is_shown_while_it_goes_on() {
    let mut run = Run::new(Bounds::default());
    run.tracker.watch(Interval::from_secs(3));
    let shown = |run: &mut Run| {
        let mut shown = Vec::new();
        run.tracker.visit(&mut |connection| {
            let app = connection.app.as_deref().map(|app| app.http.responses);
            shown.push((connection.transport, connection.ended, app));
            None
        });
        shown
    };
    run.datagram(0, CLIENT, SERVER, b"?1");
    assert_eq!(
        shown(&mut run),
        [(Transport::Udp, Ended::Followed, Some(0))]
    );
    assert_eq!(shown(&mut run), []);
    run.datagram(1, SERVER, CLIENT, b"!1");
    assert_eq!(
        shown(&mut run),
        [(Transport::Udp, Ended::Followed, Some(1))]
    );
}
