//! The loop from the first packet to the summary.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wirewhy::engine::{EngineOptions, Live};
use wirewhy::evidence::FrameScope;
use wirewhy_capture::live::{Change, MOST_DELAY, Transition};
use wirewhy_capture::{InterfaceStatistics, now};
use wirewhy_detect::Severity;
use wirewhy_flow::Bounds;
use wirewhy_packet::{Decoder, Interval, Timestamp};
use wirewhy_report::{Status, Sums, TextStyle};

use super::feeder::{self, Feeder};
use super::memory;
use super::sinks::LiveSinks;
use crate::cli::LiveArgs;
use crate::journal::Priority;
use crate::service::ServiceManager;
use crate::setup::Setup;

/// How often the analysis looks around, and so how late a finding can be told.
const TICK: Interval = Interval::from_millis(100);

/// How often the kernel is asked for its counters.
const ASK: Interval = Interval::from_secs(1);

/// How long to wait for a frame.
const WAIT: Duration = Duration::from_millis(50);

/// How many frames are taken in between two looks at the clock.
const FRAMES_A_LOOK: u32 = 64;

/// How far a clock may lie behind the time something is due at before it is taken to have been set back.
const SET_BACK: Interval = Interval::from_secs(5);

/// What a session is to do, and when to end.
pub(super) struct Plan {
    options: EngineOptions,
    duration: Option<Interval>,
    count: Option<u64>,
    stop: Arc<AtomicBool>,
    /// Raised where the terminal was closed, or the output is to be opened anew.
    hangup: Arc<AtomicBool>,
    /// Raised to open the output anew; nothing where it is no file.
    reopen: Option<Arc<AtomicBool>>,
}

impl Plan {
    pub(super) fn new(
        args: &LiveArgs,
        setup: &Setup,
        stop: Arc<AtomicBool>,
        (hangup, reopen): (Arc<AtomicBool>, Option<Arc<AtomicBool>>),
    ) -> Plan {
        let connections = args.max_connections;
        Plan {
            options: EngineOptions {
                bounds: Bounds {
                    max_connections: connections,
                    // As many again for packets that come late.
                    max_streams: connections.saturating_mul(2).max(LEAST_STREAMS),
                    ..setup.options.bounds
                },
                ..setup.options.clone()
            },
            duration: args.duration.map(|duration| duration.0),
            count: args.count,
            stop,
            hangup,
            reopen,
        }
    }
}

/// Pairs of addresses and ports that are remembered at least: a small table may see many short connections.
const LEAST_STREAMS: usize = 65_536;

