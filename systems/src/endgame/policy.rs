//! The pure decision of endgame.

use dunlin_base::{Bitfield, BlockIndex, PieceIndex};
use dunlin_components::torrent::LastBlocks;

/// At most `room` blocks that others are asked for and this peer could send, those with the fewest askers
/// first, then by their place.
///
/// What is looked at beside those that are found is what the peer is asked for itself and the pieces that
/// it has but may not add to, not what else is in motion.
pub(super) fn candidates(
    last: &LastBlocks,
    remote: &Bitfield,
    room: usize,
    mut is_open: impl FnMut(PieceIndex) -> bool,
    mut is_asked: impl FnMut(PieceIndex, BlockIndex) -> bool,
) -> Vec<(PieceIndex, BlockIndex)> {
    let mut found = Vec::new();
    for askers in 1..=LastBlocks::ASKERS_MAX {
        let mut from = (PieceIndex(0), BlockIndex(0));
        // The piece that was looked at last, and whether its blocks may be asked for.
        let mut at = None;
        while found.len() < room
            && let Some((piece, block)) = last.first_from(askers, from.0, from.1)
        {
            if at != Some((piece, true)) {
                let next = remote.next_from(piece);
                if next != Some(piece) {
                    let Some(next) = next else { break };
                    from = (next, BlockIndex(0));
                    continue;
                }
                at = Some((piece, is_open(piece)));
            }
            if at == Some((piece, false)) {
                from = (PieceIndex(piece.0 + 1), BlockIndex(0));
                continue;
            }
            if !is_asked(piece, block) {
                found.push((piece, block));
            }
            from = (piece, BlockIndex(block.0 + 1));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PIECES: u32 = 150;

    proptest! {
        /// What a look at all outstanding blocks finds is found.
        #[test]
        fn agrees_with_a_look_at_everything(
            blocks in prop::collection::btree_map((0..PIECES, 0..3_u32), 1..4_usize, 0..60),
            has in prop::collection::vec(any::<bool>(), PIECES as usize),
            closed in prop::collection::btree_set(0..PIECES, 0..20),
            asked in prop::collection::btree_set((0..PIECES, 0..3_u32), 0..40),
            room in 0..20_usize,
        ) {
            let blocks = blocks.into_iter();
            let mut all: Vec<_> = blocks
                .map(|((piece, block), askers)| (askers, PieceIndex(piece), BlockIndex(block)))
                .collect();
            let mut last = LastBlocks::default();
            last.keep(all.iter().map(|&(askers, piece, block)| (piece, block, askers)));
            let mut remote = Bitfield::empty(PIECES);
            for piece in (0..PIECES).filter(|piece| has[*piece as usize]) {
                remote.set(PieceIndex(piece));
            }
            let is_open = |piece: PieceIndex| !closed.contains(&piece.0);
            let is_asked = |piece: PieceIndex, block: BlockIndex| asked.contains(&(piece.0, block.0));

            all.retain(|&(askers, piece, block)| {
                askers <= LastBlocks::ASKERS_MAX
                    && remote.has(piece)
                    && is_open(piece)
                    && !is_asked(piece, block)
            });
            all.sort_unstable();
            all.truncate(room);
            let expected: Vec<_> = all.into_iter().map(|(_, piece, block)| (piece, block)).collect();
            let found = candidates(&last, &remote, room, is_open, is_asked);
            prop_assert_eq!(found, expected);
        }
    }
}
