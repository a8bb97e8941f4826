//! IPv4 (RFC 791) and IPv6 with its extension headers (RFC 8200).

use std::net::IpAddr;

use etherparse::{
    Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice,
};

use super::fragments::{Added, Fragment, FragmentKey};
use super::view::{ByteView, length};
use super::{Layer, Next, Walk};
use crate::{Fragment as Piece, Ip, IpId, StopReason, Transport};

/// The numbers of the [IANA registry](https://www.iana.org/assignments/protocol-numbers) that this program follows.
pub(super) mod protocol {
    use etherparse::ip_number as number;

    pub(crate) const HOP_BY_HOP: u8 = number::IPV6_HEADER_HOP_BY_HOP.0;
    pub(crate) const ICMP: u8 = number::ICMP.0;
    pub(crate) const IPV4: u8 = number::IPV4.0;
    pub(crate) const TCP: u8 = number::TCP.0;
    pub(crate) const UDP: u8 = number::UDP.0;
    pub(crate) const DCCP: u8 = number::DCCP.0;
    pub(crate) const IPV6: u8 = number::IPV6.0;
    pub(crate) const ROUTING: u8 = number::IPV6_ROUTE_HEADER.0;
    pub(crate) const FRAGMENT: u8 = number::IPV6_FRAGMENTATION_HEADER.0;
    pub(crate) const GRE: u8 = number::GRE.0;
    pub(crate) const ESP: u8 = number::ENCAPSULATING_SECURITY_PAYLOAD.0;
    pub(crate) const AH: u8 = number::AUTHENTICATION_HEADER.0;
    pub(crate) const ICMPV6: u8 = number::IPV6_ICMP.0;
    pub(crate) const NO_NEXT: u8 = number::IPV6_NO_NEXT_HEADER.0;
    pub(crate) const DESTINATION: u8 = number::IPV6_DESTINATION_OPTIONS.0;
    pub(crate) const ETHER_IP: u8 = number::ETHER_IP.0;
    pub(crate) const SCTP: u8 = number::SCTP.0;
    pub(crate) const MOBILITY: u8 = number::MOBILITY_HEADER.0;
    pub(crate) const UDP_LITE: u8 = number::UDP_LITE.0;
    pub(crate) const MPLS: u8 = number::MPLS_IN_IP.0;
    pub(crate) const HIP: u8 = number::HIP.0;
    pub(crate) const SHIM6: u8 = number::SHIM6.0;
    pub(crate) const ETHERNET: u8 = 143;
}

/// The IPv4 header without options.
const IPV4_HEADER: usize = 20;

/// The fixed IPv6 header.
pub(super) const IPV6_HEADER: usize = 40;

/// The shortest Ethernet payload: a shorter packet is padded to it, so a length cannot be taken from such a frame.
const ETHERNET_MIN_PAYLOAD: usize = 46;

