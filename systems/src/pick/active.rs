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
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// A block.
    Some,
    /// A block, for which there is no memory now.
    NoMemory,
    /// Nothing: all blocks are asked for, it is past fetching, or on parole at somebody else.
    None,
}

/// The next block of a piece to ask a peer for, noted as asked, if [`room`] is for one.
pub(super) fn take_block(
    opened: &mut Opened,
    rows: &mut PieceRows<'_, '_>,
    budget: &mut MemoryBudget,
    piece: Entity,
    peer: PeerKey,
) -> Option<BlockIndex> {
    if room(opened, rows, budget, piece, peer) != Room::Some {
        return None;
    }
    if let Some((_, _, blocks)) = opened.0.get_mut(&piece) {
        let block = blocks.first_free()?;
        return blocks.request(block, peer).then_some(block);
    }
    let (mut blocks, mut parole, _) = rows.get_mut(piece).ok()?;
    if blocks.window() == 0 {
        let window = budget.reserve(blocks.unfiled())?;
        blocks.set_window(window);
    }
    if parole.active {
        parole.peer = Some(peer);
    }
    let block = blocks.first_free()?;
    blocks.request(block, peer).then_some(block)
}

/// Whether [`take_block`] would find one.
pub(super) fn room(
    opened: &Opened,
    rows: &PieceRows<'_, '_>,
    budget: &MemoryBudget,
    piece: Entity,
    peer: PeerKey,
) -> Room {
    let blocks = match opened.0.get(&piece) {
        Some((_, _, blocks)) => blocks,
        None => match rows.get(piece) {
            Ok((blocks, parole, PieceState::Fetching))
                if !parole.active || parole.peer.is_none_or(|other| other == peer) =>
            {
                blocks
            }
            _ => return Room::None,
        },
    };
    let parked = blocks.window() == 0;
    match blocks.free() {
        0 => Room::None,
        _ if blocks.has_room() || parked && budget.admits(blocks.unfiled()) => Room::Some,
        _ => Room::NoMemory,
    }
}
