//! One entry of a report: a root cause, and everything that only follows from it.

use wirewhy_detect::{Role, Scope, Severity};
use wirewhy_survey::GroupFinding;

use super::cause::{Problem, ServiceSet};
use super::causes::Causes;
use super::explained::{Reach, Whose};
use super::tally::Tally;
use crate::View;

/// More findings than this of one code about different services or hosts are one entry.
const MAX_ALIKE: usize = 3;

/// One root cause at one service, or at many.
#[derive(Debug)]
pub(crate) enum Entry<'a> {
    /// Connections with one root cause, and what findings beyond them add to it.
    Cause(Box<Problem>, Vec<&'a GroupFinding>),
    /// Something beyond single connections.
    Beyond(Beyond<'a>),
}

/// Findings of one code about services or hosts, and the connections they explain.
#[derive(Debug)]
pub(crate) struct Beyond<'a> {
    /// The first, which there always is.
    pub(crate) first: &'a GroupFinding,
    /// Others of the same code, where there are too many to be entries.
    pub(crate) others: Vec<&'a GroupFinding>,
    /// The connections whose failure is nothing but this.
    pub(crate) explains: Vec<Problem>,
}

impl Entry<'_> {
    /// The code that it is named after.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Entry::Cause(problem, _) => problem.code,
            Entry::Beyond(beyond) => beyond.first.finding.code,
        }
    }

    /// How bad it is.
    pub(crate) fn severity(&self) -> Severity {
        match self {
            Entry::Cause(problem, _) => problem.severity,
            Entry::Beyond(beyond) => beyond.severity(),
        }
    }

    /// How many connections it is about, as far as they are entries of their own otherwise.
    pub(crate) fn connections(&self) -> u64 {
        match self {
            Entry::Cause(problem, _) => problem.connections(),
            Entry::Beyond(beyond) => beyond.explains.iter().map(Problem::connections).sum(),
        }
    }
}

impl<'a> Beyond<'a> {
    /// How bad it is: as bad as what came of it, unless clients did it to themselves.
    fn severity(&self) -> Severity {
        let own = self.all().map(|found| found.finding.severity).max();
        let explained = self.explains.iter().map(|problem| problem.severity).max();
        let by_clients = self.first.finding.culprit.role == Role::Client;
        let worst = own.max(explained.filter(|_| !by_clients));
        worst.unwrap_or(Severity::Note)
    }

    /// The connections that it explains.
    pub(crate) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for problem in &self.explains {
            tally.merge(&problem.tally);
        }
        tally
    }

    /// The one reason for which every attempt at a service failed, where there is one.
    pub(crate) fn reason(&self) -> Option<&Problem> {
        let is_service = self.first.scope == Scope::Service;
        let is_down = is_service && self.first.finding.severity == Severity::Error;
        match self.explains.as_slice() {
            [problem, rest @ ..] if is_down => {
                let is_one = rest.iter().all(|other| other.code == problem.code);
                is_one.then_some(problem)
            }
            _ => None,
        }
    }

    /// Every finding.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'a GroupFinding> + '_ {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }
}

