//! A set of pieces in which the next one is found quickly, however few there are.

use crate::{Bitfield, PieceIndex};

const WORD_BITS: u32 = u64::BITS;

/// Pieces of a torrent, with a bit for each word of 64 that says whether any of them is in: where the
/// set is sparse, 4,096 pieces are passed over at a time. A bit and a 64th for each piece.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PieceSet {
    /// Words of pieces, the first one in the highest bit as on the wire; behind them, the same of words.
    words: Box<[u64]>,
    len: u32,
    count: u32,
}

impl PieceSet {
    /// A set of none of `len` pieces.
    #[must_use]
    pub fn new(len: u32) -> Self {
        let words = len.div_ceil(WORD_BITS);
        let all = words + words.div_ceil(WORD_BITS);
        Self {
            words: vec![0; all as usize].into(),
            len,
            count: 0,
        }
    }

    /// A set of all of `len` pieces.
    #[must_use]
    pub fn full(len: u32) -> Self {
        let mut set = Self::new(len);
        let (words, summary) = set.words.split_at_mut(len.div_ceil(WORD_BITS) as usize);
        let ones = words.len() as u32;
        for (bits, of) in [(words, len), (summary, ones)] {
            bits.fill(u64::MAX);
            if let Some(last) = bits.last_mut() {
                *last <<= of.next_multiple_of(WORD_BITS) - of;
            }
        }
        set.count = len;
        set
    }

    /// Number of pieces that are in.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Whether none is in.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether a piece is in; false for a piece out of range.
    #[must_use]
    pub fn contains(&self, piece: PieceIndex) -> bool {
        piece.0 < self.len && self.word(piece.0 / WORD_BITS) & mask(piece.0) != 0
    }

    /// The pieces from `64 * at` on, the first one in the highest bit; none behind the end.
    #[must_use]
    #[inline]
    pub fn word(&self, at: u32) -> u64 {
        if at < self.word_count() {
            self.words[at as usize]
        } else {
            0
        }
    }

    const fn word_count(&self) -> u32 {
        self.len.div_ceil(WORD_BITS)
    }

    /// Puts a piece in; says whether it was not in before.
    ///
    /// # Panics
    /// When the piece is out of range.
    pub fn insert(&mut self, piece: PieceIndex) -> bool {
        assert!(piece.0 < self.len, "piece {piece} of {}", self.len);
        let at = piece.0 / WORD_BITS;
        let word = self.words[at as usize];
        let fresh = word & mask(piece.0) == 0;
        if word == 0 {
            self.words[(self.word_count() + at / WORD_BITS) as usize] |= mask(at);
        }
        self.words[at as usize] = word | mask(piece.0);
        self.count += u32::from(fresh);
        fresh
    }

    /// Takes a piece out; says whether it was in.
    pub fn remove(&mut self, piece: PieceIndex) -> bool {
        if !self.contains(piece) {
            return false;
        }
        let at = piece.0 / WORD_BITS;
        self.words[at as usize] &= !mask(piece.0);
        if self.words[at as usize] == 0 {
            self.words[(self.word_count() + at / WORD_BITS) as usize] &= !mask(at);
        }
        self.count -= 1;
        true
    }

    /// The pieces, ascending.
    pub fn iter(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        self.iter_from(0)
    }

