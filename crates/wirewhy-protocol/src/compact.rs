//! What is known of a connection in few bytes, while it is idle, and read again as it was.
//!
//! Of connections of the same shape, whose values have the same variants, counts and fields that are there, all but the first
//! few are written as what differs from one of those. Numbers take as many bytes as they need. A [`Mark`] or a sequence number
//! near to one that was written before takes few. What connections share, their certificates above all, is not written but
//! referred to.

mod pack;
mod values;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use foldhash::fast::RandomState;
use wirewhy_packet::{Interval, Seq, Timestamp};

use crate::Mark;
use crate::certificate::Certificate;
use crate::http_request::Request;
use pack::{Numbers, TextList, Texts, packed, packed_texts};

/// What can be written in few bytes, and read again.
pub trait Compact: Sized {
    /// Writes it.
    fn write(&self, to: &mut CompactWriter);

    /// Reads one; `None` where the bytes hold none.
    fn read(from: &mut CompactReader<'_>) -> Option<Self>;

    /// Writes several.
    fn write_all(items: &[Self], to: &mut CompactWriter) {
        to.length(items.len());
        for item in items {
            item.write(to);
        }
    }

    /// Reads several.
    fn read_all(from: &mut CompactReader<'_>) -> Option<Vec<Self>> {
        let count = from.length()?;
        let mut items = Vec::with_capacity(count.min(MOST_FORESEEN));
        for _ in 0..count {
            items.push(Self::read(from)?);
        }
        Some(items)
    }
}

/// Room is made for no more items than this before they are read.
const MOST_FORESEEN: usize = 256;

/// Implements [`Compact`]: writes the fields of a struct one behind the other, or the number of an enum's
/// variant and its fields. What is `declined` is not written, nor what holds it.
#[macro_export]
macro_rules! compact {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::compact::Compact for $name {
            fn write(&self, to: &mut $crate::compact::CompactWriter) {
                let $name { $($field),* } = self;
                $($crate::compact::Compact::write($field, to);)*
            }

            fn read(from: &mut $crate::compact::CompactReader<'_>) -> Option<$name> {
                Some($name { $($field: $crate::compact::Compact::read(from)?),* })
            }
        }
    };
    ($name:ident ( $($field:ident),* $(,)? )) => {
        impl $crate::compact::Compact for $name {
            fn write(&self, to: &mut $crate::compact::CompactWriter) {
                let $name($($field),*) = self;
                $($crate::compact::Compact::write($field, to);)*
            }

            fn read(from: &mut $crate::compact::CompactReader<'_>) -> Option<$name> {
                $(let $field = $crate::compact::Compact::read(from)?;)*
                Some($name($($field),*))
            }
        }
    };
    ($name:ident = { $(
        $tag:literal $variant:ident $(( $($item:ident),* ))? $({ $($field:ident),* })?
    ),* $(,)? }) => {
        impl $crate::compact::Compact for $name {
            fn write(&self, to: &mut $crate::compact::CompactWriter) {
                match self {
                    $($name::$variant $(( $($item),* ))? $({ $($field),* })? => {
                        to.tag($tag);
                        $($($crate::compact::Compact::write($item, to);)*)?
                        $($($crate::compact::Compact::write($field, to);)*)?
                    })*
                }
            }

            fn read(from: &mut $crate::compact::CompactReader<'_>) -> Option<$name> {
                match from.number()? {
                    $($tag => {
                        $($(let $item = $crate::compact::Compact::read(from)?;)*)?
                        $($(let $field = $crate::compact::Compact::read(from)?;)*)?
                        Some($name::$variant $(( $($item),* ))? $({ $($field),* })?)
                    })*
                    _ => None,
                }
            }
        }
    };
    (declined $($name:ty),* $(,)?) => {$(
        impl $crate::compact::Compact for $name {
            fn write(&self, to: &mut $crate::compact::CompactWriter) {
                to.decline();
            }

            fn read(_from: &mut $crate::compact::CompactReader<'_>) -> Option<$name> {
                None
            }
        }
    )*};
}

