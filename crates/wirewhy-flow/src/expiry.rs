//! When to stop following a connection, by packet time.
//!
//! Each connection stands in exactly one queue. Nothing moves when a packet arrives: an entry that comes due is looked at,
//! and put back if its connection has been active since.

use std::collections::VecDeque;

use wirewhy_packet::{Interval, Timestamp};

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
    /// Over UDP.
    Datagrams,
}

impl Class {
    pub(crate) const ALL: [Class; 5] = [
        Class::Over,
        Class::Cut,
        Class::Opening,
        Class::Open,
        Class::Datagrams,
    ];
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
    datagrams: VecDeque<(Timestamp, Handle)>,
    /// Nothing comes due before this, as long as time runs forward.
    earliest: Timestamp,
}

impl Expiry {
    /// Times farther apart than this in the wrong direction are a clock that was set, or a frame that lies.
    pub(crate) const FARTHEST: Interval = Interval::from_secs(3600);

    fn queue(&mut self, class: Class) -> &mut VecDeque<(Timestamp, Handle)> {
        match class {
            Class::Over => &mut self.over,
            Class::Cut => &mut self.cut,
            Class::Opening => &mut self.opening,
            Class::Open => &mut self.open,
            Class::Datagrams => &mut self.datagrams,
        }
    }

    /// Puts a connection at the end of a queue, to be looked at when `due`.
    pub(crate) fn enter(&mut self, class: Class, due: Timestamp, handle: Handle) {
        let queue = self.queue(class);
        let is_first = queue.is_empty();
        queue.push_back((due, handle));
        if is_first {
            self.earliest = self.earliest.min(due);
        }
    }

    /// Whether a connection may be due: [`due`](Expiry::due) says which, and [`settle`](Expiry::settle) is called behind.
    #[inline]
    pub(crate) fn may_be_due(&self, now: Timestamp) -> bool {
        now >= self.earliest
    }

    /// Every connection that was due has been taken.
    pub(crate) fn settle(&mut self) {
        let queues = [&self.over, &self.cut, &self.opening, &self.datagrams];
        let fronts = queues.iter().filter_map(|queue| queue.front());
        let earliest = fronts.map(|(due, _)| *due).min();
        self.earliest = earliest.unwrap_or(Timestamp(i64::MAX));
    }

    /// Something else than time passing may have made a connection due.
    pub(crate) fn unsettle(&mut self) {
        self.earliest = Timestamp(i64::MIN);
    }

    /// Takes the connection at the front of a queue if it is due. All of a queue have the same `quiet` time, so those behind
    /// it are due later. One that entered before time stepped back far is due at once: it would hold up all behind it.
    pub(crate) fn due(&mut self, class: Class, now: Timestamp, quiet: Interval) -> Option<Handle> {
        let queue = self.queue(class);
        let (due, handle) = *queue.front()?;
        if due > now && due.since(now) <= quiet.max(Self::FARTHEST) {
            return None;
        }
        queue.pop_front();
        Some(handle)
    }

    /// Takes the connection that has stood longest in a queue, with the time it would come due.
    pub(crate) fn oldest(&mut self, class: Class) -> Option<(Timestamp, Handle)> {
        self.unsettle();
        self.queue(class).pop_front()
    }

    /// How many places are taken in a queue, those left behind included.
    pub(crate) fn standing(&mut self, class: Class) -> usize {
        self.queue(class).len()
    }

    /// The same of all queues together.
    #[inline]
    pub(crate) fn standing_in_all(&self) -> usize {
        let timed = self.over.len() + self.cut.len() + self.opening.len();
        timed + self.open.len() + self.datagrams.len()
    }

    /// Takes a whole queue out.
    pub(crate) fn take(&mut self, class: Class) -> VecDeque<(Timestamp, Handle)> {
        self.unsettle();
        std::mem::take(self.queue(class))
    }

    /// Puts a queue taken out back in.
    pub(crate) fn put_back(&mut self, class: Class, queue: VecDeque<(Timestamp, Handle)>) {
        *self.queue(class) = queue;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Interval = Interval::from_secs(70);

    fn handle(slot: u32) -> Handle {
        Handle {
            slot,
            generation: 0,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs_nanos(seconds, 0)
    }

    #[test]
    fn what_is_due_comes_in_the_order_it_entered() {
        let mut expiry = Expiry::default();
        for slot in 0..3 {
            expiry.enter(Class::Opening, at(70 + i64::from(slot)), handle(slot));
        }
        assert_eq!(expiry.due(Class::Opening, at(69), QUIET), None);
        assert_eq!(expiry.due(Class::Over, at(90), QUIET), None);
        let due: Vec<_> =
            std::iter::from_fn(|| expiry.due(Class::Opening, at(71), QUIET)).collect();
        assert_eq!(due, [handle(0), handle(1)]);
        assert_eq!(expiry.oldest(Class::Opening), Some((at(72), handle(2))));
        assert_eq!(expiry.oldest(Class::Opening), None);
    }

    #[test]
    fn what_entered_before_a_step_back_holds_up_nobody() {
        let mut expiry = Expiry::default();
        expiry.enter(Class::Opening, at(1_000_000), handle(0));
        expiry.enter(Class::Opening, at(80), handle(1));
        assert_eq!(expiry.due(Class::Opening, at(80), QUIET), Some(handle(0)));
        assert_eq!(expiry.due(Class::Opening, at(80), QUIET), Some(handle(1)));
    }

    #[test]
    fn nothing_is_looked_at_before_the_earliest_is_due() {
        let mut expiry = Expiry::default();
        expiry.enter(Class::Opening, at(80), handle(0));
        expiry.enter(Class::Over, at(20), handle(1));
        expiry.enter(Class::Over, at(10), handle(2));
        expiry.settle();
        assert!(!expiry.may_be_due(at(19)));
        assert!(expiry.may_be_due(at(20)));
        assert_eq!(expiry.oldest(Class::Over), Some((at(20), handle(1))));
        // The one behind it was due earlier.
        assert!(expiry.may_be_due(at(10)));
        assert_eq!(expiry.due(Class::Over, at(10), QUIET), Some(handle(2)));
        expiry.settle();
        assert!(!expiry.may_be_due(at(79)));
        expiry.enter(Class::Cut, at(30), handle(3));
        assert!(expiry.may_be_due(at(30)));
    }

    #[test]
    fn a_long_quiet_time_is_no_step_back() {
        let mut expiry = Expiry::default();
        let quiet = Interval::from_secs(7200);
        expiry.enter(Class::Over, at(0).after(quiet), handle(0));
        assert_eq!(expiry.due(Class::Over, at(0), quiet), None);
        assert_eq!(expiry.due(Class::Over, at(7200), quiet), Some(handle(0)));
    }
}
