//! What a connection takes of the memory of all.

use wirewhy_protocol::Memory;

use super::Tracked;
use crate::{Damage, SendingSigns, Trouble};

/// A connection that may have grown by so many bytes is weighed again.
const STEP: u32 = 2_048;

/// What a segment that is not the next in line may leave behind.
const TRACE: u32 = 64;

/// What weighing goes by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scale {
    /// What was found last.
    memory: Memory,
    /// By how much it may have grown since.
    growth: u32,
    /// What was found last that the application facts hold.
    facts: usize,
    /// Whether it is known to keep payload that waits.
    is_keeper: bool,
}

impl Scale {
    /// So much payload was read.
    pub(super) fn add(&mut self, payload: u32) {
        self.growth = self.growth.saturating_add(payload);
    }

    /// What waited to be read is no longer kept.
    pub(super) fn free(&mut self) {
        if self.memory.unread > 0 {
            self.growth = STEP;
        }
    }

    /// Whether it is to be weighed again.
    pub(super) fn is_due(&self) -> bool {
        self.growth >= STEP
    }
}

impl Tracked {
    /// Finds out what it takes beside what every connection does. Returns what it was found to take before, and takes now.
    pub(crate) fn weigh(&mut self) -> (Memory, Memory) {
        let own = &self.connection;
        let trouble: usize = [&own.client.tcp.delivery, &own.server.tcp.delivery]
            .into_iter()
            .map(|delivery| {
                let trouble = delivery.trouble.as_ref().map_or(0, |trouble| {
                    let frames = trouble.frames.capacity() + trouble.reordered_frames.capacity();
                    size_of::<Trouble>() + frames * size_of::<u64>()
                });
                trouble
                    + delivery
                        .signs
                        .as_ref()
                        .map_or(0, |_| size_of::<SendingSigns>())
                    + delivery.damage.as_ref().map_or(0, |_| size_of::<Damage>())
            })
            .sum();
        let events = size_of_val(own.events.as_slice());
        let buffers = self.scratch.conversation.memory();
        let scale = &mut self.scratch.scale;
        // Once it is finished, what it had read is in the connection's facts.
        scale.facts = buffers.map_or(scale.facts, |buffers| buffers.read);
        let now = Memory {
            unread: buffers.map_or(0, |buffers| buffers.unread),
            read: scale.facts + trouble + events,
        };
        scale.growth = 0;
        (std::mem::replace(&mut scale.memory, now), now)
    }

    /// What it was found to take last.
    pub(crate) fn memory(&self) -> Memory {
        self.scratch.scale.memory
    }

    /// Whether it is known to keep payload that waits to be read.
    pub(crate) fn is_keeper(&self) -> bool {
        self.scratch.scale.is_keeper
    }

    pub(crate) fn set_keeper(&mut self, is_keeper: bool) {
        self.scratch.scale.is_keeper = is_keeper;
    }

    /// Stops reading, and frees what waits to be read.
    pub(crate) fn give_up_unread(&mut self) {
        self.scratch.conversation.evict();
        self.settle_app();
        self.scratch.scale.is_keeper = false;
    }

    /// Whether it may have grown so much that it is to be weighed, now that a segment came that was not the next in line.
    pub(crate) fn has_grown(&mut self) -> bool {
        self.scratch.scale.add(TRACE);
        self.scratch.scale.is_due()
    }
}
