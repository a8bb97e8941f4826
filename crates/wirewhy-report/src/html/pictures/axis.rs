//! Axes: where on a drawing a time or a number stands, and what is written along it.

use wirewhy_packet::{Interval, Timestamp};

use super::draw::{count, px};

/// A rest of at least this is folded where it is so many times longer than all shorter ones together.
const LONG: (Interval, i64) = (Interval::from_secs(5), 3);

/// So is a shorter one, if it leaves the more room, and there are no more than so many of them: many such rests are a back-off,
/// whose pace is to be seen.
const SHORT: (Interval, i64) = (Interval::from_secs(1), 10);
const MOST_SHORT: usize = 2;

/// The width of a folded rest, as long as folded rests do not take more than their share.
const FOLD: f64 = 46.0;
const FOLDS_SHARE: f64 = 0.6;

/// How far apart the labels of an axis are at least.
const APART: f64 = 64.0;

/// A time axis on which long rests are folded.
#[derive(Debug)]
pub(super) struct TimeAxis {
    origin: Timestamp,
    pieces: Vec<Piece>,
    fold: f64,
    /// Pixels a nanosecond.
    scale: f64,
}

/// A stretch that is drawn to scale: nanoseconds since the origin, and where it begins.
#[derive(Clone, Copy, Debug)]
struct Piece {
    from: i64,
    until: i64,
    left: f64,
}

/// A rest that is folded.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Fold {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) length: Interval,
}

/// A line of an axis and what stands at it.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) label: String,
}

impl TimeAxis {
    /// An axis of this width that begins at `left` and shows all of these times; `origin` is its zero.
    pub(super) fn new(times: &[Timestamp], origin: Timestamp, left: f64, width: f64) -> TimeAxis {
        let mut at: Vec<i64> = times.iter().map(|time| time.since(origin).0).collect();
        at.sort_unstable();
        let mut spans: Vec<(i64, i64)> = Vec::new();
        let least = least_folded(&at);
        for time in at {
            match spans.last_mut() {
                Some((_, until)) if time.saturating_sub(*until) < least => *until = time,
                _ => spans.push((time, time)),
            }
        }
        if spans.is_empty() {
            spans.push((0, 0));
        }
        let folds = count(spans.len() - 1);
        let drawn: i64 = spans
            .iter()
            .map(|(from, until)| until.saturating_sub(*from))
            .fold(0, i64::saturating_add);
        let share = if drawn > 0 { FOLDS_SHARE } else { 1.0 };
        let fold = match spans.len() {
            1 => 0.0,
            _ if drawn == 0 => width / folds,
            _ => FOLD.min(width * share / folds),
        };
        let scale = match drawn {
            0 => 0.0,
            drawn => (width - fold * folds) / drawn as f64,
        };
        let mut pieces = Vec::with_capacity(spans.len());
        let mut next = left;
        for (from, until) in spans {
            pieces.push(Piece {
                from,
                until,
                left: next,
            });
            next += until.saturating_sub(from) as f64 * scale + fold;
        }
        TimeAxis {
            origin,
            pieces,
            fold,
            scale,
        }
    }

    /// Where a time stands.
    pub(super) fn x(&self, time: Timestamp) -> f64 {
        let at = time.since(self.origin).0;
        let behind = self.pieces.partition_point(|piece| piece.from <= at).max(1);
        let Some(piece) = self.pieces.get(behind - 1) else {
            return 0.0;
        };
        let at = at.clamp(piece.from, piece.until);
        piece.left + at.saturating_sub(piece.from) as f64 * self.scale
    }

    /// The rests that are folded.
    pub(super) fn folds(&self) -> impl Iterator<Item = Fold> {
        self.pieces.windows(2).filter_map(|pair| match pair {
            [before, after] => Some(Fold {
                left: after.left - self.fold,
                right: after.left,
                length: Interval(after.from.saturating_sub(before.until)),
            }),
            _ => None,
        })
    }

    /// The lines of the axis, in seconds since the origin.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        let mut ticks: Vec<Tick> = Vec::new();
        // As many nanoseconds as labels are apart.
        let step = match self.scale > 0.0 {
            true => nice_step(APART / self.scale / 1e9),
            false => 1.0,
        };
        let mut free = f64::NEG_INFINITY;
        for piece in &self.pieces {
            let (from, until) = (piece.from as f64 / 1e9, piece.until as f64 / 1e9);
            let first = (from / step).ceil();
            let whole = (0_u32..40)
                .map(|n| (first + f64::from(n)) * step)
                .take_while(|at| *at <= until);
            // A stretch too short for a round number is named by where it begins.
            let mut marks: Vec<f64> = whole.collect();
            if marks.is_empty() {
                marks.push(from);
            }
            for at in marks {
                let x = piece.left + (at - from) * self.scale * 1e9;
                if x < free {
                    continue;
                }
                let label = seconds(at, step);
                free = x + APART * 0.7;
                ticks.push(Tick { at: x, label });
            }
        }
        ticks
    }
}

