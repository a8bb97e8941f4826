//! One direction of a stream: bytes put in order, and read by the parser of the protocol that they are recognised as.

use crate::facts::{AppFacts, SideFacts};
use crate::out_of_order::OutOfOrder;
use crate::parser::{Progress, ReaderPosition, ReaderStage, Resume};
use crate::protocol::{Protocol, Reading};
use crate::reader::Reader;
use crate::registry::{PROTOCOLS, Recognised, find, recognise};
use crate::shared_state::SharedState;
use crate::types::{
    AppProtocol, Framing, Input, Mark, Opening, Role, Step, StreamSegment, Transport, Unreadable,
};
use crate::upgrade::plaintext::Plaintext;

/// The most bytes a direction keeps while a header is incomplete or the other direction has to come first.
const MAX_PENDING: usize = 64 * 1024;

/// One direction.
#[derive(Clone, Debug)]
pub(crate) struct Direction {
    role: Role,
    /// The first offset the parser needs and has not got: bytes before it are known or of no interest. All of a
    /// body of known length lies before it as soon as the length is known.
    need: u64,
    /// One past the last offset any segment reached.
    seen: u64,
    /// Where the stream ends.
    end: Option<u64>,
    opening: Opening,
    protocol: Option<AppProtocol>,
    inner: Option<AppProtocol>,
    /// `None` where the protocol is not recognised yet, or not again after another one ended.
    parser: Option<Reader>,
    unreadable: Option<Unreadable>,
    /// Whether the parser waits for the other direction.
    stalled: bool,
    /// Bytes before `need` that the parser could not use yet.
    pending: Vec<u8>,
    out_of_order: OutOfOrder,
    latest: Mark,
}

crate::compact!(Direction {
    role,
    need,
    seen,
    end,
    opening,
    protocol,
    inner,
    parser,
    unreadable,
    stalled,
    pending,
    out_of_order,
    latest,
});

impl Direction {
    pub(crate) fn new(role: Role) -> Direction {
        Direction {
            role,
            need: 0,
            seen: 0,
            end: None,
            opening: Opening::default(),
            protocol: None,
            inner: None,
            parser: None,
            unreadable: None,
            stalled: false,
            pending: Vec::new(),
            out_of_order: OutOfOrder::default(),
            latest: Mark::default(),
        }
    }

    /// A direction in the middle of a plaintext protocol.
    pub(crate) fn within(protocol: AppProtocol, role: Role) -> Direction {
        Direction {
            protocol: Some(protocol),
            parser: Some(Reader::Other(Box::new(Plaintext))),
            ..Direction::new(role)
        }
    }

    /// Whether a segment lies inside a body or a record, of which only the end is of interest, or in a direction of none. Then
    /// nothing else is to be done about it.
    #[inline]
    pub(crate) fn passes_over(&mut self, segment: StreamSegment<'_>) -> bool {
        let passes = segment.end < self.need && segment.at >= Opening::CAPACITY as u64;
        if passes {
            self.seen = self.seen.max(segment.end);
        }
        passes
    }

    /// Reads a segment; true where the parser continued, so that the other direction may too.
    pub(crate) fn observe(&mut self, segment: StreamSegment<'_>, shared: &mut SharedState) -> bool {
        self.seen = self.seen.max(segment.end);
        if segment.at < Opening::CAPACITY as u64 {
            self.opening.record(segment.at, segment.bytes);
        }
        if segment.end < self.need {
            return false;
        }
        let mut advanced = false;
        while segment.at > self.need {
            if self.out_of_order.keep(segment) {
                return advanced;
            }
            if !self.skip(Unreadable::Gap, shared) {
                self.stop(Unreadable::TooMuch, shared);
                return true;
            }
            advanced = true;
        }
        advanced |= self.deliver(segment, shared);
        advanced | self.deliver_kept(shared)
    }

