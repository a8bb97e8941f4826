//! Who asked, who answered, and how long it took, without knowing the protocol: by turns.

use wirewhy_packet::Interval;

use crate::{Mark, Side};

/// The turns of a conversation in which the client asks and the server answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Exchange {
    /// The client's latest bytes, while the server has not said anything since.
    pub asked: Option<Mark>,
    /// Bytes of the client since the server's latest ones.
    pub asked_bytes: u32,
    /// How many questions were answered.
    pub answers: u32,
    /// The first answer.
    pub first: Option<Answer>,
    /// The answer that took longest.
    pub slowest: Option<Answer>,
    /// The server speaks without being asked: its silence means nothing.
    pub pushes: bool,
    /// The server spoke first.
    pub greets: bool,
    /// The client says more before it is answered: not every message of its own wants an answer.
    pub insists: bool,
    /// How long the side that closed first had sent nothing before its FIN.
    pub quiet_before_close: Option<Interval>,
}

wirewhy_protocol::compact!(Exchange {
    asked,
    asked_bytes,
    answers,
    first,
    slowest,
    pushes,
    greets,
    insists,
    quiet_before_close,
});

/// A question and the first byte of its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The latest transmission of the question's last byte.
    pub asked: Mark,
    /// The first byte of the answer.
    pub answered: Mark,
}

wirewhy_protocol::compact!(Answer { asked, answered });

impl Answer {
    /// How long the answer took, zero where time ran backwards.
    #[must_use]
    pub fn took(&self) -> Interval {
        self.answered
            .time
            .since(self.asked.time)
            .max(Interval::ZERO)
    }
}

/// A server that goes on this long after its last bytes, unasked, pushes; within it, it is still answering.
const SAME_ANSWER: Interval = Interval::from_millis(200);

impl Exchange {
    /// Takes in bytes sent by one side. `earlier` is when that side sent bytes before; `answers` is whether they acknowledge
    /// all the other side has sent.
    pub(crate) fn spoke(&mut self, from: Side, mark: Mark, earlier: Option<Mark>, answers: bool) {
        if from == Side::Client {
            let before = self.asked.replace(mark);
            self.insists |= before.is_some_and(|before| mark.time.since(before.time) > SAME_ANSWER);
            return;
        }
        // Sent before the question arrived, so it cannot answer it.
        if self.asked.is_some() && !answers {
            self.pushes = true;
            return;
        }
        self.asked_bytes = 0;
        if let Some(asked) = self.asked.take() {
            self.answers = self.answers.saturating_add(1);
            let answer = Answer {
                asked,
                answered: mark,
            };
            self.first.get_or_insert(answer);
            let slower = self
                .slowest
                .is_none_or(|slowest| answer.took() > slowest.took());
            if slower && !self.pushes {
                self.slowest = Some(answer);
            }
        } else if let Some(earlier) = earlier {
            self.pushes |= mark.time.since(earlier.time) > SAME_ANSWER;
        } else {
            self.greets = true;
        }
    }

    /// The client sent again what it had asked.
    pub(crate) fn asked_again(&mut self, mark: Mark) {
        if self.asked.is_some() {
            self.asked = Some(mark);
        }
    }
}
