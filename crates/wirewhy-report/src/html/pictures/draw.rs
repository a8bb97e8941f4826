//! The small change of drawing: numbers, paths, and what is marked.

use std::fmt::Write as _;

use crate::Safe;

/// A place in a drawing, to a tenth of a pixel.
pub(super) fn px(at: f64) -> String {
    let text = format!("{at:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".to_owned(),
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

/// How many characters of a text from the wire a drawing shows.
const MOST_SHOWN: usize = 255;

/// A text from the wire: cleaned, and cut where it would fill the page.
pub(super) fn wire(text: &str) -> String {
    match text.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}…", Safe(text.get(..end).unwrap_or_default())),
        None => Safe(text).to_string(),
    }
}

/// A number of things as a share of something.
pub(super) fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::from(u32::MAX), f64::from)
}

/// The data of an SVG path.
#[derive(Clone, Debug, Default)]
pub(super) struct Path(String);

impl Path {
    /// A line straight up or down.
    pub(super) fn bar(&mut self, x: f64, from: f64, to: f64) {
        let _ = write!(self.0, "M{} {}V{}", px(x), px(from), px(to));
    }

    /// A short line across, at both sides of `x`.
    pub(super) fn tick(&mut self, x: f64, y: f64, half: f64) {
        let _ = write!(self.0, "M{} {}h{}", px(x - half), px(y), px(half * 2.0));
    }

    /// A line across from `x` to `to`.
    pub(super) fn across(&mut self, x: f64, y: f64, to: f64) {
        let _ = write!(self.0, "M{} {}H{}", px(x), px(y), px(to));
    }

    /// Begins at a place.
    pub(super) fn from(&mut self, x: f64, y: f64) {
        let _ = write!(self.0, "M{} {}", px(x), px(y));
    }

    /// Goes on across.
    pub(super) fn h(&mut self, x: f64) {
        let _ = write!(self.0, "H{}", px(x));
    }

    /// Goes on up or down.
    pub(super) fn v(&mut self, y: f64) {
        let _ = write!(self.0, "V{}", px(y));
    }

    /// What stands in the attribute.
    pub(super) fn data(&self) -> &str {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A line of steps, of which no more is drawn than a column of pixels shows.
#[derive(Clone, Debug, Default)]
pub(super) struct Staircase {
    path: Path,
    column: Option<Column>,
    y: f64,
}

#[derive(Clone, Copy, Debug)]
struct Column {
    x: f64,
    top: f64,
    bottom: f64,
    last: f64,
}

/// How much of a pixel is one column.
const COLUMN: f64 = 0.5;

/// The column in which something stands.
pub(super) fn column(x: f64) -> f64 {
    (x / COLUMN).floor()
}

impl Staircase {
    /// Goes to `y` at `x`.
    pub(super) fn step(&mut self, x: f64, y: f64) {
        match &mut self.column {
            Some(known) if column(known.x) == column(x) => {
                known.top = known.top.min(y);
                known.bottom = known.bottom.max(y);
                known.last = y;
            }
            _ => {
                self.flush();
                self.column = Some(Column {
                    x,
                    top: y,
                    bottom: y,
                    last: y,
                });
            }
        }
    }

    /// Ends at `x`.
    pub(super) fn end(mut self, x: f64) -> Path {
        self.flush();
        if !self.path.is_empty() {
            self.path.h(x);
        }
        self.path
    }

    fn flush(&mut self) {
        let Some(Column {
            x,
            top,
            bottom,
            last,
        }) = self.column.take()
        else {
            return;
        };
        if self.path.is_empty() {
            self.path.from(x, last);
        } else if top != self.y || bottom != self.y {
            self.path.h(x);
            for y in [top, bottom] {
                if y != self.y && y != last {
                    self.path.v(y);
                }
            }
            if last != self.y || top != bottom {
                self.path.v(last);
            }
        }
        self.y = last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_short() {
        let shown: Vec<String> = [0.0, -0.01, 12.34, 100.0, -3.96].map(px).into();
        assert_eq!(shown, ["0", "0", "12.3", "100", "-4"]);
    }

    #[test]
    fn texts_from_the_wire_are_clean_and_short() {
        assert_eq!(wire("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(wire(&"é".repeat(300)), "é".repeat(255) + "…");
        assert_eq!(wire(&"é".repeat(255)), "é".repeat(255));
    }

    #[test]
    fn a_staircase_goes_across_then_up() {
        let mut stairs = Staircase::default();
        for (x, y) in [(0.0, 90.0), (10.0, 90.0), (20.0, 50.0), (30.0, 40.0)] {
            stairs.step(x, y);
        }
        assert_eq!(stairs.end(40.0).data(), "M0 90H20V50H30V40H40");
        assert!(Staircase::default().end(9.0).is_empty());
    }

    #[test]
    fn a_column_shows_how_far_it_went() {
        let mut stairs = Staircase::default();
        for (x, y) in [(0.0, 90.0), (10.0, 50.0), (10.1, 95.0), (10.2, 60.0)] {
            stairs.step(x, y);
        }
        assert_eq!(stairs.end(20.0).data(), "M0 90H10V50V95V60H20");
        let mut many = Staircase::default();
        (0..100_000_u32).for_each(|n| many.step(f64::from(n) / 1_000.0, f64::from(n % 7)));
        assert!(many.end(100.0).data().len() < 10_000);
    }
}
