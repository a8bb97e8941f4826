//! Frames to packets.
//!
//! A [`Walk`] peels one header after another, outermost first, and writes what it learns into the packet it builds, so
//! whatever ends the walk (a snap length, a damaged header, an unknown protocol), all that came before is kept.
//!
//! etherparse reads the headers it knows; each place where it does not reach, or would lose what a damaged header still
//! tells, says so.
//!
//! Lengths are taken from the headers and the wire, never from what was captured: a [`ByteView`] carries both. Nothing is
//! copied except the fragments of IP datagrams (see [`fragments`]).
//!
//! Nearly every frame is Ethernet, IPv4 and TCP, without anything odd: [`plain`] reads those in one piece. The walk keeps
//! what is rare out of line, so that the line from one header to the next stays short.

mod cooked;
mod fragments;
mod gre;
mod icmp;
mod ip;
mod legacy;
mod link;
mod mpls;
mod plain;
mod ppp;
#[cfg(test)]
mod samples;
mod tcp;
mod udp;
mod view;
mod wifi;

use crate::{Frame, Link, LinkType, MacAddr, Packet, Stop, StopReason, Transport};
use fragments::{Fragments, Reassembled};
use view::ByteView;

/// Headers followed in one frame. Real stacks (VLANs, MPLS, a tunnel in a tunnel, IPv6 extensions) stay below 30; the
/// bound keeps a crafted frame from costing more than its share.
const MAX_HEADERS: u8 = 64;

/// How often one frame may complete a datagram: fragments in a tunnel whose own packets are fragments.
const MAX_REASSEMBLIES: usize = 2;

/// Decodes frames one after another; holds the fragments of datagrams that are not complete yet.
#[derive(Debug, Default)]
pub struct Decoder {
    fragments: Fragments,
    /// Datagrams the latest frame completed; the packet handed out borrows from the last of them.
    reassembled: [Vec<u8>; MAX_REASSEMBLIES],
}

impl Decoder {
    /// A decoder with no fragments pending.
    #[must_use]
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// Decodes one frame. What it returns borrows the frame, or the decoder where the datagram was reassembled.
    #[inline]
    pub fn decode<'a>(&'a mut self, frame: &Frame<'a>) -> Packet<'a> {
        let mut packet = blank(frame);
        self.read(frame, &mut packet);
        packet
    }

    /// The same for loops over many frames: the packet is used where it was decoded. Moving it takes a quarter of the
    /// time decoding takes.
    #[inline]
    pub fn decode_with<R>(&mut self, frame: &Frame<'_>, act: impl FnOnce(&Packet<'_>) -> R) -> R {
        let mut packet = blank(frame);
        self.read(frame, &mut packet);
        act(&packet)
    }

    #[inline]
    fn read<'a>(&'a mut self, frame: &Frame<'a>, packet: &mut Packet<'a>) {
        let view = ByteView::of(frame);
        if frame.link_type != LinkType::ETHERNET || !plain::read(view, packet) {
            self.walk(frame.link_type, view, packet);
        }
    }

    #[inline(never)]
    fn walk<'a>(&'a mut self, link_type: LinkType, view: ByteView<'a>, packet: &mut Packet<'a>) {
        let mut walk = Walk {
            packet,
            fragments: &mut self.fragments,
            headers: 0,
            pending_tunnels: 0,
            completed: None,
        };
        match first_layer(link_type) {
            Some(layer) => walk.run(layer, view),
            None => {
                walk.stop("link", StopReason::Unsupported);
            }
        }
        for buffer in &mut self.reassembled {
            let Some(datagram) = walk.completed.take() else {
                return;
            };
            *buffer = datagram.bytes;
            walk.run(Layer::Ip(datagram.protocol), ByteView::whole(buffer));
        }
        if walk.completed.is_some() {
            walk.stop("fragment", StopReason::TooDeep);
        }
    }
}

/// The packet before anything of it is read.
#[inline]
fn blank<'a>(frame: &Frame<'_>) -> Packet<'a> {
    Packet {
        frame: frame.number,
        time: frame.time,
        wire_len: frame.original_len,
        link: Link {
            interface: frame.interface,
            ..Link::default()
        },
        ip: None,
        tunnels: 0,
        tunnel_damaged: false,
        transport: Transport::None,
        stopped: None,
    }
}

/// The header that comes next.
#[derive(Clone, Copy, Debug)]
enum Layer {
    Ethernet,
    /// What an Ethernet type (or an 802.3 length) announces.
    EtherType(u16),
    /// IEEE 802.2.
    Llc,
    LinuxCooked,
    LinuxCooked2,
    /// BSD and OpenBSD loopback.
    AddressFamily,
    /// PPP, from the HDLC address byte where there is one.
    Ppp,
    PppoeSession,
    NetfilterLog,
    Fddi,
    Arcnet {
        /// Bytes in front of the system code.
        header: usize,
    },
    IpOverInfiniband,
    CiscoHdlc,
    FrameRelay,
    Radiotap,
    Ieee80211 {
        pad_to_four: bool,
    },
    Mpls,
    /// IPv4 or IPv6, told apart by the version field.
    IpVersion,
    /// What an IP protocol number announces.
    Ip(u8),
}

