//! Was a reset sent by the side whose header it carries? Evidence for and against, item by item.
//!
//! The items and their ranks follow Weaver, Sommer and Paxson (NDSS 2009), Clayton et al. (2006) and the reset fingerprints
//! of Linux. Each item has innocent explanations, so none convicts alone except what no stack does; hop counts never do.

use wirewhy_flow::{Connection, Event, EventKind, Interval, Position, Reset, Side};

use crate::{Limits, Value};

/// One piece of evidence about who sent a reset.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Evidence {
    /// What was looked at.
    pub(crate) what: &'static str,
    /// What was seen.
    pub(crate) seen: String,
    /// What the side itself would have shown.
    pub(crate) expected: String,
    /// The frame that shows it.
    pub(crate) frame: u64,
    /// In tenths: above 0 it speaks for a foreign sender, below for the side itself.
    pub(crate) weight: i32,
}

/// All evidence about one reset.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Origin {
    pub(crate) evidence: Vec<Evidence>,
    /// How many hops nearer to the capture point than the side's other packets the sender sits.
    pub(crate) hops_nearer: Option<i16>,
}

impl Origin {
    /// What speaks for a foreign sender less what speaks for the side itself. Against proof that the side knows nothing of
    /// its reset, headers written well weigh little: a forger on the path reads them off.
    pub(crate) fn score(&self) -> i32 {
        let (foreign, own): (Vec<i32>, Vec<i32>) = self
            .evidence
            .iter()
            .map(|item| item.weight)
            .partition(|weight| *weight > 0);
        let proof = foreign.iter().any(|weight| *weight >= PROOF);
        let own: i32 = own.iter().sum();
        foreign.iter().sum::<i32>() + if proof { own.max(-5) } else { own }
    }

    /// Whether a foreign sender is the better reading.
    pub(crate) fn is_foreign(&self, limits: &Limits) -> bool {
        // Distance alone never convicts, however it is measured.
        let beyond_distance = self
            .evidence
            .iter()
            .any(|item| item.weight >= 10 && item.what != TTL);
        beyond_distance && i64::from(self.score()) >= i64::from(limits.foreign_possible)
    }

    /// The evidence as facts, strongest first.
    pub(crate) fn facts(&self) -> Value {
        let mut items: Vec<&Evidence> = self.evidence.iter().collect();
        items.sort_by_key(|item| std::cmp::Reverse(item.weight.abs()));
        Value::List(
            items
                .into_iter()
                .map(|item| {
                    Value::Object(vec![
                        ("what", item.what.into()),
                        ("seen", item.seen.as_str().into()),
                        ("expected", item.expected.as_str().into()),
                        ("frame", item.frame.into()),
                        (
                            "speaks_for",
                            if item.weight > 0 {
                                "another sender"
                            } else {
                                "the endpoint"
                            }
                            .into(),
                        ),
                        ("weight", Value::Signed(i64::from(item.weight))),
                    ])
                })
                .collect(),
        )
    }

    fn add(&mut self, weight: i32, what: &'static str, frame: u64, seen: String, expected: String) {
        self.evidence.push(Evidence {
            what,
            seen,
            expected,
            frame,
            weight,
        });
    }
}

const TTL: &str = "hop count";

/// The weight of what no honest stack does.
const PROOF: i32 = 40;

/// Resets of one burst come within this time (Weaver et al., section 4).
const BURST: Interval = Interval::from_secs(2);

/// Weighs all evidence about a reset.
pub(crate) fn origin(
    connection: &Connection,
    event: &Event,
    reset: &Reset,
    limits: &Limits,
) -> Origin {
    let mut origin = Origin::default();
    let burst: Vec<(&Event, &Reset)> = burst(connection, event);
    carries_on(&mut origin, connection, event);
    guesses(&mut origin, event, &burst);
    too_fast(&mut origin, connection, event, reset, limits);
    hops(&mut origin, event, reset);
    mirrored(&mut origin, connection, event, reset);
    header(&mut origin, connection, event, reset);
    genuine(&mut origin, event, reset);
    origin
}

