//! One problem, written out.

use std::io;

use wirewhy_detect::{Confidence, Culprit, Finding, Record, Role, Scope, Value};
use wirewhy_packet::Interval;
use wirewhy_survey::{GroupFinding, record_of};

use crate::look::{JOINED, Page};
use crate::model::{Place, Problem, Tally};
use crate::{FileSummary, Names, Safe, words};

/// How many services of one cause are listed.
const MAX_SERVICES: usize = 5;

/// How many of the next steps are printed; `wirewhy explain` has them all.
const MAX_STEPS: usize = 3;

/// One problem in full, without what to do next.
pub(super) fn write(page: &mut Page<'_>, problem: &Problem, names: &Names) -> io::Result<()> {
    page.headline(problem.severity, problem.code, title(problem.code))?;
    write_where(page, problem, names)?;
    page.labelled("when", &when(&problem.tally))?;
    let example = &problem.detail.example;
    let summary = Safe(&example.summary).to_string();
    if problem.tally.connections > 1 {
        let first = problem.tally.first_stream();
        let all = words::count(problem.tally.connections);
        let which = format!("stream {first}, the first of {all}");
        page.labelled("what", &format!("{summary} ({which})"))?;
    } else {
        page.labelled("what", &summary)?;
    }
    write_why(page, example, names)?;
    page.labelled("culprit", &blame(problem, names))?;
    page.labelled("proof", &proof(problem, page.files))?;
    if !problem.detail.consequences.is_empty() {
        page.labelled("led to", &consequences(problem))?;
    }
    Ok(())
}

/// A line in place of the whole entry.
pub(super) fn write_short(page: &mut Page<'_>, problem: &Problem, names: &Names) -> io::Result<()> {
    let place = named(&problem.tally, &place_name(&problem.place, names));
    let connections = words::counted(problem.tally.connections, "connection");
    let first = problem.tally.first_stream();
    let text = format!("{place}: {connections}, first is stream {first}");
    page.headline(problem.severity, problem.code, &text)
}

fn write_where(page: &mut Page<'_>, problem: &Problem, names: &Names) -> io::Result<()> {
    let clients = clients(&problem.tally, names);
    let connections = words::counted(problem.tally.connections, "connection");
    let place = named(&problem.tally, &place_name(&problem.place, names));
    page.labelled("where", &format!("{place}, {connections} from {clients}"))?;
    let Place::Many {
        services, about, ..
    } = &problem.place
    else {
        return Ok(());
    };
    // Connections counted before a service was folded away are not counted with it when it comes back.
    let least = if about.is_some() { "at least " } else { "" };
    // Where each service has one connection, five of them say nothing.
    let notable = services
        .iter()
        .filter(|service| service.tally.connections > 1);
    let mut rest = problem.tally.connections;
    for service in notable.take(MAX_SERVICES) {
        let (address, port) = service.service;
        let number = words::count(service.tally.connections);
        let place = names.socket(address, port);
        // One name for all of them was told already.
        let place = match problem.tally.names.as_slice() {
            [_] => place,
            _ => named(&service.tally, &place),
        };
        page.labelled("", &format!("{place}: {least}{number}"))?;
        rest = rest.saturating_sub(service.tally.connections);
    }
    if rest == 0 || rest == problem.tally.connections {
        return Ok(());
    }
    page.labelled("", &format!("others: {}", words::count(rest)))
}

fn clients(tally: &Tally, names: &Names) -> String {
    let mut clients: Vec<String> = tally
        .clients
        .iter()
        .map(|address| names.host(*address))
        .collect();
    if tally.more_clients {
        clients.push("others".to_owned());
    }
    enumerated(&clients)
}

fn when(tally: &Tally) -> String {
    let Tally { first, last, .. } = *tally;
    let begun = words::date_time(first);
    if first == last {
        return format!("{begun} UTC");
    }
    let whole = last.since(first);
    let span = words::span(whole);
    let (begun_date, ended) = (begun.split(' ').next(), words::date_time(last));
    match ended.split_once(' ') {
        _ if whole < Interval::from_secs(1) => format!("{begun} UTC, all within {span}"),
        Some((date, time)) if Some(date) == begun_date => {
            format!("{begun} to {time} UTC ({span})")
        }
        _ => format!("{begun} to {ended} UTC ({span})"),
    }
}

