//! The TCP header and its options.

use etherparse::TcpHeaderSlice;

use super::view::{ByteView, length};
use super::{Next, Walk};
use crate::{
    Seq, StopReason, TcpFlags, TcpHeader, TcpOptions, TcpSegment, TcpTimestamps, Transport,
};

/// The header without options (RFC 9293 section 3.1).
pub(super) const FIXED_HEADER: usize = 20;

/// Up to and with the window: all of the fixed header that is read.
const NEEDED: usize = 16;

/// NOP, NOP, Timestamps: how RFC 7323 appendix A advises to lay them out, and how nearly every data segment comes.
const ALIGNED_TIMESTAMPS: [u8; 4] = [1, 1, 8, 10];

/// What a segment is read into; a `static`, so that it is copied in wide pieces and not written field by field.
pub(super) static BLANK: Transport<'static> = Transport::Tcp(TcpSegment::BLANK);

/// How a TCP header turned out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// As it should be.
    Whole,
    /// The capture cut the header.
    Truncated,
    /// The data offset is below the fixed header, or beyond the end of the IP packet.
    Malformed,
}

impl<'a> Walk<'a, '_> {
    #[inline(always)]
    pub(super) fn tcp(&mut self, view: ByteView<'a>) -> Next<'a> {
        if view.data.len() < NEEDED {
            return self.stop_short("tcp", view, NEEDED);
        }
        // Filled in where it stays: copying a struct right after its small fields were written stalls the processor
        // for longer than reading the header takes.
        self.packet.transport = BLANK;
        let Transport::Tcp(segment) = &mut self.packet.transport else {
            return None;
        };
        let shape = read_segment(view, segment);
        if let Some(ip) = &self.packet.ip {
            segment.check(view.data, ip);
        }
        match shape {
            Shape::Whole => None,
            Shape::Truncated => self.stop("tcp", StopReason::Truncated),
            Shape::Malformed => self.stop("tcp", StopReason::Malformed),
        }
    }
}

/// The header quoted in an ICMP error.
pub(super) fn quoted(view: ByteView<'_>) -> TcpHeader {
    let mut segment = TcpSegment::BLANK;
    read_segment(view, &mut segment);
    TcpHeader::from(&segment)
}

/// Reads the segment whose lengths are those of `view`, of which at least [`NEEDED`] bytes are there.
#[inline(always)]
fn read_segment<'a>(view: ByteView<'a>, segment: &mut TcpSegment<'a>) -> Shape {
    let Ok(header) = TcpHeaderSlice::from_slice(view.data) else {
        return read_damaged(view, segment);
    };
    read_fixed(&header, view, segment);
    read_list(header.options(), &mut segment.options);
    Shape::Whole
}

/// Reads the options of a whole header.
#[inline]
pub(super) fn read_list(list: &[u8], options: &mut TcpOptions) {
    match <&[u8; 12]>::try_from(list) {
        Ok(&[o0, o1, o2, o3, v0, v1, v2, v3, e0, e1, e2, e3])
            if [o0, o1, o2, o3] == ALIGNED_TIMESTAMPS =>
        {
            options.timestamps = Some(TcpTimestamps {
                value: u32::from_be_bytes([v0, v1, v2, v3]),
                echo: u32::from_be_bytes([e0, e1, e2, e3]),
            });
        }
        _ => read_options(list, options),
    }
}

