//! The page of a session that listens: written when it ends.

use std::io::{self, Write};

use wirewhy_detect::{Diagnosis, Finding};
use wirewhy_flow::Connection;
use wirewhy_packet::Timestamp;
use wirewhy_survey::{GroupFinding, Totals};

use super::Html;
use crate::{CaptureSummary, LiveReporter, Reporter, Status};

/// A page of HTML about what passed while it listened.
#[derive(Debug)]
pub struct LiveHtml<'a, W>(Html<'a, W>);

impl<'a, W: Write> LiveHtml<'a, W> {
    /// One that is written with `html`.
    pub fn new(html: Html<'a, W>) -> LiveHtml<'a, W> {
        LiveHtml(html)
    }
}

impl<W: Write + Send> LiveReporter for LiveHtml<'_, W> {
    /// A connection comes with all of them when it is over.
    fn finding(&mut self, _: Timestamp, _: &Connection, _: &Finding) -> io::Result<()> {
        Ok(())
    }

    /// They come once more at the end.
    fn beyond(&mut self, _: Timestamp, _: &GroupFinding) -> io::Result<()> {
        Ok(())
    }

    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        self.0.connection(diagnosis)
    }

    fn pulse(&mut self, _: Timestamp, _: &Status) -> io::Result<()> {
        Ok(())
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
        self.0.finish(capture, totals, group)
    }
}
