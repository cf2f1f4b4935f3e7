//! Pseudo-random numbers that are the same everywhere and for ever: a difference found is found again by its seed.

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
pub struct Random(u64);

impl Random {
    /// The sequence that belongs to a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// 64 random bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`, which is not 0. Slightly uneven, which does not matter here.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// One of the values given.
    pub fn choose<T: Copy>(&mut self, values: &[T]) -> Option<T> {
        let index = self.below(u64::try_from(values.len()).ok()?.max(1));
        values.get(usize::try_from(index).ok()?).copied()
    }
}

/// Scrambles bits.
pub fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Adds bits to a hash.
pub fn combine(hash: u64, bits: u64) -> u64 {
    mix(hash.rotate_left(5) ^ bits.wrapping_add(0x9e37_79b9_7f4a_7c15))
}

/// The hash of a text.
pub fn hash_text(text: &str) -> u64 {
    text.bytes().fold(0, |hash, byte| combine(hash, u64::from(byte)))
}
