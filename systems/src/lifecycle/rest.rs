//! Starting, pausing, checking again, and going.

use bevy_ecs::prelude::*;
use dunlin_base::{PieceIndex, TorrentKey};
use dunlin_components::piece::Piece;
use dunlin_components::torrent::{
    ActivePieces, Commit, Content, Have, Lifecycle, Peers, PickOrder, PieceRank, Torrent, Trackers, Wanted,
};
use dunlin_components::world::{MemoryBudget, PortOutbox, TorrentIndex, Work};
use dunlin_port::disk::{DiskCommand, Keep};
use dunlin_port::snapshot::SessionEvent;
use dunlin_port::user::FilePriority;

use crate::connect::{Drop, drop_peer};

/// Whether the engine is asked to stop, and has said that it is quiet.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stopping {
    said: bool,
}

/// Takes part in the swarm, from what is there now.
pub(super) fn start(world: &mut World, entity: Entity) {
    let Some(key) = world.get::<Torrent>(entity).map(|row| row.0) else { return };
    let missing = is_missing(world, entity);
    let Some(mut lifecycle) = world.get_mut::<Lifecycle>(entity) else { return };
    *lifecycle = if missing { Lifecycle::Downloading } else { Lifecycle::Seeding };
    crate::discover::start(world, entity);
    let mut work = world.resource_mut::<Work>();
    work.connect.insert(key);
    work.completion.insert(key);
}

/// Whether anything that is wanted is not there.
pub(super) fn is_missing(world: &World, entity: Entity) -> bool {
    match (world.get::<Wanted>(entity), world.get::<Have>(entity)) {
        (Some(wanted), Some(have)) => wanted.0.has_any_not_in(&have.0),
        _ => true,
    }
}

/// Leaves the swarm: peers go, blocks in motion are discarded, trackers are told.
pub(super) fn leave(world: &mut World, entity: Entity) {
    crate::discover::leave(world, entity);
    let peers: Vec<_> =
        world.get::<Peers>(entity).map_or_else(Vec::new, |peers| peers.0.keys().copied().collect());
    for peer in peers.into_iter().chain(half_open(world, entity)) {
        drop_peer(world, peer, Drop::resting());
    }
    discard_pieces(world, entity);
}

/// Connections of a torrent that did not shake hands yet.
fn half_open(world: &mut World, entity: Entity) -> Vec<dunlin_base::PeerKey> {
    use dunlin_components::peer::{Peer, PeerOf};
    let mut query = world.query::<(&Peer, &PeerOf)>();
    let mut peers: Vec<_> =
        query.iter(world).filter(|(_, of)| of.0 == entity).map(|(peer, _)| peer.0).collect();
    peers.sort_unstable();
    peers
}

/// Forgets pieces that are being fetched. Those that are hashed or written run on: their verdict
/// finds them gone or there, and nothing that is good is lost.
fn discard_pieces(world: &mut World, entity: Entity) {
    use dunlin_components::piece::PieceState;
    let Some(active) = world.get::<ActivePieces>(entity) else { return };
    let fetching: Vec<_> = active
        .0
        .iter()
        .filter(|&(_, &piece)| world.get::<PieceState>(piece) == Some(&PieceState::Fetching))
        .map(|(&index, &piece)| (index, piece))
        .collect();
    for (index, piece) in fetching {
        assert_eq!(world.get::<Piece>(piece), Some(&Piece(index)), "the map points at its pieces");
        close_piece(world, entity, index, piece);
        put_back(world, entity, index);
    }
}

/// Takes a piece out of motion and gives its memory back.
pub(crate) fn close_piece(world: &mut World, torrent: Entity, index: PieceIndex, piece: Entity) {
    let len = world.get::<Content>(torrent).map_or(0, |content| content.0.geometry().piece_len(index));
    if let Some(mut active) = world.get_mut::<ActivePieces>(torrent) {
        active.0.remove(&index);
    }
    world.despawn(piece);
    let mut budget = world.resource_mut::<MemoryBudget>();
    assert!(budget.bytes >= u64::from(len), "memory is given back once");
    budget.bytes -= u64::from(len);
    let mut work = world.resource_mut::<Work>();
    let starved = core::mem::take(&mut work.starved);
    work.pick.extend(starved);
}

