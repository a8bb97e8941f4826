//! Queries that belong to one lookup.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use wirewhy_packet::{Interval, Timestamp};
use wirewhy_protocol::{DnsMessage, DnsQuestion};

use super::lookup::{Answered, Lookup, Query, Socket};
use super::relation::{Relation, domain_behind, relation};
use crate::Mark;

/// One query of a lookup that goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Asked {
    slot: u32,
    generation: u32,
    query: u16,
}

#[derive(Debug)]
struct Open {
    lookup: Lookup,
    /// The names in lower case, as [`Lookup::names`] has them.
    folded: Vec<Box<str>>,
    /// When it is to be looked at whether it is over.
    due: Timestamp,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    open: Option<Box<Open>>,
}

/// What is remembered of a client.
#[derive(Debug, Default)]
struct Client {
    /// Its latest lookups.
    recent: [Option<(u32, u32)>; 8],
    /// Domains that its search list puts behind names.
    domains: Vec<Box<str>>,
}

/// Lookups that go on.
#[derive(Debug, Default)]
pub(super) struct Groups {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_name: IndexMap<(IpAddr, Box<str>), (u32, u32), RandomState>,
    clients: IndexMap<IpAddr, Client, RandomState>,
    dues: BinaryHeap<Reverse<(Timestamp, u32, u32)>>,
}

/// The type of records that give addresses names.
const PTR: u16 = 12;

const MOST_OPEN: usize = 65_536;
const MOST_CLIENTS: usize = 16_384;
const MOST_DOMAINS: usize = 8;

/// The same frame recorded twice comes at once; a client that repeats a query waits.
const COPIES: Interval = Interval::from_millis(50);
/// How long a lookup goes on behind its latest query without an answer. Clients repeat after 5 s, resolvers after 10.
const UNANSWERED: Interval = Interval::from_secs(15);
/// How long it goes on once something said no: another name, type or resolver may be tried.
const REFUSED: Interval = Interval::from_secs(5);
/// How long it goes on once all is answered: for copies, and for answers of another hand.
const ANSWERED: Interval = Interval::from_secs(2);
/// How soon the next name of a search list follows where only its beginning is the same.
const AT_ONCE: Interval = Interval::from_millis(50);
/// A client that asks for longer than this begins a lookup anew.
const LONGEST: Interval = Interval::from_secs(60);

impl Groups {
    pub(super) fn is_empty(&self) -> bool {
        self.slots.len() == self.free.len()
    }

