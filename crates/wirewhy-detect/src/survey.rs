//! What only shows over many connections, and what the recording itself could not carry.

mod attempt;
mod attempts;
mod distinct;
mod episode;
mod filter;
mod flood;
mod hellos;
mod join;
mod letters;
mod link;
mod recording;
mod sample;
mod service;
mod source;
mod stamps;
mod table;
mod tallies;

use std::hash::Hash;
use std::net::IpAddr;

use attempts::Attempts;
use foldhash::fast::FixedState;
use hellos::Hellos;
use indexmap::IndexMap;
use wirewhy_flow::{Connection, EndpointState, EventKind, Mark, Sample};
use wirewhy_packet::{Interval, MacAddr, Timestamp};

use crate::detectors::idle_timer::{self, IdleEnd};
use crate::detectors::stray_segment::Stray;
use crate::detectors::{
    after_close, client_hello_dropped, cut_short, duplicate_packets, handshake_aborted,
    idle_expired, offload, one_direction, packets_missing, peer_vanished, probe, stray_segment,
    syn_unanswered, synack_unanswered, time_backwards, truncated_packets,
};
use crate::wording::socket_of;
use crate::{Confidence, Finding, Judged, Limits, Outcome, Scope, Severity, Value};

pub use episode::{Across, Captured, Episode, Judgement, Proof, Said};
pub(crate) use flood::Recorded;
pub use link::about_link;
pub(crate) use service::{Failures, ServiceTally};
pub(crate) use source::{Scan, SourceTally, Tried};
pub use tallies::Tallies;

/// Sums over the connections of one capture.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Connections.
    pub connections: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that worked badly.
    pub degraded: u64,
    /// Those that went well.
    pub ok: u64,
    /// Those the capture shows too little of.
    pub undecided: u64,
    /// TCP packets, copies included.
    pub tcp_packets: u64,
    /// Resets.
    pub resets: u64,
    /// Retransmitted segments.
    pub retransmissions: u64,
}

impl Totals {
    /// Counts one judged connection; `tcp_packets` is the reader's to fill.
    pub fn add(&mut self, judged: &Judged) {
        let connection = &judged.connection;
        self.connections += 1;
        *match judged.outcome() {
            Outcome::Failed => &mut self.failed,
            Outcome::Degraded => &mut self.degraded,
            Outcome::Ok => &mut self.ok,
            Outcome::Undecided => &mut self.undecided,
        } += 1;
        for side in [&connection.client, &connection.server] {
            self.resets += u64::from(side.counts.resets);
            self.retransmissions += u64::from(side.counts.retransmissions);
        }
    }
}

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

/// What is known of the recording.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CaptureFaults {
    /// Where the capture came from.
    pub source: String,
    /// Frames read.
    pub frames: u64,
    /// TCP packets.
    pub tcp_packets: u64,
    /// Why reading ended early.
    pub problem: Option<String>,
    /// Packets the kernel or the file's statistics count as dropped.
    pub dropped_packets: Option<u64>,
    /// Frames earlier than the frame before.
    pub backwards: Sample,
    /// The largest such step.
    pub largest_step_back: Interval,
    /// Resets of connections that were over and no longer followed.
    pub late_resets: Sample,
    /// Frames recorded again.
    pub copies: Sample,
    /// Segments whose payload the snap length cut.
    pub cut: Sample,
    /// Segments larger than the peer accepts on the wire.
    pub offloaded: Sample,
    /// Acknowledgements of segments the capture never saw.
    pub unseen_segments: u64,
    /// The bytes of those.
    pub unseen_bytes: u64,
    /// Frames of the first such acknowledgements.
    pub unseen_frames: Vec<u64>,
    /// Conversations of which one direction only was recorded.
    pub one_sided: u64,
    /// First frames of those.
    pub one_sided_frames: Vec<u64>,
    /// Conversations recorded in both directions.
    pub two_sided: u64,
}

/// Gathers what shows only over many connections, in bounded tables: a full one forgets the half it has known longest.
#[derive(Debug, Default)]
pub struct Survey {
    probes: Recalled<(IpAddr, IpAddr, u16), Probes>,
    opened: Recalled<OpenedBy, Openings>,
    idle: Recalled<IpAddr, Vec<IdleEnd>>,
    strays: Recalled<(IpAddr, u16), Stray>,
    hellos: Hellos,
    attempts: Attempts,
    faults: CaptureFaults,
}

