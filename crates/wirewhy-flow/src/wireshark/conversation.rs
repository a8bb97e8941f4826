//! What is remembered of one conversation beyond its two directions.

use wirewhy_packet::{TcpFlags, TcpHeader, Timestamp};

use super::Marks;
use super::sequence::{self, Direction, Scale, Step};
use crate::{Opened, Pair, Side};

/// One `tcp.stream`.
#[derive(Clone, Debug, Default)]
pub(super) struct StreamAnalysis {
    /// The lower end of the pair, and the higher one.
    low: Direction,
    high: Direction,
    client: Client,
    /// When the latest SYN was sent, by either side; 0 is none.
    syn_time: Timestamp,
    /// In nanoseconds; 0 is not known.
    initial_round_trip: u64,
    completeness: u8,
    mptcp: u16,
}

/// One of the two ends of a pair, in the order of [`Pair::source_is_low`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    Low,
    High,
}

impl End {
    /// The end a segment comes from. Between equal ends everything comes from the lower one.
    pub(super) fn source(pair: &Pair) -> End {
        if pair.source_is_low() {
            End::Low
        } else {
            End::High
        }
    }

    fn other(self) -> End {
        match self {
            End::Low => End::High,
            End::High => End::Low,
        }
    }
}

/// Which end is the client, and what told.
#[derive(Clone, Copy, Debug, Default)]
enum Client {
    #[default]
    Unknown,
    /// It sent the first packet seen: a guess.
    Guessed(End),
    /// A SYN or a SYN-ACK told.
    Known(End),
}

/// How much of a TCP header Wireshark reads before it gives up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reach {
    /// All of it.
    Whole,
    /// Everything, up to an option that cannot be read: what was found is remembered but not shown.
    UpToOptions,
    /// The sequence numbers, then a data offset that cannot be: nothing behind it is read, and nothing shown.
    UpToOffset,
    /// The flags, not the numbers: the IP packet is shorter than the header. Nothing is shown.
    Short,
    /// The flags and options, not the numbers: the header is quoted by an ICMP error.
    Quoted,
}

impl Reach {
    fn measures(self) -> bool {
        !matches!(self, Reach::Short | Reach::Quoted)
    }

    fn shows(self) -> bool {
        matches!(self, Reach::Whole | Reach::Quoted)
    }
}

/// The MPTCP subtypes that count as a new signal: MP_CAPABLE (0) to MP_FASTCLOSE (7), not MP_TCPRST.
const MPTCP_COUNTED: u16 = 0xff;

/// Bits of `tcp.completeness`.
mod bits {
    pub(super) const SYN: u8 = 1;
    pub(super) const SYN_ACK: u8 = 2;
    pub(super) const ACK: u8 = 4;
    pub(super) const DATA: u8 = 8;
    pub(super) const FIN: u8 = 16;
    pub(super) const RST: u8 = 32;
}

impl StreamAnalysis {
    /// The value Wireshark shows in a single pass: what was seen before the packet in hand.
    pub(super) fn completeness(&self) -> u8 {
        self.completeness
    }

    /// Who sent a segment, as far as is known by now.
    pub(super) fn side(&mut self, from: End, flags: TcpFlags) -> Side {
        self.client = match self.client {
            Client::Known(end) => Client::Known(end),
            _ if flags.is_pure_syn() => Client::Known(from),
            _ if flags.is_syn_ack() => Client::Known(from.other()),
            Client::Guessed(end) => Client::Guessed(end),
            Client::Unknown => Client::Guessed(from),
        };
        match self.client {
            Client::Known(end) | Client::Guessed(end) if end != from => Side::Server,
            _ => Side::Client,
        }
    }

    /// A SYN came with the number its side opened with.
    pub(super) fn syn_again(&mut self, from: End) {
        self.directions(from).0.reopen();
    }

