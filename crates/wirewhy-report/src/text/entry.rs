//! One entry, written out.

use std::io;

use wirewhy_detect::{Confidence, Finding, Severity, Value};
use wirewhy_packet::Interval;
use wirewhy_survey::{GroupFinding, record_of};

use super::blame::in_brackets;
use super::{blame, facts, proof};
use crate::model::{Beyond, Blame, Detail, Entry, Problem, ServiceSet, StreamId, Tally, Waited};
use crate::style::Sheet;
use crate::{Names, Safe, format};

/// How many services of one cause are listed.
const MAX_SERVICES: usize = 4;

/// How many of the next steps are printed when asked for more; `wirewhy explain` has them all.
const MAX_STEPS: usize = 3;

/// How many other findings about the connections of an entry are named.
const MAX_ALSO: usize = 6;

/// How many facts in which the connections of an entry differ are written.
const MAX_DIFFERENCES: usize = 3;

/// One entry in full, without what to do next. With `all` facts those behind its sentence, too.
pub(crate) fn write(
    page: &mut dyn Sheet,
    entry: &Entry<'_>,
    names: &Names,
    all: bool,
) -> io::Result<()> {
    match entry {
        Entry::Cause(problem, additions) => write_cause(page, problem, additions, names, all),
        Entry::Beyond(beyond) => write_beyond(page, (entry.severity(), beyond), names, all),
    }
}

fn write_cause(
    page: &mut dyn Sheet,
    problem: &Problem,
    additions: &[&GroupFinding],
    names: &Names,
    all: bool,
) -> io::Result<()> {
    let detail = &problem.detail;
    headline(page, problem.severity, problem.code, detail.is_possible())?;
    write_where(page, problem, names)?;
    page.labelled("when", &when(&problem.tally))?;
    let differences = differences(detail);
    let differ = differences.get(..MAX_DIFFERENCES).unwrap_or(&differences);
    let mut label = "what";
    if !differ.is_empty() {
        page.labelled(label, &differ.join("; "))?;
        label = "as in";
    }
    page.labelled(label, &summary(problem))?;
    if let Some(waited) = &problem.tally.waited {
        page.labelled("lookup", &lookup_of(waited, &problem.tally))?;
    }
    for line in added(problem, additions) {
        page.labelled("also", &line)?;
    }
    for line in consequences(std::slice::from_ref(problem)) {
        page.labelled("also", &line)?;
    }
    if !detail.also().is_empty() {
        page.labelled("also", &format!("seen: {}", others(problem)))?;
    }
    if all {
        facts::write(page, &detail.example, names)?;
    }
    let culprits = match problem.place {
        ServiceSet::One(_) => blame::all(&detail.culprits(), names),
        ServiceSet::Many { .. } => blame::all(&blame::by_role(&detail.culprits()), names),
    };
    page.labelled("culprit", &culprits)?;
    let mut frames = proof::frames(&detail.example.frames, page.files());
    if problem.tally.connections > 1 {
        frames.push_str(&format!(" of stream {}", problem.tally.first_stream()));
    }
    let tallies = with_consequences(std::slice::from_ref(problem));
    page.labelled("proof", &format!("{frames}; {}", filter(&tallies)))
}

/// What follows from problems in other connections, a line for each kind.
fn consequences(problems: &[Problem]) -> Vec<String> {
    let follows = problems.iter().flat_map(|problem| &problem.follows);
    follows
        .map(|problem| format!("{}: {}", problem.code, summary(problem)))
        .collect()
}

/// The connections of problems, and those in which they only have consequences.
fn with_consequences(problems: &[Problem]) -> Vec<&Tally> {
    let all = problems
        .iter()
        .flat_map(|problem| std::iter::once(problem).chain(&problem.follows));
    all.map(|problem| &problem.tally).collect()
}

