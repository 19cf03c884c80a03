//! A torrent whose content is not known yet, as viewers see it.

use bevy_ecs::prelude::*;
use dunlin_base::TorrentKey;
use dunlin_components::peer::Extensions;
use dunlin_components::torrent::{MetadataFetch, Peers};
use dunlin_port::snapshot::{TorrentState, TorrentView};

use super::{snapshot, why};

/// Its row: there are no bytes, pieces and files yet.
pub(super) fn view(
    world: &World,
    key: TorrentKey,
    entity: Entity,
    attempts: u32,
    in_detail: bool,
) -> Option<TorrentView> {
    let facts = why::gather(world, entity, attempts)?;
    let view = snapshot::bare(world, key, entity, &facts, in_detail)?;
    let name = world
        .get::<MetadataFetch>(entity)
        .and_then(|fetch| fetch.name.clone());
    Some(TorrentView {
        name: name.unwrap_or(view.name),
        ..view
    })
}

/// How far the copy is that is furthest.
pub(super) fn state(world: &World, torrent: Entity) -> TorrentState {
    let copies = world
        .get::<MetadataFetch>(torrent)
        .into_iter()
        .flat_map(|fetch| &fetch.copies);
    let furthest = copies.max_by_key(|(key, copy)| (copy.done_bytes(), **key));
    TorrentState::Metadata {
        done_bytes: furthest.map_or(0, |(_, copy)| copy.done_bytes()),
        of_bytes: furthest.map_or(0, |(key, _)| key.size),
    }
}

/// Peers that say that they can send the metadata.
pub(super) fn offering(world: &World, torrent: Entity) -> u32 {
    let peers = world.get::<Peers>(torrent).into_iter();
    let rows = peers.flat_map(|peers| peers.0.values());
    let offers = rows.filter_map(|&peer| world.get::<Extensions>(peer));
    let count = offers
        .filter(|said| said.ut_metadata.is_some() && said.metadata_size.is_some())
        .count();
    u32::try_from(count).unwrap_or(u32::MAX)
}
