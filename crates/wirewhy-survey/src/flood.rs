//! Half-open attempts at one service, over time.

use std::net::IpAddr;

use wirewhy_flow::Mark;
use wirewhy_packet::Timestamp;

use crate::attempt::HalfOpen;
use crate::distinct_count::DistinctCount;
use wirewhy_detect::{Finding, Limits};

/// Attempts in one stretch of time, by when they began.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Window {
    /// Time divided by [`Flood::WINDOW`].
    number: i64,
    silent: u32,
    others: u32,
}

/// Half-open attempts at one service.
#[derive(Clone, Debug)]
pub(crate) struct Flood {
    /// The latest stretches. Attempts are noted when they end, half-open ones a good minute after they began.
    windows: [Window; 16],
    /// Stretches no longer kept, in which half-open attempts were the greater part.
    past: Peak,
    /// Half-open attempts, by how the service answered.
    pub(crate) unanswered: u32,
    /// See `unanswered`.
    pub(crate) answered: u32,
    /// See `unanswered`.
    pub(crate) answered_again: u32,
    /// Their sources.
    pub(crate) sources: DistinctCount<IpAddr>,
    /// The first and the latest of them.
    pub(crate) first: Option<Timestamp>,
    /// See `first`.
    pub(crate) last: Option<Timestamp>,
    /// Frames of the first ones.
    pub(crate) frames: Vec<u64>,
}

/// The stretch with the most half-open attempts.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Peak {
    /// Half-open attempts.
    pub(crate) silent: u32,
    /// All others.
    pub(crate) others: u32,
}

impl Flood {
    /// Length of a stretch in seconds; two that follow one another are looked at together.
    const WINDOW: i64 = 5;
    /// How many stretches are remembered.
    const WINDOWS: i64 = 16;

    pub(crate) fn new() -> Flood {
        Flood {
            windows: [Window::default(); 16],
            past: Peak::default(),
            unanswered: 0,
            answered: 0,
            answered_again: 0,
            sources: DistinctCount::default(),
            first: None,
            last: None,
            frames: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, client: IpAddr, start: Mark, silent: Option<HalfOpen>) {
        let is_silent = u32::from(silent.is_some());
        self.add_to_windows(Window {
            number: start.time.secs_nanos().0.div_euclid(Self::WINDOW),
            silent: is_silent,
            others: 1 - is_silent,
        });
        let Some(silent) = silent else { return };
        let count = match silent {
            HalfOpen::Unanswered => &mut self.unanswered,
            HalfOpen::Answered => &mut self.answered,
            HalfOpen::AnsweredAgain => &mut self.answered_again,
        };
        *count = count.saturating_add(1);
        self.sources.add(&client);
        self.first = Some(self.first.map_or(start.time, |first| first.min(start.time)));
        self.last = Some(self.last.map_or(start.time, |last| last.max(start.time)));
        if self.frames.len() < Finding::MAX_FRAMES {
            self.frames.push(start.frame);
        }
    }

    /// Adds to a stretch, unless it is no longer kept.
    fn add_to_windows(&mut self, more: Window) {
        let place = Self::place(more.number);
        if let Some(old) = self.windows.get(place).copied()
            && old.number < more.number
        {
            self.past = self.past.or(self.peak_from(&old));
            if let Some(window) = self.windows.get_mut(place) {
                *window = more;
            }
        } else if let Some(window) = self.windows.get_mut(place)
            && window.number == more.number
        {
            window.add(more);
        }
    }

    /// The ten seconds with the most half-open attempts, among those where they are no fewer than the others.
    pub(crate) fn peak(&self) -> Peak {
        self.windows
            .iter()
            .map(|window| self.peak_from(window))
            .fold(self.past, Peak::or)
    }

    /// A stretch together with the one that follows it.
    fn peak_from(&self, window: &Window) -> Peak {
        let next = self
            .windows
            .get(Self::place(window.number + 1))
            .filter(|next| next.number == window.number + 1);
        let sum = |of: fn(&Window) -> u32| of(window).saturating_add(next.map_or(0, of));
        let (silent, others) = (sum(|window| window.silent), sum(|window| window.others));
        if silent >= others {
            Peak { silent, others }
        } else {
            Peak::default()
        }
    }

    fn place(number: i64) -> usize {
        usize::try_from(number.rem_euclid(Self::WINDOWS)).unwrap_or(0)
    }

    /// Half-open attempts in all.
    pub(crate) fn half_open(&self) -> u32 {
        self.unanswered
            .saturating_add(self.answered)
            .saturating_add(self.answered_again)
    }

    /// Whether the answers, or their absence, are known to be all there was: a recording of nothing but SYNs shows every
    /// attempt half-open.
    pub(crate) fn is_proven(&self, recorded: &Recorded) -> bool {
        if recorded.beyond_syns {
            return true;
        }
        // In a recording of SYNs and SYN-ACKs alone only a repeated SYN-ACK proves that the ACK is missing.
        recorded.syn_acks
            && (self.answered_again >= self.answered && self.answered_again > 0
                || self.unanswered > self.answered.saturating_add(self.answered_again))
    }

    /// Whether there are so many different sources that they are not clients that retry.
    pub(crate) fn is_scattered(&self, limits: &Limits) -> bool {
        let sources = self.sources.count();
        let answered = self.answered.saturating_add(self.answered_again);
        // Clients without an answer retry from another port; forged sources do not.
        let random = sources.saturating_mul(2) >= u64::from(self.half_open());
        sources >= u64::from(limits.flood_sources) && (random || answered > self.unanswered)
    }
}

impl Window {
    fn add(&mut self, more: Window) {
        self.silent = self.silent.saturating_add(more.silent);
        self.others = self.others.saturating_add(more.others);
    }
}

impl Peak {
    fn or(self, other: Peak) -> Peak {
        if other.silent > self.silent {
            other
        } else {
            self
        }
    }
}

/// Which kinds of TCP packet the recording holds at all.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Recorded {
    /// Any answer to a SYN.
    pub(crate) syn_acks: bool,
    /// Anything but SYNs and their answers.
    pub(crate) beyond_syns: bool,
}
