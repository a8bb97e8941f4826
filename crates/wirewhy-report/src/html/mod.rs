//! The report as one page of HTML, which needs nothing but itself.
//!
//! It has the entries, the order and the sentences of the text report, made of the same model; around them what only a page can
//! show: a timeline, strips of services and clients, and drawings of some connections. Without its script everything can be
//! read. Its policy lets a browser fetch nothing. Text from the wire is text in it: cleaned, escaped, and neither in a URL nor
//! in an `id`, a class, a style or a script. What is kept and what is written is bounded, whatever the recording.

mod entry;
mod live;
mod members;
mod page;
pub(crate) mod pictures;
mod policy;
mod strips;
mod table;
mod timeline;
mod times;

use std::fmt;
use std::io::{self, Write};

use wirewhy_detect::Diagnosis;
use wirewhy_survey::{GroupFinding, Totals};

use crate::model::Gathering;
use crate::{CaptureSummary, Names, PacketSource, Reporter, Safe, View};
pub(crate) use entry::{FILTER, Story};
pub use live::LiveHtml;
use members::Members;
pub(crate) use page::{document, footer, tiles_of as tiles};
pub(crate) use table::severity_badge;
use times::Times;

/// How many connections are drawn at most.
const MAX_DRAWN: usize = 50;

/// How many bytes their drawings take together at most.
const MAX_DRAWINGS: usize = 3_500_000;

/// The report as a page of HTML, written at the end.
pub struct Html<'a, W> {
    out: W,
    view: View,
    names: Names,
    packets: Box<dyn PacketSource + 'a>,
    gathering: Gathering,
    seen: Seen,
}

/// What a page shows besides the entries.
#[derive(Debug, Default)]
struct Seen {
    times: Times,
    members: Members,
}

impl<'a, W: Write> Html<'a, W> {
    /// A page about one recording. `packets` has those of the connections that are drawn.
    pub fn new(
        out: W,
        view: View,
        names: Names,
        packets: Box<dyn PacketSource + 'a>,
    ) -> Html<'a, W> {
        Html {
            out,
            gathering: Gathering::new(view.clone()),
            view,
            names,
            packets,
            seen: Seen::default(),
        }
    }
}

impl<W> fmt::Debug for Html<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Html")
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

impl Seen {
    fn add(&mut self, diagnosis: &Diagnosis, cause: Option<&'static str>) {
        self.times.add(diagnosis, cause);
        if let Some(code) = cause {
            self.members.add(diagnosis, code);
        }
    }
}

impl<W: Write + Send> Reporter for Html<'_, W> {
    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        self.gathering.add(diagnosis);
        self.seen
            .add(diagnosis, members::cause(diagnosis, &self.view));
        Ok(())
    }

    fn count(&mut self, diagnosis: &Diagnosis) -> bool {
        let cause = members::cause(diagnosis, &self.view);
        // What is drawn has words.
        let is_drawn = cause.is_some_and(|code| self.seen.members.wants(diagnosis, code));
        let counted = !is_drawn && self.gathering.count(diagnosis);
        if counted {
            self.seen.add(diagnosis, cause);
        }
        counted
    }

    fn finish(
        &mut self,
        capture: &CaptureSummary,
        totals: &Totals,
        group: &[GroupFinding],
    ) -> io::Result<()> {
        let gathering = std::mem::replace(&mut self.gathering, Gathering::new(self.view.clone()));
        let seen = std::mem::take(&mut self.seen);
        let report = gathering.into_report(capture, totals, group);
        let drawn = page::draw(
            &report,
            &seen.members,
            &mut *self.packets,
            (&self.names, &self.view),
        );
        let page = page::of(&report, (&seen, group), drawn, (&self.names, &self.view))?;
        self.out.write_all(page.as_bytes())?;
        self.out.flush()
    }
}

/// Text as it may stand in a page: without what is hidden or reorders its surroundings, and not too long.
pub(crate) fn clean(text: &str) -> String {
    Safe(text).to_string()
}