/// Reads what there is of a header that etherparse refuses: one that is cut, or with a data offset that cannot be. That
/// offset is taken as it stands, so payload and sequence numbers follow from it as other analysers count them; options
/// are not read then.
#[cold]
fn read_damaged<'a>(view: ByteView<'a>, segment: &mut TcpSegment<'a>) -> Shape {
    let mut fixed = [0; FIXED_HEADER];
    for (to, from) in fixed.iter_mut().zip(view.data) {
        *to = *from;
    }
    // The header as if nothing followed its fixed part.
    fixed[12] = (5 << 4) | (fixed[12] & 0x0f);
    if let Ok(header) = TcpHeaderSlice::from_slice(&fixed) {
        read_fixed(&header, view, segment);
    }
    let header = usize::from(segment.header_len);
    if header < FIXED_HEADER || header > view.wire {
        return Shape::Malformed;
    }
    let options = &mut segment.options;
    read_options(view.data.get(FIXED_HEADER..).unwrap_or(&[]), options);
    // What looks like an overrun is the cut.
    (options.malformed, options.misfit) = (false, None);
    options.truncated = header > FIXED_HEADER;
    Shape::Truncated
}

#[inline(always)]
fn read_fixed<'a>(header: &TcpHeaderSlice<'_>, view: ByteView<'a>, segment: &mut TcpSegment<'a>) {
    // etherparse tells the control bits one by one, and the reserved ones not at all.
    let [offset, flags] = view.chunk(12).unwrap_or_default();
    segment.header_len = (offset >> 4) * 4;
    segment.flags = TcpFlags(u16::from_be_bytes([offset & 0x0f, flags]));
    segment.source_port = header.source_port();
    segment.destination_port = header.destination_port();
    segment.seq = Seq(header.sequence_number());
    segment.ack = Seq(header.acknowledgment_number());
    segment.window = header.window_size();
    let payload = view.skip(usize::from(segment.header_len));
    segment.payload = payload.data;
    segment.payload_len = length(payload.wire);
}

/// Reads options until the list ends or contradicts itself (RFC 9293 section 3.1). etherparse ends at the first option it
/// does not know.
#[inline(never)]
fn read_options(mut list: &[u8], options: &mut TcpOptions) {
    while let Some((&kind, rest)) = list.split_first() {
        match kind {
            0 => return,
            1 => {
                list = rest;
                continue;
            }
            _ => {}
        }
        let body = rest.first().and_then(|&len| list.get(2..usize::from(len)));
        let Some(body) = body else {
            options.malformed = true;
            return;
        };
        if !read_option(kind, body, options) {
            options.malformed = true;
            options.misfit = Some(kind);
            return;
        }
        list = list.get(2 + body.len()..).unwrap_or(&[]);
    }
}

/// Reads one option; `false` where its length is none the option can have.
fn read_option(kind: u8, body: &[u8], options: &mut TcpOptions) -> bool {
    match (kind, body) {
        // RFC 9293 section 3.2.
        (2, &[a, b]) => options.mss = Some(u16::from_be_bytes([a, b])),
        // RFC 7323 section 2.2.
        (3, &[shift]) => options.window_scale = Some(shift),
        // RFC 2018 section 2.
        (4, &[]) => options.sack_permitted = true,
        // RFC 2018 section 3.
        (5, blocks) => return read_sack(blocks, options),
        // RFC 7323 section 3.2.
        (8, &[v0, v1, v2, v3, e0, e1, e2, e3]) => {
            options.timestamps = Some(TcpTimestamps {
                value: u32::from_be_bytes([v0, v1, v2, v3]),
                echo: u32::from_be_bytes([e0, e1, e2, e3]),
            });
        }
        // RFC 2385 section 3.0: a digest of 16 bytes.
        (19, body) if body.len() == 16 => options.authenticated = true,
        // RFC 5925 section 2.2: two key identifiers and a MAC.
        (29, &[_, _, ..]) => options.authenticated = true,
        // RFC 8684 section 3: the subtype is the high half of the first byte.
        (30, &[first, ..]) => {
            let subtype = first >> 4;
            options.mptcp_subtypes |= 1 << subtype;
            return 2 + body.len() >= shortest_mptcp(subtype);
        }
        // RFC 7413 section 4.1.1: no cookie, or one of 4 to 16 bytes and even length.
        (34, body) if matches!(body.len(), 0 | 4..=16) && body.len() % 2 == 0 => {
            options.fast_open = true;
        }
        // RFC 6994 experiments carry a number; F989 was Fast Open's before it got its own kind.
        (253 | 254, &[0xf9, 0x89, ..]) => options.fast_open = true,
        (2..=4 | 8 | 19 | 29 | 30 | 34, _) => return false,
        // RFC 9293 section 3.1: an option that is not understood is skipped.
        _ => {}
    }
    true
}

