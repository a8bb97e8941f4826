//! UDP (RFC 768) and the tunnels that run over it.

use etherparse::UdpHeaderSlice;

use super::ip::protocol;
use super::link::ether_type;
use super::view::{ByteView, length};
use super::{Layer, Next, Walk};
use crate::{Checksum, StopReason, Transport, UdpDatagram};

/// Ports at either end that announce a tunnel; what they carry is checked before it is believed.
mod port {
    pub(crate) const L2TP: u16 = 1701;
    pub(crate) const GTP_USER: u16 = 2152;
    pub(crate) const VXLAN: u16 = 4789;
    pub(crate) const VXLAN_GPE: u16 = 4790;
    /// Linux's VXLAN before IANA assigned a port, and flannel's today; shared with others, so that the content decides.
    pub(crate) const VXLAN_LINUX: u16 = 8472;
    pub(crate) const GENEVE: u16 = 6081;
    pub(crate) const MPLS: u16 = 6635;
    pub(crate) const GRE: u16 = 4754;
    pub(crate) const TEREDO: u16 = 3544;
    pub(crate) const AYIYA: u16 = 5072;
}

impl<'a> Walk<'a, '_> {
    #[inline(never)]
    pub(super) fn udp(&mut self, view: ByteView<'a>) -> Next<'a> {
        let header = match UdpHeaderSlice::from_slice(view.data) {
            Ok(header) => header,
            Err(short) => return self.stop_short("udp", view, short.required_len),
        };
        let claimed = usize::from(header.length());
        // A zero length is a jumbogram (RFC 2675 section 4) or offload: the IP length holds.
        let payload = match claimed {
            0 => view.skip(8),
            _ => view.limit(claimed).skip(8),
        };
        let datagram = UdpDatagram {
            source_port: header.source_port(),
            destination_port: header.destination_port(),
            payload: payload.data,
            payload_len: length(payload.wire),
        };
        self.packet.transport = Transport::Udp(datagram);
        if (1..8).contains(&claimed) {
            return self.stop("udp", StopReason::Malformed);
        }
        let (layer, inside) = udp_tunnel(datagram.source_port, payload)
            .or_else(|| udp_tunnel(datagram.destination_port, payload))?;
        let datagram = view.limit(claimed);
        self.packet.tunnel_damaged |= claimed > 0 && self.is_damaged(datagram, header.checksum());
        self.tunnel(layer, inside)
    }
}

impl Walk<'_, '_> {
    /// Whether the checksum of a datagram that is all there is wrong. A tunnel may leave it out (RFC 768, RFC 6935).
    fn is_damaged(&self, datagram: ByteView<'_>, field: u16) -> bool {
        let whole = datagram.data.len() == datagram.wire;
        match self.packet.ip {
            Some(ip) if whole && field != 0 => {
                let ends = (ip.source, ip.destination);
                let found = Checksum::of(datagram.data, protocol::UDP, field, ends);
                matches!(found, Checksum::Wrong | Checksum::Unfinished)
            }
            _ => false,
        }
    }
}

/// Whether what a port announces is a tunnel, so that the content must be looked at.
#[inline]
pub(super) fn is_tunnel_port(port: u16) -> bool {
    // The lowest and the highest of them.
    (port::L2TP..=port::VXLAN_LINUX).contains(&port)
        && matches!(
            port,
            port::VXLAN
                | port::VXLAN_GPE
                | port::VXLAN_LINUX
                | port::GENEVE
                | port::GTP_USER
                | port::L2TP
                | port::MPLS
                | port::GRE
                | port::TEREDO
                | port::AYIYA
        )
}

fn udp_tunnel(port: u16, view: ByteView<'_>) -> Option<(Layer, ByteView<'_>)> {
    match port {
        port::VXLAN => vxlan(view),
        port::VXLAN_GPE => vxlan_gpe(view),
        port::VXLAN_LINUX => vxlan_by_content(view),
        port::GENEVE => geneve(view),
        port::GTP_USER => gtp_user(view),
        port::L2TP => l2tp(view),
        port::MPLS => Some((Layer::Mpls, view)),
        port::GRE => Some((Layer::Ip(protocol::GRE), view)),
        port::TEREDO => teredo(view),
        port::AYIYA => ayiya(view),
        _ => None,
    }
}

