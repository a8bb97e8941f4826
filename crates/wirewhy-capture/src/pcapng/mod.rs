//! The pcapng format (draft-ietf-opsawg-pcapng).

mod blocks;
mod clock;
mod options;
mod packets;
#[cfg(test)]
mod tests;
mod writer;

use std::ops::Range;

use wirewhy_packet::LinkType;

pub use self::writer::{Notes, Section, Writer};

use self::clock::Clock;
use self::options::Options;
use self::packets::{PacketBlock, SectionInterface, enhanced, obsolete, simple};
use crate::info::{
    ByteOrder, CaptureInfo, Format, Interface, InterfaceStatistics, Secrets, Variant,
};
use crate::problem::{BlockType, OpenErrorKind, ProblemKind};
use crate::step::{Failure, ReadStats, Step, WindowFrame};
use crate::window::Window;

/// Type, total length, and the total length again at the end.
const MIN_BLOCK_LEN: u32 = 12;
const SECTION_HEADER_LEN: u32 = 28;
/// The total length again, at the end of a block.
const TRAILER_LEN: usize = 4;

/// The option that holds a comment (`opt_comment`).
const COMMENT: u16 = 1;

/// Longest block that is read as a whole: the same longest packet as in a pcap file, and room for options. Longer
/// blocks without packets are passed over; a longer packet is damage.
const MAX_BLOCK_LEN: u32 = (16 << 20) + (256 << 10);

const LENGTHS_DIFFER: &str = "the lengths at its start and end differ";

/// How many different link types are listed.
const MAX_LINK_TYPES: usize = 256;

/// The blocks of a pcapng file.
pub(crate) struct PcapNg {
    /// Byte order of the current section.
    order: ByteOrder,
    /// The interfaces of the current section.
    interfaces: Vec<SectionInterface>,
    /// How many interfaces earlier sections declared.
    earlier_interfaces: u32,
    /// How many interfaces the section declared, those beyond the limit included.
    declared: u32,
    /// Where in the window the options of the latest packet are, until it is next filled.
    options: Range<usize>,
}

/// The header of the block at hand.
#[derive(Clone, Copy)]
struct Block {
    kind: BlockType,
    /// The total length it claims.
    claimed: u32,
    /// The total length it takes.
    len: u32,
    /// Where it begins in the stream.
    offset: u64,
    /// How many frames came before it.
    frames_before: u64,
}

impl PcapNg {
    /// Looks at the first section header; `None` where the stream does not begin with one.
    pub(crate) fn recognise(window: &mut Window) -> Option<Result<PcapNg, OpenErrorKind>> {
        if !window
            .available()
            .starts_with(&BlockType::SECTION.0.to_be_bytes())
        {
            return None;
        }
        window.fill(SECTION_HEADER_LEN as usize);
        let head = window.available();
        let Some(magic) = head.get(8..12) else {
            let len = head.len() as u64;
            return Some(Err(OpenErrorKind::TooShort { len }));
        };
        let order = section_order(magic)?;
        let Some(header) = head.first_chunk::<{ SECTION_HEADER_LEN as usize }>() else {
            let len = head.len() as u64;
            return Some(Err(OpenErrorKind::TooShort { len }));
        };
        let (len, major, minor) = section_header(header, order);
        Some(if len < SECTION_HEADER_LEN {
            let reason = "impossible length of the section header block";
            Err(OpenErrorKind::CorruptHeader { reason })
        } else if major != 1 {
            Err(OpenErrorKind::UnsupportedVersion {
                format: "pcapng",
                major,
                minor,
            })
        } else {
            Ok(PcapNg {
                order,
                interfaces: Vec::new(),
                earlier_interfaces: 0,
                declared: 0,
                options: 0..0,
            })
        })
    }

