//! JSON lines whose fields have the names of the Elastic Common Schema, version 9.3.
//!
//! ECS and not the semantic conventions of OpenTelemetry (1.38): ECS has fields for the outcome, severity and rule of an event,
//! for whole certificates and for community IDs, which those have not. Where both have a field it mostly has one name:
//! `client.address`, `error.type`, `network.transport`, `tls.cipher`. Elastic donated ECS to OpenTelemetry in 2023, and the two
//! are to converge.
//!
//! A line is one document: a finding (`event.kind` is `alert`), a connection (`event`), or the totals of the capture
//! (`metric`). What ECS has no field for is below `wirewhy`.

mod connection;
mod document;
mod tls;

use std::io::{self, Write};

use wirewhy_detect::{Diagnosis, Finding, Severity};
use wirewhy_flow::Connection;
use wirewhy_packet::Timestamp;
use wirewhy_survey::{GroupFinding, Totals};

use crate::json::{Ordered, encode};
use crate::live::{LiveReporter, Status, journal_prefix};
use crate::model::shown;
use crate::{CaptureSummary, Names, Reporter, View};
use document::Document;

/// Documents about a saved capture: of each connection its findings and then itself, then findings about more than one
/// connection, and the totals.
#[derive(Debug)]
pub struct Ecs<W> {
    out: W,
    view: View,
    names: Names,
    waiting: Ordered,
}

impl<W: Write> Ecs<W> {
    /// No documents yet.
    pub fn new(out: W, view: View, names: Names) -> Ecs<W> {
        Ecs {
            out,
            view,
            names,
            waiting: Ordered::default(),
        }
    }
}

impl<W: Write + Send> Reporter for Ecs<W> {
    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        if !self.view.shows(diagnosis) {
            return Ok(());
        }
        let connection = &diagnosis.connection;
        let mut documents = Vec::new();
        for finding in self.view.findings(&diagnosis.findings) {
            let time = connection.last.time;
            let document = Document::of_finding(time, connection, finding, &self.names);
            write_line(&mut documents, &document)?;
        }
        let document = Document::of_connection(diagnosis, &self.view, &self.names);
        write_line(&mut documents, &document)?;
        self.waiting
            .add(connection, documents)
            .iter()
            .try_for_each(|documents| self.out.write_all(documents))
    }

    fn finish(
        &mut self,
        capture: &CaptureSummary,
        totals: &Totals,
        group: &[GroupFinding],
    ) -> io::Result<()> {
        for documents in self.waiting.rest() {
            self.out.write_all(&documents)?;
        }
        write_end(&mut self.out, &self.view, (capture, totals, group))
    }
}

/// Documents as things happen: each finding when it is reported, each connection when it is over, at the end the findings
/// about more than one connection and the totals.
#[derive(Debug)]
pub struct LiveEcs<W> {
    out: W,
    view: View,
    names: Names,
    /// Whether the document of a finding begins with the priority that the journal reads.
    priorities: bool,
}

impl<W: Write> LiveEcs<W> {
    /// No documents yet.
    pub fn new(out: W, view: View, names: Names) -> LiveEcs<W> {
        LiveEcs {
            out,
            view,
            names,
            priorities: false,
        }
    }

    /// For the journal of systemd: the document of a finding begins with its priority, as in sd-daemon(3), which the journal
    /// removes.
    #[must_use]
    pub fn for_journal(self) -> LiveEcs<W> {
        LiveEcs {
            priorities: true,
            ..self
        }
    }

    /// Begins the document of a finding; `false` where it is not shown.
    fn begin(&mut self, severity: Severity) -> io::Result<bool> {
        if severity < self.view.least() {
            return Ok(false);
        }
        if self.priorities {
            self.out.write_all(journal_prefix(severity).as_bytes())?;
        }
        Ok(true)
    }
}

impl<W: Write> LiveReporter for LiveEcs<W> {
    fn finding(
        &mut self,
        at: Timestamp,
        connection: &Connection,
        finding: &Finding,
    ) -> io::Result<()> {
        if !self.begin(finding.severity)? {
            return Ok(());
        }
        let document = Document::of_finding(at, connection, finding, &self.names);
        write_line(&mut self.out, &document)
    }

    fn beyond(&mut self, at: Timestamp, found: &GroupFinding) -> io::Result<()> {
        if !self.begin(found.finding.severity)? {
            return Ok(());
        }
        write_line(&mut self.out, &Document::of_group(at, found))
    }

    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        if !self.view.shows(diagnosis) {
            return Ok(());
        }
        let document = Document::of_connection(diagnosis, &self.view, &self.names);
        write_line(&mut self.out, &document)
    }

    fn pulse(&mut self, _: Timestamp, _: &Status) -> io::Result<()> {
        self.out.flush()
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
        write_end(&mut self.out, &self.view, (capture, totals, group))
    }
}

/// The documents about more than one connection. A capture without a packet has no time, and so none.
fn write_end(
    out: &mut impl Write,
    view: &View,
    (capture, totals, group): (&CaptureSummary, &Totals, &[GroupFinding]),
) -> io::Result<()> {
    if let Some(time) = capture.last_time {
        for found in shown(group, view) {
            write_line(out, &Document::of_group(time, found))?;
        }
        write_line(out, &Document::of_totals(time, capture, totals))?;
    }
    out.flush()
}

fn write_line(out: &mut impl Write, document: &Document<'_>) -> io::Result<()> {
    encode(out, document)?;
    out.write_all(b"\n")
}
