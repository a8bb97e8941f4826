//! Failed connections folded by cause and service, in bounded memory.

use std::collections::HashMap;
use std::net::IpAddr;

use wirewhy_detect::{Confidence, Culprit, Finding, Judged, Severity};
use wirewhy_flow::Connection;
use wirewhy_packet::Timestamp;

use super::distinct::Distinct;
use super::entry::{Entry, Place, enumerated};
use crate::Safe;
use crate::names::server_name;
use crate::view::chain;

/// How many services are kept apart, over all causes. When more come, those with the fewest connections are folded
/// into the count of their cause.
const MAX_SERVICES: usize = 4096;

/// A cause with no more services than this keeps them all: what is rare must not be lost behind a scan.
const NEVER_FOLDED: usize = 64;

/// How many services of one cause keep a finding of their own as example.
const MAX_EXAMPLES: usize = 4;

/// More services than this with one cause are one entry.
const MAX_ENTRIES_OF_A_CAUSE: usize = 3;

/// How many streams are named.
const MAX_STREAMS: usize = 6;

/// How many clients are named.
const MAX_CLIENTS: usize = 3;

/// How many names of servers are listed, and how much of each: a host's name has 255 bytes at most (RFC 1035 section 2.3.4).
const MAX_NAMES: usize = 3;
const MAX_NAME: usize = 255;

/// Everything that went wrong so far.
#[derive(Debug)]
pub(super) struct Causes {
    least: Severity,
    causes: Vec<Cause>,
    services: usize,
}

/// All connections with one root cause.
#[derive(Debug)]
struct Cause {
    code: &'static str,
    severity: Severity,
    tally: Tally,
    detail: Detail,
    places: HashMap<Service, usize>,
    services: Vec<ServiceTally>,
    /// How many services there are, once some were folded.
    distinct: Option<Box<Distinct>>,
    /// The address, where it is one and the same everywhere.
    host: Option<IpAddr>,
    /// The port, where it is one and the same everywhere.
    port: Option<u16>,
}

/// Address and port that was asked for something.
pub(super) type Service = (IpAddr, u16);

#[derive(Debug)]
pub(super) struct ServiceTally {
    pub(super) service: Service,
    pub(super) tally: Tally,
    detail: Option<Box<Detail>>,
    severity: Severity,
}

/// How many, which, when, from where.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) connections: u64,
    streams: [u32; MAX_STREAMS],
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) clients: Vec<IpAddr>,
    pub(super) more_clients: bool,
    /// The names the clients asked for. Hostile text.
    pub(super) names: Vec<Box<str>>,
    pub(super) more_names: bool,
}

/// What was said about them.
#[derive(Clone, Debug)]
pub(super) struct Detail {
    /// The finding of the first of them.
    pub(super) example: Finding,
    /// Whom the findings blame, and how often.
    pub(super) culprits: Vec<(Culprit, Confidence, u64)>,
    /// What followed from the cause, and how often.
    pub(super) consequences: Vec<(&'static str, u64)>,
}

impl Default for Causes {
    fn default() -> Causes {
        Causes::new(Severity::Warning)
    }
}

impl Causes {
    pub(super) fn new(least: Severity) -> Causes {
        Causes {
            least,
            causes: Vec::new(),
            services: 0,
        }
    }

    /// Counts each finding that nothing else explains, together with what it explains.
    pub(super) fn add(&mut self, judged: &Judged) {
        let findings = &judged.findings;
        for root in findings {
            let follows = |finding: &&Finding| {
                chain(findings, finding)
                    .last()
                    .is_some_and(|last| last.code == root.code)
            };
            let worst = findings
                .iter()
                .filter(follows)
                .map(|finding| finding.severity)
                .max();
            let Some(severity) = worst.filter(|severity| *severity >= self.least) else {
                continue;
            };
            let consequences = findings
                .iter()
                .filter(follows)
                .filter(|finding| finding.code != root.code);
            self.count(&judged.connection, root, severity, consequences);
        }
    }

