//! Memory that pieces hold which nobody can finish.

use bevy_ecs::prelude::*;
use dunlin_base::{PieceIndex, TorrentKey};
use dunlin_components::peer::{AllowedFast, AmInterested, PeerChoking};
use dunlin_components::piece::{Blocks, Piece, PieceOf, PieceState};
use dunlin_components::torrent::Torrent;
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

/// Whether memory keeps a peer from being asked for a new piece. Those that went or choke us by now
/// wait for nothing.
fn is_short(world: &mut World) -> bool {
    let mut starved = core::mem::take(&mut world.resource_mut::<Work>().starved);
    let peers = world.resource::<PeerIndex>();
    starved.retain(|peer, _| {
        peers.get(*peer).is_some_and(|row| {
            let interested = world.get::<AmInterested>(row).is_some_and(|row| row.0);
            let choking = world.get::<PeerChoking>(row).is_none_or(|row| row.0);
            let fast = world.get::<AllowedFast>(row);
            interested && (!choking || fast.is_some_and(|fast| !fast.to_us.is_empty()))
        })
    });
    let budget = world.resource::<MemoryBudget>();
    let is_short = starved
        .values()
        .any(|starved| !budget.admits(starved.piece_bytes));
    world.resource_mut::<Work>().starved = starved;
    is_short
}
