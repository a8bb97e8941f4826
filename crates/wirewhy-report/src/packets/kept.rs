//! The packets of one connection, as many as find room.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

use wirewhy_flow::Side;
use wirewhy_flow::wireshark::{Marked, Marks};
use wirewhy_packet::{Packet, TcpFlags, Transport};

use super::PacketRow;

/// The packets of one connection in the order in which they were captured.
///
/// Where there are too many, the first and the last ones are kept, those that a finding cites, and between them first what is
/// rare and matters: retransmissions, what is out of order, closed windows, SYN, FIN and RST; then what has other marks; of the
/// rest an even sample. How many were left out is counted.
#[derive(Clone, Debug)]
pub struct Packets {
    /// How many each part keeps.
    share: usize,
    cited: BTreeSet<u64>,
    first: Vec<Kept>,
    urgent: StridedSample,
    marked: StridedSample,
    plain: StridedSample,
    last: VecDeque<Kept>,
    count: u64,
    /// Where the first packet came from: it distinguishes the sides until they are known.
    source: Option<SocketAddr>,
}

/// A packet, and how many of its connection came before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Kept {
    pub(crate) place: u64,
    pub(crate) row: PacketRow,
}

/// How many parts share the room.
const PARTS: usize = 5;

impl Packets {
    /// How many packets of a connection are kept for a drawing.
    pub const MOST: usize = 20_000;

    /// No packets, and room for so many.
    #[must_use]
    pub fn new(most: usize) -> Packets {
        Packets::with_cited(most, BTreeSet::new())
    }

    /// No packets, and room for so many; beside them those with the frame numbers given are kept.
    #[must_use]
    pub fn with_cited(most: usize, cited: BTreeSet<u64>) -> Packets {
        let share = most / PARTS;
        Packets {
            share,
            cited,
            first: Vec::new(),
            urgent: StridedSample::new(share),
            marked: StridedSample::new(share),
            plain: StridedSample::new(share),
            last: VecDeque::new(),
            count: 0,
            source: None,
        }
    }

    /// Adds the next packet of the connection; `marked` is Wireshark's view of it, and `is_copy` whether it was recorded before.
    /// One without a TCP header of its own is passed over: what an ICMP error quotes is among the events of the connection.
    pub fn add(&mut self, packet: &Packet<'_>, marked: &Marked, is_copy: bool) {
        let (Transport::Tcp(segment), Some(ip)) = (&packet.transport, &packet.ip) else {
            return;
        };
        let source = SocketAddr::new(ip.source, segment.source_port);
        if let Some(row) = PacketRow::of(packet, marked, is_copy) {
            self.add_row(source, row);
        }
    }

    /// Adds the next datagram of a connection over QUIC, and which side sent it.
    pub fn add_datagram(&mut self, packet: &Packet<'_>, stream: u32, from: Side, is_copy: bool) {
        if let Some(row) = PacketRow::of_datagram(packet, stream, from, is_copy) {
            self.keep(row);
        }
    }

    fn add_row(&mut self, source: SocketAddr, mut row: PacketRow) {
        let first = *self.source.get_or_insert(source);
        row.from = match source == first {
            true => Side::Client,
            false => Side::Server,
        };
        self.keep(row);
    }

    fn keep(&mut self, row: PacketRow) {
        let kept = Kept {
            place: self.count,
            row,
        };
        self.count += 1;
        if self.first.len() < self.share {
            self.first.push(kept);
            return;
        }
        self.last.push_back(kept);
        if self.last.len() > self.share
            && let Some(passed) = self.last.pop_front()
        {
            self.thin(passed);
        }
    }

    /// Gives the sides their names, once it is known which of them is the server.
    pub fn name_sides(&mut self, server: SocketAddr) {
        if self.source != Some(server) {
            return;
        }
        // Now the first packet is the server's, and it was found so.
        self.source = None;
        let rows = self.first.iter_mut().chain(&mut self.last);
        let thinned = [&mut self.urgent, &mut self.marked, &mut self.plain];
        let thinned = thinned.into_iter().flat_map(|sample| &mut sample.rows);
        for kept in rows.chain(thinned) {
            kept.row.from = kept.row.from.other();
        }
    }

    /// How many packets there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many of them were left out.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.count - self.rows().len() as u64
    }

    /// The packets that are kept, in order.
    pub fn iter(&self) -> impl Iterator<Item = &PacketRow> {
        self.rows().into_iter().map(|kept| &kept.row)
    }

    /// The same packets behind so many others of their connection that are not to be had any more.
    #[must_use]
    pub fn behind(mut self, others: u64) -> Packets {
        self.count = self.count.saturating_add(others);
        let rows = self.first.iter_mut().chain(&mut self.last);
        let thinned = [&mut self.urgent, &mut self.marked, &mut self.plain];
        let thinned = thinned.into_iter().flat_map(|sample| &mut sample.rows);
        rows.chain(thinned)
            .for_each(|kept| kept.place = kept.place.saturating_add(others));
        self
    }

    /// Those that are kept, in order, with their places.
    pub(crate) fn rows(&self) -> Vec<&Kept> {
        let thinned = [&self.urgent, &self.marked, &self.plain];
        let thinned = thinned.into_iter().flat_map(|sample| &sample.rows);
        let mut rows: Vec<&Kept> = self.first.iter().chain(thinned).chain(&self.last).collect();
        rows.sort_unstable_by_key(|kept| kept.place);
        rows
    }

    /// Keeps a packet from the middle, if it matters enough.
    fn thin(&mut self, kept: Kept) {
        /// Marks that go with most packets of a transfer with losses.
        const COMMON: Marks = Marks::DUPLICATE_ACK.with(Marks::WINDOW_UPDATE);
        let row = &kept.row;
        let controls = TcpFlags::SYN.with(TcpFlags::FIN).with(TcpFlags::RST);
        if self.cited.contains(&row.frame) {
            // A finding cites few frames.
            self.first.push(kept);
        } else if row.flags.any(controls) || !COMMON.has(row.marks) || !row.is_one_rtt() {
            self.urgent.add(kept);
        } else if !row.marks.is_empty() || !row.sack.is_empty() {
            self.marked.add(kept);
        } else {
            self.plain.add(kept);
        }
    }
}

