//! Writing pcapng.

use std::io::{self, ErrorKind, Write};
use std::net::IpAddr;

use wirewhy_packet::{Frame, Timestamp};

use super::options::padding;
use crate::info::{Interface, InterfaceStatistics, NameRecord, Secrets};
use crate::problem::BlockType;

/// Nanoseconds, as `if_tsresol` says it.
const NANOSECONDS: u8 = 9;

/// A pcapng file being written: one section in little-endian byte order with times in nanoseconds.
///
/// What it wrote is a whole file after every call, so that a reader of a file that was left there finds no block cut.
/// Blocks go to the stream as they come; a stream that is slow at small pieces belongs into a
/// [`BufWriter`](io::BufWriter).
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    interfaces: u32,
    block: Vec<u8>,
    has_options: bool,
}

/// What a section says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Section<'a> {
    /// The program that writes it (`shb_userappl`).
    pub application: &'a str,
    /// What is to be known of the whole (`opt_comment`), one comment each.
    pub comments: &'a [&'a str],
}

/// What is said of a frame beside its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Notes<'a> {
    /// The number it had where it was captured (`epb_packetid`).
    pub packet_id: Option<u64>,
    /// What is to be known of it (`opt_comment`), one comment each.
    pub comments: &'a [&'a str],
}

impl<W: Write> Writer<W> {
    /// Begins a file with its section header.
    ///
    /// # Errors
    ///
    /// What writing to `out` fails with.
    pub fn new(out: W, section: Section<'_>) -> io::Result<Writer<W>> {
        let mut writer = Writer {
            out,
            interfaces: 0,
            block: Vec::new(),
            has_options: false,
        };
        writer.begin(BlockType::SECTION);
        // Byte-order magic, version 1.0, and a section length that is not told.
        writer.put(&0x1a2b_3c4d_u32.to_le_bytes());
        writer.put(&1_u16.to_le_bytes());
        writer.put(&0_u16.to_le_bytes());
        writer.put(&u64::MAX.to_le_bytes());
        writer.text(4, section.application);
        for comment in section.comments {
            writer.text(1, comment);
        }
        writer.end()?;
        Ok(writer)
    }

    /// Describes an interface, and gives the number that its frames are to bear. Its statistics are not written: they are
    /// for the end. `filter` is what frames had to pass, in libpcap's language.
    ///
    /// # Errors
    ///
    /// What writing fails with; [`ErrorKind::InvalidInput`] for a link type that has no number in files.
    pub fn interface(&mut self, interface: &Interface, filter: Option<&str>) -> io::Result<u32> {
        let link_type = u16::try_from(interface.link_type.0)
            .map_err(|_| invalid("the link type has no number in pcapng"))?;
        self.begin(BlockType::INTERFACE);
        self.put(&link_type.to_le_bytes());
        self.put(&0_u16.to_le_bytes());
        self.put(&interface.snap_len.to_le_bytes());
        if let Some(name) = &interface.name {
            self.text(2, name);
        }
        self.option(9, &[NANOSECONDS]);
        if let Some(filter) = filter {
            // A zero byte in front says that the filter is a string of libpcap's.
            self.text(11, &format!("\0{filter}"));
        }
        self.end()?;
        let number = self.interfaces;
        self.interfaces = number.saturating_add(1);
        Ok(number)
    }

    /// Writes a frame. Its `interface` is one that [`interface`](Writer::interface) gave.
    ///
    /// Times before 1970 become 1970: the format has no others.
    ///
    /// # Errors
    ///
    /// What writing fails with; [`ErrorKind::InvalidInput`] for an interface that was not described, or a frame longer
    /// than any block.
    pub fn frame(&mut self, frame: &Frame<'_>, notes: Notes<'_>) -> io::Result<()> {
        self.check(frame.interface)?;
        let captured = u32::try_from(frame.data.len())
            .map_err(|_| invalid("the frame is longer than a block can be"))?;
        self.begin(BlockType::ENHANCED_PACKET);
        self.put(&frame.interface.to_le_bytes());
        self.time(frame.time);
        self.put(&captured.to_le_bytes());
        self.put(&frame.original_len.to_le_bytes());
        self.padded(frame.data);
        for comment in notes.comments {
            self.text(1, comment);
        }
        if let Some(id) = notes.packet_id {
            self.option(5, &id.to_le_bytes());
        }
        self.end()
    }

