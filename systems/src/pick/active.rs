//! The pieces in motion as picking sees them: those that are entities already, and those that this
//! very run opens and that become entities at its end.

use std::collections::BTreeMap;

use bevy_ecs::prelude::*;
use dunlin_base::{BlockIndex, PeerKey, PieceIndex};
use dunlin_components::piece::{Blocks, Parole, Piece, PieceOf, PieceState};
use dunlin_components::world::MemoryBudget;

/// Pieces that this run opened, by entity, to be inserted at its end.
#[derive(Default)]
pub(super) struct Opened(BTreeMap<Entity, (Entity, PieceIndex, Blocks)>);

impl Opened {
    pub(super) fn open(
        &mut self,
        piece: Entity,
        torrent: Entity,
        index: PieceIndex,
        blocks: Blocks,
    ) {
        self.0.insert(piece, (torrent, index, blocks));
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

/// What a piece has for a peer.
pub(super) enum Taken {
    /// A block, noted as asked, and whether it was the last one that nobody was asked for.
    Block { block: BlockIndex, was_last: bool },
    /// A block, for which there is no memory: the budget has to admit so many, or none and there has
    /// to be room in the piece's window.
    NoMemory(u32),
    /// Nothing: all blocks are asked for, it is past fetching, or on parole at somebody else.
    Nothing,
}

/// The next block of a piece to ask a peer for.
pub(super) fn take_block(
    opened: &mut Opened,
    rows: &mut PieceRows<'_, '_>,
    budget: &mut MemoryBudget,
    piece: Entity,
    peer: PeerKey,
) -> Taken {
    if let Some((_, _, blocks)) = opened.0.get_mut(&piece) {
        return ask(blocks, peer);
    }
    let Ok((mut blocks, mut parole, state)) = rows.get_mut(piece) else {
        return Taken::Nothing;
    };
    if *state != PieceState::Fetching || blocks.free() == 0 || !parole.lets(peer) {
        return Taken::Nothing;
    }
    if blocks.window() == 0 {
        let blocks = &mut *blocks;
        match budget.reserve(blocks.unfiled()) {
            Some(window) => blocks.set_window(window),
            None => return Taken::NoMemory(blocks.unfiled()),
        }
    }
    let taken = ask(&mut blocks, peer);
    if matches!(taken, Taken::Block { .. }) && parole.is_active() {
        parole.ask(peer);
    }
    taken
}

fn ask(blocks: &mut Blocks, peer: PeerKey) -> Taken {
    let Some(block) = blocks.first_free() else {
        return Taken::Nothing;
    };
    if !blocks.has_room() {
        return Taken::NoMemory(0);
    }
    if !blocks.request(block, peer) {
        return Taken::Nothing;
    }
    Taken::Block {
        block,
        was_last: blocks.free() == 0,
    }
}
