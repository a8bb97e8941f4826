//! The packets of a datagram (RFC 9000 section 17, RFC 9369 section 3.2), their protection left in place.

use super::ids::{ConnectionId, QuicVersion};
use super::wire;

/// The bit that tells long headers from short ones (RFC 9000 section 17).
const LONG: u8 = 0x80;

/// The bit that every packet of version 1 and 2 has, unless both ends agreed otherwise (RFC 9287).
const FIXED: u8 = 0x40;

/// The integrity tag of a Retry packet.
const TAG: usize = 16;

/// One packet of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum QuicPacket<'a> {
    /// Initial, 0-RTT or Handshake.
    Long(Long<'a>),
    Retry(Retry<'a>),
    VersionNegotiation(VersionList<'a>),
    /// 1-RTT, or a stateless reset: all that is left of the datagram.
    Short(&'a [u8]),
}

/// A packet with a long header and a packet number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Long<'a> {
    pub(super) kind: LongKind,
    pub(super) version: QuicVersion,
    pub(super) destination: ConnectionId,
    pub(super) source: ConnectionId,
    /// Of an Initial.
    pub(super) token: &'a [u8],
    /// From its first byte to its last.
    pub(super) bytes: &'a [u8],
    /// Where the packet number begins.
    pub(super) number_at: usize,
}

/// The kinds of long header with a packet number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LongKind {
    Initial,
    ZeroRtt,
    Handshake,
}

/// A Retry packet (RFC 9000 section 17.2.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Retry<'a> {
    pub(super) version: QuicVersion,
    pub(super) destination: ConnectionId,
    pub(super) source: ConnectionId,
    pub(super) token: &'a [u8],
    /// All of it but the tag.
    pub(super) untagged: &'a [u8],
    /// The integrity tag.
    pub(super) tag: &'a [u8],
}

/// A Version Negotiation packet (RFC 8999 section 6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct VersionList<'a> {
    pub(super) destination: &'a [u8],
    pub(super) source: &'a [u8],
    versions: &'a [u8],
}

impl VersionList<'_> {
    /// The versions that the server lists.
    pub(super) fn versions(&self) -> impl Iterator<Item = QuicVersion> + '_ {
        let (numbers, _) = self.versions.as_chunks::<4>();
        numbers
            .iter()
            .map(|number| QuicVersion(u32::from_be_bytes(*number)))
    }
}

/// The destination of a datagram, as far as it tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QuicDestination<'a> {
    /// Of a long header.
    Long(&'a [u8]),
    /// Behind the first byte of a short header, with bytes that follow it: its length is not in the packet.
    Short(&'a [u8]),
}

impl QuicDestination<'_> {
    /// The destination of the first packet of a datagram; `None` where it begins with neither header.
    #[must_use]
    pub fn of(datagram: &[u8]) -> Option<QuicDestination<'_>> {
        let (&first, rest) = datagram.split_first()?;
        if first & LONG == 0 {
            return Some(QuicDestination::Short(rest));
        }
        let mut rest = rest.get(4..)?;
        wire::vector8(&mut rest).map(QuicDestination::Long)
    }
}

/// The version in the long header that a datagram begins with, and the destination of the packet; `None` where it begins
/// with no long header of an Initial packet of a version that is known.
///
/// A few comparisons: what most datagrams of other protocols cost.
#[inline]
pub(crate) fn begins_initial(datagram: &[u8]) -> bool {
    let Some((&[first, a, b, c, d], _)) = datagram.split_first_chunk::<5>() else {
        return false;
    };
    // A client that knows its server may send the fixed bit as 0 from the start (RFC 9287 section 3.1).
    if first & LONG == 0 {
        return false;
    }
    let version = QuicVersion(u32::from_be_bytes([a, b, c, d]));
    version.is_known() && kind_of(version, first) == Some(Kind::Numbered(LongKind::Initial))
}

