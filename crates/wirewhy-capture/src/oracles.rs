//! The same files through this reader and through others.

use std::io::Write;

use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, LegacyPcapReader, PcapBlockOwned, PcapError, PcapNGReader};

use crate::testbytes::{every_kind, read_whole};

fn on_disk(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

#[test]
fn libpcap_reads_the_same_frames_from_pcap_files() {
    let mut compared = 0;
    for (name, bytes) in every_kind() {
        if !name.starts_with("pcap ") {
            continue;
        }
        let file = on_disk(&bytes);
        let precision = pcap::Precision::Nano;
        let mut capture = pcap::Capture::from_file_with_precision(file.path(), precision).unwrap();
        for ours in read_whole(&bytes) {
            let theirs = capture.next_packet().unwrap();
            assert_eq!(theirs.data, ours.data, "{name}, frame {}", ours.number);
            assert_eq!(theirs.header.len, ours.original_len, "{name}");
            // With nanosecond precision the field named for microseconds holds nanoseconds.
            let time = theirs.header.ts;
            assert_eq!(
                time.tv_sec * 1_000_000_000 + time.tv_usec,
                ours.nanos,
                "{name}"
            );
            compared += 1;
        }
        let end = capture.next_packet().unwrap_err();
        assert_eq!(end, pcap::Error::NoMorePackets, "{name}");
    }
    assert_eq!(compared, 12 * 20);
}

#[test]
fn libpcap_reads_the_same_frames_from_plain_pcapng_files() {
    for (name, bytes) in every_kind() {
        // libpcap refuses sections whose interfaces differ.
        if !name.starts_with("pcapng ") {
            continue;
        }
        let file = on_disk(&bytes);
        let mut capture = pcap::Capture::from_file(file.path()).unwrap();
        let frames = read_whole(&bytes);
        assert_eq!(frames.len(), 10);
        for ours in frames {
            let theirs = capture.next_packet().unwrap();
            assert_eq!(theirs.data, ours.data, "{name}, frame {}", ours.number);
            let time = theirs.header.ts;
            assert_eq!(
                time.tv_sec * 1_000_000_000 + time.tv_usec * 1000,
                ours.nanos
            );
        }
    }
}

#[test]
fn pcap_parser_reads_the_same_frames_from_pcap_files() {
    for (name, bytes) in every_kind() {
        // It knows neither the old versions' order of lengths nor the longer record headers.
        if !(name.contains("micro") || name.contains("nano")) {
            continue;
        }
        let nanos_per_fraction = if name.contains("nano") { 1 } else { 1000 };
        let mut theirs = Vec::new();
        let mut reader = LegacyPcapReader::new(65_536, &bytes[..]).unwrap();
        loop {
            match reader.next() {
                Ok((offset, block)) => {
                    if let PcapBlockOwned::Legacy(block) = block {
                        let fraction = i64::from(block.ts_usec) * nanos_per_fraction;
                        let nanos = i64::from(block.ts_sec) * 1_000_000_000 + fraction;
                        theirs.push((nanos, block.origlen, block.data.to_vec()));
                    }
                    reader.consume(offset);
                }
                Err(PcapError::Eof) => break,
                Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
                Err(error) => panic!("{name}: {error:?}"),
            }
        }
        let ours: Vec<_> = read_whole(&bytes)
            .into_iter()
            .map(|frame| (frame.nanos, frame.original_len, frame.data))
            .collect();
        assert_eq!(ours.len(), 20, "{name}");
        assert_eq!(ours, theirs, "{name}");
    }
}

/// Time, link type, length on the wire and bytes.
type Seen = (Option<i64>, u32, u32, Vec<u8>);

/// What pcap-parser sees of a section at a time.
#[derive(Default)]
struct Section {
    /// Link type, ticks per second and offset in seconds.
    interfaces: Vec<(u32, u64, i64)>,
}

impl Section {
    fn see(&mut self, block: &Block<'_>) -> Option<Seen> {
        match block {
            Block::SectionHeader(_) => self.interfaces.clear(),
            Block::InterfaceDescription(interface) => self.interfaces.push((
                u32::from_ne_bytes(interface.linktype.0.to_ne_bytes()),
                // It refuses every power of two.
                match interface.if_tsresol {
                    binary @ 0x80.. => 1 << (binary & 0x7f),
                    _ => interface.ts_resolution().unwrap(),
                },
                interface.ts_offset(),
            )),
            Block::EnhancedPacket(packet) => {
                let (link, resolution, offset) = self.interfaces[packet.if_id as usize];
                let (secs, fraction) = packet.decode_ts(offset.cast_unsigned(), resolution);
                let nanos = u128::from(fraction) * 1_000_000_000 / u128::from(resolution);
                let nanos = i64::from(secs) * 1_000_000_000 + i64::try_from(nanos).unwrap();
                let data = packet.packet_data().to_vec();
                return Some((Some(nanos), link, packet.origlen, data));
            }
            Block::SimplePacket(packet) => {
                let (link, ..) = self.interfaces[0];
                return Some((None, link, packet.origlen, packet.packet_data().to_vec()));
            }
            _ => {}
        }
        None
    }
}

#[test]
fn pcap_parser_reads_the_same_frames_from_pcapng_files() {
    let mut compared = 0;
    for (name, bytes) in every_kind() {
        if !name.starts_with("pcapng") || name.contains("obsolete") {
            continue;
        }
        let mut theirs = Vec::new();
        let mut section = Section::default();
        let mut reader = PcapNGReader::new(65_536, &bytes[..]).unwrap();
        loop {
            match reader.next() {
                Ok((offset, block)) => {
                    if let PcapBlockOwned::NG(block) = block {
                        theirs.extend(section.see(&block));
                    }
                    reader.consume(offset);
                }
                Err(PcapError::Eof) => break,
                Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
                Err(error) => panic!("{name}: {error:?}"),
            }
        }
        let ours = read_whole(&bytes);
        assert_eq!(ours.len(), theirs.len(), "{name}");
        for (ours, (time, link_type, original_len, data)) in ours.into_iter().zip(theirs) {
            let context = format!("{name}, frame {}", ours.number);
            assert_eq!(time.unwrap_or(ours.nanos), ours.nanos, "{context}");
            assert_eq!(link_type, ours.link_type, "{context}");
            assert_eq!(original_len, ours.original_len, "{context}");
            assert_eq!(data, ours.data, "{context}");
            compared += 1;
        }
    }
    assert_eq!(compared, 2 * (10 + 30));
}
