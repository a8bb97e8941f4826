//! One record of a capture, as the reader hands it on.

use crate::{Interval, Timestamp};

/// One captured frame: what the file or the interface said, nothing interpreted.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// 1-based, counted as Wireshark counts: every packet record of the file, in file order.
    pub number: u64,
    /// When it was captured.
    pub time: Timestamp,
    /// How the first byte of `data` is to be read.
    pub link_type: LinkType,
    /// The capture interface, counted over the whole file (0 where the format has none).
    pub interface: u32,
    /// Length on the wire in bytes; larger than `data` where the snap length cut the frame.
    pub original_len: u32,
    /// The captured bytes.
    pub data: &'a [u8],
}

/// A part of the time of a recording in which frames are missing, because one of its files is missing or damaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordingGap {
    /// The latest time before it.
    pub from: Timestamp,
    /// The time of the first frame after it, or `from` where that is earlier.
    pub until: Timestamp,
    /// The number of the first frame after it.
    pub frame: u64,
}

impl RecordingGap {
    /// How long it is.
    #[must_use]
    pub fn length(&self) -> Interval {
        self.until.since(self.from)
    }
}

/// A link-layer header type, as numbered in the [tcpdump.org registry](https://www.tcpdump.org/linktypes.html).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LinkType(pub u32);

impl LinkType {
    /// BSD loopback: a four-byte address family in the capturing host's byte order.
    pub const NULL: LinkType = LinkType(0);
    /// Ethernet.
    pub const ETHERNET: LinkType = LinkType(1);
    /// ARCNET, as BSD captures it.
    pub const ARCNET_BSD: LinkType = LinkType(7);
    /// FDDI.
    pub const FDDI: LinkType = LinkType(10);
    /// PPP, with or without the HDLC address and control bytes.
    pub const PPP: LinkType = LinkType(9);
    /// Raw IP, as some BSDs number it in files.
    pub const RAW_BSD: LinkType = LinkType(12);
    /// Raw IP, as OpenBSD numbers it in files.
    pub const RAW_OPENBSD: LinkType = LinkType(14);
    /// PPP in HDLC-like framing.
    pub const PPP_HDLC: LinkType = LinkType(50);
    /// PPP over Ethernet, from the PPPoE header on.
    pub const PPP_ETHER: LinkType = LinkType(51);
    /// Raw IP.
    pub const RAW: LinkType = LinkType(101);
    /// Cisco HDLC.
    pub const C_HDLC: LinkType = LinkType(104);
    /// IEEE 802.11 without a radio header.
    pub const IEEE802_11: LinkType = LinkType(105);
    /// Frame Relay, from the address on.
    pub const FRELAY: LinkType = LinkType(107);
    /// OpenBSD loopback: a four-byte address family in network byte order.
    pub const LOOP: LinkType = LinkType(108);
    /// Linux cooked capture, version 1.
    pub const LINUX_SLL: LinkType = LinkType(113);
    /// IEEE 802.11 with a radiotap header.
    pub const IEEE802_11_RADIOTAP: LinkType = LinkType(127);
    /// ARCNET, as Linux captures it.
    pub const ARCNET_LINUX: LinkType = LinkType(129);
    /// Raw IPv4.
    pub const IPV4: LinkType = LinkType(228);
    /// Raw IPv6.
    pub const IPV6: LinkType = LinkType(229);
    /// Linux netfilter log: attributes, one of which is the packet.
    pub const NFLOG: LinkType = LinkType(239);
    /// IP over InfiniBand, with the addresses in front.
    pub const IPOIB: LinkType = LinkType(242);
    /// Linux cooked capture, version 2.
    pub const LINUX_SLL2: LinkType = LinkType(276);

    /// The name libpcap gives the type (`EN10MB`, `LINUX_SLL2` …), or `None` for one this program cannot read.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::NULL => "NULL",
            Self::ETHERNET => "EN10MB",
            Self::ARCNET_BSD => "ARCNET",
            Self::FDDI => "FDDI",
            Self::PPP => "PPP",
            Self::RAW_BSD | Self::RAW_OPENBSD | Self::RAW => "RAW",
            Self::PPP_HDLC => "PPP_SERIAL",
            Self::PPP_ETHER => "PPP_ETHER",
            Self::C_HDLC => "C_HDLC",
            Self::IEEE802_11 => "IEEE802_11",
            Self::FRELAY => "FRELAY",
            Self::LOOP => "LOOP",
            Self::LINUX_SLL => "LINUX_SLL",
            Self::IEEE802_11_RADIOTAP => "IEEE802_11_RADIO",
            Self::ARCNET_LINUX => "ARCNET_LINUX",
            Self::IPV4 => "IPV4",
            Self::IPV6 => "IPV6",
            Self::NFLOG => "NFLOG",
            Self::IPOIB => "IPOIB",
            Self::LINUX_SLL2 => "LINUX_SLL2",
            _ => return None,
        })
    }
}
