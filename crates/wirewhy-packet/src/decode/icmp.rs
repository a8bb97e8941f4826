//! ICMP (RFC 792), ICMPv6 (RFC 4443), the packets their errors quote, and neighbour discovery (RFC 4861).

use std::net::IpAddr;

use etherparse::icmpv6::{
    self, NdpOptionSlice, NdpOptionsIterator, NeighborAdvertisementPayloadSlice,
    NeighborSolicitationPayloadSlice,
};
use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};

use super::ip::{ipv4_header_len, ipv4_without_options, protocol};
use super::tcp;
use super::view::ByteView;
use super::{Next, Walk};
use crate::{IcmpError, MacAddr, NeighborDiscovery, Quoted, QuotedTcp, Seq, Transport};

/// The ICMP header, in front of the quoted packet.
const HEADER: usize = 8;

/// Extension headers followed in a quoted IPv6 packet.
const MAX_QUOTED_EXTENSIONS: usize = 8;

impl<'a> Walk<'a, '_> {
    /// Not by etherparse's slices: they refuse a message cut behind type and code, and timestamps of another length than
    /// theirs.
    #[inline(never)]
    pub(super) fn icmp(&mut self, view: ByteView<'a>) -> Next<'a> {
        let Some([kind, code]) = view.chunk(0) else {
            return self.stop_short("icmp", view, HEADER);
        };
        // RFC 1122 section 3.2.2: unreachable, source quench, redirect, time exceeded and parameter problem quote.
        if !matches!(kind, 3 | 4 | 5 | 11 | 12) {
            self.packet.transport = Transport::IcmpOther { kind, code };
            return None;
        }
        // RFC 4884 section 4.1: the length of the quote in words, where extensions follow it.
        let quote_len = match kind {
            3 | 11 | 12 => usize::from(view.byte(5).unwrap_or(0)) * 4,
            _ => 0,
        };
        let mtu = match (kind, code) {
            (3, 4) => view.be16(6).map(u32::from),
            _ => None,
        };
        self.icmp_error(view, false, (kind, code), mtu, quote_len)
    }

    #[inline(never)]
    pub(super) fn icmpv6(&mut self, view: ByteView<'a>) -> Next<'a> {
        let Some([kind, code]) = view.chunk(0) else {
            return self.stop_short("icmpv6", view, HEADER);
        };
        match kind {
            // RFC 4443 section 2.1: errors have the high bit clear; those defined are 1 to 4.
            1..=4 => {
                let quote_len = match kind {
                    1 | 3 => usize::from(view.byte(4).unwrap_or(0)) * 8,
                    _ => 0,
                };
                let mtu = if kind == 2 { view.be32(4) } else { None };
                self.icmp_error(view, true, (kind, code), mtu, quote_len)
            }
            icmpv6::TYPE_NEIGHBOR_SOLICITATION | icmpv6::TYPE_NEIGHBOR_ADVERTISEMENT => {
                self.neighbor(view, kind, code)
            }
            _ => {
                self.packet.transport = Transport::IcmpOther { kind, code };
                None
            }
        }
    }

    fn icmp_error(
        &mut self,
        view: ByteView<'a>,
        v6: bool,
        (kind, code): (u8, u8),
        mtu: Option<u32>,
        quote_len: usize,
    ) -> Next<'a> {
        let mut quote = view.skip(HEADER);
        if quote_len != 0 {
            quote = quote.limit(quote_len);
        }
        let quoted = if v6 {
            quoted_v6(quote)
        } else {
            quoted_v4(quote)
        };
        self.packet.transport = Transport::IcmpError(IcmpError {
            v6,
            kind,
            code,
            mtu,
            quoted,
        });
        let layer = if v6 { "icmpv6" } else { "icmp" };
        match quoted {
            Some(_) => None,
            None => self.stop_short(layer, quote, if v6 { 40 } else { 20 }),
        }
    }

    /// RFC 4861 sections 4.3 and 4.4.
    fn neighbor(&mut self, view: ByteView<'a>, kind: u8, code: u8) -> Next<'a> {
        let flags = view.byte(4).unwrap_or(0);
        let message = view.skip(HEADER);
        let advertisement = kind == icmpv6::TYPE_NEIGHBOR_ADVERTISEMENT;
        let read = if advertisement {
            NeighborAdvertisementPayloadSlice::from_slice(message.data)
                .map(|message| (message.target_address(), message.options_iterator()))
        } else {
            NeighborSolicitationPayloadSlice::from_slice(message.data)
                .map(|message| (message.target_address(), message.options_iterator()))
        };
        let (target, options) = match read {
            Ok(read) => read,
            Err(short) => {
                self.packet.transport = Transport::IcmpOther { kind, code };
                return self.stop_short("icmpv6", message, short.required_len);
            }
        };
        self.packet.transport = Transport::NeighborDiscovery(NeighborDiscovery {
            advertisement,
            solicited: advertisement && flags & 0x40 != 0,
            override_flag: advertisement && flags & 0x20 != 0,
            target,
            mac: link_address(options, advertisement),
        });
        None
    }
}

/// RFC 4861 section 4.6.1: a solicitation tells the source's MAC address, an advertisement the target's.
fn link_address(mut options: NdpOptionsIterator<'_>, of_target: bool) -> Option<MacAddr> {
    let address = options.find_map(|option| match option {
        Ok(NdpOptionSlice::SourceLinkLayerAddress(option)) if !of_target => {
            Some(option.link_layer_address())
        }
        Ok(NdpOptionSlice::TargetLinkLayerAddress(option)) if of_target => {
            Some(option.link_layer_address())
        }
        _ => None,
    })?;
    address.first_chunk().copied().map(MacAddr)
}

fn quoted_v4(view: ByteView<'_>) -> Option<Quoted> {
    // Whether the options were quoted does not matter: the transport header behind them is looked for by itself.
    let fixed = ipv4_without_options(view)?;
    let header = Ipv4HeaderSlice::from_slice(&fixed).ok()?;
    let header_len = ipv4_header_len(view);
    if header_len < fixed.len() {
        return None;
    }
    let total_len = header.total_len();
    let is_first = header.fragments_offset().value() == 0;
    let inside = is_first.then(|| claimed(view, header_len, usize::from(total_len)));
    Some(quoted(
        IpAddr::V4(header.source_addr()),
        IpAddr::V4(header.destination_addr()),
        header.ttl(),
        u32::from(total_len),
        (header.protocol().0, inside),
    ))
}

fn quoted_v6(view: ByteView<'_>) -> Option<Quoted> {
    let header = Ipv6HeaderSlice::from_slice(view.data).ok()?;
    let header_len = header.slice().len();
    let total = header_len + usize::from(header.payload_length());
    let inside = behind_extensions(header.next_header().0, claimed(view, header_len, total));
    Some(quoted(
        IpAddr::V6(header.source_addr()),
        IpAddr::V6(header.destination_addr()),
        header.hop_limit(),
        super::view::length(total),
        inside,
    ))
}

/// What follows the quoted IP header, with the length that header claims: the quote itself is shorter.
fn claimed(view: ByteView<'_>, header: usize, total: usize) -> ByteView<'_> {
    let data = view.skip(header).data;
    // Some stacks quote the length in host byte order, or cleared: one that leaves no room for ports is not believed.
    let wire = match total.saturating_sub(header) {
        0..8 => data.len(),
        plausible => plausible,
    };
    ByteView {
        data: data.get(..wire).unwrap_or(data),
        wire,
    }
}

/// The protocol behind the extension headers, and its header unless this is a later fragment or was not quoted. Not by
/// etherparse: of an extension header the quote cuts, it does not tell what would have followed.
fn behind_extensions(mut next: u8, mut view: ByteView<'_>) -> (u8, Option<ByteView<'_>>) {
    for _ in 0..MAX_QUOTED_EXTENSIONS {
        let Some([following, units]) = view.chunk(0) else {
            break;
        };
        let len = match next {
            protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION => {
                (usize::from(units) + 1) * 8
            }
            protocol::AH => (usize::from(units) + 2) * 4,
            protocol::FRAGMENT => 8,
            _ => return (next, Some(view)),
        };
        let is_later_fragment =
            next == protocol::FRAGMENT && view.be16(2).is_some_and(|at| at & 0xfff8 != 0);
        next = following;
        if is_later_fragment {
            return (next, None);
        }
        view = view.skip(len);
    }
    (next, None)
}

fn quoted(
    source: IpAddr,
    destination: IpAddr,
    ttl: u8,
    total_len: u32,
    (protocol, inside): (u8, Option<ByteView<'_>>),
) -> Quoted {
    let ports = match protocol {
        protocol::TCP | protocol::UDP | protocol::DCCP | protocol::SCTP | protocol::UDP_LITE => {
            inside.and_then(|view| Some((view.be16(0)?, view.be16(2)?)))
        }
        _ => None,
    };
    let tcp = match (protocol, inside) {
        (protocol::TCP, Some(view)) => quoted_tcp(view),
        _ => None,
    };
    Quoted {
        source,
        destination,
        protocol,
        ttl,
        total_len,
        ports,
        tcp,
    }
}

/// RFC 792 promises the first eight bytes; most routers quote more (RFC 1812 section 4.3.2.3).
fn quoted_tcp(view: ByteView<'_>) -> Option<QuotedTcp> {
    let seq = Seq(view.be32(4)?);
    let whole = view.data.len() >= 20;
    Some(QuotedTcp {
        seq,
        header: whole.then(|| tcp::quoted(view)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{
        decode, decode_cut, ipv4, ipv4_fragment, ipv6, probe, survives_mutation, udp,
    };
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    use crate::{Decoder, LinkType, StopReason, TcpFlags, TcpHeader};

    /// ICMP of a kind and code, the second word, then the quote.
    fn message(kind: u8, code: u8, word: [u8; 4], quote: &[u8]) -> Vec<u8> {
        [&[kind, code, 0, 0], &word, quote].concat()
    }

    #[track_caller]
    fn error_of(bytes: &[u8]) -> IcmpError {
        let mut decoder = Decoder::new();
        survives_mutation(LinkType::RAW, bytes);
        let packet = decode(&mut decoder, LinkType::RAW, bytes);
        match packet.transport {
            Transport::IcmpError(error) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn eight_quoted_bytes_give_ports_and_sequence_number() {
        let quote = &ipv4(6, &probe())[..28];
        let error = error_of(&ipv4(1, &message(3, 3, [0; 4], quote)));
        assert_eq!(
            (error.v6, error.kind, error.code, error.mtu),
            (false, 3, 3, None)
        );
        let quoted = error.quoted.unwrap();
        assert_eq!(quoted.source, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!((quoted.protocol, quoted.ttl, quoted.total_len), (6, 64, 68));
        assert_eq!(quoted.ports, Some((49152, 443)));
        let tcp = quoted.tcp.unwrap();
        assert_eq!(tcp.seq, Seq(0xffff_fff0));
        assert_eq!(tcp.header, None);
    }

    #[test]
    fn twenty_quoted_bytes_give_the_header_and_the_claimed_length() {
        let mut quote = ipv4(6, &probe());
        // RFC 7323: window scale 7; RFC 8684: MP_CAPABLE (0).
        quote[40..52].copy_from_slice(&[3, 3, 7, 1, 30, 4, 0x01, 0x81, 1, 1, 1, 1]);
        let header = |quote: &[u8]| {
            let error = error_of(&ipv4(1, &message(11, 0, [0; 4], quote)));
            error.quoted.unwrap().tcp.unwrap().header.unwrap()
        };
        let whole = TcpHeader {
            seq: Seq(0xffff_fff0),
            ack: Seq(0x1000),
            flags: TcpFlags::PSH.with(TcpFlags::ACK),
            window: 502,
            payload_len: 16,
            window_scale: Some(7),
            mptcp_subtypes: 1,
            options_cut: false,
        };
        assert_eq!(header(&quote[..52]), whole);
        let cut = TcpHeader {
            mptcp_subtypes: 0,
            options_cut: true,
            ..whole
        };
        assert_eq!(header(&quote[..44]), cut);
    }

    #[test]
    fn the_next_hop_mtu_is_read() {
        let quote = &ipv4(6, &probe())[..28];
        let error = error_of(&ipv4(1, &message(3, 4, [0, 0, 0x05, 0x14], quote)));
        assert_eq!(error.mtu, Some(1300));
        let quote = ipv6(6, &probe());
        let error = error_of(&ipv6(58, &message(2, 0, [0, 0, 0x05, 0x00], &quote)));
        assert_eq!((error.v6, error.mtu), (true, Some(1280)));
        assert_eq!(
            error.quoted.and_then(|quoted| quoted.ports),
            Some((49152, 443))
        );
    }

    #[test]
    fn every_error_is_told_from_other_messages() {
        let quote = &ipv4(6, &probe())[..28];
        let mut decoder = Decoder::new();
        for kind in 0..=255 {
            let bytes = ipv4(1, &message(kind, 0, [0; 4], quote));
            let packet = decode(&mut decoder, LinkType::RAW, &bytes);
            match packet.transport {
                Transport::IcmpError(_) => assert!([3, 4, 5, 11, 12].contains(&kind)),
                Transport::IcmpOther {
                    kind: decoded,
                    code: 0,
                } => {
                    assert!(![3, 4, 5, 11, 12].contains(&kind));
                    assert_eq!(decoded, kind);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn extensions_behind_the_quote_are_no_tcp_header() {
        // RFC 4884: seven words of quote, then an extension structure.
        let mut quote = ipv4(6, &probe())[..28].to_vec();
        quote.extend([0x20, 0, 0, 0, 0, 8, 1, 1, 0, 0, 0x10, 1]);
        let error = error_of(&ipv4(1, &message(11, 0, [0, 7, 0, 0], &quote)));
        let tcp = error.quoted.unwrap().tcp.unwrap();
        assert_eq!(tcp.header, None);
    }

    #[test]
    fn a_later_fragment_has_no_ports() {
        let quote = ipv4_fragment(6, 0x0010, &probe());
        let error = error_of(&ipv4(1, &message(11, 1, [0; 4], &quote)));
        let quoted = error.quoted.unwrap();
        assert_eq!((quoted.protocol, quoted.ports, quoted.tcp), (6, None, None));
    }

    #[test]
    fn udp_is_quoted_with_its_ports() {
        let quote = ipv4(17, &udp(5353, 53, b"query"));
        let error = error_of(&ipv4(1, &message(3, 3, [0; 4], &quote)));
        let quoted = error.quoted.unwrap();
        assert_eq!((quoted.ports, quoted.tcp), (Some((5353, 53)), None));
    }

    #[test]
    fn a_quoted_length_in_host_order_is_not_believed() {
        let mut quote = ipv4(6, &probe())[..48].to_vec();
        quote[2..4].copy_from_slice(&[0, 0]);
        let error = error_of(&ipv4(1, &message(3, 1, [0; 4], &quote)));
        assert_eq!(error.quoted.unwrap().ports, Some((49152, 443)));
    }

    #[test]
    fn quoted_extension_headers_are_skipped() {
        let destination_options = [&[6, 0][..], &[0; 6], &probe()].concat();
        let quote = ipv6(60, &destination_options);
        let error = error_of(&ipv6(58, &message(1, 4, [0; 4], &quote)));
        let quoted = error.quoted.unwrap();
        assert_eq!((quoted.protocol, quoted.ports), (6, Some((49152, 443))));
        // A later fragment.
        let fragment = [&[6, 0, 0, 8, 0, 0, 0, 1][..], &probe()].concat();
        let error = error_of(&ipv6(58, &message(3, 1, [0; 4], &ipv6(44, &fragment))));
        let quoted = error.quoted.unwrap();
        assert_eq!((quoted.protocol, quoted.ports), (6, None));
    }

    #[test]
    fn a_cut_quote_is_truncated_at_every_byte() {
        let bytes = ipv4(1, &message(3, 1, [0; 4], &ipv4(6, &probe())[..48]));
        let mut decoder = Decoder::new();
        for captured in 20..bytes.len() {
            let packet = decode_cut(&mut decoder, LinkType::RAW, &bytes, captured);
            match packet.transport {
                Transport::IcmpError(error) if error.quoted.is_some() => {
                    assert_eq!(packet.stopped, None);
                    let quoted = error.quoted.unwrap();
                    assert_eq!(quoted.ports.is_some(), captured >= 20 + 8 + 20 + 4);
                    assert_eq!(quoted.tcp.is_some(), captured >= 20 + 8 + 20 + 8);
                }
                _ => {
                    assert!(captured < 20 + 8 + 20);
                    let reason = packet.stopped.map(|stop| stop.reason);
                    assert_eq!(reason, Some(StopReason::Truncated));
                }
            }
        }
    }

    #[test]
    fn neighbour_discovery_finds_its_link_address_option() {
        let target = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
        // A nonce (14) stands in front.
        let options = [14, 1, 1, 2, 3, 4, 5, 6, 1, 1, 2, 0, 0, 0, 0, 1];
        let solicitation = message(135, 0, [0; 4], &[&target[..], &options].concat());
        let advertised = [&target[..], &[2, 1, 2, 0, 0, 0, 0, 2]].concat();
        let advertisement = message(136, 0, [0x60, 0, 0, 0], &advertised);
        let mut decoder = Decoder::new();
        for (message, is_advertisement, last) in
            [(solicitation, false, 1), (advertisement, true, 2)]
        {
            let bytes = ipv6(58, &message);
            survives_mutation(LinkType::RAW, &bytes);
            let packet = decode(&mut decoder, LinkType::RAW, &bytes);
            let Transport::NeighborDiscovery(neighbor) = packet.transport else {
                panic!("{packet:?}");
            };
            assert_eq!(neighbor.advertisement, is_advertisement);
            assert_eq!(neighbor.solicited, is_advertisement);
            assert_eq!(neighbor.override_flag, is_advertisement);
            assert_eq!(neighbor.target, Ipv6Addr::from(target));
            assert_eq!(neighbor.mac, Some(MacAddr([2, 0, 0, 0, 0, last])));
        }
    }

    #[test]
    fn an_option_of_no_length_ends_the_list() {
        let target = [0; 16];
        let bytes = ipv6(
            58,
            &message(136, 0, [0; 4], &[&target[..], &[9, 0, 2, 1]].concat()),
        );
        let mut decoder = Decoder::new();
        let packet = decode(&mut decoder, LinkType::RAW, &bytes);
        let Transport::NeighborDiscovery(neighbor) = packet.transport else {
            panic!("{packet:?}");
        };
        assert_eq!(neighbor.mac, None);
    }
}
