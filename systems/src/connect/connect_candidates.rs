//! Which addresses to try now.

use std::net::SocketAddr;

use bevy_ecs::prelude::*;
use dunlin_base::{EngineTime, NodeKey, RngStream, TorrentKey};
use dunlin_components::node::{Banned, Connections, Luck, Node, Rules};
use dunlin_components::peer::{Peer, PeerOf, PeerTraffic, Phase, Remote};
use dunlin_components::torrent::{
    CandidateState, Candidates, Lifecycle, Neighbours, NodeOf, Peers, Torrent, TorrentBuckets,
};
use dunlin_components::world::{Now, PeerIndex, PortOutbox, TimerKind, Timers, TorrentIndex, Work};
use dunlin_port::net::NetCommand;

type TorrentRow<'a> = (
    &'a Torrent,
    &'a NodeOf,
    &'a Lifecycle,
    &'a Peers,
    &'a TorrentBuckets,
    Option<&'a Neighbours>,
    &'a mut Candidates,
);
type NodeRow<'a> = (
    &'a Node,
    &'a Rules,
    &'a Banned,
    &'a mut Connections,
    &'a mut Luck,
);

pub(super) fn connect_candidates(
    now: Res<'_, Now>,
    index: Res<'_, TorrentIndex>,
    mut torrents: Query<'_, '_, TorrentRow<'_>>,
    mut nodes: Query<'_, '_, NodeRow<'_>>,
    mut work: ResMut<'_, Work>,
    mut peers: ResMut<'_, PeerIndex>,
    mut timers: ResMut<'_, Timers>,
    mut outbox: ResMut<'_, PortOutbox>,
    mut commands: Commands<'_, '_>,
) {
    for key in core::mem::take(&mut work.connect) {
        let Some(entity) = index.get(key) else {
            continue;
        };
        let Ok(row) = torrents.get_mut(entity) else {
            continue;
        };
        let (_, node_of, lifecycle, connected, buckets, neighbours, mut candidates) = row;
        let Ok((node, rules, banned, mut connections, mut luck)) = nodes.get_mut(node_of.0) else {
            continue;
        };
        if !lifecycle.is_active() {
            continue;
        }
        let limits = &rules.0.limits;
        let torrent_max = buckets.connections_max(limits.connections_per_torrent);
        let in_use = candidates
            .0
            .values()
            .filter(|c| c.state == CandidateState::InUse)
            .count();
        // Who has nobody that is of use looks on with all that it has.
        let dialed_max = match neighbours {
            Some(neighbours) if neighbours.stranded => torrent_max,
            _ => dialed_max(torrent_max),
        };
        let room = dialed_max.saturating_sub(connected.0.len().max(in_use) as u32);
        let room = room.min(limits.half_open.saturating_sub(connections.half_open));
        let room = room.min(limits.connections.saturating_sub(connections.total));
        let mut ready = order(&candidates, banned, now.0, &mut luck.connect);
        let all = ready.len();
        ready.retain(|addr| !connections.dialing.contains(addr));
        if ready.len() < all {
            connections.waiting.insert(key);
        }
        if ready.len() > room as usize {
            ready.truncate(room as usize);
            connections.waiting.insert(key);
        }
        for addr in ready {
            if let Some(candidate) = candidates.0.get_mut(&addr) {
                candidate.state = CandidateState::InUse;
            }
            connections.total += 1;
            connections.half_open += 1;
            connections.dialing.insert(addr);
            let peer = peers.next_key();
            let row = spawn(&mut commands, peer, node.0, entity, addr, now.0);
            peers.insert(peer, row, now.0);
            work.silence.insert((now.0, peer));
            outbox.0.net.push(NetCommand::Connect {
                peer,
                node: node.0,
                addr,
            });
        }
        arm(&mut timers, &candidates, key, now.0);
    }
}

/// How many connections a torrent has before it stops to look for more. The other half is for those
/// who call: were all taken by who came first, the first comers of a swarm would be a closed circle
/// (BEP 3's client called up to 40 and took up to 80).
const fn dialed_max(connections_max: u32) -> u32 {
    match connections_max {
        0..=DIALED_ALL_MAX => connections_max,
        _ => connections_max.div_ceil(2),
    }
}

/// So few connections are all dialed if need be.
const DIALED_ALL_MAX: u32 = 8;

/// Addresses that never failed come first; among equals, luck decides, so that a swarm's newcomers
/// do not all knock at the same door.
fn order(
    candidates: &Candidates,
    banned: &Banned,
    now: EngineTime,
    luck: &mut RngStream,
) -> Vec<SocketAddr> {
    let mut ready: Vec<_> = candidates
        .ready(now)
        .filter(|addr| !banned.covers(*addr))
        .collect();
    luck.shuffle(&mut ready);
    ready.sort_by_key(|addr| candidates.0[addr].failures);
    ready
}

fn spawn(
    commands: &mut Commands<'_, '_>,
    peer: dunlin_base::PeerKey,
    node: NodeKey,
    torrent: Entity,
    addr: SocketAddr,
    now: EngineTime,
) -> Entity {
    let traffic = PeerTraffic {
        spoke_at: now,
        ..PeerTraffic::default()
    };
    let row = (
        Peer(peer),
        Remote { node, addr },
        PeerOf(torrent),
        Phase::Connecting,
        traffic,
    );
    commands.spawn(row).id()
}

fn arm(timers: &mut Timers, candidates: &Candidates, torrent: TorrentKey, now: EngineTime) {
    timers.set(candidates.next_ready_at(now), torrent, TimerKind::Connect);
}