/// RFC 7348 section 5: eight bytes, of which the flag that the network identifier is valid must be set.
fn vxlan(view: ByteView<'_>) -> Option<(Layer, ByteView<'_>)> {
    (view.byte(0)? & 0x08 != 0).then(|| (Layer::Ethernet, view.skip(8)))
}

/// A header exactly as RFC 7348 section 5 says, all reserved bits zero, and behind it a frame of IP, ARP or VLAN.
fn vxlan_by_content(view: ByteView<'_>) -> Option<(Layer, ByteView<'_>)> {
    const MAC_ADDRESSES: usize = 12;
    let is_header = view.chunk(0)? == [8, 0, 0, 0] && view.byte(7)? == 0;
    let carried = matches!(
        view.be16(8 + MAC_ADDRESSES)?,
        ether_type::IPV4 | ether_type::IPV6 | ether_type::ARP | ether_type::VLAN
    );
    (is_header && carried).then(|| (Layer::Ethernet, view.skip(8)))
}

/// draft-ietf-nvo3-vxlan-gpe section 3: the last byte of the first word tells what follows where the P flag is set.
fn vxlan_gpe(view: ByteView<'_>) -> Option<(Layer, ByteView<'_>)> {
    let [flags, _, _, next] = view.chunk(0)?;
    let layer = match (flags & 0x04 != 0, next) {
        (false, _) | (true, 3) => Layer::Ethernet,
        (true, 1 | 2) => Layer::IpVersion,
        _ => return None,
    };
    (flags & 0x08 != 0).then(|| (layer, view.skip(8)))
}

/// RFC 8926 section 3.4: version 0, options in units of 4 bytes, an Ethernet type.
fn geneve(view: ByteView<'_>) -> Option<(Layer, ByteView<'_>)> {
    let [first, flags, k0, k1] = view.chunk(0)?;
    let is_control = flags & 0x80 != 0;
    if first & 0xc0 != 0 || is_control {
        return None;
    }
    let kind = u16::from_be_bytes([k0, k1]);
    let carried = matches!(
        kind,
        ether_type::ETHERNET | ether_type::IPV4 | ether_type::IPV6 | ether_type::MPLS
    );
    let options = usize::from(first & 0x3f) * 4;
    carried.then(|| (Layer::EtherType(kind), view.skip(8 + options)))
}

/// 3GPP TS 29.281 section 5: version 1, message 255 (a user packet), extension headers.
fn gtp_user(view: ByteView<'_>) -> Option<(Layer, ByteView<'_>)> {
    /// Each extension is at least four bytes; this many are never seen.
    const MAX_EXTENSIONS: usize = 16;
    let [flags, message] = view.chunk(0)?;
    let len = usize::from(view.be16(2)?);
    if flags & 0xf0 != 0x30 || message != 255 {
        return None;
    }
    let mut rest = view.skip(8).limit(len);
    if flags & 0x07 != 0 {
        let mut next = rest.byte(3)?;
        rest = rest.skip(4);
        for _ in 0..MAX_EXTENSIONS {
            if flags & 0x04 == 0 || next == 0 {
                break;
            }
            let len = usize::from(rest.byte(0)?) * 4;
            next = rest.byte(len.checked_sub(1)?)?;
            rest = rest.skip(len);
        }
    }
    match rest.byte(0)? {
        0x45..=0x4f | 0x60..=0x6f => Some((Layer::IpVersion, rest)),
        _ => None,
    }
}

/// RFC 2661 section 3.1: a data message; length, sequence numbers and an offset stand in it where their bits are set.
fn l2tp(view: ByteView<'_>) -> Option<(Layer, ByteView<'_>)> {
    const CONTROL: u16 = 0x8000;
    const LENGTH: u16 = 0x4000;
    const SEQUENCE: u16 = 0x0800;
    const OFFSET: u16 = 0x0200;
    let flags = view.be16(0)?;
    if flags & CONTROL != 0 || flags & 0x000f != 2 {
        return None;
    }
    let mut rest = view;
    let mut header = 6;
    if flags & LENGTH != 0 {
        rest = rest.limit(usize::from(view.be16(2)?));
        header += 2;
    }
    if flags & SEQUENCE != 0 {
        header += 4;
    }
    if flags & OFFSET != 0 {
        header += 2 + usize::from(view.be16(header)?);
    }
    Some((Layer::Ppp, rest.skip(header)))
}

