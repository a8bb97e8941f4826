//! A segment on its way into the tracker, in one of the forms in which it comes.

use wirewhy_packet::{Ip, Packet, TcpSegment, Timestamp, Transport};

use crate::packed::PackedSegment;
use crate::segment::Segment;
use crate::{Located, Pair};

/// A segment, as far as it is asked for: most connections are kept without any having been put together.
pub(crate) trait Arrival {
    /// Whether it is a SYN and nothing else.
    fn is_bare_syn(&self) -> bool;

    /// In the form in which it is kept in masses, if it has no more than most.
    fn packed(&self) -> Option<PackedSegment>;

    /// All of it.
    fn segment(&self) -> Segment;
}

/// A segment that was just decoded.
pub(crate) struct Whole<'a, 'b> {
    pub(crate) packet: &'a Packet<'b>,
    pub(crate) ip: &'a Ip,
    pub(crate) tcp: &'a TcpSegment<'b>,
}

impl Arrival for Whole<'_, '_> {
    #[inline(always)]
    fn is_bare_syn(&self) -> bool {
        self.tcp.flags.is_bare_syn() && self.tcp.payload_len == 0
    }

    #[inline(always)]
    fn packed(&self) -> Option<PackedSegment> {
        PackedSegment::of(&self.segment())
    }

    #[inline(always)]
    fn segment(&self) -> Segment {
        Segment::new(self.packet, self.ip, self.tcp)
    }
}

/// A segment that [`StreamTable::number`](crate::StreamTable::number) has located, without its payload: small and owned, so that it
/// costs little to give it to another thread.
#[derive(Clone, Copy, Debug)]
pub struct PackedArrival {
    segment: PackedSegment,
    pair: Pair,
    located: Located,
}

impl PackedArrival {
    /// The segment in a packet, and its payload; `None` where there is none, or where it has more than most.
    #[must_use]
    #[inline]
    pub fn of<'a>(packet: &Packet<'a>, located: &Located) -> Option<(PackedArrival, &'a [u8])> {
        let (Transport::Tcp(tcp), Some(ip)) = (&packet.transport, &packet.ip) else {
            return None;
        };
        let whole = Whole { packet, ip, tcp };
        let arrival = PackedArrival {
            segment: whole.packed()?,
            pair: Pair::of(ip, tcp),
            located: *located,
        };
        Some((arrival, tcp.payload))
    }

    #[inline]
    pub(crate) fn pair(&self) -> &Pair {
        &self.pair
    }

    #[inline]
    pub(crate) fn located(&self) -> &Located {
        &self.located
    }

    #[inline]
    pub(crate) fn time(&self) -> Timestamp {
        self.segment.time()
    }
}

impl Arrival for PackedArrival {
    #[inline]
    fn is_bare_syn(&self) -> bool {
        self.segment.flags().is_bare_syn() && self.segment.payload_len() == 0
    }

    #[inline]
    fn packed(&self) -> Option<PackedSegment> {
        Some(self.segment)
    }

    #[inline]
    fn segment(&self) -> Segment {
        self.segment.unpack()
    }
}