    /// Writes secrets to decrypt with; they are to stand before the frames they are for.
    ///
    /// # Errors
    ///
    /// What writing fails with; [`ErrorKind::InvalidInput`] for secrets longer than any block.
    pub fn secrets(&mut self, secrets: &Secrets) -> io::Result<()> {
        let len = u32::try_from(secrets.data.len())
            .map_err(|_| invalid("the secrets are longer than a block can be"))?;
        self.begin(BlockType::SECRETS);
        self.put(&secrets.kind.0.to_le_bytes());
        self.put(&len.to_le_bytes());
        self.padded(&secrets.data);
        self.end()
    }

    /// Writes names that addresses have. One too long for its record is left out.
    ///
    /// # Errors
    ///
    /// What writing fails with.
    pub fn names(&mut self, names: &[NameRecord]) -> io::Result<()> {
        self.begin(BlockType::NAMES);
        for NameRecord { address, name } in names {
            let mut record = match address {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            record.extend_from_slice(name.as_bytes());
            record.push(0);
            // Type 1 is an IPv4 address with its names, type 2 an IPv6 address.
            self.option(if address.is_ipv4() { 1 } else { 2 }, &record);
        }
        // An empty list ends with the same word as a full one.
        self.has_options = true;
        self.end()
    }

    /// Writes the counters of an interface as they were at `time`.
    ///
    /// # Errors
    ///
    /// What writing fails with; [`ErrorKind::InvalidInput`] for an interface that was not described.
    pub fn statistics(
        &mut self,
        interface: u32,
        time: Timestamp,
        statistics: InterfaceStatistics,
    ) -> io::Result<()> {
        self.check(interface)?;
        self.begin(BlockType::STATISTICS);
        self.put(&interface.to_le_bytes());
        self.time(time);
        for (code, counter) in [
            (4, statistics.received),
            (5, statistics.dropped_by_interface),
            (6, statistics.accepted),
            (7, statistics.dropped_by_system),
            (8, statistics.delivered),
        ] {
            if let Some(counter) = counter {
                self.option(code, &counter.to_le_bytes());
            }
        }
        self.end()
    }

    /// Flushes the stream and gives it back.
    ///
    /// # Errors
    ///
    /// What flushing fails with.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn check(&self, interface: u32) -> io::Result<()> {
        if interface < self.interfaces {
            Ok(())
        } else {
            Err(invalid("the interface has not been described"))
        }
    }

    fn begin(&mut self, kind: BlockType) {
        self.block.clear();
        self.has_options = false;
        self.put(&kind.0.to_le_bytes());
        // The length, once it is known.
        self.put(&[0; 4]);
    }

    /// Ends the options, if there are any, sets the length, and writes the block.
    fn end(&mut self) -> io::Result<()> {
        if self.has_options {
            self.put(&[0; 4]);
        }
        let len = self.block.len().saturating_add(4);
        let len = u32::try_from(len)
            .map_err(|_| invalid("the block is too long"))?
            .to_le_bytes();
        self.put(&len);
        if let Some(place) = self.block.get_mut(4..8) {
            place.copy_from_slice(&len);
        }
        self.out.write_all(&self.block)
    }

    /// A time, upper half first in either byte order.
    fn time(&mut self, time: Timestamp) {
        let nanoseconds = u64::try_from(time.0).unwrap_or(0);
        let [a, b, c, d, e, f, g, h] = nanoseconds.to_be_bytes();
        self.put(&u32::from_be_bytes([a, b, c, d]).to_le_bytes());
        self.put(&u32::from_be_bytes([e, f, g, h]).to_le_bytes());
    }

