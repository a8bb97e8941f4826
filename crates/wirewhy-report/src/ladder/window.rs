//! Which packets of a long connection are drawn: those that matter, with what is around them.

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};

use wirewhy_detect::Finding;
use wirewhy_flow::wireshark::Marks;
use wirewhy_packet::TcpFlags;

use super::lines::NOTABLE_SILENCE;
use crate::packets::Kept;

/// Which packets of a connection are drawn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PacketChoice {
    /// All of a short connection. In a long one bulk transfer is folded: runs of packets with no other flags than ACK and PSH,
    /// without marks, that no finding cites and no silence comes before.
    Folded,
    /// Every packet.
    All,
    /// Every packet with a frame number in this range, and no other.
    Frames(RangeInclusive<u64>),
}

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

/// Fewer packets of bulk transfer than this are drawn.
const LEAST_BULK: usize = 12;

/// The packets that are drawn, by their place among those of the connection; all where there is no range.
pub(crate) struct Window(Vec<Range<usize>>);

impl Window {
    /// A window over the packets of a connection. `carries` is whether a packet has a message to be named.
    pub(crate) fn over(
        rows: &[&Kept],
        findings: &[Finding],
        shown: &PacketChoice,
        carries: &dyn Fn(&Kept) -> bool,
    ) -> Window {
        match shown {
            PacketChoice::All => Window(Vec::new()),
            PacketChoice::Frames(range) => {
                let from = rows.partition_point(|kept| kept.row.frame < *range.start());
                let end = rows.partition_point(|kept| kept.row.frame <= *range.end());
                Window(std::iter::once(from..end.max(from)).collect())
            }
            PacketChoice::Folded if rows.len() <= WHOLE => Window(Vec::new()),
            PacketChoice::Folded => {
                let frames: Vec<u64> = rows.iter().map(|kept| kept.row.frame).collect();
                // Marks that go with most packets of a transfer with losses are folded where there are too many.
                let common = Marks::DUPLICATE_ACK.with(Marks::WINDOW_UPDATE);
                [Marks::none(), common]
                    .into_iter()
                    .find_map(|folded| Window::without_bulk(rows, findings, folded, carries))
                    .unwrap_or_else(|| Window::around(&frames, findings))
            }
        }
    }

    /// Everything but bulk transfer, in which the marks given may be; `None` where that is too much.
    fn without_bulk(
        rows: &[&Kept],
        findings: &[Finding],
        folded: Marks,
        carries: &dyn Fn(&Kept) -> bool,
    ) -> Option<Window> {
        let end = rows.len();
        let cited: BTreeSet<u64> = findings
            .iter()
            .flat_map(|finding| finding.frames.iter().copied())
            .collect();
        let before = std::iter::once(None).chain(rows.iter().map(Some));
        let mut shown: BTreeSet<usize> = (0..ENDS).chain(end.saturating_sub(ENDS)..end).collect();
        for (at, (kept, before)) in rows.iter().zip(before).enumerate() {
            let row = &kept.row;
            let is_late =
                before.is_some_and(|before| row.time.since(before.row.time) >= NOTABLE_SILENCE);
            let is_plain = TcpFlags::ACK.with(TcpFlags::PSH).has(row.flags)
                && folded.has(row.marks)
                && !row.is_copy
                && row.is_one_rtt()
                && !cited.contains(&row.frame);
            if is_late || !is_plain || carries(kept) {
                shown.extend(at.saturating_sub(1)..(at + 2).min(end));
            }
        }
        let window = Window::joined(shown, LEAST_BULK);
        let drawn: usize = window.0.iter().map(ExactSizeIterator::len).sum();
        (drawn <= WHOLE).then_some(window)
    }

    /// The ends, and what is around the frames of findings, among packets with these frame numbers.
    fn around(frames: &[u64], findings: &[Finding]) -> Window {
        let end = frames.len();
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
        Window::joined(shown, LEAST_LEFT_OUT)
    }

