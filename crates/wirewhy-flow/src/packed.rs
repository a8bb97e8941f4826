//! A segment in 64 bytes, for those that are kept in masses.

pub(crate) mod journal;

use wirewhy_packet::{
    Checksum, IpId, MacAddr, Seq, TcpFlags, TcpOptions, TcpTimestamps, Timestamp,
};

use crate::Mark;
use crate::segment::Segment;

/// A segment without what hardly any has.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct PackedSegment {
    frame: u64,
    time: Timestamp,
    /// Value and echo of its timestamps option.
    timestamps: [u32; 2],
    seq: Seq,
    ack: Seq,
    wire_len: u32,
    ip_len: u32,
    payload_len: u32,
    flags: TcpFlags,
    window: u16,
    ip_id: u16,
    mss: u16,
    mptcp_subtypes: u16,
    marks: u16,
    mac: MacAddr,
    ttl: u8,
    window_scale: u8,
}

/// What it has, a bit for each.
const TIMESTAMPS: u16 = 1;
const MSS: u16 = 1 << 1;
const WINDOW_SCALE: u16 = 1 << 2;
const SACK_PERMITTED: u16 = 1 << 3;
const FAST_OPEN: u16 = 1 << 4;
const AUTHENTICATED: u16 = 1 << 5;
const IP_ID: u16 = 1 << 6;
const DONT_FRAGMENT: u16 = 1 << 7;
const MAC: u16 = 1 << 8;
const DIRECTION: u16 = 1 << 9;
const OUTGOING: u16 = 1 << 10;
/// Its options were cut by the snap length.
const TRUNCATED: u16 = 1 << 11;
/// What its checksum is, in two bits; 0 where that is not known.
const CHECKSUM: u16 = 3 << 12;
const RIGHT: u16 = 1 << 12;
/// Set in both of these, and in no other.
const DOUBTFUL: u16 = 2 << 12;
const WRONG: u16 = DOUBTFUL;
const UNFINISHED: u16 = DOUBTFUL | RIGHT;

/// A bit that means what its keeper wants it to mean.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tag(u16);

impl Tag {
    pub(crate) const ONE: Tag = Tag(1 << 14);
    pub(crate) const OTHER: Tag = Tag(1 << 15);
}

impl PackedSegment {
    /// The same segment, without tags; `None` where it has more than fits, or was not captured whole.
    #[inline(always)]
    pub(crate) fn of(segment: &Segment) -> Option<PackedSegment> {
        let Segment {
            frame,
            time,
            wire_len,
            ip_len,
            payload_len,
            captured_len,
            seq,
            ack,
            flags,
            window,
            ttl,
            ip_id,
            outgoing,
            mac,
            len_from_frame,
            ref options,
            checksum,
            tunnel_damaged,
        } = *segment;
        let TcpOptions {
            mss,
            window_scale,
            sack_permitted,
            ref sack,
            timestamps,
            mptcp_subtypes,
            fast_open,
            authenticated,
            malformed,
            misfit,
            truncated,
        } = *options;
        let has_more = captured_len != payload_len
            || len_from_frame
            || tunnel_damaged
            || !sack.as_slice().is_empty()
            || malformed
            || misfit.is_some();
        if has_more {
            return None;
        }
        let mark = |mark: u16, is: bool| mark * u16::from(is);
        let marks = mark(TIMESTAMPS, timestamps.is_some())
            | mark(MSS, mss.is_some())
            | mark(WINDOW_SCALE, window_scale.is_some())
            | mark(SACK_PERMITTED, sack_permitted)
            | mark(FAST_OPEN, fast_open)
            | mark(AUTHENTICATED, authenticated)
            | mark(IP_ID, ip_id.is_some())
            | mark(DONT_FRAGMENT, ip_id.is_some_and(|id| id.dont_fragment))
            | mark(MAC, mac.is_some())
            | mark(DIRECTION, outgoing.is_some())
            | mark(OUTGOING, outgoing == Some(true))
            | mark(TRUNCATED, truncated)
            | match checksum {
                Checksum::Unknown => 0,
                Checksum::Right => RIGHT,
                Checksum::Wrong => WRONG,
                Checksum::Unfinished => UNFINISHED,
            };
        Some(PackedSegment {
            frame,
            time,
            timestamps: timestamps.map_or([0; 2], |found| [found.value, found.echo]),
            seq,
            ack,
            wire_len,
            ip_len,
            payload_len,
            flags,
            window,
            ip_id: ip_id.map_or(0, |id| id.id),
            mss: mss.unwrap_or(0),
            mptcp_subtypes,
            marks,
            mac: mac.unwrap_or(MacAddr([0; 6])),
            ttl,
            window_scale: window_scale.unwrap_or(0),
        })
    }