/// A table that is kept small by [`make_room`].
type Recalled<K, V> = IndexMap<K, V, FixedState>;

/// The connections of one source to one service that could be health checks.
#[derive(Clone, Debug)]
struct Probes {
    alike: u32,
    others: u32,
    last: Timestamp,
    shortest: Interval,
    longest: Interval,
    sum: Interval,
    frames: Vec<u64>,
}

/// What shows that two attempts are of one client: its address, or, over two address families, its link address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum OpenedBy {
    Address(IpAddr, u16),
    Link { mac: MacAddr, ipv4: bool, port: u16 },
}

/// The latest connections that opened, to be found by an attempt that raced one of them.
#[derive(Clone, Debug, Default)]
struct Openings {
    streams: Vec<u32>,
    /// When each of them began.
    starts: Vec<Timestamp>,
    /// The oldest of them, once there are as many as are kept.
    oldest: usize,
}

/// How many entries each table has.
const REMEMBERED: usize = 16_384;

/// How many packets of one side must be seen before the absence of the other means something: a handshake and a word.
const ENOUGH_TO_MISS_THE_OTHER: u64 = 3;

impl Survey {
    /// How many idle ends are remembered of one server.
    const IDLE_ENDS: usize = 1_024;

    /// Takes in one connection.
    pub fn note(&mut self, judged: &Judged, limits: &Limits) {
        let connection = &judged.connection;
        self.note_faults(connection);
        self.hellos.note(connection);
        self.attempts.note(judged, limits);
        self.note_probe(connection, limits);
        self.note_idle_end(judged, limits);
        if opened(judged) {
            self.note_opened(connection);
        }
        if let Some(stray) = Stray::of(connection) {
            make_room(&mut self.strays, &stray.client);
            self.strays.insert(stray.client, stray);
        }
    }

    /// Takes in what a connection that goes on shows of attempts that race it. It is still to be noted when it is over.
    pub fn note_going_on(&mut self, judged: &Judged) {
        self.attempts.note_going_on(judged);
        if opened(judged) {
            self.note_opened(&judged.connection);
        }
    }

    /// Whether what other connections show may bear on this one.
    #[must_use]
    pub fn may_amend(judged: &Judged, limits: &Limits) -> bool {
        !judged.findings.is_empty() || is_probe_like(&judged.connection, limits)
    }

    /// Amends the findings of a connection by what the others show.
    pub fn adjust(&self, judged: &mut Judged, limits: &Limits) {
        let one_direction = one_direction::applies(&self.faults, limits);
        let probe = self.is_probe(&judged.connection, limits);
        for finding in &mut judged.findings {
            if finding.code == client_hello_dropped::RECORD.code {
                self.hellos.amend(&judged.connection, finding);
            }
            let silence = [syn_unanswered::RECORD.code, synack_unanswered::RECORD.code];
            if one_direction && silence.contains(&finding.code) {
                finding.confidence = Confidence::Possible;
                finding
                    .summary
                    .push_str("; but most of this recording shows one direction only");
            }
            if probe && finding.severity == Severity::Note {
                finding.consequence_of = Some(probe::RECORD.code);
            }
            if finding.code != handshake_aborted::RECORD.code {
                continue;
            }
            if probe {
                finding.severity = Severity::Note;
                finding.consequence_of = Some(probe::RECORD.code);
            } else if let Some(stream) = self.was_raced(&judged.connection, limits) {
                finding.severity = Severity::Note;
                finding.facts.0.push(("winning_stream", stream.into()));
                finding
                    .summary
                    .push_str("; a parallel attempt of the same client won (happy eyeballs)");
            }
        }
        if let Some(stray) = self.stray_of(&judged.connection) {
            for finding in judged
                .findings
                .iter_mut()
                .filter(|found| found.code.starts_with("rst."))
            {
                finding.consequence_of = Some(stray_segment::RECORD.code);
            }
            judged
                .findings
                .push(stray_segment::finding(&judged.connection, stray));
        }
        if probe && let Some(found) = self.probe_finding(&judged.connection) {
            judged.findings.push(found);
        }
    }

