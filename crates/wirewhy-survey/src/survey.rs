//! The survey: what is gathered over the connections of a recording, and what it concludes.

use std::hash::Hash;
use std::net::IpAddr;

use foldhash::fast::FixedState;
use indexmap::IndexMap;
use wirewhy_detect::wording::socket_of;
use wirewhy_detect::{
    Confidence, Finding, Judged, Limits, Scope, Severity, Value, code, link_causes,
};
use wirewhy_flow::{Mark, Neighbours};

use crate::attempts::Attempts;
use crate::catalogue::SURVEY;
use crate::detectors::capture::{duplicate_packets, one_direction};
use crate::detectors::host::idle_timer::IdleEnd;
use crate::detectors::rst::{after_close, stray_segment};
use crate::detectors::service::down;
use crate::hellos::Hellos;
use crate::openings::OpenedConnections;
use crate::probes::{HealthChecks, is_probe_like};
use crate::strays::Strays;
use crate::{CaptureFaults, Rule, record_of};

/// A finding about more than one connection.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupFinding {
    /// What kind of thing it is about.
    pub scope: Scope,
    /// Which one: `10.0.0.9:443`, `10.0.0.9`, a file name.
    pub subject: String,
    /// The finding.
    pub finding: Finding,
}

/// Gathers what shows only over many connections, in bounded tables: a full one forgets the half it has known longest.
#[derive(Debug, Default)]
pub struct Survey {
    probes: HealthChecks,
    opened: OpenedConnections,
    idle: RecentTable<IpAddr, Vec<IdleEnd>>,
    strays: Strays,
    hellos: Hellos,
    attempts: Attempts,
    faults: CaptureFaults,
}

/// A table that is kept small by [`make_room`].
pub(crate) type RecentTable<K, V> = IndexMap<K, V, FixedState>;

/// How many entries each table has.
const REMEMBERED: usize = 16_384;

/// How many idle times are remembered of one server.
const IDLE_ENDS: usize = 1_024;

impl Survey {
    /// Takes in one connection that is over.
    pub fn note(&mut self, judged: &Judged, limits: &Limits) {
        let connection = &judged.connection;
        // What a connection of which packets are missing shows is not certain.
        if connection.interrupted {
            return;
        }
        self.faults.note(connection);
        self.hellos.note(connection);
        self.attempts.note(judged, limits);
        self.probes.note(connection, limits);
        self.note_idle_end(judged, limits);
        if opened(judged) {
            self.opened.note(connection);
        }
        self.strays.note(connection);
    }

    /// Takes in what an ongoing connection shows about attempts that race it. It is to be noted again when it is over.
    pub fn note_ongoing(&mut self, judged: &Judged) {
        self.attempts.note_ongoing(judged);
        if opened(judged) {
            self.opened.note(&judged.connection);
        }
    }

    /// Whether what other connections show may bear on this one.
    #[must_use]
    pub fn may_revise(judged: &Judged, limits: &Limits) -> bool {
        !judged.findings.is_empty() || is_probe_like(&judged.connection, limits)
    }

    /// Revises the findings of a connection by what the others show.
    pub fn revise(&self, judged: &mut Judged, limits: &Limits) {
        let one_direction = one_direction::applies(&self.faults, limits);
        let probe = self.probes.finding_for(&judged.connection, limits);
        for finding in &mut judged.findings {
            if finding.code == code::TLS_CLIENT_HELLO_DROPPED {
                self.hellos.amend(&judged.connection, finding);
            }
            let silence = [code::TCP_SYN_UNANSWERED, code::TCP_SYNACK_UNANSWERED];
            if one_direction && silence.contains(&finding.code) {
                finding.confidence = Confidence::Possible;
                finding
                    .summary
                    .push_str("; but most of this recording shows one direction only");
            }
            if finding.code != code::TCP_HANDSHAKE_ABORTED {
                continue;
            }
            if probe.is_some() {
                finding.severity = Severity::Note;
            } else if let Some(stream) = self.opened.winner_over(&judged.connection, limits) {
                finding.severity = Severity::Note;
                finding.facts.0.push(("winning_stream", stream.into()));
                finding
                    .summary
                    .push_str("; a parallel attempt of the same client won (happy eyeballs)");
            }
        }
        if let Some(stray) = self.strays.of(&judged.connection) {
            judged
                .findings
                .push(stray_segment::finding(&judged.connection, stray));
        }
        judged.findings.extend(probe);
        link_causes(&mut judged.findings, record_of);
    }

    /// The findings beyond single connections, given what reading the capture showed and what was seen of the link.
    #[must_use]
    pub fn findings(
        &self,
        recording: CaptureFaults,
        neighbours: &Neighbours,
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
        let probes = self.probes.findings(limits);
        found.extend(probes.map(|(server, port, finding)| GroupFinding {
            scope: Scope::Service,
            subject: socket_of(server, port),
            finding,
        }));
        found.extend(self.about_idle_times(limits));
        let one_direction = one_direction::applies(&faults, limits);
        found.extend(self.attempts.findings(one_direction, limits));
        found.extend(about_link(neighbours, limits));
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
    fn note_idle_end(&mut self, judged: &Judged, limits: &Limits) {
        let idle = judged.findings.iter().find_map(|finding| {
            let codes = [code::RST_IDLE_EXPIRED, code::TCP_PEER_VANISHED];
            match finding.facts.value("idle_before_seconds") {
                Some(Value::Seconds(idle)) if codes.contains(&finding.code) => Some(*idle),
                _ => None,
            }
        });
        let Some(idle) = idle.filter(|idle| *idle >= limits.idle) else {
            return;
        };
        let server = judged.connection.server.address;
        let ends = entry(&mut self.idle, server);
        if ends.len() < IDLE_ENDS {
            ends.push(IdleEnd {
                idle,
                frame: judged.connection.last.frame,
            });
        }
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

/// A finding about one host.
pub(crate) fn about_host(address: IpAddr, finding: Finding) -> GroupFinding {
    GroupFinding {
        scope: Scope::Host,
        subject: address.to_string(),
        finding,
    }
}

/// Evicts the older half of a full table.
pub(crate) fn make_room<K: Hash + Eq, V>(table: &mut RecentTable<K, V>, key: &K) {
    if table.len() >= REMEMBERED && !table.contains_key(key) {
        table.drain(..REMEMBERED / 2);
    }
}

/// The entry of a key, made if need be.
pub(crate) fn entry<K: Hash + Eq, V: Default>(table: &mut RecentTable<K, V>, key: K) -> &mut V {
    make_room(table, &key);
    table.entry(key).or_default()
}

/// Whether it opened, and the client did not abort it at once.
fn opened(judged: &Judged) -> bool {
    let aborted = judged
        .findings
        .iter()
        .any(|found| found.code == code::TCP_HANDSHAKE_ABORTED);
    judged.connection.handshake.ack.is_some() && !aborted
}

/// Adds a frame to those a finding cites, as far as there is room.
pub(crate) fn keep(frames: &mut Vec<u64>, mark: Mark) {
    if frames.len() < Finding::MAX_FRAMES {
        frames.push(mark.frame);
    }
}