    /// The pieces from index `from` on, ascending.
    pub fn iter_from(&self, from: u32) -> impl Iterator<Item = PieceIndex> + '_ {
        self.matching(from, |word, _| word)
    }

    /// The pieces from index `from` on that are in `bits` too, ascending. To look through all of a set of
    /// `n` pieces costs a step for each word of 64 that is not empty, so at most `n / 64`, and one for each
    /// 4,096 pieces.
    pub fn iter_common<'a>(
        &'a self,
        bits: &'a Bitfield,
        from: u32,
    ) -> impl Iterator<Item = PieceIndex> + 'a {
        self.matching(from, |word, at| word & bits.word(at))
    }

    /// The pieces from `from` on that `keep` leaves in their words.
    fn matching<'a>(
        &'a self,
        from: u32,
        keep: impl Fn(u64, u32) -> u64 + 'a,
    ) -> impl Iterator<Item = PieceIndex> + 'a {
        let first = from / WORD_BITS;
        let (words, summary) = self.words.split_at(self.word_count() as usize);
        let mut at = first;
        let mut word = match words.get(at as usize) {
            Some(&word) if from < self.len => keep(word, at) & from_bit(from),
            Some(_) | None => 0,
        };
        core::iter::from_fn(move || {
            while word == 0 {
                at = next_one(summary, at + 1)?;
                word = keep(words[at as usize], at);
            }
            let bit = word.leading_zeros();
            word &= !(1 << (WORD_BITS - 1 - bit));
            Some(PieceIndex(at * WORD_BITS + bit))
        })
    }
}

/// The first bit from `from` on that is set.
#[inline]
fn next_one(words: &[u64], from: u32) -> Option<u32> {
    let at = from / WORD_BITS;
    let first = words.get(at as usize)? & from_bit(from);
    if first != 0 {
        return Some(at * WORD_BITS + first.leading_zeros());
    }
    let behind = words.iter().enumerate().skip(at as usize + 1);
    let (at, word) = behind.into_iter().find(|(_, word)| **word != 0)?;
    Some(at as u32 * WORD_BITS + word.leading_zeros())
}

/// The bit of an index in its word.
const fn mask(index: u32) -> u64 {
    1 << (WORD_BITS - 1 - index % WORD_BITS)
}

/// The bit of an index and those behind it in its word.
const fn from_bit(index: u32) -> u64 {
    u64::MAX >> (index % WORD_BITS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ends_of_words_and_of_the_set_are_found() {
        for len in [0, 1, 63, 64, 65, 4_096, 4_097, 10_000] {
            let mut set = PieceSet::full(len);
            assert_eq!(set.count(), len);
            assert!(set.iter().eq((0..len).map(PieceIndex)));
            let all = Bitfield::full(len);
            for from in [0, 62, 63, 64, 4_095, 4_096, 9_999, 10_000, u32::MAX] {
                let found = set.iter_common(&all, from).next();
                assert_eq!(found, (from < len).then_some(PieceIndex(from)), "{len}");
            }
            assert!(!set.contains(PieceIndex(len)) && !set.remove(PieceIndex(len)));
        }
    }

    proptest! {
        /// Against a sorted set, over any history.
        #[test]
        fn agrees_with_a_set(
            len in 1..20_000_u32,
            changes in prop::collection::vec((any::<u32>(), any::<bool>()), 0..300),
            has in prop::collection::vec(any::<u32>(), 0..300),
            from in any::<u32>(),
        ) {
            let (mut set, mut model) = (PieceSet::new(len), BTreeSet::new());
            let mut bits = Bitfield::empty(len);
            for (piece, comes) in changes {
                let piece = PieceIndex(piece % len);
                match comes {
                    true => prop_assert_eq!(set.insert(piece), model.insert(piece)),
                    false => prop_assert_eq!(set.remove(piece), model.remove(&piece)),
                }
                prop_assert_eq!(set.contains(piece), comes);
                bits.set(piece);
            }
            for piece in has {
                let piece = PieceIndex(piece % len);
                if !bits.set(piece) {
                    bits.clear(piece);
                }
            }
            let from = from % (len + 100);
            prop_assert_eq!(set.count() as usize, model.len());
            prop_assert_eq!(set.is_empty(), model.is_empty());
            prop_assert!(set.iter().eq(model.iter().copied()));
            let behind = model.range(PieceIndex(from)..).copied();
            prop_assert!(set.iter_from(from).eq(behind));
            let common = model.range(PieceIndex(from)..).copied().filter(|piece| bits.has(*piece));
            prop_assert!(set.iter_common(&bits, from).eq(common));
        }
    }
}