/// What is written of a connection.
#[derive(Clone, Debug)]
pub struct Compacted {
    written: Written,
    /// What it differs from.
    base: Option<Arc<Written>>,
    /// What it refers to, in the order of the references.
    shared: Box<[SharedValue]>,
    /// Bytes of what it was the first to differ from.
    begun: usize,
}

/// Numbers, and texts behind them.
#[derive(Clone, Debug)]
struct Written {
    bytes: Box<[u8]>,
    /// Where the texts begin.
    texts: u32,
}

impl Written {
    /// `bytes` is room that may be used.
    fn of(
        numbers: &[u64],
        texts: &TextList,
        base: Option<&Written>,
        bytes: &mut Vec<u8>,
    ) -> Option<Written> {
        bytes.clear();
        packed(numbers, base.map(Written::numbers), bytes);
        let at = u32::try_from(bytes.len()).ok()?;
        packed_texts(texts, base.map(Written::texts), bytes);
        Some(Written {
            bytes: bytes.as_slice().into(),
            texts: at,
        })
    }

    fn halves(&self) -> (&[u8], &[u8]) {
        let at = usize::try_from(self.texts).unwrap_or(usize::MAX);
        self.bytes.split_at_checked(at).unwrap_or_default()
    }

    fn numbers(&self) -> Numbers<'_> {
        Numbers::new(self.halves().0)
    }

    fn texts(&self) -> Texts<'_> {
        Texts::new(self.halves().1)
    }
}

impl Compacted {
    /// Bytes of memory that it takes beside itself. What several refer to is not counted, and what several differ from is by the
    /// first of them.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.written.bytes.len() + size_of_val(&*self.shared) + self.begun
    }
}

/// What several connections may hold.
#[derive(Clone, Debug)]
enum SharedValue {
    Certificate(Arc<Certificate>),
    Bytes(Arc<[u8]>),
    Text(Arc<str>),
}

/// Where values are written to.
#[derive(Debug, Default)]
pub struct CompactWriter {
    numbers: Vec<u64>,
    texts: TextList,
    /// Room to pack them in.
    packed: Vec<u8>,
    shared: Vec<SharedValue>,
    requests: Vec<Arc<Request>>,
    known: Known,
    now: Timestamp,
    is_declined: bool,
    /// What the tags so far come to (FNV-1a over words): of two shapes that come to the same either may be the other's base.
    shape: u64,
    /// By shape: what others are written as the difference from, once two had that shape.
    bases: HashMap<u64, Option<Arc<Written>>, RandomState>,
}

/// Where they are read from.
#[derive(Debug)]
pub struct CompactReader<'a> {
    numbers: Numbers<'a>,
    base_numbers: Option<Numbers<'a>>,
    texts: Texts<'a>,
    base_texts: Option<Texts<'a>>,
    shared: std::slice::Iter<'a, SharedValue>,
    requests: Vec<Arc<Request>>,
    known: Known,
}

/// How many shapes are known at once; beyond it all are forgotten.
const SHAPES: usize = 1_024;

/// What was written before, which what follows is near to.
#[derive(Debug, Default)]
struct Known {
    marks: Vec<Mark>,
    seqs: Vec<Seq>,
}

/// How many of the latest marks are searched for one that is written again.
const MARKS: usize = 32;

/// How many of the latest sequence numbers are.
const SEQS: usize = 12;

/// A sequence number no farther than this is near.
const NEAR: u32 = 1 << 13;

impl Known {
    fn begin(&mut self, time: Timestamp) {
        self.marks.clear();
        self.seqs.clear();
        self.marks.push(Mark { frame: 0, time });
        self.seqs.push(Seq(0));
    }

    fn latest(&self) -> Mark {
        self.marks.last().copied().unwrap_or_default()
    }

