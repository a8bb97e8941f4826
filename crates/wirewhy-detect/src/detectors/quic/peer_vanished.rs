//! `quic.peer-vanished`: one side falls silent, and the other sends again and again.

use wirewhy_flow::{Interval, Side};
use wirewhy_protocol::Mark as ProtocolMark;

use super::{Reading, blame_for_silence, flow_marks, frames, gaps, over, probes, role_of};
use crate::handshake::culprit as culprit_of;
use crate::wording::{count, socket, span};
use crate::{
    Cause, Confidence, Culprit, Detector, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "quic.peer-vanished",
    group: Group::Quic,
    title: "The other side of a connection over QUIC vanished",
    severity: Severity::Error,
    means: "The connection worked, then one side's datagrams went unanswered: it sends again and again, and nothing comes back. A NAT or \
            firewall forgot the connection, the path or the host is gone, or a balancer sends its packets elsewhere.",
    recognised: "Behind a completed handshake, datagrams of one side, three times or more over a second, or at least ten over 3 s, and none \
                 of the other side after them for 3 s of the recording. What asks for an acknowledgement gets one at once. Or, \
                 possible then, six datagrams or more of one side at times that double, over 3 s and to the end, though the other \
                 side is heard: a probe timeout doubles only while nothing is acknowledged.",
    look_alikes: "A side that closes sends CONNECTION_CLOSE, which cannot be read without secrets: one or two datagrams without an \
                  answer are that. Which datagrams were lost cannot be told without secrets.",
    check_next: &[
        "After an idle time: NATs and firewalls forget UDP after 30 to 180 s. Let the application send keep-alives more often.",
        "Did the client's address or port change just before? The server, or its balancer, may not know the connection there.",
        "Is the other host up, and was it, or a firewall on the path, restarted at that time?",
    ],
    explained_by: &[
        Cause::IfAsSevere("quic.stateless-reset"),
        Cause::IfAsSevere("quic.handshake-timeout"),
    ],
    reportable: Reportable::Unanswered,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Quic(detect),
};

/// So many times a side sends before the silence of the other counts.
const REPEATS: usize = 3;

/// So many datagrams without one of the other side are no farewell.
const MANY: u64 = 10;

fn detect(reading: &Reading<'_>, limits: &Limits) -> Option<Finding> {
    let connection = reading.connection;
    if !reading.is_established() {
        return None;
    }
    let sides = [Side::Client, Side::Server];
    let Some(from) = sides
        .into_iter()
        .find(|side| insists(reading, *side, limits))
    else {
        let mut sides = sides.into_iter();
        return sides.find_map(|side| unheeded(reading, side, limits));
    };
    let run = &reading.sent(from).unanswered;
    let repeats = repeats(reading, from);
    let gaps = gaps(&repeats);
    let peer = connection.side(from.other());
    let first = *repeats.first()?;
    let idle = peer.last.map_or(Interval::ZERO, |last| {
        first.time.since(last.time).max(Interval::ZERO)
    });
    let silent = peer.last.map(|last| connection.heard_after(last.time))?;
    let refused = reading
        .undelivered()
        .into_iter()
        .find(|(event, ..)| event.from == from && event.time >= first.time);
    let culprit = match &refused {
        Some((_, icmp, _)) if icmp.reporter == peer.address => culprit_of(connection, from.other()),
        Some((_, icmp, _)) => Culprit::new(Role::Path, icmp.reporter),
        None => blame_for_silence(connection, from.other()),
    };
    let moved = connection
        .events
        .iter()
        .rev()
        .find(|event| matches!(event.kind, wirewhy_flow::EventKind::Moved { .. }));
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: match refused {
            Some(_) => Confidence::Certain,
            None => Confidence::Likely,
        },
        culprit,
        summary: format!(
            "{} fell silent: {} of {}{} went unanswered{}{}{}",
            socket(peer),
            count(run.count, "datagram"),
            socket(connection.side(from)),
            match run.last.map(|last| last.time.since(first.time)) {
                Some(whole) if whole > Interval::ZERO => format!(" over {}", span(whole)),
                _ => String::new(),
            },
            match idle >= limits.idle {
                true => format!(", the first after {} without traffic", span(idle)),
                false => String::new(),
            },
            match moved {
                Some(_) => ", after the connection had moved to another address or port",
                None => "",
            },
            match &refused {
                Some((_, icmp, meaning)) => format!(
                    "; {} answered with ICMP \"{}\"",
                    icmp.reporter, meaning.name
                ),
                None if culprit.address.is_some() =>
                    "; they reached its side, so it is the host that keeps silent".to_owned(),
                None => "; the path or the host is gone, which look the same from here".to_owned(),
            },
        ),
        frames: frames(
            refused
                .iter()
                .map(|(event, ..)| event.mark())
                .chain(flow_marks(&repeats)),
        ),
        facts: reading
            .facts()
            .with("silent", from.other().name())
            .with("datagrams", run.count)
            .with("gap_seconds", gaps)
            .with("idle_seconds", idle)
            .with("silent_seconds", silent)
            .with("moved", moved.is_some()),
        consequence_of: None,
    })
}

