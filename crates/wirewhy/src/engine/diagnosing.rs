//! The second half of an analysis: connections, in the order in which they ended, to findings.

use std::collections::VecDeque;
use std::io;

use wirewhy_detect::{Diagnosis, diagnose_briefly};
use wirewhy_flow::Connection;
use wirewhy_packet::Timestamp;
use wirewhy_survey::{Survey, Totals};

use super::EngineOptions;
use super::following::{Ended, Following};

/// What takes the connections once they are settled.
pub(super) trait Sink {
    /// One connection.
    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()>;

    /// See [`Reporter::count`](wirewhy_report::Reporter::count).
    fn count(&mut self, diagnosis: &Diagnosis) -> bool {
        let _ = diagnosis;
        false
    }
}

impl<F: FnMut(&Diagnosis) -> io::Result<()>> Sink for F {
    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        self(diagnosis)
    }
}

/// What the connections diagnosed so far came to, and those that wait.
#[derive(Debug)]
pub(super) struct Diagnosing {
    pub(super) options: EngineOptions,
    pub(super) survey: Survey,
    pub(super) held: VecDeque<PendingDiagnosis>,
    pub(super) totals: Totals,
    /// Connections that are not needed any more, the latest ones, for the tracker to take back.
    pub(super) spent: Ended,
}

/// How many connections are kept to be taken back: as many as are diagnosed at once.
const SPENT: usize = 256;

/// A diagnosed connection that waits for what others may show about it.
#[derive(Debug)]
pub(super) struct PendingDiagnosis {
    pub(super) diagnosis: Diagnosis,
    /// The codes of its findings that were told already.
    pub(super) reported: Vec<&'static str>,
    pub(super) since: Timestamp,
}

impl Diagnosing {
    pub(super) fn new(options: EngineOptions) -> Diagnosing {
        Diagnosing {
            options,
            survey: Survey::default(),
            held: VecDeque::new(),
            totals: Totals::default(),
            spent: Ended::new(),
        }
    }

    /// Diagnoses a connection that is over.
    pub(super) fn take(
        &mut self,
        connection: Box<Connection>,
        sink: &mut dyn Sink,
    ) -> io::Result<()> {
        let diagnosis = diagnose_briefly(connection, &self.options.limits, &self.options.trust);
        self.survey.note(&diagnosis, &self.options.limits);
        let since = diagnosis.connection.observed_until;
        let held = PendingDiagnosis {
            diagnosis,
            reported: Vec::new(),
            since,
        };
        match self.hold(held) {
            Some(due) => self.tell(due, sink),
            None => Ok(()),
        }
    }

    fn tell(&mut self, due: PendingDiagnosis, sink: &mut dyn Sink) -> io::Result<()> {
        let mut diagnosis = self.settle(due.diagnosis);
        let is_wordless = diagnosis.is_wordless();
        if !is_wordless || !sink.count(&diagnosis) {
            if is_wordless {
                diagnosis.put_into_words(&self.options.limits);
            }
            sink.connection(&diagnosis)?;
        }
        if self.spent.len() < SPENT {
            self.spent.push(diagnosis.connection);
        }
        Ok(())
    }

    /// Diagnoses all of these, and leaves their places empty.
    pub(super) fn take_all(&mut self, ended: &mut Ended, sink: &mut dyn Sink) -> io::Result<()> {
        ended
            .drain(..)
            .try_for_each(|connection| self.take(connection, sink))
    }

    /// Lets a connection wait for what others may tell about it. Returns the one whose turn it is, if it is any's: itself
    /// where nothing could be told.
    pub(super) fn hold(&mut self, held: PendingDiagnosis) -> Option<PendingDiagnosis> {
        if !Survey::may_revise(&held.diagnosis, &self.options.limits) {
            return Some(held);
        }
        self.held.push_back(held);
        if self.held.len() > self.options.held {
            return self.held.pop_front();
        }
        None
    }

    /// What is concluded of a connection in the end.
    pub(super) fn settle(&mut self, mut diagnosis: Diagnosis) -> Diagnosis {
        self.survey.revise(&mut diagnosis, &self.options.limits);
        self.totals.add(&diagnosis);
        diagnosis
    }

    /// Diagnoses what is still followed at the end, and settles every connection that waits.
    pub(super) fn take_rest(
        &mut self,
        following: &mut Following,
        sink: &mut dyn Sink,
    ) -> io::Result<()> {
        let mut left = following.tracker.end();
        while let Some(connection) = following.tracker.next_left(&mut left) {
            self.take(connection, sink)?;
            following.tracker.take_back(self.spent.drain(..));
        }
        self.settle_all(sink)
    }

    /// Settles every connection that waits.
    pub(super) fn settle_all(&mut self, sink: &mut dyn Sink) -> io::Result<()> {
        while let Some(held) = self.held.pop_front() {
            self.tell(held, sink)?;
        }
        Ok(())
    }
}
