//! When a connection is no longer followed: it has been quiet long enough, or the table is full.

use wirewhy_packet::{Interval, Timestamp};

use super::{Bounds, Occupant, Over, Tracker};
use crate::expiry::{Class, Handle};
use crate::observe::Tracked;
use crate::{Connection, Ended, EndpointState, Tcp};

impl Tracker {
    /// Hands over the connections that are due.
    #[inline]
    pub(super) fn expire(&mut self, sink: &mut impl FnMut(Over)) {
        if self.expiry.may_be_due(self.now) {
            self.expire_due(sink);
        }
    }

    #[inline(never)]
    fn expire_due(&mut self, sink: &mut impl FnMut(Over)) {
        for class in [Class::Over, Class::Cut, Class::Opening, Class::Datagrams] {
            let quiet = quiet_of(class, &self.bounds);
            while let Some(handle) = self.expiry.due(class, self.now, quiet) {
                self.expire_one(class, handle, sink);
            }
        }
        self.expiry.settle();
        while self.is_over_memory() && self.following() > 1 {
            let before = self.tally.given_up;
            self.give_up_one(sink);
            if self.tally.given_up == before {
                break;
            }
        }
    }

    fn expire_one(&mut self, class: Class, handle: Handle, sink: &mut impl FnMut(Over)) {
        let (now, bounds) = (self.now, self.bounds);
        let place = usize::try_from(handle.slot)
            .ok()
            .and_then(|at| self.slots.get(at));
        let Some(place) = place else { return };
        if place.generation != handle.generation {
            return;
        }
        let (active, quiet, stands_in) = match &place.occupant {
            Occupant::None => return,
            Occupant::Alone(at) => {
                let Some(lone) = self.alone.what(*at) else {
                    return;
                };
                (lone.time, quiet_of(lone.class, &bounds), lone.class)
            }
            Occupant::Brief(kept) => {
                let class = kept.class();
                (kept.brief.latest(), quiet_of(class, &bounds), class)
            }
            Occupant::AtRest(rest) => {
                let quiet = quiet_of(Class::Open, &bounds);
                (rest.latest, quiet, Class::Open)
            }
            Occupant::Connection(tracked) => {
                let class = class_of(tracked);
                (
                    tracked.connection.last.time,
                    quiet_of(class, &bounds),
                    class,
                )
            }
            Occupant::Datagrams(tracked) => (
                tracked.connection.last.time,
                bounds.datagrams_quiet,
                Class::Datagrams,
            ),
        };
        if stands_in != class {
            return;
        }
        // Where time stepped back its packets lie ahead of now: looked at again all the same.
        let due = active.after(quiet);
        if due > now {
            self.expiry.enter(class, due.min(now.after(quiet)), handle);
            return;
        }
        let ended = match class {
            Class::Over | Class::Cut => Ended::Closed,
            Class::Datagrams => Ended::Quiet,
            Class::Opening | Class::Open => Ended::NeverOpened,
        };
        self.release(handle.slot, ended, sink);
    }

    /// Empties a slot and hands its connection over.
    pub(super) fn release(&mut self, slot: u32, ended: Ended, sink: &mut impl FnMut(Over)) {
        let Some(place) = self.occupant(slot) else {
            return;
        };
        let entry = place.entry;
        let Some(over) = self.vacate(slot, ended) else {
            return;
        };
        self.attachments.release(entry, slot);
        sink(over);
    }

    /// Empties a slot. Returns what was in it as a connection that is over; its stream is still attached to the slot.
    pub(super) fn vacate(&mut self, slot: u32, ended: Ended) -> Option<Over> {
        let place = self.occupant(slot)?;
        let occupant = std::mem::replace(&mut place.occupant, Occupant::None);
        if matches!(occupant, Occupant::None) {
            return None;
        }
        place.generation = place.generation.wrapping_add(1);
        self.free.push(slot);
        self.forget_looks(slot);
        let connection = match occupant {
            Occupant::Alone(at) => return self.hand_over_alone(at, ended),
            Occupant::Brief(kept) => {
                self.accounts.close(kept.memory());
                return Some(self.hand_over_brief(kept, ended));
            }
            Occupant::Connection(tracked) => {
                self.accounts.close(tracked.memory());
                self.hand_over(tracked, ended)
            }
            Occupant::Datagrams(tracked) => {
                self.accounts.close(tracked.memory());
                self.forget_datagrams(&tracked, slot);
                self.hand_over_datagrams(tracked.finish(), ended)
            }
            Occupant::AtRest(rest) => match self.woken(&rest)? {
                Occupant::Brief(kept) => {
                    self.accounts.close(kept.memory());
                    return Some(self.hand_over_brief(kept, ended));
                }
                // What it takes is found out only when it is followed on.
                Occupant::Connection(tracked) => self.hand_over(tracked, ended),
                _ => return None,
            },
            Occupant::None => return None,
        };
        Some(Over::Connection(connection))
    }

