//! Starting, pausing, checking again, and going.

use core::time::Duration;

use bevy_ecs::prelude::*;
use dunlin_base::{BlockIndex, PieceIndex, TorrentKey};
use dunlin_components::node::{Node, Rules};
use dunlin_components::peer::Requests;
use dunlin_components::piece::{Blocks, Piece, PieceState};
use dunlin_components::torrent::{
    ActivePieces, Availability, Candidates, Commit, Content, FreeBlocks, Have, LastBlocks,
    Lifecycle, NodeOf, Peers, SuperSeeding, SwarmHash, Torrent, Trackers, Traffic, Wanted,
};
use dunlin_components::world::{MemoryBudget, Now, PortOutbox, TorrentIndex, Wake, Work};
use dunlin_port::disk::{DiskCommand, Keep};
use dunlin_port::net::NetCommand;
use dunlin_port::snapshot::SessionEvent;
use dunlin_protocol::wire::Message;

use crate::connect::{Drop, drop_peer};
use crate::receive::count_copies;

/// How long a torrent that goes waits for its trackers to take leave of it.
pub(super) const GOODBYE_MAX: Duration = Duration::from_secs(5);

/// Whether the engine is asked to stop, and has said that it is quiet.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Stopping {
    pub(crate) said: bool,
}

/// Takes part in the swarm, from what is there now.
pub(super) fn start(world: &mut World, entity: Entity) {
    let Some(key) = world.get::<Torrent>(entity).map(|row| row.0) else {
        return;
    };
    let missing = is_missing(world, entity);
    let unknown = world.get::<Content>(entity).is_none();
    let Some(mut lifecycle) = world.get_mut::<Lifecycle>(entity) else {
        return;
    };
    *lifecycle = if unknown {
        Lifecycle::Metadata
    } else if missing {
        Lifecycle::Downloading
    } else {
        Lifecycle::Seeding
    };
    let now = world.resource::<Now>().0;
    if missing && let Some(mut candidates) = world.get_mut::<Candidates>(entity) {
        candidates.want_again(now);
    }
    super_seed(world, entity);
    crate::connect::watch(world, entity);
    crate::discover::start(world, entity);
    super::stop::write_again(world, entity);
    let mut work = world.resource_mut::<Work>();
    work.connect.insert(key);
    work.completion.insert(key);
}

/// A torrent that is whole when it starts poses as one without pieces, if the rules say so: nobody
/// has been told of any yet.
fn super_seed(world: &mut World, entity: Entity) {
    let node = world.get::<NodeOf>(entity).map(|of| of.0);
    let rules = node.and_then(|node| world.get::<Rules>(node));
    let asked = rules.is_some_and(|rules| rules.0.choke.super_seed);
    let whole = world
        .get::<Have>(entity)
        .is_some_and(|have| have.0.is_full());
    if asked && whole {
        let copies = count_copies(world, entity).with_nowhere();
        let pieces = world
            .get::<Content>(entity)
            .map_or(0, |content| content.0.geometry().piece_count());
        world
            .entity_mut(entity)
            .insert((SuperSeeding::new(pieces), copies));
    } else {
        let mut row = world.entity_mut(entity);
        row.remove::<SuperSeeding>();
        if whole {
            row.remove::<Availability>();
        }
    }
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
    hang_up(world, entity);
    hang_up_half_open(world, entity);
    discard_pieces(world, entity);
}

/// Ends the connections of a torrent that shook hands; their addresses are as good as before.
pub(super) fn hang_up(world: &mut World, entity: Entity) {
    let peers: Vec<_> = world
        .get::<Peers>(entity)
        .map_or_else(Vec::new, |peers| peers.0.keys().copied().collect());
    for peer in peers {
        drop_peer(world, peer, Drop::resting());
    }
}

