//! The loop for those who cannot wait: findings while connections go on.
//!
//! The same tracker, detectors and survey as over files; what differs is when a finding is reported. It is reported once for each
//! connection and code, when the packets or the silence behind it can hardly be turned over any more. In the end every
//! connection is diagnosed as it would be in a file.

use std::collections::{BTreeSet, HashMap};
use std::io;

use wirewhy_detect::{Diagnosis, Finding, Scope, Severity, diagnose, next_deadline, reportable_at};
use wirewhy_flow::{Connection, Observed, Over, Tracker, TrackerCounts, Transport};
use wirewhy_packet::{Interval, Packet, Timestamp};
use wirewhy_report::CaptureSummary;
use wirewhy_survey::{CaptureFaults, GroupFinding, Survey, Totals, record_of};

use super::diagnosing::{Diagnosing, PendingDiagnosis, Waiting};
use super::{Analysis, EngineOptions, Fed};

/// See [`Connection::identity`].
type Identity = (Transport, u32, u64);

/// How long a connection that is over waits for what others may tell about it.
const HELD_FOR: Interval = Interval::from_secs(10);

/// How often the findings beyond single connections are looked for.
const BEYOND_EVERY: Interval = Interval::from_secs(1);

/// How many findings beyond single connections are remembered as told.
const MOST_BEYOND: usize = 65_536;

/// What findings are reported to.
pub trait Listener {
    /// A finding about a connection, the moment it is settled. The connection may go on; `diagnosis` is how it stands.
    ///
    /// # Errors
    ///
    /// Whatever ends the analysis.
    fn finding(
        &mut self,
        at: Timestamp,
        diagnosis: &Diagnosis,
        finding: &Finding,
    ) -> io::Result<()>;

    /// A finding about a host or a service.
    ///
    /// # Errors
    ///
    /// Whatever ends the analysis.
    fn beyond(&mut self, at: Timestamp, found: &GroupFinding) -> io::Result<()>;

    /// A connection that is over, with everything that is concluded about it.
    ///
    /// # Errors
    ///
    /// Whatever ends the analysis.
    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()>;
}

/// How things stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LiveCounts {
    /// Packets taken in.
    pub packets: u64,
    /// TCP packets among them.
    pub tcp_packets: u64,
    /// Connections being followed.
    pub following: u64,
    /// Pairs of addresses and ports remembered.
    pub remembered: u64,
    /// Connections met so far.
    pub connections: u64,
    /// Connections about which an error was reported.
    pub failed: u64,
    /// Connections given up because the table was full.
    pub given_up: u64,
}

/// An analysis of packets as they come.
#[derive(Debug)]
pub struct Live {
    analysis: Analysis,
    cases: HashMap<Identity, Case>,
    reported_beyond: BTreeSet<(&'static str, String, &'static str, bool)>,
    looked_beyond: Timestamp,
    /// Messages of ARP and neighbour discovery until then.
    messages: u64,
    /// Lookups about which there may be something to say until then.
    lookups: u64,
    /// Connections that ended since the findings beyond them were looked for.
    ended_since: u64,
    ended: u64,
    failed: u64,
}

/// What was reported of a connection, and what waits to be.
#[derive(Debug, Default)]
struct Case {
    reported: Vec<&'static str>,
    /// Findings that could still be taken back, and since when they have held.
    held: Vec<(&'static str, Timestamp)>,
    failed: bool,
}

impl Live {
    /// An analysis that has seen nothing.
    #[must_use]
    pub fn new(options: EngineOptions) -> Live {
        let mut analysis = Analysis::new(options);
        let silence = analysis.diagnosing.options.limits.silence;
        analysis.following.tracker.watch(silence);
        Live {
            analysis,
            cases: HashMap::new(),
            reported_beyond: BTreeSet::new(),
            looked_beyond: Timestamp(i64::MIN),
            messages: 0,
            lookups: 0,
            ended_since: 0,
            ended: 0,
            failed: 0,
        }
    }

    /// Takes in one packet. What it settles is reported at the next [`tick`](Live::tick), unless it ends a connection.
    ///
    /// # Errors
    ///
    /// What `listener` returns.
    pub fn observe(
        &mut self,
        packet: &Packet<'_>,
        listener: &mut dyn Listener,
    ) -> io::Result<Option<Observed>> {
        let observed = self.analysis.following.observe(packet);
        self.take_ended(listener)?;
        Ok(observed)
    }

    /// Takes in what a [`Feed`](super::Feed) or another source gives: see [`Analysis::take`].
    ///
    /// # Errors
    ///
    /// What `listener` returns.
    pub fn take(
        &mut self,
        fed: &Fed<'_, '_>,
        listener: &mut dyn Listener,
    ) -> io::Result<Option<Observed>> {
        let observed = self.analysis.following.take(fed);
        self.take_ended(listener)?;
        Ok(observed)
    }

