//! A TCP segment reduced to what a tracker keeps: owned, fixed size, payload left behind.

use wirewhy_packet::{
    Checksum, Ip, IpId, MacAddr, Packet, Seq, TcpFlags, TcpOptions, TcpSegment, Timestamp,
};

/// One segment as the tracker sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Segment {
    pub(crate) frame: u64,
    pub(crate) time: Timestamp,
    pub(crate) wire_len: u32,
    pub(crate) ip_len: u32,
    pub(crate) payload_len: u32,
    pub(crate) captured_len: u32,
    pub(crate) seq: Seq,
    pub(crate) ack: Seq,
    pub(crate) flags: TcpFlags,
    pub(crate) window: u16,
    pub(crate) ttl: u8,
    pub(crate) ip_id: Option<IpId>,
    pub(crate) outgoing: Option<bool>,
    pub(crate) mac: Option<MacAddr>,
    pub(crate) len_from_frame: bool,
    pub(crate) options: TcpOptions,
    /// Of segments with payload or SYN.
    pub(crate) checksum: Checksum,
    /// A tunnel's own checksum shows that it may be damaged.
    pub(crate) tunnel_damaged: bool,
}

impl Segment {
    /// Inlined, so that a segment of which only parts are wanted is never put together.
    #[inline(always)]
    pub(crate) fn new(packet: &Packet<'_>, ip: &Ip, tcp: &TcpSegment<'_>) -> Segment {
        Segment {
            frame: packet.frame,
            time: packet.time,
            wire_len: packet.wire_len,
            ip_len: ip.total_len,
            payload_len: tcp.payload_len,
            captured_len: u32::try_from(tcp.payload.len()).unwrap_or(u32::MAX),
            seq: tcp.seq,
            ack: tcp.ack,
            flags: tcp.flags,
            window: tcp.window,
            ttl: ip.ttl,
            ip_id: ip.id,
            outgoing: packet.link.outgoing,
            mac: packet.link.source,
            len_from_frame: ip.len_from_frame,
            options: tcp.options,
            checksum: match packet.tunnel_damaged {
                true => Checksum::Wrong,
                false => tcp.checksum,
            },
            tunnel_damaged: packet.tunnel_damaged,
        }
    }

    pub(crate) fn is_syn(&self) -> bool {
        self.flags.has(TcpFlags::SYN)
    }

    pub(crate) fn is_fin(&self) -> bool {
        self.flags.has(TcpFlags::FIN)
    }

    pub(crate) fn is_rst(&self) -> bool {
        self.flags.has(TcpFlags::RST)
    }

    pub(crate) fn has_ack(&self) -> bool {
        self.flags.has(TcpFlags::ACK)
    }

    /// Whether it is a SYN and nothing else, and as a stack sends one: undamaged, and with a window.
    pub(crate) fn is_plain_syn(&self) -> bool {
        self.is_bare_syn() && self.window > 0 && self.checksum != Checksum::Wrong
    }

    /// Whether a SYN asks for what devices on the way may not bear: ECN, or Fast Open.
    pub(crate) fn asks_for_more(&self) -> bool {
        self.flags.has(TcpFlags::ECE) || self.options.fast_open
    }

    /// Whether it is a SYN and nothing else.
    pub(crate) fn is_bare_syn(&self) -> bool {
        self.flags.is_bare_syn() && self.payload_len == 0
    }

    /// Sequence space taken: payload plus one each for SYN and FIN (RFC 9293 section 3.4).
    pub(crate) fn seq_len(&self) -> u32 {
        self.payload_len
            .saturating_add(u32::from(self.is_syn()))
            .saturating_add(u32::from(self.is_fin()))
    }

    pub(crate) fn seq_end(&self) -> Seq {
        self.seq.advance(self.seq_len())
    }

    /// What stays the same in a copy of the frame: everything the sender wrote above the link layer except the hop count.
    pub(crate) fn fingerprint(&self) -> u32 {
        let mut mix = Mix(SEED);
        mix.add(self.seq.0, self.ack.0);
        mix.add(
            u32::from(self.flags.0) << 16 | u32::from(self.window),
            self.payload_len,
        );
        let timestamps = self.options.timestamps;
        mix.add(
            self.ip_id.map_or(0, |id| u32::from(id.id) | 0x1_0000),
            timestamps.map_or(0, |timestamps| timestamps.value),
        );
        if let Some(timestamps) = timestamps {
            mix.add(timestamps.echo, 1);
        }
        for (left, right) in self.options.sack.as_slice() {
            mix.add(left.0, right.0);
        }
        mix.finish()
    }
}

/// Two words are mixed in by one multiplication: no secret is needed, a false match also has to fall within milliseconds.
struct Mix(u64);

/// The golden ratio and another odd number without a pattern, of 64 bits.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const FACTOR: u64 = 0xd6e8_feb8_6659_fd93;

impl Mix {
    fn add(&mut self, low: u32, high: u32) {
        let words = u64::from(low) | u64::from(high) << 32;
        self.0 = (self.0.rotate_left(29) ^ words).wrapping_mul(FACTOR);
    }

    /// The upper half: each of its bits depends on all bits mixed in.
    fn finish(self) -> u32 {
        let [.., a, b, c, d] = (self.0 ^ self.0 >> 32).wrapping_mul(FACTOR).to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
}
