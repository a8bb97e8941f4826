//! How a connection begins: from its first packet, or from its lone SYN once there is more.

use std::net::IpAddr;

use wirewhy_packet::Timestamp;
use wirewhy_protocol::CaptureContext;

use super::alone::LoneSegment;
use super::lookups::ends_of;
use super::retire::{class_of, quiet_of};
use super::{Occupant, Over, Tracker};
use crate::expiry::{Class, Handle};
use crate::observe::Tracked;
use crate::packed::PackedSegment;
use crate::segment::Segment;
use crate::{Collision, Connection, Endpoint, Events, Located, Mark, Opened, Pair, Roles, Side};

/// How many events most connections have: SYN, SYN-ACK, ACK, two FINs, and one more.
const USUAL_EVENTS: usize = 6;

impl Tracker {
    /// Begins a connection with a SYN and nothing else, in what it was packed into. Returns whether it did.
    #[inline]
    pub(super) fn open_with_syn(
        &mut self,
        syn: PackedSegment,
        pair: &Pair,
        located: &Located,
        sink: &mut impl FnMut(Over),
    ) -> bool {
        self.make_room(sink);
        let stream = located.stream;
        let is_reused = located.opened == Opened::Reused;
        let Some(at) = self.alone.add_syn(syn, pair, (stream, is_reused)) else {
            return false;
        };
        let client = (pair.source, syn.mac());
        self.lookups
            .observe_opening(client, pair.destination, stream, syn.mark());
        let handle = self.enter(Occupant::Alone(at), Class::Opening, syn.time(), located);
        self.remind_of_lone(handle, syn.time());
        true
    }

    pub(super) fn open(
        &mut self,
        lone: LoneSegment,
        located: &Located,
        collision: Option<Box<Collision>>,
        payload: &[u8],
        sink: &mut impl FnMut(Over),
    ) {
        self.make_room(sink);
        let LoneSegment { pair, segment, .. } = lone;
        if segment.flags.is_pure_syn() {
            let client = (pair.source, segment.mac);
            let mark = segment.mark();
            self.lookups
                .observe_opening(client, pair.destination, lone.stream, mark);
        }
        let kept = lone.class().filter(|_| collision.is_none());
        #[cfg(test)]
        let kept = kept.filter(|class| *class == Class::Opening || !self.begins_strays);
        let (occupant, class) = match kept {
            Some(class) => (Occupant::Alone(self.alone.add(&lone)), class),
            None => {
                let mut tracked = self.begin(&lone, payload);
                tracked.connection.collision = collision;
                let class = class_of(&tracked);
                (Occupant::Connection(tracked), class)
            }
        };
        let handle = self.enter(occupant, class, segment.time, located);
        if kept == Some(Class::Opening) {
            self.remind_of_lone(handle, segment.time);
        } else {
            self.touch(handle.slot);
        }
    }

    /// Follows what begins at this time.
    #[inline]
    fn enter(
        &mut self,
        occupant: Occupant,
        class: Class,
        time: Timestamp,
        located: &Located,
    ) -> Handle {
        let quiet = quiet_of(class, &self.bounds);
        let handle = self.place(occupant, located.index);
        self.expiry.enter(class, time.after(quiet), handle);
        self.attachments.attach(located.index, handle.slot);
        let slots = &mut self.slots;
        let moved = |slot, entry| {
            let place = usize::try_from(slot).ok();
            if let Some(place) = place.and_then(|at| slots.get_mut(at)) {
                place.entry = entry;
            }
        };
        self.streams
            .forget_beyond(self.bounds.max_streams, &mut self.attachments, moved);
        handle
    }

    #[inline]
    fn remind_of_lone(&mut self, handle: Handle, time: Timestamp) {
        if let Some(watch) = &self.watch {
            let due = time.after(watch.alone);
            self.remind(handle, due);
        }
    }

    /// A connection from its first packet.
    pub(super) fn begin(&mut self, lone: &LoneSegment, payload: &[u8]) -> Tracked {
        let LoneSegment {
            stream,
            earlier_stream,
            pair,
            opener: (roles, from),
            segment,
            interrupted,
        } = lone;
        let (roles, from) = (*roles, *from);
        let (client, server) = match from {
            Side::Client => (pair.source, pair.destination),
            Side::Server => (pair.destination, pair.source),
        };
        let mut connection = self.fresh(*stream, [client, server], roles, segment.mark());
        connection.interrupted = *interrupted;
        connection.host_context.earlier_stream = *earlier_stream;
        let client_is_low = pair.source_is_low() == (from == Side::Client);
        let mut tracked = Tracked::new(connection, self.spare.scratch(), client_is_low);
        if from == Side::Server {
            tracked.connection.zeek.flip();
        }
        tracked.observe(from, segment, payload, &mut self.context);
        let Connection { client, server, .. } = &*tracked.connection;
        let asker = (client.address, client.mac);
        tracked.connection.looked_up =
            self.waited_for(*stream, asker, server.address, segment.time);
        if self.context.has_dns() {
            let messages = self.context.take_dns();
            self.note_messages(ends_of(&tracked.connection), segment.ttl, &messages);
        }
        tracked
    }

