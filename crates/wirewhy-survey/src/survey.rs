//! The survey: what is gathered over the connections of a recording, and what it concludes.

use std::net::IpAddr;

use wirewhy_detect::wording::socket_of;
use wirewhy_detect::{
    Confidence, Diagnosis, Finding, Limits, Scope, Severity, code, idle_before_end,
    large_unanswered, link_causes, while_others_pass,
};
use wirewhy_flow::{Connection, Healthy, Lookups, Neighbours, Transport, Unopened};

use crate::alive::Alive;
use crate::attempts::Attempts;
use crate::backends::Backends;
use crate::catalogue::SURVEY;
use crate::catalogue::record_of;
use crate::clients::Clients;
use crate::detectors::capture::{duplicate_packets, one_direction};
use crate::detectors::rst::{after_close, stray_segment};
use crate::detectors::service::down;
use crate::ftp::FtpConnections;
use crate::group::{GroupFinding, about_host};
use crate::hellos::Hellos;
use crate::lookup_findings::{Unanswering, about_lookups};
use crate::openings::OpenedConnections;
use crate::options::SynOptions;
use crate::probes::{is_probe_like, is_unused_tls};
use crate::quic::QuicConnections;
use crate::recent::RecentTable;
use crate::recording::CaptureFaults;
use crate::rule::{IdleEnd, IdleTimes, Rule};
use crate::spoken::Services;
use crate::strays::Strays;
use crate::upstreams::Upstreams;

/// Gathers what shows only over many connections, in bounded tables: a full one forgets the half it has known longest.
#[derive(Debug, Default)]
pub struct Survey {
    alive: Alive,
    clients: Clients,
    opened: OpenedConnections,
    idle: RecentTable<IpAddr, IdleTimes>,
    strays: Strays,
    hellos: Hellos,
    services: Services,
    backends: Backends,
    options: SynOptions,
    attempts: Attempts,
    ftp: FtpConnections,
    unanswering: Unanswering,
    upstreams: Upstreams,
    faults: CaptureFaults,
    quic: QuicConnections,
}

/// How many idle times are remembered of one server.
const IDLE_ENDS: usize = 1_024;

impl Survey {
    /// Takes in one connection that is over.
    pub fn note(&mut self, diagnosis: &Diagnosis, limits: &Limits) {
        let connection = &diagnosis.connection;
        // What a connection of which packets are missing shows is not certain.
        if connection.interrupted {
            return;
        }
        let outcome = diagnosis.outcome();
        if connection.transport == Transport::Udp {
            self.quic.note(diagnosis);
            self.attempts.note_quic(diagnosis, outcome);
            return;
        }
        self.faults.note(connection);
        self.alive.note(connection);
        self.hellos.note(connection);
        self.services.note(diagnosis, outcome);
        self.backends.note(connection);
        self.clients.note_request(connection);
        self.options.note(connection, limits);
        self.attempts.note(diagnosis, outcome, limits);
        self.ftp.note(diagnosis);
        self.unanswering.note(diagnosis, outcome);
        self.upstreams.note(diagnosis);
        self.clients.note_probe(connection, limits);
        self.note_idle_end(diagnosis, limits);
        if opened(diagnosis) {
            self.opened.note(connection);
        }
        self.strays.note(connection);
    }

    /// Takes in an attempt that nothing answered or that the server refused, as [`Survey::note`] takes in its connection: what is not
    /// named here takes no notice of one.
    pub fn note_unopened(
        &mut self,
        attempt: &Unopened,
        finding: Option<&Finding>,
        limits: &Limits,
    ) {
        if attempt.refused().is_some() {
            self.faults.note_two_sided();
        }
        self.options.note_unopened(attempt, limits);
        self.attempts.note_unopened(attempt, finding, limits);
        self.ftp.note_unopened(attempt, finding);
        self.clients.note_unopened(attempt);
        self.strays.note_unopened(attempt);
        if let Some(finding) = finding {
            self.unanswering.note_failed(attempt.stream(), finding.code);
            self.upstreams.note_unopened(attempt, finding);
        }
    }

