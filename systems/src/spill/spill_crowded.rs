//! Pieces that are longer than their window go to their files part by part.

use bevy_ecs::prelude::*;
use dunlin_components::piece::{Blocks, PieceState};
use dunlin_components::torrent::ActivePieces;
use dunlin_components::world::{MemoryBudget, PortOutbox, TorrentIndex, Work};

use super::Leaving;

pub(super) fn spill_crowded(
    index: Res<'_, TorrentIndex>,
    mut work: ResMut<'_, Work>,
    mut budget: ResMut<'_, MemoryBudget>,
    mut outbox: ResMut<'_, PortOutbox>,
    torrents: Query<'_, '_, &ActivePieces>,
    mut pieces: Query<'_, '_, (&mut Blocks, &PieceState)>,
) {
    for (torrent, piece) in work.crowded.drain(..) {
        let active = index.get(torrent).and_then(|row| torrents.get(row).ok());
        let row = active.and_then(|active| active.0.get(&piece));
        let Some((mut blocks, state)) = row.and_then(|row| pieces.get_mut(*row).ok()) else {
            continue;
        };
        if *state == PieceState::Fetching && blocks.is_crowded() {
            let leaving = Leaving { torrent, piece };
            let spill = leaving.spill(&mut blocks, &mut budget, false);
            outbox.0.disk.push(spill);
        }
    }
}
