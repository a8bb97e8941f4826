//! Frames of datagrams whose payload a test makes itself.

use std::net::{IpAddr, SocketAddr};

use wirewhy_packet::{LinkType, MacAddr, Timestamp};

use crate::OwnedFrame;
use crate::wire::{self, IpHeader};

/// Milliseconds after the beginning of a trace, which is 2026-01-02T03:04:05Z.
#[must_use]
pub fn at_millis(millis: u32) -> Timestamp {
    Timestamp(1_767_323_045_000_000_000 + i64::from(millis) * 1_000_000)
}

/// A UDP datagram in an Ethernet frame, over IPv4 or IPv6 as its ends are.
///
/// # Panics
///
/// Where the ends are not of one version of IP, or the payload does not fit.
#[must_use]
pub fn udp_frame(
    number: u64,
    time: Timestamp,
    source: SocketAddr,
    destination: SocketAddr,
    payload: &[u8],
) -> OwnedFrame {
    let ip = header(source.ip(), destination.ip(), wire::PROTOCOL_UDP);
    let body = wire::udp((source.port(), destination.port()), payload, &ip);
    frame(number, time, &ip, &body)
}

/// An ICMP error of type and code about a frame, sent to its source; `word` is what follows the checksum.
///
/// # Panics
///
/// Where the reporter and the quoted packet are not of IPv4.
#[must_use]
pub fn icmp_frame(
    number: u64,
    time: Timestamp,
    reporter: IpAddr,
    (kind, code, word): (u8, u8, u32),
    about: &OwnedFrame,
) -> OwnedFrame {
    let quoted = about.data.get(wire::ETHERNET_LEN..).unwrap_or_default();
    let source = quoted
        .get(12..16)
        .and_then(|source| source.first_chunk::<4>());
    let source = source.map_or(reporter, |source| IpAddr::from(*source));
    let ip = header(reporter, source, wire::PROTOCOL_ICMP);
    let quoted = quoted.get(..548).unwrap_or(quoted);
    let body = wire::icmp(kind, code, word, quoted, &ip);
    frame(number, time, &ip, &body)
}

fn header(source: IpAddr, destination: IpAddr, protocol: u8) -> IpHeader {
    IpHeader {
        source,
        destination,
        protocol,
        ttl: 64,
        id: 0,
        dont_fragment: true,
        tos: 0,
        len: None,
    }
}

#[expect(
    clippy::panic,
    reason = "called by tests, which must fail on a datagram that cannot be made"
)]
fn frame(number: u64, time: Timestamp, ip: &IpHeader, body: &[u8]) -> OwnedFrame {
    // The MAC address of an end follows from its address.
    let mac = |address: IpAddr| {
        let last = match address {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(address) => address.octets()[15],
        };
        MacAddr([2, 0, 0, 0, 0, last])
    };
    let macs = (mac(ip.source), mac(ip.destination));
    match wire::ethernet_ip(macs, ip, body) {
        Ok(data) => OwnedFrame {
            number,
            time,
            link_type: LinkType::ETHERNET,
            original_len: u32::try_from(data.len()).unwrap_or(u32::MAX),
            data,
        },
        Err(error) => panic!("{error}"),
    }
}
