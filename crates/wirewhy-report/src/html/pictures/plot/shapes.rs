//! Packets as the shapes of a time-sequence plot: numbers that no longer wrap, who sent what, who acknowledged it.

use wirewhy_flow::wireshark::Marks;
use wirewhy_flow::{Connection, Endpoint, Side};
use wirewhy_packet::{TcpFlags, Timestamp};

use crate::PacketRow;
use crate::ladder::{IcmpRow, icmp_rows};

/// Acknowledgements and segments this far from the others are of another connection, or forged.
const FAR: i64 = 1 << 28;

/// What one side sent, and what the other acknowledged of it.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Shapes {
    /// Who sent it.
    pub(super) side: Side,
    /// Segments that take sequence space, in the order of their capture.
    pub(super) segments: Vec<PlotSegment>,
    /// Acknowledgements of the other side, and its window where that is known in bytes.
    pub(super) acks: Vec<Ack>,
    /// Resets of this side.
    pub(super) resets: Vec<Point>,
    /// Resets that the other side sent it, and when.
    pub(super) reset_by: Vec<(u64, Timestamp)>,
    /// ICMP errors about what it sent.
    pub(super) errors: Vec<IcmpRow>,
}

/// A segment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct PlotSegment {
    pub(super) frame: u64,
    pub(super) time: Timestamp,
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) kind: Kind,
    pub(super) syn: bool,
    pub(super) fin: bool,
    /// What it carries is one byte or none that was sent before, to see whether the other side is there.
    pub(super) probe: bool,
}

/// How a segment came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    New,
    Again,
    OutOfOrder,
}

/// An acknowledgement.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Ack {
    pub(super) frame: u64,
    pub(super) time: Timestamp,
    pub(super) number: i64,
    /// The first number beyond the window.
    pub(super) limit: Option<i64>,
    pub(super) closed: bool,
    pub(super) duplicate: bool,
    pub(super) sack: Vec<(i64, i64)>,
}

/// A moment at a sequence number.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Point {
    pub(super) frame: u64,
    pub(super) time: Timestamp,
    pub(super) number: i64,
}

/// By how much the windows of a side are to be shifted (RFC 7323 section 2.3); `None` where the opening that settles it was not
/// captured.
pub(super) fn scale(connection: &Connection, side: Side) -> Option<u8> {
    let offer = |end: &Endpoint| end.tcp.isn.map(|_| end.tcp.offer.window_scale);
    let (client, server) = (offer(&connection.client)?, offer(&connection.server)?);
    Some(match (client, server) {
        (Some(client), Some(server)) => match side {
            Side::Client => client,
            Side::Server => server,
        },
        _ => 0,
    })
}

