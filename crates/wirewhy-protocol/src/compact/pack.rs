//! Numbers and texts as bytes, as far as they differ from those of a base; without one a number differs from zero.
//!
//! Each eight numbers have a byte that marks which of them differ, and each eight such bytes one that marks which of them are not
//! zero. What differs follows, a number in as many bytes as it needs.

/// Writes numbers.
pub(super) fn packed(numbers: &[u64], mut base: Option<Numbers<'_>>, to: &mut Vec<u8>) {
    let mut expected = || {
        let next = base.as_mut().map(|base| base.next(0));
        next.flatten().unwrap_or(0)
    };
    for groups in numbers.chunks(64) {
        let outer = to.len();
        to.push(0);
        let mut outer_marks = 0_u8;
        for (at, group) in groups.chunks(8).enumerate() {
            let inner = to.len();
            to.push(0);
            let mut marks = 0_u8;
            for (at, number) in group.iter().enumerate() {
                if *number != expected() {
                    marks |= 1 << at;
                    push_number(to, *number);
                }
            }
            if marks == 0 {
                to.truncate(inner);
                continue;
            }
            outer_marks |= 1 << at;
            set(to, inner, marks);
        }
        set(to, outer, outer_marks);
    }
}

fn set(bytes: &mut [u8], at: usize, value: u8) {
    if let Some(place) = bytes.get_mut(at) {
        *place = value;
    }
}

fn push_number(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        let [low, ..] = number.to_le_bytes();
        to.push(low | 0x80);
        number >>= 7;
    }
    let [low, ..] = number.to_le_bytes();
    to.push(low);
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// Reads what [`packed`] wrote.
#[derive(Debug)]
pub(super) struct Numbers<'a> {
    bytes: &'a [u8],
    /// The marks of the groups that follow, of the numbers of this one, and how many of each are left.
    outer: u8,
    groups: u8,
    inner: u8,
    left: u8,
}

impl<'a> Numbers<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Numbers<'a> {
        Numbers {
            bytes,
            outer: 0,
            groups: 0,
            inner: 0,
            left: 0,
        }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next number; `base` is the one that it may be equal to.
    #[inline]
    pub(super) fn next(&mut self, base: u64) -> Option<u64> {
        if self.left == 0 {
            if self.groups == 0 {
                self.outer = *self.bytes.split_off_first()?;
                self.groups = 8;
            }
            self.inner = match self.outer & 1 {
                0 => 0,
                _ => *self.bytes.split_off_first()?,
            };
            self.outer >>= 1;
            self.groups -= 1;
            self.left = 8;
        }
        let differs = self.inner & 1 != 0;
        self.inner >>= 1;
        self.left -= 1;
        if differs {
            take_number(&mut self.bytes)
        } else {
            Some(base)
        }
    }
}

/// Texts one behind the other.
#[derive(Debug, Default)]
pub(super) struct TextList {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl TextList {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub(super) fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        let places = begins.zip(&self.ends);
        places.map(|(begin, end)| self.bytes.get(begin..*end).unwrap_or_default())
    }
}

/// How a text is written: its length times three and one of these.
const PLAIN: u64 = 0;
/// It is that of the base.
const EQUAL: u64 = 1;
/// Its bytes as numbers, beside a text of the same length.
const BESIDE: u64 = 2;

/// Writes texts.
pub(super) fn packed_texts(texts: &TextList, mut base: Option<Texts<'_>>, to: &mut Vec<u8>) {
    for text in texts.iter() {
        let expected = base.as_mut().and_then(|base| base.next(&[]));
        let length = text.len() as u64 * 3;
        match expected {
            Some(expected) if expected == text => push_number(to, EQUAL),
            Some(expected) if expected.len() == text.len() && text.len() >= SHORTEST => {
                push_number(to, length + BESIDE);
                let mut differences = text.iter().zip(&expected).map(|(byte, base)| byte ^ base);
                while differences.len() > 0 {
                    let at = to.len();
                    to.push(0);
                    let mut marks = 0_u8;
                    for (bit, difference) in differences.by_ref().take(8).enumerate() {
                        if difference != 0 {
                            marks |= 1 << bit;
                            to.push(difference);
                        }
                    }
                    set(to, at, marks);
                }
            }
            _ => {
                push_number(to, length + PLAIN);
                to.extend_from_slice(text);
            }
        }
    }
}

/// A shorter text is written as it is.
const SHORTEST: usize = 16;

/// Reads what [`packed_texts`] wrote.
#[derive(Debug)]
pub(super) struct Texts<'a>(&'a [u8]);

impl<'a> Texts<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Texts<'a> {
        Texts(bytes)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// The next text; `base` is the one that it may be near to.
    pub(super) fn next(&mut self, base: &[u8]) -> Option<Vec<u8>> {
        let number = take_number(&mut self.0)?;
        let length = usize::try_from(number / 3).ok()?;
        match number % 3 {
            PLAIN => {
                let (text, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Some(text.to_vec())
            }
            EQUAL => Some(base.to_vec()),
            _ => {
                let mut text = base.to_vec();
                for group in text.chunks_mut(8) {
                    let mut marks = *self.0.split_off_first()?;
                    for byte in group {
                        if marks & 1 != 0 {
                            *byte ^= *self.0.split_off_first()?;
                        }
                        marks >>= 1;
                    }
                }
                Some(text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_written() {
        let base: Vec<u64> = (0..200).map(|at| at * at % 7 * at).collect();
        let mut near = base.clone();
        near[3] = u64::MAX;
        near[150] = 0;
        for numbers in [&base, &near, &vec![0; 130], &vec![u64::MAX; 65]] {
            let mut plain = Vec::new();
            packed(numbers, None, &mut plain);
            let mut reader = Numbers::new(&plain);
            assert!(numbers.iter().all(|number| reader.next(0) == Some(*number)));
            assert!(reader.is_at_end());
            let mut of_base = Vec::new();
            packed(&base, None, &mut of_base);
            let mut beside = Vec::new();
            packed(numbers, Some(Numbers::new(&of_base)), &mut beside);
            let (mut reader, mut expected) = (Numbers::new(&beside), Numbers::new(&of_base));
            for number in numbers {
                let base = expected.next(0).unwrap();
                assert_eq!(reader.next(base), Some(*number));
            }
        }
        let mut same = Vec::new();
        let mut of_base = Vec::new();
        packed(&base, None, &mut of_base);
        packed(&base, Some(Numbers::new(&of_base)), &mut same);
        assert_eq!(same, [0; 4]);
    }

    #[test]
    fn texts_are_read_as_they_were_written() {
        let base = [
            b"a".to_vec(),
            vec![7; 100],
            b"www.example.com".to_vec(),
            Vec::new(),
        ];
        let list = |texts: &[Vec<u8>]| {
            let mut list = TextList::default();
            texts.iter().for_each(|text| list.push(text));
            list
        };
        let mut other = base.clone();
        other[1][40] = 8;
        other[2] = b"example.org".to_vec();
        other[3] = vec![1; 30];
        let mut of_base = Vec::new();
        packed_texts(&list(&base), None, &mut of_base);
        for texts in [&base, &other] {
            let mut beside = Vec::new();
            packed_texts(&list(texts), Some(Texts::new(&of_base)), &mut beside);
            assert!(beside.len() < of_base.len());
            let (mut reader, mut expected) = (Texts::new(&beside), Texts::new(&of_base));
            for text in texts {
                let base = expected.next(&[]).unwrap();
                assert_eq!(reader.next(&base).as_ref(), Some(text));
            }
            assert!(reader.is_at_end());
        }
    }
}
