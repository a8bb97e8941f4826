//! What one source tried.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use wirewhy_flow::{Connection, Mark};
use wirewhy_packet::{MacAddr, Timestamp};

use super::attempt::Fruitless;
use super::distinct::{Distinct, Leaders};
use super::flood::Recorded;
use super::stamps;
use super::table::Worth;
use crate::{Finding, Limits};

/// The attempts of one source within a stretch of time, or all since it was seen to scan.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SourceTally {
    /// When the stretch began.
    #[serde(rename = "f", with = "stamps")]
    from: Option<Timestamp>,
    /// When its latest attempt began.
    #[serde(rename = "u", with = "stamps")]
    until: Option<Timestamp>,
    /// Attempts.
    #[serde(rename = "a")]
    pub(crate) attempts: u32,
    /// Those that found nothing.
    #[serde(rename = "n", skip_serializing_if = "is_zero")]
    pub(crate) fruitless: u32,
    /// Addresses with ports where something was found.
    #[serde(skip)]
    fruitful: Distinct,
    /// How many such there were in other captures.
    #[serde(rename = "w")]
    fruitful_elsewhere: u64,
    /// The latest of those.
    #[serde(skip)]
    latest: Option<(IpAddr, u16)>,
    /// What fruitless attempts tried.
    #[serde(rename = "x", skip_serializing_if = "Option::is_none")]
    pub(crate) tried: Option<Box<Tried>>,
    /// Whether it was seen to scan.
    #[serde(rename = "s", skip_serializing_if = "is_false")]
    found: bool,
    /// The first stretch, where this is a later one: it may go on from that of another capture.
    #[serde(rename = "e", skip_serializing_if = "Option::is_none")]
    earliest: Option<Box<SourceTally>>,
    /// The link address its first packet came from.
    #[serde(skip)]
    pub(crate) mac: Option<MacAddr>,
}

