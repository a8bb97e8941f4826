//! Evidence of a capture that is running: when to write what.

use std::collections::{BTreeMap, BTreeSet};

use wirewhy_capture::Interface;
use wirewhy_detect::{Diagnosis, Finding, Outcome, Severity};
use wirewhy_flow::Connection;
use wirewhy_packet::{Frame, Interval, Timestamp};

use super::file::Case;
use super::ring::stream_key;
use super::{Counts, Evidence, EvidenceError, FrameScope, Recorder};

/// How long a failure waits for what follows it: the answer to it, and findings that explain it.
const AFTERMATH: Interval = Interval::from_secs(1);

/// The time from which the failure of a connection that is over need not wait.
const OVER: Timestamp = Timestamp(i64::MIN);

/// How many failures wait at most; further ones are passed over, as most of these would be.
const MOST_WAITING: usize = 512;

/// How many connections are remembered that go on after their file was written.
const MOST_SETTLED: usize = 65_536;

/// Keeps the last packets, and writes a file for each connection that fails.
///
/// The loop tells it of every packet, finding and ended connection, and lets it write now and then. Nothing is written
/// in between, so that the packet that settled a finding is there when its file is written.
#[derive(Debug)]
pub struct EvidenceWriter {
    recorder: Recorder,
    evidence: Evidence,
    filter: Option<String>,
    /// Failures that wait, by stream, with the time from which they need not.
    waiting: BTreeMap<FailureKey, (Timestamp, Diagnosis)>,
    /// Streams that have their file or were passed over, and may fail again.
    settled: BTreeSet<FailureKey>,
}

impl EvidenceWriter {
    /// A writer that has seen nothing. `filter` is what packets had to pass to be captured.
    #[must_use]
    pub fn new(recorder: Recorder, evidence: Evidence, filter: Option<String>) -> EvidenceWriter {
        EvidenceWriter {
            recorder,
            evidence,
            filter,
            waiting: BTreeMap::new(),
            settled: BTreeSet::new(),
        }
    }

    /// Keeps a frame.
    pub fn record(&mut self, frame: &Frame<'_>, frame_scope: FrameScope) {
        self.recorder.record(frame, frame_scope);
    }

    /// Takes note of a finding about a connection that may go on; `diagnosis` is how it stands.
    pub fn finding(&mut self, at: Timestamp, diagnosis: &Diagnosis, finding: &Finding) {
        let stream = failure_key(&diagnosis.connection);
        if let Some((_, waiting)) = self.waiting.get_mut(&stream) {
            waiting.clone_from(diagnosis);
            return;
        }
        if finding.severity < Severity::Error || self.settled.contains(&stream) {
            return;
        }
        if self.has_room() {
            let due = at.after(AFTERMATH);
            self.waiting.insert(stream, (due, diagnosis.clone()));
        } else {
            self.settle(stream);
        }
    }

    /// Takes note of a connection that is over.
    pub fn connection(&mut self, diagnosis: &Diagnosis) {
        let stream = failure_key(&diagnosis.connection);
        let is_settled = self.settled.remove(&stream);
        if diagnosis.outcome() != Outcome::Failed {
            // What it was taken for has been taken back.
            self.waiting.remove(&stream);
        } else if !is_settled && (self.waiting.contains_key(&stream) || self.has_room()) {
            self.waiting.insert(stream, (OVER, diagnosis.clone()));
        }
    }

    /// Writes the files that are due at `now`, in the order of their streams, and gives what went wrong.
    /// `interfaces` are those of the capture, as frames number them.
    pub fn write_due(&mut self, now: Timestamp, interfaces: &[Interface]) -> Vec<EvidenceError> {
        let waiting = self.waiting.iter();
        let due: Vec<FailureKey> = waiting
            .filter(|(_, (time, _))| *time <= now)
            .map(|(stream, _)| *stream)
            .collect();
        let mut errors = Vec::new();
        for stream in due {
            let Some((time, diagnosis)) = self.waiting.remove(&stream) else {
                continue;
            };
            if time != OVER {
                self.settle(stream);
            }
            let case = Case {
                diagnosis: &diagnosis,
                recorder: &self.recorder,
                interfaces,
                filter: self.filter.as_deref(),
            };
            errors.extend(self.evidence.keep(&case, now).err());
        }
        errors
    }

    /// Writes everything that waits: the capture is over.
    pub fn finish(&mut self, now: Timestamp, interfaces: &[Interface]) -> Vec<EvidenceError> {
        for (time, _) in self.waiting.values_mut() {
            *time = OVER;
        }
        self.write_due(now, interfaces)
    }

    /// What became of the failed connections.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.evidence.counts()
    }

    /// Whether one more failure may wait; if not, it is counted as passed over.
    fn has_room(&mut self) -> bool {
        let has_room = self.waiting.len() < MOST_WAITING;
        if !has_room {
            self.evidence.pass_over();
        }
        has_room
    }

    fn settle(&mut self, stream: FailureKey) {
        if self.settled.len() >= MOST_SETTLED {
            // The oldest: stream numbers count up.
            self.settled.pop_first();
        }
        self.settled.insert(stream);
    }
}

