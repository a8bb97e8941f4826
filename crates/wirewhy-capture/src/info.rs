//! What a capture says about itself.

use std::net::IpAddr;

use wirewhy_packet::{LinkType, Timestamp};

use crate::Compression;

/// What is known of a capture so far; it grows while frames are read.
#[derive(Clone, Debug)]
pub struct CaptureInfo {
    /// The name it was opened by; `-` for standard input.
    pub source: String,
    /// The file format.
    pub format: Format,
    /// Byte order of the headers (of the first section, where there are several).
    pub byte_order: ByteOrder,
    /// Which kind of pcap file; [`Variant::Standard`] for pcapng.
    pub variant: Variant,
    /// How the file is compressed.
    pub compression: Option<Compression>,
    /// Length in bytes of the frame check sequence at the end of every frame, where a pcap header tells.
    pub fcs_len: Option<u8>,
    /// The link types the file declares, each once, in order of first declaration.
    pub link_types: Vec<LinkType>,
    /// The interfaces in file order, over all sections; index is [`Frame::interface`](wirewhy_packet::Frame::interface).
    /// At most [`CaptureInfo::MAX_INTERFACES`] are kept.
    pub interfaces: Vec<Interface>,
    /// How many sections began (1 for pcap).
    pub sections: u64,
    /// Frames delivered so far.
    pub packets: u64,
    /// Captured bytes in them.
    pub bytes: u64,
    /// Bytes they had on the wire.
    pub wire_bytes: u64,
    /// The earliest time on a frame so far.
    pub first_time: Option<Timestamp>,
    /// The latest time on a frame so far.
    pub last_time: Option<Timestamp>,
    /// Packets lost between recorded ones, as the records themselves count them (`epb_dropcount`).
    pub dropped_between: Option<u64>,
    /// Address-to-name records, at most [`CaptureInfo::MAX_NAMES`].
    pub names: Vec<NameRecord>,
    /// Keys to decrypt with, at most [`CaptureInfo::MAX_SECRETS_BYTES`] in all.
    pub secrets: Vec<Secrets>,
}

impl CaptureInfo {
    /// How many interfaces are kept.
    pub const MAX_INTERFACES: usize = 65_536;
    /// How many name records are kept.
    pub const MAX_NAMES: usize = 65_536;
    /// How many bytes of secrets are kept.
    pub const MAX_SECRETS_BYTES: usize = 16 << 20;

    pub(crate) fn new(format: Format, byte_order: ByteOrder, variant: Variant) -> CaptureInfo {
        CaptureInfo {
            source: String::new(),
            format,
            byte_order,
            variant,
            compression: None,
            fcs_len: None,
            link_types: Vec::new(),
            interfaces: Vec::new(),
            sections: 0,
            packets: 0,
            bytes: 0,
            wire_bytes: 0,
            first_time: None,
            last_time: None,
            dropped_between: None,
            names: Vec::new(),
            secrets: Vec::new(),
        }
    }

    /// Packets the file says were lost while capturing: by interface and system as the interface statistics tell, else
    /// as the packet records tell; `None` where the file says nothing.
    #[must_use]
    pub fn dropped_packets(&self) -> Option<u64> {
        let stated = self
            .interfaces
            .iter()
            .filter_map(|interface| interface.statistics.dropped())
            .reduce(u64::saturating_add);
        stated.or(self.dropped_between)
    }

    /// The same without what can be large: names and secrets.
    pub(crate) fn without_tables(&self) -> CaptureInfo {
        CaptureInfo {
            source: self.source.clone(),
            link_types: self.link_types.clone(),
            interfaces: self.interfaces.clone(),
            names: Vec::new(),
            secrets: Vec::new(),
            ..*self
        }
    }

    pub(crate) fn add_dropped(&mut self, count: u64) {
        self.dropped_between = Some(self.dropped_between.unwrap_or(0).saturating_add(count));
    }

    pub(crate) fn declare_link_type(&mut self, link_type: LinkType) {
        if !self.link_types.contains(&link_type) {
            self.link_types.push(link_type);
        }
    }
}

/// A capture file format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// The savefile format of libpcap (draft-ietf-opsawg-pcap).
    Pcap,
    /// The block format (draft-ietf-opsawg-pcapng).
    PcapNg,
}

impl Format {
    /// Its name: `pcap` or `pcapng`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Format::Pcap => "pcap",
            Format::PcapNg => "pcapng",
        }
    }
}

/// The byte order of a file's headers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl ByteOrder {
    #[inline]
    pub(crate) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            ByteOrder::Little => u16::from_le_bytes(bytes),
            ByteOrder::Big => u16::from_be_bytes(bytes),
        }
    }

    #[inline]
    pub(crate) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Big => u32::from_be_bytes(bytes),
        }
    }
}

/// The kinds of pcap file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variant {
    /// Microsecond resolution; any pcapng file.
    Standard,
    /// Nanosecond resolution (magic `0xa1b23c4d`).
    Nanosecond,
    /// Longer record headers: Kuznetzov's patched libpcap (magic `0xa1b2cd34`), and others that cannot be told by magic.
    Modified,
}

/// One capture interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// How its frames begin.
    pub link_type: LinkType,
    /// Longest capture in bytes, 0 for no limit.
    pub snap_len: u32,
    /// Its name on the capturing host.
    pub name: Option<String>,
    /// The last counters the file gives for it.
    pub statistics: InterfaceStatistics,
}

/// Counters of an interface since the capture began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct InterfaceStatistics {
    /// Packets the interface received (`isb_ifrecv`).
    pub received: Option<u64>,
    /// Packets dropped by the interface for want of resources (`isb_ifdrop`).
    pub dropped_by_interface: Option<u64>,
    /// Packets the filter accepted (`isb_filteraccept`).
    pub accepted: Option<u64>,
    /// Packets dropped by the operating system (`isb_osdrop`).
    pub dropped_by_system: Option<u64>,
    /// Packets delivered to the capturing program (`isb_usrdeliv`).
    pub delivered: Option<u64>,
}

impl InterfaceStatistics {
    /// All packets dropped, `None` where the file has no such counter.
    #[must_use]
    pub fn dropped(self) -> Option<u64> {
        match (self.dropped_by_interface, self.dropped_by_system) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
        }
    }
}

/// An address and a name the capturing host had for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameRecord {
    /// The address.
    pub address: IpAddr,
    /// The name.
    pub name: String,
}

/// A decryption secrets block.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    /// What kind of secrets.
    pub kind: SecretsType,
    /// The secrets as they stand in the file.
    pub data: Vec<u8>,
}

impl std::fmt::Debug for Secrets {
    /// Keys do not belong into logs: only kind and length are shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({:?}, {} bytes)", self.kind, self.data.len())
    }
}

/// A kind of decryption secrets, as pcapng numbers them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SecretsType(pub u32);

impl SecretsType {
    /// A TLS key log in the NSS format (SSLKEYLOGFILE).
    pub const TLS_KEY_LOG: SecretsType = SecretsType(0x544c_534b);
    /// An SSH key log.
    pub const SSH_KEY_LOG: SecretsType = SecretsType(0x5353_484b);
    /// A WireGuard key log.
    pub const WIREGUARD_KEY_LOG: SecretsType = SecretsType(0x5747_4b4c);
}
