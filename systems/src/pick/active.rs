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

/// The next block of a piece to ask a peer for, noted as asked. `None` when all are asked for, the
/// piece is past fetching, or it is on parole at somebody else.
pub(super) fn take_block(
    opened: &mut Opened,
    rows: &mut PieceRows<'_, '_>,
    piece: Entity,
    peer: PeerKey,
) -> Option<BlockIndex> {
    if let Some((_, _, blocks)) = opened.0.get_mut(&piece) {
        let block = blocks.first_free()?;
        return blocks.request(block, peer).then_some(block);
    }
    let (mut blocks, mut parole, state) = rows.get_mut(piece).ok()?;
    if *state != PieceState::Fetching || blocks.free() == 0 {
        return None;
    }
    if parole.active && *parole.peer.get_or_insert(peer) != peer {
        return None;
    }
    let block = blocks.first_free()?;
    blocks.request(block, peer).then_some(block)
}

/// Whether [`take_block`] would find one.
pub(super) fn has_block(
    opened: &Opened,
    rows: &PieceRows<'_, '_>,
    piece: Entity,
    peer: PeerKey,
) -> bool {
    if let Some((_, _, blocks)) = opened.0.get(&piece) {
        return blocks.free() > 0;
    }
    rows.get(piece).is_ok_and(|(blocks, parole, state)| {
        let elsewhere = parole.active && parole.peer.is_some_and(|other| other != peer);
        *state == PieceState::Fetching && blocks.free() > 0 && !elsewhere
    })
}
