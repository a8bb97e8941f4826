//! The one loop: frame, packet, connection, findings, report.
//!
//! Modes differ in where frames come from and who listens; what happens in between is here and only here.

mod batch;
mod diagnosing;
mod feed;
mod following;
mod live;
mod packet_notes;
mod pool;

use std::io;

use crate::evidence::SharedRecorder;
use diagnosing::{Diagnosing, Sink};
pub use feed::Feed;
pub use following::Fed;
use following::Following;
pub use pool::ThreadPool;
use wirewhy_capture::{CaptureInfo, Filters, Recording};
use wirewhy_detect::{Diagnosis, Finding, Limits, Severity, TrustStore};
use wirewhy_flow::{Bounds, Observed, Unopened};
use wirewhy_packet::Packet;
use wirewhy_protocol::KeyLog;
use wirewhy_report::{CaptureSummary, FileSummary, FilterSummary, Reporter, View};
use wirewhy_survey::{CaptureFaults, GroupFinding, Totals};

pub use live::{Listener, Live, LiveCounts};
pub use wirewhy_report::{Selection, glob_matches};

/// What an analysis is to do.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// How much the tracker holds.
    pub bounds: Bounds,
    /// Thresholds of the detectors.
    pub limits: Limits,
    /// What the servers' certificates are held against.
    pub trust: TrustStore,
    /// How many connections wait for what later ones may tell about them.
    pub held: usize,
    /// Whether a connection is followed packet by packet although it shows no trouble: the same result for more work.
    pub follows_all: bool,
    /// Secrets to decrypt TLS with, besides those in the captures themselves.
    pub keys: KeyLog,
    /// How many bytes of a recording are read at most, decompressed.
    pub max_bytes: Option<u64>,
    /// Keeps the last packets, for who wants some of them when the analysis is done.
    pub recorder: Option<SharedRecorder>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            bounds: Bounds::default(),
            limits: Limits::default(),
            trust: TrustStore::mozilla(),
            held: 4_096,
            follows_all: false,
            keys: KeyLog::new(),
            max_bytes: None,
            recorder: None,
        }
    }
}

/// An analysis under way. Packets go in; diagnosed connections come out to `sink`, failed ones a little later than they
/// ended, so that others of the capture can bear on them.
#[derive(Debug)]
pub struct Analysis {
    following: Following,
    diagnosing: Diagnosing,
}

impl Analysis {
    /// An analysis that has seen nothing.
    #[must_use]
    pub fn new(options: EngineOptions) -> Analysis {
        let mut options = options;
        let keys = std::mem::take(&mut options.keys);
        Analysis {
            following: Following::new(&options, keys),
            diagnosing: Diagnosing::new(options),
        }
    }

    /// Takes in one packet. Returns what became of it if it was TCP.
    ///
    /// # Errors
    ///
    /// What `sink` returns.
    pub fn observe(
        &mut self,
        packet: &Packet<'_>,
        sink: &mut dyn FnMut(&Diagnosis) -> io::Result<()>,
    ) -> io::Result<Option<Observed>> {
        let mut sink = sink;
        let observed = self.following.observe(packet);
        if !self.following.ended.is_empty() {
            let ended = &mut self.following.ended;
            self.diagnosing.take_all(ended, &mut sink)?;
            let spent = self.diagnosing.spent.drain(..);
            self.following.tracker.take_back(spent);
        }
        Ok(observed)
    }

    /// Takes in what a [`Feed`] gives: a packet that a filter leaves out keeps its stream number and is not analysed. Returns
    /// what became of it if it was TCP and was analysed.
    ///
    /// # Errors
    ///
    /// What `sink` returns.
    pub fn take(
        &mut self,
        fed: &Fed<'_, '_>,
        sink: &mut dyn FnMut(&Diagnosis) -> io::Result<()>,
    ) -> io::Result<Option<Observed>> {
        let mut sink = sink;
        let observed = self.following.take(fed);
        if !self.following.ended.is_empty() {
            let ended = &mut self.following.ended;
            self.diagnosing.take_all(ended, &mut sink)?;
            let spent = self.diagnosing.spent.drain(..);
            self.following.tracker.take_back(spent);
        }
        Ok(observed)
    }

    /// Ends the analysis: hands over every connection left, and returns the totals and the findings beyond single
    /// connections. `summary` says what only the reader knows: source, problem, drops.
    ///
    /// # Errors
    ///
    /// What `sink` returns.
    pub fn finish(
        mut self,
        summary: &CaptureSummary,
        sink: &mut dyn FnMut(&Diagnosis) -> io::Result<()>,
    ) -> io::Result<(Totals, Vec<GroupFinding>)> {
        let mut sink = sink;
        let Analysis {
            following,
            diagnosing,
        } = &mut self;
        diagnosing.take_rest(following, &mut sink)?;
        Ok(self.conclude(summary))
    }

    /// The totals and the findings beyond single connections, once every connection is settled.
    fn conclude(self, summary: &CaptureSummary) -> (Totals, Vec<GroupFinding>) {
        let found = self.beyond(CaptureFaults {
            source: summary.source.clone(),
            problem: summary.problem.clone(),
            dropped_packets: summary.dropped_packets,
            gaps: summary.gaps.clone(),
            ..CaptureFaults::default()
        });
        let totals = Totals {
            tcp_packets: self.following.tracker.tally().tcp_packets,
            ..self.diagnosing.totals
        };
        (totals, found)
    }

