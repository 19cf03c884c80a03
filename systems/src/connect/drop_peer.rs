//! The one way in which a peer goes: its requests, copies and slots are given back.

use core::time::Duration;
use std::collections::VecDeque;
use std::net::SocketAddr;

use bevy_ecs::prelude::*;
use dunlin_base::{PeerKey, PieceIndex};
use dunlin_components::node::{Banned, ChokeRound, Connections};
use dunlin_components::peer::{PeerOf, PeerTraffic, Phase, Remote, RemoteHave, Request, Requests};
use dunlin_components::piece::{Blocks, Parole};
use dunlin_components::torrent::{
    ActivePieces, CandidateState, Candidates, FreeBlocks, LastBlocks, Peers, Torrent,
};
use dunlin_components::world::{NodeIndex, Now, PeerIndex, PortOutbox, TimerKind, Timers, Work};
use dunlin_port::net::NetCommand;
use dunlin_port::snapshot::SessionEvent;

use super::accept;
use super::settle_connections::{dialing_ended, half_open_ended};
use crate::pick::look_again;
use crate::receive::forget_copies;

/// A connection that stood for so long was of use: its end is no failure of the address.
const STOOD: Duration = Duration::from_secs(60);

/// Seconds after which an address is tried again, by failures in a row.
const RETRY_SECS: [u64; 7] = [5, 15, 60, 180, 600, 1800, 3600];

/// The longest of these where somebody answered and hung up before the handshake: clients do that
/// while they have all the connections they want, and that passes.
const RETRY_ANSWERED_SECS_MAX: u64 = 180;

/// Why a peer goes, and what that means for its address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Drop {
    /// In words for a log.
    pub(crate) why: String,
    again: Again,
    /// Whether the network has closed the connection already.
    closed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Again {
    /// After the usual back-off.
    Failed,
    /// As above, however long the connection stood: it would go wrong again.
    Misbehaved,
    /// After half an hour: nothing is wrong, but there is nothing to gain.
    Later,
    /// At once: the reason is ours and goes away by itself.
    Now,
    Never,
}

impl Drop {
    /// The connection is gone or never came to be.
    pub(crate) fn lost(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            again: Again::Failed,
            closed: true,
        }
    }

    /// The peer is silent, so its connection is given up.
    pub(crate) fn lost_silent(why: impl Into<String>) -> Self {
        Self {
            closed: false,
            ..Self::lost(why)
        }
    }

    /// The peer did something that it must not do.
    pub(crate) fn fault(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            again: Again::Misbehaved,
            closed: false,
        }
    }

    /// Nothing is wrong with the peer, but the connection is of no use.
    pub(crate) fn useless(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            again: Again::Later,
            closed: false,
        }
    }

    /// Our torrent rests; when it goes on, the address is as good as before.
    pub(crate) fn resting() -> Self {
        Self {
            why: "the torrent rests".to_owned(),
            again: Again::Now,
            closed: false,
        }
    }

    /// The address must not be tried again.
    pub(crate) fn never_again(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            again: Again::Never,
            closed: false,
        }
    }
}

/// Ends a peer: gives back what it held, closes its connection unless that is gone, and decides
/// when its address may be tried again. Nothing happens when it is gone already.
pub(crate) fn drop_peer(world: &mut World, peer: PeerKey, drop: Drop) {
    let Some(entity) = world.resource_mut::<PeerIndex>().remove(peer) else {
        return;
    };
    let (Some(remote), Some(phase)) = (
        world.get::<Remote>(entity).copied(),
        world.get::<Phase>(entity).copied(),
    ) else {
        return;
    };
    tracing::debug!(peer = %peer, addr = %remote.addr, why = %drop.why, "peer dropped");
    if !drop.closed {
        world
            .resource_mut::<PortOutbox>()
            .0
            .net
            .push(NetCommand::Close { peer });
    }
    if phase == Phase::Connecting {
        half_open_ended(world, remote.node);
    } else if phase == Phase::Handshaking && peer.is_incoming() {
        accept::handshake_came(world, &remote);
    }
    if phase != Phase::Established && !peer.is_incoming() {
        dialing_ended(world, &remote);
    }
    free_slot(world, peer, &remote);
    if let Some(torrent) = world.get::<PeerOf>(entity).map(|of| of.0) {
        leave_torrent(world, peer, entity, torrent);
        if !peer.is_incoming() {
            let now = world.resource::<Now>().0;
            let since = world
                .get::<PeerTraffic>(entity)
                .map_or(now, |traffic| traffic.established_at);
            let stood = phase == Phase::Established && now - since >= STOOD;
            free_candidate(world, torrent, remote.addr, &drop, phase, stood);
        }
    }
    world.despawn(entity);
}

fn free_slot(world: &mut World, peer: PeerKey, remote: &Remote) {
    let Some(&node) = world.resource::<NodeIndex>().0.get(&remote.node) else {
        return;
    };
    if let Some(mut round) = world.get_mut::<ChokeRound>(node)
        && round.optimistic == Some(peer)
    {
        round.optimistic = None;
    }
    let Some(mut connections) = world.get_mut::<Connections>(node) else {
        return;
    };
    connections.total -= 1;
    let waiting = core::mem::take(&mut connections.waiting);
    let mut work = world.resource_mut::<Work>();
    work.connect.extend(waiting);
    work.choke.insert((remote.node, peer));
}

