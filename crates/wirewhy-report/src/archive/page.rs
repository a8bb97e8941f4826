//! The summary, and the lines before it, for a person.

use std::io::{self, Write};

use wirewhy_detect::Severity;
use wirewhy_survey::record_of;

use super::{Archive, Cause, Digest, Extent, LISTED, Lines, Shown, at_least, digest, time};
use crate::style::{Page, Sheet, shortened};
use crate::text::entry;
use crate::{Color, Names, Safe, TextStyle, View, format};

/// Less room than this is left empty rather than filled with the beginning of a title.
const LEAST_TITLE: usize = 18;

/// How many causes are written out, and how many services of each.
const CAUSES: usize = 12;
const SERVICES_OF_A_CAUSE: usize = 3;

/// How many causes of one capture are named in its line.
const CAUSES_OF_A_CAPTURE: usize = 3;

pub(super) fn write_capture(
    digest: &Digest,
    out: &mut dyn Write,
    look: TextStyle,
    (lines, view): (Lines, &View),
    source: &str,
) -> io::Result<()> {
    let source = Safe(source).to_string();
    let plain = what_of(
        digest,
        TextStyle {
            color: Color::Never,
            ..look
        },
        view,
    );
    let is_long = source.chars().count() + plain.chars().count() + 2 > look.width;
    let space = match lines {
        Lines::Fitting if is_long => "\n    ",
        Lines::One | Lines::Fitting => " ",
    };
    let what = what_of(digest, look, view);
    writeln!(out, "{}:{space}{what}", look.strong(&source))
}

/// What became of a capture.
fn what_of(digest: &Digest, look: TextStyle, view: &View) -> String {
    let totals = &digest.totals;
    let mut line = format::counted(totals.connections, "connection");
    for (number, word, severity) in [
        (totals.failed, "failed", Severity::Error),
        (totals.degraded, "degraded", Severity::Warning),
    ] {
        if number > 0 {
            let text = format!("{} {word}", format::count(number));
            line.push_str(&format!(", {}", look.severity(severity, &text)));
        }
    }
    let mut lead = ": ";
    for cause in digest.shown(view).take(CAUSES_OF_A_CAPTURE) {
        line.push_str(&format!(
            "{lead}{} {}",
            cause.code,
            format::count(cause.number)
        ));
        lead = ", ";
    }
    if digest.shown(view).count() > CAUSES_OF_A_CAPTURE {
        line.push_str(", ...");
    }
    if let Some(problem) = &digest.problem {
        line.push_str(&format!("; reading ended early: {}", Safe(problem)));
    }
    line
}

pub(super) fn write_error(
    out: &mut dyn Write,
    look: TextStyle,
    source: &str,
    message: &str,
) -> io::Result<()> {
    let source = look.strong(&Safe(source).to_string());
    let word = look.severity(Severity::Error, "unreadable");
    writeln!(out, "{source}: {word}: {}", Safe(message))
}

pub(super) fn write(
    archive: &Archive,
    out: &mut dyn Write,
    look: TextStyle,
    Shown { names, view }: Shown<'_>,
    extent: Extent,
) -> io::Result<()> {
    let mut page = Page::new(out, look);
    about(&mut page, archive, extent)?;
    hidden(&mut page, archive, view)?;
    let ranked = archive.ranked(view);
    table(&mut page, &ranked)?;
    causes(&mut page, archive, &ranked, names)?;
    beyond(&mut page, archive, view)?;
    places(&mut page, archive, names)?;
    news(&mut page, archive, names, view)
}

fn about(page: &mut Page<'_>, archive: &Archive, extent: Extent) -> io::Result<()> {
    if extent == Extent::Part {
        page.text("Interrupted: this is the part that was scanned.")?;
    }
    page.text(&extent_of(archive))?;
    let totals = &archive.totals;
    page.text(&format!(
        "{}: {} failed, {} degraded, {} ok, {} undecided",
        format::counted(totals.connections, "connection"),
        format::count(totals.failed),
        format::count(totals.degraded),
        format::count(totals.ok),
        format::count(totals.undecided)
    ))
}

