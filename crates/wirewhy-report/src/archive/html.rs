//! The summary as a page of HTML, with the captures in it.

use std::io::{self, Write};

use maud::{Markup, html};
use wirewhy_detect::Severity;

use super::{Archive, Cause, Digest, Extent, LISTED, Shown, at_least, digest, time};
use crate::html::{clean, document, footer, severity_badge, tiles};
use crate::text::entry::title;
use crate::{Names, View, format};

/// How many captures are listed.
const MAX_CAPTURES: usize = 2_000;

/// How many causes of a capture are named.
const CAUSES_OF_A_CAPTURE: usize = 4;

/// How many services and clients are listed.
const MAX_PLACES: usize = 20;

/// The captures of an archive, the first of them, those with trouble before the others.
#[derive(Debug, Default)]
pub(super) struct Captures {
    troubled: Vec<Capture>,
    others: Vec<Capture>,
    unlisted: u64,
}

/// A capture in a row; without a digest it could not be read.
#[derive(Debug)]
struct Capture {
    source: String,
    digest: Option<Digest>,
}

impl Captures {
    pub(super) fn add(&mut self, source: &str, digest: Option<&Digest>) {
        let is_well =
            digest.is_some_and(|digest| digest.problem.is_none() && digest.causes.is_empty());
        let (rows, most) = match is_well {
            true => (&mut self.others, MAX_CAPTURES / 4),
            false => (&mut self.troubled, MAX_CAPTURES),
        };
        if rows.len() >= most {
            self.unlisted += 1;
            return;
        }
        // No row shows services, clients and findings beyond connections.
        let digest = digest.map(|digest| Digest {
            services: Vec::new(),
            clients: Vec::new(),
            beyond: Vec::new(),
            ..digest.clone()
        });
        rows.push(Capture {
            source: source.to_owned(),
            digest,
        });
    }
}

pub(super) fn write(
    archive: &Archive,
    out: &mut dyn Write,
    Shown { names, view }: Shown<'_>,
    extent: Extent,
) -> io::Result<()> {
    let ranked = archive.ranked(view);
    let totals = &archive.totals;
    let body = html! {
        header {
            h1 { "Why connections failed: " (format::counted(archive.captures, "capture")) }
            @if extent == Extent::Part { p.about { "Interrupted: this is the part that was scanned." } }
            p.about { (clean(&super::page::extent_of(archive))) }
            @if let Some(hidden) = super::page::hidden_of(archive, view) { p.about { (clean(&hidden)) } }
        }
        main {
            (tiles([
                ("connections", "", totals.connections),
                ("failed", "error", totals.failed),
                ("degraded", "warning", totals.degraded),
                ("ok", "good", totals.ok),
                ("undecided", "", totals.undecided),
            ]))
            (causes(&ranked))
            (news(archive, names, view))
            (stories(archive, &ranked, names))
            (beyond(archive, view))
            (places(archive, names))
            @if let Some(captures) = &archive.listed { (captures_of(captures, view)) }
        }
        (footer())
    };
    out.write_all(document("Captures – wirewhy", &body).as_bytes())
}

/// A table that the script of the page sorts and filters.
fn sorted(headings: &[(&str, &str)], rows: &Markup) -> Markup {
    html! {
        p.filter hidden {
            label { "Filter " input type="search" id="filter" autocomplete="off"; }
            " " span id="shown" role="status" aria-live="polite" {}
        }
        div.scroll { table.causes id="causes" {
            thead { tr {
                @for (heading, class) in headings {
                    th scope="col" class=[(!class.is_empty()).then_some(class)] aria-sort="none" { (heading) }
                }
            } }
            tbody { (rows) }
        } }
    }
}

