//! When to stop following a connection, by packet time.
//!
//! Each connection stands in exactly one queue. Nothing moves when a packet arrives: an entry that comes due is looked at,
//! and put back if its connection has been active since.

use std::collections::VecDeque;

use wirewhy_packet::Timestamp;

/// Which queue a connection stands in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// Closed: nothing more is due.
    Over,
    /// Reset with bytes on the way: it may go on all the same.
    Cut,
    /// Not open yet.
    Opening,
    /// Open. Never comes due; the order says which has been followed longest.
    Open,
}

/// A place in the table at one point of its history: the place may be used again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Handle {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Expiry {
    over: VecDeque<(Timestamp, Handle)>,
    cut: VecDeque<(Timestamp, Handle)>,
    opening: VecDeque<(Timestamp, Handle)>,
    open: VecDeque<(Timestamp, Handle)>,
}

impl Expiry {
    fn queue(&mut self, class: Class) -> &mut VecDeque<(Timestamp, Handle)> {
        match class {
            Class::Over => &mut self.over,
            Class::Cut => &mut self.cut,
            Class::Opening => &mut self.opening,
            Class::Open => &mut self.open,
        }
    }

    /// Puts a connection at the end of a queue, to be looked at when `due`.
    pub(crate) fn enter(&mut self, class: Class, due: Timestamp, handle: Handle) {
        self.queue(class).push_back((due, handle));
    }

    /// Takes the connection at the front of a queue if it is due. All of a queue have the same
    /// quiet time, so those behind it are due later.
    pub(crate) fn due(&mut self, class: Class, now: Timestamp) -> Option<Handle> {
        let queue = self.queue(class);
        let (due, handle) = *queue.front()?;
        if due > now {
            return None;
        }
        queue.pop_front();
        Some(handle)
    }

    /// Takes the connection that has stood longest in a queue.
    pub(crate) fn oldest(&mut self, class: Class) -> Option<Handle> {
        self.queue(class).pop_front().map(|(_, handle)| handle)
    }
}
