//! A strip for each service and each client: how its connections went over time.

use std::net::{IpAddr, SocketAddr};

use maud::{Markup, html};
use wirewhy_packet::Interval;

use super::timeline::{moment, span};
use super::times::{OutcomeCounts, Places, Series, Strip, Times, widened};
use crate::{Names, format};

/// How many services, and how many clients, have a strip.
const LISTED: usize = 12;

/// How many cells a strip has at most.
const MAX_CELLS: i64 = 80;

const CELL: f64 = 6.0;
const HALF: f64 = 11.0;

pub(super) fn of(times: &Times, names: &Names) -> Markup {
    let Some((low, count)) = times.buckets() else {
        return html! {};
    };
    // How many buckets are one cell.
    let factor = (1..).find(|factor| count / factor < MAX_CELLS).unwrap_or(1);
    let scale = Scale {
        times,
        factor,
        low: low.div_euclid(factor),
        cells: (low + count - 1).div_euclid(factor) - low.div_euclid(factor) + 1,
    };
    let service = |socket: &SocketAddr| names.socket(socket.ip(), socket.port());
    let client = |address: &IpAddr| names.host(*address);
    html! {
        section aria-labelledby="strips-title" {
            h2 id="strips-title" { "Services and clients over time" }
            p.quiet {
                "Above the line: connections that failed (solid) and that were degraded (hatched); below it: the others. A cell is "
                (format::span(Interval(times.width().0.saturating_mul(factor)))) "."
            }
            (table("Services", &times.services, service, &scale))
            (table("Clients", &times.clients, client, &scale))
        }
    }
}

struct Scale<'a> {
    times: &'a Times,
    factor: i64,
    low: i64,
    cells: i64,
}

fn table<K: Ord + Copy>(
    title: &str,
    places: &Places<K>,
    name: impl Fn(&K) -> String,
    scale: &Scale<'_>,
) -> Markup {
    let ranked = places.ranked();
    let (listed, rest) = ranked.split_at(ranked.len().min(LISTED));
    let whole = Interval(
        scale
            .times
            .width()
            .0
            .saturating_mul(scale.factor * scale.cells),
    );
    let begin = scale.times.begin(scale.low * scale.factor);
    let rest_connections: u64 = rest.iter().map(|(_, strip)| strip.sum.all()).sum();
    let unlisted = rest_connections + places.elsewhere;
    html! {
        div.scroll { table.strips {
            thead { tr {
                th scope="col" { (title) }
                th.n scope="col" { "failed" }
                th.n scope="col" { "degraded" }
                th.n scope="col" { "others" }
                th scope="col" {
                    span.from { (moment(begin, whole)) }
                    span.until { (moment(begin.after(whole), whole)) }
                }
            } }
            tbody {
                @for (key, strip) in listed {
                    tr {
                        th.wire scope="row" { (name(key)) }
                        td.n { (number(strip.sum.failed)) }
                        td.n { (number(strip.sum.degraded)) }
                        td.n { (number(strip.sum.other)) }
                        td { (drawn(strip, scale)) }
                    }
                }
            }
        } }
        @if unlisted > 0 {
            p.quiet { "and " (format::counted(unlisted, "connection")) " of others" }
        }
    }
}

fn number(count: u64) -> String {
    match count {
        0 => "·".to_owned(),
        count => format::count(count),
    }
}

fn drawn(strip: &Strip, scale: &Scale<'_>) -> Markup {
    let series: Series<OutcomeCounts> = widened(&strip.series, scale.factor, OutcomeCounts::add);
    let most = series
        .values()
        .map(|counts| counts.in_trouble().max(counts.other))
        .max()
        .unwrap_or(1)
        .max(1);
    let high = |number: u64| match number {
        0 => 0.0,
        number => (number as f64 / most as f64 * HALF).max(2.0),
    };
    let width = scale.cells as f64 * CELL;
    html! {
        svg viewBox=(format!("0 0 {width} {}", 2.0 * HALF)) preserveAspectRatio="none" role="img" aria-label="How its connections went over time" {
            path.zero d=(format!("M0 {HALF}H{width}")) {}
            @for (bucket, counts) in &series {
                @let x = (bucket - scale.low) as f64 * CELL;
                @let (failed, degraded, other) = (high(counts.failed), high(counts.degraded), high(counts.other));
                g {
                    title {
                        (span(scale.times, bucket * scale.factor, scale.factor)) ": "
                        (format::count(counts.failed)) " failed, " (format::count(counts.degraded)) " degraded, "
                        (format::count(counts.other)) " others"
                    }
                    @if counts.failed > 0 { (cell("failed", x, HALF - failed, failed)) }
                    @if counts.degraded > 0 { (cell("degraded", x, (HALF - failed - degraded).max(0.0), degraded)) }
                    @if counts.other > 0 { (cell("other", x, HALF, other)) }
                }
            }
        }
    }
}

fn cell(class: &str, x: f64, y: f64, height: f64) -> Markup {
    html! {
        rect class=(class) x=(x) y=(format!("{y:.1}")) width=(CELL - 1.0) height=(format!("{height:.1}")) {}
    }
}