/// What the lookup lost the first of the connections that depended on one.
fn lookup_of(waited: &Waited, tally: &Tally) -> String {
    let sentence = Safe(&waited.sentence);
    match tally.connections {
        1 => sentence.to_string(),
        all => format!(
            "{sentence} (stream {}, the first of {} of {})",
            waited.first.1,
            format::count(waited.connections),
            format::count(all)
        ),
    }
}

/// The sentence about the first of the connections.
fn summary(problem: &Problem) -> String {
    let detail = &problem.detail;
    let sentence = Safe(&detail.example.summary).to_string();
    let sentence = sentence.strip_suffix('.').unwrap_or(&sentence);
    let mut behind: Vec<String> = Vec::new();
    let surely = match detail.confidences().as_slice() {
        [(sure, _)] => surely(*sure),
        several => {
            let counts = several
                .iter()
                .map(|(sure, times)| times_of(*times, sure.name()));
            behind.push(counts.collect::<Vec<_>>().join(", "));
            surely(detail.example.confidence)
        }
    };
    let all = problem.tally.connections;
    if all > 1 {
        let first = problem.tally.first_stream();
        let all = format::count(all);
        behind.push(format!("stream {first}, the first of {all}"));
    }
    let behind = match behind.join("; ") {
        none if none.is_empty() => none,
        some => format!(" ({some})"),
    };
    format!("{surely}{sentence}{behind}")
}

/// What stands before a sentence that the packets do not prove.
fn surely(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Certain => "",
        Confidence::Likely => "likely: ",
        Confidence::Possible => "possibly: ",
    }
}

/// A line in place of the whole entry.
pub(super) fn write_short(
    page: &mut dyn Sheet,
    entry: &Entry<'_>,
    names: &Names,
) -> io::Result<()> {
    let text = match entry {
        Entry::Cause(problem, _) => {
            let place = named(&problem.tally, &place_name(&problem.place, names));
            let connections = format::counted(problem.tally.connections, "connection");
            let first = problem.tally.first_stream();
            format!("{place}: {connections}, first is stream {first}")
        }
        Entry::Beyond(_) => Safe(&place(entry)).to_string(),
    };
    page.headline(entry.severity(), entry.code(), &text)
}

fn headline(
    page: &mut dyn Sheet,
    severity: Severity,
    code: &str,
    is_possible: bool,
) -> io::Result<()> {
    let title = title(code);
    if title.is_empty() {
        return page.headline(severity, code, title);
    }
    let title = format!("{}{title}", possibly(is_possible));
    page.headline(severity, code, &title)
}

fn possibly(is_possible: bool) -> &'static str {
    if is_possible { "possibly: " } else { "" }
}

fn write_where(page: &mut dyn Sheet, problem: &Problem, names: &Names) -> io::Result<()> {
    let clients = clients(&problem.tally, names);
    let connections = format::counted(problem.tally.connections, "connection");
    let place = named(&problem.tally, &place_name(&problem.place, names));
    page.labelled("where", &format!("{place}, {connections} from {clients}"))?;
    let ServiceSet::Many {
        services, about, ..
    } = &problem.place
    else {
        return Ok(());
    };
    // Connections counted before a service was folded away are not counted with it when it comes back.
    let least = if about.is_some() { "at least " } else { "" };
    // Where each service has one connection, some of them say nothing.
    let notable = services
        .iter()
        .filter(|service| service.tally.connections > 1);
    let mut rest = problem.tally.connections;
    let mut listed: Vec<String> = Vec::new();
    for service in notable.take(MAX_SERVICES) {
        let (address, port) = service.service;
        let number = format::count(service.tally.connections);
        let place = names.socket(address, port);
        // One name for all of them was written already.
        let place = match problem.tally.names.as_slice() {
            [_] => place,
            _ => named(&service.tally, &place),
        };
        listed.push(format!("{place}: {least}{number}"));
        rest = rest.saturating_sub(service.tally.connections);
    }
    if rest == problem.tally.connections {
        return Ok(());
    }
    if rest > 0 {
        listed.push(format!("others: {}", format::count(rest)));
    }
    page.labelled("", &listed.join("; "))
}