    /// How many places behind the latest a mark stands that fits.
    fn find(&self, fits: impl Fn(&Mark) -> bool) -> Option<u64> {
        let marks = self.marks.iter().rev().take(MARKS);
        let at = marks.zip(0_u64..).find(|(mark, _)| fits(mark));
        at.map(|(_, back)| back)
    }

    fn mark(&self, back: u64) -> Option<Mark> {
        let back = usize::try_from(back).ok()?;
        self.marks.iter().rev().nth(back).copied()
    }

    fn seq(&self, back: u64) -> Option<Seq> {
        let back = usize::try_from(back).ok()?;
        self.seqs.iter().rev().nth(back).copied()
    }
}

impl CompactWriter {
    /// Begins anew. Times near `latest` take few bytes; `now` is the time of the capture.
    pub fn begin(&mut self, latest: Timestamp, now: Timestamp) {
        self.numbers.clear();
        self.texts.clear();
        self.shared.clear();
        self.requests.clear();
        self.known.begin(latest);
        self.now = now;
        self.is_declined = false;
        self.shape = 0xcbf2_9ce4_8422_2325;
    }

    /// What was written since it began; `None` where something cannot be.
    pub fn finish(&mut self) -> Option<Compacted> {
        self.requests.clear();
        if self.is_declined {
            return None;
        }
        let (base, is_new) = self.base();
        let begun = base.as_ref().filter(|_| is_new);
        Some(Compacted {
            written: self.written(base.as_deref())?,
            begun: begun.map_or(0, |base| base.bytes.len()),
            base,
            shared: std::mem::take(&mut self.shared).into(),
        })
    }

    fn written(&mut self, base: Option<&Written>) -> Option<Written> {
        Written::of(&self.numbers, &self.texts, base, &mut self.packed)
    }

    /// What was written before of the same shape, and whether that is what is written now: the second becomes it.
    fn base(&mut self) -> (Option<Arc<Written>>, bool) {
        if self.bases.len() >= SHAPES {
            self.bases.clear();
        }
        match self.bases.entry(self.shape) {
            Entry::Vacant(entry) => {
                entry.insert(None);
                (None, false)
            }
            Entry::Occupied(mut entry) => {
                let is_new = entry.get().is_none();
                if is_new {
                    let (numbers, texts, packed) = (&self.numbers, &self.texts, &mut self.packed);
                    let written = Written::of(numbers, texts, None, packed);
                    entry.insert(written.map(Arc::new));
                }
                (entry.get().clone(), is_new)
            }
        }
    }

    /// What is to be written cannot be.
    pub fn decline(&mut self) {
        self.is_declined = true;
    }

    /// The time of the capture.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Writes a number.
    #[inline(never)]
    pub fn number(&mut self, number: u64) {
        self.numbers.push(number);
    }

    /// Writes a number on which it depends what follows.
    #[inline(never)]
    pub fn tag(&mut self, number: u64) {
        self.shape = (self.shape ^ number).wrapping_mul(0x0100_0000_01b3);
        self.shape ^= self.shape >> 29;
        self.numbers.push(number);
    }

    /// Writes how many items follow.
    pub fn length(&mut self, length: usize) {
        self.tag(length as u64);
    }

    /// Writes bytes as they are.
    pub fn text(&mut self, bytes: &[u8]) {
        self.texts.push(bytes);
    }

    fn signed(&mut self, number: i64) {
        self.number(zigzag(number));
    }

    /// Writes a time as its distance from one that is known: in microseconds where those are whole.
    fn span(&mut self, from: Timestamp, to: Timestamp) {
        let span = to.0.wrapping_sub(from.0);
        let micros = span / 1_000;
        if micros * 1_000 == span {
            return self.number(zigzag(micros) << 1);
        }
        if span.unsigned_abs() >= 1 << 61 {
            return self.decline();
        }
        self.number(zigzag(span) << 1 | 1);
    }

