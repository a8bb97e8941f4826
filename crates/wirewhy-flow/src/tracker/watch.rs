//! What is new since the last query, for callers that cannot wait until a connection is over.
//!
//! A look costs as much as there is news: connections at rest are not visited, and cost nothing.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use wirewhy_packet::{Interval, Timestamp};

use wirewhy_protocol::QuicConversation;
use wirewhy_protocol::compact::CompactWriter;

use super::alone::LoneSegments;
use super::{Occupant, Tracker};
use crate::expiry::Handle;
use crate::observe::Tracked;
use crate::{Connection, Ended, Endpoint, EndpointState};

/// Connections with news, and those to be looked at when a time has come.
#[derive(Debug)]
pub(super) struct Watch {
    /// How long a SYN stands alone before it is looked at.
    pub(super) alone: Interval,
    /// By slot.
    seen: Vec<Seen>,
    touched: Vec<Handle>,
    alarms: BinaryHeap<Reverse<(Timestamp, u32, u32)>>,
    /// Connections, and when each is put to rest if it is idle.
    resting: VecDeque<(Timestamp, Handle)>,
    /// How long a connection is idle before it is put to rest.
    pub(super) idle: Interval,
    pub(super) writer: CompactWriter,
    /// How long handshakes took that were completed since the last query.
    handshakes: Vec<Interval>,
}

impl Watch {
    fn seen(&mut self, slot: u32) -> Option<&mut Seen> {
        let at = usize::try_from(slot).ok()?;
        if self.seen.len() <= at {
            self.seen.resize_with(at + 1, Seen::default);
        }
        self.seen.get_mut(at)
    }

    /// The connection in a slot was woken: those that speak every few seconds are not put to rest and woken every time.
    pub(super) fn woken(&mut self, slot: u32) {
        if let Some(seen) = self.seen(slot) {
            seen.passed_over = PASSED_OVER;
        }
    }

    /// Whether the connection in a slot, which is idle, is not put to rest yet.
    pub(super) fn passes_over(&mut self, slot: u32) -> bool {
        let seen = self.seen(slot).filter(|seen| seen.passed_over > 0);
        seen.map(|seen| seen.passed_over -= 1).is_some()
    }

    pub(super) fn handshake(&mut self, took: Interval) {
        if self.handshakes.len() < MOST_HANDSHAKES {
            self.handshakes.push(took);
        }
    }
}

/// What is remembered of the last look at the occupant of a slot.
#[derive(Clone, Copy, Debug)]
struct Seen {
    touched: bool,
    /// Whether it stands among those to be put to rest.
    resting: bool,
    /// How often it is passed over before it is put to rest again.
    passed_over: u8,
    reported: u32,
    alarm: Timestamp,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen {
            touched: false,
            resting: false,
            passed_over: 0,
            reported: 0,
            alarm: NEVER,
        }
    }
}

/// How long a connection is idle before it is put to rest: waking it costs as much as taking in several packets.
const IDLE: Interval = Interval::from_secs(1);

/// How often a connection that was woken is found idle before it is put to rest again.
const PASSED_OVER: u8 = 16;

const NEVER: Timestamp = Timestamp(i64::MAX);

/// How many times of handshakes are kept until the next query.
const MOST_HANDSHAKES: usize = 65_536;

/// Room kept for news between two looks.
const USUAL_NEWS: usize = 4_096;

impl Tracker {
    /// From now on keeps account of which connections have news for [`visit`](Tracker::visit). A SYN that nothing followed
    /// is news only after `alone`: most of a flood never costs more.
    pub fn watch(&mut self, alone: Interval) {
        self.spare.save_memory();
        self.watch = Some(Box::new(Watch {
            alone,
            seen: Vec::new(),
            touched: Vec::new(),
            alarms: BinaryHeap::new(),
            resting: VecDeque::new(),
            idle: IDLE,
            writer: CompactWriter::default(),
            handshakes: Vec::new(),
        }));
    }

    /// From now on puts connections to rest once they are idle for as long, instead of a second, where they are watched.
    pub fn rest_after(&mut self, idle: Interval) {
        if let Some(watch) = &mut self.watch {
            watch.idle = idle;
        }
    }

    /// Lets time pass without a packet: connections that have been quiet long enough are handed to `sink`.
    pub fn advance(&mut self, now: Timestamp, sink: &mut impl FnMut(Box<Connection>)) {
        self.step(now);
        self.expire(&mut |over| sink(over.into_connection()));
        self.lookups.advance(self.now);
    }

