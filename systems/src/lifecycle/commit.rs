//! When what was written is committed to the resume database.

use core::time::Duration;

use bevy_ecs::prelude::*;
use dunlin_base::TorrentKey;
use dunlin_components::node::Rules;
use dunlin_components::torrent::{Commit, Have, Lifecycle, NodeOf, Traffic};
use dunlin_components::world::{Now, PortOutbox, TimerKind, Timers, TorrentIndex, Work};
use dunlin_port::disk::DiskCommand;

/// Commits torrents whose turn has come: one commit at a time, at most one an interval.
pub(super) fn commit_due(world: &mut World) {
    for key in core::mem::take(&mut world.resource_mut::<Work>().commit) {
        let now = world.resource::<Now>().0;
        let Some(entity) = world.resource::<TorrentIndex>().get(key) else {
            continue;
        };
        let (Some(commit), Some(&NodeOf(node))) =
            (world.get::<Commit>(entity), world.get::<NodeOf>(entity))
        else {
            continue;
        };
        let secs = world
            .get::<Rules>(node)
            .map_or(5, |rules| rules.0.storage.commit_interval_secs);
        let due_at = commit.asked_at + Duration::from_secs(secs);
        // What a check will find is not known yet; its answer asks for a commit.
        let unsure = matches!(
            world.get::<Lifecycle>(entity),
            Some(Lifecycle::Opening { .. })
        );
        if !commit.dirty || commit.under_way > 0 || unsure {
            continue;
        }
        if due_at > now && !commit.completes {
            world
                .resource_mut::<Timers>()
                .set(due_at, key, TimerKind::Commit);
            continue;
        }
        commit_now(world, entity, key);
    }
}

/// Commits a torrent now, if there is anything to commit. While a commit is under way the next
/// one waits for its end.
pub(super) fn commit_now(world: &mut World, entity: Entity, torrent: TorrentKey) {
    let under_way = world.get::<Commit>(entity).map(|commit| commit.under_way);
    if under_way == Some(0) {
        commit_behind(world, entity, torrent);
    }
}

/// As above, but the disk carries it out behind the commit that is under way: for a torrent that is closed,
/// of which there is no later.
pub(super) fn commit_behind(world: &mut World, entity: Entity, torrent: TorrentKey) {
    let now = world.resource::<Now>().0;
    let (Some(have), Some(traffic), Some(lifecycle)) = (
        world.get::<Have>(entity),
        world.get::<Traffic>(entity),
        world.get::<Lifecycle>(entity),
    ) else {
        return;
    };
    let command = DiskCommand::Commit {
        torrent,
        have: have.0.clone(),
        totals: traffic.totals(),
        paused: *lifecycle == Lifecycle::Paused,
    };
    let Some(mut commit) = world.get_mut::<Commit>(entity) else {
        return;
    };
    if !commit.opened {
        return;
    }
    commit.dirty = false;
    commit.under_way += 1;
    commit.under_way_completes |= core::mem::take(&mut commit.completes);
    commit.asked_at = now;
    world.resource_mut::<PortOutbox>().0.disk.push(command);
}
