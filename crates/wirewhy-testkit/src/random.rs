//! Numbers that look random, for tests that try many things: the same in every run and on every machine.

/// xorshift64* (S. Vigna, *An experimental exploration of Marsaglia's xorshift generators, scrambled*, 2016).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Random {
        // From zero only zeros would come.
        Random(seed | 1)
    }

    /// The numbers of a text.
    #[must_use]
    pub fn of(text: &str) -> Random {
        let seed = text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        Random::new(seed)
    }

    /// A number below this bound; zero where there is none.
    pub fn number(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % bound.max(1)
    }

    /// The same of places in a slice.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        usize::try_from(self.number(bound)).unwrap_or(0)
    }

    /// A byte: every other time one at an edge of what parsers tell apart.
    pub fn byte(&mut self) -> u8 {
        const EDGES: [u8; 7] = [0x00, 0x01, 0x20, 0x7f, 0x80, 0xfe, 0xff];
        if self.number(2) == 0
            && let Some(edge) = EDGES.get(self.below(EDGES.len()))
        {
            return *edge;
        }
        u8::try_from(self.number(256)).unwrap_or(0)
    }
}