/// What the walk does after a header: the next one, or nothing.
type Next<'a> = Option<(Layer, ByteView<'a>)>;

fn first_layer(link_type: LinkType) -> Option<Layer> {
    Some(match link_type {
        LinkType::ETHERNET => Layer::Ethernet,
        LinkType::RAW
        | LinkType::RAW_BSD
        | LinkType::RAW_OPENBSD
        | LinkType::IPV4
        | LinkType::IPV6 => Layer::IpVersion,
        LinkType::LINUX_SLL => Layer::LinuxCooked,
        LinkType::LINUX_SLL2 => Layer::LinuxCooked2,
        LinkType::NULL | LinkType::LOOP => Layer::AddressFamily,
        LinkType::PPP | LinkType::PPP_HDLC => Layer::Ppp,
        LinkType::PPP_ETHER => Layer::PppoeSession,
        LinkType::NFLOG => Layer::NetfilterLog,
        LinkType::FDDI => Layer::Fddi,
        // Source and destination; Linux adds an offset.
        LinkType::ARCNET_BSD => Layer::Arcnet { header: 2 },
        LinkType::ARCNET_LINUX => Layer::Arcnet { header: 4 },
        LinkType::IPOIB => Layer::IpOverInfiniband,
        LinkType::C_HDLC => Layer::CiscoHdlc,
        LinkType::FRELAY => Layer::FrameRelay,
        LinkType::IEEE802_11 => Layer::Ieee80211 { pad_to_four: false },
        LinkType::IEEE802_11_RADIOTAP => Layer::Radiotap,
        _ => return None,
    })
}

/// One frame being decoded.
struct Walk<'a, 't> {
    packet: &'t mut Packet<'a>,
    fragments: &'t mut Fragments,
    headers: u8,
    /// Tunnel headers read since the latest IP header; they count once an IP header follows.
    pending_tunnels: u8,
    completed: Option<Reassembled>,
}

