//! Who is told what a session finds: the person or program that reads, Prometheus, the folder of evidence.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use wirewhy::engine::Listener;
use wirewhy::evidence::{Case, Concerns, Evidence, EvidenceError, Recorder};
use wirewhy_capture::Interface;
use wirewhy_detect::{Finding, GroupFinding, Judged, Severity, Totals};
use wirewhy_packet::{Frame, Timestamp};
use wirewhy_report::{CaptureSummary, LiveReporter, Metrics, Status};

use crate::output::complain;

/// Everyone who listens.
pub(super) struct Ears<'a> {
    reporter: &'a mut dyn LiveReporter,
    metrics: Option<Arc<Metrics>>,
    keeper: Option<Keeper>,
    worst: Option<Severity>,
}

/// The flight recorder, and where its packets go when a connection fails.
pub(super) struct Keeper {
    evidence: Evidence,
    recorder: Recorder,
    filter: Option<String>,
    interfaces: Vec<Interface>,
    /// Connections that have their file, or were passed over, and are not over yet.
    seen: HashSet<u32>,
}

impl Keeper {
    /// Opens the folder.
    pub(super) fn open(
        folder: &Path,
        most: usize,
        memory: usize,
        filter: Option<String>,
    ) -> Result<Keeper, EvidenceError> {
        Ok(Keeper {
            evidence: Evidence::open(folder, most)?,
            recorder: Recorder::new(memory),
            filter,
            interfaces: Vec::new(),
            seen: HashSet::new(),
        })
    }

    /// Writes the file of a connection that failed, once.
    fn keep(&mut self, at: Timestamp, judged: &Judged) -> Result<(), EvidenceError> {
        if !self.seen.insert(judged.connection.stream) {
            return Ok(());
        }
        let case = Case {
            judged,
            recorder: &self.recorder,
            interfaces: &self.interfaces,
            filter: self.filter.as_deref(),
        };
        self.evidence.keep(&case, at).map(drop)
    }

    fn in_words(&self) -> Option<String> {
        let counts = self.evidence.counts();
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
}

impl<'a> Ears<'a> {
    pub(super) fn new(
        reporter: &'a mut dyn LiveReporter,
        metrics: Option<Arc<Metrics>>,
        keeper: Option<Keeper>,
    ) -> Ears<'a> {
        Ears {
            reporter,
            metrics,
            keeper,
            worst: None,
        }
    }

    pub(super) fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_deref()
    }

    /// Keeps a frame for the evidence.
    pub(super) fn record(&mut self, frame: &Frame<'_>, concerns: Concerns) {
        if let Some(keeper) = &mut self.keeper {
            keeper.recorder.record(frame, concerns);
        }
    }

    /// Frames come from these interfaces.
    pub(super) fn know(&mut self, interfaces: &[Interface]) {
        if let Some(keeper) = &mut self.keeper {
            keeper.interfaces.clear();
            keeper.interfaces.extend_from_slice(interfaces);
        }
    }

    /// A line on standard error.
    pub(super) fn say(&mut self, message: &str) -> io::Result<()> {
        self.reporter.make_room()?;
        complain(message);
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
        speaks: bool,
    ) -> io::Result<Option<Severity>> {
        self.reporter.finish(summary, totals, group)?;
        let kept = self.keeper.as_ref().and_then(Keeper::in_words);
        if let Some(kept) = kept.filter(|_| speaks) {
            self.say(&kept)?;
        }
        let beyond = group.iter().map(|found| found.finding.severity).max();
        Ok(self.worst.max(beyond))
    }
}

impl Listener for Ears<'_> {
    fn finding(&mut self, at: Timestamp, judged: &Judged, finding: &Finding) -> io::Result<()> {
        self.worst = self.worst.max(Some(finding.severity));
        if let Some(metrics) = &self.metrics {
            metrics.finding(finding);
        }
        if finding.severity == Severity::Error
            && let Some(keeper) = &mut self.keeper
            && let Err(error) = keeper.keep(at, judged)
        {
            self.say(&format!("evidence: {error}"))?;
        }
        self.reporter.finding(at, &judged.connection, finding)
    }

    fn beyond(&mut self, at: Timestamp, found: &GroupFinding) -> io::Result<()> {
        if let Some(metrics) = &self.metrics {
            metrics.finding(&found.finding);
        }
        self.reporter.beyond(at, found)
    }

    fn connection(&mut self, judged: &Judged) -> io::Result<()> {
        if let Some(metrics) = &self.metrics {
            metrics.connection(judged);
        }
        if let Some(keeper) = &mut self.keeper {
            keeper.seen.remove(&judged.connection.stream);
        }
        self.reporter.connection(judged)
    }
}