    /// The comments on the latest packet (`opt_comment`), as long as the window was not filled since.
    pub(crate) fn comments<'a>(&self, window: &'a Window) -> impl Iterator<Item = &'a [u8]> {
        let options = Options::new(window.lend(self.options.clone()), self.order);
        options
            .filter(|option| option.code == COMMENT)
            .map(|option| option.value)
    }

    /// What can be told before the first block is read.
    pub(crate) fn info(&self) -> CaptureInfo {
        CaptureInfo::new(Format::PcapNg, self.order, Variant::Standard)
    }

    /// Reads blocks up to the next frame.
    #[inline]
    pub(crate) fn next(&mut self, window: &mut Window, stats: &mut ReadStats, number: u64) -> Step {
        loop {
            let block = match self.block_header(window, number) {
                Ok(block) => block,
                Err(step) => return step,
            };
            let step = match block.kind {
                BlockType::ENHANCED_PACKET => self.packet(window, stats, block, enhanced),
                BlockType::SIMPLE_PACKET => self.packet(window, stats, block, simple),
                BlockType::PACKET => self.packet(window, stats, block, obsolete),
                _ => self.other(window, stats, block),
            };
            match step {
                Ok(Some(record)) => return Step::Frame(record),
                Ok(None) if block.kind.counts_as_frame() => return Step::Uncounted,
                Ok(None) => {}
                Err(failure) => return Step::Fail(failure),
            }
        }
    }

    /// Whether the next block holds a packet, and all of it is in the window.
    #[inline]
    pub(crate) fn is_ready(&self, window: &Window) -> bool {
        let available = window.available();
        let Some(&[a, b, c, d, e, f, g, h]) = available.first_chunk() else {
            return false;
        };
        let (kind, claimed) = (self.order.u32([a, b, c, d]), self.order.u32([e, f, g, h]));
        let len = claimed
            .checked_next_multiple_of(4)
            .and_then(|len| usize::try_from(len).ok());
        BlockType(kind).counts_as_frame() && len.is_some_and(|len| len <= available.len())
    }

    /// Reads type and length of the next block; a section header block changes the byte order first.
    #[inline]
    fn block_header(&mut self, window: &mut Window, number: u64) -> Result<Block, Step> {
        let offset = window.offset();
        if !window.fill(MIN_BLOCK_LEN as usize) && window.available().is_empty() {
            return Err(Step::End);
        }
        let Some(&[a, b, c, d, e, f, g, h, m @ ..]) = window.available().first_chunk::<12>() else {
            return Err(Step::Fail(cut_short(window, offset, None)));
        };
        let mut kind = BlockType(self.order.u32([a, b, c, d]));
        if kind == BlockType::SECTION {
            match section_order(&m) {
                Some(order) => self.order = order,
                None => {
                    let reason = "its byte-order magic is wrong";
                    let kind = ProblemKind::CorruptBlock {
                        block: kind,
                        reason,
                    };
                    return Err(Step::Fail(Failure { kind, offset }));
                }
            }
            kind = BlockType::SECTION;
        }
        let claimed = self.order.u32([e, f, g, h]);
        if claimed < MIN_BLOCK_LEN {
            let reason = "shorter than an empty block";
            return Err(Step::Fail(impossible(claimed, reason, offset)));
        }
        Ok(Block {
            kind,
            claimed,
            // Some writers leave the padding out of the length.
            len: claimed.checked_next_multiple_of(4).unwrap_or(u32::MAX),
            offset,
            frames_before: number,
        })
    }

    /// Reads a packet block whose body `read` understands.
    #[inline]
    fn packet(
        &mut self,
        window: &mut Window,
        stats: &mut ReadStats,
        block: Block,
        read: impl Fn(&[u8], &PcapNg, &mut ReadStats) -> Result<PacketBlock, &'static str>,
    ) -> Result<Option<WindowFrame>, Failure> {
        let bytes = self.whole(window, stats, block)?;
        let packet = match read(bytes, self, stats) {
            Ok(packet) => packet,
            Err(reason) => {
                block.note_corrupt(stats, reason);
                consume(window, block.len);
                return Ok(None);
            }
        };
        let record = WindowFrame {
            place: window.place(packet.start, packet.len),
            time: packet.ticks.map(|ticks| packet.interface.clock.time(ticks)),
            link_type: packet.interface.link_type,
            interface: self.earlier_interfaces.saturating_add(packet.interface_id),
            original_len: packet.original_len,
        };
        let options = packet.start + blocks::padded(packet.len).unwrap_or(packet.len);
        let end = usize::try_from(block.len).unwrap_or(usize::MAX) - TRAILER_LEN;
        self.options = window.place(options, end.saturating_sub(options));
        consume(window, block.len);
        Ok(Some(record))
    }

    /// Reads a block that holds no packet.
    #[cold]
    fn other(
        &mut self,
        window: &mut Window,
        stats: &mut ReadStats,
        block: Block,
    ) -> Result<Option<WindowFrame>, Failure> {
        let read = match block.kind {
            BlockType::SECTION => return self.section(window, stats, block).map(|()| None),
            BlockType::INTERFACE => Self::declare_interface,
            BlockType::STATISTICS => Self::statistics,
            BlockType::NAMES => Self::names,
            BlockType::SECRETS => Self::secrets,
            _ => return self.pass(window, stats, block).map(|()| None),
        };
        if block.len > MAX_BLOCK_LEN {
            block.note_corrupt(stats, "too long to be read");
            return self.pass(window, stats, block).map(|()| None);
        }
        let bytes = self.whole(window, stats, block)?;
        let body = bytes
            .get(8..bytes.len().saturating_sub(TRAILER_LEN))
            .unwrap_or_default();
        read(self, body, stats, block);
        consume(window, block.len);
        Ok(None)
    }

    /// Section 4.1: begins a new section. Its length field is not needed, and often wrong.
    fn section(
        &mut self,
        window: &mut Window,
        stats: &mut ReadStats,
        block: Block,
    ) -> Result<(), Failure> {
        let offset = block.offset;
        if block.len < SECTION_HEADER_LEN {
            let reason = "shorter than a section header";
            return Err(impossible(block.len, reason, offset));
        }
        window.fill(SECTION_HEADER_LEN as usize);
        let Some(header) = window.available().first_chunk() else {
            return Err(cut_short(window, offset, Some(block.len)));
        };
        let (_, major, minor) = section_header(header, self.order);
        if major != 1 {
            let kind = ProblemKind::UnknownVersion {
                format: "pcapng",
                major,
                minor,
            };
            return Err(Failure { kind, offset });
        }
        self.pass(window, stats, block)?;
        self.earlier_interfaces = self.earlier_interfaces.saturating_add(self.declared);
        self.declared = 0;
        self.interfaces.clear();
        stats.info.sections = stats.info.sections.saturating_add(1);
        Ok(())
    }

    fn declare_interface(&mut self, body: &[u8], stats: &mut ReadStats, block: Block) {
        let parsed = blocks::interface(body, self.order);
        if parsed.is_none() {
            block.note_corrupt(stats, "shorter than its fixed fields");
        }
        // A damaged description still takes a number, else the packets would go to the wrong interfaces.
        let parsed = parsed.unwrap_or(blocks::InterfaceBlock {
            link_type: LinkType(u32::MAX),
            snap_len: 0,
            name: None,
            clock: Clock::MICROSECONDS,
        });
        let number = self.earlier_interfaces.saturating_add(self.declared);
        self.declared = self.declared.saturating_add(1);
        if self.interfaces.len() >= CaptureInfo::MAX_INTERFACES {
            block.note_limit(stats, "interfaces", CaptureInfo::MAX_INTERFACES);
            return;
        }
        self.interfaces.push(SectionInterface {
            link_type: parsed.link_type,
            snap_len: parsed.snap_len,
            clock: parsed.clock,
        });
        stats.check_link_type(parsed.link_type, number, block.offset);
        if stats.info.link_types.len() < MAX_LINK_TYPES {
            stats.info.declare_link_type(parsed.link_type);
        }
        if stats.info.interfaces.len() < CaptureInfo::MAX_INTERFACES {
            stats.info.interfaces.push(Interface {
                link_type: parsed.link_type,
                snap_len: parsed.snap_len,
                name: parsed.name,
                statistics: InterfaceStatistics::default(),
            });
        }
    }

    fn statistics(&mut self, body: &[u8], stats: &mut ReadStats, block: Block) {
        let Some((id, statistics)) = blocks::statistics(body, self.order) else {
            block.note_corrupt(stats, "shorter than its fixed fields");
            return;
        };
        if id >= self.declared {
            block.note_corrupt(stats, "its interface was not declared");
            return;
        }
        let number = usize::try_from(self.earlier_interfaces.saturating_add(id)).ok();
        if let Some(at) = number.and_then(|number| stats.info.interfaces.get_mut(number)) {
            at.statistics = statistics;
        }
    }

    fn names(&mut self, body: &[u8], stats: &mut ReadStats, block: Block) {
        let mut full = false;
        let names = &mut stats.info.names;
        blocks::names(body, self.order, |record| {
            full = names.len() >= CaptureInfo::MAX_NAMES;
            if !full {
                names.push(record);
            }
            !full
        });
        if full {
            block.note_limit(stats, "names", CaptureInfo::MAX_NAMES);
        }
    }

    fn secrets(&mut self, body: &[u8], stats: &mut ReadStats, block: Block) {
        let Some((kind, data)) = blocks::secrets(body, self.order) else {
            block.note_corrupt(stats, "longer inside than outside");
            return;
        };
        // Each block costs its own record, so that a flood of empty ones is bounded as well.
        let record_len = size_of::<Secrets>();
        let used = stats.info.secrets.iter().fold(0_usize, |sum, secrets| {
            sum.saturating_add(secrets.data.len())
                .saturating_add(record_len)
        });
        let needed = data.len().saturating_add(record_len);
        if used.saturating_add(needed) > CaptureInfo::MAX_SECRETS_BYTES {
            block.note_limit(stats, "bytes of secrets", CaptureInfo::MAX_SECRETS_BYTES);
            return;
        }
        let data = data.to_vec();
        stats.info.secrets.push(Secrets { kind, data });
    }

    /// Has the whole block available, and compares the lengths at its two ends.
    #[inline]
    fn whole<'w>(
        &self,
        window: &'w mut Window,
        stats: &mut ReadStats,
        block: Block,
    ) -> Result<&'w [u8], Failure> {
        let len = block.len as usize;
        if block.len > MAX_BLOCK_LEN {
            return Err(impossible(
                block.len,
                "longer than any packet",
                block.offset,
            ));
        }
        if !window.fill(len) {
            return Err(cut_short(window, block.offset, Some(block.len)));
        }
        let trailer = window.available().get(len - TRAILER_LEN..len);
        let trailer = trailer.and_then(|trailer| trailer.first_chunk().copied());
        if trailer.map(|trailer| self.order.u32(trailer)) != Some(block.claimed) {
            self.trailer_differs(window, stats, block)?;
        }
        Ok(window.available().get(..len).unwrap_or_default())
    }

    /// The lengths at the two ends of a block differ: goes on where a block follows all the same.
    #[cold]
    fn trailer_differs(
        &self,
        window: &mut Window,
        stats: &mut ReadStats,
        block: Block,
    ) -> Result<(), Failure> {
        let len = block.len as usize;
        window.fill(len.saturating_add(8));
        let following = window.available().get(len..).unwrap_or_default();
        let plausible = following.first_chunk::<8>().is_some_and(|header| {
            let [a, b, c, d, e, f, g, h] = *header;
            let kind = BlockType(self.order.u32([a, b, c, d]));
            let next_len = self.order.u32([e, f, g, h]);
            kind.is_common()
                && (MIN_BLOCK_LEN..=MAX_BLOCK_LEN).contains(&next_len)
                && next_len.is_multiple_of(4)
        });
        if plausible || following.is_empty() {
            block.note_corrupt(stats, LENGTHS_DIFFER);
            return Ok(());
        }
        Err(block.lengths_differ())
    }

    /// Passes over a block of any length.
    fn pass(
        &self,
        window: &mut Window,
        stats: &mut ReadStats,
        block: Block,
    ) -> Result<(), Failure> {
        if block.len <= MAX_BLOCK_LEN {
            self.whole(window, stats, block)?;
            consume(window, block.len);
            return Ok(());
        }
        let body_len = u64::from(block.len).saturating_sub(TRAILER_LEN as u64);
        if !window.skip(body_len) || !window.fill(TRAILER_LEN) {
            return Err(cut_short(window, block.offset, Some(block.len)));
        }
        let trailer = window.available().first_chunk().copied();
        if trailer.map(|trailer| self.order.u32(trailer)) != Some(block.claimed) {
            return Err(block.lengths_differ());
        }
        window.consume(TRAILER_LEN);
        Ok(())
    }
}

