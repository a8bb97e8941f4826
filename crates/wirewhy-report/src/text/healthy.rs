//! Connections without a problem, folded by service.

use std::collections::HashMap;
use std::io;

use wirewhy_detect::{Judged, Outcome};

use super::tally::{Service, Tally};
use crate::look::Page;
use crate::{Names, words};

/// How many services are counted apart.
const MAX_SERVICES: usize = 4096;

/// How many services are listed.
const MAX_LISTED: usize = 20;

/// Healthy and undecided connections by service.
#[derive(Debug, Default)]
pub(super) struct Services {
    places: HashMap<Service, usize>,
    services: Vec<(Service, Count)>,
    elsewhere: u64,
}

#[derive(Debug, Default)]
struct Count {
    tally: Tally,
    undecided: u64,
    payload_bytes: u64,
}

impl Services {
    pub(super) fn add(&mut self, judged: &Judged) {
        let connection = &judged.connection;
        let service = (connection.server.address, connection.server.port);
        let next = self.services.len();
        let at = match self.places.get(&service) {
            Some(at) => *at,
            None if next < MAX_SERVICES => {
                self.places.insert(service, next);
                self.services.push((service, Count::default()));
                next
            }
            None => {
                self.elsewhere += 1;
                return;
            }
        };
        let Some((_, count)) = self.services.get_mut(at) else {
            return;
        };
        count.tally.count(connection);
        count.undecided += u64::from(judged.outcome() == Outcome::Undecided);
        count.payload_bytes = count
            .payload_bytes
            .saturating_add(connection.client.counts.payload_bytes)
            .saturating_add(connection.server.counts.payload_bytes);
    }

    pub(super) fn write(mut self, page: &mut Page<'_>, names: &Names) -> io::Result<()> {
        if self.services.is_empty() {
            return Ok(());
        }
        self.services.sort_by(|(a_service, a), (b_service, b)| {
            (b.tally.connections, a_service).cmp(&(a.tally.connections, b_service))
        });
        page.blank()?;
        page.line("Connections without a problem:")?;
        for ((address, port), count) in self.services.iter().take(MAX_LISTED) {
            let mut line = format!(
                "{}: {}, {} of payload",
                count.tally.named(&names.socket(*address, *port)),
                words::counted(count.tally.connections, "connection"),
                words::size(count.payload_bytes),
            );
            if count.undecided > 0 {
                line.push_str(&format!(", {} undecided", words::count(count.undecided)));
            }
            page.indented(
                2,
                &format!("{line}, first is stream {}", count.tally.first_stream()),
            )?;
        }
        let unlisted = self.services.iter().skip(MAX_LISTED);
        let rest: u64 = unlisted.map(|(_, count)| count.tally.connections).sum();
        match rest + self.elsewhere {
            0 => Ok(()),
            more => {
                let more = words::counted(more, "connection");
                page.indented(2, &format!("and {more} to other services"))
            }
        }
    }
}
