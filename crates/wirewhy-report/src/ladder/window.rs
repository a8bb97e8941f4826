//! Which packets of a long connection are drawn: those that matter, with what is around them.

use std::collections::BTreeSet;
use std::ops::Range;

use wirewhy_detect::Finding;

/// Connections with no more packets than this are drawn whole.
const WHOLE: usize = 200;

/// How many packets of the opening and of the ending are drawn.
const ENDS: usize = 12;

/// How many packets before one that proves something, and as many behind it.
const AROUND: usize = 4;

/// How many packets around the frames of findings are drawn at most.
const MOST: usize = 150;

/// Fewer packets than this between two others are drawn: a line that counts them says less.
const LEAST_LEFT_OUT: usize = 4;

/// The packets that are drawn, by their place among those of the connection; all where it is empty.
pub(crate) struct Window(Vec<Range<usize>>);

impl Window {
    /// A window over packets with these frame numbers, in order.
    pub(crate) fn new(frames: &[u64], findings: &[Finding], all: bool) -> Window {
        let end = frames.len();
        if all || end <= WHOLE {
            return Window(Vec::new());
        }
        let mut shown: BTreeSet<usize> = (0..ENDS).chain(end.saturating_sub(ENDS)..end).collect();
        let least = shown.len();
        let mut findings: Vec<&Finding> = findings.iter().collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        for frame in findings.into_iter().flat_map(|finding| &finding.frames) {
            let Ok(at) = frames.binary_search(frame) else {
                continue;
            };
            if shown.len() >= least + MOST {
                break;
            }
            shown.extend(at.saturating_sub(AROUND)..(at + AROUND + 1).min(end));
        }
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for at in shown {
            match ranges.last_mut() {
                Some(range) if at - range.end < LEAST_LEFT_OUT => range.end = at + 1,
                _ => ranges.push(at..at + 1),
            }
        }
        Window(ranges)
    }

    /// Whether the packet at this place is drawn.
    pub(crate) fn shows(&self, at: usize) -> bool {
        self.0.is_empty() || self.0.iter().any(|range| range.contains(&at))
    }
}

#[cfg(test)]
mod tests {
    use wirewhy_detect::{Confidence, Facts, Role, Severity};

    use super::*;

    fn finding(frames: Vec<u64>, severity: Severity) -> Finding {
        Finding {
            code: "test.any",
            severity,
            confidence: Confidence::Certain,
            culprit: Role::Path.into(),
            summary: String::new(),
            frames,
            facts: Facts::default(),
            consequence_of: None,
        }
    }

    fn shown(window: &Window, packets: usize) -> Vec<usize> {
        (0..packets).filter(|at| window.shows(*at)).collect()
    }

    #[test]
    fn a_short_connection_is_drawn_whole_and_a_long_one_on_request() {
        let frames: Vec<u64> = (1..=200).collect();
        assert_eq!(shown(&Window::new(&frames, &[], false), 200).len(), 200);
        let frames: Vec<u64> = (1..=9_000).collect();
        assert_eq!(shown(&Window::new(&frames, &[], true), 9_000).len(), 9_000);
    }

    #[test]
    fn of_a_long_one_the_ends_and_what_proves_something_are_drawn() {
        // Every second frame of the recording is one of another connection.
        let frames: Vec<u64> = (0..9_000).map(|n| 2 * n + 1).collect();
        let found = [finding(vec![10_001, 39, 7_000], Severity::Error)];
        let drawn = shown(&Window::new(&frames, &found, false), 9_000);
        let expected: Vec<usize> = (0..24).chain(4_996..5_005).chain(8_988..9_000).collect();
        assert_eq!(drawn, expected);
    }

    #[test]
    fn the_worst_comes_first_where_not_everything_fits() {
        let frames: Vec<u64> = (1..=90_000).collect();
        let many = |from: u64| (0..16).map(|n| from + 100 * n).collect::<Vec<u64>>();
        let mut found: Vec<Finding> = (1..40)
            .map(|n| finding(many(2_000 * n), Severity::Warning))
            .collect();
        found.push(finding(vec![85_000], Severity::Error));
        let window = Window::new(&frames, &found, false);
        assert!(window.shows(84_999));
        assert!(shown(&window, 90_000).len() < 200);
    }
}
