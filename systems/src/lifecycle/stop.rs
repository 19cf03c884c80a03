//! A torrent whose surroundings fail it (disk full, folder gone, not allowed) stops with the
//! reason, and tries again by itself.

use core::time::Duration;

use bevy_ecs::prelude::*;
use dunlin_base::{PieceIndex, TorrentKey};
use dunlin_components::node::Rules;
use dunlin_components::piece::{Blocks, PieceState, Unwritten};
use dunlin_components::torrent::{
    ActivePieces, Commit, Content, Lifecycle, NodeOf, Place, Selection, Torrent,
};
use dunlin_components::world::{
    MemoryBudget, Now, PortOutbox, TimerKind, Timers, TorrentIndex, Work,
};
use dunlin_port::disk::{Check, DiskCommand};
use dunlin_port::snapshot::SessionEvent;
use dunlin_port::user::FilePriority;

use super::rest;
use crate::spill::Leaving;

/// Stops a torrent for a reason outside of it.
pub(crate) fn stop_torrent(world: &mut World, entity: Entity, reason: &str) {
    let Some(torrent) = world.get::<Torrent>(entity).map(|row| row.0) else {
        return;
    };
    let now = world.resource::<Now>().0;
    let Some(&NodeOf(node)) = world.get::<NodeOf>(entity) else {
        return;
    };
    let secs = world
        .get::<Rules>(node)
        .map_or(15, |rules| rules.0.storage.retry_secs);
    let mut paused = false;
    match world.get::<Lifecycle>(entity) {
        Some(Lifecycle::Closing | Lifecycle::Paused) | None => return,
        Some(Lifecycle::Stopped { .. }) => {}
        Some(
            Lifecycle::Metadata
            | Lifecycle::Opening { .. }
            | Lifecycle::Downloading
            | Lifecycle::Seeding,
        ) => {
            let opening = world.get::<Lifecycle>(entity);
            paused = matches!(opening, Some(Lifecycle::Opening { paused: true, .. }));
            rest::leave(world, entity);
            let event = SessionEvent::TorrentStopped {
                torrent,
                reason: reason.to_owned(),
                retry_secs: Some(secs),
            };
            world.resource_mut::<PortOutbox>().0.session.push(event);
        }
    }
    if paused {
        // A person wants it to rest; it is opened when it is resumed.
        if let Some(mut lifecycle) = world.get_mut::<Lifecycle>(entity) {
            *lifecycle = Lifecycle::Paused;
        }
        return;
    }
    let reason = format!("{reason}; it is tried again every {secs} s");
    let retry_at = now + Duration::from_secs(secs);
    if let Some(mut lifecycle) = world.get_mut::<Lifecycle>(entity) {
        *lifecycle = Lifecycle::Stopped { reason, retry_at };
    }
    world
        .resource_mut::<Timers>()
        .set(retry_at, torrent, TimerKind::Retry);
}

pub(super) fn retry_stopped(world: &mut World) {
    for key in core::mem::take(&mut world.resource_mut::<Work>().retry) {
        let now = world.resource::<Now>().0;
        let Some(entity) = world.resource::<TorrentIndex>().get(key) else {
            continue;
        };
        if let Some(Lifecycle::Stopped { retry_at, .. }) = world.get::<Lifecycle>(entity)
            && *retry_at <= now
        {
            retry(world, entity);
        }
    }
}

/// Tries again: pieces that could not be written are written; if there are none, the files are
/// opened and looked at anew.
pub(super) fn retry(world: &mut World, entity: Entity) {
    if write_again(world, entity) == 0 {
        return reopen(world, entity);
    }
    let now = world.resource::<Now>().0;
    if let Some(mut lifecycle) = world.get_mut::<Lifecycle>(entity)
        && let Lifecycle::Stopped { retry_at, .. } = &mut *lifecycle
    {
        // A person may not want to wait until then.
        *retry_at = now.min(*retry_at);
    }
}

