//! Health checks: the connections of one source to one service that come and go without a byte.

use std::net::IpAddr;

use wirewhy_detect::{Finding, Limits};
use wirewhy_flow::{Connection, EndpointState, Mark, Unopened};
use wirewhy_packet::{Interval, Timestamp};

use crate::clients::{Clients, key};
use crate::detectors::tcp::probe;
use crate::recent::keep;

impl Clients {
    /// Takes in one connection.
    pub(crate) fn note_probe(&mut self, connection: &Connection, limits: &Limits) {
        if connection.tcp.handshake.syn_ack.is_none() {
            // A check that is refused or not answered is one of the series all the same.
            if let Some(client) = self.0.get_mut(&key(connection)) {
                client.probes.note_failure(connection.first);
            }
            return;
        }
        let probes = &mut self.of(connection).probes;
        if is_probe_like(connection, limits) {
            probes.add(connection.first);
        } else {
            probes.note_other();
        }
    }

    /// Takes in an attempt that opened nothing: one of the series all the same.
    pub(crate) fn note_unopened(&mut self, attempt: &Unopened) {
        let ((client, _), (server, port)) = (attempt.client(), attempt.server());
        if let Some(client) = self.0.get_mut(&(client, server, port)) {
            client.probes.note_failure(attempt.first());
        }
    }

    /// The finding about the health checks that a connection is one of.
    pub(crate) fn probe_finding_for(
        &self,
        connection: &Connection,
        limits: &Limits,
    ) -> Option<Finding> {
        if !is_probe_like(connection, limits) {
            return None;
        }
        let probes = &self.0.get(&key(connection))?.probes;
        probes
            .are_steady(limits)
            .then(|| probes.finding(connection.client.address))
    }

    /// The findings about all of them, with server and port.
    pub(crate) fn probe_findings<'a>(
        &'a self,
        limits: &'a Limits,
    ) -> impl Iterator<Item = (IpAddr, u16, Finding)> + 'a {
        self.0
            .iter()
            .filter(|(_, client)| client.probes.are_steady(limits))
            .map(|((address, server, port), client)| {
                (*server, *port, client.probes.finding(*address))
            })
    }
}

/// The connections of one source to one service.
#[derive(Clone, Debug)]
pub(crate) struct Probes {
    /// Those that were accepted and left without a byte.
    alike: u32,
    /// Those, and the refused and unanswered ones between them.
    beats: u32,
    others: u32,
    last: Timestamp,
    shortest: Interval,
    longest: Interval,
    sum: Interval,
    frames: Vec<u64>,
}

impl Default for Probes {
    fn default() -> Probes {
        Probes {
            alike: 0,
            beats: 0,
            others: 0,
            last: Timestamp(0),
            shortest: Interval(i64::MAX),
            longest: Interval::ZERO,
            sum: Interval::ZERO,
            frames: Vec::new(),
        }
    }
}

impl Probes {
    /// Takes in a connection that is no check.
    pub(crate) fn note_other(&mut self) {
        self.others = self.others.saturating_add(1);
    }

    fn add(&mut self, first: Mark) {
        self.note_pause(first);
        self.alike = self.alike.saturating_add(1);
        keep(&mut self.frames, first);
    }

    /// Takes in a connection that was refused or not answered, if others were accepted.
    fn note_failure(&mut self, first: Mark) {
        if self.alike > 0 || self.others > 0 {
            self.note_pause(first);
        }
    }

    /// Takes in when a check began, and so the pause before it.
    fn note_pause(&mut self, first: Mark) {
        if self.beats > 0 {
            let pause = first.time.since(self.last).abs();
            self.shortest = self.shortest.min(pause);
            self.longest = self.longest.max(pause);
            self.sum = Interval(self.sum.0.saturating_add(pause.0));
        }
        self.beats = self.beats.saturating_add(1);
        self.last = first.time;
    }

    /// Enough of them, nearly nothing else, and the pauses alike.
    fn are_steady(&self, limits: &Limits) -> bool {
        let (shortest, longest) = (self.shortest.as_secs_f64(), self.longest.as_secs_f64());
        self.alike >= limits.probe_count
            && self.others.saturating_mul(10) <= self.alike
            && self.shortest >= limits.probe_period
            && longest <= shortest * (1.0 + limits.probe_jitter)
    }

    fn finding(&self, client: IpAddr) -> Finding {
        let pauses = i64::from(self.beats.saturating_sub(1).max(1));
        probe::finding(
            client,
            self.alike,
            Interval(self.sum.0 / pauses),
            self.frames.clone(),
        )
    }
}

/// Accepted, left at once, and not a byte of payload, or none but a TLS handshake that was not used.
pub(crate) fn is_probe_like(connection: &Connection, limits: &Limits) -> bool {
    let (client, server) = (&connection.client, &connection.server);
    let left = matches!(
        client.tcp.state,
        EndpointState::Closing { .. } | EndpointState::Reset
    );
    let silent = client.counts.payload_packets == 0 && server.counts.payload_packets == 0;
    let quick = connection.duration() <= limits.probe_duration;
    connection.tcp.handshake.syn_ack.is_some()
        && left
        && quick
        && (silent || is_unused_tls(connection))
}

/// A handshake that succeeded, and nothing sent over it.
pub(crate) fn is_unused_tls(connection: &Connection) -> bool {
    let app = connection.app.as_deref();
    app.and_then(|app| app.tls.as_deref()).is_some_and(|tls| {
        let mut alerts = tls.client.alerts.iter();
        tls.is_established()
            && tls.client.application_data.count == 0
            && !alerts.any(|alert| alert.level == Some(2))
    })
}
