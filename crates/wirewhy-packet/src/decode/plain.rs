//! The usual frame: Ethernet, IPv4 without options or IPv6 without extensions, TCP or UDP.
//!
//! It is read in one piece, as the walk would read it header by header. A frame that is anything else, or of which anything
//! is damaged or cut, is left to the walk.

use std::net::{IpAddr, Ipv4Addr};

use super::ip::{IPV6_HEADER, protocol};
use super::tcp::{BLANK, FIXED_HEADER, read_list};
use super::udp::is_tunnel_port;
use super::view::{ByteView, length};
use crate::{Ip, IpId, MacAddr, Packet, Seq, TcpFlags, Transport, UdpDatagram};

/// Fills `packet` in from an Ethernet frame. Returns whether the frame is a usual one; of another nothing is filled in.
#[inline]
pub(super) fn read<'a>(view: ByteView<'a>, packet: &mut Packet<'a>) -> bool {
    let Some((&ethernet, _)) = view.data.split_first_chunk::<14>() else {
        return false;
    };
    let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = ethernet;
    let inside = view.skip(14);
    let behind = match [t0, t1] {
        [0x08, 0x00] => read_ipv4(inside, &mut packet.ip),
        [0x86, 0xdd] => read_ipv6(inside, &mut packet.ip),
        _ => None,
    };
    let is_usual = match (behind, &packet.ip) {
        (Some((protocol::TCP, inside)), Some(ip)) => read_tcp(inside, ip, &mut packet.transport),
        (Some((protocol::UDP, inside)), _) => read_udp(inside, &mut packet.transport),
        _ => false,
    };
    if !is_usual {
        packet.ip = None;
        return false;
    }
    packet.link.source = Some(MacAddr([s0, s1, s2, s3, s4, s5]));
    packet.link.destination = Some(MacAddr([d0, d1, d2, d3, d4, d5]));
    true
}

/// Reads a header of five words, that of no fragment. Returns the protocol, and what is inside.
#[inline(always)]
fn read_ipv4<'a>(view: ByteView<'a>, ip: &mut Option<Ip>) -> Option<(u8, ByteView<'a>)> {
    let &[
        0x45,
        tos,
        l0,
        l1,
        i0,
        i1,
        f0,
        f1,
        ttl,
        protocol,
        _,
        _,
        a0,
        a1,
        a2,
        a3,
        b0,
        b1,
        b2,
        b3,
    ] = view.data.first_chunk::<20>()?
    else {
        return None;
    };
    // More fragments, and where this one belongs.
    let is_fragment = u16::from_be_bytes([f0 & 0x3f, f1]) != 0;
    let total = usize::from(u16::from_be_bytes([l0, l1]));
    if is_fragment || total < 20 {
        return None;
    }
    *ip = Some(Ip {
        source: IpAddr::V4(Ipv4Addr::new(a0, a1, a2, a3)),
        destination: IpAddr::V4(Ipv4Addr::new(b0, b1, b2, b3)),
        ttl,
        id: Some(IpId {
            id: u16::from_be_bytes([i0, i1]),
            dont_fragment: f0 & 0x40 != 0,
        }),
        tos,
        total_len: length(total),
        len_from_frame: false,
        reassembled: false,
    });
    Some((protocol, view.limit(total).skip(20)))
}

/// Reads a header with a length. Returns what follows it, and what is inside.
#[inline(always)]
fn read_ipv6<'a>(view: ByteView<'a>, ip: &mut Option<Ip>) -> Option<(u8, ByteView<'a>)> {
    let (&[v0, v1, _, _, l0, l1, next, hops], rest) = view.data.split_first_chunk::<8>()?;
    let (&source, rest) = rest.split_first_chunk::<16>()?;
    let &destination = rest.first_chunk::<16>()?;
    let claimed = usize::from(u16::from_be_bytes([l0, l1]));
    if v0 >> 4 != 6 || claimed == 0 {
        return None;
    }
    let total = IPV6_HEADER + claimed;
    *ip = Some(Ip {
        source: IpAddr::V6(source.into()),
        destination: IpAddr::V6(destination.into()),
        ttl: hops,
        id: None,
        tos: v0 << 4 | v1 >> 4,
        total_len: length(total),
        len_from_frame: false,
        reassembled: false,
    });
    Some((next, view.limit(total).skip(IPV6_HEADER)))
}

/// Reads a segment. Returns whether its header is whole and has a length it can have; else nothing is filled in.
#[inline(always)]
fn read_tcp<'a>(view: ByteView<'a>, ip: &Ip, transport: &mut Transport<'a>) -> bool {
    let bytes = view.data;
    let Some((&tcp, _)) = bytes.split_first_chunk::<FIXED_HEADER>() else {
        return false;
    };
    let [
        p0,
        p1,
        q0,
        q1,
        n0,
        n1,
        n2,
        n3,
        k0,
        k1,
        k2,
        k3,
        offset,
        flags,
        w0,
        w1,
        ..,
    ] = tcp;
    let header_len = (offset >> 4) * 4;
    let Some((header, payload)) = bytes.split_at_checked(usize::from(header_len)) else {
        return false;
    };
    let Some(options) = header.get(FIXED_HEADER..) else {
        return false;
    };
    *transport = BLANK;
    if let Transport::Tcp(segment) = transport {
        segment.source_port = u16::from_be_bytes([p0, p1]);
        segment.destination_port = u16::from_be_bytes([q0, q1]);
        segment.seq = Seq(u32::from_be_bytes([n0, n1, n2, n3]));
        segment.ack = Seq(u32::from_be_bytes([k0, k1, k2, k3]));
        segment.flags = TcpFlags(u16::from_be_bytes([offset & 0x0f, flags]));
        segment.window = u16::from_be_bytes([w0, w1]);
        segment.header_len = header_len;
        segment.payload = payload;
        segment.payload_len = length(view.wire - usize::from(header_len));
        read_list(options, &mut segment.options);
        segment.check(bytes, ip);
    }
    true
}

