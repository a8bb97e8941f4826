//! Probes of one side that the other acknowledges none of, although it is heard itself.

use wirewhy_flow::{Interval, Side};
use wirewhy_protocol::Mark;

use super::Reading;
use crate::Limits;

/// What follows so soon answers what came.
const ANSWERS: Interval = Interval::from_millis(25);

/// What comes so soon behind a probe, the time to and fro left out, may acknowledge it.
const ACKNOWLEDGES: Interval = Interval::from_millis(100);

/// So many times the time between two probes has to double.
const DOUBLINGS: usize = 4;

/// The probes with which a side ended the connection, each about twice as long behind the one before as that was behind its own:
/// a probe timeout doubles for as long as nothing is acknowledged (RFC 9002 section 6.2.1), and only so long. `None` where the
/// last of them are few, or may have been acknowledged.
pub(super) fn unheeded(reading: &Reading<'_>, from: Side, limits: &Limits) -> Option<Vec<Mark>> {
    let (own, peer) = (
        &reading.sent(from).recent,
        &reading.sent(from.other()).recent,
    );
    let is_answer = |mark: &Mark| {
        peer.iter()
            .any(|came| (Interval::ZERO..ANSWERS).contains(&mark.time.since(came.time)))
    };
    let own: Vec<Mark> = own
        .iter()
        .filter(|mark| !is_answer(mark))
        .copied()
        .collect();
    let mut probes: Vec<Mark> = Vec::new();
    for mark in own.into_iter().rev() {
        if let [.., later, last] = probes.as_slice() {
            let (gap, before) = (last.time.since(later.time), mark.time.since(last.time));
            // Between three and five eighths: half, give or take a timer's quarter. Times of a capture may be anything.
            let [gap, before] = [gap, before].map(|span| i128::from(span.0).abs());
            if before * 8 < gap * 3 || before * 8 > gap * 5 {
                break;
            }
        }
        probes.push(mark);
    }
    probes.reverse();
    let (first, last) = (probes.first()?, probes.last()?);
    let round_trip = reading.longest_turn();
    let window = Interval(ACKNOWLEDGES.0.saturating_add(round_trip.0));
    let acknowledged = |probe: &Mark| {
        peer.iter()
            .any(|came| (Interval::ZERO..window).contains(&came.time.since(probe.time)))
    };
    let fits = probes.len() >= DOUBLINGS + 2
        && last.time.since(first.time) >= limits.silence
        && reading.connection.heard_after(last.time) >= window;
    let latest = probes.iter().rev().take(3);
    (fits && !latest.into_iter().any(acknowledged)).then_some(probes)
}

#[cfg(test)]
mod tests {
    use super::super::traces::ConversationTrace;
    use crate::{Confidence, Role};

    /// A server that repeats its answer behind a request, and the client its request.
    fn both_probe() -> ConversationTrace {
        let mut trace = ConversationTrace::new()
            .client_hello(0)
            .handshake(20)
            .client_short(2_000, 60)
            .server_short(2_002, 1_200);
        for at in [2_230, 2_630, 3_430, 5_030] {
            trace = trace.at(at, Role::Client, 38);
        }
        for at in [2_060, 2_170, 2_390, 2_830, 3_710, 5_470] {
            trace = trace.at(at, Role::Server, 1_200);
        }
        trace.in_order()
    }

    #[test]
    fn a_side_that_hears_and_is_not_heard() {
        let found = both_probe().until(9_000).only();
        assert_eq!(
            (found.code, found.confidence, found.culprit.role),
            ("quic.peer-vanished", Confidence::Possible, Role::Unknown)
        );
    }

    #[test]
    fn a_last_probe_that_is_acknowledged_is_none() {
        let conversation = both_probe().client_short(5_560, 40).until(9_000);
        assert_eq!(conversation.codes(), [""; 0]);
    }
}
