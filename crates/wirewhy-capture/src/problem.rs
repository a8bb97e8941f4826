//! Why a capture could not be opened, or not be read to its end.

use std::fmt;
use std::io;

use wirewhy_packet::LinkType;

use crate::{Compression, LooksLike};

/// Why nothing could be read.
#[derive(Debug)]
pub struct OpenError {
    /// The name it was to be opened by.
    pub source: String,
    /// What is wrong.
    pub kind: OpenErrorKind,
}

/// What is wrong with something that is not a readable capture.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenErrorKind {
    /// There is no such file.
    NotFound,
    /// The user may not read it.
    PermissionDenied,
    /// It is a directory.
    Directory,
    /// Opening or reading it failed.
    Io(io::Error),
    /// It has no bytes.
    Empty {
        /// Set where it is a compressed stream that holds nothing.
        compression: Option<Compression>,
    },
    /// It begins like a capture but is shorter than the shortest one.
    TooShort {
        /// Its length in bytes.
        len: u64,
    },
    /// It is something else.
    NotACapture {
        /// What its first bytes look like.
        looks_like: LooksLike,
        /// Set where that is inside a compressed stream.
        compression: Option<Compression>,
    },
    /// The compressed stream is damaged before anything of the capture came out.
    Damaged {
        /// How it is compressed.
        compression: Compression,
        /// What the decompressor says.
        message: String,
    },
    /// It is a capture of a version of the format that no program writes.
    UnsupportedVersion {
        /// `pcap` or `pcapng`.
        format: &'static str,
        /// Major version.
        major: u16,
        /// Minor version.
        minor: u16,
    },
    /// The header contradicts itself.
    CorruptHeader {
        /// How.
        reason: &'static str,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.kind)
    }
}

impl std::error::Error for OpenError {}

impl fmt::Display for OpenErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenErrorKind::NotFound => write!(f, "no such file"),
            OpenErrorKind::PermissionDenied => write!(f, "permission denied"),
            OpenErrorKind::Directory => write!(f, "is a directory"),
            OpenErrorKind::Io(error) => write!(f, "cannot be read: {error}"),
            OpenErrorKind::Empty { compression: None } => write!(f, "is empty"),
            OpenErrorKind::Empty {
                compression: Some(compression),
            } => write!(f, "is a {} stream that holds nothing", compression.name()),
            OpenErrorKind::TooShort { len } => write!(
                f,
                "begins like a capture, but its header is cut short after {len} bytes"
            ),
            OpenErrorKind::NotACapture {
                looks_like,
                compression,
            } => {
                write!(f, "is not a pcap or pcapng capture: ")?;
                match compression {
                    Some(compression) => {
                        write!(
                            f,
                            "inside the {} stream is {looks_like}",
                            compression.name()
                        )
                    }
                    None => write!(f, "it looks like {looks_like}"),
                }
            }
            OpenErrorKind::Damaged {
                compression,
                message,
            } => write!(f, "the {} stream is damaged: {message}", compression.name()),
            OpenErrorKind::UnsupportedVersion {
                format,
                major,
                minor,
            } => write!(
                f,
                "has {format} version {major}.{minor}, which is not known"
            ),
            OpenErrorKind::CorruptHeader { reason } => write!(f, "has a corrupt header: {reason}"),
        }
    }
}

/// Something wrong inside a capture, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// What is wrong.
    pub kind: ProblemKind,
    /// Where the record or block begins that it was found in: bytes from the start of the decompressed stream.
    pub offset: u64,
    /// How many frames came before it.
    pub frames_before: u64,
}