    /// Lets time pass, and tells what it and the packets since the last tick have settled. Costs as much as there is news:
    /// connections at rest cost nothing.
    ///
    /// # Errors
    ///
    /// What `listener` returns.
    pub fn tick(&mut self, now: Timestamp, listener: &mut dyn Listener) -> io::Result<()> {
        let following = &mut self.analysis.following;
        let ended = &mut following.ended;
        following.tracker.advance(now, &mut |connection| {
            ended.push(Over::Connection(connection))
        });
        self.take_ended(listener)?;
        self.look_around(listener)?;
        while let Some(held) = self.analysis.diagnosing.waiting.front()
            && now.since(held.since()) >= HELD_FOR
        {
            let Some(held) = self.analysis.diagnosing.waiting.pop_front() else {
                break;
            };
            self.settle(now, held, listener)?;
        }
        let following = &self.analysis.following;
        let news = self.ended_since > 0
            || following.notes.neighbours.messages() > self.messages
            || following.tracker.lookups().tally().kept > self.lookups;
        if news && now.since(self.looked_beyond) >= BEYOND_EVERY {
            self.look_beyond(now, listener)?;
        }
        Ok(())
    }

    /// When time alone settles something next.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        self.analysis.following.tracker.next_look()
    }

    /// How long the TCP handshakes took that were completed since this was asked last.
    pub fn handshakes(&mut self) -> impl Iterator<Item = Interval> {
        self.analysis.following.tracker.handshakes()
    }

    /// How things stand.
    #[must_use]
    pub fn live_counts(&self) -> LiveCounts {
        let tracker = &self.analysis.following.tracker;
        let following = count(tracker.following());
        LiveCounts {
            packets: self.analysis.following.notes.frames,
            tcp_packets: tracker.tally().tcp_packets,
            following,
            remembered: count(tracker.remembered_streams()),
            connections: self.ended.saturating_add(following),
            failed: self.failed,
            given_up: tracker.tally().given_up,
        }
    }

    /// What was given up because there was too much of it, added to what a report says of the recording.
    #[must_use]
    pub fn given_up(&self, summary: CaptureSummary) -> CaptureSummary {
        self.analysis.following.given_up(summary)
    }

    /// What was counted beside the connections.
    #[must_use]
    pub fn tally(&self) -> &TrackerCounts {
        self.analysis.following.tracker.tally()
    }

    /// Ends the analysis: every connection left is diagnosed as it stands and handed over. Returns what
    /// [`Analysis::finish`] would.
    ///
    /// # Errors
    ///
    /// What `listener` returns.
    pub fn finish(
        mut self,
        summary: &CaptureSummary,
        listener: &mut dyn Listener,
    ) -> io::Result<(Totals, Vec<GroupFinding>)> {
        let bounds = self.analysis.diagnosing.options.bounds;
        let mut tracker =
            std::mem::replace(&mut self.analysis.following.tracker, Tracker::new(bounds));
        let mut failed = Ok(());
        tracker.finish(&mut |connection| {
            if failed.is_ok() {
                failed = self.close(connection, listener);
            }
        });
        failed?;
        self.analysis.following.tracker = tracker;
        while let Some(held) = self.analysis.diagnosing.waiting.pop_front() {
            let now = held.since();
            self.settle(now, held, listener)?;
        }
        Ok(self.analysis.conclude(summary))
    }

    /// Diagnoses the connections that are over.
    fn take_ended(&mut self, listener: &mut dyn Listener) -> io::Result<()> {
        if self.analysis.following.ended.is_empty() {
            return Ok(());
        }
        let mut ended = std::mem::take(&mut self.analysis.following.ended);
        for over in ended.drain(..) {
            self.close(over.into_connection(), listener)?;
        }
        self.analysis.following.ended = ended;
        Ok(())
    }

    fn close(
        &mut self,
        connection: Box<Connection>,
        listener: &mut dyn Listener,
    ) -> io::Result<()> {
        let now = connection.observed_until;
        self.ended = self.ended.saturating_add(1);
        self.ended_since = self.ended_since.saturating_add(1);
        let mut case = self
            .cases
            .remove(&connection.identity())
            .unwrap_or_default();
        let limits = &self.analysis.diagnosing.options.limits;
        let diagnosis = diagnose(connection, limits, &self.analysis.diagnosing.options.trust);
        self.analysis.diagnosing.survey.note(&diagnosis, limits);
        let unreported = |finding: &Finding| !case.reported.contains(&finding.code);
        if diagnosis.findings.iter().any(unreported) {
            let mut amended = diagnosis.clone();
            self.analysis.diagnosing.survey.revise(&mut amended, limits);
            for finding in &amended.findings {
                self.report(now, &mut case, (&amended, finding), listener)?;
            }
        }
        let held = PendingDiagnosis {
            diagnosis,
            reported: case.reported,
            since: now,
        };
        match self.analysis.diagnosing.enqueue(held) {
            Some(due) => self.settle(now, due, listener),
            None => Ok(()),
        }
    }

