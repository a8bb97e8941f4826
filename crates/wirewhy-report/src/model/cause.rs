//! Connections with one root cause, by service, and the problems they become.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use wirewhy_detect::{Finding, Severity};
use wirewhy_survey::DistinctCount;

use super::causes::Service;
use super::detail::Detail;
use super::instance::Instance;
use super::tally::Tally;

/// A cause with no more services than this keeps them all: what is rare must not be lost behind a scan.
const NEVER_FOLDED: usize = 16;

/// How many services of one cause keep what their own findings say.
const MAX_DETAILS: usize = 16;

/// More services than this with one cause are one problem.
const MAX_PROBLEMS_OF_A_CAUSE: usize = 3;

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
    pub(crate) place: ServiceSet,
    /// What follows from it in other connections: a gateway's answers to its clients.
    pub(crate) follows: Vec<Problem>,
}

impl Problem {
    /// Whether it is about connections to a service.
    pub(crate) fn is_at(&self, service: Service) -> bool {
        match &self.place {
            ServiceSet::One(own) => *own == service,
            ServiceSet::Many { services, .. } => {
                services.iter().any(|found| found.service == service)
            }
        }
    }

    /// The service and the root cause of the connections behind all of its own.
    pub(crate) fn behind(&self) -> Option<(Service, &str)> {
        self.detail.all_behind(self.tally.connections)
    }

    /// How many connections it is about, with those in which it only has consequences.
    pub(crate) fn connections(&self) -> u64 {
        let follows = self.follows.iter();
        self.tally.connections
            + follows
                .map(|problem| problem.tally.connections)
                .sum::<u64>()
    }
}

/// Which service, or which services.
#[derive(Debug)]
pub(crate) enum ServiceSet {
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

/// The connections to one of the services of a problem.
#[derive(Clone, Debug)]
pub(crate) struct ServiceProblem {
    pub(crate) service: Service,
    pub(crate) tally: Tally,
    detail: Option<Box<Detail>>,
    severity: Severity,
}

/// Connections with one root cause: all of them, or those of one client.
#[derive(Debug)]
pub(super) struct Cause {
    code: &'static str,
    severity: Severity,
    tally: Tally,
    detail: Detail,
    places: HashMap<Service, usize, RandomState>,
    services: Vec<ServiceProblem>,
    /// How many services there are, once some were folded.
    distinct: Option<Box<DistinctCount<Service>>>,
    hosts: Common<IpAddr>,
    ports: Common<u16>,
}

/// A value that may be one and the same everywhere.
#[derive(Clone, Copy, Debug)]
enum Common<T> {
    None,
    One(T),
    Several,
}

impl<T: Copy + PartialEq> Common<T> {
    fn add(&mut self, value: T) {
        *self = match *self {
            Common::None => Common::One(value),
            Common::One(known) if known == value => return,
            Common::One(_) | Common::Several => Common::Several,
        };
    }

    fn merge(&mut self, other: Common<T>) {
        match other {
            Common::None => {}
            Common::One(value) => self.add(value),
            Common::Several => *self = Common::Several,
        }
    }

    fn only(self) -> Option<T> {
        match self {
            Common::One(value) => Some(value),
            Common::None | Common::Several => None,
        }
    }
}

impl Cause {
    pub(super) fn new(root: &Finding, place: u64) -> Cause {
        Cause {
            code: root.code,
            severity: root.severity,
            tally: Tally::default(),
            detail: Detail::new(Arc::new(root.clone()), place),
            places: HashMap::default(),
            services: Vec::new(),
            distinct: None,
            hosts: Common::None,
            ports: Common::None,
        }
    }

    pub(super) fn connections(&self) -> u64 {
        self.tally.connections
    }

    /// How many connections go to services that are known one by one and wanted.
    pub(super) fn connections_to(&self, wanted: impl Fn(Service) -> bool) -> u64 {
        let services = self.services.iter().filter(|found| wanted(found.service));
        services.map(|found| found.tally.connections).sum()
    }

    /// The connections of each service.
    pub(super) fn sizes(&self) -> impl Iterator<Item = u64> {
        let services = self.services.iter();
        services.map(|service| service.tally.connections)
    }

    /// Whether the findings about the next connection to a service become the example of it.
    pub(super) fn keeps_words_of(&self, service: Service) -> bool {
        self.services.len() < MAX_DETAILS && !self.places.contains_key(&service)
    }

    pub(super) fn can_fold(&self) -> bool {
        self.services.len() > NEVER_FOLDED
    }

    /// Counts one connection; returns how many services are new.
    pub(super) fn count<'a>(
        &mut self,
        instance: &Instance<'_>,
        (root, severity, place): (&Finding, Severity, u64),
        others: impl Iterator<Item = &'a Finding> + Clone,
    ) -> usize {
        self.severity = self.severity.max(severity);
        self.tally.count(instance, place);
        self.detail.count(root, others.clone());
        let service = instance.service;
        self.hosts.add(service.0);
        self.ports.add(service.1);
        if let Some(distinct) = &mut self.distinct {
            distinct.add(&service);
        }
        let known = self.services.len();
        let at = *self.places.entry(service).or_insert(known);
        if at == known {
            let detail = (known < MAX_DETAILS).then(|| {
                // What is cloned for the first connection serves for its service, too.
                let example = match self.tally.connections {
                    1 => Arc::clone(&self.detail.example),
                    _ => Arc::new(root.clone()),
                };
                Box::new(Detail::new(example, place))
            });
            self.services.push(ServiceProblem {
                service,
                tally: Tally::default(),
                detail,
                severity,
            });
        }
        if let Some(found) = self.services.get_mut(at) {
            found.severity = found.severity.max(severity);
            found.tally.count(instance, place);
            if let Some(detail) = &mut found.detail {
                detail.count(root, others);
            }
        }
        self.services.len() - known
    }

