//! Many captures together: a digest of each, and the summary over all.
//!
//! What is kept does not grow with the archive: services and clients are counted in bounded tables, in which the
//! large ones stay. Captures that lie next to one another in time are judged as one, by the detectors that judge each. What
//! is said of links (`host.address-conflict`, `arp.unanswered`) is counted only: which link a capture is of no address tells,
//! and the same private addresses are on every other one. Captures are added in the order of the results, so that equal input gives equal output whatever
//! the number of workers.

mod digest;
mod episodes;
mod page;
mod record;
mod top;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;

use wirewhy_detect::{Across, Captured, Limits, Said};
use wirewhy_packet::Timestamp;

use digest::{BeyondCount, CauseCount};
pub use digest::{Digest, Digester};
use episodes::Episodes;
use top::{Tally, Top};

use crate::json::TotalsShape;
use crate::{Look, Names};

/// How many services, clients and findings beyond a connection are told apart over all captures.
const MOST: usize = 16_384;

/// Times before this one, the begin of 1980 in nanoseconds, come from machines that do not know the time, and from tools that
/// make captures of nothing but packets.
const A_CLOCK: i64 = 315_532_800_000_000_000;

/// How many lines a capture may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lines {
    /// One, however long: for whoever searches lines.
    One,
    /// A second one where it does not fit: for whoever looks at it.
    Fitting,
}

/// When a capture was scanned, as seen from the scan that is being summed up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scanned {
    /// By an earlier scan that ended.
    Before,
    /// By this one.
    Now,
}

/// How far a scan came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// To the end of the archive.
    Whole,
    /// It was interrupted.
    Part,
}

/// Everything a summary over many captures says.
#[derive(Debug)]
pub struct Archive {
    captures: u64,
    cut_short: u64,
    unreadable: u64,
    skipped: u64,
    /// Captures of earlier scans; nothing where there was none.
    before: Option<u64>,
    packets: u64,
    bytes: u64,
    first_time: Option<i64>,
    last_time: Option<i64>,
    totals: TotalsShape,
    causes: BTreeMap<String, Cause>,
    services: Top<Service>,
    places: Top<(IpAddr, u16)>,
    clients: Top<IpAddr>,
    beyond: Top<Beyond>,
    /// Of these, what captures next to them contradict.
    contradicted: Top<Beyond>,
    episodes: Episodes,
    /// What captures show together; see [`Archive::conclude`].
    across: Vec<Across>,
}

/// A root cause, and a service that met it.
type Service = (String, IpAddr, u16);

/// Severity, code, scope and subject of a finding beyond one connection.
type Beyond = (u8, String, String, Option<String>);

/// All connections with one root cause.
#[derive(Debug)]
struct Cause {
    failed: bool,
    connections: u64,
    captures: u64,
    first: i64,
    last: i64,
    first_source: String,
    known: bool,
}

impl Default for Archive {
    fn default() -> Archive {
        Archive {
            captures: 0,
            cut_short: 0,
            unreadable: 0,
            skipped: 0,
            before: None,
            packets: 0,
            bytes: 0,
            first_time: None,
            last_time: None,
            totals: TotalsShape::default(),
            causes: BTreeMap::new(),
            services: Top::new(MOST),
            places: Top::new(MOST),
            clients: Top::new(MOST),
            beyond: Top::new(MOST),
            contradicted: Top::new(MOST),
            episodes: Episodes::default(),
            across: Vec::new(),
        }
    }
}

impl Archive {
    /// A summary whose captures are judged by these thresholds.
    #[must_use]
    pub fn new(limits: Limits) -> Archive {
        Archive {
            episodes: Episodes::new(limits),
            ..Archive::default()
        }
    }

    /// Counts a capture.
    pub fn add(&mut self, source: &str, digest: &Digest, scanned: Scanned) {
        let known = scanned == Scanned::Before;
        if known {
            *self.before.get_or_insert(0) += 1;
        }
        self.captures += 1;
        self.cut_short += u64::from(digest.problem.is_some());
        self.packets = self.packets.saturating_add(digest.packets);
        self.bytes = self.bytes.saturating_add(digest.bytes);
        self.first_time = earlier(self.first_time, digest.first_time);
        self.last_time = self.last_time.max(digest.last_time);
        self.totals.add(&digest.totals);
        for count in &digest.causes {
            self.count(source, count, known);
        }
        for service in &digest.services {
            let tally = Tally {
                number: service.number,
                first: service.first,
                known,
            };
            let (address, port) = (service.address, service.port);
            self.services
                .add((service.code.clone(), address, port), tally);
            self.places.add((address, port), tally);
        }
        for client in &digest.clients {
            let tally = Tally {
                number: client.number,
                first: client.first,
                known,
            };
            self.clients.add(client.address, tally);
        }
        let first = digest.first_time.unwrap_or_default();
        let (judged, counted): (Vec<&BeyondCount>, Vec<&BeyondCount>) =
            digest.beyond.iter().partition(|found| found.is_judged());
        for found in counted {
            self.count_beyond(found, 1, 0, first);
        }
        let last = digest.last_time.unwrap_or(first);
        let said: Vec<Said> = judged
            .into_iter()
            .filter_map(|found| found.said(time(first)))
            .collect();
        // Captures without a clock all say that they are of the same time.
        if first.min(last) < A_CLOCK {
            self.count_said(&said);
            return;
        }
        let said = self.episodes.add(Captured {
            source: source.to_owned(),
            from: time(first.min(last)),
            until: time(first.max(last)),
            size: (digest.packets, digest.bytes),
            tallies: digest.tallies.clone(),
            said,
        });
        self.count_said(&said);
    }