/// A connection by its stream and its first frame: over QUIC several may follow each other in one stream of UDP.
type FailureKey = (u32, u64);

fn failure_key(connection: &Connection) -> FailureKey {
    (stream_key(connection), connection.first.frame)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io;

    use wirewhy_packet::Decoder;
    use wirewhy_report::CaptureSummary;
    use wirewhy_survey::GroupFinding;
    use wirewhy_testkit::trace;

    use super::*;
    use crate::engine::{EngineOptions, Listener, Live};

    /// A listener that only takes notes.
    struct NoteTaker(EvidenceWriter);

    impl Listener for NoteTaker {
        fn finding(
            &mut self,
            at: Timestamp,
            diagnosis: &Diagnosis,
            finding: &Finding,
        ) -> io::Result<()> {
            self.0.finding(at, diagnosis, finding);
            Ok(())
        }

        fn beyond(&mut self, _: Timestamp, _: &GroupFinding) -> io::Result<()> {
            Ok(())
        }

        fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
            self.0.connection(diagnosis);
            Ok(())
        }
    }

    /// Runs a trace as the loop would, with a tick every tenth of a second, and gives for each file its name, how many
    /// seconds into the trace it was there, and how many packets it holds.
    fn files(lines: &str) -> Vec<(String, i64, usize)> {
        run(lines).0
    }

    fn run(lines: &str) -> (Vec<(String, i64, usize)>, Counts) {
        let folder = tempfile::tempdir().unwrap();
        let evidence = Evidence::open(folder.path(), 100).unwrap();
        let book = EvidenceWriter::new(Recorder::new(1 << 20), evidence, None);
        let mut notes = NoteTaker(book);
        let mut live = Live::new(EngineOptions::default());
        let mut decoder = Decoder::new();
        let mut found = Vec::new();
        let frames = trace(lines);
        let start = frames[0].time;
        let mut time = start;
        let mut look = |now: Timestamp| {
            for entry in fs::read_dir(folder.path()).unwrap() {
                let path = entry.unwrap().path();
                let mut reader = wirewhy_capture::open(&path).unwrap();
                let mut packets = 0;
                while reader.next().is_some() {
                    packets += 1;
                }
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                found.push((name, now.since(start).0 / 1_000_000_000, packets));
                fs::remove_file(path).unwrap();
            }
        };
        for frame in &frames {
            while time < frame.time {
                live.tick(time, &mut notes).unwrap();
                assert!(notes.0.write_due(time, &[]).is_empty());
                look(time);
                time = time.after(Interval::from_millis(100));
            }
            let frame = frame.as_frame();
            let packet = decoder.decode(&frame);
            let observed = live.observe(&packet, &mut notes).unwrap();
            if let Some(frame_scope) = FrameScope::of(&packet, observed) {
                notes.0.record(&frame, frame_scope);
            }
        }
        live.finish(&CaptureSummary::default(), &mut notes).unwrap();
        assert!(notes.0.finish(time, &[]).is_empty());
        look(time);
        (found, notes.0.counts())
    }

    #[test]
    fn a_failure_has_its_file_soon_after_and_only_once() {
        let found = files(
            "
            0.000 #1 > S 0:0(0) win 64240
            0.010 #1 < RA 0:0(0) ack 1 win 0
            5.000 #2 > S 0:0(0) win 64240
            5.010 #2 < SA 0:0(0) ack 1
            5.020 #2 > A 1:1(0) ack 1
            5.030 #2 > PA 1:5(4) ack 1
            5.040 #2 < A 1:1(0) ack 5
            400.0 end
            ",
        );
        let [(name, second, packets)] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert!(name.ends_with("_tcp.refused.pcapng"), "{name}");
        assert!((1..=3).contains(second), "{found:?}");
        assert_eq!(*packets, 2);
    }

    #[test]
    fn each_failure_of_a_storm_is_counted_once() {
        let mut lines = String::new();
        for connection in 1..=2_000 {
            lines.push_str(&format!("+0.0001 #{connection} > S 0:0(0)\n"));
            lines.push_str(&format!("+0.0001 #{connection} < RA 0:0(0) ack 1 win 0\n"));
        }
        let (found, counts) = run(&lines);
        assert_eq!(found.len() as u64, counts.written);
        assert!(counts.written >= 64, "{counts:?}");
        assert_eq!(counts.written + counts.passed_over, 2_000, "{counts:?}");
    }

    #[test]
    fn what_still_waits_is_written_at_the_end() {
        let found = files("0.000 > S 0:0(0)\n0.010 < RA 0:0(0) ack 1 win 0\n");
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn strangers_are_not_kept() {
        let frames = trace("0.000 > S 0:0(0)\n0.100 arp client asks server\n0.200 end\n");
        let mut decoder = Decoder::new();
        let all: Vec<_> = frames
            .iter()
            .map(|frame| FrameScope::of(&decoder.decode(&frame.as_frame()), None))
            .collect();
        assert_eq!(all, [None, Some(FrameScope::Any), None]);
    }
}
