//! Every reset has one reason; it is found here, and the detectors of `rst.*` put it into words.

mod origin;

use wirewhy_flow::{Connection, Event, EventKind, Interval, Position, Reset, Side};
use wirewhy_protocol::{ContentType, Framing, Sealed};

use crate::Limits;
pub(crate) use origin::{Origin, origin};

/// Why a reset was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    /// It answers a SYN: `tcp.refused`.
    Refused,
    /// It belongs to the opening: `tcp.handshake-aborted`, `tcp.stale-connection`.
    Opening,
    /// The receiver had to ignore it.
    OutOfWindow,
    /// A third party sent it.
    Injected,
    /// The sender's own packets had gone unanswered.
    GaveUp,
    /// It follows the sender's fatal TLS alert.
    AfterAlert,
    /// Both were done, or nothing of value was lost.
    AfterClose,
    /// A request crossed the sender's FIN.
    CloseRace,
    /// The sender closed with input it had not read.
    UnreadData,
    /// A connection that something on the way, or the sender, had forgotten over an idle time.
    IdleExpired,
    /// The sender does not know the connection.
    NoConnection,
    /// The application closed hard.
    Abort,
}

/// A reset with its reason.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExplainedReset<'a> {
    pub(crate) event: &'a Event,
    pub(crate) reset: &'a Reset,
    pub(crate) reason: Reason,
}

/// How soon after the input a close counts as its consequence.
const AT_ONCE: Interval = Interval::from_millis(100);

/// A request and a FIN that cross are at most this far apart where the round trip is not known to be longer.
const LONGEST_CROSSING: Interval = Interval::from_millis(500);

/// A stack answers within this time whatever the round trip: it may be busy.
const SHORTEST_ANSWER: Interval = Interval::from_millis(100);

/// An answer may take this long where the round trip is not known or the path is busy.
const LONGEST_ANSWER: Interval = Interval::from_secs(1);

/// A sender whose bytes do not arrive sends them again for longer than this before it gives up (RFC 6298 section 2.1).
const SENT_AGAIN: Interval = Interval::from_secs(1);

/// Every reset of a connection with its reason, in order.
pub(crate) fn explained<'a>(
    connection: &'a Connection,
    limits: &Limits,
) -> Vec<ExplainedReset<'a>> {
    let mut explained: Vec<ExplainedReset<'a>> = Vec::new();
    for event in connection.events.iter() {
        let EventKind::Reset(reset) = &event.kind else {
            continue;
        };
        let earlier = explained.iter().rfind(|earlier| {
            earlier.event.from == event.from && earlier.reason != Reason::OutOfWindow
        });
        let reason = reason(connection, event, reset, earlier, limits);
        explained.push(ExplainedReset {
            event,
            reset,
            reason,
        });
    }
    explained
}

/// The resets of a connection with their reasons, found once for all detectors.
#[derive(Debug)]
pub(crate) struct Resets<'a> {
    pub(crate) connection: &'a Connection,
    explained: Vec<ExplainedReset<'a>>,
}