/// RFC 4380 section 5.1.1: optional authentication and origin indications, then IPv6.
fn teredo(view: ByteView<'_>) -> Option<(Layer, ByteView<'_>)> {
    let mut rest = view;
    if let Some([0, 1, id, auth]) = rest.chunk(0) {
        rest = rest.skip(4 + usize::from(id) + usize::from(auth) + 9);
    }
    if rest.be16(0)? == 0 {
        rest = rest.skip(8);
    }
    (rest.byte(0)? >> 4 == 6).then_some((Layer::IpVersion, rest))
}

/// draft-massar-v6ops-ayiya-02 section 3: identity and signature lengths, operation 1 (forward), next header, time.
fn ayiya(view: ByteView<'_>) -> Option<(Layer, ByteView<'_>)> {
    let [identity, signature, operation, next] = view.chunk(0)?;
    if operation & 0x0f != 1 {
        return None;
    }
    let header = 8 + (1 << (identity >> 4).min(8)) + usize::from(signature >> 4) * 4;
    matches!(next, protocol::IPV4 | protocol::IPV6).then(|| (Layer::IpVersion, view.skip(header)))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{
        decode, decode_cut, ethernet, ipv4, ipv6, probe, reaches_probe, udp,
    };
    use super::*;
    use crate::{Decoder, LinkType};

    fn over_udp(port: u16, header: &[u8], inner: &[u8]) -> Vec<u8> {
        ipv4(17, &udp(50_000, port, &[header, inner].concat()))
    }

    #[test]
    fn a_datagram_has_the_length_it_claims() {
        // The IP packet goes on behind it.
        let bytes = ipv4(17, &[&udp(5353, 53, b"query")[..], &[0; 9]].concat());
        let mut decoder = Decoder::new();
        let packet = decode(&mut decoder, LinkType::RAW, &bytes);
        let Transport::Udp(datagram) = packet.transport else {
            panic!("{packet:?}");
        };
        assert_eq!(
            (datagram.source_port, datagram.destination_port),
            (5353, 53)
        );
        assert_eq!((datagram.payload, datagram.payload_len), (&b"query"[..], 5));
        let packet = decode_cut(&mut decoder, LinkType::RAW, &bytes, 30);
        let Transport::Udp(datagram) = packet.transport else {
            panic!("{packet:?}");
        };
        assert_eq!((datagram.payload, datagram.payload_len), (&b"qu"[..], 5));
    }

    #[test]
    fn a_length_below_the_header_is_malformed() {
        let mut bytes = ipv4(17, &udp(5353, 53, b"query"));
        bytes[25] = 7;
        let mut decoder = Decoder::new();
        let packet = decode(&mut decoder, LinkType::RAW, &bytes);
        assert_eq!(
            packet.stopped.map(|stop| stop.reason),
            Some(StopReason::Malformed)
        );
    }

    #[test]
    fn a_wrong_checksum_of_a_tunnel_is_told() {
        let frame = ethernet(0x0800, &ipv4(6, &probe()));
        let bytes = over_udp(4789, &[8, 0, 0, 0, 0, 0, 7, 0], &frame);
        // The sum of addresses, protocol, length and datagram.
        let pseudo = [10, 0, 0, 1, 10, 0, 0, 2, 0, 17, bytes[24], bytes[25]];
        let folded = |bytes: &[u8]| {
            let words = bytes
                .chunks(2)
                .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
            let sum: u32 = words.sum();
            u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap()
        };
        let right = !folded(&[&pseudo, &bytes[20..]].concat());
        let damaged = |field: u16, cut: usize| {
            let mut bytes = bytes.clone();
            bytes[26..28].copy_from_slice(&field.to_be_bytes());
            let mut decoder = Decoder::new();
            let packet = decode_cut(&mut decoder, LinkType::RAW, &bytes, cut);
            assert_eq!(packet.tunnels, 1);
            packet.tunnel_damaged
        };
        let whole = bytes.len();
        assert!(!damaged(right, whole));
        assert!(damaged(right ^ 0x10, whole));
        // The network card was to finish it.
        assert!(damaged(folded(&pseudo), whole));
        // Left out, or not captured whole.
        assert!(!damaged(0, whole));
        assert!(!damaged(right ^ 0x10, whole - 1));
    }

    #[test]
    fn ethernet_tunnels_are_peeled() {
        let frame = ethernet(0x0800, &ipv4(6, &probe()));
        reaches_probe(
            LinkType::RAW,
            &over_udp(4789, &[8, 0, 0, 0, 0, 0, 7, 0], &frame),
            1,
        );
        reaches_probe(
            LinkType::RAW,
            &over_udp(4790, &[0x0c, 0, 0, 3, 0, 0, 7, 0], &frame),
            1,
        );
        reaches_probe(
            LinkType::RAW,
            &over_udp(8472, &[8, 0, 0, 0, 0, 0, 1, 0], &frame),
            1,
        );
        // RFC 8926: one option of eight bytes, network 7.
        let geneve = [2, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 3, 1, 0, 0, 0, 0];
        reaches_probe(LinkType::RAW, &over_udp(6081, &geneve, &frame), 1);
    }

    #[test]
    fn ip_tunnels_are_peeled() {
        let packet = ipv4(6, &probe());
        let len = u16::try_from(packet.len()).unwrap();
        let gtp = |flags, extra: u16| {
            let [l0, l1] = (len + extra).to_be_bytes();
            [flags, 255, l0, l1, 0, 0, 0, 1]
        };
        reaches_probe(LinkType::RAW, &over_udp(2152, &gtp(0x30, 0), &packet), 1);
        let numbered = [&gtp(0x32, 4)[..], &[0, 1, 0, 0]].concat();
        reaches_probe(LinkType::RAW, &over_udp(2152, &numbered, &packet), 1);
        // TS 29.281: a PDU session container (0x85) of one unit, nothing behind it.
        let extended = [&gtp(0x34, 8)[..], &[0, 0, 0, 0x85, 1, 0x10, 1, 0]].concat();
        reaches_probe(LinkType::RAW, &over_udp(2152, &extended, &packet), 1);
        reaches_probe(
            LinkType::RAW,
            &over_udp(4790, &[0x0c, 0, 0, 1, 0, 0, 7, 0], &packet),
            1,
        );
        reaches_probe(
            LinkType::RAW,
            &over_udp(6635, &[0, 6, 0x41, 64], &packet),
            1,
        );
        reaches_probe(LinkType::RAW, &over_udp(4754, &[0, 0, 8, 0], &packet), 2);
        let origin = [0, 0, 0xff, 0xff, 1, 2, 3, 4];
        reaches_probe(
            LinkType::RAW,
            &over_udp(3544, &origin, &ipv6(6, &probe())),
            1,
        );
        let mut ayiya = vec![0x40, 0x52, 0x11, 41, 0, 0, 0, 0];
        ayiya.extend([0; 16 + 20]);
        reaches_probe(
            LinkType::RAW,
            &over_udp(5072, &ayiya, &ipv6(6, &probe())),
            1,
        );
    }

    #[test]
    fn l2tp_fields_are_skipped_where_they_are() {
        let ppp = [&[0xff, 3, 0, 0x21][..], &ipv4(6, &probe())].concat();
        let bare = [0x00, 2, 0, 1, 0, 1];
        reaches_probe(LinkType::RAW, &over_udp(1701, &bare, &ppp), 1);
        let [l0, l1] = u16::try_from(16 + ppp.len()).unwrap().to_be_bytes();
        let full = [0x4a, 2, l0, l1, 0, 1, 0, 1, 0, 1, 0, 0, 0, 2, 0, 0];
        reaches_probe(LinkType::RAW, &over_udp(1701, &full, &ppp), 1);
    }

    #[test]
    fn other_traffic_on_tunnel_ports_stays_udp() {
        let mut decoder = Decoder::new();
        for (port, payload) in [
            (4789, &[0, 0, 0, 0, 0, 0, 0, 0][..]),
            // An L2TP hello, a control message.
            (1701, &[0xc8, 2, 0, 12, 0, 1, 0, 0, 0, 0, 0, 0]),
            // A GTP echo request; a GENEVE control packet; flannel's port without a frame, and with something else.
            (2152, &[0x32, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0]),
            (6081, &[0, 0x80, 0x65, 0x58, 0, 0, 0, 0]),
            (8472, &[8, 0, 0, 0, 0, 0, 1, 0]),
            (8472, b"\x08 any other datagram as long as that"),
        ] {
            let bytes = over_udp(port, payload, &[]);
            let packet = decode(&mut decoder, LinkType::RAW, &bytes);
            assert!(matches!(packet.transport, Transport::Udp(_)), "{packet:?}");
            assert_eq!((packet.tunnels, packet.stopped), (0, None));
        }
    }
}