impl<'a> Walk<'a, '_> {
    fn run(&mut self, mut layer: Layer, mut view: ByteView<'a>) {
        loop {
            self.headers += 1;
            if self.headers > MAX_HEADERS {
                self.stop("nesting", StopReason::TooDeep);
                return;
            }
            let next = match layer {
                Layer::Ethernet => self.ethernet(view),
                Layer::EtherType(kind) => self.ether_type(kind, view),
                Layer::IpVersion => self.ip_version(view),
                Layer::Ip(protocol) => self.ip_protocol(protocol, view),
                Layer::Llc => self.llc(view),
                Layer::LinuxCooked => self.linux_cooked(view),
                Layer::LinuxCooked2 => self.linux_cooked2(view),
                Layer::AddressFamily => self.address_family(view),
                Layer::Ppp => self.ppp(view),
                Layer::PppoeSession => self.pppoe_session(view),
                Layer::NetfilterLog => self.netfilter_log(view),
                Layer::Fddi => self.fddi(view),
                Layer::Arcnet { header } => self.arcnet(view, header),
                Layer::IpOverInfiniband => self.ip_over_infiniband(view),
                Layer::CiscoHdlc => self.cisco_hdlc(view),
                Layer::FrameRelay => self.frame_relay(view),
                Layer::Radiotap => self.radiotap(view),
                Layer::Ieee80211 { pad_to_four } => self.ieee80211(view, pad_to_four),
                Layer::Mpls => self.mpls(view),
            };
            match next {
                Some((following, rest)) => {
                    layer = following;
                    view = rest;
                }
                None => return,
            }
        }
    }

    /// Ends the walk here; returns `None` so that a layer can end with it.
    fn stop(&mut self, layer: &'static str, reason: StopReason) -> Next<'a> {
        self.packet.stopped = Some(Stop { layer, reason });
        None
    }

    /// Ends the walk because `view` holds less than the `need` bytes of a header: cut by the capture, or, where the
    /// wire had no more either, malformed.
    #[cold]
    fn stop_short(&mut self, layer: &'static str, view: ByteView<'_>, need: usize) -> Next<'a> {
        let reason = if view.wire >= need {
            StopReason::Truncated
        } else {
            StopReason::Malformed
        };
        self.stop(layer, reason)
    }

    /// Keeps the MAC addresses of the outermost link header and no other.
    #[inline]
    fn link_addresses(&mut self, source: MacAddr, destination: Option<MacAddr>) {
        if self.packet.ip.is_none() && self.packet.link.source.is_none() {
            self.packet.link.source = Some(source);
            self.packet.link.destination = destination;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{self, Bytes};
    use super::*;

    #[test]
    fn an_unknown_link_type_is_said_to_be_unsupported() {
        let mut decoder = Decoder::new();
        let packet = samples::decode(&mut decoder, LinkType(147), &[0; 64]);
        assert_eq!(
            packet.stopped,
            Some(Stop {
                layer: "link",
                reason: StopReason::Unsupported
            })
        );
        assert!(packet.ip.is_none());
    }

    #[test]
    fn the_link_types_with_a_name_are_those_that_are_read() {
        for number in 0..1000 {
            let link_type = LinkType(number);
            let is_read = first_layer(link_type).is_some();
            assert_eq!(link_type.name().is_some(), is_read, "{number}");
        }
    }

    #[test]
    fn the_frame_is_identified_in_the_packet() {
        let bytes = samples::ethernet(0x0800, &samples::ipv4(6, &samples::probe()));
        let frame = Frame {
            number: 77,
            time: crate::Timestamp(123),
            link_type: LinkType::ETHERNET,
            interface: 0,
            original_len: 1514,
            data: &bytes,
        };
        let mut decoder = Decoder::new();
        let packet = decoder.decode(&frame);
        assert_eq!(
            (packet.frame, packet.time.0, packet.wire_len),
            (77, 123, 1514)
        );
    }

    #[test]
    fn a_packet_is_the_same_in_place() {
        // The second fragment completes the datagram, so its packet borrows from the decoder.
        let datagram = samples::udp(50_000, 9, &[7; 24]);
        let (first, last) = datagram.split_at(16);
        let mut moved = Decoder::new();
        let mut in_place = Decoder::new();
        for (number, position, part) in [(1, 0x2000, first), (2, 2, last)] {
            let bytes = samples::ipv4_fragment(17, position, part);
            let frame = Frame {
                number,
                time: crate::Timestamp(123),
                link_type: LinkType::RAW,
                interface: 0,
                original_len: u32::try_from(bytes.len()).unwrap(),
                data: &bytes,
            };
            let expected = format!("{:?}", moved.decode(&frame));
            let found = in_place.decode_with(&frame, |packet| format!("{packet:?}"));
            assert_eq!(found, expected);
            assert_eq!(found.contains("payload_len: 24"), number == 2, "{found}");
        }
    }

    #[test]
    fn raw_ip_is_read_under_every_number_it_has() {
        for link_type in [
            LinkType::RAW,
            LinkType::RAW_BSD,
            LinkType::RAW_OPENBSD,
            LinkType::IPV4,
            LinkType::IPV6,
        ] {
            samples::reaches_probe(link_type, &samples::ipv4(6, &samples::probe()), 0);
            samples::reaches_probe(link_type, &samples::ipv6(6, &samples::probe()), 0);
        }
    }

    #[test]
    fn tunnels_nest() {
        let vxlan =
            |inner: &[u8]| samples::udp(50_000, 4789, &[&[8, 0, 0, 0, 0, 0, 7, 0], inner].concat());
        let innermost = samples::ethernet(0x0800, &samples::ipv4(6, &samples::probe()));
        let gre = [&[0, 0, 0x65, 0x58][..], &innermost].concat();
        let middle = samples::ethernet(0x86dd, &samples::ipv6(47, &gre));
        let outer = samples::ipv4(4, &samples::ipv4(17, &vxlan(&middle)));
        samples::reaches_probe(LinkType::ETHERNET, &samples::ethernet(0x0800, &outer), 3);
    }

    #[test]
    fn nesting_is_bounded() {
        let mut bytes: Bytes = samples::probe();
        for _ in 0..100 {
            bytes = samples::ipv4(4, &bytes);
        }
        let mut decoder = Decoder::new();
        let packet = samples::decode(&mut decoder, LinkType::RAW, &bytes);
        assert_eq!(
            packet.stopped.map(|stop| stop.reason),
            Some(StopReason::TooDeep)
        );
        assert!(packet.ip.is_some());
    }

    #[test]
    fn a_cut_inside_a_tunnel_keeps_the_outer_packet() {
        let inner = samples::ipv4(6, &samples::probe());
        let bytes = samples::ipv4(4, &inner);
        let mut decoder = Decoder::new();
        let packet = samples::decode_cut(&mut decoder, LinkType::RAW, &bytes, 30);
        assert_eq!(
            packet.ip.map(|ip| usize::try_from(ip.total_len)),
            Some(Ok(bytes.len()))
        );
        assert_eq!(packet.tunnels, 0);
        assert_eq!(
            packet.stopped,
            Some(Stop {
                layer: "ipv4",
                reason: StopReason::Truncated
            })
        );
    }
}
