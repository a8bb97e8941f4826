//! Numbers as letters, so that what is kept of a capture stays short when it is written down.
//!
//! Six bits a letter, the highest first. The letters need no escape in JSON.

const LETTERS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";

/// How many letters a number of 64 bits takes.
pub(super) const LONG: usize = 11;

/// How many letters a number of 32 bits takes.
pub(super) const SHORT: usize = 6;

/// Appends the lowest bits of a number as so many letters.
pub(super) fn write(text: &mut String, number: u64, letters: usize) {
    for place in (0..letters).rev() {
        let bits = u8::try_from(number >> (6 * place) & 63).unwrap_or(0);
        let letter = LETTERS.get(usize::from(bits)).copied().unwrap_or(b'0');
        text.push(char::from(letter));
    }
}

/// The numbers that were written, each in so many letters; `None` where there are others than those.
pub(super) fn read(text: &str, letters: usize) -> Option<Vec<u64>> {
    let chunks = text.as_bytes().chunks(letters);
    chunks
        .map(|chunk| {
            if chunk.len() < letters {
                return None;
            }
            chunk.iter().try_fold(0_u64, |number, letter| {
                let bits = LETTERS.iter().position(|known| known == letter)?;
                Some(number << 6 | u64::try_from(bits).ok()?)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let long = [0, 1, 63, 64, u64::MAX, 0x0123_4567_89ab_cdef];
        let mut text = String::new();
        for number in long {
            write(&mut text, number, LONG);
        }
        assert_eq!(text.len(), 6 * LONG);
        assert_eq!(read(&text, LONG), Some(long.to_vec()));
        let mut text = String::new();
        write(&mut text, u64::from(u32::MAX), SHORT);
        assert_eq!(read(&text, SHORT), Some(vec![u64::from(u32::MAX)]));
    }

    #[test]
    fn what_was_not_written_is_refused() {
        assert_eq!(read("ab", LONG), None);
        assert_eq!(read("00000000 00", LONG), None);
        assert_eq!(read("", LONG), Some(Vec::new()));
    }
}