    /// Gives up what is least worth keeping: what is over; in a flood of SYNs the oldest of them; else a conversation over UDP
    /// that is idle; else what is open, healthy and idle; else what has been followed longest.
    pub(super) fn give_up_one(&mut self, sink: &mut impl FnMut(Over)) {
        use Class::{Cut, Datagrams, Open, Opening, Over};
        let flooded = self.alone.syns() > self.bounds.max_connections / 2;
        let order = if flooded {
            [Over, Cut, Opening, Datagrams, Open]
        } else {
            [Over, Cut, Datagrams, Open, Opening]
        };
        for class in order {
            let mut chances = SECOND_CHANCES;
            while let Some((due, handle)) = self.expiry.oldest(class) {
                if !self.stands_in(handle, class) {
                    continue;
                }
                if matches!(class, Datagrams | Open)
                    && chances > 0
                    && let Some(later) = self.worth_keeping(handle, due)
                {
                    chances -= 1;
                    self.expiry.enter(class, later, handle);
                    continue;
                }
                self.tally.given_up += 1;
                self.release(handle.slot, Ended::GivenUp, sink);
                return;
            }
        }
    }

    /// Forgets the places that connections have left behind in the queues, once they are most of one.
    #[inline]
    pub(super) fn tidy(&mut self) {
        let most = 2 * self.slots.len() + 1_024;
        if self.expiry.standing_in_all() > most {
            self.tidy_queues(most);
        }
    }

    #[inline(never)]
    fn tidy_queues(&mut self, most: usize) {
        for class in Class::ALL {
            if self.expiry.standing(class) > most {
                let mut queue = self.expiry.take(class);
                queue.retain(|(_, handle)| self.stands_in(*handle, class));
                self.expiry.put_back(class, queue);
            }
        }
    }

    fn stands_in(&self, handle: Handle, class: Class) -> bool {
        let place = usize::try_from(handle.slot)
            .ok()
            .and_then(|at| self.slots.get(at));
        place.is_some_and(|place| {
            place.generation == handle.generation
                && match &place.occupant {
                    Occupant::None => false,
                    Occupant::Alone(at) => {
                        let lone = self.alone.what(*at);
                        lone.is_some_and(|lone| lone.class == class)
                    }
                    Occupant::Brief(kept) => kept.class() == class,
                    Occupant::AtRest(_) => class == Class::Open,
                    Occupant::Connection(tracked) => class_of(tracked) == class,
                    Occupant::Datagrams(_) => class == Class::Datagrams,
                }
        })
    }

    /// Where an open connection or a conversation has been active since it was queued, or is in trouble: its new place in the queue.
    fn worth_keeping(&mut self, handle: Handle, due: Timestamp) -> Option<Timestamp> {
        let bounds = self.bounds;
        let of = |connection: &Connection| {
            let mut sides = [&connection.client, &connection.server].into_iter();
            let troubled = sides.any(|side| side.tcp.trouble().is_some() || side.tcp.fin.is_some());
            (connection.last.time, troubled)
        };
        let ((latest, troubled), quiet) = match &self.occupant(handle.slot)?.occupant {
            Occupant::Connection(tracked) => (of(&tracked.connection), bounds.unopened_quiet),
            Occupant::Brief(kept) => {
                let of_it = (kept.brief.latest(), kept.brief.is_closing());
                (of_it, bounds.unopened_quiet)
            }
            Occupant::AtRest(rest) => ((rest.latest, rest.is_closing), bounds.unopened_quiet),
            Occupant::Datagrams(tracked) => (of(&tracked.connection), bounds.datagrams_quiet),
            Occupant::Alone(_) | Occupant::None => return None,
        };
        let active = latest.after(quiet);
        (active > due || troubled).then_some(active.max(due))
    }
}

/// How many open connections that are active or in trouble are passed over in search of one that is neither. Beyond it the
/// search would cost more than the packet.
const SECOND_CHANCES: u32 = 32;

/// A reset behind a FIN, or with nothing on the way, is the end; any other may be forged or missed, and its connection go
/// on.
pub(super) fn class_of(tracked: &Tracked) -> Class {
    let Connection {
        client,
        server,
        tcp: Tcp { handshake, .. },
        ..
    } = &*tracked.connection;
    if tracked.is_over() {
        let closing = client.tcp.fin.is_some() || server.tcp.fin.is_some();
        let outstanding =
            client.tcp.unacknowledged_by(&server.tcp) + server.tcp.unacknowledged_by(&client.tcp);
        let continues = handshake.ack.is_some() && !closing && outstanding > 0;
        return if continues { Class::Cut } else { Class::Over };
    }
    let opening = |state| {
        matches!(
            state,
            EndpointState::Silent | EndpointState::SynSent | EndpointState::SynReceived
        )
    };
    if opening(client.tcp.state) && opening(server.tcp.state) {
        Class::Opening
    } else {
        Class::Open
    }
}

pub(super) fn quiet_of(class: Class, bounds: &Bounds) -> Interval {
    match class {
        Class::Over => bounds.closed_quiet,
        Class::Cut => bounds.reset_quiet,
        Class::Opening | Class::Open => bounds.unopened_quiet,
        Class::Datagrams => bounds.datagrams_quiet,
    }
}