/// The packets of a datagram, one after another (RFC 9000 section 12.2).
pub(super) struct Packets<'a> {
    rest: &'a [u8],
    /// The destination of the first of them: one for another connection ends them.
    destination: Option<ConnectionId>,
}

impl<'a> Packets<'a> {
    pub(super) fn of(datagram: &'a [u8]) -> Packets<'a> {
        Packets {
            rest: datagram,
            destination: None,
        }
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = QuicPacket<'a>;

    fn next(&mut self) -> Option<QuicPacket<'a>> {
        let bytes = std::mem::take(&mut self.rest);
        let (packet, rest) = read(bytes)?;
        if let QuicPacket::Long(long) = &packet {
            let first = *self.destination.get_or_insert(long.destination);
            if first != long.destination {
                return None;
            }
            self.rest = rest;
        }
        Some(packet)
    }
}

/// What the type bits of a long header say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Numbered(LongKind),
    Retry,
}

fn kind_of(version: QuicVersion, first: u8) -> Option<Kind> {
    let number = (first >> 4) & 3;
    // Version 2 counts from one on (RFC 9369 section 3.2).
    let number = match version {
        QuicVersion::V2 => number.wrapping_sub(1) & 3,
        version if version.is_known() => number,
        _ => return None,
    };
    Some(match number {
        0 => Kind::Numbered(LongKind::Initial),
        1 => Kind::Numbered(LongKind::ZeroRtt),
        2 => Kind::Numbered(LongKind::Handshake),
        _ => Kind::Retry,
    })
}

