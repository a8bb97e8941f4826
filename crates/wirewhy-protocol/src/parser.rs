//! The one interface of all readers of a protocol.

use std::fmt::Debug;

use crate::facts::AppFacts;
use crate::shared_state::SharedState;
use crate::types::{Framing, Input, Mark, Role, Step, Unreadable};

/// Reads a protocol: bytes or datagrams go in, facts come out.
///
/// Over TCP each direction of a connection has a parser of its own, which gets the bytes of the direction in order; what
/// both directions must know is in the [`SharedState`]. Over UDP one parser reads the datagrams of both directions, one at
/// a time in the order of the capture, and each [`Input`] names its sender.
///
/// A parser has no clock: time comes with the [`Mark`] of the input. It keeps a bounded amount of memory, and whatever the
/// bytes are, it does not panic.
pub(crate) trait Parser: CloneParser + Debug + Send + Sync {
    /// Reads the next bytes, or one whole datagram.
    fn read(&mut self, input: Input<'_>, shared: &mut SharedState) -> Step;

    /// Where the body or frame ends that the parser is in, if it need not see the bytes.
    fn skips_to(&self) -> Option<u64> {
        None
    }

    /// The byte before `offset`, up to which the parser skipped, was seen.
    fn reached(&mut self, _offset: u64, _mark: Mark, _role: Role, _shared: &mut SharedState) {}

    /// Whether [`skip`](Parser::skip) may succeed.
    fn tolerates_gaps(&self) -> bool {
        false
    }

    /// Continues without bytes that the parser needs and will not see: the offset of the next ones it needs. `None` where it
    /// cannot continue.
    fn skip(
        &mut self,
        _reason: Unreadable,
        _mark: Mark,
        _role: Role,
        _shared: &mut SharedState,
    ) -> Option<u64> {
        None
    }

    /// Whether the protocol's framing is read. Where it is not, it is not known whether a direction is complete.
    fn reads_framing(&self) -> bool {
        true
    }

    /// Where the direction stands in the protocol's framing.
    fn framing(&self, position: ReaderPosition, shared: &SharedState) -> Framing;

    /// Whether a direction that waits since [`Step::Stall`] for the other one, `peer`, can continue.
    fn resume(&mut self, _own: Progress, _peer: Progress, _shared: &mut SharedState) -> Resume {
        Resume::Wait
    }

    /// Bytes of memory that the parser keeps beside itself to read on.
    fn kept(&self) -> usize {
        0
    }

    /// The direction cannot be read any further; `unread` are the bytes where the parser stood.
    fn stop(&mut self, _role: Role, _unread: &[u8], _shared: &mut SharedState) {}

    /// Adds to the facts what this parser alone knows. Called once per direction that it reads.
    fn report(&self, _position: ReaderPosition, _facts: &mut AppFacts) {}
}

/// Where a direction stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReaderPosition {
    pub(crate) role: Role,
    /// The end of the direction: where it closed, else one past the last byte seen.
    pub(crate) upto: u64,
    /// The first offset that the parser needs and has not got.
    pub(crate) need: u64,
    /// Whether bytes wait to be read.
    pub(crate) pending: bool,
    pub(crate) closed: bool,
    /// Why it is not read any further.
    pub(crate) unreadable: Option<Unreadable>,
}

/// How far a direction has been read, as far as the other direction must know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) role: Role,
    pub(crate) stage: ReaderStage,
    /// Why it is not read any further.
    pub(crate) unreadable: Option<Unreadable>,
    /// Whether every byte up to the end of the direction was seen.
    pub(crate) is_whole: bool,
}

/// What reads a direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReaderStage {
    /// Nothing yet: its protocol is not recognised.
    Opening,
    /// A parser that does not read the protocol's framing.
    Unframed,
    /// A parser that does.
    Framed,
}

/// Whether a direction that waited for the other one continues.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Resume {
    Wait,
    Continue,
    /// It never can.
    Stop(Unreadable),
}

/// Copies a parser whose type is not known.
pub(crate) trait CloneParser {
    fn clone_parser(&self) -> Box<dyn Parser>;
}

impl<T: Parser + Clone + 'static> CloneParser for T {
    fn clone_parser(&self) -> Box<dyn Parser> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Parser> {
    fn clone(&self) -> Box<dyn Parser> {
        self.as_ref().clone_parser()
    }
}
