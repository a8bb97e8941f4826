//! One connection, drawn.

use wirewhy_detect::Diagnosis;
use wirewhy_report::{Color, Ladder, Names, PacketChoice, TextStyle, View};

use crate::sample::{connections, packets, refused};

/// The first connection of a trace, drawn whole, with no findings but one that is made up.
fn drawn(text: &str, width: usize, names: Names) -> String {
    let mut out = Vec::new();
    let mut ladder = Ladder::new(&mut out, TextStyle::new(width, Color::Never), names);
    let mut packets = packets(text);
    let diagnosis = Diagnosis {
        connection: connections(text).remove(0).into(),
        ..refused(0, "10.0.0.1:40000", "10.0.0.9:443")
    };
    let server = &diagnosis.connection.server;
    packets.name_sides((server.address, server.port).into());
    ladder
        .draw(&diagnosis, &packets, &PacketChoice::Folded)
        .unwrap();
    ladder.finish(&diagnosis, &View::default()).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_ladder_shows_direction_time_silence_marks_and_third_parties() {
    let text = "
        client 10.0.0.1:40000
        server 10.0.0.9:443
        0.000 > S 0:0(0) win 64240 <mss 1460>
        1.021 > S 0:0(0) win 64240 <mss 1460>
        1.022 icmp 10.0.0.254 > client unreachable host
        1.030 < RA 1:513(512) ack 1 win 0";
    let shown = drawn(text, 80, Names::default());
    let expected = "
   frame      seconds  10.0.0.1:40000                               10.0.0.9:443
       1     0.000000  |--- S  seq 0  win 64240 ------------------------------>|
                       |                       1.0 s later                     |
       2     1.021000  |--- S  seq 0  win 64240 ------------------------------>|
                       |    retransmission                                     |
       3     1.022000  |<== ICMP from 10.0.0.254 =*                            |
                       |    host unreachable (type 3, code 1)                  |
       4     1.030000  |<----------------- RA  seq 1  ack 1  len 512  win 0 ---|

Stream 0: failed, root cause tcp.refused
when     2026-01-02 03:04:05.000 UTC, 1.0 s, frames 1 to 4
client   10.0.0.1:40000: 2 packets, 0 bytes of payload, mss 1460, ttl 64
server   10.0.0.9:443: 1 packet, 0 bytes of payload, 1 reset
state    reached syn; Zeek REJ Sr
";
    assert!(
        shown.starts_with(expected.trim_start_matches('\n')),
        "{shown}"
    );
    assert!(shown.contains("\nerror    tcp.refused"), "{shown}");
}

const LONG_NAMES: &str = "
    client [2001:db8:1111:2222:3333:4444:5555:6666]:40000
    server [2001:db8:1111:2222:3333:4444:5555:7777]:443
    0.000 > S 0:0(0)
    0.001 > SFRPAUEC 2147483646:2147483647(0) ack 2147483646 win 65535
    0.002 < A 1:1(0) ack 1";

#[test]
fn long_labels_and_names_do_not_break_the_ladder() {
    let client = "2001:db8:1111:2222:3333:4444:5555:6666".parse().unwrap();
    let names = [(client, "a\u{1b}[2Jb".repeat(20))].into_iter().collect();
    let shown = drawn(
        &LONG_NAMES.replace(
            "SFRPAUEC 2147483646:2147483647(0)",
            "RPAUEC 2147483646:2147483646(0)",
        ),
        80,
        names,
    );
    for line in shown.lines().take(4) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(!shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn the_header_is_no_wider_than_the_ladder() {
    for width in [40, 60, 80, 100] {
        let text = LONG_NAMES.split_once("    0.001").unwrap().0;
        let shown = drawn(text, width, Names::default());
        let header = shown.split("       1 ").next().unwrap();
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
    let mut text = "0.0 > S 0:0(0)\n0.1 < SA 0:0(0) ack 1\n0.2 > A 1:1(0) ack 1\n".to_owned();
    for n in 0..500 {
        text += &format!(
            "{}.5 > PA {n}:{}(1) ack 1\n{}.6 < A 1:1(0) ack {}\n",
            n / 2,
            n + 1,
            n / 2,
            n + 1
        );
    }
    text = text.replace(" > PA 0:1(1)", " > PA 1:2(1)");
    let shown = drawn(&text, 80, Names::default());
    let (_, behind) = shown.split_once(" packets not shown: ").unwrap();
    // The line may be broken behind its bytes; the packet that follows comes next.
    let next = behind
        .lines()
        .find(|line| line.contains("seq ") || line.contains("later"));
    let next = next.unwrap();
    assert!(!next.contains("later"), "{shown}");
}
