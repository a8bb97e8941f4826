//! The Internet checksum over a segment or a datagram (RFC 1071, RFC 9293 section 3.1).

use std::net::IpAddr;

/// What a checksum says of the bytes it is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Checksum {
    /// They are as they were sent.
    Right,
    /// They are not, or the checksum is not.
    Wrong,
    /// It covers the addresses alone: the sender left the rest to its network card, and this was captured before it, or the
    /// card did not do it.
    Unfinished,
    /// The capture does not hold all of them.
    Unknown,
}

impl Checksum {
    /// Of `bytes`, the whole of a segment or datagram of `protocol` between two addresses, whose checksum field is `field`.
    pub(crate) fn of(
        bytes: &[u8],
        protocol: u8,
        field: u16,
        (source, destination): (IpAddr, IpAddr),
    ) -> Checksum {
        let Ok(length) = u32::try_from(bytes.len()) else {
            return Checksum::Unknown;
        };
        let addresses = sum_of_address(source) + sum_of_address(destination);
        let pseudo = addresses + u64::from(u32::from(protocol)) + u64::from(length);
        if fold(pseudo + sum(bytes)) == u16::MAX {
            Checksum::Right
        } else if fold(pseudo) == field {
            Checksum::Unfinished
        } else {
            Checksum::Wrong
        }
    }
}

fn sum_of_address(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => sum(&address.octets()),
    }
}

/// The sum of the 16-bit words. The order of bytes does not matter to the sum but for its own, and neither does the width
/// of the words (RFC 1071 section 2), so that eight bytes are added at a time and their carries counted.
fn sum(bytes: &[u8]) -> u64 {
    /// Bytes added in one chain of carries.
    const BLOCK: usize = 64;
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let (mut total, mut carries) = (0_u64, 0_u64);
    let mut add = |words: &[[u8; 8]]| {
        let mut carry = false;
        for word in words {
            (total, carry) = total.carrying_add(u64::from_le_bytes(*word), carry);
        }
        carries += u64::from(carry);
    };
    for block in blocks {
        add(block.as_chunks().0);
    }
    let (words, rest) = rest.as_chunks();
    add(words);
    let last = rest.iter().rev();
    let last = last.fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    add(&[last.to_le_bytes()]);
    let folded = fold((total & 0xffff_ffff) + (total >> 32) + carries);
    u64::from(folded.swap_bytes())
}

/// The carries added in until 16 bits are left.
fn fold(total: u64) -> u16 {
    let total = (total & 0xffff_ffff) + (total >> 32);
    let total = (total & 0xffff) + (total >> 16);
    let total = (total & 0xffff) + (total >> 16);
    let total = (total & 0xffff) + (total >> 16);
    // No more than 16 bits are left of any number.
    u16::try_from(total).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(sum(&bytes), 0xddf2);
        assert_eq!(sum(&bytes[..7]), u64::from(fold(0xddf2 + 0xffff - 0xf7)));
    }

    #[test]
    fn words_are_summed_in_any_number() {
        for len in 0..200 {
            let bytes: Vec<u8> = (0..len).map(|byte: u8| !byte.wrapping_mul(37)).collect();
            let plain: u64 = bytes
                .chunks(2)
                .map(|pair| u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0)))
                .sum();
            assert_eq!(sum(&bytes) % 0xffff, plain % 0xffff, "{len}");
        }
    }
}
