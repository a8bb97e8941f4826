//! Ethernet and its tags, IEEE 802.2, and ARP.

use etherparse::{ArpPacketSlice, Ethernet2HeaderSlice, SingleVlanHeaderSlice};

use super::{ByteView, Layer, Next, Walk};
use crate::{Arp, MacAddr, StopReason, Transport};

/// The numbers of the [IEEE registry](https://standards-oui.ieee.org/ethertype/eth.txt) that this program follows.
pub(super) mod ether_type {
    use etherparse::EtherType;

    pub(crate) const IPV4: u16 = EtherType::IPV4.0;
    pub(crate) const ARP: u16 = EtherType::ARP.0;
    pub(crate) const ETHERNET: u16 = 0x6558;
    pub(crate) const VLAN: u16 = EtherType::VLAN_TAGGED_FRAME.0;
    pub(crate) const IPV6: u16 = EtherType::IPV6.0;
    pub(crate) const MPLS: u16 = 0x8847;
    pub(crate) const MPLS_UPSTREAM: u16 = 0x8848;
    pub(crate) const PPPOE_SESSION: u16 = 0x8864;
    pub(crate) const PPP: u16 = 0x880b;
    pub(crate) const PROVIDER_VLAN: u16 = EtherType::PROVIDER_BRIDGING.0;
    /// Tags of the time before IEEE 802.1ad.
    pub(crate) const OLD_VLAN: [u16; 3] = [0x9100, 0x9200, 0x9300];
    pub(crate) const PROVIDER_BACKBONE: u16 = 0x88e7;
    pub(crate) const VN_TAG: u16 = 0x8926;
    pub(crate) const NETWORK_SERVICE: u16 = 0x894f;
}

/// Ethernet II: two addresses and a type.
const ETHERNET_HEADER: usize = 14;

/// Up to here the Ethernet type field is a length (IEEE 802.3 section 3.2.6).
pub(super) const MAX_802_3_LENGTH: u16 = 1500;

