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

    /// The byte before `offset`, up to which the reader skipped, was seen.
    pub(crate) fn reached(&mut self, offset: u64) {
        if self.body.is_some_and(|(_, end)| end == offset) {
            *self = Reader::default();
        }
    }

    /// Where the record's body ends.
    pub(crate) fn skips_to(&self) -> Option<u64> {
        self.body.map(|(_, end)| end)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Speech;
    use crate::testing::{client, closed_facts, open_facts};

    fn record(kind: u8, length: u16) -> Vec<u8> {
        let mut bytes = vec![kind, 3, 3];
        bytes.extend(length.to_be_bytes());
        bytes.extend(vec![0xaa; usize::from(length)]);
        bytes
    }

    #[test]
    fn records_cut_at_every_byte() {
        let lengths = [7_u16, 1, 0, 40];
        let mut stream = Vec::new();
        let mut starts = Vec::new();
        for (kind, length) in [22, 20, 23, 24].into_iter().zip(lengths) {
            starts.push(stream.len());
            stream.extend(record(kind, length));
        }
        for cut in 5..=stream.len() {
            let index = starts.partition_point(|&start| start < cut) - 1;
            let into = cut - starts[index];
            let length = usize::from(lengths[index]);
            let expected = match into {
                _ if into == length + 5 => None,
                ..5 => Some(What::Header),
                _ => Some(What::TlsRecord {
                    announced: length as u64,
                    received: into as u64 - 5,
                }),
            };
            let facts = closed_facts(&[client(&stream[..cut])]);
            assert_eq!(facts.client.speaks, Some(Speech::Tls));
            assert_eq!(
                facts.client.truncated().map(|cut| cut.what),
                expected,
                "cut at {cut}"
            );
            assert!(!matches!(facts.client.framing, Framing::Unknown(_)));
        }
    }

    #[test]
    fn the_longest_record_and_one_byte_more() {
        assert_eq!(announced([23, 3, 3, 0x48, 0x00]), Some(18432));
        assert_eq!(announced([23, 3, 3, 0x48, 0x01]), None);
    }

    #[test]
    fn what_is_no_record_ends_the_reading() {
        for next in [
            [19, 3, 3, 0, 1],
            [25, 3, 3, 0, 1],
            [23, 2, 3, 0, 1],
            [23, 3, 3, 255, 255],
        ] {
            let facts = open_facts(&[client(record(22, 9)), client(next)]);
            assert_eq!(facts.client.framing, Framing::Unknown(Lost::Malformed));
        }
    }
}
