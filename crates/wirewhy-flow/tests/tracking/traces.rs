//! Traces through decoder and tracker.

use wirewhy_flow::{Bounds, Connection, Endpoint, Tracker, TrackerCounts, Trouble};
use wirewhy_packet::{Decoder, Interval, Seq};
use wirewhy_testkit::{OwnedFrame, trace};

/// A handshake recorded next to the client: 100 ms to the server and back.
pub(crate) const OPEN: &str = "\
    0.0000 > S 0:0(0) <mss 1460,sackOK>\n\
    0.1000 < SA 0:0(0) ack 1 <mss 1460,sackOK>\n\
    0.1001 > A 1:1(0) ack 1\n";

/// First byte of the server's stream is 1; its initial sequence number in every trace that sets none.
pub(crate) const SERVER_ISN: Seq = Seq(5000);
/// The same of the client.
pub(crate) const CLIENT_ISN: Seq = Seq(1000);

/// Every connection of these frames in the order they were handed over, and what was counted beside them.
pub(crate) fn track(frames: &[OwnedFrame], bounds: Bounds) -> (Vec<Connection>, TrackerCounts) {
    let mut decoder = Decoder::new();
    let mut tracker = Tracker::new(bounds);
    let mut connections = Vec::new();
    for frame in frames {
        let packet = decoder.decode(&frame.as_frame());
        tracker.observe(&packet, &mut |connection| connections.push(*connection));
    }
    tracker.finish(&mut |connection| connections.push(*connection));
    (connections, tracker.tally().clone())
}

/// Every connection of a trace, by stream number, and what was counted beside them.
pub(crate) fn tracked(lines: &str) -> (Vec<Connection>, TrackerCounts) {
    let (mut connections, tally) = track(&trace(lines), Bounds::default());
    connections.sort_by_key(|connection| connection.stream);
    (connections, tally)
}

/// The only connection of a trace.
#[track_caller]
pub(crate) fn only(lines: &str) -> Connection {
    let (mut connections, _) = tracked(lines);
    assert_eq!(connections.len(), 1, "the trace holds one connection");
    connections.remove(0)
}

/// The only connection of [`OPEN`] and these lines.
#[track_caller]
pub(crate) fn opened(lines: &str) -> Connection {
    only(&format!("{OPEN}{lines}"))
}

/// What went wrong with a side, nothing if nothing did.
pub(crate) fn trouble(side: &Endpoint) -> Trouble {
    side.tcp.trouble().cloned().unwrap_or_default()
}

pub(crate) fn micros(micros: i64) -> Interval {
    Interval(micros * 1_000)
}
