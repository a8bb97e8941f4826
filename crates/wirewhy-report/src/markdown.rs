//! The report for a ticket or a chat: a table, then the worst entries, in Markdown as CommonMark and GitHub read it.
//!
//! Nothing from the wire becomes mark-up, a link or a mention: outside of code spans it is escaped, and what GitHub looks for in
//! text that is rendered (`@name`, `#1`) is interrupted by a code span.

use std::fmt::Write as _;
use std::io::{self, Write};

use wirewhy_detect::{Diagnosis, Finding};
use wirewhy_flow::Unopened;
use wirewhy_survey::{GroupFinding, Totals};

use crate::html::{FILTER, Story};
use crate::model::{Entry, Gathering, Report};
use crate::text::{self, entry, table};
use crate::{CaptureSummary, Names, Reporter, Safe, View, format};

/// How many entries have a row, and how many are written out: two pages at most.
const MAX_ROWS: usize = 20;
const MAX_ENTRIES: usize = 5;

/// How many caveats are listed.
const MAX_CAVEATS: usize = 4;

/// The report as Markdown.
#[derive(Debug)]
pub struct Markdown<W> {
    out: W,
    view: View,
    names: Names,
    gathering: Gathering,
}

impl<W: Write> Markdown<W> {
    /// A report about one recording.
    pub fn new(out: W, view: View, names: Names) -> Markdown<W> {
        Markdown {
            out,
            gathering: Gathering::new(view.clone()),
            view,
            names,
        }
    }
}

impl<W: Write + Send> Reporter for Markdown<W> {
    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        self.gathering.add(diagnosis);
        Ok(())
    }

    fn count(&mut self, diagnosis: &Diagnosis) -> bool {
        self.gathering.count(diagnosis)
    }

    fn count_unopened(&mut self, attempt: &Unopened, finding: Option<&Finding>) -> bool {
        self.gathering.count_unopened(attempt, finding)
    }

    fn count_healthy(&mut self) -> bool {
        self.gathering.count_healthy()
    }

    fn finish(
        &mut self,
        capture: &CaptureSummary,
        totals: &Totals,
        group: &[GroupFinding],
    ) -> io::Result<()> {
        let gathering = std::mem::replace(&mut self.gathering, Gathering::new(self.view.clone()));
        let report = gathering.into_report(capture, totals, group);
        let mut lines = vec!["## Why connections failed".to_owned(), String::new()];
        for line in text::about(&report) {
            lines.extend([escaped(&line), String::new()]);
        }
        lines.extend(counts(&report));
        if report.hidden > 0 {
            let hidden = format::counted(report.hidden, "finding");
            let by = escaped(&self.view.hidden_by());
            lines.extend([String::new(), format!("Hidden by {by}: {hidden}.")]);
        }
        lines.extend(caveats(&report));
        lines.extend(rows(&report.entries));
        for one in report.entries.iter().take(MAX_ENTRIES) {
            lines.extend(story(one, capture, &self.names)?);
        }
        for line in lines {
            writeln!(self.out, "{line}")?;
        }
        self.out.flush()
    }
}

fn counts(report: &Report<'_>) -> Vec<String> {
    let totals = report.totals;
    if totals.connections == 0 {
        return vec![escaped(&text::no_connections(report.capture))];
    }
    let mut lines = vec![format!(
        "**{}: {} failed, {} degraded**, {} ok, {} undecided",
        format::counted(totals.connections, "connection"),
        format::count(totals.failed),
        format::count(totals.degraded),
        format::count(totals.ok),
        format::count(totals.undecided)
    )];
    if totals.undecided > 0 {
        lines.extend([String::new(), text::undecided(totals)]);
    }
    lines
}

fn caveats(report: &Report<'_>) -> Vec<String> {
    let caveats = report.caveats.iter().take(MAX_CAVEATS);
    let listed = caveats.map(|finding| {
        let title = entry::title(finding.code);
        format!(
            "- `{}` {title}: {}",
            finding.code,
            escaped(&finding.summary)
        )
    });
    let mut lines: Vec<String> = listed.collect();
    if !lines.is_empty() {
        lines.insert(0, String::new());
    }
    lines
}

