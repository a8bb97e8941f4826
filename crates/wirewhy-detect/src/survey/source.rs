//! What one source tried.

use std::net::IpAddr;

use wirewhy_flow::{Connection, Mark};
use wirewhy_packet::Timestamp;

use super::attempt::Fruitless;
use super::distinct::Distinct;
use super::flood::Recorded;
use super::table::Worth;
use crate::{Finding, Limits};

/// The attempts of one source within a stretch of time, or all since it was seen to scan.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceTally {
    /// When the stretch began.
    from: Option<Timestamp>,
    /// Attempts.
    pub(crate) attempts: u32,
    /// Those that found nothing.
    pub(crate) fruitless: u32,
    /// What they tried; kept once there were a few.
    pub(crate) tried: Option<Box<Tried>>,
    /// Whether it was seen to scan.
    found: bool,
}

/// What fruitless attempts tried.
#[derive(Clone, Debug)]
pub(crate) struct Tried {
    /// Addresses with ports.
    pub(crate) targets: Distinct,
    /// Addresses.
    pub(crate) hosts: Distinct,
    /// Ports.
    pub(crate) ports: Distinct,
    /// The first address, and the first port.
    pub(crate) example: (IpAddr, u16),
    /// How many found what.
    pub(crate) unanswered: u32,
    /// See `unanswered`.
    pub(crate) refused: u32,
    /// See `unanswered`.
    pub(crate) unreachable: u32,
    /// See `unanswered`.
    pub(crate) aborted: u32,
    /// The first and the latest of them.
    pub(crate) first: Timestamp,
    /// See `first`.
    pub(crate) last: Timestamp,
    /// Frames of the first ones.
    pub(crate) frames: Vec<u64>,
}

/// What kind of scan it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scan {
    /// Many ports of each host.
    Ports,
    /// Many hosts at each port.
    Hosts,
}

impl Worth for SourceTally {
    fn is_worth_keeping(&self) -> bool {
        self.found || self.fruitless > 1
    }
}

impl SourceTally {
    pub(super) fn add(
        &mut self,
        connection: &Connection,
        fruitless: Option<Fruitless>,
        limits: &Limits,
    ) {
        let start = connection.first;
        let from = *self.from.get_or_insert(start.time);
        if start.time.since(from) > limits.scan_window && !self.found {
            self.found = self.scan(limits).is_some();
            if !self.found {
                *self = SourceTally {
                    from: Some(start.time),
                    ..SourceTally::default()
                };
            }
        }
        self.attempts = self.attempts.saturating_add(1);
        let Some(fruitless) = fruitless else { return };
        self.fruitless = self.fruitless.saturating_add(1);
        let target = (connection.server.address, connection.server.port);
        self.tried
            .get_or_insert_with(|| Box::new(Tried::new(target, start)))
            .add(target, start, fruitless);
    }

    /// What kind of scan the attempts make.
    pub(crate) fn scan(&self, limits: &Limits) -> Option<Scan> {
        let tried = self.tried.as_deref()?;
        let share = f64::from(self.fruitless) / f64::from(self.attempts.max(1));
        if share < limits.scan_share {
            return None;
        }
        let targets = tried.targets.count();
        // Who asks the same again and again waits for it.
        if u64::from(self.fruitless) > targets.saturating_mul(4) {
            return None;
        }
        let per = |many: u64, limit: u32| targets >= many.saturating_mul(u64::from(limit));
        if per(tried.hosts.count(), limits.scan_ports) {
            Some(Scan::Ports)
        } else if per(tried.ports.count(), limits.scan_hosts) {
            Some(Scan::Hosts)
        } else {
            None
        }
    }

    /// Whether silence is known to be silence: in a recording of nothing but SYNs every attempt looks unanswered.
    pub(crate) fn is_proven(&self, scan: Scan, recorded: &Recorded) -> bool {
        let answers = self
            .tried
            .as_deref()
            .is_some_and(|tried| tried.unanswered.saturating_mul(2) < self.fruitless);
        answers || recorded.beyond_syns || scan == Scan::Ports
    }
}

impl Tried {
    fn new(example: (IpAddr, u16), start: Mark) -> Tried {
        Tried {
            targets: Distinct::new(),
            hosts: Distinct::new(),
            ports: Distinct::new(),
            example,
            unanswered: 0,
            refused: 0,
            unreachable: 0,
            aborted: 0,
            first: start.time,
            last: start.time,
            frames: Vec::new(),
        }
    }

    fn add(&mut self, target: (IpAddr, u16), start: Mark, fruitless: Fruitless) {
        self.targets.add(target);
        self.hosts.add(target.0);
        self.ports.add(target.1);
        let count = match fruitless {
            Fruitless::Unanswered => &mut self.unanswered,
            Fruitless::Refused => &mut self.refused,
            Fruitless::Unreachable => &mut self.unreachable,
            Fruitless::Aborted => &mut self.aborted,
        };
        *count = count.saturating_add(1);
        self.first = self.first.min(start.time);
        self.last = self.last.max(start.time);
        if self.frames.len() < Finding::MAX_FRAMES {
            self.frames.push(start.frame);
        }
    }
}
