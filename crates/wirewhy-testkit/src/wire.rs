//! Headers as bytes, with right checksums.

use std::net::IpAddr;

use wirewhy_packet::MacAddr;

pub(crate) const ETHERNET_LEN: usize = 14;
pub(crate) const PROTOCOL_ICMP: u8 = 1;
pub(crate) const PROTOCOL_TCP: u8 = 6;
pub(crate) const PROTOCOL_UDP: u8 = 17;
pub(crate) const PROTOCOL_ICMPV6: u8 = 58;

/// An IP header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IpHeader {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) protocol: u8,
    pub(crate) ttl: u8,
    pub(crate) id: u16,
    pub(crate) dont_fragment: bool,
    pub(crate) tos: u8,
    /// The length field, where it is to be another than the real one.
    pub(crate) len: Option<u16>,
}

/// A TCP header.
#[derive(Clone, Debug)]
pub(crate) struct TcpHeader {
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u16,
    pub(crate) window: u16,
    pub(crate) options: Vec<u8>,
    /// The data offset in words, where it is to be another than the real one.
    pub(crate) data_offset: Option<u8>,
}

pub(crate) fn ethernet(source: MacAddr, destination: MacAddr, kind: u16, body: &[u8]) -> Vec<u8> {
    let kind = kind.to_be_bytes();
    [&destination.0, &source.0, kind.as_slice(), body].concat()
}

/// An Ethernet frame around an IP packet.
pub(crate) fn ethernet_ip(
    macs: (MacAddr, MacAddr),
    header: &IpHeader,
    body: &[u8],
) -> Result<Vec<u8>, String> {
    let kind = if header.source.is_ipv4() {
        0x0800
    } else {
        0x86dd
    };
    Ok(ethernet(macs.0, macs.1, kind, &ip(header, body)?))
}

pub(crate) fn ip(header: &IpHeader, body: &[u8]) -> Result<Vec<u8>, String> {
    let too_long = |_| format!("{} bytes do not fit an IP packet", body.len());
    match (header.source, header.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let real = u16::try_from(body.len() + 20).map_err(too_long)?;
            let [len_high, len_low] = header.len.unwrap_or(real).to_be_bytes();
            let [id_high, id_low] = header.id.to_be_bytes();
            let fragment = if header.dont_fragment { 0x40 } else { 0 };
            let mut bytes = vec![
                0x45,
                header.tos,
                len_high,
                len_low,
                id_high,
                id_low,
                fragment,
                0,
                header.ttl,
                header.protocol,
                0,
                0,
            ];
            bytes.extend_from_slice(&source.octets());
            bytes.extend_from_slice(&destination.octets());
            let sum = checksum(&bytes);
            put(&mut bytes, 10, sum);
            bytes.extend_from_slice(body);
            Ok(bytes)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let real = u16::try_from(body.len()).map_err(too_long)?;
            let mut bytes = vec![0x60 | header.tos >> 4, header.tos << 4, 0, 0];
            bytes.extend_from_slice(&header.len.unwrap_or(real).to_be_bytes());
            bytes.extend_from_slice(&[header.protocol, header.ttl]);
            bytes.extend_from_slice(&source.octets());
            bytes.extend_from_slice(&destination.octets());
            bytes.extend_from_slice(body);
            Ok(bytes)
        }
        _ => Err("IPv4 and IPv6 in one packet".to_owned()),
    }
}

/// Sets the time to live of an IP packet and mends the header's checksum.
pub(crate) fn set_ttl(packet: &mut [u8], ttl: u8) {
    let v4 = packet.first().is_some_and(|first| first >> 4 == 4);
    if let Some(place) = packet.get_mut(if v4 { 8 } else { 7 }) {
        *place = ttl;
    }
    if v4 {
        put(packet, 10, 0);
        let sum = packet.first_chunk::<20>().map_or(0, |head| checksum(head));
        put(packet, 10, sum);
    }
}

