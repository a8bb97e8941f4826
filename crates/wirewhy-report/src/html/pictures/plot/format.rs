//! What is to be seen in a time-sequence plot, in one sentence.

use wirewhy_flow::{Connection, Side};

use super::super::axis::TimeAxis;
use super::shapes::Shapes;
use crate::format::{count, counted, span};

/// A side, at the beginning of a sentence.
pub(super) fn party(side: Side) -> &'static str {
    match side {
        Side::Client => "Client",
        Side::Server => "Server",
    }
}

/// The sentence: what each side sent and what became of it, the rests, and the end.
pub(super) fn sentence(connection: &Connection, shapes: &[Shapes; 2], axis: &TimeAxis) -> String {
    let mut parts: Vec<String> = shapes
        .iter()
        .map(|shapes| sent(connection, shapes))
        .collect();
    let folds: Vec<_> = axis.folds().map(|fold| fold.length).collect();
    match folds.as_slice() {
        [] => {}
        [only] => parts.push(format!("a rest of {} is folded", span(*only))),
        many => {
            let longest = many.iter().max().copied().unwrap_or_default();
            parts.push(format!(
                "{} of up to {} are folded",
                counted(many.len() as u64, "rest"),
                span(longest)
            ));
        }
    }
    parts.extend(ending(connection));
    let mut sentence = parts.join("; ");
    sentence.push('.');
    sentence
}

fn sent(connection: &Connection, shapes: &Shapes) -> String {
    let side = shapes.side;
    let (own, peer) = (connection.side(side), connection.side(side.other()));
    let name = format!("the {}", side.name());
    let name = match side {
        Side::Client => "The client".to_owned(),
        Side::Server => name,
    };
    if !own.was_seen() {
        return format!("{name} was not captured");
    }
    let (counts, tcp) = (&own.counts, &own.tcp.counts);
    let mut text = match counts.payload_bytes {
        0 => format!("{name} sent no payload"),
        bytes => format!(
            "{name} sent {} with {}",
            counted(counts.payload_packets, "segment"),
            counted(bytes, "byte")
        ),
    };
    if tcp.retransmissions > 0 {
        text.push_str(&format!(
            ", {}",
            counted(u64::from(tcp.retransmissions), "retransmission")
        ));
    }
    if tcp.out_of_order > 0 {
        text.push_str(&format!(
            ", {} out of order",
            count(u64::from(tcp.out_of_order))
        ));
    }
    let open = own.tcp.unacknowledged_by(&peer.tcp);
    if open > 0 && counts.payload_bytes > 0 && peer.was_seen() {
        text.push_str(&format!(
            ", and had {} that were not acknowledged",
            counted(u64::from(open), "byte")
        ));
    }
    if tcp.zero_windows > 0 {
        let times = match tcp.zero_windows {
            1 => "once".to_owned(),
            2 => "twice".to_owned(),
            many => format!("{many} times"),
        };
        text.push_str(&format!(", and closed its window {times}"));
    }
    text
}

/// How it ends.
fn ending(connection: &Connection) -> Option<String> {
    let reset = [&connection.client, &connection.server].map(|end| end.tcp.counts.resets > 0);
    let fins = [&connection.client, &connection.server].map(|end| end.tcp.fin);
    Some(match (reset, fins) {
        ([true, true], _) => "both sides sent a reset".to_owned(),
        ([true, false], _) => "it ends with a reset in the client's name".to_owned(),
        ([false, true], _) => "it ends with a reset in the server's name".to_owned(),
        (_, [Some(client), Some(server)]) => {
            let first = if client.frame <= server.frame {
                "client"
            } else {
                "server"
            };
            format!("both sides closed, the {first} first")
        }
        (_, [Some(_), None]) => "only the client closed".to_owned(),
        (_, [None, Some(_)]) => "only the server closed".to_owned(),
        (_, [None, None]) => return None,
    })
}
