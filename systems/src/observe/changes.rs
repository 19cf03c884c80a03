//! The copy of what changed since a viewer last looked: of thousands of torrents most rest.

use core::time::Duration;
use std::collections::BTreeSet;

use bevy_ecs::change_detection::Tick;
use bevy_ecs::prelude::*;
use dunlin_base::EngineTime;
use dunlin_components::torrent::{Have, Lifecycle, Peers, Place, Selection, Trackers, Traffic};
use dunlin_components::world::Now;
use dunlin_port::snapshot::Snapshot;

use super::snapshot::{Detail, copy, snapshot};

/// How long a mark is good. The world counts its changes in a ring; this is far from a round.
const MARK_AGE_MAX: Duration = Duration::from_secs(60);

/// When a viewer looked last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    at: EngineTime,
    tick: Tick,
}

/// What a torrent's row is made of.
type Row<'w> = (
    Entity,
    Ref<'w, Lifecycle>,
    Ref<'w, Peers>,
    Ref<'w, Traffic>,
    Ref<'w, Have>,
    Option<Ref<'w, Selection>>,
    Option<Ref<'w, Place>>,
    Option<Ref<'w, Trackers>>,
);

/// Torrents that move or that changed since the mark; without a mark, or with an old one, all. And
/// the mark for the next look.
pub(crate) fn changes(world: &mut World, since: Option<Mark>) -> (Snapshot, Mark) {
    let now = world.resource::<Now>().0;
    // What changes from here on has a later tick.
    let tick = world.increment_change_tick();
    let mark = Mark { at: now, tick };
    let since = since.filter(|since| now.since(since.at) <= MARK_AGE_MAX);
    let Some(Mark { tick: since, .. }) = since else {
        return (snapshot(world), mark);
    };
    let mut rows = world.query::<Row<'_>>();
    let news: BTreeSet<Entity> = rows
        .iter(world)
        .filter(|row| moves(row, now) || changed(row, since, tick))
        .map(|row| row.0)
        .collect();
    let copied = copy(world, Detail::All, &|entity| news.contains(entity));
    (copied, mark)
}

/// Whether a torrent's row differs from one instant to the next though no system touches it.
fn moves(row: &Row<'_>, now: EngineTime) -> bool {
    let (_, lifecycle, peers, traffic, ..) = row;
    let rests = matches!(
        **lifecycle,
        Lifecycle::Seeding | Lifecycle::Paused | Lifecycle::Stopped { .. }
    );
    let rate = traffic.up.bytes_per_sec(now) + traffic.down.bytes_per_sec(now);
    !rests || !peers.0.is_empty() || rate > 0
}

fn changed(row: &Row<'_>, since: Tick, now: Tick) -> bool {
    let (_, lifecycle, peers, traffic, have, selection, place, trackers) = row;
    let newer = |at: Tick| at.is_newer_than(since, now);
    [
        Some(lifecycle.last_changed()),
        Some(peers.last_changed()),
        Some(traffic.last_changed()),
        Some(have.last_changed()),
        selection.as_ref().map(Ref::last_changed),
        place.as_ref().map(Ref::last_changed),
        trackers.as_ref().map(Ref::last_changed),
    ]
    .into_iter()
    .flatten()
    .any(newer)
}