    /// Shows `look` each connection that changed since the last visit in more than its counts of bytes, and each whose time
    /// to be looked at again has come. It is shown as it would be handed over now, with [`Ended::Followed`].
    ///
    /// `look` says when to show the connection again although nothing happened to it.
    pub fn visit(&mut self, look: &mut impl FnMut(Box<Connection>) -> Option<Timestamp>) {
        let Some(watch) = &mut self.watch else { return };
        let mut touched = std::mem::take(&mut watch.touched);
        for handle in touched.drain(..) {
            let brief = self.brief_followed(handle);
            self.rest_later(handle);
            if self.has_news(handle, brief.as_ref()) {
                self.look_at(handle, brief, look);
            } else if let Some(brief) = brief {
                let (connection, scratch) = brief.finish();
                self.spare.keep_notes(scratch);
                self.spare.keep(connection.into());
            }
        }
        touched.shrink_to(USUAL_NEWS);
        if let Some(watch) = &mut self.watch {
            watch.touched = touched;
        }
        while let Some(handle) = self.ringing() {
            let brief = self.brief_followed(handle);
            self.rest_later(handle);
            self.look_at(handle, brief, look);
        }
        self.put_idle_to_rest();
    }

    /// Notes that a connection is to be put to rest once it is idle.
    fn rest_later(&mut self, handle: Handle) {
        let now = self.now;
        let place = self.occupant(handle.slot);
        let place = place.filter(|place| place.generation == handle.generation);
        let Some(Occupant::Brief(_) | Occupant::Connection(_)) = place.map(|place| &place.occupant)
        else {
            return;
        };
        let Some(watch) = &mut self.watch else { return };
        let seen = watch.seen(handle.slot).filter(|seen| !seen.resting);
        if let Some(seen) = seen {
            seen.resting = true;
            watch.resting.push_back((now, handle));
        }
    }

    /// Puts connections to rest that are idle.
    fn put_idle_to_rest(&mut self) {
        let now = self.now;
        if let Some(Watch {
            alarms, resting, ..
        }) = self.watch.as_deref_mut()
        {
            alarms.shrink_to(shrunk(alarms.len(), alarms.capacity()));
            resting.shrink_to(shrunk(resting.len(), resting.capacity()));
        }
        while let Some(watch) = &mut self.watch
            && let Some((_, handle)) = watch.resting.pop_front_if(|(due, _)| *due <= now)
        {
            let place = self.occupant(handle.slot);
            if place.is_none_or(|place| place.generation != handle.generation) {
                continue;
            }
            let due = self.put_to_rest(handle);
            let Some(watch) = &mut self.watch else { return };
            match due {
                Some(due) => watch.resting.push_back((due, handle)),
                None => {
                    if let Some(seen) = watch.seen(handle.slot) {
                        seen.resting = false;
                    }
                }
            }
        }
    }

    /// How long the handshakes took that were completed since this was asked last.
    pub fn handshakes(&mut self) -> impl Iterator<Item = Interval> {
        let watch = self.watch.as_mut();
        watch
            .into_iter()
            .flat_map(|watch| watch.handshakes.drain(..))
    }

    /// When the next connection is to be looked at although nothing happened.
    #[must_use]
    pub fn next_look(&self) -> Option<Timestamp> {
        let Reverse((due, _, _)) = self.watch.as_ref()?.alarms.peek()?;
        Some(*due)
    }

    /// A packet came for the occupant of a slot.
    pub(super) fn touch(&mut self, slot: u32) {
        let Some(watch) = &mut self.watch else { return };
        let place = usize::try_from(slot).ok().and_then(|at| self.slots.get(at));
        let Some(generation) = place.map(|place| place.generation) else {
            return;
        };
        let Some(seen) = watch.seen(slot).filter(|seen| !seen.touched) else {
            return;
        };
        seen.touched = true;
        watch.touched.push(Handle { slot, generation });
    }

