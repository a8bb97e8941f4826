//! When a finding about a connection that goes on may be told, and when the next one may come.
//!
//! Over a finished connection a finding is what it is. Over one that goes on the next packet may take it back, most of all
//! where it rests on what did not come. These rules say how long to wait before a person is told.

use wirewhy_flow::{Connection, Mark, Side};
use wirewhy_packet::{Interval, Timestamp};

use crate::detectors::certificate;
use crate::handshake::is_pending;
use crate::{DETECTORS, Limits};

/// How long the packets behind the decisive one may turn it over: a host goes on after a reset in its name within a round
/// trip, and the longest common ones are a third of a second.
const SECOND_THOUGHTS: Interval = Interval::from_millis(500);

/// How long a rate of loss or reordering must hold: a burst soon drowns in what got across.
const RATE: Interval = Interval::from_secs(10);

/// How long a client that does not like a certificate may take to leave, and a little more.
const LEAVING: Interval = Interval::from_millis(1_500);

/// Silence longer than this ends nothing that a shorter one did not.
const LONGEST_SILENCE: Interval = Interval::from_secs(24 * 3600);

/// How exactly the moment at which silence settles something is found.
const CLOSE_ENOUGH: Interval = Interval::from_millis(10);

/// When a finding that has held since `held` on a connection that goes on may be told.
#[must_use]
pub fn settles(code: &str, connection: &Connection, held: Timestamp, limits: &Limits) -> Timestamp {
    let handshake = &connection.handshake;
    let after = |mark: Option<Mark>, silence: Interval| {
        let since = mark.map_or(held, |mark| mark.time);
        since.after(silence).max(held)
    };
    match code {
        // An answer may still come, to the second attempt as to the first; and a router that asks in vain for the host's
        // link address says so after three seconds.
        "tcp.syn-unanswered" | "tcp.paws-drop" => {
            after(handshake.first_syn, limits.silence).after(SECOND_THOUGHTS)
        }
        "tcp.synack-unanswered" => after(handshake.syn_ack, limits.silence),
        // A server that has not said anything may go on to show why it was late.
        "tcp.syn-retransmitted" if connection.server.counts.payload_packets == 0 => {
            held.after(limits.silence).after(SECOND_THOUGHTS)
        }
        "tcp.peer-vanished" => after(first_unanswered(connection), limits.silence),
        // A client may still refuse what it was shown, or leave without using it.
        code if certificate::concerns(code) => held.after(if is_pending(connection) {
            limits.handshake_silence
        } else {
            LEAVING
        }),
        "tls.handshake-timeout" | "tls.client-hello-dropped" if is_pending(connection) => {
            after(Some(connection.last), limits.handshake_silence)
        }
        // More attempts tell a path that drops by size, or is gone, from one that drops this hello.
        "tls.client-hello-dropped" => held.after(limits.silence),
        "tcp.packet-loss" | "tcp.reordering" => held.after(RATE),
        _ => held.after(SECOND_THOUGHTS),
    }
}

/// The earliest time at which silence alone adds a finding whose code is not among `known`. `None` where it adds none.
///
/// `connection` is left observed until some other time.
#[must_use]
pub fn outlook(connection: &mut Connection, known: &[&str], limits: &Limits) -> Option<Timestamp> {
    let now = connection.observed_until;
    let last = now.after(LONGEST_SILENCE);
    connection.observed_until = last;
    let coming: Vec<_> = DETECTORS
        .iter()
        .filter(|detector| !known.contains(&detector.record.code))
        .filter(|detector| detector.detect(connection, limits).is_some())
        .collect();
    let mut earliest = None;
    for detector in coming {
        // What comes later than what is known already need not be found exactly.
        let (mut before, mut by) = (now, earliest.unwrap_or(last));
        let mut holds = |at: Timestamp| {
            connection.observed_until = at;
            detector.detect(connection, limits).is_some()
        };
        if !holds(by) {
            continue;
        }
        while by.since(before) > CLOSE_ENOUGH {
            let middle = before.after(Interval(by.since(before).0 / 2));
            if holds(middle) {
                by = middle;
            } else {
                before = middle;
            }
        }
        earliest = Some(by);
    }
    earliest
}

fn first_unanswered(connection: &Connection) -> Option<Mark> {
    [Side::Client, Side::Server]
        .into_iter()
        .filter_map(|side| connection.side(side).trouble())
        .filter_map(|trouble| trouble.unanswered.first)
        .min_by_key(|mark| mark.time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::judged;

    #[test]
    fn every_code_with_a_rule_of_its_own_exists() {
        let source = include_str!("settle.rs");
        let codes = source
            .lines()
            .take_while(|line| !line.contains("cfg(test)"))
            .flat_map(|line| line.split('"').skip(1).step_by(2))
            .filter(|text| text.contains('.'));
        let mut count = 0;
        for code in codes {
            let mut detectors = DETECTORS.iter();
            assert!(detectors.any(|known| known.record.code == code), "{code}");
            count += 1;
        }
        assert!(count >= 6);
    }

    fn connection(lines: &str) -> Connection {
        *judged(lines).connection
    }

    fn seconds_until(lines: &str, known: &[&str]) -> Option<f64> {
        let mut connection = connection(lines);
        let now = connection.observed_until;
        let due = outlook(&mut connection, known, &Limits::default())?;
        Some(due.since(now).as_secs_f64())
    }

    #[test]
    fn a_syn_without_an_answer_settles_by_silence() {
        let due = seconds_until("0.0 > S 0:0(0)", &[]).unwrap();
        assert!((2.99..3.02).contains(&due), "{due}");
        assert_eq!(
            seconds_until("0.0 > S 0:0(0)", &["tcp.syn-unanswered"]),
            None
        );
    }

    #[test]
    fn a_connection_at_rest_has_nothing_to_come() {
        let open = "0.00 > S 0:0(0)\n0.02 < SA 0:0(0) ack 1\n0.03 > A 1:1(0) ack 1";
        assert_eq!(seconds_until(open, &[]), None);
    }

    #[test]
    fn one_half_forgotten_settles_after_a_minute() {
        let half = "0.00 > S 0:0(0)\n0.02 < SA 0:0(0) ack 1\n0.03 > A 1:1(0) ack 1
             0.10 > FA 1:1(0) ack 1\n0.12 < A 1:1(0) ack 2";
        let due = seconds_until(half, &[]).unwrap();
        assert!((59.8..60.1).contains(&due), "{due}");
    }

    #[test]
    fn the_answer_to_a_second_attempt_is_waited_for() {
        let connection = connection("0.0 > S 0:0(0)\n1.0 > S 0:0(0)");
        let first = connection.first.time;
        let held = connection.observed_until;
        let due = settles("tcp.syn-unanswered", &connection, held, &Limits::default());
        assert_eq!(due, first.after(Interval::from_millis(3_500)));
    }
}
