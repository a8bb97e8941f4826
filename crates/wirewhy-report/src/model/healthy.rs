//! Connections without a problem, folded by service in bounded memory.

use std::collections::HashMap;

use wirewhy_detect::{Diagnosis, Outcome};

use super::causes::Service;
use super::instance::Instance;
use super::tally::Tally;

/// How many services are counted apart.
const MAX_SERVICES: usize = 4096;

/// Healthy and undecided connections by service.
#[derive(Debug, Default)]
pub(crate) struct Healthy {
    places: HashMap<Service, usize>,
    services: Vec<HealthyService>,
    elsewhere: u64,
}

/// The healthy and undecided connections to one service.
#[derive(Debug)]
pub(crate) struct HealthyService {
    pub(crate) service: Service,
    pub(crate) tally: Tally,
    pub(crate) undecided: u64,
    pub(crate) payload_bytes: u64,
}

impl Healthy {
    pub(super) fn add(&mut self, diagnosis: &Diagnosis, place: u64) {
        let connection = &diagnosis.connection;
        let service = (connection.server.address, connection.server.port);
        let next = self.services.len();
        let at = match self.places.get(&service) {
            Some(at) => *at,
            None if next < MAX_SERVICES => {
                self.places.insert(service, next);
                self.services.push(HealthyService {
                    service,
                    tally: Tally::default(),
                    undecided: 0,
                    payload_bytes: 0,
                });
                next
            }
            None => {
                self.elsewhere += 1;
                return;
            }
        };
        let Some(count) = self.services.get_mut(at) else {
            return;
        };
        count.tally.count(&Instance::of(connection), place);
        count.undecided += u64::from(diagnosis.outcome() == Outcome::Undecided);
        count.payload_bytes = count
            .payload_bytes
            .saturating_add(connection.client.counts.payload_bytes)
            .saturating_add(connection.server.counts.payload_bytes);
    }

    /// The services in falling order of connections, at most `most` of them, and how many connections the others have.
    pub(crate) fn largest(&self, most: usize) -> (Vec<&HealthyService>, u64) {
        let mut services: Vec<&HealthyService> = self.services.iter().collect();
        services.sort_by(|a, b| {
            (b.tally.connections, a.service).cmp(&(a.tally.connections, b.service))
        });
        let unlisted = services.iter().skip(most);
        let rest: u64 = unlisted.map(|service| service.tally.connections).sum();
        services.truncate(most);
        (services, rest + self.elsewhere)
    }
}