impl<'a> Resets<'a> {
    /// The resets of a connection; `None` where it has none.
    pub(crate) fn of(connection: &'a Connection, limits: &Limits) -> Option<Resets<'a>> {
        let any = connection.client.tcp.counts.resets + connection.server.tcp.counts.resets > 0;
        any.then(|| Resets {
            connection,
            explained: explained(connection, limits),
        })
    }

    /// The resets of one reason, if there are any: the first, and all of them.
    pub(crate) fn because_of(
        &self,
        reason: Reason,
    ) -> Option<(ExplainedReset<'a>, Vec<ExplainedReset<'a>>)> {
        let all: Vec<_> = self
            .explained
            .iter()
            .filter(|explained| explained.reason == reason)
            .copied()
            .collect();
        Some((*all.first()?, all))
    }
}

fn reason(
    connection: &Connection,
    event: &Event,
    reset: &Reset,
    earlier: Option<&ExplainedReset<'_>>,
    limits: &Limits,
) -> Reason {
    if let Some(reason) = while_opening(connection, event, reset) {
        return reason;
    }
    let idle = reset.before.idle.filter(|idle| *idle >= limits.idle);
    let denies = answers_without_state(reset) && is_in_time(connection, event, reset);
    let expired = idle.is_some() && (denies || is_unprompted(reset)) && !runs_ahead(reset);
    let origin = origin(connection, event, reset, limits);
    if !expired && origin.is_foreign(limits) {
        return Reason::Injected;
    }
    // What follows a reset that was believed, in the same name, has the same reason: answers to late segments.
    if let Some(earlier) = earlier {
        return earlier.reason;
    }
    if is_ignored(connection, event, reset) {
        return Reason::OutOfWindow;
    }
    if gave_up(event, reset, limits) {
        return Reason::GaveUp;
    }
    if reset.before.own_alert.or(reset.before.peer_alert).is_some() {
        return Reason::AfterAlert;
    }
    if reset.before.own_fin.is_some() || reset.before.peer_fin.is_some() {
        return while_closing(connection, event, reset);
    }
    if expired {
        return Reason::IdleExpired;
    }
    // Both may say farewell at once.
    let own_word = reset.unacknowledged_own <= LONGEST_FAREWELL;
    let last_words = own_word && is_farewell(connection, event.from.other(), reset);
    if last_words || both_sent_farewell(connection, reset) {
        return Reason::AfterClose;
    }
    if denies {
        return Reason::NoConnection;
    }
    if runs_ahead(reset) {
        return Reason::GaveUp;
    }
    if left_unread(connection, event, reset) {
        Reason::UnreadData
    } else {
        Reason::Abort
    }
}

fn while_opening(connection: &Connection, event: &Event, reset: &Reset) -> Option<Reason> {
    match reset.position {
        Position::AnswersSyn => return Some(Reason::Refused),
        // The client ignores it. Where nothing else answers the SYN, the attempt ends as a refusal does.
        Position::IgnoredInSynSent if connection.tcp.handshake.syn_ack.is_none() => {
            return Some(Reason::Refused);
        }
        Position::IgnoredInSynSent => return Some(Reason::OutOfWindow),
        _ if refuses_unseen_syn(connection, reset) => return Some(Reason::Refused),
        _ => {}
    }
    let opened = connection
        .tcp
        .handshake
        .ack
        .is_some_and(|ack| ack.frame < event.frame);
    let began = connection.tcp.handshake.syns + connection.tcp.handshake.syn_acks > 0;
    if !began || opened || event.from == Side::Server {
        return None;
    }
    let answered = connection.events.iter().any(|other| {
        other.frame < event.frame
            && matches!(
                other.kind,
                EventKind::SynAck { .. } | EventKind::UnrelatedAck { .. }
            )
    });
    Some(if answered {
        Reason::Opening
    } else {
        Reason::Abort
    })
}

/// The form of a refusal, alone in the capture: it answers a SYN that was not recorded.
pub(crate) fn refuses_unseen_syn(connection: &Connection, reset: &Reset) -> bool {
    let alone = connection.client.counts.packets == 0
        && connection.server.counts.packets == u64::from(connection.server.tcp.counts.resets);
    alone && reset.seq.0 == 0 && reset.ack.is_some() && reset.window == 0
}

/// RFC 9293 section 3.10.7.1: a stack that knows no such connection answers with the number it was sent, and without ACK.
fn answers_without_state(reset: &Reset) -> bool {
    reset.ack.is_none() && reset.before.answered_ack == Some(reset.seq)
}

/// Soon enough after the latest packet of the other side to be its answer, which a stack sends at once: within two round
/// trips. With data outstanding a busy path may take longer.
fn is_in_time(connection: &Connection, event: &Event, reset: &Reset) -> bool {
    let Some(answered) = reset.answers else {
        return true;
    };
    let whole = connection.round_trip();
    let there = match event.from {
        Side::Server => whole.to_server,
        Side::Client => whole.to_client,
    };
    let longest = there.map_or(LONGEST_ANSWER, |there| {
        Interval(there.0.saturating_mul(2)).max(SHORTEST_ANSWER)
    });
    let longest = if reset.unacknowledged_peer > 0 {
        longest.max(LONGEST_ANSWER)
    } else {
        longest
    };
    event.time.since(answered.time) <= longest
}

/// An abort that stands ahead of everything its sender was seen to send, in a window the other side had open: the bytes
/// between were sent and never arrived, until their sender gave up.
fn runs_ahead(reset: &Reset) -> bool {
    let ahead = reset
        .own_next
        .is_some_and(|next| reset.seq.distance_from(next) > 1);
    ahead && reset.position == Position::InWindow && reset.idle >= SENT_AGAIN
}

/// It came with nothing outstanding either way and answers nothing.
fn is_unprompted(reset: &Reset) -> bool {
    reset.unacknowledged_own == 0 && reset.unacknowledged_peer == 0
}

/// The receiver had to ignore it: outside the window, or inside and plainly without effect.
fn is_ignored(connection: &Connection, event: &Event, reset: &Reset) -> bool {
    let continues = [&connection.client, &connection.server]
        .into_iter()
        .all(|side| {
            side.last_payload
                .or(side.tcp.fin)
                .is_some_and(|last| last.time > event.time)
        });
    match reset.position {
        Position::Outside => !answers_late_packet(reset),
        Position::InWindow => continues,
        _ => false,
    }
}

/// A stack that has closed answers each late packet with the number that packet acknowledged; of several in flight the
/// earlier ones acknowledge less than the receiver expects by then.
fn answers_late_packet(reset: &Reset) -> bool {
    let behind = reset.own_next.map(|next| next.distance_from(reset.seq));
    reset.ack.is_none()
        && reset.before.own_fin.is_some()
        && behind.is_some_and(|behind| (0..1 << 20).contains(&behind))
}

fn gave_up(event: &Event, reset: &Reset, limits: &Limits) -> bool {
    let before = &reset.before;
    let shut_out = before
        .peer_window_closed
        .is_some_and(|closed| event.time.since(closed.time) >= limits.zero_window);
    before.unanswered >= 2 || before.unanswered_keep_alives >= 2 || shut_out
}

/// A FIN went before: was anything of value lost behind it?
fn while_closing(connection: &Connection, event: &Event, reset: &Reset) -> Reason {
    let before = &reset.before;
    let farewell = is_farewell(connection, event.from.other(), reset);
    let Some(own_fin) = before.own_fin else {
        // The other side had closed: it loses what it still waited for, or nothing.
        return if farewell || !owes_answer(connection, event, reset) {
            Reason::AfterClose
        } else if left_unread(connection, event, reset) {
            Reason::UnreadData
        } else {
            Reason::Abort
        };
    };
    // A client that has closed discards the rest of an answer it no longer wants.
    if event.from == Side::Client || farewell {
        return Reason::AfterClose;
    }
    // Bytes sent after the FIN, or on their way before the FIN could be known of. Behind a FIN of its own the other side
    // loses only what was not acknowledged; its FIN counts as one byte.
    let (unheard, both_closed) = match before.peer_fin {
        Some(_) => (reset.unacknowledged_peer > 1, true),
        None => (reset.unacknowledged_peer > 0, false),
    };
    let late = before
        .peer_payload
        .filter(|payload| unheard || (!both_closed && payload.time >= own_fin.time));
    let Some(late) = late else {
        return Reason::AfterClose;
    };
    let round_trip = connection
        .round_trip()
        .handshake
        .unwrap_or(Interval::from_millis(100));
    let crossed =
        late.time.since(own_fin.time).abs() <= (round_trip + round_trip).max(LONGEST_CROSSING);
    let rested = Interval::from_secs(1);
    let quiet = connection.tcp.exchange.quiet_before_close;
    // A side that says something and then closes ends the conversation; it does not tire of an idle one.
    let spoke = before
        .own_payload
        .is_some_and(|payload| own_fin.time.since(payload.time) < rested);
    if crossed && !spoke && quiet.is_some_and(|quiet| quiet >= rested) {
        Reason::CloseRace
    } else {
        Reason::UnreadData
    }
}

/// The longest record that holds a close_notify: CBC suites pad.
const LONGEST_FAREWELL: u32 = 69;

const ALERT: ContentType = ContentType(21);

/// TLS's last word, `close_notify`: a record too small to be anything else worth waiting for. Header, padding, MAC or tag
/// around an alert of two bytes make 24 bytes in TLS 1.3, 31 in TLS 1.2 and, with its CBC suites, up to 69; those could be
/// a short request too, unless a FIN follows.
fn is_farewell(connection: &Connection, side: Side, reset: &Reset) -> bool {
    if reset.before.peer_sent_farewell {
        return true;
    }
    let app = connection.app.as_deref();
    let (speaker, heard) = match (side, app) {
        (Side::Client, Some(app)) => (&app.client, connection.server.counts.payload_packets),
        (Side::Server, Some(app)) => (&app.server, connection.client.counts.payload_packets),
        (_, None) => return false,
    };
    let closing = reset.before.peer_fin.is_some() || reset.before.own_fin.is_some();
    let longest = if closing { LONGEST_FAREWELL } else { 31 };
    // More than that is lost: a request went before it. A FIN counts as one byte.
    if reset.unacknowledged_peer > 2 * LONGEST_FAREWELL {
        return false;
    }
    // Behind STARTTLS, a proxy's answer or its prefix TLS is what is spoken inside.
    speaker.uses_tls() && heard > 1 && reset.before.peer_payload_len <= longest
}

/// Both sides have said `close_notify`: what is still on the way is no more than that, and neither side waits for it.
fn both_sent_farewell(connection: &Connection, reset: &Reset) -> bool {
    let app = connection.app.as_deref();
    let Some(tls) = app.and_then(|app| app.tls.as_deref()) else {
        return false;
    };
    // An alert of two bytes and its type, with a tag of 16 bytes or 8 (RFC 8446 section 5.2); before TLS 1.3 its type is seen.
    let is_farewell = |last: Sealed| match last.kind {
        ALERT => true,
        _ => tls.is_1_3() && matches!(last.length, 19 | 11),
    };
    [&tls.client, &tls.server]
        .into_iter()
        .all(|side| side.last_sealed.is_some_and(is_farewell))
        && reset.unacknowledged_peer <= LONGEST_FAREWELL
}

/// The other side had asked and was still waiting for the answer or the rest of it.
pub(crate) fn owes_answer(connection: &Connection, event: &Event, reset: &Reset) -> bool {
    let before = &reset.before;
    if event.from == Side::Client {
        return false;
    }
    let unanswered = match (before.peer_payload, before.own_payload) {
        (Some(asked), Some(answered)) => asked.time > answered.time,
        (Some(_), None) => true,
        (None, _) => false,
    };
    let app = connection.app.as_deref();
    let reads_http = app.is_some_and(|app| app.http.requests > 0);
    let awaiting = app.is_some_and(|app| app.awaiting.is_some());
    let halfway = app.is_some_and(|app| matches!(app.server.framing, Framing::Inside(_)));
    if reads_http {
        awaiting || halfway
    } else {
        unanswered
    }
}

/// Work was outstanding: an answer owed, bytes on the way, a message begun.
pub(crate) fn loses_work(connection: &Connection, event: &Event, reset: &Reset) -> bool {
    // Of a connection of which one direction was recorded it is not known what is outstanding.
    if both_sent_farewell(connection, reset) || connection.is_one_sided() {
        return false;
    }
    let app = connection.app.as_deref();
    let halfway = app.is_some_and(|app| {
        matches!(app.server.framing, Framing::Inside(_))
            || matches!(app.client.framing, Framing::Inside(_))
    });
    let asked = app.is_some_and(|app| app.awaiting.is_some());
    // The reset itself may acknowledge what came last.
    let taken = reset
        .ack
        .is_some_and(|ack| reset.peer_next.is_some_and(|next| !ack.is_before(next)));
    reset.unacknowledged_own > 1
        || (reset.unacknowledged_peer > 1 && !taken)
        || halfway
        || asked
        || owes_answer(connection, event, reset)
}

/// Closed with unread input: the kernel had acknowledged it, nothing was said since, and the reset comes at once; or an
/// answer went out before the request was complete. Of a client that has its answer an observer cannot see whether it read it.
fn left_unread(connection: &Connection, event: &Event, reset: &Reset) -> bool {
    let before = &reset.before;
    let (Some(input), Some(ack)) = (before.peer_payload, reset.ack) else {
        return false;
    };
    if event.from == Side::Client || event.time.since(input.time) > AT_ONCE {
        return false;
    }
    let answered = before.own_payload.is_some_and(|own| own.time > input.time);
    let taken = reset.peer_next.is_some_and(|next| !ack.is_before(next));
    let early = connection
        .app
        .as_deref()
        .and_then(|app| app.http.last.as_ref())
        .is_some_and(|exchange| exchange.sent.is_none());
    early || (!answered && taken)
}
