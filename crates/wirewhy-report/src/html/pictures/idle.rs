//! Rests: those that a connection survived and the one that it did not, on one axis.

use maud::{Markup, html};
use wirewhy_detect::{Diagnosis, Finding, Value};
use wirewhy_packet::Interval;

use super::Key;
use super::axis::nice_step;
use super::draw::px;
use crate::Packets;
use crate::format::{counted, span};

/// Shorter rests show nothing about a timer.
const LEAST: Interval = Interval::from_secs(5);

/// How many rests are drawn: the longest.
const MOST: usize = 12;

/// The drawing.
const WIDTH: f64 = 700.0;
const LEFT: f64 = 200.0;
const RIGHT: f64 = 130.0;
const ROW: f64 = 22.0;

/// A bar of the drawing.
struct Rest {
    what: String,
    from: Interval,
    until: Interval,
    class: &'static str,
}

/// The rests of a connection that did not survive one of them.
pub(super) fn of(diagnosis: &Diagnosis, packets: Option<&Packets>, key: &Key) -> Markup {
    let fatal = diagnosis.findings.iter().find_map(|finding| {
        let idle = seconds(finding, "idle_before_seconds")?;
        (idle >= LEAST).then_some((finding, idle))
    });
    let Some((finding, fatal)) = fatal else {
        return html! {};
    };
    let mut rests = packets.map_or_else(Vec::new, |packets| survived(packets, fatal));
    let longest = diagnosis.connection.tcp.survived_idle;
    if rests.is_empty() && longest >= LEAST {
        rests.push(rest("survived at most".to_owned(), longest, "survived"));
    }
    // One bar alone says no more than its number.
    if rests.is_empty() {
        return html! {};
    }
    rests.push(rest("did not survive".to_owned(), fatal, "fatal"));
    let known = known(finding);
    drawing(
        "Rests of the connection",
        &rests,
        known,
        &format!("{key}-rests"),
    )
}

/// The rests of all connections behind a finding about a timer; `None` where it is about none.
pub(super) fn of_finding(finding: &Finding, id: &str) -> Option<Markup> {
    let shortest = seconds(finding, "timer_seconds")?;
    let longest = seconds(finding, "longest_idle_seconds").unwrap_or(shortest);
    let mut rests = Vec::new();
    if let Some(survived) = seconds(finding, "longest_survived_seconds") {
        rests.push(rest("survived up to".to_owned(), survived, "survived"));
    }
    let connections = match finding.facts.value("connections") {
        Some(Value::Count(count)) => counted(*count, "connection"),
        _ => "connections".to_owned(),
    };
    rests.push(Rest {
        what: format!("{connections} did not survive"),
        from: shortest,
        until: longest,
        class: "fatal",
    });
    Some(drawing(
        "Rests that connections survived, and that they did not",
        &rests,
        known(finding),
        id,
    ))
}

fn rest(what: String, length: Interval, class: &'static str) -> Rest {
    Rest {
        what,
        from: Interval::ZERO,
        until: length,
        class,
    }
}

fn seconds(finding: &Finding, name: &str) -> Option<Interval> {
    match finding.facts.value(name) {
        Some(Value::Seconds(interval)) => Some(*interval),
        _ => None,
    }
}

/// Who is known to have such a timer.
fn known(finding: &Finding) -> Option<&str> {
    match finding.facts.value("known_timer") {
        Some(Value::Text(name)) => Some(name),
        _ => None,
    }
}

/// The longest rests before the fatal one, in their order.
fn survived(packets: &Packets, fatal: Interval) -> Vec<Rest> {
    let rows = packets.rows();
    let mut rests: Vec<(usize, Interval, u64)> = Vec::new();
    for (at, pair) in rows.windows(2).enumerate() {
        let [before, after] = pair else { continue };
        let length = after.row.time.since(before.row.time);
        // Packets that are not kept may lie between the two.
        if before.place + 1 != after.place || length < LEAST {
            continue;
        }
        // The one that killed is measured between the same packets; what comes behind it is no life.
        if (length - fatal).abs() < Interval::from_millis(500) {
            break;
        }
        rests.push((at, length, after.row.frame));
    }
    rests.sort_by_key(|(_, length, _)| std::cmp::Reverse(*length));
    rests.truncate(MOST);
    rests.sort_unstable();
    let name = |frame: u64| format!("before frame {frame}, survived");
    rests
        .into_iter()
        .map(|(_, length, frame)| rest(name(frame), length, "survived"))
        .collect()
}

fn drawing(title: &str, rests: &[Rest], known: Option<&str>, id: &str) -> Markup {
    let longest = rests
        .iter()
        .map(|rest| rest.until)
        .max()
        .unwrap_or(LEAST)
        .max(LEAST);
    let width = WIDTH - LEFT - RIGHT;
    let x = |length: Interval| LEFT + length.as_secs_f64() / longest.as_secs_f64() * width;
    let bottom = ROW * super::draw::count(rests.len()) + 4.0;
    let step = nice_step(longest.as_secs_f64() / 6.0);
    let ticks: Vec<f64> = (0_u32..8)
        .map(|nth| f64::from(nth) * step)
        .take_while(|at| *at <= longest.as_secs_f64())
        .collect();
    let place = |seconds: f64| LEFT + seconds / longest.as_secs_f64() * width;
    let spoken: Vec<String> = rests
        .iter()
        .map(|rest| format!("{}: {}", rest.what, length(rest)))
        .collect();
    html! {
        figure.rests {
            svg viewBox=(format!("0 0 {WIDTH} {}", bottom + 24.0)) role="img" aria-labelledby=(format!("{id} {id}-all")) {
                title id=(id) { (title) }
                desc id=(format!("{id}-all")) { (spoken.join("; ")) }
                @for at in &ticks {
                    path.grid d=(format!("M{} 0V{}", px(place(*at)), px(bottom))) {}
                    text.at x=(px(place(*at))) y=(px(bottom + 16.0)) { (format!("{at} s")) }
                }
                @for (nth, rest) in rests.iter().enumerate() {
                    @let y = ROW * super::draw::count(nth) + 4.0;
                    text.number x=(px(LEFT - 8.0)) y=(px(y + 13.0)) { (rest.what) }
                    rect class=(rest.class) x=(px(x(rest.from))) y=(px(y + 3.0)) width=(px((x(rest.until) - x(rest.from)).max(2.0))) height=(px(ROW - 8.0)) {}
                    text.length x=(px(x(rest.until) + 6.0)) y=(px(y + 13.0)) { (length(rest)) }
                }
            }
            figcaption {
                (title) "."
                @if let Some(known) = known { " About the limit of " (known) "." }
            }
        }
    }
}

fn length(rest: &Rest) -> String {
    match rest.from > Interval::ZERO && rest.from < rest.until {
        true => format!("{} to {}", span(rest.from), span(rest.until)),
        false => span(rest.until),
    }
}
