//! What every reporter can be told.

use std::io;

use wirewhy_detect::Judged;
use wirewhy_survey::{GroupFinding, Totals};

use crate::CaptureSummary;

/// Turns findings into words.
///
/// Connections are told in the order they ended, then the end of the capture is told once. An error is that of the
/// writer, and ends the report.
pub trait Reporter {
    /// One connection with what was concluded about it.
    fn connection(&mut self, judged: &Judged) -> io::Result<()>;

    /// Counts a connection with findings that were not put into words, where this reporter needs none of them. Where it returns
    /// false it counted nothing: the connection comes with words then.
    fn count(&mut self, judged: &Judged) -> bool {
        let _ = judged;
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
