//! The TCP header and its options (RFC 9293 section 3.1, RFC 7323, RFC 2018).

use crate::{Checksum, Ip, Seq};

/// A TCP segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpSegment<'a> {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number of the first byte (or of the SYN).
    pub seq: Seq,
    /// Acknowledgement number as it stands in the header, also where the ACK flag is not set.
    pub ack: Seq,
    /// Control bits.
    pub flags: TcpFlags,
    /// The window field as sent, not scaled.
    pub window: u16,
    /// Length of the header in bytes, options included.
    pub header_len: u8,
    /// Options that parsed.
    pub options: TcpOptions,
    /// The captured part of the payload.
    pub payload: &'a [u8],
    /// Length of the payload on the wire in bytes: from the IP lengths, never from what was captured.
    pub payload_len: u32,
    /// What its checksum says, of those with payload or SYN: others are not sent again, so that nothing shows what became of them.
    pub checksum: Checksum,
}

impl TcpSegment<'_> {
    /// All zero: the decoder fills a segment in where it will stay.
    pub(crate) const BLANK: TcpSegment<'static> = TcpSegment {
        source_port: 0,
        destination_port: 0,
        seq: Seq(0),
        ack: Seq(0),
        flags: TcpFlags(0),
        window: 0,
        header_len: 0,
        options: TcpOptions {
            mss: None,
            window_scale: None,
            sack_permitted: false,
            sack: SackBlocks {
                blocks: [(Seq(0), Seq(0)); 4],
                count: 0,
            },
            timestamps: None,
            mptcp_subtypes: 0,
            fast_open: false,
            authenticated: false,
            malformed: false,
            misfit: None,
            truncated: false,
        },
        payload: &[],
        payload_len: 0,
        checksum: Checksum::Unknown,
    };

    /// Reads off `bytes`, all that were captured from the first of the header on, what the checksum says.
    #[inline]
    pub(crate) fn check(&mut self, bytes: &[u8], ip: &Ip) {
        /// The IP protocol number.
        const TCP: u8 = 6;
        if self.payload_len == 0 && !self.flags.has(TcpFlags::SYN) {
            return;
        }
        let whole = u32::from(self.header_len).saturating_add(self.payload_len);
        let field = bytes.get(16..18).and_then(|field| field.first_chunk());
        if let Some(field) = field
            && u32::try_from(bytes.len()) == Ok(whole)
            && !ip.len_from_frame
        {
            let ends = (ip.source, ip.destination);
            self.checksum = Checksum::of(bytes, TCP, u16::from_be_bytes(*field), ends);
        }
    }

    /// How much sequence space the segment takes: payload plus one each for SYN and FIN (RFC 9293 section 3.4).
    #[must_use]
    #[inline]
    pub fn seq_len(&self) -> u32 {
        let controls =
            u32::from(self.flags.has(TcpFlags::SYN)) + u32::from(self.flags.has(TcpFlags::FIN));
        self.payload_len.saturating_add(controls)
    }

    /// The sequence number behind the segment.
    #[must_use]
    #[inline]
    pub fn seq_end(&self) -> Seq {
        self.seq.advance(self.seq_len())
    }
}

/// What a TCP header says of its segment, without ports, addresses and payload: all there is of one that an ICMP error
/// quotes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpHeader {
    /// Sequence number.
    pub seq: Seq,
    /// Acknowledgement number as it stands in the header.
    pub ack: Seq,
    /// Control bits.
    pub flags: TcpFlags,
    /// The window field as sent, not scaled.
    pub window: u16,
    /// Length of the payload on the wire in bytes, from the IP lengths.
    pub payload_len: u32,
    /// See [`TcpOptions::window_scale`].
    pub window_scale: Option<u8>,
    /// See [`TcpOptions::mptcp_subtypes`].
    pub mptcp_subtypes: u16,
    /// Whether the option list was cut: by the capture, or by who quoted it.
    pub options_cut: bool,
}

impl From<&TcpSegment<'_>> for TcpHeader {
    fn from(segment: &TcpSegment<'_>) -> TcpHeader {
        TcpHeader {
            seq: segment.seq,
            ack: segment.ack,
            flags: segment.flags,
            window: segment.window,
            payload_len: segment.payload_len,
            window_scale: segment.options.window_scale,
            mptcp_subtypes: segment.options.mptcp_subtypes,
            options_cut: segment.options.truncated,
        }
    }
}