    /// Takes in a connection that went well and in which no rule finds anything, as [`Survey::note`] takes in its diagnosis: what is
    /// not named here takes no notice of one.
    pub fn note_healthy(&mut self, healthy: &Healthy, limits: &Limits) {
        self.faults.note_two_sided();
        self.alive.note_healthy(healthy);
        self.services.note_healthy(healthy);
        self.backends.note_healthy(healthy);
        self.options.note_healthy(healthy);
        self.attempts.note_healthy(healthy, limits);
        self.clients.note_healthy(healthy);
        self.opened.note_healthy(healthy);
    }

    /// Whether what other connections show may bear on one that went well.
    #[must_use]
    pub fn may_bear_on_healthy(&self, healthy: &Healthy) -> bool {
        self.strays.may_bear_on(healthy.client(), healthy.server())
    }

    /// Whether what other connections show may bear on an attempt that opened nothing.
    #[must_use]
    pub fn may_bear_on(&self, attempt: &Unopened, has_failed: bool, limits: &Limits) -> bool {
        let (client, server) = (attempt.client(), attempt.server());
        let others = has_failed
            && (one_direction::applies(&self.faults, limits)
                || self.ftp.may_tie_any()
                || self.upstreams.may_bear_on_any());
        others || self.strays.answer_between(client, server).is_some()
    }

    /// Takes in what an ongoing connection shows about attempts that race it. It is to be noted again when it is over.
    pub fn note_ongoing(&mut self, diagnosis: &Diagnosis) {
        if diagnosis.connection.transport == Transport::Udp {
            self.quic.note(diagnosis);
            self.attempts.note_ongoing_quic(diagnosis);
            return;
        }
        self.attempts.note_ongoing(diagnosis);
        self.ftp.note(diagnosis);
        if opened(diagnosis) {
            self.opened.note_ongoing(&diagnosis.connection);
        }
    }

    /// Whether what other connections show may bear on this one.
    #[must_use]
    pub fn may_revise(diagnosis: &Diagnosis, limits: &Limits) -> bool {
        if diagnosis.connection.transport == Transport::Udp {
            return !diagnosis.findings.is_empty() || QuicConnections::may_concern(diagnosis);
        }
        !diagnosis.findings.is_empty()
            || is_probe_like(&diagnosis.connection, limits)
            || Services::may_concern(&diagnosis.connection)
            || FtpConnections::may_concern(&diagnosis.connection)
    }

    /// Revises the findings of a connection by what the others show.
    pub fn revise(&self, diagnosis: &mut Diagnosis, limits: &Limits) {
        if diagnosis.connection.transport == Transport::Udp {
            self.revise_quic(diagnosis, limits);
            return;
        }
        let has_findings = !diagnosis.findings.is_empty();
        if !has_findings && is_lone(&diagnosis.connection) {
            let connection = &diagnosis.connection;
            if self.strays.answer_for(connection).is_none()
                && self.options.finding_for(connection, limits).is_none()
            {
                return;
            }
        }
        let one_direction = has_findings && one_direction::applies(&self.faults, limits);
        if diagnosis.is_wordless() {
            if !one_direction && !self.bears_on_plain(&diagnosis.connection, limits) {
                return;
            }
            diagnosis.put_into_words(limits);
        }
        let probe = self
            .clients
            .probe_finding_for(&diagnosis.connection, limits);
        if has_findings && self.hellos.refuting(&diagnosis.connection).is_some() {
            let refuted = code::TLS_CLIENT_HELLO_DROPPED;
            diagnosis.findings.retain(|finding| finding.code != refuted);
        }
        self.services.revise(diagnosis, limits);
        self.ftp.revise(diagnosis, limits);
        self.clients.revise_challenges(diagnosis);
        for finding in &mut diagnosis.findings {
            if finding.code == code::TLS_CLIENT_HELLO_DROPPED {
                self.hellos.amend(&diagnosis.connection, finding);
            }
            let silence = [code::TCP_SYN_UNANSWERED, code::TCP_SYNACK_UNANSWERED];
            if one_direction && silence.contains(&finding.code) {
                finding.confidence = Confidence::Possible;
                finding
                    .summary
                    .push_str("; but most of this capture shows one direction only");
            }
            if probe.is_some() && finding.code.starts_with("tls.cert-") {
                spare_checked(&diagnosis.connection, finding);
            }
            if finding.code == code::TCP_HANDSHAKE_ABORTED && probe.is_some() {
                finding.severity = Severity::Note;
                continue;
            }
            self.opened.tie(&diagnosis.connection, finding, limits);
        }
        if let Some(stray) = self.strays.of(&diagnosis.connection) {
            diagnosis
                .findings
                .push(stray_segment::finding(&diagnosis.connection, stray));
        }
        let backend = self.backends.finding_for(diagnosis, limits);
        diagnosis.findings.extend(backend);
        let option = self.options.finding_for(&diagnosis.connection, limits);
        diagnosis.findings.extend(option);
        diagnosis
            .findings
            .extend(self.strays.answer_for(&diagnosis.connection));
        diagnosis
            .findings
            .extend(self.black_hole(diagnosis, limits));
        diagnosis.findings.extend(probe);
        link_causes(&mut diagnosis.findings, record_of);
        self.upstreams.revise(diagnosis);
    }