/// As above, of those that did not shake hands yet.
pub(super) fn hang_up_half_open(world: &mut World, entity: Entity) {
    for peer in half_open(world, entity) {
        drop_peer(world, peer, Drop::resting());
    }
}

/// Connections of a torrent that did not shake hands yet.
fn half_open(world: &mut World, entity: Entity) -> Vec<dunlin_base::PeerKey> {
    use dunlin_components::peer::{Peer, PeerOf, Phase};
    let mut query = world.query::<(&Peer, &PeerOf, &Phase)>();
    let mut peers: Vec<_> = query
        .iter(world)
        .filter(|(_, of, phase)| of.0 == entity && **phase != Phase::Established)
        .map(|(peer, ..)| peer.0)
        .collect();
    peers.sort_unstable();
    peers
}

/// Forgets pieces that are being fetched. Those that are hashed or written run on: their verdict
/// finds them gone or there, and nothing that is good is lost.
fn discard_pieces(world: &mut World, entity: Entity) {
    let Some(active) = world.get::<ActivePieces>(entity) else {
        return;
    };
    let fetching: Vec<_> = active
        .0
        .iter()
        .filter(|&(_, &piece)| world.get::<PieceState>(piece) == Some(&PieceState::Fetching))
        .map(|(&index, &piece)| (index, piece))
        .collect();
    let any = !fetching.is_empty();
    for (index, piece) in fetching {
        assert_eq!(
            world.get::<Piece>(piece),
            Some(&Piece(index)),
            "the map points at its pieces"
        );
        discard_piece(world, entity, index, piece);
    }
    if any {
        super::select::apply_selection(world, entity);
    }
}

/// Gives a piece up that is being fetched: who is asked for its blocks need not send them any more.
pub(crate) fn give_up(world: &mut World, torrent: Entity, index: PieceIndex, piece: Entity) {
    take_requests_back(world, torrent, index);
    discard_piece(world, torrent, index, piece);
}

/// Asks nobody any more for blocks of a piece.
pub(crate) fn take_requests_back(world: &mut World, torrent: Entity, index: PieceIndex) {
    let peers: Vec<_> = world.get::<Peers>(torrent).map_or_else(Vec::new, |peers| {
        peers.0.iter().map(|(&peer, &row)| (peer, row)).collect()
    });
    let Some(content) = world.get::<Content>(torrent).cloned() else {
        return;
    };
    for (peer, row) in peers {
        let Some(mut requests) = world.get_mut::<Requests>(row) else {
            continue;
        };
        let (void, kept): (Vec<_>, Vec<_>) = requests
            .out
            .drain(..)
            .partition(|request| request.piece == index);
        requests.out = kept.into();
        let piece = world
            .get::<ActivePieces>(torrent)
            .and_then(|active| active.0.get(&index).copied());
        if let Some(mut blocks) = piece.and_then(|piece| world.get_mut::<Blocks>(piece)) {
            for request in &void {
                blocks.release(request.block, peer);
            }
        }
        let outbox = &mut world.resource_mut::<PortOutbox>().into_inner().0.net;
        outbox.extend(void.into_iter().map(|request| {
            let block = crate::receive::request_of(&content, index, request.block);
            NetCommand::Send {
                peer,
                message: Message::Cancel(block),
            }
        }));
    }
    // It may stay in motion: a piece that is parked is asked for again.
    if let Some(mut last) = world.get_mut::<LastBlocks>(torrent) {
        last.forget(index);
    }
}

/// Takes a piece out of motion that is not whole, or whose blocks are lost: they came for nothing.
pub(crate) fn discard_piece(world: &mut World, torrent: Entity, index: PieceIndex, piece: Entity) {
    let geometry = world
        .get::<Content>(torrent)
        .map(|content| *content.0.geometry());
    if let (Some(geometry), Some(blocks)) = (geometry, world.get::<Blocks>(piece)) {
        let arrived = blocks
            .senders()
            .zip(0..)
            .filter(|(sender, _)| sender.is_some());
        let lens = arrived.map(|(_, block)| geometry.block_len(index, BlockIndex(block)));
        let bytes: u64 = lens.map(u64::from).sum();
        if let Some(mut traffic) = world.get_mut::<Traffic>(torrent) {
            traffic.wasted_bytes += bytes;
        }
    }
    close_piece(world, torrent, index, piece);
}