/// The resets in the same name within a burst, this one included.
fn burst<'a>(connection: &'a Connection, event: &Event) -> Vec<(&'a Event, &'a Reset)> {
    connection
        .events
        .iter()
        .filter(|other| other.from == event.from && other.time.since(event.time).abs() <= BURST)
        .filter_map(|other| match &other.kind {
            EventKind::Reset(reset) => Some((other, reset.as_ref())),
            _ => None,
        })
        .collect()
}

/// The alleged sender goes on as if nothing had happened.
fn carries_on(origin: &mut Origin, connection: &Connection, event: &Event) {
    let Some(after) = &connection.side(event.from).tcp.after_reset else {
        return;
    };
    if after.overtaken || after.mark.time < event.time || after.reset.frame < event.frame {
        return;
    }
    let weight = if after.new_data { 40 } else { 30 };
    let what = if after.new_data {
        "new data after the reset"
    } else {
        "packets after the reset"
    };
    origin.add(
        weight,
        "goes on after its reset",
        after.mark.frame,
        format!("{what} in the same name"),
        "a host that has reset says nothing more".to_owned(),
    );
}

/// Several resets with sequence numbers that run ahead of everything sent: a guess ahead of the window, which no stack needs.
fn guesses(origin: &mut Origin, event: &Event, burst: &[(&Event, &Reset)]) {
    let Some((_, first)) = burst.first() else {
        return;
    };
    let ahead = burst.iter().skip(1).find(|(_, other)| {
        let beyond = |edge: Option<wirewhy_packet::Seq>| {
            edge.is_none_or(|edge| other.seq.distance_from(edge) > 2)
        };
        other.seq.distance_from(first.seq) > 2
            && beyond(first.own_next)
            && beyond(first.before.expected)
    });
    if let Some((other, reset)) = ahead {
        origin.add(
            40,
            "guessed sequence numbers",
            other.frame,
            format!(
                "{} resets, one {} bytes ahead of the first",
                burst.len(),
                reset.seq.distance_from(first.seq)
            ),
            "the number last sent or acknowledged".to_owned(),
        );
    }
    let climbs = |value: fn(&Reset) -> u16| {
        burst.len() >= 3
            && burst
                .iter()
                .zip(burst.iter().skip(1))
                .all(|((_, a), (_, b))| value(b).wrapping_sub(value(a)) == 1)
    };
    if climbs(|reset| u16::from(reset.ttl)) || climbs(|reset| reset.window) {
        origin.add(
            40,
            "counting header fields",
            event.frame,
            "hop count or window rises by one from reset to reset".to_owned(),
            "the same in every reset".to_owned(),
        );
    }
    let mut ttls: Vec<u8> = burst.iter().map(|(_, reset)| reset.ttl).collect();
    ttls.sort_unstable();
    ttls.dedup();
    if ttls.len() > 1 {
        origin.add(
            15,
            "different hop counts in one burst",
            event.frame,
            format!("{ttls:?}"),
            "one hop count".to_owned(),
        );
    }
}

/// It acknowledges, or answers, what cannot have reached that host and come back yet.
fn too_fast(
    origin: &mut Origin,
    connection: &Connection,
    event: &Event,
    reset: &Reset,
    limits: &Limits,
) {
    let whole = connection.round_trip();
    let there = match event.from {
        Side::Server => whole.to_server,
        Side::Client => whole.to_client,
    };
    let shortest = [
        there,
        connection
            .side(event.from.other())
            .tcp
            .shortest_round_trip(),
    ]
    .into_iter()
    .flatten()
    .min();
    let (Some(shortest), Some(payload)) = (shortest, reset.before.peer_payload) else {
        return;
    };
    let age = event.time.since(payload.time);
    // A bare reset can only answer the latest segment if that is the only one on the way; behind an earlier reset of the same
    // side it answers what was on the way before.
    let outstanding = reset.unacknowledged_peer;
    let answers_latest = reset.before.answered_ack == Some(reset.seq)
        && (1..=reset.before.peer_payload_len).contains(&outstanding);
    let first = !connection.events.iter().any(|other| {
        other.frame < event.frame
            && other.from == event.from
            && matches!(other.kind, EventKind::Reset(_))
    });
    let knows =
        reset.ack.is_some_and(|ack| reset.peer_next == Some(ack)) || (first && answers_latest);
    let impossible = age.0.saturating_mul(i64::from(limits.nearer_round_trip)) < shortest.0;
    if knows && impossible && shortest >= Interval::from_millis(5) {
        origin.add(
            30,
            "faster than the round trip",
            event.frame,
            format!("data {:.1} ms old", age.as_secs_f64() * 1e3),
            format!("at least {:.1} ms", shortest.as_secs_f64() * 1e3),
        );
    }
}

