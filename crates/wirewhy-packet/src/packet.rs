//! What one frame turned out to hold.

use std::net::IpAddr;

use crate::{Seq, TcpHeader, TcpSegment, Timestamp};

/// One decoded frame: everything that parsed, and where parsing stopped.
///
/// Where packets are nested (tunnels), `ip` and `transport` are those of the innermost one.
#[derive(Clone, Debug)]
pub struct Packet<'a> {
    /// The number of the frame, or of the frame whose fragment completed the datagram.
    pub frame: u64,
    /// When the frame was captured.
    pub time: Timestamp,
    /// Length of the frame on the wire in bytes.
    pub wire_len: u32,
    /// What the link layer told.
    pub link: Link,
    /// The innermost IP header that parsed.
    pub ip: Option<Ip>,
    /// How many tunnel headers (GRE, IP-in-IP, VXLAN, GENEVE, GTP-U, ERSPAN) were peeled off before `ip`.
    pub tunnels: u8,
    /// Whether a checksum of one of them (UDP) shows that what is inside may be damaged, and is dropped.
    pub tunnel_damaged: bool,
    /// What the IP packet (or the link layer, for ARP) carried.
    pub transport: Transport<'a>,
    /// Where and why parsing ended early, if it did.
    pub stopped: Option<Stop>,
}

impl<'a> Packet<'a> {
    /// The packet without the bytes that it borrows, and those bytes: together they can go to another thread, where
    /// [`Packet::attach`] joins them again.
    #[must_use]
    pub fn detach(&self) -> (Packet<'static>, &'a [u8]) {
        let (transport, bytes): (Transport<'static>, &[u8]) = match self.transport {
            Transport::Tcp(segment) => (
                Transport::Tcp(TcpSegment {
                    source_port: segment.source_port,
                    destination_port: segment.destination_port,
                    seq: segment.seq,
                    ack: segment.ack,
                    flags: segment.flags,
                    window: segment.window,
                    header_len: segment.header_len,
                    options: segment.options,
                    payload: &[],
                    payload_len: segment.payload_len,
                    checksum: segment.checksum,
                }),
                segment.payload,
            ),
            Transport::Udp(datagram) => (
                Transport::Udp(UdpDatagram {
                    source_port: datagram.source_port,
                    destination_port: datagram.destination_port,
                    payload: &[],
                    payload_len: datagram.payload_len,
                }),
                datagram.payload,
            ),
            Transport::Fragment(fragment) => (
                Transport::Fragment(Fragment {
                    protocol: fragment.protocol,
                    offset: fragment.offset,
                    data: &[],
                }),
                fragment.data,
            ),
            Transport::IcmpError(error) => (Transport::IcmpError(error), &[]),
            Transport::IcmpOther { kind, code } => (Transport::IcmpOther { kind, code }, &[]),
            Transport::Arp(arp) => (Transport::Arp(arp), &[]),
            Transport::NeighborDiscovery(found) => (Transport::NeighborDiscovery(found), &[]),
            Transport::OtherIp { protocol } => (Transport::OtherIp { protocol }, &[]),
            Transport::None => (Transport::None, &[]),
        };
        let packet = Packet {
            frame: self.frame,
            time: self.time,
            wire_len: self.wire_len,
            link: self.link,
            ip: self.ip,
            tunnels: self.tunnels,
            tunnel_damaged: self.tunnel_damaged,
            transport,
            stopped: self.stopped,
        };
        (packet, bytes)
    }

    /// The packet with these bytes, which [`Packet::detach`] gave, or a copy of them.
    #[must_use]
    #[inline]
    pub fn attach(mut self, bytes: &'a [u8]) -> Packet<'a> {
        match &mut self.transport {
            Transport::Tcp(segment) => segment.payload = bytes,
            Transport::Udp(datagram) => datagram.payload = bytes,
            Transport::Fragment(fragment) => fragment.data = bytes,
            _ => {}
        }
        self
    }
}

/// What the link layer told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Link {
    /// The sender's MAC address.
    pub source: Option<MacAddr>,
    /// The receiver's MAC address; cooked captures do not record it.
    pub destination: Option<MacAddr>,
    /// The identifier of the outermost VLAN tag (12 bits).
    pub vlan: Option<u16>,
    /// Whether the capturing host itself sent the frame; only cooked captures tell.
    pub outgoing: Option<bool>,
    /// The interface the frame was captured at, counted or numbered as the capture does; 0 where it does not tell.
    pub interface: u32,
}

/// A 48-bit link-layer address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MacAddr(pub [u8; 6]);

impl std::fmt::Display for MacAddr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// The fields of an IP header that matter to a diagnosis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ip {
    /// Source address; with `destination` always of one family.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Time to live (IPv4) or hop limit (IPv6).
    pub ttl: u8,
    /// Fragmentation fields of IPv4; `None` for IPv6.
    pub id: Option<IpId>,
    /// The DSCP and ECN byte.
    pub tos: u8,
    /// Length of the whole IP packet in bytes, header included; of the reassembled one where it came in fragments. Taken
    /// from the header, or from the frame where the header says 0 (segmentation offload).
    pub total_len: u32,
    /// Whether the length in the header was 0 and `total_len` had to be taken from the frame.
    pub len_from_frame: bool,
    /// Whether this packet was put together from fragments.
    pub reassembled: bool,
}

