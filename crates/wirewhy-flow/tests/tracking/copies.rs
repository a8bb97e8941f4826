//! Frames the capture recorded twice, and what only looks like it.

use wirewhy_flow::{Connection, TrackerCounts};

use crate::traces::{OPEN, opened, tracked, trouble};

/// Loss, recovery by duplicate ACKs, a closed window, an idle pause with a keep-alive, and a close.
const EVENTFUL: &str = "\
    0.0000 > S 0:0(0) <mss 1460,sackOK>
    0.1000 < SA 0:0(0) ack 1 <mss 1460,sackOK>
    0.1001 > A 1:1(0) ack 1
    0.1002 > PA 1:101(100) ack 1
    0.2000 < A 1:1(0) ack 101
    0.2001 < A 1:1001(1000) ack 101
    0.2030 < A 1001:2001(1000) ack 101
    0.2060 < A 2001:3001(1000) ack 101
    0.2090 < A 3001:4001(1000) ack 101
    0.2120 < A 4001:5001(1000) ack 101
    0.2500 > A 101:101(0) ack 1001
    0.2530 > A 101:101(0) ack 1001 sack 2001:3001
    0.2560 > A 101:101(0) ack 1001 sack 2001:4001
    0.2590 > A 101:101(0) ack 1001 sack 2001:5001
    0.3500 < A 1001:2001(1000) ack 101
    0.4000 > A 101:101(0) ack 5001 win 0
    0.9000 < A 5000:5000(0) ack 101
    0.9001 > A 101:101(0) ack 5001 win 0
    1.5000 > A 101:101(0) ack 5001
    30.000 > A 100:100(0) ack 5001
    30.100 < A 5001:5001(0) ack 101
    31.000 > FA 101:101(0) ack 5001
    31.100 < FA 5001:5001(0) ack 102
    31.101 > A 102:102(0) ack 5002
";

/// Every frame recorded again by `dup` with these changes, a tenth of a millisecond later.
fn doubled(settings: &str, lines: &str, changes: &str) -> String {
    let twice = |line: &str| format!("{line}\n+0.0001 dup {changes}\n");
    settings.to_owned() + &lines.lines().map(twice).collect::<String>()
}

/// What must be the same with and without copies.
fn facts(connection: &Connection) -> String {
    let sides = [&connection.client, &connection.server].map(|side| {
        let mut counts = side.counts;
        counts.duplicate_frames = 0;
        let mut trouble = trouble(side);
        // Where, not what: frame numbers double.
        (trouble.frames, trouble.reordered_frames) = (Vec::new(), Vec::new());
        (trouble.stuck, trouble.hole) = (None, None);
        (trouble.window.first, trouble.window.closed_since) = (None, None);
        trouble.window.reopened = None;
        (
            side.tcp.state,
            side.tcp.next,
            side.tcp.acknowledged,
            counts,
            trouble,
        )
    });
    let zeek = (
        connection.zeek.conn_state(),
        connection.zeek.history().to_owned(),
    );
    format!("{sides:#?} {zeek:?} {:?}", connection.round_trip())
}

fn first((connections, tally): (Vec<Connection>, TrackerCounts)) -> (Connection, TrackerCounts) {
    let mut connections = connections;
    assert_eq!(connections.len(), 1);
    (connections.remove(0), tally)
}

#[test]
fn a_capture_with_every_frame_twice_says_what_it_says_with_every_frame_once() {
    let ipv6 = "client [2001:db8::1]:40000\nserver [2001:db8::2]:80\n";
    let frames = u64::try_from(EVENTFUL.lines().count()).expect("few");
    for (settings, changes) in [
        ("", ""),
        ("", "ttl-1 src 02:00:00:00:00:99"),
        (ipv6, ""),
        (ipv6, "ttl-1 src 02:00:00:00:00:99"),
    ] {
        let (once, tally) = first(tracked(&format!("{settings}{EVENTFUL}")));
        assert_eq!(tally.copies.count, 0, "{settings}");
        let (twice, tally) = first(tracked(&doubled(settings, EVENTFUL, changes)));
        assert_eq!(tally.copies.count, frames, "{settings}{changes}");
        assert_eq!(facts(&twice), facts(&once), "{settings}{changes}");
    }
}

