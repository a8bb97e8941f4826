//! PPP (RFC 1661, RFC 1662) and PPPoE sessions (RFC 2516).

use super::link::ether_type;
use super::{ByteView, Layer, Next, Walk};
use crate::StopReason;

impl<'a> Walk<'a, '_> {
    /// With or without the HDLC address and control bytes, and with the protocol number in one byte or two: the low bit
    /// of its last byte is set and of its first is not (RFC 1661 section 2).
    #[inline(never)]
    pub(super) fn ppp(&mut self, view: ByteView<'a>) -> Next<'a> {
        let view = match view.chunk(0) {
            None => return self.stop_short("ppp", view, 4),
            Some([0xff, 0x03]) => view.skip(2),
            // Cisco's framing on the same line: unicast or multicast address.
            Some([0x0f | 0x8f, 0x00]) => return self.cisco_hdlc(view),
            _ => view,
        };
        let (protocol, rest) = match view.byte(0) {
            Some(odd) if odd & 1 == 1 => (u16::from(odd), view.skip(1)),
            _ => match view.be16(0) {
                Some(protocol) => (protocol, view.skip(2)),
                None => return self.stop_short("ppp", view, 2),
            },
        };
        match protocol {
            // RFC 1332, RFC 5072; some stacks put the Ethernet type there.
            0x0021 | 0x0057 | ether_type::IPV4 | ether_type::IPV6 => Some((Layer::IpVersion, rest)),
            // RFC 3032 section 4.
            0x0281 | 0x0283 => Some((Layer::Mpls, rest)),
            0x003d => self.multilink(rest),
            0x0031 => self.bridged(rest),
            _ => self.stop("ppp", StopReason::Unsupported),
        }
    }

    /// RFC 1990 with long sequence numbers, the default: only a packet that begins and ends in one fragment is followed.
    fn multilink(&mut self, view: ByteView<'a>) -> Next<'a> {
        match view.byte(0) {
            Some(flags) if flags & 0xc0 == 0xc0 => Some((Layer::Ppp, view.skip(4))),
            Some(_) => self.stop("multilink", StopReason::Unsupported),
            None => self.stop_short("multilink", view, 4),
        }
    }

    /// RFC 3518 section 4.1: flags and padding, MAC type, then the frame.
    fn bridged(&mut self, view: ByteView<'a>) -> Next<'a> {
        match view.chunk::<2>(0) {
            // IEEE 802.3/Ethernet with canonical addresses.
            Some([flags, 1]) => {
                let fcs = if flags & 0x80 == 0 { 0 } else { 4 };
                Some((Layer::Ethernet, view.skip(2).trim_end(fcs)))
            }
            Some(_) => self.stop("bcp", StopReason::Unsupported),
            None => self.stop_short("bcp", view, 2),
        }
    }

    #[inline(never)]
    pub(super) fn pppoe_session(&mut self, view: ByteView<'a>) -> Next<'a> {
        let Some(&[version_type, code, _, _, l0, l1]) = view.data.first_chunk::<6>() else {
            return self.stop_short("pppoe", view, 6);
        };
        if version_type != 0x11 {
            return self.stop("pppoe", StopReason::Malformed);
        }
        if code != 0 {
            // Discovery (RFC 2516 section 5).
            return self.stop("pppoe", StopReason::Unsupported);
        }
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        Some((Layer::Ppp, view.skip(6).limit(len)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{decode, ethernet, ipv4, ipv6, probe, reaches_probe};
    use super::*;
    use crate::{Decoder, LinkType};

    fn behind(header: &[u8]) -> Vec<u8> {
        [header, &ipv4(6, &probe())].concat()
    }

    #[test]
    fn ppp_is_read_with_and_without_framing_and_compression() {
        for header in [
            &[0xff, 0x03, 0x00, 0x21][..],
            &[0xff, 0x03, 0x21],
            &[0x00, 0x21],
            &[0x21],
            &[0x0f, 0x00, 0x08, 0x00],
            // RFC 1990: a multilink fragment that begins and ends a packet.
            &[0x00, 0x3d, 0xc0, 0, 0, 1, 0x00, 0x21],
        ] {
            reaches_probe(LinkType::PPP, &behind(header), 0);
            reaches_probe(LinkType::PPP_HDLC, &behind(header), 0);
        }
        let v6 = [&[0x00, 0x57][..], &ipv6(6, &probe())].concat();
        reaches_probe(LinkType::PPP, &v6, 0);
    }

    #[test]
    fn bridged_ethernet_is_read() {
        let bytes = [
            &[0x00, 0x31, 0x00, 0x01][..],
            &ethernet(0x0800, &behind(&[])),
        ]
        .concat();
        reaches_probe(LinkType::PPP, &bytes, 0);
    }

    #[test]
    fn pppoe_ends_where_its_length_says() {
        let ppp = behind(&[0x00, 0x21]);
        let [l0, l1] = u16::try_from(ppp.len()).unwrap().to_be_bytes();
        let session = [&[0x11, 0, 0x12, 0x34, l0, l1][..], &ppp].concat();
        reaches_probe(LinkType::PPP_ETHER, &session, 0);
        reaches_probe(LinkType::ETHERNET, &ethernet(0x8864, &session), 0);
    }

    #[test]
    fn what_lies_behind_a_pppoe_length_is_padding() {
        let mut ppp = behind(&[0x00, 0x21]);
        // With no IP length to go by, only the session's own length tells.
        ppp[4..6].copy_from_slice(&[0, 0]);
        let [l0, l1] = u16::try_from(ppp.len()).unwrap().to_be_bytes();
        let padded = [&[0x11, 0, 0x12, 0x34, l0, l1][..], &ppp, &[0xee; 12]].concat();
        let mut decoder = Decoder::new();
        let packet = decode(&mut decoder, LinkType::PPP_ETHER, &padded);
        assert!(packet.ip.is_some_and(|ip| ip.total_len == 68), "{packet:?}");
    }

    #[test]
    fn pppoe_discovery_carries_nothing() {
        let mut decoder = Decoder::new();
        let packet = decode(&mut decoder, LinkType::PPP_ETHER, &[0x11, 0x09, 0, 0, 0, 0]);
        assert_eq!(
            packet.stopped.map(|stop| stop.reason),
            Some(StopReason::Unsupported)
        );
    }
}
