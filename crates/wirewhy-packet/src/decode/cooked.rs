//! Pseudo link layers that a host makes up: Linux cooked, loopback, netfilter log.

use super::link::MAX_802_3_LENGTH;
use super::{ByteView, Layer, Next, Walk};
use crate::{MacAddr, StopReason};

impl<'a> Walk<'a, '_> {
    /// LINKTYPE_LINUX_SLL: packet type, ARPHRD type, address length, address, protocol. Not by etherparse, which refuses
    /// packet types above 4 and hardware types it does not know, and knows no version 2.
    #[inline(never)]
    pub(super) fn linux_cooked(&mut self, view: ByteView<'a>) -> Next<'a> {
        let Some(h) = view.data.first_chunk::<16>() else {
            return self.stop_short("sll", view, 16);
        };
        let packet_type = u16::from_be_bytes([h[0], h[1]]);
        let hardware = u16::from_be_bytes([h[2], h[3]]);
        let address_len = u16::from_be_bytes([h[4], h[5]]);
        let address = [h[6], h[7], h[8], h[9], h[10], h[11]];
        let protocol = u16::from_be_bytes([h[14], h[15]]);
        self.cooked(packet_type == 4, address_len == 6, address);
        self.cooked_protocol(hardware, protocol, view.skip(16))
    }

    /// LINKTYPE_LINUX_SLL2: protocol, reserved, interface, ARPHRD type, packet type, address length, address.
    #[inline(never)]
    pub(super) fn linux_cooked2(&mut self, view: ByteView<'a>) -> Next<'a> {
        let Some(h) = view.data.first_chunk::<20>() else {
            return self.stop_short("sll2", view, 20);
        };
        let protocol = u16::from_be_bytes([h[0], h[1]]);
        let hardware = u16::from_be_bytes([h[8], h[9]]);
        self.packet.link.interface = u32::from_be_bytes([h[4], h[5], h[6], h[7]]);
        let address = [h[12], h[13], h[14], h[15], h[16], h[17]];
        self.cooked(h[10] == 4, h[11] == 6, address);
        self.cooked_protocol(hardware, protocol, view.skip(20))
    }

    fn cooked(&mut self, outgoing: bool, has_mac: bool, address: [u8; 6]) {
        self.packet.link.outgoing = Some(outgoing);
        if has_mac {
            self.link_addresses(MacAddr(address), None);
        }
    }

    fn cooked_protocol(&mut self, hardware: u16, protocol: u16, view: ByteView<'a>) -> Next<'a> {
        /// Hardware types of `if_arp.h`, under which `protocol` is no Ethernet type.
        const ARPHRD_IEEE80211: u16 = 801;
        const ARPHRD_IEEE80211_RADIOTAP: u16 = 803;
        const ARPHRD_NETLINK: u16 = 824;
        match (hardware, protocol) {
            (ARPHRD_NETLINK, _) => self.stop("sll", StopReason::Unsupported),
            (ARPHRD_IEEE80211, _) => Some((Layer::Ieee80211 { pad_to_four: false }, view)),
            (ARPHRD_IEEE80211_RADIOTAP, _) => Some((Layer::Radiotap, view)),
            (_, 0x0004) => Some((Layer::Llc, view)),
            (_, kind) if kind > MAX_802_3_LENGTH => Some((Layer::EtherType(kind), view)),
            _ => self.stop("sll", StopReason::Unsupported),
        }
    }

    /// LINKTYPE_NULL is in the capturing host's byte order, which no capture tells; LINKTYPE_LOOP is in network order.
    /// No family needs more than 16 bits, so the order that gives a small number is the right one.
    #[inline(never)]
    pub(super) fn address_family(&mut self, view: ByteView<'a>) -> Next<'a> {
        let Some(bytes) = view.chunk::<4>(0) else {
            return self.stop_short("null", view, 4);
        };
        let family = u32::from_be_bytes(bytes).min(u32::from_le_bytes(bytes));
        let rest = view.skip(4);
        match family {
            // AF_INET everywhere; AF_INET6 of Linux, Windows, BSD, FreeBSD and Darwin.
            2 | 10 | 23 | 24 | 28 | 30 => Some((Layer::IpVersion, rest)),
            _ => self.stop("null", StopReason::Unsupported),
        }
    }

    /// LINKTYPE_NFLOG: family, version, resource; then attributes of length, type and value, padded to four bytes, in
    /// the byte order of the capturing host, which no capture tells.
    #[inline(never)]
    pub(super) fn netfilter_log(&mut self, view: ByteView<'a>) -> Next<'a> {
        let attributes = view.skip(4);
        let payload = nflog_payload(attributes, u16::from_le_bytes)
            .or_else(|| nflog_payload(attributes, u16::from_be_bytes));
        match payload {
            Some(packet) => Some((Layer::IpVersion, packet)),
            None if view.data.len() < view.wire => self.stop("nflog", StopReason::Truncated),
            None => self.stop("nflog", StopReason::Unsupported),
        }
    }
}

fn nflog_payload(mut view: ByteView<'_>, order: fn([u8; 2]) -> u16) -> Option<ByteView<'_>> {
    /// NFULA_PAYLOAD.
    const PAYLOAD: u16 = 9;
    const MAX_ATTRIBUTES: usize = 64;
    for _ in 0..MAX_ATTRIBUTES {
        let [l0, l1, t0, t1] = view.chunk(0)?;
        let len = usize::from(order([l0, l1]));
        if len < 4 {
            return None;
        }
        if order([t0, t1]) == PAYLOAD {
            return Some(view.limit(len).skip(4));
        }
        view = view.skip(len.next_multiple_of(4));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::samples::{decode, ipv4, ipv6, probe, reaches_probe};
    use super::*;
    use crate::{Decoder, LinkType};

    #[test]
    fn linux_cooked_tells_the_direction_and_the_sender() {
        let mut bytes = vec![0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0];
        bytes.extend(ipv4(6, &probe()));
        reaches_probe(LinkType::LINUX_SLL, &bytes, 0);
        let mut decoder = Decoder::new();
        let link = decode(&mut decoder, LinkType::LINUX_SLL, &bytes).link;
        assert_eq!(link.outgoing, Some(true));
        assert_eq!(link.source, Some(MacAddr([2, 0, 0, 0, 0, 1])));
        assert_eq!(link.destination, None);
    }

    #[test]
    fn linux_cooked_2_puts_the_protocol_first() {
        let mut bytes = vec![
            0x86, 0xdd, 0, 0, 0, 0, 0, 3, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        bytes.extend(ipv6(6, &probe()));
        reaches_probe(LinkType::LINUX_SLL2, &bytes, 0);
        let mut decoder = Decoder::new();
        let link = decode(&mut decoder, LinkType::LINUX_SLL2, &bytes).link;
        assert_eq!((link.outgoing, link.source), (Some(false), None));
    }

    #[test]
    fn netlink_is_not_taken_for_ip() {
        let mut bytes = vec![0, 4, 0x03, 0x38, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0];
        bytes.extend(ipv4(6, &probe()));
        let mut decoder = Decoder::new();
        let packet = decode(&mut decoder, LinkType::LINUX_SLL, &bytes);
        assert!(packet.ip.is_none());
    }

    #[test]
    fn loopback_families_are_read_in_both_byte_orders() {
        for (family, packet) in [
            (2_u32, ipv4(6, &probe())),
            (10, ipv6(6, &probe())),
            (23, ipv6(6, &probe())),
            (24, ipv6(6, &probe())),
            (28, ipv6(6, &probe())),
            (30, ipv6(6, &probe())),
        ] {
            for order in [family.to_be_bytes(), family.to_le_bytes()] {
                let bytes = [&order, &packet[..]].concat();
                reaches_probe(LinkType::NULL, &bytes, 0);
                reaches_probe(LinkType::LOOP, &bytes, 0);
            }
        }
    }

    #[test]
    fn a_netfilter_log_record_is_read_in_both_byte_orders() {
        let packet = ipv4(6, &probe());
        for order in [u16::to_le_bytes, u16::to_be_bytes] {
            let mut bytes = vec![2, 0, 0, 1];
            // NFULA_PREFIX (10) of one byte, padded, then NFULA_PAYLOAD (9).
            for field in [5, 10] {
                bytes.extend(order(field));
            }
            bytes.extend([0, 0, 0, 0]);
            for field in [u16::try_from(packet.len() + 4).unwrap(), 9] {
                bytes.extend(order(field));
            }
            bytes.extend(&packet);
            reaches_probe(LinkType::NFLOG, &bytes, 0);
        }
    }
}
