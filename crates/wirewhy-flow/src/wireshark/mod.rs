//! Frame by frame parity with Wireshark.
//!
//! [`WiresharkAnalysis`] gives every TCP frame the stream number and the analysis marks that Wireshark 4.0 gives it in a single
//! pass with its default preferences, so that results compare. It repeats Wireshark's rules, not what happened: no
//! detector reads it, and where the rules mislead, this module misleads as they do.
//!
//! Memory grows with the number of conversations, as Wireshark's does.

mod conversation;
mod marks;
mod sequence;

use wirewhy_packet::{
    Packet, Seq, StopReason, TcpFlags, TcpHeader, TcpOptions, TcpSegment, Timestamp, Transport,
};

use self::conversation::{End, Reach, StreamAnalysis};
pub use self::marks::Marks;
use crate::{Located, Opened, Pair, Side, StreamTable};

/// Wireshark's view of a capture, frame after frame.
#[derive(Debug, Default)]
pub struct WiresharkAnalysis {
    streams: StreamTable,
    /// One for each stream number.
    conversations: Vec<StreamAnalysis>,
}

/// What Wireshark says about one frame with a TCP header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Marked {
    /// `tcp.stream`.
    pub stream: u32,
    /// Who sent it: the side that sent the SYN is the client, else the one a SYN-ACK went to, else the sender of the
    /// first packet.
    pub from: Side,
    /// `tcp.seq`: relative to the initial sequence number where it is known, for quoted headers too.
    pub relative_seq: u32,
    /// `tcp.ack`; `None` without the ACK flag.
    pub relative_ack: Option<u32>,
    /// The analysis marks.
    pub marks: Marks,
    /// `tcp.completeness` as shown in a single pass: what was seen of the conversation before this frame.
    pub completeness: u8,
    /// Whether the header was quoted by an ICMP error.
    pub quoted: bool,
}

impl WiresharkAnalysis {
    /// Nothing seen yet.
    #[must_use]
    pub fn new() -> WiresharkAnalysis {
        WiresharkAnalysis::default()
    }

    /// Analyses the next frame of the capture; `None` where it has no TCP header that Wireshark would follow.
    pub fn observe(&mut self, packet: &Packet<'_>) -> Option<Marked> {
        match &packet.transport {
            Transport::Tcp(segment) => {
                let ip = packet.ip.as_ref()?;
                let pair = Pair::of(ip, segment);
                let header = TcpHeader::from(segment);
                let reach = reach(packet, segment);
                let located = match reach {
                    Reach::Short => self.streams.locate_quoted(&pair, &header),
                    _ => self.streams.locate(&pair, segment),
                };
                Some(self.mark(packet.time, End::source(&pair), located, &header, reach))
            }
            Transport::IcmpError(error) => {
                let quoted = error.quoted.as_ref()?;
                let header = quoted.tcp.as_ref()?.header.as_ref()?;
                let pair = Pair::quoted(quoted)?;
                let located = self.streams.locate_quoted(&pair, header);
                let from = End::source(&pair);
                Some(self.mark(packet.time, from, located, header, Reach::Quoted))
            }
            _ => None,
        }
    }

    fn mark(
        &mut self,
        time: Timestamp,
        from: End,
        located: Located,
        header: &TcpHeader,
        reach: Reach,
    ) -> Marked {
        let index = usize::try_from(located.stream).unwrap_or(usize::MAX);
        if index >= self.conversations.len() {
            self.conversations.push(StreamAnalysis::default());
        }
        let acked = header.flags.has(TcpFlags::ACK);
        let bases = self.streams.bases(&located);
        let mut marked = Marked {
            stream: located.stream,
            from: Side::Client,
            relative_seq: relative(header.seq, bases.sender),
            relative_ack: acked.then(|| relative(header.ack, bases.receiver)),
            marks: Marks::none(),
            completeness: 0,
            quoted: reach == Reach::Quoted,
        };
        if let Some(conversation) = self.conversations.get_mut(index) {
            marked.from = conversation.side(from, header.flags);
            marked.completeness = conversation.completeness();
            if located.opened == Opened::Reused {
                // The value of a new stream is set before it is shown.
                marked.completeness = 1;
            }
            if located.opened == Opened::No && header.flags.is_pure_syn() && bases.sender.is_some()
            {
                conversation.syn_again(from);
            }
            marked.marks = conversation.observe(time, header, from, located.opened, reach);
        }
        marked
    }
}

fn relative(number: Seq, base: Option<Seq>) -> u32 {
    base.map_or(number.0, |base| number.0.wrapping_sub(base.0))
}

/// How far Wireshark gets with a segment.
fn reach(packet: &Packet<'_>, segment: &TcpSegment<'_>) -> Reach {
    if segment.header_len < 20 {
        return Reach::UpToOffset;
    }
    match packet.stopped {
        Some(stop) if stop.layer == "tcp" => match stop.reason {
            StopReason::Malformed => Reach::Short,
            _ => Reach::UpToOptions,
        },
        _ if stops_at_option(&segment.options) => Reach::UpToOptions,
        _ => Reach::Whole,
    }
}

/// Whether Wireshark gives up at an option. It does so where it reads beyond the option's end without looking: at a SACK
/// option too short for a block, and at an MPTCP option too short for its subtype. Other faults it steps over.
fn stops_at_option(options: &TcpOptions) -> bool {
    const SACK: u8 = 5;
    const MPTCP: u8 = 30;
    match options.misfit {
        Some(SACK) => options.sack.as_slice().is_empty(),
        Some(MPTCP) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
