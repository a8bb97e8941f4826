//! One problem: connections with one root cause, at one service or at many.

use std::net::IpAddr;

use wirewhy_detect::{Confidence, Culprit, Finding, Severity};
use wirewhy_flow::Connection;
use wirewhy_packet::Timestamp;

use crate::names::server_name;

/// How many streams are named.
const MAX_STREAMS: usize = 6;

/// How many clients are named.
const MAX_CLIENTS: usize = 3;

/// How many names of servers are listed.
const MAX_NAMES: usize = 3;

/// How many characters of a name are kept: a host name has 255 bytes at most (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 255;

/// Connections that went wrong for one root cause, at one service or at many.
#[derive(Debug)]
pub(crate) struct Problem {
    /// The code of the root cause.
    pub(crate) code: &'static str,
    /// The severity of the worst finding that it explains.
    pub(crate) severity: Severity,
    /// Which connections.
    pub(crate) tally: Tally,
    /// Their findings.
    pub(crate) detail: Detail,
    /// Where.
    pub(crate) place: Place,
}

/// Which service, or which services.
#[derive(Debug)]
pub(crate) enum Place {
    One(Service),
    Many {
        /// The address, where it is one and the same everywhere.
        host: Option<IpAddr>,
        /// The port, where it is one and the same everywhere.
        port: Option<u16>,
        /// How many services, by estimate, where they were too many to be kept apart.
        about: Option<u64>,
        /// Services in falling order of connections, as far as they are known one by one.
        services: Vec<ServiceProblem>,
    },
}

/// The address and port of a server.
pub(crate) type Service = (IpAddr, u16);

/// The connections to one of the services of a problem.
#[derive(Debug)]
pub(crate) struct ServiceProblem {
    pub(crate) service: Service,
    pub(crate) tally: Tally,
    pub(super) detail: Option<Box<Detail>>,
    pub(super) severity: Severity,
}

/// How many connections, which, when, from where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) connections: u64,
    streams: [u32; MAX_STREAMS],
    /// When the first of them began.
    pub(crate) first: Timestamp,
    /// When the last of them began.
    pub(crate) last: Timestamp,
    /// Some of the clients.
    pub(crate) clients: Vec<IpAddr>,
    /// Whether there are others.
    pub(crate) more_clients: bool,
    /// Some of the names the clients asked for. Text from the wire.
    pub(crate) names: Vec<Box<str>>,
    /// Whether there are others.
    pub(crate) more_names: bool,
}

/// The findings about the connections of a problem.
#[derive(Clone, Debug)]
pub(crate) struct Detail {
    /// The finding of the first of them.
    pub(crate) example: Finding,
    /// Whom the findings blame, and how often.
    pub(crate) culprits: Vec<(Culprit, Confidence, u64)>,
    /// What followed from the cause, and how often.
    pub(crate) consequences: Vec<(&'static str, u64)>,
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

    /// The streams that are named, in ascending order.
    pub(crate) fn streams(&self) -> Vec<u32> {
        let named = usize::try_from(self.connections)
            .unwrap_or(usize::MAX)
            .min(MAX_STREAMS);
        let mut streams: Vec<u32> = self.streams.iter().copied().take(named).collect();
        streams.sort_unstable();
        streams
    }

    /// The stream of the first connection counted, which is the one the example is about.
    pub(crate) fn first_stream(&self) -> u32 {
        let [first, ..] = self.streams;
        first
    }
}

impl Detail {
    pub(super) fn new(example: &Finding) -> Detail {
        Detail {
            example: example.clone(),
            culprits: Vec::new(),
            consequences: Vec::new(),
        }
    }

    pub(super) fn count<'a>(
        &mut self,
        root: &Finding,
        consequences: impl Iterator<Item = &'a Finding>,
    ) {
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
