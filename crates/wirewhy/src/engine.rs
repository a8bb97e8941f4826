//! The one loop: frame, packet, connection, findings, report.
//!
//! Modes differ in where frames come from and who listens; what happens in between is here and only here.

mod live;

use std::collections::VecDeque;
use std::io;

use wirewhy_capture::{CaptureInfo, Filters, Reader, SecretsType};
use wirewhy_detect::{
    CaptureFaults, GroupFinding, Judged, Limits, Survey, Totals, TrustStore, about_link, judge,
};
use wirewhy_flow::{Bounds, Connection, Neighbours, Observed, Sample, Tracker};
use wirewhy_packet::{Decoder, Interval, Packet, Timestamp};
use wirewhy_protocol::{KeyLog, Library};
use wirewhy_report::{CaptureSummary, Reporter, View};

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
    options: EngineOptions,
    tracker: Tracker,
    /// Blocks of secrets taken from the capture so far.
    blocks: usize,
    neighbours: Neighbours,
    survey: Survey,
    #[expect(
        clippy::vec_box,
        reason = "they come in boxes and are handed on in them"
    )]
    ended: Vec<Box<Connection>>,
    held: VecDeque<Held>,
    totals: Totals,
    frames: u64,
    latest: Option<Timestamp>,
    backwards: Sample,
    largest_step_back: Interval,
}

/// A judged connection that waits for what others may tell about it.
#[derive(Debug)]
struct Held {
    judged: Judged,
    /// The codes of its findings that were told already.
    told: Vec<&'static str>,
    since: Timestamp,
}

