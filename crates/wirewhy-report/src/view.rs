//! Which connections and findings a report shows.

use wirewhy_detect::{Finding, Judged, Outcome, Severity};

/// What the reader asked to see. Totals count everything, whatever the view.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// Healthy connections too.
    pub all: bool,
    /// Nothing milder than this; `None` leaves it to the reporter.
    pub min_severity: Option<Severity>,
}

impl View {
    /// Whether a connection is shown.
    #[must_use]
    pub fn shows(&self, judged: &Judged) -> bool {
        if self.all {
            return true;
        }
        match self.min_severity {
            Some(least) => judged
                .findings
                .iter()
                .any(|finding| finding.severity >= least),
            None => judged.outcome() != Outcome::Ok,
        }
    }

    /// The findings of a connection that are shown: those severe enough, and the causes of such.
    pub(crate) fn findings<'a>(
        &self,
        findings: &'a [Finding],
    ) -> impl Iterator<Item = &'a Finding> + use<'a> {
        let least = self.min_severity.unwrap_or(Severity::Note);
        findings.iter().filter(move |finding| {
            finding.severity >= least
                || findings
                    .iter()
                    .any(|other| other.severity >= least && explains(findings, finding.code, other))
        })
    }
}

/// Whether the finding called `cause` is on the chain behind `finding`.
fn explains(findings: &[Finding], cause: &str, finding: &Finding) -> bool {
    chain(findings, finding)
        .skip(1)
        .any(|earlier| earlier.code == cause)
}

/// A finding, the one that explains it, the one that explains that, and so on; finite even where causes form a ring.
pub(crate) fn chain<'a>(
    findings: &'a [Finding],
    finding: &'a Finding,
) -> impl Iterator<Item = &'a Finding> {
    std::iter::successors(Some(finding), |latest| {
        let cause = latest.consequence_of?;
        findings.iter().find(|other| other.code == cause)
    })
    .take(findings.len().max(1))
}