    /// Analyses a segment, remembers what follows from it, and returns the marks that are shown.
    pub(super) fn observe(
        &mut self,
        time: Timestamp,
        header: &TcpHeader,
        from: End,
        opened: Opened,
        reach: Reach,
    ) -> Marks {
        let mut marks = match opened {
            Opened::Reused | Opened::SynAckChanged => Marks::REUSED_PORTS,
            Opened::First | Opened::No => Marks::none(),
        };
        let len = if reach.measures() {
            header.payload_len
        } else {
            0
        };
        self.open(header.flags, len, opened);
        if reach.measures() {
            let step = Step {
                time,
                seq: header.seq,
                ack: header.ack,
                flags: header.flags,
                len,
                window: u32::from(header.window),
                initial_round_trip: self.initial_round_trip,
                mptcp: self.mptcp,
            };
            let (fwd, rev) = self.directions(from);
            marks = sequence::analyse(&step, marks, fwd, rev);
        }
        if reach == Reach::UpToOffset {
            return Marks::none();
        }
        if opened != Opened::First {
            self.complete(header.flags, len);
        }
        self.time_handshake(time, header.flags, from);
        self.read_options(header, from, reach);
        if reach.shows() && !header.options_cut {
            marks
        } else {
            Marks::none()
        }
    }

    fn directions(&mut self, from: End) -> (&mut Direction, &mut Direction) {
        match from {
            End::Low => (&mut self.low, &mut self.high),
            End::High => (&mut self.high, &mut self.low),
        }
    }

    fn open(&mut self, flags: TcpFlags, len: u32, opened: Opened) {
        match opened {
            Opened::First if flags.is_pure_syn() => {
                self.completeness = bits::SYN;
                if len > 0 {
                    self.completeness |= bits::DATA;
                }
            }
            Opened::Reused => self.completeness = bits::SYN,
            Opened::First | Opened::No | Opened::SynAckChanged => {}
        }
    }

    fn complete(&mut self, flags: TcpFlags, len: u32) {
        if flags.is_syn_ack() {
            self.completeness |= bits::SYN_ACK;
        } else if flags.has(TcpFlags::ACK) {
            self.completeness |= if len > 0 { bits::DATA } else { bits::ACK };
        }
        if flags.has(TcpFlags::FIN.with(TcpFlags::ACK)) {
            self.completeness |= bits::FIN;
        }
        if flags.has(TcpFlags::RST) {
            self.completeness |= bits::RST;
        }
    }

    fn time_handshake(&mut self, time: Timestamp, flags: TcpFlags, from: End) {
        let fwd = self.directions(from).0;
        if flags.has(TcpFlags::SYN) {
            fwd.in_handshake = true;
            if flags.is_pure_syn() {
                self.syn_time = time;
            }
        } else if flags.has(TcpFlags::ACK) {
            fwd.in_handshake = false;
            if self.initial_round_trip == 0 && self.syn_time != Timestamp(0) {
                let span = time.0.wrapping_sub(self.syn_time.0);
                self.initial_round_trip = span.cast_unsigned();
            }
        }
    }

    fn read_options(&mut self, header: &TcpHeader, from: End, reach: Reach) {
        self.mptcp |= header.mptcp_subtypes & MPTCP_COUNTED;
        let (fwd, rev) = self.directions(from);
        if let Some(shift) = header.window_scale {
            // RFC 7323 section 2.3: more than 14 is taken as 14.
            fwd.scale = Scale::Shift(shift.min(14));
        }
        let cut = matches!(reach, Reach::UpToOptions | Reach::Short) || header.options_cut;
        if cut || !header.flags.has(TcpFlags::SYN) {
            return;
        }
        if fwd.scale == Scale::Unknown {
            (fwd.scale, rev.scale) = (Scale::Absent, Scale::Absent);
        } else if header.flags.has(TcpFlags::ACK) && rev.scale == Scale::Absent {
            fwd.scale = Scale::Absent;
        }
    }
}