fn clients(tally: &Tally, names: &Names) -> String {
    let mut clients: Vec<String> = tally.clients().map(|address| names.host(address)).collect();
    if tally.more_clients {
        clients.push("others".to_owned());
    }
    enumerated(&clients)
}

pub(crate) fn when(tally: &Tally) -> String {
    let Tally { first, last, .. } = *tally;
    let begun = format::date_time(first);
    if first == last {
        return format!("{begun} UTC");
    }
    let whole = last.since(first);
    let span = format::span(whole);
    let (begun_date, ended) = (begun.split(' ').next(), format::date_time(last));
    match ended.split_once(' ') {
        _ if whole < Interval::from_secs(1) => format!("{begun} UTC, all within {span}"),
        Some((date, time)) if Some(date) == begun_date => {
            format!("{begun} to {time} UTC ({span})")
        }
        _ => format!("{begun} to {ended} UTC ({span})"),
    }
}

/// A display filter over the streams of an entry, as far as they are named.
fn filter(tallies: &[&Tally]) -> String {
    let mut streams: Vec<StreamId> = tallies.iter().flat_map(|tally| tally.streams()).collect();
    streams.sort_unstable();
    streams.truncate(MAX_STREAMS);
    let filter = proof::filter(&streams);
    let all: u64 = tallies.iter().map(|tally| tally.connections).sum();
    let named = streams.len() as u64;
    if all > named {
        let all = format::count(all);
        return format!("Wireshark filter {filter} (the first {named} of {all})");
    }
    format!("Wireshark filter {filter}")
}

/// How many streams a display filter names.
const MAX_STREAMS: usize = 6;

/// What else was found of the connections, and how often.
fn others(problem: &Problem) -> String {
    let mut also = problem.detail.also();
    also.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    counted(&also, problem.tally.connections)
}

fn counted(codes: &[(&str, u64)], all: u64) -> String {
    let (named, more) = codes.split_at(codes.len().min(MAX_ALSO));
    let mut parts: Vec<String> = named
        .iter()
        .map(|(code, times)| match all {
            1 => (*code).to_owned(),
            _ => format!("{code}{}", in_brackets(*times)),
        })
        .collect();
    if !more.is_empty() {
        parts.push(format!("{} others", more.len()));
    }
    parts.join(", ")
}

/// What findings beyond connections add to an entry about some of them, a line for each code.
fn added(problem: &Problem, additions: &[&GroupFinding]) -> Vec<String> {
    let mut lines: Vec<(&GroupFinding, u64)> = Vec::new();
    for found in additions {
        let same =
            |(known, _): &&mut (&GroupFinding, u64)| known.finding.code == found.finding.code;
        match lines.iter_mut().find(same) {
            Some((_, more)) => *more += 1,
            None => lines.push((*found, 0)),
        }
    }
    let is_many = matches!(problem.place, ServiceSet::Many { .. });
    let formatted = lines.into_iter().map(|(found, more)| {
        let GroupFinding { finding, .. } = found;
        let place = if is_many {
            format!(" at {}", Safe(&found.subject))
        } else {
            String::new()
        };
        let more = match more {
            0 => String::new(),
            more => {
                let others = format!("more {}", found.scope.name());
                format!("; the same at {}", format::counted(more, &others))
            }
        };
        let summary = Safe(&finding.summary);
        format!(
            "{}{place}: {}{summary}{more}",
            finding.code,
            surely(finding.confidence)
        )
    });
    formatted.collect()
}

/// In what the connections of an entry differ: `alert: 3 unknown_ca, 2 certificate_expired`.
fn differences(detail: &Detail) -> Vec<String> {
    let differences = detail.differences().into_iter();
    differences
        .map(|(fact, values)| {
            let values = kinds(fact, &values);
            format!("{}: {values}", fact.replace('_', " "))
        })
        .collect()
}

