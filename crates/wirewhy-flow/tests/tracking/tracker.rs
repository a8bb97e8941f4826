//! The table of connections: bounds, expiry by packet time, stream numbers, ICMP errors.

use wirewhy_flow::{Bounds, Connection, Ended, EventKind, Tracker};
use wirewhy_packet::{Decoder, Interval};
use wirewhy_testkit::trace;

use crate::traces::{only, track, tracked};

/// Stream numbers and ends, in the order they were handed over.
fn ends(connections: &[Connection]) -> Vec<(u32, Ended)> {
    connections
        .iter()
        .map(|connection| (connection.stream, connection.ended))
        .collect()
}

fn bounded(lines: &str, max_connections: usize) -> (Vec<(u32, Ended)>, u64) {
    let bounds = Bounds {
        max_connections,
        ..Bounds::default()
    };
    let (connections, tally) = track(&trace(lines), bounds);
    (ends(&connections), tally.given_up)
}

const OPEN_1: &str = "0.0 #1 > S 0:0(0)\n0.1 #1 < SA 0:0(0) ack 1\n0.2 #1 > A 1:1(0) ack 1\n";
const OPEN_2: &str = "0.3 #2 > S 0:0(0)\n0.4 #2 < SA 0:0(0) ack 1\n0.5 #2 > A 1:1(0) ack 1\n";

#[test]
fn beyond_the_bound_what_has_been_open_longest_is_given_up_and_counted() {
    let (ends, given_up) = bounded(&format!("{OPEN_1}{OPEN_2}1.0 #3 > S 0:0(0)\n"), 2);
    assert_eq!(
        ends,
        [
            (0, Ended::GivenUp),
            (1, Ended::EndOfCapture),
            (2, Ended::EndOfCapture)
        ]
    );
    assert_eq!(given_up, 1);
}

#[test]
fn beyond_the_bound_what_is_over_goes_before_what_is_open() {
    let reset = "0.6 #2 < R 1:1(0)\n";
    let lines = format!("{OPEN_1}{OPEN_2}{reset}1.0 #3 > S 0:0(0)\n");
    let (ends, given_up) = bounded(&lines, 2);
    assert_eq!(ends.first(), Some(&(1, Ended::GivenUp)));
    assert_eq!(given_up, 1);
}

#[test]
fn a_flood_of_attempts_stays_within_the_bound() {
    let mut decoder = Decoder::new();
    let bounds = Bounds {
        max_connections: 10,
        ..Bounds::default()
    };
    let mut tracker = Tracker::new(bounds);
    let lines: String = (1..=200)
        .map(|n| format!("+0.001 #{n} > S 0:0(0)\n"))
        .collect();
    let mut handed_over = 0;
    for frame in trace(&lines) {
        tracker.observe(&decoder.decode(&frame.as_frame()), &mut |_| {
            handed_over += 1
        });
        assert!(tracker.following() <= 10);
    }
    assert_eq!((handed_over, tracker.tally().given_up), (190, 190));
    tracker.finish(&mut |_| handed_over += 1);
    assert_eq!((handed_over, tracker.following()), (200, 0));
}

#[test]
fn a_connection_is_handed_over_once_it_is_over_and_quiet() {
    let closed = "0.3 #1 > FA 1:1(0) ack 1\n0.4 #1 < FA 1:1(0) ack 2\n0.5 #1 > A 2:2(0) ack 2\n";
    let after = |seconds: &str| {
        let lines = format!("{OPEN_1}{closed}{seconds} #2 > S 0:0(0)\n");
        let (connections, _) = track(&trace(&lines), Bounds::default());
        ends(&connections)
    };
    assert_eq!(after("2.6").first(), Some(&(0, Ended::Closed)));
    assert_eq!(after("2.4").first(), Some(&(0, Ended::EndOfCapture)));
}

#[test]
fn an_attempt_is_handed_over_when_no_further_syn_can_come() {
    let after = |seconds: &str| {
        let lines = format!("0 #1 > S 0:0(0)\n1 #1 > S 0:0(0)\n{seconds} #2 > S 0:0(0)\n");
        let (connections, _) = track(&trace(&lines), Bounds::default());
        ends(&connections)
    };
    assert_eq!(after("71.1").first(), Some(&(0, Ended::NeverOpened)));
    assert_eq!(after("70.9").first(), Some(&(0, Ended::EndOfCapture)));
}

