//! One line a TCP frame, for comparison with other analysers, and those of one connection, to be drawn.

mod kept;

use std::io::{self, Write};

use serde::Serialize;
use wirewhy_detect::Diagnosis;
use wirewhy_flow::Side;
use wirewhy_flow::wireshark::{Marked, Marks};
use wirewhy_packet::{Packet, SackBlocks, Seq, TcpFlags, TcpHeader, Timestamp, Transport};
use wirewhy_protocol::{PacketKind, dtls_records};

use crate::json::{Time, encode};
pub(crate) use kept::Kept;
pub use kept::Packets;

/// The mark of a frame that was recorded before; Wireshark has no such mark.
const DUPLICATE: &str = "capture_duplicate";

/// One TCP frame, or one datagram of a connection over QUIC.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PacketRow {
    /// The frame number.
    pub frame: u64,
    /// When it was captured.
    pub time: Timestamp,
    /// The connection, as Wireshark numbers it.
    pub stream: u32,
    /// Who sent it.
    pub from: Side,
    /// Control bits.
    pub flags: TcpFlags,
    /// Relative sequence number.
    pub seq: u32,
    /// Relative acknowledgement number, where the ACK flag is set.
    pub ack: Option<u32>,
    /// Bytes of payload on the wire.
    pub len: u32,
    /// The window field as sent, not scaled.
    pub window: u16,
    /// Blocks that are acknowledged selectively (RFC 2018), by relative numbers: the first byte, and the one behind the last.
    pub sack: Box<[(u32, u32)]>,
    /// Analysis marks.
    pub marks: Marks,
    /// Whether it is a copy of a frame that was recorded before.
    pub is_copy: bool,
    /// The QUIC packets of a datagram; empty of a TCP frame. Of a datagram flags, numbers, window and marks mean nothing.
    pub datagram: Box<[PacketKind]>,
    /// The records of a datagram of DTLS, by type.
    pub records: Option<Box<str>>,
}

impl PacketRow {
    /// A packet as a row: its own TCP header, or the one that an ICMP error quotes. `marked` is Wireshark's view of it. `None`
    /// where it has no TCP header.
    #[must_use]
    pub fn of(packet: &Packet<'_>, marked: &Marked, is_copy: bool) -> Option<PacketRow> {
        let (header, sack) = match &packet.transport {
            Transport::Tcp(segment) => (TcpHeader::from(segment), segment.options.sack),
            Transport::IcmpError(error) => (error.quoted?.tcp?.header?, SackBlocks::default()),
            _ => return None,
        };
        // Blocks count from where acknowledgements count from (RFC 2018 section 3).
        let blocks = marked.relative_ack.map_or(&[][..], |_| sack.as_slice());
        let base = marked.relative_ack.unwrap_or(0);
        let relative = |number: Seq| base.wrapping_add(number.0.wrapping_sub(header.ack.0));
        Some(PacketRow {
            frame: packet.frame,
            time: packet.time,
            stream: marked.stream,
            from: marked.from,
            flags: header.flags,
            seq: marked.relative_seq,
            ack: marked.relative_ack,
            len: header.payload_len,
            window: header.window,
            sack: blocks
                .iter()
                .map(|(left, right)| (relative(*left), relative(*right)))
                .collect(),
            marks: marked.marks,
            is_copy,
            datagram: Box::default(),
            records: None,
        })
    }

    /// A datagram of a connection over QUIC as a row; `None` where it is no datagram.
    fn of_datagram(
        packet: &Packet<'_>,
        stream: u32,
        from: Side,
        is_copy: bool,
    ) -> Option<PacketRow> {
        let Transport::Udp(udp) = &packet.transport else {
            return None;
        };
        Some(PacketRow {
            frame: packet.frame,
            time: packet.time,
            stream,
            from,
            flags: TcpFlags::default(),
            seq: 0,
            ack: None,
            len: udp.payload_len,
            window: 0,
            sack: Box::default(),
            marks: Marks::none(),
            is_copy,
            datagram: PacketKind::all_in(udp.payload).into_boxed_slice(),
            records: dtls_records(udp.payload).map(Into::into),
        })
    }

    /// Whether it is a packet of bulk transfer as far as QUIC tells: nothing but 1-RTT. True of every TCP frame.
    pub(crate) fn is_one_rtt(&self) -> bool {
        let mut kinds = self.datagram.iter();
        kinds.all(|kind| *kind == PacketKind::OneRtt)
    }

    /// The QUIC packets of a datagram, or its records of DTLS: `Initial + Handshake + 1-RTT`; `None` of a TCP frame.
    pub(crate) fn quic_packets(&self) -> Option<String> {
        if let Some(records) = &self.records {
            return Some(format!("DTLS {records}"));
        }
        if self.datagram.is_empty() {
            return None;
        }
        let names: Vec<&str> = self.datagram.iter().map(|kind| kind.name()).collect();
        Some(names.join(" + "))
    }

    /// The names of its marks, Wireshark's first.
    pub fn mark_names(&self) -> impl Iterator<Item = &'static str> {
        self.marks.names().chain(self.is_copy.then_some(DUPLICATE))
    }
}

