//! What every reporter can be told.

use std::io;

use wirewhy_detect::{Diagnosis, Finding};
use wirewhy_flow::Unopened;
use wirewhy_survey::{GroupFinding, Totals};

use crate::CaptureSummary;

/// Turns findings into words.
///
/// Connections are reported in the order they ended, then the end of the capture once. An error is that of the
/// writer, and ends the report.
pub trait Reporter: Send {
    /// One connection with what was concluded about it.
    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()>;

    /// Counts a connection with findings that were not put into words, where this reporter needs none of them. Where it returns
    /// false it counted nothing: the connection comes with words then.
    fn count(&mut self, diagnosis: &Diagnosis) -> bool {
        let _ = diagnosis;
        false
    }

    /// Counts an attempt that opened nothing, with its finding in no words, where this reporter needs no more of it. Where it
    /// returns false it counted nothing: the connection comes as others do.
    fn count_unopened(&mut self, attempt: &Unopened, finding: Option<&Finding>) -> bool {
        let _ = (attempt, finding);
        false
    }

    /// Counts a connection that went well and has no finding, where this reporter needs nothing of it. Where it returns false it
    /// counted nothing: the connection comes as others do.
    fn count_healthy(&mut self) -> bool {
        false
    }

    /// The end: the capture as a whole, and what only shows over many connections.
    fn finish(
        &mut self,
        capture: &CaptureSummary,
        totals: &Totals,
        group: &[GroupFinding],
    ) -> io::Result<()>;
}

/// Two reporters of one capture.
impl<A: Reporter, B: Reporter> Reporter for (A, B) {
    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        self.0.connection(diagnosis)?;
        self.1.connection(diagnosis)
    }

    fn finish(
        &mut self,
        capture: &CaptureSummary,
        totals: &Totals,
        group: &[GroupFinding],
    ) -> io::Result<()> {
        self.0.finish(capture, totals, group)?;
        self.1.finish(capture, totals, group)
    }
}

/// One that is not always wanted.
impl<A: Reporter> Reporter for Option<A> {
    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        self.as_mut()
            .map_or(Ok(()), |reporter| reporter.connection(diagnosis))
    }

    fn count(&mut self, diagnosis: &Diagnosis) -> bool {
        self.as_mut()
            .is_none_or(|reporter| reporter.count(diagnosis))
    }

    fn count_unopened(&mut self, attempt: &Unopened, finding: Option<&Finding>) -> bool {
        self.as_mut()
            .is_none_or(|reporter| reporter.count_unopened(attempt, finding))
    }

    fn count_healthy(&mut self) -> bool {
        self.as_mut().is_none_or(Reporter::count_healthy)
    }

    fn finish(
        &mut self,
        capture: &CaptureSummary,
        totals: &Totals,
        group: &[GroupFinding],
    ) -> io::Result<()> {
        self.as_mut()
            .map_or(Ok(()), |reporter| reporter.finish(capture, totals, group))
    }
}

/// One that is used again afterwards.
impl<A: Reporter> Reporter for &mut A {
    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        (**self).connection(diagnosis)
    }

    fn count(&mut self, diagnosis: &Diagnosis) -> bool {
        (**self).count(diagnosis)
    }

    fn count_unopened(&mut self, attempt: &Unopened, finding: Option<&Finding>) -> bool {
        (**self).count_unopened(attempt, finding)
    }

    fn count_healthy(&mut self) -> bool {
        (**self).count_healthy()
    }

    fn finish(
        &mut self,
        capture: &CaptureSummary,
        totals: &Totals,
        group: &[GroupFinding],
    ) -> io::Result<()> {
        (**self).finish(capture, totals, group)
    }
}