    /// The findings beyond single connections, given what reading the capture showed.
    #[must_use]
    pub fn finish(&self, recording: CaptureFaults, limits: &Limits) -> Vec<GroupFinding> {
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
        let about_capture = [
            cut_short::find(&faults),
            packets_missing::find(&faults, limits),
            one_direction::find(&faults, limits),
            truncated_packets::find(&faults),
            duplicate_packets::find(&faults, limits),
            time_backwards::find(&faults),
            offload::find(&faults),
            after_close::late(&faults),
        ];
        let about_services = self
            .probes
            .iter()
            .filter(|(_, probes)| probes.are_steady(limits))
            .map(|((client, server, port), probes)| GroupFinding {
                scope: Scope::Service,
                subject: socket_of(*server, *port),
                finding: probes.finding(*client),
            });
        let about_timers = self.idle.iter().filter_map(|(server, ends)| {
            let finding = idle_timer::find(ends, limits)?;
            Some(GroupFinding {
                scope: Scope::Host,
                subject: server.to_string(),
                finding,
            })
        });
        let about_attempts = self
            .attempts
            .finish(one_direction::applies(&faults, limits), limits);
        let source = faults.source.clone();
        about_capture
            .into_iter()
            .flatten()
            .map(|finding| GroupFinding {
                scope: Scope::Capture,
                subject: source.clone(),
                finding,
            })
            .chain(about_services)
            .chain(about_timers)
            .chain(about_attempts)
            .collect()
    }

    /// What a survey over many captures needs to know of this one.
    #[must_use]
    pub fn tallies(&self, limits: &Limits) -> Tallies {
        self.attempts
            .tallies(one_direction::applies(&self.faults, limits), limits)
    }

    fn note_faults(&mut self, connection: &Connection) {
        let faults = &mut self.faults;
        let seen = connection
            .client
            .counts
            .packets
            .max(connection.server.counts.packets);
        if connection.is_one_sided() {
            // A packet or two between others prove no direction missing.
            if seen < ENOUGH_TO_MISS_THE_OTHER {
                return;
            }
            faults.one_sided += 1;
            keep(&mut faults.one_sided_frames, connection.first);
        } else if connection.client.was_seen() && connection.server.was_seen() {
            faults.two_sided += 1;
        }
        for event in connection.events.iter() {
            if let EventKind::Unseen { bytes } = event.kind {
                faults.unseen_segments += 1;
                faults.unseen_bytes += u64::from(bytes);
                keep(&mut faults.unseen_frames, event.mark());
            }
        }
    }

