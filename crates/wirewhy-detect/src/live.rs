//! When a finding about a connection that goes on may be reported, and when silence alone may add the next one.
//!
//! Over a finished connection a finding is final. Over one that goes on the next packet may refute it, most of all where it
//! rests on what did not come. How long a finding must have held before it is reported stands in its record.

use wirewhy_flow::{Connection, Mark, Side};
use wirewhy_packet::{Interval, Timestamp};

use crate::handshake::is_pending;
use crate::record::Readings;
use crate::{Limits, Record};

/// When a finding about a connection that goes on may be reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reportable {
    /// Half a second after it was first found: the packets right behind the decisive one may refute it.
    Soon,
    /// When the first SYN has been unanswered for [`Limits::silence`]: an answer may come to the second attempt, and a router
    /// that gets no answer to its ARP requests reports so after three seconds.
    SynUnanswered,
    /// When the first SYN-ACK has been unanswered for [`Limits::silence`].
    SynAckUnanswered,
    /// When the server has sent data, or not for [`Limits::silence`]: a server that has not may go on to show why it was late.
    FirstAnswer,
    /// When the first unanswered segment has been so for half a minute: a sign of life of the other side would show that the size
    /// does not pass, that one direction works, or that the server did not take the connection yet.
    Unanswered,
    /// When the client has had the time to refuse what it was shown, or to leave without using it.
    ClientReaction,
    /// When the handshake has stood still for [`Limits::handshake_silence`].
    HandshakeSilence,
    /// As [`Reportable::HandshakeSilence`], or once the handshake has ended and more attempts have had the time to show
    /// whether the path drops by size.
    MoreAttempts,
    /// When a rate has held for ten seconds: what gets across may outweigh a burst of losses.
    SteadyRate,
}

/// How long the packets behind the decisive one may turn it over: a host goes on after a reset in its name within a round
/// trip, and the longest common ones are a third of a second.
const SECOND_THOUGHTS: Interval = Interval::from_millis(500);

/// How long a rate of loss or reordering must hold: a burst soon drowns in what got across.
const RATE: Interval = Interval::from_secs(10);

/// How long a client that does not like a certificate may take to leave, and a little more.
const LEAVING: Interval = Interval::from_millis(1_500);

/// How long a side may take to show that it lives: keep-alive probes of applications come every half minute or more often,
/// retransmissions sooner, those of a SYN-ACK after 1, 3, 7, 15 and 31 seconds.
const SIGN_OF_LIFE: Interval = Interval::from_secs(30);

/// Silence longer than this ends nothing that a shorter one did not.
const LONGEST_SILENCE: Interval = Interval::from_secs(24 * 3600);

/// How exactly the moment at which silence settles something is found.
const CLOSE_ENOUGH: Interval = Interval::from_millis(10);

/// When a finding with this record, first found at `found`, on a connection that goes on may be reported.
#[must_use]
pub fn reportable_at(
    record: &Record,
    connection: &Connection,
    found: Timestamp,
    limits: &Limits,
) -> Timestamp {
    let handshake = &connection.tcp.handshake;
    let after = |mark: Option<Mark>, silence: Interval| {
        let since = mark.map_or(found, |mark| mark.time);
        since.after(silence).max(found)
    };
    let handshake_silence = || after(Some(connection.last), limits.handshake_silence);
    let soon = || found.after(SECOND_THOUGHTS);
    match record.reportable {
        Reportable::Soon => soon(),
        Reportable::SynUnanswered => {
            after(handshake.first_syn, limits.silence).after(SECOND_THOUGHTS)
        }
        Reportable::SynAckUnanswered => after(handshake.syn_ack, limits.silence),
        Reportable::FirstAnswer if connection.server.counts.payload_packets == 0 => {
            found.after(limits.silence).after(SECOND_THOUGHTS)
        }
        Reportable::FirstAnswer => soon(),
        Reportable::Unanswered => {
            let silence = limits.silence.max(SIGN_OF_LIFE);
            after(first_unanswered(connection), silence)
        }
        Reportable::ClientReaction if is_pending(connection) => {
            found.after(limits.handshake_silence)
        }
        Reportable::ClientReaction => found.after(LEAVING),
        Reportable::HandshakeSilence if is_pending(connection) => handshake_silence(),
        Reportable::HandshakeSilence => soon(),
        Reportable::MoreAttempts if is_pending(connection) => handshake_silence(),
        Reportable::MoreAttempts => found.after(limits.silence),
        Reportable::SteadyRate => found.after(RATE),
    }
}

/// The earliest time at which silence alone adds a finding whose code is not among `known`. `None` where it adds none.
///
/// `connection` is left observed until some other time.
#[must_use]
pub fn next_deadline(
    connection: &mut Connection,
    known: &[&str],
    limits: &Limits,
) -> Option<Timestamp> {
    let now = connection.observed_until;
    let last = now.after(LONGEST_SILENCE);
    connection.observed_until = last;
    let coming: Vec<_> = Readings::of(connection, limits)
        .signs()
        .rules()
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
        .filter_map(|side| connection.side(side).tcp.trouble())
        .filter_map(|trouble| trouble.unanswered.first)
        .min_by_key(|mark| mark.time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::diagnosis;

    fn connection(lines: &str) -> Connection {
        *diagnosis(lines).connection
    }

    fn seconds_until(lines: &str, known: &[&str]) -> Option<f64> {
        let mut connection = connection(lines);
        let now = connection.observed_until;
        let due = next_deadline(&mut connection, known, &Limits::default())?;
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
    fn a_side_that_fell_silent_is_given_half_a_minute_to_show_that_it_lives() {
        let connection = connection(
            "0.00 > S 0:0(0)
             0.02 < SA 0:0(0) ack 1
             0.03 > A 1:1(0) ack 1
             0.04 > PA 1:11(10) ack 1
             0.06 < PA 1:11(10) ack 11
             1.00 > PA 11:21(10) ack 11
             1.30 > PA 11:21(10) ack 11
             1.90 > PA 11:21(10) ack 11
             3.10 > PA 11:21(10) ack 11
             6.0 end",
        );
        let record = &crate::detectors::tcp::peer_vanished::RECORD;
        let found = connection.first.time;
        let due = reportable_at(record, &connection, found, &Limits::default());
        let due = due.since(found).as_secs_f64();
        assert!((31.0..31.5).contains(&due), "{due}");
    }

    #[test]
    fn the_answer_to_a_second_attempt_is_waited_for() {
        let connection = connection("0.0 > S 0:0(0)\n1.0 > S 0:0(0)");
        let first = connection.first.time;
        let held = connection.observed_until;
        let record = &crate::detectors::tcp::syn_unanswered::RECORD;
        let due = reportable_at(record, &connection, held, &Limits::default());
        assert_eq!(due, first.after(Interval::from_millis(3_500)));
    }
}
