//! Half-open attempts at one service, over time.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use wirewhy_flow::Mark;
use wirewhy_packet::Timestamp;

use super::attempt::Silent;
use super::distinct::Distinct;
use super::sample::Shared;
use super::stamps;
use crate::{Finding, Limits};

/// Attempts in one stretch of time, by when they began.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(from = "(i64, u32, u32)", into = "(i64, u32, u32)")]
struct Window {
    /// Time divided by [`Flood::WINDOW`].
    number: i64,
    silent: u32,
    others: u32,
}

/// Half-open attempts at one service.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Flood {
    /// The latest stretches. Attempts are noted when they end, half-open ones a good minute after they began.
    #[serde(rename = "w")]
    windows: [Window; 16],
    /// The earliest stretches, which may go on from those of another capture.
    #[serde(rename = "e")]
    earliest: [Window; 2],
    /// Stretches given up, of which half-open attempts were the greater part.
    #[serde(rename = "p")]
    past: Peak,
    /// Half-open attempts, by how the service answered.
    #[serde(rename = "u")]
    pub(crate) unanswered: u32,
    /// See `unanswered`.
    #[serde(rename = "a")]
    pub(crate) answered: u32,
    /// See `unanswered`.
    #[serde(rename = "r")]
    pub(crate) answered_again: u32,
    /// Their sources.
    #[serde(rename = "s")]
    pub(crate) sources: Distinct,
    /// The first and the latest of them.
    #[serde(rename = "f", with = "stamps")]
    pub(crate) first: Option<Timestamp>,
    /// See `first`.
    #[serde(rename = "l", with = "stamps")]
    pub(crate) last: Option<Timestamp>,
    /// Frames of the first ones.
    #[serde(rename = "n")]
    pub(crate) frames: Vec<u64>,
}

/// The stretch with the most half-open attempts.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(from = "(u32, u32)", into = "(u32, u32)")]
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

    pub(super) fn new() -> Flood {
        Flood {
            windows: [Window::default(); 16],
            earliest: [Window::default(); 2],
            past: Peak::default(),
            unanswered: 0,
            answered: 0,
            answered_again: 0,
            sources: Distinct::new(),
            first: None,
            last: None,
            frames: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, client: IpAddr, start: Mark, silent: Option<Silent>) {
        let is_silent = u32::from(silent.is_some());
        self.add_to_windows(Window {
            number: start.time.secs_nanos().0.div_euclid(Self::WINDOW),
            silent: is_silent,
            others: 1 - is_silent,
        });
        let Some(silent) = silent else { return };
        let count = match silent {
            Silent::Unanswered => &mut self.unanswered,
            Silent::Answered => &mut self.answered,
            Silent::AnsweredAgain => &mut self.answered_again,
        };
        *count = count.saturating_add(1);
        self.sources.add(client);
        self.first = Some(self.first.map_or(start.time, |first| first.min(start.time)));
        self.last = Some(self.last.map_or(start.time, |last| last.max(start.time)));
        if self.frames.len() < Finding::MAX_FRAMES {
            self.frames.push(start.frame);
        }
    }

    /// Adds to a stretch, unless it was given up before.
    fn add_to_windows(&mut self, more: Window) {
        self.add_to_earliest(more);
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

    fn add_to_earliest(&mut self, more: Window) {
        let [first, second] = &mut self.earliest;
        if first.number == more.number {
            first.add(more);
        } else if second.number == more.number {
            second.add(more);
        } else if first.number == 0 || more.number < first.number {
            (*first, *second) = (more, *first);
        } else if second.number == 0 || more.number < second.number {
            *second = more;
        }
    }

    /// Adds the half-open attempts of another capture. Where both show some of the same, the larger count holds.
    pub(super) fn join(&mut self, other: &Flood, shared: Shared) {
        let both_see = shared.is_some();
        // Those that go on from one another are within a stretch or two.
        let last = self.windows.iter().map(|window| window.number).max();
        let bridge = |window: &&Window| {
            let number = window.number;
            number != 0 && last.is_some_and(|last| last <= number && number <= last + 1)
        };
        let mut joined = self.clone();
        joined.past = joined.past.or(other.past);
        let mut windows: Vec<Window> = other.windows.to_vec();
        let is_new = |window: &&Window| windows.iter().all(|known| known.number != window.number);
        let early = other.earliest.iter().filter(bridge).filter(is_new);
        let early: Vec<Window> = early.copied().collect();
        windows.extend(early);
        windows.retain(|window| window.number != 0);
        windows.sort_by_key(|window| window.number);
        for mut window in windows {
            let here = self
                .windows
                .iter()
                .find(|here| here.number == window.number);
            if let Some(here) = here.filter(|_| both_see) {
                window.silent = window.silent.saturating_sub(here.silent);
            }
            joined.add_to_windows(window);
        }
        if !both_see {
            joined.unanswered = self.unanswered.saturating_add(other.unanswered);
            joined.answered = self.answered.saturating_add(other.answered);
            joined.answered_again = self.answered_again.saturating_add(other.answered_again);
        } else if other.half_open() > self.half_open() {
            // What was answered behind a filter was not before it.
            joined.unanswered = other.unanswered;
            joined.answered = other.answered;
            joined.answered_again = other.answered_again;
        }
        joined.sources.join(&other.sources);
        let times = [self.first, other.first];
        joined.first = times.into_iter().flatten().min();
        joined.last = self.last.max(other.last);
        joined.frames.clear();
        *self = joined;
    }

    /// Whether a flood of another capture might go on here, or be hidden here among other attempts.
    pub(crate) fn may_matter(&self, limits: &Limits) -> bool {
        let many = limits.flood_attempts / 2;
        self.half_open() > 0 || self.windows.iter().any(|window| window.others >= many)
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
        // Without anything but SYNs and their answers only a repeated answer tells.
        recorded.syn_acks
            && (self.answered_again >= self.answered && self.answered_again > 0
                || self.unanswered > self.answered.saturating_add(self.answered_again))
    }

    /// Whether so many different sources knocked that they are no clients that ask again and again.
    pub(crate) fn is_scattered(&self, limits: &Limits) -> bool {
        let sources = self.sources.count();
        let answered = self.answered.saturating_add(self.answered_again);
        // Clients without an answer ask again from another port; forged sources do not come back.
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

impl From<Window> for (i64, u32, u32) {
    fn from(window: Window) -> (i64, u32, u32) {
        (window.number, window.silent, window.others)
    }
}

impl From<(i64, u32, u32)> for Window {
    fn from((number, silent, others): (i64, u32, u32)) -> Window {
        Window {
            number,
            silent,
            others,
        }
    }
}

impl From<Peak> for (u32, u32) {
    fn from(peak: Peak) -> (u32, u32) {
        (peak.silent, peak.others)
    }
}

impl From<(u32, u32)> for Peak {
    fn from((silent, others): (u32, u32)) -> Peak {
        Peak { silent, others }
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
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub(crate) struct Recorded {
    /// Any answer to a SYN.
    pub(crate) syn_acks: bool,
    /// Anything but SYNs and their answers.
    pub(crate) beyond_syns: bool,
}