    /// A connection of which no packet was taken in, in memory that was used before where there is any.
    pub(super) fn fresh(
        &mut self,
        stream: u32,
        ends: [(IpAddr, u16); 2],
        roles: Roles,
        first: Mark,
    ) -> Box<Connection> {
        if let Some(mut spare) = self.spare.connection() {
            spare.begin_anew(stream, ends, roles, first);
            return spare;
        }
        let sides = ends.map(|(address, port)| Endpoint::new(address, port));
        let transport = wirewhy_protocol::Transport::Tcp;
        let mut new = Box::new(Connection::new(transport, stream, sides, roles, first));
        new.events = Events::with_room(USUAL_EVENTS);
        new
    }

    /// Who is the client, by what the first packet shows; surest first.
    pub(super) fn first_roles(&self, pair: &Pair, segment: &Segment) -> (Roles, Side) {
        if segment.flags.is_pure_syn() {
            return (Roles::Syn, Side::Client);
        }
        if segment.flags.is_syn_ack() {
            return (Roles::SynAck, Side::Server);
        }
        match (
            self.hosts.is_service(pair.source),
            self.hosts.is_service(pair.destination),
        ) {
            (true, false) => return (Roles::KnownService, Side::Server),
            (false, true) => return (Roles::KnownService, Side::Client),
            _ => {}
        }
        // RFC 9293 section 3.10.7.1: a reset that acknowledges without a number of its own answers a SYN.
        if segment.is_rst() && segment.has_ack() && segment.seq.0 == 0 {
            return (Roles::Guessed, Side::Server);
        }
        // Ports below 1024 are reserved for services (RFC 6335 section 6); a guess, and marked as one.
        let from_service = pair.source.1 < 1024 && pair.destination.1 >= 1024;
        (
            Roles::Guessed,
            if from_service {
                Side::Server
            } else {
                Side::Client
            },
        )
    }

    /// The connection in a slot, followed from now on if it was not.
    pub(super) fn promote(&mut self, slot: u32) -> Option<(&mut Tracked, &mut CaptureContext)> {
        let place = self.occupant(slot)?;
        let tracked = match &place.occupant {
            Occupant::AtRest(_) => {
                self.wake(slot);
                self.promote_brief(slot)
            }
            Occupant::Brief(_) => self.promote_brief(slot),
            Occupant::Alone(at) => {
                let at = *at;
                match self.alone.take_refusal(at) {
                    Some(refusal) => Some(self.refused(&refusal)),
                    None => {
                        let lone = self.alone.take(at)?;
                        self.forget_looks(slot);
                        Some(self.promoted(&lone))
                    }
                }
            }
            Occupant::Connection(_) | Occupant::Datagrams(_) | Occupant::None => None,
        };
        if let Some(tracked) = tracked {
            let place = self.occupant(slot)?;
            place.occupant = Occupant::Connection(tracked);
        }
        let place = self.slots.get_mut(usize::try_from(slot).ok()?)?;
        match &mut place.occupant {
            Occupant::Connection(tracked) => Some((tracked, &mut self.context)),
            _ => None,
        }
    }

    fn promote_brief(&mut self, slot: u32) -> Option<Tracked> {
        let place = self.occupant(slot)?;
        match std::mem::replace(&mut place.occupant, Occupant::None) {
            Occupant::Brief(kept) => {
                self.accounts.close(kept.memory());
                let tracked = self.followed(&kept);
                self.spare.keep_brief(kept);
                Some(tracked)
            }
            other => {
                place.occupant = other;
                None
            }
        }
    }

    /// The connection that began with a lone segment.
    pub(super) fn promoted(&mut self, lone: &LoneSegment) -> Tracked {
        let mut tracked = self.begin(lone, &[]);
        if !lone.segment.flags.is_pure_syn() {
            return tracked;
        }
        let connection = &mut tracked.connection;
        let service = (connection.server.address, connection.server.port);
        let client = connection.client.address;
        connection.host_context.accepted =
            self.hosts
                .accepted_before(client, service, connection.first);
        tracked
    }

    /// A guess about who is who is mended by what became known later.
    pub(super) fn correct_roles(&self, tracked: &mut Tracked) {
        if tracked.connection.roles != Roles::Guessed {
            return;
        }
        let Connection { client, server, .. } = &*tracked.connection;
        let client_serves = self.hosts.is_service((client.address, client.port));
        let server_serves = self.hosts.is_service((server.address, server.port));
        if client_serves == server_serves {
            return;
        }
        tracked.connection.roles = Roles::KnownService;
        if client_serves {
            tracked.flip();
        }
    }
}