    /// Judges the captures that lie next to one another, by those detectors whose codes count. To be done once, when all
    /// captures are counted.
    pub fn conclude(&mut self, counts: impl Fn(&str) -> bool) {
        let said = self.episodes.finish();
        self.count_said(&said);
        let found = self.episodes.found();
        let mut across: Vec<Across> = found
            .filter(|across| counts(across.finding.code))
            .cloned()
            .collect();
        across.sort_by_key(|across| (Reverse(across.finding.severity), across.first));
        self.across = across;
    }

    fn count_said(&mut self, said: &[Said]) {
        for said in said {
            let found = BeyondCount::of(said);
            self.count_beyond(&found, said.captures, said.contradicted, said.first.0);
        }
    }

    fn count_beyond(&mut self, found: &BeyondCount, captures: u64, contradicted: u64, first: i64) {
        let BeyondCount {
            code,
            severity,
            subject,
            scope,
        } = found.clone();
        let tally = Tally {
            number: captures,
            first,
            known: false,
        };
        let key = (severity, code, scope, subject);
        if contradicted > 0 {
            let tally = Tally {
                number: contradicted,
                ..tally
            };
            self.contradicted.add(key.clone(), tally);
        }
        self.beyond.add(key, tally);
    }

    /// Counts a file that could not be read.
    pub fn add_unreadable(&mut self) {
        self.unreadable += 1;
    }

    /// Counts files that are no captures.
    pub fn add_skipped(&mut self, files: u64) {
        self.skipped += files;
    }

    /// Captures that were read, cut short or not.
    #[must_use]
    pub fn captures(&self) -> u64 {
        self.captures
    }

    /// Files that could not be read.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Files that are no captures.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The summary for a person.
    ///
    /// # Errors
    ///
    /// What `out` returns.
    pub fn write_text(
        &self,
        out: &mut dyn Write,
        look: Look,
        names: &Names,
        extent: Extent,
    ) -> io::Result<()> {
        page::write(self, out, look, names, extent)
    }

    /// The summary as one record of a stream of records.
    ///
    /// # Errors
    ///
    /// What `out` returns.
    pub fn write_ndjson(
        &self,
        out: &mut dyn Write,
        names: &Names,
        extent: Extent,
    ) -> io::Result<()> {
        record::write(self, out, names, extent)
    }

    fn count(&mut self, source: &str, count: &CauseCount, known: bool) {
        let cause = self
            .causes
            .entry(count.code.clone())
            .or_insert_with(|| Cause {
                failed: false,
                connections: 0,
                captures: 0,
                first: count.first,
                last: count.last,
                first_source: source.to_owned(),
                known: false,
            });
        cause.failed |= count.failed;
        cause.connections = cause.connections.saturating_add(count.number);
        cause.captures += 1;
        cause.known |= known;
        cause.last = cause.last.max(count.last);
        if count.first < cause.first {
            cause.first = count.first;
            cause.first_source = source.to_owned();
        }
    }

    /// Causes in falling order of what they cost.
    fn ranked(&self) -> Vec<(&str, &Cause)> {
        let mut ranked: Vec<(&str, &Cause)> = self
            .causes
            .iter()
            .map(|(code, cause)| (code.as_str(), cause))
            .collect();
        ranked.sort_by(|(a_code, a), (b_code, b)| {
            (b.failed, b.connections, *a_code).cmp(&(a.failed, a.connections, *b_code))
        });
        ranked
    }

    /// The services that met a cause most often.
    fn services_of(&self, code: &str, most: usize) -> Vec<(&Service, &Tally)> {
        let mut services: Vec<(&Service, &Tally)> = self
            .services
            .iter()
            .filter(|((cause, _, _), _)| cause == code)
            .collect();
        services.sort_by(|a, b| b.1.number.cmp(&a.1.number).then_with(|| a.0.cmp(b.0)));
        services.truncate(most);
        services
    }

    /// What this scan met and no earlier one did; nothing where there was no earlier one.
    fn news(&self) -> Option<News<'_>> {
        let before = self.before?;
        let causes: Vec<&str> = self
            .ranked()
            .into_iter()
            .filter(|(_, cause)| !cause.known)
            .map(|(code, _)| code)
            .collect();
        let mut services: Vec<(&Service, &Tally)> = self
            .services
            .iter()
            .filter(|(_, tally)| !tally.known)
            .collect();
        services.sort_by(|a, b| b.1.number.cmp(&a.1.number).then_with(|| a.0.cmp(b.0)));
        Some(News {
            captures: self.captures.saturating_sub(before),
            causes,
            services,
        })
    }
}

/// What is new since an earlier scan.
struct News<'a> {
    captures: u64,
    causes: Vec<&'a str>,
    services: Vec<(&'a Service, &'a Tally)>,
}

/// A file that could not be read, as one record of a stream of records.
///
/// # Errors
///
/// What `out` returns.
pub fn write_error_ndjson(out: &mut dyn Write, source: &str, message: &str) -> io::Result<()> {
    record::write_error(out, source, message)
}

/// A file that could not be read, as a line for a person.
///
/// # Errors
///
/// What `out` returns.
pub fn write_error_text(
    out: &mut dyn Write,
    look: Look,
    source: &str,
    message: &str,
) -> io::Result<()> {
    page::write_error(out, look, source, message)
}

impl Digest {
    /// The capture in a line for a person, or two.
    ///
    /// # Errors
    ///
    /// What `out` returns.
    pub fn write_text(
        &self,
        out: &mut dyn Write,
        look: Look,
        lines: Lines,
        source: &str,
    ) -> io::Result<()> {
        page::write_capture(self, out, look, lines, source)
    }
}

fn earlier(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn time(nanos: i64) -> Timestamp {
    Timestamp(nanos)
}
