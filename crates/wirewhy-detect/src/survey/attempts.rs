//! The attempts of a capture by service and by source, and what they show together.

use std::net::IpAddr;

use indexmap::IndexSet;

use super::GroupFinding;
use super::attempt;
use super::filter::Keys;
use super::flood::Recorded;
use super::service::ServiceTally;
use super::source::SourceTally;
use super::table::Table;
use super::tallies::Tallies;
use crate::detectors::{down, flaky, port_scan, syn_flood};
use crate::wording::socket_of;
use crate::{Confidence, Finding, Judged, Limits, Outcome, Scope};

/// Gathers attempts by service and by source.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    services: Table<(IpAddr, u16), ServiceTally>,
    sources: Table<IpAddr, SourceTally>,
    recorded: Recorded,
    /// Services that were talked with in connections that opened before the capture began.
    alive: Keys<(IpAddr, u16)>,
}

/// Who was seen to scan.
pub(super) type Scanners = IndexSet<IpAddr>;

impl Attempts {
    /// Takes in one connection.
    pub(super) fn note(&mut self, judged: &Judged, limits: &Limits) {
        let connection = &judged.connection;
        let handshake = &connection.handshake;
        self.recorded.syn_acks |= handshake.syn_acks > 0;
        let (client, server) = (&connection.client.counts, &connection.server.counts);
        self.recorded.beyond_syns |= client.packets > u64::from(handshake.syns)
            || server.packets > u64::from(handshake.syn_acks);
        let address = (connection.server.address, connection.server.port);
        if handshake.first_syn.is_none() || connection.is_one_sided() {
            if attempt::shows_life(connection) {
                self.alive.add(address);
            }
            return;
        }
        let went = attempt::went(judged);
        if let Some(service) = self.services.entry(address) {
            service.add(connection, went, limits);
        }
        if went.is_some()
            && let Some(source) = self.sources.entry(connection.client.address)
        {
            source.add(connection, attempt::fruitless(judged, limits), limits);
        }
    }

    /// Takes in a connection that opened and goes on well so far: as long as it does, its service is not down.
    pub(super) fn note_going_on(&mut self, judged: &Judged) {
        let connection = &judged.connection;
        let handshake = &connection.handshake;
        if handshake.first_syn.is_none()
            || handshake.ack.is_none()
            || judged.outcome() == Outcome::Failed
        {
            return;
        }
        let address = (connection.server.address, connection.server.port);
        if let Some(service) = self.services.entry(address) {
            service.keep_open(connection.stream);
        }
    }

    /// What a survey over many captures needs to know of these attempts.
    pub(super) fn tallies(&self, one_direction: bool, limits: &Limits) -> Tallies {
        Tallies {
            alive: self.alive.as_filter(),
            ..Tallies::new(
                &self.services,
                &self.sources,
                self.recorded,
                one_direction,
                limits,
            )
        }
    }

    /// What the attempts show together.
    pub(super) fn finish(&self, one_direction: bool, limits: &Limits) -> Vec<GroupFinding> {
        let mut found: Vec<GroupFinding> = Vec::new();
        let scanners: Scanners = self
            .sources
            .iter()
            .filter(|(_, tally)| tally.scan(limits).is_some())
            .map(|(source, _)| *source)
            .collect();
        for (source, tally) in self.sources.iter() {
            found.extend(
                port_scan::find(*source, tally, &self.recorded, limits).map(|finding| {
                    GroupFinding {
                        scope: Scope::Host,
                        subject: source.to_string(),
                        finding,
                    }
                }),
            );
        }
        for ((address, port), service) in self.services.iter() {
            let about = |finding| GroupFinding {
                scope: Scope::Service,
                subject: socket_of(*address, *port),
                finding,
            };
            let verdict = about_service(service, &self.recorded, &scanners, limits);
            found.extend(verdict.map(about));
        }
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
}

/// What the attempts at one service show: a flood, or else that it is down or flaky.
pub(super) fn about_service(
    service: &ServiceTally,
    recorded: &Recorded,
    scanners: &Scanners,
    limits: &Limits,
) -> Option<Finding> {
    let flood = syn_flood::find(service, recorded, limits);
    if flood.is_some() || is_scanned(service, scanners) {
        return flood;
    }
    down::find(service, recorded, limits).or_else(|| flaky::find(service, limits))
}

/// Whether all the failed attempts at a service are those of scanners.
fn is_scanned(service: &ServiceTally, scanners: &Scanners) -> bool {
    let failures = service.failures.as_deref();
    failures.is_some_and(|failures| {
        let mut clients = failures.known_clients.iter();
        clients.all(|client| scanners.contains(client))
    })
}

fn first_frame(finding: &Finding) -> u64 {
    finding.frames.first().copied().unwrap_or(u64::MAX)
}
