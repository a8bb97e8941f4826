//! What explains what: one function that reads it from the records.

use crate::{Finding, Record, Severity, Value};

/// A code that can explain a finding, as a record lists it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// Where the cause is at least as severe as what it explains: health checks, a note, explain notes and no failure.
    IfAsSevere(&'static str),
    /// Where the cause is an error: a certificate that the client took all the same explains nothing.
    IfError(&'static str),
    /// Whatever its severity: an ICMP "fragmentation needed" is a warning, and explains the black hole behind it.
    Always(&'static str),
    /// Whatever its severity, where this fact of it holds: an error status explains what follows if it was the last answer.
    Where(&'static str, &'static str),
    /// The first of several that was found.
    FirstOf(&'static [Cause]),
}

/// What can be wrong with the server's certificates, the plainest first: the client need not say which of several it refused.
pub(crate) const CERTIFICATES: Cause = Cause::FirstOf(&[
    Cause::IfError("tls.cert-revoked"),
    Cause::IfError("tls.cert-expired"),
    Cause::IfError("tls.cert-not-yet-valid"),
    Cause::IfError("tls.cert-name-mismatch"),
    Cause::IfError("tls.cert-self-signed"),
    Cause::IfError("tls.cert-chain-incomplete"),
    Cause::IfError("tls.cert-untrusted"),
    Cause::IfError("tls.cert-weak"),
    Cause::IfError("tls.staple-missing"),
    Cause::IfError("tls.intercepted"),
    Cause::IfError("tls.cert-rejected"),
]);

/// What more clients refuse in a certificate than a weak algorithm or a missing staple.
pub(crate) const PLAINER_FAULTS: &[Cause] = &[
    Cause::IfError("tls.intercepted"),
    Cause::IfError("tls.cert-revoked"),
    Cause::IfError("tls.cert-expired"),
    Cause::IfError("tls.cert-not-yet-valid"),
    Cause::IfError("tls.cert-name-mismatch"),
    Cause::IfError("tls.cert-self-signed"),
    Cause::IfError("tls.cert-chain-incomplete"),
    Cause::IfError("tls.cert-untrusted"),
];

/// What a service said in its own protocol before the connection ended, and what kept both sides from understanding one another.
pub(crate) const CONVERSATION: Cause = Cause::FirstOf(&[
    Cause::IfAsSevere("ssh.not-ssh"),
    Cause::IfAsSevere("ssh.no-shared-algorithms"),
    Cause::IfAsSevere("app.session-refused"),
    Cause::IfError("ftp.control-lost"),
    Cause::IfError("ftp.data-connection-failed"),
    Cause::IfError("ftp.error-reply"),
    HTTP,
]);

/// What an alert that ended a handshake can stand for.
pub(crate) const ALERTS: Cause = Cause::FirstOf(&[
    Cause::IfAsSevere("tls.version-mismatch"),
    Cause::IfAsSevere("tls.no-shared-parameters"),
    Cause::IfAsSevere("tls.alpn-mismatch"),
    Cause::IfAsSevere("tls.unrecognized-name"),
    Cause::IfAsSevere("tls.client-cert-missing"),
    Cause::IfAsSevere("tls.client-cert-rejected"),
    Cause::IfAsSevere("tls.downgraded"),
    Cause::IfAsSevere("tls.weak-key-exchange"),
    Cause::IfAsSevere("tls.extension-required"),
    Cause::IfAsSevere("tls.record-corrupted"),
    Cause::IfAsSevere("tls.alert"),
    Cause::IfAsSevere("tls.encrypted-alert"),
]);

/// What HTTP itself said before the connection ended: the last answer was an error, or one of them is as bad as what followed.
const HTTP: Cause = Cause::FirstOf(&[
    Cause::IfAsSevere("http2.protocol-mismatch"),
    Cause::IfAsSevere("http2.goaway"),
    Cause::IfAsSevere("http2.stream-reset"),
    Cause::IfAsSevere("http.connect-refused"),
    Cause::IfAsSevere("http.upgrade-refused"),
    Cause::Where("http.error-status", "last_answer"),
    Cause::IfAsSevere("http.error-status"),
    Cause::IfAsSevere("grpc.error-status"),
]);

impl Cause {
    /// The code of the cause that was found for a finding of this severity, if any was.
    fn found(self, severity: Severity, findings: &[Finding]) -> Option<&'static str> {
        let is_there = |code: &'static str, least: Severity| {
            let mut causes = findings.iter().filter(|cause| cause.code == code);
            causes.any(|cause| cause.severity >= least).then_some(code)
        };
        match self {
            Cause::IfAsSevere(code) => is_there(code, severity),
            Cause::IfError(code) => is_there(code, Severity::Error),
            Cause::Always(code) => is_there(code, Severity::Note),
            Cause::Where(code, fact) => {
                let mut causes = findings.iter().filter(|cause| cause.code == code);
                causes
                    .any(|cause| cause.facts.value(fact) == Some(&Value::Flag(true)))
                    .then_some(code)
            }
            Cause::FirstOf(causes) => causes
                .iter()
                .find_map(|cause| cause.found(severity, findings)),
        }
    }

    /// Every code that it names.
    #[must_use]
    pub fn codes(self) -> Vec<&'static str> {
        match self {
            Cause::IfAsSevere(code)
            | Cause::IfError(code)
            | Cause::Always(code)
            | Cause::Where(code, _) => vec![code],
            Cause::FirstOf(causes) => causes.iter().flat_map(|cause| cause.codes()).collect(),
        }
    }
}

/// Sets `consequence_of` of every finding of one connection: the first code of its record's `explained_by` that is among the
/// findings. To be run after all rules, and again where the survey added or changed a finding. `record_of` gives the record of
/// a code; a finding without a record is left as it is.
pub fn link_causes(findings: &mut [Finding], record_of: impl Fn(&str) -> Option<&'static Record>) {
    // No code explains itself.
    if let [only] = findings {
        only.consequence_of = None;
        return;
    }
    let links: Vec<Option<&'static str>> = findings
        .iter()
        .map(|finding| {
            let mut causes = record_of(finding.code)?.explained_by.iter();
            causes.find_map(|cause| cause.found(finding.severity, findings))
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
                let causes = causes_of(code).iter().flat_map(|cause| cause.codes());
                for cause in causes {
                    assert_ne!(cause, start, "a circle through {code}");
                    if !seen.contains(&cause) {
                        seen.push(cause);
                        open.push(cause);
                    }
                }
            }
        }
    }
}
