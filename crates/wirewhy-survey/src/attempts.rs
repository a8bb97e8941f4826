//! The attempts of a capture by service and by source, and what they show together.

use std::net::IpAddr;

use indexmap::IndexSet;

use crate::attempt::{self, Attempt, FailedProbe};
use crate::catalogue::SURVEY;
use crate::flood::Recorded;
use crate::group::{GroupFinding, about_host};
use crate::rule::{Rule, Service, Source};
use crate::service::{Known, ServiceTally};
use crate::source::SourceTally;
use crate::table::Table;
use wirewhy_detect::wording::socket_of;
use wirewhy_detect::{Confidence, Diagnosis, Finding, Limits, Outcome, Scope};
use wirewhy_flow::{Healthy, Unopened};
use wirewhy_protocol::QuicFacts;

/// Gathers attempts by service and by source.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    services: Table<(IpAddr, u16), Known>,
    over_quic: Table<(IpAddr, u16), Known>,
    sources: Table<IpAddr, SourceTally>,
    recorded: Recorded,
}

impl Attempts {
    /// Takes in one connection.
    pub(crate) fn note(&mut self, diagnosis: &Diagnosis, outcome: Outcome, limits: &Limits) {
        let connection = &diagnosis.connection;
        let handshake = &connection.tcp.handshake;
        self.recorded.syn_acks |= handshake.syn_acks > 0;
        let (client, server) = (&connection.client.counts, &connection.server.counts);
        self.recorded.beyond_syns |= client.packets > u64::from(handshake.syns)
            || server.packets > u64::from(handshake.syn_acks);
        let address = (connection.server.address, connection.server.port);
        if handshake.first_syn.is_none() || connection.is_one_sided() {
            return;
        }
        let outcome = attempt::outcome(diagnosis, outcome);
        let silent = attempt::silent(connection);
        let attempt = (outcome.is_some() || silent.is_some())
            .then(|| Attempt::of(connection, silent, outcome));
        self.note_attempt(address, connection.stream, attempt);
        if outcome.is_some()
            && let Some(source) = self.sources.entry(connection.client.address)
        {
            let failed = attempt::failed_probe(diagnosis, limits);
            source.add(connection.first, address, failed, limits);
        }
    }

    /// Takes in a connection that went well.
    pub(crate) fn note_healthy(&mut self, healthy: &Healthy, limits: &Limits) {
        self.recorded.syn_acks = true;
        self.recorded.beyond_syns = true;
        let server = healthy.server();
        if let Some(service) = self.services.entry(server) {
            service.add(Attempt::of_healthy(healthy));
        }
        if let Some(source) = self.sources.entry(healthy.client().0) {
            source.add(healthy.first(), server, None, limits);
        }
    }

    /// Takes in an attempt that opened nothing.
    pub(crate) fn note_unopened(
        &mut self,
        unopened: &Unopened,
        finding: Option<&Finding>,
        limits: &Limits,
    ) {
        let address = unopened.server();
        let failed = match unopened.refused() {
            Some(_) => FailedProbe::Refused,
            None => FailedProbe::Unanswered,
        };
        self.recorded.beyond_syns |= failed == FailedProbe::Refused;
        let attempt = Attempt::of_unopened(unopened, finding);
        self.note_attempt(address, unopened.stream(), attempt);
        let (client, _) = unopened.client();
        if finding.is_some()
            && let Some(source) = self.sources.entry(client)
        {
            source.add(unopened.first(), address, Some(failed), limits);
        }
    }

    /// Takes in the attempt that a stream shows, if it shows one.
    fn note_attempt(&mut self, service: (IpAddr, u16), stream: u32, attempt: Option<Attempt>) {
        match attempt {
            Some(attempt) => {
                if let Some(service) = self.services.entry(service) {
                    service.add(attempt);
                }
            }
            None => {
                if let Some(service) = self.services.get_mut(&service) {
                    service.end(stream);
                }
            }
        }
    }

    /// Takes in a connection that opened, is ongoing and has not failed: until it ends, its service is not down.
    pub(crate) fn note_ongoing(&mut self, diagnosis: &Diagnosis) {
        let connection = &diagnosis.connection;
        let handshake = &connection.tcp.handshake;
        if handshake.first_syn.is_none()
            || handshake.ack.is_none()
            || diagnosis.outcome() == Outcome::Failed
        {
            return;
        }
        let address = (connection.server.address, connection.server.port);
        if let Some(service) = self.services.entry(address) {
            service.keep_open(connection.stream);
        }
    }

