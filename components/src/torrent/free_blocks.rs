//! Which pieces in motion hold a block that nobody is asked for.

use core::ops::Range;

use bevy_ecs::prelude::Component;
use dunlin_base::PieceIndex;

/// A torrent's pieces in motion that hold a free block, ascending: all that picking has to look at
/// of them. Most pieces in motion wait for what was asked, so these are few; whoever asks for a block or
/// gives one back keeps them up to date. What a change moves and a look goes through is at most what the
/// memory budget admits: a number for each piece in motion. Comes and goes with the pick order.
#[derive(Component, Clone, PartialEq, Eq, Debug, Default)]
pub struct FreeBlocks(Vec<PieceIndex>);

impl FreeBlocks {
    /// Notes whether a piece holds a free block now.
    pub fn note(&mut self, piece: PieceIndex, holds_one: bool) {
        match (self.0.binary_search(&piece), holds_one) {
            (Err(at), true) => self.0.insert(at, piece),
            (Ok(at), false) => {
                self.0.remove(at);
            }
            (Ok(_), true) | (Err(_), false) => {}
        }
    }

    /// The pieces, ascending.
    #[must_use]
    pub fn pieces(&self) -> &[PieceIndex] {
        &self.0
    }

    /// The pieces of a range, ascending.
    #[must_use]
    pub fn pieces_in(&self, range: &Range<u32>) -> &[PieceIndex] {
        let before = |end: u32| self.0.partition_point(|piece| piece.0 < end);
        let (start, end) = (before(range.start), before(range.end));
        self.0.get(start..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a sorted set, over any history.
        #[test]
        fn agrees_with_a_set(
            notes in prop::collection::vec((0..40_u32, any::<bool>()), 0..200),
            range in (0..50_u32, 0..50_u32),
        ) {
            let (mut free, mut model) = (FreeBlocks::default(), BTreeSet::new());
            for (piece, holds_one) in notes {
                let piece = PieceIndex(piece);
                free.note(piece, holds_one);
                match holds_one {
                    true => model.insert(piece),
                    false => model.remove(&piece),
                };
                prop_assert!(free.pieces().iter().eq(&model));
                let range = range.0..range.1;
                let inside = model.iter().filter(|piece| range.contains(&piece.0));
                prop_assert!(free.pieces_in(&range).iter().eq(inside));
            }
        }
    }
}
