//! Which connections may stand: limits, bans, duplicates.

use core::time::Duration;
use std::net::SocketAddr;

use bevy_ecs::prelude::*;
use dunlin_base::{NodeKey, PeerId, PeerKey};
use dunlin_components::node::{Banned, Connections, Identity, Rules};
use dunlin_components::peer::{Hello, Peer, PeerTraffic, Phase, Remote};
use dunlin_components::torrent::{Peers, TorrentBuckets};
use dunlin_components::world::{NodeIndex, Now, PeerIndex, PortOutbox, Work};
use dunlin_port::net::NetCommand;

use super::Drop;

/// Somebody connected. It gets a row and time to shake hands, unless a limit or ban forbids.
pub(super) fn accept(world: &mut World, peer: PeerKey, node: NodeKey, addr: SocketAddr) {
    let now = world.resource::<Now>().0;
    if !reserve(world, node, addr) {
        tracing::debug!(%peer, %addr, "refused: banned, or too many connections");
        world
            .resource_mut::<PortOutbox>()
            .0
            .net
            .push(NetCommand::Close { peer });
        return;
    }
    tracing::debug!(%peer, %addr, "accepted");
    let traffic = PeerTraffic {
        spoke_at: now,
        ..PeerTraffic::default()
    };
    let entity = world
        .spawn((
            Peer(peer),
            Remote { node, addr },
            Phase::Handshaking,
            traffic,
        ))
        .id();
    world.resource_mut::<PeerIndex>().insert(peer, entity, now);
    world.resource_mut::<Work>().silence.insert((now, peer));
}

fn reserve(world: &mut World, node: NodeKey, addr: SocketAddr) -> bool {
    let ip = addr.ip();
    let Some(&node) = world.resource::<NodeIndex>().0.get(&node) else {
        return false;
    };
    let Some((rules, banned, mut connections)) = world
        .query::<(&Rules, &Banned, &mut Connections)>()
        .get_mut(world, node)
        .ok()
    else {
        return false;
    };
    let limits = &rules.0.limits;
    let pending = connections.pending.get(&ip).copied().unwrap_or(0);
    if banned.covers(addr)
        || connections.total >= limits.connections
        || pending >= limits.pending_handshakes_per_address
    {
        return false;
    }
    connections.total += 1;
    connections.pending.insert(ip, pending + 1);
    true
}

/// An accepted connection's handshake came, or never will.
pub(super) fn handshake_came(world: &mut World, remote: &Remote) {
    let Some(&node) = world.resource::<NodeIndex>().0.get(&remote.node) else {
        return;
    };
    let Some(mut connections) = world.get_mut::<Connections>(node) else {
        return;
    };
    let ip = remote.addr.ip();
    match connections.pending.get_mut(&ip) {
        Some(count) if *count > 1 => *count -= 1,
        _ => {
            connections.pending.remove(&ip);
        }
    }
}

/// Both ends may call each other at once: so young is a connection that may give way to another.
const AT_ONCE: Duration = Duration::from_secs(20);

/// Whether a connection that shook hands may join the torrent's peers, and which one gives way to it.
pub(super) fn admit(
    world: &World,
    peer: PeerKey,
    torrent: Entity,
    remote: &Remote,
    peer_id: &PeerId,
) -> Result<Option<PeerKey>, Drop> {
    let node = world.resource::<NodeIndex>().0.get(&remote.node).copied();
    let rules = node
        .and_then(|node| world.get::<Rules>(node))
        .ok_or(Drop::fault("no rules"))?;
    let limits = &rules.0.limits;
    let banned = node.and_then(|node| world.get::<Banned>(node));
    if banned.is_some_and(|banned| banned.covers(remote.addr)) {
        return Err(Drop::never_again("it is banned"));
    }
    let peers = world.get::<Peers>(torrent).ok_or(Drop::fault("no peers"))?;
    let per_torrent = limits.connections_per_torrent;
    let torrent_max = world
        .get::<TorrentBuckets>(torrent)
        .map_or(per_torrent, |buckets| buckets.connections_max(per_torrent));
    let ip = remote.addr.ip();
    let mut gives_way = None;
    for (&other, &entity) in &peers.0 {
        let same_id = world
            .get::<Hello>(entity)
            .is_some_and(|hello| hello.peer_id == *peer_id);
        let same_ip = world
            .get::<Remote>(entity)
            .is_some_and(|other| other.addr.ip() == ip);
        // Behind one address may be several honest peers; on loopback they are the rule.
        let ip_taken = same_ip && !limits.several_connections_per_address && !ip.is_loopback();
        if same_id && outranks(world, node, peer, peer_id, other, entity) {
            gives_way = Some(other);
        } else if same_id || ip_taken {
            return Err(Drop::useless("it is connected already"));
        }
    }
    if gives_way.is_none() && peers.0.len() as u32 >= torrent_max {
        return Err(Drop::useless("the torrent has enough connections"));
    }
    Ok(gives_way)
}

/// When both ends called each other at once, each sees another one of the two connections stand
/// first. Of the two, the one that the end with the lower peer id opened stays, at both ends.
fn outranks(
    world: &World,
    node: Option<Entity>,
    new: PeerKey,
    their_id: &PeerId,
    old: PeerKey,
    old_row: Entity,
) -> bool {
    let Some(own) = node.and_then(|node| world.get::<Identity>(node)) else {
        return false;
    };
    let Some(old_traffic) = world.get::<PeerTraffic>(old_row) else {
        return false;
    };
    let they_open = their_id < &own.peer_id;
    if new.is_incoming() == old.is_incoming() || new.is_incoming() != they_open {
        return false;
    }
    // A connection that has stood for long is not given up because its other end calls again. When
    // we called, the other end has judged so before it answered.
    !new.is_incoming() || world.resource::<Now>().0 - old_traffic.established_at < AT_ONCE
}