/// How many captures there are, of what size and from when.
pub(super) fn extent_of(archive: &Archive) -> String {
    let mut line = format::counted(archive.captures, "capture");
    let parts = [
        (archive.cut_short, "cut short"),
        (archive.unreadable, "unreadable beside them"),
        (archive.skipped, "other files skipped"),
    ];
    for (number, word) in parts.iter().filter(|(number, _)| *number > 0) {
        let word = if *number == 1 {
            word.replace("files", "file")
        } else {
            (*word).to_owned()
        };
        line.push_str(&format!(", {} {word}", format::count(*number)));
    }
    line.push_str(&format!(
        "; {}, {}",
        format::counted(archive.packets, "packet"),
        format::size(archive.bytes)
    ));
    if let (Some(first), Some(last)) = (archive.first_time, archive.last_time) {
        line.push_str(&format!(
            ", from {} to {} UTC",
            format::date_time(time(first)),
            format::date_time(time(last))
        ));
    }
    line
}

/// What the reader left out.
fn hidden(page: &mut Page<'_>, archive: &Archive, view: &View) -> io::Result<()> {
    hidden_of(archive, view).map_or(Ok(()), |line| page.text(&line))
}

pub(super) fn hidden_of(archive: &Archive, view: &View) -> Option<String> {
    let (connections, findings) = archive.hidden(view);
    (connections + findings > 0).then(|| {
        format!(
            "Hidden by {}: {} in trouble, {} beyond single connections.",
            view.hidden_by(),
            format::counted(connections, "connection"),
            format::counted(findings, "finding")
        )
    })
}

/// One line a cause, the worst first.
fn table(page: &mut Page<'_>, ranked: &[(&str, &Cause)]) -> io::Result<()> {
    if ranked.is_empty() {
        return Ok(());
    }
    let widest = |cell: fn(&(&str, &Cause)) -> usize| ranked.iter().map(cell).max().unwrap_or(0);
    let severity = widest(|(_, cause)| cause.severity().name().len());
    let number = widest(|(_, cause)| format::count(cause.connections).len());
    let code = widest(|(code, _)| code.len());
    let captures = "captures".len();
    // Narrow screens do without the captures.
    let width = page.look.width;
    let has_captures = severity + number + captures + code + 6 <= width;
    let row = |[connections, files, name, title]: [&str; 4]| {
        let mut row = format!("  {connections:>number$}  ");
        if has_captures {
            row.push_str(&format!("{files:>captures$}  "));
        }
        row.push_str(&format!("{name:<code$}  "));
        let room = width.saturating_sub(severity + row.chars().count());
        if room >= LEAST_TITLE {
            row.push_str(&shortened(title, room));
        }
        row.trim_end().to_owned()
    };
    page.blank()?;
    let header = format!("{:severity$}{}", "", row(["#", "captures", "cause", ""]));
    let header = page.look.quiet(&header);
    page.line(&header)?;
    for (name, cause) in ranked {
        let word = format!("{:<severity$}", cause.severity().name());
        let word = page.look.severity(cause.severity(), &word);
        let (connections, files) = (
            format::count(cause.connections),
            format::count(cause.captures),
        );
        let row = row([&connections, &files, name, entry::title(name)]);
        page.line(&format!("{word}{row}"))?;
    }
    Ok(())
}

/// The causes that cost most, each with where and when.
fn causes(
    page: &mut Page<'_>,
    archive: &Archive,
    ranked: &[(&str, &Cause)],
    names: &Names,
) -> io::Result<()> {
    for (code, cause) in ranked.iter().take(CAUSES) {
        page.blank()?;
        write_cause(page, archive, code, cause, names)?;
    }
    Ok(())
}