/// Where the packets of connections are available once the connections are diagnosed.
pub trait PacketSource: Send {
    /// The packets of these connections, in their order; `None` for one whose packets are not to be had.
    fn packets(&mut self, wanted: &[&Diagnosis]) -> Vec<Option<Packets>>;
}

/// Rows as aligned columns.
#[derive(Debug)]
pub struct PacketsText<W> {
    out: W,
    first: Option<Timestamp>,
}

impl<W: Write> PacketsText<W> {
    /// A table of packets; times count from the first row.
    pub fn new(out: W) -> PacketsText<W> {
        PacketsText { out, first: None }
    }

    /// Writes one row.
    pub fn row(&mut self, row: &PacketRow) -> io::Result<()> {
        if self.first.is_none() {
            writeln!(
                self.out,
                "{:>8} {:>13} {:>6} {:<6} {:<5} {:>10} {:>10} {:>6} {:>6}  marks",
                "frame", "seconds", "stream", "from", "flags", "seq", "ack", "len", "window"
            )?;
        }
        let first = *self.first.get_or_insert(row.time);
        let ack = row.ack.map(|ack| ack.to_string()).unwrap_or_default();
        let line = format!(
            "{:>8} {:>13.6} {:>6} {:<6} {:<5} {:>10} {:>10} {:>6} {:>6}  {}",
            row.frame,
            row.time.since(first).as_secs_f64(),
            row.stream,
            row.from.name(),
            row.flags.to_string(),
            row.seq,
            ack,
            row.len,
            row.window,
            row.mark_names().collect::<Vec<_>>().join(" "),
        );
        writeln!(self.out, "{}", line.trim_end())
    }

    /// Hands on what is still buffered.
    pub fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Rows as JSON, one record a line.
#[derive(Debug)]
pub struct PacketsNdjson<W> {
    out: W,
}

impl<W: Write> PacketsNdjson<W> {
    /// Records of packets.
    pub fn new(out: W) -> PacketsNdjson<W> {
        PacketsNdjson { out }
    }

    /// Writes one row.
    pub fn row(&mut self, row: &PacketRow) -> io::Result<()> {
        encode(&mut self.out, &RowShape::new(row))?;
        self.out.write_all(b"\n")
    }

    /// Hands on what is still buffered.
    pub fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[derive(Serialize)]
struct RowShape {
    frame: u64,
    time: Time,
    stream: u32,
    from: &'static str,
    flags: String,
    seq: u32,
    ack: Option<u32>,
    len: u32,
    window: u16,
    marks: Vec<&'static str>,
}

impl RowShape {
    fn new(row: &PacketRow) -> RowShape {
        RowShape {
            frame: row.frame,
            time: Time(row.time),
            stream: row.stream,
            from: row.from.name(),
            flags: row.flags.to_string(),
            seq: row.seq,
            ack: row.ack,
            len: row.len,
            window: row.window,
            marks: row.mark_names().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> [PacketRow; 2] {
        let syn = PacketRow {
            frame: 1,
            time: Timestamp::from_secs_nanos(1_767_323_045, 0),
            stream: 0,
            from: Side::Client,
            flags: TcpFlags::SYN,
            seq: 0,
            ack: None,
            len: 0,
            window: 64_240,
            sack: Box::default(),
            marks: Marks::none(),
            is_copy: false,
            datagram: Box::default(),
            records: None,
        };
        let answer = PacketRow {
            frame: 3,
            time: Timestamp::from_secs_nanos(1_767_323_046, 21_000_000),
            from: Side::Server,
            flags: TcpFlags::RST.with(TcpFlags::ACK),
            ack: Some(1),
            window: 0,
            marks: Marks::RETRANSMISSION,
            is_copy: true,
            ..syn.clone()
        };
        [syn, answer]
    }

    #[test]
    fn text_is_aligned() {
        let mut out = Vec::new();
        let mut table = PacketsText::new(&mut out);
        for row in rows() {
            table.row(&row).unwrap();
        }
        let expected = "
   frame       seconds stream from   flags        seq        ack    len window  marks
       1      0.000000      0 client S              0                 0  64240
       3      1.021000      0 server RA             0          1      0      0  retransmission capture_duplicate
";
        assert_eq!(
            String::from_utf8(out).unwrap(),
            expected.trim_start_matches('\n')
        );
    }

    #[test]
    fn ndjson_has_exactly_the_agreed_members() {
        let mut out = Vec::new();
        let mut table = PacketsNdjson::new(&mut out);
        for row in rows() {
            table.row(&row).unwrap();
        }
        let expected = r#"{"frame":1,"time":"2026-01-02T03:04:05.000000000Z","stream":0,"from":"client","flags":"S","seq":0,"ack":null,"len":0,"window":64240,"marks":[]}
{"frame":3,"time":"2026-01-02T03:04:06.021000000Z","stream":0,"from":"server","flags":"RA","seq":0,"ack":1,"len":0,"window":0,"marks":["retransmission","capture_duplicate"]}
"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
