//! The report for a person at a terminal.
//!
//! One line on the capture, the counts, then the problems with equal cause and equal service folded into one entry, worst
//! first. Where one cause meets many services (a scan, a dead subnet) they are folded too.

pub(crate) mod entry;
mod healthy;

use std::io::{self, Write};

use wirewhy_detect::{Judged, Severity};
use wirewhy_survey::{GroupFinding, Totals};

use crate::look::Page;
use crate::model::{Gathering, Problem, Report};
use crate::{CaptureSummary, FileSummary, Look, Names, Reporter, Safe, View, words};

/// How many entries are written out in full; further causes get a line each.
const MAX_ENTRIES: usize = 12;

/// The report as text.
#[derive(Debug)]
pub struct Text<W> {
    out: W,
    look: Look,
    view: View,
    names: Names,
    gathering: Gathering,
}

impl<W: Write> Text<W> {
    /// A report about one recording.
    pub fn new(out: W, look: Look, view: View, names: Names) -> Text<W> {
        Text {
            out,
            look,
            view,
            names,
            gathering: Gathering::new(view),
        }
    }

    /// The writer.
    pub(crate) fn into_inner(self) -> W {
        self.out
    }
}

impl<W: Write> Reporter for Text<W> {
    fn connection(&mut self, judged: &Judged) -> io::Result<()> {
        self.gathering.add(judged);
        Ok(())
    }

    fn finish(
        &mut self,
        capture: &CaptureSummary,
        totals: &Totals,
        group: &[GroupFinding],
    ) -> io::Result<()> {
        let gathering = std::mem::replace(&mut self.gathering, Gathering::new(self.view));
        let report = gathering.into_report(capture, totals, group);
        let mut page = Page::new(&mut self.out, self.look).about(&capture.files);
        about(&mut page, &report)?;
        counts(&mut page, report.totals)?;
        problems(&mut page, &report.problems, &self.names)?;
        beyond(&mut page, &report, &self.names)?;
        healthy::write(&mut page, &report.healthy, &self.names)?;
        caveats(&mut page, &report)?;
        where_next(&mut page, &report)?;
        self.out.flush()
    }
}

/// The first line: what was read.
fn about(page: &mut Page<'_>, report: &Report<'_>) -> io::Result<()> {
    let capture = report.capture;
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
    // A finding about the recording says it with the rest.
    let told = |code| report.caveats.iter().any(|finding| finding.code == code);
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

fn problems(page: &mut Page<'_>, problems: &[Problem], names: &Names) -> io::Result<()> {
    let (full, short) = problems.split_at(problems.len().min(MAX_ENTRIES));
    let mut told = Vec::new();
    for problem in full {
        page.blank()?;
        entry::write(page, problem, names)?;
        if !told.contains(&problem.code) {
            told.push(problem.code);
            entry::write_steps(page, problem.code)?;
        }
    }
    if short.is_empty() {
        return Ok(());
    }
    page.blank()?;
    page.line("Also:")?;
    short
        .iter()
        .try_for_each(|problem| entry::write_short(page, problem, names))
}

/// Findings about services, hosts and lookups.
fn beyond(page: &mut Page<'_>, report: &Report<'_>, names: &Names) -> io::Result<()> {
    for alike in &report.beyond {
        let Some(first) = alike.first() else { continue };
        if alike.len() > entry::MAX_ALIKE {
            let many: Vec<entry::Alike<'_>> = alike
                .iter()
                .map(|found| entry::Alike::new(found, page.files))
                .collect();
            page.blank()?;
            entry::many_alike(page, &many, names)?;
        } else {
            for found in alike {
                page.blank()?;
                entry::group_finding(page, found, names)?;
            }
        }
        entry::write_steps(page, first.finding.code)?;
    }
    Ok(())
}

/// What the recording could not carry: it lowers the worth of everything above.
fn caveats(page: &mut Page<'_>, report: &Report<'_>) -> io::Result<()> {
    if report.caveats.is_empty() {
        return Ok(());
    }
    page.blank()?;
    page.line("About this recording:")?;
    for finding in &report.caveats {
        page.headline(finding.severity, finding.code, entry::title(finding.code))?;
        page.labelled("", &Safe(&finding.summary).to_string())?;
    }
    Ok(())
}

fn where_next(page: &mut Page<'_>, report: &Report<'_>) -> io::Result<()> {
    let capture = report.capture;
    let Some(first) = report.problems.first() else {
        return Ok(());
    };
    page.blank()?;
    let source = if capture.source == "-" {
        "FILE"
    } else {
        &capture.source
    };
    let stream = first.tally.first_stream();
    // The stream is that of the whole recording, so that it takes all of its files.
    let show = if capture.files.is_empty() {
        format!("wirewhy show {} {stream}", shell_word(source))
    } else {
        format!("wirewhy show FILE... {stream}, with all files of the recording")
    };
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