/// Interfaces being listened to.
pub(super) struct Session<'a> {
    plan: Plan,
    feeder: Feeder,
    live: Live,
    decoder: Decoder,
    sinks: LiveSinks<'a>,
    latest: Timestamp,
    looked: Timestamp,
    asked: Timestamp,
    statistics: InterfaceStatistics,
    memory: Option<u64>,
    warns: bool,
    manager: ServiceManager,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        plan: Plan,
        feeder: Feeder,
        sinks: LiveSinks<'a>,
        warns: bool,
        manager: ServiceManager,
    ) -> Session<'a> {
        let never = Timestamp(i64::MIN);
        Session {
            live: Live::new(plan.options.clone()),
            plan,
            feeder,
            decoder: Decoder::new(),
            sinks,
            latest: never,
            looked: never,
            asked: never,
            statistics: InterfaceStatistics::default(),
            memory: None,
            warns,
            manager,
        }
    }

    /// Listens until it is to stop, and tells the summary. Returns the worst severity found.
    pub(super) fn run(mut self) -> io::Result<Option<Severity>> {
        self.manager.ready();
        let end = self.plan.duration.map(|duration| now().after(duration));
        let mut unlooked = 0;
        let mut counted = false;
        let mut ended = false;
        while !ended && !counted && !self.is_stopped() {
            let pulled = self.pull(WAIT)?;
            ended = pulled == Came::End;
            counted = self
                .plan
                .count
                .is_some_and(|count| self.feeder.packets() >= count);
            unlooked += 1;
            if pulled == Came::Frame && unlooked < FRAMES_A_LOOK {
                continue;
            }
            unlooked = 0;
            let time = now();
            if is_due(self.looked, TICK, time) {
                self.looked = time;
                self.look(time, pulled)?;
            }
            if end.is_some_and(|end| time >= end) {
                break;
            }
        }
        self.manager.stopping();
        if !counted && self.feeder.is_delayed() {
            self.drain()?;
        }
        self.finish()
    }

    /// Takes in what comes next.
    fn pull(&mut self, wait: Duration) -> io::Result<Came> {
        let (live, sinks, latest) = (&mut self.live, &mut self.sinks, &mut self.latest);
        let came = self.feeder.next(wait, &mut self.decoder, |frame, fed| {
            *latest = (*latest).max(frame.time);
            let observed = live.take(fed, sinks)?;
            if let Some(frame_scope) = FrameScope::of(fed.packet, observed).filter(|_| fed.passes) {
                sinks.record(frame, frame_scope);
            }
            io::Result::Ok(())
        });
        match came {
            feeder::Came::Frame(taken) => taken.map(|()| Came::Frame),
            feeder::Came::Nothing => Ok(Came::Nothing),
            feeder::Came::End => Ok(Came::End),
            feeder::Came::Change(change) => {
                if self.warns {
                    self.sinks.say(priority(&change), &in_words(&change))?;
                }
                Ok(Came::Nothing)
            }
        }
    }

    /// Tells what is settled by now, and how things stand.
    fn look(&mut self, time: Timestamp, came: Came) -> io::Result<()> {
        // Where frames wait, only as much time has passed as they tell; where none do, all but what they may take.
        let passed = match came {
            Came::Frame | Came::End => self.latest,
            Came::Nothing => self.latest.max(self.feeder.passed(time)),
        };
        self.live.tick(passed, &mut self.sinks)?;
        if is_due(self.asked, ASK, time) {
            self.asked = time;
            self.statistics = self.feeder.statistics();
            self.memory = memory::resident();
        }
        self.sinks
            .write_evidence(passed, self.feeder.interfaces())?;
        self.count();
        let status = self.status();
        self.sinks.pulse(time, &status)?;
        // The pulse has written everything: what comes next begins a line.
        if self.plan.hangup.swap(false, Ordering::Relaxed) {
            match &self.plan.reopen {
                Some(reopen) => {
                    self.manager.reloading();
                    reopen.store(true, Ordering::Relaxed);
                    self.sinks.pulse(time, &status)?;
                    self.manager.ready();
                }
                None => self.plan.stop.store(true, Ordering::Relaxed),
            }
        }
        self.manager.progress(|| status.to_string());
        Ok(())
    }

    fn status(&self) -> Status {
        let live_counts = self.live.live_counts();
        Status {
            packets: self.feeder.packets(),
            following: live_counts.following,
            failed: live_counts.failed,
            dropped: self.statistics.dropped().unwrap_or(0),
            given_up: live_counts.given_up,
            memory: self.memory,
            columns: terminal_size::terminal_size()
                .map_or(TextStyle::MAX_WIDTH, |(width, _)| usize::from(width.0)),
        }
    }

    fn count(&mut self) {
        let Some(metrics) = self.sinks.metrics() else {
            self.live.handshakes().for_each(drop);
            return;
        };
        for took in self.live.handshakes() {
            metrics.tcp_handshake(took);
        }
        let live_counts = self.live.live_counts();
        let tally = self.live.tally();
        metrics.update(&Sums {
            packets: self.feeder.packets(),
            tcp_packets: tally.tcp_packets,
            resets: tally.resets,
            retransmissions: tally.retransmissions,
            kernel_dropped: self.statistics.dropped_by_system.unwrap_or(0),
            interface_dropped: self.statistics.dropped_by_interface.unwrap_or(0),
            given_up: live_counts.given_up,
            evidence: self.sinks.evidence(),
            followed: live_counts.following,
            memory: self.memory,
        });
    }

    /// Takes in what passed before now and is still on its way, or waits in the kernel's buffer.
    fn drain(&mut self) -> io::Result<()> {
        let until = now();
        let delay = Interval(i64::try_from(MOST_DELAY.as_nanos()).unwrap_or(i64::MAX));
        let last = until.after(delay).after(delay);
        let counted = self.feeder.statistics();
        let waiting = counted.received.unwrap_or(0);
        let waiting = waiting.saturating_sub(counted.dropped_by_system.unwrap_or(0));
        while self.latest <= until {
            let came = self.pull(WAIT)?;
            let is_late = now() > last && self.feeder.packets() >= waiting;
            if came == Came::Nothing && now() > until.after(delay) || is_late {
                break;
            }
        }
        Ok(())
    }

    /// Whether listening is to end. A recording is read to where it ends then.
    fn is_stopped(&self) -> bool {
        self.feeder.is_delayed() && self.plan.stop.load(Ordering::Relaxed)
    }

    fn finish(mut self) -> io::Result<Option<Severity>> {
        let time = now();
        self.asked = Timestamp(i64::MIN);
        // A recording ends with its last frame.
        let came = if self.feeder.is_delayed() {
            Came::Nothing
        } else {
            Came::End
        };
        self.look(time, came)?;
        self.plan.stop.store(true, Ordering::Relaxed);
        let interfaces = self.feeder.interfaces().to_vec();
        let summary = self.feeder.into_summary(&self.statistics);
        let summary = self.live.given_up(summary);
        let (totals, group) = self.live.finish(&summary, &mut self.sinks)?;
        self.sinks.write_last_evidence(time, &interfaces)?;
        self.sinks.finish(&summary, &totals, &group, self.warns)
    }
}

/// What waiting brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Came {
    Frame,
    Nothing,
    /// Nothing more will come.
    End,
}

/// Whether something that was done at `last` is to be done again. A clock that was set back holds up nothing.
fn is_due(last: Timestamp, every: Interval, time: Timestamp) -> bool {
    time.since(last) >= every || last.since(time) > SET_BACK
}

fn priority(change: &Change) -> Priority {
    match change.transition {
        Transition::Back => Priority::Info,
        Transition::Down | Transition::Lost(_) | Transition::Refused(_) => Priority::Warning,
    }
}

fn in_words(change: &Change) -> String {
    let Change {
        interface,
        transition,
    } = change;
    match transition {
        Transition::Down => format!("{interface}: the interface went down; waiting for it"),
        Transition::Lost(kind) => format!("{interface}: {kind}; waiting for it"),
        Transition::Refused(kind) => format!("{interface}: is back, but {kind}; trying again"),
        Transition::Back => format!("{interface}: is back"),
    }
}
