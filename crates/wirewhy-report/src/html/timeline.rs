//! Connections in trouble over the time at which they began, stacked by root cause, with the moments at which services went down.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use maud::{Markup, html};
use wirewhy_detect::Value;
use wirewhy_packet::{Interval, Timestamp};
use wirewhy_survey::GroupFinding;

use super::times::{Series, Times};
use crate::model::shown;
use crate::text::entry::title;
use crate::{Safe, View, format};

/// How many causes have a colour and a pattern of their own.
pub(super) const COLORS: usize = 6;

/// How many services are marked that went down or came back.
const MAX_MARKS: usize = 20;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 46.0;
const TOP: f64 = 22.0;
const HEIGHT: f64 = 130.0;
const TICKS: i64 = 5;

/// How wide the label of a moment is.
const LABEL: f64 = 30.0;

/// A cause in the legend: its number of connections by bucket.
struct Layer {
    name: &'static str,
    sum: u64,
    series: Series<u64>,
}

/// A moment at which a service went down or came back.
struct ServiceChange {
    at: Timestamp,
    service: String,
    is_down: bool,
}

/// The timeline; nothing where no connection was in trouble.
pub(super) fn of(times: &Times, group: &[GroupFinding], view: &View) -> Markup {
    let layers = layers(times);
    let Some((low, count)) = times.buckets().filter(|_| !layers.is_empty()) else {
        return html! {};
    };
    let marks = marks(times, group, view);
    let mut sums: Series<u64> = Series::new();
    for (bucket, number) in layers.iter().flat_map(|layer| &layer.series) {
        *sums.entry(*bucket).or_default() += number;
    }
    let most = sums.values().copied().max().unwrap_or(1).max(1);
    let scale = Scale { low, count, most };
    let bottom = TOP + HEIGHT;
    html! {
        section aria-labelledby="timeline-title" {
            h2 id="timeline-title" { "When connections in trouble began" }
            figure.timeline {
                svg viewBox=(format!("0 0 {WIDTH} {}", bottom + 24.0)) role="img" aria-labelledby="timeline-name timeline-text" {
                    title id="timeline-name" { "Connections in trouble over time, by root cause" }
                    desc id="timeline-text" { "The numbers are in the table below the drawing." }
                    (patterns())
                    (grid(&scale, times))
                    (bars(&layers, &scale, times))
                    (lines(&marks, &scale, times))
                }
                figcaption { (legend(&layers)) (events(&marks)) }
            }
            details.numbers {
                summary { "The numbers" }
                (numbers(&layers, &sums, times))
            }
        }
    }
}

/// How buckets and numbers lie on the drawing.
struct Scale {
    low: i64,
    count: i64,
    most: u64,
}

impl Scale {
    fn x(&self, bucket: f64) -> f64 {
        LEFT + bucket * (WIDTH - LEFT) / self.count as f64
    }

    fn height(&self, number: u64) -> f64 {
        number as f64 * HEIGHT / self.most as f64
    }
}

fn layers(times: &Times) -> Vec<Layer> {
    let causes = times.causes.iter().map(|(code, series)| Layer {
        name: code,
        sum: series.values().sum(),
        series: series.clone(),
    });
    let mut layers: Vec<Layer> = causes.collect();
    layers.sort_by(|a, b| b.sum.cmp(&a.sum).then_with(|| a.name.cmp(b.name)));
    if layers.len() <= COLORS + 1 {
        return layers;
    }
    let mut rest = Layer {
        name: "other causes",
        sum: 0,
        series: Series::new(),
    };
    for layer in layers.drain(COLORS..) {
        rest.sum += layer.sum;
        for (bucket, number) in layer.series {
            *rest.series.entry(bucket).or_default() += number;
        }
    }
    layers.push(rest);
    layers
}

/// A colour and a hatching for each layer, so that neither is needed to tell them apart.
fn patterns() -> Markup {
    let hatchings = [
        "",
        "M-1 7L7 -1M-1 1L1 -1M5 7L7 5",
        "M-1 -1L7 7M-1 5L1 7M5 -1L7 1",
        "M0 3H6",
        "M3 0V6",
        "M2 3H4M3 2V4",
        "M0 3H6M3 0V6",
    ];
    html! {
        defs {
            @for (at, hatching) in hatchings.iter().enumerate() {
                pattern id=(format!("hatch-{at}")) width="6" height="6" patternUnits="userSpaceOnUse" {
                    rect class=(format!("layer-{at}")) width="6" height="6" {}
                    path.hatching d=(hatching) {}
                }
            }
        }
    }
}

