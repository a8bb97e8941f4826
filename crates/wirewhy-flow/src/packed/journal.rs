//! The segments of one connection in as few bytes as they can be written in: what differs from what the segments before it let
//! expect.

use wirewhy_packet::{MacAddr, Seq, TcpFlags, Timestamp};

use super::PackedSegment;
use crate::Side;
use crate::segment::Segment;

/// Writes segments, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct JournalWriter {
    bytes: Vec<u8>,
    known: Known,
}

/// Reads what was written.
#[derive(Debug)]
pub(crate) struct JournalReader<'a> {
    rest: &'a [u8],
    known: Known,
}

/// What a segment consists of, as numbers: those first that differ most often from what is expected.
type Fields = [u64; 18];

/// The segments so far.
#[derive(Debug, Default)]
struct Known {
    frame: u64,
    time: u64,
    /// The latest of client and server.
    latest: [Latest; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct Latest {
    fields: Fields,
    seq_end: u64,
}

impl Known {
    /// What the next segment of a side is expected to be.
    fn expected(&self, from: Side) -> Fields {
        let [client, server] = &self.latest;
        let (own, peer) = match from {
            Side::Client => (client, server),
            Side::Server => (server, client),
        };
        let [_, _, _, _, _, _, peer_timestamp, ..] = peer.fields;
        let [
            _,
            _,
            _,
            flags,
            window,
            header,
            timestamp,
            _,
            ip_id,
            _,
            _,
            overhead,
            mss,
            mptcp_subtypes,
            marks,
            mac,
            ttl,
            window_scale,
        ] = own.fields;
        [
            self.frame,
            self.time,
            0,
            flags,
            window,
            header,
            timestamp,
            peer_timestamp,
            ip_id + u64::from(ip_id > 0),
            own.seq_end,
            peer.seq_end,
            overhead,
            mss,
            mptcp_subtypes,
            marks,
            mac,
            ttl,
            window_scale,
        ]
    }

    fn note(&mut self, from: Side, fields: Fields, segment: &PackedSegment) {
        let [frame, time, ..] = fields;
        (self.frame, self.time) = (frame, time);
        let [client, server] = &mut self.latest;
        let own = match from {
            Side::Client => client,
            Side::Server => server,
        };
        *own = Latest {
            fields,
            seq_end: u64::from(segment.seq_end().0),
        };
    }
}

impl PackedSegment {
    fn fields(&self) -> Fields {
        let [a, b, c, d, e, f] = self.mac.0;
        let [timestamp, echo] = self.timestamps.map(u64::from);
        let [wire_len, ip_len, payload_len] =
            [self.wire_len, self.ip_len, self.payload_len].map(u64::from);
        [
            self.frame,
            self.time.0.cast_unsigned(),
            payload_len,
            self.flags.0.into(),
            self.window.into(),
            ip_len.wrapping_sub(payload_len),
            timestamp,
            echo,
            self.ip_id.into(),
            self.seq.0.into(),
            self.ack.0.into(),
            wire_len.wrapping_sub(ip_len),
            self.mss.into(),
            self.mptcp_subtypes.into(),
            self.marks.into(),
            u64::from_be_bytes([0, 0, a, b, c, d, e, f]),
            self.ttl.into(),
            self.window_scale.into(),
        ]
    }

    fn of_fields(fields: Fields) -> Option<PackedSegment> {
        let [
            frame,
            time,
            payload_len,
            flags,
            window,
            header,
            timestamp,
            echo,
            ip_id,
            seq,
            ack,
            overhead,
            mss,
            mptcp_subtypes,
            marks,
            mac,
            ttl,
            window_scale,
        ] = fields;
        let ip_len = header.wrapping_add(payload_len);
        let wire_len = overhead.wrapping_add(ip_len);
        let long = |number: u64| u32::try_from(number).ok();
        let short = |number: u64| u16::try_from(number).ok();
        let [_, _, mac @ ..] = mac.to_be_bytes();
        Some(PackedSegment {
            frame,
            time: Timestamp(time.cast_signed()),
            timestamps: [long(timestamp)?, long(echo)?],
            seq: Seq(long(seq)?),
            ack: Seq(long(ack)?),
            wire_len: long(wire_len)?,
            ip_len: long(ip_len)?,
            payload_len: long(payload_len)?,
            flags: TcpFlags(short(flags)?),
            window: short(window)?,
            ip_id: short(ip_id)?,
            mss: short(mss)?,
            mptcp_subtypes: short(mptcp_subtypes)?,
            marks: short(marks)?,
            mac: MacAddr(mac),
            ttl: u8::try_from(ttl).ok()?,
            window_scale: u8::try_from(window_scale).ok()?,
        })
    }
}

impl JournalWriter {
    /// Writes bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes a number, small ones in few bytes: seven bits in each, the lowest first (LEB128).
    pub(crate) fn number(&mut self, number: u64) {
        let mut rest = number;
        loop {
            let [low, ..] = rest.to_le_bytes();
            rest >>= 7;
            if rest == 0 {
                self.bytes.push(low & 0x7f);
                return;
            }
            self.bytes.push(low | 0x80);
        }
    }

    /// Writes a segment, and `kept` of its payload. `None`, and nothing is written, where more is kept than it has.
    pub(crate) fn segment(
        &mut self,
        from: Side,
        segment: &PackedSegment,
        kept: &[u8],
    ) -> Option<()> {
        let fields = segment.fields();
        let left_out =
            u64::from(segment.payload_len).checked_sub(u64::try_from(kept.len()).ok()?)?;
        let expected = self.known.expected(from);
        let differences = || {
            let pairs = fields.iter().zip(&expected);
            pairs.map(|(field, expected)| field.wrapping_sub(*expected))
        };
        let mut differing = u64::from(from == Side::Server) | u64::from(left_out > 0) << 1;
        for (bit, difference) in (2..).zip(differences()) {
            differing |= u64::from(difference != 0) << bit;
        }
        self.number(differing);
        for difference in differences().filter(|difference| *difference != 0) {
            let signed = difference.cast_signed();
            self.number((signed << 1 ^ signed >> 63).cast_unsigned());
        }
        if left_out > 0 {
            self.number(left_out);
        }
        self.bytes(kept);
        self.known.note(from, fields, segment);
        Some(())
    }

    /// What was written.
    pub(crate) fn finish(self) -> Box<[u8]> {
        self.bytes.into()
    }
}

impl<'a> JournalReader<'a> {
    /// Reads these bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> JournalReader<'a> {
        JournalReader {
            rest: bytes,
            known: Known::default(),
        }
    }

    /// The next bytes.
    pub(crate) fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*bytes)
    }

    /// The next number.
    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.bytes()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// The next segment, and what was kept of its payload; `None` where none was written.
    pub(crate) fn segment(&mut self) -> Option<(Side, Segment, &'a [u8])> {
        let differing = self.number()?;
        let from = if differing & 1 == 0 {
            Side::Client
        } else {
            Side::Server
        };
        let mut fields = self.known.expected(from);
        for (bit, field) in (2..).zip(&mut fields) {
            if differing >> bit & 1 == 1 {
                let number = self.number()?;
                let difference = number >> 1 ^ (number & 1).wrapping_neg();
                *field = field.wrapping_add(difference);
            }
        }
        let left_out = if differing & 2 == 0 {
            0
        } else {
            self.number()?
        };
        let segment = PackedSegment::of_fields(fields)?;
        let kept = u64::from(segment.payload_len).checked_sub(left_out)?;
        let (payload, rest) = self.rest.split_at_checked(usize::try_from(kept).ok()?)?;
        self.rest = rest;
        self.known.note(from, fields, &segment);
        Some((from, segment.unpack(), payload))
    }
}

