//! A set of byte ranges, joined where they touch.

use std::collections::BTreeMap;
use std::ops::Range;

use dunlin_base::BLOCK_BYTES;

use crate::number_set::NumberSet;

const BLOCK: u64 = BLOCK_BYTES as u64;
/// Blocks of a range from which on it is not kept by the block.
const LONG_BLOCKS: u64 = 64;

/// Ranges of offsets in a torrent.
///
/// Small pieces come in random order: while they do, there is a range for half of them. Of what consists of
/// few whole blocks, each block is a bit, until all of its 64 neighbours are there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranges {
    /// Start to end; disjoint, not empty, and neighbours are joined. Some of `blocks` may be in them.
    by_start: BTreeMap<u64, u64>,
    /// Numbers of blocks of the torrent.
    blocks: NumberSet,
}

impl Ranges {
    pub(crate) fn insert(&mut self, range: Range<u64>) {
        let blocks = range.start / BLOCK..range.end / BLOCK;
        let is_whole = [range.start, range.end]
            .iter()
            .all(|at| at.is_multiple_of(BLOCK));
        if range.is_empty() {
            return;
        }
        if is_whole && blocks.end - blocks.start < LONG_BLOCKS {
            for block in blocks {
                self.blocks.insert(block);
                if let Some(first) = self.blocks.take_full_word(block) {
                    self.insert_run(first * BLOCK..(first + LONG_BLOCKS) * BLOCK);
                }
            }
        } else {
            self.insert_run(range);
        }
    }

    fn insert_run(&mut self, range: Range<u64>) {
        let (mut start, mut end) = (range.start, range.end);
        while let Some((&at, &until)) = self.by_start.range(..=end).next_back()
            && until >= start
        {
            self.by_start.remove(&at);
            start = start.min(at);
            end = end.max(until);
        }
        self.by_start.insert(start, end);
    }

    pub(crate) fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        while let Some((&at, &until)) = self.by_start.range(..range.end).next_back()
            && until > range.start
        {
            self.by_start.remove(&at);
            self.insert_around(at..until, &range);
        }
        while let Some(block) = self.blocks.first_from(range.start / BLOCK)
            && block * BLOCK < range.end
        {
            self.blocks.remove(block);
            self.insert_around(block * BLOCK..(block + 1) * BLOCK, &range);
        }
    }

    /// Puts in what of `whole` is not in `hole`.
    fn insert_around(&mut self, whole: Range<u64>, hole: &Range<u64>) {
        if whole.start < hole.start {
            self.insert_run(whole.start..hole.start);
        }
        if whole.end > hole.end {
            self.insert_run(hole.end..whole.end);
        }
    }

    /// Where a run of offsets of the set ends that has this one, as far as it is easily seen.
    fn end_of(&self, at: u64) -> Option<u64> {
        let run = self.by_start.range(..=at).next_back();
        let block = at / BLOCK;
        run.map(|(_, &end)| end)
            .filter(|&end| end > at)
            .or_else(|| self.blocks.contains(block).then_some((block + 1) * BLOCK))
    }

    /// Whether every offset of `range` is in the set.
    pub(crate) fn covers(&self, range: Range<u64>) -> bool {
        let mut at = range.start;
        while at < range.end {
            match self.end_of(at) {
                Some(end) => at = end,
                None => return false,
            }
        }
        true
    }

    /// End of the last offsets of the set that are in `range`, when there are any.
    pub(crate) fn last_end_in(&self, range: Range<u64>) -> Option<u64> {
        let run = self.by_start.range(..range.end).next_back();
        let run = run.map(|(_, &end)| end);
        let block = self.blocks.last_before(range.end.div_ceil(BLOCK));
        let block = block.map(|block| (block + 1) * BLOCK);
        let end = run.max(block)?;
        (end > range.start && !range.is_empty()).then_some(end.min(range.end))
    }

    /// The ranges, joined and ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        let mut at = 0;
        core::iter::from_fn(move || {
            let start = self.first_from(at)?;
            at = start;
            while let Some(end) = self.end_of(at) {
                at = end;
            }
            Some(start..at)
        })
    }

    /// The first offset of the set that is at least `from`, which is in no run of it.
    fn first_from(&self, from: u64) -> Option<u64> {
        let run = self.by_start.range(from..).next();
        let run = run.map(|(&start, _)| start);
        let block = self.blocks.first_from(from / BLOCK);
        let block = block.map(|block| block * BLOCK);
        [run, block].into_iter().flatten().min()
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (&start, &end) in &other.by_start {
            self.insert_run(start..end);
        }
        for block in other.blocks.iter() {
            self.insert(block * BLOCK..(block + 1) * BLOCK);
        }
    }
}

/// Whether they have the same offsets.
impl PartialEq for Ranges {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Ranges {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Some ranges are of whole blocks, others are not.
    const STEP: u64 = BLOCK / 2;
    const STEPS: usize = 400;

    const fn bytes(steps: &Range<u64>) -> Range<u64> {
        steps.start * STEP..steps.end * STEP
    }

    proptest! {
        #[test]
        fn behaves_as_a_set_of_offsets(
            changes in prop::collection::vec((0..3_u8, 0_u64..200, 0_u64..200), 0..40),
            blocks in prop::collection::vec(0_u64..200, 0..150),
            query in (0_u64..300, 0_u64..100),
        ) {
            let mut ranges = Ranges::default();
            let mut model = [false; STEPS];
            let mut change = |add, range: Range<u64>| {
                model[range.start as usize..range.end as usize].fill(add);
                if add { ranges.insert(bytes(&range)) } else { ranges.remove(bytes(&range)) }
            };
            let singles = blocks.iter().map(|block| (1, *block & !1, 2));
            for (kind, start, len) in singles.clone().chain(changes.into_iter()).chain(singles.skip(50)) {
                change(kind > 0, start..start + len);
            }
            let mut listed = [false; STEPS];
            let mut last_end = None;
            for range in ranges.iter() {
                prop_assert!(last_end.is_none_or(|end| end < range.start), "joined and ascending");
                last_end = Some(range.end);
                listed[(range.start / STEP) as usize..(range.end / STEP) as usize].fill(true);
            }
            prop_assert_eq!(listed, model);
            let (start, len) = query;
            let steps = start..start + len;
            let asked = &model[start as usize..(start + len) as usize];
            prop_assert_eq!(ranges.covers(bytes(&steps)), asked.iter().all(|&on| on));
            let last = asked.iter().rposition(|&on| on).map(|at| (start + at as u64 + 1) * STEP);
            prop_assert_eq!(ranges.last_end_in(bytes(&steps)), last);
            let mut merged = Ranges::default();
            merged.insert(bytes(&(7..8)));
            merged.merge(&ranges);
            ranges.insert(bytes(&(7..8)));
            prop_assert_eq!(merged, ranges);
        }
    }

    #[test]
    fn blocks_in_any_order_take_little() {
        let mut ranges = Ranges::default();
        for block in (0..10_000).step_by(2).chain((1..9_000).step_by(2)) {
            ranges.insert(block * BLOCK..(block + 1) * BLOCK);
            assert!(ranges.by_start.len() <= 160, "words are joined");
        }
        assert_eq!(ranges.iter().next(), Some(0..9_001 * BLOCK));
        assert_eq!(ranges.iter().count(), 500);
        assert_eq!(ranges.by_start.len(), 1);
    }
}