/// The hop count against that of the side's other packets.
fn hops(origin: &mut Origin, event: &Event, reset: &Reset) {
    let Some(known) = reset.before.own_ttl.constant() else {
        return;
    };
    let nearer = i16::from(reset.ttl) - i16::from(known);
    let distance = nearer.abs();
    if nearer > 0 && distance < 32 {
        origin.hops_nearer = Some(nearer);
    }
    let weight = match distance {
        0 => return,
        1..=2 => 5,
        // Other initial hop counts differ by 64, 127, 128 or 191.
        3..=31 => 15,
        _ => 3,
    };
    origin.add(
        weight,
        TTL,
        event.frame,
        reset.ttl.to_string(),
        format!("{known}, as in all its packets"),
    );
}

/// Resets in both names at once, neither of which answers the other.
fn mirrored(origin: &mut Origin, connection: &Connection, event: &Event, reset: &Reset) {
    let twin = connection.events.iter().find(|other| {
        other.from != event.from
            && matches!(other.kind, EventKind::Reset(_))
            && other.time.since(event.time).abs() <= Interval::from_millis(5)
    });
    let Some(twin) = twin else { return };
    if reset.before.own_fin.is_some() || reset.before.peer_fin.is_some() {
        return;
    }
    let later = if twin.frame > event.frame {
        twin
    } else {
        event
    };
    if answers_a_segment_between(connection, later, twin.frame.min(event.frame)) {
        return;
    }
    // No stack answers a reset with a reset (RFC 9293 section 3.10.7.1).
    origin.add(
        20,
        "resets in both names at once",
        twin.frame,
        format!(
            "{:.1} ms apart",
            twin.time.since(event.time).as_secs_f64().abs() * 1e3
        ),
        "one side resets, the other falls silent".to_owned(),
    );
}

/// Whether the reset of `later` is the answer to a segment that its peer sent before its own reset, of frame `earlier`, and
/// that arrives behind it: the socket is gone by then (RFC 9293 section 3.10.7.1).
fn answers_a_segment_between(connection: &Connection, later: &Event, earlier: u64) -> bool {
    let EventKind::Reset(reset) = &later.kind else {
        return false;
    };
    let between = reset.answers.filter(|answered| {
        answered.frame > earlier
            && !connection.events.iter().any(|other| {
                other.frame == answered.frame && matches!(other.kind, EventKind::Reset(_))
            })
    });
    between.is_some() && reset.ack.is_none() && reset.before.answered_ack == Some(reset.seq)
}

