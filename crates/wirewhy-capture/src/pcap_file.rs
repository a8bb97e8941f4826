//! The pcap savefile format (draft-ietf-opsawg-pcap) and its historical variants.

use wirewhy_packet::{LinkType, Timestamp};

use crate::info::{ByteOrder, CaptureInfo, Format, Interface, InterfaceStatistics, Variant};
use crate::problem::{OpenErrorKind, ProblemKind};
use crate::step::{Failure, ReadStats, Step, WindowFrame};
use crate::window::Window;

const HEADER_LEN: usize = 24;
const RECORD_HEADER_LEN: usize = 16;

/// Lengths of the record headers that a file with the standard magic may have, most likely first: the standard one, that
/// of the patched libpcap of Red Hat 6.1, that of Nokia's firewalls.
const STANDARD_HEADER_LENS: [usize; 3] = [RECORD_HEADER_LEN, 24, 20];

/// The same for Kuznetzov's magic: interface index, protocol and packet type go on after the standard fields, and in one
/// version of the patch two processor numbers.
const MODIFIED_HEADER_LENS: [usize; 2] = [24, 28];

/// Two neighbouring records of one capture are closer than this.
const MAX_PLAUSIBLE_GAP_SECS: u32 = 366 * 86_400;

/// A record may be this long whatever the header says: twice the largest segment that Linux builds (BIG TCP, 512 KiB),
/// four times libpcap's own limit. A smaller limit loses packets, a larger one finds damage later.
const USUAL_MAX_LEN: u32 = 1 << 20;

/// A record may be as long as the header's snap length up to here. Longer ones are only known from D-Bus and USB
/// captures, and the length decides how much memory a damaged file can ask for.
const HARD_MAX_LEN: u32 = 16 << 20;

/// The records of a pcap file.
pub(crate) struct PcapFile {
    order: ByteOrder,
    variant: Variant,
    link_type: LinkType,
    fcs_len: Option<u8>,
    snap_len: u32,
    lengths: Lengths,
    /// Longest record accepted.
    max_len: u32,
    record_header_len: usize,
    /// Whether no record was read yet.
    at_first: bool,
    /// The version in the header, where it is not one that was ever defined.
    unknown_version: Option<(u16, u16)>,
}

/// In which order a record header gives captured and original length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lengths {
    /// Captured, then original.
    Normal,
    /// Files of version 2.0 to 2.2.
    Swapped,
    /// Version 2.3 was written in both orders: the smaller one is the captured length.
    Either,
}

impl PcapFile {
    /// Reads the file header; `None` where the stream does not begin like a pcap file.
    pub(crate) fn recognise(window: &mut Window) -> Option<Result<PcapFile, OpenErrorKind>> {
        let magic = *window.available().first_chunk()?;
        let (order, variant) = match magic {
            [0xa1, 0xb2, 0xc3, 0xd4] => (ByteOrder::Big, Variant::Standard),
            [0xd4, 0xc3, 0xb2, 0xa1] => (ByteOrder::Little, Variant::Standard),
            [0xa1, 0xb2, 0x3c, 0x4d] => (ByteOrder::Big, Variant::Nanosecond),
            [0x4d, 0x3c, 0xb2, 0xa1] => (ByteOrder::Little, Variant::Nanosecond),
            [0xa1, 0xb2, 0xcd, 0x34] => (ByteOrder::Big, Variant::Modified),
            [0x34, 0xcd, 0xb2, 0xa1] => (ByteOrder::Little, Variant::Modified),
            _ => return None,
        };
        window.fill(HEADER_LEN);
        let Some(header) = window.available().first_chunk::<HEADER_LEN>() else {
            let len = window.available().len() as u64;
            return Some(Err(OpenErrorKind::TooShort { len }));
        };
        let file = PcapFile::from_header(header, order, variant);
        window.consume(HEADER_LEN);
        Some(file)
    }

