//! The lookup that a connection waited for.

use maud::{Markup, html};
use wirewhy_flow::{Connection, LookedUp, Missing};
use wirewhy_packet::{Interval, Timestamp};
use wirewhy_protocol::{dns_rcode_name, dns_type_name};

use super::Key;
use super::draw::{px, wire};
use crate::format::span;
use crate::lookup;

/// A wait shorter than this is not drawn, where nothing else went wrong.
const LEAST: Interval = Interval::from_millis(50);

const WIDTH: f64 = 700.0;
const LEFT: f64 = 20.0;
const RIGHT: f64 = 90.0;

/// How far apart labels are at least.
const APART: f64 = 42.0;

/// A moment of a lookup.
struct Moment {
    time: Timestamp,
    frame: Option<u64>,
    what: String,
    class: &'static str,
}

/// The lookup from its first query to the beginning of the connection, where it took long or failed.
pub(super) fn of(connection: &Connection, found: &LookedUp, key: &Key) -> Markup {
    let moments = moments(connection, found);
    let (Some(first), Some(last)) = (moments.first(), moments.last()) else {
        return html! {};
    };
    let wait = last.time.since(first.time);
    if moments.len() < 2 || wait < LEAST && found.trouble.is_none() {
        return html! {};
    }
    let width = WIDTH - LEFT - RIGHT;
    let x = |time: Timestamp| {
        let share = time.since(first.time).as_secs_f64() / wait.as_secs_f64().max(1e-9);
        px(LEFT + share * width)
    };
    let mut free = f64::NEG_INFINITY;
    let mut labelled: Vec<&Moment> = Vec::new();
    for moment in &moments {
        let at = moment.time.since(first.time).as_secs_f64() / wait.as_secs_f64().max(1e-9) * width;
        if at >= free {
            free = at + APART;
            labelled.push(moment);
        }
    }
    let name = wire(&found.name);
    let title = format!(
        "The connection began {} after the first query for {name}",
        span(wait)
    );
    let unresolved = found
        .trouble
        .as_deref()
        .filter(|trouble| !trouble.is_resolved);
    let sentence = unresolved.and_then(|_| lookup::sentence(found));
    html! {
        figure.lookup {
            svg viewBox=(format!("0 0 {WIDTH} 50")) role="img" aria-labelledby=(format!("{key}-lookup")) {
                title id=(format!("{key}-lookup")) { (title) }
                rect.wait x=(x(first.time)) y="14" width=(px(width)) height="12" {}
                @for moment in &moments {
                    path class=(moment.class) d=(format!("M{} 8V32", x(moment.time))) {
                        title { (moment.what) }
                    }
                }
                @for moment in labelled {
                    text.at x=(x(moment.time)) y="44" { (span(moment.time.since(first.time))) }
                }
            }
            figcaption {
                p { (title) "." @if let Some(sentence) = sentence { " In all, " (wire(&sentence)) "." } }
                ol.moments {
                    @for moment in &moments {
                        li class=(moment.class) {
                            (span(moment.time.since(first.time))) ": " (moment.what)
                            @if let Some(frame) = moment.frame { " (frame " (frame) ")" }
                        }
                    }
                }
            }
        }
    }
}

/// What is known of the lookup, in its order.
fn moments(connection: &Connection, found: &LookedUp) -> Vec<Moment> {
    let mut moments = Vec::new();
    let begun = found
        .trouble
        .as_deref()
        .map(|trouble| (trouble.first.time, Some(trouble.first.frame)));
    let by_answer = found
        .answer
        .zip(found.took)
        .map(|(answer, took)| (answer.time.after(Interval::ZERO - took), None));
    if let Some((time, frame)) = begun.or(by_answer) {
        moments.push(Moment {
            time,
            frame,
            what: "first query".to_owned(),
            class: "query",
        });
    }
    for missed in found.trouble.iter().flat_map(|trouble| &trouble.missed) {
        let kind = dns_type_name(missed.kind);
        let resolver = missed.resolver.0;
        let what = match missed.how {
            Missing::Unanswered => format!("{kind} not answered by {resolver}"),
            Missing::Repeated => format!("{kind} sent again to {resolver}"),
            Missing::Code(code) => format!("{kind}: {} from {resolver}", dns_rcode_name(code)),
            Missing::Unreachable => format!("{kind}: {resolver} cannot be reached"),
        };
        moments.push(Moment {
            time: missed.since.time,
            frame: Some(missed.since.frame),
            what,
            class: "missed",
        });
    }
    if let Some(answer) = found.answer {
        moments.push(Moment {
            time: answer.time,
            frame: Some(answer.frame),
            what: "answer with the address".to_owned(),
            class: "answer",
        });
    }
    moments.push(Moment {
        time: connection.first.time,
        frame: Some(connection.first.frame),
        what: "the connection begins".to_owned(),
        class: "begin",
    });
    moments.sort_by_key(|moment| moment.time);
    moments
}