#[cfg(test)]
mod tests {
    use wirewhy_packet::{Decoder, Transport};
    use wirewhy_testkit::exchanges;

    use super::*;

    #[test]
    fn what_was_written_is_read_as_it_was() {
        let (mut written, mut bytes, mut payloads) = (0, 0, 0);
        for seed in 1..=200 {
            let mut kept = Vec::new();
            let mut writer = JournalWriter::default();
            for frame in exchanges(seed) {
                let mut decoder = Decoder::new();
                let packet = decoder.decode(&frame.as_frame());
                let (Some(ip), Transport::Tcp(tcp)) = (&packet.ip, &packet.transport) else {
                    continue;
                };
                let segment = Segment::new(&packet, ip, tcp);
                let from = if tcp.source_port < tcp.destination_port {
                    Side::Server
                } else {
                    Side::Client
                };
                let payload = &tcp.payload[..tcp.payload.len() / 2];
                if let Some(packed) = PackedSegment::of(&segment)
                    && writer.segment(from, &packed, payload).is_some()
                {
                    kept.push((from, segment, payload.to_vec()));
                    payloads += payload.len();
                }
            }
            let all = writer.finish();
            let mut reader = JournalReader::new(&all);
            for (from, segment, payload) in &kept {
                let read = reader.segment().expect("it was written");
                assert_eq!(read, (*from, *segment, payload.as_slice()), "{seed}");
            }
            assert_eq!(reader.segment(), None);
            written += kept.len();
            bytes += all.len();
        }
        let each = (bytes - payloads) / written;
        assert!(each < 40, "{each} bytes a segment");
    }

    #[test]
    fn every_number_is_read_as_it_was_written() {
        let numbers = [0, 1, 127, 128, 16_383, 16_384, u64::MAX >> 1, u64::MAX];
        let mut writer = JournalWriter::default();
        numbers.iter().for_each(|number| writer.number(*number));
        let written = writer.finish();
        let mut reader = JournalReader::new(&written);
        let read = std::iter::from_fn(|| reader.number());
        assert_eq!(read.collect::<Vec<_>>(), numbers);
    }
}
