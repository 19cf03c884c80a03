//! Connections that stand, came in, or shook hands.

use bevy_ecs::prelude::*;
use dunlin_base::{NodeKey, PeerKey};
use dunlin_components::node::{Connections, Identity, Rules};
use dunlin_components::peer::{
    EarlyHaves, Hello, MetadataRequests, PeerOf, PeerTraffic, Phase, Remote, RemoteHave, Requests,
};
use dunlin_components::torrent::{Content, Lifecycle, Peers, SwarmHash, TorrentBuckets};
use dunlin_components::world::{
    NodeIndex, Now, PeerIndex, PortOutbox, RoutedEvents, TorrentIndex, Work,
};
use dunlin_port::net::{NetCommand, NetEvent};
use dunlin_protocol::wire::{Handshake, Reserved};

use super::{Drop, accept, drop_peer, greet};
use crate::journal::addr_of;
use crate::lifecycle::peer_buckets;
use crate::observe::client_name;

/// Runs over the world at once: connections are rare next to blocks, and each touches many tables.
pub(super) fn settle_connections(world: &mut World) {
    let mut events = core::mem::take(&mut world.resource_mut::<RoutedEvents>().connections);
    for event in events.drain(..) {
        match event {
            NetEvent::Connected { peer } => connected(world, peer),
            NetEvent::Accepted { peer, node, addr } => accept::accept(world, peer, node, addr),
            NetEvent::Handshake { peer, handshake } => shake_hands(world, peer, &handshake),
            NetEvent::Message { .. }
            | NetEvent::Block { .. }
            | NetEvent::Sent { .. }
            | NetEvent::Closed { .. } => unreachable!("only connection events are routed here"),
        }
    }
    // Back for its capacity.
    world.resource_mut::<RoutedEvents>().connections = events;
}

/// Our attempt succeeded: we speak first.
fn connected(world: &mut World, peer: PeerKey) {
    let Some(entity) = world.resource::<PeerIndex>().get(peer) else {
        return;
    };
    tracing::debug!(%peer, addr = addr_of(world, entity), "connected");
    let now = world.resource::<Now>().0;
    let node = world.get::<Remote>(entity).map(|remote| remote.node);
    let torrent = world.get::<PeerOf>(entity).map(|of| of.0);
    let (Some(node), Some(torrent)) = (node, torrent) else {
        return;
    };
    if let Some(mut phase) = world.get_mut::<Phase>(entity) {
        *phase = Phase::Handshaking;
    }
    world.resource_mut::<PeerIndex>().hear(peer, now);
    half_open_ended(world, node);
    send_handshake(world, peer, node, torrent);
}

/// An attempt ended, one way or the other: torrents that waited for it may try theirs.
pub(super) fn half_open_ended(world: &mut World, node: NodeKey) {
    let Some(&node) = world.resource::<NodeIndex>().0.get(&node) else {
        return;
    };
    let Some(mut connections) = world.get_mut::<Connections>(node) else {
        return;
    };
    connections.half_open -= 1;
    let waiting = core::mem::take(&mut connections.waiting);
    world.resource_mut::<Work>().connect.extend(waiting);
}

/// Our attempt at this address led to a handshake, or to nothing: another torrent may try there.
pub(super) fn dialing_ended(world: &mut World, remote: &Remote) {
    let Some(&node) = world.resource::<NodeIndex>().0.get(&remote.node) else {
        return;
    };
    let Some(mut connections) = world.get_mut::<Connections>(node) else {
        return;
    };
    connections.dialing.remove(&remote.addr);
    let waiting = core::mem::take(&mut connections.waiting);
    world.resource_mut::<Work>().connect.extend(waiting);
}

fn send_handshake(world: &mut World, peer: PeerKey, node: NodeKey, torrent: Entity) {
    let Some(&node) = world.resource::<NodeIndex>().0.get(&node) else {
        return;
    };
    let (Some(identity), Some(hash)) =
        (world.get::<Identity>(node), world.get::<SwarmHash>(torrent))
    else {
        return;
    };
    let handshake = Handshake {
        reserved: Reserved::default().with_fast().with_extension_protocol(),
        info_hash: hash.0,
        peer_id: identity.peer_id,
    };
    world
        .resource_mut::<PortOutbox>()
        .0
        .net
        .push(NetCommand::Handshake { peer, handshake });
}

