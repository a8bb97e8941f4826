//! The pcap savefile format (draft-ietf-opsawg-pcap) and its historical variants.

use wirewhy_packet::{LinkType, Timestamp};

use crate::info::{ByteOrder, CaptureInfo, Format, Interface, InterfaceStatistics, Variant};
use crate::problem::{OpenErrorKind, ProblemKind};
use crate::reader::{Failure, Ledger, Record, Step};
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
    pub(crate) fn note_oddities(&self, ledger: &mut Ledger) {
        ledger.check_link_type(self.link_type, 0, 0);
        if let Some((major, minor)) = self.unknown_version {
            let format = Format::Pcap.name();
            let kind = ProblemKind::UnknownVersion {
                format,
                major,
                minor,
            };
            ledger.note(kind, 0, 0);
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
    pub(crate) fn next(&mut self, window: &mut Window) -> Step {
        if !window.fill(self.record_header_len) {
            return ended_in_header(window);
        }
        if self.at_first {
            self.at_first = false;
            self.guess_header_len(window.available());
        }
        let header_len = self.record_header_len;
        let Some(header) = window.available().first_chunk::<RECORD_HEADER_LEN>() else {
            return ended_in_header(window);
        };
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *header;
        let secs = self.order.u32([a, b, c, d]);
        let fraction = self.order.u32([e, f, g, h]);
        let (captured, original) = self.sort_lengths([i, j, k, l], [m, n, o, p]);
        // On a platform whose usize cannot hold a u32, the second test fails as well.
        let Ok(len) = usize::try_from(captured) else {
            return self.impossible(window, captured);
        };
        if captured > self.max_len {
            return self.impossible(window, captured);
        }
        let total = header_len.saturating_add(len);
        if !window.fill(total) {
            return cut_short(window, Some(total as u64));
        }
        let place = window.place(header_len, len);
        window.consume(total);
        let nanos_per_fraction = match self.variant {
            Variant::Nanosecond => 1,
            Variant::Standard | Variant::Modified => 1000,
        };
        // At most 2^32 seconds and 2^32 milliseconds: no overflow.
        let nanos = i64::from(secs) * 1_000_000_000 + i64::from(fraction) * nanos_per_fraction;
        Step::Frame(Record {
            place,
            time: Some(Timestamp(nanos)),
            link_type: self.link_type,
            interface: 0,
            // Some writers leave the original length 0, or forget a pseudo header in it.
            original_len: original.max(captured),
        })
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
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] =
            *bytes.first_chunk::<RECORD_HEADER_LEN>()?;
        let fraction = self.order.u32([e, f, g, h]);
        let (captured, original) = self.sort_lengths([i, j, k, l], [m, n, o, p]);
        let plausible = fraction < 1_000_000 && captured <= original && captured <= self.max_len;
        plausible.then_some((self.order.u32([a, b, c, d]), captured))
    }

    /// Captured and original length from the two length fields of a record header.
    #[inline]
    fn sort_lengths(&self, first: [u8; 4], second: [u8; 4]) -> (u32, u32) {
        let (first, second) = (self.order.u32(first), self.order.u32(second));
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