impl Shapes {
    /// What `side` sent, of the packets of a connection.
    pub(super) fn of<'a>(
        connection: &Connection,
        side: Side,
        rows: impl Iterator<Item = &'a PacketRow>,
    ) -> Shapes {
        let scale = scale(connection, side.other());
        let mut shapes = Shapes {
            side,
            segments: Vec::new(),
            acks: Vec::new(),
            resets: Vec::new(),
            reset_by: Vec::new(),
            errors: icmp_rows(connection)
                .into_iter()
                .filter(|error| error.to == side)
                .collect(),
        };
        let mut numbers = Numbers::default();
        for row in rows.filter(|row| !row.is_copy) {
            if row.from == side {
                shapes.sent(row, &mut numbers);
            } else if row.flags.has(TcpFlags::RST) {
                shapes.reset_by.push((row.frame, row.time));
            } else {
                shapes.acknowledged(row, scale, &mut numbers);
            }
        }
        shapes
    }

    /// How many sequence numbers it covers.
    pub(super) fn extent(&self) -> i64 {
        let (low, high) = self.sent_range();
        high.saturating_sub(low)
    }

    /// Whether nothing is to be seen.
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.acks.is_empty()
    }

    /// The least and the greatest number of the axis: what was sent and acknowledged, and where that is not far beyond it the end
    /// of the window.
    pub(super) fn range(&self) -> (i64, i64) {
        let (low, high) = self.sent_range();
        let limits = self.acks.iter().filter_map(|ack| ack.limit);
        // A window far beyond everything sent would leave a line at the bottom of it.
        let most = high.saturating_add(high.saturating_sub(low) / 2);
        let limit = limits.filter(|limit| *limit <= most).max();
        (low, high.max(limit.unwrap_or(high)))
    }

    fn sent_range(&self) -> (i64, i64) {
        let sent = self
            .segments
            .iter()
            .flat_map(|segment| [segment.from, segment.to]);
        let acked = self.acks.iter().map(|ack| ack.number);
        let numbers = || sent.clone().chain(acked.clone());
        let low = numbers().min().unwrap_or(0);
        (low, numbers().max().unwrap_or(0).max(low.saturating_add(1)))
    }

    fn sent(&mut self, row: &PacketRow, numbers: &mut Numbers) {
        let (syn, fin) = (row.flags.has(TcpFlags::SYN), row.flags.has(TcpFlags::FIN));
        if row.flags.has(TcpFlags::RST) {
            self.resets.push(Point {
                frame: row.frame,
                time: row.time,
                number: numbers.near(row.seq),
            });
            return;
        }
        let len = i64::from(row.len) + i64::from(syn) + i64::from(fin);
        let probe = row.marks.has(Marks::KEEP_ALIVE) || row.marks.has(Marks::ZERO_WINDOW_PROBE);
        let Some(from) = numbers.take(row.seq).filter(|_| len > 0 || probe) else {
            return;
        };
        let kind = match row.marks {
            _ if probe => Kind::New,
            marks if marks.has(Marks::RETRANSMISSION) => Kind::Again,
            marks if marks.has(Marks::OUT_OF_ORDER) => Kind::OutOfOrder,
            _ => Kind::New,
        };
        self.segments.push(PlotSegment {
            frame: row.frame,
            time: row.time,
            from,
            to: from.saturating_add(len),
            kind,
            syn,
            fin,
            probe,
        });
    }

    fn acknowledged(&mut self, row: &PacketRow, scale: Option<u8>, numbers: &mut Numbers) {
        let Some(number) = row.ack.and_then(|ack| numbers.take(ack)) else {
            return;
        };
        let is_syn = row.flags.has(TcpFlags::SYN);
        // The window of a SYN is never scaled (RFC 7323 section 2.2).
        let shift = if is_syn { Some(0) } else { scale };
        let window = shift.map(|shift| i64::from(row.window) << shift.min(14));
        let near = |edge: u32| numbers.near(edge);
        self.acks.push(Ack {
            frame: row.frame,
            time: row.time,
            number,
            limit: window.map(|window| number.saturating_add(window)),
            closed: row.window == 0 && !is_syn,
            duplicate: row.marks.has(Marks::DUPLICATE_ACK),
            sack: row
                .sack
                .iter()
                .map(|(left, right)| (near(*left), near(*right)))
                .collect(),
        });
    }
}

/// Sequence numbers of one direction, made to count on where they wrap.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers(Option<i64>);

impl Numbers {
    /// The number that stands for this one, nearest to those before; `None` where it is far from them.
    fn take(&mut self, number: u32) -> Option<i64> {
        let found = self.near(number);
        let is_near = self
            .0
            .is_none_or(|latest| found.saturating_sub(latest).abs() < FAR);
        if is_near {
            self.0 = Some(found);
        }
        is_near.then_some(found)
    }