    /// The occupant of a slot is to be looked at again by `due`.
    pub(super) fn remind(&mut self, handle: Handle, due: Timestamp) {
        let Some(watch) = &mut self.watch else { return };
        // One that rings earlier stays: what is seen then decides anew, and no connection has more than a few.
        let Some(seen) = watch.seen(handle.slot).filter(|seen| due < seen.alarm) else {
            return;
        };
        seen.alarm = due;
        if watch.alarms.len() > 2 * self.slots.len() + USUAL_NEWS {
            let seen = &watch.seen;
            watch.alarms.retain(|Reverse((due, slot, generation))| {
                let place = usize::try_from(*slot)
                    .ok()
                    .and_then(|at| self.slots.get(at).zip(seen.get(at)));
                place.is_some_and(|(place, seen)| {
                    place.generation == *generation && seen.alarm == *due
                })
            });
        }
        watch
            .alarms
            .push(Reverse((due, handle.slot, handle.generation)));
    }

    /// Takes the next connection whose time has come.
    fn ringing(&mut self) -> Option<Handle> {
        loop {
            let now = self.now;
            let watch = self.watch.as_mut()?;
            let Reverse((due, slot, generation)) = *watch.alarms.peek()?;
            if due > now {
                return None;
            }
            watch.alarms.pop();
            let place = usize::try_from(slot).ok().and_then(|at| self.slots.get(at));
            if place.is_none_or(|place| place.generation != generation) {
                continue;
            }
            if let Some(seen) = watch.seen(slot).filter(|seen| seen.alarm == due) {
                seen.alarm = NEVER;
                return Some(Handle { slot, generation });
            }
        }
    }

    /// A connection kept in brief as if it had been followed. It is kept on, unless its bytes are of a form that is read with what
    /// the connections share: then it is followed from now on.
    fn brief_followed(&mut self, handle: Handle) -> Option<Tracked> {
        let place = self.occupant(handle.slot)?;
        if place.generation != handle.generation {
            return None;
        }
        self.wake(handle.slot);
        let place = self.occupant(handle.slot)?;
        let Occupant::Brief(kept) = &place.occupant else {
            return None;
        };
        if !kept.brief.is_usual() {
            self.promote(handle.slot);
            return None;
        }
        let occupant = std::mem::replace(&mut place.occupant, Occupant::None);
        let tracked = match &occupant {
            Occupant::Brief(kept) => Some(self.followed(kept)),
            _ => None,
        };
        self.occupant(handle.slot)?.occupant = occupant;
        tracked
    }

    /// Whether a connection that was touched tells anything else than when it was looked at last. `brief` is what it comes to where
    /// it is kept in brief.
    fn has_news(&mut self, handle: Handle, brief: Option<&Tracked>) -> bool {
        let Some(place) = self.occupant(handle.slot) else {
            return false;
        };
        if place.generation != handle.generation {
            return false;
        }
        let facts_digest = match &place.occupant {
            Occupant::None | Occupant::AtRest(_) => return false,
            Occupant::Brief(_) => {
                let Some(brief) = brief else { return false };
                facts_digest(&brief.connection, brief.listens())
            }
            // What is no SYN is looked at once.
            Occupant::Alone(at) => u32::from(!LoneSegments::is_syn(*at)),
            Occupant::Connection(tracked) => facts_digest(&tracked.connection, tracked.listens()),
            Occupant::Datagrams(tracked) => {
                let of_quic = tracked.quic().map_or(0, QuicConversation::facts_digest);
                facts_digest(&tracked.connection, tracked.listens()) ^ folded(of_quic)
            }
        };
        let watch = self.watch.as_mut();
        let Some(seen) = watch.and_then(|watch| watch.seen(handle.slot)) else {
            return false;
        };
        seen.touched = false;
        std::mem::replace(&mut seen.reported, facts_digest) != facts_digest
    }

    /// A slot holds something else now, of which nothing was seen yet.
    pub(super) fn forget_looks(&mut self, slot: u32) {
        if let Some(seen) = self.watch.as_mut().and_then(|watch| watch.seen(slot)) {
            *seen = Seen::default();
        }
    }

    fn look_at(
        &mut self,
        handle: Handle,
        brief: Option<Tracked>,
        look: &mut impl FnMut(Box<Connection>) -> Option<Timestamp>,
    ) {
        let Some(connection) = self.snapshot(handle, brief) else {
            return;
        };
        if let Some(due) = look(connection) {
            self.remind(handle, due);
        }
    }