    fn from_header(
        header: &[u8; HEADER_LEN],
        order: ByteOrder,
        variant: Variant,
    ) -> Result<PcapFile, OpenErrorKind> {
        // The two words between version and snap length (zone and accuracy) were never used.
        let [_, _, _, _, m0, m1, n0, n1, _, _, _, _, _, _, _, _, s @ ..] = *header;
        let [s0, s1, s2, s3, l0, l1, l2, l3] = s;
        let major = order.u16([m0, m1]);
        let minor = order.u16([n0, n1]);
        let link = order.u32([l0, l1, l2, l3]);
        let (lengths, unknown_version) = match (major, minor) {
            // What Navtel's analysers write.
            (2, 0..=2) | (543, 0) => (Lengths::Swapped, None),
            (2, 3) => (Lengths::Either, None),
            (2, 4) => (Lengths::Normal, None),
            (2.., _) => (Lengths::Normal, Some((major, minor))),
            (0 | 1, _) => {
                return Err(OpenErrorKind::UnsupportedVersion {
                    format: "pcap",
                    major,
                    minor,
                });
            }
        };
        let snap_len = order.u32([s0, s1, s2, s3]);
        // The bits above the link type: whether a frame check sequence follows each frame, its length in 16-bit words.
        let [l_high, _, l_mid, l_low] = link.to_be_bytes();
        let fcs_len = (l_high & 0x04 != 0).then_some((l_high >> 4) * 2);
        Ok(PcapFile {
            order,
            variant,
            link_type: LinkType(u32::from(u16::from_be_bytes([l_mid, l_low]))),
            fcs_len,
            snap_len,
            lengths,
            max_len: snap_len.clamp(USUAL_MAX_LEN, HARD_MAX_LEN),
            record_header_len: match variant {
                Variant::Modified => MODIFIED_HEADER_LENS[0],
                Variant::Standard | Variant::Nanosecond => RECORD_HEADER_LEN,
            },
            at_first: true,
            unknown_version,
        })
    }

    /// Notes what the file header holds that is unusual.
    pub(crate) fn note_oddities(&self, stats: &mut ReadStats) {
        stats.check_link_type(self.link_type, 0, 0);
        if let Some((major, minor)) = self.unknown_version {
            let format = Format::Pcap.name();
            let kind = ProblemKind::UnknownVersion {
                format,
                major,
                minor,
            };
            stats.note(kind, 0, 0);
        }
    }

    /// What the file header tells.
    pub(crate) fn info(&self) -> CaptureInfo {
        let mut info = CaptureInfo::new(Format::Pcap, self.order, self.variant);
        info.fcs_len = self.fcs_len;
        info.sections = 1;
        info.declare_link_type(self.link_type);
        info.interfaces.push(Interface {
            link_type: self.link_type,
            snap_len: self.snap_len,
            name: None,
            statistics: InterfaceStatistics::default(),
        });
        info
    }

    /// The next record.
    #[inline]
    pub(crate) fn next(&mut self, window: &mut Window, stats: &mut ReadStats) -> Step {
        match self.next_ready(window) {
            Some(record) => Step::Frame(record),
            None => self.next_slow(window, stats),
        }
    }

    /// The next record if it is in the window already.
    #[inline]
    pub(crate) fn next_ready(&self, window: &mut Window) -> Option<WindowFrame> {
        let header = window.available().first_chunk::<RECORD_HEADER_LEN>()?;
        let [secs, fraction, first, second] = self.words(header);
        let (captured, original) = self.sort_lengths(first, second);
        if self.at_first || captured > self.max_len {
            return None;
        }
        // On a platform whose usize cannot hold a u32, the longest length accepted is no longer than a usize.
        let len = usize::try_from(captured).ok()?;
        let place = window.take(self.record_header_len, len)?;
        let nanos_per_fraction = match self.variant {
            Variant::Nanosecond => 1,
            Variant::Standard | Variant::Modified => 1000,
        };
        // At most 2^32 seconds and 2^32 milliseconds: no overflow.
        let nanos = i64::from(secs) * 1_000_000_000 + i64::from(fraction) * nanos_per_fraction;
        Some(WindowFrame {
            place,
            time: Some(Timestamp(nanos)),
            link_type: self.link_type,
            interface: 0,
            // Some writers leave the original length 0, or forget a pseudo header in it.
            original_len: original.max(captured),
        })
    }

    /// Reads what is missing of the next record.
    #[cold]
    fn next_slow(&mut self, window: &mut Window, stats: &mut ReadStats) -> Step {
        if !window.fill(self.record_header_len) {
            return ended_in_header(window);
        }
        if self.at_first {
            self.at_first = false;
            self.guess_header_len(window.available());
            stats.info.variant = self.variant;
        }
        let Some(header) = window.available().first_chunk::<RECORD_HEADER_LEN>() else {
            return ended_in_header(window);
        };
        let [_, _, first, second] = self.words(header);
        let (captured, _) = self.sort_lengths(first, second);
        if captured > self.max_len {
            return self.impossible(window, captured);
        }
        let total = usize::try_from(captured)
            .unwrap_or(usize::MAX)
            .saturating_add(self.record_header_len);
        window.fill(total);
        match self.next_ready(window) {
            Some(record) => Step::Frame(record),
            None => cut_short(window, Some(total as u64)),
        }
    }

