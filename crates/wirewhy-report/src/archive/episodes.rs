//! Which captures lie next to one another in time, and what came of those that do.
//!
//! Captures may come in any order. Episodes are kept open until there are too many of them, or the end; then those that
//! nothing was added to for the longest time are judged. A capture that comes after what lies next to it was judged takes
//! that judgement back: what the captures said each by themselves stands again.

use std::collections::BTreeMap;

use wirewhy_detect::{Across, Captured, Episode, Limits, Said};
use wirewhy_packet::{Interval, Timestamp};

/// How much open episodes may hold, all together.
const HELD: usize = 16_384;

/// How many judged ones are told apart.
const JUDGED: usize = 8_192;

/// How many findings are kept.
const FOUND: usize = 4_096;

/// Captures by episodes.
#[derive(Debug, Default)]
pub(super) struct Episodes {
    limits: Limits,
    /// By when they begin; no two lie next to one another.
    open: BTreeMap<Timestamp, Open>,
    judged: BTreeMap<Timestamp, Judged>,
    held: usize,
    found: usize,
    turn: u64,
    /// Captures that came too late to be judged with those next to them.
    pub(super) late: u64,
}

#[derive(Debug)]
struct Open {
    until: Timestamp,
    episode: Episode,
    weight: usize,
    touched: u64,
    /// Whether a part of it was judged already.
    is_torn: bool,
}

#[derive(Debug)]
struct Judged {
    until: Timestamp,
    across: Vec<(Across, Vec<Said>)>,
}

impl Episodes {
    pub(super) fn new(limits: Limits) -> Episodes {
        Episodes {
            limits,
            ..Episodes::default()
        }
    }

    /// Takes in a capture. Returns what stands as captures said it, each by itself.
    pub(super) fn add(&mut self, captured: Captured) -> Vec<Said> {
        let mut said = Vec::new();
        let (mut from, mut until) = (captured.from, captured.until);
        let torn = near(
            &self.judged,
            from,
            until,
            self.limits.episode_gap,
            |judged| judged.until,
        );
        for begun in &torn {
            if let Some(judged) = self.judged.get_mut(begun) {
                self.found = self.found.saturating_sub(judged.across.len());
                said.extend(judged.across.drain(..).flat_map(|(_, said)| said));
            }
        }
        self.late += u64::from(!torn.is_empty());
        self.turn += 1;
        let mut open = Open {
            until,
            episode: Episode::default(),
            weight: 0,
            touched: self.turn,
            is_torn: !torn.is_empty(),
        };
        for begun in near(&self.open, from, until, self.limits.episode_gap, |open| {
            open.until
        }) {
            let Some(other) = self.open.remove(&begun) else {
                continue;
            };
            self.held = self.held.saturating_sub(other.weight);
            from = from.min(begun);
            until = until.max(other.until);
            open.is_torn |= other.is_torn;
            if open.weight == 0 {
                open.episode = other.episode;
            } else {
                open.episode.absorb(other.episode, &self.limits);
            }
            open.weight += other.weight;
        }
        open.until = until;
        open.episode.add(captured, &self.limits);
        open.weight = open.episode.weight();
        self.held += open.weight;
        self.open.insert(from, open);
        if self.held > HELD {
            said.extend(self.make_room());
        }
        said
    }

    /// Judges all that are open.
    pub(super) fn finish(&mut self) -> Vec<Said> {
        self.held = 0;
        let open = std::mem::take(&mut self.open);
        open.into_iter()
            .flat_map(|(from, open)| self.judge(from, open))
            .collect()
    }

    /// What captures show together.
    pub(super) fn found(&self) -> impl Iterator<Item = &Across> {
        let judged = self.judged.values();
        judged.flat_map(|judged| judged.across.iter().map(|(across, _)| across))
    }

    fn make_room(&mut self) -> Vec<Said> {
        let mut oldest: Vec<(u64, Timestamp)> = self
            .open
            .iter()
            .map(|(from, open)| (open.touched, *from))
            .collect();
        oldest.sort_unstable();
        // The latest stays, however much it holds: its own tables are bounded.
        oldest.pop();
        let mut said = Vec::new();
        for (_, from) in oldest {
            if self.held <= HELD / 4 * 3 {
                break;
            }
            if let Some(open) = self.open.remove(&from) {
                self.held = self.held.saturating_sub(open.weight);
                said.extend(self.judge(from, open));
            }
        }
        said
    }

    fn judge(&mut self, from: Timestamp, open: Open) -> Vec<Said> {
        let judgement = open.episode.judge(&self.limits);
        let mut said = judgement.said;
        let mut across = judgement.across;
        let room = if open.is_torn {
            0
        } else {
            FOUND.saturating_sub(self.found)
        };
        for (_, replaced) in across.split_off(room.min(across.len())) {
            said.extend(replaced);
        }
        self.found += across.len();
        let judged = Judged {
            until: open.until,
            across,
        };
        self.judged
            .entry(from)
            .and_modify(|known| known.until = known.until.max(judged.until))
            .or_insert(judged);
        if self.judged.len() > JUDGED {
            self.fold();
        }
        said
    }