impl Analysis {
    /// An analysis that has seen nothing.
    #[must_use]
    pub fn new(options: EngineOptions) -> Analysis {
        let mut options = options;
        let mut tracker = Tracker::new(options.bounds);
        *tracker.library_mut() = Library::new(std::mem::take(&mut options.keys));
        Analysis {
            tracker,
            options,
            blocks: 0,
            neighbours: Neighbours::default(),
            survey: Survey::default(),
            ended: Vec::new(),
            held: VecDeque::new(),
            totals: Totals::default(),
            frames: 0,
            latest: None,
            backwards: Sample::default(),
            largest_step_back: Interval::ZERO,
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
        sink: &mut dyn FnMut(Judged) -> io::Result<()>,
    ) -> io::Result<Option<Observed>> {
        self.note_time(packet);
        self.neighbours.observe(packet);
        let ended = &mut self.ended;
        let observed = self
            .tracker
            .observe(packet, &mut |connection| ended.push(connection));
        if !self.ended.is_empty() {
            self.judge_ended(sink)?;
        }
        Ok(observed)
    }

    /// Takes the secrets that a capture holds itself, as far as it was read.
    pub fn learn_secrets(&mut self, info: &CaptureInfo) {
        let fresh = info.secrets.get(self.blocks..).unwrap_or_default();
        self.blocks = info.secrets.len();
        for block in fresh {
            if block.kind == SecretsType::TLS_KEY_LOG {
                self.tracker.library_mut().keys_mut().add(&block.data);
            }
        }
    }

    /// Passes over a packet a filter leaves out: it keeps its stream number and is not analysed.
    pub fn skip(&mut self, packet: &Packet<'_>) {
        self.note_time(packet);
        self.tracker.skip(packet);
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
        sink: &mut dyn FnMut(Judged) -> io::Result<()>,
    ) -> io::Result<(Totals, Vec<GroupFinding>)> {
        let mut tracker = std::mem::replace(&mut self.tracker, Tracker::new(self.options.bounds));
        let mut failed = Ok(());
        tracker.finish(&mut |connection| {
            if failed.is_ok() {
                failed = self.judge_one(connection, sink);
            }
        });
        failed?;
        self.tracker = tracker;
        while let Some(held) = self.held.pop_front() {
            sink(self.settle(held.judged))?;
        }
        Ok(self.conclude(recording))
    }

    /// The totals and the findings beyond single connections, once every connection is settled.
    fn conclude(mut self, recording: CaptureFaults) -> (Totals, Vec<GroupFinding>) {
        self.totals.tcp_packets = self.tracker.tally().tcp_packets;
        let found = self.beyond(recording);
        (self.totals, found)
    }

    /// The findings beyond single connections, as far as the connections that are over show them.
    fn beyond(&self, recording: CaptureFaults) -> Vec<GroupFinding> {
        let tally = self.tracker.tally();
        let faults = CaptureFaults {
            frames: self.frames,
            tcp_packets: tally.tcp_packets,
            backwards: self.backwards.clone(),
            largest_step_back: self.largest_step_back,
            late_resets: tally.late_resets.clone(),
            copies: tally.copies.clone(),
            cut: tally.cut.clone(),
            offloaded: tally.offloaded.clone(),
            ..recording
        };
        let mut found = self.survey.finish(faults, &self.options.limits);
        found.extend(about_link(&self.neighbours, &self.options.limits));
        found.retain(|found| self.options.selection.counts(found.finding.code));
        found
    }

    fn note_time(&mut self, packet: &Packet<'_>) {
        self.frames += 1;
        if let Some(latest) = self.latest.replace(packet.time)
            && packet.time < latest
        {
            self.backwards.add(packet.frame);
            self.largest_step_back = self.largest_step_back.max(latest.since(packet.time));
        }
    }

    fn judge_ended(&mut self, sink: &mut dyn FnMut(Judged) -> io::Result<()>) -> io::Result<()> {
        let mut ended = std::mem::take(&mut self.ended);
        for connection in ended.drain(..) {
            self.judge_one(connection, sink)?;
        }
        self.ended = ended;
        Ok(())
    }

    fn judge_one(
        &mut self,
        connection: Box<Connection>,
        sink: &mut dyn FnMut(Judged) -> io::Result<()>,
    ) -> io::Result<()> {
        let judged = judge(connection, &self.options.limits, &self.options.trust);
        self.survey.note(&judged, &self.options.limits);
        let since = judged.connection.observed_until;
        let held = Held {
            judged,
            told: Vec::new(),
            since,
        };
        match self.hold(held) {
            Some(due) => sink(self.settle(due.judged)),
            None => Ok(()),
        }
    }

    /// Lets a connection wait for what others may tell about it. Returns the one whose turn it is, if it is any's: itself
    /// where nothing could be told.
    fn hold(&mut self, held: Held) -> Option<Held> {
        if !Survey::may_amend(&held.judged, &self.options.limits) {
            return Some(held);
        }
        self.held.push_back(held);
        if self.held.len() > self.options.held {
            return self.held.pop_front();
        }
        None
    }

    /// What is concluded of a connection in the end.
    fn settle(&mut self, mut judged: Judged) -> Judged {
        self.survey.adjust(&mut judged, &self.options.limits);
        if !self.options.selection.counts_all() {
            judged
                .findings
                .retain(|finding| self.options.selection.counts(finding.code));
        }
        self.totals.add(&judged);
        judged
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

/// Reads a capture to its end, analyses it, and reports what `view` shows to `reporter`.
///
/// # Errors
///
/// Only what `reporter` fails with: a fault of the capture is part of the report.
pub fn analyze(
    reader: &mut Reader,
    mut filters: Option<&mut Filters>,
    options: &EngineOptions,
    view: &View,
    reporter: &mut dyn Reporter,
) -> io::Result<Analyzed> {
    let mut decoder = Decoder::new();
    let mut analysis = Analysis::new(options.clone());
    let mut worst = None;
    let mut sink = |judged: Judged| {
        worst = worst.max(judged.findings.iter().map(|finding| finding.severity).max());
        if view.shows(&judged) {
            reporter.connection(&judged)
        } else {
            Ok(())
        }
    };
    while let Some((frame, info)) = reader.next_with_info() {
        analysis.learn_secrets(info);
        let passes = filters
            .as_mut()
            .is_none_or(|filters| filters.matches(&frame));
        decoder.decode_with(&frame, |packet| {
            if passes {
                analysis.observe(packet, &mut sink).map(drop)
            } else {
                analysis.skip(packet);
                Ok(())
            }
        })?;
    }
    let summary = summarize(reader);
    let recording = CaptureFaults {
        source: summary.source.clone(),
        problem: summary.problem.clone(),
        dropped_packets: summary.dropped_packets,
        ..CaptureFaults::default()
    };
    let (totals, group) = analysis.finish(recording, &mut sink)?;
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
