//! JSON: one document a capture, or one record a line.
//!
//! The shape is that of `schema/wirewhy-1.schema.json`. A document is written as connections arrive, in the
//! order in which they began as far as some thousands of them tell, so its members `capture`, `totals` and `findings` stand
//! behind `connections`.

mod dtls;
mod encode;
mod live;
mod order;
mod quic;
mod shape;
mod tls;

use std::io::{self, Write};

use wirewhy_detect::{Diagnosis, Finding, Severity};
use wirewhy_flow::Connection;
use wirewhy_packet::Timestamp;
use wirewhy_survey::{GroupFinding, Totals};

pub(crate) use encode::encode;
use live::{LiveFindingShape, TimedGroupShape};
pub(crate) use order::Ordered;
use shape::{CaptureShape, ConnectionShape, GroupShape, Tool};
pub(crate) use shape::{Seconds, Tagged, Time, TotalsShape, ValueShape};
pub(crate) use tls::hex;

use crate::live::{LiveReporter, Status, journal_prefix};
use crate::model::shown;
use crate::{CaptureSummary, Names, Reporter, View};

/// The name of the shape; it changes when a member is removed or means something else.
pub(crate) const SCHEMA: &str = "wirewhy/1";

/// One JSON document.
#[derive(Debug)]
pub struct Json<W> {
    out: W,
    view: View,
    names: Names,
    begun: bool,
    waiting: Ordered,
}

impl<W: Write> Json<W> {
    /// A document about one capture.
    pub fn new(out: W, view: View, names: Names) -> Json<W> {
        Json {
            out,
            view,
            names,
            begun: false,
            waiting: Ordered::default(),
        }
    }

    /// Opens the document at the first connection, and sets connections apart.
    fn begin(&mut self) -> io::Result<()> {
        if self.begun {
            return self.out.write_all(b",\n");
        }
        self.begun = true;
        write!(self.out, "{{\"schema\":\"{SCHEMA}\",\n\"tool\":")?;
        encode(&mut self.out, &Tool::THIS)?;
        self.out.write_all(b",\n\"connections\":[\n")
    }

    fn record(&mut self, record: &[u8]) -> io::Result<()> {
        self.begin()?;
        self.out.write_all(record)
    }
}

impl<W: Write + Send> Reporter for Json<W> {
    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        if !self.view.shows(diagnosis) {
            return Ok(());
        }
        let mut record = Vec::new();
        encode(
            &mut record,
            &ConnectionShape::new(diagnosis, &self.view, &self.names),
        )?;
        self.waiting
            .add(&diagnosis.connection, record)
            .iter()
            .try_for_each(|record| self.record(record))
    }

    fn finish(
        &mut self,
        capture: &CaptureSummary,
        totals: &Totals,
        group: &[GroupFinding],
    ) -> io::Result<()> {
        for record in self.waiting.rest() {
            self.record(&record)?;
        }
        if self.begun {
            self.out.write_all(b"\n")?;
        } else {
            self.begin()?;
        }
        self.out.write_all(b"],\n\"capture\":")?;
        encode(&mut self.out, &CaptureShape::new(capture))?;
        self.out.write_all(b",\n\"totals\":")?;
        encode(&mut self.out, &TotalsShape::new(totals))?;
        self.out.write_all(b",\n\"findings\":[")?;
        let mut lead: &[u8] = b"\n";
        for finding in shown(group, &self.view) {
            self.out.write_all(lead)?;
            encode(&mut self.out, &GroupShape::new(finding))?;
            lead = b",\n";
        }
        self.out.write_all(b"]}\n")?;
        self.out.flush()
    }
}

/// One record a line: the connections, then findings beyond one connection, the capture and the totals.
#[derive(Debug)]
pub struct Ndjson<W> {
    out: W,
    view: View,
    names: Names,
    source: Option<String>,
    waiting: Ordered,
}

impl<W: Write> Ndjson<W> {
    /// Records about one capture or several.
    pub fn new(out: W, view: View, names: Names) -> Ndjson<W> {
        Ndjson {
            out,
            view,
            names,
            source: None,
            waiting: Ordered::default(),
        }
    }

    /// Names the capture in every record, for streams in which the records of many captures stand.
    #[must_use]
    pub fn naming(self, source: String) -> Ndjson<W> {
        Ndjson {
            source: Some(source),
            ..self
        }
    }

