//! What the disk wrote.

use bevy_ecs::prelude::*;
use dunlin_base::{PieceIndex, TorrentKey};
use dunlin_components::piece::{PieceState, Unwritten};
use dunlin_components::torrent::{ActivePieces, Commit, Have, Wanted};
use dunlin_components::world::{PortOutbox, RoutedEvents, TorrentIndex, Work};
use dunlin_port::disk::DiskEvent;
use dunlin_port::snapshot::SessionEvent;

use crate::lifecycle::{close_piece, recover, stop_torrent};

pub(super) fn settle_writes(world: &mut World) {
    let mut events = core::mem::take(&mut world.resource_mut::<RoutedEvents>().writes);
    for event in events.drain(..) {
        match event {
            DiskEvent::Written { torrent, piece } => written(world, torrent, piece),
            DiskEvent::WriteFailed {
                torrent,
                piece,
                blocks,
                error,
            } => {
                let Some((entity, row)) = find(world, torrent, piece) else {
                    continue;
                };
                // The piece is good: it is kept, and written when the disk recovers.
                world
                    .entity_mut(row)
                    .insert((PieceState::Waiting, Unwritten(blocks)));
                stop_torrent(world, entity, &error.message);
            }
            _ => unreachable!("only write events are routed here"),
        }
    }
    world.resource_mut::<RoutedEvents>().writes = events;
}

fn find(world: &World, torrent: TorrentKey, piece: PieceIndex) -> Option<(Entity, Entity)> {
    let entity = world.resource::<TorrentIndex>().get(torrent)?;
    let row = *world.get::<ActivePieces>(entity)?.0.get(&piece)?;
    (world.get::<PieceState>(row) == Some(&PieceState::Writing)).then_some((entity, row))
}

pub(super) fn written(world: &mut World, torrent: TorrentKey, piece: PieceIndex) {
    let Some((entity, row)) = find(world, torrent, piece) else {
        return;
    };
    close_piece(world, entity, piece, row);
    let Some(mut have) = world.get_mut::<Have>(entity) else {
        return;
    };
    if !have.0.set(piece) {
        // A check found it while this copy was on its way.
        return recover(world, entity);
    }
    if let Some(mut commit) = world.get_mut::<Commit>(entity) {
        commit.dirty = true;
    }
    let missing = match (world.get::<Wanted>(entity), world.get::<Have>(entity)) {
        (Some(wanted), Some(have)) => wanted.0.has_any_not_in(&have.0),
        _ => true,
    };
    let mut work = world.resource_mut::<Work>();
    work.have.push((torrent, piece));
    work.commit.insert(torrent);
    if !missing {
        work.completion.insert(torrent);
    }
    let done = SessionEvent::PieceDone {
        torrent,
        piece: piece.0,
    };
    world.resource_mut::<PortOutbox>().0.session.push(done);
    recover(world, entity);
}