/// The entries of a report, the worst first. What is beyond connections takes those that it explains under it, and goes under
/// those to which it only adds.
pub(super) fn entries<'a>(
    causes: Causes,
    beyond: Vec<&'a GroupFinding>,
    view: &View,
) -> Vec<Entry<'a>> {
    let mut causes = causes;
    let mut heads: Vec<Beyond<'a>> = Vec::new();
    let mut additions: Vec<(&'a GroupFinding, Reach)> = Vec::new();
    for found in beyond {
        let explained = Reach::explained_by(found);
        let explains = explained.map_or(Vec::new(), |reach| causes.take(&reach));
        let adds_to = Reach::adds_to(found).filter(|_| explains.is_empty());
        if let Some(reach) = adds_to {
            additions.push((found, reach));
            continue;
        }
        heads.push(Beyond {
            first: found,
            others: Vec::new(),
            explains,
        });
    }
    let mut problems = causes.into_problems();
    problems.retain(|problem| {
        let also = problem.detail.also().into_iter().map(|(code, _)| code);
        let mut codes = std::iter::once(problem.code).chain(also);
        codes.any(|code| view.selection.counts(code))
    });
    fold_stories(&mut problems, &mut heads);
    sort(&mut problems);
    let mut added: Vec<(Box<Problem>, Vec<&'a GroupFinding>)> = problems
        .into_iter()
        .map(|problem| (Box::new(problem), Vec::new()))
        .collect();
    for (found, reach) in additions {
        let concerned = added
            .iter_mut()
            .find(|(problem, _)| concerns(&reach, problem));
        match concerned {
            Some((_, additions)) => additions.push(found),
            None => heads.push(Beyond {
                first: found,
                others: Vec::new(),
                explains: Vec::new(),
            }),
        }
    }
    let mut entries: Vec<Entry<'a>> = fold_alike(heads).into_iter().map(Entry::Beyond).collect();
    let causes = added.into_iter();
    entries.extend(causes.map(|(problem, found)| Entry::Cause(problem, found)));
    entries.sort_by(|a, b| {
        let key = |entry: &Entry<'_>| (entry.severity(), entry.connections());
        key(b).cmp(&key(a)).then_with(|| a.code().cmp(b.code()))
    });
    entries
}

/// What a gateway answered its clients goes under the cause that its own connections show.
fn fold_stories(problems: &mut Vec<Problem>, heads: &mut [Beyond<'_>]) {
    let (followers, mut causes): (Vec<Problem>, Vec<Problem>) = std::mem::take(problems)
        .into_iter()
        .partition(|problem| problem.behind().is_some());
    for follower in followers {
        let cause = follower.behind().and_then(|(service, code)| {
            let is_cause = |problem: &&mut Problem| problem.code == code && problem.is_at(service);
            let explained = heads.iter_mut().flat_map(|head| &mut head.explains);
            causes.iter_mut().chain(explained).find(is_cause)
        });
        match cause {
            Some(cause) => {
                cause.severity = cause.severity.max(follower.severity);
                cause.follows.push(follower);
            }
            None => problems.push(follower),
        }
    }
    problems.append(&mut causes);
    for problem in problems {
        sort(&mut problem.follows);
    }
}

fn sort(problems: &mut [Problem]) {
    problems.sort_by(|a, b| {
        let key = |problem: &Problem| (problem.severity, problem.tally.connections);
        let order = key(b).cmp(&key(a)).then_with(|| a.code.cmp(b.code));
        order.then_with(|| a.tally.first_stream().cmp(&b.tally.first_stream()))
    });
}

/// Whether connections of a problem are those that a finding adds to.
fn concerns(reach: &Reach, problem: &Problem) -> bool {
    let also = problem.detail.also().into_iter().map(|(code, _)| code);
    let mut codes = std::iter::once(problem.code).chain(also);
    if matches!(reach.whose, Whose::Source(_)) || !codes.any(|code| reach.covers(code)) {
        return false;
    }
    match &problem.place {
        ServiceSet::One(service) => reach.holds(*service),
        ServiceSet::Many { services, .. } => {
            services.iter().any(|found| reach.holds(found.service))
        }
    }
}

/// Findings of one code become one entry where they are many; of attempts that failed, those for one reason.
fn fold_alike(heads: Vec<Beyond<'_>>) -> Vec<Beyond<'_>> {
    let kind = |head: &Beyond<'_>| {
        let finding = &head.first.finding;
        (finding.code, finding.facts.value("root_cause").cloned())
    };
    let kinds: Vec<_> = heads.iter().map(kind).collect();
    let mut folded: Vec<Beyond<'_>> = Vec::new();
    for head in heads {
        let own = kind(&head);
        let is_one_of_many = kinds.iter().filter(|kind| **kind == own).count() > MAX_ALIKE;
        let same = folded
            .iter_mut()
            .find(|known| is_one_of_many && kind(known) == own);
        match same {
            Some(known) => {
                known.others.push(head.first);
                known.explains.extend(head.explains);
            }
            None => folded.push(head),
        }
    }
    folded
}
