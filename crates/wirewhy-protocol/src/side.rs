//! One direction: bytes put in order and given to the reader of whatever protocol they turn out to be.

use crate::conversation::Dialogue;
use crate::held::Held;
use crate::reader::{Input, Reader, Step};
use crate::streams::Streams;
use crate::tls::Incomplete;
use crate::{Framing, Lost, Mark, Opening, SideFacts, Speech, speech};

/// The most bytes a direction keeps while a header is incomplete or the other direction has to come first.
const MAX_PENDING: usize = 64 * 1024;

/// Which direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Client,
    Server,
}

/// A stretch of a stream: `bytes` from `at` on, and unseen ones up to `end` where the snap length cut them.
#[derive(Clone, Copy)]
pub(crate) struct Segment<'a> {
    pub(crate) at: u64,
    pub(crate) end: u64,
    pub(crate) bytes: &'a [u8],
    pub(crate) mark: Mark,
}

impl<'a> Segment<'a> {
    pub(crate) fn new(at: u64, bytes: &'a [u8], wire_len: u32, mark: Mark) -> Segment<'a> {
        let captured = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Segment {
            at,
            end: at.saturating_add(captured.max(u64::from(wire_len))),
            bytes,
            mark,
        }
    }

    /// The captured bytes from `offset` on.
    fn from(self, offset: u64) -> &'a [u8] {
        let skip = usize::try_from(offset.saturating_sub(self.at)).unwrap_or(usize::MAX);
        self.bytes.get(skip..).unwrap_or(&[])
    }
}

/// One direction.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Side {
    role: Role,
    /// The first offset the reader has not been given and does need: bytes before it are known or of no interest. All of a
    /// body of known length lies before it as soon as the length is known.
    need: u64,
    /// One past the last offset any segment reached.
    seen: u64,
    /// Where the stream ends.
    end: Option<u64>,
    opening: Opening,
    speaks: Option<Speech>,
    inner: Option<Speech>,
    reader: Reader,
    lost: Option<Lost>,
    /// Whether the reader waits for the other direction.
    stalled: bool,
    /// Bytes before `need` that the reader could not use yet.
    pending: Vec<u8>,
    held: Held,
    latest: Mark,
}

impl Side {
    pub(crate) fn new(role: Role) -> Side {
        Side {
            role,
            need: 0,
            seen: 0,
            end: None,
            opening: Opening::default(),
            speaks: None,
            inner: None,
            reader: Reader::Opening,
            lost: None,
            stalled: false,
            pending: Vec::new(),
            held: Held::default(),
            latest: Mark::default(),
        }
    }

    /// Takes a segment; true where the reader went on, so that the other direction may too.
    pub(crate) fn observe(&mut self, segment: Segment<'_>, dialogue: &mut Dialogue) -> bool {
        self.seen = self.seen.max(segment.end);
        if segment.at < Opening::CAPACITY as u64 {
            self.opening.record(segment.at, segment.bytes);
        }
        // The hot path: inside a body or a record, or a direction of no interest.
        if segment.end < self.need {
            return false;
        }
        let mut advanced = false;
        while segment.at > self.need {
            if self.held.keep(segment) {
                return advanced;
            }
            if !self.skip(Lost::Gap, dialogue) {
                self.lose(Lost::TooMuch, dialogue);
                return true;
            }
            advanced = true;
        }
        advanced |= self.deliver(segment, dialogue);
        advanced | self.deliver_held(dialogue)
    }

    /// Delivers what was held and is next; true where there was any.
    fn deliver_held(&mut self, dialogue: &mut Dialogue) -> bool {
        let mut advanced = false;
        while let Some(piece) = self.held.take(self.need) {
            advanced |= self.deliver(piece.segment(), dialogue);
        }
        advanced
    }

    /// Goes on without the bytes that are missing, where the reader can.
    fn skip(&mut self, lost: Lost, dialogue: &mut Dialogue) -> bool {
        let Some(end) = self.reader.skip(lost, self.latest, self.role, dialogue) else {
            return false;
        };
        self.need = end;
        self.deliver_held(dialogue);
        true
    }

    /// Whether bytes are missing without which the reader can go on.
    pub(crate) fn can_skip(&self) -> bool {
        self.lost.is_none() && self.seen > self.need && matches!(self.reader, Reader::Tls(_))
    }

    /// Goes on without all bytes that are missing.
    pub(crate) fn skip_gaps(&mut self, dialogue: &mut Dialogue) {
        while self.can_skip() && self.skip(Lost::Gap, dialogue) {}
    }

