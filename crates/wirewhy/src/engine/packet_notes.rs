//! What packets show one by one, without the connections that they make up.

use wirewhy_flow::{Neighbours, Sample};
use wirewhy_packet::{Interval, Packet, Timestamp};

use super::following::Fed;

/// What was noted of the packets so far.
#[derive(Debug, Default)]
pub(super) struct PacketNotes {
    pub(super) neighbours: Neighbours,
    /// How many there were.
    pub(super) frames: u64,
    latest: Option<Timestamp>,
    /// Those with a time before that of the packet before.
    pub(super) backwards: Sample,
    pub(super) largest_step_back: Interval,
}

impl PacketNotes {
    /// Takes in one packet of a recording. One that a filter leaves out only counts.
    #[inline]
    pub(super) fn take(&mut self, fed: &Fed<'_, '_>) {
        if fed.gap.is_some() {
            self.neighbours.interrupt();
        }
        if fed.passes {
            self.observe(fed.packet);
        } else {
            self.note_time(fed.packet);
        }
    }

    /// Takes in one packet.
    #[inline]
    pub(super) fn observe(&mut self, packet: &Packet<'_>) {
        self.note_time(packet);
        self.neighbours.observe(packet);
    }

    #[inline]
    fn note_time(&mut self, packet: &Packet<'_>) {
        self.frames += 1;
        if let Some(latest) = self.latest.replace(packet.time)
            && packet.time < latest
        {
            self.backwards.add(packet.frame);
            self.largest_step_back = self.largest_step_back.max(latest.since(packet.time));
        }
    }
}
