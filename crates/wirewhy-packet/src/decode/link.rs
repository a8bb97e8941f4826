//! Ethernet and its tags, IEEE 802.2, and ARP.

use super::{Layer, Next, View, Walk};
use crate::{Arp, MacAddr, StopReason, Transport};

/// The numbers of the [IEEE registry](https://standards-oui.ieee.org/ethertype/eth.txt) that this program follows.
pub(super) mod ether_type {
    pub(crate) const IPV4: u16 = 0x0800;
    pub(crate) const ARP: u16 = 0x0806;
    pub(crate) const ETHERNET: u16 = 0x6558;
    pub(crate) const VLAN: u16 = 0x8100;
    pub(crate) const IPV6: u16 = 0x86dd;
    pub(crate) const MPLS: u16 = 0x8847;
    pub(crate) const MPLS_UPSTREAM: u16 = 0x8848;
    pub(crate) const PPPOE_SESSION: u16 = 0x8864;
    pub(crate) const PPP: u16 = 0x880b;
    pub(crate) const PROVIDER_VLAN: u16 = 0x88a8;
    /// Tags of the time before IEEE 802.1ad.
    pub(crate) const OLD_VLAN: [u16; 3] = [0x9100, 0x9200, 0x9300];
    pub(crate) const PROVIDER_BACKBONE: u16 = 0x88e7;
    pub(crate) const VN_TAG: u16 = 0x8926;
    pub(crate) const NETWORK_SERVICE: u16 = 0x894f;
}

/// Up to here the Ethernet type field is a length (IEEE 802.3 section 3.2.6).
pub(super) const MAX_802_3_LENGTH: u16 = 1500;

impl<'a> Walk<'a, '_> {
    #[inline]
    pub(super) fn ethernet(&mut self, view: View<'a>) -> Next<'a> {
        let Some([d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1]) =
            view.data.first_chunk::<14>().copied()
        else {
            return self.stop_short("ethernet", view, 14);
        };
        self.link_addresses(
            MacAddr([s0, s1, s2, s3, s4, s5]),
            Some(MacAddr([d0, d1, d2, d3, d4, d5])),
        );
        let kind = u16::from_be_bytes([t0, t1]);
        // Not handed back to the walk: nearly every frame takes this way.
        self.ether_type(kind, view.skip(14))
    }

    #[inline]
    pub(super) fn ether_type(&mut self, kind: u16, view: View<'a>) -> Next<'a> {
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
    fn vlan(&mut self, view: View<'a>) -> Next<'a> {
        let (Some(tag), Some(kind)) = (view.be16(0), view.be16(2)) else {
            return self.stop_short("vlan", view, 4);
        };
        if self.packet.ip.is_none() && self.packet.link.vlan.is_none() {
            self.packet.link.vlan = Some(tag & 0x0fff);
        }
        Some((Layer::EtherType(kind), view.skip(4)))
    }

    /// The tag that adapters and fabric extenders put on: four bytes, then the type of what follows.
    #[inline(never)]
    fn vn_tag(&mut self, view: View<'a>) -> Next<'a> {
        match view.be16(4) {
            Some(kind) => Some((Layer::EtherType(kind), view.skip(6))),
            None => self.stop_short("vn-tag", view, 6),
        }
    }

    /// RFC 8300 section 2.2: length in units of four bytes, then what follows.
    #[inline(never)]
    fn network_service(&mut self, view: View<'a>) -> Next<'a> {
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
    pub(super) fn llc(&mut self, view: View<'a>) -> Next<'a> {
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

    pub(super) fn snap(&mut self, view: View<'a>) -> Next<'a> {
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

    /// RFC 826, for six-byte link addresses and IPv4.
    #[inline(never)]
    fn arp(&mut self, view: View<'a>) -> Next<'a> {
        let Some(&[_, _, p0, p1, hlen, plen, o0, o1]) = view.data.first_chunk::<8>() else {
            return self.stop_short("arp", view, 8);
        };
        if (u16::from_be_bytes([p0, p1]), hlen, plen) != (ether_type::IPV4, 6, 4) {
            return self.stop("arp", StopReason::Unsupported);
        }
        let (Some(sender_mac), Some(sender_ip), Some(target_mac), Some(target_ip)) = (
            view.chunk(8),
            view.chunk::<4>(14),
            view.chunk(18),
            view.chunk::<4>(24),
        ) else {
            return self.stop_short("arp", view, 28);
        };
        self.packet.transport = Transport::Arp(Arp {
            operation: u16::from_be_bytes([o0, o1]),
            sender_mac: MacAddr(sender_mac),
            sender_ip: sender_ip.into(),
            target_mac: MacAddr(target_mac),
            target_ip: target_ip.into(),
        });
        None
    }
}
