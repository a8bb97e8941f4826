//! TLS records (RFC 8446 section 5.1): where each begins and ends, and nothing of what is inside.

use crate::reader::{Input, Step};
use crate::{Framing, Lost, Mark, Unfinished, What};

const HEADER: usize = 5;

/// The longest ciphertext of TLS 1.2 (RFC 5246 section 6.2.3); 1.3 allows less.
const MAX_LENGTH: u16 = (1 << 14) + 2048;

/// The length a record header announces; `None` where it is none.
pub(crate) fn announced(header: [u8; HEADER]) -> Option<u16> {
    let [kind, major, _, high, low] = header;
    let length = u16::from_be_bytes([high, low]);
    // change_cipher_spec to heartbeat; the version's low byte is legacy and never decides.
    ((20..=24).contains(&kind) && major == 0x03 && length <= MAX_LENGTH).then_some(length)
}

/// The records of one direction.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Reader {
    begun: Option<Mark>,
    /// The body being skipped: where it begins and ends.
    body: Option<(u64, u64)>,
}

impl Reader {
    pub(crate) fn new() -> Reader {
        Reader::default()
    }

    pub(crate) fn read(&mut self, input: Input<'_>) -> Step {
        if let Some((_, end)) = self.body
            && input.at >= end
        {
            *self = Reader::default();
        }
        self.begun.get_or_insert(input.mark);
        let Some((header, _)) = input.bytes.split_first_chunk::<HEADER>() else {
            return Step::More;
        };
        let Some(length) = announced(*header) else {
            return Step::Lost(Lost::Malformed);
        };
        let start = input.after(HEADER);
        let Some(end) = start.checked_add(u64::from(length)) else {
            return Step::Lost(Lost::Malformed);
        };
        if end <= input.end() {
            self.begun = None;
        } else {
            self.body = Some((start, end));
        }
        Step::To(end)
    }

    pub(crate) fn framing(&self, upto: u64) -> Framing {
        let Some(begun) = self.begun else {
            return Framing::Boundary;
        };
        let what = match self.body {
            Some((_, end)) if upto >= end => return Framing::Boundary,
            Some((start, end)) => What::TlsRecord {
                announced: end - start,
                received: upto.saturating_sub(start),
            },
            None => What::Header,
        };
        Framing::Inside(Unfinished { what, begun })
    }
}