    /// Delivers the segments that were kept and are next; true where there was any.
    fn deliver_kept(&mut self, shared: &mut SharedState) -> bool {
        let mut advanced = false;
        while let Some(piece) = self.out_of_order.take(self.need) {
            advanced |= self.deliver(piece.segment(), shared);
        }
        advanced
    }

    /// Continues without the bytes that are missing, where the parser can.
    fn skip(&mut self, reason: Unreadable, shared: &mut SharedState) -> bool {
        let parser = self.parser.as_mut();
        let Some(end) =
            parser.and_then(|parser| parser.skip(reason, self.latest, self.role, shared))
        else {
            return false;
        };
        // It cannot use them without those that are missing.
        self.pending = Vec::new();
        self.need = end;
        self.deliver_kept(shared);
        true
    }

    /// Whether bytes are missing without which the parser can continue.
    pub(crate) fn can_skip(&self) -> bool {
        let parser = self.parser.as_ref();
        self.unreadable.is_none()
            && self.seen > self.need
            && parser.is_some_and(|parser| parser.tolerates_gaps())
    }

    /// Continues without all bytes that are missing.
    pub(crate) fn skip_gaps(&mut self, shared: &mut SharedState) {
        while self.can_skip() && self.skip(Unreadable::Gap, shared) {}
    }

    /// The stream ends at this offset.
    pub(crate) fn close(&mut self, at: u64) {
        self.end.get_or_insert(at);
    }

    pub(crate) fn wants(&self) -> bool {
        let ended = self.end.is_some_and(|end| {
            // The last byte of a body or frame still has its time.
            self.need > end || self.need == end && self.skips_to() != Some(end)
        });
        let opened = self.opening.is_full() || self.end.is_some();
        !(ended || self.need == u64::MAX && opened)
    }

    /// Lets a parser continue that waited for the other direction; true where it did.
    pub(crate) fn resume(&mut self, peer: &Direction, shared: &mut SharedState) -> bool {
        if !self.stalled {
            return false;
        }
        let own = self.progress();
        let Some(parser) = &mut self.parser else {
            return false;
        };
        match parser.resume(own, peer.progress(), shared) {
            Resume::Wait => return false,
            Resume::Stop(reason) => self.stop(reason, shared),
            Resume::Continue => {
                self.stalled = false;
                self.feed(&[], self.latest, shared);
                self.deliver_kept(shared);
            }
        }
        true
    }

    /// How far it has been read.
    fn progress(&self) -> Progress {
        let stage = match &self.parser {
            None => ReaderStage::Opening,
            Some(parser) if parser.reads_framing() => ReaderStage::Framed,
            Some(_) => ReaderStage::Unframed,
        };
        Progress {
            role: self.role,
            stage,
            unreadable: self.unreadable,
            is_whole: self.is_whole(),
        }
    }

    /// Where the body or frame ends that the parser is in, if it need not see the bytes.
    fn skips_to(&self) -> Option<u64> {
        self.parser.as_ref().and_then(|parser| parser.skips_to())
    }

    /// Whether every byte up to the end of the stream was seen.
    fn is_whole(&self) -> bool {
        self.end.is_some_and(|end| self.need >= end)
    }

    /// Bytes of payload kept until they can be read.
    pub(crate) fn kept(&self) -> usize {
        let parser = self.parser.as_ref().map_or(0, |parser| parser.kept());
        self.pending.capacity() + self.out_of_order.kept() + parser
    }

    #[cfg(test)]
    pub(crate) fn retained(&self) -> usize {
        self.pending.capacity() + self.out_of_order.retained()
    }

    pub(crate) fn facts(&self, shared: &SharedState) -> SideFacts {
        let protocol = self.protocol.or_else(|| self.best_guess());
        let is_http = matches!(
            protocol,
            Some(AppProtocol::Http1Request | AppProtocol::Http1Response)
        );
        SideFacts {
            begins_with_text: is_http || self.opening.is_text(),
            protocol,
            inner: self.inner,
            framing: self.framing(shared),
            closed: self.end.is_some(),
        }
    }

