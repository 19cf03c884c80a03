//! Which outstanding blocks another peer may be asked for, once every missing block is asked for.

use std::collections::BTreeSet;

use bevy_ecs::prelude::Component;
use dunlin_base::{BlockIndex, PieceIndex};

use crate::piece::HOLDERS_MAX;

/// The blocks of a torrent that some peers are asked for, but fewer than may be, sorted by how many
/// these are: all that endgame has to look at. Kept from the first look of an endgame on, by whoever asks for
/// a block, gives one back or takes one in; before that a note costs nothing. A change costs the logarithm of
/// the number of blocks, which is at most what the memory budget admits.
///
/// Comes and goes with the pick order: what is complete has none.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct LastBlocks(Option<Box<ByAskers>>);

/// First those that one peer is asked for.
type ByAskers = [BTreeSet<(PieceIndex, BlockIndex)>; HOLDERS_MAX - 1];

impl LastBlocks {
    /// Most peers that a block of these is asked of.
    pub const ASKERS_MAX: usize = HOLDERS_MAX - 1;

    /// Whether the blocks are known.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Begins with these blocks, each with the number of peers that are asked for it.
    pub fn keep(&mut self, blocks: impl IntoIterator<Item = (PieceIndex, BlockIndex, usize)>) {
        self.0 = Some(Box::default());
        for (piece, block, askers) in blocks {
            self.note(piece, block, askers);
        }
    }

    /// Forgets all blocks until an endgame begins again.
    pub fn end(&mut self) {
        self.0 = None;
    }

    /// Notes how many peers are asked for a block now; none when it is free, or here.
    pub fn note(&mut self, piece: PieceIndex, block: BlockIndex, askers: usize) {
        for (blocks, of) in self.0.iter_mut().flat_map(|sets| sets.iter_mut()).zip(1..) {
            if of == askers {
                blocks.insert((piece, block));
            } else {
                blocks.remove(&(piece, block));
            }
        }
    }

    /// Notes that a piece is not in motion any more.
    pub fn forget(&mut self, piece: PieceIndex) {
        let (first, behind) = ((piece, BlockIndex(0)), (piece, BlockIndex(u32::MAX)));
        for blocks in self.0.iter_mut().flat_map(|sets| sets.iter_mut()) {
            while let Some(&block) = blocks.range(first..=behind).next() {
                blocks.remove(&block);
            }
        }
    }

    /// The first block from this one on that so many peers are asked for.
    #[must_use]
    pub fn first_from(
        &self,
        askers: usize,
        piece: PieceIndex,
        block: BlockIndex,
    ) -> Option<(PieceIndex, BlockIndex)> {
        let blocks = self.0.as_ref()?.get(askers.checked_sub(1)?)?;
        blocks.range((piece, block)..).next().copied()
    }

    /// All blocks, each with the number of peers that are asked for it: by that, then by place.
    pub fn iter(&self) -> impl Iterator<Item = (usize, PieceIndex, BlockIndex)> + '_ {
        let sets = self.0.iter().flat_map(|sets| sets.iter()).zip(1..);
        sets.flat_map(|(blocks, askers)| {
            let with = move |&(piece, block): &_| (askers, piece, block);
            blocks.iter().map(with)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: PieceIndex = PieceIndex(3);
    const BLOCK: BlockIndex = BlockIndex(5);

    #[test]
    fn a_block_is_where_its_askers_put_it() {
        let mut last = LastBlocks::default();
        last.note(PIECE, BLOCK, 1);
        assert!(!last.is_kept() && last.iter().next().is_none());
        last.keep([(PIECE, BLOCK, 1), (PieceIndex(4), BLOCK, HOLDERS_MAX)]);
        for (askers, there) in [(1, true), (2, true), (HOLDERS_MAX, false), (0, false)] {
            last.note(PIECE, BLOCK, askers);
            let all: Vec<_> = last.iter().collect();
            assert_eq!(all, [(askers, PIECE, BLOCK)][..usize::from(there)]);
            let found = there.then_some((PIECE, BLOCK));
            assert_eq!(last.first_from(askers, PieceIndex(0), BlockIndex(9)), found);
            assert_eq!(last.first_from(askers, PIECE, BLOCK), found);
            assert_eq!(last.first_from(askers, PIECE, BlockIndex(6)), None);
        }
        last.note(PIECE, BLOCK, 2);
        last.note(PIECE, BlockIndex(6), 1);
        last.note(PieceIndex(4), BlockIndex(0), 1);
        last.forget(PIECE);
        assert!(last.iter().eq([(1, PieceIndex(4), BlockIndex(0))]));
        last.end();
        assert!(!last.is_kept());
    }
}
