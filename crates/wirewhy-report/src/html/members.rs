//! Which connections an entry covers: some of them in a line each, a few of them whole, to be drawn.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use wirewhy_detect::{Diagnosis, Outcome, Severity};
use wirewhy_packet::{Interval, Timestamp};

use crate::View;
use crate::model::{Entry, Problem, Service, ServiceSet, StreamId, behind};

/// How many connections with one cause at one service are kept as a line, and how many in all.
const LINES_OF_A_KIND: usize = 64;
const MAX_LINES: usize = 16_384;

/// How many connections with one cause at one service are kept whole, how many with one cause, and how many in all.
const WHOLE_OF_A_KIND: usize = 8;
const WHOLE_OF_A_CAUSE: usize = 50;
const MAX_WHOLE: usize = 200;

/// A connection in a line.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) stream: StreamId,
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
    pub(super) begun: Timestamp,
    pub(super) took: Interval,
    pub(super) outcome: Outcome,
    code: &'static str,
    behind: Option<(Service, String)>,
}

impl Member {
    fn of(diagnosis: &Diagnosis) -> Option<Member> {
        let root = diagnosis.root_cause()?;
        let connection = &diagnosis.connection;
        let end = |end: &wirewhy_flow::Endpoint| SocketAddr::new(end.address, end.port);
        let took = connection.last.time.since(connection.first.time);
        Some(Member {
            stream: StreamId::of(connection),
            client: end(&connection.client),
            server: end(&connection.server),
            begun: connection.first.time,
            took: took.max(Interval::ZERO),
            outcome: diagnosis.outcome(),
            code: root.code,
            behind: behind(root).map(|(service, code)| (service, code.to_owned())),
        })
    }
}

/// The connections in trouble that are kept.
#[derive(Debug, Default)]
pub(super) struct Members {
    lines: Vec<Member>,
    kinds: BTreeMap<(&'static str, SocketAddr), (usize, usize)>,
    whole: Vec<Diagnosis>,
    by_cause: BTreeMap<&'static str, usize>,
}

/// The root cause of a connection, where it is shown.
pub(super) fn cause(diagnosis: &Diagnosis, view: &View) -> Option<&'static str> {
    let worst = diagnosis
        .findings
        .iter()
        .map(|finding| finding.severity)
        .max()?;
    let is_shown = worst >= view.least().max(Severity::Note)
        && diagnosis
            .findings
            .iter()
            .any(|finding| view.counts(finding));
    let root = diagnosis.root_cause().filter(|_| is_shown)?;
    Some(root.code)
}

impl Members {
    /// Whether a connection would be kept whole.
    pub(super) fn wants(&self, diagnosis: &Diagnosis, code: &'static str) -> bool {
        let (_, whole) = self
            .kinds
            .get(&kind(diagnosis, code))
            .copied()
            .unwrap_or_default();
        let of_cause = self.by_cause.get(code).copied().unwrap_or_default();
        let has_room = self.whole.len() < MAX_WHOLE || self.largest_but(code).is_some();
        whole < WHOLE_OF_A_KIND && of_cause < WHOLE_OF_A_CAUSE && has_room
    }

