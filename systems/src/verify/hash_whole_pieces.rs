//! Whole pieces go to the hashers.

use bevy_ecs::prelude::*;
use dunlin_components::piece::{Blocks, Parole, PieceState};
use dunlin_components::torrent::{ActivePieces, Content, Suspects};
use dunlin_components::world::{MemoryBudget, PortOutbox, TorrentIndex, Work};
use dunlin_port::hash::HashJob;

use crate::spill::Leaving;

pub(super) fn hash_whole_pieces(
    index: Res<'_, TorrentIndex>,
    mut work: ResMut<'_, Work>,
    mut budget: ResMut<'_, MemoryBudget>,
    mut outbox: ResMut<'_, PortOutbox>,
    torrents: Query<'_, '_, (&Content, &ActivePieces, &Suspects)>,
    mut pieces: Query<'_, '_, (&mut Blocks, &Parole, &mut PieceState)>,
) {
    for (torrent, piece) in work.whole.drain(..) {
        let Some((content, active, suspects)) = index
            .get(torrent)
            .and_then(|entity| torrents.get(entity).ok())
        else {
            continue;
        };
        let row = active
            .0
            .get(&piece)
            .and_then(|entity| pieces.get_mut(*entity).ok());
        let Some((mut blocks, parole, mut state)) = row else {
            continue;
        };
        if *state != PieceState::Fetching || !blocks.is_whole() {
            continue;
        }
        let expected = content
            .0
            .piece_hash(piece)
            .expect("only torrents with v1 hashes are added");
        *state = PieceState::Hashing;
        // A piece that was given up and begun anew has its suspects still.
        let digest_blocks = parole.is_active() || suspects.0.contains_key(&piece);
        if blocks.is_spilled() {
            let leaving = Leaving { torrent, piece };
            let next = leaving.finish(&mut blocks, &mut budget, (*expected, digest_blocks));
            outbox.0.disk.extend(next);
            continue;
        }
        let number = budget.begin();
        blocks.begin_hash(number);
        outbox.0.hash.push(HashJob {
            torrent,
            piece,
            number,
            blocks: blocks.take_payloads(),
            expected: *expected,
            digest_blocks,
        });
    }
}