/// The shortest rest that is folded: it is long beside all shorter ones together.
fn least_folded(at: &[i64]) -> i64 {
    let mut rests: Vec<i64> = at
        .windows(2)
        .map(|pair| match pair {
            [before, after] => after.saturating_sub(*before),
            _ => 0,
        })
        .collect();
    rests.sort_unstable();
    let mut shorter = 0_i64;
    let mut left = rests.len();
    for rest in rests {
        let stands_out = |(least, ratio): (Interval, i64)| {
            rest >= least.0 && rest >= shorter.saturating_mul(ratio)
        };
        if stands_out(LONG) || left <= MOST_SHORT && shorter > 0 && stands_out(SHORT) {
            return rest;
        }
        shorter = shorter.saturating_add(rest);
        left -= 1;
    }
    i64::MAX
}

/// Seconds with as many digits as a step between them needs.
fn seconds(at: f64, step: f64) -> String {
    let digits = match step {
        step if step >= 1.0 => 0,
        step if step >= 0.1 => 1,
        step if step >= 0.01 => 2,
        step if step >= 0.001 => 3,
        step if step >= 0.000_1 => 4,
        step if step >= 0.000_01 => 5,
        _ => 6,
    };
    // No axis needs "-0".
    format!("{:.digits$} s", at + 0.0)
}

/// The smallest of 1, 2 and 5 times a power of ten that is at least this.
pub(super) fn nice_step(least: f64) -> f64 {
    if least <= 0.0 || !least.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power);
    steps
        .into_iter()
        .find(|step| *step >= least * 0.999_999)
        .unwrap_or(least)
}

/// An axis of numbers that grow upwards.
#[derive(Clone, Copy, Debug)]
pub(super) struct NumberAxis {
    low: i64,
    high: i64,
    top: f64,
    bottom: f64,
}

impl NumberAxis {
    /// From `low` at `bottom` to `high` at `top`.
    pub(super) fn new((low, high): (i64, i64), (top, bottom): (f64, f64)) -> NumberAxis {
        NumberAxis {
            low,
            high: high.max(low.saturating_add(1)),
            top,
            bottom,
        }
    }

    /// Where a number stands; one beyond the axis stands at its end.
    pub(super) fn y(&self, number: i64) -> f64 {
        let number = number.clamp(self.low, self.high);
        let share =
            number.saturating_sub(self.low) as f64 / self.high.saturating_sub(self.low) as f64;
        self.bottom - share * (self.bottom - self.top)
    }

    /// Whether a number is beyond the upper end.
    pub(super) fn is_beyond(&self, number: i64) -> bool {
        number > self.high
    }

    /// The lines of the axis.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        let range = self.high.saturating_sub(self.low);
        let steps = (0..19)
            .flat_map(|power| [1, 2, 5].map(|digit| 10_i64.pow(power).saturating_mul(digit)));
        let step = steps
            .into_iter()
            .find(|step| range / step <= 5)
            .unwrap_or(i64::MAX);
        let first = self.low.div_euclid(step).saturating_mul(step);
        let numbers = (0..8).map(|n: i64| first.saturating_add(step.saturating_mul(n)));
        numbers
            .filter(|number| (self.low..=self.high).contains(number))
            .map(|number| Tick {
                at: self.y(number),
                label: label(number),
            })
            .collect()
    }
}

fn label(number: i64) -> String {
    let plain = crate::format::count(number.unsigned_abs());
    if number < 0 {
        format!("−{plain}")
    } else {
        plain
    }
}