fn write_cause(
    page: &mut Page<'_>,
    archive: &Archive,
    code: &str,
    cause: &Cause,
    names: &Names,
) -> io::Result<()> {
    let title = record_of(code).map_or("", |record| record.title);
    page.headline(cause.severity(), code, title)?;
    page.labelled("where", &occurrences(cause))?;
    // Where each service has one connection, some of them say nothing.
    let notable = archive
        .services_of(code, SERVICES_OF_A_CAUSE)
        .into_iter()
        .filter(|(_, tally)| tally.number > 1 || cause.connections == 1);
    let least = at_least(archive.services.folded);
    for ((_, address, port), tally) in notable {
        let place = names.socket(*address, *port);
        page.labelled(
            "",
            &format!("{place}: {least}{}", format::count(tally.number)),
        )?;
    }
    page.labelled(
        "began",
        &format!(
            "{} UTC, in {}; last {} UTC",
            format::date_time(time(cause.first)),
            Safe(&cause.first_source),
            format::date_time(time(cause.last))
        ),
    )
}

fn occurrences(cause: &Cause) -> String {
    format!(
        "{} in {}",
        format::counted(cause.connections, "connection"),
        format::counted(cause.captures, "capture")
    )
}

/// Findings about services, hosts, lookups and recordings.
fn beyond(page: &mut Page<'_>, archive: &Archive, view: &View) -> io::Result<()> {
    let found = archive.beyond(view);
    if found.is_empty() {
        return Ok(());
    }
    page.blank()?;
    page.line("Beyond single connections:")?;
    let mut reported: Vec<&str> = Vec::new();
    for ((severity, code, ..), _) in &found {
        if reported.contains(&code.as_str()) {
            continue;
        }
        reported.push(code);
        page.headline(digest::severity(*severity), code, entry::title(code))?;
        let alike: Vec<_> = found.iter().filter(|(key, _)| key.1 == *code).collect();
        for (key, tally) in alike.iter().take(LISTED) {
            let about = key
                .3
                .as_ref()
                .map(|subject| format!("{}: ", Safe(subject)))
                .unwrap_or_default();
            let captures = format::counted(tally.number, "capture");
            page.labelled("", &format!("{about}in {captures}"))?;
        }
        let rest = alike.len().saturating_sub(LISTED);
        if rest > 0 {
            page.labelled("", &format!("others: {}", format::count(rest as u64)))?;
        }
    }
    Ok(())
}

fn places(page: &mut Page<'_>, archive: &Archive, names: &Names) -> io::Result<()> {
    let services: Vec<String> = archive
        .places
        .largest(LISTED)
        .into_iter()
        .map(|((address, port), tally)| {
            let least = at_least(archive.places.folded);
            format!(
                "{least}{} {}",
                format::count(tally.number),
                names.socket(address, port)
            )
        })
        .collect();
    let clients: Vec<String> = archive
        .clients
        .largest(LISTED)
        .into_iter()
        .map(|(address, tally)| {
            let least = at_least(archive.clients.folded);
            format!(
                "{least}{} {}",
                format::count(tally.number),
                names.host(address)
            )
        })
        .collect();
    if services.is_empty() {
        return Ok(());
    }
    page.blank()?;
    page.text("Services with most connections in trouble, and clients:")?;
    page.table("services", &services)?;
    page.table("clients", &clients)
}

fn news(page: &mut Page<'_>, archive: &Archive, names: &Names, view: &View) -> io::Result<()> {
    let Some(news) = archive.news(view) else {
        return Ok(());
    };
    page.blank()?;
    page.line("New since the last scan:")?;
    page.labelled("captures", &format::count(news.captures))?;
    if news.causes.is_empty() && news.services.is_empty() {
        return page.labelled("", "no cause and no service that was not met before");
    }
    for code in &news.causes {
        let title = record_of(code).map_or("", |record| record.title);
        page.labelled("cause", &format!("{code}  {title}"))?;
    }
    for ((code, address, port), tally) in news.services.iter().take(LISTED) {
        let place = names.socket(*address, *port);
        page.labelled(
            "service",
            &format!(
                "{place}: {code}, {}",
                format::counted(tally.number, "connection")
            ),
        )?;
    }
    match news.services.len().saturating_sub(LISTED) {
        0 => Ok(()),
        more => page.labelled("", &format!("and {} more", format::count(more as u64))),
    }
}