/// The packet at the beginning of `bytes`, and what follows it.
fn read(bytes: &[u8]) -> Option<(QuicPacket<'_>, &[u8])> {
    let mut rest = bytes;
    let first = wire::byte(&mut rest)?;
    if first & LONG == 0 {
        // Zeros behind a packet pad the datagram. The fixed bit may be 0 where both ends agreed on that (RFC 9287).
        let is_padding = first & FIXED == 0 && bytes.iter().all(|byte| *byte == 0);
        return (!is_padding).then_some((QuicPacket::Short(bytes), &[]));
    }
    let (number, after) = rest.split_first_chunk::<4>()?;
    rest = after;
    let version = QuicVersion(u32::from_be_bytes(*number));
    let destination = wire::vector8(&mut rest)?;
    let source = wire::vector8(&mut rest)?;
    if version.0 == 0 {
        let negotiation = VersionList {
            destination,
            source,
            versions: rest,
        };
        return Some((QuicPacket::VersionNegotiation(negotiation), &[]));
    }
    let destination = ConnectionId::new(destination)?;
    let source = ConnectionId::new(source)?;
    let kind = match kind_of(version, first)? {
        Kind::Retry => {
            let (token, tag) = rest.split_at_checked(rest.len().checked_sub(TAG)?)?;
            let retry = Retry {
                version,
                destination,
                source,
                token,
                untagged: bytes.get(..bytes.len().checked_sub(TAG)?)?,
                tag,
            };
            return Some((QuicPacket::Retry(retry), &[]));
        }
        Kind::Numbered(kind) => kind,
    };
    let token = match kind {
        LongKind::Initial => wire::vector(&mut rest)?,
        _ => &[],
    };
    let length = usize::try_from(wire::varint(&mut rest)?).ok()?;
    let number_at = bytes.len().checked_sub(rest.len())?;
    let (packet, after) = bytes.split_at_checked(number_at.checked_add(length)?)?;
    let long = Long {
        kind,
        version,
        destination,
        source,
        token,
        bytes: packet,
        number_at,
    };
    Some((QuicPacket::Long(long), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn initial(version: u32, first: u8, length: u8, body: &[u8]) -> Vec<u8> {
        let mut packet = vec![first];
        packet.extend(version.to_be_bytes());
        packet.extend([2, 7, 8, 1, 9, 0, length]);
        packet.extend(body);
        packet
    }

    #[test]
    fn coalesced_packets_of_one_connection() {
        let mut datagram = initial(1, 0xc0, 3, &[1, 2, 3]);
        datagram.extend([0xe0, 0, 0, 0, 1, 2, 7, 8, 1, 9, 2, 4, 5]);
        datagram.extend([0x41, 7, 8, 0, 0]);
        let packets: Vec<_> = Packets::of(&datagram).collect();
        let [
            QuicPacket::Long(first),
            QuicPacket::Long(second),
            QuicPacket::Short(third),
        ] = packets[..]
        else {
            panic!("{packets:?}");
        };
        assert_eq!(
            (first.kind, second.kind),
            (LongKind::Initial, LongKind::Handshake)
        );
        assert_eq!(first.destination.as_bytes(), [7, 8]);
        assert_eq!(first.source.as_bytes(), [9]);
        assert_eq!(&first.bytes[first.number_at..], [1, 2, 3]);
        assert_eq!(third, [0x41, 7, 8, 0, 0]);
        assert_eq!(
            QuicDestination::of(&datagram),
            Some(QuicDestination::Long(&[7, 8]))
        );
    }

    #[test]
    fn what_follows_for_another_connection_or_pads_is_left_out() {
        let mut datagram = initial(1, 0xc0, 3, &[1, 2, 3]);
        datagram.extend([0xe0, 0, 0, 0, 1, 2, 7, 9, 1, 9, 2, 4, 5]);
        assert_eq!(Packets::of(&datagram).count(), 1);
        let mut padded = initial(1, 0xc0, 3, &[1, 2, 3]);
        padded.extend([0; 30]);
        assert_eq!(Packets::of(&padded).count(), 1);
    }

    #[test]
    fn version_2_counts_its_types_from_one_on() {
        let kinds: Vec<_> = (0..4)
            .map(|number| kind_of(QuicVersion::V2, 0xc0 | number << 4).unwrap())
            .collect();
        assert_eq!(
            kinds,
            [
                Kind::Retry,
                Kind::Numbered(LongKind::Initial),
                Kind::Numbered(LongKind::ZeroRtt),
                Kind::Numbered(LongKind::Handshake),
            ]
        );
        assert!(begins_initial(&initial(0x6b33_43cf, 0xd0, 3, &[1, 2, 3])));
        assert!(!begins_initial(&initial(0x6b33_43cf, 0xc0, 3, &[1, 2, 3])));
    }

    #[test]
    fn other_datagrams_begin_no_initial() {
        let dns = [0xc0, 0x17, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let rtp = [0x80, 0x60, 0, 1, 1, 2, 7, 8, 1, 9, 0, 3, 1, 2, 3];
        let google = initial(0x5130_3530, 0xc0, 3, &[1, 2, 3]);
        for other in [&dns[..], &rtp, &google, &[0xc0, 0, 0, 0], &[]] {
            assert!(!begins_initial(other));
        }
        assert!(begins_initial(&initial(1, 0xc0, 3, &[1, 2, 3])));
    }

    #[test]
    fn a_version_negotiation_lists_versions() {
        let datagram = [
            0x80, 0, 0, 0, 0, 1, 7, 1, 9, 0, 0, 0, 1, 0x6b, 0x33, 0x43, 0xcf, 5,
        ];
        let Some(QuicPacket::VersionNegotiation(negotiation)) = Packets::of(&datagram).next()
        else {
            panic!();
        };
        let versions: Vec<_> = negotiation.versions().collect();
        assert_eq!(versions, [QuicVersion::V1, QuicVersion::V2]);
        assert_eq!(
            (negotiation.destination, negotiation.source),
            (&[7][..], &[9][..])
        );
    }

    #[test]
    fn no_cut_panics() {
        let datagram = initial(1, 0xc0, 3, &[1, 2, 3]);
        for end in 0..datagram.len() {
            assert_eq!(Packets::of(&datagram[..end]).count(), 0);
        }
    }
}
