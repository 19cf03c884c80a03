//! What the disk says of whole torrents.

use bevy_ecs::prelude::*;
use dunlin_base::{EngineTime, TorrentKey};
use dunlin_components::torrent::{Commit, Content, Have, Lifecycle, Place, Traffic};
use dunlin_components::world::{Now, PortOutbox, RoutedEvents, TorrentIndex, Work};
use dunlin_port::disk::{DiskError, DiskEvent, Totals};
use dunlin_port::snapshot::SessionEvent;

use super::{rest, select, stop_torrent};

pub(super) fn settle_files(world: &mut World) {
    let mut events = core::mem::take(&mut world.resource_mut::<RoutedEvents>().files);
    for event in events.drain(..) {
        settle(world, event);
    }
    world.resource_mut::<RoutedEvents>().files = events;
}

fn settle(world: &mut World, event: DiskEvent) {
    match event {
        DiskEvent::Checking { torrent, done, of } => {
            let Some(entity) = world.resource::<TorrentIndex>().get(torrent) else {
                return;
            };
            if let Some(mut lifecycle) = world.get_mut::<Lifecycle>(entity)
                && let Lifecycle::Opening { paused, .. } = *lifecycle
            {
                *lifecycle = Lifecycle::Opening { done, of, paused };
            }
        }
        DiskEvent::Opened {
            torrent,
            have,
            checked,
            totals,
        } => {
            opened(world, torrent, have, checked, totals);
        }
        DiskEvent::Committed { torrent } => committed(world, torrent),
        DiskEvent::Moved {
            torrent,
            root,
            error,
        } => {
            let Some(entity) = world.resource::<TorrentIndex>().get(torrent) else {
                return;
            };
            if let Some(mut place) = world.get_mut::<Place>(entity) {
                place.root = root.as_path().into();
            }
            let error = error.map(|error| error.message);
            emit(
                world,
                SessionEvent::Moved {
                    torrent,
                    root,
                    error,
                },
            );
        }
        DiskEvent::ClosedFiles { torrent } => closed(world, torrent),
        DiskEvent::Failed { torrent, error } => failed(world, torrent, &error),
        DiskEvent::Written { .. }
        | DiskEvent::WriteFailed { .. }
        | DiskEvent::Spilled { .. }
        | DiskEvent::SpillFailed { .. }
        | DiskEvent::Hashed(_)
        | DiskEvent::HashFailed { .. }
        | DiskEvent::Read { .. } => {
            unreachable!("only events of whole torrents are routed here")
        }
    }
}

fn emit(world: &mut World, event: SessionEvent) {
    world.resource_mut::<PortOutbox>().0.session.push(event);
}

fn opened(
    world: &mut World,
    torrent: TorrentKey,
    have: dunlin_base::Bitfield,
    checked: u32,
    totals: Totals,
) {
    let Some(entity) = world.resource::<TorrentIndex>().get(torrent) else {
        return;
    };
    let expected = world
        .get::<Content>(entity)
        .map(|content| content.0.geometry().piece_count());
    assert_eq!(
        expected,
        Some(have.len()),
        "the disk answers with as many bits as there are pieces"
    );
    let have_pieces = have.count();
    let paused = match world.get::<Lifecycle>(entity) {
        Some(Lifecycle::Closing) | None => return,
        Some(Lifecycle::Opening { paused, .. }) => {
            let paused = *paused;
            if have_pieces > 0 {
                // Who told us what the torrent contains was told that we have nothing of it.
                rest::hang_up(world, entity);
            }
            paused
        }
        // The answer to a second check: a person may have asked for several.
        Some(lifecycle) => *lifecycle == Lifecycle::Paused,
    };
    if let Some(mut row) = world.get_mut::<Have>(entity) {
        row.0 = have;
    }
    // Opened once more in this run, the disk remembers what came in it too.
    if let Some(mut traffic) = world.get_mut::<Traffic>(entity)
        && traffic.totals() == Totals::default()
    {
        traffic.earlier = totals;
    }
    select::apply_selection(world, entity);
    emit(
        world,
        SessionEvent::Opened {
            torrent,
            have_pieces,
            checked_pieces: checked,
        },
    );
    if let Some(mut lifecycle) = world.get_mut::<Lifecycle>(entity) {
        *lifecycle = Lifecycle::Paused;
    }
    if let Some(mut commit) = world.get_mut::<Commit>(entity) {
        commit.opened = true;
        commit.dirty = true;
    }
    world.resource_mut::<Work>().commit.insert(torrent);
    if is_missing(world, entity) {
        refuse_to_download(world, entity);
    } else if !paused {
        rest::start(world, entity);
    }
}

/// Whether a torrent that is only seeded lacks anything.
fn is_missing(world: &World, entity: Entity) -> bool {
    world.get::<Place>(entity).is_some_and(|place| place.as_is)
        && world
            .get::<Have>(entity)
            .is_some_and(|have| !have.0.is_full())
}

/// Downloading would write over what a person shares, which may be what they mean to share.
fn refuse_to_download(world: &mut World, entity: Entity) {
    let Some(have) = world.get::<Have>(entity) else {
        return;
    };
    let (missing, pieces) = (have.0.len() - have.0.count(), have.0.len());
    if let Some(mut lifecycle) = world.get_mut::<Lifecycle>(entity) {
        *lifecycle = Lifecycle::Stopped {
            reason: format!("{missing} of {pieces} pieces are missing or not as the torrent says"),
            retry_at: EngineTime::NEVER,
        };
    }
}

fn committed(world: &mut World, torrent: TorrentKey) {
    let Some(entity) = world.resource::<TorrentIndex>().get(torrent) else {
        return;
    };
    let Some(mut commit) = world.get_mut::<Commit>(entity) else {
        return;
    };
    commit.under_way = commit.under_way.saturating_sub(1);
    // What completes it may be in the one that follows.
    let is_last = commit.under_way == 0;
    let completes = is_last && core::mem::take(&mut commit.under_way_completes);
    let dirty = commit.dirty;
    if completes {
        emit(world, SessionEvent::Completed { torrent });
    }
    if dirty {
        world.resource_mut::<Work>().commit.insert(torrent);
    }
}

/// The files are closed; the row goes when the trackers have been told too.
pub(super) fn closed(world: &mut World, torrent: TorrentKey) {
    let now = world.resource::<Now>().0;
    if world.resource::<TorrentIndex>().get(torrent).is_some() {
        world
            .resource_mut::<Work>()
            .reap
            .insert(torrent, now + rest::GOODBYE_MAX);
    }
}

fn failed(world: &mut World, torrent: TorrentKey, error: &DiskError) {
    let Some(entity) = world.resource::<TorrentIndex>().get(torrent) else {
        return;
    };
    let now = world.resource::<Now>().0;
    if let Some(mut commit) = world.get_mut::<Commit>(entity) {
        // What was to be committed is not: it is tried again when the torrent recovers.
        commit.under_way = 0;
        commit.dirty = true;
        commit.completes |= core::mem::take(&mut commit.under_way_completes);
    }
    tracing::warn!(at = %now, torrent = torrent.0, %error, "disk trouble");
    stop_torrent(world, entity, &error.message);
}