    /// Takes in one connection over QUIC. Who scans the ports of UDP sends no Initial packet that opens, so sources are not
    /// counted.
    pub(crate) fn note_quic(&mut self, diagnosis: &Diagnosis, outcome: Outcome) {
        let connection = &diagnosis.connection;
        let address = (connection.server.address, connection.server.port);
        if connection.quic().is_none() {
            return;
        }
        let Some(service) = self.over_quic.entry(address) else {
            return;
        };
        match attempt::outcome_over_quic(diagnosis, outcome) {
            None => service.end(connection.stream),
            outcome => service.add(Attempt::of(connection, None, outcome)),
        }
    }

    /// Takes in a connection over QUIC that is established, ongoing and has not failed.
    pub(crate) fn note_ongoing_quic(&mut self, diagnosis: &Diagnosis) {
        let connection = &diagnosis.connection;
        let is_open = connection.quic().is_some_and(QuicFacts::is_established);
        let address = (connection.server.address, connection.server.port);
        if is_open
            && diagnosis.outcome() != Outcome::Failed
            && let Some(service) = self.over_quic.entry(address)
        {
            service.keep_open(connection.stream);
        }
    }

    /// What the attempts show together.
    pub(crate) fn findings(&self, one_direction: bool, limits: &Limits) -> Vec<GroupFinding> {
        let mut found = self.about_sources(limits);
        found.extend(self.about_services(limits));
        if one_direction {
            for found in &mut found {
                found.finding.confidence = Confidence::Possible;
            }
        }
        found.sort_by_key(|found| {
            let finding = &found.finding;
            (std::cmp::Reverse(finding.severity), first_frame(finding))
        });
        found
    }

    fn about_sources(&self, limits: &Limits) -> Vec<GroupFinding> {
        let rules = SURVEY.iter().filter_map(|detector| match detector.rule {
            Rule::Source(find) => Some(find),
            _ => None,
        });
        let find_all = |find: fn(&Source<'_>, &Limits) -> Option<Finding>| {
            self.sources.iter().filter_map(move |(address, tally)| {
                let source = Source {
                    address: *address,
                    tally,
                    recorded: &self.recorded,
                };
                Some(about_host(*address, find(&source, limits)?))
            })
        };
        rules.flat_map(find_all).collect()
    }

    fn about_services(&self, limits: &Limits) -> impl Iterator<Item = GroupFinding> {
        let scanners: IndexSet<IpAddr> = self
            .sources
            .iter()
            .filter(|(_, tally)| tally.scan(limits).is_some())
            .map(|(source, _)| *source)
            .collect();
        // What is about one attempt and no more only such limits call for.
        let of_one = limits.down_attempts.min(limits.flood_attempts) <= 1;
        let over_tcp = self.services.iter().map(|(at, known)| (at, known, None));
        let over_quic = self.over_quic.iter().map(|(at, known)| {
            let tcp = self.services.get(at).and_then(Known::tally);
            (at, known, Some(tcp.is_some_and(|tally| tally.worked > 0)))
        });
        over_tcp
            .chain(over_quic)
            .filter(move |(_, known, _)| of_one || matches!(known, Known::Often(_)))
            .filter_map(move |((address, port), known, works_over_tcp)| {
                let tally = &*known.tally()?;
                let service = Service {
                    tally,
                    recorded: &self.recorded,
                    is_scanned: works_over_tcp.is_none() && is_scanned(tally, &scanners),
                    works_over_tcp,
                };
                let mut rules = SURVEY.iter();
                let finding = rules.find_map(|detector| match detector.rule {
                    Rule::Service(find) => find(&service, limits),
                    _ => None,
                })?;
                Some(GroupFinding {
                    scope: Scope::Service,
                    subject: socket_of(*address, *port),
                    finding,
                })
            })
    }
}

fn is_scanned(service: &ServiceTally, scanners: &IndexSet<IpAddr>) -> bool {
    let failures = service.failures.as_deref();
    failures.is_some_and(|failures| {
        let mut clients = failures.known_clients.iter();
        clients.all(|client| scanners.contains(client))
    })
}

fn first_frame(finding: &Finding) -> u64 {
    finding.frames.first().copied().unwrap_or(u64::MAX)
}