fn leave_torrent(world: &mut World, peer: PeerKey, entity: Entity, torrent: Entity) {
    if let Some(mut peers) = world.get_mut::<Peers>(torrent) {
        peers.0.remove(&peer);
    }
    // Maybe there are too few now, and the tracker is to be asked for more.
    if let Some(key) = world.get::<Torrent>(torrent).map(|row| row.0) {
        world.resource_mut::<Work>().announce.insert(key);
    }
    if let Some(have) = world.entity_mut(entity).take::<RemoteHave>() {
        forget_copies(world, torrent, &have);
    }
    release_requests(world, peer, entity, torrent);
}

/// Gives all of a peer's outstanding requests back to their pieces, so that others are asked.
/// Also used when a peer owes us blocks for too long.
pub(crate) fn release_requests(world: &mut World, peer: PeerKey, entity: Entity, torrent: Entity) {
    let Some(mut requests) = world.get_mut::<Requests>(entity) else {
        return;
    };
    let out = core::mem::take(&mut requests.out);
    give_back(world, peer, torrent, &out);
    let Some(active) = world.get::<ActivePieces>(torrent) else {
        return;
    };
    let pieces: Vec<_> = active.0.values().copied().collect();
    for piece in pieces {
        if let Some(mut parole) = world.get_mut::<Parole>(piece)
            && parole.owner() == Some(peer)
        {
            parole.leave();
        }
    }
    look_again(world, torrent);
}

/// Gives a peer's outstanding requests of one piece back to it; says which there were.
pub(crate) fn release_piece(
    world: &mut World,
    peer: PeerKey,
    entity: Entity,
    torrent: Entity,
    piece: PieceIndex,
) -> VecDeque<Request> {
    let Some(mut requests) = world.get_mut::<Requests>(entity) else {
        return VecDeque::new();
    };
    let out = core::mem::take(&mut requests.out);
    let (void, kept): (VecDeque<_>, _) = out.into_iter().partition(|out| out.piece == piece);
    requests.out = kept;
    give_back(world, peer, torrent, &void);
    void
}

/// Gives requests that a peer does not have any more back to their pieces.
fn give_back(world: &mut World, peer: PeerKey, torrent: Entity, out: &VecDeque<Request>) {
    let Some(active) = world.get::<ActivePieces>(torrent) else {
        return;
    };
    let wanted: Vec<_> = out
        .iter()
        .filter_map(|request| Some((*active.0.get(&request.piece)?, *request)))
        .collect();
    for (piece, request) in wanted {
        let Some(mut blocks) = world.get_mut::<Blocks>(piece) else {
            continue;
        };
        blocks.release(request.block, peer);
        let (free, askers) = (blocks.free(), blocks.askers(request.block));
        if let Some(mut last) = world.get_mut::<LastBlocks>(torrent) {
            last.note(request.piece, request.block, askers);
        }
        if free > 0
            && let Some(mut free) = world.get_mut::<FreeBlocks>(torrent)
        {
            free.note(request.piece, true);
        }
    }
}

fn free_candidate(
    world: &mut World,
    torrent: Entity,
    addr: SocketAddr,
    drop: &Drop,
    phase: Phase,
    stood: bool,
) {
    let now = world.resource::<Now>().0;
    let Some(key) = world.get::<Torrent>(torrent).map(|row| row.0) else {
        return;
    };
    let Some(mut candidates) = world.get_mut::<Candidates>(torrent) else {
        return;
    };
    if drop.again == Again::Never {
        candidates.0.remove(&addr);
        return;
    }
    let Some(candidate) = candidates.0.get_mut(&addr) else {
        return;
    };
    let good = match drop.again {
        Again::Now | Again::Later => true,
        Again::Misbehaved => false,
        Again::Failed | Again::Never => stood,
    };
    candidate.failures = if good { 0 } else { candidate.failures + 1 };
    let step = candidate
        .failures
        .saturating_sub(1)
        .min(RETRY_SECS.len() as u32 - 1);
    let secs = match drop.again {
        Again::Failed if phase == Phase::Handshaking => {
            RETRY_SECS[step as usize].min(RETRY_ANSWERED_SECS_MAX)
        }
        Again::Failed | Again::Misbehaved | Again::Never => RETRY_SECS[step as usize],
        Again::Later => 1800,
        Again::Now => 0,
    };
    let not_before = now + Duration::from_secs(secs);
    candidate.state = CandidateState::Idle { not_before };
    world
        .resource_mut::<Timers>()
        .set(not_before, key, TimerKind::Connect);
}

/// Bans an address for good: no connection to or from it any more.
pub(crate) fn ban(world: &mut World, torrent: Entity, remote: &Remote, reason: &str) {
    let Some(&node) = world.resource::<NodeIndex>().0.get(&remote.node) else {
        return;
    };
    let Some(mut banned) = world.get_mut::<Banned>(node) else {
        return;
    };
    if banned.covers(remote.addr) {
        return;
    }
    banned.add(remote.addr);
    if let Some(key) = world.get::<Torrent>(torrent).map(|row| row.0) {
        let event = SessionEvent::PeerBanned {
            torrent: key,
            addr: remote.addr,
            reason: reason.to_owned(),
        };
        world.resource_mut::<PortOutbox>().0.session.push(event);
    }
    let Some(banned) = world.get::<Banned>(node) else {
        return;
    };
    let condemned: Vec<_> = world
        .resource::<PeerIndex>()
        .iter()
        .filter(|&(_, entity)| {
            world
                .get::<Remote>(entity)
                .is_some_and(|other| other.node == remote.node && banned.covers(other.addr))
        })
        .map(|(peer, _)| peer)
        .collect();
    for peer in condemned {
        drop_peer(world, peer, Drop::never_again(reason));
    }
}