fn grid(scale: &Scale, times: &Times) -> Markup {
    let bottom = TOP + HEIGHT;
    let whole = Interval(times.width().0.saturating_mul(scale.count));
    let ticks: Vec<(f64, Timestamp)> = (0..=TICKS)
        .map(|tick| {
            let part = Interval(whole.0 / TICKS * tick);
            let x = scale.x(scale.count as f64 * tick as f64 / TICKS as f64);
            (x, times.begin(scale.low).after(part))
        })
        .collect();
    html! {
        g.axis {
            path d=(format!("M{LEFT} {TOP}H{WIDTH}M{LEFT} {}H{WIDTH}M{LEFT} {bottom}H{WIDTH}", TOP + HEIGHT / 2.0)) {}
            text.number x=(LEFT - 6.0) y=(TOP + 4.0) { (format::count(scale.most)) }
            text.number x=(LEFT - 6.0) y=(bottom + 4.0) { "0" }
            @for (nth, (x, time)) in ticks.iter().enumerate() {
                text x=(format!("{x:.1}")) y=(bottom + 18.0) class=(anchor(nth)) { (moment(*time, whole)) }
            }
        }
    }
}

fn anchor(tick: usize) -> &'static str {
    match tick {
        0 => "first",
        5 => "last",
        _ => "middle",
    }
}

/// A moment as exact as the time shown calls for.
pub(super) fn moment(time: Timestamp, whole: Interval) -> String {
    let all = format::date_time(time);
    let (date, of_day) = all.split_once(' ').unwrap_or(("", &all));
    let to_second = of_day.split('.').next().unwrap_or(of_day);
    if whole < Interval::from_secs(60) {
        of_day.to_owned()
    } else if whole < Interval::from_secs(86_400) {
        to_second.to_owned()
    } else {
        format!("{date} {}", to_second.get(..5).unwrap_or(to_second))
    }
}

/// From when to when a bucket is.
pub(super) fn span(times: &Times, bucket: i64, buckets: i64) -> String {
    let width = times.width();
    let short = Interval::from_secs(10);
    let until = times.begin(bucket.saturating_add(buckets));
    let shown = |time| match width < short {
        true => format::date_time(time),
        false => format::date_time(time)
            .split('.')
            .next()
            .unwrap_or("")
            .to_owned(),
    };
    let (from, until) = (shown(times.begin(bucket)), shown(until));
    format!(
        "{from} to {}",
        until.split(' ').next_back().unwrap_or(&until)
    )
}

fn bars(layers: &[Layer], scale: &Scale, times: &Times) -> Markup {
    let mut bases: BTreeMap<i64, u64> = BTreeMap::new();
    let width = (WIDTH - LEFT) / scale.count as f64;
    let gap = if width > 6.0 { 1.0 } else { 0.0 };
    let mut bars = Vec::new();
    for (at, layer) in layers.iter().enumerate() {
        for (bucket, number) in &layer.series {
            let base = bases.entry(*bucket).or_default();
            let x = scale.x((bucket - scale.low) as f64);
            let y = TOP + HEIGHT - scale.height(*base + number);
            let height = scale.height(*number).max(1.0);
            *base += number;
            bars.push(html! {
                rect x=(format!("{x:.1}")) y=(format!("{y:.1}")) width=(format!("{:.1}", width - gap)) height=(format!("{height:.1}"))
                    fill=(format!("url(#hatch-{at})")) {
                    title { (span(times, *bucket, 1)) ": " (format::count(*number)) " " (layer.name) }
                }
            });
        }
    }
    html! { @for bar in bars { (bar) } }
}

/// A line for each moment, and its number where there is room for it.
fn lines(marks: &[ServiceChange], scale: &Scale, times: &Times) -> Markup {
    let bottom = TOP + HEIGHT;
    let mut free = 0.0;
    let mut lines = Vec::new();
    for (at, mark) in marks.iter().enumerate() {
        let Some(x) = times.at(mark.at).map(|at| scale.x(at)) else {
            continue;
        };
        let has_room = x >= free;
        if has_room {
            free = x + LABEL;
        }
        lines.push(html! {
            g.mark {
                title { (mark.sentence()) }
                path d=(format!("M{x:.1} {TOP}V{bottom}")) {}
                @if has_room { text x=(format!("{x:.1}")) y=(TOP - 8.0) { (mark.sign()) (at + 1) } }
            }
        });
    }
    html! { @for line in lines { (line) } }
}

