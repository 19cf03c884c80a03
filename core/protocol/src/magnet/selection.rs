//! Which files a magnet link selects (BEP 53).

use core::fmt;
use core::ops::RangeInclusive;

use dunlin_base::limits::FILES_MAX;

/// The numbers of files that a magnet link wants (BEP 53, `so`): sorted ranges that neither touch
/// nor overlap.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct FileSelection(Vec<RangeInclusive<u32>>);

impl FileSelection {
    /// A selection of these ranges, in any order. Empty ranges and numbers beyond all torrents are
    /// left out.
    pub fn new(ranges: impl IntoIterator<Item = RangeInclusive<u32>>) -> Self {
        let last = FILES_MAX as u32 - 1;
        let mut ranges: Vec<_> = ranges
            .into_iter()
            .map(|range| *range.start()..=*range.end().min(&last))
            .filter(|range| !range.is_empty())
            .collect();
        ranges.sort_unstable_by_key(|range| (*range.start(), *range.end()));
        let mut merged: Vec<RangeInclusive<u32>> = Vec::new();
        for range in ranges {
            match merged.last_mut() {
                Some(before) if *range.start() <= before.end() + 1 => {
                    *before = *before.start()..=*before.end().max(range.end());
                }
                _ => merged.push(range),
            }
        }
        Self(merged)
    }

    /// Reads `0,2,4-6`. What is no number or range is left out.
    pub(super) fn parse(text: &str) -> Self {
        Self::new(text.split(',').filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
        }))
    }

    /// Whether the file of this number is selected.
    #[must_use]
    pub fn contains(&self, file: u32) -> bool {
        self.0.iter().any(|range| range.contains(&file))
    }

    /// The ranges in order.
    #[must_use]
    pub fn ranges(&self) -> &[RangeInclusive<u32>] {
        &self.0
    }

    /// Whether no file is selected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for FileSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{}", range.start())?;
            if range.end() > range.start() {
                write!(f, "-{}", range.end())?;
            }
        }
        Ok(())
    }
}
