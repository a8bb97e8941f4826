//! The bound on the memory of all connections together.

use wirewhy_flow::{Bounds, Connection, Ended, Tracker};
use wirewhy_packet::Decoder;
use wirewhy_protocol::{Framing, Unreadable};
use wirewhy_testkit::trace;

const MIB: usize = 1 << 20;

/// Follows a trace and returns what was followed, and the tracker behind it. No packet may pass the bound by more than one
/// connection takes.
fn follow(lines: &str, max_memory: usize) -> (Vec<Connection>, Tracker) {
    let mut tracker = Tracker::new(Bounds {
        max_memory,
        ..Bounds::default()
    });
    let (mut decoder, mut over) = (Decoder::new(), Vec::new());
    for frame in trace(lines) {
        tracker.observe(&decoder.decode(&frame.as_frame()), &mut |one| {
            over.push(*one);
        });
        let most = max_memory + 256 * 1024;
        assert!(tracker.memory() <= most, "{}", tracker.memory());
    }
    tracker.finish(&mut |one| over.push(*one));
    assert_eq!(tracker.memory(), 0);
    over.sort_by_key(|one| one.stream);
    (over, tracker)
}

fn open(number: usize) -> String {
    format!(
        "+0.001 #{number} > S 0:0(0)\n+0.001 #{number} < SA 0:0(0) ack 1\n+0.001 #{number} > A 1:1(0) ack 1\n"
    )
}

/// The beginning of a request of so many bytes, in segments of a thousand, and bytes far behind it.
fn half_a_request(number: usize, kilobytes: usize) -> String {
    let mut lines = format!("+0.001 #{number} > PA 1:1001(1000) ack 1 \"GET / HTTP/1.1\\r\\nA: ");
    lines.push_str(&"x".repeat(981));
    lines.push_str("\"\n");
    for part in 1..kilobytes {
        let at = 1 + part * 1_000;
        let to = at + 1_000;
        let bytes = "y".repeat(1_000);
        lines += &format!("+0.001 #{number} > PA {at}:{to}(1000) ack 1 \"{bytes}\"\n");
    }
    lines
}

fn is_unread(connection: &Connection) -> bool {
    let app = connection.app.as_ref();
    app.is_some_and(|app| app.client.framing == Framing::Unknown(Unreadable::TooMuch))
}

#[test]
fn half_read_messages_share_one_bound_and_the_largest_and_oldest_give_way() {
    let mut lines = open(1) + &half_a_request(1, 2);
    for number in 2..=30 {
        lines += &open(number);
        lines += &half_a_request(number, 50);
    }
    // The small one goes on all the time later.
    lines += "+0.001 #1 > PA 2001:2005(4) ack 1 \"\\r\\n\\r\\n\"\n";
    let (connections, tracker) = follow(&lines, MIB / 2);
    assert_eq!(tracker.tally().given_up, 0);
    let unread = connections.iter().filter(|one| is_unread(one)).count();
    assert_eq!(tracker.tally().unread, unread as u64);
    assert!((20..30).contains(&unread), "{unread}");
    let [first, second, .., last] = connections.as_slice() else {
        panic!("thirty connections");
    };
    assert!(!is_unread(first), "it kept less than its share");
    assert_eq!(first.app.as_ref().map(|app| app.http.requests), Some(1));
    assert!(is_unread(second) && !is_unread(last));
}

#[test]
fn connections_that_only_stand_open_are_given_up_where_they_take_too_much() {
    let lines: String = (1..=8_000)
        .map(|number| format!("+0.001 #{number} > A 1:1(0) ack 1\n"))
        .collect();
    let (connections, tracker) = follow(&lines, MIB);
    assert_eq!(connections.len(), 8_000);
    let given_up = connections
        .iter()
        .filter(|one| one.ended == Ended::GivenUp)
        .count();
    assert_eq!(tracker.tally().given_up, given_up as u64);
    assert!(given_up > 1_000, "{given_up}");
    assert_eq!(connections[0].ended, Ended::GivenUp);
    assert_eq!(connections[7_999].ended, Ended::EndOfCapture);
}

#[test]
fn nothing_is_given_up_below_the_bound() {
    let lines: String = (1..=100)
        .map(|number| open(number) + &half_a_request(number, 10))
        .collect();
    let (connections, tracker) = follow(&lines, 16 * MIB);
    assert_eq!((tracker.tally().given_up, tracker.tally().unread), (0, 0));
    assert!(!connections.iter().any(is_unread));
}