/// The length below which an MPTCP option of a subtype lacks fields that are always there (RFC 8684 sections 3.1 to 3.7).
fn shortest_mptcp(subtype: u8) -> usize {
    match subtype {
        // MP_CAPABLE, DSS, ADD_ADDR, MP_TCPRST: at least flags or an address identifier.
        0 | 2 | 3 | 8 => 4,
        // MP_FAIL and MP_FASTCLOSE: a sequence number or a key of eight bytes.
        6 | 7 => 12,
        _ => 3,
    }
}

fn read_sack(blocks: &[u8], options: &mut TcpOptions) -> bool {
    let (pairs, rest) = blocks.as_chunks::<8>();
    for &[l0, l1, l2, l3, r0, r1, r2, r3] in pairs {
        options.sack.push(
            Seq(u32::from_be_bytes([l0, l1, l2, l3])),
            Seq(u32::from_be_bytes([r0, r1, r2, r3])),
        );
    }
    rest.is_empty() && !pairs.is_empty()
}

#[cfg(test)]
mod tests {
    use super::super::samples::{
        PROBE_PAYLOAD, Random, decode, decode_cut, ipv4, probe, survives_mutation,
    };
    use super::*;
    use crate::{Checksum, Decoder, LinkType};

    /// A segment with the given option list, padded to words with what the caller put there.
    fn with_options(list: &[u8]) -> Vec<u8> {
        assert_eq!(list.len() % 4, 0);
        let mut segment = probe();
        let payload = segment.split_off(32);
        segment.truncate(20);
        segment[12] = u8::try_from((20 + list.len()) / 4).unwrap() << 4;
        [&segment, list, &payload].concat()
    }

