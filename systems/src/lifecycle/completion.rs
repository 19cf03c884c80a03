//! Whether everything that is wanted is there.

use bevy_ecs::prelude::*;
use dunlin_components::torrent::{
    Availability, Commit, FreeBlocks, LastBlocks, Lifecycle, Neighbours, Peers, PickOrder,
};
use dunlin_components::world::{TorrentIndex, Work};

use super::{commit, rest};

/// Moves torrents between downloading and seeding. A torrent that completes is committed at once;
/// it is announced as complete when the commit is safe.
pub(crate) fn settle_completion(world: &mut World) {
    for key in core::mem::take(&mut world.resource_mut::<Work>().completion) {
        let Some(entity) = world.resource::<TorrentIndex>().get(key) else {
            continue;
        };
        let missing = rest::is_missing(world, entity);
        let Some(mut lifecycle) = world.get_mut::<Lifecycle>(entity) else {
            continue;
        };
        match (&*lifecycle, missing) {
            (Lifecycle::Downloading, false) => {
                *lifecycle = Lifecycle::Seeding;
                crate::discover::completed(world, entity);
                world.entity_mut(entity).remove::<(
                    PickOrder,
                    FreeBlocks,
                    LastBlocks,
                    Availability,
                    Neighbours,
                )>();
                complete(world, entity, key);
            }
            // Complete from the start: say so, but there is nothing new to announce.
            (Lifecycle::Seeding, false) => complete(world, entity, key),
            (Lifecycle::Seeding, true) => {
                *lifecycle = Lifecycle::Downloading;
                crate::connect::watch(world, entity);
            }
            _ => {}
        }
    }
}

fn complete(world: &mut World, entity: Entity, key: dunlin_base::TorrentKey) {
    let peers: Vec<_> = world
        .get::<Peers>(entity)
        .map_or_else(Vec::new, |peers| peers.0.keys().copied().collect());
    world.resource_mut::<Work>().interest.extend(peers);
    if let Some(mut row) = world.get_mut::<Commit>(entity) {
        row.completes = true;
        row.dirty = true;
    }
    commit::commit_now(world, entity, key);
}