    fn mark(&mut self, mark: Mark) {
        let latest = self.known.latest();
        match self.known.find(|known| *known == mark) {
            Some(back) => {
                self.number(back + 1);
                self.number(0);
                self.number(0);
            }
            None => {
                self.number(0);
                self.signed(mark.frame.wrapping_sub(latest.frame).cast_signed());
                self.span(latest.time, mark.time);
                self.known.marks.push(mark);
            }
        }
    }

    fn time(&mut self, time: Timestamp) {
        let latest = self.known.latest().time;
        match self.known.find(|known| known.time == time) {
            Some(back) => {
                self.number(back + 1);
                self.number(0);
            }
            None => {
                self.number(0);
                self.span(latest, time);
            }
        }
    }

    fn seq(&mut self, seq: Seq) {
        let mut nearest: Option<(i32, u64)> = None;
        let known = self.known.seqs.iter().rev().take(SEQS);
        for (known, back) in known.zip(0_u64..) {
            let distance = seq.distance_from(*known);
            let is_nearer =
                nearest.is_none_or(|(other, _)| distance.unsigned_abs() < other.unsigned_abs());
            if is_nearer {
                nearest = Some((distance, back));
            }
            if distance == 0 {
                break;
            }
        }
        match nearest.filter(|(distance, _)| distance.unsigned_abs() < NEAR) {
            Some((distance, back)) => {
                self.number(back + 1);
                self.signed(distance.into());
            }
            None => {
                self.number(0);
                self.number(seq.0.into());
            }
        }
        if nearest.is_none_or(|(distance, _)| distance != 0) {
            self.known.seqs.push(seq);
        }
    }

    fn share(&mut self, value: SharedValue) {
        self.shared.push(value);
    }
}

impl<'a> CompactReader<'a> {
    /// Reads what was written of a connection whose latest packet came at `latest`.
    #[must_use]
    pub fn new(compacted: &'a Compacted, latest: Timestamp) -> CompactReader<'a> {
        let mut known = Known::default();
        known.begin(latest);
        let base = compacted.base.as_deref();
        CompactReader {
            numbers: compacted.written.numbers(),
            base_numbers: base.map(Written::numbers),
            texts: compacted.written.texts(),
            base_texts: base.map(Written::texts),
            shared: compacted.shared.iter(),
            requests: Vec::new(),
            known,
        }
    }

    /// Whether all was read.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.texts.is_at_end() && self.numbers.is_at_end() && self.shared.len() == 0
    }

    /// Reads a number.
    #[inline(never)]
    pub fn number(&mut self) -> Option<u64> {
        let base = match &mut self.base_numbers {
            Some(base) => base.next(0).unwrap_or(0),
            None => 0,
        };
        self.numbers.next(base)
    }

    /// Reads how many items follow.
    pub fn length(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    /// Reads bytes that were written as they are.
    #[inline(never)]
    pub fn text(&mut self) -> Option<Vec<u8>> {
        let base = match &mut self.base_texts {
            Some(base) => base.next(&[]).unwrap_or_default(),
            None => Vec::new(),
        };
        self.texts.next(&base)
    }

    fn signed(&mut self) -> Option<i64> {
        self.number().map(unzigzag)
    }

    fn span(&mut self, from: Timestamp) -> Option<Timestamp> {
        let number = self.number()?;
        let span = unzigzag(number >> 1);
        let span = if number & 1 == 0 {
            span.checked_mul(1_000)?
        } else {
            span
        };
        Some(Timestamp(from.0.wrapping_add(span)))
    }

    fn mark(&mut self) -> Option<Mark> {
        let back = self.number()?.checked_sub(1);
        let (frame, span) = (self.signed()?, self.span(Timestamp(0))?);
        if let Some(back) = back {
            return self.known.mark(back);
        }
        let latest = self.known.latest();
        let mark = Mark {
            frame: latest.frame.wrapping_add(frame.cast_unsigned()),
            time: Timestamp(latest.time.0.wrapping_add(span.0)),
        };
        self.known.marks.push(mark);
        Some(mark)
    }

    fn time(&mut self) -> Option<Timestamp> {
        let back = self.number()?.checked_sub(1);
        let time = self.span(self.known.latest().time)?;
        match back {
            Some(back) => self.known.mark(back).map(|mark| mark.time),
            None => Some(time),
        }
    }

    fn seq(&mut self) -> Option<Seq> {
        let back = self.number()?.checked_sub(1);
        let number = self.number()?;
        let Some(back) = back else {
            let seq = Seq(u32::try_from(number).ok()?);
            self.known.seqs.push(seq);
            return Some(seq);
        };
        let distance = i32::try_from(unzigzag(number)).ok()?;
        let seq = Seq(self.known.seq(back)?.0.wrapping_add_signed(distance));
        if distance != 0 {
            self.known.seqs.push(seq);
        }
        Some(seq)
    }

    fn shared(&mut self) -> Option<&'a SharedValue> {
        self.shared.next()
    }
}

fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

impl Compact for Mark {
    fn write(&self, to: &mut CompactWriter) {
        to.mark(*self);
    }

    fn read(from: &mut CompactReader<'_>) -> Option<Mark> {
        from.mark()
    }
}

impl Compact for Timestamp {
    fn write(&self, to: &mut CompactWriter) {
        to.time(*self);
    }

    fn read(from: &mut CompactReader<'_>) -> Option<Timestamp> {
        from.time()
    }
}

impl Compact for Interval {
    fn write(&self, to: &mut CompactWriter) {
        to.span(Timestamp(0), Timestamp(self.0));
    }

    fn read(from: &mut CompactReader<'_>) -> Option<Interval> {
        from.span(Timestamp(0)).map(|span| Interval(span.0))
    }
}

impl Compact for Seq {
    fn write(&self, to: &mut CompactWriter) {
        to.seq(*self);
    }

    fn read(from: &mut CompactReader<'_>) -> Option<Seq> {
        from.seq()
    }
}

impl Compact for Arc<Certificate> {
    fn write(&self, to: &mut CompactWriter) {
        to.share(SharedValue::Certificate(Arc::clone(self)));
    }

    fn read(from: &mut CompactReader<'_>) -> Option<Arc<Certificate>> {
        match from.shared()? {
            SharedValue::Certificate(certificate) => Some(Arc::clone(certificate)),
            SharedValue::Bytes(_) | SharedValue::Text(_) => None,
        }
    }
}

impl Compact for Arc<[u8]> {
    fn write(&self, to: &mut CompactWriter) {
        to.share(SharedValue::Bytes(Arc::clone(self)));
    }

    fn read(from: &mut CompactReader<'_>) -> Option<Arc<[u8]>> {
        match from.shared()? {
            SharedValue::Bytes(bytes) => Some(Arc::clone(bytes)),
            SharedValue::Certificate(_) | SharedValue::Text(_) => None,
        }
    }
}

impl Compact for Arc<str> {
    fn write(&self, to: &mut CompactWriter) {
        to.share(SharedValue::Text(Arc::clone(self)));
    }

    fn read(from: &mut CompactReader<'_>) -> Option<Arc<str>> {
        match from.shared()? {
            SharedValue::Text(text) => Some(Arc::clone(text)),
            SharedValue::Certificate(_) | SharedValue::Bytes(_) => None,
        }
    }
}

/// One connection's own: written once, however often it is held.
impl Compact for Arc<Request> {
    fn write(&self, to: &mut CompactWriter) {
        let known = to
            .requests
            .iter()
            .rposition(|known| Arc::ptr_eq(known, self));
        match known {
            Some(at) => to.length(at + 1),
            None => {
                to.length(0);
                Compact::write(&**self, to);
                to.requests.push(Arc::clone(self));
            }
        }
    }

    fn read(from: &mut CompactReader<'_>) -> Option<Arc<Request>> {
        match from.length()?.checked_sub(1) {
            Some(at) => from.requests.get(at).cloned(),
            None => {
                let request = Arc::new(<Request as Compact>::read(from)?);
                from.requests.push(Arc::clone(&request));
                Some(request)
            }
        }
    }
}
