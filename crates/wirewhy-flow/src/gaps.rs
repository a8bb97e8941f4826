//! Sequence space one side has skipped: bytes lost before the capture, reordered, or never recorded.

use wirewhy_packet::Seq;

/// The holes below the furthest byte seen of one side, oldest first; the oldest is given up beyond [`Gaps::LIMIT`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Gaps {
    open: Vec<(Seq, Seq)>,
}

impl Gaps {
    const LIMIT: usize = 64;

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Records that the bytes from `left` up to `right` were skipped.
    pub(crate) fn skip(&mut self, left: Seq, right: Seq) {
        if self.open.len() >= Self::LIMIT {
            self.open.remove(0);
        }
        self.open.push((left, right));
    }

    /// Fills what a segment covers; returns how many of its bytes were missing.
    pub(crate) fn fill(&mut self, left: Seq, right: Seq) -> u32 {
        let mut filled = 0;
        let mut rest = Vec::new();
        self.open.retain_mut(|(from, to)| {
            let start = if from.is_before(left) { left } else { *from };
            let end = if right.is_before(*to) { right } else { *to };
            let Ok(covered @ 1..) = u32::try_from(end.distance_from(start)) else {
                return true;
            };
            filled += covered;
            match (from.is_before(start), end.is_before(*to)) {
                (true, true) => {
                    rest.push((end, *to));
                    *to = start;
                    true
                }
                (true, false) => {
                    *to = start;
                    true
                }
                (false, true) => {
                    *from = end;
                    true
                }
                (false, false) => false,
            }
        });
        self.open.extend(rest);
        filled
    }

    /// Drops what lies below an acknowledgement; returns how many missing bytes it covered.
    pub(crate) fn acknowledge(&mut self, ack: Seq) -> u32 {
        let mut covered = 0;
        self.open.retain_mut(|(from, to)| {
            if !from.is_before(ack) {
                return true;
            }
            let end = if to.is_before(ack) { *to } else { ack };
            covered += u32::try_from(end.distance_from(*from)).unwrap_or(0);
            *from = end;
            from.is_before(*to)
        });
        covered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_inside_a_hole_splits_it() {
        let mut gaps = Gaps::default();
        gaps.skip(Seq(100), Seq(200));
        assert_eq!(gaps.fill(Seq(120), Seq(150)), 30);
        assert_eq!(gaps.fill(Seq(0), Seq(1000)), 70);
        assert!(gaps.is_empty());
    }

    #[test]
    fn what_is_acknowledged_is_no_longer_missing() {
        let mut gaps = Gaps::default();
        gaps.skip(Seq(u32::MAX - 9), Seq(10));
        assert_eq!(gaps.acknowledge(Seq(0)), 10);
        assert_eq!(gaps.acknowledge(Seq(0)), 0);
        assert_eq!(gaps.fill(Seq(0), Seq(10)), 10);
        assert!(gaps.is_empty());
    }

    #[test]
    fn the_list_stays_bounded() {
        let mut gaps = Gaps::default();
        for hole in 0..1000 {
            gaps.skip(Seq(hole * 10), Seq(hole * 10 + 5));
        }
        assert_eq!(gaps.open.len(), Gaps::LIMIT);
    }
}
