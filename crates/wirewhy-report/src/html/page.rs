//! The whole page.

use std::io;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use wirewhy_survey::{GroupFinding, Totals};

use super::entry::{self, Drawn, Writing};
use super::members::Members;
use super::policy::policy;
use super::table::{self, MAX_ROWS, severity_badge};
use super::{MAX_DRAWINGS, MAX_DRAWN, Seen, clean, pictures, strips, timeline};
use crate::model::{Report, StreamId};
use crate::text;
use crate::text::entry::title;
use crate::{Names, PacketSource, View, format};

/// What the page looks like.
fn style() -> String {
    [include_str!("style.css"), pictures::STYLE].concat()
}

/// What sorts and filters.
const SCRIPT: &str = include_str!("script.js");

/// The drawings of some connections, each with the place of its entry: at most so many, and of no more bytes than allowed.
pub(super) fn draw(
    report: &Report<'_>,
    members: &Members,
    packets: &mut dyn PacketSource,
    (names, view): (&Names, &View),
) -> Vec<(usize, Drawn)> {
    let entries = report.entries.get(..MAX_ROWS).unwrap_or(&report.entries);
    let chosen = members.to_draw(entries, MAX_DRAWN);
    let wanted: Vec<_> = chosen.iter().map(|(_, diagnosis)| *diagnosis).collect();
    let mut found = if wanted.is_empty() {
        Vec::new()
    } else {
        packets.packets(&wanted)
    }
    .into_iter();
    let mut room = MAX_DRAWINGS;
    let mut drawn = Vec::new();
    for (entry, diagnosis) in chosen {
        let packets = found.next().flatten();
        let drawing = pictures::of(diagnosis, packets.as_ref(), names, view).into_string();
        let Some(left) = room.checked_sub(drawing.len()) else {
            continue;
        };
        room = left;
        let connection = &diagnosis.connection;
        let (client, server) = (&connection.client, &connection.server);
        drawn.push((
            entry,
            Drawn {
                stream: StreamId::of(connection),
                client: clean(&names.socket(client.address, client.port)),
                server: clean(&names.socket(server.address, server.port)),
                drawing,
            },
        ));
    }
    drawn
}

/// The page about one recording.
pub(super) fn of(
    report: &Report<'_>,
    (seen, group): (&Seen, &[GroupFinding]),
    drawn: Vec<(usize, Drawn)>,
    (names, view): (&Names, &View),
) -> io::Result<String> {
    let entries = report.entries.get(..MAX_ROWS).unwrap_or(&report.entries);
    let members = seen.members.by_entry(entries);
    let mut drawn_of: Vec<Vec<Drawn>> = entries.iter().map(|_| Vec::new()).collect();
    for (at, one) in drawn {
        if let Some(own) = drawn_of.get_mut(at) {
            own.push(one);
        }
    }
    let writing = Writing {
        capture: report.capture,
        names,
    };
    let mut written: Vec<Markup> = Vec::new();
    for (at, ((one, members), drawn)) in entries.iter().zip(&members).zip(&drawn_of).enumerate() {
        written.push(entry::of(at, one, members, drawn, &writing)?);
    }
    let lines = text::about(report);
    let source = match report.capture.source.as_str() {
        "-" => "standard input",
        source => source,
    };
    let name = text::proof::base_name(source);
    let body = html! {
        header {
            h1 { "Why connections failed: " span.wire { (clean(name)) } }
            @for line in &lines { p.about { (clean(line)) } }
            @if report.hidden > 0 { (hidden(report.hidden, view)) }
        }
        main {
            (counts(report))
            (caveats(report))
            @if entries.is_empty() {
                @if report.totals.connections > 0 && report.hidden == 0 { p.good { "Nothing wrong with any of them." } }
            } @else {
                (table::of(&report.entries))
            }
            (timeline::of(&seen.times, group, view))
            @if !written.is_empty() {
                section aria-labelledby="entries-title" {
                    h2 id="entries-title" { "What happened, and what to do" }
                    @for entry in &written { (entry) }
                }
            }
            @if report.totals.connections > 0 { (strips::of(&seen.times, names)) }
        }
        (footer())
    };
    Ok(document(&format!("{} – wirewhy", clean(name)), &body))
}

/// A page with its head.
pub(crate) fn document(title: &str, body: &Markup) -> String {
    let style = style();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy(&style, SCRIPT));
                meta name="referrer" content="no-referrer";
                meta name="color-scheme" content="light dark";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(&style)) }
            }
            body {
                (body)
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
    .into_string()
}