    /// Why what this side says in TLS cannot be followed to its end, and the record it stops in.
    pub(crate) fn tls_end(&self) -> (Option<Lost>, Option<Incomplete>) {
        let Reader::Tls(reader) = &self.reader else {
            return (None, None);
        };
        let upto = self.end.unwrap_or(self.seen);
        match self.lost {
            Some(lost) => (Some(lost), None),
            None if upto > self.need && reader.skips_to().is_none() => (Some(Lost::Gap), None),
            None => (None, reader.incomplete(upto)),
        }
    }

    /// The stream ends at this offset.
    pub(crate) fn close(&mut self, at: u64) {
        self.end.get_or_insert(at);
    }

    pub(crate) fn wants(&self) -> bool {
        let ended = self.end.is_some_and(|end| {
            // The last byte of a body or frame still tells when it came.
            self.need > end || self.need == end && self.reader.skips_to() != Some(end)
        });
        let opened = self.opening.is_full() || self.end.is_some();
        !(ended || self.need == u64::MAX && opened)
    }

    /// Lets a reader go on that waited for the other direction; true where it did.
    pub(crate) fn resume(&mut self, peer: &Side, dialogue: &mut Dialogue) -> bool {
        if !self.stalled {
            return false;
        }
        if self.reader == Reader::Plain {
            return self.resume_plain(peer, dialogue);
        }
        let ready = match self.role {
            Role::Client => dialogue.exchanges.tunnel_decided() || !peer.answers_readably(),
            Role::Server => {
                dialogue.exchanges.is_waiting() || !peer.may_request() || self.is_whole()
            }
        };
        if !ready {
            return false;
        }
        self.stalled = false;
        if self.role == Role::Server && !dialogue.exchanges.is_waiting() {
            // A client that speaks something else cannot have sent HEAD; one that was lost can.
            match peer.lost {
                Some(Lost::Unframed) | None => dialogue.exchanges.answer_unasked(),
                Some(_) => {
                    self.lose(Lost::RequestUnseen, dialogue);
                    return true;
                }
            }
        }
        if self.role == Role::Client && !dialogue.exchanges.tunnel_decided() {
            self.lose(Lost::Unframed, dialogue);
            return true;
        }
        self.feed(&[], self.latest, dialogue);
        self.deliver_held(dialogue);
        true
    }

    /// Lets a direction go on that waited for a word on TLS.
    fn resume_plain(&mut self, peer: &Side, dialogue: &mut Dialogue) -> bool {
        let never = peer.lost.is_some() || !matches!(peer.reader, Reader::Plain | Reader::Opening);
        if !dialogue.upgrade.is_ready(self.role) {
            if never {
                self.lose(Lost::Unframed, dialogue);
            }
            return never;
        }
        self.stalled = false;
        self.feed(&[], self.latest, dialogue);
        self.deliver_held(dialogue);
        true
    }

    /// Whether this direction, the server's, has said nothing yet or something that answers requests.
    pub(crate) fn answers_readably(&self) -> bool {
        self.lost.is_none() && self.reader != Reader::Plain
    }

    /// Whether this direction, the client's, may still bring a request.
    fn may_request(&self) -> bool {
        self.lost.is_none() && self.reader != Reader::Plain && !self.is_whole()
    }

    /// Whether every byte up to the end of the stream was seen.
    fn is_whole(&self) -> bool {
        self.end.is_some_and(|end| self.need >= end)
    }

    #[cfg(test)]
    pub(crate) fn retained(&self) -> usize {
        self.pending.capacity() + self.held.retained()
    }

    pub(crate) fn facts(&self, streams: &Streams) -> SideFacts {
        SideFacts {
            opening: self.opening,
            speaks: self.speaks.or_else(|| self.best_guess()),
            inner: self.inner,
            framing: self.framing(streams),
            closed: self.end.is_some(),
        }
    }

    /// What the few bytes of a direction are that its reader has not recognised.
    fn best_guess(&self) -> Option<Speech> {
        let bytes = if self.pending.is_empty() {
            self.opening.bytes()
        } else {
            &self.pending
        };
        speech::recognise(bytes, self.is_whole())
    }

    fn framing(&self, streams: &Streams) -> Framing {
        if let Some(lost) = self.lost {
            return Framing::Unknown(lost);
        }
        if self.reader == Reader::Plain {
            return Framing::Unknown(Lost::Unframed);
        }
        let upto = self.end.unwrap_or(self.seen);
        if upto > self.need {
            return Framing::Unknown(Lost::Gap);
        }
        let framing = self
            .reader
            .framing(upto, !self.pending.is_empty(), self.end.is_some());
        match (&self.reader, framing) {
            (Reader::Http2(_), Framing::Boundary) => streams.framing(self.role),
            (_, framing) => framing,
        }
    }