    /// Over QUIC: what took the place of an attempt that failed.
    fn revise_quic(&self, diagnosis: &mut Diagnosis, limits: &Limits) {
        if diagnosis.findings.is_empty() {
            diagnosis.findings.extend(self.quic.lost_state(diagnosis));
            return;
        }
        let connection = &diagnosis.connection;
        for finding in &mut diagnosis.findings {
            let of_attempt = finding.severity == Severity::Error
                && ![
                    code::QUIC_CLOSED,
                    code::QUIC_PEER_VANISHED,
                    code::QUIC_STATELESS_RESET,
                ]
                .contains(&finding.code);
            if of_attempt {
                self.quic.tie(connection, finding);
                self.opened.tie_to_fallback(connection, finding, limits);
            }
        }
    }

    /// Whether other connections bear on an attempt that was refused or not answered, and shows nothing else: it never opened,
    /// and nothing was said.
    fn bears_on_plain(&self, connection: &Connection, limits: &Limits) -> bool {
        self.ftp.may_tie(connection)
            || self.opened.has_reached_instead(connection, limits)
            || self.strays.of(connection).is_some()
            || self.strays.answer_for(connection).is_some()
            || self.options.finding_for(connection, limits).is_some()
            || self.upstreams.bear_on(connection)
    }

    /// Full-sized segments that nothing answers, while smaller ones pass in another connection between the same hosts.
    fn black_hole(&self, diagnosis: &Diagnosis, limits: &Limits) -> Option<Finding> {
        let silent = |finding: &Finding| finding.code == code::TCP_PEER_VANISHED;
        if !diagnosis.findings.iter().any(silent) {
            return None;
        }
        let connection = &diagnosis.connection;
        let lost = large_unanswered(connection, limits)?;
        let alive = self.alive.beside(connection, lost)?;
        Some(while_others_pass(connection, lost, alive))
    }

    /// The findings beyond single connections, given what reading the capture showed, what was seen of the link, and
    /// the lookups that are over.
    #[must_use]
    pub fn findings(
        &self,
        recording: CaptureFaults,
        neighbours: &Neighbours,
        lookups: &Lookups,
        limits: &Limits,
    ) -> Vec<GroupFinding> {
        let seen = &self.faults;
        let faults = CaptureFaults {
            unseen_segments: seen.unseen_segments,
            unseen_bytes: seen.unseen_bytes,
            unseen_frames: seen.unseen_frames.clone(),
            one_sided: seen.one_sided,
            one_sided_frames: seen.one_sided_frames.clone(),
            two_sided: seen.two_sided,
            ..recording
        };
        let mut found = about_recording(&faults, limits);
        let probes = self.clients.probe_findings(limits);
        found.extend(probes.map(|(server, port, finding)| GroupFinding {
            scope: Scope::Service,
            subject: socket_of(server, port),
            finding,
        }));
        found.extend(self.about_idle_times(limits));
        let one_direction = one_direction::applies(&faults, limits);
        found.extend(self.attempts.findings(one_direction, limits));
        found.extend(about_link(neighbours, limits));
        found.extend(about_lookups(
            lookups,
            &self.unanswering,
            one_direction,
            limits,
        ));
        // An absence, or a share of the packets, is not known where packets are missing.
        let unknown = [
            down::RECORD.code,
            one_direction::RECORD.code,
            duplicate_packets::RECORD.code,
        ];
        found.retain(|found| faults.gaps.is_empty() || !unknown.contains(&found.finding.code));
        found
    }