    pub(super) fn before_searched<'a>(&self, client: IpAddr, name: &'a str) -> Option<&'a str> {
        let domains = &self.clients.get(&client)?.domains;
        let before = |domain: &str| name.strip_suffix(domain)?.strip_suffix('.');
        domains.iter().find_map(|domain| before(domain))
    }

    /// Adds a query to the lookup it belongs to, or to a new one. Returns where it is, if it is kept, and a lookup that had to
    /// make room.
    pub(super) fn ask(
        &mut self,
        client: IpAddr,
        name: &str,
        folded: String,
        query: Query,
        now: Timestamp,
    ) -> (Option<Asked>, Option<Lookup>) {
        let known = self.belongs_to(client, &folded, &query);
        let mut displaced = None;
        let slot = match known {
            Some(slot) => slot,
            None => {
                if self.slots.len() - self.free.len() >= MOST_OPEN {
                    displaced = self.oldest(now);
                }
                self.open(client, query.sent)
            }
        };
        let generation = self.generation(slot);
        self.by_name
            .insert((client, folded.as_str().into()), (slot, generation));
        let Some(open) = self.at(slot) else {
            return (None, displaced);
        };
        let is_new = open.lookup.queries.is_empty();
        let asked = open.add(name, folded, query);
        let due = open.due_at();
        if is_new || due < open.due {
            open.due = due;
            self.dues.push(Reverse((due, slot, generation)));
        }
        self.remember(client, slot, generation);
        let asked = asked.map(|query| Asked {
            slot,
            generation,
            query,
        });
        (asked, displaced)
    }

    /// The same message again from the same port. Returns whether it is the query that is known, sent again or recorded
    /// again; otherwise the number was used anew.
    pub(super) fn repeat(
        &mut self,
        asked: Asked,
        folded: &str,
        kind: u16,
        latest: Timestamp,
        mark: Mark,
    ) -> bool {
        let Some(open) = self.open_at(asked) else {
            return false;
        };
        let names = &open.folded;
        let Some(query) = open.lookup.queries.get_mut(usize::from(asked.query)) else {
            return false;
        };
        if query.kind != kind || names.get(query.name).is_none_or(|name| **name != *folded) {
            return false;
        }
        let is_copy = mark.time.since(latest).abs() < COPIES;
        if let Some(answer) = &query.answer {
            // Asked again although it was answered: another try, unless it is an older frame seen again.
            return is_copy && mark.time.since(answer.mark.time) < Interval::from_millis(1);
        }
        if !is_copy {
            query.repeats = query.repeats.saturating_add(1);
            query.latest = mark;
            open.lookup.last_query = mark;
            open.lookup.last = mark;
            self.look_later(asked);
        }
        true
    }

    /// The query, to be amended.
    pub(super) fn query(&mut self, asked: Asked) -> Option<&mut Query> {
        let open = self.open_at(asked)?;
        open.lookup.queries.get_mut(usize::from(asked.query))
    }

    /// The first query of the lookup.
    pub(super) fn first_query(&self, asked: Asked) -> Option<Mark> {
        let slot = self.slots.get(usize::try_from(asked.slot).ok()?)?;
        let open = slot.open.as_ref();
        open.filter(|_| slot.generation == asked.generation)
            .map(|open| open.lookup.first)
    }

    /// The lookup that a query is of, while it goes on.
    pub(super) fn lookup_mut(&mut self, asked: Asked) -> Option<&mut Lookup> {
        self.open_at(asked).map(|open| &mut open.lookup)
    }

    /// The lookup of a name in lower case that goes on.
    pub(super) fn by_name(&mut self, client: IpAddr, folded: &str) -> Option<&mut Lookup> {
        let key = (client, Box::from(folded));
        let (slot, generation) = self.by_name.get(&key).copied()?;
        let asked = Asked {
            slot,
            generation,
            query: 0,
        };
        self.lookup_mut(asked)
    }

    /// Notes that something happened to a lookup.
    pub(super) fn touch(&mut self, asked: Asked, mark: Mark) {
        if let Some(open) = self.open_at(asked) {
            open.lookup.last = mark;
        }
        self.look_later(asked);
    }

    /// Takes in an answer. Returns whether it is the first one.
    pub(super) fn answer(
        &mut self,
        asked: Asked,
        question: Option<&DnsQuestion>,
        answered: Answered,
    ) -> bool {
        let Some(open) = self.open_at(asked) else {
            return false;
        };
        let lookup = &mut open.lookup;
        let Some(query) = lookup.queries.get_mut(usize::from(asked.query)) else {
            return false;
        };
        let mut answered = answered;
        if let Some(question) = question {
            let name = lookup.names.get(query.name).map_or("", |name| name);
            if question.kind != query.kind || !question.name.eq_ignore_ascii_case(name) {
                return false;
            }
            answered.same_case = Some(*question.name == *name);
        }
        let mark = answered.mark;
        let is_first = match &query.answer {
            None => {
                query.answer = Some(answered);
                query.fragment = None;
                true
            }
            Some(first) => {
                // Each time a query is sent a server may answer otherwise.
                let differs = query.repeats == 0
                    && first.digest != answered.digest
                    && !first.is_cut
                    && !answered.is_cut
                    && first.truncated == answered.truncated;
                if differs && query.contradiction.is_none() {
                    query.contradiction = Some(answered);
                }
                false
            }
        };
        lookup.last = mark;
        self.look_later(asked);
        is_first
    }

    /// Takes in an answer from an address that was not asked.
    pub(super) fn answered_by(
        &mut self,
        asked: Asked,
        stranger: IpAddr,
        mark: Mark,
        message: &DnsMessage,
    ) {
        let Some(open) = self.open_at(asked) else {
            return;
        };
        let lookup = &mut open.lookup;
        let Some(query) = lookup.queries.get_mut(usize::from(asked.query)) else {
            return;
        };
        let name = lookup.names.get(query.name).map_or("", |name| name);
        let fits = message.question.as_ref().is_some_and(|question| {
            question.kind == query.kind && question.name.eq_ignore_ascii_case(name)
        });
        if fits {
            query.stranger.get_or_insert((stranger, mark));
            lookup.last = mark;
        }
    }

    /// Takes in that a client opens a TCP connection to a resolver.
    pub(super) fn retry(&mut self, client: IpAddr, resolver: Socket, stream: u32, mark: Mark) {
        let Some(recent) = self.clients.get(&client).map(|client| client.recent) else {
            return;
        };
        for (slot, generation) in recent.into_iter().flatten() {
            if self.current(slot, generation).is_none() {
                continue;
            }
            let Some(open) = self.at(slot) else { continue };
            let lookup = &mut open.lookup;
            let reported = lookup.queries.iter().any(|query| {
                let answer = query.answer.as_ref();
                let truncated = answer.is_some_and(|answer| answer.truncated);
                truncated && query.stream.is_none() && query.resolver == resolver
            });
            if reported && lookup.attempts.len() < Lookup::ATTEMPTS {
                lookup.attempts.push((stream, mark));
                lookup.last = mark;
            }
        }
    }

    /// Marks all lookups that go on.
    pub(super) fn interrupt(&mut self) {
        for slot in &mut self.slots {
            if let Some(open) = &mut slot.open {
                open.lookup.interrupted = true;
            }
        }
    }

    /// The next lookup that is over by `now`.
    pub(super) fn next_over(&mut self, now: Timestamp) -> Option<Lookup> {
        while let Some(Reverse((due, slot, generation))) = self.dues.peek().copied()
            && due <= now
        {
            self.dues.pop();
            let place = usize::try_from(slot).ok().and_then(|at| self.slots.get(at));
            let open = place
                .filter(|place| place.generation == generation)
                .and_then(|place| place.open.as_ref());
            // An entry that is not the latest of its lookup says nothing.
            let Some(really) = open
                .filter(|open| open.due == due)
                .map(|open| open.due_at())
            else {
                continue;
            };
            if really > now {
                self.dues.push(Reverse((really, slot, generation)));
                if let Some(open) = self.at(slot) {
                    open.due = really;
                }
                continue;
            }
            return self.release(slot, really);
        }
        None
    }

    /// Every lookup that goes on, by its first query.
    pub(super) fn take_all(&mut self, now: Timestamp) -> Vec<Lookup> {
        let slots: Vec<u32> = (0..).take(self.slots.len()).collect();
        let mut left: Vec<Lookup> = slots
            .into_iter()
            .filter_map(|slot| self.release(slot, now))
            .collect();
        self.dues.clear();
        left.sort_by_key(|lookup| lookup.first.frame);
        left
    }

    /// The lookup that a query belongs to, if one goes on.
    fn belongs_to(&mut self, client: IpAddr, folded: &str, query: &Query) -> Option<u32> {
        let key = (client, Box::from(folded));
        if let Some((slot, generation)) = self.by_name.get(&key).copied()
            && let Some(open) = self.current(slot, generation)
        {
            let continues = open.takes_more(folded, query);
            return continues.then_some(slot);
        }
        // Names for addresses are complete.
        if query.kind == PTR {
            return None;
        }
        let recent = self.clients.get(&client)?.recent;
        for (slot, generation) in recent.into_iter().flatten() {
            let Some(open) = self.current(slot, generation) else {
                continue;
            };
            let Some(domain) = open.searched_next(folded, query) else {
                continue;
            };
            if let Some(client) = self.clients.get_mut(&client)
                && let Some(domain) = domain
                && !client.domains.contains(&domain)
            {
                client.domains.truncate(MOST_DOMAINS - 1);
                client.domains.insert(0, domain);
            }
            return Some(slot);
        }
        None
    }

    fn current(&self, slot: u32, generation: u32) -> Option<&Open> {
        let place = self.slots.get(usize::try_from(slot).ok()?)?;
        place
            .open
            .as_deref()
            .filter(|_| place.generation == generation)
    }

    fn open_at(&mut self, asked: Asked) -> Option<&mut Open> {
        let place = self.slots.get_mut(usize::try_from(asked.slot).ok()?)?;
        place
            .open
            .as_deref_mut()
            .filter(|_| place.generation == asked.generation)
    }

    fn at(&mut self, slot: u32) -> Option<&mut Open> {
        let place = self.slots.get_mut(usize::try_from(slot).ok()?)?;
        place.open.as_deref_mut()
    }

    fn generation(&self, slot: u32) -> u32 {
        let place = usize::try_from(slot).ok().and_then(|at| self.slots.get(at));
        place.map_or(0, |place| place.generation)
    }

    /// What happened may make a lookup end sooner than it was to be looked at.
    fn look_later(&mut self, asked: Asked) {
        let Some(open) = self.open_at(asked) else {
            return;
        };
        let due = open.due_at();
        if due < open.due {
            open.due = due;
            self.dues.push(Reverse((due, asked.slot, asked.generation)));
        }
    }

    fn open(&mut self, client: IpAddr, first: Mark) -> u32 {
        let open = Box::new(Open {
            lookup: Lookup {
                client,
                names: Vec::new(),
                queries: Vec::new(),
                more_queries: 0,
                attempts: Vec::new(),
                dependents: Vec::new(),
                more_dependents: 0,
                first,
                last_query: first,
                last: first,
                heard_after: Interval::ZERO,
                interrupted: false,
            },
            folded: Vec::new(),
            due: first.time,
        });
        if let Some(slot) = self.free.pop()
            && let Some(place) = usize::try_from(slot)
                .ok()
                .and_then(|at| self.slots.get_mut(at))
        {
            place.open = Some(open);
            return slot;
        }
        let slot = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(Slot {
            generation: 0,
            open: Some(open),
        });
        slot
    }

    fn release(&mut self, slot: u32, until: Timestamp) -> Option<Lookup> {
        let place = self.slots.get_mut(usize::try_from(slot).ok()?)?;
        let open = place.open.take()?;
        let generation = place.generation;
        place.generation = generation.wrapping_add(1);
        self.free.push(slot);
        for name in open.folded {
            let key = (open.lookup.client, name);
            if self.by_name.get(&key) == Some(&(slot, generation)) {
                self.by_name.swap_remove(&key);
            }
        }
        let mut lookup = open.lookup;
        lookup.heard_after = until.since(lookup.last_query.time).max(Interval::ZERO);
        Some(lookup)
    }

    /// Gives up the lookup that is to be over first.
    fn oldest(&mut self, now: Timestamp) -> Option<Lookup> {
        while let Some(Reverse((_, slot, generation))) = self.dues.pop() {
            if self.current(slot, generation).is_some() {
                return self.release(slot, now);
            }
        }
        None
    }

    fn remember(&mut self, client: IpAddr, slot: u32, generation: u32) {
        if self.clients.len() >= MOST_CLIENTS && !self.clients.contains_key(&client) {
            self.clients.drain(..MOST_CLIENTS / 2);
        }
        let recent = &mut self.clients.entry(client).or_default().recent;
        if recent.contains(&Some((slot, generation))) {
            return;
        }
        recent.rotate_right(1);
        if let Some(latest) = recent.first_mut() {
            *latest = Some((slot, generation));
        }
    }
}