#[test]
fn an_open_connection_is_followed_however_quiet() {
    let lines = format!("{OPEN_1}90000 #2 > S 0:0(0)\n90001 #1 > PA 1:11(10) ack 1\n");
    let (connections, _) = tracked(&lines);
    assert_eq!(connections.len(), 2);
    let first = connections.first().expect("first");
    assert_eq!(first.client.counts.payload_bytes, 10);
}

#[test]
fn a_connection_reset_with_bytes_on_the_way_is_followed_through_their_retransmission() {
    let lines = format!(
        "{OPEN_1}0.3 #1 > PA 1:11(10) ack 1\n0.4 #1 < R 1:1(0)\n9.0 #1 > PA 1:11(10) ack 1\n"
    );
    let connection = only(&lines);
    assert_eq!(connection.client.tcp.counts.retransmissions, 1);
}

#[test]
fn packets_of_a_connection_that_is_over_are_counted_and_open_nothing() {
    let lines = format!(
        "{OPEN_1}0.3 #1 > FA 1:1(0) ack 1\n0.4 #1 < FA 1:1(0) ack 2\n0.5 #1 > A 2:2(0) ack 2\n\
         9.0 #1 > A 2:2(0) ack 2\n9.1 #1 < R 2:2(0)\n"
    );
    let (connections, tally) = tracked(&lines);
    assert_eq!((connections.len(), tally.late_packets), (1, 2));
    assert_eq!(tally.tcp_packets, 8);
}

#[test]
fn a_frame_with_a_time_far_ahead_does_not_stop_expiry_for_those_behind_it() {
    // Ten years ahead, then back to where it was: what comes after is measured by its own time.
    let lines = "0.0 #1 > S 0:0(0)
         315360000 #2 > S 0:0(0)
         1.0 #3 > S 0:0(0)
         1.1 #3 < SA 0:0(0) ack 1
         1.2 #3 > A 1:1(0) ack 1
         2.0 #4 > S 0:0(0)
         80.0 #3 > PA 1:11(10) ack 1
         90.0 #3 < A 1:1(0) ack 11";
    let (connections, _) = track(&trace(lines), Bounds::default());
    let streams = ends(&connections);
    assert!(streams.contains(&(3, Ended::NeverOpened)), "{streams:?}");
    let third: Vec<_> = connections.iter().filter(|one| one.stream == 2).collect();
    let [third] = third.as_slice() else {
        unreachable!("one connection, not several pieces")
    };
    assert_eq!(third.ended, Ended::EndOfCapture);
    assert_eq!(third.client.counts.packets, 3);
    assert!(third.heard_after(third.last.time) < Interval::from_secs(60));
}

#[test]
fn what_is_left_is_handed_over_by_stream_number() {
    // The third connection takes the place in the table the first has left.
    let lines = format!(
        "0.0 #1 > S 0:0(0)\n0.1 #1 < RA 0:0(0) ack 1 abs-seq\n{OPEN_2}5.0 #3 > S 0:0(0)\n\
         5.1 #4 > S 0:0(0)\n5.2 #2 > PA 1:11(10) ack 1\n"
    );
    let (connections, _) = track(&trace(&lines), Bounds::default());
    let streams: Vec<u32> = connections.iter().map(|one| one.stream).collect();
    assert_eq!(streams, [0, 1, 2, 3]);
}

#[test]
fn what_a_filter_leaves_out_takes_its_stream_number_all_the_same() {
    let mut decoder = Decoder::new();
    let mut tracker = Tracker::new(Bounds::default());
    let mut streams = Vec::new();
    let frames = trace("0 #1 > S 0:0(0)\n1 #2 > S 0:0(0)\n2 #3 > S 0:0(0)\n3 #2 > S 0:0(0)\n");
    for frame in &frames {
        let packet = decoder.decode(&frame.as_frame());
        if frame.number <= 2 {
            tracker.skip(&packet);
        } else {
            let observed = tracker.observe(&packet, &mut |_| {});
            streams.push(observed.map(|observed| observed.stream));
        }
    }
    assert_eq!(streams, [Some(2), Some(1)]);
    assert_eq!(tracker.tally().tcp_packets, 2);
}

/// Of every ICMP error: its frame, and whether its quoted number belongs to the connection.
fn quoted(connection: &Connection) -> Vec<(u64, bool)> {
    connection
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Icmp(icmp) => Some((event.frame, icmp.in_window)),
            _ => None,
        })
        .collect()
}

