//! What the rest of the engine asks of announces: a torrent starts, completes, leaves, or its owner
//! wants news. Each only writes down what is meant; the systems of this folder do the asking, in
//! this tick or in one that follows at once.

use bevy_ecs::prelude::*;
use dunlin_components::node::Luck;
use dunlin_components::torrent::{Have, NodeOf, Torrent, Tracker, Trackers, Traffic};
use dunlin_components::world::{Now, Wake, Work};

use super::policy;

/// The trackers of a new torrent, tier by tier, none asked yet. A URL counts once, in the first
/// tier that names it.
pub(crate) fn trackers(tiers: &[Vec<String>]) -> Trackers {
    let mut list: Vec<Tracker> = Vec::new();
    for (tier, urls) in (0..).zip(tiers) {
        for (turn, url) in (0..).zip(urls) {
            if list.iter().all(|tracker| tracker.url != *url) {
                list.push(Tracker::new(url.clone(), tier, turn));
            }
        }
    }
    Trackers {
        list,
        ..Trackers::default()
    }
}

/// The torrent takes part in its swarm from now on: trackers are told `started`, and what moves
/// from now on.
pub(crate) fn start(world: &mut World, torrent: Entity) {
    let totals = world.get::<Traffic>(torrent).map(Traffic::totals);
    let node = world.get::<NodeOf>(torrent).map(|of| of.0);
    let luck = node.and_then(|node| world.get::<Luck>(node)).copied();
    let Some(mut trackers) = world.get_mut::<Trackers>(torrent) else {
        return;
    };
    let Trackers { list, announced } = &mut *trackers;
    announced.leaving = false;
    // A tracker that has not heard of our leaving goes on counting from where it is.
    let known = list
        .iter()
        .any(|tracker| tracker.started || tracker.under_way.is_some());
    if let Some(totals) = totals
        && !known
    {
        announced.downloaded_base = totals.downloaded_bytes;
        announced.uploaded_base = totals.uploaded_bytes;
    }
    if let Some(mut luck) = luck
        && !core::mem::replace(&mut announced.shuffled, true)
    {
        policy::shuffle(list, &mut luck.discover);
        if let Some(mut row) = node.and_then(|node| world.get_mut::<Luck>(node)) {
            *row = luck;
        }
    }
    look_again(world, torrent);
}

/// The torrent leaves its swarm: trackers that know it are told `stopped`. Its row has to live
/// until [`is_quiet`], or some of them will not be told.
pub(crate) fn leave(world: &mut World, torrent: Entity) {
    if let Some(mut trackers) = world.get_mut::<Trackers>(torrent) {
        trackers.announced.leaving = true;
        trackers.announced.completed_due = false;
        look_again(world, torrent);
    }
}

/// The torrent became complete while it took part: the tracker in use is told `completed`, once.
/// A torrent of which only a part was wanted has not completed in a tracker's eyes.
pub(crate) fn completed(world: &mut World, torrent: Entity) {
    if !world
        .get::<Have>(torrent)
        .is_some_and(|have| have.0.is_full())
    {
        return;
    }
    if let Some(mut trackers) = world.get_mut::<Trackers>(torrent) {
        trackers.announced.completed_due = true;
        look_again(world, torrent);
    }
}

/// Asks trackers as soon as they allow.
pub(crate) fn reannounce(world: &mut World, torrent: Entity) {
    let now = world.resource::<Now>().0;
    if let Some(mut trackers) = world.get_mut::<Trackers>(torrent) {
        for tracker in &mut trackers.list {
            tracker.next_at = tracker.min_at.max(now);
        }
        look_again(world, torrent);
    }
}

/// Whether trackers have been told all that is to be told of a torrent that leaves, and no answer
/// is waited for.
pub(crate) fn is_quiet(trackers: &Trackers) -> bool {
    trackers.list.iter().all(|tracker| {
        let farewell = trackers.announced.leaving && policy::owes_farewell(tracker);
        tracker.under_way.is_none() && !farewell
    })
}

fn look_again(world: &mut World, torrent: Entity) {
    let now = world.resource::<Now>().0;
    if let Some(key) = world.get::<Torrent>(torrent).map(|row| row.0) {
        world.resource_mut::<Work>().announce.insert(key);
        world.resource_mut::<Wake>().by(now);
    }
}
