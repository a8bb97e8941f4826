//! Sequence space one side has skipped: bytes lost before the capture, reordered, or never recorded.

use wirewhy_packet::{IpId, Seq};

use crate::Mark;

/// The holes below the furthest byte seen of one side, oldest first, at most [`Gaps::LIMIT`] of them: a new one takes the place of
/// the oldest, and of one that is split the larger part stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gaps {
    open: Vec<Gap>,
}

wirewhy_protocol::compact!(Gaps { open });

/// Bytes from `from` up to `to`, and the segment that skipped them.
#[derive(Clone, Copy, Debug)]
struct Gap {
    from: Seq,
    to: Seq,
    skipped_by: Skipper,
}

wirewhy_protocol::compact!(Gap {
    from,
    to,
    skipped_by
});

/// The segment that skipped a hole: when it came, and what its sender counted and clocked then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Skipper {
    pub(crate) mark: Mark,
    pub(crate) ip_id: Option<IpId>,
    pub(crate) clock: Option<u32>,
}

wirewhy_protocol::compact!(Skipper { mark, ip_id, clock });

impl Gap {
    fn len(&self) -> i32 {
        self.to.distance_from(self.from)
    }
}

impl Gaps {
    const LIMIT: usize = 64;

    /// Whether nothing is missing.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Records that the bytes from `from` up to `to` were skipped.
    pub(crate) fn skip(&mut self, from: Seq, to: Seq, skipped_by: Skipper) {
        if self.open.len() >= Self::LIMIT {
            self.open.remove(0);
        }
        self.open.push(Gap {
            from,
            to,
            skipped_by,
        });
    }

    /// Fills what a segment covers. Returns the segment that skipped the first bytes filled, if any were missing.
    pub(crate) fn fill(&mut self, left: Seq, right: Seq) -> Option<Skipper> {
        if self.open.is_empty() {
            return None;
        }
        let mut first = None;
        let mut rest = Vec::new();
        let mut room = Self::LIMIT.saturating_sub(self.open.len());
        self.open.retain_mut(|gap| {
            let start = if gap.from.is_before(left) {
                left
            } else {
                gap.from
            };
            let end = if right.is_before(gap.to) {
                right
            } else {
                gap.to
            };
            if !start.is_before(end) {
                return true;
            }
            first.get_or_insert(gap.skipped_by);
            let after = Gap { from: end, ..*gap };
            match (gap.from.is_before(start), end.is_before(gap.to)) {
                (true, true) if room > 0 => {
                    room -= 1;
                    gap.to = start;
                    rest.push(after);
                    true
                }
                (true, true) if after.len() > start.distance_from(gap.from) => {
                    *gap = after;
                    true
                }
                (true, _) => {
                    gap.to = start;
                    true
                }
                (false, true) => {
                    *gap = after;
                    true
                }
                (false, false) => false,
            }
        });
        self.open.extend(rest);
        first
    }

    /// Drops what lies below an acknowledgement; returns how many missing bytes it covered.
    pub(crate) fn acknowledge(&mut self, ack: Seq) -> u32 {
        let mut covered = 0;
        self.open.retain_mut(|gap| {
            if !gap.from.is_before(ack) {
                return true;
            }
            let end = if gap.to.is_before(ack) { gap.to } else { ack };
            covered += u32::try_from(end.distance_from(gap.from)).unwrap_or(0);
            gap.from = end;
            gap.from.is_before(gap.to)
        });
        covered
    }

    /// The hole that begins at `seq`: the segment that skipped it, and its length.
    pub(crate) fn at(&self, seq: Seq) -> Option<(Mark, u32)> {
        let gap = self.open.iter().find(|gap| gap.from == seq)?;
        Some((gap.skipped_by.mark, u32::try_from(gap.len()).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wirewhy_packet::Timestamp;

    const MARK: Mark = Mark {
        frame: 7,
        time: Timestamp(0),
    };
    const BY: Skipper = Skipper {
        mark: MARK,
        ip_id: None,
        clock: None,
    };

    #[test]
    fn a_segment_inside_a_hole_splits_it() {
        let mut gaps = Gaps::default();
        gaps.skip(Seq(100), Seq(200), BY);
        assert_eq!(gaps.fill(Seq(120), Seq(150)), Some(BY));
        assert_eq!(gaps.at(Seq(100)), Some((MARK, 20)));
        assert_eq!(gaps.at(Seq(150)), Some((MARK, 50)));
        assert_eq!(gaps.fill(Seq(0), Seq(1000)), Some(BY));
        assert_eq!(gaps.fill(Seq(0), Seq(1000)), None);
    }

    #[test]
    fn what_is_acknowledged_is_no_longer_missing() {
        let mut gaps = Gaps::default();
        gaps.skip(Seq(u32::MAX - 9), Seq(10), BY);
        assert_eq!(gaps.acknowledge(Seq(0)), 10);
        assert_eq!(gaps.acknowledge(Seq(0)), 0);
        assert_eq!(gaps.at(Seq(0)), Some((MARK, 10)));
    }

    #[test]
    fn the_list_stays_bounded() {
        let mut gaps = Gaps::default();
        for hole in 0..1000 {
            gaps.skip(Seq(hole * 10), Seq(hole * 10 + 5), BY);
        }
        assert_eq!(gaps.open.len(), Gaps::LIMIT);
    }

    /// One-byte segments that split what is missing, from its end down and from its beginning up.
    #[test]
    fn a_hole_split_without_end_stays_bounded() {
        for up in [false, true] {
            let mut gaps = Gaps::default();
            gaps.skip(Seq(0), Seq(40_000), BY);
            for step in 0..20_000 {
                let at = if up { 2 * step + 1 } else { 39_998 - 2 * step };
                gaps.fill(Seq(at), Seq(at + 1));
                assert!(gaps.open.len() <= Gaps::LIMIT);
            }
            let left: i32 = gaps.open.iter().map(Gap::len).sum();
            assert_eq!(left, i32::try_from(Gaps::LIMIT).unwrap());
        }
    }
}