    /// The cause with more connections kept whole than it and this one would have alike.
    fn largest_but(&self, code: &str) -> Option<&'static str> {
        let own = self.by_cause.get(code).copied().unwrap_or_default();
        let others = self.by_cause.iter().filter(|(_, count)| **count > own + 1);
        others
            .max_by_key(|(_, count)| **count)
            .map(|(code, _)| *code)
    }

    /// Keeps what there is room for of a connection with this root cause.
    pub(super) fn add(&mut self, diagnosis: &Diagnosis, code: &'static str) {
        let wanted = self.wants(diagnosis, code);
        let (lines, whole) = self
            .kinds
            .get(&kind(diagnosis, code))
            .copied()
            .unwrap_or_default();
        let mut now = (lines, whole);
        if lines < LINES_OF_A_KIND
            && self.lines.len() < MAX_LINES
            && let Some(member) = Member::of(diagnosis)
        {
            self.lines.push(member);
            now.0 += 1;
        }
        if wanted {
            if self.whole.len() >= MAX_WHOLE {
                self.make_room(code);
            }
            self.whole.push(diagnosis.clone());
            *self.by_cause.entry(code).or_default() += 1;
            now.1 += 1;
        }
        if now != (lines, whole) {
            self.kinds.insert(kind(diagnosis, code), now);
        }
    }

    fn make_room(&mut self, code: &str) {
        let Some(largest) = self.largest_but(code) else {
            return;
        };
        let is_of = |diagnosis: &Diagnosis| {
            diagnosis
                .root_cause()
                .is_some_and(|root| root.code == largest)
        };
        if let Some(at) = self.whole.iter().rposition(is_of) {
            self.whole.remove(at);
            if let Some(count) = self.by_cause.get_mut(largest) {
                *count -= 1;
            }
        }
    }

    /// The connections of each entry, in the order in which they ended.
    pub(super) fn by_entry(&self, entries: &[Entry<'_>]) -> Vec<Vec<&Member>> {
        let mut found: Vec<Vec<&Member>> = entries.iter().map(|_| Vec::new()).collect();
        for member in &self.lines {
            if let Some(own) = entry_of(member, entries).and_then(|at| found.get_mut(at)) {
                own.push(member);
            }
        }
        found
    }

    /// Which connections are drawn, at most so many: the first of each entry, then the second of each, and so on. With each
    /// the place of its entry.
    pub(super) fn to_draw(&self, entries: &[Entry<'_>], most: usize) -> Vec<(usize, &Diagnosis)> {
        let mut rounds: Vec<(usize, usize, &Diagnosis)> = Vec::new();
        let mut counts: Vec<usize> = entries.iter().map(|_| 0).collect();
        for diagnosis in &self.whole {
            let entry = Member::of(diagnosis).and_then(|member| entry_of(&member, entries));
            let Some((entry, round)) = entry.and_then(|at| Some((at, counts.get_mut(at)?))) else {
                continue;
            };
            rounds.push((*round, entry, diagnosis));
            *round += 1;
        }
        rounds.sort_by_key(|(round, entry, _)| (*round, *entry));
        rounds.truncate(most);
        let chosen = rounds
            .into_iter()
            .map(|(_, entry, diagnosis)| (entry, diagnosis));
        chosen.collect()
    }
}

fn kind(diagnosis: &Diagnosis, code: &'static str) -> (&'static str, SocketAddr) {
    let server = &diagnosis.connection.server;
    (code, SocketAddr::new(server.address, server.port))
}

/// The entry that a connection belongs to.
fn entry_of(member: &Member, entries: &[Entry<'_>]) -> Option<usize> {
    let exact = |entry: &Entry<'_>| problems(entry).any(|problem| is_of(member, problem));
    let scans = |entry: &&Entry<'_>| source(entry).is_some();
    let by_source = entries.iter().position(|entry| {
        let own = source(entry).is_some_and(|source| source == member.client.ip());
        own && exact(entry)
    });
    let beyond = |entry: &Entry<'_>| matches!(entry, Entry::Beyond(_)) && !scans(&entry);
    by_source
        .or_else(|| {
            entries
                .iter()
                .position(|entry| beyond(entry) && exact(entry))
        })
        .or_else(|| {
            let causes = |entry: &Entry<'_>| matches!(entry, Entry::Cause(..)) && exact(entry);
            entries.iter().position(causes)
        })
        .or_else(|| {
            let folded = |entry: &Entry<'_>| {
                !scans(&entry) && problems(entry).any(|problem| may_be_of(member, problem))
            };
            entries.iter().position(folded)
        })
}

/// The client that an entry is about, where it is about one.
fn source(entry: &Entry<'_>) -> Option<IpAddr> {
    let Entry::Beyond(beyond) = entry else {
        return None;
    };
    let found = beyond.first;
    let is_scan = found.finding.code == "host.port-scan" && beyond.others.is_empty();
    found.subject.parse().ok().filter(|_| is_scan)
}

fn problems<'a>(entry: &'a Entry<'_>) -> impl Iterator<Item = &'a Problem> {
    let heads = match entry {
        Entry::Cause(problem, _) => std::slice::from_ref(&**problem),
        Entry::Beyond(beyond) => &beyond.explains,
    };
    heads
        .iter()
        .flat_map(|problem| std::iter::once(problem).chain(&problem.follows))
}

/// Whether a connection is one of those of a problem.
fn is_of(member: &Member, problem: &Problem) -> bool {
    has_cause(member, problem) && problem.is_at((member.server.ip(), member.server.port()))
}

fn has_cause(member: &Member, problem: &Problem) -> bool {
    let own = member
        .behind
        .as_ref()
        .map(|(service, code)| (*service, &**code));
    let tied = problem.behind();
    problem.code == member.code && (tied.is_none() || tied == own)
}

/// Whether it may be, where not all services of a problem are known one by one.
fn may_be_of(member: &Member, problem: &Problem) -> bool {
    let ServiceSet::Many {
        host,
        port,
        about: Some(_),
        ..
    } = &problem.place
    else {
        return false;
    };
    has_cause(member, problem)
        && host.is_none_or(|host| host == member.server.ip())
        && port.is_none_or(|port| port == member.server.port())
}