#[test]
fn an_icmp_error_is_matched_by_the_number_it_quotes() {
    let connection = only(&format!(
        "{OPEN_1}0.3 > PA 1:1001(1000) ack 1
         0.4 icmp 192.0.2.254 > client frag-needed mtu 1400
         0.5 icmp 192.0.2.254 > client unreachable host quoting 1 quote 28"
    ));
    assert_eq!(quoted(&connection), [(5, true), (6, true)]);
}

#[test]
fn an_icmp_error_with_a_number_the_sender_never_sent_is_told_as_such() {
    // The quoted segments come from a capture of their own, so that only the errors are seen here.
    let forged = trace(&format!(
        "{OPEN_1}0.3 > PA 1:1001(1000) ack 1
         0.4 > PA 90000001:90001001(1000) ack 1
         0.5 icmp 192.0.2.254 > client unreachable port quoting 5
         0.6 > PA -90000001:-89999001(1000) ack 1
         0.7 icmp 192.0.2.254 > client unreachable port quoting 7"
    ));
    let seen: Vec<_> = forged
        .into_iter()
        .filter(|frame| !matches!(frame.number, 5 | 7))
        .collect();
    let (connections, tally) = track(&seen, Bounds::default());
    let connection = connections.first().expect("one");
    assert_eq!(quoted(connection), [(6, false), (8, false)]);
    assert_eq!(tally.stray_icmp_errors, 0);
}

#[test]
fn an_icmp_error_about_a_connection_never_seen_is_counted() {
    let frames: Vec<_> = trace("0 > S 0:0(0)\n1 icmp 192.0.2.254 > client unreachable host\n")
        .into_iter()
        .skip(1)
        .collect();
    let (connections, tally) = track(&frames, Bounds::default());
    assert_eq!((connections.len(), tally.stray_icmp_errors), (0, 1));
}

#[test]
fn the_events_of_a_connection_are_bounded_and_what_is_left_out_is_counted() {
    let lines: String = (0..500).map(|n| format!("{n} > S 0:0(0)\n")).collect();
    let bounds = Bounds {
        unopened_quiet: Interval::from_secs(1000),
        ..Bounds::default()
    };
    let (connections, _) = track(&trace(&lines), bounds);
    let connection = connections.first().expect("one");
    let kept = connection.events.as_slice().len();
    assert_eq!(
        kept + usize::try_from(connection.events.left_out()).expect("few"),
        500
    );
    assert!(kept <= 64);
    assert_eq!(connection.tcp.handshake.syns, 500);
}

#[test]
fn a_day_without_any_packet_is_no_silence_and_an_hour_is() {
    let heard = |later: u32| {
        let lines = format!("0.0 #1 > S 0:0(0)\n1.0 #1 > S 0:0(0)\n{later}.0 #2 > S 0:0(0)");
        let (connections, _) = tracked(&lines);
        connections[0].heard_after(connections[0].last.time)
    };
    assert_eq!(heard(3_601), Interval::from_secs(3_600));
    assert_eq!(heard(200_000), Interval::ZERO);
}

#[test]
fn a_gap_interrupts_what_is_open_and_what_does_not_begin_with_a_syn_after_it() {
    let closed = "0.6 #3 > S 0:0(0)\n0.7 #3 < SA 0:0(0) ack 1\n0.8 #3 > FA 1:1(0) ack 1\n\
                  0.9 #3 < FA 1:1(0) ack 2\n1.0 #3 > A 2:2(0) ack 2\n1.1 #6 > S 0:0(0)\n";
    let after = "9.0 #1 > PA 1:11(10) ack 1\n9.1 #4 > S 0:0(0)\n9.2 #5 > PA 1:11(10) ack 1\n";
    let frames = trace(&format!("{OPEN_1}{closed}{after}"));
    let gap = 9;
    let mut tracker = Tracker::new(Bounds::default());
    let (mut decoder, mut connections) = (Decoder::new(), Vec::new());
    for (number, frame) in frames.iter().enumerate() {
        if number == gap {
            tracker.interrupt();
        }
        let packet = decoder.decode(&frame.as_frame());
        tracker.observe(&packet, &mut |connection| connections.push(connection));
    }
    tracker.finish(&mut |connection| connections.push(connection));
    connections.sort_by_key(|connection| connection.stream);
    let interrupted: Vec<bool> = connections.iter().map(|one| one.interrupted).collect();
    // Open, closed, a lone SYN; after the gap a SYN, and what is joined late.
    assert_eq!(interrupted, [true, false, true, false, true]);
}
