//! The two ends of a segment or a datagram, and what they are found by.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wirewhy_packet::{Ip, Quoted, TcpSegment};

/// The two ends of a segment, as its sender sees them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pair {
    /// Where it comes from.
    pub source: (IpAddr, u16),
    /// Where it goes.
    pub destination: (IpAddr, u16),
}

impl Pair {
    /// Whether the source is the lower end of the pair in (address, port) order. This is the orientation kept per
    /// conversation; with equal ends both directions are one, as in Wireshark.
    #[must_use]
    #[inline]
    pub fn source_is_low(&self) -> bool {
        key(self).1
    }

    /// That of a segment.
    #[must_use]
    #[inline(always)]
    pub fn of(ip: &Ip, tcp: &TcpSegment<'_>) -> Pair {
        Pair {
            source: (ip.source, tcp.source_port),
            destination: (ip.destination, tcp.destination_port),
        }
    }

    /// That of what an ICMP error quotes, where it tells the ports.
    pub(crate) fn quoted(quoted: &Quoted) -> Option<Pair> {
        let (source, destination) = quoted.ports?;
        Some(Pair {
            source: (quoted.source, source),
            destination: (quoted.destination, destination),
        })
    }
}

/// The lower and the higher end of a pair, which both of its directions have in common.
pub(crate) enum Key {
    V4(PairV4),
    V6(PairV6),
}

/// How many bits the numbers have that [`Mixed`] makes.
pub(crate) const MIX_BITS: u32 = 10;

/// A key of which a cheap number can be made that differs for most others.
pub(crate) trait Mixed {
    /// A number of [`MIX_BITS`] bits.
    fn mix(&self) -> usize;
}

/// The highest bits of a product depend on all others (Knuth, TAOCP 6.4).
#[inline]
fn mixed(addresses: u32, ports: [u16; 2]) -> usize {
    let key = u64::from(joined(ports)) << 32 | u64::from(addresses);
    let product = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(product >> (u64::BITS - MIX_BITS)).unwrap_or_default()
}

impl Mixed for PairV4 {
    #[inline]
    fn mix(&self) -> usize {
        let [low, high] = self.addresses;
        mixed(low ^ high, self.ports)
    }
}

impl Mixed for PairV6 {
    #[inline]
    fn mix(&self) -> usize {
        let [low, high] = self.addresses.map(Ipv6Addr::to_bits);
        let both = low ^ high;
        let folded = both ^ both >> 64;
        mixed(
            u32::try_from((folded ^ folded >> 32) & 0xffff_ffff).unwrap_or_default(),
            self.ports,
        )
    }
}

/// The lower and the higher end, as few numbers: they are hashed for every packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PairV4 {
    addresses: [u32; 2],
    ports: [u16; 2],
}

impl Hash for PairV4 {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [low, high] = self.addresses;
        let addresses = u64::from(low) << 32 | u64::from(high);
        // One number is mixed at once.
        state.write_u128(u128::from(addresses) << 64 | u128::from(joined(self.ports)));
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PairV6 {
    addresses: [Ipv6Addr; 2],
    ports: [u16; 2],
}

impl Hash for PairV6 {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        for address in self.addresses {
            state.write_u128(address.to_bits());
        }
        state.write_u32(joined(self.ports));
    }
}

fn joined([low, high]: [u16; 2]) -> u32 {
    u32::from(low) << 16 | u32::from(high)
}

/// An end as a number that orders as (address, port) does.
fn end_v4(address: Ipv4Addr, port: u16) -> u64 {
    u64::from(address.to_bits()) << 16 | u64::from(port)
}

/// The key of a pair, and whether its source is the lower end.
#[inline(always)]
pub(crate) fn key(pair: &Pair) -> (Key, bool) {
    match (pair.source, pair.destination) {
        ((IpAddr::V4(a), from), (IpAddr::V4(b), to)) => {
            let source_is_low = end_v4(a, from) <= end_v4(b, to);
            let (source, destination) = ((a.to_bits(), from), (b.to_bits(), to));
            let (low, high) = if source_is_low {
                (source, destination)
            } else {
                (destination, source)
            };
            let key = PairV4 {
                addresses: [low.0, high.0],
                ports: [low.1, high.1],
            };
            (Key::V4(key), source_is_low)
        }
        ((IpAddr::V6(a), from), (IpAddr::V6(b), to)) => key_v6((a, from), (b, to)),
        // A packet has addresses of one version.
        ((a, from), (b, to)) => key_v6((as_v6(a), from), (as_v6(b), to)),
    }
}

#[inline(never)]
fn key_v6(source: (Ipv6Addr, u16), destination: (Ipv6Addr, u16)) -> (Key, bool) {
    let number = |(address, port): (Ipv6Addr, u16)| (address.to_bits(), port);
    let source_is_low = number(source) <= number(destination);
    let (low, high) = if source_is_low {
        (source, destination)
    } else {
        (destination, source)
    };
    let key = PairV6 {
        addresses: [low.0, high.0],
        ports: [low.1, high.1],
    };
    (Key::V6(key), source_is_low)
}

#[cold]
fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}
