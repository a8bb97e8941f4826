//! Which connections and findings a report shows.

use wirewhy_detect::{Diagnosis, Finding, Outcome, Severity};

/// What the reader asked to see. It chooses what is shown, never what is concluded: outcomes, root causes and totals are the
/// same whatever the view.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// Healthy connections too.
    pub all: bool,
    /// Nothing milder than this; `None` leaves it to the reporter.
    pub min_severity: Option<Severity>,
    /// Findings with these codes.
    pub selection: Selection,
    /// The measured values behind each sentence, and every next step.
    pub facts: bool,
}

impl View {
    /// Everything, healthy connections too.
    #[must_use]
    pub fn everything() -> View {
        View {
            all: true,
            ..View::default()
        }
    }

    /// Whether a connection is shown.
    #[must_use]
    pub fn shows(&self, diagnosis: &Diagnosis) -> bool {
        if self.all {
            return true;
        }
        if diagnosis.findings.is_empty() {
            let asks_for_findings = self.min_severity.is_some() || !self.selection.only.is_empty();
            return diagnosis.outcome() != Outcome::Ok && !asks_for_findings;
        }
        let is_due = self.min_severity.is_some() || diagnosis.outcome() != Outcome::Ok;
        is_due
            && diagnosis
                .findings
                .iter()
                .any(|finding| self.counts(finding))
    }

    /// Whether a finding is severe enough and selected.
    #[must_use]
    pub fn counts(&self, finding: &Finding) -> bool {
        self.counts_code(finding.code, finding.severity)
    }

    /// Whether what has this code and severity is shown.
    pub(crate) fn counts_code(&self, code: &str, severity: Severity) -> bool {
        severity >= self.min_severity.unwrap_or(Severity::Note) && self.selection.counts(code)
    }

    /// The findings of a connection that are shown: those that count, and of what is not ignored the causes of such.
    pub(crate) fn findings<'v, 'a>(
        &'v self,
        findings: &'a [Finding],
    ) -> impl Iterator<Item = &'a Finding> + use<'v, 'a> {
        findings.iter().filter(move |finding| {
            self.counts(finding)
                || self.selection.counts(finding.code)
                    && findings
                        .iter()
                        .any(|other| self.counts(other) && explains(findings, finding.code, other))
        })
    }

    /// The mildest severity that a report for people shows.
    pub(crate) fn least(&self) -> Severity {
        match (self.min_severity, self.all) {
            (Some(least), _) => least,
            (None, true) => Severity::Note,
            (None, false) => Severity::Warning,
        }
    }

    /// What hides findings, in the words of the command line.
    pub(crate) fn hidden_by(&self) -> String {
        let Selection {
            only,
            ignore,
            ignore_by_config,
        } = &self.selection;
        let by: Vec<&str> = [
            (!only.is_empty(), "--only"),
            (!ignore.is_empty(), "--ignore"),
            (!ignore_by_config.is_empty(), "the configuration's ignore"),
            (self.min_severity.is_some(), "--min-severity"),
        ]
        .into_iter()
        .filter_map(|(is_used, name)| is_used.then_some(name))
        .collect();
        match by.as_slice() {
            [most @ .., last] if !most.is_empty() => format!("{} and {last}", most.join(", ")),
            names => names.concat(),
        }
    }
}

/// Which findings are shown, by globs over their codes (`tcp.*`).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selection {
    /// Only these; all if empty.
    pub only: Vec<String>,
    /// Not these.
    pub ignore: Vec<String>,
    /// Nor these, which the configuration names.
    pub ignore_by_config: Vec<String>,
}

impl Selection {
    /// Whether a code is shown.
    #[must_use]
    pub fn counts(&self, code: &str) -> bool {
        let any = |globs: &[String]| globs.iter().any(|glob| glob_matches(glob, code));
        (self.only.is_empty() || any(&self.only))
            && !any(&self.ignore)
            && !any(&self.ignore_by_config)
    }
}

/// Whether a glob, in which `*` stands for any text, matches all of `text`.
#[must_use]
pub fn glob_matches(glob: &str, text: &str) -> bool {
    match glob.split_once('*') {
        None => glob == text,
        Some((before, rest)) => text.strip_prefix(before).is_some_and(|text| {
            (0..=text.len())
                .filter_map(|at| text.get(at..))
                .any(|tail| glob_matches(rest, tail))
        }),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_codes() {
        assert!(glob_matches("tcp.*", "tcp.refused"));
        assert!(glob_matches("*.re*d", "tcp.refused"));
        assert!(glob_matches("tcp.refused", "tcp.refused"));
        assert!(!glob_matches("tcp.ref", "tcp.refused"));
        assert!(!glob_matches("tls.*", "tcp.refused"));
    }

    #[test]
    fn what_is_ignored_beats_what_is_wanted() {
        let selection = Selection {
            only: vec!["tcp.*".to_owned()],
            ignore: vec!["tcp.probe".to_owned()],
            ignore_by_config: vec!["tcp.unreachable".to_owned()],
        };
        assert!(selection.counts("tcp.refused"));
        assert!(!selection.counts("tcp.probe"));
        assert!(!selection.counts("tcp.unreachable"));
        assert!(!selection.counts("capture.offload"));
    }
}