impl<'a> Walk<'a, '_> {
    #[inline(always)]
    pub(super) fn ethernet(&mut self, view: ByteView<'a>) -> Next<'a> {
        let Ok(header) = Ethernet2HeaderSlice::from_slice(view.data) else {
            return self.stop_short("ethernet", view, ETHERNET_HEADER);
        };
        self.link_addresses(
            MacAddr(header.source()),
            Some(MacAddr(header.destination())),
        );
        // Not handed back to the walk: nearly every frame takes this way.
        self.ether_type(header.ether_type().0, view.skip(ETHERNET_HEADER))
    }

    #[inline(always)]
    pub(super) fn ether_type(&mut self, kind: u16, view: ByteView<'a>) -> Next<'a> {
        match kind {
            ether_type::IPV4 | ether_type::IPV6 => self.ip_version(view),
            ether_type::ARP => self.arp(view),
            ether_type::VLAN | ether_type::PROVIDER_VLAN => self.vlan(view),
            _ if ether_type::OLD_VLAN.contains(&kind) => self.vlan(view),
            ether_type::MPLS | ether_type::MPLS_UPSTREAM => Some((Layer::Mpls, view)),
            ether_type::PPPOE_SESSION => Some((Layer::PppoeSession, view)),
            ether_type::PPP => Some((Layer::Ppp, view)),
            ether_type::ETHERNET => Some((Layer::Ethernet, view)),
            // IEEE 802.1ah: a four-byte service tag, then the customer's whole frame.
            ether_type::PROVIDER_BACKBONE => Some((Layer::Ethernet, view.skip(4))),
            ether_type::VN_TAG => self.vn_tag(view),
            ether_type::NETWORK_SERVICE => self.network_service(view),
            0..=MAX_802_3_LENGTH => Some((Layer::Llc, view.limit(usize::from(kind)))),
            _ => self.stop("ethernet", StopReason::Unsupported),
        }
    }

    /// IEEE 802.1Q: two bytes of priority and identifier, then the type of what follows.
    #[inline(never)]
    fn vlan(&mut self, view: ByteView<'a>) -> Next<'a> {
        let tag = match SingleVlanHeaderSlice::from_slice(view.data) {
            Ok(tag) => tag,
            Err(short) => return self.stop_short("vlan", view, short.required_len),
        };
        if self.packet.ip.is_none() && self.packet.link.vlan.is_none() {
            self.packet.link.vlan = Some(tag.vlan_identifier().value());
        }
        let rest = view.skip(tag.slice().len());
        Some((Layer::EtherType(tag.ether_type().0), rest))
    }

    /// The tag that adapters and fabric extenders put on: four bytes, then the type of what follows.
    #[inline(never)]
    fn vn_tag(&mut self, view: ByteView<'a>) -> Next<'a> {
        match view.be16(4) {
            Some(kind) => Some((Layer::EtherType(kind), view.skip(6))),
            None => self.stop_short("vn-tag", view, 6),
        }
    }

    /// RFC 8300 section 2.2: length in units of four bytes, then what follows.
    #[inline(never)]
    fn network_service(&mut self, view: ByteView<'a>) -> Next<'a> {
        let Some([_, len, _, next]) = view.chunk(0) else {
            return self.stop_short("nsh", view, 8);
        };
        let rest = view.skip(usize::from(len & 0x3f) * 4);
        match next {
            1 | 2 => self.tunnel(Layer::IpVersion, rest),
            3 => self.tunnel(Layer::Ethernet, rest),
            5 => self.tunnel(Layer::Mpls, rest),
            _ => self.stop("nsh", StopReason::Unsupported),
        }
    }

    #[inline(never)]
    pub(super) fn llc(&mut self, view: ByteView<'a>) -> Next<'a> {
        let Some([dsap, ssap, control]) = view.chunk(0) else {
            return self.stop_short("llc", view, 3);
        };
        match (dsap, ssap, control) {
            (0xaa, 0xaa, 0x03) => self.snap(view.skip(3)),
            // RFC 1042 leaves 06 to IP itself.
            (0x06, 0x06, 0x03) => Some((Layer::IpVersion, view.skip(3))),
            _ => self.stop("llc", StopReason::Unsupported),
        }
    }

    pub(super) fn snap(&mut self, view: ByteView<'a>) -> Next<'a> {
        let (Some(oui), Some(kind)) = (view.chunk::<3>(0), view.be16(3)) else {
            return self.stop_short("snap", view, 5);
        };
        let rest = view.skip(5);
        match (oui, kind) {
            // RFC 1042, and IEEE 802.1H's bridge-tunnel encapsulation.
            ([0, 0, 0] | [0, 0, 0xf8], kind) if kind > MAX_802_3_LENGTH => {
                Some((Layer::EtherType(kind), rest))
            }
            // RFC 2684 section 5.2: bridged Ethernet, with two bytes of padding.
            ([0, 0x80, 0xc2], 0x0001 | 0x0007) => Some((Layer::Ethernet, rest.skip(2))),
            _ => self.stop("snap", StopReason::Unsupported),
        }
    }

    /// RFC 826, for six-byte MAC addresses and IPv4.
    #[inline(never)]
    fn arp(&mut self, view: ByteView<'a>) -> Next<'a> {
        let arp = match ArpPacketSlice::from_slice(view.data) {
            Ok(arp) => arp,
            Err(short) => return self.stop_short("arp", view, short.required_len),
        };
        let is_ipv4 = arp.proto_addr_type().0 == ether_type::IPV4;
        let (Ok(sender_mac), Ok(sender_ip), Ok(target_mac), Ok(target_ip), true) = (
            arp.sender_hw_addr().try_into(),
            <[u8; 4]>::try_from(arp.sender_protocol_addr()),
            arp.target_hw_addr().try_into(),
            <[u8; 4]>::try_from(arp.target_protocol_addr()),
            is_ipv4,
        ) else {
            return self.stop("arp", StopReason::Unsupported);
        };
        self.packet.transport = Transport::Arp(Arp {
            operation: arp.operation().0,
            sender_mac: MacAddr(sender_mac),
            sender_ip: sender_ip.into(),
            target_mac: MacAddr(target_mac),
            target_ip: target_ip.into(),
        });
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{
        Bytes, PROBE_PAYLOAD, decode, decode_cut, ethernet, ipv4, probe, reaches_probe,
    };
    use super::*;
    use crate::{Decoder, LinkType};

    fn tcp4() -> Bytes {
        ipv4(6, &probe())
    }

    #[test]
    fn ethernet_addresses_are_kept() {
        let bytes = ethernet(0x0800, &tcp4());
        reaches_probe(LinkType::ETHERNET, &bytes, 0);
        let mut decoder = Decoder::new();
        let link = decode(&mut decoder, LinkType::ETHERNET, &bytes).link;
        assert_eq!(link.source, Some(MacAddr([2, 0, 0, 0, 0, 1])));
        assert_eq!(link.destination, Some(MacAddr([2, 0, 0, 0, 0, 2])));
        assert_eq!((link.vlan, link.outgoing), (None, None));
    }

    #[test]
    fn vlan_tags_are_peeled_to_any_depth_and_the_outermost_is_kept() {
        let kinds = [0x8100_u16, 0x88a8, 0x9100, 0x9200, 0x9300, 0x8100, 0x8100];
        let mut inner = tcp4();
        let mut kind = 0x0800_u16;
        for (id, tag) in (100_u16..).zip(kinds) {
            // Priority 5 and drop eligible must not show in the identifier.
            inner = [
                &(0xb000 | id).to_be_bytes()[..],
                &kind.to_be_bytes(),
                &inner,
            ]
            .concat();
            kind = tag;
        }
        let bytes = ethernet(kind, &inner);
        reaches_probe(LinkType::ETHERNET, &bytes, 0);
        let mut decoder = Decoder::new();
        let packet = decode(&mut decoder, LinkType::ETHERNET, &bytes);
        assert_eq!(packet.link.vlan, Some(106));
    }

    #[test]
    fn padding_and_trailer_are_no_payload() {
        let mut bytes = ethernet(0x0800, &tcp4());
        bytes.extend([0xee; 30]);
        let mut decoder = Decoder::new();
        let packet = decode(&mut decoder, LinkType::ETHERNET, &bytes);
        let Transport::Tcp(segment) = packet.transport else {
            panic!("{packet:?}");
        };
        assert_eq!(segment.payload, PROBE_PAYLOAD);
        assert_eq!(segment.payload_len, 16);
    }

    #[test]
    fn ieee_802_3_with_snap_is_read() {
        // RFC 1042: AA AA 03, organisation 0, Ethernet type.
        let snap = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..], &tcp4()].concat();
        let len = u16::try_from(snap.len()).unwrap();
        reaches_probe(LinkType::ETHERNET, &ethernet(len, &snap), 0);
        let ip = [&[6, 6, 3][..], &tcp4()].concat();
        let len = u16::try_from(ip.len()).unwrap();
        reaches_probe(LinkType::ETHERNET, &ethernet(len, &ip), 0);
    }

    #[test]
    fn what_lies_behind_an_802_3_length_is_padding() {
        // With no IP length to go by, only the frame's own length tells.
        let mut ip = tcp4();
        ip[2..4].copy_from_slice(&[0, 0]);
        let llc = [&[6, 6, 3][..], &ip].concat();
        let mut bytes = ethernet(u16::try_from(llc.len()).unwrap(), &llc);
        bytes.extend([0xee; 12]);
        let mut decoder = Decoder::new();
        let packet = decode(&mut decoder, LinkType::ETHERNET, &bytes);
        let Transport::Tcp(segment) = packet.transport else {
            panic!("{packet:?}");
        };
        assert_eq!((segment.payload, segment.payload_len), (PROBE_PAYLOAD, 16));
    }

    #[test]
    fn backbone_vn_and_service_headers_are_peeled() {
        let customer = ethernet(0x0800, &tcp4());
        let backbone = [&[0, 0, 0, 9][..], &customer].concat();
        reaches_probe(LinkType::ETHERNET, &ethernet(0x88e7, &backbone), 0);
        let vn = [&[0x80, 1, 0, 2, 8, 0][..], &tcp4()].concat();
        reaches_probe(LinkType::ETHERNET, &ethernet(0x8926, &vn), 0);
        // RFC 8300: six words, metadata type 1, IPv4.
        let mut service = vec![0x0f, 0xc6, 1, 1];
        service.extend([0; 20]);
        service.extend(tcp4());
        reaches_probe(LinkType::ETHERNET, &ethernet(0x894f, &service), 1);
    }

    #[test]
    fn spanning_tree_and_unknown_types_are_unsupported() {
        let mut decoder = Decoder::new();
        for (kind, inner) in [(38, &[0x42, 0x42, 3, 0][..]), (0x88cc, &[2, 7, 4])] {
            let bytes = ethernet(kind, inner);
            let packet = decode(&mut decoder, LinkType::ETHERNET, &bytes);
            assert_eq!(
                packet.stopped.map(|stop| stop.reason),
                Some(StopReason::Unsupported)
            );
            assert!(packet.link.source.is_some());
        }
    }

    #[test]
    fn arp_is_read() {
        // RFC 826: Ethernet, IPv4, lengths 6 and 4, reply.
        let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 2];
        arp.extend([2, 0, 0, 0, 0, 1, 10, 0, 0, 1]);
        arp.extend([2, 0, 0, 0, 0, 2, 10, 0, 0, 2]);
        let bytes = ethernet(0x0806, &arp);
        let mut decoder = Decoder::new();
        let packet = decode(&mut decoder, LinkType::ETHERNET, &bytes);
        assert_eq!(packet.stopped, None);
        let Transport::Arp(arp) = packet.transport else {
            panic!("{packet:?}");
        };
        assert_eq!(arp.operation, 2);
        assert_eq!(arp.sender_mac, MacAddr([2, 0, 0, 0, 0, 1]));
        assert_eq!(arp.sender_ip, std::net::Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(arp.target_mac, MacAddr([2, 0, 0, 0, 0, 2]));
        assert_eq!(arp.target_ip, std::net::Ipv4Addr::new(10, 0, 0, 2));
        for captured in 0..bytes.len() {
            let packet = decode_cut(&mut decoder, LinkType::ETHERNET, &bytes, captured);
            assert!(matches!(packet.transport, Transport::None));
            assert_eq!(
                packet.stopped.map(|stop| stop.reason),
                Some(StopReason::Truncated)
            );
        }
    }
}