fn legend(layers: &[Layer]) -> Markup {
    html! {
        ul.legend {
            @for (at, layer) in layers.iter().enumerate() {
                li {
                    svg.swatch width="18" height="12" aria-hidden="true" {
                        rect width="18" height="12" fill=(format!("url(#hatch-{at})")) {}
                    }
                    b { (format::count(layer.sum)) } " " code { (layer.name) } " " (title(layer.name))
                }
            }
        }
    }
}

fn events(marks: &[ServiceChange]) -> Markup {
    html! {
        @if !marks.is_empty() {
            ol.events {
                @for (at, mark) in marks.iter().enumerate() {
                    li { b { (mark.sign()) (at + 1) } " " (mark.sentence()) }
                }
            }
        }
    }
}

fn numbers(layers: &[Layer], sums: &Series<u64>, times: &Times) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th scope="col" { "began (UTC)" }
                @for layer in layers { th scope="col" { code { (layer.name) } } }
            } }
            tbody {
                @for bucket in sums.keys() {
                    tr {
                        th scope="row" { (span(times, *bucket, 1)) }
                        @for layer in layers {
                            td.n { @if let Some(number) = layer.series.get(bucket) { (format::count(*number)) } }
                        }
                    }
                }
            }
        } }
    }
}

impl ServiceChange {
    fn sign(&self) -> &'static str {
        if self.is_down { "▼" } else { "▲" }
    }

    fn sentence(&self) -> String {
        let what = if self.is_down {
            "is down from here on"
        } else {
            "works again from here on"
        };
        let at = format::date_time(self.at);
        let at = at.split('.').next().unwrap_or(&at);
        format!("{at} UTC: {} {what}", Safe(&self.service))
    }
}

/// When services went down and came back, as far as findings about them show it.
fn marks(times: &Times, group: &[GroupFinding], view: &View) -> Vec<ServiceChange> {
    let mut marks: Vec<ServiceChange> = Vec::new();
    for found in shown(group, view) {
        let fact = |name| found.finding.facts.value(name).and_then(instant);
        let mark = |at, is_down| ServiceChange {
            at,
            service: found.subject.clone(),
            is_down,
        };
        match found.finding.code {
            "service.down" => marks.extend(fact("first").map(|at| mark(at, true))),
            "service.flaky" if has_time_in_common(found) => {
                marks.extend(fact("first_failure").map(|at| mark(at, true)));
                let back =
                    fact("last_failure").filter(|at| works_after(times, &found.subject, *at));
                marks.extend(back.map(|at| mark(at, false)));
            }
            _ => {}
        }
    }
    marks.sort_by(|a, b| (a.at, &a.service, a.is_down).cmp(&(b.at, &b.service, b.is_down)));
    marks.truncate(MAX_MARKS);
    marks
}

/// Whether the attempts that failed lie together in time.
fn has_time_in_common(found: &GroupFinding) -> bool {
    let Some(Value::List(common)) = found.finding.facts.value("in_common") else {
        return false;
    };
    common
        .iter()
        .any(|value| matches!(value, Value::Text(text) if text == "time"))
}

/// Whether connections to a service were without trouble after a time.
fn works_after(times: &Times, subject: &str, at: Timestamp) -> bool {
    let service: Option<SocketAddr> = subject.parse().ok();
    let strip = service.and_then(|service| times.services.known.get(&service));
    strip.is_some_and(|strip| {
        let later = strip.series.iter().filter(|(_, counts)| counts.other > 0);
        later
            .map(|(bucket, _)| times.begin(*bucket))
            .any(|begun| begun > at)
    })
}

/// A time among the facts of a finding, which is one to the second.
fn instant(value: &Value) -> Option<Timestamp> {
    let Value::Text(text) = value else {
        return None;
    };
    let text = text.strip_suffix(" UTC")?;
    let civil = jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    i64::try_from(zoned.timestamp().as_nanosecond())
        .ok()
        .map(Timestamp)
}
