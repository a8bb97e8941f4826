//! What one source tried.

use std::borrow::Cow;
use std::net::IpAddr;

use wirewhy_flow::Mark;
use wirewhy_packet::Timestamp;

use crate::attempt::FailedProbe;
use crate::distinct_count::{DistinctCount, Leaders};
use crate::flood::Recorded;
use crate::table::Worth;
use wirewhy_detect::{Finding, Limits};

/// The attempts of one source within a stretch of time, or all since it was seen to scan.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceTally {
    /// When the stretch began.
    from: Option<Timestamp>,
    /// Attempts.
    pub(crate) attempts: u32,
    /// Those that failed.
    pub(crate) failed_probes: u32,
    /// The address and port of the latest attempt that worked.
    latest: Option<(IpAddr, u16)>,
    /// Those of others that worked.
    fruitful: DistinctCount<(IpAddr, u16)>,
    /// The first failed attempt, until there is another: most of the sources that a capture holds failed once.
    only_failed: Option<FailedAttempt>,
    /// What the failed attempts tried, where there are several.
    tried: Option<Box<Tried>>,
    /// Whether it was seen to scan.
    found: bool,
}

/// One failed attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct FailedAttempt {
    start: Mark,
    target: (IpAddr, u16),
    kind: FailedProbe,
}

/// What the failed attempts tried.
#[derive(Clone, Debug)]
pub(crate) struct Tried {
    /// Addresses with ports.
    pub(crate) targets: DistinctCount<(IpAddr, u16)>,
    /// Addresses.
    pub(crate) hosts: DistinctCount<IpAddr>,
    /// Ports.
    pub(crate) ports: DistinctCount<u16>,
    /// The ports tried at a few hosts, and the hosts tried at a few ports: those with the most.
    pub(crate) most_ports: Leaders<IpAddr, u16>,
    /// See `most_ports`.
    pub(crate) most_hosts: Leaders<u16, IpAddr>,
    /// The first address, and the first port.
    pub(crate) example: (IpAddr, u16),
    /// How many failed in which way.
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
        self.found || self.failed_probes > 1
    }
}

impl SourceTally {
    pub(crate) fn add(
        &mut self,
        start: Mark,
        target: (IpAddr, u16),
        failed: Option<FailedProbe>,
        limits: &Limits,
    ) {
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
        let Some(failed) = failed else {
            if let Some(before) = self.latest.replace(target).filter(|one| *one != target) {
                self.fruitful.add(&before);
            }
            return;
        };
        self.failed_probes = self.failed_probes.saturating_add(1);
        let failed = FailedAttempt {
            start,
            target,
            kind: failed,
        };
        match (&mut self.tried, self.only_failed.take()) {
            (Some(tried), _) => tried.add(&failed),
            (None, None) => self.only_failed = Some(failed),
            (None, Some(first)) => {
                let mut tried = Box::new(Tried::of(&first));
                tried.add(&failed);
                self.tried = Some(tried);
            }
        }
    }

    /// What the failed attempts tried.
    pub(crate) fn tried(&self) -> Option<Cow<'_, Tried>> {
        match (&self.tried, &self.only_failed) {
            (Some(tried), _) => Some(Cow::Borrowed(tried)),
            (None, Some(first)) => Some(Cow::Owned(Tried::of(first))),
            (None, None) => None,
        }
    }

    /// How many addresses with ports there are where an attempt worked.
    pub(crate) fn fruitful(&self) -> u64 {
        let mut all = self.fruitful.clone();
        if let Some(latest) = &self.latest {
            all.add(latest);
        }
        all.count()
    }

    /// What kind of scan the attempts make.
    pub(crate) fn scan(&self, limits: &Limits) -> Option<Scan> {
        let (ports, hosts) = (u64::from(limits.scan_ports), u64::from(limits.scan_hosts));
        let is_exact = u64::from(self.failed_probes) < DistinctCount::<u16>::EXACT;
        if is_exact && u64::from(self.failed_probes) < ports.min(hosts) {
            return None;
        }
        let tried = self.tried()?;
        let targets = tried.targets.count();
        // A client that tries the same again and again needs it.
        let insists = u64::from(self.failed_probes) > targets.saturating_mul(4);
        // Exact far beyond any number of targets.
        let share = targets as f64 / targets.saturating_add(self.fruitful()).max(1) as f64;
        if share < limits.scan_share || insists {
            return None;
        }
        let average = |many: u64, limit: u64| targets >= many.saturating_mul(limit);
        if tried.most_ports.most() >= ports || average(tried.hosts.count(), ports) {
            Some(Scan::Ports)
        } else if tried.most_hosts.most() >= hosts || average(tried.ports.count(), hosts) {
            Some(Scan::Hosts)
        } else {
            None
        }
    }

    /// Whether missing answers are known not to have come: in a recording of nothing but SYNs every attempt looks unanswered.
    pub(crate) fn is_proven(&self, scan: Scan, recorded: &Recorded) -> bool {
        let answers = self
            .tried()
            .is_some_and(|tried| tried.unanswered.saturating_mul(2) < self.failed_probes);
        answers || recorded.beyond_syns || scan == Scan::Ports
    }
}

impl Tried {
    fn of(first: &FailedAttempt) -> Tried {
        let FailedAttempt { start, target, .. } = *first;
        let mut tried = Tried {
            targets: DistinctCount::default(),
            hosts: DistinctCount::default(),
            ports: DistinctCount::default(),
            most_ports: Leaders::default(),
            most_hosts: Leaders::default(),
            example: target,
            unanswered: 0,
            refused: 0,
            unreachable: 0,
            aborted: 0,
            first: start.time,
            last: start.time,
            frames: Vec::new(),
        };
        tried.add(first);
        tried
    }

    fn add(&mut self, failed: &FailedAttempt) {
        let FailedAttempt {
            start,
            target,
            kind,
        } = *failed;
        self.targets.add(&target);
        self.hosts.add(&target.0);
        self.ports.add(&target.1);
        self.most_ports.add(target.0, &target.1);
        self.most_hosts.add(target.1, &target.0);
        let count = match kind {
            FailedProbe::Unanswered => &mut self.unanswered,
            FailedProbe::Refused => &mut self.refused,
            FailedProbe::Unreachable => &mut self.unreachable,
            FailedProbe::Aborted => &mut self.aborted,
        };
        *count = count.saturating_add(1);
        self.first = self.first.min(start.time);
        self.last = self.last.max(start.time);
        if self.frames.len() < Finding::MAX_FRAMES {
            self.frames.push(start.frame);
        }
    }
}