    /// Tells each two judged ones that follow one another no longer apart.
    fn fold(&mut self) {
        let mut judged = std::mem::take(&mut self.judged).into_iter();
        while let Some((from, mut one)) = judged.next() {
            if let Some((_, other)) = judged.next() {
                one.until = one.until.max(other.until);
                one.across.extend(other.across);
            }
            self.judged.insert(from, one);
        }
    }
}

/// When those begin that lie no further than `gap` from this span. They are in order, and apart from one another.
fn near<T>(
    spans: &BTreeMap<Timestamp, T>,
    from: Timestamp,
    until: Timestamp,
    gap: Interval,
    end: impl Fn(&T) -> Timestamp,
) -> Vec<Timestamp> {
    let mut near: Vec<Timestamp> = spans
        .range(..=until.after(gap))
        .rev()
        .take_while(|(_, span)| end(span).after(gap) >= from)
        .map(|(begun, _)| *begun)
        .collect();
    near.reverse();
    near
}

#[cfg(test)]
mod tests {
    use wirewhy_detect::{Scope, Severity, Survey, TrustStore, judge};
    use wirewhy_flow::{Bounds, Tracker};
    use wirewhy_packet::Decoder;
    use wirewhy_testkit::trace;

    use super::*;

    /// A capture with a refused attempt, so many seconds after the beginning.
    fn refused(second: i64, number: u16) -> Captured {
        let limits = Limits::default();
        let mut survey = Survey::default();
        let mut decoder = Decoder::new();
        let mut tracker = Tracker::new(Bounds::default());
        let later = Interval::from_secs(second);
        let mut until = Timestamp::default();
        let mut sink =
            |connection| survey.note(&judge(connection, &limits, &TrustStore::mozilla()), &limits);
        let lines = format!(
            "client 10.0.0.1:{number}\n0.0 > S 0:0(0)\n0.1 < RA 0:0(0) ack 1 abs-seq win 0"
        );
        for mut frame in trace(&lines) {
            frame.time = frame.time.after(later);
            until = frame.time;
            tracker.observe(&decoder.decode(&frame.as_frame()), &mut sink);
        }
        tracker.finish(&mut sink);
        Captured {
            source: format!("{number}.pcap"),
            from: until,
            until,
            size: (2, u64::from(number)),
            tallies: survey.tallies(&limits),
            said: Vec::new(),
        }
    }

    /// A capture in which nothing was tried, but something was said.
    fn empty(second: i64) -> Captured {
        let time = Timestamp::from_secs_nanos(second, 0);
        Captured {
            source: "x".to_owned(),
            from: time,
            until: time,
            size: (1, 1),
            tallies: Survey::default().tallies(&Limits::default()),
            said: vec![Said {
                code: "host.port-scan".to_owned(),
                severity: Severity::Warning,
                scope: Scope::Host,
                subject: "10.0.0.1".to_owned(),
                captures: 1,
                contradicted: 0,
                first: time,
            }],
        }
    }

    fn told(episodes: &Episodes) -> Vec<String> {
        let found = episodes.found();
        found.map(|across| across.finding.summary.clone()).collect()
    }

    #[test]
    fn the_order_in_which_captures_come_changes_nothing() {
        let captures: Vec<Captured> = (0..8).map(|n| refused(i64::from(n) * 60, n + 1)).collect();
        let mut expected = None;
        for order in [
            [0, 1, 2, 3, 4, 5, 6, 7],
            [7, 6, 5, 4, 3, 2, 1, 0],
            [0, 7, 3, 1, 6, 2, 5, 4],
        ] {
            // Some lie too far apart until those between them come.
            let mut episodes = Episodes::new(Limits {
                episode_gap: Interval::from_secs(70),
                ..Limits::default()
            });
            for place in order {
                episodes.add(captures[place].clone());
            }
            assert!(episodes.finish().is_empty());
            let told = told(&episodes);
            assert!(
                told.len() == 1 && told[0].starts_with("all 8 attempts"),
                "{told:?}"
            );
            assert_eq!(*expected.get_or_insert_with(|| told.clone()), told);
        }
    }

    #[test]
    fn what_is_held_is_bounded_and_nothing_said_is_lost() {
        let mut episodes = Episodes::new(Limits::default());
        let mut said = 0;
        for n in 0..60_000 {
            said += episodes.add(empty(n * 1_000)).len();
            assert!(episodes.held <= HELD && episodes.judged.len() <= JUDGED);
        }
        said += episodes.finish().len();
        assert_eq!((said, episodes.late), (60_000, 0));
    }

    #[test]
    fn a_capture_that_comes_too_late_takes_the_judgement_back() {
        let mut episodes = Episodes::new(Limits::default());
        for n in 0..4 {
            episodes.add(refused(i64::from(n) * 60, n + 1));
        }
        // Years of captures later.
        let begin = refused(0, 1).from.0 / 1_000_000_000;
        for n in 1..20_000 {
            episodes.add(empty(begin + n * 1_000));
        }
        assert_eq!(told(&episodes).len(), 1);
        episodes.add(refused(240, 9));
        episodes.finish();
        assert_eq!(episodes.late, 1);
        assert!(told(&episodes).is_empty());
    }
}