/// Every so-and-so-manieth of what it is given: all while there is room, then every second, every fourth.
#[derive(Clone, Debug)]
struct StridedSample {
    rows: Vec<Kept>,
    most: usize,
    stride: u64,
    seen: u64,
}

impl StridedSample {
    fn new(most: usize) -> StridedSample {
        StridedSample {
            rows: Vec::new(),
            most,
            stride: 1,
            seen: 0,
        }
    }

    fn add(&mut self, kept: Kept) {
        let nth = self.seen;
        self.seen += 1;
        if self.rows.len() >= self.most && nth.is_multiple_of(self.stride) {
            self.stride = self.stride.saturating_mul(2);
            let mut is_due = false;
            self.rows.retain(|_| {
                is_due = !is_due;
                is_due
            });
        }
        if self.rows.len() < self.most && nth.is_multiple_of(self.stride) {
            self.rows.push(kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use wirewhy_packet::{Interval, Timestamp};

    use super::*;

    fn row(frame: u64) -> PacketRow {
        PacketRow {
            frame,
            time: Timestamp::default().after(Interval::from_millis(frame.cast_signed())),
            stream: 0,
            from: Side::Client,
            flags: TcpFlags::ACK,
            seq: 1,
            ack: Some(1),
            len: 0,
            window: 100,
            sack: Box::default(),
            marks: Marks::none(),
            is_copy: false,
            datagram: Box::default(),
            records: None,
        }
    }

    fn end(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn frames(packets: &Packets) -> Vec<u64> {
        packets.rows().iter().map(|kept| kept.row.frame).collect()
    }

    #[test]
    fn a_short_connection_is_kept_whole() {
        let mut packets = Packets::new(50);
        (1..=20).for_each(|frame| packets.add_row(end(1), row(frame)));
        assert_eq!(frames(&packets), (1..=20).collect::<Vec<_>>());
        assert_eq!((packets.count(), packets.left_out()), (20, 0));
    }

    #[test]
    fn of_a_long_one_what_matters_is_kept_in_bounded_memory() {
        let mut packets = Packets::with_cited(500, [50_001].into());
        for frame in 1..=100_000 {
            let marks = match frame % 1_000 {
                0 => Marks::RETRANSMISSION,
                _ if frame % 10 == 3 => Marks::DUPLICATE_ACK,
                _ => Marks::none(),
            };
            packets.add_row(
                end(1),
                PacketRow {
                    marks,
                    ..row(frame)
                },
            );
        }
        let kept = frames(&packets);
        assert!(kept.len() <= 501, "{}", kept.len());
        assert_eq!(packets.left_out(), 100_000 - kept.len() as u64);
        assert!(kept.is_sorted());
        assert!(
            (1..=100)
                .chain(99_901..=100_000)
                .chain([50_001])
                .all(|frame| kept.contains(&frame))
        );
        assert!((1..=100).all(|n| kept.contains(&(n * 1_000))), "{kept:?}");
        // The sample is even: there is no long stretch of which nothing is kept.
        let widest = kept.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(widest < Some(2_000), "{widest:?}");
    }

    #[test]
    fn sides_are_named_once_they_are_known() {
        let sides =
            |packets: &Packets| -> Vec<Side> { packets.iter().map(|row| row.from).collect() };
        let (client, server) = (end(1), end(2));
        for ends in [[server, client], [client, server]] {
            let mut packets = Packets::new(10);
            ends.into_iter()
                .zip(1..)
                .for_each(|(end, frame)| packets.add_row(end, row(frame)));
            let expected = match ends[0] == server {
                true => [Side::Server, Side::Client],
                false => [Side::Client, Side::Server],
            };
            packets.name_sides(server);
            assert_eq!(sides(&packets), expected);
            packets.name_sides(server);
            assert_eq!(
                sides(&packets),
                expected,
                "naming them again changes nothing"
            );
        }
    }

    #[test]
    fn those_before_are_counted() {
        let mut packets = Packets::new(10);
        packets.add_row(end(1), row(7));
        let packets = packets.behind(6);
        assert_eq!((packets.count(), packets.left_out()), (7, 6));
        assert_eq!(
            packets
                .rows()
                .iter()
                .map(|kept| kept.place)
                .collect::<Vec<_>>(),
            [6]
        );
    }
}