    /// The last word on a connection, with what others have told about it since.
    fn settle(
        &mut self,
        now: Timestamp,
        held: Waiting,
        listener: &mut dyn Listener,
    ) -> io::Result<()> {
        let held = held.into_pending(&self.analysis.diagnosing.options.limits);
        let diagnosis = self.analysis.diagnosing.settle(held.diagnosis);
        for finding in &diagnosis.findings {
            if !held.reported.contains(&finding.code) {
                listener.finding(now, &diagnosis, finding)?;
            }
        }
        listener.connection(&diagnosis)
    }

    fn report(
        &mut self,
        now: Timestamp,
        case: &mut Case,
        (diagnosis, finding): (&Diagnosis, &Finding),
        listener: &mut dyn Listener,
    ) -> io::Result<()> {
        if !case.mark_reported(finding, &mut self.failed) {
            return Ok(());
        }
        listener.finding(now, diagnosis, finding)
    }

    /// Visits the connections with news.
    fn look_around(&mut self, listener: &mut dyn Listener) -> io::Result<()> {
        let Analysis {
            following,
            diagnosing,
        } = &mut self.analysis;
        let Diagnosing {
            survey, options, ..
        } = diagnosing;
        let (cases, failed) = (&mut self.cases, &mut self.failed);
        let mut done = Ok(());
        following.tracker.visit(&mut |connection| {
            if done.is_err() {
                return None;
            }
            let look = LiveCheck {
                survey,
                options,
                cases,
                failed,
            };
            look.at(connection, listener).unwrap_or_else(|error| {
                done = Err(error);
                None
            })
        });
        done
    }

    fn look_beyond(&mut self, now: Timestamp, listener: &mut dyn Listener) -> io::Result<()> {
        self.looked_beyond = now;
        self.messages = self.analysis.following.notes.neighbours.messages();
        self.lookups = self.analysis.following.tracker.lookups().tally().kept;
        self.ended_since = 0;
        // After as many, a finding reported twice is the least trouble.
        if self.reported_beyond.len() > MOST_BEYOND {
            self.reported_beyond.clear();
        }
        for found in self.analysis.beyond(CaptureFaults::default()) {
            // What the recording could not carry is reported once, at the end, when it is known how much it was.
            if found.scope == Scope::Capture {
                continue;
            }
            let key = (
                found.scope.name(),
                found.subject.clone(),
                found.finding.code,
                // A service over QUIC is another one than over TCP.
                found.finding.facts.value("transport").is_some(),
            );
            if self.reported_beyond.insert(key) {
                listener.beyond(now, &found)?;
            }
        }
        Ok(())
    }
}

impl Case {
    /// Notes that a finding is reported. Returns whether it is for the first time.
    fn mark_reported(&mut self, finding: &Finding, failed: &mut u64) -> bool {
        if self.reported.contains(&finding.code) {
            return false;
        }
        self.reported.push(finding.code);
        if finding.severity == Severity::Error && !self.failed {
            self.failed = true;
            *failed = failed.saturating_add(1);
        }
        true
    }

    /// Since when a finding has held.
    fn holds(&mut self, code: &'static str, now: Timestamp) -> Timestamp {
        if let Some((_, since)) = self.held.iter().find(|(known, _)| *known == code) {
            return *since;
        }
        self.held.push((code, now));
        now
    }

    fn is_empty(&self) -> bool {
        self.reported.is_empty() && self.held.is_empty()
    }
}

/// One look at a connection that goes on.
struct LiveCheck<'a> {
    survey: &'a mut Survey,
    options: &'a EngineOptions,
    cases: &'a mut HashMap<Identity, Case>,
    failed: &'a mut u64,
}

impl LiveCheck<'_> {
    /// Tells what is settled. Returns when to look again though no packet came.
    fn at(
        self,
        connection: Box<Connection>,
        listener: &mut dyn Listener,
    ) -> io::Result<Option<Timestamp>> {
        let limits = &self.options.limits;
        let now = connection.observed_until;
        let identity = connection.identity();
        let mut diagnosis = diagnose(connection, limits, &self.options.trust);
        self.survey.note_ongoing(&diagnosis);
        self.survey.revise(&mut diagnosis, limits);
        let mut case = self.cases.remove(&identity).unwrap_or_default();
        let mut known: Vec<&'static str> =
            diagnosis.findings.iter().map(|found| found.code).collect();
        case.held.retain(|(code, _)| known.contains(code));
        let mut again: Option<Timestamp> = None;
        for finding in &diagnosis.findings {
            if case.reported.contains(&finding.code) {
                continue;
            }
            let found = case.holds(finding.code, now);
            let due = record_of(finding.code).map_or(now, |record| {
                reportable_at(record, &diagnosis.connection, found, limits)
            });
            if due > now {
                again = Some(again.map_or(due, |again| again.min(due)));
                continue;
            }
            if case.mark_reported(finding, self.failed) {
                listener.finding(now, &diagnosis, finding)?;
            }
        }
        known.extend(&case.reported);
        let coming = next_deadline(&mut diagnosis.connection, &known, limits);
        if !case.is_empty() {
            self.cases.insert(identity, case);
        }
        Ok([again, coming].into_iter().flatten().min())
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
