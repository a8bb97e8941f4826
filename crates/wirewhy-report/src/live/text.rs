//! Lines for a person: in a terminal over a status line, elsewhere with their dates.

use std::io::{self, Write};
use std::net::SocketAddr;

use wirewhy_detect::{Confidence, Diagnosis, Finding, Severity};
use wirewhy_flow::Connection;
use wirewhy_packet::{Interval, Timestamp};
use wirewhy_survey::{GroupFinding, Totals};

use super::fold::{Due, Folds};
use super::{LiveReporter, Status, journal_prefix};
use crate::style::shortened;
use crate::{CaptureSummary, Names, Reporter, Safe, Text, TextStyle, View, format};

/// Where lines of text go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Screen {
    /// A terminal whose last line can be drawn again and again.
    Terminal,
    /// A file, a pipe, or a terminal without a cursor to move.
    Lines,
    /// The journal of systemd: a line about a finding begins with its priority, as in sd-daemon(3). The lines of the summary
    /// have the default of the unit.
    Journal,
}

/// One line a finding, repetitions counted, and the report of a saved capture at the end.
#[derive(Debug)]
pub struct LiveText<W> {
    out: W,
    screen: Screen,
    look: TextStyle,
    least: Severity,
    names: Names,
    folds: Folds,
    latest: Timestamp,
    /// The status line as it stands on the screen.
    drawn: Option<String>,
    drawn_at: Timestamp,
    summary: Text<Vec<u8>>,
    view: View,
}

/// How often the status line is drawn at most.
const DRAWN_EVERY: Interval = Interval::from_millis(250);

/// Back to the first column, and away with what stands from there on.
const WIPE: &[u8] = b"\r\x1b[J";

impl<W: Write> LiveText<W> {
    /// Nothing told yet.
    pub fn new(out: W, screen: Screen, look: TextStyle, view: View, names: Names) -> LiveText<W> {
        LiveText {
            out,
            screen,
            look,
            least: view.least(),
            summary: Text::new(Vec::new(), look, view.clone(), names.clone()),
            names,
            folds: Folds::default(),
            latest: Timestamp::default(),
            drawn: None,
            drawn_at: Timestamp::default(),
            view,
        }
    }

    fn line(
        &mut self,
        at: Timestamp,
        (severity, code): (Severity, &str),
        who: &str,
        why: &str,
    ) -> io::Result<()> {
        self.make_room()?;
        let (time, width) = match self.screen {
            Screen::Terminal => (format::time_of_day(at), self.look.width),
            Screen::Lines => (format::date_time(at), usize::MAX),
            Screen::Journal => {
                self.out.write_all(journal_prefix(severity).as_bytes())?;
                (format::date_time(at), usize::MAX)
            }
        };
        let lead = format!("{time} ");
        let label = format!("{:<7}", severity.name());
        let plain = format!(" {code} {who}: {}", Safe(why));
        let room = width.saturating_sub(lead.len() + label.len());
        writeln!(
            self.out,
            "{}{}{}",
            self.look.quiet(&lead),
            self.look.severity(severity, &label),
            shortened(&plain, room)
        )
    }

    fn repeated(&mut self, now: Timestamp, due: &Due) -> io::Result<()> {
        let Due { kind, fold, span } = due;
        let who = match kind.service {
            Some(service) => self.names.socket(service.ip(), service.port()),
            None => "other services".to_owned(),
        };
        let clients = match (fold.clients.as_slice(), fold.more_clients) {
            ([one], _) => format!("from {}", self.names.host(*one)),
            (some, false) => format!("from {} clients", some.len()),
            (some, true) => format!("from more than {} clients", some.len()),
        };
        let why = format!(
            "{} more in {}, {clients}",
            format::count(fold.more),
            format::span(*span)
        );
        self.line(now, (fold.severity, kind.code), &who, &why)
    }

    fn draw(&mut self, now: Timestamp, status: &Status) -> io::Result<()> {
        let since = now.since(self.drawn_at);
        // Numbers that change faster than that are not read.
        if self.drawn.is_some() && (Interval::ZERO..DRAWN_EVERY).contains(&since) {
            return Ok(());
        }
        self.drawn_at = now;
        // The last column stays free: a terminal that wraps there would scroll.
        let line = shortened(&status.to_string(), status.columns.saturating_sub(1));
        if self.drawn.as_ref() == Some(&line) {
            return Ok(());
        }
        self.out.write_all(WIPE)?;
        self.out.write_all(self.look.quiet(&line).as_bytes())?;
        self.drawn = Some(line);
        Ok(())
    }
}

impl<W: Write> LiveReporter for LiveText<W> {
    fn finding(
        &mut self,
        at: Timestamp,
        connection: &Connection,
        finding: &Finding,
    ) -> io::Result<()> {
        self.latest = self.latest.max(at);
        if finding.severity < self.least {
            return Ok(());
        }
        let (client, server) = (&connection.client, &connection.server);
        let service = SocketAddr::new(server.address, server.port);
        let kind = (finding.code, finding.severity);
        if !self.folds.is_first(at, kind, service, client.address) {
            return Ok(());
        }
        let who = format!(
            "{} → {}",
            self.names.host(client.address),
            self.names.server(connection)
        );
        // The ends were just named: the sentence goes on from there.
        let why = finding
            .summary
            .strip_prefix(&service.to_string())
            .map_or(finding.summary.as_str(), str::trim_start);
        let why = format!("{}{why}", possibly(finding));
        self.line(at, (finding.severity, finding.code), &who, &why)
    }

    fn beyond(&mut self, at: Timestamp, found: &GroupFinding) -> io::Result<()> {
        self.latest = self.latest.max(at);
        let finding = &found.finding;
        if finding.severity < self.least {
            return Ok(());
        }
        let kind = (finding.severity, finding.code);
        let why = format!("{}{}", possibly(finding), finding.summary);
        self.line(at, kind, &found.subject, &why)
    }

    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        self.summary.connection(diagnosis)
    }

    fn pulse(&mut self, now: Timestamp, status: &Status) -> io::Result<()> {
        self.latest = self.latest.max(now);
        if self.screen == Screen::Terminal {
            self.look = TextStyle::new(status.columns, self.look.color);
        }
        for due in self.folds.due(now) {
            self.repeated(now, &due)?;
        }
        if self.screen == Screen::Terminal {
            self.draw(now, status)?;
        }
        self.out.flush()
    }

    fn make_room(&mut self) -> io::Result<()> {
        if self.drawn.take().is_some() {
            self.out.write_all(WIPE)?;
            self.out.flush()?;
        }
        Ok(())
    }

    fn finish(
        &mut self,
        capture: &CaptureSummary,
        totals: &Totals,
        group: &[GroupFinding],
    ) -> io::Result<()> {
        let now = self.latest;
        for due in self.folds.all(now) {
            self.repeated(now, &due)?;
        }
        self.make_room()?;
        let fresh = Text::new(Vec::new(), self.look, self.view.clone(), self.names.clone());
        let mut summary = std::mem::replace(&mut self.summary, fresh);
        summary.finish(capture, totals, group)?;
        self.out.write_all(b"\n")?;
        self.out.write_all(&summary.into_inner())?;
        self.out.flush()
    }
}

/// What stands before a sentence that is one of several readings.
fn possibly(finding: &Finding) -> &'static str {
    match finding.confidence {
        Confidence::Possible => "possibly: ",
        Confidence::Certain | Confidence::Likely => "",
    }
}
