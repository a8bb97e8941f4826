//! The time-sequence plot, with the conventions of tcptrace: time across, sequence numbers up, one panel for each direction.

mod format;
mod panel;
mod shapes;

use maud::{Markup, html};
use wirewhy_detect::Diagnosis;
use wirewhy_flow::Side;
use wirewhy_packet::Timestamp;

use super::axis::{TimeAxis, break_mark};
use super::draw::px;
use super::{Cited, Key};
use crate::format::span;
use crate::{Names, PacketRow, Packets};
use panel::Panel;
use shapes::Shapes;

/// The size of a drawing, and where its panels stand.
const WIDTH: f64 = 940.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 16.0;
const PANEL: f64 = 210.0;
/// A direction that carries nothing but SYN and FIN needs less, and one that carries little beside the other.
const LOW_PANEL: f64 = 56.0;
const MIDDLE_PANEL: f64 = 110.0;
/// How many times more the other one carries then.
const LITTLE: i64 = 20;
const HEADING: f64 = 24.0;
const AXIS: f64 = 26.0;

/// Fewer packets are seen as well in the ladder.
const LEAST: u64 = 4;

/// The plot of a connection; `None` where there is too little of it to see.
pub(super) fn of(
    diagnosis: &Diagnosis,
    packets: &Packets,
    names: &Names,
    cited: &Cited<'_>,
    key: &Key,
) -> Option<Markup> {
    let connection = &*diagnosis.connection;
    if packets.count() < LEAST {
        return None;
    }
    let kept = packets.rows();
    let rows = || kept.iter().map(|kept| &kept.row);
    let sides = [Side::Client, Side::Server];
    let shapes = sides.map(|side| Shapes::of(connection, side, rows()));
    let times: Vec<Timestamp> = rows().map(|row: &PacketRow| row.time).collect();
    let origin = connection.first.time;
    let axis = TimeAxis::new(&times, origin, LEFT, WIDTH - LEFT - RIGHT);
    let most = shapes.iter().map(Shapes::extent).max().unwrap_or(0);
    let mut top = 0.0;
    let mut panels = Vec::new();
    for shapes in shapes.iter().filter(|shapes| !shapes.is_empty()) {
        let height = match shapes.extent() {
            ..=2 => LOW_PANEL,
            own if own.saturating_mul(LITTLE) < most => MIDDLE_PANEL,
            _ => PANEL,
        };
        let (above, below) = (top + HEADING, top + HEADING + height);
        panels.push(Panel::new(shapes, &axis, (above, below)));
        top = below;
    }
    if panels.is_empty() {
        return None;
    }
    let sentence = format::sentence(connection, &shapes, &axis);
    let height = top + AXIS;
    Some(html! {
        figure.plot {
            svg role="img" viewBox=(format!("0 0 {WIDTH} {height}")) aria-labelledby=(format!("{key}-plot {key}-plotted")) {
                title id=(format!("{key}-plot")) { "Sequence numbers over time, both directions" }
                desc id=(format!("{key}-plotted")) { (sentence) }
                (time_axis(&axis, top))
                @for panel in &panels {
                    (panel.draw(connection, names, cited, key))
                }
            }
            figcaption {
                p { (sentence) }
                (legend(&panels, cited))
                @if shapes::scale(connection, Side::Client).is_none() {
                    p { "No window is drawn: the opening that settles its scale is not in the capture." }
                } @else if panels.iter().any(Panel::hides_window) {
                    p { "Where the end of the window runs along the upper edge it lies beyond it." }
                }
            }
        }
    })
}

/// The lines and labels of the time axis, over all panels.
fn time_axis(axis: &TimeAxis, bottom: f64) -> Markup {
    let mut lines = super::draw::Path::default();
    let ticks = axis.ticks();
    for tick in &ticks {
        lines.bar(tick.at, HEADING, bottom);
    }
    html! {
        path.grid d=(lines.data()) {}
        @for tick in &ticks {
            text.at x=(px(tick.at)) y=(px(bottom + 16.0)) { (tick.label) }
        }
        @for fold in axis.folds() {
            g.fold {
                title { "Nothing was sent for " (span(fold.length)) }
                rect x=(px(fold.left + 1.0)) y=(px(HEADING)) width=(px(fold.right - fold.left - 2.0)) height=(px(bottom - HEADING)) {}
                path d=(break_mark(&fold, bottom)) {}
                text x=(px(f64::midpoint(fold.left, fold.right))) y=(px(HEADING + 26.0)) { (span(fold.length)) }
            }
        }
    }
}

/// What the shapes mean, of those that are there.
fn legend(panels: &[Panel<'_>], cited: &Cited<'_>) -> Markup {
    let has = |of: fn(&Panel<'_>) -> bool| panels.iter().any(of);
    let entries = [
        ("seg", "segment", has(|panel| !panel.new.is_empty())),
        ("rtx", "sent again", has(|panel| !panel.again.is_empty())),
        (
            "ooo",
            "out of order",
            has(|panel| !panel.out_of_order.is_empty()),
        ),
        ("probe", "probe", has(|panel| !panel.probes.is_empty())),
        (
            "ack",
            "acknowledged by the other side",
            has(|panel| !panel.acks.is_empty()),
        ),
        (
            "win",
            "end of its window",
            has(|panel| !panel.window.is_empty()),
        ),
        (
            "sack",
            "acknowledged selectively",
            has(|panel| !panel.sack.is_empty()),
        ),
        (
            "dup",
            "duplicate acknowledgement",
            has(|panel| !panel.duplicates.is_empty()),
        ),
    ];
    let letters = [
        ("ctl", "S", "SYN"),
        ("ctl", "F", "FIN"),
        ("rst", "✕", "RST"),
        ("zero", "Z", "closed window"),
        ("icmp", "▼", "ICMP error about it"),
        ("proof", "▲", "proves a finding"),
    ];
    let is_there = |letter: &str| panels.iter().any(|panel| panel.has(letter, cited));
    html! {
        ul.key {
            @for (class, meaning, _) in entries.into_iter().filter(|(_, _, is_there)| *is_there) {
                li { svg.swatch viewBox="0 0 18 10" aria-hidden="true" { path class=(class) d="M1 5H17" {} } (meaning) }
            }
            @for (class, letter, meaning) in letters.into_iter().filter(|(_, letter, _)| is_there(letter)) {
                li { b class=(class) { (letter) } (meaning) }
            }
        }
    }
}

#[cfg(test)]
mod tests;