impl Open {
    /// When it is over, if nothing more happens.
    fn due_at(&self) -> Timestamp {
        let queries = &self.lookup.queries;
        let positive = self.lookup.resolved().is_some();
        let waits = queries.iter().any(|query| match &query.answer {
            None => query.icmp.is_none(),
            // The answer over TCP is to come.
            Some(answer) => answer.truncated && query.stream.is_none() && !positive,
        });
        let last = self.lookup.last.time;
        match (waits, positive) {
            (true, _) => last.after(UNANSWERED),
            (false, false) => last.after(REFUSED),
            (false, true) => last.after(ANSWERED),
        }
    }

    /// Whether a query for one of its names goes on with it: an answer that settles the matter ends it for that type.
    fn takes_more(&self, folded: &str, query: &Query) -> bool {
        let lookup = &self.lookup;
        if query.sent.time.since(lookup.first.time) > LONGEST {
            return false;
        }
        let same = lookup.queries.iter().filter(|known| {
            let name = self.folded.get(known.name);
            known.kind == query.kind && name.is_some_and(|name| **name == *folded)
        });
        let mut same = same.peekable();
        if same.peek().is_none() {
            // Another type: A and AAAA are asked for at once, or the one once the other is answered.
            return query.sent.time.since(lookup.last.time) <= ANSWERED;
        }
        same.all(|known| match &known.answer {
            None => true,
            Some(answer) => {
                // Names that do not exist are not asked for again; what failed otherwise is.
                answer.truncated || !matches!(answer.rcode, 0 | 3)
            }
        })
    }

