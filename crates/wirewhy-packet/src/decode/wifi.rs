//! IEEE 802.11 data frames, with or without a radiotap header.

use super::{ByteView, Layer, Next, Walk};
use crate::{MacAddr, StopReason};

/// Frame control bits, first byte in the low half.
const TO_DS: u16 = 0x0100;
const FROM_DS: u16 = 0x0200;
const MORE_FRAGMENTS: u16 = 0x0400;
const PROTECTED: u16 = 0x4000;
const ORDER: u16 = 0x8000;
/// In the subtype of data frames: a QoS field follows the addresses; there is no payload.
const SUBTYPE_QOS: u16 = 0x0080;
const SUBTYPE_NO_DATA: u16 = 0x0040;

/// In the radiotap flags field: the frame ends with its FCS; the header is padded to four bytes.
const RADIOTAP_FCS: u8 = 0x10;
const RADIOTAP_PADDED: u8 = 0x20;

impl<'a> Walk<'a, '_> {
    /// <https://www.radiotap.org>: version, pad, length, presence bits; all little-endian.
    #[inline(never)]
    pub(super) fn radiotap(&mut self, view: ByteView<'a>) -> Next<'a> {
        let Some([version, _, l0, l1]) = view.chunk(0) else {
            return self.stop_short("radiotap", view, 8);
        };
        let len = usize::from(u16::from_le_bytes([l0, l1]));
        if version != 0 || len < 8 {
            return self.stop("radiotap", StopReason::Malformed);
        }
        if view.data.len() < len {
            return self.stop_short("radiotap", view, len);
        }
        let flags = radiotap_flags(view.limit(len)).unwrap_or(0);
        let fcs = if flags & RADIOTAP_FCS == 0 { 0 } else { 4 };
        let layer = Layer::Ieee80211 {
            pad_to_four: flags & RADIOTAP_PADDED != 0,
        };
        Some((layer, view.skip(len).trim_end(fcs)))
    }

    /// IEEE 802.11-2020 section 9.2.3 and 9.3.2.1.
    #[inline(never)]
    pub(super) fn ieee80211(&mut self, view: ByteView<'a>, pad_to_four: bool) -> Next<'a> {
        let Some(control) = view.chunk(0).map(u16::from_le_bytes) else {
            return self.stop_short("ieee80211", view, 2);
        };
        let is_data = control & 0x000c == 0x0008;
        if !is_data || control & SUBTYPE_NO_DATA != 0 {
            return self.stop("ieee80211", StopReason::Unsupported);
        }
        let has_qos = control & SUBTYPE_QOS != 0;
        let has_fourth = control & (TO_DS | FROM_DS) == TO_DS | FROM_DS;
        let qos_at = if has_fourth { 30 } else { 24 };
        let mut header = qos_at;
        if has_qos {
            header += if control & ORDER != 0 { 6 } else { 2 };
        }
        if view.data.len() < header {
            return self.stop_short("ieee80211", view, header);
        }
        self.ieee80211_addresses(view, control);
        if control & PROTECTED != 0 {
            return self.stop("ieee80211", StopReason::Encrypted);
        }
        let later_fragment = view.byte(22).is_some_and(|sequence| sequence & 0x0f != 0);
        if control & MORE_FRAGMENTS != 0 || later_fragment {
            return self.stop("ieee80211", StopReason::Unsupported);
        }
        if pad_to_four {
            header = header.next_multiple_of(4);
        }
        let aggregated = has_qos && view.byte(qos_at).is_some_and(|qos| qos & 0x80 != 0);
        let payload = view.skip(header);
        if aggregated {
            return self.aggregate(payload);
        }
        Some((Layer::Llc, payload))
    }

    /// IEEE 802.11-2020 table 9-30: which address is the source's depends on the direction.
    fn ieee80211_addresses(&mut self, view: ByteView<'a>, control: u16) {
        let (source, destination) = match (control & TO_DS != 0, control & FROM_DS != 0) {
            (false, false) => (10, 4),
            (true, false) => (10, 16),
            (false, true) => (16, 4),
            (true, true) => (24, 16),
        };
        if let Some(source) = view.chunk(source) {
            self.link_addresses(MacAddr(source), view.chunk(destination).map(MacAddr));
        }
    }

    /// IEEE 802.11-2020 section 9.3.2.2: several frames in one. A capture record is one packet here: the first is read,
    /// and that more follow is reported.
    fn aggregate(&mut self, view: ByteView<'a>) -> Next<'a> {
        let Some(len) = view.be16(12) else {
            return self.stop_short("a-msdu", view, 14);
        };
        let len = usize::from(len);
        if view.wire > (14 + len).next_multiple_of(4) {
            self.stop("a-msdu", StopReason::Unsupported);
        }
        Some((Layer::Llc, view.skip(14).limit(len)))
    }
}

/// The flags field: behind the presence words, and behind the eight-byte, eight-aligned timestamp where there is one.
fn radiotap_flags(view: ByteView<'_>) -> Option<u8> {
    let le32 = |at| view.chunk(at).map(u32::from_le_bytes);
    let first = le32(4)?;
    if first & 0x0002 == 0 {
        return None;
    }
    let mut at = 4;
    while le32(at)? & 0x8000_0000 != 0 {
        at += 4;
    }
    at += 4;
    if first & 0x0001 != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    view.byte(at)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{PROBE_PAYLOAD, decode, ipv4, probe, reaches_probe};
    use super::*;
    use crate::{Decoder, LinkType, Transport};

    const SNAP: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];

    /// Frame control, duration, three addresses (ends ..01, ..02, ..03), sequence control, then the rest.
    fn frame(control: u16, rest: &[u8]) -> Vec<u8> {
        let mut bytes = control.to_le_bytes().to_vec();
        bytes.extend([0, 0]);
        for last in 1..=3 {
            bytes.extend([2, 0, 0, 0, 0, last]);
        }
        bytes.extend([0x10, 0]);
        bytes.extend(rest);
        bytes
    }

    fn payload() -> Vec<u8> {
        [&SNAP, &ipv4(6, &probe())[..]].concat()
    }

    fn addresses(bytes: &[u8]) -> (u8, u8) {
        let mut decoder = Decoder::new();
        let link = decode(&mut decoder, LinkType::IEEE802_11, bytes).link;
        (link.source.unwrap().0[5], link.destination.unwrap().0[5])
    }

    #[test]
    fn the_direction_tells_which_address_is_whose() {
        for (control, expected) in [
            (0x0008, (2, 1)),
            (0x0008 | TO_DS, (2, 3)),
            (0x0008 | FROM_DS, (3, 1)),
        ] {
            let bytes = frame(control, &payload());
            reaches_probe(LinkType::IEEE802_11, &bytes, 0);
            assert_eq!(addresses(&bytes), expected);
        }
        let fourth = [&[2, 0, 0, 0, 0, 4][..], &payload()].concat();
        let bytes = frame(0x0008 | TO_DS | FROM_DS, &fourth);
        reaches_probe(LinkType::IEEE802_11, &bytes, 0);
        assert_eq!(addresses(&bytes), (4, 3));
    }

    #[test]
    fn qos_and_high_throughput_fields_are_skipped() {
        let qos = [&[0, 0][..], &payload()].concat();
        reaches_probe(LinkType::IEEE802_11, &frame(0x0088, &qos), 0);
        let ht = [&[0, 0, 1, 2, 3, 4][..], &payload()].concat();
        reaches_probe(LinkType::IEEE802_11, &frame(0x0088 | ORDER, &ht), 0);
    }

    #[test]
    fn an_aggregate_gives_its_first_frame() {
        let inner = payload();
        let [l0, l1] = u16::try_from(inner.len()).unwrap().to_be_bytes();
        let mut subframe = vec![2, 0, 0, 0, 0, 5, 2, 0, 0, 0, 0, 6, l0, l1];
        subframe.extend(&inner);
        let one = frame(0x0088, &[&[0x80, 0][..], &subframe].concat());
        reaches_probe(LinkType::IEEE802_11, &one, 0);
        subframe.resize(subframe.len().next_multiple_of(4), 0);
        let two = [&[0x80, 0][..], &subframe, &subframe].concat();
        let two = frame(0x0088, &two);
        let mut decoder = Decoder::new();
        let packet = decode(&mut decoder, LinkType::IEEE802_11, &two);
        assert!(matches!(packet.transport, Transport::Tcp(_)));
        assert_eq!(packet.stopped.map(|stop| stop.layer), Some("a-msdu"));
    }

    #[test]
    fn radiotap_tells_fcs_and_padding() {
        // Timestamp and flags; then flags alone; then with a second presence word.
        let with_timestamp = [0, 0, 17, 0, 3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        let flags_only = [0, 0, 9, 0, 2, 0, 0, 0];
        let two_words = [0, 0, 13, 0, 2, 0, 0, 0x80, 0, 0, 0, 0];
        for header in [&with_timestamp[..], &flags_only, &two_words] {
            let plain = [header, &[0][..], &frame(0x0008, &payload())].concat();
            reaches_probe(LinkType::IEEE802_11_RADIOTAP, &plain, 0);
            // Padding behind the 26 bytes of a QoS header, checksum at the end.
            let qos = [&[0, 0, 0, 0][..], &payload()].concat();
            let flags = RADIOTAP_FCS | RADIOTAP_PADDED;
            let mut padded = [header, &[flags][..], &frame(0x0088, &qos)].concat();
            padded.extend([0xde, 0xad, 0xbe, 0xef]);
            let mut decoder = Decoder::new();
            let packet = decode(&mut decoder, LinkType::IEEE802_11_RADIOTAP, &padded);
            assert!(matches!(packet.transport, Transport::Tcp(_)), "{packet:?}");
        }
    }

    #[test]
    fn the_checksum_is_not_taken_for_payload() {
        // With no IP length to go by, the frame's end decides.
        let mut ip = ipv4(6, &probe());
        ip[2..4].copy_from_slice(&[0, 0]);
        let header = [0, 0, 9, 0, 2, 0, 0, 0, RADIOTAP_FCS];
        let data = frame(0x0008, &[&SNAP[..], &ip].concat());
        let bytes = [&header[..], &data, &[0xde, 0xad, 0xbe, 0xef]].concat();
        let mut decoder = Decoder::new();
        let packet = decode(&mut decoder, LinkType::IEEE802_11_RADIOTAP, &bytes);
        let Transport::Tcp(segment) = packet.transport else {
            panic!("{packet:?}");
        };
        assert_eq!(segment.payload, PROBE_PAYLOAD);
    }

    #[test]
    fn protected_frames_are_encrypted_and_others_unsupported() {
        let mut decoder = Decoder::new();
        for (control, reason) in [
            (0x0008 | PROTECTED, StopReason::Encrypted),
            // A beacon, an acknowledgement, a null frame, a fragment.
            (0x0080, StopReason::Unsupported),
            (0x00d4, StopReason::Unsupported),
            (0x0048, StopReason::Unsupported),
            (0x0008 | MORE_FRAGMENTS, StopReason::Unsupported),
        ] {
            let bytes = frame(control, &payload());
            let packet = decode(&mut decoder, LinkType::IEEE802_11, &bytes);
            assert_eq!(packet.stopped.map(|stop| stop.reason), Some(reason));
        }
    }

    #[test]
    fn a_radiotap_length_below_its_own_header_is_malformed() {
        let mut decoder = Decoder::new();
        let bytes = [0, 0, 7, 0, 0, 0, 0, 0, 0];
        let packet = decode(&mut decoder, LinkType::IEEE802_11_RADIOTAP, &bytes);
        assert_eq!(
            packet.stopped.map(|stop| stop.reason),
            Some(StopReason::Malformed)
        );
    }
}