/// What the connections of an entry differ in, where that is what its code is about: alerts of `tls.alert`.
pub(super) fn kinds_of(problem: &Problem) -> Option<String> {
    let differences = problem.detail.differences().into_iter();
    let mut named = differences.filter(|(fact, _)| problem.code.ends_with(fact));
    let (fact, values) = named.next()?;
    Some(kinds(fact, &values))
}

fn kinds(fact: &str, values: &[(&Value, u64)]) -> String {
    let values = values.iter().map(|(value, times)| {
        let value = format::value(fact, value);
        times_of(*times, &value)
    });
    values.collect::<Vec<_>>().join(", ")
}

/// `3 likely`; no number where how often is not known.
fn times_of(times: u64, what: &str) -> String {
    match times {
        0 => what.to_owned(),
        times => format!("{} {what}", format::count(times)),
    }
}

/// Where an entry is, in a few words without names.
pub(crate) fn place(entry: &Entry<'_>) -> String {
    match entry {
        Entry::Cause(problem, _) => place_name(&problem.place, &Names::default()),
        Entry::Beyond(beyond) if beyond.others.is_empty() => beyond.first.subject.clone(),
        Entry::Beyond(beyond) => {
            let many = beyond.all().count() as u64;
            format::counted(many, beyond.first.scope.name())
        }
    }
}

/// The service, or what the services have in common.
pub(crate) fn place_name(place: &ServiceSet, names: &Names) -> String {
    let (host, port, about, services) = match place {
        ServiceSet::One((address, port)) => return names.socket(*address, *port),
        ServiceSet::Many {
            host,
            port,
            about,
            services,
        } => (host, port, about, services),
    };
    let number = match about {
        Some(about) => format!("about {}", format::count(*about)),
        None => format::count(services.len() as u64),
    };
    match (host, port) {
        (Some(host), _) => format!("{number} ports of {}", names.host(*host)),
        (None, Some(port)) => format!("port {port} of {number} hosts"),
        (None, None) => format!("{number} services"),
    }
}

/// A place with the names before it that clients asked for there: `www.example.org at 192.0.2.1:443`.
pub(crate) fn named(tally: &Tally, place: &str) -> String {
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

/// One finding of one connection, in full.
pub(crate) fn finding(page: &mut dyn Sheet, finding: &Finding, names: &Names) -> io::Result<()> {
    let is_possible = finding.confidence == Confidence::Possible;
    headline(page, finding.severity, finding.code, is_possible)?;
    let what = format!("{}{}", surely(finding.confidence), Safe(&finding.summary));
    page.labelled("what", &what)?;
    facts::write(page, finding, names)?;
    page.labelled("culprit", &blame::of(finding, names))?;
    if !finding.frames.is_empty() {
        page.labelled("proof", &proof::frames(&finding.frames, page.files()))?;
    }
    if let Some(cause) = finding.consequence_of {
        page.labelled("cause", cause)?;
    }
    write_steps(page, &steps(finding), true)
}

/// What to look at next: the first step, or some of them.
pub(crate) fn write_steps(page: &mut dyn Sheet, steps: &[&str], all: bool) -> io::Result<()> {
    let most = if all { MAX_STEPS } else { 1 };
    page.listed("next", steps.get(..most).unwrap_or(steps))
}

/// What to look at next because of a finding.
fn steps(finding: &Finding) -> Vec<&'static str> {
    record_of(finding.code).map_or(Vec::new(), |record| record.steps_for(&finding.facts))
}

/// The finding whose next steps help most: where attempts at a service fail for one reason, that reason's.
fn decisive<'a>(entry: &'a Entry<'_>) -> &'a Finding {
    match entry {
        Entry::Cause(problem, _) => &problem.detail.example,
        Entry::Beyond(beyond) => match beyond.reason() {
            Some(problem) => &problem.detail.example,
            None => &beyond.first.finding,
        },
    }
}

