//! The hashers' verdicts.

use bevy_ecs::prelude::*;
use dunlin_components::node::Node;
use dunlin_components::peer::{Remote, Strikes};
use dunlin_components::piece::{Blocks, Parole, PieceState};
use dunlin_components::torrent::{
    ActivePieces, Content, FreeBlocks, Lifecycle, NodeOf, Peers, SuspectBlock, Suspects, Traffic,
    Wanted,
};
use dunlin_components::world::{PeerIndex, PortInbox, PortOutbox, TorrentIndex, Work};
use dunlin_port::disk::DiskCommand;
use dunlin_port::hash::HashDone;
use dunlin_port::snapshot::SessionEvent;

use super::blame::{Sender, guilty, sole_sender};
use super::settle_writes::written;
use crate::connect::ban;
use crate::lifecycle::close_piece;
use crate::pick::look_again;

/// Copies of a block that are kept as suspects of one piece.
const SUSPECTS_PER_PIECE_MAX: usize = 4096;

/// Runs over the world at once: verdicts are one a piece, and a bad one touches many tables.
pub(super) fn judge_pieces(world: &mut World) {
    let mut verdicts = core::mem::take(&mut world.resource_mut::<PortInbox>().0.hash);
    for verdict in verdicts.drain(..) {
        let Some(torrent) = world.resource::<TorrentIndex>().get(verdict.torrent) else {
            continue;
        };
        let active = world.get::<ActivePieces>(torrent);
        let Some(piece) = active.and_then(|active| active.0.get(&verdict.piece).copied()) else {
            continue;
        };
        if world.get::<PieceState>(piece) != Some(&PieceState::Hashing) {
            continue;
        }
        if world.get::<Lifecycle>(torrent) == Some(&Lifecycle::Closing) {
            continue;
        }
        let blocks = world.get_mut::<Blocks>(piece);
        if !blocks.is_some_and(|mut blocks| blocks.end_hash(verdict.number)) {
            continue;
        }
        #[cfg(feature = "planted-bugs")]
        let verdict = HashDone {
            good: verdict.good
                || verdict.blocks.len() == 1
                    && crate::planted::is(crate::planted::Bug::Verification)
                || verdict.blocks.is_empty() && crate::planted::is(crate::planted::Bug::Spilling),
            ..verdict
        };
        if verdict.good {
            accept(world, torrent, piece, verdict);
        } else {
            refuse(world, torrent, piece, &verdict);
        }
    }
    world.resource_mut::<PortInbox>().0.hash = verdicts;
}

fn accept(world: &mut World, torrent: Entity, piece: Entity, verdict: HashDone) {
    tracing::debug!(
        torrent = verdict.torrent.0,
        piece = verdict.piece.0,
        "piece verified"
    );
    if let Some(mut state) = world.get_mut::<PieceState>(piece) {
        *state = PieceState::Writing;
    }
    let spilled = world.get::<Blocks>(piece).is_some_and(Blocks::is_spilled);
    let write = DiskCommand::Write {
        torrent: verdict.torrent,
        piece: verdict.piece,
        blocks: verdict.blocks,
    };
    let suspects = world
        .get_mut::<Suspects>(torrent)
        .and_then(|mut all| all.0.remove(&verdict.piece));
    for sender in guilty(&suspects.unwrap_or_default(), &verdict.block_digests) {
        condemn(world, torrent, sender, verdict.piece.0);
    }
    if spilled {
        written(world, verdict.torrent, verdict.piece);
    } else {
        world.resource_mut::<PortOutbox>().0.disk.push(write);
    }
}