    fn count<'a>(
        &mut self,
        connection: &Connection,
        root: &Finding,
        severity: Severity,
        consequences: impl Iterator<Item = &'a Finding> + Clone,
    ) {
        if self.services >= MAX_SERVICES {
            self.fold();
        }
        let known = self.causes.iter().position(|cause| cause.code == root.code);
        let at = known.unwrap_or_else(|| {
            self.causes.push(Cause::new(connection, root, severity));
            self.causes.len() - 1
        });
        if let Some(cause) = self.causes.get_mut(at) {
            self.services += cause.count(connection, root, severity, consequences);
        }
    }

    /// Keeps the quarter of the services with the most connections. Every cause keeps the count of all its connections.
    fn fold(&mut self) {
        let mut sizes: Vec<u64> = self
            .causes
            .iter()
            .filter(|cause| cause.services.len() > NEVER_FOLDED)
            .flat_map(|cause| &cause.services)
            .map(|service| service.tally.connections)
            .collect();
        let quarter = MAX_SERVICES / 4;
        let least = if sizes.len() > quarter {
            let (_, least, _) = sizes.select_nth_unstable_by(quarter, |a, b| b.cmp(a));
            *least
        } else {
            0
        };
        for cause in self
            .causes
            .iter_mut()
            .filter(|cause| cause.services.len() > NEVER_FOLDED)
        {
            cause.keep_larger_than(least);
        }
        self.services = self.causes.iter().map(|cause| cause.services.len()).sum();
    }

    /// The entries of a report, worst first.
    pub(super) fn into_entries(self) -> Vec<Entry> {
        let mut causes = self.causes;
        causes.sort_by(|a, b| {
            (b.severity, b.tally.connections, a.code).cmp(&(
                a.severity,
                a.tally.connections,
                b.code,
            ))
        });
        causes.into_iter().flat_map(Cause::into_entries).collect()
    }
}

impl Cause {
    fn new(connection: &Connection, root: &Finding, severity: Severity) -> Cause {
        Cause {
            code: root.code,
            severity,
            tally: Tally::default(),
            detail: Detail::new(root),
            places: HashMap::new(),
            services: Vec::new(),
            distinct: None,
            host: Some(connection.server.address),
            port: Some(connection.server.port),
        }
    }

    /// Counts one connection; returns how many services are new.
    fn count<'a>(
        &mut self,
        connection: &Connection,
        root: &Finding,
        severity: Severity,
        consequences: impl Iterator<Item = &'a Finding> + Clone,
    ) -> usize {
        self.severity = self.severity.max(severity);
        self.tally.count(connection);
        self.detail.count(root, consequences.clone());
        let service = (connection.server.address, connection.server.port);
        self.host = self.host.filter(|host| *host == service.0);
        self.port = self.port.filter(|port| *port == service.1);
        if let Some(distinct) = &mut self.distinct {
            distinct.add(&service);
        }
        let examples = self.services.len();
        let at = *self.places.entry(service).or_insert(examples);
        let mut new = 0;
        if at == examples {
            new = 1;
            let detail = (examples < MAX_EXAMPLES).then(|| Box::new(Detail::new(root)));
            let tally = Tally::default();
            self.services.push(ServiceTally {
                service,
                tally,
                detail,
                severity,
            });
        }
        if let Some(found) = self.services.get_mut(at) {
            found.severity = found.severity.max(severity);
            found.tally.count(connection);
            if let Some(detail) = &mut found.detail {
                detail.count(root, consequences);
            }
        }
        new
    }

    fn keep_larger_than(&mut self, least: u64) {
        let distinct = self.distinct.get_or_insert_default();
        self.services
            .iter()
            .for_each(|service| distinct.add(&service.service));
        self.services
            .retain(|service| service.tally.connections > least);
        self.places = self
            .services
            .iter()
            .enumerate()
            .map(|(place, service)| (service.service, place))
            .collect();
    }

    fn into_entries(mut self) -> Vec<Entry> {
        self.services.sort_by(|a, b| {
            (b.tally.connections, a.service).cmp(&(a.tally.connections, b.service))
        });
        let apart = self.distinct.is_none() && self.services.len() <= MAX_ENTRIES_OF_A_CAUSE;
        if !apart {
            return vec![Entry {
                code: self.code,
                severity: self.severity,
                tally: self.tally,
                detail: self.detail,
                place: Place::Many {
                    host: self.host,
                    port: self.port,
                    about: self.distinct.map(|distinct| distinct.estimate()),
                    services: self.services,
                },
            }];
        }
        let code = self.code;
        self.services
            .into_iter()
            .filter_map(|mut service| {
                let detail = *service.detail.take()?;
                Some(Entry {
                    code,
                    severity: service.severity,
                    tally: service.tally,
                    detail,
                    place: Place::One(service.service),
                })
            })
            .collect()
    }
}

