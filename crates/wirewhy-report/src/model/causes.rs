//! Connections in trouble, folded by root cause and service in bounded memory.

use std::collections::HashMap;
use std::net::IpAddr;

use wirewhy_detect::{Finding, Judged, Severity};
use wirewhy_flow::Connection;
use wirewhy_survey::DistinctCount;

use super::problem::{Detail, Place, Problem, Service, ServiceProblem, Tally};
use crate::view::chain;

/// How many services are kept apart, over all causes. When more come, those with the fewest connections are folded
/// into the count of their cause.
const MAX_SERVICES: usize = 4096;

/// A cause with no more services than this keeps them all: what is rare must not be lost behind a scan.
const NEVER_FOLDED: usize = 64;

/// How many services of one cause keep a finding of their own as example.
const MAX_EXAMPLES: usize = 4;

/// More services than this with one cause are one problem.
const MAX_PROBLEMS_OF_A_CAUSE: usize = 3;

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
    services: Vec<ServiceProblem>,
    /// How many services there are, once some were folded.
    distinct: Option<Box<DistinctCount<Service>>>,
    /// The address, where it is one and the same everywhere.
    host: Option<IpAddr>,
    /// The port, where it is one and the same everywhere.
    port: Option<u16>,
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

    /// The problems of a report, the worst first.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut causes = self.causes;
        causes.sort_by(|a, b| {
            (b.severity, b.tally.connections, a.code).cmp(&(
                a.severity,
                a.tally.connections,
                b.code,
            ))
        });
        causes.into_iter().flat_map(Cause::into_problems).collect()
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
            self.services.push(ServiceProblem {
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

    fn into_problems(mut self) -> Vec<Problem> {
        self.services.sort_by(|a, b| {
            (b.tally.connections, a.service).cmp(&(a.tally.connections, b.service))
        });
        let apart = self.distinct.is_none() && self.services.len() <= MAX_PROBLEMS_OF_A_CAUSE;
        if !apart {
            return vec![Problem {
                code: self.code,
                severity: self.severity,
                tally: self.tally,
                detail: self.detail,
                place: Place::Many {
                    host: self.host,
                    port: self.port,
                    about: self.distinct.map(|distinct| distinct.count()),
                    services: self.services,
                },
            }];
        }
        let code = self.code;
        self.services
            .into_iter()
            .filter_map(|mut service| {
                let detail = *service.detail.take()?;
                Some(Problem {
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