    /// The line of a connection, if it is shown.
    fn connection_record(&self, diagnosis: &Diagnosis) -> io::Result<Option<Vec<u8>>> {
        if !self.view.shows(diagnosis) {
            return Ok(None);
        }
        let shape = ConnectionShape::new(diagnosis, &self.view, &self.names);
        let tagged = Tagged::new("connection", &shape).about(self.source.as_deref());
        let mut record = Vec::new();
        encode(&mut record, &tagged)?;
        record.push(b'\n');
        Ok(Some(record))
    }

    fn record(&mut self, kind: &'static str, record: &impl serde::Serialize) -> io::Result<()> {
        let tagged = Tagged::new(kind, record).about(self.source.as_deref());
        encode(&mut self.out, &tagged)?;
        self.out.write_all(b"\n")
    }
}

impl<W: Write + Send> Reporter for Ndjson<W> {
    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        let Some(record) = self.connection_record(diagnosis)? else {
            return Ok(());
        };
        self.waiting
            .add(&diagnosis.connection, record)
            .iter()
            .try_for_each(|record| self.out.write_all(record))
    }

    fn finish(
        &mut self,
        capture: &CaptureSummary,
        totals: &Totals,
        group: &[GroupFinding],
    ) -> io::Result<()> {
        for record in self.waiting.rest() {
            self.out.write_all(&record)?;
        }
        let view = self.view.clone();
        for finding in shown(group, &view) {
            self.record("finding", &GroupShape::new(finding))?;
        }
        // It has its source anyway.
        encode(
            &mut self.out,
            &Tagged::new("capture", &CaptureShape::new(capture)),
        )?;
        self.out.write_all(b"\n")?;
        self.record("totals", &TotalsShape::new(totals))?;
        self.out.flush()
    }
}

/// Records as things happen: each finding the moment it is settled, each connection when it is over, at the end what
/// [`Ndjson`] says.
#[derive(Debug)]
pub struct LiveNdjson<W> {
    records: Ndjson<W>,
    least: Severity,
    /// Whether the record of a finding begins with the priority that the journal reads.
    priorities: bool,
}

impl<W: Write> LiveNdjson<W> {
    /// Nothing told yet.
    pub fn new(out: W, view: View, names: Names) -> LiveNdjson<W> {
        LiveNdjson {
            least: view.least(),
            records: Ndjson::new(out, view, names),
            priorities: false,
        }
    }

    /// For the journal of systemd: the record of a finding begins with its priority, as in sd-daemon(3), which the journal
    /// removes.
    #[must_use]
    pub fn for_journal(self) -> LiveNdjson<W> {
        LiveNdjson {
            priorities: true,
            ..self
        }
    }

    fn write_priority(&mut self, severity: Severity) -> io::Result<()> {
        let prefix = if self.priorities {
            journal_prefix(severity)
        } else {
            ""
        };
        self.records.out.write_all(prefix.as_bytes())
    }
}

impl<W: Write + Send> LiveReporter for LiveNdjson<W> {
    fn finding(
        &mut self,
        at: Timestamp,
        connection: &Connection,
        finding: &Finding,
    ) -> io::Result<()> {
        if finding.severity < self.least {
            return Ok(());
        }
        self.write_priority(finding.severity)?;
        let shape = LiveFindingShape::new(at, connection, finding, &self.records.names);
        encode(&mut self.records.out, &Tagged::new("finding", &shape))?;
        self.records.out.write_all(b"\n")
    }

    fn beyond(&mut self, at: Timestamp, found: &GroupFinding) -> io::Result<()> {
        if found.finding.severity < self.least {
            return Ok(());
        }
        self.write_priority(found.finding.severity)?;
        self.records
            .record("finding", &TimedGroupShape::new(at, found))
    }

    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        let record = self.records.connection_record(diagnosis)?;
        self.records.out.write_all(&record.unwrap_or_default())
    }

    fn pulse(&mut self, _: Timestamp, _: &Status) -> io::Result<()> {
        self.records.out.flush()
    }

    fn make_room(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(
        &mut self,
        capture: &CaptureSummary,
        totals: &Totals,
        group: &[GroupFinding],
    ) -> io::Result<()> {
        self.records.finish(capture, totals, group)
    }
}
