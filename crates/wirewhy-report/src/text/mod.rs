//! The report for a person at a terminal.
//!
//! One line on the capture, the counts, a table of one line an entry, then the entries, worst first. An entry is one root
//! cause at one service; where one cause meets many services (a scan, a dead subnet) they are folded too.

pub(crate) mod blame;
pub(crate) mod entry;
mod facts;
mod healthy;
pub(crate) mod proof;
pub(crate) mod table;

use std::io::{self, Write};

use wirewhy_detect::{Diagnosis, Finding, Severity};
use wirewhy_flow::Unopened;
use wirewhy_survey::{GroupFinding, Totals};

use crate::model::{Entry, Gathering, Report, Tally};
use crate::style::{Page, Sheet};
use crate::{CaptureSummary, FileSummary, Names, Reporter, Safe, TextStyle, View, format};

/// How many entries are written out in full.
const MAX_ENTRIES: usize = 10;

/// How many further ones get a line each.
const MAX_SHORT: usize = 20;

/// The report as text.
#[derive(Debug)]
pub struct Text<W> {
    out: W,
    look: TextStyle,
    view: View,
    names: Names,
    gathering: Gathering,
}

impl<W: Write> Text<W> {
    /// A report about one recording.
    pub fn new(out: W, look: TextStyle, view: View, names: Names) -> Text<W> {
        Text {
            out,
            look,
            gathering: Gathering::new(view.clone()),
            view,
            names,
        }
    }

    /// The writer.
    pub fn into_inner(self) -> W {
        self.out
    }
}

impl<W: Write + Send> Reporter for Text<W> {
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
        let mut page = Page::new(&mut self.out, self.look).about(&capture.files);
        about(&report).iter().try_for_each(|line| page.text(line))?;
        counts(&mut page, &report)?;
        if report.hidden > 0 {
            page.hidden(report.hidden, &self.view.hidden_by())?;
        }
        table::write(&mut page, &report.entries)?;
        entries(&mut page, &report, &self.names, self.view.facts)?;
        healthy::write(&mut page, &report.healthy, &self.names)?;
        caveats(&mut page, &report)?;
        where_next(&mut page, &report)?;
        self.out.flush()
    }
}

/// What was read: a line on the whole, then what is wrong with it.
pub(crate) fn about(report: &Report<'_>) -> Vec<String> {
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
    line.push_str(&format!(", {}", format::counted(capture.packets, "packet")));
    if let Some(first) = capture.first_time {
        line.push_str(&format!(
            " over {}, from {} UTC",
            format::span(capture.duration()),
            format::date_time(first)
        ));
    }
    let mut lines = vec![line];
    if !capture.files.is_empty() {
        lines.extend(files(capture));
    }
    // A finding about the recording says it with the rest.
    let reported = |code| report.caveats.iter().any(|finding| finding.code == code);
    if let Some(problem) = capture
        .problem
        .as_ref()
        .filter(|_| !reported("capture.cut-short"))
    {
        lines.push(format!("Reading ended early: {}", Safe(problem)));
    }
    let dropped = capture.dropped_packets.filter(|dropped| *dropped > 0);
    if let Some(dropped) = dropped.filter(|_| !reported("capture.packets-missing")) {
        lines.push(format!(
            "{} lost while capturing.",
            format::counted(dropped, "packet")
        ));
    }
    if capture.given_up > 0 {
        lines.push(format!(
            "{} given up before the end because the table was full (--max-connections, --max-memory): what came later is not in this report.",
            format::counted(capture.given_up, "connection")
        ));
    }
    if capture.unread > 0 {
        lines.push(format!(
            "{} not read to the end because half-received messages took too much memory (--max-memory): what came later in them is not in this report.",
            format::counted(capture.unread, "connection")
        ));
    }
    if capture.not_followed > 0 {
        lines.push(format!(
            "{} of certificates not verified: there were too many for a recording of this size.",
            format::counted(capture.not_followed, "chain")
        ));
    }
    lines
}

/// Which files the recording is, and what is wrong with them.
fn files(capture: &CaptureSummary) -> Vec<String> {
    let name = |file: Option<&FileSummary>| {
        let source = file.map_or("", |file| &file.source);
        Safe(proof::base_name(source)).to_string()
    };
    let mut lines = vec![format!(
        "One recording in {}, {} to {}. Frames are numbered as in their file.",
        format::counted(capture.files.len() as u64, "file"),
        name(capture.files.first()),
        name(capture.files.last())
    )];
    for file in &capture.files {
        if let Some(problem) = &file.problem {
            lines.push(format!("{}: {}", name(Some(file)), Safe(problem)));
        }
    }
    lines
}