/// A side that is heard, and acknowledges nothing of what the other sends again and again.
fn unheeded(reading: &Reading<'_>, from: Side, limits: &Limits) -> Option<Finding> {
    let connection = reading.connection;
    let probes = probes::unheeded(reading, from, limits)?;
    let gaps = gaps(&probes);
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Possible,
        culprit: Role::Unknown.into(),
        summary: format!(
            "{} sent probes{}, each twice as long behind the one before, as a side does that gets no acknowledgement: what it \
             sends does not reach {}, which is still heard, or the acknowledgements do not come back",
            socket(connection.side(from)),
            over(&gaps),
            socket(connection.side(from.other())),
        ),
        frames: frames(flow_marks(&probes)),
        facts: reading
            .facts()
            .with("silent", from.other().name())
            .with("datagrams", u64::try_from(probes.len()).unwrap_or(u64::MAX))
            .with("gap_seconds", gaps),
        consequence_of: None,
    })
}

/// Whether a side sends on although nothing comes.
fn insists(reading: &Reading<'_>, from: Side, limits: &Limits) -> bool {
    let run = &reading.sent(from).unanswered;
    let repeats = repeats(reading, from);
    let (Some(first), Some(last)) = (repeats.first(), run.last) else {
        return false;
    };
    let spread = last.time.since(first.time);
    if reading.sent(from.other()).datagrams == 0 {
        return false;
    }
    let closed_by_peer = |from: Side| {
        let mut closes = reading.quic.closes.iter();
        closes.any(|close| close.from == role_of(from.other()))
    };
    if closed_by_peer(from) {
        return false;
    }
    // What asks for an acknowledgement gets one at once (RFC 9000 section 13.2.1), and what asks for none is not sent again.
    let probes = repeats.len() >= REPEATS && spread >= limits.unanswered_span;
    let stated = reading
        .undelivered()
        .iter()
        .filter(|(event, ..)| event.from == from && event.time >= first.time)
        .count();
    let refused = stated >= 2 && repeats.len() >= REPEATS;
    let continues = run.count >= MANY && spread >= limits.silence;
    (probes || continues || refused) && reading.connection.heard_after(first.time) >= limits.silence
}

/// The datagrams of a side since the other was heard last, those left out that acknowledge what it sent.
fn repeats(reading: &Reading<'_>, from: Side) -> Vec<ProtocolMark> {
    let heard = reading.connection.side(from.other()).last;
    let run = reading.sent(from).unanswered.first.iter();
    let acknowledges = Interval(ACKNOWLEDGES.0.saturating_add(reading.longest_turn().0));
    run.filter(|mark| heard.is_none_or(|heard| mark.time.since(heard.time) > acknowledges))
        .copied()
        .collect()
}

/// What follows so soon, the time to the farther end and back left out, acknowledges what came.
const ACKNOWLEDGES: Interval = Interval::from_millis(200);

#[cfg(test)]
mod tests {
    use super::super::traces::ConversationTrace;
    use crate::Role;

    #[test]
    fn probes_that_nothing_answers() {
        let found = ConversationTrace::new()
            .client_hello(0)
            .handshake(20)
            .client_short(40_000, 60)
            .client_short(40_300, 60)
            .client_short(40_900, 60)
            .client_short(42_100, 60)
            .until(50_000)
            .only();
        assert_eq!(
            (found.code, found.culprit.role),
            ("quic.peer-vanished", Role::Unknown)
        );
        assert!(
            found.summary.contains("without traffic"),
            "{}",
            found.summary
        );
    }

    /// As a relay with much jitter showed them: the server's last answer arrives in pieces, and each is acknowledged.
    #[test]
    fn late_acknowledgements_and_a_farewell_need_no_answer() {
        let conversation = ConversationTrace::new()
            .client_hello(0)
            .handshake(650)
            .client_short(1_800, 60)
            .server_short(2_160, 225)
            .client_short(2_260, 33)
            .client_short(2_510, 33)
            .client_short(2_920, 33)
            .client_short(7_710, 30)
            .until(60_000);
        assert_eq!(conversation.codes(), [""; 0]);
    }

    #[test]
    fn a_farewell_needs_no_answer() {
        let conversation = ConversationTrace::new()
            .client_hello(0)
            .handshake(20)
            .client_short(1_000, 60)
            .client_short(1_300, 40)
            .until(60_000);
        assert_eq!(conversation.codes(), [""; 0]);
    }

    #[test]
    fn what_is_answered_in_the_end_is_none() {
        let conversation = ConversationTrace::new()
            .client_hello(0)
            .handshake(20)
            .client_short(1_000, 60)
            .client_short(1_300, 60)
            .client_short(1_900, 60)
            .client_short(3_100, 60)
            .server_short(3_120, 60)
            .until(60_000);
        assert_eq!(conversation.codes(), [""; 0]);
    }
}
