//! `quic.stateless-reset`: one side no longer knows the connection.

use wirewhy_flow::{Connection, EventKind, Interval, Side};

use super::{Reading, flow_marks, frames, side_of};
use crate::handshake::culprit;
use crate::wording::{socket, span};
use crate::{
    Confidence, Detector, Facts, Finding, Group, Limits, Record, Reportable, Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "quic.stateless-reset",
    group: Group::Quic,
    title: "The other side no longer knows the connection",
    severity: Severity::Error,
    means: "A side that gets packets of a connection of which it has no state answers with a stateless reset. Its process was restarted, \
            or a load balancer has sent the packets to a server that never had the connection.",
    recognised: "Two packets of one side that end in the same 16 bytes and otherwise differ (RFC 9000 section 10.3), or, with secrets, \
                 one that ends in a token that was sent before; or (likely) behind a pause one small packet alone in answer to the \
                 client's, which is smaller, not acknowledged, and followed by a new connection of the client at once.",
    look_alikes: "Ordinary packets end in bytes that differ each time; a frame that was recorded twice is the same as a whole. A reset \
                  that is sent once, and whose token was not read, cannot be told from an ordinary packet.",
    check_next: &[
        "Was the server restarted, or a new version rolled out, at that time?",
        "Behind a load balancer: does it route by connection id, or only by addresses and ports?",
        "After the client's address changed: only a balancer that reads connection ids finds the same server.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Quic(detect),
};

fn detect(reading: &Reading<'_>, limits: &Limits) -> Option<Finding> {
    let Reading {
        connection, quic, ..
    } = *reading;
    let reset = quic.reset.as_ref()?;
    let from = side_of(reset.from);
    let words = match reset.again {
        Some(_) => "two of its packets end in the same 16 bytes",
        None => "its packet ends in the token that it had sent before",
    };
    let idle = match reset.idle >= limits.idle {
        true => format!(", after {} without traffic", span(reset.idle)),
        false => String::new(),
    };
    let mut before = connection
        .events
        .iter()
        .take_while(|event| event.frame < reset.mark.frame);
    let moved = before
        .any(|event| event.from == from.other() && matches!(event.kind, EventKind::Moved { .. }));
    let moved_words = match moved {
        true => "; the other side had moved to another address or port before",
        false => "",
    };
    let marks = [Some(reset.mark), reset.again, reset.answers];
    let marks: Vec<_> = marks.into_iter().flatten().collect();
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Certain,
        culprit: culprit(connection, from).at_most(Confidence::Likely),
        summary: format!(
            "{} no longer knows the connection{} and answered with a stateless reset{idle}: {words}{moved_words}",
            socket(connection.side(from)),
            reading.for_name(),
        ),
        frames: frames(flow_marks(&marks)),
        facts: reading
            .facts()
            .with("from", from.name())
            .with("idle_seconds", reset.idle)
            .with("token_was_read", reset.again.is_none())
            .with("moved", moved),
        consequence_of: None,
    })
}

/// The finding about a connection that a server forgot, where the shape of one packet alone shows it, and the client begins anew in
/// another stream.
#[must_use]
pub fn lost_state(connection: &Connection, pause: Interval, next: (u32, Interval)) -> Finding {
    let (stream, after) = next;
    let marks = [connection.server.last, connection.client.last];
    Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit: culprit(connection, Side::Server).at_most(Confidence::Likely),
        summary: format!(
            "{} answered the first packet after {} without traffic by one small packet, as a stateless reset is; the client left and \
             began anew {} later (udp.stream {stream})",
            socket(&connection.server),
            span(pause),
            span(after),
        ),
        frames: frames(marks.into_iter().flatten()),
        facts: Facts::default()
            .with("stage", connection.stage().name())
            .with("from", Side::Server.name())
            .with("idle_seconds", pause)
            .with("token_was_read", false)
            .with("next_stream", stream)
            .with("next_after_seconds", after),
        consequence_of: None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::traces::ConversationTrace;
    use crate::Role;

    #[test]
    fn two_packets_with_the_same_end() {
        let found = ConversationTrace::new()
            .client_hello(0)
            .handshake(20)
            .client_short(5_000, 80)
            .server_resets(5_020, 44)
            .client_short(5_300, 80)
            .server_resets(5_320, 43)
            .until(10_000)
            .only();
        assert_eq!(
            (found.code, found.culprit.role),
            ("quic.stateless-reset", Role::Server)
        );
    }

    #[test]
    fn one_alone_is_as_any_packet() {
        let conversation = ConversationTrace::new()
            .client_hello(0)
            .handshake(20)
            .client_short(5_000, 80)
            .server_resets(5_020, 44)
            .until(10_000);
        assert_eq!(conversation.codes(), [""; 0]);
    }
}