pub(crate) fn footer() -> Markup {
    html! {
        footer {
            p.quiet {
                "wirewhy " (env!("CARGO_PKG_VERSION")) ". Times are UTC. Frames and streams are numbered as in Wireshark. "
                "The page has everything in it and fetches nothing."
            }
        }
    }
}

pub(super) fn hidden(findings: u64, view: &View) -> Markup {
    html! {
        p.about {
            (format::counted(findings, "finding")) " " (if findings == 1 { "is" } else { "are" })
            " hidden by " (clean(&view.hidden_by())) "."
        }
    }
}

fn counts(report: &Report<'_>) -> Markup {
    let totals = report.totals;
    if totals.connections == 0 {
        return html! { p { (clean(&text::no_connections(report.capture))) } };
    }
    html! {
        (tiles(totals))
        @if totals.undecided > 0 { p.quiet { (text::undecided(totals)) } }
    }
}

fn tiles(totals: &Totals) -> Markup {
    tiles_of([
        ("connections", "", totals.connections),
        ("failed", "error", totals.failed),
        ("degraded", "warning", totals.degraded),
        ("ok", "good", totals.ok),
        ("undecided", "", totals.undecided),
    ])
}

/// How many, in large digits; a colour only where there are any.
pub(crate) fn tiles_of(counts: [(&str, &str, u64); 5]) -> Markup {
    html! {
        ul.tiles {
            @for (name, class, number) in counts {
                li class=[(number > 0 && !class.is_empty()).then_some(class)] {
                    b { (format::count(number)) } " " (name)
                }
            }
        }
    }
}

/// What the recording could not carry: it lowers the worth of everything below.
fn caveats(report: &Report<'_>) -> Markup {
    html! {
        @if !report.caveats.is_empty() {
            section.caveats aria-labelledby="caveats-title" {
                h2 id="caveats-title" { "About this recording" }
                ul {
                    @for finding in &report.caveats {
                        li {
                            (severity_badge(finding.severity)) " " code { (finding.code) } " "
                            (title(finding.code)) ": " (clean(&finding.summary))
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The colours of a scheme by name: the n-th rule for the root of a style sheet.
    fn palette(sheet: &str, nth: usize) -> Vec<(&str, [u8; 3])> {
        let rule = sheet.split(":root {").nth(nth + 1).unwrap();
        let rule = rule.split('}').next().unwrap();
        let colors = rule.lines().filter_map(|line| {
            let (name, value) = line.trim().strip_prefix("--")?.split_once(": #")?;
            let value = u32::from_str_radix(value.trim_end_matches(';'), 16).unwrap();
            let [_, red, green, blue] = value.to_be_bytes();
            Some((name, [red, green, blue]))
        });
        colors.collect()
    }

    /// The contrast of two colours (WCAG 2.2, 1.4.3).
    fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
        let linear = |channel: u8| {
            let share = f64::from(channel) / 255.0;
            if share <= 0.040_45 {
                share / 12.92
            } else {
                ((share + 0.055) / 1.055).powf(2.4)
            }
        };
        let light = |[red, green, blue]: [u8; 3]| {
            0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue) + 0.05
        };
        let (one, other) = (light(one), light(other));
        one.max(other) / one.min(other)
    }

    #[test]
    fn every_colour_can_be_read_in_both_schemes() {
        for sheet in [include_str!("style.css"), pictures::STYLE] {
            for scheme in [0, 1] {
                let palette = palette(sheet, scheme);
                assert!(palette.len() > 10, "{palette:?}");
                let grounds = palette
                    .iter()
                    .filter(|(name, _)| name.ends_with("paper") || name.ends_with("band"));
                for (ground, paper) in grounds {
                    let written = palette
                        .iter()
                        .filter(|(name, _)| !name.contains("faint") && !name.ends_with("paper"));
                    for (name, color) in written {
                        let contrast = contrast(*color, *paper);
                        assert!(contrast >= 4.5, "{name} on {ground}: {contrast:.2}");
                    }
                }
            }
        }
    }

    #[test]
    fn style_and_script_end_where_they_are_to_end() {
        assert!(!style().contains("</") && !SCRIPT.contains("</"));
        assert!(!style().contains("url(") && !style().contains("@import"));
        assert!(!SCRIPT.contains("innerHTML") && !SCRIPT.contains("eval"));
    }
}
