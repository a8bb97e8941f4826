//! Numbers as base64 (RFC 4648), so that what is kept of a capture stays short when it is written down.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Numbers, given by their bytes, as text.
pub(super) fn write<const N: usize>(numbers: impl Iterator<Item = [u8; N]>) -> String {
    STANDARD_NO_PAD.encode(numbers.flatten().collect::<Vec<u8>>())
}

/// The numbers that were written; `None` where there are others than those.
pub(super) fn read<const N: usize>(text: &str) -> Option<Vec<[u8; N]>> {
    let bytes = STANDARD_NO_PAD.decode(text).ok()?;
    let (numbers, rest) = bytes.as_chunks();
    rest.is_empty().then(|| numbers.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let long = [0, 1, 63, 64, u64::MAX, 0x0123_4567_89ab_cdef].map(u64::to_be_bytes);
        assert_eq!(read(&write(long.into_iter())), Some(long.to_vec()));
        let short = [u32::MAX.to_be_bytes()];
        assert_eq!(read(&write(short.into_iter())), Some(short.to_vec()));
    }

    #[test]
    fn what_was_not_written_is_refused() {
        assert_eq!(read::<8>("ab"), None);
        assert_eq!(read::<8>("00000000 00"), None);
        assert_eq!(read::<8>(""), Some(Vec::new()));
    }
}