    fn about_idle_times(&self, limits: &Limits) -> impl Iterator<Item = GroupFinding> {
        let rules = SURVEY.iter().filter_map(|detector| match detector.rule {
            Rule::IdleTimes(find) => Some(find),
            _ => None,
        });
        rules.flat_map(move |find| {
            self.idle
                .iter()
                .filter_map(move |(server, ends)| Some(about_host(*server, find(ends, limits)?)))
        })
    }

    /// A connection that did not survive an idle time: reset after it, or silent for good.
    fn note_idle_end(&mut self, diagnosis: &Diagnosis, limits: &Limits) {
        let idle = idle_before_end(diagnosis, limits).filter(|end| end.idle >= limits.idle);
        let survived = diagnosis.connection.tcp.survived_idle;
        if idle.is_none() && survived < limits.idle {
            return;
        }
        let times = self.idle.entry(diagnosis.connection.server.address);
        times.survived = times.survived.max(survived);
        if let Some(end) = idle
            && times.ends.len() < IDLE_ENDS
        {
            times.ends.push(IdleEnd {
                end,
                frame: diagnosis.connection.last.frame,
            });
        }
    }
}

/// A health check that only makes a handshake leaves it unused whatever the certificate is: nothing was refused.
fn spare_checked(connection: &Connection, finding: &mut Finding) {
    if finding.severity == Severity::Error && is_unused_tls(connection) {
        finding.severity = if connection.server_name.is_some() {
            Severity::Warning
        } else {
            Severity::Note
        };
        finding
            .summary
            .push_str("; the client makes such handshakes at a steady pace, as health checks do");
    }
}

fn about_recording(faults: &CaptureFaults, limits: &Limits) -> Vec<GroupFinding> {
    let rules = SURVEY.iter().filter_map(|detector| match detector.rule {
        Rule::Recording(find) => find(faults, limits),
        _ => None,
    });
    rules
        .chain(after_close::late(faults))
        .map(|finding| GroupFinding {
            scope: Scope::Capture,
            subject: faults.source.clone(),
            finding,
        })
        .collect()
}

/// The findings about the addresses of a link.
fn about_link(neighbours: &Neighbours, limits: &Limits) -> impl Iterator<Item = GroupFinding> {
    let rules = SURVEY.iter().filter_map(|detector| match detector.rule {
        Rule::Link(find) => Some(find),
        _ => None,
    });
    rules
        .flat_map(move |find| find(neighbours, limits))
        .map(|(address, finding)| about_host(address, finding))
}

/// Whether nothing was seen of it but SYNs.
fn is_lone(connection: &Connection) -> bool {
    let client = &connection.client;
    !connection.server.was_seen()
        && connection.tcp.handshake.ack.is_none()
        && client.counts.packets == u64::from(connection.tcp.handshake.syns)
        && client.counts.payload_packets == 0
}

/// Whether it opened, and the client did not abort it at once.
fn opened(diagnosis: &Diagnosis) -> bool {
    let aborted = diagnosis
        .findings
        .iter()
        .any(|found| found.code == code::TCP_HANDSHAKE_ABORTED);
    diagnosis.connection.tcp.handshake.ack.is_some() && !aborted
}

#[cfg(test)]
mod tests;