impl Tally {
    pub(super) fn count(&mut self, connection: &Connection) {
        let named = usize::try_from(self.connections).unwrap_or(usize::MAX);
        if let Some(place) = self.streams.get_mut(named) {
            *place = connection.stream;
        }
        let begun = connection.first.time;
        if self.connections == 0 || begun < self.first {
            self.first = begun;
        }
        if self.connections == 0 || begun > self.last {
            self.last = begun;
        }
        self.connections += 1;
        self.count_name(connection);
        let client = connection.client.address;
        if self.more_clients || self.clients.contains(&client) {
            return;
        }
        if self.clients.len() < MAX_CLIENTS {
            self.clients.push(client);
        } else {
            self.more_clients = true;
        }
    }

    fn count_name(&mut self, connection: &Connection) {
        if self.more_names {
            return;
        }
        let Some(name) = server_name(connection) else {
            return;
        };
        let name: String = name.chars().take(MAX_NAME).collect();
        if name.is_empty() || self.names.iter().any(|known| **known == *name) {
            return;
        }
        if self.names.len() < MAX_NAMES {
            self.names.push(name.into());
        } else {
            self.more_names = true;
        }
    }

    /// A place with the names before it that clients asked for there: `www.example.org at 192.0.2.1:443`.
    pub(super) fn named(&self, place: &str) -> String {
        let mut names: Vec<String> = self
            .names
            .iter()
            .map(|name| Safe(name).to_string())
            .collect();
        if self.more_names {
            names.push("others".to_owned());
        }
        match names.as_slice() {
            [] => place.to_owned(),
            names => format!("{} at {place}", enumerated(names)),
        }
    }

    /// The streams that are named, in ascending order.
    pub(super) fn streams(&self) -> Vec<u32> {
        let named = usize::try_from(self.connections)
            .unwrap_or(usize::MAX)
            .min(MAX_STREAMS);
        let mut streams: Vec<u32> = self.streams.iter().copied().take(named).collect();
        streams.sort_unstable();
        streams
    }

    /// The stream of the first connection counted, which is the one the example is about.
    pub(super) fn first_stream(&self) -> u32 {
        let [first, ..] = self.streams;
        first
    }
}

impl Detail {
    fn new(example: &Finding) -> Detail {
        Detail {
            example: example.clone(),
            culprits: Vec::new(),
            consequences: Vec::new(),
        }
    }

    fn count<'a>(&mut self, root: &Finding, consequences: impl Iterator<Item = &'a Finding>) {
        // Addresses are kept only while they are few: a scan blames a different host each time.
        const MAX_CULPRITS: usize = 8;
        let mut blame = (root.culprit, root.confidence);
        let known = |list: &[(Culprit, Confidence, u64)], blame: (Culprit, Confidence)| {
            list.iter()
                .position(|(culprit, confidence, _)| (*culprit, *confidence) == blame)
        };
        if known(&self.culprits, blame).is_none() && self.culprits.len() >= MAX_CULPRITS {
            blame.0.address = None;
        }
        match known(&self.culprits, blame).and_then(|at| self.culprits.get_mut(at)) {
            Some((_, _, times)) => *times += 1,
            None => self.culprits.push((blame.0, blame.1, 1)),
        }
        for finding in consequences {
            match self
                .consequences
                .iter_mut()
                .find(|(code, _)| *code == finding.code)
            {
                Some((_, times)) => *times += 1,
                None => self.consequences.push((finding.code, 1)),
            }
        }
    }
}