    /// Chooses the length of record headers under which the second record looks like one, if it has arrived: the
    /// variants of the format share two magics. The usual length is left only for one that fits where it does not.
    #[cold]
    fn guess_header_len(&mut self, records: &[u8]) {
        let candidates = match self.variant {
            Variant::Standard => &STANDARD_HEADER_LENS[..],
            Variant::Modified => &MODIFIED_HEADER_LENS[..],
            Variant::Nanosecond => return,
        };
        let Some((first_secs, first_len)) = self.plausible_header(records) else {
            return;
        };
        let fits = |header_len: usize| {
            let second = header_len.checked_add(usize::try_from(first_len).ok()?)?;
            let (secs, _) = self.plausible_header(records.get(second..)?)?;
            (secs.abs_diff(first_secs) < MAX_PLAUSIBLE_GAP_SECS).then_some(header_len)
        };
        // Where the second record has not arrived, nothing can be said.
        let usual_end = usize::try_from(first_len)
            .unwrap_or(usize::MAX)
            .saturating_add(self.record_header_len + RECORD_HEADER_LEN);
        if records.len() < usual_end {
            return;
        }
        if let Some(len) = candidates.iter().find_map(|len| fits(*len)) {
            self.record_header_len = len;
            if len != RECORD_HEADER_LEN {
                self.variant = Variant::Modified;
            }
        }
    }

    /// Seconds and captured length of a record header that contradicts nothing.
    fn plausible_header(&self, bytes: &[u8]) -> Option<(u32, u32)> {
        let [secs, fraction, first, second] = self.words(bytes.first_chunk()?);
        let (captured, original) = self.sort_lengths(first, second);
        let plausible = fraction < 1_000_000 && captured <= original && captured <= self.max_len;
        plausible.then_some((secs, captured))
    }

    /// The four numbers of a record header.
    #[inline]
    fn words(&self, header: &[u8; RECORD_HEADER_LEN]) -> [u32; 4] {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *header;
        let words = [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]];
        // One branch for all four.
        match self.order {
            ByteOrder::Little => words.map(u32::from_le_bytes),
            ByteOrder::Big => words.map(u32::from_be_bytes),
        }
    }

    /// Captured and original length from the two length fields of a record header.
    #[inline]
    fn sort_lengths(&self, first: u32, second: u32) -> (u32, u32) {
        match self.lengths {
            Lengths::Normal => (first, second),
            Lengths::Swapped => (second, first),
            Lengths::Either => (first.min(second), first.max(second)),
        }
    }

    #[cold]
    fn impossible(&self, window: &Window, captured: u32) -> Step {
        Step::Fail(Failure {
            kind: ProblemKind::ImpossibleLength {
                unit: "record",
                length: u64::from(captured),
                reason: "longer than any packet",
            },
            offset: window.offset(),
        })
    }
}

#[cold]
fn ended_in_header(window: &Window) -> Step {
    if window.available().is_empty() {
        return Step::End;
    }
    cut_short(window, None)
}

