//! TCP sequence numbers (RFC 9293 section 3.4).

/// A TCP sequence number: 32 bits that wrap.
///
/// There is no `Ord`: with wrapping numbers "less than" is only meaningful within half the number space, so comparisons
/// are spelled [`is_before`](Seq::is_before) and [`distance_from`](Seq::distance_from).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Seq(pub u32);

impl Seq {
    /// The signed distance in bytes from `earlier` to `self`; negative when `self` comes first.
    #[must_use]
    #[inline]
    pub fn distance_from(self, earlier: Seq) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }

    /// Whether `self` lies strictly before `other`.
    #[must_use]
    #[inline]
    pub fn is_before(self, other: Seq) -> bool {
        self.distance_from(other) < 0
    }

    /// Whether `self` lies strictly after `other`.
    #[must_use]
    #[inline]
    pub fn is_after(self, other: Seq) -> bool {
        self.distance_from(other) > 0
    }

    /// The number `bytes` further on, wrapping.
    #[must_use]
    #[inline]
    pub fn advance(self, bytes: u32) -> Seq {
        Seq(self.0.wrapping_add(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparison_survives_the_wrap() {
        let last = Seq(u32::MAX);
        let first = last.advance(1);
        assert_eq!(first, Seq(0));
        assert!(last.is_before(first));
        assert!(first.is_after(last));
        assert_eq!(first.advance(9).distance_from(last), 10);
    }

    #[test]
    fn a_number_is_neither_before_nor_after_itself() {
        assert!(!Seq(7).is_before(Seq(7)));
        assert!(!Seq(7).is_after(Seq(7)));
    }
}
