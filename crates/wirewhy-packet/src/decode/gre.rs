//! GRE (RFC 2784, RFC 2890, RFC 1701, RFC 2637) and ERSPAN.

use super::link::ether_type;
use super::{ByteView, Layer, Next, Walk};
use crate::StopReason;

/// Protocol types that mean something in GRE only.
mod gre_type {
    pub(crate) const WCCP: u16 = 0x883e;
    pub(crate) const ERSPAN: u16 = 0x88be;
    pub(crate) const ERSPAN_III: u16 = 0x22eb;
}

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
const ACKNOWLEDGMENT: u16 = 0x0080;

impl<'a> Walk<'a, '_> {
    #[inline(never)]
    pub(super) fn gre(&mut self, view: ByteView<'a>) -> Next<'a> {
        let (Some(flags), Some(kind)) = (view.be16(0), view.be16(2)) else {
            return self.stop_short("gre", view, 4);
        };
        let word = |present: bool| if present { 4 } else { 0 };
        let fixed = 4
            + word(flags & (CHECKSUM | ROUTING) != 0)
            + word(flags & KEY != 0)
            + word(flags & SEQUENCE != 0);
        let header = match flags & 0x0007 {
            0 if flags & ROUTING != 0 => match source_routes(view, fixed) {
                Some(len) => len,
                None => return self.stop_short("gre", view, fixed + 4),
            },
            0 => fixed,
            1 => fixed + word(flags & ACKNOWLEDGMENT != 0),
            _ => return self.stop("gre", StopReason::Unsupported),
        };
        if view.data.len() < header {
            return self.stop_short("gre", view, header);
        }
        let rest = view.skip(header);
        match kind {
            gre_type::ERSPAN if flags & SEQUENCE == 0 => self.tunnel(Layer::Ethernet, rest),
            gre_type::ERSPAN | gre_type::ERSPAN_III => self.erspan(rest),
            // draft-wilson-wrec-wccp-v2 section 4.12: a redirect header may stand in front of the packet.
            gre_type::WCCP => match rest.byte(0) {
                Some(0x45..=0x4f) => self.tunnel(Layer::IpVersion, rest),
                _ => self.tunnel(Layer::IpVersion, rest.skip(4)),
            },
            ether_type::IPV4
            | ether_type::IPV6
            | ether_type::ARP
            | ether_type::ETHERNET
            | ether_type::MPLS
            | ether_type::MPLS_UPSTREAM
            | ether_type::PPP
            | ether_type::NETWORK_SERVICE
            | ether_type::VLAN => self.tunnel(Layer::EtherType(kind), rest),
            // Aruba access points: IEEE 802.11 frames, the type telling the access point's queue.
            0x8200..=0x8290 if kind & 0x0f == 0 => {
                self.tunnel(Layer::Ieee80211 { pad_to_four: false }, rest)
            }
            _ => self.stop("gre", StopReason::Unsupported),
        }
    }

    /// draft-foschiano-erspan sections 4.2 and 4.3: the version nibble is 1 for type II and 2 for type III.
    fn erspan(&mut self, view: ByteView<'a>) -> Next<'a> {
        let header = match view.byte(0).map(|first| first >> 4) {
            Some(1) => 8,
            Some(2) => match view.byte(11) {
                Some(flags) if flags & 1 != 0 => 20,
                Some(_) => 12,
                None => return self.stop_short("erspan", view, 12),
            },
            Some(_) => return self.stop("erspan", StopReason::Unsupported),
            None => return self.stop_short("erspan", view, 8),
        };
        if view.data.len() < header {
            return self.stop_short("erspan", view, header);
        }
        self.tunnel(Layer::Ethernet, view.skip(header))
    }
}

/// RFC 1701: source route entries (family, offset, length, address) up to one of length 0. Returns where they end.
fn source_routes(view: ByteView<'_>, start: usize) -> Option<usize> {
    const MAX_ROUTES: usize = 32;
    let mut at = start;
    for _ in 0..MAX_ROUTES {
        let [f0, f1, _, len] = view.chunk(at)?;
        at += 4 + usize::from(len);
        if len == 0 && [f0, f1] == [0, 0] {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::samples::{decode, ethernet, ipv4, probe, reaches_probe};
    use crate::{Decoder, LinkType, Transport};

    fn over_gre(header: &[u8], inner: &[u8]) -> Vec<u8> {
        ipv4(47, &[header, inner].concat())
    }

    #[test]
    fn every_optional_field_is_skipped() {
        let inner = ipv4(6, &probe());
        for header in [
            &[0x00, 0, 8, 0][..],
            // Checksum; key; sequence; all of them.
            &[0x80, 0, 8, 0, 1, 2, 0, 0],
            &[0x20, 0, 8, 0, 0, 0, 0, 7],
            &[0x10, 0, 8, 0, 0, 0, 0, 1],
            &[0xb0, 0, 8, 0, 1, 2, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1],
            // RFC 1701: routing with one IPv4 entry and the null entry.
            &[
                0x40, 0, 8, 0, 0, 0, 0, 0, 8, 0, 0, 4, 10, 0, 0, 9, 0, 0, 0, 0,
            ],
        ] {
            reaches_probe(LinkType::RAW, &over_gre(header, &inner), 1);
        }
    }

    #[test]
    fn ethernet_pptp_and_wccp_are_read() {
        let frame = ethernet(0x0800, &ipv4(6, &probe()));
        reaches_probe(LinkType::RAW, &over_gre(&[0, 0, 0x65, 0x58], &frame), 1);
        // RFC 2637: version 1, key (length and call), sequence and acknowledgement numbers, then PPP.
        let pptp = [
            0x30, 0x81, 0x88, 0x0b, 0, 60, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 3, 0, 0x21,
        ];
        reaches_probe(LinkType::RAW, &over_gre(&pptp, &ipv4(6, &probe())), 1);
        let wccp = [0, 0, 0x88, 0x3e, 0, 1, 2, 3];
        reaches_probe(LinkType::RAW, &over_gre(&wccp, &ipv4(6, &probe())), 1);
        reaches_probe(LinkType::RAW, &over_gre(&wccp[..4], &ipv4(6, &probe())), 1);
    }

    #[test]
    fn erspan_of_all_types_is_read() {
        let frame = ethernet(0x0800, &ipv4(6, &probe()));
        reaches_probe(LinkType::RAW, &over_gre(&[0, 0, 0x88, 0xbe], &frame), 1);
        let two = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 1, 0, 2, 0, 0, 0, 3];
        reaches_probe(LinkType::RAW, &over_gre(&two, &frame), 1);
        let mut three = vec![0x10, 0, 0x22, 0xeb, 0, 0, 0, 1];
        three.extend([0x20, 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0]);
        reaches_probe(LinkType::RAW, &over_gre(&three, &frame), 1);
        // The optional platform header.
        three[19] = 1;
        three.extend([0; 8]);
        reaches_probe(LinkType::RAW, &over_gre(&three, &frame), 1);
    }

    #[test]
    fn what_gre_carries_else_is_left() {
        let bytes = over_gre(&[0, 0, 0, 0xfe], &[1, 2, 3, 4]);
        let mut decoder = Decoder::new();
        let packet = decode(&mut decoder, LinkType::RAW, &bytes);
        assert!(matches!(
            packet.transport,
            Transport::OtherIp { protocol: 47 }
        ));
        assert_eq!(packet.stopped.map(|stop| stop.layer), Some("gre"));
    }
}
