//! The analysis marks of one frame.

/// A set of the analysis marks Wireshark gives a TCP frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Marks(u16);

impl Marks {
    /// Sent before, or at least behind what was sent already. Set with both kinds that follow too.
    pub const RETRANSMISSION: Marks = Marks(1 << 0);
    /// Sent right after at least two duplicate acknowledgements asked for it.
    pub const FAST_RETRANSMISSION: Marks = Marks(1 << 1);
    /// Sent although it was acknowledged.
    pub const SPURIOUS_RETRANSMISSION: Marks = Marks(1 << 2);
    /// Behind what was sent already, and so soon after it that it was rather overtaken than sent again.
    pub const OUT_OF_ORDER: Marks = Marks(1 << 3);
    /// Something in front of this segment was not captured.
    pub const LOST_SEGMENT: Marks = Marks(1 << 4);
    /// Acknowledges what was not captured.
    pub const ACK_LOST_SEGMENT: Marks = Marks(1 << 5);
    /// Repeats an acknowledgement.
    pub const DUPLICATE_ACK: Marks = Marks(1 << 6);
    /// Repeats the last byte's number with no or one byte.
    pub const KEEP_ALIVE: Marks = Marks(1 << 7);
    /// Answers a keep-alive.
    pub const KEEP_ALIVE_ACK: Marks = Marks(1 << 8);
    /// Announces that there is no room.
    pub const ZERO_WINDOW: Marks = Marks(1 << 9);
    /// One byte sent although the peer announced no room.
    pub const ZERO_WINDOW_PROBE: Marks = Marks(1 << 10);
    /// Answers a zero window probe.
    pub const ZERO_WINDOW_PROBE_ACK: Marks = Marks(1 << 11);
    /// Ends exactly where the announced window ends.
    pub const WINDOW_FULL: Marks = Marks(1 << 12);
    /// Changes nothing but the window.
    pub const WINDOW_UPDATE: Marks = Marks(1 << 13);
    /// A SYN or SYN-ACK with another initial sequence number than before.
    pub const REUSED_PORTS: Marks = Marks(1 << 14);

    const NAMED: [(Marks, &'static str); 15] = [
        (Marks::RETRANSMISSION, "retransmission"),
        (Marks::FAST_RETRANSMISSION, "fast_retransmission"),
        (Marks::SPURIOUS_RETRANSMISSION, "spurious_retransmission"),
        (Marks::OUT_OF_ORDER, "out_of_order"),
        (Marks::LOST_SEGMENT, "lost_segment"),
        (Marks::ACK_LOST_SEGMENT, "ack_lost_segment"),
        (Marks::DUPLICATE_ACK, "duplicate_ack"),
        (Marks::KEEP_ALIVE, "keep_alive"),
        (Marks::KEEP_ALIVE_ACK, "keep_alive_ack"),
        (Marks::ZERO_WINDOW, "zero_window"),
        (Marks::ZERO_WINDOW_PROBE, "zero_window_probe"),
        (Marks::ZERO_WINDOW_PROBE_ACK, "zero_window_probe_ack"),
        (Marks::WINDOW_FULL, "window_full"),
        (Marks::WINDOW_UPDATE, "window_update"),
        (Marks::REUSED_PORTS, "reused_ports"),
    ];

    /// No mark.
    #[must_use]
    pub const fn none() -> Marks {
        Marks(0)
    }

    /// Whether no mark is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every mark of `marks` is set.
    #[must_use]
    pub const fn has(self, marks: Marks) -> bool {
        self.0 & marks.0 == marks.0
    }

    /// The marks of both.
    #[must_use]
    pub const fn with(self, marks: Marks) -> Marks {
        Marks(self.0 | marks.0)
    }

    /// The names of the marks that are set, always in the same order: those of Wireshark's `tcp.analysis` fields.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Marks::NAMED
            .into_iter()
            .filter(move |(mark, _)| self.has(*mark))
            .map(|(_, name)| name)
    }
}

impl std::fmt::Debug for Marks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_has_its_own_bit_and_name() {
        let all = Marks::NAMED
            .iter()
            .fold(Marks::none(), |all, (mark, _)| all.with(*mark));
        assert_eq!(all, Marks(0x7fff));
        let mut names: Vec<_> = all.names().collect();
        assert_eq!(names.len(), 15);
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 15);
    }

    #[test]
    fn names_come_in_a_fixed_order() {
        let marks = Marks::REUSED_PORTS.with(Marks::RETRANSMISSION);
        assert_eq!(
            marks.names().collect::<Vec<_>>(),
            ["retransmission", "reused_ports"]
        );
        assert!(Marks::none().is_empty() && !marks.is_empty());
    }
}