#[cold]
fn cut_short(window: &Window, expected: Option<u64>) -> Step {
    Step::Fail(Failure {
        kind: ProblemKind::CutShort {
            unit: "record",
            present: window.available().len() as u64,
            expected,
        },
        offset: window.offset(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbytes::{Bytes, Owned, read, read_whole, reader};

    const MICRO: u32 = 0xa1b2_c3d4;

    fn file(magic: u32, version: (u16, u16), link: u32) -> Bytes {
        let mut file = Bytes::new(ByteOrder::Big);
        file.pcap_header(magic, version, link);
        file
    }

    /// Time in nanoseconds, length on the wire, and bytes.
    fn summary(frame: &Owned) -> (i64, u32, &[u8]) {
        (frame.nanos, frame.original_len, &frame.data)
    }

    #[test]
    fn time_is_micro_or_nanoseconds_and_a_large_fraction_is_no_error() {
        let mut micro = file(MICRO, (2, 4), 1);
        micro.record((9, 3_000_001), (2, 2), 0, b"ab");
        assert_eq!(read_whole(&micro.bytes)[0].nanos, 12_000_001_000);
        let mut nano = file(0xa1b2_3c4d, (2, 4), 1);
        nano.record((u32::MAX, u32::MAX), (2, 2), 0, b"ab");
        let nanos = i64::from(u32::MAX) * 1_000_000_001;
        assert_eq!(read_whole(&nano.bytes)[0].nanos, nanos);
    }

    #[test]
    fn old_versions_have_the_lengths_the_other_way_round() {
        for (version, lengths) in [
            ((2, 0), (70, 3)),
            ((2, 2), (70, 3)),
            ((2, 3), (70, 3)),
            ((2, 3), (3, 70)),
            ((2, 4), (3, 70)),
            ((543, 0), (70, 3)),
        ] {
            let mut file = file(MICRO, version, 1);
            file.record((1, 0), lengths, 0, b"abc");
            let frames = read_whole(&file.bytes);
            assert_eq!(summary(&frames[0]), (1_000_000_000, 70, &b"abc"[..]));
        }
    }

    #[test]
    fn longer_record_headers_are_found_out() {
        for (magic, extra, variant) in [
            (MICRO, 0, Variant::Standard),
            (MICRO, 8, Variant::Modified),
            (MICRO, 4, Variant::Modified),
            (0xa1b2_cd34, 8, Variant::Modified),
            (0xa1b2_cd34, 12, Variant::Modified),
        ] {
            let mut file = file(magic, (2, 4), 1);
            file.record((1_500_000_000, 1), (3, 70), extra, b"abc");
            file.record((1_500_000_000, 2), (3, 3), extra, b"def");
            let frames = read_whole(&file.bytes);
            let shown: Vec<_> = frames.iter().map(summary).collect();
            assert_eq!(shown[0], (1_500_000_000_000_001_000, 70, &b"abc"[..]));
            assert_eq!(shown[1], (1_500_000_000_000_002_000, 3, &b"def"[..]));
            let mut reader = reader(&file.bytes).unwrap();
            reader.next();
            assert_eq!(reader.info().variant, variant, "{magic:#x} + {extra}");
        }
    }

    #[test]
    fn the_link_type_has_other_things_above_it() {
        let file = file(MICRO, (2, 4), 0x2400_0065);
        let reader = reader(&file.bytes).unwrap();
        assert_eq!(reader.info().link_types, [LinkType::RAW]);
        assert_eq!(reader.info().fcs_len, Some(4));
    }

    #[test]
    fn a_record_longer_than_the_snap_length_is_read() {
        let mut file = Bytes::new(ByteOrder::Little);
        file.u32(MICRO).u16(2).u16(4).u32(0).u32(0).u32(16).u32(1);
        let packet = vec![7; 300_000];
        file.record((1, 0), (300_000, 300_000), 0, &packet);
        assert_eq!(read_whole(&file.bytes)[0].data, packet);
    }

    #[test]
    fn an_original_length_below_the_captured_one_is_raised() {
        let mut file = file(MICRO, (2, 4), 1);
        file.record((1, 0), (3, 0), 0, b"abc");
        assert_eq!(read_whole(&file.bytes)[0].original_len, 3);
    }

    #[test]
    fn an_impossible_length_ends_reading_and_is_placed() {
        let mut file = file(MICRO, (2, 4), 1);
        file.record((1, 0), (3, 3), 0, b"abc");
        file.record((1, 0), (0x7fff_ffff, 3), 0, b"abc");
        let (frames, problem) = read(&file.bytes);
        assert_eq!(frames.len(), 1);
        let problem = problem.unwrap();
        assert_eq!((problem.offset, problem.frames_before), (24 + 19, 1));
        assert_eq!(
            problem.to_string(),
            "impossible record length 2147483647: longer than any packet (at byte 43, after frame 1)"
        );
    }

    #[test]
    fn an_unknown_version_is_read_all_the_same_and_an_archaic_one_is_not() {
        let mut new = file(MICRO, (2, 5), 1);
        new.record((1, 0), (3, 3), 0, b"abc");
        assert_eq!(read_whole(&new.bytes).len(), 1);
        let reader = reader(&new.bytes).unwrap();
        let oddity = &reader.oddities().listed[0];
        assert_eq!(
            oddity.to_string(),
            "unknown pcap version 2.5 (at byte 0, before the first frame)"
        );

        let error = crate::testbytes::reader(&file(MICRO, (1, 4), 1).bytes).unwrap_err();
        assert_eq!(
            error.to_string(),
            "test: has pcap version 1.4, which is not known"
        );
    }

    #[test]
    fn an_unknown_link_type_is_noted_and_its_frames_are_given() {
        let mut file = file(MICRO, (2, 4), 147);
        file.record((1, 0), (3, 3), 0, b"abc");
        assert_eq!(read_whole(&file.bytes)[0].link_type, 147);
        let reader = reader(&file.bytes).unwrap();
        assert_eq!(reader.oddities().count, 1);
    }
}
