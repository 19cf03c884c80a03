//! Memory that pieces hold which nobody can finish.

use bevy_ecs::prelude::*;
use dunlin_base::{PieceIndex, TorrentKey};
use dunlin_components::peer::PeerOf;
use dunlin_components::piece::{Blocks, Piece, PieceOf, PieceState};
use dunlin_components::torrent::{Content, Torrent};
use dunlin_components::world::{MemoryBudget, PeerIndex, Work};

use crate::ingest::Sweep;
use crate::lifecycle::{apply_selection, give_up};

/// While a peer could give us a new piece but there is no memory for one, a piece in motion that
/// nobody is asked for makes room: who had it went or chokes us. One a second, the one with the
/// fewest blocks, so that a short lull costs little.
pub(super) fn free_memory(world: &mut World) {
    if !world.resource::<Sweep>().due || !is_short(world) {
        return;
    }
    let mut pieces = world.query::<(Entity, &Piece, &PieceOf, &Blocks, &PieceState)>();
    let idle = pieces
        .iter(world)
        .filter_map(|(entity, piece, of, blocks, state)| {
            let nobody_asked =
                blocks.free() > 0 && blocks.free() + blocks.arrived() == blocks.len();
            let key: TorrentKey = world.get::<Torrent>(of.0)?.0;
            let place: (u32, TorrentKey, PieceIndex) = (blocks.arrived(), key, piece.0);
            (*state == PieceState::Fetching && nobody_asked).then_some((place, of.0, entity))
        });
    if let Some(((_, _, index), torrent, piece)) = idle.min_by_key(|(place, ..)| *place) {
        give_up(world, torrent, index, piece);
        apply_selection(world, torrent);
    }
}

/// Whether memory keeps a peer from being asked for a new piece.
fn is_short(world: &World) -> bool {
    let (peers, budget) = (
        world.resource::<PeerIndex>(),
        world.resource::<MemoryBudget>(),
    );
    world.resource::<Work>().starved.iter().any(|peer| {
        let torrent = peers.get(*peer).and_then(|row| world.get::<PeerOf>(row));
        let content = torrent.and_then(|of| world.get::<Content>(of.0));
        content.is_some_and(|content| !budget.admits(content.0.geometry().piece_bytes()))
    })
}