/// Reads a datagram. Returns whether its header is whole, its length can be, and its ports are of no tunnel; else nothing is
/// filled in.
#[inline(always)]
fn read_udp<'a>(view: ByteView<'a>, transport: &mut Transport<'a>) -> bool {
    let Some((&[p0, p1, q0, q1, l0, l1, ..], _)) = view.data.split_first_chunk::<8>() else {
        return false;
    };
    let [source_port, destination_port, claimed] =
        [[p0, p1], [q0, q1], [l0, l1]].map(u16::from_be_bytes);
    if claimed < 8 || is_tunnel_port(source_port) || is_tunnel_port(destination_port) {
        return false;
    }
    let payload = view.limit(usize::from(claimed)).skip(8);
    *transport = Transport::Udp(UdpDatagram {
        source_port,
        destination_port,
        payload: payload.data,
        payload_len: length(payload.wire),
    });
    true
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Random, ethernet, ipv4, ipv6, probe, udp};
    use super::super::{Decoder, blank};
    use super::*;
    use crate::{Frame, LinkType, Timestamp};

    /// What the walk makes of a frame, and what this file does, if it takes it.
    fn both(data: &[u8], original_len: u32) -> (String, Option<String>) {
        let frame = Frame {
            number: 1,
            time: Timestamp(0),
            link_type: LinkType::ETHERNET,
            interface: 0,
            original_len,
            data,
        };
        let mut decoder = Decoder::new();
        let mut walked = blank(&frame);
        decoder.walk(LinkType::ETHERNET, ByteView::of(&frame), &mut walked);
        let mut packet = blank(&frame);
        let untouched = format!("{packet:?}");
        let taken = read(ByteView::of(&frame), &mut packet);
        let packet = format!("{packet:?}");
        assert!(taken || packet == untouched);
        (format!("{walked:?}"), taken.then_some(packet))
    }

    fn segment() -> Vec<u8> {
        ethernet(0x0800, &ipv4(6, &probe()))
    }

    fn datagram(port: u16) -> Vec<u8> {
        ethernet(0x0800, &ipv4(17, &udp(50_000, port, &[8; 32])))
    }

    fn segment_v6() -> Vec<u8> {
        ethernet(0x86dd, &ipv6(6, &probe()))
    }

    fn datagram_v6() -> Vec<u8> {
        ethernet(0x86dd, &ipv6(17, &udp(50_000, 53, &[8; 32])))
    }

    #[test]
    fn what_is_taken_is_what_the_walk_makes_of_it() {
        for usual in [segment(), datagram(53), segment_v6(), datagram_v6()] {
            changed_at_random(&usual);
        }
    }

    fn changed_at_random(usual: &[u8]) {
        let mut random = Random(7);
        let (mut taken, mut left) = (0, 0);
        for round in 0..40_000_u32 {
            let mut bytes = usual.to_vec();
            // Header bytes, the payload, and one of them often none at all.
            for _ in 0..random.next() % 4 {
                let at = usize::try_from(random.next()).unwrap() % bytes.len();
                bytes[at] = random.next().to_be_bytes()[0];
            }
            if round % 3 == 0 {
                bytes.truncate(
                    usize::try_from(random.next() % 90)
                        .unwrap()
                        .min(bytes.len()),
                );
            }
            let original = u32::try_from(bytes.len()).unwrap();
            let more = [0, 0, 6, 900][usize::try_from(random.next() % 4).unwrap()];
            let (walked, packet) = both(&bytes, original + more);
            match packet {
                Some(packet) => {
                    assert_eq!(packet, walked, "{bytes:?}");
                    taken += 1;
                }
                None => left += 1,
            }
        }
        assert!(taken > 5_000 && left > 5_000, "{taken} {left}");
    }

    #[test]
    fn the_usual_frame_is_taken() {
        for usual in [segment(), datagram(53), segment_v6(), datagram_v6()] {
            let len = u32::try_from(usual.len()).unwrap();
            let (walked, packet) = both(&usual, len);
            assert_eq!(packet, Some(walked));
            // Padding behind it is no payload.
            let padded = [&usual[..], &[0; 9]].concat();
            let (walked, packet) = both(&padded, len + 9);
            assert_eq!(packet, Some(walked));
        }
    }

    #[test]
    fn a_tunnel_is_left_to_the_walk() {
        let tunnel = datagram(4_789);
        let len = u32::try_from(tunnel.len()).unwrap();
        assert_eq!(both(&tunnel, len).1, None);
    }
}