    fn near(&self, number: u32) -> i64 {
        let Some(latest) = self.0 else {
            return i64::from(number);
        };
        let low = u32::try_from(latest.rem_euclid(1 << 32)).unwrap_or(0);
        latest.saturating_add(i64::from(number.wrapping_sub(low).cast_signed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::pictures::testing::traced;

    fn shapes(text: &str) -> [Shapes; 2] {
        let (diagnosis, packets) = traced(text);
        [Side::Client, Side::Server].map(|side| {
            let rows = packets.rows();
            Shapes::of(
                &diagnosis.connection,
                side,
                rows.into_iter().map(|kept| &kept.row),
            )
        })
    }

    #[test]
    fn windows_are_scaled_once_both_ends_agreed() {
        let [client, _] = shapes(
            "0.0 > S 0:0(0) win 64240 <mss 1460,nop,wscale 7>
             0.1 < SA 0:0(0) ack 1 win 65160 <mss 1460,nop,wscale 2>
             0.2 > PA 1:101(100) ack 1 win 500
             0.3 < A 1:1(0) ack 101 win 1000",
        );
        let limits: Vec<_> = client
            .acks
            .iter()
            .map(|ack| (ack.number, ack.limit))
            .collect();
        assert_eq!(limits, [(1, Some(65_161)), (101, Some(4_101))]);
        assert_eq!(client.range(), (0, 101), "a window far away does not count");
        let [unscaled, _] = shapes(
            "0.0 > S 0:0(0) <mss 1460,nop,wscale 7>
             0.1 < SA 0:0(0) ack 1 win 100 <mss 1460>
             0.2 > PA 1:101(100) ack 1
             0.3 < A 1:1(0) ack 101 win 50",
        );
        assert_eq!(unscaled.acks[1].limit, Some(151));
        let [joined, _] = shapes("0.2 > PA 1:101(100) ack 1\n0.3 < A 1:1(0) ack 101 win 50");
        assert_eq!(joined.acks[0].limit, None, "nothing settles what 50 means");
        assert_eq!(joined.range(), (1, 101));
    }

    #[test]
    fn blocks_resets_probes_and_duplicates_have_their_numbers() {
        let [client, server] = shapes(
            "0.0 > S 0:0(0) <mss 1460,sackOK>
             0.1 < SA 0:0(0) ack 1 <mss 1460,sackOK>
             0.15 > A 1:1(0) ack 1
             0.2 > A 1:1001(1000) ack 1
             0.21 > A 2001:3001(1000) ack 1
             0.22 > PA 3001:4001(1000) ack 1
             0.3 < A 1:1(0) ack 1001
             0.31 < A 1:1(0) ack 1001 sack 2001:3001
             0.32 < A 1:1(0) ack 1001 sack 2001:4001
             0.6 > A 1001:2001(1000) ack 1
             0.7 < A 1:1(0) ack 4001 win 0
             0.8 < RA 1:1(0) ack 4001",
        );
        let blocks: Vec<_> = client
            .acks
            .iter()
            .flat_map(|ack| ack.sack.clone())
            .collect();
        assert_eq!(blocks, [(2001, 3001), (2001, 4001)]);
        let kinds: Vec<_> = client
            .segments
            .iter()
            .map(|segment| (segment.from, segment.kind))
            .collect();
        assert_eq!(kinds.last(), Some(&(1001, Kind::Again)));
        assert_eq!(client.acks.iter().filter(|ack| ack.duplicate).count(), 2);
        assert!(client.acks.last().is_some_and(|ack| ack.closed));
        assert_eq!(server.resets.len(), 1);
        assert_eq!(client.range(), (0, 4_001));
    }

    #[test]
    fn numbers_count_on_where_they_wrap() {
        let [client, _] = shapes(
            "client isn 4294966795
             0.0 > S 0:0(0)
             0.1 < SA 0:0(0) ack 1
             0.2 > A 1:1001(1000) ack 1
             0.3 > A 1001:2001(1000) ack 1
             0.4 < A 1:1(0) ack 2001",
        );
        assert_eq!(client.range(), (0, 2_001));
        let mut numbers = Numbers::default();
        let taken: Vec<_> = [u32::MAX - 10, 5, 1_000, u32::MAX]
            .map(|number| numbers.take(number))
            .into();
        let base = i64::from(u32::MAX);
        assert_eq!(
            taken,
            [
                Some(base - 10),
                Some(base + 6),
                Some(base + 1_001),
                Some(base)
            ]
        );
        assert_eq!(numbers.take(1 << 30), None, "of another connection");
    }

    #[test]
    fn one_side_alone_has_its_shapes() {
        let [client, server] = shapes(
            "0.0 > S 0:0(0)
             0.1 > A 1:1(0) ack 1
             0.2 > PA 1:101(100) ack 1
             0.3 > A 101:101(0) ack 900",
        );
        assert_eq!((client.segments.len(), client.acks.len()), (2, 0));
        assert_eq!((server.segments.len(), server.acks.len()), (0, 3));
        assert!(!server.is_empty() && server.range().0 < server.range().1);
    }
}
