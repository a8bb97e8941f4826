//! The second half of an analysis: connections, in the order in which they ended, to findings.

use std::collections::VecDeque;
use std::io;

use wirewhy_detect::{Judged, judge_briefly};
use wirewhy_flow::Connection;
use wirewhy_packet::Timestamp;
use wirewhy_survey::{Survey, Totals};

use super::EngineOptions;
use super::following::{Ended, Following};

/// What takes the connections once they are settled.
pub(super) trait Sink {
    /// One connection.
    fn connection(&mut self, judged: &Judged) -> io::Result<()>;

    /// See [`Reporter::count`](wirewhy_report::Reporter::count).
    fn count(&mut self, judged: &Judged) -> bool {
        let _ = judged;
        false
    }
}

impl<F: FnMut(&Judged) -> io::Result<()>> Sink for F {
    fn connection(&mut self, judged: &Judged) -> io::Result<()> {
        self(judged)
    }
}

/// What the connections judged so far came to, and those that wait.
#[derive(Debug)]
pub(super) struct Judging {
    pub(super) options: EngineOptions,
    pub(super) survey: Survey,
    pub(super) held: VecDeque<Held>,
    pub(super) totals: Totals,
    /// Connections that are not needed any more, the latest ones, for the tracker to take back.
    pub(super) spent: Ended,
}

/// How many connections are kept to be taken back: as many as are judged at once.
const SPENT: usize = 256;

/// A judged connection that waits for what others may tell about it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) judged: Judged,
    /// The codes of its findings that were told already.
    pub(super) told: Vec<&'static str>,
    pub(super) since: Timestamp,
}

impl Judging {
    pub(super) fn new(options: EngineOptions) -> Judging {
        Judging {
            options,
            survey: Survey::default(),
            held: VecDeque::new(),
            totals: Totals::default(),
            spent: Ended::new(),
        }
    }

    /// Judges a connection that is over.
    pub(super) fn take(
        &mut self,
        connection: Box<Connection>,
        sink: &mut dyn Sink,
    ) -> io::Result<()> {
        let judged = judge_briefly(connection, &self.options.limits, &self.options.trust);
        self.survey.note(&judged, &self.options.limits);
        let since = judged.connection.observed_until;
        let held = Held {
            judged,
            told: Vec::new(),
            since,
        };
        match self.hold(held) {
            Some(due) => self.tell(due, sink),
            None => Ok(()),
        }
    }

    fn tell(&mut self, due: Held, sink: &mut dyn Sink) -> io::Result<()> {
        let mut judged = self.settle(due.judged);
        let is_wordless = judged.is_wordless();
        if !is_wordless || !sink.count(&judged) {
            if is_wordless {
                judged.put_into_words(&self.options.limits);
            }
            sink.connection(&judged)?;
        }
        if self.spent.len() < SPENT {
            self.spent.push(judged.connection);
        }
        Ok(())
    }

    /// Judges all of these, and leaves their places empty.
    pub(super) fn take_all(&mut self, ended: &mut Ended, sink: &mut dyn Sink) -> io::Result<()> {
        ended
            .drain(..)
            .try_for_each(|connection| self.take(connection, sink))
    }

    /// Lets a connection wait for what others may tell about it. Returns the one whose turn it is, if it is any's: itself
    /// where nothing could be told.
    pub(super) fn hold(&mut self, held: Held) -> Option<Held> {
        if !Survey::may_revise(&held.judged, &self.options.limits) {
            return Some(held);
        }
        self.held.push_back(held);
        if self.held.len() > self.options.held {
            return self.held.pop_front();
        }
        None
    }

    /// What is concluded of a connection in the end.
    pub(super) fn settle(&mut self, mut judged: Judged) -> Judged {
        self.survey.revise(&mut judged, &self.options.limits);
        self.totals.add(&judged);
        judged
    }

    /// Judges what is still followed at the end, and settles every connection that waits.
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
