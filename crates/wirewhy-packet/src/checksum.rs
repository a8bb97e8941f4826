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
        IpAddr::V4(address) => sum(&address.octets()),
        IpAddr::V6(address) => sum(&address.octets()),
    }
}

/// The sum of the 16-bit words, not folded. The order of bytes does not matter to the sum but for its own (RFC 1071 section
/// 2), so that words are taken four at a time as they lie in memory.
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut total = 0_u64;
    for word in words {
        let word = u64::from_ne_bytes(*word);
        total += (word & 0xffff_ffff) + (word >> 32);
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    let word = u64::from_ne_bytes(last);
    total += (word & 0xffff_ffff) + (word >> 32);
    u64::from(u16::from_be(fold(total)))
}

/// The carries added in until 16 bits are left.
fn fold(mut total: u64) -> u16 {
    loop {
        match u16::try_from(total) {
            Ok(folded) => return folded,
            Err(_) => total = (total & 0xffff) + (total >> 16),
        }
    }
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
        for len in 0..40 {
            let bytes: Vec<u8> = (0..len).map(|byte: u8| byte.wrapping_mul(37)).collect();
            let plain: u64 = bytes
                .chunks(2)
                .map(|pair| u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0)))
                .sum();
            assert_eq!(sum(&bytes) % 0xffff, plain % 0xffff, "{len}");
        }
    }
}
