//! The report for a person at a terminal.
//!
//! One line on the capture, the counts, then the problems with equal cause and equal service folded into one entry, worst
//! first. Where one cause meets many services (a scan, a dead subnet) they are folded too.

mod distinct;
pub(crate) mod entry;
mod healthy;
mod tally;

use std::io::{self, Write};

use wirewhy_detect::{Judged, Outcome, Scope, Severity};
use wirewhy_survey::{GroupFinding, Totals};

use crate::look::Page;
use crate::{CaptureSummary, FileSummary, Look, Names, Reporter, Safe, View, words};
use entry::Entry;
use healthy::Services;
use tally::Causes;

/// How many entries are written out in full; further causes get a line each.
const MAX_ENTRIES: usize = 12;

/// The report as text.
#[derive(Debug)]
pub struct Text<W> {
    out: W,
    look: Look,
    view: View,
    names: Names,
    causes: Causes,
    quiet: Services,
}

impl<W: Write> Text<W> {
    /// A report about one capture.
    pub fn new(out: W, look: Look, view: View, names: Names) -> Text<W> {
        let least = match (view.min_severity, view.all) {
            (Some(least), _) => least,
            (None, true) => Severity::Note,
            (None, false) => Severity::Warning,
        };
        Text {
            out,
            look,
            view,
            names,
            causes: Causes::new(least),
            quiet: Services::default(),
        }
    }

    /// The writer.
    pub(crate) fn into_inner(self) -> W {
        self.out
    }
}

impl<W: Write> Reporter for Text<W> {
    fn connection(&mut self, judged: &Judged) -> io::Result<()> {
        self.causes.add(judged);
        if self.view.all && matches!(judged.outcome(), Outcome::Ok | Outcome::Undecided) {
            self.quiet.add(judged);
        }
        Ok(())
    }

    fn finish(
        &mut self,
        capture: &CaptureSummary,
        totals: &Totals,
        group: &[GroupFinding],
    ) -> io::Result<()> {
        let entries = std::mem::take(&mut self.causes).into_entries();
        let quiet = std::mem::take(&mut self.quiet);
        let mut page = Page::new(&mut self.out, self.look).about(&capture.files);
        about(&mut page, capture, group)?;
        counts(&mut page, totals)?;
        problems(&mut page, &entries, &self.names)?;
        beyond(&mut page, group, self.view, &self.names)?;
        quiet.write(&mut page, &self.names)?;
        caveats(&mut page, group)?;
        where_next(&mut page, capture, &entries)?;
        self.out.flush()
    }
}

/// The first line: what was read.
fn about(page: &mut Page<'_>, capture: &CaptureSummary, group: &[GroupFinding]) -> io::Result<()> {
    let source = if capture.source == "-" {
        "standard input"
    } else {
        &capture.source
    };
    let mut line = format!("{}: {}", Safe(source), Safe(&capture.format));
    if let Some(compression) = &capture.compression {
        line.push_str(&format!(" ({})", Safe(compression)));
    }
    for link_type in &capture.link_types {
        line.push_str(&format!(", {}", Safe(link_type)));
    }
    line.push_str(&format!(", {}", words::counted(capture.packets, "packet")));
    if let Some(first) = capture.first_time {
        line.push_str(&format!(
            " over {}, from {} UTC",
            words::span(capture.duration()),
            words::date_time(first)
        ));
    }
    page.text(&line)?;
    if !capture.files.is_empty() {
        files(page, capture)?;
    }
    // Said once: a finding about the recording says it with the rest.
    let told = |code| group.iter().any(|found| found.finding.code == code);
    if let Some(problem) = capture
        .problem
        .as_ref()
        .filter(|_| !told("capture.cut-short"))
    {
        page.text(&format!("Reading ended early: {}", Safe(problem)))?;
    }
    let dropped = capture.dropped_packets.filter(|dropped| *dropped > 0);
    if let Some(dropped) = dropped.filter(|_| !told("capture.packets-missing")) {
        page.text(&format!(
            "{} lost while capturing.",
            words::counted(dropped, "packet")
        ))?;
    }
    if capture.given_up > 0 {
        page.text(&format!(
            "{} given up before the end because the table was full (--max-connections): what came later is not in this report.",
            words::counted(capture.given_up, "connection")
        ))?;
    }
    Ok(())
}

/// Which files the recording is, and what is wrong with them.
fn files(page: &mut Page<'_>, capture: &CaptureSummary) -> io::Result<()> {
    let name = |file: Option<&FileSummary>| {
        let source = file.map_or("", |file| &file.source);
        Safe(entry::base_name(source)).to_string()
    };
    page.text(&format!(
        "One recording in {}, {} to {}. Frames are numbered as in their file.",
        words::counted(capture.files.len() as u64, "file"),
        name(capture.files.first()),
        name(capture.files.last())
    ))?;
    for file in &capture.files {
        if let Some(problem) = &file.problem {
            page.text(&format!("{}: {}", name(Some(file)), Safe(problem)))?;
        }
    }
    Ok(())
}

