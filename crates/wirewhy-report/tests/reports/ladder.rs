//! One connection, drawn.

use std::net::SocketAddr;

use wirewhy_flow::Side;
use wirewhy_packet::{Interval, TcpFlags, Timestamp};
use wirewhy_report::{Color, IcmpRow, Ladder, Look, Names, PacketRow, View};

use crate::sample::refused;

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn row(frame: u64, millis: i64, from: Side, flags: TcpFlags) -> PacketRow<'static> {
    PacketRow {
        frame,
        time: Timestamp::default().after(Interval::from_millis(millis)),
        stream: 0,
        from,
        flags,
        seq: 0,
        ack: None,
        len: 0,
        window: 64_240,
        marks: &[],
    }
}

#[test]
fn a_ladder_shows_direction_time_silence_marks_and_third_parties() {
    let mut out = Vec::new();
    let look = Look::new(80, Color::Never);
    let mut ladder = Ladder::new(&mut out, look, Names::default());
    ladder
        .columns(socket("10.0.0.1:40000"), socket("10.0.0.9:443"))
        .unwrap();
    ladder
        .packet(&row(1, 0, Side::Client, TcpFlags::SYN))
        .unwrap();
    let again = PacketRow {
        marks: &["retransmission"],
        ..row(2, 1021, Side::Client, TcpFlags::SYN)
    };
    ladder.packet(&again).unwrap();
    let icmp = IcmpRow {
        frame: 3,
        time: Timestamp::default().after(Interval::from_millis(1022)),
        reporter: "10.0.0.254".parse().unwrap(),
        to: Side::Client,
        v6: false,
        kind: 3,
        code: 1,
        mtu: None,
    };
    ladder.icmp(&icmp).unwrap();
    let answer = PacketRow {
        ack: Some(1),
        len: 512,
        window: 0,
        ..row(4, 1030, Side::Server, TcpFlags::RST.with(TcpFlags::ACK))
    };
    ladder.packet(&answer).unwrap();
    ladder
        .finish(
            &refused(0, "10.0.0.1:40000", "10.0.0.9:443"),
            &View::default(),
        )
        .unwrap();
    let shown = String::from_utf8(out).unwrap();
    let expected = "
   frame      seconds  10.0.0.1:40000                               10.0.0.9:443
       1     0.000000  |--- S  seq 0  win 64240 ------------------------------>|
                       |                       1.0 s later                     |
       2     1.021000  |--- S  seq 0  win 64240 ------------------------------>|
                       |    retransmission                                     |
       3     1.022000  |<== ICMP from 10.0.0.254 =*                            |
                       |    host unreachable (type 3, code 1)                  |
       4     1.030000  |<----------------- RA  seq 0  ack 1  len 512  win 0 ---|

Stream 0: failed, root cause tcp.refused
when     2026-01-02 03:04:05.000 UTC, 300 µs, frames 1 to 2
client   10.0.0.1:40000: 1 packet, 0 bytes of payload, mss 1460, ttl 64
server   10.0.0.9:443: 1 packet, 0 bytes of payload, 1 reset
state    reached syn; Zeek REJ Sr
";
    assert!(
        shown.starts_with(expected.trim_start_matches('\n')),
        "{shown}"
    );
    assert!(shown.contains("\nerror    tcp.refused"), "{shown}");
}

#[test]
fn long_labels_and_names_do_not_break_the_ladder() {
    let mut out = Vec::new();
    let client = socket("[2001:db8:1111:2222:3333:4444:5555:6666]:40000");
    let server = socket("[2001:db8:1111:2222:3333:4444:5555:7777]:443");
    let names = [(client.ip(), "a\u{1b}[2Jb".repeat(20))]
        .into_iter()
        .collect();
    let look = Look::new(80, Color::Never);
    let mut ladder = Ladder::new(&mut out, look, names);
    ladder.columns(client, server).unwrap();
    let packet = PacketRow {
        seq: u32::MAX,
        ack: Some(u32::MAX),
        len: u32::MAX,
        marks: &[
            "fast_retransmission",
            "retransmission",
            "zero_window_probe",
            "lost_segment",
        ],
        ..row(u64::MAX, i64::from(i32::MAX), Side::Server, TcpFlags(0x1ff))
    };
    ladder.packet(&packet).unwrap();
    let shown = String::from_utf8(out).unwrap();
    for line in shown.lines().take(2) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(!shown.contains('\u{1b}'), "{shown}");
    assert!(
        shown.contains("fast retransmission, retransmission"),
        "{shown}"
    );
}

#[test]
fn the_header_is_no_wider_than_the_ladder() {
    let (client, server) = (
        socket("[2001:db8:1111:2222:3333:4444:5555:6666]:40000"),
        socket("[2001:db8:1111:2222:3333:4444:5555:7777]:443"),
    );
    for width in [40, 60, 80, 100] {
        let mut out = Vec::new();
        let look = Look::new(width, Color::Never);
        let mut ladder = Ladder::new(&mut out, look, Names::default());
        ladder.columns(client, server).unwrap();
        let header = String::from_utf8(out).unwrap();
        for line in header.lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
        assert!(
            header.contains(":6666]:40000") && header.ends_with(":7777]:443\n"),
            "{header}"
        );
    }
}

#[test]
fn packets_left_out_are_no_silence() {
    let mut out = Vec::new();
    let look = Look::new(80, Color::Never);
    let mut ladder = Ladder::new(&mut out, look, Names::default());
    ladder
        .packet(&row(1, 0, Side::Client, TcpFlags::SYN))
        .unwrap();
    let last = row(8_000, 60_000, Side::Client, TcpFlags::ACK);
    ladder.left_out(8_200, last.time).unwrap();
    ladder
        .packet(&row(8_001, 60_001, Side::Client, TcpFlags::ACK))
        .unwrap();
    let shown = String::from_utf8(out).unwrap();
    assert!(
        shown.contains("… 8,200 packets not shown; --all-packets shows them"),
        "{shown}"
    );
    assert!(!shown.contains("later"), "{shown}");
}