/// The path of the mark that breaks an axis at its lower end: two strokes.
pub(super) fn break_mark(fold: &Fold, bottom: f64) -> String {
    let middle = f64::midpoint(fold.left, fold.right);
    let stroke = |x: f64| format!("M{} {}l6-12", px(x), px(bottom + 6.0));
    stroke(middle - 6.0) + &stroke(middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(millis: &[i64]) -> TimeAxis {
        let times: Vec<Timestamp> = millis.iter().map(|at| Timestamp(at * 1_000_000)).collect();
        TimeAxis::new(&times, Timestamp(0), 100.0, 800.0)
    }

    fn labels(axis: &TimeAxis) -> Vec<String> {
        axis.ticks().into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn times_stand_in_proportion() {
        let axis = axis(&[0, 10, 100]);
        assert_eq!(axis.folds().count(), 0);
        let at = |millis: i64| axis.x(Timestamp(millis * 1_000_000));
        assert_eq!((at(0), at(50), at(100)), (100.0, 500.0, 900.0));
        assert_eq!(
            (at(-5), at(500)),
            (100.0, 900.0),
            "what lies outside is at the edge"
        );
        assert_eq!(labels(&axis)[..3], ["0.00 s", "0.01 s", "0.02 s"]);
    }

    #[test]
    fn a_long_rest_is_folded() {
        let axis = axis(&[0, 100, 200, 350_200, 350_300]);
        let folds: Vec<Fold> = axis.folds().collect();
        assert_eq!(folds.len(), 1);
        assert_eq!(folds[0].length, Interval::from_secs(350));
        assert_eq!(folds[0].right - folds[0].left, FOLD);
        let at = |millis: i64| axis.x(Timestamp(millis * 1_000_000));
        assert_eq!(at(350_200) - at(200), FOLD);
        assert_eq!(at(350_300), 900.0);
        assert!(at(100) - at(0) > 200.0, "the rest has the room");
        let labels = labels(&axis);
        assert!(
            labels.contains(&"0.10 s".to_owned()) && labels.iter().any(|l| l.starts_with("350.")),
            "{labels:?}"
        );
    }

    #[test]
    fn a_shorter_rest_is_folded_where_that_leaves_room() {
        assert_eq!(axis(&[0, 5, 10, 3_200, 3_210]).folds().count(), 1);
        assert_eq!(axis(&[0, 400, 3_200, 3_600]).folds().count(), 0);
        assert_eq!(
            axis(&[0, 5, 1_005, 2_005, 3_005]).folds().count(),
            0,
            "a beat"
        );
    }

    #[test]
    fn a_back_off_is_not_folded() {
        let axis = axis(&[0, 1_000, 3_000, 7_000, 15_000, 31_000, 63_000]);
        assert_eq!(axis.folds().count(), 0);
        assert!(
            labels(&axis).contains(&"10 s".to_owned()),
            "{:?}",
            labels(&axis)
        );
    }

    #[test]
    fn one_moment_and_two_far_apart_have_their_places() {
        let one = axis(&[5]);
        assert_eq!(one.x(Timestamp(5_000_000)), 100.0);
        let none = axis(&[]);
        assert_eq!(none.x(Timestamp(0)), 100.0);
        let two = axis(&[0, 60_000]);
        assert_eq!(
            (two.x(Timestamp(0)), two.x(Timestamp(60_000_000_000))),
            (100.0, 900.0)
        );
        let backwards = axis(&[10, 0]);
        assert_eq!(backwards.x(Timestamp(0)), 100.0);
    }

    #[test]
    fn extremes_neither_overflow_nor_leave_the_drawing() {
        let times = [Timestamp(i64::MIN), Timestamp(0), Timestamp(i64::MAX)];
        let axis = TimeAxis::new(&times, Timestamp(i64::MIN), 0.0, 100.0);
        for time in times {
            assert!((0.0..=100.1).contains(&axis.x(time)), "{}", axis.x(time));
        }
        assert!(axis.ticks().len() < 100);
        let numbers = NumberAxis::new((i64::MIN, i64::MAX), (0.0, 100.0));
        assert!(numbers.y(0) >= 0.0 && numbers.ticks().len() < 10);
    }

    #[test]
    fn numbers_grow_upwards_in_round_steps() {
        let axis = NumberAxis::new((0, 1_000), (0.0, 100.0));
        assert_eq!(
            (axis.y(0), axis.y(500), axis.y(1_000), axis.y(9_000)),
            (100.0, 50.0, 0.0, 0.0)
        );
        let labels: Vec<String> = axis.ticks().into_iter().map(|tick| tick.label).collect();
        assert_eq!(labels, ["0", "200", "400", "600", "800", "1,000"]);
        let steps = |high| NumberAxis::new((0, high), (0.0, 100.0)).ticks().len();
        for high in 1..2_000 {
            assert!((2..=6).contains(&steps(high)), "{high}: {}", steps(high));
        }
        assert!(axis.is_beyond(1_001) && !axis.is_beyond(1_000));
        for steps in [0.000_001, 0.3, 1.0, 7.0, 99.0] {
            let step = nice_step(steps);
            assert!(
                step >= steps * 0.99 && step <= steps * 2.6,
                "{steps}: {step}"
            );
        }
    }
}