    /// The segment.
    #[inline]
    pub(crate) fn unpack(&self) -> Segment {
        let has = |mark: u16| self.marks & mark != 0;
        let [value, echo] = self.timestamps;
        Segment {
            frame: self.frame,
            time: self.time,
            wire_len: self.wire_len,
            ip_len: self.ip_len,
            payload_len: self.payload_len,
            captured_len: self.payload_len,
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            window: self.window,
            ttl: self.ttl,
            ip_id: has(IP_ID).then(|| IpId {
                id: self.ip_id,
                dont_fragment: has(DONT_FRAGMENT),
            }),
            outgoing: has(DIRECTION).then(|| has(OUTGOING)),
            mac: has(MAC).then_some(self.mac),
            len_from_frame: false,
            options: TcpOptions {
                mss: has(MSS).then_some(self.mss),
                window_scale: has(WINDOW_SCALE).then_some(self.window_scale),
                sack_permitted: has(SACK_PERMITTED),
                timestamps: has(TIMESTAMPS).then_some(TcpTimestamps { value, echo }),
                mptcp_subtypes: self.mptcp_subtypes,
                fast_open: has(FAST_OPEN),
                authenticated: has(AUTHENTICATED),
                truncated: has(TRUNCATED),
                ..TcpOptions::default()
            },
            checksum: self.checksum(),
            tunnel_damaged: false,
        }
    }

    /// What its checksum is.
    #[inline]
    pub(crate) fn checksum(&self) -> Checksum {
        match self.marks & CHECKSUM {
            RIGHT => Checksum::Right,
            WRONG => Checksum::Wrong,
            UNFINISHED => Checksum::Unfinished,
            _ => Checksum::Unknown,
        }
    }

    /// Its maximum segment size option.
    #[inline]
    pub(crate) fn mss(&self) -> Option<u16> {
        (self.marks & MSS != 0).then_some(self.mss)
    }

    /// When it came.
    #[inline]
    pub(crate) fn time(&self) -> Timestamp {
        self.time
    }