fn causes(ranked: &[(&str, &Cause)]) -> Markup {
    html! {
        @if !ranked.is_empty() {
            section aria-labelledby="ranked-title" {
                h2 id="ranked-title" { "Root causes" }
                div.scroll { table {
                    thead { tr {
                        th scope="col" { "severity" }
                        th.n scope="col" { "connections" }
                        th.n scope="col" { "captures" }
                        th scope="col" { "code" }
                        th scope="col" { "what happened" }
                        th scope="col" { "began (UTC)" }
                    } }
                    tbody {
                        @for (at, (code, cause)) in ranked.iter().enumerate() {
                            tr {
                                td { (severity_badge(cause.severity())) }
                                td.n { (format::count(cause.connections)) }
                                td.n { (format::count(cause.captures)) }
                                td { a href=(format!("#entry-{}", at + 1)) { code { (clean(code)) } } }
                                td { (title(code)) }
                                td.time { (seconds(cause.first)) }
                            }
                        }
                    }
                } }
            }
        }
    }
}

/// Each cause with where and when it was met, and what to do.
fn stories(archive: &Archive, ranked: &[(&str, &Cause)], names: &Names) -> Markup {
    html! {
        @if !ranked.is_empty() {
            section aria-labelledby="entries-title" {
                h2 id="entries-title" { "What happened, and what to do" }
                @for (at, (code, cause)) in ranked.iter().enumerate() {
                    (story(archive, (at, code), cause, names))
                }
            }
        }
    }
}

fn story(archive: &Archive, (at, code): (usize, &str), cause: &Cause, names: &Names) -> Markup {
    let least = at_least(archive.services.folded);
    let record = wirewhy_survey::record_of(code);
    let steps = record.map_or(&[][..], |record| record.check_next);
    html! {
        details.entry id=(format!("entry-{}", at + 1)) open[at == 0] {
            summary {
                (severity_badge(cause.severity())) " " code { (clean(code)) } " " span.title { (title(code)) }
                span.place { (format::counted(cause.connections, "connection")) " in " (format::counted(cause.captures, "capture")) }
            }
            dl.story {
                div.row { dt { "where" } dd {
                    @for ((_, address, port), tally) in archive.services_of(code, MAX_PLACES) {
                        p { (clean(&names.socket(*address, *port))) ": " (least) (format::count(tally.number)) }
                    }
                } }
                div.row { dt { "began" } dd { p {
                    (seconds(cause.first)) " UTC, in " (clean(&cause.first_source)) "; last " (seconds(cause.last)) " UTC"
                } } }
                @if let Some(record) = record { div.row { dt { "means" } dd { p { (record.means) } } } }
                @if !steps.is_empty() {
                    div.row { dt { "check next" } dd { @for step in steps { p { (step) } } } }
                }
                div.row { dt { "commands" } dd { p { code.copy { "wirewhy explain " (clean(code)) } } } }
            }
        }
    }
}

fn beyond(archive: &Archive, view: &View) -> Markup {
    let found = archive.beyond(view);
    let (listed, rest) = found.split_at(found.len().min(100));
    html! {
        @if !listed.is_empty() {
            section aria-labelledby="beyond-title" {
                h2 id="beyond-title" { "Beyond single connections" }
                div.scroll { table {
                    thead { tr {
                        th scope="col" { "severity" }
                        th.n scope="col" { "captures" }
                        th scope="col" { "code" }
                        th scope="col" { "about" }
                        th scope="col" { "what happened" }
                    } }
                    tbody {
                        @for ((severity, code, _, subject), tally) in listed {
                            tr {
                                td { (severity_badge(digest::severity(*severity))) }
                                td.n { (format::count(tally.number)) }
                                td { code { (clean(code)) } }
                                td.wire { @if let Some(subject) = subject { (clean(subject)) } @else { "the recording" } }
                                td { (title(code)) }
                            }
                        }
                    }
                } }
                @if !rest.is_empty() { p.quiet { "and " (format::count(rest.len() as u64)) " more" } }
            }
        }
    }
}

