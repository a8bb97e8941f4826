//! What arrives is never more than what is held.

use std::io;

use wirewhy::engine::{EngineOptions, Listener, Live};
use wirewhy_detect::{Diagnosis, Finding};
use wirewhy_flow::Bounds;
use wirewhy_packet::{Decoder, Frame, Interval, Timestamp};
use wirewhy_report::CaptureSummary;
use wirewhy_survey::GroupFinding;
use wirewhy_testkit::{OwnedFrame, trace};

#[derive(Default)]
struct Counted {
    reported: u64,
    over: u64,
    given_up: u64,
}

impl Listener for Counted {
    fn finding(&mut self, _: Timestamp, _: &Diagnosis, _: &Finding) -> io::Result<()> {
        self.reported += 1;
        Ok(())
    }

    fn beyond(&mut self, _: Timestamp, _: &GroupFinding) -> io::Result<()> {
        Ok(())
    }

    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        self.over += 1;
        let ended = diagnosis.connection.ended;
        self.given_up += u64::from(ended == wirewhy_flow::Ended::GivenUp);
        Ok(())
    }
}

struct Session {
    live: Live,
    decoder: Decoder,
    counted: Counted,
    frames: u64,
    now: Timestamp,
}

impl Session {
    fn new(max_connections: usize, max_streams: usize) -> Session {
        let bounds = Bounds {
            max_connections,
            max_streams,
            ..Bounds::default()
        };
        Session {
            live: Live::new(EngineOptions {
                bounds,
                ..EngineOptions::default()
            }),
            decoder: Decoder::new(),
            counted: Counted::default(),
            frames: 0,
            now: Timestamp::from_secs_nanos(1_700_000_000, 0),
        }
    }

    /// A frame of another client: the client's address and port stand for the number.
    fn pass(&mut self, template: &OwnedFrame, number: u32, step: Interval) {
        let from_client = template.as_frame().data[26..28] == CLIENT;
        let mut data = template.as_frame().data.to_vec();
        let (address, port) = if from_client { (26, 34) } else { (30, 36) };
        let [high, middle, low, least] = number.to_be_bytes();
        data[address + 1] = high;
        data[address + 2] = middle;
        data[address + 3] = low;
        data[port + 1] = least;
        self.frames += 1;
        self.now = self.now.after(step);
        let frame = Frame {
            number: self.frames,
            time: self.now,
            data: &data,
            ..template.as_frame()
        };
        let (live, counted) = (&mut self.live, &mut self.counted);
        self.decoder
            .decode_with(&frame, |packet| live.observe(packet, counted).map(drop))
            .unwrap();
    }

    fn tick(&mut self, after: Interval) {
        self.now = self.now.after(after);
        self.live.tick(self.now, &mut self.counted).unwrap();
    }
}

/// How the client's address begins in what follows.
const CLIENT: [u8; 2] = [100, 64];

fn frames(lines: &str) -> Vec<OwnedFrame> {
    trace(&format!(
        "client 100.64.0.1:40000\nserver 10.0.0.9:443\n{lines}"
    ))
}

const MICRO: Interval = Interval(1_000);

#[test]
fn a_flood_of_spoofed_sources_stays_inside_the_bound_and_is_counted() {
    const FLOOD: u32 = 300_000;
    const MOST: usize = 5_000;
    let mut session = Session::new(MOST, 2 * MOST);
    let open = frames("0.0 > S 0:0(0)\n0.1 < SA 0:0(0) ack 1\n0.2 > A 1:1(0) ack 1");
    for frame in &open {
        session.pass(frame, 0xff_ff01, MICRO);
    }
    let syn = frames("0.0 > S 0:0(0)").remove(0);
    for number in 0..FLOOD {
        session.pass(&syn, number, MICRO);
        if number % 10_000 == 0 {
            session.tick(MICRO);
        }
    }
    let live_counts = session.live.live_counts();
    assert_eq!(live_counts.following, 5_000);
    assert_eq!(live_counts.given_up, u64::from(FLOOD) + 1 - 5_000);
    assert_eq!(session.counted.given_up, live_counts.given_up);
    assert!(
        live_counts.remembered < 12_000,
        "{}",
        live_counts.remembered
    );
    // The one that was open before is followed on.
    let reset = frames("0.3 < R 1:1(0)").remove(0);
    session.pass(&reset, 0xff_ff01, MICRO);
    assert_eq!(session.live.tally().late_resets.count, 0);
    // What is left of the flood is reported when its time has come, and is over when that has passed.
    session.tick(Interval::from_secs(4));
    session.tick(Interval::from_secs(70));
    assert_eq!(session.live.live_counts().following, 0);
    // One of the five thousand is the reset.
    assert_eq!(session.counted.reported, 5_000);
    let (totals, _) = session
        .live
        .finish(&CaptureSummary::default(), &mut session.counted)
        .unwrap();
    assert_eq!(totals.connections, u64::from(FLOOD) + 1);
    assert_eq!(session.counted.over, totals.connections);
}

#[test]
fn idle_connections_are_never_looked_at() {
    const IDLE: u32 = 50_000;
    let mut session = Session::new(200_000, 400_000);
    let open = frames("0.0 > S 0:0(0)\n0.1 < SA 0:0(0) ack 1\n0.2 > A 1:1(0) ack 1");
    for number in 0..IDLE {
        for frame in &open {
            session.pass(frame, number, MICRO);
        }
    }
    // The SYNs stood alone for a moment, and that they did was noted.
    session.tick(Interval::from_secs(10));
    assert_eq!(session.live.live_counts().following, u64::from(IDLE));
    assert_eq!(session.live.due(), None);
    for _ in 0..100_000 {
        session.tick(Interval::from_millis(100));
    }
    assert_eq!(session.live.live_counts().following, u64::from(IDLE));
    assert_eq!((session.counted.reported, session.counted.over), (0, 0));
}

#[test]
fn refusals_for_a_long_time_leave_nothing_behind() {
    let mut session = Session::new(1_000, 2_000);
    let refused = frames("0.0 > S 0:0(0)\n0.1 < RA 0:0(0) ack 1");
    for number in 0..100_000 {
        for frame in &refused {
            session.pass(frame, number, Interval::from_millis(5));
        }
        if number % 10 == 0 {
            session.tick(Interval::from_millis(5));
        }
    }
    let live_counts = session.live.live_counts();
    assert!(live_counts.following <= 250, "{live_counts:?}");
    assert!(live_counts.remembered <= 2_500, "{live_counts:?}");
    assert_eq!(live_counts.given_up, 0);
    // The last ones are looked at, and told when they still hold half a second later.
    for _ in 0..10 {
        session.tick(Interval::from_millis(100));
    }
    assert_eq!(session.live.live_counts().failed, 100_000);
}