    /// Where it was seen.
    #[inline]
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            frame: self.frame,
            time: self.time,
        }
    }

    /// Its sequence number.
    #[inline]
    pub(crate) fn seq(&self) -> Seq {
        self.seq
    }

    /// Its acknowledgement number.
    #[inline]
    pub(crate) fn ack(&self) -> Seq {
        self.ack
    }

    /// Its control bits.
    #[inline]
    pub(crate) fn flags(&self) -> TcpFlags {
        self.flags
    }

    /// The length of its payload in bytes, on the wire.
    #[inline]
    pub(crate) fn payload_len(&self) -> u32 {
        self.payload_len
    }

    /// The length of its IP packet in bytes.
    #[inline]
    pub(crate) fn ip_len(&self) -> u32 {
        self.ip_len
    }

    /// The sequence space that it takes.
    #[inline]
    pub(crate) fn seq_len(&self) -> u32 {
        let controls = [TcpFlags::SYN, TcpFlags::FIN].map(|flag| u32::from(self.flags.has(flag)));
        self.payload_len.saturating_add(controls.iter().sum())
    }

    /// The sequence number behind it.
    #[inline]
    pub(crate) fn seq_end(&self) -> Seq {
        self.seq.advance(self.seq_len())
    }

    /// Its hop count.
    #[inline]
    pub(crate) fn ttl(&self) -> u8 {
        self.ttl
    }

    /// Its window field.
    #[inline]
    pub(crate) fn window(&self) -> u16 {
        self.window
    }

    /// Whether the capturing host sent it, where that is known.
    #[inline]
    pub(crate) fn outgoing(&self) -> Option<bool> {
        (self.marks & DIRECTION != 0).then_some(self.marks & OUTGOING != 0)
    }

    /// The MAC address it came from.
    #[inline]
    pub(crate) fn mac(&self) -> Option<MacAddr> {
        (self.marks & MAC != 0).then_some(self.mac)
    }

    /// See [`Segment::is_plain_syn`] and [`Segment::asks_for_more`]: of a SYN and nothing else, whether it is plain and asks for no
    /// more.
    #[inline]
    pub(crate) fn is_ordinary_syn(&self) -> bool {
        self.marks & (DOUBTFUL | FAST_OPEN) == 0
            && !self.flags.has(TcpFlags::ECE)
            && self.window > 0
    }

    /// Sets a tag, or takes it away.
    #[inline]
    pub(crate) fn tag(&mut self, Tag(tag): Tag, is: bool) {
        self.marks = (self.marks & !tag) | (tag * u16::from(is));
    }

    /// Whether a tag is set.
    #[inline]
    pub(crate) fn has_tag(&self, Tag(tag): Tag) -> bool {
        self.marks & tag != 0
    }
}

const _: () = assert!(size_of::<PackedSegment>() == 64);

#[cfg(test)]
mod tests {
    use wirewhy_packet::{Decoder, Transport};
    use wirewhy_testkit::{Random, trace};

    use super::*;

    const SEGMENTS: &str = "
        0.000 > S 0:0(0) win 64240 <mss 1460,sackOK,ts 7 0,mptcp 0081,wscale 7,tfo>
        0.010 < SA 0:0(0) ack 1 win 65160 <mss 1400,sackOK,ts 9 7,wscale 0>
        0.020 > PA 1:5(4) ack 1 win 502 <ts 8 9> \"abcd\"
        0.021 < A 1:1(0) ack 5 win 501 <sack 9:12>
        0.030 < FA 1:1(0) ack 5 win 0
        0.040 > RA 5:5(0) ack 2
        ";

    #[test]
    fn every_segment_is_packed_as_it_is_or_not_at_all() {
        let mut packed = 0;
        for seed in 0..400 {
            let mut dice = Random::new(seed);
            for mut frame in trace(SEGMENTS) {
                // Most of the mutations leave a segment of TCP.
                let at = dice.below(frame.data.len());
                if seed > 0 {
                    frame.data[at] ^= 1 << dice.below(8);
                }
                let mut decoder = Decoder::new();
                let packet = decoder.decode(&frame.as_frame());
                let (Some(ip), Transport::Tcp(tcp)) = (&packet.ip, &packet.transport) else {
                    continue;
                };
                let segment = Segment::new(&packet, ip, tcp);
                if let Some(mut kept) = PackedSegment::of(&segment) {
                    packed += 1;
                    kept.tag(Tag::ONE, seed % 2 == 0);
                    kept.tag(Tag::OTHER, seed % 3 == 0);
                    assert_eq!(kept.unpack(), segment, "{seed}");
                    assert_eq!(kept.has_tag(Tag::ONE), seed % 2 == 0);
                    kept.tag(Tag::ONE, false);
                    assert!(!kept.has_tag(Tag::ONE));
                    assert_eq!(kept.has_tag(Tag::OTHER), seed % 3 == 0);
                }
            }
        }
        assert!(packed > 1_000, "{packed}");
    }
}
