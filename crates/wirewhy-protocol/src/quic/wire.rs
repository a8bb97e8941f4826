//! Numbers and stretches of bytes (RFC 9000 section 16).

/// Splits a variable-length integer off.
pub(super) fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let (&first, _) = bytes.split_first()?;
    let length = 1_usize << (first >> 6);
    let (number, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    let value = number
        .iter()
        .fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
    let bits = 8 * u32::try_from(length).ok()? - 2;
    Some(value & ((1 << bits) - 1))
}

/// Splits a byte off.
pub(super) fn byte(bytes: &mut &[u8]) -> Option<u8> {
    let (&first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(first)
}

/// Splits `length` bytes off.
pub(super) fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (first, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(first)
}

/// Splits bytes off whose number stands before them as a variable-length integer.
pub(super) fn vector<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut rest = *bytes;
    let length = usize::try_from(varint(&mut rest)?).ok()?;
    let vector = take(&mut rest, length)?;
    *bytes = rest;
    Some(vector)
}

/// Splits bytes off whose number stands before them in one byte.
pub(super) fn vector8<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut rest = *bytes;
    let length = usize::from(byte(&mut rest)?);
    let vector = take(&mut rest, length)?;
    *bytes = rest;
    Some(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The samples of RFC 9000 appendix A.1.
    #[test]
    fn variable_length_integers() {
        let samples: [(&[u8], u64); 5] = [
            (
                &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c],
                151_288_809_941_952_652,
            ),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
            (&[0x40, 0x25], 37),
        ];
        for (bytes, value) in samples {
            let mut rest = bytes;
            assert_eq!(varint(&mut rest), Some(value));
            assert!(rest.is_empty());
            let mut cut = &bytes[..bytes.len() - 1];
            assert_eq!(varint(&mut cut), None);
        }
    }

    #[test]
    fn a_vector_that_is_cut_takes_nothing() {
        let mut bytes: &[u8] = &[3, 1, 2];
        assert_eq!(vector(&mut bytes), None);
        assert_eq!(bytes.len(), 3);
        let mut bytes: &[u8] = &[2, 1, 2, 9];
        assert_eq!(vector(&mut bytes), Some(&[1, 2][..]));
        assert_eq!(bytes, [9]);
    }
}