impl<'a> Walk<'a, '_> {
    #[inline(always)]
    pub(super) fn ip_version(&mut self, view: ByteView<'a>) -> Next<'a> {
        match view.byte(0).map(|first| first >> 4) {
            Some(4) => self.ipv4(view),
            Some(6) => self.ipv6(view),
            Some(_) => self.stop("ip", StopReason::Malformed),
            None => self.stop_short("ip", view, 1),
        }
    }

    /// The lengths are our own business: etherparse's lax packet slices know what was captured, not what was sent.
    #[inline(always)]
    fn ipv4(&mut self, view: ByteView<'a>) -> Next<'a> {
        let Ok(header) = Ipv4HeaderSlice::from_slice(view.data) else {
            return self.damaged_ipv4(view);
        };
        let total = self.enter_ipv4(&header, view.wire);
        let header_len = header.slice().len();
        if total < header_len {
            return self.stop("ipv4", StopReason::Malformed);
        }
        let payload = view.limit(total).skip(header_len);
        if header.is_fragmenting_payload() {
            return self.ipv4_fragment(&header, total, payload);
        }
        self.ip_protocol(header.protocol().0, payload)
    }

    /// Takes in what the header says; returns the length of the packet.
    #[inline(always)]
    fn enter_ipv4(&mut self, header: &Ipv4HeaderSlice<'_>, wire: usize) -> usize {
        let claimed = usize::from(header.total_len());
        // Segmentation offload fills the length in after the capture.
        let len_from_frame = claimed == 0;
        let total = if len_from_frame { wire } else { claimed };
        self.enter_ip(Ip {
            source: IpAddr::V4(header.source_addr()),
            destination: IpAddr::V4(header.destination_addr()),
            ttl: header.ttl(),
            id: Some(IpId {
                id: header.identification(),
                dont_fragment: header.dont_fragment(),
            }),
            tos: (header.dcp().value() << 2) | header.ecn().value(),
            total_len: length(total),
            len_from_frame,
            reassembled: false,
        });
        self.packet.transport = Transport::OtherIp {
            protocol: header.protocol().0,
        };
        total
    }

    /// A header cut inside its options, or of a length it cannot have. etherparse refuses it; its addresses are read
    /// all the same.
    #[cold]
    fn damaged_ipv4(&mut self, view: ByteView<'a>) -> Next<'a> {
        let fixed = ipv4_without_options(view);
        let header = fixed
            .as_ref()
            .and_then(|fixed| Ipv4HeaderSlice::from_slice(fixed).ok());
        let Some(header) = header else {
            return self.stop_short("ipv4", view, IPV4_HEADER);
        };
        let total = self.enter_ipv4(&header, view.wire);
        let header_len = ipv4_header_len(view);
        if header_len < IPV4_HEADER || total < header_len {
            return self.stop("ipv4", StopReason::Malformed);
        }
        self.stop_short("ipv4", view, header_len)
    }

    #[inline(never)]
    fn ipv4_fragment(
        &mut self,
        header: &Ipv4HeaderSlice<'_>,
        total: usize,
        payload: ByteView<'a>,
    ) -> Next<'a> {
        let headers = header.slice().len();
        let protocol = header.protocol().0;
        self.fragment(Fragment {
            key: FragmentKey::V4 {
                source: header.source_addr(),
                destination: header.destination_addr(),
                id: header.identification(),
                protocol,
            },
            protocol,
            offset: usize::from(header.fragments_offset().byte_offset()),
            last: !header.more_fragments(),
            // RFC 791: the length covers header and data.
            claimed: total - headers,
            data: payload.data,
            headers,
        })
    }

    #[inline(never)]
    fn ipv6(&mut self, view: ByteView<'a>) -> Next<'a> {
        let Ok(header) = Ipv6HeaderSlice::from_slice(view.data) else {
            return self.stop_short("ipv6", view, IPV6_HEADER);
        };
        let protocol = header.next_header().0;
        let claimed = usize::from(header.payload_length());
        // Segmentation offload, and packets beyond 64 KiB (RFC 2675 writes a zero).
        let len_from_frame = claimed == 0
            && protocol != protocol::NO_NEXT
            && view.wire > ETHERNET_MIN_PAYLOAD.max(IPV6_HEADER + 20);
        let total = if len_from_frame {
            view.wire
        } else {
            IPV6_HEADER + claimed
        };
        self.enter_ip(Ip {
            source: IpAddr::V6(header.source_addr()),
            destination: IpAddr::V6(header.destination_addr()),
            ttl: header.hop_limit(),
            id: None,
            tos: header.traffic_class(),
            total_len: length(total),
            len_from_frame,
            reassembled: false,
        });
        self.packet.transport = Transport::OtherIp { protocol };
        self.ip_protocol(protocol, view.limit(total).skip(IPV6_HEADER))
    }

    #[inline(always)]
    fn enter_ip(&mut self, ip: Ip) {
        self.packet.ip = Some(ip);
        self.packet.tunnels += self.pending_tunnels;
        self.pending_tunnels = 0;
    }

    #[inline(always)]
    pub(super) fn ip_protocol(&mut self, protocol: u8, view: ByteView<'a>) -> Next<'a> {
        match protocol {
            protocol::TCP => self.tcp(view),
            protocol::UDP => self.udp(view),
            protocol::ICMP => self.icmp(view),
            protocol::ICMPV6 => self.icmpv6(view),
            protocol::IPV4 | protocol::IPV6 => self.tunnel(Layer::IpVersion, view),
            protocol::GRE => self.gre(view),
            protocol::MPLS => Some((Layer::Mpls, view)),
            // RFC 3378: version 3 and twelve reserved bits.
            protocol::ETHER_IP => self.tunnel(Layer::Ethernet, view.skip(2)),
            // RFC 8986 section 4.12.
            protocol::ETHERNET => self.tunnel(Layer::Ethernet, view),
            protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::DESTINATION
            | protocol::MOBILITY
            | protocol::HIP
            | protocol::SHIM6 => self.extension(view),
            protocol::AH => self.authentication(view),
            protocol::FRAGMENT => self.ipv6_fragment(view),
            protocol::NO_NEXT => None,
            protocol::ESP => self.stop("esp", StopReason::Encrypted),
            _ => self.stop("ip", StopReason::Unsupported),
        }
    }

    /// Goes on inside a tunnel.
    pub(super) fn tunnel(&mut self, inside: Layer, view: ByteView<'a>) -> Next<'a> {
        self.pending_tunnels += 1;
        Some((inside, view))
    }

    /// RFC 8200 section 4 and RFC 6564. One by one: etherparse's chain of extensions holds them to the order RFC 8200
    /// recommends, and ends at those that break it.
    #[inline(never)]
    fn extension(&mut self, view: ByteView<'a>) -> Next<'a> {
        match Ipv6RawExtHeaderSlice::from_slice(view.data) {
            Ok(header) => self.behind_extension(header.next_header().0, header.slice().len(), view),
            Err(short) => self.stop_short("ipv6-extension", view, short.required_len),
        }
    }

    /// RFC 4302 section 2.2: the length is in units of 4 bytes, minus 2. etherparse refuses the length 0, which RFC 1826
    /// section 3.1 allows.
    #[inline(never)]
    fn authentication(&mut self, view: ByteView<'a>) -> Next<'a> {
        let Some([next, units]) = view.chunk(0) else {
            return self.stop_short("ah", view, 12);
        };
        let len = (usize::from(units) + 2) * 4;
        if view.data.len() < len {
            return self.stop_short("ah", view, len);
        }
        self.behind_extension(next, len, view)
    }

    fn behind_extension(&mut self, next: u8, len: usize, view: ByteView<'a>) -> Next<'a> {
        self.packet.transport = Transport::OtherIp { protocol: next };
        Some((Layer::Ip(next), view.skip(len)))
    }

    /// RFC 8200 section 4.5.
    #[inline(never)]
    fn ipv6_fragment(&mut self, view: ByteView<'a>) -> Next<'a> {
        let header = match Ipv6FragmentHeaderSlice::from_slice(view.data) {
            Ok(header) => header,
            Err(short) => return self.stop_short("ipv6-fragment", view, short.required_len),
        };
        let next = header.next_header().0;
        let rest = view.skip(header.slice().len());
        self.packet.transport = Transport::OtherIp { protocol: next };
        // RFC 6946: a fragment that is the whole datagram.
        if !header.is_fragmenting_payload() {
            return Some((Layer::Ip(next), rest));
        }
        let Some(Ip {
            source: IpAddr::V6(source),
            destination: IpAddr::V6(destination),
            total_len,
            ..
        }) = self.packet.ip
        else {
            return self.stop("ipv6-fragment", StopReason::Malformed);
        };
        let total = usize::try_from(total_len).unwrap_or(usize::MAX);
        self.fragment(Fragment {
            key: FragmentKey::V6 {
                source,
                destination,
                id: header.identification(),
            },
            protocol: next,
            offset: usize::from(header.fragment_offset().byte_offset()),
            last: !header.more_fragments(),
            claimed: rest.wire,
            data: rest.data,
            headers: total.saturating_sub(view.wire),
        })
    }

    #[inline(never)]
    fn fragment(&mut self, fragment: Fragment<'a>) -> Next<'a> {
        self.packet.transport = Transport::Fragment(Piece {
            protocol: fragment.protocol,
            offset: length(fragment.offset),
            data: fragment.data,
        });
        let headers = fragment.headers;
        if fragment.data.len() < fragment.claimed {
            self.stop("fragment", StopReason::Truncated);
            // It can never be put together, so the transport header in the first fragment is all there is.
            let is_first = fragment.offset == 0;
            let rest = ByteView {
                data: fragment.data,
                wire: fragment.claimed,
            };
            return is_first.then_some((Layer::Ip(fragment.protocol), rest));
        }
        match self.fragments.add(self.packet.time, fragment) {
            Added::Pending => None,
            Added::Malformed => self.stop("fragment", StopReason::Malformed),
            Added::Complete(datagram) => {
                if let Some(ip) = &mut self.packet.ip {
                    ip.total_len = length(headers + datagram.bytes.len());
                    ip.len_from_frame = false;
                    ip.reassembled = true;
                }
                self.packet.transport = Transport::OtherIp {
                    protocol: datagram.protocol,
                };
                self.completed = Some(datagram);
                None
            }
        }
    }
}

/// The length an IPv4 header gives itself.
pub(super) fn ipv4_header_len(view: ByteView<'_>) -> usize {
    usize::from(view.byte(0).unwrap_or(0) & 0x0f) * 4
}

/// The fixed part of an IPv4 header, made to say that nothing follows it.
pub(super) fn ipv4_without_options(view: ByteView<'_>) -> Option<[u8; IPV4_HEADER]> {
    let mut fixed = view.chunk::<IPV4_HEADER>(0)?;
    fixed[0] = (fixed[0] & 0xf0) | 5;
    Some(fixed)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{decode, ethernet, ipv4, ipv6, probe, reaches_probe};
    use super::*;
    use std::net::Ipv4Addr;

    use crate::{Decoder, LinkType};

    fn ip_of(bytes: &[u8]) -> Ip {
        let mut decoder = Decoder::new();
        let packet = decode(&mut decoder, LinkType::RAW, bytes);
        packet.ip.unwrap()
    }

    #[test]
    fn ipv4_fields_are_kept() {
        let ip = ip_of(&ipv4(6, &probe()));
        assert_eq!(ip.source, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!(ip.destination, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)));
        assert_eq!((ip.ttl, ip.tos, ip.total_len), (64, 0, 68));
        let id = IpId {
            id: 0x1234,
            dont_fragment: true,
        };
        assert_eq!(ip.id, Some(id));
        assert!(!ip.len_from_frame && !ip.reassembled);
    }

    #[test]
    fn ipv6_fields_are_kept() {
        let ip = ip_of(&ipv6(6, &probe()));
        assert_eq!(ip.source, "2001:db8::1".parse::<IpAddr>().unwrap());
        assert_eq!(ip.destination, "2001:db8::2".parse::<IpAddr>().unwrap());
        assert_eq!((ip.ttl, ip.tos, ip.total_len), (64, 0xb8, 88));
        assert_eq!(ip.id, None);
    }

    #[test]
    fn ipv4_options_are_skipped() {
        let mut bytes = ipv4(6, &probe());
        bytes[0] = 0x47;
        bytes[3] += 8;
        // RFC 2113: router alert, then end of options.
        bytes.splice(20..20, [0x94, 4, 0, 0, 0, 0, 0, 0]);
        reaches_probe(LinkType::RAW, &bytes, 0);
    }

    #[test]
    fn a_length_of_zero_is_taken_from_the_frame() {
        let mut bytes = ipv4(6, &probe());
        bytes[2..4].copy_from_slice(&[0, 0]);
        reaches_probe(LinkType::RAW, &bytes, 0);
        let ip = ip_of(&bytes);
        assert!(ip.len_from_frame);
        assert_eq!(ip.total_len, 68);
    }

    #[test]
    fn an_ipv6_length_of_zero_is_taken_from_a_frame_too_long_for_padding() {
        let mut bytes = ipv6(6, &probe());
        bytes[4..6].copy_from_slice(&[0, 0]);
        let mut decoder = Decoder::new();
        let packet = decode(&mut decoder, LinkType::RAW, &bytes);
        assert!(matches!(packet.transport, Transport::Tcp(_)));
        assert!(ip_of(&bytes).len_from_frame);
        let padded = decode(&mut decoder, LinkType::RAW, &bytes[..46]);
        assert!(
            padded
                .ip
                .is_some_and(|ip| !ip.len_from_frame && ip.total_len == 40)
        );
    }

    #[test]
    fn headers_that_contradict_themselves_are_malformed() {
        let mut short_header = ipv4(6, &probe());
        short_header[0] = 0x44;
        let mut short_total = ipv4(6, &probe());
        short_total[2..4].copy_from_slice(&[0, 19]);
        let mut version = ipv4(6, &probe());
        version[0] = 0x55;
        let mut decoder = Decoder::new();
        for bytes in [short_header, short_total, version] {
            let packet = decode(&mut decoder, LinkType::RAW, &bytes);
            assert_eq!(
                packet.stopped.map(|stop| stop.reason),
                Some(StopReason::Malformed)
            );
        }
    }

    #[test]
    fn a_frame_that_ends_before_the_header_does_is_malformed_not_cut() {
        let bytes = ipv4(6, &probe());
        let mut decoder = Decoder::new();
        let packet = decode(&mut decoder, LinkType::RAW, &bytes[..19]);
        assert_eq!(
            packet.stopped.map(|stop| stop.reason),
            Some(StopReason::Malformed)
        );
    }

    #[test]
    fn every_extension_header_is_skipped() {
        let mut chain = probe();
        let mut next = protocol::TCP;
        for kind in [
            protocol::HOP_BY_HOP,
            protocol::ROUTING,
            protocol::DESTINATION,
            protocol::MOBILITY,
            protocol::HIP,
            protocol::SHIM6,
        ] {
            chain = [&[next, 1][..], &[0; 14], &chain].concat();
            next = kind;
        }
        // RFC 4302: four words of header and three of check value; RFC 6946: an atomic fragment.
        chain = [&[next, 5][..], &[0; 26], &chain].concat();
        chain = [&[protocol::AH, 0, 0, 0, 0, 0, 0, 9][..], &chain].concat();
        reaches_probe(LinkType::RAW, &ipv6(protocol::FRAGMENT, &chain), 0);
    }

    #[test]
    fn authentication_is_skipped_in_ipv4_too() {
        let inner = [&[protocol::TCP, 4][..], &[0; 22], &probe()].concat();
        reaches_probe(LinkType::RAW, &ipv4(protocol::AH, &inner), 0);
    }

    #[test]
    fn esp_is_encrypted_and_no_next_header_is_the_end() {
        let mut decoder = Decoder::new();
        let bytes = ipv6(protocol::ESP, &[0; 40]);
        let packet = decode(&mut decoder, LinkType::RAW, &bytes);
        assert_eq!(
            packet.stopped.map(|stop| stop.reason),
            Some(StopReason::Encrypted)
        );
        let bytes = ipv6(protocol::NO_NEXT, &probe());
        let packet = decode(&mut decoder, LinkType::RAW, &bytes);
        assert_eq!(packet.stopped, None);
        assert!(matches!(
            packet.transport,
            Transport::OtherIp { protocol: 59 }
        ));
    }

    #[test]
    fn ip_and_ethernet_in_ip_are_peeled() {
        let frame = ethernet(0x0800, &ipv4(6, &probe()));
        reaches_probe(LinkType::RAW, &ipv4(4, &ipv4(6, &probe())), 1);
        reaches_probe(LinkType::RAW, &ipv4(41, &ipv6(6, &probe())), 1);
        reaches_probe(LinkType::RAW, &ipv6(4, &ipv4(6, &probe())), 1);
        reaches_probe(LinkType::RAW, &ipv6(41, &ipv6(6, &probe())), 1);
        reaches_probe(
            LinkType::RAW,
            &ipv4(97, &[&[0x30, 0][..], &frame].concat()),
            1,
        );
        reaches_probe(LinkType::RAW, &ipv6(143, &frame), 1);
        let labelled = [&[0, 6, 0x41, 64][..], &ipv4(6, &probe())].concat();
        reaches_probe(LinkType::RAW, &ipv4(137, &labelled), 0);
    }
}
