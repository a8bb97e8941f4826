//! One bound on the memory of all connections together: what each takes by itself, what of its payload waits to be read, and
//! what its facts hold of it.
//!
//! Where it is passed, payload that waits is given up first, of the connection that has kept some longest. One that keeps
//! less than its share is passed over, so that those that keep a lot do not displace those that keep little. Where that does
//! not suffice, connections are given up, as where there are too many.

use std::collections::VecDeque;

use wirewhy_protocol::{Conversation, Memory};

use super::alone::LoneSegments;
use super::{Occupant, Slot, Tracker};
use crate::expiry::Handle;
use crate::observe::Scratch;
use crate::{Connection, Event};

/// What connections take beside what every one does.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    total: Memory,
    /// How many are at rest, and what they take.
    at_rest: (usize, usize),
    /// Those with payload that waits, the one that has kept some longest first, and places that such ones left behind.
    keepers: VecDeque<Handle>,
}

/// What a segment alone takes, if it is a plain SYN.
const LONE: usize = LoneSegments::EACH + BOOKKEEPING;

/// What a connection takes that has begun to speak, with the events of a usual one.
const FOLLOWED: usize = size_of::<Connection>()
    + size_of::<Scratch>()
    + Conversation::BEGUN
    + 6 * size_of::<Event>()
    + BOOKKEEPING;

/// A slot, a place in a queue, and what the allocator needs.
const BOOKKEEPING: usize = size_of::<Slot>() + 64;

/// How many connections that keep less than their share are passed over in search of one that keeps more.
const PASSED_OVER: u32 = 32;

impl Accounts {
    pub(super) fn replace(&mut self, before: Memory, now: Memory) {
        let Memory { unread, read } = &mut self.total;
        *unread = (*unread + now.unread).saturating_sub(before.unread);
        *read = (*read + now.read).saturating_sub(before.read);
    }

    /// A connection that takes so many bytes was put to rest.
    pub(super) fn add_at_rest(&mut self, bytes: usize) {
        let (count, total) = &mut self.at_rest;
        (*count, *total) = (*count + 1, *total + bytes);
    }

    /// It is no longer at rest.
    pub(super) fn remove_at_rest(&mut self, bytes: usize) {
        let (count, total) = &mut self.at_rest;
        (*count, *total) = (count.saturating_sub(1), total.saturating_sub(bytes));
    }

    /// A connection is no longer followed.
    pub(super) fn close(&mut self, memory: Memory) {
        self.replace(memory, Memory::default());
    }
}

impl Occupant {
    /// What it was found to take before, and takes now; `None` of what takes no more than every one does.
    fn weigh(&mut self) -> Option<(Memory, Memory)> {
        match self {
            Occupant::Connection(tracked) => Some(tracked.weigh()),
            Occupant::Datagrams(tracked) => Some(tracked.weigh()),
            Occupant::None | Occupant::Alone(_) | Occupant::Brief(_) | Occupant::AtRest(_) => None,
        }
    }

    /// Notes that it keeps payload that waits; false where that was known.
    fn begins_to_keep(&mut self) -> bool {
        match self {
            Occupant::Connection(tracked) if !tracked.is_keeper() => tracked.set_keeper(true),
            Occupant::Datagrams(tracked) if !tracked.is_keeper() => tracked.set_keeper(true),
            _ => return false,
        }
        true
    }

    fn ends_to_keep(&mut self) {
        match self {
            Occupant::Connection(tracked) => tracked.set_keeper(false),
            Occupant::Datagrams(tracked) => tracked.set_keeper(false),
            Occupant::None | Occupant::Alone(_) | Occupant::Brief(_) | Occupant::AtRest(_) => {}
        }
    }

    fn give_up_unread(&mut self) {
        match self {
            Occupant::Connection(tracked) => tracked.give_up_unread(),
            Occupant::Datagrams(tracked) => tracked.give_up_unread(),
            Occupant::None | Occupant::Alone(_) | Occupant::Brief(_) | Occupant::AtRest(_) => {}
        }
    }
}

impl Tracker {
    /// Bytes of memory in the connections that are followed, within a few of the truth.
    #[must_use]
    pub fn memory(&self) -> usize {
        let alone = self.alone.count();
        let (resting, at_rest) = self.accounts.at_rest;
        let followed = self.following().saturating_sub(alone + resting);
        let Memory { unread, read } = self.accounts.total;
        let brief = alone * LONE + self.alone.beyond_each() + resting * BOOKKEEPING + at_rest;
        brief + followed * FOLLOWED + unread + read
    }

    #[inline]
    pub(super) fn is_over_memory(&self) -> bool {
        self.memory() > self.bounds.max_memory
    }

    /// Finds out what the connection in a slot takes by now, and keeps all of them to the bound.
    #[inline(never)]
    pub(super) fn account(&mut self, slot: u32) {
        let place = self
            .slots
            .get_mut(usize::try_from(slot).unwrap_or(usize::MAX));
        let Some(Slot {
            generation,
            occupant,
            ..
        }) = place
        else {
            return;
        };
        let Some((before, now)) = occupant.weigh() else {
            return;
        };
        self.accounts.replace(before, now);
        if now.unread > 0 && occupant.begins_to_keep() {
            let generation = *generation;
            self.accounts.keepers.push_back(Handle { slot, generation });
            self.tidy_keepers();
        }
        if self.is_over_memory() {
            self.free_memory();
        }
    }

    /// Gives up what waits to be read until the bound is kept. Where that does not suffice, connections are given up before
    /// the next packet.
    #[cold]
    pub(super) fn free_memory(&mut self) {
        let mut chances = PASSED_OVER;
        while self.is_over_memory()
            && let Some(handle) = self.accounts.keepers.pop_front()
        {
            let share = self.accounts.total.unread / (self.accounts.keepers.len() + 1);
            let at = usize::try_from(handle.slot).unwrap_or(usize::MAX);
            let place = self.slots.get_mut(at);
            let Some(place) = place.filter(|place| place.generation == handle.generation) else {
                continue;
            };
            let Some((before, now)) = place.occupant.weigh() else {
                continue;
            };
            self.accounts.replace(before, now);
            if now.unread == 0 {
                place.occupant.ends_to_keep();
                continue;
            }
            if now.unread < share && chances > 0 {
                chances -= 1;
                self.accounts.keepers.push_back(handle);
                continue;
            }
            place.occupant.give_up_unread();
            if let Some((before, now)) = place.occupant.weigh() {
                self.accounts.replace(before, now);
            }
            self.tally.unread += 1;
        }
        if self.is_over_memory() {
            self.expiry.unsettle();
        }
    }

    /// Forgets the places that connections have left behind, once they are most of those that keep payload.
    fn tidy_keepers(&mut self) {
        if self.accounts.keepers.len() > 2 * self.slots.len() + 1_024 {
            let slots = &self.slots;
            self.accounts.keepers.retain(|handle| {
                let at = usize::try_from(handle.slot).unwrap_or(usize::MAX);
                slots
                    .get(at)
                    .is_some_and(|place| place.generation == handle.generation)
            });
        }
    }
}