/// What fruitless attempts tried.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Tried {
    /// Addresses with ports.
    #[serde(rename = "t")]
    pub(crate) targets: Distinct,
    /// Addresses.
    #[serde(rename = "h")]
    pub(crate) hosts: Distinct,
    /// Ports.
    #[serde(rename = "p")]
    pub(crate) ports: Distinct,
    /// The ports tried at a few hosts, and the hosts tried at a few ports: those with the most.
    #[serde(rename = "mp")]
    pub(crate) most_ports: Leaders<IpAddr>,
    /// See `most_ports`.
    #[serde(rename = "mh")]
    pub(crate) most_hosts: Leaders<u16>,
    /// The first address, and the first port.
    #[serde(rename = "e")]
    pub(crate) example: (IpAddr, u16),
    /// How many found what.
    #[serde(rename = "u")]
    pub(crate) unanswered: u32,
    /// See `unanswered`.
    #[serde(rename = "r")]
    pub(crate) refused: u32,
    /// See `unanswered`.
    #[serde(rename = "i")]
    pub(crate) unreachable: u32,
    /// See `unanswered`.
    #[serde(rename = "a")]
    pub(crate) aborted: u32,
    /// The first and the latest of them.
    #[serde(rename = "f", with = "stamps")]
    pub(crate) first: Timestamp,
    /// See `first`.
    #[serde(rename = "l", with = "stamps")]
    pub(crate) last: Timestamp,
    /// Frames of the first ones.
    #[serde(rename = "n")]
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
                self.begin_anew(start.time);
            }
        }
        self.mac = self.mac.or(connection.client.mac);
        self.until = self.until.max(Some(start.time));
        self.attempts = self.attempts.saturating_add(1);
        let target = (connection.server.address, connection.server.port);
        let Some(fruitless) = fruitless else {
            if self.latest.replace(target) != Some(target) {
                self.fruitful.add(target);
            }
            return;
        };
        self.fruitless = self.fruitless.saturating_add(1);
        self.tried
            .get_or_insert_with(|| Box::new(Tried::new(target, start)))
            .add(target, start, fruitless);
    }

    /// Begins another stretch.
    fn begin_anew(&mut self, from: Timestamp) {
        let mut over = std::mem::take(self);
        *self = SourceTally {
            from: Some(from),
            mac: over.mac,
            ..SourceTally::default()
        };
        let earliest = over.earliest.take();
        self.earliest = Some(earliest.unwrap_or_else(|| Box::new(over)));
    }

    /// Addresses with ports where something was found.
    pub(crate) fn fruitful(&self) -> u64 {
        self.fruitful
            .count()
            .saturating_add(self.fruitful_elsewhere)
    }

    /// What another capture needs to know of it.
    pub(super) fn carried(&self, frames: usize) -> SourceTally {
        let mut tried = self.tried.clone();
        if let Some(tried) = &mut tried {
            tried.frames.truncate(frames);
        }
        let earliest = self.earliest.as_deref();
        SourceTally {
            fruitful: Distinct::new(),
            fruitful_elsewhere: self.fruitful(),
            latest: None,
            tried,
            earliest: earliest.map(|earliest| Box::new(earliest.carried(frames))),
            mac: None,
            ..*self
        }
    }

    /// Whether fruitless attempts were made in a stretch that is remembered.
    pub(super) fn has_tried(&self) -> bool {
        let earliest = self.earliest.as_deref();
        self.tried.is_some() || earliest.is_some_and(SourceTally::has_tried)
    }

    /// Whether it was seen to scan.
    pub(super) fn scans(&self, limits: &Limits) -> bool {
        let earliest = self.earliest.as_deref();
        self.found
            || self.scan(limits).is_some()
            || earliest.is_some_and(|earliest| earliest.scans(limits))
    }

    /// Frames of the first fruitless attempts.
    pub(super) fn take_frames(&mut self) -> Vec<u64> {
        let earliest = self.earliest.as_deref_mut();
        let mut frames = earliest.map(SourceTally::take_frames).unwrap_or_default();
        if let Some(tried) = &mut self.tried {
            frames.append(&mut tried.frames);
        }
        frames
    }

    /// Goes on with the attempts of a later capture.
    pub(super) fn join(&mut self, mut other: SourceTally, limits: &Limits) {
        if let Some(earliest) = other.earliest.take() {
            self.join_stretch(*earliest, limits);
        }
        self.join_stretch(other, limits);
    }

    fn join_stretch(&mut self, other: SourceTally, limits: &Limits) {
        let (Some(from), Some(until)) = (self.from, self.until) else {
            *self = other;
            return;
        };
        let (Some(begun), Some(ended)) = (other.from, other.until) else {
            return;
        };
        let whole = until.max(ended).since(from.min(begun));
        if whole > limits.scan_window && !self.found {
            self.found = self.scan(limits).is_some();
            if !self.found {
                *self = other;
                return;
            }
        }
        if begun <= until && self.knows_all_of(&other) {
            // The same attempts, recorded in another place.
            return;
        }
        self.from = Some(from.min(begun));
        self.until = Some(until.max(ended));
        self.attempts = self.attempts.saturating_add(other.attempts);
        self.fruitless = self.fruitless.saturating_add(other.fruitless);
        self.fruitful_elsewhere = self.fruitful_elsewhere.saturating_add(other.fruitful());
        self.found |= other.found;
        match (&mut self.tried, other.tried) {
            (Some(tried), Some(more)) => tried.join(&more),
            (tried @ None, more) => *tried = more,
            (Some(_), None) => {}
        }
    }

    /// Whether these are the same attempts, seen in another place: at the same time, and mostly at the same targets.
    pub(super) fn is_that_of(&self, other: &SourceTally) -> bool {
        let times = [self.from, self.until, other.from, other.until];
        let [Some(from), Some(until), Some(begun), Some(ended)] = times else {
            return false;
        };
        let (Some(tried), Some(more)) = (&self.tried, &other.tried) else {
            return false;
        };
        let mut all = tried.targets.clone();
        all.join(&more.targets);
        let most = tried.targets.count().max(more.targets.count());
        begun <= until && from <= ended && all.count() <= most.saturating_add(most / 4)
    }

    fn knows_all_of(&self, other: &SourceTally) -> bool {
        let (Some(tried), Some(more)) = (&self.tried, &other.tried) else {
            return false;
        };
        let mut targets = tried.targets.clone();
        targets.join(&more.targets);
        targets == tried.targets
    }

    /// Whether it still scans if it found so much.
    pub(super) fn scans_beside(&self, found: u64, limits: &Limits) -> bool {
        let tried = self.tried.as_deref();
        let targets = tried.map_or(0, |tried| tried.targets.count());
        // Exact far beyond any number of targets.
        targets as f64 / targets.saturating_add(found).max(1) as f64 >= limits.scan_share
    }

    /// What kind of scan the attempts make.
    pub(crate) fn scan(&self, limits: &Limits) -> Option<Scan> {
        let tried = self.tried.as_deref()?;
        let targets = tried.targets.count();
        // Who asks for the same again and again waits for it.
        let insists = u64::from(self.fruitless) > targets.saturating_mul(4);
        if !self.scans_beside(self.fruitful(), limits) || insists {
            return None;
        }
        let (ports, hosts) = (u64::from(limits.scan_ports), u64::from(limits.scan_hosts));
        let average = |many: u64, limit: u64| targets >= many.saturating_mul(limit);
        if tried.most_ports.most() >= ports || average(tried.hosts.count(), ports) {
            Some(Scan::Ports)
        } else if tried.most_hosts.most() >= hosts || average(tried.ports.count(), hosts) {
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
            most_ports: Leaders::default(),
            most_hosts: Leaders::default(),
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

    fn join(&mut self, other: &Tried) {
        self.targets.join(&other.targets);
        self.hosts.join(&other.hosts);
        self.ports.join(&other.ports);
        self.most_ports.join(&other.most_ports);
        self.most_hosts.join(&other.most_hosts);
        for (count, more) in [
            (&mut self.unanswered, other.unanswered),
            (&mut self.refused, other.refused),
            (&mut self.unreachable, other.unreachable),
            (&mut self.aborted, other.aborted),
        ] {
            *count = count.saturating_add(more);
        }
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }

    fn add(&mut self, target: (IpAddr, u16), start: Mark, fruitless: Fruitless) {
        self.targets.add(target);
        self.hosts.add(target.0);
        self.ports.add(target.1);
        self.most_ports.add(target.0, target.1);
        self.most_hosts.add(target.1, target.0);
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

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the serialiser hands over a reference"
)]
fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the serialiser hands over a reference"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