    /// A connection as it would be handed over now. `brief` is what it comes to where it is kept in brief.
    fn snapshot(&mut self, handle: Handle, brief: Option<Tracked>) -> Option<Box<Connection>> {
        let place = self.slots.get(usize::try_from(handle.slot).ok()?)?;
        if place.generation != handle.generation {
            return None;
        }
        let tracked = match &place.occupant {
            Occupant::None | Occupant::AtRest(_) => return None,
            Occupant::Brief(_) => brief?,
            Occupant::Alone(at) => {
                let lone = self.alone.get(*at)?;
                self.begin(&lone, &[])
            }
            Occupant::Connection(tracked) => tracked.snapshot(),
            Occupant::Datagrams(tracked) => {
                let connection = tracked.snapshot();
                return Some(self.hand_over_datagrams(connection, Ended::Followed));
            }
        };
        Some(self.hand_over(tracked, Ended::Followed))
    }
}

/// The room that is left to a table of so many entries which once had more.
fn shrunk(entries: usize, capacity: usize) -> usize {
    if capacity > 4 * entries + USUAL_NEWS {
        2 * entries
    } else {
        capacity
    }
}

/// Everything about a connection that a finding could rest on, besides how much has been sent and when: two looks that
/// find the same number see the same story.
/// `listens` where more bytes can change the application facts.
fn facts_digest(connection: &Connection, listens: bool) -> u32 {
    let handshake = &connection.tcp.handshake;
    let exchange = &connection.tcp.exchange;
    let mut digest = Fnv1a(0xcbf2_9ce4_8422_2325);
    digest.add(handshake.syns);
    digest.add(handshake.syn_acks);
    digest.add(handshake.syn_acks_after_ack);
    digest.add(handshake.ack.is_some());
    digest.add(exchange.answers);
    digest.add(exchange.pushes);
    digest.add(exchange.asked.is_some());
    let kept = u32::try_from(connection.events.as_slice().len()).unwrap_or(u32::MAX);
    digest.add(kept);
    digest.add(connection.events.left_out());
    for side in [&connection.client, &connection.server] {
        endpoint(&mut digest, side);
        if listens {
            digest.add(read_closely(side.counts.payload_packets));
        }
    }
    folded(digest.0)
}

fn folded(digest: u64) -> u32 {
    let [a, b, c, d, ..] = (digest ^ digest >> 32).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// While bytes are read, each of the first packets with payload may say something. Behind an opening and a few turns it is
/// turns, alerts and ends that do, which are noted by themselves.
fn read_closely(packets: u64) -> u64 {
    const OPENING: u64 = 64;
    match packets.checked_ilog2() {
        Some(doublings) if packets > OPENING => OPENING + u64::from(doublings),
        _ => packets,
    }
}

fn endpoint(digest: &mut Fnv1a, side: &Endpoint) {
    let (state, acknowledged) = match side.tcp.state {
        EndpointState::Silent => (0_u32, false),
        EndpointState::SynSent => (1, false),
        EndpointState::SynReceived => (2, false),
        EndpointState::Established => (3, false),
        EndpointState::JoinedLate => (4, false),
        EndpointState::Closing { acknowledged } => (5, acknowledged),
        EndpointState::Reset => (6, false),
    };
    digest.add(state);
    digest.add(acknowledged);
    digest.add(side.tcp.fin.is_some());
    digest.add(side.tcp.alert.is_some());
    digest.add(
        side.tcp
            .after_reset
            .as_ref()
            .map_or(0, |after| after.mark.frame),
    );
    digest.add(side.first_payload.is_some());
    digest.add(side.tcp.counts.resets);
    digest.add(side.tcp.counts.unseen_bytes);
    let Some(trouble) = side.tcp.trouble() else {
        return;
    };
    for count in [
        trouble.losses(),
        trouble.spurious,
        trouble.reordered,
        trouble.reported_duplicates,
        trouble.unanswered.count,
        trouble.unanswered_keep_alives.count,
        trouble.window.episodes,
        trouble.window_probes,
        trouble.stuck.map_or(0, |stuck| stuck.sent),
        trouble.hole.map_or(0, |hole| hole.asked.saturating_add(1)),
    ] {
        digest.add(count);
    }
    digest.add(trouble.window.closed_since.is_some());
    digest.add(
        trouble
            .stuck
            .is_some_and(|stuck| stuck.acknowledged.is_some()),
    );
}

/// FNV-1a over words: what collides is looked at a packet later.
struct Fnv1a(u64);

impl Fnv1a {
    fn add(&mut self, word: impl Into<u64>) {
        self.0 = (self.0 ^ word.into()).wrapping_mul(0x0100_0000_01b3);
        self.0 ^= self.0 >> 29;
    }
}