impl Block {
    #[cold]
    fn lengths_differ(self) -> Failure {
        let kind = ProblemKind::CorruptBlock {
            block: self.kind,
            reason: LENGTHS_DIFFER,
        };
        Failure {
            kind,
            offset: self.offset,
        }
    }

    #[cold]
    fn note_corrupt(self, stats: &mut ReadStats, reason: &'static str) {
        let block = self.kind;
        let kind = ProblemKind::CorruptBlock { block, reason };
        stats.note(kind, self.offset, self.frames_before);
    }

    #[cold]
    fn note_limit(self, stats: &mut ReadStats, what: &'static str, limit: usize) {
        let limit = limit as u64;
        let kind = ProblemKind::TooMany { what, limit };
        stats.note(kind, self.offset, self.frames_before);
    }
}

impl BlockType {
    /// Whether Wireshark gives a number to a block of this type.
    fn counts_as_frame(self) -> bool {
        matches!(
            self,
            BlockType::ENHANCED_PACKET
                | BlockType::SIMPLE_PACKET
                | BlockType::PACKET
                | BlockType::JOURNAL
                | BlockType::CUSTOM
                | BlockType::CUSTOM_NO_COPY
                | BlockType::SYSDIG_EVENT
                | BlockType::SYSDIG_EVENT_V2
                | BlockType::SYSDIG_EVENT_V2_LARGE
        )
    }