    pub(super) fn keep_larger_than(&mut self, least: u64) {
        self.distinguish();
        self.services
            .retain(|service| service.tally.connections > least);
        self.index();
    }

    /// Counts the services from now on, as not all of them will be kept.
    fn distinguish(&mut self) {
        if self.distinct.is_some() {
            return;
        }
        let mut distinct: Box<DistinctCount<Service>> = Box::default();
        let services = self.services.iter();
        services.for_each(|service| distinct.add(&service.service));
        self.distinct = Some(distinct);
    }

    fn index(&mut self) {
        let services = self.services.iter().enumerate();
        self.places = services
            .map(|(at, service)| (service.service, at))
            .collect();
    }

    /// Counts the connections of another part with the same cause as well.
    pub(super) fn merge(&mut self, other: Cause) {
        self.severity = self.severity.max(other.severity);
        self.tally.merge(&other.tally);
        self.detail.merge(&other.detail);
        self.hosts.merge(other.hosts);
        self.ports.merge(other.ports);
        match (&mut self.distinct, other.distinct) {
            (Some(own), Some(others)) => own.merge(&others),
            (None, Some(mut others)) => {
                let services = self.services.iter();
                services.for_each(|service| others.add(&service.service));
                self.distinct = Some(others);
            }
            (Some(own), None) => {
                let services = other.services.iter();
                services.for_each(|service| own.add(&service.service));
            }
            (None, None) => {}
        }
        for service in other.services {
            let known = self.services.len();
            let at = *self.places.entry(service.service).or_insert(known);
            match self.services.get_mut(at) {
                Some(own) => own.merge(&service),
                None => self.services.push(service),
            }
        }
    }

    /// Takes out the connections to services that are known one by one and wanted.
    pub(super) fn take(&mut self, wanted: impl Fn(&ServiceProblem) -> bool) -> Option<Cause> {
        let services = std::mem::take(&mut self.services);
        let (taken, left): (Vec<_>, Vec<_>) = services.into_iter().partition(wanted);
        if taken.is_empty() {
            self.services = left;
            return None;
        }
        let gone: u64 = taken.iter().map(|found| found.tally.connections).sum();
        let part = Cause::of(self, taken);
        if self.distinct.is_some() {
            // What was folded cannot be told apart any more.
            self.tally.connections = self.tally.connections.saturating_sub(gone);
            self.detail = self.detail.of_a_part();
            self.services = left;
            self.index();
        } else {
            *self = Cause::of(self, left);
        }
        Some(part)
    }

    /// A cause of nothing but these services.
    fn of(whole: &Cause, services: Vec<ServiceProblem>) -> Cause {
        let mut cause = Cause {
            code: whole.code,
            severity: Severity::Note,
            tally: Tally::default(),
            detail: whole.detail.of_a_part(),
            places: HashMap::default(),
            services: Vec::new(),
            distinct: None,
            hosts: Common::None,
            ports: Common::None,
        };
        let connections: u64 = services.iter().map(|found| found.tally.connections).sum();
        let details = services.iter().map(|found| found.detail.as_deref());
        // Where one of them kept none, that of the whole stands for them.
        let details: Option<Vec<&Detail>> = details.collect();
        if connections == whole.tally.connections {
            cause.detail = whole.detail.clone();
        } else if let Some((first, rest)) = details.as_deref().and_then(<[_]>::split_first) {
            cause.detail = (*first).clone();
            rest.iter().for_each(|detail| cause.detail.merge(detail));
        }
        for found in &services {
            cause.severity = cause.severity.max(found.severity);
            cause.tally.merge(&found.tally);
            cause.hosts.add(found.service.0);
            cause.ports.add(found.service.1);
        }
        cause.services = services;
        cause.index();
        cause
    }

    /// One problem, wherever it is.
    pub(super) fn into_problem(self) -> Problem {
        let mut services = self.services;
        let place = match (services.as_slice(), &self.distinct) {
            ([one], None) => ServiceSet::One(one.service),
            _ => {
                services.sort_by(|a, b| {
                    (b.tally.connections, a.service).cmp(&(a.tally.connections, b.service))
                });
                ServiceSet::Many {
                    host: self.hosts.only(),
                    port: self.ports.only(),
                    about: self.distinct.map(|distinct| distinct.count()),
                    services,
                }
            }
        };
        Problem {
            code: self.code,
            severity: self.severity,
            tally: self.tally,
            detail: self.detail,
            place,
            follows: Vec::new(),
        }
    }

    /// A problem for each service, as long as they are few.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let is_one_name = self.tally.only_name().is_some() && self.ports.only().is_some();
        let has_details = self.services.iter().all(|service| service.detail.is_some());
        let apart = self.distinct.is_none() && has_details && !is_one_name;
        if !apart || self.services.len() > MAX_PROBLEMS_OF_A_CAUSE {
            return vec![self.into_problem()];
        }
        let services = self.services.clone().into_iter();
        services
            .map(|service| Cause::of(&self, vec![service]).into_problem())
            .collect()
    }
}

impl ServiceProblem {
    fn merge(&mut self, other: &ServiceProblem) {
        self.severity = self.severity.max(other.severity);
        self.tally.merge(&other.tally);
        self.detail = match (self.detail.take(), &other.detail) {
            (Some(mut own), Some(others)) => {
                own.merge(others);
                Some(own)
            }
            _ => None,
        };
    }
}