    /// The packets at these places, and those between two of them where they are fewer than `least`.
    fn joined(shown: BTreeSet<usize>, least: usize) -> Window {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for at in shown {
            match ranges.last_mut() {
                Some(range) if at - range.end < least => range.end = at + 1,
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
    use wirewhy_flow::Side;
    use wirewhy_packet::{Interval, Timestamp};

    use super::*;
    use crate::PacketRow;

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

    /// Packets of a bulk transfer, a millisecond apart.
    fn bulk(packets: u64) -> Vec<Kept> {
        (0..packets)
            .map(|place| Kept {
                place,
                row: PacketRow {
                    frame: place + 1,
                    time: Timestamp::default().after(Interval::from_millis(place.cast_signed())),
                    stream: 0,
                    from: Side::Client,
                    flags: TcpFlags::ACK,
                    seq: 1,
                    ack: Some(1),
                    len: 1_000,
                    window: 100,
                    sack: Box::default(),
                    marks: Marks::none(),
                    is_copy: false,
                    datagram: Box::default(),
                    records: None,
                },
            })
            .collect()
    }

    fn places(rows: &[Kept], findings: &[Finding], how: &PacketChoice) -> Vec<usize> {
        let rows: Vec<&Kept> = rows.iter().collect();
        shown(
            &Window::over(&rows, findings, how, &|kept| kept.place == 300),
            rows.len(),
        )
    }

    #[test]
    fn a_short_connection_is_drawn_whole_and_a_long_one_on_request() {
        assert_eq!(places(&bulk(200), &[], &PacketChoice::Folded).len(), 200);
        assert_eq!(places(&bulk(9_000), &[], &PacketChoice::All).len(), 9_000);
        let frames = |range| places(&bulk(9_000), &[], &PacketChoice::Frames(range));
        assert_eq!(frames(5..=7), [4, 5, 6]);
        assert_eq!(frames(8_999..=20_000), [8_998, 8_999]);
        assert!(frames(20_000..=30_000).is_empty());
    }

    #[test]
    fn bulk_is_folded_and_nothing_else() {
        let mut rows = bulk(1_000);
        rows[400].row.flags = TcpFlags::ACK.with(TcpFlags::FIN);
        rows[500].row.marks = Marks::RETRANSMISSION;
        rows[600].row.flags = TcpFlags::ACK.with(TcpFlags::PSH);
        for kept in &mut rows[700..] {
            kept.row.time = kept.row.time.after(Interval::from_millis(999));
        }
        let found = [finding(vec![801], Severity::Note)];
        let around = |at: usize| at - 1..at + 2;
        // A message, a flag, a mark, a second of silence, a frame that proves; a push is none of these.
        let expected: Vec<usize> = (0..12)
            .chain([300, 400, 500, 700, 800].into_iter().flat_map(around))
            .chain(988..1_000)
            .collect();
        assert_eq!(places(&rows, &found, &PacketChoice::Folded), expected);
        // A silence that is a little shorter is none.
        let later = bulk(1_000).into_iter().skip(700);
        for (kept, later) in rows[700..].iter_mut().zip(later) {
            kept.row.time = later.row.time.after(Interval::from_millis(998));
        }
        assert!(!places(&rows, &found, &PacketChoice::Folded).contains(&700));
    }

    #[test]
    fn what_goes_with_every_loss_is_folded_where_there_is_too_much_of_it() {
        let mut rows = bulk(3_000);
        rows[1_500].row.marks = Marks::RETRANSMISSION;
        for kept in rows.iter_mut().skip(20).step_by(20) {
            kept.row.marks = kept.row.marks.with(Marks::DUPLICATE_ACK);
        }
        let drawn = places(&rows, &[], &PacketChoice::Folded);
        assert!(drawn.contains(&1_500) && drawn.len() < 40, "{drawn:?}");
        for kept in &mut rows {
            kept.row.marks = Marks::RETRANSMISSION;
        }
        assert_eq!(places(&rows, &[], &PacketChoice::Folded).len(), 24);
    }

    #[test]
    fn of_a_long_one_the_ends_and_what_proves_something_are_drawn() {
        // Every second frame of the recording is one of another connection.
        let frames: Vec<u64> = (0..9_000).map(|n| 2 * n + 1).collect();
        let found = [finding(vec![10_001, 39, 7_000], Severity::Error)];
        let drawn = shown(&Window::around(&frames, &found), 9_000);
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
        let window = Window::around(&frames, &found);
        assert!(window.shows(84_999));
        assert!(shown(&window, 90_000).len() < 200);
    }
}