/// A row for each entry.
fn rows(entries: &[Entry<'_>]) -> Vec<String> {
    if entries.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![
        String::new(),
        "| severity | connections | code | where | culprit | what happened |".to_owned(),
        "| --- | ---: | --- | --- | --- | --- |".to_owned(),
    ];
    for one in entries.iter().take(MAX_ROWS) {
        let row = table::row(one);
        lines.push(format!(
            "| {} | {} | `{}` | {} | {} | {} |",
            row.severity.name(),
            row.count,
            row.code,
            escaped(&row.place),
            escaped(&row.culprit),
            escaped(&row.what)
        ));
    }
    let rest = entries.len().saturating_sub(MAX_ROWS);
    if rest > 0 {
        lines.extend([
            String::new(),
            format!("and {} more", format::count(rest as u64)),
        ]);
    }
    lines
}

fn story(one: &Entry<'_>, capture: &CaptureSummary, names: &Names) -> io::Result<Vec<String>> {
    let mut story = Story {
        files: &capture.files,
        title: String::new(),
        rows: Vec::new(),
    };
    entry::write(&mut story, one, names, false)?;
    entry::write_steps(&mut story, &entry::advice(one), false)?;
    let mut lines = vec![
        String::new(),
        format!("### `{}` {}", one.code(), escaped(&story.title)),
        String::new(),
    ];
    for (label, texts) in &story.rows {
        for text in texts {
            let text = match text.split_once(FILTER).filter(|_| *label == "proof") {
                Some((before, rest)) => {
                    let (filter, behind) = rest.split_at(rest.find(" (").unwrap_or(rest.len()));
                    format!(
                        "{}{FILTER}{}{}",
                        escaped(before),
                        code(filter),
                        escaped(behind)
                    )
                }
                None => escaped(text),
            };
            lines.push(format!("- {label}: {text}"));
        }
    }
    lines.push(format!(
        "- more: {}",
        code(&format!("wirewhy explain {}", entry::code_to_explain(one)))
    ));
    Ok(lines)
}

/// Text that is nothing but text: no mark-up, no link, no mention.
fn escaped(text: &str) -> String {
    let text = Safe(text).to_string();
    let mut escaped = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        let before = text.get(..at).unwrap_or_default();
        let behind = text.get(at..).unwrap_or_default();
        match character {
            // GitHub looks for these in what is rendered, where a backslash is gone.
            '@' | '#' => {
                let _ = write!(escaped, "`{character}`");
            }
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '$' | '!' => {
                escaped.extend(['\\', character]);
            }
            // What GitHub makes a link of without being asked.
            ':' if behind.starts_with("://") => escaped.push_str("\\:"),
            '.' if ends_with_www(before) => escaped.push_str("\\."),
            character => escaped.push(character),
        }
    }
    escaped
}

fn ends_with_www(text: &str) -> bool {
    let last = text.len().checked_sub(3).and_then(|at| text.get(at..));
    last.is_some_and(|last| last.eq_ignore_ascii_case("www"))
}

/// A code span (CommonMark 6.1): between more backticks than stand anywhere in it.
fn code(text: &str) -> String {
    let text = Safe(text).to_string();
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    match longest {
        0 => format!("{fence}{text}{fence}"),
        _ => format!("{fence} {text} {fence}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_text_stays_readable() {
        assert_eq!(
            escaped("10.0.0.9:443, 3.5 ms (likely)"),
            "10.0.0.9:443, 3.5 ms (likely)"
        );
        assert_eq!(escaped("http://www.a.b"), "http\\://www\\.a.b");
        assert_eq!(escaped("@all #1 a_b"), "`@`all `#`1 a\\_b");
    }

    #[test]
    fn a_code_span_ends_where_it_is_to_end() {
        assert_eq!(code("a"), "`a`");
        assert_eq!(code("a``b"), "``` a``b ```");
    }
}
