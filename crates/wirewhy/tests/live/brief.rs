//! Connections kept in brief, beside the same followed packet by packet: the same is reported, at the same times.

use std::io;

use wirewhy::engine::{EngineOptions, Listener, Live, LiveCounts};
use wirewhy_detect::{Diagnosis, Finding};
use wirewhy_packet::{Decoder, Interval, Timestamp};
use wirewhy_report::CaptureSummary;
use wirewhy_survey::{GroupFinding, Totals};
use wirewhy_testkit::{OwnedFrame, Random, exchanges};

/// What a listener was called with.
#[derive(PartialEq, Debug)]
enum Call {
    Finding(Timestamp, Diagnosis, Finding),
    Beyond(Timestamp, GroupFinding),
    Connection(Diagnosis),
}

#[derive(Default)]
struct Calls(Vec<Call>);

impl Listener for Calls {
    fn finding(
        &mut self,
        at: Timestamp,
        diagnosis: &Diagnosis,
        finding: &Finding,
    ) -> io::Result<()> {
        let call = Call::Finding(at, diagnosis.clone(), finding.clone());
        self.0.push(call);
        Ok(())
    }

    fn beyond(&mut self, at: Timestamp, found: &GroupFinding) -> io::Result<()> {
        self.0.push(Call::Beyond(at, found.clone()));
        Ok(())
    }

    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        self.0.push(Call::Connection(diagnosis.clone()));
        Ok(())
    }
}

/// How things stand behind a tick.
type Stand = (LiveCounts, Option<Timestamp>, Vec<Interval>);

/// What comes of these frames.
struct Came {
    calls: Vec<Call>,
    stands: Vec<Stand>,
    end: (Totals, Vec<GroupFinding>),
}

/// How often the live loop looks around.
const TICK: Interval = Interval::from_millis(100);

/// How long it goes on behind the last frame.
const REST: Interval = Interval::from_secs(200);

fn live(frames: &[OwnedFrame], follows_all: bool) -> Came {
    let mut live = Live::new(EngineOptions {
        follows_all,
        ..EngineOptions::default()
    });
    let mut calls = Calls::default();
    let mut stands = Vec::new();
    let mut decoder = Decoder::new();
    let mut tick_until = |live: &mut Live, calls: &mut Calls, from: Timestamp, to: Timestamp| {
        let mut tick = from;
        while tick <= to {
            live.tick(tick, calls).unwrap();
            stands.push((live.live_counts(), live.due(), live.handshakes().collect()));
            // Between two ticks only what is due can be settled.
            let next = live.due().map_or(to, |due| due.min(to));
            tick = tick.after(TICK).max(next.min(tick.after(REST)));
            if next == to && tick > to {
                break;
            }
        }
    };
    let mut last = None;
    for frame in frames {
        if let Some(last) = last.filter(|last: &Timestamp| frame.time.since(*last) >= TICK) {
            tick_until(&mut live, &mut calls, last, frame.time);
        }
        last = last.max(Some(frame.time));
        decoder
            .decode_with(&frame.as_frame(), |packet| {
                live.observe(packet, &mut calls).map(drop)
            })
            .unwrap();
    }
    if let Some(last) = last {
        tick_until(&mut live, &mut calls, last, last.after(REST));
    }
    let end = live.finish(&CaptureSummary::default(), &mut calls).unwrap();
    Came {
        calls: calls.0,
        stands,
        end,
    }
}

/// The same frames with a long silence or two between them.
fn with_silences(mut frames: Vec<OwnedFrame>, seed: u64) -> Vec<OwnedFrame> {
    let mut dice = Random::new(seed.wrapping_mul(0xd6e8_feb8_6659_fd93));
    for _ in 0..dice.below(3) {
        let from = dice.below(frames.len());
        let seconds = [2, 4, 12, 40, 75, 100][dice.below(6)];
        for frame in &mut frames[from..] {
            frame.time = frame.time.after(Interval::from_secs(seconds));
        }
    }
    frames
}

#[test]
fn what_is_kept_in_brief_is_reported_as_what_is_followed() {
    let (mut findings, mut connections, mut handshakes) = (0, 0, 0);
    for seed in 1..=160 {
        let frames = with_silences(exchanges(seed), seed);
        let (brief, full) = (live(&frames, false), live(&frames, true));
        assert_eq!(brief.calls.len(), full.calls.len(), "{seed}");
        for (brief, full) in brief.calls.iter().zip(&full.calls) {
            assert_eq!(brief, full, "{seed}");
        }
        assert_eq!(brief.stands, full.stands, "{seed}");
        assert_eq!(brief.end, full.end, "{seed}");
        for call in &brief.calls {
            match call {
                Call::Finding(..) => findings += 1,
                Call::Connection(_) => connections += 1,
                Call::Beyond(..) => {}
            }
        }
        let taken = |(_, _, taken): &Stand| taken.len();
        handshakes += brief.stands.iter().map(taken).sum::<usize>();
    }
    assert!(
        findings > 80 && connections > 300,
        "{findings} {connections}"
    );
    assert!(handshakes > 300, "{handshakes}");
}
