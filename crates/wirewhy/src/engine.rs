//! The one loop: frame, packet, connection, findings, report.
//!
//! Modes differ in where frames come from and who listens; what happens in between is here and only here.

mod crew;
mod feed;
mod following;
mod judging;
mod live;

use std::io;

pub use crew::Crew;
use feed::Feed;
use following::Following;
use judging::Judging;
use wirewhy_capture::{CaptureInfo, Filters, Reader};
use wirewhy_detect::{Judged, Limits, TrustStore};
use wirewhy_flow::{Bounds, Observed};
use wirewhy_packet::Packet;
use wirewhy_protocol::KeyLog;
use wirewhy_report::{CaptureSummary, Reporter, View};
use wirewhy_survey::{CaptureFaults, GroupFinding, Totals};

pub use live::{Listener, Live, Standing};

/// What an analysis is to do.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// How much the tracker holds.
    pub bounds: Bounds,
    /// Thresholds of the detectors.
    pub limits: Limits,
    /// What the servers' certificates are held against.
    pub trust: TrustStore,
    /// Which findings count.
    pub selection: Selection,
    /// How many connections wait for what later ones may tell about them.
    pub held: usize,
    /// Secrets to decrypt TLS with, besides those in the captures themselves.
    pub keys: KeyLog,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            bounds: Bounds::default(),
            limits: Limits::default(),
            trust: TrustStore::mozilla(),
            selection: Selection::default(),
            held: 4_096,
            keys: KeyLog::new(),
        }
    }
}

/// Which findings count, by globs over their codes (`tcp.*`). What does not count is as if it had not been found.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only these; all if empty.
    pub only: Vec<String>,
    /// Not these.
    pub ignore: Vec<String>,
}

impl Selection {
    /// Whether a code counts.
    #[must_use]
    pub fn counts(&self, code: &str) -> bool {
        let any = |globs: &[String]| globs.iter().any(|glob| glob_matches(glob, code));
        (self.only.is_empty() || any(&self.only)) && !any(&self.ignore)
    }

    fn counts_all(&self) -> bool {
        self.only.is_empty() && self.ignore.is_empty()
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

/// An analysis under way. Packets go in; judged connections come out to `sink`, failed ones a little later than they
/// ended, so that others of the capture can bear on them.
#[derive(Debug)]
pub struct Analysis {
    following: Following,
    judging: Judging,
}

impl Analysis {
    /// An analysis that has seen nothing.
    #[must_use]
    pub fn new(options: EngineOptions) -> Analysis {
        let mut options = options;
        let keys = std::mem::take(&mut options.keys);
        Analysis {
            following: Following::new(&options, keys),
            judging: Judging::new(options),
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
        sink: &mut dyn FnMut(&Judged) -> io::Result<()>,
    ) -> io::Result<Option<Observed>> {
        let observed = self.following.observe(packet);
        if !self.following.ended.is_empty() {
            self.judging.take_all(&mut self.following.ended, sink)?;
        }
        Ok(observed)
    }

    /// Takes the secrets that a capture holds itself, as far as it was read.
    pub fn learn_secrets(&mut self, info: &CaptureInfo) {
        self.following.learn_secrets(info);
    }

    /// Passes over a packet a filter leaves out: it keeps its stream number and is not analysed.
    pub fn skip(&mut self, packet: &Packet<'_>) {
        self.following.skip(packet);
    }

    /// Ends the analysis: hands over every connection left, and returns the totals and the findings beyond single
    /// connections. `recording` holds what only the reader knows: source, problem, drops.
    ///
    /// # Errors
    ///
    /// What `sink` returns.
    pub fn finish(
        mut self,
        recording: CaptureFaults,
        sink: &mut dyn FnMut(&Judged) -> io::Result<()>,
    ) -> io::Result<(Totals, Vec<GroupFinding>)> {
        let Analysis { following, judging } = &mut self;
        judging.take_rest(following, sink)?;
        Ok(self.conclude(recording))
    }

    /// The totals and the findings beyond single connections, once every connection is settled.
    fn conclude(self, recording: CaptureFaults) -> (Totals, Vec<GroupFinding>) {
        let found = self.beyond(recording);
        let totals = Totals {
            tcp_packets: self.following.tracker.tally().tcp_packets,
            ..self.judging.totals
        };
        (totals, found)
    }

    /// The findings beyond single connections, as far as the connections that are over show them.
    fn beyond(&self, recording: CaptureFaults) -> Vec<GroupFinding> {
        let options = &self.judging.options;
        let faults = self.following.faults(recording);
        let neighbours = &self.following.neighbours;
        let survey = &self.judging.survey;
        let mut found = survey.findings(faults, neighbours, &options.limits);
        found.retain(|found| options.selection.counts(found.finding.code));
        found
    }
}

/// What an analysis of one capture came to.
#[derive(Clone, Debug)]
pub struct Analyzed {
    /// The sums over its connections.
    pub totals: Totals,
    /// The worst severity found, connections and capture together.
    pub worst: Option<wirewhy_detect::Severity>,
    /// Whether reading ended early.
    pub cut_short: bool,
}

/// Reads a capture to its end, analyses it, and reports what `view` shows to `reporter`. Whoever in `crew` is idle helps with
/// a large one; the report does not depend on it.
///
/// # Errors
///
/// Only what `reporter` fails with: a fault of the capture is part of the report.
pub fn analyze(
    reader: &mut Reader,
    filters: Option<&mut Filters>,
    options: &EngineOptions,
    view: &View,
    crew: &Crew,
    reporter: &mut dyn Reporter,
) -> io::Result<Analyzed> {
    let mut analysis = Analysis::new(options.clone());
    let mut worst = None;
    let mut sink = |judged: &Judged| {
        worst = worst.max(judged.findings.iter().map(|finding| finding.severity).max());
        if view.shows(judged) {
            reporter.connection(judged)
        } else {
            Ok(())
        }
    };
    let Analysis { following, judging } = &mut analysis;
    Feed::new(reader, filters, crew).run(following, judging, &mut sink)?;
    let summary = summarize(reader);
    let recording = CaptureFaults {
        source: summary.source.clone(),
        problem: summary.problem.clone(),
        dropped_packets: summary.dropped_packets,
        ..CaptureFaults::default()
    };
    let (totals, group) = analysis.conclude(recording);
    worst = worst.max(group.iter().map(|found| found.finding.severity).max());
    reporter.finish(&summary, &totals, &group)?;
    Ok(Analyzed {
        totals,
        worst,
        cut_short: summary.problem.is_some(),
    })
}

/// What the reader knows of a capture once it was read.
#[must_use]
pub fn summarize(reader: &Reader) -> CaptureSummary {
    let info = reader.info();
    CaptureSummary {
        source: info.source.clone(),
        format: info.format.name().to_owned(),
        compression: info
            .compression
            .map(|compression| compression.name().to_owned()),
        link_types: info
            .link_types
            .iter()
            .map(|link| {
                link.name()
                    .map_or_else(|| format!("LINKTYPE_{}", link.0), str::to_owned)
            })
            .collect(),
        packets: info.packets,
        bytes: info.bytes,
        first_time: info.first_time,
        last_time: info.last_time,
        dropped_packets: info.dropped_packets(),
        given_up: 0,
        problem: reader.problem().map(ToString::to_string),
    }
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
        };
        assert!(selection.counts("tcp.refused"));
        assert!(!selection.counts("tcp.probe"));
        assert!(!selection.counts("capture.offload"));
    }
}
