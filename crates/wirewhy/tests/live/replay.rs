//! Every capture of the lab through the live loop, by its own clock: what it tells, and when, beside what is said of the
//! file.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use wirewhy::engine::{Analysis, EngineOptions, Listener, Live};
use wirewhy_capture::Reader;
use wirewhy_detect::{Diagnosis, Finding};
use wirewhy_packet::{Decoder, Interval, Timestamp};
use wirewhy_report::CaptureSummary;
use wirewhy_survey::GroupFinding;

type Codes = BTreeSet<(u32, &'static str)>;

/// What an analysis said of a capture.
#[derive(Default)]
struct Heard {
    /// Reported one by one, with the times.
    reported: BTreeMap<(u32, &'static str), Timestamp>,
    twice: Vec<(u32, &'static str)>,
    /// Said of connections when they were over.
    concluded: Codes,
    outcomes: BTreeMap<u32, (&'static str, Option<&'static str>)>,
    beyond: BTreeSet<(String, &'static str)>,
    decisive: BTreeMap<(u32, &'static str), u64>,
}

impl Heard {
    fn conclude(&mut self, diagnosis: &Diagnosis) {
        let stream = diagnosis.connection.stream;
        let root = diagnosis.root_cause().map(|cause| cause.code);
        self.outcomes
            .insert(stream, (diagnosis.outcome().name(), root));
        for finding in &diagnosis.findings {
            self.concluded.insert((stream, finding.code));
            if let Some(frame) = finding.frames.iter().max() {
                self.decisive.insert((stream, finding.code), *frame);
            }
        }
    }
}

impl Listener for Heard {
    fn finding(
        &mut self,
        at: Timestamp,
        diagnosis: &Diagnosis,
        finding: &Finding,
    ) -> io::Result<()> {
        let key = (diagnosis.connection.stream, finding.code);
        if self.reported.insert(key, at).is_some() {
            self.twice.push(key);
        }
        Ok(())
    }

    fn beyond(&mut self, _: Timestamp, found: &GroupFinding) -> io::Result<()> {
        self.beyond
            .insert((found.subject.clone(), found.finding.code));
        Ok(())
    }

    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        self.conclude(diagnosis);
        Ok(())
    }
}

fn captures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/captures");
    let mut found: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .flat_map(|folder| {
            std::fs::read_dir(folder.unwrap().path())
                .into_iter()
                .flatten()
        })
        .map(|file| file.unwrap().path())
        .filter(|path| {
            let ending = path.extension().and_then(|ending| ending.to_str());
            matches!(ending, Some("pcap" | "pcapng"))
        })
        .collect();
    found.sort();
    assert!(found.len() > 20, "the lab's captures are there");
    found
}

fn in_a_file(reader: &mut Reader) -> Heard {
    let mut heard = Heard::default();
    let mut decoder = Decoder::new();
    let mut analysis = Analysis::new(EngineOptions::default());
    let mut sink = |diagnosis: &Diagnosis| {
        heard.conclude(diagnosis);
        Ok(())
    };
    while let Some(frame) = reader.next() {
        decoder
            .decode_with(&frame, |packet| {
                analysis.observe(packet, &mut sink).map(drop)
            })
            .unwrap();
    }
    let (_, beyond) = analysis
        .finish(&CaptureSummary::default(), &mut sink)
        .unwrap();
    heard.beyond = subjects(&beyond);
    heard
}

fn subjects(beyond: &[GroupFinding]) -> BTreeSet<(String, &'static str)> {
    beyond
        .iter()
        .map(|found| (found.subject.clone(), found.finding.code))
        .collect()
}

/// How often the live loop looks around.
const TICK: Interval = Interval::from_millis(100);

fn live(reader: &mut Reader) -> Heard {
    let mut heard = Heard::default();
    let mut decoder = Decoder::new();
    let mut live = Live::new(EngineOptions::default());
    let mut next = None;
    while let Some(frame) = reader.next() {
        let now = frame.time;
        // As the clock would have it: a tick soon after the packets, and one whenever silence settles something.
        if let Some(tick) = next.filter(|tick| *tick <= now) {
            live.tick(tick, &mut heard).unwrap();
            while let Some(due) = live.due().filter(|due| *due <= now) {
                live.tick(due, &mut heard).unwrap();
            }
        }
        if next.is_none_or(|tick| tick <= now) {
            next = Some(now.after(TICK));
        }
        decoder
            .decode_with(&frame, |packet| live.observe(packet, &mut heard).map(drop))
            .unwrap();
    }
    let (_, beyond) = live.finish(&CaptureSummary::default(), &mut heard).unwrap();
    heard.beyond.extend(subjects(&beyond));
    heard
}

fn both(path: &Path) -> (Heard, Heard) {
    let open = || wirewhy_capture::open(path).unwrap();
    (in_a_file(&mut open()), live(&mut open()))
}

#[test]
fn the_last_word_is_the_same() {
    let mut wrong = Vec::new();
    for path in captures() {
        let (file, live) = both(&path);
        if file.concluded != live.concluded {
            let lost: Vec<_> = file.concluded.difference(&live.concluded).collect();
            let added: Vec<_> = live.concluded.difference(&file.concluded).collect();
            wrong.push(format!(
                "{}: lost {lost:?}, added {added:?}",
                path.display()
            ));
        }
        if file.outcomes != live.outcomes {
            wrong.push(format!("{}: outcomes differ", path.display()));
        }
        if file.beyond != live.beyond {
            wrong.push(format!(
                "{}: {:?} {:?}",
                path.display(),
                file.beyond,
                live.beyond
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn everything_concluded_was_told_and_nothing_twice() {
    let mut wrong = Vec::new();
    for path in captures() {
        let (_, live) = both(&path);
        let reported: Codes = live.reported.keys().copied().collect();
        let unreported: Vec<_> = live.concluded.difference(&reported).collect();
        if !unreported.is_empty() || !live.twice.is_empty() {
            wrong.push(format!(
                "{}: {unreported:?} {:?}",
                path.display(),
                live.twice
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A wait too long for an answer, or for the next step of a handshake, is reported, and what came of it when it
/// goes on after all; of the file only the latter is said.
fn was_true_when_told(file: &Codes, (stream, code): (u32, &'static str)) -> bool {
    let went_on: &[&str] = match code {
        "tcp.no-response" => &["tcp.slow-response"],
        "tls.handshake-timeout" => &["tcp.slow-response", "tls.handshake-closed"],
        "tcp.syn-unanswered" | "tcp.synack-unanswered" => &["tcp.handshake-aborted"],
        _ => &[],
    };
    went_on.iter().any(|later| file.contains(&(stream, *later)))
}

#[test]
fn what_is_told_holds_in_the_end() {
    let mut wrong = Vec::new();
    for path in captures() {
        let (file, live) = both(&path);
        let reported: Codes = live.reported.keys().copied().collect();
        let back: Vec<_> = reported
            .difference(&file.concluded)
            .filter(|reported| !was_true_when_told(&file.concluded, **reported))
            .collect();
        if !back.is_empty() {
            wrong.push(format!("{}: {back:?}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
