//! A set of numbers, of which neighbours share a word.

use std::collections::BTreeMap;

const WORD_BITS: u64 = u64::BITS as u64;

/// Numbers, 64 to a word: scattered ones take as much as in a tree of them, those that lie close, as what
/// is written in random order comes to lie, a bit and not four to twenty bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct NumberSet {
    /// None is zero. The lowest bit of the `n`-th is number `64 * n`.
    words: BTreeMap<u64, u64>,
    len: usize,
}

impl NumberSet {
    /// How many numbers are in.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Whether none is in.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a number is in.
    pub(crate) fn contains(&self, number: u64) -> bool {
        let word = self.words.get(&(number / WORD_BITS));
        word.is_some_and(|word| word & bit(number) != 0)
    }

    /// Puts a number in.
    pub(crate) fn insert(&mut self, number: u64) {
        let word = self.words.entry(number / WORD_BITS).or_default();
        self.len += usize::from(*word & bit(number) == 0);
        *word |= bit(number);
    }

    /// Takes a number out.
    pub(crate) fn remove(&mut self, number: u64) {
        let at = number / WORD_BITS;
        let Some(word) = self
            .words
            .get_mut(&at)
            .filter(|word| **word & bit(number) != 0)
        else {
            return;
        };
        *word &= !bit(number);
        self.len -= 1;
        if *word == 0 {
            self.words.remove(&at);
        }
    }

    /// Takes out all numbers of the word of this one, if all are in; returns the first one then, behind
    /// which there are 64.
    pub(crate) fn take_full_word(&mut self, number: u64) -> Option<u64> {
        let at = number / WORD_BITS;
        if self.words.get(&at) != Some(&u64::MAX) {
            return None;
        }
        self.words.remove(&at);
        self.len -= WORD_BITS as usize;
        Some(at * WORD_BITS)
    }

    /// Leaves only what `keeps` keeps.
    pub(crate) fn retain(&mut self, mut keeps: impl FnMut(u64) -> bool) {
        let mut len = 0;
        self.words.retain(|at, word| {
            for number in numbers(*at, *word) {
                if !keeps(number) {
                    *word &= !bit(number);
                }
            }
            len += word.count_ones() as usize;
            *word != 0
        });
        self.len = len;
    }

    /// The numbers, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.words.iter().flat_map(|(at, word)| numbers(*at, *word))
    }

    /// The first number that is at least `from`.
    pub(crate) fn first_from(&self, from: u64) -> Option<u64> {
        let words = self.words.range(from / WORD_BITS..);
        let mut numbers = words.flat_map(|(at, word)| numbers(*at, *word));
        numbers.find(|number| *number >= from)
    }

    /// The last number that is less than `end`.
    pub(crate) fn last_before(&self, end: u64) -> Option<u64> {
        let words = self.words.range(..end.div_ceil(WORD_BITS)).rev();
        let mut last = words.filter_map(|(at, word)| {
            numbers(*at, *word)
                .take_while(|number| *number < end)
                .last()
        });
        last.next()
    }
}

impl Extend<u64> for NumberSet {
    fn extend<T: IntoIterator<Item = u64>>(&mut self, numbers: T) {
        numbers.into_iter().for_each(|number| self.insert(number));
    }
}

impl FromIterator<u64> for NumberSet {
    fn from_iter<T: IntoIterator<Item = u64>>(numbers: T) -> Self {
        let mut set = Self::default();
        set.extend(numbers);
        set
    }
}

const fn bit(number: u64) -> u64 {
    1 << (number % WORD_BITS)
}

/// The numbers of a word.
fn numbers(at: u64, mut word: u64) -> impl Iterator<Item = u64> {
    core::iter::from_fn(move || {
        let lowest = (word != 0).then(|| at * WORD_BITS + u64::from(word.trailing_zeros()))?;
        word &= word - 1;
        Some(lowest)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_a_tree(
            changes in prop::collection::vec((0..4_u8, 0..200_u64), 0..300),
            at in 0..210_u64,
        ) {
            let (mut set, mut model) = (NumberSet::default(), BTreeSet::new());
            for (change, number) in changes {
                match change {
                    0 => { set.remove(number); model.remove(&number); }
                    1 if number < 20 => {
                        set.retain(|it| it % 7 != number % 7);
                        model.retain(|it| it % 7 != number % 7);
                    }
                    1 if number > 180 => {
                        set.extend(64..128);
                        model.extend(64..128);
                    }
                    2 if number > 190 => {
                        let whole = (64..128).all(|number| model.contains(&number));
                        prop_assert_eq!(set.take_full_word(100), whole.then_some(64));
                        if whole {
                            model.retain(|number| !(64..128).contains(number));
                        }
                    }
                    _ => { set.insert(number); model.insert(number); }
                }
                prop_assert!(set.iter().eq(model.iter().copied()));
                prop_assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
            }
            prop_assert_eq!(set.contains(at), model.contains(&at));
            prop_assert_eq!(set.first_from(at), model.range(at..).next().copied());
            prop_assert_eq!(set.last_before(at), model.range(..at).next_back().copied());
        }
    }
}