    fn options_of(list: &[u8]) -> TcpOptions {
        let bytes = ipv4(6, &with_options(list));
        let mut decoder = Decoder::new();
        survives_mutation(LinkType::RAW, &bytes);
        match decode(&mut decoder, LinkType::RAW, &bytes).transport {
            Transport::Tcp(segment) => {
                assert_eq!(segment.payload, PROBE_PAYLOAD);
                segment.options
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_options_of_a_syn_are_read() {
        let options = options_of(&[
            2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7,
        ]);
        assert_eq!(
            options,
            TcpOptions {
                mss: Some(1460),
                window_scale: Some(7),
                sack_permitted: true,
                timestamps: Some(TcpTimestamps { value: 9, echo: 0 }),
                ..TcpOptions::default()
            }
        );
    }

    #[test]
    fn a_checksum_is_right_wrong_unfinished_or_not_known() {
        let segment = probe();
        let length = u8::try_from(segment.len()).unwrap();
        let pseudo = [10, 0, 0, 1, 10, 0, 0, 2, 0, 6, 0, length];
        let folded = |bytes: &[u8]| {
            let words = bytes
                .chunks(2)
                .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
            let sum: u32 = words.sum();
            u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap()
        };
        let right = !folded(&[&pseudo, &segment[..]].concat());
        let found = |field: u16, missing: usize| {
            let mut segment = segment.clone();
            segment[16..18].copy_from_slice(&field.to_be_bytes());
            let bytes = ipv4(6, &segment);
            let mut decoder = Decoder::new();
            let cut = bytes.len() - missing;
            let packet = decode_cut(&mut decoder, LinkType::RAW, &bytes, cut);
            let Transport::Tcp(segment) = packet.transport else {
                panic!("{packet:?}");
            };
            segment.checksum
        };
        assert_eq!(found(right, 0), Checksum::Right);
        assert_eq!(found(right ^ 0x0400, 0), Checksum::Wrong);
        assert_eq!(found(folded(&pseudo), 0), Checksum::Unfinished);
        assert_eq!(found(right, 1), Checksum::Unknown);
    }

    #[test]
    fn aligned_and_unaligned_timestamps_are_the_same() {
        let aligned = options_of(&[1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8]);
        let unaligned = options_of(&[8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1]);
        assert_eq!(aligned, unaligned);
        let expected = TcpTimestamps {
            value: 0x0102_0304,
            echo: 0x0506_0708,
        };
        assert_eq!(aligned.timestamps, Some(expected));
    }

    #[test]
    fn up_to_four_sack_blocks_are_read_in_order() {
        let mut list = vec![1, 1, 5, 34];
        for edge in 1..=8_u32 {
            list.extend((edge * 100).to_be_bytes());
        }
        let options = options_of(&list);
        let blocks = [(100, 200), (300, 400), (500, 600), (700, 800)];
        let blocks = blocks.map(|(left, right)| (Seq(left), Seq(right)));
        assert_eq!(options.sack.as_slice(), blocks);
    }

    #[test]
    fn options_behind_an_unknown_one_are_read() {
        let options = options_of(&[76, 4, 0, 1, 253, 4, 0x12, 0x34, 2, 4, 5, 0xb4]);
        assert_eq!((options.mss, options.malformed), (Some(1460), false));
    }

    #[test]
    fn mptcp_subtypes_are_collected() {
        // RFC 8684: MP_CAPABLE (0) and ADD_ADDR (3).
        let options = options_of(&[30, 4, 0x01, 0x81, 30, 8, 0x30, 1, 10, 0, 0, 1]);
        assert_eq!(options.mptcp_subtypes, 0b1001);
    }

    #[test]
    fn fast_open_is_read_in_both_kinds() {
        for list in [
            &[34, 2, 1, 1][..],
            &[34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1],
            &[254, 4, 0xf9, 0x89],
            &[253, 8, 0xf9, 0x89, 1, 2, 3, 4],
        ] {
            assert!(options_of(list).fast_open, "{list:?}");
        }
        assert!(!options_of(&[254, 4, 0xf9, 0x88]).fast_open);
    }

    #[test]
    fn signatures_are_told() {
        let mut md5 = vec![1, 1, 19, 18];
        md5.extend([0xaa; 16]);
        assert!(options_of(&md5).authenticated);
        let mut authentication = vec![29, 16, 1, 1];
        authentication.extend([0xaa; 12]);
        assert!(options_of(&authentication).authenticated);
    }

    #[test]
    fn a_list_that_contradicts_itself_is_malformed_from_there_on() {
        for (list, misfit) in [
            // Length 0, length 1, beyond the list, no length at all, wrong for the kind.
            (&[3, 3, 7, 2, 0, 0, 0, 0][..], None),
            (&[3, 3, 7, 2, 1, 0, 0, 0], None),
            (&[3, 3, 7, 2, 9, 0, 0, 0], None),
            (&[3, 3, 7, 1, 1, 1, 1, 2], None),
            (&[3, 3, 7, 2, 5, 1, 1, 1], Some(2)),
            (&[3, 3, 7, 5, 2, 1, 1, 1], Some(5)),
            (&[3, 3, 7, 1, 34, 4, 1, 1], Some(34)),
            (&[3, 3, 7, 1, 30, 4, 0x60, 0], Some(30)),
        ] {
            let options = options_of(list);
            assert!(options.malformed, "{list:?}");
            assert_eq!(options.misfit, misfit, "{list:?}");
            assert_eq!(
                (options.window_scale, options.mss),
                (Some(7), None),
                "{list:?}"
            );
        }
    }

    #[test]
    fn nothing_is_read_behind_the_end_of_the_list() {
        let options = options_of(&[1, 0, 2, 4, 5, 0xb4, 0, 0]);
        assert_eq!(options, TcpOptions::default());
    }

    #[test]
    fn a_cut_list_is_truncated_not_malformed() {
        let bytes = ipv4(6, &with_options(&[2, 4, 5, 0xb4, 1, 3, 3, 7]));
        let mut decoder = Decoder::new();
        let packet = decode_cut(&mut decoder, LinkType::RAW, &bytes, 20 + 26);
        let Transport::Tcp(segment) = packet.transport else {
            panic!("{packet:?}");
        };
        assert!(segment.options.truncated && !segment.options.malformed);
        assert_eq!(segment.options.mss, Some(1460));
        assert_eq!(segment.options.window_scale, None);
        assert_eq!(segment.payload_len, 16);
    }

    #[test]
    fn flags_reach_up_to_the_reserved_bits() {
        let mut segment = probe();
        segment[12] |= 0x01;
        segment[13] = 0xff;
        let bytes = ipv4(6, &segment);
        let mut decoder = Decoder::new();
        let packet = decode(&mut decoder, LinkType::RAW, &bytes);
        let Transport::Tcp(segment) = packet.transport else {
            panic!("{packet:?}");
        };
        assert_eq!(segment.flags, TcpFlags(0x1ff));
    }

    #[test]
    fn a_data_offset_below_five_keeps_what_the_fixed_header_says() {
        let mut segment = probe();
        segment[12] = 0x40;
        let bytes = ipv4(6, &segment);
        let mut decoder = Decoder::new();
        let packet = decode(&mut decoder, LinkType::RAW, &bytes);
        let stop = packet.stopped.map(|stop| (stop.layer, stop.reason));
        assert_eq!(stop, Some(("tcp", StopReason::Malformed)));
        let Transport::Tcp(segment) = packet.transport else {
            panic!("{packet:?}");
        };
        assert_eq!((segment.header_len, segment.payload_len), (16, 32));
        assert_eq!(segment.options, TcpOptions::default());
    }

    #[test]
    fn a_header_beyond_the_packet_is_malformed() {
        let mut segment = probe();
        segment[12] = 0xf0;
        let bytes = ipv4(6, &segment);
        let mut decoder = Decoder::new();
        let packet = decode(&mut decoder, LinkType::RAW, &bytes);
        assert_eq!(
            packet.stopped.map(|stop| stop.reason),
            Some(StopReason::Malformed)
        );
        let Transport::Tcp(segment) = packet.transport else {
            panic!("{packet:?}");
        };
        assert_eq!((segment.payload_len, segment.payload.len()), (0, 0));
    }

    #[test]
    fn etherparse_reads_the_same() {
        let list = [
            2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 3, 1, 3, 3, 7,
        ];
        let mut random = Random(1);
        for _ in 0..2000 {
            let mut bytes = ipv4(6, &with_options(&list));
            // Anything in the fixed TCP header but the data offset.
            for at in (20..32).chain(33..40) {
                bytes[at] = random.next().to_be_bytes()[0];
            }
            let mut decoder = Decoder::new();
            let packet = decode(&mut decoder, LinkType::RAW, &bytes);
            let Transport::Tcp(ours) = packet.transport else {
                panic!("{packet:?}");
            };
            let theirs = etherparse::TcpSlice::from_slice(&bytes[20..]).unwrap();
            assert_eq!(ours.source_port, theirs.source_port());
            assert_eq!(ours.destination_port, theirs.destination_port());
            assert_eq!(ours.seq.0, theirs.sequence_number());
            assert_eq!(ours.ack.0, theirs.acknowledgment_number());
            assert_eq!(ours.window, theirs.window_size());
            assert_eq!(ours.payload, theirs.payload());
            assert_eq!(ours.flags.has(TcpFlags::SYN), theirs.syn());
            assert_eq!(ours.flags.has(TcpFlags::FIN), theirs.fin());
            assert_eq!(ours.flags.has(TcpFlags::ECE), theirs.ece());
            assert_eq!(ours.options.mss, Some(1460));
        }
    }
}
