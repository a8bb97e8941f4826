//! Link layers of other times and places: FDDI, ARCNET, InfiniBand, Cisco HDLC, Frame Relay.

use super::link::ether_type;
use super::{ByteView, Layer, Next, Walk};
use crate::{MacAddr, StopReason};

impl<'a> Walk<'a, '_> {
    /// RFC 1188: frame control, addresses, IEEE 802.2. Captures hold the addresses as the ring sends them, the lowest bit
    /// of each byte first.
    #[inline(never)]
    pub(super) fn fddi(&mut self, view: ByteView<'a>) -> Next<'a> {
        let (Some(control), Some(destination), Some(source)) =
            (view.byte(0), view.chunk::<6>(1), view.chunk::<6>(7))
        else {
            return self.stop_short("fddi", view, 13);
        };
        self.link_addresses(
            MacAddr(source.map(u8::reverse_bits)),
            Some(MacAddr(destination.map(u8::reverse_bits))),
        );
        // Asynchronous frames that carry IEEE 802.2 (ANSI X3.139 section 7.3.1).
        if control & 0xf0 != 0x50 {
            return self.stop("fddi", StopReason::Unsupported);
        }
        Some((Layer::Llc, view.skip(13)))
    }

    /// RFC 1201 and RFC 1051: system code, then, in the newer framing, split flag and sequence number. `header` is what
    /// the capturing system puts in front of the system code.
    #[inline(never)]
    pub(super) fn arcnet(&mut self, view: ByteView<'a>, header: usize) -> Next<'a> {
        let code = view.skip(header);
        let (Some(system), Some(split)) = (code.byte(0), code.byte(1)) else {
            return self.stop_short("arcnet", view, header + 2);
        };
        let kind = match system {
            // RFC 1051 section 2: the packet follows at once.
            240 => return Some((Layer::EtherType(ether_type::IPV4), code.skip(1))),
            241 => return Some((Layer::EtherType(ether_type::ARP), code.skip(1))),
            212 => ether_type::IPV4,
            213 => ether_type::ARP,
            196 => ether_type::IPV6,
            _ => return self.stop("arcnet", StopReason::Unsupported),
        };
        match split {
            0 => Some((Layer::EtherType(kind), code.skip(4))),
            // RFC 1201 section 2.2: an exception packet repeats the header behind padding.
            0xff => Some((Layer::EtherType(kind), code.skip(8))),
            _ => self.stop("arcnet", StopReason::Unsupported),
        }
    }

    /// LINKTYPE_IPOIB: 40 bytes of addresses, then RFC 4391 section 6: type and two reserved bytes.
    #[inline(never)]
    pub(super) fn ip_over_infiniband(&mut self, view: ByteView<'a>) -> Next<'a> {
        match view.be16(40) {
            Some(kind) => Some((Layer::EtherType(kind), view.skip(44))),
            None => self.stop_short("ipoib", view, 44),
        }
    }

    /// Address, control, Ethernet type.
    pub(super) fn cisco_hdlc(&mut self, view: ByteView<'a>) -> Next<'a> {
        match view.be16(2) {
            Some(kind) => Some((Layer::EtherType(kind), view.skip(4))),
            None => self.stop_short("chdlc", view, 4),
        }
    }

    /// Q.922 address of two to four bytes, then RFC 2427 (control, perhaps padding, NLPID) or Cisco's Ethernet type.
    #[inline(never)]
    pub(super) fn frame_relay(&mut self, view: ByteView<'a>) -> Next<'a> {
        let address = view
            .data
            .iter()
            .take(4)
            .position(|byte| byte & 1 == 1)
            .map(|last| last + 1);
        let Some(address) = address else {
            return self.stop_short("frame-relay", view, 4);
        };
        let rest = view.skip(address);
        let Some([control, id]) = rest.chunk(0) else {
            return self.stop_short("frame-relay", rest, 2);
        };
        if control != 3 {
            return Some((
                Layer::EtherType(u16::from_be_bytes([control, id])),
                rest.skip(2),
            ));
        }
        let padding = usize::from(id == 0);
        let network = rest.skip(1 + padding);
        match network.byte(0) {
            // ISO/IEC TR 9577.
            Some(0xcc | 0x8e) => Some((Layer::IpVersion, network.skip(1))),
            Some(0x80) => self.snap(network.skip(1)),
            Some(_) => self.stop("frame-relay", StopReason::Unsupported),
            None => self.stop_short("frame-relay", network, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{decode, ipv4, probe, reaches_probe};
    use super::*;
    use crate::{Decoder, LinkType};

    const SNAP_IPV4: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];

    fn behind(header: &[u8]) -> Vec<u8> {
        [header, &ipv4(6, &probe())].concat()
    }

    #[test]
    fn fddi_addresses_are_turned_round() {
        let mut header = vec![0x50];
        header.extend([0x40, 0, 0, 0, 0, 0x40, 0x40, 0, 0, 0, 0, 0x80]);
        header.extend(SNAP_IPV4);
        let bytes = behind(&header);
        reaches_probe(LinkType::FDDI, &bytes, 0);
        let mut decoder = Decoder::new();
        let link = decode(&mut decoder, LinkType::FDDI, &bytes).link;
        assert_eq!(link.source, Some(MacAddr([2, 0, 0, 0, 0, 1])));
    }

    #[test]
    fn arcnet_is_read_in_both_framings_of_both_systems() {
        reaches_probe(LinkType::ARCNET_BSD, &behind(&[1, 2, 240]), 0);
        reaches_probe(LinkType::ARCNET_BSD, &behind(&[1, 2, 212, 0, 0, 9]), 0);
        reaches_probe(LinkType::ARCNET_LINUX, &behind(&[1, 2, 0, 4, 240]), 0);
        let exception = [1, 2, 0, 4, 212, 0xff, 0xff, 0xff, 212, 0, 0, 9];
        reaches_probe(LinkType::ARCNET_LINUX, &behind(&exception), 0);
    }

    #[test]
    fn infiniband_hdlc_and_frame_relay_are_read() {
        let mut infiniband = vec![0; 40];
        infiniband.extend([8, 0, 0, 0]);
        reaches_probe(LinkType::IPOIB, &behind(&infiniband), 0);
        reaches_probe(LinkType::C_HDLC, &behind(&[0x0f, 0, 8, 0]), 0);
        reaches_probe(LinkType::FRELAY, &behind(&[0x18, 0x41, 3, 0xcc]), 0);
        reaches_probe(LinkType::FRELAY, &behind(&[0x18, 0x41, 8, 0]), 0);
        let snap = [0x18, 0x41, 3, 0, 0x80, 0, 0, 0, 8, 0];
        reaches_probe(LinkType::FRELAY, &behind(&snap), 0);
    }
}