    /// Whether a name is the next one of a search list that this lookup goes through; then, where it is seen, the domain that
    /// the list puts behind names.
    fn searched_next(&self, folded: &str, query: &Query) -> Option<Option<Box<str>>> {
        let lookup = &self.lookup;
        if lookup.resolved().is_some() || self.folded.len() >= Lookup::NAMES {
            return None;
        }
        // The one before is answered, and says no.
        let answered = lookup
            .queries
            .iter()
            .filter(|known| known.kind == query.kind)
            .filter_map(|known| known.answer.as_ref())
            .map(|answer| answer.mark.time)
            .max();
        // A and AAAA of the same new name go together.
        let gap = query.sent.time.since(answered?);
        if gap > REFUSED {
            return None;
        }
        self.folded
            .iter()
            .find_map(|known| match relation(known, folded) {
                Relation::Extended => {
                    let domain = domain_behind(known, folded).or(domain_behind(folded, known));
                    Some(domain.map(Box::from))
                }
                Relation::Nested => Some(None),
                Relation::Branched if gap <= AT_ONCE => Some(None),
                Relation::Branched | Relation::None => None,
            })
    }

    /// Adds a query. Returns its place, if there is room.
    fn add(&mut self, name: &str, folded: String, query: Query) -> Option<u16> {
        let lookup = &mut self.lookup;
        lookup.last_query = query.sent;
        lookup.last = query.sent;
        if lookup.queries.len() >= Lookup::QUERIES {
            lookup.more_queries = lookup.more_queries.saturating_add(1);
            return None;
        }
        let known = self.folded.iter().position(|known| **known == *folded);
        let index = known.unwrap_or(self.folded.len());
        if known.is_none() {
            self.folded.push(folded.into());
            lookup.names.push(name.into());
        }
        let place = u16::try_from(lookup.queries.len()).ok()?;
        lookup.queries.push(Query {
            name: index,
            ..query
        });
        Some(place)
    }
}
