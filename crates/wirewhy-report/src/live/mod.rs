//! What is reported while connections go on: a line the moment something is known, and how things stand.

mod fold;
mod text;

use std::fmt;
use std::io;

use wirewhy_detect::{Diagnosis, Finding, Severity};
use wirewhy_flow::Connection;
use wirewhy_packet::Timestamp;
use wirewhy_survey::{GroupFinding, Totals};

use crate::{CaptureSummary, format};
pub use text::{LiveText, Screen};

/// Turns findings into words as they come.
///
/// An error is that of the writer, and ends the report.
pub trait LiveReporter {
    /// A finding about a connection, which may go on.
    ///
    /// # Errors
    ///
    /// That of the writer.
    fn finding(
        &mut self,
        at: Timestamp,
        connection: &Connection,
        finding: &Finding,
    ) -> io::Result<()>;

    /// A finding about a host or a service.
    ///
    /// # Errors
    ///
    /// That of the writer.
    fn beyond(&mut self, at: Timestamp, found: &GroupFinding) -> io::Result<()>;

    /// A connection that is over, with everything concluded about it.
    ///
    /// # Errors
    ///
    /// That of the writer.
    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()>;

    /// Called several times a second: tells what was folded long enough, shows how things stand, and hands everything on.
    ///
    /// # Errors
    ///
    /// That of the writer.
    fn pulse(&mut self, now: Timestamp, status: &Status) -> io::Result<()>;

    /// Makes room for a line of another writer on the same terminal.
    ///
    /// # Errors
    ///
    /// That of the writer.
    fn make_room(&mut self) -> io::Result<()>;

    /// The end.
    ///
    /// # Errors
    ///
    /// That of the writer.
    fn finish(
        &mut self,
        capture: &CaptureSummary,
        totals: &Totals,
        group: &[GroupFinding],
    ) -> io::Result<()>;
}

/// What the journal of systemd reads at the beginning of a line and removes: the priority of sd-daemon(3).
pub(crate) fn journal_prefix(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "<3>",
        Severity::Warning => "<4>",
        Severity::Note => "<5>",
    }
}

/// How things stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// Packets seen.
    pub packets: u64,
    /// Connections being followed.
    pub following: u64,
    /// Connections that failed.
    pub failed: u64,
    /// Packets the kernel or the interface dropped.
    pub dropped: u64,
    /// Connections given up because the table was full.
    pub given_up: u64,
    /// Memory held, in bytes, where the system tells.
    pub memory: Option<u64>,
    /// Columns of the terminal now; it may have been resized.
    pub columns: usize,
}

/// In one line.
impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}, {}, {} failed, {} dropped",
            format::counted(self.packets, "packet"),
            format::counted(self.following, "connection"),
            format::count(self.failed),
            format::count(self.dropped),
        )?;
        if self.given_up > 0 {
            write!(formatter, ", {} given up", format::count(self.given_up))?;
        }
        match self.memory {
            Some(memory) => write!(formatter, ", {}", format::size(memory)),
            None => Ok(()),
        }
    }
}
