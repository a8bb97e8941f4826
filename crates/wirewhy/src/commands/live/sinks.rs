//! Where the findings of a session go: the person or program that reads, Prometheus, the folder of evidence.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use wirewhy::engine::Listener;
use wirewhy::evidence::{Counts, EvidenceError, EvidenceWriter, FrameScope};
use wirewhy_capture::Interface;
use wirewhy_detect::{Diagnosis, Finding, Outcome, Severity};
use wirewhy_flow::{Connection, Transport};
use wirewhy_packet::{Frame, Interval, Timestamp};
use wirewhy_report::{CaptureSummary, EvidenceSums, LiveReporter, Metrics, Status, View};
use wirewhy_survey::{GroupFinding, Totals};

use crate::journal::Priority;
use crate::output::print_line;

/// All of them.
pub(super) struct LiveSinks<'a> {
    reporter: &'a mut dyn LiveReporter,
    metrics: Option<Arc<Metrics>>,
    evidence_writer: Option<EvidenceWriter>,
    /// What is shown, kept as evidence and heeded by `--fail-on`. Metrics count everything.
    view: View,
    /// Connections that were counted as failed before they were over.
    failed: HashSet<(Transport, u32, u64)>,
    worst: Option<Severity>,
}

impl<'a> LiveSinks<'a> {
    pub(super) fn new(
        reporter: &'a mut dyn LiveReporter,
        metrics: Option<Arc<Metrics>>,
        evidence_writer: Option<EvidenceWriter>,
        view: View,
    ) -> LiveSinks<'a> {
        LiveSinks {
            reporter,
            metrics,
            evidence_writer,
            view,
            failed: HashSet::new(),
            worst: None,
        }
    }

    pub(super) fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_deref()
    }

    /// What became of the evidence so far.
    pub(super) fn evidence(&self) -> EvidenceSums {
        let counts = self.evidence_writer.as_ref().map(EvidenceWriter::counts);
        counts.map_or_else(EvidenceSums::default, |counts| EvidenceSums {
            written: counts.written,
            removed: counts.removed,
            passed_over: counts.passed_over,
            failed: counts.failed,
        })
    }

    /// Keeps a frame for the evidence.
    pub(super) fn record(&mut self, frame: &Frame<'_>, frame_scope: FrameScope) {
        if let Some(evidence_writer) = &mut self.evidence_writer {
            evidence_writer.record(frame, frame_scope);
        }
    }

    /// Writes what evidence is due. Frames come from these interfaces.
    pub(super) fn write_evidence(
        &mut self,
        now: Timestamp,
        interfaces: &[Interface],
    ) -> io::Result<()> {
        let evidence_writer = self.evidence_writer.as_mut();
        let errors =
            evidence_writer.map(|evidence_writer| evidence_writer.write_due(now, interfaces));
        self.complain_of(errors)
    }

    /// Writes all evidence there is: nothing more will come.
    pub(super) fn write_last_evidence(
        &mut self,
        now: Timestamp,
        interfaces: &[Interface],
    ) -> io::Result<()> {
        let evidence_writer = self.evidence_writer.as_mut();
        let errors = evidence_writer.map(|evidence_writer| evidence_writer.finish(now, interfaces));
        self.complain_of(errors)
    }

    fn complain_of(&mut self, errors: Option<Vec<EvidenceError>>) -> io::Result<()> {
        for error in errors.into_iter().flatten() {
            self.say(Priority::Warning, &format!("evidence: {error}"))?;
        }
        Ok(())
    }

    /// A line on standard error.
    pub(super) fn say(&mut self, priority: Priority, message: &str) -> io::Result<()> {
        self.reporter.make_room()?;
        print_line(priority, message);
        Ok(())
    }

    pub(super) fn pulse(&mut self, now: Timestamp, status: &Status) -> io::Result<()> {
        self.reporter.pulse(now, status)
    }

    /// The end. Returns the worst severity found.
    pub(super) fn finish(
        mut self,
        summary: &CaptureSummary,
        totals: &Totals,
        group: &[GroupFinding],
        warns: bool,
    ) -> io::Result<Option<Severity>> {
        self.reporter.finish(summary, totals, group)?;
        let kept = self.evidence_writer.as_ref();
        let kept = kept.and_then(|evidence_writer| in_words(evidence_writer.counts()));
        if let Some(kept) = kept.filter(|_| warns) {
            self.say(Priority::Info, &kept)?;
        }
        let shown = group
            .iter()
            .filter(|found| self.view.counts(&found.finding));
        let beyond = shown.map(|found| found.finding.severity).max();
        Ok(self.worst.max(beyond))
    }
}

impl Listener for LiveSinks<'_> {
    fn finding(
        &mut self,
        at: Timestamp,
        diagnosis: &Diagnosis,
        finding: &Finding,
    ) -> io::Result<()> {
        if let Some(metrics) = &self.metrics {
            metrics.finding(finding);
            // The operator is not to wait until the connection is over.
            let identity = diagnosis.connection.identity();
            if finding.severity == Severity::Error && self.failed.insert(identity) {
                metrics.connection(Outcome::Failed);
            }
        }
        if !self.view.counts(finding) {
            return Ok(());
        }
        self.worst = self.worst.max(Some(finding.severity));
        if let Some(evidence_writer) = &mut self.evidence_writer {
            evidence_writer.finding(at, diagnosis, finding);
        }
        self.reporter.finding(at, &diagnosis.connection, finding)
    }

    fn beyond(&mut self, at: Timestamp, found: &GroupFinding) -> io::Result<()> {
        if let Some(metrics) = &self.metrics {
            metrics.finding(&found.finding);
        }
        if !self.view.counts(&found.finding) {
            return Ok(());
        }
        self.reporter.beyond(at, found)
    }

    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        if let Some(metrics) = &self.metrics {
            if !self.failed.remove(&diagnosis.connection.identity()) {
                metrics.connection(diagnosis.outcome());
            }
            if let Some(took) = tls_handshake(&diagnosis.connection) {
                metrics.tls_handshake(took);
            }
        }
        if let Some(evidence_writer) = &mut self.evidence_writer {
            evidence_writer.connection(diagnosis);
        }
        self.reporter.connection(diagnosis)
    }
}

fn in_words(counts: Counts) -> Option<String> {
    let mut parts = Vec::new();
    for (count, what) in [
        (counts.written, "written"),
        (counts.removed, "removed to make room"),
        (
            counts.passed_over,
            "not written because too many came at once",
        ),
        (counts.failed, "not written because writing failed"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    (!parts.is_empty()).then(|| format!("evidence files: {}", parts.join(", ")))
}

/// From the ClientHello to the client's Finished, or to the record that most likely carried it.
fn tls_handshake(connection: &Connection) -> Option<Interval> {
    let tls = connection.app.as_deref()?.tls.as_deref()?;
    let begun = tls.client.messages.first()?.begun;
    let likely = tls.client.likely_finished.as_ref();
    let finished = tls.client.finished.or(likely.map(|record| record.mark))?;
    Some(finished.time.since(begun.time)).filter(|took| *took >= Interval::ZERO)
}
