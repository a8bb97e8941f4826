//! The kinds of the packets in a datagram, by their headers alone.

use super::facts::PacketKind;
use super::packet::{LongKind, Packets, QuicPacket};

impl PacketKind {
    /// So many packets of one datagram are named.
    pub const COALESCED: usize = 8;

    /// The kinds of the packets in a datagram of a connection over QUIC, in their order (RFC 9000 section 12.2); at most
    /// [`PacketKind::COALESCED`], and [`PacketKind::Unknown`] alone where none can be recognised.
    #[must_use]
    pub fn all_in(datagram: &[u8]) -> Vec<PacketKind> {
        let kinds = Packets::of(datagram).map(|packet| match packet {
            QuicPacket::Long(long) => match long.kind {
                LongKind::Initial => PacketKind::Initial,
                LongKind::ZeroRtt => PacketKind::ZeroRtt,
                LongKind::Handshake => PacketKind::Handshake,
            },
            QuicPacket::Retry(_) => PacketKind::Retry,
            QuicPacket::VersionNegotiation(_) => PacketKind::VersionNegotiation,
            QuicPacket::Short(_) => PacketKind::OneRtt,
        });
        let found: Vec<PacketKind> = kinds.take(PacketKind::COALESCED).collect();
        if found.is_empty() {
            return vec![PacketKind::Unknown];
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_packet_is_unknown() {
        assert_eq!(PacketKind::all_in(&[]), [PacketKind::Unknown]);
        assert_eq!(PacketKind::all_in(&[0x00; 20]), [PacketKind::Unknown]);
        assert_eq!(PacketKind::all_in(&[0xc0, 0, 0]), [PacketKind::Unknown]);
    }

    #[test]
    fn the_fixed_bit_may_be_greased() {
        let handshake = [0xa0, 0, 0, 0, 1, 0, 0, 4, 9, 9, 9, 9, 0x00, 7, 7];
        assert_eq!(
            PacketKind::all_in(&handshake),
            [PacketKind::Handshake, PacketKind::OneRtt]
        );
    }

    #[test]
    fn coalesced_packets_are_named_one_after_another() {
        // A Handshake packet of version 1 with empty connection ids and four bytes, and a short header.
        let datagram = [0xe0, 0, 0, 0, 1, 0, 0, 4, 9, 9, 9, 9, 0x40, 7, 7];
        assert_eq!(
            PacketKind::all_in(&datagram),
            [PacketKind::Handshake, PacketKind::OneRtt]
        );
        let negotiation = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(
            PacketKind::all_in(&negotiation),
            [PacketKind::VersionNegotiation]
        );
    }
}
