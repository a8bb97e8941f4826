//! The connections without a problem, written out.

use std::io;

use super::entry;
use crate::model::{Healthy, HealthyService};
use crate::style::Page;
use crate::{Names, format};

/// How many services are listed.
const MAX_LISTED: usize = 20;

pub(super) fn write(page: &mut Page<'_>, healthy: &Healthy, names: &Names) -> io::Result<()> {
    let (services, rest) = healthy.largest(MAX_LISTED);
    if services.is_empty() {
        return Ok(());
    }
    page.blank()?;
    page.line("Connections without a problem:")?;
    for HealthyService {
        service: (address, port),
        tally,
        undecided,
        payload_bytes,
    } in services
    {
        let mut line = format!(
            "{}: {}, {} of payload",
            entry::named(tally, &names.socket(*address, *port)),
            format::counted(tally.connections, "connection"),
            format::size(*payload_bytes),
        );
        if *undecided > 0 {
            line.push_str(&format!(", {} undecided", format::count(*undecided)));
        }
        page.indented(
            2,
            &format!("{line}, first is stream {}", tally.first_stream()),
        )?;
    }
    match rest {
        0 => Ok(()),
        more => {
            let more = format::counted(more, "connection");
            page.indented(2, &format!("and {more} to other services"))
        }
    }
}
