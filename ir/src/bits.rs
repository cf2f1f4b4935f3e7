//! Sets of small numbers as bits of words.

/// The numbers of the bits that are set, ascending.
#[inline]
pub fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = word.trailing_zeros();
        word &= word.wrapping_sub(1);
        (bit < u64::BITS).then_some(bit as usize)
    })
}

/// A set of numbers below a limit, for those that are filled and emptied many times.
#[derive(Clone, Debug)]
pub struct BitSet {
    words: Vec<u64>,
}

impl BitSet {
    /// The empty set of numbers below `limit`.
    pub fn new(limit: usize) -> Self {
        Self { words: vec![0; limit.div_ceil(64)] }
    }

    /// Adds a number.
    #[inline]
    pub fn insert(&mut self, number: usize) {
        self.words[number / 64] |= 1 << (number % 64);
    }

    /// The members, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.words.iter().enumerate().flat_map(|(index, &word)| bits(word).map(move |bit| index * 64 + bit))
    }

    /// Takes the members out, in ascending order; all of them only if the iterator is run to its end.
    pub fn drain(&mut self) -> impl Iterator<Item = usize> {
        let words = self.words.iter_mut().enumerate();
        words.flat_map(|(index, word)| bits(std::mem::take(word)).map(move |bit| index * 64 + bit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_out_in_order_and_once() {
        let mut set = BitSet::new(200);
        [199, 0, 64, 63, 64].into_iter().for_each(|number| set.insert(number));
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 199]);
        assert_eq!(set.drain().collect::<Vec<_>>(), [0, 63, 64, 199]);
        assert_eq!(set.iter().next(), None);
        assert_eq!(bits(u64::MAX).count(), 64);
    }
}
