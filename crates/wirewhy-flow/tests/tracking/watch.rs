//! What is new since the last look, and what time alone brings.

use wirewhy_flow::{Bounds, Connection, Ended, Tracker};
use wirewhy_packet::{Decoder, Interval, Timestamp};
use wirewhy_testkit::trace;

use crate::traces::OPEN;

/// A tracker that is watched, and the clock its traces begin at.
struct Watched {
    tracker: Tracker,
    decoder: Decoder,
    start: Timestamp,
    over: Vec<u32>,
}

impl Watched {
    fn new(bounds: Bounds) -> Watched {
        let mut tracker = Tracker::new(bounds);
        tracker.watch(Interval::from_secs(3));
        let first = trace("0.0 > S 0:0(0)").remove(0);
        let start = first.as_frame().time;
        Watched {
            tracker,
            decoder: Decoder::new(),
            start,
            over: Vec::new(),
        }
    }

    fn feed(&mut self, lines: &str) {
        for frame in trace(lines) {
            let packet = self.decoder.decode(&frame.as_frame());
            let over = &mut self.over;
            self.tracker
                .observe(&packet, &mut |connection| over.push(connection.stream));
        }
    }

    fn pass(&mut self, millis: i64) {
        let now = self.start.after(Interval::from_millis(millis));
        let over = &mut self.over;
        self.tracker
            .advance(now, &mut |connection| over.push(connection.stream));
    }

    /// The connections with news, which are to be looked at again after `again` from the start.
    fn news(&mut self, again: Option<i64>) -> Vec<Connection> {
        let due = again.map(|millis| self.start.after(Interval::from_millis(millis)));
        let mut seen = Vec::new();
        self.tracker.visit(&mut |connection| {
            seen.push(*connection);
            due
        });
        seen
    }
}

#[test]
fn a_connection_is_shown_as_it_stands_and_once_for_each_change() {
    let mut watched = Watched::new(Bounds::default());
    watched.feed(OPEN);
    let [shown] = watched.news(None).try_into().unwrap();
    assert_eq!(shown.ended, Ended::Followed);
    assert!(shown.tcp.handshake.ack.is_some());
    assert!(watched.news(None).is_empty());
    watched.feed("0.5 < R 1:1(0)");
    let [shown] = watched.news(None).try_into().unwrap();
    assert_eq!(shown.server.tcp.counts.resets, 1);
}

#[test]
fn bytes_that_say_nothing_new_are_no_news() {
    let mut watched = Watched::new(Bounds::default());
    // Joined late: the bytes are not parsed.
    watched.feed("0.0 > PA 1:101(100) ack 1\n0.1 < A 1:1(0) ack 101\n0.2 > PA 101:201(100) ack 1");
    assert_eq!(watched.news(None).len(), 1);
    watched.feed("0.3 < A 1:1(0) ack 201\n0.4 > PA 201:301(100) ack 1\n0.5 < A 1:1(0) ack 301");
    assert!(watched.news(None).is_empty());
    watched.feed("0.9 > PA 201:301(100) ack 1");
    assert_eq!(watched.news(None).len(), 1, "sent again");
}

#[test]
fn a_syn_alone_is_shown_after_its_time_and_not_before() {
    let mut watched = Watched::new(Bounds::default());
    watched.feed("0.0 > S 0:0(0)");
    watched.pass(2_900);
    assert!(watched.news(None).is_empty());
    watched.pass(3_100);
    let [shown] = watched.news(None).try_into().unwrap();
    assert_eq!(shown.tcp.handshake.syns, 1);
    assert_eq!(
        shown.observed_until,
        watched.start.after(Interval::from_millis(3_100))
    );
    watched.pass(60_000);
    assert!(watched.news(None).is_empty());
}

#[test]
fn who_asks_to_see_it_again_sees_it_again() {
    let mut watched = Watched::new(Bounds::default());
    watched.feed(OPEN);
    assert_eq!(watched.news(Some(5_000)).len(), 1);
    watched.pass(4_990);
    assert!(watched.news(None).is_empty());
    watched.pass(5_010);
    assert_eq!(watched.news(None).len(), 1);
    assert_eq!(watched.tracker.next_look(), None);
}

#[test]
fn time_without_packets_ends_what_was_due() {
    let mut watched = Watched::new(Bounds::default());
    watched.feed(OPEN);
    watched.feed("0.5 < R 1:1(0)");
    watched.pass(2_400);
    assert!(watched.over.is_empty());
    watched.pass(2_600);
    assert_eq!(watched.over, [0]);
    assert!(watched.news(None).is_empty());
}

#[test]
fn a_flood_leaves_open_connections_alone() {
    let bounds = Bounds {
        max_connections: 50,
        ..Bounds::default()
    };
    let mut watched = Watched::new(bounds);
    watched.feed(OPEN);
    let flood: String = (2..=500)
        .map(|port| format!("{:.3} #{port} > S 0:0(0)\n", 1.0 + f64::from(port) / 1000.0))
        .collect();
    watched.feed(&flood);
    assert_eq!(watched.tracker.following(), 50);
    assert_eq!(watched.tracker.tally().given_up, 450);
    assert!(!watched.over.contains(&0), "the open one is still followed");
}

#[test]
fn of_open_connections_the_idle_healthy_one_is_given_up_first() {
    let bounds = Bounds {
        max_connections: 3,
        ..Bounds::default()
    };
    let mut watched = Watched::new(bounds);
    let open = |number: u32, at: f64| {
        format!(
            "{:.2} #{number} > S 0:0(0)\n{:.2} #{number} < SA 0:0(0) ack 1\n{:.2} #{number} > A 1:1(0) ack 1\n",
            at,
            at + 0.01,
            at + 0.02
        )
    };
    watched.feed(&(open(1, 0.0) + &open(2, 0.1) + &open(3, 0.2)));
    // The first is active, the second waits for what it sent again.
    watched.feed(
        "1.0 #1 > PA 1:101(100) ack 1\n1.0 #2 > PA 1:101(100) ack 1\n1.3 #2 > PA 1:101(100) ack 1",
    );
    watched.feed("2.0 #4 > S 0:0(0)");
    assert_eq!(watched.over, [2]);
}

#[test]
fn streams_that_are_over_are_forgotten_beyond_the_bound() {
    let bounds = Bounds {
        max_streams: 20,
        ..Bounds::default()
    };
    let mut watched = Watched::new(bounds);
    let refused: String = (1..=2_000)
        .map(|port| {
            let at = f64::from(port) * 0.1;
            format!(
                "{at:.3} #{port} > S 0:0(0)\n{:.3} #{port} < RA 0:0(0) ack 1\n",
                at + 0.01
            )
        })
        .collect();
    watched.feed(&refused);
    assert_eq!(watched.tracker.tally().late_packets, 0);
    assert!(
        watched.tracker.remembered_streams() < 120,
        "{}",
        watched.tracker.remembered_streams()
    );
    // What is still followed finds its stream.
    watched.feed("200.05 #2000 > A 1:1(0) ack 1");
    assert_eq!(watched.tracker.following(), 20);
}
