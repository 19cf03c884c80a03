//! The pieces in motion as picking sees them: those that are entities already, and those that this
//! very run opens and that become entities at its end.

use std::collections::BTreeMap;

use bevy_ecs::prelude::*;
use dunlin_base::{BlockIndex, PeerKey, PieceIndex};
use dunlin_components::piece::{Blocks, Parole, Piece, PieceOf, PieceState};

/// Pieces that this run opened, by entity, to be inserted at its end.
#[derive(Default)]
pub(super) struct Opened(BTreeMap<Entity, (Entity, PieceIndex, Blocks)>);

impl Opened {
    pub(super) fn open(&mut self, piece: Entity, torrent: Entity, index: PieceIndex, blocks: u32) {
        self.0.insert(piece, (torrent, index, Blocks::new(blocks)));
    }

    /// Makes rows of the opened pieces.
    pub(super) fn insert(self, commands: &mut Commands<'_, '_>) {
        for (piece, (torrent, index, blocks)) in self.0 {
            let row = (
                Piece(index),
                PieceOf(torrent),
                PieceState::Fetching,
                Parole::default(),
                blocks,
            );
            commands.entity(piece).insert(row);
        }
    }
}

/// Rows of pieces that exist already.
pub(super) type PieceRows<'w, 's> = Query<
    'w,
    's,
    (
        &'static mut Blocks,
        &'static mut Parole,
        &'static PieceState,
    ),
>;

/// The next block of a piece to ask a peer for, noted as asked, and whether it was the last one that
/// nobody was asked for. `None` when all are asked for, the piece is past fetching, or it is on parole at
/// somebody else.
pub(super) fn take_block(
    opened: &mut Opened,
    rows: &mut PieceRows<'_, '_>,
    piece: Entity,
    peer: PeerKey,
) -> Option<(BlockIndex, bool)> {
    let ask = |blocks: &mut Blocks| {
        let block = blocks.first_free()?;
        let asked = blocks.request(block, peer);
        asked.then_some((block, blocks.free() == 0))
    };
    if let Some((_, _, blocks)) = opened.0.get_mut(&piece) {
        return ask(blocks);
    }
    let (mut blocks, mut parole, state) = rows.get_mut(piece).ok()?;
    if *state != PieceState::Fetching || blocks.free() == 0 {
        return None;
    }
    if parole.active && *parole.peer.get_or_insert(peer) != peer {
        return None;
    }
    ask(&mut blocks)
}