fn refuse(world: &mut World, torrent: Entity, piece: Entity, verdict: &HashDone) {
    let senders = senders(world, torrent, piece);
    let len = world
        .get::<Content>(torrent)
        .map_or(0, |row| row.0.geometry().piece_len(verdict.piece));
    if let Some(mut traffic) = world.get_mut::<Traffic>(torrent) {
        traffic.corrupt_bytes += u64::from(len);
    }
    let event = SessionEvent::HashFailed {
        torrent: verdict.torrent,
        piece: verdict.piece.0,
    };
    world.resource_mut::<PortOutbox>().0.session.push(event);
    for sender in senders.iter().flatten() {
        let entity = world.resource::<PeerIndex>().get(sender.peer);
        if let Some(mut strikes) = entity.and_then(|entity| world.get_mut::<Strikes>(entity)) {
            strikes.bad_pieces += 1;
            tracing::debug!(
                peer = %sender.peer,
                addr = %sender.addr,
                piece = verdict.piece.0,
                strikes = strikes.bad_pieces,
                "sent a block of a bad piece"
            );
        }
    }
    judge_senders(world, torrent, verdict, &senders);
    if world
        .get::<Wanted>(torrent)
        .is_some_and(|wanted| !wanted.0.has(verdict.piece))
    {
        close_piece(world, torrent, verdict.piece, piece);
        return;
    }
    // Fetch it anew, from one peer alone.
    if let Some(mut blocks) = world.get_mut::<Blocks>(piece) {
        blocks.reset();
    }
    if let Some(mut free) = world.get_mut::<FreeBlocks>(torrent) {
        free.note(verdict.piece, true);
    }
    if let Some(mut state) = world.get_mut::<PieceState>(piece) {
        *state = PieceState::Fetching;
    }
    if let Some(mut parole) = world.get_mut::<Parole>(piece) {
        parole.begin();
        world.resource_mut::<Work>().paroles.insert(piece);
    }
    look_again(world, torrent);
}

/// The one sender of a bad piece is guilty; several are suspects.
fn judge_senders(
    world: &mut World,
    torrent: Entity,
    verdict: &HashDone,
    senders: &[Option<Sender>],
) {
    match sole_sender(senders) {
        Some(sender) => condemn(world, torrent, sender, verdict.piece.0),
        None => suspect(world, torrent, verdict, senders),
    }
}

/// Who sent each block. A sender that is gone is still known by its key; its address was noted when
/// it was a row, so one that left before the verdict cannot be banned, and its blocks stay unblamed.
fn senders(world: &World, torrent: Entity, piece: Entity) -> Vec<Option<Sender>> {
    let Some(blocks) = world.get::<Blocks>(piece) else {
        return Vec::new();
    };
    let index = world.resource::<PeerIndex>();
    let peers = world.get::<Peers>(torrent);
    blocks
        .senders()
        .map(|peer| {
            let peer = peer?;
            let known = peers
                .and_then(|peers| peers.0.get(&peer).copied())
                .or_else(|| index.get(peer));
            let remote = world.get::<Remote>(known?)?;
            Some(Sender {
                peer,
                addr: remote.addr,
            })
        })
        .collect()
}

fn suspect(world: &mut World, torrent: Entity, verdict: &HashDone, senders: &[Option<Sender>]) {
    let Some(mut suspects) = world.get_mut::<Suspects>(torrent) else {
        return;
    };
    let kept = suspects.0.entry(verdict.piece).or_default();
    for (block, (sender, digest)) in senders.iter().zip(&verdict.block_digests).enumerate() {
        if let Some(sender) = sender
            && kept.len() < SUSPECTS_PER_PIECE_MAX
        {
            let (peer, addr) = (sender.peer, sender.addr);
            kept.push(SuspectBlock {
                block: block as u32,
                digest: *digest,
                peer,
                addr,
            });
        }
    }
}

fn condemn(world: &mut World, torrent: Entity, sender: Sender, piece: u32) {
    let Some(&NodeOf(node)) = world.get::<NodeOf>(torrent) else {
        return;
    };
    let Some(node) = world.get::<Node>(node).map(|row| row.0) else {
        return;
    };
    let remote = Remote {
        node,
        addr: sender.addr,
    };
    ban(
        world,
        torrent,
        &remote,
        &format!("sent bad data of piece {piece}"),
    );
}
