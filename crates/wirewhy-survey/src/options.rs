//! What became of SYNs that ask for ECN or Fast Open, and of those that do not, by service.

use std::net::IpAddr;

use wirewhy_detect::{Finding, Limits};
use wirewhy_flow::{Asked, Connection, Event, EventKind, Healthy, Position, Side, Unopened};

use crate::detectors::tcp::option_blackhole::{self, Found};
use crate::recent::RecentTable;

/// What a SYN may ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ask {
    Ecn,
    FastOpen,
    /// Fast Open with a cookie, and so with data.
    EarlyData,
}

impl Ask {
    const ALL: [Ask; 3] = [Ask::Ecn, Ask::FastOpen, Ask::EarlyData];

    fn is_in(self, asked: Asked) -> bool {
        match self {
            Ask::Ecn => asked.ecn,
            Ask::FastOpen => asked.fast_open,
            Ask::EarlyData => asked.fast_open && asked.payload,
        }
    }

    /// Its name in output.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Ask::Ecn => "ECN",
            Ask::FastOpen => "Fast Open",
            Ask::EarlyData => "Fast Open with data",
        }
    }
}

/// What became of the SYNs to each service.
#[derive(Debug, Default)]
pub(crate) struct SynOptions(RecentTable<(IpAddr, u16), [OptionCounts; 3]>);

/// Connections to one service, by one option.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct OptionCounts {
    /// Those whose SYNs with it were not answered.
    pub(crate) dropped: u32,
    /// Those whose SYN with it was refused.
    pub(crate) refused: u32,
    /// Those whose SYN with it was accepted.
    pub(crate) accepted: u32,
    /// Those whose SYN without it was not accepted.
    pub(crate) failed_without: u32,
    /// A stream whose SYN without it was accepted.
    pub(crate) works_without: Option<u32>,
}

/// What one connection shows of one option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// SYNs with it were not answered.
    Dropped,
    /// The SYN with it was refused.
    Refused,
}

/// A SYN's events and how it ended.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Seen {
    fate: Option<Fate>,
    accepted: bool,
    works_without: bool,
    failed_without: bool,
}

impl Seen {
    fn is_nothing(&self) -> bool {
        *self == Seen::default()
    }
}

impl SynOptions {
    /// Takes in one connection.
    pub(crate) fn note(&mut self, connection: &Connection, limits: &Limits) {
        if connection.tcp.handshake.first_syn.is_none() {
            return;
        }
        let seen = match asks_nothing(connection) {
            // It shows the same of each.
            true => [seen(connection, Ask::Ecn, limits); 3],
            false => Ask::ALL.map(|ask| seen(connection, ask, limits)),
        };
        if seen.iter().all(Seen::is_nothing) {
            return;
        }
        let key = (connection.server.address, connection.server.port);
        for (tally, seen) in self.0.entry(key).iter_mut().zip(seen) {
            let add = |count: &mut u32, is: bool| *count = count.saturating_add(u32::from(is));
            add(&mut tally.dropped, seen.fate == Some(Fate::Dropped));
            add(&mut tally.refused, seen.fate == Some(Fate::Refused));
            add(&mut tally.accepted, seen.accepted);
            add(&mut tally.failed_without, seen.failed_without);
            if seen.works_without {
                tally.works_without.get_or_insert(connection.stream);
            }
        }
    }

    /// Takes in a connection that went well, the SYN of which asks for none of these.
    pub(crate) fn note_healthy(&mut self, healthy: &Healthy) {
        for tally in self.0.entry(healthy.server()) {
            tally.works_without.get_or_insert(healthy.stream());
        }
    }

    /// Takes in an attempt that opened nothing and that asks for none of these.
    pub(crate) fn note_unopened(&mut self, attempt: &Unopened, limits: &Limits) {
        if attempt.refused().is_none() && attempt.heard() < limits.silence {
            return;
        }
        for tally in self.0.entry(attempt.server()) {
            tally.failed_without = tally.failed_without.saturating_add(1);
        }
    }

    /// The finding about a connection whose SYNs with an option fail where those without it work.
    pub(crate) fn finding_for(&self, connection: &Connection, limits: &Limits) -> Option<Finding> {
        if asks_nothing(connection) {
            return None;
        }
        let key = (connection.server.address, connection.server.port);
        let tallies = self.0.get(&key)?;
        Ask::ALL.into_iter().zip(tallies).find_map(|(ask, tally)| {
            let fate = seen(connection, ask, limits).fate?;
            let times = match fate {
                Fate::Dropped => tally.dropped,
                Fate::Refused => tally.refused,
            };
            let only_with = tally.accepted == 0 && tally.failed_without == 0;
            let stream = tally.works_without?;
            (times >= limits.option_failures && only_with).then(|| {
                option_blackhole::finding(
                    connection,
                    &Found {
                        ask,
                        fate,
                        times,
                        stream,
                    },
                )
            })
        })
    }
}

/// Whether SYNs were seen, and none asks for any of these.
fn asks_nothing(connection: &Connection) -> bool {
    let mut any = false;
    connection.events.iter().all(|event| match event.kind {
        EventKind::Syn { asks, .. } if event.from == Side::Client => {
            any = true;
            !asks.ecn && !asks.fast_open
        }
        _ => true,
    }) && any
}

fn seen(connection: &Connection, ask: Ask, limits: &Limits) -> Seen {
    let handshake = &connection.tcp.handshake;
    let mut seen = Seen::default();
    let asks = |event: &Event| match event.kind {
        EventKind::Syn { asks, .. } if event.from == Side::Client => Some(ask.is_in(asks)),
        _ => None,
    };
    let mut unanswered_with = false;
    let mut unanswered_without = false;
    if let Some(answered) = handshake.answered_syn {
        for event in connection.events.iter() {
            let Some(with) = asks(event) else { continue };
            if event.frame == answered.frame {
                seen.accepted = with;
                seen.works_without = !with;
            } else if event.frame < answered.frame {
                unanswered_with |= with;
                unanswered_without |= !with;
            }
        }
        if seen.works_without && unanswered_with && !unanswered_without {
            seen.fate = Some(Fate::Dropped);
        }
        return seen;
    }
    let last = connection.events.iter().rev().find_map(asks);
    let refused = connection.events.iter().any(|event| {
        matches!(&event.kind, EventKind::Reset(reset) if reset.position == Position::AnswersSyn)
    });
    if refused {
        match last {
            Some(true) => seen.fate = Some(Fate::Refused),
            Some(false) => seen.failed_without = true,
            None => {}
        }
        return seen;
    }
    let patient = handshake
        .last_syn
        .is_some_and(|syn| connection.heard_after(syn.time) >= limits.silence);
    let silent = !connection.server.was_seen()
        && !connection
            .events
            .iter()
            .any(|event| matches!(event.kind, EventKind::Icmp(_)));
    if patient && silent {
        let without = connection.events.iter().filter_map(asks).any(|with| !with);
        seen.failed_without = without;
        seen.fate = (!without).then_some(Fate::Dropped);
    }
    seen
}