fn places(archive: &Archive, names: &Names) -> Markup {
    let services = archive
        .places
        .largest(MAX_PLACES)
        .into_iter()
        .map(|((address, port), tally)| (names.socket(address, port), tally.number));
    let clients = archive
        .clients
        .largest(MAX_PLACES)
        .into_iter()
        .map(|(address, tally)| (names.host(address), tally.number));
    let lists = [
        (
            "Services",
            at_least(archive.places.folded),
            services.collect::<Vec<_>>(),
        ),
        (
            "Clients",
            at_least(archive.clients.folded),
            clients.collect(),
        ),
    ];
    html! {
        @if lists.iter().any(|(.., places)| !places.is_empty()) {
            section aria-labelledby="places-title" {
                h2 id="places-title" { "Services and clients with most connections in trouble" }
                div.lists {
                    @for (title, least, places) in &lists {
                        table {
                            thead { tr { th scope="col" { (title) } th.n scope="col" { "in trouble" } } }
                            tbody {
                                @for (place, number) in places {
                                    tr { th.wire scope="row" { (clean(place)) } td.n { (least) (format::count(*number)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn news(archive: &Archive, names: &Names, view: &View) -> Markup {
    let Some(news) = archive.news(view) else {
        return html! {};
    };
    html! {
        section.caveats aria-labelledby="news-title" {
            h2 id="news-title" { "New since the last scan: " (format::counted(news.captures, "capture")) }
            ul {
                @if news.causes.is_empty() && news.services.is_empty() {
                    li { "No cause and no service that was not met before." }
                }
                @for code in &news.causes { li { "cause " code { (clean(code)) } " " (title(code)) } }
                @for ((code, address, port), tally) in news.services.iter().take(LISTED) {
                    li {
                        "service " (clean(&names.socket(*address, *port))) ": " code { (clean(code)) } ", "
                        (format::counted(tally.number, "connection"))
                    }
                }
                @if news.services.len() > LISTED { li { "and " (news.services.len() - LISTED) " more" } }
            }
        }
    }
}

fn captures_of(captures: &Captures, view: &View) -> Markup {
    let is_shown = |capture: &&Capture| {
        let digest = capture.digest.as_ref();
        view.all || digest.is_none_or(|digest| digest.has_trouble(view))
    };
    let all = captures.troubled.iter().chain(&captures.others);
    let (listed, left_out): (Vec<&Capture>, Vec<&Capture>) = all.partition(is_shown);
    let well = left_out.len() as u64;
    let rows = html! { @for capture in &listed { (row(capture, view)) } };
    html! {
        section aria-labelledby="captures-title" {
            h2 id="captures-title" { "Captures" }
            @if !listed.is_empty() {
                (sorted(&[
                    ("failed", "n"), ("degraded", "n"), ("connections", "n"), ("capture", ""), ("causes", ""), ("from (UTC)", ""),
                ], &rows))
            }
            @if captures.unlisted > 0 { p.quiet { "and " (format::counted(captures.unlisted, "capture")) " more" } }
            @if well > 0 && !view.all {
                p.quiet { (format::counted(well, "capture")) " without trouble that is shown; --all lists them, too." }
            }
        }
    }
}

fn row(capture: &Capture, view: &View) -> Markup {
    let Some(digest) = &capture.digest else {
        return html! {
            tr {
                td.n data-sort="-1" { "·" } td.n data-sort="-1" { "·" } td.n data-sort="-1" { "·" }
                td.wire { (clean(&capture.source)) }
                td { (severity_badge(Severity::Error)) " unreadable" }
                td data-sort="0" {}
            }
        };
    };
    let totals = &digest.totals;
    let shown: Vec<_> = digest.shown(view).collect();
    html! {
        tr {
            td.n data-sort=(totals.failed) { (format::count(totals.failed)) }
            td.n data-sort=(totals.degraded) { (format::count(totals.degraded)) }
            td.n data-sort=(totals.connections) { (format::count(totals.connections)) }
            td.wire { (clean(&capture.source)) }
            td {
                @for (at, cause) in shown.iter().take(CAUSES_OF_A_CAPTURE).enumerate() {
                    @if at > 0 { ", " }
                    code { (clean(&cause.code)) } " " (format::count(cause.number))
                }
                @if shown.len() > CAUSES_OF_A_CAPTURE { ", …" }
                @if let Some(problem) = &digest.problem {
                    @if !shown.is_empty() { "; " }
                    "reading ended early: " (clean(problem))
                }
            }
            td.time data-sort=(digest.first_time.unwrap_or_default()) { @if let Some(first) = digest.first_time { (seconds(first)) } }
        }
    }
}

/// A moment to the second.
fn seconds(nanos: i64) -> String {
    let all = format::date_time(time(nanos));
    all.split('.').next().unwrap_or(&all).to_owned()
}