/// Writes the pieces and the parts of pieces that could not be written; says how many there are.
pub(super) fn write_again(world: &mut World, entity: Entity) -> usize {
    let Some(torrent) = world.get::<Torrent>(entity).map(|row| row.0) else {
        return 0;
    };
    let Some(active) = world.get::<ActivePieces>(entity) else {
        return 0;
    };
    let pieces: Vec<_> = active
        .0
        .iter()
        .map(|(&index, &piece)| (index, piece))
        .collect();
    let mut writes = 0;
    for (index, piece) in pieces {
        let Some(Unwritten(blocks)) = world.entity_mut(piece).take::<Unwritten>() else {
            writes += usize::from(spill_again(world, piece, (torrent, index)));
            continue;
        };
        if let Some(mut state) = world.get_mut::<PieceState>(piece) {
            *state = PieceState::Writing;
        }
        let write = DiskCommand::Write {
            torrent,
            piece: index,
            blocks,
        };
        world.resource_mut::<PortOutbox>().0.disk.push(write);
        writes += 1;
    }
    writes
}

/// Spills what the disk refused of a piece; says whether there is any.
fn spill_again(world: &mut World, row: Entity, (torrent, piece): (TorrentKey, PieceIndex)) -> bool {
    if world.get::<PieceState>(row) != Some(&PieceState::Waiting) {
        return false;
    }
    world.resource_scope(|world, mut budget: Mut<'_, MemoryBudget>| {
        let Some(mut blocks) = world.get_mut::<Blocks>(row) else {
            return false;
        };
        // It may be on its way already.
        if blocks.spill().is_none() {
            let leaving = Leaving { torrent, piece };
            let spill = leaving.spill(&mut blocks, &mut budget, true);
            world.resource_mut::<PortOutbox>().0.disk.push(spill);
        }
        true
    })
}

fn reopen(world: &mut World, entity: Entity) {
    let (Some(torrent), Some(content), Some(place), Some(selection)) = (
        world.get::<Torrent>(entity),
        world.get::<Content>(entity),
        world.get::<Place>(entity),
        world.get::<Selection>(entity),
    ) else {
        return;
    };
    let open = DiskCommand::Open {
        torrent: torrent.0,
        info: content.0.clone(),
        root: place.root.clone(),
        preallocation: place.preallocation,
        wanted: selection
            .files
            .iter()
            .map(|priority| *priority != FilePriority::Skip)
            .collect(),
        check: Check::Quick,
        as_is: place.as_is,
    };
    if let Some(mut lifecycle) = world.get_mut::<Lifecycle>(entity) {
        *lifecycle = Lifecycle::Opening {
            done: 0,
            of: 0,
            paused: false,
        };
    }
    if let Some(mut commit) = world.get_mut::<Commit>(entity) {
        commit.opened = false;
    }
    world.resource_mut::<PortOutbox>().0.disk.push(open);
}

/// A write of a stopped torrent succeeded: it goes on, if that was its next try and no other write of it
/// is still to come. What was on its way when the torrent stopped, or one of several tries, says nothing of
/// the others: they would stop it again at once.
pub(crate) fn recover(world: &mut World, entity: Entity) {
    let now = world.resource::<Now>().0;
    match world.get::<Lifecycle>(entity) {
        Some(Lifecycle::Stopped { retry_at, .. }) if *retry_at <= now => {}
        _ => return,
    }
    let unwritten = |piece: &Entity| {
        let state = world.get::<PieceState>(*piece);
        matches!(state, Some(PieceState::Writing | PieceState::Waiting))
    };
    let active = world.get::<ActivePieces>(entity);
    if active.is_some_and(|active| active.0.values().any(unwritten)) {
        return;
    }
    let Some(torrent) = world.get::<Torrent>(entity).map(|row| row.0) else {
        return;
    };
    rest::start(world, entity);
    world
        .resource_mut::<PortOutbox>()
        .0
        .session
        .push(SessionEvent::TorrentRecovered { torrent });
}