#[test]
fn the_eventful_conversation_is_read_right() {
    let (connection, _) = first(tracked(EVENTFUL));
    let (client, server) = (trouble(&connection.client), trouble(&connection.server));
    assert_eq!((server.fast, server.window_probes), (1, 1));
    assert_eq!((client.keep_alives, client.window.episodes), (1, 1));
    assert_eq!(connection.client.tcp.counts.duplicate_acks, 3);
    assert_eq!(connection.zeek.conn_state().name(), "SF");
}

#[test]
fn identification_zero_leaves_time_to_tell_a_copy() {
    let copied = opened(
        "0.3000 > PA 1:101(100) ack 1 id 0
         0.3002 > PA 1:101(100) ack 1 id 0",
    );
    assert_eq!(copied.client.counts.duplicate_frames, 1);
    assert_eq!(copied.client.tcp.counts.retransmissions, 0);
    let repeated = opened(
        "0.3000 > PA 1:101(100) ack 1 id 0
         0.5100 > PA 1:101(100) ack 1 id 0",
    );
    assert_eq!(repeated.client.counts.duplicate_frames, 0);
    assert_eq!(repeated.client.tcp.counts.retransmissions, 1);
}

#[test]
fn a_repetition_with_another_identification_is_no_copy_however_soon() {
    let again = opened(
        "0.3000 > PA 1:101(100) ack 1 id 70
         0.3001 > PA 1:101(100) ack 1 id 71",
    );
    assert_eq!(again.client.counts.duplicate_frames, 0);
    assert_eq!(again.client.tcp.counts.retransmissions, 1);
}

#[test]
fn a_repetition_with_the_same_identification_is_no_copy_when_a_timer_may_have_sent_it() {
    let again = opened(
        "0.3000 > PA 1:101(100) ack 1 id 70
         0.5001 > PA 1:101(100) ack 1 id 70",
    );
    assert_eq!(again.client.counts.duplicate_frames, 0);
    assert_eq!(again.client.tcp.counts.retransmissions, 1);
}

#[test]
fn a_repetition_with_a_later_clock_is_no_copy() {
    let again = opened(
        "0.3000 > PA 1:101(100) ack 1 id 0 <ts 10 1>
         0.3010 > PA 1:101(100) ack 1 id 0 <ts 11 1>",
    );
    assert_eq!(again.client.counts.duplicate_frames, 0);
    assert_eq!(again.client.tcp.counts.retransmissions, 1);
}

#[test]
fn true_duplicate_acks_are_no_copies() {
    for id in ["", "id 0"] {
        let lines = format!(
            "{OPEN}0.3000 < A 1:1001(1000) ack 1
             0.3001 < A 1001:2001(1000) ack 1
             0.3002 < A 2001:3001(1000) ack 1
             0.4000 > A 1:1(0) ack 1001 {id}
             0.4003 > A 1:1(0) ack 1001 {id}
             0.4006 > A 1:1(0) ack 1001 {id}"
        );
        let (connection, tally) = first(tracked(&lines));
        assert_eq!(tally.copies.count, 0, "{id}");
        assert_eq!(connection.client.tcp.counts.duplicate_acks, 2, "{id}");
    }
}

#[test]
fn a_duplicate_ack_that_repeats_a_window_change_is_none() {
    let moved = opened(
        "0.3000 < A 1:1001(1000) ack 1
         0.3001 < A 1001:2001(1000) ack 1
         0.4000 > A 1:1(0) ack 1001 win 1000
         0.4003 > A 1:1(0) ack 1001 win 2000",
    );
    assert_eq!(moved.client.tcp.counts.duplicate_acks, 0);
}
