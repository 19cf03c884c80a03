//! A set of byte ranges, joined where they touch.

use std::collections::BTreeMap;
use std::ops::Range;

/// Disjoint, non-empty ranges of offsets in a torrent; neighbours are joined.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Ranges {
    /// Start to end.
    by_start: BTreeMap<u64, u64>,
}

impl Ranges {
    pub(crate) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
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
            if at < range.start {
                self.by_start.insert(at, range.start);
            }
            if until > range.end {
                self.by_start.insert(range.end, until);
            }
        }
    }

    /// Whether every offset of `range` is in the set.
    pub(crate) fn covers(&self, range: Range<u64>) -> bool {
        range.is_empty()
            || self
                .by_start
                .range(..=range.start)
                .next_back()
                .is_some_and(|(_, &end)| end >= range.end)
    }

    /// End of the last offsets of the set that are in `range`, when there are any.
    pub(crate) fn last_end_in(&self, range: Range<u64>) -> Option<u64> {
        let (_, &end) = self.by_start.range(..range.end).next_back()?;
        (end > range.start && !range.is_empty()).then_some(end.min(range.end))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.by_start.iter().map(|(&start, &end)| start..end)
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for range in other.iter() {
            self.insert(range);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn behaves_as_a_set_of_offsets(
            changes in prop::collection::vec((any::<bool>(), 0_u64..60, 0_u64..20), 0..40),
            query in (0_u64..60, 0_u64..20),
        ) {
            let mut ranges = Ranges::default();
            let mut model = [false; 80];
            for (add, start, len) in changes {
                let range = start..start + len;
                model[start as usize..(start + len) as usize].fill(add);
                if add { ranges.insert(range) } else { ranges.remove(range) }
            }
            let mut listed = [false; 80];
            let mut last_end = None;
            for range in ranges.iter() {
                prop_assert!(last_end.is_none_or(|end| end < range.start), "joined and ascending");
                last_end = Some(range.end);
                listed[range.start as usize..range.end as usize].fill(true);
            }
            prop_assert_eq!(listed, model);
            let (start, len) = query;
            let asked = &model[start as usize..(start + len) as usize];
            prop_assert_eq!(ranges.covers(start..start + len), asked.iter().all(|&on| on));
            let last = asked.iter().rposition(|&on| on).map(|at| start + at as u64 + 1);
            prop_assert_eq!(ranges.last_end_in(start..start + len), last);
        }
    }
}
