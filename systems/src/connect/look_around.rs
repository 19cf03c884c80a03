//! Whether a download is connected to anybody who has something for it, and what to do if not.
//!
//! Who was there from the beginning may know only others that have the same pieces, while a seed that
//! nobody of them knows has nothing to do: then new neighbours are needed, and not only when old ones leave.

use core::time::Duration;

use bevy_ecs::prelude::*;
use dunlin_base::{EngineTime, PeerKey};
use dunlin_components::node::{Connections, Rules};
use dunlin_components::peer::{AmInterested, PeerInterested, PeerTraffic};
use dunlin_components::torrent::{
    Candidates, Lifecycle, Neighbours, NodeOf, Peers, Torrent, TorrentBuckets,
};
use dunlin_components::world::{Now, TimerKind, Timers, TorrentIndex, Work};

use super::{Drop, drop_peer};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Neighbours that stood so long without either end wanting anything of the other make room.
const USELESS_AFTER: Duration = Duration::from_secs(60);
/// One of so many connections makes room at a look: the others may yet get what we lack.
const ROOM_OF: usize = 10;

/// Begins to look, if the torrent lacks anything and does not look already.
pub(crate) fn watch(world: &mut World, torrent: Entity) {
    if world.get::<Lifecycle>(torrent) != Some(&Lifecycle::Downloading)
        || world.get::<Neighbours>(torrent).is_some()
    {
        return;
    }
    let neighbours = Neighbours {
        look_at: world.resource::<Now>().0,
        stranded: false,
    };
    look_again(world, torrent, neighbours);
}

fn look_again(world: &mut World, torrent: Entity, neighbours: Neighbours) {
    let Some(key) = world.get::<Torrent>(torrent).map(|row| row.0) else {
        return;
    };
    let look_at = neighbours.look_at + LOOK_EVERY;
    let mut timers = world.resource_mut::<Timers>();
    timers.set(look_at, key, TimerKind::LookAround);
    let neighbours = Neighbours {
        look_at,
        ..neighbours
    };
    world.entity_mut(torrent).insert(neighbours);
}

pub(super) fn look_around(world: &mut World) {
    for key in core::mem::take(&mut world.resource_mut::<Work>().look_around) {
        let Some(torrent) = world.resource::<TorrentIndex>().get(key) else {
            continue;
        };
        let now = world.resource::<Now>().0;
        let before = world.get::<Neighbours>(torrent).copied();
        let Some(before) = before.filter(|before| before.look_at <= now) else {
            continue;
        };
        if world.get::<Lifecycle>(torrent) != Some(&Lifecycle::Downloading) {
            world.entity_mut(torrent).remove::<Neighbours>();
            continue;
        }
        let useless = useless(world, torrent, now);
        let neighbours = Neighbours {
            look_at: now,
            stranded: useless.is_some(),
        };
        look_again(world, torrent, neighbours);
        let Some(useless) = useless else { continue };
        // At the first such look there may be room; in a swarm that has just begun, the first pieces are
        // under way.
        if before.stranded && !has_room(world, torrent) && has_others(world, torrent, now) {
            let count = useless.len().div_ceil(ROOM_OF);
            for peer in useless.into_iter().take(count) {
                drop_peer(world, peer, Drop::useless("neither end wants anything"));
            }
        }
        let mut work = world.resource_mut::<Work>();
        work.connect.insert(key);
        work.announce.insert(key);
    }
}

/// Neighbours that want nothing of us, those first that stood longest; `None` when any of all has something
/// for us.
fn useless(world: &World, torrent: Entity, now: EngineTime) -> Option<Vec<PeerKey>> {
    let mut useless = Vec::new();
    for (&peer, &row) in &world.get::<Peers>(torrent)?.0 {
        if world.get::<AmInterested>(row)?.0 {
            return None;
        }
        let since = world.get::<PeerTraffic>(row)?.established_at;
        if !world.get::<PeerInterested>(row)?.0 && now - since >= USELESS_AFTER {
            useless.push((since, peer));
        }
    }
    useless.sort_unstable();
    Some(useless.into_iter().map(|(_, peer)| peer).collect())
}

/// Whether another connection may stand.
fn has_room(world: &World, torrent: Entity) -> bool {
    let node = world.get::<NodeOf>(torrent).map(|of| of.0);
    let rules = node.and_then(|node| world.get::<Rules>(node));
    let all = node.and_then(|node| world.get::<Connections>(node));
    let (Some(rules), Some(all)) = (rules, all) else {
        return false;
    };
    let limits = &rules.0.limits;
    let per_torrent = limits.connections_per_torrent;
    let torrent_max = world
        .get::<TorrentBuckets>(torrent)
        .map_or(per_torrent, |buckets| buckets.connections_max(per_torrent));
    let connected = world.get::<Peers>(torrent).map_or(0, |peers| peers.0.len());
    connected < torrent_max as usize && all.total < limits.connections
}

/// Whether an address can be tried that is not connected.
fn has_others(world: &World, torrent: Entity, now: EngineTime) -> bool {
    world
        .get::<Candidates>(torrent)
        .is_some_and(|candidates| candidates.ready(now).next().is_some())
}