/// What to look at next because of an entry.
pub(crate) fn advice(entry: &Entry<'_>) -> Vec<&'static str> {
    steps(decisive(entry))
}

/// The code to read more about.
pub(crate) fn code_to_explain(entry: &Entry<'_>) -> &'static str {
    decisive(entry).code
}

/// Whether each of the findings is no more than possible.
pub(crate) fn is_possible(beyond: &Beyond<'_>) -> bool {
    let mut sure = beyond.all().map(|found| found.finding.confidence);
    sure.all(|sure| sure == Confidence::Possible)
}

/// Findings about more than one connection, and which connections they explain.
fn write_beyond(
    page: &mut dyn Sheet,
    (severity, beyond): (Severity, &Beyond<'_>),
    names: &Names,
    all: bool,
) -> io::Result<()> {
    let found = &beyond.first.finding;
    headline(page, severity, found.code, is_possible(beyond))?;
    let subject = Safe(&beyond.first.subject);
    let tally = beyond.tally();
    let connections = match tally.connections {
        0 => String::new(),
        many => format!(
            ", {} from {}",
            format::counted(many, "connection"),
            clients(&tally, names)
        ),
    };
    let many = beyond.all().count();
    if many == 1 {
        let scope = beyond.first.scope.name();
        page.labelled("where", &format!("{scope} {subject}{connections}"))?;
        if tally.connections > 0 {
            page.labelled("when", &when(&tally))?;
        }
        let what = format!("{}{}", surely(found.confidence), Safe(&found.summary));
        page.labelled("what", &what)?;
    } else {
        let number = format::counted(many as u64, beyond.first.scope.name());
        page.labelled("where", &format!("{number}{connections}"))?;
        for one in beyond.all().take(MAX_SERVICES) {
            let (subject, summary) = (Safe(&one.subject), Safe(&one.finding.summary));
            page.labelled("", &format!("{subject}: {summary}"))?;
        }
        let rest = many.saturating_sub(MAX_SERVICES);
        if rest > 0 {
            page.labelled("", &format!("others: {}", format::count(rest as u64)))?;
        }
    }
    for line in consequences(&beyond.explains) {
        page.labelled("also", &line)?;
    }
    if !beyond.explains.is_empty() {
        page.labelled("also", &format!("seen: {}", explained(beyond)))?;
    }
    if all && many == 1 {
        facts::write(page, found, names)?;
    }
    let blames: Vec<(Blame, u64)> = beyond
        .all()
        .map(|found| (Blame::of(&found.finding), 1))
        .collect();
    page.labelled("culprit", &blame::all(&blame::by_role(&blames), names))?;
    let mut proved = Vec::new();
    if !found.frames.is_empty() {
        let frames = proof::frames(&found.frames, page.files());
        let lead = if many == 1 {
            String::new()
        } else {
            format!("for {subject}: ")
        };
        proved.push(format!("{lead}{frames}"));
    }
    if !beyond.explains.is_empty() {
        proved.push(filter(&with_consequences(&beyond.explains)));
    }
    if proved.is_empty() {
        return Ok(());
    }
    page.labelled("proof", &proved.join("; "))
}

/// The root causes of the connections that a finding beyond them explains.
fn explained(beyond: &Beyond<'_>) -> String {
    let mut codes: Vec<(&str, u64)> = Vec::new();
    let mut all = 0;
    for problem in &beyond.explains {
        all += problem.tally.connections;
        let own = std::iter::once((problem.code, problem.tally.connections));
        for (code, times) in own.chain(problem.detail.also()) {
            match codes.iter_mut().find(|(known, _)| *known == code) {
                // How often in all is known only where it is for each.
                Some((_, sum)) if *sum > 0 && times > 0 => *sum += times,
                Some((_, sum)) => *sum = 0,
                None => codes.push((code, times)),
            }
        }
    }
    codes.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    counted(&codes, all.max(2))
}

pub(crate) fn title(code: &str) -> &'static str {
    record_of(code).map_or("", |record| record.title)
}

pub(crate) fn enumerated(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
