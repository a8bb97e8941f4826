//! ClientHellos that were answered, to be compared with those that were not.

use std::net::IpAddr;

use wirewhy_flow::Connection;

use crate::recent::RecentTable;
use wirewhy_detect::{Confidence, Finding, hello_was_refused};

/// ClientHellos that were answered, by client and service.
#[derive(Debug, Default)]
pub(crate) struct Hellos(RecentTable<(IpAddr, IpAddr, u16), Answered>);

/// Streams of one client to one service whose hello was answered.
#[derive(Clone, Copy, Debug, Default)]
struct Answered {
    /// One with a hello in a single segment.
    short: Option<u32>,
    /// One with a hello in several.
    long: Option<u32>,
    /// One with a hello in a single segment behind which the server ended the connection.
    refused: Option<u32>,
}

impl Hellos {
    /// Takes in one connection.
    pub(crate) fn note(&mut self, connection: &Connection) {
        let Some((long, is_answered)) = hello_of(connection) else {
            return;
        };
        let refused = !is_answered && !long && hello_was_refused(connection);
        if !is_answered && !refused {
            return;
        }
        let answered = self.0.entry(key(connection));
        let place = match (long, refused) {
            (_, true) => &mut answered.refused,
            (true, false) => &mut answered.long,
            (false, false) => &mut answered.short,
        };
        place.get_or_insert(connection.stream);
    }

    /// A short hello of the same client to the same service that ended as this long one did, while none was answered: then the
    /// length is not the reason.
    pub(crate) fn refuting(&self, connection: &Connection) -> Option<u32> {
        let known = self.0.get(&key(connection))?;
        let alike = hello_was_refused(connection) && known.short.is_none();
        known.refused.filter(|_| alike)
    }

    /// Amends a finding about a long hello without an answer: a short one that was answered makes the length the cause, a
    /// long one that was answered makes that unlikely.
    pub(crate) fn amend(&self, connection: &Connection, finding: &mut Finding) {
        let answered = self.0.get(&key(connection)).copied().unwrap_or_default();
        finding
            .facts
            .0
            .push(("short_hello_answered_in_stream", answered.short.into()));
        finding
            .facts
            .0
            .push(("long_hello_answered_in_stream", answered.long.into()));
        if let (Some(stream), None) = (answered.short, answered.long) {
            finding.confidence = Confidence::Likely;
            finding.summary.push_str(&format!(
                "; a short hello of the same client was answered (stream {stream})"
            ));
        }
    }
}

/// Whether a ClientHello took several segments, and whether a ServerHello answered it.
fn hello_of(connection: &Connection) -> Option<(bool, bool)> {
    let tls = connection.app.as_deref()?.tls.as_deref()?;
    let hello = tls.client_hello.as_deref()?;
    let long = hello.begun.frame != hello.mark.frame;
    Some((long, tls.server_hello.is_some() || tls.retry.is_some()))
}

fn key(connection: &Connection) -> (IpAddr, IpAddr, u16) {
    let (client, server) = (&connection.client, &connection.server);
    (client.address, server.address, server.port)
}