/// Gives pieces up that are being fetched and that nobody wants any more.
pub(super) fn give_up_unwanted(world: &mut World, entity: Entity) {
    let (Some(active), Some(wanted)) = (
        world.get::<ActivePieces>(entity),
        world.get::<Wanted>(entity),
    ) else {
        return;
    };
    let unwanted: Vec<_> = active
        .0
        .iter()
        .filter(|&(&index, &piece)| {
            !wanted.0.has(index) && world.get::<PieceState>(piece) == Some(&PieceState::Fetching)
        })
        .map(|(&index, &piece)| (index, piece))
        .collect();
    for (index, piece) in unwanted {
        give_up(world, entity, index, piece);
    }
}

/// Takes a piece out of motion and gives its memory back.
pub(crate) fn close_piece(world: &mut World, torrent: Entity, index: PieceIndex, piece: Entity) {
    let window = world.get::<Blocks>(piece).map_or(0, Blocks::window);
    if let Some(mut active) = world.get_mut::<ActivePieces>(torrent) {
        active.0.remove(&index);
    }
    if let Some(mut free) = world.get_mut::<FreeBlocks>(torrent) {
        free.note(index, false);
    }
    if let Some(mut last) = world.get_mut::<LastBlocks>(torrent) {
        last.forget(index);
    }
    world.despawn(piece);
    world.resource_mut::<MemoryBudget>().release(window);
    world.resource_mut::<Work>().memory_freed = true;
}

pub(super) fn pause(world: &mut World, entity: Entity) {
    if let Some(mut lifecycle) = world.get_mut::<Lifecycle>(entity)
        && let Lifecycle::Opening { paused, .. } = &mut *lifecycle
    {
        *paused = true;
        // Peers that told us what the torrent contains are still there.
        leave(world, entity);
        return;
    }
    leave(world, entity);
    if let Some(mut lifecycle) = world.get_mut::<Lifecycle>(entity) {
        *lifecycle = Lifecycle::Paused;
    }
    ask_commit(world, entity);
}

pub(super) fn resume(world: &mut World, entity: Entity) {
    let unopened = is_unopened(world, entity);
    match world.get_mut::<Lifecycle>(entity).map(Mut::into_inner) {
        Some(Lifecycle::Opening { paused, .. }) => *paused = false,
        // Paused while its files could not be opened: nobody knows yet what is there.
        Some(Lifecycle::Paused) if unopened => {
            super::stop::retry(world, entity);
        }
        Some(Lifecycle::Paused) => {
            start(world, entity);
            ask_commit(world, entity);
        }
        Some(Lifecycle::Stopped { .. }) => super::stop::retry(world, entity),
        Some(
            Lifecycle::Metadata | Lifecycle::Downloading | Lifecycle::Seeding | Lifecycle::Closing,
        )
        | None => {}
    }
}

/// Whether it is known what should be on disk, but not what is.
fn is_unopened(world: &World, entity: Entity) -> bool {
    let opened = world.get::<Commit>(entity).is_some_and(|row| row.opened);
    world.get::<Content>(entity).is_some() && !opened
}

pub(super) fn recheck(world: &mut World, entity: Entity) {
    let Some(torrent) = world.get::<Torrent>(entity).map(|row| row.0) else {
        return;
    };
    if world.get::<Content>(entity).is_none() {
        // There is nothing to check before it is known what there should be.
        return;
    }
    let paused = matches!(
        world.get::<Lifecycle>(entity),
        Some(Lifecycle::Paused | Lifecycle::Opening { paused: true, .. })
    );
    leave(world, entity);
    if let Some(mut lifecycle) = world.get_mut::<Lifecycle>(entity) {
        *lifecycle = Lifecycle::Opening {
            done: 0,
            of: 0,
            paused,
        };
    }
    world
        .resource_mut::<PortOutbox>()
        .0
        .disk
        .push(DiskCommand::Recheck { torrent });
}

