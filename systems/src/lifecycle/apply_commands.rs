//! What the person or program in charge wants.

use std::net::SocketAddr;
use std::path::PathBuf;

use bevy_ecs::prelude::*;
use dunlin_base::{EngineTime, TorrentKey};
use dunlin_components::node::{Identity, NodeBuckets, Rules};
use dunlin_components::peer::PeerBuckets;
use dunlin_components::torrent::{
    Candidates, Content, Lifecycle, Peers, Place, Selection, TorrentBuckets,
};
use dunlin_components::world::{NodeIndex, Now, PortInbox, PortOutbox, TorrentIndex, Work};
use dunlin_port::disk::{DiskCommand, Keep};
use dunlin_port::user::{TorrentLimits, UserCommand};

use super::{add, add_magnet, peer_buckets, rest, select};

pub(super) fn apply_commands(world: &mut World) {
    while let Some(command) = world.resource_mut::<PortInbox>().0.user.pop_front() {
        apply(world, command);
    }
}

fn apply(world: &mut World, command: UserCommand) {
    let now = world.resource::<Now>().0;
    match command {
        UserCommand::Add(torrent) => add::add(world, *torrent),
        UserCommand::AddMagnet(magnet) => add_magnet::add(world, *magnet),
        UserCommand::Configure { node, config } => configure(world, node, &config),
        UserCommand::Listening { node, port } => listening(world, node, port),
        UserCommand::Stop => rest::stop_all(world),
        UserCommand::Remove {
            torrent,
            delete_files,
        } => {
            let keep = if delete_files {
                Keep::Nothing
            } else {
                Keep::Files
            };
            of(world, torrent, |world, entity| {
                rest::close(world, entity, keep);
            });
        }
        UserCommand::Pause { torrent } => of(world, torrent, rest::pause),
        UserCommand::Resume { torrent } => of(world, torrent, rest::resume),
        UserCommand::Recheck { torrent } => of(world, torrent, rest::recheck),
        UserCommand::SetFilePriorities {
            torrent,
            priorities,
        } => {
            of(world, torrent, |world, entity| {
                select::set_files(world, entity, priorities);
            });
        }
        UserCommand::SetPiecePriorities {
            torrent,
            pieces,
            priority,
        } => {
            of(world, torrent, |world, entity| {
                select::set_pieces(world, entity, pieces, priority);
            });
        }
        UserCommand::SetLimits { torrent, limits } => {
            of(world, torrent, |world, entity| {
                set_limits(world, entity, now, limits);
            });
        }
        UserCommand::SetStrategy { torrent, strategy } => of(world, torrent, |world, entity| {
            if let Some(mut selection) = world.get_mut::<Selection>(entity) {
                selection.strategy = strategy;
            }
        }),
        UserCommand::SetDeadlines {
            torrent,
            start,
            len,
        } => {
            of(world, torrent, |world, entity| {
                select::set_deadlines(world, entity, start, len);
            });
        }
        UserCommand::AddPeers { torrent, addresses } => of(world, torrent, |world, entity| {
            add_peers(world, entity, torrent, addresses);
        }),
        UserCommand::Reannounce { torrent } => of(world, torrent, crate::discover::reannounce),
        UserCommand::Move { torrent, root } => of(world, torrent, |world, entity| {
            relocate(world, entity, torrent, root);
        }),
    }
}

fn add_peers(world: &mut World, entity: Entity, torrent: TorrentKey, addresses: Vec<SocketAddr>) {
    let now = world.resource::<Now>().0;
    if let Some(mut candidates) = world.get_mut::<Candidates>(entity) {
        addresses.into_iter().for_each(|addr| {
            candidates.add(addr, now);
        });
    }
    world.resource_mut::<Work>().connect.insert(torrent);
}

fn relocate(world: &mut World, entity: Entity, torrent: TorrentKey, root: PathBuf) {
    if world.get::<Content>(entity).is_none() {
        add_magnet::relocate(world, entity, root);
    } else if world.get::<Place>(entity).is_some() {
        let command = DiskCommand::Move { torrent, root };
        world.resource_mut::<PortOutbox>().0.disk.push(command);
    }
}

/// Runs `act` on a torrent that exists and is not being removed.
fn of(world: &mut World, torrent: TorrentKey, act: impl FnOnce(&mut World, Entity)) {
    if let Some(entity) = world.resource::<TorrentIndex>().get(torrent)
        && world.get::<Lifecycle>(entity) != Some(&Lifecycle::Closing)
    {
        act(world, entity);
    }
}

fn configure(
    world: &mut World,
    node: dunlin_base::NodeKey,
    config: &dunlin_port::config::EngineConfig,
) {
    let now = world.resource::<Now>().0;
    let Some(&entity) = world.resource::<NodeIndex>().0.get(&node) else {
        return;
    };
    if let Some(mut buckets) = world.get_mut::<NodeBuckets>(entity) {
        buckets
            .down
            .set_rate(now, config.limits.down.map(|rate| rate.0));
        buckets
            .up
            .set_rate(now, config.limits.up.map(|rate| rate.0));
    }
    if let Some(mut rules) = world.get_mut::<Rules>(entity) {
        rules.0 = config.clone();
    }
    release_waiting(world);
}

/// Who waited for the old rate must look at the new one.
fn release_waiting(world: &mut World) {
    let mut work = world.resource_mut::<Work>();
    let (limited, throttled) = (
        core::mem::take(&mut work.limited),
        core::mem::take(&mut work.throttled),
    );
    work.pick.extend(limited.into_iter().map(|(_, peer)| peer));
    work.serve
        .extend(throttled.into_iter().map(|(_, peer)| peer));
}

fn listening(world: &mut World, node: dunlin_base::NodeKey, port: u16) {
    let Some(&entity) = world.resource::<NodeIndex>().0.get(&node) else {
        return;
    };
    if let Some(mut identity) = world.get_mut::<Identity>(entity) {
        identity.listen_port = Some(port);
    }
    let torrents: Vec<_> = world
        .resource::<TorrentIndex>()
        .by_key
        .keys()
        .copied()
        .collect();
    world.resource_mut::<Work>().announce.extend(torrents);
}

fn set_limits(world: &mut World, entity: Entity, now: EngineTime, limits: TorrentLimits) {
    if let Some(mut buckets) = world.get_mut::<TorrentBuckets>(entity) {
        buckets.set(now, limits);
    }
    let peers: Vec<_> = world
        .get::<Peers>(entity)
        .map_or_else(Vec::new, |peers| peers.0.values().copied().collect());
    for peer in peers {
        match (peer_buckets(&limits), world.get_mut::<PeerBuckets>(peer)) {
            (Some(fresh), None) => {
                world.entity_mut(peer).insert(fresh);
            }
            (_, Some(mut own)) => {
                own.down.set_rate(now, limits.peer_down_bytes_per_sec);
                own.up.set_rate(now, limits.peer_up_bytes_per_sec);
            }
            (None, None) => {}
        }
    }
    release_waiting(world);
}
