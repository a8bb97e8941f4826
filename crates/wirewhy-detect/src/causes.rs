//! What explains what: one function that reads it from the records.

use crate::{Finding, Record, Severity};

/// A code that can explain a finding, as a record lists it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// Where the cause is at least as severe as what it explains: health checks, a note, explain notes and no failure.
    IfAsSevere(&'static str),
    /// Where the cause is an error: a certificate that the client took all the same explains nothing.
    IfError(&'static str),
    /// Whatever its severity: an ICMP "fragmentation needed" is a warning, and explains the black hole behind it.
    Always(&'static str),
}

impl Cause {
    /// The code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Cause::IfAsSevere(code) | Cause::IfError(code) | Cause::Always(code) => code,
        }
    }

    fn explains(self, severity: Severity, cause: &Finding) -> bool {
        cause.code == self.code()
            && match self {
                Cause::IfAsSevere(_) => cause.severity >= severity,
                Cause::IfError(_) => cause.severity == Severity::Error,
                Cause::Always(_) => true,
            }
    }
}

/// Sets `consequence_of` of every finding of one connection: the first code of its record's `explained_by` that is among the
/// findings. To be run after all rules, and again where the survey added or changed a finding. `record_of` gives the record of
/// a code; a finding without a record is left as it is.
pub fn link_causes(findings: &mut [Finding], record_of: impl Fn(&str) -> Option<&'static Record>) {
    let links: Vec<Option<&'static str>> = findings
        .iter()
        .map(|finding| {
            let causes = record_of(finding.code)?.explained_by.iter();
            causes
                .filter(|cause| {
                    let mut others = findings.iter();
                    others.any(|other| cause.explains(finding.severity, other))
                })
                .map(|cause| cause.code())
                .next()
        })
        .collect();
    for (finding, link) in findings.iter_mut().zip(links) {
        finding.consequence_of = link;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DETECTORS;

    fn causes_of(code: &str) -> &'static [Cause] {
        let mut detectors = DETECTORS.iter();
        detectors
            .find(|detector| detector.record.code == code)
            .map_or(&[], |detector| detector.record.explained_by)
    }

    #[test]
    fn no_code_explains_itself_even_over_others() {
        for detector in DETECTORS {
            let start = detector.record.code;
            let mut seen = Vec::new();
            let mut open = vec![start];
            while let Some(code) = open.pop() {
                for cause in causes_of(code) {
                    assert_ne!(cause.code(), start, "a circle through {code}");
                    if !seen.contains(&cause.code()) {
                        seen.push(cause.code());
                        open.push(cause.code());
                    }
                }
            }
        }
    }
}