fn shake_hands(world: &mut World, peer: PeerKey, handshake: &Handshake) {
    let Some(entity) = world.resource::<PeerIndex>().get(peer) else {
        return;
    };
    tracing::debug!(
        %peer,
        addr = addr_of(world, entity),
        info_hash = %handshake.info_hash,
        client = %client_name(None, Some(&handshake.peer_id)),
        reserved = %format_args!("{:016x}", u64::from_be_bytes(handshake.reserved.0)),
        fast = handshake.reserved.fast(),
        extensions = handshake.reserved.extension_protocol(),
        "received handshake"
    );
    match judge(world, peer, entity, handshake) {
        Ok(Verdict::Joins {
            torrent,
            instead_of,
        }) => {
            if let Some(other) = instead_of {
                drop_peer(
                    world,
                    other,
                    Drop::useless("both ends called; the other connection stays"),
                );
            }
            establish(world, peer, entity, torrent, handshake);
        }
        // The end that called learns from our answer whom it called, hangs up and forgets the address.
        Ok(Verdict::IsUs { torrent }) if peer.is_incoming() => {
            if let Some(node) = world.get::<Remote>(entity).map(|remote| remote.node) {
                send_handshake(world, peer, node, torrent);
            }
        }
        Ok(Verdict::IsUs { .. }) => drop_peer(world, peer, Drop::never_again("it is ourselves")),
        Err(drop) => drop_peer(world, peer, drop),
    }
}

/// What follows from a handshake, if not the end.
enum Verdict {
    /// The peer joins a torrent's peers, maybe instead of another connection to it.
    Joins {
        torrent: Entity,
        instead_of: Option<PeerKey>,
    },
    /// Our own node is at the other end.
    IsUs { torrent: Entity },
}

/// Finds the torrent that a handshake is about, or why the connection ends here.
fn judge(
    world: &World,
    peer: PeerKey,
    entity: Entity,
    handshake: &Handshake,
) -> Result<Verdict, Drop> {
    if world.get::<Phase>(entity) != Some(&Phase::Handshaking) {
        return Err(Drop::fault("shook hands twice"));
    }
    let remote = *world
        .get::<Remote>(entity)
        .ok_or(Drop::fault("no remote"))?;
    let torrents = world.resource::<TorrentIndex>();
    let torrent = torrents
        .by_hash
        .get(&(remote.node, handshake.info_hash))
        .and_then(|key| torrents.get(*key))
        .ok_or(Drop::useless("asks for a torrent that we do not have"))?;
    if world
        .get::<PeerOf>(entity)
        .is_some_and(|of| of.0 != torrent)
    {
        return Err(Drop::fault("answered for another torrent"));
    }
    if !world
        .get::<Lifecycle>(torrent)
        .is_some_and(Lifecycle::is_active)
    {
        return Err(Drop::useless("asks for a torrent that rests"));
    }
    let node = world.resource::<NodeIndex>().0.get(&remote.node).copied();
    let own_id = node
        .and_then(|node| world.get::<Identity>(node))
        .map(|identity| identity.peer_id);
    if own_id == Some(handshake.peer_id) {
        return Ok(Verdict::IsUs { torrent });
    }
    let instead_of = accept::admit(world, peer, torrent, &remote, &handshake.peer_id)?;
    Ok(Verdict::Joins {
        torrent,
        instead_of,
    })
}

fn establish(
    world: &mut World,
    peer: PeerKey,
    entity: Entity,
    torrent: Entity,
    handshake: &Handshake,
) {
    let now = world.resource::<Now>().0;
    let Some(remote) = world.get::<Remote>(entity).copied() else {
        return;
    };
    let content = world.get::<Content>(torrent);
    let (pieces, known) = match content {
        Some(content) => (content.0.geometry().piece_count(), true),
        None => (0, false),
    };
    if peer.is_incoming() {
        accept::handshake_came(world, &remote);
        send_handshake(world, peer, remote.node, torrent);
    } else {
        dialing_ended(world, &remote);
    }
    let mut row = world.entity_mut(entity);
    if peer.is_incoming() {
        row.insert(PeerOf(torrent));
    }
    row.insert((
        Phase::Established,
        Hello {
            peer_id: handshake.peer_id,
            reserved: handshake.reserved,
        },
        RemoteHave {
            bits: dunlin_base::Bitfield::empty(pieces),
            counted_as_seed: false,
            told: false,
        },
    ));
    if !known {
        row.insert((EarlyHaves::default(), MetadataRequests::default()));
    }
    let node = world.resource::<NodeIndex>().0.get(&remote.node);
    let rules = node.and_then(|node| world.get::<Rules>(*node));
    let most = rules.map_or(1, |rules| rules.0.pick.requests_max);
    if let Some(mut requests) = world.get_mut::<Requests>(entity) {
        let limit = requests.limit().min(most);
        requests.set_limit(limit);
    }
    if let Some(mut traffic) = world.get_mut::<PeerTraffic>(entity) {
        traffic.established_at = now;
        traffic.spoke_at = now;
    }
    world.resource_mut::<PeerIndex>().hear(peer, now);
    if let Some(mut peers) = world.get_mut::<Peers>(torrent) {
        peers.0.insert(peer, entity);
    }
    let limits = world
        .get::<TorrentBuckets>(torrent)
        .map(TorrentBuckets::limits);
    if let Some(own) = limits.and_then(|limits| peer_buckets(&limits)) {
        world.entity_mut(entity).insert(own);
    }
    greet::greet(world, peer, entity, torrent, handshake.reserved);
    world
        .resource_mut::<Work>()
        .choke
        .insert((remote.node, peer));
}