pub(crate) fn tcp(header: &TcpHeader, payload: &[u8], ip: &IpHeader) -> Vec<u8> {
    let words = (20 + header.options.len()) / 4;
    let words = header
        .data_offset
        .map_or_else(|| u16::try_from(words).unwrap_or(15), u16::from);
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&header.source_port.to_be_bytes());
    bytes.extend_from_slice(&header.destination_port.to_be_bytes());
    bytes.extend_from_slice(&header.seq.to_be_bytes());
    bytes.extend_from_slice(&header.ack.to_be_bytes());
    bytes.extend_from_slice(&(words << 12 | header.flags & 0x0fff).to_be_bytes());
    bytes.extend_from_slice(&header.window.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&header.options);
    bytes.extend_from_slice(payload);
    seal(&mut bytes, 16, ip);
    bytes
}

/// A UDP datagram.
pub(crate) fn udp(ports: (u16, u16), payload: &[u8], ip: &IpHeader) -> Vec<u8> {
    let mut bytes = Vec::new();
    let length = u16::try_from(payload.len() + 8).unwrap_or(u16::MAX);
    for field in [ports.0, ports.1, length, 0] {
        bytes.extend_from_slice(&field.to_be_bytes());
    }
    bytes.extend_from_slice(payload);
    seal(&mut bytes, 6, ip);
    bytes
}

/// An ICMP or ICMPv6 error: type, code, the second word, the quoted packet.
pub(crate) fn icmp(kind: u8, code: u8, word: u32, quoted: &[u8], ip: &IpHeader) -> Vec<u8> {
    let mut bytes = vec![kind, code, 0, 0];
    bytes.extend_from_slice(&word.to_be_bytes());
    bytes.extend_from_slice(quoted);
    if ip.protocol == PROTOCOL_ICMPV6 {
        seal(&mut bytes, 2, ip);
    } else {
        let sum = checksum(&bytes);
        put(&mut bytes, 2, sum);
    }
    bytes
}

/// An ARP packet for IPv4 over Ethernet: operation, then link and IP address of sender and target.
pub(crate) fn arp(
    operation: u16,
    sender: (MacAddr, [u8; 4]),
    target: (MacAddr, [u8; 4]),
) -> Vec<u8> {
    let mut bytes = vec![0, 1, 8, 0, 6, 4];
    bytes.extend_from_slice(&operation.to_be_bytes());
    for (mac, address) in [sender, target] {
        bytes.extend_from_slice(&mac.0);
        bytes.extend_from_slice(&address);
    }
    bytes
}

/// Fills in the checksum at `place`, over the pseudo header and the bytes.
fn seal(bytes: &mut [u8], place: usize, ip: &IpHeader) {
    let mut summed = Vec::new();
    for address in [ip.source, ip.destination] {
        match address {
            IpAddr::V4(address) => summed.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => summed.extend_from_slice(&address.octets()),
        }
    }
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    summed.extend_from_slice(&len.to_be_bytes());
    summed.extend_from_slice(&[0, 0, 0, ip.protocol]);
    summed.extend_from_slice(bytes);
    put(bytes, place, checksum(&summed));
}

fn put(bytes: &mut [u8], place: usize, value: u16) {
    if let Some(field) = bytes.get_mut(place..place + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}

/// The Internet checksum (RFC 1071).
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let (words, odd) = bytes.as_chunks::<2>();
    let mut sum: u64 = words
        .iter()
        .map(|&word| u64::from(u16::from_be_bytes(word)))
        .sum();
    sum += odd.first().map_or(0, |&last| u64::from(last) << 8);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_rfc_1071_section_3() {
        assert_eq!(
            checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]),
            !0xddf2
        );
        assert_eq!(checksum(&[0xff]), !0xff00);
    }

    #[test]
    fn a_changed_ttl_keeps_the_checksum_right() {
        let header = IpHeader {
            source: IpAddr::from([192, 0, 2, 1]),
            destination: IpAddr::from([198, 51, 100, 1]),
            protocol: PROTOCOL_UDP,
            ttl: 64,
            id: 7,
            dont_fragment: true,
            tos: 0,
            len: None,
        };
        let mut packet = ip(&header, &[]).expect("packet");
        assert_eq!(checksum(&packet), 0);
        set_ttl(&mut packet, 63);
        assert_eq!((packet[8], checksum(&packet)), (63, 0));
    }
}