fn counts(page: &mut Page<'_>, report: &Report<'_>) -> io::Result<()> {
    let totals = report.totals;
    if totals.connections == 0 {
        return page.text(&no_connections(report.capture));
    }
    let look = page.look;
    let connections = format::counted(totals.connections, "connection");
    if totals.failed + totals.degraded + totals.undecided == 0 {
        let is_clean = report.entries.is_empty() && report.hidden == 0;
        let verdict = match (is_clean, totals.connections) {
            (true, 1) => "nothing wrong with it.",
            (true, _) => "nothing wrong with any of them.",
            (false, 1) => "ok",
            (false, _) => "all ok",
        };
        return page.line(&format!("{connections}: {}", look.good(verdict)));
    }
    let failed = format!("{} failed", format::count(totals.failed));
    let degraded = format!("{} degraded", format::count(totals.degraded));
    let rest = format!(
        "{} ok, {} undecided",
        format::count(totals.ok),
        format::count(totals.undecided)
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
    page.text(&undecided(totals))
}

/// What undecided means, and what is not diagnosed at all.
pub(crate) fn undecided(totals: &Totals) -> String {
    let over_dtls = format!(
        "{} over DTLS, which is named and not diagnosed.",
        format::count(totals.dtls)
    );
    match totals.undecided.saturating_sub(totals.dtls) {
        0 => format!("Undecided: {over_dtls}"),
        _ if totals.dtls > 0 => format!("{UNDECIDED} {over_dtls}"),
        _ => UNDECIDED.to_owned(),
    }
}

const UNDECIDED: &str = "Undecided: the capture shows too little to say, as it begins in mid-stream, shows one \
                                    direction only, or ends before an answer was due.";

/// Why nothing is counted.
pub(crate) fn no_connections(capture: &CaptureSummary) -> String {
    match &capture.filter {
        Some(filter) if filter.matched == 0 && capture.packets > 0 => format!(
            "The filter '{}' matched none of {}.",
            Safe(&filter.expression),
            format::counted(capture.packets, "packet")
        ),
        Some(filter) => format!(
            "No TCP connection, and none over QUIC that begins there, in the {} that the filter '{}' matched.",
            format::counted(filter.matched, "packet"),
            Safe(&filter.expression)
        ),
        None => "No TCP connection in it, and none over QUIC that begins in it.".to_owned(),
    }
}

fn entries(page: &mut Page<'_>, report: &Report<'_>, names: &Names, all: bool) -> io::Result<()> {
    let (full, rest) = report
        .entries
        .split_at(report.entries.len().min(MAX_ENTRIES));
    let mut reported = Vec::new();
    for one in full {
        page.blank()?;
        entry::write(page, one, names, all)?;
        let advice = entry::advice(one);
        if let Some(first) = advice.first()
            && !reported.contains(first)
        {
            reported.push(*first);
            entry::write_steps(page, &advice, all)?;
        }
    }
    if rest.is_empty() {
        return Ok(());
    }
    let (short, unlisted) = rest.split_at(rest.len().min(MAX_SHORT));
    page.blank()?;
    page.line("Also:")?;
    for one in short {
        entry::write_short(page, one, names)?;
    }
    match unlisted.len() {
        0 => Ok(()),
        more => page.text(&format!(
            "and {} more: --only shows those of one code, --format json all connections",
            format::count(more as u64)
        )),
    }
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
    let Some(first) = report.entries.first() else {
        return Ok(());
    };
    let tally = report.entries.iter().find_map(|entry| match entry {
        Entry::Cause(problem, _) => Some(&problem.tally),
        Entry::Beyond(beyond) => beyond.explains.first().map(|problem| &problem.tally),
    });
    page.blank()?;
    let source = if capture.source == "-" {
        "FILE"
    } else {
        &capture.source
    };
    let stream = tally.map(Tally::first_stream);
    // The stream is that of the whole recording, so that it takes all of its files. Packets that passed are no file to be shown.
    if let Some(stream) = stream.filter(|_| capture.format != "live") {
        let show = if capture.files.is_empty() {
            format!("wirewhy show {} {stream}", shell_word(source))
        } else {
            format!("wirewhy show FILE... {stream}, with all files of the recording")
        };
        page.line(&format!("Packet by packet: {show}"))?;
    }
    page.line(&format!(
        "About this code:  wirewhy explain {}",
        entry::code_to_explain(first)
    ))
}

/// A file name that can be pasted into a shell.
pub(crate) fn shell_word(name: &str) -> String {
    let name = Safe(name).to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,".contains(c);
    if !name.is_empty() && !name.starts_with('-') && name.chars().all(plain) {
        return name;
    }
    let guard = if name.starts_with('-') { "./" } else { "" };
    format!("'{guard}{}'", name.replace('\'', r"'\''"))
}