/// The TCP control bits, lowest bit FIN, up to AE (RFC 9293 section 3.1, RFC 9768).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct TcpFlags(pub u16);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: TcpFlags = TcpFlags(0x001);
    /// Synchronise sequence numbers.
    pub const SYN: TcpFlags = TcpFlags(0x002);
    /// Reset the connection.
    pub const RST: TcpFlags = TcpFlags(0x004);
    /// Push.
    pub const PSH: TcpFlags = TcpFlags(0x008);
    /// The acknowledgement number is significant.
    pub const ACK: TcpFlags = TcpFlags(0x010);
    /// The urgent pointer is significant.
    pub const URG: TcpFlags = TcpFlags(0x020);
    /// ECN echo (RFC 3168).
    pub const ECE: TcpFlags = TcpFlags(0x040);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: TcpFlags = TcpFlags(0x080);
    /// Accurate ECN (RFC 9768).
    pub const AE: TcpFlags = TcpFlags(0x100);

    /// Whether every bit of `flags` is set.
    #[must_use]
    #[inline]
    pub const fn has(self, flags: TcpFlags) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Whether at least one bit of `flags` is set.
    #[must_use]
    #[inline]
    pub const fn any(self, flags: TcpFlags) -> bool {
        self.0 & flags.0 != 0
    }

    /// The bits of both.
    #[must_use]
    #[inline]
    pub const fn with(self, flags: TcpFlags) -> TcpFlags {
        TcpFlags(self.0 | flags.0)
    }

    /// SYN without ACK: an attempt to open.
    #[must_use]
    #[inline]
    pub const fn is_pure_syn(self) -> bool {
        self.0 & (Self::SYN.0 | Self::ACK.0) == Self::SYN.0
    }

    /// SYN without ACK, FIN and RST.
    #[must_use]
    #[inline]
    pub const fn is_bare_syn(self) -> bool {
        let decisive = Self::SYN.0 | Self::ACK.0 | Self::FIN.0 | Self::RST.0;
        self.0 & decisive == Self::SYN.0
    }

    /// SYN with ACK: the answer to an attempt to open.
    #[must_use]
    #[inline]
    pub const fn is_syn_ack(self) -> bool {
        self.has(TcpFlags(Self::SYN.0 | Self::ACK.0))
    }
}

/// One letter per set bit, in the order `SFRPAUECN` (N for accurate ECN): `S`, `SA`, `PA`, `FPA`, `RA`; `.` for none.
impl std::fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::fmt::Write;
        const LETTERS: [(TcpFlags, char); 9] = [
            (TcpFlags::SYN, 'S'),
            (TcpFlags::FIN, 'F'),
            (TcpFlags::RST, 'R'),
            (TcpFlags::PSH, 'P'),
            (TcpFlags::ACK, 'A'),
            (TcpFlags::URG, 'U'),
            (TcpFlags::ECE, 'E'),
            (TcpFlags::CWR, 'C'),
            (TcpFlags::AE, 'N'),
        ];
        if self.0 == 0 {
            return f.write_char('.');
        }
        LETTERS
            .iter()
            .filter(|(bit, _)| self.has(*bit))
            .try_for_each(|(_, letter)| f.write_char(*letter))
    }
}

/// The TCP options that matter to a diagnosis.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TcpOptions {
    /// Maximum segment size in bytes (kind 2).
    pub mss: Option<u16>,
    /// Window scale shift count as sent; RFC 7323 section 2.3 caps its use at 14 (kind 3).
    pub window_scale: Option<u8>,
    /// SACK permitted (kind 4).
    pub sack_permitted: bool,
    /// Selective acknowledgements (kind 5).
    pub sack: SackBlocks,
    /// Timestamps (kind 8).
    pub timestamps: Option<TcpTimestamps>,
    /// Subtypes of MPTCP options seen, one bit each (kind 30, RFC 8684).
    pub mptcp_subtypes: u16,
    /// Fast Open, with or without a cookie (kind 34, RFC 7413).
    pub fast_open: bool,
    /// MD5 signature or TCP-AO (kinds 19 and 29): without the key no one can forge or check the segment.
    pub authenticated: bool,
    /// The option list contradicts itself; options behind the fault were not read.
    pub malformed: bool,
    /// The kind of the option at which reading ended because its length is none it can have; `None` where an option
    /// reaches beyond the list.
    pub misfit: Option<u8>,
    /// The capture cut the option list.
    pub truncated: bool,
}

/// The timestamps option (RFC 7323 section 3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpTimestamps {
    /// The sender's clock.
    pub value: u32,
    /// The peer's clock, echoed.
    pub echo: u32,
}

/// Up to four selective acknowledgements of one segment, in the order sent (RFC 2018; the first may be a duplicate
/// report, RFC 2883).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SackBlocks {
    blocks: [(Seq, Seq); 4],
    count: u8,
}

impl SackBlocks {
    /// The blocks: first byte, and the byte behind the last.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[(Seq, Seq)] {
        self.blocks.get(..usize::from(self.count)).unwrap_or(&[])
    }

    /// Appends a block; a fifth does not fit a TCP header and is ignored.
    pub fn push(&mut self, left: Seq, right: Seq) {
        if let Some(place) = self.blocks.get_mut(usize::from(self.count)) {
            *place = (left, right);
            self.count += 1;
        }
    }
}
