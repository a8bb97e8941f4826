//! IEEE 802.11 data frames, with or without a radiotap header.

use super::{Layer, Next, View, Walk};
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
    pub(super) fn radiotap(&mut self, view: View<'a>) -> Next<'a> {
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
    pub(super) fn ieee80211(&mut self, view: View<'a>, pad_to_four: bool) -> Next<'a> {
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
    fn ieee80211_addresses(&mut self, view: View<'a>, control: u16) {
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
    fn aggregate(&mut self, view: View<'a>) -> Next<'a> {
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
fn radiotap_flags(view: View<'_>) -> Option<u8> {
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