    /// Gives the reader a segment that begins at or before the byte it needs.
    fn deliver(&mut self, segment: Segment<'_>, dialogue: &mut Dialogue) -> bool {
        if segment.at < self.need && segment.end >= self.need && self.pending.is_empty() {
            self.reader
                .reached(self.need, segment.mark, self.role, dialogue);
        }
        if segment.end <= self.need {
            return true;
        }
        self.feed(segment.from(self.need), segment.mark, dialogue);
        while self.need < segment.end {
            if !self.skip(Lost::Cut, dialogue) {
                self.lose(Lost::Cut, dialogue);
            }
        }
        true
    }

    /// Gives the reader the next bytes.
    fn feed(&mut self, bytes: &[u8], mark: Mark, dialogue: &mut Dialogue) {
        self.latest = mark;
        let fresh = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let Some(end) = self.need.checked_add(fresh) else {
            return self.lose(Lost::Malformed, dialogue);
        };
        if self.pending.is_empty() && !self.stalled {
            let position = self.read(bytes, self.need, mark, dialogue);
            self.keep_rest(position, end, bytes, dialogue);
            return;
        }
        if self.pending.len() > MAX_PENDING {
            return self.lose(Lost::TooMuch, dialogue);
        }
        let mut pending = std::mem::take(&mut self.pending);
        let start = self.need.saturating_sub(pending.len() as u64);
        pending.extend_from_slice(bytes);
        if self.stalled {
            self.need = end;
            self.pending = pending;
            return;
        }
        let position = self.read(&pending, start, mark, dialogue);
        if position == start {
            self.need = end;
            self.pending = pending;
        } else {
            self.keep_rest(position, end, &pending, dialogue);
        }
    }

    /// Keeps the bytes up to `end`, with which `bytes` end too, that the reader at `position` did not use.
    fn keep_rest(&mut self, position: u64, end: u64, bytes: &[u8], dialogue: &mut Dialogue) {
        if self.lost.is_some() {
            return;
        }
        self.need = position.max(end);
        let rest = usize::try_from(end.saturating_sub(position)).unwrap_or(usize::MAX);
        let used = bytes.len().saturating_sub(rest);
        self.pending = bytes.get(used..).unwrap_or(&[]).to_vec();
        if self.pending.len() > 2 * MAX_PENDING {
            self.lose(Lost::TooMuch, dialogue);
        }
    }

    /// Reads `bytes`, the first of which is at `position`, as far as they go; the offset where the reader stands then.
    fn read(
        &mut self,
        bytes: &[u8],
        mut position: u64,
        mark: Mark,
        dialogue: &mut Dialogue,
    ) -> u64 {
        let mut rest = bytes;
        while !rest.is_empty() {
            let input = Input {
                at: position,
                bytes: rest,
                mark,
                role: self.role,
            };
            match self.reader.read(input, dialogue) {
                Step::To(offset) => {
                    let used = usize::try_from(offset.saturating_sub(position));
                    rest = used.ok().and_then(|used| rest.get(used..)).unwrap_or(&[]);
                    position = offset.max(position);
                    if rest.is_empty() {
                        // What the reader need not see may be missing from here on.
                        position = self.reader.skips_to().unwrap_or(position).max(position);
                    }
                }
                Step::Speaks(speech) => self.speaks(speech, dialogue),
                Step::More => break,
                Step::Stall => {
                    self.stalled = true;
                    break;
                }
                Step::Lost(lost) => self.give_up(lost, rest, dialogue),
            }
            if self.lost.is_some() {
                return u64::MAX;
            }
        }
        position
    }

    fn speaks(&mut self, speech: Speech, dialogue: &mut Dialogue) {
        if self.speaks.is_none() {
            self.speaks = Some(speech);
        } else {
            self.inner = Some(speech);
        }
        match Reader::of(speech) {
            Some(reader) => self.reader = reader,
            None if dialogue.upgrade.begin(self.role, speech) => self.reader = Reader::Plain,
            None => self.lose(Lost::Unframed, dialogue),
        }
    }

    fn lose(&mut self, lost: Lost, dialogue: &mut Dialogue) {
        let pending = std::mem::take(&mut self.pending);
        self.give_up(lost, &pending, dialogue);
    }

    /// Ends reading; `unread` are the bytes the reader stood at.
    fn give_up(&mut self, lost: Lost, unread: &[u8], dialogue: &mut Dialogue) {
        if self.lost.is_some() {
            return;
        }
        self.reader.give_up(self.role, unread, dialogue);
        // Whatever was missing of it, its framing would not have been read.
        self.lost = match self.reader {
            Reader::Plain => Some(Lost::Unframed),
            _ => Some(lost),
        };
        self.need = u64::MAX;
        self.stalled = false;
        self.pending = Vec::new();
        self.held.clear();
    }
}