/// Ends a torrent; its row goes when the disk has closed its files.
pub(super) fn close(world: &mut World, entity: Entity, keep: Keep) {
    let Some(torrent) = world.get::<Torrent>(entity).map(|row| row.0) else {
        return;
    };
    let opening = matches!(
        world.get::<Lifecycle>(entity),
        Some(Lifecycle::Opening { .. })
    );
    leave(world, entity);
    if keep == Keep::All && !opening {
        super::commit::commit_behind(world, entity, torrent);
    }
    if let Some(mut lifecycle) = world.get_mut::<Lifecycle>(entity) {
        *lifecycle = Lifecycle::Closing;
    }
    if world.get::<Content>(entity).is_none() {
        // The disk has never heard of it.
        super::files::closed(world, torrent);
        return;
    }
    world
        .resource_mut::<PortOutbox>()
        .0
        .disk
        .push(DiskCommand::Close { torrent, keep });
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
    let torrents: Vec<(TorrentKey, Entity)> = world
        .resource::<TorrentIndex>()
        .by_key
        .iter()
        .map(|(&key, &entity)| (key, entity))
        .collect();
    for (_, entity) in torrents {
        if world.get::<Lifecycle>(entity) != Some(&Lifecycle::Closing) {
            close(world, entity, Keep::All);
        }
    }
    world.insert_resource(Stopping { said: false });
}

/// Removes torrents whose files are closed, once their trackers know that they left; a tracker that
/// does not answer is not waited for longer than [`GOODBYE_MAX`].
pub(super) fn reap_closed(world: &mut World) {
    let now = world.resource::<Now>().0;
    for (torrent, until) in core::mem::take(&mut world.resource_mut::<Work>().reap) {
        let Some(entity) = world.resource::<TorrentIndex>().get(torrent) else {
            continue;
        };
        let quiet = world
            .get::<Trackers>(entity)
            .is_none_or(crate::discover::is_quiet);
        if !quiet && until > now {
            world.resource_mut::<Work>().reap.insert(torrent, until);
            world.resource_mut::<Wake>().by(until);
            continue;
        }
        let node = world
            .get::<NodeOf>(entity)
            .and_then(|of| world.get::<Node>(of.0));
        let hash_key = node
            .zip(world.get::<SwarmHash>(entity))
            .map(|(node, hash)| (node.0, hash.0));
        let mut index = world.resource_mut::<TorrentIndex>();
        index.by_key.remove(&torrent);
        if let Some(key) = hash_key {
            index.by_hash.remove(&key);
        }
        let in_motion = world
            .get::<ActivePieces>(entity)
            .map_or_else(Vec::new, |active| {
                active
                    .0
                    .iter()
                    .map(|(&index, &piece)| (index, piece))
                    .collect()
            });
        for (index, piece) in in_motion {
            close_piece(world, entity, index, piece);
        }
        world.despawn(entity);
        let removed = SessionEvent::Removed { torrent };
        world.resource_mut::<PortOutbox>().0.session.push(removed);
    }
}

/// Says once that a stopping engine is quiet: every torrent is gone.
pub(super) fn say_stopped(
    index: Res<'_, TorrentIndex>,
    stopping: Option<ResMut<'_, Stopping>>,
    mut outbox: ResMut<'_, PortOutbox>,
) {
    let Some(mut stopping) = stopping else { return };
    if !stopping.said && index.by_key.is_empty() {
        stopping.said = true;
        outbox.0.session.push(SessionEvent::Stopped);
    }
}