    /// A connection that did not survive an idle time: reset after it, or silent for good.
    fn note_idle_end(&mut self, judged: &Judged, limits: &Limits) {
        let idle = judged.findings.iter().find_map(|finding| {
            let codes = [idle_expired::RECORD.code, peer_vanished::RECORD.code];
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
        if ends.len() < Self::IDLE_ENDS {
            ends.push(IdleEnd {
                idle,
                frame: judged.connection.last.frame,
            });
        }
    }

    /// The stray segment that fits a connection the client keeps with another address: same client, same ports, and numbers
    /// that belong to it.
    fn stray_of(&self, connection: &Connection) -> Option<&Stray> {
        let (client, server) = (&connection.client, &connection.server);
        let (isn, next) = (server.isn?, server.next?);
        let stray = self.strays.get(&(client.address, client.port))?;
        let fits = stray.server != (server.address, server.port)
            && connection.first.time <= stray.segment.time
            && stray.segment.time <= connection.last.time
            && stray.seq.is_after(isn)
            && stray.seq.distance_from(next) <= 65_535;
        fits.then_some(stray)
    }

    fn note_opened(&mut self, connection: &Connection) {
        let (client, port) = (&connection.client, connection.server.port);
        let by_link = client.mac.map(|mac| OpenedBy::Link {
            mac,
            ipv4: client.address.is_ipv4(),
            port,
        });
        for key in [Some(OpenedBy::Address(client.address, port)), by_link]
            .into_iter()
            .flatten()
        {
            entry(&mut self.opened, key).add(connection.stream, connection.first.time);
        }
    }

    fn note_probe(&mut self, connection: &Connection, limits: &Limits) {
        let key = probe_key(connection);
        if connection.handshake.syn_ack.is_none() {
            return;
        }
        let probes = entry(&mut self.probes, key);
        if !is_probe_like(connection, limits) {
            probes.others = probes.others.saturating_add(1);
            return;
        }
        probes.add(connection.first);
    }

    fn is_probe(&self, connection: &Connection, limits: &Limits) -> bool {
        is_probe_like(connection, limits)
            && self
                .probes
                .get(&probe_key(connection))
                .is_some_and(|probes| probes.are_steady(limits))
    }

    fn probe_finding(&self, connection: &Connection) -> Option<Finding> {
        let probes = self.probes.get(&probe_key(connection))?;
        Some(probes.finding(connection.client.address))
    }

    /// The stream of a connection the same client opened to the same port at about the same time. Over two address
    /// families the link address shows that it is the same client.
    fn was_raced(&self, connection: &Connection, limits: &Limits) -> Option<u32> {
        let (client, port) = (&connection.client, connection.server.port);
        let other_family = client.mac.map(|mac| OpenedBy::Link {
            mac,
            ipv4: !client.address.is_ipv4(),
            port,
        });
        let keys = [Some(OpenedBy::Address(client.address, port)), other_family];
        keys.into_iter()
            .flatten()
            .filter_map(|key| self.opened.get(&key))
            .flat_map(Openings::oldest_first)
            .find(|(stream, start)| {
                let apart = start.since(connection.first.time).abs();
                *stream != connection.stream && apart <= limits.parallel_attempts
            })
            .map(|(stream, _)| stream)
    }
}

impl Openings {
    /// How many are kept of one client and port.
    const KEPT: usize = 32;

    fn add(&mut self, stream: u32, start: Timestamp) {
        if self.streams.contains(&stream) {
            return;
        }
        if self.streams.len() < Self::KEPT {
            self.streams.push(stream);
            self.starts.push(start);
            return;
        }
        let mut oldest = self.streams.iter_mut().zip(&mut self.starts);
        if let Some((oldest, began)) = oldest.nth(self.oldest) {
            (*oldest, *began) = (stream, start);
        }
        self.oldest = (self.oldest + 1) % Self::KEPT;
    }

    fn oldest_first(&self) -> impl Iterator<Item = (u32, Timestamp)> {
        let all = self
            .streams
            .iter()
            .copied()
            .zip(self.starts.iter().copied());
        let newer = all.clone().take(self.oldest);
        all.skip(self.oldest).chain(newer)
    }
}

impl Default for Probes {
    fn default() -> Probes {
        Probes {
            alike: 0,
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
    fn add(&mut self, first: Mark) {
        if self.alike > 0 {
            let pause = first.time.since(self.last).abs();
            self.shortest = self.shortest.min(pause);
            self.longest = self.longest.max(pause);
            self.sum = Interval(self.sum.0.saturating_add(pause.0));
        }
        self.alike = self.alike.saturating_add(1);
        self.last = first.time;
        keep(&mut self.frames, first);
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
        let pauses = i64::from(self.alike.saturating_sub(1).max(1));
        probe::finding(
            client,
            self.alike,
            Interval(self.sum.0 / pauses),
            self.frames.clone(),
        )
    }
}

/// Sees to it that a table can take one more.
fn make_room<K: Hash + Eq, V>(table: &mut Recalled<K, V>, key: &K) {
    if table.len() >= REMEMBERED && !table.contains_key(key) {
        table.drain(..REMEMBERED / 2);
    }
}

/// The entry of a key, made if need be.
fn entry<K: Hash + Eq, V: Default>(table: &mut Recalled<K, V>, key: K) -> &mut V {
    make_room(table, &key);
    table.entry(key).or_default()
}

/// Whether it opened, and stayed so at first.
fn opened(judged: &Judged) -> bool {
    let aborted = judged
        .findings
        .iter()
        .any(|found| found.code == handshake_aborted::RECORD.code);
    judged.connection.handshake.ack.is_some() && !aborted
}

fn keep(frames: &mut Vec<u64>, mark: Mark) {
    if frames.len() < Finding::MAX_FRAMES {
        frames.push(mark.frame);
    }
}

fn probe_key(connection: &Connection) -> (IpAddr, IpAddr, u16) {
    (
        connection.client.address,
        connection.server.address,
        connection.server.port,
    )
}

/// Accepted, left at once, and not a byte of payload.
fn is_probe_like(connection: &Connection, limits: &Limits) -> bool {
    let (client, server) = (&connection.client, &connection.server);
    let left = matches!(
        client.state,
        EndpointState::Closing { .. } | EndpointState::Reset
    );
    let silent = client.counts.payload_packets == 0 && server.counts.payload_packets == 0;
    let quick = connection.duration() <= limits.probe_duration;
    connection.handshake.syn_ack.is_some() && left && silent && quick
}
