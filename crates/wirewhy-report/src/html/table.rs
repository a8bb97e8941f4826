//! The table at the top: a row for each entry, which leads to it.

use maud::{Markup, html};
use wirewhy_detect::Severity;

use super::clean;
use crate::format;
use crate::model::{Entry, Tally};
use crate::text::table;

/// What of a report has a row of its own; the rest is counted.
pub(super) const MAX_ROWS: usize = 500;

pub(super) fn of(entries: &[Entry<'_>]) -> Markup {
    let (listed, rest) = entries.split_at(entries.len().min(MAX_ROWS));
    let unlisted: u64 = rest.iter().map(Entry::connections).sum();
    html! {
        section aria-labelledby="causes-title" {
            h2 id="causes-title" { "Root causes" }
            p.filter hidden {
                label { "Filter " input type="search" id="filter" autocomplete="off"; }
                " " span id="shown" role="status" aria-live="polite" {}
            }
            div.scroll { table.causes id="causes" {
                thead { tr {
                    (heading("severity", "", "descending"))
                    (heading("connections", "n", "none"))
                    (heading("code", "", "none"))
                    (heading("where", "", "none"))
                    (heading("culprit", "", "none"))
                    (heading("what happened", "", "none"))
                    (heading("began (UTC)", "", "none"))
                } }
                tbody {
                    @for (at, entry) in listed.iter().enumerate() { (row(at, entry)) }
                }
            } }
            @if !rest.is_empty() {
                p { "and " (format::count(rest.len() as u64)) " more with " (format::counted(unlisted, "connection")) }
            }
        }
    }
}

fn heading(text: &str, class: &str, sort: &str) -> Markup {
    html! { th scope="col" class=[(!class.is_empty()).then_some(class)] aria-sort=(sort) { (text) } }
}

fn row(at: usize, entry: &Entry<'_>) -> Markup {
    let table::Row {
        severity,
        count,
        code,
        place,
        culprit,
        what,
        ..
    } = table::row(entry);
    let tally = tally(entry);
    let begun = (tally.connections > 0).then_some(tally.first);
    let date_time = begun.map(format::date_time).unwrap_or_default();
    let date_time = date_time.split('.').next().unwrap_or_default();
    html! {
        tr {
            td data-sort=(rank(severity)) { (severity_badge(severity)) }
            td.n data-sort=(entry.connections()) { (count) }
            td { a href=(format!("#entry-{}", at + 1)) { code { (code) } } }
            td.wire { (clean(&place)) }
            td.culprit { (clean(&culprit)) }
            td { (clean(&what)) }
            td.time data-sort=(begun.map_or(0, |time| time.0)) { (date_time) }
        }
    }
}

pub(crate) fn severity_badge(severity: Severity) -> Markup {
    let sign = match severity {
        Severity::Error => "✕",
        Severity::Warning => "!",
        Severity::Note => "i",
    };
    html! { span class=(format!("severity {}", severity.name())) { span.sign aria-hidden="true" { (sign) } (severity.name()) } }
}

fn rank(severity: Severity) -> u8 {
    match severity {
        Severity::Error => 2,
        Severity::Warning => 1,
        Severity::Note => 0,
    }
}

/// Its connections.
pub(super) fn tally(entry: &Entry<'_>) -> Tally {
    match entry {
        Entry::Cause(problem, _) => problem.tally.clone(),
        Entry::Beyond(beyond) => beyond.tally(),
    }
}