/// Lets a piece be opened again, as an ordinary one: the next change of selection ranks it anew.
pub(crate) fn put_back(world: &mut World, torrent: Entity, index: PieceIndex) {
    use dunlin_components::node::Luck;
    use dunlin_components::torrent::{Availability, NodeOf};
    let Some(&NodeOf(node)) = world.get::<NodeOf>(torrent) else { return };
    let Some(mut luck) = world.get::<Luck>(node).copied() else { return };
    let copies = world.get::<Availability>(torrent).map_or(0, |copies| copies.partial(index));
    if let Some(mut order) = world.get_mut::<PickOrder>(torrent) {
        order.insert(index, PieceRank::new(FilePriority::Normal, copies), &mut luck.pick);
    }
    if let Some(mut row) = world.get_mut::<Luck>(node) {
        *row = luck;
    }
}

pub(super) fn pause(world: &mut World, entity: Entity) {
    if let Some(mut lifecycle) = world.get_mut::<Lifecycle>(entity)
        && let Lifecycle::Opening { paused, .. } = &mut *lifecycle
    {
        *paused = true;
        return;
    }
    leave(world, entity);
    if let Some(mut lifecycle) = world.get_mut::<Lifecycle>(entity) {
        *lifecycle = Lifecycle::Paused;
    }
    ask_commit(world, entity);
}

pub(super) fn resume(world: &mut World, entity: Entity) {
    match world.get_mut::<Lifecycle>(entity).map(Mut::into_inner) {
        Some(Lifecycle::Opening { paused, .. }) => *paused = false,
        Some(Lifecycle::Paused) => {
            start(world, entity);
            ask_commit(world, entity);
        }
        Some(Lifecycle::Stopped { .. }) => super::stop::retry(world, entity),
        Some(Lifecycle::Downloading | Lifecycle::Seeding | Lifecycle::Closing) | None => {}
    }
}

pub(super) fn recheck(world: &mut World, entity: Entity) {
    let Some(torrent) = world.get::<Torrent>(entity).map(|row| row.0) else { return };
    let paused = world.get::<Lifecycle>(entity) == Some(&Lifecycle::Paused);
    leave(world, entity);
    if let Some(mut lifecycle) = world.get_mut::<Lifecycle>(entity) {
        *lifecycle = Lifecycle::Opening { done: 0, of: 0, paused };
    }
    world.resource_mut::<PortOutbox>().0.disk.push(DiskCommand::Recheck { torrent });
}

/// Ends a torrent; its row goes when the disk has closed its files.
pub(super) fn close(world: &mut World, entity: Entity, keep: Keep) {
    let Some(torrent) = world.get::<Torrent>(entity).map(|row| row.0) else { return };
    let opening = matches!(world.get::<Lifecycle>(entity), Some(Lifecycle::Opening { .. }));
    leave(world, entity);
    if keep == Keep::All && !opening {
        super::commit::commit_now(world, entity, torrent);
    }
    if let Some(mut lifecycle) = world.get_mut::<Lifecycle>(entity) {
        *lifecycle = Lifecycle::Closing;
    }
    world.resource_mut::<PortOutbox>().0.disk.push(DiskCommand::Close { torrent, keep });
}

fn ask_commit(world: &mut World, entity: Entity) {
    if let Some(mut commit) = world.get_mut::<Commit>(entity) {
        commit.dirty = true;
    }
    if let Some(torrent) = world.get::<Torrent>(entity).map(|row| row.0) {
        world.resource_mut::<Work>().commit.insert(torrent);
    }
}

/// Stops everything; [`say_stopped`] tells when it is quiet.
pub(super) fn stop_all(world: &mut World) {
    if world.contains_resource::<Stopping>() {
        return;
    }
    let torrents: Vec<(TorrentKey, Entity)> =
        world.resource::<TorrentIndex>().by_key.iter().map(|(&key, &entity)| (key, entity)).collect();
    for (_, entity) in torrents {
        if world.get::<Lifecycle>(entity) != Some(&Lifecycle::Closing) {
            close(world, entity, Keep::All);
        }
    }
    world.insert_resource(Stopping { said: false });
}

/// Says once that a stopping engine is quiet: all files are closed. Trackers hear of it as long as
/// the driver lets their clients run.
pub(super) fn say_stopped(
    index: Res<'_, TorrentIndex>,
    trackers: Query<'_, '_, &Trackers>,
    stopping: Option<ResMut<'_, Stopping>>,
    mut outbox: ResMut<'_, PortOutbox>,
) {
    let Some(mut stopping) = stopping else { return };
    let quiet = trackers.iter().all(crate::discover::is_quiet);
    if !stopping.said && index.by_key.is_empty() && quiet {
        stopping.said = true;
        outbox.0.session.push(SessionEvent::Stopped);
    }
}