    /// A text as an option. One that is too long for an option is cut between characters; an empty one is left out.
    fn text(&mut self, code: u16, text: &str) {
        let most = text.floor_char_boundary(usize::from(u16::MAX));
        let text = text.get(..most).unwrap_or_default();
        if !text.is_empty() {
            self.option(code, text.as_bytes());
        }
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        let Ok(len) = u16::try_from(value.len()) else {
            return;
        };
        self.has_options = true;
        self.put(&code.to_le_bytes());
        self.put(&len.to_le_bytes());
        self.padded(value);
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.put(bytes);
        let padding = padding(bytes.len());
        self.block.extend(std::iter::repeat_n(0, padding));
    }

    fn put(&mut self, bytes: &[u8]) {
        self.block.extend_from_slice(bytes);
    }
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, reason)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use wirewhy_packet::LinkType;

    use super::*;
    use crate::testbytes::{Arbitrary, drain, reader};

    fn ethernet(name: &str) -> Interface {
        Interface {
            link_type: LinkType::ETHERNET,
            snap_len: 262_144,
            name: Some(name.to_owned()),
            statistics: InterfaceStatistics::default(),
        }
    }

    fn frame(nanos: i64, interface: u32, data: &[u8]) -> Frame<'_> {
        Frame {
            number: 7,
            time: Timestamp(nanos),
            link_type: LinkType::ETHERNET,
            interface,
            original_len: u32::try_from(data.len()).unwrap() + 3,
            data,
        }
    }

    const STATISTICS: InterfaceStatistics = InterfaceStatistics {
        received: Some(1 << 40),
        dropped_by_interface: Some(2),
        accepted: None,
        dropped_by_system: Some(3),
        delivered: Some(4),
    };

    /// Two interfaces, three frames, comments everywhere.
    fn example() -> Vec<u8> {
        let section = Section {
            application: "wirewhy 1.2.3",
            comments: &["why", "and more"],
        };
        let mut writer = Writer::new(Vec::new(), section).unwrap();
        assert_eq!(writer.interface(&ethernet("eth0"), Some("tcp")).unwrap(), 0);
        let cooked = Interface {
            link_type: LinkType::LINUX_SLL2,
            ..ethernet("any")
        };
        assert_eq!(writer.interface(&cooked, None).unwrap(), 1);
        let time = 1_790_000_000_123_456_789;
        let notes = Notes {
            packet_id: Some(4_711),
            comments: &["first — ä", "second\nline"],
        };
        writer.frame(&frame(time, 0, b"abcde"), notes).unwrap();
        let none = Notes::default();
        writer.frame(&frame(time + 1, 1, &[7; 40]), none).unwrap();
        writer.frame(&frame(-1, 0, b""), none).unwrap();
        writer.statistics(0, Timestamp(time), STATISTICS).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn our_own_reader_reads_it_back() {
        let bytes = example();
        let mut reader = reader(&bytes).unwrap();
        let frames = drain(&mut reader);
        let shown: Vec<_> = frames
            .iter()
            .map(|frame| {
                (
                    frame.nanos,
                    frame.interface,
                    frame.original_len,
                    frame.data.len(),
                )
            })
            .collect();
        let time = 1_790_000_000_123_456_789;
        assert_eq!(
            shown,
            [(time, 0, 8, 5), (time + 1, 1, 43, 40), (0, 0, 3, 0)]
        );
        assert_eq!(frames[0].data, b"abcde");
        assert_eq!(reader.problem(), None);
        assert_eq!(reader.oddities().count, 0);
        let info = reader.info();
        let first = Interface {
            statistics: STATISTICS,
            ..ethernet("eth0")
        };
        assert_eq!(info.interfaces[0], first);
        assert_eq!(info.interfaces[1].link_type, LinkType::LINUX_SLL2);
        assert_eq!(info.dropped_packets(), Some(5));
    }

    #[test]
    fn any_bytes_come_back_as_they_were() {
        let mut arbitrary = Arbitrary(5);
        let mut writer = Writer::new(Vec::new(), Section::default()).unwrap();
        writer.interface(&ethernet("x"), None).unwrap();
        let packets: Vec<Vec<u8>> = (0..300).map(|_| arbitrary.packet(2_000)).collect();
        for packet in &packets {
            let notes = Notes::default();
            writer.frame(&frame(5, 0, packet), notes).unwrap();
        }
        let bytes = writer.finish().unwrap();
        let back = drain(&mut reader(&bytes).unwrap());
        assert_eq!(back.len(), packets.len());
        assert!(
            back.iter()
                .zip(&packets)
                .all(|(back, packet)| back.data == *packet)
        );
    }

    #[test]
    fn what_would_make_the_file_invalid_is_refused() {
        let mut writer = Writer::new(Vec::new(), Section::default()).unwrap();
        let refused = writer.frame(&frame(5, 0, b"a"), Notes::default());
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
        let odd = Interface {
            link_type: LinkType(1 << 20),
            ..ethernet("odd")
        };
        let refused = writer.interface(&odd, None);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
        let refused = writer.statistics(3, Timestamp(0), STATISTICS);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
        let bytes = writer.finish().unwrap();
        assert_eq!(
            reader(&bytes).unwrap().next().map(|frame| frame.number),
            None
        );
    }

    #[test]
    fn a_comment_too_long_for_an_option_is_cut_between_characters() {
        let long = "ä".repeat(40_000);
        let mut writer = Writer::new(Vec::new(), Section::default()).unwrap();
        writer.interface(&ethernet("x"), None).unwrap();
        let notes = Notes {
            packet_id: None,
            comments: &[&long],
        };
        writer.frame(&frame(5, 0, b"a"), notes).unwrap();
        let bytes = writer.finish().unwrap();
        assert!(bytes.len() > 65_500 && bytes.len() < 65_700);
        assert_eq!(drain(&mut reader(&bytes).unwrap()).len(), 1);
    }

    /// Runs one of Wireshark's programs on the example; `None` where there is none and that is no fault.
    fn wireshark(program: &str, before: &[&str], after: &[&str]) -> Option<String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&example()).unwrap();
        let mut command = Command::new(program);
        command.args(before).arg(file.path()).args(after);
        match command.output() {
            Ok(output) => {
                let errors = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success(), "{program}: {errors}");
                Some(String::from_utf8(output.stdout).unwrap())
            }
            Err(error) => {
                let why = format!("{program}: {error}, so pcapng files are NOT tested with it");
                assert!(std::env::var_os("CI").is_none(), "{why}");
                eprintln!("{why}");
                None
            }
        }
    }

    #[test]
    fn tshark_reads_frames_and_comments() {
        let mut fields = vec!["-T", "fields", "-E", "separator=|", "-E", "aggregator=;"];
        for field in [
            "frame.number",
            "frame.time_epoch",
            "frame.interface_name",
            "frame.len",
            "frame.cap_len",
            "frame.packet_id",
            "frame.comment",
        ] {
            fields.extend(["-e", field]);
        }
        let Some(read) = wireshark("tshark", &["-n", "-r"], &fields) else {
            return;
        };
        let lines: Vec<&str> = read.lines().collect();
        assert_eq!(
            lines,
            [
                "1|1790000000.123456789|eth0|8|5|4711|first — ä;second\\nline",
                "2|1790000000.123456790|any|43|40||",
                "3|0.000000000|eth0|3|0||",
            ]
        );
    }

    #[test]
    fn capinfos_reads_sections_interfaces_and_statistics() {
        let Some(read) = wireshark("capinfos", &[], &[]) else {
            return;
        };
        for expected in [
            "Number of packets:   3",
            "Capture application: wirewhy 1.2.3",
            "Capture comment:     why",
            "Capture comment:     and more",
            "Number of interfaces in file: 2",
            "Name = eth0",
            "Encapsulation = Ethernet (1 - ether)",
            "Capture length = 262144",
            "Time precision = nanoseconds (9)",
            "Time ticks per second = 1000000000",
            "Filter string = tcp",
            "Number of stat entries = 1",
        ] {
            assert!(read.contains(expected), "no {expected:?} in\n{read}");
        }
    }
}
