//! Many captures together: a digest of each, and the summary over all.
//!
//! What is kept does not grow with the archive: services and clients are counted in bounded tables, in which the
//! large ones stay. The summary counts what single captures showed and concludes nothing that none of them showed. Captures
//! are added in the order of the results, so that equal input gives equal output whatever the number of workers.

mod digest;
mod digests;
mod html;
mod page;
mod record;
mod top;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;

use wirewhy_detect::Severity;
use wirewhy_packet::Timestamp;

use digest::{BeyondCount, CauseCount};
pub use digest::{Digest, Digester};
pub use digests::Digests;
use top::{Top, TopCount};

use crate::json::TotalsShape;
use crate::{Names, TextStyle, View};

/// How many services, clients and findings beyond a connection are kept apart over all captures.
const MOST: usize = 16_384;

/// How many lines a capture may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lines {
    /// One, however long: for searching by line.
    One,
    /// A second one where it does not fit: for reading.
    Fitting,
}

/// What of a summary is shown, and with which names.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// Names for addresses.
    pub names: &'a Names,
    /// Which causes and findings.
    pub view: &'a View,
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
    /// The captures one by one, where they are to be listed.
    listed: Option<html::Captures>,
}

/// A root cause, and a service that met it.
type Service = (String, IpAddr, u16);

/// Severity, code, scope and subject of a finding beyond one connection.
type Beyond = (u8, String, String, Option<String>);

/// How many new services are listed.
const LISTED: usize = 5;

/// What stands before a count of which a part may have been left out.
fn at_least(folded: bool) -> &'static str {
    if folded { "at least " } else { "" }
}

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

impl Cause {
    fn severity(&self) -> Severity {
        if self.failed {
            Severity::Error
        } else {
            Severity::Warning
        }
    }
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
            listed: None,
        }
    }
}

impl Archive {
    /// One that lists its captures, as a page does.
    #[must_use]
    pub fn listing() -> Archive {
        Archive {
            listed: Some(html::Captures::default()),
            ..Archive::default()
        }
    }

    /// Counts a capture.
    pub fn add(&mut self, source: &str, digest: &Digest, scanned: Scanned) {
        let known = scanned == Scanned::Before;
        if let Some(listed) = &mut self.listed {
            listed.add(source, Some(digest));
        }
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
            let tally = TopCount {
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
            let tally = TopCount {
                number: client.number,
                first: client.first,
                known,
            };
            self.clients.add(client.address, tally);
        }
        let first = digest.first_time.unwrap_or_default();
        for found in &digest.beyond {
            let BeyondCount {
                code,
                severity,
                subject,
                scope,
            } = found.clone();
            let tally = TopCount {
                number: 1,
                first,
                known: false,
            };
            self.beyond.add((severity, code, scope, subject), tally);
        }
    }

    /// Counts a file that could not be read.
    pub fn add_unreadable(&mut self, source: &str) {
        if let Some(listed) = &mut self.listed {
            listed.add(source, None);
        }
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
        style: TextStyle,
        shown: Shown<'_>,
        extent: Extent,
    ) -> io::Result<()> {
        page::write(self, out, style, shown, extent)
    }

    /// The summary as a page of HTML, with the captures in it where they are listed ([`Archive::listing`]).
    ///
    /// # Errors
    ///
    /// What `out` returns.
    pub fn write_html(
        &self,
        out: &mut dyn Write,
        shown: Shown<'_>,
        extent: Extent,
    ) -> io::Result<()> {
        html::write(self, out, shown, extent)
    }

    /// The summary as one record of a stream of records.
    ///
    /// # Errors
    ///
    /// What `out` returns.
    pub fn write_ndjson(
        &self,
        out: &mut dyn Write,
        shown: Shown<'_>,
        extent: Extent,
    ) -> io::Result<()> {
        record::write(self, out, shown, extent)
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

    /// Causes that are shown, in falling order of what they cost.
    fn ranked(&self, view: &View) -> Vec<(&str, &Cause)> {
        let mut ranked: Vec<(&str, &Cause)> = self
            .causes
            .iter()
            .map(|(code, cause)| (code.as_str(), cause))
            .filter(|(code, cause)| view.counts_code(code, cause.severity()))
            .collect();
        ranked.sort_by(|(a_code, a), (b_code, b)| {
            (b.failed, b.connections, *a_code).cmp(&(a.failed, a.connections, *b_code))
        });
        ranked
    }

    /// The services that met a cause most often.
    fn services_of(&self, code: &str, most: usize) -> Vec<(&Service, &TopCount)> {
        let mut services: Vec<(&Service, &TopCount)> = self
            .services
            .iter()
            .filter(|((cause, _, _), _)| cause == code)
            .collect();
        services.sort_by(|a, b| b.1.number.cmp(&a.1.number).then_with(|| a.0.cmp(b.0)));
        services.truncate(most);
        services
    }

    /// The findings beyond connections that are shown, in falling order of what they cost.
    fn beyond(&self, view: &View) -> Vec<(Beyond, TopCount)> {
        let mut found = self.beyond.largest(usize::MAX);
        found.retain(|((severity, code, ..), _)| {
            view.counts_code(code, digest::severity(*severity))
        });
        found.sort_by_key(|((severity, ..), tally)| std::cmp::Reverse((*severity, tally.number)));
        found
    }

    /// How many connections and findings beyond them the reader left out.
    fn hidden(&self, view: &View) -> (u64, u64) {
        let causes = self.causes.iter();
        let hidden = causes.filter(|(code, cause)| !view.counts_code(code, cause.severity()));
        let connections = hidden.map(|(_, cause)| cause.connections).sum();
        let all = self.beyond.largest(usize::MAX).len();
        let beyond = all.saturating_sub(self.beyond(view).len());
        (connections, u64::try_from(beyond).unwrap_or(u64::MAX))
    }

    /// What this scan met and no earlier one did; nothing where there was no earlier one.
    fn news(&self, view: &View) -> Option<News<'_>> {
        let before = self.before?;
        let causes: Vec<&str> = self
            .ranked(view)
            .into_iter()
            .filter(|(_, cause)| !cause.known)
            .map(|(code, _)| code)
            .collect();
        let mut services: Vec<(&Service, &TopCount)> = self
            .services
            .iter()
            .filter(|((code, ..), tally)| !tally.known && view.selection.counts(code))
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
    services: Vec<(&'a Service, &'a TopCount)>,
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
    style: TextStyle,
    source: &str,
    message: &str,
) -> io::Result<()> {
    page::write_error(out, style, source, message)
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
        style: TextStyle,
        lines: Lines,
        view: &View,
        source: &str,
    ) -> io::Result<()> {
        page::write_capture(self, out, style, (lines, view), source)
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