/// The IPv4 identification field and the flag that forbids fragmentation (RFC 791, RFC 6864).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IpId {
    /// Identification.
    pub id: u16,
    /// Don't Fragment.
    pub dont_fragment: bool,
}

/// What the innermost packet carried.
#[derive(Clone, Copy, Debug)]
pub enum Transport<'a> {
    /// TCP.
    Tcp(TcpSegment<'a>),
    /// UDP, where it is no tunnel we peel.
    Udp(UdpDatagram<'a>),
    /// An ICMP or ICMPv6 error with the packet it quotes.
    IcmpError(IcmpError),
    /// Any other ICMP or ICMPv6 message.
    IcmpOther {
        /// ICMP type.
        kind: u8,
        /// ICMP code.
        code: u8,
    },
    /// Address resolution (RFC 826).
    Arp(Arp),
    /// A neighbour solicitation or advertisement (RFC 4861).
    NeighborDiscovery(NeighborDiscovery),
    /// A fragment of a datagram that is not complete yet, or never will be.
    Fragment(Fragment<'a>),
    /// An IP protocol this program does not read.
    OtherIp {
        /// The IP protocol number.
        protocol: u8,
    },
    /// Nothing recognised above the link layer.
    None,
}

/// A UDP datagram (RFC 768).
#[derive(Clone, Copy, Debug)]
pub struct UdpDatagram<'a> {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// The captured part of the payload.
    pub payload: &'a [u8],
    /// Length of the payload on the wire in bytes.
    pub payload_len: u32,
}

/// A fragment of an IP datagram.
#[derive(Clone, Copy, Debug)]
pub struct Fragment<'a> {
    /// What the datagram carries, as an IP protocol number.
    pub protocol: u8,
    /// Where its bytes belong in the datagram.
    pub offset: u32,
    /// The captured part of its bytes, behind the IP headers.
    pub data: &'a [u8],
}

/// An ICMP (RFC 792) or ICMPv6 (RFC 4443) error message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IcmpError {
    /// Whether this is ICMPv6; types and codes are numbered apart.
    pub v6: bool,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// The next-hop MTU in bytes of "fragmentation needed" (RFC 1191; 0 from routers that do not tell) and "packet too
    /// big" (RFC 4443).
    pub mtu: Option<u32>,
    /// The packet that caused the error, as far as the message quotes it.
    pub quoted: Option<Quoted>,
}

/// The packet an ICMP error quotes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quoted {
    /// The quoted source: who sent the packet that failed.
    pub source: IpAddr,
    /// The quoted destination.
    pub destination: IpAddr,
    /// The quoted IP protocol number.
    pub protocol: u8,
    /// The quoted packet's time to live on arrival at the reporter.
    pub ttl: u8,
    /// Total length in bytes that the quoted IP header claims.
    pub total_len: u32,
    /// Source and destination port, where the protocol has them and they were quoted.
    pub ports: Option<(u16, u16)>,
    /// More of the quoted TCP header, where at least its first eight bytes were quoted.
    pub tcp: Option<QuotedTcp>,
}

/// The part of a TCP header inside an ICMP error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QuotedTcp {
    /// Sequence number of the segment that failed.
    pub seq: Seq,
    /// More of it, where the header (20 bytes, and options as far as they go) was quoted.
    pub header: Option<TcpHeader>,
}

/// An ARP packet for IPv4 over Ethernet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arp {
    /// Operation: 1 request, 2 reply.
    pub operation: u16,
    /// Sender's MAC address.
    pub sender_mac: MacAddr,
    /// Sender's IP address.
    pub sender_ip: std::net::Ipv4Addr,
    /// Target's MAC address.
    pub target_mac: MacAddr,
    /// Target's IP address.
    pub target_ip: std::net::Ipv4Addr,
}

/// An ICMPv6 neighbour solicitation (type 135) or advertisement (type 136).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NeighborDiscovery {
    /// Whether it is an advertisement.
    pub advertisement: bool,
    /// Whether an advertisement says that it answers a solicitation.
    pub solicited: bool,
    /// Whether an advertisement says that it overrides what was known: proxies and anycast hosts do not.
    pub override_flag: bool,
    /// The address asked for or advertised.
    pub target: std::net::Ipv6Addr,
    /// The MAC address in the source or target link-layer address option.
    pub mac: Option<MacAddr>,
}

/// Where parsing of a frame ended early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stop {
    /// The layer that could not be read: `ethernet`, `ipv4`, `tcp` …
    pub layer: &'static str,
    /// Why.
    pub reason: StopReason,
}

/// Why parsing of a frame ended early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopReason {
    /// The capture cut the header (snap length).
    Truncated,
    /// The header contradicts itself or the frame.
    Malformed,
    /// The protocol is not one this program reads.
    Unsupported,
    /// More nested headers than the decoder follows.
    TooDeep,
    /// The payload is encrypted (IEEE 802.11, ESP).
    Encrypted,
}