fn counts(page: &mut Page<'_>, totals: &Totals) -> io::Result<()> {
    if totals.connections == 0 {
        return page.text("No TCP connection in it.");
    }
    let look = page.look;
    let connections = words::counted(totals.connections, "connection");
    if totals.failed + totals.degraded + totals.undecided == 0 {
        return page.line(&format!(
            "{connections}: {}",
            look.good("nothing wrong with any of them.")
        ));
    }
    let failed = format!("{} failed", words::count(totals.failed));
    let degraded = format!("{} degraded", words::count(totals.degraded));
    let rest = format!(
        "{} ok, {} undecided",
        words::count(totals.ok),
        words::count(totals.undecided)
    );
    let plain = format!("{connections}: {failed}, {degraded}, {rest}");
    if plain.len() > look.width {
        page.text(&plain)?;
    } else {
        let paint = |number, severity, text: String| match number {
            0 => text,
            _ => look.severity(severity, &text),
        };
        let failed = paint(totals.failed, Severity::Error, failed);
        let degraded = paint(totals.degraded, Severity::Warning, degraded);
        page.line(&format!("{connections}: {failed}, {degraded}, {rest}"))?;
    }
    if totals.undecided == 0 {
        return Ok(());
    }
    page.text(
        "Undecided: the capture shows too little to say, as it begins in mid-stream, shows one \
         direction only, or ends before an answer was due.",
    )
}

fn problems(page: &mut Page<'_>, entries: &[Entry], names: &Names) -> io::Result<()> {
    let (full, short) = entries.split_at(entries.len().min(MAX_ENTRIES));
    let mut told = Vec::new();
    for entry in full {
        page.blank()?;
        entry.write(page, names)?;
        if !told.contains(&entry.code) {
            told.push(entry.code);
            entry.write_next(page)?;
        }
    }
    if short.is_empty() {
        return Ok(());
    }
    page.blank()?;
    page.line("Also:")?;
    short
        .iter()
        .try_for_each(|entry| entry.write_short(page, names))
}

/// Findings about services, hosts and lookups.
fn beyond(
    page: &mut Page<'_>,
    group: &[GroupFinding],
    view: View,
    names: &Names,
) -> io::Result<()> {
    let least = view.min_severity.unwrap_or(Severity::Note);
    let mut shown: Vec<&GroupFinding> = group
        .iter()
        .filter(|found| found.scope != Scope::Capture && found.finding.severity >= least)
        .collect();
    shown.sort_by_key(|found| std::cmp::Reverse(found.finding.severity));
    let mut told = Vec::new();
    for found in &shown {
        let code = found.finding.code;
        if told.contains(&code) {
            continue;
        }
        told.push(code);
        let alike: Vec<&GroupFinding> = shown
            .iter()
            .copied()
            .filter(|other| other.finding.code == code)
            .collect();
        if alike.len() > entry::MAX_ALIKE {
            let alike: Vec<entry::Alike<'_>> = alike
                .into_iter()
                .map(|found| entry::Alike::new(found, page.files))
                .collect();
            page.blank()?;
            entry::many_alike(page, &alike, names)?;
        } else {
            for found in alike {
                page.blank()?;
                entry::group_finding(page, found, names)?;
            }
        }
        entry::write_steps(page, code)?;
    }
    Ok(())
}

/// What the recording could not carry: it lowers the worth of everything above.
fn caveats(page: &mut Page<'_>, group: &[GroupFinding]) -> io::Result<()> {
    let mut shown: Vec<_> = group
        .iter()
        .filter(|found| found.scope == Scope::Capture)
        .map(|f| &f.finding)
        .collect();
    if shown.is_empty() {
        return Ok(());
    }
    shown.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    page.blank()?;
    page.line("About this recording:")?;
    for finding in shown {
        page.headline(finding.severity, finding.code, entry::title(finding.code))?;
        page.labelled("", &Safe(&finding.summary).to_string())?;
    }
    Ok(())
}

fn where_next(page: &mut Page<'_>, capture: &CaptureSummary, entries: &[Entry]) -> io::Result<()> {
    let Some(first) = entries.first() else {
        return Ok(());
    };
    page.blank()?;
    let source = if capture.source == "-" {
        "FILE"
    } else {
        &capture.source
    };
    let quoted = shell_word(source);
    let show = format!("wirewhy show {quoted} {}", first.tally.first_stream());
    let explain = format!("wirewhy explain {}", first.code);
    // Packets that passed are no file to be shown.
    if capture.format != "live" {
        page.line(&format!("Packet by packet: {show}"))?;
    }
    page.line(&format!("About this code:  {explain}"))
}

/// A file name that can be pasted into a shell.
fn shell_word(name: &str) -> String {
    let name = Safe(name).to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,".contains(c);
    if !name.is_empty() && !name.starts_with('-') && name.chars().all(plain) {
        return name;
    }
    let guard = if name.starts_with('-') { "./" } else { "" };
    format!("'{guard}{}'", name.replace('\'', r"'\''"))
}