/// What can be wrong inside a capture.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The file ends in the middle of a record or block.
    CutShort {
        /// What is cut: `record` or `block`.
        unit: &'static str,
        /// How many of its bytes are there.
        present: u64,
        /// How many it should have, where its header is there to tell.
        expected: Option<u64>,
    },
    /// A record or block claims a length it cannot have.
    ImpossibleLength {
        /// What claims it: `record` or `block`.
        unit: &'static str,
        /// The claim.
        length: u64,
        /// Why it cannot be.
        reason: &'static str,
    },
    /// A pcapng block contradicts itself.
    CorruptBlock {
        /// Its type.
        block: BlockType,
        /// How.
        reason: &'static str,
    },
    /// The file, or a section of it, is of a version that is not known.
    UnknownVersion {
        /// `pcap` or `pcapng`.
        format: &'static str,
        /// Major version.
        major: u16,
        /// Minor version.
        minor: u16,
    },
    /// An interface has a link type this program cannot look into.
    UnknownLinkType {
        /// The link type.
        link_type: LinkType,
        /// The interface, counted over the whole file.
        interface: u32,
    },
    /// More of something than is kept.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are kept.
        limit: u64,
    },
    /// The compressed stream is damaged.
    Damaged {
        /// How it is compressed.
        compression: Compression,
        /// What the decompressor says.
        message: String,
    },
    /// The compressed stream ends before its end mark.
    CompressedCutShort {
        /// How it is compressed.
        compression: Compression,
    },
    /// The compressed stream is whole, and something else follows it.
    TrailingGarbage {
        /// How it is compressed.
        compression: Compression,
    },
    /// More was not to be read.
    LimitReached {
        /// How many bytes were, decompressed.
        bytes: u64,
    },
    /// Reading was to stop: see [`open_until`](crate::open_until).
    Interrupted,
    /// Reading failed.
    Io {
        /// What the system says.
        message: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {}, ", self.kind, self.offset)?;
        match self.frames_before {
            0 => write!(f, "before the first frame)"),
            count => write!(f, "after frame {count})"),
        }
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProblemKind::CutShort {
                unit,
                present,
                expected: Some(expected),
            } => write!(
                f,
                "cut short in the middle of a {unit}: {present} of {expected} bytes are there"
            ),
            ProblemKind::CutShort { unit, present, .. } => write!(
                f,
                "cut short in the middle of a {unit}: {present} bytes of its header are there"
            ),
            ProblemKind::ImpossibleLength {
                unit,
                length,
                reason,
            } => write!(f, "impossible {unit} length {length}: {reason}"),
            ProblemKind::CorruptBlock { block, reason } => write!(f, "corrupt {block}: {reason}"),
            ProblemKind::UnknownVersion {
                format,
                major,
                minor,
            } => write!(f, "unknown {format} version {major}.{minor}"),
            ProblemKind::UnknownLinkType {
                link_type,
                interface,
            } => write!(
                f,
                "link type {} of interface {interface} is not one this program reads",
                link_type.0
            ),
            ProblemKind::TooMany { what, limit } => {
                write!(f, "more {what} than the {limit} that are kept")
            }
            ProblemKind::LimitReached { bytes } => {
                write!(f, "not read beyond the {bytes} bytes of --max-bytes")
            }
            ProblemKind::Damaged {
                compression,
                message,
            } => write!(f, "damaged {} stream: {message}", compression.name()),
            ProblemKind::CompressedCutShort { compression } => {
                write!(f, "the {} stream is cut short", compression.name())
            }
            ProblemKind::TrailingGarbage { compression } => write!(
                f,
                "something else follows the end of the {} stream",
                compression.name()
            ),
            ProblemKind::Interrupted => f.write_str("interrupted"),
            ProblemKind::Io { message } => write!(f, "cannot be read further: {message}"),
        }
    }
}

/// A pcapng block type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BlockType(pub u32);

impl BlockType {
    /// Interface description.
    pub const INTERFACE: BlockType = BlockType(0x0000_0001);
    /// The obsolete packet block.
    pub const PACKET: BlockType = BlockType(0x0000_0002);
    /// A packet and nothing else.
    pub const SIMPLE_PACKET: BlockType = BlockType(0x0000_0003);
    /// Name resolution.
    pub const NAMES: BlockType = BlockType(0x0000_0004);
    /// Interface statistics.
    pub const STATISTICS: BlockType = BlockType(0x0000_0005);
    /// A packet.
    pub const ENHANCED_PACKET: BlockType = BlockType(0x0000_0006);
    /// An entry of the systemd journal.
    pub const JOURNAL: BlockType = BlockType(0x0000_0009);
    /// Decryption secrets.
    pub const SECRETS: BlockType = BlockType(0x0000_000a);
    /// A vendor's block that may be copied.
    pub const CUSTOM: BlockType = BlockType(0x0000_0bad);
    /// A vendor's block that must not be copied.
    pub const CUSTOM_NO_COPY: BlockType = BlockType(0x4000_0bad);
    /// A sysdig event.
    pub const SYSDIG_EVENT: BlockType = BlockType(0x0000_0204);
    /// A sysdig event, version 2.
    pub const SYSDIG_EVENT_V2: BlockType = BlockType(0x0000_0216);
    /// A sysdig event, version 2, with large parameters.
    pub const SYSDIG_EVENT_V2_LARGE: BlockType = BlockType(0x0000_0221);
    /// The start of a section; reads the same in both byte orders.
    pub const SECTION: BlockType = BlockType(0x0a0d_0d0a);
}

impl fmt::Display for BlockType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            BlockType::INTERFACE => "interface description block",
            BlockType::PACKET => "packet block",
            BlockType::SIMPLE_PACKET => "simple packet block",
            BlockType::NAMES => "name resolution block",
            BlockType::STATISTICS => "interface statistics block",
            BlockType::ENHANCED_PACKET => "enhanced packet block",
            BlockType::JOURNAL => "journal export block",
            BlockType::SECRETS => "decryption secrets block",
            BlockType::CUSTOM | BlockType::CUSTOM_NO_COPY => "custom block",
            BlockType::SYSDIG_EVENT
            | BlockType::SYSDIG_EVENT_V2
            | BlockType::SYSDIG_EVENT_V2_LARGE => "sysdig event block",
            BlockType::SECTION => "section header block",
            BlockType(other) => return write!(f, "block of type {other:#010x}"),
        })
    }
}

/// What was wrong without ending the reading: the first few, and how many in all.
#[derive(Clone, Debug, Default)]
pub struct Oddities {
    /// The first of them, at most [`Oddities::MAX_LISTED`].
    pub listed: Vec<Problem>,
    /// How many there were.
    pub count: u64,
}

impl Oddities {
    /// How many are listed.
    pub const MAX_LISTED: usize = 64;

    pub(crate) fn add(&mut self, problem: Problem) {
        self.count = self.count.saturating_add(1);
        if self.listed.len() < Oddities::MAX_LISTED {
            self.listed.push(problem);
        }
    }
}