fn blame(problem: &Problem, names: &Names) -> String {
    match problem.place {
        Place::One(_) => all_blamed(problem.detail.culprits.clone(), names),
        Place::Many { .. } => all_blamed(by_role(&problem.detail.culprits), names),
    }
}

fn proof(problem: &Problem, files: &[FileSummary]) -> String {
    let streams = problem.tally.streams();
    let filter = filter(&streams);
    let mut frames = frames(&problem.detail.example.frames, files);
    if problem.tally.connections > 1 {
        frames.push_str(&format!(" of stream {}", problem.tally.first_stream()));
    }
    let named = streams.len() as u64;
    if problem.tally.connections > named {
        let all = words::count(problem.tally.connections);
        return format!("{frames}; Wireshark filter {filter} (the first {named} of {all})");
    }
    format!("{frames}; Wireshark filter {filter}")
}

fn consequences(problem: &Problem) -> String {
    let all = problem.tally.connections;
    let parts: Vec<String> = problem
        .detail
        .consequences
        .iter()
        .map(|(code, times)| match all {
            1 => (*code).to_owned(),
            _ => format!("{code} ({})", words::count(*times)),
        })
        .collect();
    parts.join(", ")
}
/// The service, or what the services have in common.
fn place_name(place: &Place, names: &Names) -> String {
    let (host, port, about, services) = match place {
        Place::One((address, port)) => return names.socket(*address, *port),
        Place::Many {
            host,
            port,
            about,
            services,
        } => (host, port, about, services),
    };
    let number = match about {
        Some(about) => format!("about {}", words::count(*about)),
        None => words::count(services.len() as u64),
    };
    match (host, port) {
        (Some(host), _) => format!("{number} ports of {}", names.host(*host)),
        (None, Some(port)) => format!("port {port} of {number} hosts"),
        (None, None) => format!("{number} services"),
    }
}

/// A place with the names before it that clients asked for there: `www.example.org at 192.0.2.1:443`.
pub(super) fn named(tally: &Tally, place: &str) -> String {
    let mut names: Vec<String> = tally
        .names
        .iter()
        .map(|name| Safe(name).to_string())
        .collect();
    if tally.more_names {
        names.push("others".to_owned());
    }
    match names.as_slice() {
        [] => place.to_owned(),
        names => format!("{} at {place}", enumerated(names)),
    }
}

/// Who is to blame, and how often each.
fn all_blamed(culprits: Vec<(Culprit, Confidence, u64)>, names: &Names) -> String {
    let mut culprits = culprits;
    culprits.sort_by_key(|(_, _, times)| std::cmp::Reverse(*times));
    if let [(culprit, confidence, _)] = culprits.as_slice() {
        return blamed(*culprit, *confidence, names);
    }
    let parts: Vec<String> = culprits
        .iter()
        .take(3)
        .map(|(culprit, confidence, times)| {
            format!(
                "{} ({})",
                blamed(*culprit, *confidence, names),
                words::count(*times)
            )
        })
        .collect();
    let rest: u64 = culprits.iter().skip(3).map(|(_, _, times)| times).sum();
    match rest {
        0 => parts.join("; "),
        rest => format!("{}; others ({})", parts.join("; "), words::count(rest)),
    }
}

/// Blame over many services: by role only, as each has its own address.
fn by_role(culprits: &[(Culprit, Confidence, u64)]) -> Vec<(Culprit, Confidence, u64)> {
    let mut merged: Vec<(Culprit, Confidence, u64)> = Vec::new();
    for (culprit, confidence, times) in culprits {
        let same = merged
            .iter_mut()
            .find(|(other, sure, _)| other.role == culprit.role && sure == confidence);
        match same {
            Some((other, _, sum)) => {
                *sum += times;
                if other.address != culprit.address {
                    other.address = None;
                }
            }
            None => merged.push((*culprit, *confidence, *times)),
        }
    }
    merged
}

/// One finding of one connection, in full.
pub(crate) fn finding(page: &mut Page<'_>, finding: &Finding, names: &Names) -> io::Result<()> {
    page.headline(finding.severity, finding.code, title(finding.code))?;
    page.labelled("what", &Safe(&finding.summary).to_string())?;
    write_why(page, finding, names)?;
    page.labelled(
        "culprit",
        &blamed(finding.culprit, finding.confidence, names),
    )?;
    if !finding.frames.is_empty() {
        page.labelled("proof", &frames(&finding.frames, page.files))?;
    }
    if let Some(cause) = finding.consequence_of {
        page.labelled("cause", cause)?;
    }
    write_steps(page, finding.code)
}

