//! The report as data: what text, HTML, Markdown and JSON show, without their words.
//!
//! A [`Gathering`] takes in the connections one by one in bounded memory; [`Gathering::into_report`] makes a [`Report`] of
//! them: [`Entry`]s, each of which is one root cause at one service (or at many, where there are too many), with everything that
//! only follows from it folded in.

mod cause;
mod causes;
mod detail;
mod entry;
mod explained;
mod few;
mod healthy;
mod instance;
mod stream;
mod tally;

use std::cmp::Reverse;

use wirewhy_detect::{Diagnosis, Finding, Outcome, Scope, Severity};
use wirewhy_flow::Unopened;
use wirewhy_survey::{GroupFinding, Totals};

use crate::{CaptureSummary, View};
pub(crate) use cause::{Problem, ServiceSet};
use causes::Causes;
pub(crate) use causes::Service;
pub(crate) use detail::{Blame, Detail, behind};
pub(crate) use entry::{Beyond, Entry};
pub(crate) use healthy::{Healthy, HealthyService};
use instance::Instance;
pub(crate) use stream::StreamId;
pub(crate) use tally::{Tally, Waited};

/// Everything a report about one recording shows.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    /// The recording.
    pub(crate) capture: &'a CaptureSummary,
    /// The sums over its connections.
    pub(crate) totals: &'a Totals,
    /// What went wrong, the worst first.
    pub(crate) entries: Vec<Entry<'a>>,
    /// What the recording could not carry, the most severe first: it lowers the confidence of everything else.
    pub(crate) caveats: Vec<&'a Finding>,
    /// The connections without a problem, where they are to be shown.
    pub(crate) healthy: Healthy,
    /// How many findings are not shown because the reader left them out.
    pub(crate) hidden: u64,
}

/// The connections of a recording, as far as a report needs them.
#[derive(Debug)]
pub(crate) struct Gathering {
    view: View,
    causes: Causes,
    healthy: Healthy,
    connections: u64,
    hidden: u64,
}

impl Gathering {
    /// A gathering without connections.
    pub(crate) fn new(view: View) -> Gathering {
        Gathering {
            causes: Causes::new(view.least()),
            view,
            healthy: Healthy::default(),
            connections: 0,
            hidden: 0,
        }
    }

    /// Takes in a connection whose findings have no words, where none of them are kept. Returns whether it did.
    pub(crate) fn count(&mut self, diagnosis: &Diagnosis) -> bool {
        let counts = diagnosis
            .findings
            .iter()
            .any(|found| self.view.counts(found));
        let keeps = counts
            && diagnosis.root_cause().is_some_and(|root| {
                let instance = Instance::of(&diagnosis.connection);
                self.causes.keeps_words(&instance, root)
            });
        if !keeps {
            self.add(diagnosis);
        }
        !keeps
    }

    /// The same of an attempt that opened nothing.
    pub(crate) fn count_unopened(&mut self, attempt: &Unopened, finding: Option<&Finding>) -> bool {
        let instance = Instance::of_unopened(attempt);
        let counts = finding.is_some_and(|found| self.view.counts(found));
        let keeps = match finding {
            Some(found) => counts && self.causes.keeps_words(&instance, found),
            None => self.view.all,
        };
        if keeps {
            return false;
        }
        let place = self.connections;
        self.connections += 1;
        self.hidden += self.left_out(finding.into_iter());
        if let Some(found) = finding.filter(|_| counts) {
            self.causes.count(&instance, found, place);
        }
        true
    }

    /// The same of a connection that went well.
    pub(crate) fn count_healthy(&mut self) -> bool {
        self.connections += u64::from(!self.view.all);
        !self.view.all
    }

    /// Takes in one connection.
    pub(crate) fn add(&mut self, diagnosis: &Diagnosis) {
        let place = self.connections;
        self.connections += 1;
        if self.view.all && matches!(diagnosis.outcome(), Outcome::Ok | Outcome::Undecided) {
            self.healthy.add(diagnosis, place);
        }
        if diagnosis.findings.is_empty() {
            return;
        }
        let shown = diagnosis
            .findings
            .iter()
            .filter(|found| self.view.counts(found));
        let shown = shown.count();
        self.hidden += self.left_out(diagnosis.findings.iter());
        if shown > 0 {
            self.causes.add(diagnosis, place);
        }
    }

    /// The report, once every connection was added.
    pub(crate) fn into_report<'a>(
        self,
        capture: &'a CaptureSummary,
        totals: &'a Totals,
        group: &'a [GroupFinding],
    ) -> Report<'a> {
        let hidden = self.hidden + self.left_out(group.iter().map(|found| &found.finding));
        let (about_recording, beyond): (Vec<_>, Vec<_>) =
            shown(group, &self.view).partition(|found| found.scope == Scope::Capture);
        let mut caveats: Vec<&Finding> = about_recording
            .into_iter()
            .map(|found| &found.finding)
            .collect();
        caveats.sort_by_key(|finding| Reverse(finding.severity));
        Report {
            capture,
            totals,
            entries: entry::entries(self.causes, beyond, &self.view),
            caveats,
            healthy: self.healthy,
            hidden,
        }
    }

    /// How many of these the reader left out, of those that a report shows without being asked for more.
    fn left_out<'a>(&self, findings: impl Iterator<Item = &'a Finding>) -> u64 {
        let least = if self.view.all {
            Severity::Note
        } else {
            Severity::Warning
        };
        let notable = findings.filter(|finding| finding.severity >= least);
        notable.filter(|finding| !self.view.counts(finding)).count() as u64
    }
}

/// The findings beyond single connections that are shown.
pub(crate) fn shown<'a>(
    group: &'a [GroupFinding],
    view: &View,
) -> impl Iterator<Item = &'a GroupFinding> {
    group
        .iter()
        .filter(move |found| view.counts(&found.finding))
}
