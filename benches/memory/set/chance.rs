//! Chance that is the same everywhere: a small generator of our own, so that no library's version changes the set.

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One for a purpose of its own: what is drawn there moves nothing here.
    pub fn apart(&self, purpose: u64) -> Self {
        let mut other = Self(self.0 ^ purpose.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        other.next();
        other
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to, and not, `end`.
    pub fn below(&mut self, end: usize) -> usize {
        debug_assert!(end > 0);
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    pub fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Prefers the first ones: words of real conversations are not used equally often.
    pub fn lean<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let (one, other) = (self.below(of.len()), self.below(of.len()));
        &of[one.min(other)]
    }

    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for end in (1..all.len()).rev() {
            all.swap(end, self.below(end + 1));
        }
    }
}