/// Header fields that the side's own stack would not write.
fn header(origin: &mut Origin, connection: &Connection, event: &Event, reset: &Reset) {
    let before = &reset.before;
    let own = connection.side(event.from);
    if reset.payload_len > 0 {
        let seen = format!("{} bytes", reset.payload_len);
        origin.add(
            10,
            "payload in the reset",
            event.frame,
            seen,
            "none, with rare exceptions".to_owned(),
        );
    }
    if reset.ack.is_none() && reset.window != 0 {
        let seen = reset.window.to_string();
        origin.add(
            7,
            "window of a bare reset",
            event.frame,
            seen,
            "0 on Linux".to_owned(),
        );
    }
    if reset.ack.is_some() && reset.seq.0 == 0 && reset.position == Position::Outside {
        origin.add(
            10,
            "sequence number 0",
            event.frame,
            "a refusal in an open connection".to_owned(),
            "its own number".to_owned(),
        );
    }
    // An abort of a live socket (RST+ACK) carries timestamps where they were negotiated; answers without state carry none.
    let both = own.tcp.offer.timestamps && connection.side(event.from.other()).tcp.offer.timestamps;
    if both && reset.ack.is_some() && reset.timestamp.is_none() {
        let seen = "none".to_owned();
        origin.add(
            10,
            "timestamps option",
            event.frame,
            seen,
            "present, as in all its packets".to_owned(),
        );
    }
    if let (Some(known), Some(clock)) = (before.own_timestamp, reset.timestamp) {
        let ticks = wirewhy_packet::Seq(clock).distance_from(wirewhy_packet::Seq(known));
        let fits = (0..=reset.idle.0 / 1_000_000 * 2 + 1_000).contains(&i64::from(ticks));
        if !fits {
            let seen = format!("{ticks} ticks from the last one");
            origin.add(
                15,
                "timestamp value",
                event.frame,
                seen,
                "a little later than the last one".to_owned(),
            );
        }
    }
    if let (Some(known), Some(id)) = (before.own_ip_id, reset.ip_id)
        && id.id != 0
        && known.id != 0
    {
        let apart = id.id.wrapping_sub(known.id);
        if apart > 4_096 && apart < 61_440 {
            let seen = format!("{:#06x}", id.id);
            origin.add(
                6,
                "IP identification",
                event.frame,
                seen,
                format!("shortly after {:#06x}", known.id),
            );
        }
    }
    if before.other_mac {
        origin.add(
            12,
            "MAC address",
            event.frame,
            "another sender on the link".to_owned(),
            "that of its other packets".to_owned(),
        );
    }
    let far = reset
        .own_next
        .map_or(0, |next| reset.seq.distance_from(next));
    let justified =
        reset.before.answered_ack == Some(reset.seq) || before.expected == Some(reset.seq);
    if far > 0 && !justified && reset.position == Position::InWindow {
        origin.add(
            10,
            "sequence number",
            event.frame,
            format!("{far} bytes ahead of everything it sent"),
            "its next byte, or the number asked with".to_owned(),
        );
    }
}

/// What a forger would have to know: it speaks for the endpoint.
fn genuine(origin: &mut Origin, event: &Event, reset: &Reset) {
    let before = &reset.before;
    if let (Some(known), Some(clock)) = (before.own_timestamp, reset.timestamp) {
        let ticks = wirewhy_packet::Seq(clock).distance_from(wirewhy_packet::Seq(known));
        if (0..=reset.idle.0 / 1_000_000 * 2 + 1_000).contains(&i64::from(ticks)) {
            let seen = format!("{ticks} ticks after its last one");
            origin.add(
                -15,
                "timestamp value",
                event.frame,
                seen,
                "its own clock".to_owned(),
            );
        }
    }
    if let (Some(known), Some(id)) = (before.own_ip_id, reset.ip_id)
        && id.id != 0
        && (1..=64).contains(&id.id.wrapping_sub(known.id))
    {
        origin.add(
            -10,
            "IP identification",
            event.frame,
            "continues its counter".to_owned(),
            "its next one".to_owned(),
        );
    }
    if before.own_ttl.constant() == Some(reset.ttl) {
        origin.add(
            -3,
            TTL,
            event.frame,
            reset.ttl.to_string(),
            "as in all its packets".to_owned(),
        );
    }
    if before.own_fin.is_some() {
        origin.add(
            -10,
            "it had closed before",
            event.frame,
            "a FIN".to_owned(),
            "resets for what comes after".to_owned(),
        );
    }
    if before.own_alert.is_some() {
        origin.add(
            -10,
            "it had sent an alert before",
            event.frame,
            "a TLS alert".to_owned(),
            "a close".to_owned(),
        );
    }
}
