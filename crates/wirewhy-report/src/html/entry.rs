//! One entry with its story, its connections and their drawings.

use std::io;

use maud::{Markup, PreEscaped, html};
use wirewhy_detect::{Finding, Severity};

use super::members::Member;
use super::table::{severity_badge, tally};
use super::{clean, pictures};
use crate::model::{Entry, StreamId};
use crate::style::{JOINED, Sheet};
use crate::text::{entry, shell_word};
use crate::{CaptureSummary, FileSummary, Names, format};

/// How many connections of an entry are listed.
const LISTED: usize = 50;

/// How many of the drawings of an entry are listed at once.
const DRAWN_AT_ONCE: usize = 5;

/// What stands before a display filter in a proof.
pub(crate) const FILTER: &str = "Wireshark filter ";

/// A connection and what was drawn of it.
pub(super) struct Drawn {
    pub(super) stream: StreamId,
    pub(super) client: String,
    pub(super) server: String,
    pub(super) drawing: String,
}

/// What an entry is written with.
pub(super) struct Writing<'a> {
    pub(super) capture: &'a CaptureSummary,
    pub(super) names: &'a Names,
}

pub(super) fn of(
    at: usize,
    one: &Entry<'_>,
    members: &[&Member],
    drawn: &[Drawn],
    writing: &Writing<'_>,
) -> io::Result<Markup> {
    let mut story = Story {
        files: &writing.capture.files,
        title: String::new(),
        rows: Vec::new(),
    };
    entry::write(&mut story, one, writing.names, true)?;
    entry::write_steps(&mut story, &entry::advice(one), true)?;
    let Story { title, rows, .. } = story;
    let severity = one.severity();
    let connections = one.connections();
    Ok(html! {
        details.entry id=(format!("entry-{}", at + 1)) open[at == 0] {
            summary {
                (severity_badge(severity)) " " code { (one.code()) } " " span.title { (title) }
                span.place {
                    (clean(&entry::place(one)))
                    @if connections > 0 { " · " (format::counted(connections, "connection")) }
                }
            }
            dl.story {
                @for (label, texts) in &rows {
                    div class=(format!("row {label}")) {
                        dt { (spoken(label)) }
                        dd { @for text in texts { p { (marked_up(label, text)) } } }
                    }
                }
                div.row { dt { "commands" } dd { (commands(one, writing.capture)) } }
            }
            @for (nth, finding) in beyond(one).into_iter().enumerate() {
                (pictures::idle_timer(finding, &format!("timer-{}-{}", at + 1, nth + 1)))
            }
            (listed(members, connections, writing.names))
            (drawings(drawn))
        }
    })
}

/// The findings of an entry that are beyond single connections.
fn beyond<'a>(one: &'a Entry<'_>) -> Vec<&'a Finding> {
    match one {
        Entry::Cause(_, additions) => additions.iter().map(|found| &found.finding).collect(),
        Entry::Beyond(beyond) => vec![&beyond.first.finding],
    }
}

/// The labels of the text report in a few more letters, where there is room for them.
fn spoken(label: &str) -> &str {
    match label {
        "weighed" => "evidence",
        "next" => "check next",
        label => label,
    }
}

/// Text with what can be copied from it set apart.
fn marked_up(label: &str, text: &str) -> Markup {
    match text.split_once(FILTER).filter(|_| label == "proof") {
        Some((before, rest)) => {
            let (filter, behind) = match rest.split_once(" (") {
                Some((filter, behind)) => (filter, format!(" ({behind}")),
                None => (rest, String::new()),
            };
            html! { (before) (FILTER) code.copy { (filter) } (behind) }
        }
        None => html! { (text) },
    }
}

/// What to run to see more.
fn commands(one: &Entry<'_>, capture: &CaptureSummary) -> Markup {
    let tally = tally(one);
    let source = if capture.source == "-" {
        "FILE"
    } else {
        &capture.source
    };
    // Packets that passed are no file to be shown.
    let can_be_shown = tally.connections > 0 && capture.format != "live";
    html! {
        @if can_be_shown {
            p { code.copy {
                "wirewhy show "
                @if capture.files.is_empty() { (clean(&shell_word(source))) } @else { "FILE..." }
                " " (tally.first_stream())
            } }
        }
        p { code.copy { "wirewhy explain " (entry::code_to_explain(one)) } }
    }
}

fn listed(members: &[&Member], connections: u64, names: &Names) -> Markup {
    let shown = members.get(..LISTED).unwrap_or(members);
    let number = shown.len() as u64;
    html! {
        @if !shown.is_empty() {
            details.connections open[number <= 3] {
                summary {
                    @if number < connections {
                        "The first " (format::count(number)) " of " (format::counted(connections, "connection"))
                    } @else {
                        (format::counted(number, "connection"))
                    }
                }
                div.scroll { table {
                    thead { tr {
                        th.n scope="col" { "stream" }
                        th scope="col" { "client" }
                        th scope="col" { "server" }
                        th scope="col" { "began (UTC)" }
                        th.n scope="col" { "lasted" }
                        th scope="col" { "outcome" }
                    } }
                    tbody {
                        @for member in shown {
                            tr {
                                td.n { (member.stream) }
                                td.wire { (clean(&names.socket(member.client.ip(), member.client.port()))) }
                                td.wire { (clean(&names.socket(member.server.ip(), member.server.port()))) }
                                td.time { (format::date_time(member.begun)) }
                                td.n { (format::span(member.took)) }
                                td { (member.outcome.name()) }
                            }
                        }
                    }
                } }
            }
        }
    }
}

/// The drawings, of which a few are listed at once.
fn drawings(drawn: &[Drawn]) -> Markup {
    let (first, more) = drawn.split_at(drawn.len().min(DRAWN_AT_ONCE));
    html! {
        @for one in first { (drawing(one)) }
        @if !more.is_empty() {
            details.more {
                summary { (more.len()) " more drawn" }
                @for one in more { (drawing(one)) }
            }
        }
    }
}

fn drawing(drawn: &Drawn) -> Markup {
    html! {
        details.drawn {
            summary {
                "Stream " (drawn.stream) " drawn: " (drawn.client) " → " (drawn.server)
            }
            (PreEscaped(&drawn.drawing))
        }
    }
}

/// Labels, and what stands beside each.
pub(crate) struct Story<'a> {
    pub(crate) files: &'a [FileSummary],
    pub(crate) title: String,
    pub(crate) rows: Vec<(&'static str, Vec<String>)>,
}

/// Every label that an entry may have: each is the name of a class, too.
const LABELS: [&str; 12] = [
    "where", "when", "what", "as in", "lookup", "also", "facts", "weighed", "culprit", "proof",
    "next", "cause",
];

impl Sheet for Story<'_> {
    fn files(&self) -> &[FileSummary] {
        self.files
    }

    fn headline(&mut self, _: Severity, _: &str, title: &str) -> io::Result<()> {
        self.title = clean(title);
        Ok(())
    }

    fn labelled(&mut self, label: &str, text: &str) -> io::Result<()> {
        let text = clean(&text.replace(JOINED, " "));
        let known = LABELS.iter().find(|known| **known == label);
        match (known, self.rows.last_mut()) {
            (Some(label), Some((last, texts))) if last == label => texts.push(text),
            (None, Some((_, texts))) => texts.push(text),
            (label, _) => self
                .rows
                .push((label.copied().unwrap_or("also"), vec![text])),
        }
        Ok(())
    }

    fn table(&mut self, label: &str, rows: &[String]) -> io::Result<()> {
        rows.iter().try_for_each(|row| self.labelled(label, row))
    }
}