    /// Adds to the facts what the parser alone knows.
    pub(crate) fn report(&self, facts: &mut AppFacts) {
        if let Some(parser) = &self.parser {
            parser.report(self.position(), facts);
        }
    }

    /// What the few bytes of a direction are that were not recognised while more could follow.
    fn best_guess(&self) -> Option<AppProtocol> {
        let bytes = if self.pending.is_empty() {
            self.opening.bytes()
        } else {
            &self.pending
        };
        let all = self.is_whole();
        recognise(&PROTOCOLS, Transport::Tcp, self.role, bytes, all).id()
    }

    fn position(&self) -> ReaderPosition {
        ReaderPosition {
            role: self.role,
            upto: self.end.unwrap_or(self.seen),
            need: self.need,
            pending: !self.pending.is_empty(),
            closed: self.end.is_some(),
            unreadable: self.unreadable,
        }
    }

    fn framing(&self, shared: &SharedState) -> Framing {
        let position = self.position();
        let reads_framing = self.parser.as_ref().map(|parser| parser.reads_framing());
        match self.unreadable {
            Some(reason) => Framing::Unknown(reason),
            None if reads_framing == Some(false) => Framing::Unknown(Unreadable::Unframed),
            None if position.upto > position.need => Framing::Unknown(Unreadable::Gap),
            None => match &self.parser {
                Some(parser) => parser.framing(position, shared),
                None if position.pending => Framing::Unknown(Unreadable::Unframed),
                None => Framing::Boundary,
            },
        }
    }

    /// Gives the parser a segment that begins at or before the byte it needs.
    fn deliver(&mut self, segment: StreamSegment<'_>, shared: &mut SharedState) -> bool {
        if segment.at < self.need
            && segment.end >= self.need
            && self.pending.is_empty()
            && let Some(parser) = &mut self.parser
        {
            parser.reached(self.need, segment.mark, self.role, shared);
        }
        if segment.end <= self.need {
            return true;
        }
        self.feed(segment.from(self.need), segment.mark, shared);
        while self.need < segment.end {
            if !self.skip(Unreadable::Cut, shared) {
                self.stop(Unreadable::Cut, shared);
            }
        }
        true
    }

    /// Gives the parser the next bytes.
    fn feed(&mut self, bytes: &[u8], mark: Mark, shared: &mut SharedState) {
        self.latest = mark;
        let fresh = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let Some(end) = self.need.checked_add(fresh) else {
            return self.stop(Unreadable::Malformed, shared);
        };
        if self.pending.is_empty() && !self.stalled {
            let position = self.read(bytes, self.need, mark, shared);
            self.keep_rest(position, end, bytes, shared);
            return;
        }
        if self.pending.len() > MAX_PENDING {
            return self.stop(Unreadable::TooMuch, shared);
        }
        let mut pending = std::mem::take(&mut self.pending);
        let start = self.need.saturating_sub(pending.len() as u64);
        pending.extend_from_slice(bytes);
        if self.stalled {
            self.need = end;
            self.pending = pending;
            return;
        }
        let position = self.read(&pending, start, mark, shared);
        if position == start {
            self.need = end;
            self.pending = pending;
        } else {
            self.keep_rest(position, end, &pending, shared);
        }
    }

    /// Keeps the bytes up to `end`, with which `bytes` end too, that the parser at `position` did not use.
    fn keep_rest(&mut self, position: u64, end: u64, bytes: &[u8], shared: &mut SharedState) {
        if self.unreadable.is_some() {
            return;
        }
        self.need = position.max(end);
        let rest = usize::try_from(end.saturating_sub(position)).unwrap_or(usize::MAX);
        let used = bytes.len().saturating_sub(rest);
        self.pending = bytes.get(used..).unwrap_or(&[]).to_vec();
        if self.pending.len() > 2 * MAX_PENDING {
            self.stop(Unreadable::TooMuch, shared);
        }
    }