/// What to look at next.
pub(crate) fn write_steps(page: &mut Page<'_>, code: &str) -> io::Result<()> {
    let steps = record_of(code).map_or(&[][..], |record: &Record| record.check_next);
    page.listed("next", steps.get(..MAX_STEPS).unwrap_or(steps))
}

/// How many findings of one code are written out one by one; more become one entry.
pub(crate) const MAX_ALIKE: usize = 3;

/// One of many findings that have one code.
pub(crate) struct Alike<'a> {
    /// What kind of thing it is about.
    pub(crate) scope: Scope,
    /// Which one.
    pub(crate) subject: &'a str,
    /// The finding.
    pub(crate) finding: &'a Finding,
    /// What is said behind its summary.
    pub(crate) suffix: String,
    /// Where the proof lies.
    pub(crate) proof: String,
}

impl<'a> Alike<'a> {
    /// One of a single capture.
    pub(super) fn new(found: &'a GroupFinding, files: &[FileSummary]) -> Alike<'a> {
        Alike {
            scope: found.scope,
            subject: &found.subject,
            finding: &found.finding,
            suffix: String::new(),
            proof: frames(&found.finding.frames, files),
        }
    }
}

/// Findings of one code about many services or hosts.
pub(crate) fn many_alike(
    page: &mut Page<'_>,
    alike: &[Alike<'_>],
    names: &Names,
) -> io::Result<()> {
    let Some(first) = alike.first() else {
        return Ok(());
    };
    let code = first.finding.code;
    page.headline(first.finding.severity, code, title(code))?;
    let number = words::counted(alike.len() as u64, first.scope.name());
    page.labelled("where", &number)?;
    for one in alike.iter().take(MAX_SERVICES) {
        let (subject, summary) = (Safe(one.subject), Safe(&one.finding.summary));
        page.labelled("", &format!("{subject}: {summary}{}", one.suffix))?;
    }
    let rest = alike.len().saturating_sub(MAX_SERVICES);
    if rest > 0 {
        page.labelled("", &format!("others: {}", words::count(rest as u64)))?;
    }
    let culprits: Vec<(Culprit, Confidence, u64)> = alike
        .iter()
        .map(|one| (one.finding.culprit, one.finding.confidence, 1))
        .collect();
    page.labelled("culprit", &all_blamed(by_role(&culprits), names))?;
    let subject = Safe(first.subject);
    page.labelled("proof", &format!("for {subject}: {}", first.proof))
}

/// One finding about more than one connection.
pub(super) fn group_finding(
    page: &mut Page<'_>,
    group: &GroupFinding,
    names: &Names,
) -> io::Result<()> {
    let found = &group.finding;
    page.headline(found.severity, found.code, title(found.code))?;
    page.labelled(
        "where",
        &format!("{} {}", group.scope.name(), Safe(&group.subject)),
    )?;
    page.labelled("what", &Safe(&found.summary).to_string())?;
    write_why(page, found, names)?;
    page.labelled("culprit", &blamed(found.culprit, found.confidence, names))?;
    if found.frames.is_empty() {
        return Ok(());
    }
    page.labelled("proof", &frames(&found.frames, page.files))
}

pub(crate) fn title(code: &str) -> &'static str {
    record_of(code).map_or("", |record| record.title)
}

/// The measured values: why the finding is believed.
fn write_why(page: &mut Page<'_>, finding: &Finding, names: &Names) -> io::Result<()> {
    let known = finding
        .facts
        .0
        .iter()
        .filter(|(_, value)| *value != Value::Absent && *value != Value::List(Vec::new()));
    let mut facts: Vec<String> = Vec::new();
    let mut rows: Vec<String> = Vec::new();
    for (name, value) in known {
        match evidence(value) {
            Some(evidence) => rows.extend(evidence),
            None => facts.push(words::fact(name, value, names)),
        }
    }
    if !facts.is_empty() {
        page.labelled("why", &facts.join("; "))?;
    }
    if rows.is_empty() {
        return Ok(());
    }
    page.table("weighed", &rows)
}

/// The rows of a table of evidence, where a fact is one: what was looked at, seen and expected, and where; `+` speaks for
/// what the finding says, `-` against it.
fn evidence(value: &Value) -> Option<Vec<String>> {
    let Value::List(items) = value else {
        return None;
    };
    let rows: Option<Vec<[String; 5]>> = items.iter().map(evidence_row).collect();
    let rows = rows.filter(|rows| !rows.is_empty())?;
    let widest = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let (frame_width, what_width) = (widest(4), widest(1));
    let line = |[sign, what, seen, expected, frame]: &[String; 5]| {
        format!(
            "{sign} frame {frame:>frame_width$}  {what:<what_width$}  {seen}; expected {expected}"
        )
    };
    Some(rows.iter().map(line).collect())
}

fn evidence_row(item: &Value) -> Option<[String; 5]> {
    let Value::Record(fields) = item else {
        return None;
    };
    let field = |wanted: &str| {
        let (_, value) = fields.iter().find(|(name, _)| *name == wanted)?;
        match value {
            Value::Text(text) => Some(Safe(text).to_string()),
            Value::Count(number) => Some(number.to_string()),
            Value::Signed(number) => Some(if *number > 0 { "+" } else { "-" }.to_owned()),
            _ => None,
        }
    };
    Some([
        field("weight")?,
        field("what")?,
        field("seen")?,
        field("expected")?,
        field("frame")?,
    ])
}

pub(crate) fn blamed(culprit: Culprit, confidence: Confidence, names: &Names) -> String {
    let role = match culprit.role {
        Role::Client => "the client",
        Role::Server => "the server",
        Role::Path => "the path",
        Role::Capture => "the recording",
        Role::Unknown => "unknown",
    };
    let address = match culprit.address {
        Some(address) => format!(" {}", names.host(address)),
        None => String::new(),
    };
    let sure = match confidence {
        Confidence::Certain => "certain: the packets prove it",
        Confidence::Likely => "likely: no other common cause fits",
        Confidence::Possible => "possible: one of several readings",
    };
    // Where nobody is named, it is sure what happened and not who did it.
    let link = match culprit.role {
        Role::Unknown => "; what happened is",
        _ => ",",
    };
    format!("{role}{address}{link} {sure}")
}

/// The numbers of frames; in a recording of several `files` those that each frame has in its file.
pub(crate) fn frames(frames: &[u64], files: &[FileSummary]) -> String {
    if frames.is_empty() {
        return "no frame".to_owned();
    }
    let mut parts: Vec<String> = Vec::new();
    let mut left = frames;
    while let Some(first) = left.first() {
        let file = file_of(*first, files);
        let same = left
            .iter()
            .take_while(|frame| file_of(**frame, files) == file)
            .count();
        let (here, rest) = left.split_at(same.max(1));
        left = rest;
        let before = file.map_or(0, |file| file.first_frame.saturating_sub(1));
        let numbers: Vec<String> = here
            .iter()
            .map(|frame| frame.saturating_sub(before).to_string())
            .collect();
        let noun = if here.len() == 1 { "frame" } else { "frames" };
        let mut part = format!("{noun} {}", numbers.join(", "));
        if let Some(file) = file {
            part.push_str(&format!(" of {}", Safe(base_name(&file.source))));
        }
        parts.push(part);
    }
    parts.join("; ")
}

/// The file that a frame of a recording is in.
fn file_of(frame: u64, files: &[FileSummary]) -> Option<&FileSummary> {
    files
        .iter()
        .rev()
        .find(|file| file.packets > 0 && file.first_frame <= frame)
}

/// The name of a file without its folder.
pub(crate) fn base_name(source: &str) -> &str {
    source.rsplit('/').next().unwrap_or(source)
}

/// A display filter for Wireshark, kept on one line so that it can be copied.
fn filter(streams: &[u32]) -> String {
    let numbers: Vec<String> = streams.iter().map(u32::to_string).collect();
    let filter = match numbers.as_slice() {
        [one] => format!("tcp.stream == {one}"),
        many => format!("tcp.stream in {{{}}}", many.join(",")),
    };
    filter.replace(' ', &JOINED.to_string())
}

pub(super) fn enumerated(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
