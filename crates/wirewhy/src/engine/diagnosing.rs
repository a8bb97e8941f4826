//! The second half of an analysis: connections, in the order in which they ended, to findings.

use std::collections::VecDeque;
use std::io;

use wirewhy_detect::{
    Diagnosis, Finding, Limits, Role, diagnose_briefly, diagnose_unopened, finds_nothing,
};
use wirewhy_flow::{Connection, Healthy, Over, Unopened};
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

    /// See [`Reporter::count_unopened`](wirewhy_report::Reporter::count_unopened).
    fn count_unopened(&mut self, attempt: &Unopened, finding: Option<&Finding>) -> bool {
        let _ = (attempt, finding);
        false
    }

    /// See [`Reporter::count_healthy`](wirewhy_report::Reporter::count_healthy).
    fn count_healthy(&mut self) -> bool {
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
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) totals: Totals,
    /// Connections that are not needed any more, the latest ones, for the tracker to take back.
    pub(super) spent: Spent,
}

/// Connections that are not needed any more.
pub(super) type Spent = Vec<wirewhy_flow::Spent>;

/// What waits for what others may show about it.
#[derive(Debug)]
pub(super) enum Waiting {
    Diagnosis(PendingDiagnosis),
    /// An attempt that nothing answered or that the server refused, and that failed.
    Unopened(Unopened),
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
            waiting: VecDeque::new(),
            totals: Totals::default(),
            spent: Spent::new(),
        }
    }

    /// Diagnoses a connection that is over.
    pub(super) fn take(&mut self, over: Over, sink: &mut dyn Sink) -> io::Result<()> {
        let connection = match over {
            Over::Connection(connection) => connection,
            Over::Unopened(ref attempt) => return self.take_unopened(attempt, sink),
            Over::Healthy(healthy) if finds_nothing(&healthy, &self.options.limits) => {
                return self.take_healthy(healthy, sink);
            }
            Over::Healthy(healthy) => healthy.connection(),
        };
        self.take_connection(connection, sink)
    }

    fn take_connection(
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
        match self.enqueue(held) {
            Some(due) => self.report_due(due, sink),
            None => Ok(()),
        }
    }

    /// Diagnoses an attempt that opened nothing.
    fn take_unopened(&mut self, attempt: &Unopened, sink: &mut dyn Sink) -> io::Result<()> {
        let limits = &self.options.limits;
        let finding = diagnose_unopened(attempt, limits);
        let by_device = |finding: &Finding| finding.culprit.role == Role::Path;
        if finding.as_ref().is_some_and(by_device) {
            return self.take_connection(attempt.connection(), sink);
        }
        self.survey.note_unopened(attempt, finding.as_ref(), limits);
        if finding.is_none() {
            return self.report_unopened(attempt, None, sink);
        }
        match self.push(Waiting::Unopened(attempt.clone())) {
            Some(due) => self.report_due(due, sink),
            None => Ok(()),
        }
    }

    /// Counts a connection that went well and in which no rule finds anything.
    fn take_healthy(&mut self, healthy: Healthy, sink: &mut dyn Sink) -> io::Result<()> {
        self.survey.note_healthy(&healthy, &self.options.limits);
        if !self.survey.may_bear_on_healthy(&healthy) && sink.count_healthy() {
            self.totals.add_healthy();
            self.keep_spent(healthy.into());
            return Ok(());
        }
        let diagnosis = Diagnosis {
            connection: healthy.connection(),
            findings: Vec::new(),
        };
        self.keep_spent(healthy.into());
        self.report(diagnosis, sink)
    }

    fn keep_spent(&mut self, spent: wirewhy_flow::Spent) {
        if self.spent.len() < SPENT {
            self.spent.push(spent);
        }
    }

    fn report_due(&mut self, due: Waiting, sink: &mut dyn Sink) -> io::Result<()> {
        match due {
            Waiting::Diagnosis(due) => self.report(due.diagnosis, sink),
            Waiting::Unopened(attempt) => {
                let finding = diagnose_unopened(&attempt, &self.options.limits);
                self.report_unopened(&attempt, finding.as_ref(), sink)
            }
        }
    }

    fn report_unopened(
        &mut self,
        attempt: &Unopened,
        finding: Option<&Finding>,
        sink: &mut dyn Sink,
    ) -> io::Result<()> {
        let limits = &self.options.limits;
        let has_failed = finding.is_some();
        if !self.survey.may_bear_on(attempt, has_failed, limits)
            && sink.count_unopened(attempt, finding)
        {
            self.totals.add_unopened(attempt, has_failed);
            return Ok(());
        }
        self.report(pending(attempt, limits).diagnosis, sink)
    }

    fn report(&mut self, due: Diagnosis, sink: &mut dyn Sink) -> io::Result<()> {
        let mut diagnosis = self.settle(due);
        let is_wordless = diagnosis.is_wordless();
        if !is_wordless || !sink.count(&diagnosis) {
            if is_wordless {
                diagnosis.put_into_words(&self.options.limits);
            }
            sink.connection(&diagnosis)?;
        }
        self.keep_spent(diagnosis.connection.into());
        Ok(())
    }

    /// Diagnoses all of these, and leaves their places empty.
    pub(super) fn take_all(&mut self, ended: &mut Ended, sink: &mut dyn Sink) -> io::Result<()> {
        ended.drain(..).try_for_each(|over| self.take(over, sink))
    }

    /// Lets a connection wait for what others may tell about it. Returns the one whose turn it is, if it is any's: itself
    /// where nothing could be told.
    pub(super) fn enqueue(&mut self, held: PendingDiagnosis) -> Option<Waiting> {
        let may_revise = Survey::may_revise(&held.diagnosis, &self.options.limits);
        let held = Waiting::Diagnosis(held);
        if !may_revise {
            return Some(held);
        }
        self.push(held)
    }

    /// Lets one wait. Returns the one whose turn it is.
    fn push(&mut self, held: Waiting) -> Option<Waiting> {
        self.waiting.push_back(held);
        if self.waiting.len() > self.options.held {
            return self.waiting.pop_front();
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
        while let Some(over) = following.tracker.next_left(&mut left) {
            self.take(over, sink)?;
            following.tracker.take_back(self.spent.drain(..));
        }
        self.settle_all(sink)
    }

    /// Settles every connection that waits.
    pub(super) fn settle_all(&mut self, sink: &mut dyn Sink) -> io::Result<()> {
        while let Some(held) = self.waiting.pop_front() {
            self.report_due(held, sink)?;
        }
        Ok(())
    }
}

impl Waiting {
    /// Since when it has waited.
    pub(super) fn since(&self) -> Timestamp {
        match self {
            Waiting::Diagnosis(held) => held.since,
            Waiting::Unopened(attempt) => attempt.observed_until,
        }
    }

    /// As the diagnosis of a connection.
    pub(super) fn into_pending(self, limits: &Limits) -> PendingDiagnosis {
        match self {
            Waiting::Diagnosis(held) => held,
            Waiting::Unopened(attempt) => pending(&attempt, limits),
        }
    }
}

/// The diagnosis of an attempt that opened nothing, as of any connection.
fn pending(attempt: &Unopened, limits: &Limits) -> PendingDiagnosis {
    PendingDiagnosis {
        diagnosis: Diagnosis {
            connection: attempt.connection(),
            findings: diagnose_unopened(attempt, limits).into_iter().collect(),
        },
        reported: Vec::new(),
        since: attempt.observed_until,
    }
}