    /// Reads `bytes`, the first of which is at `position`, as far as they go; the offset where the parser stands then.
    fn read(
        &mut self,
        bytes: &[u8],
        mut position: u64,
        mark: Mark,
        shared: &mut SharedState,
    ) -> u64 {
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(parser) = &mut self.parser else {
                match self.recognise(rest, shared) {
                    Recognised::As(protocol) => self.begin(Some(protocol), shared),
                    Recognised::Unknown => self.begin(None, shared),
                    Recognised::Undecided => break,
                }
                if self.unreadable.is_some() {
                    return u64::MAX;
                }
                continue;
            };
            let input = Input {
                at: position,
                bytes: rest,
                mark,
                role: self.role,
            };
            let step = parser.read(input, shared);
            match step {
                Step::To(offset) | Step::Ends(offset) => {
                    if matches!(step, Step::Ends(_)) {
                        self.parser = None;
                    }
                    let used = usize::try_from(offset.saturating_sub(position));
                    rest = used.ok().and_then(|used| rest.get(used..)).unwrap_or(&[]);
                    position = offset.max(position);
                    if rest.is_empty() {
                        // What the parser need not see may be missing from here on.
                        position = self.skips_to().unwrap_or(position).max(position);
                    }
                }
                Step::More => break,
                Step::Stall => {
                    self.stalled = true;
                    break;
                }
                Step::Unreadable(reason) => self.stop_at(reason, rest, shared),
            }
            if self.unreadable.is_some() {
                return u64::MAX;
            }
        }
        position
    }

    /// What a direction begins with; a server's first bytes may be an answer that only the question explains.
    fn recognise(&self, bytes: &[u8], shared: &SharedState) -> Recognised {
        let answers = match self.role {
            Role::Server => shared.upgrade.answers(bytes),
            Role::Client => None,
        };
        match answers.and_then(find) {
            Some(protocol) => Recognised::As(protocol),
            None => recognise(&PROTOCOLS, Transport::Tcp, self.role, bytes, false),
        }
    }

    /// The next bytes are of this protocol, or of an unknown one.
    fn begin(&mut self, protocol: Option<&'static Protocol>, shared: &mut SharedState) {
        let id = protocol.map_or(AppProtocol::Unknown, |protocol| protocol.id);
        if self.protocol.is_none() {
            self.protocol = Some(id);
        } else {
            self.inner = Some(id);
        }
        if matches!(id, AppProtocol::Ftp | AppProtocol::SmtpOrFtp) {
            shared.ftp.get_or_insert_default().learn(id);
        }
        let reading = protocol.map(|protocol| &protocol.reading);
        self.parser = reading.and_then(Reader::of);
        if self.parser.is_some() {
            return;
        }
        let dialect = match reading {
            Some(Reading::StartTls(dialect)) => Some(dialect),
            _ => None,
        };
        if shared.upgrade.begin(self.role, id, dialect) {
            self.parser = Some(Reader::Other(Box::new(Plaintext)));
        } else {
            self.stop(Unreadable::Unframed, shared);
        }
    }

    pub(crate) fn stop(&mut self, reason: Unreadable, shared: &mut SharedState) {
        let pending = std::mem::take(&mut self.pending);
        self.stop_at(reason, &pending, shared);
    }

    /// Ends reading; `unread` are the bytes the parser stood at.
    fn stop_at(&mut self, reason: Unreadable, unread: &[u8], shared: &mut SharedState) {
        if self.unreadable.is_some() {
            return;
        }
        let mut reads_framing = true;
        if let Some(parser) = &mut self.parser {
            parser.stop(self.role, unread, shared);
            reads_framing = parser.reads_framing();
        }
        // Whatever was missing of it, its framing would not have been read.
        self.unreadable = Some(if reads_framing {
            reason
        } else {
            Unreadable::Unframed
        });
        self.need = u64::MAX;
        self.stalled = false;
        self.pending = Vec::new();
        self.out_of_order.clear();
    }
}