    /// The findings beyond single connections, as far as the connections that are over show them.
    fn beyond(&self, recording: CaptureFaults) -> Vec<GroupFinding> {
        let options = &self.diagnosing.options;
        let faults = self.following.faults(recording);
        let neighbours = &self.following.notes.neighbours;
        let survey = &self.diagnosing.survey;
        let lookups = self.following.tracker.lookups();
        survey.findings(faults, neighbours, lookups, &options.limits)
    }
}

/// A reporter, and what was reported to it.
struct Reported<'a> {
    reporter: &'a mut dyn Reporter,
    view: &'a View,
    /// The worst severity of a finding that is shown.
    worst: Option<Severity>,
}

impl Reported<'_> {
    fn note(&mut self, diagnosis: &Diagnosis) {
        let shown = diagnosis.findings.iter();
        let shown = shown.filter(|found| self.view.counts(found));
        self.worst = self.worst.max(shown.map(|found| found.severity).max());
    }
}

impl Sink for Reported<'_> {
    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        self.note(diagnosis);
        self.reporter.connection(diagnosis)
    }

    fn count(&mut self, diagnosis: &Diagnosis) -> bool {
        let is_counted = self.reporter.count(diagnosis);
        if is_counted {
            self.note(diagnosis);
        }
        is_counted
    }

    fn count_unopened(&mut self, attempt: &Unopened, finding: Option<&Finding>) -> bool {
        let is_counted = self.reporter.count_unopened(attempt, finding);
        if is_counted {
            let shown = finding.filter(|found| self.view.counts(found));
            self.worst = self.worst.max(shown.map(|found| found.severity));
        }
        is_counted
    }

    fn count_healthy(&mut self) -> bool {
        self.reporter.count_healthy()
    }
}

/// What an analysis of one capture came to.
#[derive(Clone, Debug)]
pub struct Analyzed {
    /// The sums over its connections.
    pub totals: Totals,
    /// The worst severity among the findings that are shown, connections and capture together.
    pub worst: Option<Severity>,
    /// Whether reading ended early.
    pub cut_short: bool,
}

/// Reads a recording to its end, analyses it, and reports everything to `reporter`; `view` says what counts for
/// [`Analyzed::worst`]. Idle threads of `pool` help with a large one; the report does not depend on it.
///
/// # Errors
///
/// Only what `reporter` fails with: a fault of the capture is part of the report.
pub fn analyze(
    recording: &mut Recording,
    filters: Option<&mut Filters>,
    options: &EngineOptions,
    view: &View,
    pool: &ThreadPool,
    reporter: &mut dyn Reporter,
) -> io::Result<Analyzed> {
    if let Some(bytes) = options.max_bytes {
        recording.limit(bytes);
    }
    let mut analysis = Analysis::new(options.clone());
    let mut sink = Reported {
        reporter,
        view,
        worst: None,
    };
    let Analysis {
        following,
        diagnosing,
    } = &mut analysis;
    let mut filters = filters;
    let halves = (following, diagnosing);
    feed::run(recording, filters.as_deref_mut(), pool, halves, &mut sink)?;
    let summary = CaptureSummary {
        filter: filters.map(|filters| FilterSummary {
            expression: filters.expression().to_owned(),
            matched: filters.matched(),
        }),
        ..summarize(recording)
    };
    let summary = analysis.following.given_up(summary);
    let (totals, group) = analysis.conclude(&summary);
    let shown = group.iter().filter(|found| view.counts(&found.finding));
    let Reported {
        reporter, worst, ..
    } = sink;
    let worst = worst.max(shown.map(|found| found.finding.severity).max());
    reporter.finish(&summary, &totals, &group)?;
    Ok(Analyzed {
        totals,
        worst,
        cut_short: summary.problem.is_some() || !summary.gaps.is_empty(),
    })
}

/// What the reader knows of a recording once it was read.
#[must_use]
pub fn summarize(recording: &Recording) -> CaptureSummary {
    let files = recording.files();
    let infos = || files.iter().filter_map(|file| file.info.as_ref());
    let first = infos().next();
    let mut link_types: Vec<String> = Vec::new();
    for link in infos().flat_map(|info| &info.link_types) {
        let name = link
            .name()
            .map_or_else(|| format!("LINKTYPE_{}", link.0), str::to_owned);
        if !link_types.contains(&name) {
            link_types.push(name);
        }
    }
    let sum = |of: fn(&CaptureInfo) -> u64| infos().map(of).fold(0, u64::saturating_add);
    let problem = files.last().and_then(|file| {
        let problem = file.problem.as_ref()?;
        Some(if files.len() > 1 {
            format!("{}: {problem}", file.source)
        } else {
            problem.clone()
        })
    });
    CaptureSummary {
        source: files
            .first()
            .map(|file| file.source.clone())
            .unwrap_or_default(),
        format: first.map_or("", |info| info.format.name()).to_owned(),
        compression: first
            .and_then(|info| info.compression)
            .map(|compression| compression.name().to_owned()),
        link_types,
        packets: sum(|info| info.packets),
        bytes: sum(|info| info.bytes),
        first_time: infos().filter_map(|info| info.first_time).min(),
        last_time: infos().filter_map(|info| info.last_time).max(),
        dropped_packets: infos()
            .filter_map(CaptureInfo::dropped_packets)
            .reduce(u64::saturating_add),
        given_up: 0,
        unread: 0,
        not_followed: 0,
        problem,
        filter: None,
        gaps: recording.gaps().to_vec(),
        files: if files.len() > 1 {
            files
                .iter()
                .map(|file| FileSummary {
                    source: file.source.clone(),
                    first_frame: file.first_frame,
                    packets: file.info.as_ref().map_or(0, |info| info.packets),
                    problem: file.problem.clone(),
                })
                .collect()
        } else {
            Vec::new()
        },
    }
}