    /// Whether it is one of those that captures are made of.
    fn is_common(self) -> bool {
        matches!(self.0, 1..=10) || matches!(self, BlockType::SECTION | BlockType::CUSTOM)
    }
}

fn section_order(magic: &[u8]) -> Option<ByteOrder> {
    match magic {
        [0x1a, 0x2b, 0x3c, 0x4d] => Some(ByteOrder::Big),
        [0x4d, 0x3c, 0x2b, 0x1a] => Some(ByteOrder::Little),
        _ => None,
    }
}

/// Total length, major and minor version.
fn section_header(header: &[u8; SECTION_HEADER_LEN as usize], order: ByteOrder) -> (u32, u16, u16) {
    let [_, _, _, _, a, b, c, d, _, _, _, _, m0, m1, n0, n1, ..] = *header;
    (
        order.u32([a, b, c, d]),
        order.u16([m0, m1]),
        order.u16([n0, n1]),
    )
}

#[inline]
fn consume(window: &mut Window, len: u32) {
    window.consume(len as usize);
}

#[cold]
fn cut_short(window: &Window, offset: u64, expected: Option<u32>) -> Failure {
    let end = window
        .offset()
        .saturating_add(window.available().len() as u64);
    let kind = ProblemKind::CutShort {
        unit: "block",
        present: end.saturating_sub(offset),
        expected: expected.map(u64::from),
    };
    Failure { kind, offset }
}

#[cold]
fn impossible(length: u32, reason: &'static str, offset: u64) -> Failure {
    let kind = ProblemKind::ImpossibleLength {
        unit: "block",
        length: u64::from(length),
        reason,
    };
    Failure { kind, offset }
}
