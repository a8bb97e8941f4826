//! The report as data: what text, HTML, Markdown and JSON show, without their words.
//!
//! A [`Gathering`] takes in the connections one by one in bounded memory; [`Gathering::into_report`] makes a [`Report`] of
//! them: the connections in trouble, folded into one [`Problem`] for each root cause at one service (or at many, where there
//! are too many), and the findings beyond single connections by what they are about.

mod causes;
mod healthy;
mod problem;

use std::cmp::Reverse;

use wirewhy_detect::{Finding, Judged, Outcome, Scope, Severity};
use wirewhy_survey::{GroupFinding, Totals};

use crate::{CaptureSummary, View};
use causes::Causes;
pub(crate) use healthy::{Healthy, HealthyService};
pub(crate) use problem::{Place, Problem, Tally};

/// Everything a report about one recording shows.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    /// The recording.
    pub(crate) capture: &'a CaptureSummary,
    /// The sums over its connections.
    pub(crate) totals: &'a Totals,
    /// What went wrong, the worst first.
    pub(crate) problems: Vec<Problem>,
    /// The findings about services, hosts and lookups by code, the most severe first.
    pub(crate) beyond: Vec<Vec<&'a GroupFinding>>,
    /// What the recording could not carry, the most severe first: it lowers the confidence of everything else.
    pub(crate) caveats: Vec<&'a Finding>,
    /// The connections without a problem, where they are to be shown.
    pub(crate) healthy: Healthy,
}

/// The connections of a recording, as far as a report needs them.
#[derive(Debug)]
pub(crate) struct Gathering {
    view: View,
    causes: Causes,
    healthy: Healthy,
}

impl Gathering {
    /// A gathering without connections.
    pub(crate) fn new(view: View) -> Gathering {
        let least = match (view.min_severity, view.all) {
            (Some(least), _) => least,
            (None, true) => Severity::Note,
            (None, false) => Severity::Warning,
        };
        Gathering {
            view,
            causes: Causes::new(least),
            healthy: Healthy::default(),
        }
    }

    /// Takes in one connection.
    pub(crate) fn add(&mut self, judged: &Judged) {
        self.causes.add(judged);
        if self.view.all && matches!(judged.outcome(), Outcome::Ok | Outcome::Undecided) {
            self.healthy.add(judged);
        }
    }

    /// The report, once every connection was added.
    pub(crate) fn into_report<'a>(
        self,
        capture: &'a CaptureSummary,
        totals: &'a Totals,
        group: &'a [GroupFinding],
    ) -> Report<'a> {
        let mut caveats: Vec<&Finding> = group
            .iter()
            .filter(|found| found.scope == Scope::Capture)
            .map(|found| &found.finding)
            .collect();
        caveats.sort_by_key(|finding| Reverse(finding.severity));
        Report {
            capture,
            totals,
            problems: self.causes.into_problems(),
            beyond: by_code(group, self.view),
            caveats,
            healthy: self.healthy,
        }
    }
}

/// The findings about services, hosts and lookups that are shown, by code.
fn by_code(group: &[GroupFinding], view: View) -> Vec<Vec<&GroupFinding>> {
    let mut found: Vec<&GroupFinding> = shown(group, view)
        .filter(|found| found.scope != Scope::Capture)
        .collect();
    found.sort_by_key(|found| Reverse(found.finding.severity));
    let mut codes: Vec<Vec<&GroupFinding>> = Vec::new();
    for found in found {
        let code = found.finding.code;
        let same = codes.iter_mut().find(|alike| {
            let first = alike.first();
            first.is_some_and(|first| first.finding.code == code)
        });
        match same {
            Some(alike) => alike.push(found),
            None => codes.push(vec![found]),
        }
    }
    codes
}

/// The findings beyond single connections that are shown.
pub(crate) fn shown(group: &[GroupFinding], view: View) -> impl Iterator<Item = &GroupFinding> {
    let least = view.min_severity.unwrap_or(Severity::Note);
    group
        .iter()
        .filter(move |found| found.finding.severity >= least)
}
